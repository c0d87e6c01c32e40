//! Kills at random moments of a view: of dosctl, of the viewer's daemon, of the directory, and of the reader of a pipe; of counted
//! views and of held ones. Never are more pictures whole than views were counted, and a kill costs at most one view.
//!
//! A few kills in the suite; `cargo xtask kills` does hundreds. The figures go to standard output.

use std::{
    collections::BTreeMap,
    fs,
    io::{Read, Write},
    path::PathBuf,
    process::Stdio,
    time::{Duration, Instant},
};

use dos_testing::{Backoff, Guarded};

use crate::{
    pictures,
    stage::{Peer, Stage, wait_until},
};

/// The number of kills is in this environment variable.
const KILLS: &str = "DOS_KILLS";

/// Two of each kind.
const KILLS_DEFAULT: u64 = 16;

/// More than are ever used.
const GRANTED: u64 = 1_000_000;

/// Large enough that most moments of a view are moments of its bytes.
const PICTURE_BYTES: usize = 6 << 20;

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Victim {
    Command,
    Viewer,
    Directory,
    Reader,
}

const VICTIMS: [Victim; 4] = [Victim::Command, Victim::Viewer, Victim::Directory, Victim::Reader];

/// What came of the kills so far.
#[derive(Debug, Default)]
struct Figures {
    kills: u64,
    counted: u64,
    whole: u64,
    /// The same of each kind: of a victim, of held views or not.
    kinds: BTreeMap<(Victim, bool), [u64; 3]>,
}

struct Campaign {
    stage: Stage,
    bob: Peer,
    original: Vec<u8>,
    random: u64,
    /// What a view takes that is left alone.
    span: Duration,
    figures: Figures,
}

impl Campaign {
    fn new() -> Self {
        let stage = Stage::new();
        let (alice, bob) = (stage.peer("alice"), stage.peer("bob"));
        let original = pictures::write_large(&alice.dir.join("sea.jpg"), 1, PICTURE_BYTES);
        alice.ctl(&["add", "sea.jpg"]).ok();
        alice.ctl(&["share", "sea", "bob", "--views", &GRANTED.to_string(), "--allow-offline"]).ok();
        wait_until("bob is told", || bob.right("/sea").is_some());
        bob.ctl(&["fetch", "alice/sea"]).ok();
        let random = 0x2545_f491_4f6c_dd1d;
        let mut campaign =
            Self { stage, bob, original, random, span: Duration::ZERO, figures: Figures::default() };
        let begun = Instant::now();
        assert!(campaign.undisturbed());
        campaign.span = begun.elapsed() * 5 / 4;
        campaign.figures = Figures { counted: campaign.counted(), whole: 1, ..Figures::default() };
        campaign
    }

    /// What the directory has counted: views given back are none.
    fn counted(&self) -> u64 {
        let page = self.bob.json(&["list", "alice"]);
        GRANTED - page["peers"][0]["images"][0]["access"]["views_left"].as_u64().unwrap()
    }

    fn random(&mut self, below: u64) -> u64 {
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        self.random % below.max(1)
    }

    fn undisturbed(&self) -> bool {
        self.bob.ctl(&["view", "alice/sea", "-o", "left-alone.jpg"]).ok();
        self.whole_files() == 1
    }

    /// How many whole pictures lie in Bob's directory, whatever their names; they are taken away.
    fn whole_files(&self) -> u64 {
        let files: Vec<PathBuf> =
            fs::read_dir(&self.bob.dir).unwrap().map(|entry| entry.unwrap().path()).collect();
        let is_picture = |path: &PathBuf| path.extension().is_some_and(|end| end == "jpg" || end == "part");
        let mut whole = 0;
        for file in files.iter().filter(|path| is_picture(path)) {
            whole += u64::from(fs::read(file).unwrap() == self.original);
            fs::remove_file(file).unwrap();
        }
        whole
    }

    fn kill(&mut self, victim: Victim, held: bool) {
        if held {
            self.bob.ctl(&["checkout", "alice/sea", "--views", "1"]).ok();
        }
        let mut args = vec!["view", "alice/sea"];
        args.extend(held.then_some("--offline"));
        let whole = match victim {
            Victim::Reader => self.kill_reader(&args),
            _ => self.kill_process(victim, &args),
        };
        self.bob.online();
        if held {
            // What was not used comes back; of what was, there is nothing to give back.
            let code = self.bob.ctl(&["checkin", "alice/sea"]).code;
            assert!(matches!(code, Some(0 | 5)), "{code:?}");
        }
        let counted = self.counted();
        let what = format!("{victim:?}, held: {held}");
        assert!(whole <= 1, "{what}: a view gave {whole} pictures");
        assert!(counted - self.figures.counted <= 1, "{what}: a view was counted more than once");
        let kind = self.figures.kinds.entry((victim, held)).or_default();
        *kind = [kind[0] + 1, kind[1] + counted - self.figures.counted, kind[2] + whole];
        self.figures.kills += 1;
        self.figures.counted = counted;
        self.figures.whole += whole;
        let Figures { kills, whole, .. } = self.figures;
        assert!(whole <= counted, "{what}: {whole} pictures, {counted} views counted");
        assert!(counted - whole <= kills, "{what}: {counted} counted, {whole} shown after {kills} kills");
    }

    /// Stops reading somewhere, or just behind the end.
    fn kill_reader(&mut self, args: &[&str]) -> u64 {
        let wanted = self.random(u64::try_from(self.original.len()).unwrap() * 21 / 20);
        let mut command = self.bob.command(&[args, &["-o", "-"]].concat());
        let mut viewing = Guarded::start(command.stdout(Stdio::piped()).stderr(Stdio::null()));
        let mut picture = Vec::new();
        viewing.stdout().take(wanted).read_to_end(&mut picture).unwrap();
        viewing.wait();
        u64::from(picture == self.original)
    }

    fn kill_process(&mut self, victim: Victim, args: &[&str]) -> u64 {
        let mut command = self.bob.command(&[args, &["-o", "picture.jpg"]].concat());
        let mut viewing = Guarded::start(command.stdout(Stdio::null()).stderr(Stdio::null()));
        let span = u64::try_from(self.span.as_micros()).unwrap();
        let mut moment = Backoff::within(Duration::from_micros(self.random(span)));
        while viewing.is_running() && moment.pause() {}
        match victim {
            Victim::Command => viewing.kill(),
            Victim::Viewer => self.bob.kill(),
            Victim::Directory | Victim::Reader => self.stage.kill_dosd(),
        }
        // Before the view has ended: it goes on when the directory is there again.
        match victim {
            Victim::Directory => self.stage.start_dosd(),
            Victim::Viewer => self.bob.start(),
            Victim::Command | Victim::Reader => {}
        }
        if victim != Victim::Command {
            viewing.wait();
        }
        self.whole_files()
    }
}

#[test]
fn no_kill_at_any_moment_shows_a_picture_that_was_not_counted_nor_costs_more_than_a_view() {
    let kills = std::env::var(KILLS).map_or(KILLS_DEFAULT, |kills| kills.parse().unwrap());
    let mut campaign = Campaign::new();
    for kill in 0..kills {
        let victim = VICTIMS[usize::try_from(kill / 2 % 4).unwrap()];
        campaign.kill(victim, kill % 2 == 1);
    }
    // A view that was counted and not closed is shown by the next one, which counts nothing more.
    assert!(campaign.undisturbed());
    let (counted, whole) = (campaign.counted(), campaign.figures.whole + 1);
    let lost = counted - whole;
    assert!(whole <= counted && lost <= kills);
    let mut figures = format!(
        "\n{kills} kills: {counted} views counted, {whole} pictures whole, {lost} counted and not shown\n"
    );
    for ((victim, held), [kills, counted, whole]) in campaign.figures.kinds {
        let views = if held { "held" } else { "online" };
        let victim = format!("{victim:?}").to_lowercase();
        figures +=
            &format!("  {victim:<9} {views:<6} {kills:>4} kills {counted:>4} counted {whole:>4} whole\n");
    }
    // Past the capture of the test harness.
    std::io::stdout().write_all(figures.as_bytes()).unwrap();
}
