//! A peer's connection to the directory: one task, from the sign-in to its end.
//!
//! The task reads requests, has them done by the [`Directory`], sends answers, and pushes the peer's inbox in order. It
//! holds little while it is idle. Everything it waits for has a bound; when one is exceeded the connection ends and
//! nothing is lost, because what is owed stays in the inbox.

mod clock;
mod end;
mod pings;
mod replay;

use std::{net::IpAddr, sync::Arc, time::Duration};

use dos_daemon::rate::RateLimiter;
use dos_protocol::{
    Code, PublicKey, Seq, WireError,
    directory::{Answer, FromDirectory, Notice, NoticeKind, Op, Subscription, ToDirectory, read_request},
    duration::format_duration,
    frame::{self, FrameError, Reader},
    limits::{REQUESTS_IN_FLIGHT_MAX, SIGN_IN_TIME_MAX, WRITE_STALL_MAX},
    tls::Stream,
};
use futures_util::{FutureExt, StreamExt, future::BoxFuture, stream::FuturesUnordered};
use tokio::{
    io::AsyncWriteExt,
    net::TcpStream,
    sync::mpsc,
    time::{Instant, sleep_until, timeout},
};

pub(crate) use self::end::End;
use self::{clock::Clock, clock::Due, pings::Pings, replay::Replay};
use crate::{
    directory::Directory,
    hub::{Push, Session, notice},
    limits::reached,
    metrics::Entrance,
    presence::Follower,
};

type Done = (u32, Result<Answer, WireError>);
type Rows = Result<Vec<(Seq, Vec<u8>)>, WireError>;

/// The running session.
struct Running<'a> {
    directory: &'a Arc<Directory>,
    session: Arc<Session>,
    pushes: mpsc::Receiver<Push>,
    reader: Reader<Stream<TcpStream>>,
    under_way: FuturesUnordered<BoxFuture<'static, Done>>,
    /// Rows being read from the store, while the session is behind.
    catching_up: Option<BoxFuture<'static, Rows>>,
    replay: Replay,
    clock: Clock,
    ping: u32,
    pings: Pings,
    requests: RateLimiter,
    /// Whose presence the peer wants to hear of, if anybody's.
    follower: Option<Box<Follower>>,
    /// Frames that wait to be written together.
    out: Vec<u8>,
}

/// Answers of this size together are written at once instead of waiting for more.
const WRITE_AT_BYTES: usize = 32 << 10;

/// Serves one authenticated connection until it ends.
pub(crate) async fn serve(
    directory: &Arc<Directory>,
    key: PublicKey,
    seen: IpAddr,
    stream: Stream<TcpStream>,
) -> (Option<Arc<Session>>, End) {
    let mut reader = Reader::new(stream);
    let signing_in = Box::pin(sign_in(directory, key, seen, &mut reader));
    let (session, pushes, stored) = match signing_in.await {
        Ok(signed_in) => signed_in,
        Err(end) => return (None, end),
    };
    tracing::info!(peer = %session.peer, address = %seen, "signed in");
    let mut running = Running {
        directory,
        session: Arc::clone(&session),
        pushes,
        reader,
        under_way: FuturesUnordered::new(),
        catching_up: None,
        replay: Replay::after(stored),
        clock: Clock::new(Instant::now(), clock::pause_of(session.peer.number())),
        ping: 0,
        pings: Pings::default(),
        requests: RateLimiter::default(),
        follower: None,
        out: Vec::new(),
    };
    running.clock.allow_idle(directory.settings().idle_timeout);
    let end = running.run().await;
    running.leave(&end).await;
    (Some(session), end)
}

/// Waits for the first request, which must be a sign-in.
async fn sign_in(
    directory: &Arc<Directory>,
    key: PublicKey,
    seen: IpAddr,
    reader: &mut Reader<Stream<TcpStream>>,
) -> Result<(Arc<Session>, mpsc::Receiver<Push>, Seq), End> {
    let first = match timeout(SIGN_IN_TIME_MAX, reader.next()).await {
        Err(_) => return Err(End::Silent),
        Ok(Err(error)) => return Err(End::Broken(error)),
        Ok(Ok(None)) => return Err(End::Closed),
        Ok(Ok(Some(body))) => read_request(&body),
    };
    let entrance = match &first {
        Ok(ToDirectory::Request { op, .. }) => Entrance::of(op),
        _ => Entrance::None,
    };
    let (id, result) = match first {
        Err((id, error)) => (id, Err(error)),
        Ok(ToDirectory::Request { id, op: Op::SignIn(sign_in), .. }) => {
            (Some(id), directory.sign_in(key, seen, sign_in).await)
        }
        Ok(ToDirectory::Request { id, op: Op::Register(register), .. }) => {
            (Some(id), directory.register(key, seen, register).await)
        }
        Ok(ToDirectory::Request { id, op: Op::Recover(recover), .. }) => {
            (Some(id), directory.recover(key, seen, *recover).await)
        }
        Ok(ToDirectory::Request { id, .. }) => (Some(id), Err(WireError::new(Code::Denied, "sign in first"))),
        Ok(_) => (None, Err(WireError::new(Code::Denied, "sign in first"))),
    };
    let mut out = Vec::new();
    directory.metrics.signed_in(entrance, result.as_ref().err());
    match result {
        Ok((arrived, answer)) => {
            let answer = FromDirectory::Answer { id: id.unwrap_or(0), answer: Answer::SignedIn(answer) };
            frame::encode(&answer, &mut out).map_err(End::Broken)?;
            if let Err(end) = write_out(reader, &mut out).await {
                directory.left(&arrived.session, end.in_a_word()).await;
                return Err(end);
            }
            Ok((arrived.session, arrived.pushes, arrived.stored))
        }
        Err(error) => {
            frame::encode(&FromDirectory::Refused { id, error: error.clone() }, &mut out)
                .map_err(End::Broken)?;
            write_out(reader, &mut out).await?;
            hang_up(reader).await;
            Err(End::Refused(error))
        }
    }
}

async fn write_out(reader: &mut Reader<Stream<TcpStream>>, out: &mut Vec<u8>) -> Result<(), End> {
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

/// Says goodbye in TLS; a peer that does not take it has gone anyway.
async fn hang_up(reader: &mut Reader<Stream<TcpStream>>) {
    drop(timeout(Duration::from_secs(1), reader.get_mut().shutdown()).await);
}

/// The rows that are being read; never, while none are.
async fn read_rows(catching_up: &mut Option<BoxFuture<'static, Rows>>) -> Rows {
    match catching_up {
        Some(reading) => reading.await,
        None => futures_util::future::pending().await,
    }
}

/// Until somebody whom the peer follows may have come or gone; never, while it follows nobody.
async fn news(follower: &mut Option<Box<Follower>>) {
    match follower {
        Some(follower) => follower.news().await,
        None => futures_util::future::pending().await,
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
        let takes_requests = self.under_way.len() < REQUESTS_IN_FLIGHT_MAX;
        let wake = match self.clock.due(Instant::now()) {
            Due::Nothing(until) => until,
            Due::Ping => return self.send_ping(),
            Due::Drop => return Err(End::Silent),
            Due::SendAway => return self.send_away().await,
        };
        tokio::select! {
            biased;
            Some(push) = self.pushes.recv() => self.pushed(push).await,
            Some(done) = self.under_way.next(), if !self.under_way.is_empty() => self.answer(done),
            rows = read_rows(&mut self.catching_up) => self.caught_up(rows),
            () = news(&mut self.follower) => self.tell_presence(),
            read = self.reader.next(), if takes_requests => self.read(read),
            () = sleep_until(wake) => Ok(()),
        }
    }

    /// Takes along whatever else is ready, then writes everything at once.
    async fn flush(&mut self) -> Result<(), End> {
        while self.out.len() < WRITE_AT_BYTES {
            if let Ok(push) = self.pushes.try_recv() {
                self.pushed(push).await?;
            } else if let Some(Some(done)) = self.under_way.next().now_or_never() {
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
        if let Some(stored) = self.replay.forget(true) {
            self.directory.forget(self.session.peer, stored);
        }
        self.send(&FromDirectory::Ping(self.ping))
    }

    /// Tells the peer that it was idle for too long, and ends.
    async fn send_away(&mut self) -> Result<(), End> {
        let idle = self
            .directory
            .settings()
            .idle_timeout
            .map_or_else(String::new, |idle_max| format!(" for {}", format_duration(idle_max)));
        self.close(notice(NoticeKind::Idle, &format!("signed out: nothing was asked{idle}"))).await
    }

    /// From now on the peer hears of these, in place of those before.
    fn subscribe(&mut self, id: u32, subscription: Subscription) -> Result<(), End> {
        let begun = Instant::now();
        let followed = self.directory.hub.board.follow(self.session.peer, subscription);
        self.directory.metrics.performed("subscribe", begun.elapsed());
        let followed = followed.map(|follower| self.follower = follower.map(Box::new));
        self.answer((id, followed.map(|()| Answer::Done)))
    }

    fn tell_presence(&mut self) -> Result<(), End> {
        let hidden = self.directory.hub.hidden_from(self.session.peer);
        let changes = self.follower.as_mut().and_then(|follower| follower.take(|peer| hidden.contains(peer)));
        changes.map_or(Ok(()), |changes| self.send(&FromDirectory::Presence(changes)))
    }

    async fn pushed(&mut self, push: Push) -> Result<(), End> {
        match push {
            Push::Update(owed) => {
                // A row that is not the next one is read from the store in its turn.
                if self.catching_up.is_none() && self.replay.takes(owed.seq) {
                    self.out.extend_from_slice(&owed.frame);
                }
                Ok(())
            }
            Push::Broadcast(frame) => {
                self.out.extend_from_slice(&frame);
                Ok(())
            }
            Push::Say(notice) => self.send(&FromDirectory::Notice(notice)),
            Push::Call(call) => self.send(&FromDirectory::Call(call)),
            Push::Ping(answer) => {
                let number = self.ping.wrapping_add(1);
                if !self.pings.add(number, Instant::now(), answer) {
                    return Ok(());
                }
                self.send_ping()
            }
            Push::Close(notice) => self.close(notice).await,
        }
    }

    /// Finishes what was accepted, tells the peer why, and ends.
    async fn close(&mut self, notice: Notice) -> Result<(), End> {
        // Acknowledgements are not read any more. Without this, two sessions that end together would wait for each other's.
        self.session.note_ending();
        while let Some(done) = self.under_way.next().await {
            self.answer(done)?;
        }
        self.send(&FromDirectory::Notice(notice.clone()))?;
        // A peer that does not take it ends for the same reason.
        if write_out(&mut self.reader, &mut self.out).await.is_ok() {
            hang_up(&mut self.reader).await;
        }
        Err(End::Told(notice))
    }

    fn answer(&mut self, (id, result): Done) -> Result<(), End> {
        let message = match result {
            Ok(answer) => FromDirectory::Answer { id, answer },
            Err(error) => {
                self.directory.metrics.refused(&error);
                FromDirectory::Refused { id: Some(id), error }
            }
        };
        match self.send(&message) {
            Err(End::Broken(FrameError::TooLarge(bytes))) => {
                tracing::error!(peer = %self.session.peer, bytes, "an answer does not fit a frame");
                let error = WireError::new(Code::Internal, "the answer is too large");
                self.send(&FromDirectory::Refused { id: Some(id), error })
            }
            sent => sent,
        }
    }

    fn read(&mut self, read: Result<Option<Vec<u8>>, FrameError>) -> Result<(), End> {
        let body = match read {
            Ok(Some(body)) => body,
            Ok(None) => return Err(End::Closed),
            Err(error) => return Err(End::Broken(error)),
        };
        self.clock.heard(Instant::now());
        let message = read_request(&body);
        if let Ok(ToDirectory::Request { id, op, .. }) = &message
            && *op != Op::SignOut
            && let Err(error) = self.keep_pace()
        {
            self.directory.metrics.refused(&error);
            return self.send(&FromDirectory::Refused { id: Some(*id), error });
        }
        match message {
            Err((id, error)) => {
                tracing::debug!(peer = %self.session.peer, %error, "refused a message");
                self.directory.metrics.refused(&error);
                self.send(&FromDirectory::Refused { id, error })
            }
            Ok(ToDirectory::Pong(number)) => {
                self.pings.answered(number, Instant::now());
                Ok(())
            }
            Ok(ToDirectory::Ack(seq)) => {
                if !self.replay.acknowledge(seq) {
                    return Err(End::Protocol("acknowledged an update that was never sent"));
                }
                self.session.note_stored(seq);
                if let Some(stored) = self.replay.forget(false) {
                    self.directory.forget(self.session.peer, stored);
                }
                Ok(())
            }
            Ok(ToDirectory::Request { id, op: Op::SignOut, .. }) => {
                self.send(&FromDirectory::Answer { id, answer: Answer::Done })?;
                Err(End::SignedOut)
            }
            Ok(ToDirectory::Request { id, op: Op::Subscribe(subscription), .. }) => {
                self.clock.asked(Instant::now());
                self.subscribe(id, subscription)
            }
            Ok(ToDirectory::Request { id, op, .. }) => {
                self.clock.asked(Instant::now());
                let (directory, session) = (Arc::clone(self.directory), Arc::clone(&self.session));
                self.under_way.push(Box::pin(async move { (id, directory.perform(&session, op).await) }));
                Ok(())
            }
        }
    }

    /// Counts a request; refuses one that comes too early.
    fn keep_pace(&mut self) -> Result<(), WireError> {
        let rate = self.directory.settings().limits.requests();
        self.requests
            .take(1, rate, std::time::Instant::now())
            .map_err(|wait| reached("requests_per_second", "too many requests").retry_after(wait))
    }

    /// Begins to read from the store what the peer has not been sent, if anything.
    fn catch_up(&mut self) {
        if self.catching_up.is_some() || !self.pushes.is_empty() {
            return;
        }
        let Some(after) = self.replay.wants(self.session.latest()) else { return };
        let (directory, peer) = (Arc::clone(self.directory), self.session.peer);
        self.catching_up = Some(Box::pin(async move { directory.replay(peer, after).await }));
    }

    fn caught_up(&mut self, rows: Rows) -> Result<(), End> {
        self.catching_up = None;
        let rows = rows.map_err(End::Refused)?;
        if !self.replay.goes_on_with(rows.first().map(|(seq, _)| *seq)) {
            // The next sign-in learns from where it goes on.
            return Err(End::Forgotten);
        }
        for (seq, frame) in rows {
            if self.replay.takes(seq) {
                self.out.extend_from_slice(&frame);
            }
        }
        Ok(())
    }

    /// Makes the peer offline, then lets the connection go.
    async fn leave(&mut self, end: &End) {
        if let Some(stored) = self.replay.forget(true) {
            self.directory.forget_last(self.session.peer, stored).await;
        }
        self.directory.left(&self.session, end.in_a_word()).await;
        // The answer to a sign-out is written after the directory has taken note of it.
        if !self.out.is_empty() && write_out(&mut self.reader, &mut self.out).await.is_err() {
            return;
        }
        hang_up(&mut self.reader).await;
    }
}
