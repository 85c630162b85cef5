//! `doctor`: what is wrong is told with a code, and what it says to type or to publish helps.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use serde_json::Value;

use super::dns::Dns;
use super::{Served, good, laid_out};
use crate::support;

/// Runs `doctor --json` for a folder's home; gives how it ended and what it said.
fn doctor(folder: &Path, args: &[&str]) -> (i32, Value) {
    let home = folder.join("home").display().to_string();
    let all = [&["--home", &home, "--batch", "--json", "doctor"], args].concat();
    let (code, out, talk) = support::run(env!("CARGO_BIN_EXE_sealpost"), &all, b"");
    let object: Value = serde_json::from_slice(&out).unwrap_or_else(|_| panic!("{talk}"));
    assert_eq!((object["schema"].as_str(), object["exit"].as_i64()), (Some("sealpost.doctor/1"), Some(i64::from(code))));
    (code, object)
}

fn found<'a>(object: &'a Value, code: &str) -> Option<&'a Value> {
    object["findings"].as_array().expect("a list").iter().find(|finding| finding["code"] == code)
}

/// What it says to do, done; the authority is locked with the password of the tests.
fn do_it(folder: &Path, object: &Value, code: &str) {
    let fix = found(object, code).and_then(|finding| finding["fix"].as_str()).unwrap_or_else(|| panic!("{code} in {object}"));
    let fix = match fix.strip_prefix("sealpost ") {
        Some(rest) => {
            let pw = folder.join("pw").display().to_string();
            format!("{} --batch --passphrase-file {pw} {rest}", env!("CARGO_BIN_EXE_sealpost"))
        }
        None => fix.to_owned(),
    };
    let (ended, _, talk) = support::run("sh", &["-c", &fix], b"");
    assert_eq!(ended, 0, "{fix}: {talk}");
}

#[test]
fn a_new_server_is_healthy_and_what_is_broken_is_mended_by_what_it_says() {
    let served = Served::new();
    let folder = served.folder.path();
    let (code, said) = doctor(folder, &[]);
    assert_eq!(code, 0, "{said:#}");
    assert_eq!(said["result"], "ok");
    let are_calm = said["findings"].as_array().expect("a list").iter().all(|one| one["severity"] != "error");
    assert!(are_calm && found(&said, "domain-not-public").is_some() && found(&said, "port-closed").is_none(), "{said:#}");
    // a key that others may read
    let key = folder.join("home/tls/key.pem");
    fs::set_permissions(&key, fs::Permissions::from_mode(0o644)).expect("set");
    let (code, said) = doctor(folder, &["--offline"]);
    assert_eq!((code, found(&said, "file-open").map(|one| &one["severity"])), (8, Some(&Value::from("error"))), "{said:#}");
    do_it(folder, &said, "file-open");
    // a certificate that the server has not read yet
    let (pem, private) = (folder.join("home/tls/certificate.pem").display().to_string(), key.display().to_string());
    served.run(&["ca", "server-cert", "mail.a.example", "localhost", "-o", &pem, "--key", &private, "--force"]);
    let (code, said) = doctor(folder, &["--offline"]);
    assert_eq!(code, 0, "{said:#}");
    do_it(folder, &said, "port-other-certificate");
    let (_, said) = doctor(folder, &["--offline"]);
    assert!(found(&said, "port-other-certificate").is_none(), "{said:#}");
    // an alias that leads nowhere
    served.run(&["alias", "add", "info@a.example", "gone@a.example"]);
    let (_, said) = doctor(folder, &["--offline"]);
    do_it(folder, &said, "alias-nowhere");
    assert!(found(&doctor(folder, &["--offline"]).1, "alias-nowhere").is_none());
    // a home of before root had an alias
    assert!(found(&said, "root-missing").is_none(), "{said:#}");
    served.run(&["alias", "remove", "root@a.example"]);
    let (_, said) = doctor(folder, &["--offline"]);
    do_it(folder, &said, "root-missing");
    assert!(found(&doctor(folder, &["--offline"]).1, "root-missing").is_none());
}

#[test]
fn a_certificate_has_ended_and_a_message_is_gone() {
    let served = Served::new();
    let folder = served.folder.path();
    let (code, said) = doctor(folder, &["--offline", "--at", "2099-01-01T00:00:00Z"]);
    assert_eq!(code, 5, "{said:#}");
    do_it(folder, &said, "tls-expired");
    let large = format!("From: jane@a.example\nTo: joe@a.example\nSubject: x\n\n{}", "A long letter.\n".repeat(10_000));
    served.send("jane@a.example", &large);
    let mut blobs = Vec::new();
    let mut folders = vec![folder.join("home/mail")];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("an entry")) {
            match entry.path().is_dir() {
                true => folders.push(entry.path()),
                false if !entry.file_name().to_string_lossy().contains('.') => blobs.push(entry.path()),
                false => {}
            }
        }
    }
    let largest = blobs.iter().max_by_key(|path| fs::metadata(path).map_or(0, |data| data.len())).expect("a file");
    fs::remove_file(largest).expect("removed");
    let (code, said) = doctor(folder, &["--offline"]);
    assert_eq!(code, 1, "{said:#}");
    let text = found(&said, "message-missing").and_then(|one| one["text"].as_str()).unwrap_or_default();
    assert!(text.contains("joe@a.example"), "{said:#}");
    do_it(folder, &said, "message-missing");
    assert_eq!(doctor(folder, &["--offline"]).0, 0);
}

const ZONE: &str = "a.example MX 10 mail.a.example
    mail.a.example A 192.0.2.1
    1.2.0.192.in-addr.arpa PTR mail.a.example
    a.example TXT v=spf1 mx -all
    _dmarc.a.example TXT v=DMARC1; p=reject
    _mta-sts.a.example TXT v=STSv1; id=1
    mta-sts.a.example A 192.0.2.1";

/// A home whose server others would reach, and whose name server has this zone.
fn asking(zone: &str) -> tempfile::TempDir {
    let resolver = Dns::run(zone).address;
    laid_out("a.example", &[], |text| {
        text.replace("\"127.0.0.1:0\"", "\"0.0.0.0:0\"")
            .replace("[delivery]\n", &format!("[delivery]\nresolver = \"{resolver}\"\n"))
    })
}

#[test]
fn the_dns_is_asked_and_the_record_that_is_missing_is_named() {
    let codes = |folder: &Path| -> Vec<String> {
        let (_, said) = doctor(folder, &[]);
        let all = said["findings"].as_array().expect("a list");
        let dns = ["mx-", "spf-", "dmarc-", "mta-", "ptr-", "host-", "dns-", "dkim-"];
        let codes = all.iter().filter_map(|one| one["code"].as_str());
        codes.filter(|code| dns.iter().any(|start| code.starts_with(start))).map(str::to_owned).collect()
    };
    let whole = asking(ZONE);
    assert_eq!(codes(whole.path()), ["dkim-no-key"], "its mail is not signed yet");
    assert_eq!(doctor(whole.path(), &[]).0, 0);
    let bare = asking("a.example MX 10 in.b.example\nin.b.example A 192.0.2.9\nmail.a.example A 192.0.2.1");
    let (code, said) = doctor(bare.path(), &[]);
    assert_eq!(code, 8, "{said:#}");
    assert_eq!(found(&said, "mx-elsewhere").map(|one| &one["fix"]), Some(&Value::from("a.example. IN MX 10 mail.a.example.")));
    assert_eq!(
        found(&said, "ptr-missing").map(|one| &one["fix"]),
        Some(&Value::from("1.2.0.192.in-addr.arpa. IN PTR mail.a.example."))
    );
    assert_eq!(
        codes(bare.path()),
        ["mx-elsewhere", "ptr-missing", "spf-missing", "dkim-no-key", "dmarc-missing", "mta-sts-missing"]
    );
    assert!(found(&doctor(bare.path(), &["--offline"]).1, "mx-elsewhere").is_none());
}

#[test]
fn a_name_server_that_is_gone_is_told_once() {
    let closed = format!("127.0.0.1:{}", support::free_port());
    let folder =
        laid_out("a.example", &[], |text| text.replace("[delivery]\n", &format!("[delivery]\nresolver = \"{closed}\"\n")));
    let (code, said) = doctor(folder.path(), &[]);
    assert_eq!(code, 0, "{said:#}");
    assert!(found(&said, "dns-unreachable").is_some() && found(&said, "mx-missing").is_none(), "{said:#}");
}

/// A time server whose clock is so many seconds ahead, and whose stratum is this.
fn time_server(ahead: i64, stratum: u8) -> String {
    let socket = std::net::UdpSocket::bind("127.0.0.1:0").expect("a port");
    let address = socket.local_addr().expect("bound").to_string();
    std::thread::spawn(move || {
        let mut packet = [0; 48];
        while let Ok((48, peer)) = socket.recv_from(&mut packet) {
            assert_eq!(packet[0], 0x23, "a client of version 4 (RFC 5905 7.3)");
            let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).expect("after 1970").as_secs();
            let time =
                u32::try_from(i64::try_from(since).expect("small") + 2_208_988_800 + ahead).expect("this era").to_be_bytes();
            let mut answer = [0; 48];
            (answer[0], answer[1]) = (0x24, stratum);
            answer[12..16].copy_from_slice(b"RATE");
            answer[24..32].copy_from_slice(&packet[40..]);
            answer[32..36].copy_from_slice(&time);
            answer[40..44].copy_from_slice(&time);
            // somebody else's comes before it, with another time
            let mut other = answer;
            other[24] ^= 1;
            other[40] ^= 1;
            socket.send_to(&other, peer).expect("sent");
            socket.send_to(&answer, peer).expect("sent");
        }
    });
    address
}

#[test]
fn another_clock_tells_that_ours_is_wrong() {
    let folder = laid_out("a.example", &[], str::to_owned);
    for (ahead, stratum, exit, code, text) in [
        (0, 2, 0, None, ""),
        (30, 2, 0, Some("clock-wrong"), "seconds behind"),
        (3 * 86_400, 1, 9, Some("clock-wrong"), " days behind"),
        (-7_300, 1, 9, Some("clock-wrong"), "2 hours ahead of"),
        (0, 0, 0, Some("clock-not-compared"), "it refuses to answer (RATE)"),
        (0, 16, 0, Some("clock-not-compared"), "its own clock is not set"),
    ] {
        let server = time_server(ahead, stratum);
        let (ended, said) = doctor(folder.path(), &["--clock-server", &server]);
        let told = ["clock-wrong", "clock-not-compared"].into_iter().find_map(|code| found(&said, code));
        assert_eq!((ended, told.and_then(|one| one["code"].as_str())), (exit, code), "{ahead} {stratum}: {said:#}");
        assert!(told.is_none_or(|one| one["text"].as_str().is_some_and(|told| told.contains(text))), "{said:#}");
        assert!(code != Some("clock-wrong") || told.is_some_and(|one| one["fix"] == "timedatectl set-ntp true"), "{said:#}");
    }
    let closed = format!("127.0.0.1:{}", support::free_port());
    let (ended, said) = doctor(folder.path(), &["--clock-server", &closed]);
    assert!(ended == 0 && found(&said, "clock-not-compared").is_some(), "{said:#}");
}

#[test]
fn a_bad_configuration_is_a_finding_for_each_mistake() {
    let folder = laid_out("a.example", &[], |text| {
        text.replace("hostname =", "hostnam =").replace("message_bytes = 52428800", "message_bytes = 1")
    });
    let (code, said) = doctor(folder.path(), &[]);
    let codes: Vec<_> = said["findings"].as_array().expect("a list").iter().map(|one| one["code"].as_str()).collect();
    assert_eq!((code, codes), (8, vec![Some("config-mistake"); 3]), "{said:#}");
    let (out, _) = good(folder.path(), &["doctor", "--help"]);
    assert!(out.contains("sealpost doctor --offline"), "{out}");
}

#[test]
fn every_code_is_documented_and_is_one_of_the_list() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let page = fs::read_to_string(root.join("docs/operating.md")).expect("docs/operating.md exists");
    for code in sealpost::server::doctor::CODES {
        assert!(page.contains(&format!("`{code}`")), "docs/operating.md does not name {code}");
    }
    let mut folders = vec![root.join("src/server/doctor")];
    while let Some(folder) = folders.pop() {
        for path in fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("an entry").path()) {
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            let text = fs::read_to_string(&path).expect("a source");
            for maker in ["Finding::error(", "Finding::warning(", "Finding::info(", "host.error(", "host.warning("] {
                for (at, _) in text.match_indices(maker) {
                    let rest = text[at + maker.len()..].trim_start();
                    let Some(code) = rest.strip_prefix('"').and_then(|rest| rest.split('"').next()) else { continue };
                    assert!(sealpost::server::doctor::CODES.contains(&code), "{}: {code}", path.display());
                }
            }
        }
    }
}
