//! The session's states and transitions, as a pure function; one task performs the actions.
//!
//! What always holds: nobody who logged out, whose ID was taken over, or who was signed out for being idle, is signed in
//! again without being asked (the idle one is, when the daemon starts anew); a
//! conflict that a person meets is reported at once, while one that the daemon meets by itself is retried for a while,
//! because it may be the daemon's own former connection, of which the directory does not know yet that it is gone.

use dos_protocol::{control::SessionState, limits::BRIEF_SESSIONS_MAX};

/// How often a conflict is retried: the delays together are longer than the directory takes to notice a dead session.
const CONFLICTS_MAX: u32 = 10;

/// How an attempt to sign in came about, and what came before it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Try {
    /// Failures in a row before this one, since the last session.
    pub(crate) failures: u32,
    /// Sessions in a row that ended at once before it, up to [`BRIEF_SESSIONS_MAX`].
    pub(crate) brief: u32,
    /// Conflicts among them.
    pub(crate) conflicts: u32,
    /// A person waits for it.
    pub(crate) asked: bool,
    /// Takes over from another live session.
    pub(crate) force: bool,
    /// The operator has ended the last session: only a person or the time ends the waiting.
    pub(crate) kicked: bool,
}

/// Where the session stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Phase {
    /// There is no ID.
    Unregistered,
    /// An ID is being asked for.
    Registering,
    /// No session is wanted.
    Offline,
    /// An attempt is under way.
    Connecting(Try),
    /// The next attempt is due later.
    Waiting(Try),
    /// Signed in, after this many sessions in a row that ended at once.
    Online(u32),
}

/// Why an attempt failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Failed {
    /// Nobody is there, or not able to serve now.
    Unreachable,
    /// The directory refuses, or is not the one: only people can change that.
    Refused,
    /// At one of its addresses is another server, and nobody at the others: a person is told of that one, and the directory may be back at any
    /// moment.
    Elsewhere,
    /// Another daemon is signed in with the ID.
    Conflict,
    /// The directory does not know our key.
    Unknown,
}

/// Why a session ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Lost {
    /// Another daemon has taken over.
    TakenOver,
    /// The operator has ended it.
    Kicked,
    /// Nothing was asked for longer than the operator allows.
    Idle,
    /// The connection is gone; it had lasted.
    Lasted,
    /// The connection is gone as soon as it came.
    AtOnce,
}

/// What happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Event {
    /// The daemon starts, registered, and was online when it stopped.
    Start,
    /// A person registers.
    Register,
    /// A person logs in.
    Login {
        /// Takes over from another live session.
        force: bool,
    },
    /// A person logs out.
    Logout,
    /// The attempt succeeded.
    SignedIn,
    /// The attempt failed.
    Failed(Failed),
    /// The session ended.
    Lost(Lost),
    /// The next attempt is due.
    Due,
    /// An identity that has an ID was written down.
    Adopted,
}

/// What is to be done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Action {
    /// Nothing.
    Nothing,
    /// Registers, in place of any attempt under way.
    Register,
    /// Connects and signs in, in place of any attempt under way.
    Connect {
        /// Takes over from another live session.
        force: bool,
    },
    /// Tries again after the delay for this many failures.
    Retry(u32),
    /// Tries again after the longest delay.
    RetrySlowly,
    /// Tries again when an operator who ended the session may have forgotten it.
    RetryAfterKick,
    /// Signs out.
    SignOut,
    /// Drops the attempt or the timer.
    Abandon,
    /// Stays offline, also after the next start.
    GiveUp,
}

impl Phase {
    /// As others see it.
    pub(crate) fn session_state(self) -> SessionState {
        match self {
            Self::Unregistered | Self::Registering => SessionState::Unregistered,
            Self::Offline => SessionState::Offline,
            Self::Connecting(_) | Self::Waiting(_) => SessionState::Connecting,
            Self::Online(_) => SessionState::Online,
        }
    }

    /// The phase after `event`, and what is to be done.
    pub(crate) fn step(self, event: Event) -> (Self, Action) {
        match (self, event) {
            (Self::Unregistered, Event::Register) => (Self::Registering, Action::Register),
            (Self::Unregistered, Event::Adopted) => (Self::Offline, Action::Nothing),
            (Self::Registering | Self::Connecting(_), Event::SignedIn) => {
                let brief = if let Self::Connecting(attempt) = self { attempt.brief } else { 0 };
                (Self::Online(brief), Action::Nothing)
            }
            (Self::Registering, Event::Failed(_)) => (Self::Unregistered, Action::Nothing),
            (Self::Offline, Event::Start) => connect(Try::default()),
            (Self::Offline | Self::Waiting(_), Event::Login { force }) => {
                connect(Try { asked: true, force, ..Try::default() })
            }
            (Self::Connecting(attempt), Event::Login { force }) => {
                let asked = Try { asked: true, force: force || attempt.force, ..attempt };
                if asked.force == attempt.force {
                    (Self::Connecting(asked), Action::Nothing)
                } else {
                    connect(asked)
                }
            }
            (Self::Connecting(_) | Self::Waiting(_), Event::Logout) => (Self::Offline, Action::Abandon),
            (Self::Online(_), Event::Logout) => (Self::Offline, Action::SignOut),
            (Self::Connecting(attempt), Event::Failed(why)) => failed(attempt, why),
            (Self::Waiting(attempt), Event::Due) => connect(Try { kicked: false, ..attempt }),
            (Self::Online(_), Event::Lost(Lost::TakenOver)) => (Self::Offline, Action::GiveUp),
            (Self::Online(_), Event::Lost(Lost::Idle)) => (Self::Offline, Action::Nothing),
            (Self::Online(_), Event::Lost(Lost::Kicked)) => {
                (Self::Waiting(Try { kicked: true, ..Try::default() }), Action::RetryAfterKick)
            }
            (Self::Online(_), Event::Lost(Lost::Lasted)) => (Self::Waiting(Try::default()), Action::Retry(0)),
            (Self::Online(brief), Event::Lost(Lost::AtOnce)) => {
                let brief = brief.saturating_add(1).min(BRIEF_SESSIONS_MAX);
                (Self::Waiting(Try { brief, ..Try::default() }), Action::Retry(brief))
            }
            (same, _) => (same, Action::Nothing),
        }
    }
}

fn connect(attempt: Try) -> (Phase, Action) {
    (Phase::Connecting(attempt), Action::Connect { force: attempt.force })
}

fn failed(attempt: Try, why: Failed) -> (Phase, Action) {
    let failures = attempt.failures.saturating_add(1);
    let conflicts = attempt.conflicts + u32::from(why == Failed::Conflict);
    let next = Try { failures, conflicts, ..attempt };
    match why {
        Failed::Conflict if attempt.asked || conflicts > CONFLICTS_MAX => (Phase::Offline, Action::GiveUp),
        // Unasked it is tried on: the directory may have been restored from an old backup, and be restored better.
        Failed::Unknown if attempt.asked => (Phase::Offline, Action::GiveUp),
        Failed::Conflict | Failed::Unreachable | Failed::Elsewhere => {
            (Phase::Waiting(next), Action::Retry(attempt.failures))
        }
        Failed::Refused | Failed::Unknown => (Phase::Waiting(next), Action::RetrySlowly),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::upstream::backoff::delay;

    const FIRST: Try = Try { failures: 0, brief: 0, conflicts: 0, asked: false, force: false, kicked: false };
    const KICKED: Try = Try { kicked: true, ..FIRST };
    const ASKED: Try = Try { asked: true, ..FIRST };
    const FORCED: Try = Try { force: true, ..ASKED };
    const SECOND: Try = Try { failures: 1, ..FIRST };
    const HELD: Try = Try { conflicts: 1, ..SECOND };

    #[test]
    fn every_transition_is_as_in_the_table() {
        use Action as A;
        use Event as E;
        use Phase as P;
        let table = [
            (P::Unregistered, E::Register, P::Registering, A::Register),
            (P::Unregistered, E::Login { force: false }, P::Unregistered, A::Nothing),
            (P::Unregistered, E::Logout, P::Unregistered, A::Nothing),
            (P::Registering, E::SignedIn, P::Online(0), A::Nothing),
            (P::Registering, E::Failed(Failed::Unreachable), P::Unregistered, A::Nothing),
            (P::Registering, E::Failed(Failed::Conflict), P::Unregistered, A::Nothing),
            (P::Registering, E::Register, P::Registering, A::Nothing),
            (P::Registering, E::Logout, P::Registering, A::Nothing),
            (P::Offline, E::Start, P::Connecting(FIRST), A::Connect { force: false }),
            (P::Offline, E::Login { force: false }, P::Connecting(ASKED), A::Connect { force: false }),
            (P::Offline, E::Login { force: true }, P::Connecting(FORCED), A::Connect { force: true }),
            (P::Offline, E::Logout, P::Offline, A::Nothing),
            (P::Offline, E::Due, P::Offline, A::Nothing),
            (P::Offline, E::SignedIn, P::Offline, A::Nothing),
            (P::Offline, E::Failed(Failed::Unreachable), P::Offline, A::Nothing),
            (P::Offline, E::Lost(Lost::Lasted), P::Offline, A::Nothing),
            (P::Connecting(FIRST), E::SignedIn, P::Online(0), A::Nothing),
            (P::Connecting(Try { brief: 3, ..SECOND }), E::SignedIn, P::Online(3), A::Nothing),
            (P::Connecting(FIRST), E::Login { force: false }, P::Connecting(ASKED), A::Nothing),
            (
                P::Connecting(FIRST),
                E::Login { force: true },
                P::Connecting(FORCED),
                A::Connect { force: true },
            ),
            (P::Connecting(FORCED), E::Login { force: false }, P::Connecting(FORCED), A::Nothing),
            (P::Connecting(FIRST), E::Logout, P::Offline, A::Abandon),
            (P::Connecting(FIRST), E::Failed(Failed::Unreachable), P::Waiting(SECOND), A::Retry(0)),
            (P::Connecting(FIRST), E::Failed(Failed::Elsewhere), P::Waiting(SECOND), A::Retry(0)),
            (P::Connecting(FIRST), E::Failed(Failed::Refused), P::Waiting(SECOND), A::RetrySlowly),
            (P::Connecting(FIRST), E::Failed(Failed::Unknown), P::Waiting(SECOND), A::RetrySlowly),
            (P::Connecting(ASKED), E::Failed(Failed::Unknown), P::Offline, A::GiveUp),
            (P::Registering, E::Failed(Failed::Unknown), P::Unregistered, A::Nothing),
            (P::Connecting(ASKED), E::Failed(Failed::Conflict), P::Offline, A::GiveUp),
            (P::Connecting(FIRST), E::Failed(Failed::Conflict), P::Waiting(HELD), A::Retry(0)),
            (
                P::Connecting(Try { conflicts: CONFLICTS_MAX, ..FIRST }),
                E::Failed(Failed::Conflict),
                P::Offline,
                A::GiveUp,
            ),
            (P::Waiting(SECOND), E::Due, P::Connecting(SECOND), A::Connect { force: false }),
            (
                P::Waiting(SECOND),
                E::Login { force: false },
                P::Connecting(ASKED),
                A::Connect { force: false },
            ),
            (P::Waiting(SECOND), E::Logout, P::Offline, A::Abandon),
            (P::Online(3), E::Login { force: true }, P::Online(3), A::Nothing),
            (P::Online(3), E::Register, P::Online(3), A::Nothing),
            (P::Online(3), E::Logout, P::Offline, A::SignOut),
            (P::Online(3), E::Lost(Lost::TakenOver), P::Offline, A::GiveUp),
            (P::Online(3), E::Lost(Lost::Idle), P::Offline, A::Nothing),
            (P::Offline, E::Lost(Lost::Idle), P::Offline, A::Nothing),
            (P::Online(3), E::Lost(Lost::Lasted), P::Waiting(FIRST), A::Retry(0)),
            (P::Online(3), E::Lost(Lost::AtOnce), P::Waiting(Try { brief: 4, ..FIRST }), A::Retry(4)),
            (P::Online(5), E::Lost(Lost::AtOnce), P::Waiting(Try { brief: 5, ..FIRST }), A::Retry(5)),
        ];
        for (phase, event, then, action) in table {
            assert_eq!(phase.step(event), (then, action), "{phase:?} on {event:?}");
        }
    }

    /// A directory that crashes again as soon as everybody is back is there again within 5 s of its last start.
    #[test]
    fn after_ten_crashes_in_a_row_nobody_is_away_for_long() {
        let mut phase = Phase::Connecting(FIRST).step(Event::SignedIn).0;
        for crash in 1..=10 {
            let (waiting, action) = phase.step(Event::Lost(Lost::AtOnce));
            let Action::Retry(failures) = action else { panic!("{action:?} after crash {crash}") };
            let mut away = delay(failures, u32::MAX);
            // It starts slowly: the first attempts fail.
            let mut connecting = waiting.step(Event::Due).0;
            for _ in 0..2 {
                let (waiting, action) = connecting.step(Event::Failed(Failed::Unreachable));
                let Action::Retry(failures) = action else { panic!("{action:?} after crash {crash}") };
                away += delay(failures, u32::MAX);
                connecting = waiting.step(Event::Due).0;
            }
            assert!(away < Duration::from_secs(4), "{away:?} after crash {crash}");
            phase = connecting.step(Event::SignedIn).0;
        }
    }

    #[test]
    fn only_a_daemon_without_an_id_takes_one_on() {
        let adopted = |phase: Phase| phase.step(Event::Adopted);
        assert_eq!(adopted(Phase::Unregistered), (Phase::Offline, Action::Nothing));
        for phase in [Phase::Registering, Phase::Offline, Phase::Connecting(FIRST), Phase::Online(3)] {
            assert_eq!(adopted(phase), (phase, Action::Nothing), "{phase:?}");
        }
    }

    #[test]
    fn a_kicked_peer_waits_for_its_time_or_a_person() {
        let (waiting, action) = Phase::Online(3).step(Event::Lost(Lost::Kicked));
        assert_eq!((waiting, action), (Phase::Waiting(KICKED), Action::RetryAfterKick));
        assert_eq!(waiting.step(Event::Due).0, Phase::Connecting(FIRST));
        assert_eq!(waiting.step(Event::Login { force: false }).0, Phase::Connecting(ASKED));
    }

    #[test]
    fn nobody_who_logged_out_comes_back_unasked() {
        let events = [
            Event::SignedIn,
            Event::Failed(Failed::Unreachable),
            Event::Failed(Failed::Conflict),
            Event::Lost(Lost::Lasted),
            Event::Lost(Lost::AtOnce),
            Event::Due,
            Event::Logout,
        ];
        for event in events {
            assert_eq!(Phase::Offline.step(event), (Phase::Offline, Action::Nothing), "{event:?}");
        }
    }

    #[test]
    fn a_conflict_met_unasked_is_given_up_in_the_end() {
        let mut phase = Phase::Connecting(FIRST);
        for _ in 0..=CONFLICTS_MAX {
            phase = phase.step(Event::Failed(Failed::Conflict)).0.step(Event::Due).0;
        }
        assert_eq!(phase, Phase::Offline);
    }
}
