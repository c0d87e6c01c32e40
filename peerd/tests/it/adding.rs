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
