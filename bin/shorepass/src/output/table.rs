//! Tables for people: columns as wide as their content.

use serde_json::Value;

/// A column: its heading, and the JSON pointer of its value in a row.
#[derive(Debug, Clone, Copy)]
pub struct Column {
    pub heading: &'static str,
    pub pointer: &'static str,
}

impl Column {
    pub const fn new(heading: &'static str, pointer: &'static str) -> Self {
        Self { heading, pointer }
    }
}

/// A list's items, or one object, by the given columns. Nothing for an empty list.
pub fn table(value: &Value, columns: &[Column]) -> String {
    let rows: Vec<Vec<String>> = items(value)
        .iter()
        .map(|item| columns.iter().map(|column| text(item.pointer(column.pointer).unwrap_or(&Value::Null))).collect())
        .collect();
    let headings = columns.iter().map(|column| column.heading.to_owned()).collect();
    layout(headings, rows)
}

/// The same for a value whose shape is not known (after a query): every field that holds a scalar is a column.
pub fn any_table(value: &Value) -> String {
    let items = items(value);
    let Some(Value::Object(first)) = items.first() else {
        return layout(Vec::new(), items.iter().map(row).collect());
    };
    let keys: Vec<&String> = super::in_order(first).into_keys().collect();
    let rows =
        items.iter().map(|item| keys.iter().map(|key| text(item.get(key.as_str()).unwrap_or(&Value::Null))).collect());
    let rows = rows.collect();
    layout(keys.iter().map(|key| clean(key).to_uppercase()).collect(), rows)
}

fn items(value: &Value) -> &[Value] {
    match value {
        Value::Array(items) => items,
        Value::Null => &[],
        one => std::slice::from_ref(one),
    }
}

fn row(item: &Value) -> Vec<String> {
    match item {
        Value::Array(cells) => cells.iter().map(text).collect(),
        cell => vec![text(cell)],
    }
}

fn text(value: &Value) -> String {
    match value {
        Value::Null => "-".to_owned(),
        Value::String(text) if text.is_empty() => "-".to_owned(),
        Value::String(text) => clean(text),
        Value::Bool(true) => "yes".to_owned(),
        Value::Bool(false) => "no".to_owned(),
        Value::Array(items) if items.is_empty() => "-".to_owned(),
        Value::Array(items) => items.iter().map(text).collect::<Vec<_>>().join(", "),
        other => other.to_string(),
    }
}

/// Text that is safe on a terminal: names in audit events are what strangers sent, and escape sequences are commands.
pub fn clean(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for c in text.chars() {
        if c.is_control() || matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}') {
            safe.extend(c.escape_unicode());
        } else {
            safe.push(c);
        }
    }
    safe
}

/// Two spaces between columns, none at a line's end.
fn layout(headings: Vec<String>, rows: Vec<Vec<String>>) -> String {
    if rows.is_empty() {
        return String::new();
    }
    let lines: Vec<Vec<String>> = if headings.is_empty() { rows } else { [headings].into_iter().chain(rows).collect() };
    let count = lines.iter().map(Vec::len).max().unwrap_or(0);
    let widths: Vec<usize> = (0..count)
        .map(|column| {
            lines.iter().filter_map(|line| line.get(column)).map(|cell| cell.chars().count()).max().unwrap_or(0)
        })
        .collect();
    let mut shown = Vec::with_capacity(lines.len());
    for line in &lines {
        let padded: Vec<String> = line.iter().zip(&widths).map(|(cell, width)| format!("{cell:<width$}")).collect();
        shown.push(padded.join("  ").trim_end().to_owned());
    }
    shown.join("\n")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const COLUMNS: &[Column] =
        &[Column::new("NAME", "/name"), Column::new("SKU", "/sku"), Column::new("ADMIN", "/adminEnabled")];

    #[test]
    fn columns_are_as_wide_as_their_content() {
        let value =
            json!([{"name": "a-long-one", "sku": "Basic", "adminEnabled": true}, {"name": "b", "adminEnabled": false}]);
        assert_eq!(table(&value, COLUMNS), "NAME        SKU    ADMIN\na-long-one  Basic  yes\nb           -      no");
        assert_eq!(table(&json!([]), COLUMNS), "");
    }

    #[test]
    fn what_a_query_found_is_a_table_too() {
        assert_eq!(any_table(&json!([{"b": 1, "a": "x"}])), "A  B\nx  1");
        assert_eq!(any_table(&json!(["one", "two"])), "one\ntwo");
        assert_eq!(any_table(&json!([["one", 1], ["three", 2]])), "one    1\nthree  2");
        assert_eq!(any_table(&json!("one")), "one");
        assert_eq!(any_table(&json!(null)), "");
    }

    #[test]
    fn strangers_cannot_command_the_terminal() {
        let shown = any_table(&json!("\u{1b}]0;pwned\u{7}\u{202e}x"));
        assert!(!shown.chars().any(char::is_control), "{shown}");
        assert!(!shown.contains('\u{202e}'));
    }
}
