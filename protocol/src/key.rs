//! Keys: a peer *is* its Ed25519 public key (RFC 8032), and so is a directory.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

/// Not 32 bytes in base58.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a public key is 32 bytes in base58")]
pub struct KeyError;

/// An Ed25519 public key: base58 as text, a byte string on the wire.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PublicKey([u8; 32]);

impl PublicKey {
    /// Its 32 bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl From<[u8; 32]> for PublicKey {
    fn from(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }
}

impl FromStr for PublicKey {
    type Err = KeyError;

    fn from_str(text: &str) -> Result<Self, KeyError> {
        let mut bytes = [0; 32];
        // 44 characters are the most that 32 bytes need; longer texts are not worth decoding.
        if text.len() > 44 {
            return Err(KeyError);
        }
        match bs58::decode(text).onto(&mut bytes) {
            Ok(32) => Ok(Self(bytes)),
            _ => Err(KeyError),
        }
    }
}

impl fmt::Display for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&bs58::encode(self.0).into_string())
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Serialize for PublicKey {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if serializer.is_human_readable() {
            serializer.collect_str(self)
        } else {
            serializer.serialize_bytes(&self.0)
        }
    }
}

impl<'de> Deserialize<'de> for PublicKey {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        if deserializer.is_human_readable() {
            return deserializer.deserialize_str(crate::name::TextVisitor::<Self>::new("a public key"));
        }
        serde_bytes::ByteArray::<32>::deserialize(deserializer).map(|bytes| Self(bytes.into_array()))
    }
}

#[cfg(feature = "tls")]
pub use secret::{SecretError, SecretKey};

#[cfg(feature = "tls")]
mod secret {
    use std::{fmt, str::FromStr};

    use ring::{
        rand::{SecureRandom, SystemRandom},
        signature::{ED25519, Ed25519KeyPair, KeyPair, UnparsedPublicKey},
    };
    use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

    use super::PublicKey;
    use crate::signature::{BadSignature, SIGNATURE_BYTES, Signature, Statement};

    impl PublicKey {
        /// Whether the holder of this key has signed the statement.
        ///
        /// # Errors
        /// If not.
        pub fn verify(&self, statement: &Statement, signature: &Signature) -> Result<(), BadSignature> {
            UnparsedPublicKey::new(&ED25519, self.as_bytes())
                .verify(statement.as_bytes(), signature.as_bytes())
                .map_err(|_| BadSignature)
        }
    }

    /// Why there is no secret key.
    #[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
    pub enum SecretError {
        /// Not 32 bytes in base58.
        #[error("a secret key is 32 bytes in base58")]
        Text,
        /// The system gave no randomness, or the seed makes no key.
        #[error("cannot make an Ed25519 key")]
        Crypto,
    }

    /// An Ed25519 secret key: the 32-byte seed of RFC 8032, wiped when dropped, never shown.
    #[derive(Clone, Zeroize, ZeroizeOnDrop)]
    pub struct SecretKey([u8; 32]);

    impl SecretKey {
        /// A fresh one.
        ///
        /// # Errors
        /// If the system gives no randomness.
        pub fn generate() -> Result<Self, SecretError> {
            let mut seed = Zeroizing::new([0; 32]);
            SystemRandom::new().fill(seed.as_mut()).map_err(|_| SecretError::Crypto)?;
            Ok(Self(*seed))
        }

        /// The public half.
        ///
        /// # Errors
        /// If the seed makes no key, which no seed of the right length does.
        pub fn public(&self) -> Result<PublicKey, SecretError> {
            let pair = Ed25519KeyPair::from_seed_unchecked(&self.0).map_err(|_| SecretError::Crypto)?;
            let bytes: [u8; 32] = pair.public_key().as_ref().try_into().map_err(|_| SecretError::Crypto)?;
            Ok(PublicKey::from(bytes))
        }

        /// Signs a statement.
        ///
        /// # Errors
        /// If the seed makes no key, which no seed of the right length does.
        pub fn sign(&self, statement: &Statement) -> Result<Signature, SecretError> {
            let pair = Ed25519KeyPair::from_seed_unchecked(&self.0).map_err(|_| SecretError::Crypto)?;
            let bytes: [u8; SIGNATURE_BYTES] =
                pair.sign(statement.as_bytes()).as_ref().try_into().map_err(|_| SecretError::Crypto)?;
            Ok(Signature::from(bytes))
        }

        /// The text that [`FromStr`] reads, for a file that only its owner can read.
        #[must_use]
        pub fn to_text(&self) -> Zeroizing<String> {
            Zeroizing::new(bs58::encode(&self.0).into_string())
        }

        /// The key of this seed.
        #[must_use]
        pub fn from_seed(seed: &[u8; 32]) -> Self {
            Self(*seed)
        }

        /// The seed, for what is derived from it or sealed.
        #[must_use]
        pub fn seed(&self) -> &[u8; 32] {
            &self.0
        }

        /// The key in PKCS #8 (RFC 8410, section 7), as TLS libraries take it.
        pub(crate) fn to_pkcs8(&self) -> Zeroizing<Vec<u8>> {
            const PREFIX: [u8; 16] = [0x30, 0x2e, 2, 1, 0, 0x30, 5, 6, 3, 0x2b, 0x65, 0x70, 4, 0x22, 4, 0x20];
            let mut der = Zeroizing::new(Vec::with_capacity(PREFIX.len() + self.0.len()));
            der.extend_from_slice(&PREFIX);
            der.extend_from_slice(&self.0);
            der
        }
    }

    impl FromStr for SecretKey {
        type Err = SecretError;

        fn from_str(text: &str) -> Result<Self, SecretError> {
            let mut seed = Zeroizing::new([0; 32]);
            match bs58::decode(text).onto(seed.as_mut()) {
                Ok(32) if text.len() <= 44 => Ok(Self(*seed)),
                _ => Err(SecretError::Text),
            }
        }
    }

    impl fmt::Debug for SecretKey {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("SecretKey(..)")
        }
    }
}

#[cfg(all(test, feature = "tls"))]
mod tests {
    use super::*;

    #[test]
    fn a_secret_key_reads_its_text_and_never_shows_itself() -> Result<(), SecretError> {
        let secret = SecretKey::generate()?;
        let again: SecretKey = secret.to_text().parse()?;
        assert_eq!(again.public()?, secret.public()?);
        assert_eq!(format!("{secret:?}"), "SecretKey(..)");
        Ok(())
    }

    #[test]
    fn a_signature_is_of_one_key_and_one_statement() -> Result<(), SecretError> {
        use crate::signature::{BadSignature, Signature, Statement};
        let (secret, other) = (SecretKey::generate()?, SecretKey::generate()?);
        let statement = || Statement::new("test").bytes(b"sea");
        let signature = secret.sign(&statement())?;
        assert_eq!(secret.public()?.verify(&statement(), &signature), Ok(()));
        assert_eq!(other.public()?.verify(&statement(), &signature), Err(BadSignature));
        assert_eq!(
            secret.public()?.verify(&Statement::new("test").bytes(b"see"), &signature),
            Err(BadSignature)
        );
        assert_eq!(secret.public()?.verify(&statement(), &Signature::from([0; 64])), Err(BadSignature));
        Ok(())
    }

    #[test]
    fn the_public_key_is_that_of_rfc_8032_test_1() -> Result<(), Box<dyn std::error::Error>> {
        let seed: [u8; 32] =
            blake3::Hash::from_hex("9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60")?
                .into();
        let public: [u8; 32] =
            blake3::Hash::from_hex("d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a")?
                .into();
        let secret: SecretKey = bs58::encode(seed).into_string().parse()?;
        assert_eq!(secret.public()?, PublicKey::from(public));
        Ok(())
    }
}
