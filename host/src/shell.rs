//! Arguments as a shell takes them, for commands that a person is told to run.

/// The text as one argument: as it is where a shell changes nothing of it, else in single quotes.
#[must_use]
pub fn quoted(text: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "/._-:[]@,+=%".contains(c);
    // A shell looks for files that a pair of brackets matches: only those of an address are left alone.
    let globs = text.contains('[') && !text.starts_with('[');
    if !text.is_empty() && !globs && text.chars().all(plain) {
        text.into()
    } else {
        format!("'{}'", text.replace('\'', "'\\''"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_shell_would_change_is_quoted() {
        for (text, expected) in [
            ("alice/sea", "alice/sea"),
            ("[::1]:5000/sea", "[::1]:5000/sea"),
            ("@friends,bob", "@friends,bob"),
            ("a[1]", "'a[1]'"),
            ("", "''"),
            ("alice/the sea", "'alice/the sea'"),
            ("*", "'*'"),
            ("dos://KEY@host:5001?invite=x", "'dos://KEY@host:5001?invite=x'"),
            ("alice/it's", r"'alice/it'\''s'"),
            ("été", "'été'"),
        ] {
            assert_eq!(quoted(text), expected);
        }
    }
}
