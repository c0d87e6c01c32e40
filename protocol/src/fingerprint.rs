//! Fingerprints: a peer's key as digits that two people can compare by voice.
//!
//! 30 digits in six groups of five, some 99 bits: to find a second key with the same fingerprint takes 2^99 tries. They are drawn
//! from BLAKE3 of the key and the ID, so that a fingerprint names the peer as well. It is the same wherever it is shown.

use std::fmt;

use crate::{id::PeerId, key::PublicKey};

/// The context of the hash (BLAKE3, key derivation).
const CONTEXT: &str = "dos 2026 fingerprint of a peer's key v1";

/// The same, of a directory's.
const DIRECTORY_CONTEXT: &str = "dos 2026 fingerprint of a directory's key v1";

/// Groups of digits.
const GROUPS: usize = 6;

/// A peer's key, in digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Fingerprint([u32; GROUPS]);

impl Fingerprint {
    /// Of the key of this peer.
    #[must_use]
    pub fn new(peer: PeerId, key: &PublicKey) -> Self {
        let mut hasher = blake3::Hasher::new_derive_key(CONTEXT);
        hasher.update(&peer.number().to_be_bytes());
        hasher.update(key.as_bytes());
        Self::of(&hasher)
    }

    /// Of the key of a directory.
    #[must_use]
    pub fn of_directory(key: &PublicKey) -> Self {
        let mut hasher = blake3::Hasher::new_derive_key(DIRECTORY_CONTEXT);
        hasher.update(key.as_bytes());
        Self::of(&hasher)
    }

    fn of(hasher: &blake3::Hasher) -> Self {
        let mut reader = hasher.finalize_xof();
        Self(std::array::from_fn(|_| {
            // 64 bits for five digits: the remainder is even to one part in 10^14.
            let mut bytes = [0; 8];
            reader.fill(&mut bytes);
            u32::try_from(u64::from_be_bytes(bytes) % 100_000).unwrap_or(0)
        }))
    }
}

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let groups: Vec<_> = self.0.iter().map(|group| format!("{group:05}")).collect();
        f.pad(&groups.join(" "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(id: &str, byte: u8) -> String {
        Fingerprint::new(id.parse().unwrap(), &PublicKey::from([byte; 32])).to_string()
    }

    #[test]
    fn it_is_six_groups_of_five_digits_and_never_changes() {
        assert_eq!(of("7xKqPm2R", 9), EXPECTED);
        let groups: Vec<_> = EXPECTED.split(' ').collect();
        assert_eq!(groups.len(), 6);
        assert!(groups.iter().all(|group| group.len() == 5 && group.bytes().all(|b| b.is_ascii_digit())));
    }

    #[test]
    fn another_key_or_another_peer_has_another_one() {
        assert_ne!(of("7xKqPm2R", 9), of("7xKqPm2R", 8));
        assert_ne!(of("7xKqPm2R", 9), of("7xKqPm2S", 9));
    }

    const EXPECTED: &str = "08623 61163 07763 93831 01135 77081";
}
