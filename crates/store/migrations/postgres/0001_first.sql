-- Times are UTC milliseconds, names and digests are compared by their bytes (`collate "C"`).

create table tenants (
    id uuid not null primary key,
    name text collate "C" not null,
    guid uuid not null unique,
    account_number text not null unique,
    created_at bigint not null
);

create table subscriptions (
    id uuid not null primary key,
    tenant_id uuid not null references tenants (id),
    name text collate "C" not null,
    created_at bigint not null
);

create table resource_groups (
    id uuid not null primary key,
    subscription_id uuid not null references subscriptions (id),
    name text collate "C" not null,
    created_at bigint not null
);

create table registries (
    id uuid not null primary key,
    resource_group_id uuid not null references resource_groups (id),
    name text collate "C" not null,
    tier text not null,
    settings text not null,
    admin_epoch bigint not null,
    created_at bigint not null,
    updated_at bigint not null,
    etag bigint not null,
    deleted_at bigint
);
create unique index registries_live on registries (name) where deleted_at is null;

create table admin_passwords (
    registry_id uuid not null references registries (id),
    slot smallint not null check (slot in (1, 2)),
    id uuid not null,
    hash bytea not null,
    created_at bigint not null,
    primary key (registry_id, slot)
);

-- One row. It counts changes of policy, and locking it serialises what must happen once per database.
create table policy (
    id smallint not null primary key check (id = 1),
    generation bigint not null
);
insert into policy (id, generation) values (1, 1);

create table server_secrets (
    name text collate "C" not null primary key,
    value bytea not null
);

create table signing_keys (
    kid text collate "C" not null primary key,
    algorithm text not null,
    private_key bytea not null,
    certificate bytea not null,
    created_at bigint not null,
    active_at bigint not null,
    retired_at bigint
);

-- A row with deleted_at is a tombstone: it tells until when tokens for the name are refused, and owns content that
-- collection has not removed yet.
create table repositories (
    id uuid not null primary key,
    registry_id uuid not null references registries (id),
    name text collate "C" not null,
    delete_enabled boolean not null default true,
    write_enabled boolean not null default true,
    read_enabled boolean not null default true,
    list_enabled boolean not null default true,
    created_at bigint not null,
    updated_at bigint not null,
    deleted_at bigint
);
create unique index repositories_live on repositories (registry_id, name) where deleted_at is null;
create index repositories_by_name on repositories (registry_id, name, deleted_at);

create table blobs (
    digest text collate "C" not null primary key,
    key text collate "C" not null,
    size bigint not null
);

create table blob_links (
    repository_id uuid not null references repositories (id),
    digest text collate "C" not null references blobs (digest),
    primary key (repository_id, digest)
);
create index blob_links_by_digest on blob_links (digest);

create table uploads (
    id uuid not null primary key,
    registry_id uuid not null,
    repository text collate "C" not null,
    principal text not null,
    key text collate "C" not null,
    received bigint not null,
    state bytea not null,
    version bigint not null,
    created_at bigint not null,
    updated_at bigint not null
);
create index uploads_by_age on uploads (updated_at);

create table manifests (
    repository_id uuid not null references repositories (id),
    digest text collate "C" not null,
    media_type text not null,
    artifact_type text,
    config_media_type text,
    subject text collate "C",
    annotations text,
    size bigint not null,
    image_size bigint not null,
    architecture text,
    os text,
    delete_enabled boolean not null default true,
    write_enabled boolean not null default true,
    read_enabled boolean not null default true,
    list_enabled boolean not null default true,
    created_at bigint not null,
    updated_at bigint not null,
    body bytea not null,
    primary key (repository_id, digest)
);
create index manifests_by_subject on manifests (repository_id, subject, digest) where subject is not null;
create index manifests_locked on manifests (repository_id, digest) where (delete_enabled = false or write_enabled = false);

create table manifest_refs (
    repository_id uuid not null,
    manifest_digest text collate "C" not null,
    kind text not null check (kind in ('blob', 'manifest')),
    ref_digest text collate "C" not null,
    primary key (repository_id, manifest_digest, kind, ref_digest),
    foreign key (repository_id, manifest_digest) references manifests (repository_id, digest)
);
create index manifest_refs_by_ref on manifest_refs (repository_id, ref_digest, kind, manifest_digest);

create table tags (
    repository_id uuid not null,
    name text collate "C" not null,
    digest text collate "C" not null,
    delete_enabled boolean not null default true,
    write_enabled boolean not null default true,
    read_enabled boolean not null default true,
    list_enabled boolean not null default true,
    created_at bigint not null,
    updated_at bigint not null,
    primary key (repository_id, name),
    foreign key (repository_id, digest) references manifests (repository_id, digest)
);
create index tags_by_digest on tags (repository_id, digest, name);
create index tags_locked on tags (repository_id, name) where (delete_enabled = false or write_enabled = false);

-- What collection looks at, and when. A queue's row may outlive what it names; looking at it then drops it.
create table link_reviews (
    repository_id uuid not null,
    digest text collate "C" not null,
    due_at bigint not null,
    primary key (repository_id, digest)
);
create index link_reviews_due on link_reviews (due_at);

create table blob_reviews (
    digest text collate "C" not null primary key,
    due_at bigint not null
);
create index blob_reviews_due on blob_reviews (due_at);

create table repository_reviews (
    repository_id uuid not null primary key,
    due_at bigint not null
);
create index repository_reviews_due on repository_reviews (due_at);

create table registry_reviews (
    registry_id uuid not null primary key,
    due_at bigint not null
);
create index registry_reviews_due on registry_reviews (due_at);

create table dead_objects (
    key text collate "C" not null primary key,
    upload_state bytea
);
