//! Signing in: the attempts of this state, and what the directory's answer tells about the age of the data on both sides.
//!
//! What always holds: an attempt is durable before it is made; what follows from the answer (views that are given up, what is to
//! be asserted) is written in one transaction, before the session begins.

use dos_protocol::{
    Incarnation, Nonce, PeerId, SealedHash, Seq, Timestamp,
    control::Note,
    directory::{Attempt, DataState, PeerState, Proof},
};
use rusqlite::{Connection, params};

use super::{Error, Store, asserting, execute, grants, notes, own, release, views};
use crate::rules::meeting::{self, Known, Meeting};

/// What an attempt to sign in begins with.
#[derive(Debug, Clone)]
pub(crate) struct Attempting {
    /// The last update that is stored.
    pub stored: Seq,
    /// What this peer tells of the age of data.
    pub state: PeerState,
    /// What proves that the ID is this peer's, if the directory has given that.
    pub proof: Option<Proof>,
}

/// What a sign-in has told.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Met {
    /// What is to be told to people.
    pub news: Vec<Box<str>>,
    /// All that is for `status`.
    pub notes: Vec<Note>,
    /// Sealed copies that are superfluous.
    pub free: Vec<SealedHash>,
}

impl Store {
    /// Begins an attempt to sign in, with this nonce.
    ///
    /// # Errors
    /// As in [`Error`].
    pub(crate) async fn begin_attempt(&self, nonce: Nonce) -> Result<Attempting, Error> {
        self.write(move |connection| {
            let sql = "UPDATE self SET attempts = attempts + 1
                       RETURNING attempts, stored_seq, stored_at, incarnation, proof";
            let mut statement = connection.prepare_cached(sql)?;
            Ok(statement.query_row([], |row| {
                let number = row.get::<_, i64>(0)?.cast_unsigned();
                let incarnation: Option<[u8; 16]> = row.get(3)?;
                let proof: Option<[u8; 32]> = row.get(4)?;
                let stored_at: Option<i64> = row.get(2)?;
                Ok(Attempting {
                    stored: Seq(row.get::<_, i64>(1)?.cast_unsigned()),
                    state: PeerState {
                        attempt: Attempt { number, nonce },
                        incarnation: incarnation.map(Incarnation::from),
                        stored_at: stored_at.map(Timestamp),
                    },
                    proof: proof.map(Proof::from),
                })
            })?)
        })
        .await
    }

    /// The directory has answered: updates follow after `since`. If this state turns out to be older than what the directory has
    /// seen of it, what it holds may have been used since, and is given up.
    ///
    /// # Errors
    /// As in [`Error`].
    pub(crate) async fn meet(&self, since: Seq, data: Option<DataState>) -> Result<Met, Error> {
        self.write(move |connection| {
            let (now, before) = (Timestamp::now(), own(connection)?);
            let incarnation = incarnation(connection)?;
            let known = Known { registered: before.peer.is_some(), stored: before.stored, incarnation };
            let Meeting { is_old, asserts } = meeting::meet(known, since, data.as_ref());
            let mut met = Met::default();
            if is_old {
                let sql = "UPDATE self SET lost = 1, stored_seq = max(stored_seq, ?1), stored_at = NULL";
                execute(connection, sql, params![since.0.cast_signed()])?;
                if let Some(me) = before.peer {
                    give_up(connection, me, &mut met)?;
                }
            }
            if asserts {
                asserting::begin(connection, now, meeting::resent_since(incarnation, now))?;
            }
            if let Some(data) = &data {
                let sql = "UPDATE self SET incarnation = ?1, proof = ?2, attempts = max(attempts, ?3)";
                let attempts = data.attempts.min(i64::MAX.cast_unsigned()).cast_signed();
                execute(
                    connection,
                    sql,
                    params![data.incarnation.as_bytes(), data.proof.as_bytes(), attempts],
                )?;
            }
            for text in &met.news {
                notes::add(connection, now, text)?;
            }
            met.notes = notes::all(connection, now)?;
            Ok(met)
        })
        .await
    }
}

fn incarnation(connection: &Connection) -> Result<Option<Incarnation>, Error> {
    let sql = "SELECT incarnation FROM self";
    let found: Option<[u8; 16]> = connection.prepare_cached(sql)?.query_row([], |row| row.get(0))?;
    Ok(found.map(Incarnation::from))
}

/// Gives up every checkout and every open view. The directory is told later, as of a checkin that is under way.
fn give_up(connection: &Connection, me: PeerId, met: &mut Met) -> Result<(), Error> {
    for (image, given_up) in views::give_up(connection)? {
        let path = grants::grant(connection, image, me)?.map(|grant| match grant.owner_name {
            Some(owner) => format!("{owner}/{}", grant.path.name),
            None => grant.path.to_string(),
        });
        met.news.push(meeting::given_up_text(path, image, given_up).into());
    }
    for hash in views::superfluous(connection)? {
        if release(connection, &hash)? {
            met.free.push(hash);
        }
    }
    Ok(())
}
