//! `dosctl`, the short-lived control command: arguments, one request to peerd, a view of the reply.
//!
//! It talks only to peerd, over its local socket. There is no asynchronous runtime here, no state and no network:
//! what a command does is up to peerd, and what must outlive it is kept there.

pub mod cli;
pub mod client;
pub mod commands;
pub mod context;
pub mod cursor;
pub mod desktop;
pub mod draft;
pub mod error;
pub mod exec;
pub mod output;
pub mod password;
pub mod picture;
pub mod progress;
pub mod target;
pub mod temporary;
pub mod terminal;

use std::ffi::OsString;

use context::Context;
use error::Error;
use output::Screen;

/// Runs the command that `args` describes, program name first, and gives its exit code.
pub fn main(args: impl IntoIterator<Item = OsString>) -> u8 {
    let args: Vec<OsString> = args.into_iter().collect();
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
        // Whoever reads our output has seen enough of it: that is no failure.
        Err(Error::ClosedPipe) => 0,
        Err(error) => {
            screen.fail(&error);
            error.exit_code()
        }
    }
}
