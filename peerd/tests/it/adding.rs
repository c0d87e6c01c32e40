//! What can be added, and what its owner learns of it.

use std::fs;

use dos_testing::wait_until;

use crate::{
    pictures,
    stage::{Peer, Stage},
};

/// The names of the images that were published last, the newest first.
fn newest(peer: &Peer) -> Vec<String> {
    let listed = peer.json(&["list", "--newest"]);
    let peers = listed["peers"].as_array().unwrap().iter();
    let images = peers.flat_map(|peer| peer["images"].as_array().unwrap());
    images.map(|image| image["name"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn several_images_are_published_in_their_order_however_long_each_takes() {
    let stage = Stage::new();
    let (alice, bob) = (stage.peer("alice"), stage.peer("bob"));
    let names: Vec<String> = (0..12).map(|number| format!("picture{number:02}")).collect();
    let files: Vec<String> = names.iter().map(|name| format!("{name}.jpg")).collect();
    for (number, file) in (0u8..).zip(&files) {
        // Every fourth takes longer to seal than the three after it.
        let bytes = if number % 4 == 0 { 20_000_000 } else { 20_000 };
        pictures::write_large(&alice.dir.join(file), number, bytes);
    }
    fs::write(alice.dir.join("letter.txt"), "dear diary").unwrap();
    let mut args: Vec<&str> = vec!["add", "letter.txt"];
    args.extend(files.iter().map(String::as_str));
    // What cannot be added has no turn, and stops nobody.
    alice.ctl(&args).fails(8);
    let mut wanted = names;
    wanted.reverse();
    assert_eq!(newest(&bob), wanted);
}

#[test]
fn of_several_images_those_whose_turn_has_not_come_are_not_published_when_the_command_is_killed() {
    let stage = Stage::new();
    let (alice, bob) = (stage.peer("alice"), stage.peer("bob"));
    for number in 0..9 {
        // The first takes long: the others are ready before it.
        let bytes = if number == 0 { 200_000_000 } else { 20_000 };
        pictures::write_large(&alice.dir.join(format!("{number}.jpg")), number, bytes);
    }
    let files: Vec<String> = (0..9).map(|number| format!("{number}.jpg")).collect();
    let args: Vec<&str> = ["add"].into_iter().chain(files.iter().map(String::as_str)).collect();
    let temporary = alice.dir.join("state/tmp");
    let mut command = alice.begin(&args);
    let sealing = || fs::read_dir(&temporary).map_or(0, Iterator::count);
    wait_until("several are being sealed", || sealing() > 1);
    command.kill();
    wait_until("what was begun is gone", || sealing() == 0);
    assert_eq!(newest(&bob), Vec::<String>::new());
    // Given again it does all of it.
    alice.ctl(&args).ok();
    assert_eq!(newest(&bob), ["8", "7", "6", "5", "4", "3", "2", "1", "0"]);
}

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

#[test]
fn when_a_picture_was_taken_is_shown_only_if_its_owner_wants_it() {
    let stage = Stage::new();
    let (alice, bob) = (stage.peer("alice"), stage.peer("bob"));
    for (file, zone) in [("zoned.jpg", Some("+02:00")), ("local.jpg", None)] {
        fs::write(alice.dir.join(file), pictures::dated(zone)).unwrap();
    }
    fs::write(alice.dir.join("none.jpg"), pictures::jpeg(2)).unwrap();
    alice.ctl(&["add", "zoned.jpg", "--name", "silent"]).ok();
    alice.ctl(&["add", "zoned.jpg", "local.jpg", "--keep-date"]).ok();
    let words = alice.ctl(&["add", "none.jpg", "--keep-date"]);
    assert!(words.err.starts_with("warning: none: no date was kept: the file does not say"), "{}", words.err);
    let seen = |name: &str| {
        let listed = bob.json(&["list", "alice"]);
        let images = listed["peers"][0]["images"].as_array().unwrap().clone();
        let image = images.into_iter().find(|image| image["name"] == name).unwrap();
        assert_eq!(image["signature"], "valid");
        (image["taken_at"].clone(), image["taken_zone"].clone())
    };
    let nothing = (serde_json::Value::Null, serde_json::Value::Null);
    assert_eq!(seen("zoned"), ("2024-05-06T05:08:09Z".into(), "+02:00".into()));
    assert_eq!(seen("local"), ("2024-05-06T07:08:09-00:00".into(), serde_json::Value::Null));
    assert_eq!((seen("silent"), seen("none")), (nothing.clone(), nothing.clone()));
    // It goes where the image goes, and with another picture it goes away.
    alice.ctl(&["rename", "zoned", "lake"]).ok();
    alice.ctl(&["set", "lake", "--description", "A lake."]).ok();
    assert_eq!(seen("lake").0, "2024-05-06T05:08:09Z");
    alice.ctl(&["add", "none.jpg", "--name", "lake", "--replace"]).ok();
    assert_eq!(seen("lake"), nothing);
}

#[test]
fn previews_have_the_size_that_the_directory_keeps_and_are_scaled_down_where_they_are_shown() {
    let stage = Stage::with(&["--preview-size", "512"]);
    let (alice, bob) = (stage.peer("alice"), stage.peer("bob"));
    let picture = image::RgbImage::from_fn(1200, 800, |x, y| {
        image::Rgb([x / 5, y / 4, 90].map(|value| u8::try_from(value).unwrap()))
    });
    picture.save(alice.dir.join("sea.png")).unwrap();
    let added = alice.json(&["add", "sea.png"]);
    assert_eq!(
        (&added["images"][0]["preview"]["width"], &added["images"][0]["preview"]["height"]),
        (&512.into(), &341.into())
    );
    let listed = bob.json(&["list", "alice"]);
    let image = &listed["peers"][0]["images"][0];
    assert_eq!(image["signature"], "valid");
    let hash = image["thumbhash"].as_str().unwrap();
    assert!((8..=36).contains(&hash.len()) && hash.len() % 4 == 0, "{hash}");
    let shown = |args: &[&str]| {
        let told = bob.json(&[&["preview", "alice/sea", "-o", "sea.jpg"], args].concat());
        let saved = image::open(bob.dir.join("sea.jpg")).unwrap();
        assert_eq!(
            (told["width"].as_u64(), told["height"].as_u64()),
            (Some(saved.width().into()), Some(saved.height().into()))
        );
        (saved.width(), saved.height())
    };
    assert_eq!(shown(&[]), (512, 341));
    assert_eq!(shown(&["--size", "512"]), (512, 341));
    assert_eq!(shown(&["--size", "100"]), (100, 67));
    assert_eq!(shown(&["--size", "1"]), (1, 1));
    bob.ctl(&["preview", "alice/sea", "--size", "513"]).fails(2);
    // A picture that is smaller than its preview may be is its preview.
    pictures::write(&alice.dir.join("small.jpg"), 1);
    alice.ctl(&["add", "small.jpg"]).ok();
    let small = bob.ctl(&["preview", "alice/small", "--size", "400", "-o", "small.jpg"]);
    assert_eq!(small.err, "the preview has 320x240 pixels, which is all that there is of it\n");
    assert_eq!(image::open(bob.dir.join("small.jpg")).unwrap().width(), 320);
}
