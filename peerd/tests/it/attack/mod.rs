//! Attacks on peers and their directory, a file per theme: small in the suite, in full size with `cargo xtask attack`.
//!
//! Each plays an attack with the real programs and measures what others notice of it; [`dos_testing::attack`] has its size.

mod addresses;
mod blocks;
mod connections;
mod left_behind;
mod log;
mod strangers;
mod surroundings;

use std::net::{Ipv4Addr, SocketAddr};

use dos_protocol::PublicKey;
use tokio::net::{TcpSocket, TcpStream};

use crate::stage::Peer;

/// Where a peer listens for others, and the key by which it is known.
fn target(peer: &Peer) -> (SocketAddr, PublicKey) {
    let address = peer.json(&["status"])["listen"].as_str().unwrap().parse().unwrap();
    let card = peer.ctl(&["card"]).ok();
    let card = card.split_whitespace().find(|word| word.starts_with("dos-peer://")).unwrap();
    let card: dos_protocol::Card = card.parse().unwrap();
    (address, card.key)
}

/// A connection from `127.0.0.HOST`; none, if the other side has no room.
async fn connect_from(host: u8, to: SocketAddr) -> Option<TcpStream> {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind((Ipv4Addr::new(127, 0, 0, host), 0).into()).unwrap();
    socket.connect(to).await.ok()
}
