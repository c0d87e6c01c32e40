//! GIF: what is seen before an animation starts, on the canvas.
//!
//! That is the first frame. Some files are made of several pieces without a delay, for more colours than a palette has:
//! then it is all of them, unless the file loops, or one hides the first again, as in animations. What no frame covers, or leaves transparent, is white.
//! The colour of the background that the file names is ignored, as everywhere today.
//!
//! What follows behind the pixels that are shown does not matter: a missing trailer, stray bytes, unknown extensions. Where
//! pixels are missing, the rest is shown with a warning.

use std::io::{BufRead, ErrorKind, Seek, SeekFrom};

use weezl::{BitOrder, LzwStatus, decode::Decoder};

use crate::error::{check_density, check_dimensions};
use crate::exif::Orientation;
use crate::raster::{Colour, Decoded};
use crate::shrink::{Shrinker, to_usize};
use crate::{Format, GIF_PIXELS_MAX, PreviewError, SEGMENTS_MAX, Warning};

/// The most pixels of a canvas, however small the file is: its LZW takes a second for them.
const DENSE_PIXELS_MAX: u64 = 40_000_000;
/// The most pixels of a canvas on which pieces are put together in memory.
const COMPOSED_PIXELS_MAX: u64 = 12_000_000;
/// The most pieces of a picture: a true-colour picture has one for each 255 colours of a tile.
const PIECES_MAX: usize = 4096;

type Rgb = [u8; 3];
const WHITE: Rgb = [255; 3];

pub(crate) fn decode<R: BufRead + Seek>(input: &mut R, side: u32) -> Result<Decoded, PreviewError> {
    let file_len = input.seek(SeekFrom::End(0))?;
    input.rewind()?;
    let screen: [u8; 13] = read(input)?;
    let size = (number(&screen[6..]), number(&screen[8..]));
    check_dimensions(Format::Gif, size, GIF_PIXELS_MAX)?;
    check_density(size, file_len, DENSE_PIXELS_MAX)?;
    let palette = palette(input, screen[10])?;
    let pieces = Pieces::find(input, size)?;
    let mut shrinker = Shrinker::new(size, 3, side);
    let whole = match pieces.found.as_slice() {
        [] => return Err(damaged("it has no frame")),
        [single] => stream(input, single, (&palette, size), &mut shrinker)?,
        several => compose(input, several, (&palette, size), &mut shrinker)?,
    };
    Ok(Decoded {
        width: size.0,
        height: size.1,
        told: None,
        orientation: Orientation::default(),
        planes: vec![shrinker.finish()],
        colour: Colour::Rgb,
        space: None,
        warning: (!whole || pieces.lost).then_some(Warning::Incomplete),
    })
}

/// A frame: where it lies on the canvas and in the file.
#[derive(Debug, Clone)]
struct Piece {
    left: u32,
    top: u32,
    width: u32,
    height: u32,
    interlaced: bool,
    transparent: Option<u8>,
    palette: Option<Vec<Rgb>>,
    /// Where its compressed data begins.
    data: u64,
}

/// What a graphic control extension says of the frame behind it (GIF89a section 23).
#[derive(Debug, Clone, Copy, Default)]
struct Control {
    /// Whether it is to stay when the next frame comes.
    stays: bool,
    delay: u16,
    transparent: Option<u8>,
}

/// What is looked for in the blocks of a file.
struct Pieces {
    found: Vec<Piece>,
    pixels: u64,
    control: Control,
    /// Whether it is an animation: then its first frame is shown, even if it has no delay.
    looped: bool,
    /// Whether a piece begins of which nothing can be read, where the first has not drawn already.
    lost: bool,
    /// Whether nothing more is to be looked for.
    complete: bool,
}

impl Pieces {
    /// The frames that make up the picture. What cannot be read ends them.
    fn find<R: BufRead + Seek>(input: &mut R, size: (u32, u32)) -> Result<Self, PreviewError> {
        let stays = Control { stays: true, ..Control::default() };
        let mut pieces = Self {
            found: Vec::new(),
            pixels: 0,
            control: stays,
            looped: false,
            lost: false,
            complete: false,
        };
        for _ in 0..SEGMENTS_MAX {
            match pieces.block(input, size) {
                Ok(()) if pieces.complete => return Ok(pieces),
                Ok(()) => {}
                Err(PreviewError::Damaged(..)) if !pieces.found.is_empty() => return Ok(pieces),
                Err(error) => return Err(error),
            }
        }
        if pieces.found.is_empty() {
            let max = u64::try_from(SEGMENTS_MAX).unwrap_or(u64::MAX);
            return Err(PreviewError::TooLarge {
                what: "number of blocks",
                actual: max.saturating_add(1),
                max,
            });
        }
        Ok(pieces)
    }

    fn block<R: BufRead + Seek>(&mut self, input: &mut R, size: (u32, u32)) -> Result<(), PreviewError> {
        match read::<1>(input)?[0] {
            0x21 => self.extension(input),
            0x2c => self.frame(input, size),
            0x3b if self.found.is_empty() => Err(damaged("it has no frame")),
            0x3b => {
                self.complete = true;
                Ok(())
            }
            _ => Err(damaged("it has a block of an unknown kind")),
        }
    }

    fn extension(&mut self, input: &mut impl BufRead) -> Result<(), PreviewError> {
        let label = read::<1>(input)?[0];
        let len = read::<1>(input)?[0];
        let mut first = vec![0; len.into()];
        input.read_exact(&mut first).map_err(|error| PreviewError::from_read(Format::Gif, error))?;
        match (label, first.as_slice()) {
            (0xf9, [flags, low, high, transparent, ..]) => {
                self.control = Control {
                    stays: flags >> 2 & 7 < 2,
                    delay: u16::from_le_bytes([*low, *high]),
                    transparent: (flags & 1 == 1).then_some(*transparent),
                };
            }
            (0xff, b"NETSCAPE2.0" | b"ANIMEXTS1.0") => {
                self.looped = true;
                self.complete = !self.found.is_empty();
                self.found.truncate(1);
            }
            _ => {}
        }
        if len == 0 { Ok(()) } else { skip_blocks(input) }
    }

    fn frame<R: BufRead + Seek>(&mut self, input: &mut R, canvas: (u32, u32)) -> Result<(), PreviewError> {
        let image: [u8; 9] = read(input)?;
        let (width, height) = (number(&image[4..]), number(&image[6..]));
        let pixels = u64::from(width) * u64::from(height);
        if self.found.is_empty() {
            check_dimensions(Format::Gif, (width, height), GIF_PIXELS_MAX)?;
        } else if self.pixels + pixels > GIF_PIXELS_MAX || self.found.len() == PIECES_MAX {
            self.complete = true;
            return Ok(());
        }
        let mut piece = Piece {
            left: number(&image),
            top: number(&image[2..]),
            width,
            height,
            interlaced: image[8] & 0x40 != 0,
            transparent: self.control.transparent,
            palette: None,
            data: 0,
        };
        if image[8] & 0x80 != 0 {
            match palette(input, image[8]) {
                Ok(palette) => piece.palette = Some(palette),
                Err(error) => {
                    self.lost = self.found.first().is_some_and(|first| !first.covers(&piece));
                    return Err(error);
                }
            }
        }
        piece.data = input.stream_position()?;
        self.found.push(piece);
        self.pixels += pixels;
        if let [first, .., last] = self.found.as_slice()
            && last.transparent.is_none()
            && last.covers(first)
        {
            self.found.pop();
            self.complete = true;
            return Ok(());
        }
        let composed = u64::from(canvas.0) * u64::from(canvas.1) <= COMPOSED_PIXELS_MAX;
        let last = std::mem::take(&mut self.control);
        self.control.stays = true;
        if last.delay > 0 || !last.stays || !composed || self.looped {
            self.complete = true;
            return Ok(());
        }
        read::<1>(input)?;
        skip_blocks(input)
    }
}

/// Decodes one frame without holding the canvas. Returns whether it is whole.
fn stream<R: BufRead + Seek>(
    input: &mut R,
    piece: &Piece,
    (palette, (width, height)): (&[Rgb], (u32, u32)),
    shrinker: &mut Shrinker,
) -> Result<bool, PreviewError> {
    let mut line: Vec<u8> = WHITE.repeat(to_usize(width));
    let mut drawn = vec![false; to_usize(height)];
    let start = to_usize(piece.left).saturating_mul(3).min(line.len());
    let colours = piece.colours(palette)?;
    let whole = piece.rows(input, |y, indices| {
        for (pixel, &index) in line[start..].chunks_exact_mut(3).zip(indices) {
            pixel.copy_from_slice(&colours[usize::from(index)].unwrap_or(WHITE));
        }
        if let Some(drawn) = drawn.get_mut(to_usize(y)) {
            *drawn = true;
            shrinker.add_row(y, &line);
        }
    })?;
    line.fill(255);
    for (y, _) in (0..).zip(&drawn).filter(|(_, drawn)| !**drawn) {
        shrinker.add_row(y, &line);
    }
    Ok(whole)
}

/// Draws all pieces. Returns whether they are whole.
fn compose<R: BufRead + Seek>(
    input: &mut R,
    pieces: &[Piece],
    (palette, (width, height)): (&[Rgb], (u32, u32)),
    shrinker: &mut Shrinker,
) -> Result<bool, PreviewError> {
    let stride = to_usize(width) * 3;
    let mut canvas = vec![255; stride * to_usize(height)];
    let mut whole = true;
    for (number, piece) in pieces.iter().enumerate() {
        // The last one may be cut off. Without it nothing is missing where the first has drawn already.
        let last = number > 0 && number + 1 == pieces.len();
        if last && pieces[0].covers(piece) && !matches!(piece.rows(input, |_, _| {}), Ok(true)) {
            break;
        }
        let start = to_usize(piece.left).saturating_mul(3).min(stride);
        let mut draw = |y: u32, indices: &[u8], colours: &[Option<Rgb>; 256]| {
            let Some(line) = canvas.chunks_exact_mut(stride).nth(to_usize(y)) else { return };
            for (pixel, &index) in line[start..].chunks_exact_mut(3).zip(indices) {
                if let Some(colour) = colours[usize::from(index)] {
                    pixel.copy_from_slice(&colour);
                }
            }
        };
        let drawn = piece
            .colours(palette)
            .and_then(|colours| piece.rows(input, |y, indices| draw(y, indices, &colours)));
        whole &= match drawn {
            Err(PreviewError::Damaged(..)) if number > 0 => false,
            drawn => drawn?,
        };
    }
    for (y, line) in (0..).zip(canvas.chunks_exact(stride)) {
        shrinker.add_row(y, line);
    }
    Ok(whole)
}

impl Piece {
    /// Whether all of `other` lies within it.
    fn covers(&self, other: &Self) -> bool {
        let within = |at: u32, len: u32, other_at: u32, other_len: u32| {
            at <= other_at && other_at + other_len <= at + len
        };
        within(self.left, self.width, other.left, other.width)
            && within(self.top, self.height, other.top, other.height)
    }

    /// By the index: the colour, or none where it is transparent.
    fn colours(&self, global: &[Rgb]) -> Result<[Option<Rgb>; 256], PreviewError> {
        let palette = self.palette.as_deref().unwrap_or(global);
        if palette.is_empty() {
            return Err(damaged("it has no palette"));
        }
        let mut colours = [Some(WHITE); 256];
        for (colour, rgb) in colours.iter_mut().zip(palette) {
            *colour = Some(*rgb);
        }
        if let Some(index) = self.transparent {
            colours[usize::from(index)] = None;
        }
        Ok(colours)
    }

    /// Decodes the rows of the frame and gives each with its place on the canvas. Returns whether all were there.
    fn rows<R: BufRead + Seek>(
        &self,
        input: &mut R,
        mut row: impl FnMut(u32, &[u8]),
    ) -> Result<bool, PreviewError> {
        input.seek(SeekFrom::Start(self.data))?;
        let mut data = Data::begin(input)?;
        let mut indices = vec![0; to_usize(self.width)];
        for (count, y) in self.order().enumerate() {
            match data.fill(&mut indices) {
                Ok(()) => row(self.top.saturating_add(y), &indices),
                Err(PreviewError::Damaged(..)) if count > 0 => return Ok(false),
                Err(error) => return Err(error),
            }
        }
        Ok(true)
    }

    /// The rows in the order of the file (GIF89a appendix E).
    fn order(&self) -> impl Iterator<Item = u32> {
        let passes: &[(u32, usize)] =
            if self.interlaced { &[(0, 8), (4, 8), (2, 4), (1, 2)] } else { &[(0, 1)] };
        let height = self.height;
        passes.iter().flat_map(move |&(start, step)| (start..height).step_by(step))
    }
}

/// The compressed data of a frame (GIF89a section 22 and appendix F).
struct Data<'a, R> {
    input: &'a mut R,
    decoder: Decoder,
    block: Vec<u8>,
    used: usize,
}

impl<'a, R: BufRead> Data<'a, R> {
    fn begin(input: &'a mut R) -> Result<Self, PreviewError> {
        let size = read::<1>(input)?[0];
        if !(1..=8).contains(&size) {
            return Err(damaged("its compressed data is invalid"));
        }
        Ok(Self { input, decoder: Decoder::new(BitOrder::Lsb, size), block: Vec::new(), used: 0 })
    }

    /// Decodes as many indices as `out` takes.
    fn fill(&mut self, out: &mut [u8]) -> Result<(), PreviewError> {
        let mut filled = 0;
        while filled < out.len() {
            let result = self.decoder.decode_bytes(&self.block[self.used..], &mut out[filled..]);
            self.used += result.consumed_in;
            filled += result.consumed_out;
            match result.status {
                Ok(LzwStatus::Done) if filled < out.len() => {
                    return Err(damaged("its first frame ends too early"));
                }
                Ok(_) if filled == out.len() => break,
                Ok(_) if result.consumed_in > 0 || result.consumed_out > 0 => {}
                // All that the decoder has taken in is given out.
                Ok(_) if self.used == self.block.len() => self.next_block()?,
                Ok(_) => return Err(damaged("its compressed data is invalid")),
                Err(_) => return Err(damaged("its compressed data is invalid")),
            }
        }
        Ok(())
    }

    fn next_block(&mut self) -> Result<(), PreviewError> {
        let len = read::<1>(self.input)?[0];
        if len == 0 {
            return Err(damaged("its first frame ends too early"));
        }
        // What is there of the last block of a file is taken.
        self.block.clear();
        self.used = 0;
        while self.block.len() < len.into() {
            let available = match self.input.fill_buf() {
                Ok(bytes) => &bytes[..bytes.len().min(usize::from(len) - self.block.len())],
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Err(error) => return Err(error.into()),
            };
            if available.is_empty() {
                break;
            }
            let count = available.len();
            self.block.extend_from_slice(available);
            self.input.consume(count);
        }
        if self.block.is_empty() { Err(damaged("the file ends too early")) } else { Ok(()) }
    }
}

/// A palette, if the flags say that there is one.
fn palette(input: &mut impl BufRead, flags: u8) -> Result<Vec<Rgb>, PreviewError> {
    if flags & 0x80 == 0 {
        return Ok(Vec::new());
    }
    (0..2usize << (flags & 7)).map(|_| read(input)).collect()
}

/// Passes over data up to its end.
fn skip_blocks(input: &mut impl BufRead) -> Result<(), PreviewError> {
    loop {
        let len = read::<1>(input)?[0];
        if len == 0 {
            return Ok(());
        }
        skip(input, len.into())?;
    }
}

fn number(bytes: &[u8]) -> u32 {
    u16::from_le_bytes([bytes[0], bytes[1]]).into()
}

fn read<const N: usize>(input: &mut impl BufRead) -> Result<[u8; N], PreviewError> {
    let mut bytes = [0; N];
    input.read_exact(&mut bytes).map_err(|error| PreviewError::from_read(Format::Gif, error))?;
    Ok(bytes)
}

fn skip(input: &mut impl BufRead, mut count: usize) -> Result<(), PreviewError> {
    while count > 0 {
        let available = match input.fill_buf() {
            Ok([]) => return Err(damaged("the file ends too early")),
            Ok(bytes) => bytes.len().min(count),
            Err(error) if error.kind() == ErrorKind::Interrupted => 0,
            Err(error) => return Err(error.into()),
        };
        input.consume(available);
        count -= available;
    }
    Ok(())
}

fn damaged(reason: &str) -> PreviewError {
    PreviewError::damaged(Format::Gif, reason)
}
