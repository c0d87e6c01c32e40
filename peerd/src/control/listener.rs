//! Binding the local socket, taking its connections, and finding it again. With its neighbours the only place that names
//! interprocess.
//!
//! What always holds: the socket is 0600 in a directory that no other user can change; a socket that a dead daemon left is replaced, a
//! live one, somebody else's, or what is no socket is not. When its file vanishes, as `XDG_RUNTIME_DIR` does at logout, it is bound again
//! there, or in the state directory until that is possible.

use std::{
    io,
    path::{Path, PathBuf},
    time::Duration,
};

use dos_daemon::dir::make_private;
use dos_host::{
    socket::{PlaceError, SocketFile, clear},
    user::is_trusted,
};
use dos_protocol::paths::{CONTROL_SOCKET_NAME, fits_socket};
use interprocess::{
    local_socket::{
        GenericFilePath, ListenerOptions, ToFsName,
        tokio::{Listener as LocalListener, Stream},
        traits::{StreamCommon, tokio::Listener as _},
    },
    os::unix::local_socket::ListenerOptionsExt,
};
use tokio::time::{Interval, MissedTickBehavior, interval};

/// How often the socket's file is looked at: one stat(2) each time.
const LOOK_PAUSE: Duration = Duration::from_secs(2);

/// A bound socket; its file goes when dropped, if it is still this one's.
#[derive(Debug)]
struct Bound {
    listener: LocalListener,
    file: SocketFile,
}

impl Bound {
    fn at(path: &Path) -> Result<Self, PlaceError> {
        let failed = |error| PlaceError::Io(path.to_owned(), error);
        if let Some(parent) = path.parent().filter(|parent| !parent.as_os_str().is_empty())
            && !parent.exists()
        {
            make_private(parent).map_err(|error| PlaceError::Io(parent.to_owned(), error))?;
        }
        clear(path)?;
        let name = path.to_fs_name::<GenericFilePath>().map_err(failed)?;
        let options = ListenerOptions::new().name(name).mode(0o600).reclaim_name(false);
        let listener = options.create_tokio().map_err(failed)?;
        let file = SocketFile::bound(path).map_err(failed)?;
        Ok(Self { listener, file })
    }
}

/// The socket for dosctl.
#[derive(Debug)]
pub(crate) struct Listener {
    bound: Bound,
    /// Where it belongs.
    path: PathBuf,
    /// Where it is as long as it cannot be there.
    refuge: PathBuf,
    looks: Interval,
    /// Why it was not bound again the last time.
    trouble: Option<String>,
}

impl Listener {
    /// Binds the socket at `path`. If that vanishes later and cannot be made anew, it is in `state_dir`.
    ///
    /// # Errors
    /// As in [`PlaceError`].
    pub(crate) fn bind(path: &Path, state_dir: &Path) -> Result<Self, PlaceError> {
        let mut looks = interval(LOOK_PAUSE);
        looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let (path, refuge) = (path.to_owned(), state_dir.join(CONTROL_SOCKET_NAME));
        Ok(Self { bound: Bound::at(&path)?, path, refuge, looks, trouble: None })
    }

    /// The next connection of somebody who may command this daemon; others are hung up on. `on_bound` is called when the socket is
    /// back where it belongs.
    ///
    /// # Errors
    /// What the system says.
    pub(super) async fn accept(&mut self, on_bound: &(dyn Fn() + Sync)) -> io::Result<Stream> {
        loop {
            let stream = tokio::select! {
                stream = self.bound.listener.accept() => stream?,
                _ = self.looks.tick() => {
                    self.look(on_bound);
                    continue;
                }
            };
            let caller = stream.peer_creds().ok().and_then(|caller| caller.euid());
            if caller.is_some_and(is_trusted) {
                return Ok(stream);
            }
            tracing::warn!(uid = caller, "refused a command of another user");
        }
    }

    /// Binds the socket again if dosctl cannot find it where it looks.
    fn look(&mut self, on_bound: &dyn Fn()) {
        let is_there = self.bound.file.is_there();
        if is_there && self.bound.file.path() == self.path {
            return;
        }
        match Bound::at(&self.path) {
            Ok(bound) => {
                self.bound = bound;
                self.trouble = None;
                tracing::warn!(socket = %self.path.display(), "the socket had vanished and is bound again");
                on_bound();
                return;
            }
            Err(error) => self.complain(&error),
        }
        if is_there || !fits_socket(&self.refuge) || self.refuge == self.path {
            return;
        }
        match Bound::at(&self.refuge) {
            Ok(bound) => {
                self.bound = bound;
                tracing::warn!(
                    socket = %self.refuge.display(),
                    "the socket has vanished and is in the state directory meanwhile"
                );
            }
            Err(error) => {
                let error: &dyn std::error::Error = &error;
                tracing::warn!(error, socket = %self.refuge.display(), "there is no socket for commands");
            }
        }
    }

    /// Logs why the socket cannot be where it belongs, once for every reason.
    fn complain(&mut self, error: &PlaceError) {
        let text = error.to_string();
        if self.trouble.as_ref() != Some(&text) {
            let error: &dyn std::error::Error = error;
            tracing::warn!(error, "the socket has vanished and cannot be bound again");
            self.trouble = Some(text);
        }
    }
}
