//! `contacts`: the peers whose keys are pinned.

use std::sync::Arc;

use dos_protocol::{
    WireError,
    control::{Contact, Outcome},
    limits::PAGE_MAX,
};

use super::{Piece, Services, Sink};

/// All of them, in pieces.
///
/// # Errors
/// If the store fails.
pub(super) async fn run(services: &Arc<Services>, sink: &Sink) -> Result<Outcome, WireError> {
    let mut after = None;
    loop {
        let page: Vec<Contact> = services.store.pins(after, PAGE_MAX).await?;
        let Some(last) =
            page.last().filter(|_| page.len() >= usize::try_from(PAGE_MAX).unwrap_or(usize::MAX))
        else {
            return Ok(Outcome::Contacts(page));
        };
        after = Some(last.id);
        sink.give(Piece::Part(Box::new(Outcome::Contacts(page)))).await?;
    }
}
