//! TIFF: every layout shows the same picture, and no layout costs more than its file is worth.

use std::io::Cursor;
use std::time::{Duration, Instant};

use dos_preview::{Format, PreviewError, Warning, scale};
use tiff::encoder::{Compression, DeflateLevel, TiffEncoder, colortype};

use crate::samples::{jpeg, make, photo};

const SIZE: (u32, u32) = (610, 407);

/// A little-endian file of one page: entries of type LONG or SHORT, with their values, and then the pixels.
struct Page {
    entries: Vec<(u16, Vec<u32>)>,
    chunks: Vec<Vec<u8>>,
    tiled: bool,
}

impl Page {
    fn new(photometric: u32, bits: &[u32], chunks: Vec<Vec<u8>>) -> Self {
        let samples = u32::try_from(bits.len()).unwrap();
        let entries = vec![
            (256, vec![SIZE.0]),
            (257, vec![SIZE.1]),
            (258, bits.to_vec()),
            (262, vec![photometric]),
            (277, vec![samples]),
        ];
        Self { entries, chunks, tiled: false }
    }

    fn with(mut self, tag: u16, values: &[u32]) -> Self {
        self.entries.retain(|(known, _)| *known != tag);
        self.entries.push((tag, values.to_vec()));
        self
    }

    fn file(mut self) -> Vec<u8> {
        let mut out = b"II*\0\0\0\0\0".to_vec();
        let mut places = Vec::new();
        for chunk in &self.chunks {
            places.push(u32::try_from(out.len()).unwrap());
            out.extend_from_slice(chunk);
        }
        let lengths = self.chunks.iter().map(|chunk| u32::try_from(chunk.len()).unwrap()).collect();
        let tags = if self.tiled { (324, 325) } else { (273, 279) };
        self.entries.extend([(tags.0, places), (tags.1, lengths)]);
        self.entries.sort_by_key(|entry| entry.0);
        let mut directory = u16::try_from(self.entries.len()).unwrap().to_le_bytes().to_vec();
        for (tag, values) in &self.entries {
            directory.extend(tag.to_le_bytes());
            directory.extend(4u16.to_le_bytes());
            directory.extend(u32::try_from(values.len()).unwrap().to_le_bytes());
            if let [value] = values[..] {
                directory.extend(value.to_le_bytes());
            } else {
                directory.extend(u32::try_from(out.len()).unwrap().to_le_bytes());
                out.extend(values.iter().flat_map(|value| value.to_le_bytes()));
            }
        }
        directory.extend([0; 4]);
        let at = u32::try_from(out.len()).unwrap();
        out[4..8].copy_from_slice(&at.to_le_bytes());
        out.extend(directory);
        out
    }
}

fn rgb() -> Vec<u8> {
    photo(SIZE.0, SIZE.1).into_raw()
}

/// The largest difference of a sample to what the same pixels in a PNG give.
fn difference(file: &[u8]) -> u8 {
    let mut png = Cursor::new(Vec::new());
    photo(SIZE.0, SIZE.1).write_to(&mut png, image::ImageFormat::Png).unwrap();
    let got = make(file).unwrap();
    assert_eq!((got.format, got.width, got.height, got.warning), (Format::Tiff, SIZE.0, SIZE.1, None));
    let pixels = |file: &[u8]| scale(Cursor::new(file), (300, 300)).unwrap().rgb;
    let (expected, got) = (pixels(&png.into_inner()), pixels(file));
    assert_eq!(expected.len(), got.len());
    expected.iter().zip(&got).map(|(a, b)| a.abs_diff(*b)).max().unwrap()
}

fn encoded(compression: Compression, deep: bool) -> Vec<u8> {
    let mut out = Cursor::new(Vec::new());
    let mut encoder = TiffEncoder::new(&mut out).unwrap().with_compression(compression);
    if deep {
        let samples: Vec<u16> = rgb().iter().map(|&byte| u16::from(byte) * 257).collect();
        encoder.write_image::<colortype::RGB16>(SIZE.0, SIZE.1, &samples).unwrap();
    } else {
        encoder.write_image::<colortype::RGB8>(SIZE.0, SIZE.1, &rgb()).unwrap();
    }
    out.into_inner()
}

#[test]
fn every_compression_and_depth_shows_the_same() {
    for compression in [
        Compression::Uncompressed,
        Compression::Lzw,
        Compression::Deflate(DeflateLevel::Balanced),
        Compression::Packbits,
    ] {
        for deep in [false, true] {
            assert_eq!(difference(&encoded(compression, deep)), 0, "{deep}");
        }
    }
}

#[test]
fn planes_tiles_inks_alpha_and_predictors_show_the_same() {
    let rgb = rgb();
    let plane = |index: usize| rgb.iter().skip(index).step_by(3).copied().collect::<Vec<u8>>();
    let planar = Page::new(2, &[8; 3], (0..3).map(plane).collect()).with(284, &[2]);
    assert_eq!(difference(&planar.file()), 0, "planar");
    let inks = rgb.chunks(3).flat_map(|p| [255 - p[0], 255 - p[1], 255 - p[2], 0]).collect();
    let inks = difference(&Page::new(5, &[8; 4], vec![inks]).file());
    assert!(inks <= 2, "inks: {inks}");
    let opaque = rgb.chunks(3).flat_map(|p| [p[0], p[1], p[2], 255]).collect();
    assert_eq!(difference(&Page::new(2, &[8; 4], vec![opaque]).with(338, &[2]).file()), 0, "alpha");
    let differences = |samples: &[u8], stride: usize| -> Vec<u8> {
        let before = |row: &[u8], at: usize| if at < stride { 0 } else { row[at - stride] };
        let rows = samples.chunks(usize::try_from(SIZE.0).unwrap() * stride);
        rows.flat_map(|row| (0..row.len()).map(|at| row[at].wrapping_sub(before(row, at)))).collect()
    };
    let opaque: Vec<u8> = rgb.chunks(3).flat_map(|p| [p[0], p[1], p[2], 255]).collect();
    let predicted = |depths: &[u32], samples: Vec<Vec<u8>>| Page::new(2, depths, samples).with(317, &[2]);
    assert_eq!(difference(&predicted(&[8; 3], vec![differences(&rgb, 3)]).file()), 0, "differences");
    let with_alpha = predicted(&[8; 4], vec![differences(&opaque, 4)]).with(338, &[2]);
    assert_eq!(difference(&with_alpha.file()), 0, "differences and alpha");
    let planes = (0..3).map(|index| differences(&plane(index), 1)).collect();
    assert_eq!(difference(&predicted(&[8; 3], planes).with(284, &[2]).file()), 0, "differences of planes");
    let mut tiles = Vec::new();
    for (top, left) in (0..7).flat_map(|y| (0..10).map(move |x| (y * 64, x * 64))) {
        let pixel = |(y, x): (u32, u32)| {
            let at = usize::try_from((y.min(SIZE.1 - 1) * SIZE.0 + x.min(SIZE.0 - 1)) * 3).unwrap();
            [rgb[at], rgb[at + 1], rgb[at + 2]]
        };
        let places = (top..top + 64).flat_map(|y| (left..left + 64).map(move |x| (y, x)));
        tiles.push(places.flat_map(pixel).collect());
    }
    let tiled = Page { tiled: true, ..Page::new(2, &[8; 3], tiles) }.with(322, &[64]).with(323, &[64]);
    assert_eq!(difference(&tiled.file()), 0, "tiles");
}

/// A page of black and white, as a scanner of documents makes it: 1 is black.
fn document() -> Page {
    let ink = |x: u32, y: u32| (x * x / 400 + y / 3 * 5) % 23 < 5 || y.is_multiple_of(16);
    let byte =
        |y, left: u32| (0..8).fold(0, |byte, x| byte << 1 | u8::from(left + x < 203 && ink(left + x, y)));
    let bits = (0..150).flat_map(|y| (0..203).step_by(8).map(move |left| byte(y, left)));
    Page::new(0, &[1], vec![bits.collect()]).with(256, &[203]).with(257, &[150])
}

#[test]
fn what_fax_machines_and_scanners_of_documents_make_shows_what_it_is_made_of() {
    let expected = make(&document().file()).unwrap();
    // As libtiff's `tiffcp` and Pillow wrote the same page: rows of runs, T.4 in one and two dimensions, with marks at whole bytes, T.6; in
    // strips of 64 rows, or with the bits of a byte the other way round.
    for (name, file) in [
        ("rows of runs", include_bytes!("../data/tiff/runs.tif").as_slice()),
        ("T.4", include_bytes!("../data/tiff/g3-1d.tif")),
        ("T.4, two dimensions", include_bytes!("../data/tiff/g3-2d.tif")),
        ("T.4, two dimensions, filled", include_bytes!("../data/tiff/g3-2d-fill.tif")),
        ("T.6", include_bytes!("../data/tiff/g4.tif")),
        ("T.6, reversed", include_bytes!("../data/tiff/g4-reversed.tif")),
        ("LZW, reversed", include_bytes!("../data/tiff/lzw-reversed.tif")),
    ] {
        let shown = make(file).unwrap();
        assert_eq!((shown.width, shown.height, shown.warning), (203, 150, None), "{name}");
        assert!(shown.preview == expected.preview, "{name}");
    }
}

#[test]
fn a_fax_that_is_cut_or_damaged_shows_what_is_there_and_says_so() {
    let whole = include_bytes!("../data/tiff/g4.tif");
    // The first strip begins behind the header; a code that there is not ends what can be read of it.
    let mut damaged = whole.to_vec();
    damaged[100..108].fill(0);
    let shown = make(&damaged).unwrap();
    assert_eq!((shown.width, shown.height, shown.warning), (203, 150, Some(Warning::Incomplete)));
    // A page says that it has more rows than there are.
    let empty = Page::new(0, &[1], vec![vec![0xff; 40]]).with(259, &[4]).with(256, &[64]).with(257, &[4000]);
    assert_eq!(make(&empty.file()).unwrap().warning, Some(Warning::Incomplete));
    let nothing = Page::new(0, &[1], vec![vec![]]).with(259, &[4]).with(256, &[64]).with(257, &[40]);
    assert!(matches!(make(&nothing.file()), Err(PreviewError::Damaged(..))));
    let colours = Page::new(2, &[8; 3], vec![vec![0; 40]]).with(259, &[4]);
    assert!(matches!(make(&colours.file()), Err(PreviewError::Damaged(..))));
}

#[test]
fn a_jpeg_within_shows_as_it_does_alone() {
    let whole = jpeg(&photo(SIZE.0, SIZE.1), |_| {});
    let file = Page::new(6, &[8; 3], vec![whole.clone()]).with(259, &[7]).file();
    assert_eq!(make(&file).unwrap().preview, make(&whole).unwrap().preview);
    let strips: Vec<Vec<u8>> = [(0, 208), (208, 199)]
        .map(|(top, rows)| {
            let strip = image::imageops::crop_imm(&photo(SIZE.0, SIZE.1), 0, top, SIZE.0, rows).to_image();
            jpeg(&strip, |_| {})
        })
        .to_vec();
    let file = Page::new(6, &[8; 3], strips).with(259, &[7]).with(278, &[208]).file();
    let pixels = |file: &[u8]| scale(Cursor::new(file), (300, 300)).unwrap().rgb;
    let (expected, got) = (pixels(&whole), pixels(&file));
    let sum: u32 = expected.iter().zip(&got).map(|(a, b)| u32::from(a.abs_diff(*b))).sum();
    let mean = f64::from(sum) / f64::from(u32::try_from(got.len()).unwrap());
    assert!(expected.len() == got.len() && mean < 2.0, "strips differ by {mean}");
}

#[test]
fn shallow_grey_and_palettes_are_shown() {
    let size = |page: Page| page.with(256, &[8]).with(257, &[2]).file();
    let rows = vec![0b1010_1010, 0b1111_0000];
    let (black, white) = (size(Page::new(1, &[1], vec![rows.clone()])), size(Page::new(0, &[1], vec![rows])));
    let grey = |file: &[u8]| {
        image::load_from_memory(&make(file).unwrap().preview.jpeg).unwrap().to_luma8().into_raw()
    };
    for (index, (a, b)) in grey(&black).into_iter().zip(grey(&white)).enumerate() {
        let lit = [0b1010_1010u8, 0b1111_0000][index / 8] >> (7 - index % 8) & 1 == 1;
        assert!(a.abs_diff(if lit { 255 } else { 0 }) < 40 && b.abs_diff(255 - a) < 40, "{index}: {a} {b}");
    }
    let map: Vec<u32> = [0, 65_535, 0, 0, 0, 0, 65_535, 0, 0, 0, 0, 65_535].to_vec();
    let file = size(Page::new(3, &[2], vec![vec![0b0101_0101; 4]]).with(320, &map));
    let shown = image::load_from_memory(&make(&file).unwrap().preview.jpeg).unwrap().to_rgb8();
    assert!(shown.pixels().all(|pixel| pixel.0[0] > 230 && pixel.0[1] < 25 && pixel.0[2] < 25), "red");
}

#[test]
fn a_cut_file_is_shown_with_a_warning_and_a_bomb_is_refused_in_time() {
    // Its strip ends in the middle of a row.
    let rows = rgb();
    let shown = make(&Page::new(2, &[8; 3], vec![rows[..rows.len() / 2].to_vec()]).file()).unwrap();
    assert_eq!(shown.warning, Some(Warning::Incomplete));
    let whole = make(&Page::new(2, &[8; 3], vec![rows]).file()).unwrap();
    assert_eq!((whole.width, whole.height, whole.warning), (shown.width, shown.height, None));
    for (tag, value) in [(256, 60_000), (257, 60_000)] {
        let start = Instant::now();
        let bomb = Page::new(2, &[8; 3], vec![vec![0; 64]]).with(tag, &[value]).with(259, &[8]).file();
        drop(make(&bomb));
        assert!(start.elapsed() < Duration::from_secs(2), "{tag}");
    }
    let huge = Page::new(1, &[8], vec![vec![0; 64]]).with(256, &[30_000]).with(257, &[30_000]).file();
    assert!(matches!(make(&huge), Err(PreviewError::TooLarge { .. })));
    // All strips are the same bytes.
    let strip = vec![7; 4096];
    let places = vec![8u32; 407];
    let mut same = Page::new(2, &[8; 3], vec![strip]).with(259, &[8]).with(278, &[1]).file();
    let tag = same.windows(4).rposition(|bytes| bytes == [17, 1, 4, 0]).unwrap();
    let values = u32::try_from(same.len()).unwrap();
    same[tag + 4..tag + 8].copy_from_slice(&407u32.to_le_bytes());
    same[tag + 8..tag + 12].copy_from_slice(&values.to_le_bytes());
    same.extend(places.iter().flat_map(|place| place.to_le_bytes()));
    assert!(matches!(make(&same), Err(PreviewError::Damaged(..))));
}

#[test]
fn nothing_in_a_file_makes_it_panic() {
    let files =
        [encoded(Compression::Lzw, true), Page::new(1, &[8], vec![vec![9; 300]]).with(256, &[20]).file()];
    for file in files {
        for at in
            (0..file.len()).step_by(file.len() / 300 + 1).chain(file.len().saturating_sub(200)..file.len())
        {
            let mut odd = file.clone();
            odd[at] ^= 0xff;
            drop(make(&odd));
            drop(make(&file[..at]));
        }
    }
}
