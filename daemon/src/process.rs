//! A daemon's process: its runtime, and the signals that stop it and make it reload.

use std::{convert::Infallible, future::pending, io};

use dos_host::signals::Ignored;
use futures_util::StreamExt as _;
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use tokio_util::sync::CancellationToken;

/// Runs a daemon from its start to its end on a runtime of its own.
///
/// # Errors
/// What the system says if there can be no runtime.
pub fn run<F: Future>(daemon: F) -> io::Result<F::Output> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let outcome = runtime.block_on(daemon);
    // Blocking work that did not end in time is cut off: whatever matters is durable.
    runtime.shutdown_background();
    Ok(outcome)
}

/// SIGHUP, SIGINT and SIGTERM, caught from here on unless they are to be ignored. What arrives before [`Signals::handle`] is not lost.
pub struct Signals(signal_hook_tokio::Signals);

impl std::fmt::Debug for Signals {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Signals").finish_non_exhaustive()
    }
}

impl Signals {
    /// Catches them. SIGHUP and SIGINT are left alone if whatever started this process has it ignore them: nohup(1) wants it to
    /// outlive the terminal, and a shell without job control wants what it runs in the background to outlive a Ctrl-C. Needs a runtime
    /// around it.
    ///
    /// # Errors
    /// What the system says.
    pub fn catch() -> io::Result<Self> {
        let mut caught = Ignored::of_process().handled(&[SIGHUP, SIGINT]);
        // What cannot be told to stop is killed instead.
        caught.push(SIGTERM);
        signal_hook_tokio::Signals::new(caught).map(Self)
    }

    /// Reloads at SIGHUP and cancels `stop` at the others, until it is dropped.
    pub async fn handle(mut self, stop: CancellationToken, reload: impl AsyncFn()) -> Infallible {
        while let Some(signal) = self.0.next().await {
            if signal == SIGHUP {
                reload().await;
            } else {
                stop.cancel();
            }
        }
        stop.cancel();
        pending().await
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use signal_hook::low_level::raise;
    use tokio::{sync::Notify, time::timeout};

    use super::*;

    #[tokio::test]
    async fn a_hang_up_reloads_and_any_other_signal_stops_even_if_it_came_before_they_are_handled() {
        let (signals, reloaded, stop) = (Signals::catch().unwrap(), Notify::new(), CancellationToken::new());
        raise(SIGHUP).unwrap();
        let story = async {
            reloaded.notified().await;
            assert!(!stop.is_cancelled());
            raise(SIGTERM).unwrap();
            stop.cancelled().await;
        };
        let handling = signals.handle(stop.clone(), async || reloaded.notify_one());
        let ended = timeout(Duration::from_secs(20), async {
            tokio::select! {
                () = story => {}
                never = handling => match never {},
            }
        });
        assert!(ended.await.is_ok());
    }
}
