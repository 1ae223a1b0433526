//! Documents of one kind, by id and by name below their parent.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use shorepass_store::resources::Resource;
use uuid::Uuid;

#[derive(Debug)]
pub(super) struct Table<D> {
    by_id: HashMap<Uuid, Arc<Resource<D>>>,
    /// Names in lower case (of ASCII letters).
    by_parent: HashMap<Uuid, BTreeMap<String, Uuid>>,
}

impl<D> Default for Table<D> {
    fn default() -> Self {
        Self { by_id: HashMap::new(), by_parent: HashMap::new() }
    }
}

impl<D> Table<D> {
    pub(super) fn get(&self, id: Uuid) -> Option<&Arc<Resource<D>>> {
        self.by_id.get(&id)
    }

    pub(super) fn named(&self, parent: Uuid, name: &str) -> Option<&Arc<Resource<D>>> {
        self.get(*self.by_parent.get(&parent)?.get(&name.to_ascii_lowercase())?)
    }

    /// By name.
    pub(super) fn below(&self, parent: Uuid) -> impl Iterator<Item = &Arc<Resource<D>>> {
        self.by_parent.get(&parent).into_iter().flat_map(BTreeMap::values).filter_map(|id| self.get(*id))
    }

    pub(super) fn insert(&mut self, resource: Arc<Resource<D>>) {
        let names = self.by_parent.entry(resource.parent).or_default();
        names.insert(resource.name.to_ascii_lowercase(), resource.id);
        self.by_id.insert(resource.id, resource);
    }

    pub(super) fn remove(&mut self, id: Uuid) -> Option<Arc<Resource<D>>> {
        let resource = self.by_id.remove(&id)?;
        let name = resource.name.to_ascii_lowercase();
        if let Some(names) = self.by_parent.get_mut(&resource.parent) {
            // The name may already be somebody else's: changes of one page are applied one by one.
            if names.get(&name) == Some(&id) {
                names.remove(&name);
            }
            if names.is_empty() {
                self.by_parent.remove(&resource.parent);
            }
        }
        Some(resource)
    }
}
