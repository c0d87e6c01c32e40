//! Telling a directory whose data was restored what is known here from before: removed images, images, grants given and received,
//! checkouts, requests, then blocks and messages.
//!
//! What always holds: everything goes in bounded batches, and each can be sent again; what the directory cannot confirm yet, because
//! the peer that could is not back, is asserted again until it can, or its time is over; until the first round is over no change
//! goes to the directory ([`crate::upstream`]), so that none is mistaken for what was known before.

use std::{collections::HashSet, sync::Arc};

use dos_protocol::{
    Code, PeerId, PeerRef, Reason, WireError,
    directory::{Answer, Asserted, AssertedGrant, AssertedImage, Assertion, Delivery, Op, Publish, Send},
    model::{Grant, ImageInfo},
    sealing::{Letter, Route},
};

use crate::{
    blocks,
    cache::Cache,
    directory::{Directory, unexpected, unregistered},
    feed::Feed,
    identity::{Identities, Identity},
    keys::ImageKeys,
    rules::reconcile::is_final,
    sealing,
    store::{Asserting, Claim, Unsure},
    trust::Trust,
};

/// What reconciling works with.
#[derive(Debug)]
pub(crate) struct Reconciling {
    pub(crate) cache: Cache,
    pub(crate) identity: Arc<Identities>,
    pub(crate) directory: Arc<dyn Directory>,
    pub(crate) trust: Arc<Trust>,
    pub(crate) feed: Arc<Feed>,
}

/// Asserts what is to be asserted, but for messages and blocks. Returns how much of it is refused, if there was anything.
///
/// # Errors
/// If the directory cannot be asked, or the store fails; what was answered until then stays.
pub(crate) async fn run(reconciling: &Reconciling) -> Result<Option<u64>, WireError> {
    let store = &reconciling.cache.store;
    if !store.is_asserting().await? {
        return Ok(None);
    }
    let mut refused = 0;
    for claim in
        [Claim::Removed, Claim::Image, Claim::Given, Claim::Received, Claim::Checkout, Claim::Request]
    {
        refused += Box::pin(assert_all(reconciling, claim)).await?;
    }
    Ok(Some(refused))
}

/// A round is over: tells the user what is new.
///
/// # Errors
/// If the store fails.
pub(crate) async fn report(reconciling: &Reconciling, refused: u64) -> Result<(), WireError> {
    let (news, notes) = reconciling.cache.store.round_over(refused).await?;
    reconciling.feed.restored(&news, notes);
    Ok(())
}

/// Asserts everything of one kind. Returns how much of it is refused.
async fn assert_all(reconciling: &Reconciling, claim: Claim) -> Result<u64, WireError> {
    let store = &reconciling.cache.store;
    let (mut after, mut refused) = (None, 0);
    loop {
        let mut page = store.asserting(claim, after).await?;
        // A preview takes most of a frame's room.
        page.truncate(if claim == Claim::Image { 1 } else { page.len() });
        let Some(last) = page.last() else { return Ok(refused) };
        after = Some(last.key());
        let (assertion, keys) = prepare(reconciling, claim, page).await?;
        let Some(assertion) = assertion else {
            store.asserted(claim, keys.into_iter().map(|(key, _)| key).collect()).await?;
            continue;
        };
        let answers = match reconciling.directory.request_again(Op::Assert(assertion)).await? {
            Answer::Asserted(answers) if answers.len() == keys.len() => answers,
            _ => return Err(unexpected()),
        };
        let answered = keys.into_iter().zip(answers);
        let mut done = Vec::new();
        for ((key, has_ended), answer) in answered {
            refused += u64::from(answer == Asserted::Refused);
            if is_final(answer, has_ended) {
                done.push(key);
            }
        }
        store.asserted(claim, done).await?;
    }
}

/// The places of entries, each with whether what it stands for has ended.
type Keys = Vec<((i64, i64), bool)>;

/// What is sent for a page, if anything; of entries that stand for nothing any more there is nothing to send.
async fn prepare(
    reconciling: &Reconciling,
    claim: Claim,
    page: Vec<Asserting>,
) -> Result<(Option<Assertion>, Keys), WireError> {
    let all = |page: &[Asserting]| page.iter().map(|entry| (entry.key(), false)).collect::<Keys>();
    Ok(match claim {
        Claim::Removed => {
            let images = page.iter().map(Asserting::image).collect();
            (Some(Assertion::Removed(images)), all(&page))
        }
        Claim::Image => {
            let image = match page.first() {
                Some(entry) => image(reconciling, entry).await?,
                None => None,
            };
            (image.map(|image| Assertion::Image(Box::new(image))), all(&page))
        }
        Claim::Given | Claim::Received => {
            let (mut grants, mut keys) = (Vec::new(), Keys::new());
            for entry in &page {
                let grant = entry.grant()?;
                // Of a received one that is revoked the owner tells; of a given one its viewer may come back.
                keys.push((entry.key(), grant.revoked && claim == Claim::Received));
                grants.push(asserted(reconciling, claim, grant).await?);
            }
            (Some(Assertion::Grants(grants)), keys)
        }
        Claim::Checkout => {
            let (mut checkouts, mut keys, mut over) = (Vec::new(), Keys::new(), Vec::new());
            for entry in page {
                let key = entry.key();
                match reconciling.cache.store.asserted_checkout(entry).await? {
                    Some(checkout) => {
                        checkouts.push(checkout);
                        keys.push((key, false));
                    }
                    None => over.push(key),
                }
            }
            reconciling.cache.store.asserted(claim, over).await?;
            ((!checkouts.is_empty()).then_some(Assertion::Checkouts(checkouts)), keys)
        }
        Claim::Request => {
            let mut requests = Vec::new();
            for entry in &page {
                requests.push(entry.request()?);
            }
            let ended = requests.iter().map(|request| request.decided_at.is_some());
            let keys = page.iter().map(Asserting::key).zip(ended).collect();
            (Some(Assertion::Requests(requests)), keys)
        }
        Claim::Block | Claim::Message => (None, Keys::new()),
    })
}

/// An image of one's own as it was published; nothing if it is not here any more.
async fn image(reconciling: &Reconciling, entry: &Asserting) -> Result<Option<AssertedImage>, WireError> {
    let (no, store) = (entry.image(), &reconciling.cache.store);
    let (_, identity) = reconciling.identity.registered().ok_or_else(unregistered)?;
    let Some(image) = store.own_image_no(no).await? else { return Ok(None) };
    let preview = match store.own_preview(no).await? {
        Some(preview) => preview,
        None => {
            let key = ImageKeys::open(&identity.vault, &image)?.content_key().clone();
            let wanted = (&image.info, reconciling.directory.preview_size());
            let made = sealing::preview_of(&reconciling.cache.copies, wanted, key).await;
            match made {
                Ok(made) => made.preview,
                Err(error) => {
                    tracing::warn!(image = %image.info.name, error = %error.message, "the preview cannot be made anew");
                    return Ok(None);
                }
            }
        }
    };
    let info = image.info;
    // A preview that was made anew may differ from the one that was signed; then it is signed anew in a later round.
    let hash = *blake3::hash(&preview.data).as_bytes();
    let record = info.record.clone().filter(|record| record.preview_hash == hash);
    if record.is_none() && info.record.is_some() {
        store.set_record(ImageInfo { record: None, ..info.clone() }).await?;
    }
    let publish = Publish {
        name: info.name,
        original: info.original,
        sealed: info.sealed,
        preview,
        replace: false,
        record,
    };
    let visibility = store.visibility_of(no).await?;
    Ok(Some(AssertedImage { image: no, publish, visibility }))
}

/// A grant with the directory's share of its key, if it is one's own.
async fn asserted(reconciling: &Reconciling, claim: Claim, grant: Grant) -> Result<AssertedGrant, WireError> {
    let mut key = None;
    if claim == Claim::Given
        && !grant.revoked
        && let Some(image) = reconciling.cache.store.own_image_no(grant.image).await?
    {
        let (_, identity): (PeerId, Arc<Identity>) =
            reconciling.identity.registered().ok_or_else(unregistered)?;
        let keys = ImageKeys::open(&identity.vault, &image)?;
        // Without a pinned key nothing was ever bound to one, and nothing can be.
        if let Some(held) = reconciling.trust.pinned(grant.viewer).await? {
            key = Some(keys.key_share_of(grant.image, (grant.viewer, &held), grant.split)?);
        }
    }
    Ok(AssertedGrant { grant, key })
}

/// Sends again the messages of which it is not known that they arrived, as many as the directory takes now.
///
/// # Errors
/// If the directory cannot be asked, or the store fails.
pub(crate) async fn send_again(reconciling: &Reconciling) -> Result<(), WireError> {
    let store = &reconciling.cache.store;
    let mut after = None;
    loop {
        let page = store.asserting(Claim::Message, after).await?;
        let Some(last) = page.last() else { return Ok(()) };
        after = Some(last.key());
        for entry in page {
            let key = entry.key();
            let Some(unsure) = store.unsure(entry.number).await? else {
                store.asserted(Claim::Message, vec![key]).await?;
                continue;
            };
            match reconciling.directory.request_again(resend(reconciling, unsure).await?).await {
                Ok(Answer::Sent(sent)) => store.sent_again(key, sent.delivery).await?,
                Ok(_) => return Err(unexpected()),
                // Its recipient is not back yet.
                Err(error) if error.code == Code::NotFound => {}
                Err(error) if error.code == Code::Denied && error.reason != Some(Reason::Limit) => {
                    store.sent_again(key, Delivery::Queued).await?;
                }
                Err(error) => return Err(error),
            }
        }
    }
}

/// The message anew: what was sealed before is not kept here.
async fn resend(reconciling: &Reconciling, unsure: Unsure) -> Result<Op, WireError> {
    let (me, identity) = reconciling.identity.registered().ok_or_else(unregistered)?;
    let Unsure { message, to, sent_at, text } = unsure;
    let route = Route { from: me, to, message };
    let letter = Letter { written_at: sent_at, text };
    let sealed = reconciling.trust.seal(&identity.secret, &route, &letter).await?;
    Ok(Op::Send(Send { message, to: PeerRef::Id(to), text: "".into(), sealed: Some(sealed) }))
}

/// Makes the directory's blocks those that are known here.
///
/// # Errors
/// If the directory cannot be asked, or the store fails.
pub(crate) async fn block_again(reconciling: &Reconciling) -> Result<(), WireError> {
    let (store, directory) = (&reconciling.cache.store, &*reconciling.directory);
    let mut after = None;
    loop {
        let page = store.asserting(Claim::Block, after).await?;
        let Some(last) = page.last() else { return Ok(()) };
        after = Some(last.key());
        for entry in page {
            let Some(peer) = entry.peer() else {
                unblock_others(reconciling).await?;
                store.asserted(Claim::Block, vec![entry.key()]).await?;
                continue;
            };
            match directory.request_once(Op::Block(PeerRef::Id(peer))).await {
                Ok(_) => {}
                // A peer that is not back yet stays blocked here meanwhile.
                Err(error) if error.code == Code::NotFound => continue,
                Err(error) if error.code == Code::Denied && error.reason != Some(Reason::Limit) => {}
                Err(error) => return Err(error),
            }
            store.asserted(Claim::Block, vec![entry.key()]).await?;
        }
    }
}

/// Lifts blocks that this peer has lifted before.
async fn unblock_others(reconciling: &Reconciling) -> Result<(), WireError> {
    let directory = &*reconciling.directory;
    let (mut here, mut after) = (HashSet::new(), None);
    loop {
        let page = reconciling.cache.store.blocked_peers(after).await?;
        let Some(last) = page.last() else { break };
        after = Some(last.clone());
        here.extend(page.into_iter().map(|block| block.peer));
    }
    for block in blocks::all(directory).await? {
        if here.contains(&block.peer) {
            continue;
        }
        match directory.request_once(Op::Unblock(PeerRef::Id(block.peer))).await {
            Ok(_) => {}
            Err(error) if error.code == Code::NotFound => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}
