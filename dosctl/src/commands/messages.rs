//! `dosctl messages`: sent and received messages.
//!
//! What always holds: a message counts as read only when everything of it is written to standard output.

use dos_protocol::{
    PeerRef,
    control::{Command, Message, MessagesQuery, Outcome},
    limits::MESSAGES_SHOWN_MAX,
};

use crate::{
    client::Client,
    context::{Context, no_data, unexpected},
    error::Error,
    output::{human, json},
};

/// How many of the last messages are shown by default.
const LIMIT: u32 = 20;

/// Show the last messages and mark them as read; a star marks the unread ones
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  dosctl messages --unread
  dosctl messages --with bob --follow")]
pub(crate) struct Args {
    /// Only unread messages, the oldest first
    #[arg(long)]
    unread: bool,
    /// Only messages from and to this peer, by ID, name or IP:PORT
    #[arg(long, value_name = "PEER")]
    with: Option<PeerRef>,
    /// Keep showing new messages until interrupted
    #[arg(long)]
    follow: bool,
    /// At most N messages [default: the last 20; with --unread the first 1000]
    #[arg(long, value_name = "N")]
    #[arg(value_parser = clap::value_parser!(u32).range(1..=i64::from(MESSAGES_SHOWN_MAX)))]
    limit: Option<u32>,
}

pub(crate) fn run(args: Args, context: &Context) -> Result<(), Error> {
    if args.follow { follow(&args, context) } else { once(&args, context) }
}

impl Args {
    fn query(&self) -> MessagesQuery {
        let limit = (!self.unread).then(|| self.limit.unwrap_or(LIMIT));
        MessagesQuery {
            unread: self.unread,
            with: self.with.clone(),
            after: None,
            limit,
            most: None,
            wait: false,
        }
    }
}

/// A page; peerd waits until it has been shown.
struct Page {
    client: Client,
    messages: Vec<Message>,
    more: bool,
}

impl Page {
    fn ask(context: &Context, query: MessagesQuery) -> Result<Self, Error> {
        let mut client = context.start(Command::Messages(query))?;
        match context.answer(&mut client, &mut no_data)? {
            Outcome::Messages { messages, more } => Ok(Self { client, messages, more }),
            _ => Err(unexpected()),
        }
    }

    /// Has peerd mark them as read. If it is gone by now they stay unread, which does no harm.
    fn shown(self) {
        self.client.shown();
    }
}

fn once(args: &Args, context: &Context) -> Result<(), Error> {
    let mut left = args.limit.unwrap_or(if args.unread { MESSAGES_SHOWN_MAX } else { LIMIT });
    let (mut query, mut pages) = (args.query(), Vec::new());
    let more = loop {
        query.most = Some(left);
        let page = Page::ask(context, query.clone())?;
        left = left.saturating_sub(u32::try_from(page.messages.len()).unwrap_or(u32::MAX));
        let more = page.more;
        (query.after, query.limit) = (page.messages.last().map(|last| last.place), None);
        pages.push(page);
        if !more || left == 0 || query.after.is_none() {
            break more;
        }
    };
    let messages: Vec<&Message> = pages.iter().flat_map(|page| &page.messages).collect();
    context.screen.show(&json::Messages::new(&messages), |text| {
        human::messages(text, &messages, args.unread);
        if more && args.unread {
            text.note("there are more: run the command again");
        }
    })?;
    pages.into_iter().for_each(Page::shown);
    Ok(())
}

fn follow(args: &Args, context: &Context) -> Result<(), Error> {
    let mut query = MessagesQuery { wait: true, ..args.query() };
    loop {
        let page = Page::ask(context, query.clone())?;
        for message in &page.messages {
            context.screen.show(&json::Message::from(message), |text| human::message(text, message))?;
        }
        if let Some(last) = page.messages.last() {
            (query.after, query.limit) = (Some(last.place), None);
        }
        page.shown();
    }
}
