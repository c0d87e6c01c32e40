//! The keys of one's own images: drawn, kept in the vault, and split for each right.
//!
//! An owner share is derived, not stored: HKDF-SHA256 of the image's share secret, with the split as its salt, for one
//! image and one viewer, and for the key that the viewer holds: a directory that puts another key in the viewer's place gets a
//! share that opens nothing. So nothing must be written down before a share is sent, and it can be served again at any time.
//!
//! Splits of the first release are 16 random bytes, and their shares are not bound to a key. Those of today end with a mark that
//! only the owner can make and recognise, so that neither the directory nor a viewer can have one taken for the other.

use dos_protocol::{
    Code, ImageNo, PeerId, PublicKey, SealedHash, SplitId, WireError,
    directory::KeyShare,
    model::{Grant, SealedCopy},
};
use dos_sealed::{ContentKey, OwnerShare};
use zeroize::Zeroizing;

use crate::{
    random,
    store::{OwnImage, Publication},
    vault::{EventKind, Vault, VaultError, hkdf},
};

/// Random bytes of a split: no viewer gets 2^32 grants of an image.
const SPLIT_RANDOM_BYTES: usize = 8;

/// Bytes of its mark: one of 2^64 random splits has it by chance.
const SPLIT_MARK_BYTES: usize = 8;

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

    /// The owner's share for the viewer that holds `key`, under one split.
    ///
    /// # Errors
    /// [`VaultError::Setup`].
    pub(crate) fn owner_share(
        &self,
        image: ImageNo,
        (viewer, key): (PeerId, &PublicKey),
        split: SplitId,
    ) -> Result<OwnerShare, VaultError> {
        let (image, viewer) = (image.0.to_be_bytes(), viewer.number().to_be_bytes());
        let bound = [b"dos owner share v2".as_slice(), &image, &viewer, key.as_bytes()];
        let unbound = [b"dos owner share v1".as_slice(), &image, &viewer];
        let info: &[&[u8]] = if self.is_bound(split)? { &bound } else { &unbound };
        let share = hkdf(split.as_bytes(), self.share_secret.as_slice(), info)?;
        Ok(OwnerShare::from_bytes(*share))
    }

    /// The directory's share for the viewer that holds `key`, under a split drawn anew.
    ///
    /// # Errors
    /// As in [`VaultError`].
    pub(crate) fn key_share(
        &self,
        image: ImageNo,
        viewer: (PeerId, &PublicKey),
    ) -> Result<KeyShare, VaultError> {
        let drawn = random::bytes::<SPLIT_RANDOM_BYTES>()?;
        let mut split = [0; 16];
        let (front, mark) = split.split_at_mut(SPLIT_RANDOM_BYTES);
        front.copy_from_slice(&drawn);
        mark.copy_from_slice(&self.mark(&drawn)?);
        let split = SplitId::from(split);
        self.key_share_of(image, viewer, split)
    }

    /// The directory's share for one viewer under a split that there is.
    ///
    /// # Errors
    /// As in [`VaultError`].
    pub(crate) fn key_share_of(
        &self,
        image: ImageNo,
        viewer: (PeerId, &PublicKey),
        split: SplitId,
    ) -> Result<KeyShare, VaultError> {
        let owner = self.owner_share(image, viewer, split)?;
        let check = Some(owner.commitment().into());
        Ok(KeyShare { split, share: *self.content_key.complement(&owner).as_bytes(), check })
    }

    /// Whether the shares of a split are bound to the viewer's key.
    fn is_bound(&self, split: SplitId) -> Result<bool, VaultError> {
        let (drawn, mark) = split.as_bytes().split_at(SPLIT_RANDOM_BYTES);
        Ok(self.mark(drawn)? == mark)
    }

    /// What a split of today ends with.
    fn mark(&self, drawn: &[u8]) -> Result<[u8; SPLIT_MARK_BYTES], VaultError> {
        let mark = hkdf(drawn, self.share_secret.as_slice(), &[b"dos split v2"])?;
        let mut out = [0; SPLIT_MARK_BYTES];
        out.copy_from_slice(mark.split_at(SPLIT_MARK_BYTES).0);
        Ok(out)
    }
}

impl std::fmt::Debug for ImageKeys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("ImageKeys(..)")
    }
}

/// Whether this is the owner share of a grant, as far as its owner has said which one that is: owners of the first release say
/// nothing.
#[must_use]
pub(crate) fn is_share_of(grant: &Grant, share: &OwnerShare) -> bool {
    grant.check.is_none_or(|check| *check.as_bytes() == share.commitment())
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
        let (held, swapped) = (PublicKey::from([1; 32]), PublicKey::from([2; 32]));
        let share = keys.key_share(ImageNo(1), (alice, &held)).unwrap();
        let directory = DirectoryShare::from_bytes(share.share);
        let join = |image, viewer, split| {
            let owner = keys.owner_share(image, viewer, split).unwrap();
            *ContentKey::join(&owner, &directory).as_bytes()
        };
        let key = *keys.content_key().as_bytes();
        assert_eq!(join(ImageNo(1), (alice, &held), share.split), key);
        assert_ne!(join(ImageNo(2), (alice, &held), share.split), key);
        assert_ne!(join(ImageNo(1), (bob, &held), share.split), key);
        assert_ne!(join(ImageNo(1), (alice, &swapped), share.split), key);
        assert_ne!(join(ImageNo(1), (alice, &held), SplitId::from([0; 16])), key);
    }

    #[test]
    fn shares_of_the_first_release_go_on_and_no_split_of_today_is_taken_for_one() {
        let keys = ImageKeys { content_key: ContentKey::from_bytes([5; 32]), share_secret: [6; 32].into() };
        let viewer: PeerId = "7xKqPm2R".parse().unwrap();
        let share = |key, split| *keys.owner_share(ImageNo(1), (viewer, &key), split).unwrap().as_bytes();
        let (one, other) = (PublicKey::from([1; 32]), PublicKey::from([2; 32]));
        let old = SplitId::from([7; 16]);
        assert_eq!(share(one, old), share(other, old));
        // HKDF-SHA256 as the first release has derived it.
        let info = [b"dos owner share v1".as_slice(), &1_u64.to_be_bytes(), &viewer.number().to_be_bytes()];
        assert_eq!(share(one, old), *hkdf(old.as_bytes(), &[6; 32], &info).unwrap());
        let new = keys.key_share(ImageNo(1), (viewer, &one)).unwrap().split;
        assert_ne!(share(one, new), share(other, new));
        let mut changed = *new.as_bytes();
        changed[15] ^= 1;
        assert_eq!(share(one, changed.into()), share(other, changed.into()));
        assert_ne!(share(one, changed.into()), share(one, new));
    }

    #[test]
    fn the_owner_says_by_what_its_share_is_known() {
        let keys = ImageKeys::generate().unwrap();
        let bob: PeerId = "7xKqPm2S".parse().unwrap();
        let share = keys.key_share(ImageNo(1), (bob, &PublicKey::from([1; 32]))).unwrap();
        let owner = keys.owner_share(ImageNo(1), (bob, &PublicKey::from([1; 32])), share.split).unwrap();
        let grant = Grant { check: share.check, ..crate::rules::samples::grant(1) };
        assert!(is_share_of(&grant, &owner));
        let other = OwnerShare::from_bytes([7; 32]);
        assert!(!is_share_of(&grant, &other));
        assert!(is_share_of(&Grant { check: None, ..grant }, &other), "an older owner has said nothing");
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
