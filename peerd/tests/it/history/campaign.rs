//! A campaign: clients, and somebody who kills the daemons and cuts their connections while they work; then the checker.
//!
//! A few kills in the suite; `cargo xtask history` does hundreds. The figures go to standard output.

use std::{
    sync::atomic::Ordering,
    time::{Duration, Instant},
};

use dos_testing::{Backoff, PATIENCE};

use super::{
    Dice,
    check::Verdict,
    client::Shared,
    group::{Group, NAMES, figures},
};
use crate::{
    cutter::Cutter,
    stage::{Peer, Stage},
};

/// Kills after which everything is checked.
const KILLS_PER_ROUND: usize = 10;

/// A kill comes this long after its operation was begun, at most.
const KILL_DELAY_MAX: Duration = Duration::from_millis(40);

/// A directory, its peers and their clients.
pub(crate) struct World {
    pub(crate) stage: Stage,
    pub(crate) cutter: Cutter,
    pub(crate) group: Group,
    pub(crate) dice: Dice,
}

impl World {
    /// Everybody is there, knows everybody, and has published.
    pub(crate) fn on(stage: Stage, seed: u64) -> Self {
        let cutter = Cutter::new();
        let (direct, cut) = (format!("127.0.0.1:{}", stage.port()), cutter.address());
        cutter.lead_to(&direct);
        let through = || stage.link().replace(&direct[9..], &cut[9..]);
        let peers = NAMES.iter().map(|name| stage.peer_at(name, &through())).collect();
        Self { group: Group::new(&NAMES, peers, seed), stage, cutter, dice: Dice(seed) }
    }

    /// Lets the clients do so much, while `disturb` runs.
    pub(crate) fn work(
        &mut self,
        operations: usize,
        disturb: impl FnOnce(&mut Stage, &mut [Peer], &Cutter, &Shared, &mut Dice),
    ) {
        let Self { stage, cutter, group, dice } = self;
        group.work(operations, |peers, shared| disturb(stage, peers, cutter, shared, dice));
    }

    /// Ends well, or leaves what is needed to find out why not.
    pub(crate) fn conclude(&mut self, verdict: Verdict) -> Verdict {
        if !verdict.is_clean() {
            let folder = self.group.leave(&[self.stage.dir.path()]);
            let left = format!("everything is left in {}\n", folder.display());
            std::io::Write::write_all(&mut std::io::stdout(), left.as_bytes()).unwrap();
            return verdict;
        }
        self.group.check_in_all();
        let verdict = self.group.verdict();
        self.stage.is_sound();
        verdict
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
        verdict = world.group.verdict();
        if !verdict.is_clean() {
            break;
        }
    }
    let verdict = world.conclude(verdict);
    let Disturbed { directory, peers, cuts } = disturbed;
    let text = format!(
        "\nhistory: seed {seed}, {} operations of {} peers in {:.0?}\n{}  kills: {directory} of dosd, {peers} of peerd; \
         {cuts} times all connections to the directory cut\n  {verdict}\n",
        world.group.shared.record.len(),
        NAMES.len(),
        begun.elapsed(),
        figures([&world.group]),
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
