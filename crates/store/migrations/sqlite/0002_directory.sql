-- Names below one parent are unique without case: that of ASCII letters, which is all that SQLite's `lower` knows.

create unique index tenants_by_name on tenants (lower(name));
create unique index subscriptions_by_name on subscriptions (tenant_id, lower(name));
create unique index resource_groups_by_name on resource_groups (subscription_id, lower(name));
create index registries_by_group on registries (resource_group_id);

create table resources (
    id blob not null primary key,
    kind text not null,
    parent blob not null,
    name text not null,
    body text not null,
    etag integer not null,
    created_at integer not null,
    updated_at integer not null
) strict;
create unique index resources_by_name on resources (parent, kind, lower(name));

-- One row per written resource, numbered by the policy's generation, with the number of its transaction's last.
create table resource_changes (
    generation integer not null primary key,
    transaction_end integer not null,
    resource_id blob not null
) strict;

create table grants (
    kind text not null,
    key_hash blob not null,
    body text not null,
    version integer not null,
    expires_at integer not null,
    primary key (kind, key_hash)
) strict;
create index grants_by_end on grants (expires_at);

alter table manifests add column quarantine_state text;
