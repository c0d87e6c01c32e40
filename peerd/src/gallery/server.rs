//! The port of the gallery: loopback alone, bounded in connections and in the time that a request's head may take.
//!
//! A browser sends the cookies of a host to all of the host's ports. So the gallery listens on a loopback address of its own, drawn
//! at random of 127.0.0.0/8: what else is served on 127.0.0.1 never gets its cookie.

use std::{
    io,
    net::{Ipv4Addr, SocketAddr},
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
    net::{TcpListener, TcpStream},
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
use crate::random;

/// A gallery that is served.
#[derive(Debug)]
pub(super) struct Server {
    pub(super) gallery: Arc<Gallery>,
    pub(super) address: SocketAddr,
    accepting: JoinHandle<()>,
}

/// Opens a port on a loopback address.
///
/// # Errors
/// What the system says.
pub(super) fn bind() -> io::Result<(TcpListener, SocketAddr)> {
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
    pub(super) fn start(gallery: Arc<Gallery>, listener: TcpListener, address: SocketAddr) -> Self {
        let accepting = tokio::spawn(accept(Arc::clone(&gallery), listener));
        Self { gallery, address, accepting }
    }

    /// Ends it: no one new is served, and what is being answered gets a moment.
    pub(super) async fn close(self) {
        self.gallery.stop.cancel();
        drop(self.accepting.await);
    }
}

async fn accept(gallery: Arc<Gallery>, listener: TcpListener) {
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
                Ok((stream, _)) => {
                    let (router, stop) = (router.clone(), stop.clone());
                    connections.spawn(async move {
                        let _place = place;
                        connection(stream, router, stop.cancelled()).await;
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

async fn connection(stream: TcpStream, router: Router, stop: impl Future<Output = ()>) {
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
