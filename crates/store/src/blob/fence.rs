//! One writer at a time for each object of this process; the newest wins.
//!
//! A client whose connection broke goes on over a new one while the server may still hold the old request, so the old
//! writer cannot simply exclude the new one. And two requests on one upload must not mix their bytes: the digest that is
//! committed was computed from one of them only.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::OwnedMutexGuard;

use crate::{BlobKey, StoreError};

/// The objects that have a writer.
#[derive(Debug, Clone, Default)]
pub(super) struct Fences(Arc<Mutex<HashMap<BlobKey, Fence>>>);

/// Two clones are the same writer's if they share `superseded`.
#[derive(Debug, Clone)]
struct Fence {
    superseded: Arc<AtomicBool>,
    /// Held while bytes are on their way to the medium; handed from writer to writer.
    busy: Arc<tokio::sync::Mutex<()>>,
}

/// A writer's place.
#[derive(Debug, Clone)]
pub(super) struct Ticket(Arc<Place>);

#[derive(Debug)]
struct Place {
    fences: Fences,
    key: BlobKey,
    fence: Fence,
}

/// While it lives, no newer writer begins.
#[derive(Debug)]
pub(super) struct Turn {
    /// Dropped before the place, so that who finds no place finds nobody busy either.
    _busy: OwnedMutexGuard<()>,
    _place: Ticket,
}

impl Fences {
    /// Takes over from the writer there was, after what it is writing right now.
    pub(super) async fn enter(&self, key: &BlobKey) -> Ticket {
        let (fence, previous) = self.replace(key);
        let ticket = Ticket(Arc::new(Place { fences: self.clone(), key: key.clone(), fence }));
        if let Some(previous) = previous {
            let _idle = previous.busy.lock().await;
        }
        ticket
    }

    fn replace(&self, key: &BlobKey) -> (Fence, Option<Fence>) {
        let mut fences = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let previous = fences.get(key).cloned();
        let busy = previous.as_ref().map_or_else(Arc::default, |fence| Arc::clone(&fence.busy));
        if let Some(previous) = &previous {
            previous.superseded.store(true, Ordering::SeqCst);
        }
        let fence = Fence { superseded: Arc::default(), busy };
        fences.insert(key.clone(), fence.clone());
        (fence, previous)
    }
}

impl Ticket {
    /// The right to write now; to be held until the write is over.
    pub(super) async fn turn(&self) -> Result<Turn, StoreError> {
        let turn = self.last_turn().await;
        if self.0.fence.superseded.load(Ordering::SeqCst) {
            return Err(StoreError::Refused(format!("a newer request writes `{}`", self.0.key.as_str())));
        }
        Ok(turn)
    }

    /// The right to remove, which a newer writer does not take away.
    pub(super) async fn last_turn(&self) -> Turn {
        let busy = Arc::clone(&self.0.fence.busy).lock_owned().await;
        Turn { _busy: busy, _place: self.clone() }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut fences = self.fences.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Entry::Occupied(entry) = fences.entry(self.key.clone())
            && Arc::ptr_eq(&entry.get().superseded, &self.fence.superseded)
        {
            entry.remove();
        }
    }
}
