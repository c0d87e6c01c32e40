//! A database server: etcd, Patroni and PostgreSQL, set up by the files of `docs/cluster` as an operator would.
//!
//! The files are those of the first server. What differs on another one, and where things are on this machine, is replaced, and every
//! replacement must find what it replaces: a file that no longer fits is an error and no other setup.

use std::{
    fs::{self, File, Permissions},
    os::unix::{
        fs::{PermissionsExt as _, chown},
        process::CommandExt as _,
    },
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use anyhow::{Context as _, Result, ensure};
use rustix::process::{Pid, Signal, getuid, kill_process};

use super::place::{Host, Place, signal_all};
use crate::{
    Guarded,
    postgres::{programs, unprivileged},
};

const ETCD: &str = include_str!("../../../docs/cluster/etcd");
const PATRONI: &str = include_str!("../../../docs/cluster/patroni.yml");
const CERTIFICATES: &str = include_str!("../../../docs/cluster/certificates.sh");

/// Database servers of a cluster.
pub(super) const DATABASES: usize = 3;

/// The addresses in the files.
const ADDRESSES: [&str; DATABASES] = ["10.0.0.11", "10.0.0.12", "10.0.0.13"];

/// How lines begin that differ from server to server.
const OWN: [&str; 7] = [
    "name: ",
    "listen: ",
    "connect_address: ",
    "ETCD_NAME=",
    "ETCD_LISTEN_",
    "ETCD_INITIAL_ADVERTISE_",
    "ETCD_ADVERTISE_",
];

/// How many such lines either file has.
const OWN_LINES: usize = 5;

/// What all database servers have in common.
#[derive(Debug)]
pub(super) struct Shared {
    /// Patroni's programs.
    pub(super) patroni: PathBuf,
    /// Where `ca.pem` and the certificates are.
    pub(super) certificates: PathBuf,
    /// Of users of the database, by the words that stand for them in the files.
    pub(super) passwords: [(&'static str, String); 2],
    /// What PostgreSQL runs as.
    pub(super) user: Option<(u32, u32)>,
}

impl Shared {
    /// Makes certificates for all servers.
    pub(super) fn new(home: &Path, patroni: PathBuf, place: &Place) -> Result<Self> {
        let certificates = home.join("ca");
        fs::create_dir(&certificates)?;
        let mut make = Command::new("sh");
        make.current_dir(&certificates).args(["-c", CERTIFICATES, "certificates.sh"]);
        for host in (0..DATABASES).map(Host::Database) {
            // Of a server that connects the certificate must name the address that it seems to come from.
            let source = place.source().map(|source| format!(", IP:{source}")).unwrap_or_default();
            make.arg(format!("{}:{}{source}", host.name(), place.address(host)));
        }
        let made = make.stdin(Stdio::null()).output().context("cannot run sh")?;
        ensure!(made.status.success(), "no certificates: {}", String::from_utf8_lossy(&made.stderr));
        let passwords = [("PASSWORD-OF-POSTGRES", password()?), ("PASSWORD-OF-REPLICATOR", password()?)];
        let user = getuid().is_root().then(unprivileged);
        Ok(Self { patroni, certificates, passwords, user })
    }

    /// A command of the user that PostgreSQL runs as.
    pub(super) fn command(&self, program: &Path, home: &Path) -> Command {
        let mut command = Command::new(program);
        if let Some((user, group)) = self.user {
            command.uid(user).gid(group);
        }
        command.current_dir(home).env("HOME", home).env_remove("PGPASSFILE").stdin(Stdio::null());
        command
    }
}

/// A password that nobody knows.
pub(super) fn password() -> Result<String> {
    let uuid = fs::read_to_string("/proc/sys/kernel/random/uuid").context("there is no randomness")?;
    Ok(uuid.trim().to_owned())
}

/// A server.
#[derive(Debug)]
pub(super) struct Database {
    pub(super) host: Host,
    home: PathBuf,
    etcd: Option<Guarded>,
    patroni: Option<Guarded>,
}

impl Database {
    /// Sets it up below `home`, and starts nothing.
    pub(super) fn new(at: usize, home: &Path, shared: &Shared, place: &Place) -> Result<Self> {
        let host = Host::Database(at);
        let database = Self { host, home: home.join(host.name()), etcd: None, patroni: None };
        for directory in ["", "conf", "etcd", "run"] {
            private(&database.home.join(directory), shared)?;
        }
        for (from, to) in [
            ("ca.pem", "ca.pem"),
            (&*format!("{}.pem", host.name()), "server.pem"),
            (&*format!("{}.key", host.name()), "server.key"),
        ] {
            database.write(to, &fs::read(shared.certificates.join(from))?, shared)?;
        }
        database.write("etcd", adapted(ETCD, &database.etcd_places(place), at)?.as_bytes(), shared)?;
        let places = database.patroni_places(shared, place)?;
        database.write("patroni.yml", adapted(PATRONI, &places, at)?.as_bytes(), shared)?;
        Ok(database)
    }

    fn conf(&self, name: &str) -> PathBuf {
        self.home.join("conf").join(name)
    }

    fn write(&self, name: &str, text: &[u8], shared: &Shared) -> Result<()> {
        let path = self.conf(name);
        fs::write(&path, text)?;
        fs::set_permissions(&path, Permissions::from_mode(0o600))?;
        given(&path, shared)
    }

    fn path(&self, name: &str) -> String {
        self.home.join(name).display().to_string()
    }

    fn etcd_places(&self, place: &Place) -> Vec<(String, String)> {
        let mut places = addresses(place);
        places.push(("/etc/dos-db".into(), self.path("conf")));
        places.push(("/var/lib/etcd/dos".into(), self.path("etcd")));
        places
    }

    fn patroni_places(&self, shared: &Shared, place: &Place) -> Result<Vec<(String, String)>> {
        let programs = programs().context("PostgreSQL is not installed")?;
        let mut places = addresses(place);
        places.extend([
            ("10.0.0.0/24".into(), place.network()),
            ("/etc/dos-db".into(), self.path("conf")),
            ("/usr/lib/postgresql/15/bin".into(), programs.display().to_string()),
            ("/var/lib/postgresql/15/dos".into(), self.path("data")),
            ("/run/postgresql".into(), self.path("run")),
            // The watchdog is the machine's, which goes on.
            ("mode: automatic".into(), "mode: 'off'".into()),
        ]);
        if let Some(source) = place.source() {
            let hosts = (0..DATABASES).map(|at| format!("{}/32", place.address(Host::Database(at))));
            places.extend(hosts.map(|host| (host, format!("{source}/32"))));
        }
        if shared.user.is_none() {
            // The user who runs all this has another name than the database's.
            places.push(("peer\n".into(), "trust\n".into()));
        }
        places.extend(shared.passwords.iter().map(|(word, password)| ((*word).to_owned(), password.clone())));
        Ok(places)
    }

    fn log(&self, name: &str) -> Result<File> {
        let path = self.home.join(format!("{name}.log"));
        File::options()
            .create(true)
            .append(true)
            .open(&path)
            .with_context(|| format!("no {}", path.display()))
    }

    pub(super) fn start_etcd(&mut self, shared: &Shared, place: &Place) -> Result<()> {
        let settings = fs::read_to_string(self.conf("etcd"))?;
        let settings = settings.lines().filter_map(|line| line.split_once('='));
        let mut command = shared.command(Path::new("etcd"), &self.home);
        command.envs(settings.filter(|(name, _)| !name.starts_with('#')));
        command.stdout(Stdio::null()).stderr(self.log("etcd")?);
        self.etcd = Some(place.start(self.host, &mut command)?);
        Ok(())
    }

    pub(super) fn start_patroni(&mut self, shared: &Shared, place: &Place) -> Result<()> {
        let mut command = shared.command(&shared.patroni.join("patroni"), &self.home);
        command.arg(self.conf("patroni.yml")).stdout(Stdio::null()).stderr(self.log("patroni")?);
        self.patroni = Some(place.start(self.host, &mut command)?);
        Ok(())
    }

    /// Patroni's own file, for its commands.
    pub(super) fn patroni_file(&self) -> PathBuf {
        self.conf("patroni.yml")
    }

    /// The directory with its socket.
    pub(super) fn socket(&self) -> PathBuf {
        self.home.join("run")
    }

    /// PostgreSQL's first process, if it runs.
    fn postmaster(&self) -> Option<Pid> {
        let text = fs::read_to_string(self.home.join("data/postmaster.pid")).ok()?;
        let pid: i32 = text.lines().next()?.trim().parse().ok()?;
        // What is written there may be long gone, and its number another one's.
        let name = fs::read_to_string(format!("/proc/{pid}/comm")).ok()?;
        Pid::from_raw(pid).filter(|_| name.trim() == "postgres")
    }

    /// Kills PostgreSQL's first process, as the kernel does that needs memory.
    pub(super) fn kill_postgres(&self) -> Result<()> {
        let pid = self.postmaster().context("PostgreSQL does not run")?;
        kill_process(pid, Signal::KILL).context("PostgreSQL does not run")
    }

    pub(super) fn kill_etcd(&mut self) {
        self.etcd = None;
    }

    pub(super) fn signal_etcd(&self, signal: Signal) -> Result<()> {
        Ok(self.etcd.as_ref().context("etcd does not run")?.try_signal(signal)?)
    }

    /// Sends every process of the server a signal, as if to the machine.
    pub(super) fn signal_all(&self, place: &Place, signal: Signal) -> Result<()> {
        let own = [&self.etcd, &self.patroni].into_iter().flatten().map(Guarded::id);
        let postmaster = self.postmaster().and_then(|pid| u32::try_from(pid.as_raw_nonzero().get()).ok());
        let roots: Vec<_> = own.chain(postmaster).collect();
        signal_all(&place.processes(self.host, &roots), signal)
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        // Patroni starts PostgreSQL anew as long as it lives.
        self.patroni = None;
        // It runs, or it does not.
        drop(self.kill_postgres());
        self.etcd = None;
    }
}

fn private(directory: &Path, shared: &Shared) -> Result<()> {
    fs::create_dir(directory).with_context(|| format!("cannot make {}", directory.display()))?;
    fs::set_permissions(directory, Permissions::from_mode(0o700))?;
    given(directory, shared)
}

fn given(path: &Path, shared: &Shared) -> Result<()> {
    if let Some((user, group)) = shared.user {
        chown(path, Some(user), Some(group))
            .with_context(|| format!("cannot give {} away", path.display()))?;
    }
    Ok(())
}

fn addresses(place: &Place) -> Vec<(String, String)> {
    let own = (0..DATABASES).map(|at| place.address(Host::Database(at)));
    ADDRESSES.into_iter().map(str::to_owned).zip(own).collect()
}

/// A file of `docs/cluster` for the server `at`, with these texts replaced.
fn adapted(file: &str, places: &[(String, String)], at: usize) -> Result<String> {
    let mut own = 0;
    let mut text = String::new();
    for line in file.lines() {
        if OWN.iter().any(|begin| line.trim_start().starts_with(begin)) {
            own += 1;
            let name = Host::Database(at).name();
            text += &line.replace("db1", &name).replace(ADDRESSES[0], ADDRESSES.get(at).unwrap_or(&""));
        } else {
            text += line;
        }
        text.push('\n');
    }
    ensure!(own == OWN_LINES, "{own} lines differ from server to server, not {OWN_LINES}");
    replaced(text, places)
}

/// A text in which these are replaced, all of which must be in it.
pub(super) fn replaced(mut text: String, places: &[(String, String)]) -> Result<String> {
    for (old, new) in places {
        ensure!(text.contains(old.as_str()), "there is no {old:?} to replace");
        text = text.replace(old.as_str(), new);
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_adapted_to_another_server_and_other_places() {
        let places =
            [("/etc/dos-db".to_owned(), "/x".to_owned()), (ADDRESSES[1].to_owned(), "127.1.1.12".to_owned())];
        for file in [ETCD, PATRONI] {
            let adapted = adapted(file, &places, 1).unwrap();
            assert!(!adapted.contains("/etc/dos-db") && !adapted.contains(ADDRESSES[1]));
            assert!(adapted.contains("db2") && adapted.contains(ADDRESSES[0]));
        }
    }

    #[test]
    fn what_cannot_be_replaced_is_an_error() {
        assert!(adapted(PATRONI, &[("/nowhere".to_owned(), String::new())], 0).is_err());
        assert!(adapted("name: db1\n", &[], 0).is_err());
    }
}
