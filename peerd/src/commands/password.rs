//! `password`: sets the password with which the ID can be recovered on another machine, or removes it.

use dos_protocol::{
    Password, WireError,
    control::Outcome,
    directory::{Answer, Op},
};

use super::operation::Operation;
use crate::directory::{unexpected, unregistered};

/// Sets it at the directory; nothing of it stays here.
///
/// # Errors
/// `invalid` if this peer has no name; `offline`.
pub(super) async fn run(change: &Operation, password: Option<Password>) -> Result<Outcome, WireError> {
    change.services.identity.registered().ok_or_else(unregistered)?;
    match change.request(Op::SetPassword(password)).await? {
        Answer::Done => Ok(Outcome::Done),
        _ => Err(unexpected()),
    }
}
