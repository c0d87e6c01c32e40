//! The story: what a user does, and what must come of it. It is told in acts, in the order in which they happen.

mod opening;
mod rights;
mod weather;

use std::{
    io::{Write, stdout},
    path::Path,
};

use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;

use super::{check::Slices, pictures::Album, stage::Stage};

/// The story while it is told.
#[derive(Debug)]
pub(crate) struct Story<'a> {
    stage: &'a mut Stage,
    album: &'a Album,
    /// Where the previews are left.
    previews: &'a Path,
    /// The directory's join link, once it is open.
    link: String,
    /// So much has been found to hold.
    held: u32,
}

/// An access right as `shares` tells of it.
#[derive(Debug, PartialEq, Eq)]
struct Right {
    left: u64,
    used: u64,
    state: String,
}

impl<'a> Story<'a> {
    /// Before the first act.
    ///
    /// # Errors
    /// If the previews have no place to go.
    pub(crate) fn new(stage: &'a mut Stage, album: &'a Album, previews: &'a Path) -> Result<Self> {
        let cannot = || format!("cannot make {}", previews.display());
        if previews.exists() {
            std::fs::remove_dir_all(previews).with_context(cannot)?;
        }
        std::fs::create_dir_all(previews).with_context(cannot)?;
        Ok(Self { stage, album, previews, link: String::new(), held: 0 })
    }

    /// Tells it, and how many checks held.
    ///
    /// # Errors
    /// The first thing that is not as it must be.
    pub(crate) fn tell(mut self) -> Result<u32> {
        self.nothing_runs_yet()?;
        self.the_directory_opens()?;
        self.everybody_signs_up()?;
        self.alice_publishes()?;
        self.alice_looks_at_the_previews()?;
        self.bob_looks_around()?;
        self.bob_views_what_he_may()?;
        self.bob_asks_for_more()?;
        self.alice_is_away()?;
        self.carol_stops_and_comes_back()?;
        self.bob_takes_views_along()?;
        self.the_directory_is_killed()?;
        self.alice_takes_the_right_back()?;
        self.nobody_holds_an_original()?;
        self.everybody_goes_home()?;
        Ok(self.held)
    }

    fn act(title: &str) -> Result<()> {
        writeln!(stdout(), "\n# --- {title}")?;
        Ok(())
    }

    /// Says that something holds, or fails with what does not.
    fn holds(&mut self, what: &str, outcome: Result<()>) -> Result<()> {
        outcome.with_context(|| format!("this does not hold: {what}"))?;
        self.held += 1;
        writeln!(stdout(), "# ok: {what}")?;
        Ok(())
    }

    /// The name of the image that all this is about.
    fn sea(&self) -> &'a str {
        &self.album.first.name
    }

    /// Bob's right as Alice's daemon knows it.
    fn given(&self) -> Result<Right> {
        let shares = self.stage.alice.shell.json("dosctl shares --given")?;
        self.right(&shares["given"])?.context("Alice knows of no right of Bob's")
    }

    /// Bob's right as his own daemon knows it; nothing as long as it knows of none.
    fn received(&self) -> Result<Option<Right>> {
        let shares = self.stage.bob.shell.json("dosctl shares --received")?;
        self.right(&shares["received"])
    }

    fn right(&self, grants: &Value) -> Result<Option<Right>> {
        let grants = grants.as_array().context("`shares` has no list of rights")?;
        let image = format!("/{}", self.sea());
        let ours = |grant: &&Value| {
            grant["image"].as_str().is_some_and(|path| path.ends_with(&image))
                && grant["viewer_name"] == "bob"
        };
        let Some(grant) = grants.iter().find(ours) else { return Ok(None) };
        let number = |key: &str| grant[key].as_u64().with_context(|| format!("a right without {key}"));
        let state = grant["state"].as_str().context("a right without a state")?.to_owned();
        Ok(Some(Right { left: number("views_left")?, used: number("views_used")?, state }))
    }

    /// Both sides come to know the right as it should be.
    fn both_know(&mut self, left: u64, used: u64, state: &str) -> Result<()> {
        let right = Right { left, used, state: state.into() };
        self.stage.bob.waits(&format!("that {right:?}"), || Ok(self.received()?.as_ref() == Some(&right)))?;
        self.stage.alice.waits(&format!("that {right:?}"), || Ok(self.given()? == right))?;
        let state = state.replace('_', " ");
        self.holds(&format!("Alice and Bob both know of {left} left, {used} used, {state}"), Ok(()))
    }

    /// Looks for the originals where they must not be, and for a preview where it must, to know that looking works.
    fn nobody_holds_an_original(&mut self) -> Result<()> {
        Self::act("Nobody but Alice has an original")?;
        let (operator, alice, bob) =
            (&self.stage.operator.shell, &self.stage.alice.shell, &self.stage.bob.shell);
        let places = [operator.file("data"), alice.file("state"), bob.file("state")];
        let preview = Slices::of(&super::check::bytes(&self.previews.join(format!("{}.jpg", self.sea())))?);
        let found = preview.len() == 0 || preview.found_in(&operator.file("data"))?.is_some();
        let mut looked = 0;
        for picture in self.album.all() {
            let slices = Slices::of(&super::check::bytes(&alice.file(&picture.file))?);
            looked += slices.len();
            for place in &places {
                if let Some(file) = slices.found_in(place)? {
                    bail!("a part of {} is in {}", picture.file, file.display());
                }
            }
        }
        let check = || {
            ensure!(found, "the directory has not even a preview");
            Ok(())
        };
        self.holds("the directory has the previews", check())?;
        let what = "no part of an original is in the directory's data, nor in anybody's daemon's";
        self.holds(&format!("{what} ({looked} parts looked for)"), Ok(()))
    }
}

/// Two values are the same.
fn equal<T: PartialEq + std::fmt::Debug>(found: &T, wanted: &T) -> Result<()> {
    ensure!(found == wanted, "it is {found:?}, not {wanted:?}");
    Ok(())
}
