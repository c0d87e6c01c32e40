//! Between two nodes of a directory.

use dos_protocol::{
    Instance, Seq,
    directory::{Call, Notice, NoticeKind, PeerChange, PeerNews, RendezvousCall, Ticket, Update},
    model::SessionEnd,
    node::{Ask, Blocking, FromNode, NodeId, Owed, Resident, ToNode, Told},
};

use super::{
    Samples,
    model::{alice, at, bob, name},
};

fn resident() -> Resident {
    Resident {
        peer: alice(),
        name: name("alice"),
        session: 3,
        instance: Instance(4),
        seen: "192.0.2.7:4000".parse().unwrap(),
        addresses: vec!["192.0.2.7:4000".parse().unwrap(), "[2001:db8::7]:4000".parse().unwrap()],
        since: at(6),
        mapped: None,
    }
}

fn asks() -> Vec<Ask> {
    let notice = Notice { kind: NoticeKind::Kicked, text: "noise".into() };
    let call = Call { ticket: Ticket::from([7; 32]), from: bob(), at: "a.example:5001".parse().ok() };
    vec![
        Ask::Ready,
        Ask::Close { peer: alice(), before: Some(5), notice: notice.clone() },
        Ask::CloseAll { except: Some(alice()), notice },
        Ask::Ping(alice()),
        Ask::Call { peer: alice(), call },
        Ask::Stored { peer: alice(), seq: Seq(300) },
        Ask::Say { kind: NoticeKind::Announcement, text: "new disk".into() },
        Ask::Broadcast { from: bob(), frame: vec![1, 2, 3] },
        Ask::Rendezvous {
            peer: alice(),
            call: Box::new(RendezvousCall {
                ticket: Ticket::from([7; 32]),
                from: bob(),
                mapped: "192.0.2.7:40123".parse().ok(),
                addresses: vec!["192.0.2.7:4000".parse().unwrap()],
                begin_us: 0,
            }),
            round_trip_us: 25_000,
        },
    ]
}

#[test]
fn to_a_node() {
    let [from, to] = [1, NodeId::COUNT - 1].map(|number| NodeId::from_number(number).unwrap());
    let mut messages = vec![
        ToNode::Hello { from, to },
        ToNode::All { peers: vec![resident()], is_last: true },
        ToNode::Arrived(Box::new(resident())),
        ToNode::Arrived(Box::new(Resident { mapped: "192.0.2.7:40123".parse().ok(), ..resident() })),
        ToNode::Left { peer: alice(), session: 3, at: at(7), end: Some(SessionEnd::Closed) },
        ToNode::Update(Box::new(Owed { peer: alice(), seq: Seq(300), at: at(8), update: Update::Void })),
        ToNode::Missed,
        ToNode::Block(Blocking { blocker: alice(), blocked: bob(), is_on: true }),
        ToNode::News {
            news: Box::new(PeerNews { peer: alice(), at: at(9), what: PeerChange::Left }),
            except: vec![bob()],
        },
    ];
    messages.extend((10..).zip(asks()).map(|(id, ask)| ToNode::Ask { id, ask }));
    let samples = Samples { messages };
    samples.have_every::<ToNode>(&[]);
    samples.have_every::<Ask>(&["ask", "ask"]);
    insta::assert_snapshot!(samples.text());
}

#[test]
fn from_a_node() {
    let told = [Told::Done(true), Told::Count(2), Told::Micros(250), Told::Unknown];
    let mut messages = vec![FromNode::Welcome];
    messages.extend((1..).zip(told).map(|(id, answer)| FromNode::Answer { id, answer }));
    let samples = Samples { messages };
    samples.have_every::<FromNode>(&[]);
    samples.have_every::<Told>(&["answer", "answer"]);
    insta::assert_snapshot!(samples.text());
}
