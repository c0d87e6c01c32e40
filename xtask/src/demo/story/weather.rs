//! Bad weather: daemons that stop and come back, a directory that is killed, views that are taken along for that.

use anyhow::{Result, ensure};

use super::{Story, equal};
use crate::demo::check;

impl Story<'_> {
    pub(super) fn carol_stops_and_comes_back(&mut self) -> Result<()> {
        Self::act("Carol's daemon is stopped and started again")?;
        let id = self.stage.carol.shell.json("dosctl status")?["id"].clone();
        self.stage.carol.terminate("peerd")?;
        let online = self.stage.alice.shell.json("dosctl resolve carol")?["online"].clone();
        self.stage.alice.shell.run("dosctl resolve carol")?;
        self.holds("the directory has her offline at once", equal(&online, &false.into()))?;
        self.stage.carol.start_peerd()?;
        self.stage.carol.shell.run("dosctl wait --state online --timeout 20s")?;
        let again = self.stage.carol.shell.json("dosctl status")?["id"].clone();
        self.holds("she is back by herself, with the same ID", equal(&again, &id))
    }

    pub(super) fn bob_takes_views_along(&mut self) -> Result<()> {
        let sea = self.sea();
        Self::act("Bob takes views along, for when there is no directory")?;
        self.stage.alice.shell.run(&format!("dosctl share {sea} bob --add 3 --allow-offline"))?;
        self.stage
            .bob
            .waits("of three views", || Ok(self.received()?.is_some_and(|right| right.left == 3)))?;
        self.stage.bob.shell.run(&format!("dosctl checkout alice/{sea} --views 2"))?;
        self.stage.alice.waits("of the checkout", || Ok(self.given()?.left == 1))?;
        Ok(())
    }

    pub(super) fn the_directory_is_killed(&mut self) -> Result<()> {
        let sea = self.sea();
        Self::act("The directory is killed, and started again")?;
        let before = self.given()?;
        let link = self.link.clone();
        self.stage.operator.kill("dosd")?;
        let bob = &self.stage.bob;
        bob.waits(
            "that the directory is gone",
            || Ok(bob.shell.json("dosctl status")?["state"] != "online"),
        )?;
        self.bob_views_with("along.jpg", " --offline")?;
        let again = self.stage.open_directory()?;
        let place = |link: &str| link.split('?').next().map(str::to_owned);
        self.holds("it has the same key and address", equal(&place(&again), &place(&link)))?;
        for player in [&self.stage.alice, &self.stage.bob, &self.stage.carol] {
            player.shell.run("dosctl wait --state online --timeout 30s")?;
        }
        let online = self.stage.carol.shell.json("dosctl list --online")?["peers"].as_array().map(Vec::len);
        self.holds("everybody is back without doing anything", equal(&online, &Some(3)))?;
        self.both_know(before.left, before.used, "active")?;
        self.stage.bob.shell.run(&format!("dosctl checkin alice/{sea}"))?;
        self.stage.alice.waits("of the view that came back", || Ok(self.given()?.left == before.left + 1))?;
        self.bob_views("after.jpg")?;
        let left = before.left;
        self.stage.alice.waits("of the view", || Ok(self.given()?.left == left))?;
        self.holds("the counts are as if nothing had happened", Ok(()))?;
        let (operator, data) = (&self.stage.operator.shell, "data");
        check::mode(&operator.file(data), 0o700)
    }

    pub(super) fn everybody_goes_home(&mut self) -> Result<()> {
        Self::act("Everybody goes home")?;
        let stage = &mut *self.stage;
        for player in [&mut stage.alice, &mut stage.bob, &mut stage.carol] {
            player.terminate("peerd")?;
            ensure!(!player.shell.file(crate::demo::shell::SOCKET).exists(), "a socket is left behind");
        }
        stage.operator.terminate("dosd")
    }
}
