//! From columns to the rows of the rest of the house.

use std::str::FromStr;

use shorepass_core::{Digest, Timestamp};
use sqlx::Row as _;

use super::{Fault, Row, Sql};
use crate::rows::{BlobRow, Locks, ManifestRow, RepositoryRow, TagRow};

macro_rules! lock_columns {
    ($table:literal) => {
        concat!(
            $table,
            ".delete_enabled, ",
            $table,
            ".write_enabled, ",
            $table,
            ".read_enabled, ",
            $table,
            ".list_enabled"
        )
    };
}

/// Sets what of a `LocksPatch`, bound as $3 to $6, is not null.
macro_rules! patch_locks {
    () => {
        "delete_enabled = coalesce($3, delete_enabled), write_enabled = coalesce($4, write_enabled), \
         read_enabled = coalesce($5, read_enabled), list_enabled = coalesce($6, list_enabled)"
    };
}

macro_rules! repository_columns {
    () => {
        concat!("r.id, r.registry_id, r.name, ", lock_columns!("r"), ", r.created_at, r.updated_at")
    };
}

macro_rules! tag_columns {
    () => {
        concat!("t.name, t.digest, ", lock_columns!("t"), ", t.created_at, t.updated_at")
    };
}

/// Binds a `LocksPatch` for `patch_locks!`; call it with $1 and $2 bound.
macro_rules! bind_patch {
    ($query:expr, $patch:expr) => {
        $query
            .bind($patch.delete_enabled)
            .bind($patch.write_enabled)
            .bind($patch.read_enabled)
            .bind($patch.list_enabled)
    };
}

/// A text that was valid when it was written.
pub(super) fn parsed<T: FromStr>(row: &Row, column: &'static str) -> Sql<T> {
    let text: String = row.try_get(column)?;
    text.parse().map_err(|_| Fault::corrupt(column))
}

pub(super) fn parsed_opt<T: FromStr>(row: &Row, column: &'static str) -> Sql<Option<T>> {
    let text: Option<String> = row.try_get(column)?;
    text.map(|text| text.parse().map_err(|_| Fault::corrupt(column))).transpose()
}

pub(super) fn time(row: &Row, column: &'static str) -> Sql<Timestamp> {
    Ok(Timestamp::from_millis(row.try_get(column)?))
}

pub(super) fn locks(row: &Row) -> Sql<Locks> {
    Ok(Locks {
        delete_enabled: row.try_get("delete_enabled")?,
        write_enabled: row.try_get("write_enabled")?,
        read_enabled: row.try_get("read_enabled")?,
        list_enabled: row.try_get("list_enabled")?,
    })
}

/// Whether deletion is allowed: what must not be written must not be deleted either.
pub(super) fn deletable(locks: Locks) -> bool {
    locks.delete_enabled && locks.write_enabled
}

pub(super) fn repository(row: &Row) -> Sql<RepositoryRow> {
    Ok(RepositoryRow {
        id: row.try_get("id")?,
        registry_id: row.try_get("registry_id")?,
        name: parsed(row, "name")?,
        locks: locks(row)?,
        created_at: time(row, "created_at")?,
        updated_at: time(row, "updated_at")?,
    })
}

pub(super) fn tag(row: &Row) -> Sql<TagRow> {
    Ok(TagRow {
        name: parsed(row, "name")?,
        digest: parsed(row, "digest")?,
        locks: locks(row)?,
        created_at: time(row, "created_at")?,
        updated_at: time(row, "updated_at")?,
    })
}

pub(super) fn blob(row: &Row, digest: &Digest) -> Sql<BlobRow> {
    Ok(BlobRow { digest: digest.clone(), key: row.try_get("key")?, size: row.try_get("size")? })
}

pub(super) fn manifest(row: &Row) -> Sql<ManifestRow> {
    Ok(ManifestRow {
        digest: parsed(row, "digest")?,
        media_type: row.try_get("media_type")?,
        artifact_type: row.try_get("artifact_type")?,
        config_media_type: row.try_get("config_media_type")?,
        subject: parsed_opt(row, "subject")?,
        annotations: row.try_get("annotations")?,
        image_size: row.try_get("image_size")?,
        architecture: row.try_get("architecture")?,
        os: row.try_get("os")?,
        body: row.try_get("body")?,
        locks: locks(row)?,
        quarantine_state: row.try_get("quarantine_state")?,
        created_at: time(row, "created_at")?,
        updated_at: time(row, "updated_at")?,
    })
}

/// A page's size as SQL shall see it: SQLite reads a negative limit as none.
pub(super) fn page(limit: i64) -> i64 {
    limit.max(0)
}
