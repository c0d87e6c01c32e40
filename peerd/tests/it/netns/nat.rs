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

use std::{
    env, fs,
    io::Write as _,
    path::Path,
    process::{Command, Stdio},
    time::Instant,
};

use dos_testing::{Guarded, Signal, has_program, skipped};

use super::{Namespaces, ip, lay_line};
use crate::stage::{Stage, wait_until};

/// Asks for all pairs, and for the table.
const ALL: &str = "DOS_NAT_TABLE";

/// The port that a forwarding router passes on.
const PORT: u16 = 7001;

/// What a router does with connections.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Router {
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
        vec!["--auto-fetch".into(), "false".into(), "--listen".into(), format!("[::]:{port}")]
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

/// Runs `nft` in a namespace.
fn nft(namespace: &str, rules: &str) -> Result<(), String> {
    let mut command = Command::new("ip");
    command.args(["netns", "exec", namespace, "nft", "-f", "-"]).stdin(Stdio::piped());
    let mut child = command.stderr(Stdio::piped()).spawn().map_err(|error| error.to_string())?;
    child.stdin.take().map(|mut input| input.write_all(rules.as_bytes()));
    let output = child.wait_with_output().map_err(|error| error.to_string())?;
    let told = String::from_utf8_lossy(&output.stderr);
    if output.status.success() { Ok(()) } else { Err(format!("nft: {}", told.trim())) }
}

/// Has a namespace pass on what is not for itself.
fn route(namespace: &str) -> Result<(), String> {
    let on = ["netns", "exec", namespace, "sh", "-c", "echo 1 > /proc/sys/net/ipv4/ip_forward"];
    ip(&on)
}

/// Two networks behind routers, and a directory between them.
struct Networks {
    spaces: Namespaces,
}

impl Networks {
    const DIRECTORY: usize = 0;
    const BOB: usize = 2;
    const ALICE: usize = 4;

    fn lay(bob: Router, alice: Router) -> Result<Self, String> {
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

    fn name(&self, which: usize) -> &str {
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
}

/// Bob, behind this router, calls Alice, behind that one; and once more.
fn call(bob: Router, alice: Router) -> Result<Found, String> {
    // The namespaces go last.
    let networks = Networks::lay(bob, alice)?;
    let stage = Stage::at("203.0.113.1", Some(networks.name(Networks::DIRECTORY)), &[]);
    let peer = |name, space, router: Router| {
        let arguments = router.arguments();
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        stage.peer_in(name, Some(networks.name(space)), &arguments)
    };
    let _owner = peer("alice", Networks::ALICE, alice);
    let caller = peer("bob", Networks::BOB, bob);
    let ping = || {
        let begun = Instant::now();
        let pong = caller.json(&["ping", "alice"]);
        let how = pong["how"].as_str().unwrap_or("relayed").to_owned();
        (how, begun.elapsed().as_millis())
    };
    let (how, first_ms) = ping();
    let (again, again_ms) = ping();
    // A router that rejects what it does not expect takes some seconds to forget a connection that was closed.
    if ![bob, alice].contains(&Router::Rejecting) {
        assert_eq!(how, again, "{bob:?} to {alice:?}: the same way again\n{}", caller.log());
    }
    Ok(Found { how, first_ms, again, again_ms })
}

/// Fails unless the way between two peers is as it must be; whether it could be tried.
fn is_as_expected(test: &str, pairs: &[(Router, Router)]) {
    for (bob, alice) in pairs {
        match call(*bob, *alice) {
            Ok(found) => {
                let expected = expected(*bob, *alice);
                assert!(expected.contains(&&*found.how), "{bob:?} to {alice:?}: {} {expected:?}", found.how);
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

/// What a router needs to serve PCP, NAT-PMP and nothing else, in the words of miniupnpd.conf(5).
fn miniupnpd(outside: &str, inside: &str, lease: &Path) -> String {
    format!(
        "ext_ifname={outside}\nlistening_ip={inside}\nenable_natpmp=yes\nenable_upnp=no\nsecure_mode=yes\n\
         lease_file={}\nuuid=439e9829-9674-4342-8de0-12593c5678e2\n\
         upnp_table_name=filter\nupnp_nat_table_name=nat\nupnp_forward_chain=miniupnpd\n\
         upnp_nat_chain=miniupnpd_dnat\nupnp_nat_postrouting_chain=miniupnpd_peer\n\
         allow 1024-65535 192.168.0.0/16 1024-65535\n",
        lease.display()
    )
}

#[test]
fn a_router_that_maps_ports_is_asked_to_and_what_was_relayed_is_direct() {
    use Router::{Mapping, Preserving, Symmetric};
    let test = "a_router_that_maps_ports_is_asked_to_and_what_was_relayed_is_direct";
    if !has_program("miniupnpd") {
        return skipped(test, "there is no miniupnpd");
    }
    let networks = match Networks::lay(Preserving, Mapping) {
        Ok(networks) => networks,
        Err(why) => return skipped(test, &why),
    };
    let stage = Stage::at("203.0.113.1", Some(networks.name(Networks::DIRECTORY)), &[]);
    let conf = stage.path("miniupnpd.conf");
    fs::write(&conf, miniupnpd("wa1", "la0", &stage.path("leases"))).unwrap();
    let router = networks.name(Networks::ALICE - 1);
    let mut command = Command::new("ip");
    command.args(["netns", "exec", router, "miniupnpd", "-d", "-4", "-f"]).arg(&conf);
    command.arg("-P").arg(stage.path("miniupnpd.pid")).stdin(Stdio::null());
    let log = fs::File::create(stage.path("miniupnpd.log")).unwrap();
    let _mapper = Guarded::start(command.stdout(Stdio::null()).stderr(log));
    // Without the mapping they cannot get through: she is behind a router that takes ports by chance.
    let arguments = ["--auto-fetch", "false", "--port-mapping", "off"];
    let mut alice = stage.peer_in("alice", Some(networks.name(Networks::ALICE)), &arguments);
    let bob = stage.peer_in("bob", Some(networks.name(Networks::BOB)), &arguments);
    assert_eq!(bob.json(&["ping", "alice"])["way"], "relayed", "{:?} {:?}", Symmetric, bob.log());
    alice.extra.truncate(2);
    alice.restart();
    alice.online();
    let mapped = || alice.json(&["netcheck"])["mapped"].as_str().map(ToOwned::to_owned);
    wait_until("the router has mapped the port", || mapped().is_some());
    let outside = mapped().unwrap();
    assert!(outside.starts_with("11.0.2.2:"), "{outside}");
    let direct = || {
        let pong = bob.json(&["ping", "alice"]);
        pong["way"] == "direct" && pong["address"] == outside.as_str()
    };
    wait_until("bob is told of it, and gets through", direct);
    let rules = || {
        let list = Command::new("ip").args(["netns", "exec", router, "nft", "list", "ruleset"]).output();
        String::from_utf8(list.unwrap().stdout).unwrap()
    };
    assert!(rules().contains("dnat ip to 192.168.2.2:"), "{}", rules());
    assert!(alice.peerd.take().unwrap().signal(Signal::TERM).success());
    assert!(!rules().contains("dnat ip to"), "it is taken back: {}", rules());
}

/// All pairs, as a table, for `cargo xtask nat`.
#[test]
fn every_pair_of_routers() {
    let test = "every_pair_of_routers";
    if env::var_os(ALL).is_none() {
        return skipped(test, "cargo xtask nat runs it");
    }
    let mut table = String::from(
        "| the caller's router | the owner's | way | ms | at once again, ms |\n| --- | --- | --- | --- | --- |\n",
    );
    for bob in Router::EVERY {
        for alice in Router::EVERY {
            match call(bob, alice) {
                Ok(Found { how, first_ms, again, again_ms }) => {
                    assert!(expected(bob, alice).contains(&&*how), "{bob:?} to {alice:?}: {how}");
                    let (bob, alice) = (bob.name(), alice.name());
                    let [how, again] = [how, again].map(|how| how.replace('_', " "));
                    table += &format!("| {bob} | {alice} | {how} | {first_ms} | {again}, {again_ms} |\n");
                }
                Err(why) => return skipped(test, &why),
            }
        }
    }
    std::io::stdout().write_all(table.as_bytes()).unwrap();
}
