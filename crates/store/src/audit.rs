//! The audit table: partitioned by period, bounded, apart from the metadata so that it can never fill their disk.

use std::fmt;

use async_trait::async_trait;
use shorepass_core::{AuditEvent, EventKind, Outcome, Timestamp};

use crate::StoreError;
use crate::sql::fault::Fault;

mod postgres;
mod row;
mod sqlite;

pub use postgres::PostgresAudit;
pub use sqlite::SqliteAudit;

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
    /// At most 10,000 are answered, whatever it is.
    pub limit: u32,
}

/// Where audit events are kept, by UTC day.
///
/// A day is dropped when its last moment is older than the retention, and the oldest one when all together are larger
/// than the bound. When the newest day alone is, its oldest events make room for new ones: who floods the table shall not
/// blind it for what comes next. A retention or a bound of zero keeps nothing; a bound below 4 MiB is taken for 4 MiB.
#[async_trait]
pub trait AuditStore: fmt::Debug + Send + Sync {
    /// Appends; durable when it returns. An event that is there already (a retry) is left as it is. Old periods are
    /// dropped when the table is over its bound.
    async fn append(&self, events: &[AuditEvent]) -> Result<(), StoreError>;

    async fn query(&self, query: &AuditQuery) -> Result<Vec<AuditEvent>, StoreError>;

    /// Drops periods that are older than the retention or beyond the size bound; answers how many.
    async fn prune(&self, now: Timestamp) -> Result<u32, StoreError>;
}

fn failure(error: sqlx::Error) -> StoreError {
    Fault::from(error).into()
}
