//! Previews of whole files: how good they are, what they must not contain, and what hostile files must not do.
//!
//! The images are made here, so that the truth is known; nothing needs to be installed. Only the lossy WebP files lie
//! in `tests/data`: they hold the image of `samples::photo`.

#![expect(clippy::unwrap_used, reason = "a failing unwrap is a failing test")]

mod avif;
mod bitmaps;
mod colours;
mod cut;
mod ends;
mod heic;
mod hostile;
mod jxl;
mod patterns;
mod placeholders;
mod properties;
mod quality;
mod raw;
mod samples;
mod scaled;
mod svg;
mod taken;
mod tiff;
mod turned;
