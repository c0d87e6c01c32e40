//! What others write, and what other pages try.

use std::{
    io::{BufRead as _, BufReader, Write as _},
    net::TcpListener,
};

use serde_json::{Value, json};

use super::{
    Chrome,
    window::{A_WHILE, Window},
};
use crate::{
    gallery::Browser,
    pictures,
    stage::{Stage, wait_until},
};

/// Would be noticed if it ran.
const EVIL: &str =
    "<img src=x onerror=window.ran=1><script>window.ran=1<\u{2215}script>\"'><b>bold<\u{2215}b>";

#[track_caller]
fn nothing_runs(window: &Window<'_>, path: &str, shown: &str) {
    window.open(path);
    window.sees(shown);
    assert_eq!(window.js("return window.ran ?? null", vec![]), Value::Null, "{path}");
    let alien =
        "return document.querySelectorAll('img[src=x], main b b, script:not([src^=\"/assets/\"])').length";
    assert_eq!(window.js(alien, vec![]), json!(0), "{path}");
    // Not even the policy had anything to forbid.
    let complaints = window.complaints();
    assert!(complaints.is_empty(), "{path}: {complaints:?}");
}

#[test]
fn names_notes_and_messages_full_of_markup_are_text_in_a_browser() {
    let Some(chrome) = Chrome::start("names_notes_and_messages_full_of_markup_are_text_in_a_browser") else {
        return;
    };
    let stage = Stage::new();
    let (alice, bob) = (stage.peer("alice"), stage.peer("bob"));
    pictures::write(&alice.dir.join("sea.jpg"), 1);
    alice.ctl(&["add", "sea.jpg"]).ok();
    pictures::write(&bob.dir.join("hill.jpg"), 2);
    let name = "<img src=x onerror=window.ran=1>\"'><script>";
    bob.ctl(&["add", "hill.jpg", "--name", name, "--album", name]).ok();
    bob.ctl(&["request", "alice/sea", "--views", "2", "--note", EVIL]).ok();
    bob.ctl(&["send", "alice", EVIL]).ok();
    wait_until("alice has both", || {
        let pending = &alice.json(&["status"])["pending"];
        pending["requests"] == 1 && pending["messages"] == 1
    });
    let window = chrome.window(&alice);
    nothing_runs(&window, "/", name);
    window.click("#grid img");
    window.waits_for("its page is open", "document.querySelector('article.picture h1')");
    let page = window.js("return location.pathname", vec![]);
    nothing_runs(&window, page.as_str().unwrap(), name);
    nothing_runs(&window, &format!("/?q={}", "%3Cimg%20src%3Dx%20onerror%3D"), name);
    nothing_runs(&window, "/requests", EVIL);
    nothing_runs(&window, "/messages", EVIL);
    nothing_runs(&window, "/people", "bob");
}

/// A page on another port of this machine that tries to reach the gallery. Its results are in `window.came`.
const ATTACK: &str = r#"<!doctype html><title>evil</title><body><script>
const G = "GALLERY", came = window.came = {};
const tell = (name, promise) => promise.then((v) => { came[name] = v; }, () => { came[name] = "refused"; });
tell("read", fetch(G + "/", { credentials: "include" }).then((r) => r.text()));
tell("events", new Promise((ok, no) => { const e = new EventSource(G + "/events", { withCredentials: true }); e.onopen = ok; e.onerror = no; }));
tell("picture", new Promise((ok, no) => { const i = new Image(); i.onload = () => ok("shown"); i.onerror = no; i.src = G + "PREVIEW"; }));
tell("script", new Promise((ok, no) => { const s = document.createElement("script"); s.onload = () => ok("ran"); s.onerror = no; s.src = G + "/"; document.body.append(s); }));
tell("put", fetch(G + "/block", { method: "PUT", credentials: "include" }).then((r) => r.status));
const body = new URLSearchParams({ peer: "bob", csrf: "guessed" });
tell("post", fetch(G + "/block", { method: "POST", credentials: "include", body }).then((r) => r.status));
tell("blind", fetch(G + "/block", { method: "POST", mode: "no-cors", credentials: "include", body }).then((r) => r.type));
const frame = document.createElement("iframe");
frame.name = "frame"; document.body.append(frame);
const form = document.createElement("form");
form.method = "post"; form.action = G + "/block"; form.target = "frame";
form.innerHTML = '<input name=peer value=bob><input name=csrf value=guessed>';
document.body.append(form); form.submit();
const framed = document.createElement("iframe");
framed.onload = () => { let text; try { text = framed.contentDocument.body.innerText; } catch { text = "closed"; } came.framed = text; };
framed.src = G + "/"; document.body.append(framed);
</script>"#;

/// Serves this page to whoever asks, whatever for, until the test ends.
fn serve(page: String) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            // A browser opens connections on which it says nothing yet: the others do not wait for these.
            let page = page.clone();
            std::thread::spawn(move || {
                let mut lines = BufReader::new(&stream).lines();
                while lines.next().is_some_and(|line| line.is_ok_and(|line| !line.is_empty())) {}
                let head =
                    "HTTP/1.1 200 OK\r\ncontent-type: text/html\r\nconnection: close\r\ncontent-length: ";
                // A browser that has gone misses nothing.
                drop(write!(&stream, "{head}{}\r\n\r\n{page}", page.len()));
            });
        }
    });
    port
}

#[test]
fn a_page_of_another_port_reaches_nothing_although_the_browser_is_signed_in() {
    let Some(chrome) =
        Chrome::start("a_page_of_another_port_reaches_nothing_although_the_browser_is_signed_in")
    else {
        return;
    };
    let stage = Stage::new();
    let (alice, bob) = (stage.peer("alice"), stage.peer("bob"));
    pictures::write(&alice.dir.join("sea.jpg"), 1);
    alice.ctl(&["add", "sea.jpg"]).ok();
    let me = alice.json(&["status"])["id"].as_str().unwrap().to_owned();
    let window = chrome.window(&alice);
    window.sees("sea");
    let attack = ATTACK.replace("GALLERY", &window.origin).replace("PREVIEW", &format!("/preview/{me}/sea"));
    let port = serve(attack);
    for host in ["127.0.0.1", "localhost"] {
        window.open_url(&format!("http://{host}:{port}/"));
        window.waits_for("all attempts have come to an end", "Object.keys(window.came).length >= 8");
        let came = window.js("return window.came", vec![]);
        for attempt in ["read", "events", "picture", "script", "put", "post"] {
            assert_eq!(came[attempt], "refused", "{attempt}: {came}");
        }
        // That it was sent can be seen, not what came of it.
        assert!(came["blind"] == "opaque" || came["blind"] == "refused", "{came}");
        assert!(came["framed"] == "closed" || came["framed"] == "", "{came}");
        // A link on it leads to no page with anything of Alice's: the cookie does not come along.
        window.js("location.href = arguments[0]", vec![json!(format!("{}/", window.origin))]);
        window.waits_for(
            "the gallery answers",
            "location.href.startsWith('http://127.') && document.querySelector('h1')",
        );
        window.sees("Not ");
        assert!(!window.shows("sea"), "{host}");
        window.open("/");
        window.sees("sea");
    }
    assert_eq!(alice.json(&["blocks"])["blocks"], json!([]));
    // The page that was open all the time still works.
    assert_eq!(Browser::of(&alice).get("/").status, 200);
    window.js_async("setTimeout(arguments[1], arguments[0])", vec![json!(A_WHILE.as_millis())]);
    assert_eq!(alice.json(&["blocks"])["blocks"], json!([]));
    drop(bob);
}
