//! The keys of one's own images: drawn, kept in the vault, and split for each right.
//!
//! An owner share is derived, not stored: HKDF-SHA256 of the image's share secret, with the split as its salt, for one
//! image and one viewer. So nothing must be written down before a share is sent, and it can be served again at any time.

use dos_protocol::{
    Code, ImageNo, PeerId, SealedHash, SplitId, WireError, directory::KeyShare, model::SealedCopy,
};
use dos_sealed::{ContentKey, OwnerShare};
use zeroize::Zeroizing;

use crate::{
    random,
    store::{OwnImage, Publication},
    vault::{EventKind, Vault, VaultError, hkdf},
};

/// The two secrets of an image.
pub(crate) struct ImageKeys {
    content_key: ContentKey,
    share_secret: Zeroizing<[u8; 32]>,
}

/// The two secrets as the store keeps them, for one sealed copy.
#[derive(Debug, Clone)]
pub(crate) struct StoredKeys {
    /// The content key.
    pub content_key: Vec<u8>,
    /// What owner shares are derived from.
    pub share_secret: Vec<u8>,
}

impl ImageKeys {
    /// Fresh ones.
    ///
    /// # Errors
    /// If the system gives no random bytes.
    pub(crate) fn generate() -> Result<Self, WireError> {
        let content_key =
            ContentKey::generate().map_err(|error| WireError::new(Code::Internal, error.to_string()))?;
        Ok(Self { content_key, share_secret: Zeroizing::new(random::bytes()?) })
    }

    /// Those of an image of one's own.
    ///
    /// # Errors
    /// [`VaultError::Damaged`].
    pub(crate) fn open(vault: &Vault, image: &OwnImage) -> Result<Self, VaultError> {
        Self::open_row(vault, &image.info.sealed.hash, (&image.content_key, &image.share_secret))
    }

    /// Those of an image on its way to the directory.
    ///
    /// # Errors
    /// [`VaultError::Damaged`].
    pub(crate) fn open_publication(vault: &Vault, image: &Publication) -> Result<Self, VaultError> {
        Self::open_row(vault, &image.publish.sealed.hash, (&image.content_key, &image.share_secret))
    }

    fn open_row(
        vault: &Vault,
        row: &SealedHash,
        (content_key, share_secret): (&[u8], &[u8]),
    ) -> Result<Self, VaultError> {
        let content_key = vault.open(EventKind::ContentKey, row.as_bytes(), content_key)?;
        let share_secret = vault.open(EventKind::ShareSecret, row.as_bytes(), share_secret)?;
        Ok(Self { content_key: ContentKey::from_bytes(*content_key), share_secret })
    }

    /// As the store keeps them beside the sealed copy `row`.
    ///
    /// # Errors
    /// As in [`VaultError`].
    pub(crate) fn store(&self, vault: &Vault, row: &SealedHash) -> Result<StoredKeys, VaultError> {
        Ok(StoredKeys {
            content_key: vault.seal(EventKind::ContentKey, row.as_bytes(), self.content_key.as_bytes())?,
            share_secret: vault.seal(EventKind::ShareSecret, row.as_bytes(), &self.share_secret)?,
        })
    }

    /// The content key.
    #[must_use]
    pub(crate) fn content_key(&self) -> &ContentKey {
        &self.content_key
    }

    /// The owner's share for one viewer under one split.
    ///
    /// # Errors
    /// [`VaultError::Setup`].
    pub(crate) fn owner_share(
        &self,
        image: ImageNo,
        viewer: PeerId,
        split: SplitId,
    ) -> Result<OwnerShare, VaultError> {
        let info = [b"dos owner share v1".as_slice(), &image.0.to_be_bytes(), &viewer.number().to_be_bytes()];
        let share = hkdf(split.as_bytes(), self.share_secret.as_slice(), &info)?;
        Ok(OwnerShare::from_bytes(*share))
    }

    /// The directory's share for one viewer, under a split drawn anew.
    ///
    /// # Errors
    /// As in [`VaultError`].
    pub(crate) fn key_share(&self, image: ImageNo, viewer: PeerId) -> Result<KeyShare, VaultError> {
        let split = SplitId::from(random::bytes::<16>()?);
        self.key_share_of(image, viewer, split)
    }

    /// The directory's share for one viewer under a split that there is.
    ///
    /// # Errors
    /// As in [`VaultError`].
    pub(crate) fn key_share_of(
        &self,
        image: ImageNo,
        viewer: PeerId,
        split: SplitId,
    ) -> Result<KeyShare, VaultError> {
        let owner = self.owner_share(image, viewer, split)?;
        Ok(KeyShare { split, share: *self.content_key.complement(&owner).as_bytes() })
    }
}

impl std::fmt::Debug for ImageKeys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("ImageKeys(..)")
    }
}

/// How many blocks a sealed copy has.
#[must_use]
pub(crate) fn block_count(sealed: &SealedCopy) -> u32 {
    let blocks = sealed.bytes.div_ceil(u64::try_from(dos_sealed::BLOCK_BYTES).unwrap_or(u64::MAX));
    u32::try_from(blocks).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use dos_sealed::DirectoryShare;

    use super::*;

    #[test]
    fn the_two_shares_of_a_right_join_to_the_content_key_and_fit_no_other_right() {
        let keys = ImageKeys::generate().unwrap();
        let (alice, bob): (PeerId, PeerId) = ("7xKqPm2R".parse().unwrap(), "7xKqPm2S".parse().unwrap());
        let share = keys.key_share(ImageNo(1), alice).unwrap();
        let directory = DirectoryShare::from_bytes(share.share);
        let join = |image, viewer, split| {
            let owner = keys.owner_share(image, viewer, split).unwrap();
            *ContentKey::join(&owner, &directory).as_bytes()
        };
        let key = *keys.content_key().as_bytes();
        assert_eq!(join(ImageNo(1), alice, share.split), key);
        assert_ne!(join(ImageNo(2), alice, share.split), key);
        assert_ne!(join(ImageNo(1), bob, share.split), key);
        assert_ne!(join(ImageNo(1), alice, SplitId::from([0; 16])), key);
    }

    #[test]
    fn stored_keys_open_beside_their_own_copy_only() {
        let (vault, keys) = (Vault::new(&[1; 32]).unwrap(), ImageKeys::generate().unwrap());
        let row = SealedHash::from([7; 32]);
        let stored = keys.store(&vault, &row).unwrap();
        let open = |row: SealedHash| vault.open(EventKind::ContentKey, row.as_bytes(), &stored.content_key);
        assert_eq!(&*open(row).unwrap(), keys.content_key().as_bytes());
        assert!(open(SealedHash::from([8; 32])).is_err());
    }
}
