//! Cards: `dos-peer://ID@KEY[?name=NAME]`, a peer's key in a link that one person gives to another.
//!
//! What a card says is believed because of the way it came, not because of the directory: the directory never sees it. Names of
//! peers have no character that a link would have to escape.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

use crate::{fingerprint::Fingerprint, id::PeerId, key::PublicKey, name::PeerName};

/// A link with the longest name has less.
const CARD_BYTES_MAX: usize = 256;

/// Why a text is not a card.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CardError {
    /// Another scheme, or none, or far too long.
    #[error("a peer's card begins with \"dos-peer://\"")]
    Scheme,
    /// What stands before the `@` is not an ID.
    #[error("the card has no valid ID before the '@'")]
    Id,
    /// What stands behind the `@` is not a key.
    #[error("the card has no valid key after the '@'")]
    Key,
    /// What stands behind the `?` is not `name=NAME`.
    #[error("the card has an unknown part after its key")]
    Query,
}

/// A peer's key, and the name that it goes by.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Card {
    /// The peer's ID.
    pub id: PeerId,
    /// Its key.
    pub key: PublicKey,
    /// Its name when the card was made.
    pub name: Option<PeerName>,
}

impl Card {
    /// The key in digits.
    #[must_use]
    pub fn fingerprint(&self) -> Fingerprint {
        Fingerprint::new(self.id, &self.key)
    }
}

/// Whether a text is meant to be a card, so that its faults are reported as those of a card.
#[must_use]
pub fn is_card(text: &str) -> bool {
    text.trim_start().starts_with("dos-peer:")
}

impl FromStr for Card {
    type Err = CardError;

    fn from_str(text: &str) -> Result<Self, CardError> {
        let text = text.trim();
        if text.len() > CARD_BYTES_MAX {
            return Err(CardError::Scheme);
        }
        let rest = text.strip_prefix("dos-peer://").ok_or(CardError::Scheme)?;
        let (id, rest) = rest.split_once('@').ok_or(CardError::Id)?;
        let id = id.parse().map_err(|_| CardError::Id)?;
        let (key, query) = rest.split_once('?').map_or((rest, None), |(key, query)| (key, Some(query)));
        let key = key.parse().map_err(|_| CardError::Key)?;
        let name = query.map(name_of).transpose()?;
        Ok(Self { id, key, name })
    }
}

fn name_of(query: &str) -> Result<PeerName, CardError> {
    query.strip_prefix("name=").and_then(|name| name.parse().ok()).ok_or(CardError::Query)
}

impl fmt::Display for Card {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "dos-peer://{}@{}", self.id, self.key)?;
        self.name.as_ref().map_or(Ok(()), |name| write!(f, "?name={name}"))
    }
}

impl Serialize for Card {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Card {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_str(crate::name::TextVisitor::<Self>::new("a peer's card"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn card(name: Option<&str>) -> Card {
        let name = name.map(|name| name.parse().unwrap());
        Card { id: "7xKqPm2R".parse().unwrap(), key: PublicKey::from([9; 32]), name }
    }

    #[test]
    fn a_card_reads_what_it_prints() {
        for name in [None, Some("alice"), Some("bob-2")] {
            let text = card(name).to_string();
            assert!(text.starts_with("dos-peer://7xKqPm2R@"), "{text}");
            assert_eq!(text.parse(), Ok(card(name)));
            assert_eq!(format!(" {text}\n").parse(), Ok(card(name)));
        }
    }

    #[test]
    fn what_is_not_a_card_is_refused_with_the_reason() {
        let key = PublicKey::from([9; 32]);
        for (text, why) in [
            (format!("dos://7xKqPm2R@{key}"), CardError::Scheme),
            ("x".repeat(2000), CardError::Scheme),
            (format!("dos-peer://{key}"), CardError::Id),
            (format!("dos-peer://alice@{key}"), CardError::Id),
            ("dos-peer://7xKqPm2R@short".into(), CardError::Key),
            (format!("dos-peer://7xKqPm2R@{key}?x=1"), CardError::Query),
            (format!("dos-peer://7xKqPm2R@{key}?name="), CardError::Query),
            (format!("dos-peer://7xKqPm2R@{key}?name=A%20B"), CardError::Query),
        ] {
            assert_eq!(text.parse::<Card>(), Err(why), "{text}");
        }
        assert!(is_card(" dos-peer://x") && !is_card("alice"));
    }
}
