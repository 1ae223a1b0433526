//! What is shown once.

use serde_json::{Value, json};

use crate::context::Context;
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
