//! Messages under a password that OpenSSL wrote, read by a home whose keys lie under another one.

use crate::support;

const LETTER: &str = "From: joe@a.example\r\nTo: jane@a.example\r\nSubject: the key\r\n\r\nIt is under the mat.\r\n";

/// A home with a locked key of jane, and passphrases: hers, that of messages, and one that is neither.
fn stage() -> Option<support::Folder> {
    if !support::peer("openssl") {
        return None;
    }
    let stage = support::Folder::new();
    for (name, text) in [("letter.eml", LETTER), ("hers.txt", "correct horse"), ("theirs.txt", "battery"), ("no.txt", "staple")] {
        stage.write(name, text);
    }
    stage.good(&["ca", "init", "--name", "A", "--domain", "a.example", "--algorithm", "p256"]);
    stage.good(&["id", "new", "jane@a.example", "--algorithm", "p256", "--passphrase-file", "hers.txt"]);
    stage.write("jane.pem", stage.good(&["id", "show", "jane@a.example"]));
    Some(stage)
}

/// Has OpenSSL encrypt the letter under the password, and to these certificates.
fn encrypted(stage: &support::Folder, more: &[&str]) {
    let (letter, to) = (stage.place("letter.eml"), stage.place("password.eml"));
    let args = ["cms", "-encrypt", "-aes256", "-pwri_password", "battery", "-in", &letter, "-out", &to];
    let (code, _, talk) = support::run("openssl", &[&args, more].concat(), b"");
    assert_eq!(code, 0, "{talk}");
}

#[test]
fn a_password_opens_its_message_and_is_no_wrong_passphrase_of_the_key_beside_it() {
    let Some(stage) = stage() else { return };
    let jane = stage.place("jane.pem");
    for more in [&[][..], &[jane.as_str()]] {
        encrypted(&stage, more);
        for verb in ["decrypt", "open"] {
            let (code, out, talk) = stage.run(&[verb, "password.eml", "--passphrase-file", "theirs.txt"]);
            assert_eq!(code, 0, "{verb} {more:?}: {talk}");
            assert!(String::from_utf8_lossy(&out).contains("under the mat"), "{verb} {more:?}");
            assert!(!talk.contains("is wrong"), "{verb} {more:?}: {talk}");
            // where her key could have opened it, too, it is said why it did not
            let note =
                "note: the key of jane@a.example stays locked: what was given does not open it, and is tried as the password";
            assert_eq!(talk.contains(note), !more.is_empty(), "{verb} {more:?}: {talk}");
        }
    }
}

#[test]
fn the_key_beside_a_password_opens_with_its_own_passphrase_and_a_wrong_one_opens_nothing() {
    let Some(stage) = stage() else { return };
    encrypted(&stage, &[&stage.place("jane.pem")]);
    let (code, _, talk) = stage.run(&["decrypt", "password.eml", "--passphrase-file", "hers.txt", "-o", "clear.out"]);
    assert!(code == 0 && !talk.contains("stays locked"), "{code} {talk}");
    let (code, out, talk) = stage.run(&["decrypt", "password.eml", "--passphrase-file", "no.txt"]);
    assert!(code == 6 && out.is_empty() && talk.contains("stays locked"), "{code} {talk}");
}
