//! As much of XML as routers write: elements and their texts, without attributes, namespaces and entities of their own.
//!
//! What always holds: a document is read once, from its beginning to its end, and nothing is made of it that is larger than it; one with a
//! document type is not read, since that could define what other texts stand for.

/// A piece of a document.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Piece<'a> {
    /// An element begins; its name without the prefix of its namespace.
    Open(&'a str),
    /// An element ends.
    Close(&'a str),
    /// What stands between two of these.
    Text(String),
}

/// Reads a document piece by piece; ends where it is not one.
#[derive(Debug)]
pub(super) struct Pieces<'a> {
    rest: &'a str,
    /// The end of an element that has nothing in it.
    closes: Option<&'a str>,
}

impl<'a> Pieces<'a> {
    pub(super) fn of(document: &'a str) -> Self {
        Self { rest: document, closes: None }
    }

    /// What comes before `end`, and goes on behind it.
    fn upto(&mut self, end: &str) -> Option<&'a str> {
        let (before, behind) = self.rest.split_once(end)?;
        self.rest = behind;
        Some(before)
    }

    /// A tag, from behind its `<` to its `>`, which may stand in the quotes of an attribute, too.
    fn tag(&mut self) -> Option<&'a str> {
        let mut quote = None;
        let end = self.rest.find(|character| match (quote, character) {
            (None, '>') => true,
            (None, '"' | '\'') => {
                quote = Some(character);
                false
            }
            (Some(open), _) => {
                quote = Some(open).filter(|open| *open != character);
                false
            }
            (None, _) => false,
        })?;
        let (tag, behind) = (self.rest.get(..end)?, self.rest.get(end + 1..)?);
        self.rest = behind;
        Some(tag)
    }
}

impl<'a> Iterator for Pieces<'a> {
    type Item = Piece<'a>;

    fn next(&mut self) -> Option<Piece<'a>> {
        if let Some(name) = self.closes.take() {
            return Some(Piece::Close(name));
        }
        loop {
            if self.rest.is_empty() {
                return None;
            }
            let Some(behind) = self.rest.strip_prefix('<') else {
                let end = self.rest.find('<').unwrap_or(self.rest.len());
                let (text, rest) = self.rest.split_at(end);
                self.rest = rest;
                return Some(Piece::Text(unescaped(text)));
            };
            self.rest = behind;
            if behind.starts_with("!--") {
                self.upto("-->")?;
            } else if let Some(text) = behind.strip_prefix("![CDATA[") {
                self.rest = text;
                return Some(Piece::Text(self.upto("]]>")?.to_owned()));
            } else if behind.starts_with('?') {
                self.upto("?>")?;
            } else if behind.starts_with('!') {
                self.rest = "";
                return None;
            } else {
                let tag = self.tag()?;
                if let Some(name) = tag.strip_prefix('/') {
                    return Some(Piece::Close(local(name)));
                }
                let name = local(tag.trim_end_matches('/'));
                self.closes = tag.ends_with('/').then_some(name);
                return Some(Piece::Open(name));
            }
        }
    }
}

/// The name in a tag, without its prefix.
fn local(tag: &str) -> &str {
    let name = tag.split_whitespace().next().unwrap_or_default();
    name.rsplit(':').next().unwrap_or_default()
}

/// With the five names that need no definition (XML 1.0, section 4.6).
fn unescaped(text: &str) -> String {
    let names = [("&lt;", "<"), ("&gt;", ">"), ("&quot;", "\""), ("&apos;", "'"), ("&amp;", "&")];
    names.into_iter().fold(text.to_owned(), |text, (name, stands_for)| text.replace(name, stands_for))
}

/// As the text of an element.
pub(super) fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

/// The text of the first element of this name.
pub(super) fn text_of(document: &str, name: &str) -> Option<String> {
    let mut pieces = Pieces::of(document).skip_while(|piece| *piece != Piece::Open(name));
    pieces.next()?;
    let mut all = String::new();
    for piece in pieces {
        match piece {
            Piece::Text(text) => all.push_str(&text),
            Piece::Close(_) => return Some(all.trim().to_owned()),
            Piece::Open(_) => return None,
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn elements_and_texts_are_read_and_all_else_is_passed_over() {
        let document = "<?xml version='1.0'?><!-- <a> --><s:a b=\"1>2\" c='/'>x &lt;&amp;lt; <d/><e f='g' />\
                        <![CDATA[<&amp;]]></s:a >";
        let pieces: Vec<Piece<'_>> = Pieces::of(document).collect();
        let text = |text: &str| Piece::Text(text.into());
        let expected = [
            Piece::Open("a"),
            text("x <&lt; "),
            Piece::Open("d"),
            Piece::Close("d"),
            Piece::Open("e"),
            Piece::Close("e"),
            text("<&amp;"),
            Piece::Close("a"),
        ];
        assert_eq!(pieces, expected);
    }

    #[test]
    fn the_text_of_an_element_is_found_by_its_name() {
        assert_eq!(text_of("<a><x:b> 7 </x:b><b>8</b></a>", "b").as_deref(), Some("7"));
        assert_eq!(text_of("<a><b/></a>", "b").as_deref(), Some(""));
        for none in ["<b>7", "<b><c>7</c></b>", "<a>7</a>", "", "<", "<b", "<b a='>7</b>"] {
            assert_eq!(text_of(none, "b"), None, "{none}");
        }
        let defining = "<!DOCTYPE a [<!ENTITY b 'c'>]><b>7</b>";
        assert_eq!(text_of(defining, "b"), None);
        assert_eq!(text_of(&format!("<b>{}</b>", escaped("<&amp;>")), "b").as_deref(), Some("<&amp;>"));
    }

    proptest! {
        #[test]
        fn whatever_comes_is_read_to_its_end(document in "[<>/a!?:'\" &;\\-\\[\\]CDAT]{0,64}") {
            let length: usize = Pieces::of(&document)
                .map(|piece| match piece {
                    Piece::Text(text) => text.len(),
                    Piece::Open(_) | Piece::Close(_) => 0,
                })
                .sum();
            prop_assert!(length <= document.len());
            drop(text_of(&document, "a"));
        }
    }
}
