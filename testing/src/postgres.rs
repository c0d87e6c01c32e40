//! A throw-away PostgreSQL for tests: made, started and removed by the tests themselves, where its programs are installed.
//!
//! It listens at a socket in its own directory alone, in memory where there is `/dev/shm`, and runs as another user if the tests are
//! root's. Where it is not installed the tests that need it are skipped, which they say; with [`REQUIRED`] in the environment they fail.

mod secured;

use std::{
    fs,
    os::unix::{fs::chown, process::CommandExt as _},
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
    sync::{
        Arc, Mutex, PoisonError, Weak,
        atomic::{AtomicU16, AtomicU64, Ordering},
    },
    time::Duration,
};

use rustix::process::{Pid, Signal, getuid, kill_process};

pub use secured::Secured;

use crate::{Guarded, skipped, wait_until};

/// With this in the environment a missing server is an error.
pub const REQUIRED: &str = "DOS_TEST_POSTGRES";

/// What it shares between its processes is in its directory, where nothing is left of one that is killed.
const SETTINGS: &str = "listen_addresses = ''
max_connections = 300
dynamic_shared_memory_type = mmap
";

/// The user of the database, who may do everything there.
const USER: &str = "dosd";

/// Ends the server in the directory `$1`, whose program is `$2`, and removes the directory, as soon as nobody holds the other end of its standard
/// input. Ctrl-C is for the tests: whoever they leave behind is ended when they are gone.
const WATCH: &str = r#"
trap '' INT
read -r _
pid=$(head -n 1 "$1/data/postmaster.pid" 2>/dev/null)
if [ -n "$pid" ] && [ "$(readlink "/proc/$pid/exe")" = "$2" ]; then
    kill -QUIT "$pid"
    while [ -e "/proc/$pid" ]; do sleep 0.05; done
fi
rm -rf "$1"
"#;

/// A server.
#[derive(Debug)]
pub struct Postgres {
    /// Dropped first: the process that uses the directory.
    process: Mutex<Option<Guarded>>,
    /// Ends it where this is not dropped: with a process of tests that is killed, or one that keeps it until its own end.
    watcher: Option<Guarded>,
    home: PathBuf,
    programs: PathBuf,
    runs_as: Option<(u32, u32)>,
    databases: AtomicU64,
    /// In the name of its socket.
    port: AtomicU16,
}

/// The server that the tests of a process share; it ends with the last of those that use it.
static SHARED: Mutex<Weak<Postgres>> = Mutex::new(Weak::new());

impl Drop for Postgres {
    fn drop(&mut self) {
        drop(self.process.get_mut().unwrap_or_else(PoisonError::into_inner).take());
        drop(self.watcher.take());
        // What cannot be removed is in a place for such things.
        drop(fs::remove_dir_all(&self.home));
    }
}

impl Postgres {
    /// The server that tests share. Nothing if there is none, after saying so for the test of this name.
    ///
    /// # Panics
    /// If it cannot be started, or is missing although it is required.
    #[must_use]
    pub fn shared(test: &str) -> Option<Arc<Self>> {
        let mut shared = SHARED.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(server) = shared.upgrade() {
            return Some(server);
        }
        let server = Arc::new(Self::own(test)?);
        *shared = Arc::downgrade(&server);
        Some(server)
    }

    /// A server of one's own, to be killed and stopped. Nothing as in [`Postgres::shared`].
    ///
    /// # Panics
    /// As in [`Postgres::shared`].
    #[must_use]
    pub fn own(test: &str) -> Option<Self> {
        let memory = Path::new("/dev/shm");
        if memory.is_dir() { Self::own_at(memory, test) } else { Self::own_at(&std::env::temp_dir(), test) }
    }

    /// The same in this place, which others must be able to pass through: a disk, if it is to be as fast as one.
    ///
    /// # Panics
    /// As in [`Postgres::shared`].
    #[must_use]
    pub fn own_at(place: &Path, test: &str) -> Option<Self> {
        let Some(programs) = programs() else {
            assert!(
                std::env::var_os(REQUIRED).is_none(),
                "PostgreSQL is not installed, and {REQUIRED} is set"
            );
            skipped(test, "PostgreSQL is not installed");
            return None;
        };
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let home = place.join(format!("dos-postgres-{}-{number}", std::process::id()));
        fs::create_dir(&home).unwrap_or_else(|error| panic!("cannot make {}: {error}", home.display()));
        let runs_as = getuid().is_root().then(unprivileged);
        if let Some((user, group)) = runs_as {
            chown(&home, Some(user), Some(group)).expect("the directory cannot be given away");
        }
        let (databases, port) = (AtomicU64::new(0), AtomicU16::new(5432));
        let watcher = Some(watch(&home, &programs.join("postgres")));
        let server = Self { process: Mutex::new(None), watcher, home, programs, runs_as, databases, port };
        let mut init = server.program("initdb");
        init.args(["-A", "trust", "-E", "UTF8", "--locale=C", "--no-sync", "-U", USER, "-D"])
            .arg(server.data());
        done(&init.output().expect("initdb cannot be started"));
        let settings = server.data().join("postgresql.auto.conf");
        fs::write(settings, SETTINGS).expect("no settings");
        server.start();
        Some(server)
    }

    fn port(&self) -> String {
        self.port.load(Ordering::Relaxed).to_string()
    }

    fn data(&self) -> PathBuf {
        self.home.join("data")
    }

    fn program(&self, name: &str) -> Command {
        let mut command = Command::new(self.programs.join(name));
        if let Some((user, group)) = self.runs_as {
            command.uid(user).gid(group);
        }
        command.current_dir(&self.home).env_remove("PGPASSFILE").stdin(Stdio::null());
        command
    }

    /// Starts it, also again after it was killed, and waits until it answers.
    ///
    /// # Panics
    /// If it does not.
    pub fn start(&self) {
        self.launch();
        wait_until("PostgreSQL answers", || {
            // One that was killed may have left a process that was just forked: until that has noticed, none starts in its place.
            if !self.process().as_mut().is_some_and(Guarded::is_running) {
                self.launch();
            }
            self.try_sql("postgres", "SELECT 1").status.success()
        });
    }

    fn launch(&self) {
        let mut command = self.program("postgres");
        command.arg("-D").arg(self.data()).arg("-k").arg(&self.home);
        command.args(["-p", &self.port()]);
        command.stdout(Stdio::null()).stderr(fs::File::create(self.home.join("log")).expect("no log"));
        *self.process() = Some(Guarded::start(&mut command));
    }

    fn process(&self) -> std::sync::MutexGuard<'_, Option<Guarded>> {
        self.process.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Kills it, with everything that it has started.
    pub fn kill(&self) {
        // Its processes for connections are in groups of their own, and would finish what they are doing.
        if self.process().is_some() {
            self.signal_all(Signal::KILL);
        }
        drop(self.process().take());
    }

    /// Sends its first process a signal.
    ///
    /// # Panics
    /// If it does not run.
    pub fn signal(&self, signal: Signal) {
        self.process().as_ref().expect("it does not run").signal(signal);
    }

    /// Sends a signal to all of its processes, as if to its machine.
    ///
    /// # Panics
    /// If it does not run.
    pub fn signal_all(&self, signal: Signal) {
        self.signal(signal);
        let first = self.process().as_ref().expect("it does not run").id();
        let children = fs::read_to_string(format!("/proc/{first}/task/{first}/children")).unwrap_or_default();
        for child in children.split_whitespace().filter_map(|pid| Pid::from_raw(pid.parse().ok()?)) {
            // It may have ended just now.
            kill_process(child, signal).unwrap_or_default();
        }
    }

    /// How long its processes have computed, those that have ended among them.
    ///
    /// # Panics
    /// If it does not run.
    pub fn computed(&self) -> Duration {
        let first = self.process().as_ref().expect("it does not run").id();
        let children = fs::read_to_string(format!("/proc/{first}/task/{first}/children")).unwrap_or_default();
        let own = ticks_of(&first.to_string(), 4);
        let ticks = own + children.split_whitespace().map(|child| ticks_of(child, 2)).sum::<u64>();
        // Linux counts in hundredths of a second, whatever its own clock.
        Duration::from_millis(ticks * 10)
    }

    /// The address of a new database.
    ///
    /// # Panics
    /// If it cannot be made.
    #[must_use]
    pub fn database(&self) -> String {
        let name = format!("test{}", self.databases.fetch_add(1, Ordering::Relaxed));
        self.sql("postgres", &format!("CREATE DATABASE {name} TEMPLATE template0"));
        self.address(&name)
    }

    /// The address of a new database with all that is in another one, which nobody may be using.
    ///
    /// # Panics
    /// If it cannot be made.
    #[must_use]
    pub fn database_like(&self, address: &str) -> String {
        let like = address.rsplit('/').next().unwrap_or(address);
        let name = format!("test{}", self.databases.fetch_add(1, Ordering::Relaxed));
        // Those who have just left may not be gone yet.
        wait_until("a database can be copied", || {
            let sql = format!("CREATE DATABASE {name} TEMPLATE {like}");
            self.try_sql("postgres", &sql).status.success()
        });
        self.address(&name)
    }

    /// The address of a database.
    #[must_use]
    pub fn address(&self, database: &str) -> String {
        let host = self.home.display().to_string().replace('/', "%2F");
        format!("postgres://{USER}@{host}:{}/{database}", self.port())
    }

    /// Runs statements in the database of this name or address, and tells what they give.
    ///
    /// # Panics
    /// If one fails.
    #[track_caller]
    pub fn sql(&self, database: &str, sql: &str) -> String {
        done(&self.try_sql(database, sql))
    }

    /// The same, which may fail.
    ///
    /// # Panics
    /// If psql cannot be started.
    #[must_use]
    pub fn try_sql(&self, database: &str, sql: &str) -> Output {
        let name = database.rsplit('/').next().unwrap_or(database);
        let mut command = self.program("psql");
        command.args(["-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-U", USER, "-d", name, "-h"]);
        command
            .arg(&self.home)
            .args(["-p", &self.port(), "-c", sql])
            .output()
            .expect("psql cannot be started")
    }
}

fn watch(home: &Path, program: &Path) -> Guarded {
    let mut command = Command::new("sh");
    // The programs of a distribution may be links.
    let program = program.canonicalize().unwrap_or_else(|_| program.to_owned());
    command.args(["-c", WATCH, "sh"]).arg(home).arg(program);
    Guarded::start(command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null()))
}

#[track_caller]
fn done(output: &Output) -> String {
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}

/// Where the newest server's programs are: Debian keeps them off the search path.
pub(crate) fn programs() -> Option<PathBuf> {
    let has_all = |directory: &PathBuf| {
        ["initdb", "postgres", "psql"].iter().all(|name| directory.join(name).is_file())
    };
    let versions = fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let mut found: Vec<_> = versions.map(|entry| entry.path().join("bin")).filter(has_all).collect();
    found.sort();
    let path = std::env::var_os("PATH").unwrap_or_default();
    found.pop().or_else(|| std::env::split_paths(&path).find(has_all))
}

/// The user and group `postgres`, or nobody's.
pub(crate) fn unprivileged() -> (u32, u32) {
    let users = fs::read_to_string("/etc/passwd").unwrap_or_default();
    let ids = users.lines().find_map(|line| {
        let mut fields = line.strip_prefix("postgres:")?.split(':').skip(1);
        Some((fields.next()?.parse().ok()?, fields.next()?.parse().ok()?))
    });
    ids.unwrap_or((65_534, 65_534))
}

/// The first so many of the times that a process and those that it has waited for have computed; none if it has gone.
fn ticks_of(process: &str, times: usize) -> u64 {
    let stat = fs::read_to_string(format!("/proc/{process}/stat")).unwrap_or_default();
    // Behind the name, which may have anything in it: the state is the first, the times begin with the twelfth.
    let behind = stat.rsplit_once(") ").map_or("", |(_, behind)| behind);
    behind.split(' ').skip(11).take(times).filter_map(|ticks| ticks.parse::<u64>().ok()).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_left_of_a_server_whose_tests_have_gone() {
        let Some(mut server) = Postgres::own("nothing_is_left_of_a_server_whose_tests_have_gone") else {
            return;
        };
        assert!(server.home.is_dir());
        // As the system does it when their process ends.
        drop(server.watcher.as_mut().unwrap().stdin());
        wait_until("it has ended", || !server.process().as_mut().is_some_and(Guarded::is_running));
        wait_until("its files are gone", || !server.home.exists());
    }
}
