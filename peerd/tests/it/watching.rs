//! What those see who watch over the daemons: metrics that move with the work, health, and logs without secrets.

use std::{fs, net::SocketAddr, process::Stdio};

use dos_testing::Signal;
use serde_json::Value;

use crate::{
    page::{Samples, address_in, get},
    pictures,
    stage::{Peer, Stage, program, wait_until},
};

const WITH_METRICS: [&str; 2] = ["--metrics", "127.0.0.1:0"];

fn page_of_dosd(stage: &Stage) -> SocketAddr {
    address_in(|| fs::read_to_string(stage.path("dosd.log")).unwrap_or_default())
}

/// A peer with these further options, not registered yet.
fn stranger_with(stage: &Stage, name: &str, options: &[&str]) -> Peer {
    let mut peer = stage.stranger(name);
    peer.kill();
    // What it logged without the options is not wanted.
    fs::remove_file(peer.dir.join("log")).unwrap();
    peer.extra = options.iter().map(|&option| option.into()).collect();
    peer.start();
    peer
}

/// A registered peer with these further options.
fn peer_with(stage: &Stage, name: &str, options: &[&str]) -> Peer {
    let peer = stranger_with(stage, name, options);
    peer.ctl(&["register", "--server", &stage.link(), "--name", name]).ok();
    peer
}

/// Alice shares a picture, Bob views it twice and is refused a third time.
fn main_job(alice: &Peer, bob: &Peer) {
    pictures::write(&alice.dir.join("sea.jpg"), 1);
    alice.ctl(&["add", "sea.jpg"]).ok();
    alice.ctl(&["share", "sea", &bob.name, "--views", "2"]).ok();
    wait_until("bob is told", || bob.right("/sea").is_some_and(|right| right.0 == 2));
    let image = format!("{}/sea", alice.name);
    bob.view(&image);
    bob.view(&image);
    bob.error(6, &["view", &image, "-o", "third.jpg"]);
    wait_until("alice has the receipts", || alice.given("/sea").is_some_and(|right| right.1 == 2));
}

/// Waits until a series has at least this value.
#[track_caller]
fn reaches(page: SocketAddr, series: &str, least: f64) {
    wait_until(series, || Samples::of(page).value(series) >= least);
}

#[test]
fn the_metrics_move_with_the_main_job_and_every_name_in_the_docs_is_there() {
    let stage = Stage::with(&WITH_METRICS);
    let directory = page_of_dosd(&stage);
    assert_eq!(get(directory, "/readyz"), (200, "ok\n".into()));
    assert_eq!(get(directory, "/healthz"), (200, "ok\n".into()));
    assert_eq!(Samples::of(directory).value("dos_views_total{kind=\"view\"}"), 0.0);
    let (alice, bob) = (peer_with(&stage, "alice", &WITH_METRICS), peer_with(&stage, "bob", &WITH_METRICS));
    main_job(&alice, &bob);
    let (alice_page, bob_page) = (address_in(|| alice.log()), address_in(|| bob.log()));

    let now = Samples::of(directory);
    for (series, value) in [
        ("dos_sessions", 2.0),
        ("dos_registered_peers", 2.0),
        ("dos_images", 1.0),
        ("dos_views_total{kind=\"view\"}", 2.0),
        ("dos_views_total{kind=\"checkout\"}", 0.0),
        ("dos_sign_ins_total{kind=\"register\",result=\"ok\"}", 2.0),
        ("dos_operation_duration_seconds_count{op=\"publish\"}", 1.0),
        ("dos_operation_duration_seconds_count{op=\"share\"}", 1.0),
        ("dos_build_info{version=\"0.1.0\"}", 1.0),
    ] {
        assert_eq!(now.value(series), value, "{series}: {now:?}");
    }
    assert!(now.value("dos_operation_duration_seconds_count{op=\"spend\"}") >= 2.0);
    assert!(now.value("dos_store_commits_total") >= 5.0);
    assert!(now.value("dos_store_operations_total") >= now.value("dos_store_commits_total"));
    reaches(bob_page, "dos_peer_views_shown_total", 2.0);
    let (up, down) = (Samples::of(alice_page), Samples::of(bob_page));
    assert_eq!(down.value("dos_peer_session{state=\"online\"}"), 1.0);
    let received = down.value("dos_peer_transferred_bytes_total{direction=\"download\"}");
    assert!(received > 0.0);
    assert!(up.value("dos_peer_transferred_bytes_total{direction=\"upload\"}") >= received);
    assert!(down.value("dos_peer_cached_bytes") > 0.0);
    assert!(down.value("dos_peer_updates_total{kind=\"grant\"}") >= 1.0);
    assert!(up.value("dos_peer_updates_total{kind=\"viewed\"}") >= 2.0);
    assert!(down.value("dos_peer_operations_total{op=\"spend\",result=\"ok\"}") >= 2.0);

    // A refusal and a failed sign-in, so that their families are there.
    bob.ctl(&["resolve", "nobody"]).fails(5);
    reaches(directory, "dos_refusals_total{code=\"not_found\",reason=\"\"}", 1.0);
    let pages = [Samples::of(directory), Samples::of(alice_page), Samples::of(bob_page)];
    for name in names_in_docs() {
        assert!(pages.iter().any(|page| page.names().contains(&*name)), "{name} is on no page");
    }
    for name in pages.iter().flat_map(Samples::names) {
        let name =
            ["_bucket", "_sum", "_count"].iter().find_map(|end| name.strip_suffix(end)).unwrap_or(name);
        assert!(doc("operator.md").contains(&format!("`{name}`")), "{name} is not in docs/operator.md");
    }
}

fn doc(name: &str) -> String {
    fs::read_to_string(format!("{}/../docs/{name}", env!("CARGO_MANIFEST_DIR"))).unwrap()
}

/// The metrics that the dashboard and the alert rules ask for.
fn names_in_docs() -> Vec<String> {
    let dashboard: Value = serde_json::from_str(&doc("grafana-dashboard.json")).unwrap();
    let mut asked = vec![doc("alerts.yml")];
    for panel in dashboard["panels"].as_array().unwrap() {
        let targets = panel["targets"].as_array().unwrap();
        asked.extend(targets.iter().map(|target| target["expr"].as_str().unwrap().to_owned()));
    }
    let is_word = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let words = asked.iter().flat_map(|text| text.split(|c| !is_word(c)));
    let names: Vec<String> = words.filter(|word| word.starts_with("dos_")).map(Into::into).collect();
    assert!(names.len() > 10, "{names:?}");
    names
}

#[test]
fn a_view_that_is_asked_for_again_is_counted_once_and_the_inbox_of_who_is_away_is_seen() {
    let stage = Stage::with(&WITH_METRICS);
    let directory = page_of_dosd(&stage);
    let (alice, bob) = (stage.peer("alice"), stage.peer("bob"));
    pictures::write(&alice.dir.join("sea.jpg"), 1);
    alice.ctl(&["add", "sea.jpg"]).ok();
    bob.ctl(&["logout"]).ok();
    reaches(directory, "dos_images", 1.0);
    wait_until("nothing is owed", || Samples::of(directory).value("dos_inbox_rows") == 0.0);
    alice.ctl(&["share", "sea", "bob", "--views", "3", "--allow-offline"]).ok();
    reaches(directory, "dos_inbox_rows", 1.0);
    bob.ctl(&["login"]).ok();
    wait_until("bob is told", || bob.right("/sea").is_some());
    let taken = bob.json(&["checkout", "alice/sea", "--views", "2"]);
    assert!(taken.is_object());
    assert_eq!(Samples::of(directory).value("dos_views_total{kind=\"checkout\"}"), 2.0);
    bob.ctl(&["checkin", "alice/sea"]).ok();
    reaches(directory, "dos_views_total{kind=\"checkin\"}", 2.0);
    assert_eq!(Samples::of(directory).value("dos_views_total{kind=\"view\"}"), 0.0);
}

#[test]
fn a_daemon_is_ready_without_an_id_and_with_a_session_but_not_while_it_seeks_one() {
    let mut stage = Stage::new();
    let alice = stranger_with(&stage, "alice", &WITH_METRICS);
    let page = address_in(|| alice.log());
    assert_eq!(get(page, "/readyz").0, 200);
    alice.ctl(&["register", "--server", &stage.link(), "--name", "alice"]).ok();
    assert_eq!(get(page, "/readyz").0, 200);
    stage.kill_dosd();
    wait_until("it is not ready", || get(page, "/readyz").0 == 503);
    let (_, why) = get(page, "/readyz");
    assert!(why.starts_with("not connected to the directory"), "{why}");
    assert_eq!(get(page, "/healthz").0, 200, "a restart would not help");
    alice.ctl(&["logout"]).ok();
    wait_until("it is ready", || get(page, "/readyz").0 == 200);
}

#[test]
fn peerd_checks_its_settings_and_reads_them_again() {
    let stage = Stage::new();
    let config = stage.path("peerd.toml");
    let file = config.to_str().unwrap().to_owned();
    let check = |text: &str| {
        fs::write(&config, text).unwrap();
        let mut command = std::process::Command::new(program("peerd"));
        command.args(["--check-config", "--config", &file]).stdin(Stdio::null()).output().unwrap()
    };
    let checked = check("auto_fetch = false\nlog = 'debug'");
    assert_eq!((checked.status.code(), &*checked.stdout), (Some(0), &b"the configuration is good\n"[..]));
    let checked = check("auto_fech = false");
    assert_eq!(checked.status.code(), Some(2));
    let text = String::from_utf8(checked.stderr).unwrap();
    assert!(text.contains("do you mean \"auto_fetch\"?"), "{text}");

    let said = |text: &str| fs::write(&config, text).unwrap();
    said("auto_fetch = false");
    let alice = stage.peer("alice");
    let bob = peer_with(&stage, "bob", &["--config", &file, "--metrics", "127.0.0.1:0"]);
    let page = address_in(|| bob.log());
    pictures::write(&alice.dir.join("sea.jpg"), 1);
    alice.ctl(&["add", "sea.jpg"]).ok();
    bob.ctl(&["trust", "alice", "--accept"]).ok();
    alice.ctl(&["share", "sea", "bob", "--views", "3"]).ok();
    wait_until("bob is told", || bob.right("/sea").is_some());
    let reload = |text: &str, until: &str| {
        said(text);
        bob.peerd.as_ref().unwrap().send(Signal::HUP);
        wait_until(until, || bob.log().contains(until));
    };
    reload("auto_fetch = 3", "the configuration is refused");
    assert_eq!(Samples::of(page).value("dos_peer_cached_bytes"), 0.0);
    reload("auto_fetch = true\nsocket = '/tmp/other'\nadvertise = ['192.0.2.1:5']", "has been read again");
    reaches(page, "dos_peer_cached_bytes", 1.0);
    assert!(bob.log().contains("keys=\"advertise\""), "a flag beats the file: {}", bob.log());
}

/// The bytes in the ways in which they might be written.
fn spellings(secret: &[u8]) -> Vec<String> {
    let list: Vec<String> = secret.iter().map(ToString::to_string).collect();
    let hex: String = secret.iter().map(|byte| format!("{byte:02x}")).collect();
    vec![list.join(", "), hex.to_uppercase(), hex, bs58::encode(secret).into_string()]
}

#[test]
fn no_log_has_a_secret_even_if_everything_is_logged() {
    let trace = ["--log", "trace", "--log-format", "json"];
    let mut stage = Stage::with(&trace);
    let (alice, bob) = (peer_with(&stage, "alice", &trace), stranger_with(&stage, "bob", &trace));
    let link = stage.link();
    let password = stage.path("password");
    fs::write(&password, "correct horse battery\n").unwrap();
    let mut register = bob.command(&["register", "--server", &link, "--name", "bob", "--password-stdin"]);
    let registered = register.stdin(fs::File::open(&password).unwrap()).output().unwrap();
    assert!(registered.status.success(), "{}", String::from_utf8_lossy(&registered.stderr));
    main_job(&alice, &bob);
    alice.ctl(&["share", "sea", "bob", "--add", "2"]).ok();
    // A used invite is refused, and no less secret for that.
    let carol = stranger_with(&stage, "carol", &trace);
    carol.error(6, &["register", "--server", &link, "--name", "carol"]);

    stage.dosd.take().unwrap().signal(Signal::TERM);
    let database = rusqlite::Connection::open(stage.path("dosd/dosd.db")).unwrap();
    let share: Vec<u8> =
        database.query_row("SELECT share FROM grants WHERE share IS NOT NULL", [], |row| row.get(0)).unwrap();
    let mut secrets = spellings(&share);
    secrets.push("horse battery".into());
    secrets.push(link.split("invite=").nth(1).unwrap().to_owned());
    let logs = [fs::read_to_string(stage.path("dosd.log")).unwrap(), alice.log(), bob.log(), carol.log()];
    assert!(logs.iter().all(|log| !log.is_empty()) && logs[3].contains("\"DEBUG\""), "nothing was logged");
    for log in logs {
        for line in log.lines() {
            let event: Value = serde_json::from_str(line).unwrap();
            assert!(event["message"].is_string() || event["target"].is_string(), "{line}");
            let secret = secrets.iter().find(|secret| line.contains(&***secret));
            assert!(secret.is_none(), "{line}");
        }
    }
}
