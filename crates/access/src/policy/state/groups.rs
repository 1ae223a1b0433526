//! Who is in which group, through any number of groups.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::Arc;

use shorepass_core::directory::{Membership, PrincipalKind, PrincipalRef};
use shorepass_store::resources::Resource;
use uuid::Uuid;

#[derive(Debug, Default)]
pub(super) struct Groups {
    memberships: HashMap<Uuid, Arc<Resource<Membership>>>,
    /// The groups somebody is in directly.
    parents: HashMap<PrincipalRef, BTreeSet<Uuid>>,
    /// Who is in a group directly.
    members: HashMap<Uuid, BTreeSet<PrincipalRef>>,
}

impl Groups {
    pub(super) fn insert(&mut self, resource: Arc<Resource<Membership>>) {
        let (group, member) = (resource.parent, resource.document.member);
        self.parents.entry(member).or_default().insert(group);
        self.members.entry(group).or_default().insert(member);
        self.memberships.insert(resource.id, resource);
    }

    pub(super) fn remove(&mut self, id: Uuid) -> bool {
        let Some(resource) = self.memberships.remove(&id) else { return false };
        let (group, member) = (resource.parent, resource.document.member);
        if let Some(groups) = self.parents.get_mut(&member) {
            groups.remove(&group);
            if groups.is_empty() {
                self.parents.remove(&member);
            }
        }
        if let Some(members) = self.members.get_mut(&group) {
            members.remove(&member);
            if members.is_empty() {
                self.members.remove(&group);
            }
        }
        true
    }

    /// All groups that `member` is in, directly or through others, as far as `counts` says they count.
    pub(super) fn of(&self, member: PrincipalRef, counts: impl Fn(Uuid) -> bool) -> Vec<Uuid> {
        let (mut found, mut seen, mut at) = (Vec::new(), HashSet::new(), 0);
        let mut add = |member: PrincipalRef, found: &mut Vec<Uuid>| {
            for group in self.parents.get(&member).into_iter().flatten() {
                if counts(*group) && seen.insert(*group) {
                    found.push(*group);
                }
            }
        };
        add(member, &mut found);
        while let Some(id) = found.get(at).copied() {
            add(PrincipalRef { kind: PrincipalKind::Group, id }, &mut found);
            at += 1;
        }
        found
    }

    /// All that are in `group`, directly or through others; groups themselves are not among them.
    pub(super) fn members(&self, group: Uuid, counts: impl Fn(Uuid) -> bool) -> BTreeSet<PrincipalRef> {
        let (mut found, mut seen, mut open) = (BTreeSet::new(), HashSet::from([group]), vec![group]);
        while let Some(group) = open.pop() {
            if !counts(group) {
                continue;
            }
            for member in self.members.get(&group).into_iter().flatten() {
                if member.kind == PrincipalKind::Group {
                    if seen.insert(member.id) {
                        open.push(member.id);
                    }
                } else {
                    found.insert(*member);
                }
            }
        }
        found
    }
}
