//! Proofs that this directory has given an ID to a key, which no one else can make: a peer that the data does not know any more
//! has its ID back with one.

use dos_protocol::{PeerId, PublicKey, directory::Proof, key::SecretKey};
use zeroize::Zeroizing;

/// What the key of the proofs is derived for.
const CONTEXT: &str = "dos directory 2026 proof of a registration";

/// Makes and verifies proofs: keyed BLAKE3 of the ID and the key, under a key that is derived from the directory's own.
pub(super) struct Proofs(Zeroizing<[u8; 32]>);

impl std::fmt::Debug for Proofs {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Proofs(..)")
    }
}

impl Proofs {
    /// Those of the directory with this key.
    pub(super) fn new(secret: &SecretKey) -> Self {
        Self(Zeroizing::new(blake3::derive_key(CONTEXT, secret.to_text().as_bytes())))
    }

    /// That of this peer.
    pub(super) fn of(&self, peer: PeerId, key: &PublicKey) -> Proof {
        let mut hasher = blake3::Hasher::new_keyed(&self.0);
        hasher.update(&peer.number().to_be_bytes()).update(key.as_bytes());
        Proof::from(*hasher.finalize().as_bytes())
    }

    /// Whether this is that of this peer; takes the same time whatever it is.
    pub(super) fn is_of(&self, proof: &Proof, peer: PeerId, key: &PublicKey) -> bool {
        let expected = self.of(peer, key);
        blake3::Hash::from_bytes(*expected.as_bytes()) == blake3::Hash::from_bytes(*proof.as_bytes())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_proof_is_of_one_id_one_key_and_one_directory() {
        let (here, there) = (SecretKey::generate().unwrap(), SecretKey::generate().unwrap());
        let (proofs, others) = (Proofs::new(&here), Proofs::new(&there));
        let peer = |number| PeerId::from_number(PeerId::COUNT / 3 + number).unwrap();
        let key = |byte| PublicKey::from([byte; 32]);
        let proof = proofs.of(peer(1), &key(1));
        assert!(proofs.is_of(&proof, peer(1), &key(1)));
        assert!(!proofs.is_of(&proof, peer(2), &key(1)) && !proofs.is_of(&proof, peer(1), &key(2)));
        assert!(!others.is_of(&proof, peer(1), &key(1)));
        assert!(Proofs::new(&here).is_of(&proof, peer(1), &key(1)), "after a restart too");
    }
}
