//! Tells the format of a file by its first bytes. The name of a file is never looked at.

use std::fmt;
use std::io::{self, Read};

use crate::PreviewError;

/// The formats that are understood.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Format {
    /// JPEG (ITU-T T.81), Huffman-coded, baseline or progressive.
    Jpeg,
    /// PNG (W3C recommendation), the still image of an APNG included.
    Png,
    /// WebP (RFC 9649), lossy or lossless, the first frame of an animation included.
    WebP,
    /// GIF 87a or 89a, the first frame.
    Gif,
}

impl Format {
    /// A stable lower-case name: `jpeg`, `png`, `webp` or `gif`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Jpeg => "jpeg",
            Self::Png => "png",
            Self::WebP => "webp",
            Self::Gif => "gif",
        }
    }
}

impl Format {
    /// The format of a file that begins with these bytes, of which 12 tell it.
    #[must_use]
    pub fn of_head(head: &[u8]) -> Option<Self> {
        match head {
            [0xff, 0xd8, 0xff, ..] => Some(Self::Jpeg),
            [0x89, b'P', b'N', b'G', b'\r', b'\n', 0x1a, b'\n', ..] => Some(Self::Png),
            [b'R', b'I', b'F', b'F', _, _, _, _, b'W', b'E', b'B', b'P', ..] => Some(Self::WebP),
            [b'G', b'I', b'F', b'8', b'7' | b'9', b'a', ..] => Some(Self::Gif),
            _ => None,
        }
    }
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// Reads the first bytes of `input` and tells the format.
pub(crate) fn sniff(input: &mut impl Read) -> Result<Format, PreviewError> {
    let mut start = [0; 12];
    let mut len = 0;
    while len < start.len() {
        match input.read(&mut start[len..]) {
            Ok(0) => break,
            Ok(count) => len += count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error.into()),
        }
    }
    Format::of_head(&start[..len]).ok_or(PreviewError::NotAnImage)
}
