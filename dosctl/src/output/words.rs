//! Sizes, numbers of views and moments in words.

use std::{env, fs::File, io::Read as _, sync::OnceLock, time::Duration};

pub(crate) use dos_protocol::size::format_size as size;
use dos_protocol::{
    Allowance, PeerId, PeerName, Timestamp,
    control::{How, Netcheck, Way},
    model::SessionEnd,
};
use jiff::tz::TimeZone;

/// `1 view`, `2 views`.
#[must_use]
pub(crate) fn count(number: u64, one: &str) -> String {
    if number == 1 { format!("1 {one}") } else { format!("{number} {one}s") }
}

/// `no views left`, `1 view left`, `2 views left`, `unlimited views`.
#[must_use]
pub(crate) fn views_left(views: Allowance) -> String {
    match views {
        Allowance::Unlimited => "unlimited views".into(),
        Allowance::Views(0) => "no views left".into(),
        Allowance::Views(views) => format!("{} left", count(views.into(), "view")),
    }
}

/// A peer's name, or its ID if it has none.
#[must_use]
pub(crate) fn peer(name: Option<&PeerName>, id: PeerId) -> String {
    name.map_or_else(|| id.to_string(), PeerName::to_string)
}

/// Why a session ended: `signed out`, `connection closed`, `directory stopped`.
#[must_use]
pub(crate) fn end(end: SessionEnd) -> &'static str {
    match end {
        SessionEnd::SignedOut => "signed out",
        SessionEnd::Closed => "connection closed",
        SessionEnd::Dropped => "connection lost",
        SessionEnd::TakenOver => "taken over",
        SessionEnd::Kicked => "kicked",
        SessionEnd::Shutdown => "directory stopped",
        SessionEnd::Idle => "idle",
    }
}

/// `direct, 192.0.2.7:4000`, or `relayed`.
#[must_use]
pub(crate) fn way(way: Way) -> String {
    match way {
        Way::Direct(address) => format!("direct, {address}"),
        Way::Relayed => "relayed".into(),
    }
}

/// The same, with the way's make: `direct, hole punched, 192.0.2.7:4000`.
#[must_use]
pub(crate) fn way_and_how(way: Way, how: Option<How>) -> String {
    match (way, how) {
        (Way::Direct(address), Some(How::Punched)) => format!("direct, hole punched, {address}"),
        (Way::Direct(address), Some(How::CalledBack)) => format!("direct, called back from {address}"),
        _ => self::way(way),
    }
}

/// What a router makes of the port of a session: `none` if there is none, `kept`, `remapped`.
#[must_use]
pub(crate) fn nat(check: &Netcheck) -> Option<&'static str> {
    let (local, seen) = (check.local?, check.seen?);
    Some(match (local == seen, local.0.port() == seen.0.port()) {
        (true, _) => "none",
        (false, true) => "kept",
        (false, false) => "remapped",
    })
}

/// `5 min`, with one unit.
#[must_use]
pub(crate) fn span(duration: Duration) -> String {
    let seconds = duration.as_secs();
    match seconds {
        0..60 => format!("{seconds} s"),
        60..3600 => format!("{} min", seconds / 60),
        3600..86_400 => format!("{} h", seconds / 3600),
        _ => count(seconds / 86_400, "day"),
    }
}

/// `5 min ago`, `in 6 days`, `just now`.
#[must_use]
pub(crate) fn relative(at: Timestamp, now: Timestamp) -> String {
    if at > now.after(Duration::from_secs(1)) {
        format!("in {}", span(at.since(now)))
    } else if now.since(at) < Duration::from_secs(1) {
        "just now".into()
    } else {
        format!("{} ago", span(now.since(at)))
    }
}

/// A moment to the second, by the clock on the wall.
#[must_use]
pub(crate) fn moment(at: Timestamp) -> String {
    static HERE: OnceLock<TimeZone> = OnceLock::new();
    // What tests expect is the same everywhere.
    let here = || if cfg!(test) { TimeZone::UTC } else { system_zone().unwrap_or(TimeZone::UTC) };
    moment_in(at, HERE.get_or_init(here))
}

/// The largest file of a time zone: they have up to 4 KiB.
const ZONE_BYTES_MAX: u64 = 64 << 10;

/// The zone of this system. A name in `TZ` is looked for among all zones, whose list takes longer to read than a whole command otherwise
/// does; without it one file says all (tzfile(5)).
fn system_zone() -> Option<TimeZone> {
    let read = || -> std::io::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        File::open("/etc/localtime")?.take(ZONE_BYTES_MAX).read_to_end(&mut bytes)?;
        Ok(bytes)
    };
    let local = if env::var_os("TZ").is_none() { read().ok() } else { None };
    let local = local.and_then(|bytes| TimeZone::tzif("Local", &bytes).ok());
    local.or_else(|| TimeZone::try_system().ok())
}

/// A moment in this time zone; in UTC it says so, as does one that the zone does not know.
fn moment_in(at: Timestamp, zone: &TimeZone) -> String {
    match jiff::Timestamp::from_millisecond(at.0) {
        Ok(moment) if *zone != TimeZone::UTC && zone.to_offset_info(moment).abbreviation() != "UTC" => {
            moment.to_zoned(zone.clone()).strftime("%Y-%m-%d %H:%M:%S").to_string()
        }
        _ => {
            let text = at.to_string();
            text.split_once('.').map_or(text.clone(), |(seconds, _)| format!("{seconds}Z"))
        }
    }
}

/// That what follows may have changed.
#[must_use]
pub(crate) fn out_of_reach(seen_at: Timestamp) -> String {
    let ago = relative(seen_at, Timestamp::now());
    format!("the directory is out of reach; this is what it showed {} ({ago})\n", moment(seen_at))
}

/// Microseconds in milliseconds: exact up to an hour, which no round trip takes.
#[must_use]
pub(crate) fn millis(micros: u64) -> f64 {
    f64::from(u32::try_from(micros).unwrap_or(u32::MAX)) / 1000.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn views_are_counted_as_people_do() {
        let left = |views| views_left(Allowance::Views(views));
        assert_eq!([left(0), left(1), left(2)], ["no views left", "1 view left", "2 views left"]);
        assert_eq!(views_left(Allowance::Unlimited), "unlimited views");
    }

    #[test]
    fn a_moment_is_that_of_the_clock_on_the_wall() {
        let berlin = TimeZone::posix("CET-1CEST,M3.5.0,M10.5.0/3").unwrap();
        for (at, expected) in [
            (1_700_000_000_000, "2023-11-14 23:13:20"),
            (1_690_000_000_999, "2023-07-22 06:26:40"),
            (i64::MAX, "9999-12-31T23:59:59Z"),
        ] {
            assert_eq!(moment_in(Timestamp(at), &berlin), expected);
        }
        let greenwich = TimeZone::posix("UTC0").unwrap();
        assert_eq!(moment_in(Timestamp(1_700_000_000_000), &greenwich), "2023-11-14T22:13:20Z");
    }

    #[test]
    fn moments_are_told_from_now() {
        let now = Timestamp(1_700_000_000_000);
        let day = Duration::from_secs(86_400);
        assert_eq!(relative(now, now), "just now");
        assert_eq!(relative(now.before(Duration::from_secs(61)), now), "1 min ago");
        assert_eq!(relative(now.after(day), now), "in 1 day");
        assert_eq!(relative(now.before(day * 3), now), "3 days ago");
        assert_eq!(moment(now), "2023-11-14T22:13:20Z");
    }
}
