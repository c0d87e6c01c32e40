//! One connection of dosctl: reads its command, has it carried out, writes what it gives.
//!
//! What always holds: the first frame comes in time or the place is given up; what waits to be written is bounded; what came
//! of a command counts as shown only when dosctl says so, except to a dosctl that never does ([`Dialect`]).

use std::{io, sync::Arc, time::Duration};

use dos_protocol::{
    Code, WireError,
    control::{Command, FromPeerd, ToPeerd, read_command},
    frame::{self, FrameError, Reader},
};
use futures_util::future::BoxFuture;
use interprocess::local_socket::tokio::Stream;
use tokio::{io::AsyncWriteExt, time::timeout};
use tokio_util::sync::CancellationToken;
use zeroize::Zeroizing;

use crate::commands::{
    Finished, GoAhead, Kept, NoUpload, Piece, Services, Upload, WhenShown, kind, perform, sink,
};

/// The first frame comes within this time.
const COMMAND_TIME_MAX: Duration = Duration::from_secs(10);

/// A person who pages through what a command writes may take this long.
const READER_PATIENCE: Duration = Duration::from_secs(600);

/// After a refusal: what dosctl still sends is read away for this time, so that it gets to read the refusal.
const LINGER_TIME_MAX: Duration = Duration::from_secs(5);

/// What is read from dosctl.
struct Input<'a>(Reader<&'a Stream>);

/// Where dosctl reads.
type Output<'a> = &'a Stream;

/// What a dosctl knows, as its first frame tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Dialect {
    /// It takes every outcome in one piece, and says `shown` after views, which says nothing, messages and sent messages alone.
    Old,
    /// It takes parts, and says `shown` after every change.
    New,
}

/// Why a command was not carried to its end.
enum Broken {
    /// dosctl is gone.
    HungUp,
    /// It failed.
    Failed(WireError),
}

/// Serves one connection.
pub(super) async fn serve(services: Arc<Services>, stream: Stream, stop: CancellationToken) {
    let (mut input, mut output) = (Input(Reader::new(&stream)), &stream);
    let outcome = match first(&mut input).await {
        Ok((command, dialect)) => {
            let ends = (&mut input, &mut output);
            Box::pin(carry_out(&services, (command, dialect), ends, stop)).await
        }
        Err(broken) => Err(broken),
    };
    match outcome {
        Ok((Finished { outcome, then }, dialect)) => {
            let written = write(&mut output, &FromPeerd::Done(Box::new(outcome))).await;
            if let (Ok(()), Some(then)) = (written, then)
                && is_shown(&mut input, &then, dialect).await
            {
                then.shown(&services).await;
            }
        }
        Err(Broken::Failed(error)) => {
            tracing::debug!(code = error.code.as_str(), error = %error.message, "a command failed");
            if write(&mut output, &FromPeerd::Failed(error)).await.is_ok() {
                linger(&mut input).await;
            }
        }
        Err(Broken::HungUp) => {}
    }
}

async fn first(input: &mut Input<'_>) -> Result<(Command, Dialect), Broken> {
    let body = match timeout(COMMAND_TIME_MAX, input.0.next()).await {
        // It may have a password in it.
        Ok(Ok(Some(body))) => Zeroizing::new(body),
        Ok(Err(error @ FrameError::TooLarge(_))) => {
            return Err(Broken::Failed(WireError::new(Code::Invalid, error.to_string())));
        }
        _ => return Err(Broken::HungUp),
    };
    match read_command(&body) {
        Ok(ToPeerd::Do(command)) => Ok((*command, Dialect::Old)),
        Ok(ToPeerd::Perform(command)) => Ok((*command, Dialect::New)),
        Ok(ToPeerd::Data(_) | ToPeerd::Shown | ToPeerd::Go) => {
            Err(Broken::Failed(WireError::new(Code::Invalid, "a command must come first")))
        }
        Err(error) => Err(Broken::Failed(error)),
    }
}

async fn write(output: &mut Output<'_>, message: &FromPeerd) -> io::Result<()> {
    let frame = frame::to_frame(message).or_else(|error| {
        let error = WireError::new(Code::Internal, "the answer is too large").caused_by(error.to_string());
        frame::to_frame(&FromPeerd::Failed(error))
    });
    let frame = frame.map_err(io::Error::other)?;
    timeout(READER_PATIENCE, output.write_all(&frame))
        .await
        .map_err(|_| io::Error::from(io::ErrorKind::TimedOut))?
}

/// Whether dosctl has shown what came of the command.
async fn is_shown(input: &mut Input<'_>, then: &WhenShown, dialect: Dialect) -> bool {
    if dialect == Dialect::Old && matches!(then, WhenShown::Changed(_)) {
        // It never says so; taken for not shown, the same change made on purpose would not be made.
        return true;
    }
    let shown = async {
        match input.0.next().await {
            Ok(Some(body)) => matches!(read_command(&body), Ok(ToPeerd::Shown)),
            Ok(None) | Err(_) => false,
        }
    };
    let shown = timeout(READER_PATIENCE, shown).await == Ok(true);
    if !shown {
        tracing::debug!("what came of a command was not shown");
    }
    shown
}

async fn linger(input: &mut Input<'_>) {
    let read_away = async { while let Ok(Some(_)) = input.0.next().await {} };
    drop(timeout(LINGER_TIME_MAX, read_away).await);
}

/// Has a command carried out while writing what it gives.
async fn carry_out(
    services: &Arc<Services>,
    (command, dialect): (Command, Dialect),
    (input, output): (&mut Input<'_>, &mut Output<'_>),
    stop: CancellationToken,
) -> Result<(Finished, Dialect), Broken> {
    let (sink, mut pieces) = sink();
    let go_ahead = sink.go_ahead();
    let mut kept = Kept::default();
    let pump = async {
        while let Some(piece) = pieces.recv().await {
            let Some(message) = translated(piece, dialect, &mut kept) else { continue };
            write(output, &message).await.map_err(|_| Broken::HungUp)?;
        }
        Ok(())
    };
    let work = async {
        let outcome = if kind(&command).is_durable() {
            Box::pin(perform(services, command, input, sink)).await
        } else {
            let mut none = NoUpload;
            tokio::select! {
                biased;
                outcome = Box::pin(perform(services, command, &mut none, sink)) => outcome,
                () = hung_up(input, &go_ahead) => return Err(Broken::HungUp),
                () = given_up(&stop, &go_ahead) => Err(WireError::new(Code::Offline, "the daemon is stopping")),
            }
        };
        outcome.map_err(Broken::Failed)
    };
    let (Finished { outcome, then }, ()) = tokio::try_join!(work, pump)?;
    Ok((Finished { outcome: kept.with(outcome), then }, dialect))
}

/// What a piece is on the wire; nothing if it has to wait for the others.
fn translated(piece: Piece, dialect: Dialect, kept: &mut Kept) -> Option<FromPeerd> {
    match piece {
        Piece::Progress(progress) => Some(FromPeerd::Progress(progress)),
        Piece::Data(data) => Some(FromPeerd::Data(data)),
        Piece::Event(event) => Some(FromPeerd::Event(event)),
        Piece::Ready(bytes, spends) => Some(FromPeerd::Ready { bytes, spends }),
        Piece::Part(part) if dialect == Dialect::New => Some(FromPeerd::Part(part)),
        Piece::Part(part) => {
            kept.add(*part);
            None
        }
    }
}

/// Returns when the daemon stops, unless something would be lost by that: then what waits for the command gives it some time.
async fn given_up(stop: &CancellationToken, go_ahead: &GoAhead) {
    stop.cancelled().await;
    if go_ahead.has_begun() {
        std::future::pending::<()>().await;
    }
}

/// Returns when dosctl hangs up, or sends what it should not; meanwhile passes on that it has room for what was announced.
async fn hung_up(input: &mut Input<'_>, go_ahead: &GoAhead) {
    while let Ok(Some(body)) = input.0.next().await {
        if read_command(&body) != Ok(ToPeerd::Go) {
            tracing::debug!("unexpected data after a command");
            return;
        }
        go_ahead.give();
    }
}

impl Upload for Input<'_> {
    fn next(&mut self) -> BoxFuture<'_, Result<Option<Vec<u8>>, WireError>> {
        Box::pin(next_piece(&mut self.0))
    }

    fn turn(&mut self) -> BoxFuture<'_, Result<(), WireError>> {
        Box::pin(turn(&mut self.0))
    }
}

async fn next_piece(input: &mut Reader<&Stream>) -> Result<Option<Vec<u8>>, WireError> {
    let broken = |why: String| WireError::new(Code::Invalid, "the file did not arrive whole").caused_by(why);
    match next_of_upload(input).await {
        Ok(ToPeerd::Data(data)) => Ok(Some(data).filter(|data| !data.is_empty())),
        Ok(_) => Err(broken("something else came".into())),
        Err(why) => Err(broken(why)),
    }
}

async fn turn(input: &mut Reader<&Stream>) -> Result<(), WireError> {
    let broken = |why: String| WireError::new(Code::Invalid, "the image was not published").caused_by(why);
    match next_of_upload(input).await {
        Ok(ToPeerd::Go) => Ok(()),
        Ok(_) => Err(broken("something else came than its turn".into())),
        Err(why) => Err(broken(why)),
    }
}

/// What comes next, or why nothing does.
async fn next_of_upload(input: &mut Reader<&Stream>) -> Result<ToPeerd, String> {
    let body = match timeout(READER_PATIENCE, input.next()).await {
        Ok(Ok(Some(body))) => Zeroizing::new(body),
        Ok(Ok(None)) => return Err("dosctl hung up".into()),
        Ok(Err(error)) => return Err(error.to_string()),
        Err(_) => return Err("nothing came for a long time".into()),
    };
    read_command(&body).map_err(|error| error.to_string())
}
