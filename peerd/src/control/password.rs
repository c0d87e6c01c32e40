//! `password`: sets the password with which the ID can be taken back on another machine, or removes it.

use std::sync::Arc;

use dos_protocol::{
    Password, WireError,
    control::Outcome,
    directory::{Answer, Op},
};

use crate::{
    Core,
    upstream::{unexpected, unregistered},
};

/// Sets it at the directory; nothing of it stays here.
///
/// # Errors
/// `invalid` if this peer has no name; `offline`.
pub(super) async fn run(core: &Arc<Core>, password: Option<Password>) -> Result<Outcome, WireError> {
    core.identity.registered().ok_or_else(unregistered)?;
    match core.upstream.request_again(Op::SetPassword(password)).await? {
        Answer::Done => Ok(Outcome::Done),
        _ => Err(unexpected()),
    }
}
