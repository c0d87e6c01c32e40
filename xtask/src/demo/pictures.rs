//! The images that are shared: the ones given, or painted ones that look like what a camera makes.
//!
//! Painted: a JPEG of 12 megapixels, a PNG, a WebP, and a JPEG that lies on its side with an EXIF orientation to put it
//! upright and a place in it that must not get out.

use std::{
    collections::BTreeSet,
    fs::{self, File},
    io::BufWriter,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result, bail};
use image::{ImageFormat, RgbImage, imageops};
use jpeg_encoder::{ColorType, Encoder};

use super::scene::Scene;

/// What the painted pictures' EXIF says about where they were taken.
pub(crate) const PLACE: &str = "38.7077N 9.1366W, at home";

/// A file in Alice's home, and what it should look like.
#[derive(Debug)]
pub(crate) struct Picture {
    /// The file's name.
    pub(crate) file: String,
    /// The image's name: the file's without its extension.
    pub(crate) name: String,
    /// The picture upright, small; known of painted ones.
    pub(crate) looks: Option<RgbImage>,
}

/// The images of the story.
#[derive(Debug)]
pub(crate) struct Album {
    /// The one that the story is about.
    pub(crate) first: Picture,
    /// Others.
    pub(crate) rest: Vec<Picture>,
    /// What takes the place of the last one.
    pub(crate) substitute: Picture,
}

impl Album {
    /// All but the substitute.
    pub(crate) fn all(&self) -> impl Iterator<Item = &Picture> {
        std::iter::once(&self.first).chain(&self.rest)
    }

    /// Paints them into `home`.
    ///
    /// # Errors
    /// If a file cannot be written.
    pub(crate) fn paint(home: &Path) -> Result<Self> {
        let first = camera(home, "sea.jpg", &SEA, (4000, 3000))?;
        let rest = vec![
            plain(home, "nature.png", &NATURE, (1200, 900))?,
            plain(home, "dunes.webp", &DUNES, (1000, 750))?,
            turned(home, "cliff.jpg", &CLIFF, (1200, 1600))?,
        ];
        Ok(Self { first, rest, substitute: night(home)? })
    }

    /// Copies the given ones into `home`, under names that need no quotes.
    ///
    /// # Errors
    /// If one cannot be read.
    pub(crate) fn collect(images: &[PathBuf], home: &Path) -> Result<Self> {
        let substitute = night(home)?;
        let mut taken = BTreeSet::from([substitute.name.clone()]);
        let mut pictures = Vec::new();
        for path in images {
            let (stem, extension) = (plain_name(path.file_stem()), plain_name(path.extension()));
            let mut name = stem.clone();
            let mut number = 1;
            while !taken.insert(name.clone()) {
                number += 1;
                name = format!("{stem}-{number}");
            }
            let file = if extension.is_empty() { name.clone() } else { format!("{name}.{extension}") };
            fs::copy(path, home.join(&file)).with_context(|| format!("cannot copy {}", path.display()))?;
            pictures.push(Picture { file, name, looks: None });
        }
        let mut pictures = pictures.into_iter();
        let Some(first) = pictures.next() else { bail!("there are no images") };
        Ok(Self { first, rest: pictures.collect(), substitute })
    }
}

/// A part of a file's name as a word that is a valid image name.
fn plain_name(part: Option<&std::ffi::OsStr>) -> String {
    let part = part.unwrap_or_default().to_string_lossy();
    let plain = |c: char| if c.is_ascii_alphanumeric() || c == '_' { c } else { '-' };
    let word: String = part.chars().take(40).map(plain).collect();
    let word = word.trim_matches('-');
    if word.is_empty() && !part.is_empty() { "image".into() } else { word.into() }
}

const SEA: Scene = Scene {
    sky: [[64, 120, 196], [236, 208, 176]],
    sun: [255, 244, 214],
    hills: [72, 96, 104],
    ground: [44, 104, 140],
    shine: 90,
    seed: 1,
};
const NATURE: Scene = Scene {
    sky: [[96, 152, 216], [206, 222, 228]],
    sun: [255, 250, 232],
    hills: [62, 104, 56],
    ground: [104, 128, 60],
    shine: 12,
    seed: 2,
};
const DUNES: Scene = Scene {
    sky: [[52, 112, 190], [214, 206, 190]],
    sun: [255, 246, 220],
    hills: [176, 128, 76],
    ground: [206, 164, 108],
    shine: 16,
    seed: 3,
};
const CLIFF: Scene = Scene {
    sky: [[120, 164, 208], [226, 226, 220]],
    sun: [255, 255, 244],
    hills: [120, 108, 96],
    ground: [56, 100, 112],
    shine: 90,
    seed: 4,
};
const NIGHT: Scene = Scene {
    sky: [[8, 10, 34], [48, 44, 84]],
    sun: [232, 232, 220],
    hills: [18, 22, 34],
    ground: [22, 34, 56],
    shine: 90,
    seed: 5,
};

fn night(home: &Path) -> Result<Picture> {
    camera(home, "night.jpg", &NIGHT, (1200, 900))
}

/// A JPEG as from a camera that was held upright.
fn camera(home: &Path, file: &str, scene: &Scene, size: (u32, u32)) -> Result<Picture> {
    let upright = scene.paint(size.0, size.1);
    write_jpeg(&home.join(file), &upright, Orientation::Upright)?;
    Ok(picture(file, &upright))
}

/// A JPEG as from a camera that was held sideways.
fn turned(home: &Path, file: &str, scene: &Scene, size: (u32, u32)) -> Result<Picture> {
    let upright = scene.paint(size.0, size.1);
    write_jpeg(&home.join(file), &imageops::rotate270(&upright), Orientation::TurnRight)?;
    Ok(picture(file, &upright))
}

/// In the format that the file's extension names.
fn plain(home: &Path, file: &str, scene: &Scene, size: (u32, u32)) -> Result<Picture> {
    let upright = scene.paint(size.0, size.1);
    let path = home.join(file);
    let format = ImageFormat::from_path(&path)?;
    let cannot = || format!("cannot write {}", path.display());
    let mut out = BufWriter::new(File::create(&path).with_context(cannot)?);
    upright.write_to(&mut out, format).with_context(cannot)?;
    out.into_inner().with_context(cannot)?;
    Ok(picture(file, &upright))
}

fn picture(file: &str, upright: &RgbImage) -> Picture {
    let (width, height) = upright.dimensions();
    let longest = width.max(height);
    let small = |side: u32| (side * 64 / longest).max(1);
    let name = file.split('.').next().unwrap_or(file).to_owned();
    Picture {
        file: file.into(),
        name,
        looks: Some(imageops::thumbnail(upright, small(width), small(height))),
    }
}

/// What EXIF says must be done to show the pixels upright.
#[derive(Debug, Clone, Copy)]
enum Orientation {
    Upright = 1,
    TurnRight = 6,
}

fn write_jpeg(path: &Path, pixels: &RgbImage, orientation: Orientation) -> Result<()> {
    let cannot = || format!("cannot write {}", path.display());
    let mut encoder = Encoder::new_file(path, 88).with_context(cannot)?;
    encoder.add_app_segment(1, exif(orientation)).with_context(cannot)?;
    let side = |pixels: u32| u16::try_from(pixels).context("a JPEG has at most 65535 pixels a side");
    let (width, height) = (side(pixels.width())?, side(pixels.height())?);
    encoder.encode(pixels.as_raw(), width, height, ColorType::Rgb).with_context(cannot)
}

/// An EXIF segment of two entries: `ImageDescription` (270), which is text, and `Orientation` (274), a number (TIFF 6.0,
/// section 2; Exif 2.3, section 4.6.4).
fn exif(orientation: Orientation) -> Vec<u8> {
    let text = format!("{PLACE}\0");
    let text_len = u32::try_from(text.len()).unwrap_or(u32::MAX);
    // Header 8, count 2, two entries of 12, offset of the next directory 4: the text begins after that.
    let text_at: u32 = 8 + 2 + 2 * 12 + 4;
    let mut tiff = Vec::from(*b"Exif\0\0MM\0\x2a\0\0\0\x08\0\x02");
    tiff.extend([270u16, 2].map(u16::to_be_bytes).concat());
    tiff.extend([text_len, text_at].map(u32::to_be_bytes).concat());
    tiff.extend([274u16, 3].map(u16::to_be_bytes).concat());
    tiff.extend(1u32.to_be_bytes());
    tiff.extend([orientation as u16, 0].map(u16::to_be_bytes).concat());
    tiff.extend(0u32.to_be_bytes());
    tiff.extend(text.into_bytes());
    tiff
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_given_file_gets_a_name_that_needs_no_quotes() {
        let temp = tempfile::tempdir().unwrap();
        let home = temp.path().join("home");
        fs::create_dir(&home).unwrap();
        let given: Vec<PathBuf> = ["my sea (1).JPG", "über.png", "night.jpg", "...", "-"]
            .into_iter()
            .map(|name| temp.path().join(name))
            .collect();
        for path in &given {
            fs::write(path, "x").unwrap();
        }
        let album = Album::collect(&given, &home).unwrap();
        let files: Vec<&str> = album.all().map(|picture| picture.file.as_str()).collect();
        assert_eq!(files, ["my-sea--1.JPG", "ber.png", "night-2.jpg", "image", "image-2"]);
        assert!(album.all().all(|picture| home.join(&picture.file).is_file()));
    }

    #[test]
    fn a_turned_picture_says_so_in_its_exif_and_holds_a_place() {
        let temp = tempfile::tempdir().unwrap();
        turned(temp.path(), "x.jpg", &SEA, (30, 40)).unwrap();
        let file = fs::read(temp.path().join("x.jpg")).unwrap();
        assert!(file.windows(PLACE.len()).any(|part| part == PLACE.as_bytes()));
        let mut decoder = image::codecs::jpeg::JpegDecoder::new(std::io::Cursor::new(file)).unwrap();
        use image::{ImageDecoder, metadata::Orientation};
        assert_eq!(decoder.dimensions(), (40, 30));
        assert_eq!(decoder.orientation().unwrap(), Orientation::Rotate90);
    }

    #[test]
    fn the_same_scene_has_the_same_pixels() {
        assert_eq!(SEA.paint(40, 30), SEA.paint(40, 30));
        assert_ne!(SEA.paint(40, 30), DUNES.paint(40, 30));
    }
}
