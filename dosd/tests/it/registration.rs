//! Who is let in: modes, invites, and how often one address may try.

use dos_protocol::{
    Code, JoinLink, Reason, Seq,
    directory::{Answer, Op},
    key::SecretKey,
};
use dosd::config::{FileConfig, Registration};
use futures_util::future::join_all;

use crate::{
    commands::run,
    net::{Client, Net, register, sign_in},
};

fn mode(registration: Registration) -> FileConfig {
    FileConfig { registration: Some(registration), ..FileConfig::default() }
}

#[tokio::test]
async fn an_invite_is_wanted_unless_the_operator_says_otherwise() {
    let dir = tempfile::tempdir().unwrap();
    let net = Net::start_with(dir.path(), FileConfig::default());
    let without = net.newcomer("alice", None).await.err().unwrap();
    assert_eq!((without.code, without.reason), (Code::Denied, Some(Reason::Closed)));
    for wrong in ["", "abc", "abcdefghijkmnopq", &"x".repeat(1_000)] {
        let refused = net.newcomer("alice", Some(wrong)).await.err().unwrap();
        assert_eq!((refused.code, refused.reason), (Code::Denied, Some(Reason::Closed)));
        assert_ne!(refused.message, without.message);
    }
    let printed = run(dir.path(), &["link"]).await;
    let link: JoinLink = printed.out.trim_end().parse().unwrap();
    let invite = link.invite.unwrap();
    let alice = net.newcomer("alice", Some(&invite)).await.unwrap();
    assert!(net.newcomer("bob", Some(&invite)).await.is_err(), "its one use is gone");
    // The answer was lost, and the peer asks again: it is let in, and nothing is used up.
    let mut again = Client::connect(&net, alice.secret.clone()).await;
    again.enter(register("alice", Some(&invite))).await.unwrap();
    assert_eq!(again.id(), alice.id());
    net.stop().await;
}

#[tokio::test]
async fn sixty_four_race_for_ten_places() {
    let dir = tempfile::tempdir().unwrap();
    let said = FileConfig { registrations_per_minute: Some(1000), ..FileConfig::default() };
    let net = Net::start_with(dir.path(), said);
    let made = run(dir.path(), &["invite", "create", "--uses", "10", "--json"]).await.json();
    let code = made["code"].as_str().unwrap();
    let names: Vec<_> = (0..64).map(|number| format!("peer{number}")).collect();
    let racing = join_all(names.iter().map(|name| net.newcomer(name, Some(code)))).await;
    assert_eq!(racing.iter().filter(|result| result.is_ok()).count(), 10);
    for error in racing.iter().filter_map(|result| result.as_ref().err()) {
        assert_eq!((error.code, error.reason), (Code::Denied, Some(Reason::Closed)));
    }
    let listed = run(dir.path(), &["peers", "--json"]).await.json();
    assert_eq!(listed["peers"].as_array().unwrap().len(), 10);
    net.stop().await;
}

#[tokio::test]
async fn a_closed_directory_lets_nobody_in_but_keeps_its_peers() {
    let dir = tempfile::tempdir().unwrap();
    let net = Net::start(dir.path());
    let mut alice = net.peer("alice").await;
    alice.sign_out().await;
    net.stop().await;
    let net = Net::start_with(dir.path(), mode(Registration::Closed));
    assert!(!run(dir.path(), &["link"]).await.out.contains("invite"));
    let made = run(dir.path(), &["invite", "create"]).await;
    let refused = net.newcomer("bob", Some(made.out.trim())).await.err().unwrap();
    assert_eq!((refused.code, refused.reason), (Code::Denied, Some(Reason::Closed)));
    drop(net.again(&alice).await);
    net.stop().await;
}

#[tokio::test]
async fn an_open_directory_wants_no_invite_and_ignores_a_wrong_one() {
    let dir = tempfile::tempdir().unwrap();
    let net = Net::start_with(dir.path(), mode(Registration::Open));
    assert!(!run(dir.path(), &["link"]).await.out.contains("invite"));
    assert!(net.newcomer("alice", None).await.is_ok());
    assert!(net.newcomer("bob", Some("nonsense")).await.is_ok());
    net.stop().await;
}

#[tokio::test]
async fn one_address_is_limited_and_told_when_to_come_back() {
    let dir = tempfile::tempdir().unwrap();
    let said = FileConfig { registrations_per_minute: Some(2), ..mode(Registration::Open) };
    let net = Net::start_with(dir.path(), said);
    let mut alice = net.newcomer("alice", None).await.unwrap();
    assert!(net.newcomer("bob", None).await.is_ok());
    let refused = net.newcomer("carol", None).await.err().unwrap();
    assert_eq!((refused.code, refused.reason), (Code::Denied, Some(Reason::Limit)));
    assert!((1..=30_000).contains(&refused.retry_after_ms.unwrap()), "{refused:?}");
    alice.sign_out().await;
    drop(net.again(&alice).await);
    let mut stranger = Client::connect(&net, SecretKey::generate().unwrap()).await;
    assert_eq!(stranger.enter(register("carol", None)).await.unwrap_err().reason, Some(Reason::Limit));
    net.stop().await;
}

#[tokio::test]
async fn invites_are_made_listed_and_revoked() {
    let dir = tempfile::tempdir().unwrap();
    let net = Net::start_with(dir.path(), FileConfig::default());
    let empty = run(dir.path(), &["invite", "list", "--json"]).await.json();
    assert_eq!(empty["invites"], serde_json::json!([]));
    let plain = run(dir.path(), &["invite", "create"]).await;
    assert_eq!((plain.code, plain.out.trim_end().len(), plain.out.lines().count()), (0, 16, 1));
    let made =
        run(dir.path(), &["invite", "create", "--uses", "2", "--expires", "1h", "--json"]).await.json();
    let code = made["code"].as_str().unwrap();
    let link: JoinLink = made["link"].as_str().unwrap().parse().unwrap();
    assert_eq!((link.invite.as_deref(), &made["uses_left"]), (Some(code), &serde_json::json!(2)));
    assert!(made["expires_at"].as_str().unwrap().ends_with('Z'));
    assert!(net.newcomer("alice", Some(code)).await.is_ok());
    let listed = run(dir.path(), &["invite", "list", "--json"]).await.json();
    let row = &listed["invites"][1];
    assert_eq!((row["prefix"].as_str().unwrap(), &row["uses_left"]), (&code[..4], &serde_json::json!(1)));
    assert_eq!(row["state"], "active");
    let table = run(dir.path(), &["invite", "list"]).await;
    assert!(table.out.contains(&code[..4]) && !table.out.contains(code), "{table:?}");
    assert_eq!(run(dir.path(), &["invite", "revoke", &format!("{}...", &code[..4])]).await.code, 0);
    assert!(net.newcomer("bob", Some(code)).await.is_err());
    let again = run(dir.path(), &["invite", "revoke", code, "--json"]).await;
    assert_eq!(again.failure(), (5, "not_found".into()));
    net.stop().await;
}

#[tokio::test]
async fn a_link_is_good_for_as_many_registrations_as_wanted() {
    let dir = tempfile::tempdir().unwrap();
    let _net = Net::start(dir.path());
    let link = run(dir.path(), &["link", "--uses", "3", "--expires", "2d"]).await;
    assert!(link.out.starts_with("dos://") && link.out.contains("?invite="), "{link:?}");
    let listed = run(dir.path(), &["invite", "list", "--json"]).await.json();
    let invite = &listed["invites"][0];
    assert_eq!((&invite["uses"], &invite["uses_left"]), (&3.into(), &3.into()));
    let created = run(dir.path(), &["invite", "create"]).await;
    let code = created.out.trim();
    assert!(created.err.starts_with("join link: dos://"), "{created:?}");
    assert!(created.err.trim().ends_with(&format!("?invite={code}")), "{created:?}");
}

#[tokio::test]
async fn a_peer_that_leaves_gets_its_answer_and_has_no_session_and_no_name_any_more() {
    let dir = tempfile::tempdir().unwrap();
    let net = Net::start(dir.path());
    let mut alice = net.peer("alice").await;
    assert_eq!(alice.ask(Op::Unregister).await, Ok(Answer::Done));
    assert_eq!(alice.next().await, None);
    let mut again = Client::connect(&net, alice.secret.clone()).await;
    let refused = again.enter(Op::SignIn(sign_in(1, Seq(0)))).await.err().unwrap();
    assert_eq!(refused.code, Code::NotFound);
    assert_ne!(net.peer("alice").await.id(), alice.id());
    net.stop().await;
}
