//! What a user can do, whichever way the command comes: one file per command.
//!
//! What always holds: every command has a [`Kind`], which says whether it runs to its end; nothing here knows a socket. Those
//! who bring commands translate: what goes into a [`Sink`], what is read from an [`Upload`], and the [`Finished`].

mod add;
mod album;
mod approve;
mod block;
mod blocks;
mod broadcast;
mod cancel;
mod card;
mod checkin;
mod checkout;
mod contacts;
mod deny;
mod fetch;
mod gallery;
mod group;
mod image;
mod invite;
mod invites;
mod join;
mod kept;
mod kind;
mod later;
mod list;
mod login;
mod logout;
mod many;
mod messages;
mod name;
mod near;
mod netcheck;
mod newest;
mod news;
mod operation;
mod password;
mod ping;
mod preview;
mod register;
mod remove;
mod rename;
mod request;
mod requests;
mod resolve;
mod send;
mod server;
mod set;
mod share;
mod shares;
mod shown;
mod sink;
mod status;
mod trust;
mod unblock;
mod unregister;
mod view;
mod wait;
mod watch;

use std::{net::SocketAddr, sync::Arc};

use dos_protocol::{
    Code, MessageId, OperationId, WireError,
    control::{Command, Outcome},
    directory::RequestAccess,
};

use tokio::sync::watch::Receiver;
use tokio_util::sync::CancellationToken;

use crate::{
    cache::Cache,
    chores::albums::Albums,
    config::{Config, Settings},
    counters::Counters,
    entrance::Entrance,
    feed::Feed,
    identity::Identities,
    invitations::Invitations,
    ledger::Ledger,
    library::Library,
    mapping::Mapped,
    peer::Peers,
    presence::Interest,
    relearn::Relearning,
    remembered::Remembered,
    requests::Requests,
    rights::Grants,
    settings::CurrentSettings,
    state_dir::StateDir,
    store::{Live, Store},
    trust::Trust,
    upstream::Upstream,
};

pub(crate) use image::image;
pub(crate) use kept::Kept;
use kind::Kind;
pub(crate) use kind::kind;
use login::ByPassword;
use operation::Operation;
use share::Viewers;
pub(crate) use shown::{Finished, WhenShown};
pub(crate) use sink::{GoAhead, NoUpload, Piece, Sink, Upload, sink};

/// The parts of the daemon that commands work with.
#[derive(Debug)]
pub(crate) struct Services {
    /// As it was started; what can be changed is in `settings`.
    pub(crate) config: Config,
    pub(crate) dirs: StateDir,
    /// Where it listens for other peers.
    pub(crate) listen: SocketAddr,
    /// Where a router forwards that.
    pub(crate) mapped: Receiver<Mapped>,
    pub(crate) settings: CurrentSettings,
    pub(crate) store: Store,
    pub(crate) cache: Cache,
    pub(crate) identity: Arc<Identities>,
    pub(crate) upstream: Arc<Upstream>,
    pub(crate) feed: Arc<Feed>,
    pub(crate) counters: Counters,
    pub(crate) presence: Arc<Interest>,
    pub(crate) library: Arc<Library>,
    pub(crate) grants: Grants,
    pub(crate) requests: Requests,
    pub(crate) ledger: Arc<Ledger>,
    pub(crate) peers: Arc<Peers>,
    pub(crate) trust: Arc<Trust>,
    pub(crate) relearning: Arc<Relearning>,
    /// What peers get of albums.
    pub(crate) albums: Arc<Albums>,
    pub(crate) invitations: Arc<Invitations>,
    /// The way into the gallery.
    pub(crate) entrance: Entrance,
    /// What the directory has shown last.
    pub(crate) remembered: Remembered,
    /// Ends this daemon, so that it begins anew with what its state directory then is.
    pub(crate) anew: CancellationToken,
    /// Messages that live commands send.
    pub(crate) sends: Live<MessageId>,
    /// Changes that live commands make.
    pub(crate) operations: Live<OperationId>,
}

impl Services {
    /// Puts other settings in force: what is begun from now on obeys them.
    pub(crate) fn set(&self, settings: Settings) {
        self.settings.set(settings);
        self.peers.uploads.set(settings.uploads);
        self.peers.downloads.set(settings.downloads);
        // There may be room for more copies, or they are wanted now.
        self.cache.look();
    }
}

/// Carries out a command. One that is not durable is given up when the result is dropped.
///
/// # Errors
/// As the command's own file says.
pub(crate) async fn perform(
    services: &Arc<Services>,
    command: Command,
    upload: &mut dyn Upload,
    sink: Sink,
) -> Result<Finished, WireError> {
    match kind(&command) {
        // An upload goes on by itself once the file is here.
        Kind::Query | Kind::Stream | Kind::Upload => Box::pin(run(services, command, upload, sink)).await,
        Kind::Change => {
            let services = Arc::clone(services);
            to_its_end(async move { Box::pin(run(&services, command, &mut NoUpload, sink)).await }).await
        }
    }
}

/// Runs work that must not be left half done, also when its caller goes away.
async fn to_its_end(
    work: impl Future<Output = Result<Finished, WireError>> + Send + 'static,
) -> Result<Finished, WireError> {
    tokio::spawn(work).await.unwrap_or_else(|_| Err(WireError::new(Code::Internal, "the command failed")))
}

async fn run(
    services: &Arc<Services>,
    command: Command,
    upload: &mut dyn Upload,
    sink: Sink,
) -> Result<Finished, WireError> {
    run_with(services, command, upload, sink, &Viewers::default()).await
}

/// As [`run`], with what is known of viewers already.
#[expect(clippy::too_many_lines, reason = "a line for each command, and no more")]
async fn run_with(
    services: &Arc<Services>,
    command: Command,
    upload: &mut dyn Upload,
    sink: Sink,
    viewers: &Viewers,
) -> Result<Finished, WireError> {
    let (change, named) = (Operation::of(services, &command), near::named(&command));
    let finished = match command {
        Command::Register { server, name, password } => {
            done(register::run(services, server, name, password).await)
        }
        Command::Recover { server, name, password, force } => {
            done(login::by_password(services, ByPassword { server, name, password, force }).await)
        }
        Command::SetPassword(password) => done(password::run(&change, password).await),
        Command::Login { force } => done(login::run(services, force).await),
        Command::Logout => done(logout::run(services).await),
        Command::Server(link) => done(server::run(services, link).await),
        Command::Status => done(status::run(services)),
        Command::Wait { online, timeout } => done(wait::run(services, online, timeout).await),
        Command::List(query) => done(list::run(services, query).await),
        Command::Newest { peer, mine, before, limit } => {
            let peer = if mine { newest::Whose::Mine } else { newest::Whose::of(peer) };
            done(newest::run(services, peer, (before, limit)).await)
        }
        Command::Resolve(peer) => done(resolve::run(services, peer).await),
        command @ (Command::Add { .. } | Command::AddAs { .. }) => {
            return add::run(change, command, upload, &sink).await;
        }
        Command::Set { name, visibility, album, description } => {
            done(set::run(&change, name, visibility, (album, description)).await)
        }
        Command::Albums => done(album::all(services).await),
        Command::Album { name, after } => done(album::run(services, name, after).await),
        Command::Later { album, viewer, terms } => done(later::run(services, album, (viewer, terms)).await),
        Command::Remove(name) => done(remove::run(&change, name).await),
        Command::Rename { name, new } => done(rename::run(&change, name, new).await),
        Command::Preview(image) => done(preview::run(services, image).await),
        Command::Share { name, viewer, views, expires, allow_offline } => {
            done(share::run(&change, name, (viewer, viewers), (views, expires, allow_offline)).await)
        }
        Command::Shares { given, received } => done(shares::run(services, (given, received), &sink).await),
        Command::Request { image, views, note, offline } => {
            done(request::run(&change, RequestAccess { image, views, note, offline }).await)
        }
        Command::Cancel(request) => done(cancel::run(&change, request).await),
        Command::Requests { incoming, outgoing, all } => {
            done(requests::run(services, (incoming, outgoing), all, &sink).await)
        }
        Command::Approve { request, views, allow_offline } => {
            done(approve::run(&change, request, (views, allow_offline)).await)
        }
        Command::Deny { request, reason } => done(deny::run(&change, request, reason).await),
        Command::Fetch(image) => done(fetch::run(services, image, &sink).await),
        Command::View { image, offline, asks } => {
            done(view::run(services, (image, offline), asks, sink).await)
        }
        Command::Checkout { image, views } => done(checkout::run(services, image, views).await),
        Command::Checkin(image) => done(checkin::run(&change, image).await),
        Command::Watch { peers } => done(watch::run(services, peers, &sink).await),
        Command::Send { to, text, direct } => send::run(services, to, text, direct).await,
        Command::Broadcast(text) => done(broadcast::run(services, text).await),
        Command::Messages(query) => messages::run(services, query).await,
        Command::Block(peer) => done(block::run(&change, peer).await),
        Command::Unblock(peer) => done(unblock::run(&change, peer).await),
        Command::Blocks => done(blocks::run(services, &sink).await),
        Command::Ping(peer) => done(ping::run(services, peer).await),
        Command::Explain(peer) => done(ping::explain(services, peer).await),
        Command::Netcheck => done(netcheck::run(services).await),
        Command::Card => done(card::run(services)),
        Command::Contacts => done(contacts::run(services, &sink).await),
        Command::Inspect(peer) => done(trust::inspect(services, peer).await),
        Command::Trust { peer, key, name } => done(trust::run(services, (peer, key, name)).await),
        Command::KeepKey(peer) => done(trust::keep(services, peer).await),
        Command::Many(commands) => return many::run(services, commands, &sink).await,
        Command::Group { name, add, remove } => done(group::run(services, name, (add, remove)).await),
        Command::Groups => done(group::all(services).await),
        Command::Invite(new) => done(invite::run(services, *new).await),
        Command::Invites => done(invites::run(services).await),
        Command::RevokeInvite(guest) => done(invites::revoke(services, guest).await),
        Command::Join(link) => done(join::run(services, link).await),
        Command::Name(name) => done(name::run(&change, name).await),
        Command::Unregister => done(unregister::run(services).await),
        Command::News { all } => news::run(services, all, &sink).await,
        Command::Gallery => done(gallery::run(services).await),
    };
    match (change.conclude(finished).await, named) {
        (Err(error), Some(name)) => Err(near::with_near(services, name, error).await),
        (finished, _) => finished,
    }
}

fn done(outcome: Result<Outcome, WireError>) -> Result<Finished, WireError> {
    outcome.map(Finished::from)
}
