//! A login with a password: the peer's key from the directory, for a machine that does not have it.
//!
//! What always holds: nothing is written here, and nothing is changed at the directory but what it remembers of attempts; the
//! password does not leave this machine; the key that is returned is the one that the password has sealed for this ID at this
//! directory. The connection has a key of its own, drawn for it and forgotten with it.

use dos_protocol::{
    Code, JoinLink, Password, PeerId, PeerName, Reason, WireError,
    directory::{Answer, LoggedIn, LoginStart, Op},
    key::SecretKey,
    opaque::{LoggingIn, OpaqueError, Proved},
};

use super::{
    connection::{FIRST_REQUEST, Failure, Line},
    ways::Ways,
};
use crate::{
    copies::blocking,
    escrow::{self, Place, blob, too_old},
};

/// A key that the directory has kept.
#[derive(Debug)]
pub(crate) struct Escrowed {
    pub(crate) secret: SecretKey,
    pub(crate) id: PeerId,
    /// Whether another machine is signed in with it.
    pub(crate) online: bool,
}

/// Gets the key of the peer of this name with its password, in the spelling in which passwords are set. Earlier releases set them as
/// they were typed: if that differs and the other was wrong, that is tried too.
///
/// # Errors
/// `denied` if the name or the password is wrong, too many were, or the directory does not tell the truth; `offline`;
/// `unsupported` by a directory of the first release.
pub(crate) async fn log_in(
    link: &JoinLink,
    name: PeerName,
    password: Password,
) -> Result<Escrowed, WireError> {
    let Some(normalised) = password.normalised() else { return attempt(link, name, password).await };
    match attempt(link, name.clone(), normalised).await {
        Err(error) if error.reason == Some(Reason::WrongPassword) => attempt(link, name, password).await,
        outcome => outcome,
    }
}

async fn attempt(link: &JoinLink, name: PeerName, password: Password) -> Result<Escrowed, WireError> {
    let own = SecretKey::generate().map_err(|error| WireError::new(Code::Internal, error.to_string()))?;
    let mut ways = Ways::of(link, None, 0);
    let mut line = Line::open(&mut ways, link.key, &own).await.map_err(told)?;
    let (logging_in, request) = LoggingIn::begin(password).map_err(failed)?;
    let start = LoginStart { name, request: blob(request)? };
    let answer = line.ask(FIRST_REQUEST, Op::LoginStart(Box::new(start))).await;
    let answer = answer.map_err(|failure| too_old(failure.error))?;
    let Answer::LoginStarted(answer) = answer else { return Err(line.unexpected().error) };
    let directory = link.key;
    // Stretching the password takes a while of one core.
    let Proved { finalization, export_key } =
        blocking(move || logging_in.finish(answer.as_bytes(), &directory)).await?.map_err(failed)?;
    let finish = Op::LoginFinish(blob(finalization)?);
    let answer = line.ask(FIRST_REQUEST + 1, finish).await.map_err(told)?;
    let Answer::LoggedIn(logged_in) = answer else { return Err(line.unexpected().error) };
    let LoggedIn { id, key, sealed, online } = *logged_in;
    let place = Place { directory, peer: id };
    let secret = escrow::open(&export_key, &place, sealed.as_bytes(), &key)?;
    Ok(Escrowed { secret, id, online })
}

fn told(failure: Failure) -> WireError {
    failure.error
}

fn failed(error: OpaqueError) -> WireError {
    match error {
        OpaqueError::Refused => {
            WireError::new(Code::Denied, "wrong name or password").because(Reason::WrongPassword)
        }
        OpaqueError::Malformed => {
            WireError::new(Code::Denied, "the directory's answer to the password makes no sense")
        }
        OpaqueError::Failed => WireError::new(Code::Internal, error.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wrong_password_and_an_altered_answer_are_denied_with_a_reason() {
        for (error, code, reason) in [
            (OpaqueError::Refused, Code::Denied, Some(Reason::WrongPassword)),
            (OpaqueError::Malformed, Code::Denied, None),
            (OpaqueError::Failed, Code::Internal, None),
        ] {
            let refused = failed(error);
            assert_eq!((refused.code, refused.reason), (code, reason), "{error:?}");
        }
    }
}
