//! The segments that describe a JPEG: frame, scans, tables, and the metadata that matters (T.81 annex B).
//!
//! Everything is checked here, so that the decoders may rely on it: tables that a scan names exist, dimensions are
//! within the limits, sampling factors are 1 to 4.

use super::huffman::Table;
use super::input::{Input, damaged};
use crate::error::check_dimensions;
use crate::exif::{self, Orientation};
use crate::raster::Colour;
use crate::{Format, ICC_BYTES_MAX, PreviewError, STREAMED_PIXELS_MAX, xmp};

/// From the order of the file to rows of eight (T.81 figure 5).
pub(super) const ZIGZAG: [usize; 64] = [
    0, 1, 8, 16, 9, 2, 3, 10, 17, 24, 32, 25, 18, 11, 4, 5, 12, 19, 26, 33, 40, 48, 41, 34, 27, 20, 13, 6, 7,
    14, 21, 28, 35, 42, 49, 56, 57, 50, 43, 36, 29, 22, 15, 23, 30, 37, 44, 51, 58, 59, 52, 45, 38, 31, 39,
    46, 53, 60, 61, 54, 47, 55, 62, 63,
];

/// The frame header.
#[derive(Debug, Clone)]
pub(super) struct Frame {
    pub(super) progressive: bool,
    pub(super) coding: Coding,
    pub(super) width: u32,
    pub(super) height: u32,
    pub(super) components: Vec<Component>,
    /// MCUs in a row and rows of them, of a scan with several components.
    pub(super) mcus: (u32, u32),
}

/// How the coefficients are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Coding {
    Huffman,
    Arithmetic,
}

/// One channel.
#[derive(Debug, Clone)]
pub(super) struct Component {
    id: u8,
    /// Blocks in an MCU, horizontally and vertically: 1 to 4.
    pub(super) sampling: (u32, u32),
    pub(super) quantisation: usize,
    /// Blocks in a row, and rows of blocks, that show something.
    pub(super) blocks: (u32, u32),
    /// The part of the blocks that the image covers, in samples.
    pub(super) covered: (f64, f64),
}

/// A scan header.
#[derive(Debug, Clone)]
pub(super) struct Scan {
    pub(super) components: Vec<ScanComponent>,
    /// The first and last coefficient, in the order of the file.
    pub(super) band: (usize, usize),
    /// Whether this scan adds one bit to what earlier ones gave.
    pub(super) refines: bool,
    /// The lowest bit that this scan gives.
    pub(super) low_bit: u32,
}

/// A channel in a scan.
#[derive(Debug, Clone, Copy)]
pub(super) struct ScanComponent {
    pub(super) index: usize,
    pub(super) dc: usize,
    pub(super) ac: usize,
}

/// What DQT, DHT and DRI set; a scan uses what was set last.
#[derive(Clone, Default)]
pub(super) struct Tables {
    pub(super) quantisation: [Option<[u16; 64]>; 4],
    pub(super) dc: [Option<Table>; 4],
    pub(super) ac: [Option<Table>; 4],
    pub(super) restart_interval: u32,
    /// What DAC sets, for arithmetic coding.
    pub(super) conditioning: Conditioning,
}

/// What tells the contexts of arithmetic decoding from each other (T.81 sections F.1.4.4.1.2 and F.1.4.4.2), by the table.
#[derive(Debug, Clone, Copy)]
pub(super) struct Conditioning {
    /// L and U.
    pub(super) dc: [(u8, u8); 4],
    /// Kx.
    pub(super) ac: [u8; 4],
}

impl Default for Conditioning {
    fn default() -> Self {
        Self { dc: [(0, 1); 4], ac: [5; 4] }
    }
}

impl Frame {
    /// Reads SOF0, SOF1 or SOF2, or their twins for arithmetic coding.
    pub(super) fn read(
        input: &mut Input<'_>,
        progressive: bool,
        coding: Coding,
    ) -> Result<Self, PreviewError> {
        let data = segment(input)?;
        let [precision, h0, h1, w0, w1, count, rest @ ..] = data.as_slice() else {
            return Err(damaged("its frame header is too short"));
        };
        if *precision != 8 {
            return Err(PreviewError::Unsupported("JPEG with other than 8 bits a sample"));
        }
        let height = u32::from(u16::from_be_bytes([*h0, *h1]));
        let width = u32::from(u16::from_be_bytes([*w0, *w1]));
        if height == 0 {
            return Err(PreviewError::Unsupported("JPEG whose height follows after the image"));
        }
        check_dimensions(Format::Jpeg, (width, height), STREAMED_PIXELS_MAX)?;
        if !matches!(count, 1 | 3 | 4) {
            return Err(PreviewError::Unsupported("JPEG with other than 1, 3 or 4 channels"));
        }
        if rest.len() != usize::from(*count) * 3 {
            return Err(damaged("its frame header has the wrong length"));
        }
        let factors = || rest.chunks_exact(3).map(|spec| (u32::from(spec[1] >> 4), u32::from(spec[1] & 15)));
        if factors().any(|(h, v)| !(1..=4).contains(&h) || !(1..=4).contains(&v)) {
            return Err(damaged("its sampling factors are invalid"));
        }
        let h_max = factors().map(|factor| factor.0).max().unwrap_or(1);
        let v_max = factors().map(|factor| factor.1).max().unwrap_or(1);
        let mut components: Vec<Component> = Vec::with_capacity(rest.len() / 3);
        for (spec, (h, v)) in rest.chunks_exact(3).zip(factors()) {
            if components.iter().any(|other| other.id == spec[0]) || spec[2] > 3 {
                return Err(damaged("its frame header is invalid"));
            }
            components.push(Component {
                id: spec[0],
                // The only channel is never interleaved, whatever its factors say.
                sampling: if *count == 1 { (1, 1) } else { (h, v) },
                quantisation: spec[2].into(),
                blocks: ((width * h).div_ceil(h_max * 8), (height * v).div_ceil(v_max * 8)),
                covered: (f64::from(width * h) / f64::from(h_max), f64::from(height * v) / f64::from(v_max)),
            });
        }
        let mcus = (width.div_ceil(h_max * 8), height.div_ceil(v_max * 8));
        Ok(Self { progressive, coding, width, height, components, mcus })
    }

    /// What the channels mean, by the rules of libjpeg: the Adobe segment, then JFIF, then the names.
    pub(super) fn colour(&self, metadata: &Metadata) -> Colour {
        let ids: Vec<u8> = self.components.iter().map(|component| component.id).collect();
        match (ids.as_slice(), metadata.adobe) {
            ([_], _) => Colour::Grey,
            ([_, _, _, _], Some(2)) => Colour::Ycck,
            ([_, _, _, _], adobe) => Colour::Cmyk { inverted: adobe.is_some() },
            (_, _) if metadata.jfif => Colour::Ycc,
            (_, Some(0)) => Colour::Rgb,
            (_, Some(_)) => Colour::Ycc,
            ([b'R', b'G', b'B'], None) => Colour::Rgb,
            _ => Colour::Ycc,
        }
    }
}

impl Scan {
    /// Reads SOS; `input` is then at the first byte of the data.
    pub(super) fn read(input: &mut Input<'_>, frame: &Frame) -> Result<Self, PreviewError> {
        let data = segment(input)?;
        let count = data.first().copied().map_or(0, usize::from);
        if !(1..=4).contains(&count) || data.len() != 4 + 2 * count {
            return Err(damaged("a scan header has the wrong length"));
        }
        let mut components: Vec<ScanComponent> = Vec::with_capacity(count);
        for spec in data[1..=2 * count].chunks_exact(2) {
            let index = frame.components.iter().position(|component| component.id == spec[0]);
            let index = index.ok_or_else(|| damaged("a scan names an unknown channel"))?;
            let (dc, ac) = (usize::from(spec[1] >> 4), usize::from(spec[1] & 15));
            if components.iter().any(|other| other.index == index) || dc > 3 || ac > 3 {
                return Err(damaged("a scan header is invalid"));
            }
            components.push(ScanComponent { index, dc, ac });
        }
        let blocks = |component: &ScanComponent| {
            let (h, v) = frame.components[component.index].sampling;
            h * v
        };
        if count > 1 && components.iter().map(blocks).sum::<u32>() > 10 {
            return Err(damaged("a scan has too many blocks in an MCU"));
        }
        let [first, last, bits] = [data[data.len() - 3], data[data.len() - 2], data[data.len() - 1]];
        let (high_bit, low_bit) = (u32::from(bits >> 4), u32::from(bits & 15));
        let scan = Self { components, band: (first.into(), last.into()), refines: high_bit > 0, low_bit };
        if !frame.progressive {
            // Some writers fill these fields with anything; they have one meaning only here.
            return Ok(Self { band: (0, 63), refines: false, low_bit: 0, ..scan });
        }
        let valid = match scan.band {
            (0, last) => last == 0,
            (first, last) => first <= last && last < 64 && count == 1,
        };
        if !valid || low_bit > 13 || (scan.refines && high_bit != low_bit + 1) {
            return Err(damaged("a scan header is invalid"));
        }
        Ok(scan)
    }
}

impl Tables {
    /// Reads DQT.
    pub(super) fn read_quantisation(&mut self, input: &mut Input<'_>) -> Result<(), PreviewError> {
        let data = segment(input)?;
        let mut rest = data.as_slice();
        while let [kind, values @ ..] = rest {
            let wide = kind >> 4 == 1;
            let len = if wide { 128 } else { 64 };
            if kind >> 4 > 1 || kind & 15 > 3 || values.len() < len {
                return Err(damaged("a quantisation table is invalid"));
            }
            let mut table = [0; 64];
            for (index, entry) in table.iter_mut().enumerate() {
                *entry = match wide {
                    true => u16::from_be_bytes([values[2 * index], values[2 * index + 1]]),
                    false => values[index].into(),
                };
            }
            self.quantisation[usize::from(kind & 15)] = Some(table);
            rest = &values[len..];
        }
        Ok(())
    }

    /// Reads DHT.
    pub(super) fn read_huffman(&mut self, input: &mut Input<'_>) -> Result<(), PreviewError> {
        let data = segment(input)?;
        let mut rest = data.as_slice();
        while let Some((kind, after)) = rest.split_first() {
            let invalid = || damaged("a Huffman table is invalid");
            let (counts, after) = after.split_first_chunk::<16>().ok_or_else(invalid)?;
            let len: usize = counts.iter().map(|&count| usize::from(count)).sum();
            if len > 256 || kind >> 4 > 1 || kind & 15 > 3 {
                return Err(invalid());
            }
            let (values, after) = after.split_at_checked(len).ok_or_else(invalid)?;
            let tables = if kind >> 4 == 0 { &mut self.dc } else { &mut self.ac };
            tables[usize::from(kind & 15)] = Some(Table::new(counts, values)?);
            rest = after;
        }
        Ok(())
    }

    /// Reads DAC.
    pub(super) fn read_conditioning(&mut self, input: &mut Input<'_>) -> Result<(), PreviewError> {
        for entry in segment(input)?.chunks(2) {
            let invalid = || damaged("its arithmetic conditioning is invalid");
            let &[table, value] = entry else { return Err(invalid()) };
            let (low, high) = (value & 15, value >> 4);
            match (table >> 4, self.conditioning.dc.get_mut(usize::from(table & 15))) {
                (0, Some(dc)) if low <= high => *dc = (low, high),
                (1, Some(_)) if (1..64).contains(&value) => {
                    self.conditioning.ac[usize::from(table & 15)] = value;
                }
                _ => return Err(invalid()),
            }
        }
        Ok(())
    }

    /// Reads DRI.
    pub(super) fn read_restart_interval(&mut self, input: &mut Input<'_>) -> Result<(), PreviewError> {
        match segment(input)?.as_slice() {
            [high, low] => self.restart_interval = u16::from_be_bytes([*high, *low]).into(),
            _ => return Err(damaged("its restart interval is invalid")),
        }
        Ok(())
    }
}

/// What an XMP packet begins with (XMP part 3 section 1.1.3).
const XMP: &[u8] = b"http://ns.adobe.com/xap/1.0/\0";

/// What is known of an image beside its pixels.
#[derive(Debug, Default)]
pub(super) struct Metadata {
    jfif: bool,
    /// The colour transform of an Adobe segment.
    adobe: Option<u8>,
    /// By the first EXIF that tells it, and by the first XMP.
    orientations: [Option<Orientation>; 2],
    /// Numbered parts of the profile (ICC.1 annex B.4).
    icc: Vec<(u8, Vec<u8>)>,
}

impl Metadata {
    /// Reads an application segment if it matters, else skips it.
    pub(super) fn read(&mut self, input: &mut Input<'_>, marker: u8) -> Result<(), PreviewError> {
        if !matches!(marker, 0xe0 | 0xe1 | 0xe2 | 0xee) {
            let len = input.segment_len()?;
            return input.skip(len);
        }
        let mut data = segment(input)?;
        match marker {
            0xe0 if data.starts_with(b"JFIF\0") => self.jfif = true,
            0xe1 if data.starts_with(b"Exif\0") && self.orientations[0].is_none() => {
                self.orientations[0] = exif::orientation(data.get(6..).unwrap_or_default());
            }
            0xe1 if data.starts_with(XMP) && self.orientations[1].is_none() => {
                self.orientations[1] = xmp::orientation(&data[XMP.len()..]);
            }
            0xe2 if data.starts_with(b"ICC_PROFILE\0") && data.len() > 14 => {
                let total: usize = self.icc.iter().map(|part| part.1.len()).sum();
                if total + data.len() <= ICC_BYTES_MAX {
                    self.icc.push((data[12], data.split_off(14)));
                }
            }
            0xee if data.starts_with(b"Adobe") && data.len() >= 12 => self.adobe = Some(data[11]),
            _ => {}
        }
        Ok(())
    }

    pub(super) fn orientation(&self) -> Orientation {
        self.orientations.into_iter().flatten().next().unwrap_or_default()
    }

    /// The whole profile, if there is one.
    pub(super) fn into_icc(mut self) -> Option<Vec<u8>> {
        self.icc.sort_by_key(|part| part.0);
        (!self.icc.is_empty()).then(|| self.icc.into_iter().flat_map(|part| part.1).collect())
    }
}

/// The content of the segment that begins here: at most 65,533 bytes.
fn segment(input: &mut Input<'_>) -> Result<Vec<u8>, PreviewError> {
    let mut data = vec![0; input.segment_len()?];
    input.read(&mut data)?;
    Ok(data)
}
