//! `dosctl album`: what is in an album of one's own, and who gets what comes into it.

use dos_protocol::{
    AlbumName,
    control::{Command, Outcome},
};

use crate::{
    album,
    context::{Context, unexpected},
    error::Error,
    group::{self, Whom},
    output::{human, json, words},
};

/// Show an album of yours, or end what peers get of what comes into it
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  dosctl album holiday
  dosctl share --album holiday --to bob --views 3 --later
  dosctl album holiday --no-later bob

An album is there as long as an image is in it, or a peer gets what comes into it.")]
pub(crate) struct Args {
    /// Name of the album
    name: AlbumName,
    /// Peers, or @GROUP for those of a group, that get nothing more of what comes into it; their grants stay
    #[arg(long, value_name = "PEER", value_delimiter = ',')]
    no_later: Vec<Whom>,
}

pub(crate) fn run(args: Args, context: &Context) -> Result<(), Error> {
    let Args { name, no_later } = args;
    let mut ended = Vec::new();
    for (_, viewer) in group::peers_of(no_later, context)? {
        let command = Command::Later { album: name.clone(), viewer, terms: None };
        let (client, outcome) = context.perform(command)?;
        let Outcome::Rule(rule) = outcome else { return Err(unexpected()) };
        client.shown();
        ended.push(*rule);
    }
    if !ended.is_empty() {
        return context.screen.show(&json::Rules { rules: ended.iter().map(Into::into).collect() }, |text| {
            for rule in &ended {
                let who = words::peer(rule.viewer_name.as_ref(), rule.viewer);
                text.line(&format!("{who} gets nothing more of what comes into {name}; the grants stay"));
            }
        });
    }
    let (images, rules) = album::of(&name, context)?;
    let document =
        json::Album { album: &name, images: &images, rules: rules.iter().map(Into::into).collect() };
    context.screen.show(&document, |text| human::album(text, &images, &rules))
}
