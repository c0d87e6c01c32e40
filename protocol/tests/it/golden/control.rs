//! dosctl and peerd.

use std::time::Duration;

use dos_protocol::{
    Allowance, Card, Code, ImageNo, JoinLink, Near, Visibility, WireError,
    control::{
        AddOptions, Advice, AlbumChange, AlbumSummary, BadWay, Command, Contact, ContactRequest,
        DescriptionChange, Each, Event, EventKind, Explained, FromPeerd, Group, How, ImageChange,
        ImageChanged, Invite, InviteGrant, InviteState, ListQuery, Means, Member, Message, MessagesQuery,
        Netcheck, NewInvite, Note, OtherKey, Outcome, Progress, RequestArg, Rule, SessionState, Spends,
        Status, Step, Terms, ToPeerd, Tried, Trust, Way,
    },
    directory::{
        Block, Blocked, Cursor, Delivery, Notice, NoticeKind, Presence, RequestState, ViewedKind, ViewsChange,
    },
    record::SignatureState,
};

use super::{
    Samples,
    model::{alice, at, bob, grant, image, link, message_id, name, offer, peer, preview, request, undecoded},
};

fn sessions() -> Vec<Command> {
    let password = || "correct horse".parse().unwrap();
    vec![
        Command::Register { server: link(), name: name("alice"), password: Some(password()) },
        Command::Recover {
            server: link(),
            name: "alice".parse().unwrap(),
            password: password(),
            force: true,
        },
        Command::SetPassword(None),
        Command::Login { force: true },
        Command::Logout,
        Command::Server(link()),
        Command::Status,
        Command::Wait { online: true, timeout: Some(Duration::from_millis(1500)) },
        Command::List(ListQuery {
            peer: Some("alice".parse().unwrap()),
            mine: true,
            online: true,
            since: Some(Duration::from_secs(60)),
            after: Some(Cursor { peer: alice(), image: None }),
            limit: Some(50),
        }),
        Command::Resolve("alice".parse().unwrap()),
        Command::Ping("alice".parse().unwrap()),
        Command::Explain("alice".parse().unwrap()),
        Command::Netcheck,
        Command::Watch { peers: vec!["alice".parse().unwrap()] },
    ]
}

fn images() -> Vec<Command> {
    let image = || "alice/sea".parse().unwrap();
    let own = || "sea".parse().unwrap();
    vec![
        Command::Add { name: own(), replace: true, options: None },
        Command::Add {
            name: own(),
            replace: false,
            options: Some(AddOptions { strict: true, any: false, keep_date: false, in_turn: false }),
        },
        Command::Add {
            name: own(),
            replace: false,
            options: Some(AddOptions { strict: false, any: true, keep_date: false, in_turn: false }),
        },
        Command::Remove(own()),
        Command::Rename { name: own(), new: "ocean".parse().unwrap() },
        Command::Preview(image()),
        Command::Share {
            name: own(),
            viewer: "bob".parse().unwrap(),
            views: ViewsChange::Add(3),
            expires: Some(Duration::from_secs(3600)),
            allow_offline: None,
        },
        Command::Shares { given: true, received: false },
        Command::Request { image: image(), views: 3, note: Some("please".into()), offline: false },
        Command::Cancel(12),
        Command::Requests { incoming: true, outgoing: true, all: true },
        Command::Approve { request: RequestArg::Access(12), views: Some(2), allow_offline: None },
        Command::Deny { request: RequestArg::Contact(1), reason: Some("no".into()) },
        Command::Fetch(image()),
        Command::View { image: image(), offline: true, asks: false },
        Command::Checkout { image: image(), views: 3 },
        Command::Checkin(image()),
    ]
}

/// What later releases have added to commands that there were.
fn additions() -> Vec<Command> {
    let image = || "alice/sea".parse().unwrap();
    vec![
        Command::Share {
            name: "sea".parse().unwrap(),
            viewer: "bob".parse().unwrap(),
            views: ViewsChange::Keep,
            expires: None,
            allow_offline: Some(true),
        },
        Command::Request { image: image(), views: 3, note: None, offline: true },
        Command::Approve { request: RequestArg::Access(12), views: None, allow_offline: Some(false) },
        Command::View { image: image(), offline: false, asks: true },
    ]
}

fn messages() -> Vec<Command> {
    vec![
        Command::Send { to: "bob".parse().unwrap(), text: "hello".into(), direct: true },
        Command::Broadcast("lunch?".into()),
        Command::Messages(MessagesQuery {
            unread: true,
            with: Some("bob".parse().unwrap()),
            after: Some(4),
            limit: Some(10),
            most: Some(100),
            wait: true,
        }),
        Command::Block("bob".parse().unwrap()),
        Command::Unblock("bob".parse().unwrap()),
        Command::Blocks,
        Command::Card,
        Command::Contacts,
        Command::Inspect("bob".parse().unwrap()),
        Command::Trust { peer: bob(), key: [9; 32].into(), name: name("bob") },
        Command::KeepKey(bob()),
        Command::Many(vec![
            Command::Remove("sea".parse().unwrap()),
            Command::Deny { request: RequestArg::Access(7), reason: None },
        ]),
        Command::Group {
            name: "friends".parse().unwrap(),
            add: vec!["bob".parse().unwrap()],
            remove: vec!["7xKqPm2R".parse().unwrap()],
        },
        Command::Groups,
        Command::Newest {
            peer: Some("alice".parse().unwrap()),
            mine: true,
            before: Some(ImageNo(7)),
            limit: Some(50),
        },
        Command::Invite(Box::new(NewInvite {
            guest: "bob".parse().unwrap(),
            code: Some("Ab3".into()),
            images: vec!["sea".parse().unwrap()],
            views: Allowance::Views(3),
            expires: Some(Duration::from_secs(3600)),
            allow_offline: true,
        })),
        Command::Invites,
        Command::Gallery,
        Command::RevokeInvite("bob".parse().unwrap()),
        Command::Join(invitation_link()),
        Command::News { all: true },
        Command::Name("alicia".parse().unwrap()),
        Command::Unregister,
    ]
}

fn terms() -> Terms {
    Terms { views: Allowance::Views(3), expires: Some(Duration::from_secs(60)), allow_offline: true }
}

fn albums() -> Vec<Command> {
    let album = || "holiday".parse().unwrap();
    vec![
        Command::AddAs {
            name: "sea".parse().unwrap(),
            replace: false,
            options: AddOptions { strict: true, any: false, keep_date: false, in_turn: false },
            visibility: Some(Visibility::Private),
            album: Some(album()),
            description: None,
        },
        Command::AddAs {
            name: "sea".parse().unwrap(),
            replace: false,
            options: AddOptions::default(),
            visibility: None,
            album: None,
            description: Some("A boat.".parse().unwrap()),
        },
        Command::Add {
            name: "sea".parse().unwrap(),
            replace: false,
            options: Some(AddOptions { keep_date: true, ..AddOptions::default() }),
        },
        Command::Add {
            name: "sea".parse().unwrap(),
            replace: false,
            options: Some(AddOptions { in_turn: true, ..AddOptions::default() }),
        },
        Command::Set {
            name: "sea".parse().unwrap(),
            visibility: Some(Visibility::Listed),
            album: Some(AlbumChange::In(album())),
            description: None,
        },
        Command::Set {
            name: "sea".parse().unwrap(),
            visibility: None,
            album: Some(AlbumChange::Out),
            description: None,
        },
        Command::Set {
            name: "sea".parse().unwrap(),
            visibility: None,
            album: None,
            description: Some(DescriptionChange::To("A boat.".parse().unwrap())),
        },
        Command::Set {
            name: "sea".parse().unwrap(),
            visibility: None,
            album: None,
            description: Some(DescriptionChange::Out),
        },
        Command::Albums,
        Command::Album { name: album(), after: Some("sea".parse().unwrap()) },
        Command::Later { album: album(), viewer: "bob".parse().unwrap(), terms: Some(terms()) },
        Command::Later { album: album(), viewer: "bob".parse().unwrap(), terms: None },
    ]
}

fn invitation_link() -> JoinLink {
    INVITATION.parse().unwrap()
}

const INVITATION: &str = "dos://cGfHiC6Kgg3FpFZvgwGcswsCRtp4aBP2fzuXRQPizuN@dos.example.org:5001?invite=Ab3+\
                          from=7xKqPm2R@CktRuQ2mttgRGkXJtyksdKHjUdc2C4TgDzyB98oEzy8+name=alice+for=bob\
                          #6gMHXjsZ5cxdn4qSbgGYYUPvyKe";

fn invite(state: InviteState) -> Invite {
    Invite {
        id: [5; 16].into(),
        made: true,
        name: name("bob"),
        peer: None,
        peer_name: None,
        state,
        since: at(1),
        expires_at: Some(at(9)),
        used_at: None,
        grants: Vec::new(),
        trouble: None,
    }
}

fn used_invite() -> Invite {
    let grant = |given, why: Option<&str>| InviteGrant {
        image: "sea".parse().unwrap(),
        views: Allowance::Views(3),
        given,
        why: why.map(Into::into),
    };
    Invite {
        peer: Some(bob()),
        peer_name: name("bob"),
        used_at: Some(at(2)),
        grants: vec![grant(true, None), grant(false, Some("it is gone"))],
        trouble: Some("someone without the secret has tried".into()),
        ..invite(InviteState::Used)
    }
}

#[test]
fn to_peerd() {
    let commands =
        sessions().into_iter().chain(images()).chain(messages()).chain(additions()).chain(albums());
    let perform = ToPeerd::Perform(Box::new(Command::Status));
    let mut messages = vec![ToPeerd::Data(vec![1, 2, 3]), ToPeerd::Shown, perform, ToPeerd::Go];
    messages.extend(commands.map(|command| ToPeerd::Do(Box::new(command))));
    let samples = Samples { messages };
    samples.have_every::<ToPeerd>(&[]);
    samples.have_every::<Command>(&["do"]);
    insta::assert_snapshot!(samples.text());
}

fn message() -> Message {
    Message {
        place: 4,
        message: message_id(),
        from: alice(),
        from_name: name("alice"),
        to: Some(bob()),
        to_name: name("bob"),
        sent_at: at(4),
        read: false,
        direct: true,
        delivery: Some(Delivery::Queued),
        text: "hello".into(),
        signed: true,
    }
}

fn contact() -> ContactRequest {
    ContactRequest {
        number: 1,
        from: bob(),
        from_name: name("bob"),
        state: RequestState::Pending,
        created_at: at(1),
        decided_at: None,
    }
}

fn status() -> Status {
    Status {
        profile: "default".into(),
        state: SessionState::Online,
        id: Some(alice()),
        name: name("alice"),
        server: Some(link()),
        listen: "[::]:4000".parse().unwrap(),
        address: Some("192.0.2.7:4000".parse().unwrap()),
        since: at(0),
        trouble: Some("none".into()),
        updates: 1,
        requests: 2,
        messages: 3,
        unknown_updates: 4,
        version: "0.1.0".into(),
        state_dir: "/var/lib/peerd".into(),
        key_changes: 1,
        refused_messages: 2,
        offers: 0,
        news: 0,
        password_again: true,
        notes: Vec::new(),
    }
}

fn netcheck() -> Netcheck {
    Netcheck {
        state: SessionState::Online,
        directory: "203.0.113.1:5001".parse().ok(),
        round_trip_us: Some(12_500),
        listen: "[::]:7001".parse().unwrap(),
        reachable: true,
        announced: vec!["192.168.1.2:7001".parse().unwrap()],
        local: "192.168.1.2:7001".parse().ok(),
        seen: "192.0.2.7:40123".parse().ok(),
        advice: vec![Advice::ForwardPort],
        mapped: None,
        mapping_trouble: None,
        pinhole: None,
    }
}

fn explained() -> Explained {
    let tried = |means, how, error: Option<&str>| Tried {
        means: Some(means),
        address: "192.0.2.7:4000".parse().ok(),
        how,
        took_us: 250,
        error: error.map(Into::into),
        bad: None,
    };
    let bad = BadWay { why: "it brought nothing".into(), left_s: 287 };
    Explained {
        id: bob(),
        name: name("bob"),
        online: true,
        tried: vec![
            tried(Means::Address, None, Some("refused")),
            tried(Means::Rendezvous, Some(How::Punched), None),
            Tried { address: None, ..tried(Means::Relay, None, None) },
            Tried { bad: Some(bad), ..tried(Means::Address, None, None) },
        ],
        round_trip_us: Some(300),
        here: netcheck(),
        advice: vec![
            Advice::GoOnline,
            Advice::WaitForPeer,
            Advice::Nothing,
            Advice::AllowConnections,
            Advice::ForwardPort,
            Advice::UpdateDirectory,
            Advice::UpdatePeer,
            Advice::OpenFirewall,
            Advice::ForwardEither,
            Advice::RelayOff,
        ],
    }
}

fn outcomes_of_sessions() -> Vec<Outcome> {
    let way = Way::Direct("192.0.2.7:4000".parse().unwrap());
    vec![
        Outcome::Done,
        Outcome::Registered { id: alice(), name: name("alice"), server: link(), joined: None },
        Outcome::Session { id: alice(), state: SessionState::Online, replayed: 2 },
        Outcome::Status(Box::new(status())),
        Outcome::Status(Box::new(Status {
            notes: vec![Note { at: at(1), text: "restored".into() }],
            ..status()
        })),
        Outcome::Page { peers: vec![peer()], next: Some(Cursor { peer: alice(), image: None }), as_of: None },
        Outcome::Page { peers: vec![], next: None, as_of: Some(at(1)) },
        Outcome::Newest { peers: vec![peer()], before: Some(ImageNo(7)) },
        Outcome::Peer(Box::new(peer())),
        Outcome::Pong { id: bob(), name: name("bob"), way, round_trip_us: 250, how: None },
        Outcome::Pong { id: bob(), name: None, way, round_trip_us: 250, how: Some(How::Announced) },
        Outcome::Pong { id: bob(), name: None, way, round_trip_us: 250, how: Some(How::Punched) },
        Outcome::Pong { id: bob(), name: None, way, round_trip_us: 250, how: Some(How::CalledBack) },
        Outcome::Netcheck(Box::new(netcheck())),
        Outcome::Explained(Box::new(explained())),
        Outcome::Netcheck(Box::new(Netcheck {
            mapped: "192.0.2.7:7001".parse().ok(),
            mapping_trouble: Some("refused".into()),
            ..netcheck()
        })),
    ]
}

fn outcomes_of_images() -> Vec<Outcome> {
    let path = || "7xKqPm2R/sea".parse().unwrap();
    vec![
        Outcome::Image(Box::new(image())),
        Outcome::Image(Box::new(undecoded())),
        Outcome::Added { image: Box::new(image()), warning: "a part is missing".into() },
        Outcome::Removed(path()),
        Outcome::Preview {
            path: path(),
            preview: preview(),
            signature: Some(SignatureState::None),
            as_of: None,
        },
        Outcome::Grant(Box::new(grant())),
        Outcome::Grants { given: vec![grant()], received: vec![grant()], now: None },
        Outcome::Request { request: Box::new(request()), updated: true },
        Outcome::Requests { incoming: vec![request()], outgoing: vec![], contacts: vec![contact()] },
        Outcome::Contact(Box::new(contact())),
        Outcome::Fetched { path: path(), bytes: 164, way: Some(Way::Relayed), round_trip_us: Some(250) },
        Outcome::Viewed {
            path: path(),
            image_id: [8; 32].into(),
            bytes: 90,
            views_left: Allowance::Unlimited,
        },
        Outcome::Held { path: path(), held: 3, views_left: Allowance::Views(2) },
        Outcome::Grants { given: vec![], received: vec![], now: Some(at(6)) },
        Outcome::Grants { given: vec![], received: vec![offer()], now: None },
        Outcome::Many(vec![
            Each::Done(Box::new(Outcome::Removed(path()))),
            Each::Failed(
                WireError::new(Code::NotFound, "no such image")
                    .near(Near { given: "sea.jpg".into(), meant: "sea".into() }),
            ),
        ]),
        Outcome::Groups(vec![Group {
            name: "friends".parse().unwrap(),
            members: vec![Member { id: bob(), name: name("bob") }],
        }]),
        Outcome::Albums(vec![AlbumSummary {
            name: "holiday".parse().unwrap(),
            images: 3,
            private: 1,
            rules: 1,
        }]),
        Outcome::Album { images: vec!["sea".parse().unwrap()], more: true, rules: vec![rule()] },
        Outcome::Rule(Box::new(Rule { trouble: Some("no such peer".into()), ..rule() })),
    ]
}

fn rule() -> Rule {
    Rule {
        album: "holiday".parse().unwrap(),
        viewer: bob(),
        viewer_name: name("bob"),
        terms: Terms { views: Allowance::Unlimited, expires: None, allow_offline: false },
        since: at(1),
        given: 4,
        waiting: 2,
        failed: 1,
        trouble: None,
    }
}

fn outcomes_of_messages() -> Vec<Outcome> {
    vec![
        Outcome::Sent {
            message: message_id(),
            to: bob(),
            to_name: name("bob"),
            delivery: Delivery::Delivered,
            way: Some(Way::Relayed),
        },
        Outcome::Told(2),
        Outcome::Messages { messages: vec![message()], more: true },
        Outcome::Blocked(Box::new(Blocked {
            peer: bob(),
            name: None,
            messages_purged: 2,
            requests_purged: 1,
            rights: 3,
        })),
        Outcome::Blocks(vec![Block { peer: bob(), name: name("bob"), since: at(1) }]),
        Outcome::Card(card()),
        Outcome::Contacts(vec![known_contact()]),
        Outcome::Trust { own: card(), contact: Box::new(known_contact()) },
        Outcome::Contacts(vec![Contact { stranger: true, ..known_contact() }]),
        Outcome::Invitation { link: invitation_link(), invite: Box::new(invite(InviteState::Open)) },
        Outcome::Invites(vec![used_invite()]),
        Outcome::Gallery {
            address: "127.33.29.37:41431".parse().unwrap(),
            token: "P8F7trTLPEKjxGyYcNaA".into(),
        },
        Outcome::GalleryAt { url: "https://pictures.example".into(), token: "9".into() },
        Outcome::Joined(Box::new(invite(InviteState::Waiting))),
        Outcome::Registered {
            id: alice(),
            name: name("alice"),
            server: link(),
            joined: Some(Box::new(invite(InviteState::Welcome))),
        },
    ]
}

fn card() -> Card {
    Card { id: alice(), key: [9; 32].into(), name: name("alice") }
}

fn known_contact() -> Contact {
    Contact {
        id: bob(),
        name: name("bob"),
        key: [8; 32].into(),
        trust: Some(Trust::Verified),
        since: at(1),
        other: Some(OtherKey { peer: bob(), key: [7; 32].into(), at: at(2) }),
        stranger: false,
    }
}

fn events() -> Vec<EventKind> {
    let presence = Presence {
        id: alice(),
        name: name("alice"),
        online: true,
        address: Some("192.0.2.7:4000".parse().unwrap()),
        at: at(1),
        end: None,
    };
    let path = || "7xKqPm2R/sea".parse().unwrap();
    let image = |change, was| {
        EventKind::Image(Box::new(ImageChange { path: path(), owner_name: name("alice"), change, was }))
    };
    vec![
        EventKind::Session(SessionState::Connecting),
        EventKind::Grant(Box::new(grant())),
        EventKind::Viewed { views: 1, kind: ViewedKind::View, grant: Box::new(grant()) },
        EventKind::Removed(path()),
        EventKind::Fetched(path()),
        EventKind::Request(Box::new(request())),
        EventKind::Decision(Box::new(request())),
        EventKind::Notice(Notice { kind: NoticeKind::Missed, text: "some events".into() }),
        EventKind::Presence(presence),
        EventKind::Message(Box::new(message())),
        EventKind::Contact(Box::new(contact())),
        EventKind::KeyChange(Box::new(known_contact())),
        EventKind::Grant(Box::new(offer())),
        EventKind::Invite(Box::new(used_invite())),
        EventKind::Renamed { path: path(), was: "dawn".parse().unwrap(), owner_name: name("alice") },
        image(ImageChanged::Added, None),
        image(ImageChanged::Replaced, None),
        image(ImageChanged::Renamed, Some("dawn".parse().unwrap())),
        image(ImageChanged::Removed, None),
        EventKind::Named { id: alice(), name: "alicia".parse().unwrap(), was: name("alice") },
        EventKind::Left { id: alice(), name: name("alice") },
    ]
}

#[test]
fn from_peerd() {
    let outcomes: Vec<Outcome> = outcomes_of_sessions()
        .into_iter()
        .chain(outcomes_of_images())
        .chain(outcomes_of_messages())
        .collect();
    let mut messages = vec![
        FromPeerd::Progress(Progress { step: Step::Fetching, done: 1, total: 2 }),
        FromPeerd::Progress(Progress { step: Step::Opening, done: 2, total: 2 }),
        FromPeerd::Data(vec![1, 2, 3]),
        FromPeerd::Part(Box::new(Outcome::Blocks(vec![]))),
        FromPeerd::Failed(WireError::new(Code::NotFound, "there is no alice/sea")),
        FromPeerd::Ready { bytes: 90, spends: None },
        FromPeerd::Ready { bytes: 90, spends: Some(Spends { left: Allowance::Views(1) }) },
    ];
    messages.extend(outcomes.into_iter().map(|outcome| FromPeerd::Done(Box::new(outcome))));
    let event = |what| FromPeerd::Event(Box::new(Event::new(at(1), what)));
    messages.extend(events().into_iter().map(event));
    let seen = Event { seen: Some(true), ..Event::new(at(1), EventKind::Session(SessionState::Online)) };
    messages.push(FromPeerd::Event(Box::new(seen)));
    let unregistered =
        Outcome::Unregistered { id: alice(), name: name("alice"), kept: "/state/left/7xKqPm2R".into() };
    let named = Outcome::Named { id: alice(), was: name("alice"), name: "alicia".parse().unwrap() };
    messages.extend([named, unregistered].map(|outcome| FromPeerd::Done(Box::new(outcome))));
    messages.push(FromPeerd::Done(Box::new(Outcome::News(7))));
    messages.push(FromPeerd::Done(Box::new(Outcome::Status(Box::new(Status { news: 3, ..status() })))));
    let samples = Samples { messages };
    samples.have_every::<FromPeerd>(&[]);
    samples.have_every::<Outcome>(&["done"]);
    samples.have_every::<EventKind>(&["event", "what"]);
    insta::assert_snapshot!(samples.text());
}
