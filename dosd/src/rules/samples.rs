//! Peers, an image and a grant that the tests of the rules begin with.

use dos_protocol::{
    Allowance, ImageNo, PeerId, Timestamp,
    directory::KeyShare,
    model::{Format, ImageInfo, Original, PreviewInfo, SealedCopy},
};

use super::{
    grants::{GrantRecord, Scope},
    names::PeerRecord,
};

pub(crate) const NOW: Timestamp = Timestamp(1_000_000);

fn peer(number: u64) -> PeerId {
    PeerId::from_number(PeerId::COUNT / 3 + number).unwrap()
}

/// Owns the image.
pub(crate) fn alice() -> PeerId {
    peer(1)
}

/// Views it.
pub(crate) fn bob() -> PeerId {
    peer(2)
}

pub(crate) fn carol() -> PeerId {
    peer(3)
}

pub(crate) fn image() -> ImageInfo {
    ImageInfo {
        no: ImageNo(7),
        owner: alice(),
        name: "sea".parse().unwrap(),
        original: Original {
            image_id: [1; 32].into(),
            format: Format::Jpeg,
            width: 4,
            height: 3,
            bytes: 100,
        },
        sealed: SealedCopy { hash: [2; 32].into(), bytes: 164 },
        preview: PreviewInfo { format: Format::Jpeg, width: 2, height: 1, bytes: 10 },
        access: None,
        record: None,
        signature: None,
        visibility: dos_protocol::Visibility::Listed,
        added_at: None,
    }
}

pub(crate) fn scope() -> Scope {
    Scope {
        image: image().into(),
        owner_name: Some("alice".parse().unwrap()),
        viewer: bob(),
        viewer_name: Some("bob".parse().unwrap()),
    }
}

pub(crate) fn key(number: u8) -> KeyShare {
    KeyShare { split: [number; 16].into(), share: [number; 32], check: Some([number + 1; 32].into()) }
}

/// Five views left of eight, two of them returned once, without an end; checkouts are allowed.
pub(crate) fn grant() -> GrantRecord {
    GrantRecord {
        split: [3; 16].into(),
        share: Some([4; 32]),
        views_left: Allowance::Views(5),
        views_used: 3,
        expires_at: None,
        revision: 9,
        check: Some([5; 32].into()),
        allow_offline: true,
        returned: 2,
        granted: Some(8),
    }
}

/// Bob, as the store knows him.
pub(crate) fn record() -> PeerRecord {
    PeerRecord {
        id: bob(),
        key: [9; 32].into(),
        name: Some("bob".parse().unwrap()),
        last_seen: Timestamp(5),
        last_end: None,
        sealing: None,
        password_again: false,
    }
}
