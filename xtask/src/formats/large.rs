//! Time and memory for a picture of 12 megapixels in every format that there is an encoder for.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use anyhow::Result;
use image::{DynamicImage, ImageFormat, RgbImage};

use super::judged::Judged;

const SIZE: (u32, u32) = (4_000, 3_000);
/// Each is looked at so often; the middle counts.
const TIMES: usize = 3;

/// What libvips writes, as its command line has it.
const BY_VIPS: [(&str, &[&str]); 5] = [
    ("jpg", &["jpegsave", "--Q", "85"]),
    ("webp", &["webpsave", "--Q", "80"]),
    ("tif", &["tiffsave", "--compression", "lzw", "--predictor", "horizontal"]),
    ("avif", &["heifsave", "--compression", "av1", "--Q", "60", "--bitdepth", "8", "--effort", "2"]),
    ("heic", &["heifsave", "--compression", "hevc", "--Q", "60", "--bitdepth", "8"]),
];

/// Time and memory by the name of the format.
pub(super) fn measure(scratch: &Path) -> Result<BTreeMap<String, String>> {
    let mut measured = BTreeMap::new();
    for file in write(scratch)? {
        let (mut times, mut peak, mut format) = (Vec::new(), 0, String::new());
        for _ in 0..TIMES {
            let (judged, cost) = Judged::with_cost(&file, scratch)?;
            times.push(cost.milliseconds);
            peak = peak.max(cost.peak_kib);
            format = judged.format().to_owned();
        }
        times.sort_by(f64::total_cmp);
        let megabytes = std::fs::metadata(&file)?.len() / 100_000;
        let told = format!(
            "{:.0} ms, {} MiB ({}.{} MB)",
            times[TIMES / 2],
            peak.div_ceil(1024),
            megabytes / 10,
            megabytes % 10
        );
        measured.insert(format, told);
    }
    Ok(measured)
}

/// Writes the picture in all formats that can be written here.
fn write(scratch: &Path) -> Result<Vec<PathBuf>> {
    let picture = DynamicImage::from(painted());
    let mut files = Vec::new();
    for format in [ImageFormat::Png, ImageFormat::Bmp, ImageFormat::Qoi, ImageFormat::Pnm, ImageFormat::Tga] {
        let extension = format.extensions_str().first().copied().unwrap_or("bin");
        let file = scratch.join(format!("large.{extension}"));
        picture.save_with_format(&file, format)?;
        files.push(file);
    }
    let source = files[0].clone();
    for (extension, arguments) in BY_VIPS {
        let file = scratch.join(format!("large.{extension}"));
        let (save, options) = (arguments[0], &arguments[1..]);
        let mut command = Command::new("vips");
        command.arg(save).arg(&source).arg(&file).args(options);
        let status = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).status();
        if status.is_ok_and(|status| status.success()) {
            files.push(file);
        }
    }
    Ok(files)
}

/// Gradients, edges and grain.
fn painted() -> RgbImage {
    let mut grain = 12_345u32;
    RgbImage::from_fn(SIZE.0, SIZE.1, |x, y| {
        grain = grain.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        let noise = (grain >> 28) % 9;
        let disc = (x % 800).abs_diff(400).pow(2) + (y % 600).abs_diff(300).pow(2) < 40_000;
        let base = if disc { [200, 90, 40] } else { [x * 160 / SIZE.0 + 40, y * 140 / SIZE.1 + 60, 120] };
        image::Rgb(base.map(|value| u8::try_from(value + noise).unwrap_or(u8::MAX)))
    })
}
