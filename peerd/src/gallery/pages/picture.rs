//! One picture: the preview, whose it is, what one may do with it; of one's own, who may view it.

use std::sync::Arc;

use axum::{
    Extension,
    extract::{Path, State},
    http::HeaderMap,
    response::Response,
};
use dos_protocol::{
    Timestamp, WireError,
    control::{Command, Event, EventKind, Group, Outcome},
    limits::DESCRIPTION_BYTES_MAX,
    model::{AccessState, Allowance, Grant, GrantState, ImageInfo, ImagePath, PeerInfo, Visibility},
};
use maud::{Markup, html};

use crate::gallery::{
    Gallery, address,
    answer::Refusal,
    limits::{RECEIPTS_MAX, ROWS_MAX},
    page::{Page, Section, csrf, whole},
    perform::{ask, image, news, unexpected},
    sessions::Visitor,
    thumb::framed,
    words,
};

use super::view;

/// The page.
pub(in crate::gallery) async fn page(
    State(gallery): State<Arc<Gallery>>,
    Extension(visitor): Extension<Visitor>,
    Path((owner, name)): Path<(String, String)>,
    headers: HeaderMap,
) -> Result<Response, Refusal> {
    let path = address::image((&owner, &name))?;
    let (owner, image) = image(&gallery, &path).await?;
    let now = gallery.services.store.clock().now();
    let panel = match image.access {
        None => own(&gallery, &visitor, &image).await?,
        Some(_) => of_other(&visitor, &image, now),
    };
    let who = words::peer(owner.name.as_ref(), owner.id);
    let preview = &image.preview;
    let body = html! {
        article.picture {
            figure {
                (framed(&image, &html! {
                    img src=(address::of_image("preview", &path)) alt=(words::alternative(&image))
                        width=(preview.width.max(1)) height=(preview.height.max(1));
                }))
                figcaption.hint { "The preview. The original is " (words::facts(&image)) "." }
            }
            div.panel {
                h1 { (image.name) }
                (whose(&owner, &image, &who))
                @if let Some(taken) = image.taken_at() { p.facts { "Taken " (words::taken(taken)) } }
                @if let Some(text) = image.description() { p.described { (text) } }
                (panel)
            }
        }
    };
    let page = Page { title: image.name.to_string(), section: Section::Pictures, body };
    Ok(whole(&gallery, (&visitor, &headers), page).await?)
}

fn whose(owner: &PeerInfo, image: &ImageInfo, who: &str) -> Markup {
    html! {
        p.facts #owner data-live="presence" data-peer=(owner.id) {
            @if image.access.is_some() {
                span.dot.on[owner.online] aria-hidden="true" {}
                a href={ "/?of=" (owner.id) } { (who) } " · " @if owner.online { "online" } @else { "offline" }
            } @else { "Yours" }
            @if let Some(album) = image.album() {
                " · album " a href={ "/?of=" (owner.id) "&album=" (address::encoded(album.as_str())) } { (album) }
            }
            @if image.visibility == Visibility::Private { " · " span.label.private { "private" } }
        }
        @if image.signature.is_some_and(dos_protocol::record::SignatureState::is_bad) {
            p.error { "This is not what its owner has signed. Do not rely on it." }
        }
    }
}

fn of_other(visitor: &Visitor, image: &ImageInfo, now: Timestamp) -> Markup {
    let Some(access) = image.access else { return Markup::default() };
    let path = ImagePath { owner: image.owner, name: image.name.clone() };
    let (label, class) = words::access(Some(&access));
    let may = access.state == AccessState::Granted;
    html! {
        section #access data-live="grant decision removed request" data-image=(path) {
            h2 { "What you may do" }
            p.facts {
                span class={ "label big " (class) } { (label) }
                @if let Some(end) = access.expires_at.filter(|_| may) {
                    " until " time datetime=(end) { (words::moment(end)) } " (" (words::relative(end, now)) ")"
                }
            }
            @if may { p { a.button href=(address::of_image("view", &path)) { "View the original…" } } }
        }
        section {
            h2 { @if may { "Ask for more views" } @else { "Ask to view it" } }
            form.fields method="post" action="/request" {
                (csrf(visitor))
                input type="hidden" name="owner" value=(image.owner);
                input type="hidden" name="name" value=(image.name);
                label { "Views" input type="number" name="views" value="3" min="1" max="1000000000" required; }
                label.wide { "A word to the owner (not required)" input name="note" maxlength="500" autocomplete="off"; }
                button.plain[may] { "Ask" }
            }
        }
    }
}

async fn own(gallery: &Arc<Gallery>, visitor: &Visitor, image: &ImageInfo) -> Result<Markup, WireError> {
    let path = ImagePath { owner: image.owner, name: image.name.clone() };
    let grants = match ask(gallery, Command::Shares { given: true, received: false }).await? {
        Outcome::Grants { given, .. } => given,
        _ => return Err(unexpected()),
    };
    let grants: Vec<Grant> = grants.into_iter().filter(|grant| grant.path == path).take(ROWS_MAX).collect();
    let groups = match ask(gallery, Command::Groups).await? {
        Outcome::Groups(groups) => groups,
        _ => return Err(unexpected()),
    };
    let is_of_it =
        |event: &Event| matches!(&event.what, EventKind::Viewed { grant, .. } if grant.path == path);
    let receipts: Vec<Event> =
        news(gallery, false).await?.into_iter().rev().filter(is_of_it).take(RECEIPTS_MAX).collect();
    let now = gallery.services.store.clock().now();
    Ok(html! {
        (view::buttons(visitor, image))
        section #grants data-live="grant viewed" data-image=(path) {
            h2 { "Who may view it" }
            @if grants.is_empty() { p.hint { "No one but you." } }
            @else { (table(visitor, (&path, &grants), now)) }
        }
        section #receipts data-live="viewed" data-image=(path) {
            @if !receipts.is_empty() {
                h2 { "Views of late" }
                ul.receipts { @for event in &receipts { (receipt(event, now)) } }
            }
        }
        section { h2 { "Share it" } (share(visitor, &path, &groups)) }
        section { h2 { "Settings" } (settings(visitor, image)) }
    })
}

fn receipt(event: &Event, now: Timestamp) -> Markup {
    html! {
        li {
            @if let EventKind::Viewed { views, kind, grant } = &event.what {
                b { (words::peer(grant.viewer_name.as_ref(), grant.viewer)) } " " (words::viewing((*views).into(), *kind))
            }
            ", " time datetime=(event.at) title=(words::moment(event.at)) { (words::relative(event.at, now)) }
        }
    }
}

fn table(visitor: &Visitor, (path, grants): (&ImagePath, &[Grant]), now: Timestamp) -> Markup {
    html! {
        div.scroll tabindex="0" {
            table {
                thead { tr { th scope="col" { "Peer" } th scope="col" { "Left" } th scope="col" { "Used" } th scope="col" { "State" } th scope="col" { "Change" } } }
                tbody { @for grant in grants { (row(visitor, (path, grant), now)) } }
            }
        }
    }
}

fn row(visitor: &Visitor, (path, grant): (&ImagePath, &Grant), now: Timestamp) -> Markup {
    let who = words::peer(grant.viewer_name.as_ref(), grant.viewer);
    let state = grant.state_at(now);
    let form = |what: &str, body: &Markup| {
        html! {
            form.inline method="post" action="/share" {
                (csrf(visitor))
                input type="hidden" name="name" value=(path.name);
                input type="hidden" name="to" value=(grant.viewer);
                input type="hidden" name="what" value=(what);
                (body)
            }
        }
    };
    html! {
        tr {
            th scope="row" { (who) }
            td { @match grant.views_left { Allowance::Unlimited => "unlimited", Allowance::Views(left) => (left) } }
            td { (grant.views_used) @if grant.returned > 0 { " (" (grant.returned) " returned)" } }
            td {
                (words::grant(state))
                @if let (GrantState::Active, Some(end)) = (state, grant.expires_at) { ", ends " (words::relative(end, now)) }
            }
            td { div.change {
                (form("add", &html! {
                    input.small type="number" name="views" value="1" min="1" max="1000000000" required aria-label={ "Views to add for " (who) };
                    button.plain { "Add" }
                }))
                @if state != GrantState::Revoked {
                    (form("revoke", &html! { button.plain.danger aria-label={ "Revoke the grant of " (who) } { "Revoke" } }))
                }
            } }
        }
    }
}

fn share(visitor: &Visitor, path: &ImagePath, groups: &[Group]) -> Markup {
    html! {
        form.fields method="post" action="/share" {
            (csrf(visitor))
            input type="hidden" name="name" value=(path.name);
            label.wide { "With" input name="to" required autocomplete="off" placeholder="bob, carol, @family" list="groups" maxlength="1000"; }
            datalist #groups { @for group in groups { option value={ "@" (group.name) } {} } }
            label { "Views"
                select name="what" {
                    option value="set" { "this many" } option value="unlimited" { "unlimited" }
                }
            }
            label { "How many" input type="number" name="views" value="3" min="1" max="1000000000"; }
            label { "Expires"
                select name="expires" {
                    option value="" { "as it is, or never" } option value="1h" { "in an hour" } option value="1d" { "in a day" }
                    option value="7d" { "in a week" } option value="30d" { "in 30 days" }
                }
            }
            label.check { input type="checkbox" name="offline" value="yes"; "May take views along (checkout)" }
            button { "Share" }
        }
    }
}

fn settings(visitor: &Visitor, image: &ImageInfo) -> Markup {
    let is_private = image.visibility == Visibility::Private;
    html! {
        form.fields method="post" action="/set" {
            (csrf(visitor))
            input type="hidden" name="name" value=(image.name);
            label { "Who sees name and preview"
                select name="visibility" {
                    option value="listed" selected[!is_private] { "every peer" }
                    option value="private" selected[is_private] { "those with a grant" }
                }
            }
            label.wide { "Description, for those who do not see the picture"
                textarea name="description" rows="2" maxlength=(DESCRIPTION_BYTES_MAX) placeholder="What is to be seen on it, in a sentence or two" {
                    @if let Some(text) = image.description() { (text) }
                }
            }
            label { "Album" input name="album" value=(image.album().map(dos_protocol::AlbumName::as_str).unwrap_or_default()) maxlength="100" autocomplete="off"; }
            button.plain { "Save" }
        }
        form.inline method="post" action="/remove" data-confirm={ "Remove " (image.name) " from the directory and from this machine? Every grant to it ends." } {
            (csrf(visitor))
            input type="hidden" name="name" value=(image.name);
            label.check { input type="checkbox" name="sure" value="yes" required; "Remove it, with every grant to it" }
            button.plain.danger { "Remove" }
        }
    }
}
