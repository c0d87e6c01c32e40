//! How long it takes to a peer and back, on a connection that is open.

use std::time::Duration;

use dos_protocol::{
    Code, WireError,
    frame::{self, Reader},
    limits::PING_TIME_MAX,
    peer::{FromPeer, ToPeer},
};
use tokio::{
    io::{AsyncRead, AsyncWrite, AsyncWriteExt},
    time::{Instant, timeout},
};

/// The shortest of `count` round trips, at least one.
///
/// # Errors
/// `timeout` without an answer; `offline` if the connection is lost; `unsupported` if the peer knows no pings.
pub(crate) async fn round_trip<S>(stream: &mut Reader<S>, times: u32) -> Result<Duration, WireError>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let lost =
        |cause: String| WireError::new(Code::Offline, "the connection to the peer was lost").caused_by(cause);
    let ping = frame::to_frame(&ToPeer::Ping).map_err(|error| lost(error.to_string()))?;
    let mut shortest = Duration::MAX;
    for _ in 0..times.max(1) {
        let start = Instant::now();
        let answered = async {
            stream.get_mut().write_all(&ping).await.map_err(|error| lost(error.to_string()))?;
            stream.get_mut().flush().await.map_err(|error| lost(error.to_string()))?;
            stream.next().await.map_err(|error| lost(error.to_string()))
        };
        let late = |_| WireError::new(Code::Timeout, "the peer did not answer in time");
        let body = timeout(PING_TIME_MAX, answered).await.map_err(late)??;
        let body = body.ok_or_else(|| lost("it closed the connection".into()))?;
        match frame::decode(&body) {
            Ok(FromPeer::Pong) => shortest = shortest.min(start.elapsed()),
            Ok(FromPeer::Refused(_)) => {
                return Err(WireError::new(Code::Unsupported, "the peer answers no pings"));
            }
            _ => return Err(lost("it sent something else".into())),
        }
    }
    Ok(shortest)
}
