//! Signing in with a browser on this machine: an authorization code comes back to a port of ours (RFC 8252).

use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use shorepass_core::SystemRandom;
use shorepass_pull::directory::{COMMAND_LINE_CLIENT, DirectoryClient, Tokens, challenge, random_text};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use url::Url;

use crate::context::Context;
use crate::error::CliError;
use crate::output::clean;

/// The sign-in page itself is good for no longer.
const PATIENCE: Duration = Duration::from_secs(15 * 60);

/// A browser's request is shorter.
const MAX_REQUEST: usize = 16 * 1024;

/// Whoever opens a connection and says nothing does not keep the browser waiting.
const READ_TIMEOUT: Duration = Duration::from_secs(5);

/// The program that opens pages: `$BROWSER`, or the desktop's own. `None` without a desktop.
pub fn opener(context: &Context) -> Option<PathBuf> {
    if let Some(browser) = context.variable("BROWSER") {
        // Of several, the first; an argument is not for us to split.
        return browser.split(':').next().map(PathBuf::from);
    }
    let over_ssh = context.variable("SSH_CONNECTION").is_some();
    let (program, desktop) = if cfg!(target_os = "macos") {
        ("open", !over_ssh)
    } else {
        ("xdg-open", context.variable("DISPLAY").or_else(|| context.variable("WAYLAND_DISPLAY")).is_some())
    };
    let path = context.variable("PATH").filter(|_| desktop)?;
    std::env::split_paths(path).map(|dir| dir.join(program)).find(|file| file.is_absolute() && file.is_file())
}

/// Opens the sign-in page and waits for its answer.
pub async fn sign_in(
    directory: &DirectoryClient,
    scope: &str,
    opener: &PathBuf,
    context: &Context,
) -> anyhow::Result<Tokens> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let redirect_uri = format!("http://127.0.0.1:{}", listener.local_addr()?.port());
    let (state, verifier) = (random_text(&SystemRandom), random_text(&SystemRandom));
    let page = directory.sign_in_page(scope, &redirect_uri, &state, &challenge(&verifier));
    context.printer.err(&format!("To sign in, use the page that opens in your browser, or open it yourself: {page}"));
    // What the program says is for nobody, and that it fails is seen by the page not opening.
    let started = tokio::process::Command::new(opener)
        .arg(page.as_str())
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn();
    if started.is_err() {
        context.printer.warn("the browser could not be started; `--use-device-code` needs none here");
    }
    let busy = context.printer.busy("waiting for you to sign in");
    let answer = tokio::time::timeout(PATIENCE, answer(&listener, &state, directory.issuer())).await;
    drop(busy);
    let code = answer.map_err(|_| CliError::new("nobody signed in in time"))??;
    let form = [
        ("grant_type", "authorization_code"),
        ("client_id", COMMAND_LINE_CLIENT),
        ("code", code.as_str()),
        ("redirect_uri", redirect_uri.as_str()),
        ("code_verifier", verifier.as_str()),
        ("scope", scope),
    ];
    Ok(directory.token(&form).await?)
}

/// The code. Requests that are not the answer to our own question are turned away, and waited on.
async fn answer(listener: &TcpListener, state: &str, issuer: Option<&str>) -> anyhow::Result<String> {
    loop {
        let (mut stream, _) = listener.accept().await?;
        let Ok(Ok(Some(target))) = tokio::time::timeout(READ_TIMEOUT, target(&mut stream)).await else { continue };
        let Some(answer) = read_answer(&target, state, issuer) else {
            respond(&mut stream, "404 Not Found", "There is nothing here.").await;
            continue;
        };
        match answer {
            Ok(code) => {
                respond(&mut stream, "200 OK", "You are signed in. You can close this window.").await;
                return Ok(code);
            }
            Err(reason) => {
                respond(&mut stream, "200 OK", "You are not signed in. The command line says why.").await;
                return Err(CliError::new(clean(&reason)).into());
            }
        }
    }
}

/// The target of a `GET` request (RFC 9112, section 3). `None` for anything else.
async fn target(stream: &mut TcpStream) -> std::io::Result<Option<String>> {
    let mut bytes = Vec::new();
    while !bytes.windows(4).any(|end| end == b"\r\n\r\n") {
        if bytes.len() > MAX_REQUEST || stream.read_buf(&mut bytes).await? == 0 {
            return Ok(None);
        }
    }
    let text = String::from_utf8_lossy(&bytes);
    let mut words = text.lines().next().unwrap_or_default().split(' ');
    let is_get = words.next() == Some("GET");
    Ok(words.next().filter(|_| is_get).map(str::to_owned))
}

/// The code, or why there is none. `None`: not the answer to what was asked.
fn read_answer(target: &str, state: &str, issuer: Option<&str>) -> Option<Result<String, String>> {
    let url = Url::parse("http://127.0.0.1").ok()?.join(target).ok()?;
    let value = |name: &str| url.query_pairs().find(|(key, _)| key == name).map(|(_, value)| value.into_owned());
    if url.path() != "/" || value("state").as_deref() != Some(state) {
        return None;
    }
    // RFC 9207: another provider's answer is not taken for this one's.
    if let (Some(own), Some(other)) = (issuer, value("iss"))
        && own != other
    {
        return None;
    }
    if let Some(code) = value("code") {
        return Some(Ok(code));
    }
    let error = value("error")?;
    Some(Err(value("error_description").filter(|text| !text.is_empty()).unwrap_or(error)))
}

/// That the browser is gone already is no reason to stop.
async fn respond(stream: &mut TcpStream, status: &str, text: &str) {
    let page = format!("<!doctype html><meta charset=\"utf-8\"><title>Shorepass</title><p>{text}</p>\n");
    let head = format!(
        "HTTP/1.1 {status}\r\nContent-Type: text/html; charset=utf-8\r\nContent-Length: {}\r\nConnection: close\r\n\
         Cache-Control: no-store\r\nContent-Security-Policy: default-src 'none'\r\nReferrer-Policy: no-referrer\r\n\r\n",
        page.len()
    );
    let _ = stream.write_all(format!("{head}{page}").as_bytes()).await;
    let _ = stream.shutdown().await;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_answer_to_our_own_question_counts() {
        let read = |target: &str| read_answer(target, "s", Some("https://r/t"));
        assert_eq!(read("/?code=c%2B&state=s"), Some(Ok("c+".to_owned())));
        assert_eq!(read("/?code=c&state=s&iss=https://r/t"), Some(Ok("c".to_owned())));
        for other in
            ["/", "/?code=c", "/?code=c&state=x", "/favicon.ico?code=c&state=s", "/?code=c&state=s&iss=https://e"]
        {
            assert_eq!(read(other), None, "{other}");
        }
        assert_eq!(read("/?error=access_denied&state=s"), Some(Err("access_denied".to_owned())));
        assert_eq!(read("/?error=x&error_description=No.&state=s"), Some(Err("No.".to_owned())));
    }
}
