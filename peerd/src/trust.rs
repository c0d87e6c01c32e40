//! Whose key is believed: pins keys when they are needed for the first time, and compares what the directory says from then on.
//!
//! What always holds: whatever is given to a peer, sealed to it or believed of it goes by the pinned key; a key that differs
//! is noted, reported and used for nothing. Only a person replaces a pinned key. A name leads to the peer that came to be known
//! under it, whatever the directory calls by that name now.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

use dos_protocol::{
    Code, Fingerprint, ImageName, PeerId, PeerName, PeerRef, PublicKey, Reason, SealingKey, Timestamp,
    WireError,
    control::{Contact as Known, Event, EventKind, OtherKey},
    directory::{Answer, Contact, Op},
    key::SecretKey,
    model::{ImageInfo, PeerInfo},
    record::{ImageRecord, SignatureState, SignedImage},
    sealing::{Letter, Route, seal},
};

use crate::{
    directory::{Directory, unexpected},
    feed::Feed,
    rules::trust::{self as rule, Judged, judge},
    store::{Compared, Error, Pin, SeenImage, Store, Told},
};

/// Peers of which it is remembered where they were.
const KNOWN_MAX: usize = 1024;

/// Whom to believe.
#[derive(Debug)]
pub(crate) struct Trust {
    pub(crate) store: Store,
    pub(crate) directory: Arc<dyn Directory>,
    pub(crate) feed: Arc<Feed>,
    /// Contacts of which another key was seen: `status` is answered from memory.
    changes: AtomicU64,
    /// Where the directory said the last time that they are, since this daemon runs. When full, it starts anew.
    known: Mutex<HashMap<PeerId, Contact>>,
}

impl Trust {
    pub(crate) fn new(store: Store, directory: Arc<dyn Directory>, feed: Arc<Feed>) -> Self {
        Self { store, directory, feed, changes: AtomicU64::new(0), known: Mutex::default() }
    }

    /// Contacts of which another key was seen.
    pub(crate) fn changes(&self) -> u64 {
        self.changes.load(Ordering::Relaxed)
    }

    /// Counts them anew.
    ///
    /// # Errors
    /// If the store fails.
    pub(crate) async fn count(&self) -> Result<(), Error> {
        self.changes.store(self.store.key_changes().await?, Ordering::Relaxed);
        Ok(())
    }

    /// What it takes to connect to a peer with which this one has to do; its key is pinned from now on.
    ///
    /// # Errors
    /// `not_found`; `offline`; `denied` if another key is pinned.
    pub(crate) async fn contact(&self, peer: PeerId) -> Result<Contact, WireError> {
        let contact = self.ask(peer).await?;
        let name = contact.name.clone();
        self.meet(Told { peer, key: contact.key, sealing: contact.sealing, name }).await?;
        let mut known = self.all_known();
        if known.len() >= KNOWN_MAX && !known.contains_key(&peer) {
            known.clear();
        }
        known.insert(peer, contact.clone());
        drop(known);
        Ok(contact)
    }

    /// What the directory said the last time of a peer with which this one has to do. It may be elsewhere by now, or gone.
    pub(crate) fn known(&self, peer: PeerId) -> Option<Contact> {
        self.all_known().get(&peer).cloned()
    }

    fn all_known(&self) -> MutexGuard<'_, HashMap<PeerId, Contact>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// As [`Self::contact`], for a look that pins nothing.
    ///
    /// # Errors
    /// As [`Self::contact`].
    pub(crate) async fn look(&self, peer: PeerId) -> Result<Contact, WireError> {
        if self.store.pin(peer).await?.is_some() { self.contact(peer).await } else { self.ask(peer).await }
    }

    /// What the directory says of a peer.
    async fn ask(&self, peer: PeerId) -> Result<Contact, WireError> {
        match self.directory.request(Op::Contact(peer)).await? {
            Answer::Contact(contact) if contact.id == peer => {
                // Before its signature: another key has not signed it, and is the graver news.
                self.check(peer, contact.key).await?;
                match contact.sealing {
                    Some(sealing) if sealing.verify(&contact.key).is_err() => Err(not_signed(&contact)),
                    _ => Ok(contact),
                }
            }
            _ => Err(unexpected()),
        }
    }

    /// The pinned key of a peer with which this one has to do; the one that the directory tells is pinned if none is yet.
    ///
    /// # Errors
    /// As [`Self::contact`].
    pub(crate) async fn key(&self, peer: PeerId) -> Result<PublicKey, WireError> {
        Ok(self.pin(peer).await?.contact.key)
    }

    async fn pin(&self, peer: PeerId) -> Result<Pin, WireError> {
        if let Some(pin) = self.store.pin(peer).await? {
            return Ok(pin);
        }
        self.contact(peer).await?;
        self.store.pin(peer).await?.ok_or_else(|| WireError::new(Code::Internal, "the key was not pinned"))
    }

    /// The pinned key of a peer, and the key to which messages to it are sealed.
    ///
    /// # Errors
    /// As [`Self::contact`]; `unsupported` if its peerd is too old to open a sealed message.
    pub(crate) async fn sealing_key(&self, peer: PeerId) -> Result<(PublicKey, SealingKey), WireError> {
        let mut pin = self.pin(peer).await?;
        if pin.sealing.is_none() {
            // It may have been updated since.
            self.contact(peer).await?;
            pin = self.pin(peer).await?;
        }
        let Some(sealing) = pin.sealing else {
            let who = called(peer, pin.contact.name.as_ref());
            let text = format!("nothing can be sealed to {who}: its peerd, or the directory, is too old");
            return Err(WireError::new(Code::Unsupported, text).hint("update both, then send it again"));
        };
        Ok((pin.contact.key, sealing))
    }

    /// A message of this peer's, sealed to its recipient, which is a contact from now on.
    ///
    /// # Errors
    /// As [`Self::sealing_key`].
    pub(crate) async fn seal(
        &self,
        secret: &SecretKey,
        route: &Route,
        letter: &Letter,
    ) -> Result<Box<[u8]>, WireError> {
        let (key, sealing) = self.sealing_key(route.to).await?;
        let sealed = seal(route, secret, (&key, &sealing), letter).map_err(|error| {
            WireError::new(Code::Internal, "the message cannot be sealed").caused_by(error.to_string())
        })?;
        Ok(sealed.into())
    }

    /// Compares a key with the pinned one; the first one is pinned.
    ///
    /// # Errors
    /// `denied` if another key is pinned.
    pub(crate) async fn meet(&self, told: Told) -> Result<(), WireError> {
        match self.store.compare(told).await? {
            Compared::Known(_) => Ok(()),
            Compared::Changed { contact, news } => Err(self.changed(*contact, news).await),
        }
    }

    /// Compares the key of a peer that calls with the pinned one, and pins nothing.
    ///
    /// # Errors
    /// As [`Self::meet`].
    pub(crate) async fn check(&self, peer: PeerId, key: PublicKey) -> Result<(), WireError> {
        let pin = self.store.pin(peer).await?;
        match judge(pin.as_ref().map(|pin| &pin.contact.key), &key) {
            Judged::Changed => self.meet(Told { peer, key, sealing: None, name: None }).await,
            Judged::Unknown | Judged::Same => Ok(()),
        }
    }

    /// Reports another key, once, and says why nothing is done with it.
    pub(crate) async fn changed(&self, contact: Known, news: bool) -> WireError {
        if news {
            tracing::warn!(peer = %contact.id, "the peer appears with another key than the pinned one");
            if let Err(error) = self.count().await {
                return error.into();
            }
            let event = Event::new(Timestamp::now(), EventKind::KeyChange(Box::new(contact.clone())));
            if let Err(error) = self.store.note_news(event.clone()).await {
                return error.into();
            }
            self.feed.events.tell(event.at, event.what);
        }
        key_changed(&contact)
    }

    /// The peer that a person named: a name leads to the contact that is known by it.
    ///
    /// # Errors
    /// `not_found`; `offline`.
    pub(crate) async fn who(&self, peer: &PeerRef) -> Result<PeerId, WireError> {
        match peer {
            PeerRef::Id(id) => Ok(*id),
            PeerRef::Name(name) => match self.store.pin_by_name(name.clone()).await? {
                Some(pin) => Ok(pin.contact.id),
                None => Ok(self.resolve(peer.clone()).await?.id),
            },
            PeerRef::Address(_) => Ok(self.resolve(peer.clone()).await?.id),
        }
    }

    async fn resolve(&self, peer: PeerRef) -> Result<PeerInfo, WireError> {
        match self.directory.request(Op::Resolve(peer)).await {
            Ok(Answer::Peer(peer)) => Ok(*peer),
            Ok(_) => Err(unexpected()),
            Err(error) if error.code == Code::NotFound && error.hint.is_none() => {
                Err(error.hint("dosctl list"))
            }
            Err(error) => Err(error),
        }
    }

    /// What to say of a contact that the directory does not know any more: its name may lead to another peer now, which is
    /// not used before a person has compared the keys.
    pub(crate) async fn missing(&self, peer: &PeerRef, error: WireError) -> WireError {
        let PeerRef::Name(name) = peer else { return error };
        if error.code != Code::NotFound {
            return error;
        }
        let found = async {
            let Some(pin) = self.store.pin_by_name(name.clone()).await? else { return Ok(None) };
            let now = self.resolve(peer.clone()).await?;
            let Some(key) = now.key.filter(|_| now.id != pin.contact.id) else { return Ok(None) };
            let other = OtherKey { peer: now.id, key, at: Timestamp::now() };
            Ok::<_, WireError>(self.store.note_other(pin.contact.id, other).await?)
        };
        match found.await {
            Ok(Some((contact, news))) => self.changed(contact, news).await,
            Ok(None) | Err(_) => error,
        }
    }

    /// Judges what the directory shows of other peers' images, in place. Words of contacts are remembered.
    ///
    /// # Errors
    /// If the store fails.
    pub(crate) async fn judge_images(&self, me: PeerId, peers: &mut [PeerInfo]) -> Result<(), Error> {
        let ids = peers.iter().filter(|peer| !peer.images.is_empty()).map(|peer| peer.id).collect();
        let pins = self.store.pins_of(ids).await?;
        let mut news = Vec::new();
        for peer in peers {
            if peer.id == me {
                peer.images.iter_mut().for_each(|image| image.signature = Some(SignatureState::Valid));
                continue;
            }
            let pin = pins.iter().find(|pin| pin.contact.id == peer.id);
            let names = peer.images.iter().map(|image| (peer.id, image.name.clone())).collect();
            let seen = if pin.is_some() { self.store.seen_images(names).await? } else { Vec::new() };
            for image in &mut peer.images {
                let seen = seen.iter().find(|seen| seen.name == image.name);
                let (state, word) = judged(peer.key, pin, seen, image);
                image.signature = Some(state);
                news.extend(word);
            }
        }
        self.store.note_images(news).await
    }

    /// The pinned key of a peer, if one is pinned.
    ///
    /// # Errors
    /// If the store fails.
    pub(crate) async fn pinned(&self, peer: PeerId) -> Result<Option<PublicKey>, Error> {
        Ok(self.store.pin(peer).await?.map(|pin| pin.contact.key))
    }

    /// Judges an image that comes without its owner's word.
    ///
    /// # Errors
    /// If the store fails.
    pub(crate) async fn judge_unsigned(
        &self,
        owner: PeerId,
        name: &ImageName,
    ) -> Result<SignatureState, Error> {
        let pin = self.store.pin(owner).await?;
        let seen = self.store.seen_images(vec![(owner, name.clone())]).await?;
        let pinned = pin.as_ref().map(Pin::pinned);
        Ok(rule::image(pinned.as_ref(), seen.first().map(|seen| seen.revision), None, false))
    }

    /// Judges what the directory shows of one image of another peer, whose key is `told` if none is pinned.
    ///
    /// # Errors
    /// If the store fails.
    pub(crate) async fn judge_image(
        &self,
        told: Option<PublicKey>,
        image: &ImageInfo,
    ) -> Result<SignatureState, Error> {
        let pin = self.store.pin(image.owner).await?;
        let seen = self.store.seen_images(vec![(image.owner, image.name.clone())]).await?;
        let (state, word) = judged(told, pin.as_ref(), seen.first(), image);
        self.store.note_images(word.into_iter().collect()).await?;
        Ok(state)
    }

    /// Notes the word that an owner has brought itself, on a connection that proves its key.
    ///
    /// # Errors
    /// `invalid` if it is not signed with that key, or older than one that was seen.
    pub(crate) async fn note_word(
        &self,
        key: &PublicKey,
        image: &SignedImage,
        record: &ImageRecord,
    ) -> Result<(), WireError> {
        let refuse = |what: &str| Err(WireError::new(Code::Invalid, format!("the owner sent {what}")));
        if image.verify(key, record).is_err() {
            return refuse("a description of the image that it has not signed");
        }
        let seen = self.store.seen_images(vec![(image.owner, image.name.clone())]).await?;
        if seen.first().is_some_and(|seen| record.revision < seen.revision) {
            return refuse("an older description of the image than one that was seen");
        }
        Ok(self.store.note_images(vec![word(image, record)]).await?)
    }
}

fn word(image: &SignedImage, record: &ImageRecord) -> SeenImage {
    SeenImage {
        owner: image.owner,
        name: image.name.clone(),
        revision: record.revision,
        signature: record.signature,
    }
}

/// What is to be thought of an image, and what is to be remembered of it.
fn judged(
    told: Option<PublicKey>,
    pin: Option<&Pin>,
    seen: Option<&SeenImage>,
    image: &ImageInfo,
) -> (SignatureState, Option<SeenImage>) {
    let signed = SignedImage::from(image);
    let same = |record: &ImageRecord| {
        seen.is_some_and(|seen| seen.revision == record.revision && seen.signature == record.signature)
    };
    let key = pin.map(|pin| pin.contact.key).or(told);
    let is_signed =
        image.record.as_ref().zip(key).is_some_and(|(record, key)| signed.verify(&key, record).is_ok());
    let pinned = pin.map(Pin::pinned);
    let state =
        rule::image(pinned.as_ref(), seen.map(|seen| seen.revision), image.record.as_ref(), is_signed);
    let news = match (&image.record, pin) {
        (Some(record), Some(_)) if state == SignatureState::Valid && !same(record) => {
            Some(word(&signed, record))
        }
        _ => None,
    };
    (state, news)
}

/// How a person calls a peer.
pub(crate) fn called(peer: PeerId, name: Option<&PeerName>) -> String {
    name.map_or_else(|| peer.to_string(), ToString::to_string)
}

/// Why nothing is sealed to a peer of which the directory tells a sealing key that is not its own.
fn not_signed(contact: &Contact) -> WireError {
    let who = called(contact.id, contact.name.as_ref());
    let text = format!("the directory tells a sealing key of {who} that {who} has not signed");
    WireError::new(Code::Denied, text).because(Reason::KeyChanged)
}

/// Why nothing is done with a peer that appears with another key.
fn key_changed(contact: &Known) -> WireError {
    let who = called(contact.id, contact.name.as_ref());
    let fingerprints = contact.other.map(|other| {
        let seen = Fingerprint::new(other.peer, &other.key);
        format!("known: {}; now: {seen}", contact.fingerprint())
    });
    let error = WireError::new(
        Code::Denied,
        format!("{who} appears with another key than the one that is known: nothing is given to it or believed of it"),
    )
    .because(Reason::KeyChanged)
    .hint(format!("dosctl trust {who}"));
    match fingerprints {
        Some(cause) => error.caused_by(cause),
        None => error,
    }
}
