//! A folder of mixed pictures through `dosctl add`, the whole command with sealing, previews and publication, against
//! `xargs -P2 vipsthumbnail` over the same files, which makes previews alone.

use std::{
    fs::{self, File},
    io::Write as _,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use anyhow::{Context as _, ensure};
use tokio::task::spawn_blocking;

use super::{BASELINE, Format, PROGRESSIVE, run, write};
use crate::{
    lab::{ANYWHERE, Lab},
    peers::{Peer, PeerPrograms},
    photo::Photo,
    rows::timed,
    stats::median,
    table::{Bar, Row, Unit},
};

/// How many of each kind are in a tenth of the folder: what people have.
const TENTH: [(Format, usize); 6] = [
    (BASELINE, 4),
    (PROGRESSIVE, 1),
    (Format::Png, 2),
    (Format::WebP, 1),
    (Format::Tiff, 1),
    (Format::Avif, 1),
];

/// One row.
pub(super) async fn measure(lab: &Lab) -> anyhow::Result<Row> {
    let (tenths, size, rounds) = (lab.pick(10, 1), lab.pick((4_000, 3_000), (800, 600)), lab.pick(3, 1));
    let programs = PeerPrograms {
        peerd: lab.programs.get("peerd", "peerd").await?,
        dosctl: lab.programs.get("dosctl", "dosctl").await?,
    };
    let (dosd, _) = lab.pair("folder").await?;
    let server = dosd.start(ANYWHERE).await?;
    let (link, dir) = (server.target.link(), lab.dir().join("folder-peers"));
    spawn_blocking(move || {
        fs::create_dir(&dir)?;
        let alice = Peer::sign_up(&programs, &dir.join("alice"), &link, &[])?;
        let row = Row::new("a folder of mixed pictures, added", Unit::Seconds).bar(Bar::TimesAsFast(2.0));
        let Some(originals) = originals(&dir.join("originals"), size)? else {
            return Ok(row.note("libvips is not installed, and nothing else makes such files"));
        };
        let (mut ours, mut raw, mut count) = (Vec::new(), Vec::new(), 0);
        for round in 0..rounds {
            let folder = dir.join(format!("round{round}"));
            let files = fill(&folder, &originals, (round, tenths))?;
            count = files.len();
            ours.push(
                timed(&mut alice.command(&["add", "-r", &folder.display().to_string()]))?.as_secs_f64(),
            );
            raw.extend(thumbnails(&files, &dir)?.map(|micros| micros / 1e6));
            fs::remove_dir_all(&folder)?;
        }
        ensure!(raw.len() == ours.len(), "vipsthumbnail is not there for all rounds");
        let note = format!("{count} files; {:.1} times as fast", median(&raw) / median(&ours));
        Ok(row.ours(median(&ours)).raw(median(&raw), "xargs -P2 vipsthumbnail").note(note))
    })
    .await?
}

/// A file of every kind, and how many of it are wanted in a tenth.
fn originals(dir: &Path, size: (u16, u16)) -> anyhow::Result<Option<Vec<(PathBuf, usize)>>> {
    fs::create_dir(dir)?;
    let mut files = Vec::new();
    for ((format, count), seed) in TENTH.iter().zip(1..) {
        let own = dir.join(seed.to_string());
        fs::create_dir(&own)?;
        let Some(file) = write(&Photo::take(size.0, size.1, seed), format, &own)? else { return Ok(None) };
        files.push((file, *count));
    }
    Ok(Some(files))
}

/// Fills a folder with copies, each of which is a file of its own: what follows a picture differs, and matters to no program.
fn fill(
    folder: &Path,
    originals: &[(PathBuf, usize)],
    (round, tenths): (usize, usize),
) -> anyhow::Result<Vec<PathBuf>> {
    fs::create_dir(folder)?;
    let mut files = Vec::new();
    let all = (0..tenths).flat_map(|_| originals).flat_map(|(file, count)| (0..*count).map(move |_| file));
    for (number, original) in all.enumerate() {
        let extension = original.extension().context("no extension")?.to_string_lossy();
        let file = folder.join(format!("p{round}-{number}.{extension}"));
        fs::copy(original, &file)?;
        let tag = u32::try_from(round * 1000 + number)?.to_be_bytes();
        // To containers it is a box of nothing.
        File::options()
            .append(true)
            .open(&file)?
            .write_all(&[b"\0\0\0\x0cfree".as_slice(), &tag].concat())?;
        files.push(file);
    }
    Ok(files)
}

/// Microseconds of previews of all files by two processes of libvips, if it is there.
fn thumbnails(files: &[PathBuf], dir: &Path) -> anyhow::Result<Option<f64>> {
    let (out, list) = (dir.join("thumbnails"), dir.join("list"));
    fs::create_dir(&out)?;
    let names: Vec<u8> =
        files.iter().flat_map(|file| [file.as_os_str().as_encoded_bytes(), b"\0"].concat()).collect();
    fs::write(&list, names)?;
    let to = format!("{}/%s.jpg[Q=80]", out.display());
    let mut command = Command::new("xargs");
    command.arg("-a").arg(&list).args(["-0", "-P2", "-n10", "vipsthumbnail", "--size", "256x256", "-o", &to]);
    let time = run(command.env("VIPS_CONCURRENCY", "1").stdin(Stdio::null()))?;
    let made = fs::read_dir(&out)?.count();
    fs::remove_dir_all(&out)?;
    ensure!(time.is_none() || made == files.len(), "vipsthumbnail has made {made} of {}", files.len());
    Ok(time)
}
