//! The control socket of a daemon in this process: nonsense disturbs nobody, and what needs no directory works without.

use std::{os::unix::fs::PermissionsExt, time::Duration};

use dos_protocol::{
    Code,
    control::{Command, FromPeerd, Outcome, SessionState, ToPeerd},
    frame::{self, Reader},
    limits::FRAME_BYTES_MAX,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::UnixStream,
    time::timeout,
};

use crate::{Config, Daemon, RunError, state_dir::StateDirError};

const SOON: Duration = Duration::from_secs(20);

struct Running {
    daemon: Daemon,
    temp: tempfile::TempDir,
}

async fn running() -> Running {
    let temp = tempfile::tempdir().unwrap();
    let daemon = Box::pin(Daemon::start(config(&temp))).await.unwrap();
    Running { daemon, temp }
}

fn config(temp: &tempfile::TempDir) -> Config {
    let config = Config::new(temp.path().join("state"), temp.path().join("run/control.sock"));
    Config { listen: "127.0.0.1:0".parse().unwrap(), ..config }
}

impl Running {
    async fn connect(&self) -> UnixStream {
        UnixStream::connect(self.daemon.socket()).await.unwrap()
    }

    async fn ask(&self, command: Command) -> FromPeerd {
        let mut stream = self.connect().await;
        let frame = frame::to_frame(&ToPeerd::Do(Box::new(command))).unwrap();
        stream.write_all(&frame).await.unwrap();
        answer(stream).await
    }

    async fn is_well(&self) {
        let answer = self.ask(Command::Status).await;
        let FromPeerd::Done(outcome) = answer else { panic!("{answer:?}") };
        let Outcome::Status(status) = *outcome else { panic!("{outcome:?}") };
        assert_eq!((status.state, status.id), (SessionState::Unregistered, None));
    }
}

async fn answer(stream: UnixStream) -> FromPeerd {
    let body = timeout(SOON, Reader::new(stream).next()).await.unwrap().unwrap().unwrap();
    frame::decode(&body).unwrap()
}

async fn refused(running: &Running, bytes: &[u8]) -> Code {
    let mut stream = running.connect().await;
    stream.write_all(bytes).await.unwrap();
    let FromPeerd::Failed(error) = answer(stream).await else { panic!("not refused") };
    error.code
}

#[tokio::test]
async fn nonsense_on_the_socket_disturbs_nobody() {
    let running = running().await;
    let half = running.connect().await;
    let too_large = u32::try_from(FRAME_BYTES_MAX + 1).unwrap().to_be_bytes();
    assert_eq!(refused(&running, &too_large).await, Code::Invalid);
    assert_eq!(refused(&running, &[0, 0, 0, 3, 1, 2, 3]).await, Code::Invalid);
    let unknown = frame::to_frame(&"make_coffee").unwrap();
    assert_eq!(refused(&running, &unknown).await, Code::Unsupported);
    let early = frame::to_frame(&ToPeerd::Shown).unwrap();
    assert_eq!(refused(&running, &early).await, Code::Invalid);
    let mut cut = running.connect().await;
    cut.write_all(&[0, 0, 1]).await.unwrap();
    drop(cut);
    running.is_well().await;
    drop(half);
}

#[tokio::test]
async fn nonsense_on_the_peer_port_disturbs_nobody() {
    let running = running().await;
    let mut stream = tokio::net::TcpStream::connect(running.daemon.listen()).await.unwrap();
    drop(stream.write_all(b"GET / HTTP/1.1\r\n\r\n").await);
    let mut rest = Vec::new();
    // Hung up on, in one way or another, as there is no identity to serve with.
    drop(timeout(SOON, stream.read_to_end(&mut rest)).await.unwrap());
    running.is_well().await;
}

#[tokio::test]
async fn without_an_identity_every_command_says_how_to_register() {
    let running = running().await;
    let shares = Command::Shares { given: true, received: true };
    let view = Command::View { image: "alice/sea".parse().unwrap(), offline: false, asks: false };
    let add = Command::Add { name: "sea".parse().unwrap(), replace: false, options: None };
    for command in [Command::Login { force: false }, Command::Logout, shares, view, add] {
        let FromPeerd::Failed(error) = running.ask(command.clone()).await else { panic!("{command:?}") };
        assert_eq!(error.code, Code::Offline, "{command:?}");
        assert_eq!(error.hint.as_deref(), Some("dosctl register --server LINK"), "{command:?}");
    }
}

#[tokio::test]
async fn registering_at_nobody_fails_and_can_be_tried_again_with_the_same_key() {
    let running = running().await;
    let key = dos_protocol::PublicKey::from([9; 32]);
    let link = format!("dos://{key}@127.0.0.1:1");
    let register = Command::Register { server: link.parse().unwrap(), name: None, password: None };
    let FromPeerd::Failed(error) = running.ask(register.clone()).await else { panic!("registered") };
    assert_eq!(error.code, Code::Offline);
    let identity = running.temp.path().join("state/identity.toml");
    let first = std::fs::read_to_string(&identity).unwrap();
    let FromPeerd::Failed(_) = running.ask(register).await else { panic!("registered") };
    assert_eq!(std::fs::read_to_string(&identity).unwrap(), first);
    running.is_well().await;
}

#[tokio::test]
async fn a_watcher_hears_how_the_session_stands() {
    let running = running().await;
    let FromPeerd::Event(event) = running.ask(Command::Watch { peers: vec![] }).await else {
        panic!("no event")
    };
    assert_eq!(event.what, dos_protocol::control::EventKind::Session(SessionState::Unregistered));
}

#[tokio::test]
async fn the_socket_is_private_and_replaces_one_that_a_dead_daemon_left() {
    let running = running().await;
    let mode = |path: &std::path::Path| path.metadata().unwrap().permissions().mode() & 0o777;
    let socket = running.daemon.socket().to_owned();
    assert_eq!((mode(&socket), mode(socket.parent().unwrap())), (0o600, 0o700));
    let Running { daemon, temp } = running;
    daemon.stop().await;
    assert!(!socket.exists());
    // A dead daemon's socket: bound once, listening no more.
    drop(std::os::unix::net::UnixListener::bind(&socket).unwrap());
    let daemon = Box::pin(Daemon::start(config(&temp))).await.unwrap();
    Running { daemon, temp }.is_well().await;
}

#[tokio::test]
async fn a_second_daemon_on_the_same_state_is_refused() {
    let running = running().await;
    let second = Box::pin(Daemon::start(config(&running.temp))).await;
    assert!(matches!(second, Err(RunError::StateDir(StateDirError::InUse(_)))));
    running.is_well().await;
}
