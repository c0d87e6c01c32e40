//! Previews of photographs, in process on one core, against libvips.
//!
//! libvips is measured through `vipsthumbnail` on one core with one thread: the time for many files less the time for
//! one, so that its start is not in it. Without it the rows say what dos needs, and nothing else.

mod folder;

use std::{
    fs::File,
    io::BufReader,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::Instant,
};

use anyhow::{Context as _, ensure};
use tokio::task::spawn_blocking;

use crate::{
    lab::Lab,
    photo::Photo,
    stats::{median, micros},
    table::{Bar, Row, Unit},
};

/// Files in a long run of `vipsthumbnail`, beside the one of a short run.
const MORE_FILES: u32 = 6;

/// A kind of file that is measured.
struct Kind {
    name: &'static str,
    pixels: (u16, u16),
    format: Format,
    /// How many times as fast as libvips.
    bar: Option<f64>,
}

enum Format {
    Jpeg { progressive: bool },
    Png,
    WebP,
    Tiff,
    Avif,
}

impl Format {
    /// How libvips writes it of a PNG, and the extension; nothing for what is written here.
    fn of_vips(&self) -> Option<(&'static str, &'static [&'static str], &'static str)> {
        match self {
            Self::Jpeg { .. } | Self::Png => None,
            Self::WebP => Some(("webpsave", &["--Q", "80"], "webp")),
            Self::Tiff => Some(("tiffsave", &["--compression", "lzw", "--predictor", "horizontal"], "tif")),
            // As browsers and phones get them.
            Self::Avif => Some((
                "heifsave",
                &["--compression", "av1", "--Q", "60", "--bitdepth", "8", "--effort", "2"],
                "avif",
            )),
        }
    }
}

const BASELINE: Format = Format::Jpeg { progressive: false };
const PROGRESSIVE: Format = Format::Jpeg { progressive: true };
const MP_12: (u16, u16) = (4_000, 3_000);
const MP_24: (u16, u16) = (6_000, 4_000);

/// At most one and a half times the time of libvips.
const NEARLY: Option<f64> = Some(1.0 / 1.5);

const KINDS: [Kind; 8] = [
    Kind { name: "JPEG, 12 MP", pixels: MP_12, format: BASELINE, bar: Some(2.5) },
    Kind { name: "JPEG, 24 MP", pixels: MP_24, format: BASELINE, bar: None },
    Kind { name: "progressive JPEG, 12 MP", pixels: MP_12, format: PROGRESSIVE, bar: Some(10.0) },
    Kind { name: "progressive JPEG, 24 MP", pixels: MP_24, format: PROGRESSIVE, bar: None },
    Kind { name: "PNG, 12 MP", pixels: MP_12, format: Format::Png, bar: Some(2.5) },
    Kind { name: "WebP, lossy, 12 MP", pixels: MP_12, format: Format::WebP, bar: Some(1.0) },
    Kind { name: "TIFF, LZW, 12 MP", pixels: MP_12, format: Format::Tiff, bar: NEARLY },
    Kind { name: "AVIF, 12 MP", pixels: MP_12, format: Format::Avif, bar: NEARLY },
];

/// A row for each kind.
pub(super) async fn measure(lab: &Lab) -> anyhow::Result<Vec<Row>> {
    let (dir, seeds, rounds) = (lab.dir().join("previews"), lab.pick(3, 1), lab.pick(7, 2));
    let mut rows = spawn_blocking(move || {
        std::fs::create_dir(&dir)?;
        KINDS.iter().map(|kind| measure_kind(kind, &dir, seeds, rounds)).collect::<anyhow::Result<Vec<_>>>()
    })
    .await??;
    rows.push(folder::measure(lab).await?);
    Ok(rows)
}

fn measure_kind(kind: &Kind, dir: &Path, seeds: u64, rounds: usize) -> anyhow::Result<Row> {
    let row = Row::new(format!("preview of a {}", kind.name), Unit::Millis);
    let row = kind.bar.map_or(row.clone(), |times| row.bar(Bar::TimesAsFast(times)));
    let (mut ours, mut raw, mut bytes) = (Vec::new(), Vec::new(), 0);
    for seed in 1..=seeds {
        let photo = Photo::take(kind.pixels.0, kind.pixels.1, seed);
        let Some(file) = write(&photo, &kind.format, dir)? else {
            return Ok(row.note("libvips is not installed, and nothing else makes such a file"));
        };
        bytes += std::fs::metadata(&file)?.len();
        let copies = copies(&file)?;
        for _round in 0..rounds {
            ours.push(preview(&file)? / 1e3);
            raw.extend(vips(&copies)?.map(|time| time / 1e3));
        }
        std::fs::remove_dir_all(file.parent().context("no directory")?)?;
    }
    let row = row.ours(median(&ours));
    let megabytes = bytes as f64 / 1e6 / seeds as f64;
    let note = format!("files of {megabytes:.1} MB");
    Ok(if raw.is_empty() {
        row.note(format!("{note}; libvips is not installed"))
    } else {
        row.note(format!("{note}; {:.1} times as fast", median(&raw) / median(&ours)))
            .raw(median(&raw), "libvips")
    })
}

/// The photograph as a file in a directory of its own; nothing if there is no encoder for it.
fn write(photo: &Photo, format: &Format, dir: &Path) -> anyhow::Result<Option<PathBuf>> {
    let dir = dir.join("files");
    std::fs::create_dir(&dir)?;
    let path = |name: &str| dir.join(name);
    if let Format::Jpeg { progressive } = format {
        photo.write_jpeg(&path("photo.jpg"), *progressive)?;
        return Ok(Some(path("photo.jpg")));
    }
    let png = path("photo.png");
    photo.write_png(&png)?;
    let Some((save, options, extension)) = format.of_vips() else { return Ok(Some(png)) };
    let to = png.with_extension(extension);
    let mut command = Command::new("vips");
    command.arg(save).arg(&png).arg(&to).args(options);
    Ok(run(&mut command)?.map(|_| to))
}

/// The file under names of its own, because libvips keeps what it has seen.
fn copies(file: &Path) -> anyhow::Result<Vec<PathBuf>> {
    (0..=MORE_FILES)
        .map(|number| {
            let name = file.file_name().context("no name")?.to_string_lossy();
            let copy = file.with_file_name(format!("copy-{number}-{name}"));
            std::fs::hard_link(file, &copy)?;
            Ok(copy)
        })
        .collect()
}

/// Microseconds of one preview of ours.
fn preview(file: &Path) -> anyhow::Result<f64> {
    let start = Instant::now();
    let picture = dos_preview::make(BufReader::with_capacity(64 << 10, File::open(file)?))?;
    let time = micros(start.elapsed());
    ensure!(picture.preview.width == 256 && !picture.preview.jpeg.is_empty(), "no preview");
    Ok(time)
}

/// Microseconds of one preview of libvips, if it is there.
fn vips(copies: &[PathBuf]) -> anyhow::Result<Option<f64>> {
    let time = |files: &[PathBuf]| {
        let mut command = Command::new("taskset");
        command.args(["--cpu-list", "0", "vipsthumbnail", "--size", "256x256", "-o", "small-%s.jpg[Q=80]"]);
        run(command.env("VIPS_CONCURRENCY", "1").args(files))
    };
    let (one, all) = (time(copies.get(..1).unwrap_or_default())?, time(copies)?);
    Ok(one.zip(all).map(|(one, all)| (all - one) / f64::from(MORE_FILES)))
}

/// Microseconds of the command; nothing if there is no such program.
fn run(command: &mut Command) -> anyhow::Result<Option<f64>> {
    let start = Instant::now();
    match command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).status() {
        Ok(status) if status.success() => Ok(Some(micros(start.elapsed()))),
        Ok(status) if status.code() == Some(127) => Ok(None),
        Ok(status) => anyhow::bail!("{} ended with {status}", command.get_program().display()),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error.into()),
    }
}
