//! Two peers behind routers of every make, in namespaces: which way leads from one to the other, and how long it takes.
//!
//! ```text
//!   bob 192.168.1.2 ---- 192.168.1.1 router 11.0.1.2 ---- 11.0.1.1 \
//!                                                                  directory 203.0.113.1, which routes between the two
//!   alice 192.168.2.2 -- 192.168.2.1 router 11.0.2.2 ---- 11.0.2.1 /
//! ```
//!
//! The addresses outside are of no range for documents: routers hold those for private ones.
//!
//! The suite tries the pairs that differ in kind; `cargo xtask nat` tries all and prints a table. Needs root, `ip` and `nft` (Debian: iproute2,
//! nftables); says clearly that it was skipped where it cannot run.

use std::{env, fs, io::Write as _, process::Stdio, time::Instant};

use dos_testing::{Guarded, has_program, skipped};

use super::{Namespaces, ip, lay_line, nft};
use crate::{
    pictures,
    reach::{arriving, give},
    stage::{Stage, wait_until},
};

/// Asks for all pairs, and for the table.
const ALL: &str = "DOS_NAT_TABLE";

/// The port that a forwarding router passes on.
const PORT: u16 = 7001;

/// What a router does with connections.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Router {
    /// A port outside is the one inside; what nobody inside has sent to is dropped.
    Preserving,
    /// Every connection gets a port of its own, by chance.
    Symmetric,
    /// As the first, but it answers what it does not expect, by a reset.
    Rejecting,
    /// As the first, with a port that leads to the peer's daemon.
    Forwarded,
    /// As the second, and it maps ports for whom asks.
    Mapping,
}

impl Router {
    const EVERY: [Self; 4] = [Self::Preserving, Self::Symmetric, Self::Rejecting, Self::Forwarded];

    fn name(self) -> &'static str {
        match self {
            Self::Preserving => "port-preserving",
            Self::Symmetric => "symmetric",
            Self::Rejecting => "rejecting",
            Self::Forwarded => "forwarded port",
            Self::Mapping => "mapping",
        }
    }

    /// Its rules for nft(8), with its end of the line outside and the host inside.
    fn rules(self, outside: &str, host: &str) -> String {
        let random = if matches!(self, Self::Symmetric | Self::Mapping) { "fully-random" } else { "" };
        let unexpected =
            if self == Self::Rejecting { "meta l4proto tcp reject with tcp reset" } else { "drop" };
        let forward = match self {
            Self::Forwarded => format!("iifname {outside} tcp dport {PORT} dnat ip to {host}:{PORT};"),
            Self::Mapping => "jump miniupnpd_dnat;".into(),
            _ => String::new(),
        };
        // What miniupnpd fills.
        let [dnat, peer, pass] = ["dnat", "peer", ""]
            .map(|name| format!("chain miniupnpd{}{name} {{}}", if name.is_empty() { "" } else { "_" }));
        format!(
            "table inet nat {{
                {dnat}
                {peer}
                chain prerouting {{ type nat hook prerouting priority -100; {forward} }}
                chain postrouting {{ type nat hook postrouting priority 100; oifname {outside} masquerade {random}; }}
            }}
            table inet filter {{
                {pass}
                chain input {{
                    type filter hook input priority 0;
                    iifname {outside} ct state established,related accept;
                    iifname {outside} {unexpected};
                }}
            }}"
        )
    }

    /// The arguments of the daemon behind it.
    fn arguments(self) -> Vec<String> {
        let port = if self == Self::Forwarded { PORT } else { 0 };
        let slow = ["--auto-fetch", "false", "--upload-rate", "1000000", "--listen"];
        slow.into_iter().map(String::from).chain([format!("[::]:{port}")]).collect()
    }
}

/// What a way from `caller` to `owner` may be.
fn expected(caller: Router, owner: Router) -> &'static [&'static str] {
    use Router::{Forwarded, Rejecting, Symmetric};
    match (caller, owner) {
        (_, Forwarded) => &["announced"],
        // The owner calls back; where its router keeps the port, that is the punched connection too.
        (Forwarded, Symmetric) => &["called_back"],
        (Forwarded, _) => &["called_back", "punched"],
        (Symmetric, _) | (_, Symmetric) => &["relayed"],
        // Both packets have to be under way at one moment, on lines that take none of it.
        (Rejecting, Rejecting) => &["punched", "relayed"],
        _ => &["punched"],
    }
}

/// Has a namespace pass on what is not for itself.
pub(super) fn route(namespace: &str) -> Result<(), String> {
    let on = ["netns", "exec", namespace, "sh", "-c", "echo 1 > /proc/sys/net/ipv4/ip_forward"];
    ip(&on)
}

/// Two networks behind routers, and a directory between them.
pub(super) struct Networks {
    spaces: Namespaces,
}

impl Networks {
    pub(super) const DIRECTORY: usize = 0;
    pub(super) const BOB: usize = 2;
    pub(super) const ALICE: usize = 4;

    pub(super) fn lay(bob: Router, alice: Router) -> Result<Self, String> {
        if !has_program("nft") {
            return Err("there is no nft".into());
        }
        let spaces = Namespaces::make(&["d", "rb", "b", "ra", "a"])?;
        let names: Vec<&str> = spaces.names().collect();
        let [directory, rb, b, ra, a] = names[..] else { unreachable!() };
        ip(&["-n", directory, "addr", "add", "203.0.113.1/32", "dev", "lo"])?;
        for (router, host, net, kind, line) in [(rb, b, 1, bob, "b"), (ra, a, 2, alice, "a")] {
            let (far, near) = (format!("11.0.{net}.1/24"), format!("11.0.{net}.2/24"));
            lay_line((directory, &far), (router, &near), &format!("w{line}"))?;
            let (inner, own) = (format!("192.168.{net}.1/24"), format!("192.168.{net}.2/24"));
            lay_line((router, &inner), (host, &own), &format!("l{line}"))?;
            ip(&["-n", router, "route", "add", "default", "via", &format!("11.0.{net}.1")])?;
            ip(&["-n", host, "route", "add", "default", "via", &format!("192.168.{net}.1")])?;
            route(router)?;
            nft(router, &kind.rules(&format!("w{line}1"), &format!("192.168.{net}.2")))?;
        }
        route(directory)?;
        Ok(Self { spaces })
    }

    pub(super) fn name(&self, which: usize) -> &str {
        self.spaces.names().nth(which).unwrap()
    }
}

/// A way that was found.
struct Found {
    how: String,
    /// From the start of the command to its end.
    first_ms: u128,
    again: String,
    again_ms: u128,
    /// While a transfer of a copy is under way between the same two.
    beside: String,
    beside_ms: u128,
}

/// Bob, behind this router, calls Alice, behind that one; once more at once; and beside a transfer.
fn call(bob: Router, alice: Router) -> Result<Found, String> {
    // The namespaces go last.
    let networks = Networks::lay(bob, alice)?;
    let stage = Stage::at("203.0.113.1", Some(networks.name(Networks::DIRECTORY)), &[]);
    let peer = |name, space, router: Router| {
        let arguments = router.arguments();
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        stage.peer_in(name, Some(networks.name(space)), &arguments)
    };
    let owner = peer("alice", Networks::ALICE, alice);
    let caller = peer("bob", Networks::BOB, bob);
    pictures::write_large(&owner.dir.join("sea"), 1, 8_000_000);
    give(&owner, &caller, "sea", &owner.dir.join("sea"));
    let ping = || {
        let begun = Instant::now();
        let pong = caller.json(&["ping", "alice"]);
        let how = pong["how"].as_str().unwrap_or("relayed").to_owned();
        (how, begun.elapsed().as_millis())
    };
    let (how, first_ms) = ping();
    let (again, again_ms) = ping();
    let is_expected = expected(bob, alice).contains(&&*again);
    assert!(is_expected, "{bob:?} to {alice:?}: {again} again\n{}", caller.log());
    let _fetching =
        Guarded::start(caller.command(&["fetch", "alice/sea"]).stdout(Stdio::null()).stderr(Stdio::null()));
    wait_until("a transfer is under way", || arriving(&caller) > 0);
    let (beside, beside_ms) = ping();
    Ok(Found { how, first_ms, again, again_ms, beside, beside_ms })
}

/// Fails unless the way between two peers is as it must be; whether it could be tried.
fn is_as_expected(test: &str, pairs: &[(Router, Router)]) {
    for (bob, alice) in pairs {
        match call(*bob, *alice) {
            Ok(found) => {
                let expected = expected(*bob, *alice);
                let Found { how, beside, .. } = found;
                assert!(expected.contains(&&*how), "{bob:?} to {alice:?}: {how} {expected:?}");
                // Where much is begun in one second, the bound of attempts at one host lets the relay be there sooner.
                let may_be = expected.contains(&&*beside) || beside == "relayed";
                assert!(may_be, "{bob:?} to {alice:?}: {beside} beside a transfer, {expected:?}");
            }
            Err(why) => return skipped(test, &why),
        }
    }
}

#[test]
fn two_peers_behind_routers_that_keep_a_port_connect_to_each_other() {
    use Router::{Preserving, Rejecting};
    let test = "two_peers_behind_routers_that_keep_a_port_connect_to_each_other";
    is_as_expected(test, &[(Preserving, Preserving), (Preserving, Rejecting), (Rejecting, Preserving)]);
}

#[test]
fn an_owner_calls_back_who_can_be_reached_and_is_reached_where_its_port_is_forwarded() {
    use Router::{Forwarded, Preserving, Symmetric};
    let test = "an_owner_calls_back_who_can_be_reached_and_is_reached_where_its_port_is_forwarded";
    is_as_expected(test, &[(Forwarded, Symmetric), (Forwarded, Preserving), (Symmetric, Forwarded)]);
}

#[test]
fn the_relay_carries_what_no_router_lets_through() {
    use Router::{Preserving, Symmetric};
    let test = "the_relay_carries_what_no_router_lets_through";
    is_as_expected(test, &[(Symmetric, Symmetric), (Preserving, Symmetric)]);
}

#[test]
fn transfers_beside_each_other_have_a_punched_connection_each() {
    use Router::Preserving;
    let test = "transfers_beside_each_other_have_a_punched_connection_each";
    let networks = match Networks::lay(Preserving, Preserving) {
        Ok(networks) => networks,
        Err(why) => return skipped(test, &why),
    };
    let stage = Stage::at("203.0.113.1", Some(networks.name(Networks::DIRECTORY)), &[]);
    let slow = ["--auto-fetch", "false", "--upload-rate", "4000000", "--log", "peerd=debug"];
    let alice = stage.peer_in("alice", Some(networks.name(Networks::ALICE)), &slow);
    let bob = stage.peer_in("bob", Some(networks.name(Networks::BOB)), &slow);
    for (seed, name) in [(1, "sea"), (2, "hill"), (3, "lake")] {
        pictures::write_large(&alice.dir.join(name), seed, 24_000_000);
        give(&alice, &bob, name, &alice.dir.join(name));
    }
    let fetch = |name: &str| bob.command(&["--json", "fetch", name]).stdout(Stdio::piped()).spawn().unwrap();
    let first = fetch("alice/sea");
    wait_until("the first is under way", || arriving(&bob) > 1 << 20);
    let others = [fetch("alice/hill"), fetch("alice/lake")];
    let copies = || fs::read_dir(bob.dir.join("state/partial")).map_or(0, Iterator::count);
    wait_until("all are under way", || copies() == 3);
    // She calls him meanwhile, too; where much is begun in one second, the relay may be sooner there the first time.
    if alice.json(&["ping", "bob"])["way"] == "relayed" {
        wait_until("a better way is found", || alice.log().contains("found beside the relay"));
    }
    assert_eq!(alice.json(&["ping", "bob"])["how"], "punched", "{}", alice.log());
    assert!(copies() > 0, "the transfers are over");
    for fetching in [first].into_iter().chain(others) {
        let output = fetching.wait_with_output().unwrap();
        let fetched: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
        assert_eq!(fetched["way"], "direct", "{fetched}\n{}", bob.log());
    }
}

/// All pairs, as a table, for `cargo xtask nat`.
#[test]
fn every_pair_of_routers() {
    let test = "every_pair_of_routers";
    if env::var_os(ALL).is_none() {
        return skipped(test, "cargo xtask nat runs it");
    }
    let mut table = String::from(
        "| the caller's router | the owner's | way | ms | at once again, ms | beside a transfer, ms |\n\
         | --- | --- | --- | --- | --- | --- |\n",
    );
    for bob in Router::EVERY {
        for alice in Router::EVERY {
            match call(bob, alice) {
                Ok(Found { how, first_ms, again, again_ms, beside, beside_ms }) => {
                    assert!(expected(bob, alice).contains(&&*how), "{bob:?} to {alice:?}: {how}");
                    let (bob, alice) = (bob.name(), alice.name());
                    let [how, again, beside] = [how, again, beside].map(|how| how.replace('_', " "));
                    table += &format!(
                        "| {bob} | {alice} | {how} | {first_ms} | {again}, {again_ms} | {beside}, {beside_ms} |\n"
                    );
                }
                Err(why) => return skipped(test, &why),
            }
        }
    }
    std::io::stdout().write_all(table.as_bytes()).unwrap();
}
