//! Device authorization (RFC 8628).

use http::StatusCode;
use serde_json::{Value, json};
use shorepass_core::{CredentialKind, EventKind, Outcome};

use super::asking::Asking;
use super::audience::Audience;
use super::error::OAuthError;
use super::grants::{Device, DeviceState, Grant as _, SignedIn, UserCode};
use super::pages::Refused;
use super::signing_in::{self, Browser, Purpose, Request};
use super::token::{self, required};
use super::{clients, pages, people};
use crate::call::Query;
use crate::respond::{self, Answer};

/// Seconds between two questions of a device.
const INTERVAL: u64 = 5;

/// Letters that are not taken for one another, and make no words (RFC 8628, 6.1).
const LETTERS: &[u8; 20] = b"BCDFGHJKLMNPQRSTVWXZ";

const CODE_LENGTH: usize = 8;

/// How often a code is drawn anew when it is taken: among 20^8 that is as good as never.
const DRAWS: usize = 5;

/// Begins: a code for the device, and one for the person.
pub async fn begin(call: &Asking, form: &Query) -> Result<Answer, OAuthError> {
    if let Some(name) = form.repeated(&["client_id", "scope"]) {
        return Err(OAuthError::invalid_request(format!("The parameter `{name}` is there more than once.")));
    }
    let client_id = clients::client_id(form)?;
    people::check_client(&client_id)?;
    let scope = required(form, "scope")?;
    Audience::of_scope(call, scope)?;
    let provider = call.provider();
    provider.beginnings.count(call.origin.peer).map_err(OAuthError::too_many)?;
    let device_code = provider.random_text();
    let device = Device {
        client_id,
        scope: scope.to_owned(),
        tenant: call.tenant.as_ref().map(|tenant| tenant.guid),
        state: DeviceState::Pending,
    };
    provider.put_grant(&device_code, &device).await?;
    let user_code = free_code(call, &device_code).await?;
    let page = call.url("device");
    Ok(respond::no_store(respond::json(
        StatusCode::OK,
        &json!({
            "device_code": device_code,
            "user_code": user_code,
            "verification_uri": page,
            "verification_uri_complete": format!("{page}?user_code={user_code}"),
            "expires_in": Device::LIFE.as_secs(),
            "interval": INTERVAL,
            "message": format!("To sign in, open {page} in a browser and enter the code {user_code}."),
        }),
    )))
}

async fn free_code(call: &Asking, device_code: &str) -> Result<String, OAuthError> {
    for _ in 0..DRAWS {
        let code = user_code(call);
        let grant = UserCode { device: call.provider().grant_key::<Device>(device_code) };
        if call.provider().put_grant(&plain(&code), &grant).await? {
            return Ok(code);
        }
    }
    Err(OAuthError::internal())
}

fn user_code(call: &Asking) -> String {
    let mut code = String::new();
    while code.len() < CODE_LENGTH + 1 {
        let mut bytes = [0; 16];
        call.provider().random.fill(&mut bytes);
        // 240 is the largest multiple of 20 in a byte: no letter is likelier than another.
        for byte in bytes.into_iter().filter(|byte| *byte < 240) {
            if code.len() == CODE_LENGTH / 2 {
                code.push('-');
            }
            if let (true, Some(letter)) = (code.len() <= CODE_LENGTH, LETTERS.get(usize::from(byte % 20))) {
                code.push(char::from(*letter));
            }
        }
    }
    code
}

/// A code as it was meant: people leave out the hyphen, add spaces, and type small letters.
fn plain(code: &str) -> String {
    code.chars()
        .filter(char::is_ascii_alphabetic)
        .map(|letter| letter.to_ascii_uppercase())
        .take(2 * CODE_LENGTH)
        .collect()
}

/// The device asks whether somebody has signed in.
pub async fn poll(call: &Asking, form: &Query) -> Result<Value, OAuthError> {
    let client_id = clients::client_id(form)?;
    people::check_client(&client_id)?;
    let (secret, provider) = (required(form, "device_code")?, call.provider());
    let found = provider.read_grant::<Device>(&provider.grant_key::<Device>(secret)).await?;
    let (device, _) = found.filter(|(device, _)| device.client_id == client_id).ok_or_else(|| {
        let message = "The device code has expired or was never issued. Begin again.";
        OAuthError::new(StatusCode::BAD_REQUEST, "expired_token", 70_020, message)
    })?;
    match device.state {
        DeviceState::Pending => Err(pending(call, secret)),
        DeviceState::Denied => {
            provider.take_grant::<Device>(secret).await?;
            Err(OAuthError::new(StatusCode::BAD_REQUEST, "access_denied", 65_004, "The sign-in was cancelled."))
        }
        DeviceState::Approved(_) => {
            // Once, however many ask at the same moment.
            let Some(Device { state: DeviceState::Approved(who), scope, .. }) = provider.take_grant(secret).await?
            else {
                return Err(OAuthError::invalid_grant(54_005, "The device code has been used. Begin again."));
            };
            let who = people::subject(call, &who, &client_id).await?;
            token::of_person(call, &who, &scope, None)
        }
    }
}

fn pending(call: &Asking, secret: &str) -> OAuthError {
    let (provider, now) = (call.provider(), call.app.clock.now());
    let key = provider.secrets.hash(&format!("poll\0{secret}"));
    let last = provider.polls.get(&key);
    provider.polls.insert(key, now);
    // A second less than the interval: the way here is not always equally long.
    if last.is_some_and(|last| now.since(last).as_secs() < INTERVAL - 1) {
        return OAuthError::new(
            StatusCode::BAD_REQUEST,
            "slow_down",
            70_016,
            "Asked too soon: wait 5 seconds longer each time.",
        );
    }
    OAuthError::new(StatusCode::BAD_REQUEST, "authorization_pending", 70_016, "Nobody has signed in with the code yet.")
}

/// The page where a person types the code.
pub fn page(call: &Asking) -> Answer {
    pages::device(call, call.query.get("user_code").unwrap_or_default(), None)
}

/// The code was typed.
pub async fn enter(call: &Asking, form: &Query) -> Result<Answer, Refused> {
    signing_in::from_own_page(call)?;
    let provider = call.provider();
    provider.wrong_codes.check(call.origin.peer).map_err(OAuthError::too_many)?;
    let typed = plain(form.get("user_code").unwrap_or_default());
    let Some((user_code, device)) = open(call, &typed).await? else {
        // Counted by source: who tries codes tries many.
        provider.wrong_codes.count(call.origin.peer).map_err(OAuthError::too_many)?;
        let refused = Refused::bad_request(
            "No device waits for this code. Look at the device again: a code lives for 15 minutes.",
        );
        return Ok(pages::device(call, "", Some(&refused)));
    };
    if !device.tenant.is_none_or(|tenant| call.serves(tenant)) {
        return Err(Refused::bad_request("The device asked for another tenant. Open the address that it shows."));
    }
    let browser = Browser::of(call);
    let request = Request::new(call, &browser, Purpose::Device { user_code });
    Ok(browser.remember(pages::sign_in(call, &request, "", None)?))
}

/// The code as it is shown, and the device that waits for it.
async fn open(call: &Asking, typed: &str) -> Result<Option<(String, Device)>, OAuthError> {
    let provider = call.provider();
    let code = provider.read_grant::<UserCode>(&provider.grant_key::<UserCode>(typed)).await?;
    let Some((code, _)) = code else { return Ok(None) };
    let device = provider.read_grant::<Device>(&code.device).await?;
    let shown = typed.split_at_checked(CODE_LENGTH / 2).map_or_else(String::new, |(one, two)| format!("{one}-{two}"));
    Ok(device.map(|(device, _)| (shown, device)))
}

/// A person has signed in for the device.
pub async fn approve(call: &Asking, user_code: &str, who: SignedIn) -> Result<Answer, Refused> {
    let principal = format!("user:{}", who.user);
    let kind = who.kind;
    settle(call, user_code, DeviceState::Approved(who)).await?;
    call.record(
        EventKind::Login,
        Outcome::Success,
        "connected a device",
        &principal,
        kind,
        Some(people::COMMAND_LINE_CLIENT),
    );
    Ok(pages::done("Connected", "The device is signed in as you. You can close this window."))
}

/// A person does not want the device to be signed in.
pub async fn deny(call: &Asking, user_code: &str) -> Result<Answer, Refused> {
    settle(call, user_code, DeviceState::Denied).await?;
    call.record(EventKind::Login, Outcome::Failure, "declined a device", "unknown", CredentialKind::None, None);
    Ok(pages::done("Cancelled", "The device was not signed in. You can close this window."))
}

/// Settles it, once: the person's code is used up.
async fn settle(call: &Asking, user_code: &str, state: DeviceState) -> Result<(), Refused> {
    let provider = call.provider();
    let code: UserCode = provider.take_grant(&plain(user_code)).await?.ok_or_else(Refused::stale)?;
    let (device, row) = provider.read_grant::<Device>(&code.device).await?.ok_or_else(Refused::stale)?;
    let settled = provider.update_grant(row, &Device { state, ..device }).await?;
    if settled { Ok(()) } else { Err(Refused::stale()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_is_read_as_people_type_it() {
        for typed in ["BCDF-GHJK", "bcdfghjk", " bcdf ghjk ", "BCDF\u{2013}GHJK"] {
            assert_eq!(plain(typed), "BCDFGHJK");
        }
        assert_eq!(plain(&"A".repeat(1000)).len(), 16);
        assert_eq!(plain("ÄÖ12"), "");
    }
}
