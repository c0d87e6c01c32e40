//! Connections to other peers that carry several transfers, one after the other.
//!
//! A transfer that is done leaves its connection to the next one to the same peer; for a minute, if there is none yet. Those that wait for
//! the connection are asked for while the one before them is under way still, so that their bytes follow without a pause. One through the relay,
//! where it takes a place, is kept for less long: for whoever looks through pictures, one after the other.
//!
//! What always holds: a connection belongs to one transfer at a time, and leads to the holder of the key for which it was made. Whatever
//! fails takes its connection with it; whoever waited for that makes one of its own. Their number is bounded, and what waits for one is
//! small. None is kept across a block, or without a session.

use std::{
    collections::VecDeque,
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError, Weak},
    task::{Context, Poll, Waker},
    time::Duration,
};

use dos_protocol::{PeerId, PublicKey, limits::DIRECT_AGAIN_TIME};
use tokio::{
    io::{AsyncRead, ReadBuf},
    sync::{oneshot, watch},
    time::{Instant, sleep_until},
};

use super::{
    Peers,
    dial::{Connection, Route},
};
use crate::upstream::Status;

/// How long a connection is kept after its last use.
const KEPT_TIME: Duration = Duration::from_secs(60);

/// The same for one through the relay. Where places are short, the directory ends it before
/// ([`dos_protocol::limits::RELAY_SPARE_AFTER`]).
const RELAYED_KEPT_TIME: Duration = Duration::from_secs(15);

/// So long after the first transfer through the relay the next one makes a connection of its own, for which all ways are tried: there may be a better
/// one by now.
const RELAYED_AGE_MAX: Duration = DIRECT_AGAIN_TIME;

/// Peers to which the relay leads.
const RELAYED_MAX: usize = 64;

/// Connections that are kept.
const KEPT_MAX: usize = 16;

/// Of these, through the relay.
const RELAYED_KEPT_MAX: usize = 4;

/// Transfers that wait for one connection. What has arrived of those before may be on its way to the disk still, and on a long path small
/// copies must be asked for well ahead.
const WAITING_MAX: usize = 11;

/// The most bytes that are still to come on a connection for which another transfer waits: beyond, one of its own is sooner there.
const AHEAD_BYTES_MAX: u64 = 8 << 20;

/// To whom a connection leads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct To {
    pub(super) peer: PeerId,
    /// What it has proved to hold.
    pub(super) key: PublicKey,
}

/// The connections of a daemon.
#[derive(Debug)]
pub(super) struct Lines<S = Connection>(Arc<Mutex<State<S>>>);

impl<S> Default for Lines<S> {
    fn default() -> Self {
        Self(Arc::new(Mutex::new(State {
            kept: Vec::new(),
            busy: Vec::new(),
            relayed: VecDeque::new(),
            next: 0,
            is_swept: false,
            arrivals: watch::Sender::new(0),
        })))
    }
}

#[derive(Debug)]
struct State<S> {
    kept: Vec<Kept<S>>,
    busy: Vec<Busy<S>>,
    /// Since when transfers go through the relay.
    relayed: VecDeque<(To, Instant)>,
    next: u64,
    /// Whether a task closes what was kept for long enough.
    is_swept: bool,
    /// Counts the connections that nobody has used yet.
    arrivals: watch::Sender<u64>,
}

impl<S> State<S> {
    /// Whether a connection through the relay is kept. If not, it begins anew with the next one.
    fn keeps_relayed(&mut self, to: To, now: Instant) -> bool {
        let since = self.relayed.iter().find(|(known, _)| *known == to).map(|(_, since)| *since);
        match since {
            Some(since) if now >= since + RELAYED_AGE_MAX => {
                self.relayed.retain(|(known, _)| *known != to);
                false
            }
            Some(_) => true,
            None => {
                self.relayed.truncate(RELAYED_MAX - 1);
                self.relayed.push_front((to, now));
                true
            }
        }
    }
}

#[derive(Debug)]
struct Kept<S> {
    to: To,
    open: Open<S>,
    until: Instant,
}

impl<S> Kept<S> {
    fn is_relayed(&self) -> bool {
        self.open.route == Route::Relayed
    }
}

/// Which connections will do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Which {
    /// A direct one, or else one through the relay.
    Any,
    Direct,
}

#[derive(Debug)]
struct Busy<S> {
    number: u64,
    to: To,
    /// The sizes of the transfer under way and of those that have been asked for behind it.
    ahead: VecDeque<u64>,
    waiting: VecDeque<Waiting<S>>,
}

#[derive(Debug)]
struct Waiting<S> {
    bytes: u64,
    /// What asks for the transfer.
    request: Vec<u8>,
    turn: oneshot::Sender<Turn<S>>,
}

/// An open connection.
#[derive(Debug)]
pub(super) struct Open<S = Connection> {
    pub(super) stream: S,
    pub(super) route: Route,
}

/// A connection that was waited for.
#[derive(Debug)]
pub(super) struct Turn<S = Connection> {
    pub(super) line: Line<S>,
    pub(super) open: Open<S>,
    /// The transfer has been asked for.
    pub(super) is_asked: bool,
}

/// How a transfer comes to a connection.
#[derive(Debug)]
pub(super) enum Joined<S = Connection> {
    /// One that was kept.
    Kept(Line<S>, Open<S>),
    /// One that another transfer will leave, unless that fails.
    Waits(oneshot::Receiver<Turn<S>>),
    /// It has to make one.
    Alone(Line<S>),
}

impl<S> Lines<S> {
    fn state(&self) -> MutexGuard<'_, State<S>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A line of its own for a transfer of `bytes`.
    pub(super) fn begin(&self, to: To, bytes: u64) -> Line<S> {
        let mut state = self.state();
        let number = state.next;
        state.next += 1;
        state.busy.push(Busy { number, to, ahead: VecDeque::from([bytes]), waiting: VecDeque::new() });
        Line { lines: Self(Arc::clone(&self.0)), number, asked: VecDeque::new(), has_left: false }
    }

    /// Keeps a direct connection that no transfer has used yet.
    pub(super) fn keep(&self, to: To, open: Open<S>) {
        self.begin(to, 0).leave(open);
        let mut state = self.state();
        state.arrivals.send_modify(|arrivals| *arrivals += 1);
        let (worse, kept): (Vec<_>, Vec<_>) = std::mem::take(&mut state.kept)
            .into_iter()
            .partition(|kept: &Kept<S>| kept.to == to && kept.is_relayed());
        state.kept = kept;
        drop(state);
        drop(worse);
    }

    /// Changes when there is a connection that no transfer has used yet.
    pub(super) fn arrivals(&self) -> watch::Receiver<u64> {
        self.state().arrivals.subscribe()
    }

    /// Closes what is kept.
    fn close(&self) {
        let kept = std::mem::take(&mut self.state().kept);
        drop(kept);
    }

    /// Closes what was kept for long enough; when to look again, which is soon enough for one that comes meanwhile. The last one ends the sweeping.
    fn sweep(&self) -> Option<Instant> {
        let mut state = self.state();
        let now = Instant::now();
        let (old, kept): (Vec<_>, Vec<_>) =
            std::mem::take(&mut state.kept).into_iter().partition(|kept: &Kept<S>| now >= kept.until);
        state.kept = kept;
        let next = state.kept.iter().map(|kept| kept.until).min();
        let next = next.map(|next| next.min(now + RELAYED_KEPT_TIME));
        state.is_swept = next.is_some();
        drop(state);
        drop(old);
        next
    }
}

impl<S: AsyncRead + Unpin> Lines<S> {
    /// Looks for a connection for a transfer of `bytes`, which `request` asks for.
    pub(super) fn join(&self, to: To, bytes: u64, request: Vec<u8>) -> Joined<S> {
        if let Some(open) = self.take_quiet(to, Which::Any) {
            return Joined::Kept(self.begin(to, bytes), open);
        }
        let mut state = self.state();
        let busy = state.busy.iter_mut().find(|busy| busy.to == to && busy.has_room());
        let Some(busy) = busy else {
            drop(state);
            return Joined::Alone(self.begin(to, bytes));
        };
        let (turn, given) = oneshot::channel();
        busy.waiting.push_back(Waiting { bytes, request, turn });
        Joined::Waits(given)
    }

    /// A direct connection that is kept and can be used.
    pub(super) fn take_direct(&self, to: To) -> Option<Open<S>> {
        self.take_quiet(to, Which::Direct)
    }

    fn take_quiet(&self, to: To, which: Which) -> Option<Open<S>> {
        while let Some(mut open) = self.take(to, which) {
            if is_quiet(&mut open.stream) {
                return Some(open);
            }
        }
        None
    }

    /// The connection that was used last, a direct one before others.
    fn take(&self, to: To, which: Which) -> Option<Open<S>> {
        let mut state = self.state();
        let leads = |kept: &Kept<S>| kept.to == to;
        let direct = state.kept.iter().rposition(|kept| leads(kept) && !kept.is_relayed());
        let at = direct.or_else(|| state.kept.iter().rposition(leads).filter(|_| which == Which::Any))?;
        Some(state.kept.remove(at).open)
    }
}

impl<S> Busy<S> {
    fn has_room(&self) -> bool {
        let bytes = self.ahead.iter().copied().chain(self.waiting.iter().map(|waiting| waiting.bytes));
        let bytes = bytes.fold(0, u64::saturating_add);
        self.ahead.len() + self.waiting.len() <= WAITING_MAX && bytes <= AHEAD_BYTES_MAX
    }
}

/// Whether the other side has neither said anything nor hung up.
fn is_quiet<S: AsyncRead + Unpin>(stream: &mut S) -> bool {
    let mut room = [0];
    let mut context = Context::from_waker(Waker::noop());
    matches!(Pin::new(stream).poll_read(&mut context, &mut ReadBuf::new(&mut room)), Poll::Pending)
}

/// The right of a transfer to its connection. Dropped, it leaves those who wait for it to themselves.
#[derive(Debug)]
pub(super) struct Line<S = Connection> {
    lines: Lines<S>,
    number: u64,
    /// The transfers that have been asked for behind this one.
    asked: VecDeque<oneshot::Sender<Turn<S>>>,
    has_left: bool,
}

impl<S> Line<S> {
    fn next_waiting(&self) -> Option<Waiting<S>> {
        let mut state = self.lines.state();
        let busy = state.busy.iter_mut().find(|busy| busy.number == self.number)?;
        let next =
            std::iter::from_fn(|| busy.waiting.pop_front()).find(|waiting| !waiting.turn.is_closed())?;
        busy.ahead.push_back(next.bytes);
        Some(next)
    }

    /// What asks for the transfers that have come to wait; mostly nothing.
    pub(super) fn next_requests(&mut self) -> Vec<u8> {
        let mut requests = Vec::new();
        while let Some(Waiting { request, turn, .. }) = self.next_waiting() {
            self.asked.push_back(turn);
            requests.extend(request);
        }
        requests
    }

    /// All bytes of the transfer have come: the connection is for the next one.
    pub(super) fn leave(mut self, mut open: Open<S>) {
        if let Some(turn) = self.asked.pop_front() {
            // If it has been given up, its answer would come to another one: the connection ends.
            drop(turn.send(Turn { line: self.handed(), open, is_asked: true }));
            return;
        }
        while let Some(Waiting { turn, .. }) = self.next_waiting() {
            match turn.send(Turn { line: self.handed(), open, is_asked: false }) {
                Ok(()) => return,
                Err(mut turn) => {
                    // Nobody has it: it is this one's again.
                    turn.line.has_left = true;
                    self.has_left = false;
                    open = turn.open;
                }
            }
        }
        let mut state = self.lines.state();
        let Some(busy) = state.busy.iter().find(|busy| busy.number == self.number) else { return };
        let (to, now, is_relayed) = (busy.to, Instant::now(), open.route == Route::Relayed);
        if is_relayed && !state.keeps_relayed(to, now) {
            return;
        }
        let time = if is_relayed { RELAYED_KEPT_TIME } else { KEPT_TIME };
        state.kept.push(Kept { to, open, until: now + time });
        let is_full = state.kept.len() > KEPT_MAX;
        let relayed = || state.kept.iter().filter(|kept| kept.is_relayed()).count();
        let surplus = if is_full {
            Some(0)
        } else {
            state.kept.iter().position(Kept::is_relayed).filter(|_| relayed() > RELAYED_KEPT_MAX)
        };
        let oldest = surplus.map(|at| state.kept.remove(at));
        drop(state);
        drop(oldest);
    }

    /// The right, in other hands.
    fn handed(&mut self) -> Self {
        self.has_left = true;
        let mut state = self.lines.state();
        if let Some(busy) = state.busy.iter_mut().find(|busy| busy.number == self.number) {
            busy.ahead.pop_front();
        }
        drop(state);
        Self {
            lines: Lines(Arc::clone(&self.lines.0)),
            number: self.number,
            asked: std::mem::take(&mut self.asked),
            has_left: false,
        }
    }
}

impl<S> Drop for Line<S> {
    fn drop(&mut self) {
        if self.has_left {
            return;
        }
        let mut state = self.lines.state();
        let at = state.busy.iter().position(|busy| busy.number == self.number);
        let gone = at.map(|at| state.busy.swap_remove(at));
        drop(state);
        drop(gone);
    }
}

/// Sees to it that what is kept is closed in time.
pub(super) fn keep_swept(peers: &Arc<Peers>) {
    let begins = {
        let mut state = peers.lines.state();
        !state.kept.is_empty() && !std::mem::replace(&mut state.is_swept, true)
    };
    if begins {
        tokio::spawn(sweep(peers.store.blocks_changed(), peers.upstream.status(), Arc::downgrade(peers)));
    }
}

async fn sweep(mut blocks: watch::Receiver<u64>, mut status: watch::Receiver<Status>, peers: Weak<Peers>) {
    let session = status.borrow_and_update().online();
    let next = || peers.upgrade().and_then(|peers| peers.lines.sweep());
    let close = || {
        if let Some(peers) = peers.upgrade() {
            peers.lines.close();
        }
    };
    while let Some(next) = next() {
        tokio::select! {
            () = sleep_until(next) => {}
            // A blocked peer does not learn by a connection that this one is there.
            _ = blocks.changed() => close(),
            changed = status.changed() => {
                if changed.is_err() || status.borrow_and_update().online() != session {
                    close();
                }
            }
        }
    }
}

#[cfg(test)]
mod tests;
