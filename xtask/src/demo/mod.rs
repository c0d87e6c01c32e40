//! The demo: builds the programs, plays the user's story with them in a temporary directory, and checks every step.
//!
//! What always holds: whatever happens in between (a check that fails, a panic, Ctrl-C), the daemons are stopped and the
//! temporary directory is removed, unless it is asked to be kept. Every wait has a deadline.
//!
//! - [`story`]: what happens, in acts. [`check`]: what must be true of files and counts.
//! - [`stage`]: the directory, the peers and their daemons. [`shell`]: commands as typed, with their output.
//! - [`pictures`], [`scene`]: the images. [`patience`]: waiting, and being interrupted.

mod check;
mod daemon;
pub(crate) mod patience;
pub(crate) mod pictures;
mod scene;
mod shell;
pub(crate) mod stage;
mod story;

use std::{
    io::{Write, stdout},
    path::{Path, PathBuf},
    time::Instant,
};

use anyhow::{Context, Result, ensure};

use crate::cargo;
use patience::Patience;
use pictures::Album;
use stage::Stage;
use story::Story;

/// What the demo is asked for.
#[derive(Debug)]
pub(crate) struct Options {
    /// The images to share; painted ones if there are none.
    pub(crate) images: Vec<PathBuf>,
    /// Leave the temporary directory.
    pub(crate) keep: bool,
}

/// Builds, plays, checks, tidies up.
///
/// # Errors
/// What failed, after the ends of the daemons' logs were shown.
pub(crate) fn run(options: &Options) -> Result<()> {
    // Before the build, which takes minutes on a fresh machine.
    for image in &options.images {
        ensure!(image.is_file(), "{} is not a file", image.display());
    }
    let patience = Patience::until_interrupted()?;
    let target = cargo::build_programs()?;
    patience.check()?;
    let began = Instant::now();
    let mut stage = Stage::new(target.join("release"), patience, options.keep)?;
    let previews = target.join("demo");
    let played = play(&mut stage, options, &previews);
    if played.is_err() && !stage.interrupted() {
        writeln!(stdout(), "{}", stage.logs())?;
    }
    let kept = stage.close();
    let checks = played.context("the demo failed")?;
    if let Some(kept) = kept? {
        writeln!(stdout(), "\nEverything is left in {}", kept.display())?;
    }
    writeln!(
        stdout(),
        "\n{checks} checks held in {:.1} s. The previews are in {}",
        began.elapsed().as_secs_f32(),
        previews.display()
    )?;
    Ok(())
}

fn play(stage: &mut Stage, options: &Options, previews: &Path) -> Result<u32> {
    let album = if options.images.is_empty() {
        writeln!(stdout(), "# painting a few pictures ...")?;
        Album::paint(stage.alice_home())?
    } else {
        Album::collect(&options.images, stage.alice_home())?
    };
    Story::new(stage, &album, previews)?.tell()
}
