//! BMP, QOI, Netpbm, TGA, icons and Photoshop's files show the same picture as a PNG of the same pixels, and none costs more than its
//! file is worth.

use std::time::{Duration, Instant};

use dos_preview::{Format, PreviewError, Warning};
use image::{DynamicImage, ImageFormat, RgbImage};

use crate::samples::{file, make, photo};

const SIZE: (u32, u32) = (610, 407);

/// What `image` can write of each format.
const FORMATS: [(ImageFormat, Format); 5] = [
    (ImageFormat::Bmp, Format::Bmp),
    (ImageFormat::Qoi, Format::Qoi),
    (ImageFormat::Pnm, Format::Pnm),
    (ImageFormat::Tga, Format::Tga),
    (ImageFormat::Ico, Format::Ico),
];

fn picture(format: ImageFormat) -> DynamicImage {
    // Icons have at most 256 pixels on a side, and an opacity.
    if format == ImageFormat::Ico {
        DynamicImage::from(photo(250, 167)).to_rgba8().into()
    } else {
        photo(SIZE.0, SIZE.1).into()
    }
}

/// A file of Photoshop: the samples of each channel, in planes; `rows` compresses them.
struct Psd {
    large: bool,
    depth: u16,
    mode: u16,
    palette: Vec<u8>,
    planes: Vec<Vec<u8>>,
    packed: bool,
}

impl Psd {
    fn new(mode: u16, planes: Vec<Vec<u8>>) -> Self {
        Self { large: false, depth: 8, mode, palette: Vec::new(), planes, packed: false }
    }

    fn file(&self) -> Vec<u8> {
        let count = |number: usize| u32::try_from(number).unwrap();
        let mut out = b"8BPS".to_vec();
        out.extend((if self.large { 2u16 } else { 1 }).to_be_bytes());
        out.extend([0; 6]);
        out.extend(u16::try_from(self.planes.len()).unwrap().to_be_bytes());
        out.extend([SIZE.1, SIZE.0].into_iter().flat_map(u32::to_be_bytes));
        out.extend([self.depth, self.mode].into_iter().flat_map(u16::to_be_bytes));
        out.extend(count(self.palette.len()).to_be_bytes());
        out.extend(&self.palette);
        // A resource that is no profile.
        let resource = b"8BIM\x03\xed\x03abc\0\0\0\x03xyz\0";
        out.extend(count(resource.len()).to_be_bytes());
        out.extend(resource);
        // Layers that are not looked at.
        out.extend(if self.large { 9u64.to_be_bytes().to_vec() } else { 9u32.to_be_bytes().to_vec() });
        out.extend([0xaa; 9]);
        out.extend(u16::from(self.packed).to_be_bytes());
        let row_bytes = usize::try_from(SIZE.0).unwrap() * usize::from(self.depth / 8);
        if self.packed {
            let rows: Vec<Vec<u8>> =
                self.planes.iter().flat_map(|plane| plane.chunks(row_bytes)).map(packed).collect();
            for row in &rows {
                let len = count(row.len()).to_be_bytes();
                out.extend(if self.large { &len[..] } else { &len[2..] });
            }
            out.extend(rows.concat());
        } else {
            out.extend(self.planes.concat());
        }
        out
    }
}

/// A row as PackBits has it: runs of the same byte, and else as it is.
fn packed(row: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    for run in row.chunk_by(|a, b| a == b) {
        for run in run.chunks(128) {
            if run.len() == 1 {
                out.extend([0, run[0]]);
            } else {
                out.extend([u8::try_from(257 - run.len()).unwrap(), run[0]]);
            }
        }
    }
    out
}

/// One channel of pixels of `channels`.
fn plane(pixels: &[u8], channels: usize, index: usize) -> Vec<u8> {
    pixels.iter().skip(index).step_by(channels).copied().collect()
}

fn planes(photo: &RgbImage) -> Vec<Vec<u8>> {
    (0..3).map(|index| plane(photo.as_raw(), 3, index)).collect()
}

/// The picture in full colours, with its rows packed or as they are.
pub(crate) fn psd(packed: bool) -> Vec<u8> {
    Psd { packed, ..Psd::new(3, planes(&photo(SIZE.0, SIZE.1))) }.file()
}

#[test]
fn each_shows_what_a_png_shows() {
    for (format, expected) in FORMATS {
        let photo = picture(format);
        let shown = make(&file(photo.clone(), format)).unwrap();
        let png = make(&file(photo, ImageFormat::Png)).unwrap();
        assert_eq!((shown.format, shown.width, shown.height), (expected, png.width, png.height));
        assert!(shown.preview == png.preview, "{expected}");
        assert_eq!(shown.warning, None);
    }
}

#[test]
fn grey_deep_and_transparent_pixels_show_what_a_png_shows() {
    let photo = DynamicImage::from(photo(SIZE.0, SIZE.1));
    let mut half = photo.to_rgba8();
    for (x, _, pixel) in half.enumerate_pixels_mut() {
        pixel.0[3] = u8::try_from(x * 255 / SIZE.0).unwrap();
    }
    for (format, picture) in [
        (ImageFormat::Bmp, DynamicImage::from(half.clone())),
        (ImageFormat::Qoi, half.clone().into()),
        (ImageFormat::Tga, half.into()),
        (ImageFormat::Pnm, photo.to_luma8().into()),
        (ImageFormat::Tga, photo.to_luma8().into()),
        (ImageFormat::Pnm, photo.to_luma16().into()),
        (ImageFormat::Pnm, photo.to_rgb16().into()),
    ] {
        let shown = make(&file(picture.clone(), format)).unwrap();
        let png = make(&file(picture, ImageFormat::Png)).unwrap();
        assert!(shown.preview == png.preview, "{format:?}");
    }
}

#[test]
fn a_picture_of_photoshop_shows_what_a_png_shows() {
    let photo = photo(SIZE.0, SIZE.1);
    let expected = make(&file(photo.clone(), ImageFormat::Png)).unwrap().preview;
    let deep = |plane: &Vec<u8>| plane.iter().flat_map(|sample| [*sample, 7]).collect::<Vec<u8>>();
    let plain = Psd::new(3, planes(&photo));
    let mut with_more = planes(&photo);
    with_more.push(vec![3; with_more[0].len()]);
    for (name, psd) in [
        ("plain", plain.file()),
        ("packed", Psd { packed: true, ..Psd::new(3, planes(&photo)) }.file()),
        ("large", Psd { large: true, packed: true, ..Psd::new(3, planes(&photo)) }.file()),
        ("deep", Psd { depth: 16, ..Psd::new(3, planes(&photo).iter().map(deep).collect()) }.file()),
        ("one more channel", Psd { packed: true, ..Psd::new(3, with_more) }.file()),
    ] {
        let shown = make(&psd).unwrap();
        assert_eq!((shown.format, shown.width, shown.height), (Format::Psd, SIZE.0, SIZE.1));
        assert!(shown.preview == expected, "{name}");
    }
    let grey = DynamicImage::from(photo).to_luma8();
    let expected = make(&file(grey.clone(), ImageFormat::Png)).unwrap().preview;
    assert!(make(&Psd::new(1, vec![grey.as_raw().clone()]).file()).unwrap().preview == expected);
    // The colours of the palette stand in the reverse order.
    let palette = (0..3).flat_map(|_| (0..=255u8).rev()).collect();
    let indexes = grey.as_raw().iter().map(|grey| 255 - grey).collect();
    let shown = make(&Psd { palette, ..Psd::new(2, vec![indexes]) }.file()).unwrap().preview;
    let shown = image::load_from_memory(&shown.jpeg).unwrap().to_luma8();
    let expected = image::load_from_memory(&expected.jpeg).unwrap().to_luma8();
    assert!(shown.iter().zip(expected.iter()).all(|(a, b)| a.abs_diff(*b) < 6));
}

#[test]
fn inks_of_photoshop_are_inverted() {
    let len = usize::try_from(SIZE.0 * SIZE.1).unwrap();
    // No ink but yellow.
    let planes = [255, 255, 0, 255].map(|ink| vec![ink; len]).to_vec();
    let shown = image::load_from_memory(&make(&Psd::new(4, planes).file()).unwrap().preview.jpeg).unwrap();
    let pixel = shown.to_rgb8().get_pixel(100, 100).0;
    assert!(pixel[0] > 200 && pixel[1] > 180 && pixel[2] < 120, "{pixel:?}");
}

#[test]
fn what_is_cut_is_shown_with_a_warning() {
    let photo = photo(SIZE.0, SIZE.1);
    let psd = Psd::new(3, planes(&photo)).file();
    for (name, file) in [("BMP", file(photo.clone(), ImageFormat::Bmp)), ("PSD", psd)] {
        let shown = make(&file[..file.len() * 2 / 3]).unwrap();
        assert_eq!(shown.warning, Some(Warning::Incomplete), "{name}");
        let error = make(&file[..24]).unwrap_err();
        assert!(matches!(error, PreviewError::Damaged(..)), "{name}: {error}");
        assert!(!error.to_string().contains("Bmp"), "{error}");
    }
}

#[test]
fn bombs_are_refused_before_memory_is_taken() {
    let mut bmp = file(photo(8, 8), ImageFormat::Bmp);
    bmp[18..26].copy_from_slice(&[0, 0xf0, 0, 0, 0, 0xf0, 0, 0]);
    let mut tga = file(photo(8, 8), ImageFormat::Tga);
    tga[12..16].copy_from_slice(&[0, 0xf0, 0, 0xf0]);
    let mut qoi = file(photo(8, 8), ImageFormat::Qoi);
    // Its decoder has a limit of its own beyond 400 million.
    qoi[4..12].copy_from_slice(&[0, 0, 0x20, 0, 0, 0, 0x10, 0]);
    let mut psd = Psd::new(3, planes(&photo(SIZE.0, SIZE.1))).file();
    psd[14..22].copy_from_slice(&[0, 0, 0xf0, 0, 0, 0, 0xf0, 0]);
    let pnm = b"P6 61440 61440 255\n".to_vec();
    for (name, bomb) in [("BMP", bmp), ("TGA", tga), ("QOI", qoi), ("PSD", psd), ("PNM", pnm)] {
        let start = Instant::now();
        let error = make(&bomb).unwrap_err();
        assert!(matches!(error, PreviewError::TooLarge { .. }), "{name}: {error}");
        assert!(start.elapsed() < Duration::from_secs(1), "{name}");
    }
}

#[test]
fn nothing_in_a_file_makes_it_panic() {
    let small = DynamicImage::from(photo(61, 40)).to_rgba8();
    let files = FORMATS.iter().filter(|(format, _)| *format != ImageFormat::Pnm);
    let mut files: Vec<Vec<u8>> = files.map(|(format, _)| file(small.clone(), *format)).collect();
    files.push(file(photo(61, 40), ImageFormat::Pnm));
    let mut psd = Psd { packed: true, ..Psd::new(3, planes(&photo(SIZE.0, SIZE.1))) }.file();
    psd.truncate(20_000);
    files.push(psd);
    for file in files {
        for at in (0..file.len().min(200)).chain((0..file.len()).step_by(file.len() / 100 + 1)) {
            let mut odd = file.clone();
            odd[at] ^= 0xff;
            drop(make(&odd));
            drop(make(&file[..at]));
        }
    }
}
