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
    for (name, value) in [
        ("csrf", csrf),
        ("album", "Coast"),
        ("description", "A grey sea."),
        ("private", "yes"),
        ("date", "yes"),
    ] {
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
    let (sea, hill) = (pictures::dated(None), pictures::jpeg(2));
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
    let described = alice.json(&["list", "--mine"]);
    assert_eq!(described["peers"][0]["images"][1]["description"], "A grey sea.", "{described}");
    assert_eq!(described["peers"][0]["images"][1]["taken_at"], "2024-05-06T07:08:09-00:00", "{described}");
    let shown = browser.get(&format!("/picture/{}/sea", id(&alice))).text();
    assert!(shown.contains("Taken 2024-05-06 07:08:09<"), "{shown}");
    assert!(shown.contains("<canvas data-thumbhash=") && !shown.contains("style="), "{shown}");
    assert!(browser.get("/?of=mine&album=Coast&q=SE").text().contains("<b>sea</b>"));
    assert!(!browser.get("/?of=mine&q=zzz").text().contains("<b>sea</b>"));
    // It is private: others do not see it.
    assert!(!Browser::of(&bob).get("/").text().contains("<b>sea</b>"));
}

#[test]
fn pictures_are_found_by_the_days_on_which_they_were_added() {
    let stage = Stage::new();
    let alice = stage.peer("alice");
    pictures::write(&alice.dir.join("sea.jpg"), 1);
    alice.ctl(&["add", "sea.jpg"]).ok();
    let added = alice.json(&["list", "--mine"])["peers"][0]["images"][0]["added_at"].clone();
    let day = added.as_str().unwrap().split('T').next().unwrap().to_owned();
    let browser = Browser::of(&alice);
    let has = |query: &str| browser.get(&format!("/?{query}")).text().contains("<b>sea</b>");
    for (query, is_found) in [
        (format!("from={day}&until={day}"), true),
        (format!("from={day}"), true),
        (format!("until={day}&sort=name"), true),
        ("until=2026-01-01".into(), false),
        ("from=2999-01-01&sort=name".into(), false),
    ] {
        assert_eq!(has(&query), is_found, "{query}");
    }
    let page = browser.get("/?from=yesterday").text();
    assert!(page.contains("is not a day such as 2026-11-30") && !page.contains("<b>sea</b>"), "{page}");
}

#[test]
fn others_are_shown_online_since_when() {
    let stage = Stage::new();
    let (alice, bob) = (stage.peer("alice"), stage.peer("bob"));
    let since = alice.json(&["resolve", "bob"])["online_since"].as_str().unwrap().to_owned();
    let browser = Browser::of(&alice);
    let page = browser.get("/people").text();
    assert!(page.contains(&format!("online since <time datetime=\"{since}\"")), "{page}");
    bob.ctl(&["logout"]).ok();
    wait_until("bob is offline", || alice.json(&["resolve", "bob"])["online_since"].is_null());
    assert!(browser.get("/people").text().contains("offline, last seen"));
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

#[test]
fn a_description_is_seen_where_the_name_is_and_hidden_where_it_is() {
    let stage = Stage::new();
    let (alice, bob) = (stage.peer("alice"), stage.peer("bob"));
    pictures::write(&alice.dir.join("sea.jpg"), 1);
    let text = "A boat, \"small\" & <red>";
    let added = alice.json(&["add", "sea.jpg", "--description", text]);
    assert_eq!(added["images"][0]["description"], text);
    let (hers, his, owner) = (Browser::of(&alice), Browser::of(&bob), id(&alice));
    let shown = "A boat, &quot;small&quot; &amp; &lt;red&gt;";
    for page in ["/".to_owned(), "/?sort=name".into(), format!("/picture/{owner}/sea")] {
        assert!(his.get(&page).text().contains(shown), "{page}");
    }
    let listed = bob.json(&["list", "alice"]);
    assert_eq!(listed["peers"][0]["images"][0]["description"], text);
    assert_eq!(listed["peers"][0]["images"][0]["signature"], "valid");
    assert!(bob.ctl(&["list", "alice"]).ok().contains("DESCRIPTION"));
    // Another one, in two lines as a browser sends them; it outlives a renaming and the daemon.
    let fields = [("name", "sea"), ("visibility", "listed"), ("description", "Two gulls\r\n on a pier.")];
    assert!(hers.submit("/set", &fields).contains("Two gulls on a pier."));
    alice.ctl(&["rename", "sea", "pier"]).ok();
    alice.ctl(&["set", "pier", "--album", "Coast"]).ok();
    let mut alice = alice;
    alice.restart();
    alice.online();
    let mine = alice.json(&["list", "--mine"]);
    assert_eq!(mine["peers"][0]["images"][0]["description"], "Two gulls on a pier.");
    let listed = bob.json(&["list", "alice"]);
    assert_eq!(listed["peers"][0]["images"][0]["description"], "Two gulls on a pier.");
    alice.ctl(&["set", "pier", "--private"]).ok();
    assert!(!his.get("/").text().contains("gulls"));
    alice.ctl(&["set", "pier", "--listed", "--no-description"]).ok();
    assert!(!his.get("/").text().contains("gulls"));
    alice.ctl(&["set", "pier", "--description", &"x".repeat(501)]).fails(8);
    stage.is_sound();
}

#[test]
fn pictures_come_the_newest_first_or_by_name_page_by_page() {
    let stage = Stage::new();
    let (alice, bob) = (stage.peer("alice"), stage.peer("bob"));
    for number in 0..150 {
        pictures::write(&alice.dir.join(format!("a{number:03}.jpg")), 1);
    }
    alice.ctl(&["add", "-r", "."]).ok();
    pictures::write(&bob.dir.join("zebra.jpg"), 2);
    bob.ctl(&["add", "zebra.jpg"]).ok();
    let him = Browser::of(&bob);
    let names = |page: &str| -> Vec<String> {
        page.split("<b>")
            .skip(1)
            .filter_map(|rest| rest.split_once("</b><span class=\"who\""))
            .map(|(name, _)| name.into())
            .collect()
    };
    let next = |page: &str| {
        page.split_once("rel=\"next\" href=\"")
            .map(|(_, rest)| rest.split('"').next().unwrap().replace("&amp;", "&"))
    };
    let (mut all, mut place) = (Vec::new(), Some("/".to_owned()));
    while let Some(path) = place {
        let page = him.get(&path).text();
        all.extend(names(&page));
        place = next(&page);
    }
    let newest: Vec<String> =
        std::iter::once("zebra".into()).chain((0..150).rev().map(|number| format!("a{number:03}"))).collect();
    assert_eq!(all, newest);
    let page = him.get("/?sort=name").text();
    let mine = names(&page);
    assert!(mine.is_sorted() || mine[0] == "zebra", "{mine:?}");
    // A search goes through all of them in the same order.
    assert_eq!(names(&him.get("/?q=01").text())[..3], ["a101", "a019", "a018"]);
    assert_eq!(names(&him.get("/?of=mine").text()), ["zebra"]);
    let listed = bob.json(&["list", "--newest", "--limit", "2"]);
    assert_eq!(listed["peers"][0]["images"][0]["name"], "zebra");
    assert_eq!(listed["peers"][1]["images"][0]["name"], "a149");
    // What is private is in nobody else's.
    alice.ctl(&["set", "a149", "--private"]).ok();
    assert_eq!(names(&him.get("/").text())[1], "a148");
    alice.ctl(&["share", "a149", "bob", "--views", "1"]).ok();
    wait_until("bob has the grant", || bob.right("/a149").is_some());
    assert_eq!(names(&him.get("/").text())[1], "a149");
}

#[test]
fn news_are_told_once_and_stay_to_be_read() {
    let stage = Stage::new();
    let (alice, bob) = (stage.peer("alice"), stage.peer("bob"));
    pictures::write(&alice.dir.join("sea.jpg"), 1);
    alice.ctl(&["add", "sea.jpg"]).ok();
    bob.ctl(&["request", "alice/sea", "--views", "2", "--note", "<b>please</b>"]).ok();
    wait_until("alice has it", || alice.json(&["status"])["pending"]["requests"] == 1);
    let hers = Browser::of(&alice);
    assert!(hers.get("/").text().contains("News <span class=\"badge\">1"));
    // A page that asks by itself sees nothing for a person.
    for _ in 0..2 {
        let page = hers.get_with("/news", "x-live: 1\r\n").text();
        assert!(page.contains(">new<") && page.contains("&lt;b&gt;please"), "{page}");
    }
    assert!(hers.get("/news").text().contains(">new<"));
    let page = hers.get("/news").text();
    assert!(!page.contains(">new<") && page.contains("asks for 2 views"), "{page}");
    alice.ctl(&["share", "sea", "bob", "--views", "2"]).ok();
    wait_until("bob has the grant", || bob.right("/sea").is_some());
    bob.view("alice/sea");
    wait_until("the receipt is there", || alice.given("/sea").unwrap().1 == 1);
    assert!(hers.get("/news").text().contains(" viewed <a"));
    assert!(hers.get(&format!("/picture/{}/sea", id(&alice))).text().contains("</b> viewed it, "));
}
