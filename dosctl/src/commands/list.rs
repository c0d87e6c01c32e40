//! `dosctl list`: a page of peers and their images.

use std::{io::Cursor, time::Duration};

use dos_protocol::{
    Code, ImageArg, PeerRef,
    control::{Command, ListQuery, Outcome},
    limits::PAGE_MAX,
    model::{ImageInfo, PeerInfo},
    parse_duration,
};

use crate::{
    context::{Context, unexpected},
    cursor::Token,
    error::Error,
    output::{human, json},
    picture::{Share, Surface, detect::Wanted},
    terminal,
};

/// The most that a preview in a listing takes of the window.
const SHARE: Share = Share::Cells(32, 10);

/// List peers and their images
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  dosctl list --online
  dosctl list bob --previews
  dosctl list --since 10m       peers that were online within 10 minutes")]
pub(crate) struct Args {
    /// Only this peer, by ID, name or IP:PORT
    peer: Option<PeerRef>,
    /// Only peers that are online
    #[arg(long)]
    online: bool,
    /// Only peers that are online, or were within this time
    #[arg(long, value_name = "DUR", value_parser = parse_duration)]
    since: Option<Duration>,
    /// Only your own images
    #[arg(long, conflicts_with = "peer")]
    mine: bool,
    /// At most N entries
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=i64::from(PAGE_MAX)))]
    limit: Option<u32>,
    /// Continue where an earlier listing ended
    #[arg(long, value_name = "C")]
    cursor: Option<Token>,
    /// Draw the preview of every image in the terminal
    #[arg(long)]
    previews: bool,
    /// How to draw previews
    #[arg(long, value_name = "HOW", env = "DOSCTL_GRAPHICS", hide_env_values = true, default_value = "auto")]
    graphics: Wanted,
}

pub(crate) fn run(args: Args, context: &Context) -> Result<(), Error> {
    let draws = args.previews && !context.screen.is_json();
    let surface = if draws { terminal::surface(args.graphics) } else { None };
    let query = ListQuery {
        peer: args.peer,
        mine: args.mine,
        online: args.online,
        since: args.since,
        after: args.cursor.map(|token| token.0),
        limit: args.limit,
    };
    match context.ask(Command::List(query))? {
        Outcome::Page { peers, next } => {
            let next = next.map(Token);
            if let Some(surface) = surface {
                return draw(&peers, next.as_ref(), &surface, context);
            }
            let document = json::Page::new(&peers, next.clone());
            context.screen.show(&document, |text| human::page(text, &peers, next.as_ref()))
        }
        _ => Err(unexpected()),
    }
}

/// Shows the page image by image, each with its preview above its line.
fn draw(peers: &[PeerInfo], next: Option<&Token>, surface: &Surface, context: &Context) -> Result<(), Error> {
    for peer in peers {
        for image in &peer.images {
            if let Some(picture) = preview(peer, image, surface, context)? {
                terminal::draw(&picture)?;
            }
            // As it stands in the listing without pictures: nothing else here is JSON.
            let document = json::Page::new(&[], None);
            context.screen.show(&document, |text| human::listed(text, peer, image))?;
        }
    }
    context.screen.show(&json::Page::new(&[], None), |text| human::end_of_page(text, peers, next))
}

/// The preview, drawn; nothing if the image has gone meanwhile, or its preview cannot be drawn.
fn preview(
    peer: &PeerInfo,
    image: &ImageInfo,
    surface: &Surface,
    context: &Context,
) -> Result<Option<Vec<u8>>, Error> {
    let arg = ImageArg { owner: Some(PeerRef::Id(peer.id)), name: image.name.clone() };
    match context.ask(Command::Preview(arg)) {
        Ok(Outcome::Preview { preview, .. }) => Ok(surface.draw(Cursor::new(preview.data), SHARE).ok()),
        Ok(_) => Err(unexpected()),
        Err(Error::Told(error)) if error.code == Code::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}
