//! Image records: what an image is, signed by its owner, so that a directory cannot show another one in its place.
//!
//! The revision grows with every record that an owner signs, over all of its images: a record with a lower revision than one that
//! was seen under the same name is an old one.

use serde::{Deserialize, Serialize};

use crate::{
    id::PeerId,
    model::{ImageInfo, Original, PreviewInfo, SealedCopy},
    name::ImageName,
    signature::{Signature, Statement},
};

/// The context of an image's signature.
const CONTEXT: &str = "dos image v1";

/// The owner's word for an image.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct ImageRecord {
    /// Higher than that of any record that the owner has signed before.
    pub revision: u64,
    /// The BLAKE3 hash of the preview's bytes.
    #[serde(with = "serde_bytes")]
    pub preview_hash: [u8; 32],
    /// The owner's signature.
    pub signature: Signature,
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
    use super::{ImageRecord, SignedImage};
    use crate::{
        key::{PublicKey, SecretError, SecretKey},
        signature::BadSignature,
    };

    impl SignedImage {
        /// The owner's record of the image.
        ///
        /// # Errors
        /// If the key cannot sign.
        pub fn sign(
            &self,
            owner: &SecretKey,
            revision: u64,
            preview_hash: [u8; 32],
        ) -> Result<ImageRecord, SecretError> {
            let signature = owner.sign(&self.statement(revision, &preview_hash))?;
            Ok(ImageRecord { revision, preview_hash, signature })
        }

        /// Whether the holder of `owner` has signed the record of this image.
        ///
        /// # Errors
        /// If not.
        pub fn verify(&self, owner: &PublicKey, record: &ImageRecord) -> Result<(), BadSignature> {
            owner.verify(&self.statement(record.revision, &record.preview_hash), &record.signature)
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
        let record = image().sign(&owner, 7, [3; 32])?;
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
        assert!(image().verify(&key, &ImageRecord { revision: 8, ..record }).is_err());
        assert!(image().verify(&key, &ImageRecord { preview_hash: [9; 32], ..record }).is_err());
        Ok(())
    }

    #[test]
    fn a_record_holds_for_programs_that_know_the_format_and_for_those_that_do_not() -> Result<(), SecretError>
    {
        let owner = SecretKey::generate()?;
        let key = owner.public()?;
        let of = |format| SignedImage { original: Original { format, ..image().original }, ..image() };
        let record = of(Format::Tiff).sign(&owner, 7, [3; 32])?;
        assert!(of(Format::Tiff).verify(&key, &record).is_ok());
        assert!(of(Format::Unknown).verify(&key, &record).is_ok(), "as the first release reads it");
        for format in [Format::Jpeg, Format::Png, Format::WebP, Format::Gif] {
            assert!(of(format).verify(&key, &record).is_err());
            assert_eq!(format.signed_name(), format.as_str(), "what was signed before stays valid");
        }
        Ok(())
    }
}
