//! Random bytes and numbers from the operating system.

use dos_protocol::{Code, WireError};
use ring::rand::{SecureRandom, SystemRandom};

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
    let mut out = [0; N];
    SystemRandom::new().fill(&mut out).map_err(|_| NoRandomness)?;
    Ok(out)
}

/// A number for spreading timers, where a bad one does no harm.
#[must_use]
pub(crate) fn jitter() -> u32 {
    bytes().map_or(0, u32::from_be_bytes)
}
