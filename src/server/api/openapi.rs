//! The description of the API (OpenAPI 3.1), made of the table of its paths.

use serde_json::{Map, Value, json};

use crate::server::api::routes::{By, Field, For, Kind, Need, Operation, ROUTES, Route};
use crate::server::api::schemas;

/// The document.
pub(in crate::server::api) fn document() -> Value {
    let mut paths = Map::new();
    for route in ROUTES {
        let path = paths.entry(route.path).or_insert_with(|| json!({}));
        path[route.method.method().as_str().to_ascii_lowercase()] = operation(route);
    }
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "sealpost admin API", "version": "1",
            "description": "What the command line does to a server that runs. Fields may be added to answers; none is taken away under /v1.",
            "license": { "name": "MIT OR Apache-2.0", "identifier": "MIT OR Apache-2.0" },
        },
        "servers": [{ "url": "/" }],
        "security": [{ "token": [] }],
        "paths": paths,
        "components": {
            "securitySchemes": {
                "token": { "type": "http", "scheme": "bearer", "description": "Made by `sealpost token new NAME`. Scope `read` may only GET." },
            },
            "schemas": schemas::all(),
            "responses": {
                "Problem": {
                    "description": "What went wrong, and what to do.",
                    "content": { "application/problem+json": { "schema": { "$ref": "#/components/schemas/Problem" } } },
                },
            },
        },
    })
}

fn operation(route: &Route) -> Value {
    let id = format!("{:?}", route.operation);
    let id: String = id.chars().enumerate().map(|(at, c)| if at == 0 { c.to_ascii_lowercase() } else { c }).collect();
    let in_path = names(route.path).map(|name| {
        json!({ "name": name, "in": "path", "required": true, "schema": { "type": if name == "id" { "integer" } else { "string" } } })
    });
    let in_query = route.query.iter().map(|field| {
        json!({
            "name": field.name, "in": "query", "required": field.need == Need::Must, "description": field.about, "schema": schema(*field),
        })
    });
    let mut operation = json!({
        "operationId": id, "summary": route.summary, "parameters": in_path.chain(in_query).collect::<Vec<_>>(), "responses": responses(route),
    });
    if route.access == For::Everybody {
        operation["security"] = json!([]);
    }
    if !route.body.is_empty() {
        let properties: Map<String, Value> = route.body.iter().map(|field| (field.name.to_owned(), schema(*field))).collect();
        let required: Vec<_> = route.body.iter().filter(|field| field.need == Need::Must).map(|field| field.name).collect();
        let object = json!({ "type": "object", "properties": properties, "required": required, "additionalProperties": false });
        operation["requestBody"] = json!({ "required": true, "content": { "application/json": { "schema": object } } });
    }
    operation
}

fn responses(route: &Route) -> Value {
    let content = match (route.operation, route.answer) {
        (_, "") => json!({ "text/plain": { "schema": { "type": "string" } } }),
        (Operation::Trace, answer) => {
            json!({ "application/x-ndjson": { "schema": { "$ref": format!("#/components/schemas/{answer}") } } })
        }
        (_, answer) => json!({ "application/json": { "schema": { "$ref": format!("#/components/schemas/{answer}") } } }),
    };
    let mut responses = json!({ "200": { "description": "It went well.", "content": content } });
    if route.operation == Operation::Ready {
        responses["503"] =
            json!({ "description": "It cannot.", "content": { "text/plain": { "schema": { "type": "string" } } } });
    }
    let problem = || json!({ "$ref": "#/components/responses/Problem" });
    if route.access == For::Bearers {
        for status in ["401", "429"] {
            responses[status] = problem();
        }
        if route.method != By::Get {
            responses["403"] = problem();
        }
    }
    responses["default"] = problem();
    responses
}

fn schema(field: Field) -> Value {
    match field.kind {
        Kind::Text | Kind::Script => json!({ "type": "string", "description": field.about }),
        Kind::Texts => {
            let list = json!({ "type": "array", "items": { "type": "string" }, "minItems": 1 });
            json!({ "oneOf": [{ "type": "string" }, list], "description": field.about })
        }
        Kind::Password => {
            json!({ "type": "string", "format": "password", "writeOnly": true, "minLength": 1, "maxLength": 1024, "description": field.about })
        }
        Kind::OneOf(words) => json!({ "type": "string", "enum": words, "description": field.about }),
        Kind::Number => json!({ "type": "integer", "minimum": 0, "description": field.about }),
    }
}

/// The names of the parts of a path.
pub(in crate::server::api) fn names(path: &str) -> impl Iterator<Item = &str> {
    path.split('/').filter_map(|part| part.strip_prefix('{')?.strip_suffix('}'))
}
