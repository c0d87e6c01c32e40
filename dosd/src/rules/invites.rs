//! Invites: made once under their code, and used up by registrations.
//!
//! What is wrong with an invite is not told: a code that once was one looks like any other.

use std::time::Duration;

use dos_protocol::{
    Code, InviteCode, Reason, Timestamp, WireError,
    directory::Invite,
    invite::{CODE_CHARS, PREFIX_CHARS},
    limits::{INVITE_TIME, INVITES_MAX, PEER_INVITES_MAX},
};

use super::refusal::{conflict, denied, invalid};

/// What lets a peer register.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Admission {
    /// Every peer may.
    Open,
    /// The invite whose code has this hash.
    Invited([u8; 32]),
    /// An invite is needed, and none was brought, or none that can be one.
    Uninvited {
        /// Something was brought.
        brought: bool,
    },
    /// No peer may.
    Closed,
}

/// What is left of an invite.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct InviteUses {
    pub(crate) uses_left: u32,
    pub(crate) expires_at: Timestamp,
}

/// Lets a new peer in and tells what is left of its invite, or refuses it.
pub(crate) fn admit(
    admission: Admission,
    invite: Option<InviteUses>,
    now: Timestamp,
) -> Result<Option<InviteUses>, WireError> {
    match admission {
        Admission::Open => Ok(None),
        Admission::Invited(_) => match invite {
            Some(invite) if invite.expires_at > now => match invite.uses_left.checked_sub(1) {
                Some(uses_left) => Ok(Some(InviteUses { uses_left, ..invite })),
                None => Err(no_use()),
            },
            _ => Err(no_use()),
        },
        Admission::Uninvited { brought: true } => Err(no_use()),
        Admission::Uninvited { brought: false } => {
            let error = denied("this directory takes new peers by invitation only", Reason::Closed);
            Err(error.hint(HINT))
        }
        Admission::Closed => Err(denied("this directory takes no new peers", Reason::Closed)),
    }
}

const HINT: &str = "dosctl register --server LINK --invite CODE";

fn no_use() -> WireError {
    denied("the invite is wrong, used up or expired", Reason::Closed).hint(HINT)
}

/// What a new invite is decided on.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Inviting {
    /// Whether an invite was made with the same code before.
    pub(crate) exists: bool,
    /// Whether another invite's code begins like this one's.
    pub(crate) prefix_taken: bool,
    /// How many invites there are.
    pub(crate) count: u64,
}

/// Makes an invite; with the same code again it is the one that was made before.
pub(crate) fn create(state: Inviting) -> Result<Made, WireError> {
    if state.exists {
        return Ok(Made::Before);
    }
    if state.count >= INVITES_MAX {
        let why = format!("there are {INVITES_MAX} invites already; revoke some");
        return Err(denied(why, Reason::Limit));
    }
    if state.prefix_taken {
        return Err(conflict("another invite begins like this one: draw another code"));
    }
    Ok(Made::Now)
}

/// What an invite of a peer's is decided on.
#[derive(Debug, Clone, Copy)]
pub(crate) struct PeerInviting {
    /// As for any other.
    pub(crate) all: Inviting,
    /// Whether the one that was made with the same code is this peer's.
    pub(crate) is_own: bool,
    /// How many of all invites are peers'.
    pub(crate) of_peers: u64,
    /// How many this peer has made in the last [`INVITES_COUNTED`].
    pub(crate) lately: u64,
    /// How many it may make in that time.
    pub(crate) per_day: u32,
}

/// A day, in which a peer may make as many invites as the operator allows.
pub(crate) const INVITES_COUNTED: Duration = Duration::from_secs(24 * 3600);

/// Refuses a wish for an invite that no peer's program makes.
pub(crate) fn check(invite: &Invite) -> Result<(), WireError> {
    let code = format!("{}{}", invite.prefix, "1".repeat(CODE_CHARS - PREFIX_CHARS));
    match code.parse::<InviteCode>() {
        Ok(_) if invite.lasts_ms > 0 => Ok(()),
        _ => Err(invalid("an invite has the beginning of its code, and a time")),
    }
}

/// Until when an invite of a peer's lasts: as long as is wanted, and no longer than one that the operator makes without a word.
pub(crate) fn ends_at(lasts_ms: u64, now: Timestamp) -> Timestamp {
    now.after(Duration::from_millis(lasts_ms).min(INVITE_TIME))
}

/// Makes an invite of a peer's.
pub(crate) fn create_by_peer(state: PeerInviting) -> Result<Made, WireError> {
    if state.all.exists && state.is_own {
        return Ok(Made::Before);
    }
    if state.per_day == 0 {
        let error = denied("the operator does not let peers invite", Reason::Closed);
        return Err(error.hint(OPERATORS_HINT));
    }
    if state.lately >= state.per_day.into() {
        let why = format!(
            "{} invites of yours were made in the last 24 hours, and more are not allowed",
            state.lately
        );
        return Err(denied(why, Reason::Limit).hint(OPERATORS_HINT));
    }
    if state.of_peers >= PEER_INVITES_MAX {
        return Err(denied("peers have made as many invites as the directory keeps", Reason::Limit)
            .hint(OPERATORS_HINT));
    }
    // The hash of another peer's: whoever draws a code has it alone.
    if state.all.exists {
        return Err(conflict("another invite begins like this one: draw another code"));
    }
    create(state.all)
}

const OPERATORS_HINT: &str =
    "dosctl invite NAME --code CODE, with an invite that the operator gives (dosd invite create)";

/// When an invite was made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Made {
    /// It is to be written down.
    Now,
    /// Before, by a request whose answer was lost.
    Before,
}

/// Whether another code may do, given the refusal of one.
pub(crate) fn wants_another_code(error: &WireError) -> bool {
    error.code == Code::Conflict
}

#[cfg(test)]
mod tests {
    use super::{super::samples::NOW, *};

    fn uses(uses_left: u32, ends_in: i64) -> InviteUses {
        InviteUses { uses_left, expires_at: Timestamp(NOW.0 + ends_in) }
    }

    #[test]
    fn an_invite_lets_in_until_it_is_used_up_or_over() {
        for (invite, expected) in [
            (Some(uses(1, 1)), Ok(Some(uses(0, 1)))),
            (Some(uses(7, 60)), Ok(Some(uses(6, 60)))),
            (Some(uses(0, 1)), Err(no_use())),
            (Some(uses(1, 0)), Err(no_use())),
            (Some(uses(1, -1)), Err(no_use())),
            (None, Err(no_use())),
        ] {
            assert_eq!(admit(Admission::Invited([1; 32]), invite, NOW), expected, "{invite:?}");
        }
    }

    #[test]
    fn without_an_invite_the_setting_decides() {
        let invite = Some(uses(1, 1));
        assert_eq!(admit(Admission::Open, invite, NOW), Ok(None), "nothing is taken from it");
        let refused = |admission| admit(admission, invite, NOW).unwrap_err();
        let brought = refused(Admission::Uninvited { brought: true });
        assert_eq!(brought, no_use());
        assert_eq!(&*brought.message, "the invite is wrong, used up or expired");
        let without = refused(Admission::Uninvited { brought: false });
        assert_eq!(&*without.message, "this directory takes new peers by invitation only");
        let closed = refused(Admission::Closed);
        assert_eq!(&*closed.message, "this directory takes no new peers");
        for (error, hint) in [(brought, Some(HINT)), (without, Some(HINT)), (closed, None)] {
            assert_eq!((error.code, error.reason), (Code::Denied, Some(Reason::Closed)));
            assert_eq!(error.hint.as_deref(), hint);
        }
    }

    #[test]
    fn an_invite_is_made_once_and_up_to_the_limit() {
        let state = |exists, prefix_taken, count| Inviting { exists, prefix_taken, count };
        assert_eq!(create(state(false, false, 9_999)), Ok(Made::Now));
        assert_eq!(create(state(true, true, 10_000)), Ok(Made::Before));
        let full = create(state(false, false, 10_000)).unwrap_err();
        assert_eq!((full.code, full.reason), (Code::Denied, Some(Reason::Limit)));
        assert_eq!(&*full.message, "there are 10000 invites already; revoke some");
        let taken = create(state(false, true, 0)).unwrap_err();
        assert_eq!(taken.code, Code::Conflict);
        assert!(wants_another_code(&taken) && !wants_another_code(&full));
    }

    fn by_peer() -> PeerInviting {
        let all = Inviting { exists: false, prefix_taken: false, count: 0 };
        PeerInviting { all, is_own: false, of_peers: 0, lately: 0, per_day: 3 }
    }

    #[test]
    fn a_peer_makes_as_many_invites_in_a_day_as_the_operator_lets_it() {
        for (lately, per_day, reason) in [
            (0, 3, None),
            (2, 3, None),
            (3, 3, Some(Reason::Limit)),
            (4, 3, Some(Reason::Limit)),
            (0, 0, Some(Reason::Closed)),
        ] {
            let made = create_by_peer(PeerInviting { lately, per_day, ..by_peer() });
            match reason {
                None => assert_eq!(made, Ok(Made::Now), "{lately} of {per_day}"),
                Some(reason) => {
                    let error = made.unwrap_err();
                    assert_eq!(
                        (error.code, error.reason),
                        (Code::Denied, Some(reason)),
                        "{lately} of {per_day}"
                    );
                    assert_eq!(error.hint.as_deref(), Some(OPERATORS_HINT));
                }
            }
        }
        let error = create_by_peer(PeerInviting { lately: 3, ..by_peer() }).unwrap_err();
        assert_eq!(
            &*error.message,
            "3 invites of yours were made in the last 24 hours, and more are not allowed"
        );
        let error = create_by_peer(PeerInviting { per_day: 0, ..by_peer() }).unwrap_err();
        assert_eq!(&*error.message, "the operator does not let peers invite");
    }

    #[test]
    fn a_lost_answer_costs_a_peer_no_invite_and_another_peers_invite_is_not_its_own() {
        let exists = Inviting { exists: true, prefix_taken: true, count: 10_000 };
        let again = PeerInviting { all: exists, is_own: true, lately: 3, per_day: 0, of_peers: 9_999 };
        assert_eq!(create_by_peer(again), Ok(Made::Before));
        let all = Inviting { count: 1, ..exists };
        let others = PeerInviting { all, ..by_peer() };
        assert!(wants_another_code(&create_by_peer(others).unwrap_err()));
        let taken = Inviting { exists: false, prefix_taken: true, count: 1 };
        assert!(wants_another_code(&create_by_peer(PeerInviting { all: taken, ..by_peer() }).unwrap_err()));
    }

    #[test]
    fn peers_leave_the_operator_room_for_invites() {
        let state = |of_peers| {
            let all = Inviting { exists: false, prefix_taken: false, count: of_peers };
            create_by_peer(PeerInviting { all, of_peers, ..by_peer() })
        };
        assert_eq!(state(4_999), Ok(Made::Now));
        let full = state(5_000).unwrap_err();
        assert_eq!((full.code, full.reason), (Code::Denied, Some(Reason::Limit)));
        assert_eq!(create(Inviting { exists: false, prefix_taken: false, count: 5_000 }), Ok(Made::Now));
    }

    #[test]
    fn an_invite_of_a_peer_has_a_beginning_and_an_end() {
        let invite = |prefix: &str, lasts_ms| Invite { hash: [1; 32], prefix: prefix.into(), lasts_ms };
        assert_eq!(check(&invite("Ab3d", 1)), Ok(()));
        for bad in [invite("Ab3", 1), invite("Ab3de", 1), invite("Ab0d", 1), invite("", 1), invite("Ab3d", 0)]
        {
            let error = check(&bad).unwrap_err();
            assert_eq!(
                (error.code, &*error.message),
                (Code::Invalid, "an invite has the beginning of its code, and a time")
            );
        }
        assert_eq!(ends_at(1_500, NOW), Timestamp(NOW.0 + 1_500));
        let week = 7 * 24 * 3_600_000;
        assert_eq!(ends_at(week + 1, NOW), Timestamp(NOW.0 + i64::try_from(week).unwrap()));
        assert_eq!(ends_at(u64::MAX, NOW), ends_at(week, NOW));
    }
}
