//! `dosctl share`: gives, changes or revokes a grant.

mod later;

use std::{collections::HashSet, str::FromStr, time::Duration};

use clap::ArgGroup;
use dos_protocol::{
    AlbumName, Allowance, Code, ImageName, PeerRef, Timestamp, WireError,
    control::{Command, Outcome},
    directory::ViewsChange,
    limits::VIEWS_MAX,
    model::{Grant, ImageArgError, PeerRefError},
    parse_duration,
};

use super::consent;
use crate::{
    album,
    context::{Context, unexpected},
    error::Error,
    group::{self, Known, Whom},
    many,
    output::{human, json, words::count},
    own::{self, Named},
};

/// Grant peers views of images, or change or revoke the grants
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  dosctl share sea bob --views 3 --expires 7d
  dosctl share sea bob --add 2 --allow-offline
  dosctl share sea bob --revoke
  dosctl share 'holiday*' --to bob,carol --views 3
  dosctl share sea dunes --to @friends --unlimited
  dosctl share --album holiday --to bob --views 3 --later")]
#[command(group(
    ArgGroup::new("change").args(["views", "add", "unlimited", "revoke", "expires", "allow_offline", "no_offline"])
        .required(true)
        .multiple(true)
))]
pub(crate) struct Args {
    /// Names of images, or patterns with * and ?; without --to, one of these and then the viewer
    #[arg(required_unless_present = "album", value_name = "IMAGE")]
    images: Vec<Operand>,
    /// Every image of this album of yours
    #[arg(long, value_name = "ALBUM", requires = "to")]
    album: Option<AlbumName>,
    /// With --album: also every image that comes into it later, until `dosctl album ALBUM --no-later PEER`; what was given so already
    /// stays as it is
    #[arg(long, requires = "album", conflicts_with_all = ["images", "add", "revoke", "no_offline"])]
    later: bool,
    /// The viewers, by ID, name or IP:PORT, or @GROUP for the peers of a group
    #[arg(long, value_name = "PEER", value_delimiter = ',')]
    to: Vec<Whom>,
    /// Set the number of views left to N
    #[arg(long, value_name = "N", conflicts_with_all = ["add", "unlimited", "revoke"])]
    #[arg(value_parser = clap::value_parser!(u32).range(0..=i64::from(VIEWS_MAX)))]
    views: Option<u32>,
    /// Add N views
    #[arg(long, value_name = "N", conflicts_with_all = ["unlimited", "revoke"])]
    #[arg(value_parser = clap::value_parser!(u32).range(1..=i64::from(VIEWS_MAX)))]
    add: Option<u32>,
    /// Allow any number of views
    #[arg(long, conflicts_with = "revoke")]
    unlimited: bool,
    /// Revoke the grant at once
    #[arg(long, conflicts_with = "expires")]
    revoke: bool,
    /// End the grant after this time
    #[arg(long, value_name = "DUR", value_parser = parse_duration)]
    expires: Option<Duration>,
    /// Allow checkouts: views taken along for use without the directory
    #[arg(long, conflicts_with_all = ["no_offline", "revoke"])]
    allow_offline: bool,
    /// Allow no further checkouts; views that are checked out stay so
    #[arg(long, conflicts_with = "revoke")]
    no_offline: bool,
}

impl Args {
    fn change(&self) -> ViewsChange {
        match (self.views, self.add) {
            (Some(views), _) => ViewsChange::Set(Allowance::Views(views)),
            (None, Some(views)) => ViewsChange::Add(views),
            (None, None) if self.unlimited => ViewsChange::Set(Allowance::Unlimited),
            (None, None) if self.revoke => ViewsChange::Revoke,
            (None, None) => ViewsChange::Keep,
        }
    }
}

pub(crate) fn run(mut args: Args, context: &Context) -> Result<(), Error> {
    let mut to = std::mem::take(&mut args.to);
    if to.is_empty() {
        // Without `--to`: an image and a viewer.
        match (args.images.pop(), args.images.as_slice()) {
            (Some(viewer), [_]) => to.push(Whom::Peer(viewer.peer()?)),
            _ => {
                let text = "name one image and one peer, or the peers with --to";
                return Err(WireError::new(Code::Usage, text).hint("dosctl share --help").into());
            }
        }
    }
    let terms = Terms {
        views: args.change(),
        expires: args.expires,
        allow_offline: consent(args.allow_offline, args.no_offline),
    };
    if args.later {
        return later::run(args, (to, terms), context);
    }
    let album = args.album;
    let images: Vec<Named> = args.images.into_iter().map(|operand| operand.image).collect();
    if let (None, [Named::One(image)], [Whom::Peer(viewer)]) = (&album, &*images, &*to) {
        let name = own::name_of(image.clone(), context)?;
        return one(terms.command(name, viewer.clone()), terms.gives(), context);
    }
    let (mut names, viewers) = (own::names_of(images, context)?, group::peers_of(to, context)?);
    if let Some(album) = &album {
        let (in_album, rules) = album::of(album, context)?;
        let others: HashSet<ImageName> = names.iter().cloned().collect();
        names.extend(in_album.into_iter().filter(|name| !others.contains(name)));
        if terms.views == ViewsChange::Revoke {
            later::end(&rules, &viewers, context)?;
        }
    }
    let changes = names.iter().flat_map(|name| {
        let share = |(known_as, viewer): &Known| {
            (format!("{name} to {known_as}"), terms.command(name.clone(), viewer.clone()))
        };
        viewers.iter().map(share).collect::<Vec<_>>()
    });
    let came = many::perform(changes.collect(), context)?;
    let grants: Vec<Grant> = came.done.iter().filter_map(granted).cloned().collect();
    let nows: Vec<Timestamp> = grants.iter().map(|grant| terms.now(grant)).collect();
    let document = json::Shared::new(&grants, &nows, came.failed.len());
    context.screen.show(&document, |text| {
        let (images, peers) = (count(of(&names), "image"), count(of(&viewers), "peer"));
        text.line(&format!("{} of {images} to {peers} {}", count(of(&grants), "grant"), terms.done()));
    })?;
    came.shown()
}

fn of<T>(items: &[T]) -> u64 {
    u64::try_from(items.len()).unwrap_or(u64::MAX)
}

fn granted(outcome: &Outcome) -> Option<&Grant> {
    if let Outcome::Grant(grant) = outcome { Some(grant) } else { None }
}

/// What is to become of every grant.
#[derive(Debug, Clone, Copy)]
struct Terms {
    views: ViewsChange,
    expires: Option<Duration>,
    allow_offline: Option<bool>,
}

impl Terms {
    fn command(self, name: ImageName, viewer: PeerRef) -> Command {
        let Self { views, expires, allow_offline } = self;
        Command::Share { name, viewer, views, expires, allow_offline }
    }

    fn gives(self) -> bool {
        self.expires.is_some() || matches!(self.views, ViewsChange::Set(_) | ViewsChange::Add(_))
    }

    fn now(self, grant: &Grant) -> Timestamp {
        if self.gives() { before_end(grant) } else { Timestamp::now() }
    }

    fn done(self) -> String {
        match self.views {
            ViewsChange::Set(Allowance::Views(views)) => format!("set to {}", count(views.into(), "view")),
            ViewsChange::Set(Allowance::Unlimited) => "set to unlimited views".into(),
            ViewsChange::Add(views) => format!("raised by {}", count(views.into(), "view")),
            ViewsChange::Revoke => "revoked".into(),
            _ => "changed".into(),
        }
    }
}

fn one(command: Command, gives: bool, context: &Context) -> Result<(), Error> {
    context.run(command, |outcome| match outcome {
        Outcome::Grant(grant) => {
            let now = if gives { before_end(&grant) } else { Timestamp::now() };
            context.screen.show(&json::Grant::new(&grant, now), |text| {
                text.now = now;
                human::shared(text, &grant);
            })
        }
        _ => Err(unexpected()),
    })
}

/// An image, or the viewer of one: which one its place tells.
#[derive(Debug, Clone)]
struct Operand {
    text: Box<str>,
    image: Named,
}

impl Operand {
    /// Reads it as a peer.
    ///
    /// # Errors
    /// `invalid` if it is none.
    fn peer(&self) -> Result<PeerRef, WireError> {
        self.text.parse().map_err(|error: PeerRefError| {
            let text = format!("\"{}\" is not a peer", self.text);
            WireError::new(Code::Invalid, text).caused_by(error.to_string()).hint("dosctl share --help")
        })
    }
}

impl FromStr for Operand {
    type Err = ImageArgError;

    fn from_str(text: &str) -> Result<Self, ImageArgError> {
        Ok(Self { text: text.into(), image: text.parse()? })
    }
}

/// Now, before the end of a grant that the directory has just given: by a fast clock here it would seem to be over.
fn before_end(grant: &Grant) -> Timestamp {
    let now = Timestamp::now();
    grant.expires_at.map_or(now, |end| now.min(end.before(Duration::from_millis(1))))
}
