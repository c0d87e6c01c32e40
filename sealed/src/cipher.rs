//! The authenticated encryption of chunks: AES-256-GCM in the STREAM construction.
//!
//! STREAM (Hoang, Reyhanitabar, Rogaway and Vizár, "Online Authenticated-Encryption and its Nonce-Reuse
//! Misuse-Resistance", CRYPTO 2015), with the nonces of the payload of age: 11 bytes of chunk index, big endian,
//! then 1 for the last chunk and 0 for all others. A chunk therefore opens at its own place only, and a file that
//! ends early has no last chunk.
//!
//! `key = HKDF-SHA256(ikm = content key, salt = the header's salt, info = "dos sealed copy v1")`, RFC 5869.
//!
//! What always holds: a cipher for sealing gets a fresh salt, so no key sees a nonce twice however often a content
//! key is used; one key seals 16 GiB at most, below the bounds of AES-GCM (NIST SP 800-38D). What this does not give
//! is commitment to the key: what a copy holds is pinned by its hash, not by its key.

use ring::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use ring::error::Unspecified;
use ring::hkdf::{HKDF_SHA256, Salt};

use crate::header::{HEADER_BYTES, Header, TAG_BYTES};
use crate::keys::{ContentKey, KEY_BYTES};

const INFO: &[u8] = b"dos sealed copy v1";

/// Seals or opens the chunks of one sealed copy.
pub(crate) struct ChunkCipher {
    /// Boxed so that a move of the owner leaves no second copy of the key schedule behind.
    key: Box<LessSafeKey>,
    header: [u8; HEADER_BYTES],
}

impl ChunkCipher {
    pub(crate) fn new(key: &ContentKey, header: &Header) -> Result<Self, Unspecified> {
        let prk = Salt::new(HKDF_SHA256, header.salt()).extract(key.as_bytes());
        let key = UnboundKey::from(prk.expand(&[INFO], &AES_256_GCM)?);
        Ok(Self { key: Box::new(LessSafeKey::new(key)), header: header.to_bytes() })
    }

    /// Encrypts a chunk in place and returns its tag.
    pub(crate) fn seal(
        &self,
        index: u64,
        last: bool,
        chunk: &mut [u8],
    ) -> Result<[u8; TAG_BYTES], Unspecified> {
        let tag = self.key.seal_in_place_separate_tag(nonce(index, last), Aad::from(&self.header), chunk)?;
        tag.as_ref().try_into().map_err(|_| Unspecified)
    }

    /// Decrypts a chunk with its tag in place; the plaintext is what is left without the tag. After an error the
    /// content of `chunk` is undefined and must not be used.
    pub(crate) fn open(&self, index: u64, last: bool, chunk: &mut [u8]) -> Result<(), Unspecified> {
        self.key.open_in_place(nonce(index, last), Aad::from(&self.header), chunk).map(|_| ())
    }
}

impl Drop for ChunkCipher {
    /// ring wipes no keys, so the expanded key is overwritten by that of another, public key.
    fn drop(&mut self) {
        if let Ok(blank) = UnboundKey::new(&AES_256_GCM, &[0; KEY_BYTES]) {
            *self.key = LessSafeKey::new(blank);
            std::hint::black_box(&self.key);
        }
    }
}

fn nonce(index: u64, last: bool) -> Nonce {
    let mut bytes = [0; NONCE_LEN];
    bytes[3..11].copy_from_slice(&index.to_be_bytes());
    bytes[11] = u8::from(last);
    Nonce::assume_unique_for_key(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_nonce_is_the_index_in_11_bytes_and_the_last_flag() {
        assert_eq!(nonce(0, false).as_ref(), &[0; 12]);
        assert_eq!(nonce(0x0102, true).as_ref(), &[0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 2, 1]);
        assert_eq!(nonce(u64::MAX, false).as_ref()[..4], [0, 0, 0, 255]);
    }

    #[test]
    fn a_chunk_opens_only_at_its_place_with_its_flag_under_its_key_and_header() {
        let key = ContentKey::from_bytes([1; 32]);
        let header = Header::new([2; 32]);
        let cipher = ChunkCipher::new(&key, &header).unwrap();
        let mut chunk = b"some plaintext".to_vec();
        let tag = cipher.seal(5, false, &mut chunk).unwrap();
        assert_ne!(chunk, b"some plaintext");
        chunk.extend_from_slice(&tag);

        let opens = |cipher: &ChunkCipher, index, last| cipher.open(index, last, &mut chunk.clone()).is_ok();
        assert!(opens(&cipher, 5, false));
        assert!(!opens(&cipher, 4, false));
        assert!(!opens(&cipher, 5, true));
        assert!(!opens(&ChunkCipher::new(&ContentKey::from_bytes([3; 32]), &header).unwrap(), 5, false));
        assert!(!opens(&ChunkCipher::new(&key, &Header::new([4; 32])).unwrap(), 5, false));
    }
}
