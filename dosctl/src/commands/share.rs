//! `dosctl share`: gives, changes or revokes a grant.

use std::time::Duration;

use clap::ArgGroup;
use dos_protocol::{
    Allowance, ImageArg, PeerRef, Timestamp,
    control::{Command, Outcome},
    directory::ViewsChange,
    limits::VIEWS_MAX,
    model::Grant,
    parse_duration,
};

use super::consent;
use crate::{
    context::{Context, unexpected},
    error::Error,
    output::{human, json},
    own,
};

/// Grant a peer views of an image, or change or revoke the grant
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  dosctl share sea bob --views 3 --expires 7d
  dosctl share sea bob --add 2 --allow-offline
  dosctl share sea bob --revoke")]
#[command(group(
    ArgGroup::new("change").args(["views", "add", "unlimited", "revoke", "expires", "allow_offline", "no_offline"])
        .required(true)
        .multiple(true)
))]
pub(crate) struct Args {
    /// Name of the image
    name: ImageArg,
    /// The viewer, by ID, name or IP:PORT
    peer: PeerRef,
    /// Set the number of views left to N
    #[arg(long, value_name = "N", conflicts_with_all = ["add", "unlimited", "revoke"])]
    #[arg(value_parser = clap::value_parser!(u32).range(0..=i64::from(VIEWS_MAX)))]
    views: Option<u32>,
    /// Add N views
    #[arg(long, value_name = "N", conflicts_with_all = ["unlimited", "revoke"])]
    #[arg(value_parser = clap::value_parser!(u32).range(1..=i64::from(VIEWS_MAX)))]
    add: Option<u32>,
    /// Allow any number of views
    #[arg(long, conflicts_with = "revoke")]
    unlimited: bool,
    /// Revoke the grant at once
    #[arg(long, conflicts_with = "expires")]
    revoke: bool,
    /// End the grant after this time
    #[arg(long, value_name = "DUR", value_parser = parse_duration)]
    expires: Option<Duration>,
    /// Allow checkouts: views taken along for use without the directory
    #[arg(long, conflicts_with_all = ["no_offline", "revoke"])]
    allow_offline: bool,
    /// Allow no further checkouts; views that are checked out stay so
    #[arg(long, conflicts_with = "revoke")]
    no_offline: bool,
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

pub(crate) fn run(args: Args, context: &Context) -> Result<(), Error> {
    let views = args.change();
    let allow_offline = consent(args.allow_offline, args.no_offline);
    let (name, viewer, expires) = (own::name_of(args.name, context)?, args.peer, args.expires);
    let gives = expires.is_some() || matches!(views, ViewsChange::Set(_) | ViewsChange::Add(_));
    let command = Command::Share { name, viewer, views, expires, allow_offline };
    context.run(command, |outcome| match outcome {
        Outcome::Grant(grant) => {
            let now = if gives { before_end(&grant) } else { Timestamp::now() };
            context.screen.show(&json::Grant::new(&grant, now), |text| {
                text.now = now;
                human::shared(text, &grant);
            })
        }
        _ => Err(unexpected()),
    })
}

/// Now, before the end of a grant that the directory has just given: by a fast clock here it would seem to be over.
fn before_end(grant: &Grant) -> Timestamp {
    let now = Timestamp::now();
    grant.expires_at.map_or(now, |end| now.min(end.before(Duration::from_millis(1))))
}
