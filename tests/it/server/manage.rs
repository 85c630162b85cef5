//! What administrators type, and what they are told: passwords, aliases, quotas, mail that programs of the machine send.

use std::fs;
use std::process::Command;

use serde_json::{Value, json};

use super::Served;
use super::sendmail::{link, mails, run as as_joe};
use crate::support;

/// Runs a command in the home of this server; gives its exit code, what it printed and what it said.
fn run(served: &Served, args: &[&str]) -> (i32, String, String) {
    let home = served.path("home");
    let all = [&["--home", &home, "--batch"], args].concat();
    let (code, out, talk) = support::run(env!("CARGO_BIN_EXE_sealpost"), &all, b"");
    (code, String::from_utf8(out).expect("text"), talk)
}

#[test]
fn a_login_that_is_refused_is_no_matter_of_time() {
    let served = Served::new();
    let (letter, wrong) = (served.path("letter.eml"), served.path("wrong"));
    fs::write(&letter, "From: jane@a.example\nTo: joe@a.example\n\nhi\n").expect("written");
    fs::write(&wrong, "not her password\n").expect("written");
    let via = format!("localhost:{}", served.port("submission"));
    let login = ["--via", &via, "--user", "jane@a.example", "--passphrase-file", &wrong];
    let (code, out, talk) = run(&served, &[&["send", &letter, "--json"], &login[..]].concat());
    let said: Value = serde_json::from_str(&out).expect("JSON");
    assert_eq!((code, &said["exit"], &said["schema"]), (9, &json!(9), &json!("sealpost.send/1")), "{talk}");
    let error = said["error"].as_str().expect("a text");
    assert!(error.contains("refused the login, and nothing was sent – 535 5.7.8"), "{error}");
    assert!(talk.contains("hint: check the name of --user and the password") && !talk.contains("not now"), "{talk}");
    let sendmail = link(&served);
    let args = [&["-i", "-f", "jane@a.example"], &login[..], &["joe@a.example"]].concat();
    let (code, said) = as_joe(&served, &sendmail, &args, "From: jane@a.example\nTo: joe@a.example\n\nhi\n");
    assert!(code == 77 && said.contains("refused the login"), "{code}: {said}");
}

#[test]
fn a_message_id_has_the_domain_of_its_sender() {
    let served = Served::new();
    let letter = served.path("letter.eml");
    for (from, domain) in [("Jane <jane@A.example>", "a.example"), ("jane@lists.c.example", "lists.c.example")] {
        fs::write(&letter, format!("From: {from}\nTo: joe@a.example\n\nhi\n")).expect("written");
        served.run(&["send", &letter]);
        let [got] = mails(&served, "joe@a.example", 1).try_into().expect("one");
        let id = got.lines().find(|line| line.starts_with("Message-ID: <")).expect("one");
        assert!(id.ends_with(&format!("@{domain}>")) && id.len() > 40, "{id}");
    }
    assert_eq!(as_joe(&served, &link(&served), &["-i", "joe"], "Subject: x\n\nhi\n").0, 0);
    let [got] = mails(&served, "joe@a.example", 1).try_into().expect("one");
    assert!(got.lines().any(|line| line.starts_with("Message-ID: <") && line.ends_with("@a.example>")), "{got}");
}

#[test]
fn an_alias_is_no_users_address_and_a_domain_outside_ascii_is_kept_in_ascii() {
    let served = Served::new();
    let told = served.refused(&["alias", "add", "joe@a.example", "jane@a.example"]);
    assert!(
        told.contains("exists already – the user joe@a.example, who has the mail of this address\nhint: `sealpost user f"),
        "{told}"
    );
    served.run(&["alias", "add", "info@a.example", "jane@a.example"]);
    let told = served.refused(&["user", "add", "info@a.example"]);
    assert!(
        told.contains("exists already – the alias info@a.example, which has the mail of this address\nhint: `sealpost a"),
        "{told}"
    );
    let (out, told) = served.run(&["domain", "add", "b\u{fc}cher.example"]);
    assert_eq!((out.as_str(), told.trim_end()), ("", "domain: xn--bcher-kva.example (b\u{fc}cher.example)"));
    assert!(served.run(&["domain", "list"]).0.lines().any(|line| line == "xn--bcher-kva.example"));
    let told = served.refused(&["domain", "add", &"x".repeat(64)]);
    assert!(told.contains("is not a domain"), "{told}");
}

#[test]
fn circles_are_refused_and_several_targets_are_taken_at_once() {
    let served = Served::new();
    let told = served.refused(&["alias", "add", "x@a.example", "x@a.example"]);
    assert!(
        told.contains("the alias would lead to itself, and mail to nobody – x@a.example → x@a.example\nhint: lead it"),
        "{told}"
    );
    served.run(&["alias", "add", "all@a.example", "jane@a.example", "joe@a.example", "b@a.example"]);
    let told = served.refused(&["alias", "add", "b@a.example", "jane@a.example", "all@a.example"]);
    assert!(told.contains("b@a.example → all@a.example → b@a.example"), "{told}");
    let all = served.run(&["alias", "list"]).0;
    let own: Vec<&str> = all.lines().filter(|line| !line.starts_with("postmaster@") && !line.starts_with("root@")).collect();
    let wanted = ["all@a.example b@a.example", "all@a.example jane@a.example", "all@a.example joe@a.example"];
    assert_eq!(own, wanted, "of what is refused, nothing is there");
    served.send("jane@a.example", "From: jane@a.example\nTo: all@a.example\n\nhi\n");
    assert_eq!((served.mailbox("jane@a.example"), served.mailbox("joe@a.example")), (1, 1));
}

#[test]
fn domains_and_users_tell_their_quotas_and_who_is_suspended() {
    let served = Served::new();
    let told = served.refused(&["domain", "remove", "a.example"]);
    assert!(told.contains("error: the domain a.example has 2 users\nhint: "), "{told}");
    served.run(&["user", "remove", "joe@a.example"]);
    assert!(served.refused(&["domain", "remove", "a.example"]).contains("has 1 user\n"));
    assert_eq!(served.run(&["domain", "list"]).0, "a.example\n");
    served.run(&["domain", "quota", "a.example", "20G"]);
    assert_eq!(served.run(&["domain", "list"]).0, "a.example  0 of 21474836480 bytes\n");
    let listed: Value = serde_json::from_str(&served.run(&["domain", "list", "--json"]).0).expect("JSON");
    assert_eq!(listed["domains"], json!(["a.example"]));
    assert_eq!(listed["quotas"], json!([{ "domain": "a.example", "used": 0, "quota": 21_474_836_480_u64 }]));
    served.run(&["user", "quota", "jane@a.example", "512KiB"]);
    assert!(served.run(&["user", "show", "jane@a.example"]).0.contains("mailbox   0 of 524288 bytes"));
    assert!(served.refused(&["user", "quota", "jane@a.example", "5MB"]).contains("multiples of 1024"));
    served.run(&["domain", "quota", "a.example", "0"]);
    assert_eq!(served.run(&["domain", "list"]).0, "a.example\n");
    served.run(&["user", "suspend", "jane@a.example"]);
    assert_eq!(served.run(&["user", "list"]).0, "jane@a.example  suspended\n");
}

#[test]
fn who_sets_a_short_password_is_warned_and_an_empty_one_is_refused() {
    let served = Served::new();
    let (short, long, empty) = (served.path("short"), served.path("long"), served.path("empty"));
    fs::write(&short, "seven77\n").expect("written");
    fs::write(&long, "eight888\n").expect("written");
    fs::write(&empty, "\n").expect("written");
    for args in [["user", "add", "new@a.example"], ["user", "passwd", "jane@a.example"]] {
        for (file, code, is_warned) in [(&empty, 2, false), (&short, 0, true), (&long, 0, false)] {
            if args[1] == "add" && file == &long {
                continue;
            }
            let (found, _, talk) = run(&served, &[&args[..], &["--passphrase-file", file]].concat());
            assert!(found == code && talk.contains("has fewer than 8 characters") == is_warned, "{file}: {found} {talk}");
        }
    }
}

#[test]
fn errors_bear_the_schema_of_their_successes() {
    let served = Served::new();
    let (config, script) = (served.path("wrong.toml"), served.path("wrong.sieve"));
    fs::write(&config, "nonsense = 1\n").expect("written");
    fs::write(&script, "nonsense;\n").expect("written");
    for (args, schema) in [
        (&["queue", "drop"][..], "queue.drop"),
        (&["queue", "show", "999"], "queue.show"),
        (&["user", "filter", "nobody@a.example", "--show"], "user.filter"),
        (&["user", "filter", "jane@a.example", &script], "user.filter"),
        (&["user", "quota", "nobody@a.example", "1"], "user.quota"),
        (&["user", "quota", "jane@a.example", "much"], "user.quota"),
        (&["alias", "remove", "nobody@a.example"], "alias.remove"),
        (&["domain", "remove", "a.example"], "domain.remove"),
        (&["serve", "--check", "--config", &config], "serve.check"),
        (&["token", "revoke", "none"], "token.revoke"),
        (&["server", "stop", "none"], "server.stop"),
        (&["ban", "lift", "192.0.2.7"], "ban.lift"),
    ] {
        let (code, out, talk) = run(&served, &[args, &["--json"]].concat());
        let said: Value = serde_json::from_str(&out).unwrap_or_else(|why| panic!("{args:?}: {why}: {out} {talk}"));
        assert_eq!((code, &said["schema"]), (2, &json!(format!("sealpost.{schema}/1"))), "{args:?}: {said}");
    }
}

#[test]
fn a_backup_that_cannot_be_written_says_what_failed() {
    let served = Served::new();
    let missing = served.path("none/x.backup");
    let (code, _, told) = run(&served, &["backup", "-o", &missing]);
    let wanted = format!("error: {} – No such file or directory", served.path("none"));
    assert!(code == 9 && told.starts_with(&wanted), "{told}");
}

#[test]
fn mail_to_root_and_postmaster_reaches_the_first_user_of_each_domain() {
    let folder = tempfile::tempdir().expect("a folder");
    fs::write(folder.path().join("pw"), "secret-word\n").expect("written");
    let up = ["up", "--domain", "a.example", "--domain", "b.example", "--algorithm", "p256"];
    super::good(folder.path(), &[&up[..], &["--user", "jane", "--user", "root@b.example"]].concat());
    let aliases = super::good(folder.path(), &["alias", "list"]).0;
    let wanted = "postmaster@a.example jane@a.example\npostmaster@b.example jane@a.example\nroot@a.example jane@a.example\n";
    assert_eq!(aliases, wanted, "who has the name has the mail");
}

#[test]
fn a_bare_root_has_a_reader_and_what_has_none_is_told() {
    let served = Served::new();
    let sendmail = link(&served);
    assert_eq!(as_joe(&served, &sendmail, &["-i", "-f", "root", "root"], "From: root\nTo: root\nSubject: cron\n\nhi\n").0, 0);
    let [got] = mails(&served, "jane@a.example", 1).try_into().expect("one");
    assert!(got.contains("Subject: cron"), "{got}");
    let bad = |served: &Served| {
        let status: Value = serde_json::from_str(&served.run(&["status", "--json"]).0).expect("JSON");
        status["pickup_bad"].clone()
    };
    assert_eq!(bad(&served), json!(0));
    let place = served.path("home/pickup/x.ready");
    fs::write(&place, "X-Sender: <>\nX-Receiver: nobody@a.example\nSubject: lost\n\nhi\n").expect("written");
    let begin = std::time::Instant::now();
    while bad(&served) != json!(1) {
        assert!(begin.elapsed() < support::LONGEST, "{}", bad(&served));
        std::thread::sleep(std::time::Duration::from_millis(50));
    }
    let said: Value = serde_json::from_str(&run(&served, &["doctor", "--offline", "--json"]).1).expect("JSON");
    let found = said["findings"].as_array().expect("a list").iter().find(|one| one["code"] == "pickup-bad").expect("told");
    assert_eq!(found["severity"], "warning");
    let fix = found["fix"].as_str().expect("a command");
    let shown = Command::new("timeout").args(["240", "sh", "-c", fix]).output().expect("it runs");
    assert!(String::from_utf8_lossy(&shown.stdout).contains("550 5.1.1 no such user – nobody@a.example"), "{fix}: {shown:?}");
}
