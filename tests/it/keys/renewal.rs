//! `id renew` and `id retire`: new keys sign, old ones go on reading old mail.

use crate::support;

struct Stage(support::Folder);

const LETTER: &str = "From: jane@a.example\r\nTo: jane@a.example\r\nSubject: the key\r\n\r\nIt is under the mat.\r\n";

impl Stage {
    fn new() -> Self {
        let stage = Self(support::Folder::new());
        stage.write("letter.eml", LETTER);
        stage.write("pass.txt", "correct horse");
        stage.good(&["ca", "init", "--name", "A", "--domain", "a.example", "--algorithm", "p256"]);
        stage
    }

    /// The serial number of the certificate that signs.
    fn signs_with(&self) -> String {
        self.good(&["sign", "letter.eml", "-o", "signed.eml", "--force"]);
        let seen = self.json(&["inspect", "signed.eml", "--json"]);
        let leaf = seen["certificates"].as_array().unwrap().iter().find(|one| one["addresses"][0] == "jane@a.example");
        leaf.unwrap()["serial"].as_str().unwrap().to_owned()
    }
}

impl std::ops::Deref for Stage {
    type Target = support::Folder;

    fn deref(&self) -> &Self::Target {
        &self.0
    }
}

#[test]
fn a_renewed_identity_signs_with_its_new_key_and_reads_what_came_before() {
    let stage = Stage::new();
    stage.good(&["id", "new", "jane@a.example", "--name", "Jane Doe", "--algorithm", "p256"]);
    let old = stage.signs_with();
    stage.good(&["encrypt", "letter.eml", "-o", "old.eml"]);
    stage.good(&["id", "renew", "jane@a.example"]);
    let new = stage.signs_with();
    assert_ne!(old, new);
    let issued = stage.json(&["ca", "list", "--json"]);
    let find =
        |serial: &str| issued["certificates"].as_array().unwrap().iter().find(|one| one["serial"] == serial).cloned().unwrap();
    let (old, new) = (find(&old), find(&new));
    assert_eq!((&old["subject"], &old["key"], &old["addresses"]), (&new["subject"], &new["key"], &new["addresses"]));
    // both keys read; the recipient of new mail is the new one alone
    stage.good(&["open", "old.eml", "-o", "old.out.eml"]);
    stage.good(&["encrypt", "letter.eml", "-o", "new.eml"]);
    let opened = stage.json(&["open", "new.eml", "--json", "-o", "new.out.eml"]);
    assert_eq!(opened["layers"][0]["recipients"].as_array().unwrap().len(), 1, "{opened}");
    let (_, text, _) = stage.run(&["id", "list"]);
    let text = String::from_utf8(text).unwrap();
    assert_eq!((text.lines().count(), text.matches("retired").count()), (2, 1), "{text}");
}

#[test]
fn a_retired_identity_signs_no_more_and_still_reads() {
    let stage = Stage::new();
    stage.good(&["id", "new", "jane@a.example", "--algorithm", "p256"]);
    stage.good(&["encrypt", "letter.eml", "-o", "old.eml"]);
    let retired = stage.json(&["id", "retire", "jane@a.example", "--json"]);
    assert_eq!(retired["identities"].as_array().unwrap().len(), 1);
    let (code, _, error) = stage.run(&["sign", "letter.eml"]);
    assert_eq!(code, 2, "{error}");
    assert!(error.contains("sealpost id new jane@a.example"), "{error}");
    stage.good(&["open", "old.eml", "-o", "old.out.eml"]);
    // nor is anything encrypted to it
    let (code, _, error) = stage.run(&["encrypt", "letter.eml", "-o", "new.eml"]);
    assert_eq!(code, 3, "{error}");
    let (code, _, error) = stage.run(&["id", "retire", "jane@a.example"]);
    assert_eq!(code, 2, "{error}");
}

#[test]
fn a_key_under_a_passphrase_is_not_renewed_by_one_without() {
    let stage = Stage::new();
    stage.good(&["id", "new", "jane@a.example", "--algorithm", "p256", "--passphrase-file", "pass.txt"]);
    let (code, _, error) = stage.run(&["id", "renew", "jane@a.example"]);
    assert_eq!(code, 2, "{error}");
    assert!(error.contains("none was given for the new one") && error.contains("--passphrase-file"), "{error}");
    let (_, text, _) = stage.run(&["id", "list"]);
    assert!(!String::from_utf8(text).unwrap().contains("retired"), "nothing changed");
    assert_eq!(stage.json(&["ca", "list", "--json"])["certificates"].as_array().unwrap().len(), 1, "nothing was issued");
    stage.good(&["id", "renew", "jane@a.example", "--passphrase-file", "pass.txt"]);
    let (_, text, _) = stage.run(&["id", "list"]);
    assert_eq!(String::from_utf8(text).unwrap().matches("locked").count(), 2);
}

#[test]
fn a_pipe_gives_its_passphrase_however_many_ask_for_it() {
    let stage = Stage::new();
    let locked = ["--passphrase-file", "pass.txt"];
    stage.good(&[&["id", "new", "jane@a.example", "--algorithm", "p256"][..], &locked].concat());
    let (home, packed) = (stage.place("home"), stage.place("jane.p12"));
    // once for the key, once for the file
    let args = ["--batch", "--home", &home, "id", "export", "jane@a.example", "--for", "modern", "-o", &packed];
    for option in [["--passphrase-fd", "0"], ["--passphrase-file", "-"]] {
        let args = [&args[..], &option, &["--force"]].concat();
        let (code, _, talk) = support::run(env!("CARGO_BIN_EXE_sealpost"), &args, b"correct horse\n");
        assert_eq!(code, 0, "{option:?}: {talk}");
        let (code, _, talk) =
            support::run("openssl", &["pkcs12", "-in", &packed, "-noout", "-passin", "pass:correct horse"], b"");
        assert_eq!(code, 0, "{option:?}: {talk}");
    }
}
