//! Private images: what a stranger is answered about one is what it is answered about an image that is not there.

use dos_protocol::{
    ImageNo, PeerId, ViewId, Visibility,
    directory::{
        Answer, Asserted, AssertedGrant, Assertion, Checkin, Decide, Decision, Op, Publish, PublishAs,
        RequestAccess, Set, Sign, Update, ViewsChange,
    },
    model::{AccessState, ImageArg, ImageInfo, PeerRef},
    record::{Album, ImageRecord},
};
use dosd::config::FileConfig;

use crate::{
    net::{Client, Net, open_to_all},
    shelf::{everything, publication, share, spend, views},
};

fn private(name: &str, content: u8) -> Op {
    let publish = publication(name, content);
    Op::PublishAs(Box::new(PublishAs { publish, visibility: Some(Visibility::Private) }))
}

fn set(image: ImageNo, visibility: Visibility) -> Op {
    Op::Set(Box::new(Set { image, visibility: Some(visibility), record: None }))
}

async fn image(client: &mut Client, op: Op) -> ImageInfo {
    match client.ask(op).await {
        Ok(Answer::Image(image)) => *image,
        other => panic!("{other:?}"),
    }
}

pub(crate) fn arg(name: &str) -> ImageArg {
    format!("alice/{name}").parse().unwrap()
}

/// The names of the images of alice that a listing shows.
async fn listed(client: &mut Client) -> Vec<String> {
    let page = client.page(everything()).await;
    let images =
        page.peers.iter().filter(|peer| peer.name.as_ref().is_some_and(|name| name.as_str() == "alice"));
    images.flat_map(|peer| &peer.images).map(|image| image.name.to_string()).collect()
}

/// What a peer is refused of an image by its name and by its number, word by word.
async fn refusals(client: &mut Client, name: &str, no: ImageNo) -> Vec<String> {
    let request = |name| RequestAccess { image: arg(name), views: 1, note: None, offline: false };
    let me = client.id();
    let (view, preview) = (ViewId::from([9; 16]), publication("x", 1).preview);
    let record = ImageRecord {
        revision: 1,
        preview_hash: [1; 32],
        signature: [1; 64].into(),
        album: None,
        description: None,
        thumbhash: None,
        taken: None,
    };
    let sealed = publication("x", 1).sealed.hash;
    let ops = [
        Op::Image(arg(name)),
        Op::Preview(arg(name)),
        Op::Request(request(name)),
        Op::Grant { image: no, viewer: me },
        Op::Spend(spend(no, view)),
        Op::Checkin(Checkin { image: no, checkout: view, unused: 1, given_up: 0 }),
        share(no, me, views(1)),
        share(no, me, ViewsChange::Revoke),
        set(no, Visibility::Listed),
        Op::Remove(no),
        Op::Rename { image: no, name: "mine".parse().unwrap(), record: None },
        Op::Sign(Box::new(Sign { image: no, sealed, preview, record })),
    ];
    let mut texts = Vec::new();
    for op in ops {
        let error = client.ask(op).await.unwrap_err();
        texts.push(format!("{error:?}").replace(name, "NAME"));
    }
    texts
}

async fn is_not_there(client: &mut Client, name: &str, no: ImageNo) {
    let missing = refusals(client, "nothing", ImageNo(no.0 + 1_000)).await;
    assert_eq!(refusals(client, name, no).await, missing);
    assert!(!listed(client).await.contains(&name.to_owned()));
    for op in [Op::Grants { after: None }, Op::Requests { after: None }] {
        match client.ask(op).await.unwrap() {
            Answer::Grants { grants, more } => assert!(!more && grants.iter().all(|grant| grant.image != no)),
            Answer::Requests { requests, more } => {
                assert!(!more && requests.iter().all(|request| request.image != no));
            }
            other => panic!("{other:?}"),
        }
    }
}

#[tokio::test]
async fn to_a_stranger_a_private_image_is_not_there() {
    let dir = tempfile::tempdir().unwrap();
    let net = Net::start(dir.path());
    let (mut alice, mut bob) = (net.peer("alice").await, net.peer("bob").await);
    let hush = image(&mut alice, private("hush", 1)).await;
    assert_eq!(hush.visibility, Visibility::Private);
    alice.publish("sea", 2).await;
    is_not_there(&mut bob, "hush", hush.no).await;
    assert_eq!(listed(&mut bob).await, ["sea"]);
    assert_eq!(listed(&mut alice).await, ["hush", "sea"]);
    // It costs its owner a name, and nobody else.
    assert_eq!(image(&mut bob, private("hush", 3)).await.owner, bob.id());
    net.stop().await;
}

#[tokio::test]
async fn a_page_of_a_stranger_has_what_it_sees_and_its_cursor_names_nothing_else() {
    let dir = tempfile::tempdir().unwrap();
    let net = Net::start(dir.path());
    let (mut alice, mut bob) = (net.peer("alice").await, net.peer("bob").await);
    for (content, name) in ["a", "b", "c", "d", "e", "f"].into_iter().enumerate() {
        let content = u8::try_from(content).unwrap();
        let op = if content % 2 == 0 {
            private(name, content)
        } else {
            Op::Publish(Box::new(publication(name, content)))
        };
        let image = image(&mut alice, op).await;
        if name == "c" {
            alice.share(image.no, bob.id(), views(1)).await;
        }
    }
    let (mut seen, mut after) = (Vec::new(), None);
    loop {
        let list = dos_protocol::directory::List {
            peer: Some(PeerRef::Id(alice.id())),
            limit: 1,
            after,
            ..everything()
        };
        let page = bob.page(list).await;
        seen.extend(page.peers.iter().flat_map(|peer| &peer.images).map(|image| image.name.to_string()));
        let Some(next) = page.next else { break };
        assert_eq!(next.image.as_ref().map(ToString::to_string).as_ref(), seen.last());
        after = Some(next);
    }
    assert_eq!(seen, ["b", "c", "d", "f"]);
    net.stop().await;
}

#[tokio::test]
async fn a_holder_of_a_grant_sees_it_and_not_any_more_once_that_is_revoked() {
    let dir = tempfile::tempdir().unwrap();
    let net = Net::start(dir.path());
    let (mut alice, mut bob) = (net.peer("alice").await, net.peer("bob").await);
    let mut carol = net.peer("carol").await;
    let hush = image(&mut alice, private("hush", 1)).await;
    alice.share(hush.no, bob.id(), views(0)).await;
    assert_eq!(listed(&mut bob).await, ["hush"], "used up is not revoked");
    let seen = image(&mut bob, Op::Image(arg("hush"))).await;
    assert_eq!(seen.access.unwrap().state, AccessState::UsedUp);
    assert!(matches!(bob.ask(Op::Preview(arg("hush"))).await, Ok(Answer::Preview(_))));
    let request = RequestAccess { image: arg("hush"), views: 2, note: None, offline: false };
    let Ok(Answer::Request(request)) = bob.ask(Op::Request(request)).await else { panic!() };
    is_not_there(&mut carol, "hush", hush.no).await;
    bob.acknowledge().await;
    alice.share(hush.no, bob.id(), ViewsChange::Revoke).await;
    let mut gone = false;
    while !gone {
        gone = match bob.update().await {
            Update::Removed { image, .. } => image == hush.no,
            Update::Grant(grant) => {
                assert_eq!(grant.image, hush.no);
                false
            }
            Update::Request(_) => false,
            other => panic!("{other:?}"),
        };
    }
    is_not_there(&mut bob, "hush", hush.no).await;
    // The request has ended with it, for both, and is no way to learn its name.
    let (_, cancelled) = bob.refusal(Op::Cancel(request.request)).await;
    let (_, missing) = bob.refusal(Op::Cancel(request.request + 1_000)).await;
    assert_eq!(
        cancelled.replace(&request.request.to_string(), "N"),
        missing.replace(&(request.request + 1_000).to_string(), "N")
    );
    let deny = Decide { request: request.request, decision: Decision::Deny { reason: None } };
    assert_eq!(alice.refusal(Op::Decide(deny)).await.0, dos_protocol::Code::Conflict);
    // Nothing that becomes of it reaches him.
    let renamed = Op::Rename { image: hush.no, name: "quiet".parse().unwrap(), record: None };
    image(&mut alice, renamed).await;
    let again = Publish { replace: true, ..publication("quiet", 7) };
    assert_eq!(
        image(&mut alice, Op::Publish(Box::new(again))).await.visibility,
        Visibility::Private,
        "what takes its place is seen by the same peers"
    );
    alice.ask(Op::Remove(hush.no)).await.unwrap();
    alice.publish("sea", 2).await;
    let sea = alice_image(&mut alice, "sea").await;
    alice.share(sea, bob.id(), views(1)).await;
    assert!(matches!(bob.update().await, Update::Grant(grant) if grant.path.name.as_str() == "sea"));
    net.stop().await;
}

async fn alice_image(alice: &mut Client, name: &str) -> ImageNo {
    image(alice, Op::Image(name.parse().unwrap())).await.no
}

#[tokio::test]
async fn hiding_an_image_is_its_removal_for_those_without_a_grant() {
    let dir = tempfile::tempdir().unwrap();
    let net = Net::start(dir.path());
    let (mut alice, mut bob) = (net.peer("alice").await, net.peer("bob").await);
    let (mut carol, mut dave) = (net.peer("carol").await, net.peer("dave").await);
    let sea = alice.publish("sea", 1).await;
    alice.share(sea.no, bob.id(), views(1)).await;
    alice.share(sea.no, carol.id(), views(1)).await;
    alice.share(sea.no, carol.id(), ViewsChange::Revoke).await;
    let request = RequestAccess { image: arg("sea"), views: 2, note: None, offline: false };
    dave.ask(Op::Request(request)).await.unwrap();
    assert_eq!(image(&mut alice, set(sea.no, Visibility::Private)).await.visibility, Visibility::Private);
    for client in [&mut carol, &mut dave] {
        while !matches!(client.update().await, Update::Removed { image, .. } if image == sea.no) {}
        is_not_there(client, "sea", sea.no).await;
    }
    assert_eq!(listed(&mut bob).await, ["sea"]);
    image(&mut alice, set(sea.no, Visibility::Listed)).await;
    assert_eq!(listed(&mut dave).await, ["sea"]);
    assert!(dosd::store::check(&dosd_database(dir.path())).unwrap().findings.is_empty());
    net.stop().await;
}

fn dosd_database(dir: &std::path::Path) -> std::path::PathBuf {
    dir.join("dosd.db")
}

#[tokio::test]
async fn the_operator_decides_who_sees_what_its_owner_does_not_speak_of() {
    let dir = tempfile::tempdir().unwrap();
    let said = FileConfig { default_visibility: Some(Visibility::Private), ..open_to_all() };
    let net = Net::start_with(dir.path(), said);
    let (mut alice, mut bob) = (net.peer("alice").await, net.peer("bob").await);
    // A peer of an earlier release does not know that there is something to be said.
    let sea = alice.publish("sea", 1).await;
    assert_eq!(sea.visibility, Visibility::Private);
    is_not_there(&mut bob, "sea", sea.no).await;
    let publish = publication("dune", 2);
    let listed_op = Op::PublishAs(Box::new(PublishAs { publish, visibility: Some(Visibility::Listed) }));
    image(&mut alice, listed_op).await;
    assert_eq!(listed(&mut bob).await, ["dune"]);
    net.stop().await;
}

#[tokio::test]
async fn an_album_goes_where_its_image_goes() {
    let dir = tempfile::tempdir().unwrap();
    let net = Net::start(dir.path());
    let (mut alice, mut bob) = (net.peer("alice").await, net.peer("bob").await);
    let word = |revision, album: Option<&str>| ImageRecord {
        revision,
        preview_hash: [1; 32],
        signature: [1; 64].into(),
        album: album.map(|name| Album { name: name.parse().unwrap(), signature: [2; 64].into() }),
        description: None,
        thumbhash: None,
        taken: None,
    };
    let publish = Publish { record: Some(word(1, Some("holiday"))), ..publication("sea", 1) };
    let sea = image(&mut alice, Op::PublishAs(Box::new(PublishAs { publish, visibility: None }))).await;
    let seen =
        |image: ImageInfo| image.record.and_then(|record| record.album).map(|album| album.name.to_string());
    assert_eq!(seen(image(&mut bob, Op::Image(arg("sea"))).await).as_deref(), Some("holiday"));
    let put = |record| Op::Set(Box::new(Set { image: sea.no, visibility: None, record: Some(record) }));
    image(&mut alice, put(word(2, Some("work")))).await;
    assert_eq!(seen(image(&mut bob, Op::Image(arg("sea"))).await).as_deref(), Some("work"));
    image(&mut alice, put(word(1, Some("holiday")))).await;
    assert_eq!(seen(image(&mut bob, Op::Image(arg("sea"))).await).as_deref(), Some("work"), "an older word");
    image(&mut alice, put(word(3, None))).await;
    assert_eq!(seen(image(&mut bob, Op::Image(arg("sea"))).await), None);
    net.stop().await;
}

/// What a stranger asserts of a private image is what it asserts of one that is not there.
#[tokio::test]
async fn asserting_tells_nothing_of_a_private_image() {
    let dir = tempfile::tempdir().unwrap();
    let net = Net::start(dir.path());
    let (mut alice, bob) = (net.peer("alice").await, net.peer("bob").await);
    let hush = image(&mut alice, private("hush", 1)).await;
    let grant = alice.share(hush.no, alice_friend(&net).await, views(1)).await;
    crate::healing::backup(dir.path()).await;
    let other = tempfile::tempdir().unwrap();
    let net = crate::healing::restored(dir.path(), other.path(), net).await;
    let mut bob = net.again(&bob).await;
    let of = |image: ImageNo| {
        let grant = dos_protocol::model::Grant { image, viewer: bob.id(), ..grant.clone() };
        Op::Assert(Assertion::Grants(vec![AssertedGrant { grant, key: None }]))
    };
    let (hidden, missing) = (of(hush.no), of(ImageNo(hush.no.0 + 1_000)));
    for op in [hidden, missing] {
        let Ok(Answer::Asserted(answers)) = bob.ask(op).await else { panic!() };
        assert_eq!(answers, [Asserted::Missing]);
    }
    net.stop().await;
}

async fn alice_friend(net: &Net) -> PeerId {
    net.peer("carol").await.id()
}
