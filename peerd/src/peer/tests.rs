//! Serving and fetching between two daemons in this process, without a directory.

use std::sync::Arc;

use dos_protocol::{
    Code, ImageNo, ImagePath, PeerId, PublicKey, Revision, SealedHash, SplitId,
    directory::{KeyShare, Preview, Publish},
    frame::Reader,
    model::{Allowance, Format, Grant, ImageInfo, Original, PreviewInfo, SealedCopy},
    peer::{DirectMessage, Fetch, FromPeer, ToPeer},
};
use dos_sealed::{BLOCK_BYTES, ContentKey, DirectoryShare, OwnerShare};
use tokio::{io::DuplexStream, sync::watch};

use super::Peers;
use super::{
    callers::{Caller, From},
    fetch::{Asked, Broken, Stage, ask, fetch_of, request_of},
    intake::{Intake, block_start},
    receive::{Bound, Course, Received, receive},
    serve::{identified, serve},
};
use crate::{Config, Daemon, keys::ImageKeys, sealing::Sealing, store::Publication};

struct Peer {
    daemon: Daemon,
    _temp: tempfile::TempDir,
}

async fn peer(id: &str) -> Peer {
    let temp = tempfile::tempdir().unwrap();
    let config = Config::new(temp.path().join("state"), temp.path().join("s"));
    let config = Config { listen: "127.0.0.1:0".parse().unwrap(), ..config };
    let daemon = Box::pin(Daemon::start(config)).await.unwrap();
    let link = format!("dos://{}@127.0.0.1:1", PublicKey::from([9; 32]));
    let begun = daemon.services.identity.begin(&link.parse().unwrap()).unwrap();
    daemon.services.identity.complete(&begun, id.parse().unwrap(), None).unwrap();
    daemon.services.store.bind(id.parse().unwrap(), false).await.unwrap();
    Peer { daemon, _temp: temp }
}

impl Peer {
    fn peers(&self) -> &Arc<Peers> {
        &self.daemon.services.peers
    }

    fn id(&self) -> PeerId {
        self.peers().identity.registered().unwrap().0
    }

    fn key(&self) -> PublicKey {
        self.peers().identity.any().unwrap().secret.public().unwrap()
    }
}

/// An owner with an image of a little more than two blocks, and a viewer with a right to it.
struct Pair {
    owner: Peer,
    viewer: Peer,
    keys: ImageKeys,
    share: KeyShare,
    grant: Grant,
}

async fn pair() -> Pair {
    let (owner, viewer) = (peer("7xKqPm2R").await, peer("8yLrQn3S").await);
    let keys = ImageKeys::generate().unwrap();
    let mut sealing = Sealing::begin(&owner.peers().cache.copies, keys.content_key().clone(), true).unwrap();
    // It begins as a picture does.
    let mut original = vec![7; BLOCK_BYTES * 2];
    original[..4].copy_from_slice(&[0xff, 0xd8, 0xff, 0xe0]);
    sealing.push(original).await.unwrap();
    let sealed = sealing.finish().await.unwrap();
    let (copy, blocks) = (sealed.copy(), sealed.blocks());
    sealed.put_in_place(&owner.peers().cache.copies).await.unwrap();
    let info = publish(&owner, &keys, copy, blocks).await;
    let share = keys.key_share(info.no, (viewer.id(), &viewer.key())).unwrap();
    let grant = Grant {
        image: info.no,
        path: ImagePath { owner: owner.id(), name: info.name },
        owner_name: None,
        viewer: viewer.id(),
        viewer_name: None,
        views_left: Allowance::Views(1),
        views_used: 0,
        expires_at: None,
        revoked: false,
        revision: Revision(1),
        split: share.split,
        sealed: copy,
        check: share.check,
        allow_offline: false,
        returned: 0,
        offer: false,
    };
    for peer in [&owner, &viewer] {
        peer.peers().cache.take_grant(grant.clone()).await.unwrap();
    }
    let caller = Caller { id: viewer.id(), name: None, is_contact: false };
    owner.peers().known_keys.put(viewer.key(), Some(caller));
    Pair { owner, viewer, keys, share, grant }
}

async fn put(stream: &mut Reader<DuplexStream>, grant: &Grant, fetch: Fetch) -> Result<Asked, Broken> {
    ask(stream, grant, &request_of(&fetch)?).await
}

async fn publish(owner: &Peer, keys: &ImageKeys, sealed: SealedCopy, blocks: Vec<u8>) -> ImageInfo {
    let stored = keys.store(&owner.peers().identity.any().unwrap().vault, &sealed.hash).unwrap();
    let original = Original { image_id: [1; 32].into(), format: Format::Png, width: 1, height: 1, bytes: 1 };
    let preview = Preview { format: Format::Jpeg, width: 1, height: 1, data: vec![1] };
    let name: dos_protocol::ImageName = "sea".parse().unwrap();
    let publish = Publish { name: name.clone(), original, sealed, preview, replace: false, record: None };
    let publication = Publication {
        publish,
        visibility: None,
        content_key: stored.content_key,
        share_secret: stored.share_secret,
    };
    owner.peers().store.begin_publication(publication, blocks).await.unwrap();
    let preview = PreviewInfo { format: Format::Jpeg, width: 1, height: 1, bytes: 1 };
    let no = ImageNo(4);
    let info = ImageInfo {
        no,
        owner: owner.id(),
        name,
        original,
        sealed,
        preview,
        access: None,
        record: None,
        signature: None,
        visibility: dos_protocol::Visibility::Listed,
        added_at: None,
    };
    owner.peers().store.finish_publication(info.clone()).await.unwrap();
    info
}

impl Pair {
    /// A connection of the holder of `key` to the owner.
    fn call(&self, key: PublicKey) -> Reader<DuplexStream> {
        let (near, far) = tokio::io::duplex(64 << 10);
        let peers = Arc::clone(self.owner.peers());
        tokio::spawn(async move {
            if let Some(known) = identified(&peers, From { key, network: None }, far).await? {
                serve(&peers, known).await?;
            }
            std::io::Result::Ok(())
        });
        Reader::new(near)
    }

    fn wanted(&self, start: u64) -> Fetch {
        fetch_of(&self.grant, start)
    }

    async fn fetch(&self, start: u64) -> Result<[u8; 32], Broken> {
        let mut stream = self.call(self.viewer.key());
        let Asked { share, list, .. } = put(&mut stream, &self.grant, fetch_of(&self.grant, start)).await?;
        let stage = watch::Sender::new(Stage::Under(0));
        let (_bounds, bound) = watch::channel(Bound::End);
        let (ahead, stalls) = (Vec::new(), watch::Sender::new(false));
        let course = Course { start, stage: &stage, line: None, ahead, stalls, bound };
        match receive(self.viewer.peers(), &mut stream, list.unwrap(), course).await? {
            Received::Whole(arrived) => arrived.finish(self.viewer.peers()).await?,
            Received::Left => panic!("it was to go on"),
        }
        Ok(*share)
    }

    fn partial(&self) -> std::path::PathBuf {
        self.viewer.peers().cache.copies.partial_path(&self.grant.sealed.hash)
    }

    fn owners_file(&self) -> std::path::PathBuf {
        self.owner.peers().cache.copies.path(&self.grant.sealed.hash)
    }
}

#[tokio::test]
async fn a_viewer_gets_the_whole_copy_and_the_share_that_completes_the_directorys() {
    let pair = pair().await;
    let share = pair.fetch(0).await.unwrap();
    let joined =
        ContentKey::join(&OwnerShare::from_bytes(share), &DirectoryShare::from_bytes(pair.share.share));
    assert_eq!(joined.as_bytes(), pair.keys.content_key().as_bytes());
    assert!(pair.viewer.peers().cache.copies.is_sound(pair.grant.sealed.hash).await.unwrap());
}

#[tokio::test]
async fn a_damaged_block_is_not_kept_and_the_transfer_goes_on_from_there() {
    let pair = pair().await;
    let sound = std::fs::read(pair.owners_file()).unwrap();
    let mut damaged = sound.clone();
    damaged[BLOCK_BYTES + 9] ^= 1;
    std::fs::write(pair.owners_file(), damaged).unwrap();
    let Err(Broken::Again(error)) = pair.fetch(0).await else { panic!("a damaged block was taken") };
    assert_eq!(&*error.message, "block 1 arrived damaged");
    assert_eq!(Intake::bytes_at(&pair.partial()), block_start(1));
    std::fs::write(pair.owners_file(), sound).unwrap();
    pair.fetch(block_start(1)).await.unwrap();
    assert!(pair.viewer.peers().cache.copies.is_sound(pair.grant.sealed.hash).await.unwrap());
}

#[tokio::test]
async fn what_has_been_replaced_is_refused_as_stale() {
    let pair = pair().await;
    let mut stream = pair.call(pair.viewer.key());
    let old = Fetch { sealed: SealedHash::from([3; 32]), ..pair.wanted(0) };
    let Err(Broken::Final(error)) = put(&mut stream, &pair.grant, old).await else { panic!("served") };
    assert_eq!(error.code, Code::Stale);
    // The connection goes on.
    assert!(put(&mut stream, &pair.grant, pair.wanted(0)).await.is_ok());
}

#[tokio::test]
async fn a_share_that_is_not_the_grants_is_not_taken() {
    let pair = pair().await;
    let mut stream = pair.call(pair.viewer.key());
    let other = Grant { check: Some([7; 32].into()), ..pair.grant.clone() };
    let Err(Broken::Final(error)) = put(&mut stream, &other, pair.wanted(0)).await else { panic!("taken") };
    assert_eq!(&*error.message, "the owner sent a share that is not the grant's");
}

#[tokio::test]
async fn nobody_is_served_under_a_split_or_a_key_that_is_not_known() {
    let pair = pair().await;
    let mut stream = pair.call(pair.viewer.key());
    let other = Fetch { split: SplitId::from([0; 16]), ..pair.wanted(0) };
    assert!(put(&mut stream, &pair.grant, other).await.is_err());
    let mut stranger = pair.call(PublicKey::from([5; 32]));
    assert!(put(&mut stranger, &pair.grant, pair.wanted(0)).await.is_err());
    let revoked = Grant { revoked: true, revision: Revision(2), ..pair.grant.clone() };
    pair.owner.peers().cache.take_grant(revoked).await.unwrap();
    let mut stream = pair.call(pair.viewer.key());
    assert!(put(&mut stream, &pair.grant, pair.wanted(0)).await.is_err());
}

#[tokio::test]
async fn nonsense_from_a_peer_is_answered_or_cut_off() {
    use dos_protocol::frame;
    use tokio::io::AsyncWriteExt;
    let pair = pair().await;
    let mut stream = pair.call(pair.viewer.key());
    stream.get_mut().write_all(&frame::to_frame(&"make_coffee").unwrap()).await.unwrap();
    let body = stream.next().await.unwrap().unwrap();
    let FromPeer::Refused(error) = frame::decode(&body).unwrap() else { panic!("served") };
    assert_eq!(error.code, Code::Unsupported);
    stream.get_mut().write_all(&u32::MAX.to_be_bytes()).await.unwrap();
    assert!(!matches!(stream.next().await, Ok(Some(_))));
    pair.fetch(0).await.unwrap();
}

/// What the owner answers to one message of a caller.
async fn says(stream: &mut Reader<DuplexStream>, message: &ToPeer) -> FromPeer {
    use tokio::io::AsyncWriteExt;
    let frame = dos_protocol::frame::to_frame(message).unwrap();
    stream.get_mut().write_all(&frame).await.unwrap();
    dos_protocol::frame::decode(&stream.next().await.unwrap().unwrap()).unwrap()
}

#[tokio::test]
async fn a_direct_message_is_taken_once_and_only_of_somebody_who_is_known() {
    let pair = pair().await;
    let message = |text: &str| {
        let message = dos_protocol::MessageId::from([1; 16]);
        ToPeer::Message(DirectMessage {
            message,
            sent_at: dos_protocol::Timestamp(i64::MAX),
            text: text.into(),
        })
    };
    let mut stream = pair.call(pair.viewer.key());
    assert_eq!(says(&mut stream, &ToPeer::Ping).await, FromPeer::Pong);
    for nothing in ["", " \n", &"x".repeat(dos_protocol::limits::MESSAGE_BYTES_MAX + 1)] {
        let FromPeer::Refused(error) = says(&mut stream, &message(nothing)).await else { panic!("taken") };
        assert_eq!(error.code, Code::Invalid);
    }
    // The right that the viewer has makes it known.
    for _ in 0..2 {
        assert_eq!(says(&mut stream, &message("hello")).await, FromPeer::Stored);
    }
    assert_eq!(pair.owner.peers().feed.mail().borrow().unread, 1);
    // Without the directory nobody can tell whose this key is.
    let mut stranger = pair.call(PublicKey::from([5; 32]));
    assert!(matches!(says(&mut stranger, &message("hello")).await, FromPeer::Refused(_)));
    assert_eq!(pair.owner.peers().feed.mail().borrow().unread, 1);
}
