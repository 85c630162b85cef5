//! What answers look like, as JSON Schema 2020-12, which OpenAPI 3.1 speaks.

use serde_json::{Map, Value, json};

#[allow(clippy::needless_pass_by_value, reason = "written where it is made")]
fn object(properties: Value) -> Value {
    let required: Vec<String> = properties.as_object().map(|map| map.keys().cloned().collect()).unwrap_or_default();
    json!({ "type": "object", "properties": properties, "required": required })
}

fn texts() -> Value {
    json!({ "type": "array", "items": { "type": "string" } })
}

fn list(of: &str) -> Value {
    json!({ "type": "array", "items": { "$ref": format!("#/components/schemas/{of}") } })
}

/// The name of the schema that an answer says of itself.
fn schema(name: &str) -> Value {
    json!({ "type": "string", "const": format!("sealpost.{name}/1") })
}

/// All of them, by their names.
pub(in crate::server::api) fn all() -> Map<String, Value> {
    let (text, number) = (|| json!({ "type": "string" }), || json!({ "type": "integer", "minimum": 0 }));
    let maybe = || json!({ "type": ["string", "null"] });
    let time = || json!({ "type": "string", "format": "date-time" });
    let waiting = object(json!({
        "id": number(), "sender": text(), "recipient": text(), "attempts": number(), "created": time(),
        "priority": { "type": "string", "enum": ["high", "normal", "low"] }, "held": { "type": "boolean" },
        "next": { "type": ["string", "null"], "format": "date-time" }, "error": maybe(),
    }));
    let mut status = object(json!({
        "schema": schema("status"), "version": text(), "pid": number(), "started": time(), "uptime_seconds": number(),
        "conversations": number(), "accepted": number(), "refused": number(), "delivered": number(), "relayed": number(),
        "deferred": number(), "failed": number(), "logins_good": number(), "logins_bad": number(),
        "ready": { "type": "string", "description": "`yes`, or why not." },
    }));
    status["description"] = json!(
        "Beside these: the address of each service under its name, its open connections as `open_…`, and numbers of the queue."
    );
    status["additionalProperties"] = json!({ "type": ["string", "integer"] });
    let all = [
        ("Done", object(json!({ "schema": text(), "exit": { "type": "integer", "const": 0 } }))),
        (
            "Domains",
            object(json!({
                "schema": schema("domain.list"), "domains": texts(),
                "quotas": { "type": "array", "items": object(json!({ "domain": text(), "used": number(), "quota": number() })) },
            })),
        ),
        ("Users", object(json!({ "schema": schema("user.list"), "users": texts(), "suspended": texts() }))),
        (
            "User",
            object(json!({
                "schema": schema("user.show"), "address": text(), "suspended": { "type": "boolean" }, "used": number(), "quota": number(),
                "domain_used": number(), "domain_quota": number(),
            })),
        ),
        (
            "PasswordSet",
            object(json!({
                "schema": text(),
                "users": { "type": "array", "items": object(json!({ "address": text(), "password": { "type": "null" } })) },
            })),
        ),
        (
            "Aliases",
            object(json!({
                "schema": schema("alias.list"),
                "aliases": { "type": "array", "items": object(json!({ "alias": text(), "target": text() })) }, "aliass": texts(),
            })),
        ),
        ("Waiting", waiting),
        ("Queue", object(json!({ "schema": schema("queue.list"), "queue": list("Waiting") }))),
        ("Queued", object(json!({ "schema": schema("queue.show"), "queue": list("Waiting"), "size": number() }))),
        (
            "Tls",
            object(json!({
                "schema": schema("queue.tls"), "day": { "type": "integer" },
                "results": { "type": "array", "items": object(json!({
                    "domain": text(), "policy": text(), "policy_text": { "type": ["array", "null"], "items": text() }, "mx": text(), "result": text(), "count": number(),
                })) },
            })),
        ),
        (
            "DkimKeys",
            object(json!({
                "schema": schema("dkim.list"), "stays_days": number(), "keys": { "type": "array", "items": object(json!({
                    "domain": text(), "selector": text(), "kind": text(), "from": { "type": "string", "format": "date" },
                    "state": { "type": "string", "enum": ["waits", "signs", "stays", "over"] },
                })) },
            })),
        ),
        (
            "DkimRecords",
            object(json!({
                "schema": text(),
                "records": { "type": "array", "items": object(json!({ "name": text(), "type": { "const": "TXT" }, "text": text() })) },
            })),
        ),
        (
            "Servers",
            object(json!({
                "schema": schema("server.list"), "servers": { "type": "array", "items": object(json!({
                    "name": text(), "state": { "type": "string", "enum": ["running", "paused", "stopped"] }, "addresses": text(),
                })) },
            })),
        ),
        (
            "Bans",
            object(json!({
                "schema": schema("ban.list"),
                "bans": { "type": "array", "items": object(json!({
                    "address": text(), "until": { "type": ["string", "null"], "format": "date-time" },
                    "by": { "type": "string", "enum": ["logins", "hand"] },
                })) },
            })),
        ),
        (
            "Filter",
            object(json!({ "schema": schema("user.filter"), "script": text(), "exit": { "type": "integer", "const": 0 } })),
        ),
        (
            "Reloaded",
            object(json!({
                "schema": schema("reload"), "exit": { "type": "integer", "const": 0 }, "changed": texts(), "kept": texts(),
            })),
        ),
        ("Status", status),
        (
            "Event",
            object(json!({
                "schema": schema("trace"), "conversation": number(), "at": time(), "service": text(), "peer": text(), "user": text(),
                "queue": { "type": ["integer", "null"] }, "by": { "type": "string", "enum": ["C", "S", "-"] }, "text": text(),
            })),
        ),
        ("Description", json!({ "type": "object" })),
        (
            "Problem",
            json!({
                "type": "object",
                "description": "RFC 9457: what went wrong (`title`), where (`place`), why (`detail`), what to do (`fix`).",
                "properties": {
                    "type": { "type": "string", "format": "uri" }, "title": text(), "status": number(), "detail": text(), "fix": text(),
                    "place": text(), "mistakes": { "type": "array", "items": object(json!({ "line": number(), "text": text() })) },
                },
                "required": ["type", "title", "status", "detail", "fix"],
            }),
        ),
    ];
    all.into_iter().map(|(name, schema)| (name.to_owned(), schema)).collect()
}
