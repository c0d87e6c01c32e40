//! What an image says about its colours is applied, in each of the ways in which it can be said.

use image::{ImageFormat, Luma, Rgb, RgbImage};
use jpeg_encoder::{ColorType, SamplingFactor};
use moxcms::{
    ColorProfile, DataColorSpace, LutDataType, LutStore, LutType, LutWarehouse, Matrix3d, ProfileClass,
};

use crate::samples::{file, jpeg, jpeg_of, make, pixels, with_png_chunk};

/// The colour of an image of one colour.
fn shown(file: &[u8]) -> [u8; 3] {
    pixels(&make(file).unwrap()).get_pixel(20, 20).0
}

fn assert_near(name: &str, got: [u8; 3], wanted: [u8; 3], most: u8) {
    let near = got.iter().zip(wanted).all(|(got, wanted)| got.abs_diff(wanted) <= most);
    assert!(near, "{name}: {got:?}, not {wanted:?}");
}

/// A table of 16 bits over two levels of every channel, to Lab. The first channel changes slowest.
fn table(inputs: u8, lab: impl Fn(&[bool]) -> [f64; 3]) -> LutWarehouse {
    let nodes = 0..1usize << inputs;
    let level = |node: usize| -> Vec<bool> { (0..inputs).rev().map(|bit| node >> bit & 1 == 1).collect() };
    #[expect(clippy::cast_possible_truncation, reason = "values are within their range")]
    let clut = nodes
        .flat_map(|node| {
            let [l, a, b] = lab(&level(node));
            [(l * 652.8) as u16, ((a + 128.0) * 256.0) as u16, ((b + 128.0) * 256.0) as u16]
        })
        .collect();
    let straight = |count: u8| LutStore::Store16([0, u16::MAX].repeat(count.into()));
    LutWarehouse::Lut(LutDataType {
        num_input_channels: inputs,
        num_output_channels: 3,
        num_clut_grid_points: 2,
        matrix: Matrix3d::IDENTITY,
        num_input_table_entries: 2,
        num_output_table_entries: 2,
        input_table: straight(inputs),
        clut_table: LutStore::Store16(clut),
        output_table: straight(3),
        lut_type: LutType::Lut16,
    })
}

/// A profile with a table for the perceptual intent alone (A2B0).
fn profile(space: DataColorSpace, table: LutWarehouse) -> Vec<u8> {
    let mut profile = ColorProfile::new_srgb();
    for tag in [&mut profile.red_trc, &mut profile.green_trc, &mut profile.blue_trc] {
        *tag = None;
    }
    profile.cicp = None;
    profile.color_space = space;
    profile.pcs = DataColorSpace::Lab;
    profile.profile_class = ProfileClass::OutputDevice;
    profile.lut_a_to_b_perceptual = Some(table);
    profile.encode().unwrap()
}

#[test]
fn a_profile_with_a_perceptual_table_alone_is_applied() {
    // Its red channel is all that counts, as lightness.
    let icc = profile(DataColorSpace::Rgb, table(3, |rgb| [if rgb[0] { 100.0 } else { 0.0 }, 0.0, 0.0]));
    let image = RgbImage::from_pixel(80, 60, Rgb([128, 0, 255]));
    let got = shown(&jpeg(&image, |encoder| {
        encoder.set_sampling_factor(SamplingFactor::F_1_1);
        encoder.add_icc_profile(&icc).unwrap();
    }));
    // L* 50 is a sample of 119.
    assert_near("red as lightness", got, [119; 3], 4);
}

#[test]
fn the_darkest_inks_of_a_profile_are_black() {
    // Black ink has L* 20, and three others together L* 40.
    let lightness = |inks: &[bool]| match inks {
        [_, _, _, true] => 20.0,
        inks => 100.0 - 20.0 * f64::from(u8::try_from(inks.iter().filter(|&&ink| ink).count()).unwrap()),
    };
    let icc = profile(DataColorSpace::Cmyk, table(4, |inks| [lightness(inks), 0.0, 0.0]));
    for (name, inks, wanted) in [
        ("black", [0, 0, 0, 255], [0; 3]),
        ("everything", [255; 4], [0; 3]),
        ("paper", [0; 4], [255; 3]),
        // L* 60 has 28.1 % of the light, and 25.9 % of that above black, which is 3 %.
        ("two inks", [255, 255, 0, 0], [140; 3]),
    ] {
        let pixels: Vec<u8> = inks.repeat(80 * 60);
        let got = shown(&jpeg_of(&pixels, (80, 60), ColorType::Cmyk, |encoder| {
            encoder.add_icc_profile(&icc).unwrap();
        }));
        assert_near(name, got, wanted, 4);
    }
}

fn chromaticities(points: [(f64, f64); 4]) -> Vec<u8> {
    #[expect(clippy::cast_possible_truncation, reason = "values are within their range")]
    let scaled = |value: f64| ((value * 100_000.0 + 0.5) as u32).to_be_bytes();
    points.iter().flat_map(|&(x, y)| [scaled(x), scaled(y)].concat()).collect()
}

#[test]
fn colours_of_a_png_are_those_of_its_code_points_or_its_measures() {
    let red = file(RgbImage::from_pixel(80, 60, Rgb([200, 30, 30])), ImageFormat::Png);
    let plain = [200, 30, 30];
    // Display P3, as its ICC profile makes it of the same samples.
    let p3 = [218, 0, 6];
    let gamma = |gamma: u32| with_png_chunk(&red, b"gAMA", &gamma.to_be_bytes());
    let p3_points = chromaticities([(0.3127, 0.329), (0.68, 0.32), (0.265, 0.69), (0.15, 0.06)]);
    let cicp = |codes: &[u8]| with_png_chunk(&red, b"cICP", codes);
    for (name, file, wanted) in [
        ("code points", cicp(&[12, 13, 0, 1]), p3),
        ("code points of sRGB", cicp(&[1, 13, 0, 1]), plain),
        ("code points of narrow range", cicp(&[12, 13, 0, 0]), plain),
        ("unknown code points", cicp(&[2, 13, 0, 1]), plain),
        (
            "code points before measures",
            with_png_chunk(&cicp(&[12, 13, 0, 1]), b"gAMA", &100_000u32.to_be_bytes()),
            p3,
        ),
        ("measures", with_png_chunk(&gamma(45_455), b"cHRM", &p3_points), p3),
        ("linear light", gamma(100_000), [227, 95, 95]),
        ("the gamma of a screen", gamma(45_455), plain),
        ("no gamma", gamma(0), plain),
        ("sRGB before measures", with_png_chunk(&gamma(100_000), b"sRGB", &[0]), plain),
    ] {
        assert_near(name, shown(&file), wanted, 5);
    }
    let grey = image::GrayImage::from_pixel(80, 60, Luma([30]));
    let grey = with_png_chunk(&file(grey, ImageFormat::Png), b"gAMA", &100_000u32.to_be_bytes());
    assert_near("grey linear light", shown(&grey), [95; 3], 3);
}

#[test]
fn pictures_of_high_dynamic_range_show_paper_as_white() {
    // 58 % of the signal by PQ, 75 % by HLG: 203 cd/m².
    for (codes, paper) in [([9, 16, 0, 1], 148), ([9, 18, 0, 1], 191)] {
        let image = RgbImage::from_pixel(80, 60, Rgb([paper; 3]));
        let file = with_png_chunk(&file(image, ImageFormat::Png), b"cICP", &codes);
        assert_near("paper", shown(&file), [252; 3], 4);
    }
}
