//! The sizes of previews: up to which one a directory keeps them.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

use crate::limits::{LARGE_PREVIEW_BYTES_MAX, LARGE_PREVIEW_PIXELS, PREVIEW_BYTES_MAX, PREVIEW_PIXELS};

/// The longest edge up to which a directory keeps previews; on the wire the number of pixels.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(from = "u32", into = "u32")]
pub enum PreviewSize {
    /// 256 pixels: what every release knows.
    #[default]
    Usual,
    /// 512 pixels.
    Large,
}

impl PreviewSize {
    /// All sizes, the smallest first.
    pub const ALL: [Self; 2] = [Self::Usual, Self::Large];

    /// The longest edge of a preview, in pixels.
    #[must_use]
    pub fn pixels(self) -> u32 {
        match self {
            Self::Usual => PREVIEW_PIXELS,
            Self::Large => LARGE_PREVIEW_PIXELS,
        }
    }

    /// The bytes of a preview, at most.
    #[must_use]
    pub fn bytes_max(self) -> usize {
        match self {
            Self::Usual => PREVIEW_BYTES_MAX,
            Self::Large => LARGE_PREVIEW_BYTES_MAX,
        }
    }

    /// Whether it is the one that is meant where nothing is said.
    // The form that serde asks for.
    #[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
    pub(crate) fn is_usual(&self) -> bool {
        *self == Self::Usual
    }
}

/// The largest size that is known here and not above this number of pixels: a newer directory may keep larger ones.
impl From<u32> for PreviewSize {
    fn from(pixels: u32) -> Self {
        Self::ALL.into_iter().rev().find(|size| size.pixels() <= pixels).unwrap_or_default()
    }
}

impl From<PreviewSize> for u32 {
    fn from(size: PreviewSize) -> Self {
        size.pixels()
    }
}

impl fmt::Display for PreviewSize {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.pixels().fmt(f)
    }
}

impl FromStr for PreviewSize {
    type Err = UnknownPreviewSize;

    fn from_str(text: &str) -> Result<Self, UnknownPreviewSize> {
        Self::ALL.into_iter().find(|size| size.to_string() == text).ok_or(UnknownPreviewSize)
    }
}

/// Neither `256` nor `512`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("previews have up to 256 or up to 512 pixels")]
pub struct UnknownPreviewSize;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_size_is_one_of_two_and_what_a_newer_directory_keeps_is_the_largest_known() {
        assert_eq!("256".parse(), Ok(PreviewSize::Usual));
        assert_eq!("512".parse(), Ok(PreviewSize::Large));
        for text in ["", "0", "255", "384", "1024", "512px", "+512"] {
            assert_eq!(text.parse::<PreviewSize>(), Err(UnknownPreviewSize), "{text}");
        }
        for (told, known) in [(0, 256), (256, 256), (511, 256), (512, 512), (u32::MAX, 512)] {
            assert_eq!(PreviewSize::from(told).pixels(), known);
        }
    }
}
