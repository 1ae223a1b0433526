//! [`MetaStore`] over SQLite and PostgreSQL.
//!
//! The queries and the code around them stand once, in `shared/`, in the SQL that both databases read alike. `sqlite.rs`
//! and `postgres.rs` each compile that folder against their own driver (`#[path]`, so that the code stays ordinary Rust
//! that rustfmt and error messages see in place) and hold what differs: pools, locks, how a write begins.
//!
//! # Who waits for whom
//! SQLite has one writer at a time. PostgreSQL runs at READ COMMITTED, and the rows below are locked in this order, so
//! that nobody waits in a circle: tenant, subscription, resource group, registry, upload, repository, blob, queues,
//! `policy`, resources. A transaction that *adds a link* to a repository (commit, mount) holds its row shared; everything
//! else that changes a repository's content or locks (manifests, tags, deletion, collection) holds it exclusively, and
//! therefore reads what is committed. A blob's row is held shared by whoever adds a link to it and exclusively by
//! collection. Resources are written only by who holds `policy`, one after the other: that orders their log as they
//! are committed.

pub(crate) mod fault;
mod migrations;
#[cfg(test)]
mod plans;
mod postgres;
mod sqlite;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use crate::{MetaStore, StoreError};

/// How long content that nothing names is left alone: a client may have uploaded a blob, or asked whether it is there,
/// and push its manifest hours later.
pub const REVIEW_GRACE: Duration = Duration::from_hours(24);

/// Reviews of one moment are spread over this time behind the grace, so that a bulk deletion is not followed by a bulk
/// review.
pub const REVIEW_JITTER: Duration = Duration::from_hours(1);

/// How long the tombstone of a deleted repository stays. Must be longer than any token lives: a token of before the
/// deletion is refused by it.
pub const TOMBSTONE_LIFE: Duration = Duration::from_hours(24);

/// How many policy generations the log of changed resources reaches back, and so how many rows it has at most.
pub const CHANGES_KEPT: i64 = 100_000;

/// The store in a SQLite file, which is created (mode 0600) if it is not there. Call within a tokio runtime, and
/// [`MetaStore::migrate`] next.
///
/// # Errors
/// When the file cannot be created or its mode not be set.
pub fn open_sqlite(path: &Path) -> Result<Arc<dyn MetaStore>, StoreError> {
    sqlite::open(path)
}

/// The store in a PostgreSQL database; connects with first use. Call within a tokio runtime, and [`MetaStore::migrate`]
/// next. `connections` is the most the pool opens.
///
/// # Errors
/// When `url` is not a `postgres://` URL. The error does not show it: it may hold a password.
pub fn open_postgres(url: &str, connections: u32) -> Result<Arc<dyn MetaStore>, StoreError> {
    postgres::open(url, connections)
}

/// Between nothing and [`REVIEW_JITTER`], the same for the same text.
fn jitter(text: &str) -> Duration {
    let hash = text
        .bytes()
        .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3));
    Duration::from_secs(hash % REVIEW_JITTER.as_secs())
}
