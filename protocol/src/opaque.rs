//! Passwords by OPAQUE (RFC 9807): the directory recognises a peer by its password without ever having it, nor anything from
//! which it could be guessed without the directory's own secret. Here is the directory's side; the peer's is in `peer`, in
//! programs that have passwords to stretch (feature `stretch`).
//!
//! Ristretto255, TripleDH and SHA-512, as in the RFC's first configuration, with Argon2id (RFC 9106) of 64 MiB, three passes and
//! one lane, which the peer alone computes. The directory's public key, by which peers know it, is the server's
//! identity in every exchange: what one directory passes on from another one is refused. No side tells why it refuses a login:
//! to the peer a wrong password and a directory that has altered something look the same.
//!
//! Nothing here knows a socket, a name or a store.

#[cfg(feature = "stretch")]
mod peer;
#[cfg(test)]
#[cfg(feature = "stretch")]
mod tests;

use std::fmt;

use opaque_ke::{
    CipherSuite, CredentialFinalization, CredentialRequest, Identifiers, RegistrationRequest,
    RegistrationUpload, Ristretto255, ServerLogin, ServerLoginParameters, ServerRegistration, ServerSetup,
    TripleDh,
    errors::{InternalError, ProtocolError},
    keypair::PrivateKey,
    rand::{CryptoRng, Error as RandomError, RngCore},
};
#[cfg(not(feature = "stretch"))]
use opaque_ke::{
    generic_array::{ArrayLength, GenericArray},
    ksf::Ksf,
};
use zeroize::{Zeroize, Zeroizing};

use crate::{
    key::{PublicKey, SecretKey},
    name::PeerName,
    random,
};

#[cfg(feature = "stretch")]
pub use peer::{ExportKey, LoggingIn, Proved, Registered, Registering};

/// Tells our exchanges from those of other protocols.
const CONTEXT: &[u8] = b"dos/1 password";

/// From what the directory's secrets are derived (BLAKE3, key derivation).
const SETUP: &str = "dos dosd 2026 OPAQUE server setup, version 1";

/// From what the secret is derived under which names are hashed.
const NAMES: &str = "dos dosd 2026 names of password logins, version 1";

/// The seed of the OPRF: an output of SHA-512.
const SEED_BYTES: usize = 64;

/// A scalar, and a point.
const KEY_BYTES: usize = 32;

/// A record: a public key, a masking key, a nonce, a MAC.
const RECORD_BYTES: usize = 192;

/// Why an exchange ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum OpaqueError {
    /// The other side has sent what is no message of OPAQUE.
    #[error("malformed message of a password login")]
    Malformed,
    /// The password is another one, or something was altered.
    #[error("the password and the other side's answer do not fit")]
    Refused,
    /// A fault of ours: no randomness, or no memory.
    #[error("the password could not be worked on")]
    Failed,
}

impl From<ProtocolError> for OpaqueError {
    fn from(error: ProtocolError) -> Self {
        match error {
            ProtocolError::InvalidLoginError | ProtocolError::ReflectedValueError => Self::Refused,
            ProtocolError::SerializationError | ProtocolError::SizeError { .. } => Self::Malformed,
            // An element of the other side is the identity, or nothing is in order here; nothing of it helps the other side.
            ProtocolError::LibraryError(InternalError::OprfError(_)) => Self::Malformed,
            ProtocolError::LibraryError(_) => Self::Failed,
            ProtocolError::Custom(never) => match never {},
        }
    }
}

/// What both sides compute with.
#[derive(Debug)]
struct Suite;

impl CipherSuite for Suite {
    type OprfCs = Ristretto255;
    type KeyExchange = TripleDh<Ristretto255, sha2::Sha512>;
    type Ksf = Stretch;
}

/// What stretches passwords: Argon2id, where a peer is part of the program. A directory never stretches one.
#[derive(Debug, Default)]
struct Stretch;

#[cfg(not(feature = "stretch"))]
impl Ksf for Stretch {
    fn hash<L: ArrayLength<u8>>(&self, _: GenericArray<u8, L>) -> Result<GenericArray<u8, L>, InternalError> {
        Err(InternalError::KsfError)
    }
}

/// Random bytes for one exchange: the system's, stretched by BLAKE3, so that there is nothing that can fail later on.
struct Draw(blake3::OutputReader);

impl Draw {
    fn new() -> Result<Self, OpaqueError> {
        let seed = Zeroizing::new(random::bytes::<32>().map_err(|_| OpaqueError::Failed)?);
        Ok(Self(blake3::Hasher::new_keyed(&seed).finalize_xof()))
    }
}

impl RngCore for Draw {
    fn next_u32(&mut self) -> u32 {
        let mut bytes = [0; 4];
        self.fill_bytes(&mut bytes);
        u32::from_le_bytes(bytes)
    }

    fn next_u64(&mut self) -> u64 {
        let mut bytes = [0; 8];
        self.fill_bytes(&mut bytes);
        u64::from_le_bytes(bytes)
    }

    fn fill_bytes(&mut self, bytes: &mut [u8]) {
        self.0.fill(bytes);
    }

    fn try_fill_bytes(&mut self, bytes: &mut [u8]) -> Result<(), RandomError> {
        self.fill_bytes(bytes);
        Ok(())
    }
}

impl CryptoRng for Draw {}

fn of(directory: &PublicKey) -> Identifiers<'_> {
    Identifiers { client: None, server: Some(directory.as_bytes()) }
}

/// The directory's secrets, derived from its key: they are the same as long as the key is, need no keeping of their own, and
/// are in no copy of the database, so that such a copy alone does not help to guess passwords.
pub struct Setup {
    setup: ServerSetup<Suite>,
    /// What takes the place of a record where there is none, so that the same is read.
    nobodys: Vec<u8>,
    directory: PublicKey,
    /// Under which names are hashed.
    names: Zeroizing<[u8; KEY_BYTES]>,
}

/// The hash of a name under a secret of the directory: whoever does not have that cannot tell which name it is, nor try some.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NameHash([u8; KEY_BYTES]);

impl NameHash {
    /// Its bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8; KEY_BYTES] {
        &self.0
    }
}

impl fmt::Debug for Setup {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Setup(..)")
    }
}

/// A login of which the directory has answered the first message.
pub struct PendingLogin {
    state: ServerLogin<Suite>,
    directory: PublicKey,
}

impl fmt::Debug for PendingLogin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PendingLogin(..)")
    }
}

impl Setup {
    /// The secrets of the directory with this key.
    ///
    /// # Errors
    /// [`OpaqueError::Failed`], which no key brings about.
    pub fn derive(secret: &SecretKey) -> Result<Self, OpaqueError> {
        let directory = secret.public().map_err(|_| OpaqueError::Failed)?;
        let mut output = blake3::Hasher::new_derive_key(SETUP).update(secret.seed()).finalize_xof();
        let mut bytes = Zeroizing::new([0; SEED_BYTES + 2 * KEY_BYTES]);
        output.fill(bytes.as_mut_slice());
        let (_, keys) = bytes.split_at_mut(SEED_BYTES);
        let (key, dummy) = keys.split_at_mut(KEY_BYTES);
        // Below 2^252, which is below the order of the group: scalars as they are written (RFC 9496, section 4.4).
        for scalar in [&mut *key, &mut *dummy] {
            if let Some(last) = scalar.last_mut() {
                *last &= 0x0f;
            }
        }
        let nobody = PrivateKey::<Ristretto255>::deserialize(dummy)?.public_key().serialize();
        dummy.copy_from_slice(&nobody);
        let mut nobodys = vec![0; RECORD_BYTES];
        nobodys.splice(..KEY_BYTES, nobody);
        let names = Zeroizing::new(blake3::derive_key(NAMES, secret.seed()));
        Ok(Self { setup: ServerSetup::deserialize(bytes.as_slice())?, nobodys, directory, names })
    }

    /// What is kept of a name for which a password was tried.
    #[must_use]
    pub fn hash_name(&self, name: &PeerName) -> NameHash {
        NameHash(*blake3::keyed_hash(&self.names, name.as_str().as_bytes()).as_bytes())
    }

    /// Answers the first message for a password that is to be set. `credential` is whose it will be, for ever.
    ///
    /// # Errors
    /// [`OpaqueError::Malformed`] or [`OpaqueError::Failed`].
    pub fn register(&self, credential: &[u8], request: &[u8]) -> Result<Vec<u8>, OpaqueError> {
        let request = RegistrationRequest::deserialize(request)?;
        let started = ServerRegistration::<Suite>::start(&self.setup, request, credential)?;
        Ok(started.message.serialize().to_vec())
    }

    /// Answers the first message of a login. Without a record the answer looks the same, after the same work, and no message
    /// ends the login.
    ///
    /// # Errors
    /// [`OpaqueError::Malformed`] or [`OpaqueError::Failed`].
    pub fn login(
        &self,
        credential: &[u8],
        record: Option<&[u8]>,
        request: &[u8],
    ) -> Result<(PendingLogin, Vec<u8>), OpaqueError> {
        let request = CredentialRequest::deserialize(request)?;
        let read = ServerRegistration::<Suite>::deserialize(record.unwrap_or(&self.nobodys))?;
        let parameters = ServerLoginParameters { context: Some(CONTEXT), identifiers: of(&self.directory) };
        let known = record.is_some().then_some(read);
        let started =
            ServerLogin::start(&mut Draw::new()?, &self.setup, known, request, credential, parameters)?;
        let pending = PendingLogin { state: started.state, directory: self.directory };
        Ok((pending, started.message.serialize().to_vec()))
    }
}

impl PendingLogin {
    /// Ends the login: the peer knows the password, if this succeeds.
    ///
    /// # Errors
    /// [`OpaqueError::Refused`], or [`OpaqueError::Malformed`].
    pub fn finish(self, finalization: &[u8]) -> Result<(), OpaqueError> {
        let finalization = CredentialFinalization::deserialize(finalization)?;
        let parameters = ServerLoginParameters { context: Some(CONTEXT), identifiers: of(&self.directory) };
        let mut finished = self.state.finish(finalization, parameters)?;
        finished.session_key.as_mut_slice().zeroize();
        Ok(())
    }
}

/// Whether this can be kept as a record.
///
/// # Errors
/// [`OpaqueError::Malformed`].
pub fn check_record(record: &[u8]) -> Result<(), OpaqueError> {
    if record.len() != RECORD_BYTES {
        return Err(OpaqueError::Malformed);
    }
    RegistrationUpload::<Suite>::deserialize(record)?;
    Ok(())
}
