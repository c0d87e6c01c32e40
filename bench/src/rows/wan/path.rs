//! A path between two network namespaces through the emulator, laid and removed by whoever holds it.

use std::{
    env, fmt, fs,
    path::{Path as File, PathBuf},
    process::{Child, Command, Stdio},
};

use anyhow::{Context as _, ensure};
use dos_testing::has_program;

use crate::peers::wait_until;

/// The addresses of the ends, which the emulator gives.
pub(super) const NEAR: &str = "10.77.0.1";
pub(super) const FAR: &str = "10.77.0.2";

/// Packets wait so long at the emulator before it drops them.
pub(super) const QUEUE_MS: u32 = 50;

/// How far and how good.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Path {
    /// One way.
    pub(super) delay_ms: u32,
    pub(super) rate_mbit: u32,
    pub(super) loss_percent: u32,
}

impl Path {
    pub(super) fn round_trip_s(self) -> f64 {
        f64::from(self.delay_ms) * 2.0 / 1e3
    }
}

impl fmt::Display for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { delay_ms, rate_mbit, loss_percent } = self;
        write!(f, "{delay_ms} ms, {rate_mbit} Mbit/s, {loss_percent} %")
    }
}

/// The emulator, built, with the namespaces at its ends.
pub(super) struct Emulator {
    program: PathBuf,
    namespaces: [String; 2],
}

/// A path as long as it is held.
pub(super) struct Line(Child);

impl Drop for Line {
    fn drop(&mut self) {
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

fn run(program: &str, args: &[&str]) -> anyhow::Result<()> {
    let output = Command::new(program).args(args).stdin(Stdio::null()).output();
    let output = output.with_context(|| format!("cannot run {program}"))?;
    let told = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{program} {}: {}", args.join(" "), told.trim());
    Ok(())
}

impl Emulator {
    /// Builds it below `dir` and makes the namespaces.
    ///
    /// # Errors
    /// If that is not possible on this machine.
    pub(super) fn build(dir: &File) -> anyhow::Result<Self> {
        let beside = File::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/tools/wan.c");
        let source = env::var_os("DOS_WAN").map_or(beside, PathBuf::from);
        ensure!(source.is_file(), "there is no emulator {}", source.display());
        for program in ["cc", "ip"] {
            ensure!(has_program(program), "there is no {program}");
        }
        let program = dir.join("wan");
        let paths = [program.display().to_string(), source.display().to_string()];
        run("cc", &["-O2", "-pthread", "-o", &paths[0], &paths[1]])?;
        let name = |end| format!("dos-wan-{}{end}", std::process::id());
        let emulator = Self { program, namespaces: [name("a"), name("b")] };
        for namespace in &emulator.namespaces {
            run("ip", &["netns", "add", namespace])?;
            run("ip", &["-n", namespace, "link", "set", "lo", "up"])?;
        }
        Ok(emulator)
    }

    /// Where the directory and the owners are.
    pub(super) fn near(&self) -> &str {
        &self.namespaces[0]
    }

    /// Where the viewers are.
    pub(super) fn far(&self) -> &str {
        &self.namespaces[1]
    }

    pub(super) fn lay(&self, path: Path) -> anyhow::Result<Line> {
        let [near, far] = &self.namespaces;
        let Path { delay_ms, rate_mbit, loss_percent } = path;
        let child = Command::new(&self.program)
            .args([near, far])
            .args([delay_ms, rate_mbit, loss_percent].map(|number| number.to_string()))
            .arg(QUEUE_MS.to_string())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .spawn()?;
        let mut line = Line(child);
        wait_until("the path is there", || {
            ensure!(line.0.try_wait()?.is_none(), "the emulator has ended");
            let is_there = |namespace| run("ip", &["-n", namespace, "route", "get", NEAR]).is_ok();
            Ok(is_there(near) && is_there(far))
        })?;
        Ok(line)
    }
}

impl Drop for Emulator {
    fn drop(&mut self) {
        for namespace in &self.namespaces {
            // One that was not made cannot be removed.
            drop(run("ip", &["netns", "del", namespace]));
        }
        drop(fs::remove_file(&self.program));
    }
}
