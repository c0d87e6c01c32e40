//! `dosctl watch`: events as they happen.

use std::ffi::OsString;

use dos_protocol::{PeerRef, control::Command};

use crate::{
    context::Context,
    error::Error,
    exec,
    output::{human, json},
};

/// Shows events as they happen, or runs a command for each, until interrupted
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples: dosctl watch alice bob
          dosctl watch --exec 'test \"$DOSCTL_EVENT\" != request || notify-send Request'")]
pub struct Args {
    /// Only what has to do with these peers, and with the own session: IDs, names or IP:PORT
    #[arg(value_name = "PEER")]
    peers: Vec<PeerRef>,
    /// Runs this for each event with `sh -c`, its JSON on standard input and its kind in DOSCTL_EVENT
    #[arg(long, value_name = "CMD", allow_hyphen_values = true)]
    exec: Option<OsString>,
}

/// Runs it.
///
/// # Errors
/// Why it could not be done.
pub fn run(args: Args, context: &Context) -> Result<(), Error> {
    let watch = Command::Watch { peers: args.peers };
    if let Some(command) = args.exec {
        return exec::run(context, watch, command);
    }
    context.follow(watch, &mut |event| {
        context.screen.show(&json::Event::from(event), |text| human::event(text, event))
    })
}
