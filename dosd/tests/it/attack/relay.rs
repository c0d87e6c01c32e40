//! Tickets for calls that are never made: they keep no one from calling another peer.

use dos_protocol::{
    Code, Reason,
    directory::{Answer, Call, FromDirectory, Op, RELAY_MAGIC, RELAY_OPEN, Ticket},
};
use dos_testing::attack::{report, size};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};

use crate::net::{Client, Net, PATIENCE};

async fn bring(net: &Net, ticket: &Ticket) -> TcpStream {
    let mut stream = TcpStream::connect(net.address).await.unwrap();
    stream.write_all(&[RELAY_MAGIC.as_slice(), ticket.as_bytes()].concat()).await.unwrap();
    stream
}

/// The calls that a peer is told of, one of which is from `caller`.
async fn told(owner: &mut Client, caller: &Client) -> Vec<Call> {
    let mut calls = Vec::new();
    while calls.last().is_none_or(|call: &Call| call.from != caller.id()) {
        let Some(FromDirectory::Call(call)) = owner.next().await else { panic!("no call") };
        calls.push(call);
        assert!(calls.len() < 10_000, "the call does not come");
    }
    calls
}

#[tokio::test]
async fn tickets_that_are_never_used_shut_no_owner_off() {
    let dir = tempfile::tempdir().unwrap();
    let net = Net::start(dir.path());
    let (mut owner, mut viewer) = (net.peer("owner").await, net.peer("viewer").await);
    let (attackers, mut tickets, mut waiting) = (size(4, 40), 0, Vec::new());
    for number in 0..attackers {
        let mut attacker = net.peer(&format!("attacker{number}")).await;
        let refused = loop {
            match attacker.ask(Op::Relay(owner.id())).await {
                Ok(_) => tickets += 1,
                Err(refused) => break refused,
            }
            assert!(tickets < 10_000, "nothing bounds them");
        };
        assert_eq!((refused.code, refused.reason), (Code::Denied, Some(Reason::Limit)));
        let Ok(Answer::Ticket(ticket)) = viewer.ask(Op::Relay(owner.id())).await else {
            panic!("shut off after {tickets} tickets of {} peers", number + 1);
        };
        // The owner comes to every call.
        for call in told(&mut owner, &viewer).await {
            waiting.push(bring(&net, &call.ticket).await);
        }
        let (mut near, mut far) = (bring(&net, &ticket).await, waiting.pop().unwrap());
        for side in [&mut near, &mut far] {
            assert_eq!(timeout(PATIENCE, side.read_u8()).await.unwrap().unwrap(), RELAY_OPEN);
        }
        near.write_all(b"x").await.unwrap();
        assert_eq!(timeout(PATIENCE, far.read_u8()).await.unwrap().unwrap(), b'x');
    }
    report("tickets", &format!("{tickets} of {attackers} peers, never used; a viewer was joined after each"));
    net.stop().await;
}
