//! Attacks on a directory, a file per theme: small in the suite, in full size with `cargo xtask attack`.
//!
//! Each plays an attack with real connections and measures what others notice of it; [`dos_testing::attack`] has its size.

mod addresses;
mod blocks;
mod left_behind;
mod log;
mod quotas;
mod relay;
mod strangers;
mod surroundings;

use std::{
    net::{Ipv4Addr, SocketAddr},
    path::Path,
    time::{Duration, Instant},
};

use dos_protocol::{JoinLink, Seq, directory::Op, key::SecretKey};
use dos_testing::Guarded;
use tokio::net::{TcpSocket, TcpStream};

use crate::{
    commands::run,
    net::{Client, Net, sign_in},
    programs::Served,
};

/// A directory in a process of its own: what it holds is its own account, and its descriptors are not the attacker's.
struct Target {
    served: Served,
    net: Net,
}

impl Target {
    async fn start(data_dir: &Path, args: &[&str]) -> Self {
        let args = [&["--registration", "open", "--registrations-per-minute", "1000000"], args].concat();
        let served = Served::start(data_dir, &args).await;
        let link: JoinLink = run(data_dir, &["link"]).await.out.trim().parse().unwrap();
        Self { served, net: Net::elsewhere(link) }
    }

    fn process(&self) -> &Guarded {
        &self.served.0
    }

    /// What it holds in memory, in KiB.
    fn memory(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.process().id())).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
        line.split_whitespace().next().unwrap().parse().unwrap()
    }

    /// How long the peer of this key takes to sign in, from the first packet on.
    async fn sign_in(&self, secret: &SecretKey) -> Duration {
        let begun = Instant::now();
        let mut client = Client::connect(&self.net, secret.clone()).await;
        client.enter(Op::SignIn(sign_in(1, Seq(0)))).await.unwrap();
        begun.elapsed()
    }
}

/// A connection from `127.0.0.HOST`; none, if the other side has no room.
async fn connect_from(host: u8, to: SocketAddr) -> Option<TcpStream> {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind((Ipv4Addr::new(127, 0, 0, host), 0).into()).unwrap();
    socket.connect(to).await.ok()
}

/// The value below which `percent` of these are.
fn percentile(times: &mut [Duration], percent: usize) -> Duration {
    times.sort_unstable();
    times[(times.len() * percent / 100).min(times.len() - 1)]
}
