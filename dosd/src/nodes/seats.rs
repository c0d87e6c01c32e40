//! What this server's sessions are by its own account and by the store's: compared when something may have been missed, and now and
//! then.
//!
//! A session whose seat is at another node ends; a seat here without a session is freed, since it would keep the peer's other daemons
//! out; a session that has not heard of its inbox's last row reads it.

use std::sync::Arc;

use tokio::time::{Instant, sleep, timeout};

use super::{BEAT, SEATS_PAUSE, Shared, free_abandoned};
use crate::{
    directory::Directory,
    store::{Refusal, SEATS},
};

/// Compares whenever something may have been missed; not more than once a second.
pub(super) async fn compare_when_missed(shared: Arc<Shared>) {
    loop {
        // An error is that nothing was missed for a while.
        drop(timeout(SEATS_PAUSE, shared.missed.notified()).await);
        let begun = Instant::now();
        free_abandoned(&shared.directory).await;
        if let Err(error) = compare(&shared.directory).await {
            tracing::debug!(%error, "cannot compare the seats");
        }
        sleep(BEAT.saturating_sub(begun.elapsed())).await;
    }
}

async fn compare(directory: &Directory) -> Result<(), Refusal> {
    let (store, live) = (&directory.store, &directory.live);
    let Some(node) = store.node() else { return Ok(()) };
    let (mut seated, mut after) = (live.seated(), None);
    loop {
        let page = store.seats(node, after).await?;
        let mut ghosts = Vec::new();
        for seat in &page {
            seated.remove(&seat.peer);
            if live.is_here(seat.peer) {
                live.look((seat.peer, seat.session), seat.latest);
            } else {
                ghosts.push((seat.peer, seat.session));
            }
        }
        if !ghosts.is_empty() {
            store.free_seats(ghosts).await?;
        }
        after = page.last().map(|seat| seat.peer);
        if page.len() < usize::try_from(SEATS).unwrap_or(usize::MAX) {
            break;
        }
    }
    for (peer, seat) in seated {
        tracing::info!(%peer, "this peer has a session at another node now");
        live.unseat((peer, seat));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use dos_protocol::{
        Instance, MessageId, PeerId, PeerRef, PublicKey, Seq, Timestamp, directory::Send, key::SecretKey,
        model::SessionEnd, opaque::Setup,
    };
    use dos_sql::{Secrets, Server};
    use dos_testing::Postgres;

    use super::*;
    use crate::{
        config::Settings,
        live::{Arrival, Claim, Handle, Live, Push, Receiver},
        rules::Reach,
        store::{self, Admission, Change, Joining, NewPeer, Store},
    };

    const NOW: Timestamp = Timestamp(1_700_000_000_000);

    fn directory(address: &str) -> Directory {
        let server = Server::new(&address.parse().unwrap(), &Secrets::default()).unwrap();
        let joining = Joining { address: "localhost:5001".into(), cluster: Some("localhost:5003".into()) };
        let live = Arc::new(Live::default());
        let (store, _lane) = Store::connect(&server, &joining, Arc::clone(&live) as _).unwrap();
        let secret = SecretKey::generate().unwrap();
        let setup = Setup::derive(&secret).unwrap();
        Directory::new(store, live, (&secret, setup), Settings::default()).unwrap()
    }

    type Session = (Handle, Receiver<Push>);

    /// Takes a peer's seat, with a session to it.
    async fn seated(directory: &Directory, (peer, key): (PeerId, PublicKey), instance: Instance) -> Session {
        let reach = Reach::of([127, 0, 0, 1].into(), 0, Vec::new());
        let arrival = Arrival { peer, name: None, instance, reach, claim: Claim::Forced, permit: None };
        let session = directory.live.arrive(arrival).unwrap();
        let arrived =
            store::Arrival { peer, key, stored: Seq(0), state: None, instance, claim: Claim::Forced };
        let entered = directory.store.sign_in(arrived, NOW).await.unwrap();
        directory.live.settle(&session.0, entered.taken.session, entered.epoch);
        session
    }

    async fn peer(directory: &Directory, name: &str) -> (PeerId, PublicKey) {
        let key = SecretKey::generate().unwrap().public().unwrap();
        let new = NewPeer { name: name.parse().ok(), admission: Admission::Open };
        (directory.store.register(key, new, NOW).await.unwrap().id, key)
    }

    /// Two nodes that do not hear each other: what one would have told, the other finds.
    #[tokio::test]
    async fn what_no_link_has_told_is_found_in_the_store() {
        let Some(server) = Postgres::shared("what_no_link_has_told_is_found_in_the_store") else { return };
        let address = server.database();
        let (here, there) = (directory(&address), directory(&address));
        let (alice, bob) = (peer(&here, "alice").await, peer(&here, "bob").await);
        let (session, mut pushes) = seated(&here, alice, Instance(1)).await;
        compare(&here).await.unwrap();
        assert!(pushes.try_recv().is_none(), "nothing has happened");
        // A row.
        let (message, to) = (MessageId::generate(), PeerRef::Id(alice.0));
        let send = Send { message, to, text: "hello".into(), sealed: None };
        there.store.send(Change::by(bob.0, NOW), send).await.unwrap();
        let node = here.store.node().unwrap();
        let latest = here.store.seats(node, None).await.unwrap()[0].latest;
        assert!(session.latest() < latest);
        compare(&here).await.unwrap();
        assert!(matches!(pushes.try_recv(), Some(Push::Look)));
        assert_eq!(session.latest(), latest);
        // A seat without a session, which would keep the peer's other daemons out.
        let (ghost, _) = seated(&here, bob, Instance(2)).await;
        assert!(here.live.leave(&ghost, SessionEnd::Closed));
        assert_eq!(here.store.seats(node, None).await.unwrap().len(), 2);
        compare(&here).await.unwrap();
        let left: Vec<PeerId> =
            here.store.seats(node, None).await.unwrap().iter().map(|seat| seat.peer).collect();
        assert_eq!(left, [alice.0]);
        // A session that was taken over at the other node.
        let (_other, _others) = seated(&there, alice, Instance(3)).await;
        compare(&here).await.unwrap();
        assert!(matches!(pushes.try_recv(), Some(Push::Close(_))));
        compare(&there).await.unwrap();
        assert!(there.live.is_here(alice.0));
    }
}
