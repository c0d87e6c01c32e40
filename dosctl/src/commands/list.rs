//! `dosctl list`: a page of peers and their images.

use std::time::Duration;

use dos_protocol::{
    PeerRef,
    control::{Command, ListQuery, Outcome},
    limits::PAGE_MAX,
    parse_duration,
};

use crate::{
    context::{Context, unexpected},
    cursor::Token,
    error::Error,
    output::{human, json},
};

/// Lists peers and their images
#[derive(Debug, clap::Args)]
#[command(after_help = "Example: dosctl list --online")]
pub struct Args {
    /// One peer only: an ID, a name or IP:PORT
    peer: Option<PeerRef>,
    /// Only peers that are online
    #[arg(long)]
    online: bool,
    /// Only peers that are online or were within this time
    #[arg(long, value_name = "DUR", value_parser = parse_duration)]
    since: Option<Duration>,
    /// Only oneself
    #[arg(long, conflicts_with = "peer")]
    mine: bool,
    /// So many entries at most
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=i64::from(PAGE_MAX)))]
    limit: Option<u32>,
    /// Goes on where an earlier listing ended
    #[arg(long, value_name = "C")]
    cursor: Option<Token>,
}

/// Runs it.
///
/// # Errors
/// Why it could not be done.
pub fn run(args: Args, context: &Context) -> Result<(), Error> {
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
            let document = json::Page::new(&peers, next.clone());
            context.screen.show(&document, |text| human::page(text, &peers, next.as_ref()))
        }
        _ => Err(unexpected()),
    }
}
