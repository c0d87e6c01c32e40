//! What the peer sends: requests, which are counted, refused or begun, acknowledgements, and pongs.

use std::sync::Arc;

use dos_protocol::{
    Code, WireError,
    directory::{Answer, FromDirectory, Op, Subscription, ToDirectory, read_request},
    frame::FrameError,
};
use tokio::time::Instant;

use super::{Done, End, Running};
use crate::rules::refusal::reached;

impl Running<'_> {
    pub(super) fn read(&mut self, read: Result<Option<Vec<u8>>, FrameError>) -> Result<(), End> {
        let body = match read {
            Ok(Some(body)) => body,
            Ok(None) => return Err(End::Closed),
            Err(error) => return Err(End::Broken(error)),
        };
        self.clock.heard(Instant::now());
        let message = read_request(&body);
        if let Ok(ToDirectory::Request { id, op, .. }) = &message
            && *op != Op::SignOut
            && let Err(error) = self.keep_pace()
        {
            self.directory.metrics.refused(&error);
            return self.send(&FromDirectory::Refused { id: Some(*id), error });
        }
        match message {
            Err((id, error)) => {
                tracing::debug!(peer = %self.session.peer(), %error, "refused a message");
                self.directory.metrics.refused(&error);
                self.send(&FromDirectory::Refused { id, error })
            }
            Ok(ToDirectory::Pong(number)) => {
                if number == self.ping {
                    self.session.note_round_trip(self.clock.since_ping(Instant::now()));
                }
                self.pings.answered(number, Instant::now());
                Ok(())
            }
            Ok(ToDirectory::Ping(number)) => {
                if let Err(error) = self.keep_pace() {
                    return self.send(&FromDirectory::Refused { id: None, error });
                }
                self.send(&FromDirectory::Pong(number))
            }
            Ok(ToDirectory::Ack(seq)) => {
                if !self.replay.acknowledge(seq) {
                    return Err(End::Protocol("acknowledged an update that was never sent"));
                }
                self.session.note_stored(seq);
                self.forget_stored(false);
                Ok(())
            }
            Ok(ToDirectory::Request { id, op: Op::SignOut, .. }) => {
                self.send(&FromDirectory::Answer { id, answer: Answer::Done })?;
                Err(End::SignedOut)
            }
            Ok(ToDirectory::Request { id, op: Op::Subscribe(subscription), .. }) => {
                self.clock.requested(Instant::now());
                self.subscribe(id, subscription)
            }
            Ok(ToDirectory::Request { id, op, operation }) => {
                self.clock.requested(Instant::now());
                if op == Op::Unregister {
                    self.leaving = Some(id);
                }
                let (directory, caller) = (Arc::clone(self.directory), self.session.caller());
                let performing = async move { (id, directory.perform(&caller, op, operation).await) };
                self.in_flight.push(Box::pin(performing));
                Ok(())
            }
        }
    }

    /// Counts a request against the peer's rate, which is the same in its next session; refuses one that comes too early.
    fn keep_pace(&self) -> Result<(), WireError> {
        let rate = self.directory.settings().limits.requests();
        let taken = self.directory.requests.take(self.session.peer(), rate, std::time::Instant::now());
        taken.map_err(|wait| reached("requests_per_second", "too many requests").retry_after(wait))
    }

    /// From now on the peer follows these, in place of those before.
    fn subscribe(&mut self, id: u32, subscription: Subscription) -> Result<(), End> {
        let begun = Instant::now();
        let followed = self.directory.live.follow(self.session.peer(), subscription);
        self.directory.metrics.performed("subscribe", begun.elapsed());
        let followed = followed.map(|follower| self.follower = follower.map(Box::new));
        self.answer((id, followed.map(|()| Answer::Done)))
    }

    pub(super) fn answer(&mut self, (id, result): Done) -> Result<(), End> {
        let has_left = self.leaving == Some(id) && result.is_ok();
        let message = match result {
            Ok(answer) => FromDirectory::Answer { id, answer },
            Err(error) => {
                self.directory.metrics.refused(&error);
                FromDirectory::Refused { id: Some(id), error }
            }
        };
        match self.send(&message) {
            Err(End::Broken(FrameError::TooLarge(bytes))) => {
                tracing::error!(peer = %self.session.peer(), bytes, "an answer does not fit a frame");
                let error = WireError::new(Code::Internal, "the answer is too large");
                self.send(&FromDirectory::Refused { id: Some(id), error })
            }
            Ok(()) if has_left => Err(End::SignedOut),
            sent => sent,
        }
    }
}
