//! Originals: given out from an address that works once, or as a file to save.
//!
//! What always holds: nothing is spent before the browser has asked for the bytes; what is spent is spent by the command `view` alone;
//! the bytes pass through in pieces and are kept nowhere, but for the moment in which a picture is made of them; nothing that a browser shows of them runs.

use std::{io, sync::Arc, time::Instant};

use axum::{
    Extension, Form,
    body::{Body, Bytes},
    extract::{Path, State},
    http::{HeaderMap, HeaderValue, Method, StatusCode, header},
    response::{IntoResponse, Response},
};
use dos_protocol::{Code, WireError, control::Command, model::ImagePath};
use futures_util::stream;
use serde::Deserialize;
use tokio::{sync::mpsc, task::JoinHandle};

use super::{
    Gallery, address,
    answer::{Refusal, inert},
    limits::RENDERED_BYTES_MAX,
    perform,
    render::{Showing, rendered},
    sessions::Visitor,
    words,
};
use crate::commands::{Finished, GoAhead, NoUpload, Piece, perform as carry_out, sink};

/// An image, as a form names it.
#[derive(Debug, Deserialize)]
pub(super) struct Named {
    pub(super) owner: String,
    pub(super) name: String,
}

/// A view that runs. Dropped before it is spent, it is given up; afterwards it goes on, so that what was spent is given.
struct Viewing {
    task: JoinHandle<Result<Finished, WireError>>,
    go_ahead: GoAhead,
    pieces: mpsc::Receiver<Piece>,
    first: Option<Bytes>,
}

impl Drop for Viewing {
    fn drop(&mut self) {
        if !self.go_ahead.has_begun() {
            self.task.abort();
        }
    }
}

/// Begins a view, and returns once its first bytes are here.
///
/// # Errors
/// As `view`; then nothing was given.
async fn begin(gallery: &Arc<Gallery>, path: &ImagePath) -> Result<(Viewing, u64), WireError> {
    let (sink, pieces) = sink();
    let go_ahead = sink.go_ahead();
    let command = Command::View { image: address::arg(path), offline: false, asks: true };
    let services = Arc::clone(&gallery.services);
    let task =
        tokio::spawn(async move { Box::pin(carry_out(&services, command, &mut NoUpload, sink)).await });
    let mut viewing = Viewing { task, go_ahead, pieces, first: None };
    let mut size = 0;
    while let Some(piece) = viewing.pieces.recv().await {
        match piece {
            Piece::Ready(bytes, _) => {
                size = bytes;
                viewing.go_ahead.give();
            }
            Piece::Data(data) => {
                viewing.first = Some(data.into());
                return Ok((viewing, size));
            }
            _ => {}
        }
    }
    match (&mut viewing.task).await {
        Ok(Ok(_)) => Ok((viewing, size)),
        Ok(Err(error)) => Err(error),
        Err(_) => Err(WireError::new(Code::Internal, "the command failed")),
    }
}

/// The bytes as they come. If they do not all come, the connection breaks, so that nobody takes a part for the whole.
fn body(viewing: Viewing) -> Body {
    Body::from_stream(stream::unfold(Some(viewing), async |viewing| {
        let mut viewing = viewing?;
        match next(&mut viewing).await {
            Ok(piece) => piece.map(|piece| (Ok(piece), Some(viewing))),
            Err(_) => Some((Err(io::Error::other("the original did not come whole")), None)),
        }
    }))
}

/// The original, once.
pub(super) async fn show(
    State(gallery): State<Arc<Gallery>>,
    Extension(visitor): Extension<Visitor>,
    Path(ticket): Path<String>,
    (method, headers): (Method, HeaderMap),
) -> Result<Response, Refusal> {
    // The head alone would use up a picture that nobody gets.
    if method != Method::GET {
        return Err(Refusal::plain(StatusCode::METHOD_NOT_ALLOWED, "an original comes with its bytes"));
    }
    // An address that was opened by itself would spend a view on a page without anything around it.
    if headers.get("sec-fetch-dest").is_some_and(|for_what| for_what != "image") {
        return Err(Refusal::plain(StatusCode::FORBIDDEN, "an original is shown in its page alone"));
    }
    let Some(wanted) = gallery.sessions.take(&visitor, &ticket, Instant::now()) else {
        return Err(Refusal::plain(StatusCode::GONE, "this address works once, and has been used"));
    };
    let answer = match (begin(&gallery, &wanted.path).await, wanted.showing) {
        (Ok((viewing, size)), Showing::AsIs(kind)) => {
            let length = [(header::CONTENT_LENGTH, HeaderValue::from(size))];
            Ok((inert(kind), length, body(viewing)).into_response())
        }
        (Ok((viewing, size)), Showing::Rendered) => picture_of(&gallery, viewing, size).await,
        (Ok(_), Showing::File) => Err(WireError::new(Code::Invalid, "this can only be saved as a file")),
        (Err(error), _) => Err(error),
    };
    answer.map_err(|error| {
        gallery.sessions.fail(&visitor, &ticket, error.clone());
        error.into()
    })
}

/// A picture that is made of an original.
async fn picture_of(gallery: &Gallery, mut viewing: Viewing, size: u64) -> Result<Response, WireError> {
    let stops = |_| WireError::new(Code::Offline, "the daemon stops");
    let _turn = gallery.renderings.acquire().await.map_err(stops)?;
    let too_large =
        || WireError::new(Code::Invalid, "the original is too large to be shown: it can be saved as a file");
    // What comes is not believed to be as large as was said.
    let most = usize::try_from(size.min(RENDERED_BYTES_MAX)).map_err(|_| too_large())?;
    let mut original = Vec::new();
    while let Some(piece) = next(&mut viewing).await? {
        if original.len().saturating_add(piece.len()) > most {
            return Err(too_large());
        }
        original.extend_from_slice(&piece);
    }
    Ok((inert("image/jpeg"), rendered(original).await?).into_response())
}

/// The next bytes.
async fn next(viewing: &mut Viewing) -> Result<Option<Bytes>, WireError> {
    if let Some(first) = viewing.first.take() {
        return Ok(Some(first));
    }
    while let Some(piece) = viewing.pieces.recv().await {
        if let Piece::Data(data) = piece {
            return Ok(Some(data.into()));
        }
    }
    match (&mut viewing.task).await {
        Ok(outcome) => outcome.map(|_| None),
        Err(_) => Err(WireError::new(Code::Internal, "the command failed")),
    }
}

/// The original as a file to save.
pub(super) async fn download(
    State(gallery): State<Arc<Gallery>>,
    Form(Named { owner, name }): Form<Named>,
) -> Result<Response, Refusal> {
    let path = address::image((&owner, &name))?;
    let (_, image) = perform::image(&gallery, &path).await?;
    let (viewing, size) = begin(&gallery, &path).await?;
    let file = format!("{}{}", path.name, words::ending(image.original.format));
    // RFC 6266 with RFC 8187: any name, as bytes.
    let disposition = format!("attachment; filename*=UTF-8''{}", address::encoded(&file));
    let headers = [
        (header::CONTENT_LENGTH, HeaderValue::from(size)),
        (
            header::CONTENT_DISPOSITION,
            HeaderValue::try_from(disposition).unwrap_or(HeaderValue::from_static("attachment")),
        ),
    ];
    Ok((inert("application/octet-stream"), headers, body(viewing)).into_response())
}
