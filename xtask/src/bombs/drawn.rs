//! Drawings (SVG): copies of copies, patterns in patterns, filters in chains, depth, dashes, entities.

use super::Bomb;

const HEAD: &str = "<svg xmlns='http://www.w3.org/2000/svg' xmlns:xlink='http://www.w3.org/1999/xlink' width='400' height='400'>";

fn drawing(name: &str, content: &str) -> Bomb {
    Bomb::new(&format!("{name}.svg"), format!("{HEAD}{content}</svg>").into_bytes())
}

/// What `each` makes of the numbers below `count`, one after the other.
fn many(count: usize, each: impl Fn(usize) -> String) -> String {
    (0..count).map(each).collect()
}

pub(super) fn all() -> Vec<Bomb> {
    let mut bombs = copies();
    bombs.extend(filters());
    bombs.extend(shapes());
    bombs.extend(texts());
    bombs
}

fn copies() -> Vec<Bomb> {
    let uses = |id: usize| format!("<g id='g{}'>{}</g>", id + 1, format!("<use href='#g{id}'/>").repeat(10));
    let patterns = |id: usize| {
        format!(
            "<pattern id='p{}' width='3' height='3' patternUnits='userSpaceOnUse'><rect width='9' height='9' fill='url(#p{id})'/></pattern>",
            id + 1
        )
    };
    let clips = |id: usize| {
        format!(
            "<clipPath id='c{}' clip-path='url(#c{id})'><rect width='400' height='400'/></clipPath>",
            id + 1
        )
    };
    let masks = |id: usize| {
        format!(
            "<mask id='m{}' mask='url(#m{id})'><rect width='400' height='400' fill='#fff'/></mask>",
            id + 1
        )
    };
    let marker = "<marker id='k' markerWidth='400' markerHeight='400' overflow='visible'><path d='M0 0L400 400 0 400 400 0' stroke='#000'/></marker>";
    vec![
        drawing(
            "copies-of-copies",
            &format!("<g id='g0'><rect width='9' height='9'/></g>{}<use href='#g9'/>", many(9, uses)),
        ),
        drawing("a-copy-of-itself", "<g id='g'><use href='#g'/></g><use href='#g'/>"),
        drawing(
            "patterns-in-patterns",
            &format!(
                "<pattern id='p0' width='3' height='3'><rect width='9' height='9'/></pattern>{}<rect width='400' height='400' fill='url(#p9)'/>",
                many(9, patterns)
            ),
        ),
        drawing(
            "a-fine-pattern",
            "<pattern id='p' width='.001' height='.001' patternUnits='userSpaceOnUse'><rect width='9' height='9'/></pattern><rect width='400' height='400' fill='url(#p)'/>",
        ),
        drawing(
            "many-patterns",
            &format!(
                "<pattern id='p' width='399' height='399' patternUnits='userSpaceOnUse'><circle r='300'/></pattern>{}",
                "<rect width='400' height='400' fill='url(#p)'/>".repeat(9_000)
            ),
        ),
        drawing(
            "clips-in-clips",
            &format!(
                "<clipPath id='c0'><rect width='400' height='400'/></clipPath>{}<rect width='400' height='400' clip-path='url(#c500)'/>",
                many(500, clips)
            ),
        ),
        drawing(
            "masks-in-masks",
            &format!(
                "<mask id='m0'><rect width='400' height='400'/></mask>{}{}",
                many(500, masks),
                "<rect width='400' height='400' mask='url(#m500)'/>".repeat(100)
            ),
        ),
        drawing(
            "markers",
            &format!(
                "{marker}<path fill='none' stroke='#000' marker-mid='url(#k)' d='M0 0{}'/>",
                many(20_000, |n| format!("L{} {}", n % 400, n % 397))
            ),
        ),
    ]
}

fn filters() -> Vec<Bomb> {
    let used = |primitives: &str, shapes: usize| {
        let filter = format!("<filter id='f' x='-5' y='-5' width='11' height='11'>{primitives}</filter>");
        format!("{filter}{}", "<rect width='400' height='400' filter='url(#f)'/>".repeat(shapes))
    };
    vec![
        drawing("a-chain-of-filters", &used(&"<feGaussianBlur stdDeviation='100'/>".repeat(3_000), 1)),
        drawing("many-filters", &used(&"<feGaussianBlur stdDeviation='100'/>".repeat(20), 500)),
        drawing("a-large-blur", &used("<feGaussianBlur stdDeviation='1000000'/>", 20)),
        drawing("turbulence", &used("<feTurbulence baseFrequency='.5' numOctaves='1000000'/>", 3)),
        drawing(
            "a-large-kernel",
            &used(&format!("<feConvolveMatrix order='100' kernelMatrix='{}'/>", "1 ".repeat(10_000)), 3),
        ),
        drawing("morphology", &used("<feMorphology operator='dilate' radius='200'/>", 3)),
        drawing(
            "filters-in-filters",
            &format!(
                "<filter id='f'><feGaussianBlur stdDeviation='9'/></filter>{}<rect width='400' height='400'/>{}",
                "<g filter='url(#f)'>".repeat(200),
                "</g>".repeat(200)
            ),
        ),
    ]
}

fn shapes() -> Vec<Bomb> {
    let zigzag =
        |count: usize| many(count, |n| format!("L{} {}", n * 37 % 400, if n % 2 == 0 { 0 } else { 400 }));
    vec![
        drawing("depth", &format!("{}<rect width='9' height='9'/>{}", "<g>".repeat(100_000), "</g>".repeat(100_000))),
        drawing("layers", &format!("{}<rect width='400' height='400'/>{}", "<g opacity='.9'>".repeat(900), "</g>".repeat(900))),
        drawing("many-layers", &"<g opacity='.9'><rect width='400' height='400'/><rect width='400' height='400'/></g>".repeat(15_000)),
        drawing("crossing-lines", &format!("<path d='M0 0{}'/>", zigzag(200_000))),
        drawing("pens", &format!("<path fill='none' stroke='#000' stroke-width='300' stroke-linejoin='round' d='M0 0{}'/>", zigzag(100_000))),
        drawing("dashes", "<path fill='none' stroke='#000' stroke-dasharray='.0001' d='M0 0L400 400'/>"),
        drawing("many-dashes", &"<circle r='190' cx='200' cy='200' fill='none' stroke='#000' stroke-width='90' stroke-linecap='round' stroke-dasharray='.07'/>".repeat(500)),
        drawing("curves", &format!("<path d='M0 0{}'/>", "C900 0 -500 400 400 400 S-900 1 0 0".repeat(40_000))),
        drawing("gradients", &format!("<radialGradient id='r'>{}</radialGradient>{}", many(5_000, |n| format!("<stop offset='{}' stop-color='#{:06x}'/>", f64::from(u32::try_from(n).unwrap_or(0)) / 5_000.0, n * 3_331)), "<rect width='400' height='400' fill='url(#r)'/>".repeat(5_000))),
        Bomb::new("claims-1000000000.svg", b"<svg xmlns='http://www.w3.org/2000/svg' width='1000000000' height='1000000000'><rect width='1000000000' height='1000000000'/></svg>".to_vec()),
        Bomb::new("thin.svg", b"<svg xmlns='http://www.w3.org/2000/svg' width='1000000000' height='1'><circle r='100000000'/></svg>".to_vec()),
    ]
}

fn texts() -> Vec<Bomb> {
    let entity = |id: usize| format!("<!ENTITY e{} '{}'>", id + 1, format!("&e{id};").repeat(10));
    let entities =
        format!("<!DOCTYPE svg [<!ENTITY e0 'abcdefghij'>{}]>{HEAD}<text>&e9;</text></svg>", many(9, entity));
    let rules = many(20_000, |n| format!(".c{n} g * > rect, [x='{n}'] {{ fill: red }}"));
    vec![
        Bomb::new("entities.svg", entities.into_bytes()),
        drawing(
            "style-rules",
            &format!("<style>{rules}</style>{}", many(20_000, |n| format!("<rect class='c{n}'/>"))),
        ),
        drawing("attributes", &format!("<rect {}/>", many(100_000, |n| format!("a{n}='1' ")))),
        drawing("a-long-text", &format!("<text>{}</text>", "x".repeat(1_900_000))),
        drawing(
            "pictures",
            &"<image width='400' height='400' href='data:image/png;base64,AAAA'/>".repeat(20_000),
        ),
        drawing("comments", &"<!---->".repeat(280_000)),
    ]
}
