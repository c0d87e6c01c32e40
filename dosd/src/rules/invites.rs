//! Invites: made once under their code, and used up by registrations.
//!
//! What is wrong with an invite is not told: a code that once was one looks like any other.

use dos_protocol::{Code, Reason, Timestamp, WireError, limits::INVITES_MAX};

use super::refusal::{conflict, denied};

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
}
