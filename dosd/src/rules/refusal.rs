//! How a refusal is worded: one function per kind.

use dos_protocol::{Code, PeerId, Reason, WireError, model::PeerRef};

pub(crate) fn not_found(what: impl Into<Box<str>>) -> WireError {
    WireError::new(Code::NotFound, what)
}

pub(crate) fn denied(why: impl Into<Box<str>>, reason: Reason) -> WireError {
    WireError::new(Code::Denied, why).because(reason)
}

pub(crate) fn conflict(what: impl Into<Box<str>>) -> WireError {
    WireError::new(Code::Conflict, what)
}

pub(crate) fn invalid(what: impl Into<Box<str>>) -> WireError {
    WireError::new(Code::Invalid, what)
}

pub(crate) fn stale() -> WireError {
    WireError::new(Code::Stale, "the sealed copy or the share has been superseded")
}

/// A request that comes too early, or for which there is no room. The text names the limit's setting.
pub(crate) fn reached(limit: &str, what: &str) -> WireError {
    denied(format!("{what} (limit {limit})"), Reason::Limit)
}

/// The key is not, or no longer, registered.
pub(crate) fn unknown_key() -> WireError {
    not_found("this key is not registered here")
}

/// The key may not register.
pub(crate) fn banned(reason: Option<&str>) -> WireError {
    let why = reason.map(|reason| format!(": {reason}")).unwrap_or_default();
    WireError::new(Code::Denied, format!("the operator has banned this key{why}"))
}

/// The key is bound to an ID already.
pub(crate) fn key_registered(id: PeerId) -> WireError {
    conflict(format!("this key is registered already, as {id}"))
}

pub(crate) fn no_peer(peer: &PeerRef) -> WireError {
    match peer {
        PeerRef::Id(id) => not_found(format!("no peer has the ID {id}")),
        PeerRef::Name(name) => not_found(format!("no peer has the name {name}")),
        PeerRef::Address(address) => not_found(format!("no peer is online at {address}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_kind_has_its_code_reason_and_text() {
        let id: PeerId = "7xKqPm2R".parse().unwrap();
        for (error, code, reason, text) in [
            (not_found("a"), Code::NotFound, None, "a"),
            (denied("a", Reason::Revoked), Code::Denied, Some(Reason::Revoked), "a"),
            (conflict("a"), Code::Conflict, None, "a"),
            (invalid("a"), Code::Invalid, None, "a"),
            (stale(), Code::Stale, None, "the sealed copy or the share has been superseded"),
            (reached("x_max", "too much"), Code::Denied, Some(Reason::Limit), "too much (limit x_max)"),
            (unknown_key(), Code::NotFound, None, "this key is not registered here"),
            (banned(None), Code::Denied, None, "the operator has banned this key"),
            (banned(Some("spam")), Code::Denied, None, "the operator has banned this key: spam"),
            (key_registered(id), Code::Conflict, None, "this key is registered already, as 7xKqPm2R"),
            (no_peer(&PeerRef::Id(id)), Code::NotFound, None, "no peer has the ID 7xKqPm2R"),
            (no_peer(&"bob".parse().unwrap()), Code::NotFound, None, "no peer has the name bob"),
            (
                no_peer(&"192.0.2.7:5001".parse().unwrap()),
                Code::NotFound,
                None,
                "no peer is online at 192.0.2.7:5001",
            ),
        ] {
            assert_eq!((error.code, error.reason, &*error.message), (code, reason, text));
        }
    }
}
