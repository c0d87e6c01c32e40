//! The ledger with a real store and real sealed files; the directory and the owner are played by the test.

use std::{
    collections::HashSet,
    fs,
    path::PathBuf,
    sync::{Mutex, MutexGuard},
};

use dos_protocol::{PublicKey, Revision, ViewId, model::SealedCopy};
use futures_util::future::BoxFuture;

use super::*;
use crate::{
    config::Settings, copies::Copies, feed::Feed, library::Library, sealing::Sealing,
    settings::CurrentSettings, source::OnBytes, state_dir::StateDir, store::Store, trust::Trust,
};

const IMAGE: ImageNo = ImageNo(4);

/// Counts views as the directory does, and loses answers on command.
#[derive(Debug)]
struct Counting {
    grant: Grant,
    share: [u8; 32],
    spent: HashSet<ViewId>,
    loses_answers: bool,
}

#[derive(Debug)]
struct FakeDirectory(Mutex<Counting>);

impl FakeDirectory {
    fn state(&self) -> MutexGuard<'_, Counting> {
        self.0.lock().unwrap()
    }

    fn answer(&self, op: Op) -> Result<Answer, Unanswered> {
        let mut state = self.state();
        let refused = |code| Err(Unanswered { error: WireError::new(code, "x"), perhaps_done: false });
        match op {
            Op::Grant { .. } => Ok(Answer::Grant(Box::new(state.grant.clone()))),
            Op::Spend(spend) => {
                let left = state.grant.views_left;
                if !state.spent.contains(&spend.view) {
                    let Allowance::Views(left @ 1..) = left else { return refused(Code::Denied) };
                    state.grant.views_left = Allowance::Views(left - 1);
                    state.grant.revision = Revision(state.grant.revision.0 + 1);
                    state.spent.insert(spend.view);
                }
                if state.loses_answers {
                    let error = WireError::new(Code::Offline, "lost");
                    return Err(Unanswered { error, perhaps_done: true });
                }
                Ok(Answer::Spent(Box::new(Spent { share: state.share, grant: state.grant.clone() })))
            }
            _ => refused(Code::Unsupported),
        }
    }
}

impl Directory for FakeDirectory {
    fn send(&self, op: Op, _: Repeat) -> BoxFuture<'_, Result<Answer, Unanswered>> {
        Box::pin(async move { self.answer(op) })
    }

    fn ready(&self) -> BoxFuture<'_, Result<(), WireError>> {
        Box::pin(async { Ok(()) })
    }

    fn is_online(&self) -> bool {
        true
    }
}

/// An owner whose copy lies ready in a file.
#[derive(Debug)]
struct FakeOwner {
    file: PathBuf,
    blocks: Vec<u8>,
    share: OwnerShare,
    cache: Cache,
    identity: Arc<Identities>,
}

impl Source for FakeOwner {
    fn fetch<'a>(&'a self, grant: &'a Grant, _: OnBytes<'a>) -> BoxFuture<'a, Result<Came, WireError>> {
        Box::pin(async move {
            fs::copy(&self.file, self.cache.copies.path(&grant.sealed.hash)).unwrap();
            let identity = self.identity.any().unwrap();
            let share =
                identity.vault.seal(EventKind::OwnerShare, grant.split.as_bytes(), self.share.as_bytes())?;
            self.cache.store.copy_arrived(grant.clone(), share, Some(self.blocks.clone())).await?;
            Ok(Came { way: dos_protocol::control::Way::Relayed, round_trip: None })
        })
    }
}

struct Bench {
    ledger: Ledger,
    directory: Arc<FakeDirectory>,
    content_key: ContentKey,
    _temp: tempfile::TempDir,
}

fn parts(dir: &std::path::Path) -> (Cache, Arc<Identities>) {
    let dirs = StateDir::open(dir).unwrap();
    let (store, _writer) = Store::open(&dirs.database()).unwrap();
    let identity = Identities::open(dirs.identity()).unwrap();
    let link = format!("dos://{}@127.0.0.1:1", PublicKey::from([9; 32]));
    let begun = identity.begin(&link.parse().unwrap()).unwrap();
    identity.complete(&begun, "8yLrQn3S".parse().unwrap(), None).unwrap();
    let settings = CurrentSettings::new(Settings::default());
    (Cache::new(store, Copies::new(&dirs), settings), Arc::new(identity))
}

async fn sealed(cache: &Cache, key: &ContentKey) -> (SealedCopy, Vec<u8>) {
    let mut sealing = Sealing::begin(&cache.copies, key.clone()).unwrap();
    sealing.push(b"a picture".to_vec()).await.unwrap();
    let file = sealing.finish().await.unwrap();
    let (copy, blocks) = (file.copy(), file.blocks());
    file.put_in_place(&cache.copies).await.unwrap();
    (copy, blocks)
}

/// A viewer with a grant of three views, of which nothing is here yet.
async fn bench() -> Bench {
    let temp = tempfile::tempdir().unwrap();
    let (owners, _) = parts(&temp.path().join("owner"));
    let (cache, identity) = parts(&temp.path().join("viewer"));
    let (me, _) = identity.registered().unwrap();
    cache.store.bind(me, false).await.unwrap();
    let keys = ImageKeys::generate().unwrap();
    let (copy, blocks) = sealed(&owners, keys.content_key()).await;
    let held = identity.any().unwrap().secret.public().unwrap();
    let share = keys.key_share(IMAGE, (me, &held)).unwrap();
    let grant = Grant {
        image: IMAGE,
        path: "7xKqPm2R/sea".parse().unwrap(),
        owner_name: None,
        viewer: me,
        viewer_name: None,
        views_left: Allowance::Views(3),
        views_used: 0,
        expires_at: None,
        revoked: false,
        revision: Revision(1),
        split: share.split,
        sealed: copy,
    };
    cache.take_grant(grant.clone()).await.unwrap();
    let counting = Counting { grant, share: share.share, spent: HashSet::new(), loses_answers: false };
    let directory = Arc::new(FakeDirectory(Mutex::new(counting)));
    let owner = FakeOwner {
        file: owners.copies.path(&copy.hash),
        blocks,
        share: keys.owner_share(IMAGE, (me, &held), share.split).unwrap(),
        cache: cache.clone(),
        identity: Arc::clone(&identity),
    };
    let known: Arc<dyn Directory> = Arc::clone(&directory) as _;
    let feed = Arc::new(Feed::new(&cache.store.own().await.unwrap()));
    let trust = Arc::new(Trust::new(cache.store.clone(), Arc::clone(&known), feed));
    let library = Arc::new(Library::new(cache.clone(), Arc::clone(&identity), Arc::clone(&known), trust));
    let live = Live::default();
    let grants = Grants {
        library,
        cache: cache.clone(),
        identity: Arc::clone(&identity),
        directory: Arc::clone(&known),
        live: live.clone(),
    };
    let source = Arc::new(owner);
    let ledger = Ledger { grants, cache, identity, directory: known, source, live };
    Bench { ledger, directory, content_key: keys.content_key().clone(), _temp: temp }
}

impl Bench {
    async fn view(&self) -> Result<Opened, WireError> {
        view(&self.ledger, &"7xKqPm2R/sea".parse().unwrap(), false, &|_| ()).await
    }

    async fn shown(&self, opened: Opened) {
        self.ledger.cache.store.close_view(opened.view.unwrap().id()).await.unwrap();
    }

    fn spent(&self) -> usize {
        self.directory.state().spent.len()
    }
}

#[tokio::test]
async fn every_view_that_was_shown_is_counted_once_and_opens_the_image() {
    let bench = bench().await;
    for left in [2, 1, 0] {
        let opened = bench.view().await.unwrap();
        assert_eq!(opened.views_left, Allowance::Views(left));
        assert_eq!(opened.key.as_bytes(), bench.content_key.as_bytes());
        bench.shown(opened).await;
    }
    assert_eq!(bench.spent(), 3);
}

#[tokio::test]
async fn a_view_whose_answer_was_lost_is_taken_up_and_not_counted_again() {
    let bench = bench().await;
    bench.directory.state().loses_answers = true;
    for _ in 0..2 {
        assert_eq!(bench.view().await.unwrap_err().code, Code::Offline);
    }
    bench.directory.state().loses_answers = false;
    let opened = bench.view().await.unwrap();
    assert_eq!((opened.views_left, bench.spent()), (Allowance::Views(2), 1));
    bench.shown(opened).await;
}

#[tokio::test]
async fn a_view_that_was_not_shown_is_the_next_one() {
    let bench = bench().await;
    drop(bench.view().await.unwrap());
    drop(bench.view().await.unwrap());
    assert_eq!(bench.spent(), 1);
}
