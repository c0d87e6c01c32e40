//! A peer and the directory.

use dos_protocol::{
    Allowance, Code, ImageNo, OperationId, Reason, Seq, Timestamp, ViewId, WireError,
    directory::{
        Answer, Asserted, AssertedCheckout, AssertedGrant, AssertedImage, Assertion, Blob, Block, Blocked,
        Broadcast, Call, Changes, Checkin, Contact, Cursor, Decide, Decision, Delivered, Delivery, Escrow,
        ExpiryChange, Follow, Followed, FromDirectory, Greet, Greeted, InboxMessage, Invite, Invited, List,
        LoggedIn, LoginStart, Newest, NewestPage, Notice, NoticeKind, Op, Page, PeerChange, PeerNews,
        Presence, PreviewOf, Publish, PublishAs, Reclaim, Recover, Register, Rendezvous, RendezvousAt,
        RendezvousCall, Request, RequestAccess, Send, Sent, Set, Share, Sign, SignIn, SignedIn, Spend,
        SpendKind, Spent, Subscription, Ticket, ToDirectory, Update, Viewed, ViewedKind, ViewsChange,
    },
    model::{ImageInfo, PeerInfo, PreviewSize, SessionEnd, Visibility},
};

use super::{
    Samples,
    model::{
        alice, at, bob, data_state, fuller_grant, fuller_key, grant, image, inbox_message, key, message_id,
        name, original, peer, peer_state, preview, record, record_in_album, record_with_all,
        record_with_description, request, sealed, sealing_key, sign_in, split,
    },
};

fn spend(kind: SpendKind, views: u32) -> Op {
    let view = ViewId::from([1; 16]);
    Op::Spend(Spend { image: ImageNo(7), view, views, kind, split: split(), sealed: sealed().hash })
}

fn share(views: ViewsChange, expiry: ExpiryChange) -> Op {
    Op::Share(Share {
        image: ImageNo(7),
        viewer: "bob".parse().unwrap(),
        views,
        expiry,
        key: Some(key()),
        lasts_ms: None,
        allow_offline: None,
    })
}

fn sessions() -> Vec<Op> {
    let password = || "correct horse".parse().unwrap();
    vec![
        Op::Register(Register {
            name: name("alice"),
            invite: Some("code".into()),
            password: Some(password()),
            sign_in: sign_in(),
        }),
        Op::SignIn(sign_in()),
        Op::Recover(Box::new(Recover {
            name: "alice".parse().unwrap(),
            password: password(),
            sign_in: sign_in(),
        })),
        Op::SignOut,
        Op::SetPassword(Some(password())),
        Op::SetPassword(None),
        Op::Subscribe(Subscription::Nobody),
        Op::Subscribe(Subscription::Everybody),
        Op::Subscribe(Subscription::These(vec![alice()])),
        Op::Contact(alice()),
        Op::Identify([9; 32].into()),
        Op::Relay(alice()),
        Op::Resolve("192.0.2.7:4000".parse().unwrap()),
        Op::List(List {
            peer: Some("alice".parse().unwrap()),
            seen_since: Some(at(0)),
            online: true,
            after: Some(Cursor { peer: alice(), image: Some("sea".parse().unwrap()) }),
            limit: 50,
            seen_within_ms: None,
        }),
        Op::Newest(Newest { peer: None, before: None, limit: 100 }),
        Op::Newest(Newest { peer: Some("alice".parse().unwrap()), before: Some(ImageNo(7)), limit: 50 }),
    ]
}

fn images_and_grants() -> Vec<Op> {
    vec![
        Op::Image("alice/sea".parse().unwrap()),
        Op::Preview("sea".parse().unwrap()),
        Op::Publish(Box::new(Publish {
            name: "sea".parse().unwrap(),
            original: original(),
            sealed: sealed(),
            preview: preview(),
            replace: true,
            record: Some(record()),
        })),
        Op::Remove(ImageNo(7)),
        Op::Rename { image: ImageNo(7), name: "ocean".parse().unwrap(), record: None },
        Op::Rename { image: ImageNo(7), name: "ocean".parse().unwrap(), record: Some(Box::new(record())) },
        Op::Sign(Box::new(Sign {
            image: ImageNo(7),
            sealed: sealed().hash,
            preview: preview(),
            record: record(),
        })),
        share(ViewsChange::Keep, ExpiryChange::At(at(9))),
        share(ViewsChange::Set(Allowance::Views(2)), ExpiryChange::Keep),
        share(ViewsChange::Set(Allowance::Unlimited), ExpiryChange::Keep),
        share(ViewsChange::Add(3), ExpiryChange::Keep),
        share(ViewsChange::Revoke, ExpiryChange::Keep),
        share(ViewsChange::Rekey, ExpiryChange::Keep),
        Op::Grant { image: ImageNo(7), viewer: bob() },
        Op::Grants { after: Some((ImageNo(7), bob())) },
        spend(SpendKind::View, 1),
        spend(SpendKind::Checkout, 4),
        Op::Checkin(Checkin { image: ImageNo(7), checkout: ViewId::from([1; 16]), unused: 2, given_up: 0 }),
        Op::Checkin(Checkin { image: ImageNo(7), checkout: ViewId::from([1; 16]), unused: 0, given_up: 2 }),
        Op::Request(RequestAccess {
            image: "alice/sea".parse().unwrap(),
            views: 3,
            note: Some("please".into()),
            offline: false,
        }),
        Op::Cancel(12),
        Op::Decide(Decide {
            request: 12,
            decision: Decision::Approve { views: Some(2), key: key(), allow_offline: None },
        }),
        Op::Decide(Decide { request: 12, decision: Decision::Deny { reason: Some("no".into()) } }),
        Op::Requests { after: Some(12) },
    ]
}

/// What later releases have added to operations that there were.
fn additions() -> Vec<Op> {
    vec![
        Op::List(List {
            peer: None,
            seen_since: None,
            online: false,
            after: None,
            limit: 50,
            seen_within_ms: Some(60_000),
        }),
        Op::Share(Share {
            image: ImageNo(7),
            viewer: "bob".parse().unwrap(),
            views: ViewsChange::Keep,
            expiry: ExpiryChange::At(at(9)),
            key: Some(fuller_key()),
            lasts_ms: Some(3_600_000),
            allow_offline: Some(true),
        }),
        Op::Request(RequestAccess {
            image: "alice/sea".parse().unwrap(),
            views: 3,
            note: None,
            offline: true,
        }),
        Op::Decide(Decide {
            request: 12,
            decision: Decision::Approve { views: None, key: fuller_key(), allow_offline: Some(false) },
        }),
        Op::CloseViews(vec![ViewId::from([1; 16]), ViewId::from([2; 16])]),
        Op::SignIn(SignIn { rendezvous: true, ..sign_in() }),
        Op::Rendezvous(Rendezvous { peer: alice(), ticket: Ticket::from([7; 32]), port: None }),
        Op::Rendezvous(Rendezvous { peer: alice(), ticket: Ticket::from([7; 32]), port: Some(40001) }),
    ]
}

fn messages_and_blocks() -> Vec<Op> {
    vec![
        Op::Send(Send {
            message: message_id(),
            to: "bob".parse().unwrap(),
            text: "hello".into(),
            sealed: None,
        }),
        Op::Send(Send {
            message: message_id(),
            to: "bob".parse().unwrap(),
            text: "".into(),
            sealed: Some([1, 2, 3].into()),
        }),
        Op::Broadcast(Broadcast {
            message: message_id(),
            text: "lunch?".into(),
            signature: Some([5; 64].into()),
        }),
        Op::Block("bob".parse().unwrap()),
        Op::Unblock(bob().to_string().parse().unwrap()),
        Op::Blocks,
        Op::BlocksPage { after: Some(bob()) },
        Op::Invite(Invite { hash: [4; 32], prefix: "Ab3d".into(), lasts_ms: 3_600_000 }),
        Op::RevokeInvite([4; 32]),
        Op::Name("alicia".parse().unwrap()),
        Op::Unregister,
        Op::Follow(Follow { peers: vec![alice(), bob()], after: Some(ImageNo(7)) }),
        Op::Greet(Box::new(Greet { to: bob(), greeting: blob(&[1, 2, 3]) })),
    ]
}

fn blob(bytes: &[u8]) -> Blob {
    bytes.to_vec().try_into().unwrap()
}

fn passwords() -> Vec<Op> {
    vec![
        Op::PasswordStart(blob(&[1, 2, 3])),
        Op::PasswordFinish(Box::new(Escrow { record: blob(&[4, 5, 6]), sealed: blob(&[7, 8, 9]) })),
        Op::PasswordRemove,
        Op::LoginStart(Box::new(LoginStart { name: "alice".parse().unwrap(), request: blob(&[1, 2, 3]) })),
        Op::LoginFinish(blob(&[4, 5, 6])),
    ]
}

fn healing() -> Vec<Op> {
    let publish = Publish {
        name: "sea".parse().unwrap(),
        original: original(),
        sealed: sealed(),
        preview: preview(),
        replace: false,
        record: Some(record()),
    };
    let checkout = AssertedCheckout { image: ImageNo(7), checkout: ViewId::from([1; 16]), unused: 2 };
    vec![
        Op::SignIn(SignIn { state: Some(peer_state()), ..sign_in() }),
        Op::Reclaim(Box::new(Reclaim {
            id: alice(),
            name: name("alice"),
            proof: [6; 32].into(),
            sign_in: sign_in(),
        })),
        Op::Assert(Assertion::Removed(vec![ImageNo(7)])),
        Op::Assert(Assertion::Image(Box::new(AssertedImage {
            image: ImageNo(7),
            publish: publish.clone(),
            visibility: None,
        }))),
        Op::Assert(Assertion::Grants(vec![
            AssertedGrant { grant: grant(), key: Some(key()) },
            AssertedGrant { grant: grant(), key: None },
        ])),
        Op::Assert(Assertion::Checkouts(vec![checkout])),
        Op::Assert(Assertion::Requests(vec![request()])),
        Op::Assert(Assertion::Image(Box::new(AssertedImage {
            image: ImageNo(7),
            publish: publish.clone(),
            visibility: Some(Visibility::Private),
        }))),
        Op::PublishAs(Box::new(PublishAs {
            publish: publish.clone(),
            visibility: Some(Visibility::Private),
        })),
        Op::PublishAs(Box::new(PublishAs { publish, visibility: None })),
        Op::Set(Box::new(Set { image: ImageNo(7), visibility: Some(Visibility::Listed), record: None })),
        Op::Set(Box::new(Set { image: ImageNo(7), visibility: None, record: Some(record_in_album()) })),
        Op::Set(Box::new(Set {
            image: ImageNo(7),
            visibility: None,
            record: Some(record_with_description()),
        })),
        Op::Set(Box::new(Set { image: ImageNo(7), visibility: None, record: Some(record_with_all()) })),
    ]
}

#[test]
fn to_the_directory() {
    let mut messages = vec![
        ToDirectory::Ack(Seq(300)),
        ToDirectory::Pong(7),
        ToDirectory::Ping(7),
        ToDirectory::Request {
            id: 1,
            op: Op::Remove(ImageNo(7)),
            operation: Some(OperationId::from([3; 16])),
        },
    ];
    let ops = sessions()
        .into_iter()
        .chain(images_and_grants())
        .chain(messages_and_blocks())
        .chain(passwords())
        .chain(additions())
        .chain(healing());
    messages.extend(ops.map(|op| ToDirectory::request(2, op)));
    let samples = Samples { messages };
    samples.have_every::<ToDirectory>(&[]);
    samples.have_every::<Op>(&["request", "op"]);
    insta::assert_snapshot!(samples.text());
}

fn signed_in() -> SignedIn {
    SignedIn {
        id: alice(),
        name: name("alice"),
        address: "192.0.2.7:4000".parse().unwrap(),
        since: Seq(300),
        latest: Seq(302),
        operations: true,
        trust: true,
        password_again: false,
        now: None,
        data: None,
        nodes: Vec::new(),
        mapped: None,
        previews: PreviewSize::default(),
    }
}

fn answers() -> Vec<Answer> {
    let block = Block { peer: bob(), name: name("bob"), since: at(1) };
    vec![
        Answer::Done,
        Answer::SignedIn(signed_in()),
        Answer::SignedIn(SignedIn { name: None, data: Some(data_state()), trust: false, ..signed_in() }),
        Answer::Asserted(vec![Asserted::Confirmed, Asserted::Missing, Asserted::Refused]),
        Answer::Newest(NewestPage { peers: vec![peer()], before: Some(ImageNo(7)) }),
        Answer::Page(Page { peers: vec![peer()], next: Some(Cursor { peer: alice(), image: None }) }),
        Answer::Peer(Box::new(peer())),
        Answer::Contact(Contact {
            id: alice(),
            key: [9; 32].into(),
            addresses: vec!["192.0.2.7:4000".parse().unwrap()],
            online: true,
            relay: true,
            rendezvous: false,
            name: name("alice"),
            sealing: Some(sealing_key()),
        }),
        Answer::Image(Box::new(image())),
        Answer::Preview(PreviewOf {
            path: "7xKqPm2R/sea".parse().unwrap(),
            image_id: [8; 32].into(),
            preview: preview(),
            image: Some(Box::new(image())),
        }),
        Answer::Grant(Box::new(grant())),
        Answer::Grants { grants: vec![grant()], more: true },
        Answer::Spent(Box::new(Spent { share: [7; 32], grant: grant() })),
        Answer::Request(Box::new(request())),
        Answer::Requests { requests: vec![request()], more: false },
        Answer::Sent(Box::new(Sent { to: bob(), to_name: None, at: at(4), delivery: Delivery::Delivered })),
        Answer::Sent(Box::new(Sent {
            to: bob(),
            to_name: name("bob"),
            at: at(4),
            delivery: Delivery::Queued,
        })),
        Answer::Told(2),
        Answer::Blocked(Box::new(Blocked {
            peer: bob(),
            name: name("bob"),
            messages_purged: 2,
            requests_purged: 1,
            rights: 3,
        })),
        Answer::Blocks(vec![block.clone()]),
        Answer::BlocksPage { blocks: vec![block], more: true },
        Answer::Ticket(Ticket::from([7; 32])),
        Answer::PasswordStarted(blob(&[1, 2, 3])),
        Answer::LoginStarted(blob(&[4, 5, 6])),
        Answer::LoggedIn(Box::new(LoggedIn {
            id: alice(),
            key: [9; 32].into(),
            sealed: blob(&[7, 8, 9]),
            online: true,
        })),
        Answer::SignedIn(SignedIn { password_again: true, trust: false, now: Some(at(6)), ..signed_in() }),
        Answer::Image(Box::new(ImageInfo {
            record: Some(record_in_album()),
            visibility: Visibility::Private,
            ..image()
        })),
        Answer::Grant(Box::new(fuller_grant())),
        Answer::Request(Box::new(Request { offline: true, ..request() })),
        Answer::Invited(Invited { needed: true, expires_at: at(9) }),
        Answer::Followed(Followed { peers: vec![peer()], upto: ImageNo(9), more: true }),
        Answer::Image(Box::new(ImageInfo { added_at: Some(at(5)), ..image() })),
        Answer::Peer(Box::new(PeerInfo { online_since: Some(at(6)), ..peer() })),
    ]
}

fn reaching() -> Vec<Answer> {
    vec![
        Answer::Contact(Contact {
            id: alice(),
            key: [9; 32].into(),
            addresses: Vec::new(),
            online: true,
            relay: true,
            rendezvous: true,
            name: None,
            sealing: None,
        }),
        Answer::Rendezvous(RendezvousAt { mapped: "192.0.2.7:40123".parse().ok(), begin_us: 12_500 }),
        Answer::Rendezvous(RendezvousAt { mapped: None, begin_us: 0 }),
        Answer::SignedIn(SignedIn { mapped: "192.0.2.7:40123".parse().ok(), ..signed_in() }),
        Answer::SignedIn(SignedIn { previews: PreviewSize::Large, ..signed_in() }),
    ]
}

fn updates() -> Vec<Update> {
    let viewed = |kind| {
        Update::Viewed(Box::new(Viewed { view: ViewId::from([1; 16]), views: 1, kind, grant: grant() }))
    };
    let path = || "7xKqPm2R/sea".parse().unwrap();
    vec![
        Update::Grant(Box::new(grant())),
        viewed(ViewedKind::View),
        viewed(ViewedKind::Checkout),
        viewed(ViewedKind::Checkin),
        Update::Removed { image: ImageNo(7), path: path() },
        Update::Renamed { image: ImageNo(7), path: path() },
        Update::Request(Box::new(request())),
        Update::Decision(Box::new(request())),
        Update::Message(Box::new(inbox_message())),
        Update::Message(Box::new(InboxMessage {
            text: "".into(),
            sealed: Some([1, 2, 3].into()),
            signature: None,
            ..inbox_message()
        })),
        Update::Void,
        viewed(ViewedKind::GivenUp),
        Update::Delivered(Box::new(Delivered { message: message_id(), to: bob() })),
        Update::Operator("the operator has taken down sea: spam".into()),
        Update::Greeting(Box::new(Greeted { from: alice(), greeting: blob(&[1, 2, 3]) })),
    ]
}

fn news(what: PeerChange) -> FromDirectory {
    FromDirectory::PeerNews(Box::new(PeerNews { peer: alice(), at: at(9), what }))
}

fn rendezvous_call() -> RendezvousCall {
    RendezvousCall {
        ticket: Ticket::from([7; 32]),
        from: alice(),
        mapped: "192.0.2.7:40123".parse().ok(),
        addresses: vec!["192.0.2.7:4000".parse().unwrap()],
        begin_us: 12_500,
    }
}

fn pushes() -> Vec<FromDirectory> {
    let presence = |online, end| Presence {
        id: alice(),
        name: name("alice"),
        online,
        address: Some("192.0.2.7:4000".parse().unwrap()),
        at: at(1),
        end,
    };
    let peers = vec![presence(true, None), presence(false, Some(SessionEnd::SignedOut))];
    vec![
        FromDirectory::Ping(1),
        FromDirectory::Notice(Notice { kind: NoticeKind::TakenOver, text: "elsewhere".into() }),
        FromDirectory::Presence(Changes { peers, missed: true }),
        FromDirectory::Broadcast(Box::new(inbox_message())),
        FromDirectory::Call(Call { ticket: Ticket::from([7; 32]), from: alice(), at: None }),
        FromDirectory::Call(Call {
            ticket: Ticket::from([7; 32]),
            from: alice(),
            at: "a.example:5001".parse().ok(),
        }),
        FromDirectory::Pong(7),
        FromDirectory::Rendezvous(Box::new(rendezvous_call())),
        FromDirectory::Rendezvous(Box::new(RendezvousCall {
            mapped: None,
            addresses: Vec::new(),
            ..rendezvous_call()
        })),
        FromDirectory::Nodes(vec!["a.example:5001".parse().unwrap(), "[2001:db8::7]:5001".parse().unwrap()]),
        news(PeerChange::Added { image: ImageNo(7), name: "sea".parse().unwrap() }),
        news(PeerChange::Replaced { image: ImageNo(7), name: "sea".parse().unwrap() }),
        news(PeerChange::Renamed {
            image: ImageNo(7),
            name: "sea".parse().unwrap(),
            was: "dawn".parse().unwrap(),
        }),
        news(PeerChange::Removed { image: ImageNo(7), name: "sea".parse().unwrap() }),
        news(PeerChange::Named("alicia".parse().unwrap())),
        news(PeerChange::Left),
        FromDirectory::Refused { id: None, error: WireError::new(Code::Unsupported, "what?") },
        FromDirectory::Refused {
            id: Some(2),
            error: WireError::new(Code::Denied, "used up")
                .because(Reason::UsedUp)
                .caused_by("views")
                .hint("dosctl request alice/sea")
                .retry_after(std::time::Duration::from_secs(1)),
        },
        FromDirectory::Refused {
            id: Some(2),
            error: WireError::new(Code::Denied, "over").because(Reason::ViewClosed),
        },
        FromDirectory::Refused {
            id: Some(2),
            error: WireError::new(Code::Denied, "not offline").because(Reason::NotOffline),
        },
    ]
}

#[test]
fn from_the_directory() {
    let mut messages = pushes();
    messages.extend(
        answers().into_iter().chain(reaching()).map(|answer| FromDirectory::Answer { id: 2, answer }),
    );
    let row = |update| FromDirectory::Update { seq: Seq(8), at: Timestamp(1), update };
    messages.extend(updates().into_iter().map(row));
    let samples = Samples { messages };
    samples.have_every::<FromDirectory>(&[]);
    samples.have_every::<Answer>(&["answer", "answer"]);
    samples.have_every::<Update>(&["update", "update"]);
    insta::assert_snapshot!(samples.text());
}
