//! Scopes as texts: `/tenants/t`, `/subscriptions/s`, `/subscriptions/s/resourceGroups/g`, `/registries/r`,
//! `/registries/r/repositories/name`, and Azure's long forms of the last two.

use shorepass_core::directory::AssignmentScope;
use shorepass_core::{RegistryName, RepositoryName};
use shorepass_store::rows::{RegistryRecord, ResourceGroupRow, SubscriptionRow, TenantRow};
use uuid::Uuid;

use crate::gate::{Place, shown};
use crate::{Actor, Control, ControlError, Result};

/// All tenants, subscriptions and resource groups: few, and read anew by whoever translates.
#[derive(Debug)]
pub(crate) struct Tenancy {
    pub tenants: Vec<TenantRow>,
    pub subscriptions: Vec<SubscriptionRow>,
    pub groups: Vec<ResourceGroupRow>,
}

/// A scope that exists, with the tenant it is in.
#[derive(Debug, Clone)]
pub(crate) struct Located {
    pub place: Place,
    pub tenant: Uuid,
}

impl Tenancy {
    pub fn tenant(&self, id: Uuid) -> Option<&TenantRow> {
        self.tenants.iter().find(|tenant| tenant.id == id)
    }

    /// By id or name; a name that several tenants have does not say which, unless one of them is `home`.
    pub fn subscription(&self, home: Option<Uuid>, said: &str) -> Option<&SubscriptionRow> {
        if let Ok(id) = said.parse::<Uuid>() {
            return self.subscriptions.iter().find(|subscription| subscription.id == id);
        }
        let named = || self.subscriptions.iter().filter(|row| row.name.eq_ignore_ascii_case(said));
        let at_home = named().find(|row| Some(row.tenant_id) == home);
        at_home.or_else(|| named().next().filter(|_| named().nth(1).is_none()))
    }

    pub fn group(&self, subscription: Uuid, said: &str) -> Option<&ResourceGroupRow> {
        let id = said.parse::<Uuid>().ok();
        self.groups
            .iter()
            .filter(|group| group.subscription_id == subscription)
            .find(|group| group.name.eq_ignore_ascii_case(said) || Some(group.id) == id)
    }

    pub fn tenant_of_subscription(&self, id: Uuid) -> Option<Uuid> {
        self.subscriptions.iter().find(|row| row.id == id).map(|row| row.tenant_id)
    }
}

/// The parts of a scope's text.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Said<'a> {
    Tenant(&'a str),
    Subscription(&'a str),
    ResourceGroup(&'a str, &'a str),
    Registry(RegistryName),
    Repository(RegistryName, RepositoryName),
}

fn parse(text: &str) -> Result<Said<'_>> {
    let form = || {
        ControlError::Invalid(format!(
            "`{}` is no scope: write `/tenants/t`, `/subscriptions/s`, `/subscriptions/s/resourceGroups/g`, `/registries/r` or `/registries/r/repositories/name`",
            shown(text)
        ))
    };
    let parts: Vec<&str> = text.trim_matches('/').split('/').collect();
    let is = |word: &str, expected: &str| word.eq_ignore_ascii_case(expected);
    let registry = |name: &str| name.parse::<RegistryName>().map_err(|error| ControlError::Invalid(error.to_string()));
    let repository = |rest: &[&str]| {
        rest.join("/").parse::<RepositoryName>().map_err(|error| ControlError::Invalid(error.to_string()))
    };
    // Azure's long form names the resource group too; a registry's name is enough to find it.
    let short = match parts.as_slice() {
        [s, _, g, _, p, provider, rest @ ..]
            if is(s, "subscriptions")
                && is(g, "resourceGroups")
                && is(p, "providers")
                && is(provider, "Microsoft.ContainerRegistry") =>
        {
            rest
        }
        all => all,
    };
    match short {
        [word, tenant] if is(word, "tenants") => Ok(Said::Tenant(tenant)),
        [word, subscription] if is(word, "subscriptions") => Ok(Said::Subscription(subscription)),
        [s, subscription, g, group] if is(s, "subscriptions") && is(g, "resourceGroups") => {
            Ok(Said::ResourceGroup(subscription, group))
        }
        [word, name] if is(word, "registries") => Ok(Said::Registry(registry(name)?)),
        [word, name, r, rest @ ..] if is(word, "registries") && is(r, "repositories") => {
            Ok(Said::Repository(registry(name)?, repository(rest)?))
        }
        _ => Err(form()),
    }
}

impl Control {
    pub(crate) async fn tenancy(&self) -> Result<Tenancy> {
        Ok(Tenancy {
            tenants: self.store.tenants().await?,
            subscriptions: self.store.subscriptions().await?,
            groups: self.store.resource_groups().await?,
        })
    }

    /// The scope a text names.
    ///
    /// # Errors
    /// [`ControlError::Invalid`] for what is no scope; [`ControlError::NotFound`], in the words that are also used when the
    /// caller may not know of it.
    pub(crate) async fn locate(&self, actor: &Actor, text: &str) -> Result<Located> {
        let said = parse(text)?;
        if let Said::Tenant(name) = said {
            let tenant = self.tenant_named(actor, name).await?.id;
            return Ok(Located { place: Place::tenant(tenant, name), tenant });
        }
        if let Said::Registry(name) | Said::Repository(name, _) = &said {
            let record = self.find(name).await?;
            let mut place = Place::registry(record.registry.id, name);
            if let Said::Repository(_, repository) = &said {
                place.scope = AssignmentScope::Repository { registry: record.registry.id, name: repository.clone() };
            }
            return Ok(Located { place, tenant: record.tenant_id });
        }
        let (tenancy, home) = (self.tenancy().await?, self.home_of(actor)?);
        let (subscription_said, group_said) = match said {
            Said::ResourceGroup(subscription, group) => (subscription, Some(group)),
            Said::Subscription(subscription) => (subscription, None),
            Said::Tenant(_) | Said::Registry(_) | Said::Repository(..) => {
                return Err(ControlError::Invalid(format!("`{}` is no scope", shown(text))));
            }
        };
        let words = format!("subscription `{}`", shown(subscription_said));
        let subscription = tenancy.subscription(home, subscription_said).ok_or_else(|| Place::missing(&words))?;
        let tenant = subscription.tenant_id;
        let Some(group_said) = group_said else {
            let scope = AssignmentScope::Subscription { id: subscription.id };
            return Ok(Located { place: Place { scope, said: words }, tenant });
        };
        let words = format!("resource group `{}`", shown(group_said));
        let group = tenancy.group(subscription.id, group_said).ok_or_else(|| Place::missing(&words))?;
        Ok(Located { place: Place { scope: AssignmentScope::ResourceGroup { id: group.id }, said: words }, tenant })
    }

    /// How a scope is shown; what no longer exists is shown by its id.
    pub(crate) fn scope_text(&self, tenancy: &Tenancy, scope: &AssignmentScope) -> Result<String> {
        Ok(match scope {
            AssignmentScope::Tenant { id } => {
                let name = tenancy.tenant(*id).map_or_else(|| id.to_string(), |tenant| tenant.name.clone());
                format!("/tenants/{name}")
            }
            AssignmentScope::Subscription { id } => format!("/subscriptions/{id}"),
            AssignmentScope::ResourceGroup { id } => match tenancy.groups.iter().find(|group| group.id == *id) {
                Some(group) => format!("/subscriptions/{}/resourceGroups/{}", group.subscription_id, group.name),
                None => format!("/resourceGroups/{id}"),
            },
            AssignmentScope::Registry { id } => format!("/registries/{}", self.registry_text(*id)?),
            AssignmentScope::Repository { registry, name } => {
                format!("/registries/{}/repositories/{name}", self.registry_text(*registry)?)
            }
        })
    }

    fn registry_text(&self, id: Uuid) -> Result<String> {
        let record = self.directory.by_id(id)?;
        Ok(record.map_or_else(|| id.to_string(), |record| record.registry.name.to_string()))
    }
}

/// The scopes above one, itself included.
pub(crate) fn upward(record: Option<&RegistryRecord>, tenancy: &Tenancy, located: &Located) -> Vec<AssignmentScope> {
    let mut scopes = vec![AssignmentScope::Tenant { id: located.tenant }];
    let group = |id: Uuid| tenancy.groups.iter().find(|group| group.id == id);
    match &located.place.scope {
        AssignmentScope::Tenant { .. } => return scopes,
        AssignmentScope::Subscription { .. } => {}
        AssignmentScope::ResourceGroup { id } => {
            scopes.extend(group(*id).map(|group| AssignmentScope::Subscription { id: group.subscription_id }));
        }
        AssignmentScope::Registry { .. } | AssignmentScope::Repository { .. } => {
            if let Some(record) = record {
                scopes.push(AssignmentScope::Subscription { id: record.subscription_id });
                scopes.push(AssignmentScope::ResourceGroup { id: record.registry.resource_group_id });
            }
        }
    }
    if let AssignmentScope::Repository { registry, .. } = &located.place.scope {
        scopes.push(AssignmentScope::Registry { id: *registry });
    }
    scopes.push(located.place.scope.clone());
    scopes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn short_and_long_forms_name_the_same() {
        let registry: RegistryName = "prod1".parse().unwrap();
        let long = "/subscriptions/S/resourcegroups/G/providers/microsoft.containerregistry/registries/PROD1";
        for text in ["/registries/prod1", "registries/Prod1/", long] {
            assert_eq!(parse(text).unwrap(), Said::Registry(registry.clone()), "{text}");
        }
        let repository = Said::Repository(registry, "team/app/x".parse().unwrap());
        assert_eq!(parse("/registries/prod1/repositories/team/app/x").unwrap(), repository);
        assert_eq!(parse(&format!("{long}/repositories/team/app/x")).unwrap(), repository);
        assert_eq!(parse("/subscriptions/a/resourceGroups/b").unwrap(), Said::ResourceGroup("a", "b"));
        assert_eq!(parse("/tenants/a").unwrap(), Said::Tenant("a"));
    }

    #[test]
    fn anything_else_is_refused() {
        for bad in ["", "/", "/tenants", "/registries/x", "/registries/prod1/repositories/", "/registries/prod1/tags/x"]
        {
            assert!(parse(bad).is_err(), "{bad}");
        }
    }
}
