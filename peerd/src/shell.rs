//! Arguments of the commands that hints name, as a shell takes them.

use dos_protocol::ImageArg;

/// The image as an argument of a command that a shell reads.
pub(crate) fn quoted(arg: &ImageArg) -> String {
    let text = arg.to_string();
    let plain = |c: char| c.is_ascii_alphanumeric() || "/._-:[]".contains(c);
    if text.chars().all(plain) { text } else { format!("'{}'", text.replace('\'', "'\\''")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_shell_would_change_is_quoted() {
        for (text, expected) in [
            ("alice/sea", "alice/sea"),
            ("[::1]:5000/sea", "[::1]:5000/sea"),
            ("alice/the sea", "'alice/the sea'"),
            ("alice/it's", r"'alice/it'\''s'"),
        ] {
            assert_eq!(quoted(&text.parse().unwrap()), expected);
        }
    }
}
