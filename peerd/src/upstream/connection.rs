//! Connecting to the directory: TLS, and the first request, which signs in.
//!
//! What always holds: the other end of a [`Line`] holds the key of the join link, and has accepted us when [`establish`] returns.
//! Every step has a bound.

use std::{io, net::SocketAddr, time::Duration};

use dos_protocol::{
    Code, PublicKey, Seq, WireError,
    directory::{Answer, FromDirectory, Op, Register, SignedIn, ToDirectory},
    frame::{self, Reader},
    key::SecretKey,
    limits::{SIGN_IN_TIME_MAX, WRITE_STALL_MAX},
    link::HostPort,
    model::Address,
    name::printable,
    tls::{Alpn, ClientTls, Stream, TlsError},
};
use tokio::{
    io::{AsyncWriteExt, ReadHalf, WriteHalf},
    net::TcpStream,
    time::timeout,
};
use zeroize::Zeroizing;

use super::{
    state::Failed,
    ways::{Opened, Ways},
};
use crate::identity::Identity;

/// While there are other nodes, none keeps a sign-in waiting for longer.
const ANSWER_PATIENCE: Duration = Duration::from_secs(3);

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
    /// Of the addresses of the directory the one that has answered.
    pub(super) at: HostPort,
    /// The directory's end of it.
    pub(super) directory: SocketAddr,
    /// This daemon's.
    pub(super) here: SocketAddr,
    pub(super) signed_in: SignedIn,
    /// The last update that was stored when it signed in.
    pub(super) stored: Seq,
    /// What it announced.
    pub(super) announced: Vec<Address>,
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

    pub(super) fn unreachable(at: &HostPort, cause: impl Into<Box<str>>) -> Self {
        let message = format!("the directory at {at} is out of reach");
        Self { kind: Failed::Unreachable, error: WireError::new(Code::Offline, message).caused_by(cause) }
    }

    pub(super) fn tls(at: &HostPort, error: &TlsError) -> Self {
        match error {
            TlsError::WrongKey => Self::refused(WireError::new(
                Code::Denied,
                format!("the server at {at} is not the directory of the join link: its key differs"),
            )),
            TlsError::Protocol => Self::refused(WireError::new(
                Code::Unsupported,
                format!("the server at {at} does not speak this version of the protocol"),
            )),
            _ => {
                let source = std::error::Error::source(error);
                Self::unreachable(at, source.map_or_else(|| error.to_string(), |s| format!("{error}: {s}")))
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
pub(super) struct Line {
    /// Of the addresses of the directory the one that has answered.
    pub(super) at: HostPort,
    input: Input,
    output: Output,
    directory: SocketAddr,
    here: SocketAddr,
}

impl Line {
    /// Connects with this key to the directory of this key, at the first of these addresses that proves it.
    pub(super) async fn open(ways: &mut Ways, key: PublicKey, secret: &SecretKey) -> Result<Self, Failure> {
        let tls = ClientTls::new(secret, key, Alpn::Directory)
            .map_err(|error| Failure::refused(WireError::new(Code::Internal, error.to_string())))?;
        let Opened { at, stream, directory, here } = ways.open(&tls).await?;
        let (input, output) = tokio::io::split(stream);
        Ok(Self { at, input: Reader::new(input), output, directory, here })
    }

    /// Makes the request of this number and waits for its answer.
    pub(super) async fn ask(&mut self, id: u32, op: Op) -> Result<Answer, Failure> {
        self.ask_within(SIGN_IN_TIME_MAX, id, op).await
    }

    async fn ask_within(&mut self, patience: Duration, id: u32, op: Op) -> Result<Answer, Failure> {
        let Self { at, input, output, .. } = self;
        timeout(patience, answer(at, input, output, (id, op)))
            .await
            .map_err(|_| Failure::unreachable(at, "it did not answer in time"))?
    }

    /// What is said when an answer belongs to no request.
    pub(super) fn unexpected(&self) -> Failure {
        Failure::unreachable(&self.at, "it sent something unexpected")
    }
}

/// Connects and makes the first request, which registers or signs in.
pub(super) async fn establish(
    ways: &mut Ways,
    identity: &Identity,
    (op, stored): (Op, Seq),
) -> Result<Established, Failure> {
    let announced = match &op {
        Op::SignIn(sign_in) | Op::Register(Register { sign_in, .. }) => sign_in.addresses.clone(),
        Op::Reclaim(reclaim) => reclaim.sign_in.addresses.clone(),
        _ => Vec::new(),
    };
    let mut line = Line::open(ways, identity.server.key, &identity.secret).await?;
    // Another node may be faster than one whose store is away.
    let patience = if ways.has_more() { ANSWER_PATIENCE } else { SIGN_IN_TIME_MAX };
    let Answer::SignedIn(signed_in) = line.ask_within(patience, FIRST_REQUEST, op).await? else {
        return Err(line.unexpected());
    };
    let Line { at, input, output, directory, here } = line;
    Ok(Established { at, input, output, directory, here, signed_in, stored, announced })
}

async fn answer(
    at: &HostPort,
    input: &mut Input,
    output: &mut Output,
    (request, op): (u32, Op),
) -> Result<Answer, Failure> {
    let lost = |cause: String| Failure::unreachable(at, cause);
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
            | FromDirectory::Call(_)
            | FromDirectory::Nodes(_)
            | FromDirectory::PeerNews(_)
            | FromDirectory::Rendezvous(_)
            | FromDirectory::Pong(_) => {
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
