//! Who is answered at all.

use std::{
    io::{Read as _, Write as _},
    net::{Ipv4Addr, TcpStream},
    process::Command,
    process::Stdio,
};

use dos_testing::Signal;

use super::{Browser, form, pass, send};
use crate::{
    pictures,
    stage::{Stage, wait_until},
};

/// A request with these lines of its head.
fn get(path: &str, lines: &[String]) -> Vec<u8> {
    format!("GET {path} HTTP/1.1\r\n{}\r\nconnection: close\r\n\r\n", lines.join("\r\n")).into_bytes()
}

#[test]
fn a_request_with_another_host_is_refused_whatever_else_it_has() {
    let stage = Stage::new();
    let alice = stage.peer("alice");
    let browser = Browser::of(&alice);
    let Browser { address, cookie, .. } = &browser;
    assert_eq!(browser.get("/").status, 200);
    let port = address.port();
    for host in
        ["evil.example", &format!("localhost:{port}"), &format!("127.0.0.1:{port}"), &format!("{address}.")]
    {
        let lines = [format!("host: {host}"), format!("cookie: {cookie}")];
        assert_eq!(send(*address, &get("/", &lines)).status, 421, "{host}");
        assert_eq!(send(*address, &get("/enter", &lines)).status, 421, "{host}");
    }
    let twice = [format!("host: {address}"), "host: evil.example".into(), format!("cookie: {cookie}")];
    assert!(matches!(send(*address, &get("/", &twice)).status, 400 | 421));
}

#[test]
fn without_a_session_nothing_is_shown_and_a_token_works_once() {
    let stage = Stage::new();
    let alice = stage.peer("alice");
    let (address, token) = pass(&alice);
    let host = format!("host: {address}");
    for path in
        ["/", "/people", "/requests", "/messages", "/settings", "/events", "/add", "/preview/7xKqPm2R/sea"]
    {
        for cookie in ["a=b".to_owned(), format!("dos-gallery-{}=guessed", address.port())] {
            let answer = send(address, &get(path, &[host.clone(), format!("cookie: {cookie}")]));
            assert_eq!(answer.status, 401, "{path}");
            assert!(!answer.text().contains("alice"), "{path}");
        }
    }
    assert_eq!(send(address, &get("/enter", &[host])).status, 200);
    assert_eq!(send(address, &form(address, "/enter", "", &[("token", "guessed")])).status, 401);
    let first = send(address, &form(address, "/enter", "", &[("token", &token)]));
    assert_eq!(first.status, 303);
    assert_eq!(send(address, &form(address, "/enter", "", &[("token", &token)])).status, 401);
}

#[test]
fn a_change_needs_the_origin_the_secret_and_the_method_of_a_form_of_the_gallery() {
    let stage = Stage::new();
    let alice = stage.peer("alice");
    let bob = stage.peer("bob");
    let browser = Browser::of(&alice);
    let Browser { address, cookie, csrf } = &browser;
    let whole = form(*address, "/block", cookie, &[("csrf", csrf), ("peer", "bob")]);
    let whole = String::from_utf8(whole).unwrap();
    let origin = format!("origin: http://{address}\r\n");
    let evil = [
        ("another origin", whole.replace(&origin, "origin: http://evil.example\r\n")),
        ("another port", whole.replace(&origin, "origin: http://127.0.0.1:1\r\n")),
        ("no origin", whole.replace(&origin, "")),
        ("an opaque origin", whole.replace(&origin, "origin: null\r\n")),
        ("another site", whole.replace(&origin, &format!("{origin}sec-fetch-site: cross-site\r\n"))),
        ("another port's page", whole.replace(&origin, &format!("{origin}sec-fetch-site: same-site\r\n"))),
        ("another secret", whole.replace(csrf.as_str(), &"x".repeat(csrf.len()))),
        ("no session", whole.replace(cookie.as_str(), "a=b")),
        ("another kind of body", whole.replace("application/x-www-form-urlencoded", "text/plain")),
        ("another method", whole.replace("POST /block", "PUT /block")),
        (
            "a link",
            format!(
                "GET /block?csrf={csrf}&peer=bob HTTP/1.1\r\nhost: {address}\r\ncookie: {cookie}\r\nconnection: close\r\n\r\n"
            ),
        ),
    ];
    for (what, request) in evil {
        assert_ne!(request, whole, "{what}");
        let status = send(*address, request.as_bytes()).status;
        assert!(matches!(status, 401 | 403 | 405 | 415), "{what}: {status}");
    }
    let other = Browser::of(&alice);
    let answer = send(*address, &form(*address, "/block", cookie, &[("csrf", &other.csrf), ("peer", "bob")]));
    assert_eq!(answer.status, 403, "the secret of another session");
    assert!(alice.json(&["blocks"])["blocks"].as_array().unwrap().is_empty());
    assert_eq!(send(*address, whole.as_bytes()).status, 303);
    assert_eq!(alice.json(&["blocks"])["blocks"].as_array().unwrap().len(), 1);
    drop(bob);
}

#[test]
fn a_form_that_is_too_large_or_never_ends_disturbs_no_one() {
    let stage = Stage::new();
    let alice = stage.peer("alice");
    let browser = Browser::of(&alice);
    let long = "x".repeat(100 << 10);
    assert_eq!(browser.post("/send", &[("to", "bob"), ("text", &long)]).status, 413);
    let mut half = TcpStream::connect(browser.address).unwrap();
    half.write_all(b"POST /send HTTP/1.1\r\nhost").unwrap();
    let mut nonsense = TcpStream::connect(browser.address).unwrap();
    nonsense.write_all(&[0x16, 3, 1, 0, 200, 0, 0]).unwrap();
    assert_eq!(browser.get("/").status, 200);
}

#[test]
fn every_answer_forbids_scripts_of_others_frames_and_copies() {
    let stage = Stage::new();
    let alice = stage.peer("alice");
    pictures::write(&alice.dir.join("sea.jpg"), 1);
    alice.ctl(&["add", "sea.jpg"]).ok();
    let browser = Browser::of(&alice);
    let me = alice.json(&["status"])["id"].as_str().unwrap().to_owned();
    for path in [
        "/",
        "/people",
        "/requests",
        "/messages",
        "/settings",
        "/add",
        "/nothing",
        &format!("/picture/{me}/sea"),
    ] {
        let answer = browser.get(path);
        let policy = answer.header("content-security-policy").unwrap();
        assert!(policy.starts_with("default-src 'none'; script-src 'self'; style-src 'self'"), "{policy}");
        assert!(!policy.contains("unsafe"), "{policy}");
        assert!(policy.contains("frame-ancestors 'none'"), "{policy}");
        assert_eq!(answer.header("cache-control"), Some("no-store"), "{path}");
        assert_eq!(answer.header("x-content-type-options"), Some("nosniff"), "{path}");
        let text = answer.text();
        // Nothing of another host, nothing inline.
        for bad in ["<style", " style=", " onload=", " onerror=", "http://", "https://", "javascript:"] {
            assert!(!text.contains(bad), "{path} has {bad}");
        }
        assert!(!text.replace("<script src=\"/assets/", "").contains("<script"), "{path}");
    }
    let preview = browser.get(&format!("/preview/{me}/sea"));
    assert_eq!((preview.status, preview.header("cache-control")), (200, Some("no-store")));
    assert!(preview.header("content-security-policy").unwrap().contains("sandbox"));
}

#[test]
fn what_others_write_is_text_in_every_page() {
    let stage = Stage::new();
    let (alice, bob) = (stage.peer("alice"), stage.peer("bob"));
    let evil = "<script>alert(1)<\u{2215}script>\"' onload=x &amp;";
    pictures::write(&alice.dir.join("sea.jpg"), 1);
    alice.ctl(&["add", "sea.jpg"]).ok();
    pictures::write(&bob.dir.join("hill.jpg"), 2);
    bob.ctl(&["add", "hill.jpg", "--name", evil]).ok();
    let note = "<img src=x onerror=alert(1)></blockquote><script>alert(2)</script>";
    bob.ctl(&["request", "alice/sea", "--views", "2", "--note", note]).ok();
    bob.ctl(&["send", "alice", note]).ok();
    wait_until("alice has both", || {
        let status = alice.json(&["status"]);
        status["pending"]["requests"] == 1 && status["pending"]["messages"] == 1
    });
    let browser = Browser::of(&alice);
    let id = bob.json(&["status"])["id"].as_str().unwrap().to_owned();
    let encoded: String = evil.bytes().map(|byte| format!("%{byte:02X}")).collect();
    let picture = format!("/picture/{id}/{encoded}");
    for (path, what) in [
        ("/", "&lt;script&gt;alert(1)"),
        (&picture, "&lt;script&gt;alert(1)"),
        ("/requests", "&lt;img src=x"),
        ("/messages", "&lt;img src=x"),
    ] {
        let text = browser.get(path).text();
        assert!(text.contains(what), "{path}: {text}");
        assert!(
            !text.contains("<script>") && !text.contains("<img src=x") && !text.contains("\"' onload"),
            "{path}"
        );
    }
}

#[test]
fn it_is_served_on_loopback_when_asked_for_and_ends_with_its_sessions_and_the_daemon() {
    let stage = Stage::new();
    let mut alice = stage.peer("alice");
    assert!(!alice.log().contains("the gallery is served"));
    let browser = Browser::of(&alice);
    assert!(browser.address.ip().is_loopback());
    assert_ne!(browser.address.ip(), Ipv4Addr::LOCALHOST, "an address that it shares with no other service");
    let mut stream = browser.stream();
    super::read_until(&mut stream, &["session online"]);
    let left = browser.post("/leave", &[]);
    assert_eq!(left.status, 200);
    assert_eq!(browser.get("/").status, 401);
    let mut rest = String::new();
    wait_until("the stream has ended", || {
        let mut buffer = [0; 1024];
        match stream.read(&mut buffer) {
            Ok(0) => true,
            Ok(count) => {
                rest.push_str(&String::from_utf8_lossy(&buffer[..count]));
                rest.contains("data: ended")
            }
            Err(_) => false,
        }
    });
    let again = Browser::of(&alice);
    let _stream = again.stream();
    assert!(alice.peerd.take().unwrap().signal(Signal::TERM).success());
    assert!(TcpStream::connect(again.address).is_err());
}

#[test]
fn with_the_setting_it_is_there_from_the_start() {
    let stage = Stage::new();
    let alice = stage.peer_in("alice", None, &["--listen", "127.0.0.1:0", "--gallery", "on"]);
    wait_until("it is served", || alice.log().contains("the gallery is served"));
    Browser::of(&alice);
}

#[test]
fn a_page_with_all_that_belongs_to_it_weighs_less_than_60_kb_compressed() {
    let stage = Stage::new();
    let alice = stage.peer("alice");
    for number in 0..120 {
        pictures::write(&alice.dir.join(format!("A picture of the sea {number}.jpg")), 1);
    }
    alice.ctl(&["add", "-r", "."]).ok();
    let browser = Browser::of(&alice);
    let page = browser.get("/");
    let text = page.text();
    assert_eq!(text.matches("/preview/").count(), 100, "a page has 100 pictures");
    let mut all = page.body;
    let parts = text.split("\"/assets/").skip(1).map(|rest| rest.split('"').next().unwrap());
    for part in parts {
        let part = browser.get(&format!("/assets/{part}"));
        assert!(part.header("cache-control").unwrap().contains("immutable"));
        all.extend(part.body);
    }
    let mut gzip =
        Command::new("gzip").arg("-c").stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let mut input = gzip.stdin.take().unwrap();
    let writing = std::thread::spawn(move || input.write_all(&all).map(|()| all.len()));
    let compressed = gzip.wait_with_output().unwrap().stdout.len();
    let whole = writing.join().unwrap().unwrap();
    assert!(compressed < 60_000, "{whole} bytes, compressed {compressed}");
    let (_, next) = text.split_once("rel=\"next\" href=\"").unwrap();
    let next = browser.get(next.split('"').next().unwrap()).text();
    assert_eq!(next.matches("/preview/").count(), 20);
}

/// Sends a request through a Unix socket, as a proxy does.
fn through(socket: &std::path::Path, request: &[u8]) -> String {
    let mut stream = std::os::unix::net::UnixStream::connect(socket).unwrap();
    stream.set_read_timeout(Some(crate::stage::PATIENCE)).unwrap();
    drop(stream.write_all(request));
    let mut bytes = Vec::new();
    drop(stream.read_to_end(&mut bytes));
    String::from_utf8_lossy(&bytes).into_owned()
}

#[test]
fn behind_a_proxy_the_same_is_asked_of_every_request_and_the_socket_is_for_its_user_alone() {
    use std::os::unix::fs::PermissionsExt as _;
    let stage = Stage::new();
    let socket = stage.path("gallery.sock");
    let extra = ["--listen", "127.0.0.1:0", "--gallery-url", "https://pictures.example", "--gallery-socket"];
    let alice = stage.peer_in("alice", None, &[&extra[..], &[socket.to_str().unwrap()]].concat());
    assert!(!socket.exists(), "nothing is served before it is asked for");
    let gallery = alice.json(&["gallery", "--no-open"]);
    assert_eq!(gallery["address"], serde_json::Value::Null);
    let (_, token) = gallery["url"].as_str().unwrap().split_once("https://pictures.example/enter#").unwrap();
    assert_eq!(socket.metadata().unwrap().permissions().mode() & 0o777, 0o600);
    let post = |host: &str, origin: &str, path: &str, cookie: &str, body: &str| {
        let request = format!(
            "POST {path} HTTP/1.1\r\nhost: {host}\r\norigin: {origin}\r\ncookie: {cookie}\r\n\
             content-type: application/x-www-form-urlencoded\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}",
            body.len()
        );
        through(&socket, request.as_bytes())
    };
    let (host, origin) = ("pictures.example", "https://pictures.example");
    let token = format!("token={token}");
    assert!(post("evil.example", origin, "/enter", "", &token).starts_with("HTTP/1.1 421"));
    assert!(post(host, "http://pictures.example", "/enter", "", &token).starts_with("HTTP/1.1 403"));
    let entered = post(host, origin, "/enter", "", &token);
    assert!(entered.starts_with("HTTP/1.1 303"), "{entered}");
    let (_, cookie) = entered.split_once("set-cookie: ").unwrap();
    let (cookie, attributes) = cookie.lines().next().unwrap().split_once(';').unwrap();
    assert!(cookie.starts_with("__Host-dos-gallery="), "{cookie}");
    assert_eq!(attributes, " HttpOnly; SameSite=Strict; Path=/; Secure");
    let page = |host: &str, cookie: &str| {
        through(&socket, &get("/", &[format!("host: {host}"), format!("cookie: {cookie}")]))
    };
    assert!(page(host, cookie).contains("<b>alice</b>"));
    assert!(page(host, "a=b").starts_with("HTTP/1.1 401"));
    assert!(page("evil.example", cookie).starts_with("HTTP/1.1 421"));
    assert!(post(host, origin, "/block", cookie, "csrf=guessed&peer=bob").starts_with("HTTP/1.1 403"));
    // It goes with the daemon; one that was left behind is in nobody's way.
    let mut alice = alice;
    alice.kill();
    assert!(socket.exists());
    alice.start();
    alice.online();
    alice.json(&["gallery", "--no-open"]);
    assert!(alice.peerd.take().unwrap().signal(Signal::TERM).success());
    assert!(!socket.exists());
}
