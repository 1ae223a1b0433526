//! Collection: what nothing needs any more is removed, in bounded steps, while everything else goes on.

use std::time::Duration;

use shorepass_store::BlobKey;

use crate::{Registry, Result};

/// Entries looked at in one step: short enough for a writer that waits.
const BATCH: i64 = 100;

/// What one round of collection did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Collected {
    pub expired_uploads: u64,
    pub reviewed: u64,
    pub objects_deleted: u64,
}

impl Registry {
    /// Forgets uploads nobody touched for `upload_lifetime`, reviews what is due, and deletes dead objects; one bounded
    /// batch of each. Call again while it answers that it did something.
    ///
    /// # Errors
    /// The stores.
    pub async fn collect(&self, upload_lifetime: Duration) -> Result<Collected> {
        let now = self.clock.now();
        let mut done = Collected::default();
        for upload in self.store.stale_uploads(now.minus(upload_lifetime), BATCH).await? {
            if self.store.delete_upload(upload.id, now).await? {
                done.expired_uploads += 1;
            }
        }
        done.reviewed = u64::try_from(self.store.collect(now, BATCH).await?).unwrap_or(0);
        for object in self.store.dead_objects(BATCH).await? {
            if let Some(key) = BlobKey::parse(&object.key) {
                let state = object.upload_state.as_deref().and_then(|state| self.unfinished(&object.key, state));
                if let Err(error) = self.blobs.delete(&key, state.as_ref()).await {
                    // It stays listed and is tried again; the others need not wait for it.
                    tracing::warn!(%error, key = object.key, "a dead object could not be deleted");
                    continue;
                }
                done.objects_deleted += 1;
            }
            self.store.forget_dead_object(&object.key).await?;
        }
        Ok(done)
    }
}
