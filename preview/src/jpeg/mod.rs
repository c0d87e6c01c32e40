//! JPEG (ITU-T T.81), decoded only as far as a preview needs it.
//!
//! A large image is decoded at 1/8: of every block just its average, the DC coefficient, is kept. Of a progressive
//! file that means its first scan alone. Smaller images are decoded at 1/4, 1/2 or fully, whatever leaves 1.45 times
//! what is wanted; each channel has its own scale, and goes through the final resize by itself.
//!
//! A file may end before its EOI marker: it is whole if its scans are. Where data is missing or invalid, the picture is
//! kept as far as it came, with a warning, as long as there is anything of its first channel. What follows after the EOI
//! marker is ignored. A progressive image of which a
//! channel's coefficients are needed is read once for every channel, so that only one has them in memory.
//!
//! Not decoded: lossless and hierarchical modes, other than 8 bits a sample, and an image whose
//! height is told at its end (DNL).

mod arithmetic;
mod bits;
mod frame;
mod huffman;
mod input;
mod scan;
mod target;

use std::io::{BufRead, Seek};

use frame::{Coding, Frame, Metadata, Scan, Tables};
use input::{END, Input, damaged, ends};
use target::Target;

use crate::profile::Space;
use crate::raster::{Colour, Decoded, Plane};
use crate::{JPEG_SCANS_MAX, PreviewError, SEGMENTS_MAX, Warning};

/// Decodes the image in `source`, which stands at its beginning, on the way to `side` pixels.
pub(crate) fn decode<R: BufRead + Seek>(source: &mut R, side: u32) -> Result<Decoded, PreviewError> {
    let mut input = Input::new(source);
    input.skip(2)?;
    let mut metadata = Metadata::default();
    let mut tables = Tables::default();
    let frame = read_header(&mut input, &mut metadata, &mut tables)?;
    let start = (input.position(), tables.clone());
    // Colour may depend on a segment behind the frame header, which is rare: chroma is told by the count here.
    let likely_chroma = frame.colour(&metadata) == Colour::Ycc;
    let wanted = frame.width.max(frame.height).min(side);
    let scales: Vec<u32> = frame
        .components
        .iter()
        .enumerate()
        .map(|(index, component)| {
            let needed = target::needed(wanted, likely_chroma && index > 0);
            let coefficients = frame.progressive.then(|| target::coefficient_bytes_max(side));
            target::scale(component, needed, coefficients)
        })
        .collect();
    // First all channels that take little memory, and the rest of the file.
    let streamed = |index: usize| !frame.progressive || scales[index] == 1;
    let mut planes: Vec<Option<Plane>> = frame.components.iter().map(|_| None).collect();
    let mut ends = Vec::new();
    let mut pass = Pass::new(&frame, (&scales, side), streamed, tables);
    pass.run(&mut input, &mut metadata, &mut ends)?;
    let mut warning = pass.finish(&mut planes)?;
    // Then every other channel by itself.
    for wanted in 0..frame.components.len() {
        if planes[wanted].is_none() {
            input.seek(start.0)?;
            let mut pass = Pass::new(&frame, (&scales, side), |index| index == wanted, start.1.clone());
            pass.run(&mut input, &mut Metadata::default(), &mut ends)?;
            warning = warning.max(pass.finish(&mut planes)?);
        }
    }
    Ok(Decoded {
        width: frame.width,
        height: frame.height,
        told: None,
        orientation: metadata.orientation(),
        planes: planes.into_iter().flatten().collect(),
        colour: frame.colour(&metadata),
        space: metadata.into_icc().map(Space::Icc),
        warning,
    })
}

/// Reads up to the frame header, this included.
fn read_header(
    input: &mut Input<'_>,
    metadata: &mut Metadata,
    tables: &mut Tables,
) -> Result<Frame, PreviewError> {
    for _ in 0..SEGMENTS_MAX {
        match input.next_marker()? {
            0xc0 | 0xc1 => return Frame::read(input, false, Coding::Huffman),
            0xc2 => return Frame::read(input, true, Coding::Huffman),
            0xc9 => return Frame::read(input, false, Coding::Arithmetic),
            0xca => return Frame::read(input, true, Coding::Arithmetic),
            END => return Err(ends()),
            0xd9 | 0xda => return Err(damaged("it has no frame header")),
            marker => read_segment(input, marker, metadata, tables)?,
        }
    }
    Err(too_many("number of segments", SEGMENTS_MAX))
}

/// Reads a segment that may stand before the frame header or between scans.
fn read_segment(
    input: &mut Input<'_>,
    marker: u8,
    metadata: &mut Metadata,
    tables: &mut Tables,
) -> Result<(), PreviewError> {
    match marker {
        0xc3 | 0xcb => Err(PreviewError::Unsupported("lossless JPEG")),
        0xcc => tables.read_conditioning(input),
        0xc5..=0xc8 | 0xcd..=0xcf | 0xde | 0xdf => Err(PreviewError::Unsupported("hierarchical JPEG")),
        0xdc => Err(PreviewError::Unsupported("JPEG whose height follows after the image")),
        0xd8 => Err(damaged("it begins anew in its middle")),
        0xc4 => tables.read_huffman(input),
        0xdb => tables.read_quantisation(input),
        0xdd => tables.read_restart_interval(input),
        _ => metadata.read(input, marker),
    }
}

/// One reading of the scans, for some of the channels.
struct Pass<'f> {
    frame: &'f Frame,
    tables: Tables,
    targets: Vec<Option<Target>>,
    /// By channel: whether it got DC coefficients, and the lowest bit of them that is still to come.
    dc: Vec<Option<u32>>,
    quantisation: Vec<Option<[u16; 64]>>,
    /// By channel and coefficient, the lowest bit that scans have given.
    known: Vec<[Option<u32>; 64]>,
    warning: Option<Warning>,
}

impl<'f> Pass<'f> {
    /// `scales` by the channel, and the side that they lead to.
    fn new(
        frame: &'f Frame,
        (scales, side): (&[u32], u32),
        wanted: impl Fn(usize) -> bool,
        tables: Tables,
    ) -> Self {
        let targets = frame
            .components
            .iter()
            .zip(scales)
            .enumerate()
            .map(|(index, (component, &scale))| {
                wanted(index).then(|| Target::new(component, scale, frame.progressive, side))
            })
            .collect();
        let count = frame.components.len();
        Self {
            frame,
            tables,
            targets,
            dc: vec![None; count],
            quantisation: vec![None; count],
            known: vec![[None; 64]; count],
            warning: None,
        }
    }

    /// Reads all scans up to the EOI marker. `ends` collects where scans end, and the marker there, or tells it if
    /// this is not the first pass. What is damaged behind the first scan ends the picture.
    fn run(
        &mut self,
        input: &mut Input<'_>,
        metadata: &mut Metadata,
        ends: &mut Vec<(u64, u8)>,
    ) -> Result<(), PreviewError> {
        match self.read(input, metadata, ends) {
            Err(PreviewError::Damaged(..)) if self.known[0][0].is_some() => {
                self.warning = self.warning.max(Some(Warning::Incomplete));
                Ok(())
            }
            outcome => outcome,
        }
    }

    fn read(
        &mut self,
        input: &mut Input<'_>,
        metadata: &mut Metadata,
        ends: &mut Vec<(u64, u8)>,
    ) -> Result<(), PreviewError> {
        let mut scans = 0;
        let mut marker = input.next_marker()?;
        for _ in 0..SEGMENTS_MAX {
            match marker {
                0xd9 => return Ok(()),
                END => return self.without_end(),
                0xda => {
                    let scan = Scan::read(input, self.frame)?;
                    if scans == JPEG_SCANS_MAX {
                        return Err(too_many("number of scans", JPEG_SCANS_MAX));
                    }
                    marker = self.scan(input, &scan, ends.get(scans).copied())?;
                    if scans == ends.len() {
                        ends.push((input.position(), marker));
                    }
                    scans += 1;
                    // The decoder stops at any marker, also a restart marker that should not be there.
                    if !matches!(marker, 0x00 | 0x01 | input::RST0..=input::RST7) {
                        continue;
                    }
                }
                0xc0..=0xc2 | 0xc9 | 0xca => return Err(damaged("it has two frame headers")),
                _ => read_segment(input, marker, metadata, &mut self.tables)?,
            }
            marker = input.next_marker()?;
        }
        Err(too_many("number of segments", SEGMENTS_MAX))
    }

    /// The file ends without its marker. That is no loss if every bit of every coefficient is there.
    fn without_end(&mut self) -> Result<(), PreviewError> {
        let whole = |known: &[Option<u32>; 64]| known.iter().all(|bit| *bit == Some(0));
        if self.known.iter().flatten().all(Option::is_none) {
            return Err(ends());
        }
        if self.frame.progressive && !self.known.iter().all(whole) {
            self.warning = self.warning.max(Some(Warning::Detail));
        }
        Ok(())
    }

    /// Decodes a scan if a wanted channel needs it, else passes over it. Returns the marker behind it.
    fn scan(
        &mut self,
        input: &mut Input<'_>,
        scan: &Scan,
        end: Option<(u64, u8)>,
    ) -> Result<u8, PreviewError> {
        let needed = self.needs(scan)?;
        for part in &scan.components {
            self.known[part.index][scan.band.0..=scan.band.1].fill(Some(scan.low_bit));
        }
        if !needed {
            let marker = match end {
                Some((position, marker)) => input.seek(position).map(|()| marker)?,
                None => input.next_marker()?,
            };
            if marker == END && scan.components.iter().any(|part| self.targets[part.index].is_some()) {
                // Whether all of its data is there is not known. Other channels have a pass of their own.
                self.warning = self.warning.max(Some(Warning::Detail));
            }
            return Ok(marker);
        }
        let end = scan::decode(input, self.frame, scan, &self.tables, &mut self.targets)?;
        if let Some(broken) = end.broken {
            let first = scan.components.iter().any(|part| part.index == 0 && self.dc[0].is_none());
            if end.empty && first {
                return Err(broken);
            }
            let detail = scan.band.0 > 0 || scan.refines;
            self.warning = self.warning.max(Some(if detail { Warning::Detail } else { Warning::Incomplete }));
        }
        for part in &scan.components {
            let table = self.frame.components[part.index].quantisation;
            self.quantisation[part.index] = self.tables.quantisation[table];
            if scan.band.0 == 0 {
                self.dc[part.index] = Some(scan.low_bit);
            }
        }
        Ok(end.marker)
    }

    /// Whether a wanted channel needs the scan. Fails if bits come twice, or before those above them.
    fn needs(&self, scan: &Scan) -> Result<bool, PreviewError> {
        let mut needed = false;
        for part in &scan.components {
            let Some(target) = &self.targets[part.index] else { continue };
            let dc = self.dc[part.index];
            let out_of_order = match (scan.band.0, scan.refines) {
                (0, false) => dc.is_some(),
                (0, true) => !self.skipped_refinement(part.index) && dc != Some(scan.low_bit + 1),
                _ => dc.is_none(),
            };
            if out_of_order {
                return Err(damaged("its scans are out of order"));
            }
            needed |= match target {
                // Half a quantisation step is as good as none once it is averaged out.
                Target::Averages(_) => scan.band.0 == 0 && dc.is_none_or(|bit| bit > 1),
                // Refinements need to know all that came before.
                Target::Samples(_) | Target::Coefficients(..) => true,
            };
        }
        Ok(needed)
    }

    /// Whether refinements of a channel may have been passed over because it is good enough.
    fn skipped_refinement(&self, index: usize) -> bool {
        matches!(self.targets[index], Some(Target::Averages(_))) && self.dc[index].is_some_and(|bit| bit <= 1)
    }

    /// Puts the planes in their places. A channel that is missing is shown as if it were nothing, but for the first.
    fn finish(self, planes: &mut [Option<Plane>]) -> Result<Option<Warning>, PreviewError> {
        let mut warning = self.warning;
        for (index, target) in self.targets.into_iter().enumerate() {
            let Some(target) = target else { continue };
            let (low_bit, quantisation) = match (self.dc[index], &self.quantisation[index]) {
                (Some(low_bit), Some(quantisation)) => (low_bit, quantisation),
                _ if index == 0 => return Err(damaged("a channel is missing")),
                _ => {
                    warning = warning.max(Some(Warning::Incomplete));
                    (0, &[1; 64])
                }
            };
            planes[index] = Some(target.finish(&self.frame.components[index], quantisation, low_bit));
        }
        Ok(warning)
    }
}

fn too_many(what: &'static str, max: usize) -> PreviewError {
    let max = u64::try_from(max).unwrap_or(u64::MAX);
    PreviewError::TooLarge { what, actual: max.saturating_add(1), max }
}
