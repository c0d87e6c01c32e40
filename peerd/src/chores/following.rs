//! Following contacts: what they show and what they are called, for `watch` and `news`.
//!
//! What always holds: every session follows anew, and asks what was shown since the last look; a push of a new image only makes it
//! ask, so that a push that is lost loses nothing. A directory that does not know it is asked once in a session.

use std::{sync::Arc, time::Duration};

use dos_protocol::{
    Code, WireError,
    directory::{Answer, Follow, Op, PeerNews},
};
use tokio::{sync::mpsc, time::sleep};
use tokio_util::sync::CancellationToken;

use super::turns::Turns;
use crate::{
    directory::{unexpected, unregistered},
    feed::Feed,
    identity::Identities,
    store::Happened,
    trust::Trust,
    upstream::Upstream,
};

/// Pushes that wait to be taken over. One that finds no place is lost; of new images the next look finds what it spoke of.
pub(crate) const PEER_NEWS_WAITING_MAX: usize = 256;

/// Between what makes it ask and the question: many images that come at once are asked for together.
const GATHER: Duration = Duration::from_millis(200);

/// What it works with.
#[derive(Debug)]
pub(crate) struct Following {
    pub(crate) upstream: Arc<Upstream>,
    pub(crate) identity: Arc<Identities>,
    pub(crate) trust: Arc<Trust>,
    pub(crate) feed: Arc<Feed>,
}

/// Runs until `stop`.
pub(crate) async fn run(following: Following, mut pushed: mpsc::Receiver<PeerNews>, stop: CancellationToken) {
    let offers = Arc::clone(following.trust.store.offers());
    let mut turns = Turns::new(&following.upstream, stop.clone());
    let asking = async {
        while turns.next(offers.others()).await {
            let work = async {
                sleep(GATHER).await;
                Box::pin(follow(&following)).await
            };
            match turns.take(work).await {
                None => return,
                Some(Ok(())) => {}
                Some(Err(error)) => tracing::debug!(error = %error.message, "contacts are followed later"),
            }
        }
    };
    let taking = async {
        while let Some(news) = pushed.recv().await {
            match following.trust.store.take_peer_news(news).await {
                Ok((told, asks)) => {
                    tell(&following.feed, told);
                    if asks {
                        offers.others().notify_one();
                    }
                }
                Err(error) => {
                    tracing::error!(
                        error = &error as &dyn std::error::Error,
                        "cannot keep what a contact did"
                    );
                }
            }
        }
    };
    tokio::select! {
        biased;
        () = stop.cancelled() => {}
        ((), ()) = async { tokio::join!(asking, taking) } => {}
    }
}

fn tell(feed: &Feed, told: Happened) {
    for (at, what) in told {
        feed.events.tell(at, what);
    }
}

/// Follows those who are contacts now, and asks what they have shown since the last look.
async fn follow(following: &Following) -> Result<(), WireError> {
    let store = &following.trust.store;
    loop {
        let (me, _) = following.identity.registered().ok_or_else(unregistered)?;
        let (peers, after) = store.followed().await?;
        let mut followed = match following.upstream.request(Op::Follow(Follow { peers, after })).await {
            Ok(Answer::Followed(followed)) => followed,
            Ok(_) => return Err(unexpected()),
            // Of an earlier release.
            Err(error) if error.code == Code::Unsupported => return Ok(()),
            Err(error) => return Err(error),
        };
        let more = followed.more;
        following.trust.judge_images(me, &mut followed.peers).await?;
        tell(&following.feed, store.take_followed(followed, store.clock().now()).await?);
        if !more {
            return Ok(());
        }
    }
}
