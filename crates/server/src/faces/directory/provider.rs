//! What the directory's face is made of.

use std::sync::Arc;
use std::time::Duration;

use aws_lc_rs::digest;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use moka::sync::Cache;
use shorepass_core::{Clock, Random, Timestamp};
use shorepass_identity::{Assertions, DirectoryTokens, Federation, Fetch, GuessLimiter, Passwords, ServerKey};
use shorepass_store::{MetaStore, StoreError};

use super::outside::Outside;
use super::tenants::Tenants;
use super::throttle::Throttle;

/// How long a secret that was right spares its bearer the limits on guessing.
const VERIFIED_LIFE: Duration = Duration::from_secs(600);

/// Device codes, and sign-ins sent to an outside provider, that one source may begin in five minutes.
const BEGINNINGS: u32 = 120;

/// Codes of devices that one source may get wrong in five minutes.
const WRONG_CODES: u32 = 20;

/// The directory's face: one OpenID provider per tenant.
#[derive(Debug)]
pub struct Provider {
    pub(crate) store: Arc<dyn MetaStore>,
    pub(super) secrets: Arc<ServerKey>,
    pub(super) tokens: Arc<DirectoryTokens>,
    pub(super) passwords: Arc<Passwords>,
    pub(super) federation: Arc<Federation>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) random: Arc<dyn Random>,
    pub(super) assertions: Assertions,
    pub(super) limiter: GuessLimiter,
    pub(super) tenants: Tenants,
    pub(super) outside: Outside,
    /// Keyed digests of application and secret that were right lately: they skip the limiter, so that nobody can lock out
    /// who works.
    pub(super) verified: Cache<[u8; 32], ()>,
    /// When a device code was last asked about, by its keyed hash.
    pub(super) polls: Cache<[u8; 32], Timestamp>,
    pub(super) beginnings: Throttle,
    pub(super) wrong_codes: Throttle,
    base: String,
}

/// What a [`Provider`] is made from.
#[derive(Debug)]
pub struct Parts {
    pub store: Arc<dyn MetaStore>,
    /// The key that hashes secrets.
    pub secrets: Arc<ServerKey>,
    pub tokens: Arc<DirectoryTokens>,
    pub passwords: Arc<Passwords>,
    pub federation: Arc<Federation>,
    /// How documents of outside providers are read.
    pub fetch: Arc<dyn Fetch>,
    pub clock: Arc<dyn Clock>,
    pub random: Arc<dyn Random>,
    /// This server's own address, without a slash at the end: what `tokens` was made with.
    pub base: String,
}

impl Provider {
    #[must_use]
    pub fn new(parts: Parts) -> Self {
        let Parts { store, secrets, tokens, passwords, federation, fetch, clock, random, base } = parts;
        Self {
            assertions: Assertions::new(Arc::clone(&clock)),
            limiter: GuessLimiter::new(Arc::clone(&clock)),
            tenants: Tenants::new(Arc::clone(&store)),
            outside: Outside::new(fetch),
            verified: Cache::builder().max_capacity(10_000).time_to_live(VERIFIED_LIFE).build(),
            polls: Cache::builder().max_capacity(100_000).time_to_live(VERIFIED_LIFE).build(),
            beginnings: Throttle::new(BEGINNINGS),
            wrong_codes: Throttle::new(WRONG_CODES),
            store,
            secrets,
            tokens,
            passwords,
            federation,
            clock,
            random,
            base,
        }
    }

    /// The audience of tokens for the management API, and what every issuer's name begins with.
    #[must_use]
    pub fn base(&self) -> &str {
        &self.base
    }

    #[must_use]
    pub fn tokens(&self) -> &DirectoryTokens {
        &self.tokens
    }

    /// Forgets up to a thousand grants that nobody redeemed in time.
    ///
    /// # Errors
    /// The store.
    pub async fn expire_grants(&self) -> Result<i64, StoreError> {
        self.store.expire_grants(self.clock.now(), 1_000).await
    }

    /// 256 random bits, as a URL may hold them.
    pub(super) fn random_text(&self) -> String {
        let mut bytes = [0; 32];
        self.random.fill(&mut bytes);
        URL_SAFE_NO_PAD.encode(bytes)
    }
}

/// BASE64URL(SHA-256(text)): PKCE's S256 (RFC 7636, 4.2).
pub(super) fn s256(text: &str) -> String {
    URL_SAFE_NO_PAD.encode(digest::digest(&digest::SHA256, text.as_bytes()))
}
