//! Which signals this process is to ignore: those that whatever started it has told it to, such as nohup(1), or a shell without job
//! control for what runs in the background.

use std::fs;

/// The signals, as they are when it is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Ignored(u64);

impl Ignored {
    /// This process's. To be called before it handles any. Where the kernel does not tell, none is.
    #[must_use]
    pub fn of_process() -> Self {
        fs::read_to_string("/proc/self/status").map(|status| Self::in_status(&status)).unwrap_or_default()
    }

    /// From proc_pid_status(5): `SigIgn` is a mask in hexadecimal, signal 1 is its lowest bit.
    fn in_status(status: &str) -> Self {
        let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
        Self(mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).unwrap_or(0))
    }

    /// Whether it is ignored.
    #[must_use]
    pub fn has(self, signal: i32) -> bool {
        let bit = u32::try_from(signal).ok().and_then(|signal| signal.checked_sub(1));
        bit.and_then(|bit| self.0.checked_shr(bit)).is_some_and(|mask| mask & 1 == 1)
    }

    /// Those of `signals` that are to be handled.
    #[must_use]
    pub fn handled(self, signals: &[i32]) -> Vec<i32> {
        signals.iter().copied().filter(|&signal| !self.has(signal)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_mask_of_the_kernel_is_read_bit_by_bit() {
        // SIGHUP is 1, SIGINT 2, SIGQUIT 3, SIGTERM 15.
        let ignored = Ignored::in_status(
            "Name:\tx\nSigBlk:\t0000000000000002\nSigIgn:\t0000000000000005\nSigCgt:\t0\n",
        );
        assert_eq!(ignored.handled(&[1, 2, 3, 15]), [2, 15]);
        assert!(!ignored.has(0) && !ignored.has(-1) && !ignored.has(64) && !ignored.has(65));
        assert!(Ignored::in_status("SigIgn:\t8000000000000000\n").has(64));
        assert_eq!(Ignored::in_status("nothing"), Ignored::default());
        assert_eq!(Ignored::in_status("SigIgn:\tsurprise\n"), Ignored::default());
    }
}
