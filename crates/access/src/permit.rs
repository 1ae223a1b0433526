//! Proof that the authoriser said yes.

use std::marker::PhantomData;
use std::sync::Arc;

use shorepass_core::{Action, Principal, RepositoryName, Timestamp};
use shorepass_store::rows::{RegistryRecord, RepositoryRow};
use uuid::Uuid;

/// An action as a type, so that a function can ask for the permit it needs.
pub trait Grant: sealed::Sealed + Send + Sync + 'static {
    const ACTION: Action;
}

mod sealed {
    pub trait Sealed {}
}

macro_rules! grants {
    ($($(#[$doc:meta])* $name:ident = $action:ident;)*) => {$(
        $(#[$doc])*
        #[derive(Debug, Clone, Copy)]
        pub enum $name {}
        impl sealed::Sealed for $name {}
        impl Grant for $name {
            const ACTION: Action = Action::$action;
        }
    )*};
}

grants! {
    /// To read content.
    Pull = ContentRead;
    /// To write content.
    Push = ContentWrite;
    /// To delete content.
    Delete = ContentDelete;
    /// To list tags and manifests and to see attributes.
    MetadataRead = MetadataRead;
    /// To change attributes and to untag.
    MetadataWrite = MetadataWrite;
    /// To list repositories.
    Catalog = CatalogList;
}

/// To administer.
#[derive(Debug, Clone, Copy)]
pub enum Manage {}

/// Proof that the authoriser allowed `A` on one repository (for [`Catalog`]: one registry; for [`Manage`]: a [`crate::Target`]).
/// Only this crate makes one. It also carries what the decision had to look up, so that nothing is looked up twice.
#[derive(Debug, Clone)]
pub struct Permit<A, S = RepositorySubject> {
    pub(crate) subject: S,
    pub(crate) principal: Principal,
    pub(crate) action: PhantomData<A>,
}

/// What a permit on a repository is about.
#[derive(Debug, Clone)]
pub struct RepositorySubject {
    pub(crate) registry: Arc<RegistryRecord>,
    pub(crate) name: RepositoryName,
    pub(crate) row: Option<RepositoryRow>,
    pub(crate) deleted_at: Option<Timestamp>,
}

/// What a permit on a registry is about.
#[derive(Debug, Clone)]
pub struct RegistrySubject {
    pub(crate) registry: Arc<RegistryRecord>,
}

impl<A, S> Permit<A, S> {
    #[must_use]
    pub fn principal(&self) -> &Principal {
        &self.principal
    }
}

impl<A> Permit<A, RepositorySubject> {
    #[must_use]
    pub fn registry_id(&self) -> Uuid {
        self.subject.registry.registry.id
    }

    #[must_use]
    pub fn registry(&self) -> &RegistryRecord {
        &self.subject.registry
    }

    #[must_use]
    pub fn repository(&self) -> &RepositoryName {
        &self.subject.name
    }

    /// The repository as it was when the permit was given; `None` while it has no content.
    #[must_use]
    pub fn row(&self) -> Option<&RepositoryRow> {
        self.subject.row.as_ref()
    }

    /// When a repository of this name was last deleted. What began before belongs to that one.
    #[must_use]
    pub fn deleted_at(&self) -> Option<Timestamp> {
        self.subject.deleted_at
    }
}

impl<A> Permit<A, RegistrySubject> {
    #[must_use]
    pub fn registry(&self) -> &RegistryRecord {
        &self.subject.registry
    }
}
