//! Metadata in SQLite or PostgreSQL, blobs on local disk or in S3.
//!
//! Two object-safe traits, [`MetaStore`] and [`BlobStore`], each with two backends and one contract suite that runs over
//! both. The metadata is the truth: an object in the blob store that no row names does not exist.

pub mod audit;
pub mod blob;
pub mod error;
pub mod meta;
pub mod resources;
pub mod rows;
pub mod sql;

pub use audit::{AuditQuery, AuditStore};
pub use blob::{BlobKey, BlobStore, BlobStream, BlobWriter, WriteState};
pub use error::StoreError;
pub use meta::MetaStore;
pub use resources::{GrantRow, Resource, ResourceRow, Write, Written};
