//! What an OpenID provider says about itself (OpenID Connect Discovery 1.0; RFC 8414).

use http::StatusCode;
use http::header::{CACHE_CONTROL, HeaderValue};
use serde_json::json;

use super::asking::Asking;
use crate::respond::{self, Answer};

/// The discovery document. The issuer has one name, whatever address it was reached by; the endpoints are where the client
/// can reach them.
pub fn document(call: &Asking) -> Answer {
    let provider = call.provider();
    let issuer = match &call.tenant {
        Some(tenant) => provider.tokens().issuer(tenant.guid),
        // As the original has it: the tenant is known with the token.
        None => format!("{}/{{tenantid}}/v2.0", provider.base()),
    };
    let mut algorithms: Vec<String> = call.app.keys.list().into_iter().map(|key| key.algorithm).collect();
    algorithms.sort_unstable();
    algorithms.dedup();
    respond::json(
        StatusCode::OK,
        &json!({
            "issuer": issuer,
            "authorization_endpoint": call.url("oauth2/v2.0/authorize"),
            "token_endpoint": call.url("oauth2/v2.0/token"),
            "device_authorization_endpoint": call.url("oauth2/v2.0/devicecode"),
            "jwks_uri": call.url("discovery/v2.0/keys"),
            "response_types_supported": ["code"],
            "response_modes_supported": ["query", "form_post"],
            "grant_types_supported": [
                "authorization_code",
                "refresh_token",
                "client_credentials",
                super::token::DEVICE_CODE,
                super::token::TOKEN_EXCHANGE,
            ],
            "code_challenge_methods_supported": ["S256"],
            "token_endpoint_auth_methods_supported": ["none", "client_secret_post", "client_secret_basic", "private_key_jwt"],
            "token_endpoint_auth_signing_alg_values_supported": ["RS256", "PS256", "ES256"],
            "subject_types_supported": ["public"],
            "id_token_signing_alg_values_supported": algorithms,
            "scopes_supported": ["openid", "profile", "offline_access"],
            "claims_supported": ["iss", "sub", "aud", "exp", "iat", "nonce", "oid", "tid", "preferred_username", "name", "ver"],
            "authorization_response_iss_parameter_supported": true,
            "request_parameter_supported": false,
            "request_uri_parameter_supported": false,
        }),
    )
}

/// The keys our tokens are verified with.
pub fn keys(call: &Asking) -> Answer {
    let mut answer = respond::json(StatusCode::OK, &call.app.keys.jwks());
    // A new key is published five minutes before it signs.
    answer.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("public, max-age=60"));
    answer
}
