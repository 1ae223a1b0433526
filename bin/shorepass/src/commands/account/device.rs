//! Signing in with a browser on another device (RFC 8628).

use std::time::Duration;

use secrecy::ExposeSecret as _;
use shorepass_pull::directory::{COMMAND_LINE_CLIENT, DEVICE_CODE, DirectoryClient, Tokens};
use tokio::time::Instant;

use crate::context::Context;
use crate::error::CliError;
use crate::output::clean;

/// What `slow_down` adds (RFC 8628, section 3.5).
const SLOWER: Duration = Duration::from_secs(5);

/// Shows the code, and asks until somebody has signed in with it.
pub async fn sign_in(directory: &DirectoryClient, scope: &str, context: &Context) -> anyhow::Result<Tokens> {
    let code = directory.device_code(scope).await?;
    let message = code.message.clone().unwrap_or_else(|| {
        format!("To sign in, open {} in a browser and enter the code {}.", code.verification_uri, code.user_code)
    });
    context.printer.err(&clean(&message));
    let _busy = context.printer.busy("waiting for you to sign in");
    let form = [
        ("grant_type", DEVICE_CODE),
        ("client_id", COMMAND_LINE_CLIENT),
        ("device_code", code.device_code.expose_secret()),
    ];
    let end = Instant::now() + Duration::from_secs(code.expires_in);
    let mut interval = Duration::from_secs(code.interval.max(1));
    while Instant::now() < end {
        tokio::time::sleep(interval).await;
        let error = match directory.token(&form).await {
            Ok(tokens) => return Ok(tokens),
            Err(error) => error,
        };
        match error.code() {
            Some("authorization_pending") => {}
            Some("slow_down") => interval += SLOWER,
            Some("expired_token") => break,
            _ => return Err(error.into()),
        }
    }
    Err(CliError::new("nobody signed in in time").hint("run the command again: the code was good for once").into())
}
