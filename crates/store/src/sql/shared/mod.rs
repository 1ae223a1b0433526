//! The store, written once and compiled for each database: `super` says which `Db` it is, how to begin, and what
//! `for_share!` and `for_update!` append to a query.

#[macro_use]
mod rows;
#[macro_use]
mod transactions;

mod blobs;
mod changes;
mod collect;
mod deletions;
mod grants;
mod keys;
mod manifests;
mod migrate;
mod purge;
mod put_manifest;
mod registries;
mod repositories;
mod resources;
mod store;
mod tags;
mod tenancy;
mod uploads;

use sqlx::Database;
use sqlx::query::Query;

use super::super::fault::Fault;
use super::{Db, Pools};

type Connection = <Db as Database>::Connection;
type Row = <Db as Database>::Row;

/// What a query inside a transaction answers.
type Sql<T> = Result<T, Fault>;

#[derive(Debug)]
pub(super) struct Store {
    pools: Pools,
}

impl Store {
    pub(super) fn new(pools: Pools) -> Self {
        Self { pools }
    }
}

fn query<'q>(text: &'static str) -> Query<'q, Db, <Db as Database>::Arguments> {
    sqlx::query(text)
}

/// Every query that a request or a step of collection waits for, for the test that each is an index range read.
#[cfg(test)]
pub(in super::super) const HOT: &[(&str, &str)] = &[
    ("registry", registries::BY_NAME),
    ("repository", repositories::LOOKUP),
    ("catalog", repositories::LIST),
    ("stats", repositories::STATS),
    ("locked tag", repositories::LOCKED_TAG),
    ("locked manifest", repositories::LOCKED_MANIFEST),
    ("blob", blobs::BY_LINK),
    ("mount source", blobs::MOUNT_SOURCE),
    ("blob in use", blobs::USED_BY),
    ("stale uploads", uploads::STALE),
    ("manifest by digest", manifests::BY_DIGEST),
    ("manifest by tag", manifests::BY_TAG),
    ("manifest summary", manifests::SUMMARY),
    ("manifests", manifests::LIST),
    ("referrers", manifests::REFERRERS),
    ("tag", tags::BY_NAME),
    ("tags", tags::LIST),
    ("locked tags of a manifest", deletions::LOCKED_TAG_OF),
    ("tags of a manifest", deletions::DELETE_TAGS_OF),
    ("links a manifest loses", deletions::REVIEW_LOST_LINKS),
    ("due links", collect::LINKS_DUE),
    ("due blobs", collect::BLOBS_DUE),
    ("unneeded link", collect::DELETE_UNNEEDED_LINK),
    ("unneeded blob", collect::DELETE_UNNEEDED_BLOB),
    ("due repositories", purge::REPOSITORIES_DUE),
    ("due registries", purge::REGISTRIES_DUE),
    ("first tags", purge::FIRST_TAGS),
    ("first manifests", purge::FIRST_MANIFESTS),
    ("first links", purge::FIRST_LINKS),
    ("delete first tags", purge::DELETE_TAGS),
    ("delete first refs", purge::DELETE_REFS),
    ("delete first manifests", purge::DELETE_MANIFESTS),
    ("delete first links", purge::DELETE_LINKS),
    ("delete first link reviews", purge::DELETE_LINK_REVIEWS),
    ("first live repositories", purge::DELETE_LIVE_REPOSITORIES),
    ("a repository left", purge::REPOSITORY_LEFT),
    ("dead objects", collect::DEAD_OBJECTS),
    ("resource", resources::BY_ID),
    ("resource by name", resources::BY_NAME),
    ("resources", resources::LIST),
    ("all resources", resources::ALL),
    ("first resources of a parent", resources::FIRST_OF),
    ("delete first resources of a parent", resources::DELETE_FIRST_OF),
    ("changed resources", changes::SINCE),
    ("old changes", changes::PRUNE),
    ("grant", grants::BY_KEY),
    ("expired grants", grants::EXPIRE),
];
