//! An ID is recovered with its password, by no one else, and no one learns from it which names there are.

use std::{fs, path::Path, time::Duration};

use dos_protocol::{
    Allowance, Code, ImageNo, PeerId, Reason, Seq, SplitId, ViewId, WireError,
    directory::{
        Answer, FromDirectory, KeyShare, NoticeKind, Op, Recover, Register, RequestAccess, Share, SignIn,
        ToDirectory, ViewsChange,
    },
    key::SecretKey,
    limits::{PAGE_MAX, PASSWORD_TRIES, PASSWORDS_PER_MINUTE},
    model::Grant,
};
use dos_testing::wait_until_async;
use dosd::config::{FileConfig, Registration};
use futures_util::future::join_all;

use crate::{
    net::{Client, Net, sign_in},
    shelf::{share, views},
};

const PASSWORD: &str = "correct horse";

fn set_password(text: &str) -> Op {
    Op::SetPassword(Some(text.parse().unwrap()))
}

/// On a new machine, which has stored nothing.
fn recover(name: &str, password: &str) -> Op {
    let (name, password) = (name.parse().unwrap(), password.parse().unwrap());
    Op::Recover(Box::new(Recover { name, password, sign_in: sign_in(2, Seq(0)) }))
}

/// A new machine that tries to take an ID back.
async fn attempt(net: &Net, name: &str, password: &str) -> Result<Client, WireError> {
    let mut client = Client::connect(net, SecretKey::generate().unwrap()).await;
    client.enter(recover(name, password)).await.map(|()| client)
}

async fn reason(net: &Net, name: &str, password: &str) -> Reason {
    let error = attempt(net, name, password).await.err().expect("that was the right password");
    assert_eq!(error.code, Code::Denied);
    error.reason.unwrap()
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

async fn peer_with_password(net: &Net, name: &str) -> Client {
    let mut client = net.peer(name).await;
    assert_eq!(client.ask(set_password(PASSWORD)).await, Ok(Answer::Done));
    client
}

#[tokio::test]
async fn a_recovery_replaces_the_key_and_the_old_machine_is_told_and_refused() {
    let dir = tempfile::tempdir().unwrap();
    let net = Net::start(dir.path());
    let secret = SecretKey::generate().unwrap();
    let mut old = Client::connect(&net, secret.clone()).await;
    let password = Some(PASSWORD.parse().unwrap());
    let name = Some("alice".parse().unwrap());
    let register = Register { name, invite: None, password, sign_in: sign_in(1, Seq(0)) };
    old.enter(Op::Register(register)).await.unwrap();
    let new = attempt(&net, "alice", PASSWORD).await.unwrap();
    assert_eq!(new.id(), old.id());
    assert_eq!(new.signed_in.as_ref().unwrap().name.as_ref().unwrap().as_str(), "alice");
    match old.next().await {
        Some(FromDirectory::Notice(notice)) => assert_eq!(notice.kind, NoticeKind::Replaced),
        other => panic!("{other:?}"),
    }
    assert_eq!(old.next().await, None);
    for force in [false, true] {
        let mut again = Client::connect(&net, secret.clone()).await;
        let back = SignIn { force, ..sign_in(1, Seq(0)) };
        assert_eq!(again.enter(Op::SignIn(back)).await.unwrap_err().code, Code::NotFound);
    }
    let mut again = Client::connect(&net, new.secret.clone()).await;
    again.enter(Op::SignIn(sign_in(2, new.stored))).await.unwrap();
    net.stop().await;
    let mut files = fs::read_dir(dir.path()).unwrap().map(|entry| entry.unwrap().path());
    assert!(!files.any(|file| holds(&file, PASSWORD.as_bytes())), "the password is in a file");
}

fn holds(file: &Path, text: &[u8]) -> bool {
    fs::read(file).is_ok_and(|bytes| bytes.windows(text.len()).any(|window| window == text))
}

#[tokio::test]
async fn a_new_machine_goes_on_behind_what_the_old_one_has_stored() {
    let dir = tempfile::tempdir().unwrap();
    let net = Net::start(dir.path());
    let (mut alice, mut old) = (net.peer("alice").await, peer_with_password(&net, "bob").await);
    let sea = alice.publish("sea", 1).await;
    alice.share(sea.no, old.id(), views(2)).await;
    old.update().await;
    old.acknowledge().await;
    // The answer comes after the acknowledgement was read.
    rights(&mut old).await;
    let mut new = attempt(&net, "bob", PASSWORD).await.unwrap();
    let signed_in = new.signed_in.clone().unwrap();
    assert_eq!((signed_in.since, signed_in.latest), (Seq(1), Seq(1)));
    alice.share(sea.no, old.id(), views(3)).await;
    new.update().await;
    assert_eq!(new.stored, Seq(2));
    net.stop().await;
}

#[tokio::test]
async fn a_recovery_whose_answer_was_lost_is_repeated_with_the_same_key_even_while_locked() {
    let dir = tempfile::tempdir().unwrap();
    let net = Net::start(dir.path());
    let alice = peer_with_password(&net, "alice").await;
    let new = attempt(&net, "alice", PASSWORD).await.unwrap();
    for _ in 0..=PASSWORD_TRIES {
        reason(&net, "alice", "wrong horse").await;
    }
    let mut again = Client::connect(&net, new.secret.clone()).await;
    again.enter(recover("alice", PASSWORD)).await.unwrap();
    assert_eq!(again.id(), alice.id());
    let mut other = Client::connect(&net, new.secret.clone()).await;
    assert_eq!(other.enter(recover("bob", PASSWORD)).await.unwrap_err().code, Code::Conflict);
    net.stop().await;
}

#[tokio::test]
async fn three_wrong_passwords_lock_the_name_longer_each_time_but_never_its_key() {
    let dir = tempfile::tempdir().unwrap();
    let net = quick(dir.path());
    let mut alice = peer_with_password(&net, "alice").await;
    for lockout in [1000, 2000] {
        let mut wrong = 0;
        wait_until_async("the lock-out ends", async || {
            match reason(&net, "alice", "wrong horse").await {
                Reason::WrongPassword => wrong += 1,
                Reason::Locked => assert_eq!(wrong, 0),
                other => panic!("{other:?}"),
            }
            wrong == PASSWORD_TRIES
        })
        .await;
        let locked = attempt(&net, "alice", PASSWORD).await.err().unwrap();
        assert_eq!((locked.code, locked.reason), (Code::Denied, Some(Reason::Locked)));
        let wait = locked.retry_after_ms.unwrap();
        assert!((lockout - 999..=lockout).contains(&wait), "{locked:?}");
        alice.sign_out().await;
        alice = net.again(&alice).await;
    }
    wait_until_async("the lock-out ends", async || match attempt(&net, "alice", PASSWORD).await {
        Ok(new) => new.id() == alice.id(),
        Err(error) => {
            assert_eq!(error.reason, Some(Reason::Locked));
            false
        }
    })
    .await;
    net.stop().await;
}

/// The bytes that come back, whatever they are.
async fn raw(net: &Net, name: &str, password: &str) -> Vec<u8> {
    let mut client = Client::connect(net, SecretKey::generate().unwrap()).await;
    client.send(&ToDirectory::request(1, recover(name, password))).await;
    client.reader.next().await.unwrap().unwrap()
}

#[tokio::test]
async fn nothing_tells_whether_a_name_exists() {
    let dir = tempfile::tempdir().unwrap();
    let net = Net::start(dir.path());
    let _alice = peer_with_password(&net, "alice").await;
    let _bob = net.peer("bob").await;
    for attempt in 0..PASSWORD_TRIES {
        let known = raw(&net, "alice", "wrong horse").await;
        assert_eq!(known, raw(&net, "nobody", "wrong horse").await, "attempt {attempt}");
        assert_eq!(known, raw(&net, "bob", "wrong horse").await, "attempt {attempt}");
    }
    for name in ["alice", "nobody", "bob"] {
        let error = attempt(&net, name, PASSWORD).await.err().unwrap();
        assert_eq!((error.code, error.reason), (Code::Denied, Some(Reason::Locked)), "{name}");
        assert!(error.message.starts_with("too many wrong passwords for this name: try again in "));
    }
    assert_eq!(reason(&net, "stranger", PASSWORD).await, Reason::WrongPassword);
    net.stop().await;
}

#[tokio::test]
async fn guesses_at_once_are_no_more_than_guesses_in_a_row() {
    let dir = tempfile::tempdir().unwrap();
    let net = Net::start(dir.path());
    let _alice = peer_with_password(&net, "alice").await;
    let guesses = join_all((0..16).map(|_| reason(&net, "alice", "wrong horse"))).await;
    let looked_at = guesses.iter().filter(|reason| **reason == Reason::WrongPassword).count();
    assert_eq!(u32::try_from(looked_at), Ok(PASSWORD_TRIES), "{guesses:?}");
    net.stop().await;
}

#[tokio::test]
async fn one_address_has_so_many_attempts_a_minute() {
    let dir = tempfile::tempdir().unwrap();
    let net = Net::start(dir.path());
    let mut alice = peer_with_password(&net, "alice").await;
    let mut looked_at = 0;
    let refused = loop {
        let error = attempt(&net, &format!("n{looked_at}"), "wrong horse").await.err().unwrap();
        if error.reason != Some(Reason::WrongPassword) {
            break error;
        }
        looked_at += 1;
        // While it tries, some are allowed again.
        assert!(looked_at < 2 * PASSWORDS_PER_MINUTE, "nothing limits it");
    };
    assert!(looked_at >= PASSWORDS_PER_MINUTE);
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
    alice.ask(set_password("another horse")).await.unwrap();
    assert_eq!(reason(&net, "alice", PASSWORD).await, Reason::WrongPassword);
    let mut new = attempt(&net, "alice", "another horse").await.unwrap();
    assert_eq!(new.ask(Op::SetPassword(None)).await, Ok(Answer::Done));
    assert_eq!(reason(&net, "alice", "another horse").await, Reason::WrongPassword);
    let mut nameless = Client::connect(&net, SecretKey::generate().unwrap()).await;
    let register = |password| {
        let sign_in = sign_in(1, Seq(0));
        Op::Register(Register { name: None, invite: None, password, sign_in })
    };
    let refused = nameless.enter(register(Some(PASSWORD.parse().unwrap()))).await.unwrap_err();
    assert_eq!(refused.code, Code::Invalid);
    let mut nameless = Client::connect(&net, SecretKey::generate().unwrap()).await;
    nameless.enter(register(None)).await.unwrap();
    assert_eq!(nameless.refusal(set_password(PASSWORD)).await.0, Code::Invalid);
    net.stop().await;
}

async fn rights(client: &mut Client) -> Vec<Grant> {
    let (mut all, mut after) = (Vec::new(), None);
    loop {
        let Ok(Answer::Grants { grants, more }) = client.ask(Op::Grants { after }).await else { panic!() };
        assert!(grants.len() <= usize::try_from(PAGE_MAX).unwrap());
        after = grants.last().map(|grant| (grant.image, grant.viewer));
        all.extend(grants);
        if !more {
            return all;
        }
    }
}

#[tokio::test]
async fn a_peer_that_has_lost_its_list_gets_all_of_its_grants_and_pending_requests() {
    let dir = tempfile::tempdir().unwrap();
    let net = Net::start(dir.path());
    let (mut alice, mut bob) = (net.peer("alice").await, net.peer("bob").await);
    let mut carol = net.peer("carol").await;
    let (sea, hill) = (alice.publish("sea", 1).await, bob.publish("hill", 2).await);
    let theirs = carol.publish("tree", 3).await;
    alice.share(sea.no, bob.id(), views(2)).await;
    alice.share(sea.no, carol.id(), views(2)).await;
    alice.share(sea.no, carol.id(), ViewsChange::Revoke).await;
    bob.share(hill.no, alice.id(), views(1)).await;
    carol.share(theirs.no, bob.id(), views(1)).await;
    let key = |grant: &Grant| (grant.image, grant.viewer, grant.revoked);
    let mut expected: Vec<(ImageNo, PeerId, bool)> =
        vec![(sea.no, bob.id(), false), (sea.no, carol.id(), true), (hill.no, alice.id(), false)];
    expected.sort_unstable();
    assert_eq!(rights(&mut alice).await.iter().map(key).collect::<Vec<_>>(), expected);
    let ask = |image: &str| {
        Op::Request(RequestAccess { image: image.parse().unwrap(), views: 1, note: None, offline: false })
    };
    alice.ask(ask("carol/tree")).await.unwrap();
    bob.ask(ask("alice/sea")).await.unwrap();
    let Ok(Answer::Request(asked)) = carol.ask(ask("alice/sea")).await else { panic!() };
    carol.ask(Op::Cancel(asked.request)).await.unwrap();
    let mut alice = net.again(&alice).await;
    let Ok(Answer::Requests { requests: asks, more: false }) = alice.ask(Op::Requests { after: None }).await
    else {
        panic!()
    };
    let pairs: Vec<_> = asks.iter().map(|asked| (asked.path.owner, asked.from)).collect();
    assert_eq!(pairs, [(carol.id(), alice.id()), (alice.id(), bob.id())]);
    let after = Some(asks[0].request);
    let Ok(Answer::Requests { requests: rest, .. }) = alice.ask(Op::Requests { after }).await else {
        panic!()
    };
    assert_eq!(rest, asks[1..]);
    net.stop().await;
}

#[tokio::test]
async fn rights_come_in_pages() {
    let dir = tempfile::tempdir().unwrap();
    let net = Net::start(dir.path());
    let (mut alice, mut bob) = (net.peer("alice").await, net.peer("bob").await);
    let count = usize::try_from(PAGE_MAX).unwrap() + 3;
    for number in 0..count {
        let image = alice.publish(&format!("i{number}"), u8::try_from(number % 250).unwrap()).await;
        alice.share(image.no, bob.id(), views(1)).await;
    }
    let all = rights(&mut bob).await;
    assert_eq!(all.len(), count);
    assert!(all.is_sorted_by_key(|grant| grant.image));
    net.stop().await;
}

#[tokio::test]
async fn a_right_under_another_key_keeps_its_views_and_makes_the_old_share_stale() {
    let dir = tempfile::tempdir().unwrap();
    let net = Net::start(dir.path());
    let (mut alice, mut bob) = (net.peer("alice").await, net.peer("bob").await);
    let sea = alice.publish("sea", 1).await;
    let key = Some(KeyShare { split: SplitId::from([9; 16]), share: [9; 32], check: None });
    let Op::Share(plain) = share(sea.no, bob.id(), ViewsChange::Rekey) else { panic!() };
    let rekey = Op::Share(Share { key, ..plain });
    let none = alice.refusal(rekey.clone()).await;
    assert_eq!(none.0, Code::NotFound);
    alice.share(sea.no, bob.id(), views(2)).await;
    let view = ViewId::generate();
    bob.spend(sea.no, view).await.unwrap();
    let Ok(Answer::Grant(grant)) = alice.ask(rekey).await else { panic!() };
    assert_eq!((grant.views_left, grant.views_used), (Allowance::Views(1), 1));
    assert_eq!(grant.split, SplitId::from([9; 16]));
    assert_eq!(bob.spend(sea.no, ViewId::generate()).await.unwrap_err().code, Code::Stale);
    net.stop().await;
}
