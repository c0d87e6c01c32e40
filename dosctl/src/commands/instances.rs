//! `dosctl instances`: the peerd profiles of this user, and whether each is running.

use dos_protocol::paths::Environment;

use crate::{
    context::Context,
    error::Error,
    output::{human, json},
    profiles,
    target::Target,
};

/// List the peerd profiles of this user, and whether each is running
#[derive(Debug, clap::Args)]
pub(crate) struct Args {}

pub(crate) fn run(_: Args, context: &Context) -> Result<(), Error> {
    // The directories that systemd gives belong to one daemon, not to a user's profiles.
    let environment =
        Environment { state_directory: None, runtime_directory: None, ..Environment::of_process() };
    let mut instances = Vec::new();
    for profile in profiles::all(&environment) {
        let target = Target::of_profile(&profile, &environment)?;
        let status = profiles::status(&target).ok();
        instances.push(json::Instance {
            profile,
            running: status.is_some(),
            state: status.as_ref().map(|status| status.state),
            id: status.as_ref().and_then(|status| status.id),
            name: status.and_then(|status| status.name),
        });
    }
    let document = json::Instances { instances: &instances };
    context.screen.show(&document, |text| human::instances(text, &instances))
}
