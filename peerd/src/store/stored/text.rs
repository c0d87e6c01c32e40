//! Words that stand in rows and columns. They stay as they are, whatever the protocol calls the same things.

use dos_protocol::{
    PeerName,
    directory::{Delivery, RequestState},
    model::Format,
};

use crate::store::Error;

/// A name as it is stored.
pub(super) fn text_of(name: Option<&PeerName>) -> Option<String> {
    name.map(ToString::to_string)
}

/// A name as it was stored.
///
/// # Errors
/// [`Error::Damaged`].
pub(in crate::store) fn peer_name(text: Option<String>) -> Result<Option<PeerName>, Error> {
    text.map(|text| text.parse().map_err(|_| Error::Damaged("peer name"))).transpose()
}

pub(super) fn format_text(format: Format) -> &'static str {
    match format {
        Format::Jpeg => "jpeg",
        Format::Png => "png",
        Format::WebP => "webp",
        Format::Gif => "gif",
        Format::Tiff => "tiff",
        Format::Bmp => "bmp",
        Format::Qoi => "qoi",
        Format::Pnm => "pnm",
        Format::Tga => "tga",
        Format::Ico => "ico",
        Format::Jxl => "jxl",
        Format::Avif => "avif",
        Format::Heic => "heic",
        Format::Svg => "svg",
        Format::Psd => "psd",
        Format::Raw => "raw",
        Format::Pdf => "pdf",
        Format::Jp2 => "jp2",
        Format::Exr => "exr",
        Format::Hdr => "hdr",
        Format::Dds => "dds",
        Format::Xcf => "xcf",
        Format::Djvu => "djvu",
        Format::Eps => "eps",
        Format::Other => "other",
        Format::Unknown => "unknown",
    }
}

pub(super) fn format(text: &str) -> Format {
    match text {
        "jpeg" => Format::Jpeg,
        "png" => Format::Png,
        "webp" => Format::WebP,
        "gif" => Format::Gif,
        "tiff" => Format::Tiff,
        "bmp" => Format::Bmp,
        "qoi" => Format::Qoi,
        "pnm" => Format::Pnm,
        "tga" => Format::Tga,
        "ico" => Format::Ico,
        "jxl" => Format::Jxl,
        "avif" => Format::Avif,
        "heic" => Format::Heic,
        "svg" => Format::Svg,
        "psd" => Format::Psd,
        "raw" => Format::Raw,
        "pdf" => Format::Pdf,
        "jp2" => Format::Jp2,
        "exr" => Format::Exr,
        "hdr" => Format::Hdr,
        "dds" => Format::Dds,
        "xcf" => Format::Xcf,
        "djvu" => Format::Djvu,
        "eps" => Format::Eps,
        "other" => Format::Other,
        _ => Format::Unknown,
    }
}

pub(super) fn request_state_text(state: RequestState) -> &'static str {
    match state {
        RequestState::Pending => "pending",
        RequestState::Approved => "approved",
        RequestState::Denied => "denied",
        RequestState::Cancelled => "cancelled",
    }
}

pub(super) fn request_state(text: &str) -> Option<RequestState> {
    Some(match text {
        "pending" => RequestState::Pending,
        "approved" => RequestState::Approved,
        "denied" => RequestState::Denied,
        "cancelled" => RequestState::Cancelled,
        _ => return None,
    })
}

/// How a request for contact stands, as its column has it. It is never cancelled.
pub(in crate::store) fn contact_state_text(state: RequestState) -> &'static str {
    match state {
        RequestState::Pending => "pending",
        RequestState::Approved => "approved",
        RequestState::Denied | RequestState::Cancelled => "denied",
    }
}

/// See [`contact_state_text`].
///
/// # Errors
/// [`Error::Damaged`].
pub(in crate::store) fn contact_state(text: &str) -> Result<RequestState, Error> {
    request_state(text).ok_or(Error::Damaged("request for contact"))
}

/// How far a sent message got, as its column has it.
pub(in crate::store) fn delivery_text(delivery: Delivery) -> &'static str {
    match delivery {
        Delivery::Delivered => "delivered",
        Delivery::Queued => "queued",
    }
}

/// See [`delivery_text`].
///
/// # Errors
/// [`Error::Damaged`].
pub(in crate::store) fn delivery(text: &str) -> Result<Delivery, Error> {
    match text {
        "delivered" => Ok(Delivery::Delivered),
        "queued" => Ok(Delivery::Queued),
        _ => Err(Error::Damaged("message")),
    }
}
