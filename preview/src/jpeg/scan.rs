//! Decodes the data of one scan into the targets of its channels (T.81 annexes F and G, Huffman-coded).

use super::bits::Bits;
use super::frame::{Frame, Scan, Tables, ZIGZAG};
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
}

/// The state of a scan beside its channels.
struct Run<'s> {
    scan: &'s Scan,
    progressive: bool,
    /// Blocks that are still to be passed over, or only refined.
    end_of_blocks: u32,
}

/// Decodes the scan that begins at the position of `input`; returns the marker behind it.
pub(super) fn decode(
    input: &mut Input<'_>,
    frame: &Frame,
    scan: &Scan,
    tables: &Tables,
    targets: &mut [Option<Target>],
) -> Result<u8, PreviewError> {
    let mut channels = channels(frame, scan, tables, targets)?;
    let single = channels.len() == 1;
    let (columns, rows) = if single { channels[0].blocks } else { frame.mcus };
    if single {
        channels[0].sampling = (1, 1);
    }
    let mut bits = Bits::new(input);
    let mut run = Run { scan, progressive: frame.progressive, end_of_blocks: 0 };
    let (mut until_restart, mut restarts) = (tables.restart_interval, 0);
    for y in 0..rows {
        for x in 0..columns {
            if tables.restart_interval > 0 {
                if until_restart == 0 {
                    bits.restart(restarts)?;
                    restarts += 1;
                    until_restart = tables.restart_interval;
                    run.end_of_blocks = 0;
                    channels.iter_mut().for_each(|channel| channel.previous = 0);
                }
                until_restart -= 1;
            }
            for channel in &mut channels {
                let (h, v) = channel.sampling;
                for dy in 0..v {
                    for dx in 0..h {
                        run.block(&mut bits, channel, (x * h + dx, y * v + dy))?;
                    }
                }
            }
        }
    }
    bits.finish_interval()
}

fn channels<'a>(
    frame: &Frame,
    scan: &Scan,
    tables: &Tables,
    targets: &'a mut [Option<Target>],
) -> Result<Vec<Channel<'a>>, PreviewError> {
    let missing = || damaged("a table is missing");
    let needs_dc = scan.band.0 == 0 && !scan.refines;
    let needs_ac = scan.band.1 > 0;
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
        });
    }
    Ok(out)
}

impl Run<'_> {
    #[inline]
    fn block(
        &mut self,
        bits: &mut Bits<'_, '_>,
        channel: &mut Channel<'_>,
        place: (u32, u32),
    ) -> Result<(), PreviewError> {
        if !self.progressive {
            return sequential(bits, channel, place);
        }
        if self.scan.band.0 == 0 {
            return self.progressive_dc(bits, channel, place);
        }
        let Some(Target::Coefficients(blocks, _)) = &mut channel.target else { return Ok(()) };
        let Some(ac) = &channel.ac else { return Ok(()) };
        // A scan of AC coefficients has one channel and no block outside of it.
        let index = to_usize(place.1) * to_usize(channel.blocks.0) + to_usize(place.0);
        let Some(block) = blocks.get_mut(index) else { return Ok(()) };
        if self.scan.refines { self.refine(bits, ac, block) } else { self.first(bits, ac, block) }
    }

    /// T.81 section G.1.2.1.
    fn progressive_dc(
        &mut self,
        bits: &mut Bits<'_, '_>,
        channel: &mut Channel<'_>,
        (x, y): (u32, u32),
    ) -> Result<(), PreviewError> {
        bits.refill()?;
        let value = match &channel.dc {
            Some(dc) => {
                channel.previous = channel.previous.wrapping_add(dc_difference(bits, dc)?);
                channel.previous.clamp(-0x8000, 0x7fff) << self.scan.low_bit
            }
            None => bits.take(1) << self.scan.low_bit,
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
