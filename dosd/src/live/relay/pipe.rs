//! Passing bytes on between two connections, both ways.
//!
//! What always holds: what one side does not take is not read from the other; the end of one side's bytes is passed on,
//! and the other may go on; a call on which nothing moves ends.

use std::{
    io,
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use dos_daemon::rate::{Rate, RateLimiter};
use dos_protocol::limits::RELAY_PIECE_BYTES;
use parking_lot::Mutex;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{
        TcpStream,
        tcp::{ReadHalf, WriteHalf},
    },
    time::{Instant, sleep_until},
};

/// What a rate gives in this time may be passed on at once: pieces may come together.
pub(super) const BURST: Duration = Duration::from_millis(100);

/// However slow the rate, so much is read at a time.
const PIECE_BYTES_MIN: usize = 1 << 10;

/// Why a call ended.
pub(super) enum Ended {
    /// Both sides have said everything.
    Done,
    /// Nothing moved for too long.
    Idle,
    /// A side broke.
    Broken(io::Error),
}

/// When something moved last on a call.
#[derive(Debug)]
pub(super) struct Moved {
    start: Instant,
    /// In milliseconds after the start.
    at: AtomicU64,
}

impl Moved {
    pub(super) fn now() -> Self {
        Self { start: Instant::now(), at: AtomicU64::new(0) }
    }

    /// Something moves then, which may be a little later.
    pub(super) fn note(&self, at: Instant) {
        let ms = u64::try_from(at.duration_since(self.start).as_millis()).unwrap_or(u64::MAX);
        self.at.fetch_max(ms, Ordering::Relaxed);
    }

    fn last(&self) -> Instant {
        self.start + Duration::from_millis(self.at.load(Ordering::Relaxed))
    }

    /// For how long nothing has moved.
    pub(super) fn since(&self, now: Instant) -> Duration {
        now.saturating_duration_since(self.last())
    }
}

/// What a call moves, and under which limits.
pub(super) struct Meter<'a> {
    limits: [(&'a Mutex<RateLimiter>, Rate); 3],
    idle: Duration,
    last: &'a Moved,
    moved: AtomicU64,
    total: &'a AtomicU64,
}

impl<'a> Meter<'a> {
    /// Of a call that begins now; `last` and `total` tell others of what it moves.
    pub(super) fn new(
        limits: [(&'a Mutex<RateLimiter>, Rate); 3],
        idle: Duration,
        (last, total): (&'a Moved, &'a AtomicU64),
    ) -> Self {
        last.note(Instant::now());
        Self { limits, idle, last, moved: AtomicU64::new(0), total }
    }

    /// Bytes moved so far, in both directions.
    pub(super) fn moved(&self) -> u64 {
        self.moved.load(Ordering::Relaxed)
    }

    /// What is read at a time: no more than goes at once under the slowest rate.
    fn piece_bytes(&self) -> usize {
        let bursts = self.limits.iter().map(|(_, rate)| rate.burst_units());
        bursts
            .map(|bytes| usize::try_from(bytes).unwrap_or(usize::MAX))
            .fold(RELAY_PIECE_BYTES, usize::min)
            .max(PIECE_BYTES_MIN)
    }

    /// Waits until these bytes may be passed on. Those who share a rate get their turns in the order in which they came.
    async fn pass(&self, bytes: usize) {
        let now = Instant::now();
        let units = u64::try_from(bytes).unwrap_or(u64::MAX);
        let reserve = |(limiter, rate): &(&Mutex<RateLimiter>, Rate)| {
            limiter.lock().reserve(units, *rate, now.into_std())
        };
        let until = self.limits.iter().map(reserve).max().map(Instant::from_std);
        if let Some(until) = until.filter(|until| *until > now) {
            // Whoever waits for its turn is not idle.
            self.last.note(until);
            sleep_until(until).await;
        }
    }

    fn count(&self, bytes: usize) {
        let bytes = u64::try_from(bytes).unwrap_or(u64::MAX);
        self.moved.fetch_add(bytes, Ordering::Relaxed);
        self.total.fetch_add(bytes, Ordering::Relaxed);
        self.last.note(Instant::now());
    }

    /// Returns when nothing has moved for too long.
    async fn idle(&self) {
        loop {
            let due = self.last.last() + self.idle;
            if due <= Instant::now() {
                return;
            }
            sleep_until(due).await;
        }
    }
}

/// Passes bytes on until both sides have ended, one breaks, or nothing moves.
pub(super) async fn run(near: &mut TcpStream, far: &mut TcpStream, meter: &Meter<'_>) -> Ended {
    let ((near_in, near_out), (far_in, far_out)) = (near.split(), far.split());
    let both = async {
        tokio::try_join!(one_way(near_in, far_out, meter), one_way(far_in, near_out, meter)).map(drop)
    };
    tokio::select! {
        ended = both => ended.map_or_else(Ended::Broken, |()| Ended::Done),
        () = meter.idle() => Ended::Idle,
    }
}

async fn one_way(mut from: ReadHalf<'_>, mut to: WriteHalf<'_>, meter: &Meter<'_>) -> io::Result<()> {
    // Reserved here, used by the kernel's leave only when bytes come.
    let mut piece = vec![0; meter.piece_bytes()];
    loop {
        let count = from.read(&mut piece).await?;
        let Some(mut rest) = piece.get(..count).filter(|read| !read.is_empty()) else {
            return to.shutdown().await;
        };
        meter.pass(count).await;
        while !rest.is_empty() {
            let written = to.write(rest).await?;
            if written == 0 {
                return Err(io::ErrorKind::WriteZero.into());
            }
            meter.count(written);
            rest = rest.get(written..).unwrap_or_default();
        }
    }
}
