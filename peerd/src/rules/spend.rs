//! What a view that failed may have cost, and what becomes of it.

use dos_protocol::Code;

/// What an open view that failed may have cost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Cost {
    /// Nothing: the directory refused it.
    Refused,
    /// Nothing by this command, which never reached the directory; an earlier one may have had it counted.
    NotSpent,
    /// That is not known.
    Unknown,
}

/// Why the directory did not give its share.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Failure {
    /// The grant has changed: with its newest state the same view is spent again.
    Stale,
    /// The view failed, at this cost.
    Failed(Cost),
}

/// What it means that spending a view failed with this code; `perhaps_done` if the request reached the directory and no answer
/// came.
pub(crate) fn failure(code: Code, perhaps_done: bool) -> Failure {
    match code {
        _ if perhaps_done => Failure::Failed(Cost::Unknown),
        Code::Stale => Failure::Stale,
        Code::Denied | Code::NotFound | Code::Invalid => Failure::Failed(Cost::Refused),
        _ => Failure::Failed(Cost::NotSpent),
    }
}

/// Whether a view that failed is closed, so that a command that failed takes no effect later. One that may have been counted
/// stays open: the next command takes it up, and the directory counts it once.
pub(crate) fn is_closed(cost: Cost, resumed: bool) -> bool {
    match cost {
        Cost::Refused => true,
        Cost::NotSpent => !resumed,
        Cost::Unknown => false,
    }
}

/// Whether a held view is opened in place of a counted one that failed with this code: the directory was not reached.
pub(crate) fn falls_back_on_held(code: Code) -> bool {
    matches!(code, Code::Offline | Code::Timeout)
}

#[cfg(test)]
mod tests {
    use super::*;

    const CODES: [Code; 11] = [
        Code::Internal,
        Code::Usage,
        Code::NoDaemon,
        Code::Offline,
        Code::NotFound,
        Code::Denied,
        Code::Conflict,
        Code::Invalid,
        Code::Timeout,
        Code::Unsupported,
        Code::Stale,
    ];

    #[test]
    fn what_failed_is_refused_stale_not_spent_or_unknown() {
        for code in CODES {
            let expected = match code {
                Code::Stale => Failure::Stale,
                Code::Denied | Code::NotFound | Code::Invalid => Failure::Failed(Cost::Refused),
                _ => Failure::Failed(Cost::NotSpent),
            };
            assert_eq!(failure(code, false), expected, "{code:?}");
            assert_eq!(failure(code, true), Failure::Failed(Cost::Unknown), "{code:?}");
        }
    }

    #[test]
    fn a_view_that_may_have_been_counted_stays_open() {
        for (cost, resumed, closed) in [
            (Cost::Refused, false, true),
            (Cost::Refused, true, true),
            (Cost::NotSpent, false, true),
            (Cost::NotSpent, true, false),
            (Cost::Unknown, false, false),
            (Cost::Unknown, true, false),
        ] {
            assert_eq!(is_closed(cost, resumed), closed, "{cost:?} {resumed}");
        }
    }

    #[test]
    fn held_views_are_for_when_the_directory_is_not_reached() {
        for code in CODES {
            assert_eq!(falls_back_on_held(code), [Code::Offline, Code::Timeout].contains(&code), "{code:?}");
        }
    }
}
