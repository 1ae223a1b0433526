-- Names below one parent are unique without case: that of ASCII letters, which is all that `lower` knows under "C".

create unique index tenants_by_name on tenants (lower(name));
create unique index subscriptions_by_name on subscriptions (tenant_id, lower(name));
create unique index resource_groups_by_name on resource_groups (subscription_id, lower(name));
create index registries_by_group on registries (resource_group_id);

create table resources (
    id uuid not null primary key,
    kind text collate "C" not null,
    parent uuid not null,
    name text collate "C" not null,
    body text not null,
    etag bigint not null,
    created_at bigint not null,
    updated_at bigint not null
);
create unique index resources_by_name on resources (parent, kind, lower(name));

-- One row per written resource, numbered by the policy's generation, with the number of its transaction's last.
create table resource_changes (
    generation bigint not null primary key,
    transaction_end bigint not null,
    resource_id uuid not null
);

create table grants (
    kind text collate "C" not null,
    key_hash bytea not null,
    body text not null,
    version bigint not null,
    expires_at bigint not null,
    primary key (kind, key_hash)
);
create index grants_by_end on grants (expires_at);

alter table manifests add column quarantine_state text;
