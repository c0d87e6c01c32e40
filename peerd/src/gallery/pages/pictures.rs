//! The grid of all pictures that one may see: of everybody, of one peer, one's own, of an album, or those that are searched for.

use std::sync::Arc;

use axum::{
    Extension,
    extract::{Query, State},
    http::HeaderMap,
    response::Response,
};
use dos_protocol::{
    PeerId, WireError,
    control::ListQuery,
    directory::Cursor,
    limits::PAGE_DEFAULT,
    model::{ImageInfo, ImagePath, PeerInfo, PeerRef, Visibility},
};
use maud::{Markup, html};
use serde::Deserialize;

use crate::gallery::{
    Gallery, address,
    answer::Refusal,
    limits::{PICTURES_PER_PAGE, SEARCHED_AT_ONCE, SEARCHED_MAX},
    page::{Page, Section, whole},
    perform::{Listing, list},
    sessions::Visitor,
    words,
};

/// What is looked for.
#[derive(Debug, Default, Deserialize)]
pub(in crate::gallery) struct Search {
    /// A part of a name, of any case.
    #[serde(default)]
    q: String,
    /// Whose: `mine`, an ID or a name; everybody's if nothing is said.
    #[serde(default)]
    of: String,
    /// In an album of this name.
    #[serde(default)]
    album: String,
    /// Where the last page ended.
    #[serde(default)]
    after: String,
}

/// A picture and its owner, without the owner's other pictures.
struct Found {
    owner: Arc<PeerInfo>,
    image: ImageInfo,
}

/// A page of what was found.
struct Results {
    found: Vec<Found>,
    next: Option<Cursor>,
    is_old: bool,
}

impl Search {
    fn is_filter(&self) -> bool {
        !self.q.trim().is_empty() || !self.album.trim().is_empty()
    }

    fn query(&self) -> Result<ListQuery, WireError> {
        let mine = self.of == "mine";
        let peer = match &*self.of {
            "" | "mine" => None,
            of => Some(of.parse::<PeerRef>().map_err(|error| {
                WireError::new(dos_protocol::Code::Invalid, format!("\"{of}\" names no peer"))
                    .caused_by(error.to_string())
            })?),
        };
        let limit = if self.is_filter() { SEARCHED_AT_ONCE } else { PAGE_DEFAULT };
        let after = address::cursor(&self.after);
        Ok(ListQuery { peer, mine, after, limit: Some(limit), ..ListQuery::default() })
    }

    fn matches(&self, image: &ImageInfo) -> bool {
        let (wanted, album) = (self.q.trim().to_lowercase(), self.album.trim());
        let album_of = || image.album().map(dos_protocol::AlbumName::as_str);
        (wanted.is_empty() || image.name.as_str().to_lowercase().contains(&wanted))
            && (album.is_empty() || album_of() == Some(album))
    }

    /// The address of the page that begins at `after`.
    fn address(&self, after: &str) -> String {
        let fields = [("q", &*self.q), ("of", &self.of), ("album", &self.album), ("after", after)];
        let fields = fields.into_iter().filter(|(_, value)| !value.is_empty());
        let fields: Vec<String> =
            fields.map(|(name, value)| format!("{name}={}", address::encoded(value))).collect();
        if fields.is_empty() { "/".into() } else { format!("/?{}", fields.join("&")) }
    }
}

/// Looks through the listing until there is a page, or enough was looked through.
async fn search(gallery: &Arc<Gallery>, search: &Search) -> Result<Results, WireError> {
    let mut query = search.query()?;
    let (mut found, mut looked, mut is_old) = (Vec::new(), 0_usize, false);
    loop {
        let Listing { peers, next, is_old: old } = list(gallery, query.clone()).await?;
        is_old |= old;
        for mut peer in peers {
            let images = std::mem::take(&mut peer.images);
            looked = looked.saturating_add(images.len().max(1));
            let owner = Arc::new(peer);
            for image in images.into_iter().filter(|image| search.matches(image)) {
                found.push(Found { owner: Arc::clone(&owner), image });
                if found.len() >= PICTURES_PER_PAGE {
                    let last = found.last().map(|last: &Found| Cursor {
                        peer: last.image.owner,
                        image: Some(last.image.name.clone()),
                    });
                    return Ok(Results { found, next: last, is_old });
                }
            }
        }
        if next.is_none() || looked >= SEARCHED_MAX {
            return Ok(Results { found, next, is_old });
        }
        query.after = next;
    }
}

/// The page.
pub(in crate::gallery) async fn page(
    State(gallery): State<Arc<Gallery>>,
    Extension(visitor): Extension<Visitor>,
    Query(wanted): Query<Search>,
    headers: HeaderMap,
) -> Result<Response, Refusal> {
    let me = gallery.services.identity.registered().map(|(me, _)| me);
    let result = match me {
        Some(_) => search(&gallery, &wanted).await,
        None => Ok(Results { found: Vec::new(), next: None, is_old: false }),
    };
    let (result, error) = match result {
        Ok(result) => (result, None),
        // The page stands, so that something else can be looked for.
        Err(error) => (Results { found: Vec::new(), next: None, is_old: false }, Some(error)),
    };
    let body = html! {
        (tools(&wanted))
        div #pictures data-live="grant removed decision" {
            @if let Some(error) = &error { (crate::gallery::answer::explained(error)) }
            @if result.is_old { p.hint { "This is what the directory showed last." } }
            @if result.found.is_empty() && error.is_none() { (nothing(&wanted)) }
            ul.grid #grid { @for found in &result.found { (tile(found, me)) } }
            @if let Some(next) = &result.next {
                p.more { a.button #more rel="next" href=(wanted.address(&address::of_cursor(next))) { "More pictures" } }
            }
        }
    };
    let page = Page { title: "Pictures".into(), section: Section::Pictures, body };
    Ok(whole(&gallery, (&visitor, &headers), page).await?)
}

fn tools(wanted: &Search) -> Markup {
    html! {
        h1.visually-hidden { "Pictures" }
        form.tools #search role="search" method="get" action="/" {
            input type="search" name="q" value=(wanted.q) placeholder="Search by name" aria-label="Search by name" maxlength="100";
            @if !wanted.of.is_empty() { input type="hidden" name="of" value=(wanted.of); }
            @if !wanted.album.is_empty() { input type="hidden" name="album" value=(wanted.album); }
            button.plain { "Search" }
            span.tabs {
                a href="/" aria-current=[wanted.of.is_empty().then_some("true")] { "Everyone" }
                a href="/?of=mine" aria-current=[(wanted.of == "mine").then_some("true")] { "Mine" }
                @if !wanted.of.is_empty() && wanted.of != "mine" {
                    a href=(wanted.address("")) aria-current="true" { (wanted.of) }
                }
                @if !wanted.album.is_empty() {
                    a href=(Search { album: String::new(), q: wanted.q.clone(), of: wanted.of.clone(), after: String::new() }.address(""))
                        aria-current="true" { "Album " (wanted.album) " " span aria-label="leave the album" { "×" } }
                }
            }
            a.button href="/add" { "Add pictures" }
        }
    }
}

fn nothing(wanted: &Search) -> Markup {
    html! {
        div.empty {
            @if wanted.is_filter() { p { "No picture was found." } p { a href="/" { "Show all" } } }
            @else if wanted.of == "mine" { p { "You have no pictures here yet." } p { a.button href="/add" { "Add pictures" } } }
            @else { p { "There are no pictures yet." } p { a.button href="/add" { "Add pictures" } } }
        }
    }
}

fn tile(Found { owner, image }: &Found, me: Option<PeerId>) -> Markup {
    let path = ImagePath { owner: image.owner, name: image.name.clone() };
    let who = words::peer(owner.name.as_ref(), owner.id);
    let is_mine = me == Some(image.owner);
    let (label, class) = words::access(image.access.as_ref());
    let alt = if is_mine { format!("{}, yours", image.name) } else { format!("{} of {who}", image.name) };
    html! {
        li {
            a href=(address::of_image("picture", &path)) {
                img src=(address::of_image("preview", &path)) alt=(alt) loading="lazy" decoding="async"
                    width=(image.preview.width.max(1)) height=(image.preview.height.max(1));
                span.caption {
                    b { (image.name) }
                    span.who {
                        @if !is_mine {
                            span.dot.on[owner.online] title=(if owner.online { "online" } else { "offline" }) {}
                            (who)
                        }
                        span class={ "label " (class) } { (label) }
                        @if image.visibility == Visibility::Private { span.label.private { "private" } }
                        @if image.signature.is_some_and(dos_protocol::record::SignatureState::is_bad) {
                            span.label.refused { "not as signed" }
                        }
                    }
                }
            }
        }
    }
}
