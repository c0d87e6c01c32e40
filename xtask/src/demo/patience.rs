//! Waiting for what other processes do: with a deadline, and only until somebody presses Ctrl-C.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use anyhow::{Context, Result, bail};
use dos_testing::Backoff;
use signal_hook::{
    consts::{SIGHUP, SIGINT, SIGTERM},
    flag,
};

/// Whether to go on. A signal only sets a flag, so that everything is tidied up on the ordinary way out.
#[derive(Debug, Clone)]
pub(crate) struct Patience(Arc<AtomicBool>);

impl Patience {
    /// Lasts until SIGINT, SIGTERM or SIGHUP.
    ///
    /// # Errors
    /// If the system lets no signal be caught.
    pub(crate) fn until_interrupted() -> Result<Self> {
        let interrupted = Arc::new(AtomicBool::new(false));
        for signal in [SIGINT, SIGTERM, SIGHUP] {
            flag::register(signal, Arc::clone(&interrupted)).context("cannot catch signals")?;
        }
        Ok(Self(interrupted))
    }

    /// Whether there was a signal.
    pub(crate) fn is_over(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }

    /// # Errors
    /// After a signal.
    pub(crate) fn check(&self) -> Result<()> {
        if self.is_over() {
            bail!("interrupted");
        }
        Ok(())
    }

    /// Looks again and again until there is something.
    ///
    /// # Errors
    /// If there is nothing in time, after a signal, or what `look` says.
    pub(crate) fn wait<T>(
        &self,
        what: &str,
        at_most: Duration,
        mut look: impl FnMut() -> Result<Option<T>>,
    ) -> Result<T> {
        let mut backoff = Backoff::within(at_most);
        loop {
            self.check()?;
            if let Some(found) = look()? {
                return Ok(found);
            }
            if !backoff.pause() {
                bail!("waited {} s in vain: {what}", at_most.as_secs());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waiting_ends_with_what_was_found_or_at_the_deadline_or_by_a_signal() {
        let patience = Patience(Arc::new(AtomicBool::new(false)));
        let mut looks = 0;
        let found = patience.wait("third look", Duration::from_secs(60), || {
            looks += 1;
            Ok((looks == 3).then_some(looks))
        });
        assert_eq!(found.unwrap(), 3);
        let late = patience.wait("nothing", Duration::ZERO, || Ok(None::<()>)).unwrap_err();
        assert_eq!(late.to_string(), "waited 0 s in vain: nothing");
        patience.0.store(true, Ordering::Relaxed);
        assert!(patience.wait("anything", Duration::from_secs(60), || Ok(Some(()))).is_err());
    }
}
