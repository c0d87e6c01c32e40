//! What the operator does to peers: bans, other names, images that are taken down; and what those concerned are told.
//!
//! What always holds: a banned key registers under no ID, with no invite, and gets none back.

use dos_protocol::{
    ImageName, PeerId, PeerName, PublicKey, Timestamp, WireError, admin, directory::Update, model::PeerRef,
};

use super::{
    Owe,
    names::{self, PeerRecord},
    refusal::{banned, not_found},
};

/// A key that may not register.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Ban {
    pub(crate) peer: PeerId,
    pub(crate) name: Option<PeerName>,
    pub(crate) key: PublicKey,
    pub(crate) at: Timestamp,
    pub(crate) reason: Option<Box<str>>,
}

impl Ban {
    /// Of a peer that is removed now.
    pub(crate) fn of(peer: &PeerRecord, reason: Option<Box<str>>, now: Timestamp) -> Self {
        Self { peer: peer.id, name: peer.name.clone(), key: peer.key, at: now, reason }
    }
}

impl From<Ban> for admin::Ban {
    fn from(ban: Ban) -> Self {
        let Ban { peer, name, key, at, reason } = ban;
        Self { peer, name, key, at, reason }
    }
}

/// Refuses a banned key.
pub(crate) fn check_ban(ban: Option<&Ban>) -> Result<(), WireError> {
    match ban {
        None => Ok(()),
        Some(ban) => Err(banned(ban.reason.as_deref())),
    }
}

/// No key of that peer is banned.
pub(crate) fn not_banned(peer: &PeerRef) -> WireError {
    not_found(format!("no peer {peer} is banned")).hint("dosd bans")
}

/// Gives a peer another name; nothing if it has it already. `holder` is the peer that has the name.
pub(crate) fn rename(
    peer: &PeerRecord,
    (name, holder): (&PeerName, Option<PeerId>),
    reason: Option<&str>,
) -> Result<Option<Owe>, WireError> {
    if !names::rename(peer.id, (name, holder))? {
        return Ok(None);
    }
    Ok(Some(told(peer.id, format!("the operator has renamed you to {name}"), reason)))
}

/// What the owner of an image is told that was taken down.
pub(crate) fn taken_down(owner: PeerId, name: &ImageName, reason: Option<&str>) -> Owe {
    told(owner, format!("the operator has taken down {name}"), reason)
}

fn told(peer: PeerId, what: String, reason: Option<&str>) -> Owe {
    let text = match reason {
        Some(reason) => format!("{what}: {reason}"),
        None => what,
    };
    Owe::to(peer, Update::Operator(text.into()))
}

#[cfg(test)]
mod tests {
    use dos_protocol::Code;

    use super::{
        super::samples::{alice, bob},
        *,
    };

    fn peer() -> PeerRecord {
        PeerRecord {
            id: alice(),
            key: [1; 32].into(),
            name: Some("alice".parse().unwrap()),
            last_seen: Timestamp(0),
            last_end: None,
            sealing: None,
            password_again: false,
        }
    }

    fn text(owe: Owe) -> Box<str> {
        let Update::Operator(text) = owe.update else { panic!("{owe:?}") };
        text
    }

    #[test]
    fn a_banned_key_is_refused_with_the_reason() {
        assert_eq!(check_ban(None), Ok(()));
        let ban = Ban::of(&peer(), None, Timestamp(7));
        assert_eq!((ban.peer, ban.key, ban.at), (alice(), [1; 32].into(), Timestamp(7)));
        let refused = check_ban(Some(&ban)).unwrap_err();
        assert_eq!((refused.code, &*refused.message), (Code::Denied, "the operator has banned this key"));
        let ban = Ban { reason: Some("spam".into()), ..ban };
        assert_eq!(&*check_ban(Some(&ban)).unwrap_err().message, "the operator has banned this key: spam");
        let told = admin::Ban::from(ban);
        assert_eq!((told.name, told.reason), (Some("alice".parse().unwrap()), Some("spam".into())));
    }

    #[test]
    fn who_is_not_banned_is_told_where_to_look() {
        let error = not_banned(&"carol".parse().unwrap());
        assert_eq!((error.code, &*error.message), (Code::NotFound, "no peer carol is banned"));
        assert_eq!(error.hint.as_deref(), Some("dosd bans"));
    }

    #[test]
    fn a_peer_is_renamed_to_a_name_that_is_free_and_good() {
        let name = |text: &str| text.parse::<PeerName>().unwrap();
        let renamed = |text: &str, holder, reason| rename(&peer(), (&name(text), holder), reason);
        assert_eq!(renamed("alice", Some(alice()), None).unwrap(), None);
        assert_eq!(renamed("bob", Some(bob()), None).unwrap_err().code, Code::Conflict);
        assert_eq!(renamed("-x", None, None).unwrap_err().code, Code::Invalid);
        let owe = renamed("carol", None, Some("as you have asked")).unwrap().unwrap();
        assert_eq!(owe.peer, alice());
        assert_eq!(&*text(owe), "the operator has renamed you to carol: as you have asked");
    }

    #[test]
    fn the_owner_is_told_what_was_taken_down() {
        let owe = taken_down(bob(), &"sea".parse().unwrap(), None);
        assert_eq!(owe.peer, bob());
        assert_eq!(&*text(owe), "the operator has taken down sea");
    }
}
