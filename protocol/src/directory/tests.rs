//! The messages' bytes are a promise: golden ones, and the refusal of what is not a message.
use ciborium::cbor;

use super::*;
use crate::{
    error::Code,
    frame,
    id::{Instance, MessageId, Revision, SplitId, ViewId},
    model::{Address, Allowance, SealedCopy, SessionEnd},
    name::PeerName,
    password::Password,
    sealing::SealingKey,
};

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[test]
fn an_unknown_request_is_unsupported_and_keeps_its_id() {
    let mut body = Vec::new();
    let op = ciborium::value::Value::Map(vec![("dance".into(), 7.into())]);
    let inner = ciborium::value::Value::Map(vec![("id".into(), 9.into()), ("op".into(), op)]);
    let message = ciborium::value::Value::Map(vec![("request".into(), inner)]);
    ciborium::into_writer(&message, &mut body).unwrap();
    let (id, error) = read_request(&body).unwrap_err();
    assert_eq!((id, error.code), (Some(9), Code::Unsupported));
}

#[test]
fn a_malformed_request_is_invalid_and_keeps_its_id() {
    let mut body = Vec::new();
    let op = ciborium::value::Value::Map(vec![("cancel".into(), "text".into())]);
    let inner = ciborium::value::Value::Map(vec![("id".into(), 9.into()), ("op".into(), op)]);
    let message = ciborium::value::Value::Map(vec![("request".into(), inner)]);
    ciborium::into_writer(&message, &mut body).unwrap();
    let (id, error) = read_request(&body).unwrap_err();
    assert_eq!((id, error.code), (Some(9), Code::Invalid));
}

#[test]
fn garbage_and_unknown_messages_are_refused_without_an_id() {
    assert_eq!(read_request(b"GET / HTTP/1.1").unwrap_err().0, None);
    let mut body = Vec::new();
    let message = ciborium::value::Value::Map(vec![("song".into(), 1.into())]);
    ciborium::into_writer(&message, &mut body).unwrap();
    let (id, error) = read_request(&body).unwrap_err();
    assert_eq!((id, error.code), (None, Code::Unsupported));
}

fn bytes(value: &ciborium::Value) -> Vec<u8> {
    let mut bytes = Vec::new();
    ciborium::into_writer(value, &mut bytes).unwrap();
    bytes
}

#[test]
fn an_unknown_update_keeps_its_place_and_its_bytes() {
    let later = cbor!({"update" => {"seq" => 8, "at" => 5, "update" => {"eclipse" => {"sun" => true}}}});
    let body = bytes(&later.unwrap());
    let expected =
        UnknownUpdate { seq: Seq(8), at: Timestamp(5), kind: "eclipse".into(), body: (*body).into() };
    assert_eq!(read_message(&body).unwrap(), Incoming::UnknownUpdate(expected.clone()));
    assert_eq!(expected.read(), None);
}

#[test]
fn an_update_of_a_known_kind_with_something_unknown_in_it_keeps_its_place_too() {
    let later = cbor!({"update" => {"seq" => 8, "at" => 5, "update" => {"viewed" => {"kind" => "dreamt"}}}});
    let Incoming::UnknownUpdate(update) = read_message(&bytes(&later.unwrap())).unwrap() else { panic!() };
    assert_eq!((update.seq, &*update.kind), (Seq(8), "viewed"));
}

#[test]
fn an_update_that_was_unknown_is_read_by_a_version_that_knows_it() {
    let update = Update::Grant(Box::new(grant()));
    let message = FromDirectory::Update { seq: Seq(8), at: Timestamp(5), update: update.clone() };
    let body = frame::to_frame(&message).unwrap()[4..].into();
    let stored = UnknownUpdate { seq: Seq(8), at: Timestamp(5), kind: "grant".into(), body };
    assert_eq!(stored.read(), Some(update));
}

#[test]
fn an_unknown_answer_names_its_request_and_other_unknown_messages_are_told_from_nonsense() {
    let answer = cbor!({"answer" => {"id" => 9, "answer" => {"eclipse" => 1}}}).unwrap();
    assert_eq!(read_message(&bytes(&answer)).unwrap(), Incoming::UnknownAnswer { id: 9 });
    let other = cbor!({"eclipse" => {"id" => 9}}).unwrap();
    assert!(matches!(read_message(&bytes(&other)).unwrap(), Incoming::Unknown(_)));
    assert!(read_message(b"GET / HTTP/1.1").is_err());
}

#[test]
fn what_only_a_newer_directory_knows_inside_a_message_has_a_meaning_here() {
    let refused = cbor!({"refused" => {"id" => 9, "error" => {
        "code" => "eclipsed", "message" => "too dark", "reason" => "moon"
    }}});
    let Incoming::Message(FromDirectory::Refused { id: Some(9), error }) =
        read_message(&bytes(&refused.unwrap())).unwrap()
    else {
        panic!()
    };
    assert_eq!((error.code, error.reason, &*error.message), (Code::Internal, None, "too dark"));
    let notice = cbor!({"notice" => {"kind" => "eclipse", "text" => "look up"}}).unwrap();
    let Incoming::Message(FromDirectory::Notice(notice)) = read_message(&bytes(&notice)).unwrap() else {
        panic!()
    };
    assert_eq!(notice.kind, NoticeKind::Announcement);
    let format: crate::model::Format = ciborium::Value::Text("eclipse".into()).deserialized().unwrap();
    assert_eq!(format, crate::model::Format::Unknown);
}

#[test]
fn a_request_may_carry_an_operation_id_and_an_older_peer_sends_none() {
    let operation = Some(OperationId::from([3; 16]));
    let with = ToDirectory::Request { id: 1, op: Op::SignOut, operation };
    let body = frame::to_frame(&with).unwrap();
    assert_eq!(read_request(&body[4..]).unwrap(), with);
    let without = cbor!({"request" => {"id" => 1, "op" => "sign_out"}}).unwrap();
    assert_eq!(read_request(&bytes(&without)).unwrap(), ToDirectory::request(1, Op::SignOut));
}

#[test]
fn debug_never_shows_a_share() {
    let key = KeyShare { split: SplitId::from([1; 16]), share: [0xab; 32], check: None };
    assert!(!format!("{key:?}").contains("171") && !format!("{key:?}").contains("ab, "));
}

/// `kind: bytes of the frame` for messages of every kind; to be changed only together with the ALPN version.
#[test]
fn golden_bytes() {
    for (message, golden) in [
        (to_hex(&ToDirectory::Ack(Seq(300))), "00000008a16361636b19012c"),
        (to_hex(&ToDirectory::Pong(7)), "00000007a164706f6e6707"),
        (to_hex(&ToDirectory::Ping(7)), "00000007a16470696e6707"),
        (
            to_hex(&ToDirectory::request(1, Op::SignOut)),
            "0000001aa16772657175657374a262696401626f70687369676e5f6f7574",
        ),
        (to_hex(&FromDirectory::Ping(1)), "00000007a16470696e6701"),
        (to_hex(&FromDirectory::Pong(1)), "00000007a164706f6e6701"),
    ] {
        assert_eq!(message, golden.replace(' ', ""));
    }
}

fn grant() -> Grant {
    Grant {
        image: ImageNo(7),
        path: "7xKqPm2R/sea".parse().unwrap(),
        owner_name: Some("alice".parse().unwrap()),
        viewer: "7xKqPm2S".parse().unwrap(),
        viewer_name: None,
        views_left: Allowance::Unlimited,
        views_used: 3,
        expires_at: None,
        revoked: false,
        revision: Revision(4),
        split: SplitId::from([5; 16]),
        sealed: SealedCopy { hash: [6; 32].into(), bytes: 164 },
        check: None,
        allow_offline: false,
        returned: 0,
        offer: false,
    }
}

/// Longer messages, one of each family.
#[test]
fn golden_bytes_of_operations_and_updates() {
    let spend = Spend {
        image: ImageNo(7),
        view: ViewId::from([1; 16]),
        views: 1,
        kind: SpendKind::View,
        split: SplitId::from([5; 16]),
        sealed: [6; 32].into(),
    };
    let share = Share {
        image: ImageNo(7),
        viewer: "bob".parse().unwrap(),
        views: ViewsChange::Set(Allowance::Views(2)),
        expiry: ExpiryChange::Keep,
        key: Some(KeyShare { split: SplitId::from([5; 16]), share: [9; 32], check: None }),
        lasts_ms: None,
        allow_offline: None,
    };
    let update =
        FromDirectory::Update { seq: Seq(8), at: Timestamp(1), update: Update::Grant(Box::new(grant())) };
    let recover = Recover {
        name: "bob".parse().unwrap(),
        password: "correct horse".parse().unwrap(),
        sign_in: SignIn {
            instance: Instance(5),
            port: 4000,
            addresses: vec!["192.0.2.7:4000".parse().unwrap()],
            force: false,
            stored: Seq(0),
            sealing: None,
            state: None,
            rendezvous: false,
        },
    };
    let recover = ToDirectory::request(1, Op::Recover(Box::new(recover)));
    let set = ToDirectory::request(4, Op::SetPassword(Some("correct horse".parse().unwrap())));
    let rights = Op::Grants { after: Some((ImageNo(7), "7xKqPm2S".parse().unwrap())) };
    let rekey = Share { views: ViewsChange::Rekey, ..share.clone() };
    let denied = WireError::new(Code::Denied, "used up").because(crate::Reason::UsedUp);
    for (message, golden) in [
        (to_hex(&ToDirectory::request(2, Op::Spend(spend))), include_str!("golden/spend.hex")),
        (to_hex(&ToDirectory::request(3, Op::Share(share))), include_str!("golden/share.hex")),
        (to_hex(&recover), include_str!("golden/recover.hex")),
        (to_hex(&set), include_str!("golden/set_password.hex")),
        (to_hex(&ToDirectory::request(5, rights)), include_str!("golden/rights.hex")),
        (to_hex(&ToDirectory::request(6, Op::Share(rekey))), include_str!("golden/rekey.hex")),
        (to_hex(&update), include_str!("golden/update.hex")),
        (to_hex(&FromDirectory::Refused { id: Some(2), error: denied }), include_str!("golden/refused.hex")),
    ] {
        assert_eq!(message, golden.trim());
    }
}

/// Messages between peers, and blocks.
#[test]
fn golden_bytes_of_messages_and_blocks() {
    let message = MessageId::from([0x5a; 16]);
    let bob = PeerId::from_number(PeerId::COUNT / 3).unwrap();
    let send = Send { message, to: "bob".parse().unwrap(), text: "hello".into(), sealed: None };
    let sent = Sent {
        to: bob,
        to_name: Some("bob".parse().unwrap()),
        at: Timestamp(1_700_000_000_123),
        delivery: Delivery::Queued,
    };
    let letter = InboxMessage {
        message,
        from: bob,
        from_name: None,
        sent_at: Timestamp(1_700_000_000_123),
        text: "hello".into(),
        from_key: None,
        sealed: None,
        signature: None,
    };
    let blocked = Blocked {
        peer: bob,
        name: Some("bob".parse().unwrap()),
        messages_purged: 2,
        requests_purged: 1,
        rights: 3,
    };
    let row = |update| FromDirectory::Update { seq: Seq(8), at: Timestamp(1), update };
    let told = FromDirectory::Broadcast(Box::new(letter.clone()));
    for (message, golden) in [
        (to_hex(&ToDirectory::request(4, Op::Send(send))), include_str!("golden/send.hex")),
        (
            to_hex(&FromDirectory::Answer { id: 4, answer: Answer::Sent(Box::new(sent)) }),
            include_str!("golden/sent.hex"),
        ),
        (to_hex(&row(Update::Message(Box::new(letter)))), include_str!("golden/message.hex")),
        (to_hex(&row(Update::Void)), include_str!("golden/void.hex")),
        (to_hex(&told), include_str!("golden/broadcast.hex")),
        (
            to_hex(&FromDirectory::Answer { id: 5, answer: Answer::Blocked(Box::new(blocked)) }),
            include_str!("golden/blocked.hex"),
        ),
    ] {
        assert_eq!(message, golden.trim());
    }
}

/// Who comes and goes.
#[test]
fn golden_bytes_of_presence() {
    let (alice, bob): (PeerId, PeerId) = ("7xKqPm2R".parse().unwrap(), "7xKqPm2S".parse().unwrap());
    let here = Presence {
        id: alice,
        name: Some("alice".parse().unwrap()),
        online: true,
        address: Some("192.0.2.7:4000".parse().unwrap()),
        at: Timestamp(1),
        end: None,
    };
    let gone = Presence {
        id: bob,
        name: None,
        online: false,
        address: None,
        end: Some(SessionEnd::SignedOut),
        ..here.clone()
    };
    let subscribe = |id, to| ToDirectory::request(id, Op::Subscribe(to));
    let changes = Changes { peers: vec![here, gone], missed: true };
    for (message, golden) in [
        (to_hex(&subscribe(4, Subscription::Everybody)), include_str!("golden/subscribe-everybody.hex")),
        (to_hex(&subscribe(5, Subscription::These(vec![alice]))), include_str!("golden/subscribe-these.hex")),
        (to_hex(&FromDirectory::Presence(changes)), include_str!("golden/presence.hex")),
    ] {
        assert_eq!(message, golden.trim());
    }
}

/// What two peers need to reach each other.
#[test]
fn golden_bytes_of_contact_and_relay() {
    let peer: PeerId = "7xKqPm2R".parse().unwrap();
    let ticket = Ticket::from([7; 32]);
    let contact = Contact {
        id: peer,
        key: PublicKey::from([9; 32]),
        addresses: vec!["192.0.2.7:4000".parse().unwrap(), "[2001:db8::7]:4000".parse().unwrap()],
        online: true,
        relay: true,
        rendezvous: false,
        name: None,
        sealing: None,
    };
    let answer = |answer| FromDirectory::Answer { id: 4, answer };
    for (message, golden) in [
        (to_hex(&ToDirectory::request(4, Op::Relay(peer))), include_str!("golden/relay.hex")),
        (to_hex(&answer(Answer::Ticket(ticket))), include_str!("golden/ticket.hex")),
        (
            to_hex(&FromDirectory::Call(Call { ticket, from: peer, at: None })),
            include_str!("golden/call.hex"),
        ),
        (to_hex(&answer(Answer::Contact(contact))), include_str!("golden/contact.hex")),
    ] {
        assert_eq!(message, golden.trim());
    }
    assert_eq!((RELAY_MAGIC, RELAY_OPEN), (b"DOSR", 1));
}

#[test]
fn a_contact_of_an_older_directory_is_read_and_debug_never_shows_a_ticket() {
    #[derive(Serialize)]
    struct Older {
        id: PeerId,
        key: PublicKey,
        addresses: [&'static str; 1],
    }
    let older = Older {
        id: "7xKqPm2R".parse().unwrap(),
        key: PublicKey::from([9; 32]),
        addresses: ["192.0.2.7:4000"],
    };
    let mut bytes = Vec::new();
    ciborium::into_writer(&older, &mut bytes).unwrap();
    let contact: Contact = frame::decode(&bytes).unwrap();
    assert!(!contact.online && !contact.relay);
    assert_eq!(format!("{:?}", Ticket::from([171; 32])), "Ticket(..)");
}

fn to_hex<T: Serialize>(message: &T) -> String {
    hex(&frame::to_frame(message).unwrap())
}

#[test]
fn an_operation_is_called_as_on_the_wire() {
    let id = PeerId::from_number(PeerId::COUNT / 3).unwrap();
    let ops = [
        Op::SignOut,
        Op::Blocks,
        Op::Contact(id),
        Op::Remove(ImageNo(1)),
        Op::Grant { image: ImageNo(1), viewer: id },
        Op::Grants { after: None },
        Op::SetPassword(None),
        Op::Subscribe(Subscription::Everybody),
        Op::Relay(id),
    ];
    for op in ops {
        let on_the_wire = match ciborium::Value::serialized(&op).unwrap() {
            ciborium::Value::Map(pairs) => pairs[0].0.as_text().unwrap().to_owned(),
            other => other.as_text().unwrap().to_owned(),
        };
        assert_eq!(op.name(), on_the_wire);
    }
}

#[test]
fn a_blob_has_its_bounds_and_is_never_shown() {
    let bytes = |count: usize| ciborium::Value::Bytes(vec![7; count]);
    for (count, fits) in [
        (0, false),
        (1, true),
        (crate::limits::BLOB_BYTES_MAX, true),
        (crate::limits::BLOB_BYTES_MAX + 1, false),
    ] {
        assert_eq!(bytes(count).deserialized::<Blob>().is_ok(), fits, "{count}");
        assert_eq!(Blob::try_from(vec![7; count]).is_ok(), fits, "{count}");
    }
    let blob: Blob = bytes(3).deserialized().unwrap();
    assert_eq!((format!("{blob:?}").as_str(), blob.as_bytes()), ("Blob(3 bytes)", &[7; 3][..]));
}

#[test]
fn a_directory_of_the_first_release_wants_no_password_again() {
    let signed_in = cbor!({
        "id" => "7xKqPm2R", "name" => null, "address" => "192.0.2.7:4000", "since" => 1, "latest" => 1
    });
    let signed_in: SignedIn = signed_in.unwrap().deserialized().unwrap();
    assert!(!signed_in.password_again && !signed_in.operations);
}

#[test]
fn the_largest_request_of_a_peer_that_has_not_signed_in_leaves_room_to_grow() {
    let name: Option<PeerName> = "x".repeat(crate::limits::PEER_NAME_CHARS_MAX).parse().ok();
    let blob = || Blob::try_from(vec![255; crate::limits::BLOB_BYTES_MAX]).unwrap();
    let password: Password = "x".repeat(crate::limits::PASSWORD_BYTES_MAX).parse().unwrap();
    let address: Address = "[2001:db8:ffff:ffff:ffff:ffff:ffff:ffff]:65535".parse().unwrap();
    let signature = crate::signature::Signature::from([255; 64]);
    let sign_in = SignIn {
        instance: Instance(u64::MAX),
        port: u16::MAX,
        addresses: vec![address; crate::limits::ADDRESSES_MAX],
        force: true,
        stored: Seq(u64::MAX),
        sealing: Some(Box::new(SealingKey { key: [255; 32], signature })),
        state: Some(PeerState {
            attempt: Attempt { number: u64::MAX, nonce: [255; 16].into() },
            incarnation: Some([255; 16].into()),
            stored_at: Some(Timestamp(i64::MAX)),
        }),
        rendezvous: true,
    };
    let register = Register {
        name: name.clone(),
        invite: Some("x".repeat(64).into()),
        password: Some(password.clone()),
        sign_in: sign_in.clone(),
    };
    let recover = Recover { name: name.clone().unwrap(), password, sign_in: sign_in.clone() };
    let id = PeerId::from_number(PeerId::COUNT / 3).unwrap();
    let reclaim = Reclaim { id, name: name.clone(), proof: [255; 32].into(), sign_in: sign_in.clone() };
    let login = LoginStart { name: name.unwrap(), request: blob() };
    for op in [
        Op::Register(register),
        Op::SignIn(sign_in),
        Op::Recover(Box::new(recover)),
        Op::Reclaim(Box::new(reclaim)),
        Op::LoginStart(Box::new(login)),
        Op::LoginFinish(blob()),
    ] {
        let kind: &str = (&op).into();
        let bytes = frame::to_frame(&ToDirectory::request(u32::MAX, op)).unwrap().len();
        assert!(bytes * 2 < crate::limits::UNSIGNED_FRAME_BYTES_MAX, "{kind} has {bytes} bytes");
    }
}
