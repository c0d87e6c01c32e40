//! The first request of a connection, which must bring its peer online; or a login with a password, which gives a machine the key
//! to come online with, and after which it connects anew.
//!
//! What always holds: until a peer has signed in, it is not known, and no frame of it is larger than what it may say by then.

use std::{
    net::{IpAddr, SocketAddr},
    sync::Arc,
    time::Duration,
};

use dos_protocol::{
    Code, PublicKey, WireError,
    directory::{Answer, FromDirectory, LoginStart, Op, ToDirectory, read_request},
    frame::{self, Reader},
    limits::{FRAME_BYTES_MAX, LOGIN_TIME_MAX, SIGN_IN_TIME_MAX, UNSIGNED_FRAME_BYTES_MAX},
    tls::Stream,
};
use tokio::{net::TcpStream, time::timeout};

use super::{Connection, End, SignedIn, hang_up, write_out};
use crate::{
    directory::{Arrived, Directory, LoginPending, outdated},
    metrics::Entrance,
};

/// What is read, or what to refuse and the ID of the request that it is.
type Read = Result<ToDirectory, (Option<u32>, WireError)>;

/// An authenticated connection on which the first request has come.
pub(crate) struct First {
    reader: Connection,
    request: Read,
}

/// Waits for the first request of a connection. Nothing is done yet: it can be given up.
pub(crate) async fn first_request(stream: Stream<TcpStream>) -> Result<First, End> {
    let mut reader = Reader::bounded(Box::new(stream), UNSIGNED_FRAME_BYTES_MAX);
    let request = next(&mut reader, SIGN_IN_TIME_MAX).await?;
    Ok(First { reader, request })
}

/// Does what the first request asks for, which must be to sign in.
pub(crate) async fn sign_in(
    directory: &Arc<Directory>,
    key: PublicKey,
    seen: SocketAddr,
    first: Box<First>,
) -> Result<Box<SignedIn>, End> {
    // Here, so that the box is let go with the sign-in and not with the session.
    let First { mut reader, request } = *first;
    let arrived = enter(directory, (key, seen), &mut reader, request).await?;
    reader.allow(FRAME_BYTES_MAX);
    tracing::info!(peer = %arrived.session.peer(), address = %seen.ip(), "signed in");
    Ok(Box::new(SignedIn { arrived, reader }))
}

async fn enter(
    directory: &Arc<Directory>,
    (key, seen): (PublicKey, SocketAddr),
    reader: &mut Connection,
    first: Read,
) -> Result<Arrived, End> {
    let entrance = match &first {
        Ok(ToDirectory::Request { op, .. }) => Entrance::of(op),
        _ => Entrance::None,
    };
    let (id, result) = match first {
        Err((id, error)) => (id, Err(error)),
        Ok(ToDirectory::Request { id, op: Op::SignIn(sign_in), .. }) => {
            (Some(id), directory.sign_in(key, seen, sign_in).await)
        }
        Ok(ToDirectory::Request { id, op: Op::Register(register), .. }) => {
            (Some(id), directory.register(key, seen, register).await)
        }
        Ok(ToDirectory::Request { id, op: Op::LoginStart(start), .. }) => {
            return Err(log_in(directory, seen.ip(), reader, (id, *start)).await);
        }
        Ok(ToDirectory::Request { id, op: Op::Reclaim(reclaim), .. }) => {
            (Some(id), directory.reclaim(key, seen, *reclaim).await)
        }
        Ok(ToDirectory::Request { id, op: Op::Recover(_), .. }) => (Some(id), Err(outdated())),
        Ok(ToDirectory::Request { id, .. }) => (Some(id), Err(not_yet())),
        Ok(_) => (None, Err(not_yet())),
    };
    directory.metrics.signed_in(entrance, result.as_ref().err());
    match result {
        Ok((arrived, answer)) => {
            arrived.session.note_latest(arrived.latest);
            arrived.session.note_stored(arrived.stored);
            if let Err(end) = answer_with(reader, id.unwrap_or(0), Answer::SignedIn(answer)).await {
                directory.left(&arrived.session, end.for_store()).await;
                return Err(end);
            }
            Ok(arrived)
        }
        Err(error) => Err(refuse(reader, id, error).await),
    }
}

/// A login with a password, from its first message on, and how the connection ends.
async fn log_in(
    directory: &Directory,
    seen: IpAddr,
    reader: &mut Connection,
    (id, start): (u32, LoginStart),
) -> End {
    let (pending, answer) = match directory.login_start(seen, start).await {
        Ok(started) => started,
        Err(error) => {
            directory.metrics.signed_in(Entrance::Login, Some(&error));
            return refuse(reader, Some(id), error).await;
        }
    };
    let read = match answer_with(reader, id, Answer::LoginStarted(answer)).await {
        Ok(()) => next(reader, LOGIN_TIME_MAX).await,
        Err(end) => Err(end),
    };
    let read = match read {
        Ok(read) => read,
        Err(end) => {
            directory.login_abandoned(seen);
            return end;
        }
    };
    prove(directory, seen, reader, (pending, read)).await
}

/// The second message of a login.
async fn prove(
    directory: &Directory,
    seen: IpAddr,
    reader: &mut Connection,
    (pending, read): (LoginPending, Read),
) -> End {
    let (id, result) = match read {
        Ok(ToDirectory::Request { id, op: Op::LoginFinish(proof), .. }) => {
            (Some(id), directory.login_finish(seen, pending, &proof).await)
        }
        other => {
            directory.login_abandoned(seen);
            return match other {
                Ok(ToDirectory::Request { id, .. }) => refuse(reader, Some(id), not_yet()).await,
                Ok(_) => refuse(reader, None, not_yet()).await,
                Err((id, error)) => refuse(reader, id, error).await,
            };
        }
    };
    directory.metrics.signed_in(Entrance::Login, result.as_ref().err());
    match result {
        Ok(logged_in) => {
            let answer = Answer::LoggedIn(Box::new(logged_in));
            match answer_with(reader, id.unwrap_or(0), answer).await {
                Ok(()) => {
                    hang_up(reader).await;
                    End::Closed
                }
                Err(end) => end,
            }
        }
        Err(error) => refuse(reader, id, error).await,
    }
}

fn not_yet() -> WireError {
    WireError::new(Code::Denied, "sign in first")
}

async fn next(reader: &mut Connection, within: Duration) -> Result<Read, End> {
    match timeout(within, reader.next()).await {
        Err(_) => Err(End::Silent),
        Ok(Err(error)) => Err(End::Broken(error)),
        Ok(Ok(None)) => Err(End::Closed),
        Ok(Ok(Some(body))) => Ok(read_request(&body)),
    }
}

async fn answer_with(reader: &mut Connection, id: u32, answer: Answer) -> Result<(), End> {
    let mut out = Vec::new();
    frame::encode(&FromDirectory::Answer { id, answer }, &mut out).map_err(End::Broken)?;
    write_out(reader, &mut out).await
}

/// Refuses a request and hangs up.
async fn refuse(reader: &mut Connection, id: Option<u32>, error: WireError) -> End {
    let mut out = Vec::new();
    let refused = FromDirectory::Refused { id, error: error.clone() };
    if let Err(error) = frame::encode(&refused, &mut out) {
        return End::Broken(error);
    }
    if let Err(end) = write_out(reader, &mut out).await {
        return end;
    }
    hang_up(reader).await;
    End::Refused(error)
}
