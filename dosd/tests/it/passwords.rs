//! A machine gets a peer's sealed key with its password, no one else does, and no one learns from it which names there are.

use std::{fs, os::unix::fs::PermissionsExt, path::Path, time::Duration};

use dos_protocol::{
    Code, PublicKey, Reason, Seq, WireError,
    directory::{
        Answer, Blob, Escrow, FromDirectory, LoggedIn, LoginStart, NoticeKind, Op, Recover, Register, SignIn,
        ToDirectory,
    },
    key::SecretKey,
    limits::{PASSWORD_TRIES, PASSWORDS_PER_MINUTE},
    opaque::{LoggingIn, Proved, Registering},
};
use dos_testing::wait_until_async;
use dosd::config::{FileConfig, Registration};
use futures_util::future::join_all;
use serde_json::json;

use crate::{
    commands::run,
    net::{Client, Net, sign_in},
};

const PASSWORD: &str = "correct horse";

/// What a peer's daemon would seal.
const SEALED: &[u8] = b"a seed that only the password opens";

fn blob(bytes: impl Into<Vec<u8>>) -> Blob {
    Blob::try_from(bytes.into()).unwrap()
}

fn wrong() -> WireError {
    WireError::new(Code::Denied, "wrong name or password").because(Reason::WrongPassword)
}

/// What the directory is to keep for a password of this peer.
async fn escrow(client: &mut Client, directory: &PublicKey, password: &str) -> Escrow {
    let (registering, request) = Registering::begin(password.parse().unwrap()).unwrap();
    let Ok(Answer::PasswordStarted(answer)) = client.ask(Op::PasswordStart(blob(request))).await else {
        panic!("not started")
    };
    let registered = registering.finish(answer.as_bytes(), directory).unwrap();
    Escrow { record: blob(registered.record), sealed: blob(SEALED) }
}

async fn set_password(client: &mut Client, net: &Net, password: &str) -> Result<Answer, WireError> {
    let escrow = escrow(client, &net.link.key, password).await;
    client.ask(Op::PasswordFinish(Box::new(escrow))).await
}

pub(crate) async fn peer_with_password(net: &Net, name: &str) -> Client {
    let mut client = net.peer(name).await;
    assert_eq!(set_password(&mut client, net, PASSWORD).await, Ok(Answer::Done));
    client
}

/// A login whose first message was answered.
struct Begun {
    client: Client,
    logging_in: LoggingIn,
    answer: Blob,
}

fn start(name: &str, request: Vec<u8>) -> Op {
    Op::LoginStart(Box::new(LoginStart { name: name.parse().unwrap(), request: blob(request) }))
}

/// A machine that has no key begins a login.
async fn begin(net: &Net, name: &str, password: &str) -> Result<Begun, WireError> {
    let mut client = Client::connect(net, SecretKey::generate().unwrap()).await;
    let (logging_in, request) = LoggingIn::begin(password.parse().unwrap()).unwrap();
    match client.ask(start(name, request)).await? {
        Answer::LoginStarted(answer) => Ok(Begun { client, logging_in, answer }),
        other => panic!("{other:?}"),
    }
}

/// The whole login; the machine itself notices that its password is wrong.
async fn log_in(net: &Net, name: &str, password: &str) -> Result<LoggedIn, WireError> {
    let Begun { mut client, logging_in, answer } = begin(net, name, password).await?;
    let Ok(Proved { finalization, .. }) = logging_in.finish(answer.as_bytes(), &net.link.key) else {
        return Err(wrong());
    };
    match client.ask(Op::LoginFinish(blob(finalization))).await? {
        Answer::LoggedIn(logged_in) => {
            assert_eq!(client.next().await, None, "the connection is of no more use");
            Ok(*logged_in)
        }
        other => panic!("{other:?}"),
    }
}

/// Begins a login and gives it up, as a machine does whose password is wrong.
pub(crate) async fn guess(net: &Net, name: &str) -> Reason {
    match begin(net, name, "wrong horse").await {
        Ok(_) => Reason::WrongPassword,
        Err(error) => {
            assert_eq!(error.code, Code::Denied);
            error.reason.unwrap()
        }
    }
}

/// A directory whose lock-outs begin with a second.
fn quick(dir: &Path) -> Net {
    let said = FileConfig {
        registration: Some(Registration::Open),
        block_duration: Some(Duration::from_secs(1)),
        ..FileConfig::default()
    };
    Net::start_with(dir, said)
}

fn holds(file: &Path, text: &[u8]) -> bool {
    fs::read(file).is_ok_and(|bytes| bytes.windows(text.len()).any(|window| window == text))
}

fn any_file_holds(dir: &Path, text: &[u8]) -> bool {
    fs::read_dir(dir).unwrap().any(|entry| holds(&entry.unwrap().path(), text))
}

#[tokio::test]
async fn a_login_gives_the_sealed_seed_of_the_key_and_disturbs_no_one() {
    let dir = tempfile::tempdir().unwrap();
    let net = Net::start(dir.path());
    let mut alice = peer_with_password(&net, "alice").await;
    let given = log_in(&net, "alice", PASSWORD).await.unwrap();
    let expected =
        LoggedIn { id: alice.id(), key: alice.secret.public().unwrap(), sealed: blob(SEALED), online: true };
    assert_eq!(given, expected);
    assert_eq!(alice.ask(Op::Blocks).await, Ok(Answer::Blocks(Vec::new())), "she is still signed in");
    alice.sign_out().await;
    assert!(!log_in(&net, "alice", PASSWORD).await.unwrap().online);
    net.stop().await;
    assert!(any_file_holds(dir.path(), SEALED));
    assert!(!any_file_holds(dir.path(), PASSWORD.as_bytes()), "the password is in a file");
}

#[tokio::test]
async fn two_machines_with_one_key_take_over_from_each_other_by_force_alone() {
    let dir = tempfile::tempdir().unwrap();
    let net = Net::start(dir.path());
    let mut old = net.peer("alice").await;
    let secret = old.secret.clone();
    let enter = async |instance, force| {
        let mut client = Client::connect(&net, secret.clone()).await;
        let signed_in = client.enter(Op::SignIn(SignIn { force, ..sign_in(instance, Seq(0)) })).await;
        signed_in.map(|()| client)
    };
    assert_eq!(enter(2, false).await.err().unwrap().code, Code::Conflict);
    let mut new = enter(2, true).await.unwrap();
    assert_eq!(taken_over(&mut old).await, NoticeKind::TakenOver);
    assert_eq!(enter(1, false).await.err().unwrap().code, Code::Conflict);
    let _old = enter(1, true).await.unwrap();
    assert_eq!(taken_over(&mut new).await, NoticeKind::TakenOver);
    net.stop().await;
}

async fn taken_over(client: &mut Client) -> NoticeKind {
    let Some(FromDirectory::Notice(notice)) = client.next().await else { panic!("no notice") };
    assert_eq!(client.next().await, None);
    notice.kind
}

#[tokio::test]
async fn three_attempts_lock_the_name_longer_each_time_but_never_its_key() {
    let dir = tempfile::tempdir().unwrap();
    let net = quick(dir.path());
    let mut alice = peer_with_password(&net, "alice").await;
    for lockout in [1000, 2000] {
        let mut wrong = 0;
        wait_until_async("the lock-out ends", async || {
            match guess(&net, "alice").await {
                Reason::WrongPassword => wrong += 1,
                Reason::Locked => assert_eq!(wrong, 0),
                other => panic!("{other:?}"),
            }
            wrong == PASSWORD_TRIES
        })
        .await;
        let locked = begin(&net, "alice", PASSWORD).await.err().unwrap();
        assert_eq!((locked.code, locked.reason), (Code::Denied, Some(Reason::Locked)));
        let wait = locked.retry_after_ms.unwrap();
        assert!((lockout - 999..=lockout).contains(&wait), "{locked:?}");
        alice.sign_out().await;
        alice = net.again(&alice).await;
    }
    wait_until_async("the lock-out ends", async || match log_in(&net, "alice", PASSWORD).await {
        Ok(given) => given.id == alice.id(),
        Err(error) => {
            assert_eq!(error.reason, Some(Reason::Locked));
            false
        }
    })
    .await;
    net.stop().await;
}

#[tokio::test]
async fn logins_that_succeed_are_no_attempts() {
    let dir = tempfile::tempdir().unwrap();
    let net = Net::start(dir.path());
    let _alice = peer_with_password(&net, "alice").await;
    for _ in 0..PASSWORD_TRIES {
        log_in(&net, "alice", PASSWORD).await.unwrap();
    }
    assert_eq!(guess(&net, "alice").await, Reason::WrongPassword);
    net.stop().await;
}

/// The bytes that come back for a request, whatever they are.
async fn raw(client: &mut Client, op: Op) -> Vec<u8> {
    client.send(&ToDirectory::request(1, op)).await;
    client.reader.next().await.unwrap().unwrap()
}

#[tokio::test]
async fn nothing_tells_whether_a_name_exists() {
    let dir = tempfile::tempdir().unwrap();
    let net = Net::start(dir.path());
    let _alice = peer_with_password(&net, "alice").await;
    let _bob = net.peer("bob").await;
    let names = ["alice", "nobody", "bob"];
    for attempt in 0..PASSWORD_TRIES {
        let (_, request) = LoggingIn::begin("wrong horse".parse().unwrap()).unwrap();
        let mut outcomes = Vec::new();
        for name in names {
            let mut client = Client::connect(&net, SecretKey::generate().unwrap()).await;
            let started = raw(&mut client, start(name, request.clone())).await;
            // Of a machine that does not give up, and has no proof.
            outcomes.push((started.len(), raw(&mut client, Op::LoginFinish(blob([7; 64]))).await));
        }
        assert!(outcomes.iter().all(|outcome| *outcome == outcomes[0]), "attempt {attempt}: {outcomes:?}");
    }
    for name in names {
        let error = begin(&net, name, PASSWORD).await.err().unwrap();
        assert_eq!((error.code, error.reason), (Code::Denied, Some(Reason::Locked)), "{name}");
        assert!(error.message.starts_with("too many wrong passwords for this name: try again in "));
    }
    net.stop().await;
}

#[tokio::test]
async fn guesses_at_once_are_no_more_than_guesses_in_a_row() {
    let dir = tempfile::tempdir().unwrap();
    let net = Net::start(dir.path());
    let _alice = peer_with_password(&net, "alice").await;
    let guesses = join_all((0..16).map(|_| guess(&net, "alice"))).await;
    let answered = guesses.iter().filter(|reason| **reason == Reason::WrongPassword).count();
    assert_eq!(u32::try_from(answered), Ok(PASSWORD_TRIES), "{guesses:?}");
    net.stop().await;
}

#[tokio::test]
async fn one_address_has_so_many_attempts_a_minute() {
    let dir = tempfile::tempdir().unwrap();
    let net = Net::start(dir.path());
    let mut alice = net.peer("alice").await;
    let mut answered = 0;
    let refused = loop {
        match begin(&net, &format!("n{answered}"), "wrong horse").await {
            Ok(_) => answered += 1,
            Err(error) => break error,
        }
        // While it tries, some are allowed again.
        assert!(answered < 2 * PASSWORDS_PER_MINUTE, "nothing limits it");
    };
    assert!(answered >= PASSWORDS_PER_MINUTE);
    assert_eq!((refused.code, refused.reason), (Code::Denied, Some(Reason::Limit)));
    assert!((1..=60_000).contains(&refused.retry_after_ms.unwrap()), "{refused:?}");
    alice.sign_out().await;
    drop(net.again(&alice).await);
    net.stop().await;
}

#[tokio::test]
async fn a_password_is_changed_and_removed_and_needs_a_name() {
    let dir = tempfile::tempdir().unwrap();
    let net = Net::start(dir.path());
    let mut alice = peer_with_password(&net, "alice").await;
    set_password(&mut alice, &net, "another horse").await.unwrap();
    assert_eq!(log_in(&net, "alice", PASSWORD).await, Err(wrong()));
    log_in(&net, "alice", "another horse").await.unwrap();
    assert_eq!(alice.ask(Op::PasswordRemove).await, Ok(Answer::Done));
    assert_eq!(log_in(&net, "alice", "another horse").await, Err(wrong()));
    let mut nameless = Client::connect(&net, SecretKey::generate().unwrap()).await;
    let register = Register { name: None, invite: None, password: None, sign_in: sign_in(1, Seq(0)) };
    nameless.enter(Op::Register(register)).await.unwrap();
    assert_eq!(set_password(&mut nameless, &net, PASSWORD).await.unwrap_err().code, Code::Invalid);
    net.stop().await;
    assert!(!any_file_holds(dir.path(), SEALED), "what was removed is still in a file");
}

#[tokio::test]
async fn a_password_that_is_changed_during_a_login_is_not_good_any_more() {
    let dir = tempfile::tempdir().unwrap();
    let net = Net::start(dir.path());
    let mut alice = peer_with_password(&net, "alice").await;
    let Begun { mut client, logging_in, answer } = begin(&net, "alice", PASSWORD).await.unwrap();
    set_password(&mut alice, &net, "another horse").await.unwrap();
    let proof = logging_in.finish(answer.as_bytes(), &net.link.key).unwrap().finalization;
    assert_eq!(client.ask(Op::LoginFinish(blob(proof))).await, Err(wrong()));
    net.stop().await;
}

#[tokio::test]
async fn the_operator_clears_a_password_and_its_peer_is_told_to_set_it_once_more() {
    let dir = tempfile::tempdir().unwrap();
    let net = Net::start(dir.path());
    let mut alice = peer_with_password(&net, "alice").await;
    let id = alice.id().to_string();
    let cleared = run(dir.path(), &["password", "--clear", "alice", "--json"]).await.json();
    assert_eq!(cleared, json!({ "schema": 1, "peer": id, "cleared": true }));
    assert_eq!(log_in(&net, "alice", PASSWORD).await, Err(wrong()));
    let again = run(dir.path(), &["password", "--clear", &id]).await;
    assert_eq!((again.code, &*again.out), (0, "there was no password\n"));
    let nobody = run(dir.path(), &["password", "--clear", "nobody", "--json"]).await;
    assert_eq!(nobody.failure(), (5, "not_found".into()));
    assert_eq!(run(dir.path(), &["password", "--json"]).await.failure(), (2, "usage".into()));
    alice.sign_out().await;
    let mut alice = net.again(&alice).await;
    assert!(alice.signed_in.as_ref().unwrap().password_again);
    set_password(&mut alice, &net, PASSWORD).await.unwrap();
    log_in(&net, "alice", PASSWORD).await.unwrap();
    alice.sign_out().await;
    assert!(!net.again(&alice).await.signed_in.unwrap().password_again);
    net.stop().await;
}

#[tokio::test]
async fn a_login_is_two_messages_and_nothing_else() {
    let dir = tempfile::tempdir().unwrap();
    let net = Net::start(dir.path());
    let mut alice = peer_with_password(&net, "alice").await;
    let mut client = Client::connect(&net, SecretKey::generate().unwrap()).await;
    assert_eq!(client.refusal(Op::LoginFinish(blob([7; 64]))).await.0, Code::Denied);
    for (name, op) in [("n1", Op::Blocks), ("n2", Op::SignIn(sign_in(2, Seq(0))))] {
        let Begun { mut client, .. } = begin(&net, name, PASSWORD).await.unwrap();
        assert_eq!(client.refusal(op).await, (Code::Denied, "sign in first".into()));
        assert_eq!(client.next().await, None);
    }
    for request in [vec![7; 96], vec![0; 32]] {
        let mut client = Client::connect(&net, SecretKey::generate().unwrap()).await;
        assert_eq!(client.refusal(start("n3", request)).await.0, Code::Invalid);
    }
    assert_eq!(alice.refusal(start("alice", vec![7; 96])).await.0, Code::Invalid, "she is signed in");
    assert_eq!(alice.refusal(Op::PasswordStart(blob([0xff; 32]))).await.0, Code::Invalid);
    let nonsense = Escrow { record: blob([0xff; 192]), sealed: blob(SEALED) };
    assert_eq!(alice.refusal(Op::PasswordFinish(Box::new(nonsense))).await.0, Code::Invalid);
    log_in(&net, "alice", PASSWORD).await.unwrap();
    net.stop().await;
}

#[tokio::test]
async fn the_ways_of_the_first_release_are_refused_but_for_removing() {
    let dir = tempfile::tempdir().unwrap();
    let net = Net::start(dir.path());
    let mut alice = peer_with_password(&net, "alice").await;
    let password = || PASSWORD.parse().unwrap();
    let register = Register {
        name: Some("bob".parse().unwrap()),
        invite: None,
        password: Some(password()),
        sign_in: sign_in(1, Seq(0)),
    };
    let recover =
        Recover { name: "alice".parse().unwrap(), password: password(), sign_in: sign_in(1, Seq(0)) };
    for op in [Op::Register(register), Op::Recover(Box::new(recover))] {
        let mut client = Client::connect(&net, SecretKey::generate().unwrap()).await;
        let (code, text) = client.refusal(op).await;
        assert!(code == Code::Unsupported && text.contains("update peerd"), "{text}");
    }
    net.peer("bob").await;
    assert_eq!(alice.refusal(Op::SetPassword(Some(password()))).await.0, Code::Unsupported);
    log_in(&net, "alice", PASSWORD).await.unwrap();
    assert_eq!(alice.ask(Op::SetPassword(None)).await, Ok(Answer::Done));
    assert_eq!(log_in(&net, "alice", PASSWORD).await, Err(wrong()));
    net.stop().await;
    assert!(!any_file_holds(dir.path(), PASSWORD.as_bytes()), "the password is in a file");
}

/// `testdata/d608605` is a directory and its peers as the release left them; Bob had a password.
#[tokio::test]
async fn a_password_of_the_first_release_has_to_be_set_once_more() {
    let dir = tempfile::tempdir().unwrap();
    let kept = Path::new(env!("CARGO_MANIFEST_DIR")).join("../testdata/d608605");
    for name in ["dosd.db", "server.key"] {
        let copy = dir.path().join(name);
        fs::copy(kept.join("dosd").join(name), &copy).unwrap();
        fs::set_permissions(copy, fs::Permissions::from_mode(0o600)).unwrap();
    }
    assert!(holds(&dir.path().join("dosd.db"), b"$argon2id$"));
    let net = Net::start(dir.path());
    let enter = async |name: &str| {
        let text = fs::read_to_string(kept.join(name).join("identity.toml")).unwrap();
        let secret = text.split('"').nth(1).unwrap().parse().unwrap();
        let mut client = Client::connect(&net, secret).await;
        client.enter(Op::SignIn(sign_in(1, Seq(0)))).await.unwrap();
        client
    };
    assert!(!enter("alice").await.signed_in.unwrap().password_again);
    assert_eq!(log_in(&net, "bob", "correct horse battery").await, Err(wrong()));
    let mut bob = enter("bob").await;
    assert!(bob.signed_in.as_ref().unwrap().password_again);
    set_password(&mut bob, &net, PASSWORD).await.unwrap();
    bob.sign_out().await;
    assert!(!enter("bob").await.signed_in.unwrap().password_again);
    assert_eq!(log_in(&net, "bob", PASSWORD).await.unwrap().id, bob.id());
    net.stop().await;
    assert!(!holds(&dir.path().join("dosd.db"), b"$argon2id$"), "the hash is still there");
}
