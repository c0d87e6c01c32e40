//! `password`: sets the password with which another machine gets this ID and its key, or removes it.

use std::sync::Arc;

use dos_protocol::{
    Code, Password, WireError,
    control::Outcome,
    directory::{Answer, Escrow, Op},
    opaque::{OpaqueError, Registered, Registering},
};

use super::{Services, operation::Operation};
use crate::{
    copies::blocking,
    directory::{unexpected, unregistered},
    escrow::{self, Place, blob, too_old},
    rules::passwords,
};

/// Sets it at the directory, which does not see it; nothing of it stays here.
///
/// # Errors
/// `invalid` if it is easy to guess, or this peer has no name; `offline`; `unsupported` by a directory of the first release.
pub(super) async fn run(change: &Operation, password: Option<Password>) -> Result<Outcome, WireError> {
    let services = &change.services;
    let op = match password {
        Some(password) => {
            let (_, identity) = services.identity.registered().ok_or_else(unregistered)?;
            let name = identity.name.as_ref().map(|name| name.as_str());
            check(&password, name, &identity.server.host)?;
            Op::PasswordFinish(Box::new(escrow(services, password).await?))
        }
        None => {
            services.identity.registered().ok_or_else(unregistered)?;
            Op::PasswordRemove
        }
    };
    let answer = change.request(op).await;
    done(services, answer.map_err(too_old)?)
}

/// Sets it for a peer that has just registered, for whose commands there are no operation IDs yet: set twice, it is the same.
///
/// # Errors
/// As [`run`], with what is there nevertheless.
pub(super) async fn first(services: &Arc<Services>, password: Password) -> Result<(), WireError> {
    let set = async {
        let op = Op::PasswordFinish(Box::new(escrow(services, password).await?));
        let answer = services.upstream.request_tracked(op).await;
        done(services, answer.map_err(|failed| failed.error)?)
    };
    set.await.map(drop).map_err(|error| {
        let text = "you are registered, but the password is not set";
        WireError::new(error.code, text).caused_by(error.message).hint("dosctl password")
    })
}

/// Refuses a password that is easy to guess, before anything of it is used.
///
/// # Errors
/// `invalid`, with advice.
pub(super) fn check(password: &Password, name: Option<&str>, host: &str) -> Result<(), WireError> {
    let known: Vec<&str> = name.into_iter().chain([host]).collect();
    passwords::check(password.as_str(), &known)
}

/// What the directory will keep for this password.
async fn escrow(services: &Arc<Services>, password: Password) -> Result<Escrow, WireError> {
    let (peer, identity) = services.identity.registered().ok_or_else(unregistered)?;
    let password = password.normalised().unwrap_or(password);
    let (registering, request) = Registering::begin(password).map_err(failed)?;
    let start = Op::PasswordStart(blob(request)?);
    let answer = services.upstream.request_tracked(start).await.map_err(|failed| too_old(failed.error))?;
    let Answer::PasswordStarted(answer) = answer else { return Err(unexpected()) };
    // Stretching the password takes a while of one core.
    let sealing = blocking(move || {
        let directory = identity.server.key;
        let Registered { record, export_key } =
            registering.finish(answer.as_bytes(), &directory).map_err(failed)?;
        let sealed = escrow::seal(&export_key, &Place { directory, peer }, &identity.secret)?;
        Ok(Escrow { record: blob(record)?, sealed: blob(sealed)? })
    });
    sealing.await?
}

fn done(services: &Services, answer: Answer) -> Result<Outcome, WireError> {
    match answer {
        Answer::Done => {
            services.upstream.password_done();
            Ok(Outcome::Done)
        }
        _ => Err(unexpected()),
    }
}

fn failed(error: OpaqueError) -> WireError {
    match error {
        OpaqueError::Malformed | OpaqueError::Refused => {
            WireError::new(Code::Denied, "the directory's answer to the password makes no sense")
        }
        OpaqueError::Failed => WireError::new(Code::Internal, error.to_string()),
    }
}
