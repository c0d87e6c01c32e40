//! `dosctl unregister`: leaves the directory for good.

use dos_protocol::{
    Code, WireError,
    control::{Command, Outcome, Status},
};

use crate::{
    confirm::confirm,
    context::{Context, unexpected},
    daemon,
    error::Error,
    output::{json, words::peer},
};

/// Leave the directory for good: your previews, grants, requests and messages there are gone
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  dosctl unregister
  dosctl unregister --yes

Those who had grants of yours, and those who gave you some, are notified. Your key, your images and what you had fetched are kept \
in a folder of the state directory, which is printed; the profile is as new, and can sign up again, here or elsewhere.")]
pub(crate) struct Args {
    /// Do not ask
    #[arg(long, short)]
    yes: bool,
}

pub(crate) fn run(args: Args, context: &Context) -> Result<(), Error> {
    let Outcome::Status(status) = context.ask(Command::Status)? else { return Err(unexpected()) };
    if !args.yes {
        agree(&status, context)?;
    }
    context.run(Command::Unregister, |outcome| match outcome {
        Outcome::Unregistered { id, name, kept } => {
            daemon::await_anew(&context.target()?)?;
            let told = json::Unregistered { id, name: name.as_ref(), kept: &kept };
            context.screen.show(&told, |text| {
                text.line(&format!("{} has left the directory for good", peer(name.as_ref(), id)));
                text.note(&format!("what was here is kept in {kept}"));
                text.note("this profile is as new: `dosctl up LINK --name NAME` signs up again");
            })
        }
        _ => Err(unexpected()),
    })
}

/// Asks the person at the terminal; refuses where no one is.
fn agree(status: &Status, context: &Context) -> Result<(), Error> {
    let Some(id) = status.id else {
        let text = format!("profile \"{}\" has not signed up at a directory", status.profile);
        return Err(WireError::new(Code::Offline, text).hint("dosctl up LINK --name NAME").into());
    };
    if !context.can_ask() {
        let text = "leaving the directory cannot be undone, and no one is here to be asked";
        return Err(WireError::new(Code::Usage, text).hint("dosctl unregister --yes").into());
    }
    let at = status.server.as_ref().map(|server| format!(" at {}", server.address())).unwrap_or_default();
    let question = format!(
        "{} ({id}) leaves the directory{at} for good: previews, grants, requests and messages there are gone, and the ID \
         and name are free.\nLeave? [y/N] ",
        peer(status.name.as_ref(), id),
    );
    if confirm(&question)? { Ok(()) } else { Err(Error::new(Code::Usage, "nothing was changed")) }
}
