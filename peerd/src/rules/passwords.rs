//! Which passwords are too weak to be chosen: by what it takes to guess them (`zxcvbn`), and by nothing else.

use dos_protocol::{Code, WireError};
use zxcvbn::{Score, feedback::Feedback, zxcvbn};

/// Refuses a password that is easy to guess for someone who knows `known` about its owner.
pub(crate) fn check(password: &str, known: &[&str]) -> Result<(), WireError> {
    let guessed = zxcvbn(password, known);
    if guessed.score() >= Score::Three {
        return Ok(());
    }
    let error = WireError::new(Code::Invalid, "the password is easy to guess");
    let Some(feedback) = guessed.feedback() else { return Err(error) };
    let error = match feedback.warning() {
        Some(warning) => error.caused_by(plain(&warning.to_string())),
        None => error,
    };
    Err(error.hint(advice(feedback)))
}

fn advice(feedback: &Feedback) -> String {
    let suggestions: Vec<String> =
        feedback.suggestions().iter().map(|suggestion| plain(&suggestion.to_string())).collect();
    if suggestions.is_empty() { "add another word or two".into() } else { suggestions.join("; ") }
}

/// In the form of our own texts: lower case, without a full stop.
fn plain(text: &str) -> String {
    let mut chars = text.trim_end_matches('.').chars();
    chars.next().map_or_else(String::new, |first| first.to_lowercase().chain(chars).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_easy_to_guess_is_refused_with_advice() {
        for (password, known) in [
            ("password", &[][..]),
            ("12345678", &[]),
            ("qwertyuiop", &[]),
            ("aliceinwonder", &["aliceinwonder"]),
            ("photos.example.org", &["alice", "photos.example.org"]),
        ] {
            let refused = check(password, known).expect_err(password);
            assert_eq!((refused.code, &*refused.message), (Code::Invalid, "the password is easy to guess"));
            let hint = refused.hint.unwrap();
            assert!(!hint.is_empty() && !hint.ends_with('.'), "{password}: {hint}");
            assert!(hint.chars().next().is_some_and(char::is_lowercase), "{password}: {hint}");
        }
    }

    #[test]
    fn what_is_hard_to_guess_is_taken_whatever_it_is_made_of() {
        for password in
            ["correct horse battery staple", "tinfoil-walrus-9", "ж9#kQ2!vLp", "aaqzhvxnwkrt", "qzhvxnwkr"]
        {
            assert_eq!(check(password, &["alice", "example.org"]), Ok(()), "{password}");
        }
    }

    #[test]
    fn a_warning_is_the_cause() {
        let refused = check("password", &[]).unwrap_err();
        assert_eq!(refused.cause.as_deref(), Some("this is a top-10 common password"));
    }
}
