//! Updates that a newer directory has made.

use dos_protocol::{
    directory::{FromDirectory, UnknownUpdate},
    frame,
};

use super::*;
use crate::rules::strangers::Strangers;

fn unreadable(seq: u64, bytes: usize) -> Arrival {
    let body = vec![0xff; bytes].into();
    Arrival::Unknown(UnknownUpdate { seq: Seq(seq), at: Timestamp(9), kind: "eclipse".into(), body })
}

/// An update as an older version would have received it.
fn once_unknown(seq: u64, update: Update) -> Arrival {
    let message = FromDirectory::Update { seq: Seq(seq), at: Timestamp(9), update };
    let body = frame::to_frame(&message).unwrap()[4..].into();
    Arrival::Unknown(UnknownUpdate { seq: Seq(seq), at: Timestamp(9), kind: "later".into(), body })
}

impl Bench {
    async fn arrive(&self, arrivals: Vec<Arrival>) -> Applied {
        self.store.apply_updates((me(), Strangers::Offer), arrivals, |_| ()).await.unwrap()
    }

    /// The same database, opened by the next process.
    async fn reopen(self) -> Self {
        let Self { store, _thread: thread, temp } = self;
        drop(store);
        tokio::task::spawn_blocking(move || thread.join()).await.unwrap();
        let (store, thread) = Store::open(&temp.path().join("peerd.db")).unwrap();
        Self { store, _thread: thread, temp }
    }
}

#[tokio::test]
async fn an_unknown_update_takes_its_place_and_holds_up_nothing() {
    let bench = bench().await;
    let known = |seq, revision| Arrival::Update(granted(seq, received(revision)));
    let applied = bench.arrive(vec![known(1, 1), unreadable(2, 10), known(3, 2)]).await;
    assert_eq!((applied.stored, applied.unknown, applied.unknown_came), (Seq(3), 1, true));
    assert_eq!(applied.kinds, ["grant", "unknown", "grant"]);
    assert_eq!((bench.store.unknown_updates(), bench.known().await.revision), (1, Revision(2)));
    let again = bench.arrive(vec![unreadable(2, 10), known(4, 3)]).await;
    assert_eq!((again.stored, again.unknown, again.unknown_came), (Seq(4), 1, false));
    let gap = bench.store.apply_updates((me(), Strangers::Offer), vec![unreadable(9, 10)], |_| ()).await;
    assert!(matches!(gap, Err(Error::Gap { got: Seq(9), expected: Seq(5) })));
    let bench = bench.reopen().await;
    assert_eq!((bench.store.unknown_updates(), bench.store.own().await.unwrap().unknown), (1, 1));
}

#[tokio::test]
async fn a_version_that_knows_a_stored_update_applies_it_when_it_opens() {
    let bench = bench().await;
    let grant = |revision| Update::Grant(Box::new(received(revision)));
    let newer = Arrival::Update(granted(3, Grant { image: ImageNo(2), ..received(9) }));
    let stale = Update::Grant(Box::new(Grant { image: ImageNo(2), ..received(8) }));
    let arrivals = vec![once_unknown(1, grant(4)), unreadable(2, 10), newer, once_unknown(4, stale)];
    assert_eq!(bench.arrive(arrivals).await.unknown, 3);
    let bench = bench.reopen().await;
    assert_eq!(bench.store.unknown_updates(), 1);
    let revision = async |no| bench.store.grant(ImageNo(no), me()).await.unwrap().unwrap().revision;
    assert_eq!((revision(1).await, revision(2).await), (Revision(4), Revision(9)));
    assert_eq!(bench.store.own().await.unwrap().stored, Seq(4));
    assert!(!bench.store.has_lost().await.unwrap());
}

#[tokio::test]
async fn a_late_renaming_is_not_believed_but_relearned() {
    let bench = bench().await;
    let info = bench.publish(1, "now", 1).await;
    bench.store.finish_publication(info).await.unwrap();
    let path = ImagePath { owner: me(), name: name("before") };
    bench.arrive(vec![once_unknown(1, Update::Renamed { image: ImageNo(1), path })]).await;
    let bench = bench.reopen().await;
    assert!(bench.store.own_image(name("now")).await.unwrap().is_some());
    assert!(bench.store.has_lost().await.unwrap());
    assert_eq!(bench.store.unknown_updates(), 0);
}

#[tokio::test]
async fn of_too_many_unknown_updates_the_oldest_are_deleted_counted_and_relearned() {
    let bench = bench().await;
    let grant = Update::Grant(Box::new(received(4)));
    let mut arrivals = vec![unreadable(1, 10)];
    arrivals.extend((2..=1_001).map(|seq| unreadable(seq, 1)));
    arrivals.push(once_unknown(1_002, grant));
    assert_eq!(bench.arrive(arrivals).await.unknown, 1_002);
    let sql = "SELECT count(*), min(seq), (SELECT unknown_deleted FROM self) FROM unknown_updates";
    let count = |connection: &Connection| {
        let of = |row: &rusqlite::Row<'_>| Ok((row.get(0)?, row.get(1)?, row.get(2)?));
        Ok(connection.query_row(sql, [], of)?)
    };
    assert_eq!(bench.store.read(count).await.unwrap(), (1_000, 3, 2));
    let bench = bench.reopen().await;
    assert_eq!(bench.store.unknown_updates(), 999);
    assert!(bench.store.has_lost().await.unwrap(), "one that was deleted may have been of a kind known now");
}

#[tokio::test]
async fn large_unknown_updates_are_bounded_by_their_bytes() {
    let bench = bench().await;
    for seq in 1..=17 {
        bench.arrive(vec![unreadable(seq, 1 << 20)]).await;
    }
    let sql = "SELECT count(*), sum(length(body)) FROM unknown_updates";
    let count = |connection: &Connection| {
        let of = |row: &rusqlite::Row<'_>| Ok((row.get(0)?, row.get(1)?));
        Ok(connection.query_row(sql, [], of)?)
    };
    assert_eq!(bench.store.read(count).await.unwrap(), (16, 16 << 20));
    assert_eq!(bench.store.unknown_updates(), 17);
}
