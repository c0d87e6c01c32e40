//! The vault: secrets at rest in the database, each sealed under a key that only the identity file gives.
//!
//! AES-256-GCM with a random nonce of 96 bits (NIST SP 800-38D, section 8.2.2: good for 2^32 secrets), under
//! HKDF-SHA256 (RFC 5869) of the identity's seed. What a secret is and the row that it belongs to are authenticated with
//! it, so that a secret moved to another row does not open. What it does not do: protect against a program that can read the
//! identity file too.

use ring::{
    aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey},
    hkdf::{HKDF_SHA256, KeyType, Salt},
};
use zeroize::{Zeroize, Zeroizing};

use crate::random::{self, NoRandomness};

/// Bytes of every secret in the vault.
pub(crate) const SECRET_BYTES: usize = 32;

/// Why a secret cannot be put in or taken out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum VaultError {
    /// No nonce.
    #[error(transparent)]
    Random(#[from] NoRandomness),
    /// The library refuses the sizes, which never vary.
    #[error("the vault's cipher cannot be set up")]
    Setup,
    /// Damaged, of another identity, or of another row.
    #[error("a stored secret does not open with this identity")]
    Damaged,
}

impl From<VaultError> for dos_protocol::WireError {
    fn from(error: VaultError) -> Self {
        Self::new(dos_protocol::Code::Internal, error.to_string())
    }
}

/// What a stored secret is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EventKind {
    /// The key of an image of one's own; its row is the sealed copy's hash.
    ContentKey,
    /// What the owner shares of an image are derived from; its row is the sealed copy's hash.
    ShareSecret,
    /// The owner's share for a received right; its row is the split.
    OwnerShare,
    /// The key of an image of which views are held; its row is the checkout's ID.
    HeldKey,
    /// What both sides of an invitation know; its row is the invitation's ID.
    InviteKey,
}

impl EventKind {
    fn tag(self) -> &'static [u8] {
        match self {
            Self::ContentKey => b"content key\0",
            Self::ShareSecret => b"share secret\0",
            Self::OwnerShare => b"owner share\0",
            Self::HeldKey => b"held key\0",
            Self::InviteKey => b"invite key\0",
        }
    }
}

/// Seals and opens secrets for one identity.
pub struct Vault(LessSafeKey);

struct KeyBytes;

impl KeyType for KeyBytes {
    fn len(&self) -> usize {
        SECRET_BYTES
    }
}

/// `SECRET_BYTES` of HKDF-SHA256.
///
/// # Errors
/// [`VaultError::Setup`], which no input brings about.
pub(crate) fn hkdf(
    salt: &[u8],
    secret: &[u8],
    info: &[&[u8]],
) -> Result<Zeroizing<[u8; SECRET_BYTES]>, VaultError> {
    let mut out = Zeroizing::new([0; SECRET_BYTES]);
    Salt::new(HKDF_SHA256, salt)
        .extract(secret)
        .expand(info, KeyBytes)
        .and_then(|okm| okm.fill(out.as_mut_slice()))
        .map_err(|_| VaultError::Setup)?;
    Ok(out)
}

impl Vault {
    /// The vault of the identity with this seed.
    ///
    /// # Errors
    /// [`VaultError::Setup`].
    pub fn new(seed: &[u8; SECRET_BYTES]) -> Result<Self, VaultError> {
        let key = hkdf(&[], seed, &[b"dos peerd vault v1"])?;
        let key = UnboundKey::new(&AES_256_GCM, key.as_slice()).map_err(|_| VaultError::Setup)?;
        Ok(Self(LessSafeKey::new(key)))
    }

    /// A secret as it may rest in `row`: nonce, ciphertext, tag.
    ///
    /// # Errors
    /// [`VaultError::Random`] or [`VaultError::Setup`].
    pub fn seal(
        &self,
        what: EventKind,
        row: &[u8],
        secret: &[u8; SECRET_BYTES],
    ) -> Result<Vec<u8>, VaultError> {
        let nonce: [u8; NONCE_LEN] = random::bytes()?;
        let mut body = Zeroizing::new(*secret);
        let aad = Aad::from([what.tag(), row].concat());
        let tag = self
            .0
            .seal_in_place_separate_tag(Nonce::assume_unique_for_key(nonce), aad, body.as_mut_slice())
            .map_err(|_| VaultError::Setup)?;
        Ok([nonce.as_slice(), body.as_slice(), tag.as_ref()].concat())
    }

    /// The secret that was sealed for `row`.
    ///
    /// # Errors
    /// [`VaultError::Damaged`].
    pub fn open(
        &self,
        what: EventKind,
        row: &[u8],
        sealed: &[u8],
    ) -> Result<Zeroizing<[u8; SECRET_BYTES]>, VaultError> {
        let (nonce, body) = sealed.split_first_chunk::<NONCE_LEN>().ok_or(VaultError::Damaged)?;
        let mut body = Zeroizing::new(body.to_vec());
        let aad = Aad::from([what.tag(), row].concat());
        let plain = self
            .0
            .open_in_place(Nonce::assume_unique_for_key(*nonce), aad, body.as_mut_slice())
            .map_err(|_| VaultError::Damaged)?;
        let mut secret = Zeroizing::new([0; SECRET_BYTES]);
        if plain.len() != SECRET_BYTES {
            plain.zeroize();
            return Err(VaultError::Damaged);
        }
        secret.copy_from_slice(plain);
        Ok(secret)
    }
}

impl std::fmt::Debug for Vault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Vault(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_comes_back_only_to_its_own_row_kind_and_identity() {
        let vault = Vault::new(&[1; 32]).unwrap();
        let sealed = vault.seal(EventKind::OwnerShare, b"row", &[7; 32]).unwrap();
        assert_eq!(*vault.open(EventKind::OwnerShare, b"row", &sealed).unwrap(), [7; 32]);
        assert_eq!(vault.open(EventKind::OwnerShare, b"other", &sealed).unwrap_err(), VaultError::Damaged);
        assert_eq!(vault.open(EventKind::HeldKey, b"row", &sealed).unwrap_err(), VaultError::Damaged);
        let other = Vault::new(&[2; 32]).unwrap();
        assert_eq!(other.open(EventKind::OwnerShare, b"row", &sealed).unwrap_err(), VaultError::Damaged);
    }

    #[test]
    fn any_change_or_cut_is_noticed() {
        let vault = Vault::new(&[1; 32]).unwrap();
        let sealed = vault.seal(EventKind::ContentKey, b"r", &[7; 32]).unwrap();
        for at in 0..sealed.len() {
            let mut bad = sealed.clone();
            bad[at] ^= 1;
            assert!(vault.open(EventKind::ContentKey, b"r", &bad).is_err(), "byte {at}");
            assert!(vault.open(EventKind::ContentKey, b"r", &sealed[..at]).is_err(), "cut at {at}");
        }
    }

    #[test]
    fn the_same_secret_never_looks_the_same_and_never_shows() {
        let vault = Vault::new(&[1; 32]).unwrap();
        let seal = || vault.seal(EventKind::ContentKey, b"r", &[7; 32]).unwrap();
        assert_ne!(seal(), seal());
        assert!(!seal().windows(8).any(|window| window == [7; 8]));
    }

    #[test]
    fn hkdf_is_that_of_rfc_5869_test_case_1() {
        let salt: Vec<u8> = (0..=12).collect();
        let info: Vec<u8> = (0xf0..=0xf9).collect();
        let out = hkdf(&salt, &[0x0b; 22], &[&info]).unwrap();
        assert_eq!(out[..8], [0x3c, 0xb2, 0x5f, 0x25, 0xfa, 0xac, 0xd5, 0x7a]);
    }
}
