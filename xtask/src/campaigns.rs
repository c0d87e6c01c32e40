//! Campaigns on the real programs that take longer than a test: histories under kills, and power cuts. The suite has short ones of
//! their own kind (`peerd/tests/it/history`), or none.

use std::{fs, path::Path, process::Command};

use anyhow::{Context, Result, bail, ensure};
use dos_testing::has_program;

use crate::{cargo, say};

/// How much of a history there is to be.
#[derive(Debug, Clone, Copy, clap::Args)]
pub(crate) struct History {
    /// Operations of all clients together
    #[arg(long, value_name = "N", default_value_t = 4000)]
    operations: u32,
    /// The history is another one for another seed
    #[arg(long, value_name = "S", default_value_t = 1)]
    seed: u64,
    /// How often a daemon is killed, or all connections to the directory are cut
    #[arg(long, value_name = "N", default_value_t = 200)]
    kills: u32,
}

/// How many power cuts there are to be.
#[derive(Debug, Clone, Copy, clap::Args)]
pub(crate) struct PowerCuts {
    /// How often
    #[arg(long, value_name = "N", default_value_t = 100)]
    cuts: u32,
    /// The history is another one for another seed
    #[arg(long, value_name = "S", default_value_t = 1)]
    seed: u64,
    /// Where it is not possible, says so and succeeds
    #[arg(long)]
    if_possible: bool,
}

/// Kills daemons while clients work, and checks the history.
///
/// # Errors
/// If the programs do not build, or something was lost, doubled, over-granted or stuck.
pub(crate) fn history(history: History) -> Result<()> {
    let mut command = cargo::tests("peerd", "history::campaign::")?;
    command.env("DOS_HISTORY_OPERATIONS", history.operations.to_string());
    command.env("DOS_HISTORY_SEED", history.seed.to_string());
    command.env("DOS_HISTORY_KILLS", history.kills.to_string());
    ensure!(command.status().context("cannot run the tests")?.success(), "the history cannot be");
    Ok(())
}

/// Cuts the power of a disk that everything is on, and checks the history.
///
/// # Errors
/// As [`history`], and if this machine cannot do it.
pub(crate) fn power_cuts(cuts: PowerCuts) -> Result<()> {
    if let Some(missing) = missing() {
        let text = format!("power cuts are not possible here: {missing}");
        if cuts.if_possible {
            say(&format!("skipped: {text}"));
            return Ok(());
        }
        bail!(text);
    }
    let test = cargo::tests("peerd", "powercut::")?;
    // In a mount namespace of its own: whatever is left mounted is gone with the last process.
    let mut command = Command::new("unshare");
    command.args(["--mount", "--propagation", "private", "--"]).arg(test.get_program()).args(test.get_args());
    command.current_dir(test.get_current_dir().unwrap_or(Path::new(".")));
    command.env("DOS_POWER_CUTS", cuts.cuts.to_string()).env("DOS_HISTORY_SEED", cuts.seed.to_string());
    ensure!(command.status().context("cannot run unshare")?.success(), "not everything is there after a cut");
    Ok(())
}

/// Tries two peers behind every pair of routers, and prints which way leads from one to the other.
///
/// # Errors
/// If the programs do not build, or a way is not as it must be.
pub(crate) fn nat() -> Result<()> {
    let mut command = cargo::tests("peerd", "netns::nat::every_pair_of_routers")?;
    command.env("DOS_NAT_TABLE", "1");
    ensure!(command.status().context("cannot run the tests")?.success(), "a way is not as it must be");
    Ok(())
}

/// What this machine lacks for a disk of ours.
fn missing() -> Option<String> {
    let programs = ["unshare", "mount", "umount", "mkfs.ext4"];
    if let Some(program) = programs.into_iter().find(|program| !has_program(program)) {
        return Some(format!("there is no {program}"));
    }
    let devices = ["/dev/fuse", "/dev/loop-control"];
    if let Some(device) = devices.into_iter().find(|device| !Path::new(device).exists()) {
        return Some(format!("there is no {device}"));
    }
    // The effective capabilities of this process; bit 21 is CAP_SYS_ADMIN.
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let effective = status.lines().find_map(|line| line.strip_prefix("CapEff:"));
    let bits = effective.and_then(|hex| u64::from_str_radix(hex.trim(), 16).ok()).unwrap_or(0);
    (bits & (1 << 21) == 0).then(|| "mounting needs root".to_owned())
}
