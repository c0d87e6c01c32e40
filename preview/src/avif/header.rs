//! Reads what an AV1 stream (AV1 bitstream specification, sections 5.3 to 5.5) says about itself before it is decoded: how large and of what kind
//! its pixels are, and how many frames it has. So what is too large costs nothing.

/// The most frames that make a picture: layers, each of which refines those before it.
pub(super) const FRAMES_MAX: usize = 8;

const SEQUENCE: u8 = 1;
const FRAME_HEADER: u8 = 3;
const FRAME: u8 = 6;

/// What the first sequence header tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Header {
    /// The most that a frame can have.
    pub(super) size: (u32, u32),
    /// Bits of a sample: 8, 10 or 12.
    pub(super) bits: u8,
    /// Nothing if it is grey, else by how many bits chroma is coarser, across and down.
    pub(super) chroma: Option<(u8, u8)>,
    pub(super) primaries: u8,
    pub(super) transfer: u8,
    pub(super) matrix: u8,
    /// Whether samples use their full range.
    pub(super) full: bool,
    /// Whether it is one frame, to which no other refers.
    pub(super) is_alone: bool,
}

impl Header {
    /// Reads the header of a stream; nothing if it is broken, changes on the way, or has too many frames.
    pub(super) fn read(stream: &[u8]) -> Option<Self> {
        let (mut header, mut frames) = (None, 0);
        let mut rest = stream;
        while !rest.is_empty() {
            let (kind, body, next) = unit(rest)?;
            match kind {
                SEQUENCE => {
                    let found = sequence(&mut Bits { bytes: body, at: 0 })?;
                    if header.is_some_and(|header| header != found) {
                        return None;
                    }
                    header = Some(found);
                }
                FRAME | FRAME_HEADER => frames += 1,
                _ => {}
            }
            if frames > FRAMES_MAX {
                return None;
            }
            rest = next;
        }
        header.map(|header| Self { is_alone: frames == 1, ..header })
    }

    /// How many bytes its samples take in memory, for each pixel, rounded up.
    pub(super) fn bytes_a_pixel(&self) -> u64 {
        let samples = match self.chroma {
            None => 1,
            Some((0, 0)) => 3,
            Some(_) => 2,
        };
        if self.bits > 8 { samples * 2 } else { samples }
    }
}

/// One unit of a stream: its kind, its content, and what follows.
fn unit(stream: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let (&head, mut rest) = stream.split_first()?;
    if head & 4 != 0 {
        rest = rest.get(1..)?;
    }
    let kind = head >> 3 & 15;
    if head & 2 == 0 {
        return Some((kind, rest, &[]));
    }
    let mut size = 0u64;
    for index in 0..8 {
        let (&byte, next) = rest.split_first()?;
        size |= u64::from(byte & 0x7f) << (index * 7);
        rest = next;
        if byte & 0x80 == 0 {
            let (body, next) = rest.split_at_checked(usize::try_from(size).ok()?)?;
            return Some((kind, body, next));
        }
    }
    None
}

/// Bits from the highest of the first byte on.
struct Bits<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl Bits<'_> {
    /// At most 32.
    fn take(&mut self, count: u32) -> Option<u32> {
        let mut value = 0;
        for _ in 0..count {
            let byte = *self.bytes.get(self.at / 8)?;
            value = value << 1 | u32::from(byte >> (7 - self.at % 8) & 1);
            self.at += 1;
        }
        Some(value)
    }

    fn flag(&mut self) -> Option<bool> {
        Some(self.take(1)? == 1)
    }

    fn byte(&mut self) -> Option<u8> {
        u8::try_from(self.take(8)?).ok()
    }
}

/// Section 5.5.1.
fn sequence(bits: &mut Bits<'_>) -> Option<Header> {
    let profile = bits.take(3)?;
    bits.flag()?;
    let reduced = bits.flag()?;
    if reduced {
        bits.take(5)?;
    } else {
        operating_points(bits)?;
    }
    let (width_bits, height_bits) = (bits.take(4)? + 1, bits.take(4)? + 1);
    let size = (bits.take(width_bits)? + 1, bits.take(height_bits)? + 1);
    if !reduced && bits.flag()? {
        bits.take(7)?;
    }
    bits.take(3)?;
    if !reduced {
        tools(bits)?;
    }
    bits.take(3)?;
    colours(bits, profile, size)
}

fn operating_points(bits: &mut Bits<'_>) -> Option<()> {
    let mut delay_bits = None;
    if bits.flag()? {
        bits.take(32)?;
        bits.take(32)?;
        if bits.flag()? {
            // A number as long as there are zeros before it.
            let mut zeros = 0;
            while !bits.flag()? {
                zeros += 1;
                if zeros > 32 {
                    return None;
                }
            }
            bits.take(zeros)?;
        }
        if bits.flag()? {
            delay_bits = Some(bits.take(5)? + 1);
            bits.take(32)?;
            bits.take(10)?;
        }
    }
    let initial_delay = bits.flag()?;
    for _ in 0..=bits.take(5)? {
        bits.take(12)?;
        if bits.take(5)? > 7 {
            bits.flag()?;
        }
        if let Some(count) = delay_bits
            && bits.flag()?
        {
            bits.take(count)?;
            bits.take(count)?;
            bits.flag()?;
        }
        if initial_delay && bits.flag()? {
            bits.take(4)?;
        }
    }
    Some(())
}

/// What only later frames use.
fn tools(bits: &mut Bits<'_>) -> Option<()> {
    bits.take(4)?;
    let order = bits.flag()?;
    if order {
        bits.take(2)?;
    }
    let screen = if bits.flag()? { 2 } else { bits.take(1)? };
    if screen > 0 && !bits.flag()? {
        bits.flag()?;
    }
    if order {
        bits.take(3)?;
    }
    Some(())
}

/// Section 5.5.2.
fn colours(bits: &mut Bits<'_>, profile: u32, size: (u32, u32)) -> Option<Header> {
    let deep = bits.flag()?;
    let deepest = profile == 2 && deep && bits.flag()?;
    let depth = if deepest {
        12
    } else if deep {
        10
    } else {
        8
    };
    let grey = profile != 1 && bits.flag()?;
    let (primaries, transfer, matrix) =
        if bits.flag()? { (bits.byte()?, bits.byte()?, bits.byte()?) } else { (2, 2, 2) };
    // sRGB has nothing else to tell.
    let plain = !grey && (primaries, transfer, matrix) == (1, 13, 0);
    let full = plain || bits.flag()?;
    let chroma = match profile {
        _ if grey => None,
        _ if plain => Some((0, 0)),
        0 => Some((1, 1)),
        1 => Some((0, 0)),
        _ if deepest => {
            let across = bits.flag()?;
            Some((across.into(), (across && bits.flag()?).into()))
        }
        _ => Some((1, 0)),
    };
    Some(Header { size, bits: depth, chroma, primaries, transfer, matrix, full, is_alone: false })
}
