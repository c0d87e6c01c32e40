//! What the store reports after its commits, handed to the live side, which knows no store.

use dos_protocol::{PeerId, directory::PeerNews};

use crate::{
    live::{Live, Row},
    rules::BlockChange,
    store::{Deliver, InboxRow},
};

impl Deliver for Live {
    fn deliver(&self, rows: Vec<InboxRow>) {
        self.push(
            rows.into_iter()
                .map(|InboxRow { peer, seq, at, update, node }| (peer, Row { seq, at, update }, node)),
        );
    }

    fn blocking(&self, change: BlockChange) {
        self.set_block(change);
    }

    fn news(&self, news: PeerNews, except: Vec<PeerId>) {
        self.tell_news(news, except);
    }
}
