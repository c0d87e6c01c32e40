//! Formats of boxes: AVIF, HEIC, JPEG XL, CR3. What is in them is taken from the files of tests, and repeated.

use anyhow::{Context, Result};

use super::Bomb;

const FLAT_17: &[u8] = include_bytes!("../../../preview/tests/data/avif/flat-17mp.avif");
const FLAT_64: &[u8] = include_bytes!("../../../preview/tests/data/avif/flat-64mp.avif");
const FLAT_JXL: &[u8] = include_bytes!("../../../preview/tests/data/flat.jxl");

pub(super) fn all() -> Result<Vec<Bomb>> {
    let tile = Tile::of(FLAT_17)?;
    Ok(vec![
        Bomb::new("flat-17-megapixels.avif", FLAT_17.to_vec()),
        Bomb::new("flat-64-megapixels.avif", FLAT_64.to_vec()),
        Bomb::new("tiles-of-17-megapixels.avif", tile.grid(b"av01", (7, 7), 1)),
        Bomb::new("tiles-of-other-sizes.avif", tile.grid(b"av01", (16, 16), 16)),
        Bomb::new("tiles-of-hevc.heic", tile.grid(b"hvc1", (16, 16), 16)),
        Bomb::new(
            "many-boxes.avif",
            [&boxed(b"ftyp", b"avif\0\0\0\0avifmif1"), boxed(b"free", b"").repeat(100_000).as_slice()]
                .concat(),
        ),
        Bomb::new("many-properties.avif", many_properties()),
        Bomb::new("flat.jxl", FLAT_JXL.to_vec()),
        Bomb::new("claims-1073741824.jxl", claims(0xffff_ffff, 3, b"")),
        Bomb::new("claims-32768x1953.jxl", claims(1_952, 2, &[0; 40_000])),
        Bomb::new("many-boxes.jxl", many_codestreams()),
        Bomb::new("nested.cr3", nested()),
    ])
}

fn boxed(kind: &[u8; 4], content: &[u8]) -> Vec<u8> {
    [&u32::try_from(content.len() + 8).unwrap_or(0).to_be_bytes(), kind.as_slice(), content].concat()
}

/// A coded picture, and what describes how it is coded.
struct Tile {
    data: Vec<u8>,
    configuration: Vec<u8>,
    size: (u32, u32),
}

impl Tile {
    fn of(file: &[u8]) -> Result<Self> {
        let find = |kind: &[u8; 4]| -> Result<&[u8]> {
            let at = file.windows(4).position(|window| window == kind).context("a box is missing")?;
            let len = u32::from_be_bytes(file[at - 4..at].try_into()?);
            file.get(at + 4..at - 4 + usize::try_from(len)?).context("a box is cut off")
        };
        let size = find(b"ispe")?;
        let number =
            |at: usize| size.get(at..at + 4).and_then(|bytes| bytes.try_into().ok()).map(u32::from_be_bytes);
        Ok(Self {
            data: find(b"mdat")?.to_vec(),
            configuration: find(b"av1C")?.to_vec(),
            size: number(4).zip(number(8)).context("no size")?,
        })
    }

    /// A picture of many tiles, which are all the same bytes; each is said to be so many times smaller than it is.
    fn grid(&self, kind: &[u8; 4], (columns, rows): (u16, u16), smaller: u32) -> Vec<u8> {
        let (width, height) = (self.size.0 / smaller, self.size.1 / smaller);
        let count = columns * rows;
        let info = |id: u16, kind: &[u8; 4]| {
            boxed(b"infe", &[&[2, 0, 0, 0], id.to_be_bytes().as_slice(), &[0, 0], kind, &[0]].concat())
        };
        let place = |id: u16, at: usize, len: usize| {
            let word = |number: usize| u32::try_from(number).unwrap_or(0).to_be_bytes();
            [&id.to_be_bytes(), [0, 1, 0, 0, 0, 1].as_slice(), &word(at), &word(len)].concat()
        };
        let whole = (width * u32::from(columns), height * u32::from(rows));
        let counts = [columns - 1, rows - 1].map(|number| number.to_le_bytes()[0]);
        let description =
            [&[0, 1], counts.as_slice(), &whole.0.to_be_bytes(), &whole.1.to_be_bytes()].concat();
        let ids = 2..count + 2;
        let infos: Vec<u8> = ids.clone().flat_map(|id| info(id, kind)).collect();
        let places: Vec<u8> =
            ids.clone().flat_map(|id| place(id, description.len(), self.data.len())).collect();
        let size = |(width, height): (u32, u32)| {
            boxed(b"ispe", &[[0; 4], width.to_be_bytes(), height.to_be_bytes()].concat())
        };
        let properties = [size(whole), size((width, height)), boxed(b"av1C", &self.configuration)].concat();
        let associations: Vec<u8> =
            ids.clone().flat_map(|id| [id.to_be_bytes()[0], id.to_be_bytes()[1], 2, 2, 3]).collect();
        let number = u32::from(count + 1).to_be_bytes();
        let references =
            [[0, 1].as_slice(), &count.to_be_bytes(), &ids.flat_map(u16::to_be_bytes).collect::<Vec<_>>()]
                .concat();
        let meta = [
            vec![0; 4],
            boxed(b"pitm", &[0, 0, 0, 0, 0, 1]),
            boxed(
                b"iinf",
                &[&[0, 0, 0, 0], (count + 1).to_be_bytes().as_slice(), &info(1, b"grid"), &infos].concat(),
            ),
            boxed(
                b"iloc",
                &[
                    &[1, 0, 0, 0, 0x44, 0],
                    (count + 1).to_be_bytes().as_slice(),
                    &place(1, 0, description.len()),
                    &places,
                ]
                .concat(),
            ),
            boxed(b"iref", &[vec![0; 4], boxed(b"dimg", &references)].concat()),
            boxed(
                b"iprp",
                &[
                    boxed(b"ipco", &properties),
                    boxed(
                        b"ipma",
                        &[&[0, 0, 0, 0], number.as_slice(), &[0, 1, 1, 1], &associations].concat(),
                    ),
                ]
                .concat(),
            ),
            boxed(b"idat", &[description.as_slice(), &self.data].concat()),
        ];
        let brand: &[u8] = if kind == b"hvc1" { b"heic\0\0\0\0mif1heic" } else { b"avif\0\0\0\0avifmif1" };
        [boxed(b"ftyp", brand), boxed(b"meta", &meta.concat())].concat()
    }
}

fn many_properties() -> Vec<u8> {
    let size = boxed(b"ispe", &[0, 0, 0, 0, 0, 0, 0, 9, 0, 0, 0, 9]);
    let meta = [vec![0; 4], boxed(b"iprp", &boxed(b"ipco", &size.repeat(300_000)))];
    [boxed(b"ftyp", b"avif\0\0\0\0avifmif1"), boxed(b"meta", &meta.concat())].concat()
}

/// A codestream whose header says that it is large, with all else as usual.
fn claims(height: u32, selector: u32, rest: &[u8]) -> Vec<u8> {
    let mut bits = Vec::new();
    let mut put = |value: u32, count: u32| bits.extend((0..count).map(|bit| value >> bit & 1 == 1));
    put(0, 1);
    put(selector, 2);
    put(height & if selector == 3 { 0x3fff_ffff } else { 0x3_ffff }, if selector == 3 { 30 } else { 18 });
    // As wide as high, and all metadata and the frame's header as usual.
    put(1, 3);
    put(3, 2);
    while bits.len() % 8 != 0 {
        bits.push(false);
    }
    let bytes =
        bits.chunks(8).map(|bits| bits.iter().rev().fold(0u8, |byte, bit| byte << 1 | u8::from(*bit)));
    [0xff, 0x0a].into_iter().chain(bytes).chain([1]).chain(rest.iter().copied()).collect()
}

fn many_codestreams() -> Vec<u8> {
    let piece = boxed(b"jxlp", &[0, 0, 0, 0]);
    [boxed(b"JXL ", b"\r\n\x87\n"), boxed(b"ftyp", b"jxl \0\0\0\0jxl "), piece.repeat(100_000)].concat()
}

fn nested() -> Vec<u8> {
    let mut inner = boxed(b"CMT1", b"II*\0\x08\0\0\0");
    for _ in 0..2_000 {
        inner = boxed(b"moov", &inner.repeat(1 + usize::from(inner.len() < 100_000)));
    }
    [boxed(b"ftyp", b"crx \0\0\0\x01crx isom"), inner].concat()
}
