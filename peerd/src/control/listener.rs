//! Binding the local socket and taking its connections. With its neighbours the only place that names interprocess.
//!
//! What always holds: the socket is 0600 in a directory that is 0700; a socket that a dead daemon left is replaced, a
//! live one is not.

use std::{
    io,
    os::unix::net::UnixStream,
    path::{Path, PathBuf},
};

use dos_daemon::dir::make_private;
use interprocess::{
    local_socket::{
        GenericFilePath, ListenerOptions, ToFsName,
        tokio::{Listener as LocalListener, Stream},
        traits::{StreamCommon, tokio::Listener as _},
    },
    os::unix::local_socket::ListenerOptionsExt,
};

use super::credentials::may_command;

/// The bound socket; gone from the file system when dropped.
#[derive(Debug)]
pub(crate) struct Listener {
    listener: LocalListener,
    path: PathBuf,
}

impl Listener {
    /// Binds the socket.
    ///
    /// # Errors
    /// `AddrInUse` if another daemon answers there; what the system says.
    pub(crate) fn bind(path: &Path) -> io::Result<Self> {
        if let Some(parent) = path.parent().filter(|parent| !parent.as_os_str().is_empty())
            && !parent.exists()
        {
            make_private(parent)?;
        }
        match UnixStream::connect(path) {
            Ok(_) => return Err(io::Error::new(io::ErrorKind::AddrInUse, "another daemon answers there")),
            Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => std::fs::remove_file(path)?,
            Err(_) => {}
        }
        let name = path.to_fs_name::<GenericFilePath>()?;
        let listener = ListenerOptions::new().name(name).mode(0o600).reclaim_name(false).create_tokio()?;
        Ok(Self { listener, path: path.to_owned() })
    }

    /// The next connection of somebody who may command this daemon; others are hung up on.
    ///
    /// # Errors
    /// What the system says.
    pub(super) async fn accept(&self) -> io::Result<Stream> {
        loop {
            let stream = self.listener.accept().await?;
            let caller = stream.peer_creds().ok().and_then(|caller| caller.euid());
            if caller.is_some_and(may_command) {
                return Ok(stream);
            }
            tracing::warn!(uid = caller, "refused a command of another user");
        }
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        // The state directory is locked still, so the socket is ours.
        drop(std::fs::remove_file(&self.path));
    }
}
