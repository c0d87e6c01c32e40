//! A model of rights that fits on a page, and random operations of three peers: whatever happens, once a peer is signed in
//! it believes what the model says.

use std::collections::BTreeMap;

use dos_protocol::{
    Allowance, Code, ImageArg, Reason, Timestamp,
    control::{Command, Outcome, RequestArg},
    directory::{RequestState, ViewsChange},
    model::GrantState,
};
use dos_testing::Backoff;
use proptest::{
    prelude::*,
    test_runner::{Config, TestRunner},
};

use crate::{
    control::Control,
    pictures,
    stage::{PATIENCE, Peer, Stage},
};

const NAMES: [&str; 3] = ["alice", "bob", "carol"];

/// Each peer owns one image; a pair is (owner, viewer).
type Pair = (usize, usize);

#[derive(Debug, Clone)]
enum Op {
    Give(Pair, u32),
    Add(Pair, u32),
    Consent(Pair, bool),
    Revoke(Pair),
    Request(Pair, u32),
    Cancel(Pair),
    Approve(Pair, u32),
    Deny(Pair),
    View(Pair),
    Checkout(Pair, u32),
    Checkin(Pair),
    SignOut(usize),
    SignIn(usize),
    Restart(usize),
}

#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
struct Right {
    left: u32,
    used: u32,
    revoked: bool,
    /// Whether the owner allows checkouts.
    allowed: bool,
    returned: u32,
}

/// What is asked for: views, and whether to check them out.
type Asked = (u32, bool);

/// Every other number of views is asked for to check them out.
fn asked_for(views: u32) -> Asked {
    (views, views % 2 == 1)
}

/// The whole truth.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
struct Model {
    rights: BTreeMap<Pair, Right>,
    asked: BTreeMap<Pair, Asked>,
    held: BTreeMap<Pair, u32>,
    online: [bool; 3],
}

impl Model {
    /// What comes of an operation, if it is accepted; the refusal that it must get otherwise. For a view or a checkout
    /// whose owner is away it may also be refused because the copy is not here: that the caller has to allow.
    fn apply(&mut self, op: &Op) -> Result<(), Code> {
        let online = self.online;
        let need = |peer: usize| if online[peer] { Ok(()) } else { Err(Code::Offline) };
        match *op {
            Op::Give(pair, views) => need(pair.0).map(|()| self.give(pair, |_| views)),
            Op::Add(pair, views) => need(pair.0).map(|()| self.give(pair, |left| left + views)),
            Op::Consent(pair, allowed) => {
                need(pair.0)?;
                self.live(pair, Code::NotFound).map(|right| right.allowed = allowed)
            }
            Op::Revoke(pair) => {
                need(pair.0)?;
                let right = self.rights.get_mut(&pair).ok_or(Code::NotFound)?;
                (right.left, right.revoked, right.allowed) = (0, true, false);
                self.forget_held(pair);
                Ok(())
            }
            Op::Request(pair, views) => {
                need(pair.1)?;
                self.asked.insert(pair, asked_for(views));
                Ok(())
            }
            Op::Cancel(pair) => {
                need(pair.1)?;
                self.asked.remove(&pair).map(drop).ok_or(Code::NotFound)
            }
            Op::Approve(pair, views) => {
                need(pair.0)?;
                let (_, offline) = self.asked.remove(&pair).ok_or(Code::NotFound)?;
                self.give(pair, |left| left + views);
                if let (true, Some(right)) = (offline, self.rights.get_mut(&pair)) {
                    right.allowed = true;
                }
                Ok(())
            }
            Op::Deny(pair) => {
                need(pair.0)?;
                self.asked.remove(&pair).map(drop).ok_or(Code::NotFound)
            }
            Op::View(pair) if !self.online[pair.1] => self.use_held(pair),
            Op::View(pair) => self.spend(pair, 1),
            Op::Checkout(pair, views) => {
                need(pair.1)?;
                self.rights.get(&pair).filter(|right| right.allowed).ok_or(Code::Denied)?;
                self.spend(pair, views)?;
                *self.held.entry(pair).or_default() += views;
                Ok(())
            }
            Op::Checkin(pair) => {
                self.held.get(&pair).ok_or(Code::NotFound)?;
                need(pair.1)?;
                self.check_in(pair)
            }
            Op::SignOut(peer) => {
                self.online[peer] = false;
                Ok(())
            }
            Op::SignIn(peer) => {
                self.online[peer] = true;
                let revoked: Vec<_> = self
                    .rights
                    .iter()
                    .filter(|(pair, r)| pair.1 == peer && r.revoked)
                    .map(|(pair, _)| *pair)
                    .collect();
                revoked.into_iter().for_each(|pair| self.forget_held(pair));
                Ok(())
            }
            Op::Restart(_) => Ok(()),
        }
    }

    fn give(&mut self, pair: Pair, change: impl Fn(u32) -> u32) {
        let was_revoked = self.rights.get(&pair).is_some_and(|right| right.revoked);
        let right = self.rights.entry(pair).or_default();
        right.left = change(right.left);
        right.revoked = false;
        // A right given anew has a new key: what an absent viewer still holds is worth nothing from here on.
        if was_revoked {
            self.held.remove(&pair);
        }
    }

    fn live(&mut self, pair: Pair, missing: Code) -> Result<&mut Right, Code> {
        self.rights.get_mut(&pair).filter(|right| !right.revoked).ok_or(missing)
    }

    fn spend(&mut self, pair: Pair, views: u32) -> Result<(), Code> {
        let right = self.live(pair, Code::Denied)?;
        right.left = right.left.checked_sub(views).ok_or(Code::Denied)?;
        right.used += views;
        Ok(())
    }

    fn check_in(&mut self, pair: Pair) -> Result<(), Code> {
        let unused = self.held.remove(&pair).ok_or(Code::NotFound)?;
        let right = self.rights.get_mut(&pair).ok_or(Code::NotFound)?;
        right.left += unused;
        right.used -= unused;
        right.returned += unused;
        Ok(())
    }

    fn use_held(&mut self, pair: Pair) -> Result<(), Code> {
        let held = self.held.get_mut(&pair).ok_or(Code::Offline)?;
        *held -= 1;
        if *held == 0 {
            self.held.remove(&pair);
        }
        Ok(())
    }

    /// The viewer receives a revocation at once if it is online, else when it signs in.
    fn forget_held(&mut self, pair: Pair) {
        if self.online[pair.1] {
            self.held.remove(&pair);
        }
    }
}

/// The real thing.
struct World {
    _stage: Stage,
    peers: Vec<Peer>,
}

impl World {
    fn new() -> Self {
        let stage = Stage::new();
        let peers: Vec<_> = NAMES.iter().map(|name| stage.peer(name)).collect();
        for (seed, peer) in (0u8..).zip(&peers) {
            pictures::write(&peer.dir.join("picture.jpg"), seed);
            peer.ctl(&["add", "picture.jpg"]).ok();
        }
        Self { _stage: stage, peers }
    }

    fn run(&self, peer: usize, command: Command) -> Result<Outcome, dos_protocol::WireError> {
        let control = Control::new(&self.peers[peer].socket());
        control.run(command).expect("peerd hung up").map(|(outcome, _)| outcome)
    }

    fn pending(&self, peer: usize, pair: Pair) -> Option<u64> {
        let everything = Command::Requests { incoming: true, outgoing: true, all: false };
        let Ok(Outcome::Requests { incoming, outgoing, .. }) = self.run(peer, everything) else {
            return None;
        };
        let of = |name: &Option<dos_protocol::PeerName>, index: usize| {
            name.as_ref().is_some_and(|name| name.as_str() == NAMES[index])
        };
        let mut all = incoming.iter().chain(&outgoing);
        all.find(|asked| of(&asked.owner_name, pair.0) && of(&asked.from_name, pair.1))
            .map(|asked| asked.request)
    }

    fn perform(&mut self, op: &Op) -> Result<(), dos_protocol::WireError> {
        let image = |pair: Pair| -> ImageArg { format!("{}/picture", NAMES[pair.0]).parse().unwrap() };
        let share = |pair: Pair, views| Command::Share {
            name: "picture".parse().unwrap(),
            viewer: NAMES[pair.1].parse().unwrap(),
            views,
            expires: None,
            allow_offline: None,
        };
        // A number that no request has: for answers to requests that do not exist.
        let request = |peer, pair| self.pending(peer, pair).unwrap_or(999_999);
        let (peer, command) = match *op {
            Op::Give(pair, views) => (pair.0, share(pair, ViewsChange::Set(Allowance::Views(views)))),
            Op::Add(pair, views) => (pair.0, share(pair, ViewsChange::Add(views))),
            Op::Consent(pair, allowed) => {
                let mut command = share(pair, ViewsChange::Keep);
                if let Command::Share { allow_offline, .. } = &mut command {
                    *allow_offline = Some(allowed);
                }
                (pair.0, command)
            }
            Op::Revoke(pair) => (pair.0, share(pair, ViewsChange::Revoke)),
            Op::Request(pair, views) => {
                let (views, offline) = asked_for(views);
                (pair.1, Command::Request { image: image(pair), views, note: None, offline })
            }
            Op::Cancel(pair) => (pair.1, Command::Cancel(request(pair.1, pair))),
            Op::Approve(pair, views) => (
                pair.0,
                Command::Approve {
                    request: RequestArg::Access(request(pair.0, pair)),
                    views: Some(views),
                    allow_offline: None,
                },
            ),
            Op::Deny(pair) => {
                (pair.0, Command::Deny { request: RequestArg::Access(request(pair.0, pair)), reason: None })
            }
            Op::View(pair) => (pair.1, Command::View { image: image(pair), offline: false, asks: false }),
            Op::Checkout(pair, views) => (pair.1, Command::Checkout { image: image(pair), views }),
            Op::Checkin(pair) => (pair.1, Command::Checkin(image(pair))),
            Op::SignOut(peer) => (peer, Command::Logout),
            Op::SignIn(peer) => (peer, Command::Login { force: false }),
            Op::Restart(peer) => {
                let was_online = self.peers[peer].json(&["status"])["state"] == "online";
                self.peers[peer].restart();
                if was_online {
                    self.peers[peer].online();
                }
                return Ok(());
            }
        };
        self.run(peer, command).map(drop)
    }

    /// What a peer believes, in the model's terms.
    fn beliefs(&self, peer: usize) -> (BTreeMap<Pair, Right>, BTreeMap<Pair, Asked>) {
        let index = |name: &Option<dos_protocol::PeerName>| {
            NAMES.iter().position(|known| name.as_ref().is_some_and(|name| name.as_str() == *known)).unwrap()
        };
        let Ok(Outcome::Grants { given, received, .. }) =
            self.run(peer, Command::Shares { given: true, received: true })
        else {
            panic!("no shares");
        };
        let rights = given.into_iter().chain(received).map(|grant| {
            let left = match grant.views_left {
                Allowance::Views(views) => views,
                Allowance::Unlimited => panic!("nobody gave that"),
            };
            let revoked = grant.state_at(Timestamp::now()) == GrantState::Revoked;
            let used = u32::try_from(grant.views_used).unwrap();
            let returned = u32::try_from(grant.returned).unwrap();
            let right = Right { left, used, revoked, allowed: grant.allow_offline, returned };
            ((index(&grant.owner_name), index(&grant.viewer_name)), right)
        });
        let rights = rights.collect();
        let all = Command::Requests { incoming: true, outgoing: true, all: true };
        let Ok(Outcome::Requests { incoming, outgoing, .. }) = self.run(peer, all) else {
            panic!("no requests")
        };
        let pending =
            incoming.into_iter().chain(outgoing).filter(|asked| asked.state == RequestState::Pending);
        let asked = pending.map(|asked| {
            let pair = (index(&asked.owner_name), index(&asked.from_name));
            (pair, (asked.views, asked.offline))
        });
        let asked = asked.collect();
        (rights, asked)
    }
}

fn pairs() -> impl Strategy<Value = Pair> {
    (0..3usize, 1..3usize).prop_map(|(owner, step)| (owner, (owner + step) % 3))
}

fn ops() -> impl Strategy<Value = Op> {
    prop_oneof![
        3 => (pairs(), 0..5u32).prop_map(|(pair, views)| Op::Give(pair, views)),
        2 => (pairs(), 1..4u32).prop_map(|(pair, views)| Op::Add(pair, views)),
        3 => (pairs(), any::<bool>()).prop_map(|(pair, allowed)| Op::Consent(pair, allowed)),
        2 => pairs().prop_map(Op::Revoke),
        3 => (pairs(), 1..5u32).prop_map(|(pair, views)| Op::Request(pair, views)),
        1 => pairs().prop_map(Op::Cancel),
        2 => (pairs(), 1..5u32).prop_map(|(pair, views)| Op::Approve(pair, views)),
        1 => pairs().prop_map(Op::Deny),
        6 => pairs().prop_map(Op::View),
        3 => (pairs(), 1..4u32).prop_map(|(pair, views)| Op::Checkout(pair, views)),
        2 => pairs().prop_map(Op::Checkin),
        1 => (0..3usize).prop_map(Op::SignOut),
        3 => (0..3usize).prop_map(Op::SignIn),
        1 => (0..3usize).prop_map(Op::Restart),
    ]
}

/// Performs one operation on both and compares what comes of it.
fn step(world: &mut World, model: &mut Model, op: &Op) -> Result<(), TestCaseError> {
    let mut after = model.clone();
    let expected = after.apply(op);
    let real = world.perform(op);
    let needs_copy = matches!(op, Op::View(pair) | Op::Checkout(pair, _) if !model.online[pair.0]);
    match (&real, expected) {
        (Ok(()), Ok(())) => *model = after,
        // Without the copy, and without its owner to bring it, nothing was spent: whatever the directory would have said.
        (Err(error), Ok(()) | Err(Code::Denied)) if needs_copy && error.code == Code::Offline => {}
        (Err(error), Err(code)) if error.code == code => {}
        // That nothing is held may also be said after that there is no session to give it back over.
        (Err(error), Err(Code::NotFound)) if matches!(op, Op::Checkin(_)) && error.code == Code::Offline => {}
        // What is not there is denied to who was never granted anything, whether the owner is here or not.
        (Err(error), Err(Code::Offline)) if error.reason == Some(Reason::NeverGranted) => {}
        (real, expected) => {
            return Err(TestCaseError::fail(format!(
                "{op:?} gave {real:?} instead of {expected:?} in {model:?}"
            )));
        }
    }
    for (peer, name) in NAMES.iter().enumerate() {
        if model.online[peer] {
            let concerns = |pair: &Pair| pair.0 == peer || pair.1 == peer;
            let rights: BTreeMap<_, _> =
                model.rights.clone().into_iter().filter(|(pair, _)| concerns(pair)).collect();
            let asked: BTreeMap<_, _> =
                model.asked.clone().into_iter().filter(|(pair, _)| concerns(pair)).collect();
            let mut backoff = Backoff::within(PATIENCE);
            let mut believed = world.beliefs(peer);
            while believed != (rights.clone(), asked.clone()) {
                if !backoff.pause() {
                    let text = format!(
                        "after {op:?} {name} believes {believed:?} instead of {rights:?} and {asked:?}"
                    );
                    return Err(TestCaseError::fail(text));
                }
                believed = world.beliefs(peer);
            }
        }
    }
    Ok(())
}

#[test]
fn every_peer_believes_what_the_model_says() {
    let config = Config { cases: 24, max_shrink_iters: 20, failure_persistence: None, ..Config::default() };
    let mut runner = TestRunner::new(config);
    let result = runner.run(&proptest::collection::vec(ops(), 20..40), |ops| {
        let mut world = World::new();
        let mut model = Model { online: [true; 3], ..Model::default() };
        for op in &ops {
            step(&mut world, &mut model, op)?;
        }
        for peer in 0..3 {
            step(&mut world, &mut model, &Op::SignIn(peer))?;
        }
        Ok(())
    });
    if let Err(error) = result {
        panic!("{error}");
    }
}
