//! How far the server is, for those who wait for its end.

/// See the module.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Phase {
    /// It serves.
    Open,
    /// It notifies its peers and finishes what it accepted.
    Closing,
    /// Its data directory is free.
    Ended,
}
