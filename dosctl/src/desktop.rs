//! `view --open`: an original in the desktop's viewer, or in that of `--viewer`, from a file in memory.
//!
//! What always holds: the file is 0600 in a directory of its own (0700) in peerd's directory for that, which is refused
//! unless it lies in memory; it is removed when the viewer has closed, when something fails, and on SIGINT, SIGTERM and
//! SIGHUP; peerd removes what is left when it stops.
//!
//! `xdg-open` mostly hands the file to another process and ends at once, maybe before that process has read the file, so
//! its end does not say when the file may go. Then the person says so by pressing Enter; without a terminal the file stays
//! until peerd stops, since removing it any earlier could lose a view that was counted.

use std::{
    env,
    ffi::{OsStr, OsString},
    fs::{self, DirBuilder, File, OpenOptions},
    hash::{BuildHasher, Hasher, RandomState},
    io::{self, BufRead, IsTerminal, Write},
    os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt},
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    time::{Duration, Instant},
};

use dos_host::variables::var_os;
use dos_preview::{Format, HEAD_BYTES};
use dos_protocol::{Code, ImageArg, WireError, paths::open_dir};
use rustix::{fs::fstatfs, process::geteuid};

use crate::{
    context::Context,
    draft::reserve,
    error::{Error, cause_of},
    temporary::Temporary,
};

/// What opens a file in the desktop's default application.
pub(crate) const XDG_OPEN: &str = "xdg-open";

/// A viewer that fails within this time has shown nothing, which is reported.
pub(crate) const FAILS_WITHIN: Duration = Duration::from_secs(2);

/// A command of `--viewer` that ends sooner has handed the file on: no one looks at a picture for less.
const HANDED_ON_WITHIN: Duration = Duration::from_secs(2);

/// The same for `xdg-open`, which takes a while on a machine that is busy starting the application.
const XDG_OPEN_HANDS_ON_WITHIN: Duration = Duration::from_secs(15);

/// Between two looks at whether the viewer has ended.
pub(crate) const LOOK_EVERY: Duration = Duration::from_millis(20);

/// The file systems that lie in memory (statfs(2)): tmpfs and ramfs.
const IN_MEMORY: [u32; 2] = [0x0102_1994, 0x8584_58f6];

/// A file for a viewer. Gone when dropped, unless it was handed on for good.
#[derive(Debug)]
pub(crate) struct Opened {
    file: File,
    path: PathBuf,
    directory: Temporary,
    viewer: Option<OsString>,
    name: String,
    head: Vec<u8>,
    bytes: u64,
}

/// The viewer at work.
#[derive(Debug)]
pub(crate) struct Viewer {
    child: Child,
    started: Instant,
    /// If it ends sooner, another process shows the picture.
    hands_on_within: Duration,
    directory: Temporary,
}

impl Opened {
    /// Makes the file for `image`, before anything is spent. `viewer` is a command to use instead of the desktop's own.
    ///
    /// # Errors
    /// `usage` if there is no desktop, no viewer, or no memory to put the file in.
    pub(crate) fn prepare(
        context: &Context,
        image: &ImageArg,
        viewer: Option<OsString>,
    ) -> Result<Self, Error> {
        let viewer = viewer.filter(|viewer| !viewer.is_empty());
        if viewer.is_none() {
            check_desktop("the picture").map_err(|error| instead(error, image))?;
        }
        let root = open_dir(&context.target()?.socket);
        check_root(&root).map_err(|error| instead(error, image))?;
        let failed = |error: io::Error| {
            let text = format!("cannot put the picture in \"{}\"", root.display());
            instead(WireError::new(Code::Usage, text).caused_by(cause_of(&error)), image)
        };
        let (directory, path) = Temporary::create(|| create_directory(&root)).map_err(failed)?;
        let path = path.join("arriving");
        let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path).map_err(failed)?;
        let (name, head) = (image.name.to_string(), Vec::with_capacity(HEAD_BYTES));
        Ok(Self { file, path, directory, viewer, name, head, bytes: 0 })
    }

    /// Bytes written so far.
    #[must_use]
    pub(crate) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Makes sure that there is room for a picture of this many bytes.
    ///
    /// # Errors
    /// `internal` if there is not.
    pub(crate) fn reserve(&self, bytes: u64) -> Result<(), Error> {
        reserve(&self.file, bytes).map_err(|error| failed("cannot keep the picture in memory", &error))
    }

    /// Writes a piece.
    ///
    /// # Errors
    /// `internal` if the memory is full.
    pub(crate) fn write(&mut self, piece: &[u8]) -> Result<(), Error> {
        let missing = HEAD_BYTES.saturating_sub(self.head.len());
        self.head.extend(piece.iter().take(missing));
        self.file.write_all(piece).map_err(|error| failed("cannot keep the picture in memory", &error))?;
        self.bytes = self.bytes.saturating_add(u64::try_from(piece.len()).unwrap_or(u64::MAX));
        Ok(())
    }

    /// Starts the viewer, and waits for as long as it takes to tell whether it works. If it does not, the file stays, with `keeps`:
    /// its view is used.
    ///
    /// # Errors
    /// `internal` if it cannot be started, or fails.
    pub(crate) fn show(self, keeps: bool) -> Result<Viewer, Error> {
        let path = self.path.with_file_name(format!("{}.{}", self.name, extension(&self.head)));
        fs::rename(&self.path, &path).map_err(|error| failed("cannot name the picture", &error))?;
        drop(self.file);
        let (command, hands_on_within) = match &self.viewer {
            Some(viewer) => (of_shell(viewer, &path), HANDED_ON_WITHIN),
            None => (of_desktop(&path), XDG_OPEN_HANDS_ON_WITHIN),
        };
        let started = Instant::now();
        match start(command, started) {
            Ok(child) => Ok(Viewer { child, started, hands_on_within, directory: self.directory }),
            Err(Error::Told(error)) if keeps => {
                self.directory.keep();
                let path = path.display();
                let message = format!(
                    "{}; the view is used, and the picture is in \"{path}\" until peerd stops",
                    error.message
                );
                Err(WireError { message: message.into(), ..error }.hint(format!("cp '{path}' FILE")).into())
            }
            Err(error) => Err(error),
        }
    }
}

fn start(mut command: Command, started: Instant) -> Result<Child, Error> {
    command.stdin(Stdio::null()).stdout(Stdio::null());
    let mut child = command.spawn().map_err(|error| failed("cannot start the viewer", &error))?;
    while started.elapsed() < FAILS_WITHIN {
        match child.try_wait().map_err(|error| failed("cannot wait for the viewer", &error))? {
            Some(status) if status.success() => break,
            Some(status) => return Err(broken(status)),
            None => std::thread::park_timeout(LOOK_EVERY),
        }
    }
    Ok(child)
}

impl Viewer {
    /// Waits until the viewer has closed, and removes the file. `note` tells the person what is waited for.
    ///
    /// # Errors
    /// `internal` if the viewer fails; the picture has been shown all the same.
    pub(crate) fn wait(mut self, note: &dyn Fn(&str)) -> Result<(), Error> {
        let status = self.child.wait().map_err(|error| failed("cannot wait for the viewer", &error))?;
        if !status.success() {
            return Err(broken(status));
        }
        if self.started.elapsed() >= self.hands_on_within {
            return Ok(());
        }
        if io::stdin().is_terminal() {
            note("press Enter when you have closed the viewer; the picture is then removed from memory\n");
            // The end of the input counts as Enter.
            io::stdin().lock().read_line(&mut String::new()).unwrap_or_default();
        } else {
            note("cannot wait for the viewer: the picture stays in memory until peerd stops\n");
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

fn of_desktop(path: &Path) -> Command {
    let mut command = Command::new(XDG_OPEN);
    // What applications print there is of no use to the person.
    command.arg(path).stderr(Stdio::null());
    command
}

/// Checks that there is a desktop that can open files, before a view is spent.
pub(crate) fn check_desktop(what: &str) -> Result<(), WireError> {
    let set = |name| var_os(name).is_some();
    let none = |cause: &str| {
        WireError::new(Code::Usage, format!("there is no desktop to open {what} in")).caused_by(cause)
    };
    if !set("DISPLAY") && !set("WAYLAND_DISPLAY") {
        return Err(none("neither DISPLAY nor WAYLAND_DISPLAY is set"));
    }
    let runs = |path: &Path| {
        fs::metadata(path).is_ok_and(|known| known.is_file() && known.permissions().mode() & 0o111 != 0)
    };
    let path = var_os("PATH");
    if path.iter().flat_map(env::split_paths).any(|directory| runs(&directory.join(XDG_OPEN))) {
        Ok(())
    } else {
        Err(none("xdg-open is not installed"))
    }
}

/// The usual extension of what begins with `head`: applications tell the format by it. Only pictures made of pixels have theirs.
/// Documents, which may contain programs and addresses, and any other files never get a name by which an application would
/// open them by itself: their owners are not trusted.
fn extension(head: &[u8]) -> &'static str {
    match Format::of_head(head) {
        Some(Format::Jpeg) => "jpg",
        Some(Format::Svg | Format::Pdf | Format::Eps | Format::Djvu | Format::Other) | None => "image",
        Some(format) => format.as_str(),
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

/// Creates a directory of a random name in `root`.
fn create_directory(root: &Path) -> io::Result<(PathBuf, PathBuf)> {
    let path = root.join(format!("{:016x}", RandomState::new().build_hasher().finish()));
    DirBuilder::new().mode(0o700).create(&path)?;
    Ok((path.clone(), path))
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
        assert_eq!(extension(b"\xff\xd8\xff\xe0"), "jpg");
        assert_eq!(extension(b"\x89PNG\r\n\x1a\n"), "png");
        assert_eq!(extension(b"GIF89a"), "gif");
        assert_eq!(extension(b"RIFF\0\0\0\0WEBP"), "webp");
        assert_eq!(extension(b"MM\0\x2a\0\0\0\x08"), "tiff");
        for program in
            [b"<svg><script>".as_slice(), b"%PDF-1.7", b"[Desktop Entry]", b"#!/bin/sh", b"<html>", b""]
        {
            assert_eq!(extension(program), "image");
        }
    }
}
