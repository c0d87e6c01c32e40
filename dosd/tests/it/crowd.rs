//! A thousand peers write to each other while connections are cut and some come and go: every message that was taken
//! arrives once, in the order of its sender.
//!
//! What is drawn comes from [`SEED`]; how the tasks take turns does not. A peer repeats a message under the same ID until
//! it has an answer, as peerd does. Nobody pauses for a time: who goes away comes back when others have got further.

use std::{
    collections::HashMap,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use dos_protocol::{
    MessageId, PeerId, Seq,
    directory::{Answer, Delivery, FromDirectory, Op, Send, ToDirectory, Update},
    frame,
    key::SecretKey,
    model::PeerRef,
};
use tokio::{io::AsyncWriteExt, sync::watch, task::JoinSet, time::timeout};

use crate::net::{Client, Net, register, sign_in};

const SEED: u64 = 0x0d05_0d05;
const PEERS: usize = 1_000;
/// Of each peer.
const MESSAGES: usize = 20;
const ALL: usize = PEERS * MESSAGES;
/// Every so manieth peer signs out and in.
const RESTLESS: usize = 10;
/// A peer that has signed out comes back after this many messages of others ...
const AWAY: usize = 200;
/// ... and at the latest when those are through who never go away.
const OTHERS: usize = ALL - ALL / RESTLESS;
/// Messages of one peer under way together.
const WINDOW: usize = 4;
/// It takes a tenth of this; what hangs is not waited for.
const DEADLINE: Duration = Duration::from_secs(120);

/// SplitMix64 (Steele, Lea, Flood, 2014).
struct Dice(u64);

impl Dice {
    /// Below `sides`.
    fn roll(&mut self, sides: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        let sides = u64::try_from(sides).unwrap();
        usize::try_from((mixed ^ (mixed >> 31)) % sides).unwrap()
    }
}

/// What all of them share.
struct Crowd {
    net: Net,
    ids: Vec<PeerId>,
    taken: AtomicUsize,
    /// How many messages were taken, told now and then.
    progress: watch::Sender<usize>,
    done: watch::Sender<bool>,
    counts: Counts,
}

#[derive(Default)]
struct Counts {
    delivered: AtomicUsize,
    queued: AtomicUsize,
    repeated: AtomicUsize,
    cuts: AtomicUsize,
    sign_outs: AtomicUsize,
}

fn count(counter: &AtomicUsize) {
    counter.fetch_add(1, Ordering::Relaxed);
}

impl Crowd {
    fn take_note(&self) {
        let taken = self.taken.fetch_add(1, Ordering::Relaxed) + 1;
        if taken.is_multiple_of(50) {
            self.progress.send_modify(|progress| *progress = taken.max(*progress));
        }
        if taken == ALL {
            self.done.send_replace(true);
        }
    }
}

#[derive(Clone, Copy, PartialEq)]
enum State {
    Unsent,
    Sent,
    Answered,
}

struct Planned {
    id: MessageId,
    to: PeerId,
    state: State,
}

struct Peer {
    crowd: Arc<Crowd>,
    number: usize,
    dice: Dice,
    client: Client,
    plan: Vec<Planned>,
    /// Requests on this connection, and which message each is about.
    asked: HashMap<u32, usize>,
    next: u32,
    stored: Seq,
    /// What has come: whose, and its text.
    got: Vec<(PeerId, usize)>,
}

impl Peer {
    fn new(crowd: Arc<Crowd>, number: usize, client: Client) -> Self {
        let mut dice = Dice(SEED.wrapping_mul(u64::try_from(number).unwrap() + 1));
        let others = |roll: usize| crowd.ids[(number + 1 + roll) % PEERS];
        let plan = (0..MESSAGES)
            .map(|_| Planned {
                id: MessageId::generate(),
                to: others(dice.roll(PEERS - 1)),
                state: State::Unsent,
            })
            .collect();
        let (asked, got) = (HashMap::new(), Vec::new());
        Self { crowd, number, dice, client, plan, asked, next: 1_000, stored: Seq(0), got }
    }

    /// Writes until everybody's messages are taken.
    async fn live(mut self) -> Self {
        let mut done = self.crowd.done.subscribe();
        while !*done.borrow() {
            self.write().await;
            tokio::select! {
                body = self.client.reader.next() => {
                    let body = body.unwrap().expect("the directory has hung up");
                    self.handle(&body).await;
                }
                changed = done.changed() => changed.unwrap(),
            }
        }
        self
    }

    /// Sends what there is to send, as far as the window allows.
    async fn write(&mut self) {
        while self.asked.len() < WINDOW {
            let Some(index) = self.plan.iter().position(|planned| planned.state == State::Unsent) else {
                return;
            };
            if self.number.is_multiple_of(RESTLESS) && self.dice.roll(4) == 0 {
                self.sign_out_and_in().await;
                continue;
            }
            let planned = &mut self.plan[index];
            planned.state = State::Sent;
            let (message, to) = (planned.id, PeerRef::Id(planned.to));
            self.next += 1;
            self.asked.insert(self.next, index);
            let op = Op::Send(Send { message, to, text: index.to_string().into(), sealed: None });
            let bytes = frame::to_frame(&ToDirectory::request(self.next, op)).unwrap();
            match self.dice.roll(80) {
                0 => {
                    self.client.send_bytes(&bytes[..bytes.len() / 2]).await;
                    self.cut().await;
                }
                1 => {
                    self.client.send_bytes(&bytes).await;
                    self.cut().await;
                }
                _ => self.client.send_bytes(&bytes).await,
            }
        }
    }

    async fn handle(&mut self, body: &[u8]) {
        match frame::decode(body).unwrap() {
            FromDirectory::Update { seq, update: Update::Message(letter), .. } => {
                assert_eq!(seq, self.stored.next(), "a gap or a repetition, seed {SEED:#x}");
                self.stored = seq;
                self.got.push((letter.from, letter.text.parse().unwrap()));
                if self.dice.roll(100) == 0 {
                    self.cut().await;
                } else {
                    self.client.send(&ToDirectory::Ack(seq)).await;
                }
            }
            FromDirectory::Answer { id, answer: Answer::Sent(sent) } => {
                let index = self.asked.remove(&id).unwrap();
                assert_eq!(sent.to, self.plan[index].to);
                self.plan[index].state = State::Answered;
                count(match sent.delivery {
                    Delivery::Delivered => &self.crowd.counts.delivered,
                    Delivery::Queued => &self.crowd.counts.queued,
                });
                self.crowd.take_note();
            }
            FromDirectory::Ping(number) => self.client.send(&ToDirectory::Pong(number)).await,
            other => panic!("unexpected: {other:?}"),
        }
    }

    /// Lets the connection go without a word, and comes back.
    async fn cut(&mut self) {
        count(&self.crowd.counts.cuts);
        self.client.reader.get_mut().get_mut().0.shutdown().await.unwrap();
        self.come_back().await;
    }

    async fn sign_out_and_in(&mut self) {
        count(&self.crowd.counts.sign_outs);
        self.client.send(&ToDirectory::request(1, Op::SignOut)).await;
        // What is on its way to a peer that goes comes again, and so does what it has not heard the end of.
        while self.client.reader.next().await.unwrap().is_some() {}
        let mut progress = self.crowd.progress.subscribe();
        let back_at = (*progress.borrow() + AWAY).min(OTHERS);
        progress.wait_for(|taken| *taken >= back_at).await.unwrap();
        self.come_back().await;
    }

    async fn come_back(&mut self) {
        for index in self.asked.drain().map(|(_, index)| index) {
            self.plan[index].state = State::Unsent;
            count(&self.crowd.counts.repeated);
        }
        self.client = Client::connect(&self.crowd.net, self.client.secret.clone()).await;
        self.client.enter(Op::SignIn(sign_in(1, self.stored))).await.unwrap();
        assert_eq!(self.client.stored, self.stored, "rows are gone that this peer has not stored");
    }

    /// Reads whatever is still there.
    async fn read_to_the_end(&mut self) {
        self.come_back().await;
        let latest = self.client.signed_in.as_ref().unwrap().latest;
        while self.stored < latest {
            let body = self.client.reader.next().await.unwrap().expect("the directory has hung up");
            match frame::decode(&body).unwrap() {
                FromDirectory::Update { seq, update: Update::Message(letter), .. } => {
                    self.stored = seq;
                    self.got.push((letter.from, letter.text.parse().unwrap()));
                    self.client.send(&ToDirectory::Ack(seq)).await;
                }
                other => panic!("unexpected: {other:?}"),
            }
        }
    }
}

async fn gather(net: Net) -> (Arc<Crowd>, Vec<Client>) {
    let net = Arc::new(net);
    let mut joining = JoinSet::new();
    for number in 0..PEERS {
        let net = Arc::clone(&net);
        joining.spawn(async move {
            let mut client = Client::connect(&net, SecretKey::generate().unwrap()).await;
            client.enter(register(&format!("peer{number}"), None)).await.unwrap();
            client
        });
    }
    let clients = joining.join_all().await;
    let crowd = Crowd {
        net: Arc::into_inner(net).unwrap(),
        ids: clients.iter().map(Client::id).collect(),
        taken: AtomicUsize::new(0),
        progress: watch::Sender::new(0),
        done: watch::Sender::new(false),
        counts: Counts::default(),
    };
    (Arc::new(crowd), clients)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_message_of_a_thousand_peers_arrives_once_and_in_order_whatever_is_cut() {
    let dir = tempfile::tempdir().unwrap();
    let (crowd, clients) = gather(Net::start(dir.path())).await;
    let mut living = JoinSet::new();
    for (number, client) in clients.into_iter().enumerate() {
        living.spawn(Box::pin(Peer::new(Arc::clone(&crowd), number, client).live()));
    }
    let peers = timeout(DEADLINE, living.join_all()).await.unwrap_or_else(|_| {
        panic!("only {} messages were taken, seed {SEED:#x}", crowd.taken.load(Ordering::Relaxed))
    });
    let mut reading = JoinSet::new();
    for mut peer in peers {
        reading.spawn(async move {
            peer.read_to_the_end().await;
            peer
        });
    }
    let peers = timeout(DEADLINE, reading.join_all()).await.expect("the inboxes never end");

    let mut expected: HashMap<(PeerId, PeerId), Vec<usize>> = HashMap::new();
    let mut arrived = expected.clone();
    for peer in &peers {
        let me = crowd.ids[peer.number];
        for (index, planned) in peer.plan.iter().enumerate() {
            assert!(planned.state == State::Answered);
            expected.entry((me, planned.to)).or_default().push(index);
        }
        for (from, index) in &peer.got {
            arrived.entry((*from, me)).or_default().push(*index);
        }
    }
    assert!(
        arrived == expected,
        "lost, twice or out of order, seed {SEED:#x}: {}",
        difference(&arrived, &expected)
    );
    let counts = &crowd.counts;
    let seen = [&counts.delivered, &counts.queued, &counts.repeated, &counts.cuts, &counts.sign_outs]
        .map(|counter| counter.load(Ordering::Relaxed));
    assert!(seen.iter().all(|count| *count > 100), "too little has happened: {seen:?}");
    drop(peers);
    Arc::into_inner(crowd).unwrap().net.stop().await;
    let checked = dosd::store::check(&dir.path().join("dosd.db")).unwrap();
    assert_eq!(checked.findings, Vec::<Box<str>>::new());
}

type Letters = HashMap<(PeerId, PeerId), Vec<usize>>;

/// The first few pairs of peers between whom something went wrong.
fn difference(arrived: &Letters, expected: &Letters) -> String {
    let wrong = expected.iter().filter(|(pair, indexes)| arrived.get(pair) != Some(indexes));
    let told = wrong.take(3).map(|(pair, indexes)| format!("{indexes:?} came as {:?}", arrived.get(pair)));
    told.collect::<Vec<_>>().join("; ")
}
