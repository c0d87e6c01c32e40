//! Noticing that this host's addresses or its way to the directory have changed, and that it has slept: the session then stands on what is
//! not there any more, and others are told addresses that lead nowhere.
//!
//! The kernel reports changes of addresses and routes (rtnetlink(7)); what it reports is not read, but makes this look how things are.
//! Where that is not to be had it looks every few seconds. What always holds: however often addresses come and go, a session is renewed
//! [`RENEWED_AT_ONCE`] times at once and then every [`RENEWED_AGAIN`]; without a way to the directory nothing is renewed.

use std::{
    io,
    net::{IpAddr, SocketAddr},
    time::Duration,
};

use dos_daemon::rate::{Rate, RateLimiter};
use dos_protocol::{link::HostPort, model::Address};
use rustix::{
    net::{AddressFamily, SocketFlags, SocketType, bind, netlink::SocketAddrNetlink, socket_with},
    time::{
        ClockId, Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec, clock_gettime,
        timerfd_create, timerfd_settime,
    },
};
use tokio::{
    net::{UnixDatagram, unix::pipe},
    time::{Instant, sleep, sleep_until},
};

use super::Local;
use crate::addresses::{announced, outward, source_towards};

/// Changes come in groups: an address goes, another one comes, and its route after it.
const SETTLED: Duration = Duration::from_millis(500);

/// Between two looks that nothing asks for.
const PAUSE: Duration = Duration::from_secs(5);

/// Whose addresses change all the time has a session that lasts so long, on average.
const RENEWED_AGAIN: Duration = Duration::from_secs(10);

/// A network that begins brings its addresses one after the other: IPv4, then IPv6, then those of a VPN. None of them waits.
const RENEWED_AT_ONCE: u32 = 4;

/// A host that slept, or was without a network, for less has connections that live. For longer, what was under way waits for TCP's next try, which
/// may come as late as the network was away for (RFC 6298, section 5.5).
const AWAY_MIN: Duration = Duration::from_secs(2);

/// Links, and addresses and routes of both families (`RTMGRP_LINK`, `RTMGRP_IPV4_IFADDR` and so on in `linux/rtnetlink.h`). A link that is set
/// down takes its routes of IPv4 away without a report of these.
const GROUPS: u32 = 0x1 | 0x10 | 0x40 | 0x100 | 0x400;

/// How often a session is renewed.
fn renewals() -> Rate {
    Rate::per_minute(60 / RENEWED_AGAIN.as_secs()).with_burst(RENEWED_AGAIN * RENEWED_AT_ONCE)
}

/// Where this host is: what it announces, and from which address it reaches the directory, or the world as long as only its name is known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) announced: Vec<Address>,
    pub(super) from: Option<IpAddr>,
}

impl Place {
    /// Where this host is now, with the directory there.
    pub(super) fn now(local: &Local, directory: Option<SocketAddr>) -> Self {
        let server = local.identity.registered().map(|(_, identity)| identity);
        let port = (local.listen, local.mapped.borrow().address);
        let announced = server.as_ref().map(|identity| announced(&local.config, port, &identity.server).1);
        let given =
            || server.as_ref().and_then(|identity| identity.server.addresses().find_map(|at| literal(&at)));
        let from = match directory.or_else(given) {
            Some(directory) => source_towards(directory),
            None => outward().first().copied(),
        };
        Self { announced: announced.unwrap_or_default(), from }
    }
}

/// An address of the directory that is no name.
fn literal(at: &HostPort) -> Option<SocketAddr> {
    at.host.parse::<IpAddr>().ok().map(|ip| SocketAddr::new(ip, at.port))
}

/// Why the session is to be renewed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Moved {
    /// The host is at another place.
    Place,
    /// The host has slept.
    Slept,
}

/// See the module.
#[derive(Debug)]
pub(super) struct Roaming {
    changes: Option<UnixDatagram>,
    /// Becomes readable every [`PAUSE`] of a clock that goes on while the host sleeps: what was due then comes as soon as it wakes.
    ticks: Option<pipe::Receiver>,
    /// Something has changed since the last look.
    is_changed: bool,
    look_at: Instant,
    /// Where the session began, or the attempt to have one.
    place: Option<Place>,
    /// Since when there is no way to the directory, as far as is known.
    away: Option<Instant>,
    renewals: RateLimiter,
    slept: Duration,
}

impl Roaming {
    pub(super) fn new() -> Self {
        let changes = listen().inspect_err(
            |error| tracing::debug!(%error, "the kernel does not report changes of addresses: looking every few seconds"),
        );
        let ticks = ticks(PAUSE).inspect_err(
            |error| tracing::debug!(%error, "there is no timer that tells at once when the host has slept"),
        );
        let look_at = Instant::now() + PAUSE;
        let (changes, ticks) = (changes.ok(), ticks.ok());
        let (place, away, renewals) = (None, None, RateLimiter::default());
        Self { changes, ticks, is_changed: false, look_at, place, away, renewals, slept: slept() }
    }

    /// A session, or an attempt to have one, has begun here.
    pub(super) fn begin(&mut self, place: Place) {
        self.place = Some(place);
    }

    /// Something may have changed of which the kernel reports nothing.
    pub(super) fn hint(&mut self) {
        self.is_changed = true;
        self.look_at = self.look_at.min(Instant::now() + SETTLED);
    }

    /// Waits until the host has moved. `here` tells where it is.
    pub(super) async fn moved(&mut self, here: impl Fn() -> Place) -> Moved {
        loop {
            let changed = async {
                match &self.changes {
                    Some(changes) => drain(changes).await,
                    None => std::future::pending().await,
                }
            };
            let ticked = async {
                match &self.ticks {
                    Some(ticks) => tick(ticks).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                () = ticked => self.look_at = Instant::now(),
                () = changed => {
                    self.is_changed = true;
                    self.look_at = self.look_at.min(Instant::now() + SETTLED);
                }
                () = sleep_until(self.look_at) => {
                    if let Some(moved) = self.look(&here, (Instant::now(), slept())) {
                        return moved;
                    }
                }
            }
        }
    }

    fn look(&mut self, here: impl Fn() -> Place, (now, slept): (Instant, Duration)) -> Option<Moved> {
        self.look_at = now + if self.ticks.is_some() { 2 * PAUSE } else { PAUSE };
        let since = slept.saturating_sub(self.slept);
        self.slept = slept;
        if since >= AWAY_MIN {
            return Some(Moved::Slept);
        }
        if self.changes.is_some() && !std::mem::take(&mut self.is_changed) {
            return None;
        }
        let here = here();
        if here.from.is_none() {
            self.away.get_or_insert(now);
            return None;
        }
        let is_back = self.away.is_some_and(|away| now.duration_since(away) >= AWAY_MIN);
        if !is_back && self.place.as_ref().is_none_or(|place| *place == here) {
            self.away = None;
            return None;
        }
        if let Err(wait) = self.renewals.take(1, renewals(), now.into_std()) {
            (self.look_at, self.is_changed) = (now + wait, true);
            return None;
        }
        self.away = None;
        self.place = Some(here);
        Some(Moved::Place)
    }
}

/// A timer that is due again and again after this time, counted also while the host sleeps. It is read like a pipe, eight bytes at a time
/// (timerfd_create(2)).
fn ticks(pause: Duration) -> io::Result<pipe::Receiver> {
    let timer = timerfd_create(TimerfdClockId::Boottime, TimerfdFlags::NONBLOCK | TimerfdFlags::CLOEXEC)?;
    let pause = Timespec::try_from(pause).map_err(io::Error::other)?;
    let due = Itimerspec { it_interval: pause, it_value: pause };
    timerfd_settime(&timer, TimerfdTimerFlags::empty(), &due)?;
    pipe::Receiver::from_owned_fd_unchecked(timer)
}

/// Waits until it is due.
async fn tick(ticks: &pipe::Receiver) {
    loop {
        if ticks.readable().await.is_err() {
            return std::future::pending().await;
        }
        match ticks.try_read(&mut [0; 8]) {
            Ok(_) => return,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(_) => return std::future::pending().await,
        }
    }
}

/// A socket that becomes readable when addresses or routes change.
fn listen() -> io::Result<UnixDatagram> {
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    // The protocol of routes is number 0, which stands for none.
    let socket = socket_with(AddressFamily::NETLINK, SocketType::RAW, flags, None)?;
    bind(&socket, &SocketAddrNetlink::new(0, GROUPS))?;
    // The runtime has no type for such sockets, and waits for every datagram in the same way.
    UnixDatagram::from_std(socket.into())
}

/// Waits for reports and lets them go.
async fn drain(changes: &UnixDatagram) {
    if changes.readable().await.is_err() {
        std::future::pending::<()>().await;
    }
    let mut report = [0; 1 << 12];
    let end = loop {
        if let Err(error) = changes.try_recv(&mut report) {
            break error;
        }
    };
    // Reports that did not fit are an error, and say the same; one that stays makes no busy loop.
    if end.kind() != io::ErrorKind::WouldBlock {
        sleep(SETTLED).await;
    }
}

/// How long the host has slept since it was started.
fn slept() -> Duration {
    let now = |clock| Duration::try_from(clock_gettime(clock)).unwrap_or_default();
    now(ClockId::Boottime).saturating_sub(now(ClockId::Monotonic))
}

#[cfg(test)]
mod tests {
    use std::{os::fd::AsRawFd as _, process::Command};

    use super::*;

    fn place(from: &str, announced: &[&str]) -> Place {
        let announced = announced.iter().map(|address| address.parse().unwrap()).collect();
        Place { announced, from: from.parse().ok() }
    }

    fn roaming() -> Roaming {
        let mut roaming = Roaming {
            changes: None,
            ticks: None,
            is_changed: false,
            look_at: Instant::now(),
            place: None,
            away: None,
            renewals: RateLimiter::default(),
            slept: Duration::from_secs(100),
        };
        roaming.begin(place("192.0.2.1", &["192.0.2.1:7000"]));
        roaming
    }

    #[tokio::test]
    async fn another_address_or_another_way_to_the_directory_is_a_move_and_no_way_is_none() {
        let (now, slept) = (Instant::now(), Duration::from_secs(100));
        let look = |here: Place| roaming().look(|| here.clone(), (now, slept));
        assert_eq!(look(place("192.0.2.1", &["192.0.2.1:7000"])), None);
        assert_eq!(look(place("192.0.2.1", &["192.0.2.1:7000", "10.0.0.7:7000"])), Some(Moved::Place));
        assert_eq!(look(place("10.0.0.7", &["192.0.2.1:7000"])), Some(Moved::Place));
        assert_eq!(look(place("", &[])), None, "there is no network: the session waits for it");
    }

    #[tokio::test]
    async fn however_often_addresses_come_and_go_a_session_lasts_for_some_time() {
        let (mut roaming, begun, slept) = (roaming(), Instant::now(), Duration::from_secs(100));
        let mut renewed = Vec::new();
        for second in 0..40_u64 {
            let here = place(&format!("192.0.2.{}", 10 + second), &[]);
            let now = begun + Duration::from_secs(second);
            roaming.is_changed = true;
            renewed.extend(roaming.look(|| here.clone(), (now, slept)).map(|_| second));
        }
        assert_eq!(renewed, [0, 1, 2, 3, 10, 20, 30]);
    }

    #[tokio::test]
    async fn a_change_that_came_too_early_is_looked_at_when_it_may_be() {
        let (mut roaming, now, slept) = (roaming(), Instant::now(), Duration::from_secs(100));
        for number in 0..RENEWED_AT_ONCE {
            let here = place(&format!("192.0.2.{}", 10 + number), &[]);
            assert_eq!(roaming.look(|| here.clone(), (now, slept)), Some(Moved::Place));
        }
        let here = place("192.0.2.99", &[]);
        assert_eq!(roaming.look(|| here.clone(), (now, slept)), None);
        let due = roaming.look_at;
        assert_eq!(due, now + RENEWED_AGAIN);
        assert_eq!(roaming.look(|| here.clone(), (due, slept)), Some(Moved::Place));
    }

    #[tokio::test]
    async fn a_network_that_was_away_for_long_is_another_one_even_if_it_is_the_same() {
        let (begun, slept) = (Instant::now(), Duration::from_secs(100));
        let (here, nowhere) = (place("192.0.2.1", &["192.0.2.1:7000"]), place("", &[]));
        for (seconds, expected) in [(1, None), (2, Some(Moved::Place)), (60, Some(Moved::Place))] {
            let mut roaming = roaming();
            let back = begun + Duration::from_secs(seconds);
            for now in [begun, begun + Duration::from_millis(500)] {
                assert_eq!(roaming.look(|| nowhere.clone(), (now, slept)), None);
            }
            assert_eq!(roaming.look(|| here.clone(), (back, slept)), expected, "{seconds} s");
            assert_eq!(roaming.look(|| here.clone(), (back, slept)), None, "once");
        }
    }

    #[tokio::test]
    async fn a_timer_is_due_again_and_again() {
        let ticks = ticks(Duration::from_millis(20)).unwrap();
        let begun = Instant::now();
        for _ in 0..3 {
            tick(&ticks).await;
        }
        assert!(begun.elapsed() >= Duration::from_millis(59), "{:?}", begun.elapsed());
    }

    /// A host cannot be sent to sleep by a test. Its two clocks can be told apart all the same: by which one the timer goes, and in a namespace of
    /// time, whose clocks are those of a host that has slept for so long (time_namespaces(7)).
    #[test]
    fn the_timer_goes_on_while_the_host_sleeps() {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build().unwrap();
        let ticks = runtime.block_on(async { ticks(PAUSE) }).unwrap();
        let told = std::fs::read_to_string(format!("/proc/self/fdinfo/{}", ticks.as_raw_fd())).unwrap();
        // CLOCK_BOOTTIME in `linux/time.h`.
        assert!(told.lines().any(|line| line.split_whitespace().eq(["clockid:", "7"])), "{told}");
    }

    #[test]
    fn what_a_host_has_slept_is_what_its_clocks_differ_by() {
        const TEST: &str = "what_a_host_has_slept_is_what_its_clocks_differ_by";
        const HOUR: Duration = Duration::from_secs(3600);
        if std::env::var_os(TEST).is_some() {
            // One clock is read a moment after the other.
            let slept = slept() + Duration::from_secs(1);
            return assert!((HOUR..HOUR * 2).contains(&slept), "{slept:?}");
        }
        if !Command::new("unshare").args(["-T", "true"]).status().is_ok_and(|status| status.success()) {
            return dos_testing::skipped(TEST, "there are no namespaces of time");
        }
        let mut there = Command::new("unshare");
        there.args(["-T", "--boottime", &HOUR.as_secs().to_string()]).arg(std::env::current_exe().unwrap());
        there.arg(format!("{}::{TEST}", module_path!().split_once("::").unwrap().1)).env(TEST, "1");
        let there = there.arg("--exact").output().unwrap();
        let told = String::from_utf8_lossy(&there.stdout);
        assert!(there.status.success() && told.contains("1 passed"), "{told}");
    }

    #[tokio::test]
    async fn a_host_that_has_slept_renews_its_session() {
        let mut roaming = roaming();
        let here = || place("192.0.2.1", &["192.0.2.1:7000"]);
        let now = Instant::now();
        assert_eq!(roaming.look(here, (now, Duration::from_secs(101))), None, "a moment");
        assert_eq!(roaming.look(here, (now, Duration::from_secs(161))), Some(Moved::Slept));
        assert_eq!(roaming.look(here, (now, Duration::from_secs(161))), None, "once");
    }
}
