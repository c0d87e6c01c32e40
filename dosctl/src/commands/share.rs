//! `dosctl share`: gives, changes or takes back a right.

use std::time::Duration;

use clap::ArgGroup;
use dos_protocol::{
    Allowance, ImageName, PeerRef,
    control::{Command, Outcome},
    directory::ViewsChange,
    limits::VIEWS_MAX,
    parse_duration,
};

use crate::{
    context::{Context, unexpected},
    error::Error,
    output::{human, json},
};

/// Gives, raises, lowers or takes back a viewer's right to an image
#[derive(Debug, clap::Args)]
#[command(after_help = "Example: dosctl share sea bob --views 3 --expires 7d")]
#[command(group(
    ArgGroup::new("change").args(["views", "add", "unlimited", "revoke", "expires"]).required(true).multiple(true)
))]
pub struct Args {
    /// The image's name
    name: ImageName,
    /// The viewer: an ID, a name or IP:PORT
    peer: PeerRef,
    /// So many views are left from now on
    #[arg(long, value_name = "N", conflicts_with_all = ["add", "unlimited", "revoke"])]
    #[arg(value_parser = clap::value_parser!(u32).range(0..=i64::from(VIEWS_MAX)))]
    views: Option<u32>,
    /// So many views more
    #[arg(long, value_name = "N", conflicts_with_all = ["unlimited", "revoke"])]
    #[arg(value_parser = clap::value_parser!(u32).range(1..=i64::from(VIEWS_MAX)))]
    add: Option<u32>,
    /// As many views as they like
    #[arg(long, conflicts_with = "revoke")]
    unlimited: bool,
    /// Takes the right back, at once
    #[arg(long, conflicts_with = "expires")]
    revoke: bool,
    /// The right ends after this time
    #[arg(long, value_name = "DUR", value_parser = parse_duration)]
    expires: Option<Duration>,
}

impl Args {
    fn change(&self) -> ViewsChange {
        match (self.views, self.add) {
            (Some(views), _) => ViewsChange::Set(Allowance::Views(views)),
            (None, Some(views)) => ViewsChange::Add(views),
            (None, None) if self.unlimited => ViewsChange::Set(Allowance::Unlimited),
            (None, None) if self.revoke => ViewsChange::Revoke,
            (None, None) => ViewsChange::Keep,
        }
    }
}

/// Runs it.
///
/// # Errors
/// Why it could not be done.
pub fn run(args: Args, context: &Context) -> Result<(), Error> {
    let views = args.change();
    let command = Command::Share { name: args.name, viewer: args.peer, views, expires: args.expires };
    match context.ask(command)? {
        Outcome::Grant(grant) => {
            context.screen.show(&json::Grant::new(&grant, dos_protocol::Timestamp::now()), |text| {
                human::shared(text, &grant);
            })
        }
        _ => Err(unexpected()),
    }
}
