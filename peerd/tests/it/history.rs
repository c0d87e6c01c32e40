//! A history of five peers, a backup in the middle of it, and a restore at its end: once everybody is back, everything is as if there
//! had been no restore.
//!
//! What the peers and the directory say before the restore is the model. Of moderate size here; `DOS_RESTORE_OPERATIONS=1000` and
//! `DOS_RESTORE_SEED=N` make it another one, whose figures are printed.

mod books;
pub(crate) mod campaign;
mod check;
mod client;
mod cluster;
pub(crate) mod group;
mod record;

use std::{collections::BTreeMap, time::Instant};

use dos_protocol::{
    Allowance, ImageArg,
    control::{Command, Outcome, RequestArg},
    directory::ViewsChange,
    model::GrantState,
};
use dos_testing::{Backoff, PATIENCE, Signal};
use serde_json::{Value, json};

use crate::{
    control::Control,
    pictures,
    stage::{Peer, Stage},
};

const NAMES: [&str; 5] = ["alice", "bob", "carol", "dave", "erin"];

/// Operations if nothing is said: enough for each kind to come before and after the backup.
const OPERATIONS: usize = 160;

pub(crate) fn setting(name: &str, or: usize) -> usize {
    std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(or)
}

/// Numbers that are the same for the same seed: splitmix64 (Steele, Lea and Flood, "Fast splittable pseudorandom number generators",
/// 2014).
#[derive(Debug)]
pub(crate) struct Dice(pub(crate) u64);

impl Dice {
    pub(crate) fn below(&mut self, end: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        usize::try_from((mixed ^ (mixed >> 31)) % u64::try_from(end).unwrap()).unwrap()
    }

    pub(crate) fn some(&mut self, most: usize) -> u32 {
        u32::try_from(1 + self.below(most)).unwrap()
    }
}

/// What was done, by kind, and how much of it the directory refused.
#[derive(Debug, Default)]
struct Figures {
    done: BTreeMap<&'static str, usize>,
    refused: usize,
}

struct World {
    stage: Stage,
    peers: Vec<Peer>,
    dice: Dice,
    figures: Figures,
    /// Views held by (viewer, image).
    held: BTreeMap<(usize, String), u32>,
    pictures: u8,
    texts: usize,
}

impl World {
    fn new(seed: u64) -> Self {
        let stage = Stage::new();
        let peers = NAMES[..4].iter().map(|name| stage.peer(name)).collect();
        let (dice, figures) = (Dice(seed), Figures::default());
        Self { stage, peers, dice, figures, held: BTreeMap::new(), pictures: 0, texts: 0 }
    }

    fn run(&self, peer: usize, command: Command) -> Option<Outcome> {
        let control = Control::new(&self.peers[peer].socket());
        let deadline = &mut Backoff::within(PATIENCE);
        loop {
            match control.run(command.clone()) {
                Some(Ok((outcome, _))) => return Some(outcome),
                Some(Err(_)) => return None,
                None => assert!(deadline.pause(), "peerd hung up"),
            }
        }
    }

    /// The names of a peer's images.
    fn images(&self, peer: usize) -> Vec<String> {
        let mine = self.peers[peer].json(&["list", "--mine", "--limit", "500"]);
        let images = mine["peers"][0]["images"].as_array().cloned().unwrap_or_default();
        images.iter().map(|image| image["name"].as_str().unwrap().to_owned()).collect()
    }

    /// A random image of a peer.
    fn image(&mut self, peer: usize) -> Option<String> {
        let images = self.images(peer);
        if images.is_empty() { None } else { Some(images[self.dice.below(images.len())].clone()) }
    }

    fn other(&mut self, peer: usize) -> usize {
        (peer + 1 + self.dice.below(self.peers.len() - 1)) % self.peers.len()
    }

    /// One random operation of a random peer.
    fn operate(&mut self) {
        let peer = self.dice.below(self.peers.len());
        let (kind, done) = match self.dice.below(100) {
            0..10 => ("publish", self.publish(peer, false)),
            10..13 => ("replace", self.publish(peer, true)),
            13..16 => ("rename", self.rename(peer)),
            16..19 => ("remove", self.remove(peer)),
            19..37 => ("share", self.share(peer)),
            37..42 => ("revoke", self.revoke(peer)),
            42..52 => ("request", self.request(peer)),
            52..60 => ("answer", self.answer(peer)),
            60..76 => ("view", self.view(peer)),
            76..81 => ("checkout", self.checkout(peer)),
            81..84 => ("checkin", self.checkin(peer)),
            84..97 => ("send", self.send(peer)),
            _ => ("block", self.block(peer)),
        };
        if done.is_some() {
            *self.figures.done.entry(kind).or_default() += 1;
        } else {
            self.figures.refused += 1;
        }
    }

    fn publish(&mut self, peer: usize, replace: bool) -> Option<()> {
        self.pictures = self.pictures.wrapping_add(1);
        let name = if replace { self.image(peer)? } else { format!("picture{}", self.pictures) };
        pictures::write(&self.peers[peer].dir.join("picture.jpg"), self.pictures);
        let mut args = vec!["add", "picture.jpg", "--name", &name];
        args.extend(replace.then_some("--replace"));
        (self.peers[peer].ctl(&args).code == Some(0)).then_some(())
    }

    fn rename(&mut self, peer: usize) -> Option<()> {
        let name = self.image(peer)?;
        let new = match self.dice.below(2) {
            0 => format!("{name}x"),
            _ => name.trim_end_matches('x').to_owned(),
        };
        self.run(peer, Command::Rename { name: name.parse().ok()?, new: new.parse().ok()? })?;
        let path = |name| format!("{}/{name}", NAMES[peer]);
        let (old, new) = (path(name), path(new));
        for viewer in 0..NAMES.len() {
            if let Some(views) = self.held.remove(&(viewer, old.clone())) {
                self.held.insert((viewer, new.clone()), views);
            }
        }
        Some(())
    }

    fn remove(&mut self, peer: usize) -> Option<()> {
        let name = self.image(peer)?;
        self.run(peer, Command::Remove(name.parse().ok()?))?;
        let path = format!("{}/{name}", NAMES[peer]);
        self.held.retain(|(_, image), _| *image != path);
        Some(())
    }

    fn share(&mut self, peer: usize) -> Option<()> {
        let views = match self.dice.below(8) {
            0 => ViewsChange::Set(Allowance::Unlimited),
            1..4 => ViewsChange::Add(self.dice.some(4)),
            _ => ViewsChange::Set(Allowance::Views(self.dice.some(6))),
        };
        self.change(peer, views).map(drop)
    }

    fn change(&mut self, peer: usize, views: ViewsChange) -> Option<(usize, String)> {
        let (name, viewer) = (self.image(peer)?, self.other(peer));
        let expires = (self.dice.below(5) == 0 && views != ViewsChange::Revoke)
            .then_some(std::time::Duration::from_secs(86_400));
        let share = Command::Share {
            name: name.parse().ok()?,
            viewer: NAMES[viewer].parse().ok()?,
            views,
            expires,
            allow_offline: (views != ViewsChange::Revoke).then(|| self.dice.below(5) > 0),
        };
        self.run(peer, share)?;
        Some((viewer, format!("{}/{name}", NAMES[peer])))
    }

    fn revoke(&mut self, peer: usize) -> Option<()> {
        let revoked = self.change(peer, ViewsChange::Revoke)?;
        self.held.remove(&revoked);
        Some(())
    }

    /// An image of another peer, by its owner's name.
    fn foreign(&mut self, peer: usize) -> Option<(ImageArg, String)> {
        let owner = self.other(peer);
        let path = format!("{}/{}", NAMES[owner], self.image(owner)?);
        Some((path.parse().ok()?, path))
    }

    fn request(&mut self, peer: usize) -> Option<()> {
        let (image, _) = self.foreign(peer)?;
        let (views, offline) = (self.dice.some(5), self.dice.below(2) == 0);
        self.run(peer, Command::Request { image, views, note: Some("please".into()), offline }).map(drop)
    }

    fn answer(&mut self, peer: usize) -> Option<()> {
        let all = Command::Requests { incoming: true, outgoing: true, all: false };
        let Outcome::Requests { incoming, outgoing, .. } = self.run(peer, all)? else { return None };
        let pick = self.dice.below(3);
        let command = match (incoming.first(), outgoing.last(), pick) {
            (Some(asked), _, 0) => Command::Approve {
                request: RequestArg::Access(asked.request),
                views: Some(self.dice.some(3)),
                allow_offline: None,
            },
            (Some(asked), _, _) => {
                Command::Deny { request: RequestArg::Access(asked.request), reason: Some("no".into()) }
            }
            (None, Some(asked), _) => Command::Cancel(asked.request),
            (None, None, _) => return None,
        };
        self.run(peer, command).map(drop)
    }

    /// An image that a peer may view, by its owner's name.
    fn viewable(&mut self, peer: usize) -> Option<(ImageArg, String)> {
        let Outcome::Grants { received, .. } =
            self.run(peer, Command::Shares { given: false, received: true })?
        else {
            return None;
        };
        let now = dos_protocol::Timestamp::now();
        let usable = received.iter().filter(|grant| grant.state_at(now) == GrantState::Active);
        let paths: Vec<String> = usable
            .filter_map(|grant| Some(format!("{}/{}", grant.owner_name.as_ref()?, grant.path.name)))
            .collect();
        let path = paths.get(self.dice.below(paths.len().max(1)))?.clone();
        Some((path.parse().ok()?, path))
    }

    fn view(&mut self, peer: usize) -> Option<()> {
        let (image, _) = self.viewable(peer)?;
        self.run(peer, Command::View { image, offline: false, asks: false }).map(drop)
    }

    fn checkout(&mut self, peer: usize) -> Option<()> {
        let (image, path) = self.viewable(peer)?;
        let views = self.dice.some(2);
        self.run(peer, Command::Checkout { image, views })?;
        *self.held.entry((peer, path)).or_default() += views;
        Some(())
    }

    fn checkin(&mut self, peer: usize) -> Option<()> {
        let (_, path) = self.held.keys().find(|(viewer, _)| *viewer == peer)?.clone();
        self.run(peer, Command::Checkin(path.parse().ok()?))?;
        self.held.remove(&(peer, path));
        Some(())
    }

    fn send(&mut self, peer: usize) -> Option<()> {
        self.texts += 1;
        let (to, text) = (NAMES[self.other(peer)].parse().ok()?, format!("message {}", self.texts).into());
        self.run(peer, Command::Send { to, text, direct: false }).map(drop)
    }

    fn block(&mut self, peer: usize) -> Option<()> {
        let other = NAMES[self.other(peer)].parse().ok()?;
        let command = if self.dice.below(2) == 0 { Command::Block(other) } else { Command::Unblock(other) };
        self.run(peer, command).map(drop)
    }

    /// Everything that a peer knows and that the directory tells it, but for what a restore may change: when, and how often.
    fn seen_by(&self, peer: &Peer) -> Value {
        let mut listed = peer.json(&["list", "--limit", "500"])["peers"].clone();
        for one in listed.as_array_mut().unwrap() {
            for key in ["online", "online_since", "address", "last_seen", "last_seen_reason", "last_end"] {
                one.as_object_mut().unwrap().remove(key);
            }
            for image in one["images"].as_array_mut().unwrap() {
                image.as_object_mut().unwrap().remove("added_at");
            }
        }
        let rows = |document: &Value, key: &str, gone: &[&str]| {
            let mut rows = document[key].as_array().unwrap().clone();
            for row in &mut rows {
                for key in gone {
                    row.as_object_mut().unwrap().remove(*key);
                }
            }
            rows.sort_by_key(ToString::to_string);
            Value::from(rows)
        };
        let (shares, requests) = (peer.json(&["shares"]), peer.json(&["requests"]));
        let messages = peer.json(&["messages", "--limit", "1000"]);
        json!({
            "listed": listed,
            "given": rows(&shares, "given", &["revision"]),
            "received": rows(&shares, "received", &["revision"]),
            "incoming": rows(&requests, "incoming", &[]),
            "outgoing": rows(&requests, "outgoing", &[]),
            "messages": rows(&messages, "messages", &["read"]),
            "blocks": rows(&peer.json(&["blocks"]), "blocks", &["since"]),
        })
    }

    /// What all of them see.
    fn seen(&self) -> Vec<Value> {
        self.peers.iter().map(|peer| self.seen_by(peer)).collect()
    }

    /// Waits until nothing is under way.
    fn settled(&self) -> Vec<Value> {
        let mut backoff = Backoff::within(PATIENCE);
        let mut before = self.seen();
        loop {
            assert!(backoff.pause(), "it does not settle");
            let now = self.seen();
            let queued = now.iter().any(|seen| seen.to_string().contains("\"queued\""));
            if now == before && !queued {
                return now;
            }
            before = now;
        }
    }

    /// The previews as the directory has them.
    fn previews(&self) -> Vec<Vec<u8>> {
        let mut previews = Vec::new();
        for (owner, name) in NAMES.iter().enumerate() {
            for image in self.images(owner) {
                let ran = self.peers[0].ctl(&["preview", &format!("{name}/{image}"), "-o", "-"]);
                assert_eq!(ran.code, Some(0), "{}", ran.err);
                previews.push(ran.out);
            }
        }
        previews
    }

    /// What blocks keep from either side is told: a directory that was restored may tell it sooner. The blocks stay.
    fn tell_across_blocks(&self) {
        let mut lifted = Vec::new();
        for peer in &self.peers {
            for block in peer.json(&["blocks"])["blocks"].as_array().unwrap() {
                let blocked = block["peer"].as_str().unwrap().to_owned();
                peer.ctl(&["unblock", &blocked]).ok();
                lifted.push((peer, blocked));
            }
        }
        self.settled();
        for (peer, blocked) in lifted {
            peer.ctl(&["block", &blocked]).ok();
        }
    }

    /// The views that each peer holds, by the numbers of their images. A view takes one of them where the owner seems to be offline.
    fn held_views(&self) -> Vec<BTreeMap<i64, u32>> {
        let held = |peer: &Peer| {
            let store = rusqlite::Connection::open(peer.dir.join("state/peerd.db")).unwrap();
            let sql = "SELECT image, sum(unused) FROM held WHERE unused > 0 GROUP BY image";
            let mut statement = store.prepare(sql).unwrap();
            let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?))).unwrap();
            rows.map(Result::unwrap).collect()
        };
        self.peers.iter().map(held).collect()
    }

    /// Gives back whatever is held.
    fn check_in_all(&self) {
        for (viewer, path) in self.held.keys() {
            let ran = self.peers[*viewer].ctl(&["checkin", path]);
            assert!(matches!(ran.code, Some(0 | 5)), "{} {path}: {}", NAMES[*viewer], ran.err);
        }
    }
}

/// What differs in what one peer sees, for a person.
fn difference(before: &Value, after: &Value, path: &str) -> Option<String> {
    match (before, after) {
        (Value::Object(one), Value::Object(other)) if !one.contains_key("image") => {
            let mut keys: Vec<_> = one.keys().chain(other.keys()).collect();
            keys.sort();
            keys.dedup();
            let of = |key| difference(&before[key], &after[key], &format!("{path}.{key}"));
            let all: String = keys.into_iter().filter_map(of).collect();
            (!all.is_empty()).then_some(all)
        }
        (Value::Array(one), Value::Array(other)) if !path.contains("listed") => {
            let lacks = |those: &[Value], these: &[Value]| -> Vec<String> {
                those.iter().filter(|row| !these.contains(row)).map(ToString::to_string).collect()
            };
            let (gone, new) = (lacks(one, other), lacks(other, one));
            (one != other).then(|| format!("{path}: gone:\n{}\nnew:\n{}\n", gone.join("\n"), new.join("\n")))
        }
        _ => (before != after).then(|| format!("{path}: {before}\nbecame\n{after}\n")),
    }
}

#[test]
fn after_a_restore_everything_is_as_without_it() {
    let (operations, seed) = (setting("DOS_RESTORE_OPERATIONS", OPERATIONS), setting("DOS_RESTORE_SEED", 1));
    let mut world = World::new(u64::try_from(seed).unwrap());
    for number in 0..operations {
        if number == operations / 3 {
            world.stage.backup("backup");
        }
        // One registers when the backup is made already.
        if number == operations / 2 {
            let erin = world.stage.peer(NAMES[4]);
            world.peers.push(erin);
        }
        world.operate();
    }
    world.tell_across_blocks();
    let (before, previews) = (world.settled(), world.previews());
    let held = world.held_views();
    world.stage.is_sound();
    for peer in &mut world.peers {
        peer.peerd.take().unwrap().signal(Signal::TERM);
    }
    world.stage.restore("backup");
    let begun = Instant::now();
    let mut order: Vec<usize> = (0..world.peers.len()).collect();
    for index in (1..order.len()).rev() {
        order.swap(index, world.dice.below(index + 1));
    }
    for index in &order {
        world.peers[*index].start();
        world.peers[*index].online();
    }
    let came_back = begun.elapsed();
    let mut backoff = Backoff::within(PATIENCE * 2);
    let mut after = world.seen();
    while after != before {
        if !backoff.pause() {
            let names = NAMES.iter().zip(before.iter().zip(&after));
            let differences = names.filter_map(|(name, (before, after))| difference(before, after, name));
            panic!("seed {seed}, {operations} operations: {}", differences.collect::<String>());
        }
        after = world.seen();
    }
    let healed = begun.elapsed();
    assert!(world.previews() == previews, "previews differ");
    // Views that are held are held still, and can be given back.
    assert_eq!(world.held_views(), held);
    world.check_in_all();
    assert!(world.held_views().iter().all(BTreeMap::is_empty), "{:?}", world.held_views());
    world.settled();
    world.stage.is_sound();
    let text = format!(
        "history: seed {seed}, {operations} operations ({:?}, {} refused), back in the order {order:?} \
         after {came_back:?}, healed after {healed:?}\n",
        world.figures.done, world.figures.refused
    );
    // For a person who makes it larger.
    std::io::Write::write_all(&mut std::io::stderr(), text.as_bytes()).unwrap();
}
