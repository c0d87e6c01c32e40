//! What an operation decides on, by the keys of the rows that are locked for it.
//!
//! With SQLite one operation runs at a time, and nothing is locked. With PostgreSQL those whose keys differ run beside each other. A scope is
//! what the caller expects; what an operation finds out to need besides it claims with [`crate::Connection::need`], and is done anew, alone,
//! if it does not have that.

/// The rows that an operation has to itself, with all that hangs on them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Scope {
    /// Everything: no other operation runs meanwhile.
    Whole,
    /// What hangs on these keys. Operations with the same first one are committed together where they can be.
    Keys(Vec<i64>),
}
