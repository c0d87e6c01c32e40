//! The inputs that fuzzing begins with: golden messages and rows, a recorded session, what is typed and configured, and small
//! pictures of every kind.
//!
//! Deterministic, so that making them anew changes nothing; named by their hashes, so that none is there twice.

use std::{
    fs,
    io::Cursor,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result};
use image::{DynamicImage, ExtendedColorType, ImageFormat, RgbImage, codecs::gif::GifEncoder};

/// Makes all of them.
///
/// # Errors
/// If a golden file cannot be read, or an input not be written.
pub(super) fn make(workspace: &Path, corpus: &Path) -> Result<()> {
    let seeds = Seeds { workspace, corpus };
    seeds.messages()?;
    seeds.rows()?;
    seeds.texts()?;
    seeds.files()?;
    seeds.sealed()?;
    seeds.pictures()
}

struct Seeds<'a> {
    workspace: &'a Path,
    corpus: &'a Path,
}

fn unhex(text: &str) -> Option<Vec<u8>> {
    let text = text.trim();
    let byte = |at: usize| text.get(at..at + 2).and_then(|pair| u8::from_str_radix(pair, 16).ok());
    (!text.is_empty() && text.len().is_multiple_of(2))
        .then(|| (0..text.len()).step_by(2).map(byte).collect())?
}

impl Seeds<'_> {
    fn add(&self, target: &str, bytes: &[u8]) -> Result<()> {
        let folder = self.corpus.join(target);
        fs::create_dir_all(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
        let name = blake3::hash(bytes).to_hex();
        let file = folder.join(name.get(..16).unwrap_or(&name));
        fs::write(&file, bytes).with_context(|| format!("cannot write {}", file.display()))
    }

    fn read(&self, path: &str) -> Result<String> {
        let path = self.workspace.join(path);
        fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))
    }

    /// The bodies that stand in a snapshot of golden messages.
    fn golden(&self, name: &str) -> Result<Vec<Vec<u8>>> {
        let path = format!("protocol/tests/it/golden/snapshots/it__golden__{name}.snap");
        Ok(self.read(&path)?.lines().filter_map(unhex).collect())
    }

    fn messages(&self) -> Result<()> {
        let conversations = [
            ("admin_messages", ["admin__from_dosd", "admin__to_dosd"]),
            ("control_messages", ["control__from_peerd", "control__to_peerd"]),
            ("directory_messages", ["directory__from_the_directory", "directory__to_the_directory"]),
            ("node_messages", ["node__from_a_node", "node__to_a_node"]),
            ("peer_messages", ["peer__from_a_peer", "peer__to_a_peer"]),
        ];
        for (target, directions) in conversations {
            let mut stream = vec![7];
            for body in directions
                .map(|direction| self.golden(direction))
                .into_iter()
                .collect::<Result<Vec<_>>>()?
                .concat()
            {
                self.add(target, &body)?;
                if stream.len() + body.len() < 2000 {
                    stream.extend(u32::try_from(body.len())?.to_be_bytes());
                    stream.extend(body);
                }
            }
            self.add("frames", &stream)?;
        }
        self.add("frames", &[1, 0xff, 0xff, 0xff, 0xff])?;
        for line in self.read("testdata/d608605/session.txt")?.lines() {
            let (conversation, body) = line.split_once(' ').unwrap_or_default();
            let target = match conversation {
                "ToDirectory" | "FromDirectory" => "directory_messages",
                "ToPeerd" | "FromPeerd" => "control_messages",
                "ToPeer" | "FromPeer" => "peer_messages",
                _ => "admin_messages",
            };
            // Pieces of images only make a corpus large.
            if let Some(body) = unhex(body).filter(|body| body.len() < 2000) {
                self.add(target, &body)?;
            }
        }
        Ok(())
    }

    fn rows(&self) -> Result<()> {
        let folders = [
            "dosd/src/store/stored/golden/v1",
            "dosd/src/store/stored/golden/frame",
            "peerd/src/store/stored/golden",
        ];
        for folder in folders.map(|folder| self.workspace.join(folder)) {
            let entries =
                fs::read_dir(&folder).with_context(|| format!("cannot read {}", folder.display()))?;
            let mut paths = entries.map(|entry| Ok(entry?.path())).collect::<Result<Vec<PathBuf>>>()?;
            paths.sort();
            for path in paths {
                if let Some(row) = fs::read_to_string(&path).ok().and_then(|text| unhex(&text)) {
                    self.add("stored_rows", &row)?;
                }
            }
        }
        Ok(())
    }

    fn texts(&self) -> Result<()> {
        let key = "4uQeVj5tqViQh7yWWGStvkEG1Zmhx6uasJtWCJziofM";
        for link in [
            format!("dos://{key}@example.org:5001"),
            format!("dos://{key}@[2001:db8::1]:5001?invite=abcdefgh12345678"),
            format!("dos-peer://FKWAHUhn@{key}?name=alice"),
            key.to_owned(),
            "FKWAHUhn/Sea at dawn (2)".into(),
            "alice/sea".into(),
            "192.0.2.1:4242/sea".into(),
            "[2001:db8::1]:5001".into(),
            "example.org:5001".into(),
            "c17".into(),
        ] {
            self.add("links", link.as_bytes())?;
        }
        for name in [
            "alice.m_7-x",
            "Sea at dawn (2).final",
            "海",
            "90s",
            "1h30m",
            "7d",
            "a\u{202e}b",
            "jpeg",
            "x/y",
            "  ",
        ] {
            self.add("names", name.as_bytes())?;
        }
        Ok(())
    }

    fn files(&self) -> Result<()> {
        for settings in [
            "listen = \"[::]:5001\"\ndata_dir = \"/var/lib/dosd\"\nregistration = \"invite\"\nrelay = \"off\"\nidle_timeout = \"1h\"\n",
            "broadcast = \"on\"\nbroadcasts_per_minute = 6\nsessions_max = 100000\nlog = \"dosd=debug,info\"\nlog_format = \"json\"\n",
            "advertise = \"example.org:5001\"\nmetrics = \"127.0.0.1:9090\"\nblock_duration = \"60s\"\nrelay_calls = 256\n",
            "profile = \"default\"\nstate_dir = \"/home/alice/.local/state/dos\"\nlisten = \"[::]:0\"\nreachable = true\n",
            "advertise = [\"192.0.2.1:4242\"]\nsocket = \"/run/user/1000/dos/ctl.sock\"\nauto_fetch = false\n",
        ] {
            self.add("config", settings.as_bytes())?;
        }
        for peer in ["alice", "bob", "carol"] {
            self.add("identity", self.read(&format!("testdata/d608605/{peer}/identity.toml"))?.as_bytes())?;
        }
        Ok(())
    }

    fn sealed(&self) -> Result<()> {
        let folder = self.workspace.join("testdata/d608605/alice/sealed");
        let entries = fs::read_dir(&folder).with_context(|| format!("cannot read {}", folder.display()))?;
        for entry in entries {
            let copy = fs::read(entry?.path())?;
            self.add("sealed_copies", copy.get(..1000).unwrap_or(&copy))?;
            self.add("letters", copy.get(..200).unwrap_or(&copy))?;
        }
        self.add("sealed_copies", b"\0\x01a text that is sealed")?;
        self.add("letters", "a text, and so on: \u{e4}\u{1f600}".as_bytes())?;
        // A file of one block, whose list is its hash; and one of two.
        let block = blake3::hash(b"a block");
        let list =
            |length: u64| [block.as_bytes().as_slice(), &length.to_be_bytes(), block.as_bytes()].concat();
        self.add("block_lists", &list(7))?;
        self.add("block_lists", &[list((1 << 20) + 1), block.as_bytes().to_vec()].concat())?;
        // Lengths as in RFC 9807 with Ristretto255 and SHA-512; the point is the group's generator (RFC 9496, appendix A.1).
        let point =
            unhex("e2f2ae0a6abc4e71a884a961c500515f58e30b6aa582dd8db6a65945e08d2d76").unwrap_or_default();
        for length in [0, 64, 160, 192] {
            self.add("passwords", &[vec![32], point.clone(), point.clone(), vec![1; length]].concat())?;
        }
        self.add(
            "passwords",
            &[vec![96], point.clone(), vec![3; 32], point.clone(), point, vec![9; 160]].concat(),
        )
    }

    fn pictures(&self) -> Result<()> {
        for (width, height) in [(1, 1), (17, 9), (40, 30)] {
            let picture = painted(width, height);
            let encode = |format| -> Result<Vec<u8>> {
                let mut file = Cursor::new(Vec::new());
                picture.write_to(&mut file, format)?;
                Ok(file.into_inner())
            };
            self.add("preview_png", &encode(ImageFormat::Png)?)?;
            self.add("preview_webp", &encode(ImageFormat::WebP)?)?;
            for format in [ImageFormat::Bmp, ImageFormat::Qoi, ImageFormat::Pnm, ImageFormat::Tga] {
                self.add("preview_bitmaps", &encode(format)?)?;
            }
            self.add("preview_bitmaps", &icon(&picture)?)?;
            self.add("preview_psd", &photoshop(&picture))?;
            let mut gif = Vec::new();
            GifEncoder::new(&mut gif).encode(picture.as_raw(), width, height, ExtendedColorType::Rgb8)?;
            self.add("preview_gif", &gif)?;
            // Width, height, photometric interpretation, strip, samples, length of the strip.
            let length = u32::try_from(picture.as_raw().len())?;
            let page =
                [(256, width), (257, height), (258, 8), (262, 2), (273, DATA), (277, 3), (279, length)];
            self.add("preview_tiff", &structure(&page, picture.as_raw()))?;
            // Orientation, a JPEG, and that it is a DNG.
            let jpeg = encode(ImageFormat::Jpeg)?;
            let camera = [(274, 6), (513, DATA), (514, u32::try_from(jpeg.len())?), (50_706, 1)];
            self.add("preview_raw", &structure(&camera, &jpeg))?;
            for (progressive, restart) in [(false, None), (true, None), (false, Some(2))] {
                let mut jpeg = Vec::new();
                let mut encoder = jpeg_encoder::Encoder::new(&mut jpeg, 70);
                encoder.set_progressive(progressive);
                if let Some(interval) = restart {
                    encoder.set_restart_interval(interval);
                }
                let size = (u16::try_from(width)?, u16::try_from(height)?);
                encoder.encode(picture.as_raw(), size.0, size.1, jpeg_encoder::ColorType::Rgb)?;
                self.add("preview_jpeg", &jpeg)?;
            }
        }
        for drawing in DRAWINGS {
            let file = format!("<svg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 40 30'>{drawing}</svg>");
            self.add("preview_svg", file.as_bytes())?;
        }
        let folders = ["preview/tests/data", "preview/tests/data/avif", "preview/tests/data/tiff"];
        for path in
            folders.map(|folder| self.files_in(folder)).into_iter().collect::<Result<Vec<_>>>()?.concat()
        {
            let target = match path.extension().and_then(|end| end.to_str()) {
                Some("jpg") => "preview_jpeg",
                Some("webp") => "preview_webp",
                Some("jxl") => "preview_jxl",
                Some("avif") => "preview_avif",
                Some("heic") => "preview_heic",
                Some("tif") => "preview_tiff",
                _ => continue,
            };
            self.add(target, &fs::read(&path)?)?;
        }
        Ok(())
    }

    fn files_in(&self, folder: &str) -> Result<Vec<PathBuf>> {
        let folder = self.workspace.join(folder);
        let entries = fs::read_dir(&folder).with_context(|| format!("cannot read {}", folder.display()))?;
        entries.map(|entry| Ok(entry?.path())).collect()
    }
}

/// Drawings of every kind of what can be drawn, and of what refers to something else.
const DRAWINGS: [&str; 6] = [
    "<rect width='9' height='8' fill='#c02020'/><circle cx='20' cy='9' r='5' stroke='blue' stroke-dasharray='1 2'/>",
    "<defs><linearGradient id='g'><stop stop-color='red'/><stop offset='1'/></linearGradient></defs>\
     <path fill='url(#g)' d='M1 2C3 4 5 6 7 8a1 2 3 0 1 4 5zm9 9h3v4q1 1 2-3t4 4'/>",
    "<g id='a'><path d='M0 0h9'/></g><use href='#a' x='3'/><symbol id='s' viewBox='0 0 9 9'><use href='#a'/></symbol><use href='#s'/>",
    "<clipPath id='c'><circle r='9'/></clipPath><mask id='m'><rect width='9' height='9'/></mask>\
     <g clip-path='url(#c)' mask='url(#m)' opacity='.5'><rect width='20' height='9'/></g>",
    "<filter id='f'><feGaussianBlur stdDeviation='2'/><feOffset dx='3'/></filter><rect width='9' height='9' filter='url(#f)'/>\
     <marker id='k'><path d='M0 0h1'/></marker><path marker-mid='url(#k)' d='M0 0h3v3h3'/>",
    "<style>rect{fill:url(#p)}</style><pattern id='p' width='.2' height='.3'><path d='M0 0h2'/></pattern><rect width='9' height='9'/>\
     <text>hello</text><image href='data:image/png;base64,AA=='/>",
];

/// An icon of one picture, which has an opacity.
fn icon(picture: &RgbImage) -> Result<Vec<u8>> {
    let mut file = Cursor::new(Vec::new());
    DynamicImage::from(picture.clone()).to_rgba8().write_to(&mut file, ImageFormat::Ico)?;
    Ok(file.into_inner())
}

/// A file of Photoshop: a resource, no layers, and three planes.
fn photoshop(picture: &RgbImage) -> Vec<u8> {
    let mut file = b"8BPS\0\x01\0\0\0\0\0\0\0\x03".to_vec();
    file.extend([picture.height(), picture.width()].into_iter().flat_map(u32::to_be_bytes));
    // Bits, RGB, no palette.
    file.extend([0, 8, 0, 3, 0, 0, 0, 0]);
    file.extend(b"\0\0\0\x0e8BIM\x04\x0f\0\0\0\0\0\x02xy");
    // No layers, and no compression.
    file.extend([0; 6]);
    for plane in 0..3 {
        file.extend(picture.as_raw().iter().skip(plane).step_by(3));
    }
    file
}

/// Stands for the place of the data in a directory.
const DATA: u32 = u32::MAX;

/// A TIFF structure of one directory, and the data behind it.
fn structure(entries: &[(u16, u32)], data: &[u8]) -> Vec<u8> {
    let count = u16::try_from(entries.len()).unwrap_or(u16::MAX);
    let place = 8 + 2 + 12 * u32::from(count) + 4;
    let mut file = b"II*\0\x08\0\0\0".to_vec();
    file.extend(count.to_le_bytes());
    for &(tag, value) in entries {
        file.extend(tag.to_le_bytes());
        file.extend(4u16.to_le_bytes());
        file.extend(1u32.to_le_bytes());
        file.extend(if value == DATA { place } else { value }.to_le_bytes());
    }
    file.extend([0; 4]);
    file.extend_from_slice(data);
    file
}

fn painted(width: u32, height: u32) -> RgbImage {
    RgbImage::from_fn(width, height, |x, y| {
        let wave = |n: u32| u8::try_from(n * 37 % 256).unwrap_or(0);
        image::Rgb([wave(x), wave(y), wave(x * y)])
    })
}
