//! One file for each command.

pub mod access;
pub mod account;
pub mod ad_group;
pub mod admin;
mod args;
pub mod audit;
pub mod check_health;
pub mod completion;
pub mod config;
mod federated_credential;
pub mod federation;
pub mod health;
pub mod identity;
pub mod keys;
pub mod login;
pub mod man;
pub mod registry;
pub mod repository;
pub mod resource_group;
pub mod role;
pub mod scope_map;
mod secrets;
pub mod serve;
pub mod sp;
pub mod subscription;
mod target;
pub mod tenant;
pub mod token;
pub mod user;

use clap::Args;
use serde_json::Value;
use shorepass_core::RegistryName;

use crate::context::Context;
use crate::error::CliError;

/// The registry that is meant when none is named.
const DEFAULT_REGISTRY: &str = "default";

/// A registry, given either as the first argument or, as `az` has it, by `-n`.
#[derive(Debug, Args)]
pub struct RegistryArgument {
    /// Registry (default: `default`)
    #[arg(value_name = "NAME", id = "positional_name")]
    positional: Option<RegistryName>,
    /// The same, as an option
    #[arg(short = 'n', long = "name", value_name = "NAME", id = "name", conflicts_with = "positional_name")]
    option: Option<RegistryName>,
}

impl RegistryArgument {
    fn or_default(&self) -> &str {
        let name = self.positional.as_ref().or(self.option.as_ref());
        name.map_or(DEFAULT_REGISTRY, RegistryName::as_str)
    }

    /// For what should never happen to `default` by omission.
    fn required(&self) -> Result<&str, CliError> {
        let name = self.positional.as_ref().or(self.option.as_ref());
        name.map(RegistryName::as_str)
            .ok_or_else(|| CliError::usage("no registry is named").hint("give its name: `-n NAME`"))
    }
}

/// The items of a `{"value": […]}` answer.
fn items(mut answer: Value) -> Value {
    answer.get_mut("value").map(Value::take).unwrap_or(Value::Array(Vec::new()))
}

/// How many items a page is asked for.
const PAGE: usize = 100;

/// Collects the pages of a list. Each page begins after the last item of the one before, which `marker` tells.
async fn all_pages(
    context: &Context,
    path: &str,
    top: Option<usize>,
    marker: fn(&Value) -> Option<&str>,
) -> anyhow::Result<Value> {
    let server = context.server()?;
    let mut all: Vec<Value> = Vec::new();
    let mut last: Option<String> = None;
    loop {
        let left = top.map_or(PAGE, |top| top.saturating_sub(all.len()).min(PAGE));
        if left == 0 {
            break;
        }
        let mut query = form_urlencoded(&[("n", &left.to_string())]);
        if let Some(last) = &last {
            query = form_urlencoded(&[("n", &left.to_string()), ("last", last)]);
        }
        let Value::Array(page) = items(server.get(&format!("{path}?{query}")).await?) else { break };
        let next = page.last().and_then(marker).map(str::to_owned);
        all.extend(page);
        if next.is_none() || next == last {
            break;
        }
        last = next;
    }
    Ok(Value::Array(all))
}

/// Collects the pages of a list that tells by `next` where it goes on.
async fn whole_list(context: &Context, path: &str, filter: &[(&str, &str)]) -> anyhow::Result<Value> {
    let server = context.server()?;
    let mut all: Vec<Value> = Vec::new();
    let mut next: Option<String> = None;
    loop {
        let pairs: Vec<_> = filter.iter().copied().chain(next.as_deref().map(|last| ("last", last))).collect();
        let query = form_urlencoded(&pairs);
        let answer = server.get(&if query.is_empty() { path.to_owned() } else { format!("{path}?{query}") }).await?;
        let after = answer.get("next").and_then(Value::as_str).map(str::to_owned);
        let Value::Array(page) = items(answer) else { break };
        all.extend(page);
        if after.is_none() || after == next {
            break;
        }
        next = after;
    }
    Ok(Value::Array(all))
}

/// The body of a change: the fields that were given. With none there is nothing to do.
fn changes<const N: usize>(fields: [(&str, Option<Value>); N], options: &str) -> Result<Value, CliError> {
    let body = given(fields);
    if body.as_object().is_none_or(serde_json::Map::is_empty) {
        return Err(CliError::usage("there is nothing to change").hint(format!("give {options}")));
    }
    Ok(body)
}

/// The fields that were given.
fn given<const N: usize>(fields: [(&str, Option<Value>); N]) -> Value {
    Value::Object(fields.into_iter().filter_map(|(key, value)| Some((key.to_owned(), value?))).collect())
}

/// Deletes what is at `path` after a question. What is not there is told before it is asked.
async fn delete(context: &Context, path: &str, yes: bool, question: &str) -> anyhow::Result<()> {
    let server = context.server()?;
    server.get(path).await?;
    context.confirm(yes, question)?;
    Ok(server.delete(path).await?)
}

/// A query string.
fn form_urlencoded(pairs: &[(&str, &str)]) -> String {
    url::form_urlencoded::Serializer::new(String::new()).extend_pairs(pairs).finish()
}
