//! Peers and images in listings.

use dos_protocol::{
    TakenAt, Timestamp, Visibility,
    model::{Access, AccessState, ImageInfo, PeerInfo},
    record::SignatureState,
};

use super::{NOTHING, or_nothing};
use crate::{
    cursor::Token,
    output::{
        Text, json,
        table::Table,
        words::{count, end, peer, relative, size, views_left},
    },
};

/// Of `list`.
pub(crate) fn page(text: &mut Text, peers: &[PeerInfo], next: Option<&Token>) {
    if peers.is_empty() {
        text.note("no peers to list");
    } else {
        // A column of its own only where there is something in it.
        let has_albums = peers.iter().flat_map(|who| &who.images).any(|image| image.album().is_some());
        let album: &[&str] = if has_albums { &["ALBUM"] } else { &[] };
        let has_texts = peers.iter().flat_map(|who| &who.images).any(|image| image.description().is_some());
        let description: &[&str] = if has_texts { &["DESCRIPTION"] } else { &[] };
        let has_dates = peers.iter().flat_map(|who| &who.images).any(|image| image.taken_at().is_some());
        let taken: &[&str] = if has_dates { &["TAKEN"] } else { &[] };
        let facts = [">PIXELS", ">SIZE", "ACCESS"];
        let columns = [&["PEER", "ID", "SEEN", "IMAGE"], album, &facts, taken, description].concat();
        let mut table = Table::new(&columns);
        for who in peers {
            let head = [or_nothing(who.name.as_ref()), who.id.to_string(), seen(who, text.now)];
            if who.images.is_empty() {
                table.row([&head[..], &[NOTHING.into(), String::new(), String::new()]].concat());
            }
            for image in &who.images {
                let [name, cells @ ..] = image_cells(image, text.now);
                let album = has_albums.then(|| or_nothing(image.album()));
                let taken = has_dates.then(|| or_nothing(image.taken_at().map(TakenAt::clock)));
                let description = has_texts.then(|| described(image));
                let more = [taken.as_slice(), description.as_slice()].concat();
                table.row([&head[..], &[name], album.as_slice(), &cells, &more].concat());
            }
        }
        table.show(text);
        distrusted(text, peers);
    }
    more(text, next);
}

/// Of a whole listing: how many there are.
pub(crate) fn total(text: &mut Text, total: json::Total) {
    let number = |count: usize| u64::try_from(count).unwrap_or(u64::MAX);
    let (images, peers) = (count(number(total.images), "image"), count(number(total.peers), "peer"));
    text.note(&format!("{images} of {peers}"));
}

/// Says which images are not as their owners have signed them.
fn distrusted(text: &mut Text, peers: &[PeerInfo]) {
    for who in peers {
        for image in &who.images {
            let what = match image.signature {
                Some(SignatureState::Missing) => "is not signed, although its owner signs",
                Some(SignatureState::Wrong) => "is not what its owner has signed",
                Some(SignatureState::Old) => "is older than what its owner has signed",
                Some(SignatureState::Valid | SignatureState::None) | None => continue,
            };
            let owner = peer(who.name.as_ref(), who.id);
            text.note(&format!("warning: {owner}/{} {what}: the directory shows something else", image.name));
        }
    }
}

fn more(text: &mut Text, next: Option<&Token>) {
    if let Some(next) = next {
        text.note(&format!("there is more: add --cursor '{next}'"));
    }
}

/// Of `list --previews`: the line below a picture.
pub(crate) fn listed(text: &mut Text, who: &PeerInfo, image: &ImageInfo) {
    let [name, pixels, bytes, access] = image_cells(image, text.now);
    let owner = peer(who.name.as_ref(), who.id);
    text.line(&format!("{owner}/{name}  {pixels}  {bytes}  {access}"));
    text.line("");
}

/// Of `list --previews`: what follows all pictures.
pub(crate) fn end_of_page(text: &mut Text, peers: &[PeerInfo], next: Option<&Token>) {
    if peers.iter().all(|who| who.images.is_empty()) {
        text.note("no images to list");
    }
    distrusted(text, peers);
    more(text, next);
}

fn seen(peer: &PeerInfo, now: Timestamp) -> String {
    match peer.last_seen {
        _ if peer.online => "online".into(),
        Some(at) => match peer.last_end {
            Some(why) => format!("{} ({})", relative(at, now), end(why)),
            None => relative(at, now),
        },
        None => "never".into(),
    }
}

/// What is to be seen on an image, as far as it fits into a line of a table.
fn described(image: &ImageInfo) -> String {
    const CHARS_MAX: usize = 60;
    let Some(text) = image.description() else { return NOTHING.into() };
    match text.as_str().char_indices().nth(CHARS_MAX) {
        Some((end, _)) => format!("{}...", &text.as_str()[..end]),
        None => text.to_string(),
    }
}

fn image_cells(image: &ImageInfo, now: Timestamp) -> [String; 4] {
    let original = &image.original;
    [
        image.name.to_string(),
        original.size().map_or_else(|| NOTHING.into(), |(width, height)| format!("{width}x{height}")),
        size(original.bytes),
        match (image.access, image.visibility) {
            (Some(access), _) => access_words(access, now),
            (None, Visibility::Listed) => "own".into(),
            (None, Visibility::Private) => "own, private".into(),
        },
    ]
}

fn access_words(access: Access, now: Timestamp) -> String {
    match access.state {
        AccessState::None => NOTHING.into(),
        AccessState::Requested => "requested".into(),
        AccessState::Granted => {
            let left = views_left(access.views_left);
            let left = if access.offer { format!("offer: {left}") } else { left };
            match access.expires_at {
                Some(end) => format!("{left}, ends {}", relative(end, now)),
                None => left,
            }
        }
        AccessState::Denied => "denied".into(),
        AccessState::Revoked => "revoked".into(),
        AccessState::Expired => "expired".into(),
        AccessState::UsedUp => "used up".into(),
    }
}

/// Of `resolve`.
pub(crate) fn resolved(text: &mut Text, who: &PeerInfo) {
    let mut table = Table::new(&["PEER", "ID", "SEEN", "ADDRESS"]);
    let address = or_nothing(who.address);
    table.row(vec![or_nothing(who.name.as_ref()), who.id.to_string(), seen(who, text.now), address]);
    table.show(text);
}

/// An image that was added or renamed.
pub(crate) fn image(text: &mut Text, done: &str, image: &ImageInfo) {
    let original = &image.original;
    let pixels = original.size().map_or_else(String::new, |(width, height)| format!(" {width}x{height}"));
    let format = original.format.as_str();
    text.line(&format!("{done} {}: {format}{pixels}, {}", image.name, size(original.bytes)));
}
