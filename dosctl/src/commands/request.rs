//! `dosctl request`: requests access to an image, or more views of it, from its owner.

use dos_protocol::{ImageArg, control::Command, limits::VIEWS_MAX};

use super::run_request;
use crate::{cli::free_text, context::Context, error::Error};

/// Request access to an image, or more views of it
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Example: dosctl request bob/sea --views 3 --note \"for the calendar\"

A request that is still pending is changed instead of made again.")]
pub(crate) struct Args {
    /// The image, as OWNER/NAME
    image: ImageArg,
    /// Number of views to request
    #[arg(long, value_name = "N", default_value_t = 1)]
    #[arg(value_parser = clap::value_parser!(u32).range(1..=i64::from(VIEWS_MAX)))]
    views: u32,
    /// Tell the owner what it is for
    #[arg(long, value_name = "TEXT", value_parser = free_text)]
    note: Option<Box<str>>,
    /// Request checkouts too: views taken along for use without the directory
    #[arg(long)]
    offline: bool,
}

pub(crate) fn run(args: Args, context: &Context) -> Result<(), Error> {
    let Args { image, views, note, offline } = args;
    run_request(Command::Request { image, views, note, offline }, context)
}
