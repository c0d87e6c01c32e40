//! The port of the gallery, loopback alone, or its socket for a proxy of its user, for that user alone: bounded in connections and in
//! the time that a request's head may take.
//!
//! A browser sends the cookies of a host to all of the host's ports. So the gallery listens on a loopback address of its own, drawn
//! at random of 127.0.0.0/8: what else is served on 127.0.0.1 never gets its cookie.

use std::{
    fs, io,
    net::{Ipv4Addr, SocketAddr},
    os::unix::fs::{FileTypeExt as _, PermissionsExt as _},
    path::{Path, PathBuf},
    pin::pin,
    sync::Arc,
};

use axum::Router;
use hyper::server::conn::http1;
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    service::TowerToHyperService,
};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpListener, TcpStream, UnixListener, UnixStream},
    sync::Semaphore,
    task::JoinHandle,
    time::{sleep, timeout},
};
use tokio_util::task::TaskTracker;

use super::{
    Gallery,
    limits::{ACCEPT_PAUSE, BACKLOG, CONNECTIONS_MAX, FINISH_TIME_MAX, HEAD_TIME_MAX},
    routes,
};
use crate::{entrance::Place, random};

/// A gallery that is served.
#[derive(Debug)]
pub(super) struct Server {
    pub(super) gallery: Arc<Gallery>,
    pub(super) place: Place,
    accepting: JoinHandle<()>,
}

/// Where connections come from.
#[derive(Debug)]
pub(super) enum Listener {
    Port(TcpListener, SocketAddr),
    /// The file goes with it.
    Socket(UnixListener, PathBuf),
}

/// A connection.
enum Stream {
    Port(TcpStream),
    Socket(UnixStream),
}

impl Listener {
    /// At a port of a loopback address.
    ///
    /// # Errors
    /// What the system says.
    pub(super) fn on_loopback() -> io::Result<Self> {
        bind().map(|(listener, address)| Self::Port(listener, address))
    }

    /// At a socket of this user alone. One that a daemon has left behind is removed.
    ///
    /// # Errors
    /// `AddrInUse` if a program listens there, or there is something that is no socket.
    pub(super) fn at(path: &Path) -> io::Result<Self> {
        if fs::symlink_metadata(path).is_ok_and(|known| known.file_type().is_socket()) {
            match std::os::unix::net::UnixStream::connect(path) {
                Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => fs::remove_file(path)?,
                _ => return Err(io::ErrorKind::AddrInUse.into()),
            }
        }
        let listener = UnixListener::bind(path)?;
        fs::set_permissions(path, fs::Permissions::from_mode(0o600))?;
        Ok(Self::Socket(listener, path.to_owned()))
    }

    /// The address of the port, if it is one.
    pub(super) fn address(&self) -> Option<SocketAddr> {
        if let Self::Port(_, address) = self { Some(*address) } else { None }
    }

    async fn accept(&self) -> io::Result<Stream> {
        match self {
            Self::Port(listener, _) => listener.accept().await.map(|(stream, _)| Stream::Port(stream)),
            Self::Socket(listener, _) => listener.accept().await.map(|(stream, _)| Stream::Socket(stream)),
        }
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        if let Self::Socket(_, path) = self {
            // It may be gone already.
            drop(fs::remove_file(path));
        }
    }
}

/// Opens a port on a loopback address.
///
/// # Errors
/// What the system says.
fn bind() -> io::Result<(TcpListener, SocketAddr)> {
    let [a, b, c] = random::bytes().map_err(io::Error::other)?;
    // Neither 127.0.0.1 nor a first or last address of the network.
    let own = Ipv4Addr::new(127, a | 1, b, c.clamp(2, 254));
    let listener = match dos_daemon::listen::bind((own, 0).into(), BACKLOG) {
        Ok(listener) => listener,
        // Where only the one address is there.
        Err(_) => dos_daemon::listen::bind((Ipv4Addr::LOCALHOST, 0).into(), BACKLOG)?,
    };
    let listener = TcpListener::from_std(listener)?;
    let address = listener.local_addr()?;
    Ok((listener, address))
}

impl Server {
    /// Begins to serve.
    pub(super) fn start(gallery: Arc<Gallery>, listener: Listener, place: Place) -> Self {
        let accepting = tokio::spawn(accept(Arc::clone(&gallery), listener));
        Self { gallery, place, accepting }
    }

    /// Ends it: no one new is served, and what is being answered gets a moment.
    pub(super) async fn close(self) {
        self.gallery.stop.cancel();
        drop(self.accepting.await);
    }
}

async fn accept(gallery: Arc<Gallery>, listener: Listener) {
    let (places, connections) = (Arc::new(Semaphore::new(CONNECTIONS_MAX)), TaskTracker::new());
    let stop = gallery.stop.clone();
    let router = routes::router(gallery);
    loop {
        let next = async {
            let place = Arc::clone(&places).acquire_owned().await;
            (place, listener.accept().await)
        };
        tokio::select! {
            biased;
            () = stop.cancelled() => break,
            (place, accepted) = next => match accepted {
                Ok(stream) => {
                    let (router, stop) = (router.clone(), stop.clone());
                    connections.spawn(async move {
                        let _place = place;
                        match stream {
                            Stream::Port(stream) => connection(stream, router, stop.cancelled()).await,
                            Stream::Socket(stream) => connection(stream, router, stop.cancelled()).await,
                        }
                    });
                }
                Err(error) => {
                    tracing::debug!(%error, "cannot accept a connection of a browser");
                    sleep(ACCEPT_PAUSE).await;
                }
            },
        }
    }
    drop((listener, router));
    connections.close();
    connections.wait().await;
}

async fn connection<S: AsyncRead + AsyncWrite + Unpin>(
    stream: S,
    router: Router,
    stop: impl Future<Output = ()>,
) {
    let mut served = pin!(
        http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(HEAD_TIME_MAX)
            .serve_connection(TokioIo::new(stream), TowerToHyperService::new(router))
    );
    let outcome = tokio::select! {
        outcome = served.as_mut() => outcome,
        () = stop => {
            served.as_mut().graceful_shutdown();
            timeout(FINISH_TIME_MAX, served.as_mut()).await.unwrap_or(Ok(()))
        }
    };
    if let Err(error) = outcome {
        tracing::debug!(%error, "a connection of a browser failed");
    }
}
