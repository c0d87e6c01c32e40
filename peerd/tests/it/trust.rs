//! A directory that lies: its database is edited while it runs, and what it says then is refused.

use std::{fs, path::Path};

use dos_protocol::{
    Code, ImageNo, PublicKey, Reason, SealedHash, SplitId,
    frame::{self, Reader},
    key::SecretKey,
    peer::{Fetch, FromPeer, ToPeer},
    tls::{Alpn, ClientTls},
};
use rusqlite::{Connection, params};
use serde_json::Value;
use tokio::{io::AsyncWriteExt, net::TcpStream};

use crate::{
    messages::Following,
    stage::{Peer, Stage, wait_until},
};

fn picture(peer: &Peer, name: &str, shade: u8) -> Vec<u8> {
    let path = peer.dir.join(format!("{name}.jpg"));
    image::RgbImage::from_pixel(64, 48, image::Rgb([shade, 80, 90])).save(&path).unwrap();
    fs::read(&path).unwrap()
}

fn database(stage: &Stage) -> Connection {
    Connection::open(stage.path("dosd").join("dosd.db")).unwrap()
}

fn number(id: &Value) -> i64 {
    id.as_str().unwrap().parse::<dos_protocol::PeerId>().unwrap().number().cast_signed()
}

fn id(peer: &Peer) -> Value {
    peer.json(&["status"])["id"].clone()
}

pub(crate) fn secret(peer: &Peer) -> SecretKey {
    let text = fs::read_to_string(peer.dir.join("state/identity.toml")).unwrap();
    let line = text.lines().find(|line| line.starts_with("secret_key")).unwrap();
    line.split('"').nth(1).unwrap().parse().unwrap()
}

/// Puts another key in the place of a peer's. Returns the one that it had.
fn swap_key(stage: &Stage, peer: &Value, key: &PublicKey) -> Vec<u8> {
    let database = database(stage);
    let sql = "SELECT key FROM peers WHERE id = ?1";
    let old = database.query_row(sql, [number(peer)], |row| row.get(0)).unwrap();
    set_key(&database, peer, key.as_bytes());
    old
}

fn set_key(database: &Connection, peer: &Value, key: &[u8]) {
    let sql = "UPDATE peers SET key = ?2 WHERE id = ?1";
    assert_eq!(database.execute(sql, params![number(peer), key]).unwrap(), 1);
}

/// What an operator finds in its database about the only grant there is.
pub(crate) fn grant(stage: &Stage) -> Fetch {
    let sql = "SELECT g.image, i.sealed_hash, g.split FROM grants g JOIN images i ON i.no = g.image";
    let (image, sealed, split) = database(stage)
        .query_row(sql, [], |row| {
            Ok((row.get::<_, i64>(0)?, row.get::<_, [u8; 32]>(1)?, row.get::<_, [u8; 16]>(2)?))
        })
        .unwrap();
    let image = ImageNo(image.cast_unsigned());
    Fetch {
        image,
        sealed: SealedHash::from(sealed),
        split: SplitId::from(split),
        from: 0,
        skip: 0,
        upto: None,
    }
}

/// Asks the owner's daemon as the holder of `secret` would.
fn fetch_as(secret: &SecretKey, owner: &Peer, fetch: Fetch) -> FromPeer {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let address = owner.json(&["status"])["listen"].as_str().unwrap().to_owned();
    let key = secret_key_of(owner);
    runtime.block_on(async {
        let tls = ClientTls::new(secret, key, Alpn::Peer).unwrap();
        let stream = tls.connect(TcpStream::connect(address).await.unwrap()).await.unwrap();
        let mut stream = Reader::new(stream);
        let frame = frame::to_frame(&ToPeer::Fetch(fetch)).unwrap();
        stream.get_mut().write_all(&frame).await.unwrap();
        stream.get_mut().flush().await.unwrap();
        frame::decode(&stream.next().await.unwrap().unwrap()).unwrap()
    })
}

pub(crate) fn secret_key_of(peer: &Peer) -> PublicKey {
    secret(peer).public().unwrap()
}

#[test]
fn a_viewers_key_that_the_directory_swaps_gets_nothing_and_is_noticed() {
    let stage = Stage::new();
    let (alice, bob) = (stage.peer("alice"), stage.peer("bob"));
    let original = picture(&alice, "sea", 10);
    alice.ctl(&["add", "sea.jpg"]).ok();
    alice.ctl(&["share", "sea", "bob", "--views", "5"]).ok();
    let mut watching = Following::start(&alice, &["--json", "watch"]);
    watching.event("notice");
    let (mallory, bobs) = (SecretKey::generate().unwrap(), id(&bob));
    let old = swap_key(&stage, &bobs, &mallory.public().unwrap());
    match fetch_as(&mallory, &alice, grant(&stage)) {
        FromPeer::Refused(error) => {
            assert_eq!((error.code, error.reason), (Code::Denied, Some(Reason::KeyChanged)), "{error}");
        }
        other => panic!("the owner gave {other:?}"),
    }
    let change = watching.event("key_change");
    assert_eq!((&change["id"], &change["name"]), (&bobs, &"bob".into()));
    assert_ne!(change["fingerprint"], change["key_changed"]["fingerprint"]);
    assert_eq!(alice.json(&["status"])["pending"]["key_changes"], 1);
    let error = alice.error(6, &["share", "sea", "bob", "--add", "1"]);
    assert_eq!(error["error"]["reason"], "key_changed");
    assert_eq!(error["error"]["hint"], "dosctl trust bob");
    // Taken back at the directory it works on, and what was seen stays until a person has decided.
    set_key(&database(&stage), &bobs, &old);
    bob.ctl(&["logout"]).ok();
    bob.ctl(&["login"]).ok();
    assert_eq!(bob.view("alice/sea"), original);
    alice.ctl(&["share", "sea", "bob", "--add", "1"]).ok();
    assert_eq!(alice.json(&["status"])["pending"]["key_changes"], 1);
    alice.ctl(&["trust", "bob", "--keep"]).ok();
    assert_eq!(alice.json(&["status"])["pending"]["key_changes"], 0);
    assert!(alice.json(&["contacts"])["contacts"][0]["key_changed"].is_null());
}

#[test]
fn an_owner_with_another_key_is_neither_believed_nor_fetched_from() {
    let stage = Stage::new();
    let (alice, bob) = (stage.peer("alice"), stage.peer("bob"));
    picture(&alice, "sea", 10);
    alice.ctl(&["add", "sea.jpg"]).ok();
    bob.ctl(&["request", "alice/sea"]).ok();
    let alices = id(&alice);
    swap_key(&stage, &alices, &SecretKey::generate().unwrap().public().unwrap());
    let refused = |args: &[&str]| {
        let error = bob.error(6, args);
        assert_eq!(error["error"]["reason"], "key_changed", "{args:?}: {error}");
    };
    refused(&["request", "alice/sea", "--views", "2"]);
    refused(&["send", "alice", "hello", "--direct"]);
    refused(&["ping", "alice"]);
    let listed = bob.json(&["list", "alice"]);
    // The list is still what Alice has signed; the key that the directory tells does not matter.
    assert_eq!(listed["peers"][0]["images"][0]["signature"], "valid");
}

#[test]
fn a_key_change_is_confirmed_by_a_person_and_the_grants_go_on() {
    let stage = Stage::new();
    let (alice, bob) = (stage.peer("alice"), stage.peer("bob"));
    let original = picture(&alice, "sea", 10);
    alice.ctl(&["add", "sea.jpg"]).ok();
    alice.ctl(&["share", "sea", "bob", "--views", "5"]).ok();
    assert_eq!(bob.view("alice/sea"), original);
    // The operator gives Bob's ID to his new machine's key, as he has asked on the telephone.
    let bobs = id(&bob);
    let fresh = SecretKey::generate().unwrap();
    bob.ctl(&["logout"]).ok();
    swap_key(&stage, &bobs, &fresh.public().unwrap());
    let state = stage.path("bob2").join("state");
    fs::create_dir_all(&state).unwrap();
    private(&state, 0o700);
    let old = fs::read_to_string(bob.dir.join("state/identity.toml")).unwrap();
    let text = old.replace(&*secret(&bob).to_text(), &fresh.to_text());
    fs::write(state.join("identity.toml"), text).unwrap();
    private(&state.join("identity.toml"), 0o600);
    let again = stage.stranger("bob2");
    again.ctl(&["login"]).ok();
    again.ctl(&["view", "alice/sea", "-o", "-"]).fails(6);
    alice.ctl(&["share", "sea", "bob", "--add", "1"]).fails(6);
    let shown = alice.json(&["trust", "bob", "--accept"]);
    assert_eq!(
        (&shown["trust"], &shown["key"]),
        (&"verified".into(), &fresh.public().unwrap().to_string().into())
    );
    wait_until("Bob gets the grant under the new key", || {
        again.ctl(&["view", "alice/sea", "-o", "-"]).out == original
    });
}

fn private(path: &Path, mode: u32) {
    use std::os::unix::fs::PermissionsExt;
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

#[test]
fn previews_and_lists_are_what_the_owner_has_signed_or_refused() {
    let stage = Stage::new();
    let (alice, bob) = (stage.peer("alice"), stage.peer("bob"));
    picture(&alice, "sea", 10);
    alice.ctl(&["add", "sea.jpg"]).ok();
    bob.ctl(&["request", "alice/sea"]).ok();
    let state = || bob.json(&["list", "alice"])["peers"][0]["images"][0]["signature"].clone();
    assert_eq!(
        (state(), &bob.json(&["preview", "alice/sea"])["signature"]),
        ("valid".into(), &"valid".into())
    );
    let old: Vec<u8> = database(&stage).query_row("SELECT record FROM images", [], |row| row.get(0)).unwrap();
    let set = |column: &str, value: &dyn rusqlite::ToSql| {
        database(&stage).execute(&format!("UPDATE images SET {column} = ?1"), [value]).unwrap();
    };
    // Another preview.
    let preview: Vec<u8> =
        database(&stage).query_row("SELECT data FROM previews", [], |row| row.get(0)).unwrap();
    let mut other = preview.clone();
    *other.last_mut().unwrap() ^= 1;
    database(&stage).execute("UPDATE previews SET data = ?1", [&other]).unwrap();
    assert!(bob.ctl(&["preview", "alice/sea", "-o", "-"]).fails(8).contains("another preview"));
    database(&stage).execute("UPDATE previews SET data = ?1", [&preview]).unwrap();
    // Another size.
    set("width", &9999);
    assert_eq!(state(), "wrong");
    assert!(bob.ctl(&["list", "alice"]).err.contains("is not what its owner has signed"));
    set("width", &64);
    assert_eq!(state(), "valid");
    // No word of the owner's at all.
    set("record", &rusqlite::types::Null);
    assert_eq!(state(), "missing");
    assert!(bob.ctl(&["preview", "alice/sea"]).fails(8).contains("not signed"));
    set("record", &old);
    // An old word, with everything that belonged to it.
    let columns =
        "image_id, bytes, sealed_hash, sealed_bytes, preview_bytes, record, thumbhash, thumbhash_signature";
    let row: Vec<rusqlite::types::Value> = database(&stage)
        .query_row(&format!("SELECT {columns} FROM images"), [], |row| (0..8).map(|at| row.get(at)).collect())
        .unwrap();
    picture(&alice, "other", 200);
    alice.ctl(&["add", "other.jpg", "--name", "sea", "--replace"]).ok();
    assert_eq!(state(), "valid");
    database(&stage)
        .execute(
            "UPDATE images SET image_id = ?1, bytes = ?2, sealed_hash = ?3, sealed_bytes = ?4, preview_bytes = ?5, record = ?6,
                thumbhash = ?7, thumbhash_signature = ?8",
            rusqlite::params_from_iter(row),
        )
        .unwrap();
    database(&stage).execute("UPDATE previews SET data = ?1", [&preview]).unwrap();
    assert_eq!(state(), "old");
    assert!(bob.ctl(&["preview", "alice/sea"]).fails(8).contains("an old preview"));
}

#[test]
fn a_message_that_the_directory_changes_is_refused_and_those_behind_it_arrive() {
    let stage = Stage::new();
    let (alice, bob) = (stage.peer("alice"), stage.peer("bob"));
    alice.ctl(&["send", "bob", "one"]).ok();
    bob.ctl(&["logout"]).ok();
    alice.ctl(&["send", "bob", "two"]).ok();
    alice.ctl(&["send", "bob", "three"]).ok();
    let database = database(&stage);
    let (seq, mut body): (i64, Vec<u8>) = database
        .query_row("SELECT seq, body FROM inbox WHERE kind = 1 ORDER BY seq LIMIT 1", [], |row| {
            Ok((row.get(0)?, row.get(1)?))
        })
        .unwrap();
    *body.last_mut().unwrap() ^= 1;
    database.execute("UPDATE inbox SET body = ?2 WHERE seq = ?1 AND kind = 1", params![seq, body]).unwrap();
    let mut watching = Following::start(&bob, &["--json", "watch"]);
    watching.event("notice");
    bob.ctl(&["login"]).ok();
    let texts: Vec<Value> = bob.json(&["messages"])["messages"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| one["text"].clone())
        .collect();
    assert_eq!(texts, ["one", "three"]);
    assert_eq!(bob.json(&["status"])["pending"]["refused_messages"], 1);
    wait_until("Bob is notified", || {
        watching.event("notice")["text"].as_str().unwrap().contains("alice has not signed it")
    });
}

#[test]
fn nothing_is_sealed_to_a_key_that_the_directory_made_up() {
    let stage = Stage::new();
    let (alice, bob, carol) = (stage.peer("alice"), stage.peer("bob"), stage.peer("carol"));
    let sealing = |peer: &Peer| -> Vec<u8> {
        let sql = "SELECT sealing FROM peers WHERE id = ?1";
        database(&stage).query_row(sql, [number(&id(peer))], |row| row.get(0)).unwrap()
    };
    let (bobs, carols) = (sealing(&bob), sealing(&carol));
    let set = |value: &[u8]| {
        let sql = "UPDATE peers SET sealing = ?2 WHERE id = ?1";
        database(&stage).execute(sql, params![number(&id(&bob)), value]).unwrap();
    };
    set(&carols);
    assert!(alice.ctl(&["send", "bob", "secret"]).fails(6).contains("bob has not signed"));
    set(&bobs);
    alice.ctl(&["send", "bob", "secret"]).ok();
    // From now on Bob's key is known: what the directory says does not count.
    set(&carols);
    alice.ctl(&["send", "bob", "more"]).ok();
    let texts: Vec<Value> = bob.json(&["messages"])["messages"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| one["text"].clone())
        .collect();
    assert_eq!(texts, ["secret", "more"]);
}

#[test]
fn a_name_that_leads_to_another_peer_is_not_followed() {
    let stage = Stage::new();
    let (alice, bob, carol) = (stage.peer("alice"), stage.peer("bob"), stage.peer("carol"));
    picture(&alice, "sea", 10);
    alice.ctl(&["add", "sea.jpg"]).ok();
    alice.ctl(&["send", "bob", "hello"]).ok();
    let (bobs, carols) = (number(&id(&bob)), number(&id(&carol)));
    // The operator calls Carol by Bob's name.
    let rename = |peer: i64, name: &str| {
        database(&stage).execute("UPDATE peers SET name = ?2 WHERE id = ?1", params![peer, name]).unwrap();
    };
    rename(bobs, "robert");
    rename(carols, "bob");
    alice.ctl(&["send", "bob", "for bob alone"]).ok();
    alice.ctl(&["share", "sea", "bob", "--views", "1"]).ok();
    assert!(carol.json(&["messages"])["messages"].as_array().unwrap().is_empty());
    assert!(carol.right("sea").is_none());
    wait_until("Bob has the grant", || bob.right("sea").is_some());
    assert_eq!(bob.json(&["messages"])["messages"].as_array().unwrap().len(), 2);
}

#[test]
fn a_card_is_trusted_before_anything_was_exchanged() {
    let stage = Stage::new();
    let (alice, bob) = (stage.peer("alice"), stage.peer("bob"));
    let card = bob.json(&["card"]);
    let trusted = alice.json(&["trust", card["link"].as_str().unwrap()]);
    assert_eq!(
        (&trusted["trust"], &trusted["fingerprint"], &trusted["id"]),
        (&"verified".into(), &card["fingerprint"], &card["id"])
    );
    assert_eq!(alice.json(&["contacts"])["contacts"][0]["fingerprint"], card["fingerprint"]);
    // The directory gives Bob's ID to another key before Alice has ever dealt with him.
    picture(&alice, "sea", 10);
    alice.ctl(&["add", "sea.jpg"]).ok();
    let old = swap_key(&stage, &card["id"], &SecretKey::generate().unwrap().public().unwrap());
    let error = alice.error(6, &["share", "sea", "bob", "--views", "1"]);
    assert_eq!(error["error"]["reason"], "key_changed");
    set_key(&database(&stage), &card["id"], &old);
    alice.ctl(&["share", "sea", "bob", "--views", "1"]).ok();
    // Both people read the same digits.
    bob.ctl(&["send", "alice", "hi"]).ok();
    assert_eq!(bob.json(&["contacts"])["contacts"][0]["fingerprint"], alice.json(&["card"])["fingerprint"]);
}
