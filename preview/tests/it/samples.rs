//! Images like photographs, and files of them in every format.

use std::io::Cursor;

use dos_preview::{Picture, PreviewError};
use image::{DynamicImage, GrayImage, ImageFormat, RgbImage, imageops};
use jpeg_encoder::{ChromaSubsamplingMethod, ColorType, Encoder, SamplingFactor};

/// Like `make` on a file.
pub(crate) fn make(file: &[u8]) -> Result<Picture, PreviewError> {
    dos_preview::make(Cursor::new(file))
}

/// Gradients, clouds, grain and sharp shapes; no symmetry, so that every turn is told from the others.
pub(crate) fn photo(width: u32, height: u32) -> RgbImage {
    let mut grain = 12_345u32;
    RgbImage::from_fn(width, height, |x, y| {
        grain = grain.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        let noise = f64::from(grain >> 24) / 32.0 - 4.0;
        let (u, v) = (f64::from(x) / f64::from(width), f64::from(y) / f64::from(height));
        let clouds = (u * 9.0 + (v * 5.0).sin() * 2.0).sin() * 30.0 + ((v * 23.0 + u * 11.0).cos()) * 15.0;
        let mut rgb = [60.0 + 150.0 * u + clouds, 200.0 - 120.0 * v + clouds, 90.0 + 100.0 * v - clouds];
        if (u - 0.25).hypot(v - 0.3) < 0.12 {
            rgb = [230.0, 60.0, 40.0];
        } else if (0.6..0.9).contains(&u) && (0.15..0.25).contains(&v) {
            rgb = [20.0, 30.0, 90.0];
        } else if (0.1..0.5).contains(&u) && (0.8..0.95).contains(&v) {
            let stripe = if (u * 40.0).fract() < 0.5 { 240.0 } else { 30.0 };
            rgb = [stripe, stripe, 120.0];
        }
        image::Rgb(rgb.map(|value| to_byte(value + noise)))
    })
}

#[expect(clippy::cast_possible_truncation, reason = "a float saturates")]
fn to_byte(value: f64) -> u8 {
    value as u8
}

/// A JPEG as `set` wants it.
pub(crate) fn jpeg(photo: &RgbImage, set: impl FnOnce(&mut Encoder<&mut Vec<u8>>)) -> Vec<u8> {
    jpeg_of(photo.as_raw(), photo.dimensions(), ColorType::Rgb, set)
}

/// A JPEG of pixels of any kind.
pub(crate) fn jpeg_of(
    pixels: &[u8],
    (width, height): (u32, u32),
    colour: ColorType,
    set: impl FnOnce(&mut Encoder<&mut Vec<u8>>),
) -> Vec<u8> {
    let mut out = Vec::new();
    let mut encoder = Encoder::new(&mut out, 92);
    encoder.set_sampling_factor(SamplingFactor::F_2_2);
    set(&mut encoder);
    encoder.encode(pixels, u16::try_from(width).unwrap(), u16::try_from(height).unwrap(), colour).unwrap();
    out
}

/// A file of what `image` can write.
pub(crate) fn file(image: impl Into<DynamicImage>, format: ImageFormat) -> Vec<u8> {
    let mut out = Cursor::new(Vec::new());
    image.into().write_to(&mut out, format).unwrap();
    out.into_inner()
}

/// An indexed GIF frame of the photo on a canvas, its colours 6 x 7 x 6, the last index transparent.
pub(crate) fn gif(photo: &RgbImage, interlaced: bool, canvas: (u16, u16), place: (u16, u16)) -> Vec<u8> {
    let palette: Vec<u8> = (0..252u16)
        .flat_map(|index| {
            let level = |value: u16, count: u16| u8::try_from(value * 255 / (count - 1)).unwrap();
            [level(index / 42, 6), level(index / 6 % 7, 7), level(index % 6, 6)]
        })
        .chain([0; 12])
        .collect();
    let index = |pixel: &image::Rgb<u8>| {
        let [r, g, b] = pixel.0.map(u32::from);
        u8::try_from((r * 5 + 127) / 255 * 42 + (g * 6 + 127) / 255 * 6 + (b * 5 + 127) / 255).unwrap()
    };
    let (width, height) = photo.dimensions();
    let passes: &[(u32, usize)] = if interlaced { &[(0, 8), (4, 8), (2, 4), (1, 2)] } else { &[(0, 1)] };
    let rows = passes.iter().flat_map(|&(start, step)| (start..height).step_by(step));
    let buffer: Vec<u8> = rows
        .flat_map(|y| (0..width).map(move |x| (x, y)))
        .map(|(x, y)| index(photo.get_pixel(x, y)))
        .collect();
    let frame = gif::Frame {
        left: place.0,
        top: place.1,
        width: u16::try_from(width).unwrap(),
        height: u16::try_from(height).unwrap(),
        interlaced,
        transparent: Some(255),
        buffer: buffer.into(),
        ..gif::Frame::default()
    };
    let mut out = Vec::new();
    let mut encoder = gif::Encoder::new(&mut out, canvas.0, canvas.1, &palette).unwrap();
    encoder.write_frame(&frame).unwrap();
    drop(encoder);
    out
}

/// A frame of one image of few colours: its place and its delay.
pub(crate) type GifFrame = (RgbImage, (u16, u16), u16);

/// A GIF of frames with palettes of their own.
pub(crate) fn gif_of(frames: &[GifFrame], canvas: (u16, u16), looped: bool) -> Vec<u8> {
    let mut out = Vec::new();
    let mut encoder = gif::Encoder::new(&mut out, canvas.0, canvas.1, &[]).unwrap();
    if looped {
        encoder.set_repeat(gif::Repeat::Infinite).unwrap();
    }
    for (image, (left, top), delay) in frames {
        let size = (u16::try_from(image.width()).unwrap(), u16::try_from(image.height()).unwrap());
        let mut frame = gif::Frame::from_rgb(size.0, size.1, image.as_raw());
        (frame.left, frame.top, frame.delay) = (*left, *top, *delay);
        frame.dispose = gif::DisposalMethod::Keep;
        encoder.write_frame(&frame).unwrap();
    }
    drop(encoder);
    out
}

/// A PNG chunk.
pub(crate) fn png_chunk(kind: &[u8; 4], data: &[u8]) -> Vec<u8> {
    let body = [kind.as_slice(), data].concat();
    let mut crc = u32::MAX;
    for byte in &body {
        crc ^= u32::from(*byte);
        for _ in 0..8 {
            crc = (crc >> 1) ^ (0xedb8_8320 & (crc & 1).wrapping_neg());
        }
    }
    [&u32::try_from(data.len()).unwrap().to_be_bytes(), body.as_slice(), &(!crc).to_be_bytes()].concat()
}

/// A PNG of rows that have their filter byte, stored without compression.
pub(crate) fn png_of_rows((width, height): (u32, u32), kind: [u8; 3], rows: &[u8]) -> Vec<u8> {
    let [depth, colour, interlaced] = kind;
    let header =
        [&width.to_be_bytes()[..], &height.to_be_bytes(), &[depth, colour, 0, 0, interlaced]].concat();
    let mut zlib = vec![0x78, 0x01];
    let mut chunks = rows.chunks(65_535).peekable();
    while let Some(chunk) = chunks.next() {
        let len = u16::try_from(chunk.len()).unwrap();
        zlib.push(u8::from(chunks.peek().is_none()));
        zlib.extend(len.to_le_bytes());
        zlib.extend((!len).to_le_bytes());
        zlib.extend(chunk);
    }
    let (a, b) = rows.iter().fold((1u32, 0u32), |(a, b), &byte| {
        let a = (a + u32::from(byte)) % 65_521;
        (a, (b + a) % 65_521)
    });
    zlib.extend((b << 16 | a).to_be_bytes());
    let start = b"\x89PNG\r\n\x1a\n".to_vec();
    [start, png_chunk(b"IHDR", &header), png_chunk(b"IDAT", &zlib), png_chunk(b"IEND", &[])].concat()
}

/// The file with a chunk put in behind the header of the PNG.
pub(crate) fn with_png_chunk(file: &[u8], kind: &[u8; 4], data: &[u8]) -> Vec<u8> {
    [&file[..33], &png_chunk(kind, data), &file[33..]].concat()
}

/// A WebP of chunks.
pub(crate) fn webp(chunks: &[(&[u8; 4], &[u8])]) -> Vec<u8> {
    let mut body = b"WEBP".to_vec();
    for (kind, data) in chunks {
        body.extend(*kind);
        body.extend(u32::try_from(data.len()).unwrap().to_le_bytes());
        body.extend(*data);
        body.extend(&[0][..data.len() % 2]);
    }
    [b"RIFF".as_slice(), &u32::try_from(body.len()).unwrap().to_le_bytes(), &body].concat()
}

/// The data of the first chunk of a kind in a WebP.
pub(crate) fn webp_chunk<'a>(file: &'a [u8], kind: &[u8; 4]) -> &'a [u8] {
    let mut at = 12;
    loop {
        let len = usize::try_from(u32::from_le_bytes(file[at + 4..at + 8].try_into().unwrap())).unwrap();
        if &file[at..at + 4] == kind {
            return &file[at + 8..at + 8 + len];
        }
        at += 8 + len + len % 2;
    }
}

/// A VP8X chunk's data.
pub(crate) fn extended(flags: u8, width: u32, height: u32) -> Vec<u8> {
    let mut out = vec![flags, 0, 0, 0];
    out.extend(&(width - 1).to_le_bytes()[..3]);
    out.extend(&(height - 1).to_le_bytes()[..3]);
    out
}

/// EXIF with an orientation and a made-up place, as cameras and phones write it.
pub(crate) fn exif(orientation: u8) -> Vec<u8> {
    let mut out = b"MM\0\x2a\0\0\0\x08\0\x02".to_vec();
    out.extend([0x01, 0x12, 0, 3, 0, 0, 0, 1, 0, orientation, 0, 0]);
    out.extend(b"\x01\x0e\0\x02\0\0\0\x10\0\0\0\x26\0\0\0\0");
    out.extend(b"GPS48.137N11.57E");
    out
}

/// The preview's pixels.
pub(crate) fn pixels(picture: &Picture) -> RgbImage {
    let preview = &picture.preview;
    let image = image::load_from_memory_with_format(&preview.jpeg, ImageFormat::Jpeg).unwrap().to_rgb8();
    assert_eq!(image.dimensions(), (preview.width, preview.height));
    image
}

/// What a preview should look like: the truth, resized well, through the same encoder.
pub(crate) fn reference(truth: &RgbImage) -> RgbImage {
    let (width, height) = truth.dimensions();
    let long = width.max(height).max(256);
    let side = |side: u32| (side * 256 + long / 2) / long;
    let resized = match long {
        256 => truth.clone(),
        _ => imageops::resize(truth, side(width), side(height), imageops::FilterType::Lanczos3),
    };
    let jpeg = jpeg(&resized, |encoder| {
        encoder.set_quality(80);
        encoder.set_chroma_subsampling_method(ChromaSubsamplingMethod::Average);
    });
    image::load_from_memory_with_format(&jpeg, ImageFormat::Jpeg).unwrap().to_rgb8()
}

/// Grey as three channels.
pub(crate) fn grey_as_rgb(grey: &GrayImage) -> RgbImage {
    DynamicImage::from(grey.clone()).to_rgb8()
}

/// Peak signal to noise in dB.
pub(crate) fn psnr(a: &RgbImage, b: &RgbImage) -> f64 {
    assert_eq!(a.dimensions(), b.dimensions());
    let squares: f64 =
        a.as_raw().iter().zip(b.as_raw()).map(|(a, b)| (f64::from(*a) - f64::from(*b)).powi(2)).sum();
    let count = f64::from(a.width() * a.height() * 3);
    10.0 * (255.0 * 255.0 * count / squares.max(1.0)).log10()
}
