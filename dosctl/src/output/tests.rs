//! What people and scripts see, as snapshots.

mod invites;
mod messages;

use std::time::Duration;

use dos_protocol::{
    Allowance, Code, ImageId, ImageNo, Reason, Revision, SealedHash, SplitId,
    control::{Event, EventKind, ImageChange, ImageChanged, SessionState, Status, Way},
    directory::{Cursor, Notice, NoticeKind, Presence, Request, RequestState, ViewedKind},
    model::{
        Access, AccessState, Format, Grant, ImageInfo, Original, PeerInfo, PreviewInfo, SealedCopy,
        SessionEnd,
    },
};

use super::*;
use crate::cursor::Token;

const ALICE: &str = "7xKqPm2R";
const BOB: &str = "9BobBobB";

fn now() -> Timestamp {
    Timestamp(1_700_000_000_000)
}

fn text(make: impl FnOnce(&mut Text)) -> String {
    let mut text = Text::new(false, now());
    make(&mut text);
    format!("{}--- notes\n{}", text.out, text.notes)
}

fn sealed() -> SealedCopy {
    SealedCopy { hash: SealedHash::from([3; 32]), bytes: 7_200_000 }
}

fn image(name: &str, access: Option<Access>) -> ImageInfo {
    ImageInfo {
        no: ImageNo(4),
        owner: ALICE.parse().unwrap(),
        name: name.parse().unwrap(),
        original: Original {
            image_id: ImageId::from([7; 32]),
            format: Format::Jpeg,
            width: 6000,
            height: 4000,
            bytes: 7_100_000,
        },
        sealed: sealed(),
        preview: PreviewInfo { format: Format::WebP, width: 256, height: 171, bytes: 12_345 },
        access,
        record: None,
        signature: None,
        visibility: dos_protocol::Visibility::Listed,
        added_at: None,
    }
}

fn access(state: AccessState, views: u32, ends: bool) -> Option<Access> {
    let expires_at = ends.then(|| now().after(Duration::from_secs(6 * 86_400)));
    Some(Access { state, views_left: Allowance::Views(views), expires_at, offer: false })
}

fn alice(images: Vec<ImageInfo>) -> PeerInfo {
    PeerInfo {
        id: ALICE.parse().unwrap(),
        name: Some("alice".parse().unwrap()),
        online: true,
        address: Some("192.0.2.7:4000".parse().unwrap()),
        last_seen: Some(now()),
        online_since: None,
        last_end: None,
        images,
        key: None,
    }
}

fn bob() -> PeerInfo {
    let last_seen = Some(now().before(Duration::from_secs(200)));
    PeerInfo {
        id: BOB.parse().unwrap(),
        name: None,
        online: false,
        address: None,
        last_seen,
        online_since: None,
        last_end: Some(SessionEnd::SignedOut),
        images: vec![],
        key: None,
    }
}

fn grant(views_left: Allowance) -> Grant {
    Grant {
        image: ImageNo(4),
        path: format!("{ALICE}/sea").parse().unwrap(),
        owner_name: Some("alice".parse().unwrap()),
        viewer: BOB.parse().unwrap(),
        viewer_name: Some("bob".parse().unwrap()),
        views_left,
        views_used: 1,
        expires_at: None,
        revoked: false,
        revision: Revision(5),
        split: SplitId::from([1; 16]),
        sealed: sealed(),
        check: None,
        allow_offline: false,
        returned: 0,
        offer: false,
    }
}

fn asked(state: RequestState) -> Request {
    Request {
        request: 12,
        image: ImageNo(4),
        path: format!("{ALICE}/sea").parse().unwrap(),
        owner_name: Some("alice".parse().unwrap()),
        from: BOB.parse().unwrap(),
        from_name: Some("bob".parse().unwrap()),
        views: 3,
        state,
        note: Some("for the \u{1b}[2Jcalendar".into()),
        reason: (state == RequestState::Denied).then(|| "not now".into()),
        created_at: now().before(Duration::from_secs(7200)),
        decided_at: (state != RequestState::Pending).then(now),
        revision: 2,
        offline: false,
    }
}

fn status(state: SessionState) -> Status {
    let known = state != SessionState::Unregistered;
    let link = format!("dos://{}@example.org:5001?invite=Ab3", dos_protocol::PublicKey::from([9; 32]));
    Status {
        profile: "default".into(),
        state,
        id: known.then(|| ALICE.parse().unwrap()),
        name: known.then(|| "alice".parse().unwrap()),
        server: known.then(|| link.parse().unwrap()),
        listen: "[::]:41234".parse().unwrap(),
        address: known.then(|| "192.0.2.7:41234".parse().unwrap()),
        since: now().before(Duration::from_secs(300)),
        trouble: (!known).then(|| "connection refused".into()),
        updates: 2,
        requests: 1,
        messages: 0,
        unknown_updates: 0,
        version: "0.1.0".into(),
        state_dir: "/home/a/.local/state/dos/peers/default".into(),
        key_changes: 0,
        refused_messages: 0,
        offers: 0,
        news: 0,
        password_again: false,
        notes: Vec::new(),
    }
}

fn presence(online: bool, end: Option<SessionEnd>) -> EventKind {
    let address = online.then(|| "192.0.2.7:4000".parse().unwrap());
    let name = Some("alice".parse().unwrap());
    EventKind::Presence(Presence { id: ALICE.parse().unwrap(), name, online, address, at: now(), end })
}

fn events() -> Vec<Event> {
    let revoked = Grant { revoked: true, ..grant(Allowance::Views(2)) };
    let path = || format!("{ALICE}/sea").parse().unwrap();
    let after = |kind| Grant {
        returned: if kind == ViewedKind::Checkin { 3 } else { 0 },
        ..grant(Allowance::Views(1))
    };
    let viewed = |views, kind| EventKind::Viewed { views, kind, grant: Box::new(after(kind)) };
    let changed = |change, was| {
        let owner_name = "alice".parse().ok();
        EventKind::Image(Box::new(ImageChange { path: path(), owner_name, change, was }))
    };
    let notice = Notice { kind: NoticeKind::Shutdown, text: "back\nsoon".into() };
    let all = vec![
        EventKind::Session(SessionState::Online),
        EventKind::Grant(Box::new(grant(Allowance::Unlimited))),
        EventKind::Grant(Box::new(revoked)),
        viewed(1, ViewedKind::View),
        viewed(2, ViewedKind::Checkout),
        viewed(1, ViewedKind::Checkin),
        EventKind::Removed(path()),
        changed(ImageChanged::Added, None),
        changed(ImageChanged::Replaced, None),
        changed(ImageChanged::Renamed, Some("dawn".parse().unwrap())),
        changed(ImageChanged::Removed, None),
        EventKind::Named {
            id: ALICE.parse().unwrap(),
            name: "alicia".parse().unwrap(),
            was: "alice".parse().ok(),
        },
        EventKind::Left { id: ALICE.parse().unwrap(), name: "alice".parse().ok() },
        EventKind::Fetched(path()),
        EventKind::Request(Box::new(asked(RequestState::Pending))),
        EventKind::Request(Box::new(Request { offline: true, ..asked(RequestState::Pending) })),
        EventKind::Request(Box::new(asked(RequestState::Cancelled))),
        EventKind::Decision(Box::new(asked(RequestState::Approved))),
        EventKind::Decision(Box::new(asked(RequestState::Denied))),
        EventKind::Notice(notice),
        presence(true, None),
        presence(true, Some(SessionEnd::TakenOver)),
        presence(false, Some(SessionEnd::SignedOut)),
        presence(false, Some(SessionEnd::Closed)),
        presence(false, Some(SessionEnd::Dropped)),
        presence(false, Some(SessionEnd::Kicked)),
        presence(false, Some(SessionEnd::Shutdown)),
        presence(false, Some(SessionEnd::Idle)),
    ];
    all.into_iter().map(|what| Event::new(now(), what)).collect()
}

fn listing() -> Vec<PeerInfo> {
    let images = vec![
        image("sea", None),
        image("Sea at dawn (2)", access(AccessState::Granted, 2, true)),
        image("dunes", access(AccessState::None, 0, false)),
        image("moor", access(AccessState::UsedUp, 0, false)),
    ];
    vec![alice(images), bob()]
}

fn next() -> Token {
    Token(Cursor { peer: BOB.parse().unwrap(), image: None })
}

#[test]
fn documents_have_the_documented_keys() {
    let grants = [grant(Allowance::Views(2)), grant(Allowance::Unlimited)];
    let requests = [asked(RequestState::Pending), asked(RequestState::Denied)];
    let path = grants[0].path.clone();
    let id = path.owner;
    let server = json::link(&status(SessionState::Online).server.unwrap());
    let instance = json::Instance {
        profile: "bob".into(),
        running: true,
        state: Some(SessionState::Online),
        id: Some(id),
        name: None,
    };
    let preview = image("sea", None).preview;
    let peers = listing();
    let way = Way::Direct("192.0.2.7:4000".parse().unwrap());
    let transfer = json::Transfer { step: "fetching", done: 5, total: Some(9), rate: 2, left_ms: Some(2000) };
    let documents = [
        json::document(&json::Registered { id, name: None, server, joined: None }),
        json::document(&json::Session { id, state: SessionState::Online, replayed: Some(3) }),
        json::document(&json::Session { id, state: SessionState::Offline, replayed: None }),
        json::document(&json::Status::from(&status(SessionState::Online))),
        json::document(&json::Status::from(&status(SessionState::Unregistered))),
        json::document(&json::Page::new(&peers, Some(next()))),
        json::document(&json::Page::new(&[], None)),
        json::document(&json::Peer::alone(&peers[0])),
        json::document(&json::Images {
            images: vec![(&peers[0].images[0]).into()],
            warnings: Vec::new(),
            unchanged: None,
            skipped: None,
        }),
        json::document(&json::Removed { image: &path }),
        json::document(&json::Preview { image: &path, info: preview, signature: None, as_of: None }),
        json::document(&json::Grant::new(&grants[0], now())),
        json::document(&json::Shares::new(&grants, &[], now())),
        json::document(&json::Request::from(&requests[0])),
        json::document(&json::Requests::new(&requests, &[], &[])),
        json::document(&json::Fetched {
            image: &path,
            bytes: 5,
            way: Some(way).into(),
            round_trip_ms: Some(0.412),
        }),
        json::document(&json::Pong {
            id,
            name: None,
            way: Some(way).into(),
            round_trip_ms: 0.412,
            how: Some("punched"),
        }),
        json::document(&json::Viewed {
            image: &path,
            bytes: 5,
            views_left: Allowance::Unlimited,
            image_id: ImageId::from([7; 32]),
        }),
        json::document(&json::Held { image: &path, held: 2, views_left: Allowance::Views(0) }),
        json::document(&json::Instances { instances: &[instance] }),
        json::document(&json::Progress { progress: transfer }),
    ];
    insta::assert_snapshot!(documents.map(Result::unwrap).concat());
}

#[test]
fn events_have_the_documented_keys() {
    let lines =
        events().iter().map(|event| json::document(&json::Event::from(event)).unwrap()).collect::<String>();
    assert_eq!(lines.lines().count(), events().len());
    insta::assert_snapshot!(lines);
}

#[test]
fn people_see_events_one_a_line() {
    insta::assert_snapshot!(text(|text| events().iter().for_each(|event| human::event(text, event))));
}

#[test]
fn people_see_how_things_stand() {
    let online = text(|text| human::status(text, &status(SessionState::Online)));
    let unregistered = text(|text| human::status(text, &status(SessionState::Unregistered)));
    let newer = Status { unknown_updates: 3, ..status(SessionState::Online) };
    let newer = text(|text| human::status(text, &newer));
    insta::assert_snapshot!(online + &unregistered + &newer);
}

#[test]
fn people_see_peers_and_images_aligned() {
    let page = text(|text| human::page(text, &listing(), Some(&next())));
    let one = text(|text| human::resolved(text, &bob()));
    let none = text(|text| human::page(text, &[], None));
    insta::assert_snapshot!(page + &one + &none);
}

#[test]
fn below_a_picture_in_a_listing_stands_what_it_is() {
    let peers = listing();
    let lines = text(|text| {
        peers[0].images.iter().for_each(|image| human::listed(text, &peers[0], image));
        human::end_of_page(text, &peers, Some(&next()));
    });
    let none = text(|text| human::end_of_page(text, &[bob()], None));
    insta::assert_snapshot!(lines + &none);
}

#[test]
fn people_see_what_became_of_a_right() {
    let ends = |expires_at| Grant { expires_at: Some(expires_at), ..grant(Allowance::Views(2)) };
    let all = [
        grant(Allowance::Views(2)),
        grant(Allowance::Views(1)),
        Grant { allow_offline: true, returned: 2, ..grant(Allowance::Unlimited) },
        grant(Allowance::Views(0)),
        ends(now().after(Duration::from_secs(90))),
        ends(now()),
        Grant { revoked: true, viewer_name: None, ..grant(Allowance::Views(2)) },
    ];
    let shared = text(|text| all.iter().for_each(|grant| human::shared(text, grant)));
    let both = text(|text| human::shares(text, Some(&all), Some(&all[..1])));
    let none = text(|text| human::shares(text, Some(&[]), None));
    insta::assert_snapshot!(shared + &both + &none);
}

#[test]
fn people_see_requests_disarmed() {
    let all = [RequestState::Pending, RequestState::Approved, RequestState::Denied, RequestState::Cancelled]
        .map(asked);
    let lines = text(|text| all.iter().for_each(|asked| human::request(text, asked, false)));
    let updated = text(|text| human::request(text, &all[0], true));
    let table = text(|text| human::requests(text, (Some(&all), None), &[], true));
    let none = text(|text| human::requests(text, (Some(&[]), Some(&[])), &[], false));
    let shown = lines + &updated + &table + &none;
    assert!(!shown.contains('\u{1b}'));
    insta::assert_snapshot!(shown);
}

#[test]
fn people_see_what_was_added_and_what_runs() {
    let added = text(|text| human::image(text, "added", &image("sea", None)));
    let stopped = json::Instance { profile: "old".into(), running: false, state: None, id: None, name: None };
    let table = text(|text| human::instances(text, &[stopped]));
    let none = text(|text| human::instances(text, &[]));
    insta::assert_snapshot!(added + &table + &none);
}

#[test]
fn errors_have_a_cause_and_a_hint_in_both_forms() {
    let mut denied = WireError::new(Code::Denied, "no views of alice/sea\u{7} are left")
        .because(Reason::UsedUp)
        .caused_by("2 of 2 were used")
        .hint("dosctl request alice/sea");
    denied.retry_after_ms = Some(100);
    let plain = WireError::new(Code::NotFound, "no such peer \"carol\"");
    let human = [error_text(&denied, false), error_text(&plain, false)].concat();
    let both = [json::error(std::slice::from_ref(&plain)), json::error(&[denied, plain])].concat();
    insta::assert_snapshot!(human + &both);
}

#[test]
fn colour_is_only_where_it_is_wanted() {
    let peers = listing();
    let mut plain = Text::new(false, now());
    human::page(&mut plain, &peers, None);
    assert!(!plain.out.contains('\u{1b}'));
    let mut coloured = Text::new(true, now());
    human::page(&mut coloured, &peers, None);
    assert!(coloured.out.starts_with("\u{1b}[1mPEER"));
    assert!(error_text(&WireError::new(Code::Internal, "x"), true).starts_with("\u{1b}[1;31merror:"));
}

#[test]
fn people_see_what_is_the_offer_of_a_stranger() {
    let offer = Grant { offer: true, ..grant(Allowance::Views(2)) };
    let ended = Grant { views_left: Allowance::Views(0), ..offer.clone() };
    let granted = access(AccessState::Granted, 2, false).map(|access| Access { offer: true, ..access });
    let event = Event::new(now(), EventKind::Grant(Box::new(offer.clone())));
    let shown = text(|text| {
        human::shares(text, None, Some(&[offer, ended]));
        human::listed(text, &alice(Vec::new()), &image("sea", granted));
        human::event(text, &event);
    });
    assert_eq!(
        shown,
        "IMAGE      VIEWER  LEFT  USED  OFFLINE  EXPIRES  STATE\n\
         alice/sea  bob        2     1  no       never    offer\n\
         alice/sea  bob        0     1  no       never    used up\n\
         alice/sea  6000x4000  7.10 MB  offer: 2 views left\n\n\
         2023-11-14T22:13:20Z  grant     bob may view alice/sea 2 more times: an offer of a stranger\n\
         --- notes\n\
         an offer is a stranger's: nothing is fetched before you `view` or `fetch` it, or `trust` the peer\n"
    );
}

#[test]
fn much_of_the_same_is_one_line_of_news_and_an_answer_says_what_its_grant_says() {
    let mut all = events();
    for number in 0..5u32 {
        let path = format!("{ALICE}/sea-{number}").parse().unwrap();
        let grant = Grant { path, ..grant(Allowance::Views(3)) };
        all.push(Event::new(now().after(Duration::from_secs(60)), EventKind::Grant(Box::new(grant))));
    }
    let seen = all.iter().map(|one| Event { seen: Some(true), ..one.clone() }).take(3);
    let seen: Vec<Event> = seen.chain(all.iter().skip(3).cloned()).collect();
    let shown = text(|text| human::news(text, &all, false)) + &text(|text| human::news(text, &seen, true));
    let none = text(|text| human::news(text, &[], false)) + &text(|text| human::news(text, &[], true));
    let document = json::document(&json::News::from(&seen[2..4])).unwrap();
    insta::assert_snapshot!(shown + &none + &document);
}
