//! What is stored is a promise: golden bytes of every kind, written and read.
//!
//! `golden/frame` holds rows as the release before version 1 has written them; `golden/v1` rows and answers of version 1.

use dos_protocol::{
    Allowance, ImageNo, MessageId, PeerId, Revision, ViewId,
    directory::{Blocked, Delivered, Greeted, InboxMessage, Request, RequestState, Viewed, ViewedKind},
    model::{Format, Grant, ImageInfo, ImagePath, Original, PreviewInfo, SealedCopy},
};

use super::*;

pub(in crate::store) const AT: Timestamp = Timestamp(1_700_000_000_500);

pub(in crate::store) fn peer(number: u64) -> PeerId {
    PeerId::from_number(PeerId::COUNT / 3 + number).unwrap()
}

fn path() -> ImagePath {
    ImagePath { owner: peer(1), name: "sea".parse().unwrap() }
}

fn grant() -> Grant {
    Grant {
        image: ImageNo(7),
        path: path(),
        owner_name: Some("alice".parse().unwrap()),
        viewer: peer(2),
        viewer_name: None,
        views_left: Allowance::Views(4),
        views_used: 300,
        expires_at: Some(Timestamp(1_700_000_000_123)),
        revoked: false,
        revision: Revision(10),
        split: [3; 16].into(),
        sealed: SealedCopy { hash: [2; 32].into(), bytes: 70_000 },
        check: None,
        allow_offline: false,
        returned: 0,
        offer: false,
    }
}

fn revoked() -> Grant {
    Grant {
        owner_name: None,
        viewer_name: Some("bob".parse().unwrap()),
        views_left: Allowance::Unlimited,
        expires_at: None,
        revoked: true,
        ..grant()
    }
}

fn request(state: RequestState) -> Request {
    Request {
        request: 11,
        image: ImageNo(7),
        path: path(),
        owner_name: Some("alice".parse().unwrap()),
        from: peer(2),
        from_name: Some("bob".parse().unwrap()),
        views: 2,
        state,
        note: Some("please".into()),
        reason: None,
        created_at: Timestamp(1_700_000_000_000),
        decided_at: None,
        revision: 4,
        offline: false,
    }
}

fn decided(state: RequestState) -> Request {
    Request {
        owner_name: None,
        from_name: None,
        note: None,
        reason: Some("no".into()),
        decided_at: Some(Timestamp(1_700_000_000_001)),
        ..request(state)
    }
}

fn viewed(kind: ViewedKind) -> Update {
    Update::Viewed(Box::new(Viewed { view: ViewId::from([6; 16]), views: 3, kind, grant: grant() }))
}

fn message(name: Option<&str>) -> Update {
    Update::Message(Box::new(InboxMessage {
        message: MessageId::from([5; 16]),
        from: peer(2),
        from_name: name.map(|name| name.parse().unwrap()),
        sent_at: Timestamp(1_700_000_000_000),
        text: "h\u{e9}llo".into(),
        from_key: None,
        sealed: None,
        signature: None,
    }))
}

/// A file of this kind, in either folder.
macro_rules! golden {
    ($name:literal) => {
        (
            $name,
            include_str!(concat!("golden/frame/", $name, ".hex")),
            include_str!(concat!("golden/v1/", $name, ".hex")),
        )
    };
}

type Golden = (&'static str, &'static str, &'static str);

pub(in crate::store) fn updates() -> Vec<(Golden, Update)> {
    let image = ImageNo(7);
    vec![
        (golden!("grant"), Update::Grant(Box::new(grant()))),
        (golden!("grant-revoked"), Update::Grant(Box::new(revoked()))),
        (golden!("viewed-view"), viewed(ViewedKind::View)),
        (golden!("viewed-checkout"), viewed(ViewedKind::Checkout)),
        (golden!("viewed-checkin"), viewed(ViewedKind::Checkin)),
        (golden!("removed"), Update::Removed { image, path: path() }),
        (golden!("renamed"), Update::Renamed { image, path: path() }),
        (golden!("request"), Update::Request(Box::new(request(RequestState::Pending)))),
        (golden!("request-cancelled"), Update::Request(Box::new(request(RequestState::Cancelled)))),
        (golden!("decision-approved"), Update::Decision(Box::new(decided(RequestState::Approved)))),
        (golden!("decision-denied"), Update::Decision(Box::new(decided(RequestState::Denied)))),
        (golden!("message"), message(Some("bob"))),
        (golden!("message-nameless"), message(None)),
        (golden!("void"), Update::Void),
    ]
}

/// What no frame of the release before holds.
fn newer() -> Vec<(&'static str, &'static str, Update)> {
    let delivered = Delivered { message: MessageId::from([5; 16]), to: peer(2) };
    vec![
        ("viewed-given-up", include_str!("golden/v1/viewed-given-up.hex"), viewed(ViewedKind::GivenUp)),
        ("delivered", include_str!("golden/v1/delivered.hex"), Update::Delivered(Box::new(delivered))),
        (
            "operator",
            include_str!("golden/v1/operator.hex"),
            Update::Operator("the operator has taken down sea".into()),
        ),
        ("greeting", include_str!("golden/v1/greeting.hex"), greeting()),
    ]
}

fn greeting() -> Update {
    let greeting = vec![1, 2, 3].try_into().unwrap();
    Update::Greeting(Box::new(Greeted { from: peer(1), greeting }))
}

pub(in crate::store) fn bytes(hex: &str) -> Vec<u8> {
    let hex = hex.trim_end();
    (0..hex.len()).step_by(2).map(|place| u8::from_str_radix(&hex[place..place + 2], 16).unwrap()).collect()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[test]
fn every_update_is_written_and_read_as_version_1() {
    for ((name, _, v1), update) in updates() {
        assert_eq!(hex(&encode_update(AT, &update).unwrap()), v1.trim_end(), "{name}");
        assert_eq!(decode_update(&bytes(v1)).unwrap(), (AT, update), "{name}");
    }
}

/// What grants and requests have gained since, in each of the places where they stand.
fn fuller() -> (Grant, Request) {
    let grant = Grant { check: Some([9; 32].into()), allow_offline: true, returned: 300, ..grant() };
    (grant, Request { offline: true, ..request(RequestState::Pending) })
}

#[test]
fn what_was_gained_stands_behind_what_there_was() {
    let (grant, request) = fuller();
    let viewed =
        Viewed { view: ViewId::from([6; 16]), views: 3, kind: ViewedKind::Checkin, grant: grant.clone() };
    for (golden, update) in [
        (include_str!("golden/v1/fuller-grant.hex"), Update::Grant(Box::new(grant.clone()))),
        (include_str!("golden/v1/fuller-viewed.hex"), Update::Viewed(Box::new(viewed))),
        (include_str!("golden/v1/fuller-request.hex"), Update::Request(Box::new(request.clone()))),
        (include_str!("golden/v1/fuller-decision.hex"), Update::Decision(Box::new(request.clone()))),
    ] {
        assert_eq!(hex(&encode_update(AT, &update).unwrap()), golden.trim_end());
        assert_eq!(decode_update(&bytes(golden)).unwrap(), (AT, update));
    }
    check(include_str!("golden/v1/answer-fuller-grant.hex"), &grant);
    check(include_str!("golden/v1/answer-fuller-request.hex"), &request);
}

#[test]
fn what_was_added_since_is_written_and_read_as_version_1() {
    for (name, v1, update) in newer() {
        assert_eq!(hex(&encode_update(AT, &update).unwrap()), v1.trim_end(), "{name}");
        assert_eq!(decode_update(&bytes(v1)).unwrap(), (AT, update), "{name}");
    }
}

#[test]
fn every_update_of_the_release_before_is_read() {
    for ((name, frame, _), update) in updates() {
        assert_eq!(decode_update(&bytes(frame)).unwrap(), (AT, update), "{name}");
    }
}

#[test]
fn a_row_is_less_than_half_of_what_is_sent() {
    for ((name, frame, v1), _) in updates() {
        assert!(v1.trim_end().len() * 2 < frame.trim_end().len(), "{name}");
    }
}

fn image() -> ImageInfo {
    ImageInfo {
        no: ImageNo(7),
        owner: peer(1),
        name: "sea".parse().unwrap(),
        original: Original {
            image_id: [1; 32].into(),
            format: Format::WebP,
            width: 4000,
            height: 3000,
            bytes: 17_000_000_000,
        },
        sealed: SealedCopy { hash: [2; 32].into(), bytes: 17_000_100_000 },
        preview: PreviewInfo { format: Format::Png, width: 256, height: 192, bytes: 12_345 },
        access: None,
        record: None,
        signature: None,
        visibility: dos_protocol::Visibility::Listed,
        added_at: None,
    }
}

fn blocked(name: Option<&str>) -> Blocked {
    let name = name.map(|name| name.parse().unwrap());
    Blocked { peer: peer(2), name, messages_purged: 1, requests_purged: 2, rights: 3 }
}

fn check<T: Answered + PartialEq + std::fmt::Debug>(golden: &str, answer: &T) {
    assert_eq!(hex(&answer.to_bytes().unwrap()), golden.trim_end());
    assert_eq!(T::from_bytes(&bytes(golden)).unwrap().as_ref(), Some(answer));
}

#[test]
fn every_answer_is_written_and_read_as_version_1() {
    check(include_str!("golden/v1/answer-done.hex"), &());
    check(include_str!("golden/v1/answer-grant.hex"), &grant());
    check(include_str!("golden/v1/answer-request.hex"), &request(RequestState::Pending));
    check(include_str!("golden/v1/answer-decided.hex"), &decided(RequestState::Denied));
    check(include_str!("golden/v1/answer-image.hex"), &image());
    check(include_str!("golden/v1/answer-blocked.hex"), &blocked(Some("bob")));
    check(include_str!("golden/v1/answer-blocked-nameless.hex"), &blocked(None));
}

#[test]
fn an_answer_of_another_kind_is_told_from_a_broken_one() {
    let done = ().to_bytes().unwrap();
    let image = image().to_bytes().unwrap();
    assert!(<()>::from_bytes(&image).unwrap().is_none());
    assert!(Grant::from_bytes(&done).unwrap().is_none());
    assert!(Request::from_bytes(&done).unwrap().is_none());
    assert!(ImageInfo::from_bytes(&done).unwrap().is_none());
    assert!(Blocked::from_bytes(&done).unwrap().is_none());
    for broken in [&[][..], &[0], &[2, 0], &[1], &[1, 99], &[1, 0, 0]] {
        assert!(<()>::from_bytes(broken).is_err(), "{broken:?}");
    }
}

#[test]
fn rows_that_are_cut_longer_or_of_an_unknown_version_are_refused() {
    for ((name, frame, v1), _) in updates() {
        for golden in [frame, v1] {
            let whole = bytes(golden);
            for end in 0..whole.len() {
                assert!(decode_update(&whole[..end]).is_err(), "{name} cut at {end}");
            }
            assert!(decode_update(&[&whole[..], &[0]].concat()).is_err(), "{name} and more");
            let mut other = whole;
            other[0] = 2;
            assert_eq!(decode_update(&other).unwrap_err().to_string(), "a row of version 2", "{name}");
        }
    }
    assert_eq!(decode_update(&[]).unwrap_err().to_string(), "an empty row");
}
