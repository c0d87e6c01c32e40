//! Formats whose pixels are stored, repeated, or packed by a general method: BMP, QOI, Netpbm, TGA, icons, TIFF, PNG, Photoshop.

use std::io::Write as _;

use anyhow::Result;
use flate2::{Compression, Crc, write::ZlibEncoder};

use super::Bomb;

pub(super) fn all() -> Result<Vec<Bomb>> {
    let mut bombs = bitmaps();
    bombs.extend(tiffs()?);
    bombs.extend(pngs()?);
    bombs.extend(photoshop());
    Ok(bombs)
}

/// Zeros, deflated; they are never all in memory.
fn deflated(count: u64) -> Result<Vec<u8>> {
    let mut encoder = ZlibEncoder::new(Vec::new(), Compression::new(6));
    let piece = vec![0; 1 << 20];
    let mut left = count;
    while left > 0 {
        let now = usize::try_from(left)?.min(piece.len());
        encoder.write_all(&piece[..now])?;
        left -= u64::try_from(now)?;
    }
    Ok(encoder.finish()?)
}

fn bitmaps() -> Vec<Bomb> {
    let bmp = |width: u32, height: u32, bits: u16, packed: u32, rest: &[u8]| {
        let header = [40, width, height, 1 | u32::from(bits) << 16, packed, 0, 0, 0, 0, 0]
            .map(u32::to_le_bytes)
            .concat();
        let start = [54u32 + 1024 * u32::from(bits == 8), 0].map(u32::to_le_bytes);
        let palette = if bits == 8 { vec![7; 1024] } else { Vec::new() };
        [b"BM\0\0\0\0\0\0\0\0".as_slice(), &start[0], &header, &palette, rest].concat()
    };
    let qoi = |width: u32, height: u32| {
        let pixels = usize::try_from(u64::from(width) * u64::from(height)).unwrap_or(0);
        // A run has up to 62 pixels.
        let runs = vec![0xfd; pixels / 62];
        [
            b"qoif".as_slice(),
            &width.to_be_bytes(),
            &height.to_be_bytes(),
            &[4, 0],
            &runs,
            &[0, 0, 0, 0, 0, 0, 0, 1],
        ]
        .concat()
    };
    let tga = |width: u16, height: u16, bits: u8, bytes: usize| {
        let packet = [0xff, 1, 2, 3, 4];
        let packets = usize::from(width) * usize::from(height) / 128;
        let packets = packet[..1 + usize::from(bits / 8)].repeat(packets.min(bytes));
        let sizes = [width.to_le_bytes(), height.to_le_bytes()].concat();
        [
            [0, 0, 10, 0, 0, 0, 0, 0, 0, 0, 0, 0].as_slice(),
            &sizes,
            &[bits, 0x20 | (u8::from(bits == 32) * 8)],
            &packets,
        ]
        .concat()
    };
    let pam = |side: u32, depth: u32, most: u32, kind: &str| {
        format!("P7\nWIDTH {side}\nHEIGHT {side}\nDEPTH {depth}\nMAXVAL {most}\nTUPLTYPE {kind}\nENDHDR\n0123456789").into_bytes()
    };
    let icon = |count: u16| {
        let mut out = [0u16, 1, count].map(u16::to_le_bytes).concat();
        // All of them are the same bytes, behind the last entry.
        let at = (6 + 16 * u32::from(count)).to_le_bytes();
        for _ in 0..count {
            out.extend([0, 0, 0, 0, 1, 0, 32, 0, 0, 0, 0, 0x40]);
            out.extend(at);
        }
        out.extend(bmp(65_535, 131_070, 32, 0, &[])[14..].iter());
        out
    };
    vec![
        Bomb::new("claims-65535x65535.bmp", bmp(65_535, 65_535, 24, 0, b"abc")),
        Bomb::new("claims-4000x4000-of-32-bits.bmp", bmp(4_000, 4_000, 32, 0, b"abc")),
        Bomb::new("claims-8000x8000.bmp", bmp(8_000, 8_000, 24, 0, &[9; 500])),
        Bomb::new("run-lengths-4000x4000.bmp", bmp(4_000, 4_000, 8, 1, &[255, 1].repeat(62_746))),
        Bomb::new("flat-4000x4000.qoi", qoi(4_000, 4_000)),
        Bomb::new("flat-8000x8000.qoi", qoi(8_000, 8_000)),
        Bomb::new("flat-4000x4000-of-32-bits.tga", tga(4_000, 4_000, 32, usize::MAX)),
        Bomb::new("claims-65535x65535.tga", tga(65_535, 65_535, 24, 10)),
        Bomb::new("claims-4000x4000-of-64-bits.pam", pam(4_000, 4, 65_535, "RGB_ALPHA")),
        Bomb::new("claims-65535x65535.pam", pam(65_535, 4, 255, "RGB_ALPHA")),
        Bomb::new("claims-8000x8000.pbm", b"P4 8000 8000 abc".to_vec()),
        Bomb::new("claims-4000x4000.ppm", b"P3 4000 4000 65535 1 2 3".to_vec()),
        Bomb::new("one-large.ico", icon(1)),
        Bomb::new("many-large.ico", icon(200)),
    ]
}

/// A TIFF of one directory: what its tags are, each a number or a list, and what stands behind it.
fn tiff(tags: &[(u16, Vec<u32>)], data: &[u8]) -> Vec<u8> {
    let mut out = b"II*\0\x08\0\0\0".to_vec();
    let directory = 2 + 12 * tags.len() + 4;
    let lists: usize =
        tags.iter().map(|(_, values)| if values.len() > 1 { 4 * values.len() } else { 0 }).sum();
    let (mut list_at, data_at) = (8 + directory, 8 + directory + lists);
    let word = |number: usize| u32::try_from(number).unwrap_or(u32::MAX);
    out.extend(u16::try_from(tags.len()).unwrap_or(0).to_le_bytes());
    let mut behind = Vec::new();
    for (tag, values) in tags {
        // Where the data stand is told relative to them.
        let values: Vec<u32> = values
            .iter()
            .map(|value| if *tag == 273 || *tag == 324 { value + word(data_at) } else { *value })
            .collect();
        out.extend(tag.to_le_bytes());
        out.extend(4u16.to_le_bytes());
        out.extend(word(values.len()).to_le_bytes());
        if let [value] = values.as_slice() {
            out.extend(value.to_le_bytes());
        } else {
            out.extend(word(list_at).to_le_bytes());
            list_at += 4 * values.len();
            behind.extend(values.iter().flat_map(|value| value.to_le_bytes()));
        }
    }
    out.extend([0; 4]);
    [out, behind, data.to_vec()].concat()
}

/// A page in which a bit is a row like the one before it, and the first one is white.
fn fax(side: u32) -> Vec<u8> {
    let data = vec![0xff; usize::try_from(side.div_ceil(8)).unwrap_or(0)];
    let tags = [
        (256, vec![side]),
        (257, vec![side]),
        (258, vec![1]),
        (259, vec![4]),
        (262, vec![0]),
        (273, vec![0]),
        (278, vec![side]),
        (279, vec![side.div_ceil(8)]),
    ];
    tiff(&tags, &data)
}

fn tiffs() -> Result<Vec<Bomb>> {
    // Ten thousand strips, which are all the same bytes.
    let strips = |bits: u32, samples: u32, photometric: u32, compression: u32, row: &[u8]| {
        let length = u32::try_from(row.len()).unwrap_or(0);
        tiff(
            &[
                (256, vec![10_000]),
                (257, vec![10_000]),
                (258, vec![bits; usize::try_from(samples).unwrap_or(1)]),
                (259, vec![compression]),
                (262, vec![photometric]),
                (273, vec![0; 10_000]),
                (277, vec![samples]),
                (278, vec![1]),
                (279, vec![length; 10_000]),
            ],
            row,
        )
    };
    let whole = |side: u32, bits: u32, bytes: u64| -> Result<Vec<u8>> {
        let data = deflated(bytes)?;
        Ok(tiff(
            &[
                (256, vec![side]),
                (257, vec![side]),
                (258, vec![bits; 3]),
                (259, vec![8]),
                (262, vec![2]),
                (273, vec![0]),
                (277, vec![3]),
                (278, vec![side]),
                (279, vec![u32::try_from(data.len())?]),
            ],
            &data,
        ))
    };
    let tiles = |side: u32, data: &[u8]| {
        let count = usize::try_from(65_000u32.div_ceil(side).pow(2)).unwrap_or(1).min(60_000);
        tiff(
            &[
                (256, vec![65_000]),
                (257, vec![1_500]),
                (258, vec![8; 3]),
                (259, vec![8]),
                (262, vec![2]),
                (277, vec![3]),
                (322, vec![side]),
                (323, vec![side]),
                (324, vec![0; count]),
                (325, vec![u32::try_from(data.len()).unwrap_or(0); count]),
            ],
            data,
        )
    };
    Ok(vec![
        Bomb::new("fax-of-10000x10000.tif", fax(10_000)),
        Bomb::new("fax-of-60000x60000.tif", fax(60_000)),
        Bomb::new("strips-of-16-bit-inks.tif", strips(16, 4, 5, 8, &deflated(80_000)?)),
        Bomb::new("strips-of-packed-bits.tif", strips(8, 3, 2, 32_773, &[0x81, 7].repeat(235))),
        Bomb::new("strips-of-32-bits.tif", strips(32, 3, 2, 8, &deflated(120_000)?)),
        Bomb::new("one-strip-of-30000x30000.tif", whole(30_000, 8, 100_000_000)?),
        Bomb::new("one-strip-of-10000x10000.tif", whole(10_000, 16, 600_000_000)?),
        Bomb::new("tiles-of-16.tif", tiles(16, &deflated(768)?)),
        Bomb::new("tiles-of-4096.tif", tiles(4_096, &deflated(3 << 24)?)),
        Bomb::new(
            "claims-4294967295.tif",
            tiff(&[(256, vec![u32::MAX]), (257, vec![u32::MAX]), (258, vec![8]), (262, vec![1])], b""),
        ),
    ])
}

fn chunk(kind: &[u8; 4], content: &[u8]) -> Vec<u8> {
    let mut crc = Crc::new();
    crc.update(kind);
    crc.update(content);
    let len = u32::try_from(content.len()).unwrap_or(0).to_be_bytes();
    [&len, kind.as_slice(), content, &crc.sum().to_be_bytes()].concat()
}

fn png(size: (u32, u32), (depth, colour, interlaced): (u8, u8, u8), between: &[u8], data: &[u8]) -> Vec<u8> {
    let header =
        [&size.0.to_be_bytes(), size.1.to_be_bytes().as_slice(), &[depth, colour, 0, 0, interlaced]].concat();
    [
        b"\x89PNG\r\n\x1a\n".as_slice(),
        &chunk(b"IHDR", &header),
        between,
        &chunk(b"IDAT", data),
        &chunk(b"IEND", b""),
    ]
    .concat()
}

fn pngs() -> Result<Vec<Bomb>> {
    let bits = deflated(15_258 * (1 + 8_192))?;
    let deep = deflated(11_180 * (1 + 8 * 11_180))?;
    let profile = [b"x\0\0".as_slice(), &deflated(1 << 30)?].concat();
    let small = deflated(16 * 4)?;
    let text = chunk(b"iTXt", &[b"XML:com.adobe.xmp\0\x01\0\0\0".as_slice(), &deflated(1 << 28)?].concat());
    let profile = chunk(b"iCCP", &profile);
    let rgb = (8, 2, 0);
    Ok(vec![
        Bomb::new("bits-of-65535x15258.png", png((65_535, 15_258), (1, 0, 0), b"", &bits)),
        Bomb::new("deep-11180x11180.png", png((11_180, 11_180), (16, 6, 0), b"", &deep)),
        Bomb::new(
            "interlaced-30000x30000.png",
            png((30_000, 30_000), (8, 6, 1), b"", &deflated(300_000_000)?),
        ),
        Bomb::new("claims-65535x65535.png", png((65_535, 65_535), rgb, b"", &small)),
        Bomb::new("claims-65535x15000.png", png((65_535, 15_000), rgb, b"", &small)),
        Bomb::new("profile-of-a-gigabyte.png", png((5, 4), rgb, &profile, &small)),
        Bomb::new("text-of-much.png", png((5, 4), rgb, &text, &small)),
        Bomb::new("many-chunks.png", png((5, 4), rgb, &chunk(b"tEXt", b"a\0b").repeat(60_000), &small)),
    ])
}

fn photoshop() -> Vec<Bomb> {
    let psd =
        |version: u8, (width, height): (u32, u32), (channels, depth, mode): (u16, u16, u16), rest: &[u8]| {
            let sizes = [height.to_be_bytes(), width.to_be_bytes()].concat();
            let kind = [depth.to_be_bytes(), mode.to_be_bytes()].concat();
            let head = [b"8BPS\0".as_slice(), &[version, 0, 0, 0, 0, 0, 0], &channels.to_be_bytes()].concat();
            let sections = if version == 2 { vec![0; 4 + 4 + 8] } else { vec![0; 4 + 4 + 4] };
            [head, sizes, kind, sections, rest.to_vec()].concat()
        };
    let rows = |side: usize, channels: usize| {
        let row = [0x81, 7].repeat(side.div_ceil(128));
        let lengths = u16::try_from(row.len()).unwrap_or(0).to_be_bytes().repeat(side * channels);
        [[0, 1].as_slice(), &lengths, &row.repeat(side * channels)].concat()
    };
    vec![
        Bomb::new("rows-of-30000x30000.psd", psd(1, (30_000, 30_000), (3, 8, 3), &rows(30_000, 1))),
        Bomb::new("claims-300000x300000.psb", psd(2, (300_000, 300_000), (56, 16, 4), b"\0\x01abc")),
        Bomb::new("claims-30000x30000.psd", psd(1, (30_000, 30_000), (4, 16, 4), b"\0\0abc")),
        Bomb::new(
            "empty-rows-of-30000x30000.psd",
            psd(1, (30_000, 30_000), (4, 16, 4), &[&[0, 1], vec![0; 240_000].as_slice()].concat()),
        ),
    ]
}
