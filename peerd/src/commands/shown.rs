//! What came of a command, and what is still to be done once the user has seen it.
//!
//! What always holds: until then messages stay unread, and a change keeps its ID, so that a caller that was killed before it showed
//! anything can give the same command again, and nothing is done twice. A view is over before it is shown.

use std::sync::Arc;

use dos_protocol::{MessageId, control::Outcome};

use super::{Services, operation::Operation};
use crate::store::{Error, Open};

/// What came of a command.
#[derive(Debug)]
pub(crate) struct Finished {
    pub(crate) outcome: Outcome,
    /// What is to be done once it was shown.
    pub(crate) then: Option<WhenShown>,
}

impl From<Outcome> for Finished {
    fn from(outcome: Outcome) -> Self {
        Self { outcome, then: None }
    }
}

/// What is done once the user has seen what came of a command.
#[derive(Debug)]
pub(crate) enum WhenShown {
    /// The messages at these places are read.
    Read(Vec<u64>),
    /// The news up to this number were shown.
    News(u64),
    /// The sender knows that the message is sent: the same text again is another one.
    Sent(Open<MessageId>),
    /// The same command again is another change.
    Changed(Arc<Operation>),
    /// All of them.
    All(Vec<WhenShown>),
}

impl WhenShown {
    /// The user has seen it.
    pub(crate) async fn shown(self, services: &Arc<Services>) {
        if let Err(error) = self.note(services).await {
            tracing::error!(error = &error as &dyn std::error::Error, "cannot note what was shown");
        }
    }

    async fn note(self, services: &Arc<Services>) -> Result<(), Error> {
        match self {
            Self::Read(places) => {
                let feed = Arc::clone(&services.feed);
                services.store.mark_read(places, move |mail| feed.set_mail(mail)).await
            }
            Self::News(last) => services.store.news_shown(last).await,
            Self::Sent(message) => services.store.drop_send(message.id()).await,
            Self::Changed(operation) => operation.shown().await,
            Self::All(all) => {
                // Together, so that they are few commits.
                let noted =
                    futures_util::future::join_all(all.into_iter().map(|one| Box::pin(one.note(services))));
                noted.await.into_iter().collect()
            }
        }
    }
}
