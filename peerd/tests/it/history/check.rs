//! The checker: a history and what everybody sees at its end, and what of it cannot be.
//!
//! Clients run at the same time, and what became of some operations is unknown. So nothing is compared with one model; every
//! sum and every thing has bounds: what was confirmed is there, what was refused is not, and what is unknown was done once or
//! not at all. The clients make that sharp: each peer has one client, which does one thing after the other, and all texts,
//! names and numbers are used once.

mod grants;
#[cfg(test)]
mod tests;

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
};

use super::record::{Action, Ended, Entry, Grant, Who};

/// How a grant stands, in the books of its owner or of its viewer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Books {
    pub(crate) left: u64,
    pub(crate) used: u64,
    pub(crate) returned: u64,
    pub(crate) revoked: bool,
}

/// How a request stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Decision {
    Pending,
    Approved,
    Denied,
    Cancelled,
}

/// What one peer sees.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Seen {
    pub(crate) online: bool,
    /// Its own images.
    pub(crate) images: Vec<String>,
    /// The same as another peer lists them.
    pub(crate) listed: Vec<String>,
    pub(crate) given: BTreeMap<Grant, Books>,
    pub(crate) received: BTreeMap<Grant, Books>,
    pub(crate) incoming: Vec<(u64, Decision)>,
    pub(crate) outgoing: Vec<(u64, Decision)>,
    /// Messages that it has received, by sender.
    pub(crate) messages: Vec<(Who, String)>,
    pub(crate) blocks: BTreeSet<Who>,
}

/// What cannot be.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Verdict {
    /// It was confirmed and is not there.
    pub(crate) lost: Vec<String>,
    /// It is there more often than it was asked for, or was refused and is there.
    pub(crate) doubled: Vec<String>,
    /// More was shown or can be seen than was granted or counted.
    pub(crate) over_granted: Vec<String>,
    /// It does not come to an end, or peers do not come to agree.
    pub(crate) stuck: Vec<String>,
}

impl Verdict {
    pub(crate) fn is_clean(&self) -> bool {
        *self == Self::default()
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { lost, doubled, over_granted, stuck } = self;
        let (lost_count, doubled_count) = (lost.len(), doubled.len());
        let (over_count, stuck_count) = (over_granted.len(), stuck.len());
        write!(
            f,
            "lost {lost_count}, doubled {doubled_count}, over-granted {over_count}, stuck {stuck_count}"
        )?;
        for (what, all) in
            [("lost", lost), ("doubled", doubled), ("over-granted", over_granted), ("stuck", stuck)]
        {
            for one in all {
                write!(f, "\n  {what}: {one}")?;
            }
        }
        Ok(())
    }
}

/// What of a history cannot be.
pub(crate) fn check(history: &[Entry], seen: &[Seen]) -> Verdict {
    let mut verdict = Verdict::default();
    for (who, one) in seen.iter().enumerate() {
        if !one.online {
            verdict.stuck.push(format!("peer {who} is not online"));
        }
        images(who, history, one, &mut verdict);
        blocks(who, history, one, &mut verdict);
        sessions(who, history, &mut verdict);
    }
    // A view and a checkout may end unknown; whatever else does was asked for again and again.
    let open = history.iter().filter(|entry| entry.outcome == Ended::Unknown);
    for entry in open.filter(|entry| !matches!(entry.action, Action::View { .. } | Action::Checkout(..))) {
        verdict.stuck.push(format!("{entry:?}"));
    }
    messages(history, seen, &mut verdict);
    requests(history, seen, &mut verdict);
    grants::check(history, seen, &mut verdict);
    verdict
}

fn of(who: Who, history: &[Entry]) -> impl Iterator<Item = &Entry> {
    history.iter().filter(move |entry| entry.client == who)
}

/// One owner's images that are not shared: its client does one thing after the other.
fn images(who: Who, history: &[Entry], seen: &Seen, verdict: &mut Verdict) {
    let (mut there, mut gone, mut open) = (BTreeSet::new(), BTreeSet::new(), BTreeSet::new());
    for entry in of(who, history) {
        let (old, new) = match &entry.action {
            Action::Publish(name) => (None, Some(name)),
            Action::Remove(name) => (Some(name), None),
            Action::Rename(name, new) => (Some(name), Some(new)),
            _ => continue,
        };
        match entry.outcome {
            Ended::Ok => {
                if let Some(name) = old {
                    there.remove(name);
                    gone.insert(name);
                }
                there.extend(new);
            }
            Ended::Fail => gone.extend(new),
            Ended::Unknown => open.extend(old.into_iter().chain(new)),
        }
    }
    for (where_seen, names) in [("own list", &seen.images), ("another's list", &seen.listed)] {
        for name in there.difference(&open) {
            match names.iter().filter(|found| found == name).count() {
                0 => verdict.lost.push(format!("{name} of peer {who} in its {where_seen}")),
                1 => {}
                more => verdict.doubled.push(format!("{name} of peer {who} is there {more} times")),
            }
        }
        for name in names.iter().filter(|name| gone.contains(name) && !open.contains(name)) {
            verdict.doubled.push(format!("{name} of peer {who} is still in its {where_seen}"));
        }
    }
}

fn blocks(who: Who, history: &[Entry], seen: &Seen, verdict: &mut Verdict) {
    let mut blocked: BTreeMap<Who, Option<bool>> = BTreeMap::new();
    for entry in of(who, history) {
        let (other, is_blocked) = match entry.action {
            Action::Block(other) => (other, true),
            Action::Unblock(other) => (other, false),
            _ => continue,
        };
        match entry.outcome {
            Ended::Ok => drop(blocked.insert(other, Some(is_blocked))),
            Ended::Unknown => drop(blocked.insert(other, None)),
            Ended::Fail => {}
        }
    }
    for (other, is_blocked) in blocked {
        match (is_blocked, seen.blocks.contains(&other)) {
            (Some(true), false) => verdict.lost.push(format!("the block of {other} by {who}")),
            (Some(false), true) => verdict.doubled.push(format!("the block of {other} by {who}, lifted")),
            _ => {}
        }
    }
}

/// A peer that was logged out stays so, whatever is killed, until it is logged in.
fn sessions(who: Who, history: &[Entry], verdict: &mut Verdict) {
    let mut is_out = false;
    for entry in of(who, history) {
        match (&entry.action, entry.outcome) {
            (Action::Logout, Ended::Ok) => is_out = true,
            (Action::Login, _) => is_out = false,
            (Action::Status(true), Ended::Ok) if is_out => {
                verdict.lost.push(format!("the logout of peer {who} before {}", entry.ended));
            }
            _ => {}
        }
    }
}

/// Until when a peer blocked another at least once since `moment`, or may have.
fn may_be_blocked_since(moment: u64, by: Who, other: Who, history: &[Entry]) -> bool {
    let mut lifted = None;
    for entry in of(by, history) {
        match (&entry.action, entry.outcome) {
            (Action::Block(who), Ended::Ok | Ended::Unknown) if *who == other => lifted = Some(u64::MAX),
            (Action::Unblock(who), Ended::Ok) if *who == other && lifted.is_some() => {
                lifted = Some(entry.ended);
            }
            _ => {}
        }
        if lifted.is_some_and(|lifted| lifted > moment) && entry.ended > moment {
            return true;
        }
    }
    lifted.is_some_and(|lifted| lifted > moment)
}

fn messages(history: &[Entry], seen: &[Seen], verdict: &mut Verdict) {
    for entry in history {
        let Action::Send { to, text } = &entry.action else { continue };
        let inbox = seen[*to].messages.iter();
        let count = inbox.filter(|(from, found)| (*from, found) == (entry.client, text)).count();
        // A block deletes what it finds undelivered.
        let may_be_purged = may_be_blocked_since(entry.invoked, *to, entry.client, history);
        match (entry.outcome, count) {
            (Ended::Ok, 0) if !may_be_purged => {
                verdict.lost.push(format!("{text:?} from {} to {to}", entry.client));
            }
            (Ended::Fail, 1..) | (_, 2..) => {
                verdict.doubled.push(format!("{text:?} from {} to {to}: {count} times", entry.client));
            }
            _ => {}
        }
    }
}

fn requests(history: &[Entry], seen: &[Seen], verdict: &mut Verdict) {
    let mut decided: BTreeMap<u64, Decision> = BTreeMap::new();
    let mut open = BTreeSet::new();
    for entry in history {
        let (number, decision) = match entry.action {
            Action::Approve(_, number, _) => (number, Decision::Approved),
            Action::Deny(number) => (number, Decision::Denied),
            Action::Cancel(number) => (number, Decision::Cancelled),
            _ => continue,
        };
        match entry.outcome {
            Ended::Ok => {
                if let Some(before) = decided.insert(number, decision) {
                    verdict.doubled.push(format!("request {number}: {before:?} and {decision:?}"));
                }
            }
            Ended::Unknown => drop(open.insert(number)),
            Ended::Fail => {}
        }
    }
    let confirmed = history.iter().filter(|entry| entry.outcome == Ended::Ok);
    let numbers: BTreeSet<(Grant, u64)> = confirmed
        .filter_map(|entry| match entry.action {
            Action::Request(grant, number) => Some((grant, number)),
            _ => None,
        })
        .collect();
    for (grant, number) in numbers {
        let find = |list: &[(u64, Decision)]| -> Vec<Decision> {
            list.iter().filter(|(found, _)| *found == number).map(|(_, decision)| *decision).collect()
        };
        let owner = find(&seen[grant.owner].incoming);
        let viewer = find(&seen[grant.viewer].outgoing);
        if owner.is_empty() || viewer.is_empty() {
            verdict.lost.push(format!("request {number} for {grant:?}: owner {owner:?}, viewer {viewer:?}"));
        } else if owner.len() > 1 || viewer.len() > 1 {
            verdict.doubled.push(format!("request {number}: owner {owner:?}, viewer {viewer:?}"));
        } else if owner != viewer {
            verdict.stuck.push(format!("request {number}: owner {owner:?}, viewer {viewer:?}"));
        } else if !open.contains(&number) && owner[0] != *decided.get(&number).unwrap_or(&Decision::Pending) {
            verdict.lost.push(format!("request {number}: {:?} is {owner:?}", decided.get(&number)));
        }
    }
}
