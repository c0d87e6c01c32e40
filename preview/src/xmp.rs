//! Reads the orientation out of an XMP packet, and nothing else of it.
//!
//! The packet is not parsed: the property is found by its usual name, as an attribute or an element. Whatever looks
//! otherwise tells nothing.

use memchr::memmem;

use crate::exif::Orientation;

/// The orientation that the packet tells, if it tells one.
pub(crate) fn orientation(packet: &[u8]) -> Option<Orientation> {
    const NAME: &[u8] = b"tiff:Orientation";
    let rest = &packet[memmem::find(packet, NAME)? + NAME.len()..];
    let rest = rest.trim_ascii_start();
    let value = match rest.split_first()? {
        (b'>', value) => value.trim_ascii_start(),
        (b'=', value) => value
            .trim_ascii_start()
            .strip_prefix(b"\"")
            .or_else(|| value.trim_ascii_start().strip_prefix(b"'"))?,
        _ => return None,
    };
    let (digit, rest) = value.split_first()?;
    let ends = matches!(rest.trim_ascii_start().first(), Some(b'"' | b'\'' | b'<'));
    if !digit.is_ascii_digit() || !ends {
        return None;
    }
    Orientation::from_exif(u16::from(digit - b'0'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attributes_and_elements_tell_it_and_anything_odd_does_not() {
        let turned = Orientation::from_exif(6);
        for text in [
            "<rdf:Description tiff:Orientation=\"6\" a:b=\"1\"/>",
            "<rdf:Description tiff:Orientation = '6'/>",
            "<tiff:Orientation>6</tiff:Orientation>",
            "<tiff:Orientation>\n 6 </tiff:Orientation>",
        ] {
            assert_eq!(orientation(text.as_bytes()), turned, "{text}");
            for len in 0..text.len() {
                let cut = orientation(&text.as_bytes()[..len]);
                assert!(cut.is_none() || cut == turned, "{text} cut to {len}");
            }
        }
        for text in [
            "tiff:Orientation=\"60\"",
            "tiff:Orientation=\"9\"",
            "tiff:Orientation=6",
            "tiff:Orientations",
            "",
        ] {
            assert_eq!(orientation(text.as_bytes()), None, "{text}");
        }
    }
}
