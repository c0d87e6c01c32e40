//! Who calls: the contact whose pinned key it is, or the peer that the directory says holds it; and for whom there is room.
//!
//! What always holds: a peer whose pinned key is another one is nobody, whatever the directory says. What was told is
//! remembered, but asked again after a while where the directory is within reach; the memory is bounded. Keys of strangers cost
//! the directory, and this daemon's own allowance there, a bounded part of their requests.

use std::{
    collections::HashMap,
    net::IpAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use dos_daemon::rate::{KeyedRateLimiter, Rate, RateLimiter};
use dos_protocol::{
    Code, PeerId, PeerName, PublicKey, Reason, WireError,
    directory::{Answer, Op},
    limits::{GRANTS_ASKED_PER_SECOND, IDENTIFICATIONS_PER_SECOND, IDENTIFICATIONS_PER_SECOND_PER_ADDRESS},
};

use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::Peers;
use crate::{
    directory::unexpected,
    rules::callers::{Served, has_room, makes_room},
};

/// Keys remembered.
const KNOWN_KEYS_MAX: usize = 4096;

/// The directory is not asked again within this time: a replaced key belongs to no peer any more.
const KNOWN_FOR: Duration = Duration::from_secs(60);

/// The same of a key that belongs to no peer: it may register at any moment.
const UNKNOWN_FOR: Duration = Duration::from_secs(5);

/// What a rate of inquiries gives in this time may be asked for at once.
const INQUIRIES_BURST: Duration = Duration::from_secs(10);

/// Addresses of strangers, and peers, that are counted one by one.
const CALLERS_REMEMBERED_MAX: usize = 1024;

/// Whoever finds no room comes back after this time.
const COME_BACK_AFTER: Duration = Duration::from_secs(10);

/// A peer that calls.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Caller {
    /// Its ID.
    pub(crate) id: PeerId,
    /// Its name.
    pub(crate) name: Option<PeerName>,
    /// Whether its key is pinned.
    pub(crate) is_contact: bool,
}

/// From where a connection comes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct From {
    /// The key that its other side has proved to hold.
    pub(crate) key: PublicKey,
    /// What stands for the host that it comes from; `None` through the relay.
    pub(crate) network: Option<IpAddr>,
}

/// Whose keys are known. When full, it starts anew.
#[derive(Debug, Default)]
pub(crate) struct KnownKeys(Mutex<HashMap<PublicKey, (Option<Caller>, Instant)>>);

impl KnownKeys {
    fn keys(&self) -> MutexGuard<'_, HashMap<PublicKey, (Option<Caller>, Instant)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn get(&self, key: &PublicKey) -> Option<(Option<Caller>, Instant)> {
        self.keys().get(key).cloned()
    }

    /// Remembers whose a key is: nobody's, if there is no caller.
    pub(crate) fn put(&self, key: PublicKey, caller: Option<Caller>) {
        let mut keys = self.keys();
        if keys.len() >= KNOWN_KEYS_MAX && !keys.contains_key(&key) {
            // Keys that are nobody's are made by the thousand: they do not drive out the others.
            keys.retain(|_, (caller, _)| caller.is_some());
            if keys.len() >= KNOWN_KEYS_MAX {
                keys.clear();
            }
        }
        keys.insert(key, (caller, Instant::now()));
    }

    fn forget(&self, key: &PublicKey) {
        self.keys().remove(key);
    }
}

/// How often other peers can make this daemon ask the directory: its own requests share that allowance.
#[derive(Debug)]
pub(crate) struct Inquiries {
    keys: Mutex<RateLimiter>,
    addresses: KeyedRateLimiter<IpAddr>,
    grants: KeyedRateLimiter<PeerId>,
}

impl Default for Inquiries {
    fn default() -> Self {
        Self {
            keys: Mutex::default(),
            addresses: KeyedRateLimiter::new(CALLERS_REMEMBERED_MAX),
            grants: KeyedRateLimiter::new(CALLERS_REMEMBERED_MAX),
        }
    }
}

impl Inquiries {
    /// Counts one about a stranger's key that comes from there, or through the relay.
    fn about_key(&self, network: Option<IpAddr>) -> Result<(), WireError> {
        let now = std::time::Instant::now();
        let of_address = rate(IDENTIFICATIONS_PER_SECOND_PER_ADDRESS);
        let taken = network.map_or(Ok(()), |network| self.addresses.take(network, of_address, now));
        let taken = taken.and_then(|()| {
            let mut keys = self.keys.lock().unwrap_or_else(PoisonError::into_inner);
            keys.take(1, rate(IDENTIFICATIONS_PER_SECOND), now)
        });
        taken.map_err(|wait| busy("too many strangers call").retry_after(wait))
    }

    /// Counts one about a grant that a peer claims and that is not known here.
    ///
    /// # Errors
    /// `denied` if there were too many.
    pub(super) fn about_grant(&self, peer: PeerId) -> Result<(), WireError> {
        let taken = self.grants.take(peer, rate(GRANTS_ASKED_PER_SECOND), std::time::Instant::now());
        taken.map_err(|wait| busy("too many grants are claimed that are not known here").retry_after(wait))
    }
}

fn rate(per_second: u64) -> Rate {
    Rate::per_second(per_second).with_burst(INQUIRIES_BURST)
}

fn busy(text: &str) -> WireError {
    WireError::new(Code::Denied, text).because(Reason::Limit)
}

/// Who holds the key: a contact, or the peer that the directory says it is, if no other key of that one is pinned. It comes from
/// `network`, or through the relay.
///
/// # Errors
/// What the directory says; `offline`; `denied` if another key is pinned, or if too many strangers call.
pub(super) async fn identify(peers: &Peers, From { key, network }: From) -> Result<Caller, WireError> {
    if let Some(pin) = peers.store.pin_by_key(key).await? {
        return Ok(Caller { id: pin.contact.id, name: pin.contact.name, is_contact: true });
    }
    let caller = told(peers, key, network).await?;
    peers.trust.check(caller.id, key).await?;
    Ok(caller)
}

/// Who holds the key: from memory, or from the directory.
async fn told(peers: &Peers, key: PublicKey, network: Option<IpAddr>) -> Result<Caller, WireError> {
    let known = peers.known_keys.get(&key);
    match &known {
        Some((Some(caller), at)) if at.elapsed() < KNOWN_FOR => return Ok(caller.clone()),
        Some((None, at)) if at.elapsed() < UNKNOWN_FOR => {
            return Err(WireError::new(Code::NotFound, "the key is no peer's"));
        }
        _ => {}
    }
    if known.as_ref().is_none_or(|(caller, _)| caller.is_none()) {
        peers.inquiries.about_key(network)?;
    }
    match (peers.upstream.request(Op::Identify(key)).await, known) {
        (Ok(Answer::Peer(peer)), _) => {
            let caller = Caller { id: peer.id, name: peer.name, is_contact: false };
            peers.known_keys.put(key, Some(caller.clone()));
            Ok(caller)
        }
        (Ok(_), _) => Err(unexpected()),
        (Err(error), Some((Some(caller), _))) if matches!(error.code, Code::Offline | Code::Timeout) => {
            Ok(caller)
        }
        (Err(error), _) if error.code == Code::NotFound => {
            peers.known_keys.put(key, None);
            Err(error)
        }
        (Err(error), _) => {
            peers.known_keys.forget(&key);
            Err(error)
        }
    }
}

/// The peers that are served.
#[derive(Debug, Clone, Default)]
pub(crate) struct Places(Arc<Mutex<Seats>>);

#[derive(Debug, Default)]
struct Seats {
    taken: Vec<Seat>,
    next: u64,
}

#[derive(Debug)]
struct Seat {
    number: u64,
    served: Served,
    /// While nothing is asked for on its connection: since when, and what closes it.
    idle: Option<(u64, CancellationToken)>,
}

impl Places {
    fn seats(&self) -> MutexGuard<'_, Seats> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A place for a peer that comes from `network`, or through the relay. An idle connection is closed if there is none otherwise.
    ///
    /// # Errors
    /// `denied`, with the time after which to come back, if there is no room for it.
    pub(super) fn take(&self, caller: &Caller, network: Option<IpAddr>) -> Result<Place, WireError> {
        let new = Served { peer: caller.id, is_contact: caller.is_contact, network };
        let mut seats = self.seats();
        let served: Vec<Served> = seats.taken.iter().map(|seat| seat.served).collect();
        if !has_room(&served, new) {
            let mut idle: Vec<(u64, usize)> = Vec::new();
            for (at, seat) in seats.taken.iter().enumerate() {
                idle.extend(seat.idle.as_ref().map(|(since, _)| (*since, at)));
            }
            idle.sort_unstable();
            let idle: Vec<usize> = idle.into_iter().map(|(_, at)| at).collect();
            let Some(at) = makes_room(&served, &idle, new) else {
                let error = busy("the peer serves as many connections as it can just now");
                return Err(error.retry_after(COME_BACK_AFTER));
            };
            if let Some((_, close)) = seats.taken.swap_remove(at).idle {
                close.cancel();
            }
        }
        let number = seats.next;
        seats.next += 1;
        seats.taken.push(Seat { number, served: new, idle: None });
        Ok(Place { places: self.clone(), number })
    }
}

/// A place of a connection, given back when it is dropped.
#[derive(Debug)]
pub(super) struct Place {
    places: Places,
    number: u64,
}

impl Place {
    fn set(&self, idle: bool) -> CancellationToken {
        let close = CancellationToken::new();
        let mut seats = self.places.seats();
        let since = seats.next;
        // The order in which connections became idle.
        seats.next += 1;
        match seats.taken.iter_mut().find(|seat| seat.number == self.number) {
            Some(seat) => seat.idle = idle.then(|| (since, close.clone())),
            // It was closed just now.
            None => close.cancel(),
        }
        close
    }

    /// Nothing is asked for: the connection may be closed for another one, which the token tells.
    pub(super) fn rests(&self) -> CancellationToken {
        self.set(true)
    }

    /// Something is asked for. False if the connection has been closed for another one.
    pub(super) fn works(&self) -> bool {
        !self.set(false).is_cancelled()
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.places.seats().taken.retain(|seat| seat.number != self.number);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn peer(number: u64) -> PeerId {
        PeerId::from_number(PeerId::COUNT / 3 + number).unwrap()
    }

    fn address(last: u64) -> Option<IpAddr> {
        Some(IpAddr::from([192, 0, 2, u8::try_from(last).unwrap()]))
    }

    #[test]
    fn strangers_of_one_address_leave_inquiries_to_others_and_all_of_them_some_to_the_daemon() {
        let inquiries = Inquiries::default();
        let burst = IDENTIFICATIONS_PER_SECOND_PER_ADDRESS * 10;
        let taken = |from: &dyn Fn(u64) -> Option<IpAddr>, times| {
            (0..times).filter(|number| inquiries.about_key(from(number % 200)).is_ok()).count()
        };
        let close =
            |taken: usize, expected: u64| (expected..expected + 20).contains(&u64::try_from(taken).unwrap());
        assert!(close(taken(&|_| address(201), burst * 2), burst));
        assert!(inquiries.about_key(address(202)).is_ok());
        let left = (IDENTIFICATIONS_PER_SECOND - IDENTIFICATIONS_PER_SECOND_PER_ADDRESS) * 10 - 1;
        assert!(close(taken(&address, left * 2), left));
        let refused = inquiries.about_key(None).unwrap_err();
        assert_eq!((refused.code, refused.reason), (Code::Denied, Some(Reason::Limit)));
        assert!(refused.retry_after_ms.is_some());
    }

    #[test]
    fn grants_that_one_peer_makes_up_are_asked_about_a_few_times_a_second() {
        let inquiries = Inquiries::default();
        let asked = (0..1_000).filter(|_| inquiries.about_grant(peer(1)).is_ok()).count();
        assert!((50..60).contains(&asked), "{asked}");
        assert!(inquiries.about_grant(peer(2)).is_ok());
    }

    #[test]
    fn keys_of_nobody_do_not_drive_out_the_others() {
        let keys = KnownKeys::default();
        let key = |number: usize| {
            let mut bytes = [0; 32];
            bytes[..8].copy_from_slice(&number.to_be_bytes());
            PublicKey::from(bytes)
        };
        let caller = Caller { id: peer(1), name: None, is_contact: false };
        keys.put(key(0), Some(caller.clone()));
        for number in 1..3 * KNOWN_KEYS_MAX {
            keys.put(key(number), None);
        }
        assert!(keys.keys().len() <= KNOWN_KEYS_MAX);
        assert_eq!(keys.get(&key(0)).map(|(caller, _)| caller), Some(Some(caller)));
    }

    #[test]
    fn a_place_is_given_back() {
        let places = Places::default();
        let caller = Caller { id: peer(1), name: None, is_contact: false };
        let taken: Vec<_> = (0..100).map_while(|_| places.take(&caller, None).ok()).collect();
        assert!(!taken.is_empty() && taken.len() < 100);
        let refused = places.take(&caller, None).unwrap_err();
        assert_eq!((refused.code, refused.reason), (Code::Denied, Some(Reason::Limit)));
        drop(taken);
        assert!(places.take(&caller, None).is_ok());
        assert!(places.seats().taken.is_empty());
    }

    #[test]
    fn an_idle_connection_is_closed_for_another_one_and_a_busy_one_is_not() {
        let places = Places::default();
        let caller = Caller { id: peer(1), name: None, is_contact: true };
        let taken: Vec<_> = (0..100).map_while(|_| places.take(&caller, None).ok()).collect();
        let tokens = [taken[2].rests(), taken[0].rests()];
        assert!(taken[0].works());
        let _new = places.take(&caller, None).unwrap();
        assert!(tokens[0].is_cancelled() && !tokens[1].is_cancelled());
        assert!(!taken[2].works() && taken[2].rests().is_cancelled(), "what was closed stays so");
        assert!(places.take(&caller, None).is_err(), "none is idle any more");
        drop(taken);
        assert_eq!(places.seats().taken.len(), 1);
    }
}
