//! Verifies the store: the file itself, and what must hold between its tables whatever has happened.
//!
//! It reads one consistent state on a connection of its own and changes nothing, so that it works beside a running server
//! and on the files of one that is stopped.

use std::path::Path;

use dos_protocol::{Code, WireError, admin::Checked};
use dos_sqlite::StoreError;
use rusqlite::Connection;
use tokio::task::spawn_blocking;

use super::{Refusal, Store, audit, row, schema::SCHEMA};
use crate::rules::refusal::{invalid, not_found};

/// Findings of one kind that are reported; a store that is so broken needs its backup.
const FINDINGS_MAX: u32 = 20;

/// What must never be found, and how a finding is reported: each statement gives one text a row.
const INVARIANTS: &[&str] = &[
    // Every view that a grant counts was written down, and every view that was written down is counted.
    "WITH spent AS (SELECT image, viewer, sum(views) AS used FROM counted_views GROUP BY image, viewer)
     SELECT format('grant of peer %d to image %d: %d views used, %d written down',
                   g.viewer, g.image, g.views_used, coalesce(s.used, 0))
     FROM grants g LEFT JOIN spent s ON s.image = g.image AND s.viewer = g.viewer
     WHERE g.views_used <> coalesce(s.used, 0)",
    "SELECT format('checkout of peer %d of image %d: %d of %d views given back', viewer, image, returned, views)
     FROM views WHERE returned > views",
    "SELECT format('grant of peer %d to image %d: there is no such image of its owner', g.viewer, g.image)
     FROM grants g LEFT JOIN images i ON i.no = g.image AND i.owner = g.owner WHERE i.no IS NULL",
    "SELECT format('inbox of peer %d: row %d is beyond its head %d', i.peer, max(i.seq), coalesce(h.latest, 0))
     FROM inbox i LEFT JOIN inbox_heads h ON h.peer = i.peer
     GROUP BY i.peer HAVING max(i.seq) > coalesce(h.latest, 0)",
    "WITH counted AS (SELECT owner, count(*) AS images FROM images GROUP BY owner)
     SELECT format('peer %d: %d images counted, %d published', p.id, p.images, coalesce(c.images, 0))
     FROM peers p LEFT JOIN counted c ON c.owner = p.id WHERE p.images <> coalesce(c.images, 0)",
    "SELECT format('image %d has no preview', i.no)
     FROM images i LEFT JOIN previews p ON p.image = i.no WHERE p.image IS NULL",
    "SELECT format('image %d: its preview has %d bytes, not %d', i.no, length(p.data), i.preview_bytes)
     FROM images i JOIN previews p ON p.image = i.no WHERE length(p.data) <> i.preview_bytes",
    "SELECT format('there is a preview of image %d, which is not there', p.image)
     FROM previews p LEFT JOIN images i ON i.no = p.image WHERE i.no IS NULL",
    "SELECT format('the counter of images is at %d, image %d is there', c.last, max(i.no))
     FROM counters c JOIN images i WHERE c.name = 'image' GROUP BY c.last HAVING max(i.no) > c.last",
    "SELECT format('the counter of requests is at %d, request %d is there', c.last, max(r.request))
     FROM counters c JOIN requests r WHERE c.name = 'request' GROUP BY c.last HAVING max(r.request) > c.last",
    // Rows go only from the beginning, and one that says nothing any more keeps its number.
    "SELECT format('inbox of peer %d: %d rows from %d to %d', peer, count(*), min(seq), max(seq))
     FROM inbox GROUP BY peer HAVING count(*) <> max(seq) - min(seq) + 1",
    "SELECT format('inbox of peer %d: row %d is the last, its head is %d', i.peer, max(i.seq), h.latest)
     FROM inbox i JOIN inbox_heads h ON h.peer = i.peer GROUP BY i.peer HAVING max(i.seq) < h.latest",
];

/// The first version of the tables that counts bytes.
const BYTES: u64 = 13;

/// The same for what older stores do not have: from which version of the tables on.
const LATER_INVARIANTS: &[(u64, &str)] = &[
    (
        3,
        "SELECT format('a message of peer %d to peer %d: one of the two is not registered', m.sender, m.recipient)
         FROM messages m LEFT JOIN peers s ON s.id = m.sender LEFT JOIN peers r ON r.id = m.recipient
         WHERE s.id IS NULL OR r.id IS NULL",
    ),
    (
        3,
        "SELECT format('a message of peer %d to peer %d: row %d is beyond its head %d',
                       m.sender, m.recipient, m.seq, coalesce(h.latest, 0))
         FROM messages m LEFT JOIN inbox_heads h ON h.peer = m.recipient WHERE m.seq > coalesce(h.latest, 0)",
    ),
    (
        3,
        "SELECT format('inbox of peer %d: row %d is of peer %d and of kind %d', peer, seq, sender, kind)
         FROM inbox WHERE (sender IS NULL) <> (kind IS NULL)",
    ),
    (
        3,
        "SELECT format('a block of peer %d by peer %d: one of the two is not registered, or both are one',
                       b.blocked, b.blocker)
         FROM blocks b LEFT JOIN peers x ON x.id = b.blocker LEFT JOIN peers y ON y.id = b.blocked
         WHERE x.id IS NULL OR y.id IS NULL OR b.blocker = b.blocked",
    ),
    (
        5,
        "SELECT format('peer %d: %d bytes of previews counted, %d kept', p.id, p.preview_bytes, coalesce(sum(i.preview_bytes), 0))
         FROM peers p LEFT JOIN images i ON i.owner = p.id
         GROUP BY p.id HAVING p.preview_bytes <> coalesce(sum(i.preview_bytes), 0)",
    ),
    (
        6,
        "SELECT 'a change that peer ' || d.peer || ' has made: the peer is not registered'
         FROM done d LEFT JOIN peers p ON p.id = d.peer WHERE p.id IS NULL",
    ),
    (
        7,
        "SELECT 'a password of peer ' || w.peer || ': ' ||
                CASE WHEN p.id IS NULL THEN 'the peer is not registered' ELSE 'the peer has no name' END
         FROM passwords w LEFT JOIN peers p ON p.id = w.peer WHERE p.name IS NULL",
    ),
    (
        12,
        "SELECT format('what peer %d is not told of image %d: no block is between it and peer %d', w.peer, w.image, w.other)
         FROM withheld w WHERE NOT EXISTS (
             SELECT 1 FROM blocks b
             WHERE (b.blocker = w.peer AND b.blocked = w.other) OR (b.blocker = w.other AND b.blocked = w.peer))",
    ),
    (
        BYTES,
        "WITH weighed AS (SELECT peer, sum(length(body)) AS bytes FROM inbox GROUP BY peer)
         SELECT format('inbox of peer %d: %d bytes counted, %d wait', h.peer, h.bytes, coalesce(w.bytes, 0))
         FROM inbox_heads h LEFT JOIN weighed w ON w.peer = h.peer WHERE h.bytes <> coalesce(w.bytes, 0)",
    ),
    (
        BYTES,
        "WITH weighed AS (
             SELECT peer, sender, sum(kind IN (1, 2)) AS letters, count(*) AS updates, sum(length(body)) AS bytes
             FROM inbox WHERE sender IS NOT NULL GROUP BY peer, sender
         )
         SELECT format('inbox of peer %d: the share of peer %d is not what it has there', peer, sender)
         FROM (SELECT * FROM inbox_shares EXCEPT SELECT * FROM weighed
               UNION ALL SELECT * FROM (SELECT * FROM weighed EXCEPT SELECT * FROM inbox_shares))",
    ),
    (
        BYTES,
        "WITH sent AS (SELECT sender, sum(length(body)) AS bytes FROM inbox WHERE sender IS NOT NULL GROUP BY sender)
         SELECT format('peer %d: %d bytes counted that it has sent, %d wait', p.id, p.sent_bytes, coalesce(s.bytes, 0))
         FROM peers p LEFT JOIN sent s ON s.sender = p.id WHERE p.sent_bytes <> coalesce(s.bytes, 0)",
    ),
    (
        BYTES,
        "WITH kept AS (
             SELECT peer, sum(bytes) AS bytes FROM (
                 SELECT owner AS peer, 600 AS bytes FROM images
                 UNION ALL SELECT owner, 400 FROM grants
                 UNION ALL SELECT viewer, 300 + coalesce(octet_length(note), 0) + coalesce(octet_length(reason), 0)
                     FROM requests
             ) GROUP BY peer
         )
         SELECT format('peer %d: %d bytes of rows counted, %d kept', p.id, p.row_bytes, coalesce(k.bytes, 0))
         FROM peers p LEFT JOIN kept k ON k.peer = p.id WHERE p.row_bytes <> coalesce(k.bytes, 0)",
    ),
    (
        BYTES,
        "WITH kept AS (SELECT peer, sum(64 + length(answer)) AS bytes FROM done GROUP BY peer)
         SELECT format('peer %d: %d bytes of answers counted, %d kept', p.id, p.answer_bytes, coalesce(k.bytes, 0))
         FROM peers p LEFT JOIN kept k ON k.peer = p.id WHERE p.answer_bytes <> coalesce(k.bytes, 0)",
    ),
];

/// What stands in a statement for the views that were written down, by the version of the schema.
fn counted_views(version: u64) -> &'static str {
    const WRITTEN: &str = "(SELECT image, viewer, views - coalesce(returned, 0) AS views FROM views)";
    const WITH_FORGOTTEN: &str = "(SELECT image, viewer, views - coalesce(returned, 0) AS views FROM views
                                   UNION ALL SELECT image, viewer, views FROM views_forgotten)";
    if version < 5 { WRITTEN } else { WITH_FORGOTTEN }
}

impl Store {
    /// Verifies the store while it is in use.
    ///
    /// # Errors
    /// If it cannot be read at all.
    pub async fn check(&self) -> Result<Checked, Refusal> {
        let path = self.path.clone();
        let checked = spawn_blocking(move || check(&path)).await;
        checked.unwrap_or_else(|_| Err(StoreError::Closed.into()))
    }
}

/// Verifies the database at `path`, which a server may be using, or not.
///
/// # Errors
/// `not_found` if there is none, `invalid` if it is another program's or a newer one's, `internal` if it cannot be read.
pub fn check(path: &Path) -> Result<Checked, Refusal> {
    if !path.is_file() {
        return Err(not_found(format!("there is no database {}", path.display())).into());
    }
    let connection = dos_sqlite::open_reader(path).map_err(|error| {
        WireError::new(Code::Invalid, "the database cannot be opened").caused_by(error.to_string())
    })?;
    match read(&connection) {
        // A file so damaged that not even the verification can read it.
        Err(Refusal::Store(error)) => {
            let cause = std::error::Error::source(&error).map(ToString::to_string);
            let finding = format!("the database cannot be read: {}", cause.unwrap_or(error.to_string()));
            Ok(Checked { findings: vec![finding.into()], ..Checked::default() })
        }
        other => other,
    }
}

fn read(connection: &Connection) -> Result<Checked, Refusal> {
    connection.execute_batch("BEGIN")?;
    let id: i32 = connection.query_row("PRAGMA application_id", [], |row| row.get(0))?;
    let version = connection.query_row("PRAGMA user_version", [], |row| row::unsigned(row, 0))?;
    if id != SCHEMA.application_id || version == 0 {
        return Err(invalid("the file is not a database of dosd").into());
    }
    if usize::try_from(version).map_or(true, |version| version > SCHEMA.migrations.len()) {
        return Err(invalid("the database is that of a newer dosd: use the newer program").into());
    }
    let mut findings = texts(connection, &format!("PRAGMA integrity_check({FINDINGS_MAX})"))?;
    findings.retain(|finding| &**finding != "ok");
    // On a damaged file the statements below would mislead.
    if findings.is_empty() {
        findings = texts(
            connection,
            "SELECT format('a row of %s refers to a row of %s that is not there', \"table\", parent)
             FROM pragma_foreign_key_check",
        )?;
        let later = LATER_INVARIANTS.iter().filter(|(since, _)| *since <= version).map(|(_, sql)| sql);
        for invariant in INVARIANTS.iter().chain(later) {
            let sql = invariant.replace("counted_views", counted_views(version));
            findings.append(&mut texts(connection, &sql)?);
        }
        if version >= audit::SINCE {
            let most = usize::try_from(FINDINGS_MAX).unwrap_or(usize::MAX);
            findings.append(&mut audit::findings(connection, most)?);
        }
    }
    let count = |table| {
        connection.query_row(&format!("SELECT count(*) FROM {table}"), [], |row| row::unsigned(row, 0))
    };
    Ok(Checked { findings, peers: count("peers")?, images: count("images")?, grants: count("grants")? })
}

fn texts(connection: &Connection, sql: &str) -> rusqlite::Result<Vec<Box<str>>> {
    let mut statement = connection.prepare(sql)?;
    let texts = statement.query_map([], |row| row.get::<_, String>(0).map(String::into_boxed_str))?;
    texts.take(usize::try_from(FINDINGS_MAX).unwrap_or(usize::MAX)).collect()
}
