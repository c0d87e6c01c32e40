//! What the store promises.

use std::{path::Path, sync::Arc};

use dos_protocol::{
    Allowance, Code, InviteCode, MessageId, PeerId, PublicKey, Reason, SealedHash, SplitId, Timestamp,
    ViewId,
    directory::{
        Blob, Escrow, ExpiryChange, KeyShare, Preview, Publish, Send, Share, Spend, SpendKind, ViewsChange,
    },
    limits::INVITE_KEPT,
    model::{Format, Original, PeerRef, SealedCopy, SessionEnd},
};
use futures_util::future::join_all;
use rusqlite::Connection as File;

use super::*;

mod beside;
mod listing;
mod messages;
mod old;
mod once;
mod place;
mod renewed;

use self::place::{Place, on_both_engines};

on_both_engines!(
    an_invite_with_ten_uses_lets_ten_of_sixty_four_in_who_race_for_it,
    registering_again_takes_nothing_and_a_taken_name_neither,
    a_wrong_a_used_up_and_an_expired_invite_look_the_same,
    invites_are_listed_in_order_revoked_by_code_or_prefix_and_forgotten_in_the_end,
    how_a_session_ended_is_kept,
    forgotten_receipts_stay_counted_and_open_checkouts_stay,
    a_store_that_was_used_is_sound,
    every_broken_invariant_is_found,
    a_page_of_a_replay_is_bounded_in_bytes_too,
);

struct Nobody;

impl Deliver for Nobody {
    fn deliver(&self, _rows: Vec<InboxRow>) {}

    fn blocking(&self, _change: BlockChange) {}

    fn news(&self, _news: PeerNews, _except: Vec<PeerId>) {}
}

fn open(dir: &Path) -> (Store, WriterThread) {
    Store::open(&dir.join("dosd.db"), Arc::new(Nobody)).unwrap()
}

async fn close((store, thread): (Store, WriterThread)) {
    drop(store);
    tokio::task::spawn_blocking(move || thread.join()).await.unwrap();
}

fn key(number: u8) -> PublicKey {
    PublicKey::from([number; 32])
}

const NOW: Timestamp = Timestamp(1_000_000_000_000);

async fn join(store: &Store, number: u8, admission: Admission) -> Result<PeerId, WireError> {
    let new = NewPeer { name: None, admission };
    match store.register(key(number), new, NOW).await {
        Ok(known) => Ok(known.id),
        Err(Refusal::Refused(error)) => Err(error),
        Err(Refusal::Store(error)) => panic!("{error}"),
    }
}

async fn invite(
    store: &Store,
    uses: u32,
    expires_at: Timestamp,
    now: Timestamp,
) -> Result<InviteCode, Refusal> {
    let code = InviteCode::generate().unwrap();
    let new = NewInvite { code: code.clone(), uses, expires_at };
    store.create_invite(new, now).await.map(|_| code)
}

fn in_a_minute() -> Timestamp {
    NOW.after(std::time::Duration::from_secs(60))
}

async fn an_invite_with_ten_uses_lets_ten_of_sixty_four_in_who_race_for_it(place: Place) {
    let (store, thread) = place.open();
    let code = invite(&store, 10, in_a_minute(), NOW).await.unwrap();
    let racing = (0..64).map(|number| join(&store, number, Admission::Invited(code.hash())));
    let results = join_all(racing).await;
    let admitted: Vec<_> = results.iter().filter_map(|result| result.as_ref().ok()).collect();
    assert_eq!(admitted.len(), 10);
    for error in results.iter().filter_map(|result| result.as_ref().err()) {
        assert_eq!((error.code, error.reason), (Code::Denied, Some(Reason::Closed)));
    }
    assert_eq!(store.invites(None, 10).await.unwrap().first().unwrap().uses_left, 0);
    assert_eq!(store.registered(None, 100).await.unwrap().len(), 10);
    close((store, thread)).await;
}

async fn registering_again_takes_nothing_and_a_taken_name_neither(place: Place) {
    let (store, thread) = place.open();
    let code = invite(&store, 3, in_a_minute(), NOW).await.unwrap();
    let with = Admission::Invited(code.hash());
    let first = join(&store, 1, with).await.unwrap();
    for again in [with, Admission::Uninvited { brought: true }, Admission::Closed] {
        assert_eq!(join(&store, 1, again).await.unwrap(), first);
    }
    let named = |number| {
        let new = NewPeer { name: Some("alice".parse().unwrap()), admission: with };
        store.register(key(number), new, NOW)
    };
    assert!(named(2).await.is_ok());
    assert!(matches!(named(3).await, Err(Refusal::Refused(error)) if error.code == Code::Conflict));
    assert_eq!(store.invites(None, 10).await.unwrap().first().unwrap().uses_left, 1);
    close((store, thread)).await;
}

async fn a_wrong_a_used_up_and_an_expired_invite_look_the_same(place: Place) {
    let (store, thread) = place.open();
    let used_up = invite(&store, 1, in_a_minute(), NOW).await.unwrap();
    join(&store, 1, Admission::Invited(used_up.hash())).await.unwrap();
    let expired = invite(&store, 1, NOW, NOW).await.unwrap();
    let revoked = invite(&store, 1, in_a_minute(), NOW).await.unwrap();
    store.revoke_invite(revoked.prefix().into()).await.unwrap();
    let refused: Vec<_> = join_all([
        join(&store, 2, Admission::Invited(used_up.hash())),
        join(&store, 2, Admission::Invited(expired.hash())),
        join(&store, 2, Admission::Invited(revoked.hash())),
        join(&store, 2, Admission::Invited([9; 32])),
        join(&store, 2, Admission::Uninvited { brought: true }),
    ])
    .await;
    assert!(refused.iter().all(|result| *result == refused[0] && result.is_err()), "{refused:?}");
    let without = join(&store, 2, Admission::Uninvited { brought: false }).await.unwrap_err();
    let closed = join(&store, 2, Admission::Closed).await.unwrap_err();
    assert!(without.message != closed.message && closed.reason == Some(Reason::Closed));
    close((store, thread)).await;
}

async fn invites_are_listed_in_order_revoked_by_code_or_prefix_and_forgotten_in_the_end(place: Place) {
    let (store, thread) = place.open();
    let mut codes = Vec::new();
    for uses in 1..=5 {
        codes.push(invite(&store, uses, in_a_minute(), Timestamp(NOW.0 + i64::from(uses))).await.unwrap());
    }
    let first = store.invites(None, 3).await.unwrap();
    let rest = store.invites(first.last().cloned(), 3).await.unwrap();
    let listed: Vec<_> = first.iter().chain(&rest).map(|invite| &*invite.prefix).collect();
    assert_eq!(listed, codes.iter().map(|code| code.prefix()).collect::<Vec<_>>());
    store.revoke_invite(codes[0].as_str().into()).await.unwrap();
    store.revoke_invite(codes[1].prefix().into()).await.unwrap();
    for gone in [codes[0].as_str(), codes[1].prefix(), "", "zz", "%"] {
        let result = store.revoke_invite(gone.into()).await;
        assert!(matches!(result, Err(Refusal::Refused(error)) if error.code == Code::NotFound), "{gone}");
    }
    let later = in_a_minute().after(INVITE_KEPT);
    invite(&store, 1, later.after(INVITE_KEPT), later).await.unwrap();
    assert_eq!(store.invites(None, 10).await.unwrap().len(), 1);
    close((store, thread)).await;
}

#[tokio::test]
async fn the_database_never_holds_the_code_of_an_invite() {
    let dir = tempfile::tempdir().unwrap();
    let (store, thread) = open(dir.path());
    let code = invite(&store, 1, in_a_minute(), NOW).await.unwrap();
    close((store, thread)).await;
    let bytes = std::fs::read(dir.path().join("dosd.db")).unwrap();
    let holds = |text: &str| bytes.windows(text.len()).any(|window| window == text.as_bytes());
    assert!(holds(code.prefix()) && !holds(code.as_str()));
}

async fn how_a_session_ended_is_kept(place: Place) {
    let (store, thread) = place.open();
    let peer = join(&store, 1, Admission::Open).await.unwrap();
    let end = async || store.registered_of(vec![peer]).await.unwrap().first().unwrap().last_end;
    assert_eq!(end().await, None);
    for kind in [
        SessionEnd::SignedOut,
        SessionEnd::Closed,
        SessionEnd::Dropped,
        SessionEnd::TakenOver,
        SessionEnd::Kicked,
        SessionEnd::Shutdown,
    ] {
        store.left((peer, 0), NOW, kind).await.unwrap();
        assert_eq!(end().await, Some(kind));
    }
    store.arrived(vec![(peer, NOW)]).await.unwrap();
    assert!(end().await.is_some(), "it ended after the peer came");
    store.arrived(vec![(peer, in_a_minute())]).await.unwrap();
    assert_eq!(end().await, None);
    close((store, thread)).await;
}

/// A store with two peers, an image, a right, two views and a checkout of which one view came back.
async fn lived_in(place: &Place) {
    let (store, thread) = place.open();
    let owner = join(&store, 1, Admission::Open).await.unwrap();
    let viewer = join(&store, 2, Admission::Open).await.unwrap();
    let publish = Publish {
        name: "sea".parse().unwrap(),
        original: Original {
            image_id: [1; 32].into(),
            format: Format::Jpeg,
            width: 4,
            height: 3,
            bytes: 100,
        },
        sealed: SealedCopy { hash: [1; 32].into(), bytes: 164 },
        preview: Preview { format: Format::Jpeg, width: 4, height: 3, data: vec![1; 10] },
        replace: false,
        record: None,
    };
    let image = store.publish(by(owner, NOW), (publish, Wanted::default())).await.unwrap().no;
    let share = Share {
        image,
        viewer: PeerRef::Id(viewer),
        views: ViewsChange::Set(Allowance::Views(9)),
        expiry: ExpiryChange::Keep,
        key: Some(KeyShare { split: SplitId::from([3; 16]), share: [4; 32], check: None }),
        lasts_ms: None,
        allow_offline: Some(true),
    };
    store.share(by(owner, NOW), share).await.unwrap();
    for (views, kind) in [(1, SpendKind::View), (1, SpendKind::View), (3, SpendKind::Checkout)] {
        let view = ViewId::generate();
        let (split, sealed) = (SplitId::from([3; 16]), SealedHash::from([1; 32]));
        store.spend(by(viewer, NOW), Spend { image, view, views, kind, split, sealed }).await.unwrap();
        if kind == SpendKind::Checkout {
            let checkin = dos_protocol::directory::Checkin { image, checkout: view, unused: 1, given_up: 0 };
            store.checkin(by(viewer, NOW), checkin).await.unwrap();
        }
    }
    let other = join(&store, 3, Admission::Open).await.unwrap();
    for sender in [viewer, other] {
        store.send(by(sender, NOW), letter(owner)).await.unwrap();
    }
    store.block(by(owner, NOW), PeerRef::Id(viewer), dos_protocol::Seq(0)).await.unwrap();
    close((store, thread)).await;
}

fn by(peer: PeerId, now: Timestamp) -> Change {
    Change::by(peer, now)
}

fn escrow() -> Escrow {
    let blob = |byte| Blob::try_from(vec![byte; 7]).unwrap();
    Escrow { record: blob(1), sealed: blob(2) }
}

fn letter(to: PeerId) -> Send {
    Send { message: MessageId::generate(), to: PeerRef::Id(to), text: "hello".into(), sealed: None }
}

async fn forgotten_receipts_stay_counted_and_open_checkouts_stay(place: Place) {
    lived_in(&place).await;
    place.execute("UPDATE views SET returned = NULL WHERE kind = 1");
    place.execute("UPDATE grants SET views_used = views_used + 1, views_left = views_left - 1");
    let (store, thread) = place.open();
    let after = |step: ReceiptsStep| (step.forgotten, step.next);
    assert_eq!(
        after(store.forget_receipts(Vec::new(), NOW, false).await.unwrap()),
        (0, None),
        "none is older"
    );
    let later = Timestamp(NOW.0 + 1);
    assert_eq!(
        after(store.forget_receipts(Vec::new(), later, true).await.unwrap()),
        (2, None),
        "only counted"
    );
    assert_eq!(after(store.forget_receipts(Vec::new(), later, false).await.unwrap()), (2, None));
    assert_eq!(after(store.forget_receipts(Vec::new(), later, false).await.unwrap()), (0, None));
    close((store, thread)).await;
    assert_eq!(place.check().findings, Vec::<Box<str>>::new());
    let left = "SELECT (SELECT count(*) FROM views), (SELECT views FROM views_forgotten)";
    assert_eq!(place.numbers(left), [1, 2]);
}

async fn a_store_that_was_used_is_sound(place: Place) {
    lived_in(&place).await;
    let checked = place.check();
    assert_eq!(checked.findings, Vec::<Box<str>>::new());
    assert_eq!((checked.peers, checked.images, checked.grants), (3, 1, 1));
}

async fn every_broken_invariant_is_found(place: Place) {
    lived_in(&place).await;
    for (damage, told) in [
        ("UPDATE grants SET views_used = views_used + 1", "views used"),
        ("DELETE FROM views WHERE kind = 0", "views used"),
        ("UPDATE views SET returned = 4 WHERE kind = 1", "given back"),
        ("UPDATE grants SET owner = owner + 1", "no such image"),
        ("UPDATE inbox_heads SET latest = 1", "beyond its head"),
        ("DELETE FROM inbox_heads", "beyond its head"),
        ("UPDATE peers SET images = 7", "images counted"),
        ("UPDATE peers SET preview_bytes = 7", "bytes of previews counted"),
        ("UPDATE peers SET row_bytes = row_bytes + 1", "bytes of rows counted"),
        ("UPDATE peers SET answer_bytes = answer_bytes + 1", "bytes of answers counted"),
        ("UPDATE peers SET sent_bytes = sent_bytes + 1", "that it has sent"),
        ("UPDATE inbox_heads SET bytes = bytes + 1", "bytes counted"),
        ("UPDATE inbox_shares SET letters = letters + 1", "the share of peer"),
        ("UPDATE inbox_shares SET bytes = bytes + 1", "the share of peer"),
        ("DELETE FROM inbox_shares", "the share of peer"),
        ("DELETE FROM previews", "has no preview"),
        ("UPDATE previews SET data = x'00'", "bytes, not"),
        ("INSERT INTO previews(image, data) VALUES(99, x'00')", "not there"),
        ("UPDATE counters SET last = 0 WHERE name = 'image'", "counter of images"),
        ("INSERT INTO requests VALUES(5, 1, 1, 2, 1, 1, NULL, NULL, 1, 1, 1, 0)", "counter of requests"),
        ("UPDATE images SET owner = 77", "refers to a row"),
        ("DELETE FROM inbox WHERE seq = 2", "rows from 1 to"),
        ("UPDATE inbox_heads SET latest = latest + 1", "is the last, its head"),
        ("UPDATE messages SET recipient = 77", "not registered"),
        ("UPDATE messages SET seq = 99", "row 99 is beyond"),
        ("UPDATE inbox SET kind = NULL WHERE sender IS NOT NULL", "and of kind"),
        ("UPDATE blocks SET blocked = blocker", "or both are one"),
        ("UPDATE grants SET views_left = views_left + 1", "granted"),
        ("UPDATE grants SET views_left = NULL", "without a limit left"),
        ("UPDATE grants SET granted = granted + 1", "granted"),
        ("UPDATE grants SET share = NULL", "revoked and has views left"),
        ("UPDATE grants SET split = x'00'", "cannot be read"),
        ("UPDATE previews SET data = zeroblob(10)", "does not have the hash"),
        ("UPDATE previews SET hash = NULL", "does not have the hash"),
        ("UPDATE images SET sealed_bytes = 1", "cannot be what"),
        ("UPDATE images SET format = 'song'", "cannot be what"),
        ("UPDATE inbox SET body = x'0100'", "cannot be read"),
        ("UPDATE views SET receipt = receipt + 1 WHERE kind = 0", "receipt of a view"),
        ("UPDATE views SET receipt = 999 WHERE kind = 0", "is not there"),
        ("DELETE FROM views WHERE kind = 1", "receipt of a view"),
        (
            "UPDATE inbox SET body = (SELECT body FROM inbox WHERE kind = 1)
             WHERE seq IN (SELECT receipt FROM views)",
            "not the receipt that it must be",
        ),
    ] {
        if damage.contains("owner = 77") && matches!(place, Place::Database(..)) {
            // There nobody can.
            continue;
        }
        let place = place.copy();
        assert!(place.execute(damage) > 0, "{damage}");
        let findings = place.check().findings;
        assert!(findings.iter().any(|finding| finding.contains(told)), "{damage}: {findings:?}");
    }
}

#[tokio::test]
async fn a_damaged_or_foreign_file_is_told_from_a_sound_one() {
    let place = Place::file();
    let Place::File(dir) = &place else { unreachable!() };
    lived_in(&place).await;
    let path = dir.path().join("dosd.db");
    let mut bytes = std::fs::read(&path).unwrap();
    // The page of a row, not one of the schema, without which nothing can be opened.
    let row = bytes.windows(32).position(|window| window == [1; 32]).unwrap();
    let page = row / 4096 * 4096;
    bytes[page..page + 4096].fill(0xa5);
    std::fs::write(&path, bytes).unwrap();
    assert!(!check(&path).unwrap().findings.is_empty());
    let code = |result: Result<_, Refusal>| match result {
        Err(Refusal::Refused(error)) => error.code,
        other => panic!("{other:?}"),
    };
    assert_eq!(code(check(&dir.path().join("missing.db"))), Code::NotFound);
    let other = dir.path().join("other.db");
    File::open(&other).unwrap().execute_batch("CREATE TABLE x(y)").unwrap();
    assert_eq!(code(check(&other)), Code::Invalid);
}

#[tokio::test]
async fn a_backup_is_whole_private_and_never_overwrites() {
    use std::os::unix::fs::PermissionsExt;
    let place = Place::file();
    let Place::File(dir) = &place else { unreachable!() };
    lived_in(&place).await;
    let (store, thread) = open(dir.path());
    let copy = dir.path().join("copy");
    let (saved, late) = tokio::join!(store.backup(copy.clone()), join(&store, 4, Admission::Open));
    late.unwrap();
    let metadata = copy.metadata().unwrap();
    assert_eq!((saved.unwrap(), metadata.permissions().mode() & 0o777), (metadata.len(), 0o600));
    let checked = check(&copy).unwrap();
    assert!(checked.findings.is_empty() && checked.grants == 1, "{checked:?}");
    let before = std::fs::read(&copy).unwrap();
    for (to, code) in [(copy.clone(), Code::Conflict), (dir.path().join("no/copy"), Code::NotFound)] {
        assert!(matches!(store.backup(to).await, Err(Refusal::Refused(error)) if error.code == code));
    }
    assert_eq!(std::fs::read(&copy).unwrap(), before);
    let names = || std::fs::read_dir(dir.path()).unwrap().map(|entry| entry.unwrap().file_name());
    assert!(
        names().all(|name| !name.to_string_lossy().ends_with(".new")),
        "{:?}",
        names().collect::<Vec<_>>()
    );
    close((store, thread)).await;
}

#[tokio::test]
async fn a_store_of_the_first_version_is_brought_up_to_date() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("dosd.db");
    let first = dos_sqlite::Schema {
        migrations: &schema::SCHEMA.migrations[..1],
        application_id: schema::SCHEMA.application_id,
    };
    let old = dos_sqlite::open_writer(&path, &first).unwrap();
    let id = i64::try_from(PeerId::COUNT / 3).unwrap();
    old.execute("INSERT INTO peers VALUES(?1, zeroblob(32), NULL, 1, 2, 0)", [id]).unwrap();
    drop(old);
    assert!(check(&path).unwrap().findings.is_empty(), "an older store can be verified, too");
    let (store, thread) = open(dir.path());
    let peers = store.registered(None, 10).await.unwrap();
    assert_eq!((peers.len(), peers[0].last_seen, peers[0].last_end), (1, Timestamp(2), None));
    close((store, thread)).await;
}

#[tokio::test]
async fn both_engines_have_the_same_tables_in_the_same_version() {
    assert_eq!(schema::POSTGRES.version(), schema::SCHEMA.migrations.len());
    let name = "both_engines_have_the_same_tables_in_the_same_version";
    let Some(database) = Place::database(name) else { return };
    let file = Place::file();
    for place in [&file, &database] {
        close(place.open()).await;
    }
    assert_eq!(file.columns(), database.columns());
}

#[test]
fn a_statement_is_prepared_once_whatever_its_values_are() {
    let dir = tempfile::tempdir().unwrap();
    let connection = dos_sqlite::open_writer(&dir.path().join("dosd.db"), &schema::SCHEMA).unwrap();
    for sql in [grants::STANDING].into_iter().chain(crate::store::messages::STATEMENTS) {
        let mut statement = connection.prepare(sql).unwrap();
        for value in 1..5 {
            let values = rusqlite::params_from_iter(vec![value; statement.parameter_count()]);
            let mut rows = statement.query(values).unwrap();
            while rows.next().unwrap().is_some() {}
        }
        assert_eq!(statement.get_status(rusqlite::StatementStatus::RePrepare), 0, "{sql}");
    }
}

async fn a_page_of_a_replay_is_bounded_in_bytes_too(place: Place) {
    let (store, thread) = place.open();
    let [alice, bob] =
        [join(&store, 1, Admission::Open).await.unwrap(), join(&store, 2, Admission::Open).await.unwrap()];
    for _ in 0..40 {
        let long = Send { text: "x".repeat(dos_protocol::limits::MESSAGE_BYTES_MAX).into(), ..letter(bob) };
        store.send(by(alice, NOW), long).await.unwrap();
    }
    let (mut after, mut pages) = (dos_protocol::Seq(0), 0);
    while after < dos_protocol::Seq(40) {
        let page = store.replay(bob, after).await.unwrap();
        assert_eq!(page.first().unwrap().0, after.next());
        assert!(page.iter().map(|(_, frame)| frame.len()).sum::<usize>() < 300 << 10);
        after = page.last().unwrap().0;
        pages += 1;
    }
    assert!((2..40).contains(&pages));
    close((store, thread)).await;
}
