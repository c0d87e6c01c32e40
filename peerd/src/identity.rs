//! The identity: the peer's key, its directory, and once registered its ID, in `identity.toml`.
//!
//! What always holds: the key is on disk before it is sent to the directory, so that a crash while registering loses
//! nothing (registering is idempotent by key); the file is replaced whole, is readable to its owner alone, and holds no
//! invite.

use std::{
    io,
    path::{Path, PathBuf},
    sync::Arc,
};

use dos_daemon::dir::{Secret, read_private, replace_file};
use dos_protocol::{
    Code, JoinLink, PeerId, PeerName, WireError,
    key::{SecretError, SecretKey},
};
use parking_lot::RwLock;
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use crate::vault::{Vault, VaultError};

/// An identity file is a few hundred bytes.
const FILE_BYTES_MAX: u64 = 16 << 10;

/// The context of the key of fingerprints (BLAKE3, key derivation).
const FINGERPRINTS: &str = "dos peerd 2026 fingerprints of commands";

/// Why there is no identity to use.
#[derive(Debug, thiserror::Error)]
pub enum IdentityError {
    /// The file cannot be read.
    #[error("cannot read {path}", path = .0.display())]
    Read(PathBuf, #[source] io::Error),
    /// The file cannot be written.
    #[error("cannot write {path}", path = .0.display())]
    Write(PathBuf, #[source] io::Error),
    /// Others may read the key.
    #[error("{path} is readable to others: run chmod 600 on it", path = .0.display())]
    Exposed(PathBuf),
    /// Not what this program writes.
    #[error("{path} is damaged", path = .0.display())]
    Damaged(PathBuf, #[source] Box<dyn std::error::Error + Send + Sync>),
    /// No key could be made.
    #[error(transparent)]
    Key(#[from] SecretError),
    /// No vault could be made.
    #[error(transparent)]
    Vault(#[from] VaultError),
}

impl From<IdentityError> for WireError {
    fn from(error: IdentityError) -> Self {
        let cause = std::error::Error::source(&error).map(ToString::to_string);
        let wire = Self::new(Code::Internal, error.to_string());
        match cause {
            Some(cause) => wire.caused_by(cause),
            None => wire,
        }
    }
}

/// The key as text, wiped when dropped.
struct SecretText(Zeroizing<String>);

impl<'de> Deserialize<'de> for SecretText {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer).map(|text| Self(Zeroizing::new(text)))
    }
}

/// The file's content.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct IdentityFile {
    secret_key: SecretText,
    server: JoinLink,
    #[serde(default)]
    id: Option<PeerId>,
    #[serde(default)]
    name: Option<PeerName>,
}

/// What of it is no secret.
#[derive(Serialize)]
struct PublicPart<'a> {
    server: &'a JoinLink,
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<PeerId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<&'a PeerName>,
}

/// Who this daemon is.
#[derive(Debug)]
pub struct Identity {
    /// Its key.
    pub secret: SecretKey,
    /// Its directory, without an invite.
    pub server: JoinLink,
    /// Its ID; nothing while it is not registered, or a crash left that open.
    pub id: Option<PeerId>,
    /// Its name.
    pub name: Option<PeerName>,
    /// Its vault.
    pub vault: Vault,
    /// What fingerprints are made with.
    fingerprints: Zeroizing<[u8; 32]>,
}

impl Identity {
    fn new(secret: SecretKey, server: JoinLink) -> Result<Self, IdentityError> {
        let mut seed = Zeroizing::new([0; 32]);
        let decoded = bs58::decode(secret.to_text().as_bytes()).onto(seed.as_mut_slice());
        if decoded != Ok(32) {
            return Err(SecretError::Text.into());
        }
        let vault = Vault::new(&seed)?;
        let fingerprints = Zeroizing::new(blake3::derive_key(FINGERPRINTS, seed.as_slice()));
        let server = server.bare();
        Ok(Self { secret, server, id: None, name: None, vault, fingerprints })
    }

    /// The identity of a peer whose key came with its password.
    ///
    /// # Errors
    /// As in [`IdentityError`].
    pub fn known(
        secret: SecretKey,
        server: JoinLink,
        id: PeerId,
        name: Option<PeerName>,
    ) -> Result<Self, IdentityError> {
        Ok(Self { id: Some(id), name, ..Self::new(secret, server)? })
    }

    /// A fingerprint of `bytes` that only this identity can make: what is in the database tells nothing about a password
    /// that is among them.
    #[must_use]
    pub fn fingerprint(&self, bytes: &[u8]) -> [u8; 32] {
        *blake3::keyed_hash(&self.fingerprints, bytes).as_bytes()
    }

    fn read(path: &Path) -> Result<Option<Self>, IdentityError> {
        let read_error = |error| IdentityError::Read(path.to_owned(), error);
        let mut text = Zeroizing::new(String::new());
        match read_private(path, FILE_BYTES_MAX, &mut text).map_err(read_error)? {
            Secret::Missing => return Ok(None),
            Secret::Exposed => return Err(IdentityError::Exposed(path.to_owned())),
            Secret::Read => {}
        }
        // The parser's own message would quote the line, and with it perhaps the key.
        let damaged = |why: &str| IdentityError::Damaged(path.to_owned(), why.into());
        let file: IdentityFile = toml::from_str(&text).map_err(|error: toml::de::Error| {
            damaged(&format!("not an identity file: {}", error.message()))
        })?;
        let secret = file.secret_key.0.parse().map_err(|error: SecretError| damaged(&error.to_string()))?;
        Ok(Some(Self { id: file.id, name: file.name, ..Self::new(secret, file.server)? }))
    }

    fn write(&self, path: &Path) -> Result<(), IdentityError> {
        // The key is put before what the library writes, whose buffers grow and leave copies behind.
        let rest = PublicPart { server: &self.server, id: self.id, name: self.name.as_ref() };
        let rest = toml::to_string(&rest)
            .map_err(|error| IdentityError::Write(path.to_owned(), io::Error::other(error)))?;
        let key = self.secret.to_text();
        let mut text = Zeroizing::new(String::with_capacity(key.len() + rest.len() + 32));
        for part in ["secret_key = \"", &key, "\"\n", &rest] {
            text.push_str(part);
        }
        replace_file(path, text.as_bytes()).map_err(|error| IdentityError::Write(path.to_owned(), error))
    }
}

/// The identity as the tasks share it.
#[derive(Debug)]
pub struct Identities {
    path: PathBuf,
    now: RwLock<Option<Arc<Identity>>>,
}

impl Identities {
    /// Reads the file, if there is one.
    ///
    /// # Errors
    /// As in [`IdentityError`].
    pub fn open(path: PathBuf) -> Result<Self, IdentityError> {
        let now = RwLock::new(Identity::read(&path)?.map(Arc::new));
        Ok(Self { path, now })
    }

    /// The identity, registered or on the way there.
    #[must_use]
    pub fn any(&self) -> Option<Arc<Identity>> {
        self.now.read().clone()
    }

    /// The registered identity and its ID.
    #[must_use]
    pub fn registered(&self) -> Option<(PeerId, Arc<Identity>)> {
        self.any().and_then(|identity| Some((identity.id?, identity)))
    }

    /// Writes down a key for registering at `server`: the one that an interrupted registration left, or a fresh one.
    /// Blocks on the disk.
    ///
    /// # Errors
    /// As in [`IdentityError`].
    pub fn begin(&self, server: &JoinLink) -> Result<Arc<Identity>, IdentityError> {
        let secret = match self.any() {
            Some(identity) => identity.secret.clone(),
            None => SecretKey::generate()?,
        };
        self.set(Identity::new(secret, server.clone())?)
    }

    /// Writes down an identity that has an ID, in place of a key that has none. Blocks on the disk.
    ///
    /// # Errors
    /// As in [`IdentityError`].
    pub fn adopt(&self, identity: Identity) -> Result<Arc<Identity>, IdentityError> {
        self.set(identity)
    }

    /// Writes down the ID that the directory gave. Blocks on the disk.
    ///
    /// # Errors
    /// As in [`IdentityError`].
    pub fn complete(
        &self,
        begun: &Identity,
        id: PeerId,
        name: Option<PeerName>,
    ) -> Result<Arc<Identity>, IdentityError> {
        let identity = Identity::new(begun.secret.clone(), begun.server.clone())?;
        self.set(Identity { id: Some(id), name, ..identity })
    }

    /// Writes down that the directory is at another address. Blocks on the disk.
    ///
    /// # Errors
    /// As in [`IdentityError`].
    pub fn move_to(&self, server: JoinLink) -> Result<(), IdentityError> {
        let Some(now) = self.any() else { return Ok(()) };
        let server = server.bare();
        let identity = Identity::new(now.secret.clone(), server)?;
        self.set(Identity { id: now.id, name: now.name.clone(), ..identity })?;
        Ok(())
    }

    /// Writes down another name. Blocks on the disk.
    ///
    /// # Errors
    /// As in [`IdentityError`].
    pub fn rename(&self, name: PeerName) -> Result<(), IdentityError> {
        let Some(now) = self.any() else { return Ok(()) };
        let identity = Identity::new(now.secret.clone(), now.server.clone())?;
        self.set(Identity { id: now.id, name: Some(name), ..identity })?;
        Ok(())
    }

    fn set(&self, identity: Identity) -> Result<Arc<Identity>, IdentityError> {
        identity.write(&self.path)?;
        let identity = Arc::new(identity);
        *self.now.write() = Some(Arc::clone(&identity));
        Ok(identity)
    }
}

#[cfg(test)]
mod tests {
    use std::{fs, os::unix::fs::PermissionsExt};

    use super::*;

    fn link() -> JoinLink {
        let key = dos_protocol::PublicKey::from([9; 32]);
        format!("dos://{key}@localhost:5001?invite=Once").parse().unwrap()
    }

    #[test]
    fn an_interrupted_registration_goes_on_with_the_same_key() {
        let temp = tempfile::tempdir().unwrap();
        let path = temp.path().join("identity.toml");
        let begun = Identities::open(path.clone()).unwrap().begin(&link()).unwrap();
        let again = Identities::open(path.clone()).unwrap();
        assert!(again.registered().is_none());
        let again = again.begin(&link()).unwrap();
        assert_eq!(again.secret.public().unwrap(), begun.secret.public().unwrap());
    }

    #[test]
    fn the_file_is_private_complete_and_keeps_no_invite() {
        let temp = tempfile::tempdir().unwrap();
        let path = temp.path().join("identity.toml");
        let identities = Identities::open(path.clone()).unwrap();
        let begun = identities.begin(&link()).unwrap();
        let id = "7xKqPm2R".parse().unwrap();
        identities.complete(&begun, id, Some("alice".parse().unwrap())).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert!(!fs::read_to_string(&path).unwrap().contains("Once"));
        let (read, identity) = Identities::open(path).unwrap().registered().unwrap();
        assert_eq!((read, identity.name.as_ref().map(PeerName::as_str)), (id, Some("alice")));
    }

    #[test]
    fn a_damaged_or_exposed_file_is_refused_without_showing_the_key() {
        let temp = tempfile::tempdir().unwrap();
        let path = temp.path().join("identity.toml");
        replace_file(&path, b"secret_key = \"tell nobody\"\nserver = 1\n").unwrap();
        let error = Identities::open(path.clone()).unwrap_err();
        assert!(matches!(error, IdentityError::Damaged(..)));
        assert!(!format!("{}", WireError::from(error)).contains("tell nobody"));
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
        assert!(matches!(Identities::open(path), Err(IdentityError::Exposed(_))));
    }
}
