//! Results in JSON, as `--json` prints them and the admin API sends them.

use serde_json::{Value, json};

use crate::server::manage::{Bounded, User};
use crate::server::store::{HELD, Priority, Standing, TlsResult, Token, Waiting};

/// The result of a verb that has nothing to tell but that it went well.
pub fn done(verb: &str) -> Value {
    json!({ "schema": format!("sealpost.{verb}/1"), "exit": 0 })
}

/// The domains, and what those with a quota hold and may hold.
pub fn domains(domains: &[String], quotas: &[Bounded]) -> Value {
    let one = |Bounded { domain, room }: &Bounded| json!({ "domain": domain, "used": room.0, "quota": room.1 });
    let quotas: Vec<_> = quotas.iter().map(one).collect();
    json!({ "schema": "sealpost.domain.list/1", "domains": domains, "quotas": quotas })
}

/// The users, and who of them is suspended.
pub fn users(users: &[String], suspended: &[String]) -> Value {
    json!({ "schema": "sealpost.user.list/1", "users": users, "suspended": suspended })
}

/// One user.
pub fn user(user: &User) -> Value {
    let ((used, quota), (domain_used, domain_quota)) = (user.room.user, user.room.domain);
    json!({
        "schema": "sealpost.user.show/1", "address": user.address, "suspended": user.standing == Standing::Suspended,
        "used": used, "quota": quota, "domain_used": domain_used, "domain_quota": domain_quota,
    })
}

/// A user whose password was set (`verb` is `add` or `passwd`); the password only where nobody knew it before.
pub fn password_set(verb: &str, address: &str, made: Option<&str>) -> Value {
    let users = [json!({ "address": address, "password": made })];
    json!({ "schema": format!("sealpost.user.{verb}/1"), "users": users })
}

/// The aliases; `aliass` holds each as one text, for programs that knew it first.
pub fn aliases(aliases: &[(String, String)]) -> Value {
    let lines: Vec<_> = aliases.iter().map(|(alias, target)| format!("{alias} {target}")).collect();
    let objects: Vec<_> = aliases.iter().map(|(alias, target)| json!({ "alias": alias, "target": target })).collect();
    json!({ "schema": "sealpost.alias.list/1", "aliases": objects, "aliass": lines })
}

/// What waits.
pub fn queue(waiting: &[Waiting]) -> Value {
    let list: Vec<_> = waiting.iter().map(one).collect();
    json!({ "schema": "sealpost.queue.list/1", "queue": list })
}

/// One message of the queue, with its size.
pub fn queued(waiting: &[Waiting], size: u64) -> Value {
    let list: Vec<_> = waiting.iter().map(one).collect();
    json!({ "schema": "sealpost.queue.show/1", "queue": list, "size": size })
}

/// How TLS went on a day.
pub fn tls(day: i64, results: &[(TlsResult, u64)]) -> Value {
    let one = |(one, count): &(TlsResult, u64)| {
        let text = (!one.wording.is_empty()).then(|| one.wording.lines().collect::<Vec<_>>());
        json!({
            "domain": one.domain, "policy": one.policy, "policy_text": text, "mx": one.mx, "result": one.result, "count": count,
        })
    };
    json!({ "schema": "sealpost.queue.tls/1", "day": day, "results": results.iter().map(one).collect::<Vec<_>>() })
}

/// The virtual servers, of lines with a tab between fields.
pub fn servers<'l>(lines: impl Iterator<Item = &'l str>) -> Value {
    json!({ "schema": "sealpost.server.list/1", "servers": rows(lines, &["name", "state", "addresses"]) })
}

/// Who is banned, likewise; `until` is null where only lifting it ends it.
pub fn bans<'l>(lines: impl Iterator<Item = &'l str>) -> Value {
    let mut bans = rows(lines, &["address", "until", "by"]);
    for ban in &mut bans {
        if ban["until"] == "-" {
            ban["until"] = Value::Null;
        }
    }
    json!({ "schema": "sealpost.ban.list/1", "bans": bans })
}

/// What came of reading the configuration again: what is another now, and what would be after a restart.
pub fn reloaded(changed: &[impl AsRef<str>], kept: &[impl AsRef<str>]) -> Value {
    let texts = |texts: Vec<&str>| Value::from(texts);
    let (changed, kept) = (changed.iter().map(AsRef::as_ref).collect(), kept.iter().map(AsRef::as_ref).collect());
    json!({ "schema": "sealpost.reload/1", "exit": 0, "changed": texts(changed), "kept": texts(kept) })
}

/// The filter of a user.
pub fn filter(script: &[u8]) -> Value {
    json!({ "schema": "sealpost.user.filter/1", "script": String::from_utf8_lossy(script), "exit": 0 })
}

fn rows<'l>(lines: impl Iterator<Item = &'l str>, names: &[&str]) -> Vec<Value> {
    let object = |line: &str| {
        let fields = names.iter().zip(line.split('\t'));
        Value::Object(fields.map(|(name, value)| ((*name).to_owned(), json!(value))).collect())
    };
    lines.map(object).collect()
}

/// The tokens, without what they are.
pub fn tokens(tokens: &[Token]) -> Value {
    json!({ "schema": "sealpost.token.list/1", "tokens": tokens.iter().map(token).collect::<Vec<_>>() })
}

/// A token that was made, and what it is, this once.
pub fn token_made(made: &Token, secret: &str) -> Value {
    let mut value = token(made);
    value["schema"] = json!("sealpost.token.new/1");
    value["token"] = json!(secret);
    value
}

fn token(token: &Token) -> Value {
    let (created, expires) = (token.created.to_string(), token.expires.map(|at| at.to_string()));
    json!({ "name": token.name, "scope": token.scope.name(), "created": created, "expires": expires })
}

fn one(one: &Waiting) -> Value {
    let next = if one.next == HELD { None } else { Some(one.next.to_string()) };
    let priority = match one.priority {
        Priority::High => "high",
        Priority::Normal => "normal",
        Priority::Low => "low",
    };
    json!({
        "id": one.id, "sender": one.sender, "recipient": one.recipient, "attempts": one.attempts, "created": one.created.to_string(),
        "priority": priority, "held": one.next == HELD, "next": next,
        "error": if one.error.is_empty() { None } else { Some(&one.error) },
    })
}
