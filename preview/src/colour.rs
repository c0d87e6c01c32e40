//! Brings pixels to sRGB: out of JPEG's colour spaces, and by what the image says about its colours.
//!
//! A profile that is broken, or that is for other channels than the image has, is ignored: colours are then shown
//! as if the image were sRGB, which is what other programs do. Inks are shown with the darkest that they can print as
//! black (black-point compensation), as on a screen nobody compares them with paper.

use moxcms::{ColorProfile, DataColorSpace, Layout, RenderingIntent, TransformOptions};

use crate::profile::{Space, srgb_grey};
use crate::raster::{Colour, Matrix};

/// Returns the pixels in sRGB and how many bytes each has: 1 for grey, else 3.
pub(crate) fn to_srgb(mut samples: Vec<u8>, colour: Colour, space: Option<&Space>) -> (Vec<u8>, usize) {
    let profile = |channels| space.and_then(|space| space.profile(channels));
    match colour {
        Colour::Grey => {
            match profile(DataColorSpace::Gray).and_then(|profile| apply_grey(&profile, &samples)) {
                Some(samples) => (samples, 1),
                None => (samples, 1),
            }
        }
        Colour::Rgb | Colour::Ycc | Colour::Video(_) => {
            match colour {
                Colour::Ycc => to_rgb(&mut samples, 3, BT601),
                Colour::Video(Matrix::Green) => {
                    samples.chunks_exact_mut(3).for_each(|pixel| pixel.rotate_right(1));
                }
                Colour::Video(matrix) => to_rgb(&mut samples, 3, weights(matrix)),
                _ => {}
            }
            match profile(DataColorSpace::Rgb).and_then(|profile| apply_rgb(&profile, &samples)) {
                Some(samples) => (samples, 3),
                None => (samples, 3),
            }
        }
        Colour::Cmyk { .. } | Colour::Ycck => {
            // Both as inks: 255 is full ink.
            match colour {
                Colour::Ycck => {
                    to_rgb(&mut samples, 4, BT601);
                    for sample in samples.iter_mut().skip(3).step_by(4) {
                        *sample = 255 - *sample;
                    }
                }
                Colour::Cmyk { inverted: true } => {
                    samples.iter_mut().for_each(|sample| *sample = 255 - *sample)
                }
                _ => {}
            }
            let converted = profile(DataColorSpace::Cmyk).and_then(|profile| apply_inks(&profile, &samples));
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

/// What the differences of blue and red add to red, to green and to blue, in 1/65,536.
type Weights = [[i32; 2]; 3];

/// BT.601, which JFIF 1.02 uses too.
const BT601: Weights = [[0, 91_881], [-22_554, -46_802], [116_130, 0]];

/// ITU-T H.273 table 4.
fn weights(matrix: Matrix) -> Weights {
    match matrix {
        Matrix::Bt601 => BT601,
        Matrix::Bt709 => [[0, 103_206], [-12_276, -30_679], [121_609, 0]],
        Matrix::Bt2020 => [[0, 96_639], [-10_784, -37_444], [123_299, 0]],
        Matrix::Fcc => [[0, 91_750], [-21_749, -46_653], [116_654, 0]],
        Matrix::Smpte240 => [[0, 103_285], [-14_852, -31_236], [119_669, 0]],
        Matrix::YCgCo => [[-65_536, 65_536], [65_536, 0], [-65_536, -65_536]],
        // Its samples are colours already.
        Matrix::Green => [[0; 2]; 3],
    }
}

/// The first three samples of every pixel are converted, over their full range.
fn to_rgb(samples: &mut [u8], count: usize, weights: Weights) {
    let clamp = |value: i32| u8::try_from((value >> 16).clamp(0, 255)).unwrap_or(u8::MAX);
    for pixel in samples.chunks_exact_mut(count) {
        let y = (i32::from(pixel[0]) << 16) + (1 << 15);
        let cb = i32::from(pixel[1]) - 128;
        let cr = i32::from(pixel[2]) - 128;
        for (sample, [blue, red]) in pixel.iter_mut().zip(weights) {
            *sample = clamp(y + blue * cb + red * cr);
        }
    }
}

/// The ways to bring colours over, in the order in which they are tried: a profile need not have them all.
const INTENTS: [RenderingIntent; 3] =
    [RenderingIntent::RelativeColorimetric, RenderingIntent::Perceptual, RenderingIntent::Saturation];

/// The first that succeeds.
fn by_any_intent<T>(make: impl FnMut(TransformOptions) -> Option<T>) -> Option<T> {
    INTENTS
        .map(|rendering_intent| TransformOptions { rendering_intent, ..Default::default() })
        .into_iter()
        .find_map(make)
}

fn apply_grey(profile: &ColorProfile, samples: &[u8]) -> Option<Vec<u8>> {
    // Grey in, grey out.
    let grey = srgb_grey();
    let transform = by_any_intent(|options| {
        profile.create_transform_8bit(Layout::Gray, &grey, Layout::Gray, options).ok()
    })?;
    let mut out = vec![0; samples.len()];
    transform.transform(samples, &mut out).ok()?;
    Some(out)
}

fn apply_rgb(profile: &ColorProfile, samples: &[u8]) -> Option<Vec<u8>> {
    let srgb = ColorProfile::new_srgb();
    let transform = by_any_intent(|options| {
        profile.create_transform_8bit(Layout::Rgb, &srgb, Layout::Rgb, options).ok()
    })?;
    let mut out = vec![0; samples.len()];
    transform.transform(samples, &mut out).ok()?;
    Some(out)
}

/// The library takes four inks in the layout of its four-channel pixels.
const INKS: Layout = Layout::Rgba;

fn apply_inks(profile: &ColorProfile, samples: &[u8]) -> Option<Vec<u8>> {
    let srgb = ColorProfile::new_srgb();
    let transform =
        by_any_intent(|options| profile.create_transform_16bit(INKS, &srgb, Layout::Rgb, options).ok())?;
    let convert = |inks: &[u8]| {
        let wide: Vec<u16> = inks.iter().map(|&ink| u16::from(ink) * 257).collect();
        let mut out = vec![0u16; inks.len() / 4 * 3];
        transform.transform(&wide, &mut out).ok()?;
        Some(out)
    };
    let black = darkest(profile, &srgb).and_then(|inks| convert(&inks)).map_or(0.0, |rgb| {
        let [r, g, b] = [rgb[0], rgb[1], rgb[2]].map(light);
        // Never more than half of the lightness is taken for black, whatever a profile says: that is L* 50.
        (0.2126 * r + 0.7152 * g + 0.0722 * b).min(0.184)
    });
    let pixels = convert(samples)?;
    // Black is neutral, so that in light it is the same part of every channel.
    let table: Vec<u8> =
        (0..=u16::MAX).step_by(16).map(|value| shown((light(value) - black) / (1.0 - black))).collect();
    Some(pixels.into_iter().map(|value| table[usize::from(value >> 4)]).collect())
}

/// The inks of the darkest neutral that the profile prints: those for black where it tells them, else all of them.
fn darkest(profile: &ColorProfile, srgb: &ColorProfile) -> Option<[u8; 4]> {
    let options = TransformOptions { rendering_intent: RenderingIntent::Perceptual, ..Default::default() };
    let mut inks = [255; 4];
    if let Ok(transform) = srgb.create_transform_8bit(Layout::Rgb, profile, INKS, options) {
        transform.transform(&[0; 3], &mut inks).ok()?;
    }
    Some(inks)
}

/// The light of a sample of sRGB (IEC 61966-2-1), from 0 to 1.
fn light(sample: u16) -> f32 {
    let sample = f32::from(sample) / 65_535.0;
    if sample <= 0.04045 { sample / 12.92 } else { ((sample + 0.055) / 1.055).powf(2.4) }
}

/// The sample of sRGB for this light.
#[expect(clippy::cast_possible_truncation, reason = "a float saturates, which is what is wanted")]
fn shown(light: f32) -> u8 {
    let sample = if light <= 0.003_130_8 { light * 12.92 } else { 1.055 * light.powf(1.0 / 2.4) - 0.055 };
    (sample * 255.0 + 0.5) as u8
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ycc_primaries_come_out_as_jfif_says() {
        let mut samples = vec![76, 85, 255, 150, 44, 21, 29, 255, 107, 128, 128, 128];
        to_rgb(&mut samples, 3, BT601);
        let expected = [254, 0, 0, 0, 255, 1, 0, 0, 254, 128, 128, 128];
        for (got, want) in samples.iter().zip(expected) {
            assert!(got.abs_diff(want) <= 1, "{samples:?}");
        }
    }

    #[test]
    fn a_profile_is_applied_only_to_images_of_its_kind() {
        let bytes = ColorProfile::new_display_p3().encode().unwrap();
        let profile = Space::Icc(bytes.clone());
        let red = vec![200, 30, 30];
        let (converted, _) = to_srgb(red.clone(), Colour::Rgb, Some(&profile));
        assert!(converted[0] > 205 && converted[1] < 30, "{converted:?}");
        assert_eq!(to_srgb(vec![9, 99, 199], Colour::Grey, Some(&profile)), (vec![9, 99, 199], 1));
        assert_eq!(to_srgb(red.clone(), Colour::Rgb, Some(&Space::Icc(bytes[..200].to_vec()))).0, red);
        let grey = Space::Icc(ColorProfile::new_gray_with_gamma(1.0).encode().unwrap());
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
