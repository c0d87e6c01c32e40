//! CBOR's diagnostic notation (RFC 8949, section 8), for people who read golden messages.

use ciborium::Value;

/// One item as a person reads it.
pub(crate) fn notation(value: &Value) -> String {
    match value {
        Value::Integer(number) => i128::from(*number).to_string(),
        Value::Bytes(bytes) => format!("h'{}'", super::golden::hex(bytes)),
        Value::Text(text) => format!("{text:?}"),
        Value::Bool(yes) => yes.to_string(),
        Value::Null => "null".to_owned(),
        Value::Array(items) => {
            let items: Vec<String> = items.iter().map(notation).collect();
            format!("[{}]", items.join(", "))
        }
        Value::Map(pairs) => {
            let pairs: Vec<String> =
                pairs.iter().map(|(key, value)| format!("{}: {}", notation(key), notation(value))).collect();
            format!("{{{}}}", pairs.join(", "))
        }
        other => panic!("no message has {other:?}"),
    }
}
