//! `dosctl list`: a page of peers and their images.

use std::time::Duration;

use dos_protocol::{
    AlbumName, Code, ImageArg, PeerRef, Timestamp,
    control::{Command, ListQuery, Outcome},
    directory::Cursor as Place,
    limits::PAGE_MAX,
    model::{ImageInfo, PeerInfo},
    parse_duration,
};

use crate::{
    context::{Context, unexpected},
    cursor::Token,
    decoder::Decoder,
    error::Error,
    glob,
    output::{human, json, words},
    picture::{Share, Surface, detect::Wanted},
    pieces::ENTRIES_MAX,
    terminal,
};

/// The most that a preview in a listing takes of the window.
const SHARE: Share = Share::Cells(32, 10);

/// More images than this are counted below the table.
const TOTAL_FROM: usize = 20;

/// List peers and their images
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  dosctl list --online
  dosctl list bob --previews
  dosctl list alice --all
  dosctl list --match 'holiday*'
  dosctl list --newest --limit 10
  dosctl list alice --album holiday
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
    /// Every page, not only the first
    #[arg(long, conflicts_with_all = ["limit", "cursor"])]
    all: bool,
    /// Only images whose name, or OWNER/NAME, matches this pattern with * and ?; implies --all
    #[arg(long = "match", value_name = "GLOB", conflicts_with_all = ["limit", "cursor"])]
    matching: Option<String>,
    /// Only images in this album; implies --all
    #[arg(long, value_name = "ALBUM", conflicts_with_all = ["limit", "cursor"])]
    album: Option<AlbumName>,
    /// The images that were published last, the newest first
    #[arg(long, conflicts_with_all = ["online", "since", "cursor", "all", "matching", "album"])]
    newest: bool,
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
    let all = args.all || args.matching.is_some() || args.album.is_some();
    if args.newest {
        let Args { peer, mine, limit, .. } = args;
        let command = Command::Newest { peer, mine, before: None, limit };
        let Outcome::Newest { peers, .. } = context.ask(command)? else { return Err(unexpected()) };
        return show(&peers, None, surface.as_ref(), context);
    }
    let query = ListQuery {
        peer: args.peer,
        mine: args.mine,
        online: args.online,
        since: args.since,
        after: args.cursor.map(|token| token.0),
        limit: if all { Some(PAGE_MAX) } else { args.limit },
    };
    let from_start = query.after.is_none();
    let Listed { mut peers, next, as_of } =
        if all { every_page(query, context)? } else { page(query, context)? };
    if let Some(at) = as_of {
        context.screen.note(&words::out_of_reach(at));
    }
    if let Some(pattern) = &args.matching {
        keep_matching(&mut peers, pattern);
    }
    if let Some(album) = &args.album {
        keep(&mut peers, |_, image| image.album() == Some(album));
    }
    // Only what was listed from the start to the end has a total that is known.
    let total = (from_start && next.is_none()).then(|| json::Total::of(&peers));
    let next = next.map(Token);
    if let Some(surface) = surface {
        return draw(&peers, next.as_ref(), &surface, context);
    }
    let document = json::Page::new(&peers, next.clone()).with_total(total).seen_at(as_of);
    context.screen.show(&document, |text| {
        human::page(text, &peers, next.as_ref());
        // Of a few the table tells as much.
        if let Some(total) = total.filter(|total| all || total.images > TOTAL_FROM) {
            human::total(text, total);
        }
    })
}

/// Shows a page, in pictures where there is a surface for them.
fn show(
    peers: &[PeerInfo],
    next: Option<&Token>,
    surface: Option<&Surface>,
    context: &Context,
) -> Result<(), Error> {
    match surface {
        Some(surface) => draw(peers, next, surface, context),
        None => {
            let document = json::Page::new(peers, next.cloned());
            context.screen.show(&document, |text| human::page(text, peers, next))
        }
    }
}

/// Leaves the images that match, and the peers that have such.
fn keep_matching(peers: &mut Vec<PeerInfo>, pattern: &str) {
    keep(peers, |owner, image| {
        glob::matches(pattern, image.name.as_str())
            || glob::matches(pattern, &format!("{owner}/{}", image.name))
    });
}

/// Leaves the images that are wanted, given the name of their owner, and the peers that have such.
fn keep(peers: &mut Vec<PeerInfo>, is_wanted: impl Fn(&str, &ImageInfo) -> bool) {
    for peer in &mut *peers {
        let owner = words::peer(peer.name.as_ref(), peer.id);
        peer.images.retain(|image| is_wanted(&owner, image));
    }
    peers.retain(|peer| !peer.images.is_empty());
}

/// What is listed.
struct Listed {
    peers: Vec<PeerInfo>,
    next: Option<Place>,
    /// When it was shown, if the directory is out of reach.
    as_of: Option<Timestamp>,
}

fn page(query: ListQuery, context: &Context) -> Result<Listed, Error> {
    match context.ask(Command::List(query))? {
        Outcome::Page { peers, next, as_of } => Ok(Listed { peers, next, as_of }),
        _ => Err(unexpected()),
    }
}

/// All pages as one; a peer whose images were on several stands there once.
fn every_page(mut query: ListQuery, context: &Context) -> Result<Listed, Error> {
    let mut peers: Vec<PeerInfo> = Vec::new();
    let mut entries = 0;
    loop {
        let Listed { peers: more, next, as_of } = page(query.clone(), context)?;
        for peer in more {
            entries += peer.images.len().max(1);
            match peers.last_mut() {
                Some(last) if last.id == peer.id => last.images.extend(peer.images),
                _ => peers.push(peer),
            }
        }
        if entries > ENTRIES_MAX {
            return Err(Error::new(
                Code::Invalid,
                format!("more than {ENTRIES_MAX} entries: list them in pages"),
            ));
        }
        match next {
            Some(place) => query.after = Some(place),
            None => return Ok(Listed { peers, next: None, as_of }),
        }
    }
}

/// Shows the page image by image, each with its preview above its line.
fn draw(peers: &[PeerInfo], next: Option<&Token>, surface: &Surface, context: &Context) -> Result<(), Error> {
    let mut decoder = Decoder::start().map_err(|error| error.hint("dosctl list"))?;
    for peer in peers {
        for image in &peer.images {
            if let Some(picture) = preview(peer, image, (surface, &mut decoder), context)? {
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
    (surface, decoder): (&Surface, &mut Decoder),
    context: &Context,
) -> Result<Option<Vec<u8>>, Error> {
    let arg = ImageArg { owner: Some(PeerRef::Id(peer.id)), name: image.name.clone() };
    match context.ask(Command::Preview(arg)) {
        Ok(Outcome::Preview { preview, .. }) => Ok(decoder.draw(&preview.data, (surface, SHARE)).ok()),
        Ok(_) => Err(unexpected()),
        Err(Error::Told(error)) if error.code == Code::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}
