//! What the operator's commands do to peers, and to the store.

use dos_protocol::{
    Code, Fingerprint, Seq,
    directory::{FromDirectory, Notice, NoticeKind, Op, ToDirectory, Update},
    frame,
};
use dos_testing::wait_until_async;
use serde_json::{Value, json};
use tokio::time::{Instant, timeout};

use crate::{
    commands::run,
    net::{Client, Net, PATIENCE, register, sign_in},
    shelf::views,
};

async fn notice(client: &mut Client) -> Notice {
    match client.next().await {
        Some(FromDirectory::Notice(notice)) => notice,
        other => panic!("{other:?}"),
    }
}

/// The row of this peer in `dosd peers`.
async fn row(dir: &std::path::Path, name: &str) -> Value {
    let listed = run(dir, &["peers", "--json"]).await.json();
    let rows = listed["peers"].as_array().unwrap();
    rows.iter().find(|peer| peer["name"] == name).unwrap().clone()
}

/// Waits until the peer's last session ended for this reason.
async fn ended(dir: &std::path::Path, name: &str, why: &str) -> Value {
    let is_so = async || row(dir, name).await["last_end"] == why;
    wait_until_async(&format!("{name}'s session ended: {why}"), is_so).await;
    row(dir, name).await
}

/// Serves pings in the background until the connection ends.
fn answering(mut client: Client) -> tokio::task::JoinHandle<Option<FromDirectory>> {
    tokio::spawn(async move { client.next().await })
}

#[tokio::test]
async fn peers_are_listed_with_where_and_since_when_they_are() {
    let dir = tempfile::tempdir().unwrap();
    let net = Net::start(dir.path());
    let alice = net.peer("alice").await;
    let mut bob = net.peer("bob").await;
    bob.sign_out().await;
    let here = row(dir.path(), "alice").await;
    assert_eq!((&here["online"], &here["address"]), (&json!(true), &json!("127.0.0.1:4000")));
    assert_eq!(here["id"], alice.id().to_string());
    let gone = ended(dir.path(), "bob", "signed_out").await;
    assert_eq!((&gone["online"], &gone["address"]), (&json!(false), &Value::Null));
    assert!(gone["registered_at"].as_str() <= gone["last_seen"].as_str());
    let online = run(dir.path(), &["peers", "--online", "--json"]).await.json();
    assert_eq!(online["peers"].as_array().unwrap().len(), 1);
    let table = run(dir.path(), &["peers"]).await;
    assert!(table.out.starts_with("ID ") && table.out.lines().count() == 3, "{table:?}");
    net.stop().await;
}

#[tokio::test]
async fn a_long_list_comes_in_pages_and_is_whole() {
    let dir = tempfile::tempdir().unwrap();
    let net = Net::start(dir.path());
    let count = 600;
    for batch in 0..6 {
        let joining = (0..100).map(|number| (batch * 100) + number).map(|number| {
            let net = &net;
            async move { drop(net.peer(&format!("peer{number}")).await) }
        });
        futures_util::future::join_all(joining).await;
    }
    let listed = run(dir.path(), &["peers", "--json"]).await.json();
    let mut ids: Vec<_> =
        listed["peers"].as_array().unwrap().iter().map(|peer| peer["id"].as_str().unwrap()).collect();
    assert_eq!(ids.len(), count);
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), count);
    net.stop().await;
}

#[tokio::test]
async fn how_sessions_end_is_written_down() {
    let dir = tempfile::tempdir().unwrap();
    let net = Net::start(dir.path());
    let mut bob = net.peer("bob").await;
    bob.send(&ToDirectory::Ack(Seq(9))).await;
    ended(dir.path(), "bob", "dropped").await;
    let bob = net.again(&bob).await;
    assert_eq!(row(dir.path(), "bob").await["online"], true);
    let secret = bob.secret.clone();
    drop(bob);
    ended(dir.path(), "bob", "closed").await;
    let mut first = Client::connect(&net, secret.clone()).await;
    first.enter(Op::SignIn(sign_in(1, Seq(0)))).await.unwrap();
    let mut second = Client::connect(&net, secret).await;
    let mut with_force = sign_in(2, Seq(0));
    with_force.force = true;
    second.enter(Op::SignIn(with_force)).await.unwrap();
    assert_eq!(ended(dir.path(), "bob", "taken_over").await["online"], true);
    net.stop().await;
    let net = Net::start(dir.path());
    assert_eq!(row(dir.path(), "bob").await["last_end"], "shutdown");
    net.stop().await;
}

#[tokio::test]
async fn a_ping_goes_to_the_peer_and_back() {
    let dir = tempfile::tempdir().unwrap();
    let net = Net::start(dir.path());
    let (alice, mut bob) = (net.peer("alice").await, net.peer("bob").await);
    bob.sign_out().await;
    let listening = answering(alice);
    let one = run(dir.path(), &["ping", "alice", "--json"]).await.json();
    let row = &one["peers"][0];
    assert_eq!((&row["state"], &row["name"]), (&json!("answered"), &json!("alice")));
    assert!(row["min_ms"].as_f64().unwrap() > 0.0 && row["min_ms"].as_f64() <= row["avg_ms"].as_f64());
    let all = run(dir.path(), &["ping", "--all", "--count", "1"]).await;
    assert!(all.code == 0 && all.out.contains("alice") && !all.out.contains("bob"), "{all:?}");
    for (whom, failure) in
        [("bob", (4, "offline")), ("carol", (5, "not_found")), ("127.0.0.1:9", (5, "not_found"))]
    {
        let ran = run(dir.path(), &["ping", whom, "--json"]).await;
        assert_eq!((ran.failure(), &*ran.out), ((failure.0, failure.1.into()), ""), "{whom}");
    }
    net.stop().await;
    listening.await.unwrap();
}

#[tokio::test]
async fn a_peer_that_does_not_answer_is_a_timeout_and_does_not_hold_up_the_others() {
    let dir = tempfile::tempdir().unwrap();
    let net = Net::start(dir.path());
    let _silent = net.peer("silent").await;
    let listening = answering(net.peer("alice").await);
    let ran = run(dir.path(), &["ping", "--all", "--count", "1", "--json"]).await;
    assert_eq!(ran.failure(), (9, "timeout".into()));
    let states: Vec<_> = ran.document()["peers"]
        .as_array()
        .unwrap()
        .iter()
        .map(|peer| (peer["name"].clone(), peer["state"].clone()))
        .collect();
    assert_eq!(states, [(json!("alice"), json!("answered")), (json!("silent"), json!("timeout"))]);
    net.stop().await;
    listening.await.unwrap();
}

#[tokio::test]
async fn a_kicked_peer_is_told_why_and_is_gone_when_the_command_returns() {
    let dir = tempfile::tempdir().unwrap();
    let net = Net::start(dir.path());
    let (mut alice, mut bob) = (net.peer("alice").await, net.peer("bob").await);
    let kicked = run(dir.path(), &["kick", "alice", "--reason", "too loud", "--json"]).await.json();
    assert_eq!(kicked["kicked"], 1);
    let gone = row(dir.path(), "alice").await;
    assert_eq!((&gone["online"], &gone["last_end"]), (&json!(false), &json!("kicked")));
    let told = notice(&mut alice).await;
    assert_eq!((told.kind, &*told.text), (NoticeKind::Kicked, "too loud"));
    assert_eq!(alice.next().await, None);
    let mut alice = net.again(&alice).await;
    let all = run(dir.path(), &["kick", "--all"]).await;
    assert_eq!((all.code, &*all.out), (0, "kicked 2 peers\n"));
    for peer in [&mut alice, &mut bob] {
        assert_eq!(notice(peer).await.kind, NoticeKind::Kicked);
    }
    let ran = run(dir.path(), &["kick", "alice", "--json"]).await;
    assert_eq!(ran.failure(), (4, "offline".into()));
    let nobody = run(dir.path(), &["kick", "--all"]).await;
    assert_eq!((nobody.code, &*nobody.out), (0, "kicked 0 peers\n"));
    net.stop().await;
}

#[tokio::test]
async fn a_removed_peer_is_gone_with_everything_and_its_name_is_free() {
    let dir = tempfile::tempdir().unwrap();
    let net = Net::start(dir.path());
    let mut alice = net.peer("alice").await;
    let image = alice.publish("sea", 1).await;
    let bob = net.peer("bob").await;
    alice.share(image.no, bob.id.unwrap(), views(3)).await;
    let removed = run(dir.path(), &["remove", "alice", "--json"]).await.json();
    assert_eq!((&removed["name"], &removed["images"]), (&json!("alice"), &json!(1)));
    assert_eq!(notice(&mut alice).await.kind, NoticeKind::Kicked);
    assert_eq!(alice.next().await, None);
    assert_eq!(run(dir.path(), &["remove", "alice", "--json"]).await.failure(), (5, "not_found".into()));
    let again = net.peer("alice").await;
    assert_ne!(again.id, alice.id);
    drop((again, bob));
    net.stop().await;
}

#[tokio::test]
async fn a_banned_key_registers_only_when_the_ban_is_lifted() {
    let dir = tempfile::tempdir().unwrap();
    let net = Net::start(dir.path());
    let mut eve = net.peer("eve").await;
    let (secret, id) = (eve.secret.clone(), eve.id());
    run(dir.path(), &["remove", "eve", "--ban", "--reason", "spam", "--json"]).await.json();
    let told = notice(&mut eve).await;
    assert_eq!(&*told.text, "the operator has removed and banned this peer: spam");
    let again = async || {
        let mut client = Client::connect(&net, secret.clone()).await;
        client.enter(register("eva", None)).await.map(|()| client.id())
    };
    let refused = again().await.unwrap_err();
    assert_eq!((refused.code, &*refused.message), (Code::Denied, "the operator has banned this key: spam"));
    drop(net.peer("eve").await);
    let bans = run(dir.path(), &["bans", "--json"]).await.json();
    let ban = &bans["bans"][0];
    assert_eq!(
        (&ban["id"], &ban["name"], &ban["reason"]),
        (&json!(id.to_string()), &json!("eve"), &json!("spam"))
    );
    assert_eq!(run(dir.path(), &["unban", "bob", "--json"]).await.failure(), (5, "not_found".into()));
    assert_eq!(run(dir.path(), &["unban", "eve", "--json"]).await.json()["id"], id.to_string());
    assert_ne!(again().await.unwrap(), id);
    net.stop().await;
}

#[tokio::test]
async fn a_renamed_peer_is_told_also_when_it_was_away_and_known_by_its_new_name() {
    let dir = tempfile::tempdir().unwrap();
    let net = Net::start(dir.path());
    let (mut alice, mut bob) = (net.peer("alice").await, net.peer("bob").await);
    bob.sign_out().await;
    ended(dir.path(), "bob", "signed_out").await;
    assert_eq!(
        run(dir.path(), &["rename", "bob", "alice", "--json"]).await.failure(),
        (7, "conflict".into())
    );
    let renamed =
        run(dir.path(), &["rename", "bob", "robert", "--reason", "as asked", "--json"]).await.json();
    assert_eq!((&renamed["old"], &renamed["name"]), (&json!("bob"), &json!("robert")));
    assert!(alice.ask(Op::Resolve("robert".parse().unwrap())).await.is_ok());
    assert!(alice.ask(Op::Resolve("bob".parse().unwrap())).await.is_err());
    let mut bob = net.again(&bob).await;
    let told = Update::Operator("the operator has renamed you to robert: as asked".into());
    assert_eq!(bob.update().await, told);
    // One that is online begins anew.
    run(dir.path(), &["rename", "alice", "alicia"]).await;
    while let Some(message) = alice.next().await {
        if let FromDirectory::Notice(notice) = message {
            assert_eq!(notice.kind, NoticeKind::Shutdown);
        }
    }
    net.stop().await;
}

#[tokio::test]
async fn an_image_that_is_taken_down_is_gone_for_all_and_its_owner_knows_why() {
    let dir = tempfile::tempdir().unwrap();
    let net = Net::start(dir.path());
    let (mut alice, mut bob) = (net.peer("alice").await, net.peer("bob").await);
    let image = alice.publish("sea", 1).await;
    alice.share(image.no, bob.id(), views(3)).await;
    assert!(matches!(bob.update().await, Update::Grant(_)));
    let taken = run(dir.path(), &["takedown", "alice/sea", "--reason", "a complaint", "--json"]).await.json();
    assert_eq!((&taken["image"], &taken["grants"]), (&json!(format!("{}/sea", alice.id())), &json!(1)));
    assert!(matches!(bob.update().await, Update::Removed { .. }));
    assert!(matches!(alice.update().await, Update::Grant(_)));
    assert!(matches!(alice.update().await, Update::Removed { .. }));
    assert_eq!(alice.update().await, Update::Operator("the operator has taken down sea: a complaint".into()));
    let refused = bob.spend(image.no, dos_protocol::ViewId::generate()).await.unwrap_err();
    assert_eq!(refused.code, Code::Denied);
    for (args, code) in
        [(["takedown", "alice/sea"], 5), (["takedown", "nobody/sea"], 5), (["takedown", "sea"], 2)]
    {
        assert_eq!(run(dir.path(), &args).await.code, code, "{args:?}");
    }
    assert_eq!(run(dir.path(), &["check"]).await.code, 0);
    net.stop().await;
}

#[tokio::test]
async fn everything_that_is_known_of_a_peer_is_shown() {
    let dir = tempfile::tempdir().unwrap();
    let net = Net::start(dir.path());
    let (mut alice, mut bob) = (net.peer("alice").await, net.peer("bob").await);
    bob.sign_out().await;
    ended(dir.path(), "bob", "signed_out").await;
    let image = alice.publish("sea", 1).await;
    alice.share(image.no, bob.id(), views(3)).await;
    let shown = run(dir.path(), &["show", "alice", "--json"]).await.json();
    for (key, value) in [
        ("id", json!(alice.id().to_string())),
        ("name", json!("alice")),
        ("online", json!(true)),
        ("address", json!("127.0.0.1:4000")),
        ("addresses", json!(["127.0.0.1:4000"])),
        ("images", json!(1)),
        ("preview_bytes", json!(10)),
        ("grants_given", json!(1)),
        ("grants_received", json!(0)),
        ("password", json!(false)),
    ] {
        assert_eq!(shown[key], value, "{key}");
    }
    let key = alice.secret.public().unwrap();
    assert_eq!(shown["fingerprint"], Fingerprint::new(alice.id(), &key).to_string());
    assert!(shown["online_since"].is_string());
    let shown = run(dir.path(), &["show", "bob", "--json"]).await.json();
    assert_eq!((&shown["grants_received"], &shown["inbox_rows"]), (&json!(1), &json!(1)));
    assert_eq!((&shown["online_since"], &shown["last_end"]), (&Value::Null, &json!("signed_out")));
    assert_eq!(row(dir.path(), "bob").await["inbox_rows"], 1);
    let text = run(dir.path(), &["show", "bob"]).await.out;
    assert!(text.contains("queue        1 update, ") && text.contains("offline, last seen "), "{text}");
    net.stop().await;
}

#[tokio::test]
async fn what_operators_do_is_written_down() {
    let dir = tempfile::tempdir().unwrap();
    let net = Net::start(dir.path());
    let alice = net.peer("alice").await;
    run(dir.path(), &["announce", "maintenance at ten"]).await;
    run(dir.path(), &["kick", "alice", "--reason", "noise"]).await;
    run(dir.path(), &["invite", "create"]).await;
    run(dir.path(), &["password", "--clear", "alice"]).await;
    run(dir.path(), &["remove", "alice", "--ban", "--reason", "spam"]).await;
    run(dir.path(), &["unban", "alice"]).await;
    run(dir.path(), &["peers"]).await;
    let audit = run(dir.path(), &["audit", "--json"]).await.json();
    let entries = audit["audit"].as_array().unwrap();
    let lines: Vec<_> = entries.iter().map(|entry| (entry["command"].as_str().unwrap(), entry)).collect();
    let commands: Vec<_> = lines.iter().map(|(command, _)| *command).collect();
    let expected = ["unban", "ban", "password --clear", "invite create", "kick", "announce"];
    assert_eq!(commands, expected, "the newest first");
    let id = alice.id();
    assert_eq!(lines[1].1["about"], format!("alice ({id})"));
    assert_eq!(lines[1].1["reason"], "spam");
    assert_eq!((&lines[4].1["about"], &lines[4].1["reason"]), (&json!(id.to_string()), &json!("noise")));
    assert_eq!(lines[5].1["about"], "maintenance at ten");
    let own = std::os::unix::fs::MetadataExt::uid(&std::fs::metadata(dir.path()).unwrap());
    assert!(entries.iter().all(|entry| entry["user"] == own));
    let two = run(dir.path(), &["audit", "--limit", "2", "--json"]).await.json();
    assert_eq!(two["audit"].as_array().unwrap().len(), 2);
    net.stop().await;
}

#[tokio::test]
async fn an_announcement_reaches_everybody_online_and_the_sessions_go_on() {
    let dir = tempfile::tempdir().unwrap();
    let net = Net::start(dir.path());
    let (mut alice, mut bob) = (net.peer("alice").await, net.peer("bob").await);
    let said = run(dir.path(), &["announce", "maintenance at ten", "--json"]).await.json();
    assert_eq!(said["told"], 2);
    for peer in [&mut alice, &mut bob] {
        let told = notice(peer).await;
        assert_eq!((told.kind, &*told.text), (NoticeKind::Announcement, "maintenance at ten"));
        assert!(peer.ask(Op::Resolve("alice".parse().unwrap())).await.is_ok());
    }
    for bad in ["", "two\nlines", "\u{1b}[2J", &"x".repeat(2000)] {
        let ran = run(dir.path(), &["announce", "--json", "--", bad]).await;
        assert_eq!(ran.failure(), (8, "invalid".into()), "{bad:?}");
    }
    net.stop().await;
}

#[tokio::test]
async fn a_planned_shutdown_is_told_replaced_and_comes() {
    let dir = tempfile::tempdir().unwrap();
    let net = Net::start(dir.path());
    let mut alice = net.peer("alice").await;
    let planned =
        run(dir.path(), &["shutdown", "--in", "10m", "--reason", "new disk", "--json"]).await.json();
    assert_eq!(planned["told"], 1);
    assert!(planned["at"].as_str().unwrap().ends_with('Z'));
    let told = notice(&mut alice).await;
    assert_eq!((told.kind, &*told.text), (NoticeKind::Shutdown, "the directory shuts down in 10m: new disk"));
    assert!(alice.ask(Op::Resolve("alice".parse().unwrap())).await.is_ok(), "not yet");
    let started = Instant::now();
    let sooner = run(dir.path(), &["shutdown", "--in", "1s"]).await;
    assert!(sooner.code == 0 && sooner.out.starts_with("the directory shuts down in 1s"), "{sooner:?}");
    assert_eq!(&*notice(&mut alice).await.text, "the directory shuts down in 1s");
    assert_eq!(&*notice(&mut alice).await.text, "the directory is shutting down");
    assert_eq!(alice.next().await, None);
    net.ended().await;
    assert!(started.elapsed() >= std::time::Duration::from_secs(1));
}

#[tokio::test]
async fn a_shutdown_at_once_returns_when_the_data_directory_is_free() {
    let dir = tempfile::tempdir().unwrap();
    let net = Net::start(dir.path());
    let mut alice = net.peer("alice").await;
    let ran = run(dir.path(), &["shutdown", "--reason", "bye"]).await;
    assert_eq!((ran.code, &*ran.out), (0, "the directory shuts down now; 1 peer online\n"));
    let again = Net::start(dir.path());
    assert_eq!(&*notice(&mut alice).await.text, "the directory is shutting down: bye");
    net.ended().await;
    again.stop().await;
}

#[tokio::test]
async fn a_backup_is_a_directory_that_can_take_the_place_of_the_first() {
    let dir = tempfile::tempdir().unwrap();
    let net = Net::start(dir.path());
    let (mut alice, bob) = (net.peer("alice").await, net.peer("bob").await);
    let sea = alice.publish("sea", 1).await;
    alice.share(sea.no, bob.id(), views(5)).await;
    let restored = tempfile::tempdir().unwrap();
    let copy = restored.path().join("dosd.db");
    let args = ["backup", copy.to_str().unwrap(), "--json"];
    let saved = run(dir.path(), &args).await.json();
    assert_eq!(saved["bytes"], copy.metadata().unwrap().len());
    assert_eq!(run(dir.path(), &args).await.failure(), (7, "conflict".into()));
    let nowhere = run(dir.path(), &["backup", "/no/such/place", "--json"]).await;
    assert_eq!(nowhere.failure(), (5, "not_found".into()));
    net.stop().await;
    std::fs::copy(dir.path().join("server.key"), restored.path().join("server.key")).unwrap();
    let net = Net::start(restored.path());
    let mut bob = net.again(&bob).await;
    assert!(matches!(bob.update().await, dos_protocol::directory::Update::Grant(_)));
    net.stop().await;
}

#[tokio::test]
async fn check_works_beside_the_server_and_without_it() {
    let dir = tempfile::tempdir().unwrap();
    let net = Net::start(dir.path());
    let mut alice = net.peer("alice").await;
    alice.publish("sea", 1).await;
    let sound = json!({ "schema": 1, "sound": true, "findings": [], "peers": 1, "images": 1, "grants": 0 });
    assert_eq!(run(dir.path(), &["check", "--json"]).await.json(), sound);
    net.stop().await;
    assert_eq!(run(dir.path(), &["check", "--json"]).await.json(), sound);
    let path = dir.path().join("dosd.db");
    let mut bytes = std::fs::read(&path).unwrap();
    // The page of a row, not one of the schema, without which nothing can be opened.
    let row = bytes.windows(32).position(|window| window == [1; 32]).unwrap();
    let page = row / 4096 * 4096;
    bytes[page..page + 4096].fill(0xa5);
    std::fs::write(&path, bytes).unwrap();
    let broken = run(dir.path(), &["check", "--json"]).await;
    assert_eq!((broken.failure(), &broken.document()["sound"]), ((8, "invalid".into()), &json!(false)));
}

#[tokio::test]
async fn stats_tell_what_there_is() {
    let dir = tempfile::tempdir().unwrap();
    let net = Net::start(dir.path());
    let mut alice = net.peer("alice").await;
    alice.publish("sea", 1).await;
    let stats = run(dir.path(), &["stats", "--json"]).await.json();
    for (key, value) in [("sessions", 1), ("peers", 1), ("images", 1), ("rights", 0), ("inbox_rows", 0)] {
        assert_eq!(stats[key], value, "{key}: {stats}");
    }
    assert!(
        stats["commits"].as_u64().unwrap() >= 2 && stats["database_bytes"].as_u64().unwrap() > 0,
        "{stats}"
    );
    let text = run(dir.path(), &["stats"]).await;
    assert!(text.out.contains("\npeers       1 registered, 1 online\n"), "{text:?}");
    net.stop().await;
}

#[tokio::test]
async fn a_request_that_is_not_known_is_refused() {
    use std::{io::Write, os::unix::net::UnixStream};
    let dir = tempfile::tempdir().unwrap();
    let net = Net::start(dir.path());
    let socket = dir.path().join("admin.sock");
    let asking = tokio::task::spawn_blocking(move || {
        let mut stream = UnixStream::connect(socket).unwrap();
        stream.write_all(&frame::to_frame(&json!("dance")).unwrap()).unwrap();
        let body = frame::read_blocking(&mut stream).unwrap().unwrap();
        frame::decode::<dos_protocol::admin::FromDosd>(&body).unwrap()
    });
    let reply = timeout(PATIENCE, asking).await.unwrap().unwrap();
    assert!(
        matches!(&reply, dos_protocol::admin::FromDosd::Failed(error) if error.code.as_str() == "unsupported"),
        "{reply:?}"
    );
    net.stop().await;
}
