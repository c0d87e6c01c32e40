//! Grants as owners change them, and views as viewers spend them and give them back.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::{
    id::{ImageNo, SealedHash, ShareCheck, SplitId, ViewId},
    model::{Allowance, Grant, PeerRef},
    time::Timestamp,
};

/// See [`Op::Share`](super::Op::Share).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Share {
    /// To which image.
    pub image: ImageNo,
    /// The viewer.
    pub viewer: PeerRef,
    /// What becomes of the views.
    pub views: ViewsChange,
    /// What becomes of the time.
    pub expiry: ExpiryChange,
    /// The directory's share of the content key; used only if the viewer has no live grant yet, or with
    /// [`ViewsChange::Rekey`], else the old one goes on. Not needed to revoke a grant.
    pub key: Option<KeyShare>,
    /// In place of `expiry`: the grant ends after this time, in milliseconds by the directory's clock.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lasts_ms: Option<u64>,
    /// Whether the viewer may check views out; as it is, if not said. A new grant allows it only if this says so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub allow_offline: Option<bool>,
}

/// What becomes of a grant's views.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ViewsChange {
    /// As they are. There must be a grant.
    Keep,
    /// This many are left from now on.
    Set(Allowance),
    /// This many more; an unlimited grant stays so.
    Add(u32),
    /// The grant is revoked, and with it the directory's share of the key is deleted.
    Revoke,
    /// As they are, and the key with them is another one: for an owner that publishes anew an image whose key it has lost.
    /// There must be a live grant.
    Rekey,
}

/// What becomes of a grant's time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ExpiryChange {
    /// As it is.
    Keep,
    /// Until this moment.
    At(Timestamp),
}

/// The directory's share of a content key under one splitting.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyShare {
    /// Which splitting.
    pub split: SplitId,
    /// 32 bytes.
    #[serde(with = "serde_bytes")]
    pub share: [u8; 32],
    /// By which the viewer knows the owner share that belongs to it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub check: Option<ShareCheck>,
}

impl fmt::Debug for KeyShare {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "KeyShare({:?}, ..)", self.split)
    }
}

/// See [`Op::Spend`](super::Op::Spend). The same view ID again counts nothing more and gets the same answer, as long as the grant lives and the view
/// is not over ([`Op::CloseViews`](super::Op::CloseViews), [`Op::Checkin`](super::Op::Checkin)).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Spend {
    /// Of which image.
    pub image: ImageNo,
    /// Drawn by the viewer, written down before it is sent.
    pub view: ViewId,
    /// One for a view, more for a checkout.
    pub views: u32,
    /// For now, or to be held.
    pub kind: SpendKind,
    /// The splitting of the owner share that the viewer holds; another one is refused as stale.
    pub split: SplitId,
    /// The sealed copy that the viewer holds and has verified; another one is refused as stale.
    pub sealed: SealedHash,
}

/// What views are spent for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SpendKind {
    /// A view that is shown now.
    View,
    /// Views held by the viewer's daemon for use without the directory.
    Checkout,
}

/// See [`Op::Checkin`](super::Op::Checkin). Sent again it changes nothing.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Checkin {
    /// Of which image.
    pub image: ImageNo,
    /// The view ID of the checkout.
    pub checkout: ViewId,
    /// How many of its views were not used.
    pub unused: u32,
    /// How many of its views the viewer's state had that was put back from a copy: they may have been used, so they are not given
    /// back, and the checkout is over.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub given_up: u32,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
fn is_zero(number: &u32) -> bool {
    *number == 0
}

/// See [`Answer::Spent`](super::Answer::Spent).
#[derive(Clone, PartialEq, Serialize, Deserialize)]
pub struct Spent {
    /// The directory's share of the content key, 32 bytes.
    #[serde(with = "serde_bytes")]
    pub share: [u8; 32],
    /// The grant as it is now.
    pub grant: Grant,
}

impl fmt::Debug for Spent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Spent").field("grant", &self.grant).finish_non_exhaustive()
    }
}
