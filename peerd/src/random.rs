//! Random bytes and numbers from the operating system, by the one source that the programs have
//! ([`dos_protocol::random`]), with an error of its own: there, what fails is a key.

use dos_protocol::{Code, WireError, random};

/// The operating system gives no random bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the system gives no random bytes")]
pub struct NoRandomness;

impl From<NoRandomness> for WireError {
    fn from(error: NoRandomness) -> Self {
        Self::new(Code::Internal, error.to_string())
    }
}

/// `N` fresh bytes.
///
/// # Errors
/// [`NoRandomness`].
pub(crate) fn bytes<const N: usize>() -> Result<[u8; N], NoRandomness> {
    random::bytes().map_err(|_| NoRandomness)
}

/// A number for spreading timers, where a bad one does no harm.
#[must_use]
pub(crate) fn jitter() -> u32 {
    bytes().map_or(0, u32::from_be_bytes)
}
