//! Inline images of iTerm2, which WezTerm, mintty and others show too: a PNG file in base64.
//!
//! <https://iterm2.com/documentation-images.html>: `inline=1` shows it instead of saving it; width and height in pixels.

use base64::{Engine, prelude::BASE64_STANDARD};

/// The bytes that draw a PNG file of `size` pixels.
#[must_use]
pub(crate) fn draw(png: &[u8], (width, height): (u32, u32)) -> Vec<u8> {
    let head = format!(
        "\x1b]1337;File=inline=1;size={};width={width}px;height={height}px;preserveAspectRatio=1:",
        png.len()
    );
    let mut out = head.into_bytes();
    out.extend_from_slice(BASE64_STANDARD.encode(png).as_bytes());
    out.extend_from_slice(b"\x07\n");
    out
}
