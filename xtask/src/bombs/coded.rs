//! Formats with coders of their own: JPEG, GIF, WebP.

use anyhow::Result;
use weezl::{BitOrder, encode::Encoder};

use super::Bomb;

pub(super) fn all() -> Result<Vec<Bomb>> {
    let mut bombs = jpegs();
    bombs.extend(gifs()?);
    bombs.extend(webps());
    Ok(bombs)
}

fn segment(marker: u8, content: &[u8]) -> Vec<u8> {
    let len = u16::try_from(content.len() + 2).unwrap_or(u16::MAX).to_be_bytes();
    [&[0xff, marker], len.as_slice(), content].concat()
}

/// A JPEG of so many components, each with the quantization of ones, and a code of one bit for nothing in every table.
fn jpeg(frame: u8, (width, height): (u16, u16), components: u8, scans: &[u8]) -> Vec<u8> {
    let quantization = segment(0xdb, &[&[0], [1; 64].as_slice()].concat());
    // One symbol of one bit: 0, which is no difference, and the end of a block.
    let table =
        |class: u8| [&[class], [1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0].as_slice(), &[0]].concat();
    let tables = segment(0xc4, &[table(0), table(0x10)].concat());
    let parts = (1..=components).flat_map(|id| [id, 0x11, 0]);
    let header: Vec<u8> = [8]
        .into_iter()
        .chain(height.to_be_bytes())
        .chain(width.to_be_bytes())
        .chain([components])
        .chain(parts)
        .collect();
    [&[0xff, 0xd8], quantization.as_slice(), &tables, &segment(frame, &header), scans, &[0xff, 0xd9]].concat()
}

fn scan(components: &[u8], (start, end): (u8, u8), approximation: u8, data: &[u8]) -> Vec<u8> {
    let count = u8::try_from(components.len()).unwrap_or(4);
    let parts = components.iter().flat_map(|id| [*id, 0]);
    let header: Vec<u8> = [count].into_iter().chain(parts).chain([start, end, approximation]).collect();
    [segment(0xda, &header), data.to_vec()].concat()
}

fn jpegs() -> Vec<Bomb> {
    let blocks = |side: usize| side.div_ceil(8).pow(2);
    let bits = |side: usize, count: usize| vec![0; (blocks(side) * count).div_ceil(8)];
    let baseline = scan(&[1], (0, 63), 0, &bits(31_000, 2));
    let three = scan(&[1, 2, 3], (0, 63), 0, &bits(31_000, 6));
    let progressive = scan(&[1], (0, 0), 0, &bits(31_000, 1));
    let refined: Vec<u8> = (0..98).flat_map(|_| scan(&[1], (1, 63), 0, &bits(2_960, 1))).collect();
    let first: Vec<u8> = scan(&[1, 2, 3], (0, 0), 0, &bits(2_960, 3));
    let often: Vec<u8> = (0..99).flat_map(|_| scan(&[1], (0, 63), 0, &[])).collect();
    vec![
        Bomb::new("baseline-31000x31000.jpg", jpeg(0xc0, (31_000, 31_000), 1, &baseline)),
        Bomb::new("baseline-31000x31000-in-colour.jpg", jpeg(0xc0, (31_000, 31_000), 3, &three)),
        Bomb::new("progressive-31000x31000.jpg", jpeg(0xc2, (31_000, 31_000), 1, &progressive)),
        Bomb::new("progressive-of-99-scans.jpg", jpeg(0xc2, (2_960, 2_960), 3, &[first, refined].concat())),
        Bomb::new(
            "arithmetic-31000x31000.jpg",
            jpeg(0xc9, (31_000, 31_000), 1, &scan(&[1], (0, 63), 0, &[])),
        ),
        Bomb::new(
            "arithmetic-in-colour.jpg",
            jpeg(0xc9, (31_000, 31_000), 3, &scan(&[1, 2, 3], (0, 63), 0, &[])),
        ),
        Bomb::new(
            "arithmetic-progressive.jpg",
            jpeg(0xca, (2_960, 2_960), 1, &[scan(&[1], (0, 0), 0, &[]), often.clone()].concat()),
        ),
        Bomb::new("arithmetic-many-scans.jpg", jpeg(0xc9, (31_000, 31_000), 1, &often)),
        Bomb::new("claims-65535x65535.jpg", jpeg(0xc0, (65_535, 65_535), 1, &scan(&[1], (0, 63), 0, b""))),
        Bomb::new(
            "many-segments.jpg",
            [&[0xff, 0xd8], segment(0xe1, b"Exif\0\0").repeat(70_000).as_slice()].concat(),
        ),
    ]
}

/// A frame of zeros, in blocks.
fn frame((width, height): (u16, u16), packed: &[u8]) -> Vec<u8> {
    let sizes = [width.to_le_bytes(), height.to_le_bytes()].concat();
    let mut out = [&[0x2c, 0, 0, 0, 0], sizes.as_slice(), &[0, 8]].concat();
    for block in packed.chunks(255) {
        out.push(u8::try_from(block.len()).unwrap_or(255));
        out.extend(block);
    }
    out.push(0);
    out
}

fn gifs() -> Result<Vec<Bomb>> {
    let gif = |(width, height): (u16, u16), frames: &[u8]| {
        let sizes = [width.to_le_bytes(), height.to_le_bytes()].concat();
        [b"GIF89a".as_slice(), &sizes, &[0xf7, 0, 0], &[9; 768], frames, b";"].concat()
    };
    let zeros = |count: usize| Encoder::new(BitOrder::Lsb, 8).encode(&vec![0; count]);
    let (large, middle, small) = (zeros(100_000_000)?, zeros(3_400 * 3_400)?, zeros(1)?);
    // Each is transparent, so that none covers another one.
    let control = b"\x21\xf9\x04\x05\0\0\x01\0".as_slice();
    let piece = [control, &frame((3_400, 3_400), &middle)].concat();
    let dots = [control, &frame((1, 1), &small)].concat();
    Ok(vec![
        Bomb::new("flat-10000x10000.gif", gif((10_000, 10_000), &frame((10_000, 10_000), &large))),
        Bomb::new("pieces-of-3400x3400.gif", gif((3_400, 3_400), &piece.repeat(50))),
        Bomb::new("many-pieces.gif", gif((3_400, 3_400), &[piece, dots.repeat(60_000)].concat())),
        Bomb::new("claims-65535x65535.gif", gif((65_535, 65_535), &frame((65_535, 65_535), &small))),
        Bomb::new("claims-10000x10000.gif", gif((10_000, 10_000), &frame((10_000, 10_000), &small))),
    ])
}

/// Bits, the lowest first.
#[derive(Default)]
struct Bits {
    bytes: Vec<u8>,
    used: u32,
}

impl Bits {
    fn put(&mut self, value: u32, count: u32) {
        for bit in 0..count {
            if self.used.is_multiple_of(8) {
                self.bytes.push(0);
            }
            if let Some(last) = self.bytes.last_mut() {
                *last |= u8::from(value >> bit & 1 == 1) << (self.used % 8);
            }
            self.used += 1;
        }
    }
}

/// A lossless picture of one colour, which takes no bits for its pixels.
fn lossless(side: u32) -> Vec<u8> {
    let mut bits = Bits::default();
    for (value, count) in [(0x2f, 8), (side - 1, 14), (side - 1, 14), (0, 1), (0, 3), (0, 3)] {
        bits.put(value, count);
    }
    // Five codes of one symbol.
    for _ in 0..5 {
        bits.put(1, 4);
    }
    bits.bytes
}

fn webps() -> Vec<Bomb> {
    let riff = |chunks: &[(&[u8; 4], &[u8])]| {
        let mut body = b"WEBP".to_vec();
        for (kind, content) in chunks {
            body.extend(*kind);
            body.extend(u32::try_from(content.len()).unwrap_or(0).to_le_bytes());
            body.extend(*content);
            body.extend(if content.len() % 2 == 1 { &[0][..] } else { &[] });
        }
        [b"RIFF".as_slice(), &u32::try_from(body.len()).unwrap_or(0).to_le_bytes(), &body].concat()
    };
    let lossy = |side: u16, len: usize| {
        let sizes = [side.to_le_bytes(), side.to_le_bytes()].concat();
        // A key frame, shown, whose first part has half of the bytes.
        let tag = (u32::try_from(len / 2).unwrap_or(0) << 5 | 0x10).to_le_bytes();
        [&tag[..3], &[0x9d, 0x01, 0x2a], &sizes, &vec![0; len]].concat()
    };
    let extended = |side: u32| {
        let side = (side - 1).to_le_bytes();
        [&[0x10, 0, 0, 0], &side[..3], &side[..3]].concat()
    };
    let alpha = [[1].as_slice(), &lossless(8_000)[5..]].concat();
    vec![
        Bomb::new("lossless-16383x16383.webp", riff(&[(b"VP8L", lossless(16_383).as_slice())])),
        Bomb::new("lossless-8000x8000.webp", riff(&[(b"VP8L", lossless(8_000).as_slice())])),
        Bomb::new("lossless-3900x3900.webp", riff(&[(b"VP8L", lossless(3_900).as_slice())])),
        Bomb::new("lossy-16383x16383.webp", riff(&[(b"VP8 ", lossy(16_383, 800_000).as_slice())])),
        Bomb::new(
            "lossy-with-opacity.webp",
            riff(&[
                (b"VP8X", extended(8_000).as_slice()),
                (b"ALPH", &alpha),
                (b"VP8 ", &lossy(8_000, 400_000)),
            ]),
        ),
        Bomb::new("many-chunks.webp", riff(&vec![(b"ABCD", &b""[..]); 70_000])),
    ]
}
