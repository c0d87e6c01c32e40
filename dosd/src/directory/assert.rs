//! `assert`: what a peer knows from an earlier incarnation of the data.

use dos_protocol::{
    directory::{Answer, Assertion},
    limits::ASSERTED_MAX,
    model::PreviewSize,
};

use super::Directory;
use crate::{
    rules::{publish, refusal::invalid},
    store::{Change, Refusal},
};

impl Directory {
    pub(super) async fn assert(&self, change: Change, assertion: Assertion) -> Result<Answer, Refusal> {
        if assertion.count() > ASSERTED_MAX {
            return Err(invalid(format!("at most {ASSERTED_MAX} things are asserted at once")).into());
        }
        if let Assertion::Image(image) = &assertion {
            // Its preview is the one that it was published with, perhaps when larger ones were kept.
            publish::check(&image.publish, PreviewSize::Large)?;
        }
        Ok(Answer::Asserted(self.store.assert(change, assertion).await?))
    }
}
