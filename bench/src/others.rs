//! Other programs that move a file from one host to another, where they are installed: for the table only, without a bar.

use std::{
    fs::{self, File},
    io::{BufRead as _, BufReader},
    net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::Duration,
};

use anyhow::{Context as _, ensure};

use crate::{peers::wait_until, rows::timed, stats::median};

/// Copies a file over loopback `times` times: the median, or nothing if it is not installed.
type Copy = fn(file: &Path, dir: &Path, rounds: usize) -> anyhow::Result<Option<Duration>>;

/// Another program.
pub(crate) struct Other {
    /// Its name.
    pub(crate) name: &'static str,
    /// Copies with it.
    pub(crate) copy: Copy,
}

/// All of them.
pub(crate) const ALL: [Other; 2] = [Other { name: "scp", copy: scp }, Other { name: "sendme", copy: sendme }];

/// A process that ends with its handle.
struct Helper(Child);

impl Drop for Helper {
    fn drop(&mut self) {
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

/// Where a program is: in `PATH`, or where administrators' programs are.
pub(crate) fn find(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let places = std::env::split_paths(&path).chain(["/usr/sbin".into(), "/usr/local/sbin".into()]);
    places.map(|place| place.join(name)).find(|path| path.is_file())
}

fn rounds(
    count: usize,
    mut copy: impl FnMut() -> anyhow::Result<Duration>,
) -> anyhow::Result<Option<Duration>> {
    let times = (0..count).map(|_| Ok(copy()?.as_secs_f64())).collect::<anyhow::Result<Vec<_>>>()?;
    Ok(Some(Duration::from_secs_f64(median(&times))))
}

/// `scp` from a sshd of our own, with keys that live as long as the measurement. It does not sync.
pub(crate) struct Scp {
    scp: PathBuf,
    address: SocketAddr,
    dir: PathBuf,
    _sshd: Helper,
}

impl Scp {
    /// Starts sshd at this address with its files in `dir`; nothing if it is not installed.
    ///
    /// # Errors
    /// If it does not start.
    pub(crate) fn serve(dir: &Path, address: IpAddr) -> anyhow::Result<Option<Self>> {
        let (Some(sshd), Some(scp), Some(keygen)) = (find("sshd"), find("scp"), find("ssh-keygen")) else {
            return Ok(None);
        };
        let dir = dir.join("ssh");
        drop(fs::remove_dir_all(&dir));
        fs::create_dir_all(&dir)?;
        let key = dir.join("key");
        timed(Command::new(keygen).args(["-q", "-t", "ed25519", "-N", "", "-f"]).arg(&key))?;
        fs::copy(dir.join("key.pub"), dir.join("known"))?;
        let port = TcpListener::bind((address, 0))?.local_addr()?.port();
        let log = dir.join("log");
        let child = Command::new(sshd)
            .args(["-D", "-e", "-f", "/dev/null", "-o", &format!("ListenAddress={address}")])
            .args(["-o", "StrictModes=no", "-o", &format!("Port={port}"), "-o", "PidFile=none"])
            .args(["-o", "UsePAM=no", "-o", "Subsystem=sftp internal-sftp"])
            .args(["-o", &format!("HostKey={}", key.display())])
            .args(["-o", &format!("AuthorizedKeysFile={}", dir.join("known").display())])
            .stderr(File::create(&log)?)
            .spawn()?;
        let mut sshd = Helper(child);
        wait_until("sshd listens", || {
            ensure!(sshd.0.try_wait()?.is_none(), "sshd has ended: {}", fs::read_to_string(&log)?);
            Ok(fs::read_to_string(&log)?.contains("Server listening"))
        })?;
        Ok(Some(Self { scp, address: SocketAddr::new(address, port), dir, _sshd: sshd }))
    }

    /// Copies a file from there, and removes the copy.
    ///
    /// # Errors
    /// If that fails.
    pub(crate) fn copy(&self, file: &Path) -> anyhow::Result<Duration> {
        let (target, source) = (self.dir.join("out"), format!("{}:{}", self.address.ip(), file.display()));
        let mut command = Command::new(&self.scp);
        command.args(["-q", "-F", "/dev/null", "-o", "StrictHostKeyChecking=no", "-o", "BatchMode=yes"]);
        command.args(["-o", "UserKnownHostsFile=/dev/null", "-P", &self.address.port().to_string(), "-i"]);
        let time = timed(command.arg(self.dir.join("key")).arg(&source).arg(&target))?;
        fs::remove_file(&target)?;
        Ok(time)
    }
}

impl Drop for Scp {
    fn drop(&mut self) {
        // They are in a place for such things.
        drop(fs::remove_dir_all(&self.dir));
    }
}

fn scp(file: &Path, dir: &Path, count: usize) -> anyhow::Result<Option<Duration>> {
    let Some(scp) = Scp::serve(dir, Ipv4Addr::LOCALHOST.into())? else { return Ok(None) };
    rounds(count, || scp.copy(file))
}

/// `sendme receive` from a `sendme send` that has read the file already.
fn sendme(file: &Path, dir: &Path, count: usize) -> anyhow::Result<Option<Duration>> {
    let Some(program) = find("sendme") else { return Ok(None) };
    let dir = dir.join("sendme");
    drop(fs::remove_dir_all(&dir));
    fs::create_dir_all(&dir)?;
    let mut child = Command::new(&program)
        .arg("send")
        .arg(file)
        .current_dir(&dir)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()?;
    let out = child.stdout.take();
    let sender = Helper(child);
    let mut lines = BufReader::new(out.context("no standard output")?).lines();
    let ticket = lines.find_map(|line| {
        let line = line.ok()?;
        Some(line.split_once("sendme receive ")?.1.trim().to_owned())
    });
    let ticket = ticket.context("sendme gives no ticket")?;
    let copied = rounds(count, || {
        let here = dir.join("here");
        fs::create_dir(&here)?;
        let time = timed(Command::new(&program).args(["receive", &ticket]).current_dir(&here))?;
        fs::remove_dir_all(&here)?;
        Ok(time)
    });
    drop(sender);
    fs::remove_dir_all(&dir)?;
    copied
}
