//! What the store reports after its commits, handed to the live side, which knows no store.

use crate::{
    blocks::Blocking,
    live::{Live, Row},
    store::{Deliver, Owed},
};

impl Deliver for Live {
    fn deliver(&self, owed: Vec<Owed>) {
        self.push(owed.into_iter().map(|Owed { peer, seq, frame }| (peer, Row { seq, frame })));
    }

    fn blocking(&self, blocking: Blocking) {
        self.set_blocking(blocking);
    }
}
