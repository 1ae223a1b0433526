//! OCI distribution: uploads, blobs, manifests, tags, referrers, mounts, locks.
//!
//! Every operation takes a [`shorepass_access::Permit`] for what it does, and finds in it the repository it is about.

mod blobs;
mod collect;
mod error;
mod hash;
mod json;
mod listing;
mod manifest;
mod manifests;
mod uploads;

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use shorepass_access::Permit;
use shorepass_core::{Clock, Random, new_id};
use shorepass_identity::ServerKey;
use shorepass_store::rows::{Locks, Target};
use shorepass_store::{BlobStore, MetaStore};
use uuid::Uuid;

pub use blobs::Blob;
pub use collect::Collected;
pub use error::RegistryError;
pub use listing::{Listed, Page};
pub use manifest::MAX_MANIFEST_BYTES;
pub use manifests::{PushedManifest, Referrers};
pub use uploads::{ContentRange, UploadStatus};

type Result<T> = std::result::Result<T, RegistryError>;

/// The content of all registries of one server.
#[derive(Debug)]
pub struct Registry {
    store: Arc<dyn MetaStore>,
    blobs: Arc<dyn BlobStore>,
    clock: Arc<dyn Clock>,
    random: Arc<dyn Random>,
    /// Seals upload state: what a row says of a hash is believed only if this server's key wrote it.
    key: Arc<ServerKey>,
    /// Uploads that a request of this server is writing to.
    busy: Mutex<HashMap<Uuid, Arc<tokio::sync::Mutex<()>>>>,
}

impl Registry {
    #[must_use]
    pub fn new(
        store: Arc<dyn MetaStore>,
        blobs: Arc<dyn BlobStore>,
        clock: Arc<dyn Clock>,
        random: Arc<dyn Random>,
        key: Arc<ServerKey>,
    ) -> Self {
        Self { store, blobs, clock, random, key, busy: Mutex::default() }
    }

    fn target<A>(&self, permit: &Permit<A>) -> Target {
        Target {
            registry_id: permit.registry_id(),
            repository: permit.repository().clone(),
            new_id: new_id(&*self.clock, &*self.random),
            now: self.clock.now(),
        }
    }
}

/// Reading what a lock hides is refused, not denied: the caller has the right, the content is switched off.
fn check_readable(locks: &Locks, what: &str) -> Result<()> {
    if locks.read_enabled { Ok(()) } else { Err(RegistryError::Locked { what: what.to_owned() }) }
}

fn repository_id<A>(permit: &Permit<A>) -> Result<Uuid> {
    permit.row().map(|row| row.id).ok_or(RegistryError::NameUnknown)
}
