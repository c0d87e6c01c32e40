//! Which peerd a command talks to, and where its socket is. Nothing here touches the disk or the socket.

use std::path::{Path, PathBuf};

use dos_protocol::{
    Code, WireError,
    paths::{CONTROL_SOCKET_NAME, Environment},
};

/// A peerd, by its socket.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Target {
    /// Where it listens.
    pub(crate) socket: PathBuf,
    /// Its profile; nothing if the socket itself was named.
    pub(crate) profile: Option<Box<str>>,
    /// Where it keeps its state, if its profile tells: a socket that has lost its directory is there.
    pub(crate) state_dir: Option<PathBuf>,
}

impl Target {
    /// The peerd of `profile`, which is a valid one.
    ///
    /// # Errors
    /// With `no_daemon` if the environment does not tell where this user's sockets are.
    pub(crate) fn of_profile(profile: &str, environment: &Environment) -> Result<Self, WireError> {
        let socket = environment.control_socket(profile).ok_or_else(|| {
            WireError::new(
                Code::NoDaemon,
                format!("cannot tell where the socket of profile \"{profile}\" is"),
            )
            .caused_by("neither HOME nor XDG_RUNTIME_DIR is set to an absolute path")
            .hint("dosctl --socket PATH")
        })?;
        Ok(Self { socket, profile: Some(profile.into()), state_dir: environment.state_dir(profile) })
    }

    /// The peerd at `socket`.
    #[must_use]
    pub(crate) fn of_socket(socket: &Path) -> Self {
        Self { socket: socket.into(), profile: None, state_dir: None }
    }

    /// Where its socket may be, in the order in which to look.
    pub(crate) fn sockets(&self) -> impl Iterator<Item = PathBuf> + use<'_> {
        let refuge = self.state_dir.as_ref().map(|dir| dir.join(CONTROL_SOCKET_NAME));
        std::iter::once(self.socket.clone()).chain(refuge)
    }

    /// How a message names it.
    #[must_use]
    pub(crate) fn name(&self) -> String {
        match &self.profile {
            Some(profile) => format!("the peerd of profile \"{profile}\""),
            None => format!("the peerd at \"{}\"", self.socket.display()),
        }
    }

    /// The command that starts it.
    #[must_use]
    pub(crate) fn start_command(&self) -> String {
        match &self.profile {
            Some(profile) => format!("peerd --profile {profile}"),
            None => format!("peerd --socket {}", self.socket.display()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_profile_has_its_socket_in_the_runtime_directory() {
        let environment =
            Environment { xdg_runtime_dir: Some("/run/user/7".into()), ..Environment::default() };
        let target = Target::of_profile("bob", &environment).unwrap();
        assert_eq!(target.socket, Path::new("/run/user/7/dos/bob/control.sock"));
        assert_eq!(target.start_command(), "peerd --profile bob");
    }

    #[test]
    fn without_an_environment_there_is_a_hint() {
        let error = Target::of_profile("bob", &Environment::default()).unwrap_err();
        assert_eq!(error.code, Code::NoDaemon);
        assert!(error.hint.is_some());
    }

    #[test]
    fn a_named_socket_is_started_by_its_path() {
        assert_eq!(Target::of_socket(Path::new("/x/s")).start_command(), "peerd --socket /x/s");
    }
}
