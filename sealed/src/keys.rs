//! The content key of an image and the two shares it is split into.
//!
//! `content key = owner share XOR directory share`. The owner share is fresh and uniformly random for every
//! grant, so each share alone is independent of the key (a one-time pad), and deleting one kills the other.
//!
//! What always holds: the bytes are wiped when a value is dropped, and `Debug` never shows them. What this file
//! cannot do: wipe the copies a caller makes with [`ContentKey::as_bytes`], or those a move may leave on the stack.
//! The types have no `==`: comparing secrets in variable time is a mistake waiting to be made.

use ring::rand::{SecureRandom, SystemRandom};
use zeroize::Zeroizing;

use crate::seal::SealError;

/// Bytes of a content key and of each share: the key size of HKDF-SHA256's output and of AES-256.
pub const KEY_BYTES: usize = 32;

/// A key or a share was given as something else than [`KEY_BYTES`] bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{what} has {found} bytes instead of {KEY_BYTES}")]
pub struct KeyLengthError {
    what: &'static str,
    found: usize,
}

macro_rules! secret {
    ($(#[$doc:meta])* $name:ident, $what:literal) => {
        $(#[$doc])*
        #[derive(Clone)]
        pub struct $name(Zeroizing<[u8; KEY_BYTES]>);

        impl $name {
            /// Takes over the bytes. The caller's own copy stays the caller's to wipe.
            #[must_use]
            pub fn from_bytes(bytes: [u8; KEY_BYTES]) -> Self {
                Self(Zeroizing::new(bytes))
            }

            /// The secret bytes, to be stored or sent.
            #[must_use]
            pub fn as_bytes(&self) -> &[u8; KEY_BYTES] {
                &self.0
            }

            /// Draws a fresh one from the operating system's generator.
            ///
            /// # Errors
            /// [`SealError::Random`] if the system gives no random bytes.
            pub fn generate() -> Result<Self, SealError> {
                let mut bytes = Zeroizing::new([0; KEY_BYTES]);
                fill_random(bytes.as_mut_slice())?;
                Ok(Self(bytes))
            }
        }

        impl TryFrom<&[u8]> for $name {
            type Error = KeyLengthError;

            fn try_from(bytes: &[u8]) -> Result<Self, Self::Error> {
                let mut own = Zeroizing::new([0; KEY_BYTES]);
                if bytes.len() != own.len() {
                    return Err(KeyLengthError { what: $what, found: bytes.len() });
                }
                own.copy_from_slice(bytes);
                Ok(Self(own))
            }
        }

        impl std::fmt::Debug for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(concat!(stringify!($name), "(..)"))
            }
        }
    };
}

secret! {
    /// The key under which an original is sealed. Only the owner keeps it whole; a viewer's daemon joins it from
    /// the two shares for the time of one view.
    ContentKey, "content key"
}
secret! {
    /// The share that travels with the sealed copy from the owner to one viewer.
    OwnerShare, "owner share"
}
secret! {
    /// The share that the directory keeps for one grant, and gives out once per counted view.
    DirectoryShare, "directory share"
}

/// The context of [`OwnerShare::commitment`] (BLAKE3's key derivation mode): what is hashed here is hashed nowhere else.
const COMMITMENT_CONTEXT: &str = "dos 2026 owner share commitment v1";

impl OwnerShare {
    /// By which this share is known without being told. It has 256 random bits, so that its hash says nothing of it.
    #[must_use]
    pub fn commitment(&self) -> [u8; KEY_BYTES] {
        blake3::derive_key(COMMITMENT_CONTEXT, self.as_bytes())
    }
}

impl ContentKey {
    /// Splits the key for one grant: a fresh random owner share, and the directory share that completes it.
    ///
    /// # Errors
    /// [`SealError::Random`] if the system gives no random bytes.
    pub fn split(&self) -> Result<(OwnerShare, DirectoryShare), SealError> {
        let owner = OwnerShare::generate()?;
        let directory = self.complement(&owner);
        Ok((owner, directory))
    }

    /// The directory share that makes up this key together with an owner share that exists already.
    #[must_use]
    pub fn complement(&self, owner: &OwnerShare) -> DirectoryShare {
        DirectoryShare(xor(&self.0, &owner.0))
    }

    /// The key of two shares. Shares that do not belong together give a key that opens nothing, not an error.
    #[must_use]
    pub fn join(owner: &OwnerShare, directory: &DirectoryShare) -> Self {
        Self(xor(&owner.0, &directory.0))
    }
}

fn xor(a: &[u8; KEY_BYTES], b: &[u8; KEY_BYTES]) -> Zeroizing<[u8; KEY_BYTES]> {
    let mut out = Zeroizing::new(*a);
    for (out, b) in out.iter_mut().zip(b) {
        *out ^= b;
    }
    out
}

/// Fills `bytes` from the operating system's generator.
pub(crate) fn fill_random(bytes: &mut [u8]) -> Result<(), SealError> {
    SystemRandom::new().fill(bytes).map_err(|_| SealError::Random)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_two_shares_join_to_the_key() {
        let key = ContentKey::generate().unwrap();
        let (owner, directory) = key.split().unwrap();
        assert_eq!(ContentKey::join(&owner, &directory).as_bytes(), key.as_bytes());
        assert_eq!(key.complement(&owner).as_bytes(), directory.as_bytes());
        assert_ne!(owner.as_bytes(), key.as_bytes());
        assert_ne!(directory.as_bytes(), key.as_bytes());
    }

    #[test]
    fn every_split_is_fresh_and_shares_of_two_grants_do_not_join() {
        let key = ContentKey::generate().unwrap();
        let (owner_1, directory_1) = key.split().unwrap();
        let (owner_2, directory_2) = key.split().unwrap();
        assert_ne!(owner_1.as_bytes(), owner_2.as_bytes());
        assert_ne!(directory_1.as_bytes(), directory_2.as_bytes());
        assert_ne!(ContentKey::join(&owner_1, &directory_2).as_bytes(), key.as_bytes());
    }

    #[test]
    fn a_share_is_the_bytewise_xor() {
        let key = ContentKey::from_bytes([0b1100; KEY_BYTES]);
        let share = key.complement(&OwnerShare::from_bytes([0b1010; KEY_BYTES]));
        assert_eq!(share.as_bytes(), &[0b0110; KEY_BYTES]);
    }

    #[test]
    fn a_commitment_is_that_of_one_share_and_no_plain_hash_of_it() {
        let share = OwnerShare::from_bytes([7; KEY_BYTES]);
        assert_eq!(share.commitment(), share.clone().commitment());
        assert_ne!(share.commitment(), OwnerShare::from_bytes([8; KEY_BYTES]).commitment());
        assert_ne!(share.commitment(), *blake3::hash(&[7; KEY_BYTES]).as_bytes());
        assert_ne!(share.commitment(), *share.as_bytes());
    }

    #[test]
    fn debug_shows_the_type_and_nothing_of_the_bytes() {
        assert_eq!(format!("{:?}", ContentKey::from_bytes([7; KEY_BYTES])), "ContentKey(..)");
        assert_eq!(format!("{:#?}", OwnerShare::from_bytes([7; KEY_BYTES])), "OwnerShare(..)");
        assert_eq!(format!("{:?}", DirectoryShare::from_bytes([7; KEY_BYTES])), "DirectoryShare(..)");
    }

    #[test]
    fn bytes_of_another_length_are_refused() {
        assert_eq!(ContentKey::try_from([9; 32].as_slice()).unwrap().as_bytes(), &[9; 32]);
        for length in [0, 31, 33, 64] {
            let error = OwnerShare::try_from(vec![0; length].as_slice()).unwrap_err();
            assert_eq!(error.to_string(), format!("owner share has {length} bytes instead of 32"));
        }
    }
}
