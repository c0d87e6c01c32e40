//! Many changes at once: sent in few commands, with one list of outcomes.
//!
//! What always holds: a change that fails does not stop the others; the outcomes count as shown only once the caller says so.

use dos_protocol::{
    Code,
    control::{Command, Each, Outcome},
    limits::MANY_MAX,
};

use crate::{
    client::Client,
    context::{Context, unexpected},
    error::{Error, Failure},
};

/// Connections that wait until their outcomes are shown; peerd serves 256 at once. Of more commands than these carry, the outcomes of
/// the earliest count as shown before they are.
const WAITING_MAX: usize = 64;

/// What came of many changes.
#[derive(Debug, Default)]
pub(crate) struct Came {
    /// Of those that were made, in their order.
    pub(crate) done: Vec<Outcome>,
    /// Those that failed, each by what it was about.
    pub(crate) failed: Vec<Failure>,
    waiting: Vec<Client>,
}

impl Came {
    /// The outcomes are shown.
    ///
    /// # Errors
    /// The failures, if there are any.
    pub(crate) fn shown(self) -> Result<(), Error> {
        for client in self.waiting {
            client.shown();
        }
        if self.failed.is_empty() { Ok(()) } else { Err(Error::Several(self.failed)) }
    }
}

/// Has peerd make changes, each with a word on what it is about.
///
/// # Errors
/// If peerd is not there, or none could be made for a reason that is that of all.
pub(crate) fn perform(changes: Vec<(String, Command)>, context: &Context) -> Result<Came, Error> {
    let mut came = Came::default();
    for part in changes.chunks(MANY_MAX) {
        let commands = part.iter().map(|(_, command)| command.clone()).collect();
        let (client, each) = match context.perform(Command::Many(commands)) {
            Ok((client, Outcome::Many(each))) if each.len() == part.len() => (client, each),
            Ok(_) => return Err(unexpected()),
            Err(Error::Told(error)) if error.code == Code::Unsupported => {
                one_by_one(part, &mut came, context)?;
                continue;
            }
            // What failed as a whole after others were done must not hide those.
            Err(Error::Told(error)) if !came.done.is_empty() => {
                came.failed.extend(part.iter().map(|(about, _)| Failure::new(&**about, error.clone())));
                continue;
            }
            Err(error) => return Err(error),
        };
        came.waiting.push(client);
        if came.waiting.len() > WAITING_MAX {
            came.waiting.remove(0).shown();
        }
        for ((about, _), each) in part.iter().zip(each) {
            match each {
                Each::Done(outcome) => came.done.push(*outcome),
                Each::Failed(error) => came.failed.push(Failure::new(&**about, error)),
            }
        }
    }
    Ok(came)
}

/// For a peerd that still runs after an upgrade.
fn one_by_one(part: &[(String, Command)], came: &mut Came, context: &Context) -> Result<(), Error> {
    for (about, command) in part {
        match context.perform(command.clone()) {
            Ok((client, outcome)) => {
                client.shown();
                came.done.push(outcome);
            }
            Err(Error::Told(error)) => came.failed.push(Failure::new(&**about, error)),
            Err(error) => return Err(error),
        }
    }
    Ok(())
}
