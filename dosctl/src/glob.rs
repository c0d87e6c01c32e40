//! Names with `*` and `?` in them, which stand for any text and any one character.

/// Whether a name stands for others.
#[must_use]
pub(crate) fn is_glob(text: &str) -> bool {
    text.contains(['*', '?'])
}

/// Whether `pattern` stands for `text`. Takes a time that grows with the product of their lengths, whatever they are.
#[must_use]
pub(crate) fn matches(pattern: &str, text: &str) -> bool {
    let (pattern, text): (Vec<char>, Vec<char>) = (pattern.chars().collect(), text.chars().collect());
    let (mut at, mut in_text) = (0, 0);
    // Where the last star stands, and how far it reaches.
    let mut star: Option<(usize, usize)> = None;
    while let Some(&next) = text.get(in_text) {
        match pattern.get(at) {
            Some('*') => {
                star = Some((at, in_text));
                at += 1;
            }
            Some(&wanted) if wanted == '?' || wanted == next => {
                at += 1;
                in_text += 1;
            }
            _ => {
                let Some((place, reach)) = star else { return false };
                star = Some((place, reach + 1));
                (at, in_text) = (place + 1, reach + 1);
            }
        }
    }
    pattern.get(at..).unwrap_or_default().iter().all(|&rest| rest == '*')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stars_and_question_marks_stand_for_others() {
        for (pattern, text, expected) in [
            ("sea", "sea", true),
            ("sea", "seas", false),
            ("*", "", true),
            ("sea*", "sea", true),
            ("sea*", "sea at dawn", true),
            ("*dawn", "sea at dawn", true),
            ("s*a*n", "sea at dawn", true),
            ("s*a*x", "sea at dawn", false),
            ("img_?", "img_1", true),
            ("img_?", "img_10", false),
            ("?té", "été", true),
            ("a*b*c", "abbbxc", true),
            ("**", "x", true),
            ("?", "", false),
        ] {
            assert_eq!(matches(pattern, text), expected, "{pattern} {text}");
        }
        assert!(!matches(&"*a".repeat(50), &"a".repeat(49)));
        assert!(is_glob("a*") && is_glob("?") && !is_glob("a"));
    }
}
