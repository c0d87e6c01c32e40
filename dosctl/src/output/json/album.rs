//! Albums, and who gets what comes into them.

use dos_protocol::{
    AlbumName, Allowance, ImageName, PeerId, PeerName,
    control::{self, AlbumSummary},
};
use serde::Serialize;

use super::Moment;

/// Of `albums`.
#[derive(Debug, Serialize)]
pub(crate) struct Albums<'a> {
    pub(crate) albums: &'a [AlbumSummary],
}

/// Of `album`.
#[derive(Debug, Serialize)]
pub(crate) struct Album<'a> {
    pub(crate) album: &'a AlbumName,
    pub(crate) images: &'a [ImageName],
    pub(crate) rules: Vec<Rule<'a>>,
}

/// What a peer gets of an album.
#[derive(Debug, Serialize)]
pub(crate) struct Rule<'a> {
    viewer: PeerId,
    viewer_name: Option<&'a PeerName>,
    views: Allowance,
    expires_s: Option<u64>,
    allow_offline: bool,
    since: Moment,
    given: u64,
    waiting: u64,
    failed: u64,
    trouble: Option<&'a str>,
}

impl<'a> From<&'a control::Rule> for Rule<'a> {
    fn from(rule: &'a control::Rule) -> Self {
        Self {
            viewer: rule.viewer,
            viewer_name: rule.viewer_name.as_ref(),
            views: rule.terms.views,
            expires_s: rule.terms.expires.map(|time| time.as_secs()),
            allow_offline: rule.terms.allow_offline,
            since: Moment(rule.since),
            given: rule.given,
            waiting: rule.waiting,
            failed: rule.failed,
            trouble: rule.trouble.as_deref(),
        }
    }
}

/// Of `album --no-later` and `share --later`.
#[derive(Debug, Serialize)]
pub(crate) struct Rules<'a> {
    pub(crate) rules: Vec<Rule<'a>>,
}
