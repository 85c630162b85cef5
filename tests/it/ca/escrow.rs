//! Escrow: enough custodians recover an encryption key, fewer do not, and the ledger tells of each time.

use std::path::Path;

use serde_json::Value;

use super::{openssl, sealpost};
use crate::support;

struct Home {
    folder: tempfile::TempDir,
}

impl Home {
    fn new() -> Self {
        let home = Self { folder: tempfile::tempdir().expect("a folder") };
        for custodian in ["anna", "boris", "chloé"] {
            std::fs::write(home.path(custodian), format!("the passphrase of {custodian}\nnot this line\n")).expect("written");
        }
        std::fs::write(home.path("new"), "p12\n").expect("written");
        let init = ["ca", "init", "--name", "Example Org", "--domain", "a.example", "--algorithm", "p256", "--escrow", "2-of-3"];
        assert_eq!(home.with(&["anna", "boris", "chloé"], &init).0, 0);
        home
    }

    fn path(&self, name: &str) -> String {
        self.folder.path().join(name).display().to_string()
    }

    fn home(&self) -> &Path {
        self.folder.path()
    }

    fn with(&self, custodians: &[&str], args: &[&str]) -> (i32, String) {
        let files: Vec<String> = custodians.iter().map(|name| self.path(name)).collect();
        let options: Vec<&str> = files.iter().flat_map(|file| ["--custodian-passphrase-file", file]).collect();
        let (code, _, talk) = sealpost(self.home(), &[args, &options].concat());
        (code, talk)
    }

    fn issue(&self, who: &str, more: &[&str]) -> (i32, String) {
        let (out, address) = (self.path(who), format!("{who}@a.example"));
        let args = ["ca", "issue", &address, "--algorithm", "p256", "-o", &out];
        let (code, _, talk) = sealpost(self.home(), &[&args[..], more].concat());
        (code, talk.split("serial ").nth(1).map_or(talk.clone(), |rest| rest.lines().next().unwrap_or_default().to_owned()))
    }

    fn recover(&self, serial: &str, custodians: &[&str], out: &str) -> (i32, String) {
        let (out, passphrase) = (self.path(out), self.path("new"));
        self.with(custodians, &["ca", "recover", serial, "--p12", &out, "--passphrase-file", &passphrase])
    }

    fn events(&self, kind: &str) -> Vec<Value> {
        let (_, out, _) = sealpost(self.home(), &["ca", "log", "--json"]);
        let log: Value = serde_json::from_slice(&out).expect("one object");
        log["events"].as_array().expect("a list").iter().filter(|event| event["event"] == kind).cloned().collect()
    }
}

#[test]
fn two_of_three_custodians_recover_an_encryption_key_and_one_does_not() {
    if !support::peer("openssl") {
        return;
    }
    let home = Home::new();
    let (code, serial) = home.issue("jane", &["--usage", "encrypt"]);
    assert_eq!(code, 0, "{serial}");
    let (code, talk) = home.recover(&serial, &["boris"], "one");
    assert!(code == 8 && talk.contains("1 of the custodians' passphrases open a share – 2 are needed"), "{code} {talk}");
    let (code, talk) = home.recover(&serial, &["boris", "new"], "one");
    assert!(code == 8 && talk.contains("2 are needed"), "{code} {talk}");
    assert!(!std::fs::exists(home.path("one")).expect("readable") && home.events("recover").is_empty());
    for (count, pair) in [["anna", "boris"], ["chloé", "anna"], ["boris", "chloé"]].iter().enumerate() {
        let out = format!("two{count}");
        let (code, talk) = home.recover(&serial, pair, &out);
        assert_eq!(code, 0, "{pair:?}: {talk}");
        let key = openssl(&["pkcs12", "-in", &home.path(&out), "-passin", "pass:p12", "-nodes", "-nocerts"], b"");
        let public = openssl(&["pkey", "-pubout"], key.as_bytes());
        assert_eq!(public, openssl(&["x509", "-noout", "-pubkey", "-in", &home.path("jane")], b""), "{pair:?}");
        assert_eq!(home.events("recover").len(), count + 1);
    }
    assert_eq!(home.events("recover")[0]["subject"], serial.as_str());
    // a renewed certificate is for the same key, a new key goes into escrow, too
    let renew = |more: &[&str], out: &str| {
        let out = home.path(out);
        let (code, _, talk) = sealpost(home.home(), &[&["ca", "renew", &serial, "-o", &out][..], more].concat());
        assert_eq!(code, 0, "{talk}");
        openssl(&["x509", "-noout", "-serial", "-in", &out], b"").trim().replace("serial=", "")
    };
    assert_eq!(home.recover(&renew(&[], "same"), &["anna", "boris"], "same.p12").0, 0);
    assert_eq!(home.recover(&renew(&["--new-key"], "other"), &["anna", "boris"], "other.p12").0, 0);
    assert_eq!(sealpost(home.home(), &["ca", "log", "--verify"]).0, 0);
}

#[test]
fn a_key_that_signs_is_put_into_escrow_only_when_asked() {
    let home = Home::new();
    for (who, more, is_there) in [("sign", &["--usage", "sign"][..], false), ("dual", &[], false), ("asked", &["--escrow"], true)]
    {
        let (code, serial) = home.issue(who, more);
        assert_eq!(code, 0, "{who}: {serial}");
        let (code, talk) = home.recover(&serial, &["anna", "boris"], who.to_uppercase().as_str());
        assert_eq!(code, if is_there { 0 } else { 8 }, "{who}: {talk}");
        assert!(is_there || talk.contains("is not in escrow"), "{who}: {talk}");
    }
    let (code, talk) = home.issue("both", &["--usage", "sign", "--escrow"]);
    assert!(code == 8 && talk.contains("a key that only signs is not put into escrow"), "{code} {talk}");
}

#[test]
fn refuses_an_escrow_that_fewer_could_open_than_is_said() {
    let home = Home::new();
    let (code, talk) = home.with(&["anna", "boris"], &["ca", "escrow", "init", "--threshold", "2", "--shares", "2"]);
    assert!(code == 8 && talk.contains("there is an escrow already"), "{code} {talk}");
    let bare = tempfile::tempdir().expect("a folder");
    assert_eq!(sealpost(bare.path(), &["ca", "init", "--name", "Example Org", "--algorithm", "p256"]).0, 0);
    let make = |custodians: &[&str], threshold: &str, shares: &str| {
        let files: Vec<String> = custodians.iter().map(|name| home.path(name)).collect();
        let options: Vec<&str> = files.iter().flat_map(|file| ["--custodian-passphrase-file", file]).collect();
        let args = ["ca", "escrow", "init", "--threshold", threshold, "--shares", shares];
        let (code, _, talk) = sealpost(bare.path(), &[&args[..], &options].concat());
        (code, talk)
    };
    for (custodians, (threshold, shares), why) in [
        (&["anna", "anna"][..], ("2", "2"), "two custodians have the same passphrase"),
        (&["anna", "boris"], ("3", "2"), "3 of 2 custodians is not possible"),
        (&["anna", "boris"], ("0", "2"), "0 of 2 custodians is not possible"),
        (&["anna", "boris"], ("2", "3"), "2 passphrases were given for 3 custodians"),
        (&[], ("2", "3"), "nobody can be asked"),
    ] {
        let (code, talk) = make(custodians, threshold, shares);
        assert!(code != 0 && talk.contains(why), "{why}: {code} {talk}");
    }
    let (code, _, talk) = sealpost(bare.path(), &["ca", "issue", "jane@a.example", "--algorithm", "p256", "--escrow"]);
    assert!(code == 8 && talk.contains("there is no escrow"), "{code} {talk}");
    // a share that was changed is told of
    let (code, serial) = home.issue("jane", &["--usage", "encrypt"]);
    assert_eq!(code, 0, "{serial}");
    let path = home.home().join("ca/escrow/private");
    let mut bytes = std::fs::read(&path).expect("read");
    let last = bytes.len() - 1;
    bytes[last] ^= 1;
    std::fs::write(&path, bytes).expect("written");
    let (code, talk) = home.recover(&serial, &["anna", "boris"], "out");
    assert!(code == 1 && talk.contains("one of them was changed"), "{code} {talk}");
}
