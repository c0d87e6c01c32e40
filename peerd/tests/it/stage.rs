//! A directory and some peers as processes in a temporary directory, which all end with the test.

use std::{
    ffi::OsString,
    fs::{self, File, Permissions},
    io::Read,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::{Command, ExitStatus, Stdio},
};

use dos_testing::{Guarded, Signal};
pub(crate) use dos_testing::{PATIENCE, wait_until};
use serde_json::Value;

/// The program `name`, which `cargo test --workspace` has built beside this test.
pub(crate) fn program(name: &str) -> PathBuf {
    let test = std::env::current_exe().unwrap();
    let path = test.parent().and_then(Path::parent).unwrap().join(name);
    assert!(
        path.exists(),
        "{} is missing: run `cargo test --workspace`, or `cargo build -p {name}` first",
        path.display()
    );
    path
}

/// A daemon that dies with its handle.
pub(crate) struct Process(Guarded);

impl Process {
    fn start(mut command: Command, log: &Path) -> Self {
        let log = File::options().create(true).append(true).open(log).unwrap();
        Self(Guarded::start(command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log)))
    }

    pub(crate) fn kill(mut self) {
        self.0.kill();
    }

    pub(crate) fn send(&self, signal: Signal) {
        self.0.signal(signal);
    }

    /// Stops it as a debugger does, until it gets SIGCONT.
    pub(crate) fn stop(&self) {
        self.0.stop();
    }

    /// Asks it to end by this signal and waits for it.
    pub(crate) fn signal(mut self, signal: Signal) -> ExitStatus {
        self.send(signal);
        self.0.wait()
    }

    pub(crate) fn id(&self) -> u32 {
        self.0.id()
    }

    pub(crate) fn is_running(&mut self) -> bool {
        self.0.is_running()
    }
}

/// What a command has come to.
#[derive(Debug)]
pub(crate) struct Ran {
    pub(crate) code: Option<i32>,
    pub(crate) out: Vec<u8>,
    pub(crate) err: String,
}

impl Ran {
    /// Standard output, of a command that succeeded.
    #[track_caller]
    pub(crate) fn ok(self) -> String {
        assert_eq!(self.code, Some(0), "{}", self.err);
        String::from_utf8(self.out).unwrap()
    }

    /// The JSON document, of a command that succeeded.
    #[track_caller]
    pub(crate) fn json(self) -> Value {
        let document: Value = serde_json::from_str(&self.ok()).unwrap();
        assert_eq!(document["schema"], 1);
        document
    }

    /// The error text, of a command that failed with this exit code.
    #[track_caller]
    pub(crate) fn fails(self, code: i32) -> String {
        assert_eq!(
            self.code,
            Some(code),
            "stderr: {}\nstdout: {}",
            self.err,
            String::from_utf8_lossy(&self.out)
        );
        self.err
    }
}

/// The daemon `name`, to be started in a network namespace if one is given.
fn daemon(name: &str, namespace: Option<&str>) -> Command {
    let Some(namespace) = namespace else { return Command::new(program(name)) };
    let mut command = Command::new("ip");
    // It becomes the daemon: there is no process between.
    command.args(["netns", "exec", namespace]).arg(program(name));
    command
}

/// Short, because the path of a socket has at most 107 bytes.
pub(crate) fn temporary() -> tempfile::TempDir {
    tempfile::Builder::new().prefix("dos").tempdir_in("/tmp").unwrap()
}

/// Copies a folder of files as a daemon leaves it: for its user alone. A checkout has other modes.
fn copy_private(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    fs::set_permissions(to, Permissions::from_mode(0o700)).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let (source, target) = (entry.as_ref().unwrap().path(), to.join(entry.unwrap().file_name()));
        if source.is_dir() {
            copy_private(&source, &target);
        } else {
            fs::copy(&source, &target).unwrap();
            fs::set_permissions(&target, Permissions::from_mode(0o600)).unwrap();
        }
    }
}

/// A directory and its peers.
pub(crate) struct Stage {
    pub(crate) dir: tempfile::TempDir,
    pub(crate) dosd: Option<Process>,
    /// Further arguments of the directory.
    pub(crate) extra: Vec<String>,
    namespace: Option<String>,
    host: String,
    port: u16,
}

impl Stage {
    /// With a running directory.
    pub(crate) fn new() -> Self {
        Self::with(&[])
    }

    /// For peers of a directory that is elsewhere.
    pub(crate) fn without_directory() -> Self {
        let (extra, host) = (Vec::new(), String::new());
        Self { dir: temporary(), dosd: None, extra, namespace: None, host, port: 0 }
    }

    /// With a directory that runs with these arguments.
    pub(crate) fn with(extra: &[&str]) -> Self {
        Self::at("127.0.0.1", None, extra)
    }

    /// With a directory at this address in this network namespace.
    pub(crate) fn at(host: &str, namespace: Option<&str>, extra: &[&str]) -> Self {
        Self::in_dir(temporary(), host, namespace, extra)
    }

    /// With a directory whose data is a copy of what is in this folder.
    pub(crate) fn with_data(data: &Path) -> Self {
        let dir = temporary();
        copy_private(data, &dir.path().join("dosd"));
        Self::in_dir(dir, "127.0.0.1", None, &[])
    }

    /// With a directory whose data, and that of its peers, is below this folder.
    pub(crate) fn on(folder: &Path) -> Self {
        let dir = tempfile::Builder::new().prefix("dos").tempdir_in(folder).unwrap();
        Self::in_dir(dir, "127.0.0.1", None, &[])
    }

    fn in_dir(dir: tempfile::TempDir, host: &str, namespace: Option<&str>, extra: &[&str]) -> Self {
        let extra = extra.iter().map(ToString::to_string).collect();
        let (namespace, host) = (namespace.map(Into::into), host.into());
        let mut stage = Self { dir, dosd: None, extra, namespace, host, port: 0 };
        stage.start_dosd();
        let link = stage.link();
        let address = link.split('?').next().unwrap();
        stage.port = address.rsplit(':').next().unwrap().parse().unwrap();
        stage
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// Starts the directory, again on the port that it had, and waits until it answers.
    pub(crate) fn start_dosd(&mut self) {
        let mut command = daemon("dosd", self.namespace.as_deref());
        command.args(["serve", "--listen", &format!("{}:{}", self.host, self.port), "--data-dir"]);
        command.arg(self.path("dosd")).args(&self.extra);
        self.dosd = Some(Process::start(command, &self.path("dosd.log")));
        wait_until("dosd answers", || self.operate(&["peers", "--online"]).status.success());
    }

    /// Starts the directory on another port.
    pub(crate) fn move_dosd(&mut self) {
        self.port = 0;
        self.start_dosd();
        let link = self.link();
        let address = link.split('?').next().unwrap();
        self.port = address.rsplit(':').next().unwrap().parse().unwrap();
    }

    /// Another directory, with a key of its own, at the same port of another address.
    pub(crate) fn another_directory(&self, host: &str) -> Self {
        let (dir, namespace, host) = (temporary(), self.namespace.clone(), host.into());
        let mut other = Self { dir, dosd: None, extra: Vec::new(), namespace, host, port: self.port };
        other.start_dosd();
        other
    }

    /// Starts another node of the directory, on a data directory of this name, and waits until both are linked.
    pub(crate) fn start_node(&self, name: &str) -> Process {
        let data = self.path(name);
        fs::create_dir_all(&data).unwrap();
        fs::copy(self.path("dosd").join("server.key"), data.join("server.key")).unwrap();
        let mut command = daemon("dosd", None);
        command.args(["serve", "--listen", "127.0.0.1:0", "--data-dir"]).arg(&data).args(&self.extra);
        let node = Process::start(command, &self.path(&format!("{name}.log")));
        let linked = |data: &Path| {
            let asked =
                Command::new(program("dosd")).args(["nodes", "--json", "--data-dir"]).arg(data).output();
            let nodes: Value = serde_json::from_slice(&asked.unwrap().stdout).unwrap_or_default();
            nodes["nodes"].as_array().is_some_and(|nodes| nodes.iter().any(|node| node["state"] == "linked"))
        };
        wait_until("the nodes are linked", || linked(&data) && linked(&self.path("dosd")));
        node
    }

    pub(crate) fn kill_dosd(&mut self) {
        self.dosd.take().unwrap().kill();
    }

    /// Has the directory write a backup of this name.
    pub(crate) fn backup(&self, name: &str) {
        let file = self.path(name);
        let saved = self.operate(&["backup", file.to_str().unwrap()]);
        assert!(saved.status.success(), "{}", String::from_utf8_lossy(&saved.stderr));
    }

    /// Stops the directory and starts it again from a backup, as an operator does.
    pub(crate) fn restore(&mut self, name: &str) {
        self.dosd.take().unwrap().signal(Signal::TERM);
        let (data, old) = (self.path("dosd"), self.path(&format!("{name}.before")));
        fs::rename(&data, &old).unwrap();
        let restored = self.operate(&["restore", self.path(name).to_str().unwrap()]);
        assert!(restored.status.success(), "{}", String::from_utf8_lossy(&restored.stderr));
        fs::copy(old.join("server.key"), data.join("server.key")).unwrap();
        self.start_dosd();
    }

    /// Fails unless the directory's store is sound.
    #[track_caller]
    pub(crate) fn is_sound(&self) {
        let checked = self.operate(&["check"]);
        assert!(checked.status.success(), "{}", String::from_utf8_lossy(&checked.stdout));
    }

    /// Runs an operator's command.
    pub(crate) fn operate(&self, args: &[&str]) -> std::process::Output {
        Command::new(program("dosd")).args(args).arg("--data-dir").arg(self.path("dosd")).output().unwrap()
    }

    /// A join link, good for one registration.
    pub(crate) fn link(&self) -> String {
        String::from_utf8(self.operate(&["link"]).stdout).unwrap().trim().to_owned()
    }

    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// A running, unregistered peer.
    pub(crate) fn stranger(&self, name: &str) -> Peer {
        self.stranger_with(name, None, &["--listen", "127.0.0.1:0"])
    }

    /// A running, unregistered peer whose daemon runs with these arguments, in this network namespace.
    pub(crate) fn stranger_with(&self, name: &str, namespace: Option<&str>, extra: &[&str]) -> Peer {
        let extra = extra.iter().map(ToString::to_string).collect();
        let (dir, namespace) = (self.path(name), namespace.map(Into::into));
        let mut peer = Peer {
            name: name.into(),
            dir,
            peerd: None,
            extra,
            environment: Vec::new(),
            namespace,
            runtime: None,
        };
        fs::create_dir_all(&peer.dir).unwrap();
        peer.start();
        peer
    }

    /// A running peer whose state is a copy of what is in this folder; its directory is the one that runs here.
    pub(crate) fn peer_with_state(&self, name: &str, state: &Path) -> Peer {
        let copy = self.path(name).join("state");
        copy_private(state, &copy);
        let identity = copy.join("identity.toml");
        let text = fs::read_to_string(&identity).unwrap();
        let (before, after) = text.split_once("@127.0.0.1:").unwrap();
        let after = after.trim_start_matches(|letter: char| letter.is_ascii_digit());
        fs::write(&identity, format!("{before}@127.0.0.1:{}{after}", self.port)).unwrap();
        self.stranger(name)
    }

    /// A running, registered peer that is online.
    pub(crate) fn peer(&self, name: &str) -> Peer {
        self.peer_at(name, &self.link())
    }

    /// A peer that registers with another link.
    pub(crate) fn peer_at(&self, name: &str, link: &str) -> Peer {
        let peer = self.stranger(name);
        peer.ctl(&["register", "--server", link, "--name", name]).ok();
        peer
    }

    /// A peer whose daemon runs with these arguments, in this network namespace.
    pub(crate) fn peer_in(&self, name: &str, namespace: Option<&str>, extra: &[&str]) -> Peer {
        let peer = self.stranger_with(name, namespace, extra);
        peer.ctl(&["register", "--server", &self.link(), "--name", name]).ok();
        peer
    }
}

/// A peer's daemon and its command.
pub(crate) struct Peer {
    pub(crate) name: String,
    pub(crate) dir: PathBuf,
    pub(crate) peerd: Option<Process>,
    /// Further arguments of the daemon.
    pub(crate) extra: Vec<String>,
    /// Further environment of the daemon.
    pub(crate) environment: Vec<(OsString, OsString)>,
    /// The network namespace that it runs in.
    pub(crate) namespace: Option<String>,
    /// Where its socket is, if not in its own directory.
    pub(crate) runtime: Option<PathBuf>,
}

impl Peer {
    pub(crate) fn socket(&self) -> PathBuf {
        self.runtime.as_ref().unwrap_or(&self.dir).join("ctl.sock")
    }

    /// Starts the daemon and waits until it answers.
    pub(crate) fn start(&mut self) {
        let mut command = daemon("peerd", self.namespace.as_deref());
        command.args(["--profile", &self.name, "--state-dir"]);
        command.arg(self.dir.join("state")).arg("--socket").arg(self.socket()).args(&self.extra);
        command.envs(self.environment.iter().cloned());
        self.peerd = Some(Process::start(command, &self.dir.join("log")));
        wait_until("peerd answers", || self.ctl(&["status"]).code == Some(0));
    }

    pub(crate) fn kill(&mut self) {
        self.peerd.take().unwrap().kill();
    }

    pub(crate) fn restart(&mut self) {
        self.kill();
        self.start();
    }

    /// Waits until it is signed in.
    pub(crate) fn online(&self) {
        self.ctl(&["wait", "--state", "online", "--timeout", "40s"]).ok();
    }

    pub(crate) fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(program("dosctl"));
        command.arg("--socket").arg(self.socket()).args(args).current_dir(&self.dir).stdin(Stdio::null());
        command.env_remove("DOSCTL_PROFILE").env_remove("DOSCTL_SOCKET");
        command
    }

    /// Starts dosctl in the peer's directory. What it prints goes where that of the test goes.
    #[track_caller]
    pub(crate) fn begin(&self, args: &[&str]) -> Guarded {
        Guarded::start(&mut self.command(args))
    }

    /// Runs dosctl in the peer's directory.
    pub(crate) fn ctl(&self, args: &[&str]) -> Ran {
        let output = self.command(args).output().unwrap();
        let err = String::from_utf8_lossy(&output.stderr).into_owned();
        Ran { code: output.status.code(), out: output.stdout, err }
    }

    /// Runs dosctl with `--json`.
    #[track_caller]
    pub(crate) fn json(&self, args: &[&str]) -> Value {
        let mut all = vec!["--json"];
        all.extend(args);
        self.ctl(&all).json()
    }

    /// The error document of a dosctl that failed with this exit code.
    #[track_caller]
    pub(crate) fn error(&self, code: i32, args: &[&str]) -> Value {
        let mut all = vec!["--json"];
        all.extend(args);
        serde_json::from_str(self.ctl(&all).fails(code).trim()).unwrap()
    }

    /// Views an image and gives its bytes.
    #[track_caller]
    pub(crate) fn view(&self, image: &str) -> Vec<u8> {
        let ran = self.ctl(&["view", image, "-o", "-"]);
        assert_eq!(ran.code, Some(0), "{}", ran.err);
        ran.out
    }

    /// Uses a held view of an image, without the directory, and gives its bytes.
    #[track_caller]
    pub(crate) fn view_offline(&self, image: &str) -> Vec<u8> {
        let ran = self.ctl(&["view", image, "--offline", "-o", "-"]);
        assert_eq!(ran.code, Some(0), "{}", ran.err);
        ran.out
    }

    /// The right to an image that this peer has received: (views left, views used, state).
    pub(crate) fn right(&self, image: &str) -> Option<(Value, u64, String)> {
        let shares = self.json(&["shares", "--received"]);
        right(&shares["received"], image)
    }

    /// The right to an image that this peer has given: (views left, views used, state).
    pub(crate) fn given(&self, image: &str) -> Option<(Value, u64, String)> {
        let shares = self.json(&["shares", "--given"]);
        right(&shares["given"], image)
    }

    /// What `status` tells of restored data.
    pub(crate) fn notes(&self) -> Vec<String> {
        let status = self.json(&["status"]);
        let notes = status["notes"].as_array().unwrap().iter();
        notes.map(|note| note["text"].as_str().unwrap().to_owned()).collect()
    }

    pub(crate) fn log(&self) -> String {
        let mut text = String::new();
        drop(File::open(self.dir.join("log")).and_then(|mut file| file.read_to_string(&mut text)));
        text
    }
}

fn right(grants: &Value, image: &str) -> Option<(Value, u64, String)> {
    let grants = grants.as_array()?;
    let grant =
        grants.iter().find(|grant| grant["image"].as_str().is_some_and(|path| path.ends_with(image)))?;
    let state = grant["state"].as_str()?.to_owned();
    Some((grant["views_left"].clone(), grant["views_used"].as_u64()?, state))
}
