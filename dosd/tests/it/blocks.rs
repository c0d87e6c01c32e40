//! A block: what no longer arrives, what is hidden, what goes on.

use dos_protocol::{
    Allowance, Code, Reason, Seq, Timestamp, ViewId,
    directory::{Answer, Block, Blocked, Delivery, List, Op, RequestAccess, RequestState, Update},
    model::{AccessState, PeerInfo, SessionEnd},
};

use crate::{
    messages::{message, peer_at},
    net::{Client, Net},
    shelf::{everything, views},
};

impl Client {
    pub(crate) async fn block(&mut self, peer: &str) -> Blocked {
        match self.ask(Op::Block(peer.parse().unwrap())).await {
            Ok(Answer::Blocked(blocked)) => *blocked,
            other => panic!("{other:?}"),
        }
    }

    pub(crate) async fn unblock(&mut self, peer: &str) {
        assert_eq!(self.ask(Op::Unblock(peer.parse().unwrap())).await, Ok(Answer::Done));
    }

    async fn blocks(&mut self) -> Vec<Block> {
        match self.ask(Op::Blocks).await {
            Ok(Answer::Blocks(blocks)) => blocks,
            other => panic!("{other:?}"),
        }
    }

    async fn sees(&mut self, op: Op) -> PeerInfo {
        match self.ask(op).await {
            Ok(Answer::Peer(peer)) => *peer,
            other => panic!("{other:?}"),
        }
    }

    async fn lists(&mut self, list: List) -> Vec<PeerInfo> {
        self.page(list).await.peers
    }
}

pub(crate) fn ask(image: &str) -> Op {
    Op::Request(RequestAccess { image: image.parse().unwrap(), views: 3, note: None, offline: false })
}

fn find(peers: Vec<PeerInfo>, name: &str) -> Option<PeerInfo> {
    peers.into_iter().find(|peer| peer.name.as_ref().is_some_and(|of| of.as_str() == name))
}

/// All that tells when and where a peer is or was online.
fn presence(peer: &PeerInfo) -> (bool, bool, bool, Option<SessionEnd>) {
    (peer.online, peer.address.is_some(), peer.last_seen.is_some(), peer.last_end)
}

const NOTHING: (bool, bool, bool, Option<SessionEnd>) = (false, false, false, None);

/// What `mallory` sees of `alice`, who is online at port 4001 and has published an image: everything, or nothing but that
/// she exists.
async fn looks_for(mallory: &mut Client, alice: &Client, hidden: bool) {
    let key = alice.secret.public().unwrap();
    let shown = if hidden { NOTHING } else { (true, true, true, None) };
    let recently = Timestamp::now().before(std::time::Duration::from_secs(600));
    for peer in ["alice", &alice.id().to_string()] {
        assert_eq!(presence(&mallory.sees(Op::Resolve(peer.parse().unwrap())).await), shown);
        let named = List { peer: Some(peer.parse().unwrap()), ..everything() };
        assert_eq!(presence(&find(mallory.lists(named).await, "alice").unwrap()), shown);
    }
    let at = Op::Resolve("127.0.0.1:4001".parse().unwrap());
    assert_eq!(mallory.ask(at).await.is_err_and(|error| error.code == Code::NotFound), hidden);
    let all = find(mallory.lists(everything()).await, "alice").unwrap();
    assert_eq!((presence(&all), all.images.len()), (shown, 1));
    for filter in [
        List { online: true, ..everything() },
        List { online: true, limit: 1, peer: Some("alice".parse().unwrap()), ..everything() },
        List { seen_since: Some(recently), ..everything() },
    ] {
        assert_eq!(find(mallory.lists(filter).await, "alice").is_none(), hidden);
    }
    let Ok(Answer::Contact(contact)) = mallory.ask(Op::Contact(alice.id())).await else { panic!() };
    assert_eq!((contact.online, contact.addresses.is_empty()), (!hidden, hidden));
    let known = mallory.sees(Op::Identify(key)).await;
    assert_eq!((known.id, known.last_seen.is_none()), (alice.id(), hidden));
}

#[tokio::test]
async fn who_is_blocked_sees_the_blocker_offline_everywhere_even_after_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    let net = Net::start(dir.path());
    let (mut alice, mut mallory) = (peer_at(&net, "alice", 4001).await, net.peer("mallory").await);
    let mut carol = net.peer("carol").await;
    alice.publish("sea", 1).await;
    looks_for(&mut mallory, &alice, false).await;
    alice.block("mallory").await;
    looks_for(&mut mallory, &alice, true).await;
    looks_for(&mut carol, &alice, false).await;
    let seen = alice.sees(Op::Resolve("mallory".parse().unwrap())).await;
    assert!(seen.online, "the blocker still sees the other");
    let address = net.address;
    net.stop().await;

    let net = Net::start_at(dir.path(), address);
    let mut mallory = net.again(&mallory).await;
    let offline = mallory.sees(Op::Resolve("alice".parse().unwrap())).await;
    assert_eq!(presence(&offline), NOTHING, "not even how her last session ended");
    let mut alice = net.again(&alice).await;
    assert_eq!(presence(&mallory.sees(Op::Resolve("alice".parse().unwrap())).await), NOTHING);
    alice.unblock("mallory").await;
    assert!(mallory.sees(Op::Resolve("alice".parse().unwrap())).await.online);
    net.stop().await;
}

#[tokio::test]
async fn pages_of_who_is_online_go_on_past_those_who_hide() {
    let dir = tempfile::tempdir().unwrap();
    let net = Net::start(dir.path());
    let mut mallory = net.peer("mallory").await;
    let mut others = Vec::new();
    for number in 0..12 {
        let mut other = net.peer(&format!("peer{number}")).await;
        if number % 3 != 0 {
            other.block("mallory").await;
        }
        others.push(other);
    }
    let (mut seen, mut after) = (Vec::new(), None);
    for _page in 0..20 {
        let page = mallory.page(List { online: true, limit: 1, after, ..everything() }).await;
        seen.extend(page.peers.into_iter().map(|peer| peer.id));
        after = page.next;
        if after.is_none() {
            break;
        }
    }
    assert_eq!((seen.len(), after), (5, None));
    net.stop().await;
}

#[tokio::test]
async fn messages_and_requests_of_a_blocked_peer_are_refused_and_rights_go_on() {
    let dir = tempfile::tempdir().unwrap();
    let net = Net::start(dir.path());
    let (mut alice, mut bob) = (net.peer("alice").await, net.peer("bob").await);
    let sea = alice.publish("sea", 1).await;
    alice.publish("hill", 1).await;
    alice.publish("tree", 1).await;
    alice.share(sea.no, bob.id(), views(2)).await;
    bob.update().await;
    for image in ["alice/hill", "alice/tree"] {
        bob.ask(ask(image)).await.unwrap();
        assert!(matches!(bob.update().await, Update::Request(_)));
    }
    let blocked = alice.block("bob").await;
    assert_eq!((blocked.requests_purged, blocked.rights, blocked.messages_purged), (2, 1, 0));
    assert_eq!((blocked.peer, blocked.name), (bob.id(), Some("bob".parse().unwrap())));
    for _ in 0..2 {
        let Update::Decision(asked) = bob.update().await else { panic!() };
        assert_eq!((asked.state, asked.reason), (RequestState::Denied, None));
    }
    for op in [message("alice", "hello"), ask("alice/hill")] {
        let error = bob.ask(op).await.unwrap_err();
        assert_eq!((error.code, error.reason), (Code::Denied, Some(Reason::Blocked)));
        assert_eq!(&*error.message, "alice takes nothing from you");
    }
    let spent = bob.spend(sea.no, ViewId::generate()).await.unwrap();
    assert_eq!(spent.grant.views_left, Allowance::Views(1));
    let access = bob.page(everything()).await.peers.into_iter().flat_map(|peer| peer.images);
    assert!(access.into_iter().all(|image| image.access.is_some_and(|a| a.state != AccessState::Requested)));
    bob.acknowledge().await;
    let own = alice.ask(message("bob", "not this way either")).await.unwrap_err();
    assert_eq!((&*own.message, own.hint.as_deref()), ("you have blocked bob", Some("dosctl unblock bob")));
    alice.unblock("bob").await;
    assert!(bob.ask(ask("alice/hill")).await.is_ok());
    net.stop().await;
}

#[tokio::test]
async fn what_waits_from_a_blocked_peer_becomes_nothing_without_a_gap() {
    let dir = tempfile::tempdir().unwrap();
    let net = Net::start(dir.path());
    let (mut alice, mut bob) = (net.peer("alice").await, net.peer("bob").await);
    let mut carol = net.peer("carol").await;
    carol.publish("sea", 1).await;
    carol.sign_out().await;
    let letters: Vec<Op> = (0..4).map(|number| message("carol", &number.to_string())).collect();
    for letter in &letters {
        alice.write_to(letter.clone()).await;
        bob.write_to(message("carol", "from bob")).await;
    }
    alice.ask(ask("carol/sea")).await.unwrap();

    // Carol has stored the first two rows, so one of alice's messages has arrived for good.
    carol.stored = Seq(2);
    let mut carol = net.again(&carol).await;
    let blocked = carol.block("alice").await;
    assert_eq!((blocked.messages_purged, blocked.requests_purged), (3, 1));
    assert_eq!(carol.block("alice").await, Blocked { messages_purged: 0, requests_purged: 0, ..blocked });
    carol.stored = Seq(2);
    let mut carol = net.again(&carol).await;
    let mut kinds = Vec::new();
    while carol.stored < carol.signed_in.as_ref().unwrap().latest {
        kinds.push(match carol.update().await {
            Update::Void => "void",
            Update::Message(letter) if letter.from == bob.id() => "bob",
            Update::Decision(asked) if asked.state == RequestState::Denied => "denied",
            other => panic!("{other:?}"),
        });
    }
    assert_eq!(kinds, ["void", "bob", "void", "bob", "void", "bob", "void", "denied"]);
    carol.acknowledge().await;
    carol.settle().await;

    // The one that had arrived still has; the others never did, and are new when they may come.
    assert_eq!(alice.write_to(letters[0].clone()).await.delivery, Delivery::Delivered);
    assert_eq!(alice.refusal(letters[1].clone()).await.0, Code::Denied);
    carol.unblock("alice").await;
    let sent = carol.store_while(alice.write_to(letters[1].clone())).await;
    assert_eq!((sent.delivery, &*carol.read.pop().unwrap().text), (Delivery::Delivered, "1"));
    net.stop().await;
    let checked = dosd::store::check(&dir.path().join("dosd.db")).unwrap();
    assert_eq!(checked.findings, Vec::<Box<str>>::new());
}

#[tokio::test]
async fn blocks_are_listed_and_made_and_taken_back_as_often_as_one_likes() {
    let dir = tempfile::tempdir().unwrap();
    let net = Net::start(dir.path());
    let (mut alice, bob) = (net.peer("alice").await, net.peer("bob").await);
    let carol = peer_at(&net, "carol", 4002).await;
    assert_eq!(alice.blocks().await, []);
    for peer in ["bob", "bob", "127.0.0.1:4002"] {
        alice.block(peer).await;
    }
    let first = alice.blocks().await;
    let mut ids: Vec<_> = first.iter().map(|block| block.peer).collect();
    assert!(ids.is_sorted());
    ids.sort_by_key(|id| *id != bob.id());
    assert_eq!(ids, [bob.id(), carol.id()]);
    alice.block("bob").await;
    assert_eq!(alice.blocks().await, first, "since when does not change");
    for _ in 0..2 {
        alice.unblock("bob").await;
    }
    assert_eq!(alice.blocks().await.iter().map(|block| block.peer).collect::<Vec<_>>(), [carol.id()]);
    assert_eq!(alice.refusal(Op::Block("alice".parse().unwrap())).await.0, Code::Invalid);
    assert_eq!(alice.refusal(Op::Block("nobody".parse().unwrap())).await.0, Code::NotFound);
    assert_eq!(alice.refusal(Op::Unblock("nobody".parse().unwrap())).await.0, Code::NotFound);
    net.stop().await;
}

#[tokio::test]
async fn a_message_that_is_being_delivered_when_the_block_comes_is_not_both() {
    let dir = tempfile::tempdir().unwrap();
    let net = Net::start(dir.path());
    let (mut alice, mut bob) = (net.peer("alice").await, net.peer("bob").await);
    let sending = alice.ask(message("bob", "hello"));
    let blocking = async {
        bob.letter().await;
        // Acknowledged on the same connection before the block: it has arrived, and there is nothing left to purge.
        bob.acknowledge().await;
        bob.block("alice").await
    };
    let (sent, blocked) = tokio::join!(sending, blocking);
    assert!(matches!(sent, Ok(Answer::Sent(sent)) if sent.delivery == Delivery::Delivered));
    assert_eq!(blocked.messages_purged, 0);
    net.stop().await;
}
