//! The bare servers: the least that could do the work of dosd's port and of peerd's control socket.
//!
//! [`serve`] is tokio and rustls with the protocol's own TLS configuration (TLS 1.3, Ed25519 raw public keys on both
//! sides) and an echo as tokio's documentation has it (`split` and `copy`, with their own buffers): one task a connection
//! and nothing else; no frames, no store, no clocks, no account of who is there. With [`Buffers::Small`] the echo has one
//! buffer of 1 KiB instead: nothing on this stack holds less. [`serve_unix`] is its like for a Unix socket. They run as
//! processes of their own.

use std::{
    io::Write as _,
    net::SocketAddr,
    path::{Path, PathBuf},
    process::Stdio,
};

use anyhow::Context as _;
use clap::ValueEnum;
use dos_protocol::{
    PublicKey,
    key::SecretKey,
    limits::LISTEN_BACKLOG,
    tls::{Alpn, ServerTls},
};
use tokio::{
    io::{AsyncBufReadExt, AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, BufReader, copy, split},
    net::{TcpSocket, TcpStream, UnixListener},
    process::Command,
};

use crate::server::{Server, Target};

/// What an echo reads into.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Buffers {
    /// What `tokio::io::copy` takes: 8 KiB.
    Default,
    /// 1 KiB.
    Small,
}

/// Serves on TCP until killed; says on standard output where.
///
/// # Errors
/// If the key cannot be read or the address not be bound.
pub(crate) async fn serve(listen: SocketAddr, key_file: &Path, buffers: Buffers) -> anyhow::Result<()> {
    let secret: SecretKey = std::fs::read_to_string(key_file)?.trim().parse()?;
    let tls = ServerTls::new(&secret, Alpn::Directory)?;
    let socket = TcpSocket::new_v4()?;
    socket.set_reuseaddr(true)?;
    socket.bind(listen)?;
    let listener = socket.listen(LISTEN_BACKLOG)?;
    writeln!(std::io::stdout(), "{}", listener.local_addr()?)?;
    loop {
        let (stream, _) = listener.accept().await?;
        let tls = tls.clone();
        tokio::spawn(async move { drop(serve_one(stream, tls, buffers).await) });
    }
}

async fn serve_one(stream: TcpStream, tls: ServerTls, buffers: Buffers) -> anyhow::Result<()> {
    stream.set_nodelay(true)?;
    // As in dosd: what only the handshake needs is freed after it.
    let (_, stream) = Box::pin(tls.accept(stream)).await?;
    match buffers {
        Buffers::Default => {
            let (mut from, mut to) = split(stream);
            copy(&mut from, &mut to).await?;
            Ok(())
        }
        Buffers::Small => Box::pin(echo(stream)).await,
    }
}

async fn echo(mut stream: impl AsyncRead + AsyncWrite + Unpin) -> anyhow::Result<()> {
    let mut buffer = [0; 1024];
    loop {
        let count = stream.read(&mut buffer).await?;
        if count == 0 {
            return Ok(());
        }
        stream.write_all(buffer.get(..count).unwrap_or_default()).await?;
        stream.flush().await?;
    }
}

/// Serves on a Unix socket until killed; says on standard output that it does.
///
/// # Errors
/// If the path cannot be bound.
pub(crate) async fn serve_unix(path: &Path) -> anyhow::Result<()> {
    let listener = UnixListener::bind(path)?;
    writeln!(std::io::stdout(), "ready")?;
    loop {
        let (stream, _) = listener.accept().await?;
        tokio::spawn(async move { drop(echo(stream).await) });
    }
}

/// How to start the bare server, and again at the same place with the same key.
#[derive(Debug)]
pub(crate) struct Bare {
    key_file: PathBuf,
    key: PublicKey,
}

impl Bare {
    /// With a key that is kept in `dir`.
    ///
    /// # Errors
    /// If the key cannot be made or written.
    pub(crate) fn new(dir: &Path) -> anyhow::Result<Self> {
        let (secret, key_file) = (SecretKey::generate()?, dir.join("bare.key"));
        std::fs::write(&key_file, secret.to_text().as_bytes())?;
        Ok(Self { key_file, key: secret.public()? })
    }

    /// Starts the process and waits until it listens.
    ///
    /// # Errors
    /// If it does not come up.
    pub(crate) async fn start(&self, listen: SocketAddr) -> anyhow::Result<Server> {
        self.start_with(listen, Buffers::Default).await
    }

    /// As [`Bare::start`], with buffers of another size.
    ///
    /// # Errors
    /// If it does not come up.
    pub(crate) async fn start_with(&self, listen: SocketAddr, buffers: Buffers) -> anyhow::Result<Server> {
        let mut command = Command::new(std::env::current_exe()?);
        command
            .arg("bare-server")
            .arg("--listen")
            .arg(listen.to_string())
            .arg("--key-file")
            .arg(&self.key_file);
        if buffers == Buffers::Small {
            command.args(["--buffers", "small"]);
        }
        let (child, said) = start_and_hear(command).await?;
        let address = said.trim().parse().with_context(|| format!("the bare server said {said:?}"))?;
        Ok(Server::new(child, Target { address, key: self.key }))
    }
}

/// Starts the echo on a Unix socket and waits until it listens. It ends when the handle is dropped.
///
/// # Errors
/// If it does not come up.
pub(crate) async fn start_unix(path: &Path) -> anyhow::Result<tokio::process::Child> {
    let mut command = Command::new(std::env::current_exe()?);
    command.arg("bare-echo").arg(path);
    Ok(start_and_hear(command).await?.0)
}

/// Starts a process of ours and reads its first line.
async fn start_and_hear(mut command: Command) -> anyhow::Result<(tokio::process::Child, String)> {
    let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).kill_on_drop(true).spawn()?;
    let out = child.stdout.take().context("no standard output")?;
    let mut line = String::new();
    BufReader::new(out).read_line(&mut line).await?;
    anyhow::ensure!(!line.is_empty(), "a bare server did not come up");
    Ok((child, line))
}
