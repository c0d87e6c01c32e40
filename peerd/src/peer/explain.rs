//! Trying every way to a peer to its end, for people who want to know why a transfer goes the way it goes.
//!
//! What always holds: the same bounds as for a call; nothing is remembered of it, so that the next call goes as it would have gone.

use std::{sync::Arc, time::Duration};

use dos_protocol::{
    control::{BadWay, Means, Tried},
    directory::Contact,
    limits::DIRECT_TIME_MAX,
    model::Address,
    scope::canonical,
    tls::{Alpn, ClientTls},
};
use futures_util::future::join_all;
use tokio::time::{Instant, timeout};

use super::{
    Peers,
    bad::{Avoided, Path, left},
    dial::{Connection, Route, around, connect_to},
    relay, rendezvous,
};
use crate::{addresses::interfaces, identity::Identity};

/// What came of all ways, and a connection on the best of them.
pub(crate) struct Explored {
    pub(crate) tried: Vec<Tried>,
    pub(crate) best: Option<Connection>,
}

/// Tries the addresses and the relay, and then a rendezvous, which would use up what the others may try.
pub(crate) async fn explore(peers: &Arc<Peers>, identity: &Identity, contact: &Contact) -> Explored {
    let mut tried = Vec::new();
    let tls = match ClientTls::new(&identity.secret, contact.key, Alpn::Peer) {
        Ok(tls) => tls,
        Err(error) => {
            tracing::error!(error = &error as &dyn std::error::Error, "cannot call peers");
            return Explored { tried, best: None };
        }
    };
    let dialled = around(peers).dialled(&contact.addresses);
    let addresses = join_all(dialled.iter().map(|address| at(peers, &tls, contact, *address)));
    let (found, relayed) = tokio::join!(addresses, through_relay(peers, &tls, contact));
    let mut best = None;
    for (one, stream) in found {
        tried.push(one);
        best = best.or(stream);
    }
    for address in contact.addresses.iter().copied().map(canonical) {
        if !dialled.contains(&address) {
            let error = Some("not tried: from here it cannot lead there".into());
            tried.push(Tried {
                means: Some(Means::Address),
                address: Some(address),
                how: None,
                took_us: 0,
                error,
                bad: None,
            });
        }
    }
    let (met, stream) = by_rendezvous(peers, &tls, contact).await;
    tried.extend([met, relayed.0]);
    for one in &mut tried {
        one.bad = bad(peers, contact, one);
    }
    // What has hung here is nobody's way.
    drop(peers.ways.take_hung(contact.id));
    Explored { tried, best: best.or(stream).or(relayed.1) }
}

fn took(begun: Instant) -> u64 {
    u64::try_from(begun.elapsed().as_micros()).unwrap_or(u64::MAX)
}

/// What is remembered of a way.
fn bad(peers: &Peers, contact: &Contact, tried: &Tried) -> Option<BadWay> {
    let host = tried.address.map(|address| Path::Host(address.0.ip().to_canonical()));
    let path = if tried.means == Some(Means::Relay) { Path::Relay } else { host? };
    let bad = peers.bad.get(contact.id, path, interfaces)?;
    Some(BadWay { why: bad.why.as_str().into(), left_s: left(bad).as_secs() })
}

async fn at(
    peers: &Peers,
    tls: &ClientTls,
    contact: &Contact,
    address: Address,
) -> (Tried, Option<Connection>) {
    let attempt = peers.attempts.begin(address.0.ip()).await;
    let begun = Instant::now();
    let outcome = timeout(DIRECT_TIME_MAX, connect_to(peers, tls, contact.id, address)).await;
    let outcome = outcome.unwrap_or_else(|_| Err("no answer in time".into()));
    if outcome.is_ok() {
        attempt.succeeded();
    }
    told((Means::Address, Some(address)), took(begun), outcome)
}

async fn by_rendezvous(
    peers: &Arc<Peers>,
    tls: &ClientTls,
    contact: &Contact,
) -> (Tried, Option<Connection>) {
    let begun = Instant::now();
    let outcome = if contact.rendezvous {
        rendezvous::call(peers, tls, contact, &Avoided::default()).await
    } else {
        Err("not tried: the directory arranges none with this peer".into())
    };
    let how = outcome.as_ref().ok().and_then(|(_, route)| route.how());
    let address = match outcome.as_ref().map(|(_, route)| *route) {
        Ok(Route::Punched(address) | Route::CalledBack(address) | Route::Announced(address)) => Some(address),
        Ok(Route::Relayed) | Err(_) => None,
    };
    let outcome = outcome.map(|(stream, _)| stream);
    let (tried, stream) = told((Means::Rendezvous, address), took(begun), outcome);
    (Tried { how, ..tried }, stream)
}

async fn through_relay(
    peers: &Arc<Peers>,
    tls: &ClientTls,
    contact: &Contact,
) -> (Tried, Option<Connection>) {
    let begun = Instant::now();
    let outcome = if contact.relay {
        relay::call(peers, tls, contact.id).await.map_err(|error| error.message.into())
    } else {
        Err("not tried: the directory does not relay to this peer".into())
    };
    told((Means::Relay, None), took(begun), outcome)
}

fn told(
    (means, address): (Means, Option<Address>),
    took_us: u64,
    outcome: Result<Connection, String>,
) -> (Tried, Option<Connection>) {
    let (stream, error) = match outcome {
        Ok(stream) => (Some(stream), None),
        Err(error) => (None, Some(error.into())),
    };
    (Tried { means: Some(means), address, how: None, took_us, error, bad: None }, stream)
}

/// How long all of it may take: the addresses wait for their turns.
pub(crate) const EXPLORE_TIME_MAX: Duration = Duration::from_secs(20);
