//! Reads boxes and numbers (ISO/IEC 14496-12 section 4.2) out of bytes that are in memory. What ends too early is nothing, and never
//! read beyond its end.

/// Bytes that are read from their beginning.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Bytes<'a>(pub(crate) &'a [u8]);

impl<'a> Bytes<'a> {
    pub(crate) fn take(&mut self, count: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(count)?;
        self.0 = rest;
        Some(taken)
    }

    /// A number of `len` bytes, at most 8; of none it is 0.
    pub(crate) fn number(&mut self, len: usize) -> Option<u64> {
        let bytes = if len <= 8 { self.take(len)? } else { return None };
        Some(bytes.iter().fold(0, |number, byte| number << 8 | u64::from(*byte)))
    }

    pub(crate) fn u8(&mut self) -> Option<u8> {
        self.take(1).map(|byte| byte[0])
    }

    pub(crate) fn u16(&mut self) -> Option<u16> {
        Some(u16::from_be_bytes(self.take(2)?.try_into().ok()?))
    }

    pub(crate) fn u32(&mut self) -> Option<u32> {
        Some(u32::from_be_bytes(self.take(4)?.try_into().ok()?))
    }

    /// The ID of an item, which has 32 bits in later versions.
    pub(crate) fn id(&mut self, wide: bool) -> Option<u32> {
        if wide { self.u32() } else { self.u16().map(u32::from) }
    }

    pub(crate) fn kind(&mut self) -> Option<[u8; 4]> {
        self.take(4)?.try_into().ok()
    }

    /// The version and the flags of a full box.
    pub(crate) fn version(&mut self) -> Option<(u8, u32)> {
        let word = self.u32()?;
        Some((word.to_be_bytes()[0], word & 0xff_ffff))
    }
}

/// The boxes in the content of another one, up to the first that is broken.
pub(crate) fn boxes(content: &[u8]) -> impl Iterator<Item = ([u8; 4], Bytes<'_>)> {
    let mut rest = Bytes(content);
    std::iter::from_fn(move || {
        let (kind, body) = head(&mut rest)?;
        Some((kind, Bytes(rest.take(body)?)))
    })
}

/// As [`boxes()`], to change what is in them.
pub(crate) fn boxes_mut(content: &mut [u8]) -> impl Iterator<Item = ([u8; 4], &mut [u8])> {
    let mut rest = content;
    std::iter::from_fn(move || {
        let mut bytes = Bytes(rest);
        let (kind, body) = head(&mut bytes)?;
        let taken = rest.len() - bytes.0.len();
        let (body, behind) = std::mem::take(&mut rest).get_mut(taken..)?.split_at_mut_checked(body)?;
        rest = behind;
        Some((kind, body))
    })
}

/// The kind of the box that begins here, and how many bytes of content follow.
fn head(bytes: &mut Bytes<'_>) -> Option<([u8; 4], usize)> {
    let len = bytes.u32()?;
    let kind = bytes.kind()?;
    let body = match len {
        0 => bytes.0.len(),
        1 => usize::try_from(bytes.number(8)?.checked_sub(16)?).ok()?,
        len => usize::try_from(len.checked_sub(8)?).ok()?,
    };
    Some((kind, body))
}

/// The first box of this kind.
pub(crate) fn find<'a>(content: &'a [u8], kind: &[u8; 4]) -> Option<Bytes<'a>> {
    boxes(content).find(|(found, _)| found == kind).map(|(_, body)| body)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn boxes_of_every_kind_of_length_are_read_and_broken_ones_end_it() {
        let long = [&[0, 0, 0, 1], b"long".as_slice(), &17u64.to_be_bytes(), b"x"].concat();
        let file =
            [b"\0\0\0\x0aabcdhi".as_slice(), b"\0\0\0\x08none", &long, b"\0\0\0\0restand more"].concat();
        let found: Vec<_> = boxes(&file).map(|(kind, body)| (kind, body.0)).collect();
        let expected: [([u8; 4], &[u8]); 4] =
            [(*b"abcd", b"hi"), (*b"none", b""), (*b"long", b"x"), (*b"rest", b"and more")];
        assert_eq!(found, expected);
        let mut copy = file.clone();
        let found: Vec<_> = boxes_mut(&mut copy).map(|(kind, body)| (kind, body.to_vec())).collect();
        assert_eq!(found, expected.map(|(kind, body)| (kind, body.to_vec())));
        for broken in [b"\0\0\0\x07abcd".as_slice(), b"\0\0\0\x10abcd", b"\0\0\0", b"\0\0\0\x01abcd\0\0"] {
            assert_eq!(boxes(broken).count(), 0);
            assert_eq!(boxes_mut(&mut broken.to_vec()).count(), 0);
        }
        let mut bytes = Bytes(&[1, 2, 3]);
        assert_eq!(
            (bytes.number(0), bytes.number(2), bytes.u16(), bytes.u8()),
            (Some(0), Some(258), None, Some(3))
        );
    }
}
