//! Verifies the store: the file itself, and what must hold between its tables whatever has happened.
//!
//! It reads one consistent state on a connection of its own and changes nothing, so that it works beside a running server
//! and on the files of one that is stopped.

use std::path::Path;

use dos_protocol::{Code, WireError, admin::Checked};
use dos_sql::{self as sql, Connection, Server, Session, StoreError};
use tokio::task::spawn_blocking;

use super::{
    Place, Refusal, Store, audit, row,
    schema::{POSTGRES, SCHEMA},
    transfer::unusable,
};
use crate::rules::refusal::{invalid, not_found};

/// Findings of one kind that are reported; a store that is so broken needs its backup.
const FINDINGS_MAX: u32 = 20;

/// What must never be found, and how a finding is reported: each statement gives one text a row.
const INVARIANTS: &[&str] = &[
    // Every view that a grant counts was written down, and every view that was written down is counted.
    "WITH spent AS (SELECT image, viewer, sum(views) AS used FROM counted_views AS counted GROUP BY image, viewer)
     SELECT 'grant of peer ' || g.viewer || ' to image ' || g.image || ': ' || g.views_used || ' views used, ' || coalesce(s.used, 0) || ' written down'
     FROM grants g LEFT JOIN spent s ON s.image = g.image AND s.viewer = g.viewer
     WHERE g.views_used <> coalesce(s.used, 0)",
    "SELECT 'checkout of peer ' || viewer || ' of image ' || image || ': ' || returned || ' of ' || views || ' views given back'
     FROM views WHERE returned > views",
    "SELECT 'grant of peer ' || g.viewer || ' to image ' || g.image || ': there is no such image of its owner'
     FROM grants g LEFT JOIN images i ON i.no = g.image AND i.owner = g.owner WHERE i.no IS NULL",
    "SELECT 'inbox of peer ' || i.peer || ': row ' || max(i.seq) || ' is beyond its head ' || coalesce(h.latest, 0)
     FROM inbox i LEFT JOIN inbox_heads h ON h.peer = i.peer
     GROUP BY i.peer, h.latest HAVING max(i.seq) > coalesce(h.latest, 0)",
    "WITH counted AS (SELECT owner, count(*) AS images FROM images GROUP BY owner)
     SELECT 'peer ' || p.id || ': ' || p.images || ' images counted, ' || coalesce(c.images, 0) || ' published'
     FROM peers p LEFT JOIN counted c ON c.owner = p.id WHERE p.images <> coalesce(c.images, 0)",
    "SELECT 'image ' || i.no || ' has no preview'
     FROM images i LEFT JOIN previews p ON p.image = i.no WHERE p.image IS NULL",
    "SELECT 'image ' || i.no || ': its preview has ' || length(p.data) || ' bytes, not ' || i.preview_bytes
     FROM images i JOIN previews p ON p.image = i.no WHERE length(p.data) <> i.preview_bytes",
    "SELECT 'there is a preview of image ' || p.image || ', which is not there'
     FROM previews p LEFT JOIN images i ON i.no = p.image WHERE i.no IS NULL",
    "SELECT 'the counter of images is at ' || c.last || ', image ' || max(i.no) || ' is there'
     FROM counters c CROSS JOIN images i WHERE c.name = 'image' GROUP BY c.last HAVING max(i.no) > c.last",
    "SELECT 'the counter of requests is at ' || c.last || ', request ' || max(r.request) || ' is there'
     FROM counters c CROSS JOIN requests r WHERE c.name = 'request' GROUP BY c.last HAVING max(r.request) > c.last",
    // Rows go only from the beginning, and one that says nothing any more keeps its number.
    "SELECT 'inbox of peer ' || peer || ': ' || count(*) || ' rows from ' || min(seq) || ' to ' || max(seq)
     FROM inbox GROUP BY peer HAVING count(*) <> max(seq) - min(seq) + 1",
    "SELECT 'inbox of peer ' || i.peer || ': row ' || max(i.seq) || ' is the last, its head is ' || h.latest
     FROM inbox i JOIN inbox_heads h ON h.peer = i.peer GROUP BY i.peer, h.latest HAVING max(i.seq) < h.latest",
];

/// The first version of the tables that counts bytes.
const BYTES: u64 = 13;

/// The first version that has descriptions of images.
const DESCRIPTIONS: u64 = 19;

/// The same for what older stores do not have: from which version of the tables on.
const LATER_INVARIANTS: &[(u64, &str)] = &[
    (
        3,
        "SELECT 'a message of peer ' || m.sender || ' to peer ' || m.recipient || ': one of the two is not registered'
         FROM messages m LEFT JOIN peers s ON s.id = m.sender LEFT JOIN peers r ON r.id = m.recipient
         WHERE s.id IS NULL OR r.id IS NULL",
    ),
    (
        3,
        "SELECT 'a message of peer ' || m.sender || ' to peer ' || m.recipient || ': row ' || m.seq || ' is beyond its head ' || coalesce(h.latest, 0)
         FROM messages m LEFT JOIN inbox_heads h ON h.peer = m.recipient WHERE m.seq > coalesce(h.latest, 0)",
    ),
    (
        3,
        "SELECT 'inbox of peer ' || peer || ': row ' || seq || ' is of peer ' || coalesce(sender, 0) || ' and of kind ' || coalesce(kind, 0)
         FROM inbox WHERE (sender IS NULL) <> (kind IS NULL)",
    ),
    (
        3,
        "SELECT 'a block of peer ' || b.blocked || ' by peer ' || b.blocker || ': one of the two is not registered, or both are one'
         FROM blocks b LEFT JOIN peers x ON x.id = b.blocker LEFT JOIN peers y ON y.id = b.blocked
         WHERE x.id IS NULL OR y.id IS NULL OR b.blocker = b.blocked",
    ),
    (
        5,
        "SELECT 'peer ' || p.id || ': ' || p.preview_bytes || ' bytes of previews counted, ' || coalesce(sum(i.preview_bytes), 0) || ' kept'
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
        "SELECT 'what peer ' || w.peer || ' is not told of image ' || w.image || ': no block is between it and peer ' || w.other
         FROM withheld w WHERE NOT EXISTS (
             SELECT 1 FROM blocks b
             WHERE (b.blocker = w.peer AND b.blocked = w.other) OR (b.blocker = w.other AND b.blocked = w.peer))",
    ),
    (
        BYTES,
        "WITH weighed AS (SELECT peer, sum(length(body)) AS bytes FROM inbox GROUP BY peer)
         SELECT 'inbox of peer ' || h.peer || ': ' || h.bytes || ' bytes counted, ' || coalesce(w.bytes, 0) || ' wait'
         FROM inbox_heads h LEFT JOIN weighed w ON w.peer = h.peer WHERE h.bytes <> coalesce(w.bytes, 0)",
    ),
    (
        BYTES,
        "WITH weighed AS (
             SELECT peer, sender, sum(CASE WHEN kind IN (1, 2) THEN 1 ELSE 0 END) AS letters, count(*) AS updates, sum(length(body)) AS bytes
             FROM inbox WHERE sender IS NOT NULL GROUP BY peer, sender
         )
         SELECT 'inbox of peer ' || peer || ': the share of peer ' || coalesce(sender, 0) || ' is not what it has there'
         FROM (SELECT * FROM inbox_shares EXCEPT SELECT * FROM weighed
               UNION ALL SELECT * FROM (SELECT * FROM weighed EXCEPT SELECT * FROM inbox_shares) AS unknown) AS different",
    ),
    (
        BYTES,
        "WITH sent AS (SELECT sender, sum(length(body)) AS bytes FROM inbox WHERE sender IS NOT NULL GROUP BY sender)
         SELECT 'peer ' || p.id || ': ' || p.sent_bytes || ' bytes counted that it has sent, ' || coalesce(s.bytes, 0) || ' wait'
         FROM peers p LEFT JOIN sent s ON s.sender = p.id WHERE p.sent_bytes <> coalesce(s.bytes, 0)",
    ),
    (
        BYTES,
        "WITH kept AS (
             SELECT peer, sum(bytes) AS bytes FROM (
                 SELECT owner AS peer, image_bytes AS bytes FROM images
                 UNION ALL SELECT owner, 400 FROM grants
                 UNION ALL SELECT viewer, 300 + coalesce(octet_length(note), 0) + coalesce(octet_length(reason), 0)
                     FROM requests
             ) AS parts GROUP BY peer
         )
         SELECT 'peer ' || p.id || ': ' || p.row_bytes || ' bytes of rows counted, ' || coalesce(k.bytes, 0) || ' kept'
         FROM peers p LEFT JOIN kept k ON k.peer = p.id WHERE p.row_bytes <> coalesce(k.bytes, 0)",
    ),
    (
        BYTES,
        "WITH kept AS (SELECT peer, sum(64 + length(answer)) AS bytes FROM done GROUP BY peer)
         SELECT 'peer ' || p.id || ': ' || p.answer_bytes || ' bytes of answers counted, ' || coalesce(k.bytes, 0) || ' kept'
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

/// What an image takes, by the version of the schema.
fn image_bytes(version: u64) -> &'static str {
    if version < DESCRIPTIONS { "600" } else { "600 + coalesce(octet_length(description), 0)" }
}

impl Store {
    /// Verifies the store while it is in use.
    ///
    /// # Errors
    /// If it cannot be read.
    pub async fn check(&self) -> Result<Checked, Refusal> {
        let place = self.place.clone();
        let checked = spawn_blocking(move || match place {
            Place::File(path) => check(&path),
            Place::Servers(server) => check_server(&server),
        });
        checked.await.unwrap_or_else(|_| Err(StoreError::Closed.into()))
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
    match read_file(&connection) {
        // A file so damaged that not even the verification can read it.
        Err(Refusal::Store(error)) => {
            let cause = std::error::Error::source(&error).map(ToString::to_string);
            let finding = format!("the database cannot be read: {}", cause.unwrap_or(error.to_string()));
            Ok(Checked { findings: vec![finding.into()], ..Checked::default() })
        }
        other => other,
    }
}

/// Verifies the database on these servers, which a dosd may be using, or not.
///
/// # Errors
/// As [`check`].
pub(crate) fn check_server(server: &Server) -> Result<Checked, Refusal> {
    let session = Session::open_patient(server).map_err(|error| unusable(error.into()))?;
    let version = POSTGRES.found(&session).map_err(unusable)?;
    if version == 0 {
        return Err(not_found("there is no store in the database").into());
    }
    let connection = Connection::Postgres(&session);
    connection.execute_batch("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")?;
    let mut findings = Vec::new();
    invariants(&connection, u64::try_from(version).unwrap_or(0), &mut findings)?;
    counted(&connection, findings)
}

fn read_file(file: &rusqlite::Connection) -> Result<Checked, Refusal> {
    let connection = &Connection::Sqlite(file);
    connection.execute_batch("BEGIN")?;
    let id: i32 = connection.query_row("PRAGMA application_id", (), |row| row.get(0))?;
    let version = connection.query_row("PRAGMA user_version", (), |row| row::unsigned(row, 0))?;
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
            "SELECT 'a row of ' || \"table\" || ' refers to a row of ' || parent || ' that is not there'
             FROM pragma_foreign_key_check",
        )?;
        invariants(connection, version, &mut findings)?;
    }
    counted(connection, findings)
}

/// What is the same in every engine.
fn invariants(connection: &Connection, version: u64, findings: &mut Vec<Box<str>>) -> Result<(), Refusal> {
    let later = LATER_INVARIANTS.iter().filter(|(since, _)| *since <= version).map(|(_, sql)| sql);
    for invariant in INVARIANTS.iter().chain(later) {
        let sql = invariant.replace("counted_views", counted_views(version));
        let sql = sql.replace("image_bytes", image_bytes(version));
        findings.append(&mut texts(connection, &sql)?);
    }
    if version >= audit::SINCE {
        let most = usize::try_from(FINDINGS_MAX).unwrap_or(usize::MAX);
        findings.append(&mut audit::findings(connection, most)?);
    }
    Ok(())
}

fn counted(connection: &Connection, findings: Vec<Box<str>>) -> Result<Checked, Refusal> {
    let count = |table| {
        connection.query_row(&format!("SELECT count(*) FROM {table}"), (), |row| row::unsigned(row, 0))
    };
    Ok(Checked { findings, peers: count("peers")?, images: count("images")?, grants: count("grants")? })
}

fn texts(connection: &Connection, sql: &str) -> sql::Result<Vec<Box<str>>> {
    let mut statement = connection.prepare(sql)?;
    let texts = statement.query_map((), |row| row.get::<String>(0).map(String::into_boxed_str))?;
    texts.take(usize::try_from(FINDINGS_MAX).unwrap_or(usize::MAX)).collect()
}
