//! Brings pixels to sRGB: out of JPEG's colour spaces, and by the embedded ICC profile where there is one.
//!
//! A profile that is broken, or that is for other channels than the image has, is ignored: colours are then shown
//! as if the image were sRGB, which is what other programs do.

use moxcms::{ColorProfile, DataColorSpace, Layout, RenderingIntent, TransformOptions};

use crate::ICC_BYTES_MAX;
use crate::raster::Colour;

/// Returns the pixels in sRGB and how many bytes each has: 1 for grey, else 3.
pub(crate) fn to_srgb(mut samples: Vec<u8>, colour: Colour, icc: Option<&[u8]>) -> (Vec<u8>, usize) {
    let icc = icc.filter(|profile| profile.len() <= ICC_BYTES_MAX);
    match colour {
        Colour::Grey => match icc.and_then(|icc| apply(icc, &samples, DataColorSpace::Gray)) {
            Some(samples) => (samples, 1),
            None => (samples, 1),
        },
        Colour::Rgb | Colour::Ycc => {
            if colour == Colour::Ycc {
                ycc_to_rgb(&mut samples, 3);
            }
            match icc.and_then(|icc| apply(icc, &samples, DataColorSpace::Rgb)) {
                Some(samples) => (samples, 3),
                None => (samples, 3),
            }
        }
        Colour::Cmyk { .. } | Colour::Ycck => {
            // Both as inks: 255 is full ink.
            match colour {
                Colour::Ycck => {
                    ycc_to_rgb(&mut samples, 4);
                    for sample in samples.iter_mut().skip(3).step_by(4) {
                        *sample = 255 - *sample;
                    }
                }
                Colour::Cmyk { inverted: true } => {
                    samples.iter_mut().for_each(|sample| *sample = 255 - *sample)
                }
                _ => {}
            }
            let converted = icc.and_then(|icc| apply(icc, &samples, DataColorSpace::Cmyk));
            (converted.unwrap_or_else(|| cmyk_to_rgb(&samples)), 3)
        }
    }
}

/// Inks without a profile: each takes its share of the light.
fn cmyk_to_rgb(inks: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(inks.len() / 4 * 3);
    for pixel in inks.chunks_exact(4) {
        let light = 255 - u32::from(pixel[3]);
        for &ink in &pixel[..3] {
            out.push(byte((255 - u32::from(ink)) * light / 255));
        }
    }
    out
}

fn byte(value: u32) -> u8 {
    u8::try_from(value).unwrap_or(u8::MAX)
}

/// JFIF 1.02: BT.601 over the full range, here in 1/65,536. The first three samples of every pixel are converted.
fn ycc_to_rgb(samples: &mut [u8], count: usize) {
    let clamp = |value: i32| u8::try_from((value >> 16).clamp(0, 255)).unwrap_or(u8::MAX);
    for pixel in samples.chunks_exact_mut(count) {
        let y = (i32::from(pixel[0]) << 16) + (1 << 15);
        let cb = i32::from(pixel[1]) - 128;
        let cr = i32::from(pixel[2]) - 128;
        pixel[0] = clamp(y + 91_881 * cr);
        pixel[1] = clamp(y - 22_554 * cb - 46_802 * cr);
        pixel[2] = clamp(y + 116_130 * cb);
    }
}

/// Converts by the profile, if it is one for `space` that can be used.
fn apply(icc: &[u8], samples: &[u8], space: DataColorSpace) -> Option<Vec<u8>> {
    let profile = ColorProfile::new_from_slice(icc).ok()?;
    if profile.color_space != space {
        return None;
    }
    let (source, per_pixel, target, out_per_pixel) = match space {
        DataColorSpace::Gray => (Layout::Gray, 1, Layout::Gray, 1),
        DataColorSpace::Rgb => (Layout::Rgb, 3, Layout::Rgb, 3),
        // The library takes four inks in the layout of its four-channel pixels.
        _ => (Layout::Rgba, 4, Layout::Rgb, 3),
    };
    let srgb = match space {
        DataColorSpace::Gray => {
            // Grey in, grey out: a grey profile with the transfer curve of sRGB.
            let mut grey = ColorProfile::new_gray_with_gamma(2.2);
            grey.gray_trc = ColorProfile::new_srgb().red_trc;
            grey
        }
        _ => ColorProfile::new_srgb(),
    };
    let options =
        TransformOptions { rendering_intent: RenderingIntent::RelativeColorimetric, ..Default::default() };
    let transform = profile.create_transform_8bit(source, &srgb, target, options).ok()?;
    let mut out = vec![0; samples.len() / per_pixel * out_per_pixel];
    transform.transform(samples, &mut out).ok()?;
    Some(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ycc_primaries_come_out_as_jfif_says() {
        let mut samples = vec![76, 85, 255, 150, 44, 21, 29, 255, 107, 128, 128, 128];
        ycc_to_rgb(&mut samples, 3);
        let expected = [254, 0, 0, 0, 255, 1, 0, 0, 254, 128, 128, 128];
        for (got, want) in samples.iter().zip(expected) {
            assert!(got.abs_diff(want) <= 1, "{samples:?}");
        }
    }

    #[test]
    fn a_profile_is_applied_only_to_images_of_its_kind() {
        let profile = ColorProfile::new_display_p3().encode().unwrap();
        let red = vec![200, 30, 30];
        let (converted, _) = to_srgb(red.clone(), Colour::Rgb, Some(&profile));
        assert!(converted[0] > 205 && converted[1] < 30, "{converted:?}");
        assert_eq!(to_srgb(vec![9, 99, 199], Colour::Grey, Some(&profile)), (vec![9, 99, 199], 1));
        assert_eq!(to_srgb(red.clone(), Colour::Rgb, Some(&profile[..200])).0, red);
        let grey = ColorProfile::new_gray_with_gamma(1.0).encode().unwrap();
        let (converted, _) = to_srgb(vec![0, 55, 255], Colour::Grey, Some(&grey));
        assert!((converted[0], converted[2]) == (0, 255) && converted[1].abs_diff(127) < 3, "{converted:?}");
    }

    #[test]
    fn inks_multiply_and_adobe_inks_are_inverted() {
        let red = [0, 255, 255, 0];
        assert_eq!(to_srgb(red.to_vec(), Colour::Cmyk { inverted: false }, None).0, [255, 0, 0]);
        let inverted = red.map(|ink| 255 - ink).to_vec();
        assert_eq!(to_srgb(inverted, Colour::Cmyk { inverted: true }, None).0, [255, 0, 0]);
        assert_eq!(to_srgb(vec![0, 0, 0, 255], Colour::Cmyk { inverted: false }, None).0, [0, 0, 0]);
    }
}
