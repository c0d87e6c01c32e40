//! Asking the router to forward the port at which this daemon listens, for as long as it runs: PCP (RFC 6887), and NAT-PMP (RFC 6886) where
//! the router says that it knows no more.
//!
//! What always holds: one mapping at a time, renewed at half of its life and removed at the end; what the router answers is announced only if
//! it is an address of the whole internet: others find out there by the key whether it leads here. A router that does not answer is asked
//! again less and less often.

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

use crate::addresses::source_towards;

/// How long a mapping lasts at the router. A daemon that was killed leaves it for so long, and a router that was restarted has forgotten it for
/// half of that at most.
const LIFETIME: Duration = Duration::from_secs(20 * 60);

/// Between two looks whether the host is in another network.
const LOOK: Duration = Duration::from_secs(10);

/// After the first failure; it doubles up to [`AGAIN_MAX`].
const AGAIN_MIN: Duration = Duration::from_secs(30);

/// See [`AGAIN_MIN`].
const AGAIN_MAX: Duration = Duration::from_secs(3600);

/// How long the router may take to remove it at the end: the daemon has little time to stop.
const REMOVE_TIME_MAX: Duration = Duration::from_millis(500);

/// A router is one step away: it is asked three times within two seconds.
const TIMES: TimeoutConfig =
    TimeoutConfig { initial_timeout: Duration::from_millis(250), max_retries: 2, max_retry_timeout: None };

/// Where the kernel tells the routes of IPv4: by way of this process, since a service manager may hide everything else of `/proc`.
const ROUTES: &str = "/proc/self/net/route";

/// How it stands.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Mapped {
    /// Where the router passes connections on to this daemon.
    pub(crate) address: Option<Address>,
    /// Why there is no such address, if one is wanted.
    pub(crate) trouble: Option<Box<str>>,
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
        let routes = fs::read_to_string(ROUTES).unwrap_or_default();
        let router = router_of(&routes).ok_or(Trouble::NoRouter)?;
        let Some(IpAddr::V4(host)) = source_towards((router, crab_nat::GATEWAY_PORT).into()) else {
            return Err(Trouble::NoRouter);
        };
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

/// The router of the default route with the lowest metric, in the form of `/proc/net/route`: numbers in hexadecimal, addresses as they stand
/// in memory.
fn router_of(routes: &str) -> Option<Ipv4Addr> {
    /// What a route leads over (`RTF_GATEWAY`).
    const GATEWAY: u32 = 2;
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

/// A mapping that stands.
struct Held {
    mapping: PortMapping,
    place: Place,
    address: Address,
    renew_at: Instant,
}

impl Held {
    async fn of(mapping: PortMapping, place: Place) -> Result<Self, Trouble> {
        let ip = match mapping.mapping_type() {
            PortMappingType::Pcp { external_ip, .. } => external_ip.to_canonical(),
            PortMappingType::NatPmp => {
                let asked = natpmp::external_address(place.router.into(), Some(TIMES)).await;
                IpAddr::V4(asked.map_err(|error| Trouble::Refused(error.to_string()))?)
            }
        };
        let port = mapping.external_port().get();
        // A router that gives another life than the one that was asked for is taken at its word.
        let life = Duration::from_secs(mapping.lifetime().into()).clamp(2 * LOOK, LIFETIME);
        let address = Address((ip, port).into());
        if scope_of(ip) != Some(Scope::Global) || !is_peer_port(port) {
            remove(mapping).await;
            return Err(Trouble::Behind(ip));
        }
        Ok(Self { mapping, place, address, renew_at: Instant::now() + life / 2 })
    }
}

/// Sees to it that the mapping stands in the network of the moment.
async fn keep(listen: SocketAddr, held: Option<Held>) -> Result<Held, Trouble> {
    let place = Place::now(listen);
    let held = match held {
        Some(held) if place.as_ref().ok() == Some(&held.place) => held,
        other => {
            if let Some(other) = other {
                remove(other.mapping).await;
            }
            let place = place?;
            let port = NonZeroU16::new(listen.port()).ok_or(Trouble::NotListening)?;
            let options = PortMappingOptions {
                external_port: Some(port),
                lifetime_seconds: u32::try_from(LIFETIME.as_secs()).ok(),
                timeout_config: Some(TIMES),
            };
            let (router, host) = (place.router.into(), place.host.into());
            let mapping = PortMapping::new(router, host, InternetProtocol::Tcp, port, options).await;
            let mapping = mapping.map_err(|error| Trouble::Refused(error.to_string()))?;
            return Held::of(mapping, place).await;
        }
    };
    if Instant::now() < held.renew_at {
        return Ok(held);
    }
    let Held { mut mapping, place, .. } = held;
    mapping.renew().await.map_err(|error| Trouble::Refused(error.to_string()))?;
    Held::of(mapping, place).await
}

async fn remove(mapping: PortMapping) {
    if !matches!(timeout(REMOVE_TIME_MAX, mapping.try_drop()).await, Ok(Ok(()))) {
        tracing::debug!("the router has not removed the mapping; it ends by itself");
    }
}

/// Keeps a mapping until `stop`.
pub(crate) async fn run(listen: SocketAddr, told: watch::Sender<Mapped>, stop: CancellationToken) {
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
                let now = Mapped { address: Some(kept.address), trouble: None };
                held = Some(kept);
                (now, LOOK)
            }
            Err(trouble) => {
                let wait = if trouble.is_of_the_place() { LOOK } else { again_after(failures) };
                failures = if trouble.is_of_the_place() { 0 } else { failures + 1 };
                (Mapped { address: None, trouble: Some(trouble.to_string().into()) }, wait)
            }
        };
        let is_news = told.send_if_modified(|before| {
            let is_news = *before != now;
            *before = now.clone();
            is_news
        });
        if is_news {
            let Mapped { address, trouble } = now;
            tracing::info!(address = address.map(tracing::field::display), trouble, "port mapping");
        }
        tokio::select! {
            biased;
            () = stop.cancelled() => break,
            () = sleep(wait) => {}
        }
    }
    if let Some(Held { mapping, .. }) = held {
        remove(mapping).await;
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
