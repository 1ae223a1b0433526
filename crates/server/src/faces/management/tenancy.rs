//! Tenants, subscriptions and resource groups.

use shorepass_control::{Listed, Made, Named, ResourceGroupView, SubscriptionView, TenantView};

use super::reply::{Gone, Json, Shown};
use super::{Managing, Problem};

type Answered<T> = Result<T, Problem>;

pub async fn list(call: &Managing, (): ()) -> Answered<Listed<TenantView>> {
    Ok(call.control().tenants(&call.actor, &call.page()?).await?)
}

pub async fn create(call: &Managing, Json(new): Json<Named>) -> Answered<Made<TenantView>> {
    Ok(call.control().create_tenant(&call.actor, new).await?)
}

pub async fn show(call: &Managing, (): ()) -> Answered<Shown<TenantView>> {
    Ok(Shown(call.control().tenant(&call.actor, call.tenant()).await?))
}

pub async fn rename(call: &Managing, Json(new): Json<Named>) -> Answered<Shown<TenantView>> {
    Ok(Shown(call.control().rename_tenant(&call.actor, call.tenant(), new).await?))
}

pub async fn delete(call: &Managing, (): ()) -> Answered<Gone> {
    call.control().delete_tenant(&call.actor, call.tenant()).await?;
    Ok(Gone)
}

fn subscription(call: &Managing) -> &str {
    call.parameter("subscription")
}

pub async fn list_subscriptions(call: &Managing, (): ()) -> Answered<Listed<SubscriptionView>> {
    Ok(call.control().subscriptions(&call.actor, call.tenant(), &call.page()?).await?)
}

pub async fn create_subscription(call: &Managing, Json(new): Json<Named>) -> Answered<Made<SubscriptionView>> {
    Ok(call.control().create_subscription(&call.actor, call.tenant(), new).await?)
}

pub async fn show_subscription(call: &Managing, (): ()) -> Answered<Shown<SubscriptionView>> {
    Ok(Shown(call.control().subscription(&call.actor, call.tenant(), subscription(call)).await?))
}

pub async fn rename_subscription(call: &Managing, Json(new): Json<Named>) -> Answered<Shown<SubscriptionView>> {
    Ok(Shown(call.control().rename_subscription(&call.actor, call.tenant(), subscription(call), new).await?))
}

pub async fn delete_subscription(call: &Managing, (): ()) -> Answered<Gone> {
    call.control().delete_subscription(&call.actor, call.tenant(), subscription(call)).await?;
    Ok(Gone)
}

fn group(call: &Managing) -> &str {
    call.parameter("resourceGroup")
}

pub async fn list_groups(call: &Managing, (): ()) -> Answered<Listed<ResourceGroupView>> {
    Ok(call.control().resource_groups(&call.actor, call.tenant(), subscription(call), &call.page()?).await?)
}

pub async fn create_group(call: &Managing, Json(new): Json<Named>) -> Answered<Made<ResourceGroupView>> {
    Ok(call.control().create_resource_group(&call.actor, call.tenant(), subscription(call), new).await?)
}

pub async fn show_group(call: &Managing, (): ()) -> Answered<Shown<ResourceGroupView>> {
    Ok(Shown(call.control().resource_group(&call.actor, call.tenant(), subscription(call), group(call)).await?))
}

pub async fn rename_group(call: &Managing, Json(new): Json<Named>) -> Answered<Shown<ResourceGroupView>> {
    let (control, subscription) = (call.control(), subscription(call));
    Ok(Shown(control.rename_resource_group(&call.actor, call.tenant(), subscription, group(call), new).await?))
}

pub async fn delete_group(call: &Managing, (): ()) -> Answered<Gone> {
    call.control().delete_resource_group(&call.actor, call.tenant(), subscription(call), group(call)).await?;
    Ok(Gone)
}
