//! Files that people write or could damage: the daemons' settings, and a peer's identity.
//!
//! The daemons read them by their paths, so they are written first, into memory.

use std::{
    fs::{self, OpenOptions},
    io::Write as _,
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
    sync::LazyLock,
};

use dos_protocol::paths::Environment;
use peerd::identity::Identities;

/// One file for each process.
static FILE: LazyLock<PathBuf> = LazyLock::new(|| {
    let memory = Path::new("/dev/shm");
    let folder = if memory.is_dir() { memory.to_owned() } else { std::env::temp_dir() };
    folder.join(format!("dos-fuzz-{}", std::process::id()))
});

fn with_file(bytes: &[u8], read: impl FnOnce(&Path)) {
    let mut options = OpenOptions::new();
    let file = options.create(true).write(true).truncate(true).mode(0o600).open(&*FILE);
    file.and_then(|mut file| file.write_all(bytes)).expect("a file in memory");
    read(&FILE);
    fs::remove_file(&*FILE).expect("our file");
}

/// Settings of both daemons.
pub fn config(bytes: &[u8]) {
    with_file(bytes, |path| {
        drop(dosd::config::Config::load(dosd::config::FileConfig::default(), Some(path)));
        let home = Some(PathBuf::from("/home/alice"));
        let environment = Environment { home, ..Environment::default() };
        drop(peerd::Config::load(peerd::config::Given::default(), Some(path), &environment));
    });
}

/// An identity: one that is read is complete, and never shown in an error.
pub fn identity(bytes: &[u8]) {
    with_file(bytes, |path| match Identities::open(path.to_owned()) {
        Ok(identities) => {
            let identity = identities.any().expect("there is a file");
            assert!(identity.secret.public().is_ok());
            assert_eq!(identity.server.invite, None);
        }
        Err(error) => {
            let shown =
                format!("{error} {error:?} {:?}", std::error::Error::source(&error).map(ToString::to_string));
            let lines = std::str::from_utf8(bytes).unwrap_or_default().lines();
            for key in lines
                .filter_map(|line| line.strip_prefix("secret_key = \""))
                .filter_map(|rest| rest.get(..40))
            {
                assert!(!shown.contains(key), "the error shows the key");
            }
        }
    });
}
