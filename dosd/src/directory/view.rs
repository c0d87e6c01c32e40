//! Views: spent, checked out, given back.

use std::time::Instant;

use dos_daemon::rate::Rate;
use dos_protocol::{
    ViewId,
    directory::{Answer, Checkin, Spend, SpendKind, ViewedKind},
};

use super::Directory;
use crate::{
    rules::refusal::reached,
    store::{Change, Refusal},
};

impl Directory {
    pub(super) async fn spend(&self, change: Change, spend: Spend) -> Result<Answer, Refusal> {
        let rate = Rate::per_minute(self.settings().limits.views_per_minute.into());
        if let Err(wait) = self.views.take(change.peer, rate, Instant::now()) {
            return Err(reached("views_per_minute", "too many views").retry_after(wait).into());
        }
        let (kind, views) = (spend.kind, spend.views);
        let spent = self.store.spend(change, spend).await?;
        if spent.is_new {
            let kind = match kind {
                SpendKind::View => ViewedKind::View,
                SpendKind::Checkout => ViewedKind::Checkout,
            };
            self.metrics.viewed(kind, views);
        }
        Ok(Answer::Spent(Box::new(spent.value)))
    }

    pub(super) async fn checkin(&self, change: Change, checkin: Checkin) -> Result<Answer, Refusal> {
        let (unused, given_up) = (checkin.unused, checkin.given_up);
        let grant = self.store.checkin(change, checkin).await?;
        if grant.is_new {
            self.metrics.viewed(ViewedKind::Checkin, unused);
            self.metrics.viewed(ViewedKind::GivenUp, given_up);
        }
        Ok(Answer::Grant(Box::new(grant.value)))
    }

    pub(super) async fn close_views(&self, change: Change, views: Vec<ViewId>) -> Result<Answer, Refusal> {
        self.store.close_views(change, views).await?;
        Ok(Answer::Done)
    }
}
