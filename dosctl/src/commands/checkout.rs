//! `dosctl checkout`: takes views along for use without the directory.

use dos_protocol::{
    ImageArg,
    control::{Command, Outcome},
    limits::VIEWS_MAX,
};

use crate::{
    context::{Context, unexpected},
    error::Error,
    output::{
        json,
        words::{count, views_left},
    },
};

/// Takes views along, to be used with `view --offline` when the directory is out of reach
#[derive(Debug, clap::Args)]
#[command(after_help = "Example: dosctl checkout bob/sea --views 2")]
pub struct Args {
    /// OWNER/NAME
    image: ImageArg,
    /// How many views
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=i64::from(VIEWS_MAX)))]
    views: u32,
}

/// Runs it.
///
/// # Errors
/// Why it could not be done.
pub fn run(args: Args, context: &Context) -> Result<(), Error> {
    match context.ask(Command::Checkout { image: args.image.clone(), views: args.views })? {
        Outcome::Held { path, held, views_left: left } => {
            context.screen.show(&json::Held { image: &path, held, views_left: left }, |text| {
                let held = count(held.into(), "view");
                text.line(&format!("held here: {held} of {}; besides: {}", args.image, views_left(left)));
            })
        }
        _ => Err(unexpected()),
    }
}
