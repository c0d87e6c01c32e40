//! One decoded picture of AV1: its planes as rows of bytes that use their full range.

use re_rav1d::dav1d::{Decoder, InloopFilterType, Picture, PixelLayout, PlanarImageComponent, Settings};

use super::header::Header;
use crate::shrink::to_usize;

/// The names of the planes in the decoder.
const PLANES: [PlanarImageComponent; 3] =
    [PlanarImageComponent::Y, PlanarImageComponent::U, PlanarImageComponent::V];

/// The most turns to take pictures out of the decoder: two for each of the frames that a header allows.
const TURNS_MAX: usize = 2 * super::header::FRAMES_MAX;

/// A decoded picture.
pub(super) struct Frame {
    pub(super) header: Header,
    picture: Picture,
    /// What samples of luminance and of colour differences mean, as bytes.
    tables: [Vec<u8>; 2],
}

impl Frame {
    /// Decodes a stream whose header was read; no frame of it has more pixels than `pixels_max`. If it `shrinks_much`, edges of blocks are left as
    /// they are.
    pub(super) fn decode(
        stream: Vec<u8>,
        header: Header,
        pixels_max: u32,
        shrinks_much: bool,
    ) -> Result<Self, String> {
        let mut settings = Settings::new();
        // With one thread all is done here, and frames come as their data does.
        settings.set_n_threads(1);
        settings.set_max_frame_delay(1);
        settings.set_frame_size_limit(pixels_max);
        settings.set_apply_grain(false);
        settings.set_all_layers(false);
        // What is predicted within a frame is predicted from samples that no filter has seen (AV1 specification, section 7.11.2), so that nothing
        // else changes; averages over many pixels hide what they are for.
        if shrinks_much && header.is_alone {
            settings.set_inloop_filters(InloopFilterType::empty());
        }
        let mut decoder = Decoder::with_settings(&settings).map_err(|error| error.to_string())?;
        let picture = last_picture(&mut decoder, stream)?;
        drop(decoder);
        let kind = (picture.bits_per_component().map(|bits| bits.0), picture.pixel_layout());
        if kind != (Some(header.bits.into()), layout(&header)) {
            return Err("it contradicts its header".to_owned());
        }
        Ok(Self { header, picture, tables: [table(&header, true), table(&header, false)] })
    }

    pub(super) fn size(&self) -> (u32, u32) {
        (self.picture.width(), self.picture.height())
    }

    /// How many planes there are.
    pub(super) fn planes(&self) -> usize {
        if self.header.chroma.is_some() { 3 } else { 1 }
    }

    /// By how many bits a plane is coarser than the picture, across and down.
    pub(super) fn coarser(&self, plane: usize) -> (u32, u32) {
        match self.header.chroma {
            Some((across, down)) if plane > 0 => (across.into(), down.into()),
            _ => (0, 0),
        }
    }

    /// The size of a plane.
    pub(super) fn plane_size(&self, plane: usize) -> (u32, u32) {
        let ((width, height), (across, down)) = (self.size(), self.coarser(plane));
        (width.div_ceil(1 << across), height.div_ceil(1 << down))
    }

    /// Puts a row of a plane into `row`. `differences` says whether its samples are differences of colour, which lie around 128.
    pub(super) fn row(&self, plane: usize, y: u32, differences: bool, row: &mut Vec<u8>) {
        row.clear();
        let Some(&name) = PLANES.get(plane) else { return };
        let data = self.picture.plane(name);
        let width = to_usize(self.plane_size(plane).0);
        let start = to_usize(y) * to_usize(self.picture.stride(name));
        let samples = data.get(start..).unwrap_or_default();
        let table = &self.tables[usize::from(differences)];
        let meaning = |sample: usize| table.get(sample).copied().unwrap_or(u8::MAX);
        if self.header.bits == 8 {
            row.extend(samples.iter().take(width).map(|&sample| meaning(sample.into())));
        } else {
            let samples = samples.chunks_exact(2).take(width);
            row.extend(samples.map(|sample| meaning(u16::from_ne_bytes([sample[0], sample[1]]).into())));
        }
    }
}

/// Decodes all frames of a stream, and keeps the last.
fn last_picture(decoder: &mut Decoder, stream: Vec<u8>) -> Result<Picture, String> {
    let mut last = None;
    let mut sent = decoder.send_data(stream, None, None, None);
    // Each turn takes out a picture, or hands over more; the header has told that there are few.
    for _ in 0..TURNS_MAX {
        match (decoder.get_picture(), &sent) {
            (Ok(picture), _) => last = Some(picture),
            (Err(why), Ok(())) if why.is_again() => break,
            (Err(why), Err(waits)) if why.is_again() && waits.is_again() => {
                sent = decoder.send_pending_data()
            }
            (Err(why), Err(waits)) if why.is_again() => return Err(waits.to_string()),
            (Err(why), _) => return Err(why.to_string()),
        }
    }
    last.ok_or_else(|| "it has no picture".to_owned())
}

fn layout(header: &Header) -> PixelLayout {
    match header.chroma {
        None => PixelLayout::I400,
        Some((0, _)) => PixelLayout::I444,
        Some((_, 0)) => PixelLayout::I422,
        Some(_) => PixelLayout::I420,
    }
}

/// What every sample means as a byte (ITU-T H.273 section 8.3): luminance, and colours themselves, from 0 to 255; differences of colour around
/// 128.
fn table(header: &Header, differences: bool) -> Vec<u8> {
    let scale = i32::from(1u16 << (header.bits - 8));
    let max = 256 * scale - 1;
    let (low, range) = match (header.full, differences) {
        (true, false) => (0, max),
        (true, true) => (128 * scale, max),
        (false, false) => (16 * scale, 219 * scale),
        (false, true) => (128 * scale, 224 * scale),
    };
    let offset = if differences { 128 } else { 0 };
    let meaning = |sample: i32| {
        let value = (sample - low) * 510 + range;
        value.div_euclid(2 * range) + offset
    };
    (0..=max).map(|sample| u8::try_from(meaning(sample).clamp(0, 255)).unwrap_or(u8::MAX)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn samples_are_stretched_to_the_range_of_bytes() {
        let header = |bits, full| Header {
            size: (1, 1),
            bits,
            chroma: Some((1, 1)),
            primaries: 2,
            transfer: 2,
            matrix: 2,
            full,
            is_alone: true,
        };
        for (bits, scale) in [(8, 1), (10, 4), (12, 16)] {
            let whole = table(&header(bits, true), false);
            assert_eq!((whole.len(), whole[0], whole[whole.len() - 1]), (256 * scale, 0, 255));
            let differences = table(&header(bits, true), true);
            assert_eq!(
                (differences[0], differences[128 * scale], differences[256 * scale - 1]),
                (0, 128, 255)
            );
            let part = table(&header(bits, false), false);
            assert_eq!(
                (part[0], part[16 * scale], part[235 * scale], part[256 * scale - 1]),
                (0, 0, 255, 255)
            );
            let part = table(&header(bits, false), true);
            assert_eq!((part[16 * scale], part[128 * scale], part[240 * scale]), (1, 128, 255));
        }
    }

    #[test]
    fn edges_of_blocks_are_left_as_they_are_where_nobody_sees_them_and_no_other_frame_needs_them() {
        let file = include_bytes!("../../tests/data/avif/lossy-420.avif");
        let at = file.windows(4).position(|bytes| bytes == b"mdat").unwrap() + 4;
        let stream = &file[at..];
        let header = Header::read(stream).unwrap();
        assert!(header.is_alone);
        assert!(!Header::read(&[stream, stream].concat()).unwrap().is_alone, "two frames");
        let rows = |is_alone, shrinks_much| {
            let frame =
                Frame::decode(stream.to_vec(), Header { is_alone, ..header }, 1 << 20, shrinks_much).unwrap();
            let row = |y| {
                let mut row = Vec::new();
                frame.row(0, y, false, &mut row);
                row
            };
            (0..frame.size().1).map(row).collect::<Vec<_>>()
        };
        let smooth = rows(true, false);
        assert_ne!(rows(true, true), smooth);
        assert_eq!(rows(false, true), smooth);
    }
}
