//! A blocked peer that tries every operation on its blocker, and the blocker on it: what either side is told, and that it is what
//! is told of a peer that is offline where the block is not to be noticed.

use dos_protocol::{
    Allowance, Code, ImageNo, MessageId, Reason, ViewId,
    directory::{
        Answer, Broadcast, Call, Cursor, Decide, Decision, Delivery, FromDirectory, List, Op, Publish,
        Rendezvous, RequestState, Subscription, Update, ViewsChange,
    },
    model::{Grant, GrantState, PeerInfo},
};

use crate::{
    blocks::ask,
    messages::{message, peer_at},
    net::{Client, Net},
    shelf::{everything, publication, share, spend, views},
};

/// A peer, what it has granted to mallory, and what mallory has granted to it.
struct Side {
    peer: Client,
    name: &'static str,
    port: u16,
    given: ImageNo,
    received: ImageNo,
}

/// Mallory; alice, who is online and has blocked it; carol, who has not, and is offline. Both have the same grants.
struct Scene {
    _dir: tempfile::TempDir,
    net: Net,
    mallory: Client,
    alice: Side,
    carol: Side,
}

async fn side(net: &Net, mallory: &mut Client, (name, port): (&'static str, u16)) -> Side {
    let mut peer = peer_at(net, name, port).await;
    let given = peer.publish("sea", 1).await.no;
    peer.share(given, mallory.id(), views(3)).await;
    let received = mallory.publish(&format!("bait-{name}"), 1).await.no;
    mallory.share(received, peer.id(), views(3)).await;
    mallory.publish(&format!("new-{name}"), 1).await;
    Side { peer, name, port, given, received }
}

/// Waits until everything that there is for a peer has come, and throws it away.
async fn drain(peer: &mut Client, mark: &str) {
    assert!(came(peer, mark).await.len() < 100);
    peer.acknowledge().await;
}

/// What has come for a peer until a mark of its own, which comes after it.
async fn came(peer: &mut Client, mark: &str) -> Vec<Update> {
    let image = peer.publish(&format!("{mark}-before"), 9).await.no;
    let name = mark.parse().unwrap();
    peer.ask(Op::Rename { image, name, record: None }).await.unwrap();
    let mut updates = Vec::new();
    for _ in 0..1_000 {
        match peer.update().await {
            Update::Renamed { path, .. } if path.name.as_str() == mark => return updates,
            other => updates.push(other),
        }
    }
    panic!("no mark came");
}

impl Scene {
    async fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let net = Net::start(dir.path());
        let mut mallory = peer_at(&net, "mallory", 4000).await;
        let mut alice = side(&net, &mut mallory, ("alice", 4001)).await;
        let mut carol = side(&net, &mut mallory, ("carol", 4002)).await;
        drain(&mut carol.peer, "settled").await;
        carol.peer.sign_out().await;
        alice.peer.block("mallory").await;
        drain(&mut alice.peer, "settled").await;
        drain(&mut mallory, "settled").await;
        Self { _dir: dir, net, mallory, alice, carol }
    }
}

/// Takes away what tells one peer from the other, and when it was last seen: that is never told of one that hides.
fn plain(side: &Side, result: Result<Answer, dos_protocol::WireError>) -> String {
    let unseen = |peer: &mut PeerInfo| {
        (peer.last_seen, peer.last_end) = (None, None);
        // The two have published one after the other.
        peer.images.iter_mut().for_each(|image| image.added_at = None);
    };
    let result = result.map(|mut answer| {
        match &mut answer {
            Answer::Peer(peer) => unseen(peer),
            Answer::Page(page) => page.peers.iter_mut().for_each(unseen),
            _ => {}
        }
        answer
    });
    let key = side.peer.secret.public().unwrap();
    let mut text = format!("{result:?}");
    for (own, neutral) in [
        (side.peer.id().to_string(), "ID"),
        (format!("{:?}", side.peer.id()), "ID"),
        (format!("{key:?}"), "KEY"),
        (side.name.to_owned(), "NAME"),
        (side.port.to_string(), "PORT"),
    ] {
        text = text.replace(&own, neutral);
    }
    // Numbers of images.
    let mut parts = text.split("ImageNo(");
    let first = parts.next().unwrap_or_default().to_owned();
    parts.fold(first, |text, part| {
        text + "ImageNo(" + part.trim_start_matches(|digit: char| digit.is_ascii_digit())
    })
}

/// Every operation of a blocked peer that may concern its blocker; with `None` the answer must be the one for a peer that is
/// offline, otherwise this refusal.
fn tried(side: &Side, key: dos_protocol::PublicKey) -> Vec<(Op, Option<&'static str>)> {
    let refused = Some("alice takes nothing from you");
    let (id, name) = (side.peer.id(), side.name);
    let named = || Some(name.parse().unwrap());
    let image = |name: &str| format!("{}/{name}", side.name).parse().unwrap();
    let after = Some(Cursor { peer: id, image: None });
    let new = ImageNo(side.received.0 + 1);
    let text = |text: &str| {
        Op::Send(dos_protocol::directory::Send {
            message: MessageId::generate(),
            to: name.parse().unwrap(),
            text: text.into(),
            sealed: None,
        })
    };
    let renamed = format!("other-{name}").parse().unwrap();
    let replaced = Publish { replace: true, ..publication(&format!("other-{name}"), 2) };
    vec![
        (Op::Resolve(name.parse().unwrap()), None),
        (Op::Resolve(id.to_string().parse().unwrap()), None),
        (Op::Resolve(format!("127.0.0.1:{}", side.port).parse().unwrap()), None),
        (Op::Contact(id), None),
        (Op::Identify(key), None),
        (Op::List(List { peer: named(), ..everything() }), None),
        (Op::List(List { peer: named(), online: true, ..everything() }), None),
        (Op::List(List { peer: named(), after, ..everything() }), None),
        (Op::Subscribe(Subscription::These(vec![id])), None),
        (Op::Image(image("sea")), None),
        (Op::Preview(image("sea")), None),
        (Op::Image(image("nothing")), None),
        (Op::Relay(id), None),
        (Op::Rendezvous(Rendezvous { peer: id, ticket: [7; 32].into(), port: None }), None),
        (Op::Grant { image: side.given, viewer: id }, None),
        (Op::Grant { image: side.received, viewer: id }, None),
        (Op::Spend(spend(side.given, ViewId::generate())), None),
        (share(side.received, id, ViewsChange::Add(1)), None),
        (Op::Rename { image: side.received, name: renamed, record: None }, None),
        (Op::Publish(Box::new(replaced)), None),
        (share(side.received, id, ViewsChange::Revoke), None),
        (Op::Remove(side.received), None),
        (Op::Cancel(77), None),
        (Op::Decide(Decide { request: 77, decision: Decision::Deny { reason: None } }), None),
        (share(new, id, ViewsChange::Revoke), None),
        (Op::Unblock(name.parse().unwrap()), None),
        (share(new, id, views(1)), refused),
        (text("hello"), refused),
        (ask(&format!("{name}/sea")), refused),
        (ask(&format!("{name}/nothing")), refused),
    ]
}

#[tokio::test]
async fn whatever_a_blocked_peer_tries_is_answered_as_of_an_offline_peer_and_reaches_nobody() {
    let mut scene = Scene::new().await;
    let keys = [&scene.alice, &scene.carol].map(|side| side.peer.secret.public().unwrap());
    let (with_alice, with_carol) = (tried(&scene.alice, keys[0]), tried(&scene.carol, keys[1]));
    for ((op, refused), (same, _)) in with_alice.into_iter().zip(with_carol) {
        let kind = format!("{op:?}");
        let (answer, offline) = (scene.mallory.ask(op).await, scene.mallory.ask(same).await);
        match refused {
            None => assert_eq!(plain(&scene.alice, answer), plain(&scene.carol, offline), "{kind}"),
            Some(text) => {
                let error = answer.unwrap_err();
                let told = (&*error.message, error.code, error.reason, error.hint, error.cause);
                assert_eq!(told, (text, Code::Denied, Some(Reason::Blocked), None, None), "{kind}");
            }
        }
    }
    // Nobody is told of its broadcast: alice has blocked it, and carol is not there.
    let text = Broadcast { message: MessageId::generate(), text: "hello".into(), signature: None };
    assert_eq!(scene.mallory.ask(Op::Broadcast(text)).await, Ok(Answer::Told(0)));

    // Nothing came of all that, neither updates nor pushes; her own mark did.
    assert_eq!(came(&mut scene.alice.peer, "mark").await, []);
    // All of it came to the one that has not blocked.
    let mut carol = scene.net.again(&scene.carol.peer).await;
    let told = came(&mut carol, "mark").await;
    let kinds: Vec<_> = told.iter().map(Update::kind).collect();
    assert_eq!(
        kinds,
        ["viewed", "grant", "grant", "grant", "grant", "removed", "grant", "message", "request"],
        "{told:?}"
    );
    let path = scene._dir.path().join("dosd.db");
    scene.net.stop().await;
    let checked = dosd::store::check(&path).unwrap();
    assert_eq!(checked.findings, Vec::<Box<str>>::new(), "with what is kept back");
}

/// The update of a grant to this image.
fn grant_of(updates: &[Update], image: ImageNo) -> Vec<&Grant> {
    let grants = updates.iter().filter_map(|update| match update {
        Update::Grant(grant) if grant.image == image => Some(&**grant),
        _ => None,
    });
    grants.collect()
}

#[tokio::test]
async fn what_happened_to_grants_meanwhile_counts_at_once_is_told_when_asked_and_once_after_the_block() {
    let mut scene = Scene::new().await;
    let (alice, mallory) = (&mut scene.alice.peer, &mut scene.mallory);
    let (given, received) = (scene.alice.given, scene.alice.received);
    let gone = mallory.publish("gone", 1).await.no;
    alice.unblock("mallory").await;
    mallory.share(gone, alice.id(), views(1)).await;
    alice.block("mallory").await;
    drain(alice, "again").await;
    drain(mallory, "again").await;

    // Mallory uses what it has, changes what it gave three times, revokes it, and removes an image.
    for _ in 0..2 {
        mallory.spend(given, ViewId::generate()).await.unwrap();
    }
    for more in 1..4 {
        mallory.share(received, alice.id(), ViewsChange::Add(more)).await;
    }
    mallory.share(received, alice.id(), ViewsChange::Revoke).await;
    mallory.ask(Op::Remove(gone)).await.unwrap();
    assert_eq!(came(alice, "nothing").await, []);

    // It is enforced, and told to the blocker when it asks.
    for image in [received, gone] {
        let error = alice.spend(image, ViewId::generate()).await.unwrap_err();
        assert_eq!((error.code, error.reason), (Code::Denied, Some(Reason::Revoked)));
    }
    let viewer = alice.id();
    let Ok(Answer::Grant(now)) = alice.ask(Op::Grant { image: received, viewer }).await else { panic!() };
    assert!(now.revoked);
    let viewer = mallory.id();
    let Ok(Answer::Grant(now)) = alice.ask(Op::Grant { image: given, viewer }).await else { panic!() };
    assert_eq!((now.views_left, now.views_used), (Allowance::Views(1), 2));

    // Each once, as it is by then.
    alice.unblock("mallory").await;
    let told = came(alice, "after").await;
    assert_eq!(told.len(), 3, "{told:?}");
    let [used] = grant_of(&told, given)[..] else { panic!("{told:?}") };
    assert_eq!((used.views_left, used.views_used), (Allowance::Views(1), 2));
    let [ended] = grant_of(&told, received)[..] else { panic!("{told:?}") };
    assert_eq!(ended.state_at(dos_protocol::Timestamp::now()), GrantState::Revoked);
    assert!(told.iter().any(|update| matches!(update, Update::Removed { image, path }
        if *image == gone && path.owner == mallory.id() && path.name.as_str() == "gone")));
    alice.block("mallory").await;
    alice.unblock("mallory").await;
    assert_eq!(came(alice, "nothing-more").await, []);
    let path = scene._dir.path().join("dosd.db");
    scene.net.stop().await;
    assert_eq!(dosd::store::check(&path).unwrap().findings, Vec::<Box<str>>::new());
}

#[tokio::test]
async fn of_the_blocker_a_blocked_peer_is_told_only_what_its_grants_need() {
    let mut scene = Scene::new().await;
    let (alice, mallory) = (&mut scene.alice.peer, &mut scene.mallory);
    let (given, received) = (scene.alice.given, scene.alice.received);
    let (other, stays) = (alice.publish("other", 1).await.no, alice.publish("stays", 1).await.no);
    alice.unblock("mallory").await;
    alice.share(stays, mallory.id(), views(1)).await;
    alice.block("mallory").await;
    drain(alice, "again").await;
    drain(mallory, "again").await;

    // Towards a peer that it has blocked nothing new is begun.
    for op in [message("mallory", "hello"), ask("mallory/new-alice"), share(other, mallory.id(), views(1))] {
        let error = alice.ask(op.clone()).await.unwrap_err();
        assert_eq!(
            (&*error.message, error.reason),
            ("you have blocked mallory", Some(Reason::Blocked)),
            "{op:?}"
        );
        assert_eq!(error.hint.as_deref(), Some("dosctl unblock mallory"));
    }
    let text = Broadcast { message: MessageId::generate(), text: "hello".into(), signature: None };
    assert_eq!(alice.ask(Op::Broadcast(text)).await, Ok(Answer::Told(0)));
    // What it changes for everybody is not told either.
    alice.ask(Op::Rename { image: stays, name: "words".parse().unwrap(), record: None }).await.unwrap();
    let again = Publish { replace: true, ..publication("words", 3) };
    alice.ask(Op::Publish(Box::new(again))).await.unwrap();
    assert_eq!(came(mallory, "nothing").await, []);

    // What its grants need goes through, since it acts itself.
    alice.spend(received, ViewId::generate()).await.unwrap();
    alice.share(given, mallory.id(), ViewsChange::Revoke).await;
    let Ok(Answer::Ticket(ticket)) = alice.ask(Op::Relay(mallory.id())).await else { panic!() };
    assert_eq!(mallory.next().await, Some(FromDirectory::Call(Call { ticket, from: alice.id(), at: None })));
    let kinds: Vec<_> = came(mallory, "told").await.iter().map(Update::kind).collect();
    assert_eq!(kinds, ["viewed", "grant"]);

    // And the rest when the block is lifted: the state of the grant, once.
    alice.unblock("mallory").await;
    let told = came(mallory, "after").await;
    let [grant] = grant_of(&told, stays)[..] else { panic!("{told:?}") };
    assert_eq!((told.len(), grant.path.name.as_str(), grant.sealed.hash), (1, "words", [3; 32].into()));
    scene.net.stop().await;
}

#[tokio::test]
async fn a_block_ends_requests_both_ways_and_of_two_blocks_each_is_lifted_alone() {
    let mut scene = Scene::new().await;
    let (alice, mallory) = (&mut scene.alice.peer, &mut scene.mallory);
    alice.unblock("mallory").await;
    mallory.ask(ask("alice/sea")).await.unwrap();
    alice.ask(ask("mallory/new-alice")).await.unwrap();
    drain(alice, "again").await;
    drain(mallory, "again").await;
    let blocked = alice.block("mallory").await;
    assert_eq!(blocked.requests_purged, 1, "only those of the blocked peer");
    for peer in [&mut *alice, &mut *mallory] {
        let told = came(peer, "ended").await;
        let states: Vec<_> = told
            .iter()
            .map(|update| match update {
                Update::Decision(request) | Update::Request(request) => (update.kind(), request.state),
                other => panic!("{other:?}"),
            })
            .collect();
        assert_eq!(states, [("decision", RequestState::Denied), ("request", RequestState::Cancelled)]);
    }
    let request = 2;
    let decision = Decision::Deny { reason: Some("a text".into()) };
    let error = mallory.ask(Op::Decide(Decide { request, decision })).await.unwrap_err();
    assert_eq!(error.code, Code::Conflict);

    // Mallory blocks alice, too: what is kept back stays so until both are gone.
    let received = scene.alice.received;
    mallory.block("alice").await;
    mallory.share(received, alice.id(), ViewsChange::Add(5)).await;
    alice.unblock("mallory").await;
    assert_eq!(came(alice, "one-left").await, []);
    let error = mallory.ask(message("alice", "hello")).await.unwrap_err();
    assert_eq!(&*error.message, "you have blocked alice");
    mallory.unblock("alice").await;
    let told = came(alice, "none-left").await;
    assert_eq!(grant_of(&told, received)[0].views_left, Allowance::Views(8));
    let sent = alice.store_while(mallory.write_to(message("alice", "hello"))).await;
    assert_eq!(sent.delivery, Delivery::Delivered);
    scene.net.stop().await;
}
