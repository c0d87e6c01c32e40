//! States for the tables of this folder's tests.

use dos_protocol::{
    ImageNo, ImagePath, PeerId, Revision, SealedHash, SplitId, Timestamp,
    directory::{Request, RequestState},
    model::{Allowance, Grant, SealedCopy},
};

pub(super) fn alice() -> PeerId {
    "7xKqPm2R".parse().unwrap()
}

pub(super) fn bob() -> PeerId {
    "8yLrQn3S".parse().unwrap()
}

pub(super) fn hash(byte: u8) -> SealedHash {
    SealedHash::from([byte; 32])
}

/// Bob's grant to image 1 of Alice, whose sealed copy is 1.
pub(crate) fn grant(revision: u64) -> Grant {
    Grant {
        image: ImageNo(1),
        path: ImagePath { owner: alice(), name: "sea".parse().unwrap() },
        owner_name: Some("alice".parse().unwrap()),
        viewer: bob(),
        viewer_name: None,
        views_left: Allowance::Views(3),
        views_used: 0,
        expires_at: None,
        revoked: false,
        revision: Revision(revision),
        split: SplitId::from([1; 16]),
        sealed: SealedCopy { hash: hash(1), bytes: 100 },
        check: None,
        allow_offline: false,
        returned: 0,
        offer: false,
    }
}

/// Bob's request for image 1 of Alice.
pub(super) fn request(revision: u64, state: RequestState) -> Request {
    Request {
        request: 5,
        image: ImageNo(1),
        path: grant(1).path,
        owner_name: None,
        from: bob(),
        from_name: None,
        views: 2,
        state,
        note: None,
        reason: None,
        created_at: Timestamp(1),
        decided_at: None,
        revision,
        offline: false,
    }
}
