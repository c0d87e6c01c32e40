//! The bytes of what is stored are a promise: those of this version, and those of the last release, which had no version byte.

use dos_protocol::{
    ImageId, ImageNo, ImagePath, PeerId, Revision, SplitId, Timestamp,
    control::{ImageChange, ImageChanged},
    directory::{Preview, Publish, Request, RequestState, ViewedKind},
    model::{Allowance, Format, Grant, ImageInfo, Original, PreviewInfo},
};

use super::*;

fn alice() -> PeerId {
    "7xKqPm2R".parse().unwrap()
}

/// All, as the protocol names them.
fn formats() -> impl Iterator<Item = Format> {
    let named = dos_preview::Format::ALL.into_iter().map(|format| format.as_str().parse().unwrap());
    named.chain([Format::Unknown])
}

fn bob() -> PeerId {
    "8yLrQn3S".parse().unwrap()
}

fn copy() -> SealedCopy {
    SealedCopy { hash: SealedHash::from([2; 32]), bytes: 1 << 33 }
}

fn path() -> ImagePath {
    ImagePath { owner: alice(), name: "sea".parse().unwrap() }
}

fn grant() -> Grant {
    Grant {
        image: ImageNo(7),
        path: path(),
        owner_name: Some("alice".parse().unwrap()),
        viewer: bob(),
        viewer_name: None,
        views_left: Allowance::Views(3),
        views_used: 2,
        expires_at: Some(Timestamp(1_700_000_000_000)),
        revoked: false,
        revision: Revision(5),
        split: SplitId::from([1; 16]),
        sealed: copy(),
        check: None,
        allow_offline: false,
        returned: 0,
        offer: false,
    }
}

fn request() -> Request {
    Request {
        request: 9,
        image: ImageNo(7),
        path: path(),
        owner_name: None,
        from: bob(),
        from_name: Some("bob".parse().unwrap()),
        views: 2,
        state: RequestState::Denied,
        note: Some("please".into()),
        reason: Some("no".into()),
        created_at: Timestamp(1_700_000_000_000),
        decided_at: Some(Timestamp(1_700_000_000_001)),
        revision: 4,
        offline: false,
    }
}

fn original() -> Original {
    let (image_id, format) = (ImageId::from([3; 32]), Format::WebP);
    Original { image_id, format, width: 400, height: 300, bytes: 90_000 }
}

fn image() -> ImageInfo {
    ImageInfo {
        no: ImageNo(7),
        owner: alice(),
        name: "sea".parse().unwrap(),
        original: original(),
        sealed: copy(),
        preview: PreviewInfo { format: Format::Jpeg, width: 256, height: 192, bytes: 4_000 },
        access: None,
        record: None,
        signature: None,
        visibility: dos_protocol::Visibility::Listed,
        added_at: None,
    }
}

fn publication() -> Publish {
    let preview = Preview { format: Format::Jpeg, width: 256, height: 192, data: vec![0xff, 0xd8] };
    Publish {
        name: "sea".parse().unwrap(),
        original: original(),
        sealed: copy(),
        preview,
        replace: true,
        record: None,
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn bytes(hex: &str) -> Vec<u8> {
    (0..hex.len()).step_by(2).map(|at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap()).collect()
}

/// Checks both forms: what is written, and what the last release wrote.
fn check<T: Stored + PartialEq + std::fmt::Debug>(value: &T, golden: &str, released: &str) {
    let (golden, released) = (golden.trim(), released.trim());
    assert_eq!(hex(&encode(value).unwrap()), golden, "{}", T::WHAT);
    assert_eq!(decode::<T>(&bytes(golden)).unwrap(), *value);
    assert_eq!(decode::<T>(&bytes(released)).unwrap(), *value, "as the last release wrote it");
}

#[test]
fn golden_bytes_of_everything_stored() {
    check(&grant(), include_str!("golden/grant.hex"), include_str!("golden/grant-0.hex"));
    check(&request(), include_str!("golden/request.hex"), include_str!("golden/request-0.hex"));
    check(&image(), include_str!("golden/image.hex"), include_str!("golden/image-0.hex"));
    check(&publication(), include_str!("golden/publication.hex"), include_str!("golden/publication-0.hex"));
}

#[test]
fn golden_bytes_of_what_was_added() {
    let fuller = Grant { check: Some([4; 32].into()), allow_offline: true, returned: 2, ..grant() };
    let (golden, asked) =
        (include_str!("golden/grant-fuller.hex"), include_str!("golden/request-fuller.hex"));
    assert_eq!(hex(&encode(&fuller).unwrap()), golden.trim());
    assert_eq!(decode::<Grant>(&bytes(golden.trim())).unwrap(), fuller);
    let request = Request { offline: true, ..request() };
    assert_eq!(hex(&encode(&request).unwrap()), asked.trim());
    assert_eq!(decode::<Request>(&bytes(asked.trim())).unwrap(), request);
}

#[test]
fn values_that_are_absent_or_at_their_bounds_come_back() {
    for grant in [
        Grant { views_left: Allowance::Unlimited, expires_at: None, owner_name: None, ..grant() },
        Grant { revoked: true, views_used: u64::MAX, revision: Revision(u64::MAX), ..grant() },
        Grant { views_left: Allowance::Views(0), expires_at: Some(Timestamp(i64::MIN)), ..grant() },
        Grant { viewer_name: Some("bob".parse().unwrap()), ..grant() },
        Grant { check: Some([7; 32].into()), allow_offline: true, returned: u64::MAX, ..grant() },
    ] {
        assert_eq!(decode::<Grant>(&encode(&grant).unwrap()).unwrap(), grant);
    }
    for state in
        [RequestState::Pending, RequestState::Approved, RequestState::Denied, RequestState::Cancelled]
    {
        let offline = state == RequestState::Approved;
        let request = Request {
            state,
            note: None,
            reason: None,
            decided_at: None,
            from_name: None,
            offline,
            ..request()
        };
        assert_eq!(decode::<Request>(&encode(&request).unwrap()).unwrap(), request);
    }
    for format in formats() {
        let image = ImageInfo { original: Original { format, ..original() }, ..image() };
        assert_eq!(decode::<ImageInfo>(&encode(&image).unwrap()).unwrap(), image);
    }
}

#[test]
fn what_is_damaged_or_of_a_later_version_is_an_error() {
    let whole = encode(&grant()).unwrap();
    let later = [&[2], &whole[1..]].concat();
    let longer = [&whole[..], &[0]].concat();
    let text = [&[1], &b"\x63sea"[..]].concat();
    for bad in [&[][..], &[1], &whole[..whole.len() - 1], &later, &longer, &text, &[0x9f], &[0xc0]] {
        assert!(matches!(decode::<Grant>(bad), Err(Error::Damaged("grant"))), "{}", hex(bad));
    }
    assert!(matches!(decode::<Request>(&whole), Err(Error::Damaged("request"))));
}

#[test]
fn the_words_of_columns_are_read_as_they_are_written() {
    use dos_protocol::directory::Delivery;
    for (state, text) in [
        (RequestState::Pending, "pending"),
        (RequestState::Approved, "approved"),
        (RequestState::Denied, "denied"),
    ] {
        assert_eq!((contact_state_text(state), contact_state(text).unwrap()), (text, state));
    }
    for (state, text) in [(Delivery::Delivered, "delivered"), (Delivery::Queued, "queued")] {
        assert_eq!((delivery_text(state), delivery(text).unwrap()), (text, state));
    }
    assert!(contact_state("asked").is_err() && delivery("lost").is_err());
}

#[test]
fn news_are_read_as_they_were_stored() {
    let image = path();
    let [owner, viewed] = [grant(), grant()].map(Box::new);
    let changed = |change, was| {
        Item::Image(Box::new(ImageChange { path: path(), owner_name: grant().owner_name, change, was }))
    };
    let items = [
        Item::Grant(owner, true),
        Item::Viewed { views: 2, kind: ViewedKind::GivenUp, grant: viewed },
        Item::Removed(image.clone()),
        Item::Renamed { path: image, was: "dawn".parse().unwrap(), owner_name: grant().owner_name },
        changed(ImageChanged::Added, None),
        changed(ImageChanged::Replaced, None),
        changed(ImageChanged::Renamed, Some("dawn".parse().unwrap())),
        changed(ImageChanged::Removed, None),
        Item::Named { id: bob(), name: "bobby".parse().unwrap(), was: request().from_name },
        Item::Left { id: bob(), name: None },
        Item::Request(Box::new(request())),
        Item::Decision(Box::new(request())),
        Item::Notice("tea".into()),
        Item::Message(7),
        Item::Contact(8),
        Item::KeyChange(bob()),
        Item::Invite([9; 16].into(), true),
    ];
    for item in items {
        assert_eq!(decode::<Item>(&encode(&item).unwrap()).unwrap(), item);
    }
    // The bytes are a promise.
    let stored: String =
        encode(&Item::Message(7)).unwrap().iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!(stored, "01a2646b696e64676d657373616765666e756d62657207");
}
