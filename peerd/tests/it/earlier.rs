//! What the first release has stored, opened by these programs: `testdata/d608605`, whose README tells how it was made.

use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use crate::stage::{Peer, Stage, wait_until};

fn data(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../testdata/d608605").join(name)
}

fn texts(peer: &Peer) -> Vec<String> {
    let messages = peer.json(&["messages"]);
    let list = messages["messages"].as_array().unwrap();
    list.iter().map(|message| message["text"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn data_of_the_first_release_goes_on() {
    let stage = Stage::with_data(&data("dosd"));
    let checked = stage.operate(&["check"]);
    assert!(checked.status.success(), "{}", String::from_utf8_lossy(&checked.stdout));
    let [alice, bob, carol] = ["alice", "bob", "carol"].map(|name| stage.peer_with_state(name, &data(name)));
    alice.online();

    // What was stored while the first release ran.
    let status = alice.json(&["status"]);
    assert_eq!((&status["id"], &status["pending"]["requests"]), (&json!("QMQC7zv3"), &json!(1)));
    assert_eq!(alice.given("/hill").map(|(left, ..)| left), Some(json!(7)));
    assert_eq!(alice.right("/harbour"), Some((json!(2), 0, "active".into())));
    let expected = ["hello bob", "hello alice", "psst", "lunch?", "while you were away", "carol too"];
    assert_eq!(texts(&alice), expected);

    // What waited in the directory's inboxes.
    assert_eq!(bob.right("/ocean").map(|(left, ..)| left), Some(json!(2)), "bob was away");
    let replayed = bob.json(&["login"])["replayed"].as_u64().unwrap();
    assert!(replayed >= 4, "{replayed} updates waited");
    assert!(texts(&bob).contains(&"while you were away".to_owned()));
    assert_eq!(bob.right("/ocean"), Some((json!(6), 3, "active".into())));
    assert_eq!(bob.right("/dunes").map(|(.., state)| state), Some("revoked".into()));
    carol.json(&["login"]);
    wait_until("carol has what waited", || texts(&carol).contains(&"carol too".to_owned()));
    assert_eq!(bob.json(&["blocks"])["blocks"][0]["name"], "carol");

    // And it goes on.
    assert_eq!(bob.view("alice/ocean"), bob.view_offline("alice/ocean"));
    assert_eq!(bob.right("/ocean"), Some((json!(5), 4, "active".into())));
    let requests = alice.json(&["requests", "--incoming"]);
    let pending: Vec<&Value> = requests["incoming"].as_array().unwrap().iter().collect();
    assert_eq!((pending.len(), &pending[0]["note"]), (1, &json!("please")));
    alice.ctl(&["approve", &pending[0]["request"].to_string()]).ok();
    wait_until("bob has two more views", || bob.right("/hill").map(|(left, ..)| left) == Some(json!(9)));
    bob.view("alice/hill");
    assert!(stage.operate(&["check"]).status.success());
}
