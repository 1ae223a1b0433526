//! Proving who: secrets, signing keys, registry tokens, certificates, and how often one may guess.

mod error;
mod jws;
pub mod keys;
pub mod limits;
pub mod secret;
mod signing;
pub mod tls;
pub mod token;

pub use error::{IdentityError, TokenError};
pub use keys::{KeyInfo, KeyRing};
pub use limits::{Account, GuessLimiter, RetryAfter};
pub use secret::{ServerKey, new_password};
pub use tls::{SelfSigned, self_signed};
pub use token::{ACCESS_LIFE, Access, Binding, Claims, GrantType, ISSUER, REFRESH_LIFE};
