//! What references make of the elements of an SVG: a `use` is a copy of what it names, a pattern or a marker may be copied for every shape that
//! has it. Counted without making the copies, and rather too high than too low.

use std::collections::HashMap;

use resvg::usvg::roxmltree::{Document, Node, NodeId};

use super::{lexical::DEPTH_MAX, too_large};
use crate::PreviewError;

/// The most elements after that. Each takes about 1 KiB, and some are compared with all of their kind.
const ELEMENTS_MAX: u64 = 30_000;
/// The most elements times rules of style sheets: each rule is tried on each.
const MATCHES_MAX: u64 = 3_000_000;

/// Refuses a drawing that becomes too large.
pub(super) fn check(document: &Document<'_>) -> Result<(), PreviewError> {
    let mut elements = 0u64;
    let mut counting = Counting { ids: HashMap::new(), known: HashMap::new() };
    let (mut rules, mut named) = (0u64, Vec::new());
    for node in document.descendants().filter(Node::is_element) {
        elements += 1;
        if let Some(id) = node.attribute("id") {
            counting.ids.entry(id).or_insert(node);
        }
        if node.tag_name().name() == "style" {
            for text in node.children().filter(Node::is_text).filter_map(|node| node.text()) {
                rules += u64::try_from(text.matches(['{', ',']).count()).unwrap_or(u64::MAX);
                named.extend(references(text).map(|(_, id)| id));
            }
        }
    }
    if elements.saturating_mul(rules) > MATCHES_MAX {
        return Err(too_large("number of elements times rules", elements.saturating_mul(rules), MATCHES_MAX));
    }
    let whole = counting.count(document.root_element(), 0)?;
    // A style sheet may give any of what it names to any shape, each of eight kinds once.
    let mut given = Count::default();
    for id in named {
        given = given.larger(counting.named(id, 0)?);
    }
    let actual = whole
        .elements
        .saturating_add(given.elements.saturating_mul(whole.elements + whole.points).saturating_mul(8));
    if actual > ELEMENTS_MAX {
        Err(too_large("number of its elements", actual, ELEMENTS_MAX))
    } else {
        Ok(())
    }
}

/// What an element becomes.
#[derive(Debug, Clone, Copy, Default)]
struct Count {
    elements: u64,
    /// Where markers may be put.
    points: u64,
    /// How many lie within each other.
    height: u64,
}

impl Count {
    fn plus(self, other: Self) -> Self {
        Self {
            elements: self.elements.saturating_add(other.elements),
            points: self.points.saturating_add(other.points),
            height: self.height.max(other.height),
        }
    }

    fn larger(self, other: Self) -> Self {
        Self {
            elements: self.elements.max(other.elements),
            points: self.points.max(other.points),
            height: self.height.max(other.height),
        }
    }
}

struct Counting<'a, 'input> {
    ids: HashMap<&'a str, Node<'a, 'input>>,
    /// What was counted already; nothing while it is under way.
    known: HashMap<NodeId, Option<Count>>,
}

impl<'a, 'input> Counting<'a, 'input> {
    fn named(&mut self, id: &str, depth: u64) -> Result<Count, PreviewError> {
        self.ids.get(id).copied().map_or(Ok(Count::default()), |node| self.count(node, depth + 1))
    }

    fn count(&mut self, node: Node<'a, 'input>, depth: u64) -> Result<Count, PreviewError> {
        // What contains itself is not drawn.
        let known = self.known.get(&node.id()).map(|known| known.unwrap_or_default());
        let deepest = depth + known.map_or(0, |known| known.height);
        if deepest > DEPTH_MAX {
            return Err(too_large("depth of its elements", deepest, DEPTH_MAX));
        }
        if let Some(known) = known {
            return Ok(known);
        }
        self.known.insert(node.id(), None);
        let count = self.count_anew(node, depth)?;
        self.known.insert(node.id(), Some(count));
        Ok(count)
    }

    fn count_anew(&mut self, node: Node<'a, 'input>, depth: u64) -> Result<Count, PreviewError> {
        let text = |name| node.attribute(name).map_or(0, str::len);
        let points = u64::try_from(text("d") + text("points")).unwrap_or(u64::MAX) / 2 + 4;
        let mut count = Count { elements: 1, points, height: 0 };
        let mut stops = 0u64;
        for child in node.children().filter(Node::is_element) {
            count = count.plus(self.count(child, depth + 1)?);
            stops += 1;
        }
        if matches!(node.tag_name().name(), "linearGradient" | "radialGradient") {
            // It is copied with its stops, which are small.
            count = Count { elements: stops / 8, ..Count::default() };
        }
        let mut copies = Count::default();
        for attribute in node.attributes() {
            let links =
                attribute.name() == "href" && matches!(node.tag_name().name(), "use" | "pattern" | "feImage");
            if links && let Some(id) = attribute.value().trim().strip_prefix('#') {
                copies = copies.plus(self.named(id, depth)?);
            }
            for (property, id) in references(attribute.value()) {
                let given = self.named(id, depth)?;
                let property = property.unwrap_or(attribute.name());
                // What is painted with is that of all in it; markers are put at each of its points.
                let times = if property.starts_with("marker") {
                    count.points
                } else if matches!(property, "fill" | "stroke") {
                    count.elements
                } else {
                    1
                };
                let elements = given.elements.saturating_mul(times);
                let points = given.points.saturating_mul(times);
                copies = copies.plus(Count { elements, points, ..given });
            }
        }
        let count = count.plus(copies);
        Ok(Count { height: count.height + 1, ..count })
    }
}

/// The IDs that are referred to as `url(#id)`, and the properties before them in a text of several.
fn references(text: &str) -> impl Iterator<Item = (Option<&str>, &str)> {
    text.match_indices("url(").filter_map(|(at, found)| {
        let value = text[at + found.len()..].trim_start_matches([' ', '\t', '\n', '\r', '"', '\'']);
        let value = value.strip_prefix('#')?;
        let id = &value[..value.find(['"', '\'', ')', ' '])?];
        let before = text[..at].rsplit([';', '{']).next().unwrap_or_default();
        Some((before.split_once(':').map(|(property, _)| property.trim()), id))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn checked(body: &str) -> Result<(), String> {
        let text = format!(
            "<svg xmlns='http://www.w3.org/2000/svg' xmlns:x='http://www.w3.org/1999/xlink'>{body}</svg>"
        );
        check(&Document::parse(&text).unwrap()).map_err(|error| error.to_string())
    }

    #[test]
    fn references_are_found_with_their_properties() {
        let found = |text| references(text).collect::<Vec<_>>();
        assert_eq!(found("url(#a)"), [(None, "a")]);
        assert_eq!(found("stroke: none; fill: url('#b')"), [(Some("fill"), "b")]);
        assert_eq!(found(".c{marker-end:url( \"#d\" )}"), [(Some("marker-end"), "d")]);
        assert!(found("url(x.svg#e) url(#f").is_empty());
    }

    #[test]
    fn copies_of_copies_are_counted_before_they_are_made() {
        let doubled = |href: &str| -> String {
            (1..20)
                .map(|n| format!("<g id='a{n}'><use {href}='#a{m}'/><use {href}='#a{m}'/></g>", m = n - 1))
                .collect()
        };
        for href in ["href", "x:href"] {
            let bomb = checked(&format!("<g id='a0'/>{}", doubled(href)));
            assert!(bomb.unwrap_err().contains("number of its elements"));
        }
        let pattern = format!("<pattern id='p'>{}</pattern>", "<path/>".repeat(200));
        assert!(checked(&format!("{pattern}{}", "<rect fill='url(#p)'/>".repeat(100))).is_ok());
        assert!(checked(&format!("{pattern}{}", "<rect fill='url(#p)'/>".repeat(200))).is_err());
        assert!(checked(&format!("{pattern}<g style='fill:url(#p)'>{}</g>", "<rect/>".repeat(200))).is_err());
        assert!(
            checked(&format!("{pattern}<style>rect{{fill:url(#p)}}</style>{}", "<rect/>".repeat(50)))
                .is_err()
        );
        let marker = "<marker id='m'><path/></marker>";
        assert!(
            checked(&format!("{marker}<path marker-mid='url(#m)' d='M0 0{}'/>", "h1".repeat(100))).is_ok()
        );
        assert!(
            checked(&format!("{marker}<path marker-mid='url(#m)' d='M0 0{}'/>", "h1".repeat(20_000)))
                .is_err()
        );
    }

    #[test]
    fn what_contains_itself_and_what_lies_deep_comes_to_an_end() {
        checked("<g id='a'><use href='#b'/></g><g id='b'><use href='#a'/><use href='#b'/></g>").unwrap();
        checked("<pattern id='p'><rect fill='url(#p)'/></pattern><rect fill='url(#p)'/>").unwrap();
        let chain: String = (0..70).map(|n| format!("<g id='a{n}'><use href='#a{}'/></g>", n + 1)).collect();
        assert!(checked(&chain).unwrap_err().contains("depth"));
        // Also where what is named was counted before.
        let chain: String = (1..80).map(|n| format!("<g id='a{n}'><use href='#a{}'/></g>", n - 1)).collect();
        assert!(checked(&chain).unwrap_err().contains("depth"));
    }

    #[test]
    fn many_rules_for_many_elements_are_refused() {
        let style = format!("<style>{}</style>", "a{}".repeat(2000));
        assert!(checked(&format!("{style}{}", "<g/>".repeat(1000))).is_ok());
        assert!(checked(&format!("{style}{}", "<g/>".repeat(2000))).is_err());
    }
}
