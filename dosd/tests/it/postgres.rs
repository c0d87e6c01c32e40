//! The directory on a database server: the main job, a server that is lost under it, and the way there from a file.

use std::{collections::BTreeMap, path::Path, sync::Arc};

use dos_protocol::{
    Allowance, ViewId,
    directory::{Delivery, FromDirectory, Op, ToDirectory, Update},
    frame,
};
use dos_testing::{Postgres, Signal, wait_until_async};
use dosd::config::{Config, FileConfig};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    task::spawn_blocking,
};

use crate::{
    commands::run,
    messages::message,
    net::{Net, open_to_all},
    programs::Served,
    shelf::{share, spend, views},
};

fn on(address: &str) -> FileConfig {
    FileConfig { store: Some(address.into()), ..open_to_all() }
}

#[tokio::test]
async fn the_main_job_is_done_and_found_again_after_a_restart() {
    let Some(server) = Postgres::shared("the_main_job_is_done_and_found_again_after_a_restart") else {
        return;
    };
    let address = server.database();
    let dir = tempfile::tempdir().unwrap();
    let net = Net::start_with(dir.path(), on(&address));
    let (mut alice, mut bob) = (net.peer("alice").await, net.peer("bob").await);
    let sea = alice.publish("sea", 1).await;
    alice.share(sea.no, bob.id(), views(3)).await;
    let view = ViewId::generate();
    for _ in 0..2 {
        assert_eq!(bob.spend(sea.no, view).await.unwrap().grant.views_left, Allowance::Views(2));
    }
    while !matches!(alice.update().await, Update::Viewed(_)) {}
    alice.sign_out().await;
    assert_eq!(bob.write_to(message("alice", "hello")).await.delivery, Delivery::Queued);
    net.stop().await;
    assert!(!dir.path().join("dosd.db").exists(), "nothing is kept in a file");
    let net = Net::start_with(dir.path(), on(&address));
    let mut alice = net.again(&alice).await;
    while !matches!(alice.update().await, Update::Message(_)) {}
    let mut bob = net.again(&bob).await;
    assert_eq!(bob.spend(sea.no, ViewId::generate()).await.unwrap().grant.views_left, Allowance::Views(1));
    net.stop().await;
    let checked = run(dir.path(), &["store", "check", "--store", &address]).await;
    assert_eq!(
        (checked.code, checked.out.as_str()),
        (0, "sound: 2 peers, 1 image, 1 grant\n"),
        "{checked:?}"
    );
}

/// What is asked for while the server is away is answered when it is there again, and is done once.
#[tokio::test]
async fn a_server_that_is_lost_for_a_moment_costs_no_session_and_no_view() {
    let name = "a_server_that_is_lost_for_a_moment_costs_no_session_and_no_view";
    let Some(server) = Postgres::own(name) else { return };
    let server = Arc::new(server);
    let address = server.database();
    let dir = tempfile::tempdir().unwrap();
    let net = Net::start_with(dir.path(), on(&address));
    let (mut alice, mut bob) = (net.peer("alice").await, net.peer("bob").await);
    let sea = alice.publish("sea", 1).await;
    alice.share(sea.no, bob.id(), views(100)).await;
    let (stopping, starting) = (Arc::clone(&server), Arc::clone(&server));
    spawn_blocking(move || stopping.kill()).await.unwrap();
    let mut asked = Vec::new();
    for id in 0..20 {
        let op = Op::Spend(spend(sea.no, ViewId::generate()));
        frame::encode(&ToDirectory::request(1000 + id, op), &mut asked).unwrap();
    }
    bob.send_bytes(&asked).await;
    spawn_blocking(move || starting.start()).await.unwrap();
    for _ in 0..20 {
        let answer = bob.next().await;
        assert!(matches!(&answer, Some(FromDirectory::Answer { .. })), "{answer:?}");
    }
    let spent = bob.spend(sea.no, ViewId::generate()).await.unwrap();
    assert_eq!((spent.grant.views_used, spent.grant.views_left), (21, Allowance::Views(79)));
    let again = alice.ask(share(sea.no, bob.id(), views(5))).await;
    assert!(again.is_ok(), "her session is the same: {again:?}");
    net.stop().await;
    assert_eq!(run(dir.path(), &["store", "check", "--store", &address]).await.code, 0);
}

#[tokio::test]
async fn it_is_ready_while_the_store_takes_writes_and_healthy_either_way() {
    let name = "it_is_ready_while_the_store_takes_writes_and_healthy_either_way";
    let Some(server) = Postgres::own(name) else { return };
    let address = server.database();
    let dir = tempfile::tempdir().unwrap();
    let said = FileConfig {
        listen: "127.0.0.1:0".parse().ok(),
        metrics: "127.0.0.1:0".parse().ok(),
        data_dir: Some(dir.path().into()),
        ..on(&address)
    };
    let server_of_peers = dosd::Server::start(&Config::new(said, FileConfig::default()).unwrap()).unwrap();
    let page = server_of_peers.metrics().unwrap();
    let stop = tokio_util::sync::CancellationToken::new();
    let running = tokio::spawn(server_of_peers.run(stop.clone()));
    let get = async |path: &str| {
        let mut stream = TcpStream::connect(page).await.unwrap();
        let asked = format!("GET {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n");
        stream.write_all(asked.as_bytes()).await.unwrap();
        let mut text = String::new();
        stream.read_to_string(&mut text).await.unwrap();
        text.split(' ').nth(1).unwrap().to_owned()
    };
    assert_eq!((get("/readyz").await.as_str(), get("/healthz").await.as_str()), ("200", "200"));
    // Its kernel goes on taking what is sent to it.
    server.signal_all(Signal::STOP);
    assert_eq!((get("/readyz").await.as_str(), get("/healthz").await.as_str()), ("503", "200"));
    server.signal_all(Signal::CONT);
    wait_until_async("the store takes writes again", async || get("/readyz").await == "200").await;
    stop.cancel();
    running.await.unwrap().unwrap();
}

#[tokio::test]
async fn a_store_moves_from_its_file_once_and_peers_find_everything_there() {
    let name = "a_store_moves_from_its_file_once_and_peers_find_everything_there";
    let Some(server) = Postgres::shared(name) else { return };
    let address = server.database();
    let dir = tempfile::tempdir().unwrap();
    let net = Net::start(dir.path());
    let (mut alice, mut bob) = (net.peer("alice").await, net.peer("bob").await);
    let sea = alice.publish("sea", 1).await;
    alice.share(sea.no, bob.id(), views(3)).await;
    let view = ViewId::generate();
    bob.spend(sea.no, view).await.unwrap();
    alice.sign_out().await;
    assert_eq!(bob.write_to(message("alice", "hello")).await.delivery, Delivery::Queued);
    let args = ["store", "move", "--to", &address];
    assert_eq!(run(dir.path(), &args).await.code, 7, "the server runs");
    net.stop().await;
    let config = FileConfig { data_dir: Some(dir.path().into()), ..on(&address) };
    let early = dosd::Server::start(&Config::new(config, FileConfig::default()).unwrap());
    assert!(matches!(early, Err(dosd::StartError::NotMoved(_))), "{early:?}");
    let moved = run(dir.path(), &args).await;
    assert_eq!(
        (moved.code, moved.out.as_str()),
        (0, "moved and sound: 2 peers, 1 image, 1 grant\n"),
        "{moved:?}"
    );
    assert!(dir.path().join("dosd.db").exists());
    assert_eq!(run(dir.path(), &args).await.code, 7, "there is something there now");
    let net = Net::start_with(dir.path(), on(&address));
    let mut bob = net.again(&bob).await;
    let spent = bob.spend(sea.no, view).await.unwrap();
    assert_eq!((spent.grant.views_used, spent.grant.views_left), (1, Allowance::Views(2)));
    let mut alice = net.again(&alice).await;
    while !matches!(alice.update().await, Update::Message(_)) {}
    let new = alice.publish("lake", 2).await;
    assert!(new.no > sea.no, "numbers go on");
    net.stop().await;
    assert_eq!(run(dir.path(), &["store", "check", "--store", &address]).await.code, 0);
}

/// Everything in a store in a file: every row of every table.
fn dump(data_dir: &Path) -> BTreeMap<String, Vec<String>> {
    let store = rusqlite::Connection::open(data_dir.join("dosd.db")).unwrap();
    let mut tables =
        store.prepare("SELECT name FROM sqlite_master WHERE type IN ('table', 'trigger', 'index')").unwrap();
    let names: Vec<String> = tables.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect();
    let rows = |name: &String| {
        let Ok(mut rows) = store.prepare(&format!("SELECT * FROM {name}")) else { return Vec::new() };
        let columns = rows.column_count();
        let row = |row: &rusqlite::Row<'_>| {
            let values: Vec<rusqlite::types::Value> = (0..columns).map(|at| row.get_unwrap(at)).collect();
            Ok(format!("{values:?}"))
        };
        let mut all: Vec<String> = rows.query_map([], row).unwrap().map(Result::unwrap).collect();
        all.sort();
        all
    };
    names.iter().map(|name| (name.clone(), rows(name))).collect()
}

#[tokio::test]
async fn a_store_moves_there_and_back_and_is_what_it_was() {
    let Some(server) = Postgres::shared("a_store_moves_there_and_back_and_is_what_it_was") else { return };
    let address = server.database();
    let (dir, back) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let net = Net::start(dir.path());
    let (mut alice, mut bob) = (net.peer("alice").await, net.peer("bob").await);
    let sea = alice.publish("sea", 1).await;
    alice.share(sea.no, bob.id(), views(3)).await;
    bob.spend(sea.no, ViewId::generate()).await.unwrap();
    alice.sign_out().await;
    assert_eq!(bob.write_to(message("alice", "hello")).await.delivery, Delivery::Queued);
    net.stop().await;
    assert_eq!(run(dir.path(), &["store", "move", "--to", &address]).await.code, 0);
    let before = dump(dir.path());
    assert!(before.values().map(Vec::len).sum::<usize>() > 10, "{before:?}");
    let args = ["store", "move", "--back", "--store", &address];
    assert_eq!(run(dir.path(), &args).await.code, 7, "there is a file");
    std::fs::copy(dir.path().join("server.key"), back.path().join("server.key")).unwrap();
    let moved = run(back.path(), &args).await;
    assert_eq!(
        (moved.code, moved.out.as_str()),
        (0, "moved back and sound: 2 peers, 1 image, 1 grant\n"),
        "{moved:?}"
    );
    assert_eq!(dump(back.path()), before);
    let net = Net::start(back.path());
    let mut alice = net.again(&alice).await;
    while !matches!(alice.update().await, Update::Message(_)) {}
    assert!(alice.publish("lake", 2).await.no > sea.no, "numbers go on");
    net.stop().await;
    let other = tempfile::tempdir().unwrap();
    let empty = server.database();
    let nothing = run(other.path(), &["store", "move", "--back", "--store", &empty]).await;
    assert_eq!(nothing.code, 5, "{nothing:?}");
    assert!(!other.path().join("dosd.db").exists() && !other.path().join("dosd.db.new").exists());
}

#[tokio::test]
async fn a_store_does_not_move_back_under_a_server() {
    let Some(server) = Postgres::shared("a_store_does_not_move_back_under_a_server") else { return };
    let address = server.database();
    let (dir, back) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let net = Net::start_with(dir.path(), on(&address));
    let refused = run(back.path(), &["store", "move", "--back", "--store", &address]).await;
    assert_eq!(refused.code, 7, "{refused:?}");
    assert!(!back.path().join("dosd.db").exists());
    let mut alice = net.peer("alice").await;
    alice.publish("sea", 1).await;
    net.stop().await;
}

#[tokio::test]
async fn the_program_takes_the_store_from_flags_and_environment_and_refuses_what_is_not_durable() {
    let name = "the_program_takes_the_store_from_flags_and_environment_and_refuses_what_is_not_durable";
    let Some(server) = Postgres::shared(name) else { return };
    let address = server.database();
    let dir = tempfile::tempdir().unwrap();
    let migrated = run(dir.path(), &["--json", "store", "migrate", "--store", &address]).await;
    assert_eq!(migrated.code, 2, "{migrated:?}");
    let migrated = run(dir.path(), &["store", "migrate", "--json", "--store", &address]).await;
    assert_eq!(migrated.json()["before"], 0);
    let mut served = Served::start(dir.path(), &["--store", &address]).await;
    assert_eq!(run(dir.path(), &["check"]).await.out, "sound: 0 peers, 0 images, 0 grants\n");
    assert_eq!(run(dir.path(), &["stats", "--json"]).await.code, 0);
    let copy = dir.path().join("copy.db");
    let refused = run(dir.path(), &["backup", copy.to_str().unwrap()]).await;
    assert!(refused.code == 8 && refused.err.contains("backed up there"), "{refused:?}");
    assert_eq!(run(dir.path(), &["shutdown"]).await.code, 0);
    assert_eq!(served.exit_code(), Some(0));
    for (given, told) in [
        ("postgres://dosd@db1/dosd", "--store-ca"),
        ("postgres://dosd:secret@localhost/dosd", "a password belongs into a file"),
        ("postgres://dosd@%2Fnowhere/dosd", "no database server takes writes"),
    ] {
        let refused = run(dir.path(), &["store", "check", "--store", given]).await;
        assert!(refused.code != 0 && refused.err.contains(told), "{refused:?}");
        assert!(!refused.err.contains("secret"), "{refused:?}");
    }
    let database = address.rsplit('/').next().unwrap().to_owned();
    server.sql("postgres", &format!("ALTER DATABASE {database} SET synchronous_commit = off"));
    let refused = run(dir.path(), &["serve", "--listen", "127.0.0.1:0", "--store", &address]).await;
    assert!(refused.code == 1 && refused.err.contains("synchronous_commit off"), "{refused:?}");
}

/// What a database server has is put back from a backup, and `store leap` says so to the peers.
#[tokio::test]
async fn what_is_restored_on_a_database_server_is_another_incarnation() {
    let name = "what_is_restored_on_a_database_server_is_another_incarnation";
    let Some(server) = Postgres::shared(name) else { return };
    let address = server.database();
    let dir = tempfile::tempdir().unwrap();
    let net = Net::start_with(dir.path(), on(&address));
    let (mut alice, bob) = (net.peer("alice").await, net.peer("bob").await);
    let sea = alice.publish("sea", 1).await;
    alice.share(sea.no, bob.id(), views(5)).await;
    let in_use = run(dir.path(), &["store", "leap", "--store", &address]).await;
    assert_eq!(in_use.code, 7, "{in_use:?}");
    net.stop().await;
    let backup = server.database_like(&address);
    let net = Net::start_with(dir.path(), on(&address));
    let (mut alice, mut bob) = (net.again(&alice).await, net.again(&bob).await);
    bob.spend(sea.no, ViewId::generate()).await.unwrap();
    let shore = alice.publish("shore", 2).await;
    net.stop().await;
    let leapt = run(dir.path(), &["store", "leap", "--store", &backup]).await;
    let told = "restored: 2 peers, 1 image, 1 grant; peers bring back what they know as they sign in\n";
    assert_eq!((leapt.code, leapt.out.as_str()), (0, told), "{leapt:?}");
    let net = Net::start_with(dir.path(), on(&backup));
    let mut alice = net.again(&alice).await;
    let data = alice.signed_in.as_ref().and_then(|signed_in| signed_in.data.clone()).unwrap();
    assert!(data.renewed, "{data:?}");
    let cliff = alice.publish("cliff", 3).await;
    assert!(cliff.no > shore.no, "no number is given again");
    net.stop().await;
    assert_eq!(run(dir.path(), &["store", "check", "--store", &backup]).await.code, 0);
}
