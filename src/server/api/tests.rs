//! The API in memory: a router without a socket.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use axum::body::Body;
use axum::extract::Request;
use axum::http::{Method, StatusCode};
use http_body_util::BodyExt;
use hyper::service::Service;
use hyper_util::service::TowerToHyperService;
use serde_json::{Value, json};
use tokio::sync::{Notify, watch};

use super::*;
use crate::crypto::random::OsRandom;
use crate::server::accounts::Accounts;
use crate::server::accounts::tests::accounts;
use crate::server::api::routes::{By, For};
use crate::server::config::Config;
use crate::server::doors::Doors;
use crate::server::filter::FileFilters;
use crate::server::locks::Locks;
use crate::server::outbound::Outbound;
use crate::server::places::Places;
use crate::server::reload::{Lasting, Reloader};
use crate::server::store::{Delivery, Scope, Store};
use crate::server::trace::Event;
use crate::server::turns::Turns;

/// An API with a clock of its own, and tokens for it.
struct Served {
    _folder: tempfile::TempDir,
    api: Arc<Api>,
    store: Arc<dyn Store>,
    clock: Arc<AtomicI64>,
    stop: watch::Sender<bool>,
    admin: String,
    read: String,
}

impl Served {
    fn new() -> Self {
        let (folder, accounts) = accounts();
        let store = Arc::clone(accounts.store());
        for name in ["certificate.pem", "key.pem"] {
            std::fs::write(folder.path().join(name), "x").expect("written");
        }
        let text =
            "hostname = \"a.example\"\ndata = \"mail\"\n[tls]\ncertificate = \"certificate.pem\"\nkey = \"key.pem\"\n[listen]\n";
        let config = Config::parse(text, folder.path()).expect("a configuration");
        let (tracer, now) = (Tracer::default(), Timestamp::from_unix(1_000_000));
        let outbound = Outbound::new("a.example", &config.delivery, Arc::clone(&store), tracer.clone()).expect("made");
        let told = (tracer.clone(), Arc::new(Notify::new()));
        let queue = Queue::new("a.example", accounts.clone(), outbound, &config.delivery, told);
        let overview = Overview::new(accounts.clone(), tracer.clone(), folder.path(), now);
        let manage = Manage::new(accounts, folder.path());
        let make = |name: &str, scope, days| {
            let made = manage.new_token(name, scope, (now, days), &mut OsRandom).expect("made");
            made.secret.expose().clone()
        };
        let (admin, read) = (make("console", Scope::Admin, Some(1)), make("watcher", Scope::Read, None));
        let (stop, stopping) = watch::channel(false);
        let clock = Arc::new(AtomicI64::new(now.unix()));
        let reads = Arc::clone(&clock);
        let clock_of = Arc::new(move || Timestamp::from_unix(reads.load(Ordering::Relaxed)));
        let levers = levers(config, &overview, (Arc::clone(&store), queue.clone()), tracer.clone());
        let api = Api::new(manage, overview, (tracer, queue, levers), clock_of, stopping);
        Self { _folder: folder, api, store, clock, stop, admin, read }
    }

    async fn ask(&self, method: Method, path: &str, token: Option<&str>, body: Option<&str>) -> hyper::Response<Body> {
        let mut request = Request::builder().method(method).uri(path);
        if let Some(token) = token {
            request = request.header("authorization", format!("Bearer {token}"));
        }
        if body.is_some() {
            request = request.header("content-type", "application/json");
        }
        let mut request = request.body(Body::from(body.unwrap_or_default().to_owned())).expect("a request");
        request.extensions_mut().insert(Peer(SocketAddr::from(([127, 0, 0, 1], 5000))));
        TowerToHyperService::new(self.api.router()).call(request).await.expect("an answer")
    }

    /// Asks as the administrator; gives the status and the JSON.
    async fn say(&self, method: Method, path: &str, body: Option<&str>) -> (u16, Value) {
        read(self.ask(method, path, Some(&self.admin), body).await).await
    }
}

/// Of a process without servers.
fn levers(config: Config, overview: &Arc<Overview>, (store, queue): (Arc<dyn Store>, Queue), tracer: Tracer) -> Levers {
    let lasting = Lasting {
        accounts: Accounts::new(store).expect("accounts"),
        locks: Locks::new(Duration::ZERO),
        wake: Arc::default(),
        filters: Arc::new(FileFilters::new(&config.data)),
        tracer,
        places: Places::of_this_process(),
        memory: Default::default(),
        own: Default::default(),
        handshakes: Turns::beside_others(),
    };
    let reloader = Reloader::new(None, lasting, (Vec::new(), queue), config);
    Levers { reloader, doors: Doors::open(Vec::new(), overview).expect("none") }
}

async fn read(response: hyper::Response<Body>) -> (u16, Value) {
    let status = response.status().as_u16();
    let bytes = response.into_body().collect().await.expect("a body").to_bytes();
    (status, serde_json::from_slice(&bytes).unwrap_or_else(|_| json!(String::from_utf8_lossy(&bytes))))
}

/// A path with something in its parts.
fn filled(path: &str) -> String {
    path.replace("{domain}", "b.example")
        .replace("{address}", "x@b.example")
        .replace("{alias}", "y@b.example")
        .replace("{id}", "7")
        .replace("{selector}", "20261101r")
        .replace("{name}", "main")
}

#[tokio::test]
async fn every_path_is_described_and_what_is_described_is_there() {
    let served = Served::new();
    let (status, document) = read(served.ask(Method::GET, "/v1/openapi.json", None, None).await).await;
    assert_eq!(status, 200);
    let mut described: Vec<(String, String)> = Vec::new();
    for (path, operations) in document["paths"].as_object().expect("paths") {
        for (method, operation) in operations.as_object().expect("operations") {
            described.push((method.to_ascii_uppercase(), path.clone()));
            let parts: Vec<_> =
                operation["parameters"].as_array().expect("parameters").iter().filter(|p| p["in"] == "path").collect();
            assert_eq!(parts.len(), path.matches('{').count(), "{method} {path}");
        }
    }
    let mut routed: Vec<_> = ROUTES.iter().map(|route| (route.method.method().to_string(), route.path.to_owned())).collect();
    described.sort();
    routed.sort();
    assert_eq!(described, routed);
    for (method, path) in &described {
        let method = Method::from_bytes(method.as_bytes()).expect("a method");
        let (status, answer) = read(served.ask(method.clone(), &filled(path), None, None).await).await;
        assert!(status != 405 && answer["type"] != "urn:sealpost:problem:no-such-path", "{method} {path}: {answer}");
    }
    let schemas = schemas::all();
    for route in ROUTES.iter().filter(|route| !route.answer.is_empty()) {
        assert!(schemas.contains_key(route.answer), "{}", route.answer);
    }
    assert_eq!(served.say(Method::GET, "/v1/nothing", None).await.1["type"], "urn:sealpost:problem:no-such-path");
    let wrong = served.ask(Method::PATCH, "/v1/domains", Some(&served.admin), None).await;
    let allow = wrong.headers().get("allow").expect("named").to_str().expect("text").to_owned();
    assert!(allow.contains("GET") && allow.contains("POST"), "{allow}");
    assert_eq!(read(wrong).await.1["type"], "urn:sealpost:problem:wrong-method");
}

#[tokio::test]
async fn nothing_but_health_and_the_description_is_told_without_a_token_and_one_that_reads_changes_nothing() {
    let served = Served::new();
    for route in ROUTES {
        let ask = |token: Option<String>| {
            let (served, method) = (&served, route.method.method());
            async move { served.ask(method, &filled(route.path), token.as_deref(), Some("{}")).await }
        };
        let (nobody, reader) = (ask(None).await, ask(Some(served.read.clone())).await);
        for answer in [&nobody, &reader] {
            assert_eq!(answer.headers().get("cache-control").expect("there"), "no-store", "{}", route.path);
            assert!(answer.headers().get("access-control-allow-origin").is_none());
        }
        match (route.access, route.method) {
            (For::Everybody, _) => assert_ne!(nobody.status(), 401, "{}", route.path),
            (For::Bearers, By::Get) => {
                assert_eq!(nobody.status(), 401, "{}", route.path);
                assert_eq!(nobody.headers().get("www-authenticate").expect("there"), "Bearer");
                assert!(![401, 403].contains(&reader.status().as_u16()), "{}", route.path);
            }
            (For::Bearers, _) => {
                assert_eq!(
                    (nobody.status(), reader.status()),
                    (StatusCode::UNAUTHORIZED, StatusCode::FORBIDDEN),
                    "{}",
                    route.path
                );
            }
        }
    }
    assert_eq!(served.say(Method::GET, "/v1/users", None).await.1["users"], json!(["jane@a.example"]), "nothing was changed");
}

#[tokio::test]
async fn a_token_ends_with_its_time_and_bad_ones_wear_out_patience_but_good_ones_stay_good() {
    let served = Served::new();
    assert_eq!(served.say(Method::GET, "/v1/status", None).await.0, 200);
    served.clock.fetch_add(86_400, Ordering::Relaxed);
    let (status, answer) = served.say(Method::GET, "/v1/status", None).await;
    assert_eq!((status, &answer["type"]), (401, &json!("urn:sealpost:problem:bad-token")));
    let ask = |token: &'static str| served.ask(Method::GET, "/v1/status", Some(token), None);
    let mut seen = Vec::new();
    for _ in 0..12 {
        seen.push(ask("sealpost_guess").await.status().as_u16());
    }
    assert_eq!((seen[..9].iter().all(|status| *status == 401), seen[10], seen[11]), (true, 429, 429), "{seen:?}");
    let tired = ask("").await;
    assert_eq!(tired.headers().get("retry-after").expect("there"), "60");
    assert_eq!(served.ask(Method::GET, "/v1/status", Some(&served.read), None).await.status(), 200);
    served.clock.fetch_add(60, Ordering::Relaxed);
    assert_eq!(ask("sealpost_guess").await.status(), 401);
    served.api.manage.revoke_token("watcher").expect("revoked");
    assert_eq!(served.ask(Method::GET, "/v1/status", Some(&served.read), None).await.status(), 401);
    // a token in the URL, where logs would have it, is none
    assert_eq!(served.ask(Method::GET, &format!("/v1/status?token={}", served.read), None, None).await.status(), 401);
}

#[tokio::test]
async fn domains_users_and_aliases_come_change_and_go() {
    let served = Served::new();
    let (post, put, delete, get) = (Method::POST, Method::PUT, Method::DELETE, Method::GET);
    let done = |verb: &str| (200, json!({ "schema": format!("sealpost.{verb}/1"), "exit": 0 }));
    assert_eq!(served.say(post.clone(), "/v1/domains", Some(r#"{"domain":"B.example"}"#)).await, done("domain.add"));
    let new = r#"{"address":"Joe@b.example","password":"correct horse"}"#;
    let (status, answer) = served.say(post.clone(), "/v1/users", Some(new)).await;
    assert_eq!((status, answer.to_string().contains("horse")), (200, false));
    assert_eq!(answer["users"], json!([{ "address": "joe@b.example", "password": null }]));
    let (status, answer) = served.say(post.clone(), "/v1/users", Some(new)).await;
    assert_eq!((status, &answer["type"]), (409, &json!("urn:sealpost:problem:exists")));
    assert_eq!(served.say(put.clone(), "/v1/users/joe@b.example/quota", Some(r#"{"bytes":5000}"#)).await, done("user.quota"));
    assert_eq!(served.say(put.clone(), "/v1/domains/b.example/quota", Some(r#"{"bytes":9000}"#)).await, done("domain.quota"));
    assert_eq!(served.say(post.clone(), "/v1/users/joe%40b.example/suspend", None).await, done("user.suspend"));
    let (_, joe) = served.say(get.clone(), "/v1/users/joe@b.example", None).await;
    assert_eq!((&joe["suspended"], &joe["quota"], &joe["domain_quota"]), (&json!(true), &json!(5000), &json!(9000)));
    assert_eq!(served.say(get.clone(), "/v1/users", None).await.1["suspended"], json!(["joe@b.example"]));
    assert_eq!(served.say(post.clone(), "/v1/users/joe@b.example/resume", None).await, done("user.resume"));
    let before = served.store.password_hash("joe@b.example").expect("read");
    let (_, answer) = served.say(put, "/v1/users/joe@b.example/password", Some(r#"{"password":"other horse"}"#)).await;
    assert!(answer["schema"] == "sealpost.user.passwd/1" && served.store.password_hash("joe@b.example").expect("read") != before);
    let alias = r#"{"alias":"@b.example","target":"joe@b.example"}"#;
    assert_eq!(served.say(post.clone(), "/v1/aliases", Some(alias)).await, done("alias.add"));
    let (_, aliases) = served.say(get.clone(), "/v1/aliases", None).await;
    assert_eq!(aliases["aliases"], json!([{ "alias": "@b.example", "target": "joe@b.example" }]));
    assert_eq!(served.say(delete.clone(), "/v1/aliases/%40b.example", None).await, done("alias.remove"));
    let all = r#"{"alias":"all@b.example","target":["joe@b.example","jane@a.example"]}"#;
    assert_eq!(served.say(post.clone(), "/v1/aliases", Some(all)).await, done("alias.add"));
    let more = r#"{"alias":"all@b.example","target":["x@c.example","joe@b.example"]}"#;
    assert_eq!(served.say(post.clone(), "/v1/aliases", Some(more)).await.0, 409, "joe has it already");
    for (path, name) in [
        ("/v1/aliases", r#"{"alias":"joe@b.example","target":"jane@a.example"}"#),
        ("/v1/users", r#"{"address":"all@b.example","password":"correct horse"}"#),
    ] {
        let (status, answer) = served.say(post.clone(), path, Some(name)).await;
        assert_eq!((status, &answer["type"]), (409, &json!("urn:sealpost:problem:exists")), "{name}");
    }
    for domain in [format!("{}.example", "x".repeat(64)), "x".repeat(300)] {
        let new = json!({ "domain": domain }).to_string();
        let (status, answer) = served.say(post.clone(), "/v1/domains", Some(&new)).await;
        assert_eq!((status, &answer["type"]), (400, &json!("urn:sealpost:problem:invalid")));
    }
    for (twice, place) in [
        (r#"{"alias":"x@b.example","target":"joe@b.example","alias":"y@b.example"}"#, "/alias"),
        (r#"{"alias":"x@b.example","target":["joe@b.example"],"t\u0061rget":["jane@a.example"]}"#, "/target"),
        (r#"{"alias":"x@b.example","target":"\":{\\","target":"joe@b.example"}"#, "/target"),
    ] {
        let (status, answer) = served.say(post.clone(), "/v1/aliases", Some(twice)).await;
        assert_eq!((status, &answer["type"]), (400, &json!("urn:sealpost:problem:invalid")), "{twice}");
        assert!(answer["detail"].as_str().is_some_and(|detail| detail.contains("twice")), "{answer}");
        assert!(answer.to_string().contains(&format!("\"{place}\"")), "{answer}");
    }
    let lines = served.say(get, "/v1/aliases", None).await.1["aliass"].clone();
    assert_eq!(lines, json!(["all@b.example jane@a.example", "all@b.example joe@b.example"]), "none of several is added");
    assert_eq!(served.say(delete.clone(), "/v1/aliases/all@b.example", None).await, done("alias.remove"));
    assert_eq!(served.say(delete.clone(), "/v1/domains/b.example", None).await.0, 409, "it has a user");
    assert_eq!(served.say(delete.clone(), "/v1/users/joe@b.example", None).await, done("user.remove"));
    assert_eq!(served.say(delete.clone(), "/v1/domains/b.example", None).await, done("domain.remove"));
    assert_eq!(served.say(delete, "/v1/domains/b.example", None).await.0, 404);
}

#[tokio::test]
async fn a_filter_is_put_in_place_shown_and_taken_away_and_one_with_mistakes_changes_nothing() {
    let served = Served::new();
    let (path, done) = ("/v1/users/Jane@a.example/filter", json!({ "schema": "sealpost.user.filter/1", "exit": 0 }));
    let script = async || served.say(Method::GET, path, None).await.1["script"].clone();
    assert_eq!(script().await, "");
    // far more than other bodies may have
    let rules = format!("# {}\r\nrequire \"fileinto\";\r\nfileinto \"Box\";\r\n", "x".repeat(100_000));
    let body = json!({ "script": rules }).to_string();
    assert_eq!(served.say(Method::PUT, path, Some(&body)).await, (200, done.clone()));
    assert_eq!(script().await, json!(rules));
    let wrong = json!({ "script": "keep;\nfileinto \"Box\";\nfly;\n" }).to_string();
    let (status, answer) = served.say(Method::PUT, path, Some(&wrong)).await;
    assert_eq!(
        (status, &answer["type"], &answer["place"]),
        (400, &json!("urn:sealpost:problem:script-mistakes"), &json!("/script"))
    );
    let lines: Vec<_> = answer["mistakes"].as_array().expect("a list").iter().map(|mistake| mistake["line"].clone()).collect();
    assert_eq!(lines, [json!(2), json!(3)], "{answer}");
    assert!(answer["detail"].as_str().is_some_and(|detail| detail.starts_with("line 2: ")), "{answer}");
    assert_eq!(script().await, json!(rules));
    let huge = json!({ "script": "x".repeat(3 << 20) }).to_string();
    assert_eq!(served.say(Method::PUT, path, Some(&huge)).await.0, 413);
    assert_eq!(served.say(Method::DELETE, path, None).await, (200, done));
    assert_eq!(script().await, "");
    for method in [Method::GET, Method::DELETE] {
        assert_eq!(served.say(method, "/v1/users/nobody@a.example/filter", None).await.0, 404);
    }
}

#[tokio::test]
async fn what_is_not_as_described_is_refused_with_its_place_and_no_password() {
    let served = Served::new();
    for (path, body, place) in [
        ("/v1/domains", "{}", "/domain"),
        ("/v1/domains", r#"{"domain":7}"#, "/domain"),
        ("/v1/domains", r#"{"domain":"b.example","colour":"red"}"#, "/colour"),
        ("/v1/domains", r#"["b.example"]"#, "/"),
        ("/v1/users", r#"{"address":"x@a.example","password":"geheim""#, "/"),
        ("/v1/users", r#"{"address":"x@a.example","password":{"geheim":1}}"#, "/password"),
        ("/v1/aliases", r#"{"alias":"x@a.example"}"#, "/target"),
        ("/v1/aliases", r#"{"alias":"x@a.example","target":[]}"#, "/target"),
        ("/v1/aliases", r#"{"alias":"x@a.example","target":["jane@a.example",7]}"#, "/target"),
        ("/v1/queue/drop", "{}", "/"),
        ("/v1/queue/hold", r#"{"id":1,"domain":"b.example"}"#, "/"),
        ("/v1/queue/hold", r#"{"id":-1}"#, "/id"),
        ("/v1/queue/hold", r#"{"id":18446744073709551615}"#, "/id"),
    ] {
        let (status, answer) = served.say(Method::POST, path, Some(body)).await;
        assert_eq!((status, &answer["place"]), (400, &json!(place)), "{body}: {answer}");
        assert!(!answer.to_string().contains("geheim") && answer["fix"].is_string() && answer["detail"].is_string(), "{answer}");
    }
    for (path, place) in [
        ("/v1/queue?colour=red", "query colour"),
        ("/v1/queue?domain=a&user=b", "/"),
        ("/v1/queue/tls?days_ago=x", "query days_ago"),
        ("/v1/queue/x", "path id"),
        ("/v1/trace?peer=x", "query peer"),
    ] {
        let (status, answer) = served.say(Method::GET, path, None).await;
        assert_eq!((status, &answer["place"]), (400, &json!(place)), "{path}: {answer}");
    }
    let large = format!(r#"{{"domain":"{}"}}"#, "x".repeat(20_000));
    let response = served.ask(Method::POST, "/v1/domains", Some(&served.admin), Some(&large)).await;
    assert_eq!(
        (response.status(), response.headers().get("connection").expect("there")),
        (StatusCode::PAYLOAD_TOO_LARGE, &"close".parse().expect("a value"))
    );
    let mut request =
        Request::builder().method("POST").uri("/v1/domains").header("authorization", format!("Bearer {}", served.admin));
    request = request.header("content-type", "text/plain");
    let answer = TowerToHyperService::new(served.api.router()).call(request.body(Body::from("{}")).expect("a request")).await;
    assert_eq!(answer.expect("an answer").status(), StatusCode::UNSUPPORTED_MEDIA_TYPE);
}

#[tokio::test]
async fn the_queue_is_shown_held_tried_and_dropped() {
    let served = Served::new();
    let (post, get) = (Method::POST, Method::GET);
    let elsewhere = vec!["x@b.example".to_owned().into(), "y@c.example".to_owned().into()];
    let (sender, at) = ("jane@a.example".to_owned(), Timestamp::from_unix(999_940));
    let (terms, priority) = (Default::default(), Default::default());
    let message = b"Subject: hi\r\n\r\nhi\r\n".to_vec().into();
    let delivery = Delivery {
        message,
        final_fields: Vec::new(),
        mailboxes: Vec::new(),
        sender,
        elsewhere,
        terms,
        priority,
        at,
        extra: Default::default(),
    };
    let id = served.store.deliver(delivery).expect("kept").expect("in the queue");
    let held = |answer: &Value| -> Vec<bool> {
        answer["queue"].as_array().expect("a list").iter().map(|one| one["held"].as_bool().expect("said")).collect()
    };
    let (_, shown) = served.say(get.clone(), &format!("/v1/queue/{id}"), None).await;
    assert_eq!((&shown["schema"], shown["queue"].as_array().map(Vec::len)), (&json!("sealpost.queue.show/1"), Some(2)));
    assert!(shown["size"].as_u64().is_some_and(|size| size >= 19) && !shown.to_string().contains("Subject"), "{shown}");
    assert_eq!(served.say(post.clone(), "/v1/queue/hold", Some(r#"{"domain":"B.example"}"#)).await.0, 200);
    assert_eq!(held(&served.say(get.clone(), "/v1/queue?domain=b.example", None).await.1), [true]);
    assert_eq!(held(&served.say(get.clone(), "/v1/queue?user=Jane@a.example", None).await.1), [true, false]);
    let (_, status) = served.say(get.clone(), "/v1/status", None).await;
    assert_eq!((&status["queue_held"], &status["queued"], &status["queue_oldest_seconds"]), (&json!(1), &json!(2), &json!(60)));
    assert_eq!(served.say(post.clone(), "/v1/queue/retry", Some(&format!(r#"{{"id":{id}}}"#))).await.0, 200);
    assert_eq!(held(&served.say(get.clone(), "/v1/queue", None).await.1), [false, false]);
    assert_eq!(served.say(post, "/v1/queue/drop", Some(&format!(r#"{{"id":{id}}}"#))).await.0, 200);
    assert_eq!(served.say(get.clone(), "/v1/queue", None).await.1["queue"], json!([]));
    assert_eq!(served.say(get.clone(), &format!("/v1/queue/{id}"), None).await.0, 404);
    assert_eq!(served.say(get, "/v1/queue/tls", None).await.1["day"], json!(11));
}

#[tokio::test]
async fn a_trace_tells_what_is_wanted_and_ends_with_the_server() {
    let served = Served::new();
    let response = served.ask(Method::GET, "/v1/trace?user=jane@a.example", Some(&served.read), None).await;
    assert_eq!(response.headers().get("content-type").expect("there"), "application/x-ndjson");
    let mut body = response.into_body();
    for user in ["joe@a.example", "jane@a.example"] {
        let mut conversation = served.api.tracer.begin("smtp", "192.0.2.1:25".parse().expect("an address"));
        let spoken = crate::proto::Spoken { by: crate::proto::Party::Client, text: "NOOP".to_owned() };
        conversation.say(Timestamp::from_unix(5), Some(user), vec![spoken]);
    }
    let line = body.frame().await.expect("more").expect("a frame").into_data().expect("data");
    let event: Value = serde_json::from_slice(&line).expect("JSON");
    assert_eq!((&event["user"], &event["text"], &event["by"]), (&json!("jane@a.example"), &json!("NOOP"), &json!("C")));
    served.stop.send(true).expect("heard");
    assert!(body.frame().await.is_none());
}

#[tokio::test]
async fn who_changes_what_is_noted_without_secrets() {
    let served = Served::new();
    let mut notes = served.api.tracer.notes();
    served.say(Method::PUT, "/v1/users/jane@a.example/password", Some(r#"{"password":"geheim geheim"}"#)).await;
    served.ask(Method::GET, "/v1/status", Some("sealpost_guess"), None).await;
    let told: Vec<Event> = [notes.recv().await, notes.recv().await].into_iter().map(|note| note.expect("told")).collect();
    assert_eq!(told[0].text, "admin API: PUT /v1/users/jane@a.example/password by the token console from 127.0.0.1");
    assert_eq!(told[1].text, "admin API: a token from 127.0.0.1 is not known");
    assert!(told.iter().all(|event| !event.text.contains("geheim") && !event.text.contains("sealpost_")));
}

#[tokio::test]
async fn health_says_ok_or_not_and_nothing_else() {
    let served = Served::new();
    let health = |path: &'static str| async { read(served.ask(Method::GET, path, None, None).await).await };
    assert_eq!((health("/healthz").await, health("/readyz").await), ((200, json!("ok\n")), (200, json!("ok\n"))));
    // the queue's worker was not seen for too long
    served.clock.fetch_add(120, Ordering::Relaxed);
    assert_eq!((health("/healthz").await, health("/readyz").await), ((200, json!("ok\n")), (503, json!("not ok\n"))));
    let (_, status) = served.say(Method::GET, "/v1/status", None).await;
    assert_eq!(status["ready"], "the queue's worker does not move");
}

#[tokio::test]
async fn servers_bans_and_keys_that_are_not_there_are_told() {
    let served = Served::new();
    let problem = |name: &str| json!(format!("urn:sealpost:problem:{name}"));
    for (method, path, body, status, name) in [
        (Method::POST, "/v1/servers/shop/stop", None, 404, "not-found"),
        (Method::POST, "/v1/bans/192.0.2.1/lift", None, 404, "not-found"),
        (Method::POST, "/v1/bans/everybody/lift", None, 400, "invalid"),
        (Method::POST, "/v1/bans/127.0.0.1/lift", None, 400, "invalid"),
        (Method::POST, "/v1/bans", Some(r#"{"address":"everybody"}"#), 400, "invalid"),
        (Method::POST, "/v1/bans", Some(r#"{"address":"192.0.2.1","seconds":0}"#), 400, "invalid"),
        (Method::POST, "/v1/reload", None, 409, "configuration"),
        (Method::GET, "/v1/dkim", None, 409, "not-now"),
        (Method::DELETE, "/v1/dkim/a.example/20261101r", None, 409, "not-now"),
        (Method::POST, "/v1/dkim", Some(r#"{"domain":"a.example","kind":"dsa"}"#), 400, "invalid"),
        (Method::POST, "/v1/dkim", Some(r#"{"domain":"a.example","from":"soon"}"#), 400, "invalid"),
    ] {
        let (found, answer) = served.say(method, path, body).await;
        assert_eq!((found, &answer["type"]), (status, &problem(name)), "{path}: {answer}");
    }
    assert_eq!(
        served.say(Method::GET, "/v1/servers", None).await.1,
        json!({ "schema": "sealpost.server.list/1", "servers": [] })
    );
    assert_eq!(served.say(Method::GET, "/v1/bans", None).await.1, json!({ "schema": "sealpost.ban.list/1", "bans": [] }));
}
