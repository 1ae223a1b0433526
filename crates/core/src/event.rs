//! Audit events: what happened, who did it, from where, with what outcome and why.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::Timestamp;

/// What an audit event tells of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EventKind {
    /// A credential was proved (or not): token endpoint or Basic.
    Login,
    /// A token was issued (or refused).
    Token,
    Pull,
    Push,
    Delete,
    Untag,
    /// A request whose credential was in order but which was not allowed.
    Denied,
    Management,
}

impl EventKind {
    pub const ALL: [Self; 8] =
        [Self::Login, Self::Token, Self::Pull, Self::Push, Self::Delete, Self::Untag, Self::Denied, Self::Management];

    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Login => "login",
            Self::Token => "token",
            Self::Pull => "pull",
            Self::Push => "push",
            Self::Delete => "delete",
            Self::Untag => "untag",
            Self::Denied => "denied",
            Self::Management => "management",
        }
    }
}

impl std::str::FromStr for EventKind {
    type Err = String;
    fn from_str(input: &str) -> Result<Self, String> {
        let known = Self::ALL.into_iter().find(|kind| kind.as_str() == input);
        known.ok_or_else(|| {
            let names: Vec<&str> = Self::ALL.into_iter().map(Self::as_str).collect();
            format!("`{input}` is no kind of event; the kinds are {}", names.join(", "))
        })
    }
}

/// How it ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    Success,
    Failure,
}

impl Outcome {
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Success => "success",
            Self::Failure => "failure",
        }
    }
}

/// One audit event. Fields that do not apply are absent; none ever holds a secret.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuditEvent {
    pub id: Uuid,
    pub time: Timestamp,
    pub kind: EventKind,
    pub outcome: Outcome,
    /// Why, in a word or a sentence: `signed in`, `wrong password`, `token lacks the scope`.
    pub reason: String,
    /// Registry name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub registry: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub repository: Option<String>,
    /// Tag, digest, or for management the resource touched.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target: Option<String>,
    /// For management the operation: `registry.create`, `admin.renew`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub operation: Option<String>,
    /// `Principal::id`, or what the caller claimed to be when the proof failed (marked by outcome).
    pub principal: String,
    /// `CredentialKind::as_str`.
    pub credential: String,
    /// Where the request came from: the peer's address, or `socket`.
    pub origin: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request_id: Option<String>,
    /// How many alike events this one stands for (pulls are batched), at least 1.
    pub count: u32,
    /// Before and after of a management operation, without secrets; or the scopes of a token.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detail: Option<serde_json::Value>,
}
