//! Names: what a new one may be, and that those of earlier releases can be found, renamed and removed.

use dos_protocol::{
    Code, ImageArg, PeerRef,
    directory::{Answer, Op},
    model::ImageInfo,
};

use crate::{
    net::{Client, Net, register},
    shelf::{everything, publication},
};

const COMPOSED: &str = "caf\u{e9}";
const DECOMPOSED: &str = "cafe\u{301}";

impl Client {
    async fn find(&mut self, name: &str) -> Option<ImageInfo> {
        let arg = ImageArg { owner: Some(PeerRef::Id(self.id())), name: name.parse().unwrap() };
        match self.ask(Op::Image(arg)).await {
            Ok(Answer::Image(image)) => Some(*image),
            Err(error) if error.code == Code::NotFound => None,
            other => panic!("{other:?}"),
        }
    }

    async fn publish_refused(&mut self, name: &str) -> Code {
        self.refusal(Op::Publish(Box::new(publication(name, 9)))).await.0
    }
}

#[tokio::test]
async fn what_deceives_becomes_no_name() {
    let dir = tempfile::tempdir().unwrap();
    let net = Net::start(dir.path());
    let mut alice = net.peer("alice").await;
    let sea = alice.publish("sea", 1).await;
    for name in [".profile", "se\u{200b}a", "sea\u{ad}", "sea\u{fe0f}", "\u{301}sea", "sea\u{a0}side"] {
        assert_eq!(alice.publish_refused(name).await, Code::Invalid, "{name:?}");
        let rename = Op::Rename { image: sea.no, name: name.parse().unwrap(), record: None };
        assert_eq!(alice.refusal(rename).await.0, Code::Invalid, "{name:?}");
    }
    for name in ["-rf", ".ssh"] {
        let refused = net.newcomer(name, None).await.err().map(|error| error.code);
        assert_eq!(refused, Some(Code::Invalid), "{name}");
    }
    assert!(matches!(register("a.b-c", None), Op::Register(_)));
    net.stop().await;
}

#[tokio::test]
async fn one_name_is_one_image_in_whatever_spelling() {
    let dir = tempfile::tempdir().unwrap();
    let net = Net::start(dir.path());
    let mut alice = net.peer("alice").await;
    let cafe = alice.publish(COMPOSED, 1).await;
    assert_eq!(alice.find(DECOMPOSED).await.map(|image| image.no), Some(cafe.no));
    assert_eq!(alice.publish_refused(DECOMPOSED).await, Code::Conflict);
    net.stop().await;
}

#[tokio::test]
async fn images_with_names_of_earlier_releases_are_listed_renamed_and_removed() {
    let dir = tempfile::tempdir().unwrap();
    let net = Net::start(dir.path());
    let mut alice = net.peer("alice").await;
    let images =
        [alice.publish("one", 1).await, alice.publish("two", 2).await, alice.publish("three", 3).await];
    net.stop().await;
    let old = [".hidden", "se\u{200b}a", DECOMPOSED];
    let database = rusqlite::Connection::open(dir.path().join("dosd.db")).unwrap();
    for (image, name) in images.iter().zip(old) {
        database
            .execute("UPDATE images SET name = ?1 WHERE no = ?2", (name, image.no.0.cast_signed()))
            .unwrap();
    }
    drop(database);
    let net = Net::start(dir.path());
    let mut alice = net.again(&alice).await;
    let page = alice.page(everything()).await;
    let listed: Vec<&str> = page.peers[0].images.iter().map(|image| image.name.as_str()).collect();
    assert_eq!(listed.len(), 3, "{listed:?}");
    for (image, name) in images.iter().zip(old) {
        assert_eq!(alice.find(name).await.map(|found| found.no), Some(image.no), "{name:?}");
    }
    // In the spelling that a keyboard gives today, and to that spelling.
    assert_eq!(alice.find(COMPOSED).await.map(|found| found.no), Some(images[2].no));
    let rename = |image: &ImageInfo, name: &str| Op::Rename {
        image: image.no,
        name: name.parse().unwrap(),
        record: None,
    };
    assert!(alice.ask(rename(&images[2], COMPOSED)).await.is_ok());
    assert!(alice.ask(rename(&images[0], "seen")).await.is_ok());
    assert!(alice.ask(Op::Remove(images[1].no)).await.is_ok());
    assert!(alice.find("seen").await.is_some() && alice.find("se\u{200b}a").await.is_none());
    net.stop().await;
}
