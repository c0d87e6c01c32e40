//! `dosctl request`: asks an owner for access or for more views.

use dos_protocol::{
    ImageArg,
    control::{Command, Outcome},
    limits::VIEWS_MAX,
};

use crate::{
    cli::free_text,
    context::{Context, unexpected},
    error::Error,
    output::{human, json},
};

/// Asks the owner for access to an image, or for more views
#[derive(Debug, clap::Args)]
#[command(after_help = r#"Example: dosctl request bob/sea --views 3 --note "for the calendar""#)]
pub struct Args {
    /// OWNER/NAME
    image: ImageArg,
    /// How many views
    #[arg(long, value_name = "N", default_value_t = 1)]
    #[arg(value_parser = clap::value_parser!(u32).range(1..=i64::from(VIEWS_MAX)))]
    views: u32,
    /// A word to the owner
    #[arg(long, value_name = "TEXT", value_parser = free_text)]
    note: Option<Box<str>>,
}

/// Runs it.
///
/// # Errors
/// Why it could not be done.
pub fn run(args: Args, context: &Context) -> Result<(), Error> {
    match context.ask(Command::Request { image: args.image, views: args.views, note: args.note })? {
        Outcome::Request { request, updated } => context
            .screen
            .show(&json::Request::from(&*request), |text| human::request(text, &request, updated)),
        _ => Err(unexpected()),
    }
}
