//! Where the bytes of an image go: a file that appears whole or not at all, a device, or standard output.
//!
//! It is opened before peerd gets the command, and has room for the bytes before a view is spent for them. A file is written
//! under a temporary name beside its own, synced, then renamed; on a failure, SIGINT, SIGTERM or SIGHUP the temporary
//! one is removed, and what had the name before is untouched.

use std::{
    ffi::OsStr,
    fs::{self, File, OpenOptions},
    hash::{BuildHasher, Hasher, RandomState},
    io::{self, Write},
    os::{
        fd::AsFd,
        unix::fs::{OpenOptionsExt, PermissionsExt},
    },
    path::{Path, PathBuf},
};

use dos_host::dir::{Entries, parent_of, try_sync};
use dos_protocol::{Code, WireError};
use rustix::{
    fs::{FallocateFlags, fallocate, fstatvfs},
    io::Errno,
};

use crate::{
    error::{Error, cause_of, of_file},
    temporary::Temporary,
};

/// Tries at a temporary name: a second one is needed only if 64 random bits repeat.
const NAME_TRIES: usize = 8;

/// A target as an argument: `-` is standard output.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Place {
    /// Standard output.
    Stdout,
    /// A file or a device.
    Path(PathBuf),
}

impl From<&OsStr> for Place {
    fn from(text: &OsStr) -> Self {
        if text == "-" { Self::Stdout } else { Self::Path(text.into()) }
    }
}

/// What becomes of a file that is there already.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Existing {
    /// The new one takes its place.
    Replace,
    /// It stays, and nothing is written.
    Refuse,
}

/// How a file is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct How {
    pub(crate) existing: Existing,
    /// Its permissions, whatever the umask is; nothing for those of a new file for its owner alone.
    pub(crate) mode: Option<u32>,
}

/// Reads permissions as chmod(1) has them in numbers.
///
/// # Errors
/// What is wrong with them.
pub(crate) fn mode(text: &str) -> Result<u32, &'static str> {
    let is_octal = (3..=4).contains(&text.len()) && text.bytes().all(|digit| matches!(digit, b'0'..=b'7'));
    let mode = is_octal.then(|| u32::from_str_radix(text, 8).ok()).flatten();
    mode.filter(|mode| *mode <= 0o777).ok_or("permissions are three octal digits, such as 640")
}

/// The permissions of a file with what is not for everybody, unless others are wanted; the umask may take more away.
const PRIVATE: u32 = 0o600;

/// The place that an `-o` names, opened for writing.
#[derive(Debug)]
pub(crate) struct Draft {
    file: File,
    kind: Kind,
    bytes: u64,
}

#[derive(Debug)]
enum Kind {
    Stdout,
    Device(PathBuf),
    Temporary { dest: PathBuf, temporary: Temporary, how: How },
}

impl Draft {
    /// Opens `place`.
    ///
    /// # Errors
    /// `usage` if it cannot be written, `not_found` if its directory is missing, `conflict` for a file that stays.
    pub(crate) fn open(place: &Place, how: How) -> Result<Self, Error> {
        match place {
            Place::Stdout if how.mode.is_some() => Err(no_mode("standard output").into()),
            Place::Stdout => {
                let file = io::stdout().as_fd().try_clone_to_owned().map_err(Error::Output)?;
                Ok(Self { file: file.into(), kind: Kind::Stdout, bytes: 0 })
            }
            Place::Path(path) => Self::open_path(path, how).map_err(Error::Told),
        }
    }

    fn open_path(path: &Path, how: How) -> Result<Self, WireError> {
        let existing = how.existing;
        let failed =
            |error: io::Error| of_file(format!("cannot write \"{}\"", path.display()), &error, Code::Usage);
        match fs::metadata(path) {
            Ok(known) if known.is_dir() => {
                let text = format!("cannot write \"{}\": it is a directory", path.display());
                Err(WireError::new(Code::Usage, text).hint("give a file's name after -o"))
            }
            Ok(known) if !known.is_file() && how.mode.is_some() => {
                Err(no_mode(&format!("\"{}\"", path.display())))
            }
            // Renaming over a device or a pipe would replace it.
            Ok(known) if !known.is_file() => {
                let file = OpenOptions::new().write(true).open(path).map_err(failed)?;
                Ok(Self { file, kind: Kind::Device(path.into()), bytes: 0 })
            }
            Ok(_) if existing == Existing::Refuse => Err(exists(path)),
            // Through a link, so that the file it names is replaced and not the link; no wider than the old one.
            Ok(known) => {
                let dest = fs::canonicalize(path).map_err(failed)?;
                drop(OpenOptions::new().write(true).open(&dest).map_err(failed)?);
                Self::beside(dest, known.permissions().mode() & 0o777, how).map_err(failed)
            }
            // A link that leads nowhere is there, too.
            Err(_) if existing == Existing::Refuse && fs::symlink_metadata(path).is_ok() => Err(exists(path)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                Self::beside(path.into(), PRIVATE, how).map_err(failed)
            }
            Err(error) => Err(failed(error)),
        }
    }

    fn beside(dest: PathBuf, mode: u32, how: How) -> io::Result<Self> {
        if dest.file_name().is_none() || dest.as_os_str().as_encoded_bytes().ends_with(b"/") {
            return Err(io::ErrorKind::IsADirectory.into());
        }
        let (temporary, file) = Temporary::create(|| create_temporary(parent_of(&dest), mode))?;
        Ok(Self { file, kind: Kind::Temporary { dest, temporary, how }, bytes: 0 })
    }

    /// Bytes written so far.
    #[must_use]
    pub(crate) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Whether this is standard output, which then takes nothing else.
    #[must_use]
    pub(crate) fn is_stdout(&self) -> bool {
        matches!(self.kind, Kind::Stdout)
    }

    /// Makes sure that there is room for a file of this many bytes.
    ///
    /// # Errors
    /// If there is not.
    pub(crate) fn reserve(&self, bytes: u64) -> Result<(), Error> {
        let is_file = self.file.metadata().is_ok_and(|known| known.is_file());
        if is_file { reserve(&self.file, bytes).map_err(|error| self.failed(error)) } else { Ok(()) }
    }

    /// Writes a piece.
    ///
    /// # Errors
    /// If the place does not take it.
    pub(crate) fn write(&mut self, piece: &[u8]) -> Result<(), Error> {
        self.file.write_all(piece).map_err(|error| self.failed(error))?;
        self.bytes = self.bytes.saturating_add(u64::try_from(piece.len()).unwrap_or(u64::MAX));
        Ok(())
    }

    /// Makes what was written durable under its own name. Returns a warning if the file is there, whole, and its directory cannot
    /// be made durable: what it cost is spent, so that is no failure.
    ///
    /// # Errors
    /// If that fails; the name is then as before. `conflict` if another program has made a file of that name meanwhile, which
    /// stays; then the new one stays beside it, since what it cost is spent.
    pub(crate) fn finish(self) -> Result<Option<String>, Error> {
        let Kind::Temporary { dest, temporary, how } = &self.kind else { return Ok(None) };
        if let Some(mode) = how.mode {
            let set = self.file.set_permissions(fs::Permissions::from_mode(mode));
            set.map_err(|error| self.failed(error))?;
        }
        let renamed = self.file.sync_all().and_then(|()| match how.existing {
            Existing::Replace => temporary.rename(dest).map(|()| None),
            Existing::Refuse => temporary.rename_new(dest),
        });
        match renamed.map_err(|error| self.failed(error))? {
            None => Ok(unsynced(dest)),
            Some(kept) => {
                let error = exists(dest);
                Err(error
                    .caused_by(format!("it was made meanwhile; the picture is in \"{}\"", kept.display()))
                    .into())
            }
        }
    }

    fn failed(&self, error: io::Error) -> Error {
        match &self.kind {
            Kind::Stdout => Error::of_output(error),
            Kind::Device(path) | Kind::Temporary { dest: path, .. } => {
                let text = format!("cannot write \"{}\"", path.display());
                WireError::new(Code::Internal, text).caused_by(cause_of(&error)).into()
            }
        }
    }
}

fn no_mode(what: &str) -> WireError {
    WireError::new(Code::Usage, format!("--mode goes with a file, and {what} is none"))
}

fn exists(path: &Path) -> WireError {
    WireError::new(Code::Conflict, format!("\"{}\" exists already", path.display()))
}

/// Has the file system set this much room aside behind the end of a file. One that cannot is asked how much it has: others may take that before
/// the file is written, which is then an error as before.
pub(crate) fn reserve(file: &File, bytes: u64) -> io::Result<()> {
    if bytes == 0 {
        return Ok(());
    }
    let end = file.metadata()?.len();
    // The file's size stays, so that one that is cut short never looks whole.
    match fallocate(file, FallocateFlags::KEEP_SIZE, end, bytes) {
        Err(Errno::OPNOTSUPP | Errno::NOSYS) => {
            let known = fstatvfs(file)?;
            let free = known.f_bavail.saturating_mul(known.f_frsize);
            if free < bytes { Err(io::ErrorKind::StorageFull.into()) } else { Ok(()) }
        }
        done => Ok(done?),
    }
}

/// Makes the name of a file durable, or tells that it may not be.
fn unsynced(dest: &Path) -> Option<String> {
    let directory = parent_of(dest);
    let error = match try_sync(directory) {
        Ok(Entries::Durable) => return None,
        Ok(Entries::Unknown(error)) | Err(error) => error,
    };
    Some(format!(
        "cannot sync the directory \"{}\" ({}): after a power cut \"{}\" may be missing",
        directory.display(),
        cause_of(&error),
        dest.display()
    ))
}

/// Creates a file of a random name in `directory`.
fn create_temporary(directory: &Path, mode: u32) -> io::Result<(PathBuf, File)> {
    let mut tries = 0;
    loop {
        let number = RandomState::new().build_hasher().finish();
        let path = directory.join(format!(".dosctl-{number:016x}.part"));
        match OpenOptions::new().write(true).create_new(true).mode(mode).open(&path) {
            Ok(file) => return Ok((path, file)),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists && tries < NAME_TRIES => tries += 1,
            Err(error) => return Err(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn open(path: &Path) -> Result<Draft, Error> {
        Draft::open(&Place::Path(path.into()), How { existing: Existing::Replace, mode: None })
    }

    fn open_new(path: &Path) -> Result<Draft, Error> {
        Draft::open(&Place::Path(path.into()), How { existing: Existing::Refuse, mode: None })
    }

    #[test]
    fn a_file_is_for_its_owner_alone_unless_other_permissions_are_wanted() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("sea.jpg");
        let made = |mode| {
            let how = How { existing: Existing::Replace, mode };
            let mut draft = Draft::open(&Place::Path(path.clone()), how).unwrap();
            draft.write(b"abc").unwrap();
            draft.finish().unwrap();
            fs::metadata(&path).unwrap().permissions().mode() & 0o777
        };
        assert_eq!(made(None), 0o600);
        assert_eq!(made(Some(0o640)), 0o640);
        assert_eq!(made(None), 0o640, "what is replaced keeps its own");
        let how = How { existing: Existing::Replace, mode: Some(0o600) };
        for place in [Place::Stdout, Place::Path("/dev/null".into())] {
            assert_eq!(Draft::open(&place, how).unwrap_err().told()[0].code, Code::Usage);
        }
        for (text, expected) in
            [("640", Some(0o640)), ("0600", Some(0o600)), ("4755", None), ("9", None), ("u+r", None)]
        {
            assert_eq!(mode(text).ok(), expected, "{text}");
        }
    }

    fn names(directory: &Path) -> Vec<String> {
        let mut names: Vec<String> = fs::read_dir(directory)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned())
            .collect();
        names.sort();
        names
    }

    #[test]
    fn a_file_appears_only_when_it_is_whole() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("sea.jpg");
        let mut draft = open(&path).unwrap();
        draft.write(b"ab").unwrap();
        assert!(!path.exists());
        draft.write(b"c").unwrap();
        assert_eq!(draft.bytes(), 3);
        draft.finish().unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"abc");
        assert_eq!(names(directory.path()), ["sea.jpg"]);
    }

    #[test]
    fn what_is_given_up_leaves_nothing_and_touches_nothing() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("sea.jpg");
        fs::write(&path, b"old").unwrap();
        let mut draft = open(&path).unwrap();
        draft.write(b"new").unwrap();
        assert_eq!(names(directory.path()).len(), 2);
        drop(draft);
        assert_eq!(names(directory.path()), ["sea.jpg"]);
        assert_eq!(fs::read(&path).unwrap(), b"old");
    }

    #[test]
    fn a_file_that_is_there_stays_and_a_device_is_written() {
        let directory = tempfile::tempdir().unwrap();
        let (path, link) = (directory.path().join("sea.jpg"), directory.path().join("link"));
        let dangling = directory.path().join("dangling");
        fs::write(&path, b"old").unwrap();
        std::os::unix::fs::symlink("sea.jpg", &link).unwrap();
        std::os::unix::fs::symlink("nowhere", &dangling).unwrap();
        for path in [&path, &link, &dangling] {
            assert_eq!(open_new(path).unwrap_err().told()[0].code, Code::Conflict);
        }
        assert_eq!(names(directory.path()), ["dangling", "link", "sea.jpg"]);
        let mut draft = open_new(&directory.path().join("new.jpg")).unwrap();
        draft.write(b"new").unwrap();
        draft.finish().unwrap();
        assert_eq!(fs::read(directory.path().join("new.jpg")).unwrap(), b"new");
        assert!(open_new(Path::new("/dev/null")).is_ok());
    }

    #[test]
    fn a_file_that_is_made_meanwhile_stays_and_so_does_the_picture() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("sea.jpg");
        let mut draft = open_new(&path).unwrap();
        draft.write(b"picture").unwrap();
        fs::write(&path, b"other").unwrap();
        let error = draft.finish().unwrap_err().told().remove(0);
        assert_eq!((error.code, fs::read(&path).unwrap()), (Code::Conflict, b"other".to_vec()));
        let kept = names(directory.path()).into_iter().find(|name| name != "sea.jpg").unwrap();
        assert!(error.cause.unwrap().contains(&kept));
        assert_eq!(fs::read(directory.path().join(kept)).unwrap(), b"picture");
    }

    #[test]
    fn room_is_set_aside_and_the_size_stays() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("sea.jpg");
        let mut draft = open(&path).unwrap();
        draft.reserve(0).unwrap();
        draft.reserve(1 << 20).unwrap();
        draft.write(b"abc").unwrap();
        draft.finish().unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"abc");
        // More than any disk here has.
        assert_eq!(open(&path).unwrap().reserve(1 << 60).unwrap_err().told()[0].code, Code::Internal);
        assert!(open(Path::new("/dev/null")).unwrap().reserve(1 << 60).is_ok());
    }

    #[test]
    fn a_replaced_file_is_no_more_open_than_before_and_a_link_stays_one() {
        let directory = tempfile::tempdir().unwrap();
        let (path, link) = (directory.path().join("sea.jpg"), directory.path().join("link"));
        fs::write(&path, b"old").unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        std::os::unix::fs::symlink("sea.jpg", &link).unwrap();
        let mut draft = open(&link).unwrap();
        draft.write(b"new").unwrap();
        draft.finish().unwrap();
        assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
        assert_eq!(fs::read(&path).unwrap(), b"new");
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    }

    #[test]
    fn a_device_is_written_and_not_replaced() {
        let mut draft = open(Path::new("/dev/null")).unwrap();
        draft.write(b"abc").unwrap();
        draft.finish().unwrap();
        assert!(!fs::metadata("/dev/null").unwrap().is_file());
    }

    #[test]
    fn what_cannot_be_written_is_refused_at_once() {
        let directory = tempfile::tempdir().unwrap();
        let code = |path: &Path| open(path).unwrap_err().told()[0].code;
        assert_eq!(code(directory.path()), Code::Usage);
        assert_eq!(code(Path::new("/")), Code::Usage);
        assert_eq!(code(&directory.path().join("new/")), Code::Usage);
        assert_eq!(code(&directory.path().join("missing/sea.jpg")), Code::NotFound);
        assert_eq!(names(directory.path()), [""; 0]);
    }
}
