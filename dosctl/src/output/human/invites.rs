//! Invitations as people read them.

use dos_protocol::{
    Allowance, JoinLink,
    control::{Invite, InviteGrant, InviteState},
};

use super::or_nothing;
use crate::output::{
    Text,
    table::Table,
    words::{count, moment, peer, relative},
};

/// Of `invite`.
pub(crate) fn invitation(text: &mut Text, link: &JoinLink, invite: &Invite) {
    text.line(&link.to_string());
    let who = or_nothing(invite.name.as_ref());
    let until = invite.expires_at.map(|at| format!(" until {} ({})", moment(at), relative(at, text.now)));
    text.note(&format!("for {who} alone, once{}: `dosctl up LINK`", until.unwrap_or_default()));
    if !invite.grants.is_empty() {
        text.note(&format!("{who} gets {}", listed(&invite.grants)));
    }
    text.note("whoever uses it first is taken for that person: send it over a channel that you both trust");
}

fn listed(grants: &[InviteGrant]) -> String {
    let grants = grants.iter().map(|grant| format!("{} of {}", views(grant.views), grant.image));
    grants.collect::<Vec<_>>().join(", ")
}

fn views(views: Allowance) -> String {
    match views {
        Allowance::Unlimited => "unlimited views".into(),
        Allowance::Views(views) => count(views.into(), "view"),
    }
}

/// Of `invites`.
pub(crate) fn invites(text: &mut Text, invites: &[Invite]) {
    if invites.is_empty() {
        text.note("no invitations; make one with `dosctl invite NAME`");
        return;
    }
    let mut table = Table::new(&["WHO", "INVITATION", "PEER", "MADE OR USED", "UNTIL", "IMAGES"]);
    for invite in invites {
        let open = invite.expires_at.filter(|_| invite.state == InviteState::Open);
        table.row(vec![
            or_nothing(invite.name.as_ref()),
            words(invite.state).into(),
            or_nothing(invite.peer.map(|id| peer(invite.peer_name.as_ref(), id))),
            relative(invite.used_at.unwrap_or(invite.since), text.now),
            or_nothing(open.map(|at| relative(at, text.now))),
            images(invite),
        ]);
    }
    table.show(text);
    for invite in invites {
        let who = or_nothing(invite.name.as_ref());
        if let Some(trouble) = &invite.trouble {
            text.note(&format!("{who}: {trouble}"));
        }
        for grant in &invite.grants {
            if let Some(why) = &grant.why {
                text.note(&format!("{who} did not get {}: {why}", grant.image));
            }
        }
    }
}

fn images(invite: &Invite) -> String {
    match invite.grants.iter().filter(|grant| grant.given).count() {
        _ if invite.grants.is_empty() => super::NOTHING.into(),
        given => format!("{given} of {}", invite.grants.len()),
    }
}

fn words(state: InviteState) -> &'static str {
    match state {
        InviteState::Open => "open",
        InviteState::Giving => "used, giving",
        InviteState::Used => "used",
        InviteState::Expired => "expired",
        InviteState::Revoked => "revoked",
        InviteState::Waiting => "joined, no answer yet",
        InviteState::Welcome => "joined",
        InviteState::Refused => "refused",
    }
}

/// Of `invites --revoke`.
pub(crate) fn revoked(text: &mut Text, invite: &Invite) {
    text.line(&format!("the link for {} works no more", or_nothing(invite.name.as_ref())));
}

/// Of an invitation that was used here.
pub(crate) fn joined(text: &mut Text, invite: &Invite) {
    let who = match (&invite.name, invite.peer) {
        (name, Some(id)) => peer(name.as_ref(), id),
        (name, None) => or_nothing(name.as_ref()),
    };
    if invite.state == InviteState::Welcome {
        text.line(&format!("{who} and you know each other's keys: verified, by the link"));
        text.note(&format!(
            "next: `dosctl list {who}`, `dosctl shares --received`, `dosctl view {who}/NAME`"
        ));
    } else {
        text.line(&format!("you know {who}'s key: verified, by the link"));
        match &invite.trouble {
            Some(trouble) => text.note(&format!("{who} has not answered: {trouble}")),
            None => text.note(&format!(
                "{who} has not answered yet; when {who} is online, what comes with the link arrives by itself: `dosctl invites`"
            )),
        }
    }
}

/// A line of `watch`.
pub(crate) fn event(invite: &Invite) -> String {
    let who = match invite.peer {
        Some(id) => peer(invite.peer_name.as_ref(), id),
        None => or_nothing(invite.name.as_ref()),
    };
    let failed = invite.grants.iter().filter(|grant| grant.why.is_some()).count();
    let what = match invite.state {
        InviteState::Giving | InviteState::Used if failed > 0 => {
            format!(
                "{who} has joined with your link; {failed} of {} images cannot be given",
                invite.grants.len()
            )
        }
        InviteState::Giving => format!("{who} has joined with your link, verified"),
        InviteState::Used => format!("{who} has joined with your link, verified, and has what comes with it"),
        InviteState::Welcome => format!("{who} has your key, verified"),
        InviteState::Refused => format!("{who} does not take the invitation"),
        InviteState::Open | InviteState::Expired | InviteState::Revoked | InviteState::Waiting => {
            format!("the link of {who} is {}", words(invite.state))
        }
    };
    match &invite.trouble {
        Some(trouble) => format!("invite    {what}: {trouble}"),
        None => format!("invite    {what}"),
    }
}
