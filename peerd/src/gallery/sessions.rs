//! Who is let in: tokens that work once, sessions that end when nobody does anything, and one-time addresses of originals.
//!
//! What always holds: of tokens and cookies only hashes are kept; everything is bounded and in memory alone, so that all of it ends with
//! the daemon; a token and a one-time address are taken out before they are used.

use std::{
    collections::{HashMap, VecDeque},
    time::Instant,
};

use blake3::Hash;
use dos_protocol::{WireError, model::ImagePath};
use parking_lot::Mutex;
use tokio_util::sync::CancellationToken;

use super::limits::{IDLE_TIME_MAX, SESSIONS_MAX, TICKET_TIME, TICKETS_MAX, TOKEN_TIME, TOKENS_MAX};
use super::render::Showing;
use crate::random;

/// What the next page of a session says at its top.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Said {
    pub(super) text: String,
    pub(super) is_error: bool,
}

/// An original that was asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Wanted {
    pub(super) path: ImagePath,
    pub(super) showing: Showing,
    /// One's own is looked at for nothing.
    pub(super) is_own: bool,
}

/// How a one-time address stands.
#[derive(Debug, Clone)]
pub(super) enum TicketState {
    /// It works, once.
    Open,
    /// It was used.
    Used,
    /// It was used and gave nothing, and why.
    Failed(WireError),
}

/// A browser that was let in, as a request sees it.
#[derive(Debug, Clone)]
pub(super) struct Visitor {
    pub(super) session: Hash,
    /// What every form of this session carries.
    pub(super) csrf: String,
    /// When the session ends.
    pub(super) ended: CancellationToken,
}

#[derive(Debug)]
struct Session {
    csrf: String,
    active_at: Instant,
    said: Option<Said>,
    tickets: VecDeque<(Hash, Instant, Wanted, TicketState)>,
    ended: CancellationToken,
}

#[derive(Debug, Default)]
struct Inner {
    tokens: VecDeque<(Hash, Instant)>,
    sessions: HashMap<Hash, Session>,
}

/// All sessions.
#[derive(Debug)]
pub(super) struct Sessions {
    cookie: String,
    is_secure: bool,
    inner: Mutex<Inner>,
}

/// A secret that cannot be guessed, as text.
fn secret() -> Result<String, WireError> {
    Ok(bs58::encode(random::bytes::<32>()?).into_string())
}

fn hash(secret: &str) -> Hash {
    blake3::hash(secret.as_bytes())
}

impl Inner {
    /// Lets everything go that is over at `now`.
    fn tidy(&mut self, now: Instant) {
        self.tokens.retain(|(_, since)| now.duration_since(*since) < TOKEN_TIME);
        self.sessions.retain(|_, session| {
            let lives = now.duration_since(session.active_at) < IDLE_TIME_MAX;
            if !lives {
                session.ended.cancel();
            }
            lives
        });
    }
}

impl Sessions {
    /// With a cookie of this name, which browsers send over TLS alone if it `is_secure`.
    pub(super) fn new(cookie: String, is_secure: bool) -> Self {
        Self { cookie, is_secure, inner: Mutex::default() }
    }

    /// The name of the cookie.
    pub(super) fn cookie(&self) -> &str {
        &self.cookie
    }

    /// What a browser is told to keep.
    pub(super) fn set_cookie(&self, value: &str) -> String {
        let secure = if self.is_secure { "; Secure" } else { "" };
        format!("{}={value}; HttpOnly; SameSite=Strict; Path=/{secure}", self.cookie)
    }

    /// A token that lets one browser in.
    ///
    /// # Errors
    /// If the system gives no random bytes.
    pub(super) fn invite(&self) -> Result<Box<str>, WireError> {
        let token = secret()?;
        let (mut inner, now) = (self.inner.lock(), Instant::now());
        inner.tidy(now);
        if inner.tokens.len() >= TOKENS_MAX {
            inner.tokens.pop_front();
        }
        inner.tokens.push_back((hash(&token), now));
        Ok(token.into())
    }

    /// Begins a session for the browser that has this token: the cookie's value; nothing if the token is not good, or not any more.
    ///
    /// # Errors
    /// If the system gives no random bytes.
    pub(super) fn enter(&self, token: &str) -> Result<Option<String>, WireError> {
        let (cookie, csrf) = (secret()?, secret()?);
        let (mut inner, now) = (self.inner.lock(), Instant::now());
        inner.tidy(now);
        let token = hash(token);
        let Some(place) = inner.tokens.iter().position(|(known, _)| *known == token) else { return Ok(None) };
        inner.tokens.remove(place);
        if inner.sessions.len() >= SESSIONS_MAX {
            let idlest = inner.sessions.iter().min_by_key(|(_, session)| session.active_at);
            if let Some(key) = idlest.map(|(key, _)| *key)
                && let Some(session) = inner.sessions.remove(&key)
            {
                session.ended.cancel();
            }
        }
        let (said, tickets, ended) = (None, VecDeque::new(), CancellationToken::new());
        let session = Session { csrf, active_at: now, said, tickets, ended };
        inner.sessions.insert(hash(&cookie), session);
        Ok(Some(cookie))
    }

    /// The session of this cookie. What a page does by itself does not keep it from ending.
    pub(super) fn visit(&self, cookie: &str, is_person: bool, now: Instant) -> Option<Visitor> {
        let mut inner = self.inner.lock();
        inner.tidy(now);
        let key = hash(cookie);
        let session = inner.sessions.get_mut(&key)?;
        if is_person {
            session.active_at = now;
        }
        Some(Visitor { session: key, csrf: session.csrf.clone(), ended: session.ended.clone() })
    }

    /// Ends a session.
    pub(super) fn leave(&self, visitor: &Visitor) {
        if let Some(session) = self.inner.lock().sessions.remove(&visitor.session) {
            session.ended.cancel();
        }
    }

    /// Whether no one is there, and no one is expected.
    pub(super) fn are_over(&self) -> bool {
        let mut inner = self.inner.lock();
        inner.tidy(Instant::now());
        inner.tokens.is_empty() && inner.sessions.is_empty()
    }

    /// Has the next page say something.
    pub(super) fn say(&self, visitor: &Visitor, said: Said) {
        if let Some(session) = self.inner.lock().sessions.get_mut(&visitor.session) {
            session.said = Some(said);
        }
    }

    /// What the next page says, once.
    pub(super) fn said(&self, visitor: &Visitor) -> Option<Said> {
        self.inner.lock().sessions.get_mut(&visitor.session)?.said.take()
    }

    /// A one-time address for an original.
    ///
    /// # Errors
    /// If the system gives no random bytes.
    pub(super) fn ticket(&self, visitor: &Visitor, wanted: Wanted) -> Result<String, WireError> {
        let ticket = secret()?;
        if let Some(session) = self.inner.lock().sessions.get_mut(&visitor.session) {
            if session.tickets.len() >= TICKETS_MAX {
                session.tickets.pop_front();
            }
            session.tickets.push_back((hash(&ticket), Instant::now(), wanted, TicketState::Open));
        }
        Ok(ticket)
    }

    /// What an address of this session was made for, and how it stands at `now`.
    pub(super) fn look(
        &self,
        visitor: &Visitor,
        ticket: &str,
        now: Instant,
    ) -> Option<(Wanted, TicketState)> {
        let inner = self.inner.lock();
        let key = hash(ticket);
        let tickets = &inner.sessions.get(&visitor.session)?.tickets;
        let (_, since, wanted, state) = tickets.iter().find(|(known, ..)| *known == key)?;
        let is_late = matches!(state, TicketState::Open) && now.duration_since(*since) >= TICKET_TIME;
        Some((wanted.clone(), if is_late { TicketState::Used } else { state.clone() }))
    }

    /// Takes what an address was made for: once.
    pub(super) fn take(&self, visitor: &Visitor, ticket: &str, now: Instant) -> Option<Wanted> {
        let (wanted, TicketState::Open) = self.look(visitor, ticket, now)? else { return None };
        let mut inner = self.inner.lock();
        let key = hash(ticket);
        let tickets = &mut inner.sessions.get_mut(&visitor.session)?.tickets;
        let (.., state) = tickets.iter_mut().find(|(known, ..)| *known == key)?;
        match std::mem::replace(state, TicketState::Used) {
            TicketState::Open => Some(wanted),
            other => {
                *state = other;
                None
            }
        }
    }

    /// Notes why an address gave nothing.
    pub(super) fn fail(&self, visitor: &Visitor, ticket: &str, error: WireError) {
        let mut inner = self.inner.lock();
        let key = hash(ticket);
        let Some(session) = inner.sessions.get_mut(&visitor.session) else { return };
        if let Some((.., state)) = session.tickets.iter_mut().find(|(known, ..)| *known == key) {
            *state = TicketState::Failed(error);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entered(sessions: &Sessions) -> (String, Visitor) {
        let cookie = sessions.enter(&sessions.invite().unwrap()).unwrap().unwrap();
        let visitor = sessions.visit(&cookie, true, Instant::now()).unwrap();
        (cookie, visitor)
    }

    fn sea() -> Wanted {
        Wanted { path: "7xKqPm2R/sea".parse().unwrap(), showing: Showing::AsIs("image/jpeg"), is_own: false }
    }

    #[test]
    fn a_token_lets_one_browser_in_and_only_the_last_tokens_are_good() {
        let sessions = Sessions::new("dos-gallery".into(), false);
        assert!(sessions.are_over());
        let first = sessions.invite().unwrap();
        assert!(!sessions.are_over());
        for _ in 0..TOKENS_MAX {
            sessions.invite().unwrap();
        }
        assert_eq!(sessions.enter(&first).unwrap(), None);
        let token = sessions.invite().unwrap();
        assert_eq!(sessions.enter("guessed").unwrap(), None);
        assert!(sessions.enter(&token).unwrap().is_some());
        assert_eq!(sessions.enter(&token).unwrap(), None);
    }

    #[test]
    fn a_cookie_behind_tls_goes_over_tls_alone() {
        let kept = |is_secure| Sessions::new("name".into(), is_secure).set_cookie("value");
        assert_eq!(kept(false), "name=value; HttpOnly; SameSite=Strict; Path=/");
        assert_eq!(kept(true), "name=value; HttpOnly; SameSite=Strict; Path=/; Secure");
    }

    #[test]
    fn a_session_ends_when_nobody_does_anything_whatever_its_pages_do() {
        let sessions = Sessions::new("dos-gallery".into(), false);
        let (cookie, visitor) = entered(&sessions);
        let almost = Instant::now() + IDLE_TIME_MAX / 2;
        assert!(sessions.visit(&cookie, false, almost).is_some());
        assert!(!visitor.ended.is_cancelled());
        assert!(sessions.visit(&cookie, false, almost + IDLE_TIME_MAX).is_none());
        assert!(visitor.ended.is_cancelled());
        assert!(sessions.are_over());
    }

    #[test]
    fn there_are_few_sessions_and_the_idlest_goes_first() {
        let sessions = Sessions::new("dos-gallery".into(), false);
        let (first, _) = entered(&sessions);
        let (second, _) = entered(&sessions);
        assert!(sessions.visit(&first, true, Instant::now()).is_some());
        for _ in 2..=SESSIONS_MAX {
            entered(&sessions);
        }
        assert!(sessions.visit(&first, true, Instant::now()).is_some());
        assert!(sessions.visit(&second, true, Instant::now()).is_none());
    }

    #[test]
    fn an_address_works_once_for_its_own_session_in_its_time() {
        let sessions = Sessions::new("dos-gallery".into(), false);
        let ((_, alice), (_, bob)) = (entered(&sessions), entered(&sessions));
        let ticket = sessions.ticket(&alice, sea()).unwrap();
        let now = Instant::now();
        assert!(sessions.take(&bob, &ticket, now).is_none());
        assert_eq!(sessions.take(&alice, &ticket, now), Some(sea()));
        assert!(sessions.take(&alice, &ticket, now).is_none());
        let late = sessions.ticket(&alice, sea()).unwrap();
        assert!(sessions.take(&alice, &late, now + TICKET_TIME * 2).is_none());
        assert!(sessions.take(&alice, "guessed", now).is_none());
        let many: Vec<String> = (0..=TICKETS_MAX).map(|_| sessions.ticket(&alice, sea()).unwrap()).collect();
        assert!(sessions.take(&alice, &many[0], now).is_none());
        assert!(sessions.take(&alice, &many[1], now).is_some());
    }
}
