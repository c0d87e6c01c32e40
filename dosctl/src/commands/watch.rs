//! `dosctl watch`: events as they happen.

use std::ffi::OsString;

use dos_protocol::{PeerRef, control::Command};

use crate::{
    context::Context,
    error::Error,
    exec,
    output::{human, json},
};

/// Show events as they happen, or run a command for each, until interrupted
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  dosctl watch alice bob
  dosctl watch --exec 'test \"$DOSCTL_EVENT\" != request || notify-send Request'")]
pub(crate) struct Args {
    /// Only events of these peers and of your own session, by ID, name or IP:PORT
    #[arg(value_name = "PEER")]
    peers: Vec<PeerRef>,
    /// Run CMD with `sh -c` for each event: its JSON on standard input, its kind in DOSCTL_EVENT
    #[arg(long, value_name = "CMD", allow_hyphen_values = true)]
    exec: Option<OsString>,
}

pub(crate) fn run(args: Args, context: &Context) -> Result<(), Error> {
    let watch = Command::Watch { peers: args.peers };
    if let Some(command) = args.exec {
        return exec::run(context, watch, command);
    }
    context.follow(watch, &mut |event| {
        context.screen.show(&json::Event::from(event), |text| human::event(text, event))
    })
}
