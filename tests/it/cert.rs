//! `sealpost cert verify`: exit codes, policies, and the tree of what does not hold.

use serde_json::Value;

use crate::support;

const AT: &str = "2026-06-01T00:00:00Z";

/// Runs `cert verify` in a home of its own; gives (exit code, stdout, stderr).
fn verify(line: &str) -> (i32, String, String) {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let home = folder.path().join("home").display().to_string();
    let args: Vec<&str> = ["--home", &home, "--batch", "cert", "verify"].into_iter().chain(line.split_whitespace()).collect();
    let (code, out, talk) = support::run(env!("CARGO_BIN_EXE_sealpost"), &args, b"");
    (code, String::from_utf8(out).expect("text"), talk)
}

fn json(line: &str) -> (i32, Value) {
    let (code, out, talk) = verify(&format!("{line} --json"));
    (code, serde_json::from_str(&out).unwrap_or_else(|e| panic!("{line}: {e}\n{talk}")))
}

fn cast(name: &str) -> String {
    format!("{}/certs/{name}", env!("CARGO_MANIFEST_DIR"))
}

/// A member of the cast, with what it needs to be trusted.
fn member(who: &str, more: &str) -> String {
    let (root, issuing) = (cast("root.pem"), cast("issuing.pem"));
    format!("{} --trust {root} --intermediates {issuing} --crl {} --at {AT} {more}", cast(who), cast("issuing.crl"))
}

#[test]
fn a_good_certificate_is_exit_0_with_its_path() {
    let (code, out, talk) = verify(&member("alice.pem", "--email ALICE@example.com"));
    assert_eq!(code, 0, "{out}{talk}");
    assert!(out.starts_with("CN=Alice, SN=Alice: trusted\n  path: CN=Alice, SN=Alice ← CN=Sealpost Test Mail CA"), "{out}");
    let (code, found) = json(&member("alice.pem", "--purpose mail-encrypt"));
    assert_eq!((code, found["result"].as_str(), found["schema"].as_str()), (0, Some("ok"), Some("sealpost.cert.verify/1")));
    assert_eq!(found["chain"]["status"], "trusted");
    assert_eq!(found["chain"]["path"].as_array().map(Vec::len), Some(3));
    assert_eq!(found["policies"], serde_json::json!(["2.23.140.1.5.4.2"]));
    assert_eq!(found["rejected"], serde_json::json!([]));
}

#[test]
fn what_is_wrong_with_a_list_that_is_at_hand_twice_is_said_once() {
    let (root, issuing, list) = (cast("root.pem"), cast("issuing.pem"), cast("issuing.crl"));
    let line = format!("{} --trust {root} --intermediates {issuing} --crl {list} --crl {list}", cast("alice.pem"));
    let (_, found) = json(&format!("{line} --at 2035-06-01T00:00:00Z"));
    let texts = found["findings"].as_array().expect("findings").iter().map(|one| one["text"].as_str().expect("text"));
    let told: Vec<usize> = texts.map(|text| text.matches("it is too old").count()).filter(|count| *count > 0).collect();
    assert_eq!(told, [1], "{found}");
}

#[test]
fn each_way_of_being_wrong_has_its_exit_code_and_its_reason() {
    for (line, exit, code, reason) in [
        (member("expired.pem", ""), 5, "expired", "expired"),
        (member("revoked.pem", ""), 5, "revoked", "revoked"),
        (member("servers.pem", ""), 3, "unsuitable", "not-for-mail"),
        (member("stranger.pem", ""), 3, "untrusted", "issuer-missing"),
        (member("stranger-root.pem", ""), 3, "untrusted", "self-signed"),
        (member("alice.pem", "--revocation hard"), 3, "revocation-unknown", "revocation-unknown"),
        (member("wrong-usage.pem", "--require-explicit-policy"), 3, "untrusted", "issuer-missing"),
        (member("alice.pem", "--policy 2.999.1 --require-explicit-policy"), 3, "unsuitable", "policy"),
    ] {
        let (found_exit, found) = json(&line);
        assert_eq!((found_exit, found["result"].as_str()), (exit, Some("bad")), "{line}: {found}");
        let has = |list: &Value, code: &str| {
            let mut list = list.as_array().expect("a list").iter();
            list.any(|one| one["code"] == code && one["severity"] == "error" && one["text"].is_string())
        };
        assert!(has(&found["findings"], code), "{line}: {found}");
        let mut certificates = found["rejected"][0]["certificates"].as_array().expect("a path").iter();
        assert!(certificates.any(|certificate| has(&certificate["reasons"], reason)), "{line}: {found}");
    }
}

#[test]
fn an_address_that_it_does_not_speak_for_is_exit_4_and_a_broken_file_exit_8() {
    let (code, found) = json(&member("alice.pem", "--email bob@example.org"));
    assert_eq!((code, found["chain"]["status"].as_str()), (4, Some("trusted")));
    let text = found["findings"].as_array().and_then(|all| all.last()).map(|last| last["text"].clone());
    assert_eq!(
        text,
        Some(Value::from("certificate of CN=Alice, SN=Alice speaks for alice@example.com – bob@example.org was asked for"))
    );
    assert_eq!(verify(&cast("alice.key")).0, 8);
    assert_eq!(verify(&cast("nobody.pem")).0, 9);
    assert_eq!(verify(&member("alice.pem", "--policy 1.40")).0, 2);
}

#[test]
fn the_tree_names_each_certificate_its_reason_and_what_helps() {
    let line = format!("{} --trust {} --at {AT}", cast("alice.pem"), cast("root.pem"));
    let (code, out, _) = verify(&line);
    assert_eq!(code, 3);
    let (tree, help) = out.split_once("\n        try: ").expect("what helps");
    assert_eq!(
        tree,
        "CN=Alice, SN=Alice: NOT trusted – untrusted\n  path 1: untrusted\n    CN=Alice, SN=Alice\n      error: the certificate of the issuer \
         CN=Sealpost Test Mail CA, O=Sealpost Test is missing – it signed CN=Alice, SN=Alice [issuer-missing]"
    );
    assert!(help.starts_with("sealpost ") && help.ends_with(&format!("cert verify {line} --intermediates FILE\n")), "{help}");
    let (_, out, talk) = verify(&member("expired.pem", ""));
    for line in [
        "path 1: expired",
        "CN=Expired, SN=Expired\n",
        "[expired]\n        try: sealpost ",
        " --at TIME\n",
        "O=Sealpost Test (trust anchor)",
    ] {
        assert!(out.contains(line), "{line}: {out}");
    }
    assert!(talk.is_empty(), "nothing is said twice: {talk}");
}

#[test]
fn policies_are_asked_for_as_the_options_say() {
    let Some(folder) = support::vectors("pkits") else { return };
    let path = |file: &str| folder.join(file).display().to_string();
    let policy = |number: u32| format!("2.16.840.1.101.3.2.1.48.{number}");
    let tests: Value = serde_json::from_slice(&std::fs::read(folder.join("tests.json")).expect("the tests")).expect("JSON");
    let line = |id: &str, more: &str| {
        let test = tests["tests"].as_array().expect("tests").iter().find(|test| test["id"] == id).expect("the test");
        let between = test["path"].as_array().expect("a path").iter().rev().skip(1);
        let between: String = between.map(|file| format!(" --intermediates {}", path(file.as_str().expect("a file")))).collect();
        let (target, anchor) = (test["target"].as_str().expect("a file"), test["trust_anchor"].as_str().expect("a file"));
        format!(
            "{} --trust {}{between} --purpose any --revocation off --at 2011-04-15T00:00:00Z {more}",
            path(target),
            path(anchor)
        )
    };
    for (id, more, exit, valid) in [
        ("4.8.1", format!("--policy {} --require-explicit-policy", policy(1)), 0, vec![policy(1)]),
        ("4.8.1", format!("--policy {} --require-explicit-policy", policy(2)), 3, vec![]),
        ("4.8.1", format!("--policy {}", policy(2)), 0, vec![]),
        ("4.8.1", format!("--policy {} --policy {}", policy(2), policy(1)), 0, vec![policy(1)]),
        ("4.8.1", String::new(), 0, vec![policy(1)]),
        ("4.10.1", format!("--policy {}", policy(1)), 0, vec![policy(1)]),
        ("4.10.1", "--inhibit-policy-mapping --require-explicit-policy".to_owned(), 3, vec![]),
        ("4.12.3", String::new(), 0, vec![policy(1)]),
        ("4.12.3", "--inhibit-any-policy".to_owned(), 3, vec![]),
    ] {
        let (found, out) = json(&line(id, &more));
        assert_eq!((found, &out["policies"]), (exit, &Value::from(valid)), "{id} {more}: {out}");
    }
    let (_, out, talk) = verify(&line("4.8.15", ""));
    assert!(out.contains(&format!("policy: {}\n    q1:", policy(1))), "the notice is shown: {out}");
    let (_, _, talk2) = verify(&line("4.8.1", &format!("--policy {}", policy(2))));
    assert!(
        talk.is_empty() && talk2.contains("hint: sealpost ") && talk2.contains(" --require-explicit-policy\n"),
        "{talk}{talk2}"
    );
}
