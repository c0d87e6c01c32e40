//! Whole commands that move a large image: `add`, `fetch`, `view`, from the start of the process to its end, against a raw
//! copy of the sealed file over TCP in the same run.
//!
//! The images are what phones call motion photos: a JPEG with data behind its end, here noise. Both daemons, the raw
//! programs and all files are on one host: sender and receiver share its cores.

use std::{
    fs::{self, File},
    io::{BufRead as _, BufReader, Read as _, Write as _},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use anyhow::{Context as _, ensure};
use tokio::task::spawn_blocking;

use crate::{
    dice::Dice,
    lab::{ANYWHERE, Lab},
    others,
    peers::{Peer, PeerPrograms, wait_until},
    photo::Photo,
    stats::median,
    table::{Bar, Row, Unit},
};

/// The way that bytes take between two peers.
pub(super) struct Way {
    name: &'static str,
    /// The least part of the raw rate, of the small image and of the large one.
    bars: [f64; 2],
}

/// From peer to peer.
const DIRECT: Way = Way { name: "direct", bars: [0.75, 0.95] };

/// Through the directory.
const RELAYED: Way = Way { name: "relayed", bars: [0.15, 0.15] };

/// Memory that a daemon may need more while 1 GiB passes through it, in KiB.
const MEMORY_MAX: f64 = 32.0 * 1024.0;

/// What the first byte of a view may take longer than that of a file, in ms.
const FIRST_BYTE_MAX: f64 = 5.0;

/// An owner who can be reached, one who cannot, a viewer, and the raw programs.
struct Scene {
    alice: Peer,
    carol: Peer,
    bob: Peer,
    raw: PathBuf,
    dir: PathBuf,
    quick: bool,
}

/// Rates in MB/s of a number of rounds.
#[derive(Default)]
struct Rates {
    ours: Vec<f64>,
    synced: Vec<f64>,
    unsynced: Vec<f64>,
    /// Computing time in all of the owner's daemon and the viewer's, in s.
    computed: [f64; 2],
}

/// An image that its owner has added.
struct Image {
    owner: &'static str,
    name: &'static str,
    file: PathBuf,
    bytes: u64,
    added_in: Duration,
}

/// Rows for 50 MB and 1 GiB: rates, memory, time to the first byte.
pub(super) async fn measure(lab: &Lab) -> anyhow::Result<Vec<Row>> {
    let raw = lab.programs.get("dos-bench", "bare-copy").await?;
    let peerd = lab.programs.get("peerd", "peerd").await?;
    let dosctl = lab.programs.get("dosctl", "dosctl").await?;
    let (dosd, _) = lab.pair("fetch").await?;
    let server = dosd.start(ANYWHERE).await?;
    let link = server.target.link();
    let (dir, quick) = (lab.dir().join("peers"), lab.quick);
    let rows = spawn_blocking(move || {
        fs::create_dir(&dir)?;
        let programs = PeerPrograms { peerd, dosctl };
        let alice = Peer::sign_up(&programs, &dir.join("alice"), &link, &[])?;
        let carol = Peer::sign_up(&programs, &dir.join("carol"), &link, &["--reachable", "false"])?;
        let bob = Peer::sign_up(&programs, &dir.join("bob"), &link, &[])?;
        Scene { alice, carol, bob, raw, dir, quick }.measure()
    });
    rows.await?
}

impl Scene {
    fn measure(&self) -> anyhow::Result<Vec<Row>> {
        let (small, large) = if self.quick { (5_000_000, 20 << 20) } else { (50_000_000, 1 << 30) };
        let rounds = if self.quick { (1, 1) } else { (7, 3) };
        let relayed = [self.image("carol", "small", small)?, self.image("carol", "large", large)?];
        let small = self.image("alice", "small", small)?;
        let large = self.image("alice", "large", large)?;
        let mut rows = self.fetches(&DIRECT, &small, rounds.0)?;
        self.forget_peaks()?;
        let before = self.resident("VmRSS")?;
        rows.extend(self.fetches(&DIRECT, &large, rounds.1)?);
        let after = self.resident("VmHWM")?;
        rows.extend(memory_rows(before, after, large.bytes));
        for (image, rounds) in relayed.iter().zip([rounds.0, rounds.1]) {
            rows.extend(self.fetches(&RELAYED, image, rounds)?);
        }
        rows.extend(self.original(&large)?);
        rows.extend(self.first_byte()?);
        Ok(rows)
    }

    fn forget_peaks(&self) -> anyhow::Result<()> {
        self.alice.forget_peak()?;
        self.bob.forget_peak()
    }

    /// Of Alice's daemon and Bob's, in KiB.
    fn resident(&self, field: &str) -> anyhow::Result<[f64; 2]> {
        Ok([self.alice.memory(field)?, self.bob.memory(field)?])
    }

    /// Of the image's owner's daemon and Bob's, in s.
    fn computed(&self, image: &Image) -> anyhow::Result<[f64; 2]> {
        Ok([self.owner(image).computed()?, self.bob.computed()?])
    }

    fn owner(&self, image: &Image) -> &Peer {
        if image.owner == "carol" { &self.carol } else { &self.alice }
    }

    fn image(&self, owner: &'static str, name: &'static str, bytes: u64) -> anyhow::Result<Image> {
        let file = self.dir.join(format!("{owner}-{name}.jpg"));
        motion_photo(&file, bytes)?;
        let mut image = Image { owner, name, file, bytes, added_in: Duration::ZERO };
        let start = Instant::now();
        self.owner(&image).run(&["add", &image.file.display().to_string(), "--name", name])?;
        image.added_in = start.elapsed();
        Ok(image)
    }

    fn share(&self, image: &Image) -> anyhow::Result<()> {
        give(self.owner(image), &self.bob, image.name)
    }

    fn unshare(&self, image: &Image) -> anyhow::Result<()> {
        take_back(self.owner(image), &self.bob, image.name)
    }

    fn fetches(&self, way: &Way, image: &Image, rounds: usize) -> anyhow::Result<Vec<Row>> {
        let server = RawServer::start(&self.raw, &image.file, "127.0.0.1:0")?;
        let here = self.dir.join("here");
        let mut rates = Rates::default();
        let path = format!("{}/{}", image.owner, image.name);
        self.share(image)?;
        let told = self.bob.run(&["--json", "fetch", &path])?;
        ensure!(told.contains(&format!("\"way\":\"{}\"", way.name)), "it did not come {}: {told}", way.name);
        self.unshare(image)?;
        for _round in 0..rounds {
            self.share(image)?;
            let before = self.computed(image)?;
            rates.ours.push(rate(image.bytes, timed(&mut self.bob.command(&["fetch", &path]))?));
            rates.computed = sum(rates.computed, grown(before, self.computed(image)?));
            self.unshare(image)?;
            for (sync, rates) in [(true, &mut rates.synced), (false, &mut rates.unsynced)] {
                let mut raw = Command::new(&self.raw);
                raw.args(["fetch", &server.address]).arg(&here).args(sync.then_some("--sync"));
                rates.push(rate(image.bytes, timed(&mut raw)?));
                fs::remove_file(&here)?;
            }
        }
        let what = format!("fetch of {}, {}", size(image.bytes), way.name);
        let row = |name: &str| Row::new(format!("{what}{name}"), Unit::MegabytesPerSecond);
        let (ours, [small, large]) = (median(&rates.ours), way.bars);
        let [owner, viewer] = rates.computed.map(|seconds| seconds / rounds as f64);
        let mut rows = vec![
            row("")
                .ours(ours)
                .raw(median(&rates.synced), "raw TCP copy, synced")
                .bar(Bar::RatioAtLeast(if image.name == "small" { small } else { large }))
                .note(format!("computing time {owner:.2} s + {viewer:.2} s")),
            row(", raw copy not synced").ours(ours).raw(median(&rates.unsynced), "raw TCP copy"),
        ];
        // They know no other way.
        let others = if way.name == DIRECT.name { &others::ALL[..] } else { &[] };
        for other in others {
            let row = Row::new(format!("{} of {}", other.name, size(image.bytes)), Unit::MegabytesPerSecond);
            rows.push(match (other.copy)(&image.file, &self.dir, rounds.min(3))? {
                Some(time) => {
                    row.ours(rate(image.bytes, time)).raw(median(&rates.synced), "raw TCP copy, synced")
                }
                None => row.note("not installed"),
            });
        }
        Ok(rows)
    }

    /// Sealing an original and opening it again, as whole commands.
    fn original(&self, image: &Image) -> anyhow::Result<Vec<Row>> {
        let (path, out) = (format!("alice/{}", image.name), self.dir.join("out.jpg"));
        self.share(image)?;
        self.bob.run(&["fetch", &path])?;
        self.forget_peaks()?;
        let before = self.resident("VmRSS")?;
        let mut view = self.bob.command(&["view", &path, "-o"]);
        let viewed_in = timed(view.arg(&out))?;
        let [_, grown] = grown(before, self.resident("VmHWM")?);
        ensure!(out.metadata()?.len() == image.bytes, "the view is not whole");
        fs::remove_file(&out)?;
        self.unshare(image)?;
        let row = |verb: &str| Row::new(format!("{verb} of {}", size(image.bytes)), Unit::MegabytesPerSecond);
        Ok(vec![
            row("add").ours(rate(image.bytes, image.added_in)),
            row("view -o FILE")
                .ours(rate(image.bytes, viewed_in))
                .note(format!("memory of the viewer's daemon +{:.1} MiB", grown / 1024.0)),
        ])
    }

    /// From the start of `view -o -` to its first byte, against that of a program that only reads a file.
    fn first_byte(&self) -> anyhow::Result<Vec<Row>> {
        let image = self.image("alice", "five", 5_000_000)?;
        self.share(&image)?;
        self.bob.run(&["fetch", "alice/five"])?;
        let (mut ours, mut raw) = (Vec::new(), Vec::new());
        for _round in 0..if self.quick { 5 } else { 100 } {
            ours.push(until_first_byte(&mut self.bob.command(&["view", "alice/five", "-o", "-"]))?);
            raw.push(until_first_byte(Command::new(&self.raw).arg("cat").arg(&image.file))?);
        }
        let (ours, raw) = (median(&ours), median(&raw));
        Ok(vec![
            Row::new("first byte of a view beyond that of a file, 5 MB, p50", Unit::Millis)
                .ours(ours - raw)
                .bar(Bar::Below(FIRST_BYTE_MAX))
                .note(format!("{ours:.2} ms against {raw:.2} ms")),
        ])
    }
}

/// Gives a viewer a grant and waits until its daemon has it.
pub(super) fn give(owner: &Peer, viewer: &Peer, image: &str) -> anyhow::Result<()> {
    owner.run(&["share", image, viewer.name()?, "--unlimited"])?;
    let (path, active) = (format!("/{image}\""), "\"active\"");
    wait_until("the viewer has its grant", || {
        let rights = viewer.run(&["--json", "shares", "--received"])?;
        Ok(rights.contains(&path) && rights.contains(active))
    })
}

/// Revokes it and waits until the viewer has no copy any more, of this image or any other.
pub(super) fn take_back(owner: &Peer, viewer: &Peer, image: &str) -> anyhow::Result<()> {
    owner.run(&["share", image, viewer.name()?, "--revoke"])?;
    let copies = viewer.dir().join("state/sealed");
    wait_until("the copy is gone", || Ok(fs::read_dir(&copies)?.next().is_none()))
}

fn grown(before: [f64; 2], after: [f64; 2]) -> [f64; 2] {
    [after[0] - before[0], after[1] - before[1]]
}

fn sum(a: [f64; 2], b: [f64; 2]) -> [f64; 2] {
    [a[0] + b[0], a[1] + b[1]]
}

fn memory_rows(before: [f64; 2], after: [f64; 2], bytes: u64) -> Vec<Row> {
    let row = |(whose, grown): (&str, f64)| {
        let what = format!("memory of the {whose}'s peerd more, fetch of {}", size(bytes));
        Row::new(what, Unit::Kilobytes).ours(grown).bar(Bar::Below(MEMORY_MAX))
    };
    ["owner", "viewer"].into_iter().zip(grown(before, after)).map(row).collect()
}

/// In the unit in which it was asked for.
fn size(bytes: u64) -> String {
    match bytes.is_multiple_of(1 << 20) {
        true => format!("{} MiB", bytes >> 20),
        false => format!("{} MB", bytes / 1_000_000),
    }
}

/// MB/s.
fn rate(bytes: u64, time: Duration) -> f64 {
    bytes as f64 / 1e6 / time.as_secs_f64()
}

/// How long a whole command takes.
pub(crate) fn timed(command: &mut Command) -> anyhow::Result<Duration> {
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
    let start = Instant::now();
    let output = command.spawn()?.wait_with_output()?;
    let time = start.elapsed();
    let program = command.get_program().display();
    ensure!(output.status.success(), "{program} failed: {}", String::from_utf8_lossy(&output.stderr));
    Ok(time)
}

/// Milliseconds from the start of a command to the first byte that it writes.
fn until_first_byte(command: &mut Command) -> anyhow::Result<f64> {
    let start = Instant::now();
    let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn()?;
    let mut out = child.stdout.take().context("no standard output")?;
    out.read_exact(&mut [0])?;
    let time = start.elapsed();
    std::io::copy(&mut out, &mut std::io::sink())?;
    ensure!(child.wait()?.success(), "{} failed", command.get_program().display());
    Ok(time.as_secs_f64() * 1e3)
}

/// A JPEG with noise behind its end, `bytes` in all, in the kernel's cache and on the disk.
pub(super) fn motion_photo(path: &Path, bytes: u64) -> anyhow::Result<()> {
    Photo::take(1024, 768, bytes).write_jpeg(path, false)?;
    let mut file = File::options().append(true).open(path)?;
    let mut left = bytes.checked_sub(file.metadata()?.len()).context("the photo alone is larger")?;
    let mut dice = Dice::new(bytes);
    let mut piece = vec![0; 1 << 20];
    while left > 0 {
        piece.chunks_exact_mut(8).for_each(|place| place.copy_from_slice(&dice.next().to_le_bytes()));
        let count = piece.len().min(usize::try_from(left)?);
        file.write_all(piece.get(..count).unwrap_or_default())?;
        left -= count as u64;
    }
    Ok(file.sync_all()?)
}

/// `bare-copy serve` of one file.
pub(super) struct RawServer {
    child: Child,
    pub(super) address: String,
}

impl RawServer {
    /// At this address.
    pub(super) fn start(program: &Path, file: &Path, address: &str) -> anyhow::Result<Self> {
        let mut child =
            Command::new(program).arg("serve").arg(file).arg(address).stdout(Stdio::piped()).spawn()?;
        let mut address = String::new();
        BufReader::new(child.stdout.take().context("no standard output")?).read_line(&mut address)?;
        Ok(Self { child, address: address.trim().to_owned() })
    }
}

impl Drop for RawServer {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}
