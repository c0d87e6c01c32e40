//! The first request of a connection, which must bring its peer online.

use std::{net::IpAddr, sync::Arc};

use dos_protocol::{
    Code, PublicKey, WireError,
    directory::{Answer, FromDirectory, Op, ToDirectory, read_request},
    frame::{self, Reader},
    limits::SIGN_IN_TIME_MAX,
    tls::Stream,
};
use tokio::{net::TcpStream, time::timeout};

use super::{End, hang_up, write_out};
use crate::{
    directory::{Arrived, Directory},
    metrics::Entrance,
};

/// Waits for the first request, which must be a sign-in.
pub(super) async fn sign_in(
    directory: &Arc<Directory>,
    key: PublicKey,
    seen: IpAddr,
    reader: &mut Reader<Stream<TcpStream>>,
) -> Result<Arrived, End> {
    let first = match timeout(SIGN_IN_TIME_MAX, reader.next()).await {
        Err(_) => return Err(End::Silent),
        Ok(Err(error)) => return Err(End::Broken(error)),
        Ok(Ok(None)) => return Err(End::Closed),
        Ok(Ok(Some(body))) => read_request(&body),
    };
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
        Ok(ToDirectory::Request { id, op: Op::Recover(recover), .. }) => {
            (Some(id), directory.recover(key, seen, *recover).await)
        }
        Ok(ToDirectory::Request { id, op: Op::Reclaim(reclaim), .. }) => {
            (Some(id), directory.reclaim(key, seen, *reclaim).await)
        }
        Ok(ToDirectory::Request { id, .. }) => (Some(id), Err(WireError::new(Code::Denied, "sign in first"))),
        Ok(_) => (None, Err(WireError::new(Code::Denied, "sign in first"))),
    };
    let mut out = Vec::new();
    directory.metrics.signed_in(entrance, result.as_ref().err());
    match result {
        Ok((arrived, answer)) => {
            arrived.session.note_latest(arrived.latest);
            arrived.session.note_stored(arrived.stored);
            let answer = FromDirectory::Answer { id: id.unwrap_or(0), answer: Answer::SignedIn(answer) };
            frame::encode(&answer, &mut out).map_err(End::Broken)?;
            if let Err(end) = write_out(reader, &mut out).await {
                directory.left(&arrived.session, end.for_store()).await;
                return Err(end);
            }
            Ok(arrived)
        }
        Err(error) => {
            frame::encode(&FromDirectory::Refused { id, error: error.clone() }, &mut out)
                .map_err(End::Broken)?;
            write_out(reader, &mut out).await?;
            hang_up(reader).await;
            Err(End::Refused(error))
        }
    }
}
