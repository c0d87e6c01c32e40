//! SQLite's values as PostgreSQL's and back.
//!
//! Integers are `bigint` (smaller ones and `boolean` are read and written too), texts `text`, blobs `bytea`; a sum, which is
//! `numeric`, is read as the integer that it is.

use bytes::{BufMut, BytesMut};
use postgres_types::{FromSql, IsNull, ToSql, Type, to_sql_checked};
use rusqlite::types::{ToSqlOutput, Value, ValueRef};

type Failure = Box<dyn std::error::Error + Sync + Send>;

/// A parameter.
pub(super) struct Param<'a>(pub(super) ToSqlOutput<'a>);

impl std::fmt::Debug for Param<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // It may be a secret.
        f.write_str("Param")
    }
}

impl ToSql for Param<'_> {
    fn to_sql(&self, ty: &Type, out: &mut BytesMut) -> Result<IsNull, Failure> {
        let value = match &self.0 {
            ToSqlOutput::Borrowed(value) => *value,
            ToSqlOutput::Owned(value) => ValueRef::from(value),
            _ => return Err("a parameter of a kind that is not used".into()),
        };
        match value {
            ValueRef::Null => return Ok(IsNull::Yes),
            ValueRef::Integer(number) => write_integer(number, ty, out)?,
            ValueRef::Real(number) if *ty == Type::FLOAT8 => out.put_f64(number),
            ValueRef::Text(text) if matches!(*ty, Type::TEXT | Type::VARCHAR) => out.put_slice(text),
            ValueRef::Blob(bytes) if *ty == Type::BYTEA => out.put_slice(bytes),
            other => return Err(format!("{} is no {ty}", other.data_type()).into()),
        }
        Ok(IsNull::No)
    }

    fn accepts(_: &Type) -> bool {
        true
    }

    to_sql_checked!();
}

fn write_integer(number: i64, ty: &Type, out: &mut BytesMut) -> Result<(), Failure> {
    match *ty {
        Type::INT8 => out.put_i64(number),
        Type::INT4 => out.put_i32(number.try_into()?),
        Type::INT2 => out.put_i16(number.try_into()?),
        Type::BOOL => out.put_u8(u8::from(number != 0)),
        _ => return Err(format!("an integer is no {ty}").into()),
    }
    Ok(())
}

/// A column.
pub(super) struct Column(pub(super) Value);

impl<'a> FromSql<'a> for Column {
    fn from_sql(ty: &Type, raw: &'a [u8]) -> Result<Self, Failure> {
        Ok(Self(match *ty {
            Type::INT8 => Value::Integer(i64::from_sql(ty, raw)?),
            Type::INT4 => Value::Integer(i32::from_sql(ty, raw)?.into()),
            Type::INT2 => Value::Integer(i16::from_sql(ty, raw)?.into()),
            Type::BOOL => Value::Integer(bool::from_sql(ty, raw)?.into()),
            Type::NUMERIC => Value::Integer(numeric(raw).ok_or("a number that is no 64 bit integer")?),
            Type::FLOAT8 => Value::Real(f64::from_sql(ty, raw)?),
            Type::TEXT | Type::VARCHAR | Type::NAME => Value::Text(String::from_sql(ty, raw)?),
            Type::BYTEA => Value::Blob(raw.to_vec()),
            _ => return Err(format!("a column of the type {ty}, which is not used").into()),
        }))
    }

    fn from_sql_null(_: &Type) -> Result<Self, Failure> {
        Ok(Self(Value::Null))
    }

    fn accepts(_: &Type) -> bool {
        true
    }
}

/// An integer in the wire form of `numeric`: four words (digits, the place of the first one, sign, decimals), then digits to the
/// base 10,000.
fn numeric(raw: &[u8]) -> Option<i64> {
    let word = |at: usize| Some(u16::from_be_bytes(*raw.get(at * 2..)?.first_chunk()?));
    let (digits, weight, sign) = (word(0)?, word(1)?.cast_signed(), word(2)?);
    let mut number: i64 = 0;
    // Zeros at the end are left out.
    for place in 0..=weight.max(-1) {
        let place = u16::try_from(place).ok()?;
        let digit = if place < digits { word(4 + usize::from(place))? } else { 0 };
        number = number.checked_mul(10_000)?.checked_sub(digit.into())?;
    }
    let is_whole = i32::from(digits) <= i32::from(weight) + 1;
    match sign {
        0 if is_whole => number.checked_neg(),
        0x4000 if is_whole => Some(number),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sums_are_read_as_integers() {
        let wire = |words: &[u16]| words.iter().flat_map(|word| word.to_be_bytes()).collect::<Vec<u8>>();
        for (words, expected) in [
            (vec![0, 0, 0, 0], Some(0)),
            (vec![1, 0, 0, 0, 7], Some(7)),
            (vec![2, 1, 0, 0, 1, 2345], Some(12_345)),
            (vec![1, 1, 0, 0, 3], Some(30_000)),
            (vec![1, 0, 0x4000, 0, 7], Some(-7)),
            (vec![5, 4, 0, 0, 922, 3372, 368, 5477, 5807], Some(i64::MAX)),
            (vec![5, 4, 0x4000, 0, 922, 3372, 368, 5477, 5808], Some(i64::MIN)),
            (vec![5, 4, 0, 0, 922, 3372, 368, 5477, 5808], None),
            (vec![2, 0, 0, 2, 1, 5000], None),
            (vec![0, 0, 0xc000, 0], None),
            (vec![2, 1, 0, 0, 1], None),
        ] {
            assert_eq!(numeric(&wire(&words)), expected, "{words:?}");
        }
        assert_eq!(numeric(&[0, 1, 0]), None);
    }

    #[test]
    fn integers_are_written_in_the_width_of_the_column() {
        let written = |number, ty: &Type| {
            let mut out = BytesMut::new();
            write_integer(number, ty, &mut out).ok().map(|()| out.to_vec())
        };
        assert_eq!(written(-2, &Type::INT8), Some(vec![255, 255, 255, 255, 255, 255, 255, 254]));
        assert_eq!(written(258, &Type::INT4), Some(vec![0, 0, 1, 2]));
        assert_eq!(written(1, &Type::BOOL), Some(vec![1]));
        assert_eq!(written(1 << 20, &Type::INT2), None);
        assert_eq!(written(1, &Type::TEXT), None);
    }
}
