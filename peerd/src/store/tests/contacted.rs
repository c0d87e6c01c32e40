//! Who is a contact: what this peer did makes one, what others send does not.

use dos_protocol::{PublicKey, control::Trust, directory::RequestState};
use dos_sqlite::{Schema, open_writer};

use super::{super::schema::SCHEMA, messages::message, *};
use crate::{
    rules::strangers::{Standing, Strangers},
    store::Told,
};

fn third() -> PeerId {
    "9zMsRp4T".parse().unwrap()
}

async fn is_contact(store: &Store, peer: PeerId) -> bool {
    store.standing(peer).await.unwrap().is_contact
}

/// Everything that is missing and may be fetched without being asked.
async fn lacking(store: &Store) -> Vec<PeerId> {
    let page = store.lacking(me(), None).await.unwrap();
    page.into_iter().map(|grant| grant.path.owner).collect()
}

#[tokio::test]
async fn what_a_peer_sends_makes_it_no_contact() {
    let bench = bench().await;
    let request = Update::Request(Box::new(asked(1, RequestState::Pending)));
    let share = Update::Grant(Box::new(grant(other(), me(), 1)));
    for (seq, update) in [(1, share), (2, request), (3, message(1, "hi"))] {
        let incoming = Incoming { seq: Seq(seq), at: Timestamp(1), update, proof: Proof::None };
        bench
            .store
            .apply_updates((me(), Strangers::Offer), vec![Arrival::Update(incoming)], |_| ())
            .await
            .unwrap();
    }
    assert!(!is_contact(&bench.store, other()).await);
    assert_eq!(bench.store.offers().count(), 1);
    assert_eq!(lacking(&bench.store).await.len(), 0);
    let listed = bench.store.listed(vec![grant(other(), me(), 1)], Strangers::Offer).await.unwrap();
    assert!(listed[0].offer);
    assert_eq!(bench.store.listed(listed, Strangers::Refuse).await.unwrap().len(), 0);
}

#[tokio::test]
async fn a_grant_given_a_request_made_or_a_key_confirmed_makes_a_contact_whose_copies_are_fetched() {
    let told = || Told { peer: other(), key: PublicKey::from([9; 32]), sealing: None, name: None };
    for act in 0..4 {
        let bench = bench().await;
        let store = &bench.store;
        store.take_grant(grant(other(), me(), 1)).await.unwrap();
        assert_eq!((store.offers().count(), lacking(store).await.len()), (1, 0));
        match act {
            0 => {
                drop(store.take_grant(Grant { image: ImageNo(2), ..grant(me(), other(), 1) }).await.unwrap())
            }
            1 => {
                let path = ImagePath { owner: other(), name: name("sea") };
                let own = Request { from: me(), path, ..asked(1, RequestState::Pending) };
                store.take_request(own).await.unwrap();
            }
            2 => {
                store.compare(told()).await.unwrap();
                let known = store.pin(other()).await.unwrap().unwrap().contact;
                assert_eq!((known.stranger, known.trust), (true, Some(Trust::FirstUse)));
                assert_eq!(store.offers().count(), 1, "a key that was told is not confirmed");
                assert!(!store.trust(told()).await.unwrap().0.stranger);
            }
            _ => {
                let here = grant(other(), me(), 1);
                assert!(store.copy_arrived(here, vec![1; 60], None).await.unwrap());
            }
        }
        assert!(is_contact(store, other()).await, "{act}");
        assert_eq!((store.offers().count(), lacking(store).await), (0, vec![other()]), "{act}");
        // Something is to be fetched now.
        tokio::time::timeout(std::time::Duration::from_secs(10), store.offers().fewer()).await.unwrap();
    }
}

#[tokio::test]
async fn nothing_of_a_blocked_contact_is_fetched_and_nothing_of_it_is_told() {
    let bench = bench().await;
    let store = &bench.store;
    store.take_grant(Grant { image: ImageNo(2), ..grant(me(), other(), 1) }).await.unwrap();
    let block = dos_protocol::directory::Block { peer: other(), name: None, since: Timestamp(1) };
    store.block(block).await.unwrap();
    let given = Grant { image: ImageNo(2), ..grant(me(), other(), 2) };
    let view = dos_protocol::ViewId::generate();
    let path = ImagePath { owner: other(), name: name("gone") };
    let updates = [
        Update::Grant(Box::new(grant(other(), me(), 1))),
        Update::Viewed(Box::new(Viewed { view, views: 1, kind: ViewedKind::View, grant: given.clone() })),
        Update::Removed { image: ImageNo(3), path },
        Update::Request(Box::new(asked(1, RequestState::Pending))),
    ];
    for (seq, update) in (1..).zip(updates) {
        let incoming = Incoming { seq: Seq(seq), at: Timestamp(1), update, proof: Proof::None };
        let applied = store
            .apply_updates((me(), Strangers::Offer), vec![Arrival::Update(incoming)], |_| ())
            .await
            .unwrap();
        assert_eq!(applied.events, []);
    }
    // What they say is taken over all the same, and the directory is asked how such grants stand.
    let mut across = store.grants_across_blocks(me()).await.unwrap();
    across.sort_by_key(|grant| grant.image);
    assert_eq!(across, [grant(other(), me(), 1), given.clone()]);
    store.end_grant(Grant { revision: Revision(1), ..given.clone() }).await.unwrap();
    assert!(!store.grant(ImageNo(2), other()).await.unwrap().unwrap().revoked, "it has changed since");
    store.end_grant(given).await.unwrap();
    assert!(store.grant(ImageNo(2), other()).await.unwrap().unwrap().revoked);
    assert_eq!((lacking(store).await, store.offers().count()), (Vec::<PeerId>::new(), 0));
    assert_eq!(store.standing(other()).await.unwrap(), Standing { is_contact: true, is_blocked: true });
    store.unblock(other()).await.unwrap();
    assert_eq!(lacking(store).await, [other()]);
}

#[tokio::test]
async fn what_was_viewed_before_the_state_was_lost_is_relearned_as_a_contacts() {
    let bench = bench().await;
    let used = Grant { views_used: 1, ..grant(other(), me(), 2) };
    let fresh = Grant { image: ImageNo(2), ..grant(third(), me(), 1) };
    bench.store.take_grants(vec![used, fresh]).await.unwrap();
    assert!(is_contact(&bench.store, other()).await && !is_contact(&bench.store, third()).await);
    assert_eq!(bench.store.offers().count(), 1);
}

#[tokio::test]
async fn peers_with_which_there_was_an_exchange_before_are_contacts() {
    let temp = tempfile::tempdir().unwrap();
    let path = temp.path().join("peerd.db");
    // Those before contacts were written down.
    let before = 10;
    let older = Schema { migrations: &SCHEMA.migrations[..before], ..SCHEMA };
    let peers: Vec<PeerId> = (1..=8).map(|n| PeerId::from_number(PeerId::COUNT / 2 + n).unwrap()).collect();
    let [given, fetched, asked, written, approved, confirmed, silent, sender] = peers[..] else { panic!() };
    {
        let connection = open_writer(&path, &older).unwrap();
        connection.execute("UPDATE self SET peer = ?1", [id(me())]).unwrap();
        let add = |image: i64, owner: PeerId, viewer: PeerId| {
            let sql = "INSERT INTO grants VALUES (?1, ?2, ?3, 'sea', 1, 0, x'00', x'00')";
            connection.execute(sql, params![image, id(viewer), id(owner)]).unwrap();
        };
        add(1, me(), given);
        add(2, fetched, me());
        connection.execute("INSERT INTO shares VALUES (2, x'00', x'00')", []).unwrap();
        add(3, silent, me());
        let sql = "INSERT INTO asks (request, image, incoming, pending, revision, body, other)
                   VALUES (?1, 1, ?1, 0, 1, x'00', ?2)";
        connection.execute(sql, params![0, id(asked)]).unwrap();
        connection.execute(sql, params![1, id(sender)]).unwrap();
        let sql = "INSERT INTO messages (sender, id, other, outgoing, direct, broadcast, sent_at, read, text)
                   VALUES (?1, ?2, ?3, ?4, 0, 0, 1, 1, 'hi')";
        connection.execute(sql, params![id(me()), [1_u8; 16], id(written), 1]).unwrap();
        connection.execute(sql, params![id(sender), [2_u8; 16], id(sender), 0]).unwrap();
        let sql = "INSERT INTO contacts (peer, state, created_at) VALUES (?1, 'approved', 1)";
        connection.execute(sql, [id(approved)]).unwrap();
        let sql = "INSERT INTO pins (peer, key, verified, since) VALUES (?1, zeroblob(32), ?2, 1)";
        connection.execute(sql, params![id(confirmed), 1]).unwrap();
        connection.execute(sql, params![id(sender), 0]).unwrap();
    }
    let (store, _thread) = Store::open(&path).unwrap();
    store.count_offers().await.unwrap();
    for peer in [given, fetched, asked, written, approved, confirmed] {
        assert!(is_contact(&store, peer).await, "{peer}");
    }
    assert!(!is_contact(&store, silent).await, "nothing of it was fetched");
    assert!(!is_contact(&store, sender).await, "nothing was sent to it");
    assert!(!is_contact(&store, me()).await);
    assert_eq!(store.offers().count(), 1);
}

#[tokio::test]
async fn a_peer_to_which_a_message_was_sent_is_a_contact() {
    let bench = bench().await;
    let outgoing = Outgoing { to: "bob".into(), direct: false, text: "tea?".into() };
    let sending = bench.store.begin_send(Live::default(), outgoing.clone()).await.unwrap();
    assert!(!is_contact(&bench.store, other()).await, "nobody has taken it");
    let sent = delivered(other(), None, Timestamp(1));
    let message = sending.open.id();
    bench.store.finish_send((me(), message), outgoing, sent, |_| ()).await.unwrap();
    assert!(is_contact(&bench.store, other()).await);
}
