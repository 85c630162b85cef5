//! The admin API, asked by curl; what it describes and counts, read by programs of others; the log; the trace of one message.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::{Command, Stdio};

use serde_json::{Value, json};

use super::Served;
use crate::support;

const PASSWORD: &str = "Kennwort-7-only-here";

fn with(more: &str) -> Served {
    Served::of("a.example", &["jane", "joe"], |text| format!("{text}\n[api]\nlisten = \"127.0.0.1:0\"\n{more}"))
}

/// Asks with curl; gives the status and the body.
fn curl(served: &Served, token: &str, method: &str, path: &str, body: Option<&str>) -> (u16, String) {
    let url = format!("http://127.0.0.1:{}{path}", served.port("api"));
    let bearer = format!("Authorization: Bearer {token}");
    let mut args = vec!["-sS", "-m", "120", "-w", "\n%{http_code}", "-X", method, "-H", &bearer, &url];
    if let Some(body) = body {
        args.extend(["-H", "Content-Type: application/json", "--data-raw", body]);
    }
    let (code, out, talk) = support::run("curl", &args, b"");
    assert_eq!(code, 0, "{method} {path}: {talk}");
    let out = String::from_utf8(out).expect("text");
    let (body, status) = out.rsplit_once('\n').expect("a status");
    (status.parse().expect("a number"), body.to_owned())
}

fn json_of((status, body): (u16, String)) -> Value {
    assert_eq!(status, 200, "{body}");
    serde_json::from_str(&body).expect("JSON")
}

/// A token of the command line.
fn token(served: &Served, args: &[&str]) -> String {
    served.run(&[&["token", "new"], args].concat()).0.trim().to_owned()
}

/// Runs Python with the libraries of others; `None` where it has not this one.
fn python(module: &str, script: &str, input: &[u8]) -> Option<(i32, String)> {
    let python = support::named_peer("SEALPOST_PYTHON")?;
    if support::run(&python, &["-c", &format!("import {module}")], b"").0 != 0 {
        support::skip(&format!("SEALPOST_PYTHON has no {module}"));
        return None;
    }
    let (code, _, talk) = support::run(&python, &["-c", script], input);
    Some((code, talk))
}

#[test]
fn curl_administers_a_server_that_runs_and_the_log_and_the_metrics_tell_of_it() {
    if !support::peer("curl") {
        return;
    }
    let served = with("[log]\nform = \"json\"\nlevel = \"debug\"\nfile = \"log.json\"\n");
    let (admin, read) = (token(&served, &["console", "--scope", "admin", "--days", "1"]), token(&served, &["watcher"]));
    let list = served.run(&["token", "list"]).0;
    assert!(list.contains("console  admin") && list.contains("watcher  read") && !list.contains(&admin), "{list}");

    let new = json!({ "address": "new@a.example", "password": PASSWORD }).to_string();
    assert_eq!(curl(&served, &read, "POST", "/v1/users", Some(&new)).0, 403);
    let added = json_of(curl(&served, &admin, "POST", "/v1/users", Some(&new)));
    assert_eq!(added["users"], json!([{ "address": "new@a.example", "password": null }]));
    // what both doors say is one
    let by_both = |path: &str, args: &[&str]| {
        let here: Value = serde_json::from_str(&served.run(&[args, &["--json"]].concat()).0).expect("JSON");
        assert_eq!(json_of(curl(&served, &read, "GET", path, None)), here, "{path}");
        here
    };
    assert_eq!(by_both("/v1/users", &["user", "list"])["users"], json!(["jane@a.example", "joe@a.example", "new@a.example"]));
    by_both("/v1/users/new@a.example", &["user", "show", "new@a.example"]);
    by_both("/v1/domains", &["domain", "list"]);
    assert_eq!(by_both("/v1/aliases", &["alias", "list"])["aliases"][0]["alias"], "postmaster@a.example");
    by_both("/v1/queue", &["queue", "list"]);

    fs::write(served.path("pw"), format!("{PASSWORD}\n")).expect("written");
    served.send("new@a.example", "From: new@a.example\nTo: new@a.example\nSubject: hi\n\nA letter that nobody logs.\n");
    assert_eq!(served.fetch("new@a.example").len(), 1);
    json_of(curl(&served, &admin, "POST", "/v1/users/new@a.example/suspend", None));
    let letter = served.path("letter.eml");
    let (home, pw) = (served.path("home"), served.path("pw"));
    let via = format!("localhost:{}", served.port("submission"));
    let again = ["--home", &home, "--batch", "--passphrase-file", &pw, "send", &letter, "--via", &via, "--user", "new@a.example"];
    assert_ne!(support::run(env!("CARGO_BIN_EXE_sealpost"), &again, b"").0, 0, "she is suspended");
    served.run(&["user", "resume", "new@a.example"]);
    assert_eq!(support::run(env!("CARGO_BIN_EXE_sealpost"), &again, b"").0, 0, "she is let in again");

    let (status, metrics) = curl(&served, &read, "GET", "/metrics", None);
    assert_eq!(status, 200);
    for line in [
        r#"sealpost_messages_accepted_total{service="submission"} 2"#,
        r#"sealpost_logins_total{service="submission",mechanism="SCRAM-SHA-256-PLUS",result="bad"} 1"#,
        r#"sealpost_logins_total{service="submission",mechanism="SCRAM-SHA-256-PLUS",result="good"} 2"#,
        r#"sealpost_tls_handshakes_total{service="submission",version="TLSv1.3"} 3"#,
        r#"sealpost_api_requests_total{operation="AddUser",status="403"} 1"#,
        "sealpost_delivered_total 2",
    ] {
        assert!(metrics.lines().any(|known| known == line), "{line} in {metrics}");
    }
    let status = json_of(curl(&served, &read, "GET", "/v1/status", None));
    assert_eq!((&status["accepted"], &status["logins_bad"], &status["ready"]), (&json!(2), &json!(1), &json!("yes")));
    let screen = served.run(&["status"]).0;
    assert!(
        screen.lines().count() <= 50 && screen.contains("disk_free_bytes") && screen.contains("ready                yes"),
        "{screen}"
    );

    let log = served.logged("log.json", |log| log.matches("accepted a message").count() == 2);
    let events: Vec<Value> = log.lines().map(|line| serde_json::from_str(line).expect("a JSON object a line")).collect();
    let has = |text: &str| events.iter().find(|event| event["text"].as_str().is_some_and(|known| known.contains(text)));
    let accepted = has("accepted a message").expect("logged");
    assert!(accepted["session"].is_u64() && accepted["peer"].is_string() && accepted["user"] == "new@a.example", "{accepted}");
    assert_eq!(has("refused: 535").expect("logged")["level"], "warning");
    assert!(has("admin API: POST /v1/users by the token console").is_some() && has("EHLO").is_some());
    for secret in [PASSWORD, &admin, &read, "nobody logs"] {
        assert!(!log.contains(secret) && !metrics.contains(secret), "{secret}");
    }
    served.run(&["token", "revoke", "watcher"]);
    assert_eq!(curl(&served, &read, "GET", "/v1/status", None).0, 401);

    let (status, document) = curl(&served, "", "GET", "/v1/openapi.json", None);
    assert_eq!(status, 200);
    let validate = "import json, sys\nfrom openapi_spec_validator import validate\nvalidate(json.load(sys.stdin))\n";
    if let Some((code, talk)) = python("openapi_spec_validator", validate, document.as_bytes()) {
        assert_eq!(code, 0, "{talk}");
        let broken = document.replace("\"openapi\":\"3.1.0\",", "");
        assert_ne!(python("openapi_spec_validator", validate, broken.as_bytes()).expect("there").0, 0, "it judges");
    }
    let parse = "import sys\nfrom prometheus_client.parser import text_string_to_metric_families as parse\n\
                 found = {family.name: family for family in parse(sys.stdin.read())}\n\
                 assert found['sealpost_store_commit_seconds'].type == 'histogram', found\n\
                 assert sum(sample.value for sample in found['sealpost_messages_accepted'].samples) == 2, found\n\
                 assert all(family.documentation for family in found.values())\n";
    if let Some((code, talk)) = python("prometheus_client", parse, metrics.as_bytes()) {
        assert_eq!(code, 0, "{talk}");
    }
}

#[test]
fn the_api_is_under_the_tls_of_the_server_where_that_is_asked_for_and_bounds_what_comes() {
    if !support::peer("curl") {
        return;
    }
    let served = with("tls = \"on\"\n");
    let (url, root) = (format!("https://localhost:{}/healthz", served.port("api")), served.path("root.pem"));
    let (code, out, talk) = support::run("curl", &["-sS", "-m", "120", "-D", "-", "--cacert", &root, &url], b"");
    let out = String::from_utf8(out).expect("text");
    assert!(code == 0 && out.starts_with("HTTP/1.1 200") && out.ends_with("\r\n\r\nok\n"), "{out}{talk}");
    assert!(out.to_ascii_lowercase().contains("cache-control: no-store"), "{out}");
    let (code, _, _) = support::run("curl", &["-sS", "-m", "120", "--cacert", &root, &url.replace("https", "http")], b"");
    assert_ne!(code, 0, "nothing is said in the clear");

    let served = with("");
    let raw = |request: &str| {
        let mut stream = TcpStream::connect(("127.0.0.1", served.port("api"))).expect("connects");
        stream.write_all(request.as_bytes()).expect("written");
        let mut answer = String::new();
        let _ = stream.read_to_string(&mut answer);
        answer
    };
    let head = |more: &str| format!("GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n{more}\r\n");
    assert!(raw(&head("")).starts_with("HTTP/1.1 200"));
    assert!(raw(&head(&format!("X: {}\r\n", "x".repeat(20_000)))).starts_with("HTTP/1.1 431"));
    assert!(raw(&head(&"X: x\r\n".repeat(100))).starts_with("HTTP/1.1 431"));
    assert!(raw("\u{16}\u{3}\u{1}\r\n\r\n").starts_with("HTTP/1.1 400"));
    // a page of others that a browser runs gets no leave to ask
    let preflight = "OPTIONS /v1/users HTTP/1.1\r\nHost: x\r\nConnection: close\r\nOrigin: https://evil.example\r\n\
                     Access-Control-Request-Method: GET\r\nAccess-Control-Request-Headers: authorization\r\n\r\n";
    let answer = raw(preflight).to_ascii_lowercase();
    assert!(answer.starts_with("http/1.1 405") && !answer.contains("access-control"), "{answer}");
    let config = served.path("home/sealpost.toml");
    let text = fs::read_to_string(&config).expect("read");
    fs::write(&config, text.replace("listen = \"127.0.0.1:0\"\n", "listen = \"0.0.0.0:8088\"\n")).expect("written");
    let check = ["--home", &served.path("home"), "serve", "--check"];
    let (code, _, talk) = support::run(env!("CARGO_BIN_EXE_sealpost"), &check, b"");
    assert!(code == 2 && talk.contains("is not on loopback – set tls = \"on\""), "{talk}");
    assert!(talk.contains("sealpost.toml has a mistake\n"), "{talk}");
}

#[test]
fn curl_rolls_keys_over_pauses_servers_and_lifts_bans_as_the_commands_do() {
    if !support::peer("curl") {
        return;
    }
    // it is stopped and comes back where it was: nobody else has the port meanwhile
    let port = support::free_port();
    let more = format!(
        "[dkim]\nfolder = \"dkim\"\n[[server]]\nname = \"office\"\n[server.listen]\nsmtp = \"127.0.0.1:{port}\"\n\
         [server.dkim]\nfolder = \"office-keys\"\n[[server]]\nname = \"bare\"\n[server.listen]\nsmtp = \"127.0.0.1:0\"\n"
    );
    let served = with(&more);
    let (admin, read) = (token(&served, &["console", "--scope", "admin"]), token(&served, &["watcher"]));
    let by_both = |path: &str, args: &[&str]| {
        let here: Value = serde_json::from_str(&served.run(&[args, &["--json"]].concat()).0).expect("JSON");
        assert_eq!(json_of(curl(&served, &read, "GET", path, None)), here, "{path}");
        here
    };
    let problem = |(status, body): (u16, String)| -> (u16, String) {
        let problem: Value = serde_json::from_str(&body).expect("JSON");
        (status, problem["type"].as_str().expect("a type").trim_start_matches("urn:sealpost:problem:").to_owned())
    };

    // keys: the first signs at once, its successor waits and may be taken back
    assert_eq!(by_both("/v1/dkim", &["dkim", "list"])["keys"], json!([]));
    assert_eq!(curl(&served, &read, "POST", "/v1/dkim", Some(r#"{"domain":"a.example"}"#)).0, 403);
    let made = json_of(curl(&served, &admin, "POST", "/v1/dkim", Some(r#"{"domain":"a.example"}"#)));
    assert_eq!((made["schema"].as_str(), made["records"].as_array().map(Vec::len)), (Some("sealpost.dkim.new/1"), Some(2)));
    served.send("jane@a.example", "From: jane@a.example\nTo: joe@a.example\n\nhi\n");
    assert_eq!(served.fetch("joe@a.example").concat().matches("DKIM-Signature:").count(), 2, "nobody had to reload");
    json_of(curl(&served, &admin, "POST", "/v1/dkim", Some(r#"{"domain":"a.example","kind":"ed25519"}"#)));
    let keys = by_both("/v1/dkim", &["dkim", "list"])["keys"].clone();
    let states: Vec<&str> = keys.as_array().expect("a list").iter().filter_map(|key| key["state"].as_str()).collect();
    assert_eq!(states, ["waits", "signs", "signs"], "{keys}");
    assert_eq!(
        by_both("/v1/dkim/dns?domain=a.example", &["dkim", "dns", "a.example"])["records"].as_array().map(Vec::len),
        Some(3)
    );
    let path = |at: usize| format!("/v1/dkim/a.example/{}", keys[at]["selector"].as_str().expect("text"));
    assert_eq!(problem(curl(&served, &admin, "DELETE", &path(1), None)), (409, "not-now".to_owned()));
    let refused = served.refused(&["dkim", "remove", "a.example", keys[1]["selector"].as_str().expect("text")]);
    assert!(refused.contains("signs the mail of a.example"), "{refused}");
    let gone = json_of(curl(&served, &admin, "DELETE", &path(0), None));
    assert_eq!(gone, json!({ "schema": "sealpost.dkim.remove/1", "exit": 0 }));
    assert_eq!(problem(curl(&served, &admin, "DELETE", &path(0), None)), (404, "not-found".to_owned()));

    // another server has keys of its own, and nobody else's
    json_of(curl(&served, &admin, "POST", "/v1/dkim?server=office", Some(r#"{"domain":"office.example","kind":"ed25519"}"#)));
    let keys = by_both("/v1/dkim?server=office", &["dkim", "list", "--server", "office"])["keys"].clone();
    assert_eq!(keys.as_array().map(Vec::len), Some(1), "{keys}");
    assert_eq!(keys[0]["domain"], "office.example");
    assert_eq!(by_both("/v1/dkim?server=main", &["dkim", "list", "--server", "main"]), by_both("/v1/dkim", &["dkim", "list"]));
    assert_eq!(problem(curl(&served, &read, "GET", "/v1/dkim?server=bare", None)), (409, "not-now".to_owned()));
    assert_eq!(problem(curl(&served, &read, "GET", "/v1/dkim?server=nobody", None)), (404, "not-found".to_owned()));
    assert!(served.refused(&["dkim", "list", "--server", "bare"]).contains("names no folder for keys of the server bare"));
    assert!(served.refused(&["dkim", "list", "--server", "nobody"]).contains("there is no server nobody"));

    // servers, each alone
    let office = |what: &str| curl(&served, &admin, "POST", &format!("/v1/servers/office/{what}"), None);
    let state = || by_both("/v1/servers", &["server", "list"])["servers"][1]["state"].clone();
    assert_eq!(state(), "running");
    assert_eq!(curl(&served, &read, "POST", "/v1/servers/office/stop", None).0, 403);
    for (order, is) in [("pause", "paused"), ("stop", "stopped"), ("start", "running")] {
        assert_eq!(json_of(office(order)), json!({ "schema": format!("sealpost.server.{order}/1"), "exit": 0 }));
        assert_eq!(state(), is);
    }
    json_of(office("stop"));
    assert_eq!(problem(office("pause")), (409, "not-now".to_owned()));
    assert_eq!(problem(curl(&served, &admin, "POST", "/v1/servers/shop/start", None)), (404, "not-found".to_owned()));

    // bans: loopback is never banned, so that there is none to lift
    assert_eq!(by_both("/v1/bans", &["ban", "list"])["bans"], json!([]));
    assert!(served.run(&["ban", "add", "192.0.2.0/24", "--for", "2h"]).0.contains("192.0.2.0/24 is banned"));
    let bans = json_of(curl(&served, &read, "GET", "/v1/bans", None))["bans"].clone();
    assert_eq!((&bans[0]["address"], &bans[0]["by"]), (&json!("192.0.2.0/24"), &json!("hand")), "{bans}");
    assert!(bans[0]["until"].as_str().is_some_and(|until| until.ends_with('Z')), "{bans}");
    json_of(curl(&served, &admin, "POST", "/v1/bans/192.0.2.0%2F24/lift", None));
    let spam = Some(r#"{"address":"spam@b.example"}"#);
    assert_eq!(curl(&served, &read, "POST", "/v1/bans", spam).0, 403);
    assert_eq!(json_of(curl(&served, &admin, "POST", "/v1/bans", spam)), json!({ "schema": "sealpost.ban.add/1", "exit": 0 }));
    let bans = by_both("/v1/bans", &["ban", "list"])["bans"].clone();
    assert_eq!(bans, json!([{ "address": "spam@b.example", "until": null, "by": "hand" }]));
    assert!(served.refused(&["ban", "add", "127.0.0.1"]).contains("never banned"));
    assert!(served.refused(&["ban", "add", "192.0.2.1", "--for", "ever"]).contains("as 30m"));
    served.run(&["ban", "lift", "spam@b.example"]);
    assert!(served.refused(&["ban", "lift", "spam@b.example"]).contains("spam@b.example is not banned"));
    assert_eq!(by_both("/v1/bans", &["ban", "list"])["bans"], json!([]));
    assert_eq!(problem(curl(&served, &admin, "POST", "/v1/bans/192.0.2.1/lift", None)), (404, "not-found".to_owned()));

    // the configuration, read again
    let config = served.path("home/sealpost.toml");
    let text = fs::read_to_string(&config).expect("a configuration");
    fs::write(&config, text.replace("52428800", "100000")).expect("written");
    assert_eq!(curl(&served, &read, "POST", "/v1/reload", None).0, 403);
    let done = json_of(curl(&served, &admin, "POST", "/v1/reload", None));
    let changed = json!(["limits.message_bytes 52428800 → 100000"]);
    assert_eq!(done, json!({ "schema": "sealpost.reload/1", "exit": 0, "changed": changed, "kept": [] }));
    fs::write(&config, text.replace("hostname", "hostnam")).expect("written");
    let (status, why) = curl(&served, &admin, "POST", "/v1/reload", None);
    assert!(status == 409 && why.contains("did you mean hostname?"), "{why}");
    fs::write(&config, text).expect("written");

    // what both doors say of the state is one, but for what goes on meanwhile
    let told = |text: String| -> Vec<(String, &str)> {
        let status: serde_json::Map<String, Value> = serde_json::from_str(&text).expect("JSON");
        let kind = |value: &Value| if value.is_number() { "number" } else { "text" };
        status.iter().filter(|(name, _)| !name.starts_with("open_")).map(|(name, value)| (name.clone(), kind(value))).collect()
    };
    let (status, over_http) = curl(&served, &read, "GET", "/v1/status", None);
    assert_eq!((status, told(over_http)), (200, told(served.run(&["status", "--json"]).0)));
}

/// A server that puts everything off.
fn puts_off() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = listener.local_addr().expect("an address").port();
    std::thread::spawn(move || {
        for stream in listener.incoming().filter_map(Result::ok) {
            let mut stream = BufReader::new(stream);
            let mut next = "220 slow.example\r\n";
            let mut line = String::new();
            while stream.get_mut().write_all(next.as_bytes()).is_ok() && stream.read_line(&mut line).is_ok_and(|read| read > 0) {
                next = match line.get(..4) {
                    Some("EHLO") => "250 slow.example\r\n",
                    Some("MAIL") => "451 4.7.1 come back later\r\n",
                    _ => "221 bye\r\n",
                };
                line.clear();
            }
        }
    });
    port
}

#[test]
fn the_trace_of_one_message_of_the_queue_is_explained_in_chinese() {
    let route = format!("[routes]\n\"b.example\" = \"127.0.0.1:{}\"\n", puts_off());
    let served = Served::of("a.example", &["jane"], |text| text.replacen("[routes]\n", &route, 1));
    for to in ["x@b.example", "y@b.example"] {
        served.send("jane@a.example", &format!("From: jane@a.example\nTo: {to}\n\nhi\n"));
    }
    let mut trace = Command::new(env!("CARGO_BIN_EXE_sealpost"))
        .args(["--home", &served.path("home"), "trace", "--queue", "2", "--explain", "--language", "zh", "--json"])
        .stdout(Stdio::piped())
        .spawn()
        .expect("the program starts");
    let mut lines = BufReader::new(trace.stdout.take().expect("piped")).lines();
    let (ended, ending) = std::sync::mpsc::channel::<()>();
    let told = std::thread::scope(|scope| {
        let served = &served;
        // until the trace listens
        scope.spawn(move || {
            while ending.try_recv().is_err() {
                served.run(&["queue", "retry"]);
            }
        });
        let mut told: Vec<Value> = Vec::new();
        for line in lines.by_ref() {
            told.push(serde_json::from_str(&line.expect("text")).expect("JSON"));
            // it may have begun to listen within an attempt: a whole one is waited for
            let has = |what: &str| told.iter().any(|event| event["text"].as_str().is_some_and(|text| text.starts_with(what)));
            if has("MAIL FROM:") && has("451 4.7.1") && has("queue 2: y@b.example later") {
                break;
            }
        }
        ended.send(()).expect("it waits");
        told
    });
    trace.kill().expect("killed");
    trace.wait().expect("gone");
    assert!(told.iter().all(|event| event["queue"] == 2), "{told:?}");
    let said = |text: &str| told.iter().find(|event| event["text"].as_str().is_some_and(|known| known.starts_with(text)));
    let put_off = said("451 4.7.1").expect("it is told");
    assert_eq!((&put_off["service"], &put_off["meaning"]), (&json!("delivery"), &json!("服务器暂时出错;对方会重试")));
    assert!(said("MAIL FROM:<jane@a.example>").is_some() && said("queue 2:").is_some_and(|note| note["meaning"].is_string()));
}
