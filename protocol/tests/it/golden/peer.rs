//! Two peers.

use dos_protocol::{
    Code, ImageNo, WireError,
    peer::{Copy, DirectMessage, Fetch, FromPeer, Signed, ToPeer},
};

use super::{
    Samples,
    model::{at, image, message_id, record, sealed, split},
};

#[test]
fn to_a_peer() {
    let fetch = Fetch {
        image: ImageNo(7),
        sealed: sealed().hash,
        split: split(),
        from: 3,
        skip: 1000,
        upto: Some(1 << 20),
    };
    let messages = vec![
        ToPeer::Fetch(fetch.clone()),
        ToPeer::Fetch(Fetch { from: 0, skip: 0, upto: None, ..fetch }),
        ToPeer::More { upto: 300 },
        ToPeer::Message(DirectMessage { message: message_id(), sent_at: at(1), text: "psst".into() }),
        ToPeer::Ping,
    ];
    let samples = Samples { messages };
    samples.have_every::<ToPeer>(&[]);
    insta::assert_snapshot!(samples.text());
}

#[test]
fn from_a_peer() {
    let signed = Signed { image: (&image()).into(), record: record() };
    let messages = vec![
        FromPeer::Copy(Copy { bytes: 164, blocks: 1, share: [7; 32], image: None }),
        FromPeer::Copy(Copy { bytes: 164, blocks: 1, share: [7; 32], image: Some(Box::new(signed)) }),
        FromPeer::Stored,
        FromPeer::Pong,
        FromPeer::Refused(WireError::new(Code::Stale, "superseded")),
    ];
    let samples = Samples { messages };
    samples.have_every::<FromPeer>(&[]);
    insta::assert_snapshot!(samples.text());
}
