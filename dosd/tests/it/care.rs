//! What keeps a directory small and brings it back: prune and restore.

use dos_protocol::{
    Allowance, ViewId,
    directory::{Op, RequestAccess, RequestState, Update},
    model::GrantState,
};
use dos_testing::wait_until_async;
use serde_json::json;

use crate::{
    commands::run,
    net::{Net, PATIENCE},
    passwords::peer_with_password,
    shelf::{everything, views},
};

#[tokio::test]
async fn a_pruned_peer_is_gone_and_the_others_are_told() {
    let dir = tempfile::tempdir().unwrap();
    let net = Net::start(dir.path());
    let (mut alice, mut carol) = (net.peer("alice").await, peer_with_password(&net, "carol").await);
    let (sea, hill) = (alice.publish("sea", 1).await, carol.publish("hill", 2).await);
    alice.publish("sky", 3).await;
    alice.share(sea.no, carol.id(), views(3)).await;
    carol.share(hill.no, alice.id(), views(3)).await;
    let image = format!("{}/sky", alice.id()).parse().unwrap();
    carol.ask(Op::Request(RequestAccess { image, views: 1, note: None, offline: false })).await.unwrap();
    for _ in 0..3 {
        alice.update().await;
    }
    let gone = carol.id();
    carol.sign_out().await;

    let args = ["prune", "--peers-unseen", "1s", "--json"];
    let dry_run = [&args[..], &["--dry-run"]].concat();
    let dry_run = async || run(dir.path(), &dry_run).await.json();
    wait_until_async("carol has been away for a second", async || dry_run().await["peers"] != 0).await;
    let dry = dry_run().await;
    let counted = json!({ "schema": 1, "dry_run": true, "peers": 1, "images": 1, "rights": 1, "receipts": 0, "invites": 0 });
    assert_eq!(dry, counted);
    assert_eq!(alice.page(everything()).await.peers.len(), 2, "nothing was done yet");
    let mut done = counted;
    done["dry_run"] = json!(false);
    assert_eq!(run(dir.path(), &args).await.json(), done);

    let peers = alice.page(everything()).await.peers;
    assert_eq!(peers.iter().map(|peer| peer.id).collect::<Vec<_>>(), [alice.id()], "who is online stays");
    let mut told = [alice.update().await, alice.update().await, alice.update().await];
    told.sort_by_key(|update| match update {
        Update::Removed { image, .. } if *image == hill.no => 0,
        Update::Request(asked) if asked.state == RequestState::Cancelled => 1,
        Update::Grant(grant)
            if grant.viewer == gone
                && grant.state_at(dos_protocol::Timestamp::now()) == GrantState::Revoked =>
        {
            2
        }
        other => panic!("{other:?}"),
    });
    assert!(matches!(told, [Update::Removed { .. }, Update::Request(_), Update::Grant(_)]));
    assert_eq!(run(dir.path(), &["check", "--json"]).await.json()["sound"], true);
    net.peer("carol").await;
    net.stop().await;
}

#[tokio::test]
async fn receipts_are_not_pruned_before_their_time() {
    let dir = tempfile::tempdir().unwrap();
    let net = Net::start(dir.path());
    let early = run(dir.path(), &["prune", "--receipts-older", "29d", "--json"]).await;
    assert_eq!(early.failure(), (8, "invalid".into()));
    assert_eq!(run(dir.path(), &["prune", "--receipts-older", "30d", "--json"]).await.json()["receipts"], 0);
    net.stop().await;
}

#[tokio::test]
async fn a_restored_directory_gives_no_number_twice_and_peers_take_its_rights() {
    let dir = tempfile::tempdir().unwrap();
    let net = Net::start(dir.path());
    let (mut alice, bob) = (net.peer("alice").await, net.peer("bob").await);
    let sea = alice.publish("sea", 1).await;
    alice.share(sea.no, bob.id(), views(5)).await;
    let backup = dir.path().join("backup");
    run(dir.path(), &["backup", backup.to_str().unwrap(), "--json"]).await.json();
    let later = alice.publish("later", 2).await;
    let newer = alice.share(sea.no, bob.id(), views(1)).await;
    net.stop().await;

    let place = tempfile::tempdir().unwrap();
    let restored = run(place.path(), &["restore", backup.to_str().unwrap(), "--json"]).await;
    assert!(restored.err.contains("server.key"), "{restored:?}");
    let document = restored.json();
    assert_eq!(
        (&document["peers"], &document["grants"], &document["has_key"]),
        (&json!(2), &json!(1), &json!(false))
    );
    let again = run(place.path(), &["restore", backup.to_str().unwrap(), "--json"]).await;
    assert_eq!(again.failure(), (7, "conflict".into()));
    let mut left: Vec<_> =
        std::fs::read_dir(place.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    left.sort();
    assert_eq!(left, ["dosd.db", "lock"], "nothing of the attempts is left");

    std::fs::copy(dir.path().join("server.key"), place.path().join("server.key")).unwrap();
    let net = Net::start(place.path());
    let mut alice = net.again(&alice).await;
    let mut bob = net.again(&bob).await;
    assert!(alice.publish("other", 3).await.no > later.no, "the number of an image that peers may know");
    let grant = alice.share(sea.no, bob.id(), views(2)).await;
    assert!(grant.revision > newer.revision, "a revision that is older than what peers know");
    assert_eq!(bob.spend(sea.no, ViewId::generate()).await.unwrap().grant.views_left, Allowance::Views(1));
    net.stop().await;
}

#[tokio::test]
async fn only_a_sound_backup_is_restored_and_never_over_anything() {
    let dir = tempfile::tempdir().unwrap();
    let net = Net::start(dir.path());
    let mut alice = net.peer("alice").await;
    alice.publish("sea", 1).await;
    let backup = dir.path().join("backup");
    run(dir.path(), &["backup", backup.to_str().unwrap(), "--json"]).await.json();
    let own = dir.path().join("dosd.db");
    let place = tempfile::tempdir().unwrap();
    let restore = async |file: &std::path::Path| {
        run(place.path(), &["restore", file.to_str().unwrap(), "--json"]).await.failure()
    };
    assert_eq!(restore(&own).await, (8, "invalid".into()), "the files of a running server");
    assert_eq!(restore(&dir.path().join("nothing")).await, (5, "not_found".into()));
    assert_eq!(restore(dir.path()).await, (8, "invalid".into()), "a directory");
    let broken = dir.path().join("broken");
    let mut bytes = std::fs::read(&backup).unwrap();
    let middle = 4096..bytes.len() / 2;
    bytes[middle].fill(0xa5);
    std::fs::write(&broken, bytes).unwrap();
    assert_eq!(restore(&broken).await, (8, "invalid".into()));
    std::fs::write(&broken, "not a database").unwrap();
    assert_eq!(restore(&broken).await, (8, "invalid".into()));
    assert!(!place.path().join("dosd.db").exists());
    let running = run(dir.path(), &["restore", backup.to_str().unwrap(), "--json"]).await;
    assert_eq!(running.failure(), (7, "conflict".into()), "a server runs there");
    tokio::time::timeout(PATIENCE, net.stop()).await.unwrap();
}
