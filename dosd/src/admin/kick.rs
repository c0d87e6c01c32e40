//! `kick`: ends sessions. A peer that is kicked stays registered and may sign in again.

use std::time::Duration;

use dos_protocol::{
    Code, PeerId, WireError,
    admin::{FromDosd, Whom},
    directory::NoticeKind,
    limits::WRITE_STALL_MAX,
};
use futures_util::{StreamExt, stream};
use tokio::time::timeout;

use super::{Operator, Replies, Stop, TOGETHER, check_text};
use crate::live::{Live, notice};

/// A session that is stuck in a write ends within [`WRITE_STALL_MAX`], every other one at once.
const END_TIME_MAX: Duration = WRITE_STALL_MAX.saturating_add(Duration::from_secs(5));

impl Operator {
    pub(super) async fn kick(
        &self,
        whom: Whom,
        reason: Option<Box<str>>,
        replies: &mut Replies,
    ) -> Result<(), Stop> {
        reason.as_deref().map(check_text).transpose()?;
        let text = reason.as_deref().unwrap_or("the operator has ended this session");
        let (peers, about) = match whom {
            Whom::All => (self.all_online(), "all".to_owned()),
            Whom::One(peer) => {
                let peer = self.online(&peer).await?.id;
                (vec![peer], peer.to_string())
            }
        };
        self.note(Self::acted("kick", reason.clone(), replies), about).await?;
        let count = peers.len();
        let live = &self.directory.live;
        let ending = stream::iter(peers).map(|peer| end(live, peer, text)).buffer_unordered(TOGETHER);
        let ended = ending.filter(|ended| std::future::ready(*ended)).count().await;
        tracing::info!(sessions = ended, reason = text, "kicked");
        if ended < count {
            let why = format!("{} of {count} sessions did not end in time", count - ended);
            return Err(WireError::new(Code::Timeout, why).into());
        }
        Ok(replies.send(FromDosd::Kicked(u64::try_from(ended).unwrap_or(u64::MAX))).await?)
    }
}

/// Tells whether it ended in time.
async fn end(live: &Live, peer: PeerId, text: &str) -> bool {
    timeout(END_TIME_MAX, live.close(peer, notice(NoticeKind::Kicked, text))).await.is_ok()
}
