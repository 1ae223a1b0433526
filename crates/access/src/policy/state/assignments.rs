//! Role assignments by who holds them and where.

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;

use shorepass_core::directory::{AssignmentScope, PrincipalRef, RoleAssignment};
use shorepass_store::resources::Resource;
use uuid::Uuid;

use crate::policy::Condition;

/// An assignment whose condition was read. What every decision looks at is kept at hand: with 100,000 assignments each step
/// through another pointer is a miss of the processor's cache.
#[derive(Debug)]
pub(in crate::policy) struct Assigned {
    pub(in crate::policy) id: Uuid,
    pub(in crate::policy) tenant: Uuid,
    pub(in crate::policy) role: Uuid,
    pub(in crate::policy) holder: PrincipalRef,
    scope: AssignmentScope,
    pub(in crate::policy) resource: Arc<Resource<RoleAssignment>>,
    pub(in crate::policy) condition: Option<Condition>,
}

impl Assigned {
    pub(in crate::policy) fn document(&self) -> &RoleAssignment {
        &self.resource.document
    }
}

/// A scope and its hash: taken once for a decision, however many groups' assignments are then searched.
pub(in crate::policy) struct Hashed<'s> {
    hash: u64,
    scope: &'s AssignmentScope,
}

#[derive(Debug, Default)]
pub(super) struct Assignments {
    by_id: HashMap<Uuid, Arc<Assigned>>,
    /// Sorted by the scope's hash: what a search goes through lies side by side.
    by_principal: HashMap<PrincipalRef, Vec<(u64, Arc<Assigned>)>>,
    hasher: RandomState,
    by_scope: HashMap<AssignmentScope, Vec<Uuid>>,
}

impl Assignments {
    pub(super) fn get(&self, id: Uuid) -> Option<&Arc<Assigned>> {
        self.by_id.get(&id)
    }

    /// One whose condition cannot be read grants nothing, and is not kept.
    pub(super) fn insert(&mut self, resource: Arc<Resource<RoleAssignment>>) {
        let condition = match resource.document.condition.as_deref().map(Condition::parse).transpose() {
            Ok(condition) => condition,
            Err(error) => {
                tracing::error!(assignment = %resource.id, %error, "the condition cannot be read; the assignment grants nothing");
                return;
            }
        };
        let (id, tenant, document) = (resource.id, resource.parent, &resource.document);
        let (role, holder) = (document.role, document.principal);
        let scope = document.scope.clone();
        let hash = self.hasher.hash_one(&scope);
        let assigned = Arc::new(Assigned { id, tenant, role, holder, scope: scope.clone(), resource, condition });
        let held = self.by_principal.entry(holder).or_default();
        held.insert(held.partition_point(|(other, _)| *other < hash), (hash, Arc::clone(&assigned)));
        self.by_scope.entry(scope).or_default().push(id);
        self.by_id.insert(id, assigned);
    }

    pub(super) fn remove(&mut self, id: Uuid) -> bool {
        let Some(assigned) = self.by_id.remove(&id) else { return false };
        if let Some(held) = self.by_principal.get_mut(&assigned.holder) {
            held.retain(|(_, other)| other.id != id);
            if held.is_empty() {
                self.by_principal.remove(&assigned.holder);
            }
        }
        let scope = &assigned.scope;
        if let Some(list) = self.by_scope.get_mut(scope) {
            list.retain(|other| *other != id);
            if list.is_empty() {
                self.by_scope.remove(scope);
            }
        }
        true
    }

    pub(super) fn hashed<'s>(&self, scopes: &'s [AssignmentScope]) -> Vec<Hashed<'s>> {
        scopes.iter().map(|scope| Hashed { hash: self.hasher.hash_one(scope), scope }).collect()
    }

    /// Those of one principal, at one of these scopes.
    pub(super) fn matching<'a, 's>(
        &'a self,
        principal: PrincipalRef,
        scopes: &'s [Hashed<'s>],
    ) -> impl Iterator<Item = &'a Arc<Assigned>> + use<'a, 's> {
        let held = self.by_principal.get(&principal).map_or(&[][..], Vec::as_slice);
        scopes.iter().flat_map(move |wanted| {
            let from = held.partition_point(|(hash, _)| *hash < wanted.hash);
            let same =
                held.iter().skip(from).take_while(|(hash, _)| *hash == wanted.hash).map(|(_, assigned)| assigned);
            same.filter(|assigned| assigned.scope == *wanted.scope)
        })
    }

    /// All of one principal.
    pub(super) fn of(&self, principal: PrincipalRef) -> impl Iterator<Item = &Arc<Assigned>> {
        self.by_principal.get(&principal).into_iter().flatten().map(|(_, assigned)| assigned)
    }

    /// All at one scope.
    pub(super) fn at<'a>(&'a self, scope: &AssignmentScope) -> impl Iterator<Item = &'a Arc<Assigned>> + use<'a> {
        self.by_scope.get(scope).into_iter().flatten().filter_map(|id| self.by_id.get(id))
    }
}
