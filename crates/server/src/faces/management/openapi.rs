//! The API's description, OpenAPI 3.1, from the table of operations.

use std::sync::LazyLock;

use http::Method;
use schemars::generate::SchemaSettings;
use schemars::{Schema, SchemaGenerator};
use serde_json::{Map, Value, json};

use super::operations::{OPERATIONS, Operation};
use super::problem::ProblemBody;
use super::route::{PREFIX, parameters};

/// Where it is served, to everybody.
pub const PATH: &str = "/api/v1/openapi.json";

/// The document.
pub fn document() -> &'static Value {
    static DOCUMENT: LazyLock<Value> = LazyLock::new(build);
    &DOCUMENT
}

fn build() -> Value {
    let mut generator = settings().into_generator();
    let problem = generator.subschema_for::<ProblemBody>();
    let mut paths = Map::new();
    for operation in OPERATIONS {
        let path = operation.path.replace("{*", "{");
        let item = paths.entry(path).or_insert_with(|| json!({}));
        if let Some(item) = item.as_object_mut() {
            let method = operation.method.as_str().to_ascii_lowercase();
            item.insert(method, describe(operation, &mut generator, &problem));
        }
    }
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Shorepass management API",
            "version": env!("CARGO_PKG_VERSION"),
            "description": "Registries, repository tokens, the directory, roles and access. Errors are RFC 9457 problems.",
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "servers": [{"url": "/"}],
        "security": [{"identityToken": []}],
        "paths": paths,
        "components": {
            "schemas": generator.take_definitions(true),
            "securitySchemes": {
                "identityToken": {
                    "type": "http",
                    "scheme": "bearer",
                    "bearerFormat": "JWT",
                    "description": "A token of the server's own directory for the management audience, which is the server's base URL.",
                },
            },
        },
    })
}

fn settings() -> SchemaSettings {
    SchemaSettings::draft2020_12().with(|settings| {
        settings.definitions_path = "/components/schemas".into();
        settings.meta_schema = None;
    })
}

fn describe(operation: &Operation, generator: &mut SchemaGenerator, problem: &Schema) -> Value {
    let mut described = json!({
        "operationId": id_of(operation),
        "tags": [operation.tag],
        "summary": operation.summary,
        "parameters": described_parameters(operation),
        "responses": responses(operation, generator, problem),
    });
    if let Some(schema) = (operation.body)(generator) {
        described["requestBody"] = json!({"required": true, "content": {"application/json": {"schema": schema}}});
    }
    described
}

/// `GET /api/v1/tenants/{tenant}/users/{user}` is `getTenantsTenantUsersUser`.
fn id_of(operation: &Operation) -> String {
    let words = operation.path.strip_prefix(PREFIX).unwrap_or_default().split(|c: char| !c.is_ascii_alphanumeric());
    let mut id = operation.method.as_str().to_ascii_lowercase();
    for word in words.filter(|word| !word.is_empty()) {
        let (first, rest) = word.split_at(1);
        id.push_str(&first.to_ascii_uppercase());
        id.push_str(rest);
    }
    id
}

fn described_parameters(operation: &Operation) -> Vec<Value> {
    let mut all: Vec<Value> = parameters(operation.path)
        .map(|name| json!({"name": name, "in": "path", "required": true, "schema": {"type": "string", "minLength": 1}}))
        .collect();
    all.extend(operation.query.iter().map(|name| {
        let schema = match *name {
            "n" => json!({"type": "integer", "minimum": 1, "maximum": shorepass_control::MAX_PAGE}),
            "limit" => json!({"type": "integer", "minimum": 0}),
            "customOnly" | "includeInherited" | "includeGroups" => json!({"type": "boolean"}),
            _ => json!({"type": "string"}),
        };
        json!({"name": name, "in": "query", "required": false, "schema": schema})
    }));
    if operation.method == Method::PATCH || operation.method == Method::DELETE {
        all.push(json!({"name": "If-Match", "in": "header", "required": false, "schema": {"type": "string"}}));
    }
    all
}

fn responses(operation: &Operation, generator: &mut SchemaGenerator, problem: &Schema) -> Value {
    let schema = (operation.reply)(generator);
    let success = |description: &str| match &schema {
        Some(schema) => json!({"description": description, "content": {"application/json": {"schema": schema}}}),
        None => json!({"description": description}),
    };
    let mut all = Map::new();
    let description = match operation.status {
        201 => "Made",
        204 => "Gone",
        _ => "As asked",
    };
    all.insert(operation.status.to_string(), success(description));
    if let Some(also) = operation.also {
        all.insert(also.to_string(), success("It was there already, as asked"));
    }
    let problems = json!({
        "description": "A problem",
        "content": {"application/problem+json": {"schema": problem}},
    });
    for status in ["400", "401", "403", "404", "405", "409", "412", "413", "429", "503"] {
        all.insert(status.to_owned(), problems.clone());
    }
    Value::Object(all)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_operation_is_described_and_every_reference_resolves() {
        let document = document();
        let methods: usize =
            document["paths"].as_object().unwrap().values().map(|item| item.as_object().unwrap().len()).sum();
        assert_eq!(methods, OPERATIONS.len());
        let text = document.to_string();
        for reference in text.split("\"$ref\":\"#").skip(1).map(|rest| rest.split('"').next().unwrap()) {
            assert!(document.pointer(reference).is_some(), "{reference}");
        }
        assert!(!text.contains("/$defs/"));
    }

    #[test]
    fn ids_of_operations_are_unique() {
        let mut ids: Vec<String> = OPERATIONS.iter().map(id_of).collect();
        ids.sort();
        let all = ids.len();
        ids.dedup();
        assert_eq!(ids.len(), all);
    }

    /// CVE-2019-16097: what a body may hold is what its type names.
    #[test]
    fn no_body_takes_unknown_fields() {
        let document = document();
        for operation in OPERATIONS {
            let mut generator = settings().into_generator();
            let Some(schema) = (operation.body)(&mut generator) else { continue };
            let name = schema.as_value()["$ref"].as_str().unwrap().trim_start_matches('#').to_owned();
            let schema = document.pointer(&name).unwrap();
            assert_eq!(schema["additionalProperties"], json!(false), "{} {}", operation.method, operation.path);
        }
    }
}
