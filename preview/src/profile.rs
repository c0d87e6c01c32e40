//! What an image says about its colours, as a profile that the colour library can apply.
//!
//! Whatever is broken or out of range is no profile: colours are then shown as if they were sRGB, as other programs do.

use moxcms::{
    Chromaticity, CicpColorPrimaries, CicpProfile, ColorPrimaries, ColorProfile, DataColorSpace,
    MatrixCoefficients, ToneReprCurve, TransferCharacteristics, curve_from_gamma,
};

use crate::ICC_BYTES_MAX;

/// What an image says about its colours.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Space {
    /// An ICC profile as found.
    Icc(Vec<u8>),
    /// Code points for video signals (ITU-T H.273): colour primaries and transfer characteristics.
    Codes {
        /// Table 2.
        primaries: u8,
        /// Table 3.
        transfer: u8,
    },
    /// As PNG's gAMA and cHRM have it.
    Measured {
        /// The exponent by which light became samples: 0.45455 for those that suit a screen.
        gamma: Option<f32>,
        /// x and y of white, red, green and blue.
        chromaticities: Option<[(f32, f32); 4]>,
    },
}

impl Space {
    /// The profile, if it is one for `channels` and can be used.
    pub(crate) fn profile(&self, channels: DataColorSpace) -> Option<ColorProfile> {
        let profile = match self {
            Self::Icc(icc) if icc.len() <= ICC_BYTES_MAX => ColorProfile::new_from_slice(icc).ok()?,
            Self::Icc(_) => return None,
            Self::Codes { primaries, transfer } => codes(*primaries, *transfer, channels)?,
            Self::Measured { gamma, chromaticities } => measured(*gamma, *chromaticities, channels)?,
        };
        (profile.color_space == channels).then_some(profile)
    }
}

/// A grey profile with the transfer curve of sRGB.
pub(crate) fn srgb_grey() -> ColorProfile {
    let mut grey = ColorProfile::new_gray_with_gamma(2.2);
    grey.gray_trc = ColorProfile::new_srgb().red_trc;
    grey
}

fn grey(curve: ToneReprCurve) -> ColorProfile {
    let mut grey = srgb_grey();
    grey.gray_trc = Some(curve);
    grey
}

fn codes(primaries: u8, transfer: u8, channels: DataColorSpace) -> Option<ColorProfile> {
    let color_primaries = CicpColorPrimaries::try_from(primaries).ok()?;
    let transfer = TransferCharacteristics::try_from(transfer).ok()?;
    let curve = match transfer {
        // As pictures of the web are made, whatever the standard of video calls it.
        TransferCharacteristics::Bt709 | TransferCharacteristics::Bt601 => ColorProfile::new_srgb().red_trc?,
        TransferCharacteristics::Smpte2084 => screen_curve(pq_light),
        TransferCharacteristics::Hlg => screen_curve(hlg_light),
        other => ToneReprCurve::try_from(other).ok()?,
    };
    if channels == DataColorSpace::Gray {
        return Some(grey(curve));
    }
    let mut profile = ColorProfile::new_srgb();
    profile.cicp = None;
    profile.update_rgb_colorimetry_from_cicp(CicpProfile {
        color_primaries,
        transfer_characteristics: TransferCharacteristics::Srgb,
        matrix_coefficients: MatrixCoefficients::Identity,
        full_range: true,
    });
    // It is set if the primaries were known. The curve is ours.
    profile.cicp.take()?;
    Some(with_curve(profile, curve))
}

fn with_curve(mut profile: ColorProfile, curve: ToneReprCurve) -> ColorProfile {
    profile.red_trc = Some(curve.clone());
    profile.green_trc = Some(curve.clone());
    profile.blue_trc = Some(curve);
    profile
}

/// The light of a sheet of paper in pictures of high dynamic range, in cd/m² (ITU-R BT.2408 section 2).
const PAPER: f32 = 203.0;

/// A curve for a screen on which paper is white. Brighter light is cut off, as the range of a screen ends there.
fn screen_curve(light: impl Fn(f32) -> f32) -> ToneReprCurve {
    #[expect(clippy::cast_possible_truncation, reason = "it is clamped to the range before")]
    let entry =
        |sample: u16| ((light(f32::from(sample) / 4095.0) / PAPER).clamp(0.0, 1.0) * 65_535.0 + 0.5) as u16;
    ToneReprCurve::Lut((0..4096).map(entry).collect())
}

/// SMPTE ST 2084, in cd/m².
fn pq_light(sample: f32) -> f32 {
    let root = sample.powf(32.0 / 2523.0);
    let light = (root - 3424.0 / 4096.0).max(0.0) / (2413.0 / 128.0 - 2392.0 / 128.0 * root);
    10_000.0 * light.powf(16384.0 / 2610.0)
}

/// ITU-R BT.2100 table 5 on a screen of 1,000 cd/m², in cd/m².
fn hlg_light(sample: f32) -> f32 {
    const A: f32 = 0.178_832_77;
    let scene = if sample <= 0.5 {
        sample * sample / 3.0
    } else {
        (((sample - 0.559_910_7) / A).exp() + 0.284_668_92) / 12.0
    };
    1000.0 * scene.powf(1.2)
}

fn measured(
    gamma: Option<f32>,
    chromaticities: Option<[(f32, f32); 4]>,
    channels: DataColorSpace,
) -> Option<ColorProfile> {
    let srgb = ColorProfile::new_srgb();
    let curve = match gamma {
        // What is within a twentieth of a screen's means that of sRGB.
        Some(gamma) if (gamma * 2.2 - 1.0).abs() >= 0.05 => {
            if !(0.05..=20.0).contains(&gamma) {
                return None;
            }
            curve_from_gamma(1.0 / gamma)
        }
        _ => srgb.red_trc.clone()?,
    };
    if channels == DataColorSpace::Gray {
        return Some(grey(curve));
    }
    let mut profile = srgb;
    profile.cicp = None;
    if let Some(points) = chromaticities {
        let valid =
            |&(x, y): &(f32, f32)| (0.0..=1.0).contains(&x) && (0.01..=1.0).contains(&y) && x + y <= 1.0;
        // Three primaries on a line span no colours.
        let [_, r, g, b] = points;
        let area = (g.0 - r.0) * (b.1 - r.1) - (b.0 - r.0) * (g.1 - r.1);
        if !points.iter().all(valid) || area.abs() < 0.01 {
            return None;
        }
        let [white, red, green, blue] = points.map(|(x, y)| Chromaticity::new(x, y));
        profile.update_rgb_colorimetry(white.to_xyyb(), ColorPrimaries { red, green, blue });
    }
    Some(with_curve(profile, curve))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn curves_of_high_range_show_paper_white_and_rise() {
        // BT.2408 table 1: 203 cd/m² is 58 % of the signal of PQ, 75 % of HLG's.
        assert!((pq_light(0.5807) / PAPER - 1.0).abs() < 0.01, "{}", pq_light(0.5807));
        assert!((hlg_light(0.75) / PAPER - 1.0).abs() < 0.01, "{}", hlg_light(0.75));
        for light in [pq_light, hlg_light] {
            let ToneReprCurve::Lut(curve) = screen_curve(light) else { panic!("no table") };
            assert!(curve.is_sorted() && curve[0] == 0 && curve[4095] == 65_535);
        }
    }

    #[test]
    fn what_cannot_be_is_no_profile() {
        let rgb = DataColorSpace::Rgb;
        for (primaries, transfer) in [(0, 13), (2, 13), (1, 0), (1, 2), (200, 13), (1, 99)] {
            assert!(Space::Codes { primaries, transfer }.profile(rgb).is_none(), "{primaries} {transfer}");
        }
        let d65 = (0.3127, 0.329);
        for points in [[d65; 4], [d65, (2.0, 0.3), (0.3, 0.6), (0.15, 0.06)], [(f32::NAN, 0.3); 4]] {
            let space = Space::Measured { gamma: None, chromaticities: Some(points) };
            assert!(space.profile(rgb).is_none(), "{points:?}");
        }
        for gamma in [0.0, 1e6] {
            assert!(Space::Measured { gamma: Some(gamma), chromaticities: None }.profile(rgb).is_none());
        }
        assert!(Space::Icc(vec![0; 128]).profile(rgb).is_none());
    }
}
