//! Adding pictures: by a form with many files, which a script sends one by one to show how far each is.
//!
//! What always holds: a file is sealed while it arrives and never written in the clear; nothing of a request is taken before it has shown
//! the session's secret.

use std::{path::Path, sync::Arc};

use axum::{
    Extension,
    extract::{Multipart, State, multipart::Field},
    http::{HeaderMap, StatusCode},
    response::{IntoResponse, Response},
};
use dos_protocol::{
    AlbumName, Code, Description, ImageName, WireError,
    control::{AddOptions, AlbumSummary, Command, Outcome},
    limits::DESCRIPTION_BYTES_MAX,
    model::Visibility,
};
use futures_util::future::BoxFuture;
use maud::{Markup, html};
use tokio::time::timeout;

use super::{field, go_on};
use crate::{
    commands::{Finished, Upload, perform, sink},
    gallery::{
        Gallery,
        answer::Refusal,
        guard::{CSRF_HEADER, is_csrf},
        limits::PIECE_TIME_MAX,
        page::{Page, Section, csrf, whole},
        perform::{ask, unexpected},
        sessions::Visitor,
        words,
    },
};

/// The bytes of a field that is no file.
const FIELD_BYTES_MAX: usize = 1024;

/// The page.
pub(super) async fn page(
    State(gallery): State<Arc<Gallery>>,
    Extension(visitor): Extension<Visitor>,
    headers: HeaderMap,
) -> Result<Response, Refusal> {
    let albums = match ask(&gallery, Command::Albums).await? {
        Outcome::Albums(albums) => albums,
        _ => return Err(unexpected().into()),
    };
    let page =
        Page { title: "Add pictures".into(), section: Section::Pictures, body: form(&visitor, &albums) };
    Ok(whole(&gallery, (&visitor, &headers), page).await?)
}

fn form(visitor: &Visitor, albums: &[AlbumSummary]) -> Markup {
    html! {
        h1 { "Add pictures" }
        form.fields #add method="post" action="/add" enctype="multipart/form-data" {
            (csrf(visitor))
            label { "Into album (not required)" input name="album" list="albums" maxlength="100" autocomplete="off"; }
            datalist #albums { @for album in albums { option value=(album.name) {} } }
            label.check { input type="checkbox" name="private" value="yes"; "Private: only those with a grant see it" }
            label.check { input type="checkbox" name="date" value="yes"; "Show others when it was taken, if its camera has written that down" }
            label.wide {
                "Description, for those who do not see the picture (not required; of several pictures each gets it)"
                input name="description" maxlength=(DESCRIPTION_BYTES_MAX) autocomplete="off";
            }
            label.drop.wide #drop {
                b { "Choose pictures, or drop them here" }
                span.hint { "They are sealed on this machine. Others get the name and a preview; the original only with a grant." }
                input #files type="file" name="file" multiple required;
            }
            button { "Add" }
        }
        ul.progress #progress aria-live="polite" {}
    }
}

/// What was said before the files.
#[derive(Debug, Default)]
struct Options {
    is_allowed: bool,
    album: Option<AlbumName>,
    description: Option<Description>,
    is_private: bool,
    keeps_date: bool,
}

/// A file as it arrives.
struct Arriving<'a, 'b>(&'a mut Field<'b>);

impl Upload for Arriving<'_, '_> {
    fn next(&mut self) -> BoxFuture<'_, Result<Option<Vec<u8>>, WireError>> {
        Box::pin(async move {
            let broken =
                |why: String| WireError::new(Code::Invalid, "the file did not arrive whole").caused_by(why);
            match timeout(PIECE_TIME_MAX, self.0.chunk()).await {
                Ok(Ok(chunk)) => Ok(chunk.map(|chunk| chunk.to_vec())),
                Ok(Err(error)) => Err(broken(error.to_string())),
                Err(_) => Err(broken("nothing came for a long time".into())),
            }
        })
    }

    // A page sends its files one after the other.
    fn turn(&mut self) -> BoxFuture<'_, Result<(), WireError>> {
        Box::pin(async { Ok(()) })
    }
}

/// Adds the files of a form.
pub(super) async fn add(
    State(gallery): State<Arc<Gallery>>,
    Extension(visitor): Extension<Visitor>,
    headers: HeaderMap,
    mut form: Multipart,
) -> Result<Response, Refusal> {
    let in_header = headers.get(CSRF_HEADER).and_then(|value| value.to_str().ok());
    let mut options = Options { is_allowed: is_csrf(&visitor, in_header), ..Options::default() };
    let (mut added, mut failed) = (Vec::new(), Vec::new());
    while let Some(mut part) = next(&mut form).await? {
        if part.name() != Some("file") {
            take(&mut options, &visitor, &mut part).await?;
            continue;
        }
        if !options.is_allowed {
            return Err(Refusal::plain(
                StatusCode::FORBIDDEN,
                "this form is of an earlier session: reload the page",
            ));
        }
        let file = part.file_name().unwrap_or_default().to_owned();
        if file.is_empty() {
            continue;
        }
        match Box::pin(one(&gallery, &options, (&file, &mut part))).await {
            Ok(name) => added.push(name),
            Err(error) => failed.push((file, error.message)),
        }
    }
    if in_header.is_some() {
        // A script shows it beside the file.
        return Ok(match (failed.first(), added.first()) {
            (Some((_, why)), _) => (StatusCode::UNPROCESSABLE_ENTITY, why.to_string()).into_response(),
            (None, Some(name)) => (StatusCode::OK, name.to_string()).into_response(),
            (None, None) => (StatusCode::UNPROCESSABLE_ENTITY, "no file came".to_owned()).into_response(),
        });
    }
    let number = u64::try_from(added.len()).unwrap_or(u64::MAX);
    let done = match &*failed {
        [] if added.is_empty() => Err(WireError::new(Code::Usage, "choose at least one file")),
        [] => Ok(format!("added {}", words::count(number, "picture"))),
        _ => {
            let message = format!("added {}, not {}", words::count(number, "picture"), failed.len());
            let failed: Vec<String> = failed.iter().map(|(file, why)| format!("{file}: {why}")).collect();
            Err(WireError::new(Code::Invalid, message).caused_by(failed.join("; ")))
        }
    };
    Ok(go_on(&gallery, &visitor, (if done.is_ok() { "/?of=mine" } else { "/add" }, done)))
}

async fn next(form: &mut Multipart) -> Result<Option<Field<'_>>, WireError> {
    let broken = |why: String| WireError::new(Code::Invalid, "the form did not arrive whole").caused_by(why);
    match timeout(PIECE_TIME_MAX, form.next_field()).await {
        Ok(part) => part.map_err(|error| broken(error.to_string())),
        Err(_) => Err(broken("nothing came for a long time".into())),
    }
}

/// Takes a field that is no file.
async fn take(options: &mut Options, visitor: &Visitor, part: &mut Field<'_>) -> Result<(), WireError> {
    let name = part.name().unwrap_or_default().to_owned();
    let mut bytes = Vec::new();
    let mut arriving = Arriving(part);
    while let Some(piece) = arriving.next().await? {
        if bytes.len().saturating_add(piece.len()) > FIELD_BYTES_MAX {
            return Err(WireError::new(Code::Invalid, "a field of the form is too long"));
        }
        bytes.extend(piece);
    }
    let text = String::from_utf8_lossy(&bytes);
    match (&*name, text.trim()) {
        ("csrf", text) => options.is_allowed |= is_csrf(visitor, Some(text)),
        ("album", "") => {}
        ("album", album) => options.album = Some(field("an album's name", album)?),
        ("description", "") => {}
        ("description", text) => options.description = Some(field("a description", text)?),
        ("private", "yes") => options.is_private = true,
        ("date", "yes") => options.keeps_date = true,
        _ => {}
    }
    Ok(())
}

async fn one(
    gallery: &Arc<Gallery>,
    options: &Options,
    (file, part): (&str, &mut Field<'_>),
) -> Result<ImageName, WireError> {
    let stem = Path::new(file).file_stem().and_then(|stem| stem.to_str()).unwrap_or(file);
    let name =
        ImageName::from_file_stem(stem).map_err(|error| WireError::new(Code::Invalid, error.to_string()))?;
    let visibility = options.is_private.then_some(Visibility::Private);
    let how = AddOptions { keep_date: options.keeps_date, ..AddOptions::default() };
    let command = match (visibility, &options.album, &options.description) {
        // As a directory of an older version knows it.
        (None, None, None) => Command::Add { name, replace: false, options: Some(how) },
        (visibility, album, description) => Command::AddAs {
            name,
            replace: false,
            options: how,
            visibility,
            album: album.clone(),
            description: description.clone(),
        },
    };
    let (sink, pieces) = sink();
    // It reports nothing before its end.
    drop(pieces);
    let Finished { outcome, then } =
        Box::pin(perform(&gallery.services, command, &mut Arriving(part), sink)).await?;
    if let Some(then) = then {
        then.shown(&gallery.services).await;
    }
    match outcome {
        Outcome::Image(image) | Outcome::Added { image, .. } => Ok(image.name),
        _ => Err(unexpected()),
    }
}
