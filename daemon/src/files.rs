//! How many files and connections this process may have open.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Raises the soft limit of open files to the hard one, and returns what is in force.
///
/// The soft limit is 1024 on most systems for the sake of programs that call select(2), which these do not. Where it cannot be
/// raised, it stays.
pub fn raise_limit() -> u64 {
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    // Without a limit the kernel has one of its own (fs.nr_open), which is not less than this.
    let wanted = maximum.unwrap_or(UNLIMITED);
    match current {
        Some(current) if current < wanted => {
            match setrlimit(Resource::Nofile, Rlimit { current: Some(wanted), maximum }) {
                Ok(()) => wanted,
                Err(error) => {
                    tracing::debug!(%error, current, wanted, "cannot raise the limit of open files");
                    current
                }
            }
        }
        current => current.unwrap_or(UNLIMITED),
    }
}

/// The least that fs.nr_open has by default.
const UNLIMITED: u64 = 1 << 20;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_allowed_is_used() {
        let raised = raise_limit();
        let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
        assert_eq!(current.unwrap_or(UNLIMITED), raised);
        assert_eq!(maximum.unwrap_or(UNLIMITED), raised);
    }
}
