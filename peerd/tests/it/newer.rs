//! A directory that is newer than this peerd: what it sends that nobody here knows holds up nothing.

use std::{
    path::{Path, PathBuf},
    sync::mpsc::{Receiver, SyncSender, sync_channel},
    thread,
};

use ciborium::{Value, cbor};
use dos_protocol::{
    Code, MessageId, PeerId, Seq, Timestamp, WireError,
    directory::{Answer, FromDirectory, InboxMessage, Op, SignedIn, ToDirectory, Update, read_request},
    frame::{self, Reader},
    tls::{Alpn, ServerTls},
};
use tokio::{
    io::{AsyncRead, AsyncWrite, AsyncWriteExt},
    net::TcpListener,
};

use crate::stage::{PATIENCE, Stage, wait_until};

fn data(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../testdata/d608605").join(name)
}

/// What the directory has read: where a sign-in goes on, and what was acknowledged.
#[derive(Debug, PartialEq)]
enum Read {
    SignIn(Seq),
    Ack(Seq),
}

/// A directory of one peer, which sends three updates after the first sign-in, the second one of a kind of its own, and hangs up
/// after the last is acknowledged.
async fn newer_directory(listener: TcpListener, tell: SyncSender<Read>) {
    let secret = std::fs::read_to_string(data("dosd/server.key")).unwrap().trim().parse().unwrap();
    let tls = ServerTls::new(&secret, Alpn::Directory).unwrap();
    let mut last = None;
    while let Ok((stream, _)) = listener.accept().await {
        let Ok((_, stream)) = tls.accept(stream).await else { continue };
        let mut reader = Reader::new(stream);
        while let Ok(Some(body)) = reader.next().await {
            match read_request(&body).unwrap() {
                ToDirectory::Request { id, op: Op::SignIn(sign_in), .. } => {
                    let latest = *last.get_or_insert(Seq(sign_in.stored.0 + 3));
                    let signed_in = SignedIn {
                        nodes: Vec::new(),
                        mapped: None,
                        previews: dos_protocol::model::PreviewSize::default(),
                        id: bob(),
                        name: None,
                        address: "127.0.0.1:4000".parse().unwrap(),
                        since: sign_in.stored,
                        latest,
                        operations: true,
                        trust: false,
                        password_again: false,
                        now: None,
                        data: None,
                    };
                    say(&mut reader, &FromDirectory::Answer { id, answer: Answer::SignedIn(signed_in) })
                        .await;
                    if sign_in.stored < latest {
                        send_updates(&mut reader, sign_in.stored.0).await;
                    }
                    tell.send(Read::SignIn(sign_in.stored)).unwrap();
                }
                ToDirectory::Request { id, .. } => {
                    let error = WireError::new(Code::Unsupported, "another time");
                    say(&mut reader, &FromDirectory::Refused { id: Some(id), error }).await;
                }
                ToDirectory::Ack(seq) => {
                    tell.send(Read::Ack(seq)).unwrap();
                    if Some(seq) == last {
                        break;
                    }
                }
                ToDirectory::Pong(_) | ToDirectory::Ping(_) => {}
            }
        }
    }
}

async fn send_updates<S: AsyncRead + AsyncWrite + Unpin>(reader: &mut Reader<S>, stored: u64) {
    let message = |after: u8, text: &str| {
        let letter = InboxMessage {
            message: MessageId::from([after; 16]),
            from: "QMQC7zv3".parse().unwrap(),
            from_name: None,
            sent_at: Timestamp(1),
            text: text.into(),
            from_key: None,
            sealed: None,
            signature: None,
        };
        let update = Update::Message(Box::new(letter));
        FromDirectory::Update { seq: Seq(stored + u64::from(after)), at: Timestamp(1), update }
    };
    let eclipse: Value =
        cbor!({"update" => {"seq" => stored + 2, "at" => 1, "update" => {"eclipse" => {"sun" => true}}}})
            .unwrap();
    say(reader, &message(1, "before the eclipse")).await;
    say(reader, &cbor!({"song" => {"verse" => 1}}).unwrap()).await;
    say(reader, &eclipse).await;
    say(reader, &message(3, "after the eclipse")).await;
}

async fn say<S: AsyncWrite + AsyncRead + Unpin, T: serde::Serialize>(reader: &mut Reader<S>, message: &T) {
    let frame = frame::to_frame(message).unwrap();
    // The peer may have gone; then it signs in again.
    drop(reader.get_mut().write_all(&frame).await);
    drop(reader.get_mut().flush().await);
}

fn bob() -> PeerId {
    "CF9DvbZ4".parse().unwrap()
}

/// Starts it in the place of the stage's own directory.
fn take_the_place_of_the_directory(stage: &mut Stage) -> Receiver<Read> {
    stage.kill_dosd();
    let (tell, told) = sync_channel(64);
    let port = stage.port();
    thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let listener = TcpListener::bind(("127.0.0.1", port)).await.unwrap();
            newer_directory(listener, tell).await;
        });
    });
    told
}

#[test]
fn an_update_of_an_unknown_kind_holds_up_nothing_and_is_reported() {
    let mut stage = Stage::with_data(&data("dosd"));
    let read = take_the_place_of_the_directory(&mut stage);
    let bob = stage.peer_with_state("bob", &data("bob"));
    bob.ctl(&["login"]).ok();
    let Ok(Read::SignIn(stored)) = read.recv_timeout(PATIENCE) else { panic!("bob does not sign in") };
    let last = Seq(stored.0 + 3);
    loop {
        match read.recv_timeout(PATIENCE).unwrap() {
            Read::Ack(seq) if seq == last => break,
            Read::Ack(seq) => assert!(seq < last),
            Read::SignIn(_) => panic!("the session ended before everything was acknowledged"),
        }
    }
    let texts = || bob.ctl(&["messages"]).ok();
    wait_until("what came behind it is here", || texts().contains("after the eclipse"));
    assert!(texts().contains("before the eclipse"));
    assert_eq!(bob.json(&["status"])["pending"]["unknown_updates"], 1);
    let status = bob.ctl(&["status"]).ok();
    assert!(status.contains("1 update was made by a newer directory: update peerd"), "{status}");
    // The directory has hung up: the next sign-in goes on behind all of them.
    assert_eq!(read.recv_timeout(PATIENCE).unwrap(), Read::SignIn(last));
}
