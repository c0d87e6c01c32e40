//! One connection of dosctl: reads its command, runs it, writes what it says.
//!
//! What always holds: the first frame comes in time or the place is given up; what waits to be written is bounded; the
//! picture of a view, or a page of messages, counts as shown only when dosctl says so.

use std::{io, sync::Arc, time::Duration};

use dos_protocol::{
    Code, MessageId, WireError,
    control::{Command, FromPeerd, Outcome, ToPeerd},
    frame::{self, FrameError, Reader},
};
use interprocess::local_socket::tokio::Stream;
use tokio::{io::AsyncWriteExt, sync::mpsc, time::timeout};
use tokio_util::sync::CancellationToken;

use super::{
    add, approve, block, blocks, broadcast, cancel, checkin, checkout, deny, fetch, list, login, logout,
    messages, password, ping, preview, register, remove, rename, request, requests, resolve, send, share,
    shares, status, unblock, view, wait, watch,
};
use crate::{
    Core,
    store::{Open, OpenView},
};

/// The first frame comes within this time.
const COMMAND_TIME_MAX: Duration = Duration::from_secs(10);

/// A person who pages through what a command writes may take this long.
const READER_PATIENCE: Duration = Duration::from_secs(600);

/// After a refusal: what dosctl still sends is read away for so long, so that it gets to read the refusal.
const LINGER_TIME_MAX: Duration = Duration::from_secs(5);

/// Messages that wait to be written; a piece of a file has 256 KiB.
const MESSAGES_WAITING: usize = 4;

/// What is read from dosctl.
pub(super) type Input<'a> = Reader<&'a Stream>;

/// Where dosctl reads.
type Output<'a> = &'a Stream;

/// Where a command says things before it is done.
pub(super) type Out = mpsc::Sender<FromPeerd>;

/// What came of a command.
pub(super) struct Finished {
    pub(super) outcome: Outcome,
    /// What is to be done once dosctl has shown it.
    pub(super) then: Option<WhenShown>,
}

/// What is done once dosctl has shown what came of a command.
pub(super) enum WhenShown {
    /// The view is over.
    Close(OpenView),
    /// The messages at these places are read.
    Read(Vec<u64>),
    /// Whoever sent the message knows that it is sent: the same text again is another one.
    Sent(Open<MessageId>),
}

impl From<Outcome> for Finished {
    fn from(outcome: Outcome) -> Self {
        Self { outcome, then: None }
    }
}

/// Why a command was not carried to its end.
enum Broken {
    /// dosctl is gone.
    HungUp,
    /// It failed.
    Failed(WireError),
}

/// Serves one connection.
pub(super) async fn serve(core: Arc<Core>, stream: Stream, stop: CancellationToken) {
    let (mut input, mut output) = (Reader::new(&stream), &stream);
    let outcome = match first(&mut input).await {
        Ok(command) => Box::pin(carry_out(&core, command, &mut input, &mut output, stop)).await,
        Err(broken) => Err(broken),
    };
    match outcome {
        Ok(Finished { outcome, then }) => {
            let said = say(&mut output, &FromPeerd::Done(Box::new(outcome))).await;
            if let (Ok(()), Some(then)) = (said, then) {
                when_shown(&core, &mut input, then).await;
            }
        }
        Err(Broken::Failed(error)) => {
            tracing::debug!(code = error.code.as_str(), error = %error.message, "a command failed");
            if say(&mut output, &FromPeerd::Failed(error)).await.is_ok() {
                linger(&mut input).await;
            }
        }
        Err(Broken::HungUp) => {}
    }
}

async fn first(input: &mut Input<'_>) -> Result<Command, Broken> {
    let body = match timeout(COMMAND_TIME_MAX, input.next()).await {
        Ok(Ok(Some(body))) => body,
        Ok(Err(error @ FrameError::TooLarge(_))) => {
            return Err(Broken::Failed(WireError::new(Code::Invalid, error.to_string())));
        }
        _ => return Err(Broken::HungUp),
    };
    match frame::decode::<ToPeerd>(&body) {
        Ok(ToPeerd::Do(command)) => Ok(*command),
        Ok(_) => Err(Broken::Failed(WireError::new(Code::Invalid, "a command must come first"))),
        Err(error) => Err(Broken::Failed(
            WireError::new(Code::Unsupported, "this peerd does not know that command")
                .caused_by(error.to_string()),
        )),
    }
}

async fn say(output: &mut Output<'_>, message: &FromPeerd) -> io::Result<()> {
    let frame = frame::to_frame(message).or_else(|error| {
        let error = WireError::new(Code::Internal, "the answer is too large").caused_by(error.to_string());
        frame::to_frame(&FromPeerd::Failed(error))
    });
    let frame = frame.map_err(io::Error::other)?;
    timeout(READER_PATIENCE, output.write_all(&frame))
        .await
        .map_err(|_| io::Error::from(io::ErrorKind::TimedOut))?
}

async fn when_shown(core: &Arc<Core>, input: &mut Input<'_>, then: WhenShown) {
    let shown = async {
        match input.next().await {
            Ok(Some(body)) => matches!(frame::decode(&body), Ok(ToPeerd::Shown)),
            Ok(None) | Err(_) => false,
        }
    };
    if timeout(READER_PATIENCE, shown).await != Ok(true) {
        tracing::debug!(
            "what came of a command was not shown; its view stays open, its messages unread or unsent"
        );
        return;
    }
    let noted = match then {
        WhenShown::Close(view) => match core.store.close_view(view.id()).await {
            Ok(free) => {
                core.metrics.views_shown.inc();
                core.copies.remove(free).await;
                Ok(())
            }
            Err(error) => Err(error),
        },
        WhenShown::Read(places) => {
            let telling = Arc::clone(core);
            core.store.mark_read(places, move |mail| telling.tell_mail(mail)).await
        }
        WhenShown::Sent(sent) => core.store.drop_send(sent.id()).await,
    };
    if let Err(error) = noted {
        tracing::error!(error = &error as &dyn std::error::Error, "cannot note what was shown");
    }
}

async fn linger(input: &mut Input<'_>) {
    let read_away = async { while let Ok(Some(_)) = input.next().await {} };
    drop(timeout(LINGER_TIME_MAX, read_away).await);
}

/// Runs a command while writing what it says.
async fn carry_out(
    core: &Arc<Core>,
    command: Command,
    input: &mut Input<'_>,
    output: &mut Output<'_>,
    stop: CancellationToken,
) -> Result<Finished, Broken> {
    let (out, mut said) = mpsc::channel(MESSAGES_WAITING);
    let pump = async {
        while let Some(message) = said.recv().await {
            say(output, &message).await.map_err(|_| Broken::HungUp)?;
        }
        Ok(())
    };
    let work = async {
        let outcome = if let Command::Add { name, replace } = command {
            drop(out);
            Box::pin(add::run(core, name, replace, input)).await
        } else if is_durable(&command) {
            let core = Arc::clone(core);
            let task = tokio::spawn(async move { Box::pin(change(&core, command, out)).await });
            task.await.unwrap_or_else(|_| Err(WireError::new(Code::Internal, "the command failed")))
        } else {
            tokio::select! {
                biased;
                outcome = Box::pin(ask(core, command, out)) => outcome,
                () = hung_up(input) => return Err(Broken::HungUp),
                () = stop.cancelled() => Err(WireError::new(Code::Offline, "the daemon is stopping")),
            }
        };
        outcome.map_err(Broken::Failed)
    };
    let (finished, ()) = tokio::try_join!(work, pump)?;
    Ok(finished)
}

/// Returns when dosctl hangs up, or says what it should not.
async fn hung_up(input: &mut Input<'_>) {
    if let Ok(Some(_)) = input.next().await {
        tracing::debug!("unexpected data after a command");
    }
}

/// Whether the command changes something that must not be left half done.
fn is_durable(command: &Command) -> bool {
    matches!(
        command,
        Command::Register { .. }
            | Command::Recover { .. }
            | Command::SetPassword(_)
            | Command::Login { .. }
            | Command::Logout
            | Command::Remove(_)
            | Command::Rename { .. }
            | Command::Share { .. }
            | Command::Request { .. }
            | Command::Cancel(_)
            | Command::Approve { .. }
            | Command::Deny { .. }
            | Command::Checkout { .. }
            | Command::Checkin(_)
            | Command::Send { .. }
            | Command::Broadcast(_)
            | Command::Block(_)
            | Command::Unblock(_)
    )
}

/// The commands that change something.
async fn change(core: &Arc<Core>, command: Command, out: Out) -> Result<Finished, WireError> {
    // They say nothing before they are done.
    drop(out);
    let outcome = match command {
        Command::Register { server, name, password } => register::run(core, server, name, password).await,
        Command::Recover { server, name, password } => login::recover(core, server, name, password).await,
        Command::SetPassword(password) => password::run(core, password).await,
        Command::Login { force } => login::run(core, force).await,
        Command::Logout => logout::run(core).await,
        Command::Remove(name) => remove::run(core, name).await,
        Command::Rename { name, new } => rename::run(core, name, new).await,
        Command::Share { name, viewer, views, expires } => {
            share::run(core, name, viewer, (views, expires)).await
        }
        Command::Request { image, views, note } => request::run(core, image, views, note).await,
        Command::Cancel(request) => cancel::run(core, request).await,
        Command::Approve { request, views } => approve::run(core, request, views).await,
        Command::Deny { request, reason } => deny::run(core, request, reason).await,
        Command::Checkout { image, views } => checkout::run(core, image, views).await,
        Command::Checkin(image) => checkin::run(core, image).await,
        Command::Send { to, text, direct } => return send::run(core, to, text, direct).await,
        Command::Broadcast(text) => broadcast::run(core, text).await,
        Command::Block(peer) => block::run(core, peer).await,
        Command::Unblock(peer) => unblock::run(core, peer).await,
        _ => Err(unsupported()),
    };
    outcome.map(Finished::from)
}

/// The commands that can be given up at any time.
async fn ask(core: &Arc<Core>, command: Command, out: Out) -> Result<Finished, WireError> {
    let outcome = match command {
        Command::Status => status::run(core),
        Command::Wait { online, timeout } => wait::run(core, online, timeout).await,
        Command::List(query) => list::run(core, query).await,
        Command::Resolve(peer) => resolve::run(core, peer).await,
        Command::Preview(image) => preview::run(core, image).await,
        Command::Shares { given, received } => shares::run(core, given, received).await,
        Command::Requests { incoming, outgoing, all } => requests::run(core, (incoming, outgoing), all).await,
        Command::Fetch(image) => fetch::run(core, image, &out).await,
        Command::View { image, offline } => return view::run(core, image, offline, out).await,
        Command::Messages(query) => return messages::run(core, query).await,
        Command::Blocks => blocks::run(core).await,
        Command::Ping(peer) => ping::run(core, peer).await,
        Command::Watch { peers } => watch::run(core, peers, &out).await,
        _ => Err(unsupported()),
    };
    outcome.map(Finished::from)
}

fn unsupported() -> WireError {
    WireError::new(Code::Unsupported, "this peerd does not know that command")
}

/// The next piece of the file that dosctl sends; `None` at its end.
///
/// # Errors
/// If it stops before the end.
pub(super) async fn next_piece(input: &mut Input<'_>) -> Result<Option<Vec<u8>>, WireError> {
    let broken = |why: String| WireError::new(Code::Invalid, "the file did not arrive whole").caused_by(why);
    let body = match timeout(READER_PATIENCE, input.next()).await {
        Ok(Ok(Some(body))) => body,
        Ok(Ok(None)) => return Err(broken("dosctl hung up".into())),
        Ok(Err(error)) => return Err(broken(error.to_string())),
        Err(_) => return Err(broken("nothing came for a long time".into())),
    };
    match frame::decode(&body) {
        Ok(ToPeerd::Data(data)) => Ok(Some(data).filter(|data| !data.is_empty())),
        Ok(_) => Err(broken("something else came".into())),
        Err(error) => Err(broken(error.to_string())),
    }
}
