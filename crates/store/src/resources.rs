//! The directory's documents as the store keeps them: JSON with an id, a parent and a name.

use serde::de::DeserializeOwned;
use shorepass_core::Timestamp;
use shorepass_core::directory::Document;
use uuid::Uuid;

use crate::StoreError;

/// A document as it is stored. The store does not look into its body.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ResourceRow {
    pub id: Uuid,
    /// [`Document::KIND`]; never changes.
    pub kind: String,
    /// The tenant, registry or document it belongs to. The store does not check that it is there: who must be sure that
    /// it stays writes an [`Write::Update`] of it in the same transaction.
    pub parent: Uuid,
    /// Unique for its kind below its parent, without case (of ASCII letters).
    pub name: String,
    /// JSON.
    pub body: String,
    /// Raised with every update; optimistic concurrency.
    pub etag: i64,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
}

/// A stored document with its body read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Resource<D> {
    pub id: Uuid,
    pub parent: Uuid,
    pub name: String,
    pub etag: i64,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
    pub document: D,
}

impl<D: Document> Resource<D> {
    /// A document to create.
    #[must_use]
    pub fn new(id: Uuid, parent: Uuid, name: impl Into<String>, document: D, now: Timestamp) -> Self {
        Self { id, parent, name: name.into(), etag: 1, created_at: now, updated_at: now, document }
    }

    /// # Errors
    /// `Corrupt` when the row is of another kind, or its body is not what such a document looks like.
    pub fn read(row: &ResourceRow) -> Result<Self, StoreError> {
        if row.kind != D::KIND {
            return Err(StoreError::Corrupt(format!("resource {} is a `{}`, no `{}`", row.id, row.kind, D::KIND)));
        }
        Ok(Self {
            id: row.id,
            parent: row.parent,
            name: row.name.clone(),
            etag: row.etag,
            created_at: row.created_at,
            updated_at: row.updated_at,
            document: body(row)?,
        })
    }

    /// The row to write.
    ///
    /// # Errors
    /// `Refused` when the document cannot be said in JSON.
    pub fn row(&self) -> Result<ResourceRow, StoreError> {
        let body = serde_json::to_string(&self.document).map_err(|error| StoreError::Refused(error.to_string()))?;
        Ok(ResourceRow {
            id: self.id,
            kind: D::KIND.to_owned(),
            parent: self.parent,
            name: self.name.clone(),
            body,
            etag: self.etag,
            created_at: self.created_at,
            updated_at: self.updated_at,
        })
    }
}

/// The error says where the body stops making sense, and nothing of what it holds: bodies hold hashes.
fn body<D: DeserializeOwned>(row: &ResourceRow) -> Result<D, StoreError> {
    serde_json::from_str(&row.body).map_err(|error| {
        let (line, column) = (error.line(), error.column());
        StoreError::Corrupt(format!("{} {} cannot be read at {line}:{column}", row.kind, row.id))
    })
}

/// One of the changes that [`crate::MetaStore::write_resources`] makes together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Write {
    /// As it is, with its etag.
    Create(ResourceRow),
    /// Parent, name, body and `updated_at`, if the stored etag is the row's; the store raises it.
    Update(ResourceRow),
    /// With an etag only if it is the stored one.
    Delete { id: Uuid, etag: Option<i64> },
}

/// What became of all writes of a transaction.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Written {
    /// All are done. The generation of the last of them.
    Done { generation: i64 },
    /// The name (or the id of what should be created) is taken; nothing was written.
    Exists { name: String },
    /// The stored etag is another one; nothing was written.
    Changed { id: Uuid },
    /// There is nothing of that id (and kind); nothing was written.
    Missing { id: Uuid },
}

/// A secret of a few minutes: a device code, an authorization code, the state of a sign-in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GrantRow {
    pub kind: String,
    /// Keyed hash of the secret; it itself is stored nowhere.
    pub key_hash: Vec<u8>,
    /// JSON; the store does not look inside.
    pub body: String,
    /// Raised with every update; optimistic concurrency.
    pub version: i64,
    /// From this moment on it is as if it were not there.
    pub expires_at: Timestamp,
}

#[cfg(test)]
mod tests {
    use shorepass_core::directory::{Group, ScopeMap};

    use super::*;

    #[test]
    fn what_is_read_is_what_was_written() {
        let now = Timestamp::from_millis(7);
        let group = Group { description: "who ships".to_owned(), external: None };
        let resource = Resource::new(Uuid::from_u128(1), Uuid::from_u128(2), "Shipping", group, now);
        assert_eq!(Resource::read(&resource.row().unwrap()).unwrap(), resource);
    }

    #[test]
    fn an_unreadable_body_is_named_by_its_place_and_not_quoted() {
        let row = ResourceRow {
            id: Uuid::from_u128(1),
            kind: "scope_map".to_owned(),
            parent: Uuid::from_u128(2),
            name: "m".to_owned(),
            body: r#"{"actions": "hunter2"}"#.to_owned(),
            etag: 1,
            created_at: Timestamp::from_millis(0),
            updated_at: Timestamp::from_millis(0),
        };
        let error = Resource::<ScopeMap>::read(&row).unwrap_err().to_string();
        assert!(error.contains("1:21") && error.contains("scope_map") && !error.contains("hunter2"), "{error}");
        assert!(matches!(Resource::<Group>::read(&row), Err(StoreError::Corrupt(_))), "it is of another kind");
    }
}
