//! Three clocks: a certificate that has expired since is told from a forged signature, and what a time-stamp or the home proves counts.

use sealpost::asn1::{Tag, encode, oid};
use sealpost::time::Timestamp;
use serde_json::Value;

use super::attributes::with_unsigned;
use super::read_signed;
use super::timestamps::{authority, stamp};
use crate::support;

/// A home with a CA and jane, and a message that she signed today: `opaque.eml`, and its SignedData `signed.p7m`.
struct Stage(support::Folder);

const LETTER: &str = "From: jane@a.example\r\nTo: bob@b.example\r\nSubject: the key\r\n\r\nIt is under the mat.\r\n";

impl Stage {
    fn new() -> Self {
        let stage = Self(support::Folder::new());
        stage.good(&["ca", "init", "--name", "A", "--domain", "a.example", "--algorithm", "p256"]);
        stage.good(&["id", "new", "jane@a.example", "--algorithm", "p256"]);
        stage.write("letter.eml", LETTER);
        stage.good(&["sign", "letter.eml", "--opaque", "-o", "opaque.eml"]);
        let message = std::fs::read_to_string(stage.place("opaque.eml")).unwrap();
        let (_, body) = message.split_once("\r\n\r\n").unwrap();
        let (code, der, error) = support::run("openssl", &["base64", "-d"], body.as_bytes());
        assert_eq!(code, 0, "{error}");
        stage.write("signed.p7m", der);
        stage
    }

    /// Verifies on a day that many days from now; gives the exit code and the verdict.
    fn on_day(&self, days: i64, file: &str, more: &[&str]) -> (i32, Value) {
        self.in_home_on_day("home", days, file, more)
    }

    fn in_home_on_day(&self, home: &str, days: i64, file: &str, more: &[&str]) -> (i32, Value) {
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs();
        let at = Timestamp::from_unix(i64::try_from(now).unwrap()).plus_days(days).to_string();
        let args = [&["verify", file, "--at", &at, "--json", "-o", "content.out", "--force"][..], more].concat();
        let (code, out, error) = self.run_in(home, &args);
        (code, serde_json::from_slice(&out).unwrap_or_else(|_| panic!("{error}")))
    }
}

fn signer(verdict: &Value) -> &Value {
    &verdict["layers"][0]["signers"][0]
}

fn expired(verdict: &Value) -> (&str, &str) {
    let findings = verdict["findings"].as_array().unwrap();
    let found = findings.iter().find(|finding| finding["code"] == "expired").expect("the expiry is told");
    (found["severity"].as_str().unwrap(), found["text"].as_str().unwrap())
}

/// The certificate is valid for 825 days, its authority for five years.
const SINCE_EXPIRED: i64 = 1000;

impl std::ops::Deref for Stage {
    type Target = support::Folder;

    fn deref(&self) -> &Self::Target {
        &self.0
    }
}

#[test]
fn a_certificate_that_expired_since_is_no_forgery() {
    if !support::peer("openssl") {
        return;
    }
    let stage = Stage::new();
    let (code, verdict) = stage.on_day(SINCE_EXPIRED, "opaque.eml", &[]);
    assert_eq!(
        (code, &signer(&verdict)["signature"], &signer(&verdict)["chain"]["status"]),
        (5, &"valid".into(), &"expired".into())
    );
    let (severity, text) = expired(&verdict);
    assert_eq!(severity, "error");
    assert!(text.contains("the signature fits; nothing here proves that it was made before"), "{text}");
    // a message that was changed is bad, whatever the clock says
    let message = std::fs::read_to_string(stage.place("opaque.eml")).unwrap();
    stage.write("changed.eml", message.replacen("From: jane", "From: june", 1));
    assert_eq!(stage.on_day(SINCE_EXPIRED, "changed.eml", &[]).0, 5);
    assert_eq!(stage.on_day(0, "changed.eml", &[]).0, 4);
    let clear = String::from_utf8(stage.good(&["sign", "letter.eml"])).unwrap();
    stage.write("changed.eml", clear.replacen("under the mat", "under the map", 1));
    assert_eq!(stage.on_day(SINCE_EXPIRED, "changed.eml", &[]).0, 1);
}

#[test]
fn what_this_home_saw_in_time_stays_good() {
    if !support::peer("openssl") {
        return;
    }
    let stage = Stage::new();
    let (code, verdict) = stage.on_day(0, "opaque.eml", &[]);
    assert_eq!(
        (code, &signer(&verdict)["time"]["judged"]["clock"], &signer(&verdict)["time"]["first_seen"]),
        (0, &"now".into(), &Value::Null)
    );
    assert_eq!(stage.on_day(SINCE_EXPIRED, "opaque.eml", &[]).0, 5, "who names a moment hears what holds then");
    let by_home = ["--clock", "first-seen"];
    let (code, verdict) = stage.on_day(SINCE_EXPIRED, "opaque.eml", &by_home);
    assert_eq!((code, &signer(&verdict)["time"]["judged"]["clock"]), (0, &"first-seen".into()), "{verdict}");
    assert_eq!(signer(&verdict)["time"]["judged"]["at"], signer(&verdict)["time"]["first_seen"]);
    assert_eq!(signer(&verdict)["chain"]["status"], "trusted");
    let (severity, text) = expired(&verdict);
    assert_eq!(severity, "warning");
    assert!(text.contains("when this home saw it first") && text.contains("expired on"), "{text}");
    // whoever wants stricter clocks gets them
    for clock in ["now", "timestamp"] {
        assert_eq!(stage.on_day(SINCE_EXPIRED, "opaque.eml", &["--clock", clock]).0, 5, "{clock}");
    }
    // another message of the same day was not seen, and a home that saw nothing proves nothing
    stage.good(&["sign", "letter.eml", "--opaque", "-o", "second.eml"]);
    assert_eq!(stage.on_day(SINCE_EXPIRED, "second.eml", &by_home).0, 5);
    stage.write("root.pem", stage.good(&["ca", "export", "root"]));
    assert_eq!(stage.in_home_on_day("other", SINCE_EXPIRED, "opaque.eml", &["--trust", "root.pem", by_home[0], by_home[1]]).0, 5);
    // the present is asked about where no moment is named
    if support::peer("faketime") {
        let later = format!("+{SINCE_EXPIRED}d");
        let program = env!("CARGO_BIN_EXE_sealpost");
        let (home, file) = (stage.place("home"), stage.place("opaque.eml"));
        let args = ["-f", &later, program, "--batch", "--home", &home, "verify", &file];
        let (code, _, error) = support::run("faketime", &args, b"");
        assert_eq!(code, 0, "{error}");
    }
    // what was seen after the moment that is asked about was not seen then
    let (_, verdict) = stage.on_day(-10, "opaque.eml", &[]);
    assert_eq!(signer(&verdict)["time"]["first_seen"], Value::Null);
}

#[test]
fn what_was_seen_and_revoked_since_is_revoked() {
    if !support::peer("openssl") {
        return;
    }
    let stage = Stage::new();
    assert_eq!(stage.on_day(0, "opaque.eml", &[]).0, 0);
    let list = stage.json(&["ca", "list", "--json"]);
    stage.good(&["ca", "revoke", list["certificates"][0]["serial"].as_str().unwrap(), "--reason", "key-compromise"]);
    stage.good(&["ca", "crl", "-o", "lists.crl"]);
    for (days, clock) in [(1, "first-seen"), (SINCE_EXPIRED, "first-seen"), (SINCE_EXPIRED, "now")] {
        let (code, verdict) = stage.on_day(days, "opaque.eml", &["--clock", clock]);
        assert_eq!((code, &signer(&verdict)["chain"]["status"]), (5, &"revoked".into()), "{days} {clock}");
    }
}

#[test]
fn a_time_stamp_of_a_trusted_authority_keeps_it_good() {
    if !support::peer("openssl") {
        return;
    }
    let stage = Stage::new();
    let message = std::fs::read(stage.place("signed.p7m")).unwrap();
    let signature = read_signed(&message, None).unwrap().0.signers[0].signature().to_vec();
    let attribute = |token: &[u8]| encode::sequence(&[encode::oid(&oid::TIME_STAMP_TOKEN), encode::tlv(Tag::SET, token)]);
    let stamped = |bytes: &[u8]| with_unsigned(&message, &[attribute(&stamp(bytes, &["-sha256", "-cert"]))]);
    stage.write("stamped.p7m", stamped(&signature));
    stage.write("foreign.p7m", stamped(b"the signature of somebody else"));
    let root = String::from_utf8(stage.good(&["ca", "export", "root"])).unwrap();
    let time = std::fs::read_to_string(authority().certificate_file()).unwrap();
    stage.write("root.pem", &root);
    stage.write("both.pem", [root, time].concat());
    let later = |file: &str, trust: &str| stage.in_home_on_day("other", SINCE_EXPIRED, file, &["--trust", trust]);
    let (code, verdict) = later("stamped.p7m", "both.pem");
    assert_eq!((code, &signer(&verdict)["time"]["judged"]["clock"]), (0, &"timestamp".into()), "{verdict}");
    assert_eq!(signer(&verdict)["time"]["judged"]["at"], signer(&verdict)["time"]["proven"]);
    assert!(expired(&verdict).1.contains("as a time-stamp proves"), "{verdict}");
    // an authority that nobody trusts, a stamp over something else, no stamp at all
    for (file, trust) in [("stamped.p7m", "root.pem"), ("foreign.p7m", "both.pem"), ("signed.p7m", "both.pem")] {
        assert_eq!(later(file, trust).0, 5, "{file} {trust}");
    }
}
