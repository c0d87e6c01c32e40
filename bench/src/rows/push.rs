//! The push of a grant to an online viewer: from the owner's request until the viewer's peerd holds it, committed; and until
//! somebody else's daemon has received it, when it is committed at the directory.
//!
//! Owner and dosd are as in the other rows. The first viewer is a whole peerd, in this process, because only there its commit can
//! be seen the moment it has happened; the second is a session of the load generator. What nobody can do without is measured
//! alongside: commits of one small row by each of two databases in series, and a round trip on the bare server.

use std::{
    path::Path,
    time::{Duration, Instant},
};

use anyhow::{Context as _, bail};
use dos_protocol::{
    Allowance, ImageNo, PeerId, Seq,
    control::{Command, FromPeerd, Outcome, ToPeerd},
    directory::{Answer, Op, Share, ViewsChange},
    frame::{self, Reader},
};
use peerd::{Config, Daemon, Settings};
use rusqlite::Connection;
use tokio::{io::AsyncWriteExt, net::UnixStream, sync::watch, task::spawn_blocking, time::timeout};

use super::spend::{publication, unlimited};
use crate::{
    lab::{ANYWHERE, Lab},
    load::{Caller, Entry, Session, secrets},
    nats::Nats,
    server::Target,
    stats::{median, micros, percentile},
    table::{Bar, Row, Unit},
};

/// A push takes less, or something is wrong.
const PATIENCE: Duration = Duration::from_secs(20);

/// What an update may take, in times of the commits and the round trip that it cannot do without.
const TIMES_MAX: f64 = 1.5;

/// Pushes between two looks at the disk.
const TURNS: u32 = 25;

/// Microseconds, one a turn.
#[derive(Default)]
struct Times {
    /// To the commit of the viewer's peerd.
    committed: Vec<f64>,
    /// To another viewer's session.
    received: Vec<f64>,
    nats: Vec<f64>,
    trip: Vec<f64>,
    /// Of one commit, and of two in series.
    one: Vec<f64>,
    two: Vec<f64>,
}

/// Rows for both ends of the way, and what they are compared with.
pub(super) async fn measure(lab: &Lab) -> anyhow::Result<Vec<Row>> {
    let (dosd, bare) = lab.pair("push").await?;
    let (bare, dosd) = (bare.start(ANYWHERE).await?, dosd.start(ANYWHERE).await?);
    let keys = secrets(3)?;
    let [owner_key, other_key, echo_key] = keys.as_slice() else { bail!("three keys are needed") };
    let mut echo = Caller::new(echo_key, bare.target)?.open(&Entry::Bare).await?;
    let mut owner = Caller::new(owner_key, dosd.target)?.open(&Entry::Register(None)).await?;
    let mut other = Caller::new(other_key, dosd.target)?.open(&Entry::Register(None)).await?;
    let other_id = other.signed_in.as_ref().context("not signed in")?.id;
    let Answer::Image(image) = owner.ask(Op::Publish(Box::new(publication()?))).await? else {
        bail!("not published")
    };
    let (daemon, viewer) = viewer(&lab.dir().join("viewer"), dosd.target.link()).await?;
    let mut stored = daemon.updates_stored();
    let mut nats = Nats::start(lab.dir()).await?;
    let databases = lab.dir().join("commits");
    std::fs::create_dir(&databases)?;
    let mut series = Series::open(&databases)?;
    let mut times = Times::default();
    for round in 0..lab.pick(40, 4) {
        for turn in 1..=TURNS {
            let start = Instant::now();
            echo.echo(&[7; 200]).await?;
            times.trip.push(micros(start.elapsed()));
            let views = round * TURNS + turn;
            times.committed.push(push(&mut owner, &mut stored, (image.no, viewer), views).await?);
            times.received.push(receive(&mut owner, &mut other, (image.no, other_id), views).await?);
            if let Some(nats) = &mut nats {
                times.nats.push(nats.pass(&[7; 300]).await?);
            }
        }
        let (back, commits) = spawn_blocking(move || series.commit(TURNS)).await?;
        series = back;
        for (one, two) in commits? {
            times.one.push(one);
            times.two.push(two);
        }
    }
    daemon.stop().await;
    Ok(times.rows())
}

impl Times {
    fn rows(&self) -> Vec<Row> {
        let row =
            |what: &str, times: &[f64], share| Row::new(what, Unit::Micros).ours(percentile(times, share));
        let trip = median(&self.trip);
        let committed = "push of a grant to the viewer's commit";
        let received = "push of a grant until the viewer's daemon has it";
        let beside = Row::new("the same through NATS JetStream, p50", Unit::Micros);
        vec![
            row(&format!("{committed}, p50"), &self.committed, 0.5)
                .raw(median(&self.two) + trip, "two commits in series and a round trip")
                .bar(Bar::RatioAtMost(TIMES_MAX)),
            row(&format!("{committed}, p99"), &self.committed, 0.99)
                .raw(percentile(&self.two, 0.99) + percentile(&self.trip, 0.99), "the same, p99"),
            row(&format!("{received}, p50"), &self.received, 0.5)
                .raw(median(&self.one) + trip, "one commit and a round trip")
                .bar(Bar::RatioAtMost(TIMES_MAX)),
            match self.nats.is_empty() {
                true => beside.note("nats-server is not installed"),
                false => beside
                    .ours(median(&self.received))
                    .raw(median(&self.nats), "NATS, sync_interval: always")
                    .bar(Bar::RatioAtMost(1.0)),
            },
            row("two commits in series, p50", &self.two, 0.5).note("SQLite, WAL, synchronous=FULL"),
            row("a round trip, p50", &self.trip, 0.5).note("TLS, bare server"),
        ]
    }
}

/// Microseconds from the owner's request to the viewer's commit.
async fn push(
    owner: &mut Session,
    stored: &mut watch::Receiver<Seq>,
    (image, viewer): (ImageNo, PeerId),
    views: u32,
) -> anyhow::Result<f64> {
    let before = *stored.borrow_and_update();
    let share = Share { views: ViewsChange::Set(Allowance::Views(views)), ..unlimited(image, viewer) };
    let start = Instant::now();
    let arrives = async {
        timeout(PATIENCE, stored.wait_for(|now| *now > before)).await.context("the push does not come")??;
        anyhow::Ok(micros(start.elapsed()))
    };
    // The owner's answer is read meanwhile, so that the next push begins on a quiet connection.
    let (time, answer) = tokio::join!(arrives, owner.ask(Op::Share(share)));
    answer?;
    time
}

/// An owner and a viewer at one dosd, and an image to grant.
pub(super) struct Pair {
    owner: Session,
    viewer: Session,
    image: ImageNo,
    id: PeerId,
    views: u32,
}

impl Pair {
    /// Both register.
    ///
    /// # Errors
    /// If dosd refuses them.
    pub(super) async fn register(target: Target) -> anyhow::Result<Self> {
        let keys = secrets(2)?;
        let [owner_key, viewer_key] = keys.as_slice() else { bail!("two keys are needed") };
        let mut owner = Caller::new(owner_key, target)?.open(&Entry::Register(None)).await?;
        let viewer = Caller::new(viewer_key, target)?.open(&Entry::Register(None)).await?;
        let id = viewer.signed_in.as_ref().context("not signed in")?.id;
        let Answer::Image(image) = owner.ask(Op::Publish(Box::new(publication()?))).await? else {
            bail!("not published")
        };
        Ok(Self { owner, viewer, image: image.no, id, views: 0 })
    }

    /// Microseconds from a request to grant until the viewer has the update.
    ///
    /// # Errors
    /// If it does not come.
    pub(super) async fn push(&mut self) -> anyhow::Result<f64> {
        self.views += 1;
        receive(&mut self.owner, &mut self.viewer, (self.image, self.id), self.views).await
    }
}

/// Microseconds from the owner's request until the viewer's session has the update.
async fn receive(
    owner: &mut Session,
    viewer: &mut Session,
    (image, id): (ImageNo, PeerId),
    views: u32,
) -> anyhow::Result<f64> {
    let share = Share { views: ViewsChange::Set(Allowance::Views(views)), ..unlimited(image, id) };
    let start = Instant::now();
    let arrives = async {
        timeout(PATIENCE, viewer.received()).await.context("the push does not come")??;
        let time = micros(start.elapsed());
        viewer.acknowledge().await?;
        anyhow::Ok(time)
    };
    let (time, answer) = tokio::join!(arrives, owner.ask(Op::Share(share)));
    answer?;
    time
}

/// A peerd with a fresh identity, online.
async fn viewer(dir: &Path, link: String) -> anyhow::Result<(Daemon, PeerId)> {
    let config = Config {
        listen: ANYWHERE,
        settings: Settings { auto_fetch: false, ..Settings::default() },
        ..Config::new(dir.to_owned(), dir.with_extension("sock"))
    };
    let daemon = Box::pin(Daemon::start(config)).await?;
    let mut stream = UnixStream::connect(daemon.socket()).await?;
    let register = Command::Register { server: link.parse()?, name: None, password: None };
    stream.write_all(&frame::to_frame(&ToPeerd::Do(Box::new(register)))?).await?;
    let body = Reader::new(stream).next().await?.context("peerd has hung up")?;
    match frame::decode(&body)? {
        FromPeerd::Done(outcome) => match *outcome {
            Outcome::Registered { id, .. } => Ok((daemon, id)),
            other => bail!("peerd gave another answer: {other:?}"),
        },
        other => bail!("peerd did not register: {other:?}"),
    }
}

/// Two databases in which one row is written after the other.
struct Series([Connection; 2]);

impl Series {
    fn open(dir: &Path) -> anyhow::Result<Self> {
        let open = |name: &str| {
            let connection = Connection::open(dir.join(name))?;
            connection.pragma_update(None, "journal_mode", "WAL")?;
            connection.pragma_update(None, "synchronous", "FULL")?;
            connection.execute_batch("CREATE TABLE rows(no INTEGER PRIMARY KEY, frame BLOB NOT NULL)")?;
            anyhow::Ok(connection)
        };
        Ok(Self([open("first.db")?, open("second.db")?]))
    }

    /// Microseconds of each of `count` rows to be in the first, and in both.
    fn commit(self, count: u32) -> (Self, anyhow::Result<Vec<(f64, f64)>>) {
        let [first, second] = &self.0;
        let write = |connection: &Connection| {
            let mut insert = connection.prepare_cached("INSERT INTO rows(frame) VALUES(?1)")?;
            insert.execute([[7u8; 300].as_slice()])
        };
        let once = || {
            let start = Instant::now();
            write(first)?;
            let one = micros(start.elapsed());
            write(second)?;
            Ok((one, micros(start.elapsed())))
        };
        let times = (0..count).map(|_| once()).collect();
        (self, times)
    }
}
