//! What a new server begins with: one tenant, subscription, resource group and registry.

use shorepass_core::{Clock, Random, RegistryName, new_id};
use shorepass_store::rows::{RegistryRow, RegistrySettings, ResourceGroupRow, SubscriptionRow, TenantRow, Tier};
use shorepass_store::{MetaStore, StoreError};
use uuid::Uuid;

/// The name of the registry that every server has from the start.
pub const DEFAULT_REGISTRY: &str = "default";

/// Creates what a new server begins with; `true` when this was its first start.
///
/// # Errors
/// The store.
pub async fn bootstrap(store: &dyn MetaStore, clock: &dyn Clock, random: &dyn Random) -> Result<bool, StoreError> {
    let now = clock.now();
    let (tenant_id, subscription_id) = (new_id(clock, random), new_id(clock, random));
    let mut bytes = [0; 16];
    random.fill(&mut bytes);
    let tenant = TenantRow {
        id: tenant_id,
        name: DEFAULT_REGISTRY.to_owned(),
        guid: uuid::Builder::from_random_bytes(bytes).into_uuid(),
        account_number: account_number(random),
        created_at: now,
    };
    let subscription =
        SubscriptionRow { id: subscription_id, tenant_id, name: DEFAULT_REGISTRY.to_owned(), created_at: now };
    let group = ResourceGroupRow {
        id: new_id(clock, random),
        subscription_id,
        name: DEFAULT_REGISTRY.to_owned(),
        created_at: now,
    };
    let Ok(name) = DEFAULT_REGISTRY.parse() else { return Ok(false) };
    let registry = new_registry(name, group.id, Tier::Premium, new_id(clock, random), now);
    store.bootstrap(&tenant, &subscription, &group, &registry).await
}

pub fn new_registry(
    name: RegistryName,
    resource_group_id: Uuid,
    tier: Tier,
    id: Uuid,
    now: shorepass_core::Timestamp,
) -> RegistryRow {
    RegistryRow {
        id,
        resource_group_id,
        name,
        tier,
        settings: RegistrySettings::default(),
        admin_epoch: 0,
        created_at: now,
        updated_at: now,
        etag: 1,
    }
}

/// 16 decimal digits, the first not zero: the form of an Alibaba Cloud account.
pub(crate) fn account_number(random: &dyn Random) -> String {
    let mut bytes = [0; 8];
    random.fill(&mut bytes);
    (1_000_000_000_000_000 + u64::from_le_bytes(bytes) % 9_000_000_000_000_000).to_string()
}
