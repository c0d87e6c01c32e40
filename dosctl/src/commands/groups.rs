//! `dosctl groups`: every group and its peers.

use crate::{
    context::Context,
    error::Error,
    group,
    output::{human, json},
};

/// List your groups of peers
#[derive(Debug, clap::Args)]
pub(crate) struct Args {}

pub(crate) fn run(_: Args, context: &Context) -> Result<(), Error> {
    let groups = group::all(context)?;
    context.screen.show(&json::Groups::from(&*groups), |text| human::groups(text, &groups))
}
