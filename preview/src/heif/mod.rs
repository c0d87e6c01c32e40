//! HEIF files (ISO/IEC 23008-12), which AVIF and HEIC are: finds the picture in the container, and hands it to who decodes it.
//!
//! What codes the picture decides, not the name of the format: AV1 and JPEG are decoded in any of these files. Of a picture whose
//! properties must be understood and are not, nothing is shown. Whatever the container announces has a limit, and nothing is read beyond the file.

mod boxes;
mod items;
pub(crate) mod properties;

use std::io::{BufRead, Cursor, Read, Seek, SeekFrom};

use items::{Item, Items, Place};
use properties::{Codes, Property, Window, orientation};

use crate::exif::Orientation;
use crate::profile::Space;
use crate::raster::Decoded;
use crate::{EXIF_BYTES_MAX, Format, ICC_BYTES_MAX, PreviewError, avif, error::check_dimensions, heic, jpeg};

/// The most bytes of the box that tells what is in the file, profiles included.
const META_BYTES_MAX: u64 = 8 << 20;
/// The most boxes of the file itself.
const BOXES_MAX: usize = 256;
/// The most bytes of a coded picture or of a tile of one: they are held in memory.
pub(crate) const ITEM_BYTES_MAX: u64 = 64 << 20;
/// The most grids of a file that are looked at: of a picture, and of its opacity, and what phones have beside them.
const GRIDS_MAX: usize = 8;
/// The most tiles that a picture is put together of, for each of its pixels' colours and their opacity.
const TILES_MAX: usize = 256;

pub(crate) fn decode<R: BufRead + Seek>(
    format: Format,
    input: &mut R,
    side: u32,
) -> Result<Decoded, PreviewError> {
    let mut file = File::open(format, input)?;
    let primary = file.items.primary;
    let picture = file.picture(primary)?;
    match &picture.coding {
        b"av01" => avif::show(&mut file, &picture, side),
        b"jpeg" if picture.tiles.len() == 1 => {
            let data = file.data_of(picture.tiles[0])?;
            let image = jpeg::decode(&mut Cursor::new(data), side)?;
            Ok(Decoded { orientation: picture.orientation, ..image })
        }
        b"hvc1" => heic::show(&mut file, &picture, side),
        _ => Err(PreviewError::Unsupported("HEIF of a rare coding")),
    }
}

/// What the camera says about the picture: EXIF, from its structure on.
pub(crate) fn exif_of<R: BufRead + Seek>(
    format: Format,
    input: &mut R,
) -> Result<Option<Vec<u8>>, PreviewError> {
    let mut file = File::open(format, input)?;
    let Some(item) = file.exif() else { return Ok(None) };
    let mut data = file.data_of(item)?;
    // An offset to the structure stands before it (ISO/IEC 23008-12 section A.2.1).
    let Some((offset, rest)) = data.split_first_chunk::<4>() else { return Ok(None) };
    let offset = usize::try_from(u32::from_be_bytes(*offset)).unwrap_or(usize::MAX);
    let start = if offset > rest.len() { return Ok(None) } else { offset + 4 };
    data.drain(..start);
    data.truncate(EXIF_BYTES_MAX);
    Ok(Some(data))
}

/// A file, and what it says that is in it.
pub(crate) struct File<'a, R> {
    pub(crate) format: Format,
    pub(crate) len: u64,
    /// Where the content of the box begins that tells what is in the file, and how many bytes it has.
    meta: (u64, usize),
    input: &'a mut R,
    items: Items,
    /// What describes the grids of tiles, by item: few bytes each.
    grids: Vec<(u32, Vec<u8>)>,
}

/// The size of a picture, how many tiles it has in a row, and its tiles.
type Tiles = ((u32, u32), u32, Vec<u32>);

/// A picture in a file.
#[derive(Debug)]
pub(crate) struct Picture {
    /// How its tiles are coded.
    pub(crate) coding: [u8; 4],
    /// The size of the whole, before it is cropped and turned; of a single tile as the file tells it.
    pub(crate) size: (u32, u32),
    pub(crate) columns: u32,
    /// Row by row. At least one.
    pub(crate) tiles: Vec<u32>,
    /// The tiles of its opacity: none, or as many.
    pub(crate) opacity: Vec<u32>,
    /// Whether the colours are multiplied by the opacity already.
    pub(crate) premultiplied: bool,
    pub(crate) orientation: Orientation,
    pub(crate) window: Option<Window>,
    pub(crate) icc: Option<Vec<u8>>,
    pub(crate) codes: Option<Codes>,
}

impl Picture {
    /// What the file says about its colours; `coded` are the code points of the coded picture.
    pub(crate) fn space(&self, coded: (u16, u16)) -> Option<Space> {
        if let Some(icc) = &self.icc {
            return Some(Space::Icc(icc.clone()));
        }
        let (primaries, transfer) = self.codes.map_or(coded, |codes| (codes.primaries, codes.transfer));
        // sRGB, which is also meant where nothing is told: 2.
        if matches!(primaries, 1 | 2) && matches!(transfer, 1 | 2 | 6 | 13) {
            return None;
        }
        let primaries = if primaries == 2 { 1 } else { primaries };
        let transfer = if transfer == 2 { 13 } else { transfer };
        Some(Space::Codes {
            primaries: u8::try_from(primaries).ok()?,
            transfer: u8::try_from(transfer).ok()?,
        })
    }
}

impl<'a, R: BufRead + Seek> File<'a, R> {
    fn open(format: Format, input: &'a mut R) -> Result<Self, PreviewError> {
        let len = input.seek(SeekFrom::End(0))?;
        let (meta_at, meta) = read_meta(input, len)?;
        let items = Items::read(&meta)
            .ok_or_else(|| PreviewError::damaged(format, "what it says of its content is broken"))?;
        let meta_len = meta.len();
        drop(meta);
        let mut file = Self { format, len, meta: (meta_at, meta_len), input, items, grids: Vec::new() };
        let grids = file.items.items.iter().filter(|item| item.is_small_grid()).take(GRIDS_MAX);
        for id in grids.map(|item| item.id).collect::<Vec<_>>() {
            let data = file.data_of(id)?;
            file.grids.push((id, data));
        }
        Ok(file)
    }

    fn damaged(&self, why: &str) -> PreviewError {
        PreviewError::damaged(self.format, why)
    }

    fn item(&self, id: u32) -> Result<&Item, PreviewError> {
        self.items.item(id).ok_or_else(|| self.damaged("a part of it is missing"))
    }

    /// Looks at the picture that an item is.
    pub(crate) fn picture(&self, id: u32) -> Result<Picture, PreviewError> {
        let item = self.item(id)?;
        let properties = self
            .items
            .properties_of(item)
            .ok_or(PreviewError::Unsupported("HEIF with a property that is not known"))?;
        let (size, columns, tiles) = self.tiles(item, &properties)?;
        let coding = self.item(tiles[0])?.kind;
        let found = |choose: fn(&&Property) -> bool| properties.iter().copied().find(choose);
        let window = match found(|property| matches!(property, Property::Crop(_))) {
            Some(Property::Crop(crop)) => crop.window(size),
            _ => None,
        };
        let icc = match found(|property| matches!(property, Property::Icc(_))) {
            Some(Property::Icc(icc)) if icc.len() <= ICC_BYTES_MAX => Some(icc.clone()),
            _ => None,
        };
        let codes = match found(|property| matches!(property, Property::Codes(_))) {
            Some(Property::Codes(codes)) => Some(*codes),
            // Of a grid the tiles may tell it.
            _ => self.codes_of(tiles[0]),
        };
        let opacity = self.opacity_of(id);
        let premultiplied =
            opacity.is_some_and(|opacity| self.items.targets(id, b"prem").contains(&opacity.id));
        let opacity = match opacity {
            Some(opacity) => self.opacity_tiles(opacity, (columns, tiles.len()))?,
            None => Vec::new(),
        };
        let orientation = orientation(&properties);
        Ok(Picture { coding, size, columns, tiles, opacity, premultiplied, orientation, window, icc, codes })
    }

    fn codes_of(&self, id: u32) -> Option<Codes> {
        let properties = self.items.properties_of(self.items.item(id)?)?;
        properties.into_iter().find_map(|property| match property {
            Property::Codes(codes) => Some(*codes),
            _ => None,
        })
    }

    /// The item that is the opacity of another one.
    fn opacity_of(&self, id: u32) -> Option<&Item> {
        self.items.sources(id, b"auxl").find(|item| {
            let properties = self.items.properties_of(item).unwrap_or_default();
            properties.contains(&&Property::Opacity)
        })
    }

    fn opacity_tiles(&self, item: &Item, (columns, count): (u32, usize)) -> Result<Vec<u32>, PreviewError> {
        let properties = self.items.properties_of(item).unwrap_or_default();
        let (_, its_columns, tiles) = self.tiles(item, &properties)?;
        if (its_columns, tiles.len()) != (columns, count) {
            return Err(PreviewError::Unsupported("HEIF whose opacity has other tiles than its colours"));
        }
        Ok(tiles)
    }

    /// The size of a picture, how many tiles it has in a row, and its tiles.
    fn tiles(&self, item: &Item, properties: &[&Property]) -> Result<Tiles, PreviewError> {
        let told = properties.iter().find_map(|property| match property {
            Property::Size(width, height) => Some((*width, *height)),
            _ => None,
        });
        let size = told.ok_or_else(|| self.damaged("it has no size"))?;
        // Before anything is allocated for it; what is decoded has lower limits.
        check_dimensions(self.format, size, crate::STREAMED_PIXELS_MAX)?;
        if item.kind != *b"grid" {
            return match &item.kind {
                b"iovl" | b"iden" => Err(PreviewError::Unsupported("HEIF made of layers")),
                _ => Ok((size, 1, vec![item.id])),
            };
        }
        let (rows, columns, size) =
            self.grid(item).ok_or_else(|| self.damaged("its grid of tiles is broken"))?;
        check_dimensions(self.format, size, crate::STREAMED_PIXELS_MAX)?;
        let tiles = self.items.targets(item.id, b"dimg").to_vec();
        if tiles.is_empty() || tiles.len() > TILES_MAX || tiles.len() != rows * columns {
            return Err(self.damaged("its grid has another number of tiles"));
        }
        let kind = self.item(tiles[0])?.kind;
        for tile in &tiles {
            if self.item(*tile)?.kind != kind || matches!(&kind, b"grid" | b"iovl" | b"iden") {
                return Err(PreviewError::Unsupported("HEIF made of unlike tiles"));
            }
        }
        Ok((size, u32::try_from(columns).unwrap_or(1), tiles))
    }

    /// Rows, columns and size of a grid (section 6.6.2.3).
    fn grid(&self, item: &Item) -> Option<(usize, usize, (u32, u32))> {
        let (_, data) = self.grids.iter().find(|(id, _)| *id == item.id)?;
        let mut data = boxes::Bytes(data);
        data.u8()?;
        let wide = data.u8()? & 1 == 1;
        let (rows, columns) = (usize::from(data.u8()?) + 1, usize::from(data.u8()?) + 1);
        Some((rows, columns, (data.id(wide)?, data.id(wide)?)))
    }

    /// The whole file, from its beginning, in which the picture is the only one that is not hidden.
    pub(crate) fn with_one_picture(&mut self) -> Result<impl Read, PreviewError> {
        let (at, len) = self.meta;
        let mut meta = vec![0; len];
        self.input.seek(SeekFrom::Start(at))?;
        self.input.read_exact(&mut meta)?;
        items::hide_others(&mut meta, self.items.primary);
        self.input.rewind()?;
        Ok(Replaced { rest: (&mut *self.input).take(self.len), at: 0, from: at, new: meta })
    }

    /// The thumbnails of the picture that are JPEGs.
    pub(crate) fn thumbnails(&self) -> Vec<u32> {
        let found = self.items.sources(self.items.primary, b"thmb").filter(|item| item.kind == *b"jpeg");
        found.map(|item| item.id).collect()
    }

    /// What the camera says about the picture.
    pub(crate) fn exif(&self) -> Option<u32> {
        self.items.sources(self.items.primary, b"cdsc").find(|item| item.kind == *b"Exif").map(|item| item.id)
    }

    /// The bytes of an item.
    pub(crate) fn data_of(&mut self, id: u32) -> Result<Vec<u8>, PreviewError> {
        let item = self.item(id)?;
        let (place, pieces) = (item.place, item.pieces.clone());
        let mut data = Vec::new();
        for (at, len) in pieces {
            let whole = match place {
                Place::File => self.len,
                Place::Data => u64::try_from(self.items.data.len()).unwrap_or(u64::MAX),
                Place::Elsewhere => return Err(PreviewError::Unsupported("HEIF with data in other places")),
            };
            let rest = whole.checked_sub(at).ok_or_else(|| self.damaged("the file ends too early"))?;
            let len = if len == 0 { rest } else { len.min(rest) };
            let actual = len.saturating_add(u64::try_from(data.len()).unwrap_or(u64::MAX));
            if actual > ITEM_BYTES_MAX {
                let what = "size of the picture in bytes";
                return Err(PreviewError::TooLarge { what, actual, max: ITEM_BYTES_MAX });
            }
            if place == Place::File {
                self.input.seek(SeekFrom::Start(at))?;
                (&mut *self.input).take(len).read_to_end(&mut data)?;
            } else {
                let (at, len) = (usize::try_from(at).unwrap_or(0), usize::try_from(len).unwrap_or(0));
                data.extend(self.items.data.iter().skip(at).take(len));
            }
        }
        if data.is_empty() { Err(self.damaged("a part of it is missing")) } else { Ok(data) }
    }
}

/// A file in which some bytes are others.
struct Replaced<R> {
    rest: R,
    /// What has been read.
    at: u64,
    /// Where the new bytes begin.
    from: u64,
    new: Vec<u8>,
}

impl<R: Read> Read for Replaced<R> {
    fn read(&mut self, out: &mut [u8]) -> std::io::Result<usize> {
        // Up to where they begin, then up to where they end: a read is of the one kind or the other.
        let before = usize::try_from(self.from.saturating_sub(self.at)).unwrap_or(usize::MAX);
        let until = if before == 0 { out.len() } else { before.min(out.len()) };
        let count = self.rest.read(&mut out[..until])?;
        let begun = usize::try_from(self.at.saturating_sub(self.from)).unwrap_or(usize::MAX);
        if self.at >= self.from {
            let new = self.new.get(begun..).unwrap_or_default();
            out[..count].iter_mut().zip(new).for_each(|(old, new)| *old = *new);
        }
        self.at += u64::try_from(count).unwrap_or(0);
        Ok(count)
    }
}

/// The content of the box that tells what is in the file, and where it begins.
fn read_meta<R: BufRead + Seek>(input: &mut R, len: u64) -> Result<(u64, Vec<u8>), PreviewError> {
    let mut at = 0u64;
    for _ in 0..BOXES_MAX {
        input.seek(SeekFrom::Start(at))?;
        let mut head = Vec::new();
        (&mut *input).take(16).read_to_end(&mut head)?;
        let mut bytes = boxes::Bytes(&head);
        let (Some(size), Some(kind)) = (bytes.u32(), bytes.kind()) else { break };
        let (taken, size) = match (size, bytes.number(8)) {
            (0, _) => (8, len - at.min(len)),
            (1, Some(size)) => (16, size),
            (size, _) => (8, u64::from(size)),
        };
        let Some(body) = size.checked_sub(taken) else { break };
        if &kind == b"meta" {
            if body > META_BYTES_MAX {
                let what = "size of what it says of its content in bytes";
                return Err(PreviewError::TooLarge { what, actual: body, max: META_BYTES_MAX });
            }
            input.seek(SeekFrom::Start(at + taken))?;
            let mut meta = Vec::new();
            (&mut *input).take(body).read_to_end(&mut meta)?;
            return Ok((at + taken, meta));
        }
        let Some(next) = at.checked_add(size).filter(|next| *next < len) else { break };
        at = next;
    }
    // Sequences have no still picture of necessity.
    Err(PreviewError::Unsupported("HEIF without a still picture"))
}
