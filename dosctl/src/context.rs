//! What a command needs to run: which peerd to ask, and a screen to show the answer on.

use std::{
    ffi::OsString,
    io::{self, IsTerminal},
    time::Duration,
};

use dos_protocol::{
    Code, WireError,
    control::{Command, Event, FromPeerd, MessagesQuery, Outcome, Progress, Spends, Step, ToPeerd},
    paths::Environment,
};

use crate::{
    cli::Global,
    client::{Client, ClientError},
    error::Error,
    output::{Screen, Stream},
    pieces::Pieces,
    profiles,
    progress::{Meter, Reporting},
    target::Target,
};

/// peerd answers within its own bounds (connecting, signing in, the directory's answer), all well below this.
const PATIENCE: Duration = Duration::from_secs(90);

/// A command's surroundings.
#[derive(Debug)]
pub(crate) struct Context {
    global: Global,
    /// Where answers are shown.
    pub(crate) screen: Screen,
    /// How progress is reported.
    pub(crate) reporting: Reporting,
}

impl Context {
    #[must_use]
    pub(crate) fn new(global: Global) -> Self {
        let screen = Screen::of_process(global.json);
        let reporting = if screen.shows_progress() { Reporting::Bar } else { Reporting::Silent };
        Self { global, screen, reporting }
    }

    /// The same, with lines of JSON for progress, if `wanted` and documents are JSON.
    #[must_use]
    pub(crate) fn reporting_to(&self, stream: Stream, wanted: bool) -> Self {
        let lines = wanted && self.screen.is_json();
        let reporting = if lines { Reporting::Lines(stream) } else { self.reporting };
        Self { global: self.global.clone(), screen: self.screen, reporting }
    }

    /// The same for one of several commands at once, whose progress is shown by another.
    #[must_use]
    pub(crate) fn reporting_nothing(&self) -> Self {
        Self { global: self.global.clone(), screen: self.screen, reporting: Reporting::Silent }
    }

    /// Whether a person can be asked: one types what is read, sees what is written, and reads text.
    #[must_use]
    pub(crate) fn can_ask(&self) -> bool {
        !self.screen.is_json() && io::stdin().is_terminal() && io::stderr().is_terminal()
    }

    /// The variables by which a command run by this one finds the same peerd.
    ///
    /// # Errors
    /// As in [`Context::target`].
    pub(crate) fn environment(&self) -> Result<Vec<(&'static str, OsString)>, WireError> {
        let target = self.target()?;
        let socket = target.sockets().find(|path| path.exists()).unwrap_or_else(|| target.socket.clone());
        let mut variables = vec![("DOSCTL_SOCKET", socket.into_os_string())];
        if let Some(profile) = target.profile {
            variables.push(("DOSCTL_PROFILE", String::from(profile).into()));
        }
        Ok(variables)
    }

    /// The peerd that the options name.
    ///
    /// # Errors
    /// As in [`Target::of_profile`].
    pub(crate) fn target(&self) -> Result<Target, WireError> {
        match &self.global.socket {
            Some(socket) => Ok(Target::of_socket(socket)),
            None => Target::of_profile(&self.global.profile, &Environment::of_process()),
        }
    }

    /// Sends `command` on a connection of its own, for what every peerd knows how to end: a file that follows, a picture, a
    /// stream of events.
    ///
    /// # Errors
    /// If peerd is not there.
    pub(crate) fn start(&self, command: Command) -> Result<Client, Error> {
        self.send(ToPeerd::Do(Box::new(command)))
    }

    fn send(&self, message: ToPeerd) -> Result<Client, Error> {
        let (ToPeerd::Do(command) | ToPeerd::Perform(command)) = &message else { return Err(unexpected()) };
        let patience = match &**command {
            // How long these take depends on another person, or on the size of an image.
            Command::Wait { .. }
            | Command::Watch { .. }
            | Command::Messages(MessagesQuery { wait: true, .. })
            | Command::Add { .. }
            | Command::AddAs { .. }
            | Command::Later { .. }
            | Command::Fetch(_)
            | Command::View { .. }
            | Command::Checkout { .. } => None,
            _ => Some(PATIENCE),
        };
        let target = self.target()?;
        let mut client = match Client::connect(&target, patience) {
            Ok(client) => client,
            Err(error @ ClientError::NotRunning(..)) => return Err(profiles::with_running(error, &target)),
            Err(error) => return Err(error.into()),
        };
        match client.send(&message) {
            // It may have sent the reason before it closed: that is read as the answer.
            Ok(()) | Err(ClientError::HungUp) => Ok(client),
            Err(error) => Err(error.into()),
        }
    }

    /// Has peerd do `command`, and `show` show the outcome.
    ///
    /// # Errors
    /// What peerd or `show` reports, or that peerd is not there.
    pub(crate) fn run(
        &self,
        command: Command,
        show: impl FnOnce(Outcome) -> Result<(), Error>,
    ) -> Result<(), Error> {
        let waits = is_change(&command);
        let (client, outcome) = self.perform(command)?;
        show(outcome)?;
        if waits {
            client.shown();
        }
        Ok(())
    }

    /// Has peerd do `command`, which changes nothing.
    ///
    /// # Errors
    /// What peerd reports, or that it is not there.
    pub(crate) fn ask(&self, command: Command) -> Result<Outcome, Error> {
        self.perform(command).map(|(_, outcome)| outcome)
    }

    /// Has peerd do `command`: the outcome, and the connection that waits to hear that it was shown. A peerd that still runs after an upgrade is asked
    /// in the words that it knows: it then takes every outcome for shown.
    ///
    /// # Errors
    /// What peerd reports, or that it is not there.
    pub(crate) fn perform(&self, command: Command) -> Result<(Client, Outcome), Error> {
        let mut client = self.send(ToPeerd::Perform(Box::new(command.clone())))?;
        let outcome = match self.answer(&mut client, &mut no_data) {
            Err(Error::Told(error)) if error.code == Code::Unsupported => {
                client = self.start(command)?;
                self.answer(&mut client, &mut no_data)
            }
            answered => answered,
        };
        Ok((client, outcome?))
    }

    /// As [`Context::ask`], with its progress for `report`.
    ///
    /// # Errors
    /// What peerd reports, or that it is not there.
    pub(crate) fn ask_reporting(
        &self,
        command: Command,
        report: &mut dyn FnMut(Progress),
    ) -> Result<Outcome, Error> {
        let mut client = self.start(command)?;
        loop {
            match client.receive()? {
                FromPeerd::Progress(progress) => report(progress),
                FromPeerd::Done(outcome) => return Pieces::default().end(*outcome),
                FromPeerd::Failed(error) => return Err(error.into()),
                FromPeerd::Data(_) | FromPeerd::Part(_) | FromPeerd::Ready { .. } | FromPeerd::Event(_) => {
                    return Err(unexpected());
                }
            }
        }
    }

    /// The outcome on a connection; meanwhile progress is reported, and an image's bytes go to `taker`.
    ///
    /// # Errors
    /// What peerd or `taker` reports, or that peerd went away.
    pub(crate) fn answer(&self, client: &mut Client, taker: &mut dyn Taker) -> Result<Outcome, Error> {
        let mut meter = Meter::new(self.reporting);
        let mut opening = None;
        let mut pieces = Pieces::default();
        loop {
            match client.receive()? {
                FromPeerd::Progress(progress) => {
                    if progress.step == Step::Opening {
                        opening = Some(progress);
                    }
                    meter.report(progress);
                }
                FromPeerd::Data(piece) => {
                    taker.take(&piece)?;
                    if let Some(progress) = &mut opening {
                        let count = u64::try_from(piece.len()).unwrap_or(u64::MAX);
                        progress.done = progress.done.saturating_add(count);
                        meter.report(*progress);
                    }
                }
                FromPeerd::Ready { bytes, spends } => {
                    // Whoever is asked something now must be able to read it.
                    meter.clear();
                    taker.prepare(bytes, spends)?;
                    client.send(&ToPeerd::Go)?;
                }
                FromPeerd::Part(piece) => pieces.add(*piece)?,
                FromPeerd::Done(last) => return pieces.end(*last),
                FromPeerd::Failed(error) => return Err(error.into()),
                FromPeerd::Event(_) => return Err(unexpected()),
            }
        }
    }

    /// Gives every event to `show` until peerd ends it. One that only a newer peerd knows is skipped with a line on standard
    /// error.
    ///
    /// # Errors
    /// What peerd or `show` reports, or that peerd went away.
    pub(crate) fn follow(
        &self,
        command: Command,
        show: &mut dyn FnMut(&Event) -> Result<(), Error>,
    ) -> Result<(), Error> {
        let mut client = self.start(command)?;
        loop {
            match client.receive_known(&mut |kind| self.screen.skipped(kind))? {
                FromPeerd::Event(event) => show(&event)?,
                FromPeerd::Done(_) => return Ok(()),
                FromPeerd::Failed(error) => return Err(error.into()),
                FromPeerd::Progress(_)
                | FromPeerd::Data(_)
                | FromPeerd::Part(_)
                | FromPeerd::Ready { .. } => return Err(unexpected()),
            }
        }
    }
}

/// Takes the bytes of an image.
pub(crate) trait Taker {
    /// Makes room for this many bytes, and makes sure that they are wanted at that price; until it has, nothing is spent for them.
    /// May come again, with another number.
    ///
    /// # Errors
    /// If there is none, or they are not.
    fn prepare(&mut self, bytes: u64, spends: Option<Spends>) -> Result<(), Error>;

    /// Takes the next ones.
    ///
    /// # Errors
    /// If they have no place to go.
    fn take(&mut self, piece: &[u8]) -> Result<(), Error>;
}

/// For answers before which nothing is announced.
impl<F: FnMut(&[u8]) -> Result<(), Error>> Taker for F {
    fn prepare(&mut self, _: u64, _: Option<Spends>) -> Result<(), Error> {
        Err(unexpected())
    }

    fn take(&mut self, piece: &[u8]) -> Result<(), Error> {
        self(piece)
    }
}

/// Whether peerd keeps the outcome until it has been shown: the same command given before that gets the same outcome, and
/// nothing is done twice.
fn is_change(command: &Command) -> bool {
    match command {
        Command::Register { .. }
        | Command::Recover { .. }
        | Command::SetPassword(_)
        | Command::Login { .. }
        | Command::Logout
        | Command::Name(_)
        | Command::Unregister
        | Command::Server(_)
        | Command::Add { .. }
        | Command::Remove(_)
        | Command::Rename { .. }
        | Command::Share { .. }
        | Command::Request { .. }
        | Command::Cancel(_)
        | Command::Approve { .. }
        | Command::Deny { .. }
        | Command::Checkout { .. }
        | Command::Checkin(_)
        | Command::Send { .. }
        | Command::Broadcast(_)
        | Command::Messages(_)
        | Command::Block(_)
        | Command::Unblock(_)
        | Command::Trust { .. }
        | Command::KeepKey(_)
        | Command::Many(_)
        | Command::Group { .. }
        | Command::AddAs { .. }
        | Command::Set { .. }
        | Command::Later { .. }
        | Command::Invite(_)
        | Command::RevokeInvite(_)
        | Command::Join(_) => true,
        // A view is over before its picture comes.
        Command::View { .. }
        | Command::Status
        | Command::Wait { .. }
        | Command::List(_)
        | Command::Newest { .. }
        | Command::Resolve(_)
        | Command::Preview(_)
        | Command::Shares { .. }
        | Command::Requests { .. }
        | Command::Fetch(_)
        | Command::Watch { .. }
        | Command::News { .. }
        | Command::Blocks
        | Command::Ping(_)
        | Command::Explain(_)
        | Command::Netcheck
        | Command::Card
        | Command::Contacts
        | Command::Groups
        | Command::Albums
        | Command::Album { .. }
        | Command::Invites
        | Command::Gallery
        | Command::Inspect(_) => false,
    }
}

/// Takes the bytes of an answer that has none.
///
/// # Errors
/// Always.
pub(crate) fn no_data(_: &[u8]) -> Result<(), Error> {
    Err(unexpected())
}

/// That an answer does not belong to its command.
#[must_use]
pub(crate) fn unexpected() -> Error {
    ClientError::Unexpected.into()
}
