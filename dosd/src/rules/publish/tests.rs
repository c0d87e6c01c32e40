//! Every publication, exactly.

use dos_protocol::{
    Code, Reason,
    directory::Preview,
    model::{Format, Original, SealedCopy},
    record::Described,
};

use super::{super::samples::*, *};

/// Another copy of the sample image.
fn publication() -> Publish {
    Publish {
        name: "sea".parse().unwrap(),
        original: image().original,
        sealed: SealedCopy { hash: [5; 32].into(), bytes: 164 },
        preview: Preview { format: Format::Png, width: 2, height: 1, data: vec![0; 30] },
        replace: false,
        record: None,
    }
}

fn replacement() -> Publish {
    Publish { replace: true, ..publication() }
}

fn state(existing: Option<ImageInfo>) -> Publishing {
    let quotas = Quotas { images: 3, preview_bytes: 100, row_bytes: 8, ..Quotas::default() };
    Publishing { existing, images: 2, preview_bytes: 70, row_bytes: 7, quotas }
}

#[test]
fn an_image_is_new_replaced_or_the_same() {
    let same = Publish { sealed: image().sealed, ..publication() };
    let full = |existing| Publishing { images: 9, preview_bytes: 999, row_bytes: 9, ..state(existing) };
    for (state, change, expected) in [
        (state(None), publication(), Published::New),
        (state(None), replacement(), Published::New),
        (state(Some(image())), replacement(), Published::Replaced(image())),
        (Publishing { images: 3, ..state(Some(image())) }, replacement(), Published::Replaced(image())),
        (
            Publishing { preview_bytes: 80, ..state(Some(image())) },
            replacement(),
            Published::Replaced(image()),
        ),
        (full(Some(image())), same.clone(), Published::Unchanged(image())),
        (full(Some(image())), Publish { replace: true, ..same }, Published::Unchanged(image())),
    ] {
        let told = format!("{state:?}");
        assert_eq!(publish(state, &change), Ok(expected), "{told}");
    }
}

#[test]
fn names_and_quotas_are_kept() {
    let limit = Some(Reason::Limit);
    let images = "a peer can publish at most 3 images (limit images_per_peer)";
    let bytes = "the previews of a peer have at most 100 bytes together (limit preview_bytes_per_peer)";
    let rows =
        "the images, grants and requests of a peer have at most 8 bytes together (limit row_bytes_per_peer)";
    for (state, change, reason, text) in [
        (state(Some(image())), publication(), None, "you have an image named sea already"),
        (Publishing { images: 3, ..state(None) }, publication(), limit, images),
        (Publishing { images: 4, ..state(None) }, publication(), limit, images),
        (Publishing { row_bytes: 8, ..state(None) }, publication(), limit, rows),
        (Publishing { preview_bytes: 71, ..state(None) }, publication(), limit, bytes),
        (Publishing { preview_bytes: u64::MAX, ..state(None) }, publication(), limit, bytes),
        (Publishing { preview_bytes: 81, ..state(Some(image())) }, replacement(), limit, bytes),
    ] {
        let told = format!("{state:?}");
        let error = publish(state, &change).unwrap_err();
        assert_eq!((error.reason, &*error.message), (reason, text), "{told}");
    }
    let error = publish(state(Some(image())), &publication()).unwrap_err();
    assert_eq!(error.code, Code::Conflict);
}

#[test]
fn a_published_image_is_listed_as_it_was_sent() {
    let listed = published(alice(), (ImageNo(7), dos_protocol::Visibility::Listed), &publication());
    let expected =
        ImageInfo { sealed: publication().sealed, preview: publication().preview.info(), ..image() };
    assert_eq!(listed, expected);
}

#[test]
fn only_the_owner_has_the_image() {
    assert_eq!(own(Some(image()), alice()), Ok(image()));
    let missing = own(None, alice()).unwrap_err();
    assert_eq!((missing.code, &*missing.message), (Code::NotFound, "you have no such image"));
    assert_eq!(own(Some(image()), bob()), Err(missing));
    let error = no_image(alice(), &"sea".parse().unwrap());
    assert_eq!(*error.message, format!("there is no image {}/sea", alice()));
    assert_eq!(error.code, Code::NotFound);
}

#[test]
fn a_new_name_is_free_and_told_to_the_owner() {
    let name = || "lake".parse::<ImageName>().unwrap();
    let path = ImagePath { owner: alice(), name: name() };
    let owe = Owe::to(alice(), Update::Renamed { image: ImageNo(7), path });
    assert_eq!(
        rename(&image(), (name(), Some(word_of(7))), false),
        Ok(Some((ImageInfo { name: name(), record: Some(word_of(7)), ..image() }, owe)))
    );
    let error = rename(&image(), (name(), None), true).unwrap_err();
    assert_eq!((error.code, &*error.message), (Code::Conflict, "you have an image named lake already"));
    assert_eq!(rename(&image(), (image().name, None), true), Ok(None));
}

#[test]
fn a_removal_is_owed_once_to_everyone_concerned() {
    let path = ImagePath { owner: alice(), name: "sea".parse().unwrap() };
    let owe = |peer| Owe::to(peer, Update::Removed { image: ImageNo(7), path: path.clone() });
    assert_eq!(removed(&image(), vec![carol(), bob(), carol()]), [owe(alice()), owe(bob()), owe(carol())]);
    assert_eq!(removed(&image(), Vec::new()), [owe(alice())]);
}

#[test]
fn sizes_are_possible() {
    let preview = |width, height, bytes| {
        let preview = Preview { format: Format::Png, width, height, data: vec![0; bytes] };
        Publish { preview, ..publication() }
    };
    let original = |width, height, bytes, sealed| {
        let original = Original { width, height, bytes, ..image().original };
        let sealed = SealedCopy { bytes: sealed, ..image().sealed };
        Publish { original, sealed, ..publication() }
    };
    let most = ORIGINAL_BYTES_MAX;
    let bytes = Some("a preview has 1 to 65536 bytes");
    let pixels = Some("a preview fits in 256x256 pixels");
    let one_pixel = Some("an original has at least one pixel, if its size is known");
    let too_large = Some("an original has 1 to 17163091968 bytes");
    let sealed = Some("a sealed copy is a little larger than its original");
    let unknown = Some("the directory does not know this format");
    for (publish, expected) in [
        (publication(), None),
        (preview(1, 1, 1), None),
        (preview(256, 256, 65_536), None),
        (preview(1, 1, 0), bytes),
        (preview(1, 1, 65_537), bytes),
        (preview(0, 1, 1), pixels),
        (preview(1, 0, 1), pixels),
        (preview(257, 1, 1), pixels),
        (preview(1, 257, 1), pixels),
        (
            Publish { original: Original { format: Format::Unknown, ..image().original }, ..publication() },
            unknown,
        ),
        (
            Publish {
                preview: Preview { format: Format::Unknown, ..publication().preview },
                ..publication()
            },
            unknown,
        ),
        (original(1, 1, 1, 2), None),
        (original(1, 1, most, most + 1), None),
        (original(1, 1, 0, 1), too_large),
        (original(1, 1, most + 1, most + 2), too_large),
        (original(0, 1, 1, 2), one_pixel),
        (original(1, 0, 1, 2), one_pixel),
        (original(1, 1, 100, 100), sealed),
        (original(1, 1, 100, 101), None),
        (original(1, 1, 100, 200 + (1 << 20)), None),
        (original(1, 1, 100, 201 + (1 << 20)), sealed),
    ] {
        let error = check(&publish, PreviewSize::Usual).err();
        assert_eq!(error.as_ref().map(|error| &*error.message), expected, "{publish:?}");
        assert!(error.is_none_or(|error| error.code == Code::Invalid));
    }
    let (bytes, pixels) = (Some("a preview has 1 to 262144 bytes"), Some("a preview fits in 512x512 pixels"));
    for (publish, expected) in [
        (preview(512, 512, 262_144), None),
        (preview(1, 1, 262_145), bytes),
        (preview(513, 1, 1), pixels),
        (preview(1, 513, 1), pixels),
    ] {
        let error = check(&publish, PreviewSize::Large).err();
        assert_eq!(error.map(|error| error.message.to_string()).as_deref(), expected, "{publish:?}");
    }
}

fn word_of(revision: u64) -> ImageRecord {
    ImageRecord {
        revision,
        preview_hash: [3; 32],
        signature: [4; 64].into(),
        album: None,
        description: None,
        thumbhash: None,
        taken: None,
    }
}

#[test]
fn an_owners_word_comes_with_its_preview_and_never_goes_back() {
    let preview = Preview { data: vec![1; 30], ..publication().preview };
    let word = |revision| Sign {
        image: image().no,
        sealed: image().sealed.hash,
        preview: preview.clone(),
        record: word_of(revision),
    };
    let quotas = Quotas { preview_bytes: 100, ..Quotas::default() };
    let signed = ImageInfo { preview: preview.info(), record: Some(word_of(7)), ..image() };
    let gone = u64::from(image().preview.bytes);
    assert_eq!(sign(&image(), &word(7), (gone + 70, quotas)), Ok(Some(signed.clone())));
    let error = sign(&image(), &word(7), (gone + 71, quotas)).unwrap_err();
    assert_eq!((error.code, error.reason), (Code::Denied, Some(Reason::Limit)));
    for (revision, is_news) in [(6, false), (7, false), (8, true)] {
        let outcome = sign(&signed, &word(revision), (30, quotas)).unwrap();
        assert_eq!(outcome.is_some(), is_news, "{revision}");
    }
    let other = Sign { sealed: [9; 32].into(), ..word(7) };
    assert_eq!(sign(&image(), &other, (0, quotas)).unwrap_err().code, Code::Stale);
}

#[test]
fn what_is_said_of_an_image_is_the_newest_and_a_longer_description_needs_room() {
    let quotas = Quotas { row_bytes: 8, ..Quotas::default() };
    let described = |revision, text: &str| ImageRecord {
        description: Some(Described { text: text.parse().unwrap(), signature: [5; 64].into() }),
        ..word_of(revision)
    };
    let wanted = |record| Set { image: image().no, visibility: None, record };
    let at = |record| ImageInfo { record: Some(record), ..image() };
    let known = at(described(7, "boat"));
    for (image, record, row_bytes, expected) in [
        (&known, None, 0, Ok(None)),
        // Of the same or an earlier revision it is known.
        (&known, Some(described(7, "gull")), 0, Ok(None)),
        (&known, Some(described(8, "gulls")), 7, Ok(Some(described(8, "gulls")))),
        (&known, Some(described(8, "gulls")), 8, Err(())),
        // What is not longer needs none.
        (&known, Some(described(8, "gull")), 9, Ok(Some(described(8, "gull")))),
        (&known, Some(word_of(8)), 9, Ok(Some(word_of(8)))),
        (&image(), Some(described(1, "b")), 8, Err(())),
    ] {
        let came = set(image, &wanted(record.clone()), (row_bytes, quotas));
        let came = came.map_err(|error| assert_eq!(error.reason, Some(Reason::Limit)));
        assert_eq!(came, expected.map(|record| record.map(at)), "{record:?} {row_bytes}");
    }
    let hidden = Set { visibility: Some(Visibility::Private), ..wanted(None) };
    let private = ImageInfo { visibility: Visibility::Private, ..known.clone() };
    assert_eq!(set(&known, &hidden, (9, quotas)), Ok(Some(private)));
}

fn remembered(known: Option<ImageInfo>, named: Option<ImageInfo>) -> Remembered {
    let quotas = Quotas { images: 3, preview_bytes: 100, ..Quotas::default() };
    Remembered { known, named, last: 9, images: 2, preview_bytes: 70, quotas }
}

#[test]
fn an_image_that_is_asserted_is_kept_as_its_owner_says() {
    let other = ImageInfo { no: ImageNo(3), ..image() };
    let newer = ImageInfo { sealed: SealedCopy { hash: [5; 32].into(), bytes: 164 }, ..image() };
    let renamed = ImageInfo { name: "lake".parse().unwrap(), ..image() };
    let signed = |revision| ImageInfo { record: Some(word_of(revision)), ..image() };
    let written = |displaced| Kept::Written { displaced };
    let displaced = || Some((ImageNo(3), "3~displaced".parse().unwrap()));
    for (state, asserted, expected) in [
        (remembered(None, None), image(), written(None)),
        (remembered(Some(image()), Some(image())), image(), Kept::Unchanged),
        (remembered(Some(signed(7)), Some(signed(7))), signed(7), Kept::Unchanged),
        (remembered(Some(signed(7)), Some(signed(7))), signed(6), Kept::Unchanged),
        (remembered(Some(signed(7)), Some(signed(7))), image(), Kept::Unchanged),
        (remembered(Some(signed(7)), Some(signed(7))), signed(8), written(None)),
        (remembered(Some(image()), Some(image())), signed(1), written(None)),
        (remembered(Some(image()), Some(image())), newer, written(None)),
        (remembered(Some(image()), None), renamed.clone(), written(None)),
        (remembered(Some(image()), Some(other.clone())), renamed, written(displaced())),
        (remembered(None, Some(other)), image(), written(displaced())),
    ] {
        assert_eq!(assert(&state, &asserted), expected, "{state:?}");
    }
}

#[test]
fn numbers_of_others_numbers_never_given_and_what_has_no_room_are_refused() {
    let alien = ImageInfo { owner: bob(), ..image() };
    let numbered = |no| ImageInfo { no: ImageNo(no), ..image() };
    let large = |bytes| {
        let mut large = image();
        large.preview.bytes = bytes;
        large.sealed.bytes += 1;
        large
    };
    let written = Kept::Written { displaced: None };
    for (state, asserted, expected) in [
        (remembered(Some(alien), None), image(), Kept::Refused),
        (remembered(None, None), numbered(0), Kept::Refused),
        (remembered(None, None), numbered(9), written.clone()),
        (remembered(None, None), numbered(10), Kept::Refused),
        (Remembered { images: 3, ..remembered(None, None) }, image(), Kept::Refused),
        (Remembered { images: 3, ..remembered(Some(image()), None) }, large(10), written.clone()),
        (remembered(None, None), large(30), written.clone()),
        (remembered(None, None), large(31), Kept::Refused),
        (remembered(Some(image()), None), large(40), written),
        (remembered(Some(image()), None), large(41), Kept::Refused),
    ] {
        assert_eq!(assert(&state, &asserted), expected, "{state:?}");
    }
}

#[test]
fn an_image_that_cannot_have_been_published_is_known() {
    type Do = fn(&mut ImageInfo);
    let damages: [Do; 7] = [
        |image| image.original.width = 0,
        |image| image.original.height = 0,
        |image| image.preview.width = 0,
        |image| image.preview.height = 0,
        |image| image.preview.bytes = 0,
        |image| image.original.bytes = 0,
        |image| image.sealed.bytes = image.original.bytes,
    ];
    assert!(is_possible(&image()));
    for (number, damage) in damages.into_iter().enumerate() {
        let mut damaged = image();
        damage(&mut damaged);
        assert!(!is_possible(&damaged), "{number}");
    }
}
