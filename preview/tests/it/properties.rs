//! Whatever the bytes, there is an answer and never a panic; and a preview keeps its promises.

use std::sync::LazyLock;

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::Index;

use crate::hostile::files;
use crate::samples::{make, photo, pixels};

static FILES: LazyLock<Vec<(&'static str, Vec<u8>)>> =
    LazyLock::new(|| [photo(70, 50), photo(400, 30), photo(3008, 16)].iter().flat_map(files).collect());

/// Makes the preview and the pixels of a screen, and checks what holds of all.
fn check(file: &[u8]) {
    if let Ok(pixels) = dos_preview::scale(std::io::Cursor::new(file), (1000, 300)) {
        assert!((1..=1000).contains(&pixels.width) && (1..=300).contains(&pixels.height));
        assert_eq!(pixels.rgb.len() as u64, u64::from(pixels.width) * u64::from(pixels.height) * 3);
    }
    if let Ok(picture) = make(file) {
        let preview = &picture.preview;
        assert!((1..=256).contains(&preview.width) && (1..=256).contains(&preview.height));
        assert!(preview.width <= picture.width && preview.height <= picture.height);
        let _pixels = pixels(&picture);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn random_bytes_behind_a_signature_never_panic(start in 0..5usize, rest in vec(any::<u8>(), 0..600)) {
        let starts: [&[u8]; 5] = [
            b"\xff\xd8\xff\xc0\x00\x0b\x08\x00\x20\x00\x20\x01\x01\x11\x00\xff\xda\x00\x08\x01\x01\x00\x00\x3f\x00",
            b"\x89PNG\r\n\x1a\n",
            b"RIFF\x40\x00\x00\x00WEBPVP8 ",
            b"GIF89a\x20\x00\x20\x00\xf7",
            b"",
        ];
        check(&[starts[start], &rest].concat());
    }

    #[test]
    fn changed_files_never_panic(
        file in any::<Index>(),
        changes in vec((any::<Index>(), any::<u8>()), 1..12),
        early in any::<bool>(),
    ) {
        let mut file = file.get(&FILES).1.clone();
        // Half of the time only the headers, which are a small part of a file but most of the decisions.
        let len = if early { file.len().min(700) } else { file.len() };
        for (at, value) in changes {
            file[at.index(len)] = value;
        }
        check(&file);
    }

    #[test]
    fn pieces_put_together_never_panic(
        file in any::<Index>(),
        other in any::<Index>(),
        cuts in (any::<Index>(), any::<Index>()),
    ) {
        let (a, b) = (&file.get(&FILES).1, &other.get(&FILES).1);
        check(&[&a[..cuts.0.index(a.len())], &b[cuts.1.index(b.len())..]].concat());
    }
}
