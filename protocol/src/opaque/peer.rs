//! The peer's side of OPAQUE, which has the password and stretches it. What [`Registering`] and [`LoggingIn`] do last takes a
//! quarter of a second of one core.

use std::fmt;

use argon2::{Algorithm, Argon2, Params, Version};
use opaque_ke::{
    ClientLogin, ClientLoginFinishParameters, ClientRegistration, ClientRegistrationFinishParameters,
    CredentialResponse, RegistrationResponse,
    errors::InternalError,
    generic_array::{ArrayLength, GenericArray},
    ksf::Ksf,
};
use zeroize::{Zeroize, Zeroizing};

use super::{CONTEXT, Draw, OpaqueError, Stretch, Suite, of};
use crate::{key::PublicKey, password::Password};

/// Memory that one password is stretched in, in KiB.
const MEMORY_KIB: u32 = 64 << 10;

/// Passes over that memory.
const PASSES: u32 = 3;

/// Bytes of the export key.
const EXPORT_KEY_BYTES: usize = 64;

/// What only the password gives, and the directory never has: another one for every password that is set. Never shown, wiped
/// when dropped.
#[derive(Clone, PartialEq, Eq)]
pub struct ExportKey(Zeroizing<[u8; EXPORT_KEY_BYTES]>);

impl ExportKey {
    /// Its bytes, from which other keys are derived.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8; EXPORT_KEY_BYTES] {
        &self.0
    }

    /// Takes it out of what a library returns.
    fn take(bytes: &mut [u8]) -> Result<Self, OpaqueError> {
        let mut key = Zeroizing::new([0; EXPORT_KEY_BYTES]);
        let fits = bytes.len() == key.len();
        if fits {
            key.copy_from_slice(bytes);
        }
        bytes.zeroize();
        if fits { Ok(Self(key)) } else { Err(OpaqueError::Failed) }
    }
}

impl fmt::Debug for ExportKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ExportKey(..)")
    }
}

// The salt is of no use here (RFC 9807, section 7): what is stretched depends on the directory's secret already.
impl Ksf for Stretch {
    fn hash<L: ArrayLength<u8>>(
        &self,
        mut input: GenericArray<u8, L>,
    ) -> Result<GenericArray<u8, L>, InternalError> {
        let params =
            Params::new(MEMORY_KIB, PASSES, 1, Some(L::USIZE)).map_err(|_| InternalError::KsfError)?;
        let mut output = GenericArray::default();
        let stretched = Argon2::new(Algorithm::Argon2id, Version::V0x13, params).hash_password_into(
            &input,
            &[0; 16],
            &mut output,
        );
        input.as_mut_slice().zeroize();
        stretched.map_err(|_| InternalError::KsfError)?;
        Ok(output)
    }
}

/// The peer's side of setting a password.
pub struct Registering {
    state: ClientRegistration<Suite>,
    password: Password,
}

impl fmt::Debug for Registering {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Registering(..)")
    }
}

/// A password as the directory will keep it.
#[derive(Debug)]
pub struct Registered {
    /// For the directory.
    pub record: Vec<u8>,
    /// For what is sealed with the password.
    pub export_key: ExportKey,
}

impl Registering {
    /// Begins it; the second value is for the directory.
    ///
    /// # Errors
    /// [`OpaqueError::Failed`].
    pub fn begin(password: Password) -> Result<(Self, Vec<u8>), OpaqueError> {
        let started = ClientRegistration::<Suite>::start(&mut Draw::new()?, password.as_str().as_bytes())?;
        Ok((Self { state: started.state, password }, started.message.serialize().to_vec()))
    }

    /// Ends it with the answer of the directory that has this key.
    ///
    /// # Errors
    /// As in [`OpaqueError`].
    pub fn finish(self, answer: &[u8], directory: &PublicKey) -> Result<Registered, OpaqueError> {
        let answer = RegistrationResponse::deserialize(answer)?;
        let parameters = ClientRegistrationFinishParameters::new(of(directory), None);
        let password = self.password.as_str().as_bytes();
        let mut finished = self.state.finish(&mut Draw::new()?, password, answer, parameters)?;
        let export_key = ExportKey::take(&mut finished.export_key)?;
        Ok(Registered { record: finished.message.serialize().to_vec(), export_key })
    }
}

/// The peer's side of a login.
pub struct LoggingIn {
    state: ClientLogin<Suite>,
    password: Password,
}

impl fmt::Debug for LoggingIn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("LoggingIn(..)")
    }
}

/// A login that the peer has accepted: the other side has the record of its password.
#[derive(Debug)]
pub struct Proved {
    /// For the directory.
    pub finalization: Vec<u8>,
    /// The same as when the password was set.
    pub export_key: ExportKey,
}

impl LoggingIn {
    /// Begins it; the second value is for the directory.
    ///
    /// # Errors
    /// [`OpaqueError::Failed`].
    pub fn begin(password: Password) -> Result<(Self, Vec<u8>), OpaqueError> {
        let started = ClientLogin::<Suite>::start(&mut Draw::new()?, password.as_str().as_bytes())?;
        Ok((Self { state: started.state, password }, started.message.serialize().to_vec()))
    }

    /// Ends it with the answer of the directory that has this key.
    ///
    /// # Errors
    /// [`OpaqueError::Refused`] if the password is wrong, or the answer is not of that directory; else as in [`OpaqueError`].
    pub fn finish(self, answer: &[u8], directory: &PublicKey) -> Result<Proved, OpaqueError> {
        let answer = CredentialResponse::deserialize(answer)?;
        let parameters = ClientLoginFinishParameters::new(Some(CONTEXT), of(directory), None);
        let password = self.password.as_str().as_bytes();
        let mut finished = self.state.finish(&mut Draw::new()?, password, answer, parameters)?;
        finished.session_key.as_mut_slice().zeroize();
        let export_key = ExportKey::take(&mut finished.export_key)?;
        Ok(Proved { finalization: finished.message.serialize().to_vec(), export_key })
    }
}
