//! Calling another peer: at its addresses, all of them in one race, and through the directory's relay beside them, which begins later and
//! wins where none of them leads there in time.
//!
//! What always holds: the side that answers holds the key that the directory gave, whichever way it was reached; an address at
//! which somebody else answers is as good as none. Whoever else that is learns that a peer of dos has called: not which one,
//! since the caller shows its own key only to the right one.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use dos_protocol::{
    Code, PeerId, WireError,
    control::Way,
    directory::Contact,
    limits::{DIRECT_PREFERRED_TIME, DIRECT_TIME_MAX, RELAY_HANDICAP},
    model::Address,
    tls::{Alpn, ClientTls, Stream, TlsError},
};
use tokio::{io::BufReader, net::TcpStream};

use super::Peers;
use super::{
    race::{Handicap, Won, beside, order, race},
    relay,
};
use crate::{addresses::interfaces, identity::Identity, rules::reach::Around};

/// Peers whose ways are remembered.
const WAYS_MAX: usize = 4096;

/// Which way led to a peer the last time, since this daemon runs. Bounded; when full, it starts anew.
#[derive(Debug, Default)]
pub(crate) struct Ways(Mutex<HashMap<PeerId, Way>>);

impl Ways {
    fn get(&self, peer: PeerId) -> Option<Way> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get(&peer).copied()
    }

    fn put(&self, peer: PeerId, way: Way) {
        let mut ways = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if ways.len() >= WAYS_MAX && !ways.contains_key(&peer) {
            ways.clear();
        }
        ways.insert(peer, way);
    }

    fn forget(&self, peer: PeerId) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(&peer);
    }
}

/// A connection to the peer that was called, whichever way.
pub(super) type Connection = Stream<BufReader<TcpStream>>;

/// An open connection to the peer that was called.
#[derive(Debug)]
pub(crate) struct Dialed {
    /// The connection.
    pub(crate) stream: Connection,
    /// Which way it goes.
    pub(crate) way: Way,
}

/// What is read from the network at a time. rustls alone reads 4 KiB at a time, which costs five calls of the system for
/// each record.
const READ_BYTES: usize = 64 << 10;

/// Connects to the peer of `contact` as `identity`.
///
/// # Errors
/// `offline` if no way leads to it.
pub(crate) async fn dial(peers: &Peers, identity: &Identity, contact: &Contact) -> Result<Dialed, WireError> {
    let offline = |what: &str| WireError::new(Code::Offline, format!("peer {} is {what}", contact.id));
    if contact.addresses.is_empty() && !contact.online {
        return Err(offline("offline"));
    }
    let tls = ClientTls::new(&identity.secret, contact.key, Alpn::Peer)
        .map_err(|error| WireError::new(Code::Internal, error.to_string()))?;
    let last = peers.ways.get(contact.id);
    let relayed = async {
        if !contact.relay {
            return Err("the directory does not relay".into());
        }
        relay::call(peers, &tls, contact.id).await.map_err(|error| match error {
            WireError { message, cause: Some(cause), .. } => format!("{message}: {cause}"),
            error => error.message.into(),
        })
    };
    let (stream, way) =
        match beside(direct(peers, &tls, contact, last), relayed, handicap(contact, last)).await {
            Ok(Won::Better((stream, address))) => (stream, Way::Direct(address)),
            Ok(Won::Other(stream)) => (stream, Way::Relayed),
            Err((cause, relayed)) => {
                let told = cause.map_or_else(|| relayed.clone(), |cause| format!("{cause}; {relayed}"));
                return Err(offline("out of reach").caused_by(told));
            }
        };
    tracing::debug!(peer = %contact.id, ?way, "connected");
    peers.ways.put(contact.id, way);
    Ok(Dialed { stream, way })
}

async fn direct(
    peers: &Peers,
    tls: &ClientTls,
    contact: &Contact,
    last: Option<Way>,
) -> Result<(Connection, Address), Option<String>> {
    let worked = if let Some(Way::Direct(address)) = last { Some(address) } else { None };
    let around =
        Around { directory: peers.upstream.directory().map(|address| address.ip()), own: interfaces() };
    let dialled = around.dialled(&contact.addresses);
    if dialled.is_empty() && !contact.addresses.is_empty() {
        return Err(Some("none of its addresses can lead there from here".into()));
    }
    let addresses = order(&dialled, worked);
    let attempt = |address: Address| async move {
        if worked == Some(address) {
            // It has proved its key there. If it does so no more, others may be there now.
            let connected = connect(tls, address).await;
            if connected.is_err() {
                peers.ways.forget(contact.id);
            }
            return connected;
        }
        let attempt = peers.attempts.begin(address.0.ip()).await;
        let stream = connect(tls, address).await?;
        attempt.succeeded();
        Ok(stream)
    };
    race(&addresses, DIRECT_TIME_MAX, attempt).await
}

async fn connect(tls: &ClientTls, address: Address) -> Result<Connection, String> {
    let socket = TcpStream::connect(address.0).await.map_err(|error| error.to_string())?;
    socket.set_nodelay(true).map_err(|error| error.to_string())?;
    secure(tls, socket).await.map_err(|error| error.to_string())
}

/// Makes sure who is at the other end.
///
/// # Errors
/// As in [`TlsError`].
pub(super) async fn secure(tls: &ClientTls, socket: TcpStream) -> Result<Connection, TlsError> {
    tls.connect(BufReader::with_capacity(READ_BYTES, socket)).await
}

/// When the relay is tried beside the addresses: at once where it was needed the last time, and where it cannot be tried whenever it is.
fn handicap(contact: &Contact, last: Option<Way>) -> Handicap {
    let begins = match last {
        _ if !contact.relay => DIRECT_TIME_MAX,
        Some(Way::Relayed) => Duration::ZERO,
        Some(Way::Direct(_)) | None => RELAY_HANDICAP,
    };
    Handicap { begins, waits: DIRECT_PREFERRED_TIME }
}

#[cfg(test)]
mod tests {
    use dos_protocol::PublicKey;

    use super::*;

    fn peer(number: u64) -> PeerId {
        PeerId::from_number(PeerId::COUNT / 3 + number).unwrap()
    }

    #[test]
    fn the_relay_is_tried_at_once_where_it_was_needed_before() {
        let address: Address = "192.0.2.7:1".parse().unwrap();
        let key = PublicKey::from([9; 32]);
        let contact = Contact {
            id: peer(1),
            key,
            addresses: vec![address],
            online: true,
            relay: true,
            name: None,
            sealing: None,
        };
        let begins = |contact: &Contact, last| handicap(contact, last).begins;
        assert_eq!(begins(&contact, None), RELAY_HANDICAP);
        assert_eq!(begins(&contact, Some(Way::Direct(address))), RELAY_HANDICAP);
        assert_eq!(begins(&contact, Some(Way::Relayed)), Duration::ZERO);
        let without = Contact { relay: false, ..contact };
        assert_eq!(begins(&without, Some(Way::Relayed)), DIRECT_TIME_MAX);
    }

    #[test]
    fn the_ways_of_so_many_peers_are_remembered_and_no_more() {
        let ways = Ways::default();
        for number in 0..=u64::try_from(WAYS_MAX).unwrap() {
            ways.put(peer(number), Way::Relayed);
        }
        assert!(ways.0.lock().unwrap().len() <= WAYS_MAX);
        assert_eq!(ways.get(peer(u64::try_from(WAYS_MAX).unwrap())), Some(Way::Relayed));
    }
}
