//! What a peer sees: its lists, its books, its messages.

use std::collections::BTreeMap;

use dos_protocol::{
    Allowance, PeerName,
    control::{Command, Outcome},
    directory::{Request, RequestState},
    model,
};

use super::{
    check::{Books, Decision, Seen},
    record::{Grant, Image, Who},
};
use crate::{control::Control, stage::Peer};

/// More than there are of anything.
const ALL: u32 = 100_000;

fn index(name: Option<&PeerName>, names: &[&str]) -> Option<Who> {
    names.iter().position(|known| name.is_some_and(|name| name.as_str() == *known))
}

fn books(grants: Vec<model::Grant>, names: &[&str]) -> BTreeMap<Grant, Books> {
    let one = |grant: model::Grant| {
        let image = Image::ALL.into_iter().find(|image| image.name() == grant.path.name.as_str())?;
        let owner = index(grant.owner_name.as_ref(), names)?;
        let viewer = index(grant.viewer_name.as_ref(), names)?;
        let Allowance::Views(left) = grant.views_left else { return None };
        let books = Books {
            left: left.into(),
            used: grant.views_used,
            returned: grant.returned,
            revoked: grant.revoked,
        };
        Some((Grant { owner, viewer, image }, books))
    };
    grants.into_iter().filter_map(one).collect()
}

fn decisions(requests: Vec<Request>) -> Vec<(u64, Decision)> {
    let decision = |state| match state {
        RequestState::Pending => Decision::Pending,
        RequestState::Approved => Decision::Approved,
        RequestState::Denied => Decision::Denied,
        RequestState::Cancelled => Decision::Cancelled,
    };
    requests.into_iter().map(|request| (request.request, decision(request.state))).collect()
}

/// What `peer` sees, and which of its images `observer` lists; nothing while something does not answer.
pub(crate) fn seen(peer: &Peer, observer: &Peer, names: &[&str]) -> Option<Seen> {
    let control = Control::new(&peer.socket());
    let ask = |command| control.run(command)?.ok().map(|(outcome, _)| outcome);
    let Outcome::Status(status) = ask(Command::Status)? else { return None };
    let Outcome::Grants { given, received, .. } = ask(Command::Shares { given: true, received: true })?
    else {
        return None;
    };
    let Outcome::Requests { incoming, outgoing, .. } =
        ask(Command::Requests { incoming: true, outgoing: true, all: true })?
    else {
        return None;
    };
    let query = dos_protocol::control::MessagesQuery { limit: Some(ALL), ..Default::default() };
    let Outcome::Messages { messages, .. } = ask(Command::Messages(query))? else { return None };
    let Outcome::Blocks(blocks) = ask(Command::Blocks)? else { return None };
    let me = status.id?;
    let received_messages = messages.iter().filter(|message| message.from != me).filter_map(|message| {
        Some((index(message.from_name.as_ref(), names)?, message.text.clone().into_string()))
    });
    Some(Seen {
        online: status.state == dos_protocol::control::SessionState::Online,
        images: listed(peer, &["list", "--mine", "--limit", "500"])?,
        listed: listed(observer, &["list", &peer.name, "--limit", "500"])?,
        given: books(given, names),
        received: books(received, names),
        incoming: decisions(incoming),
        outgoing: decisions(outgoing),
        messages: received_messages.collect(),
        blocks: blocks.iter().filter_map(|block| index(block.name.as_ref(), names)).collect(),
    })
}

/// The names of the one peer's images that is listed.
fn listed(peer: &Peer, args: &[&str]) -> Option<Vec<String>> {
    let ran = peer.ctl(&[&["--json"], args].concat());
    let document: serde_json::Value = serde_json::from_slice(&ran.out).ok()?;
    let images = document["peers"].get(0)?["images"].as_array()?;
    images.iter().map(|image| image["name"].as_str().map(str::to_owned)).collect()
}
