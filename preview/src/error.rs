//! Why there is no preview, in words for the person who added the file.

use std::io;

use crate::{Format, SIDE_PIXELS_MAX};

/// Pixels to a byte of the file. Scans of text reach about that; what is beyond it may have been made to cost time and memory.
const DENSE: u64 = 20;

/// Why no preview can be made of a file.
#[derive(Debug, thiserror::Error)]
pub enum PreviewError {
    /// The content is none of the formats that are understood.
    #[error("not an image of a known format")]
    NotAnImage,
    /// The format is known, but not how to decode it.
    #[error("{0} is not decoded")]
    NotDecoded(Format),
    /// The file ends too early, or contradicts itself.
    #[error("damaged {0} image: {1}")]
    Damaged(Format, String),
    /// The image goes beyond a limit of this crate.
    #[error("image is too large: {what} is {actual}, at most {max} is accepted")]
    TooLarge {
        /// What is too large, for example `number of pixels`.
        what: &'static str,
        /// How large it is.
        actual: u64,
        /// How large it may be.
        max: u64,
    },
    /// A kind of image that is valid but not understood.
    #[error("unsupported kind of image: {0}")]
    Unsupported(&'static str),
    /// Reading the input failed.
    #[error("cannot read the image")]
    Io(#[from] io::Error),
}

/// What is wrong with a picture that is shown all the same. The worse comes later.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, thiserror::Error)]
pub enum Warning {
    /// Parts of the drawing are of kinds that are not drawn.
    #[error("text and pictures in the drawing are not shown in its preview")]
    Omitted,
    /// The picture in the file is not decoded here; its thumbnail is shown.
    #[error("its preview is made of the thumbnail in it, as the picture itself cannot be decoded here")]
    Thumbnail,
    /// The file ends before its end. What is there shows the whole picture, but perhaps not sharply.
    #[error("the file is cut off: fine detail may be missing")]
    Detail,
    /// Pixels are missing.
    #[error("the file is damaged: a part of the picture is missing")]
    Incomplete,
}

impl PreviewError {
    pub(crate) fn damaged(format: Format, reason: impl Into<String>) -> Self {
        Self::Damaged(format, reason.into())
    }

    /// The error of a read: a file that ends is damaged, everything else is the reader's trouble.
    pub(crate) fn from_read(format: Format, error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::UnexpectedEof => Self::damaged(format, "the file ends too early"),
            _ => Self::Io(error),
        }
    }
}

/// What a decoder says of a file, as far as people understand it: the innermost cause, if it is told in plain words.
pub(crate) fn plain(text: &str) -> &str {
    let cause = text.rsplit(": ").next().unwrap_or(text).trim();
    let is_plain = |c: char| c.is_ascii_alphanumeric() || " -,/'".contains(c);
    if cause.is_empty() || !cause.chars().all(is_plain) { INVALID } else { cause }
}

/// Of files whose decoders have texts for programmers.
pub(crate) const INVALID: &str = "what it says of itself, or of its pixels, is invalid";

/// Refuses dimensions that are zero, or beyond `pixels_max`, before anything is allocated for them.
pub(crate) fn check_dimensions(
    format: Format,
    (width, height): (u32, u32),
    pixels_max: u64,
) -> Result<(), PreviewError> {
    if width == 0 || height == 0 {
        return Err(PreviewError::damaged(format, "it has no pixels"));
    }
    let too_large = |what, actual: u64, max: u64| Err(PreviewError::TooLarge { what, actual, max });
    if width > SIDE_PIXELS_MAX {
        return too_large("width in pixels", width.into(), SIDE_PIXELS_MAX.into());
    }
    if height > SIDE_PIXELS_MAX {
        return too_large("height in pixels", height.into(), SIDE_PIXELS_MAX.into());
    }
    let pixels = u64::from(width) * u64::from(height);
    if pixels > pixels_max {
        return too_large("number of pixels", pixels, pixels_max);
    }
    Ok(())
}

/// Refuses an image that costs more time and memory than its file is worth: of more pixels than `always`, and [`DENSE`] to a byte.
pub(crate) fn check_density(
    (width, height): (u32, u32),
    file_len: u64,
    always: u64,
) -> Result<(), PreviewError> {
    let pixels = u64::from(width) * u64::from(height);
    let max = always.max(file_len.saturating_mul(DENSE));
    if pixels > max {
        let what = "number of pixels for the size of the file";
        return Err(PreviewError::TooLarge { what, actual: pixels, max });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_decoders_say_is_told_in_plain_words() {
        for (text, told) in [
            ("frame error: bitstream error: frame area too large", "frame area too large"),
            ("unexpected end of file", "unexpected end of file"),
            ("broken: Some(3)", INVALID),
            ("Box { kind: \"jxlc\" }", INVALID),
            ("", INVALID),
        ] {
            assert_eq!(plain(text), told);
        }
    }
}
