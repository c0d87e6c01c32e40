//! Messages: sealing, signing and opening them, and how many the directory takes and delivers.
//!
//! The second row sends between pairs of sessions that are online, each sender the next one when the last was delivered. The
//! raw limit sends the same texts in the clear, as peers of the first release do: what is left is the cost of the sealing, at
//! the sender and at the recipient, which here share the machine with the directory.

use std::time::{Duration, Instant};

use anyhow::{Context as _, bail, ensure};
use dos_protocol::{
    MessageId, PeerId, SealingKey, Timestamp,
    directory::{Answer, Delivery, Op, Send},
    key::SecretKey,
    model::PeerRef,
    sealing::{Letter, Route, open, seal, sealing_key},
};
use hpke::{
    Deserializable, Kem, OpModeR, OpModeS, Serializable, aead::ChaCha20Poly1305, kdf::HkdfSha256,
    kem::X25519HkdfSha256, single_shot_open, single_shot_seal,
};
use tokio::task::{JoinSet, spawn_blocking};

use crate::{
    lab::{ANYWHERE, Lab},
    load::{Entry, Session, callers, secrets, stay, storm},
    stats::median,
    table::{Row, Unit},
};

/// Senders, each with a recipient of its own.
const PAIRS: usize = 32;

/// A message of two lines.
const TEXT: &str = "The scans of the second roll are there: 36 pictures, the last three a little dark. \
                    Tell me which ones you want in print, and how large.";

/// Two rows.
pub(super) async fn measure(lab: &Lab) -> anyhow::Result<Vec<Row>> {
    let time = lab.pick(Duration::from_millis(1500), Duration::from_millis(200));
    let rounds = lab.pick(7, 2);
    let (ours, raw) = spawn_blocking(move || crypto(time, rounds)).await??;
    let sealing = Row::new("messages sealed, signed, verified and opened, one thread", Unit::PerSecond)
        .ours(median(&ours))
        .raw(median(&raw), "HPKE alone");
    let (dosd, _) = lab.pair("messages").await?;
    let server = dosd.start(ANYWHERE).await?;
    let keys = secrets(PAIRS * 2)?;
    let (senders, recipients) = keys.split_at(PAIRS);
    let mut sessions = storm(&callers(senders, server.target)?, &Entry::Register(None)).await?.1;
    let others = storm(&callers(recipients, server.target)?, &Entry::Register(None)).await?.1;
    let to = others.iter().map(id).collect::<anyhow::Result<Vec<_>>>()?;
    let _others = stay(others);
    let routes: Vec<Pair> = to
        .iter()
        .zip(recipients)
        .zip(senders)
        .map(|((to, recipient), sender)| Pair::new(*to, recipient, sender))
        .collect::<anyhow::Result<_>>()?;
    let (mut ours, mut raw) = (Vec::new(), Vec::new());
    for _round in 0..rounds {
        for (sealed, rates) in [(false, &mut raw), (true, &mut ours)] {
            let (rate, back) = deliver(sessions, &routes, (sealed, time)).await?;
            rates.push(rate);
            sessions = back;
        }
    }
    let delivered = Row::new("messages delivered, 32 pairs of sessions", Unit::PerSecond)
        .ours(median(&ours))
        .raw(median(&raw), "unsealed")
        .note("sealed and opened on the same two cores");
    Ok(vec![sealing, delivered])
}

fn id(session: &Session) -> anyhow::Result<PeerId> {
    Ok(session.signed_in.as_ref().context("not signed in")?.id)
}

/// A sender and its recipient.
#[derive(Clone)]
struct Pair {
    to: PeerId,
    recipient: SecretKey,
    sealing: SealingKey,
    sender: SecretKey,
}

impl Pair {
    fn new(to: PeerId, recipient: &SecretKey, sender: &SecretKey) -> anyhow::Result<Self> {
        let sealing = sealing_key(recipient)?;
        Ok(Self { to, recipient: recipient.clone(), sealing, sender: sender.clone() })
    }

    fn letter() -> Letter {
        Letter { written_at: Timestamp::now(), text: TEXT.into() }
    }

    fn seal(&self, route: &Route) -> anyhow::Result<Vec<u8>> {
        let recipient = self.recipient.public()?;
        Ok(seal(route, &self.sender, (&recipient, &self.sealing), &Self::letter())?)
    }

    fn open(&self, route: &Route, sealed: &[u8]) -> anyhow::Result<()> {
        let letter = open(route, &self.sender.public()?, &self.recipient, sealed)?;
        ensure!(*letter.text == *TEXT, "another text");
        Ok(())
    }
}

/// Per second: ours, and HPKE without signatures.
fn crypto(time: Duration, rounds: usize) -> anyhow::Result<(Vec<f64>, Vec<f64>)> {
    let keys = secrets(2)?;
    let [sender, recipient] = keys.as_slice() else { bail!("two keys are needed") };
    let to: PeerId = "7xKqPm2R".parse()?;
    let pair = Pair::new(to, recipient, sender)?;
    let route = Route { from: to, to, message: MessageId::generate() };
    let (private, _) = X25519HkdfSha256::derive_keypair(&[7; 32]);
    let (mut ours, mut raw) = (Vec::new(), Vec::new());
    for _round in 0..rounds {
        raw.push(per_second(time, || plain_hpke(&private))?);
        ours.push(per_second(time, || pair.open(&route, &pair.seal(&route)?))?);
    }
    Ok((ours, raw))
}

fn plain_hpke(private: &<X25519HkdfSha256 as Kem>::PrivateKey) -> anyhow::Result<()> {
    let public = X25519HkdfSha256::sk_to_pk(private);
    let failed = |error| anyhow::anyhow!("HPKE failed: {error}");
    let (key, body) = single_shot_seal::<ChaCha20Poly1305, HkdfSha256, X25519HkdfSha256>(
        &OpModeS::Base,
        &public,
        b"bench",
        TEXT.as_bytes(),
        b"",
    )
    .map_err(failed)?;
    let key = <X25519HkdfSha256 as Kem>::EncappedKey::from_bytes(&key.to_bytes()).map_err(failed)?;
    let opened = single_shot_open::<ChaCha20Poly1305, HkdfSha256, X25519HkdfSha256>(
        &OpModeR::Base,
        private,
        &key,
        b"bench",
        &body,
        b"",
    )
    .map_err(failed)?;
    ensure!(opened == TEXT.as_bytes(), "another text");
    Ok(())
}

fn per_second(time: Duration, mut once: impl FnMut() -> anyhow::Result<()>) -> anyhow::Result<f64> {
    let (start, mut count) = (Instant::now(), 0u32);
    while start.elapsed() < time {
        once()?;
        count += 1;
    }
    Ok(f64::from(count) / start.elapsed().as_secs_f64())
}

async fn deliver(
    sessions: Vec<Session>,
    pairs: &[Pair],
    (sealed, time): (bool, Duration),
) -> anyhow::Result<(f64, Vec<Session>)> {
    let start = Instant::now();
    let mut tasks = JoinSet::new();
    for (place, (mut session, pair)) in sessions.into_iter().zip(pairs.iter().cloned()).enumerate() {
        tasks.spawn(async move {
            let (from, mut count) = (id(&session)?, 0u32);
            while start.elapsed() < time {
                let message = MessageId::generate();
                let route = Route { from, to: pair.to, message };
                let body = if sealed { Some(pair.seal(&route)?) } else { None };
                if let Some(body) = &body {
                    pair.open(&route, body)?;
                }
                let text = if sealed { "" } else { TEXT };
                let to = PeerRef::Id(pair.to);
                let send = Send { message, to, text: text.into(), sealed: body.map(Vec::into_boxed_slice) };
                match session.ask(Op::Send(send)).await? {
                    Answer::Sent(sent) if sent.delivery == Delivery::Delivered => count += 1,
                    other => bail!("not delivered: {other:?}"),
                }
            }
            anyhow::Ok((place, count, session))
        });
    }
    let (mut total, mut back) = (0, Vec::with_capacity(PAIRS));
    while let Some(done) = tasks.join_next().await {
        let (place, count, session) = done??;
        total += count;
        back.push((place, session));
    }
    let rate = f64::from(total) / start.elapsed().as_secs_f64();
    // Every sender keeps its recipient.
    back.sort_by_key(|(place, _)| *place);
    Ok((rate, back.into_iter().map(|(_, session)| session).collect()))
}
