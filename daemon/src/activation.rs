//! The listening socket that the service manager passes (sd_listen_fds(3)), so that the port stays open while the service
//! is not there.
//!
//! What always holds: what was passed is exactly one listening TCP socket, or the start fails; it is never ignored.

use std::{io, net::TcpListener, num::ParseIntError, process};

use dos_host::variables::var_os;
use listenfd::ListenFd;
use socket2::SockRef;

/// Why what was passed cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ActivationError {
    /// `LISTEN_PID` or `LISTEN_FDS`.
    #[error("cannot understand {0} from the service manager")]
    Number(&'static str, #[source] ParseIntError),
    /// Not one.
    #[error("the service manager passed {0} sockets; there must be one")]
    Count(u32),
    /// Not TCP.
    #[error("the socket that the service manager passed is not a TCP socket")]
    Kind(#[source] io::Error),
    /// Not `ListenStream=` with `Accept=no`.
    #[error("the socket that the service manager passed does not listen")]
    Idle,
}

/// Takes the socket if one was passed to this process. It does not block. To be called once, before there are threads:
/// it takes the service manager's words out of the environment.
///
/// # Errors
/// As in [`ActivationError`].
pub fn tcp_listener() -> Result<Option<TcpListener>, ActivationError> {
    let number = |name: &'static str| match var_os(name) {
        None => Ok(None),
        Some(text) => match text.to_string_lossy().parse::<u32>() {
            Ok(number) => Ok(Some(number)),
            Err(error) => Err(ActivationError::Number(name, error)),
        },
    };
    // What a parent did not use and left in the environment is not for us.
    if number("LISTEN_PID")? != Some(process::id()) {
        return Ok(None);
    }
    match number("LISTEN_FDS")? {
        None => return Ok(None),
        Some(1) => {}
        Some(count) => return Err(ActivationError::Count(count)),
    }
    let Some(listener) = ListenFd::from_env().take_tcp_listener(0).map_err(ActivationError::Kind)? else {
        return Err(ActivationError::Count(0));
    };
    if !SockRef::from(&listener).is_listener().map_err(ActivationError::Kind)? {
        return Err(ActivationError::Idle);
    }
    listener.set_nonblocking(true).map_err(ActivationError::Kind)?;
    Ok(Some(listener))
}
