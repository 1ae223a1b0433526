-- Times are UTC milliseconds, ids are 16 bytes, names and digests are compared by their bytes.

create table tenants (
    id blob not null primary key,
    name text not null,
    guid blob not null unique,
    account_number text not null unique,
    created_at integer not null
) strict;

create table subscriptions (
    id blob not null primary key,
    tenant_id blob not null references tenants (id),
    name text not null,
    created_at integer not null
) strict;

create table resource_groups (
    id blob not null primary key,
    subscription_id blob not null references subscriptions (id),
    name text not null,
    created_at integer not null
) strict;

create table registries (
    id blob not null primary key,
    resource_group_id blob not null references resource_groups (id),
    name text not null,
    tier text not null,
    settings text not null,
    admin_epoch integer not null,
    created_at integer not null,
    updated_at integer not null,
    etag integer not null,
    deleted_at integer
) strict;
create unique index registries_live on registries (name) where deleted_at is null;

create table admin_passwords (
    registry_id blob not null references registries (id),
    slot integer not null check (slot in (1, 2)),
    id blob not null,
    hash blob not null,
    created_at integer not null,
    primary key (registry_id, slot)
) strict, without rowid;

-- One row. It counts changes of policy, and locking it serialises what must happen once per database.
create table policy (
    id integer not null primary key check (id = 1),
    generation integer not null
) strict;
insert into policy (id, generation) values (1, 1);

create table server_secrets (
    name text not null primary key,
    value blob not null
) strict, without rowid;

create table signing_keys (
    kid text not null primary key,
    algorithm text not null,
    private_key blob not null,
    certificate blob not null,
    created_at integer not null,
    active_at integer not null,
    retired_at integer
) strict;

-- A row with deleted_at is a tombstone: it tells until when tokens for the name are refused, and owns content that
-- collection has not removed yet.
create table repositories (
    id blob not null primary key,
    registry_id blob not null references registries (id),
    name text not null,
    delete_enabled integer not null default 1,
    write_enabled integer not null default 1,
    read_enabled integer not null default 1,
    list_enabled integer not null default 1,
    created_at integer not null,
    updated_at integer not null,
    deleted_at integer
) strict;
create unique index repositories_live on repositories (registry_id, name) where deleted_at is null;
create index repositories_by_name on repositories (registry_id, name, deleted_at);

create table blobs (
    digest text not null primary key,
    key text not null,
    size integer not null
) strict, without rowid;

create table blob_links (
    repository_id blob not null references repositories (id),
    digest text not null references blobs (digest),
    primary key (repository_id, digest)
) strict, without rowid;
create index blob_links_by_digest on blob_links (digest);

create table uploads (
    id blob not null primary key,
    registry_id blob not null,
    repository text not null,
    principal text not null,
    key text not null,
    received integer not null,
    state blob not null,
    version integer not null,
    created_at integer not null,
    updated_at integer not null
) strict;
create index uploads_by_age on uploads (updated_at);

create table manifests (
    repository_id blob not null references repositories (id),
    digest text not null,
    media_type text not null,
    artifact_type text,
    config_media_type text,
    subject text,
    annotations text,
    size integer not null,
    image_size integer not null,
    architecture text,
    os text,
    delete_enabled integer not null default 1,
    write_enabled integer not null default 1,
    read_enabled integer not null default 1,
    list_enabled integer not null default 1,
    created_at integer not null,
    updated_at integer not null,
    body blob not null,
    primary key (repository_id, digest)
) strict;
create index manifests_by_subject on manifests (repository_id, subject, digest) where subject is not null;
create index manifests_locked on manifests (repository_id, digest) where (delete_enabled = false or write_enabled = false);

create table manifest_refs (
    repository_id blob not null,
    manifest_digest text not null,
    kind text not null check (kind in ('blob', 'manifest')),
    ref_digest text not null,
    primary key (repository_id, manifest_digest, kind, ref_digest),
    foreign key (repository_id, manifest_digest) references manifests (repository_id, digest)
) strict, without rowid;
create index manifest_refs_by_ref on manifest_refs (repository_id, ref_digest, kind, manifest_digest);

create table tags (
    repository_id blob not null,
    name text not null,
    digest text not null,
    delete_enabled integer not null default 1,
    write_enabled integer not null default 1,
    read_enabled integer not null default 1,
    list_enabled integer not null default 1,
    created_at integer not null,
    updated_at integer not null,
    primary key (repository_id, name),
    foreign key (repository_id, digest) references manifests (repository_id, digest)
) strict, without rowid;
create index tags_by_digest on tags (repository_id, digest, name);
create index tags_locked on tags (repository_id, name) where (delete_enabled = false or write_enabled = false);

-- What collection looks at, and when. A queue's row may outlive what it names; looking at it then drops it.
create table link_reviews (
    repository_id blob not null,
    digest text not null,
    due_at integer not null,
    primary key (repository_id, digest)
) strict, without rowid;
create index link_reviews_due on link_reviews (due_at);

create table blob_reviews (
    digest text not null primary key,
    due_at integer not null
) strict, without rowid;
create index blob_reviews_due on blob_reviews (due_at);

create table repository_reviews (
    repository_id blob not null primary key,
    due_at integer not null
) strict, without rowid;
create index repository_reviews_due on repository_reviews (due_at);

create table registry_reviews (
    registry_id blob not null primary key,
    due_at integer not null
) strict, without rowid;
create index registry_reviews_due on registry_reviews (due_at);

create table dead_objects (
    key text not null primary key,
    upload_state blob
) strict, without rowid;
