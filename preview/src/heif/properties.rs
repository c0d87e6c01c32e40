//! The properties of the items of a HEIF file (ISO/IEC 23008-12 section 6.5) that matter for how a picture is shown.

use super::boxes::Bytes;
use crate::exif::Orientation;

/// What is told about an item.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Property {
    /// Width and height in pixels, before it is cropped and turned.
    Size(u32, u32),
    /// Quarter turns against the clock.
    Turns(u8),
    /// Left and right are exchanged, else top and bottom.
    Mirror(bool),
    /// Only a part of it is shown.
    Crop(Crop),
    /// An ICC profile.
    Icc(Vec<u8>),
    /// Its colours, by code points (ITU-T H.273).
    Codes(Codes),
    /// It is the opacity of another one.
    Opacity,
    /// How its data is coded, and what else is true of it whether it is known or not.
    Told,
    /// Anything else.
    Unknown,
}

/// Code points for colours.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Codes {
    pub(crate) primaries: u16,
    pub(crate) transfer: u16,
    pub(crate) matrix: u16,
    /// Whether samples use their full range.
    pub(crate) full: bool,
}

/// A part of a picture, as fractions: width, height, and the distance of its middle from that of the picture (ISO/IEC 14496-12
/// section 12.1.4).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Crop {
    sides: [(u32, u32); 2],
    offsets: [(i32, u32); 2],
}

/// A part of a picture in pixels: left, top, width, height.
pub(crate) type Window = (u32, u32, u32, u32);

impl Crop {
    /// The part of a picture of this size, if there is such a part.
    pub(crate) fn window(&self, (width, height): (u32, u32)) -> Option<Window> {
        let along = |index: usize, whole: u32| {
            let ((side, of), (offset, offset_of)) = (self.sides[index], self.offsets[index]);
            let side = i128::from(side.checked_div(of)?);
            // Half pixels of both add up: the middle of an odd side lies between two.
            let (whole, of) = (i128::from(whole), i128::from(offset_of));
            let start = ((whole - side) * of + 2 * i128::from(offset)).checked_div(2 * of)?;
            let fits = side > 0 && start >= 0 && start + side <= whole;
            fits.then(|| Some((u32::try_from(start).ok()?, u32::try_from(side).ok()?))).flatten()
        };
        let ((left, width), (top, height)) = (along(0, width)?, along(1, height)?);
        Some((left, top, width, height))
    }
}

impl Property {
    pub(crate) fn read(kind: [u8; 4], body: Bytes<'_>) -> Self {
        Self::known(kind, body).unwrap_or(Self::Unknown)
    }

    fn known(kind: [u8; 4], mut body: Bytes<'_>) -> Option<Self> {
        match &kind {
            b"ispe" => {
                body.version()?;
                Some(Self::Size(body.u32()?, body.u32()?))
            }
            b"irot" => Some(Self::Turns(body.u8()? & 3)),
            b"imir" => Some(Self::Mirror(body.u8()? & 1 == 1)),
            b"clap" => {
                let mut pair = || Some((body.u32()?, body.u32()?));
                let sides = [pair()?, pair()?];
                let offsets = [pair()?, pair()?].map(|(offset, of)| (offset.cast_signed(), of));
                Some(Self::Crop(Crop { sides, offsets }))
            }
            b"colr" => match &body.kind()? {
                b"prof" | b"rICC" => Some(Self::Icc(body.0.to_vec())),
                b"nclx" => Some(Self::Codes(Codes {
                    primaries: body.u16()?,
                    transfer: body.u16()?,
                    matrix: body.u16()?,
                    full: body.u8()? >> 7 == 1,
                })),
                _ => Some(Self::Told),
            },
            b"auxC" => {
                body.version()?;
                let name = body.0.split(|byte| *byte == 0).next()?;
                let opacity = [
                    b"urn:mpeg:mpegB:cicp:systems:auxiliary:alpha".as_slice(),
                    b"urn:mpeg:hevc:2015:auxid:1",
                    b"urn:mpeg:avc:2015:auxid:1",
                ];
                Some(if opacity.contains(&name) { Self::Opacity } else { Self::Told })
            }
            b"av1C" | b"hvcC" | b"pixi" | b"pasp" | b"a1op" | b"a1lx" | b"lsel" | b"clli" | b"mdcv"
            | b"cclv" | b"amve" | b"udes" | b"rloc" | b"altt" | b"aebr" | b"crtt" | b"mdft" | b"jpgC" => {
                Some(Self::Told)
            }
            _ => None,
        }
    }
}

/// How a picture is turned, by its properties in their order.
pub(crate) fn orientation(properties: &[&Property]) -> Orientation {
    let mut turned = Orientation::default();
    for property in properties {
        match property {
            // A quarter turn against the clock exchanges rows and columns, and then top and bottom.
            Property::Turns(count) => {
                for _ in 0..*count {
                    let Orientation { transpose, mirror, flip } = turned;
                    turned = Orientation { transpose: !transpose, mirror: flip, flip: !mirror };
                }
            }
            Property::Mirror(true) => turned.mirror ^= true,
            Property::Mirror(false) => turned.flip ^= true,
            _ => {}
        }
    }
    turned
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn turns_and_mirrors_add_up_in_their_order() {
        let (turn, sides, heads) = (Property::Turns(1), Property::Mirror(true), Property::Mirror(false));
        let exif = |value| Orientation::from_exif(value).unwrap();
        for (properties, value) in [
            (vec![], 1),
            (vec![&turn], 8),
            (vec![&turn, &turn], 3),
            (vec![&turn, &turn, &turn], 6),
            (vec![&turn, &turn, &turn, &turn], 1),
            (vec![&sides], 2),
            (vec![&heads], 4),
            (vec![&turn, &heads], 5),
            (vec![&turn, &sides], 7),
            // Before the turn it is the other way round.
            (vec![&sides, &turn], 5),
        ] {
            assert_eq!(orientation(&properties), exif(value), "{properties:?}");
        }
        assert_eq!(orientation(&[&Property::Turns(3)]), exif(6));
    }

    #[test]
    fn a_crop_lies_within_its_picture_or_is_none() {
        let crop = |width, height, x, y| Crop { sides: [(width, 1), (height, 1)], offsets: [(x, 1), (y, 1)] };
        assert_eq!(crop(60, 40, 0, 0).window((100, 50)), Some((20, 5, 60, 40)));
        assert_eq!(crop(60, 40, -20, 5).window((100, 50)), Some((0, 10, 60, 40)));
        let halves = Crop { sides: [(40, 1), (30, 1)], offsets: [(-1, 2), (5, 2)] };
        assert_eq!(halves.window((61, 41)), Some((10, 8, 40, 30)));
        for (crop, size) in [
            (crop(60, 40, -21, 0), (100, 50)),
            (crop(101, 40, 0, 0), (100, 50)),
            (crop(0, 40, 0, 0), (100, 50)),
            (crop(u32::MAX, u32::MAX, i32::MIN, i32::MAX), (1, 1)),
            (Crop { sides: [(1, 0); 2], offsets: [(0, 1); 2] }, (4, 4)),
            (Crop { sides: [(1, 1); 2], offsets: [(0, 0); 2] }, (4, 4)),
        ] {
            assert_eq!(crop.window(size), None, "{crop:?}");
        }
    }
}
