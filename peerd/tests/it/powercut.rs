//! Power cuts: everything is on a disk that loses what was not flushed, at a random moment under load; everybody is started from
//! what is left of it, and whatever was confirmed before is there.
//!
//! It mounts file systems, so it does not run with the other tests: `cargo xtask powercut` runs it, as root, in a mount namespace
//! of its own. The figures go to standard output.

use std::{
    fs::{self, File},
    io::Write as _,
    os::unix::fs::FileExt as _,
    path::{Path, PathBuf},
    sync::atomic::{AtomicBool, AtomicU64, Ordering},
    thread,
    time::{Duration, Instant},
};

use dos_testing::{Backoff, PATIENCE, skipped, wait_until};

use crate::{
    disk::Disk,
    history::{Dice, campaign::World, group::figures},
    stage::{Peer, Stage, temporary},
};

/// How many cuts; set by xtask alone.
const CUTS: &str = "DOS_POWER_CUTS";

const WHY: &str = "cargo xtask powercut runs it";

/// Operations between two cuts.
const OPERATIONS: usize = 30;

/// A cut comes this long after its operation was begun, at most.
const DELAY_MICROS_MAX: usize = 60_000;

fn one_cut(world: &mut World, disk: &mut Disk) {
    let at = u64::try_from(world.dice.below(OPERATIONS)).unwrap();
    world.work(OPERATIONS, |stage, peers, cutter, shared, dice| {
        let mut waiting = Backoff::within(PATIENCE);
        while shared.budget.load(Ordering::SeqCst) > at && waiting.pause() {}
        let delay = u64::try_from(dice.below(DELAY_MICROS_MAX)).unwrap();
        let mut moment = Backoff::within(Duration::from_micros(delay));
        while moment.pause() {}
        let medium = shared.record.cut(|| disk.cut(dice));
        // From here on nothing that they do is in this world.
        peers.iter_mut().for_each(Peer::kill);
        stage.kill_dosd();
        cutter.cut();
        disk.power_on(medium);
        stage.start_dosd();
        peers.iter_mut().for_each(Peer::start);
        shared.record.resume();
    });
}

/// Programs that sync at the same time.
const WRITERS: usize = 4;

/// A program: it writes numbers into a file that grows and into one that is written again and again, syncs both, and tells the last
/// number that is safe.
fn write_numbers(files: &[PathBuf; 2], synced: &AtomicU64, stop: &AtomicBool) {
    let open = |path: &PathBuf| File::options().create(true).write(true).truncate(false).open(path).unwrap();
    let [long, short] = [open(&files[0]), open(&files[1])];
    for number in 1..=u64::from(u32::MAX) {
        long.write_all_at(&number.to_le_bytes(), (number - 1) * 8).unwrap();
        short.write_all_at(&number.to_le_bytes(), 0).unwrap();
        long.sync_all().unwrap();
        short.sync_all().unwrap();
        synced.store(number, Ordering::SeqCst);
        if stop.load(Ordering::SeqCst) {
            return;
        }
    }
}

fn numbers(path: &Path) -> Vec<u64> {
    let bytes = fs::read(path).unwrap_or_default();
    bytes.chunks_exact(8).map(|chunk| u64::from_le_bytes(chunk.try_into().unwrap())).collect()
}

/// The disk itself: what a program has synced survives.
#[test]
fn what_was_synced_before_a_power_cut_is_on_the_disk_after_it() {
    let Some(cuts) = cuts() else {
        return skipped("what_was_synced_before_a_power_cut_is_on_the_disk_after_it", WHY);
    };
    let folder = temporary();
    let (mut disk, mut dice) = (Disk::new(folder.path()), Dice(5));
    for cut in 0..cuts {
        let stop = AtomicBool::new(false);
        let synced: [AtomicU64; WRITERS] = Default::default();
        let files: [[PathBuf; 2]; WRITERS] = std::array::from_fn(|writer| {
            ["long", "short"].map(|name| disk.data().join(format!("{name}{cut}-{writer}")))
        });
        files.iter().flatten().for_each(|file| drop(File::create(file).unwrap()));
        disk.sync();
        let (medium, confirmed) = thread::scope(|scope| {
            for (files, synced) in files.iter().zip(&synced) {
                scope.spawn(|| write_numbers(files, synced, &stop));
            }
            let wanted = 5 + u64::try_from(dice.below(100)).unwrap();
            wait_until("enough is written", || synced[0].load(Ordering::SeqCst) >= wanted);
            let confirmed = synced.each_ref().map(|synced| synced.load(Ordering::SeqCst));
            let medium = disk.cut(&mut dice);
            stop.store(true, Ordering::SeqCst);
            (medium, confirmed)
        });
        disk.power_on(medium);
        for ([long, short], confirmed) in files.iter().zip(confirmed) {
            let (long, short) = (numbers(long), numbers(short));
            assert!(short.iter().all(|last| *last >= confirmed), "cut {cut}: {short:?}, not {confirmed}");
            let expected: Vec<u64> = (1..=confirmed).collect();
            assert!(long.starts_with(&expected), "cut {cut}: {} of {confirmed}", long.len());
        }
    }
}

/// How many cuts there are to be, if this was started by xtask.
fn cuts() -> Option<usize> {
    std::env::var(CUTS).ok().and_then(|text| text.parse().ok())
}

#[test]
fn what_was_confirmed_before_a_power_cut_is_there_after_it() {
    let name = "what_was_confirmed_before_a_power_cut_is_there_after_it";
    let Some(cuts) = cuts() else { return skipped(name, WHY) };
    let seed = u64::try_from(crate::history::setting("DOS_HISTORY_SEED", 1)).unwrap();
    let begun = Instant::now();
    let folder = temporary();
    let mut disk = Disk::new(folder.path());
    let mut world = World::on(Stage::on(disk.data()), seed);
    disk.sync();
    let (mut done, mut flushes, mut verdict) = (0, 0, world.group.verdict());
    while done < cuts && verdict.is_clean() {
        flushes += disk.flushes();
        one_cut(&mut world, &mut disk);
        done += 1;
        verdict = world.group.verdict();
    }
    let verdict = world.conclude(verdict);
    let text = format!(
        "\npower cuts: seed {seed}, {done} cuts, {} operations in {:.0?}, {flushes} flushes\n{}  {verdict}\n",
        world.group.shared.record.len(),
        begun.elapsed(),
        figures([&world.group]),
    );
    std::io::stdout().write_all(text.as_bytes()).unwrap();
    // Everybody ends before the disk is taken away.
    drop(world);
    assert!(verdict.is_clean(), "{verdict}");
}
