//! Asking the router to forward the port at which this daemon listens, for as long as it runs: PCP (RFC 6887), NAT-PMP (RFC 6886) where
//! the router says that it knows no more, and UPnP ([`upnp`]) where it knows neither. With IPv6, to let it through ([`pinhole`]).
//!
//! What always holds: one mapping at a time, renewed at half of its life and removed at the end; what the router answers is announced only if
//! it is an address of the whole internet: others find out there by the key whether it leads here. A router that does not answer is asked
//! again less and less often.

mod firewall;
mod pinhole;
mod ssdp;
mod upnp;
mod xml;

use std::{
    fs,
    net::{IpAddr, Ipv4Addr, SocketAddr},
    num::NonZeroU16,
    time::Duration,
};

use crab_nat::{InternetProtocol, PortMapping, PortMappingOptions, PortMappingType, TimeoutConfig, natpmp};
use dos_protocol::{
    model::Address,
    scope::{Scope, is_peer_port, scope_of},
};
use tokio::{
    sync::watch,
    time::{Instant, sleep, timeout},
};
use tokio_util::sync::CancellationToken;

use crate::{
    addresses::{GATEWAY, ROUTES, source_towards},
    random,
};

/// How long a mapping lasts at the router. A daemon that was killed leaves it for so long, and a router that was restarted has forgotten it for
/// half of that at most.
const LIFETIME: Duration = Duration::from_secs(20 * 60);

/// Between two looks whether the host is in another network.
const LOOK: Duration = Duration::from_secs(10);

/// After the first failure; it doubles up to [`AGAIN_MAX`].
const AGAIN_MIN: Duration = Duration::from_secs(30);

/// See [`AGAIN_MIN`].
const AGAIN_MAX: Duration = Duration::from_secs(3600);

/// Ports outside that a router is asked for by UPnP where another host has the one that is wanted.
const OTHER_PORTS: usize = 2;

/// How long the router may take to remove it at the end: the daemon has little time to stop.
const REMOVE_TIME_MAX: Duration = Duration::from_millis(500);

/// A router is one step away: it is asked three times within two seconds.
const TIMES: TimeoutConfig =
    TimeoutConfig { initial_timeout: Duration::from_millis(250), max_retries: 2, max_retry_timeout: None };

/// How it stands.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Mapped {
    /// Where the router passes connections on to this daemon.
    pub(crate) address: Option<Address>,
    /// Why there is no such address, if one is wanted.
    pub(crate) trouble: Option<Box<str>>,
    /// The address of this host at which its router lets connections through because it was asked to.
    pub(crate) pinhole: Option<Address>,
}

/// Why there is no mapping.
#[derive(Debug, thiserror::Error)]
enum Trouble {
    #[error("no router leads out of this network")]
    NoRouter,
    #[error("this host has an address of the whole internet")]
    NotNeeded,
    #[error("the daemon does not listen in that network")]
    NotListening,
    #[error("the router does not map ports: {0}")]
    Refused(String),
    #[error("the router is behind another one: it has the address {0}")]
    Behind(IpAddr),
}

impl Trouble {
    /// Whether only another network would change that.
    fn is_of_the_place(&self) -> bool {
        matches!(self, Self::NoRouter | Self::NotNeeded | Self::NotListening)
    }
}

/// In which network this host is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Place {
    router: Ipv4Addr,
    host: Ipv4Addr,
}

impl Place {
    fn now(listen: SocketAddr) -> Result<Self, Trouble> {
        let (router, host) = router_and_host().ok_or(Trouble::NoRouter)?;
        if scope_of(host.into()) == Some(Scope::Global) {
            return Err(Trouble::NotNeeded);
        }
        let listens = match listen.ip().to_canonical() {
            ip if ip.is_unspecified() => true,
            ip => ip == IpAddr::V4(host),
        };
        if listens { Ok(Self { router, host }) } else { Err(Trouble::NotListening) }
    }
}

/// The router of this network, in IPv4, and the address of this host towards it.
fn router_and_host() -> Option<(Ipv4Addr, Ipv4Addr)> {
    let routes = fs::read_to_string(ROUTES).unwrap_or_default();
    let router = router_of(&routes)?;
    match source_towards((router, crab_nat::GATEWAY_PORT).into()) {
        Some(IpAddr::V4(host)) => Some((router, host)),
        _ => None,
    }
}

/// The router of the default route with the lowest metric, in the form of `/proc/net/route`: numbers in hexadecimal, addresses as they stand
/// in memory.
fn router_of(routes: &str) -> Option<Ipv4Addr> {
    let hex = |text: &str| u32::from_str_radix(text, 16).ok();
    let routes = routes.lines().skip(1).filter_map(|line| {
        let fields: Vec<&str> = line.split_whitespace().collect();
        let [_, destination, gateway, flags, _, _, metric, mask, ..] = fields[..] else { return None };
        let is_default = hex(destination)? == 0 && hex(mask)? == 0 && hex(flags)? & GATEWAY != 0;
        let router = Ipv4Addr::from(hex(gateway)?.to_ne_bytes());
        is_default.then_some((metric.parse::<u32>().ok()?, router))
    });
    routes.min_by_key(|(metric, _)| *metric).map(|(_, router)| router)
}

/// A mapping, by what the router knows.
enum Made {
    /// PCP or NAT-PMP.
    Asked(PortMapping),
    Upnp(upnp::Mapping),
}

impl Made {
    async fn at(place: Place, port: NonZeroU16) -> Result<Self, Trouble> {
        let options = PortMappingOptions {
            external_port: Some(port),
            lifetime_seconds: u32::try_from(LIFETIME.as_secs()).ok(),
            timeout_config: Some(TIMES),
        };
        let (router, host) = (place.router.into(), place.host.into());
        let asked = match PortMapping::new(router, host, InternetProtocol::Tcp, port, options).await {
            Ok(mapping) => return Ok(Self::Asked(mapping)),
            Err(error) => error,
        };
        // Whoever is at an address of the whole internet is no router of a house.
        if scope_of(router) == Some(Scope::Global) {
            return Err(Trouble::Refused(asked.to_string()));
        }
        let mapped = match upnp::find(place.router, place.host).await {
            Ok(gateway) => gateway.map(place.host, port.get(), (&other_ports(), LIFETIME)).await,
            Err(error) => Err(error),
        };
        mapped.map(Self::Upnp).map_err(|error| Trouble::Refused(format!("{asked}; by UPnP {error}")))
    }

    /// The address outside, with the port, and how long the mapping lasts.
    async fn outside(&self, place: Place) -> Result<(IpAddr, u16, Duration), Trouble> {
        match self {
            Self::Asked(mapping) => {
                let ip = match mapping.mapping_type() {
                    PortMappingType::Pcp { external_ip, .. } => external_ip.to_canonical(),
                    PortMappingType::NatPmp => {
                        let asked = natpmp::external_address(place.router.into(), Some(TIMES)).await;
                        IpAddr::V4(asked.map_err(|error| Trouble::Refused(error.to_string()))?)
                    }
                };
                Ok((ip, mapping.external_port().get(), Duration::from_secs(mapping.lifetime().into())))
            }
            Self::Upnp(mapping) => {
                let ip = mapping.outside().await.map_err(|error| Trouble::Refused(error.to_string()))?;
                // One without an end may be gone when the router was restarted.
                Ok((ip, mapping.outside_port(), mapping.life.unwrap_or(LIFETIME)))
            }
        }
    }

    async fn renew(&mut self) -> Result<(), Trouble> {
        match self {
            Self::Asked(mapping) => {
                mapping.renew().await.map_err(|error| Trouble::Refused(error.to_string()))
            }
            Self::Upnp(mapping) => mapping.renew().await.map_err(|error| Trouble::Refused(error.to_string())),
        }
    }

    async fn remove(self) {
        let removed = async {
            match self {
                Self::Asked(mapping) => mapping.try_drop().await.is_ok(),
                Self::Upnp(mapping) => mapping.remove().await.is_ok(),
            }
        };
        if timeout(REMOVE_TIME_MAX, removed).await != Ok(true) {
            tracing::debug!("the router has not removed the mapping; it ends by itself");
        }
    }
}

/// Ports by chance that others connect to.
fn other_ports() -> Vec<u16> {
    let port = || 1024 + u16::try_from(random::jitter() % (u32::from(u16::MAX) - 1024)).unwrap_or(0);
    (0..OTHER_PORTS).map(|_| port()).collect()
}

/// A mapping that stands.
struct Held {
    made: Made,
    place: Place,
    address: Address,
    renew_at: Instant,
}

impl Held {
    async fn of(made: Made, place: Place) -> Result<Self, Trouble> {
        let (ip, port, life) = match made.outside(place).await {
            Ok(outside) => outside,
            Err(trouble) => {
                made.remove().await;
                return Err(trouble);
            }
        };
        // A router that gives another life than the one that was asked for is taken at its word.
        let life = life.clamp(2 * LOOK, LIFETIME);
        let address = Address((ip, port).into());
        if scope_of(ip) != Some(Scope::Global) || !is_peer_port(port) {
            made.remove().await;
            return Err(Trouble::Behind(ip));
        }
        Ok(Self { made, place, address, renew_at: Instant::now() + life / 2 })
    }
}

/// Sees to it that the mapping stands in the network of the moment.
async fn keep(listen: SocketAddr, held: Option<Held>) -> Result<Held, Trouble> {
    let place = Place::now(listen);
    let held = match held {
        Some(held) if place.as_ref().ok() == Some(&held.place) => held,
        other => {
            if let Some(other) = other {
                other.made.remove().await;
            }
            let place = place?;
            let port = NonZeroU16::new(listen.port()).ok_or(Trouble::NotListening)?;
            return Held::of(Made::at(place, port).await?, place).await;
        }
    };
    if Instant::now() < held.renew_at {
        return Ok(held);
    }
    let Held { mut made, place, .. } = held;
    made.renew().await?;
    Held::of(made, place).await
}

/// Keeps a mapping and a pinhole until `stop`.
pub(crate) async fn run(listen: SocketAddr, told: watch::Sender<Mapped>, stop: CancellationToken) {
    tokio::join!(forward(listen, &told, &stop), pinhole::run(listen, &told, &stop));
}

async fn forward(listen: SocketAddr, told: &watch::Sender<Mapped>, stop: &CancellationToken) {
    let (mut held, mut failures) = (None, 0);
    loop {
        let kept = tokio::select! {
            biased;
            () = stop.cancelled() => break,
            kept = keep(listen, held.take()) => kept,
        };
        let (now, wait) = match kept {
            Ok(kept) => {
                failures = 0;
                let now = (Some(kept.address), None);
                held = Some(kept);
                (now, LOOK)
            }
            Err(trouble) => {
                let wait = if trouble.is_of_the_place() { LOOK } else { again_after(failures) };
                failures = if trouble.is_of_the_place() { 0 } else { failures + 1 };
                ((None, Some(trouble.to_string().into())), wait)
            }
        };
        let (address, trouble): (Option<Address>, Option<Box<str>>) = now;
        let is_news = told.send_if_modified(|before| {
            let is_news = (before.address, &before.trouble) != (address, &trouble);
            (before.address, before.trouble) = (address, trouble.clone());
            is_news
        });
        if is_news {
            tracing::info!(address = address.map(tracing::field::display), trouble, "port mapping");
        }
        tokio::select! {
            biased;
            () = stop.cancelled() => break,
            () = sleep(wait) => {}
        }
    }
    if let Some(Held { made, .. }) = held {
        made.remove().await;
    }
}

fn again_after(failures: u32) -> Duration {
    AGAIN_MIN.saturating_mul(1 << failures.min(16)).min(AGAIN_MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_router_is_that_of_the_best_default_route() {
        let hex = |address: [u8; 4]| format!("{:08X}", u32::from_ne_bytes(address));
        let line = |to: [u8; 4], over: [u8; 4], flags: &str, metric: u32, mask: [u8; 4]| {
            format!("eth0\t{}\t{}\t{flags}\t0\t0\t{metric}\t{}\t0\t0\t0\n", hex(to), hex(over), hex(mask))
        };
        let head = "Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT\n";
        let lan = line([192, 168, 1, 0], [0; 4], "0001", 0, [255, 255, 255, 0]);
        let wlan = line([0; 4], [192, 168, 2, 1], "0003", 600, [0; 4]);
        let wire = line([0; 4], [192, 168, 1, 1], "0003", 100, [0; 4]);
        let half = line([0; 4], [10, 0, 0, 1], "0003", 0, [128, 0, 0, 0]);
        let tunnel = line([0; 4], [0; 4], "0001", 50, [0; 4]);
        let all = [head, &lan, &wlan, &wire, &half, &tunnel].concat();
        assert_eq!(router_of(&all), Some([192, 168, 1, 1].into()));
        assert_eq!(router_of(&[head, &lan, &half, &tunnel].concat()), None);
        for broken in ["", head, "a\nb c d", "Iface\neth0 0 zz 3 0 0 0 0 0"] {
            assert_eq!(router_of(broken), None, "{broken:?}");
        }
    }

    #[test]
    fn a_router_that_does_not_answer_is_asked_less_and_less_often() {
        let waits: Vec<u64> = (0..9).map(|failures| again_after(failures).as_secs()).collect();
        assert_eq!(waits, [30, 60, 120, 240, 480, 960, 1920, 3600, 3600]);
        assert_eq!(again_after(u32::MAX), AGAIN_MAX);
    }
}
