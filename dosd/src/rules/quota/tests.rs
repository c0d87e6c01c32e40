//! Room at its bounds, fair shares of an inbox, and the levels of the disk.

use dos_protocol::{Code, Reason};

use super::*;

const QUOTAS: Quotas = Quotas {
    images: 3,
    preview_bytes: 100,
    row_bytes: 1_000,
    inbox_rows: 800,
    inbox_rows_per_sender: 90,
    inbox_bytes: 8_000_000,
    sent_bytes: 5_000_000,
    database_bytes: Some(8_000),
    disk_reserve: 1_000,
};

fn text(result: Result<(), WireError>) -> Option<Box<str>> {
    result.err().map(|error| {
        assert_eq!((error.code, error.reason), (Code::Denied, Some(Reason::Limit)));
        error.message
    })
}

fn letter(waiting: Waiting) -> Option<Box<str>> {
    text(check_room(waiting, Adding::Letter(1_000), &QUOTAS))
}

const ROWS: Option<&str> = Some("too much waits for this peer already (limit inbox_rows_max)");
const BYTES: Option<&str> = Some("too much waits for this peer already (limit inbox_bytes_max)");

#[test]
fn the_defaults_are_those_that_the_documents_name() {
    let expected = Quotas {
        images: 100_000,
        preview_bytes: 268_435_456,
        row_bytes: 134_217_728,
        inbox_rows: 100_000,
        inbox_rows_per_sender: 1_000,
        inbox_bytes: 67_108_864,
        sent_bytes: 67_108_864,
        database_bytes: None,
        disk_reserve: 1_073_741_824,
    };
    assert_eq!(Quotas::default(), expected);
}

/// Of the sender, in all, known; what is said.
#[test]
fn the_share_of_a_sender_shrinks_as_the_inbox_fills() {
    for (of_sender, all, is_known, expected) in [
        // A quarter of what is left of one half.
        (0, 0, false, None),
        (99, 0, false, None),
        (100, 0, false, ROWS),
        (49, 200, false, None),
        (50, 200, false, ROWS),
        (0, 396, false, None),
        (1, 396, false, ROWS),
        (0, 399, false, None),
        (0, 400, false, ROWS),
        // A half of what is left of all, and a few in any case.
        (399, 0, true, None),
        (400, 0, true, ROWS),
        (199, 400, true, None),
        (200, 400, true, ROWS),
        (15, 800, true, None),
        (15, u64::MAX, true, None),
        (16, 800, true, ROWS),
    ] {
        let waiting = Waiting { of_sender, all, is_known, ..Waiting::default() };
        assert_eq!(letter(waiting).as_deref(), expected, "{of_sender} of {all}, known {is_known}");
    }
}

#[test]
fn the_same_holds_for_bytes() {
    for (of_sender_bytes, all_bytes, is_known, expected) in [
        (999_000, 0, false, None),
        (999_001, 0, false, BYTES),
        (499_000, 2_000_000, false, None),
        (499_001, 2_000_000, false, BYTES),
        (0, 3_996_000, false, None),
        (0, 3_996_004, false, BYTES),
        (0, 8_000_000, false, BYTES),
        (3_999_000, 0, true, None),
        (3_999_001, 0, true, BYTES),
        (64_536, 8_000_000, true, None),
        (64_537, 8_000_000, true, BYTES),
    ] {
        let waiting = Waiting { of_sender_bytes, all_bytes, is_known, ..Waiting::default() };
        assert_eq!(
            letter(waiting).as_deref(),
            expected,
            "{of_sender_bytes} of {all_bytes}, known {is_known}"
        );
    }
    let rows = Waiting {
        of_sender: 16,
        of_sender_bytes: 1,
        all_bytes: 8_000_000,
        is_known: true,
        ..Waiting::default()
    };
    assert_eq!(letter(rows).as_deref(), BYTES, "few bytes in many rows are not few");
}

#[test]
fn messages_and_requests_have_a_number_of_their_own_and_grants_have_not() {
    let waiting = Waiting { letters: 90, ..Waiting::default() };
    let expected =
        "90 messages and requests of yours wait for this peer already (limit inbox_rows_per_sender)";
    assert_eq!(letter(waiting).as_deref(), Some(expected));
    assert_eq!(letter(Waiting { letters: 89, ..waiting }), None);
    assert_eq!(check_room(waiting, Adding::Grant, &QUOTAS), Ok(()));
    assert_eq!(check_room(waiting, Adding::Change, &QUOTAS), Ok(()));
}

#[test]
fn a_change_of_an_image_needs_little_room() {
    let full = Waiting { all: 800, all_bytes: 8_000_000, ..Waiting::default() };
    let change = |waiting| text(check_room(waiting, Adding::Change, &QUOTAS));
    assert_eq!(text(check_room(full, Adding::Grant, &QUOTAS)).as_deref(), ROWS);
    assert_eq!(change(Waiting { of_sender: 15, of_sender_bytes: 65_536, ..full }), None);
    assert_eq!(change(Waiting { of_sender: 16, ..full }).as_deref(), ROWS);
    assert_eq!(change(Waiting { of_sender_bytes: 65_537, ..full }).as_deref(), BYTES);
}

#[test]
fn a_sender_has_bounds_of_its_own() {
    let own = "too much waits for yourself: store and acknowledge that first (limit inbox_bytes_max)";
    let sent = "4999001 bytes of yours wait for other peers already (limit sent_bytes_per_peer)";
    for (own_bytes, sent_bytes, expected) in
        [(15_999_999, 4_999_000, None), (16_000_000, 0, Some(own)), (0, 4_999_001, Some(sent))]
    {
        let waiting = Waiting { own_bytes, sent_bytes, is_known: true, ..Waiting::default() };
        assert_eq!(letter(waiting).as_deref(), expected, "{own_bytes} {sent_bytes}");
    }
}

/// Each of `senders` sends until it is refused, in turns; what a newcomer can send then, and how full it is.
fn flooded(senders: usize, size: u64) -> (u64, u64) {
    let quotas = Quotas::default();
    let mut sent = vec![(0, 0); senders];
    let (mut all, mut all_bytes, mut moved) = (0, 0, true);
    let waiting = |of: (u64, u64), all, all_bytes| Waiting {
        letters: of.0,
        of_sender: of.0,
        of_sender_bytes: of.1,
        all,
        all_bytes,
        ..Waiting::default()
    };
    while moved {
        moved = false;
        for of in &mut sent {
            if check_room(waiting(*of, all, all_bytes), Adding::Letter(size), &quotas).is_ok() {
                (*of, moved) = ((of.0 + 1, of.1 + size), true);
                (all, all_bytes) = (all + 1, all_bytes + size);
            }
        }
    }
    let mut newcomer = (0, 0);
    while check_room(waiting(newcomer, all, all_bytes), Adding::Letter(1_000), &quotas).is_ok() {
        newcomer = (newcomer.0 + 1, newcomer.1 + 1_000);
        (all, all_bytes) = (all + 1, all_bytes + 1_000);
    }
    (newcomer.0, all_bytes)
}

#[test]
fn a_hundred_colluding_senders_leave_room_for_others() {
    for (senders, size, room) in [(100, 16_384, 100), (100, 300, 100), (1_000, 16_384, 10)] {
        let (newcomer, bytes) = flooded(senders, size);
        assert!(newcomer >= room, "{senders} senders leave a newcomer {newcomer} messages");
        assert!(bytes <= limits::INBOX_BYTES_MAX / 2, "{senders} senders fill {bytes} bytes");
    }
}

#[test]
fn a_peer_has_rows_up_to_its_quota() {
    let refused = "the images, grants and requests of a peer have at most 1000 bytes together (limit row_bytes_per_peer)";
    assert_eq!(text(check_rows(999, &QUOTAS)), None);
    assert_eq!(text(check_rows(1_000, &QUOTAS)).as_deref(), Some(refused));
}

#[test]
fn a_receipt_is_refused_only_far_beyond_the_room() {
    let refused = "far too many receipts wait for the owner of the image (limit inbox_bytes_max)";
    assert_eq!(text(check_receipt(31_999_999, &QUOTAS)), None);
    assert_eq!(text(check_receipt(32_000_000, &QUOTAS)).as_deref(), Some(refused));
}

#[test]
fn answers_are_forgotten_beyond_their_bytes() {
    assert!(!are_too_many(limits::OPERATION_BYTES_PER_PEER));
    assert!(are_too_many(limits::OPERATION_BYTES_PER_PEER + 1));
}

#[test]
fn the_level_follows_the_space() {
    use {Bound::*, Level::*};
    for (database, available, before, expected) in [
        (0, 2_000, Ample, Ample),
        (0, 1_999, Ample, Low(Disk)),
        (0, 1_000, Ample, Low(Disk)),
        (0, 999, Ample, Full(Disk)),
        (0, 1_124, Full(Disk), Full(Disk)),
        (0, 1_125, Full(Disk), Low(Disk)),
        (0, 1_124, Full(Database), Low(Disk)),
        (6_999, 9_000, Ample, Ample),
        (7_000, 9_000, Ample, Low(Database)),
        (7_999, 9_000, Low(Database), Low(Database)),
        (8_000, 9_000, Ample, Full(Database)),
        (7_750, 9_000, Full(Database), Full(Database)),
        (7_749, 9_000, Full(Database), Low(Database)),
        (8_000, 0, Ample, Full(Disk)),
    ] {
        let space = Space { database, available, disk: 1 << 40 };
        assert_eq!(level(space, &QUOTAS, before), expected, "{database} {available} {before:?}");
    }
    let space = Space { database: 1 << 50, available: 9_000, disk: 1 << 40 };
    assert_eq!(level(space, &Quotas { database_bytes: None, ..QUOTAS }, Ample), Ample);
    let small = Space { database: 0, available: 100, disk: 800 };
    assert_eq!((reserve(800, &QUOTAS), level(small, &QUOTAS, Ample)), (50, Ample));
}

#[test]
fn the_room_is_what_the_narrower_bound_leaves() {
    let room = |database, available| room(Space { database, available, disk: 1 << 40 }, &QUOTAS);
    assert_eq!((room(0, 9_500), room(0, 3_000), room(7_000, 9_000)), (8_000, 2_000, 1_000));
    assert_eq!((room(9_000, 9_000), room(0, 999)), (0, 0));
    let space = Space { database: 1 << 40, available: 3_000, disk: 1 << 40 };
    assert_eq!(super::room(space, &Quotas { database_bytes: None, ..QUOTAS }), 2_000);
}

#[test]
fn what_grows_is_refused_when_it_is_full_and_no_sooner() {
    for level in [Level::Ample, Level::Low(Bound::Disk), Level::Low(Bound::Database)] {
        assert_eq!(admit(level), Ok(()));
    }
    for (bound, said) in [
        (Bound::Disk, "the directory's disk is nearly full (limit disk_reserve_bytes)"),
        (Bound::Database, "the directory has no room for more (limit database_bytes_max)"),
    ] {
        let refused = admit(Level::Full(bound));
        assert_eq!(refused.as_ref().err().and_then(|error| error.retry_after_ms), Some(60_000));
        assert_eq!(text(refused).as_deref(), Some(said));
    }
}
