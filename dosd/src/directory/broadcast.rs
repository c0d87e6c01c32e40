//! `broadcast`: a message to every peer that is online and has not blocked the sender. Nothing of it is kept.

use std::{sync::Arc, time::Instant};

use dos_daemon::rate::Rate;
use dos_protocol::{
    Code, PeerId, Reason, Timestamp, WireError,
    directory::{Answer, Broadcast, FromDirectory, InboxMessage},
    frame,
    model::PeerRef,
};

use super::Directory;
use crate::{config::Switch, rules::messages::check_text, store::Refusal};

impl Directory {
    pub(super) async fn broadcast(&self, from: PeerId, broadcast: Broadcast) -> Result<Answer, Refusal> {
        check_text(&broadcast.text)?;
        let settings = self.settings();
        if settings.broadcast == Switch::Off {
            return Err(WireError::new(Code::Denied, "this directory passes on no broadcasts").into());
        }
        let sender = self.store.peer(PeerRef::Id(from)).await?;
        let rate = Rate::per_minute(settings.broadcasts_per_minute.into());
        self.broadcasts.take(from, rate, Instant::now()).map_err(|wait| {
            let error = WireError::new(Code::Denied, "too many broadcasts of yours");
            error.because(Reason::Limit).retry_after(wait)
        })?;
        let letter = InboxMessage {
            message: broadcast.message,
            from,
            from_name: sender.name,
            sent_at: Timestamp::now(),
            text: broadcast.text,
            sealed: None,
            from_key: Some(sender.key),
            signature: broadcast.signature,
        };
        let frame = frame::to_frame(&FromDirectory::Broadcast(Box::new(letter)))
            .map_err(|error| WireError::new(Code::Internal, error.to_string()))?;
        let told = self.live.broadcast(from, &Arc::from(frame)).await;
        tracing::info!(peer = %from, told, "passed on a broadcast");
        Ok(Answer::Told(told))
    }
}
