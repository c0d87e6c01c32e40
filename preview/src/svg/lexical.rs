//! What can be told of the text of an SVG before it is read as XML: how many elements and attributes it has and how deep they lie, and
//! what its entities may become. A text that is no XML may pass; one that would be costly as XML does not.

use memchr::memmem;

use super::{damaged, too_large};
use crate::PreviewError;

/// The most nodes that the text becomes: elements, and the texts between them.
pub(super) const NODES_MAX: u32 = 100_000;
/// The most attributes of a drawing. Each takes 100 bytes.
const ATTRIBUTES_MAX: u64 = 150_000;
/// The most attributes of an element: each is compared with those before it.
const ATTRIBUTES_OF_ONE_MAX: u64 = 200;
/// The most declarations of namespaces: elements that have some take over those of all around them.
const NAMESPACES_MAX: u64 = 500;
/// The most elements within each other: they are read by functions that call themselves.
pub(super) const DEPTH_MAX: u64 = 64;
/// The most bytes that references to entities become.
const ENTITIES_BYTES_MAX: u64 = 256 << 10;

/// Refuses a text that would be costly to read.
pub(super) fn check(text: &str) -> Result<(), PreviewError> {
    let mut seen = Seen::default();
    let mut rest = text.as_bytes();
    while let Some(at) = memchr::memchr(b'<', rest) {
        seen.references(&rest[..at]);
        rest = &rest[at..];
        rest = if rest.starts_with(b"<!--") {
            behind(&rest[4..], b"-->")
        } else if rest.starts_with(b"<![CDATA[") {
            behind(&rest[9..], b"]]>")
        } else if rest.starts_with(b"<?") {
            behind(&rest[2..], b"?>")
        } else if rest.starts_with(b"<!") {
            seen.declaration(&rest[2..])?
        } else if rest.starts_with(b"</") {
            seen.depth = seen.depth.saturating_sub(1);
            behind(&rest[2..], b">")
        } else {
            seen.element(&rest[1..])?
        };
    }
    seen.references(rest);
    seen.judged()
}

/// What follows behind `end`; nothing if it does not come.
fn behind<'a>(text: &'a [u8], end: &[u8]) -> &'a [u8] {
    memmem::find(text, end).map_or(&[], |at| &text[at + end.len()..])
}

#[derive(Debug, Default)]
struct Seen {
    depth: u64,
    attributes: u64,
    namespaces: u64,
    /// References to entities, and the bytes of their declarations.
    references: u64,
    declared: u64,
}

impl Seen {
    /// Reads an element from behind its `<`; answers what follows it.
    fn element<'a>(&mut self, text: &'a [u8]) -> Result<&'a [u8], PreviewError> {
        let (mut count, mut at) = (0, 0);
        while let Some(byte) = text.get(at) {
            match byte {
                b'"' | b'\'' => {
                    let end = memchr::memchr(*byte, &text[at + 1..]).unwrap_or(text.len() - at - 1);
                    self.references(&text[at + 1..at + 1 + end]);
                    at += end + 1;
                }
                b'=' => count += 1,
                b'x' if text[at..].starts_with(b"xmlns") => self.namespaces += 1,
                b'>' => break,
                _ => {}
            }
            at += 1;
        }
        if count > ATTRIBUTES_OF_ONE_MAX {
            return Err(too_large("number of attributes of an element", count, ATTRIBUTES_OF_ONE_MAX));
        }
        self.attributes += count;
        if at == 0 || text.get(at - 1) != Some(&b'/') {
            self.depth += 1;
            if self.depth > DEPTH_MAX {
                return Err(too_large("depth of its elements", self.depth, DEPTH_MAX));
            }
        }
        Ok(text.get(at + 1..).unwrap_or_default())
    }

    /// Reads a declaration of the document's type, with what is declared in it.
    fn declaration<'a>(&mut self, text: &'a [u8]) -> Result<&'a [u8], PreviewError> {
        let (mut at, mut inside) = (0, false);
        while let Some(byte) = text.get(at) {
            match byte {
                b'"' | b'\'' => {
                    let end = memchr::memchr(*byte, &text[at + 1..]).unwrap_or(text.len() - at - 1);
                    let value = &text[at + 1..at + 1 + end];
                    // An entity within another one, or with elements in it, can grow beyond all measure.
                    let nested = memchr::memchr_iter(b'&', value).any(|at| value.get(at + 1) != Some(&b'#'));
                    if inside && (nested || value.contains(&b'<')) {
                        return Err(PreviewError::Unsupported("SVG with entities made of others"));
                    }
                    self.declared += u64::try_from(value.len()).unwrap_or(u64::MAX);
                    at += end + 1;
                }
                b'[' => inside = true,
                b']' => inside = false,
                b'>' if !inside => break,
                _ => {}
            }
            at += 1;
        }
        Ok(text.get(at + 1..).unwrap_or_default())
    }

    /// Counts the references to entities that are not known without a declaration.
    fn references(&mut self, text: &[u8]) {
        const KNOWN: [&[u8]; 6] = [b"#", b"amp;", b"lt;", b"gt;", b"quot;", b"apos;"];
        for at in memchr::memchr_iter(b'&', text) {
            let name = &text[at + 1..];
            if !KNOWN.iter().any(|known| name.starts_with(known)) {
                self.references += 1;
            }
        }
    }

    fn judged(&self) -> Result<(), PreviewError> {
        let bytes = self.references.saturating_mul(self.declared);
        for (what, actual, max) in [
            ("number of its attributes", self.attributes, ATTRIBUTES_MAX),
            ("number of its namespaces", self.namespaces, NAMESPACES_MAX),
            ("size of its entities in bytes", bytes, ENTITIES_BYTES_MAX),
        ] {
            if actual > max {
                return Err(too_large(what, actual, max));
            }
        }
        if self.depth > 0 { Err(damaged("it ends too early")) } else { Ok(()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn usual_drawings_pass() {
        for text in [
            "<svg/>",
            "<?xml version='1.0'?><!DOCTYPE svg PUBLIC \"a\" \"b\"><!-- <g> --><svg a='>'><g/><![CDATA[<g>]]></svg>",
            "<!DOCTYPE svg [ <!ENTITY ns \"http://x\"> ]><svg xmlns='&ns;' b='&#60;&amp;'></svg>",
        ] {
            check(text).unwrap();
        }
    }

    #[test]
    fn what_would_be_costly_is_refused() {
        let many = |count: usize, part: &str| part.repeat(count);
        let entity = format!("<!DOCTYPE svg [<!ENTITY a '{}'>]>", "x".repeat(1000));
        for (text, why) in [
            (format!("{}{}", many(65, "<g>"), many(65, "</g>")), "depth of its elements is 65"),
            (format!("<svg {}/>", many(201, "a='' ")), "attributes of an element is 201"),
            (many(800, &format!("<g {}/>", many(190, "a='' "))), "number of its attributes"),
            (many(501, "<g xmlns:a='b'/>"), "number of its namespaces is 501"),
            (format!("{entity}<svg>{}</svg>", many(263, "&a;")), "size of its entities"),
            (format!("{entity}<svg a='{}'/>", many(263, "&a;")), "size of its entities"),
            ("<!DOCTYPE svg [<!ENTITY a 'x'><!ENTITY b '&a;&a;'>]><svg/>".into(), "entities made of others"),
            ("<!DOCTYPE svg [<!ENTITY a '<g/>'>]><svg/>".into(), "entities made of others"),
            ("<svg><g>".into(), "ends too early"),
        ] {
            let error = check(&text).unwrap_err().to_string();
            assert!(error.contains(why), "{error}");
        }
        // A quote hides nothing of what follows it.
        let hidden = format!("<g a='>' {}/>", many(201, "a='' "));
        assert!(check(&hidden).is_err());
    }

    #[test]
    fn no_text_is_too_odd_for_it() {
        let text = "<!DOCTYPE svg [<!ENTITY a 'x'>]><svg a='&a;' b=\"c\"><!-- d --><g/></svg>";
        for len in (0..text.len()).filter(|len| text.is_char_boundary(*len)) {
            drop(check(&text[..len]));
            drop(check(&text[len..]));
        }
    }
}
