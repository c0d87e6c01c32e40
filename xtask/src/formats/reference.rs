//! What libvips makes of a file, as the reference: a thumbnail of the same size, in sRGB, on white.

use std::{
    path::Path,
    process::{Command, Stdio},
};

use anyhow::Result;
use image::{RgbImage, imageops};

use super::scratch_file;

/// A block of pixels, as an eye sees it.
const BLOCK: u32 = 8;

/// How far the worst block of a preview is from that of the reference, on average over its pixels; nothing where libvips does not decode the file,
/// or shows it in other proportions: another page, or not turned.
pub(super) fn distance(file: &Path, preview: &Path, scratch: &Path) -> Result<Option<u8>> {
    let ours = image::open(preview)?.to_rgb8();
    let thumbnail = scratch_file(scratch, "reference.png");
    let mut command = Command::new("vipsthumbnail");
    command.args(["--size", "256x256>"]);
    // What has no profile is sRGB already, and taken through a profile it loses its shadows.
    if succeeds(Command::new("vipsheader").args(["-f", "icc-profile-data"]).arg(file)) {
        command.args(["--eprofile", "srgb"]);
    }
    if !succeeds(command.arg("-o").arg(&thumbnail).arg(file)) {
        return Ok(None);
    }
    let Ok(theirs) = image::open(&thumbnail) else { return Ok(None) };
    std::fs::remove_file(&thumbnail)?;
    let theirs = on_white(&theirs.to_rgba8());
    let (width, height) = ours.dimensions();
    // A side that is rounded otherwise.
    let near = |a: u32, b: u32, other: u32| a.abs_diff(b) <= 1 + other / 64;
    if !near(width, theirs.width(), height) || !near(height, theirs.height(), width) {
        return Ok(None);
    }
    let theirs = imageops::resize(&theirs, width, height, imageops::FilterType::Triangle);
    Ok(Some(worst_block(&ours, &theirs)))
}

fn succeeds(command: &mut Command) -> bool {
    let status = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).status();
    status.is_ok_and(|status| status.success())
}

fn on_white(image: &image::RgbaImage) -> RgbImage {
    RgbImage::from_fn(image.width(), image.height(), |x, y| {
        let [r, g, b, share] = image.get_pixel(x, y).0.map(u32::from);
        image::Rgb([r, g, b].map(|colour| {
            u8::try_from((colour * share + 255 * (255 - share) + 127) / 255).unwrap_or(u8::MAX)
        }))
    })
}

/// The largest difference of the averages of a block, in any channel.
fn worst_block(a: &RgbImage, b: &RgbImage) -> u8 {
    let mut worst = 0;
    for top in (0..a.height()).step_by(8) {
        for left in (0..a.width()).step_by(8) {
            let (mut sums, mut count) = ([0i32; 3], 0);
            for y in top..(top + BLOCK).min(a.height()) {
                for x in left..(left + BLOCK).min(a.width()) {
                    let (a, b) = (a.get_pixel(x, y).0, b.get_pixel(x, y).0);
                    for ((sum, a), b) in sums.iter_mut().zip(a).zip(b) {
                        *sum += i32::from(a) - i32::from(b);
                    }
                    count += 1;
                }
            }
            // A few pixels at an edge are no block.
            if count >= 16 {
                let most = sums.iter().map(|sum| sum.abs() / count).max().unwrap_or(0);
                worst = worst.max(most);
            }
        }
    }
    u8::try_from(worst).unwrap_or(u8::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_worst_block_counts_and_noise_does_not() {
        let mut a = RgbImage::from_pixel(64, 40, image::Rgb([100; 3]));
        let b = a.clone();
        for (x, y, pixel) in a.enumerate_pixels_mut() {
            pixel.0[0] = if (x + y) % 2 == 0 { 90 } else { 110 };
        }
        assert_eq!(worst_block(&a, &b), 0);
        for (x, y) in (16..24).flat_map(|x| (8..16).map(move |y| (x, y))) {
            a.put_pixel(x, y, image::Rgb([100, 100, 60]));
        }
        assert_eq!(worst_block(&a, &b), 40);
    }

    #[test]
    fn what_is_seen_through_is_seen_on_white() {
        let half = image::RgbaImage::from_pixel(1, 1, image::Rgba([0, 255, 100, 128]));
        assert_eq!(on_white(&half).get_pixel(0, 0).0, [127, 255, 177]);
    }
}
