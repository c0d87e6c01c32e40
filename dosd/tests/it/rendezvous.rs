//! Two peers that the directory has connect to each other at one moment: what each is told, and who is told nothing.

use std::net::SocketAddr;

use dos_protocol::{
    Code, PeerId, Reason, Seq,
    directory::{
        Answer, Contact, FromDirectory, Op, Register, Rendezvous, RendezvousAt, RendezvousCall, SEEN_MAGIC,
        SignIn, Ticket,
    },
    frame::{self, Reader},
    key::SecretKey,
    limits::RENDEZVOUS_PER_MINUTE,
    model::Address,
};
use tokio::{io::AsyncWriteExt, net::TcpStream};

use crate::{
    net::{Client, Net, open_to_all, sign_in},
    nodes::two,
};

/// A peer that takes part in rendezvous.
pub(crate) async fn taking_part(net: &Net, name: &str) -> Client {
    let mut client = Client::connect(net, SecretKey::generate().unwrap()).await;
    let sign_in = SignIn { rendezvous: true, ..sign_in(1, Seq(0)) };
    let name = Some(name.parse().unwrap());
    client.enter(Op::Register(Register { name, invite: None, password: None, sign_in })).await.unwrap();
    client
}

fn with(peer: PeerId) -> Op {
    from(peer, None)
}

fn from(peer: PeerId, port: Option<u16>) -> Op {
    Op::Rendezvous(Rendezvous { peer, ticket: Ticket::from([7; 32]), port })
}

/// What both sides are told when one calls. Both answer pings meanwhile.
async fn arranged(caller: &mut Client, called: &mut Client) -> (RendezvousAt, RendezvousCall) {
    let peer = called.id();
    let (answer, told) = tokio::join!(caller.ask(with(peer)), called.next());
    let (Ok(Answer::Rendezvous(at)), Some(FromDirectory::Rendezvous(call))) = (answer, told) else {
        panic!("no rendezvous")
    };
    (at, *call)
}

fn told(caller: SocketAddr, called: SocketAddr, (at, call): &(RendezvousAt, RendezvousCall), from: PeerId) {
    assert_eq!(at.mapped, Some(Address(called)));
    let ticket = Ticket::from([7; 32]);
    assert_eq!((call.ticket, call.from, call.mapped), (ticket, from, Some(Address(caller))));
    assert_eq!(call.addresses, ["127.0.0.1:4000".parse().unwrap()]);
    assert!(at.begin_us == 0 || call.begin_us == 0, "the one that is told last begins at once");
}

#[tokio::test]
async fn both_are_told_where_the_other_is_seen_and_when_to_begin() {
    let dir = tempfile::tempdir().unwrap();
    let net = Net::start_with(dir.path(), open_to_all());
    let (mut alice, mut bob) = (taking_part(&net, "alice").await, taking_part(&net, "bob").await);
    let Ok(Answer::Contact(Contact { rendezvous: true, .. })) = bob.ask(Op::Contact(alice.id())).await else {
        panic!("it can be had")
    };
    for _ in 0..2 {
        let arranged = arranged(&mut bob, &mut alice).await;
        told(bob.address(), alice.address(), &arranged, bob.id());
    }
    net.stop().await;
}

#[tokio::test]
async fn a_connection_is_told_where_it_comes_from_and_a_caller_may_come_from_there() {
    let dir = tempfile::tempdir().unwrap();
    let net = Net::start_with(dir.path(), open_to_all());
    let mut socket = TcpStream::connect(net.address).await.unwrap();
    socket.write_all(SEEN_MAGIC).await.unwrap();
    let mut told = Reader::new(&mut socket);
    let seen: Address = frame::decode(&told.next().await.unwrap().unwrap()).unwrap();
    assert!(told.next().await.unwrap().is_none(), "that is all");
    assert_eq!(seen.0, socket.local_addr().unwrap());
    let (mut alice, mut bob) = (taking_part(&net, "alice").await, taking_part(&net, "bob").await);
    let peer = alice.id();
    let (_, told) = tokio::join!(bob.ask(from(peer, Some(seen.0.port()))), alice.next());
    let Some(FromDirectory::Rendezvous(call)) = told else { panic!("no rendezvous") };
    assert_eq!(call.mapped, Some(seen));
    let (_, told) = tokio::join!(bob.ask(from(peer, Some(22))), alice.next());
    let Some(FromDirectory::Rendezvous(call)) = told else { panic!("no rendezvous") };
    assert_eq!(call.mapped, None, "nobody is led to the services of a host");
    net.stop().await;
}

#[tokio::test]
async fn who_does_not_take_part_is_not_there_or_hides_is_left_alone() {
    let dir = tempfile::tempdir().unwrap();
    let net = Net::start_with(dir.path(), open_to_all());
    let (mut alice, mut bob) = (taking_part(&net, "alice").await, taking_part(&net, "bob").await);
    let mut older = net.peer("older").await;
    let own = bob.id();
    assert_eq!(bob.refusal(with(own)).await.0, Code::Invalid);
    assert_eq!(bob.refusal(with(older.id())).await.0, Code::Unsupported);
    assert_eq!(older.refusal(with(bob.id())).await.0, Code::Unsupported);
    let Ok(Answer::Contact(contact)) = bob.ask(Op::Contact(older.id())).await else { panic!() };
    assert!(contact.online && !contact.rendezvous);
    alice.ask(Op::Block("bob".parse().unwrap())).await.unwrap();
    let hidden = bob.refusal(with(alice.id())).await;
    alice.ask(Op::Unblock("bob".parse().unwrap())).await.unwrap();
    alice.sign_out().await;
    assert_eq!(bob.refusal(with(alice.id())).await, hidden, "a block looks like that");
    assert_eq!(hidden.0, Code::Offline);
    net.stop().await;
}

#[tokio::test]
async fn one_peer_has_only_so_many_in_a_minute() {
    let dir = tempfile::tempdir().unwrap();
    let net = Net::start_with(dir.path(), open_to_all());
    let (mut bob, nobody) = (taking_part(&net, "bob").await, PeerId::from_number(PeerId::COUNT / 3).unwrap());
    for _ in 0..RENDEZVOUS_PER_MINUTE {
        assert_eq!(bob.refusal(with(nobody)).await.0, Code::Offline);
    }
    let error = bob.ask(with(nobody)).await.unwrap_err();
    assert_eq!((error.code, error.reason), (Code::Denied, Some(Reason::Limit)));
    assert!(error.retry_after_ms.is_some());
    net.stop().await;
}

#[tokio::test]
async fn peers_at_different_nodes_have_a_rendezvous() {
    let dir = tempfile::tempdir().unwrap();
    let Some((net, _, _server)) = two(dir.path(), "peers_at_different_nodes_have_a_rendezvous") else {
        return;
    };
    let (mut alice, mut bob) = (taking_part(&net, "alice").await, taking_part(&net, "bob").await);
    let arranged = arranged(&mut bob, &mut alice).await;
    told(bob.address(), alice.address(), &arranged, bob.id());
    net.stop().await;
}
