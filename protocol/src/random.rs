//! Randomness from the system, for identifiers that must not be guessed or repeated.

use ring::rand::{SecureRandom, SystemRandom};

use crate::{id::PeerId, key::SecretError};

/// `N` random bytes.
///
/// # Errors
/// If the system gives none.
pub fn bytes<const N: usize>() -> Result<[u8; N], SecretError> {
    let mut bytes = [0; N];
    SystemRandom::new().fill(&mut bytes).map_err(|_| SecretError::Crypto)?;
    Ok(bytes)
}

/// A random number below `limit`, evenly (by rejection); zero if `limit` is zero.
///
/// # Errors
/// If the system gives no randomness.
pub fn below(limit: u64) -> Result<u64, SecretError> {
    let fair = u64::MAX - u64::MAX.checked_rem(limit).unwrap_or(0);
    loop {
        let number = u64::from_be_bytes(bytes()?);
        if number < fair || limit == 0 {
            return Ok(number.checked_rem(limit).unwrap_or(0));
        }
    }
}

/// A random peer ID. Whether it is free, the directory knows.
///
/// # Errors
/// If the system gives no randomness.
pub fn peer_id() -> Result<PeerId, SecretError> {
    loop {
        if let Some(id) = PeerId::from_number(below(PeerId::COUNT)?) {
            return Ok(id);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_stay_below_their_limit() {
        for limit in [1, 2, 3, 58, PeerId::COUNT] {
            assert!((0..200).all(|_| below(limit).unwrap() < limit));
        }
        assert_eq!(below(0), Ok(0));
    }

    #[test]
    fn a_drawn_peer_id_is_one_that_can_be_read_again() {
        for _ in 0..200 {
            let id = peer_id().unwrap();
            assert_eq!(id.to_string().parse(), Ok(id));
        }
    }
}
