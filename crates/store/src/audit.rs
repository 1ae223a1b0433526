//! The audit table: partitioned by period, bounded, apart from the metadata so that it can never fill their disk.

use std::fmt;

use async_trait::async_trait;
use shorepass_core::{AuditEvent, EventKind, Outcome, Timestamp};

use crate::StoreError;

/// Which events; every field that is set must match. Answers come newest first.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct AuditQuery {
    /// Inclusive.
    pub since: Option<Timestamp>,
    /// Exclusive.
    pub until: Option<Timestamp>,
    pub kind: Option<EventKind>,
    pub outcome: Option<Outcome>,
    pub registry: Option<String>,
    pub repository: Option<String>,
    pub principal: Option<String>,
    /// Only events whose id is after this one (for following a tail; ids are UUIDv7).
    pub after: Option<uuid::Uuid>,
    pub limit: u32,
}

/// Where audit events are kept.
#[async_trait]
pub trait AuditStore: fmt::Debug + Send + Sync {
    /// Appends; durable when it returns. Old periods are dropped when the table is over its bounds.
    async fn append(&self, events: &[AuditEvent]) -> Result<(), StoreError>;

    async fn query(&self, query: &AuditQuery) -> Result<Vec<AuditEvent>, StoreError>;

    /// Drops periods that are older than the retention or beyond the size bound; answers how many.
    async fn prune(&self, now: Timestamp) -> Result<u32, StoreError>;
}
