//! Image records: what an image is, signed by its owner, so that a directory cannot show another one in its place.
//!
//! The revision grows with every record that an owner signs, over all of its images: a record with a lower revision than one that
//! was seen under the same name is an old one.
//!
//! An album is signed beside the rest, so that programs that know no albums verify the same statement as ever. It is bound to the
//! record by the revision, which no two records of an owner share: the directory can put no image into an album that its
//! owner has not put it into, nor keep it in one that it was taken out of. That it shows no album where there is one is not
//! noticed; nothing follows from an album that is missing. A description is signed in the same way, and so are the ThumbHash of the
//! preview, to whose hash it is bound too, and the moment at which the picture was taken.

use serde::{Deserialize, Serialize};

use crate::{
    id::PeerId,
    model::{ImageInfo, Original, PreviewInfo, SealedCopy},
    name::{AlbumName, Description, ImageName},
    signature::{Signature, Statement},
    taken::TakenAt,
    thumbhash::ThumbHash,
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
    /// The ThumbHash of the preview.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub thumbhash: Option<Thumb>,
    /// When the picture was taken.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub taken: Option<Taken>,
}

/// The ThumbHash of a preview.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Thumb {
    /// Its bytes.
    pub hash: ThumbHash,
    /// The owner's signature of them for the revision of the image's record, and for its preview.
    pub signature: Signature,
}

/// When a picture was taken.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Taken {
    /// By the clock of its camera.
    pub at: TakenAt,
    /// The owner's signature of it for the revision of the image's record.
    pub signature: Signature,
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
    /// The ThumbHash of its preview.
    pub thumbhash: Option<ThumbHash>,
    /// When it was taken.
    pub taken: Option<TakenAt>,
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

    /// The ThumbHash of the preview.
    #[must_use]
    pub fn thumbhash(&self) -> Option<&ThumbHash> {
        self.thumbhash.as_ref().map(|thumb| &thumb.hash)
    }

    /// When the picture was taken.
    #[must_use]
    pub fn taken_at(&self) -> Option<TakenAt> {
        self.taken.as_ref().map(|taken| taken.at)
    }

    /// All that it says beside what the image is.
    #[must_use]
    pub fn labels(&self) -> Labels {
        Labels {
            album: self.album().cloned(),
            description: self.description().cloned(),
            thumbhash: self.thumbhash().cloned(),
            taken: self.taken_at(),
        }
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
    use super::{Album, Described, ImageRecord, Labels, SignedImage, Taken, Thumb};
    use crate::{
        id::PeerId,
        key::{PublicKey, SecretError, SecretKey},
        signature::{BadSignature, Statement},
    };

    /// The contexts of what is signed beside an image.
    const ALBUM_CONTEXT: &str = "dos album v1";
    const DESCRIPTION_CONTEXT: &str = "dos description v1";
    const THUMBHASH_CONTEXT: &str = "dos thumbhash v1";
    const TAKEN_CONTEXT: &str = "dos taken v1";

    /// What is signed beside an image: bound to its record by the revision.
    #[derive(Clone, Copy)]
    struct Beside<'a> {
        revision: u64,
        owner: PeerId,
        preview_hash: &'a [u8; 32],
    }

    impl Beside<'_> {
        fn statement(self, context: &'static str) -> Statement {
            Statement::new(context).number(self.revision).number(self.owner.number())
        }

        fn text(self, context: &'static str, text: &str) -> Statement {
            self.statement(context).bytes(text.as_bytes())
        }

        /// It says what the preview looks like: of another one it would not hold.
        fn thumbhash(self, hash: &[u8]) -> Statement {
            self.statement(THUMBHASH_CONTEXT).bytes(self.preview_hash).bytes(hash)
        }
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
            let beside = Beside { revision, owner: self.owner, preview_hash: &preview_hash };
            let album = labels.album.map(|name| {
                let signed = owner.sign(&beside.text(ALBUM_CONTEXT, name.as_str()));
                signed.map(|signature| Album { name, signature })
            });
            let description = labels.description.map(|text| {
                let signed = owner.sign(&beside.text(DESCRIPTION_CONTEXT, text.as_str()));
                signed.map(|signature| Described { text, signature })
            });
            let thumbhash = labels.thumbhash.map(|hash| {
                let signed = owner.sign(&beside.thumbhash(hash.as_bytes()));
                signed.map(|signature| Thumb { hash, signature })
            });
            let taken = labels.taken.map(|at| {
                let signed = owner.sign(&beside.text(TAKEN_CONTEXT, &at.to_string()));
                signed.map(|signature| Taken { at, signature })
            });
            Ok(ImageRecord {
                revision,
                preview_hash,
                signature,
                album: album.transpose()?,
                description: description.transpose()?,
                thumbhash: thumbhash.transpose()?,
                taken: taken.transpose()?,
            })
        }

        /// Whether the holder of `owner` has signed the record of this image, and all that the record says beside it.
        ///
        /// # Errors
        /// If not.
        pub fn verify(&self, owner: &PublicKey, record: &ImageRecord) -> Result<(), BadSignature> {
            let ImageRecord { revision, preview_hash, signature, album, description, thumbhash, taken } =
                record;
            owner.verify(&self.statement(*revision, preview_hash), signature)?;
            let beside = Beside { revision: *revision, owner: self.owner, preview_hash };
            if let Some(album) = album {
                owner.verify(&beside.text(ALBUM_CONTEXT, album.name.as_str()), &album.signature)?;
            }
            if let Some(described) = description {
                let statement = beside.text(DESCRIPTION_CONTEXT, described.text.as_str());
                owner.verify(&statement, &described.signature)?;
            }
            if let Some(thumb) = thumbhash {
                owner.verify(&beside.thumbhash(thumb.hash.as_bytes()), &thumb.signature)?;
            }
            if let Some(taken) = taken {
                owner.verify(&beside.text(TAKEN_CONTEXT, &taken.at.to_string()), &taken.signature)?;
            }
            Ok(())
        }
    }
}

#[cfg(feature = "tls")]
#[cfg(test)]
mod tests;
