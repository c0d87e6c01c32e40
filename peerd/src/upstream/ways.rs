//! The addresses of a directory, and which of them leads to a node that answers.
//!
//! What always holds: an address counts as one that answers when the node behind it has proved the directory's key, for which its program
//! has to run: a stopped one takes connections for a long while. The next address is tried as soon as one has failed, and beside
//! one that is slow. What was tried and failed is not tried again in the same attempt. What led there the last time comes first, of the addresses of
//! the directory and of those that its name stands for.

use std::{
    collections::{BTreeSet, VecDeque},
    io,
    net::{IpAddr, SocketAddr},
    time::Duration,
};

use dos_protocol::{
    JoinLink,
    limits::CONNECT_TIME_MAX,
    link::{HostPort, NODES_MAX},
    scope::{Scope, is_peer_port, scope_of},
    tls::{ClientTls, Stream},
};
use futures_util::{StreamExt as _, stream::FuturesUnordered};
use tokio::{
    net::{TcpStream, lookup_host},
    time::{sleep, timeout},
};

use super::{connection::Failure, port, state::Failed};
use crate::{
    addresses::is_loopback,
    identity::{Identities, IdentityError},
};

/// Addresses of one host that are tried.
const ADDRESSES_TRIED_MAX: usize = 8;

/// One that has not answered by then has another one tried beside it.
const BESIDE_AFTER: Duration = Duration::from_millis(250);

/// A connection to a node that has proved the directory's key.
pub(super) struct Opened {
    pub(super) at: HostPort,
    pub(super) stream: Stream<TcpStream>,
    pub(super) directory: SocketAddr,
    /// This daemon's end.
    pub(super) here: SocketAddr,
}

/// The addresses that are left to be tried.
#[derive(Debug)]
pub(super) struct Ways {
    left: VecDeque<HostPort>,
    hints: Hints,
}

/// What of this host and of the last session makes a connection.
#[derive(Debug, Clone, Copy, Default)]
struct Hints {
    /// A listener whose port to share.
    listen: Option<SocketAddr>,
    /// The directory's end of the last session.
    known: Option<SocketAddr>,
}

/// What led to the last session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Last {
    /// Of the addresses of the directory.
    pub(super) at: HostPort,
    /// Of those that it stands for.
    pub(super) directory: SocketAddr,
}

impl Ways {
    /// Those of a link: first the one that led to the last session, then the others from a random one on, so that the peers of a node
    /// that ends do not all go to the same other one.
    pub(super) fn of(link: &JoinLink, last: Option<&Last>, random: u32) -> Self {
        let mut all: VecDeque<HostPort> = link.addresses().collect();
        let first = last.and_then(|last| all.iter().position(|address| *address == last.at));
        let first = first.and_then(|first| all.remove(first));
        let turn = usize::try_from(random).unwrap_or(0).checked_rem(all.len()).unwrap_or(0);
        // Of a link that has led nowhere yet the first address is the one that its maker prefers.
        if first.is_some() {
            all.rotate_left(turn);
        }
        if let Some(first) = first {
            all.push_front(first);
        }
        Self { left: all, hints: Hints { listen: None, known: last.map(|last| last.directory) } }
    }

    /// The same, from the port of the listener at this address where that is possible.
    pub(super) fn sharing(self, listen: SocketAddr) -> Self {
        Self { hints: Hints { listen: Some(listen), ..self.hints }, ..self }
    }

    /// Whether there are addresses that were not tried.
    pub(super) fn has_more(&self) -> bool {
        !self.left.is_empty()
    }

    /// Connects to the first that proves the key.
    pub(super) async fn open(&mut self, tls: &ClientTls) -> Result<Opened, Failure> {
        let mut tried = FuturesUnordered::new();
        let mut trying: Vec<HostPort> = Vec::new();
        let mut why: Option<Failure> = None;
        loop {
            if tried.is_empty() {
                match (self.left.pop_front(), why.take()) {
                    (Some(next), last) => {
                        why = last;
                        trying.push(next.clone());
                        tried.push(dial(tls, next, self.hints));
                    }
                    (None, Some(why)) => return Err(why),
                    (None, None) => return Err(nowhere()),
                }
            }
            tokio::select! {
                Some((at, outcome)) = tried.next() => {
                    trying.retain(|other| *other != at);
                    match outcome {
                        Ok((stream, [directory, here])) => {
                            // Those that were slower were not in vain.
                            self.left.extend(trying);
                            return Ok(Opened { at, stream, directory, here });
                        }
                        Err(failure) => {
                            tracing::debug!(%at, error = %failure.error.message, "an address of the directory failed");
                            why = Some(graver(why, failure));
                        }
                    }
                }
                () = sleep(BESIDE_AFTER), if !self.left.is_empty() => {
                    if let Some(next) = self.left.pop_front() {
                        trying.push(next.clone());
                        tried.push(dial(tls, next, self.hints));
                    }
                }
            }
        }
    }
}

/// Of two failures the one that a person has to know of: another server may answer where a node was. As long as not all are of that kind, the
/// directory may be back.
fn graver(one: Option<Failure>, other: Failure) -> Failure {
    let Some(one) = one else { return other };
    let is_reached = |failure: &Failure| failure.kind != Failed::Unreachable;
    let kind = if one.kind == other.kind { one.kind } else { Failed::Elsewhere };
    let told = if is_reached(&one) { one } else { other };
    Failure { kind, ..told }
}

fn nowhere() -> Failure {
    let at = HostPort { host: "?".into(), port: 0 };
    Failure::unreachable(&at, "none of its addresses answers")
}

/// A connection, and the directory's end of it and this daemon's.
type Dialled = (HostPort, Result<(Stream<TcpStream>, [SocketAddr; 2]), Failure>);

async fn dial(tls: &ClientTls, at: HostPort, hints: Hints) -> Dialled {
    let outcome = match resolve(&at).await {
        Ok(addresses) => first_of(tls, &at, known_first(addresses, hints.known), hints.listen).await,
        Err(error) => Err(Failure::unreachable(&at, error.to_string())),
    };
    (at, outcome)
}

/// The address that led there the last time, if the name still stands for it, and the others behind it.
fn known_first(mut addresses: Vec<SocketAddr>, known: Option<SocketAddr>) -> VecDeque<SocketAddr> {
    addresses.sort_by_key(|address| Some(*address) != known);
    addresses.into()
}

/// Connects to the first of the addresses that a name stands for at which the key is proved: behind the others there may be nobody, or somebody else.
async fn first_of(
    tls: &ClientTls,
    at: &HostPort,
    mut left: VecDeque<SocketAddr>,
    listen: Option<SocketAddr>,
) -> Result<(Stream<TcpStream>, [SocketAddr; 2]), Failure> {
    let mut tried = FuturesUnordered::new();
    let mut why = None;
    loop {
        if tried.is_empty() {
            match (left.pop_front(), why.take()) {
                (Some(next), last) => {
                    why = last;
                    tried.push(prove(tls, at, next, listen));
                }
                (None, why) => {
                    return Err(why.unwrap_or_else(|| Failure::unreachable(at, "its name has no address")));
                }
            }
        }
        tokio::select! {
            Some(outcome) = tried.next() => match outcome {
                Ok(proved) => return Ok(proved),
                Err(failure) => why = Some(graver(why, failure)),
            },
            () = sleep(BESIDE_AFTER), if !left.is_empty() => {
                tried.extend(left.pop_front().map(|next| prove(tls, at, next, listen)));
            }
        }
    }
}

async fn prove(
    tls: &ClientTls,
    at: &HostPort,
    address: SocketAddr,
    listen: Option<SocketAddr>,
) -> Result<(Stream<TcpStream>, [SocketAddr; 2]), Failure> {
    let lost = |error: io::Error| Failure::unreachable(at, error.to_string());
    let socket = open(address, listen).await.map_err(lost)?;
    let ends = [socket.peer_addr().map_err(lost)?, socket.local_addr().map_err(lost)?];
    let stream = tls.connect(socket).await.map_err(|error| Failure::tls(at, &error))?;
    Ok((stream, ends))
}

/// What a name stands for.
pub(crate) async fn resolve(at: &HostPort) -> io::Result<Vec<SocketAddr>> {
    let late = |_| io::Error::new(io::ErrorKind::TimedOut, "its name could not be resolved in time");
    let found = timeout(CONNECT_TIME_MAX, lookup_host((&*at.host, at.port))).await.map_err(late)??;
    Ok(found.take(ADDRESSES_TRIED_MAX).collect())
}

async fn open(address: SocketAddr, listen: Option<SocketAddr>) -> io::Result<TcpStream> {
    let connecting = async {
        match listen {
            Some(listen) => port::connect(listen, address).await,
            None => TcpStream::connect(address).await,
        }
    };
    let socket = timeout(CONNECT_TIME_MAX, connecting)
        .await
        .map_err(|_| io::Error::new(io::ErrorKind::TimedOut, "it did not answer in time"))??;
    socket.set_nodelay(true)?;
    Ok(socket)
}

/// The link with the addresses of all nodes, as the directory tells them, if that is another set. Those that it does not name come last,
/// as far as there is room: one may be a person's own way, another that of a node that is down and comes back when those that are
/// named now are down.
fn renewed(link: &JoinLink, at: &HostPort, nodes: &[HostPort]) -> Option<JoinLink> {
    let known: Vec<HostPort> = link.addresses().collect();
    // However many nodes it names, they do not push out what led here.
    let named = nodes.iter().filter(|node| may_be_node(node, at)).take(NODES_MAX - 1);
    let renewed = link.clone().at(named.chain([at]).chain(&known).cloned());
    let set = |link: &JoinLink| link.addresses().collect::<BTreeSet<_>>();
    (!nodes.is_empty() && set(&renewed) != set(link)).then_some(renewed)
}

/// Whether a node may be where the directory says. As with the addresses of peers: nobody is led to the services of its own host, or to
/// those of others that have system ports, because a directory says so; one that is on this host has its nodes here.
fn may_be_node(node: &HostPort, at: &HostPort) -> bool {
    let is_near = match node.host.parse::<IpAddr>() {
        Ok(ip) => matches!(scope_of(ip), None | Some(Scope::Loopback | Scope::LinkLocal)),
        Err(_) => is_loopback(&node.host),
    };
    is_peer_port(node.port) && (!is_near || is_loopback(&at.host) && is_loopback(&node.host))
}

/// Writes down where the nodes of the directory are, if that is news. Blocks on the disk.
///
/// # Errors
/// As in [`IdentityError`].
pub(super) fn know_nodes(
    identities: &Identities,
    at: &HostPort,
    nodes: &[HostPort],
) -> Result<(), IdentityError> {
    let known = identities.any();
    let Some(link) = known.and_then(|known| renewed(&known.server, at, nodes)) else { return Ok(()) };
    tracing::info!(nodes = nodes.len(), "the directory has other addresses than before");
    identities.move_to(link)
}

#[cfg(test)]
mod tests {
    use dos_protocol::{
        key::SecretKey,
        tls::{Alpn, ServerTls},
    };
    use tokio::net::TcpListener;

    use super::*;

    fn link(addresses: &[HostPort]) -> JoinLink {
        let key = dos_protocol::PublicKey::from([9; 32]);
        format!("dos://{key}@nowhere:1").parse::<JoinLink>().unwrap().at(addresses.iter().cloned())
    }

    fn named(names: &[&str]) -> Vec<HostPort> {
        names.iter().map(|name| format!("{name}:1").parse().unwrap()).collect()
    }

    #[test]
    fn the_last_good_address_comes_first_and_the_others_take_turns() {
        let all = named(&["a", "b", "c"]);
        let order = |last: Option<&str>, random| {
            let directory = "192.0.2.1:1".parse().unwrap();
            let last = last.map(|last| Last { at: format!("{last}:1").parse().unwrap(), directory });
            Ways::of(&link(&all), last.as_ref(), random)
                .left
                .iter()
                .map(|at| at.host.to_string())
                .collect::<String>()
        };
        assert_eq!(order(None, 1), "abc", "as the link has them");
        assert_eq!((order(Some("b"), 0), order(Some("b"), 1)), ("bac".into(), "bca".into()));
        assert_eq!(order(Some("x"), 1), "abc", "one that is not of this directory any more");
    }

    /// The first address refuses, the second takes connections and says nothing, the third is another server, the fourth answers.
    #[tokio::test]
    async fn whoever_proves_the_key_first_is_taken() {
        let [directory, other] = [(); 2].map(|()| SecretKey::generate().unwrap());
        let bind = async || TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (refuses, silent, strange, good) = (bind().await, bind().await, bind().await, bind().await);
        let at =
            |listener: &TcpListener| listener.local_addr().unwrap().to_string().parse::<HostPort>().unwrap();
        let addresses = [at(&refuses), at(&silent), at(&strange), at(&good)];
        drop(refuses);
        for (listener, secret) in [(strange, &other), (good, &directory)] {
            let tls = ServerTls::new(secret, Alpn::Directory).unwrap();
            tokio::spawn(async move {
                loop {
                    let (socket, _) = listener.accept().await.unwrap();
                    drop(tls.accept(socket).await);
                }
            });
        }
        let own = SecretKey::generate().unwrap();
        let tls = ClientTls::new(&own, directory.public().unwrap(), Alpn::Directory).unwrap();
        let mut ways = Ways::of(&link(&addresses), None, 0);
        let opened = ways.open(&tls).await.map_err(|failure| failure.error).unwrap();
        assert_eq!(opened.at, addresses[3]);
        assert_eq!(ways.left, [addresses[1].clone()], "the silent one may have been slow");
        // The same where one name stands for all of them.
        let name: HostPort = "directory.example:5001".parse().unwrap();
        let all = addresses.iter().map(|at| at.to_string().parse().unwrap()).collect();
        let (_, [directory, _]) =
            first_of(&tls, &name, all, None).await.map_err(|failure| failure.error).unwrap();
        assert_eq!(directory.to_string(), addresses[3].to_string());
        let mut strangers = Ways::of(&link(&[addresses[2].clone(), addresses[0].clone()]), None, 0);
        let failure = strangers.open(&tls).await.err().unwrap();
        assert!(failure.error.message.contains("its key differs"), "{}", failure.error.message);
        assert_eq!(failure.kind, Failed::Elsewhere, "the other address may be the directory's, and it away");
        let mut strangers = Ways::of(&link(&[addresses[2].clone()]), None, 0);
        assert_eq!(strangers.open(&tls).await.err().unwrap().kind, Failed::Refused);
    }

    #[test]
    fn of_the_addresses_of_a_name_the_one_that_led_there_comes_first_while_it_is_one() {
        let all: Vec<SocketAddr> = (1..4).map(|last| ([192, 0, 2, last], 5001).into()).collect();
        let order = |known: Option<SocketAddr>| {
            known_first(all.clone(), known)
                .iter()
                .map(|at| at.ip().to_string().pop().unwrap())
                .collect::<String>()
        };
        assert_eq!(order(None), "123");
        assert_eq!(order(Some(all[2])), "312");
        assert_eq!(order(Some(([192, 0, 2, 9], 5001).into())), "123", "it has moved");
    }

    #[test]
    fn the_addresses_of_all_nodes_come_before_those_that_were_known() {
        let key = dos_protocol::PublicKey::from([9; 32]);
        let link = |addresses: &str| format!("dos://{key}@{addresses}").parse::<JoinLink>().unwrap();
        let nodes =
            |names: &[&str]| names.iter().map(|name| name.parse().unwrap()).collect::<Vec<HostPort>>();
        // Short for a port that a node may have.
        let long = |text: &str| text.replace(':', ":500");
        let renew = |known: &str, at: &str, told: &[&str]| {
            let told: Vec<String> = told.iter().map(|node| long(node)).collect();
            let told: Vec<&str> = told.iter().map(String::as_str).collect();
            let renewed = renewed(&link(&long(known)), &long(at).parse().unwrap(), &nodes(&told));
            renewed.map(|link| link.to_string().rsplit('@').next().unwrap().replace(":500", ":"))
        };
        assert_eq!(renew("a:1", "a:1", &[]), None, "a directory of one server says nothing");
        assert_eq!(renew("a:1", "a:1", &["a:1", "b:1"]).as_deref(), Some("a:1,b:1"));
        assert_eq!(renew("b:1,a:1", "a:1", &["a:1", "b:1"]), None, "the same set");
        assert_eq!(renew("a:1,b:1", "a:1", &["a:1"]), None, "one that is down comes back");
        assert_eq!(renew("a:1,b:1", "a:1", &["a:1", "c:1"]).as_deref(), Some("a:1,c:1,b:1"));
        let many: Vec<String> = (1..=NODES_MAX).map(|port| format!("a:{port}")).collect();
        let renewed = renew(&many.join(","), "a:1", &["a:1", "b:1"]).unwrap();
        assert!(renewed.starts_with("a:1,b:1,a:2,") && renewed.ends_with(",a:15"), "{renewed}");
        let named: Vec<&str> = many.iter().map(String::as_str).collect();
        assert!(renew("dir:1", "dir:1", &named).unwrap().ends_with(",a:15,dir:1"), "what led here stays");
        assert_eq!(renew("dir:1", "dir:1", &["a:1", "b:1"]).as_deref(), Some("a:1,b:1,dir:1"));
        assert_eq!(renew("a:1,b:1,dir:1", "dir:1", &["a:1", "b:1"]), None);
    }

    #[test]
    fn a_directory_leads_nobody_to_services_of_its_own_host_or_of_others() {
        for (node, at, may) in [
            ("b.example:5001", "a.example:5001", true),
            ("10.0.0.7:5001", "a.example:5001", true),
            ("b.example:443", "a.example:5001", true),
            ("b.example:22", "a.example:5001", false),
            ("127.0.0.1:5001", "a.example:5001", false),
            ("localhost:5001", "a.example:5001", false),
            ("[::ffff:127.0.0.1]:5001", "192.0.2.7:5001", false),
            ("169.254.169.254:8080", "192.0.2.7:5001", false),
            ("0.0.0.0:5001", "127.0.0.1:5001", false),
            ("127.0.0.1:5002", "127.0.0.1:5001", true),
            ("[::1]:5002", "localhost:5001", true),
            ("169.254.1.1:5001", "127.0.0.1:5001", false),
        ] {
            assert_eq!(may_be_node(&node.parse().unwrap(), &at.parse().unwrap()), may, "{node} from {at}");
        }
    }
}
