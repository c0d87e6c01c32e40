//! Requests: made, withdrawn, answered.

use dos_protocol::{
    PeerId,
    directory::{Answer, Decide, Decision, RequestAccess},
};

use super::Directory;
use crate::{
    rules::requests::check_text,
    store::{Change, Refusal},
};

impl Directory {
    pub(super) async fn request(&self, change: Change, mut access: RequestAccess) -> Result<Answer, Refusal> {
        check_text(access.note.as_deref())?;
        let (owner, unknown) = access.image.owner.map(|owner| self.resolved(change.peer, owner)).unzip();
        access.image.owner = owner;
        let unknown = unknown.flatten();
        let request = self.store.request(change, access).await;
        Ok(Answer::Request(Box::new(request.map_err(|refusal| unknown.unwrap_or(refusal))?)))
    }

    pub(super) async fn requests(&self, peer: PeerId, after: Option<u64>) -> Result<Answer, Refusal> {
        let (requests, more) = self.store.requests(peer, after).await?;
        Ok(Answer::Requests { requests, more })
    }

    pub(super) async fn cancel(&self, change: Change, request: u64) -> Result<Answer, Refusal> {
        Ok(Answer::Request(Box::new(self.store.cancel(change, request).await?)))
    }

    pub(super) async fn decide(&self, change: Change, decide: Decide) -> Result<Answer, Refusal> {
        if let Decision::Deny { reason } = &decide.decision {
            check_text(reason.as_deref())?;
        }
        let request = self.store.decide(change, decide.request, decide.decision).await?;
        Ok(Answer::Request(Box::new(request)))
    }
}
