//! The directory's time, as far as it is known here: by it grants expire, and no clock of this machine has a say in that.
//!
//! What always holds: [`Clock::at_least`] is never later than the time at the directory, as long as the directory's clock goes on.
//! What was heard is kept by the store, for the next start.

use std::{
    fs::File,
    io::Read,
    sync::{Mutex, OnceLock, PoisonError},
    time::Duration,
};

use dos_protocol::Timestamp;
use rustix::time::{ClockId, clock_gettime};

use crate::rules::clock::{self, BootId, Heard, Moment};

/// Where Linux tells which run of the machine this is (random(4)).
const BOOT_ID: &str = "/proc/sys/kernel/random/boot_id";

/// A UUID as text, with its line's end.
const BOOT_ID_BYTES: u64 = 37;

/// The directory's time.
#[derive(Debug)]
pub(crate) struct Clock(Mutex<Option<Heard>>);

impl Clock {
    /// That of a daemon that has heard this before it was started.
    pub(crate) fn new(heard: Option<Heard>) -> Self {
        Self(Mutex::new(heard))
    }

    /// What time it is there at least; the first moment of all if nothing was heard, so that nothing has expired then.
    pub(crate) fn at_least(&self) -> Timestamp {
        self.known().unwrap_or(Timestamp(i64::MIN))
    }

    /// The same; nothing if nothing was heard.
    pub(crate) fn known(&self) -> Option<Timestamp> {
        let heard = *self.0.lock().unwrap_or_else(PoisonError::into_inner);
        heard.map(|heard| clock::at_least(heard, here()))
    }

    /// What time it is there, as far as anything tells: for marks that no decision of others rests on.
    pub(crate) fn now(&self) -> Timestamp {
        self.known().unwrap_or_else(Timestamp::now)
    }

    /// What is known, for the store.
    pub(crate) fn heard(&self) -> Option<Heard> {
        self.known().map(|time| clock::told(time, here()))
    }

    /// The directory says what time it is.
    pub(crate) fn told(&self, time: Timestamp) -> Heard {
        let heard = clock::told(time, here());
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(heard);
        heard
    }

    /// Something came about at the directory at this time. Returns what is known now, if that is news.
    pub(crate) fn came_about(&self, time: Timestamp) -> Option<Heard> {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let heard = clock::came_about(*known, time, here())?;
        *known = Some(heard);
        Some(heard)
    }
}

/// This moment.
fn here() -> Moment {
    static BOOT: OnceLock<Option<BootId>> = OnceLock::new();
    let time = clock_gettime(ClockId::Boottime);
    let seconds = u64::try_from(time.tv_sec).unwrap_or(0);
    let nanoseconds = u32::try_from(time.tv_nsec).unwrap_or(0);
    Moment { boot: *BOOT.get_or_init(boot_id), since_boot: Duration::new(seconds, nanoseconds) }
}

fn boot_id() -> Option<BootId> {
    let mut text = String::new();
    File::open(BOOT_ID).ok()?.take(BOOT_ID_BYTES).read_to_string(&mut text).ok()?;
    let digits = text.trim().replace('-', "");
    u128::from_str_radix(&digits, 16).ok().filter(|_| digits.len() == 32).map(u128::to_be_bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_a_word_of_the_directory_nothing_has_expired() {
        let clock = Clock::new(None);
        assert_eq!((clock.at_least(), clock.known(), clock.heard()), (Timestamp(i64::MIN), None, None));
        assert!(clock.now() > Timestamp(0));
    }

    #[test]
    fn the_directorys_word_counts_and_this_machines_clock_does_not() {
        let clock = Clock::new(None);
        clock.told(Timestamp(1_000));
        let minute = Timestamp(61_000);
        assert!(clock.at_least() >= Timestamp(1_000) && clock.at_least() < minute, "it is not 1970 here");
        assert!(clock.now() < minute);
        assert!(clock.came_about(Timestamp(500)).is_none());
        assert_eq!(clock.came_about(minute).map(|heard| heard.time), Some(minute));
        assert!(clock.at_least() >= minute);
        let later = Clock::new(clock.heard());
        assert!(later.at_least() >= minute);
    }

    #[test]
    fn linux_tells_which_run_of_the_machine_this_is() {
        assert_eq!(boot_id().is_some(), std::path::Path::new(BOOT_ID).exists());
        assert_eq!(boot_id(), boot_id());
    }
}
