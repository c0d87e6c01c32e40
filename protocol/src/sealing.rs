//! Messages that only their recipient can read: sealed by HPKE (RFC 9180) to its sealing key, and signed by the sender inside.
//!
//! The suite is DHKEM(X25519, HKDF-SHA256), HKDF-SHA256, ChaCha20-Poly1305, in base mode. A sealed message is the encapsulated
//! key (32 bytes), then the ciphertext of: when it was written (8 bytes, milliseconds since 1970), the signature (64 bytes), the
//! text; then the tag (16 bytes). What always holds: the signature names both peers, the recipient's key and the message's ID,
//! so that a message cannot be passed on as one to somebody else, nor be told twice under two IDs.
//!
//! The sealing key is derived from the identity's seed, so that whoever has the identity can read its messages, on any machine;
//! the identity signs it, so that nobody else can put another one in its place.

use serde::{Deserialize, Serialize};

use crate::{
    id::{MessageId, PeerId},
    limits::MESSAGE_BYTES_MAX,
    signature::Signature,
};

/// What a sealed message has beside its text: the encapsulated key, the time, the signature and the tag.
pub const SEALED_OVERHEAD: usize = 32 + 8 + 64 + 16;

/// The longest sealed message in bytes.
pub const SEALED_MESSAGE_BYTES_MAX: usize = MESSAGE_BYTES_MAX + SEALED_OVERHEAD;

/// The public key to which messages are sealed, signed by the peer's identity.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct SealingKey {
    /// X25519 (RFC 7748).
    #[serde(with = "serde_bytes")]
    pub key: [u8; 32],
    /// The identity's signature of it.
    pub signature: Signature,
}

/// From whom a message is to whom, and under which ID.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Route {
    /// Its sender.
    pub from: PeerId,
    /// Its recipient.
    pub to: PeerId,
    /// The sender's ID for it.
    pub message: MessageId,
}

#[cfg(feature = "tls")]
pub use crypto::{Letter, SealingError, open, seal, sealing_key, sign_broadcast, verify_broadcast};

#[cfg(feature = "tls")]
mod crypto {
    use hpke::{
        Deserializable, HpkeError, Kem, OpModeR, OpModeS, Serializable, aead::ChaCha20Poly1305,
        kdf::HkdfSha256, kem::X25519HkdfSha256, single_shot_open, single_shot_seal,
    };
    use zeroize::Zeroizing;

    use super::{Route, SEALED_MESSAGE_BYTES_MAX, SEALED_OVERHEAD, SealingKey};
    use crate::{
        key::{PublicKey, SecretError, SecretKey},
        signature::{BadSignature, SIGNATURE_BYTES, Signature, Statement},
        time::Timestamp,
    };

    type PrivateKey = <X25519HkdfSha256 as Kem>::PrivateKey;

    /// What the sealing key is derived with (BLAKE3, key derivation).
    const DERIVE: &str = "dos 2026 sealing key of an identity v1";

    /// The context of the signature of a sealing key.
    const KEY_CONTEXT: &str = "dos sealing key v1";

    /// The context of a message's signature and of its sealing.
    const MESSAGE_CONTEXT: &str = "dos message v1";

    /// The context of a broadcast's signature.
    const BROADCAST_CONTEXT: &str = "dos broadcast v1";

    const ENCAPSULATED_BYTES: usize = 32;
    const TIME_BYTES: usize = 8;

    /// Why a message cannot be sealed or opened.
    #[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
    pub enum SealingError {
        /// The recipient's identity has not signed the sealing key, or it is none.
        #[error("the recipient's sealing key is not its own")]
        Key,
        /// It does not open: it is not for this peer, was altered, or is another message.
        #[error("the message does not open")]
        Open,
        /// It opens, and its sender has not signed it.
        #[error("the message is not signed by its sender")]
        Signature,
        /// It is signed, and its text is none.
        #[error("the message is no text")]
        Text,
        /// The own key cannot be used.
        #[error(transparent)]
        Secret(#[from] SecretError),
    }

    impl From<BadSignature> for SealingError {
        fn from(_: BadSignature) -> Self {
            Self::Signature
        }
    }

    impl From<HpkeError> for SealingError {
        fn from(_: HpkeError) -> Self {
            Self::Open
        }
    }

    /// What a message says.
    #[derive(Clone, PartialEq, Eq)]
    pub struct Letter {
        /// When the sender wrote it, by its own clock.
        pub written_at: Timestamp,
        /// Its text.
        pub text: Box<str>,
    }

    impl std::fmt::Debug for Letter {
        fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            write!(f, "Letter({} bytes)", self.text.len())
        }
    }

    impl SealingKey {
        /// Whether the identity has signed it.
        ///
        /// # Errors
        /// If not.
        pub fn verify(&self, identity: &PublicKey) -> Result<(), BadSignature> {
            identity.verify(&key_statement(&self.key), &self.signature)
        }
    }

    fn key_statement(key: &[u8; 32]) -> Statement {
        Statement::new(KEY_CONTEXT).bytes(key)
    }

    fn private_key(identity: &SecretKey) -> PrivateKey {
        let derived = Zeroizing::new(blake3::derive_key(DERIVE, identity.seed()));
        X25519HkdfSha256::derive_keypair(derived.as_slice()).0
    }

    /// The sealing key of an identity.
    ///
    /// # Errors
    /// If the identity cannot sign.
    pub fn sealing_key(identity: &SecretKey) -> Result<SealingKey, SecretError> {
        let public = X25519HkdfSha256::sk_to_pk(&private_key(identity));
        let key: [u8; 32] = public.to_bytes().into();
        Ok(SealingKey { key, signature: identity.sign(&key_statement(&key))? })
    }

    fn statement(route: &Route, recipient: &PublicKey, letter: &Letter) -> Statement {
        Statement::new(MESSAGE_CONTEXT)
            .number(route.from.number())
            .number(route.to.number())
            .bytes(recipient.as_bytes())
            .bytes(route.message.as_bytes())
            .number(letter.written_at.0.cast_unsigned())
            .bytes(letter.text.as_bytes())
    }

    /// HPKE's `info`: the context, and who says it to whom.
    fn info(sender: &PublicKey, recipient: &PublicKey) -> Statement {
        Statement::new(MESSAGE_CONTEXT).bytes(sender.as_bytes()).bytes(recipient.as_bytes())
    }

    /// HPKE's `aad`: which message.
    fn aad(route: &Route) -> Statement {
        let ids = Statement::new(MESSAGE_CONTEXT).number(route.from.number()).number(route.to.number());
        ids.bytes(route.message.as_bytes())
    }

    /// Signs a message and seals it to the holder of `recipient`, whose sealing key is `sealing`.
    ///
    /// # Errors
    /// [`SealingError::Key`] if the recipient's identity has not signed the sealing key.
    pub fn seal(
        route: &Route,
        sender: &SecretKey,
        (recipient, sealing): (&PublicKey, &SealingKey),
        letter: &Letter,
    ) -> Result<Vec<u8>, SealingError> {
        sealing.verify(recipient).map_err(|_| SealingError::Key)?;
        let public = <X25519HkdfSha256 as Kem>::PublicKey::from_bytes(&sealing.key);
        let public = public.map_err(|_| SealingError::Key)?;
        let signature = sender.sign(&statement(route, recipient, letter))?;
        let mut plain = Zeroizing::new(Vec::with_capacity(letter.text.len() + SEALED_OVERHEAD));
        plain.extend_from_slice(&letter.written_at.0.to_be_bytes());
        plain.extend_from_slice(signature.as_bytes());
        plain.extend_from_slice(letter.text.as_bytes());
        let (encapsulated, body) = single_shot_seal::<ChaCha20Poly1305, HkdfSha256, X25519HkdfSha256>(
            &OpModeS::Base,
            &public,
            info(&sender.public()?, recipient).as_bytes(),
            &plain,
            aad(route).as_bytes(),
        )
        .map_err(|_| SealingError::Key)?;
        Ok([encapsulated.to_bytes().as_slice(), &body].concat())
    }

    /// Opens a message to the holder of `recipient`, and makes sure that the holder of `sender` has signed it.
    ///
    /// # Errors
    /// As in [`SealingError`].
    pub fn open(
        route: &Route,
        sender: &PublicKey,
        recipient: &SecretKey,
        sealed: &[u8],
    ) -> Result<Letter, SealingError> {
        if sealed.len() > SEALED_MESSAGE_BYTES_MAX {
            return Err(SealingError::Open);
        }
        let (encapsulated, body) = sealed.split_at_checked(ENCAPSULATED_BYTES).ok_or(SealingError::Open)?;
        let encapsulated = <X25519HkdfSha256 as Kem>::EncappedKey::from_bytes(encapsulated)?;
        let public = recipient.public()?;
        let plain = Zeroizing::new(single_shot_open::<ChaCha20Poly1305, HkdfSha256, X25519HkdfSha256>(
            &OpModeR::Base,
            &private_key(recipient),
            &encapsulated,
            info(sender, &public).as_bytes(),
            body,
            aad(route).as_bytes(),
        )?);
        let (time, rest) = plain.split_first_chunk::<TIME_BYTES>().ok_or(SealingError::Text)?;
        let (signature, text) = rest.split_first_chunk::<SIGNATURE_BYTES>().ok_or(SealingError::Text)?;
        let text = std::str::from_utf8(text).map_err(|_| SealingError::Text)?;
        let letter = Letter { written_at: Timestamp(i64::from_be_bytes(*time)), text: text.into() };
        sender.verify(&statement(route, &public, &letter), &Signature::from(*signature))?;
        Ok(letter)
    }

    fn broadcast(route: &Route, text: &str) -> Statement {
        let from = Statement::new(BROADCAST_CONTEXT).number(route.from.number());
        from.bytes(route.message.as_bytes()).bytes(text.as_bytes())
    }

    /// Signs a broadcast; its recipient in `route` does not count.
    ///
    /// # Errors
    /// If the identity cannot sign.
    pub fn sign_broadcast(route: &Route, sender: &SecretKey, text: &str) -> Result<Signature, SecretError> {
        sender.sign(&broadcast(route, text))
    }

    /// Whether the holder of `sender` has signed the broadcast.
    ///
    /// # Errors
    /// If not.
    pub fn verify_broadcast(
        route: &Route,
        sender: &PublicKey,
        text: &str,
        signature: &Signature,
    ) -> Result<(), BadSignature> {
        sender.verify(&broadcast(route, text), signature)
    }
}

#[cfg(feature = "tls")]
#[cfg(test)]
mod tests;
