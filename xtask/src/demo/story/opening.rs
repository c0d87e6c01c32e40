//! The first acts: the directory opens, peers sign up, Alice publishes, Bob looks around.

use std::fs;

use anyhow::{Context, Result, ensure};

use super::{Story, equal};
use crate::demo::{
    check,
    pictures::Picture,
    shell::{SOCKET, Shell},
};

/// Exit codes of the programs.
const NO_DAEMON: i32 = 3;
const NOT_FOUND: i32 = 5;
const DENIED: i32 = 6;
const CONFLICT: i32 = 7;
const INVALID: i32 = 8;

impl Story<'_> {
    pub(super) fn nothing_runs_yet(&mut self) -> Result<()> {
        Self::act("Nothing runs yet")?;
        self.stage.operator.shell.fails("dosd link --data-dir data", NO_DAEMON)?.says("hint: dosd serve")?;
        self.stage.alice.shell.fails("dosctl status", NO_DAEMON)?.says("hint: peerd")?;
        Ok(())
    }

    pub(super) fn the_directory_opens(&mut self) -> Result<()> {
        Self::act("The operator opens a directory")?;
        self.link = self.stage.open_directory()?;
        let file = |name: &str| self.stage.operator.shell.file(name);
        let private = check::mode(&file("data"), 0o700).and(check::mode(&file("data/server.key"), 0o600));
        self.holds("its data is private to the operator", private)
    }

    pub(super) fn everybody_signs_up(&mut self) -> Result<()> {
        Self::act("Alice, Bob and Carol sign up")?;
        let operator = &self.stage.operator.shell;
        let mut link = self.link.clone();
        for player in [&mut self.stage.alice, &mut self.stage.bob, &mut self.stage.carol] {
            player.start_peerd()?;
            player.shell.run(&format!("dosctl register --server {link} --name {}", player.shell.who()))?;
            link = operator.run("dosd link --data-dir data")?.text().trim().to_owned();
        }
        let alice = &self.stage.alice.shell;
        alice.fails(&format!("dosctl register --server {link} --name eve"), CONFLICT)?;
        alice.run("dosctl status")?;
        let online = equal(&alice.json("dosctl status")?["state"], &"online".into());
        let private = private(alice);
        self.holds("Alice is online", online)?;
        self.holds("her key, her files and her socket are private to her", private)
    }

    pub(super) fn alice_publishes(&mut self) -> Result<()> {
        Self::act("Alice publishes; the originals stay with her")?;
        let alice = &self.stage.alice.shell;
        let files: Vec<&str> = self.album.all().map(|picture| picture.file.as_str()).collect();
        alice.run(&format!("dosctl add {}", files.join(" ")))?;
        alice.fails(&format!("dosctl add {}", self.album.first.file), CONFLICT)?.says("hint:")?;
        fs::write(alice.file("notes.txt"), "milk, bread, salt\n").context("cannot write notes.txt")?;
        alice.fails("dosctl add notes.txt", INVALID)?;
        alice.run("dosctl list --mine")?;
        let mine = alice.json("dosctl list --mine")?;
        let known = mine["peers"][0]["images"].as_array().map(Vec::len);
        self.holds("every image is there once", equal(&known, &Some(files.len())))?;
        for picture in self.album.all() {
            let file = check::bytes(&self.stage.alice.shell.file(&picture.file))?;
            let images = mine["peers"][0]["images"].as_array();
            let image =
                images.and_then(|all| all.iter().find(|image| image["name"] == picture.name.as_str()));
            let image = image.with_context(|| format!("{} is not listed", picture.name))?;
            equal(&image["image_id"], &blake3::hash(&file).to_hex().as_str().into())?;
            equal(&image["bytes"], &file.len().into())?;
        }
        self.holds("their sizes and hashes are those of the files", Ok(()))
    }

    pub(super) fn alice_looks_at_the_previews(&mut self) -> Result<()> {
        Self::act("Alice looks at what the others will see, and replaces an image")?;
        let (album, alice) = (self.album, &self.stage.alice.shell);
        fs::create_dir(alice.file("previews")).context("cannot make previews/")?;
        for picture in album.all() {
            self.preview(&picture.name, picture)?;
        }
        let what = "the previews are small JPEGs that look like their pictures, upright, and tell no place";
        self.holds(what, Ok(()))?;
        // With one image alone it is replaced by itself, because the story goes on with it.
        let (new, old) =
            album.rest.last().map_or((&album.first, &album.first), |last| (&album.substitute, last));
        let (line, alice) = (format!("dosctl add {} --name {}", new.file, old.name), &self.stage.alice.shell);
        alice.fails(&line, CONFLICT)?;
        alice.run(&format!("{line} --replace"))?;
        let replaced = self.preview(&old.name, new);
        self.holds("the preview is that of the new picture", replaced)
    }

    /// Gets the preview of an image that should show `picture`, and leaves a copy for whoever runs the demo.
    fn preview(&self, name: &str, picture: &Picture) -> Result<()> {
        let (alice, small) = (&self.stage.alice.shell, format!("previews/{name}.jpg"));
        alice.run(&format!("dosctl preview {name} -o {small}"))?;
        check::preview(&alice.file(&small), picture)?;
        let left = self.previews.join(format!("{}.jpg", picture.name));
        fs::copy(alice.file(&small), &left).with_context(|| format!("cannot write {}", left.display()))?;
        Ok(())
    }

    pub(super) fn bob_looks_around(&mut self) -> Result<()> {
        Self::act("Bob looks around")?;
        let (sea, bob, alice) = (self.sea(), &self.stage.bob.shell, &self.stage.alice.shell);
        bob.run("dosctl list --online")?;
        bob.run("dosctl resolve alice")?;
        bob.fails("dosctl resolve nobody", NOT_FOUND)?.says("hint:")?;
        bob.run(&format!("dosctl preview alice/{sea} -o small.jpg"))?;
        let same = check::same(&bob.file("small.jpg"), &alice.file(&format!("previews/{sea}.jpg")));
        let online = bob.json("dosctl list --online")?["peers"].as_array().map(Vec::len);
        let alices = bob.json("dosctl list alice")?;
        let found = alices["peers"][0]["images"].as_array().map(Vec::len);
        let wanted = self.album.all().count();
        self.holds("he sees three peers online", equal(&online, &Some(3)))?;
        self.holds(
            "he sees all of Alice's images, and the same preview",
            same.and(equal(&found, &Some(wanted))),
        )?;
        let (bob, first) = (&self.stage.bob.shell, format!("dosctl view alice/{sea} -o out.jpg"));
        bob.fails(&first, DENIED)?.says(&format!("hint: dosctl request alice/{sea}"))?;
        ensure!(!bob.file("out.jpg").exists(), "a view that was denied has left a file");
        Ok(())
    }
}

fn private(of: &Shell) -> Result<()> {
    check::mode(&of.file("state"), 0o700)?;
    check::mode(&of.file("state/identity.toml"), 0o600)?;
    check::mode(&of.file("run"), 0o700)?;
    check::mode(&of.file(SOCKET), 0o600)
}
