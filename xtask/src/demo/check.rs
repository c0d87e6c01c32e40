//! What must be true of files: their bytes, their modes, what is and what is not in them.

use std::{
    collections::HashSet,
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result, bail, ensure};
use image::{ImageFormat, RgbImage, imageops};

use super::pictures::{PLACE, Picture};

/// A preview fits in a square of so many pixels.
const PREVIEW_PIXELS_MAX: u32 = 256;
/// The mean difference of a channel, of 255, between a preview and its original that is still the same picture. Compression
/// and another way of shrinking make 1 to 3; a picture that is turned or another one makes over 20.
const DIFFERENCE_MAX: u64 = 8;
/// A slice of a file that says where it comes from.
const SLICE_BYTES: usize = 64;
/// So many slices of a file are looked for.
const SLICES: usize = 64;
/// A slice with fewer different bytes than this (zeros, a table, one colour) says nothing.
const SLICE_VARIETY: usize = 24;

/// The file's bytes.
///
/// # Errors
/// If it cannot be read.
pub(crate) fn bytes(path: &Path) -> Result<Vec<u8>> {
    fs::read(path).with_context(|| format!("cannot read {}", path.display()))
}

/// Two files are the same, bit for bit.
///
/// # Errors
/// If they are not; says where they differ.
pub(crate) fn same(copy: &Path, original: &Path) -> Result<()> {
    let (a, b) = (bytes(copy)?, bytes(original)?);
    if blake3::hash(&a) == blake3::hash(&b) {
        return Ok(());
    }
    let place = a.iter().zip(&b).position(|(a, b)| a != b).unwrap_or(a.len().min(b.len()));
    let (copy, original) = (copy.display(), original.display());
    bail!("{copy} ({} bytes) differs from {original} ({} bytes) at byte {place}", a.len(), b.len());
}

/// A file has this mode.
///
/// # Errors
/// If it has another.
pub(crate) fn mode(path: &Path, wanted: u32) -> Result<()> {
    let known = fs::symlink_metadata(path).with_context(|| format!("cannot look at {}", path.display()))?;
    let mode = known.permissions().mode() & 0o7777;
    ensure!(mode == wanted, "{} has mode {mode:o}, not {wanted:o}", path.display());
    Ok(())
}

/// A preview is a small upright JPEG of the picture, without what its EXIF said.
///
/// # Errors
/// What differs.
pub(crate) fn preview(path: &Path, of: &Picture) -> Result<()> {
    let (file, shown) = (bytes(path)?, path.display());
    let decoded = image::load_from_memory_with_format(&file, ImageFormat::Jpeg);
    let small = decoded.with_context(|| format!("{shown} is no JPEG"))?.into_rgb8();
    let (width, height) = small.dimensions();
    ensure!(width.max(height) <= PREVIEW_PIXELS_MAX, "{shown} has {width}x{height} pixels");
    ensure!(!contains(&file, PLACE.as_bytes()), "{shown} tells where the picture was taken");
    if let Some(looks) = &of.looks {
        ensure!(
            (width > height) == (looks.width() > looks.height()),
            "{shown} lies on its side: {width}x{height} pixels"
        );
        let difference = difference(&small, looks);
        ensure!(
            difference <= DIFFERENCE_MAX,
            "{shown} does not look like {}: a mean difference of {difference}",
            of.file
        );
    }
    Ok(())
}

fn difference(small: &RgbImage, looks: &RgbImage) -> u64 {
    let small = imageops::thumbnail(small, looks.width(), looks.height());
    let parts = small.as_raw().iter().zip(looks.as_raw());
    let sum: u64 = parts.map(|(a, b)| u64::from(a.abs_diff(*b))).sum();
    sum / u64::try_from(looks.as_raw().len()).unwrap_or(u64::MAX).max(1)
}

fn contains(bytes: &[u8], part: &[u8]) -> bool {
    bytes.windows(part.len()).any(|window| window == part)
}

/// Slices of a file, evenly spread, that are found nowhere by chance.
#[derive(Debug)]
pub(crate) struct Slices(HashSet<Vec<u8>>);

impl Slices {
    /// Those of these bytes. A file that has no such slice, because it is tiny or of one colour, has none.
    pub(crate) fn of(bytes: &[u8]) -> Self {
        // The first bytes of a file are tables that files of the same kind share.
        let content = bytes.get(bytes.len().min(1024)..).unwrap_or_default();
        let step = (content.len() / SLICES).max(1);
        let slices = content.windows(SLICE_BYTES).step_by(step);
        let telling = |slice: &&[u8]| slice.iter().collect::<HashSet<_>>().len() >= SLICE_VARIETY;
        Self(slices.filter(telling).map(<[u8]>::to_vec).collect())
    }

    /// How many there are.
    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    /// The first file below `directory` that has one of them in it.
    ///
    /// # Errors
    /// If something there cannot be read.
    pub(crate) fn found_in(&self, directory: &Path) -> Result<Option<PathBuf>> {
        for entry in
            fs::read_dir(directory).with_context(|| format!("cannot list {}", directory.display()))?
        {
            let entry = entry?;
            let (path, kind) = (entry.path(), entry.file_type()?);
            let found = if kind.is_dir() {
                self.found_in(&path)?
            } else if kind.is_file() {
                let file = bytes(&path)?;
                file.windows(SLICE_BYTES).any(|window| self.0.contains(window)).then_some(path)
            } else {
                None
            };
            if found.is_some() {
                return Ok(found);
            }
        }
        Ok(None)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn content(seed: u32) -> Vec<u8> {
        (0..8000u32).map(|n| blake3::hash(&(n ^ (seed << 20)).to_be_bytes()).as_bytes()[0]).collect()
    }

    #[test]
    fn a_file_is_found_inside_another_and_not_in_a_different_one() {
        let temp = tempfile::tempdir().unwrap();
        fs::create_dir(temp.path().join("sub")).unwrap();
        let holder = temp.path().join("sub/db");
        fs::write(&holder, [b"head".as_slice(), &content(1)[4000..], b"tail"].concat()).unwrap();
        assert_eq!(Slices::of(&content(1)).found_in(temp.path()).unwrap(), Some(holder));
        assert_eq!(Slices::of(&content(2)).found_in(temp.path()).unwrap(), None);
    }

    #[test]
    fn what_could_be_anywhere_is_not_looked_for() {
        assert_eq!(Slices::of(&[0; 8000]).len(), 0);
        assert_eq!(Slices::of(b"short").len(), 0);
        assert!(Slices::of(&content(1)).len() > 32);
    }

    #[test]
    fn a_difference_is_told() {
        let temp = tempfile::tempdir().unwrap();
        let (a, b) = (temp.path().join("a"), temp.path().join("b"));
        fs::write(&a, "abcd").unwrap();
        fs::write(&b, "abXd").unwrap();
        same(&a, &a).unwrap();
        assert!(same(&a, &b).unwrap_err().to_string().ends_with("at byte 2"));
        fs::set_permissions(&a, fs::Permissions::from_mode(0o640)).unwrap();
        mode(&a, 0o640).unwrap();
        assert!(mode(&a, 0o600).is_err());
    }
}
