//! Answers as tables, JSON or TSV, after a JMESPath query.

mod table;

use std::collections::BTreeMap;

use anyhow::Context as _;
use serde_json::{Map, Value};

use crate::error::CliError;
pub use table::{Column, clean, table};

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Format {
    Table,
    Json,
    Tsv,
}

/// The text of a value, without a final newline. A table shows every column there is.
pub fn render(value: &Value, format: Format, query: Option<&str>) -> anyhow::Result<String> {
    let value = match query {
        Some(expression) => search(value, expression)?,
        None => value.clone(),
    };
    Ok(match format {
        Format::Json => serde_json::to_string_pretty(&value).context("the answer cannot be written as JSON")?,
        Format::Tsv => tsv(&value),
        Format::Table => table::any_table(&value),
    })
}

fn search(value: &Value, expression: &str) -> anyhow::Result<Value> {
    let wrong = |error: jmespath::JmespathError| {
        let reason = error.to_string();
        let first = reason.lines().next().unwrap_or_default().to_owned();
        CliError::usage(format!("`--query {expression}` cannot be used: {first}"))
            .hint("write a JMESPath expression such as `[].name`; see https://jmespath.org")
    };
    let compiled = jmespath::compile(expression).map_err(wrong)?;
    let data = jmespath::Variable::from_serializable(value).map_err(wrong)?;
    let found = compiled.search(data).map_err(wrong)?;
    serde_json::to_value(&*found).context("the result of the query is not JSON")
}

/// As cloud command lines do it: a scalar is printed bare, a list one item a line, an object's values between tabs.
fn tsv(value: &Value) -> String {
    match value {
        Value::Array(rows) => rows.iter().map(tsv_row).collect::<Vec<_>>().join("\n"),
        other => tsv_row(other),
    }
}

fn tsv_row(row: &Value) -> String {
    let cells = |items: &mut dyn Iterator<Item = &Value>| items.map(tsv_cell).collect::<Vec<_>>().join("\t");
    match row {
        Value::Array(items) => cells(&mut items.iter()),
        Value::Object(fields) => cells(&mut in_order(fields).into_values()),
        scalar => tsv_cell(scalar),
    }
}

/// The fields by name: in which order an answer has them is nobody's promise.
fn in_order(fields: &Map<String, Value>) -> BTreeMap<&String, &Value> {
    fields.iter().collect()
}

/// Tabs and line ends would break the row they stand in.
fn tsv_cell(cell: &Value) -> String {
    match cell {
        Value::Null => String::new(),
        Value::String(text) => {
            text.replace('\\', "\\\\").replace('\t', "\\t").replace('\n', "\\n").replace('\r', "\\r")
        }
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn tsv_of(value: Value, query: Option<&str>) -> String {
        render(&value, Format::Tsv, query).unwrap()
    }

    #[test]
    fn tsv_prints_scalars_bare_lists_by_line_and_objects_by_tab() {
        let registries = json!([{"name": "a", "sku": "Basic", "n": 1}, {"name": "b", "sku": null, "n": 2}]);
        assert_eq!(tsv_of(registries.clone(), Some("[0].name")), "a");
        assert_eq!(tsv_of(registries.clone(), Some("[].name")), "a\nb");
        assert_eq!(tsv_of(registries.clone(), Some("[].[name, sku]")), "a\tBasic\nb\t");
        assert_eq!(tsv_of(registries.clone(), None), "1\ta\tBasic\n2\tb\t");
        assert_eq!(tsv_of(registries, Some("length(@)")), "2");
        assert_eq!(tsv_of(json!({"t": "a\tb\nc"}), Some("t")), "a\\tb\\nc");
    }

    #[test]
    fn json_after_a_query_is_the_result() {
        let value = json!({"value": [{"name": "a"}]});
        assert_eq!(render(&value, Format::Json, Some("value[0].name")).unwrap(), "\"a\"");
    }

    #[test]
    fn a_query_that_cannot_be_parsed_says_so() {
        let error = render(&json!({}), Format::Json, Some("[?")).unwrap_err();
        assert!(error.to_string().contains("`--query [?` cannot be used"), "{error}");
    }
}
