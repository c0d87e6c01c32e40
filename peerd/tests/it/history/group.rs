//! Five peers who know each other, their clients, and what they have done.

use std::{
    collections::BTreeMap,
    fmt::Write as _,
    fs,
    path::{Path, PathBuf},
    process::Command,
    sync::atomic::Ordering,
    thread,
};

use dos_testing::{Backoff, PATIENCE};

use super::{
    books,
    check::{Seen, Verdict, check},
    client::{Client, Shared},
    record::{Ended, Grant, Image},
};
use crate::stage::{Peer, temporary};

/// Peers in a group.
pub(crate) const PEERS: usize = 5;

/// Their names.
pub(crate) const NAMES: [&str; PEERS] = ["alice", "bob", "carol", "dave", "erin"];

/// See the module.
pub(crate) struct Group {
    pub(crate) names: &'static [&'static str],
    pub(crate) peers: Vec<Peer>,
    pub(crate) shared: Shared,
    pub(crate) clients: Vec<Client>,
}

impl Group {
    /// Everybody is there, knows everybody, and has published.
    pub(crate) fn new(names: &'static [&'static str], peers: Vec<Peer>, seed: u64) -> Self {
        let client = |(who, peer): (usize, &Peer)| Client::new(who, names, peer.socket(), seed);
        let clients = peers.iter().enumerate().map(client).collect();
        let mut group = Self { names, peers, shared: Shared::default(), clients };
        for client in &mut group.clients {
            client.publish_shared(&group.shared);
            client.greet(&group.shared);
        }
        group
    }

    /// Lets the clients do so much, while `disturb` runs.
    pub(crate) fn work(&mut self, operations: usize, disturb: impl FnOnce(&mut [Peer], &Shared)) {
        let Self { peers, shared, clients, .. } = self;
        shared.budget.store(u64::try_from(operations).unwrap(), Ordering::SeqCst);
        thread::scope(|scope| {
            for client in clients {
                scope.spawn(|| client.run(shared));
            }
            disturb(peers, shared);
        });
    }

    /// What all of them see; nothing while one does not answer.
    fn seen(&self) -> Option<Vec<Seen>> {
        // Neither of the two blocks it.
        let observer = |who: usize| &self.peers[usize::from(who == 0)];
        let one = |(who, peer): (usize, &Peer)| books::seen(peer, observer(who), self.names);
        self.peers.iter().enumerate().map(one).collect()
    }

    /// What of the history cannot be, once everything has come to rest.
    pub(crate) fn verdict(&self) -> Verdict {
        let history = self.shared.record.entries();
        let mut backoff = Backoff::within(PATIENCE);
        loop {
            let verdict = match self.seen() {
                Some(seen) => check(&history, &seen),
                None => Verdict { stuck: vec!["a peer does not answer".into()], ..Verdict::default() },
            };
            if verdict.is_clean() || !backoff.pause() {
                return verdict;
            }
        }
    }

    /// Gives back everything that is held.
    pub(crate) fn check_in_all(&mut self) {
        for viewer in 0..PEERS {
            for owner in (0..PEERS).filter(|owner| *owner != viewer) {
                let grant = Grant { owner, viewer, image: Image::Sea };
                self.clients[viewer].check_in(&self.shared, grant);
            }
        }
    }

    /// Leaves the whole history, what is seen at its end, and what is in `data` for whoever looks into a verdict. Returns the folder.
    pub(crate) fn leave(&self, data: &[&Path]) -> PathBuf {
        let folder = temporary().keep();
        self.tell(&folder.join("history.txt"));
        for data in data {
            Command::new("cp").arg("-r").arg(data).arg(&folder).status().unwrap();
        }
        folder
    }

    /// Writes the whole history, and what is seen at its end.
    pub(crate) fn tell(&self, file: &Path) {
        let mut text = String::new();
        for entry in self.shared.record.entries() {
            writeln!(text, "{entry:?}").unwrap();
        }
        for (who, seen) in self.seen().into_iter().flatten().enumerate() {
            writeln!(text, "{who}: {seen:#?}").unwrap();
        }
        fs::write(file, text).unwrap();
    }
}

/// Operations of these groups by kind, and by what came of them.
pub(crate) fn figures<'a>(groups: impl IntoIterator<Item = &'a Group>) -> String {
    let mut kinds: BTreeMap<&str, [usize; 3]> = BTreeMap::new();
    for entry in groups.into_iter().flat_map(|group| group.shared.record.entries()) {
        let counts = kinds.entry(entry.action.kind()).or_default();
        counts[match entry.outcome {
            Ended::Ok => 0,
            Ended::Fail => 1,
            Ended::Unknown => 2,
        }] += 1;
    }
    let mut text = String::new();
    for (kind, [ok, fail, unknown]) in kinds {
        writeln!(text, "  {kind:<10} {ok:>6} ok {fail:>6} refused {unknown:>5} unknown").unwrap();
    }
    text
}
