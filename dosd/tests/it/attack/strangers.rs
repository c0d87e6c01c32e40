//! Strangers, without a key or with one that is not registered: others sign in as ever, and memory stays bounded.

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
    directory::RELAY_MAGIC,
    key::SecretKey,
    limits::{FRAME_BYTES_MAX, UNSIGNED_FRAME_BYTES_MAX},
    tls::{Alpn, ClientTls},
};
use dos_testing::{
    Backoff,
    attack::{report, size},
    wait_until_async,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    task::JoinSet,
    time::timeout,
};

use super::{Target, connect_from, percentile};
use crate::net::{Client, Net, PATIENCE, register};

/// What a stranger does with a connection before it waits for the end of it.
#[derive(Debug, Clone, Copy)]
enum Trick {
    /// Nothing.
    Silence,
    /// Begins a handshake and goes no further.
    OneByte,
    /// Begins a relayed call and goes no further.
    HalfATicket,
    /// Proves a key and asks for nothing.
    Handshake,
}

/// Strangers at these addresses, each with so many connections at a time, which come again as soon as they are hung up on.
struct Strangers {
    connections: Arc<AtomicUsize>,
    _tasks: JoinSet<()>,
}

impl Strangers {
    /// Starts them, and waits until the server has taken as many connections as there are at a time.
    async fn start(net: &Net, hosts: &[u8], each: usize, trick: Trick) -> Self {
        let connections = Arc::new(AtomicUsize::new(0));
        let mut tasks = JoinSet::new();
        let secret = SecretKey::generate().unwrap();
        for host in hosts {
            for _ in 0..each {
                let (address, key, secret) = (net.address, net.link.key, secret.clone());
                let (host, connections) = (*host, Arc::clone(&connections));
                tasks.spawn(async move {
                    // Ends with the test at the latest.
                    for _ in 0..10_000 {
                        connections.fetch_add(1, Ordering::Relaxed);
                        play(host, address, (key, &secret), trick).await;
                    }
                });
            }
        }
        let wanted = hosts.len() * each;
        wait_until_async("all strangers are there", async || connections.load(Ordering::Relaxed) >= wanted)
            .await;
        Self { connections, _tasks: tasks }
    }

    fn connections(&self) -> usize {
        self.connections.load(Ordering::Relaxed)
    }
}

/// One connection, until the other side ends it.
async fn play(host: u8, address: SocketAddr, (key, secret): (PublicKey, &SecretKey), trick: Trick) {
    let Some(mut stream) = connect_from(host, address).await else { return };
    let begun = match trick {
        Trick::Silence => Ok(()),
        Trick::OneByte => stream.write_all(&[0x16]).await,
        Trick::HalfATicket => stream.write_all(RELAY_MAGIC.as_slice()).await,
        Trick::Handshake => {
            let tls = ClientTls::new(secret, key, Alpn::Directory).unwrap();
            if let Ok(mut stream) = tls.connect(stream).await {
                drop(stream.read_to_end(&mut Vec::new()).await);
            }
            return;
        }
    };
    if begun.is_ok() {
        drop(stream.read_to_end(&mut Vec::new()).await);
    }
}

/// Attacks with `each` connections at a time from each of four addresses, while a peer at another one signs in `times` times.
async fn others_sign_in_at_once(trick: Trick, each: usize, times: usize) {
    let dir = tempfile::tempdir().unwrap();
    let target = Target::start(dir.path(), &[]).await;
    let honest = target.net.peer("honest").await;
    let before = target.memory();
    let strangers = Strangers::start(&target.net, &[2, 3, 4, 5], each, trick).await;
    let mut taken = Vec::new();
    for _ in 0..times {
        taken.push(timeout(PATIENCE, target.sign_in(&honest.secret)).await.expect("nobody signs in"));
    }
    let (p50, p99) = (percentile(&mut taken, 50), percentile(&mut taken, 99));
    let grown = target.memory().saturating_sub(before) / 1024;
    let connections = strangers.connections();
    report(
        &format!("{trick:?}"),
        &format!(
            "{each} x 4 connections at a time, {connections} in all; {times} sign-ins of others: \
             p50 {p50:.0?}, p99 {p99:.0?}; {grown} MiB more memory"
        ),
    );
    assert!(p99 < Duration::from_secs(1), "{trick:?}: {p99:?}");
    assert!(grown < 64, "{trick:?}: {grown} MiB");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn silent_connections_keep_nobody_out() {
    others_sign_in_at_once(Trick::Silence, size(300, 2_500), size(30, 300)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn handshakes_that_are_begun_keep_nobody_out() {
    others_sign_in_at_once(Trick::OneByte, size(300, 2_500), size(30, 300)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tickets_that_are_begun_keep_nobody_out() {
    others_sign_in_at_once(Trick::HalfATicket, size(150, 2_500), size(20, 300)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn keys_that_are_proved_and_ask_for_nothing_keep_nobody_out() {
    others_sign_in_at_once(Trick::Handshake, size(150, 1_000), size(20, 100)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn large_first_frames_cost_no_memory() {
    let dir = tempfile::tempdir().unwrap();
    let target = Target::start(dir.path(), &[]).await;
    let honest = target.net.peer("honest").await;
    let before = target.memory();
    let mut strangers = JoinSet::new();
    for _ in 0..600 {
        let (address, key) = (target.net.address, target.net.link.key);
        strangers.spawn(async move {
            let tls = ClientTls::new(&SecretKey::generate().unwrap(), key, Alpn::Directory).unwrap();
            let stream = connect_from(2, address).await.unwrap();
            let mut stream = tls.connect(stream).await.unwrap();
            // All but the last byte, so that it is held as long as it may be.
            let length = u32::try_from(FRAME_BYTES_MAX).unwrap().to_be_bytes();
            let frame = [&length[..], &vec![0; FRAME_BYTES_MAX - 1]].concat();
            drop(stream.write_all(&frame).await);
            drop(stream.read_to_end(&mut Vec::new()).await);
        });
    }
    let mut most = before;
    let mut ended = 0;
    while ended < 600 {
        let one = timeout(PATIENCE, strangers.join_next()).await.expect("a large frame is waited for");
        one.unwrap().unwrap();
        ended += 1;
        most = most.max(target.memory());
    }
    let grown = (most - before) / 1024;
    report("large first frames", &format!("600 of 1 MiB: {grown} MiB more memory"));
    assert!(grown < 16, "{grown} MiB");
    assert!(target.sign_in(&honest.secret).await < Duration::from_secs(1));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_crowd_behind_one_address_comes_back_at_once() {
    let dir = tempfile::tempdir().unwrap();
    let target = Arc::new(Target::start(dir.path(), &[]).await);
    let count = size(400, 4_500);
    let secrets: Vec<_> = (0..count).map(|_| SecretKey::generate().unwrap()).collect();
    let tries = Arc::new(AtomicUsize::new(0));
    let begun = Instant::now();
    let mut crowd = JoinSet::new();
    for (number, secret) in secrets.into_iter().enumerate() {
        let (target, tries) = (Arc::clone(&target), Arc::clone(&tries));
        crowd.spawn(async move {
            let mut backoff = Backoff::within(PATIENCE);
            loop {
                tries.fetch_add(1, Ordering::Relaxed);
                let connected = Client::try_connect(&target.net, target.net.address, secret.clone()).await;
                if let Ok(mut client) = connected {
                    client.enter(register(&format!("peer{number}"), None)).await.unwrap();
                    return client;
                }
                tokio::time::sleep(backoff.next_pause().expect("one does not get in")).await;
            }
        });
    }
    let sessions = crowd.join_all().await;
    let (time, tries) = (begun.elapsed(), tries.load(Ordering::Relaxed));
    report(
        "a crowd",
        &format!("{count} of one address registered after {time:.1?}, with {tries} connections"),
    );
    assert_eq!(sessions.len(), count);
    assert!(tries < count * 2, "{tries} tries");
}

#[tokio::test]
async fn a_first_frame_has_a_few_kib_and_later_ones_more() {
    let dir = tempfile::tempdir().unwrap();
    let net = Net::start(dir.path());
    let mut stranger = Client::connect(&net, SecretKey::generate().unwrap()).await;
    let length = u32::try_from(UNSIGNED_FRAME_BYTES_MAX + 1).unwrap();
    stranger.send_bytes(&length.to_be_bytes()).await;
    assert_eq!(stranger.next().await, None);
    let mut peer = net.peer("peer").await;
    let nonsense = vec![0x81; 2 * UNSIGNED_FRAME_BYTES_MAX];
    let length = u32::try_from(nonsense.len()).unwrap().to_be_bytes();
    peer.send_bytes(&[&length[..], &nonsense].concat()).await;
    assert!(peer.next().await.is_some(), "a session goes on");
    net.stop().await;
}
