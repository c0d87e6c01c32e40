//! `dosd stats`: how the directory does, for people and for programs.

use std::time::Duration;

use dos_protocol::{
    Timestamp,
    admin::{FromDosd, Room, Stats, ToDosd},
    duration::format_duration,
    size::format_size,
};
use serde_json::{Value, json};

use super::{Failure, PATIENCE, Screen, ask, unexpected};
use crate::cli::AdminArgs;

pub(super) fn run(options: AdminArgs, screen: &mut Screen) -> Result<(), Failure> {
    match ask(options.place, &ToDosd::Stats, Some(PATIENCE))? {
        FromDosd::Stats(stats) => {
            let uptime = since(stats.started_at, Timestamp::now());
            screen.show(object(&stats, uptime), &text(&stats, uptime))
        }
        _ => Err(unexpected()),
    }
}

fn since(then: Timestamp, now: Timestamp) -> Duration {
    Duration::from_millis(u64::try_from(now.0.saturating_sub(then.0)).unwrap_or(0))
}

fn object(stats: &Stats, uptime: Duration) -> Value {
    json!({
        "version": stats.version,
        "started_at": stats.started_at.to_string(),
        "uptime_s": uptime.as_secs(),
        "sessions": stats.sessions,
        "peers": stats.peers,
        "images": stats.images,
        "rights": stats.rights,
        "inbox_rows": stats.inbox_rows,
        "database_bytes": stats.database_bytes,
        "commits": stats.commits,
        "operations": stats.operations,
        "failures": stats.failures,
        "views": stats.views,
        "views_checked_out": stats.views_checked_out,
        "views_checked_in": stats.views_checked_in,
        "relayed_bytes": stats.relayed_bytes,
        "queue_drops": stats.queue_drops,
        "preview_bytes": stats.preview_bytes,
        "inbox_bytes": stats.inbox_bytes,
        "used_bytes": stats.used_bytes,
        "room_bytes": stats.room_bytes,
        "room": stats.room.as_str(),
        "room_limit": stats.room_limit,
    })
}

fn text(stats: &Stats, uptime: Duration) -> String {
    let rows = [
        ("version", stats.version.to_string()),
        ("uptime", format!("{}, since {}", format_duration(uptime), stats.started_at)),
        ("peers", format!("{} registered, {} online", stats.peers, stats.sessions)),
        ("images", format!("{}, previews of {}", stats.images, format_size(stats.preview_bytes))),
        ("grants", stats.rights.to_string()),
        ("views", views(stats)),
        ("inboxes", format!("{} updates wait, {}", stats.inbox_rows, format_size(stats.inbox_bytes))),
        ("store", store(stats)),
        ("room", room(stats)),
        ("relayed", format_size(stats.relayed_bytes)),
        ("queue drops", stats.queue_drops.to_string()),
    ];
    let lines: Vec<_> = rows.iter().map(|(name, value)| format!("{name:<12}{value}")).collect();
    lines.join("\n")
}

fn room(stats: &Stats) -> String {
    let limit = stats.room_limit.as_deref().unwrap_or_default();
    match stats.room {
        // How much a database server's disks have left is not known here.
        Room::Ample if stats.room_bytes == u64::MAX => "as much as the database server has".into(),
        Room::Ample => format_size(stats.room_bytes),
        Room::Low => format!("WARNING: {} only (limit {limit})", format_size(stats.room_bytes)),
        Room::Full => format!("WARNING: none, peers can add nothing (limit {limit})"),
    }
}

fn views(stats: &Stats) -> String {
    let Stats { views, views_checked_out, views_checked_in, .. } = stats;
    format!("{views} since the start; {views_checked_out} taken along, {views_checked_in} given back")
}

fn store(stats: &Stats) -> String {
    // In tenths, as whole numbers.
    let per_commit = stats.operations.saturating_mul(10).checked_div(stats.commits).unwrap_or(0);
    let failures = if stats.failures == 0 { String::new() } else { format!(", {} failed", stats.failures) };
    format!(
        "{}; {} commits with {}.{} operations each{failures}",
        format_size(stats.database_bytes),
        stats.commits,
        per_commit / 10,
        per_commit % 10
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn people_read_one_thing_a_line() {
        let stats = Stats {
            version: "1.2.3".into(),
            started_at: Timestamp(0),
            sessions: 2,
            peers: 3,
            images: 4,
            rights: 5,
            inbox_rows: 6,
            database_bytes: 4096,
            commits: 4,
            operations: 10,
            failures: 1,
            views: 7,
            views_checked_out: 8,
            views_checked_in: 9,
            relayed_bytes: 0,
            queue_drops: 0,
            preview_bytes: 11,
            inbox_bytes: 12,
            used_bytes: 13,
            room_bytes: 14,
            room: Room::Ample,
            room_limit: None,
        };
        let uptime = since(stats.started_at, Timestamp(90_061_000));
        let text = text(&stats, uptime);
        assert!(text.contains("\nuptime      1d1h1m1s, since 1970-"), "{text}");
        assert!(text.contains("\npeers       3 registered, 2 online\n"), "{text}");
        assert!(text.contains("4.09 kB; 4 commits with 2.5 operations each, 1 failed\n"), "{text}");
        assert!(text.contains("\nimages      4, previews of 11 B\n"), "{text}");
        assert!(text.contains("\nroom        14 B\n"), "{text}");
        assert_eq!(object(&stats, uptime)["uptime_s"], 90_061);
        let limit = Some("disk_reserve_bytes".into());
        let unknown = Stats { room_bytes: u64::MAX, ..stats.clone() };
        assert_eq!(room(&unknown), "as much as the database server has");
        let low = Stats { room: Room::Low, room_limit: limit, ..stats };
        assert_eq!(room(&low), "WARNING: 14 B only (limit disk_reserve_bytes)");
        let full = Stats { room: Room::Full, ..low };
        assert_eq!(room(&full), "WARNING: none, peers can add nothing (limit disk_reserve_bytes)");
        let object = object(&full, uptime);
        assert_eq!((&object["room"], &object["room_limit"]), (&"full".into(), &"disk_reserve_bytes".into()));
        assert_eq!(since(Timestamp(5), Timestamp(1)), Duration::ZERO, "clocks are set back");
    }
}
