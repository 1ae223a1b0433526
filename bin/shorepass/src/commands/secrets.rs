//! Secrets that are shown once, and those that are read.

use std::io::Read as _;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use clap::Args;
use secrecy::SecretString;
use serde_json::{Value, json};

use crate::context::Context;
use crate::error::CliError;
use crate::output::Column;

pub const PASSWORDS: &[Column] =
    &[Column::new("USER NAME", "/username"), Column::new("NAME", "/name"), Column::new("VALUE", "/value")];

/// Shows the passwords of `account` (`username`, `passwords`) whose values are in it: people see these, programs the whole
/// answer. `false`, and nothing is shown, when there are none.
pub fn show_passwords(context: &Context, answer: &Value, account: &Value) -> anyhow::Result<bool> {
    let fresh = new_passwords(account);
    if fresh.is_empty() {
        return Ok(false);
    }
    if context.is_for_people() {
        context.show(&Value::Array(fresh), PASSWORDS)?;
    } else {
        context.show(answer, PASSWORDS)?;
    }
    shown_once(context, "a password");
    Ok(true)
}

pub fn shown_once(context: &Context, what: &str) {
    context.printer.warn(&format!("keep what you need: {what} is not shown again"));
}

/// The passwords whose values the account holds, each with its user name.
fn new_passwords(account: &Value) -> Vec<Value> {
    let username = account.get("username").cloned().unwrap_or_default();
    let passwords = account.get("passwords").and_then(Value::as_array);
    let fresh = passwords.into_iter().flatten().filter(|password| password.get("value").is_some_and(Value::is_string));
    fresh
        .map(|password| json!({ "username": username, "name": password.get("name"), "value": password.get("value") }))
        .collect()
}

/// A secret longer than this is a mistaken file.
const MAX_SECRET: u64 = 64 * 1024;

/// One secret from standard input.
pub fn from_stdin(what: &str) -> anyhow::Result<SecretString> {
    read(std::io::stdin().lock(), what).with_context(|| format!("the {what} cannot be read from standard input"))
}

/// One secret from a file.
pub fn from_file(path: &Path, what: &str) -> anyhow::Result<SecretString> {
    let file = std::fs::File::open(path).map_err(anyhow::Error::from).and_then(|file| read(file, what));
    file.with_context(|| format!("the {what} cannot be read from `{}`", path.display()))
}

fn read(source: impl std::io::Read, what: &str) -> anyhow::Result<SecretString> {
    let mut text = String::new();
    source.take(MAX_SECRET).read_to_string(&mut text)?;
    // As docker does: one line end is the editor's or the shell's, not the secret's.
    let text = text.strip_suffix('\n').map_or(text.as_str(), |line| line.strip_suffix('\r').unwrap_or(line));
    if text.is_empty() {
        return Err(CliError::usage(format!("the {what} is empty")).into());
    }
    Ok(text.to_owned().into())
}

/// The secret of a client, never as an argument.
#[derive(Debug, Args)]
pub struct SecretInput {
    /// Read the client's secret from standard input
    #[arg(long, conflicts_with = "client_secret_file")]
    client_secret_stdin: bool,
    /// Read the client's secret from a file
    #[arg(long, value_name = "FILE")]
    client_secret_file: Option<PathBuf>,
}

impl SecretInput {
    pub fn read(&self, what: &str) -> anyhow::Result<Option<SecretString>> {
        if self.client_secret_stdin {
            return from_stdin(what).map(Some);
        }
        self.client_secret_file.as_deref().map(|file| from_file(file, what)).transpose()
    }
}

const BEGIN: &str = "-----BEGIN CERTIFICATE-----";
const END: &str = "-----END CERTIFICATE-----";

/// The first certificate of a PEM file. A private key that lies beside it goes nowhere.
pub fn certificate(path: &Path) -> anyhow::Result<String> {
    let all = certificates(path)?;
    let first = all.find(END).map(|at| all.split_at(at + END.len()).0.to_owned());
    Ok(first.map_or(all, |first| first + "\n"))
}

/// The certificates of a PEM file, and nothing else that is in it.
pub fn certificates(path: &Path) -> anyhow::Result<String> {
    let text = std::fs::read_to_string(path).with_context(|| format!("`{}` cannot be read", path.display()))?;
    let found = only_certificates(&text);
    if found.is_empty() {
        return Err(CliError::new(format!("`{}` holds no certificate in PEM", path.display()))
            .hint(format!("a certificate begins with `{BEGIN}`"))
            .into());
    }
    Ok(found)
}

fn only_certificates(text: &str) -> String {
    let mut found = String::new();
    let mut inside = false;
    for line in text.lines().map(str::trim) {
        inside |= line == BEGIN;
        if inside {
            found.push_str(line);
            found.push('\n');
        }
        inside &= line != END;
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_private_key_stays_where_it_is() {
        let key = "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n";
        let one = format!("{BEGIN}\nBBBB\n{END}\n");
        let two = format!("{BEGIN}\nCCCC\n{END}\n");
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), format!("{key}Bag Attributes\n{one}{two}{key}")).unwrap();
        assert_eq!(certificate(file.path()).unwrap(), one);
        assert_eq!(certificates(file.path()).unwrap(), format!("{one}{two}"));
        std::fs::write(file.path(), key).unwrap();
        assert!(certificate(file.path()).is_err());
    }

    #[test]
    fn one_line_end_is_not_the_secrets() {
        use secrecy::ExposeSecret as _;
        let read = |text: &str| super::read(text.as_bytes(), "secret").map(|secret| secret.expose_secret().to_owned());
        assert_eq!(read("s\r\n").unwrap(), "s");
        assert_eq!(read("s \n\n").unwrap(), "s \n");
        assert!(read("\n").is_err());
    }
}
