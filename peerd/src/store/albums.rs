//! Albums of one's own, and the rules by which a peer gets every image of one.
//!
//! What always holds: that an image is in an album, and that it is due to those who get what comes into it, is one transaction; a rule
//! has one row for an image, however often that comes and goes, and with it one operation ID.

use std::time::Duration;

use dos_protocol::{
    AlbumName, Allowance, ImageName, ImageNo, OperationId, PeerId, PeerName, Timestamp,
    control::{AlbumSummary, Rule, Terms},
    limits::{ALBUM_RULES_MAX, PAGE_MAX},
};
use rusqlite::{Connection, OptionalExtension, Row, params};

use super::{Error, Store, execute, id, peer_of, stored::peer_name};

/// A grant that a rule owes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Due {
    /// Which rule.
    pub rule: i64,
    /// For which image.
    pub image: ImageNo,
    /// To whom.
    pub viewer: PeerId,
    /// On which terms.
    pub terms: Terms,
    /// The change that gives it.
    pub operation: OperationId,
    /// When that was tried first.
    pub begun_at: Timestamp,
    /// Whether it was tried before now.
    pub resumed: bool,
}

/// What came of a grant that was due.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Settled {
    /// It is given, or there is nothing to give any more.
    Given,
    /// It cannot be given.
    Refused(Box<str>),
}

/// What came of setting a rule.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum RuleSet {
    /// It is in force.
    Rule(Rule),
    /// There would be too many.
    TooMany,
}

impl Store {
    /// The albums that have images or rules, by name.
    ///
    /// # Errors
    /// As in [`Error`].
    pub(crate) async fn albums(&self) -> Result<Vec<AlbumSummary>, Error> {
        self.read(|connection| {
            let sql = "SELECT name, sum(images), sum(private), sum(rules) FROM (
                           SELECT album AS name, count(*) AS images, coalesce(sum(private), 0) AS private, 0 AS rules
                           FROM images WHERE album IS NOT NULL GROUP BY album
                           UNION ALL SELECT album, 0, 0, count(*) FROM album_rules GROUP BY album)
                       GROUP BY name ORDER BY name";
            let mut statement = connection.prepare_cached(sql)?;
            let rows = statement.query_map([], |row| Ok((row.get::<_, String>(0)?, count(row, 1)?, count(row, 2)?, count(row, 3)?)))?;
            rows.map(|row| {
                let (name, images, private, rules) = row?;
                Ok(AlbumSummary { name: album_of(&name)?, images, private, rules })
            })
            .collect()
        })
        .await
    }

    /// A page of the images of an album in the order of their names: those behind this one; and whether there are more.
    ///
    /// # Errors
    /// As in [`Error`].
    pub(crate) async fn album(
        &self,
        album: AlbumName,
        after: Option<ImageName>,
    ) -> Result<(Vec<ImageName>, bool), Error> {
        self.read(move |connection| {
            let sql = "SELECT name FROM images WHERE album = ?1 AND name > ?2 ORDER BY name LIMIT ?3";
            let key = params![album.as_str(), after.as_ref().map_or("", ImageName::as_str), PAGE_MAX + 1];
            let mut statement = connection.prepare_cached(sql)?;
            let names = statement.query_map(key, |row| row.get::<_, String>(0))?;
            let mut images = Vec::new();
            for name in names {
                images.push(name?.parse().map_err(|_| Error::Damaged("image's name"))?);
            }
            let most = usize::try_from(PAGE_MAX).unwrap_or(usize::MAX);
            let more = images.len() > most;
            images.truncate(most);
            Ok((images, more))
        })
        .await
    }

    /// The rules of an album.
    ///
    /// # Errors
    /// As in [`Error`].
    pub(crate) async fn album_rules(&self, album: AlbumName) -> Result<Vec<Rule>, Error> {
        self.read(move |connection| rules(connection, "r.album = ?1", params![album.as_str()])).await
    }

    /// Has a peer get what is in an album now, and what comes into it. Again, on the same terms, it changes nothing.
    ///
    /// # Errors
    /// As in [`Error`].
    pub(crate) async fn set_rule(
        &self,
        album: AlbumName,
        viewer: PeerId,
        terms: Terms,
    ) -> Result<RuleSet, Error> {
        let now = self.clock.now();
        self.write(move |connection| {
            if let Some(rule) = rule(connection, &album, viewer)? {
                if rule.terms == terms {
                    return Ok(RuleSet::Rule(rule));
                }
                delete(connection, &album, viewer)?;
            }
            let others: u32 =
                connection.query_row("SELECT count(*) FROM album_rules", [], |row| row.get(0))?;
            if others >= ALBUM_RULES_MAX {
                return Ok(RuleSet::TooMany);
            }
            execute(
                connection,
                "INSERT INTO album_rules (album, viewer, views, expires_ms, allow_offline, since) VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
                params![
                    album.as_str(),
                    id(viewer),
                    Option::<u32>::from(terms.views),
                    terms.expires.map(|time| i64::try_from(time.as_millis()).unwrap_or(i64::MAX)),
                    terms.allow_offline,
                    now.0
                ],
            )?;
            let number = connection.last_insert_rowid();
            execute(
                connection,
                "INSERT INTO album_grants (rule, image, operation) SELECT ?1, no, randomblob(16) FROM images WHERE album = ?2",
                params![number, album.as_str()],
            )?;
            rule(connection, &album, viewer)?.map(RuleSet::Rule).ok_or(Error::Damaged("rule"))
        })
        .await
    }

    /// Ends a rule, and tells what it was. What was given stays given.
    ///
    /// # Errors
    /// As in [`Error`].
    pub(crate) async fn end_rule(&self, album: AlbumName, viewer: PeerId) -> Result<Option<Rule>, Error> {
        self.write(move |connection| {
            let found = rule(connection, &album, viewer)?;
            delete(connection, &album, viewer)?;
            Ok(found)
        })
        .await
    }

    /// The rule by which a peer gets what comes into an album.
    ///
    /// # Errors
    /// As in [`Error`].
    pub(crate) async fn rule(&self, album: AlbumName, viewer: PeerId) -> Result<Option<Rule>, Error> {
        self.read(move |connection| rule(connection, &album, viewer)).await
    }

    /// Grants that are due, some of them; each is written down as being tried.
    ///
    /// # Errors
    /// As in [`Error`].
    pub(crate) async fn begin_due(&self, most: u32) -> Result<Vec<Due>, Error> {
        let now = self.clock.now();
        let none = self.read(|connection| {
            Ok(connection.query_row(
                "SELECT NOT EXISTS (SELECT 1 FROM album_grants WHERE state = 0)",
                [],
                |row| row.get(0),
            )?)
        });
        // Mostly there is nothing, and nothing is written.
        if none.await? {
            return Ok(Vec::new());
        }
        self.write(move |connection| {
            let sql = "SELECT d.rule, d.image, r.viewer, r.views, r.expires_ms, r.allow_offline, d.operation, d.begun_at
                       FROM album_grants d JOIN album_rules r ON r.number = d.rule
                       WHERE d.state = 0 ORDER BY d.rule, d.image LIMIT ?1";
            let mut statement = connection.prepare_cached(sql)?;
            let mut rows = statement.query([most])?;
            let mut due = Vec::new();
            while let Some(row) = rows.next()? {
                let begun_at = row.get::<_, Option<i64>>(7)?.map(Timestamp);
                due.push(Due {
                    rule: row.get(0)?,
                    image: ImageNo(count(row, 1)?),
                    viewer: peer_of(row.get(2)?)?,
                    terms: terms(row, 3)?,
                    operation: OperationId::from(row.get::<_, [u8; 16]>(6)?),
                    begun_at: begun_at.unwrap_or(now),
                    resumed: begun_at.is_some(),
                });
            }
            for one in due.iter().filter(|one| !one.resumed) {
                let sql = "UPDATE album_grants SET begun_at = ?3 WHERE rule = ?1 AND image = ?2";
                execute(connection, sql, params![one.rule, one.image.0.cast_signed(), now.0])?;
            }
            Ok(due)
        })
        .await
    }

    /// Writes down what came of grants that were due.
    ///
    /// # Errors
    /// As in [`Error`].
    pub(crate) async fn settle_due(&self, settled: Vec<(i64, ImageNo, Settled)>) -> Result<(), Error> {
        self.write(move |connection| {
            let sql = "UPDATE album_grants SET state = ?3, trouble = ?4 WHERE rule = ?1 AND image = ?2";
            for (rule, image, settled) in settled {
                let (state, trouble) = match settled {
                    Settled::Given => (1, None),
                    Settled::Refused(why) => (2, Some(why)),
                };
                execute(connection, sql, params![rule, image.0.cast_signed(), state, trouble])?;
            }
            Ok(())
        })
        .await
    }

    /// The album that an image of one's own is in.
    ///
    /// # Errors
    /// As in [`Error`].
    pub(crate) async fn album_of(&self, image: ImageNo) -> Result<Option<AlbumName>, Error> {
        self.read(move |connection| {
            let mut statement = connection.prepare_cached("SELECT album FROM images WHERE no = ?1")?;
            let name = statement.query_row([image.0.cast_signed()], |row| row.get::<_, Option<String>>(0));
            name.optional()?.flatten().map(|name| album_of(&name)).transpose()
        })
        .await
    }
}

/// An image of one's own is in this album from now on, and in no other.
pub(super) fn enter(connection: &Connection, image: ImageNo, album: Option<&AlbumName>) -> Result<(), Error> {
    let (no, album) = (image.0.cast_signed(), album.map(AlbumName::as_str));
    execute(connection, "UPDATE images SET album = ?2 WHERE no = ?1", params![no, album])?;
    // What was not begun when it left is not given.
    execute(
        connection,
        "DELETE FROM album_grants WHERE image = ?1 AND state = 0 AND begun_at IS NULL
             AND rule NOT IN (SELECT number FROM album_rules WHERE album IS ?2)",
        params![no, album],
    )?;
    execute(
        connection,
        "INSERT INTO album_grants (rule, image, operation) SELECT number, ?1, randomblob(16) FROM album_rules WHERE album = ?2
         ON CONFLICT DO NOTHING",
        params![no, album],
    )?;
    Ok(())
}

/// An image of one's own is gone: nothing of it is due.
pub(super) fn forget(connection: &Connection, image: ImageNo) -> Result<(), Error> {
    execute(connection, "DELETE FROM album_grants WHERE image = ?1", [image.0.cast_signed()])?;
    Ok(())
}

fn delete(connection: &Connection, album: &AlbumName, viewer: PeerId) -> Result<(), Error> {
    let sql = "DELETE FROM album_rules WHERE album = ?1 AND viewer = ?2";
    execute(connection, sql, params![album.as_str(), id(viewer)]).map(drop)
}

fn rule(connection: &Connection, album: &AlbumName, viewer: PeerId) -> Result<Option<Rule>, Error> {
    let found = rules(connection, "r.album = ?1 AND r.viewer = ?2", params![album.as_str(), id(viewer)])?;
    Ok(found.into_iter().next())
}

fn rules(connection: &Connection, condition: &str, key: impl rusqlite::Params) -> Result<Vec<Rule>, Error> {
    let sql = format!(
        "SELECT r.album, r.viewer, r.views, r.expires_ms, r.allow_offline, r.since,
                (SELECT name FROM pins WHERE pins.peer = r.viewer),
                (SELECT count(*) FROM album_grants d WHERE d.rule = r.number AND d.state = 1),
                (SELECT count(*) FROM album_grants d WHERE d.rule = r.number AND d.state = 0),
                (SELECT count(*) FROM album_grants d WHERE d.rule = r.number AND d.state = 2),
                (SELECT trouble FROM album_grants d WHERE d.rule = r.number AND d.state = 2 ORDER BY d.image DESC LIMIT 1)
         FROM album_rules r WHERE {condition} ORDER BY r.album, r.number"
    );
    let mut statement = connection.prepare_cached(&sql)?;
    let mut rows = statement.query(key)?;
    let mut found = Vec::new();
    while let Some(row) = rows.next()? {
        let viewer_name: Option<PeerName> = peer_name(row.get(6)?)?;
        found.push(Rule {
            album: album_of(&row.get::<_, String>(0)?)?,
            viewer: peer_of(row.get(1)?)?,
            viewer_name,
            terms: terms(row, 2)?,
            since: Timestamp(row.get(5)?),
            given: count(row, 7)?,
            waiting: count(row, 8)?,
            failed: count(row, 9)?,
            trouble: row.get::<_, Option<String>>(10)?.map(String::into_boxed_str),
        });
    }
    Ok(found)
}

/// The terms whose columns begin with this one.
fn terms(row: &Row<'_>, first: usize) -> rusqlite::Result<Terms> {
    let expires: Option<i64> = row.get(first + 1)?;
    Ok(Terms {
        views: Allowance::from(row.get::<_, Option<u32>>(first)?),
        expires: expires.map(|ms| Duration::from_millis(u64::try_from(ms).unwrap_or(0))),
        allow_offline: row.get(first + 2)?,
    })
}

fn count(row: &Row<'_>, column: usize) -> rusqlite::Result<u64> {
    row.get::<_, i64>(column).map(i64::cast_unsigned)
}

fn album_of(name: &str) -> Result<AlbumName, Error> {
    name.parse().map_err(|_| Error::Damaged("album's name"))
}
