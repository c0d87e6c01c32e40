//! Strangers at an owner's port: they keep nobody from it, neither at its address nor through the relay, and learn nothing.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use dos_protocol::{
    PublicKey,
    frame::{self, Reader},
    key::SecretKey,
    peer::ToPeer,
    tls::{Alpn, ClientTls},
};
use dos_testing::attack::{report, size};
use tokio::{io::AsyncWriteExt, runtime::Runtime};

use super::{connect_from, target};
use crate::{
    pictures,
    reach::give,
    stage::{Peer, Stage, wait_until},
};

/// What a stranger does with a connection, until the other side ends it.
#[derive(Debug, Clone, Copy)]
pub(super) enum Trick {
    /// Nothing.
    Silence,
    /// Something else than a handshake.
    Garbage,
    /// Proves a key that is not registered, and pings without end.
    Pings,
}

/// Connections of strangers at the same time, which come again when they are hung up on.
pub(super) struct Strangers {
    /// Connections so far, and answers to their pings.
    counts: Arc<[AtomicUsize; 2]>,
    _runtime: Runtime,
}

impl Strangers {
    pub(super) fn start((address, key): (SocketAddr, PublicKey), connections: usize, trick: Trick) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build();
        let runtime = runtime.unwrap();
        let counts = Arc::<[AtomicUsize; 2]>::default();
        for number in 0..connections {
            let (counts, host) = (Arc::clone(&counts), u8::try_from(2 + number % 4).unwrap());
            runtime.spawn(async move {
                let secret = SecretKey::generate().unwrap();
                let tls = ClientTls::new(&secret, key, Alpn::Peer).unwrap();
                // Ends with the test at the latest.
                for _ in 0..10_000 {
                    counts[0].fetch_add(1, Ordering::Relaxed);
                    play((host, address), &tls, trick, &counts[1]).await;
                }
            });
        }
        wait_until("all strangers are there", || counts[0].load(Ordering::Relaxed) >= connections);
        Self { counts, _runtime: runtime }
    }

    pub(super) fn counts(&self) -> [usize; 2] {
        [0, 1].map(|at| self.counts[at].load(Ordering::Relaxed))
    }
}

async fn play((host, address): (u8, SocketAddr), tls: &ClientTls, trick: Trick, pongs: &AtomicUsize) {
    let Some(mut stream) = connect_from(host, address).await else { return };
    if !matches!(trick, Trick::Pings) {
        let nothing_or_garbage: &[u8] = if matches!(trick, Trick::Garbage) { &[0xff; 64] } else { &[] };
        drop(stream.write_all(nothing_or_garbage).await);
        // An end or a reset.
        drop(stream.peek(&mut [0]).await);
        return;
    }
    let Ok(stream) = tls.connect(stream).await else { return };
    let mut stream = Reader::new(stream);
    let ping = frame::to_frame(&ToPeer::Ping).unwrap();
    while stream.get_mut().write_all(&ping).await.is_ok() && stream.get_mut().flush().await.is_ok() {
        let Ok(Some(_)) = stream.next().await else { return };
        pongs.fetch_add(1, Ordering::Relaxed);
    }
}

/// An owner, a viewer with grants, and a peer that has none.
fn stage(reachable: &str) -> (Stage, Peer, Peer, Peer) {
    let stage = Stage::new();
    let alice = stage.peer_in("alice", None, &["--listen", "127.0.0.1:0", "--reachable", reachable]);
    let manual = ["--listen", "127.0.0.1:0", "--auto-fetch", "false"];
    let (bob, carol) = (stage.peer_in("bob", None, &manual), stage.peer("carol"));
    (stage, alice, bob, carol)
}

/// Others reach an owner whose port strangers attack.
fn others_are_served(reachable: &str, trick: Trick, connections: usize) {
    let (_stage, alice, bob, carol) = stage(reachable);
    let original = pictures::write(&alice.dir.join("sea.jpg"), 1);
    let names: Vec<_> = (0..size(3, 20)).map(|number| format!("sea{number}")).collect();
    for name in &names {
        give(&alice, &bob, name, &alice.dir.join("sea.jpg"));
    }
    let strangers = Strangers::start(target(&alice), connections, trick);
    let mut longest = Duration::ZERO;
    for name in &names {
        let begun = Instant::now();
        let fetched = bob.json(&["fetch", &format!("alice/{name}")]);
        longest = longest.max(begun.elapsed());
        assert_eq!(fetched["way"], if reachable == "true" { "direct" } else { "relayed" });
        assert_eq!(bob.view(&format!("alice/{name}")), original);
    }
    let begun = Instant::now();
    carol.json(&["ping", "alice"]);
    let ping = begun.elapsed();
    let [came, pongs] = strangers.counts();
    let way = if reachable == "true" { "direct" } else { "relayed" };
    report(
        &format!("{trick:?} at an owner, {way}"),
        &format!(
            "{connections} connections at a time, {came} in all; {} fetches of a viewer, the longest {longest:.0?}; \
             ping of a peer without a grant {ping:.0?}",
            names.len()
        ),
    );
    assert_eq!(pongs, 0, "a stranger's ping was answered");
    assert!(longest < Duration::from_secs(5) && ping < Duration::from_secs(5), "{longest:?}, {ping:?}");
}

#[test]
fn pings_of_strangers_do_not_make_an_owner_unreachable() {
    others_are_served("true", Trick::Pings, size(300, 1_000));
}

#[test]
fn pings_of_strangers_do_not_keep_calls_through_the_relay_out() {
    others_are_served("false", Trick::Pings, size(300, 1_000));
}

#[test]
fn silent_connections_do_not_make_an_owner_unreachable() {
    others_are_served("true", Trick::Silence, size(300, 5_000));
}
