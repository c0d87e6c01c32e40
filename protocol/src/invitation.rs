//! Invitations: what a peer puts into the join link of a person, so that whoever uses the link and the inviter know each other's keys.
//!
//! The link carries the inviter's card and a secret of 128 bits, which the directory never sees. From it come the invitation's ID,
//! by which the inviter finds it, and a key for each kind of [`Greeting`]: the guest proves its keys to the inviter by a MAC (BLAKE3,
//! keyed), the inviter its own to the guest. What always holds: a MAC is over the whole [`Meeting`], with the directory's key in it
//! (a refusal: all but the guest's key), and its label names the kind, so that none of them can be made, changed, answered back or
//! passed on by someone without the secret.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use crate::{
    card::Card,
    directory::{Blob, BlobError},
    frame,
    id::PeerId,
    key::PublicKey,
    name::PeerName,
    sealing::SealingKey,
    signature::Statement,
};

/// Bytes of the secret.
const SECRET_BYTES: usize = 16;

/// Bytes of the checksum behind it: a link that was not copied whole, or mistyped, is told from one that nobody has made.
const CHECKSUM_BYTES: usize = 4;

/// Contexts of what is derived (BLAKE3, key derivation).
const MASTER: &str = "dos 2026 secret of an invitation v1";
const ID: &str = "dos 2026 id of an invitation v1";
const CHECKSUM: &str = "dos 2026 checksum of an invitation's link v1";
const JOIN: &str = "dos 2026 invitation, guest to inviter v1";
const WELCOME: &str = "dos 2026 invitation, inviter to guest v1";
const REFUSAL: &str = "dos 2026 invitation, inviter refuses guest v1";

/// The context of what a MAC is over.
const CONTEXT: &str = "dos invitation v1";

/// What a link says beside where the directory is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Invitation {
    /// Who invites.
    pub from: Card,
    /// The name by which the inviter calls its guest.
    pub guest: PeerName,
    /// Known to those who have the link alone.
    pub secret: InviteSecret,
}

/// The secret in a link; wiped when dropped, never shown but by [`InviteSecret::fragment`].
#[derive(Clone, PartialEq, Eq)]
pub struct InviteSecret(Zeroizing<[u8; SECRET_BYTES]>);

impl fmt::Debug for InviteSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("InviteSecret(..)")
    }
}

/// Not the secret that belongs to the rest of the link.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the invitation is damaged")]
pub struct SecretError;

impl InviteSecret {
    /// A fresh one.
    ///
    /// # Errors
    /// If the system gives no randomness.
    #[cfg(feature = "tls")]
    pub fn generate() -> Result<Self, crate::key::SecretError> {
        Ok(Self(Zeroizing::new(crate::random::bytes()?)))
    }

    /// What the two daemons keep in place of the secret.
    #[must_use]
    pub fn master(&self) -> InviteKey {
        InviteKey(Zeroizing::new(blake3::derive_key(MASTER, self.0.as_slice())))
    }

    fn checksum(&self, rest: &str) -> [u8; CHECKSUM_BYTES] {
        let mut hasher = blake3::Hasher::new_derive_key(CHECKSUM);
        hasher.update(self.0.as_slice());
        hasher.update(rest.as_bytes());
        let mut sum = [0; CHECKSUM_BYTES];
        hasher.finalize_xof().fill(&mut sum);
        sum
    }

    /// The secret as it stands behind the `#` of the link whose `rest` comes before it.
    #[must_use]
    pub fn fragment(&self, rest: &str) -> Zeroizing<String> {
        let mut bytes = Zeroizing::new(Vec::with_capacity(SECRET_BYTES + CHECKSUM_BYTES));
        bytes.extend_from_slice(self.0.as_slice());
        bytes.extend_from_slice(&self.checksum(rest));
        Zeroizing::new(bs58::encode(bytes.as_slice()).into_string())
    }

    /// Reads [`InviteSecret::fragment`].
    ///
    /// # Errors
    /// If it is none, or belongs to another link.
    pub fn read(fragment: &str, rest: &str) -> Result<Self, SecretError> {
        let mut bytes = Zeroizing::new([0; SECRET_BYTES + CHECKSUM_BYTES]);
        let decoded = bs58::decode(fragment.as_bytes()).onto(bytes.as_mut_slice());
        if decoded != Ok(SECRET_BYTES + CHECKSUM_BYTES) {
            return Err(SecretError);
        }
        let (secret, checksum) = bytes.split_first_chunk::<SECRET_BYTES>().ok_or(SecretError)?;
        let secret = Self(Zeroizing::new(*secret));
        if secret.checksum(rest).as_slice() == checksum { Ok(secret) } else { Err(SecretError) }
    }
}

/// An invitation, as its two sides tell it from others. The directory sees it, and learns nothing of the secret from it.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct InvitationId(#[serde(with = "serde_bytes")] [u8; 16]);

impl InvitationId {
    /// Its 16 bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8; 16] {
        &self.0
    }
}

impl From<[u8; 16]> for InvitationId {
    fn from(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }
}

impl fmt::Display for InvitationId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&bs58::encode(&self.0).into_string())
    }
}

impl fmt::Debug for InvitationId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Code that proves that someone knows the secret, and what of two peers was meant.
#[derive(Clone, Copy, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Mac(#[serde(with = "serde_bytes")] [u8; 32]);

impl PartialEq for Mac {
    /// In constant time.
    fn eq(&self, other: &Self) -> bool {
        blake3::Hash::from(self.0) == blake3::Hash::from(other.0)
    }
}

impl Eq for Mac {}

impl fmt::Debug for Mac {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Mac(..)")
    }
}

/// The two peers of an invitation and the directory where they meet, as one side knows them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Meeting {
    /// The directory's key.
    pub directory: PublicKey,
    /// The inviter.
    pub inviter: (PeerId, PublicKey),
    /// The guest.
    pub guest: (PeerId, PublicKey),
}

/// What both daemons keep of the secret.
#[derive(Clone, PartialEq, Eq)]
pub struct InviteKey(Zeroizing<[u8; 32]>);

impl fmt::Debug for InviteKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("InviteKey(..)")
    }
}

impl From<Zeroizing<[u8; 32]>> for InviteKey {
    fn from(bytes: Zeroizing<[u8; 32]>) -> Self {
        Self(bytes)
    }
}

impl InviteKey {
    /// Its 32 bytes, to be kept where nobody reads them.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// The invitation's ID.
    #[must_use]
    pub fn id(&self) -> InvitationId {
        let mut id = [0; 16];
        let mut hasher = blake3::Hasher::new_derive_key(ID);
        hasher.update(self.0.as_slice());
        hasher.finalize_xof().fill(&mut id);
        InvitationId(id)
    }

    fn mac(&self, label: &str, meeting: &Meeting, more: impl FnOnce(Statement) -> Statement) -> Mac {
        let key = Zeroizing::new(blake3::derive_key(label, self.0.as_slice()));
        let statement = Statement::new(CONTEXT)
            .bytes(label.as_bytes())
            .bytes(self.id().as_bytes())
            .bytes(meeting.directory.as_bytes())
            .number(meeting.inviter.0.number())
            .bytes(meeting.inviter.1.as_bytes())
            .number(meeting.guest.0.number())
            .bytes(meeting.guest.1.as_bytes());
        Mac(blake3::keyed_hash(&key, more(statement).as_bytes()).into())
    }

    /// What the guest says to the inviter.
    #[must_use]
    pub fn join(&self, meeting: &Meeting, sealing: SealingKey, name: Option<PeerName>) -> Join {
        let mac = self.join_mac(meeting, &sealing, name.as_ref());
        Join { invitation: self.id(), key: meeting.guest.1, sealing, name, mac }
    }

    fn join_mac(&self, meeting: &Meeting, sealing: &SealingKey, name: Option<&PeerName>) -> Mac {
        self.mac(JOIN, meeting, |statement| {
            let name = name.map_or("", PeerName::as_str);
            statement.bytes(&sealing.key).bytes(name.as_bytes())
        })
    }

    /// What the inviter says to the guest that it takes in.
    #[must_use]
    pub fn welcome(&self, meeting: &Meeting, sealing: SealingKey, guest: &SealingKey) -> Welcome {
        Welcome { invitation: self.id(), sealing, mac: self.welcome_mac(meeting, &sealing, guest) }
    }

    fn welcome_mac(&self, meeting: &Meeting, sealing: &SealingKey, guest: &SealingKey) -> Mac {
        self.mac(WELCOME, meeting, |statement| statement.bytes(&sealing.key).bytes(&guest.key))
    }

    /// What the inviter says to one that it does not take in.
    #[must_use]
    pub fn refusal(&self, meeting: &Meeting, why: RefusedBecause) -> Refusal {
        Refusal { invitation: self.id(), why, mac: self.refusal_mac(meeting, why) }
    }

    fn refusal_mac(&self, meeting: &Meeting, why: RefusedBecause) -> Mac {
        // The guest's key may be what the two know differently; then the guest has to be able to believe that.
        let meeting = &Meeting { guest: (meeting.guest.0, PublicKey::from([0; 32])), ..meeting.clone() };
        self.mac(REFUSAL, meeting, |statement| statement.bytes(why.as_str().as_bytes()))
    }
}

/// What two peers of an invitation say to each other through the directory.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Greeting {
    /// From the guest.
    Join(Join),
    /// From the inviter: it has pinned the guest's key, and given the grants.
    Welcome(Welcome),
    /// From the inviter: it has done nothing.
    Refusal(Refusal),
}

impl Greeting {
    /// As it travels.
    ///
    /// # Errors
    /// If it is too long, which none is.
    pub fn to_blob(&self) -> Result<Blob, BlobError> {
        let mut frame = frame::to_frame(self).map_err(|_| BlobError)?;
        // Without the length that a frame begins with.
        Blob::try_from(frame.split_off(frame.len().min(4)))
    }

    /// Reads what came; nothing if it is of a kind that this version does not know, or none.
    #[must_use]
    pub fn read(blob: &Blob) -> Option<Self> {
        frame::decode(blob.as_bytes()).ok()
    }

    /// To which invitation it belongs.
    #[must_use]
    pub fn invitation(&self) -> InvitationId {
        match self {
            Self::Join(join) => join.invitation,
            Self::Welcome(welcome) => welcome.invitation,
            Self::Refusal(refusal) => refusal.invitation,
        }
    }
}

/// See [`Greeting::Join`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Join {
    /// Which invitation.
    pub invitation: InvitationId,
    /// The guest's key.
    pub key: PublicKey,
    /// Its sealing key.
    pub sealing: SealingKey,
    /// Its name at the directory.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<PeerName>,
    /// Over all of it and the meeting.
    pub mac: Mac,
}

/// See [`Greeting::Welcome`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Welcome {
    /// Which invitation.
    pub invitation: InvitationId,
    /// The inviter's sealing key.
    pub sealing: SealingKey,
    /// Over all of it, the guest's sealing key and the meeting.
    pub mac: Mac,
}

/// See [`Greeting::Refusal`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refusal {
    /// Which invitation.
    pub invitation: InvitationId,
    /// Why.
    pub why: RefusedBecause,
    /// Over all of it and the meeting, as the inviter knows it.
    pub mac: Mac,
}

/// Why a guest is not taken in.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, strum::IntoStaticStr, strum::EnumString,
)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum RefusedBecause {
    /// Another peer has used it.
    Used,
    /// It was used after its time.
    Expired,
    /// The inviter has revoked it.
    Revoked,
    /// The keys, or what else is proved, are not those that the guest has: they were changed on the way.
    Keys,
    /// The inviter knows the peer under another key.
    KeyChanged,
}

impl RefusedBecause {
    /// As on the wire.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        self.into()
    }
}

impl Join {
    /// Whether a guest that knows the secret has said this, of this meeting; `meeting` has the guest's key from here.
    #[must_use]
    pub fn is_proved(&self, key: &InviteKey, meeting: &Meeting) -> bool {
        self.mac == key.join_mac(meeting, &self.sealing, self.name.as_ref())
    }
}

impl Welcome {
    /// Whether an inviter that knows the secret has said this, of this meeting and these keys.
    #[must_use]
    pub fn is_proved(&self, key: &InviteKey, meeting: &Meeting, guest: &SealingKey) -> bool {
        self.mac == key.welcome_mac(meeting, &self.sealing, guest)
    }
}

impl Refusal {
    /// Whether an inviter that knows the secret has said this.
    #[must_use]
    pub fn is_proved(&self, key: &InviteKey, meeting: &Meeting) -> bool {
        self.mac == key.refusal_mac(meeting, self.why)
    }
}

/// What a link says of its user: an invite's code, and an invitation.
pub(crate) type Admits = (Option<Box<str>>, Option<Box<Invitation>>);

/// Reads what stands behind the `?` and the `#` of a link: an invite's code, and an invitation. `rest` is all of the link before the `#`.
pub(crate) fn read(
    query: &str,
    (rest, fragment): (&str, Option<&str>),
) -> Option<Result<Admits, SecretError>> {
    let (mut code, mut from, mut name, mut guest) = (None, None, None, None);
    for part in query.split('+') {
        let (key, value) = part.split_once('=')?;
        let place = match key {
            "invite" => &mut code,
            "from" => &mut from,
            "name" => &mut name,
            "for" => &mut guest,
            _ => return None,
        };
        if place.replace(value).is_some() {
            return None;
        }
    }
    let code = match code {
        Some(code) if is_code(code) => Some(code.into()),
        Some(_) => return None,
        None => None,
    };
    let Some(from) = from else {
        let is_plain = name.is_none() && guest.is_none() && fragment.is_none() && code.is_some();
        return is_plain.then_some(Ok((code, None)));
    };
    let (id, key) = from.split_once('@')?;
    let from = Card { id: id.parse().ok()?, key: key.parse().ok()?, name: parsed(name)? };
    let guest = guest?.parse().ok()?;
    let invitation = InviteSecret::read(fragment.unwrap_or_default(), rest)
        .map(|secret| (code, Some(Box::new(Invitation { from, guest, secret }))));
    Some(invitation)
}

fn is_code(code: &str) -> bool {
    (1..=64).contains(&code.len()) && code.bytes().all(|byte| byte.is_ascii_alphanumeric())
}

/// The name in a part that may be missing; nothing if it is there and is no name.
fn parsed(name: Option<&str>) -> Option<Option<PeerName>> {
    name.map(PeerName::from_str).transpose().ok()
}

/// What [`read`] reads as query.
pub(crate) fn query(code: Option<&str>, invitation: Option<&Invitation>) -> String {
    let mut parts = Vec::new();
    parts.extend(code.map(|code| format!("invite={code}")));
    if let Some(Invitation { from, guest, .. }) = invitation {
        parts.push(format!("from={}@{}", from.id, from.key));
        parts.extend(from.name.as_ref().map(|name| format!("name={name}")));
        parts.push(format!("for={guest}"));
    }
    parts.join("+")
}

#[cfg(test)]
mod tests;
