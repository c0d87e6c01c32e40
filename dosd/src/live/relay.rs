//! The relay: joins two connections to the directory's port by their ticket, and passes bytes on between them.
//!
//! What the two say is their own TLS; the relay neither reads nor keeps any of it. What always holds: a ticket joins the
//! first two connections that bring it, within [`RELAY_TICKET_TIME`], and nothing after that; a call stands in the
//! table from its ticket to its end, so that there are never more of them than the operator allows; memory for each is
//! bounded. Who may call whom is decided before, with the ticket; whether there is room, once more when both sides have come.

mod pipe;

use std::{
    collections::HashMap,
    io,
    net::IpAddr,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use dos_daemon::rate::{Rate, RateLimiter};
use dos_protocol::{
    Code, PeerId, Reason, WireError,
    directory::{RELAY_MAGIC, RELAY_OPEN, SEEN_MAGIC, Ticket},
    limits::{HANDSHAKE_TIME_MAX, RELAY_TICKET_TIME, WRITE_STALL_MAX},
    random,
};
use parking_lot::{Mutex, MutexGuard};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    sync::oneshot,
    time::{Instant, timeout, timeout_at},
};
use tokio_util::sync::CancellationToken;

use self::pipe::{BURST, Ended, Meter, Moved};
use crate::{
    config::RelaySettings,
    rules::relay::{self, Allowed, Counted, Full},
};

/// Whether a connection that begins with this byte is a relayed one, or asks where it comes from: a TLS record never begins so.
pub(crate) fn is_relayed(first: u8) -> bool {
    RELAY_MAGIC.first() == Some(&first)
}

type Calls = HashMap<Ticket, Entry>;

/// The calls in flight, and those that wait for their two sides.
#[derive(Debug, Default)]
pub struct Relay {
    calls: Mutex<Calls>,
    all: Arc<Mutex<RateLimiter>>,
    bytes: AtomicU64,
}

/// A call in the table.
#[derive(Debug)]
struct Entry {
    call: Call,
    state: State,
}

#[derive(Debug)]
enum State {
    /// Its sides have until then to come; one of them may wait for the other already.
    Waiting { until: Instant, first: Option<oneshot::Sender<TcpStream>> },
    /// Both have come.
    Joined,
}

/// A call between two peers, and what their calls have moved.
#[derive(Debug, Clone)]
struct Call {
    from: PeerId,
    to: PeerId,
    /// Of the caller and of the one that is called.
    limiters: [Arc<Mutex<RateLimiter>>; 2],
    settings: RelaySettings,
    /// When something moved last.
    moved: Arc<Moved>,
    /// The one that is called has blocked the caller, or another call takes its place.
    cut: CancellationToken,
}

impl Entry {
    fn counted(&self, now: Instant) -> Counted {
        let Call { from, to, moved, .. } = &self.call;
        let is_joined = matches!(self.state, State::Joined);
        Counted { from: *from, to: *to, is_joined, still: moved.since(now) }
    }
}

impl From<RelaySettings> for Allowed {
    fn from(settings: RelaySettings) -> Self {
        Self { calls: settings.calls, calls_per_peer: settings.calls_per_peer }
    }
}

impl Call {
    fn limiter_of(&self, peer: PeerId) -> Option<&Arc<Mutex<RateLimiter>>> {
        let [from, to] = &self.limiters;
        if self.from == peer { Some(from) } else { Some(to).filter(|_| self.to == peer) }
    }
}

/// What becomes of a connection that brings a ticket.
enum Side {
    /// It is the first: its task carries the call.
    First { call: Call, until: Instant, second: oneshot::Receiver<TcpStream> },
    /// It is the second: the first one's task has it now.
    Second,
    /// It is the second, and there are too many calls by now.
    Full,
    /// No call waits for it.
    Unknown,
}

/// Gives a call's place in the table back, however its task ends.
struct Reservation<'a> {
    relay: &'a Relay,
    ticket: Ticket,
}

impl Drop for Reservation<'_> {
    fn drop(&mut self) {
        self.relay.table().remove(&self.ticket);
    }
}

impl Relay {
    /// Bytes passed on since the start, in both directions.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.bytes.load(Ordering::Relaxed)
    }

    /// Calls in the table: those in flight, and those whose sides are expected.
    #[must_use]
    pub fn calls(&self) -> usize {
        let mut calls = self.table();
        sweep(&mut calls);
        calls.len()
    }

    fn table(&self) -> MutexGuard<'_, Calls> {
        self.calls.lock()
    }

    /// Reserves a call of `from` to `to`; both sides come with the ticket.
    ///
    /// # Errors
    /// `denied` if there are too many calls already.
    pub(crate) fn admit(
        &self,
        from: PeerId,
        to: PeerId,
        settings: RelaySettings,
    ) -> Result<Ticket, WireError> {
        let ticket = random::bytes().map_err(|error| WireError::new(Code::Internal, error.to_string()))?;
        let ticket = Ticket::from(ticket);
        let mut calls = self.table();
        sweep(&mut calls);
        let now = Instant::now();
        let counted = |entry: &Entry| entry.counted(now);
        let admit = |calls: &Calls| relay::admit(calls.values().map(counted), (from, to), settings.into());
        let mut admitted = admit(&calls);
        if admitted == Err(Full::Tickets) && displace(&mut calls, from) {
            admitted = admit(&calls);
        }
        if let Err(full) = admitted {
            let text = match full {
                Full::Relay | Full::Tickets => "the directory relays as many calls as it may".into(),
                Full::Caller | Full::Pair => "you have as many relayed calls as you may".into(),
                Full::Called => format!("peer {to} has as many relayed calls as it may"),
            };
            return Err(WireError::new(Code::Denied, text)
                .because(Reason::Limit)
                .retry_after(RELAY_TICKET_TIME));
        }
        let limiter = |peer| calls.values().find_map(|entry| entry.call.limiter_of(peer)).cloned();
        let limiters = [limiter(from).unwrap_or_default(), limiter(to).unwrap_or_default()];
        let state = State::Waiting { until: Instant::now() + RELAY_TICKET_TIME, first: None };
        let (moved, cut) = (Arc::new(Moved::now()), CancellationToken::new());
        calls.insert(ticket, Entry { call: Call { from, to, limiters, settings, moved, cut }, state });
        Ok(ticket)
    }

    /// Gives up a call of which neither side was notified.
    pub(crate) fn forget(&self, ticket: &Ticket) {
        self.table().remove(ticket);
    }

    /// Ends the calls of one peer to another one, and those that wait for their sides. Calls the other way go on.
    pub(crate) fn hang_up(&self, from: PeerId, to: PeerId) {
        self.table().retain(|_, Entry { call, .. }| {
            let is_theirs = call.from == from && call.to == to;
            if is_theirs {
                call.cut.cancel();
            }
            !is_theirs
        });
    }

    /// Finds the other side of a connection.
    fn join(&self, ticket: &Ticket, stream: TcpStream) -> (Side, Option<TcpStream>) {
        let mut calls = self.table();
        sweep(&mut calls);
        let Some(Entry { call, state }) = calls.get(ticket) else { return (Side::Unknown, Some(stream)) };
        let (pair, allowed) = ((call.from, call.to), call.settings.into());
        let is_first = matches!(state, State::Waiting { first: None, .. });
        let now = Instant::now();
        let join = |calls: &Calls| {
            let others = calls.iter().filter(|(other, _)| *other != ticket);
            relay::join(others.map(|(_, entry)| entry.counted(now)), pair, allowed)
        };
        let mut joined = join(&calls);
        while let Err(full) = joined
            && !is_first
            && make_room(&mut calls, pair, full)
        {
            joined = join(&calls);
        }
        let has_room = joined.is_ok();
        let Some(Entry { call, state }) = calls.get_mut(ticket) else { return (Side::Unknown, Some(stream)) };
        match state {
            State::Waiting { until, first: first @ None } => {
                let (sender, second) = oneshot::channel();
                *first = Some(sender);
                (Side::First { call: call.clone(), until: *until, second }, Some(stream))
            }
            // The first side gives up, too: no one else can come with this ticket.
            State::Waiting { .. } if !has_room => {
                calls.remove(ticket);
                (Side::Full, Some(stream))
            }
            State::Waiting { first: Some(_), .. } => {
                let State::Waiting { first: Some(first), .. } = std::mem::replace(state, State::Joined)
                else {
                    return (Side::Unknown, Some(stream));
                };
                // If the first side has just given up, its reservation goes with it.
                call.moved.note(now);
                match first.send(stream) {
                    Ok(()) => (Side::Second, None),
                    Err(stream) => (Side::Unknown, Some(stream)),
                }
            }
            State::Joined => (Side::Unknown, Some(stream)),
        }
    }

    /// Serves a connection that has brought a ticket, until the call's end, its own, or `stop`. The call's reservation bounds what
    /// waits.
    pub(crate) async fn serve(
        &self,
        ticket: Ticket,
        stream: TcpStream,
        address: IpAddr,
        stop: CancellationToken,
    ) {
        let carried = async {
            match self.join(&ticket, stream) {
                (Side::First { call, until, second }, Some(stream)) => {
                    let _reservation = Reservation { relay: self, ticket };
                    tokio::select! {
                        biased;
                        () = call.cut.cancelled() => tracing::debug!(from = %call.from, to = %call.to, "a call was cut"),
                        () = self.carry(&call, stream, (until, second)) => {}
                    }
                }
                (Side::Second, _) => {}
                (Side::Full, stream) => {
                    drop(stream);
                    tracing::debug!(%address, "too many calls are relayed for this one to begin");
                }
                (_, stream) => {
                    drop(stream);
                    tracing::debug!(%address, "no call waits for this ticket");
                }
            }
        };
        tokio::select! {
            biased;
            () = stop.cancelled() => {}
            () = carried => {}
        }
    }

    async fn carry(
        &self,
        call: &Call,
        mut first: TcpStream,
        (until, second): (Instant, oneshot::Receiver<TcpStream>),
    ) {
        let (from, to) = (call.from, call.to);
        let Ok(Ok(mut second)) = timeout_at(until, second).await else {
            return tracing::debug!(%from, %to, "the other side of a call did not come");
        };
        let opened = async {
            first.write_all(&[RELAY_OPEN]).await?;
            second.write_all(&[RELAY_OPEN]).await
        };
        if !matches!(timeout(WRITE_STALL_MAX, opened).await, Ok(Ok(()))) {
            return tracing::debug!(%from, %to, "a side of a call went away");
        }
        tracing::info!(%from, %to, "relaying a call");
        let settings = &call.settings;
        let [caller, called] = &call.limiters;
        let rate = |bytes_per_second| Rate::per_second(bytes_per_second).with_burst(BURST);
        let per_peer = rate(settings.bytes_per_second_per_peer);
        let limits =
            [(&*self.all, rate(settings.bytes_per_second)), (&**caller, per_peer), (&**called, per_peer)];
        let meter = Meter::new(limits, settings.idle, (&call.moved, &self.bytes));
        let why = match pipe::run(&mut first, &mut second, &meter).await {
            Ended::Done => "both have ended it".into(),
            Ended::Idle => "nothing moved".into(),
            Ended::Broken(error) => error.to_string(),
        };
        tracing::info!(%from, %to, bytes = meter.moved(), why, "a relayed call ended");
    }
}

/// Ends a call on which nothing moves, where there are too many for one between these.
fn make_room(calls: &mut Calls, pair: (PeerId, PeerId), full: Full) -> bool {
    let now = Instant::now();
    let (tickets, counted): (Vec<_>, Vec<_>) =
        calls.iter().map(|(ticket, entry)| (*ticket, entry.counted(now))).unzip();
    let spare = relay::spare(&counted, pair, full).and_then(|at| tickets.get(at));
    let Some(Entry { call, .. }) = spare.and_then(|ticket| calls.remove(ticket)) else { return false };
    tracing::debug!(from = %call.from, to = %call.to, "a call on which nothing moves makes room");
    call.cut.cancel();
    true
}

/// Takes a ticket back that is not used, for the sake of one of `from`.
fn displace(calls: &mut Calls, from: PeerId) -> bool {
    let unused = |(ticket, entry): (&Ticket, &Entry)| match entry.state {
        State::Waiting { until, .. } => Some((*ticket, (entry.call.from, until.into_std()))),
        State::Joined => None,
    };
    let (tickets, unused): (Vec<_>, Vec<_>) = calls.iter().filter_map(unused).unzip();
    let displaced = relay::displaced(&unused, from).and_then(|at| tickets.get(at));
    displaced.is_some_and(|ticket| calls.remove(ticket).is_some())
}

/// Forgets the calls whose sides did not come in time.
fn sweep(calls: &mut Calls) {
    let now = Instant::now();
    calls.retain(|_, entry| !matches!(entry.state, State::Waiting { until, .. } if until <= now));
}

/// Reads the ticket with which a relayed connection begins; nothing of one that asks where it comes from.
///
/// # Errors
/// If neither comes in time.
pub(crate) async fn read_ticket(mut stream: TcpStream) -> io::Result<(Option<Ticket>, TcpStream)> {
    let read = async {
        let (mut magic, mut ticket) = ([0; RELAY_MAGIC.len()], [0; 32]);
        stream.read_exact(&mut magic).await?;
        match &magic {
            SEEN_MAGIC => return Ok(None),
            RELAY_MAGIC => stream.read_exact(&mut ticket).await?,
            _ => return Err(io::ErrorKind::InvalidData.into()),
        };
        io::Result::Ok(Some(Ticket::from(ticket)))
    };
    let read = timeout(HANDSHAKE_TIME_MAX, read).await;
    let ticket = read.map_err(|_| io::Error::from(io::ErrorKind::TimedOut))??;
    Ok((ticket, stream))
}

#[cfg(test)]
mod tests;
