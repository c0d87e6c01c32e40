//! JPEG (ITU-T T.81), decoded only as far as a preview needs it.
//!
//! A large image is decoded at 1/8: of every block just its average, the DC coefficient, is kept. Of a progressive
//! file that means its first scan alone. Smaller images are decoded at 1/4, 1/2 or fully, whatever leaves 1.45 times
//! what is wanted; each channel has its own scale, and goes through the final resize by itself.
//!
//! Every channel must be there, every scan that is read must have all of its data, and the file must go on to an EOI
//! marker, else it counts as damaged. What follows after that marker is ignored. A progressive image of which a
//! channel's coefficients are needed is read once for every channel, so that only one has them in memory.
//!
//! Not decoded: arithmetic coding, lossless and hierarchical modes, other than 8 bits a sample, and an image whose
//! height is told at its end (DNL).

mod bits;
mod frame;
mod huffman;
mod input;
mod scan;
mod target;

use std::io::{BufRead, Seek};

use frame::{Frame, Metadata, Scan, Tables};
use input::{Input, damaged};
use target::Target;

use crate::profile::Space;
use crate::raster::{Colour, Decoded, Plane};
use crate::{JPEG_SCANS_MAX, PreviewError, SEGMENTS_MAX};

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
            target::scale(component, needed, frame.progressive)
        })
        .collect();
    // First all channels that take little memory, and the rest of the file.
    let streamed = |index: usize| !frame.progressive || scales[index] == 1;
    let mut planes: Vec<Option<Plane>> = frame.components.iter().map(|_| None).collect();
    let mut ends = Vec::new();
    let mut pass = Pass::new(&frame, (&scales, side), streamed, tables);
    pass.run(&mut input, &mut metadata, &mut ends)?;
    pass.finish(&mut planes)?;
    // Then every other channel by itself.
    for wanted in 0..frame.components.len() {
        if planes[wanted].is_none() {
            input.seek(start.0)?;
            let mut pass = Pass::new(&frame, (&scales, side), |index| index == wanted, start.1.clone());
            pass.run(&mut input, &mut Metadata::default(), &mut ends)?;
            pass.finish(&mut planes)?;
        }
    }
    Ok(Decoded {
        width: frame.width,
        height: frame.height,
        orientation: metadata.orientation(),
        planes: planes.into_iter().flatten().collect(),
        colour: frame.colour(&metadata),
        space: metadata.into_icc().map(Space::Icc),
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
            0xc0 | 0xc1 => return Frame::read(input, false),
            0xc2 => return Frame::read(input, true),
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
        0xc3 => Err(PreviewError::Unsupported("lossless JPEG")),
        0xc5..=0xc7 | 0xde | 0xdf => Err(PreviewError::Unsupported("hierarchical JPEG")),
        0xc8..=0xcf => Err(PreviewError::Unsupported("JPEG with arithmetic coding")),
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
        Self { frame, tables, targets, dc: vec![None; count], quantisation: vec![None; count] }
    }

    /// Reads all scans up to the EOI marker. `ends` collects where scans end, and the marker there, or tells it if
    /// this is not the first pass.
    fn run(
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
                0xc0..=0xc2 => return Err(damaged("it has two frame headers")),
                _ => read_segment(input, marker, metadata, &mut self.tables)?,
            }
            marker = input.next_marker()?;
        }
        Err(too_many("number of segments", SEGMENTS_MAX))
    }

    /// Decodes a scan if a wanted channel needs it, else passes over it. Returns the marker behind it.
    fn scan(
        &mut self,
        input: &mut Input<'_>,
        scan: &Scan,
        end: Option<(u64, u8)>,
    ) -> Result<u8, PreviewError> {
        if !self.needs(scan)? {
            return match end {
                Some((position, marker)) => input.seek(position).map(|()| marker),
                None => input.next_marker(),
            };
        }
        for part in &scan.components {
            let table = self.frame.components[part.index].quantisation;
            self.quantisation[part.index] = self.tables.quantisation[table];
            if scan.band.0 == 0 {
                self.dc[part.index] = Some(scan.low_bit);
            }
        }
        scan::decode(input, self.frame, scan, &self.tables, &mut self.targets)
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

    fn finish(self, planes: &mut [Option<Plane>]) -> Result<(), PreviewError> {
        for (index, target) in self.targets.into_iter().enumerate() {
            let Some(target) = target else { continue };
            let (Some(low_bit), Some(quantisation)) = (self.dc[index], &self.quantisation[index]) else {
                return Err(damaged("a channel is missing"));
            };
            planes[index] = Some(target.finish(&self.frame.components[index], quantisation, low_bit));
        }
        Ok(())
    }
}

fn too_many(what: &'static str, max: usize) -> PreviewError {
    let max = u64::try_from(max).unwrap_or(u64::MAX);
    PreviewError::TooLarge { what, actual: max.saturating_add(1), max }
}
