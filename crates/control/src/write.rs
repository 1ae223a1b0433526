//! Reading and writing the directory's documents.

use schemars::JsonSchema;
use serde::Serialize;
use serde_json::Value;
use shorepass_core::RegistryName;
use shorepass_core::directory::Document;
use shorepass_store::resources::{Resource, Write, Written};
use uuid::Uuid;

use crate::gate::Allowed;
use crate::{Actor, Control, ControlError, Result};

/// Entries read from the store at once.
const STEP: i64 = 1000;

/// Most entries of one page, and how many when nothing is asked.
pub const MAX_PAGE: u32 = 1000;
pub const DEFAULT_PAGE: u32 = 100;

/// What the caller last saw of a resource (`If-Match`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Expected {
    /// It did not say.
    #[default]
    Anything,
    Etag(i64),
    /// Something that was never an etag of ours.
    Nothing,
}

impl Expected {
    pub(crate) fn check(self, etag: i64) -> Result<()> {
        match self {
            Self::Anything => Ok(()),
            Self::Etag(expected) if expected == etag => Ok(()),
            Self::Etag(_) | Self::Nothing => Err(ControlError::Precondition),
        }
    }
}

/// Which part of a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page {
    pub n: u32,
    /// [`Listed::next`] of the page before.
    pub last: Option<String>,
}

impl Default for Page {
    fn default() -> Self {
        Self { n: DEFAULT_PAGE, last: None }
    }
}

/// One page of a list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Listed<T> {
    pub value: Vec<T>,
    /// What to send as `last` for the next page; null on the last one.
    pub next: Option<String>,
}

impl<T> Listed<T> {
    pub(crate) fn map<U>(self, f: impl FnMut(T) -> U) -> Listed<U> {
        Listed { value: self.value.into_iter().map(f).collect(), next: self.next }
    }

    /// A page of what is in memory, in the order of `key`.
    pub(crate) fn page(mut all: Vec<T>, page: &Page, key: impl Fn(&T) -> String) -> Self {
        all.sort_by_key(&key);
        let from = page.last.as_ref().map_or(0, |last| all.partition_point(|entry| key(entry) <= *last));
        let n = usize::try_from(page.n.clamp(1, MAX_PAGE)).unwrap_or(usize::MAX);
        let mut value: Vec<T> = all.into_iter().skip(from).take(n.saturating_add(1)).collect();
        let more = value.len() > n;
        value.truncate(n);
        let next = value.last().filter(|_| more).map(&key);
        Self { value, next }
    }
}

/// A resource, and whether this call made it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Made<T> {
    pub view: T,
    pub new: bool,
}

/// What an operation did, for the audit.
pub(crate) struct Deed<'a> {
    pub operation: &'a str,
    pub registry: Option<&'a RegistryName>,
    pub target: String,
    /// Without secrets.
    pub detail: Value,
}

impl Control {
    /// All of `writes` or none; felt by the very next request here; recorded before this returns. The permit says that
    /// somebody asked whether it may be done.
    pub(crate) async fn commit(
        &self,
        _permit: &Allowed,
        actor: &Actor,
        writes: &[Write],
        deed: Deed<'_>,
    ) -> Result<()> {
        match self.store.write_resources(writes).await? {
            Written::Done { .. } => {}
            Written::Exists { name } => {
                return Err(ControlError::Conflict(format!("`{name}` exists already: choose another name")));
            }
            Written::Changed { .. } => return Err(ControlError::Changed),
            Written::Missing { .. } => {
                return Err(ControlError::NotFound("it, or what it belongs to, was deleted meanwhile".to_owned()));
            }
        }
        self.directory.refresh().await?;
        self.audit(actor, deed.operation, deed.registry, Some(deed.target), deed.detail).await
    }

    pub(crate) async fn named<D: Document>(&self, parent: Uuid, name: &str) -> Result<Option<Resource<D>>> {
        let row = self.store.resource_by_name(D::KIND, parent, name).await?;
        Ok(row.as_ref().map(Resource::read).transpose()?)
    }

    /// By id, if it is of that kind and below that parent.
    pub(crate) async fn identified<D: Document>(&self, parent: Uuid, id: Uuid) -> Result<Option<Resource<D>>> {
        let row = self.store.resource(id).await?;
        let row = row.filter(|row| row.kind == D::KIND && row.parent == parent);
        Ok(row.as_ref().map(Resource::read).transpose()?)
    }

    /// By name or id; names never have the form of an id.
    pub(crate) async fn either<D: Document>(&self, parent: Uuid, said: &str) -> Result<Option<Resource<D>>> {
        match said.parse() {
            Ok(id) => self.identified(parent, id).await,
            Err(_) => self.named(parent, said).await,
        }
    }

    /// One page, by name.
    pub(crate) async fn listed<D: Document>(&self, parent: Uuid, page: &Page) -> Result<Listed<Resource<D>>> {
        let n = i64::from(page.n.clamp(1, MAX_PAGE));
        let rows = self.store.resources(D::KIND, parent, page.last.as_deref(), n + 1).await?;
        let more = i64::try_from(rows.len()).is_ok_and(|found| found > n);
        let shown = rows.iter().take(usize::try_from(n).unwrap_or(usize::MAX));
        let value = shown.map(Resource::read).collect::<std::result::Result<Vec<Resource<D>>, _>>()?;
        let next = value.last().filter(|_| more).map(|last| last.name.clone());
        Ok(Listed { value, next })
    }

    /// All below a parent that `keep`, read page by page.
    pub(crate) async fn all<D: Document>(
        &self,
        parent: Uuid,
        keep: impl Fn(&Resource<D>) -> bool + Send,
    ) -> Result<Vec<Resource<D>>> {
        let (mut kept, mut after) = (Vec::new(), None::<String>);
        loop {
            let rows = self.store.resources(D::KIND, parent, after.as_deref(), STEP).await?;
            for row in &rows {
                let resource = Resource::read(row)?;
                if keep(&resource) {
                    kept.push(resource);
                }
            }
            let Some(last) = rows.last().filter(|_| i64::try_from(rows.len()).is_ok_and(|found| found == STEP)) else {
                return Ok(kept);
            };
            after = Some(last.name.clone());
        }
    }

    /// A new document below `parent`.
    pub(crate) fn fresh<D: Document>(&self, parent: Uuid, name: impl Into<String>, document: D) -> Resource<D> {
        let id = shorepass_core::new_id(&*self.clock, &*self.random);
        Resource::new(id, parent, name, document, self.clock.now())
    }

    /// What to write when a resource has changed.
    pub(crate) fn update<D: Document>(&self, resource: &Resource<D>) -> Result<Write> {
        let mut row = resource.row()?;
        row.updated_at = self.clock.now();
        Ok(Write::Update(row))
    }
}

pub(crate) fn create<D: Document>(resource: &Resource<D>) -> Result<Write> {
    Ok(Write::Create(resource.row()?))
}

pub(crate) fn delete<D>(resource: &Resource<D>) -> Write {
    Write::Delete { id: resource.id, etag: Some(resource.etag) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_of_what_is_in_memory_follow_one_another_without_gap_or_repetition() {
        let all: Vec<u32> = vec![5, 3, 1, 4, 2];
        let key = |n: &u32| n.to_string();
        let mut page = Page { n: 2, last: None };
        let mut seen = Vec::new();
        loop {
            let listed = Listed::page(all.clone(), &page, key);
            seen.extend(listed.value);
            match listed.next {
                Some(next) => page.last = Some(next),
                None => break,
            }
        }
        assert_eq!(seen, [1, 2, 3, 4, 5]);
    }

    #[test]
    fn what_was_seen_must_still_be_so() {
        assert!(Expected::Anything.check(3).is_ok());
        assert!(Expected::Etag(3).check(3).is_ok());
        for stale in [Expected::Etag(2), Expected::Nothing] {
            assert!(matches!(stale.check(3), Err(ControlError::Precondition)));
        }
    }
}
