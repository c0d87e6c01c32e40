//! Carrying out invitations: after each sign-in, and when a guest or an inviter has said something.
//!
//! What always holds: an inviter that has not answered is greeted again in every session, under the same operation, so that what a
//! directory has lost is said again.

use std::sync::Arc;

use tokio_util::sync::CancellationToken;

use super::turns::Turns;
use crate::{
    invitations::{self, Invitations},
    upstream::Upstream,
};

/// Runs until `stop`.
pub(crate) async fn run(upstream: Arc<Upstream>, inviting: Arc<Invitations>, stop: CancellationToken) {
    let mut turns = Turns::new(&upstream, stop);
    while turns.next(&inviting.work).await {
        match turns.take(invitations::proceed(&inviting)).await {
            None => return,
            Some(Ok(())) => {}
            Some(Err(error)) => {
                tracing::debug!(error = %error.message, "invitations are carried out later");
            }
        }
    }
}
