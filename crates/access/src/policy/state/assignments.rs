//! Role assignments by who holds them and where.

use std::collections::HashMap;
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
    pub(in crate::policy) resource: Arc<Resource<RoleAssignment>>,
    pub(in crate::policy) condition: Option<Condition>,
}

impl Assigned {
    pub(in crate::policy) fn document(&self) -> &RoleAssignment {
        &self.resource.document
    }
}

type AtScopes = HashMap<AssignmentScope, Vec<Arc<Assigned>>>;

#[derive(Debug, Default)]
pub(super) struct Assignments {
    by_id: HashMap<Uuid, Arc<Assigned>>,
    by_principal: HashMap<PrincipalRef, AtScopes>,
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
        let assigned = Arc::new(Assigned { id, tenant, role, holder, resource, condition });
        let document = assigned.document();
        let at_scopes = self.by_principal.entry(document.principal).or_default();
        at_scopes.entry(document.scope.clone()).or_default().push(Arc::clone(&assigned));
        self.by_scope.entry(document.scope.clone()).or_default().push(id);
        self.by_id.insert(id, assigned);
    }

    pub(super) fn remove(&mut self, id: Uuid) -> bool {
        let Some(assigned) = self.by_id.remove(&id) else { return false };
        let document = assigned.document();
        if let Some(at_scopes) = self.by_principal.get_mut(&document.principal) {
            prune(at_scopes, &document.scope, |other| other.id != id);
            if at_scopes.is_empty() {
                self.by_principal.remove(&document.principal);
            }
        }
        prune(&mut self.by_scope, &document.scope, |other| *other != id);
        true
    }

    /// Those of one principal, at one of these scopes.
    pub(super) fn matching<'a, 's>(
        &'a self,
        principal: PrincipalRef,
        scopes: &'s [AssignmentScope],
    ) -> impl Iterator<Item = &'a Arc<Assigned>> + use<'a, 's> {
        let held = self.by_principal.get(&principal);
        held.into_iter().flat_map(move |held| scopes.iter().filter_map(|scope| held.get(scope)).flatten())
    }

    /// All of one principal.
    pub(super) fn of(&self, principal: PrincipalRef) -> impl Iterator<Item = &Arc<Assigned>> {
        self.by_principal.get(&principal).into_iter().flat_map(HashMap::values).flatten()
    }

    /// All at one scope.
    pub(super) fn at<'a>(&'a self, scope: &AssignmentScope) -> impl Iterator<Item = &'a Arc<Assigned>> + use<'a> {
        self.by_scope.get(scope).into_iter().flatten().filter_map(|id| self.by_id.get(id))
    }
}

fn prune<T>(map: &mut HashMap<AssignmentScope, Vec<T>>, scope: &AssignmentScope, keep: impl Fn(&T) -> bool) {
    if let Some(list) = map.get_mut(scope) {
        list.retain(keep);
        if list.is_empty() {
            map.remove(scope);
        }
    }
}
