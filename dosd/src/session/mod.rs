//! A peer's connection to the directory: one task, from the sign-in to its end.
//!
//! The task reads requests, has the [`Directory`] perform them, sends answers, and pushes the peer's inbox in order. It
//! holds little while it is idle. Everything it waits for has a bound; when one is exceeded the connection ends and
//! nothing is lost, because what is owed stays in the inbox.

mod clock;
mod end;
mod entrance;
mod pings;
mod replay;
mod requests;
mod updates;

use std::{sync::Arc, time::Duration};

use dos_protocol::{
    PeerId, Seq, WireError,
    directory::{Answer, FromDirectory, NoticeKind},
    duration::format_duration,
    frame::{self, Reader},
    limits::{REQUESTS_IN_FLIGHT_MAX, WRITE_STALL_MAX},
    tls::Stream,
};
use futures_util::{FutureExt, StreamExt, future::BoxFuture, stream::FuturesUnordered};
use tokio::{
    io::AsyncWriteExt,
    net::TcpStream,
    task::JoinHandle,
    time::{Instant, sleep_until, timeout},
};

use self::{clock::Clock, clock::Due, pings::Pings, replay::Replay};
pub(crate) use self::{
    end::End,
    entrance::{First, first_request, sign_in},
};
use crate::{
    directory::{Arrived, Directory},
    live::{Follower, Handle, Push, Receiver, notice},
};

/// A peer's connection. Boxed, since it is handed on from one part of its task to the next, and each would keep room for it.
type Connection = Reader<Box<Stream<TcpStream>>>;

type Done = (u32, Result<Answer, WireError>);
type Rows = Result<Vec<(Seq, Vec<u8>)>, WireError>;

/// The running session.
struct Running<'a> {
    directory: &'a Arc<Directory>,
    session: Handle,
    pushes: Receiver<Push>,
    reader: Connection,
    in_flight: FuturesUnordered<BoxFuture<'static, Done>>,
    /// Rows being read from the store, while the session is behind.
    catching_up: Option<BoxFuture<'static, Rows>>,
    replay: Replay,
    /// The last deletion of rows that the peer has stored, until it is known to be done.
    forgetting: Option<JoinHandle<()>>,
    clock: Clock,
    ping: u32,
    pings: Pings,
    /// Boxed, because most peers follow no one.
    follower: Option<Box<Follower>>,
    /// The request with which the peer leaves for good: its answer ends the session.
    leaving: Option<u32>,
    /// Frames that wait to be written together.
    out: Vec<u8>,
}

/// Answers of this size together are written at once instead of waiting for more.
const WRITE_AT_BYTES: usize = 32 << 10;

/// A connection whose peer has signed in.
pub(crate) struct SignedIn {
    arrived: Arrived,
    reader: Connection,
}

impl SignedIn {
    /// Which peer.
    pub(crate) fn peer(&self) -> PeerId {
        self.arrived.session.peer()
    }
}

/// Serves a peer's connection until it ends.
pub(crate) async fn serve(directory: &Arc<Directory>, signed_in: Box<SignedIn>) -> End {
    let mut running = Running::new(directory, signed_in);
    let end = running.run().await;
    // Boxed, like everything that is rare: a session has room for the largest of its parts for as long as it lasts.
    Box::pin(running.leave(&end)).await;
    end
}

async fn write_out(reader: &mut Connection, out: &mut Vec<u8>) -> Result<(), End> {
    let stream = reader.get_mut();
    let writing = async {
        stream.write_all(out).await?;
        stream.flush().await
    };
    let result = timeout(WRITE_STALL_MAX, writing).await;
    // The buffer is let go, so that an idle session holds none.
    *out = Vec::new();
    match result {
        Err(_) => Err(End::Stalled),
        Ok(Err(error)) => Err(End::Broken(error.into())),
        Ok(Ok(())) => Ok(()),
    }
}

/// Closes TLS properly; a peer that does not take that has gone anyway.
async fn hang_up(reader: &mut Connection) {
    drop(timeout(Duration::from_secs(1), reader.get_mut().shutdown()).await);
}

/// The rows that are being read; never, while none are.
async fn read_rows(catching_up: &mut Option<BoxFuture<'static, Rows>>) -> Rows {
    match catching_up {
        Some(reading) => reading.await,
        None => futures_util::future::pending().await,
    }
}

/// Until a peer that this one follows may have come online or gone offline; never, while it follows no one.
async fn news(follower: &mut Option<Box<Follower>>) {
    match follower {
        // Boxed, because most peers follow no one.
        Some(follower) => Box::pin(follower.news()).await,
        None => futures_util::future::pending().await,
    }
}

impl<'a> Running<'a> {
    /// Not asynchronous, so that no task keeps room for what was in the box.
    #[expect(clippy::boxed_local, reason = "the box is let go here, and not with the session")]
    fn new(directory: &'a Arc<Directory>, signed_in: Box<SignedIn>) -> Self {
        let SignedIn { arrived: Arrived { session, pushes, stored, latest }, reader } = *signed_in;
        let peer = session.peer();
        let mut clock = Clock::new(Instant::now(), clock::pause_of(peer.number()));
        clock.allow_idle(directory.settings().idle_timeout);
        Self {
            directory,
            session,
            pushes,
            reader,
            in_flight: FuturesUnordered::new(),
            catching_up: None,
            replay: Replay::after(stored, latest),
            forgetting: None,
            clock,
            ping: 0,
            pings: Pings::default(),
            follower: None,
            leaving: None,
            out: Vec::new(),
        }
    }
}

impl Running<'_> {
    async fn run(&mut self) -> End {
        loop {
            if let Err(end) = self.step().await {
                return end;
            }
            if let Err(end) = self.flush().await {
                return end;
            }
        }
    }

    /// Waits for one thing to happen and handles it.
    async fn step(&mut self) -> Result<(), End> {
        self.catch_up();
        let wake = match self.clock.due(Instant::now()) {
            Due::Nothing(until) => until,
            Due::Ping => return self.send_ping(),
            Due::Drop => return Err(End::Silent),
            Due::SendAway => return self.send_away().await,
        };
        match self.wait(wake).await? {
            Some(push) => self.pushed(push).await,
            None => Ok(()),
        }
    }

    /// Waits until then for one thing to happen, and handles it unless it is a push. Apart from that, so that an idle session keeps no room for what
    /// that takes.
    async fn wait(&mut self, until: Instant) -> Result<Option<Push>, End> {
        let takes_requests = self.in_flight.len() < REQUESTS_IN_FLIGHT_MAX;
        // What the peer is owed comes before what it sends: one that sends without a pause is still sent its updates.
        tokio::select! {
            biased;
            push = self.pushes.recv() => return Ok(Some(push)),
            Some(done) = self.in_flight.next(), if !self.in_flight.is_empty() => self.answer(done)?,
            rows = read_rows(&mut self.catching_up) => self.caught_up(rows)?,
            () = news(&mut self.follower) => self.send_presence()?,
            read = self.reader.next(), if takes_requests => self.read(read)?,
            () = sleep_until(until) => {}
        }
        Ok(None)
    }

    /// Takes along what else is ready, then writes everything at once.
    async fn flush(&mut self) -> Result<(), End> {
        while self.out.len() < WRITE_AT_BYTES {
            if let Some(push) = self.pushes.try_recv() {
                self.pushed(push).await?;
            } else if let Some(Some(done)) = self.in_flight.next().now_or_never() {
                self.answer(done)?;
            } else {
                break;
            }
        }
        if self.out.is_empty() { Ok(()) } else { write_out(&mut self.reader, &mut self.out).await }
    }

    fn send(&mut self, message: &FromDirectory) -> Result<(), End> {
        frame::encode(message, &mut self.out).map_err(End::Broken)
    }

    fn send_ping(&mut self) -> Result<(), End> {
        self.ping = self.ping.wrapping_add(1);
        self.clock.pinged(Instant::now());
        self.clock.allow_idle(self.directory.settings().idle_timeout);
        // What is done keeps no memory for the rest of the session.
        self.forgetting.take_if(|forgetting| forgetting.is_finished());
        self.forget_stored(true);
        self.send(&FromDirectory::Ping(self.ping))
    }

    /// Has the store delete the rows that the peer has stored, if that is worth a transaction by now.
    fn forget_stored(&mut self, has_time: bool) {
        if let Some(stored) = self.replay.forget(has_time) {
            self.forgetting = Some(self.directory.forget(self.session.peer(), stored));
        }
    }

    /// Notifies the peer that it was idle for too long, and ends.
    async fn send_away(&mut self) -> Result<(), End> {
        let idle = self
            .directory
            .settings()
            .idle_timeout
            .map_or_else(String::new, |idle_max| format!(" for {}", format_duration(idle_max)));
        let notice = notice(NoticeKind::Idle, &format!("signed out: nothing was asked{idle}"));
        Box::pin(self.close(notice)).await
    }

    /// Makes the peer offline, then lets the connection go.
    async fn leave(&mut self, end: &End) {
        // Before the peer is offline, so that its next session begins where this one has ended. One that has replaced this one has
        // begun already, and may be another machine's, which does not have what this one has acknowledged.
        if !end.is_replaced() {
            self.forget_stored(true);
            // The last deletion is of all rows that any before is of.
            if let Some(forgetting) = self.forgetting.take() {
                drop(forgetting.await);
            }
        }
        self.directory.left(&self.session, end.for_store()).await;
        // Among this is the answer to a sign-out: once the peer has it, it is offline for everyone.
        if !self.out.is_empty() && write_out(&mut self.reader, &mut self.out).await.is_err() {
            return;
        }
        hang_up(&mut self.reader).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What a task keeps for it, in bytes.
    fn room<'a, F: Future>(_: fn(&'a Arc<Directory>, Box<SignedIn>) -> F) -> usize {
        size_of::<F>()
    }

    #[test]
    fn an_idle_session_keeps_room_for_little() {
        let room = room(serve);
        assert!(room <= 896, "{room} bytes");
    }
}
