//! Photoshop's PSD and PSB: the picture of all layers together, which stands at the end of the file, read row by row.
//!
//! Decoded: grey (and duotone, which is shown as grey), palette, RGB and CMYK of 8 or 16 bits, as they are or with PackBits. What is
//! transparent has been laid on white by the program that wrote the file. (Adobe Photoshop File Formats Specification, 2019.)

use std::io::{BufRead, ErrorKind, Read, Seek, SeekFrom};

use crate::error::{check_density, check_dimensions};
use crate::exif::Orientation;
use crate::profile::Space;
use crate::raster::{Colour, Decoded};
use crate::shrink::{Shrinker, to_usize};
use crate::tiff::unpack::PackBits;
use crate::{Format, ICC_BYTES_MAX, PreviewError, STREAMED_PIXELS_MAX, Warning};

/// The most pixels of an image, however small its file is.
const DENSE_PIXELS_MAX: u64 = 100_000_000;
/// The most bytes of a table of the lengths of rows: those of the largest sides and four channels.
const LENGTHS_MAX: u64 = 4 << 20;
/// The most resources that are looked through for a profile.
const RESOURCES_MAX: usize = 1024;
/// The number of the resource that is a profile.
const PROFILE: u16 = 1039;
/// Red, green and blue of 256 colours.
const PALETTE_BYTES: usize = 768;

/// What the beginning of the file says.
struct Header {
    /// PSB, whose lengths are longer.
    large: bool,
    size: (u32, u32),
    /// In the file, with those that are no colours.
    channels: u64,
    /// Bytes of a sample.
    depth: usize,
    colour: Colour,
    palette: Option<Vec<u8>>,
    icc: Option<Vec<u8>>,
}

pub(crate) fn decode<R: BufRead + Seek>(input: &mut R, side: u32) -> Result<Decoded, PreviewError> {
    let file_len = input.seek(SeekFrom::End(0))?;
    input.rewind()?;
    let header = header(input)?;
    check_dimensions(Format::Psd, header.size, STREAMED_PIXELS_MAX)?;
    check_density(header.size, file_len, DENSE_PIXELS_MAX)?;
    // Layers and their masks.
    let layers = if header.large { number::<8, _>(input)? } else { number::<4, _>(input)? };
    skip(input, layers)?;
    let planes = read_planes(input, &header, side)?;
    let warning = planes.incomplete.then_some(Warning::Incomplete);
    Ok(Decoded {
        width: header.size.0,
        height: header.size.1,
        told: None,
        orientation: Orientation::default(),
        planes: planes.shrinkers.into_iter().map(Shrinker::finish).collect(),
        colour: header.colour,
        space: header.icc.map(Space::Icc),
        warning,
    })
}

fn header<R: BufRead + Seek>(input: &mut R) -> Result<Header, PreviewError> {
    skip(input, 4)?;
    let large = number::<2, _>(input)? == 2;
    skip(input, 6)?;
    let channels = number::<2, _>(input)?;
    let height = small(number::<4, _>(input)?);
    let width = small(number::<4, _>(input)?);
    let depth = match number::<2, _>(input)? {
        8 => 1,
        16 => 2,
        _ => return Err(PreviewError::Unsupported("PSD of 1 or 32 bits a sample")),
    };
    let mode = number::<2, _>(input)?;
    let colour = match mode {
        1 | 8 => Colour::Grey,
        2 | 3 => Colour::Rgb,
        4 => Colour::Cmyk { inverted: true },
        _ => return Err(PreviewError::Unsupported("PSD in other colours than grey, RGB or CMYK")),
    };
    if channels < count_of(colour, mode == 2) {
        return Err(damaged("it has too few channels"));
    }
    let colours = number::<4, _>(input)?;
    let palette = if mode == 2 {
        if colours < 768 || depth != 1 {
            return Err(damaged("it has no palette"));
        }
        let mut palette = vec![0; PALETTE_BYTES];
        read(input, &mut palette)?;
        skip(input, colours - 768)?;
        Some(palette)
    } else {
        skip(input, colours)?;
        None
    };
    let resources = number::<4, _>(input)?;
    let start = input.stream_position()?;
    // A profile that cannot be read is none.
    let icc = profile(input, resources).unwrap_or_default();
    input.seek(SeekFrom::Start(start.saturating_add(resources)))?;
    Ok(Header { large, size: (width, height), channels, depth, colour, palette, icc })
}

/// Channels in the file that are colours.
fn count_of(colour: Colour, indexed: bool) -> u64 {
    match colour {
        Colour::Cmyk { .. } | Colour::Ycck => 4,
        Colour::Rgb | Colour::Ycc if !indexed => 3,
        _ => 1,
    }
}

/// Looks for a profile in the resources, which take this many bytes.
fn profile<R: BufRead + Seek>(input: &mut R, mut bytes: u64) -> Result<Option<Vec<u8>>, PreviewError> {
    for _ in 0..RESOURCES_MAX {
        if bytes < 12 {
            break;
        }
        skip(input, 4)?;
        let kind = number::<2, _>(input)?;
        // Names and contents are filled up to an even number of bytes.
        let name = number::<1, _>(input)? | 1;
        skip(input, name)?;
        let len = number::<4, _>(input)?;
        if kind == u64::from(PROFILE) {
            let len = usize::try_from(len).ok().filter(|len| *len <= ICC_BYTES_MAX);
            let Some(len) = len else { break };
            let mut profile = vec![0; len];
            read(input, &mut profile)?;
            return Ok(Some(profile));
        }
        let padded = len + len % 2;
        skip(input, padded)?;
        bytes = bytes.saturating_sub(4 + 2 + 1 + name + 4 + padded);
    }
    Ok(None)
}

struct Planes {
    shrinkers: Vec<Shrinker>,
    incomplete: bool,
}

fn read_planes<R: BufRead + Seek>(input: &mut R, header: &Header, side: u32) -> Result<Planes, PreviewError> {
    let (width, height) = header.size;
    let packed = match number::<2, _>(input)? {
        0 => false,
        1 => true,
        _ => return Err(PreviewError::Unsupported("PSD with a compressed picture")),
    };
    let count = count_of(header.colour, header.palette.is_some());
    let lengths = if packed { Some(lengths(input, header, count)?) } else { None };
    let channels = if header.palette.is_some() { 3 } else { 1 };
    let mut samples = vec![0; to_usize(width) * header.depth];
    let mut row = Vec::with_capacity(to_usize(width) * channels);
    let (mut complete, mut incomplete) = (0u64, false);
    let mut shrinkers = Vec::new();
    for plane in 0..to_usize(small(count)) {
        let mut shrinker = Shrinker::new(header.size, channels, side);
        for y in 0..height {
            let len = lengths.as_ref().map(|lengths| lengths.get(plane, y));
            row.clear();
            if read_row(input, &mut samples, len)? {
                complete += 1;
                header.colours_of(&samples, &mut row);
            } else {
                incomplete = true;
                // White, in whatever the colours are.
                row.resize(to_usize(width) * channels, u8::MAX);
            }
            shrinker.add_row(y, &row);
        }
        shrinkers.push(shrinker);
    }
    if complete == 0 {
        return Err(damaged("none of its rows can be read"));
    }
    Ok(Planes { shrinkers, incomplete })
}

impl Header {
    fn colours_of(&self, samples: &[u8], row: &mut Vec<u8>) {
        match &self.palette {
            // Three runs: the reds, the greens, the blues.
            Some(palette) => row.extend(samples.iter().flat_map(|index| {
                [0, 256, 512].map(|run| palette.get(run + usize::from(*index)).copied().unwrap_or(0))
            })),
            // The highest byte comes first.
            None => row.extend(samples.iter().step_by(self.depth)),
        }
    }
}

/// The lengths of compressed rows.
struct Lengths {
    bytes: Vec<u8>,
    width: usize,
    rows: usize,
}

impl Lengths {
    fn get(&self, plane: usize, y: u32) -> u64 {
        let at = (plane * self.rows + to_usize(y)) * self.width;
        let bytes = self.bytes.get(at..at + self.width).unwrap_or_default();
        bytes.iter().fold(0, |number, byte| number << 8 | u64::from(*byte))
    }
}

/// Reads the lengths of the rows of `count` channels; those of further channels stand between them and the rows.
fn lengths<R: BufRead + Seek>(input: &mut R, header: &Header, count: u64) -> Result<Lengths, PreviewError> {
    let width = if header.large { 4 } else { 2 };
    let (rows, others) = (u64::from(header.size.1), header.channels - count);
    let len = rows * count * width;
    if len > LENGTHS_MAX {
        return Err(PreviewError::TooLarge {
            what: "number of rows",
            actual: rows * count,
            max: LENGTHS_MAX / width,
        });
    }
    let mut bytes = vec![0; usize::try_from(len).unwrap_or(usize::MAX)];
    read(input, &mut bytes)?;
    skip(input, rows * others * width)?;
    Ok(Lengths { bytes, width: if header.large { 4 } else { 2 }, rows: to_usize(header.size.1) })
}

/// Reads a row; of `len` bytes, if it is compressed. Answers whether it was there.
fn read_row<R: BufRead + Seek>(
    input: &mut R,
    samples: &mut [u8],
    len: Option<u64>,
) -> Result<bool, PreviewError> {
    let read = match len {
        None => input.read_exact(samples),
        Some(len) => {
            let mut packed = input.take(len);
            let read = PackBits::new(&mut packed).read_exact(samples);
            // What is left of it is nobody's.
            let rest = packed.limit();
            skip(input, rest)?;
            read
        }
    };
    match read {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == ErrorKind::UnexpectedEof => Ok(false),
        Err(error) => Err(error.into()),
    }
}

/// A number of `N` bytes, the highest first.
fn number<const N: usize, R: Read>(input: &mut R) -> Result<u64, PreviewError> {
    let mut bytes = [0; N];
    read(input, &mut bytes)?;
    Ok(bytes.iter().fold(0, |number, byte| number << 8 | u64::from(*byte)))
}

fn small(number: u64) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}

fn read(input: &mut impl Read, bytes: &mut [u8]) -> Result<(), PreviewError> {
    input.read_exact(bytes).map_err(|error| PreviewError::from_read(Format::Psd, error))
}

/// Goes on behind as many bytes; beyond the end of the file there is nothing to read.
fn skip<R: Seek>(input: &mut R, bytes: u64) -> Result<(), PreviewError> {
    if bytes == 0 {
        // A buffered reader throws its buffer away when it is moved.
        return Ok(());
    }
    let bytes = i64::try_from(bytes).map_err(|_| damaged("a length that no file has"))?;
    input.seek(SeekFrom::Current(bytes)).map_err(|_| damaged("a length that no file has"))?;
    Ok(())
}

fn damaged(reason: &str) -> PreviewError {
    PreviewError::damaged(Format::Psd, reason)
}
