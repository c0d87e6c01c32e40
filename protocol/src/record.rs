//! Image records: what an image is, signed by its owner, so that a directory cannot show another one in its place.
//!
//! The revision grows with every record that an owner signs, over all of its images: a record with a lower revision than one that
//! was seen under the same name is an old one.
//!
//! An album is signed beside the rest, so that programs that know no albums verify the same statement as ever. It is bound to the
//! record by the revision, which no two records of an owner share: the directory can put no image into an album that its
//! owner has not put it into, nor keep it in one that it was taken out of. That it shows no album where there is one is not
//! noticed; nothing follows from an album that is missing. A description is signed in the same way.

use serde::{Deserialize, Serialize};

use crate::{
    id::PeerId,
    model::{ImageInfo, Original, PreviewInfo, SealedCopy},
    name::{AlbumName, Description, ImageName},
    signature::{Signature, Statement},
};

/// The context of an image's signature.
const CONTEXT: &str = "dos image v1";

/// The owner's word for an image.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ImageRecord {
    /// Higher than that of any record that the owner has signed before.
    pub revision: u64,
    /// The BLAKE3 hash of the preview's bytes.
    #[serde(with = "serde_bytes")]
    pub preview_hash: [u8; 32],
    /// The owner's signature.
    pub signature: Signature,
    /// The album that the image is in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub album: Option<Album>,
    /// What is to be seen on it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<Described>,
}

/// What is to be seen on an image.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Described {
    /// In its owner's words.
    pub text: Description,
    /// The owner's signature of the text for the revision of the image's record.
    pub signature: Signature,
}

/// What an owner says of an image beside what it is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Labels {
    /// The album that it is in.
    pub album: Option<AlbumName>,
    /// What is to be seen on it.
    pub description: Option<Description>,
}

/// An album that an image is in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Album {
    /// Its name.
    pub name: AlbumName,
    /// The owner's signature of the name for the revision of the image's record.
    pub signature: Signature,
}

impl ImageRecord {
    /// The name of the album that the image is in.
    #[must_use]
    pub fn album(&self) -> Option<&AlbumName> {
        self.album.as_ref().map(|album| &album.name)
    }

    /// What is to be seen on the image.
    #[must_use]
    pub fn description(&self) -> Option<&Description> {
        self.description.as_ref().map(|described| &described.text)
    }

    /// All that it says beside what the image is.
    #[must_use]
    pub fn labels(&self) -> Labels {
        Labels { album: self.album().cloned(), description: self.description().cloned() }
    }
}

/// What is to be thought of an image that the directory shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, strum::IntoStaticStr)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum SignatureState {
    /// It is as its owner has signed it.
    Valid,
    /// Its owner has not signed it, and is not known to sign.
    None,
    /// Its owner signs, and this is not signed.
    Missing,
    /// Its owner has signed something else.
    Wrong,
    /// Its owner has signed something newer.
    Old,
}

impl SignatureState {
    /// As in JSON.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        self.into()
    }

    /// Whether it contradicts what the owner has signed, or does not have a signature that it must have.
    #[must_use]
    pub fn is_bad(self) -> bool {
        matches!(self, Self::Missing | Self::Wrong | Self::Old)
    }
}

/// What is signed of an image.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SignedImage {
    /// Whose it is.
    pub owner: PeerId,
    /// Its name.
    pub name: ImageName,
    /// What it is.
    pub original: Original,
    /// Its sealed copy.
    pub sealed: SealedCopy,
    /// Its preview.
    pub preview: PreviewInfo,
}

impl From<&ImageInfo> for SignedImage {
    fn from(image: &ImageInfo) -> Self {
        let ImageInfo { owner, name, original, sealed, preview, .. } = image;
        Self { owner: *owner, name: name.clone(), original: *original, sealed: *sealed, preview: *preview }
    }
}

impl SignedImage {
    /// The statement that is signed.
    #[must_use]
    pub fn statement(&self, revision: u64, preview_hash: &[u8; 32]) -> Statement {
        let Self { owner, name, original, sealed, preview } = self;
        Statement::new(CONTEXT)
            .number(revision)
            .number(owner.number())
            .bytes(name.as_str().as_bytes())
            .bytes(original.image_id.as_bytes())
            .bytes(original.format.signed_name().as_bytes())
            .number(original.width.into())
            .number(original.height.into())
            .number(original.bytes)
            .bytes(sealed.hash.as_bytes())
            .number(sealed.bytes)
            .bytes(preview.format.signed_name().as_bytes())
            .number(preview.width.into())
            .number(preview.height.into())
            .number(preview.bytes.into())
            .bytes(preview_hash)
    }
}

#[cfg(feature = "tls")]
mod signing {
    use super::{Album, Described, ImageRecord, Labels, SignedImage};
    use crate::{
        id::PeerId,
        key::{PublicKey, SecretError, SecretKey},
        name::{AlbumName, Description},
        signature::{BadSignature, Statement},
    };

    /// The context of an album's signature.
    const ALBUM_CONTEXT: &str = "dos album v1";

    /// What is signed of an album.
    fn album_statement(revision: u64, owner: PeerId, album: &AlbumName) -> Statement {
        Statement::new(ALBUM_CONTEXT).number(revision).number(owner.number()).bytes(album.as_str().as_bytes())
    }

    /// The context of a description's signature.
    const DESCRIPTION_CONTEXT: &str = "dos description v1";

    /// What is signed of a description.
    fn description_statement(revision: u64, owner: PeerId, text: &Description) -> Statement {
        Statement::new(DESCRIPTION_CONTEXT)
            .number(revision)
            .number(owner.number())
            .bytes(text.as_str().as_bytes())
    }

    impl SignedImage {
        /// The owner's record of the image, with what else the owner says of it.
        ///
        /// # Errors
        /// If the key cannot sign.
        pub fn sign(
            &self,
            owner: &SecretKey,
            revision: u64,
            (preview_hash, labels): ([u8; 32], Labels),
        ) -> Result<ImageRecord, SecretError> {
            let signature = owner.sign(&self.statement(revision, &preview_hash))?;
            let sign = |name| {
                let signature = owner.sign(&album_statement(revision, self.owner, &name))?;
                Ok(Album { name, signature })
            };
            let album = labels.album.map(sign).transpose()?;
            let describe = |text| {
                let signature = owner.sign(&description_statement(revision, self.owner, &text))?;
                Ok(Described { text, signature })
            };
            let description = labels.description.map(describe).transpose()?;
            Ok(ImageRecord { revision, preview_hash, signature, album, description })
        }

        /// Whether the holder of `owner` has signed the record of this image, that it is in the record's album, and the description.
        ///
        /// # Errors
        /// If not.
        pub fn verify(&self, owner: &PublicKey, record: &ImageRecord) -> Result<(), BadSignature> {
            owner.verify(&self.statement(record.revision, &record.preview_hash), &record.signature)?;
            if let Some(album) = &record.album {
                let statement = album_statement(record.revision, self.owner, &album.name);
                owner.verify(&statement, &album.signature)?;
            }
            if let Some(described) = &record.description {
                let statement = description_statement(record.revision, self.owner, &described.text);
                owner.verify(&statement, &described.signature)?;
            }
            Ok(())
        }
    }
}

#[cfg(feature = "tls")]
#[cfg(test)]
mod tests {
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
    fn a_record_holds_for_programs_that_know_the_format_and_for_those_that_do_not() -> Result<(), SecretError>
    {
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
}
