//! A campaign: clients, and somebody who kills the daemons and cuts their connections while they work; then the checker.
//!
//! A few kills in the suite; `cargo xtask history` does hundreds. The figures go to standard output.

use std::{
    collections::BTreeMap,
    fmt::Write as _,
    fs,
    path::PathBuf,
    process::Command,
    sync::atomic::Ordering,
    thread,
    time::{Duration, Instant},
};

use dos_testing::{Backoff, PATIENCE};

use super::{
    Dice, books,
    check::{Seen, Verdict, check},
    client::{Client, Shared},
    record::{Ended, Grant, Image},
};
use crate::{
    cutter::Cutter,
    stage::{Peer, Stage, temporary},
};

pub(crate) const NAMES: [&str; 5] = ["alice", "bob", "carol", "dave", "erin"];

/// Kills after which everything is checked.
const KILLS_PER_ROUND: usize = 10;

/// A kill comes this long after its operation was begun, at most.
const KILL_DELAY_MAX: Duration = Duration::from_millis(40);

/// A directory, its peers and their clients.
pub(crate) struct World {
    pub(crate) stage: Stage,
    pub(crate) peers: Vec<Peer>,
    pub(crate) cutter: Cutter,
    pub(crate) shared: Shared,
    pub(crate) clients: Vec<Client>,
    pub(crate) dice: Dice,
}

impl World {
    /// Everybody is there, knows everybody, and has published.
    pub(crate) fn on(stage: Stage, seed: u64) -> Self {
        let cutter = Cutter::new();
        let (direct, cut) = (format!("127.0.0.1:{}", stage.port()), cutter.address());
        cutter.lead_to(&direct);
        let through = || stage.link().replace(&direct[9..], &cut[9..]);
        let peers: Vec<Peer> = NAMES.iter().map(|name| stage.peer_at(name, &through())).collect();
        let client = |(who, peer): (usize, &Peer)| Client::new(who, &NAMES, peer.socket(), seed);
        let clients = peers.iter().enumerate().map(client).collect();
        let shared = Shared::default();
        let mut world = Self { stage, peers, cutter, shared, clients, dice: Dice(seed) };
        for client in &mut world.clients {
            client.publish_shared(&world.shared);
            client.greet(&world.shared);
        }
        world
    }

    /// Lets the clients do so much, while `disturb` runs.
    pub(crate) fn work(
        &mut self,
        operations: usize,
        disturb: impl FnOnce(&mut Stage, &mut [Peer], &Cutter, &Shared, &mut Dice),
    ) {
        let Self { stage, peers, cutter, shared, clients, dice } = self;
        shared.budget.store(u64::try_from(operations).unwrap(), Ordering::SeqCst);
        thread::scope(|scope| {
            for client in clients {
                scope.spawn(|| client.run(shared));
            }
            disturb(stage, peers, cutter, shared, dice);
        });
    }

    /// Leaves the whole history, what is seen at its end, and all data for whoever looks into a verdict. Returns the folder.
    pub(crate) fn leave(&self) -> PathBuf {
        let folder = temporary().keep();
        let mut text = String::new();
        for entry in self.shared.record.entries() {
            writeln!(text, "{entry:?}").unwrap();
        }
        for (who, seen) in self.seen().into_iter().flatten().enumerate() {
            writeln!(text, "{who}: {seen:#?}").unwrap();
        }
        fs::write(folder.join("history.txt"), text).unwrap();
        let mut copy = Command::new("cp");
        copy.arg("-r").arg(self.stage.dir.path()).arg(folder.join("data")).status().unwrap();
        folder
    }

    /// Ends well, or leaves what is needed to find out why not.
    pub(crate) fn conclude(&mut self, verdict: Verdict) -> Verdict {
        if !verdict.is_clean() {
            let left = format!("everything is left in {}\n", self.leave().display());
            std::io::Write::write_all(&mut std::io::stdout(), left.as_bytes()).unwrap();
            return verdict;
        }
        self.check_in_all();
        let verdict = self.verdict();
        self.stage.is_sound();
        verdict
    }

    /// What all of them see; nothing while one does not answer.
    fn seen(&self) -> Option<Vec<Seen>> {
        // Neither of the two blocks it.
        let observer = |who: usize| &self.peers[usize::from(who == 0)];
        let one = |(who, peer): (usize, &Peer)| books::seen(peer, observer(who), &NAMES);
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
    fn check_in_all(&mut self) {
        for viewer in 0..NAMES.len() {
            for owner in (0..NAMES.len()).filter(|owner| *owner != viewer) {
                let grant = Grant { owner, viewer, image: Image::Sea };
                self.clients[viewer].check_in(&self.shared, grant);
            }
        }
    }

    /// Operations by kind, and by what came of them.
    pub(crate) fn figures(&self) -> String {
        let mut kinds: BTreeMap<&str, [usize; 3]> = BTreeMap::new();
        for entry in self.shared.record.entries() {
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
}

/// Kills and cuts at random while the clients work.
#[derive(Debug, Default)]
struct Disturbed {
    directory: usize,
    peers: usize,
    cuts: usize,
}

impl Disturbed {
    fn disturb(
        &mut self,
        kills: usize,
        operations: usize,
        (stage, peers, cutter): (&mut Stage, &mut [Peer], &Cutter),
        (shared, dice): (&Shared, &mut Dice),
    ) {
        for kill in 0..kills {
            // Spread over the operations, each at some moment of one.
            let left = u64::try_from(operations * (kills - kill - 1) / kills).unwrap();
            let mut waiting = Backoff::within(PATIENCE);
            while shared.budget.load(Ordering::SeqCst) > left && waiting.pause() {}
            let micros = dice.below(usize::try_from(KILL_DELAY_MAX.as_micros()).unwrap());
            let mut moment = Backoff::within(Duration::from_micros(u64::try_from(micros).unwrap()));
            while moment.pause() {}
            match dice.below(6) {
                0 | 1 => {
                    stage.kill_dosd();
                    stage.start_dosd();
                    self.directory += 1;
                }
                2 => {
                    cutter.cut();
                    self.cuts += 1;
                }
                _ => {
                    let who = dice.below(peers.len());
                    peers[who].restart();
                    self.peers += 1;
                }
            }
        }
    }
}

/// Runs a campaign and gives its figures.
pub(crate) fn run(operations: usize, kills: usize, seed: u64) -> (Verdict, String) {
    let begun = Instant::now();
    let mut world = World::on(Stage::new(), seed);
    let mut disturbed = Disturbed::default();
    let rounds = kills.div_ceil(KILLS_PER_ROUND).max(1);
    let mut verdict = Verdict::default();
    for _ in 0..rounds {
        let (operations, kills) = (operations / rounds, kills.div_ceil(rounds));
        world.work(operations, |stage, peers, cutter, shared, dice| {
            disturbed.disturb(kills, operations, (stage, peers, cutter), (shared, dice));
        });
        verdict = world.verdict();
        if !verdict.is_clean() {
            break;
        }
    }
    let verdict = world.conclude(verdict);
    let Disturbed { directory, peers, cuts } = disturbed;
    let text = format!(
        "\nhistory: seed {seed}, {} operations of {} peers in {:.0?}\n{}  kills: {directory} of dosd, {peers} of peerd; \
         {cuts} times all connections to the directory cut\n  {verdict}\n",
        world.shared.record.len(),
        NAMES.len(),
        begun.elapsed(),
        world.figures(),
    );
    (verdict, text)
}

#[test]
fn whatever_is_killed_nothing_is_lost_doubled_over_granted_or_stuck() {
    let setting = super::setting;
    let (operations, kills) = (setting("DOS_HISTORY_OPERATIONS", 300), setting("DOS_HISTORY_KILLS", 10));
    let (verdict, text) = run(operations, kills, u64::try_from(setting("DOS_HISTORY_SEED", 1)).unwrap());
    // Past the capture of the test harness.
    std::io::Write::write_all(&mut std::io::stdout(), text.as_bytes()).unwrap();
    assert!(verdict.is_clean(), "{verdict}");
}
