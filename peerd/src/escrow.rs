//! The seed of the peer's key as the directory keeps it for a password: sealed with AES-256-GCM under a key that HKDF-SHA256
//! (RFC 5869) derives from the export key of OPAQUE, which only the password gives.
//!
//! What always holds: the directory's key and the peer's ID are authenticated with it, so that the seed of another peer, or one
//! from another directory, does not open; what opens makes the key that the caller expects, or is refused.

use dos_protocol::{
    Code, PeerId, PublicKey, WireError,
    directory::Blob,
    key::{SecretError, SecretKey},
    opaque::ExportKey,
};
use ring::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use zeroize::{Zeroize, Zeroizing};

use crate::{
    random::{self, NoRandomness},
    vault::{self, VaultError},
};

/// The first byte of what is sealed.
const VERSION: u8 = 1;

const SEED_BYTES: usize = 32;

/// Why a seed cannot be sealed or opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum EscrowError {
    /// No nonce.
    #[error(transparent)]
    Random(#[from] NoRandomness),
    /// The library refuses the sizes, which never vary.
    #[error(transparent)]
    Setup(#[from] VaultError),
    /// No key can be made of the seed.
    #[error(transparent)]
    Key(#[from] SecretError),
    /// Of a version that this program does not know.
    #[error("the sealed key was made by a newer peerd")]
    Newer,
    /// Altered, of another peer, or of another directory.
    #[error("the sealed key that the directory gave is not that of this peer")]
    Foreign,
    /// It opens, and is not the key that the directory names.
    #[error("the directory names another key for this peer than the one that was sealed")]
    OtherKey,
}

impl From<EscrowError> for WireError {
    fn from(error: EscrowError) -> Self {
        let text = error.to_string();
        match error {
            EscrowError::Newer => Self::new(Code::Unsupported, text).hint("update peerd"),
            EscrowError::Foreign | EscrowError::OtherKey => {
                let cause = "the directory is damaged, or does not tell the truth; nothing was changed here";
                Self::new(Code::Denied, text).caused_by(cause)
            }
            EscrowError::Random(_) | EscrowError::Setup(_) | EscrowError::Key(_) => {
                Self::new(Code::Internal, text)
            }
        }
    }
}

/// Whose seed it is, and where it is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) directory: PublicKey,
    pub(crate) peer: PeerId,
}

impl Place {
    fn aad(&self) -> Aad<Vec<u8>> {
        let peer = self.peer.number().to_be_bytes();
        Aad::from([&b"dos identity seed\0"[..], &[VERSION], self.directory.as_bytes(), &peer].concat())
    }
}

fn cipher(export_key: &ExportKey) -> Result<LessSafeKey, EscrowError> {
    let key = vault::hkdf(&[], export_key.as_bytes(), &[b"dos identity seed v1"])?;
    Ok(LessSafeKey::new(UnboundKey::new(&AES_256_GCM, key.as_slice()).map_err(|_| VaultError::Setup)?))
}

/// The seed of this key, sealed: version, nonce, ciphertext, tag.
///
/// # Errors
/// [`EscrowError::Random`] or [`EscrowError::Setup`].
pub(crate) fn seal(
    export_key: &ExportKey,
    place: &Place,
    secret: &SecretKey,
) -> Result<Vec<u8>, EscrowError> {
    let nonce: [u8; NONCE_LEN] = random::bytes()?;
    let mut body = Zeroizing::new(*secret.seed());
    let tag = cipher(export_key)?
        .seal_in_place_separate_tag(Nonce::assume_unique_for_key(nonce), place.aad(), body.as_mut_slice())
        .map_err(|_| VaultError::Setup)?;
    Ok([&[VERSION], nonce.as_slice(), body.as_slice(), tag.as_ref()].concat())
}

/// The key that was sealed, which must be the one with this public half.
///
/// # Errors
/// As in [`EscrowError`].
pub(crate) fn open(
    export_key: &ExportKey,
    place: &Place,
    sealed: &[u8],
    expected: &PublicKey,
) -> Result<SecretKey, EscrowError> {
    let (version, rest) = sealed.split_first().ok_or(EscrowError::Foreign)?;
    if *version != VERSION {
        return Err(EscrowError::Newer);
    }
    let (nonce, body) = rest.split_first_chunk::<NONCE_LEN>().ok_or(EscrowError::Foreign)?;
    let mut body = Zeroizing::new(body.to_vec());
    let plain = cipher(export_key)?
        .open_in_place(Nonce::assume_unique_for_key(*nonce), place.aad(), body.as_mut_slice())
        .map_err(|_| EscrowError::Foreign)?;
    let mut seed = Zeroizing::new([0; SEED_BYTES]);
    if plain.len() != SEED_BYTES {
        return Err(EscrowError::Foreign);
    }
    seed.copy_from_slice(plain);
    plain.zeroize();
    let secret = SecretKey::from_seed(&seed);
    if secret.public()? == *expected { Ok(secret) } else { Err(EscrowError::OtherKey) }
}

/// For the directory: what OPAQUE has computed, or what was sealed.
///
/// # Errors
/// `internal`, which no length of these brings about.
pub(crate) fn blob(bytes: Vec<u8>) -> Result<Blob, WireError> {
    Blob::try_from(bytes).map_err(|error| WireError::new(Code::Internal, error.to_string()))
}

/// A refusal of a password's request, in other words where it comes from a directory of the first release, which does not know it.
pub(crate) fn too_old(error: WireError) -> WireError {
    if error.code != Code::Unsupported {
        return error;
    }
    let text = "the directory is older than this peerd, which does not show it a password";
    WireError::new(Code::Unsupported, text).caused_by(error.message).hint("ask its operator to update dosd")
}

#[cfg(test)]
mod tests {
    use dos_protocol::opaque::{Registering, Setup};

    use super::*;

    fn export_key() -> ExportKey {
        let setup = Setup::derive(&SecretKey::from_seed(&[1; 32])).unwrap();
        let (registering, request) = Registering::begin("correct horse".parse().unwrap()).unwrap();
        let answer = setup.register(b"x", &request).unwrap();
        registering.finish(&answer, &[9; 32].into()).unwrap().export_key
    }

    fn place(peer: &str) -> Place {
        Place { directory: [9; 32].into(), peer: peer.parse().unwrap() }
    }

    #[test]
    fn a_seed_opens_with_its_password_at_its_directory_for_its_peer_alone() {
        let (key, secret) = (export_key(), SecretKey::from_seed(&[7; 32]));
        let (here, public) = (place("7xKqPm2R"), secret.public().unwrap());
        let sealed = seal(&key, &here, &secret).unwrap();
        assert_eq!(open(&key, &here, &sealed, &public).unwrap().seed(), secret.seed());
        assert!(!sealed.windows(8).any(|window| window == [7; 8]));
        let elsewhere = Place { directory: [8; 32].into(), ..here };
        for wrong in [place("7xKqPm2S"), elsewhere] {
            assert_eq!(open(&key, &wrong, &sealed, &public).unwrap_err(), EscrowError::Foreign);
        }
        assert_eq!(open(&export_key(), &here, &sealed, &public).unwrap_err(), EscrowError::Foreign);
        assert_eq!(open(&key, &here, &sealed, &[3; 32].into()).unwrap_err(), EscrowError::OtherKey);
    }

    #[test]
    fn only_an_unknown_request_is_put_down_to_an_old_directory() {
        let told = too_old(WireError::new(Code::Unsupported, "x"));
        assert_eq!((told.code, told.cause.as_deref()), (Code::Unsupported, Some("x")));
        assert!(told.hint.is_some_and(|hint| hint.contains("update dosd")));
        let other = WireError::new(Code::Denied, "x");
        assert_eq!(too_old(other.clone()), other);
    }

    #[test]
    fn any_change_or_cut_is_noticed() {
        let (key, secret) = (export_key(), SecretKey::from_seed(&[7; 32]));
        let (here, public) = (place("7xKqPm2R"), secret.public().unwrap());
        let sealed = seal(&key, &here, &secret).unwrap();
        for at in 0..sealed.len() {
            let mut bad = sealed.clone();
            bad[at] ^= 1;
            let expected = if at == 0 { EscrowError::Newer } else { EscrowError::Foreign };
            assert_eq!(open(&key, &here, &bad, &public).unwrap_err(), expected, "byte {at}");
            assert_eq!(open(&key, &here, &sealed[..at], &public).unwrap_err(), EscrowError::Foreign);
        }
    }
}
