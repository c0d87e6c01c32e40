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
