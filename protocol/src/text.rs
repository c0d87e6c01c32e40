//! Text that others wrote, and names: what does not show, what deceives a reader, and what is written the same in two ways.
//!
//! What always holds: nothing here changes what a text means to a person; what is only looked at is never stored changed.

use std::{borrow::Cow, fmt::Write as _};

use unicode_normalization::{IsNormalized, UnicodeNormalization as _, char::is_combining_mark, is_nfc_quick};

/// Whether a character moves, hides or breaks the text around it: control characters (C0, DEL, C1), marks of direction, breaks of lines,
/// and formats that only programs use (Unicode 16, chapters 9.1, 23.2 and 23.3, and the tags of 23.9).
#[must_use]
pub fn is_deceptive(c: char) -> bool {
    c.is_control()
        || matches!(
            c,
            '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{206f}' | '\u{feff}'
                | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}'
        )
}

/// Whether nothing is seen of a character: the deceptive ones, those that a font leaves out (`Default_Ignorable_Code_Point` of Unicode 16),
/// and blanks other than the space and its East Asian form.
#[must_use]
pub fn is_invisible(c: char) -> bool {
    is_deceptive(c)
        || (c.is_whitespace() && !matches!(c, ' ' | '\u{3000}'))
        || matches!(
            c,
            '\u{ad}' | '\u{34f}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}' | '\u{180b}'..='\u{180f}'
                | '\u{200b}'..='\u{200d}' | '\u{2060}'..='\u{2065}' | '\u{2800}' | '\u{3164}' | '\u{fe00}'..='\u{fe0f}'
                | '\u{ffa0}' | '\u{fff0}'..='\u{fff8}' | '\u{13430}'..='\u{13455}' | '\u{1bca0}'..='\u{1bca3}'
                | '\u{1d173}'..='\u{1d17a}' | '\u{e0080}'..='\u{e0fff}'
        )
}

/// Whether a character is only seen on the one before it.
#[must_use]
pub(crate) fn is_mark(c: char) -> bool {
    is_combining_mark(c)
}

/// `text` with every deceptive character replaced, for showing what somebody else wrote on a terminal.
#[must_use]
pub fn printable(text: &str) -> Cow<'_, str> {
    if text.chars().any(is_deceptive) {
        Cow::Owned(text.chars().map(|c| if is_deceptive(c) { '\u{fffd}' } else { c }).collect())
    } else {
        Cow::Borrowed(text)
    }
}

/// A JSON document in which every deceptive character is escaped, so that it can be shown on a terminal; it means the same. Outside
/// of strings JSON has none of them but line breaks, which stay.
#[must_use]
pub fn safe_json(document: &str) -> Cow<'_, str> {
    let is_safe = |c: char| !is_deceptive(c) || c == '\n';
    if document.chars().all(is_safe) {
        return Cow::Borrowed(document);
    }
    let mut safe = String::with_capacity(document.len() + 16);
    for c in document.chars() {
        if is_safe(c) {
            safe.push(c);
        } else {
            // As RFC 8259, section 7, has it: beyond the first 65,536 characters as a surrogate pair.
            for unit in c.encode_utf16(&mut [0; 2]) {
                write!(safe, "\\u{unit:04x}").unwrap_or_default();
            }
        }
    }
    Cow::Owned(safe)
}

/// `text` in the one of its spellings that is stored and compared: NFC (Unicode Standard Annex 15).
#[must_use]
pub fn nfc(text: &str) -> Cow<'_, str> {
    match is_nfc_quick(text.chars()) {
        IsNormalized::Yes => Cow::Borrowed(text),
        IsNormalized::No | IsNormalized::Maybe => Cow::Owned(text.nfc().collect()),
    }
}

/// The spellings under which earlier programs may have stored `text`, in the order in which to look: as it is, composed, decomposed.
#[must_use]
pub fn spellings(text: &str) -> [Cow<'_, str>; 3] {
    if text.is_ascii() {
        return [Cow::Borrowed(text), Cow::Borrowed(text), Cow::Borrowed(text)];
    }
    [Cow::Borrowed(text), nfc(text), Cow::Owned(text.nfd().collect())]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_deceives_is_replaced_and_what_people_write_stays() {
        assert_eq!(printable("a\u{1b}[2Jb\u{9b}c\u{7f}"), "a\u{fffd}[2Jb\u{fffd}c\u{fffd}");
        assert_eq!(
            printable("evil\u{202e}gpj\u{61c}\u{2069}\u{e0041}"),
            "evil\u{fffd}gpj\u{fffd}\u{fffd}\u{fffd}"
        );
        for plain in ["plain / text", "e\u{301}", "👩\u{200d}🚀", "می\u{200c}خواهم", "❤\u{fe0f}", "a\u{a0}b"]
        {
            assert!(matches!(printable(plain), Cow::Borrowed(_)), "{plain}");
        }
    }

    #[test]
    fn nothing_is_seen_of_what_is_invisible() {
        for c in "\u{ad}\u{200b}\u{200c}\u{200d}\u{2060}\u{fe0f}\u{3164}\u{2800}\u{a0}\u{2003}\u{202e}\u{e0100}\u{7f}".chars() {
            assert!(is_invisible(c), "{}", c.escape_unicode());
        }
        for c in "a é海ـ\u{301}\u{3000}😀-./".chars() {
            assert!(!is_invisible(c), "{}", c.escape_unicode());
        }
    }

    #[test]
    fn json_is_disarmed_and_means_the_same() {
        assert!(matches!(safe_json("{\"a\":\"b\"}\n"), Cow::Borrowed(_)));
        assert_eq!(safe_json("{\"a\":\"\u{9b}\u{7f}\u{202e}é\"}\n"), "{\"a\":\"\\u009b\\u007f\\u202eé\"}\n");
        assert_eq!(safe_json("\"\u{e0041}\""), "\"\\udb40\\udc41\"");
    }

    #[test]
    fn one_text_has_one_spelling_that_is_stored_and_three_that_are_found() {
        let (composed, decomposed) = ("caf\u{e9}", "cafe\u{301}");
        assert_eq!((nfc(composed), nfc(decomposed)), (composed.into(), composed.into()));
        assert_eq!(spellings(decomposed), [decomposed, composed, decomposed]);
        assert_eq!(spellings(composed), [composed, composed, decomposed]);
        assert_eq!(spellings("sea"), ["sea"; 3]);
        // Hangul, and a character that is not its own NFC.
        assert_eq!(nfc("\u{1112}\u{1161}\u{11ab}"), "\u{d55c}");
        assert_eq!(nfc("\u{212b}"), "\u{c5}");
    }
}
