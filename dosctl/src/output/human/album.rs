//! Albums, and who gets what comes into them.

use dos_protocol::{
    Allowance, ImageName,
    control::{AlbumSummary, Rule},
};

use crate::output::{
    Text,
    table::Table,
    words::{self, count},
};

/// Of `albums`.
pub(crate) fn albums(text: &mut Text, albums: &[AlbumSummary]) {
    if albums.is_empty() {
        text.note("no albums; put images into one with `dosctl set IMAGE --album NAME`");
        return;
    }
    let mut table = Table::new(&["ALBUM", ">IMAGES", ">PRIVATE", ">LATER FOR"]);
    for album in albums {
        let (images, private) = (album.images.to_string(), album.private.to_string());
        table.row(vec![album.name.to_string(), images, private, count(album.rules, "peer")]);
    }
    table.show(text);
}

/// Of `album`.
pub(crate) fn album(text: &mut Text, images: &[ImageName], rules: &[Rule]) {
    for image in images {
        text.line(image.as_str());
    }
    text.note(&count(u64::try_from(images.len()).unwrap_or(u64::MAX), "image"));
    for one in rules {
        rule(text, one);
    }
}

/// What a peer gets of an album, and what has come of it.
pub(crate) fn rule(text: &mut Text, rule: &Rule) {
    let who = words::peer(rule.viewer_name.as_ref(), rule.viewer);
    let terms = terms(rule);
    let mut line = format!("{who} gets {terms} of every image in {}, also later ones: ", rule.album);
    line += &format!("{} given", rule.given);
    if rule.waiting > 0 {
        line += &format!(", {} waiting", rule.waiting);
    }
    if rule.failed > 0 {
        line += &format!(", {} failed", rule.failed);
    }
    if let Some(trouble) = &rule.trouble {
        line += &format!(" ({trouble})");
    }
    text.line(&line);
}

fn terms(rule: &Rule) -> String {
    let mut terms = match rule.terms.views {
        Allowance::Unlimited => "unlimited views".into(),
        Allowance::Views(views) => count(views.into(), "view"),
    };
    if let Some(time) = rule.terms.expires {
        terms += &format!(" for {}", words::span(time));
    }
    if rule.terms.allow_offline {
        terms += ", with checkouts,";
    }
    terms
}
