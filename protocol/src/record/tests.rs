//! What is signed of an image cannot be changed, and what earlier releases have signed holds.

use super::*;
use crate::{
    key::{SecretError, SecretKey},
    model::Format,
};

fn image() -> SignedImage {
    SignedImage {
        owner: "7xKqPm2R".parse().unwrap(),
        name: "sea".parse().unwrap(),
        original: Original {
            image_id: [1; 32].into(),
            format: Format::Jpeg,
            width: 4000,
            height: 3000,
            bytes: 900_000,
        },
        sealed: SealedCopy { hash: [2; 32].into(), bytes: 900_300 },
        preview: PreviewInfo { format: Format::Jpeg, width: 256, height: 192, bytes: 9_000 },
    }
}

#[test]
fn nothing_of_a_signed_image_can_be_changed() -> Result<(), SecretError> {
    let (owner, other) = (SecretKey::generate()?, SecretKey::generate()?);
    let key = owner.public()?;
    let record = image().sign(&owner, 7, ([3; 32], Labels::default()))?;
    assert!(image().verify(&key, &record).is_ok());
    assert!(image().verify(&other.public()?, &record).is_err());
    let changed = |change: fn(&mut SignedImage)| {
        let mut image = image();
        change(&mut image);
        image.verify(&key, &record).is_err()
    };
    assert!(changed(|image| image.owner = "7xKqPm2S".parse().unwrap()));
    assert!(changed(|image| image.name = "see".parse().unwrap()));
    assert!(changed(|image| image.original.image_id = [9; 32].into()));
    assert!(changed(|image| image.original.format = Format::Png));
    assert!(changed(|image| image.original.width = 1));
    assert!(changed(|image| image.original.height = 1));
    assert!(changed(|image| image.original.bytes = 1));
    assert!(changed(|image| image.sealed.hash = [9; 32].into()));
    assert!(changed(|image| image.sealed.bytes = 1));
    assert!(changed(|image| image.preview.format = Format::Png));
    assert!(changed(|image| image.preview.width = 1));
    assert!(changed(|image| image.preview.height = 1));
    assert!(changed(|image| image.preview.bytes = 1));
    assert!(image().verify(&key, &ImageRecord { revision: 8, ..record.clone() }).is_err());
    assert!(image().verify(&key, &ImageRecord { preview_hash: [9; 32], ..record }).is_err());
    Ok(())
}

#[test]
fn an_image_is_in_no_album_that_its_owner_has_not_put_it_into() -> Result<(), SecretError> {
    let owner = SecretKey::generate()?;
    let key = owner.public()?;
    let album = |name: &str| Labels { album: Some(name.parse().unwrap()), ..Labels::default() };
    let first = image().sign(&owner, 7, ([3; 32], album("holiday")))?;
    assert!(image().verify(&key, &first).is_ok());
    assert_eq!(first.album().map(AlbumName::as_str), Some("holiday"));
    // Of another image, in another album; and of this one after it was taken out.
    let other = image().sign(&owner, 8, ([3; 32], album("work")))?;
    let out = image().sign(&owner, 9, ([3; 32], Labels::default()))?;
    for (record, album) in [(&first, &other.album), (&out, &first.album)] {
        let mixed = ImageRecord { album: album.clone(), ..record.clone() };
        assert!(image().verify(&key, &mixed).is_err());
    }
    let renamed = Album { name: "work".parse().unwrap(), ..first.album.clone().unwrap() };
    assert!(image().verify(&key, &ImageRecord { album: Some(renamed), ..first.clone() }).is_err());
    // What an earlier release verifies is the same statement.
    assert!(image().verify(&key, &ImageRecord { album: None, ..first }).is_ok());
    Ok(())
}

#[test]
fn an_image_has_no_description_that_its_owner_has_not_given_it() -> Result<(), SecretError> {
    let owner = SecretKey::generate()?;
    let key = owner.public()?;
    let described = |text: &str| Labels { description: Some(text.parse().unwrap()), ..Labels::default() };
    let first = image().sign(&owner, 7, ([3; 32], described("A boat.")))?;
    assert!(image().verify(&key, &first).is_ok());
    assert_eq!(first.description().map(Description::as_str), Some("A boat."));
    let other = image().sign(&owner, 8, ([3; 32], described("A gull.")))?;
    let mixed = ImageRecord { description: other.description, ..first.clone() };
    assert!(image().verify(&key, &mixed).is_err(), "that of another revision");
    let changed = Described { text: "A whale.".parse().unwrap(), ..first.description.clone().unwrap() };
    assert!(image().verify(&key, &ImageRecord { description: Some(changed), ..first.clone() }).is_err());
    // The signature of an album is none of a description, whatever it says.
    let album = image().sign(
        &owner,
        7,
        ([3; 32], Labels { album: Some("A boat.".parse().unwrap()), ..Labels::default() }),
    )?;
    let signature = album.album.unwrap().signature;
    let posing = Described { signature, ..first.description.clone().unwrap() };
    assert!(image().verify(&key, &ImageRecord { description: Some(posing), ..first.clone() }).is_err());
    // What an earlier release verifies is the same statement.
    assert!(image().verify(&key, &ImageRecord { description: None, ..first }).is_ok());
    Ok(())
}

#[test]
fn a_record_holds_for_programs_that_know_the_format_and_for_those_that_do_not() -> Result<(), SecretError> {
    let owner = SecretKey::generate()?;
    let key = owner.public()?;
    let of = |format| SignedImage { original: Original { format, ..image().original }, ..image() };
    let record = of(Format::Tiff).sign(&owner, 7, ([3; 32], Labels::default()))?;
    assert!(of(Format::Tiff).verify(&key, &record).is_ok());
    assert!(of(Format::Unknown).verify(&key, &record).is_ok(), "as the first release reads it");
    for format in [Format::Jpeg, Format::Png, Format::WebP, Format::Gif] {
        assert!(of(format).verify(&key, &record).is_err());
        assert_eq!(format.signed_name(), format.as_str(), "what was signed before stays valid");
    }
    Ok(())
}

#[test]
fn a_thumbhash_is_that_of_its_preview_in_its_revision() -> Result<(), SecretError> {
    let owner = SecretKey::generate()?;
    let key = owner.public()?;
    let hashed = |byte: u8| Labels {
        thumbhash: Some(ThumbHash::try_from(vec![byte; 20]).unwrap()),
        ..Labels::default()
    };
    let first = image().sign(&owner, 7, ([3; 32], hashed(1)))?;
    assert!(image().verify(&key, &first).is_ok());
    assert_eq!(first.labels(), hashed(1));
    let of_other_revision = image().sign(&owner, 8, ([3; 32], hashed(1)))?.thumbhash;
    let of_other_preview = image().sign(&owner, 7, ([4; 32], hashed(1)))?.thumbhash;
    let signature = first.thumbhash.clone().unwrap().signature;
    let changed = Some(Thumb { hash: ThumbHash::try_from(vec![2; 20]).unwrap(), signature });
    for thumbhash in [of_other_revision, of_other_preview, changed] {
        assert!(image().verify(&key, &ImageRecord { thumbhash, ..first.clone() }).is_err());
    }
    // What an earlier release has signed, and what one verifies, is the same statement.
    assert!(image().verify(&key, &ImageRecord { thumbhash: None, ..first }).is_ok());
    Ok(())
}

#[test]
fn a_picture_was_taken_when_its_owner_says_so() -> Result<(), SecretError> {
    let owner = SecretKey::generate()?;
    let key = owner.public()?;
    let taken = |text: &str| Labels { taken: Some(text.parse().unwrap()), ..Labels::default() };
    let first = image().sign(&owner, 7, ([3; 32], taken("2024-05-06T07:08:09+02:00")))?;
    assert!(image().verify(&key, &first).is_ok());
    assert_eq!(first.labels(), taken("2024-05-06T07:08:09+02:00"));
    let of_other_revision = image().sign(&owner, 8, ([3; 32], taken("2024-05-06T07:08:09+02:00")))?.taken;
    let signature = first.taken.clone().unwrap().signature;
    // The same moment in another zone is another statement.
    let changed = Some(Taken { at: "2024-05-06T05:08:09+00:00".parse().unwrap(), signature });
    for taken in [of_other_revision, changed] {
        assert!(image().verify(&key, &ImageRecord { taken, ..first.clone() }).is_err());
    }
    assert!(image().verify(&key, &ImageRecord { taken: None, ..first }).is_ok());
    Ok(())
}
