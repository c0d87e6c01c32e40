//! A client: one thread that does random things as one peer, one after the other, and writes down what came of them.
//!
//! A change whose outcome is unknown (the daemon died, the directory was gone, the answer was lost) is given again until it is
//! known, as a person would do it. Views are not: what became of a view that broke off stays unknown.

use std::{
    io::{Read as _, Write as _},
    net::Shutdown,
    os::unix::net::UnixStream,
    path::PathBuf,
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use dos_protocol::{
    Allowance, Code, ImageArg, Reason, WireError,
    control::{Command, FromPeerd, Outcome, RequestArg, SessionState, ToPeerd},
    directory::ViewsChange,
    frame,
};
use dos_testing::Backoff;

use super::{
    Dice,
    record::{Action, Ended, Entry, Grant, Image, Record, Who},
};
use crate::pictures;

/// An operation that has no outcome after so long is stuck.
const OUTCOME_TIME_MAX: Duration = Duration::from_secs(120);

/// peerd says something within this time, be it an error.
const REPLY_TIME_MAX: Duration = Duration::from_secs(60);

/// Of so many changes one is given up by its client as soon as it was sent.
const ABANDONED: usize = 12;

/// The peers that block each other now and then. They share nothing, so a block never decides about a grant.
const QUARREL: [Who; 2] = [3, 4];

/// What clients and campaign share.
#[derive(Debug, Default)]
pub(crate) struct Shared {
    pub(crate) record: Record,
    /// Numbers that are used once.
    next: AtomicU64,
    /// Operations that are still to be begun.
    pub(crate) budget: AtomicU64,
}

impl Shared {
    fn number(&self) -> u64 {
        self.next.fetch_add(1, Ordering::SeqCst)
    }

    /// Takes one operation from the budget.
    fn take(&self) -> bool {
        self.budget.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1)).is_ok()
    }
}

/// What peerd has said to one command.
struct Reply {
    /// Nothing, if it hung up before.
    outcome: Option<Result<Outcome, WireError>>,
    data: Vec<u8>,
}

impl Reply {
    const NONE: Self = Self { outcome: None, data: Vec::new() };
}

pub(crate) struct Client {
    who: Who,
    names: &'static [&'static str],
    socket: PathBuf,
    dice: Dice,
    /// Images that are not shared.
    loose: Vec<String>,
    is_out: bool,
}

impl Client {
    pub(crate) fn new(who: Who, names: &'static [&'static str], socket: PathBuf, seed: u64) -> Self {
        let dice = Dice(seed.wrapping_mul(31).wrapping_add(u64::try_from(who).unwrap()));
        Self { who, names, socket, dice, loose: Vec::new(), is_out: false }
    }

    /// The picture that an owner publishes.
    pub(crate) fn picture(owner: Who, image: Image) -> Vec<u8> {
        pictures::jpeg(u8::try_from(owner * 2 + usize::from(image == Image::Dunes)).unwrap())
    }

    /// Does things until the budget is used up, and is online then.
    pub(crate) fn run(&mut self, shared: &Shared) {
        while shared.take() {
            self.operate(shared);
        }
        if self.is_out {
            self.login(shared);
        }
    }

    fn operate(&mut self, shared: &Shared) {
        if self.is_out {
            return match self.dice.below(4) {
                0 => self.login(shared),
                1 => self.status(shared),
                _ => self.view(shared, true),
            };
        }
        match self.dice.below(100) {
            0..6 => self.publish(shared),
            6..10 => self.rename(shared),
            10..13 => self.remove(shared),
            13..25 => self.add(shared),
            25..33 => self.set(shared),
            33..37 => self.revoke(shared),
            37..43 => self.request(shared),
            43..50 => self.answer(shared),
            50..67 => self.view(shared, false),
            67..74 => self.view(shared, true),
            74..79 => self.checkout(shared),
            79..82 => self.checkin(shared),
            82..94 => self.send(shared),
            94..97 => self.block(shared),
            _ => self.logout(shared),
        }
    }

    /// Waits until peerd is there: what was not even said to it is no operation.
    fn connect(&self) -> UnixStream {
        let mut patience = Backoff::within(OUTCOME_TIME_MAX);
        loop {
            match UnixStream::connect(&self.socket) {
                Ok(stream) => return stream,
                Err(error) => assert!(patience.pause(), "peerd is not there: {error}"),
            }
        }
    }

    /// Talks to peerd: `messages` one after the other, then reads to the outcome. `write_down` comes before peerd is told that the
    /// outcome was shown: what was not written down was not seen.
    fn talk(
        &self,
        messages: &[ToPeerd],
        is_abandoned: bool,
        write_down: impl FnOnce(&Reply) -> bool,
    ) -> Reply {
        let mut stream = self.connect();
        stream.set_read_timeout(Some(REPLY_TIME_MAX)).unwrap();
        for message in messages {
            if stream.write_all(&frame::to_frame(message).unwrap()).is_err() {
                return Reply::NONE;
            }
        }
        if is_abandoned {
            // Until peerd has noticed, the command is not over, and the same one would be another.
            drop(stream.shutdown(Shutdown::Write));
            drop(stream.read_to_end(&mut Vec::new()));
            return Reply::NONE;
        }
        let mut reply = Reply::NONE;
        while let Ok(Some(body)) = frame::read_blocking(&mut stream) {
            match frame::decode(&body).unwrap() {
                FromPeerd::Data(piece) => reply.data.extend(piece),
                FromPeerd::Failed(error) => {
                    reply.outcome = Some(Err(error));
                    break;
                }
                FromPeerd::Done(outcome) => {
                    reply.outcome = Some(Ok(*outcome));
                    break;
                }
                FromPeerd::Progress(_)
                | FromPeerd::Event(_)
                | FromPeerd::Part(_)
                | FromPeerd::Ready { .. } => {}
            }
        }
        // After an error peerd waits for nothing more, and neither must this.
        if write_down(&reply) && matches!(reply.outcome, Some(Ok(_))) {
            // It hangs up when it has noted that this was seen.
            drop(stream.write_all(&frame::to_frame(&ToPeerd::Shown).unwrap()));
            drop(frame::read_blocking(&mut stream));
        }
        reply
    }

    fn ask(&self, query: Command) -> Option<Outcome> {
        self.talk(&[ToPeerd::Do(Box::new(query))], false, |_| true).outcome?.ok()
    }

    /// Gives a command until its outcome is known, and writes that down. What was asked may only be known from the outcome.
    fn change(
        &mut self,
        shared: &Shared,
        messages: &[ToPeerd],
        action: impl Fn(Option<&Outcome>) -> Action,
    ) -> Option<Outcome> {
        let invoked = shared.record.tick();
        let mut is_abandoned = self.dice.below(ABANDONED) == 0;
        let mut patience = Backoff::within(OUTCOME_TIME_MAX);
        loop {
            let epoch = shared.record.epoch();
            let write = |reply: Option<&Outcome>, outcome| {
                let (client, action, ended) = (self.who, action(reply), shared.record.tick());
                shared.record.write(epoch, Entry { client, action, invoked, ended, outcome })
            };
            let mut is_written = false;
            let write_down = |reply: &Reply| {
                // peerd may be finishing the same publication by itself just now: names are used once, so it can be no other.
                let is_busy = |outcome: &Result<Outcome, WireError>| {
                    outcome.as_ref().is_err_and(|error| error.code == Code::Conflict)
                };
                let is_upload = messages.len() > 1;
                let outcome = match &reply.outcome {
                    Some(outcome) if is_upload && is_busy(outcome) => Ended::Unknown,
                    outcome => ended(outcome.as_ref()),
                };
                let known = reply.outcome.as_ref().and_then(|outcome| outcome.as_ref().ok());
                is_written = outcome != Ended::Unknown && write(known, outcome);
                is_written
            };
            let reply = self.talk(messages, std::mem::take(&mut is_abandoned), write_down);
            if is_written || (!patience.pause() && write(None, Ended::Unknown)) {
                return reply.outcome.and_then(Result::ok);
            }
        }
    }

    fn perform(&mut self, shared: &Shared, command: Command, action: Action) -> Option<Outcome> {
        let messages = [ToPeerd::Perform(Box::new(command))];
        self.change(shared, &messages, |_| action.clone())
    }

    fn other(&mut self) -> Who {
        (self.who + 1 + self.dice.below(self.names.len() - 1)) % self.names.len()
    }

    /// Another one with which images are shared.
    fn partner(&mut self) -> Who {
        loop {
            let other = self.other();
            if !(QUARREL.contains(&self.who) && QUARREL.contains(&other)) {
                return other;
            }
        }
    }

    fn image(&self, grant: Grant) -> ImageArg {
        format!("{}/{}", self.names[grant.owner], grant.image.name()).parse().unwrap()
    }

    pub(crate) fn publish_shared(&mut self, shared: &Shared) {
        for image in Image::ALL {
            self.upload(shared, image.name().to_owned(), &Self::picture(self.who, image));
        }
    }

    fn upload(&mut self, shared: &Shared, name: String, file: &[u8]) -> bool {
        let add = Command::Add { name: name.parse().unwrap(), replace: false, options: None };
        let messages =
            [ToPeerd::Perform(Box::new(add)), ToPeerd::Data(file.to_vec()), ToPeerd::Data(Vec::new())];
        self.change(shared, &messages, |_| Action::Publish(name.clone())).is_some()
    }

    fn publish(&mut self, shared: &Shared) {
        let number = shared.number();
        let name = format!("picture{number}");
        let file = pictures::jpeg(u8::try_from(50 + number % 200).unwrap());
        if self.upload(shared, name.clone(), &file) {
            self.loose.push(name);
        }
    }

    fn rename(&mut self, shared: &Shared) {
        if self.loose.is_empty() {
            return self.publish(shared);
        }
        let at = self.dice.below(self.loose.len());
        let (name, new) = (self.loose[at].clone(), format!("picture{}", shared.number()));
        let command = Command::Rename { name: name.parse().unwrap(), new: new.parse().unwrap() };
        if self.perform(shared, command, Action::Rename(name, new.clone())).is_some() {
            self.loose[at] = new;
        }
    }

    fn remove(&mut self, shared: &Shared) {
        let Some(name) = self.loose.pop() else { return self.publish(shared) };
        self.perform(shared, Command::Remove(name.parse().unwrap()), Action::Remove(name));
    }

    fn share(&mut self, shared: &Shared, grant: Grant, views: ViewsChange, action: Action) {
        // A month and so many seconds: so no command is like another one.
        let expires = Duration::from_secs(30 * 86_400 + shared.number());
        let is_revoked = views == ViewsChange::Revoke;
        let command = Command::Share {
            name: grant.image.name().parse().unwrap(),
            viewer: self.names[grant.viewer].parse().unwrap(),
            views,
            expires: (!is_revoked).then_some(expires),
            allow_offline: (!is_revoked).then_some(grant.image == Image::Sea),
        };
        self.perform(shared, command, action);
    }

    fn given(&mut self, image: Image) -> Grant {
        Grant { owner: self.who, viewer: self.partner(), image }
    }

    fn received(&mut self, image: Image) -> Grant {
        Grant { owner: self.partner(), viewer: self.who, image }
    }

    fn add(&mut self, shared: &Shared) {
        let (grant, views) = (self.given(Image::Sea), self.dice.some(4));
        self.share(shared, grant, ViewsChange::Add(views), Action::Add(grant, views));
    }

    fn set(&mut self, shared: &Shared) {
        let (grant, views) = (self.given(Image::Dunes), self.dice.some(4));
        let change = ViewsChange::Set(Allowance::Views(views));
        self.share(shared, grant, change, Action::Set(grant, views));
    }

    fn revoke(&mut self, shared: &Shared) {
        let grant = self.given(Image::Dunes);
        self.share(shared, grant, ViewsChange::Revoke, Action::Revoke(grant));
    }

    fn request(&mut self, shared: &Shared) {
        let grant = self.received(Image::Sea);
        let command = Command::Request {
            image: self.image(grant),
            views: self.dice.some(3),
            note: Some(format!("note {}", shared.number()).into()),
            offline: false,
        };
        self.change(shared, &[ToPeerd::Perform(Box::new(command))], |outcome| match outcome {
            Some(Outcome::Request { request, .. }) => Action::Request(grant, request.request),
            _ => Action::Request(grant, 0),
        });
    }

    fn answer(&mut self, shared: &Shared) {
        let pending = Command::Requests { incoming: true, outgoing: true, all: false };
        let Some(Outcome::Requests { incoming, outgoing, .. }) = self.ask(pending) else { return };
        let number = |name: &Option<dos_protocol::PeerName>| {
            self.names.iter().position(|known| name.as_ref().is_some_and(|name| name.as_str() == *known))
        };
        let asked = incoming.first().and_then(|one| Some((one.request, number(&one.from_name)?)));
        match (asked, outgoing.last(), self.dice.below(4)) {
            (_, Some(mine), 0) => {
                self.perform(shared, Command::Cancel(mine.request), Action::Cancel(mine.request));
            }
            (Some((request, _)), _, 1) => {
                let deny = Command::Deny { request: RequestArg::Access(request), reason: Some("no".into()) };
                self.perform(shared, deny, Action::Deny(request));
            }
            (Some((request, viewer)), ..) => {
                let grant = Grant { owner: self.who, viewer, image: Image::Sea };
                let views = self.dice.some(3);
                let request_arg = RequestArg::Access(request);
                let command =
                    Command::Approve { request: request_arg, views: Some(views), allow_offline: Some(true) };
                self.perform(shared, command, Action::Approve(grant, request, views));
            }
            _ => {}
        }
    }

    fn view(&mut self, shared: &Shared, offline: bool) {
        let image = if offline || self.dice.below(2) == 0 { Image::Sea } else { Image::Dunes };
        let grant = self.received(image);
        let command = Command::View { image: self.image(grant), offline, asks: false };
        let (invoked, epoch) = (shared.record.tick(), shared.record.epoch());
        let reply = self.talk(&[ToPeerd::Do(Box::new(command))], false, |_| true);
        let outcome = ended(reply.outcome.as_ref());
        let is_it = reply.data == Self::picture(grant.owner, image);
        assert!(outcome != Ended::Ok || is_it, "another picture than that of {grant:?}");
        let entry = |shown, outcome| Entry {
            client: self.who,
            action: Action::View { grant, offline, shown },
            invoked,
            ended: shared.record.tick(),
            outcome,
        };
        if !shared.record.write(epoch, entry(!reply.data.is_empty(), outcome)) {
            // It was shown in a world that is gone, and perhaps counted in this one.
            shared.record.write(shared.record.epoch(), entry(false, Ended::Unknown));
        }
    }

    /// Asked for once: views whose checkout was not seen are held all the same, and the same again would be more.
    fn checkout(&mut self, shared: &Shared) {
        let (grant, views) = (self.received(Image::Sea), self.dice.some(3));
        let command = Command::Checkout { image: self.image(grant), views };
        let is_abandoned = self.dice.below(ABANDONED) == 0;
        let (invoked, epoch) = (shared.record.tick(), shared.record.epoch());
        let reply = self.talk(&[ToPeerd::Perform(Box::new(command))], is_abandoned, |_| true);
        let entry = |outcome| Entry {
            client: self.who,
            action: Action::Checkout(grant, views),
            invoked,
            ended: shared.record.tick(),
            outcome,
        };
        if !shared.record.write(epoch, entry(ended(reply.outcome.as_ref()))) {
            shared.record.write(shared.record.epoch(), entry(Ended::Unknown));
        }
    }

    fn checkin(&mut self, shared: &Shared) {
        let grant = self.received(Image::Sea);
        self.check_in(shared, grant);
    }

    /// Gives back what is held until nothing is: one whose outcome was not seen would be answered a second time.
    pub(crate) fn check_in(&mut self, shared: &Shared, grant: Grant) {
        for _ in 0..3 {
            let command = Command::Checkin(self.image(grant));
            if self.perform(shared, command, Action::Checkin(grant)).is_none() {
                break;
            }
        }
    }

    fn send(&mut self, shared: &Shared) {
        let (to, text) = (self.other(), format!("message {}", shared.number()));
        let name = self.names[to].parse().unwrap();
        let command = Command::Send { to: name, text: text.as_str().into(), direct: false };
        self.perform(shared, command, Action::Send { to, text });
    }

    /// Everybody has sent everybody a message: they know each other.
    pub(crate) fn greet(&mut self, shared: &Shared) {
        for step in 1..self.names.len() {
            let to = (self.who + step) % self.names.len();
            let (name, text) = (self.names[to].parse().unwrap(), format!("message {}", shared.number()));
            let command = Command::Send { to: name, text: text.as_str().into(), direct: false };
            self.perform(shared, command, Action::Send { to, text });
        }
    }

    fn block(&mut self, shared: &Shared) {
        let Some(other) = QUARREL.iter().find(|who| **who != self.who) else { return };
        if !QUARREL.contains(&self.who) {
            return self.send(shared);
        }
        let name = self.names[*other].parse().unwrap();
        let (command, action) = match self.dice.below(2) {
            0 => (Command::Block(name), Action::Block(*other)),
            _ => (Command::Unblock(name), Action::Unblock(*other)),
        };
        self.perform(shared, command, action);
    }

    fn logout(&mut self, shared: &Shared) {
        self.perform(shared, Command::Logout, Action::Logout);
        self.is_out = true;
    }

    fn login(&mut self, shared: &Shared) {
        self.perform(shared, Command::Login { force: false }, Action::Login);
        self.is_out = false;
    }

    fn status(&self, shared: &Shared) {
        let (invoked, epoch) = (shared.record.tick(), shared.record.epoch());
        let Some(Outcome::Status(status)) = self.ask(Command::Status) else { return };
        let action = Action::Status(status.state == SessionState::Online);
        let (client, ended) = (self.who, shared.record.tick());
        shared.record.write(epoch, Entry { client, action, invoked, ended, outcome: Ended::Ok });
    }
}

fn ended(outcome: Option<&Result<Outcome, WireError>>) -> Ended {
    match outcome {
        Some(Ok(_)) => Ended::Ok,
        Some(Err(error)) if is_final(error) => Ended::Fail,
        _ => Ended::Unknown,
    }
}

/// Whether the refusal speaks of the change itself: nothing was changed, and nothing will be.
fn is_final(error: &WireError) -> bool {
    let passing = matches!(error.code, Code::Offline | Code::Timeout | Code::Internal | Code::NoDaemon);
    !passing && error.reason != Some(Reason::Limit)
}
