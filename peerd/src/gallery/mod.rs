//! The gallery: what a user can do, in a browser. It translates requests into [`crate::commands`] and their outcomes into pages, and
//! decides nothing.
//!
//! What always holds: it listens on a loopback address alone, or at a socket for a proxy of its user; only a browser that `dosctl gallery` let in is answered ([`sessions`],
//! [`guard`]); what others wrote is text in a page, never markup ([`page`]); no page asks anything of another host. It is bounded
//! in connections, sessions, streams and bodies ([`limits`]), and holds no original: that passes through in pieces ([`original`]).

mod address;
mod answer;
mod assets;
mod changes;
mod guard;
mod limits;
mod live;
mod original;
mod page;
mod pages;
mod perform;
mod render;
mod routes;
mod server;
mod sessions;
mod telling;
mod thumb;
mod words;

use std::sync::Arc;

use dos_protocol::{Code, WireError, model::Address};
use tokio::{
    sync::{Semaphore, mpsc},
    time::{MissedTickBehavior, interval},
};
use tokio_util::sync::CancellationToken;

use crate::{
    commands::Services,
    config::GallerySwitch,
    entrance::{Asked, Pass, Place},
};
use limits::{LOOK_PAUSE, STREAMS_MAX};
use server::{Listener, Server};
use sessions::Sessions;

/// What all of its pages work with.
#[derive(Debug)]
struct Gallery {
    services: Arc<Services>,
    /// Where it is, as a browser writes it: scheme, host and port.
    origin: Box<str>,
    /// Host and port.
    host: Box<str>,
    sessions: Sessions,
    /// Places of browsers that receive what happens.
    streams: Arc<Semaphore>,
    /// Originals that are made into something that browsers show: one at a time is held in memory.
    renderings: Semaphore,
    stop: CancellationToken,
}

/// Serves the gallery from when it is asked for, or from the start, until `stop`.
pub(crate) async fn run(services: Arc<Services>, mut asked: mpsc::Receiver<Asked>, stop: CancellationToken) {
    let stays = services.config.gallery == GallerySwitch::On;
    let mut serving = if stays { serve(&services, &stop).ok() } else { None };
    let mut looks = interval(LOOK_PAUSE);
    looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            biased;
            () = stop.cancelled() => break,
            Some(answer) = asked.recv() => {
                if serving.is_none() {
                    match serve(&services, &stop) {
                        Ok(server) => serving = Some(server),
                        Err(error) => {
                            drop(answer.send(Err(error)));
                            continue;
                        }
                    }
                }
                if let Some(server) = &serving {
                    drop(answer.send(pass(server)));
                }
            }
            _ = looks.tick() => {
                if serving.as_ref().is_some_and(|server| server.gallery.sessions.are_over()) && !stays {
                    tracing::info!("the gallery is closed: no browser is left");
                    close(serving.take()).await;
                }
            }
        }
    }
    close(serving).await;
}

async fn close(serving: Option<Server>) {
    if let Some(server) = serving {
        server.close().await;
    }
}

/// Opens the port and begins to serve.
fn serve(services: &Arc<Services>, stop: &CancellationToken) -> Result<Server, WireError> {
    let proxy = services.config.gallery_proxy.as_ref();
    let listener = match proxy {
        None => Listener::on_loopback(),
        Some((path, _)) => Listener::at(path),
    };
    let failed = |error: std::io::Error| {
        WireError::new(Code::Internal, "cannot open a port or a socket for the gallery")
            .caused_by(error.to_string())
    };
    let listener =
        listener.map_err(failed).inspect_err(|error| tracing::warn!(%error, "there is no gallery"))?;
    let (place, origin, host, sessions) = match (listener.address(), proxy) {
        (Some(address), _) => {
            let sessions = Sessions::new(format!("dos-gallery-{}", address.port()), false);
            let origin = format!("http://{address}");
            (Place::Port(Address(address)), origin.into(), address.to_string().into(), sessions)
        }
        (None, Some((_, url))) => {
            let is_secure = url.is_secure();
            // With this prefix a browser takes the cookie over TLS alone, and from this very host (RFC 6265bis).
            let cookie = if is_secure { "__Host-dos-gallery" } else { "dos-gallery" };
            let place = Place::Proxy(url.origin().into());
            (place, url.origin().into(), url.host().into(), Sessions::new(cookie.into(), is_secure))
        }
        (None, None) => return Err(WireError::new(Code::Internal, "the gallery has no address")),
    };
    tracing::info!(listen = %origin, "the gallery is served");
    let gallery = Arc::new(Gallery {
        services: Arc::clone(services),
        origin,
        host,
        sessions,
        streams: Arc::new(Semaphore::new(STREAMS_MAX)),
        renderings: Semaphore::new(1),
        stop: stop.child_token(),
    });
    Ok(Server::start(gallery, listener, place))
}

fn pass(server: &Server) -> Result<Pass, WireError> {
    let token = server.gallery.sessions.invite()?;
    Ok(Pass { place: server.place.clone(), token })
}
