//! Sharing: with one peer or several, and with groups.

use std::{sync::Arc, time::Duration};

use axum::{Extension, Form, extract::State, response::Response};
use dos_protocol::{
    Allowance, Code, ImageName, PeerName, PeerRef, WireError,
    control::{Command, Each, Outcome},
    directory::ViewsChange,
    duration::parse_duration,
    limits::MANY_MAX,
};
use serde::Deserialize;

use super::{field, go_on, own_page};
use crate::gallery::{
    Gallery,
    answer::Refusal,
    perform::{ask, change, unexpected},
    sessions::Visitor,
    words,
};

/// A filled-in form.
#[derive(Debug, Deserialize)]
pub(super) struct Sharing {
    name: String,
    /// Peers and `@group`s, between commas or spaces.
    to: String,
    /// `set`, `unlimited`, `add` or `revoke`.
    what: String,
    #[serde(default)]
    views: String,
    #[serde(default)]
    expires: String,
    offline: Option<String>,
}

impl Sharing {
    fn views(&self) -> Result<ViewsChange, WireError> {
        let number = || field::<u32>("a number of views", &self.views);
        match &*self.what {
            "set" => Ok(ViewsChange::Set(Allowance::Views(number()?))),
            "unlimited" => Ok(ViewsChange::Set(Allowance::Unlimited)),
            "add" => Ok(ViewsChange::Add(number()?)),
            "revoke" => Ok(ViewsChange::Revoke),
            _ => Err(WireError::new(Code::Usage, "nothing was chosen to be changed")),
        }
    }

    fn expires(&self) -> Result<Option<Duration>, WireError> {
        match self.expires.trim() {
            "" => Ok(None),
            text => parse_duration(text).map(Some).map_err(|why| WireError::new(Code::Invalid, why)),
        }
    }
}

/// Changes the grants of the peers that the form names.
pub(super) async fn share(
    State(gallery): State<Arc<Gallery>>,
    Extension(visitor): Extension<Visitor>,
    Form(form): Form<Sharing>,
) -> Result<Response, Refusal> {
    let name: ImageName = field("a picture's name", &form.name)?;
    let place = own_page(&gallery, &name)?;
    let done = carry_out(&gallery, &form, &name).await;
    Ok(go_on(&gallery, &visitor, (&place, done)))
}

async fn carry_out(gallery: &Arc<Gallery>, form: &Sharing, name: &ImageName) -> Result<String, WireError> {
    let viewers = viewers(gallery, &form.to).await?;
    let (views, expires) = (form.views()?, form.expires()?);
    let allow_offline = form.offline.is_some().then_some(true);
    let command = |viewer: &PeerRef| Command::Share {
        name: name.clone(),
        viewer: viewer.clone(),
        views,
        expires,
        allow_offline,
    };
    if let [viewer] = &*viewers {
        return match change(gallery, command(viewer)).await? {
            Outcome::Grant(grant) => {
                let who = words::peer(grant.viewer_name.as_ref(), grant.viewer);
                Ok(if grant.revoked {
                    format!("the grant of {who} is revoked")
                } else {
                    format!("{who}: {}", words::views_left(grant.views_left))
                })
            }
            _ => Err(unexpected()),
        };
    }
    match change(gallery, Command::Many(viewers.iter().map(command).collect())).await? {
        Outcome::Many(each) => told(&viewers, &each),
        _ => Err(unexpected()),
    }
}

/// What has come of many.
fn told(viewers: &[PeerRef], each: &[Each]) -> Result<String, WireError> {
    let failed = |(viewer, each): (&PeerRef, &Each)| match each {
        Each::Failed(error) => Some(format!("{viewer}: {}", error.message)),
        Each::Done(_) => None,
    };
    let failed: Vec<String> = viewers.iter().zip(each).filter_map(failed).collect();
    let peers = u64::try_from(viewers.len()).unwrap_or(u64::MAX);
    if failed.is_empty() {
        return Ok(format!("shared with {}", words::count(peers, "peer")));
    }
    let message = format!("{} of {} failed", failed.len(), words::count(peers, "peer"));
    Err(WireError::new(Code::Invalid, message).caused_by(failed.join("; ")))
}

/// The peers that a field names, each once.
async fn viewers(gallery: &Arc<Gallery>, text: &str) -> Result<Vec<PeerRef>, WireError> {
    let words = text.split(|c: char| c == ',' || c.is_whitespace()).filter(|word| !word.is_empty());
    let mut viewers: Vec<PeerRef> = Vec::new();
    for word in words {
        let found = match word.strip_prefix('@') {
            Some(group) => members(gallery, &field("a group's name", group)?).await?,
            None => vec![field("a peer's name or ID", word)?],
        };
        viewers.extend(found);
        if viewers.len() > MANY_MAX {
            return Err(WireError::new(Code::Invalid, format!("at most {MANY_MAX} peers at once")));
        }
    }
    let mut unique: Vec<PeerRef> = Vec::with_capacity(viewers.len());
    for viewer in viewers {
        if !unique.contains(&viewer) {
            unique.push(viewer);
        }
    }
    if unique.is_empty() {
        return Err(WireError::new(Code::Usage, "name at least one peer or @group"));
    }
    Ok(unique)
}

async fn members(gallery: &Arc<Gallery>, name: &PeerName) -> Result<Vec<PeerRef>, WireError> {
    let Outcome::Groups(groups) = ask(gallery, Command::Groups).await? else { return Err(unexpected()) };
    let group = groups.into_iter().find(|group| group.name == *name);
    let group = group.ok_or_else(|| WireError::new(Code::NotFound, format!("there is no group @{name}")))?;
    Ok(group.members.into_iter().map(|member| PeerRef::Id(member.id)).collect())
}
