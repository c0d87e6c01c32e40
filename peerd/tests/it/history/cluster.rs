//! A campaign on a directory of several nodes: groups of peers at all nodes work while nodes, the primary of the database and members of
//! etcd are killed, stopped and cut off. Every history must hold, and the store must be sound.
//!
//! With one PostgreSQL and two nodes, and of moderate size, unless `DOS_CLUSTER_PATRONI` names Patroni's programs, and
//! `DOS_CLUSTER_FAULTS`, `DOS_CLUSTER_OPERATIONS`, `DOS_CLUSTER_PEERS` and `DOS_CLUSTER_SEED` say otherwise: `cargo xtask cluster history`.

use std::{
    collections::BTreeMap,
    io::Write as _,
    sync::atomic::Ordering,
    thread,
    time::{Duration, Instant},
};

use dos_testing::{
    Backoff,
    cluster::{Cluster, Fault, Part, Way},
    skipped,
};

use super::{
    Dice,
    check::Verdict,
    client::Shared,
    group::{Group, NAMES, PEERS, figures},
    setting,
};
use crate::stage::{Stage, program};

/// Faults after which everything is checked.
const FAULTS_PER_ROUND: usize = 10;

/// How long a node or a member of etcd is away, at most; at least a third of that.
const AWAY_TIME_MAX: Duration = Duration::from_secs(12);

/// Another primary is there within this time.
const TAKEOVER_TIME_MAX: Duration = Duration::from_secs(60);

/// More operations than there is time for.
const NO_END: usize = usize::MAX >> 2;

/// Past the capture of the test harness.
fn say(text: &str) {
    std::io::stdout().write_all(format!("{text}\n").as_bytes()).unwrap();
}

/// Lets time go by that nothing announces the end of.
fn for_a_while(time: Duration) {
    let mut backoff = Backoff::within(time);
    while backoff.pause() {}
}

struct World {
    groups: Vec<Group>,
    cluster: Cluster,
    stage: Stage,
    dice: Dice,
    /// Kinds of faults that are still to come before one of them comes again.
    coming: Vec<(Part, Way)>,
    /// How often each fault was there.
    faults: BTreeMap<(Part, Way), usize>,
}

/// Clients that end when what disturbs them has failed, and the campaign with it.
struct Stopping<'a>(Vec<&'a Shared>);

impl Drop for Stopping<'_> {
    fn drop(&mut self) {
        if thread::panicking() {
            self.0.iter().for_each(|shared| shared.budget.store(0, Ordering::SeqCst));
        }
    }
}

impl World {
    fn new(cluster: Cluster, groups: usize, seed: u64) -> Self {
        let stage = Stage::without_directory();
        let (dice, coming, faults) = (Dice(seed), Vec::new(), BTreeMap::new());
        let mut world = Self { groups: Vec::new(), cluster, stage, dice, coming, faults };
        for number in 0..u64::try_from(groups).unwrap() {
            let names: Vec<&str> = NAMES.iter().map(|name| &*format!("{name}{number}").leak()).collect();
            let link = world.cluster.link().unwrap();
            let peers =
                names.iter().enumerate().map(|(at, name)| world.stage.peer_at(name, &turned(&link, at)));
            let peers = peers.collect();
            // They live as long as the campaign.
            world.groups.push(Group::new(names.leak(), peers, seed.wrapping_mul(1_000).wrapping_add(number)));
        }
        world
    }

    /// Lets all clients work while so many faults come and go, and until they have done so much.
    fn work(&mut self, faults: usize, operations: usize) {
        let Self { groups, cluster, dice, coming, faults: counted, .. } = self;
        let budgets = groups.len();
        thread::scope(|scope| {
            let mut handles = Stopping(Vec::new());
            for group in groups.iter_mut() {
                let Group { shared, clients, .. } = group;
                shared.budget.store(u64::try_from(NO_END).unwrap(), Ordering::SeqCst);
                let shared = &*shared;
                handles.0.push(shared);
                for client in clients {
                    scope.spawn(|| client.run(shared));
                }
            }
            for _ in 0..faults {
                if coming.is_empty() {
                    *coming = cluster.possible_faults();
                }
                let kind = coming.swap_remove(dice.below(coming.len()));
                let fault = one_fault(cluster, kind, dice);
                *counted.entry((fault.part, fault.way)).or_default() += 1;
            }
            for shared in &handles.0 {
                let left = operations.saturating_sub(shared.record.len() * budgets) / budgets;
                shared.budget.store(u64::try_from(left).unwrap(), Ordering::SeqCst);
            }
        });
    }

    /// What of all histories cannot be.
    fn verdict(&self) -> Verdict {
        let mut all = Verdict::default();
        for (number, group) in self.groups.iter().enumerate() {
            let Verdict { lost, doubled, over_granted, stuck } = group.verdict();
            let of_group =
                |found: Vec<String>| found.into_iter().map(move |one| format!("group {number}: {one}"));
            all.lost.extend(of_group(lost));
            all.doubled.extend(of_group(doubled));
            all.over_granted.extend(of_group(over_granted));
            all.stuck.extend(of_group(stuck));
        }
        all
    }

    /// Gives back what is held, checks once more, and checks the store.
    fn conclude(&mut self, verdict: Verdict) -> Verdict {
        if !verdict.is_clean() {
            // First: the rest may fill the disk.
            say(&format!("  {verdict}"));
            let Some((first, others)) = self.groups.split_first() else { return verdict };
            let folder = first.leave(&[self.stage.dir.path(), self.cluster.home()]);
            for (group, number) in others.iter().zip(1..) {
                group.tell(&folder.join(format!("history{number}.txt")));
            }
            say(&format!("everything is left in {}", folder.display()));
            return verdict;
        }
        for group in &mut self.groups {
            group.check_in_all();
        }
        let verdict = self.verdict();
        let checked = self.cluster.operate(0, &["check"]).unwrap();
        let (out, err) = (String::from_utf8_lossy(&checked.stdout), String::from_utf8_lossy(&checked.stderr));
        assert!(checked.status.success(), "{out}{err}");
        say(&format!("  the store: {}", out.trim()));
        verdict
    }
}

/// A link whose addresses begin with another one, so that peers spread over the nodes.
fn turned(link: &str, by: usize) -> String {
    let (key, rest) = link.split_once('@').unwrap();
    let (addresses, query) = rest
        .split_once('?')
        .map_or((rest, String::new()), |(addresses, query)| (addresses, format!("?{query}")));
    let mut addresses: Vec<_> = addresses.split(',').collect();
    let by = by % addresses.len();
    addresses.rotate_left(by);
    format!("{key}@{}{query}", addresses.join(","))
}

/// Something is hit at a random moment, stays so for a while, and comes back; then the cluster becomes whole.
fn one_fault(cluster: &mut Cluster, (part, way): (Part, Way), dice: &mut Dice) -> Fault {
    let number = dice.below(cluster.nodes());
    let moment = u64::try_from(dice.below(2_000)).unwrap();
    for_a_while(Duration::from_millis(moment));
    let begun = Instant::now();
    let fault = cluster.strike(part, way, number).unwrap();
    let mut told = format!("  {fault}");
    if part == Part::Primary && cluster.nodes() > 2 {
        let taken = cluster.another_primary(fault, &mut Backoff::within(TAKEOVER_TIME_MAX));
        assert!(taken, "{fault}: no other one has taken over");
        told += &format!(", another one after {:.0?}", begun.elapsed());
    }
    let most = usize::try_from(AWAY_TIME_MAX.as_millis()).unwrap();
    let away = most / 3 + dice.below(most * 2 / 3);
    for_a_while(Duration::from_millis(u64::try_from(away).unwrap()));
    let mended = Instant::now();
    cluster.mend(fault).unwrap();
    if let Err(error) = cluster.whole() {
        panic!("{fault}: {error}");
    }
    say(&format!("{told}, back after {:.0?}, whole {:.0?} later", mended - begun, mended.elapsed()));
    fault
}

/// Nothing where there is no database server.
fn cluster() -> Option<Cluster> {
    let (dosd, parent) = (program("dosd"), std::env::temp_dir());
    match std::env::var_os("DOS_CLUSTER_PATRONI") {
        Some(patroni) => Some(Cluster::under_patroni(&dosd, patroni.into(), &parent, &|| false).unwrap()),
        None => {
            Cluster::small(&dosd, &parent, "whatever_befalls_a_cluster_nothing_is_lost_or_doubled").unwrap()
        }
    }
}

/// A campaign, and no test of every run: `cargo xtask cluster history` asks for it.
#[test]
fn whatever_befalls_a_cluster_nothing_is_lost_or_doubled() {
    if std::env::var_os("DOS_CLUSTER_OPERATIONS").is_none() {
        return skipped(
            "whatever_befalls_a_cluster_nothing_is_lost_or_doubled",
            "cargo xtask cluster history runs it",
        );
    }
    let (operations, faults) = (setting("DOS_CLUSTER_OPERATIONS", 200), setting("DOS_CLUSTER_FAULTS", 4));
    let groups = setting("DOS_CLUSTER_PEERS", PEERS).div_ceil(PEERS);
    let seed = u64::try_from(setting("DOS_CLUSTER_SEED", 1)).unwrap();
    let Some(cluster) = cluster() else { return };
    let begun = Instant::now();
    let mut world = World::new(cluster, groups, seed);
    let rounds = faults.div_ceil(FAULTS_PER_ROUND).max(1);
    let mut verdict = Verdict::default();
    for round in 1..=rounds {
        world.work(faults.div_ceil(rounds), operations * round / rounds);
        verdict = world.verdict();
        if !verdict.is_clean() {
            break;
        }
    }
    let verdict = world.conclude(verdict);
    let done: usize = world.groups.iter().map(|group| group.shared.record.len()).sum();
    let faults: Vec<_> =
        world.faults.iter().map(|((part, way), count)| format!("{count} {part:?} {way:?}")).collect();
    say(&format!(
        "\nhistory on a cluster: seed {seed}, {done} operations of {} peers in {:.0?}\n{}  faults: {}\n  {verdict}",
        groups * PEERS,
        begun.elapsed(),
        figures(&world.groups),
        faults.join(", "),
    ));
    assert!(verdict.is_clean(), "{verdict}");
}
