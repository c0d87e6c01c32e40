//! The one call into libwebp: a file in memory becomes RGBA of a given size.
//!
//! This is the only module of the crate with `unsafe`. What it relies on: libwebp reads only within the slice that
//! it is given, and writes only within the buffer whose size it is told. It keeps neither after the call.

use libwebp_sys::{
    VP8StatusCode, WEBP_CSP_MODE, WebPBitstreamFeatures, WebPDecBuffer__bindgen_ty_1, WebPDecode,
    WebPDecoderConfig, WebPGetFeatures, WebPRGBABuffer,
};

use crate::shrink::to_usize;
use crate::{Format, PreviewError};

/// What came out of a frame.
pub(super) enum Pixels {
    /// All of it.
    Whole(Vec<u8>),
    /// The upper part; what is missing is transparent.
    Cut(Vec<u8>),
}

/// Decodes `file` (a RIFF file with one frame of `size` pixels), scaled to `scaled` pixels (not more than `size`), to
/// RGBA that is not premultiplied.
pub(super) fn decode(file: &[u8], size: (u32, u32), scaled: (u32, u32)) -> Result<Pixels, PreviewError> {
    let invalid = || PreviewError::damaged(Format::WebP, "its data is invalid");
    let mut config = WebPDecoderConfig::new().map_err(|()| invalid())?;
    check_features(file, size, &mut config.input)?;
    let mut rgba = vec![0; to_usize(scaled.0) * to_usize(scaled.1) * 4];
    let side = |length: u32| i32::try_from(length).map_err(|_| invalid());
    if scaled != size {
        config.options.use_scaling = 1;
        config.options.scaled_width = side(scaled.0)?;
        config.options.scaled_height = side(scaled.1)?;
        // The averages over many pixels hide what these two are for, and they take a third of the time.
        let shrinks_much = size.0.max(size.1) >= 4 * scaled.0.max(scaled.1);
        config.options.bypass_filtering = shrinks_much.into();
        config.options.no_fancy_upsampling = 1;
    }
    config.output.colorspace = WEBP_CSP_MODE::MODE_RGBA;
    config.output.is_external_memory = 1;
    config.output.u = WebPDecBuffer__bindgen_ty_1 {
        RGBA: WebPRGBABuffer { rgba: rgba.as_mut_ptr(), stride: side(scaled.0)? * 4, size: rgba.len() },
    };
    #[expect(unsafe_code, reason = "libwebp is a C library; no Rust decoder is as fast")]
    // SAFETY: `file` is valid for its length. `config` was initialised by libwebp; its output is external memory of
    // `scaled.0 * 4 * scaled.1` bytes, which is the size it is told, alive and not otherwise used during the call.
    // libwebp compares size and stride with the scaled dimensions and fails where they do not suffice.
    let status = unsafe { WebPDecode(file.as_ptr(), file.len(), &raw mut config) };
    match status {
        VP8StatusCode::VP8_STATUS_OK => Ok(Pixels::Whole(rgba)),
        VP8StatusCode::VP8_STATUS_OUT_OF_MEMORY => {
            Err(PreviewError::Unsupported("it takes more memory than there is"))
        }
        // Rows are written as they are decoded.
        _ if rgba.iter().any(|&sample| sample != 0) => Ok(Pixels::Cut(rgba)),
        _ => Err(invalid()),
    }
}

/// Makes sure that libwebp sees the dimensions which were checked.
fn check_features(
    file: &[u8],
    size: (u32, u32),
    input: &mut WebPBitstreamFeatures,
) -> Result<(), PreviewError> {
    #[expect(unsafe_code, reason = "libwebp is a C library")]
    // SAFETY: `file` is valid for its length, `input` is valid for writing; both are only used during the call.
    let status = unsafe { WebPGetFeatures(file.as_ptr(), file.len(), &raw mut *input) };
    let seen = (u32::try_from(input.width).ok(), u32::try_from(input.height).ok());
    if status == VP8StatusCode::VP8_STATUS_OK && seen == (Some(size.0), Some(size.1)) {
        Ok(())
    } else {
        Err(PreviewError::damaged(Format::WebP, "its data is invalid"))
    }
}
