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

/// Every certificate of the home's identities that is in use.
fn in_use(stage: &Stage) -> Vec<String> {
    let listed = stage.json(&["id", "list", "--json"]);
    let all = listed["identities"].as_array().unwrap().iter().filter(|one| one["retired"] == false);
    all.map(|one| one["serial"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn a_new_key_from_the_authority_takes_the_place_of_the_old_one_which_still_reads() {
    let stage = Stage::new();
    let locked = ["--passphrase-file", "pass.txt"];
    stage.good(&[&["id", "new", "jane@a.example", "--algorithm", "p256"][..], &locked].concat());
    let first = in_use(&stage).pop().unwrap();
    stage.good(&["encrypt", "letter.eml", "-o", "old.eml"]);
    // the old one lies under a passphrase, and the new one does not without
    let (code, _, talk) = stage.run(&["ca", "renew", &first, "--new-key", "-o", "new.pem"]);
    assert!(code == 2 && talk.contains("none was given for the new one"), "{code} {talk}");
    assert_eq!(stage.json(&["ca", "list", "--json"])["certificates"].as_array().unwrap().len(), 1, "nothing was issued");
    // once with the same key, then with a new one, both by the first number: one identity is in use
    stage.good(&["ca", "renew", &first, "-o", "same.pem"]);
    let second = in_use(&stage);
    assert!(second.len() == 1 && second[0] != first, "{second:?}");
    let renew = ["ca", "renew", &first, "--new-key", "-o", "new.pem"];
    let (code, _, talk) = stage.run(&[&renew[..], &locked].concat());
    assert!(code == 0 && talk.contains(&format!("retired: jane@a.example, serial {}", second[0])), "{code} {talk}");
    let third = in_use(&stage);
    assert!(third.len() == 1 && third != second, "{third:?}");
    let (_, shown, _) = stage.run(&["inspect", "new.pem", "--json"]);
    assert!(String::from_utf8(shown).unwrap().contains(&third[0]));
    // it signs, mail goes to it, and what came before is read
    stage.good(&[&["sign", "letter.eml", "-o", "signed.eml"][..], &locked].concat());
    let seen = stage.json(&["inspect", "signed.eml", "--json"]);
    assert!(seen["certificates"].as_array().unwrap().iter().any(|one| one["serial"] == third[0].as_str()), "{seen}");
    stage.good(&["encrypt", "letter.eml", "-o", "new.eml"]);
    for mail in ["old.eml", "new.eml"] {
        let text = stage.good(&[&["decrypt", mail][..], &locked].concat());
        assert!(String::from_utf8_lossy(&text).contains("under the mat"), "{mail}");
    }
    stage.good(&["id", "retire", "jane@a.example"]);
    let (code, _, talk) = stage.run(&[&["sign", "letter.eml"][..], &locked].concat());
    assert_eq!(code, 2, "no other one was left in use: {talk}");
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
