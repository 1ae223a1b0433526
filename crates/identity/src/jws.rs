//! Compact JWS (RFC 7515), as little of it as our own tokens need: one header we write, the same header we accept.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};

use crate::TokenError;

/// Longer than any token we issue (32 scopes), short enough that refusing one costs nothing.
pub(crate) const MAX_TOKEN_BYTES: usize = 16 * 1024;

/// The `typ` of a registry's tokens, which third-party registries verify too, and of id tokens, which nobody here does.
pub(crate) const TYPE_JWT: &str = "JWT";

/// The `typ` of the directory's access tokens (RFC 9068, 2.1): what keeps the two apart although one key signs both.
pub(crate) const TYPE_ACCESS: &str = "at+jwt";

/// The whole header. `deny_unknown_fields` is the point: `jwk`, `jku`, `x5c`, `x5u`, `crit` and whatever comes next are
/// refused before any of them can be believed (CVE-2025-24976).
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Header {
    typ: String,
    pub alg: String,
    pub kid: String,
}

/// A token taken apart, nothing of it believed yet.
pub(crate) struct Parts<'a> {
    pub header: Header,
    /// Header and payload as they were signed.
    pub signed: &'a str,
    pub payload: &'a str,
    pub signature: Vec<u8>,
}

/// Header and payload, encoded and joined: what is to be signed.
pub(crate) fn signing_input(typ: &str, alg: &str, kid: &str, payload: &str) -> Result<String, TokenError> {
    let header = Header { typ: typ.to_owned(), alg: alg.to_owned(), kid: kid.to_owned() };
    let header = serde_json::to_vec(&header).map_err(|_| TokenError::Signing)?;
    let mut input = URL_SAFE_NO_PAD.encode(header);
    input.push('.');
    URL_SAFE_NO_PAD.encode_string(payload, &mut input);
    Ok(input)
}

pub(crate) fn append_signature(mut input: String, signature: &[u8]) -> Result<String, TokenError> {
    input.push('.');
    URL_SAFE_NO_PAD.encode_string(signature, &mut input);
    if input.len() > MAX_TOKEN_BYTES { Err(TokenError::TooLong) } else { Ok(input) }
}

/// Takes a token of this type apart. Its length has been checked.
pub(crate) fn split<'a>(typ: &str, token: &'a str) -> Result<Parts<'a>, TokenError> {
    // Three parts and no more, whatever the number of dots (CVE-2025-30204); a dot in the rest is not base64url.
    let (signed, signature) = token.rsplit_once('.').ok_or(TokenError::Malformed)?;
    let (header, payload) = signed.split_once('.').ok_or(TokenError::Malformed)?;
    let header: Header = serde_json::from_slice(&decode(header)?).map_err(|_| TokenError::Malformed)?;
    if header.typ != typ {
        return Err(TokenError::Malformed);
    }
    Ok(Parts { header, signed, payload, signature: decode(signature)? })
}

/// Strict: no padding, no stray bits, no other alphabet, so that one token has one spelling.
pub(crate) fn decode(part: &str) -> Result<Vec<u8>, TokenError> {
    URL_SAFE_NO_PAD.decode(part).map_err(|_| TokenError::Malformed)
}
