//! Where a daemon and the commands that drive it meet: profiles, state directories and sockets of one user.
//!
//! Pure: the environment comes in as a value. Nothing here touches the disk.

use std::path::{Path, PathBuf};

/// The name of peerd's socket in its runtime directory.
pub const CONTROL_SOCKET_NAME: &str = "control.sock";

/// The profile when none is named.
pub const DEFAULT_PROFILE: &str = "default";

/// The parts of the environment that decide about paths, and what else a daemon takes from where it is started.
#[derive(Debug, Clone, Default)]
pub struct Environment {
    /// `HOME`.
    pub home: Option<PathBuf>,
    /// `XDG_STATE_HOME`.
    pub xdg_state_home: Option<PathBuf>,
    /// `XDG_RUNTIME_DIR`.
    pub xdg_runtime_dir: Option<PathBuf>,
    /// `STATE_DIRECTORY`, set by systemd: for one daemon alone.
    pub state_directory: Option<PathBuf>,
    /// `RUNTIME_DIRECTORY`, likewise.
    pub runtime_directory: Option<PathBuf>,
    /// `DOSCTL_PROFILE`, if it names a profile: which one a person works with.
    pub dosctl_profile: Option<Box<str>>,
    /// Whether standard error is a terminal, where a person reads it.
    pub at_terminal: bool,
}

impl Environment {
    /// This process's. Relative paths are ignored, as the XDG Base Directory Specification demands.
    #[must_use]
    pub fn of_process() -> Self {
        let absolute =
            |name: &str| std::env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
        Self {
            home: absolute("HOME"),
            xdg_state_home: absolute("XDG_STATE_HOME"),
            xdg_runtime_dir: absolute("XDG_RUNTIME_DIR"),
            state_directory: absolute("STATE_DIRECTORY"),
            runtime_directory: absolute("RUNTIME_DIRECTORY"),
            dosctl_profile: std::env::var("DOSCTL_PROFILE")
                .ok()
                .filter(|name| is_profile(name))
                .map(Into::into),
            at_terminal: std::io::IsTerminal::is_terminal(&std::io::stderr()),
        }
    }

    fn user_state(&self) -> Option<PathBuf> {
        let xdg = self.xdg_state_home.clone();
        xdg.or_else(|| self.home.as_ref().map(|home| home.join(".local/state")))
            .map(|state| state.join("dos"))
    }

    /// Where the directory keeps its data.
    #[must_use]
    pub fn data_dir(&self) -> Option<PathBuf> {
        self.state_directory.clone().or_else(|| self.user_state().map(|state| state.join("dosd")))
    }

    /// Where the peerd of `profile` keeps its state.
    #[must_use]
    pub fn state_dir(&self, profile: &str) -> Option<PathBuf> {
        self.state_directory
            .clone()
            .or_else(|| self.user_state().map(|state| state.join("peers").join(profile)))
    }

    /// Where the sockets of this user's daemons are: a directory for each profile.
    #[must_use]
    pub fn runtime_root(&self) -> Option<PathBuf> {
        let runtime = self.xdg_runtime_dir.as_ref().map(|runtime| runtime.join("dos"));
        runtime.or_else(|| self.user_state().map(|state| state.join("run")))
    }

    /// The socket of the peerd of `profile`.
    #[must_use]
    pub fn control_socket(&self, profile: &str) -> Option<PathBuf> {
        let own = self.runtime_directory.clone();
        own.or_else(|| self.runtime_root().map(|root| root.join(profile)))
            .map(|dir| dir.join(CONTROL_SOCKET_NAME))
    }
}

/// The directory beside a peerd's `socket` for originals that a viewer on this desktop shows: made when peerd starts,
/// removed with all that is in it when it stops.
#[must_use]
pub fn open_dir(socket: &Path) -> PathBuf {
    socket.with_extension("open")
}

/// Whether `name` may be a profile: a directory's name of 1 to 32 of `a-z A-Z 0-9 . _ -`, not beginning with a dot or
/// a dash.
#[must_use]
pub fn is_profile(name: &str) -> bool {
    (1..=32).contains(&name.len())
        && !name.starts_with(['.', '-'])
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-'))
}

/// The longest path of a Unix socket on Linux in bytes: `sun_path` has 108, the last one is a zero (unix(7)).
pub const SOCKET_PATH_BYTES_MAX: usize = 107;

/// Whether the system can bind a socket at `path`.
#[must_use]
pub fn fits_socket(path: &Path) -> bool {
    path.as_os_str().len() <= SOCKET_PATH_BYTES_MAX
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn systemd_beats_xdg_beats_home() {
        let mut environment = Environment { home: Some("/h".into()), ..Environment::default() };
        assert_eq!(environment.state_dir("a"), Some("/h/.local/state/dos/peers/a".into()));
        assert_eq!(environment.control_socket("a"), Some("/h/.local/state/dos/run/a/control.sock".into()));
        environment.xdg_state_home = Some("/s".into());
        environment.xdg_runtime_dir = Some("/r".into());
        assert_eq!(environment.state_dir("a"), Some("/s/dos/peers/a".into()));
        assert_eq!(environment.control_socket("a"), Some("/r/dos/a/control.sock".into()));
        environment.state_directory = Some("/var/lib/x".into());
        environment.runtime_directory = Some("/run/x".into());
        assert_eq!(environment.state_dir("a"), Some("/var/lib/x".into()));
        assert_eq!(environment.data_dir(), Some("/var/lib/x".into()));
        assert_eq!(environment.control_socket("a"), Some("/run/x/control.sock".into()));
    }

    #[test]
    fn every_socket_has_its_own_directory_for_what_is_open() {
        assert_eq!(open_dir(Path::new("/r/dos/a/control.sock")), Path::new("/r/dos/a/control.open"));
        assert_ne!(open_dir(Path::new("/r/a.sock")), open_dir(Path::new("/r/b.sock")));
    }

    #[test]
    fn a_profile_is_a_harmless_directory_name() {
        assert!(is_profile("alice-2.x_Y"));
        for bad in ["", "..", ".a", "-a", "a/b", "a b", &"x".repeat(33)] {
            assert!(!is_profile(bad), "{bad}");
        }
    }
}
