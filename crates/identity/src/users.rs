//! People's own passwords, and the invitations that let them choose one.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use argon2::password_hash::{PasswordHasher as _, PasswordVerifier as _};
use argon2::{Algorithm, Argon2, Params, Version};
use shorepass_core::directory::Secret;
use shorepass_core::{Random, Timestamp};
use tokio::sync::Semaphore;
use uuid::Uuid;
use zeroize::Zeroizing;

use crate::{ServerKey, new_password};

pub const MIN_PASSWORD_CHARACTERS: usize = 12;

/// Beyond that a password is an attack on the hash function.
pub const MAX_PASSWORD_BYTES: usize = 1024;

/// How long an invitation can be accepted.
pub const INVITATION_LIFE: Duration = Duration::from_secs(7 * 24 * 60 * 60);

/// 19 MiB, two passes, one lane: OWASP's first choice for argon2id; about 30 ms.
const MEMORY_KIB: u32 = 19 * 1024;
const PASSES: u32 = 2;

/// At most this much memory (times 19 MiB) and this many cores go into passwords.
const MAX_AT_ONCE: usize = 4;

/// Who waits here waits about half a second on two cores; who would wait longer is told to come back.
const QUEUE: usize = 32;

const SALT_BYTES: usize = 16;

#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PasswordError {
    /// 503 with `Retry-After: 1`.
    #[error("too many people are signing in at this moment; try again in a second")]
    Busy,
    #[error("the password is too short; use at least {MIN_PASSWORD_CHARACTERS} characters")]
    TooShort,
    #[error("the password is too long; use at most {MAX_PASSWORD_BYTES} bytes")]
    TooLong,
    /// For the log.
    #[error("the password could not be hashed")]
    Hashing,
}

/// Hashes and verifies passwords with argon2id: off the async workers, a few at a time, with a short queue.
///
/// A password for which there is no hash costs what any other costs, so that the time tells nobody who exists.
pub struct Passwords {
    random: Arc<dyn Random>,
    slots: Arc<Semaphore>,
    waiting: AtomicUsize,
    queue: usize,
    /// The hash of a password that nobody knows.
    nobody: String,
}

impl fmt::Debug for Passwords {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Passwords(..)")
    }
}

impl Passwords {
    /// # Errors
    /// [`PasswordError::Hashing`], if argon2 does not work at all here.
    pub fn new(random: Arc<dyn Random>) -> Result<Self, PasswordError> {
        let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        Self::with_limits(random, cores.min(MAX_AT_ONCE), QUEUE)
    }

    fn with_limits(random: Arc<dyn Random>, at_once: usize, queue: usize) -> Result<Self, PasswordError> {
        let nobody = hash(&Zeroizing::new(new_password(&*random)), &salt(&*random))?;
        Ok(Self { random, slots: Arc::new(Semaphore::new(at_once)), waiting: AtomicUsize::new(0), queue, nobody })
    }

    /// The hash to store of a new password, in PHC form.
    ///
    /// # Errors
    /// Against the rules of [`check_password`], [`PasswordError::Busy`], or [`PasswordError::Hashing`].
    pub async fn hash(&self, password: &str) -> Result<String, PasswordError> {
        check_password(password)?;
        let (password, salt) = (Zeroizing::new(password.to_owned()), salt(&*self.random));
        self.run(move || hash(&password, &salt)).await?
    }

    /// Whether this is the password that `stored` is the hash of. `None`, for a user who does not exist or has no
    /// password, takes as long and is never true.
    ///
    /// # Errors
    /// [`PasswordError::Busy`], or [`PasswordError::Hashing`].
    pub async fn verify(&self, password: &str, stored: Option<&str>) -> Result<bool, PasswordError> {
        if password.len() > MAX_PASSWORD_BYTES {
            // No stored password is that long; it would be the same for everybody.
            return Ok(false);
        }
        let known = stored.is_some();
        let stored = stored.unwrap_or(&self.nobody).to_owned();
        let password = Zeroizing::new(password.to_owned());
        let matches = self.run(move || verify(&password, &stored)).await??;
        Ok(matches && known)
    }

    /// Dropping the future gives up the place in the queue; a hash that has begun ends, and keeps its slot until then.
    async fn run<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> Result<T, PasswordError> {
        let slot = match Arc::clone(&self.slots).try_acquire_owned() {
            Ok(slot) => slot,
            Err(_) => {
                let _place = Place::take(&self.waiting, self.queue).ok_or(PasswordError::Busy)?;
                Arc::clone(&self.slots).acquire_owned().await.map_err(|_| PasswordError::Hashing)?
            }
        };
        tokio::task::spawn_blocking(move || {
            let _slot = slot;
            work()
        })
        .await
        .map_err(|_| PasswordError::Hashing)
    }
}

/// A place in the queue, given back when dropped.
struct Place<'a>(&'a AtomicUsize);

impl<'a> Place<'a> {
    fn take(waiting: &'a AtomicUsize, limit: usize) -> Option<Self> {
        let place = Self(waiting);
        (waiting.fetch_add(1, Ordering::SeqCst) < limit).then_some(place)
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

/// The rules for a password somebody chooses: its length, and nothing about its characters (NIST SP 800-63B, 3.1.1.2).
///
/// # Errors
/// [`PasswordError::TooShort`] and [`PasswordError::TooLong`].
pub fn check_password(password: &str) -> Result<(), PasswordError> {
    if password.len() > MAX_PASSWORD_BYTES {
        Err(PasswordError::TooLong)
    } else if password.chars().count() < MIN_PASSWORD_CHARACTERS {
        Err(PasswordError::TooShort)
    } else {
        Ok(())
    }
}

/// Under what to remember that a password was right, so that the next request need not hash it. A new password of the
/// user has another.
#[must_use]
pub fn password_fingerprint(key: &ServerKey, user: Uuid, stored_hash: &str, password: &str) -> [u8; 32] {
    // A PHC text holds no NUL, so the parts cannot be cut elsewhere.
    key.hash(&Zeroizing::new(format!("user password\0{user}\0{stored_hash}\0{password}")))
}

/// An invitation: the secret, which is shown once, and what to store of it. In a link it belongs behind `#`, which no
/// server logs.
#[must_use]
pub fn new_invitation(key: &ServerKey, random: &dyn Random, now: Timestamp) -> (String, Secret) {
    let secret = new_password(random);
    let stored = Secret { hash: hex::encode(key.hash(&secret)), expires_at: Some(now.plus(INVITATION_LIFE)) };
    (secret, stored)
}

/// Whether `presented` is the secret that `stored` is the hash of, and has not ended.
#[must_use]
pub fn secret_matches(key: &ServerKey, stored: &Secret, presented: &str, now: Timestamp) -> bool {
    let ended = stored.expires_at.is_some_and(|end| end <= now);
    !ended && hex::decode(&stored.hash).is_ok_and(|hash| key.verify(presented, &hash))
}

fn salt(random: &dyn Random) -> [u8; SALT_BYTES] {
    let mut salt = [0; SALT_BYTES];
    random.fill(&mut salt);
    salt
}

fn argon2id() -> Result<Argon2<'static>, PasswordError> {
    let params = Params::new(MEMORY_KIB, PASSES, 1, None).map_err(|_| PasswordError::Hashing)?;
    Ok(Argon2::new(Algorithm::Argon2id, Version::V0x13, params))
}

fn hash(password: &str, salt: &[u8]) -> Result<String, PasswordError> {
    let hash = argon2id()?.hash_password_with_salt(password.as_bytes(), salt).map_err(|_| PasswordError::Hashing)?;
    Ok(hash.to_string())
}

/// With the parameters that the hash was made with.
fn verify(password: &str, stored: &str) -> Result<bool, PasswordError> {
    use argon2::password_hash::Error;
    match argon2id()?.verify_password(password.as_bytes(), stored) {
        Ok(()) => Ok(true),
        Err(Error::PasswordInvalid) => Ok(false),
        Err(error) => {
            tracing::error!(%error, "a stored password hash is unreadable");
            Err(PasswordError::Hashing)
        }
    }
}

#[cfg(test)]
mod tests;
