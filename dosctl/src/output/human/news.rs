//! What has happened since the last look. Much of the same from one peer is one line.

use std::collections::HashMap;

use dos_protocol::{
    ImagePath, PeerId, Timestamp,
    control::{Event, EventKind, ImageChanged},
    directory::{Request, RequestState},
    invitation::InvitationId,
    model::Grant,
};

use super::{access, event, owned};
use crate::output::{
    Text,
    words::{count, moment, peer},
};

/// So many of the same from one peer are shown one by one.
const ALIKE_MAX: usize = 4;

/// Of `news`. Where `all` is shown, a star marks what is new.
pub(crate) fn news(text: &mut Text, news: &[Event], all: bool) {
    if news.is_empty() {
        text.note(if all {
            "nothing has happened yet"
        } else {
            "nothing new (`dosctl news --all` shows what was shown before)"
        });
        return;
    }
    let shown = without_repeats(news);
    let mut alike: HashMap<(About, bool), Vec<&Event>> = HashMap::new();
    for one in &shown {
        if let Some(about) = about(&one.what) {
            alike.entry((about, is_new(one))).or_default().push(one);
        }
    }
    for one in &shown {
        let group = about(&one.what).and_then(|about| alike.get(&(about, is_new(one))));
        let line = match group.filter(|group| group.len() > ALIKE_MAX) {
            // The last one stands for all of them, in its place.
            Some(group) if group.last().is_some_and(|last| std::ptr::eq(*last, *one)) => together(group),
            Some(_) => continue,
            None => line(one),
        };
        let mark = if all { if is_new(one) { "* " } else { "  " } } else { "" };
        text.line(&format!("{mark}{}  {line}", moment(one.at)));
    }
}

fn is_new(event: &Event) -> bool {
    event.seen != Some(true)
}

/// What an event has in common with others.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum About {
    Shared(PeerId),
    Viewed(PeerId),
    Image(PeerId, ImageChanged),
    Message(PeerId),
    Request(PeerId),
}

fn about(what: &EventKind) -> Option<About> {
    Some(match what {
        EventKind::Grant(grant) if !grant.revoked => About::Shared(grant.path.owner),
        EventKind::Viewed { grant, .. } => About::Viewed(grant.viewer),
        EventKind::Removed(path) => About::Image(path.owner, ImageChanged::Removed),
        EventKind::Image(image) => About::Image(image.path.owner, image.change),
        EventKind::Message(message) => About::Message(message.from),
        EventKind::Request(request) if request.state == RequestState::Pending => About::Request(request.from),
        _ => return None,
    })
}

/// Without the grant that came with an answer, which says as much, and of an invitation only how it stands last.
fn without_repeats(news: &[Event]) -> Vec<&Event> {
    let answered = |grant: &Grant, at: Timestamp| {
        news.iter().any(|other| match &other.what {
            EventKind::Decision(request) => request.path == grant.path && other.at == at,
            _ => false,
        })
    };
    let mut last: HashMap<InvitationId, *const Event> = HashMap::new();
    for one in news {
        if let EventKind::Invite(invite) = &one.what {
            last.insert(invite.id, one);
        }
    }
    let is_shown = |one: &&Event| match &one.what {
        EventKind::Grant(grant) => !answered(grant, one.at),
        EventKind::Invite(invite) => last.get(&invite.id).is_some_and(|last| std::ptr::eq(*last, *one)),
        _ => true,
    };
    news.iter().filter(is_shown).collect()
}

fn line(one: &Event) -> String {
    match &one.what {
        EventKind::Grant(grant) => {
            let image = owned(grant.owner_name.as_ref(), &grant.path);
            let offer = if grant.offer { ": an offer of a stranger" } else { "" };
            format!("grant     {}{offer}", access::may_view_as("you", grant, &image, one.at))
        }
        EventKind::Decision(request) => decision(request),
        _ => event::what(one),
    }
}

/// The answer to a request of one's own.
fn decision(request: &Request) -> String {
    let image = owned(request.owner_name.as_ref(), &request.path);
    let (number, views) = (request.request, count(request.views.into(), "view"));
    let line = match request.state {
        RequestState::Approved => format!("decision  {number}: approved, you get {views} of {image}"),
        _ => format!("decision  {number}: denied, you get no views of {image}"),
    };
    match request.reason.as_deref() {
        Some(reason) => format!("{line}: \"{reason}\""),
        None => line,
    }
}

/// Many of the same, the last one last.
fn together(group: &[&Event]) -> String {
    let number = u64::try_from(group.len()).unwrap_or(u64::MAX);
    let Some(last) = group.last() else { return String::new() };
    match &last.what {
        EventKind::Grant(grant) => {
            let owner = peer(grant.owner_name.as_ref(), grant.path.owner);
            let images = images(group.iter().filter_map(|one| match &one.what {
                EventKind::Grant(grant) => Some(&grant.path),
                _ => None,
            }));
            format!("grant     {owner} has shared {images} with you: `dosctl list {owner}`")
        }
        EventKind::Viewed { grant, .. } => {
            let viewer = peer(grant.viewer_name.as_ref(), grant.viewer);
            let images = images(group.iter().filter_map(|one| match &one.what {
                EventKind::Viewed { grant, .. } => Some(&grant.path),
                _ => None,
            }));
            format!("viewed    {viewer} viewed {images}, {} the last", grant.path.name)
        }
        EventKind::Removed(path) => {
            format!("image     {} of {} were removed", count(number, "image"), path.owner)
        }
        EventKind::Image(image) => {
            let owner = peer(image.owner_name.as_ref(), image.path.owner);
            match image.change {
                ImageChanged::Added => {
                    format!("image     {} of {owner} are new: `dosctl list {owner}`", count(number, "image"))
                }
                ImageChanged::Replaced => {
                    format!("image     {} of {owner} were replaced", count(number, "image"))
                }
                ImageChanged::Renamed => {
                    format!("image     {} of {owner} have other names", count(number, "image"))
                }
                ImageChanged::Removed => {
                    format!("image     {} of {owner} were removed", count(number, "image"))
                }
            }
        }
        EventKind::Message(message) => {
            let from = peer(message.from_name.as_ref(), message.from);
            format!("message   {} from {from}: `dosctl messages --unread`", count(number, "message"))
        }
        EventKind::Request(request) => {
            let from = peer(request.from_name.as_ref(), request.from);
            format!("request   {} of {from}: `dosctl requests`", count(number, "request"))
        }
        _ => event::what(last),
    }
}

/// How many images these are.
fn images<'a>(paths: impl Iterator<Item = &'a ImagePath>) -> String {
    let paths: std::collections::HashSet<_> = paths.collect();
    count(u64::try_from(paths.len()).unwrap_or(u64::MAX), "image")
}
