//! A view is a view: asked before, counted once, shown once, kept nowhere.

use std::{fs, path::Path};

use super::{Browser, read_until};
use crate::{
    pictures,
    stage::{Peer, Stage, wait_until},
};

/// Bob has a picture that Alice may view this often.
fn shared(stage: &Stage, views: &str) -> (Peer, Peer, Vec<u8>) {
    let (alice, bob) = (stage.peer("alice"), stage.peer("bob"));
    let original = pictures::write(&bob.dir.join("hill.jpg"), 2);
    bob.ctl(&["add", "hill.jpg"]).ok();
    bob.ctl(&["share", "hill", "alice", "--views", views]).ok();
    wait_until("alice has the grant", || alice.right("/hill").is_some());
    (alice, bob, original)
}

fn id(peer: &Peer) -> String {
    peer.json(&["status"])["id"].as_str().unwrap().to_owned()
}

fn left(peer: &Peer) -> (serde_json::Value, u64) {
    let (left, used, _) = peer.right("/hill").unwrap();
    (left, used)
}

/// Asks for a one-time address, and gives it.
#[track_caller]
fn ticket(browser: &Browser, owner: &str) -> String {
    let answer = browser.post("/view", &[("owner", owner), ("name", "hill")]);
    assert_eq!(answer.status, 303, "{}", answer.text());
    answer.header("location").unwrap().strip_prefix("/show/").unwrap().to_owned()
}

#[test]
fn a_view_is_asked_for_then_spent_once_and_its_address_works_once() {
    let stage = Stage::new();
    let (alice, bob, original) = shared(&stage, "3");
    let (browser, owner) = (Browser::of(&alice), id(&bob));
    let question = browser.get(&format!("/view/{owner}/hill")).text();
    assert!(question.contains("This uses 1 of 3 views; 2 views left afterwards."), "{question}");
    let ticket = ticket(&browser, &owner);
    let page = browser.get(&format!("/show/{ticket}"));
    assert_eq!(page.header("cache-control"), Some("no-store"));
    assert!(page.text().contains(&format!("src=\"/original/{ticket}\"")));
    assert_eq!(left(&alice), (3.into(), 0), "nothing is spent before the picture is asked for");
    let opened = browser.get_with(&format!("/original/{ticket}"), "sec-fetch-dest: document\r\n");
    assert_eq!(opened.status, 403, "an original is no page of its own");
    let other = Browser::of(&alice);
    assert_eq!(other.get(&format!("/original/{ticket}")).status, 410, "another session has no use of it");
    let head = format!(
        "HEAD /original/{ticket} HTTP/1.1\r\nhost: {}\r\ncookie: {}\r\nconnection: close\r\n\r\n",
        browser.address, browser.cookie
    );
    assert_eq!(super::send(browser.address, head.as_bytes()).status, 405);
    assert_eq!(left(&alice), (3.into(), 0));
    let shown = browser.get_with(&format!("/original/{ticket}"), "sec-fetch-dest: image\r\n");
    assert_eq!((shown.status, &shown.body), (200, &original));
    assert_eq!(shown.header("content-type"), Some("image/jpeg"));
    assert_eq!(shown.header("cache-control"), Some("no-store"));
    assert!(shown.header("content-security-policy").unwrap().contains("sandbox"));
    for _ in 0..2 {
        assert_eq!(browser.get(&format!("/original/{ticket}")).status, 410);
    }
    assert!(browser.get(&format!("/show/{ticket}")).text().contains("shown here once"));
    assert_eq!(left(&alice), (2.into(), 1));
    wait_until("bob has the receipt", || bob.given("/hill").unwrap().1 == 1);
}

#[test]
fn a_view_that_is_revoked_or_used_up_is_refused_and_says_why() {
    let stage = Stage::new();
    let (alice, bob, original) = shared(&stage, "1");
    let (browser, owner) = (Browser::of(&alice), id(&bob));
    let question = browser.get(&format!("/view/{owner}/hill")).text();
    assert!(question.contains("This uses your last view."), "{question}");
    let early = ticket(&browser, &owner);
    let file = browser.post("/download", &[("owner", &owner), ("name", "hill")]);
    assert_eq!((file.status, &file.body), (200, &original));
    assert_eq!(file.header("content-disposition"), Some("attachment; filename*=UTF-8''hill%2Ejpg"));
    assert_eq!(file.header("content-type"), Some("application/octet-stream"));
    // An address from before does not outlive the views.
    assert_eq!(browser.get(&format!("/original/{early}")).status, 403);
    let why = browser.get(&format!("/show/{early}")).text();
    assert!(why.contains("role=\"alert\""), "{why}");
    assert_eq!(browser.post("/download", &[("owner", &owner), ("name", "hill")]).status, 403);
    bob.ctl(&["share", "hill", "alice", "--views", "5"]).ok();
    wait_until("alice has more", || left(&alice).0 == 5);
    let open = ticket(&browser, &owner);
    let mut stream = browser.stream();
    read_until(&mut stream, &["session online"]);
    bob.ctl(&["share", "hill", "alice", "--revoke"]).ok();
    read_until(&mut stream, &[&format!("revoked {owner}/hill")]);
    let refused = browser.get(&format!("/original/{open}"));
    assert_eq!(refused.status, 403, "{}", refused.text());
    assert_ne!(refused.body, original);
    assert!(browser.get(&format!("/picture/{owner}/hill")).text().contains("revoked"));
}

#[test]
fn an_original_is_in_no_file_afterwards() {
    let stage = Stage::new();
    let (alice, bob, original) = shared(&stage, "2");
    let (browser, owner) = (Browser::of(&alice), id(&bob));
    let ticket = ticket(&browser, &owner);
    assert_eq!(browser.get(&format!("/original/{ticket}")).body, original);
    let own = pictures::write(&alice.dir.join("sea.jpg"), 1);
    alice.ctl(&["add", "sea.jpg"]).ok();
    fs::remove_file(alice.dir.join("sea.jpg")).unwrap();
    let me = id(&alice);
    let file = browser.post("/download", &[("owner", &me), ("name", "sea")]);
    assert_eq!(file.body, own, "one's own costs nothing");
    for secret in [&original, &own] {
        assert!(!holds(&alice.dir, &secret[1000..1100]), "an original lies open");
    }
}

/// Whether a file below this folder has these bytes in it.
fn holds(dir: &Path, wanted: &[u8]) -> bool {
    fs::read_dir(dir).unwrap().map(|entry| entry.unwrap()).any(|entry| match entry.file_type().unwrap() {
        kind if kind.is_dir() => holds(&entry.path(), wanted),
        kind if kind.is_file() => {
            let bytes = fs::read(entry.path()).unwrap();
            bytes.windows(wanted.len()).any(|window| window == wanted)
        }
        _ => false,
    })
}

#[test]
fn what_a_browser_cannot_show_is_offered_as_a_file_before_anything_is_spent() {
    let stage = Stage::new();
    let (alice, bob) = (stage.peer("alice"), stage.peer("bob"));
    let text = b"%PDF-1.4 nothing that a browser shows as a picture";
    fs::write(bob.dir.join("hill.pdf"), text).unwrap();
    bob.ctl(&["add", "--any", "hill.pdf"]).ok();
    bob.ctl(&["share", "hill", "alice", "--views", "2"]).ok();
    wait_until("alice has the grant", || alice.right("/hill").is_some());
    let (browser, owner) = (Browser::of(&alice), id(&bob));
    let question = browser.get(&format!("/view/{owner}/hill")).text();
    assert!(
        question.contains("it can be saved as a file") && !question.contains("action=\"/view\""),
        "{question}"
    );
    assert_eq!(browser.post("/view", &[("owner", &owner), ("name", "hill")]).status, 400);
    assert_eq!(left(&alice), (2.into(), 0));
    assert_eq!(browser.post("/download", &[("owner", &owner), ("name", "hill")]).body, text);
    assert_eq!(left(&alice), (1.into(), 1));
}

/// A TIFF of 3000 by 2 pixels, not compressed (TIFF 6.0, section 6): the left half red, the right half blue.
fn tiff() -> Vec<u8> {
    let (width, height) = (3000_u16, 2_u16);
    let row = (0..width).flat_map(|x| if x < width / 2 { [255, 0, 0] } else { [0, 0, 255] });
    let row: Vec<u8> = row.collect();
    let pixels = row.repeat(height.into());
    let bytes = u32::try_from(pixels.len()).unwrap();
    // Tag, type, count, value: all of it short, but for two lengths.
    let entries: [(u16, u16, u32, u32); 9] = [
        (256, 3, 1, width.into()),
        (257, 3, 1, height.into()),
        (258, 3, 1, 8),
        (259, 3, 1, 1),
        (262, 3, 1, 2),
        (273, 4, 1, 8),
        (277, 3, 1, 3),
        (278, 3, 1, height.into()),
        (279, 4, 1, bytes),
    ];
    let mut file = b"II*\0".to_vec();
    file.extend((8 + bytes).to_le_bytes());
    file.extend(pixels);
    file.extend(u16::try_from(entries.len()).unwrap().to_le_bytes());
    for (tag, kind, count, value) in entries {
        file.extend(tag.to_le_bytes());
        file.extend(kind.to_le_bytes());
        file.extend(count.to_le_bytes());
        file.extend(value.to_le_bytes());
    }
    file.extend([0; 4]);
    file
}

#[test]
fn what_a_browser_cannot_show_but_peerd_can_is_shown_as_a_picture_of_it() {
    let stage = Stage::new();
    let (alice, bob) = (stage.peer("alice"), stage.peer("bob"));
    let original = tiff();
    fs::write(bob.dir.join("hill.tif"), &original).unwrap();
    bob.ctl(&["add", "hill.tif"]).ok();
    bob.ctl(&["share", "hill", "alice", "--views", "3"]).ok();
    wait_until("alice has the grant", || alice.right("/hill").is_some());
    let (browser, owner) = (Browser::of(&alice), id(&bob));
    let question = browser.get(&format!("/view/{owner}/hill")).text();
    assert!(
        question.contains("Browsers do not show TIFF: you get a picture")
            && question.contains("action=\"/view\"")
    );
    let ticket = ticket(&browser, &owner);
    assert_eq!(left(&alice), (3.into(), 0));
    let shown = browser.get(&format!("/original/{ticket}"));
    assert_eq!((shown.status, shown.header("content-type")), (200, Some("image/jpeg")), "{}", shown.text());
    assert_eq!(shown.header("cache-control"), Some("no-store"));
    let picture = image::load_from_memory(&shown.body).unwrap().into_rgb8();
    assert_eq!(picture.width(), 2048, "the largest that peerd makes");
    let is_red = |x: u32| picture.get_pixel(x, 0)[0] > 200 && picture.get_pixel(x, 0)[2] < 50;
    assert!(is_red(500) && !is_red(1500));
    assert_eq!(browser.get(&format!("/original/{ticket}")).status, 410);
    assert_eq!(left(&alice), (2.into(), 1), "a view is a view");
    // The file is what was put in.
    assert_eq!(browser.post("/download", &[("owner", &owner), ("name", "hill")]).body, original);
    assert!(
        !holds(&alice.dir, &original[1000..1100]) && !holds(&bob.dir.join("state"), &original[1000..1100])
    );
}
