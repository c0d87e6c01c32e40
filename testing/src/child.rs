//! Child processes that end with their handle, together with all that they have started.
//!
//! What always holds: when a handle is dropped, also by a test that fails, neither its process nor any that descends from it is
//! left, whichever group or session they are in and whether or not their parents still live. Every descendant inherits a mark in
//! its environment, by which it is found; only a program that starts another with an emptied environment would hide it.
//!
//! Children stay in the process group of the test, so that Ctrl-C ends them too, when no handle is dropped.

use std::{
    fs,
    io::{self, Read},
    process::{Child, ChildStdin, ChildStdout, Command, ExitStatus, Output},
    sync::{
        OnceLock,
        atomic::{AtomicU64, Ordering},
        mpsc::{Receiver, sync_channel},
    },
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use rustix::process::{Pid, Signal, getpid, kill_process};

use crate::wait::{Backoff, PATIENCE, wait_until};

/// The variable in the environment of every descendant.
const MARK: &str = "DOS_TESTING_CHILD";

/// The longest that killed processes may take to be gone.
const GONE_TIME_MAX: Duration = Duration::from_secs(5);

/// A process that dies with its handle, and all that it has started with it.
#[derive(Debug)]
pub struct Guarded {
    child: Child,
    // Dropped after the child, when it has nothing more to start.
    #[expect(dead_code, reason = "what it does, it does when it is dropped")]
    mark: Mark,
}

/// The value of [`MARK`] for one child. Whatever has it is killed when this is dropped.
#[derive(Debug)]
struct Mark(String);

impl Mark {
    fn put_on(command: &mut Command) -> Self {
        static RUN: OnceLock<String> = OnceLock::new();
        static NEXT: AtomicU64 = AtomicU64::new(0);
        // Two runs may have the same process ID, in two containers.
        let run = RUN.get_or_init(|| {
            let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
            format!("{}-{}", std::process::id(), now.as_nanos())
        });
        let mark = format!("{run}-{}", NEXT.fetch_add(1, Ordering::Relaxed));
        command.env(MARK, &mark);
        Self(mark)
    }

    /// All processes with the mark, but for this one.
    fn all(&self) -> Vec<Pid> {
        let mark = format!("{MARK}={}", self.0);
        let processes = fs::read_dir("/proc").into_iter().flatten().flatten();
        let marked = processes.filter_map(|entry| {
            let pid = Pid::from_raw(entry.file_name().to_str()?.parse().ok()?)?;
            // One that has ended has no environment any more.
            let environment = fs::read(entry.path().join("environ")).ok()?;
            environment.split(|&byte| byte == 0).any(|variable| variable == mark.as_bytes()).then_some(pid)
        });
        marked.filter(|&pid| pid != getpid()).collect()
    }
}

impl Drop for Mark {
    fn drop(&mut self) {
        let mut backoff = Backoff::within(GONE_TIME_MAX);
        // One of them may start another while they are looked for.
        loop {
            let all = self.all();
            for &pid in &all {
                // It may have ended just now.
                kill_process(pid, Signal::KILL).unwrap_or_default();
            }
            if all.is_empty() || !backoff.pause() {
                break;
            }
        }
    }
}

impl Guarded {
    /// Starts a command.
    ///
    /// # Panics
    /// If that is not possible.
    #[must_use]
    #[track_caller]
    pub fn start(command: &mut Command) -> Self {
        Self::try_start(command).unwrap_or_else(|error| panic!("cannot start {command:?}: {error}"))
    }

    /// Starts a command.
    ///
    /// # Errors
    /// If that is not possible.
    pub fn try_start(command: &mut Command) -> io::Result<Self> {
        let mark = Mark::put_on(command);
        Ok(Self { child: command.spawn()?, mark })
    }

    /// Its process ID.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// The other end of its standard input, if that is a pipe.
    ///
    /// # Panics
    /// If it is not, or has been taken before.
    #[track_caller]
    pub fn stdin(&mut self) -> ChildStdin {
        self.child.stdin.take().expect("standard input is no pipe")
    }

    /// The other end of its standard output, if that is a pipe.
    ///
    /// # Panics
    /// If it is not, or has been taken before.
    #[track_caller]
    pub fn stdout(&mut self) -> ChildStdout {
        self.child.stdout.take().expect("standard output is no pipe")
    }

    /// Sends it a signal.
    ///
    /// # Errors
    /// If the system refuses.
    pub fn try_signal(&self, signal: Signal) -> io::Result<()> {
        let pid = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw);
        let pid = pid.ok_or_else(|| io::Error::other("not a process ID"))?;
        Ok(kill_process(pid, signal)?)
    }

    /// Sends it a signal.
    ///
    /// # Panics
    /// If the system refuses.
    #[track_caller]
    pub fn signal(&self, signal: Signal) {
        self.try_signal(signal).unwrap_or_else(|error| panic!("cannot send {signal:?}: {error}"));
    }

    /// Stops it with SIGSTOP, and waits until all its threads stand still.
    ///
    /// # Panics
    /// If it does not stop within [`PATIENCE`].
    #[track_caller]
    pub fn stop(&self) {
        self.signal(Signal::STOP);
        let tasks = format!("/proc/{}/task", self.id());
        wait_until("a child has stopped", || {
            let stats = fs::read_dir(&tasks).into_iter().flatten().flatten();
            let stats: Vec<_> = stats.map(|task| fs::read_to_string(task.path().join("stat"))).collect();
            // The state stands behind the name, which is in parentheses and may hold anything.
            let is_stopped =
                |stat: &str| stat.rsplit_once(") ").is_some_and(|(_, rest)| rest.starts_with('T'));
            !stats.is_empty() && stats.iter().all(|stat| stat.as_deref().is_ok_and(is_stopped))
        });
    }

    /// Kills it, and leaves what it has started.
    ///
    /// # Panics
    /// If the system refuses.
    #[track_caller]
    pub fn kill(&mut self) {
        self.child.kill().unwrap_or_else(|error| panic!("cannot kill a child: {error}"));
        self.wait();
    }

    /// How it has ended, if it has.
    ///
    /// # Errors
    /// If the system does not tell.
    pub fn try_wait(&mut self) -> io::Result<Option<ExitStatus>> {
        self.child.try_wait()
    }

    /// Whether it has not ended.
    ///
    /// # Panics
    /// If the system does not tell.
    #[track_caller]
    pub fn is_running(&mut self) -> bool {
        self.ended().is_none()
    }

    #[track_caller]
    fn ended(&mut self) -> Option<ExitStatus> {
        self.try_wait().unwrap_or_else(|error| panic!("cannot wait for a child: {error}"))
    }

    /// Waits for its end.
    ///
    /// # Panics
    /// If it does not end within [`PATIENCE`].
    #[track_caller]
    pub fn wait(&mut self) -> ExitStatus {
        self.wait_within(PATIENCE)
    }

    /// Waits for its end.
    ///
    /// # Panics
    /// If it takes longer than `patience`.
    #[track_caller]
    pub fn wait_within(&mut self, patience: Duration) -> ExitStatus {
        let mut backoff = Backoff::within(patience);
        loop {
            if let Some(status) = self.ended() {
                return status;
            }
            assert!(backoff.pause(), "a child does not end");
        }
    }

    /// Waits for its end; what it has written, of the streams that are pipes.
    ///
    /// # Panics
    /// If it does not end within [`PATIENCE`].
    #[track_caller]
    pub fn output(mut self) -> Output {
        drop(self.child.stdin.take());
        let (out, err) = (reading(self.child.stdout.take()), reading(self.child.stderr.take()));
        let status = self.wait();
        // A descendant may hold the pipe open.
        let all = |pipe: Receiver<Vec<u8>>| pipe.recv_timeout(PATIENCE).expect("a pipe stays open");
        Output { status, stdout: all(out), stderr: all(err) }
    }
}

/// Reads a pipe in a thread of its own, so that none fills up while another is read.
fn reading(pipe: Option<impl Read + Send + 'static>) -> Receiver<Vec<u8>> {
    let (give, all) = sync_channel(1);
    std::thread::spawn(move || {
        let mut bytes = Vec::new();
        if let Some(mut pipe) = pipe {
            // What came before an error is shown.
            pipe.read_to_end(&mut bytes).unwrap_or_default();
        }
        // The test may have failed meanwhile.
        give.send(bytes).unwrap_or_default();
    });
    all
}

impl Drop for Guarded {
    fn drop(&mut self) {
        // Both fail only if it has ended already. What it has started goes with the mark, after this.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

#[cfg(test)]
mod tests {
    use std::{io::BufRead as _, path::Path, process::Stdio};

    use super::*;

    /// A shell whose child, which it names, has a child of its own in the background and no parent any more.
    fn with_orphan() -> (Guarded, u32) {
        let mut command = Command::new("sh");
        command.args(["-c", "sh -c 'sleep 600 & echo $!'; exec sleep 600"]).stdout(Stdio::piped());
        let mut shell = Guarded::start(&mut command);
        let mut line = String::new();
        io::BufReader::new(shell.stdout()).read_line(&mut line).unwrap();
        let orphan = line.trim().parse().unwrap();
        // While a process becomes another program it has no environment for a moment.
        let sleeps =
            |pid: u32| fs::read_to_string(format!("/proc/{pid}/comm")).is_ok_and(|name| name == "sleep\n");
        crate::wait_until("both sleep", || {
            sleeps(shell.id()) && sleeps(orphan) && runs(shell.id()) && runs(orphan)
        });
        (shell, orphan)
    }

    fn runs(pid: u32) -> bool {
        // An orphan that nobody waits for stays there without an environment.
        fs::read(Path::new("/proc").join(pid.to_string()).join("environ")).is_ok_and(|all| !all.is_empty())
    }

    #[test]
    fn nothing_that_a_child_has_started_outlives_its_handle() {
        let (shell, orphan) = with_orphan();
        assert!(runs(shell.id()) && runs(orphan));
        let shell_id = shell.id();
        drop(shell);
        assert!(!runs(shell_id) && !runs(orphan));
    }

    #[test]
    fn a_panic_leaves_nothing_either() {
        let (tell, told) = sync_channel(2);
        let failing = std::thread::spawn(move || {
            let (shell, orphan) = with_orphan();
            tell.send([shell.id(), orphan]).unwrap();
            panic!("on purpose");
        });
        assert!(failing.join().is_err());
        assert!(!told.recv().unwrap().into_iter().any(runs));
    }

    #[test]
    fn what_another_child_has_started_stays() {
        let (shell, orphan) = with_orphan();
        drop(with_orphan());
        assert!(runs(shell.id()) && runs(orphan));
    }

    #[test]
    fn a_signal_arrives_and_the_output_is_whole() {
        let mut command = Command::new("sh");
        command.args(["-c", "trap 'echo caught >&2; exit 3' TERM; echo begun; while :; do sleep 0.01; done"]);
        let mut shell = Guarded::start(command.stdout(Stdio::piped()).stderr(Stdio::piped()));
        let mut begun = [0; 6];
        shell.child.stdout.as_mut().unwrap().read_exact(&mut begun).unwrap();
        assert!(shell.is_running());
        shell.signal(Signal::TERM);
        let output = shell.output();
        assert_eq!(
            (output.status.code(), &*output.stdout, &*output.stderr),
            (Some(3), &b""[..], &b"caught\n"[..])
        );
    }
}
