//! The peerd profiles of this user: a profile is known by its directory under the runtime root, or by its state from an earlier run.

use std::{collections::BTreeSet, fs, path::Path, time::Duration};

use dos_protocol::{
    WireError,
    control::{Command, FromPeerd, Outcome, Status, ToPeerd},
    paths::{CONTROL_SOCKET_NAME, DEFAULT_PROFILE, Environment, is_profile},
};

use crate::{
    client::{Client, ClientError},
    error::Error,
    target::Target,
};

/// peerd answers `status` from memory; one that takes longer is stuck.
const PATIENCE: Duration = Duration::from_secs(2);

/// The most profiles that an error names.
const NAMED_MAX: usize = 8;

/// An error that says which other profiles run, where the one of `target` does not.
#[must_use]
pub(crate) fn with_running(error: ClientError, target: &Target) -> Error {
    let error = WireError::from(error);
    if target.profile.is_none() {
        return error.into();
    }
    let environment = Environment::of_process();
    let runs = |profile: &String| {
        Target::of_profile(profile, &environment).is_ok_and(|other| {
            other.socket != target.socket && Client::connect(&other, Some(PATIENCE)).is_ok()
        })
    };
    let running: Vec<String> = all(&environment).into_iter().filter(runs).take(NAMED_MAX).collect();
    if running.is_empty() {
        return error.into();
    }
    let cause = format!("running are: {} (choose with --profile or DOSCTL_PROFILE)", running.join(", "));
    error.caused_by(cause).into()
}

/// What the peerd there says of itself.
///
/// # Errors
/// If it does not answer.
pub(crate) fn status(target: &Target) -> Result<Status, ClientError> {
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
pub(crate) fn all(environment: &Environment) -> BTreeSet<String> {
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
