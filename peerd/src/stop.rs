//! Telling tasks to stop: one side says it once, any number of tasks wait for it.
//!
//! A daemon stops in two steps (see the crate's root), hence two of these. Nothing here waits for tasks to end.

use tokio::sync::watch;

/// Says it. Dropping it says it too.
#[derive(Debug)]
pub struct Stopper(watch::Sender<bool>);

/// Waits for it.
#[derive(Debug, Clone)]
pub struct Stop(watch::Receiver<bool>);

/// A pair of them.
#[must_use]
pub fn stop() -> (Stopper, Stop) {
    let (sender, receiver) = watch::channel(false);
    (Stopper(sender), Stop(receiver))
}

impl Stopper {
    /// Tells everybody.
    pub fn stop(&self) {
        self.0.send_replace(true);
    }
}

impl Stop {
    /// Returns when it was said.
    pub async fn stopped(&mut self) {
        // An error means that the sender is gone, which says the same.
        drop(self.0.wait_for(|stopped| *stopped).await);
    }
}
