//! What the decoders hand to the last step: a small image, still in the colours and the position of the file.

use crate::Warning;
use crate::exif::Orientation;
use crate::profile::Space;

/// A grid of samples. The image covers it from the top left corner, but not always to its full size: blocks and
/// boxes at the right and lower edges stand out.
#[derive(Debug)]
pub(crate) struct Plane {
    /// Rows of `width * channels` bytes.
    pub(crate) samples: Vec<u8>,
    /// Samples in a row.
    pub(crate) width: u32,
    /// Rows.
    pub(crate) height: u32,
    /// Bytes of a sample: 1 or 3.
    pub(crate) channels: usize,
    /// How much of the width the image covers, in samples.
    pub(crate) covered_width: f64,
    /// How much of the height the image covers, in samples.
    pub(crate) covered_height: f64,
}

/// What the channels mean, and so how many there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Colour {
    /// One: luminance.
    Grey,
    /// Three: red, green, blue.
    Rgb,
    /// Three: luminance, blue and red differences, of JFIF.
    Ycc,
    /// Three: as video has them.
    Video(Matrix),
    /// Four inks; `inverted` as Adobe writes them (255 is no ink).
    Cmyk {
        /// 255 is no ink.
        inverted: bool,
    },
    /// Four: as Adobe writes it, the first three are the inverted inks as luminance and differences.
    Ycck,
}

/// How the samples of video become colours (ITU-T H.273 table 4).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Matrix {
    /// They are colours: green, blue, red.
    Green,
    /// Luminance, blue and red differences, as all that follow but the last.
    Bt601,
    Bt709,
    Bt2020,
    Fcc,
    Smpte240,
    /// Luminance, green and orange differences.
    YCgCo,
}

/// A decoded image, shrunk on the way to not less than 1.45 times the size that is wanted (unless it was smaller).
#[derive(Debug)]
pub(crate) struct Decoded {
    /// Width of the original as stored, in pixels.
    pub(crate) width: u32,
    /// Height of the original as stored, in pixels.
    pub(crate) height: u32,
    /// The size that the file tells, as stored, where that of `planes` is another one.
    pub(crate) told: Option<(u32, u32)>,
    /// How it is to be turned for display.
    pub(crate) orientation: Orientation,
    /// One plane with all channels, or a plane for every channel, each at its own scale.
    pub(crate) planes: Vec<Plane>,
    /// What the channels mean.
    pub(crate) colour: Colour,
    /// What the file says about its colours.
    pub(crate) space: Option<Space>,
    /// What is wrong with it.
    pub(crate) warning: Option<Warning>,
}
