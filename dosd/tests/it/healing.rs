//! Data that went back in time: the directory's, which peers tell again what they know, and a peer's, whose checkouts are over.

use std::{path::Path, process::Stdio};

use dos_protocol::{
    Allowance, Code, Incarnation, Nonce, Seq, ViewId, WireError,
    directory::{
        Answer, Asserted, AssertedCheckout, AssertedGrant, AssertedImage, Assertion, Attempt, Checkin,
        DataState, Delivered, FromDirectory, KeyShare, NoticeKind, Op, PeerState, Reclaim, SignIn, SpendKind,
        Update, ViewedKind, ViewsChange,
    },
    model::Grant,
};

use crate::{
    commands::{dosd, run},
    messages::message,
    net::{Client, Net, sign_in},
    programs::Served,
    shelf::{SHARE, SPLIT, publication, spend, views},
};

fn state(number: u64, nonce: u8, incarnation: Option<Incarnation>) -> PeerState {
    let attempt = Attempt { number, nonce: Nonce::from([nonce; 16]) };
    PeerState { attempt, incarnation, stored_at: None }
}

fn with(state: PeerState, stored: Seq) -> SignIn {
    SignIn { state: Some(state), ..sign_in(1, stored) }
}

/// The same peer again, with this state.
async fn back(net: &Net, client: &Client, state: PeerState) -> Client {
    let mut again = Client::connect(net, client.secret.clone()).await;
    again.enter(Op::SignIn(with(state, client.stored))).await.unwrap();
    again
}

fn data(client: &Client) -> DataState {
    client.signed_in.as_ref().unwrap().data.clone().unwrap()
}

async fn assert(client: &mut Client, assertion: Assertion) -> Vec<Asserted> {
    match client.ask(Op::Assert(assertion)).await {
        Ok(Answer::Asserted(answers)) => answers,
        other => panic!("{other:?}"),
    }
}

async fn assert_grant(client: &mut Client, grant: &Grant) -> Vec<Asserted> {
    let key = KeyShare { split: SPLIT.into(), share: SHARE, check: None };
    let key = (client.id() == grant.path.owner).then_some(key);
    assert(client, Assertion::Grants(vec![AssertedGrant { grant: grant.clone(), key }])).await
}

/// Saves the directory's data in a file beside it.
pub(crate) async fn backup(dir: &Path) {
    let saved = run(dir, &["backup", dir.join("backup").to_str().unwrap(), "--json"]).await;
    assert_eq!(saved.code, 0, "{saved:?}");
}

/// A directory made from the backup of another one, at its address.
pub(crate) async fn restored(from: &Path, to: &Path, net: Net) -> Net {
    let address = net.address;
    net.stop().await;
    let ran = run(to, &["restore", from.join("backup").to_str().unwrap(), "--json"]).await;
    assert_eq!(ran.code, 0, "{ran:?}");
    std::fs::copy(from.join("server.key"), to.join("server.key")).unwrap();
    Net::start_at(to, address)
}

/// Whether the store is sound.
async fn is_sound(dir: &Path) {
    let checked = run(dir, &["check", "--json"]).await;
    assert_eq!(checked.code, 0, "{checked:?}");
}

#[tokio::test]
async fn the_incarnation_is_the_same_until_a_peer_proves_that_the_data_is_older_than_its_own() {
    let dir = tempfile::tempdir().unwrap();
    let net = Net::start(dir.path());
    let (alice, bob) = (net.peer("alice").await, net.peer("bob").await);
    let first = data(&alice);
    assert_eq!((data(&bob).incarnation, first.renewed), (first.incarnation, false));
    let address = net.address;
    net.stop().await;
    let net = Net::start_at(dir.path(), address);
    let mut bob = net.again(&bob).await;
    assert_eq!(data(&bob).incarnation, first.incarnation, "after a restart");
    let mut ahead = Client::connect(&net, alice.secret.clone()).await;
    ahead.enter(Op::SignIn(with(state(1, 1, Some(first.incarnation)), Seq(9)))).await.unwrap();
    let second = data(&ahead);
    assert!(second.incarnation != first.incarnation && second.renewed);
    // Who is online meets it at once.
    match bob.next().await {
        Some(FromDirectory::Notice(notice)) => assert_eq!(notice.kind, NoticeKind::Shutdown),
        other => panic!("{other:?}"),
    }
    let bob = net.again(&bob).await;
    assert_eq!(data(&bob).incarnation, second.incarnation);
    // Another proof on the same day changes nothing but that peer's numbers.
    let mut again = Client::connect(&net, alice.secret.clone()).await;
    again.enter(Op::SignIn(with(state(2, 1, Some(second.incarnation)), Seq(20)))).await.unwrap();
    assert_eq!(data(&again).incarnation, second.incarnation);
    assert_eq!(again.signed_in.as_ref().unwrap().latest, Seq(20));
    net.stop().await;
    is_sound(dir.path()).await;
}

/// Its blocker may have stored a row before the block has made it say nothing, and its word for that may have been lost.
#[tokio::test]
async fn what_a_block_has_voided_is_no_sign_of_older_data() {
    let dir = tempfile::tempdir().unwrap();
    let net = Net::start(dir.path());
    let (mut alice, bob) = (net.peer("alice").await, net.peer("bob").await);
    let mut bob = back(&net, &bob, state(1, 1, None)).await;
    let first = data(&bob).incarnation;
    alice.write_to(message("bob", "hello")).await;
    assert!(matches!(bob.update().await, Update::Message(_)));
    bob.block("alice").await;
    let told = PeerState { stored_at: bob.stored_at, ..state(2, 2, Some(first)) };
    let bob = back(&net, &bob, told).await;
    assert_eq!((data(&bob).incarnation, data(&bob).renewed), (first, false));
    net.stop().await;
}

#[tokio::test]
async fn what_waits_for_a_peer_that_is_ahead_is_sent_behind_what_it_has() {
    let (dir, place) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let net = Net::start(dir.path());
    let (mut alice, mut bob) = (net.peer("alice").await, net.peer("bob").await);
    let sea = alice.publish("sea", 1).await;
    alice.share(sea.no, bob.id(), views(5)).await;
    backup(dir.path()).await;
    for count in 6..10 {
        alice.share(sea.no, bob.id(), views(count)).await;
    }
    for _ in 0..5 {
        bob.update().await;
    }
    let net = restored(dir.path(), place.path(), net).await;
    let mut alice = net.again(&alice).await;
    // Before bob is back: these are numbers that he has stored with another meaning.
    alice.write_to(message("bob", "one")).await;
    alice.write_to(message("bob", "two")).await;
    let mut bob = net.again(&bob).await;
    let mut texts = Vec::new();
    while texts.len() < 2 {
        if let Update::Message(letter) = bob.update().await {
            texts.push(letter.text);
        }
    }
    assert_eq!(texts, [Box::from("one"), "two".into()]);
    bob.acknowledge().await;
    net.stop().await;
    is_sound(place.path()).await;
}

#[tokio::test]
async fn a_state_that_was_put_back_from_a_copy_is_noticed_and_a_lost_answer_is_not_one() {
    let dir = tempfile::tempdir().unwrap();
    let net = Net::start(dir.path());
    let bob = net.peer("bob").await;
    let here = Some(data(&bob).incarnation);
    for (number, nonce, restored, attempts) in [
        (7, 1, false, 7),
        // The same attempt once more.
        (7, 1, false, 7),
        (8, 2, false, 8),
        // Another one of the same number, and a lower one.
        (8, 3, true, 8),
        (5, 4, true, 8),
        (9, 5, false, 9),
    ] {
        let told = data(&back(&net, &bob, state(number, nonce, here)).await);
        assert_eq!((told.restored, told.attempts), (restored, attempts), "{number} {nonce}");
    }
    // A sign-in that is refused is no attempt.
    let _live = back(&net, &bob, state(10, 6, here)).await;
    let mut other = Client::connect(&net, bob.secret.clone()).await;
    let sign_in = SignIn { instance: dos_protocol::Instance(2), ..with(state(30, 7, here), bob.stored) };
    assert_eq!(other.enter(Op::SignIn(sign_in)).await.unwrap_err().code, Code::Conflict);
    assert!(!data(&back(&net, &bob, state(11, 8, here)).await).restored);
    net.stop().await;
}

#[tokio::test]
async fn held_views_that_are_given_up_stay_used_and_their_owner_gets_a_receipt() {
    let dir = tempfile::tempdir().unwrap();
    let net = Net::start(dir.path());
    let (alice, mut bob) = (net.peer("alice").await, net.peer("bob").await);
    let mut alice = back(&net, &alice, state(1, 1, None)).await;
    let sea = alice.publish("sea", 1).await;
    alice.share(sea.no, bob.id(), views(5)).await;
    let mut checkout = spend(sea.no, ViewId::generate());
    (checkout.views, checkout.kind) = (3, SpendKind::Checkout);
    let view = checkout.view;
    bob.ask(Op::Spend(checkout)).await.unwrap();
    let give_up = |given_up| Checkin { image: sea.no, checkout: view, unused: 0, given_up };
    assert_eq!(bob.refusal(Op::Checkin(give_up(4))).await.0, Code::Invalid);
    bob.ask(Op::Checkin(give_up(2))).await.unwrap();
    // Once: neither again nor given back afterwards.
    bob.ask(Op::Checkin(give_up(2))).await.unwrap();
    bob.ask(Op::Checkin(Checkin { unused: 3, ..give_up(0) })).await.unwrap();
    let mut receipts = Vec::new();
    while receipts.len() < 2 {
        if let Update::Viewed(viewed) = alice.update().await {
            receipts.push((viewed.kind, viewed.views, viewed.grant.views_used));
        }
    }
    assert_eq!(receipts, [(ViewedKind::Checkout, 3, 3), (ViewedKind::GivenUp, 2, 3)]);
    net.stop().await;
    is_sound(dir.path()).await;
}

#[tokio::test]
async fn a_sender_that_was_told_queued_is_told_when_the_message_was_stored() {
    let dir = tempfile::tempdir().unwrap();
    let net = Net::start(dir.path());
    let (alice, mut bob, carol) = (net.peer("alice").await, net.peer("bob").await, net.peer("carol").await);
    let mut alice = back(&net, &alice, state(1, 1, None)).await;
    // A peer of the first releases is told nothing that it cannot read.
    let mut carol = carol;
    bob.sign_out().await;
    let (one, two) = (message("bob", "one"), message("bob", "two"));
    let Op::Send(sent) = &one else { panic!() };
    let expected = Delivered { message: sent.message, to: bob.id() };
    alice.write_to(one).await;
    carol.write_to(two).await;
    let mut bob = net.again(&bob).await;
    assert_eq!((&*bob.letter().await.text, &*bob.letter().await.text), ("one", "two"));
    bob.acknowledge().await;
    match alice.update().await {
        Update::Delivered(delivered) => assert_eq!(*delivered, expected),
        other => panic!("{other:?}"),
    }
    carol.settle().await;
    assert_eq!(carol.stored, Seq(0), "nothing came");
    net.stop().await;
    is_sound(dir.path()).await;
}

#[tokio::test]
async fn nothing_is_asserted_to_a_directory_that_was_never_restored() {
    let dir = tempfile::tempdir().unwrap();
    let net = Net::start(dir.path());
    let (mut alice, bob) = (net.peer("alice").await, net.peer("bob").await);
    let sea = alice.publish("sea", 1).await;
    let grant = alice.share(sea.no, bob.id(), views(5)).await;
    let lower = Grant { views_left: Allowance::Views(1), revision: dos_protocol::Revision(99), ..grant };
    assert_eq!(assert_grant(&mut alice, &lower).await, [Asserted::Confirmed]);
    assert_eq!(assert(&mut alice, Assertion::Removed(vec![sea.no])).await, [Asserted::Confirmed]);
    let known = alice.ask(Op::Grant { image: sea.no, viewer: bob.id() }).await.unwrap();
    assert!(matches!(known, Answer::Grant(grant) if grant.views_left == Allowance::Views(5)));
    let many = Assertion::Removed(vec![sea.no; 101]);
    assert_eq!(alice.refusal(Op::Assert(many)).await.0, Code::Invalid);
    net.stop().await;
}

/// The grant as the directory has it: views left, views used, whether it is revoked.
async fn right(client: &mut Client, grant: &Grant) -> (Allowance, u64, bool) {
    match client.ask(Op::Grant { image: grant.image, viewer: grant.viewer }).await {
        Ok(Answer::Grant(grant)) => (grant.views_left, grant.views_used, grant.revoked),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_restored_directory_has_everything_again_that_was_after_the_backup() {
    let (dir, place) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let net = Net::start(dir.path());
    let (mut alice, mut bob) = (net.peer("alice").await, net.peer("bob").await);
    let (sea, hill) = (alice.publish("sea", 1).await, alice.publish("hill", 2).await);
    let old = alice.share(sea.no, bob.id(), views(5)).await;
    backup(dir.path()).await;
    // After the backup: two views, another image with a grant, a checkout of it, and a removal.
    for _ in 0..2 {
        bob.spend(sea.no, ViewId::generate()).await.unwrap();
    }
    let sand = alice.publish("sand", 3).await;
    alice.share(sand.no, bob.id(), views(4)).await;
    let mut checkout = spend(sand.no, ViewId::generate());
    (checkout.views, checkout.kind, checkout.sealed) = (3, SpendKind::Checkout, sand.sealed.hash);
    let Ok(Answer::Spent(held)) = bob.ask(Op::Spend(checkout.clone())).await else { panic!() };
    alice.ask(Op::Remove(hill.no)).await.unwrap();
    let Ok(Answer::Grant(viewed)) = bob.ask(Op::Grant { image: sea.no, viewer: bob.id() }).await else {
        panic!()
    };
    let net = restored(dir.path(), place.path(), net).await;
    let (mut alice, mut bob) = (net.again(&alice).await, net.again(&bob).await);
    assert!(data(&alice).renewed);
    // The viewer comes first: what only the owner knows is missing still.
    assert_eq!(assert_grant(&mut bob, &viewed).await, [Asserted::Confirmed]);
    assert_eq!(assert_grant(&mut bob, &held.grant).await, [Asserted::Missing]);
    assert_eq!(assert(&mut alice, Assertion::Removed(vec![hill.no])).await, [Asserted::Confirmed]);
    let image = AssertedImage { image: sand.no, publish: publication("sand", 3), visibility: None };
    let image = || Assertion::Image(Box::new(image.clone()));
    assert_eq!(assert(&mut bob, image()).await, [Asserted::Confirmed], "a number that is free");
    assert_eq!(assert(&mut alice, image()).await, [Asserted::Refused], "and now it is bob's");
    assert_eq!(assert(&mut bob, Assertion::Removed(vec![sand.no])).await, [Asserted::Confirmed]);
    assert_eq!(assert(&mut alice, image()).await, [Asserted::Confirmed]);
    let given = Grant {
        views_left: Allowance::Views(4),
        views_used: 0,
        revision: dos_protocol::Revision(1),
        ..held.grant.clone()
    };
    for grant in [&old, &given] {
        assert_eq!(assert_grant(&mut alice, grant).await, [Asserted::Confirmed]);
    }
    assert_eq!(assert_grant(&mut bob, &held.grant).await, [Asserted::Confirmed]);
    let holding = AssertedCheckout { image: sand.no, checkout: checkout.view, unused: 3 };
    let too_many = AssertedCheckout { checkout: ViewId::generate(), ..holding.clone() };
    for (asserted, answer) in
        [(&holding, Asserted::Confirmed), (&holding, Asserted::Confirmed), (&too_many, Asserted::Missing)]
    {
        assert_eq!(assert(&mut bob, Assertion::Checkouts(vec![asserted.clone()])).await, [answer]);
    }
    assert_eq!(right(&mut bob, &viewed).await, (Allowance::Views(3), 2, false));
    assert_eq!(right(&mut bob, &held.grant).await, (Allowance::Views(1), 3, false));
    let back = Checkin { image: sand.no, checkout: checkout.view, unused: 2, given_up: 0 };
    bob.ask(Op::Checkin(back)).await.unwrap();
    assert_eq!(right(&mut bob, &held.grant).await, (Allowance::Views(3), 1, false));
    net.stop().await;
    is_sound(place.path()).await;
}

/// The data that comes of the second one knows nothing of the first one, and its revisions are beyond those all the same.
#[tokio::test]
async fn what_was_done_between_two_restores_of_one_backup_is_known_again() {
    let [dir, first, second] = std::array::from_fn(|_| tempfile::tempdir().unwrap());
    let net = Net::start(dir.path());
    let (mut alice, bob) = (net.peer("alice").await, net.peer("bob").await);
    let sea = alice.publish("sea", 1).await;
    alice.share(sea.no, bob.id(), views(5)).await;
    backup(dir.path()).await;
    let net = restored(dir.path(), first.path(), net).await;
    let mut bob = net.again(&bob).await;
    let between = bob.spend(sea.no, ViewId::generate()).await.unwrap().grant;
    let net = restored(dir.path(), second.path(), net).await;
    let mut bob = net.again(&bob).await;
    assert_eq!(assert_grant(&mut bob, &between).await, [Asserted::Confirmed]);
    assert_eq!(right(&mut bob, &between).await, (Allowance::Views(4), 1, false));
    let since = bob.spend(sea.no, ViewId::generate()).await.unwrap().grant;
    for asserted in [&since, &between] {
        assert_eq!(assert_grant(&mut bob, asserted).await, [Asserted::Confirmed]);
        assert_eq!(right(&mut bob, asserted).await, (Allowance::Views(3), 2, false));
    }
    net.stop().await;
    is_sound(second.path()).await;
}

#[tokio::test]
async fn a_revocation_after_the_backup_stands_again_from_either_side() {
    for by_owner in [true, false] {
        let (dir, place) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let net = Net::start(dir.path());
        let (mut alice, bob) = (net.peer("alice").await, net.peer("bob").await);
        let sea = alice.publish("sea", 1).await;
        alice.share(sea.no, bob.id(), views(5)).await;
        backup(dir.path()).await;
        let revoked = alice.share(sea.no, bob.id(), ViewsChange::Revoke).await;
        let net = restored(dir.path(), place.path(), net).await;
        let (mut alice, mut bob) = (net.again(&alice).await, net.again(&bob).await);
        let first = if by_owner { &mut alice } else { &mut bob };
        assert_eq!(assert_grant(first, &revoked).await, [Asserted::Confirmed]);
        let refused = bob.spend(sea.no, ViewId::generate()).await.unwrap_err();
        assert_eq!(refused.code, Code::Denied);
        net.stop().await;
        is_sound(place.path()).await;
    }
}

#[tokio::test]
async fn a_peer_that_the_restored_data_does_not_know_has_its_id_back_with_its_proof_alone() {
    let (dir, place) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let net = Net::start(dir.path());
    let alice = net.peer("alice").await;
    backup(dir.path()).await;
    let (bob, carol) = (net.peer("bob").await, net.peer("carol").await);
    let reclaim = |of: &Client, proof| Reclaim {
        id: of.id(),
        name: Some("bob".parse().unwrap()),
        proof,
        sign_in: sign_in(1, Seq(0)),
    };
    let net = restored(dir.path(), place.path(), net).await;
    let ask = async |key: &Client, reclaim: Reclaim| -> Result<Client, WireError> {
        let mut client = Client::connect(&net, key.secret.clone()).await;
        client.enter(Op::Reclaim(Box::new(reclaim))).await?;
        Ok(client)
    };
    let code = |result: Result<Client, WireError>| result.err().map(|error| error.code);
    let proof = |of: &Client| data(of).proof;
    assert_eq!(code(ask(&bob, reclaim(&bob, proof(&carol))).await), Some(Code::NotFound));
    assert_eq!(code(ask(&carol, reclaim(&bob, proof(&bob))).await), Some(Code::NotFound), "another key");
    assert_eq!(code(ask(&bob, reclaim(&alice, proof(&bob))).await), Some(Code::NotFound), "another ID");
    let back = ask(&bob, reclaim(&bob, proof(&bob))).await.unwrap();
    assert_eq!(back.id(), bob.id());
    assert_eq!(back.signed_in.as_ref().unwrap().name, Some("bob".parse().unwrap()));
    let again = ask(&bob, reclaim(&bob, proof(&bob))).await.unwrap();
    assert_eq!(again.id(), bob.id(), "its answer was lost");
    // The name is taken by now.
    let nameless = ask(&carol, reclaim(&carol, proof(&carol))).await.unwrap();
    assert_eq!((nameless.id(), nameless.signed_in.as_ref().unwrap().name.clone()), (carol.id(), None));
    net.stop().await;
    is_sound(place.path()).await;
}

/// What a server says that does not start, or does not go on.
fn last_words(data_dir: &Path) -> (Option<i32>, String) {
    let mut command = dosd(data_dir);
    command.args(["serve", "--listen", "127.0.0.1:0", "--log", "error"]).stderr(Stdio::piped());
    let output = command.output().unwrap();
    (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
}

#[tokio::test]
async fn a_server_does_not_start_with_another_key_beside_a_database_that_has_peers() {
    let dir = tempfile::tempdir().unwrap();
    let key = dir.path().join("server.key");
    // Without a peer any key will do.
    Net::start(dir.path()).stop().await;
    std::fs::remove_file(&key).unwrap();
    let net = Net::start(dir.path());
    net.peer("alice").await;
    net.stop().await;
    let kept = std::fs::read(&key).unwrap();
    std::fs::remove_file(&key).unwrap();
    let (code, words) = last_words(dir.path());
    assert_eq!(code, Some(1), "{words}");
    assert!(words.contains("there is no key file") && words.contains("one peer"), "{words}");
    assert!(!key.exists(), "a new key was made");
    let other = dos_protocol::key::SecretKey::generate().unwrap();
    std::fs::write(&key, format!("{}\n", &*other.to_text())).unwrap();
    std::fs::set_permissions(&key, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
    let (code, words) = last_words(dir.path());
    assert_eq!(code, Some(1), "{words}");
    assert!(words.contains("is not the key that the one peer"), "{words}");
    std::fs::write(&key, kept).unwrap();
    Net::start(dir.path()).stop().await;
}

#[tokio::test]
async fn a_server_whose_files_are_gone_confirms_nothing_and_ends() {
    type Do = fn(&Path);
    let deeds: [(&str, Do); 4] = [
        ("the database removed", |dir| std::fs::remove_file(dir.join("dosd.db")).unwrap()),
        ("the log removed", |dir| std::fs::remove_file(dir.join("dosd.db-wal")).unwrap()),
        ("the directory moved", |dir| std::fs::rename(dir, dir.with_file_name("moved")).unwrap()),
        ("the database replaced", |dir| {
            std::fs::copy(dir.join("dosd.db"), dir.join("copy")).unwrap();
            std::fs::rename(dir.join("copy"), dir.join("dosd.db")).unwrap();
        }),
    ];
    for (what, deed) in deeds {
        let place = tempfile::tempdir().unwrap();
        let dir = place.path().join("data");
        let mut served = Served::start(&dir, &["--registration", "open"]).await;
        let link = run(&dir, &["link"]).await.out;
        let net = Net::elsewhere(link.trim().parse().unwrap());
        let (mut alice, bob) = (net.peer("alice").await, net.peer("bob").await);
        let sea = alice.publish("sea", 1).await;
        deed(&dir);
        let answer = alice.ask(crate::shelf::share(sea.no, bob.id(), views(1))).await;
        assert_eq!(answer.unwrap_err().code, Code::Internal, "{what}");
        assert_eq!(served.exit_code(), Some(1), "{what}");
    }
}

#[tokio::test]
async fn a_backup_of_an_older_version_is_restored_too() {
    let (dir, place) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let released = concat!(env!("CARGO_MANIFEST_DIR"), "/../testdata/d608605/dosd/dosd.db");
    let backup = dir.path().join("backup");
    std::fs::copy(released, &backup).unwrap();
    let ran = run(place.path(), &["restore", backup.to_str().unwrap(), "--json"]).await;
    assert_eq!(ran.code, 0, "{ran:?}");
    let mut left: Vec<_> =
        std::fs::read_dir(place.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    left.sort();
    assert_eq!(left, ["dosd.db", "lock"]);
    is_sound(place.path()).await;
}
