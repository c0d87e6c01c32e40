//! Things that messages are made of.

use dos_protocol::{
    Allowance, ImageNo, JoinLink, MessageId, PeerId, PeerName, Revision, SealingKey, Seq, SplitId, Timestamp,
    directory::{
        Attempt, DataState, InboxMessage, KeyShare, PeerState, Preview, Request, RequestState, SignIn,
    },
    model::{
        Access, AccessState, Format, Grant, ImageInfo, Original, PeerInfo, PreviewInfo, SealedCopy,
        SessionEnd, Visibility,
    },
    record::{Album, Described, ImageRecord, SignatureState, Taken, Thumb},
};

pub(super) fn alice() -> PeerId {
    "7xKqPm2R".parse().unwrap()
}

pub(super) fn bob() -> PeerId {
    "7xKqPm2S".parse().unwrap()
}

pub(super) fn name(text: &str) -> Option<PeerName> {
    Some(text.parse().unwrap())
}

pub(super) fn link() -> JoinLink {
    let key = dos_protocol::PublicKey::from([9; 32]);
    format!("dos://{key}@dos.example:5001").parse().unwrap()
}

pub(super) fn at(ms: i64) -> Timestamp {
    Timestamp(1_700_000_000_000 + ms)
}

pub(super) fn sealed() -> SealedCopy {
    SealedCopy { hash: [6; 32].into(), bytes: 164 }
}

pub(super) fn split() -> SplitId {
    SplitId::from([5; 16])
}

pub(super) fn key() -> KeyShare {
    KeyShare { split: split(), share: [7; 32], check: None }
}

/// With everything that may be missing.
pub(super) fn fuller_key() -> KeyShare {
    KeyShare { check: Some([4; 32].into()), ..key() }
}

/// With everything that may be missing.
pub(super) fn fuller_grant() -> Grant {
    Grant { check: Some([4; 32].into()), allow_offline: true, returned: 2, ..grant() }
}

/// As peerd tells dosctl of one.
pub(super) fn offer() -> Grant {
    Grant { offer: true, ..grant() }
}

pub(super) fn original() -> Original {
    Original { image_id: [8; 32].into(), format: Format::Jpeg, width: 4000, height: 3000, bytes: 90 }
}

pub(super) fn preview() -> Preview {
    Preview { format: Format::WebP, width: 4, height: 3, data: vec![1, 2, 3] }
}

pub(super) fn grant() -> Grant {
    Grant {
        image: ImageNo(7),
        path: "7xKqPm2R/sea".parse().unwrap(),
        owner_name: name("alice"),
        viewer: bob(),
        viewer_name: None,
        views_left: Allowance::Views(2),
        views_used: 3,
        expires_at: Some(at(5)),
        revoked: false,
        revision: Revision(4),
        split: split(),
        sealed: sealed(),
        check: None,
        allow_offline: false,
        returned: 0,
        offer: false,
    }
}

pub(super) fn request() -> Request {
    Request {
        request: 12,
        image: ImageNo(7),
        path: "7xKqPm2R/sea".parse().unwrap(),
        owner_name: name("alice"),
        from: bob(),
        from_name: name("bob"),
        views: 3,
        state: RequestState::Denied,
        note: Some("please".into()),
        reason: Some("not this one".into()),
        created_at: at(1),
        decided_at: Some(at(2)),
        revision: 2,
        offline: false,
    }
}

pub(super) fn record() -> ImageRecord {
    ImageRecord {
        revision: 1_700_000_000_000,
        preview_hash: [4; 32],
        signature: [5; 64].into(),
        album: None,
        description: None,
        thumbhash: None,
        taken: None,
    }
}

pub(super) fn record_in_album() -> ImageRecord {
    let album = Album { name: "holiday".parse().unwrap(), signature: [6; 64].into() };
    ImageRecord { album: Some(album), ..record() }
}

pub(super) fn record_with_description() -> ImageRecord {
    let described = Described { text: "A boat.".parse().unwrap(), signature: [7; 64].into() };
    ImageRecord { description: Some(described), ..record_in_album() }
}

/// As the newest release signs it: with the ThumbHash of the preview and the moment of capture.
pub(super) fn record_with_all() -> ImageRecord {
    let hash = vec![0x1f, 0xe6, 0x05, 0x12, 0x80, 0x77].try_into().unwrap();
    let taken = Taken { at: "2024-05-06T07:08:09+02:00".parse().unwrap(), signature: [9; 64].into() };
    let thumbhash = Some(Thumb { hash, signature: [8; 64].into() });
    ImageRecord { thumbhash, taken: Some(taken), ..record_with_description() }
}

pub(super) fn sealing_key() -> SealingKey {
    SealingKey { key: [6; 32], signature: [5; 64].into() }
}

pub(super) fn image() -> ImageInfo {
    ImageInfo {
        no: ImageNo(7),
        owner: alice(),
        name: "sea".parse().unwrap(),
        original: original(),
        sealed: sealed(),
        preview: PreviewInfo { format: Format::Png, width: 4, height: 3, bytes: 3 },
        access: Some(Access {
            state: AccessState::UsedUp,
            views_left: Allowance::Unlimited,
            expires_at: None,
            offer: false,
        }),
        record: Some(record()),
        signature: Some(SignatureState::Valid),
        visibility: Visibility::Listed,
        added_at: None,
    }
}

/// One of a format that the first release does not know, and of a size that no one knows.
pub(super) fn undecoded() -> ImageInfo {
    let original = Original { format: Format::Heic, width: 0, height: 0, ..original() };
    ImageInfo { original, ..image() }
}

pub(super) fn peer() -> PeerInfo {
    PeerInfo {
        id: alice(),
        name: name("alice"),
        online: false,
        address: Some("192.0.2.7:4000".parse().unwrap()),
        last_seen: Some(at(3)),
        online_since: None,
        last_end: Some(SessionEnd::Kicked),
        images: vec![image()],
        key: Some([9; 32].into()),
    }
}

pub(super) fn message_id() -> MessageId {
    MessageId::from([0x5a; 16])
}

pub(super) fn inbox_message() -> InboxMessage {
    InboxMessage {
        message: message_id(),
        from: bob(),
        from_name: name("bob"),
        sent_at: at(4),
        text: "hello".into(),
        from_key: Some([9; 32].into()),
        sealed: None,
        signature: Some([5; 64].into()),
    }
}

pub(super) fn sign_in() -> SignIn {
    SignIn {
        instance: dos_protocol::Instance(5),
        port: 4000,
        addresses: vec!["[2001:db8::7]:4000".parse().unwrap()],
        force: true,
        stored: Seq(300),
        sealing: Some(Box::new(sealing_key())),
        state: None,
        rendezvous: false,
    }
}

pub(super) fn peer_state() -> PeerState {
    let attempt = Attempt { number: 12, nonce: [2; 16].into() };
    PeerState { attempt, incarnation: Some([4; 16].into()), stored_at: Some(at(3)) }
}

pub(super) fn data_state() -> DataState {
    let incarnation = [4; 16].into();
    DataState { incarnation, renewed: true, restored: true, attempts: 12, proof: [6; 32].into() }
}
