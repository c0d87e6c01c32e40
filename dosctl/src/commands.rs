//! The commands, one file each: their arguments, the command that peerd gets, and the view that its outcome gets.

pub(crate) mod add;
pub(crate) mod album;
pub(crate) mod albums;
pub(crate) mod approve;
pub(crate) mod block;
pub(crate) mod blocks;
pub(crate) mod broadcast;
pub(crate) mod cancel;
pub(crate) mod card;
pub(crate) mod checkin;
pub(crate) mod checkout;
pub(crate) mod completions;
pub(crate) mod contacts;
pub(crate) mod deny;
pub(crate) mod fetch;
pub(crate) mod gallery;
pub(crate) mod group;
pub(crate) mod groups;
pub(crate) mod instances;
pub(crate) mod invite;
pub(crate) mod invites;
pub(crate) mod list;
pub(crate) mod login;
pub(crate) mod logout;
pub(crate) mod messages;
pub(crate) mod name;
pub(crate) mod netcheck;
pub(crate) mod news;
pub(crate) mod password;
pub(crate) mod ping;
pub(crate) mod preview;
pub(crate) mod register;
pub(crate) mod remove;
pub(crate) mod rename;
pub(crate) mod request;
pub(crate) mod requests;
pub(crate) mod resolve;
pub(crate) mod send;
pub(crate) mod server;
pub(crate) mod set;
pub(crate) mod share;
pub(crate) mod shares;
pub(crate) mod status;
pub(crate) mod trust;
pub(crate) mod unblock;
pub(crate) mod unregister;
pub(crate) mod up;
pub(crate) mod view;
pub(crate) mod wait;
pub(crate) mod watch;

use dos_protocol::{
    Code, Reason, WireError,
    control::{Command, Invite, InviteState, Outcome},
};

use crate::{
    context::{Context, unexpected},
    error::Error,
    output::{Text, human, json},
};

/// Runs a command that makes, changes or answers a request.
pub(crate) fn run_request(command: Command, context: &Context) -> Result<(), Error> {
    context.run(command, |outcome| match outcome {
        Outcome::Request { request, updated } => context
            .screen
            .show(&json::Request::from(&*request), |text| human::request(text, &request, updated)),
        Outcome::Contact(contact) => {
            context.screen.show(&json::Contact::from(&*contact), |text| human::contact(text, &contact))
        }
        _ => Err(unexpected()),
    })
}

/// Runs a command whose outcome is the state of the session.
fn run_session(command: Command, context: &Context) -> Result<(), Error> {
    context.run(command, |outcome| match outcome {
        Outcome::Session { id, state, .. } => {
            context.screen.show(&json::Session { id, state, replayed: None }, |text| {
                text.line(&format!("{id} is {}", state.as_str()));
            })
        }
        _ => Err(unexpected()),
    })
}

/// Shows what has come of an invitation that was used, if one was.
fn show_joined(text: &mut Text, joined: Option<&Invite>) {
    if let Some(invite) = joined.filter(|invite| invite.state != InviteState::Refused) {
        human::joined(text, invite);
    }
}

/// Refuses what an inviter has refused.
///
/// # Errors
/// `denied`, with the inviter's reason.
fn taken(joined: Option<&Invite>) -> Result<(), Error> {
    let Some(invite) = joined.filter(|invite| invite.state == InviteState::Refused) else { return Ok(()) };
    let who = invite.name.as_ref().map_or_else(|| "the inviter".to_owned(), ToString::to_string);
    let error = WireError::new(
        Code::Denied,
        format!("{who} does not take the invitation, and shares nothing for it"),
    );
    let error = error.because(Reason::Closed).hint(format!("ask {who} for a new link"));
    Err(match &invite.trouble {
        Some(why) => error.caused_by(why.clone()).into(),
        None => error.into(),
    })
}

/// What two options say about checkouts; nothing if neither is given.
fn consent(allow_offline: bool, no_offline: bool) -> Option<bool> {
    (allow_offline || no_offline).then_some(allow_offline)
}

/// Which of two sides to show: both, unless one alone is named.
fn sides(one: bool, other: bool) -> (bool, bool) {
    if one == other { (true, true) } else { (one, other) }
}
