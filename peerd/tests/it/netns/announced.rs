//! What a host announces that has many networks besides that of its house: bridges of containers and of virtual machines, and a VPN.
//!
//! ```text
//!   alice 192.168.1.2 --+
//!                       lan 192.168.1.1 router 11.0.1.2 ---- 11.0.1.1 directory 203.0.113.1
//!   bob   192.168.1.3 --+
//! ```
//!
//! The directory sees both at the router's address, at which nothing is answered from inside.

use std::time::{Duration, Instant};

use dos_testing::{has_program, skipped};

use super::{Namespaces, ip, lay_line, nat::route, nft, roaming::figure};
use crate::stage::{Peer, Stage};

/// Bridges of containers: more than there is room for in what is announced.
const BRIDGES: u8 = 20;

/// What may be announced (`ADDRESSES_MAX`).
const ANNOUNCED_MAX: usize = 16;

/// The whole of `dosctl ping`, with five round trips. Behind an address that nobody answers it is 250 ms more; behind all of those of the bridges
/// it takes seconds, and the relay is there first.
const AT_ONCE: Duration = Duration::from_millis(1500);

/// Two hosts in a house, and a directory outside.
struct House(Namespaces);

impl House {
    fn build() -> Result<Self, String> {
        if !has_program("nft") {
            return Err("there is no nft".into());
        }
        let house = Self(Namespaces::make(&["d", "r", "a", "b"])?);
        let [directory, router, alice, bob] = house.names();
        ip(&["-n", directory, "addr", "add", "203.0.113.1/32", "dev", "lo"])?;
        lay_line((directory, "11.0.1.1/24"), (router, "11.0.1.2/24"), "w")?;
        ip(&["-n", router, "route", "add", "default", "via", "11.0.1.1"])?;
        route(router)?;
        nft(
            router,
            "table inet nat {
                chain postrouting { type nat hook postrouting priority 100; oifname w1 masquerade; }
            }
            table inet filter {
                chain input { type filter hook input priority 0; ip daddr 11.0.1.2 ct state new drop; }
            }",
        )?;
        run(router, &["link add lan type bridge", "addr add 192.168.1.1/24 dev lan", "link set lan up"])?;
        // What containers and virtual machines have is there before the network of the house is.
        for bridge in 0..BRIDGES {
            let (name, end) = (format!("docker{bridge}"), format!("veth{bridge}"));
            run(
                alice,
                &[
                    &format!("link add {name} type bridge"),
                    &format!("addr add 172.{}.0.1/16 dev {name}", 17 + bridge),
                    &format!("link add {end} type veth peer name c{end}"),
                    &format!("link set {end} master {name}"),
                    &format!("link set {end} up"),
                    &format!("link set c{end} up"),
                    &format!("link set {name} up"),
                ],
            )?;
        }
        run(alice, &["link add virbr0 type bridge", "addr add 192.168.122.1/24 dev virbr0"])?;
        for (host, line, address) in [(alice, "la", "192.168.1.2/24"), (bob, "lb", "192.168.1.3/24")] {
            run(host, &[&format!("link add {line}1 type veth peer name {line}0 netns {router}")])?;
            run(router, &[&format!("link set {line}0 master lan"), &format!("link set {line}0 up")])?;
            run(
                host,
                &[
                    &format!("addr add {address} dev {line}1"),
                    &format!("link set {line}1 up"),
                    "route add default via 192.168.1.1",
                ],
            )?;
        }
        Ok(house)
    }

    fn names(&self) -> [&str; 4] {
        let names: Vec<&str> = self.0.names().collect();
        names[..].try_into().unwrap()
    }

    /// A VPN at Alice's; everything goes through it but what goes to the directory.
    fn vpn(&self) -> Result<(), String> {
        let [_, _, alice, _] = self.names();
        run(
            alice,
            &[
                "tuntap add dev wg0 mode tun",
                "addr add 10.9.0.2/32 dev wg0",
                "link set wg0 up",
                "route add 203.0.113.1/32 via 192.168.1.1",
                "route add 0.0.0.0/1 dev wg0",
                "route add 128.0.0.0/1 dev wg0",
            ],
        )
    }
}

fn run(namespace: &str, commands: &[&str]) -> Result<(), String> {
    commands.iter().try_for_each(|command| {
        let command: Vec<&str> = command.split(' ').collect();
        ip(&[&["-n", namespace], &*command].concat())
    })
}

/// Whether the host at another end of the house's network reaches this peer directly there, and in which time.
fn reaches(bob: &Peer, address: &str) -> Duration {
    let begun = Instant::now();
    let pong = bob.json(&["ping", "alice"]);
    let time = begun.elapsed();
    assert_eq!(
        (&pong["way"], &pong["address"]),
        (&"direct".into(), &address.into()),
        "{pong}\n{}",
        bob.log()
    );
    time
}

#[test]
fn the_address_of_the_house_comes_before_those_of_containers_and_leads_there_at_once() {
    let test = "the_address_of_the_house_comes_before_those_of_containers_and_leads_there_at_once";
    let house = match House::build() {
        Ok(house) => house,
        Err(why) => return skipped(test, &why),
    };
    let [directory, _, alice, bob] = house.names();
    let stage = Stage::at("203.0.113.1", Some(directory), &[]);
    let arguments = ["--port-mapping", "off", "--log", "peerd=debug"];
    let alice = stage.peer_in("alice", Some(alice), &arguments);
    let mut bob = stage.peer_in("bob", Some(bob), &arguments);
    let announced = || {
        let netcheck = alice.json(&["netcheck"]);
        let announced = netcheck["announced"].as_array().unwrap();
        announced.iter().map(|address| address.as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    let port = alice.json(&["netcheck"])["listen"].as_str().unwrap().rsplit(':').next().unwrap().to_owned();
    let at_home = format!("192.168.1.2:{port}");
    assert_eq!((announced().len(), &announced()[0]), (ANNOUNCED_MAX, &at_home), "{:?}", announced());
    let mut times = Vec::new();
    for round in 0..3 {
        if round > 0 {
            // What led there the last time is forgotten.
            bob.restart();
            bob.online();
        }
        times.push(reaches(&bob, &at_home));
    }
    figure("a host in the same house is reached, with five round trips, in", &times);
    assert!(times.iter().all(|time| *time < AT_ONCE), "{times:?}\n{}", bob.log());

    house.vpn().unwrap();
    let ranked = || announced()[..2] == [format!("10.9.0.2:{port}"), at_home.clone()];
    crate::stage::wait_until("the VPN's address leads out, and that of the house is next", ranked);
    assert_eq!(announced().len(), ANNOUNCED_MAX);
    let show = || String::from_utf8(stage.operate(&["show", "alice", "--json"]).stdout).unwrap();
    crate::stage::wait_until("the directory is told", || show().contains("10.9.0.2"));
    bob.restart();
    bob.online();
    let time = reaches(&bob, &at_home);
    figure("the same with a VPN that everything goes through", &[time]);
    assert!(time < AT_ONCE, "{time:?}\n{}", bob.log());
}
