//! The ring of signing keys: one signs, all published ones verify, and every server of one database has the same.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use aws_lc_rs::digest;
use moka::policy::EvictionPolicy;
use moka::sync::Cache;
use serde::Serialize;
use shorepass_core::{Clock, Random, Timestamp};
use shorepass_store::MetaStore;

use crate::jws::{self, MAX_TOKEN_BYTES};
use crate::signing::{self, Algorithm, Key};
use crate::token::{Claims, GrantType, ISSUER, REFRESH_LIFE, VERSION};
use crate::{IdentityError, TokenError};

/// How long a new key is published before it signs: every server (and whoever reads our key set) must have met it by
/// then. Servers call [`KeyRing::refresh`] far more often than this.
pub const OVERLAP: Duration = Duration::from_secs(5 * 60);

/// How much longer than the longest token an old key is accepted: for a server that went on signing with it because it
/// could not read the store.
const RETIRE_MARGIN: Duration = Duration::from_secs(10 * 60);

/// How far the clocks of two servers may differ before the tokens of one are refused by the other as not yet valid.
pub(crate) const LEEWAY_SECONDS: i64 = 5;

/// Bound of the memory for verified tokens, in bytes of token text and an allowance for the claims made of it.
const CACHE_BYTES: u64 = 64 * 1024 * 1024;

/// The keys that sign and verify the tokens of every registry of this server.
#[derive(Debug)]
pub struct KeyRing {
    store: Arc<dyn MetaStore>,
    clock: Arc<dyn Clock>,
    random: Arc<dyn Random>,
    algorithm: Algorithm,
    keys: RwLock<Arc<Keys>>,
    /// Held while the store is read, so that an older reading never replaces a newer one.
    reading: tokio::sync::Mutex<()>,
    verified: Cache<[u8; 32], Arc<Verified>>,
    hits: AtomicU64,
    misses: AtomicU64,
}

/// A reading of the store.
#[derive(Debug, Default)]
struct Keys {
    /// Oldest first.
    ordered: Vec<Arc<Key>>,
    by_id: HashMap<String, Arc<Key>>,
}

/// A token whose signature was right. Everything that can change meanwhile is looked at again on every use.
#[derive(Debug)]
struct Verified {
    kid: String,
    claims: Arc<Claims>,
}

/// A key as an operator sees it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct KeyInfo {
    pub kid: String,
    pub algorithm: String,
    pub created_at: Timestamp,
    /// From when on it signs.
    pub active_at: Timestamp,
    /// From when on it is refused; `None` for the newest.
    pub retired_at: Option<Timestamp>,
}

impl KeyRing {
    /// Reads the keys; makes the first one when there is none. When the newest key is of another algorithm than
    /// `algorithm`, one of this algorithm is made and takes over as with [`rotate`](Self::rotate).
    ///
    /// # Errors
    /// The store's; [`IdentityError::UnknownAlgorithm`]; a key that cannot be made.
    pub async fn load(
        store: Arc<dyn MetaStore>,
        clock: Arc<dyn Clock>,
        random: Arc<dyn Random>,
        algorithm: &str,
    ) -> Result<Self, IdentityError> {
        let verified = Cache::builder()
            .max_capacity(CACHE_BYTES)
            .weigher(|_, verified: &Arc<Verified>| verified.weight())
            .eviction_policy(EvictionPolicy::lru())
            .time_to_live(REFRESH_LIFE)
            .build();
        let ring = Self {
            store,
            clock,
            random,
            algorithm: algorithm.parse()?,
            keys: RwLock::default(),
            reading: tokio::sync::Mutex::default(),
            verified,
            hits: AtomicU64::new(0),
            misses: AtomicU64::new(0),
        };
        ring.refresh().await?;
        match ring.current().newest() {
            None => ring.make_first().await?,
            Some(newest) if newest.algorithm != ring.algorithm => ring.rotate().await?,
            Some(_) => {}
        }
        if ring.current().ordered.is_empty() { Err(IdentityError::NoKey) } else { Ok(ring) }
    }

    async fn make_first(&self) -> Result<(), IdentityError> {
        let now = self.clock.now();
        self.add(now, now, true).await
    }

    /// Reads the keys again: other servers rotate too. When the store cannot be read the keys stay as they are.
    ///
    /// # Errors
    /// The store's.
    pub async fn refresh(&self) -> Result<(), IdentityError> {
        let _reading = self.reading.lock().await;
        let rows = self.store.signing_keys(self.clock.now()).await?;
        let mut keys = Keys::default();
        for row in rows {
            let kid = row.kid.clone();
            match Key::load(row) {
                Ok(key) => keys.push(key),
                // One key a newer version wrote, or that rotted, must not take the others down.
                Err(error) => tracing::error!(%kid, %error, "a signing key is left out"),
            }
        }
        *self.keys.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(keys);
        Ok(())
    }

    /// Makes a new key: published now, signing after [`OVERLAP`]. The others are accepted until the last token they
    /// signed has expired.
    ///
    /// # Errors
    /// The store's, or a key that cannot be made.
    pub async fn rotate(&self) -> Result<(), IdentityError> {
        let active_at = self.clock.now().plus(OVERLAP);
        self.add(active_at, active_at.plus(REFRESH_LIFE).plus(RETIRE_MARGIN), false).await
    }

    /// For a key that leaked: makes a new key that signs at once and ends the key it replaces at once, here now and on
    /// other servers with their next [`refresh`](Self::refresh). Everybody has to sign in again. Keys that an earlier
    /// rotation is phasing out keep the end it gave them.
    ///
    /// # Errors
    /// The store's, or a key that cannot be made.
    pub async fn rotate_now(&self) -> Result<(), IdentityError> {
        let now = self.clock.now();
        self.add(now, now, false).await
    }

    async fn add(
        &self,
        active_at: Timestamp,
        retire_others_at: Timestamp,
        only_if_none: bool,
    ) -> Result<(), IdentityError> {
        let (algorithm, now) = (self.algorithm, self.clock.now());
        let mut serial = [0; 16];
        self.random.fill(&mut serial);
        serial[0] = serial[0] & 0x3f | 0x40;
        let row = tokio::task::spawn_blocking(move || signing::generate(algorithm, serial, now, active_at))
            .await
            .map_err(|error| IdentityError::Making(error.to_string()))??;
        let kid = row.kid.clone();
        if self.store.add_signing_key(&row, retire_others_at, only_if_none).await? {
            tracing::info!(%kid, algorithm = algorithm.as_str(), %active_at, "made a signing key");
        }
        self.refresh().await
    }

    /// A token of these claims.
    ///
    /// # Errors
    /// [`TokenError::TooLong`] for more claims than fit 16 KiB; [`TokenError::Signing`].
    pub fn sign(&self, claims: &Claims) -> Result<String, TokenError> {
        self.sign_payload(jws::TYPE_JWT, &claims.to_payload().map_err(|_| TokenError::Signing)?)
    }

    /// A token of this type with this payload. Who adds a type, or another kind of payload under one, makes sure that no
    /// reader of another kind takes it for its own.
    pub(crate) fn sign_payload(&self, typ: &str, payload: &str) -> Result<String, TokenError> {
        let keys = self.current();
        let key = keys.signer(self.clock.now()).ok_or(TokenError::Signing)?;
        let input = jws::signing_input(typ, key.algorithm.as_str(), &key.kid, payload)?;
        let signature = key.sign(input.as_bytes())?;
        jws::append_signature(input, &signature)
    }

    /// The payload of a token of this type, if one of our keys signed it. Nothing in it is checked.
    pub(crate) fn verify_payload(&self, typ: &str, token: &str) -> Result<Vec<u8>, TokenError> {
        if token.len() > MAX_TOKEN_BYTES {
            return Err(TokenError::TooLong);
        }
        Ok(verify_signature(&self.current(), typ, token, self.clock.now())?.1)
    }

    /// The claims, if the token is ours, of this kind, for this audience, and valid now.
    ///
    /// The key comes from our ring by `kid` and brings its algorithm; nothing else in the header is believed. What a
    /// signature cannot tell (whether the principal, its credential or the repository is still there) is the caller's to
    /// check.
    ///
    /// # Errors
    /// Why not. After [`TokenError::UnknownKey`] a [`refresh`](Self::refresh) may help, once.
    pub fn verify(&self, token: &str, audience: &str, grant: GrantType) -> Result<Arc<Claims>, TokenError> {
        if token.len() > MAX_TOKEN_BYTES {
            return Err(TokenError::TooLong);
        }
        let now = self.clock.now();
        let keys = self.current();
        let digest = sha256(token);
        let verified = match self.verified.get(&digest) {
            Some(verified) => {
                keys.live(&verified.kid, now)?;
                self.hits.fetch_add(1, Ordering::Relaxed);
                verified
            }
            None => {
                self.misses.fetch_add(1, Ordering::Relaxed);
                let (kid, payload) = verify_signature(&keys, jws::TYPE_JWT, token, now)?;
                let claims: Claims = serde_json::from_slice(&payload).map_err(|_| TokenError::Malformed)?;
                let verified = Arc::new(Verified { kid, claims: Arc::new(claims) });
                self.verified.insert(digest, Arc::clone(&verified));
                verified
            }
        };
        check(&verified.claims, audience, grant, now)?;
        Ok(Arc::clone(&verified.claims))
    }

    /// How often a token was, and was not, found among those verified before.
    #[must_use]
    pub fn cache_counts(&self) -> (u64, u64) {
        (self.hits.load(Ordering::Relaxed), self.misses.load(Ordering::Relaxed))
    }

    /// The public keys (RFC 7517), the one that signs next included.
    #[must_use]
    pub fn jwks(&self) -> serde_json::Value {
        let keys: Vec<_> = self.live().iter().map(|key| key.jwk()).collect();
        serde_json::json!({ "keys": keys })
    }

    /// The certificates of all published keys, for `rootcertbundle` of a CNCF distribution.
    #[must_use]
    pub fn certificates_pem(&self) -> String {
        self.live().iter().map(|key| key.certificate_pem()).collect()
    }

    /// All published keys, oldest first.
    #[must_use]
    pub fn list(&self) -> Vec<KeyInfo> {
        self.live().iter().map(|key| key.info()).collect()
    }

    fn live(&self) -> Vec<Arc<Key>> {
        let now = self.clock.now();
        self.current().ordered.iter().filter(|key| key.is_live(now)).cloned().collect()
    }

    fn current(&self) -> Arc<Keys> {
        Arc::clone(&self.keys.read().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Keys {
    fn push(&mut self, key: Key) {
        let key = Arc::new(key);
        self.by_id.insert(key.kid.clone(), Arc::clone(&key));
        self.ordered.push(key);
    }

    fn newest(&self) -> Option<&Arc<Key>> {
        self.ordered.iter().max_by_key(|key| (key.active_at, &key.kid))
    }

    /// The key that took over last. When all are still to come (our clock is behind the server's that made the first
    /// one), the first to come.
    fn signer(&self, now: Timestamp) -> Option<&Arc<Key>> {
        let live = || self.ordered.iter().filter(|key| key.is_live(now));
        live()
            .filter(|key| key.active_at <= now)
            .max_by_key(|key| (key.active_at, &key.kid))
            .or_else(|| live().min_by_key(|key| (key.active_at, &key.kid)))
    }

    fn live(&self, kid: &str, now: Timestamp) -> Result<&Arc<Key>, TokenError> {
        self.by_id.get(kid).filter(|key| key.is_live(now)).ok_or(TokenError::UnknownKey)
    }
}

impl Key {
    fn info(&self) -> KeyInfo {
        KeyInfo {
            kid: self.kid.clone(),
            algorithm: self.algorithm.as_str().to_owned(),
            created_at: self.created_at,
            active_at: self.active_at,
            retired_at: self.retired_at,
        }
    }
}

impl Verified {
    /// About what it occupies: fixed parts, and the scopes with their small allocations.
    fn weight(&self) -> u32 {
        let scopes = self.claims.access.iter().flatten();
        let texts = scopes.map(|access| 160 + access.name.len() + 48 * access.actions.len()).sum::<usize>();
        u32::try_from(640 + texts).unwrap_or(u32::MAX)
    }
}

/// The key's id and the payload.
fn verify_signature(keys: &Keys, typ: &str, token: &str, now: Timestamp) -> Result<(String, Vec<u8>), TokenError> {
    let parts = jws::split(typ, token)?;
    let key = keys.live(&parts.header.kid, now)?;
    if parts.header.alg != key.algorithm.as_str() {
        return Err(TokenError::Malformed);
    }
    key.verify(parts.signed.as_bytes(), &parts.signature)?;
    Ok((parts.header.kid, jws::decode(parts.payload)?))
}

fn check(claims: &Claims, audience: &str, grant: GrantType, now: Timestamp) -> Result<(), TokenError> {
    let latest_start = now.seconds().saturating_add(LEEWAY_SECONDS);
    if claims.iss != ISSUER || claims.version != VERSION {
        Err(TokenError::Issuer)
    } else if claims.aud != audience {
        Err(TokenError::Audience)
    } else if claims.grant_type != grant {
        Err(TokenError::Grant)
    } else if claims.exp <= now.seconds() {
        Err(TokenError::Expired)
    } else if claims.nbf > latest_start || claims.iat > latest_start {
        Err(TokenError::NotYet)
    } else {
        Ok(())
    }
}

fn sha256(token: &str) -> [u8; 32] {
    let mut bytes = [0; 32];
    bytes.copy_from_slice(digest::digest(&digest::SHA256, token.as_bytes()).as_ref());
    bytes
}
