//! The ledger with a real store and real sealed files; the directory and the owner are played by the test.

use std::{
    collections::HashSet,
    fs,
    path::PathBuf,
    sync::{Mutex, MutexGuard},
};

use dos_protocol::{
    PublicKey, Revision, Timestamp, ViewId,
    directory::Checkin,
    model::{Access, AccessState, Format, ImageInfo, Original, PreviewInfo, PreviewSize, SealedCopy},
};

use super::*;
use crate::{
    config::Settings, copies::Copies, directory::Repeat, feed::Feed, library::Library, sealing::Sealing,
    settings::CurrentSettings, source::OnBytes, state_dir::StateDir, store::Store, trust::Trust,
};

mod held;

const IMAGE: ImageNo = ImageNo(4);

/// Counts views as the directory does, and loses answers on command.
#[derive(Debug)]
struct Counting {
    grant: Grant,
    share: [u8; 32],
    spent: HashSet<ViewId>,
    closed: HashSet<ViewId>,
    returned: Vec<Checkin>,
    loses_answers: bool,
    /// It knows nothing of closing views.
    is_old: bool,
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
                if state.closed.contains(&spend.view) {
                    let error = WireError::new(Code::Denied, "over").because(Reason::ViewClosed);
                    return Err(Unanswered { error, perhaps_done: false });
                }
                if !state.spent.contains(&spend.view) {
                    let Allowance::Views(left) = left else { return refused(Code::Denied) };
                    let Some(left) = left.checked_sub(spend.views) else { return refused(Code::Denied) };
                    state.grant.views_left = Allowance::Views(left);
                    state.grant.revision = Revision(state.grant.revision.0 + 1);
                    state.spent.insert(spend.view);
                }
                if state.loses_answers {
                    let error = WireError::new(Code::Offline, "lost");
                    return Err(Unanswered { error, perhaps_done: true });
                }
                Ok(Answer::Spent(Box::new(Spent { share: state.share, grant: state.grant.clone() })))
            }
            Op::CloseViews(_) if state.loses_answers => refused(Code::Offline),
            Op::CloseViews(views) if !state.is_old => {
                state.closed.extend(views);
                Ok(Answer::Done)
            }
            Op::Checkin(checkin) => {
                state.returned.push(checkin);
                Ok(Answer::Grant(Box::new(state.grant.clone())))
            }
            // By its clock the grant is usable.
            Op::Image(_) => Ok(Answer::Image(Box::new(image(&state.grant)))),
            _ => refused(Code::Unsupported),
        }
    }
}

fn image(grant: &Grant) -> ImageInfo {
    let (format, image_id) = (Format::Jpeg, [1; 32].into());
    ImageInfo {
        no: grant.image,
        owner: grant.path.owner,
        name: grant.path.name.clone(),
        original: Original { image_id, format, width: 4, height: 3, bytes: 9 },
        sealed: grant.sealed,
        preview: PreviewInfo { format, width: 4, height: 3, bytes: 1 },
        access: Some(Access {
            state: AccessState::Granted,
            views_left: grant.views_left,
            expires_at: grant.expires_at,
            offer: false,
        }),
        record: None,
        signature: None,
        visibility: dos_protocol::Visibility::Listed,
        added_at: None,
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

    fn preview_size(&self) -> PreviewSize {
        PreviewSize::default()
    }
}

/// An owner whose copy lies ready in a file.
#[derive(Debug)]
struct FakeOwner {
    file: PathBuf,
    blocks: Vec<u8>,
    share: Mutex<OwnerShare>,
    cache: Cache,
    identity: Arc<Identities>,
}

impl Source for FakeOwner {
    fn fetch<'a>(&'a self, grant: &'a Grant, _: OnBytes<'a>) -> BoxFuture<'a, Result<Came, WireError>> {
        Box::pin(async move {
            fs::copy(&self.file, self.cache.copies.path(&grant.sealed.hash)).unwrap();
            let identity = self.identity.any().unwrap();
            let share = self.share.lock().unwrap().clone();
            let share =
                identity.vault.seal(EventKind::OwnerShare, grant.split.as_bytes(), share.as_bytes())?;
            self.cache.store.copy_arrived(grant.clone(), share, Some(self.blocks.clone())).await?;
            Ok(Came { way: dos_protocol::control::Way::Relayed, round_trip: None })
        })
    }
}

struct Bench {
    ledger: Ledger,
    directory: Arc<FakeDirectory>,
    owner: Arc<FakeOwner>,
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
    let mut sealing = Sealing::begin(&cache.copies, key.clone(), true).unwrap();
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
        check: share.check,
        allow_offline: true,
        returned: 0,
        offer: false,
    };
    cache.take_grant(grant.clone()).await.unwrap();
    let counting = Counting {
        grant,
        share: share.share,
        spent: HashSet::new(),
        closed: HashSet::new(),
        returned: Vec::new(),
        loses_answers: false,
        is_old: false,
    };
    let directory = Arc::new(FakeDirectory(Mutex::new(counting)));
    let owner = FakeOwner {
        file: owners.copies.path(&copy.hash),
        blocks,
        share: Mutex::new(keys.owner_share(IMAGE, (me, &held), share.split).unwrap()),
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
    let owner = Arc::new(owner);
    let source: Arc<dyn Source> = Arc::clone(&owner) as _;
    let closings = Notify::new();
    let ledger = Ledger { grants, cache, identity, directory: known, source, live, closings };
    Bench { ledger, directory, owner, _temp: temp }
}

/// Takes what comes, or has no room.
#[derive(Default)]
struct FakeCaller {
    has_no_room: bool,
    announced: Mutex<Vec<u64>>,
}

impl Caller for FakeCaller {
    fn progress(&self, _: Progress) {}

    fn ready(
        &self,
        bytes: u64,
        _: Option<dos_protocol::control::Spends>,
    ) -> BoxFuture<'_, Result<(), WireError>> {
        self.announced.lock().unwrap().push(bytes);
        let full = WireError::new(Code::Internal, "no room");
        Box::pin(async move { if self.has_no_room { Err(full) } else { Ok(()) } })
    }
}

fn arg() -> ImageArg {
    "7xKqPm2R/sea".parse().unwrap()
}

impl Bench {
    async fn view(&self) -> Result<Opened, WireError> {
        view(&self.ledger, &arg(), false, &FakeCaller::default()).await
    }

    async fn view_held(&self) -> Result<Opened, WireError> {
        view(&self.ledger, &arg(), true, &FakeCaller::default()).await
    }

    fn spent(&self) -> usize {
        self.directory.state().spent.len()
    }

    async fn held(&self) -> u32 {
        self.ledger.cache.store.held_left(IMAGE).await.unwrap()
    }

    async fn is_open(&self) -> bool {
        self.ledger.cache.store.left_open(self.ledger.live.clone(), IMAGE).await.unwrap()
    }

    /// Changes the grant at the directory and here.
    async fn change(&self, change: impl FnOnce(&mut Grant)) {
        let grant = {
            let mut state = self.directory.state();
            change(&mut state.grant);
            state.grant.revision = Revision(state.grant.revision.0 + 1);
            state.grant.clone()
        };
        self.ledger.cache.take_grant(grant).await.unwrap();
    }

    async fn told(&self, time: i64) {
        self.ledger.cache.store.directory_told(Timestamp(time)).await.unwrap();
    }
}

fn read(mut opened: Opened) -> Vec<u8> {
    let mut bytes = Vec::new();
    io::Read::read_to_end(&mut opened.original, &mut bytes).unwrap();
    bytes
}

#[tokio::test]
async fn every_view_is_counted_once_and_opens_the_image() {
    let bench = bench().await;
    for left in [2, 1, 0] {
        let opened = bench.view().await.unwrap();
        assert_eq!((opened.views_left, opened.is_granted), (Allowance::Views(left), true));
        assert_eq!(read(opened), b"a picture");
    }
    assert_eq!(bench.spent(), 3);
    assert_eq!(bench.view().await.unwrap_err().code, Code::Denied);
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
}

#[tokio::test]
async fn a_view_is_over_before_its_first_byte_is_read() {
    let bench = bench().await;
    let opened = bench.view().await.unwrap();
    assert!(!bench.is_open().await);
    drop(opened);
    drop(bench.view().await.unwrap());
    assert_eq!(bench.spent(), 2);
    assert_eq!(bench.ledger.cache.store.closed_views().await.unwrap().len(), 2);
}

#[tokio::test]
async fn nothing_is_spent_before_the_caller_has_room() {
    let bench = bench().await;
    let full = FakeCaller { has_no_room: true, ..FakeCaller::default() };
    assert_eq!(&*view(&bench.ledger, &arg(), false, &full).await.unwrap_err().message, "no room");
    assert_eq!(*full.announced.lock().unwrap(), [9]);
    assert_eq!((bench.spent(), bench.is_open().await), (0, false));
    checkout(&bench.ledger, &arg(), 2).await.unwrap();
    assert_eq!(&*view(&bench.ledger, &arg(), true, &full).await.unwrap_err().message, "no room");
    assert_eq!((bench.held().await, full.announced.lock().unwrap().len()), (2, 2));
}

#[tokio::test]
async fn a_wrong_share_of_the_directory_costs_one_view_that_stays_open() {
    let bench = bench().await;
    let right = std::mem::replace(&mut bench.directory.state().share, [7; 32]);
    for _ in 0..3 {
        let error = bench.view().await.unwrap_err();
        assert_eq!(error.code, Code::Invalid);
        assert!(error.message.contains("the view stays open"), "{error}");
        assert_eq!((bench.spent(), bench.is_open().await), (1, true));
    }
    bench.directory.state().share = right;
    assert_eq!(read(bench.view().await.unwrap()), b"a picture");
    assert_eq!((bench.spent(), bench.is_open().await), (1, false));
}

#[tokio::test]
async fn a_wrong_share_of_the_owner_is_noticed_before_anything_is_spent() {
    let bench = bench().await;
    let right = std::mem::replace(&mut *bench.owner.share.lock().unwrap(), OwnerShare::from_bytes([7; 32]));
    assert!(bench.view().await.is_err());
    assert!(checkout(&bench.ledger, &arg(), 1).await.is_err());
    assert_eq!((bench.spent(), bench.is_open().await), (0, false));
    // An owner of the first release has not said which one is right: then it shows when the key does not open the copy.
    bench.change(|grant| grant.check = None).await;
    assert_eq!(bench.view().await.unwrap_err().code, Code::Invalid);
    assert_eq!((bench.spent(), bench.is_open().await), (1, true));
    *bench.owner.share.lock().unwrap() = right;
    assert_eq!(read(bench.view().await.unwrap()), b"a picture");
    assert_eq!(bench.spent(), 1);
}

#[tokio::test]
async fn a_share_that_has_changed_here_is_fetched_again() {
    let bench = bench().await;
    bench.view().await.unwrap();
    let (_, identity) = bench.ledger.identity.registered().unwrap();
    let grant = bench.directory.state().grant.clone();
    let row = grant.split;
    let wrong = identity.vault.seal(EventKind::OwnerShare, row.as_bytes(), &[7; 32]).unwrap();
    assert!(bench.ledger.cache.store.copy_arrived(grant, wrong, None).await.unwrap());
    assert_eq!(read(bench.view().await.unwrap()), b"a picture");
    assert_eq!(bench.spent(), 2);
}

#[tokio::test]
async fn the_directory_learns_which_views_are_over() {
    let bench = bench().await;
    let store = &bench.ledger.cache.store;
    bench.view().await.unwrap();
    checkout(&bench.ledger, &arg(), 1).await.unwrap();
    bench.directory.state().loses_answers = true;
    assert!(report_closed(&bench.ledger).await.is_err());
    assert_eq!(store.closed_views().await.unwrap().len(), 2, "it is asked again");
    bench.directory.state().loses_answers = false;
    report_closed(&bench.ledger).await.unwrap();
    let (spent, closed) = {
        let state = bench.directory.state();
        (state.spent.clone(), state.closed.clone())
    };
    assert_eq!((spent, store.closed_views().await.unwrap()), (closed, vec![]));
    bench.directory.state().is_old = true;
    bench.view().await.unwrap();
    report_closed(&bench.ledger).await.unwrap();
    assert!(store.closed_views().await.unwrap().is_empty(), "an old directory does not know of it");
}

#[tokio::test]
async fn a_view_that_is_over_at_the_directory_is_not_taken_up() {
    let bench = bench().await;
    bench.directory.state().loses_answers = true;
    bench.view().await.unwrap_err();
    // As when an old state is put back: the view is open here, and was shown.
    {
        let mut state = bench.directory.state();
        state.loses_answers = false;
        state.closed = state.spent.clone();
    }
    assert_eq!(read(bench.view().await.unwrap()), b"a picture");
    assert_eq!(bench.spent(), 2, "it is another view");
}
