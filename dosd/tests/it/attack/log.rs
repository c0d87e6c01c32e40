//! A log that no one reads: the directory serves, and ends, as ever.

use std::{io::Read, time::Duration};

use dos_protocol::{JoinLink, directory::Op, key::SecretKey};
use dos_testing::{
    Guarded, Signal,
    attack::{report, size},
    wait_until_async,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};

use crate::{
    commands::{dosd, run},
    net::{Client, Net, PATIENCE, register},
};

#[tokio::test]
async fn a_log_that_is_not_read_holds_up_neither_service_nor_end() {
    let dir = tempfile::tempdir().unwrap();
    let mut command = dosd(dir.path());
    command.args(["serve", "--listen", "127.0.0.1:0", "--log", "trace", "--registration", "open"]);
    let (mut unread, stderr) = std::io::pipe().unwrap();
    let mut served = Guarded::start(command.stderr(stderr));
    drop(command);
    let answers = async || run(dir.path(), &["link"]).await.code == 0;
    wait_until_async("the server answers", answers).await;
    let link: JoinLink = run(dir.path(), &["link"]).await.out.trim().parse().unwrap();
    let net = Net::elsewhere(link);
    let strangers = size(400, 5_000);
    for _ in 0..strangers {
        let mut stream = TcpStream::connect(net.address).await.unwrap();
        stream.write_all(&[0xff; 64]).await.unwrap();
        // An end or a reset.
        drop(timeout(PATIENCE, stream.read_to_end(&mut Vec::new())).await.expect("the directory hangs"));
    }
    let mut peer = Client::connect(&net, SecretKey::generate().unwrap()).await;
    peer.enter(register("peer", None)).await.unwrap();
    assert!(peer.ask(Op::Resolve("peer".parse().unwrap())).await.is_ok());
    served.signal(Signal::TERM);
    assert_eq!(served.wait_within(Duration::from_secs(5)).code(), Some(0));
    let mut log = Vec::new();
    unread.read_to_end(&mut log).unwrap();
    report("a log that is not read", &format!("{strangers} strangers; {} bytes were in the pipe", log.len()));
    assert!(log.len() >= 40_000, "the pipe was full: {}", log.len());
}
