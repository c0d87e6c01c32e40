//! What the peer is sent without a request: its inbox in order, the presence of others, notices, and the last notice.

use std::sync::Arc;

use dos_protocol::directory::{FromDirectory, Notice};
use futures_util::StreamExt as _;
use tokio::time::Instant;

use super::{End, Rows, Running, hang_up, write_out};
use crate::live::{Push, Row};

impl Running<'_> {
    pub(super) async fn pushed(&mut self, push: Push) -> Result<(), End> {
        match push {
            Push::Update(row) => {
                // A row that is not the next one is left to the store, because those before it are not here: they did not
                // fit into the queue, are being read, or wait for acknowledgements. Kept rows would be a second queue per
                // session, without a bound.
                if self.catching_up.is_some() || !self.replay.takes(row.seq) {
                    return Ok(());
                }
                let Row { seq, at, update } = *row;
                self.send(&FromDirectory::Update { seq, at, update })
            }
            Push::Nodes(nodes) => self.send(&FromDirectory::Nodes(nodes.to_vec())),
            // Whatever woke the session has it look.
            Push::Look => Ok(()),
            Push::Broadcast(frame) => {
                self.out.extend_from_slice(&frame);
                Ok(())
            }
            Push::Say(notice) => self.send(&FromDirectory::Notice(notice)),
            Push::Call(call) => self.send(&FromDirectory::Call(call)),
            Push::Rendezvous(call) => self.send(&FromDirectory::Rendezvous(call)),
            Push::Ping(answer) => {
                let number = self.ping.wrapping_add(1);
                if !self.pings.add(number, Instant::now(), answer) {
                    return Ok(());
                }
                self.send_ping()
            }
            Push::Close(notice) => Box::pin(self.close(notice)).await,
        }
    }

    /// Begins to read from the store what the peer has not been sent, if anything.
    pub(super) fn catch_up(&mut self) {
        // The rows that are queued come first: the store would give the same ones again.
        if self.catching_up.is_some() || !self.pushes.is_empty() {
            return;
        }
        let Some(after) = self.replay.wants(self.session.latest()) else { return };
        let (directory, peer) = (Arc::clone(self.directory), self.session.peer());
        self.catching_up = Some(Box::pin(async move { directory.replay(peer, after).await }));
    }

    pub(super) fn caught_up(&mut self, rows: Rows) -> Result<(), End> {
        self.catching_up = None;
        let rows = rows.map_err(End::Refused)?;
        if !self.replay.goes_on_with(rows.first().map(|(seq, _)| *seq)) {
            // The rows between are gone from the store, and the next sign-in starts behind them.
            return Err(End::Forgotten);
        }
        for (seq, frame) in rows {
            if self.replay.takes(seq) {
                self.out.extend_from_slice(&frame);
            }
        }
        Ok(())
    }

    pub(super) fn send_presence(&mut self) -> Result<(), End> {
        let hidden = self.directory.live.hidden_from(self.session.peer());
        let changes = self.follower.as_mut().and_then(|follower| follower.take(|peer| hidden.contains(peer)));
        changes.map_or(Ok(()), |changes| self.send(&FromDirectory::Presence(changes)))
    }

    /// Finishes what was accepted, sends the peer the reason, and ends.
    pub(super) async fn close(&mut self, notice: Notice) -> Result<(), End> {
        // Acknowledgements are not read any more. Without this, two sessions that end together would wait for each other's:
        // each finishes its requests first, and a message sent to the other one is answered when it is acknowledged.
        self.session.note_ending();
        while let Some(done) = self.in_flight.next().await {
            self.answer(done)?;
        }
        self.send(&FromDirectory::Notice(notice.clone()))?;
        // A peer that does not take it ends for the same reason.
        if write_out(&mut self.reader, &mut self.out).await.is_ok() {
            hang_up(&mut self.reader).await;
        }
        Err(End::Notified(notice))
    }
}
