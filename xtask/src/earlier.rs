//! An earlier release beside this one: the main job with programs of both, and with what the earlier one has stored.
//!
//! The earlier programs are built from their commit, in a checkout of its own under the build directory. Run by hand: it
//! takes as long as building everything once more. What each command says is read from its JSON, whose keys only grow.

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use crate::{
    cargo,
    demo::{
        patience::Patience,
        pictures::Album,
        stage::{Player, Stage},
    },
    say,
};

/// Programs of one release.
#[derive(Debug, Clone, Copy)]
struct Programs<'a> {
    /// For people.
    what: &'static str,
    /// Where they are.
    folder: &'a Path,
}

/// Who runs which programs.
#[derive(Debug, Clone, Copy)]
struct Cast<'a> {
    dosd: Programs<'a>,
    alice: Programs<'a>,
    others: Programs<'a>,
}

impl Cast<'_> {
    /// Whether a message goes from a peer with one's programs to one with the other's: this release seals it, for which the
    /// recipient and the directory must be of this release too.
    fn carries(&self, sender: Programs<'_>, recipient: Programs<'_>) -> bool {
        let is_this = |programs: Programs<'_>| programs.what == "this";
        !is_this(sender) || (is_this(recipient) && is_this(self.dosd))
    }
}

/// Plays the main job in every mixture of this release and that of `commit`.
///
/// # Errors
/// If something does not build or does not hold.
pub(crate) fn run(commit: &str) -> Result<()> {
    let patience = Patience::until_interrupted()?;
    let target = cargo::build_programs()?;
    let folder = cargo::build_earlier(commit, &target)?;
    let earlier = Programs { what: "earlier", folder: &folder };
    let release = target.join("release");
    let this = Programs { what: "this", folder: &release };
    let all = |programs| Cast { dosd: programs, alice: programs, others: programs };
    let directory = Cast { dosd: this, ..all(earlier) };
    let peers = Cast { dosd: earlier, ..all(this) };
    let mixed = Cast { alice: earlier, ..all(this) };
    for casts in [
        // From nothing, side by side.
        vec![directory],
        vec![peers],
        vec![mixed],
        // What the earlier release has stored, upgraded in either order.
        vec![all(earlier), directory, all(this)],
        vec![all(earlier), peers, all(this)],
    ] {
        let mut stage = Stage::new(folder.clone(), patience.clone(), false)?;
        let played = play(&mut stage, &casts);
        if played.is_err() {
            say(&stage.logs());
        }
        stage.close()?;
        played?;
    }
    say("everything held");
    Ok(())
}

fn play(stage: &mut Stage, casts: &[Cast<'_>]) -> Result<()> {
    let album = Album::paint(stage.alice_home())?;
    let pictures: Vec<&str> = album.all().map(|picture| &*picture.file).collect();
    let original = fs::read(stage.alice_home().join(&album.first.file))?;
    let mut waiting = None;
    for (round, cast) in casts.iter().enumerate() {
        let Cast { dosd, alice, others } = cast;
        say(&format!("# dosd: {}, alice: {}, bob and carol: {}", dosd.what, alice.what, others.what));
        start(stage, cast, round == 0)?;
        if round == 0 {
            stage.alice.shell.run(&format!("dosctl add {}", pictures.join(" ")))?;
            stage.alice.shell.run("dosctl share sea bob --views 1")?;
        } else if let Some(text) = &waiting {
            // Everything that an earlier round left behind.
            stage.carol.waits("what it missed", || {
                let messages = stage.carol.shell.json("dosctl messages --unread")?;
                Ok(texts(&messages).contains(text))
            })?;
        }
        main_job(stage, cast, round, &original)?;
        let left = leave_something(stage, cast, round)?;
        waiting = left.then(|| format!("while-away-{round}"));
        stop(stage)?;
    }
    Ok(())
}

/// Starts everybody; in the first round they register.
fn start(stage: &mut Stage, cast: &Cast<'_>, fresh: bool) -> Result<()> {
    stage.operator.shell.use_programs(cast.dosd.folder.to_owned());
    stage.alice.shell.use_programs(cast.alice.folder.to_owned());
    stage.bob.shell.use_programs(cast.others.folder.to_owned());
    stage.carol.shell.use_programs(cast.others.folder.to_owned());
    let mut link = stage.open_directory()?;
    let Stage { operator, alice, bob, carol, .. } = stage;
    for player in [alice, bob, carol] {
        player.start_peerd()?;
        if fresh {
            let line = format!("dosctl register --server {link} --name {}", player.shell.who());
            player.shell.run(&line)?;
            link = operator.shell.run("dosd link --data-dir data")?.text().trim().to_owned();
        }
        // A daemon that was logged out stays so.
        player.shell.run("dosctl login")?;
    }
    Ok(())
}

fn main_job(stage: &Stage, cast: &Cast<'_>, round: usize, original: &[u8]) -> Result<()> {
    let Stage { alice, bob, carol, .. } = stage;
    alice.shell.run("dosctl share sea bob --add 2")?;
    let left = views_left(bob)?;
    bob.waits("of two more views", || Ok(views_left(bob)? >= Some(2)))?;
    let viewed = bob.shell.json(&format!("dosctl view alice/sea -o sea-{round}.jpg"))?;
    let shown = fs::read(bob.shell.file(&format!("sea-{round}.jpg")))?;
    ensure!(shown == original, "bob sees another picture");
    let now = viewed["views_left"].as_u64();
    ensure!(now.is_some() && left.is_some(), "bob's views are not counted: {viewed}");
    bob.waits("of the view in its own list", || Ok(views_left(bob)? == now))?;

    let asked = bob.shell.json("dosctl request alice/nature --views 2")?;
    let number = asked["request"].as_u64().context("a request without a number")?;
    alice.waits("of the request", || {
        let requests = alice.shell.json("dosctl requests --incoming")?;
        Ok(requests["incoming"]
            .as_array()
            .is_some_and(|list| list.iter().any(|one| one["request"] == number)))
    })?;
    alice.shell.run(&format!("dosctl approve {number}"))?;
    bob.shell.json(&format!("dosctl view alice/nature -o nature-{round}.png"))?;

    for (from, to, text, (sender, recipient)) in [
        (carol, alice, "to-alice", (cast.others, cast.alice)),
        (alice, carol, "to-carol", (cast.alice, cast.others)),
    ] {
        let text = format!("{text}-{round}");
        let line = format!("dosctl send {} {text}", to.shell.who());
        if !cast.carries(sender, recipient) {
            // Nothing is ever sent unsealed by a peer that can seal.
            from.shell.fails(&line, 1)?.says("too old")?;
            continue;
        }
        from.shell.run(&line)?;
        to.waits("the message", || Ok(texts(&to.shell.json("dosctl messages")?).contains(&text)))?;
    }
    carol.shell.run("dosctl ping alice")?;
    Ok(())
}

/// Carol is away; a message, if it can be sent, and a grant wait for her. Returns whether the message does.
fn leave_something(stage: &Stage, cast: &Cast<'_>, round: usize) -> Result<bool> {
    stage.carol.shell.run("dosctl logout")?;
    let sends = cast.carries(cast.alice, cast.others);
    if sends {
        stage.alice.shell.run(&format!("dosctl send carol while-away-{round}"))?;
    }
    stage.alice.shell.run(&format!("dosctl share dunes carol --views {}", round + 3))?;
    Ok(sends)
}

fn stop(stage: &mut Stage) -> Result<()> {
    for player in [&mut stage.alice, &mut stage.bob, &mut stage.carol] {
        player.terminate("peerd")?;
    }
    stage.operator.terminate("dosd")
}

/// Bob's views of the first picture, as his daemon believes.
fn views_left(bob: &Player) -> Result<Option<u64>> {
    let shares = bob.shell.json("dosctl shares --received")?;
    let received = shares["received"].as_array().map(Vec::as_slice).unwrap_or_default();
    let sea =
        received.iter().find(|grant| grant["image"].as_str().is_some_and(|path| path.ends_with("/sea")));
    Ok(sea.and_then(|grant| grant["views_left"].as_u64()))
}

fn texts(messages: &Value) -> Vec<String> {
    let list = messages["messages"].as_array().map(Vec::as_slice).unwrap_or_default();
    list.iter().filter_map(|message| message["text"].as_str().map(str::to_owned)).collect()
}

/// Where the programs of `commit` are built.
pub(crate) fn checkout_of(commit: &str, target: &Path) -> PathBuf {
    target.join("earlier").join(commit)
}
