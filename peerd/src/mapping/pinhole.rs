//! Asking the router to let the port through at this host's IPv6 address, which nothing translates but a firewall may shut: PCP's `MAP` over IPv6
//! (RFC 6887, sections 11 and 16), and UPnP ([`super::firewall`]) where the router does not know that.
//!
//! What always holds: the router is the one that the default route leads over, and no other is asked or believed; one pinhole at a time, renewed at
//! half of its life and removed at the end. That there is none is no trouble: most routers let nothing be asked, and many let everything through.

use std::{
    fs, io,
    net::{IpAddr, Ipv6Addr, SocketAddr, SocketAddrV6},
    time::Duration,
};

use dos_protocol::{
    model::Address,
    scope::{Scope, scope_of},
};
use tokio::{
    net::UdpSocket,
    sync::watch,
    time::{Instant, sleep, timeout},
};
use tokio_util::sync::CancellationToken;

use super::{LIFETIME, LOOK, Mapped, REMOVE_TIME_MAX, again_after, firewall::Hole, router_and_host};
use crate::{
    addresses::{GATEWAY, ROUTES_V6, source_towards},
    random,
};

/// An address of documents (RFC 3849), for the way out into the world.
const ANYWHERE: SocketAddr = SocketAddr::new(IpAddr::V6(Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1)), 9);

/// The bytes of a request and of its answer.
const MAP_BYTES: usize = 60;

/// TCP, as IP counts protocols.
const TCP: u8 = 6;

/// Requests, and the time for the answer to each.
const TRIES: u32 = 3;
const ANSWER_TIME: Duration = Duration::from_millis(500);

/// Where this host is, in IPv6.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Place {
    router: SocketAddrV6,
    host: Ipv6Addr,
}

impl Place {
    fn now(listen: SocketAddr) -> Option<Self> {
        let routes = fs::read_to_string(ROUTES_V6).ok()?;
        let (router, interface) = router_of(&routes)?;
        let interfaces = if_addrs::get_if_addrs().ok()?;
        let index = interfaces.iter().find(|one| one.name == interface).and_then(|one| one.index)?;
        let Some(IpAddr::V6(host)) = source_towards(ANYWHERE) else { return None };
        let listens = match listen.ip() {
            ip if ip.is_unspecified() => ip.is_ipv6(),
            ip => ip == IpAddr::V6(host),
        };
        let scope = if router.is_unicast_link_local() { index } else { 0 };
        let router = SocketAddrV6::new(router, crab_nat::GATEWAY_PORT, 0, scope);
        (listens && scope_of(host.into()) == Some(Scope::Global)).then_some(Self { router, host })
    }
}

/// The router of the default route with the lowest metric, and its interface, in the form of `/proc/net/ipv6_route`.
fn router_of(routes: &str) -> Option<(Ipv6Addr, &str)> {
    let hex = |text: &str| u32::from_str_radix(text, 16).ok();
    let routes = routes.lines().filter_map(|line| {
        let fields: Vec<&str> = line.split_whitespace().collect();
        let [to, length, _, _, next, metric, _, _, flags, interface] = fields[..] else { return None };
        let router = Ipv6Addr::from(u128::from_str_radix(next, 16).ok()?);
        let is_default = u128::from_str_radix(to, 16).ok()? == 0 && hex(length)? == 0;
        (is_default && hex(flags)? & GATEWAY != 0).then_some((hex(metric)?, router, interface))
    });
    routes.min_by_key(|(metric, ..)| *metric).map(|(_, router, interface)| (router, interface))
}

/// A pinhole, or the wish for one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Pinhole {
    place: Place,
    port: u16,
    nonce: [u8; 12],
}

impl Pinhole {
    fn request(&self, life: Duration) -> [u8; MAP_BYTES] {
        let (host, port) = (self.place.host.octets(), self.port.to_be_bytes());
        let life = u32::try_from(life.as_secs()).unwrap_or(u32::MAX).to_be_bytes();
        // Version 2, MAP, for how long, by whom; the nonce, TCP, the port here and the one outside, and the address outside.
        let parts: [&[u8]; 9] =
            [&[2, 1, 0, 0], &life, &host, &self.nonce, &[TCP, 0, 0, 0], &port, &port, &host, &[]];
        let mut request = [0; MAP_BYTES];
        for (byte, from) in request.iter_mut().zip(parts.into_iter().flatten()) {
            *byte = *from;
        }
        request
    }

    /// For how long the router lets this through, if this is its answer.
    fn granted(&self, answer: &[u8]) -> Option<Result<Duration, u8>> {
        let answer: &[u8; MAP_BYTES] = answer.first_chunk()?;
        let (head, map) = answer.split_at(24);
        let ([2, 0x81, _, code, life @ ..], Some(nonce)) = (head, map.first_chunk::<12>()) else {
            return None;
        };
        if *nonce != self.nonce || map.get(12) != Some(&TCP) || map.get(16..18)? != self.port.to_be_bytes() {
            return None;
        }
        if *code != 0 {
            return Some(Err(*code));
        }
        let life = Duration::from_secs(u32::from_be_bytes(*life.first_chunk()?).into());
        // At another address or port nobody would look for this daemon.
        let is_own =
            map.get(18..20)? == self.port.to_be_bytes() && map.get(20..)? == self.place.host.octets();
        Some(if is_own { Ok(life) } else { Err(u8::MAX) })
    }

    /// Asks for it, for this long; for no time, to take it back.
    async fn ask(&self, life: Duration) -> io::Result<Duration> {
        let socket = UdpSocket::bind((self.place.host, 0)).await?;
        // From now on nobody else is heard.
        socket.connect(self.place.router).await?;
        let mut answer = [0; 1100];
        for _ in 0..TRIES {
            socket.send(&self.request(life)).await?;
            let answered = async {
                loop {
                    let length = socket.recv(&mut answer).await?;
                    match self.granted(answer.get(..length).unwrap_or_default()) {
                        Some(Ok(life)) => return Ok(life),
                        Some(Err(code)) => return Err(io::Error::other(format!("it answers {code}"))),
                        None => {}
                    }
                }
            };
            if let Ok(answered) = timeout(ANSWER_TIME, answered).await {
                return answered;
            }
        }
        Err(io::ErrorKind::TimedOut.into())
    }
}

/// By what the router lets the port through.
#[derive(Debug)]
enum Made {
    Pcp(Pinhole),
    Upnp(Hole),
}

/// A pinhole that stands.
#[derive(Debug)]
struct Held {
    place: Place,
    made: Made,
    renew_at: Instant,
}

impl Held {
    /// Asks for it by PCP, and by UPnP where that leads to nothing.
    async fn of(place: Place, listen: SocketAddr) -> io::Result<Self> {
        let (port, nonce) = (listen.port(), random::bytes().unwrap_or_default());
        let pinhole = Pinhole { place, port, nonce };
        let (made, life) = match pinhole.ask(LIFETIME).await {
            Ok(life) => (Made::Pcp(pinhole), life),
            Err(error) => {
                // The router of the house is one for both, and found over IPv4.
                let found =
                    router_and_host().filter(|(router, _)| scope_of((*router).into()) != Some(Scope::Global));
                let Some(found) = found else { return Err(error) };
                let hole = Hole::open(found, place.router, (place.host, port), LIFETIME).await;
                (
                    Made::Upnp(
                        hole.map_err(|by_upnp| io::Error::other(format!("{error}; by UPnP {by_upnp}")))?,
                    ),
                    LIFETIME,
                )
            }
        };
        Ok(Self { place, made, renew_at: renew_at(life) })
    }

    async fn renew(&mut self) -> io::Result<()> {
        let life = match &self.made {
            Made::Pcp(pinhole) => pinhole.ask(LIFETIME).await?,
            Made::Upnp(hole) => hole.renew(LIFETIME).await.map(|()| LIFETIME).map_err(io::Error::other)?,
        };
        self.renew_at = renew_at(life);
        Ok(())
    }

    async fn remove(self) {
        let removed = async {
            match self.made {
                Made::Pcp(pinhole) => pinhole.ask(Duration::ZERO).await.is_ok(),
                Made::Upnp(hole) => hole.remove().await.is_ok(),
            }
        };
        if timeout(REMOVE_TIME_MAX, removed).await != Ok(true) {
            tracing::debug!("the router has not closed the port; it does so by itself");
        }
    }
}

fn renew_at(life: Duration) -> Instant {
    Instant::now() + life.clamp(2 * LOOK, LIFETIME) / 2
}

/// Keeps a pinhole until `stop`, and tells where it is.
pub(super) async fn run(listen: SocketAddr, told: &watch::Sender<Mapped>, stop: &CancellationToken) {
    let mut held: Option<Held> = None;
    let (mut failures, mut again_at) = (0, Instant::now());
    loop {
        let place = Place::now(listen);
        if let Some(old) = held.take_if(|held| Some(held.place) != place) {
            again_at = Instant::now();
            old.remove().await;
        }
        let is_due = held.as_ref().map_or(again_at, |held| held.renew_at) <= Instant::now();
        if let Some(place) = place.filter(|_| is_due) {
            let asked = async {
                match held.as_mut() {
                    Some(held) => held.renew().await,
                    None => {
                        held = Some(Held::of(place, listen).await?);
                        Ok(())
                    }
                }
            };
            let asked = tokio::select! {
                biased;
                () = stop.cancelled() => break,
                asked = asked => asked,
            };
            match asked {
                Ok(()) => failures = 0,
                Err(error) => {
                    tracing::debug!(%error, router = %place.router, "the router lets nothing through for us");
                    (held, again_at) = (None, Instant::now() + again_after(failures));
                    failures += 1;
                }
            }
        }
        let now = held.as_ref().map(|held| Address((held.place.host, listen.port()).into()));
        told.send_if_modified(|mapped| {
            let is_news = mapped.pinhole != now;
            mapped.pinhole = now;
            is_news
        });
        tokio::select! {
            biased;
            () = stop.cancelled() => break,
            () = sleep(LOOK) => {}
        }
    }
    if let Some(held) = held {
        held.remove().await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ROUTER: &str = "fe800000000000000000000000000001";

    #[test]
    fn the_router_is_that_of_the_best_default_route() {
        let none = "0".repeat(32);
        let line = |to: &str, length: &str, over: &str, metric: &str, flags: &str, interface: &str| {
            format!("{to} {length} {none} 00 {over} {metric} 00000001 00000000 {flags} {interface}\n")
        };
        let other = ROUTER.replace("0001", "0002");
        let all = [
            line("20010db8000000000000000000000000", "40", &none, "00000100", "00000001", "eth0"),
            line(&none, "00", &other, "00000400", "00000003", "wlan0"),
            line(&none, "00", ROUTER, "00000100", "00000003", "eth0"),
            line(&none, "00", &none, "ffffffff", "00200200", "lo"),
        ];
        assert_eq!(router_of(&all.concat()), Some(("fe80::1".parse().unwrap(), "eth0")));
        assert_eq!(router_of(&all[0]), None);
        for broken in ["", "a b c", "zz 00 0 00 0 0 0 0 3 eth0"] {
            assert_eq!(router_of(broken), None);
        }
    }

    fn pinhole() -> Pinhole {
        let router = SocketAddrV6::new("fe80::1".parse().unwrap(), 5351, 0, 2);
        let place = Place { router, host: "2001:db8::7".parse().unwrap() };
        Pinhole { place, port: 7001, nonce: *b"abcdefghijkl" }
    }

    /// The answer to a request, as a router makes it of the request itself.
    fn answer(change: impl Fn(&mut [u8; MAP_BYTES])) -> [u8; MAP_BYTES] {
        let mut answer = pinhole().request(Duration::from_secs(1200));
        answer[1] = 0x81;
        // The epoch, and what is reserved.
        answer[8..24].fill(9);
        change(&mut answer);
        answer
    }

    #[test]
    fn a_request_is_that_of_the_protocol() {
        let request = pinhole().request(Duration::from_secs(1200));
        let host: Ipv6Addr = "2001:db8::7".parse().unwrap();
        assert_eq!(request[..8], [2, 1, 0, 0, 0, 0, 4, 176]);
        assert_eq!((&request[8..24], &request[44..]), (host.octets().as_slice(), host.octets().as_slice()));
        assert_eq!(request[24..44], *b"abcdefghijkl\x06\0\0\0\x1b\x59\x1b\x59");
    }

    #[test]
    fn only_the_answer_to_the_own_request_counts() {
        let granted = |change: fn(&mut [u8; MAP_BYTES])| pinhole().granted(&answer(change));
        assert_eq!(granted(|_| {}), Some(Ok(Duration::from_secs(1200))));
        assert_eq!(granted(|answer| answer[3] = 2), Some(Err(2)));
        assert_eq!(granted(|answer| answer[42] = 9), Some(Err(u8::MAX)), "another port outside");
        assert_eq!(granted(|answer| answer[59] = 9), Some(Err(u8::MAX)), "another address outside");
        for at in [0, 1, 24, 35, 36, 40] {
            let mut other = answer(|_| {});
            other[at] ^= 0x40;
            assert_eq!(pinhole().granted(&other), None, "{at}");
        }
        for length in 0..MAP_BYTES {
            assert_eq!(pinhole().granted(&answer(|_| {})[..length]), None);
        }
    }
}
