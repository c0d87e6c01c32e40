//! `dosctl`, the short-lived control command: arguments, one request to peerd, a view of the reply.
//!
//! It talks only to peerd, over its local socket. There is no asynchronous runtime here, no state and no network:
//! what a command does is up to peerd, and what must outlive it is kept there.

mod album;
mod answering;
mod cli;
mod client;
mod commands;
mod complete;
mod confirm;
mod context;
mod cursor;
mod daemon;
mod decoder;
mod desktop;
mod draft;
mod error;
mod exec;
mod glob;
mod group;
mod lan;
mod many;
mod near;
mod others;
mod output;
mod own;
mod password;
mod picture;
mod pieces;
mod profiles;
mod progress;
mod source;
mod target;
mod temporary;
mod terminal;
mod together;

use std::ffi::OsString;

use clap::CommandFactory;
use context::Context;
use error::Error;
use output::Screen;

/// The command line, for what is generated from it.
#[must_use]
pub fn command() -> clap::Command {
    cli::Cli::command()
}

/// Runs the command that `args` describes, program name first, and gives its exit code.
pub fn main(args: impl IntoIterator<Item = OsString>) -> u8 {
    let args: Vec<OsString> = args.into_iter().collect();
    if complete::is_asked() {
        complete::answer(&args);
        return 0;
    }
    let (screen, result) = match cli::parse(&args) {
        Ok(cli) => {
            let context = Context::new(cli.global);
            let result = cli.verb.run(&context);
            (context.screen, result)
        }
        Err(stop) => {
            let screen = Screen::of_process(cli::wants_json(&args));
            let result = stop.show(&screen);
            (screen, result)
        }
    };
    match result {
        Ok(()) => 0,
        // The reader of our output has closed it, having seen enough.
        Err(Error::ClosedPipe) => 0,
        Err(error) => {
            let error = near::with_command(error, &args);
            screen.fail(&error);
            error.exit_code()
        }
    }
}
