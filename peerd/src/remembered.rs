//! What the directory has shown last, for when it is out of reach: peers with their images, and previews.
//!
//! What always holds: only what was judged is kept, as it was shown; it is in memory alone, bounded, and forgotten with the daemon;
//! of no one is it said that it is online, which only the directory knows.

use std::{
    collections::{HashMap, HashSet},
    sync::{Mutex, MutexGuard, PoisonError},
};

use dos_protocol::{
    ImageName, PeerId, PeerRef, Timestamp,
    directory::{Cursor, Preview},
    model::{ImagePath, PeerInfo},
    record::SignatureState,
};

/// Peers that are remembered; of more, those go that were shown longest ago.
const PEERS_MAX: usize = 10_000;

/// Images that are remembered, of all peers together; of more, those go that were shown longest ago. They are held as they are
/// shown, which takes half a kilobyte each.
const IMAGES_MAX: usize = 4_000;

/// Bytes of all previews: some hundreds, which are what somebody has just looked at. Who looks through thousands in the gallery leaves
/// no more of them here.
const PREVIEW_BYTES_MAX: usize = 2 << 20;

/// A preview as it was shown.
#[derive(Debug, Clone)]
pub(crate) struct SeenPreview {
    pub(crate) path: ImagePath,
    pub(crate) preview: Preview,
    pub(crate) signature: SignatureState,
}

/// What the directory has shown.
#[derive(Debug, Default)]
pub(crate) struct Remembered(Mutex<Inner>);

#[derive(Debug, Default)]
struct Inner {
    peers: HashMap<PeerId, (PeerInfo, Timestamp)>,
    previews: HashMap<(PeerId, ImageName), (SeenPreview, Timestamp)>,
    preview_bytes: usize,
    /// Of all peers together.
    images: usize,
}

impl Remembered {
    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Remembers a page that began at `after`.
    pub(crate) fn page(&self, peers: &[PeerInfo], after: Option<&Cursor>, at: Timestamp) {
        let mut inner = self.inner();
        for peer in peers {
            let goes_on = after.is_some_and(|after| after.peer == peer.id && after.image.is_some());
            inner.remember(peer, goes_on, at);
        }
        inner.forget_oldest();
    }

    /// Remembers some images of peers, beside those that are known of them.
    pub(crate) fn some_of(&self, peers: &[PeerInfo], at: Timestamp) {
        let mut inner = self.inner();
        for peer in peers {
            inner.remember(peer, true, at);
        }
        inner.forget_oldest();
    }

    /// What is remembered of all peers, or of one, by name; and when the last of it was shown.
    pub(crate) fn peers(&self, of: Option<&PeerRef>) -> Option<(Vec<PeerInfo>, Timestamp)> {
        let inner = self.inner();
        let is_wanted = |peer: &PeerInfo| match of {
            None => true,
            Some(PeerRef::Id(id)) => peer.id == *id,
            Some(PeerRef::Name(name)) => peer.name.as_ref() == Some(name),
            Some(PeerRef::Address(_)) => false,
        };
        let found = || inner.peers.values().filter(|(peer, _)| is_wanted(peer));
        let at = found().map(|(_, at)| *at).max()?;
        let mut peers: Vec<PeerInfo> = found().map(|(peer, _)| peer.clone()).collect();
        for peer in &mut peers {
            peer.images.sort_by(|one, other| one.name.cmp(&other.name));
        }
        peers.sort_by(|one, other| (&one.name, one.id).cmp(&(&other.name, other.id)));
        Some((peers, at))
    }

    /// Remembers a preview.
    pub(crate) fn preview(&self, seen: SeenPreview, at: Timestamp) {
        let mut inner = self.inner();
        let bytes = seen.preview.data.len();
        if inner.preview_bytes.saturating_add(bytes) > PREVIEW_BYTES_MAX {
            inner.previews.clear();
            inner.preview_bytes = 0;
        }
        let key = (seen.path.owner, seen.path.name.clone());
        let before = inner.previews.insert(key, (seen, at)).map_or(0, |(old, _)| old.preview.data.len());
        inner.preview_bytes = inner.preview_bytes.saturating_add(bytes).saturating_sub(before);
    }

    /// The preview of this image, and when it was shown.
    pub(crate) fn seen_preview(&self, owner: PeerId, name: &ImageName) -> Option<(SeenPreview, Timestamp)> {
        self.inner().previews.get(&(owner, name.clone())).cloned()
    }
}

impl Inner {
    /// Remembers a peer with these images, beside those that are known if it `goes_on`.
    fn remember(&mut self, peer: &PeerInfo, goes_on: bool, at: Timestamp) {
        let known = self.peers.remove(&peer.id).map(|(known, _)| known.images).unwrap_or_default();
        self.images -= known.len();
        let mut images = if goes_on { known } else { Vec::new() };
        let new: HashSet<_> = peer.images.iter().map(|image| image.no).collect();
        images.retain(|image| !new.contains(&image.no));
        images.extend(peer.images.iter().cloned());
        let over = images.len().saturating_sub(IMAGES_MAX);
        images.drain(..over);
        self.images += images.len();
        let seen = PeerInfo { images, online: false, address: None, online_since: None, ..peer.clone() };
        self.peers.insert(peer.id, (seen, at));
    }

    fn forget_oldest(&mut self) {
        while self.peers.len() > PEERS_MAX || self.images > IMAGES_MAX {
            // A peer without images takes none away.
            let has_too_many = self.images > IMAGES_MAX;
            let candidates =
                self.peers.iter().filter(|(_, (peer, _))| !has_too_many || !peer.images.is_empty());
            let Some(oldest) = candidates.min_by_key(|(_, (_, at))| *at).map(|(id, _)| *id) else { return };
            if let Some((peer, _)) = self.peers.remove(&oldest) {
                self.images -= peer.images.len();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use dos_protocol::{
        ImageNo, Visibility,
        model::{Format, ImageInfo, Original, PreviewInfo, SealedCopy},
    };

    use super::*;

    fn peer(number: u64, name: &str, online: bool) -> PeerInfo {
        PeerInfo {
            id: PeerId::from_number(PeerId::COUNT / 2 + number).unwrap(),
            name: Some(name.parse().unwrap()),
            online,
            address: None,
            last_seen: None,
            online_since: None,
            last_end: None,
            images: Vec::new(),
            key: None,
        }
    }

    #[test]
    fn what_was_shown_last_is_known_and_no_one_is_online() {
        let remembered = Remembered::default();
        assert_eq!(remembered.peers(None), None);
        remembered.page(&[peer(1, "bob", true), peer(2, "alice", false)], None, Timestamp(1));
        remembered.page(&[peer(1, "bobby", true)], None, Timestamp(2));
        let (peers, at) = remembered.peers(None).unwrap();
        assert_eq!((peers, at), (vec![peer(2, "alice", false), peer(1, "bobby", false)], Timestamp(2)));
        let alice = PeerRef::Name("alice".parse().unwrap());
        assert_eq!(remembered.peers(Some(&alice)).unwrap().1, Timestamp(1));
        assert_eq!(remembered.peers(Some(&PeerRef::Name("bob".parse().unwrap()))), None);
    }

    #[test]
    fn what_is_remembered_is_bounded() {
        let remembered = Remembered::default();
        for number in 0..=PEERS_MAX {
            let number = u64::try_from(number).unwrap();
            remembered.page(&[peer(number, "x", false)], None, Timestamp(number.cast_signed()));
        }
        assert_eq!(remembered.inner().peers.len(), PEERS_MAX);
        assert!(!remembered.inner().peers.contains_key(&peer(0, "x", false).id));
    }

    fn images(from: usize, count: usize) -> Vec<ImageInfo> {
        let image = |number: usize| ImageInfo {
            no: ImageNo(u64::try_from(number).unwrap()),
            owner: peer(1, "bob", true).id,
            name: format!("image {number:05}").parse().unwrap(),
            original: Original {
                image_id: [1; 32].into(),
                format: Format::Jpeg,
                width: 4,
                height: 3,
                bytes: 9,
            },
            sealed: SealedCopy { hash: [2; 32].into(), bytes: 99 },
            preview: PreviewInfo { format: Format::Jpeg, width: 4, height: 3, bytes: 9 },
            access: None,
            record: None,
            signature: None,
            visibility: Visibility::Listed,
            added_at: None,
        };
        (from..from + count).map(image).collect()
    }

    #[test]
    fn of_all_images_the_last_ones_that_were_shown_are_remembered() {
        let remembered = Remembered::default();
        let with = |number, name, images| PeerInfo { images, ..peer(number, name, false) };
        remembered.page(&[with(1, "alice", images(0, 10))], None, Timestamp(1));
        for page in 0..30 {
            let shown = images(1_000 + page * 200, 200);
            remembered.some_of(&[with(2, "bob", shown)], Timestamp(2));
        }
        let of = |name: &str| remembered.peers(Some(&PeerRef::Name(name.parse().unwrap())));
        assert_eq!(of("alice"), None, "what was shown longest ago has gone");
        let (known, _) = of("bob").unwrap();
        let last = known[0].images.last().unwrap().no;
        assert_eq!((known[0].images.len(), last), (IMAGES_MAX, ImageNo(6_999)));
        assert!(known[0].images.is_sorted_by_key(|image| image.name.clone()));
        // The same ones again are there once; a listing from the start takes the place of all.
        remembered.some_of(&[with(2, "bob", images(6_900, 100))], Timestamp(3));
        assert_eq!(remembered.inner().images, IMAGES_MAX);
        remembered.page(&[with(2, "bob", images(0, 5))], None, Timestamp(4));
        assert_eq!(remembered.inner().images, 5);
    }
}
