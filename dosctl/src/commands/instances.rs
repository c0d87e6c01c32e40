//! `dosctl instances`: the peerd profiles of this user, and whether each is running.
//!
//! A profile is known by its directory under the runtime root, or by its state from an earlier run.

use std::{collections::BTreeSet, fs, path::Path, time::Duration};

use dos_protocol::{
    control::{Command, FromPeerd, Outcome, Status, ToPeerd},
    paths::{CONTROL_SOCKET_NAME, DEFAULT_PROFILE, Environment, is_profile},
};

use crate::{
    client::{Client, ClientError},
    context::Context,
    error::Error,
    output::{human, json},
    target::Target,
};

/// peerd answers `status` from memory; one that takes longer is stuck.
const PATIENCE: Duration = Duration::from_secs(2);

/// List the peerd profiles of this user, and whether each is running
#[derive(Debug, clap::Args)]
pub(crate) struct Args {}

pub(crate) fn run(_: Args, context: &Context) -> Result<(), Error> {
    // The directories that systemd gives belong to one daemon, not to a user's profiles.
    let environment =
        Environment { state_directory: None, runtime_directory: None, ..Environment::of_process() };
    let mut instances = Vec::new();
    for profile in profiles(&environment) {
        let target = Target::of_profile(&profile, &environment)?;
        let status = ask(&target).ok();
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

fn ask(target: &Target) -> Result<Status, ClientError> {
    let mut client = Client::connect(target, Some(PATIENCE))?;
    client.send(&ToPeerd::Do(Box::new(Command::Status)))?;
    match client.receive()? {
        FromPeerd::Done(outcome) => match *outcome {
            Outcome::Status(status) => Ok(*status),
            _ => Err(ClientError::Unexpected),
        },
        _ => Err(ClientError::Unexpected),
    }
}

/// The names of all profiles, in their order.
fn profiles(environment: &Environment) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    if let Some(root) = environment.runtime_root() {
        found.extend(directories(&root).filter(|name| root.join(name).join(CONTROL_SOCKET_NAME).exists()));
    }
    let state = environment.state_dir(DEFAULT_PROFILE);
    if let Some(peers) = state.as_deref().and_then(Path::parent) {
        found.extend(directories(peers).filter(|name| peers.join(name).is_dir()));
    }
    found
}

/// What in `root` can be a profile. A directory that cannot be read has none.
fn directories(root: &Path) -> impl Iterator<Item = String> {
    let entries = fs::read_dir(root).into_iter().flatten().flatten();
    entries.filter_map(|entry| entry.file_name().into_string().ok()).filter(|name| is_profile(name))
}
