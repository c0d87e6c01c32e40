//! The stage: a temporary directory with a directory server and three peers, each with a home and a shell.
//!
//! Every path in a command is relative to its home, so that no socket's path comes near the 107 bytes that it may have.

use std::{
    fs::{self, Permissions},
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::{Context, Result, bail};
use tempfile::TempDir;

use super::{
    daemon::{Daemon, log_tail, show_ended},
    patience::Patience,
    shell::{SOCKET, Shell},
};

/// The longest that a daemon may take to come up or a peer to come back; it is told in tenths of a second.
const READY_TIME_MAX: Duration = Duration::from_secs(30);
/// The longest that a change may take to reach somebody.
const NEWS_TIME_MAX: Duration = Duration::from_secs(20);

/// Somebody with a daemon.
#[derive(Debug)]
pub(crate) struct Player {
    /// Their shell.
    pub(crate) shell: Shell,
    daemon: Option<Daemon>,
}

/// Everything that is there.
#[derive(Debug)]
pub(crate) struct Stage {
    // Dropped in this order: the daemons before the directory that they write to.
    pub(crate) operator: Player,
    pub(crate) alice: Player,
    pub(crate) bob: Player,
    pub(crate) carol: Player,
    place: Place,
    /// Where dosd listens: a free port at first, the same one again after that.
    listen: String,
}

#[derive(Debug)]
enum Place {
    Temporary(TempDir),
    Kept(PathBuf),
}

impl Stage {
    /// An empty stage, private to this user.
    ///
    /// # Errors
    /// If there is no room for it.
    pub(crate) fn new(programs: PathBuf, patience: Patience, keep: bool) -> Result<Self> {
        let mut builder = tempfile::Builder::new();
        let temp = builder.prefix("dos-demo-").permissions(Permissions::from_mode(0o700)).tempdir();
        let temp = temp.context("cannot make a temporary directory")?;
        let root = temp.path().to_owned();
        let player = |who: &'static str| -> Result<Player> {
            let home = root.join(who);
            fs::create_dir(&home).with_context(|| format!("cannot make {}", home.display()))?;
            let shell = Shell::new(who, home, programs.clone(), patience.clone());
            Ok(Player { shell, daemon: None })
        };
        Ok(Self {
            operator: player("operator")?,
            alice: player("alice")?,
            bob: player("bob")?,
            carol: player("carol")?,
            place: if keep { Place::Kept(temp.keep()) } else { Place::Temporary(temp) },
            listen: "127.0.0.1:0".into(),
        })
    }

    /// Where Alice has her images.
    pub(crate) fn alice_home(&self) -> &Path {
        self.alice.shell.home()
    }

    /// Whether it was a signal that ended the demo.
    pub(crate) fn interrupted(&self) -> bool {
        self.operator.shell.patience().is_over()
    }

    /// Starts dosd, waits until it answers, and tells a join link, which is good for one registration.
    ///
    /// # Errors
    /// If it does not come up.
    pub(crate) fn open_directory(&mut self) -> Result<String> {
        let shell = &self.operator.shell;
        let line = format!("dosd serve --data-dir data --listen {}", self.listen);
        let mut dosd = Daemon::start(shell, &line)?;
        shell.patience().wait("for dosd to answer", READY_TIME_MAX, || {
            dosd.still_runs()?;
            Ok(shell.silently("dosd peers --online --data-dir data")?.worked().then_some(()))
        })?;
        self.operator.daemon = Some(dosd);
        let link = shell.run("dosd link --data-dir data")?.text().trim().to_owned();
        let Some((_, address)) = link.split_once('@').filter(|_| link.starts_with("dos://")) else {
            bail!("`dosd link` does not print a join link");
        };
        self.listen = address.split('?').next().unwrap_or(address).to_owned();
        Ok(link)
    }

    /// The ends of all logs.
    pub(crate) fn logs(&self) -> String {
        self.players().map(|player| log_tail(&player.shell)).concat()
    }

    fn players(&self) -> [&Player; 4] {
        [&self.operator, &self.alice, &self.bob, &self.carol]
    }

    /// Stops whatever runs and removes everything; tells where it is left if it is to be kept.
    ///
    /// # Errors
    /// If it cannot be removed.
    pub(crate) fn close(self) -> Result<Option<PathBuf>> {
        let Self { operator, alice, bob, carol, place, .. } = self;
        drop([alice, bob, carol, operator]);
        match place {
            Place::Kept(path) => Ok(Some(path)),
            Place::Temporary(temp) => {
                let path = temp.path().to_owned();
                temp.close().with_context(|| format!("cannot remove {}", path.display()))?;
                Ok(None)
            }
        }
    }
}

impl Player {
    /// Starts their peerd and waits until it takes commands.
    ///
    /// # Errors
    /// If it does not come up.
    pub(crate) fn start_peerd(&mut self) -> Result<()> {
        let line = format!("peerd --state-dir state --socket {SOCKET} --listen 127.0.0.1:0");
        let mut peerd = Daemon::start(&self.shell, &line)?;
        self.shell.patience().wait("for peerd to answer", READY_TIME_MAX, || {
            peerd.still_runs()?;
            Ok(self.shell.silently("dosctl status")?.worked().then_some(()))
        })?;
        self.daemon = Some(peerd);
        Ok(())
    }

    /// Sends their daemon SIGTERM and shows so.
    ///
    /// # Errors
    /// If it does not end as promised.
    pub(crate) fn terminate(&mut self, program: &str) -> Result<()> {
        let after = self.daemon()?.terminate()?;
        show_ended(&self.shell, &format!("kill -TERM $(pidof {program})"), after)
    }

    /// Kills their daemon and shows so.
    ///
    /// # Errors
    /// If it does not run.
    pub(crate) fn kill(&mut self, program: &str) -> Result<()> {
        self.shell.show(&format!("kill -9 $(pidof {program})"))?;
        self.daemon()?.kill()
    }

    fn daemon(&mut self) -> Result<Daemon> {
        self.daemon.take().with_context(|| format!("the daemon of {} does not run", self.shell.who()))
    }

    /// Waits until something has reached them.
    ///
    /// # Errors
    /// If it does not come, or what `look` says.
    pub(crate) fn waits(&self, what: &str, mut look: impl FnMut() -> Result<bool>) -> Result<()> {
        let what = format!("for {} to hear {what}", self.shell.who());
        self.shell.patience().wait(&what, NEWS_TIME_MAX, || Ok(look()?.then_some(())))
    }
}
