//! `dosctl group`: peers under one name.

use dos_protocol::{
    PeerName, PeerRef,
    control::{Command, Outcome},
};

use crate::{
    context::{Context, unexpected},
    error::Error,
    output::{human, json},
};

/// Add peers to a group, remove them, or show the group; no one else learns of it
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  dosctl group friends --add bob carol
  dosctl group friends --remove bob
  dosctl share sea --to @friends --views 3")]
pub(crate) struct Args {
    /// Name of the group: 1 to 32 of a-z 0-9 . _ -
    name: PeerName,
    /// Peers that belong to it from now on
    #[arg(long, value_name = "PEER", num_args = 1.., value_delimiter = ',')]
    add: Vec<PeerRef>,
    /// Peers that belong to it no more; a group without any is gone
    #[arg(long, value_name = "PEER", num_args = 1.., value_delimiter = ',')]
    remove: Vec<PeerRef>,
}

pub(crate) fn run(args: Args, context: &Context) -> Result<(), Error> {
    let Args { name, add, remove } = args;
    let gone = name.clone();
    context.run(Command::Group { name, add, remove }, |outcome| match outcome {
        Outcome::Groups(groups) => {
            context.screen.show(&json::Groups::from(&*groups), |text| match &*groups {
                [group] if group.members.is_empty() => text.line(&format!("the group {gone} is gone")),
                groups => human::groups(text, groups),
            })
        }
        _ => Err(unexpected()),
    })
}
