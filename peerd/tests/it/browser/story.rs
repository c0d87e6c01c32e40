//! The story of the README, told by three people in three windows.

use std::fs;

use dos_testing::files_with;

use super::{Chrome, window::Window};
use crate::{
    pictures,
    stage::{Peer, Stage, wait_until},
};

/// Puts a file into the gallery by the file dialogue.
#[track_caller]
fn add(window: &Window<'_>, peer: &Peer, name: &str, seed: u8) -> Vec<u8> {
    let file = peer.dir.join(format!("{name}.jpg"));
    let bytes = pictures::write(&file, seed);
    window.open("/add");
    window.keys("#files", file.to_str().unwrap());
    window.sees(&format!("added as {name}"));
    fs::remove_file(file).unwrap();
    bytes
}

/// Opens the page of a picture, by its place in the grid.
#[track_caller]
fn open(window: &Window<'_>, name: &str) {
    window.open("/");
    window.click(&format!("#grid img[alt^='{name} '], #grid img[alt^='{name},']"));
    window.waits_for(
        "the page of the picture is open",
        &format!("document.querySelector('h1').innerText === '{name}'"),
    );
}

#[track_caller]
fn share(window: &Window<'_>, (name, with): (&str, &str), views: &str) {
    open(window, name);
    window.fill("form.fields[action='/share'] [name=to]", with);
    window.fill("form.fields[action='/share'] [name=views]", views);
    window.click("form.fields[action='/share'] button");
}

/// Goes to the question before a view.
#[track_caller]
fn ask_to_view(window: &Window<'_>, name: &str) {
    open(window, name);
    window.click("#access a.button");
}

/// Answers it, and waits until the whole picture is there.
#[track_caller]
fn view(window: &Window<'_>) {
    window.click("form[action='/view'] button");
    window.waits_for(
        "the original is shown",
        "document.getElementById('original')?.complete && document.getElementById('original').naturalWidth === 320",
    );
}

const GONE: &str = "document.getElementById('viewer') && !document.getElementById('original')";

#[test]
fn three_people_share_view_refuse_answer_and_revoke() {
    let Some(chrome) = Chrome::start("three_people_share_view_refuse_answer_and_revoke") else { return };
    let stage = Stage::new();
    let (alice, bob, carol) = (stage.peer("alice"), stage.peer("bob"), stage.peer("carol"));
    let (hers, his, carols) = (chrome.window(&alice), chrome.window(&bob), chrome.window(&carol));
    his.open("/");
    his.sees("There are no pictures yet.");
    let sea = add(&hers, &alice, "sea", 1);
    // What others publish appears by itself.
    his.waits_for("bob sees the new picture", "document.querySelector('#grid img')");
    share(&hers, ("sea", "bob"), "2");
    hers.sees("Bob: 2 views left.");

    // A view is asked for, spent, and over when its page is left.
    open(&his, "sea");
    his.sees("2 views left");
    ask_to_view(&his, "sea");
    his.sees("This uses 1 of 2 views; 1 view left afterwards.");
    view(&his);
    let shown = his.js("return location.href", Vec::new());
    his.click("#close");
    his.sees("1 view left");
    his.open_url(shown.as_str().unwrap());
    his.sees("shown here once");
    his.back();
    assert_eq!(bob.right("/sea").unwrap().1, 1, "neither going there again nor going back costs anything");
    open(&hers, "sea");
    hers.waits_for(
        "the receipt is there",
        "document.querySelector('#grants tbody td:nth-of-type(2)').innerText === '1'",
    );
    ask_to_view(&his, "sea");
    his.sees("This uses your last view.");
    view(&his);
    his.click("#close");
    his.sees("all views used");
    hers.waits_for(
        "the next receipt came by itself",
        "document.querySelector('#grants tbody td:nth-of-type(2)').innerText === '2'",
    );
    // And the next one is refused.
    his.waits_for("there is no way to view it", "!document.querySelector('#access a.button')");
    let view_page = his.js("return location.pathname.replace('/picture/', '/view/')", Vec::new());
    his.open(view_page.as_str().unwrap());
    his.sees("You may not view this picture now.");
    counter_offer(&hers, &his, &bob);
    revoked_while_open(&hers, &his);
    said(&hers, &his);
    hidden((&hers, &alice), (&his, &carols));

    for window in [&hers, &his, &carols] {
        let complaints = window.complaints();
        assert!(complaints.is_empty(), "{complaints:?}");
    }
    drop((hers, his, carols));
    // Nothing of it is in a file, neither of the browser nor of the daemons.
    let written = chrome.quit();
    let part = &sea[1000..1064];
    for folder in [written.path(), stage.dir.path()] {
        assert_eq!(files_with(folder, part), Vec::<String>::new());
    }
    assert!(written.path().join("profile/Default").is_dir(), "this is where the browser writes");
}

/// Bob asks for three views, and gets one.
#[track_caller]
fn counter_offer(hers: &Window<'_>, his: &Window<'_>, bob: &Peer) {
    hers.open("/requests");
    hers.sees("Nothing waits for your answer.");
    open(his, "sea");
    his.fill("form[action='/request'] [name=views]", "3");
    his.fill("form[action='/request'] [name=note]", "for the calendar");
    his.click("form[action='/request'] button");
    his.sees("Asked: 3 views.");
    hers.sees("for the calendar");
    hers.waits_for("it is counted", "document.querySelector('#nav .badge').innerText.startsWith('1')");
    hers.fill("#incoming [name=views]", "1");
    hers.click("#incoming button[value=approve]");
    hers.sees("Bob may view sea: 1 view.");
    his.sees("1 view left");
    assert_eq!(bob.right("/sea").unwrap().0, 1);
}

/// Bob looks at the picture while Alice revokes the grant.
#[track_caller]
fn revoked_while_open(hers: &Window<'_>, his: &Window<'_>) {
    ask_to_view(his, "sea");
    view(his);
    open(hers, "sea");
    hers.click("#grants form:has([value=revoke]) button");
    hers.sees("The grant of bob is revoked.");
    his.waits_for("the picture is gone", GONE);
    his.sees("The owner has revoked this.");
}

/// A message appears in an open page, and is answered.
#[track_caller]
fn said(hers: &Window<'_>, his: &Window<'_>) {
    his.open("/messages");
    hers.open("/messages");
    hers.fill("#send [name=to]", "bob");
    hers.fill("#send [name=text]", "the new scans are up");
    hers.click("#send button");
    hers.sees("Delivered.");
    his.sees("the new scans are up");
}

/// A private picture is seen by its owner and by those with a grant.
#[track_caller]
fn hidden((hers, alice): (&Window<'_>, &Peer), (his, carols): (&Window<'_>, &Window<'_>)) {
    hers.open("/add");
    hers.click("#add [name=private]");
    let file = alice.dir.join("letter.jpg");
    pictures::write(&file, 2);
    hers.keys("#files", file.to_str().unwrap());
    hers.sees("added as letter");
    share(hers, ("letter", "bob"), "1");
    hers.sees("Bob: 1 view left.");
    let page = hers.js("return location.pathname", Vec::new());
    let page = page.as_str().unwrap();
    his.open("/");
    his.sees("letter");
    carols.open("/");
    carols.sees("sea");
    assert!(!carols.shows("letter"), "carol sees a private picture");
    carols.open(page);
    carols.sees("There is no picture");
    carols.open(&page.replace("/picture/", "/preview/"));
    carols.sees("there is no image".split_at(5).0);
    // What is a mistake in the browser's eyes is what was asked for.
    drop(carols.complaints());
    wait_until("alice is the same", || alice.given("/letter").is_some());
}
