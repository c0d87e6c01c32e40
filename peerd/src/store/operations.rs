//! Changes on their way to the directory: written down under their ID before they are sent.
//!
//! What always holds: the same change, given again while its first outcome was not shown, has the same ID. After
//! [`SURELY_KNOWN`] it is another change: well before the directory forgets the ID, so that none is taken for new. So it is
//! after another change about the same thing.

use dos_protocol::{ImageNo, OperationId, PeerId, Timestamp};
use rusqlite::{Connection, params};

use super::{
    Error, Store, execute,
    live::{Live, Open},
};
use crate::rules::repeats::{About, Effect, SURELY_KNOWN, Subject, ends, is_repetition};

/// Changes whose outcome was not shown; of more, the oldest are no longer expected.
const OPERATIONS_MAX: u32 = 10_000;

/// A change that is made, owned by the command that makes it.
#[derive(Debug)]
pub(crate) struct Change {
    /// Its ID.
    pub open: Open<OperationId>,
    /// When it was given first.
    pub begun_at: Timestamp,
    /// Whether an earlier command has begun it.
    pub resumed: bool,
}

impl Store {
    /// Writes down that a change is made, or takes up the one with the same fingerprint that no live command owns.
    ///
    /// # Errors
    /// As in [`Error`].
    pub(crate) async fn begin_operation(
        &self,
        live: Live<OperationId>,
        fingerprint: [u8; 32],
        about: About,
    ) -> Result<Change, Error> {
        // No clock of this machine makes a change another one.
        let now = self.clock.now();
        self.write(move |connection| {
            tidy_up(connection, now)?;
            if let Some(left) = left_open(connection, &live, &fingerprint, about)? {
                return Ok(left);
            }
            let id = OperationId::generate();
            let open = live.claim(id).ok_or(Error::Damaged("operation ID"))?;
            execute(
                connection,
                "INSERT INTO operations (id, fingerprint, begun_at, subject, adds) VALUES (?1, ?2, ?3, ?4, ?5)",
                params![
                    id.as_bytes(),
                    fingerprint,
                    now.0,
                    about.subject.map(bytes_of),
                    about.effect == Effect::Adds
                ],
            )?;
            Ok(Change { open, begun_at: now, resumed: false })
        })
        .await
    }

    /// A change was done: earlier ones about the same things, whose outcomes were not shown, are over.
    ///
    /// # Errors
    /// As in [`Error`].
    pub(crate) async fn end_earlier(
        &self,
        live: Live<OperationId>,
        id: OperationId,
        (subjects, effect): (Vec<Subject>, Effect),
    ) -> Result<(), Error> {
        let find = move |connection: &Connection| {
            let mut over = Vec::new();
            for subject in subjects {
                let mut statement = connection
                    .prepare_cached("SELECT id, adds FROM operations WHERE subject = ?1 AND id <> ?2")?;
                let mut rows = statement.query(params![bytes_of(subject), id.as_bytes()])?;
                while let Some(row) = rows.next()? {
                    let earlier = OperationId::from(row.get::<_, [u8; 16]>(0)?);
                    let was = if row.get(1)? { Effect::Adds } else { Effect::Sets };
                    if ends(effect, was) && !live.has(earlier) {
                        over.push(earlier);
                    }
                }
            }
            Ok(over)
        };
        // Mostly there are none, and nothing is written.
        for earlier in self.read(find).await? {
            self.drop_operation(earlier).await?;
        }
        Ok(())
    }

    /// The change was refused, or its outcome was shown: the same one again is another.
    ///
    /// # Errors
    /// As in [`Error`].
    pub(crate) async fn drop_operation(&self, id: OperationId) -> Result<(), Error> {
        self.write(move |connection| {
            execute(connection, "DELETE FROM operations WHERE id = ?1", [id.as_bytes()])?;
            Ok(())
        })
        .await
    }
}

/// As they are stored: the kind, then the numbers.
fn bytes_of(subject: Subject) -> Vec<u8> {
    let (kind, first, second) = match subject {
        Subject::Grant(image, viewer) => (1, image.0, viewer.number()),
        Subject::Image(image) => (2, image.0, 0),
        Subject::Request(request) => (3, request, 0),
    };
    [&[kind][..], &first.to_be_bytes(), &second.to_be_bytes()].concat()
}

fn subject_of(bytes: &[u8]) -> Option<Subject> {
    let (kind, numbers) = bytes.split_first()?;
    let (first, rest) = numbers.split_first_chunk::<8>()?;
    let (first, second) = (u64::from_be_bytes(*first), u64::from_be_bytes(rest.try_into().ok()?));
    match kind {
        1 => Some(Subject::Grant(ImageNo(first), PeerId::from_number(second)?)),
        2 => Some(Subject::Image(ImageNo(first))),
        3 => Some(Subject::Request(first)),
        _ => None,
    }
}

fn tidy_up(connection: &Connection, now: Timestamp) -> Result<(), Error> {
    // A clock that was set back must not keep them for ever either.
    let (oldest, newest) = (now.before(SURELY_KNOWN), now.after(SURELY_KNOWN));
    let sql = "DELETE FROM operations WHERE begun_at < ?1 OR begun_at > ?2";
    execute(connection, sql, params![oldest.0, newest.0])?;
    let sql = "DELETE FROM operations WHERE id IN
                   (SELECT id FROM operations ORDER BY begun_at DESC LIMIT -1 OFFSET ?1)";
    execute(connection, sql, [OPERATIONS_MAX.saturating_sub(1)])?;
    Ok(())
}

fn left_open(
    connection: &Connection,
    live: &Live<OperationId>,
    fingerprint: &[u8; 32],
    about: About,
) -> Result<Option<Change>, Error> {
    let mut statement = connection.prepare_cached(
        "SELECT id, begun_at, subject FROM operations WHERE fingerprint = ?1 ORDER BY begun_at",
    )?;
    let mut rows = statement.query([fingerprint])?;
    while let Some(row) = rows.next()? {
        let id = OperationId::from(row.get::<_, [u8; 16]>(0)?);
        let earlier = row.get::<_, Option<Vec<u8>>>(2)?.and_then(|bytes| subject_of(&bytes));
        if !is_repetition(about, earlier) {
            continue;
        }
        if let Some(open) = live.claim(id) {
            return Ok(Some(Change { open, begun_at: Timestamp(row.get(1)?), resumed: true }));
        }
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use dos_protocol::limits::OPERATION_REMEMBERED;

    use super::*;

    async fn begin(store: &Store, live: &Live<OperationId>, fingerprint: u8) -> Change {
        store.begin_operation(live.clone(), [fingerprint; 32], About::ITSELF).await.unwrap()
    }

    #[tokio::test]
    async fn the_same_change_has_the_same_id_until_its_outcome_was_shown() {
        let temp = tempfile::tempdir().unwrap();
        let (store, _writer) = Store::open(&temp.path().join("peerd.db")).unwrap();
        let live = Live::default();
        let first = begin(&store, &live, 1).await;
        let id = first.open.id();
        assert!(!first.resumed);
        let beside = begin(&store, &live, 1).await;
        assert!(!beside.resumed && beside.open.id() != id, "a live command's ID belongs to it alone");
        store.drop_operation(beside.open.id()).await.unwrap();
        drop(first);
        let again = begin(&store, &live, 1).await;
        assert!(again.resumed && again.open.id() == id);
        assert_ne!(begin(&store, &live, 2).await.open.id(), id);
        store.drop_operation(id).await.unwrap();
        drop(again);
        assert_ne!(begin(&store, &live, 1).await.open.id(), id);
    }

    #[tokio::test]
    async fn what_was_done_about_the_same_thing_ends_what_was_not_shown() {
        let temp = tempfile::tempdir().unwrap();
        let (store, _writer) = Store::open(&temp.path().join("peerd.db")).unwrap();
        let live = Live::default();
        let bob = PeerId::from_number(PeerId::COUNT / 2).unwrap();
        let subject = |image| Subject::Grant(ImageNo(image), bob);
        let begin = async |fingerprint: u8, image, effect| {
            let about = About { subject: Some(subject(image)), effect };
            store.begin_operation(live.clone(), [fingerprint; 32], about).await.unwrap()
        };
        let set = begin(1, 7, Effect::Sets).await.open.id();
        let added = begin(2, 7, Effect::Adds).await.open.id();
        let other = begin(3, 8, Effect::Sets).await.open.id();
        let held = begin(4, 7, Effect::Sets).await;
        assert_ne!(begin(3, 9, Effect::Sets).await.open.id(), other, "another image under that name");
        assert_ne!(begin(1, 7, Effect::Same).await.open.id(), set);
        let done = begin(5, 7, Effect::Adds).await;
        store.end_earlier(live.clone(), done.open.id(), (vec![subject(7)], Effect::Adds)).await.unwrap();
        let held_id = held.open.id();
        drop(held);
        assert_eq!(begin(4, 7, Effect::Sets).await.open.id(), held_id, "it was in flight");
        assert_ne!(begin(1, 7, Effect::Sets).await.open.id(), set);
        assert_eq!(begin(2, 7, Effect::Adds).await.open.id(), added);
        assert_eq!(begin(3, 8, Effect::Sets).await.open.id(), other);
        store.end_earlier(live.clone(), done.open.id(), (vec![subject(7)], Effect::Sets)).await.unwrap();
        assert_ne!(begin(2, 7, Effect::Adds).await.open.id(), added);
    }

    #[test]
    fn what_a_change_is_about_is_read_as_it_was_written() {
        let bob = PeerId::from_number(PeerId::COUNT / 2).unwrap();
        for subject in
            [Subject::Grant(ImageNo(7), bob), Subject::Image(ImageNo(u64::MAX)), Subject::Request(3)]
        {
            assert_eq!(subject_of(&bytes_of(subject)), Some(subject));
        }
        assert_eq!(subject_of(&[9; 17]), None);
        assert_eq!(subject_of(&[1; 3]), None);
    }

    #[tokio::test]
    async fn the_time_of_a_change_is_the_directorys() {
        let temp = tempfile::tempdir().unwrap();
        let (store, _writer) = Store::open(&temp.path().join("peerd.db")).unwrap();
        let day = i64::try_from(OPERATION_REMEMBERED.as_millis()).unwrap();
        store.directory_told(Timestamp(day)).await.unwrap();
        let change = begin(&store, &Live::default(), 1).await;
        assert!(change.begun_at >= Timestamp(day) && change.begun_at < Timestamp(2 * day));
        let id = change.open.id();
        store.directory_told(Timestamp(2 * day - day / 12)).await.unwrap();
        assert_eq!(begin(&store, &Live::default(), 1).await.open.id(), id);
        store.directory_told(Timestamp(2 * day)).await.unwrap();
        assert_ne!(begin(&store, &Live::default(), 1).await.open.id(), id);
    }

    #[tokio::test]
    async fn after_its_time_the_same_command_is_another_change() {
        let temp = tempfile::tempdir().unwrap();
        let (store, _writer) = Store::open(&temp.path().join("peerd.db")).unwrap();
        let live = Live::default();
        let id = begin(&store, &live, 1).await.open.id();
        let age = |by: i64| {
            let store = store.clone();
            async move {
                let sql = "UPDATE operations SET begun_at = begun_at - ?1";
                store.write(move |connection| execute(connection, sql, [by])).await.unwrap()
            }
        };
        let time = i64::try_from(SURELY_KNOWN.as_millis()).unwrap();
        age(time - 60_000).await;
        assert_eq!(begin(&store, &live, 1).await.open.id(), id);
        age(120_000).await;
        assert_ne!(begin(&store, &live, 1).await.open.id(), id);
    }
}
