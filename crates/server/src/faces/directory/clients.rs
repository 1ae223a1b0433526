//! Applications and managed identities that prove themselves: by secret, by certificate, or by a trusted issuer's token.

use std::sync::Arc;

use shorepass_access::policy::{PolicyState, Proof};
use shorepass_core::directory::{ClientCredential, ClientProof, FederatedCredential, Issuer};
use shorepass_core::{CredentialKind, Principal, Timestamp};
use shorepass_identity::{Account, Subject, VerifiedToken, peek, subject_matches};
use shorepass_store::resources::Resource;
use shorepass_store::rows::TenantRow;
use uuid::Uuid;

use super::asking::Asking;
use super::error::OAuthError;
use crate::auth::Authorization;
use crate::call::Query;

const JWT_BEARER: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";

/// How a client proves itself.
enum Shown {
    Secret(String),
    Assertion(String),
}

/// What a client id stands for in a tenant.
struct Application {
    principal: Principal,
    display_name: String,
    /// Its epoch, or why it is none of the living.
    standing: Result<i64, &'static str>,
    /// Whose credentials count: for an application of another tenant, its presence there.
    owner: Uuid,
    /// The tenant that owner is of.
    home: Uuid,
}

/// What proved an application.
struct Proved {
    credential: Uuid,
    kind: CredentialKind,
    /// Its end, where it has one.
    ends: Option<Timestamp>,
}

/// Proves the client of a token request (RFC 6749, 2.3; RFC 7521).
pub async fn authenticate(call: &Asking, form: &Query) -> Result<Subject, OAuthError> {
    let tenant = call.one_tenant()?;
    let (client_id, shown) = shown(call, form)?;
    let kind = match &shown {
        Shown::Secret(_) => CredentialKind::ClientSecret,
        Shown::Assertion(token) if peek(token).is_ok_and(|claims| claims.issuer.eq_ignore_ascii_case(&client_id)) => {
            CredentialKind::Certificate
        }
        Shown::Assertion(_) => CredentialKind::FederatedToken,
    };
    let application = call.policy(|state| Application::find(state, tenant, &client_id))?;
    let proved = match (&shown, kind) {
        (Shown::Secret(secret), _) => by_secret(call, tenant, &client_id, application.as_ref(), secret),
        (Shown::Assertion(token), CredentialKind::Certificate) => {
            by_certificate(call, tenant, application.as_ref(), token)
        }
        (Shown::Assertion(token), _) => by_federation(call, tenant, application.as_ref(), token).await,
    };
    let proved = proved.inspect_err(|error| {
        if error.retry_after.is_none() {
            call.sign_in_failed(&client_id, kind, &error.message);
        }
    })?;
    // Whoever is not known has proved nothing above.
    let application = application.ok_or_else(OAuthError::wrong_secret)?;
    application.subject(call, tenant, client_id, &proved)
}

/// A principal that one of the tenant's trusted issuers speaks for, by its token alone (RFC 8693).
pub async fn by_subject_token(call: &Asking, client_id: &str, token: &str) -> Result<Subject, OAuthError> {
    let tenant = call.one_tenant()?;
    let application = call.policy(|state| Application::find(state, tenant, client_id))?;
    let proved = by_federation(call, tenant, application.as_ref(), token).await.inspect_err(|error| {
        call.sign_in_failed(client_id, CredentialKind::FederatedToken, &error.message);
    })?;
    let application = application.ok_or_else(no_record)?;
    application.subject(call, tenant, client_id.to_owned(), &proved)
}

/// Whether the principal, its credential and its epoch still are what they were.
pub fn check_alive(call: &Asking, who: &Subject) -> Result<(), OAuthError> {
    let proof = Proof { epoch: who.epoch, root: who.kind, root_id: who.credential };
    call.policy(|state| state.alive(&who.principal, &proof))?.map_err(|reason| {
        call.sign_in_failed(&who.principal.id(), who.kind, reason);
        OAuthError::revoked()
    })
}

fn shown(call: &Asking, form: &Query) -> Result<(String, Shown), OAuthError> {
    let given = |name: &str| form.get(name).filter(|value| !value.is_empty());
    let header = Authorization::of(&call.headers).map_err(|failure| OAuthError::invalid_request(failure.reason))?;
    let in_form = (given("client_secret"), given("client_assertion"));
    match (header, in_form) {
        (Authorization::Basic { user, password }, (None, None)) => {
            let (user, password) = (decoded(&user), decoded(&password));
            if given("client_id").is_some_and(|id| !id.eq_ignore_ascii_case(&user)) {
                return Err(OAuthError::invalid_request("`client_id` is not the user of the Authorization header."));
            }
            Ok((user.to_ascii_lowercase(), Shown::Secret(password)))
        }
        (Authorization::None, (Some(secret), None)) => Ok((client_id(form)?, Shown::Secret(secret.to_owned()))),
        (Authorization::None, (None, Some(assertion))) => {
            if form.get("client_assertion_type") != Some(JWT_BEARER) {
                return Err(OAuthError::invalid_request(format!("`client_assertion_type` must be `{JWT_BEARER}`.")));
            }
            Ok((client_id(form)?, Shown::Assertion(assertion.to_owned())))
        }
        (Authorization::None, (None, None)) => Err(OAuthError::missing("client_secret` or `client_assertion")),
        _ => Err(OAuthError::invalid_request("The application may prove itself in one way only.")),
    }
}

/// The client id: a GUID, in the one spelling that names it.
pub fn client_id(form: &Query) -> Result<String, OAuthError> {
    let id = form.get("client_id").filter(|id| !id.is_empty()).ok_or_else(|| OAuthError::missing("client_id"))?;
    Ok(id.to_ascii_lowercase())
}

/// User and password of a Basic header are form-encoded before they are joined (RFC 6749, 2.3.1).
fn decoded(text: &str) -> String {
    let pair = format!("v={text}");
    // A `&` or a `=` that was not encoded stays what it was.
    let encoded = pair.replacen('&', "%26", usize::MAX);
    url::form_urlencoded::parse(encoded.as_bytes()).next().map_or_else(String::new, |(_, value)| value.into_owned())
}

impl Application {
    fn find(state: &PolicyState, tenant: &TenantRow, client_id: &str) -> Option<Self> {
        let id = Uuid::try_parse(client_id).ok().filter(|_| client_id.len() == 36)?;
        if let Some(present) = state.service_principal_by_app(tenant.id, id) {
            let home = state.home_of(present)?;
            let principal = Principal::ServicePrincipal { id: present.id };
            return Some(Self {
                display_name: present.document.display_name.clone(),
                standing: state.epoch(&principal),
                principal,
                owner: home.id,
                home: home.parent,
            });
        }
        let identity = state.managed_identity_by_client_id(id).filter(|identity| identity.parent == tenant.id)?;
        let principal = Principal::ManagedIdentity { id: identity.id };
        Some(Self {
            display_name: identity.name.clone(),
            standing: state.epoch(&principal),
            principal,
            owner: identity.id,
            home: tenant.id,
        })
    }

    /// Whom a token speaks for. That the application is disabled is said to nobody but who has proved to be it.
    fn subject(
        &self,
        call: &Asking,
        tenant: &TenantRow,
        client_id: String,
        proved: &Proved,
    ) -> Result<Subject, OAuthError> {
        let epoch = self.standing.map_err(|reason| {
            call.sign_in_failed(&self.principal.id(), proved.kind, reason);
            OAuthError::disabled_client()
        })?;
        let who = Subject {
            tenant: tenant.guid,
            principal: self.principal.clone(),
            client_id,
            user_name: None,
            display_name: Some(self.display_name.clone()),
            credential: Some(proved.credential),
            kind: proved.kind,
            epoch,
            not_after: proved.ends,
        };
        check_alive(call, &who)?;
        call.signed_in(&who);
        Ok(who)
    }
}

fn credentials(
    call: &Asking,
    application: Option<&Application>,
) -> Result<Vec<Arc<Resource<ClientCredential>>>, OAuthError> {
    let Some(application) = application else { return Ok(Vec::new()) };
    call.policy(|state| state.client_credentials(application.owner).map(Arc::clone).collect())
}

fn by_secret(
    call: &Asking,
    tenant: &TenantRow,
    client_id: &str,
    application: Option<&Application>,
    secret: &str,
) -> Result<Proved, OAuthError> {
    let provider = call.provider();
    let account = Account::new(tenant.id, client_id);
    let fingerprint = provider.secrets.hash(&format!("client\0{}\0{client_id}\0{secret}", tenant.id));
    let known = provider.verified.contains_key(&fingerprint);
    let source = call.origin.peer.filter(|_| !known);
    if let Some(source) = source {
        let waited = provider.limiter.check(source, &account);
        waited.map_err(|wait| call.limited(client_id, CredentialKind::ClientSecret, wait.seconds))?;
    }
    match matching_secret(call, application, secret)? {
        Some(credential) => {
            provider.verified.insert(fingerprint, ());
            if let Some(source) = source {
                provider.limiter.succeeded(source, &account);
            }
            let document = &credential.document;
            if document.expires_at <= provider.clock.now() {
                return Err(OAuthError::invalid_client(
                    7_000_222,
                    "The client secret has expired. `shorepass sp credential reset` makes a new one.",
                ));
            }
            Ok(Proved {
                credential: credential.id,
                kind: CredentialKind::ClientSecret,
                ends: Some(document.expires_at),
            })
        }
        None => {
            if let Some(source) = source {
                provider.limiter.failed(source, &account);
            }
            Err(OAuthError::wrong_secret())
        }
    }
}

/// The credential with this secret. All are compared, and for nobody something is: the time tells nothing.
fn matching_secret(
    call: &Asking,
    application: Option<&Application>,
    secret: &str,
) -> Result<Option<Arc<Resource<ClientCredential>>>, OAuthError> {
    let provider = call.provider();
    let now = provider.clock.now();
    let _nobody = provider.secrets.verify(secret, &[0; 32]);
    let mut found = None;
    for credential in credentials(call, application)? {
        let ClientProof::Secret { hash, .. } = &credential.document.proof else { continue };
        let right = hex::decode(hash).is_ok_and(|hash| provider.secrets.verify(secret, &hash));
        if right && credential.document.start <= now {
            found = Some(credential);
        }
    }
    Ok(found)
}

fn by_certificate(
    call: &Asking,
    tenant: &TenantRow,
    application: Option<&Application>,
    assertion: &str,
) -> Result<Proved, OAuthError> {
    // In the application's own spelling: it is compared letter by letter.
    let client_id = peek(assertion)?.issuer;
    let credentials = credentials(call, application)?;
    let registered = credentials.iter().map(|credential| (credential.id, &credential.document));
    let audiences = token_endpoints(call, tenant);
    let audiences: Vec<&str> = audiences.iter().map(String::as_str).collect();
    let credential = call.provider().assertions.verify(assertion, &client_id, &audiences, registered)?;
    let ends = credentials.iter().find(|one| one.id == credential).map(|one| one.document.expires_at);
    Ok(Proved { credential, kind: CredentialKind::Certificate, ends })
}

/// The names of this tenant's token endpoint: by our own address and by the one that was reached, by GUID and by name.
fn token_endpoints(call: &Asking, tenant: &TenantRow) -> Vec<String> {
    let mut endpoints = Vec::new();
    for base in [call.base.as_str(), call.provider().base()] {
        for segment in [tenant.guid.to_string(), tenant.name.clone()] {
            endpoints.push(format!("{base}/{segment}/oauth2/v2.0/token"));
        }
    }
    endpoints
}

/// A token of an issuer that the application's home trusts, for whom one of its federated credentials means.
async fn by_federation(
    call: &Asking,
    tenant: &TenantRow,
    application: Option<&Application>,
    token: &str,
) -> Result<Proved, OAuthError> {
    let claims = peek(token)?;
    let home = application.map_or(tenant.id, |application| application.home);
    let issuer: Option<Arc<Resource<Issuer>>> =
        call.policy(|state| state.issuer_by_iss(home, &claims.issuer).map(Arc::clone))?;
    let Some(issuer) = issuer else {
        return Err(OAuthError::invalid_client(700_211, "The token's issuer is not one that this tenant trusts."));
    };
    // For whom it is meant is compared below, with what is proved: a forged token learns nothing of our rules.
    let audiences: Vec<&str> = claims.audience.iter().map(String::as_str).collect();
    let verified = call.provider().federation.verify(&issuer.document, token, &audiences).await?;
    let rules: Vec<Arc<Resource<FederatedCredential>>> = match application {
        Some(application) => {
            call.policy(|state| state.federated_credentials(application.owner).map(Arc::clone).collect())?
        }
        None => Vec::new(),
    };
    let rule = rules.iter().find(|rule| means(&rule.document, &verified)).ok_or_else(no_record)?;
    Ok(Proved { credential: rule.id, kind: CredentialKind::FederatedToken, ends: None })
}

fn means(rule: &FederatedCredential, token: &VerifiedToken) -> bool {
    rule.issuer == token.issuer
        && token.audience.contains(&rule.audience)
        && subject_matches(&rule.subject, &token.subject)
}

fn no_record() -> OAuthError {
    OAuthError::invalid_client(
        700_213,
        "The application has no federated credential for this token: issuer, subject and audience must be exactly those \
         of one.",
    )
}
