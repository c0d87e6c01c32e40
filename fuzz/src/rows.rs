//! What the daemons have stored: a disk may give back other bytes than it got.

/// A row of either store.
pub fn stored(bytes: &[u8]) {
    dosd::store::fuzzing::stored(bytes);
    peerd::fuzzing::stored(bytes);
}
