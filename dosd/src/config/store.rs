//! Where the store is, if not in the data directory: the settings of database servers, and the files that they name.
//!
//! A password is read from a file that nobody else can read; it is in no argument and in no log.

use std::{
    fs::File,
    io::{self, Read as _},
    path::{Path, PathBuf},
};

use dos_daemon::dir::{self, Secret};
use dos_sql::{Address, PostgresError, Secrets, Server};
use zeroize::Zeroizing;

/// A password is shorter.
const PASSWORD_FILE_BYTES_MAX: u64 = 1024;

/// A list of authorities is shorter.
const AUTHORITY_FILE_BYTES_MAX: u64 = 1 << 20;

/// Why the database servers cannot be used as they are given.
#[derive(Debug, thiserror::Error)]
pub enum StoreConfigError {
    /// The address, or the authority.
    #[error("--store cannot be used")]
    Server(#[from] PostgresError),
    /// A file cannot be read.
    #[error("cannot read {path}", path = .0.display())]
    File(PathBuf, #[source] io::Error),
    /// Others may read it.
    #[error("the password file {path} is readable to others; make it 0600", path = .0.display())]
    Exposed(PathBuf),
    /// A file of a setting that is of no use without the address.
    #[error("{0} needs --store")]
    Alone(&'static str),
}

/// The database servers that keep the store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoreConfig {
    /// Where they are.
    pub address: Address,
    /// The file with the certificates of their authority.
    pub authority: Option<PathBuf>,
    /// The file with the password.
    pub password: Option<PathBuf>,
}

impl StoreConfig {
    /// What is given for the three settings; nothing if the store is in the data directory.
    ///
    /// # Errors
    /// [`StoreConfigError::Server`] or [`StoreConfigError::Alone`].
    pub fn new(
        address: Option<&str>,
        authority: Option<PathBuf>,
        password: Option<PathBuf>,
    ) -> Result<Option<Self>, StoreConfigError> {
        match (address, &authority, &password) {
            (Some(address), ..) => Ok(Some(Self { address: address.parse()?, authority, password })),
            (None, Some(_), _) => Err(StoreConfigError::Alone("--store-ca")),
            (None, None, Some(_)) => Err(StoreConfigError::Alone("--store-password-file")),
            (None, None, None) => Ok(None),
        }
    }

    /// The servers, with what the files hold now.
    ///
    /// # Errors
    /// As in [`StoreConfigError`].
    pub fn server(&self) -> Result<Server, StoreConfigError> {
        let password = self.password.as_deref().map(password).transpose()?;
        let authority = self.authority.as_deref().map(authority).transpose()?;
        Ok(Server::new(&self.address, &Secrets { password, authority })?)
    }
}

fn password(path: &Path) -> Result<Box<str>, StoreConfigError> {
    let mut text = Zeroizing::new(String::new());
    let failed = |error| StoreConfigError::File(path.to_owned(), error);
    match dir::read_private(path, PASSWORD_FILE_BYTES_MAX, &mut text).map_err(failed)? {
        Secret::Read => Ok(text.lines().next().unwrap_or_default().into()),
        Secret::Exposed => Err(StoreConfigError::Exposed(path.to_owned())),
        Secret::Missing => Err(failed(io::ErrorKind::NotFound.into())),
    }
}

fn authority(path: &Path) -> Result<Box<[u8]>, StoreConfigError> {
    let failed = |error| StoreConfigError::File(path.to_owned(), error);
    let mut bytes = Vec::new();
    // One byte more tells a list that is longer, of which a part would be another list.
    let file = File::open(path).map_err(failed)?;
    file.take(AUTHORITY_FILE_BYTES_MAX + 1).read_to_end(&mut bytes).map_err(failed)?;
    if u64::try_from(bytes.len()).map_or(true, |length| length > AUTHORITY_FILE_BYTES_MAX) {
        return Err(failed(io::ErrorKind::FileTooLarge.into()));
    }
    Ok(bytes.into())
}

#[cfg(test)]
mod tests {
    use std::{fs, os::unix::fs::PermissionsExt};

    use super::*;

    #[test]
    fn a_password_comes_from_a_file_that_is_private() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("password");
        let config =
            |address: &str| StoreConfig::new(Some(address), None, Some(file.clone())).unwrap().unwrap();
        let there = config("postgres://dosd@localhost/dosd");
        assert!(matches!(there.server(), Err(StoreConfigError::File(..))), "there is none");
        fs::write(&file, "correct horse\n").unwrap();
        fs::set_permissions(&file, PermissionsExt::from_mode(0o644)).unwrap();
        assert!(matches!(there.server(), Err(StoreConfigError::Exposed(_))));
        fs::set_permissions(&file, PermissionsExt::from_mode(0o600)).unwrap();
        let server = there.server().unwrap();
        assert!(!format!("{server:?}{there:?}").contains("horse"));
        assert!(
            matches!(config("postgres://dosd@db1/dosd").server(), Err(StoreConfigError::Server(_))),
            "in the clear"
        );
        assert!(StoreConfig::new(Some("postgres://dosd:horse@localhost/dosd"), None, None).is_err());
        assert!(StoreConfig::new(None, None, Some(file)).is_err());
        assert!(StoreConfig::new(None, None, None).unwrap().is_none());
    }
}
