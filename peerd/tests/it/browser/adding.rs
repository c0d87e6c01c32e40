//! Pictures come into the gallery: dropped onto the window, and by the file dialogue, many at once.

use std::fs;

use serde_json::json;

use super::Chrome;
use crate::{
    pictures,
    stage::{Stage, wait_until},
};

#[test]
fn files_are_dropped_and_chosen_many_at_once_each_with_its_outcome() {
    let Some(chrome) = Chrome::start("files_are_dropped_and_chosen_many_at_once_each_with_its_outcome")
    else {
        return;
    };
    let stage = Stage::new();
    let alice = stage.peer("alice");
    let window = chrome.window(&alice);
    let path = |name: &str| alice.dir.join(name).to_str().unwrap().to_owned();
    let sea = pictures::write(&alice.dir.join("sea.jpg"), 1);
    pictures::write_large(&alice.dir.join("hill.jpg"), 2, 8 << 20);
    pictures::write(&alice.dir.join("dune.jpg"), 3);
    fs::write(alice.dir.join("none.jpg"), "no picture").unwrap();
    window.open("/add");
    window.fill("#add [name=album]", "Coast");
    window.drop_files(&[&path("sea.jpg"), &path("none.jpg"), &path("hill.jpg")]);
    window.sees("added as sea");
    window.sees("added as hill");
    window.waits_for(
        "what is no picture is told",
        "document.querySelectorAll('#progress .error').length === 1",
    );
    assert_eq!(
        window.js(
            "return [...document.querySelectorAll('#progress progress')].map((bar) => bar.value)",
            vec![]
        ),
        json!([1, 1, 1])
    );
    // Dropped while the page shows what became of the others.
    window.keys("#files", &format!("{}\n{}", path("dune.jpg"), path("sea.jpg")));
    window.sees("added as dune");
    // Both stay what they are: the name is taken.
    window.waits_for("the name is taken", "document.querySelectorAll('#progress .error').length === 2");
    let albums = alice.json(&["albums"]);
    assert_eq!((&albums["albums"][0]["name"], &albums["albums"][0]["images"]), (&json!("Coast"), &json!(3)));
    window.open("/?of=mine&album=Coast");
    window.waits_for("three are there", "document.querySelectorAll('#grid img').length === 3");
    // Search as one types.
    window.keys("#search [type=search]", "SE");
    window.waits_for("one is left", "document.querySelectorAll('#grid img').length === 1");
    window.sees("sea");
    // One's own costs nothing, and is what was dropped.
    wait_until("it is there", || alice.ctl(&["view", "sea", "-o", "-"]).out == sea);
}

#[test]
fn a_picture_is_seen_in_its_colours_before_its_preview_is_there() {
    let Some(chrome) = Chrome::start("a_picture_is_seen_in_its_colours_before_its_preview_is_there") else {
        return;
    };
    let stage = Stage::new();
    let alice = stage.peer("alice");
    let halves = image::RgbImage::from_fn(300, 200, |x, _| {
        image::Rgb(if x < 150 { [220, 40, 30] } else { [30, 60, 210] })
    });
    halves.save(alice.dir.join("halves.png")).unwrap();
    alice.ctl(&["add", "halves.png"]).ok();
    let window = chrome.window(&alice);
    for page in [
        "/?of=mine".to_owned(),
        format!("/picture/{}/halves", alice.json(&["status"])["id"].as_str().unwrap()),
    ] {
        window.open(&page);
        window.waits_for(
            "it is drawn red on the left and blue on the right",
            "(() => { const canvas = document.querySelector('.frame canvas'); \
             if (!canvas) return false; \
             const at = (x) => canvas.getContext('2d').getImageData(x, canvas.height >> 1, 1, 1).data; \
             const [left, right] = [at(3), at(canvas.width - 4)]; \
             return left[0] > 150 && left[2] < 90 && right[2] > 150 && right[0] < 90; })()",
        );
        // What the server sends is what is there: no refresh takes the page for another one.
        let markup = "return document.querySelector('.frame canvas').outerHTML";
        let canvas = window.js(markup, vec![]).as_str().unwrap().to_owned();
        assert!(!canvas.contains("style"), "{canvas}");
    }
    // The browser has a word on how this test looks at the canvas; nothing breaks the page's policy.
    let complaints = window.complaints();
    assert!(complaints.iter().all(|text| text.contains("getImageData")), "{complaints:?}");
}
