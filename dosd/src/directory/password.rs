//! Passwords: set and removed by their owners, and a login with one by a machine that does not have the key.
//!
//! The directory never has a password: what it computes is its part of OPAQUE ([`dos_protocol::opaque`]), a few multiplications.
//! A login has two messages. The first counts as an attempt, since no one else can tell whether the password was right: a machine
//! whose password is wrong says no more. The second proves that it was, takes the attempt back, and gets the sealed seed. What
//! always holds: a name that no peer has, a name without a password and a wrong password get the same answer after the same
//! work; what is kept between the two messages is bounded in number and time; nothing about the name is logged.

use std::{
    net::IpAddr,
    sync::Arc,
    time::{Duration, Instant},
};

use dos_daemon::{
    log::Throttle,
    network::network_of,
    rate::{KeyedRateLimiter, Rate},
};
use dos_protocol::{
    Code, PeerId, PeerName, Reason, Timestamp, WireError,
    directory::{Answer, Blob, Escrow, LoggedIn, LoginStart},
    duration::format_duration,
    limits::{ATTEMPTS_REMEMBERED_MAX, LOGINS_PENDING_MAX, PASSWORDS_PER_MINUTE},
    opaque::{OpaqueError, PendingLogin, Setup, check_record},
};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::{Directory, outward};
use crate::{
    metrics::Entrance,
    rules::names::{credential, credential_of},
    store::{Change, Login},
};

/// A peer that finds too many others waiting comes back after this time.
const CROWDED_PAUSE: Duration = Duration::from_secs(1);

/// Logins that are refused are logged this far apart.
const REFUSALS_LOG_PAUSE: Duration = Duration::from_secs(10);

/// The directory's part of OPAQUE, and what this server remembers of attempts.
#[derive(Debug)]
pub(super) struct Passwords {
    setup: Setup,
    attempts: KeyedRateLimiter<IpAddr>,
    /// For logins that have begun and not ended.
    places: Arc<Semaphore>,
    refusals: Throttle,
}

impl Passwords {
    /// Without anything to remember.
    pub(super) fn new(setup: Setup) -> Self {
        Self {
            setup,
            attempts: KeyedRateLimiter::new(ATTEMPTS_REMEMBERED_MAX),
            places: Arc::new(Semaphore::new(LOGINS_PENDING_MAX)),
            refusals: Throttle::new(REFUSALS_LOG_PAUSE),
        }
    }

    fn place(&self) -> Result<OwnedSemaphorePermit, WireError> {
        Arc::clone(&self.places).try_acquire_owned().map_err(|_| {
            let error =
                WireError::new(Code::Denied, "too many password logins at once; try again in a moment");
            error.because(Reason::Limit).retry_after(CROWDED_PAUSE)
        })
    }

    /// Anyone can cause these as often as they have addresses.
    fn log_refusal(&self, seen: IpAddr) {
        if let Some(left_out) = self.refusals.take(Instant::now()) {
            tracing::warn!(address = %seen, left_out, "refused a password login");
        }
    }
}

/// A login between its two messages.
#[derive(Debug)]
pub(crate) struct LoginPending {
    login: PendingLogin,
    name: PeerName,
    /// What the first message has found.
    found: Option<Login>,
    _place: OwnedSemaphorePermit,
}

fn refused(error: OpaqueError) -> WireError {
    match error {
        OpaqueError::Malformed => WireError::new(Code::Invalid, error.to_string()),
        OpaqueError::Refused => wrong(),
        OpaqueError::Failed => WireError::new(Code::Internal, "the directory could not work on the password"),
    }
}

fn blob(bytes: Vec<u8>) -> Result<Blob, WireError> {
    bytes.try_into().map_err(|_| refused(OpaqueError::Failed))
}

/// The one answer to everything that is wrong with a name or a password.
fn wrong() -> WireError {
    WireError::new(Code::Denied, "wrong name or password").because(Reason::WrongPassword)
}

fn locked(wait: Duration) -> WireError {
    // Rounded up: a peer that waits for this time need not wait again.
    let seconds = Duration::from_secs(wait.as_secs() + u64::from(wait.subsec_nanos() > 0));
    let text = format!("too many wrong passwords for this name: try again in {}", format_duration(seconds));
    WireError::new(Code::Denied, text).because(Reason::Locked).retry_after(seconds)
}

/// To a daemon of the first release, which has the directory see passwords.
pub(crate) fn outdated() -> WireError {
    let text = "the directory does not take passwords in this way, in which it would see them: update peerd";
    WireError::new(Code::Unsupported, text)
}

impl Directory {
    /// Begins a login with a password.
    ///
    /// # Errors
    /// `denied` with the reason `locked` or `limit`; `invalid`.
    pub(crate) async fn login_start(
        &self,
        seen: IpAddr,
        start: LoginStart,
    ) -> Result<(LoginPending, Blob), WireError> {
        let LoginStart { name, request } = start;
        let hash = self.passwords.setup.hash_name(&name);
        if let Some(wait) = self.store.locked(hash, Timestamp::now()).await.map_err(outward)? {
            return Err(locked(wait));
        }
        let rate = Rate::per_minute(PASSWORDS_PER_MINUTE.into());
        if let Err(wait) = self.passwords.attempts.take(network_of(seen), rate, Instant::now()) {
            let error = WireError::new(Code::Denied, "too many password logins from this address");
            return Err(error.because(Reason::Limit).retry_after(wait));
        }
        let place = self.passwords.place()?;
        let found = self.store.login(name.clone()).await.map_err(outward)?;
        let block = self.settings().block_duration;
        if let Some(wait) = self.store.attempt(hash, block, Timestamp::now()).await.map_err(outward)? {
            return Err(locked(wait));
        }
        let credential = credential(&name, found.as_ref().map(|login| login.peer));
        let escrow = found.as_ref().and_then(|login| login.escrow.as_ref());
        let record = escrow.map(|escrow| escrow.record.as_bytes());
        let (login, answer) =
            self.passwords.setup.login(&credential, record, request.as_bytes()).map_err(refused)?;
        Ok((LoginPending { login, name, found, _place: place }, blob(answer)?))
    }

    /// Ends it.
    ///
    /// # Errors
    /// `denied` with the reason `wrong_password`, also if the password was changed meanwhile.
    pub(crate) async fn login_finish(
        &self,
        seen: IpAddr,
        pending: LoginPending,
        proof: &Blob,
    ) -> Result<LoggedIn, WireError> {
        let LoginPending { login, name, found, .. } = pending;
        let proved = login.finish(proof.as_bytes()).is_ok();
        let now = self.store.login(name.clone()).await.map_err(outward)?;
        let stands = proved && now == found;
        let Some(Login { peer, key, escrow: Some(escrow) }) = now.filter(|_| stands) else {
            self.passwords.log_refusal(seen);
            return Err(wrong());
        };
        self.store.forgive(self.passwords.setup.hash_name(&name)).await.map_err(outward)?;
        tracing::info!(%peer, address = %seen, "gave a peer's sealed key to a machine that has its password");
        Ok(LoggedIn { id: peer, key, sealed: escrow.sealed, online: self.live.is_online(peer) })
    }

    /// A machine has begun a login and not ended it, most likely because its password is wrong: no one else can tell.
    pub(crate) fn login_abandoned(&self, seen: IpAddr) {
        self.passwords.log_refusal(seen);
        self.metrics.signed_in(Entrance::Login, Some(&wrong()));
    }

    /// Answers the first message for a password that a peer wants to set.
    ///
    /// # Errors
    /// `invalid`.
    pub(super) fn password_start(&self, peer: PeerId, request: &Blob) -> Result<Answer, WireError> {
        let answer = self.passwords.setup.register(&credential_of(peer), request.as_bytes());
        blob(answer.map_err(refused)?).map(Answer::PasswordStarted)
    }

    /// Sets a peer's password, or removes it.
    ///
    /// # Errors
    /// `invalid` if the peer has no name, by which it would log in, or if this is no record.
    pub(super) async fn set_password(
        &self,
        change: Change,
        escrow: Option<Escrow>,
    ) -> Result<Answer, WireError> {
        if let Some(escrow) = &escrow {
            check_record(escrow.record.as_bytes()).map_err(refused)?;
        }
        self.store.set_password(change, escrow).await.map_err(outward)?;
        Ok(Answer::Done)
    }
}

#[cfg(test)]
mod tests {
    use dos_protocol::key::SecretKey;

    use super::*;

    #[test]
    fn with_too_many_logins_pending_the_next_is_refused() {
        let passwords = Passwords::new(Setup::derive(&SecretKey::from_seed(&[1; 32])).unwrap());
        let pending = (0..LOGINS_PENDING_MAX).map(|_| passwords.place().unwrap()).collect::<Vec<_>>();
        let refused = passwords.place().unwrap_err();
        assert_eq!((refused.code, refused.reason), (Code::Denied, Some(Reason::Limit)));
        assert!(refused.retry_after_ms.is_some());
        drop(pending);
        assert!(passwords.place().is_ok());
    }

    #[test]
    fn a_lock_out_tells_when_to_come_back() {
        let error = locked(Duration::from_millis(59_001));
        assert_eq!(&*error.message, "too many wrong passwords for this name: try again in 1m");
        assert_eq!(error.retry_after_ms, Some(60_000));
    }

    #[test]
    fn what_is_wrong_and_what_is_malformed_are_told_apart_and_nothing_internal_is_told() {
        for (error, code, reason) in [
            (OpaqueError::Malformed, Code::Invalid, None),
            (OpaqueError::Refused, Code::Denied, Some(Reason::WrongPassword)),
            (OpaqueError::Failed, Code::Internal, None),
        ] {
            let refused = refused(error);
            assert_eq!((refused.code, refused.reason), (code, reason), "{error:?}");
        }
    }
}
