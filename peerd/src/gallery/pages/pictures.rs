//! The grid of all pictures that one may see: of everybody, of one peer, one's own, of an album, or those that are searched for; the
//! newest first, or by peer and name.

use std::{sync::Arc, time::Duration};

use axum::{
    Extension,
    extract::{Query, State},
    http::HeaderMap,
    response::Response,
};
use dos_protocol::{
    Code, ImageNo, PeerId, Timestamp, WireError,
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
    perform::{Listing, list, newest},
    sessions::Visitor,
    thumb::framed,
    words,
};

/// What is looked for.
#[derive(Debug, Clone, Default, Deserialize)]
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
    /// Added on this day (UTC, `2026-11-30`) or later.
    #[serde(default)]
    from: String,
    /// Added on this day or earlier.
    #[serde(default)]
    until: String,
    /// `name`: by peer and name; else the newest first.
    #[serde(default)]
    sort: String,
    /// Where the last page ended.
    #[serde(default)]
    after: String,
}

const DAY: Duration = Duration::from_secs(86_400);

/// When pictures that are wanted were added.
#[derive(Debug, Clone, Copy)]
struct Days {
    from: Option<Timestamp>,
    before: Option<Timestamp>,
}

impl Days {
    /// An earlier directory does not tell when an image was added: such a one is of no day.
    fn have(self, image: &ImageInfo) -> bool {
        let from = self.from.is_none_or(|from| image.added_at.is_some_and(|at| at >= from));
        from && self.before.is_none_or(|before| image.added_at.is_some_and(|at| at < before))
    }
}

/// Where a page ends.
enum Place {
    Name(Cursor),
    Age(ImageNo),
}

impl Place {
    fn text(&self) -> String {
        match self {
            Self::Name(cursor) => address::of_cursor(cursor),
            Self::Age(no) => no.0.to_string(),
        }
    }
}

/// A picture and its owner, without the owner's other pictures.
struct Found {
    owner: Arc<PeerInfo>,
    image: ImageInfo,
}

/// A page of what was found.
#[derive(Default)]
struct Results {
    found: Vec<Found>,
    next: Option<Place>,
    is_old: bool,
}

impl Results {
    /// Takes what is wanted of a part of a listing, and how much was looked through; whether the page is full.
    fn take(&mut self, peers: Vec<PeerInfo>, (search, days): (&Search, Days)) -> (usize, bool) {
        let mut looked = 0_usize;
        for mut peer in peers {
            let images = std::mem::take(&mut peer.images);
            looked = looked.saturating_add(images.len().max(1));
            let owner = Arc::new(peer);
            for image in images.into_iter().filter(|image| search.matches(image) && days.have(image)) {
                self.found.push(Found { owner: Arc::clone(&owner), image });
                if self.found.len() >= PICTURES_PER_PAGE {
                    return (looked, true);
                }
            }
        }
        (looked, false)
    }
}

impl Search {
    fn is_filter(&self) -> bool {
        [&self.q, &self.album, &self.from, &self.until].into_iter().any(|field| !field.trim().is_empty())
    }

    /// Between which moments the pictures were added, the second one not among them.
    fn days(&self) -> Result<Days, WireError> {
        let begin = |day: &str| match day.trim() {
            "" => Ok(None),
            day => Timestamp::of_day(day).map(Some).ok_or_else(|| {
                WireError::new(Code::Invalid, format!("\"{day}\" is not a day such as 2026-11-30"))
            }),
        };
        Ok(Days { from: begin(&self.from)?, before: begin(&self.until)?.map(|day| day.after(DAY)) })
    }

    /// Whose pictures are wanted.
    fn whose(&self) -> Result<(Option<PeerRef>, bool), WireError> {
        match &*self.of {
            "" => Ok((None, false)),
            "mine" => Ok((None, true)),
            of => {
                let peer = of.parse::<PeerRef>().map_err(|error| {
                    WireError::new(Code::Invalid, format!("\"{of}\" names no peer"))
                        .caused_by(error.to_string())
                });
                peer.map(|peer| (Some(peer), false))
            }
        }
    }

    fn is_by_name(&self) -> bool {
        self.sort == "name"
    }

    fn limit(&self) -> u32 {
        if self.is_filter() { SEARCHED_AT_ONCE } else { PAGE_DEFAULT }
    }

    fn matches(&self, image: &ImageInfo) -> bool {
        let (wanted, album) = (self.q.trim().to_lowercase(), self.album.trim());
        let album_of = || image.album().map(dos_protocol::AlbumName::as_str);
        (wanted.is_empty() || image.name.as_str().to_lowercase().contains(&wanted))
            && (album.is_empty() || album_of() == Some(album))
    }

    /// The address of the page that begins at `after`.
    fn address(&self, after: &str) -> String {
        self.address_by(&self.sort, after)
    }

    /// The same in another order.
    fn address_by(&self, sort: &str, after: &str) -> String {
        let fields = [
            ("q", &*self.q),
            ("of", &self.of),
            ("album", &self.album),
            ("from", &self.from),
            ("until", &self.until),
            ("sort", sort),
            ("after", after),
        ];
        let fields = fields.into_iter().filter(|(_, value)| !value.is_empty());
        let fields: Vec<String> =
            fields.map(|(name, value)| format!("{name}={}", address::encoded(value))).collect();
        if fields.is_empty() { "/".into() } else { format!("/?{}", fields.join("&")) }
    }
}

/// Looks through the listing until there is a page, or enough was looked through.
async fn search(gallery: &Arc<Gallery>, search: &Search) -> Result<Results, WireError> {
    if !search.is_by_name()
        && let Some(results) = newest_first(gallery, search).await?
    {
        return Ok(results);
    }
    by_name(gallery, search).await
}

/// The newest first; nothing if the directory cannot say which those are.
async fn newest_first(gallery: &Arc<Gallery>, search: &Search) -> Result<Option<Results>, WireError> {
    let (whose, days) = (search.whose()?, search.days()?);
    let mut before = search.after.parse().ok().map(ImageNo);
    let (mut results, mut looked) = (Results::default(), 0_usize);
    loop {
        let Some((peers, next)) = newest(gallery, whose.clone(), (before, search.limit())).await? else {
            return Ok(None);
        };
        let (more, is_full) = results.take(peers, (search, days));
        looked = looked.saturating_add(more);
        if is_full {
            let last = results.found.last().map(|last| last.image.no);
            // The last picture of all may be the last of a page.
            let goes_on = next.is_some() || last > next;
            results.next = last.filter(|_| goes_on).map(Place::Age);
            return Ok(Some(results));
        }
        if next.is_none() || looked >= SEARCHED_MAX {
            results.next = next.map(Place::Age);
            return Ok(Some(results));
        }
        before = next;
    }
}

/// By peer and name.
async fn by_name(gallery: &Arc<Gallery>, search: &Search) -> Result<Results, WireError> {
    let ((peer, mine), days) = (search.whose()?, search.days()?);
    let after = address::cursor(&search.after);
    let mut query = ListQuery { peer, mine, after, limit: Some(search.limit()), ..ListQuery::default() };
    let (mut results, mut looked) = (Results::default(), 0_usize);
    loop {
        let Listing { peers, next, is_old } = list(gallery, query.clone()).await?;
        results.is_old |= is_old;
        let (more, is_full) = results.take(peers, (search, days));
        looked = looked.saturating_add(more);
        if is_full {
            let place =
                |last: &Found| Cursor { peer: last.image.owner, image: Some(last.image.name.clone()) };
            results.next = results.found.last().map(place).map(Place::Name);
            return Ok(results);
        }
        if next.is_none() || looked >= SEARCHED_MAX {
            results.next = next.map(Place::Name);
            return Ok(results);
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
        None => Ok(Results::default()),
    };
    let (result, error) = match result {
        Ok(result) => (result, None),
        // The page stands, so that something else can be looked for.
        Err(error) => (Results::default(), Some(error)),
    };
    let body = html! {
        (tools(&wanted))
        div #pictures data-live="grant added replaced renamed removed decision named left presence" {
            @if let Some(error) = &error { (crate::gallery::answer::explained(error)) }
            @if result.is_old { p.hint { "This is what the directory showed last." } }
            @if result.found.is_empty() && error.is_none() { (nothing(&wanted)) }
            ul.grid #grid { @for found in &result.found { (tile(found, me)) } }
            @if let Some(next) = &result.next {
                p.more { a.button #more rel="next" href=(wanted.address(&next.text())) { "More pictures" } }
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
            @if !wanted.sort.is_empty() { input type="hidden" name="sort" value=(wanted.sort); }
            details.days open[!(wanted.from.is_empty() && wanted.until.is_empty())] {
                summary { "Dates" }
                label { "Added from " input type="date" name="from" value=(wanted.from); }
                label { "until " input type="date" name="until" value=(wanted.until); }
            }
            button.plain { "Search" }
            span.tabs {
                a href="/" aria-current=[wanted.of.is_empty().then_some("true")] { "Everyone" }
                a href="/?of=mine" aria-current=[(wanted.of == "mine").then_some("true")] { "Mine" }
                @if !wanted.of.is_empty() && wanted.of != "mine" {
                    a href=(wanted.address("")) aria-current="true" { (wanted.of) }
                }
                @if !wanted.album.is_empty() {
                    a href=(Search { album: String::new(), after: String::new(), ..wanted.clone() }.address(""))
                        aria-current="true" { "Album " (wanted.album) " " span aria-label="leave the album" { "×" } }
                }
            }
            span.sort {
                "Sort: "
                @if wanted.is_by_name() { a href=(wanted.address_by("", "")) { "newest" } " · " b { "name" } }
                @else { b { "newest" } " · " a href=(wanted.address_by("name", "")) { "name" } }
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
    let about = image.description().map(|text| format!(": {text}")).unwrap_or_default();
    let alt = if is_mine {
        format!("{}, yours{about}", image.name)
    } else {
        format!("{} of {who}{about}", image.name)
    };
    html! {
        li {
            a href=(address::of_image("picture", &path)) {
                (framed(image, &html! {
                    img src=(address::of_image("preview", &path)) alt=(alt) loading="lazy" decoding="async"
                        width=(image.preview.width.max(1)) height=(image.preview.height.max(1));
                }))
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
