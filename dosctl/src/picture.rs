//! Pictures in the terminal: how big one may be, and the bytes that draw it.
//!
//! - [`detect`]: what the terminal can do, from its answers and the environment.
//! - [`kitty`], [`iterm2`], [`sixel`], [`blocks`]: a picture in the form that each of them takes.
//!
//! What always holds: only pixels are drawn, never a byte of the file that they were decoded from, so that no
//! file can send the terminal anything. Nothing here reads or writes the terminal; see [`crate::terminal`].

pub(crate) mod blocks;
pub(crate) mod detect;
pub(crate) mod iterm2;
pub(crate) mod kitty;
pub(crate) mod sixel;

use dos_preview::Pixels;
use dos_protocol::{Code, WireError};
use png::{BitDepth, ColorType, Compression, Encoder};

/// Rows below a picture of the whole window: for the line about it, and for the prompt.
const ROWS_SPARED: u16 = 2;

/// How pictures are drawn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Graphics {
    /// The kitty graphics protocol.
    Kitty,
    /// Inline images of iTerm2.
    Iterm2,
    /// Sixel graphics, as on a VT340.
    Sixel,
    /// Two pixels in each cell, by its two colours.
    Blocks(Colours),
}

/// The colours that a cell can have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Colours {
    /// 24 bits.
    True,
    /// The 256 of xterm.
    Indexed,
}

/// How much of the window a picture may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Share {
    /// As much as fits above the prompt.
    Window,
    /// So many columns and rows at most.
    Cells(u16, u16),
}

/// What pictures are drawn on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Surface {
    /// How.
    pub(crate) graphics: Graphics,
    /// The window in columns and rows.
    pub(crate) window: (u16, u16),
    /// A cell in pixels.
    pub(crate) cell: (u16, u16),
}

impl Surface {
    /// Draws a picture that fits in the bounds of its share: the bytes for the terminal, which leave the cursor at the
    /// beginning of the line below the picture.
    ///
    /// # Errors
    /// If it cannot be written in the form that the terminal takes.
    pub(crate) fn draw(&self, pixels: &Pixels) -> Result<Vec<u8>, WireError> {
        Ok(match self.graphics {
            Graphics::Kitty => kitty::draw(&png(pixels).map_err(unwritten)?),
            Graphics::Iterm2 => iterm2::draw(&png(pixels).map_err(unwritten)?, (pixels.width, pixels.height)),
            Graphics::Sixel => sixel::draw(pixels),
            Graphics::Blocks(colours) => blocks::draw(pixels, colours),
        })
    }

    /// The size in pixels that a picture may have.
    #[must_use]
    pub(crate) fn bounds(&self, share: Share) -> (u32, u32) {
        let whole = (self.window.0, self.window.1.saturating_sub(ROWS_SPARED));
        let (columns, rows) = match share {
            Share::Window => whole,
            Share::Cells(columns, rows) => (columns.min(whole.0), rows.min(whole.1)),
        };
        let cell = if let Graphics::Blocks(_) = self.graphics { (1, 2) } else { self.cell };
        let length = |cells: u16, pixels: u16| u32::from(cells.max(1)) * u32::from(pixels.max(1));
        (length(columns, cell.0), length(rows, cell.1))
    }
}

fn unwritten(error: png::EncodingError) -> WireError {
    WireError::new(Code::Internal, "the picture cannot be drawn").caused_by(error.to_string())
}

/// The pixels as a PNG file, compressed as fast as that goes: it mostly stays on this machine.
fn png(pixels: &Pixels) -> Result<Vec<u8>, png::EncodingError> {
    let mut file = Vec::new();
    let mut encoder = Encoder::new(&mut file, pixels.width, pixels.height);
    encoder.set_color(ColorType::Rgb);
    encoder.set_depth(BitDepth::Eight);
    encoder.set_compression(Compression::Fast);
    let mut writer = encoder.write_header()?;
    writer.write_image_data(&pixels.rgb)?;
    writer.finish()?;
    Ok(file)
}

/// A pixel of `rgb` as three bytes; black where there is none.
fn pixel(rgb: &[u8]) -> [u8; 3] {
    rgb.first_chunk().copied().unwrap_or_default()
}

#[cfg(test)]
mod tests;
