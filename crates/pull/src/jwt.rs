//! What a client may read of a token: when it ends. Nothing is verified; that is the server's affair.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Deserialize;
use shorepass_core::Timestamp;

#[derive(Deserialize)]
struct Claims {
    sub: Option<String>,
    exp: Option<f64>,
    #[serde(default)]
    access: Vec<Access>,
}

#[derive(Deserialize)]
struct Access {
    actions: Vec<String>,
}

fn claims(token: &str) -> Option<Claims> {
    let payload = token.split('.').nth(1)?;
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(payload.trim_end_matches('=')).ok()?).ok()
}

/// The `exp` claim of a JWT (RFC 7519, section 4.1.4); `None` when the text is no JWT or has none.
#[must_use]
pub fn expiry(token: &str) -> Option<Timestamp> {
    let seconds = claims(token)?.exp.filter(|exp| exp.is_finite())?;
    // NumericDate may have a fraction; the cast saturates, and an end beyond i64 is as good as that.
    Some(Timestamp::from_millis((seconds * 1000.0) as i64))
}

/// The `sub` claim of a JWT.
#[must_use]
pub fn subject(token: &str) -> Option<String> {
    claims(token)?.sub
}

/// A claim that is a text.
#[must_use]
pub fn text(token: &str, claim: &str) -> Option<String> {
    let payload = URL_SAFE_NO_PAD.decode(token.split('.').nth(1)?.trim_end_matches('=')).ok()?;
    let claims: serde_json::Map<String, serde_json::Value> = serde_json::from_slice(&payload).ok()?;
    Some(claims.get(claim)?.as_str()?.to_owned())
}

/// The actions of an access token's first `access` entry; empty for a token that cannot be read.
#[must_use]
pub fn actions(token: &str) -> Vec<String> {
    claims(token).and_then(|claims| claims.access.into_iter().next()).map(|access| access.actions).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_expiry_is_read_and_nonsense_has_none() {
        let token = |claims: &str| format!("e30.{}.sig", URL_SAFE_NO_PAD.encode(claims));
        assert_eq!(expiry(&token(r#"{"exp":1700000000}"#)), Some(Timestamp::from_millis(1_700_000_000_000)));
        assert_eq!(
            expiry(&token(r#"{"sub":"a","exp":1700000000.5}"#)),
            Some(Timestamp::from_millis(1_700_000_000_500))
        );
        for bad in [token("{}"), token(r#"{"exp":"x"}"#), "a.b".into(), "opaque".into(), String::new()] {
            assert_eq!(expiry(&bad), None, "{bad}");
        }
    }
}
