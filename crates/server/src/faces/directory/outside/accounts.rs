//! The user that an outside identity is, and the groups its provider says it is in: read anew at every sign-in, so that
//! what was taken away there is gone here.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use shorepass_core::CredentialKind;
use shorepass_core::directory::{
    Document as _, ExternalIdentity, Group, Membership, PrincipalKind, PrincipalRef, User,
};
use shorepass_identity::VerifiedToken;
use shorepass_store::resources::{Resource, Write, Written};
use uuid::Uuid;

use super::Partner;
use crate::faces::directory::asking::Asking;
use crate::faces::directory::error::OAuthError;
use crate::faces::directory::grants::SignedIn;
use crate::faces::directory::local;
use crate::faces::directory::pages::Refused;
use crate::faces::directory::provider::s256;

/// How long a sign-in through a provider is good for: its word about groups is no older than this.
const SESSION: Duration = Duration::from_secs(12 * 60 * 60);

/// How often is begun anew when somebody else wrote at the same moment.
const ATTEMPTS: usize = 3;

const MAX_DISPLAY_NAME: usize = 200;

/// Of a name the part that may be the provider's; the issuer's name and a digest come behind it.
const MAX_NAME: usize = 64;

/// The user of this identity, with the groups that the token names and no others.
pub async fn adopt(call: &Asking, partner: &Partner, token: &VerifiedToken) -> Result<SignedIn, Refused> {
    if token.subject.chars().any(char::is_control) {
        return Err(Refused::bad_request("The provider's name for this person holds control characters."));
    }
    for _ in 0..ATTEMPTS {
        if let Some(user) = attempt(call, partner, token).await? {
            // Not `FederatedToken`: that stands and falls with a federated credential, this with the issuer.
            let who = local::signed_in(call, &user, CredentialKind::IdentityToken, Some(&partner.issuer.name))?;
            let session = call.provider().clock.now().plus(SESSION);
            return Ok(SignedIn { not_after: Some(session), ..who });
        }
    }
    Err(OAuthError::unavailable("Somebody else changed this account at the same moment. Try again.").into())
}

/// `None` when somebody else was faster.
async fn attempt(
    call: &Asking,
    partner: &Partner,
    token: &VerifiedToken,
) -> Result<Option<Resource<User>>, OAuthError> {
    let Found { mut user, is_new } = stored_or_new(call, partner, token).await?;
    let groups = Groups::of(call, partner, token)?;
    let mut writes = Vec::new();
    let lost = groups.align(call, &user, &mut writes).await?;
    let (gained, name) = (writes.len() - lost, display_name(token));
    if is_new {
        writes.insert(0, Write::Create(user.row()?));
    } else if !writes.is_empty() || user.document.display_name != name {
        user.document.display_name = name;
        // Tokens issued before carry the old number, and are void.
        user.document.epoch += i64::from(lost > 0);
        user.updated_at = call.provider().clock.now();
        // Also where nothing about the user changes: it must still be there when it gets a membership.
        writes.insert(0, Write::Update(user.row()?));
    }
    if !writes.is_empty() {
        let Written::Done { .. } = call.provider().store.write_resources(&writes).await? else { return Ok(None) };
        call.app.directory.refresh().await?;
        let detail = json!({"issuer": partner.issuer.name, "groupsGained": gained, "groupsLost": lost});
        call.changed(if is_new { "user.create" } else { "user.update" }, user.id, detail).await?;
    }
    Ok(Some(user))
}

struct Found {
    user: Resource<User>,
    is_new: bool,
}

async fn stored_or_new(call: &Asking, partner: &Partner, token: &VerifiedToken) -> Result<Found, OAuthError> {
    let identity = ExternalIdentity { issuer: partner.issuer.id, subject: token.subject.clone() };
    let tenant = partner.issuer.parent;
    let known = call.policy(|state| state.user_by_external(tenant, &identity).map(|user| user.id))?;
    if let Some(id) = known
        && let Some(row) = call.provider().store.resource(id).await?
    {
        return Ok(Found { user: Resource::read(&row)?, is_new: false });
    }
    let document = User {
        display_name: display_name(token),
        enabled: true,
        password_hash: None,
        external: Some(identity),
        invitation: None,
        epoch: 0,
    };
    let name = free_name(call, partner, token)?;
    let user = Resource::new(call.app.new_id(), tenant, name, document, call.provider().clock.now());
    Ok(Found { user, is_new: true })
}

/// What the account is called: `<name at the provider>#<issuer>`. No other user's name holds a `#`, so nobody becomes
/// somebody else's namesake by what a provider calls him.
fn free_name(call: &Asking, partner: &Partner, token: &VerifiedToken) -> Result<String, OAuthError> {
    let text = |name: &str| token.claims.get(name).and_then(Value::as_str).filter(|text| !text.is_empty());
    let called = text("preferred_username").unwrap_or(&token.subject);
    let word = |c: char| if c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.' | '@' | '+') { c } else { '_' };
    let called: String = called.chars().take(MAX_NAME).map(word).collect();
    let name = format!("{called}#{}", partner.issuer.name);
    let taken = call.policy(|state| state.user_by_name(partner.issuer.parent, &name).is_some())?;
    if !taken {
        return Ok(name);
    }
    let digest: String = s256(&token.subject).chars().take(12).collect();
    Ok(format!("{called}-{digest}#{}", partner.issuer.name))
}

fn display_name(token: &VerifiedToken) -> String {
    let text = |name: &str| token.claims.get(name).and_then(Value::as_str).filter(|text| !text.is_empty());
    let name = text("name").or_else(|| text("preferred_username")).unwrap_or(&token.subject);
    name.chars().filter(|c| !c.is_control()).take(MAX_DISPLAY_NAME).collect()
}

/// The tenant's groups that are this provider's, and those among them that the token names.
struct Groups {
    all: Vec<Arc<Resource<Group>>>,
    named: HashSet<String>,
}

impl Groups {
    fn of(call: &Asking, partner: &Partner, token: &VerifiedToken) -> Result<Self, OAuthError> {
        let issuer = partner.issuer.id;
        let theirs = |group: &Group| group.external.as_ref().is_some_and(|external| external.issuer == issuer);
        let all = call.policy(|state| {
            state.groups(partner.issuer.parent).filter(|group| theirs(&group.document)).map(Arc::clone).collect()
        })?;
        let named = partner.client.groups_claim.as_ref().map(|claim| token.groups(claim)).unwrap_or_default();
        Ok(Self { all, named: named.into_iter().collect() })
    }

    /// Adds what makes the user's memberships those that the token names; answers how many are lost. A membership that
    /// somebody here gave is not touched.
    async fn align(&self, call: &Asking, user: &Resource<User>, writes: &mut Vec<Write>) -> Result<usize, OAuthError> {
        let member = PrincipalRef { kind: PrincipalKind::User, id: user.id };
        let mut lost = 0;
        for group in &self.all {
            let subject = group.document.external.as_ref().map(|external| external.subject.as_str());
            let wanted = subject.is_some_and(|subject| self.named.contains(subject));
            match (self.membership(call, group.id, user.id).await?, wanted) {
                (None, true) => {
                    let document = Membership { member, external: true };
                    let now = call.provider().clock.now();
                    let new = Resource::new(call.app.new_id(), group.id, user.id.to_string(), document, now);
                    writes.push(Write::Create(new.row()?));
                }
                (Some(membership), false) if membership.document.external => {
                    writes.push(Write::Delete { id: membership.id, etag: Some(membership.etag) });
                    lost += 1;
                }
                _ => {}
            }
        }
        Ok(lost)
    }

    async fn membership(
        &self,
        call: &Asking,
        group: Uuid,
        user: Uuid,
    ) -> Result<Option<Resource<Membership>>, OAuthError> {
        let row = call.provider().store.resource_by_name(Membership::KIND, group, &user.to_string()).await?;
        Ok(row.as_ref().map(Resource::read).transpose()?)
    }
}
