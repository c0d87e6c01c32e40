//! Which key of a peer is believed: the one that is pinned, and nothing that is not signed with it.
//!
//! What always holds: a pinned key is never replaced by what the directory says; what was signed once is not believed unsigned
//! afterwards, and no older word of an owner after a newer one.

use dos_protocol::{
    PublicKey,
    record::{ImageRecord, SignatureState},
};

/// What is known here of a peer's key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Pinned {
    /// Its key.
    pub(crate) key: PublicKey,
    /// Whether the peer is known to sign: an older one does not.
    pub(crate) signs: bool,
}

/// What becomes of a key that somebody says is a peer's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Judged {
    /// None is known yet.
    Unknown,
    /// It is the one that is known.
    Same,
    /// Another one is known.
    Changed,
}

/// Compares a key with the pinned one.
pub(crate) fn judge(pinned: Option<&PublicKey>, told: &PublicKey) -> Judged {
    match pinned {
        None => Judged::Unknown,
        Some(pinned) if pinned == told => Judged::Same,
        Some(_) => Judged::Changed,
    }
}

/// What a message proves of its sender.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Proof {
    /// The holder of this key has signed it, for this peer.
    Signed(PublicKey),
    /// Nothing: it is not signed.
    None,
    /// It is signed or sealed, and wrongly so.
    Wrong,
}

/// What becomes of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Credit {
    /// It is its sender's, whose key is pinned.
    Signed,
    /// It is that of the holder of this key, of which nothing was known: it is pinned now.
    First(PublicKey),
    /// Nobody has signed it, and its sender is not known to sign.
    Unsigned,
    /// It is refused.
    Refused(Distrust),
}

/// Why something is not believed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Distrust {
    /// It was signed with another key than the pinned one.
    KeyChanged(PublicKey),
    /// It is not signed, although the sender signs.
    NotSigned,
    /// It does not open, or its signature is wrong.
    Wrong,
}

/// Decides on a message.
pub(crate) fn message(pinned: Option<&Pinned>, proof: Proof) -> Credit {
    match (proof, pinned) {
        (Proof::Wrong, _) => Credit::Refused(Distrust::Wrong),
        (Proof::Signed(key), pinned) => match judge(pinned.map(|pinned| &pinned.key), &key) {
            Judged::Unknown => Credit::First(key),
            Judged::Same => Credit::Signed,
            Judged::Changed => Credit::Refused(Distrust::KeyChanged(key)),
        },
        (Proof::None, Some(pinned)) if pinned.signs => Credit::Refused(Distrust::NotSigned),
        (Proof::None, _) => Credit::Unsigned,
    }
}

/// Judges an owner's word for an image. `seen` is the highest revision that was seen of its words for an image of this name;
/// `is_signed` tells whether the signature is that of `owner`'s key, or, where nothing is pinned, of the key that the directory tells.
pub(crate) fn image(
    owner: Option<&Pinned>,
    seen: Option<u64>,
    record: Option<&ImageRecord>,
    is_signed: bool,
) -> SignatureState {
    let Some(record) = record else {
        let known = seen.is_some() || owner.is_some_and(|owner| owner.signs);
        return if known { SignatureState::Missing } else { SignatureState::None };
    };
    if !is_signed {
        SignatureState::Wrong
    } else if seen.is_some_and(|seen| record.revision < seen) {
        SignatureState::Old
    } else {
        SignatureState::Valid
    }
}

/// The revision of the next word of an owner: above all before. Where what came before may be lost, the time makes it so.
pub(crate) fn next_revision(last: u64, now_ms: u64) -> u64 {
    last.saturating_add(1).max(now_ms)
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: [u8; 32] = [1; 32];

    fn key(byte: u8) -> PublicKey {
        PublicKey::from([byte; 32])
    }

    fn pinned(signs: bool) -> Pinned {
        Pinned { key: KEY.into(), signs }
    }

    #[test]
    fn the_pinned_key_alone_is_believed() {
        assert_eq!(judge(None, &key(1)), Judged::Unknown);
        assert_eq!(judge(Some(&key(1)), &key(1)), Judged::Same);
        assert_eq!(judge(Some(&key(1)), &key(2)), Judged::Changed);
    }

    #[test]
    fn a_message_is_credited_as_in_the_table() {
        use Credit as C;
        use Distrust as D;
        let signed = |byte| Proof::Signed(key(byte));
        for (pin, proof, expected) in [
            (None, signed(1), C::First(key(1))),
            (Some(pinned(false)), signed(1), C::Signed),
            (Some(pinned(true)), signed(1), C::Signed),
            (Some(pinned(false)), signed(2), C::Refused(D::KeyChanged(key(2)))),
            (Some(pinned(true)), signed(2), C::Refused(D::KeyChanged(key(2)))),
            (None, Proof::None, C::Unsigned),
            (Some(pinned(false)), Proof::None, C::Unsigned),
            (Some(pinned(true)), Proof::None, C::Refused(D::NotSigned)),
            (None, Proof::Wrong, C::Refused(D::Wrong)),
            (Some(pinned(false)), Proof::Wrong, C::Refused(D::Wrong)),
            (Some(pinned(true)), Proof::Wrong, C::Refused(D::Wrong)),
        ] {
            assert_eq!(message(pin.as_ref(), proof), expected, "{pin:?} {proof:?}");
        }
    }

    #[test]
    fn an_image_is_judged_as_in_the_table() {
        use SignatureState as S;
        let record = |revision| ImageRecord {
            revision,
            preview_hash: [0; 32],
            signature: [0; 64].into(),
            album: None,
            description: None,
            thumbhash: None,
            taken: None,
        };
        let seen = Some(5);
        for (owner, seen, record, is_signed, expected) in [
            (None, None, None, false, S::None),
            (Some(pinned(false)), None, None, false, S::None),
            (Some(pinned(true)), None, None, false, S::Missing),
            (Some(pinned(false)), seen, None, false, S::Missing),
            (None, None, Some(record(1)), true, S::Valid),
            (None, None, Some(record(1)), false, S::Wrong),
            (Some(pinned(true)), seen, Some(record(4)), true, S::Old),
            (Some(pinned(true)), seen, Some(record(4)), false, S::Wrong),
            (Some(pinned(true)), seen, Some(record(5)), true, S::Valid),
            (Some(pinned(true)), seen, Some(record(6)), true, S::Valid),
        ] {
            let state = image(owner.as_ref(), seen, record.as_ref(), is_signed);
            assert_eq!(state, expected, "{owner:?} {seen:?} {record:?} {is_signed}");
        }
    }

    #[test]
    fn revisions_only_grow() {
        assert_eq!(next_revision(5, 3), 6);
        assert_eq!(next_revision(5, 6), 6);
        assert_eq!(next_revision(5, 7), 7);
        assert_eq!(next_revision(u64::MAX, 7), u64::MAX);
    }
}
