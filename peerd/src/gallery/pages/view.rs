//! Looking at an original: the question before a view is spent, and the page that shows it.

use std::{sync::Arc, time::Instant};

use axum::{
    Extension, Form,
    extract::{Path, State},
    http::{HeaderMap, StatusCode},
    response::Response,
};
use dos_preview::SCALED_PIXELS_MAX;
use dos_protocol::{
    Allowance, Code, WireError,
    control::Command,
    model::{AccessState, ImageInfo, ImagePath},
};
use maud::{Markup, html};

use crate::gallery::{
    Gallery, address,
    answer::{Refusal, explained, html_response, see},
    original::Named,
    page::{self, Page, Section, bare, csrf},
    perform::{ask as ask_peerd, image},
    render::{Showing, showing},
    sessions::{TicketState, Visitor, Wanted},
    words,
};

/// What is spent, in words.
fn price(image: &ImageInfo) -> String {
    match image.access.map(|access| access.views_left) {
        None => "The picture is yours: looking at it costs nothing.".into(),
        Some(Allowance::Unlimited) => "You have unlimited views; this one is counted, too.".into(),
        Some(Allowance::Views(1)) => "This uses your last view.".into(),
        Some(Allowance::Views(left)) => {
            format!(
                "This uses 1 of {left} views; {} afterwards.",
                words::views_left(Allowance::Views(left.saturating_sub(1)))
            )
        }
    }
}

/// The buttons that show and save an original. Each spends a view of another's picture.
pub(in crate::gallery) fn buttons(visitor: &Visitor, image: &ImageInfo) -> Markup {
    let form = |action: &str, class: &str, text: &str| {
        html! {
            form method="post" action=(action) {
                (csrf(visitor))
                input type="hidden" name="owner" value=(image.owner);
                input type="hidden" name="name" value=(image.name);
                button class=(class) { (text) }
            }
        }
    };
    let showing = showing(image);
    let is_shown = showing != Showing::File;
    let format = image.original.format.as_str().to_uppercase();
    html! {
        div.row {
            @if is_shown { (form("/view", "", "Show the picture")) }
            (form("/download", if is_shown { "plain" } else { "" }, "Save it as a file"))
        }
        @match showing {
            Showing::AsIs(_) => {}
            Showing::Rendered => p.hint {
                "Browsers do not show " (format) ": you get a picture that is made of it here, of up to " (SCALED_PIXELS_MAX)
                " pixels. The file has all of it."
            }
            Showing::File => p.hint { "Browsers do not show " (format) ": it can be saved as a file." }
        }
    }
}

/// The question before a view is spent.
pub(in crate::gallery) async fn ask(
    State(gallery): State<Arc<Gallery>>,
    Extension(visitor): Extension<Visitor>,
    Path((owner, name)): Path<(String, String)>,
    headers: HeaderMap,
) -> Result<Response, Refusal> {
    let path = address::image((&owner, &name))?;
    let (owner, image) = image(&gallery, &path).await?;
    let may = image.access.is_none_or(|access| access.state == AccessState::Granted);
    let back = address::of_image("picture", &path);
    let body = html! {
        div.narrow.card {
            h1 { (image.name) }
            @if !may { p.error { "You may not view this picture now." } }
            @else {
                p { "By " (words::peer(owner.name.as_ref(), owner.id)) " · " (words::facts(&image)) }
                p.price { (price(&image)) }
                @if image.access.is_some() {
                    p.hint { "A view is counted before the picture comes, and shows it once. It stays in this window until you leave the page." }
                    @if !owner.online { p.hint { "The owner is offline: it works only if the sealed copy is here already. If not, nothing is used." } }
                }
                (buttons(&visitor, &image))
            }
            p { a href=(back) { "Back, without using a view" } }
        }
    };
    let page = Page { title: format!("View {}", image.name), section: Section::Pictures, body };
    Ok(page::whole(&gallery, (&visitor, &headers), page).await?)
}

/// Makes a one-time address. Nothing is spent yet; what can go wrong before that, goes wrong here.
pub(in crate::gallery) async fn view(
    State(gallery): State<Arc<Gallery>>,
    Extension(visitor): Extension<Visitor>,
    Form(Named { owner, name }): Form<Named>,
) -> Result<Response, Refusal> {
    let path = address::image((&owner, &name))?;
    let (_, image) = image(&gallery, &path).await?;
    let showing = showing(&image);
    if showing == Showing::File {
        return Err(
            WireError::new(Code::Invalid, "browsers do not show this format: save it as a file").into()
        );
    }
    let is_own = image.access.is_none();
    if !is_own {
        ask_peerd(&gallery, Command::Fetch(address::arg(&path))).await?;
    }
    let wanted = Wanted { path, showing, is_own };
    let ticket = gallery.sessions.ticket(&visitor, wanted)?;
    Ok(see(&format!("/show/{ticket}")))
}

/// The page that shows an original, once.
pub(in crate::gallery) async fn show(
    State(gallery): State<Arc<Gallery>>,
    Extension(visitor): Extension<Visitor>,
    Path(ticket): Path<String>,
) -> Result<Response, Refusal> {
    let Some((wanted, state)) = gallery.sessions.look(&visitor, &ticket, Instant::now()) else {
        return Err(WireError::new(Code::NotFound, "there is nothing to show").into());
    };
    let back = address::of_image("picture", &wanted.path);
    let body = match state {
        TicketState::Open => viewer(&visitor, &wanted, (&ticket, &back)),
        TicketState::Used => over(
            &wanted.path,
            &back,
            &html! { p { "The picture was shown here once. What was shown is gone." } },
        ),
        TicketState::Failed(error) => over(&wanted.path, &back, &explained(&error)),
    };
    Ok(html_response(StatusCode::OK, &bare(wanted.path.name.as_str(), &body)))
}

fn over(path: &ImagePath, back: &str, what: &Markup) -> Markup {
    html! {
        main.narrow {
            h1 { (path.name) }
            (what)
            p { a.button href=(back) { "Back to the picture" } }
        }
    }
}

fn viewer(visitor: &Visitor, wanted: &Wanted, (ticket, back): (&str, &str)) -> Markup {
    html! {
        main.viewer #viewer data-csrf=(visitor.csrf) data-path=(wanted.path) {
            h1.visually-hidden { (wanted.path.name) }
            p.bar {
                a.button.plain href=(back) #close { "Close" }
                span.name { (wanted.path.name) }
                span.keys hidden {
                    button.plain #zoom type="button" aria-pressed="false" { "Actual size" }
                    button.plain #full type="button" { "Full screen" }
                }
            }
            div.stage #stage tabindex="0" aria-label="The picture; arrow keys move it when it is larger than the window" {
                img #original src={ "/original/" (ticket) } alt=(wanted.path.name);
            }
            p.error #failed hidden role="alert" {
                "The picture did not come. " a href={ "/show/" (ticket) } { "Why?" }
            }
            noscript { p.bar { a href={ "/show/" (ticket) } { "If there is no picture: why?" } } }
        }
    }
}
