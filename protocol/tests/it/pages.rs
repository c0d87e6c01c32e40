//! Pages of listings fit a frame, whatever their entries say.

use dos_protocol::{
    Allowance, ImageNo, PeerId, Timestamp, Visibility,
    directory::{Answer, Cursor, FromDirectory, Page},
    frame,
    limits::{DESCRIPTION_BYTES_MAX, FRAME_BYTES_MAX, IMAGE_NAME_BYTES_MAX, PAGE_MAX, THUMBHASH_BYTES_MAX},
    model::{
        Access, AccessState, Format, ImageInfo, Original, PeerInfo, PreviewInfo, SealedCopy, SessionEnd,
    },
    record::{Album, Described, ImageRecord, Taken, Thumb},
};

/// Every number in it is as long as it can be.
fn largest(number: u64) -> PeerInfo {
    let owner = PeerId::from_number(PeerId::COUNT / 3 + number).unwrap();
    let signature = [255; 64].into();
    let record = ImageRecord {
        revision: u64::MAX,
        preview_hash: [255; 32],
        signature,
        album: Some(Album { name: "x".repeat(IMAGE_NAME_BYTES_MAX).parse().unwrap(), signature }),
        description: Some(Described { text: "x".repeat(DESCRIPTION_BYTES_MAX).parse().unwrap(), signature }),
        thumbhash: Some(Thumb { hash: vec![255; THUMBHASH_BYTES_MAX].try_into().unwrap(), signature }),
        taken: Some(Taken { at: "2024-05-06T07:08:09+02:00".parse().unwrap(), signature }),
    };
    let image = ImageInfo {
        no: ImageNo(u64::MAX),
        owner,
        name: "x".repeat(IMAGE_NAME_BYTES_MAX).parse().unwrap(),
        original: Original {
            image_id: [255; 32].into(),
            format: Format::Jpeg,
            width: u32::MAX,
            height: u32::MAX,
            bytes: u64::MAX,
        },
        sealed: SealedCopy { hash: [255; 32].into(), bytes: u64::MAX },
        preview: PreviewInfo { format: Format::Jpeg, width: 512, height: 512, bytes: u32::MAX },
        access: Some(Access {
            state: AccessState::Requested,
            views_left: Allowance::Views(u32::MAX),
            expires_at: Some(Timestamp(i64::MAX)),
            offer: false,
        }),
        record: Some(record),
        signature: None,
        visibility: Visibility::Private,
        added_at: Some(Timestamp(i64::MAX)),
    };
    PeerInfo {
        id: owner,
        name: Some("x".repeat(32).parse().unwrap()),
        online: true,
        address: "[2001:db8:ffff:ffff:ffff:ffff:ffff:ffff]:65535".parse().ok(),
        last_seen: Some(Timestamp(i64::MAX)),
        online_since: Some(Timestamp(i64::MAX)),
        last_end: Some(SessionEnd::TakenOver),
        images: vec![image],
        key: Some([255; 32].into()),
    }
}

#[test]
fn a_page_of_the_largest_entries_fits_a_frame() {
    let peers: Vec<_> = (0..u64::from(PAGE_MAX)).map(largest).collect();
    let last = peers.last().unwrap();
    let next = Some(Cursor { peer: last.id, image: Some(last.images[0].name.clone()) });
    let answer = Answer::Page(Page { peers, next });
    let bytes = frame::to_frame(&FromDirectory::Answer { id: u32::MAX, answer }).unwrap().len();
    assert!(bytes < FRAME_BYTES_MAX * 9 / 10, "{bytes}");
}
