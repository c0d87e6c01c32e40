//! A request for access as it is stored.

use dos_protocol::{ImageNo, Timestamp, directory::Request};
use serde::{Deserialize, Serialize};

use super::{
    Stored, peer_name,
    text::{request_state, request_state_text, text_of},
};

/// See [`Request`].
#[derive(Debug, Serialize, Deserialize)]
pub(in crate::store) struct RequestRow {
    request: u64,
    image: u64,
    /// `OWNERID/NAME`.
    path: String,
    owner_name: Option<String>,
    from: String,
    from_name: Option<String>,
    views: u32,
    state: String,
    note: Option<Box<str>>,
    reason: Option<Box<str>>,
    /// In milliseconds since 1970.
    created_at: i64,
    decided_at: Option<i64>,
    revision: u64,
    // What a later release has added: left out where there is nothing of it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    offline: bool,
}

impl Stored for Request {
    const WHAT: &'static str = "request";
    type Row = RequestRow;

    fn row(&self) -> RequestRow {
        RequestRow {
            request: self.request,
            image: self.image.0,
            path: self.path.to_string(),
            owner_name: text_of(self.owner_name.as_ref()),
            from: self.from.to_string(),
            from_name: text_of(self.from_name.as_ref()),
            views: self.views,
            state: request_state_text(self.state).into(),
            note: self.note.clone(),
            reason: self.reason.clone(),
            created_at: self.created_at.0,
            decided_at: self.decided_at.map(|at| at.0),
            revision: self.revision,
            offline: self.offline,
        }
    }

    fn from_row(row: RequestRow) -> Option<Self> {
        Some(Self {
            request: row.request,
            image: ImageNo(row.image),
            path: row.path.parse().ok()?,
            owner_name: peer_name(row.owner_name).ok()?,
            from: row.from.parse().ok()?,
            from_name: peer_name(row.from_name).ok()?,
            views: row.views,
            state: request_state(&row.state)?,
            note: row.note,
            reason: row.reason,
            created_at: Timestamp(row.created_at),
            decided_at: row.decided_at.map(Timestamp),
            revision: row.revision,
            offline: row.offline,
        })
    }
}
