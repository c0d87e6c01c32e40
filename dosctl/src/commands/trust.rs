//! `dosctl trust`: pins or confirms a peer's key.

use std::str::FromStr;

use dos_protocol::{
    Card, Code, PeerRef, WireError,
    card::{CardError, is_card},
    control::{Command, Contact, Outcome, Trust},
    model::PeerRefError,
};

use crate::{
    confirm::confirm,
    context::{Context, unexpected},
    error::Error,
    output::{human, json, words::peer},
};

/// Whose key is to be trusted.
#[derive(Debug, Clone)]
pub(crate) enum Whom {
    /// The peer that has given this card.
    Card(Card),
    /// The peer that a person has compared fingerprints with.
    Peer(PeerRef),
}

/// Neither a card nor a peer.
#[derive(Debug, thiserror::Error)]
pub(crate) enum WhomError {
    /// It begins as a card.
    #[error(transparent)]
    Card(#[from] CardError),
    /// It is no peer.
    #[error(transparent)]
    Peer(#[from] PeerRefError),
}

impl FromStr for Whom {
    type Err = WhomError;

    fn from_str(text: &str) -> Result<Self, WhomError> {
        if is_card(text) { Ok(Self::Card(text.parse()?)) } else { Ok(Self::Peer(text.parse()?)) }
    }
}

/// Compare a peer's key and confirm it, or take it from its card
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  dosctl trust 'dos-peer://7xKq...@9fQ2...?name=bob'    verified at once: the link came from bob
  dosctl trust bob               shows both fingerprints, asks whether they match
  dosctl trust bob --accept      without asking; also takes the other key if one was seen
  dosctl trust bob --keep        keeps the known key and forgets the other one

When a peer appears with another key than the known one, nothing is given to it or believed of it until
you decide. Compare the fingerprints with the person over another channel first. A peer that has lost its
machine and its password has a new key; so has somebody who pretends to be that peer.")]
pub(crate) struct Args {
    /// The peer, by ID, name or IP:PORT, or its card
    #[arg(value_name = "PEER|LINK")]
    whom: Whom,
    /// Accept the key without asking
    #[arg(long, conflicts_with = "keep")]
    accept: bool,
    /// Keep the known key, and forget that another one was seen
    #[arg(long)]
    keep: bool,
}

pub(crate) fn run(args: Args, context: &Context) -> Result<(), Error> {
    match args.whom {
        Whom::Card(card) if args.keep => {
            Err(Error::new(Code::Usage, format!("--keep is for a peer that is known: {}", card.id)))
        }
        Whom::Card(card) => pin(context, Command::Trust { peer: card.id, key: card.key, name: card.name }),
        Whom::Peer(whom) => {
            let Outcome::Trust { own, contact } = context.ask(Command::Inspect(whom.clone()))? else {
                return Err(unexpected());
            };
            if args.keep {
                return pin(context, Command::KeepKey(contact.id));
            }
            if !args.accept {
                let shown = |text: &mut crate::output::Text| human::comparison(text, &own, &contact);
                context.screen.explain(shown);
                let question = match contact.other {
                    Some(_) => "Is the new fingerprint theirs? [y/N] ",
                    None => "Is this fingerprint theirs? [y/N] ",
                };
                if !confirm(question)? {
                    let hint = format!("dosctl trust {whom} --accept");
                    let error =
                        WireError::new(Code::Denied, "nothing was changed: the key was not confirmed");
                    return Err(error.hint(hint).into());
                }
            }
            pin(context, accepted(&contact))
        }
    }
}

/// The command that pins what was shown.
fn accepted(contact: &Contact) -> Command {
    let name = contact.name.clone();
    match contact.other {
        Some(other) => Command::Trust { peer: other.peer, key: other.key, name },
        None => Command::Trust { peer: contact.id, key: contact.key, name },
    }
}

fn pin(context: &Context, command: Command) -> Result<(), Error> {
    context.run(command, |outcome| match outcome {
        Outcome::Trust { contact, .. } => context.screen.show(&json::KnownContact::from(&*contact), |text| {
            let who = peer(contact.name.as_ref(), contact.id);
            let how = if contact.trust == Some(Trust::Verified) { "is verified" } else { "is kept" };
            text.line(&format!("the key of {who} {how}: {}", contact.fingerprint()));
        }),
        _ => Err(unexpected()),
    })
}
