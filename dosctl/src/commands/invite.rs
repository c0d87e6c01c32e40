//! `dosctl invite`: one link with which a person joins, trusts and is trusted, and sees what comes with it.

use std::time::Duration;

use clap::ArgGroup;
use dos_protocol::{
    Allowance, PeerName,
    control::{Command, NewInvite, Outcome},
    limits::VIEWS_MAX,
    parse_duration,
};

use super::register::invite as code;
use crate::{
    context::{Context, unexpected},
    error::Error,
    output::{human, json},
    own::{self, Named},
};

/// Make one link with which a person joins the directory, and the two of you know each other's keys
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  dosctl invite bob
  dosctl invite bob sea 'holiday*' --views 3
  dosctl invite bob sea --views 3 --code 8gTPx3kQ2mNv5bYc

Give the link to bob alone, over a channel that you both trust: whoever uses it first is bob for you and gets the
grants. It works once, for 7 days. Bob runs `dosctl up LINK`; his and your key are then verified on both sides
without comparing anything. You need not be online. `dosctl invites` shows what has become of it.")]
#[command(group(ArgGroup::new("allowance").args(["views", "unlimited"])))]
pub(crate) struct Args {
    /// The name by which you call the person; it is proposed as the name at the directory
    #[arg(value_name = "NAME")]
    guest: PeerName,
    /// Images of yours that the person may view, by name, or patterns with * and ?
    #[arg(value_name = "IMAGE", requires = "allowance")]
    images: Vec<Named>,
    /// Views of each image
    #[arg(long, value_name = "N", requires = "images", value_parser = clap::value_parser!(u32).range(1..=i64::from(VIEWS_MAX)))]
    views: Option<u32>,
    /// Any number of views of each image
    #[arg(long, requires = "images")]
    unlimited: bool,
    /// End the grants after this time, counted from when the link is used
    #[arg(long, value_name = "DUR", requires = "images", value_parser = parse_duration)]
    expires: Option<Duration>,
    /// Allow checkouts: views taken along for use without the directory
    #[arg(long, requires = "images")]
    allow_offline: bool,
    /// Invite that the operator has given you, where peers may not invite
    #[arg(long, value_name = "CODE", value_parser = code)]
    code: Option<Box<str>>,
}

pub(crate) fn run(args: Args, context: &Context) -> Result<(), Error> {
    let images = own::names_of(args.images, context)?;
    let views = if args.unlimited { Allowance::Unlimited } else { Allowance::Views(args.views.unwrap_or(0)) };
    let (guest, code, expires, allow_offline) = (args.guest, args.code, args.expires, args.allow_offline);
    let new = NewInvite { guest, code, images, views, expires, allow_offline };
    context.run(Command::Invite(Box::new(new)), |outcome| match outcome {
        Outcome::Invitation { link, invite } => {
            let document = json::Invitation::new(&link, &invite);
            context.screen.show(&document, |text| human::invitation(text, &link, &invite))
        }
        _ => Err(unexpected()),
    })
}
