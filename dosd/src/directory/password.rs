//! Passwords: set and removed by their owners, and taken instead of a key that is lost.
//!
//! Kept as Argon2id (RFC 9106) with 19 MiB, two passes and one lane (OWASP Password Storage Cheat Sheet, 2024). What always
//! holds: a name that no peer has, a name without a password and a wrong password get the same answer after the same work;
//! never more passwords are looked at together than there are cores; and a sign-in with a key is never held up by any of
//! it. Nothing about a password or the name that came with it is logged.

use std::{
    net::IpAddr,
    sync::{Arc, Mutex, PoisonError},
    thread::available_parallelism,
    time::{Duration, Instant},
};

use argon2::{
    Algorithm, Argon2, Params, Version,
    password_hash::{PasswordHasher, PasswordVerifier, phc::PasswordHash},
};
use dos_daemon::rate::{KeyedRateLimiter, Rate};
use dos_protocol::{
    Code, PublicKey, Reason, WireError,
    directory::{Answer, Recover, SignedIn},
    duration::format_duration,
    limits::{ATTEMPTS_REMEMBERED_MAX, PASSWORDS_PER_MINUTE, PASSWORDS_WAITING_MAX},
    password::Password,
};
use tokio::{
    sync::{Semaphore, SemaphorePermit},
    task::spawn_blocking,
    time::timeout,
};

use super::{Arrived, Directory, outward};
use crate::{
    address::network_of,
    live::Claim,
    rules::{lockout::Lockouts, names::known_key},
    store::Change,
};

/// Memory of one hash in KiB.
const MEMORY_KIB: u32 = 19_456;

/// Passes over that memory.
const PASSES: u32 = 2;

/// What the password of a name without one is compared to: a hash of the same cost that no password is known to have.
const NOBODYS: &str =
    "$argon2id$v=19$m=19456,t=2,p=1$bm9ib2R5IGhhcyB0aGlzIQ$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";

/// A peer that finds too many others waiting comes back after this time.
const CROWDED_PAUSE: Duration = Duration::from_secs(1);

/// The session with the old key ends within this time, or is not waited for any longer: the new machine waits too.
const OLD_SESSION_TIME_MAX: Duration = Duration::from_secs(5);

/// What is remembered of attempts, and who may compute.
#[derive(Debug)]
pub(super) struct Passwords {
    lockouts: Mutex<Lockouts>,
    attempts: KeyedRateLimiter<IpAddr>,
    /// For a place to wait at.
    places: Semaphore,
    /// For verifying: as many as there are cores.
    verifying: Semaphore,
    /// For setting: one, so that peers that are signed in cannot hold up those that want to be.
    setting: Semaphore,
}

impl Passwords {
    /// Without anything to remember.
    pub(super) fn new() -> Self {
        let cores = available_parallelism().map_or(1, std::num::NonZero::get);
        Self {
            lockouts: Mutex::default(),
            attempts: KeyedRateLimiter::new(ATTEMPTS_REMEMBERED_MAX),
            places: Semaphore::new(PASSWORDS_WAITING_MAX),
            verifying: Semaphore::new(cores),
            setting: Semaphore::new(1),
        }
    }

    fn place(&self) -> Result<SemaphorePermit<'_>, WireError> {
        self.places.try_acquire().map_err(|_| {
            let error = WireError::new(Code::Denied, "too many passwords at once; try again in a moment");
            error.because(Reason::Limit).retry_after(CROWDED_PAUSE)
        })
    }

    /// As [`Passwords::hash`], for a peer that is not signed in.
    ///
    /// # Errors
    /// `denied` if too many wait.
    pub(super) async fn hash_in_turn(&self, password: Password) -> Result<String, WireError> {
        let _place = self.place()?;
        self.hash(password).await
    }

    /// The password as it is kept, a PHC string.
    ///
    /// # Errors
    /// `internal`.
    async fn hash(&self, password: Password) -> Result<String, WireError> {
        let _turn = self.setting.acquire().await.map_err(|_| failed())?;
        let hashing = spawn_blocking(move || {
            hasher()?.hash_password(password.as_str().as_bytes()).map(|hash| hash.to_string())
        });
        hashing.await.map_err(|_| failed())?.map_err(|error| {
            tracing::error!(%error, "cannot hash a password");
            failed()
        })
    }

    /// Whether this is the password; without one, false after the same work.
    ///
    /// # Errors
    /// `internal`.
    async fn verify(&self, password: Password, hash: Option<String>) -> Result<bool, WireError> {
        let _turn = self.verifying.acquire().await.map_err(|_| failed())?;
        let verifying = spawn_blocking(move || {
            let known = hash.is_some();
            let hash = hash.as_deref().unwrap_or(NOBODYS);
            let parsed = PasswordHash::new(hash)?;
            let right = hasher()?.verify_password(password.as_str().as_bytes(), &parsed).is_ok();
            Ok(right && known)
        });
        let outcome = verifying.await.map_err(|_| failed())?;
        outcome.map_err(|error: argon2::password_hash::Error| {
            tracing::error!(%error, "cannot verify a password");
            failed()
        })
    }

    fn lockouts(&self) -> std::sync::MutexGuard<'_, Lockouts> {
        self.lockouts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn hasher() -> Result<Argon2<'static>, argon2::password_hash::Error> {
    let params = Params::new(MEMORY_KIB, PASSES, 1, None)?;
    Ok(Argon2::new(Algorithm::Argon2id, Version::V0x13, params))
}

fn failed() -> WireError {
    WireError::new(Code::Internal, "the directory could not handle the password")
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

impl Directory {
    /// Binds `key` to the ID of the name whose password this is, in place of its old key, and signs it in.
    ///
    /// # Errors
    /// `denied` with the reason `wrong_password`, `locked` or `limit`; `conflict` if the key is another peer's.
    pub async fn recover(
        self: &Arc<Self>,
        key: PublicKey,
        seen: IpAddr,
        recover: Recover,
    ) -> Result<(Arrived, SignedIn), WireError> {
        let Recover { name, password, sign_in } = recover;
        // The answer to an earlier attempt was lost: this key proves more than any password.
        match self.store.peer_by_key(key).await.map_err(outward) {
            Ok(known) => {
                known_key(&known, &name)?;
                return self.arrive(known, seen, sign_in, Claim::Forced).await;
            }
            Err(error) if error.code == Code::NotFound => {}
            Err(error) => return Err(error),
        }
        let now = Instant::now();
        if let Some(wait) = self.passwords.lockouts().locked(&name, now) {
            return Err(locked(wait));
        }
        let rate = Rate::per_minute(PASSWORDS_PER_MINUTE.into());
        if let Err(wait) = self.passwords.attempts.take(network_of(seen), rate, now) {
            let error = WireError::new(Code::Denied, "too many password logins from this address");
            return Err(error.because(Reason::Limit).retry_after(wait));
        }
        let _place = self.passwords.place()?;
        let login = self.store.login(name.clone()).await.map_err(outward)?;
        let block = self.settings().block_duration;
        self.passwords.lockouts().attempt(&name, block, Instant::now()).map_err(locked)?;
        let hash = login.as_ref().map(|login| login.hash.clone());
        let right = self.passwords.verify(password, hash).await?;
        let Some(login) = login.filter(|_| right) else {
            tracing::warn!(address = %seen, "refused a password login");
            return Err(wrong());
        };
        let known = self.store.replace_key(login, key).await.map_err(outward)?.ok_or_else(wrong)?;
        self.passwords.lockouts().forgive(&name);
        // What the old session has stored is forgotten when it has ended, and only then is it known where the new one goes on.
        let ended = self.live.close_replaced(known.id, key);
        if timeout(OLD_SESSION_TIME_MAX, ended).await.is_err() {
            tracing::debug!(peer = %known.id, "the session with the old key takes its time");
        }
        tracing::info!(peer = %known.id, address = %seen, "took its ID back with its password");
        self.arrive(known, seen, sign_in, Claim::Recovered).await
    }

    /// Sets a peer's password, or removes it.
    ///
    /// # Errors
    /// `invalid` if the peer has no name, by which it would be found.
    pub(super) async fn set_password(
        &self,
        change: Change,
        password: Option<Password>,
    ) -> Result<Answer, WireError> {
        let hash = match password {
            Some(password) => Some(self.passwords.hash(password).await?),
            None => None,
        };
        self.store.set_password(change, hash).await.map_err(outward)?;
        Ok(Answer::Done)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn password(text: &str) -> Password {
        text.parse().unwrap()
    }

    #[tokio::test]
    async fn only_the_password_itself_is_right_and_it_is_kept_as_argon2id() {
        let passwords = Passwords::new();
        let hash = passwords.hash(password("correct horse")).await.unwrap();
        assert!(hash.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{hash}");
        assert_ne!(hash, passwords.hash(password("correct horse")).await.unwrap(), "the salt is its own");
        assert_eq!(passwords.verify(password("correct horse"), Some(hash.clone())).await, Ok(true));
        assert_eq!(passwords.verify(password("correct house"), Some(hash)).await, Ok(false));
        assert_eq!(passwords.verify(password("correct horse"), None).await, Ok(false));
    }

    #[tokio::test]
    async fn a_name_without_a_password_costs_as_much_as_one_with() {
        let passwords = Passwords::new();
        let hash = passwords.hash(password("correct horse")).await.unwrap();
        let mut least = [Duration::from_secs(3600), Duration::from_secs(600_000)];
        let alike = |[with, without]: [Duration; 2]| without * 2 > with && with * 2 > without;
        // A busy machine makes some take longer; the least of many comes near to what the work is.
        for _ in 0..100 {
            if alike(least) {
                break;
            }
            for (least, hash) in least.iter_mut().zip([Some(hash.clone()), None]) {
                let begun = Instant::now();
                assert_eq!(passwords.verify(password("wrong horse"), hash).await, Ok(false));
                *least = begun.elapsed().min(*least);
            }
        }
        assert!(alike(least), "with and without: {least:?}");
        let params = |hash: &str| hash.split('$').take(4).map(ToOwned::to_owned).collect::<Vec<_>>();
        assert_eq!(params(&hash), params(NOBODYS));
    }

    #[tokio::test]
    async fn with_too_many_waiting_the_next_is_refused() {
        let passwords = Passwords::new();
        let _turn = passwords.setting.acquire().await.unwrap();
        let waiting = (0..PASSWORDS_WAITING_MAX).map(|_| passwords.place().unwrap()).collect::<Vec<_>>();
        let refused = passwords.hash_in_turn(password("correct horse")).await.unwrap_err();
        assert_eq!((refused.code, refused.reason), (Code::Denied, Some(Reason::Limit)));
        assert!(refused.retry_after_ms.is_some());
        drop(waiting);
    }

    #[test]
    fn a_lock_out_tells_when_to_come_back() {
        let error = locked(Duration::from_millis(59_001));
        assert_eq!(&*error.message, "too many wrong passwords for this name: try again in 1m");
        assert_eq!(error.retry_after_ms, Some(60_000));
    }
}
