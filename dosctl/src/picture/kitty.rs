//! The kitty graphics protocol: a PNG file in base64, in chunks.
//!
//! <https://sw.kovidgoyal.net/kitty/graphics-protocol/>: `a=T` transmits and displays, `f=100` is PNG, `q=2` asks for no
//! answer, `m=1` says that more chunks follow. The picture is shown pixel by pixel; the cursor ends up on its last row.

use base64::{Engine, prelude::BASE64_STANDARD};

/// The most bytes of base64 in a chunk, as the protocol demands; all but the last are multiples of four.
const CHUNK_BYTES_MAX: usize = 4096;

/// Asks whether the terminal knows the protocol, by way of one pixel that is not shown.
pub(crate) const QUESTION: &[u8] = b"\x1b_Gi=31,s=1,v=1,a=q,t=d,f=24;AAAA\x1b\\";

/// What a terminal that knows it answers.
pub(crate) const YES: &[u8] = b"\x1b_Gi=31;OK";

/// The bytes that draw a PNG file.
#[must_use]
pub(crate) fn draw(png: &[u8]) -> Vec<u8> {
    let text = BASE64_STANDARD.encode(png);
    let mut out = Vec::with_capacity(text.len() + text.len() / 256 + 64);
    let mut chunks = text.as_bytes().chunks(CHUNK_BYTES_MAX).peekable();
    let mut first = true;
    while let Some(chunk) = chunks.next() {
        out.extend_from_slice(b"\x1b_G");
        if first {
            out.extend_from_slice(b"a=T,f=100,q=2,");
            first = false;
        }
        out.extend_from_slice(if chunks.peek().is_some() { b"m=1;" } else { b"m=0;" });
        out.extend_from_slice(chunk);
        out.extend_from_slice(b"\x1b\\");
    }
    out.push(b'\n');
    out
}
