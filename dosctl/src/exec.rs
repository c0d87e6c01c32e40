//! `watch --exec`: runs a command for each event, one after the other, in the order of the events.
//!
//! What always holds: events are read on while a command runs, so that peerd never waits for one; how many wait is bounded,
//! and those that find no room are counted and told as an event of their own; a signal that ends dosctl goes to the command
//! and its children first, and dosctl ends after them. A command that fails is reported, and the next event gets its own.

use std::{
    ffi::OsString,
    io::Write,
    os::unix::process::CommandExt,
    process::{Child, Command, ExitStatus, Stdio},
    sync::{
        Arc, Mutex, PoisonError,
        mpsc::{Receiver, SyncSender, TrySendError, sync_channel},
    },
};

use dos_host::signals::Ignored;
use dos_protocol::{
    Code, Timestamp, WireError,
    control::{self, Event, EventKind},
    directory::{Notice, NoticeKind},
};
use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, kill_process_group, waitid};
use signal_hook::{
    consts::{SIGHUP, SIGINT, SIGTERM},
    iterator::Signals,
    low_level,
};

use crate::{
    context::Context,
    error::{Error, cause_of},
    output::{Screen, json},
};

/// Events that wait for their command: as many as peerd keeps for a slow watcher.
const EVENTS_WAITING: usize = 1024;

/// Where events are handed to their commands; counts those that find no room.
#[derive(Debug)]
struct Queue {
    events: SyncSender<Event>,
    missed: u64,
}

impl Queue {
    fn put(&mut self, event: Event) -> Result<(), Gone> {
        if self.missed > 0 {
            match self.events.try_send(missed(self.missed, event.at)) {
                Ok(()) => self.missed = 0,
                Err(TrySendError::Full(_)) => {}
                Err(TrySendError::Disconnected(_)) => return Err(Gone),
            }
        }
        match self.events.try_send(event) {
            Ok(()) => Ok(()),
            Err(TrySendError::Full(_)) => {
                self.missed = self.missed.saturating_add(1);
                Ok(())
            }
            Err(TrySendError::Disconnected(_)) => Err(Gone),
        }
    }

    /// Tells of what found no room at the end, and waits for that room.
    fn close(self) {
        if self.missed > 0 {
            self.events.send(missed(self.missed, Timestamp::now())).unwrap_or_default();
        }
    }
}

/// The notice that events found no room, as peerd sends it when it cannot keep some.
fn missed(events: u64, at: Timestamp) -> Event {
    let text = format!("{events} events came too fast for their command").into();
    Event::new(at, EventKind::Notice(Notice { kind: NoticeKind::Missed, text }))
}

/// The worker that runs commands has ended.
struct Gone;

/// Runs `command` with `sh -c` for every event of `watch` until peerd ends it.
///
/// # Errors
/// What peerd reports, once the commands for the events before it are done; or that there is no shell.
pub(crate) fn run(context: &Context, watch: control::Command, command: OsString) -> Result<(), Error> {
    let runner = Runner {
        command,
        environment: context.environment()?,
        screen: context.screen,
        running: Running::begin().map_err(|error| no_shell(&error))?,
    };
    let (events, waiting) = sync_channel(EVENTS_WAITING);
    let worker = std::thread::Builder::new().name("exec".into()).spawn(move || runner.work(&waiting));
    let worker = worker.map_err(|error| no_shell(&error))?;
    let mut queue = Queue { events, missed: 0 };
    let ended = context.follow(watch, &mut |event| {
        // The reason is the worker's result.
        queue.put(event.clone()).map_err(|Gone| Error::new(Code::Internal, "the commands have ended"))
    });
    queue.close();
    match worker.join() {
        Ok(Ok(())) => ended,
        Ok(Err(error)) => Err(error),
        Err(_) => Err(Error::new(Code::Internal, "the commands have ended")),
    }
}

fn no_shell(error: &std::io::Error) -> WireError {
    WireError::new(Code::Internal, "cannot run commands").caused_by(cause_of(error))
}

struct Runner {
    command: OsString,
    environment: Vec<(&'static str, OsString)>,
    screen: Screen,
    running: Running,
}

impl Runner {
    fn work(&self, waiting: &Receiver<Event>) -> Result<(), Error> {
        while let Ok(event) = waiting.recv() {
            let document = json::Event::from(&event);
            let name = document.name();
            let status = self.one(name, &json::document(&document)?).map_err(|error| no_shell(&error))?;
            if !status.success() {
                let text = format!("the command for an event of kind \"{name}\" failed");
                let error = WireError::new(Code::Internal, text).caused_by(status.to_string());
                self.screen.fail(&error.into());
            }
        }
        Ok(())
    }

    fn one(&self, event: &str, line: &str) -> std::io::Result<ExitStatus> {
        let mut command = Command::new("/bin/sh");
        command.arg("-c").arg(&self.command).stdin(Stdio::piped());
        command.env("DOSCTL_EVENT", event).envs(self.environment.iter().cloned());
        // A group of its own, so that what the shell starts gets the signals too.
        command.process_group(0);
        let mut child = self.running.start(&mut command)?;
        if let Some(mut input) = child.stdin.take() {
            // A command may not care to read it.
            input.write_all(line.as_bytes()).unwrap_or_default();
        }
        self.running.finish(&mut child)
    }
}

/// The group of the command that runs.
#[derive(Debug, Clone, Default)]
struct Running(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    group: Option<Pid>,
    /// The signal that came.
    ending: Option<i32>,
}

impl Running {
    /// From now on signals are passed on.
    fn begin() -> std::io::Result<Self> {
        let running = Self::default();
        let mut signals = Signals::new(Ignored::of_process().handled(&[SIGINT, SIGTERM, SIGHUP]))?;
        let shared = running.clone();
        std::thread::Builder::new().name("signals".into()).spawn(move || {
            for signal in signals.forever() {
                shared.signal(signal);
            }
        })?;
        Ok(running)
    }

    fn signal(&self, signal: i32) {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let again = state.ending.replace(signal).is_some();
        match state.group {
            Some(group) => {
                if let Some(signal) = Signal::from_named_raw(signal) {
                    // It may have ended by itself.
                    kill_process_group(group, signal).unwrap_or_default();
                }
                // A second signal is for a command that ignores the first.
                if again {
                    low_level::exit(128 + signal);
                }
            }
            None => low_level::exit(128 + signal),
        }
    }

    fn start(&self, command: &mut Command) -> std::io::Result<Child> {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let child = command.spawn()?;
        state.group = i32::try_from(child.id()).ok().and_then(Pid::from_raw);
        Ok(child)
    }

    /// Waits for the command. Its number is given up only under the lock, so that no signal goes to another's.
    fn finish(&self, child: &mut Child) -> std::io::Result<ExitStatus> {
        if let Some(pid) = i32::try_from(child.id()).ok().and_then(Pid::from_raw) {
            let options = WaitIdOptions::EXITED | WaitIdOptions::NOWAIT;
            while matches!(waitid(WaitId::Pid(pid), options), Err(rustix::io::Errno::INTR)) {}
        }
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        state.group = None;
        let status = child.wait()?;
        if let Some(signal) = state.ending {
            low_level::exit(128 + signal);
        }
        Ok(status)
    }
}

#[cfg(test)]
mod tests {
    use dos_protocol::control::SessionState;

    use super::*;

    fn event(second: i64) -> Event {
        Event::new(Timestamp(second), EventKind::Session(SessionState::Online))
    }

    #[test]
    fn what_finds_no_room_is_counted_and_told_in_its_place() {
        let (events, waiting) = sync_channel(2);
        let mut queue = Queue { events, missed: 0 };
        for second in 0..5 {
            assert!(queue.put(event(second)).is_ok());
        }
        assert_eq!([waiting.recv().unwrap(), waiting.recv().unwrap()], [event(0), event(1)]);
        assert!(queue.put(event(6)).is_ok());
        assert_eq!(waiting.recv().unwrap(), super::missed(3, Timestamp(6)));
        assert_eq!(waiting.recv().unwrap(), event(6));
        drop(waiting);
        assert!(queue.put(event(7)).is_err());
    }
}
