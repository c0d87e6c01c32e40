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

/// Check out views, to use them when the directory is out of reach
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  dosctl checkout bob/sea --views 2
  dosctl view bob/sea --offline -o sea.jpg
  dosctl checkin bob/sea        return what is left")]
pub(crate) struct Args {
    /// The image, as OWNER/NAME
    image: ImageArg,
    /// Number of views
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=i64::from(VIEWS_MAX)))]
    views: u32,
}

pub(crate) fn run(args: Args, context: &Context) -> Result<(), Error> {
    let command = Command::Checkout { image: args.image.clone(), views: args.views };
    context.run(command, |outcome| match outcome {
        Outcome::Held { path, held, views_left: left } => {
            context.screen.show(&json::Held { image: &path, held, views_left: left }, |text| {
                let held = count(held.into(), "view");
                let left = views_left(left);
                text.line(&format!("{held} of {} checked out here; {left} at the directory", args.image));
            })
        }
        _ => Err(unexpected()),
    })
}
