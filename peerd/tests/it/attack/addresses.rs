//! Peers that announce addresses of others: services of the host that is to call them, and hosts that are to be disturbed.

use std::{
    io::ErrorKind,
    net::TcpListener,
    sync::mpsc::{self, SyncSender},
    thread,
    time::{Duration, Instant},
};

use dos_testing::{attack, skipped, within};

use crate::{
    cutter::Cutter,
    netns::Lines,
    stage::{Peer, Stage},
};

/// Of a service that nobody connects to.
fn assert_undisturbed(service: &TcpListener) {
    service.set_nonblocking(true).unwrap();
    match service.accept() {
        Err(error) if error.kind() == ErrorKind::WouldBlock => {}
        other => panic!("somebody has connected: {other:?}"),
    }
}

fn port(service: &TcpListener) -> u16 {
    service.local_addr().unwrap().port()
}

/// A peer in a namespace, registered at this link.
fn peer(stage: &Stage, (name, namespace): (&str, &str), link: &str, extra: &[&str]) -> Peer {
    let peer = stage.stranger_with(name, Some(namespace), extra);
    peer.ctl(&["register", "--server", link, "--name", name]).ok();
    peer
}

#[test]
fn a_service_on_loopback_gets_no_connection_from_a_peerd_whose_contact_announces_it() {
    let name = "a_service_on_loopback_gets_no_connection_from_a_peerd_whose_contact_announces_it";
    // The namespaces go last.
    let lines = match Lines::lay() {
        Ok(lines) => lines,
        Err(why) => return skipped(name, &why),
    };
    let service = within(&lines.bob, || TcpListener::bind("127.0.0.1:0").unwrap());
    let v6 = within(&lines.bob, || TcpListener::bind("[::1]:0"));
    let mut announced = vec![
        format!("127.0.0.1:{}", port(&service)),
        format!("127.1.2.3:{}", port(&service)),
        format!("[::ffff:127.0.0.1]:{}", port(&service)),
        format!("0.0.0.0:{}", port(&service)),
    ];
    announced.extend(v6.iter().flat_map(|v6| ["[::1]", "[::]"].map(|host| format!("{host}:{}", port(v6)))));
    let advertise: Vec<&str> = announced.iter().flat_map(|address| ["--advertise", address]).collect();

    let stage = Stage::at("203.0.113.1", Some(&lines.directory), &[]);
    let _alice = peer(&stage, ("alice", &lines.alice), &stage.link(), &advertise);
    let bob = peer(&stage, ("bob", &lines.bob), &stage.link(), &[]);
    for _ in 0..2 {
        let pong = bob.json(&["ping", "alice"]);
        assert_eq!(pong["way"], "relayed", "{pong}");
    }
    assert_undisturbed(&service);
    v6.iter().for_each(assert_undisturbed);
}

/// A proxy before the directory makes it see everybody on its own host. What it tells then is what a directory that lies would
/// tell, and peerd does not believe it.
#[test]
fn a_service_on_loopback_gets_no_connection_whatever_the_directory_tells() {
    let name = "a_service_on_loopback_gets_no_connection_whatever_the_directory_tells";
    let lines = match Lines::lay() {
        Ok(lines) => lines,
        Err(why) => return skipped(name, &why),
    };
    let service = within(&lines.bob, || TcpListener::bind("127.0.0.1:0").unwrap());
    let announced = format!("127.0.0.1:{}", port(&service));

    let stage = Stage::at("127.0.0.1", Some(&lines.directory), &[]);
    let proxy = within(&lines.directory, || Cutter::at("203.0.113.1"));
    proxy.lead_to(&format!("127.0.0.1:{}", stage.port()));
    let link = || stage.link().replace(&format!("127.0.0.1:{}", stage.port()), &proxy.address());
    let _alice = peer(&stage, ("alice", &lines.alice), &link(), &["--advertise", &announced]);
    let bob = peer(&stage, ("bob", &lines.bob), &link(), &[]);
    let seen = bob.json(&["resolve", "alice"])["address"].clone();
    assert!(seen.as_str().is_some_and(|seen| seen.starts_with("127.0.0.1:")), "{seen}");
    let pong = bob.json(&["ping", "alice"]);
    assert_eq!(pong["way"], "relayed", "{pong}");
    assert_undisturbed(&service);
}

#[test]
fn two_clients_of_one_host_reach_each_other_directly_where_the_directory_is_elsewhere() {
    let name = "two_clients_of_one_host_reach_each_other_directly_where_the_directory_is_elsewhere";
    let lines = match Lines::lay() {
        Ok(lines) => lines,
        Err(why) => return skipped(name, &why),
    };
    let stage = Stage::at("203.0.113.1", Some(&lines.directory), &["--relay", "off"]);
    let _alice = peer(&stage, ("alice", &lines.alice), &stage.link(), &[]);
    let carol = peer(&stage, ("carol", &lines.alice), &stage.link(), &[]);
    assert_eq!(carol.json(&["ping", "alice"])["way"], "direct");
}

/// Everybody here is on one host, where announced loopback addresses are tried: the host hears of it now and then.
#[test]
fn a_host_that_many_peers_announce_hears_of_a_peerd_three_times_a_second_at_most() {
    let (hear, heard) = mpsc::sync_channel(1024);
    let announced: Vec<String> =
        (1..=5).map(|last| victim(&format!("127.0.0.{last}"), hear.clone())).collect();
    let advertise: Vec<&str> = announced.iter().flat_map(|address| ["--advertise", address]).collect();
    // They do not listen where the directory sees them.
    let arguments = [&["--listen", "127.0.0.9:0"][..], &advertise].concat();
    let stage = Stage::with(&["--relay", "off"]);
    let names = ["mallory", "oscar", "trudy"];
    let mut peers = names.map(|name| stage.peer_in(name, None, &arguments));
    let bob = stage.peer("bob");
    // Their addresses stay known, and lead to nobody any more but the victim.
    for peer in &mut peers {
        peer.peerd.as_ref().unwrap().stop();
    }
    let calls = attack::size(1, 5);
    let begun = Instant::now();
    let calling: Vec<_> = (0..calls).flat_map(|_| names.map(|name| bob.begin(&["ping", name]))).collect();
    for mut call in calling {
        assert!(!call.wait().success(), "somebody has answered for a peer that does not");
    }
    let connected: Vec<Duration> = heard.try_iter().map(|at| at.duration_since(begun)).collect();
    let most = connected.iter().map(|at| in_the_second_before(&connected, *at)).max().unwrap_or(0);
    let figures = format!("{} connections in {:?}, {most} in a second", connected.len(), begun.elapsed());
    attack::report("announced host", &figures);
    assert!(!connected.is_empty(), "nobody was called");
    assert!(most <= 3, "{connected:?}");
}

/// A service that reports when somebody connects; its thread ends with the test.
fn victim(host: &str, hear: SyncSender<Instant>) -> String {
    let service = TcpListener::bind((host, 0)).unwrap();
    let address = service.local_addr().unwrap().to_string();
    thread::spawn(move || {
        for _connection in service.incoming() {
            if hear.send(Instant::now()).is_err() {
                return;
            }
        }
    });
    address
}

/// Connections in nine tenths of a second, since they are noticed with a delay.
fn in_the_second_before(connected: &[Duration], at: Duration) -> usize {
    connected.iter().filter(|other| **other <= at && at - **other < Duration::from_millis(900)).count()
}
