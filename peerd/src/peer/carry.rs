//! A transfer and the way that it goes: one on which nothing comes is left for another, and the relay for a direct way as soon as there is one.
//!
//! A way is left only for one on which the peer has proved its key, has answered what was asked, and has brought the first bytes of what is to come. So
//! an owner that is slow, or stopped, keeps its way, since nothing comes on any other either; and a path that lets the small packets of a handshake
//! through and loses the large ones behind them wins nothing.
//!
//! What always holds: bytes that have come are not fetched again, but for those under way; what is looked for is bounded in number and time. What a
//! view costs is decided when the whole copy is here, whichever ways it came.

use std::{net::IpAddr, pin::pin, sync::Arc};

use dos_protocol::{
    PeerId,
    directory::Contact,
    frame::Reader,
    limits::{
        DIRECT_AGAIN_AFTER, DIRECT_AGAIN_BYTES_MIN, DIRECT_AGAIN_TIME, DIRECT_PREFERRED_TIME, RELAY_HANDICAP,
        WAY_INSTEAD_TIME_MAX, WAY_STALL_TIME,
    },
    model::Grant,
    tls::{Alpn, ClientTls},
};
use tokio::{
    io::AsyncReadExt,
    sync::watch,
    time::{Duration, Instant, sleep, sleep_until, timeout},
};

use super::{
    Peers,
    bad::Why,
    dial::{self, Connection, Route, relayed, unrelayed},
    fetch::{Asked, Broken, Stage, ask, fetch_of, lost, request_of},
    lines::{Line, Open, To, keep_swept},
    race::{Handicap, Won, beside},
    receive::{Arrived, Bound, Course, Received, receive},
};
use crate::{addresses::interfaces, identity::Identity};

/// The first bytes by which a way proves itself: one record of TLS (RFC 8446, section 5.1), which comes in packets of full size.
const PROOF_BYTES: usize = 16 << 10;

/// The most bytes between where a relayed transfer is when a direct way is asked and where that is to go on.
const BETWEEN_BYTES_MAX: u64 = 32 << 20;

/// If the owner did not tell how far it is.
const ROUND_TRIP: Duration = Duration::from_millis(200);

/// After the session was renewed: the directory knows then where both are.
const RENEWED: Duration = Duration::from_millis(200);

/// How long a way that is left may take to come to where the next one begins.
const LEAVE_TIME_MAX: Duration = Duration::from_secs(2);

/// An owner that has answered, and the connection to it.
pub(super) struct Called {
    pub(super) line: Line,
    pub(super) stream: Reader<Connection>,
    pub(super) route: Route,
    pub(super) to: To,
    pub(super) asked: Asked,
    /// What was asked for begins with this byte.
    pub(super) start: u64,
    /// What has come of it.
    pub(super) ahead: Vec<u8>,
}

/// What came of a transfer on its way.
pub(super) enum Carried {
    /// All of it.
    Whole(Box<Arrived>),
    /// The rest comes on another way.
    Elsewhere(Box<Called>),
}

/// A transfer that may look for another way.
#[derive(Clone, Copy)]
pub(super) struct Search<'a> {
    pub(super) peers: &'a Arc<Peers>,
    pub(super) identity: &'a Identity,
    pub(super) grant: &'a Grant,
    pub(super) stage: &'a watch::Sender<Stage>,
    /// Where it begins.
    pub(super) start: u64,
    /// The way that it goes.
    pub(super) route: Route,
    /// This host's end of it.
    pub(super) here: Option<IpAddr>,
}

/// This host's end of a connection.
pub(super) fn here(stream: &mut Reader<Connection>) -> Option<IpAddr> {
    let (socket, _) = stream.get_mut().get_ref();
    socket.get_ref().tcp().local_addr().ok().map(|here| here.ip().to_canonical())
}

/// Takes what follows, on this way or on a better one.
pub(super) async fn carry(search: Search<'_>, called: &mut Called) -> Result<Carried, Broken> {
    let Called { line, stream, asked, start, ahead, to, .. } = called;
    let (stalls, stalled) = watch::channel(false);
    let (bounds, bound) = watch::channel(Bound::End);
    let (round_trip, to) = (asked.round_trip.unwrap_or(ROUND_TRIP), *to);
    let list = asked.list.take().ok_or_else(|| lost("its list of blocks was used"))?;
    let (line, ahead) = (Some(line), std::mem::take(ahead));
    let course = Course { start: *start, stage: search.stage, line, ahead, stalls, bound };
    let mut receiving = pin!(receive(search.peers, stream, list, course));
    let better = async {
        match search.route {
            Route::Relayed => Box::pin(search.better(to, round_trip, &bounds)).await,
            _ => std::future::pending().await,
        }
    };
    let found = tokio::select! {
        biased;
        received = &mut receiving => return whole(received?),
        found = Box::pin(search.instead(stalled)) => found?,
        found = Box::pin(better) => found,
    };
    tracing::debug!(peer = %to.peer, from = ?search.route, to = ?found.route, at = found.start, "a transfer takes another way");
    bounds.send_replace(Bound::Leave(found.start));
    match timeout(LEAVE_TIME_MAX, receiving).await {
        // It has come to its end after all.
        Ok(Ok(Received::Whole(arrived))) => Ok(Carried::Whole(arrived)),
        Ok(Err(Broken::Final(error))) => Err(Broken::Final(error)),
        Ok(Ok(Received::Left) | Err(_)) | Err(_) => Ok(Carried::Elsewhere(found)),
    }
}

fn whole(received: Received) -> Result<Carried, Broken> {
    match received {
        Received::Whole(arrived) => Ok(Carried::Whole(arrived)),
        Received::Left => Err(lost("it was left")),
    }
}

/// Does something on a way; if that takes long, others are asked beside it.
///
/// # Errors
/// [`Broken::Moved`] with the way that has led on.
pub(super) async fn unless_stalled<T>(
    search: Search<'_>,
    work: impl Future<Output = Result<T, Broken>>,
) -> Result<T, Broken> {
    let (_stalls, stalled) = watch::channel(true);
    let instead = async {
        sleep(WAY_STALL_TIME).await;
        search.instead(stalled).await
    };
    tokio::select! {
        biased;
        done = work => done,
        found = Box::pin(instead) => Err(Broken::Moved(found?)),
    }
}

impl Search<'_> {
    fn peer(&self) -> PeerId {
        self.grant.path.owner
    }

    /// Whether this host has left the address that the transfer comes to.
    fn has_moved(&self) -> bool {
        self.here.is_some_and(|here| !interfaces().contains(&here))
    }

    /// Where the file is. Until the transfer has begun, nobody knows of what earlier ones have brought.
    fn at(&self) -> u64 {
        if let Stage::Under(bytes) = &*self.stage.borrow() { self.start.max(*bytes) } else { self.start }
    }

    /// What is still to come from this byte on.
    fn left(&self, at: u64) -> u64 {
        self.grant.sealed.bytes.saturating_sub(at)
    }

    /// Another way, whenever nothing comes on this one.
    ///
    /// # Errors
    /// The owner's word that it has no room for another connection beside this one, which has to make room.
    async fn instead(&self, mut stalled: watch::Receiver<bool>) -> Result<Box<Called>, Broken> {
        let mut status = self.peers.upstream.status();
        loop {
            self.stalled(&mut stalled, &mut status).await;
            let has_moved = self.has_moved();
            let found = tokio::select! {
                biased;
                () = goes_on(&mut stalled), if !has_moved => continue,
                found = timeout(WAY_INSTEAD_TIME_MAX, Box::pin(self.other())) => found,
            };
            let has_led = match found {
                Ok(Ok(called)) => Ok(Box::new(called)),
                Ok(Err(Broken::Later(error, wait))) => Err(Broken::Later(error, wait)),
                Ok(Err(_)) | Err(_) => {
                    // The peer itself may be silent.
                    tokio::select! {
                        () = goes_on(&mut stalled), if !has_moved => {}
                        () = sleep(WAY_STALL_TIME) => {}
                    }
                    continue;
                }
            };
            if !has_moved {
                self.peers.bad.put(self.peer(), (self.route.path(), Why::Stalled), interfaces);
            }
            return has_led;
        }
    }

    /// Waits until nothing comes, or nothing can come any more.
    async fn stalled(
        &self,
        stalled: &mut watch::Receiver<bool>,
        status: &mut watch::Receiver<crate::upstream::Status>,
    ) {
        loop {
            if *stalled.borrow_and_update()
                || self.has_moved() && status.borrow_and_update().online().is_some()
            {
                return;
            }
            tokio::select! {
                changed = stalled.changed() => if changed.is_err() { std::future::pending::<()>().await },
                changed = status.changed() => if changed.is_err() { std::future::pending::<()>().await },
            }
        }
    }

    /// Asks on every other way, and takes the first that brings something; a direct one rather than the relay.
    async fn other(&self) -> Result<Called, Broken> {
        let path = Some(self.route.path()).filter(|_| !self.has_moved());
        let (contact, tls) = self.contact().await?;
        let avoided = self.peers.bad.of(contact.id, interfaces).and(path);
        let course = dial::Course { avoided: avoided.clone(), is_again: true, last: None };
        let (start, to) = (self.at(), To { peer: contact.id, key: contact.key });
        let better = async {
            let found = unrelayed(Arc::clone(self.peers), tls.clone(), contact.clone(), course).await;
            let (stream, route) = found.map_err(|causes| lost(causes.unwrap_or_default()))?;
            self.proved(Open { stream, route }, to, start).await
        };
        let other = async {
            let stream = relayed(self.peers, &tls, &contact, &avoided).await.map_err(lost)?;
            self.proved(Open { stream, route: Route::Relayed }, to, start).await
        };
        let handicap = Handicap { begins: RELAY_HANDICAP, waits: DIRECT_PREFERRED_TIME };
        match beside(Box::pin(better), Box::pin(other), handicap).await {
            Ok(Won::Better(called) | Won::Other(called)) => Ok(called),
            Err((later @ Broken::Later(..), _) | (_, later)) => Err(later),
        }
    }

    /// Where the peer is now.
    async fn contact(&self) -> Result<(Contact, ClientTls), Broken> {
        let contact = self.peers.trust.contact(self.peer()).await?;
        let tls = ClientTls::new(&self.identity.secret, contact.key, Alpn::Peer).map_err(lost)?;
        Ok((contact, tls))
    }

    /// Asks on a connection for everything from `start` on, and waits for the first bytes.
    async fn proved(&self, open: Open, to: To, start: u64) -> Result<Called, Broken> {
        let Open { stream, route } = open;
        let left = self.left(start);
        let (line, mut stream) = (self.peers.lines.begin(to, left), Reader::new(stream));
        let asked = ask(&mut stream, self.grant, &request_of(&fetch_of(self.grant, start))?).await?;
        let mut ahead = vec![0; usize::try_from(left).map_or(PROOF_BYTES, |left| left.min(PROOF_BYTES))];
        if !ahead.is_empty() {
            let length = stream.get_mut().read(&mut ahead).await.map_err(lost)?;
            if length == 0 {
                return Err(lost("it closed the connection"));
            }
            ahead.truncate(length);
        }
        Ok(Called { line, stream, route, to, asked, start, ahead })
    }

    /// A direct way to go on on, while the relay carries what comes before.
    async fn better(&self, to: To, round_trip: Duration, bounds: &watch::Sender<Bound>) -> Box<Called> {
        let (begun, first) = (Instant::now(), self.at());
        let mut arrivals = self.peers.lines.arrivals();
        let mut status = self.peers.upstream.status();
        let mut known = status.borrow_and_update().online();
        let mut pauses = DIRECT_AGAIN_AFTER.into_iter().chain(std::iter::repeat(DIRECT_AGAIN_TIME));
        let mut next = begun + pauses.next().unwrap_or(DIRECT_AGAIN_TIME);
        loop {
            let open = match self.peers.lines.take_direct(to) {
                Some(open) => Some(open),
                None => tokio::select! {
                    _ = arrivals.changed() => continue,
                    changed = status.changed() => {
                        let now = status.borrow_and_update().online();
                        if changed.is_ok() && now.is_some() && now != known {
                            (known, next) = (now, next.min(Instant::now() + RENEWED));
                        }
                        continue;
                    }
                    () = sleep_until(next) => {
                        next = Instant::now() + pauses.next().unwrap_or(DIRECT_AGAIN_TIME);
                        self.direct(to).await
                    }
                },
            };
            let Some(open) = open else { continue };
            let rate = (self.at().saturating_sub(first), begun.elapsed());
            let at = goes_on_at(self.at(), rate, round_trip);
            if self.left(at) < DIRECT_AGAIN_BYTES_MIN {
                // It is for the next transfer.
                self.peers.lines.keep(to, open);
                keep_swept(self.peers);
                return std::future::pending().await;
            }
            if let Some(called) = self.moved(open, to, at, bounds).await {
                return called;
            }
        }
    }

    /// A direct connection, if one can be had now.
    async fn direct(&self, to: To) -> Option<Open> {
        let (contact, tls) = self.contact().await.ok().filter(|(contact, _)| contact.key == to.key)?;
        let avoided = self.peers.bad.of(contact.id, interfaces);
        let course = dial::Course { avoided, is_again: true, last: None };
        let found = unrelayed(Arc::clone(self.peers), tls, contact, course).await;
        found.ok().map(|(stream, route)| Open { stream, route })
    }

    /// Asks a direct way for what comes from `at` on; the relay goes no further meanwhile.
    async fn moved(&self, open: Open, to: To, at: u64, bounds: &watch::Sender<Bound>) -> Option<Box<Called>> {
        let route = open.route;
        bounds.send_replace(Bound::Pause(at));
        match timeout(WAY_STALL_TIME, Box::pin(self.proved(open, to, at))).await {
            Ok(Ok(called)) => return Some(Box::new(called)),
            Ok(Err(error)) => tracing::debug!(?error, "a direct way leads no further"),
            Err(_) => self.peers.bad.put(to.peer, (route.path(), Why::Stalled), interfaces),
        }
        bounds.send_replace(Bound::End);
        None
    }
}

/// Returns when something comes again.
async fn goes_on(stalled: &mut watch::Receiver<bool>) {
    if stalled.wait_for(|stalled| !stalled).await.is_err() {
        std::future::pending::<()>().await;
    }
}

/// Where another way is to go on that answers after a round trip, and another half of one for its handshake's last packet: by then this one, which has
/// brought so many bytes in so long, is there.
fn goes_on_at(at: u64, (bytes, time): (u64, Duration), round_trip: Duration) -> u64 {
    let millis = |time: Duration| u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
    let wait = millis(round_trip).saturating_mul(3) / 2;
    at.saturating_add((bytes.saturating_mul(wait) / millis(time).max(1)).min(BETWEEN_BYTES_MAX))
}

/// Something has come on this way, all that was asked for: it is not bad, whatever was thought of it.
pub(super) fn has_led(peers: &Peers, peer: PeerId, route: Route) {
    if peers.bad.works(peer, route.path(), interfaces) {
        tracing::debug!(%peer, ?route, "a way works again");
    }
    if matches!(route, Route::Punched(_)) {
        peers.meetings.punched(peer);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_way_goes_on_where_this_one_is_when_it_answers() {
        let (second, ms) = (Duration::from_secs(1), Duration::from_millis);
        assert_eq!(goes_on_at(7, (1_000_000, second), ms(100)), 7 + 150_000);
        assert_eq!(goes_on_at(7, (0, Duration::ZERO), ms(100)), 7);
        assert_eq!(goes_on_at(7, (u64::MAX, second), second), 7 + BETWEEN_BYTES_MAX);
        assert_eq!(goes_on_at(u64::MAX, (1, second), second), u64::MAX);
    }
}
