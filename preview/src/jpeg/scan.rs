//! Decodes the data of one scan into the targets of its channels (T.81 annexes F and G).
//!
//! Data that ends too early, or is invalid, ends the scan: what came before is kept, and the caller learns how much that is.

use super::arithmetic::Arithmetic;
use super::bits::Bits;
use super::frame::{Coding, Frame, Scan, Tables, ZIGZAG};
use super::huffman::Table;
use super::input::{Input, damaged};
use super::target::{Samples, Target};
use crate::PreviewError;
use crate::shrink::to_usize;

/// A channel of a scan, ready to be decoded.
struct Channel<'a> {
    /// Where the blocks go; `None` if nobody wants them, but other channels lie between.
    target: Option<&'a mut Target>,
    /// Blocks in an MCU.
    sampling: (u32, u32),
    blocks: (u32, u32),
    quantisation: [u16; 64],
    /// As far as the scan needs it.
    dc: Option<Table>,
    ac: Option<Table>,
    /// The DC coefficient of the block before.
    previous: i32,
    /// The tables, or contexts, for DC and AC coefficients.
    tables: (usize, usize),
    /// Of the DC difference before, for its context.
    class: usize,
}

/// The state of a scan beside its channels.
struct Run<'s> {
    scan: &'s Scan,
    progressive: bool,
    /// Blocks that are still to be passed over, or only refined.
    end_of_blocks: u32,
    /// The decoder, if the file is not Huffman-coded.
    arithmetic: Option<Box<Arithmetic>>,
}

/// How a scan ended.
pub(super) struct End {
    /// The marker behind it.
    pub(super) marker: u8,
    /// Why it is not whole, if it is not.
    pub(super) broken: Option<PreviewError>,
    /// Whether it gave anything.
    pub(super) empty: bool,
}

/// Decodes the scan that begins at the position of `input`.
pub(super) fn decode(
    input: &mut Input<'_>,
    frame: &Frame,
    scan: &Scan,
    tables: &Tables,
    targets: &mut [Option<Target>],
) -> Result<End, PreviewError> {
    let mut channels = channels(frame, scan, tables, targets)?;
    let arithmetic = || Box::new(Arithmetic::new(tables.conditioning));
    let mut run = Run {
        scan,
        progressive: frame.progressive,
        end_of_blocks: 0,
        arithmetic: (frame.coding == Coding::Arithmetic).then(arithmetic),
    };
    let mut bits = Bits::new(input);
    let mut units = 0;
    let outcome = run.units(&mut bits, &mut channels, (frame, tables), &mut units);
    let outcome = outcome.and_then(|()| bits.finish_interval());
    let marker = bits.marker();
    match outcome {
        Ok(marker) => Ok(End { marker, broken: None, empty: false }),
        Err(broken @ PreviewError::Damaged(..)) => {
            // A restart marker goes on with the same scan.
            let marker = match marker {
                Some(marker) if !matches!(marker, super::input::RST0..=super::input::RST7) => marker,
                _ => input.next_marker()?,
            };
            Ok(End { marker, broken: Some(broken), empty: units == 0 })
        }
        Err(error) => Err(error),
    }
}

fn channels<'a>(
    frame: &Frame,
    scan: &Scan,
    tables: &Tables,
    targets: &'a mut [Option<Target>],
) -> Result<Vec<Channel<'a>>, PreviewError> {
    let missing = || damaged("a table is missing");
    let huffman = frame.coding == Coding::Huffman;
    let needs_dc = huffman && scan.band.0 == 0 && !scan.refines;
    let needs_ac = huffman && scan.band.1 > 0;
    let mut wanted: Vec<Option<&mut Target>> = targets.iter_mut().map(Option::as_mut).collect();
    let mut out = Vec::with_capacity(scan.components.len());
    for part in &scan.components {
        let component = &frame.components[part.index];
        let table = |tables: &[Option<Table>; 4], index: usize| tables[index].clone().ok_or_else(missing);
        let mut ac = if needs_ac { Some(table(&tables.ac, part.ac)?) } else { None };
        let target = wanted.get_mut(part.index).and_then(Option::take);
        let whole = matches!(&target, Some(Target::Samples(samples)) if samples.last_coefficient() == 63);
        if let (Some(ac), false) = (&mut ac, frame.progressive || whole) {
            ac.prepare_skips();
        }
        out.push(Channel {
            target,
            sampling: component.sampling,
            blocks: component.blocks,
            quantisation: tables.quantisation[component.quantisation].ok_or_else(missing)?,
            dc: if needs_dc { Some(table(&tables.dc, part.dc)?) } else { None },
            ac,
            previous: 0,
            tables: (part.dc, part.ac),
            class: 0,
        });
    }
    Ok(out)
}

impl Run<'_> {
    /// Decodes all units of the scan, and counts them.
    fn units(
        &mut self,
        bits: &mut Bits<'_, '_>,
        channels: &mut [Channel<'_>],
        (frame, tables): (&Frame, &Tables),
        count: &mut u64,
    ) -> Result<(), PreviewError> {
        let (columns, rows) = match channels {
            [single] => {
                single.sampling = (1, 1);
                single.blocks
            }
            _ => frame.mcus,
        };
        let (mut until_restart, mut restarts) = (tables.restart_interval, 0);
        for y in 0..rows {
            for x in 0..columns {
                if tables.restart_interval > 0 {
                    if until_restart == 0 {
                        bits.restart(restarts)?;
                        restarts += 1;
                        until_restart = tables.restart_interval;
                        self.restart(channels, tables);
                    }
                    until_restart -= 1;
                }
                for channel in &mut *channels {
                    let (h, v) = channel.sampling;
                    for dy in 0..v {
                        for dx in 0..h {
                            self.block(bits, channel, (x * h + dx, y * v + dy))?;
                        }
                    }
                }
            }
            *count += u64::from(columns);
        }
        Ok(())
    }

    fn restart(&mut self, channels: &mut [Channel<'_>], tables: &Tables) {
        self.end_of_blocks = 0;
        if let Some(arithmetic) = &mut self.arithmetic {
            **arithmetic = Arithmetic::new(tables.conditioning);
        }
        for channel in channels {
            (channel.previous, channel.class) = (0, 0);
        }
    }

    #[inline]
    fn block(
        &mut self,
        bits: &mut Bits<'_, '_>,
        channel: &mut Channel<'_>,
        place: (u32, u32),
    ) -> Result<(), PreviewError> {
        if !self.progressive {
            return match &mut self.arithmetic {
                None => sequential(bits, channel, place),
                Some(arithmetic) => sequential_arithmetic(bits, arithmetic, channel, place),
            };
        }
        if self.scan.band.0 == 0 {
            return self.progressive_dc(bits, channel, place);
        }
        let Some(Target::Coefficients(blocks, _)) = &mut channel.target else { return Ok(()) };
        // A scan of AC coefficients has one channel and no block outside of it.
        let index = to_usize(place.1) * to_usize(channel.blocks.0) + to_usize(place.0);
        let Some(block) = blocks.get_mut(index) else { return Ok(()) };
        if let Some(arithmetic) = &mut self.arithmetic {
            let part = (self.scan.band, self.scan.low_bit);
            let decode = if self.scan.refines { Arithmetic::refine } else { Arithmetic::first };
            return decode(arithmetic, bits, channel.tables.1, part, block);
        }
        let Some(ac) = &channel.ac else { return Ok(()) };
        if self.scan.refines { self.refine(bits, ac, block) } else { self.first(bits, ac, block) }
    }

    /// T.81 section G.1.2.1.
    fn progressive_dc(
        &mut self,
        bits: &mut Bits<'_, '_>,
        channel: &mut Channel<'_>,
        (x, y): (u32, u32),
    ) -> Result<(), PreviewError> {
        let low_bit = self.scan.low_bit;
        let value = if self.scan.refines {
            let bit = match &mut self.arithmetic {
                Some(arithmetic) => i32::from(arithmetic.dc_bit(bits)?),
                None => {
                    bits.refill()?;
                    bits.take(1)
                }
            };
            bit << low_bit
        } else {
            let difference = channel.dc_difference(bits, self.arithmetic.as_deref_mut())?;
            channel.previous = channel.previous.wrapping_add(difference);
            channel.previous.clamp(-0x8000, 0x7fff) << low_bit
        };
        match &mut channel.target {
            Some(Target::Averages(averages)) => {
                let value = value.clamp(-0x8000, 0x7fff) * i32::from(channel.quantisation[0]);
                averages.add((x, y), value);
            }
            Some(Target::Coefficients(blocks, _)) if x < channel.blocks.0 && y < channel.blocks.1 => {
                let index = to_usize(y) * to_usize(channel.blocks.0) + to_usize(x);
                if let Some(block) = blocks.get_mut(index) {
                    block[0] = block[0].saturating_add(to_i16(value));
                }
            }
            _ => {}
        }
        Ok(())
    }

    /// T.81 section G.1.2.2.
    fn first(
        &mut self,
        bits: &mut Bits<'_, '_>,
        ac: &Table,
        block: &mut [i16; 64],
    ) -> Result<(), PreviewError> {
        if self.end_of_blocks > 0 {
            self.end_of_blocks -= 1;
            return Ok(());
        }
        let (mut index, last) = self.scan.band;
        while index <= last {
            bits.refill()?;
            let (symbol, length) = ac.symbol(bits.window())?;
            bits.consume(length);
            let (run, size) = (symbol >> 4, u32::from(symbol & 15));
            if size == 0 {
                if run < 15 {
                    self.end_of_blocks = end_of_blocks(bits, run) - 1;
                    return Ok(());
                }
                index += 16;
                continue;
            }
            index += usize::from(run);
            let at = *ZIGZAG.get(index).ok_or_else(too_many)?;
            block[at] = to_i16(bits.take_signed(size) << self.scan.low_bit);
            index += 1;
        }
        Ok(())
    }

    /// T.81 section G.1.2.3.
    fn refine(
        &mut self,
        bits: &mut Bits<'_, '_>,
        ac: &Table,
        block: &mut [i16; 64],
    ) -> Result<(), PreviewError> {
        let bit = 1i16 << self.scan.low_bit;
        let (mut index, last) = self.scan.band;
        while self.end_of_blocks == 0 && index <= last {
            bits.refill()?;
            let (symbol, length) = ac.symbol(bits.window())?;
            bits.consume(length);
            let (mut run, size) = (symbol >> 4, symbol & 15);
            let value = match size {
                0 if run < 15 => {
                    self.end_of_blocks = end_of_blocks(bits, run);
                    break;
                }
                0 => 0,
                1 if bits.take(1) == 1 => bit,
                1 => -bit,
                _ => return Err(too_many()),
            };
            while index <= last {
                let coefficient = &mut block[ZIGZAG[index]];
                if *coefficient != 0 {
                    correct(bits, coefficient, bit)?;
                } else if run == 0 {
                    *coefficient = value;
                    index += 1;
                    break;
                } else {
                    run -= 1;
                }
                index += 1;
            }
        }
        if self.end_of_blocks > 0 {
            for &at in ZIGZAG.get(index..=last).unwrap_or_default() {
                if block[at] != 0 {
                    correct(bits, &mut block[at], bit)?;
                }
            }
            self.end_of_blocks -= 1;
        }
        Ok(())
    }
}

/// Reads one correction bit for a coefficient that is not zero.
#[inline]
fn correct(bits: &mut Bits<'_, '_>, coefficient: &mut i16, bit: i16) -> Result<(), PreviewError> {
    bits.refill()?;
    if bits.take(1) == 1 && coefficient.unsigned_abs() & bit.unsigned_abs() == 0 {
        *coefficient = coefficient.saturating_add(if *coefficient > 0 { bit } else { -bit });
    }
    Ok(())
}

/// How many blocks end here, this one included.
#[inline]
fn end_of_blocks(bits: &mut Bits<'_, '_>, run: u8) -> u32 {
    (1 << run) + u32::try_from(bits.take(run.into())).unwrap_or(0)
}

#[inline(always)]
fn dc_difference(bits: &mut Bits<'_, '_>, dc: &Table) -> Result<i32, PreviewError> {
    let (size, length) = dc.symbol(bits.window())?;
    if size > 15 {
        return Err(damaged("its compressed data is invalid"));
    }
    bits.consume(length);
    Ok(bits.take_signed(size.into()))
}

impl Channel<'_> {
    #[inline]
    fn dc_difference(
        &mut self,
        bits: &mut Bits<'_, '_>,
        arithmetic: Option<&mut Arithmetic>,
    ) -> Result<i32, PreviewError> {
        match (arithmetic, &self.dc) {
            (Some(arithmetic), _) => arithmetic.dc_difference(bits, self.tables.0, &mut self.class),
            (None, Some(dc)) => {
                bits.refill()?;
                dc_difference(bits, dc)
            }
            (None, None) => Err(damaged("a table is missing")),
        }
    }
}

/// T.81 section F.2.4.
fn sequential_arithmetic(
    bits: &mut Bits<'_, '_>,
    arithmetic: &mut Arithmetic,
    channel: &mut Channel<'_>,
    place: (u32, u32),
) -> Result<(), PreviewError> {
    let difference = channel.dc_difference(bits, Some(arithmetic))?;
    channel.previous = channel.previous.wrapping_add(difference);
    let mut coefficients = [0; 64];
    arithmetic.first(bits, channel.tables.1, ((1, 63), 0), &mut coefficients)?;
    let dc = channel.previous.clamp(-0x8000, 0x7fff) * i32::from(channel.quantisation[0]);
    match &mut channel.target {
        Some(Target::Averages(averages)) => averages.add(place, dc),
        Some(Target::Samples(samples)) => {
            let mut block = [0.0; 64];
            for (&at, &step) in ZIGZAG.iter().zip(&channel.quantisation) {
                block[at] = f32::from(coefficients[at]) * f32::from(step);
            }
            block[0] = f32::from(to_i16(dc));
            samples.put((to_usize(place.0), to_usize(place.1)), &block);
        }
        _ => {}
    }
    Ok(())
}

/// T.81 section F.2.2.
#[inline(always)]
fn sequential(
    bits: &mut Bits<'_, '_>,
    channel: &mut Channel<'_>,
    place: (u32, u32),
) -> Result<(), PreviewError> {
    let (Some(dc), Some(ac)) = (&channel.dc, &channel.ac) else { return Err(damaged("a table is missing")) };
    bits.refill()?;
    channel.previous = channel.previous.wrapping_add(dc_difference(bits, dc)?);
    let value = channel.previous.clamp(-0x8000, 0x7fff) * i32::from(channel.quantisation[0]);
    match &mut channel.target {
        Some(Target::Samples(samples)) => {
            sequential_samples(bits, ac, (value, &channel.quantisation), place, samples)
        }
        Some(Target::Averages(averages)) => {
            averages.add(place, value);
            ac.skip(bits, 1)
        }
        _ => ac.skip(bits, 1),
    }
}

fn sequential_samples(
    bits: &mut Bits<'_, '_>,
    ac: &Table,
    (dc, quantisation): (i32, &[u16; 64]),
    (x, y): (u32, u32),
    samples: &mut Samples,
) -> Result<(), PreviewError> {
    let mut block = [0.0; 64];
    block[0] = f32::from(to_i16(dc));
    let last = samples.last_coefficient();
    let mut index = 1;
    loop {
        if index > last {
            if index < 64 {
                ac.skip(bits, u32::try_from(index).unwrap_or(64))?;
            }
            break;
        }
        bits.refill()?;
        let (symbol, length) = ac.symbol(bits.window())?;
        bits.consume(length);
        let (run, size) = (usize::from(symbol >> 4), u32::from(symbol & 15));
        if size == 0 {
            if run < 15 {
                break;
            }
            index += 16;
            continue;
        }
        index += run;
        let at = *ZIGZAG.get(index).ok_or_else(too_many)?;
        block[at] = f32::from(to_i16(bits.take_signed(size))) * f32::from(quantisation[index]);
        index += 1;
    }
    samples.put((to_usize(x), to_usize(y)), &block);
    Ok(())
}

fn to_i16(value: i32) -> i16 {
    i16::try_from(value.clamp(-0x8000, 0x7fff)).unwrap_or(0)
}

fn too_many() -> PreviewError {
    damaged("a block has too many coefficients")
}
