//! What the store reports after its commits, handed to the live side, which knows no store.

use crate::{
    live::{Live, Row},
    rules::BlockChange,
    store::{Deliver, InboxRow},
};

impl Deliver for Live {
    fn deliver(&self, rows: Vec<InboxRow>) {
        self.push(rows.into_iter().map(|InboxRow { peer, seq, at, update }| (peer, Row { seq, at, update })));
    }

    fn blocking(&self, change: BlockChange) {
        self.set_block(change);
    }
}
