//! JPEG XL, by `jxl-oxide`: the first picture of a file, turned upright by the decoder.
//!
//! The container is read here, and the decoder gets the codestream alone: boxes for metadata may be compressed without a bound. It
//! decodes a picture whole, within memory that grows with the file, so that a small file costs little, and stops at the end of the first
//! picture of an animation. A picture is put together of at most [`FRAMES_MAX`] frames.

use std::io::{BufRead, Seek, SeekFrom};

use jxl_oxide::{
    AllocTracker, EnumColourEncoding, InitializeResult, JxlImage, JxlThreadPool, PixelFormat, Render,
    RenderingIntent, UninitializedJxlImage,
};

use crate::error::{check_dimensions, plain};
use crate::exif::Orientation;
use crate::png::on_white;
use crate::profile::Space;
use crate::raster::{Colour, Decoded};
use crate::shrink::{Shrinker, to_usize};
use crate::{Format, ICC_BYTES_MAX, PreviewError, SEGMENTS_MAX, WHOLE_PIXELS_MAX, Warning};

/// The most bytes of the file that are read: the decoder holds them.
const READ_BYTES_MAX: u64 = 64 << 20;
/// The most bytes before the first frame, which are the header and a profile.
const HEADER_BYTES_MAX: usize = ICC_BYTES_MAX;
/// What the decoder may allocate for any file, for each of its bytes besides, and for the largest. A picture takes about 25 bytes a
/// pixel, and one of a camera has 2 to 30 pixels to a byte.
const MEMORY_MIN: u64 = 48 << 20;
const MEMORY_PER_BYTE: u64 = 1024;
const MEMORY_MAX: u64 = 768 << 20;
/// The most frames that make a picture: layers, patches, and those that others refer to.
const FRAMES_MAX: usize = 64;
/// What is handed to the decoder at a time.
const PIECE_BYTES: usize = 16 << 10;

pub(crate) fn decode<R: BufRead + Seek>(input: &mut R, side: u32) -> Result<Decoded, PreviewError> {
    let file_len = input.seek(SeekFrom::End(0))?;
    input.rewind()?;
    let memory = MEMORY_MIN.saturating_add(file_len.saturating_mul(MEMORY_PER_BYTE)).min(MEMORY_MAX);
    let tracker = AllocTracker::with_limit(usize::try_from(memory).unwrap_or(usize::MAX));
    let builder = JxlImage::builder().pool(JxlThreadPool::none()).alloc_tracker(tracker);
    let mut stream = Codestream::open(input)?;
    let mut image = initialize(&mut stream, builder.build_uninit())?;
    let (width, height) = (image.width(), image.height());
    check_dimensions(Format::Jxl, (width, height), WHOLE_PIXELS_MAX)?;
    let format = image.pixel_format();
    if format.has_black() {
        return Err(PreviewError::Unsupported("JPEG XL of four inks"));
    }
    if image.original_icc().is_none() {
        image.request_color_encoding(EnumColourEncoding::srgb(RenderingIntent::Relative));
    }
    let whole = load(&mut stream, &mut image)?;
    let render = if whole { image.render_frame(0) } else { image.render_loading_frame() };
    let render = render.map_err(|error| failed(&*error))?;
    let space = image.original_icc().is_some().then(|| image.rendered_icc());
    let grey = format.is_grayscale();
    Ok(Decoded {
        width,
        height,
        told: None,
        orientation: Orientation::default(),
        planes: vec![shrink(&render, format, (width, height), side).finish()],
        colour: if grey { Colour::Grey } else { Colour::Rgb },
        space: space.filter(|profile| profile.len() <= ICC_BYTES_MAX).map(Space::Icc),
        warning: (!whole).then_some(Warning::Incomplete),
    })
}

fn shrink(render: &Render, format: PixelFormat, size: (u32, u32), side: u32) -> Shrinker {
    let channels = if format.is_grayscale() { 1 } else { 3 };
    let mut shrinker = Shrinker::new(size, channels, side);
    let mut pixels = render.stream();
    let mut row = vec![0u8; to_usize(size.0) * to_usize(pixels.channels())];
    let mut opaque = Vec::new();
    for y in 0..size.1 {
        pixels.write_to_buffer(&mut row);
        let row = match (format.has_alpha(), channels) {
            (false, _) => row.as_slice(),
            (true, 1) => on_white::<2>(&row, &mut opaque),
            (true, _) => on_white::<4>(&row, &mut opaque),
        };
        shrinker.add_row(y, row);
    }
    shrinker
}

/// Reads the header.
fn initialize<R: BufRead + Seek>(
    stream: &mut Codestream<'_, R>,
    mut image: UninitializedJxlImage,
) -> Result<JxlImage, PreviewError> {
    let mut piece = vec![0; PIECE_BYTES];
    let (mut read, mut try_at) = (0, 0);
    loop {
        let count = stream.read(&mut piece)?;
        image.feed_bytes(&piece[..count]).map_err(|error| failed(&*error))?;
        read += count;
        if count > 0 && read < try_at {
            continue;
        }
        // Each try begins anew: with twice as much.
        try_at = read * 2;
        image = match image.try_init().map_err(|error| failed(&*error))? {
            InitializeResult::Initialized(image) => return Ok(image),
            InitializeResult::NeedMoreData(image) => image,
        };
        if count == 0 {
            return Err(damaged("the file ends too early"));
        }
        if read > HEADER_BYTES_MAX {
            return Err(damaged("its header does not end"));
        }
    }
}

/// Reads the frames of the first picture; answers whether it is whole.
fn load<R: BufRead + Seek>(
    stream: &mut Codestream<'_, R>,
    image: &mut JxlImage,
) -> Result<bool, PreviewError> {
    let mut piece = vec![0; PIECE_BYTES];
    while image.num_loaded_keyframes() == 0 && !image.is_loading_done() {
        if image.num_loaded_frames() > FRAMES_MAX {
            return Err(PreviewError::TooLarge {
                what: "number of frames",
                actual: u64::try_from(image.num_loaded_frames()).unwrap_or(u64::MAX),
                max: u64::try_from(FRAMES_MAX).unwrap_or(u64::MAX),
            });
        }
        let count = stream.read(&mut piece)?;
        if count == 0 {
            return Ok(false);
        }
        image.feed_bytes(&piece[..count]).map_err(|error| failed(&*error))?;
    }
    Ok(image.num_loaded_keyframes() > 0)
}

/// The codestream of a file: the file, or what lies in the boxes for it (ISO/IEC 18181-2).
struct Codestream<'a, R> {
    input: &'a mut R,
    /// How much of it is left in the box; nothing without boxes.
    left: Option<u64>,
    boxes: usize,
    read: u64,
}

impl<'a, R: BufRead + Seek> Codestream<'a, R> {
    fn open(input: &'a mut R) -> Result<Self, PreviewError> {
        let bare = input.fill_buf()?.starts_with(&[0xff, 0x0a]);
        Ok(Self { input, left: (!bare).then_some(0), boxes: 0, read: 0 })
    }

    /// Nothing at the end.
    fn read(&mut self, piece: &mut [u8]) -> Result<usize, PreviewError> {
        while self.left == Some(0) {
            if !self.next_box()? {
                return Ok(0);
            }
        }
        let most = usize::try_from(self.left.unwrap_or(u64::MAX)).unwrap_or(usize::MAX).min(piece.len());
        let mut count = 0;
        while count < most {
            match self.input.read(&mut piece[count..most])? {
                0 => break,
                more => count += more,
            }
        }
        let bytes = u64::try_from(count).unwrap_or(u64::MAX);
        // A file that is cut off has no further boxes.
        self.left = self.left.map(|left| if count < most { 0 } else { left - bytes });
        self.read += bytes;
        if self.read > READ_BYTES_MAX {
            let what = "size of the picture in bytes";
            return Err(PreviewError::TooLarge { what, actual: self.read, max: READ_BYTES_MAX });
        }
        Ok(count)
    }

    /// Goes to the next box of the codestream; answers whether there is one.
    fn next_box(&mut self) -> Result<bool, PreviewError> {
        loop {
            self.boxes += 1;
            if self.boxes > SEGMENTS_MAX {
                return Err(damaged("it has too many boxes"));
            }
            let Some(head) = self.number::<8>()? else { return Ok(false) };
            let [size @ .., a, b, c, d] = head;
            let mut left = u64::from(u32::from_be_bytes(size));
            let mut taken = 8;
            if left == 1 {
                let Some(long) = self.number::<8>()? else { return Ok(false) };
                left = u64::from_be_bytes(long);
                taken = 16;
            }
            // The last one may go to the end of the file.
            let left = if left == 0 { u64::MAX } else { left.checked_sub(taken).ok_or_else(odd_box)? };
            match &[a, b, c, d] {
                b"jxlc" => {
                    self.left = Some(left);
                    return Ok(true);
                }
                b"jxlp" => {
                    // Its place among the parts.
                    if self.number::<4>()?.is_none() {
                        return Ok(false);
                    }
                    self.left = Some(left.checked_sub(4).ok_or_else(odd_box)?);
                    return Ok(true);
                }
                _ => {
                    let left = i64::try_from(left).map_err(|_| odd_box())?;
                    self.input.seek(SeekFrom::Current(left)).map_err(|_| odd_box())?;
                }
            }
        }
    }

    /// The next bytes, if the file has as many.
    fn number<const N: usize>(&mut self) -> Result<Option<[u8; N]>, PreviewError> {
        let mut bytes = [0; N];
        match self.input.read_exact(&mut bytes) {
            Ok(()) => Ok(Some(bytes)),
            Err(error) if error.kind() == std::io::ErrorKind::UnexpectedEof => Ok(None),
            Err(error) => Err(error.into()),
        }
    }
}

fn odd_box() -> PreviewError {
    damaged("a box with a length that no file has")
}

fn failed(error: &(dyn std::error::Error + Send + Sync + 'static)) -> PreviewError {
    let text = error.to_string();
    // Each of its crates has an error of its own for it; the text is the same.
    if text.contains("failed to allocate") {
        return PreviewError::Unsupported("JPEG XL that takes more memory than its file is worth");
    }
    damaged(plain(&text))
}

fn damaged(reason: &str) -> PreviewError {
    PreviewError::damaged(Format::Jxl, reason)
}
