//! Bad input costs a bounded amount and disturbs nobody else.

use dos_protocol::{
    Code, PublicKey,
    directory::{FromDirectory, Op, ToDirectory},
    frame,
    key::SecretKey,
    limits::FRAME_BYTES_MAX,
    tls::{Alpn, ClientTls, TlsError},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};

use crate::net::{Client, Net, PATIENCE};

/// The directory hangs up, and a peer that was there before is served as ever.
async fn hangs_up_and_serves_on(net: &Net, mut stream: impl AsyncReadExt + Unpin, honest: &mut Client) {
    let mut rest = Vec::new();
    let ended = timeout(PATIENCE, stream.read_to_end(&mut rest)).await;
    assert!(ended.is_ok(), "the connection stays open");
    assert!(honest.ask(Op::Resolve("honest".parse().unwrap())).await.is_ok());
    drop(net.peer("another").await);
}

#[tokio::test]
async fn plain_garbage_on_the_port_is_cut_off() {
    let dir = tempfile::tempdir().unwrap();
    let net = Net::start(dir.path());
    let mut honest = net.peer("honest").await;
    let mut tcp = TcpStream::connect(net.address).await.unwrap();
    tcp.write_all(&[0xff; 4096]).await.unwrap();
    hangs_up_and_serves_on(&net, tcp, &mut honest).await;
    net.stop().await;
}

#[tokio::test]
async fn an_oversized_frame_is_cut_off() {
    let dir = tempfile::tempdir().unwrap();
    let net = Net::start(dir.path());
    let mut honest = net.peer("honest").await;
    let mut client = Client::connect(&net, SecretKey::generate().unwrap()).await;
    let length = u32::try_from(FRAME_BYTES_MAX + 1).unwrap();
    client.send_bytes(&length.to_be_bytes()).await;
    hangs_up_and_serves_on(&net, client.reader.into_inner(), &mut honest).await;
    net.stop().await;
}

#[tokio::test]
async fn deep_cbor_and_unknown_requests_are_refused_and_the_session_goes_on() {
    let dir = tempfile::tempdir().unwrap();
    let net = Net::start(dir.path());
    let mut honest = net.peer("honest").await;
    let mut deep = u32::to_be_bytes(50_000).to_vec();
    deep.resize(50_004, 0x81);
    honest.send_bytes(&deep).await;
    assert!(
        matches!(honest.next().await, Some(FromDirectory::Refused { id: None, error }) if error.code == Code::Invalid)
    );
    let unknown = frame::to_frame(&serde_json::json!({"request": {"id": 5, "op": {"dance": 1}}})).unwrap();
    honest.send_bytes(&unknown).await;
    let answer = honest.next().await;
    assert!(
        matches!(&answer, Some(FromDirectory::Refused { id: Some(5), error }) if error.code == Code::Unsupported),
        "{answer:?}"
    );
    assert!(honest.ask(Op::Resolve("honest".parse().unwrap())).await.is_ok());
    net.stop().await;
}

#[tokio::test]
async fn nothing_is_done_for_who_has_not_signed_in() {
    let dir = tempfile::tempdir().unwrap();
    let net = Net::start(dir.path());
    let mut client = Client::connect(&net, SecretKey::generate().unwrap()).await;
    let error = client.ask(Op::Resolve("honest".parse().unwrap())).await.unwrap_err();
    assert_eq!(error.code, Code::Denied);
    assert_eq!(client.next().await, None);
    net.stop().await;
}

#[tokio::test]
async fn an_acknowledgement_of_what_was_never_sent_ends_the_session() {
    let dir = tempfile::tempdir().unwrap();
    let net = Net::start(dir.path());
    let mut peer = net.peer("liar").await;
    peer.send(&ToDirectory::Ack(dos_protocol::Seq(9))).await;
    assert_eq!(peer.next().await, None);
    net.stop().await;
}

#[tokio::test]
async fn half_open_connections_do_not_keep_others_out() {
    let dir = tempfile::tempdir().unwrap();
    let net = Net::start(dir.path());
    let mut silent = Vec::new();
    for _ in 0..100 {
        silent.push(TcpStream::connect(net.address).await.unwrap());
    }
    assert!(net.peer("honest").await.ask(Op::Resolve("honest".parse().unwrap())).await.is_ok());
    net.stop().await;
}

#[tokio::test]
async fn a_wrong_server_key_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let net = Net::start(dir.path());
    let secret = SecretKey::generate().unwrap();
    let tls = ClientTls::new(&secret, PublicKey::from([1; 32]), Alpn::Directory).unwrap();
    let tcp = TcpStream::connect(net.address).await.unwrap();
    assert!(matches!(tls.connect(tcp).await, Err(TlsError::WrongKey)));
    net.stop().await;
}
