//! The push of a right to an online viewer: from the owner's request until the viewer's peerd holds it, committed.
//!
//! Owner and dosd are as in the other rows. The viewer is a whole peerd, in this process, because only there its commit can
//! be seen the moment it has happened. Two commits in series are in this path, dosd's and peerd's: what they cost on this
//! disk is measured alongside, as the commit of one small row by each of two databases in series.

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
    stats::{median, micros, percentile},
    table::{Bar, Row, Unit},
};

/// A push takes less, or something is wrong.
const PATIENCE: Duration = Duration::from_secs(20);

/// Three rows: p50, which has the bar, p99, and what two commits in series take.
pub(super) async fn measure(lab: &Lab) -> anyhow::Result<Vec<Row>> {
    let (dosd, bare) = lab.pair("push").await?;
    let (bare, dosd) = (bare.start(ANYWHERE).await?, dosd.start(ANYWHERE).await?);
    let keys = secrets(2)?;
    let [owner_key, echo_key] = keys.as_slice() else { bail!("two keys are needed") };
    let mut echo = Caller::new(echo_key, bare.target)?.open(&Entry::Bare).await?;
    let mut owner = Caller::new(owner_key, dosd.target)?.open(&Entry::Register(None)).await?;
    let Answer::Image(image) = owner.ask(Op::Publish(Box::new(publication()?))).await? else {
        bail!("not published")
    };
    let (daemon, viewer) = viewer(&lab.dir().join("viewer"), dosd.target.link()).await?;
    let mut stored = daemon.updates_stored();
    let (mut ours, mut raw, mut commits) = (Vec::new(), Vec::new(), Vec::new());
    let databases = lab.dir().join("commits");
    std::fs::create_dir(&databases)?;
    let mut series = Series::open(&databases)?;
    for round in 0..lab.pick(40, 4) {
        for turn in 0..25 {
            let start = Instant::now();
            echo.echo(&[7; 200]).await?;
            raw.push(micros(start.elapsed()));
            ours.push(push(&mut owner, &mut stored, (image.no, viewer), round * 25 + turn + 1).await?);
        }
        let (back, times) = spawn_blocking(move || series.commit(25)).await?;
        (series, commits) = (back, [commits, times?].concat());
    }
    daemon.stop().await;
    let row = |name: &str, share: f64| {
        Row::new(format!("push of a right to the viewer's commit, {name}"), Unit::Micros)
            .ours(percentile(&ours, share))
            .raw(percentile(&raw, share), "bare round trip")
    };
    let two = Row::new("two commits in series, p50", Unit::Micros).ours(median(&commits));
    Ok(vec![
        row("p50", 0.5).bar(Bar::RatioAtMost(2.5)),
        row("p99", 0.99),
        two.note("SQLite, WAL, synchronous=FULL: part of the row above"),
    ])
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

    /// Microseconds of each of `count` rows to be in both.
    fn commit(self, count: usize) -> (Self, anyhow::Result<Vec<f64>>) {
        let once = || {
            let start = Instant::now();
            for connection in &self.0 {
                let mut insert = connection.prepare_cached("INSERT INTO rows(frame) VALUES(?1)")?;
                insert.execute([[7u8; 300].as_slice()])?;
            }
            Ok(micros(start.elapsed()))
        };
        let times = (0..count).map(|_| once()).collect();
        (self, times)
    }
}
