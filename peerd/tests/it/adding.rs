//! What can be added, and what its owner learns of it.

use std::fs;

use crate::{pictures, stage::Stage};

#[test]
fn a_damaged_image_is_added_as_far_as_it_goes_unless_that_is_not_wanted() {
    let stage = Stage::new();
    let (alice, bob) = (stage.peer("alice"), stage.peer("bob"));
    let whole = pictures::jpeg(1);
    let half = whole[..whole.len() / 2].to_vec();
    fs::write(alice.dir.join("half.jpg"), &half).unwrap();
    // Without its end marker, but whole.
    fs::write(alice.dir.join("whole.jpg"), &whole[..whole.len() - 2]).unwrap();
    let error = alice.error(8, &["add", "half.jpg", "--strict"]);
    assert_eq!(error["error"]["message"], "the file is damaged: a part of the picture is missing");
    let added = alice.json(&["add", "half.jpg", "whole.jpg"]);
    assert_eq!(added["images"].as_array().unwrap().len(), 2);
    assert_eq!(
        added["warnings"],
        serde_json::json!([
            { "image": "half", "message": "the file is damaged: a part of the picture is missing" }
        ])
    );
    let words = alice.ctl(&["add", "half.jpg", "--name", "again"]);
    assert_eq!(words.err, "warning: again: the file is damaged: a part of the picture is missing\n");
    alice.ctl(&["add", "whole.jpg", "--strict", "--name", "strictly"]).ok();
    alice.ctl(&["share", "half", "bob", "--views", "1"]).ok();
    assert!(bob.view("alice/half") == half, "the original is as it was");
}

#[test]
fn what_cannot_be_decoded_is_added_with_a_placeholder_and_what_is_no_picture_is_not() {
    let stage = Stage::new();
    let (alice, bob) = (stage.peer("alice"), stage.peer("bob"));
    let document = b"%PDF-1.7\nscanned".as_slice();
    fs::write(alice.dir.join("scan.pdf"), document).unwrap();
    fs::write(alice.dir.join("diary.txt"), "dear diary").unwrap();
    let words = "its preview shows its name and size alone: PDF is not decoded";
    assert_eq!(alice.error(8, &["add", "scan.pdf", "--strict"])["error"]["message"], words);
    let added = alice.json(&["add", "scan.pdf"]);
    assert_eq!(added["warnings"][0], serde_json::json!({ "image": "scan", "message": words }));
    let image = &added["images"][0];
    assert_eq!((&image["format"], &image["width"]), (&"pdf".into(), &serde_json::Value::Null));
    let refused = alice.error(8, &["add", "diary.txt"]);
    assert_eq!(refused["error"]["hint"], "dosctl add FILE --any");
    let any = alice.json(&["add", "diary.txt", "--any"]);
    assert_eq!(any["images"][0]["format"], "other");
    // The viewer sees the owner's signature hold, and a placeholder that names the image; the bytes are those of the file.
    let listed = bob.json(&["list"]);
    let peers = listed["peers"].as_array().unwrap().iter();
    let images: Vec<_> = peers.flat_map(|peer| peer["images"].as_array().unwrap()).collect();
    assert_eq!(images.len(), 2);
    for image in images {
        assert_eq!(image["signature"], "valid", "{image}");
    }
    bob.ctl(&["preview", "alice/scan", "-o", "scan.jpg"]).ok();
    assert!(fs::read(bob.dir.join("scan.jpg")).unwrap().starts_with(b"\xff\xd8"));
    alice.ctl(&["share", "scan", "bob", "--views", "1"]).ok();
    assert!(bob.view("alice/scan") == document);
}
