//! Cameras' raw files: the JPEG in them is shown, and nothing in a file makes the search for it long.

use std::time::{Duration, Instant};

use dos_preview::{Format, PreviewError};

use crate::samples::{jpeg, make, photo};

/// A little-endian TIFF structure of directories whose entries are numbers; `next` links them.
fn structure(directories: &[&[(u16, u32)]], linked: bool) -> Vec<u8> {
    let mut out = b"II*\0\x08\0\0\0".to_vec();
    for (index, entries) in directories.iter().enumerate() {
        out.extend(u16::try_from(entries.len()).unwrap().to_le_bytes());
        for (tag, value) in *entries {
            out.extend(tag.to_le_bytes());
            out.extend(4u16.to_le_bytes());
            out.extend(1u32.to_le_bytes());
            out.extend(value.to_le_bytes());
        }
        let after = u32::try_from(out.len() + 4).unwrap();
        let more = linked && index + 1 < directories.len();
        out.extend(if more { after } else { 0 }.to_le_bytes());
    }
    out
}

fn shown(file: &[u8], size: (u32, u32)) {
    let picture = make(file).unwrap();
    assert_eq!((picture.format, picture.width, picture.height), (Format::Raw, size.0, size.1));
}

/// At 256: what the sensor gave, a small JPEG at 512 and a large one behind it.
fn dng(orientation: u32) -> Vec<u8> {
    let (small, large) = (jpeg(&photo(60, 40), |_| {}), jpeg(&photo(600, 400), |_| {}));
    let small_at = 512;
    let large_at = small_at + u32::try_from(small.len()).unwrap();
    let len = |file: &[u8]| u32::try_from(file.len()).unwrap();
    // The second directory follows the first of six entries.
    let second = 8 + 2 + 6 * 12 + 4;
    let mut file = structure(
        &[
            &[(254, 1), (274, orientation), (330, second), (513, small_at), (514, len(&small)), (50_706, 1)],
            &[(254, 0), (259, 7), (262, 6), (273, large_at), (279, len(&large))],
        ],
        false,
    );
    file.resize(512, 0);
    [file, small, large].concat()
}

#[test]
fn the_largest_jpeg_of_a_tiff_structure_is_shown_upright() {
    shown(&dng(1), (600, 400));
    shown(&dng(6), (400, 600));
}

/// Where directory and data stand in [`container()`].
fn directory_at(index: u32) -> u32 {
    256 * (index + 1)
}

fn data_at(index: u32) -> u32 {
    (index + 1) << 17
}

/// A directory: its entries of numbers, and which one follows.
type Entries<'a> = (&'a [(u16, &'a [u32])], Option<u32>);

/// A TIFF structure as cameras write it, of directories and of data that these point to.
fn container(start: &[u8; 4], behind: &[u8], directories: &[Entries<'_>], data: &[&[u8]]) -> Vec<u8> {
    let big = start.starts_with(b"M");
    let word = |value: u32| if big { value.to_be_bytes() } else { value.to_le_bytes() };
    let half = |value: u16| if big { value.to_be_bytes() } else { value.to_le_bytes() };
    let mut out = [start.as_slice(), &word(directory_at(0)), behind].concat();
    for (index, (entries, next)) in (0..).zip(directories) {
        out.resize(usize::try_from(directory_at(index)).unwrap(), 0);
        out.extend(half(u16::try_from(entries.len()).unwrap()));
        let mut values = Vec::new();
        for (tag, numbers) in *entries {
            out.extend([half(*tag), half(4)].concat());
            out.extend(word(u32::try_from(numbers.len()).unwrap()));
            if let [number] = numbers {
                out.extend(word(*number));
            } else {
                out.extend(word(directory_at(index) + 200 + u32::try_from(values.len()).unwrap()));
                values.extend(numbers.iter().flat_map(|number| word(*number)));
            }
        }
        out.extend(word(next.map_or(0, directory_at)));
        out.resize(usize::try_from(directory_at(index)).unwrap() + 200, 0);
        out.extend(values);
    }
    for (index, data) in (0..).zip(data) {
        out.resize(usize::try_from(data_at(index)).unwrap(), 0);
        out.extend_from_slice(data);
    }
    out
}

/// What a sensor gave as a lossless JPEG: its header, and data that is larger than any preview.
fn lossless() -> Vec<u8> {
    let mut out = b"\xff\xd8\xff\xc3\0\x0b\x0e\x03\xe8\x05\xdc\x01\0\x11\0".to_vec();
    out.resize(90_000, 0x5a);
    out
}

/// Sony: a preview in the first directory, a thumbnail in the next, and in later cameras the whole picture in a third.
fn arw(at: [u32; 4], lens: [u32; 4], data: &[&[u8]], third: bool) -> Vec<u8> {
    container(
        b"II*\0",
        &[],
        &[
            (
                &[(259, &[6]), (274, &[3]), (330, &[directory_at(3)]), (513, &[at[1]]), (514, &[lens[1]])],
                Some(1),
            ),
            (&[(259, &[6]), (513, &[at[0]]), (514, &[lens[0]])], if third { Some(2) } else { None }),
            (&[(259, &[6]), (513, &[at[2]]), (514, &[lens[2]])], None),
            (&[(254, &[0]), (259, &[32_767]), (262, &[32_803]), (273, &[at[3]]), (279, &[lens[3]])], None),
        ],
        data,
    )
}

#[test]
fn the_structures_of_cameras_are_shown_by_their_largest_jpeg_upright() {
    let (small, middle, large) =
        (jpeg(&photo(60, 40), |_| {}), jpeg(&photo(150, 100), |_| {}), jpeg(&photo(300, 200), |_| {}));
    let len = |file: &[u8]| u32::try_from(file.len()).unwrap();
    let sensor = lossless();
    let (at, lens) = ([0, 1, 2, 3].map(data_at), [len(&small), len(&middle), len(&large), len(&sensor)]);
    let data = [small.as_slice(), &middle, &large, &sensor];
    // Canon: the picture is the strip of the first directory; a thumbnail follows, then samples, then what the sensor gave, which says no
    // colours.
    let cr2 = container(
        b"II*\0",
        &[b"CR\x02\0".as_slice(), &directory_at(3).to_le_bytes()].concat(),
        &[
            (
                &[(256, &[300]), (257, &[200]), (259, &[6]), (273, &[at[2]]), (274, &[6]), (279, &[lens[2]])],
                Some(1),
            ),
            (&[(513, &[at[0]]), (514, &[lens[0]])], Some(2)),
            (
                &[(256, &[10]), (257, &[10]), (259, &[1]), (262, &[2]), (273, &[at[1]]), (279, &[300])],
                Some(3),
            ),
            (&[(259, &[6]), (273, &[at[3]]), (279, &[lens[3]]), (50_752, &[1, 2, 3])], None),
        ],
        &data,
    );
    shown(&cr2, (200, 300));
    // Nikon: a thumbnail of samples, and beside what the sensor gave a JPEG, each in a directory below the first.
    let nef = container(
        b"MM\0*",
        &[],
        &[
            (
                &[
                    (254, &[1]),
                    (256, &[10]),
                    (257, &[10]),
                    (259, &[1]),
                    (262, &[2]),
                    (273, &[at[1]]),
                    (274, &[8]),
                    (279, &[300]),
                    (330, &[directory_at(1), directory_at(2)]),
                ],
                None,
            ),
            (&[(254, &[1]), (259, &[6]), (513, &[at[2]]), (514, &[lens[2]])], None),
            (&[(254, &[0]), (259, &[34_713]), (262, &[32_803]), (273, &[at[3]]), (279, &[lens[3]])], None),
        ],
        &data,
    );
    shown(&nef, (200, 300));
    shown(&arw(at, lens, &data, true), (300, 200));
    shown(&arw(at, lens, &data, false), (150, 100));
}

#[test]
fn raf_and_cr3_are_shown() {
    let image = jpeg(&photo(600, 400), |_| {});
    let len = u32::try_from(image.len()).unwrap();
    let mut raf = b"FUJIFILMCCD-RAW 0201".to_vec();
    raf.resize(84, 0);
    raf.extend(160u32.to_be_bytes().into_iter().chain(len.to_be_bytes()));
    raf.resize(160, 0);
    shown(&[raf, image.clone()].concat(), (600, 400));
    let boxed = |name: &[u8], body: &[u8]| {
        let len = u32::try_from(body.len() + 8).unwrap();
        [&len.to_be_bytes(), name, body].concat()
    };
    let preview_id = b"\xea\xf4\x2b\x5e\x1c\x98\x4b\x88\xb9\xfb\xb7\xdc\x40\x6e\x4d\x16";
    let metadata_id = b"\x85\xc0\xb6\x87\x82\x0f\x11\xe0\x81\x11\xf4\xce\x46\x2b\x6a\x48";
    let preview = boxed(b"PRVW", &[&[0; 12], &len.to_be_bytes()[..], &image].concat());
    let turned = boxed(b"CMT1", &structure(&[&[(274, 6)]], false));
    let cr3 = [
        boxed(b"ftyp", b"crx \0\0\0\x01crx isom"),
        boxed(b"moov", &boxed(b"uuid", &[metadata_id.as_slice(), &turned].concat())),
        boxed(b"uuid", &[preview_id.as_slice(), &[0; 8], &preview].concat()),
    ];
    shown(&cr3.concat(), (400, 600));
}

#[test]
fn a_file_without_a_jpeg_and_one_that_leads_in_circles_end_soon() {
    let none = structure(&[&[(254, 0), (262, 32_803), (50_706, 1)]], false);
    assert!(matches!(make(&none), Err(PreviewError::Unsupported(_))));
    let circle = structure(&[&[(254, 0), (330, 8), (34_665, 8), (50_706, 1)]], false);
    let many: Vec<&[(u16, u32)]> = (0..3000).map(|_| [(50_706, 1)].as_slice()).collect();
    for file in [circle, structure(&many, true)] {
        let start = Instant::now();
        assert!(make(&file).is_err());
        assert!(start.elapsed() < Duration::from_secs(1));
    }
}

#[test]
fn nothing_in_a_file_makes_it_panic() {
    let file = dng(3);
    for at in 0..700 {
        let mut odd = file.clone();
        odd[at] ^= 0xff;
        drop(make(&odd));
        drop(make(&file[..at]));
    }
}
