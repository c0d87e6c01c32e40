//! Grants and views: pictures that were shown, views that were counted, and views that were granted.

use std::collections::BTreeSet;

use super::{Books, Seen, Verdict};
use crate::history::record::{Action, Ended, Entry, Grant, Image};

/// From what is certain to what is possible at most.
#[derive(Debug, Default, Clone, Copy)]
struct Bounds {
    least: u64,
    most: u64,
}

impl Bounds {
    fn count(&mut self, views: u64, outcome: Ended) {
        match outcome {
            Ended::Ok => (self.least, self.most) = (self.least + views, self.most + views),
            Ended::Unknown => self.most += views,
            Ended::Fail => {}
        }
    }
}

/// The sums of one grant.
#[derive(Debug, Default)]
struct Sums {
    granted: Bounds,
    /// Pictures of counted views.
    shown: Bounds,
    checked_out: Bounds,
    /// Pictures of held views.
    shown_held: Bounds,
}

impl Sums {
    fn of(grant: Grant, history: &[Entry]) -> Self {
        let mut sums = Self::default();
        for Entry { action, outcome, invoked, ended, .. } in history {
            match *action {
                Action::Add(of, views) | Action::Set(of, views) | Action::Approve(of, _, views)
                    if of == grant =>
                {
                    sums.granted.count(views.into(), *outcome);
                }
                Action::Checkout(of, views) if of == grant => sums.checked_out.count(views.into(), *outcome),
                Action::View { grant: of, offline, shown } if of == grant => {
                    let outcome = match *outcome {
                        // Whoever has seen the first byte has seen the picture.
                        _ if shown => Ended::Ok,
                        // It was counted, and revoked before it was shown.
                        Ended::Fail if is_revoked_within(grant, (*invoked, *ended), history) => {
                            Ended::Unknown
                        }
                        outcome => outcome,
                    };
                    let pictures = if offline { &mut sums.shown_held } else { &mut sums.shown };
                    pictures.count(1, outcome);
                }
                _ => {}
            }
        }
        sums
    }
}

/// Whether a grant was revoked, or may have been, at some moment between these.
fn is_revoked_within(grant: Grant, (from, to): (u64, u64), history: &[Entry]) -> bool {
    history.iter().any(|entry| {
        let is_revocation = entry.action == Action::Revoke(grant) && entry.outcome != Ended::Fail;
        is_revocation && entry.invoked < to && entry.ended > from
    })
}

pub(super) fn check(history: &[Entry], seen: &[Seen], verdict: &mut Verdict) {
    let mentioned = history.iter().filter_map(|entry| match entry.action {
        Action::Add(grant, _) | Action::Set(grant, _) | Action::Approve(grant, ..) => Some(grant),
        _ => None,
    });
    for grant in mentioned.collect::<BTreeSet<_>>() {
        let sums = Sums::of(grant, history);
        let given = seen[grant.owner].given.get(&grant);
        let received = seen[grant.viewer].received.get(&grant);
        let (Some(given), Some(received)) = (given, received) else {
            if sums.granted.least > 0 {
                verdict.lost.push(format!("{grant:?}: owner {given:?}, viewer {received:?}"));
            }
            continue;
        };
        if given != received && !has_open_view(grant, history) {
            verdict.stuck.push(format!("{grant:?}: owner {given:?}, viewer {received:?}"));
            continue;
        }
        counted(grant, &sums, given, verdict);
        match grant.image {
            Image::Sea => added(grant, &sums, given, verdict),
            Image::Dunes => set(grant, history, given, verdict),
        }
    }
}

/// Whether the last that is known of a viewer's views is that one broke off: the viewer learns whether it was counted when it takes
/// it up again, with its next view of the image.
fn has_open_view(grant: Grant, history: &[Entry]) -> bool {
    let mut views = history.iter().filter(|entry| match entry.action {
        Action::View { grant: of, offline: false, .. } | Action::Checkout(of, _) => {
            of == grant && entry.outcome != Ended::Fail
        }
        _ => false,
    });
    views.next_back().is_some_and(|last| last.outcome == Ended::Unknown)
}

/// Every picture was counted, once; a view of which nothing is known cost one at most.
fn counted(grant: Grant, sums: &Sums, books: &Books, verdict: &mut Verdict) {
    let Sums { granted, shown, checked_out, shown_held } = sums;
    let counted = books.used + books.returned;
    let text = format!("{grant:?}: {books:?}, {sums:?}");
    // Without the directory a view takes one that is held, asked for or not: which of the two it was is not known here.
    if shown.least + shown_held.least > books.used || counted < checked_out.least {
        verdict.over_granted.push(format!("pictures or checkouts were not counted: {text}"));
    } else if shown_held.least + books.returned > checked_out.most {
        verdict.over_granted.push(format!("more held views were used than checked out: {text}"));
    }
    if counted > shown.most + checked_out.most {
        verdict.doubled.push(format!("views were counted twice: {text}"));
    }
    if books.left + books.used > granted.most {
        verdict.over_granted.push(format!("more views than were granted: {text}"));
    }
}

/// Of an image that viewers only get more views of the sum is exact.
fn added(grant: Grant, sums: &Sums, books: &Books, verdict: &mut Verdict) {
    if books.left + books.used < sums.granted.least {
        verdict.lost.push(format!("fewer views than were granted: {grant:?}: {books:?}, {sums:?}"));
    }
}

/// Of an image whose views are set and revoked the last word holds, and nothing is shown behind a revocation.
fn set(grant: Grant, history: &[Entry], books: &Books, verdict: &mut Verdict) {
    let words: Vec<&Entry> = history
        .iter()
        .filter(|entry| match entry.action {
            Action::Set(of, _) | Action::Revoke(of) => of == grant && entry.outcome != Ended::Fail,
            _ => false,
        })
        .collect();
    let views = || {
        history.iter().filter(
            |entry| matches!(entry.action, Action::View { grant: of, offline: false, .. } if of == grant),
        )
    };
    for (at, revoked) in words.iter().enumerate() {
        if !matches!((&revoked.action, revoked.outcome), (Action::Revoke(_), Ended::Ok)) {
            continue;
        }
        let until = words.get(at + 1).map_or(u64::MAX, |next| next.invoked);
        let late = views().filter(|view| view.invoked > revoked.ended && view.ended < until);
        for view in late.filter(|view| matches!(view.action, Action::View { shown: true, .. })) {
            verdict.over_granted.push(format!("{view:?} after {revoked:?}"));
        }
    }
    let Some(last) = words.last().filter(|last| last.outcome == Ended::Ok) else { return };
    match last.action {
        Action::Revoke(_) if !books.revoked || books.left > 0 => {
            verdict.lost.push(format!("{last:?} is {books:?}"));
        }
        Action::Set(_, to) => {
            let since = views().filter(|view| view.ended > last.invoked && view.outcome != Ended::Fail);
            let most_used = u64::try_from(since.count()).unwrap();
            if books.left > u64::from(to) {
                verdict.over_granted.push(format!("{last:?} is {books:?}"));
            }
            if books.revoked || books.left + most_used < u64::from(to) {
                verdict.lost.push(format!("{last:?} is {books:?}, with {most_used} views since"));
            }
        }
        _ => {}
    }
}
