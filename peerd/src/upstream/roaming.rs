//! Noticing that this host's addresses or its way to the directory have changed, and that it has slept: the session then stands on what is
//! not there any more, and others are told addresses that lead nowhere.
//!
//! The kernel reports changes of addresses and routes (rtnetlink(7)); what it reports is not read, but makes this look how things are.
//! Where that is not to be had it looks every few seconds. What always holds: a session is renewed at most every [`RENEWED_AGAIN`], however often
//! addresses come and go; without a way to the directory nothing is renewed.

use std::{
    io,
    net::{IpAddr, SocketAddr},
    time::Duration,
};

use dos_protocol::model::Address;
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
use crate::addresses::{announced, source_towards};

/// Changes come in groups: an address goes, another one comes, and its route after it.
const SETTLED: Duration = Duration::from_millis(500);

/// Between two looks that nothing asks for.
const PAUSE: Duration = Duration::from_secs(5);

/// Whose addresses change all the time has a session that lasts so long, at least.
const RENEWED_AGAIN: Duration = Duration::from_secs(10);

/// A host that was away for less has connections that live.
const SLEPT_MIN: Duration = Duration::from_secs(2);

/// Addresses and routes of both families (`RTMGRP_IPV4_IFADDR` and so on in `linux/rtnetlink.h`).
const GROUPS: u32 = 0x10 | 0x40 | 0x100 | 0x400;

/// Where this host is: what it announces, and from which address it reaches the directory.
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
        let announced = server.map(|identity| announced(&local.config, port, &identity.server).1);
        Self { announced: announced.unwrap_or_default(), from: directory.and_then(source_towards) }
    }
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
    /// Where the session began.
    place: Option<Place>,
    renewed: Option<Instant>,
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
        Self { changes, ticks, is_changed: false, look_at, place: None, renewed: None, slept: slept() }
    }

    /// A session has begun here.
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
        if since >= SLEPT_MIN {
            return Some(Moved::Slept);
        }
        if self.changes.is_some() && !std::mem::take(&mut self.is_changed) {
            return None;
        }
        let here = here();
        if here.from.is_none() || self.place.as_ref().is_none_or(|place| *place == here) {
            return None;
        }
        if let Some(next) = self.renewed.map(|renewed| renewed + RENEWED_AGAIN).filter(|next| *next > now) {
            (self.look_at, self.is_changed) = (next, true);
            return None;
        }
        self.renewed = Some(now);
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
            renewed: None,
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
        for second in 0..30_u64 {
            let here = place(&format!("192.0.2.{}", 10 + second), &[]);
            let now = begun + Duration::from_secs(second);
            if now >= roaming.look_at || second == 0 {
                renewed.extend(roaming.look(|| here.clone(), (now, slept)).map(|_| second));
            }
        }
        assert_eq!(renewed, [0, 10, 20]);
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
