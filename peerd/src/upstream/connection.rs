//! Connecting to the directory: addresses, TLS, and the first request, which signs in.
//!
//! What always holds: the other end of a [`Line`] holds the key of the join link, and has accepted us when [`establish`] returns.
//! Every step has a bound.

use std::{io, net::SocketAddr};

use dos_protocol::{
    Code, JoinLink, Seq, WireError,
    directory::{Answer, FromDirectory, Op, SignedIn, ToDirectory},
    frame::{self, Reader},
    key::SecretKey,
    limits::{CONNECT_TIME_MAX, SIGN_IN_TIME_MAX, WRITE_STALL_MAX},
    name::printable,
    tls::{Alpn, ClientTls, Stream, TlsError},
};
use tokio::{
    io::{AsyncWriteExt, ReadHalf, WriteHalf},
    net::{TcpStream, lookup_host},
    time::timeout,
};
use zeroize::Zeroizing;

use super::state::Failed;
use crate::identity::Identity;

/// Addresses of a directory's host that are tried.
const ADDRESSES_TRIED_MAX: usize = 8;

/// The number of the first request; later ones count up from it.
pub(super) const FIRST_REQUEST: u32 = 0;

/// What is read from a directory.
pub(super) type Input = Reader<ReadHalf<Stream<TcpStream>>>;
/// What is written to a directory.
pub(super) type Output = WriteHalf<Stream<TcpStream>>;

/// A connection that has signed in.
#[derive(Debug)]
pub(super) struct Established {
    pub(super) input: Input,
    pub(super) output: Output,
    /// The directory's end of it.
    pub(super) directory: SocketAddr,
    pub(super) signed_in: SignedIn,
    /// The last update that was stored when it signed in.
    pub(super) stored: Seq,
}

/// Why there is no session: what to do about it, and what to tell.
#[derive(Debug, Clone)]
pub(super) struct Failure {
    pub(super) kind: Failed,
    pub(super) error: WireError,
}

impl Failure {
    pub(super) fn refused(error: WireError) -> Self {
        Self { kind: Failed::Refused, error }
    }

    fn unreachable(link: &JoinLink, cause: impl Into<Box<str>>) -> Self {
        let message = format!("the directory at {} is out of reach", link.address());
        Self { kind: Failed::Unreachable, error: WireError::new(Code::Offline, message).caused_by(cause) }
    }

    fn tls(link: &JoinLink, error: &TlsError) -> Self {
        match error {
            TlsError::WrongKey => Self::refused(WireError::new(
                Code::Denied,
                format!(
                    "the server at {} is not the directory of the join link: its key differs",
                    link.address()
                ),
            )),
            TlsError::Protocol => Self::refused(WireError::new(
                Code::Unsupported,
                format!("the server at {} does not speak this version of the protocol", link.address()),
            )),
            _ => {
                let source = std::error::Error::source(error);
                Self::unreachable(link, source.map_or_else(|| error.to_string(), |s| format!("{error}: {s}")))
            }
        }
    }

    fn answered(error: WireError) -> Self {
        let text = printable(&error.message).into_owned().into();
        let error = WireError { message: text, ..error };
        match error.code {
            Code::Conflict => Self { kind: Failed::Conflict, error },
            Code::Offline | Code::Timeout | Code::Internal => Self { kind: Failed::Unreachable, error },
            Code::NotFound => {
                let text = "the directory does not know the key of this machine (any more): the peer was removed, or the \
                            directory has lost it";
                let unknown = WireError::new(Code::NotFound, text).caused_by(error.message);
                Self {
                    kind: Failed::Unknown,
                    error: unknown.hint("dosctl --profile NEW register --server LINK"),
                }
            }
            _ => Self::refused(error),
        }
    }
}

/// A connection before it has signed in.
pub(super) struct Line<'a> {
    link: &'a JoinLink,
    input: Input,
    output: Output,
    directory: SocketAddr,
}

impl<'a> Line<'a> {
    /// Connects with this key to the directory of this link.
    pub(super) async fn open(link: &'a JoinLink, secret: &SecretKey) -> Result<Self, Failure> {
        let tls = ClientTls::new(secret, link.key, Alpn::Directory)
            .map_err(|error| Failure::refused(WireError::new(Code::Internal, error.to_string())))?;
        let socket = connect(link).await?;
        let directory = socket.peer_addr().map_err(|error| Failure::unreachable(link, error.to_string()))?;
        let stream = tls.connect(socket).await.map_err(|error| Failure::tls(link, &error))?;
        let (input, output) = tokio::io::split(stream);
        Ok(Self { link, input: Reader::new(input), output, directory })
    }

    /// Makes the request of this number and waits for its answer.
    pub(super) async fn ask(&mut self, id: u32, op: Op) -> Result<Answer, Failure> {
        let Self { link, input, output, .. } = self;
        timeout(SIGN_IN_TIME_MAX, answer(link, input, output, (id, op)))
            .await
            .map_err(|_| Failure::unreachable(link, "it did not answer in time"))?
    }

    /// What is said when an answer belongs to no request.
    pub(super) fn unexpected(&self) -> Failure {
        Failure::unreachable(self.link, "it sent something unexpected")
    }
}

/// Connects and makes the first request, which registers or signs in.
pub(super) async fn establish(identity: &Identity, op: Op, stored: Seq) -> Result<Established, Failure> {
    let mut line = Line::open(&identity.server, &identity.secret).await?;
    let Answer::SignedIn(signed_in) = line.ask(FIRST_REQUEST, op).await? else {
        return Err(line.unexpected());
    };
    let Line { input, output, directory, .. } = line;
    Ok(Established { input, output, directory, signed_in, stored })
}

async fn connect(link: &JoinLink) -> Result<TcpStream, Failure> {
    let lookup = timeout(CONNECT_TIME_MAX, lookup_host((&*link.host, link.port)));
    let addresses: Vec<SocketAddr> = match lookup.await {
        Ok(Ok(addresses)) => addresses.take(ADDRESSES_TRIED_MAX).collect(),
        Ok(Err(error)) => return Err(Failure::unreachable(link, error.to_string())),
        Err(_) => return Err(Failure::unreachable(link, "its name could not be resolved in time")),
    };
    let mut last = "its name has no address".to_owned();
    for address in addresses {
        match open(address).await {
            Ok(socket) => return Ok(socket),
            Err(error) => last = error.to_string(),
        }
    }
    Err(Failure::unreachable(link, last))
}

async fn open(address: SocketAddr) -> io::Result<TcpStream> {
    let socket = timeout(CONNECT_TIME_MAX, TcpStream::connect(address))
        .await
        .map_err(|_| io::Error::new(io::ErrorKind::TimedOut, "it did not answer in time"))??;
    socket.set_nodelay(true)?;
    Ok(socket)
}

async fn answer(
    link: &JoinLink,
    input: &mut Input,
    output: &mut Output,
    (request, op): (u32, Op),
) -> Result<Answer, Failure> {
    let lost = |cause: String| Failure::unreachable(link, cause);
    send(output, &ToDirectory::request(request, op)).await.map_err(|e| lost(e.to_string()))?;
    loop {
        let body = input.next().await.map_err(|error| lost(error.to_string()))?;
        // The sealed seed of a key may be in it.
        let body = Zeroizing::new(body.ok_or_else(|| lost("it closed the connection".into()))?);
        match frame::decode(&body).map_err(|error| lost(error.to_string()))? {
            FromDirectory::Answer { id, answer } if id == request => return Ok(answer),
            FromDirectory::Refused { error, .. } => return Err(Failure::answered(error)),
            FromDirectory::Ping(number) => {
                let pong = ToDirectory::Pong(number);
                send(output, &pong).await.map_err(|error| lost(error.to_string()))?;
            }
            FromDirectory::Notice(notice) => return Err(lost(printable(&notice.text).into_owned())),
            FromDirectory::Answer { .. }
            | FromDirectory::Update { .. }
            | FromDirectory::Presence(_)
            | FromDirectory::Broadcast(_)
            | FromDirectory::Call(_) => {
                return Err(lost("it sent something unexpected".into()));
            }
        }
    }
}

async fn send(output: &mut Output, message: &ToDirectory) -> io::Result<()> {
    let frame = frame::to_frame(message).map_err(io::Error::other)?;
    let write = async {
        output.write_all(&frame).await?;
        output.flush().await
    };
    timeout(WRITE_STALL_MAX, write).await.map_err(|_| io::Error::from(io::ErrorKind::TimedOut))?
}
