//! Reads the orientation out of EXIF, and nothing else of it.
//!
//! Tolerant: whatever is not understood tells nothing. Bounded: one directory of at most 65,535 entries within
//! the bytes given. It follows no pointer but the one to the first directory.

/// How the stored pixels are to be turned for display: the values 1 to 8 of the tag Orientation
/// (0x0112, EXIF 2.32 section 4.6.4).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Orientation {
    /// Rows and columns are exchanged, first of all.
    pub(crate) transpose: bool,
    /// Then left and right are exchanged.
    pub(crate) mirror: bool,
    /// Then top and bottom are exchanged.
    pub(crate) flip: bool,
}

impl Orientation {
    pub(crate) fn from_exif(value: u16) -> Option<Self> {
        let (transpose, mirror, flip) = match value {
            1 => (false, false, false),
            2 => (false, true, false),
            3 => (false, true, true),
            4 => (false, false, true),
            5 => (true, false, false),
            6 => (true, true, false),
            7 => (true, true, true),
            8 => (true, false, true),
            _ => return None,
        };
        Some(Self { transpose, mirror, flip })
    }

    /// The dimensions after turning.
    pub(crate) fn displayed(self, width: u32, height: u32) -> (u32, u32) {
        if self.transpose { (height, width) } else { (width, height) }
    }
}

/// The orientation told by an EXIF block, if it tells one: a TIFF structure, with or without `Exif\0\0` before it.
pub(crate) fn orientation(exif: &[u8]) -> Option<Orientation> {
    let tiff = exif.strip_prefix(b"Exif\0\0").unwrap_or(exif);
    find(tiff).and_then(Orientation::from_exif)
}

fn find(tiff: &[u8]) -> Option<u16> {
    let little = match tiff.get(..4)? {
        [b'I', b'I', 42, 0] => true,
        [b'M', b'M', 0, 42] => false,
        _ => return None,
    };
    let short = |at: usize| {
        let bytes: [u8; 2] = tiff.get(at..at.checked_add(2)?)?.try_into().ok()?;
        Some(if little { u16::from_le_bytes(bytes) } else { u16::from_be_bytes(bytes) })
    };
    let long = |at: usize| {
        let bytes: [u8; 4] = tiff.get(at..at.checked_add(4)?)?.try_into().ok()?;
        Some(if little { u32::from_le_bytes(bytes) } else { u32::from_be_bytes(bytes) })
    };
    let directory = usize::try_from(long(4)?).ok()?;
    let count = usize::from(short(directory)?);
    for index in 0..count {
        let entry = directory.checked_add(2 + index * 12)?;
        if short(entry)? != 0x0112 {
            continue;
        }
        // The standard says SHORT; writers use every type of whole numbers (TIFF 6.0 section 2).
        return match short(entry + 2)? {
            1 | 6 => tiff.get(entry.checked_add(8)?).map(|&byte| byte.into()),
            3 | 8 => short(entry + 8),
            4 | 9 => u16::try_from(long(entry + 8)?).ok(),
            _ => None,
        };
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn block(little: bool, kind: u16, value: u16) -> Vec<u8> {
        let short = |v: u16| if little { v.to_le_bytes() } else { v.to_be_bytes() };
        let long = |v: u32| if little { v.to_le_bytes() } else { v.to_be_bytes() };
        let mut out = if little { b"II".to_vec() } else { b"MM".to_vec() };
        out.extend(short(42));
        out.extend(long(8));
        out.extend(short(2));
        for (tag, value) in [(0x0100, 7), (0x0112, value)] {
            out.extend(short(tag));
            out.extend(short(kind));
            out.extend(long(1));
            match kind {
                1 | 6 => out.extend([value.to_le_bytes()[0], 0, 0, 0]),
                3 | 8 => out.extend(short(value).into_iter().chain([0, 0])),
                _ => out.extend(long(value.into())),
            }
        }
        out.extend(long(0));
        out
    }

    #[test]
    fn orientation_is_read_in_both_byte_orders_types_and_with_prefix() {
        let expected = Some(Orientation { transpose: true, mirror: true, flip: false });
        for little in [true, false] {
            for kind in [1, 3, 4, 6, 8, 9] {
                let plain = block(little, kind, 6);
                assert_eq!(orientation(&plain), expected);
                assert_eq!(orientation(&[b"Exif\0\0", plain.as_slice()].concat()), expected);
            }
        }
    }

    #[test]
    fn anything_odd_tells_nothing() {
        let good = block(true, 3, 6);
        for len in 0..good.len() - 10 {
            assert_eq!(orientation(&good[..len]), None, "cut to {len}");
        }
        for kind in [0, 2, 5, 7, 10, 11, 12, 13] {
            assert_eq!(orientation(&block(true, kind, 6)), None, "type {kind}");
        }
        for value in [0, 9, 0xffff] {
            assert_eq!(orientation(&block(true, 3, value)), None);
        }
        assert_eq!(orientation(b"MM\0\x2a\xff\xff\xff\xff"), None);
    }
}
