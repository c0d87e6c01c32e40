//! `view --open`: an original in the desktop's viewer, from a file that lies in memory and vanishes with it.
//!
//! What always holds: the file is 0600 in a directory of its own (0700) in peerd's directory for that, which is refused
//! unless it lies in memory; it is removed when the viewer has closed, when something goes wrong, and on SIGINT, SIGTERM and
//! SIGHUP; peerd removes what is left when it stops. A viewer that hands the file to a process that runs already cannot be
//! waited for: then the person says when it is done, or, where nobody can be asked, peerd's stop is the end.

mod application;

use std::{
    ffi::{OsStr, OsString},
    fs::{self, DirBuilder, File, OpenOptions},
    hash::{BuildHasher, Hasher, RandomState},
    io::{self, BufRead, IsTerminal, Write},
    os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt},
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use dos_protocol::{Code, ImageArg, WireError, paths::open_dir};
use rustix::{fs::fstatfs, process::geteuid};
use signal_hook::{
    consts::{SIGHUP, SIGINT, SIGTERM},
    iterator::Signals,
    low_level,
};

use crate::{
    context::Context,
    error::{Error, cause_of},
};

/// A viewer that ends well within this time has handed the file on, or nobody has looked at it.
const HANDED_ON_WITHIN: Duration = Duration::from_secs(2);

/// Between two looks at whether the viewer has ended.
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// The file systems that lie in memory (statfs(2)): tmpfs and ramfs.
const IN_MEMORY: [u32; 2] = [0x0102_1994, 0x8584_58f6];

/// The first bytes that tell the format.
const HEAD_BYTES: usize = 12;

/// A file for a viewer. Gone when dropped, unless it was handed on for good.
#[derive(Debug)]
pub struct Opened {
    file: File,
    path: PathBuf,
    directory: Directory,
    viewer: Option<OsString>,
    name: String,
    head: Vec<u8>,
    bytes: u64,
}

/// The viewer at work.
#[derive(Debug)]
pub struct Viewer {
    child: Option<Child>,
    directory: Directory,
}

impl Opened {
    /// Makes the file for `image`, before anything is spent. `viewer` is a command to use instead of the desktop's own.
    ///
    /// # Errors
    /// `usage` if there is no desktop, no viewer, or no memory to put the file in.
    pub fn prepare(context: &Context, image: &ImageArg, viewer: Option<OsString>) -> Result<Self, Error> {
        let viewer = viewer.filter(|viewer| !viewer.is_empty());
        if viewer.is_none() {
            application::check_desktop().map_err(|error| instead(error, image))?;
        }
        let root = open_dir(&context.target()?.socket);
        check_root(&root).map_err(|error| instead(error, image))?;
        let failed = |error: io::Error| {
            let text = format!("cannot put the picture in \"{}\"", root.display());
            instead(WireError::new(Code::Usage, text).caused_by(cause_of(&error)), image)
        };
        let directory = Directory::create(&root).map_err(failed)?;
        let path = directory.path.join("arriving");
        let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path).map_err(failed)?;
        let (name, head) = (image.name.to_string(), Vec::with_capacity(HEAD_BYTES));
        Ok(Self { file, path, directory, viewer, name, head, bytes: 0 })
    }

    /// Bytes written so far.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Writes a piece.
    ///
    /// # Errors
    /// `internal` if the memory is full.
    pub fn write(&mut self, piece: &[u8]) -> Result<(), Error> {
        let missing = HEAD_BYTES.saturating_sub(self.head.len());
        self.head.extend(piece.iter().take(missing));
        self.file.write_all(piece).map_err(|error| failed("cannot keep the picture in memory", &error))?;
        self.bytes = self.bytes.saturating_add(u64::try_from(piece.len()).unwrap_or(u64::MAX));
        Ok(())
    }

    /// Starts the viewer, and waits for as long as it takes to tell whether it has.
    ///
    /// # Errors
    /// `internal` if it cannot be started, or fails.
    pub fn show(self) -> Result<Viewer, Error> {
        let (extension, mime) = kind(&self.head);
        let path = self.path.with_file_name(format!("{}.{extension}", self.name));
        fs::rename(&self.path, &path).map_err(|error| failed("cannot name the picture", &error))?;
        drop(self.file);
        let mut command = match &self.viewer {
            Some(viewer) => of_shell(viewer, &path),
            None => application::command(mime, &path),
        };
        command.stdin(Stdio::null()).stdout(Stdio::null());
        let mut child = command.spawn().map_err(|error| failed("cannot start the viewer", &error))?;
        let deadline = Instant::now() + HANDED_ON_WITHIN;
        loop {
            match child.try_wait().map_err(|error| failed("cannot wait for the viewer", &error))? {
                Some(status) if status.success() => {
                    return Ok(Viewer { child: None, directory: self.directory });
                }
                Some(status) => return Err(broken(status)),
                None if Instant::now() >= deadline => {
                    return Ok(Viewer { child: Some(child), directory: self.directory });
                }
                None => std::thread::park_timeout(LOOK_EVERY),
            }
        }
    }
}

impl Viewer {
    /// Waits until the viewer has closed, and removes the file. `note` tells the person what is waited for.
    ///
    /// # Errors
    /// `internal` if the viewer fails; the picture has been shown all the same.
    pub fn wait(mut self, note: &dyn Fn(&str)) -> Result<(), Error> {
        if let Some(child) = &mut self.child {
            let status = child.wait().map_err(|error| failed("cannot wait for the viewer", &error))?;
            return if status.success() { Ok(()) } else { Err(broken(status)) };
        }
        if io::stdin().is_terminal() {
            note("press Enter when you have closed the viewer; the picture is then removed from memory\n");
            // Whatever comes, also the end of the input, says so.
            io::stdin().lock().read_line(&mut String::new()).unwrap_or_default();
        } else {
            note("the viewer cannot be waited for: the picture stays in memory until peerd stops\n");
            self.directory.keep();
        }
        Ok(())
    }
}

fn failed(what: &str, error: &io::Error) -> Error {
    WireError::new(Code::Internal, what).caused_by(cause_of(error)).into()
}

fn broken(status: ExitStatus) -> Error {
    WireError::new(Code::Internal, "the viewer failed").caused_by(status.to_string()).into()
}

fn instead(error: WireError, image: &ImageArg) -> WireError {
    error.hint(format!("dosctl view '{image}' -o FILE"))
}

/// `CMD FILE`, as a shell understands CMD.
fn of_shell(viewer: &OsStr, path: &Path) -> Command {
    let mut line = viewer.to_owned();
    line.push(" \"$1\"");
    let mut command = Command::new("/bin/sh");
    command.arg("-c").arg(line).arg("dosctl").arg(path);
    command
}

/// The usual extension and the media type of what begins so.
fn kind(head: &[u8]) -> (&'static str, &'static str) {
    match head {
        [0xff, 0xd8, ..] => ("jpg", "image/jpeg"),
        [0x89, b'P', b'N', b'G', ..] => ("png", "image/png"),
        [b'G', b'I', b'F', b'8', ..] => ("gif", "image/gif"),
        _ => ("webp", "image/webp"),
    }
}

/// That peerd's directory is there, ours, private, and in memory.
fn check_root(root: &Path) -> Result<(), WireError> {
    let shown = root.display();
    let unusable = |cause: String| {
        WireError::new(Code::Usage, format!("there is no place for a viewer's file at \"{shown}\""))
            .caused_by(cause)
    };
    let known = fs::symlink_metadata(root).map_err(|error| unusable(cause_of(&error)))?;
    let user = geteuid();
    let ours = known.uid() == user.as_raw() || user.is_root();
    if !known.is_dir() || !ours || known.permissions().mode() & 0o077 != 0 {
        return Err(unusable("it is not a directory of this user alone".into()));
    }
    let kind = File::open(root).and_then(|directory| Ok(fstatfs(directory)?));
    let kind = kind.map_err(|error| unusable(cause_of(&error)))?.f_type;
    // The type's width and sign differ between machines; the numbers have 32 bits.
    let kind = u32::try_from(i128::from(kind) & 0xffff_ffff).unwrap_or_default();
    if IN_MEMORY.contains(&kind) {
        return Ok(());
    }
    Err(unusable("it lies on a disk; peerd's socket must be in XDG_RUNTIME_DIR, which is memory".into()))
}

/// The directory of one file, with everything in it; gone when dropped.
#[derive(Debug)]
struct Directory {
    path: PathBuf,
    there: Arc<Mutex<Option<PathBuf>>>,
}

impl Directory {
    fn create(root: &Path) -> io::Result<Self> {
        let there = Arc::new(Mutex::new(None));
        remove_on_signal(Arc::clone(&there))?;
        // Held until the path is known: a signal in between waits for it.
        let mut known = there.lock().unwrap_or_else(PoisonError::into_inner);
        let path = root.join(format!("{:016x}", RandomState::new().build_hasher().finish()));
        DirBuilder::new().mode(0o700).create(&path)?;
        *known = Some(path.clone());
        drop(known);
        Ok(Self { path, there })
    }

    /// Leaves it to peerd.
    fn keep(&self) {
        *self.there.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        remove(&mut self.there.lock().unwrap_or_else(PoisonError::into_inner));
    }
}

/// Removes it, if it is still there. A failure has nobody left to hear of it; peerd tries again.
fn remove(path: &mut Option<PathBuf>) {
    if let Some(path) = path.take() {
        fs::remove_dir_all(path).unwrap_or_default();
    }
}

/// Ends the process on a signal as a shell reports it, after removing the file.
fn remove_on_signal(path: Arc<Mutex<Option<PathBuf>>>) -> io::Result<()> {
    let mut signals = Signals::new([SIGINT, SIGTERM, SIGHUP])?;
    std::thread::Builder::new().name("signals".into()).spawn(move || {
        if let Some(signal) = signals.forever().next() {
            // Still locked at the end, so that nothing is put there after it.
            let mut path = path.lock().unwrap_or_else(PoisonError::into_inner);
            remove(&mut path);
            low_level::exit(128 + signal);
        }
    })?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_directory_on_a_disk_or_open_to_others_is_refused() {
        let made = |root: &str, mode| {
            let directory = tempfile::tempdir_in(root).unwrap();
            fs::set_permissions(directory.path(), fs::Permissions::from_mode(mode)).unwrap();
            directory
        };
        let error = check_root(made("/dev/shm", 0o755).path()).unwrap_err();
        assert!(error.cause.unwrap().contains("this user alone"));
        let memory = made("/dev/shm", 0o700);
        assert_eq!(check_root(memory.path()), Ok(()));
        assert!(check_root(&memory.path().join("missing")).is_err());
        let disk = made(env!("CARGO_MANIFEST_DIR"), 0o700);
        assert!(check_root(disk.path()).unwrap_err().cause.unwrap().contains("on a disk"));
    }

    #[test]
    fn a_file_is_named_after_what_it_is() {
        assert_eq!(kind(b"\xff\xd8\xff\xe0").0, "jpg");
        assert_eq!(kind(b"\x89PNG\r\n").1, "image/png");
        assert_eq!(kind(b"GIF89a").0, "gif");
        assert_eq!(kind(b"RIFF\0\0\0\0WEBP").0, "webp");
    }
}
