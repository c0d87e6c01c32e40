//! Transfers that break, are given up, are damaged or have to wait: they go on where they were, and arrive whole.

use std::{
    fs::{self, File},
    os::unix::fs::FileExt,
    process::Stdio,
};

use dos_protocol::limits::ADDRESSES_MAX;
use dos_testing::{Guarded, Signal};

use crate::{
    cutter::Cutter,
    pictures,
    stage::{Peer, Stage, wait_until},
};

const MIB: usize = 1 << 20;

/// An owner that is reached through a proxy only, a viewer with a right to her image, and the image.
struct Scene {
    stage: Stage,
    alice: Peer,
    bob: Peer,
    proxy: Cutter,
    original: Vec<u8>,
}

impl Scene {
    fn new(size: usize) -> Self {
        let stage = Stage::with(&["--relay", "off"]);
        let (mut alice, mut bob) = (stage.peer("alice"), stage.peer("bob"));
        let proxy = Cutter::new();
        // The address that the directory sees leads nowhere: 127.0.0.1 is not 127.0.0.2.
        alice.extra = ["--listen", "127.0.0.2:0", "--advertise"].map(String::from).into();
        alice.extra.push(proxy.address());
        // These addresses leave no room for its own, at which the proxy could be passed by.
        for closed in 1..ADDRESSES_MAX {
            alice.extra.extend(["--advertise".into(), format!("127.0.0.1:{closed}")]);
        }
        // A rendezvous would pass it by, too.
        bob.extra = ["--auto-fetch", "false", "--log", "peerd=debug", "--reachable", "false"]
            .map(String::from)
            .into();
        let original = pictures::write_large(&alice.dir.join("sea.jpg"), 1, size);
        let mut scene = Self { stage, alice, bob, proxy, original };
        scene.restart_alice();
        scene.bob.restart();
        scene.alice.ctl(&["add", "sea.jpg"]).ok();
        scene.give(&scene.bob);
        scene
    }

    fn give(&self, viewer: &Peer) {
        viewer.online();
        self.alice.ctl(&["share", "sea", &viewer.name, "--views", "5"]).ok();
        wait_until("the viewer is told", || viewer.right("/sea").is_some());
    }

    fn restart_alice(&mut self) {
        self.alice.restart();
        self.proxy.lead_to(self.alice.json(&["status"])["listen"].as_str().unwrap());
        self.alice.online();
    }

    fn restart_bob(&mut self) {
        self.bob.restart();
        self.bob.online();
    }

    /// The size of the sealed copy.
    fn sealed_bytes(&self) -> u64 {
        let copy = fs::read_dir(self.alice.dir.join("state/sealed")).unwrap().next().unwrap().unwrap();
        copy.metadata().unwrap().len()
    }

    fn partial_bytes(&self) -> u64 {
        let mut files = fs::read_dir(self.bob.dir.join("state/partial")).unwrap();
        files.next().map_or(0, |file| file.unwrap().metadata().unwrap().len())
    }
}

/// What breaks a transfer.
#[derive(Debug, Clone, Copy)]
enum Break {
    Network,
    Viewer,
    Owner,
}

/// Twenty moments, as shares of the transfer in 1/65536, and what happens then.
fn breaks(mut seed: u64, kinds: &[Break]) -> Vec<(u64, Break)> {
    let mut next = || {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        seed >> 48
    };
    let mut breaks: Vec<_> =
        (0..20).map(|_| (next(), kinds[usize::try_from(next()).unwrap() % kinds.len()])).collect();
    breaks.sort_by_key(|(at, _)| *at);
    breaks
}

/// What two sockets may hold between the proxy and the viewer, as the system has it, and peerd's buffers.
fn under_way_max() -> u64 {
    let largest = |name: &str| -> u64 {
        let text = fs::read_to_string(format!("/proc/sys/net/ipv4/{name}")).unwrap();
        text.split_ascii_whitespace().next_back().unwrap().parse().unwrap()
    };
    largest("tcp_rmem") + largest("tcp_wmem") + (1 << 20)
}

/// Breaks the transfer of 100 MiB twenty times; answers its size, and how much has come from the owner.
#[expect(clippy::print_stderr, reason = "how much it was is worth knowing")]
fn broken(kinds: &[Break]) -> (u64, u64) {
    let mut scene = Scene::new(100 * MIB);
    let total = scene.sealed_bytes();
    let begin = |bob: &Peer| Guarded::start(bob.command(&["fetch", "alice/sea"]).stderr(Stdio::null()));
    let mut fetch = begin(&scene.bob);
    for (share, what) in breaks(0xd05, kinds) {
        // Of what had come before, some may have come twice.
        let point = scene.proxy.sent().max(total * share / 65_536);
        scene.proxy.hold_from(point);
        scene.proxy.wait_for(point, || {
            // With its peerd, or for want of the owner, the command may have gone.
            if !fetch.is_running() {
                fetch = begin(&scene.bob);
            }
        });
        match what {
            Break::Network => {}
            Break::Viewer => scene.restart_bob(),
            Break::Owner => scene.restart_alice(),
        }
        scene.proxy.cut();
        assert_eq!(
            fs::read_dir(scene.bob.dir.join("state/sealed")).unwrap().count(),
            0,
            "too late for a break"
        );
    }
    fetch.wait();
    scene.bob.ctl(&["fetch", "alice/sea"]).ok();
    let sent = scene.proxy.sent();
    eprintln!("{kinds:?}: {sent} bytes sent for a copy of {total}: {:.4}", sent as f64 / total as f64);
    assert!(scene.bob.view("alice/sea") == scene.original);
    (total, sent)
}

#[test]
fn whatever_reached_the_viewer_before_twenty_breaks_is_kept() {
    let (total, sent) = broken(&[Break::Network, Break::Owner]);
    // A hundredth: what TLS and twenty beginnings take, and what the proxy held.
    assert!(sent * 100 <= total * 101, "{sent} bytes sent for {total}");
}

#[test]
fn twenty_ends_of_the_viewers_daemon_cost_what_was_under_way() {
    let (total, sent) = broken(&[Break::Viewer]);
    assert!(sent <= total + total / 100 + 20 * under_way_max(), "{sent} bytes sent for {total}");
}

#[test]
fn a_command_that_is_interrupted_leaves_what_has_arrived_for_the_next() {
    let mut scene = Scene::new(60 * MIB);
    // Slow enough to be interrupted in the middle.
    scene.bob.extra.extend(["--download-rate", "30000000"].map(String::from));
    scene.restart_bob();
    let mut fetch = scene.bob.begin(&["fetch", "alice/sea"]);
    scene.proxy.wait_for(scene.sealed_bytes() / 2, || ());
    fetch.signal(Signal::INT);
    assert!(!fetch.wait().success(), "it was too late to interrupt it");
    assert!(scene.partial_bytes() > 0, "what has arrived is kept");
    scene.bob.ctl(&["fetch", "alice/sea"]).ok();
    let most = scene.sealed_bytes() * 101 / 100 + under_way_max();
    assert!(scene.proxy.sent() <= most, "{}", scene.proxy.sent());
    assert!(scene.bob.view("alice/sea") == scene.original);
}

#[test]
fn one_connection_carries_several_transfers_and_is_closed_at_a_block() {
    let scene = Scene::new(MIB);
    for (seed, name) in [(2, "hill"), (3, "lake")] {
        pictures::write(&scene.alice.dir.join(name), seed);
        scene.alice.ctl(&["add", name]).ok();
        scene.alice.ctl(&["share", name, &scene.bob.name, "--views", "2"]).ok();
    }
    wait_until("the viewer is told", || scene.bob.right("/lake").is_some());
    for image in ["alice/sea", "alice/hill", "alice/lake"] {
        scene.bob.ctl(&["fetch", image]).ok();
    }
    assert_eq!(scene.proxy.connections(), (1, 1));
    scene.bob.ctl(&["block", "alice"]).ok();
    wait_until("the connection is closed", || scene.proxy.connections() == (1, 0));
}

#[test]
fn a_kept_connection_that_the_owner_has_lost_is_replaced_by_another_one() {
    let mut scene = Scene::new(MIB);
    pictures::write(&scene.alice.dir.join("hill"), 2);
    scene.alice.ctl(&["add", "hill"]).ok();
    scene.alice.ctl(&["share", "hill", &scene.bob.name, "--views", "2"]).ok();
    wait_until("the viewer is told", || scene.bob.right("/hill").is_some());
    scene.bob.ctl(&["fetch", "alice/sea"]).ok();
    scene.restart_alice();
    scene.bob.ctl(&["fetch", "alice/hill"]).ok();
    // She is called where she was, and once more if the directory says meanwhile that she is seen elsewhere.
    let made = scene.proxy.connections().0;
    assert!((2..=3).contains(&made), "{made} connections");
}

#[test]
fn a_damaged_block_is_named_in_the_log_and_fetched_again() {
    let scene = Scene::new(5 * MIB);
    let copy = fs::read_dir(scene.alice.dir.join("state/sealed")).unwrap().next().unwrap().unwrap().path();
    let file = File::options().read(true).write(true).open(copy).unwrap();
    let (place, mut byte) = (u64::try_from(3 * MIB + 500).unwrap(), [0]);
    file.read_exact_at(&mut byte, place).unwrap();
    file.write_all_at(&[!byte[0]], place).unwrap();
    scene.bob.ctl(&["fetch", "alice/sea"]).fails(8);
    assert!(scene.bob.log().contains("a block arrived damaged; fetching it again"), "{}", scene.bob.log());
    assert!(scene.bob.log().contains("block=3"), "{}", scene.bob.log());
    // What came before it is sound and stays.
    assert_eq!(scene.partial_bytes(), u64::try_from(3 * MIB).unwrap());
    file.write_all_at(&byte, place).unwrap();
    scene.bob.ctl(&["fetch", "alice/sea"]).ok();
    assert!(scene.bob.view("alice/sea") == scene.original);
}

#[test]
fn several_viewers_fetch_one_sealed_file_together_and_wait_their_turn() {
    let mut scene = Scene::new(10 * MIB);
    scene.alice.extra.extend(["--max-uploads", "1", "--upload-rate", "10000000"].map(String::from));
    scene.restart_alice();
    let more = ["carol", "dave"].map(|name| {
        let viewer = scene.stage.peer(name);
        scene.give(&viewer);
        viewer
    });
    let viewers = [&scene.bob, &more[0], &more[1]];
    let fetches = viewers.map(|viewer| viewer.begin(&["fetch", "alice/sea"]));
    for mut fetch in fetches {
        assert!(fetch.wait().success());
    }
    for viewer in viewers {
        assert!(viewer.view("alice/sea") == scene.original);
    }
    assert_eq!(fs::read_dir(scene.alice.dir.join("state/sealed")).unwrap().count(), 1);
}
