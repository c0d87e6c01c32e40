//! A database that the release with schema 5 has written: it opens, nothing is lost, and its inboxes are replayed.

use dos_protocol::{
    directory::{FromDirectory, RequestState},
    frame,
};

use super::{
    super::{
        schema,
        stored::tests::{AT, bytes, peer, updates},
    },
    *,
};

/// Every table of schema 5 with rows: alice owns "sea", bob has a grant for it, a checkout and a pending request, carol is blocked.
const ROWS: &str = "
    INSERT INTO peers(id, key, name, registered_at, last_seen_at, images, last_end, password, preview_bytes) VALUES
        (:alice, x'0101010101010101010101010101010101010101010101010101010101010101', 'alice', 1, 5, 1, 1, '$argon2id$v=19$m=19456,t=2,p=1$c2FsdA$aGFzaA', 3),
        (:bob, x'0202020202020202020202020202020202020202020202020202020202020202', NULL, 2, 6, 0, NULL, NULL, 0),
        (:carol, x'0303030303030303030303030303030303030303030303030303030303030303', 'carol', 3, 7, 0, 0, NULL, 0);
    INSERT INTO images VALUES(:alice, 'sea', 7, zeroblob(32), 'jpeg', 4, 3, 100, zeroblob(32), 164, 'png', 2, 1, 3, 8);
    INSERT INTO previews VALUES(7, x'010203');
    UPDATE counters SET last = 7 WHERE name = 'image';
    UPDATE counters SET last = 11 WHERE name = 'request';
    INSERT INTO grants VALUES(7, :bob, :alice, zeroblob(16), zeroblob(32), 4, 6, NULL, 10);
    INSERT INTO views VALUES(x'00000000000000000000000000000001', 7, :bob, 1, 0, NULL, 9);
    INSERT INTO views VALUES(x'00000000000000000000000000000002', 7, :bob, 3, 1, NULL, 9);
    INSERT INTO views VALUES(x'00000000000000000000000000000003', 7, :bob, 2, 1, 2, 9);
    INSERT INTO views_forgotten VALUES(7, :bob, 2);
    INSERT INTO requests VALUES(11, 7, :alice, :bob, 2, 0, 'please', NULL, 9, NULL, 1);
    INSERT INTO invites VALUES(zeroblob(32), 'abcd', 5, 4, 1, 9000000000000);
    INSERT INTO messages VALUES(:bob, zeroblob(16), :alice, 12, 9);
    INSERT INTO blocks VALUES(:alice, :carol, 9);";

fn id(number: u64) -> String {
    row::peer_number(peer(number)).to_string()
}

/// Writes the database as the old release left it; alice's inbox holds every kind of update, from number 1 on.
fn write_old(path: &Path) {
    let released = dos_sqlite::Schema {
        application_id: schema::SCHEMA.application_id,
        migrations: &schema::SCHEMA.migrations[..5],
    };
    let old = dos_sqlite::open_writer(path, &released).unwrap();
    let sql = ROWS.replace(":alice", &id(1)).replace(":bob", &id(2)).replace(":carol", &id(3));
    old.execute_batch(&sql).unwrap();
    let mut latest = 0;
    for ((_, frame, _), update) in updates() {
        latest += 1;
        let kind = match update {
            Update::Message(_) => Some(1),
            Update::Request(_) => Some(2),
            _ => None,
        };
        let sender = kind.map(|_| row::peer_number(peer(2)));
        old.execute(
            "INSERT INTO inbox(peer, seq, frame, sender, kind) VALUES(?1, ?2, ?3, ?4, ?5)",
            rusqlite::params![row::peer_number(peer(1)), latest, bytes(frame), sender, kind],
        )
        .unwrap();
    }
    old.execute(
        "INSERT INTO inbox_heads VALUES(?1, ?2)",
        rusqlite::params![row::peer_number(peer(1)), latest],
    )
    .unwrap();
    let tables = "SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite%'";
    for table in old.prepare(tables).unwrap().query_map([], |row| row.get::<_, String>(0)).unwrap() {
        let table = table.unwrap();
        let sql = format!("SELECT count(*) FROM {table}");
        let rows: i64 = old.query_row(&sql, [], |row| row.get(0)).unwrap();
        assert!(rows > 0, "no row in {table}");
    }
}

async fn replayed(store: &Store, peer: PeerId) -> Vec<(Seq, Timestamp, Update)> {
    let mut found = Vec::new();
    for (seq, bytes) in store.replay(peer, Seq(0)).await.unwrap() {
        let FromDirectory::Update { seq: told, at, update } = frame::decode(&bytes[4..]).unwrap() else {
            panic!("no update")
        };
        assert_eq!(told, seq);
        found.push((seq, at, update));
    }
    found
}

#[tokio::test]
async fn a_database_of_the_release_before_opens_and_its_inbox_is_replayed() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("dosd.db");
    write_old(&path);
    assert_eq!(check(&path).unwrap().findings, Vec::<Box<str>>::new(), "sound before");
    let (store, thread) = open(dir.path());
    let expected: Vec<_> =
        updates().into_iter().zip(1..).map(|((_, update), seq)| (Seq(seq), AT, update)).collect();
    assert_eq!(replayed(&store, peer(1)).await, expected);

    let peers = store.registered(None, 10).await.unwrap();
    assert_eq!(peers.iter().map(|peer| peer.id).collect::<Vec<_>>(), [peer(1), peer(2), peer(3)]);
    let (image, preview) = store.preview(peer(2), peer(1), "sea".parse().unwrap()).await.unwrap();
    assert_eq!((image.no.0, preview), (7, vec![1, 2, 3]));
    let grant = store.grant(peer(2), image.no, peer(2)).await.unwrap();
    assert_eq!((grant.views_left, grant.views_used), (Allowance::Views(4), 6));
    assert_eq!((grant.returned, grant.allow_offline, grant.check), (2, false, None));
    let (requests, _) = store.requests(peer(1), None).await.unwrap();
    assert_eq!((requests.len(), requests[0].state, requests[0].offline), (1, RequestState::Pending, false));
    assert_eq!(store.invites(None, 10).await.unwrap()[0].uses_left, 4);
    assert_eq!(store.blocks(peer(1)).await.unwrap()[0].peer, peer(3));
    // The hash is gone, and what is left of it is that a password has to be set.
    let login = store.login("alice".parse().unwrap()).await.unwrap().unwrap();
    assert_eq!((login.peer, login.escrow), (peer(1), None));
    let again = async |number| store.peer(PeerRef::Id(peer(number))).await.unwrap().password_again;
    assert_eq!((again(1).await, again(2).await, again(3).await), (true, false, false));
    store.set_password(by(peer(1), NOW), Some(escrow())).await.unwrap();
    let login = store.login("alice".parse().unwrap()).await.unwrap().unwrap();
    assert_eq!((login.escrow, again(1).await), (Some(escrow()), false));
    close((store, thread)).await;
    assert_eq!(check(&path).unwrap().findings, Vec::<Box<str>>::new(), "sound afterwards");
    let bytes = std::fs::read(&path).unwrap();
    assert!(!bytes.windows(9).any(|window| window == b"$argon2id"), "the hash is still there");
}

#[tokio::test]
async fn old_rows_and_new_ones_stand_in_one_inbox_and_a_block_voids_both() {
    let dir = tempfile::tempdir().unwrap();
    write_old(&dir.path().join("dosd.db"));
    let (store, thread) = open(dir.path());
    let old = updates().len();
    store.send(by(peer(2), NOW), letter(peer(1))).await.unwrap();
    let rows = replayed(&store, peer(1)).await;
    assert_eq!(rows.len(), old + 1);
    assert!(matches!(rows.last(), Some((_, NOW, Update::Message(_)))));
    let blocked = store.block(by(peer(1), NOW), PeerRef::Id(peer(2)), Seq(0)).await.unwrap();
    assert_eq!((blocked.messages_purged, blocked.requests_purged, blocked.rights), (3, 1, 1));
    let rows = replayed(&store, peer(1)).await;
    assert!(!rows.iter().any(|(_, _, update)| matches!(update, Update::Message(_) | Update::Request(_))));
    // The refusal of the pending request comes behind them.
    assert_eq!(rows.len(), old + 2);
    assert!(matches!(rows.last(), Some((_, NOW, Update::Decision(_)))));
    close((store, thread)).await;
}

/// `testdata/d608605` is a directory as the release left it; its README tells what the peers had done.
#[tokio::test]
async fn what_peers_missed_under_the_release_before_is_replayed_to_them() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("dosd.db");
    let kept = Path::new(env!("CARGO_MANIFEST_DIR")).join("../testdata/d608605/dosd/dosd.db");
    std::fs::copy(kept, &path).unwrap();
    let (store, thread) = open(dir.path());
    for (name, expected) in [
        ("alice", &[][..]),
        ("bob", &["message", "grant", "grant", "grant"]),
        ("carol", &["message", "removed"]),
    ] {
        let peer = store.peer(name.parse().unwrap()).await.unwrap().id;
        let rows = store.replay(peer, Seq(0)).await.unwrap();
        let kinds: Vec<_> = rows
            .iter()
            .map(|(_, bytes)| match frame::decode(&bytes[4..]).unwrap() {
                FromDirectory::Update { update, .. } => update.kind(),
                other => panic!("{other:?}"),
            })
            .collect();
        assert_eq!(kinds, expected, "{name}");
    }
    close((store, thread)).await;
    assert_eq!(check(&path).unwrap().findings, Vec::<Box<str>>::new());
}
