//! GIF: the first frame on the canvas, as it is seen before an animation starts.
//!
//! The file is walked block by block to its trailer first, so that one which ends too early is refused; then the
//! first frame is decoded row by row. What the frame does not cover, or leaves transparent, is white. The colour of
//! the background that the file names is ignored, as everywhere today.

use std::io::{BufRead, Seek, SeekFrom};

use ::gif::{ColorOutput, DecodeOptions, Decoder, DecodingError};

use crate::error::check_dimensions;
use crate::exif::Orientation;
use crate::raster::{Colour, Decoded};
use crate::shrink::{Shrinker, to_usize};
use crate::{Format, GIF_PIXELS_MAX, PreviewError, SEGMENTS_MAX};

pub(crate) fn decode<R: BufRead + Seek>(input: &mut R, side: u32) -> Result<Decoded, PreviewError> {
    walk(input)?;
    input.seek(SeekFrom::Start(0))?;
    let mut options = DecodeOptions::new();
    options.set_color_output(ColorOutput::Indexed);
    let mut decoder = options.read_info(input).map_err(from_gif)?;
    let (width, height) = (u32::from(decoder.width()), u32::from(decoder.height()));
    check_dimensions(Format::Gif, (width, height), GIF_PIXELS_MAX)?;
    let frame = decoder.next_frame_info().map_err(from_gif)?.ok_or_else(|| damaged("it has no frame"))?;
    let place = Place {
        left: to_usize(frame.left.into()),
        top: frame.top.into(),
        width: to_usize(frame.width.into()),
        height: frame.height.into(),
        interlaced: frame.interlaced,
    };
    let transparent = frame.transparent;
    check_dimensions(Format::Gif, (frame.width.into(), frame.height.into()), GIF_PIXELS_MAX)?;
    let mut colours = [[255; 3]; 256];
    for (colour, rgb) in colours.iter_mut().zip(decoder.palette().map_err(from_gif)?.chunks_exact(3)) {
        colour.copy_from_slice(rgb);
    }
    if let Some(index) = transparent {
        colours[usize::from(index)] = [255; 3];
    }
    let mut shrinker = Shrinker::new((width, height), 3, side);
    draw(&mut decoder, &place, &colours, (width, height), &mut shrinker)?;
    Ok(Decoded {
        width,
        height,
        orientation: Orientation::default(),
        planes: vec![shrinker.finish()],
        colour: Colour::Rgb,
        space: None,
    })
}

/// Where the frame lies on the canvas.
struct Place {
    left: usize,
    top: u32,
    width: usize,
    height: u32,
    interlaced: bool,
}

fn draw<R: BufRead>(
    decoder: &mut Decoder<R>,
    place: &Place,
    colours: &[[u8; 3]; 256],
    (width, height): (u32, u32),
    shrinker: &mut Shrinker,
) -> Result<(), PreviewError> {
    let mut row = vec![255; to_usize(width) * 3];
    for y in (0..place.top.min(height)).chain(place.top + place.height..height) {
        shrinker.add_row(y, &row);
    }
    let mut indices = vec![0; place.width];
    let start = (place.left * 3).min(row.len());
    for y in rows(place) {
        if !decoder.fill_buffer(&mut indices).map_err(from_gif)? {
            return Err(damaged("its first frame ends too early"));
        }
        for (pixel, &index) in row[start..].chunks_exact_mut(3).zip(&indices) {
            pixel.copy_from_slice(&colours[usize::from(index)]);
        }
        shrinker.add_row(place.top + y, &row);
    }
    Ok(())
}

/// The rows of a frame in the order of the file (GIF89a appendix E).
fn rows(place: &Place) -> impl Iterator<Item = u32> {
    let passes: &[(u32, usize)] =
        if place.interlaced { &[(0, 8), (4, 8), (2, 4), (1, 2)] } else { &[(0, 1)] };
    let height = place.height;
    passes.iter().flat_map(move |&(start, step)| (start..height).step_by(step))
}

/// Walks the blocks up to the trailer (GIF89a section 14 on).
fn walk(input: &mut impl BufRead) -> Result<(), PreviewError> {
    let screen: [u8; 13] = read(input)?;
    skip_colours(input, screen[10])?;
    let mut frames = 0;
    for _ in 0..SEGMENTS_MAX {
        match read::<1>(input)?[0] {
            0x21 => {
                read::<1>(input)?;
            }
            0x2c => {
                let image: [u8; 9] = read(input)?;
                skip_colours(input, image[8])?;
                read::<1>(input)?;
                frames += 1;
            }
            0x3b if frames > 0 => return Ok(()),
            0x3b => return Err(damaged("it has no frame")),
            _ => return Err(damaged("it has a block of an unknown kind")),
        }
        loop {
            let len = read::<1>(input)?[0];
            if len == 0 {
                break;
            }
            skip(input, len.into())?;
        }
    }
    Err(PreviewError::TooLarge {
        what: "number of blocks",
        actual: u64::try_from(SEGMENTS_MAX).unwrap_or(u64::MAX).saturating_add(1),
        max: u64::try_from(SEGMENTS_MAX).unwrap_or(u64::MAX),
    })
}

fn skip_colours(input: &mut impl BufRead, flags: u8) -> Result<(), PreviewError> {
    if flags & 0x80 == 0 { Ok(()) } else { skip(input, 3 << ((flags & 7) + 1)) }
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
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => 0,
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

fn from_gif(error: DecodingError) -> PreviewError {
    match error {
        DecodingError::Io(error) => PreviewError::from_read(Format::Gif, error),
        error => PreviewError::damaged(Format::Gif, error.to_string()),
    }
}
