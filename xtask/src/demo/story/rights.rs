//! Rights: given, used, used up, asked for, raised, taken back.

use anyhow::{Context, Result, ensure};

use super::{Story, equal};
use crate::demo::check;

/// The exit code for whoever has no right.
const DENIED: i32 = 6;

impl Story<'_> {
    pub(super) fn bob_views_what_he_may(&mut self) -> Result<()> {
        let sea = self.sea();
        Self::act("Alice lets Bob view one image twice")?;
        self.stage.alice.shell.run(&format!("dosctl share {sea} bob --views 2"))?;
        self.both_know(2, 0, "active")?;
        self.stage.bob.shell.run("dosctl shares --received")?;
        self.bob_views("out.jpg")?;
        self.both_know(1, 1, "active")?;
        self.bob_views("again.jpg")?;
        self.bob_is_denied("used up")?;
        let carol = &self.stage.carol.shell;
        carol.fails(&format!("dosctl view alice/{sea} -o out.jpg"), DENIED)?.says("never granted")?;
        ensure!(!carol.file("out.jpg").exists(), "a view that was denied has left a file");
        self.both_know(0, 2, "used_up")?;
        self.stage.alice.shell.run("dosctl shares --given")?;
        Ok(())
    }

    pub(super) fn bob_asks_for_more(&mut self) -> Result<()> {
        let sea = self.sea();
        Self::act("Bob does what the hint says")?;
        self.stage.bob.shell.run(&format!("dosctl request alice/{sea} --views 1 --note please"))?;
        let alice = &self.stage.alice;
        let asked = || alice.shell.json("dosctl requests --incoming");
        alice.waits("of the request", || Ok(asked()?["incoming"][0]["request"].is_u64()))?;
        alice.shell.run("dosctl requests")?;
        let number = asked()?["incoming"][0]["request"].as_u64().context("a request without a number")?;
        alice.shell.run(&format!("dosctl approve {number}"))?;
        self.both_know(1, 2, "active")?;
        self.bob_views("third.jpg")?;
        self.both_know(0, 3, "used_up")
    }

    pub(super) fn alice_is_away(&mut self) -> Result<()> {
        let sea = self.sea();
        Self::act("Alice gives one view more and goes offline; Bob has the sealed copy")?;
        self.stage.alice.shell.run(&format!("dosctl share {sea} bob --add 1"))?;
        self.both_know(1, 3, "active")?;
        self.stage.bob.shell.run(&format!("dosctl fetch alice/{sea}"))?;
        self.stage.alice.shell.run("dosctl logout")?;
        let online = self.stage.bob.shell.json("dosctl resolve alice")?["online"].clone();
        self.stage.bob.shell.run("dosctl resolve alice")?;
        self.holds("the directory has her offline at once", equal(&online, &false.into()))?;
        self.bob_views("away.jpg")?;
        self.stage.alice.shell.run("dosctl login")?;
        self.both_know(0, 4, "used_up")
    }

    pub(super) fn alice_takes_the_right_back(&mut self) -> Result<()> {
        let sea = self.sea();
        Self::act("Alice takes the right back; the sealed copy is worth nothing now")?;
        self.stage.alice.shell.run(&format!("dosctl share {sea} bob --revoke"))?;
        let bob = &self.stage.bob;
        bob.waits("that his right is gone", || {
            Ok(self.received()?.is_none_or(|right| right.state == "revoked"))
        })?;
        self.bob_is_denied("revoked")?;
        self.stage.bob.shell.fails(&format!("dosctl view alice/{sea} -o more.jpg --offline"), DENIED)?;
        Ok(())
    }

    /// Bob views the image; he gets the owner's bytes.
    pub(super) fn bob_views(&mut self, file: &str) -> Result<()> {
        self.bob_views_with(file, "")
    }

    /// With a further option.
    pub(super) fn bob_views_with(&mut self, file: &str, option: &str) -> Result<()> {
        let (bob, alice) = (&self.stage.bob.shell, &self.stage.alice.shell);
        bob.run(&format!("dosctl view alice/{} -o {file}{option}", self.sea()))?;
        let original = &self.album.first.file;
        let same = check::same(&bob.file(file), &alice.file(original));
        self.holds(&format!("{file} is Alice's {original}, bit for bit"), same)
    }

    /// Bob views it and gets nothing, for this reason.
    pub(super) fn bob_is_denied(&mut self, reason: &str) -> Result<()> {
        let (sea, bob) = (self.sea(), &self.stage.bob.shell);
        let denied = bob.fails(&format!("dosctl view alice/{sea} -o more.jpg"), DENIED)?.says(reason)?;
        denied.says(&format!("hint: dosctl request alice/{sea}"))?;
        ensure!(!bob.file("more.jpg").exists(), "a view that was denied has left a file");
        Ok(())
    }
}
