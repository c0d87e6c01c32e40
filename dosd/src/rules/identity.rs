//! Whether a key may be the key of a directory: peers know it by its key, so one that has peers never gets another.

use dos_protocol::PublicKey;

/// What the database remembers.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Remembered {
    /// The directory's key; nothing until a version that writes it down was started on it.
    pub(crate) key: Option<PublicKey>,
    /// The number of registered peers.
    pub(crate) peers: u64,
}

/// Why a key is not the directory's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Alien {
    /// There is no key, and there are peers that know the one that there was.
    Missing,
    /// It is another key than the one that the peers know.
    Other,
}

/// Decides whether the directory may start with this key; without one it would make one.
pub(crate) fn check(key: Option<&PublicKey>, remembered: &Remembered) -> Result<(), Alien> {
    match (key, &remembered.key) {
        _ if remembered.peers == 0 => Ok(()),
        (None, _) => Err(Alien::Missing),
        (Some(key), Some(known)) if key != known => Err(Alien::Other),
        (Some(_), _) => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_directory_that_has_peers_keeps_its_key() {
        let key = |byte| PublicKey::from([byte; 32]);
        for (brought, known, peers, expected) in [
            (None, None, 0, Ok(())),
            (None, Some(1), 0, Ok(())),
            (Some(2), Some(1), 0, Ok(())),
            (None, None, 1, Err(Alien::Missing)),
            (None, Some(1), 1, Err(Alien::Missing)),
            (Some(2), Some(1), 1, Err(Alien::Other)),
            (Some(1), Some(1), 1, Ok(())),
            (Some(1), None, 1, Ok(())),
        ] {
            let remembered = Remembered { key: known.map(key), peers };
            let result = check(brought.map(key).as_ref(), &remembered);
            assert_eq!(result, expected, "{brought:?} {known:?} {peers}");
        }
    }
}
