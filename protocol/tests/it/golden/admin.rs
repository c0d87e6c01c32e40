//! The operator's commands and dosd.

use dos_protocol::{
    Code, WireError,
    admin::{
        AuditEntry, Ban, Checked, Closing, FromDosd, Invite, Invited, Node, NodeState, PingResult, Pinged,
        Pruned, Registered, Removed, Room, Shown, Stats, ToDosd, Whom,
    },
    model::SessionEnd,
};

use super::{
    Samples,
    model::{alice, at, bob, link, name},
};

#[test]
fn to_dosd() {
    let messages = vec![
        ToDosd::Link,
        ToDosd::CreateInvite { uses: 2, expires_ms: Some(60_000), code: None },
        ToDosd::Invites,
        ToDosd::RevokeInvite("abcd".into()),
        ToDosd::Peers { online: true },
        ToDosd::Ping { whom: Whom::All, count: 3 },
        ToDosd::Remove("bob".parse().unwrap()),
        ToDosd::Kick { whom: Whom::One("bob".parse().unwrap()), reason: Some("noise".into()) },
        ToDosd::Announce("new disk".into()),
        ToDosd::Shutdown { in_ms: Some(2_000), reason: None },
        ToDosd::Backup("/var/backups/dosd.db".into()),
        ToDosd::BackupAt(b"/var/backups/\xff.db".to_vec()),
        ToDosd::Check,
        ToDosd::Prune { peers_unseen_ms: Some(1), receipts_older_ms: None, dry: true },
        ToDosd::Stats,
        ToDosd::CreateInvite { uses: 1, expires_ms: None, code: Some("abcdefghijkmnopq".parse().unwrap()) },
        ToDosd::ClearPassword("bob".parse().unwrap()),
        ToDosd::Show("bob".parse().unwrap()),
        ToDosd::Ban { peer: "bob".parse().unwrap(), reason: Some("spam".into()) },
        ToDosd::Unban("bob".parse().unwrap()),
        ToDosd::Bans,
        ToDosd::Rename { peer: "bob".parse().unwrap(), name: "robert".parse().unwrap(), reason: None },
        ToDosd::TakeDown {
            owner: "bob".parse().unwrap(),
            name: "sea".parse().unwrap(),
            reason: Some("a complaint".into()),
        },
        ToDosd::Audit { limit: 50 },
        ToDosd::Nodes,
    ];
    let samples = Samples { messages };
    samples.have_every::<ToDosd>(&[]);
    insta::assert_snapshot!(samples.text());
}

fn stats() -> Stats {
    Stats {
        version: "0.1.0".into(),
        started_at: at(0),
        sessions: 1,
        peers: 2,
        images: 3,
        rights: 4,
        inbox_rows: 5,
        database_bytes: 6,
        commits: 7,
        operations: 8,
        failures: 9,
        views: 10,
        views_checked_out: 11,
        views_checked_in: 12,
        relayed_bytes: 13,
        queue_drops: 14,
        preview_bytes: 15,
        inbox_bytes: 16,
        used_bytes: 17,
        room_bytes: 18,
        room: Room::Low,
        room_limit: Some("disk_reserve_bytes".into()),
    }
}

fn lists() -> Vec<FromDosd> {
    let code = "abcdefghijkmnopq";
    let pinged = |result| Pinged { id: alice(), name: name("alice"), result };
    let registered = Registered {
        id: bob(),
        name: None,
        online: true,
        address: Some("192.0.2.7:4000".parse().unwrap()),
        last_seen: at(1),
        last_end: Some(SessionEnd::Closed),
        registered_at: at(0),
        inbox_rows: 4,
        online_since: Some(at(2)),
    };
    let invite =
        Invite { prefix: "7xKq".into(), uses: 2, uses_left: 1, created_at: at(0), expires_at: at(9) };
    vec![
        FromDosd::Link(link()),
        FromDosd::Invited(Invited {
            code: code.parse().unwrap(),
            link: link(),
            uses_left: 2,
            expires_at: at(9),
        }),
        FromDosd::Invites(vec![invite]),
        FromDosd::Peers(vec![registered]),
        FromDosd::Pinged(vec![
            pinged(PingResult::Answered { min_us: 80, avg_us: 90 }),
            pinged(PingResult::Timeout),
            pinged(PingResult::Offline),
        ]),
    ]
}

fn of_the_operator() -> Vec<FromDosd> {
    let peer = Registered {
        id: bob(),
        name: name("bob"),
        online: true,
        address: Some("192.0.2.7:4000".parse().unwrap()),
        last_seen: at(1),
        last_end: None,
        registered_at: at(0),
        inbox_rows: 4,
        online_since: Some(at(2)),
    };
    let shown = Shown {
        peer,
        key: [5; 32].into(),
        addresses: vec!["192.0.2.7:4000".parse().unwrap()],
        password: true,
        images: 1,
        preview_bytes: 2,
        row_bytes: 3,
        grants_given: 4,
        grants_received: 5,
        requests: 6,
        inbox_bytes: 7,
        sent_bytes: 8,
    };
    let ban =
        Ban { peer: bob(), name: name("bob"), key: [5; 32].into(), at: at(3), reason: Some("spam".into()) };
    let entry = AuditEntry {
        no: 1,
        at: at(3),
        user: 1000,
        command: "ban".into(),
        about: "bob (8yLrQn3S)".into(),
        reason: Some("spam".into()),
    };
    vec![
        FromDosd::Shown(Box::new(shown)),
        FromDosd::Unbanned(ban.clone()),
        FromDosd::Bans(vec![ban]),
        FromDosd::Renamed { peer: bob(), old: name("bob"), new: "robert".parse().unwrap() },
        FromDosd::TakenDown { owner: bob(), name: "sea".parse().unwrap(), grants: 2 },
        FromDosd::Audit(vec![entry]),
        FromDosd::Nodes(vec![Node {
            address: "a.example:5001".into(),
            cluster: Some("192.0.2.1:5003".into()),
            state: NodeState::Linked,
            peers: 2,
            since: at(3),
            version: "0.1.0".into(),
        }]),
    ]
}

#[test]
fn from_dosd() {
    let mut messages = lists();
    messages.extend([
        FromDosd::Kicked(1),
        FromDosd::Told(2),
        FromDosd::Closing(Closing { at: at(5), told: 2 }),
        FromDosd::Saved(4096),
        FromDosd::Checked(Checked { findings: vec!["a gap".into()], peers: 1, images: 2, grants: 3 }),
        FromDosd::Pruned(Pruned { peers: 1, images: 2, rights: 3, receipts: 4, invites: 5 }),
        FromDosd::Removed(Removed { id: alice(), name: name("alice"), images: 2, grants: 3 }),
        FromDosd::Stats(Box::new(stats())),
        FromDosd::Done,
        FromDosd::Failed(WireError::new(Code::Conflict, "it is there already")),
        FromDosd::PasswordCleared { peer: bob(), was_set: true },
    ]);
    messages.extend(of_the_operator());
    let samples = Samples { messages };
    samples.have_every::<FromDosd>(&[]);
    insta::assert_snapshot!(samples.text());
}
