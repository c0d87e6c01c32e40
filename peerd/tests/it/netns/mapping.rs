//! Routers that are asked to forward a port, or to let it through: miniupnpd (Debian: miniupnpd) in the place of a house's router.

use std::{
    fs,
    path::Path,
    process::{Command, Stdio},
};

use dos_testing::{Guarded, Signal, has_program, skipped};

use super::{
    ip,
    nat::{Networks, Router},
    nft,
};
use crate::stage::{Stage, wait_until};

/// Alice's router.
const ROUTER: usize = Networks::ALICE - 1;

/// What a router is asked to map a port by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum By {
    /// PCP and NAT-PMP.
    Pcp,
    Upnp,
}

/// What a router needs to serve one of these and nothing else, in the words of miniupnpd.conf(5).
fn miniupnpd(by: By, inside: &str, lease: &Path) -> String {
    let yes = |which: By| if by == which { "yes" } else { "no" };
    format!(
        "ext_ifname=wa1\nlistening_ip={inside}\nenable_natpmp={}\nenable_upnp={}\nsecure_mode=yes\n\
         lease_file={}\nuuid=439e9829-9674-4342-8de0-12593c5678e2\n\
         upnp_table_name=filter\nupnp_nat_table_name=nat\nupnp_forward_chain=miniupnpd\n\
         upnp_nat_chain=miniupnpd_dnat\nupnp_nat_postrouting_chain=miniupnpd_peer\n\
         allow 1024-65535 192.168.0.0/16 1024-65535\n",
        yes(By::Pcp),
        yes(By::Upnp),
        lease.display()
    )
}

/// miniupnpd with the configuration that is there, at this router.
fn mapper(stage: &Stage, router: &str, more: &[&str]) -> Guarded {
    let mut command = Command::new("ip");
    command.args(["netns", "exec", router, "miniupnpd", "-d"]).args(more);
    command.arg("-f").arg(stage.path("miniupnpd.conf")).arg("-P").arg(stage.path("miniupnpd.pid"));
    let log = fs::File::create(stage.path("miniupnpd.log")).unwrap();
    Guarded::start(command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log))
}

/// What a router does with packets now.
fn rules(router: &str) -> String {
    let list = Command::new("ip").args(["netns", "exec", router, "nft", "list", "ruleset"]).output();
    String::from_utf8(list.unwrap().stdout).unwrap()
}

/// Alice's router maps ports for who asks in this way.
fn maps(test: &str, by: By) {
    use Router::{Mapping, Preserving};
    if !has_program("miniupnpd") {
        return skipped(test, "there is no miniupnpd");
    }
    let networks = match Networks::lay(Preserving, Mapping) {
        Ok(networks) => networks,
        Err(why) => return skipped(test, &why),
    };
    let stage = Stage::at("203.0.113.1", Some(networks.name(Networks::DIRECTORY)), &[]);
    fs::write(stage.path("miniupnpd.conf"), miniupnpd(by, "la0", &stage.path("leases"))).unwrap();
    let router = networks.name(ROUTER);
    let _mapper = mapper(&stage, router, &["-4"]);
    // Without the mapping they cannot get through: she is behind a router that takes ports by chance.
    let arguments = ["--auto-fetch", "false", "--port-mapping", "off"];
    let mut alice = stage.peer_in("alice", Some(networks.name(Networks::ALICE)), &arguments);
    let bob = stage.peer_in("bob", Some(networks.name(Networks::BOB)), &arguments);
    assert_eq!(bob.json(&["ping", "alice"])["way"], "relayed", "{}", bob.log());
    alice.extra.truncate(2);
    alice.restart();
    alice.online();
    let netcheck = || alice.json(&["netcheck"]);
    let mapped = || netcheck()["mapped"].as_str().map(ToOwned::to_owned);
    wait_until("the router has mapped the port", || mapped().is_some());
    let outside = mapped().unwrap();
    assert!(outside.starts_with("11.0.2.2:"), "{outside}");
    let direct = || {
        let pong = bob.json(&["ping", "alice"]);
        pong["way"] == "direct" && pong["address"] == outside.as_str()
    };
    wait_until("bob is told of it, and gets through", direct);
    let rules = || rules(router);
    assert!(rules().contains("dnat ip to 192.168.2.2:"), "{}", rules());
    assert!(alice.peerd.take().unwrap().signal(Signal::TERM).success());
    assert!(!rules().contains("dnat ip to"), "it is taken back: {}", rules());
}

#[test]
fn a_router_that_maps_ports_is_asked_to_and_what_was_relayed_is_direct() {
    maps("a_router_that_maps_ports_is_asked_to_and_what_was_relayed_is_direct", By::Pcp);
}

#[test]
fn a_router_that_knows_upnp_alone_is_asked_to_map_the_port_as_well() {
    maps("a_router_that_knows_upnp_alone_is_asked_to_map_the_port_as_well", By::Upnp);
}

/// IPv6 beside IPv4, with a firewall at Alice's router that lets nothing in.
fn lay_ipv6(networks: &Networks) -> Result<(), String> {
    let directory = networks.name(Networks::DIRECTORY);
    let on = "for file in /proc/sys/net/ipv6/conf/*/forwarding; do echo 1 > $file; done";
    ip(&["netns", "exec", directory, "sh", "-c", on])?;
    for (host, net, line) in [(Networks::BOB, 1, "b"), (Networks::ALICE, 2, "a")] {
        let (router, host) = (networks.name(host - 1), networks.name(host));
        ip(&["netns", "exec", router, "sh", "-c", on])?;
        // Neighbours find each other by these.
        nft(router, "insert rule inet filter input meta l4proto ipv6-icmp accept")?;
        for (space, device, address) in [
            (directory, format!("w{line}0"), format!("2001:db8:f{net}::1/64")),
            (router, format!("w{line}1"), format!("2001:db8:f{net}::2/64")),
            (router, format!("l{line}0"), format!("2001:db8:{net}::1/64")),
            (router, format!("l{line}0"), "fe80::1/64".into()),
            (host, format!("l{line}1"), format!("2001:db8:{net}::2/64")),
        ] {
            ip(&["-n", space, "-6", "addr", "add", &address, "dev", &device, "nodad"])?;
        }
        let (near, far) = (format!("2001:db8:f{net}::1"), format!("2001:db8:f{net}::2"));
        ip(&["-n", router, "-6", "route", "add", "default", "via", &near])?;
        let inner = format!("l{line}1");
        ip(&["-n", host, "-6", "route", "add", "default", "via", "fe80::1", "dev", &inner])?;
        let net = format!("2001:db8:{net}::/64");
        ip(&["-n", directory, "-6", "route", "add", &net, "via", &far])?;
    }
    nft(
        networks.name(ROUTER),
        "table inet filter {
            chain forward {
                type filter hook forward priority 0;
                iifname wa1 meta nfproto ipv6 ct state established,related accept;
                iifname wa1 meta nfproto ipv6 jump miniupnpd;
                iifname wa1 meta nfproto ipv6 drop;
            }
        }",
    )
}

/// Alice's router lets a port of IPv6 through for who asks in this way.
fn lets_through(test: &str, by: By) {
    if !has_program("miniupnpd") {
        return skipped(test, "there is no miniupnpd");
    }
    let networks = match Networks::lay(Router::Preserving, Router::Mapping) {
        Ok(networks) => networks,
        Err(why) => return skipped(test, &why),
    };
    if let Err(why) = lay_ipv6(&networks) {
        return skipped(test, &why);
    }
    let stage = Stage::at("203.0.113.1", Some(networks.name(Networks::DIRECTORY)), &[]);
    fs::write(stage.path("miniupnpd.conf"), miniupnpd(by, "la0", &stage.path("leases"))).unwrap();
    let router = networks.name(ROUTER);
    let _mapper = mapper(&stage, router, &[]);
    if by == By::Upnp {
        // miniupnpd answers PCP over IPv6 in any case.
        nft(router, "insert rule inet filter input meta nfproto ipv6 udp dport 5351 drop").unwrap();
    }
    let arguments = ["--auto-fetch", "false", "--port-mapping", "off"];
    let mut alice = stage.peer_in("alice", Some(networks.name(Networks::ALICE)), &arguments);
    let bob = stage.peer_in("bob", Some(networks.name(Networks::BOB)), &arguments);
    assert_eq!(bob.json(&["ping", "alice"])["way"], "relayed", "{}", bob.log());
    alice.extra.truncate(2);
    alice.extra.extend(["--log", "peerd=debug"].map(String::from));
    alice.restart();
    alice.online();
    let pinhole = || alice.json(&["netcheck"])["pinhole"].as_str().map(ToOwned::to_owned);
    wait_until("the router lets the port through", || pinhole().is_some());
    let inside = pinhole().unwrap();
    assert!(inside.starts_with("[2001:db8:2::2]:"), "{inside}");
    let explained = bob.json(&["ping", "alice", "--explain"]);
    let mut tried = explained["tried"].as_array().unwrap().iter();
    let there = tried.find(|one| one["address"] == inside.as_str()).unwrap();
    assert_eq!(there["error"], serde_json::Value::Null, "{}", rules(router));
    // nft lists the address that miniupnpd has written into its rule as a number.
    let is_open = || rules(router).contains("0x20010db8000200000000000000000002");
    assert!(is_open(), "{}", rules(router));
    assert!(alice.peerd.take().unwrap().signal(Signal::TERM).success());
    assert!(!is_open(), "it is taken back: {}", rules(router));
}

#[test]
fn a_router_that_shuts_ipv6_is_asked_to_let_the_port_through() {
    lets_through("a_router_that_shuts_ipv6_is_asked_to_let_the_port_through", By::Pcp);
}

#[test]
fn a_router_that_shuts_ipv6_and_knows_upnp_alone_is_asked_as_well() {
    lets_through("a_router_that_shuts_ipv6_and_knows_upnp_alone_is_asked_as_well", By::Upnp);
}
