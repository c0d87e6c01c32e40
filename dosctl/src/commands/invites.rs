//! `dosctl invites`: what has become of invitations, and revoking one.

use dos_protocol::{
    PeerName,
    control::{Command, Outcome},
};

use crate::{
    context::{Context, unexpected},
    error::Error,
    output::{human, json},
};

/// List the invitations that you have made and used, or revoke one
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  dosctl invites
  dosctl invites --revoke bob

Revoking works until the link is used. After that, `dosctl share IMAGE bob --revoke` and `dosctl block bob`.")]
pub(crate) struct Args {
    /// Revoke the open invitation for this person
    #[arg(long, value_name = "NAME")]
    revoke: Option<PeerName>,
}

pub(crate) fn run(args: Args, context: &Context) -> Result<(), Error> {
    let revoked = args.revoke.is_some();
    let command = args.revoke.map_or(Command::Invites, Command::RevokeInvite);
    context.run(command, |outcome| match outcome {
        Outcome::Invites(invites) => {
            context.screen.show(&json::Invites::new(&invites), |text| match (&*invites, revoked) {
                ([invite], true) => human::revoked(text, invite),
                _ => human::invites(text, &invites),
            })
        }
        _ => Err(unexpected()),
    })
}
