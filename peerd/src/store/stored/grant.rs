//! A grant as it is stored.

use std::num::NonZeroU64;

use dos_protocol::{
    ImageNo, Revision, SplitId, Timestamp,
    model::{Allowance, Grant},
};
use serde::{Deserialize, Serialize};
use serde_bytes::ByteArray;

use super::{CopyRow, Stored, text::text_of};

/// See [`Grant`].
#[derive(Debug, Serialize, Deserialize)]
pub(in crate::store) struct GrantRow {
    image: u64,
    /// `OWNERID/NAME`.
    path: String,
    owner_name: Option<String>,
    viewer: String,
    viewer_name: Option<String>,
    /// Nothing: unlimited.
    views_left: Option<u32>,
    views_used: u64,
    /// In milliseconds since 1970.
    expires_at: Option<i64>,
    revoked: bool,
    revision: u64,
    split: ByteArray<16>,
    sealed: CopyRow,
    // What later releases have added: left out where there is nothing of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    check: Option<ByteArray<32>>,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    allow_offline: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    returned: Option<NonZeroU64>,
}

impl Stored for Grant {
    const WHAT: &'static str = "grant";
    type Row = GrantRow;

    fn row(&self) -> GrantRow {
        GrantRow {
            image: self.image.0,
            path: self.path.to_string(),
            owner_name: text_of(self.owner_name.as_ref()),
            viewer: self.viewer.to_string(),
            viewer_name: text_of(self.viewer_name.as_ref()),
            views_left: match self.views_left {
                Allowance::Unlimited => None,
                Allowance::Views(views) => Some(views),
            },
            views_used: self.views_used,
            expires_at: self.expires_at.map(|at| at.0),
            revoked: self.revoked,
            revision: self.revision.0,
            split: ByteArray::new(*self.split.as_bytes()),
            sealed: self.sealed.into(),
            check: self.check.map(|check| ByteArray::new(*check.as_bytes())),
            allow_offline: self.allow_offline,
            returned: NonZeroU64::new(self.returned),
        }
    }

    fn from_row(row: GrantRow) -> Option<Self> {
        Some(Self {
            image: ImageNo(row.image),
            path: row.path.parse().ok()?,
            owner_name: super::peer_name(row.owner_name).ok()?,
            viewer: row.viewer.parse().ok()?,
            viewer_name: super::peer_name(row.viewer_name).ok()?,
            views_left: row.views_left.map_or(Allowance::Unlimited, Allowance::Views),
            views_used: row.views_used,
            expires_at: row.expires_at.map(Timestamp),
            revoked: row.revoked,
            revision: Revision(row.revision),
            split: SplitId::from(row.split.into_array()),
            sealed: row.sealed.into(),
            check: row.check.map(|check| check.into_array().into()),
            allow_offline: row.allow_offline,
            returned: row.returned.map_or(0, NonZeroU64::get),
            // It is not kept: who is a stranger may change.
            offer: false,
        })
    }
}
