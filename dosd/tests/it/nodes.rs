//! Several nodes of one directory: what peers at different nodes see of each other, and what a node that ends or dies leaves.

use std::{path::Path, sync::Arc};

use dos_protocol::{
    Allowance, Code, Reason, ViewId,
    directory::{
        Answer, Call, Delivery, FromDirectory, List, NoticeKind, Op, RELAY_MAGIC, Subscription, Update,
    },
    limits::PASSWORD_TRIES,
    model::SessionEnd,
};
use dos_testing::{PATIENCE, Postgres, wait_until_async};
use dosd::config::{Config, FileConfig};
use futures_util::future::join_all;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    time::timeout,
};

use crate::{
    commands::run,
    messages::message,
    net::{Client, Net, NodeOf, open_to_all, sign_in},
    passwords::{guess, peer_with_password},
    programs::Served,
    shelf::{everything, views},
};

fn on(address: &str) -> FileConfig {
    FileConfig { store: Some(address.into()), ..open_to_all() }
}

/// A directory of two nodes, of which the first client takes the first one, and the database server that ends with it.
pub(crate) fn two(dir: &Path, name: &str) -> Option<(Net, String, Arc<Postgres>)> {
    let server = Postgres::shared(name)?;
    let address = server.database();
    Some((Net::cluster(dir, 2, on(&address)), address, server))
}

#[tokio::test]
async fn peers_at_different_nodes_do_the_main_job() {
    let dir = tempfile::tempdir().unwrap();
    let Some((net, store, _server)) = two(dir.path(), "peers_at_different_nodes_do_the_main_job") else {
        return;
    };
    let (mut alice, mut bob) = (net.peer("alice").await, net.peer("bob").await);
    assert_eq!(alice.signed_in.as_ref().map(|signed_in| signed_in.nodes.len()), Some(2));
    let sea = alice.publish("sea", 1).await;
    alice.share(sea.no, bob.id(), views(2)).await;
    assert!(matches!(bob.update().await, Update::Grant(_)));
    let view = ViewId::generate();
    for _ in 0..2 {
        assert_eq!(bob.spend(sea.no, view).await.unwrap().grant.views_left, Allowance::Views(1));
    }
    while !matches!(alice.update().await, Update::Viewed(_)) {}
    assert_eq!(
        bob.write_to(message("alice", "hello")).await.delivery,
        Delivery::Queued,
        "nobody acknowledges"
    );
    while !matches!(alice.update().await, Update::Message(_)) {}
    let page = bob.page(List { online: true, ..everything() }).await;
    assert_eq!(page.peers.len(), 2);
    assert!(page.peers.iter().all(|peer| peer.online && peer.address == "127.0.0.1:4000".parse().ok()));
    let Ok(Answer::Contact(contact)) = bob.ask(Op::Contact(alice.id())).await else { panic!() };
    assert!(contact.online && contact.addresses == ["127.0.0.1:4000".parse().unwrap()]);
    net.stop().await;
    assert_eq!(run(dir.path(), &["store", "check", "--store", &store]).await.code, 0);
}

#[tokio::test]
async fn a_node_that_nobody_tells_of_another_incarnation_ends_its_sessions_all_the_same() {
    let dir = tempfile::tempdir().unwrap();
    let test = "a_node_that_nobody_tells_of_another_incarnation_ends_its_sessions_all_the_same";
    let Some((net, store, server)) = two(dir.path(), test) else { return };
    let mut bob = net.peer("bob").await;
    // As a node does that meets older data, but without a word to anybody.
    server.sql(
        store.rsplit('/').next().unwrap(),
        "UPDATE directory SET renewed_at = 1700000000000, incarnation = decode(repeat('07', 16), 'hex')",
    );
    let notice = timeout(PATIENCE, bob.next()).await.unwrap();
    assert!(
        matches!(&notice, Some(FromDirectory::Notice(n)) if n.kind == NoticeKind::Shutdown),
        "{notice:?}"
    );
    assert_eq!(bob.next().await, None);
    let mut again = Client::connect(&net, bob.secret.clone()).await;
    again.enter(Op::SignIn(sign_in(1, bob.stored))).await.unwrap();
    assert!(again.signed_in.as_ref().and_then(|signed_in| signed_in.data.as_ref()).unwrap().renewed);
    net.stop().await;
}

#[tokio::test]
async fn one_live_session_per_id_whichever_node() {
    let dir = tempfile::tempdir().unwrap();
    let Some((net, _, _server)) = two(dir.path(), "one_live_session_per_id_whichever_node") else { return };
    let mut bob = net.peer("bob").await;
    let mut other = Client::connect(&net, bob.secret.clone()).await;
    let refused = other.enter(Op::SignIn(sign_in(2, bob.stored))).await.unwrap_err();
    assert_eq!(refused.code, Code::Conflict);
    // The next one comes to the first node, so that one more goes to the second.
    drop(Client::connect(&net, bob.secret.clone()).await);
    let mut forced = Client::connect(&net, bob.secret.clone()).await;
    let mut with_force = sign_in(2, bob.stored);
    with_force.force = true;
    forced.enter(Op::SignIn(with_force)).await.unwrap();
    let notice = bob.next().await;
    assert!(
        matches!(&notice, Some(FromDirectory::Notice(n)) if n.kind == NoticeKind::TakenOver),
        "{notice:?}"
    );
    assert_eq!(bob.next().await, None);
    let mut same = Client::connect(&net, bob.secret.clone()).await;
    same.enter(Op::SignIn(sign_in(2, bob.stored))).await.unwrap();
    let notice = forced.next().await;
    assert!(
        matches!(&notice, Some(FromDirectory::Notice(n)) if n.kind == NoticeKind::Superseded),
        "{notice:?}"
    );
    assert_eq!(forced.next().await, None);
    assert!(net.nodes.iter().all(|node| node.live.is_online(bob.id())));
    same.sign_out().await;
    // Whose session has ended keeps nobody out, at either node.
    for instance in [3, 4, 5] {
        let mut next = Client::connect(&net, bob.secret.clone()).await;
        next.enter(Op::SignIn(sign_in(instance, bob.stored))).await.unwrap();
        next.sign_out().await;
    }
    net.stop().await;
}

#[tokio::test]
async fn who_comes_and_goes_at_another_node_is_seen() {
    let dir = tempfile::tempdir().unwrap();
    let Some((net, _, _server)) = two(dir.path(), "who_comes_and_goes_at_another_node_is_seen") else {
        return;
    };
    let mut alice = net.peer("alice").await;
    alice.ask(Op::Subscribe(Subscription::Everybody)).await.unwrap();
    let mut bob = net.peer("bob").await;
    let came = alice.presence(PATIENCE).await;
    assert_eq!((came.id, came.online), (bob.id(), true));
    bob.sign_out().await;
    let went = alice.presence(PATIENCE).await;
    assert_eq!((went.id, went.online, went.end), (bob.id(), false, Some(SessionEnd::SignedOut)));
    net.stop().await;
}

/// Both sides come to the caller's node, whichever their own is.
#[tokio::test]
async fn a_call_is_relayed_at_the_callers_node() {
    let dir = tempfile::tempdir().unwrap();
    let Some((net, _, _server)) = two(dir.path(), "a_call_is_relayed_at_the_callers_node") else { return };
    let (mut alice, mut bob) = (net.peer("alice").await, net.peer("bob").await);
    let Ok(Answer::Ticket(ticket)) = alice.ask(Op::Relay(bob.id())).await else { panic!() };
    let here = net.nodes[0].address;
    let at = here.to_string().parse().ok();
    assert_eq!(bob.next().await, Some(FromDirectory::Call(Call { ticket, from: alice.id(), at })));
    let mut sides = Vec::new();
    for _ in 0..2 {
        let mut side = TcpStream::connect(here).await.unwrap();
        side.write_all(&[RELAY_MAGIC.as_slice(), ticket.as_bytes()].concat()).await.unwrap();
        sides.push(side);
    }
    let [mut first, mut second] = <[TcpStream; 2]>::try_from(sides).unwrap();
    assert_eq!((first.read_u8().await.unwrap(), second.read_u8().await.unwrap()), (1, 1));
    first.write_all(b"x").await.unwrap();
    assert_eq!(second.read_u8().await.unwrap(), b'x');
    net.stop().await;
}

#[tokio::test]
async fn the_operator_of_one_node_reaches_the_peers_of_all() {
    let name = "the_operator_of_one_node_reaches_the_peers_of_all";
    let dir = tempfile::tempdir().unwrap();
    let Some((net, _, _server)) = two(dir.path(), name) else { return };
    let (mut alice, mut bob) = (net.peer("alice").await, net.peer("bob").await);
    let nodes = run(dir.path(), &["nodes", "--json"]).await.json();
    let states: Vec<_> =
        nodes["nodes"].as_array().unwrap().iter().map(|node| (&node["state"], &node["peers"])).collect();
    assert_eq!(states, [(&"this".into(), &1.into()), (&"linked".into(), &1.into())], "{nodes}");
    let link = run(dir.path(), &["link"]).await.out;
    assert!(net.nodes.iter().all(|node| link.contains(&node.address.to_string())), "{link}");
    assert_eq!(run(dir.path(), &["announce", "hello"]).await.code, 0);
    for client in [&mut alice, &mut bob] {
        assert!(
            matches!(client.next().await, Some(FromDirectory::Notice(n)) if n.kind == NoticeKind::Announcement)
        );
    }
    let pinging = tokio::spawn({
        let dir = dir.path().to_owned();
        async move { run(&dir, &["ping", "bob", "--count", "1"]).await }
    });
    let kicked = async {
        let pinged = pinging.await.unwrap();
        assert_eq!(pinged.code, 0, "{pinged:?}");
        run(dir.path(), &["kick", "bob"]).await
    };
    let (kicked, notice) = tokio::join!(kicked, bob.next());
    assert_eq!(kicked.code, 0, "{kicked:?}");
    assert!(matches!(&notice, Some(FromDirectory::Notice(n)) if n.kind == NoticeKind::Kicked), "{notice:?}");
    net.stop().await;
}

/// What is told between nodes is a help: with all links gone, rows, takeovers and blocks are read in the store.
#[tokio::test]
async fn a_node_that_ends_leaves_nothing_and_its_peers_go_on_at_another() {
    let name = "a_node_that_ends_leaves_nothing_and_its_peers_go_on_at_another";
    let dir = tempfile::tempdir().unwrap();
    let Some((mut net, _, _server)) = two(dir.path(), name) else { return };
    let (mut alice, mut bob) = (net.peer("alice").await, net.peer("bob").await);
    net.nodes.remove(1).stop().await;
    let end = bob.next().await;
    assert!(matches!(&end, Some(FromDirectory::Notice(n)) if n.kind == NoticeKind::Shutdown), "{end:?}");
    wait_until_async("bob is offline", async || !net.live.is_online(bob.id())).await;
    let sea = alice.publish("sea", 1).await;
    alice.share(sea.no, bob.id(), views(1)).await;
    let mut bob = net.again(&bob).await;
    assert!(matches!(bob.update().await, Update::Grant(_)));
    let nodes = run(dir.path(), &["nodes", "--json"]).await.json();
    assert_eq!(nodes["nodes"].as_array().unwrap().len(), 1, "{nodes}");
    net.stop().await;
}

#[tokio::test]
async fn a_node_that_is_killed_is_struck_and_its_peers_may_come_from_other_machines() {
    let name = "a_node_that_is_killed_is_struck_and_its_peers_may_come_from_other_machines";
    let Some(server) = Postgres::shared(name) else { return };
    let store = server.database();
    let dir = tempfile::tempdir().unwrap();
    let (first, link) =
        NodeOf::start(dir.path(), FileConfig { cluster: "127.0.0.1:0".parse().ok(), ..on(&store) });
    let second = dir.path().join("second");
    std::fs::create_dir(&second).unwrap();
    std::fs::copy(dir.path().join("server.key"), second.join("server.key")).unwrap();
    let args = ["--store", &store, "--cluster", "127.0.0.1:0", "--registration", "open"];
    let mut served = Served::start(&second, &args).await;
    let there = run(&second, &["link"]).await.out;
    let net = Net::elsewhere(there.trim().parse().unwrap());
    let mut bob = net.peer("bob").await;
    wait_until_async("bob is seen", async || first.live.is_online(bob.id())).await;
    served.0.kill();
    assert_eq!(bob.next().await, None);
    // Another daemon, which does not force its way: the session of the dead node is in its way until that is struck.
    let here = Net::elsewhere(link);
    let came = async || {
        let mut again = Client::connect(&here, bob.secret.clone()).await;
        again.enter(Op::SignIn(sign_in(2, bob.stored))).await.is_ok()
    };
    wait_until_async("bob may come", came).await;
    first.stop().await;
}

#[tokio::test]
async fn three_wrong_passwords_are_three_at_all_nodes_together() {
    let dir = tempfile::tempdir().unwrap();
    let name = "three_wrong_passwords_are_three_at_all_nodes_together";
    let Some((net, store, _server)) = two(dir.path(), name) else { return };
    let _alice = peer_with_password(&net, "alice").await;
    // Clients take the nodes in turn. At once, as somebody who guesses would.
    let guessed = join_all((0..2 * PASSWORD_TRIES).map(|_| guess(&net, "alice"))).await;
    let wrong = guessed.iter().filter(|reason| **reason == Reason::WrongPassword).count();
    assert_eq!(u32::try_from(wrong).unwrap(), PASSWORD_TRIES, "{guessed:?}");
    assert!(guessed.iter().all(|reason| matches!(reason, Reason::WrongPassword | Reason::Locked)));
    for _ in 0..2 {
        assert_eq!(guess(&net, "alice").await, Reason::Locked);
        assert_eq!(guess(&net, "nobody").await, Reason::WrongPassword);
    }
    net.stop().await;
    let net = Net::start_with(dir.path(), on(&store));
    assert_eq!(guess(&net, "alice").await, Reason::Locked, "a restart forgets nothing");
    net.stop().await;
}

#[tokio::test]
async fn a_server_that_is_alone_refuses_to_share_its_store() {
    let name = "a_server_that_is_alone_refuses_to_share_its_store";
    let Some(server) = Postgres::shared(name) else { return };
    let store = server.database();
    let dir = tempfile::tempdir().unwrap();
    let (first, _) = NodeOf::start(dir.path(), on(&store));
    let second = dir.path().join("second");
    std::fs::create_dir(&second).unwrap();
    std::fs::copy(dir.path().join("server.key"), second.join("server.key")).unwrap();
    let said = FileConfig {
        data_dir: Some(second),
        listen: "127.0.0.1:0".parse().ok(),
        cluster: "127.0.0.1:0".parse().ok(),
        ..on(&store)
    };
    let config = Config::new(said, FileConfig::default()).unwrap();
    let refused = tokio::task::spawn_blocking({
        let handle = tokio::runtime::Handle::current();
        move || {
            let _entered = handle.enter();
            dosd::Server::start(&config).map(drop)
        }
    });
    let refused = refused.await.unwrap().unwrap_err();
    assert!(format!("{refused:?}").contains("InUse"), "{refused:?}");
    first.stop().await;
}
