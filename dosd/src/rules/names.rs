//! Keys, IDs and names: which key holds which ID, who may register, and what a password login is for.

use dos_protocol::{
    PeerId, PeerName, PublicKey, SealingKey, Timestamp, WireError,
    model::{PeerInfo, SessionEnd},
};

use super::{
    invites::{self, Admission, InviteUses},
    operator::{Ban, check_ban},
    refusal::{conflict, invalid, key_registered, unknown_key},
};

/// A registered peer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PeerRecord {
    /// Its ID.
    pub id: PeerId,
    /// Its key.
    pub key: PublicKey,
    /// Its name.
    pub name: Option<PeerName>,
    /// When it was last seen, as far as it is written down.
    pub last_seen: Timestamp,
    /// Why its last session ended, if that was written down.
    pub last_end: Option<SessionEnd>,
    /// The key to which messages to it are sealed, if it has told one.
    pub sealing: Option<SealingKey>,
    /// It had a password of which nothing is kept any more (of an older version's, or one that the operator has cleared), and
    /// has not set one since.
    pub password_again: bool,
}

impl PeerRecord {
    /// The peer as others see it while it is offline.
    #[must_use]
    pub fn info(self) -> PeerInfo {
        PeerInfo {
            id: self.id,
            name: self.name,
            online: false,
            address: None,
            last_seen: Some(self.last_seen),
            online_since: None,
            last_end: self.last_end,
            images: Vec::new(),
            key: Some(self.key),
        }
    }
}

/// A peer that wants to register.
#[derive(Debug, Clone)]
pub struct NewPeer {
    /// Under which name, if any.
    pub name: Option<PeerName>,
    /// What lets it in.
    pub admission: Admission,
}

/// What a registration is decided on.
#[derive(Debug)]
pub(crate) struct Registering {
    /// The peer that has the key already.
    pub(crate) holder: Option<PeerRecord>,
    /// Whether another peer has the name.
    pub(crate) name_taken: bool,
    /// The invite that was brought, if there is one.
    pub(crate) invite: Option<InviteUses>,
    /// Whether the key may not register at all.
    pub(crate) ban: Option<Ban>,
}

/// What becomes of a registration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Registered {
    /// The same peer again: it keeps its ID, and nothing is taken from an invite.
    Again(PeerRecord),
    /// A new peer, and what is left of the invite that lets it in, if one does.
    New(Option<InviteUses>),
}

/// Binds a key to an ID.
pub(crate) fn register(state: Registering, new: &NewPeer, now: Timestamp) -> Result<Registered, WireError> {
    if let Some(holder) = state.holder {
        if new.name.is_some() && holder.name != new.name {
            return Err(key_registered(holder.id));
        }
        return Ok(Registered::Again(holder));
    }
    check_ban(state.ban.as_ref())?;
    // Before the name: a peer that may not register does not learn which names are taken.
    let invite = invites::admit(new.admission, state.invite, now)?;
    match &new.name {
        Some(name) if state.name_taken => Err(conflict(format!("the name {name} is taken"))),
        Some(name) => match name.check_new() {
            Ok(()) => Ok(Registered::New(invite)),
            Err(error) => Err(invalid(error.to_string())),
        },
        None => Ok(Registered::New(invite)),
    }
}

/// What it is decided on that a key has its ID back, which it has proved to have had.
#[derive(Debug)]
pub(crate) struct Reclaiming {
    /// The peer that has the key.
    pub(crate) holder: Option<PeerRecord>,
    /// Whether another key has the ID.
    pub(crate) id_taken: bool,
    /// Whether another peer has the name.
    pub(crate) name_taken: bool,
    /// Whether the data is in its first incarnation: then it has lost no one.
    pub(crate) is_first: bool,
    /// Whether the key may not register at all.
    pub(crate) ban: Option<Ban>,
}

/// What becomes of that.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Reclaimed {
    /// The key has the ID already.
    Again(PeerRecord),
    /// It has it again, with its name or, if that is taken, without.
    Back(Option<PeerName>),
}

/// Gives a key its ID back. The proof that comes with it, which only this directory can have made for this key and this ID, stands for
/// the invite: whoever has none cannot claim anything.
pub(crate) fn reclaim(state: Reclaiming, id: PeerId, name: Option<PeerName>) -> Result<Reclaimed, WireError> {
    match state.holder {
        Some(holder) if holder.id == id => return Ok(Reclaimed::Again(holder)),
        Some(holder) => return Err(key_registered(holder.id)),
        None => {}
    }
    check_ban(state.ban.as_ref())?;
    // An ID that was removed, or recovered with its password by another key, is lost for good.
    if state.is_first {
        return Err(unknown_key());
    }
    if state.id_taken {
        return Err(conflict(format!("another key has the ID {id}")));
    }
    Ok(Reclaimed::Back(name.filter(|_| !state.name_taken)))
}

/// Whether a peer gets another name; not if it has it already. `holder` is the peer that has the name.
pub(crate) fn rename(peer: PeerId, (name, holder): (&PeerName, Option<PeerId>)) -> Result<bool, WireError> {
    match holder {
        Some(holder) if holder == peer => Ok(false),
        Some(_) => Err(conflict(format!("the name {name} is taken"))),
        None => name.check_new().map(|()| true).map_err(|error| invalid(error.to_string())),
    }
}

/// Refuses a peer that was removed meanwhile. `registered` is the key that its ID has now.
pub(crate) fn check_key(key: &PublicKey, registered: Option<&[u8]>) -> Result<(), WireError> {
    if registered == Some(key.as_bytes()) { Ok(()) } else { Err(unknown_key()) }
}

const NAMELESS: &str = "a password is of use only with a name, and this peer has none";

/// Refuses a password for a peer without a name, by which it would log in with it.
pub(crate) fn check_password(has_name: bool) -> Result<(), WireError> {
    if has_name { Ok(()) } else { Err(invalid(NAMELESS)) }
}

/// By what the directory's part of a peer's password is told from those of others: the same whatever becomes of the peer's name.
pub(crate) fn credential_of(peer: PeerId) -> Vec<u8> {
    [&b"peer\0"[..], &peer.number().to_be_bytes()].concat()
}

/// The same for a name: that of the peer that has it, or one of its own where no one has it.
pub(crate) fn credential(name: &PeerName, holder: Option<PeerId>) -> Vec<u8> {
    holder.map_or_else(|| [b"name\0", name.as_str().as_bytes()].concat(), credential_of)
}

/// Whether a peer was seen at this moment or later, as far as the asking peer may know. A peer that is online is seen now.
pub(crate) fn was_seen(
    since: Timestamp,
    last_seen: Timestamp,
    hides: bool,
    is_online: impl FnOnce() -> bool,
) -> bool {
    !hides && (last_seen >= since || is_online())
}

#[cfg(test)]
mod tests {
    use dos_protocol::{Code, Reason};

    use super::{
        super::{refusal::banned, samples::*},
        *,
    };

    fn new(name: Option<&str>, admission: Admission) -> NewPeer {
        NewPeer { name: name.map(|name| name.parse().unwrap()), admission }
    }

    #[test]
    fn a_key_keeps_its_id_whatever_else_has_changed() {
        let again = |name, admission| {
            let state =
                Registering { holder: Some(record()), name_taken: true, invite: None, ban: Some(ban()) };
            register(state, &new(name, admission), NOW)
        };
        assert_eq!(again(None, Admission::Closed), Ok(Registered::Again(record())));
        assert_eq!(again(Some("bob"), Admission::Invited([1; 32])), Ok(Registered::Again(record())));
        let error = again(Some("bert"), Admission::Open).unwrap_err();
        assert_eq!(*error.message, format!("this key is registered already, as {}", bob()));
        assert_eq!(error.code, Code::Conflict);
    }

    #[test]
    fn a_name_is_taken_if_it_is_free_and_good() {
        let rename =
            |name: &str, holder| rename(bob(), (&name.parse().unwrap(), holder)).map_err(|error| error.code);
        assert_eq!(rename("bob", Some(bob())), Ok(false));
        assert_eq!(rename("-bob", Some(bob())), Ok(false), "it has it from an earlier release");
        assert_eq!(rename("robert", None), Ok(true));
        assert_eq!(rename("alice", Some(alice())), Err(Code::Conflict));
        assert_eq!(rename("-bob", None), Err(Code::Invalid));
    }

    #[test]
    fn a_new_peer_is_let_in_first_and_gets_a_free_name() {
        let uses = InviteUses { uses_left: 2, expires_at: Timestamp(NOW.0 + 1) };
        let left = InviteUses { uses_left: 1, ..uses };
        let invited = Admission::Invited([1; 32]);
        for (name, admission, name_taken, expected) in [
            (None, Admission::Open, false, Ok(Registered::New(None))),
            (None, Admission::Open, true, Ok(Registered::New(None))),
            (Some("bob"), Admission::Open, false, Ok(Registered::New(None))),
            (Some("bob"), invited, false, Ok(Registered::New(Some(left)))),
            (Some("bob"), invited, true, Err((Code::Conflict, None))),
            (Some("bob"), Admission::Open, true, Err((Code::Conflict, None))),
            (Some("bob"), Admission::Closed, true, Err((Code::Denied, Some(Reason::Closed)))),
        ] {
            let state = Registering { holder: None, name_taken, invite: Some(uses), ban: None };
            let result =
                register(state, &new(name, admission), NOW).map_err(|error| (error.code, error.reason));
            assert_eq!(result, expected, "{name:?} {admission:?} {name_taken}");
        }
        let state = Registering { holder: None, name_taken: true, invite: None, ban: None };
        let error = register(state, &new(Some("bob"), Admission::Open), NOW).unwrap_err();
        assert_eq!(&*error.message, "the name bob is taken");
    }

    fn ban() -> Ban {
        Ban::of(&record(), Some("spam".into()), NOW)
    }

    #[test]
    fn a_banned_key_registers_with_no_invite_and_gets_no_id_back() {
        let uses = InviteUses { uses_left: 2, expires_at: Timestamp(NOW.0 + 1) };
        let state = Registering { holder: None, name_taken: false, invite: Some(uses), ban: Some(ban()) };
        let refused = register(state, &new(Some("bert"), Admission::Invited([1; 32])), NOW).unwrap_err();
        assert_eq!(refused, banned(Some("spam")));
        let state = Reclaiming {
            holder: None,
            id_taken: false,
            name_taken: false,
            is_first: false,
            ban: Some(ban()),
        };
        assert_eq!(reclaim(state, bob(), None), Err(banned(Some("spam"))));
    }

    #[test]
    fn a_password_needs_a_name() {
        assert_eq!(check_password(true), Ok(()));
        let error = check_password(false).unwrap_err();
        assert_eq!((error.code, &*error.message), (Code::Invalid, NAMELESS));
    }

    #[test]
    fn a_credential_is_the_peers_whatever_its_name_and_no_name_passes_for_a_peer() {
        let name: PeerName = "bob".parse().unwrap();
        let bobs = [&b"peer\0"[..], &bob().number().to_be_bytes()].concat();
        assert_eq!(credential_of(bob()), bobs);
        assert_eq!(credential(&name, Some(bob())), bobs);
        assert_eq!(credential(&"bert".parse().unwrap(), Some(bob())), bobs);
        assert_ne!(credential(&name, Some(carol())), bobs);
        assert_eq!(credential(&name, None), b"name\0bob");
    }

    #[test]
    fn a_removed_peer_does_not_sign_in() {
        let [his, other] = [[1; 32], [2; 32]].map(PublicKey::from);
        assert_eq!(check_key(&his, Some(his.as_bytes())), Ok(()));
        assert_eq!(check_key(&his, Some(other.as_bytes())), Err(unknown_key()));
        assert_eq!(check_key(&his, None), Err(unknown_key()));
    }

    #[test]
    fn a_key_has_its_id_back_only_from_a_directory_that_was_restored() {
        let name = || Some("bob".parse::<PeerName>().unwrap());
        let state = |holder, id_taken, name_taken, is_first| Reclaiming {
            holder,
            id_taken,
            name_taken,
            is_first,
            ban: None,
        };
        let other = PeerRecord { id: carol(), ..record() };
        for (state, expected) in [
            (state(Some(record()), true, true, true), Ok(Reclaimed::Again(record()))),
            (state(Some(other), false, false, false), Err(key_registered(carol()))),
            (state(None, false, false, true), Err(unknown_key())),
            (state(None, true, false, false), Err(conflict(format!("another key has the ID {}", bob())))),
            (state(None, false, false, false), Ok(Reclaimed::Back(name()))),
            (state(None, false, true, false), Ok(Reclaimed::Back(None))),
        ] {
            let told = format!("{state:?}");
            assert_eq!(reclaim(state, bob(), name()), expected, "{told}");
        }
    }

    #[test]
    fn a_peer_that_hides_was_never_seen_and_one_that_is_online_is_seen_now() {
        for (last_seen, hides, is_online, expected) in [
            (NOW.0, false, false, true),
            (NOW.0 + 1, false, false, true),
            (NOW.0 - 1, false, false, false),
            (NOW.0 - 1, false, true, true),
            (NOW.0, true, false, false),
            (NOW.0 - 1, true, true, false),
        ] {
            let seen = was_seen(NOW, Timestamp(last_seen), hides, || is_online);
            assert_eq!(seen, expected, "{last_seen} {hides} {is_online}");
        }
    }

    #[test]
    fn a_peer_is_listed_as_it_was_last_seen() {
        let end = Some(SessionEnd::Closed);
        let info = PeerRecord { last_end: end, ..record() }.info();
        let expected = PeerInfo {
            id: bob(),
            name: Some("bob".parse().unwrap()),
            online: false,
            address: None,
            last_seen: Some(Timestamp(5)),
            online_since: None,
            last_end: end,
            images: Vec::new(),
            key: Some(record().key),
        };
        assert_eq!(info, expected);
    }
}
