//! `dosctl completions`: the script by which a shell completes commands, and what they name.

use std::io::{self, Write};

use dos_protocol::{Code, WireError};

use crate::{complete, context::Context, error::Error};

/// Print the completion script for a shell; it completes images, peers, groups, requests and profiles as they are
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  source <(dosctl completions bash)                                           in ~/.bashrc
  source <(dosctl completions zsh)                                            in ~/.zshrc
  dosctl completions fish > ~/.config/fish/completions/dosctl.fish")]
pub(crate) struct Args {
    /// The shell
    #[arg(value_parser = ["bash", "zsh", "fish"])]
    shell: String,
}

pub(crate) fn run(args: Args, _: &Context) -> Result<(), Error> {
    let script = complete::script(&args.shell);
    let script = script.ok_or_else(|| WireError::new(Code::Usage, "there is no script for that shell"))?;
    let mut out = io::stdout().lock();
    out.write_all(&script).and_then(|()| out.flush()).map_err(Error::of_output)
}
