//! Proving who: secrets and passwords, signing keys, our own tokens and those of outside issuers, certificates, and how
//! often one may guess.

pub mod assertion;
pub mod certificates;
pub mod directory_token;
mod error;
pub mod federation;
mod jose;
mod jws;
pub mod keys;
pub mod limits;
pub mod provider_secret;
pub mod secret;
mod signing;
pub mod tls;
pub mod token;
pub mod users;

pub use assertion::{AssertionError, Assertions, ClientCertificate};
pub use certificates::{Certificate, CertificateError};
pub use directory_token::{
    CONTAINER_REGISTRY_AUDIENCE, DIRECTORY_REFRESH_LIFE, DirectoryTokens, IDENTITY_LIFE, IdentityBinding,
    IdentityClaims, IdentityType, Issued, RefreshClaims, Subject, resource_of_scope,
};
pub use error::{IdentityError, TokenError};
pub use federation::{
    Federation, FederationError, Fetch, FetchError, HttpFetch, IssuerError, SubjectError, Unverified, VerifiedToken,
    check_issuer, check_subject, peek, subject_matches,
};
pub use keys::{KeyInfo, KeyRing};
pub use limits::{Account, GuessLimiter, RetryAfter};
pub use provider_secret::{hide_client_secret, reveal_client_secret};
pub use secret::{ServerKey, new_password};
pub use tls::{SelfSigned, self_signed};
pub use token::{ACCESS_LIFE, Access, Binding, Claims, GrantType, ISSUER, REFRESH_LIFE};
pub use users::{
    INVITATION_LIFE, MAX_PASSWORD_BYTES, MIN_PASSWORD_CHARACTERS, PasswordError, Passwords, check_password,
    new_invitation, password_fingerprint, secret_matches,
};
