//! Changes by forms, which are the commands of dosctl.

use super::{Browser, read_until, send};
use crate::{
    pictures,
    stage::{Peer, Stage, wait_until},
};

fn id(peer: &Peer) -> String {
    peer.json(&["status"])["id"].as_str().unwrap().to_owned()
}

/// A form with files, as a browser sends it.
fn upload(browser: &Browser, csrf: &str, files: &[(&str, &[u8])]) -> Vec<u8> {
    let Browser { address, cookie, .. } = browser;
    let mut body = Vec::new();
    for (name, value) in [("csrf", csrf), ("album", "Coast"), ("private", "yes")] {
        let part = format!("--xyz\r\ncontent-disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n");
        body.extend(part.into_bytes());
    }
    for (name, bytes) in files {
        let head =
            format!("--xyz\r\ncontent-disposition: form-data; name=\"file\"; filename=\"{name}\"\r\n\r\n");
        body.extend(head.into_bytes());
        body.extend(*bytes);
        body.extend(b"\r\n");
    }
    body.extend(b"--xyz--\r\n");
    let head = format!(
        "POST /add HTTP/1.1\r\nhost: {address}\r\norigin: http://{address}\r\ncookie: {cookie}\r\n\
         content-type: multipart/form-data; boundary=xyz\r\ncontent-length: {}\r\nconnection: close\r\n\r\n",
        body.len()
    );
    [head.into_bytes(), body].concat()
}

#[test]
fn pictures_are_added_into_an_album_and_what_is_none_is_told() {
    let stage = Stage::new();
    let alice = stage.peer("alice");
    let bob = stage.peer("bob");
    let browser = Browser::of(&alice);
    let (sea, hill) = (pictures::jpeg(1), pictures::jpeg(2));
    let files: [(&str, &[u8]); 3] = [("sea.jpg", &sea), ("none.jpg", b"no picture"), ("hill.jpg", &hill)];
    let refused = send(browser.address, &upload(&browser, "guessed", &files));
    assert_eq!(refused.status, 403);
    assert!(alice.json(&["albums"])["albums"].as_array().unwrap().is_empty());
    let answer = send(browser.address, &upload(&browser, &browser.csrf, &files));
    assert_eq!((answer.status, answer.header("location")), (303, Some("/add")), "{}", answer.text());
    let page = browser.get("/add").text();
    assert!(page.contains("Added 2 pictures, not 1") && page.contains("none.jpg"), "{page}");
    let albums = alice.json(&["albums"]);
    assert_eq!((&albums["albums"][0]["name"], &albums["albums"][0]["images"]), (&"Coast".into(), &2.into()));
    assert!(browser.get("/?of=mine&album=Coast&q=SE").text().contains("<b>sea</b>"));
    assert!(!browser.get("/?of=mine&q=zzz").text().contains("<b>sea</b>"));
    // It is private: others do not see it.
    assert!(!Browser::of(&bob).get("/").text().contains("<b>sea</b>"));
}

#[test]
fn a_request_is_answered_with_a_counter_offer_and_a_grant_is_raised_and_revoked() {
    let stage = Stage::new();
    let (alice, bob) = (stage.peer("alice"), stage.peer("bob"));
    pictures::write(&alice.dir.join("sea.jpg"), 1);
    alice.ctl(&["add", "sea.jpg"]).ok();
    let (hers, his, owner) = (Browser::of(&alice), Browser::of(&bob), id(&alice));
    let mut stream = his.stream();
    read_until(&mut stream, &["session online"]);
    let page =
        his.submit("/request", &[("owner", &owner), ("name", "sea"), ("views", "5"), ("note", "please")]);
    assert!(page.contains("Asked: 5 views."), "{page}");
    wait_until("alice has it", || alice.json(&["status"])["pending"]["requests"] == 1);
    let page = hers.get("/requests").text();
    let (_, number) = page.split_once("name=\"request\" value=\"").unwrap();
    let number = number.split('"').next().unwrap();
    let page = hers.submit("/answer", &[("request", number), ("answer", "approve"), ("views", "2")]);
    assert!(page.contains("Bob may view sea: 2 views."), "{page}");
    read_until(&mut stream, &[&format!("decision {owner}/sea")]);
    wait_until("bob has it", || bob.right("/sea").is_some());
    assert!(his.get(&format!("/picture/{owner}/sea")).text().contains("2 views left"));
    let page = hers.submit("/share", &[("name", "sea"), ("to", "bob"), ("what", "add"), ("views", "3")]);
    assert!(page.contains("Bob: 5 views left."), "{page}");
    let page =
        hers.submit("/share", &[("name", "sea"), ("to", "bob, nobody"), ("what", "set"), ("views", "1")]);
    assert!(page.contains("1 of 2 peers failed"), "{page}");
    alice.ctl(&["group", "family", "--add", "bob"]).ok();
    let page = hers.submit(
        "/share",
        &[("name", "sea"), ("to", "@family"), ("what", "unlimited"), ("expires", "7d"), ("offline", "yes")],
    );
    assert!(page.contains("Bob: unlimited views."), "{page}");
    let page = hers.submit("/share", &[("name", "sea"), ("to", "bob"), ("what", "revoke")]);
    assert!(page.contains("The grant of bob is revoked."), "{page}");
    wait_until("bob knows", || bob.right("/sea").unwrap().2 == "revoked");
    let page = hers.submit("/set", &[("name", "sea"), ("visibility", "private"), ("album", "Coast")]);
    assert!(page.contains("album <a") && page.contains(">private<"), "{page}");
    let page = hers.submit("/remove", &[("name", "sea")]);
    assert!(page.contains("Tick the box"), "{page}");
    let page = hers.submit("/remove", &[("name", "sea"), ("sure", "yes")]);
    assert!(page.contains("Sea is removed"), "{page}");
}

#[test]
fn messages_people_and_settings_are_what_dosctl_shows() {
    let stage = Stage::new();
    let (alice, bob) = (stage.peer("alice"), stage.peer("bob"));
    let (hers, his) = (Browser::of(&alice), Browser::of(&bob));
    let page = hers.submit("/send", &[("to", "bob"), ("text", "hello\r\nbob")]);
    assert!(page.contains("hello\nbob"), "{page}");
    wait_until("bob has it", || bob.json(&["status"])["pending"]["messages"] == 1);
    // A page that asks by itself reads nothing for a person.
    assert!(his.get_with("/messages", "x-live: 1\r\n").text().contains(">new<"));
    assert_eq!(bob.json(&["status"])["pending"]["messages"], 1);
    assert!(his.get("/messages").text().contains("hello\nbob"));
    assert_eq!(bob.json(&["status"])["pending"]["messages"], 0);
    let page = hers.get("/people").text();
    let contacts = alice.json(&["contacts"]);
    let fingerprint = contacts["contacts"][0]["fingerprint"].as_str().unwrap();
    assert!(page.contains("<b>bob</b>") && page.contains(fingerprint), "{page}");
    assert!(hers.submit("/block", &[("peer", &id(&bob))]).contains("Bob is blocked."));
    assert!(hers.submit("/unblock", &[("peer", &id(&bob))]).contains("Unblocked."));
    let card = alice.json(&["card"]);
    let page = hers.get("/settings").text();
    assert!(page.contains(card["fingerprint"].as_str().unwrap()) && page.contains("<svg"), "{page}");
}
