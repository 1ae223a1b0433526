//! Authentication: from an `Authorization` header, or a form, to a caller. What the caller may do is decided elsewhere.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::HeaderMap;
use http::header::AUTHORIZATION;
use moka::sync::Cache;
use shorepass_access::policy::PolicyState;
use shorepass_access::{Caller, Ceiling, Directory};
use shorepass_core::directory::ClientProof;
use shorepass_core::{Clock, CredentialKind, Principal, Timestamp, TokenScope};
use shorepass_identity::{Account, Claims, GrantType, GuessLimiter, KeyRing, ServerKey};
use shorepass_store::rows::RegistryRecord;
use uuid::Uuid;

/// The user name that says: the password is a token.
pub const NULL_GUID: &str = "00000000-0000-0000-0000-000000000000";

/// Room for the longest token (16 KiB), also as the password of a Basic credential, where base64 makes it a third longer;
/// what is longer is refused before it is decoded.
const MAX_HEADER: usize = 24 * 1024;

/// How long a password that was verified spares its bearer the limits on guessing.
const VERIFIED_LIFE: Duration = Duration::from_secs(600);

/// A caller, and the end of what proved it.
#[derive(Debug, Clone)]
pub struct Proven {
    pub caller: Caller,
    /// When the token or credential that was shown expires; `None` for a credential that does not.
    pub expires: Option<Timestamp>,
}

impl Proven {
    fn reached_from(mut self, source: Option<IpAddr>) -> Self {
        self.caller.origin = source;
        self
    }

    pub fn anonymous(registry: Arc<RegistryRecord>) -> Self {
        Self { caller: Caller::anonymous(registry), expires: None }
    }
}

/// What is shown besides the secret: for the audit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// What the credential claimed.
    pub claimed: String,
    pub credential: CredentialKind,
    pub reason: String,
    /// Seconds to wait, when it was not even looked at.
    pub limited: Option<u64>,
}

/// Proves credentials.
#[derive(Debug)]
pub struct Authenticator {
    keys: Arc<KeyRing>,
    secrets: Arc<ServerKey>,
    directory: Arc<Directory>,
    clock: Arc<dyn Clock>,
    limiter: GuessLimiter,
    /// Keyed digests of user and password that were right lately. They are verified again all the same (that is one
    /// HMAC); they only skip the limiter, so that nobody can lock out who works.
    verified: Cache<[u8; 32], ()>,
}

impl Authenticator {
    pub fn new(keys: Arc<KeyRing>, secrets: Arc<ServerKey>, directory: Arc<Directory>, clock: Arc<dyn Clock>) -> Self {
        let verified = Cache::builder().max_capacity(10_000).time_to_live(VERIFIED_LIFE).build();
        let limiter = GuessLimiter::new(Arc::clone(&clock));
        Self { keys, secrets, directory, clock, limiter, verified }
    }

    /// Reads the `Authorization` header; none is anonymous.
    ///
    /// # Errors
    /// [`Failure`].
    pub fn header(
        &self,
        headers: &HeaderMap,
        registry: &Arc<RegistryRecord>,
        login_server: &str,
        source: Option<IpAddr>,
    ) -> Result<Proven, Failure> {
        let proven = match Authorization::of(headers)? {
            Authorization::None => Ok(Proven::anonymous(Arc::clone(registry))),
            Authorization::Bearer(token) => self.token(&token, registry, login_server, &[GrantType::AccessToken]),
            Authorization::Basic { user, password } if user.is_empty() && password.is_empty() => {
                Ok(Proven::anonymous(Arc::clone(registry)))
            }
            Authorization::Basic { user, password } => self.password(&user, &password, registry, login_server, source),
        };
        proven.map(|proven| proven.reached_from(source))
    }

    /// A user name and a password: the null GUID with a token, the registry's admin account, a service principal with its
    /// secret, or a repository token with one of its passwords.
    ///
    /// # Errors
    /// [`Failure`]; an unknown user costs and looks the same as a wrong password.
    pub fn password(
        &self,
        user: &str,
        password: &str,
        registry: &Arc<RegistryRecord>,
        login_server: &str,
        source: Option<IpAddr>,
    ) -> Result<Proven, Failure> {
        if user == NULL_GUID {
            let either = [GrantType::RefreshToken, GrantType::AccessToken];
            return self.token(password, registry, login_server, &either);
        }
        let account = Account::new(registry.registry.id, user);
        let fingerprint = self.secrets.hash(&format!("verified\0{}\0{user}\0{password}", registry.registry.id));
        let fail = |reason: &str, limited| Failure {
            claimed: clip(user),
            credential: CredentialKind::AdminPassword,
            reason: reason.to_owned(),
            limited,
        };
        let known = self.verified.contains_key(&fingerprint);
        if let (false, Some(source)) = (known, source) {
            self.limiter
                .check(source, &account)
                .map_err(|wait| fail("too many failed sign-ins", Some(wait.seconds)))?;
        }
        let presented = self.secrets.hash(password);
        let proven = admin(user, &presented, registry).or_else(|| self.of_directory(user, &presented, registry));
        match proven {
            Some(proven) => {
                if let (false, Some(source)) = (known, source) {
                    self.verified.insert(fingerprint, ());
                    self.limiter.succeeded(source, &account);
                }
                Ok(proven.reached_from(source))
            }
            None => {
                if let Some(source) = source {
                    self.limiter.failed(source, &account);
                }
                Err(fail("unknown user or wrong password", None))
            }
        }
    }

    /// A service principal's secret or a repository token's password. An id is looked for among applications, any other
    /// name among the registry's tokens; the secret is compared whether there is one or not.
    fn of_directory(&self, user: &str, presented: &[u8], registry: &Arc<RegistryRecord>) -> Option<Proven> {
        let presented = hex::encode(presented);
        let now = self.clock.now();
        let found = self.directory.policy(|state| match user.parse::<Uuid>() {
            Ok(app_id) => service_principal(state, registry, app_id, &presented, now),
            Err(_) => repository_token(state, registry, user, &presented, now),
        });
        found.ok().flatten()
    }

    /// One of our own tokens, of one of these kinds.
    ///
    /// # Errors
    /// [`Failure`].
    pub fn token(
        &self,
        token: &str,
        registry: &Arc<RegistryRecord>,
        login_server: &str,
        kinds: &[GrantType],
    ) -> Result<Proven, Failure> {
        let mut reason = "not a token".to_owned();
        for kind in kinds {
            match self.keys.verify(token, login_server, *kind) {
                Ok(claims) if claims.shorepass.registry == registry.registry.id => {
                    return Ok(proven(&claims, Arc::clone(registry)));
                }
                Ok(_) => reason = "the token is for another registry".to_owned(),
                Err(shorepass_identity::TokenError::Grant) => {}
                Err(error) => reason = error.to_string(),
            }
        }
        let credential = match kinds {
            [GrantType::AccessToken] => CredentialKind::AccessToken,
            _ => CredentialKind::RefreshToken,
        };
        Err(Failure { claimed: "token".to_owned(), credential, reason, limited: None })
    }
}

/// A caller by a credential of the principal's own.
fn own(
    registry: &Arc<RegistryRecord>,
    principal: Principal,
    (kind, id, epoch): (CredentialKind, Uuid, i64),
    expires: Option<Timestamp>,
) -> Proven {
    let caller = Caller {
        principal,
        credential: kind,
        root: kind,
        root_id: Some(id),
        epoch,
        ..Caller::anonymous(Arc::clone(registry))
    };
    Proven { caller, expires }
}

fn admin(user: &str, presented: &[u8], registry: &Arc<RegistryRecord>) -> Option<Proven> {
    // Both passwords are compared whatever the first comparison, the name and the switch say: the time tells nothing.
    let passwords = registry.admin_passwords.iter();
    let row = passwords.fold(None, |found, row| if same(&row.hash, presented) { Some(row) } else { found });
    let named = user.eq_ignore_ascii_case(registry.registry.name.as_str());
    let row = row.filter(|_| named && registry.registry.settings.admin_enabled)?;
    let principal = Principal::Admin { registry: registry.registry.id };
    let proof = (CredentialKind::AdminPassword, row.id, registry.registry.admin_epoch);
    Some(own(registry, principal, proof, None))
}

fn service_principal(
    state: &PolicyState,
    registry: &Arc<RegistryRecord>,
    app_id: Uuid,
    presented: &str,
    now: Timestamp,
) -> Option<Proven> {
    let here = state.service_principal_by_app(registry.tenant_id, app_id)?;
    let home = state.home_of(here)?;
    let right = state.client_credentials(home.id).find(|credential| {
        let document = &credential.document;
        let in_time = document.start <= now && now < document.expires_at;
        matches!(&document.proof, ClientProof::Secret { hash, .. } if in_time && same(hash.as_bytes(), presented.as_bytes()))
    })?;
    let principal = Principal::ServicePrincipal { id: here.id };
    let epoch = state.epoch(&principal).ok()?;
    let proof = (CredentialKind::ClientSecret, right.id, epoch);
    Some(own(registry, principal, proof, Some(right.document.expires_at)))
}

fn repository_token(
    state: &PolicyState,
    registry: &Arc<RegistryRecord>,
    name: &str,
    presented: &str,
    now: Timestamp,
) -> Option<Proven> {
    let token = state.token_by_name(registry.registry.id, name)?;
    let in_time = |end: Option<Timestamp>| end.is_none_or(|end| now < end);
    let mut passwords = token.document.passwords.iter();
    let right = passwords
        .find(|password| in_time(password.expires_at) && same(password.hash.as_bytes(), presented.as_bytes()))?;
    let principal = Principal::RepositoryToken { registry: registry.registry.id, id: token.id };
    let epoch = state.epoch(&principal).ok()?;
    Some(own(registry, principal, (CredentialKind::TokenPassword, right.id, epoch), right.expires_at))
}

/// Both are keyed digests; still compared in constant time.
fn same(stored: &[u8], presented: &[u8]) -> bool {
    aws_lc_rs::constant_time::verify_slices_are_equal(stored, presented).is_ok()
}

fn proven(claims: &Claims, registry: Arc<RegistryRecord>) -> Proven {
    let binding = &claims.shorepass;
    let ceiling = match &claims.access {
        None => Ceiling::Open,
        Some(access) => Ceiling::Scopes(
            access
                .iter()
                .filter_map(|a| TokenScope::parse(&format!("{}:{}:{}", a.kind, a.name, a.actions.join(","))).ok())
                .collect(),
        ),
    };
    // What a ceiling names is what existed when it was written: its time goes with it down the chain. A refresh token
    // without one names nothing.
    let issued = (ceiling != Ceiling::Open).then(|| Timestamp::from_millis(binding.issued_ms));
    let credential = match claims.grant_type {
        GrantType::RefreshToken => CredentialKind::RefreshToken,
        GrantType::AccessToken => CredentialKind::AccessToken,
    };
    let caller = Caller {
        registry,
        principal: binding.principal.clone(),
        credential,
        root: binding.kind,
        root_id: binding.credential,
        epoch: binding.epoch,
        ceiling,
        issued,
        began: Some(Timestamp::from_millis(binding.issued_ms)),
        origin: None,
    };
    Proven { caller, expires: Some(Timestamp::from_millis(claims.exp.saturating_mul(1000))) }
}

/// An `Authorization` header, read.
#[derive(Clone, PartialEq, Eq)]
pub enum Authorization {
    None,
    Basic { user: String, password: String },
    Bearer(String),
}

impl Authorization {
    /// # Errors
    /// [`Failure`] for what is neither, or too long.
    pub fn of(headers: &HeaderMap) -> Result<Self, Failure> {
        let fail = |reason: &str| Failure {
            claimed: "unknown".to_owned(),
            credential: CredentialKind::None,
            reason: reason.to_owned(),
            limited: None,
        };
        let mut values = headers.get_all(AUTHORIZATION).iter();
        let Some(value) = values.next() else { return Ok(Self::None) };
        if values.next().is_some() {
            return Err(fail("more than one Authorization header"));
        }
        if value.len() > MAX_HEADER {
            return Err(fail("the Authorization header is too long"));
        }
        let (scheme, rest) = value.to_str().ok().and_then(|v| v.split_once(' ')).ok_or_else(|| fail("no scheme"))?;
        let rest = rest.trim();
        if scheme.eq_ignore_ascii_case("bearer") {
            return Ok(Self::Bearer(rest.to_owned()));
        }
        if !scheme.eq_ignore_ascii_case("basic") {
            return Err(fail("the scheme is neither Basic nor Bearer"));
        }
        let decoded = STANDARD.decode(rest).ok().and_then(|bytes| String::from_utf8(bytes).ok());
        let decoded = decoded.ok_or_else(|| fail("the Basic credential is not base64 of text"))?;
        let (user, password) = decoded.split_once(':').ok_or_else(|| fail("the Basic credential has no colon"))?;
        Ok(Self::Basic { user: user.to_owned(), password: password.to_owned() })
    }
}

/// A claimed name as the audit keeps it: short, and of printable characters.
pub fn clip(text: &str) -> String {
    shorepass_core::text::escaped(text, 100)
}
