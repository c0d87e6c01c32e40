//! Numbers, moments and states in words.

use std::time::Duration;

use dos_protocol::{
    Allowance, PeerId, PeerName, TakenAt, Timestamp,
    control::SessionState,
    directory::ViewedKind,
    model::{Access, AccessState, Format, GrantState, ImageInfo},
};

/// `1 view`, `2 views`.
pub(super) fn count(number: u64, one: &str) -> String {
    if number == 1 { format!("1 {one}") } else { format!("{number} {one}s") }
}

/// `no views left`, `1 view left`, `unlimited views`.
pub(super) fn views_left(views: Allowance) -> String {
    match views {
        Allowance::Unlimited => "unlimited views".into(),
        Allowance::Views(0) => "no views left".into(),
        Allowance::Views(views) => format!("{} left", count(views.into(), "view")),
    }
}

/// A peer's name, or its ID if it has none.
pub(super) fn peer(name: Option<&PeerName>, id: PeerId) -> String {
    name.map_or_else(|| id.to_string(), PeerName::to_string)
}

fn span(duration: Duration) -> String {
    let seconds = duration.as_secs();
    match seconds {
        0..60 => count(seconds, "second"),
        60..3600 => count(seconds / 60, "minute"),
        3600..86_400 => count(seconds / 3600, "hour"),
        _ => count(seconds / 86_400, "day"),
    }
}

/// `5 minutes ago`, `in 6 days`, `just now`.
pub(super) fn relative(at: Timestamp, now: Timestamp) -> String {
    if at > now.after(Duration::from_secs(1)) {
        format!("in {}", span(at.since(now)))
    } else if now.since(at) < Duration::from_secs(5) {
        "just now".into()
    } else {
        format!("{} ago", span(now.since(at)))
    }
}

/// A moment to the second, in UTC.
pub(super) fn moment(at: Timestamp) -> String {
    let text = at.to_string();
    text.split_once('.').map_or(text.clone(), |(seconds, _)| format!("{} UTC", seconds.replace('T', " ")))
}

/// How the session to the directory stands.
pub(super) fn session(state: SessionState) -> &'static str {
    match state {
        SessionState::Unregistered => "not registered",
        SessionState::Offline => "offline",
        SessionState::Connecting => "connecting",
        SessionState::Online => "online",
    }
}

/// What one may do with an image, in a few words, and the class of the label.
pub(super) fn access(access: Option<&Access>) -> (String, &'static str) {
    let Some(access) = access else { return ("yours".into(), "own") };
    match access.state {
        AccessState::None => ("ask to view".into(), "none"),
        AccessState::Requested => ("requested".into(), "asked"),
        AccessState::Granted if access.offer => {
            (format!("offered, {}", views_left(access.views_left)), "granted")
        }
        AccessState::Granted => (views_left(access.views_left), "granted"),
        AccessState::Denied => ("request denied".into(), "refused"),
        AccessState::Revoked => ("revoked".into(), "refused"),
        AccessState::Expired => ("expired".into(), "refused"),
        AccessState::UsedUp => ("all views used".into(), "refused"),
    }
}

/// What somebody did with views.
pub(super) fn viewing(views: u64, kind: ViewedKind) -> String {
    let views = count(views, "view");
    match kind {
        ViewedKind::View => "viewed it".into(),
        ViewedKind::Checkout => format!("took {views} along"),
        ViewedKind::Checkin => format!("gave back {views}"),
        ViewedKind::GivenUp => format!("gave up {views}"),
    }
}

/// How a grant stands.
pub(super) fn grant(state: GrantState) -> &'static str {
    match state {
        GrantState::Active => "active",
        GrantState::UsedUp => "used up",
        GrantState::Expired => "expired",
        GrantState::Revoked => "revoked",
    }
}

/// Format, size in pixels and in bytes.
pub(super) fn facts(image: &ImageInfo) -> String {
    let original = &image.original;
    let format = original.format.as_str().to_uppercase();
    let bytes = dos_protocol::size::format_size(original.bytes);
    match original.size() {
        Some((width, height)) => format!("{format}, {width} × {height} pixels, {bytes}"),
        None => format!("{format}, {bytes}"),
    }
}

/// When a picture was taken, by the clock of its camera, and that clock's zone if it is known.
pub(super) fn taken(at: TakenAt) -> String {
    match at.zone() {
        Some(zone) => format!("{} (UTC{zone})", at.clock()),
        None => at.clock(),
    }
}

/// What is said of a picture to those who do not see it.
pub(super) fn alternative(image: &ImageInfo) -> String {
    image.description().map_or_else(|| format!("Preview of {}", image.name), ToString::to_string)
}

/// The media type of what browsers show by themselves; nothing for other formats.
pub(super) fn shown_as(format: Format) -> Option<&'static str> {
    match format {
        Format::Jpeg => Some("image/jpeg"),
        Format::Png => Some("image/png"),
        Format::WebP => Some("image/webp"),
        Format::Gif => Some("image/gif"),
        Format::Bmp => Some("image/bmp"),
        Format::Ico => Some("image/x-icon"),
        Format::Avif => Some("image/avif"),
        Format::Svg => Some("image/svg+xml"),
        _ => None,
    }
}

/// The ending of a file of this format, with its dot.
pub(super) fn ending(format: Format) -> String {
    match format {
        Format::Jpeg => ".jpg".into(),
        Format::Tiff => ".tif".into(),
        Format::Raw | Format::Other | Format::Unknown => String::new(),
        other => format!(".{}", other.as_str()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn views_and_moments_are_told_as_people_do() {
        let left = |views| views_left(Allowance::Views(views));
        assert_eq!([left(0), left(1), left(2)], ["no views left", "1 view left", "2 views left"]);
        let now = Timestamp(1_700_000_000_000);
        assert_eq!(relative(now.before(Duration::from_secs(61)), now), "1 minute ago");
        assert_eq!(relative(now.after(Duration::from_secs(86_400)), now), "in 1 day");
        assert_eq!(moment(now), "2023-11-14 22:13:20 UTC");
    }

    #[test]
    fn what_a_browser_cannot_show_is_not_shown() {
        assert_eq!(shown_as(Format::Jpeg), Some("image/jpeg"));
        for format in [Format::Tiff, Format::Heic, Format::Raw, Format::Pdf, Format::Other, Format::Unknown] {
            assert_eq!(shown_as(format), None, "{format:?}");
        }
    }
}
