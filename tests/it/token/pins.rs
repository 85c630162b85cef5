//! PINs, and tokens that are not there.

use std::path::{Path, PathBuf};

use super::{Card, P256, PIN, RSA};
use crate::support;

/// OpenSC's module that writes down every call and passes it on.
fn spy() -> Option<PathBuf> {
    let places = [
        "/usr/lib/x86_64-linux-gnu/pkcs11/pkcs11-spy.so",
        "/usr/lib/aarch64-linux-gnu/pkcs11/pkcs11-spy.so",
        "/usr/lib64/pkcs11/pkcs11-spy.so",
    ];
    let found = places.iter().map(PathBuf::from).find(|path| path.exists());
    if found.is_none() {
        support::skip("OpenSC's pkcs11-spy is not installed");
    }
    found
}

fn logins(card: &Card) -> usize {
    String::from_utf8_lossy(&card.read("calls")).matches("C_Login").count()
}

#[test]
fn a_wrong_pin_costs_one_try_whatever_keys_wait_for_it() {
    let (Some(card), Some(spy)) = (Card::new(), spy()) else { return };
    card.key(RSA);
    card.key(P256);
    card.ok("id import pkcs11:id=%01");
    card.ok("id import pkcs11:id=%03");
    let (letter, file) = (card.path("letter.eml"), card.path("encrypted.eml"));
    card.openssl(&format!("cms -encrypt -aes256 -in {letter} -out {file} {} {}", card.path("01.pem"), card.path("03.pem")));
    card.write("wrong", b"654321\n");
    let (code, _, talk) = card.run_by(&spy, "wrong", &["open", &file, "-o", &card.path("out")]);
    assert!(code == 6 && talk.contains("the PIN of the token Card is wrong"), "{code} {talk}");
    assert!(talk.contains("[key-unavailable]") && !talk.contains("654321"), "{talk}");
    assert_eq!(logins(&card), 1);
    let (code, _, talk) = card.run_by(&spy, "wrong", &["sign", &letter, "-o", &card.path("out")]);
    assert!(code == 2 && talk.contains("few tries are left before it is locked"), "the token says so: {code} {talk}");
    // the right one still opens it, once for both
    std::fs::remove_file(card.path("calls")).expect("it was written");
    let (code, _, talk) = card.run_by(&spy, "pin", &["open", "--raw", &file, "-o", &card.path("out")]);
    assert_eq!(code, 0, "{talk}");
    assert_eq!(logins(&card), 1);
}

#[test]
fn what_opens_other_keys_costs_no_token_a_try() {
    let (Some(card), Some(spy)) = (Card::new(), spy()) else { return };
    card.key(RSA);
    card.ok("id import pkcs11:token=Card");
    card.write("keys", b"geheim\n");
    card.write("both", format!("geheim\n{PIN}\n").as_bytes());
    for line in ["ca init --name A --algorithm p256", "id new joe@a.example --algorithm p256"] {
        let (code, _, talk) = card.run_by(&card.module, "keys", &line.split(' ').collect::<Vec<_>>());
        assert_eq!(code, 0, "{talk}");
    }
    let (letter, file) = (card.path("letter.eml"), card.path("encrypted.eml"));
    card.openssl(&format!("cms -encrypt -aes256 -in {letter} -out {file} {}", card.path("01.pem")));
    // whoever writes to the card's owner must not lock the card of somebody who gives the passphrase of his other keys
    let (code, _, talk) = card.run_by(&spy, "keys", &["open", &file, "-o", &card.path("out")]);
    assert!(code == 6 && talk.contains("opens other keys, and is not tried as the PIN of the token Card"), "{code} {talk}");
    assert!(talk.contains("write the PIN into the line after it"), "{talk}");
    assert_eq!(logins(&card), 0);
    let (code, _, talk) = card.run_by(&spy, "both", &["open", "--raw", &file, "-o", &card.path("out")]);
    assert_eq!((code, logins(&card)), (0, 1), "{talk}");
}

#[test]
fn an_empty_pin_is_none() {
    let (Some(card), Some(spy)) = (Card::new(), spy()) else { return };
    card.key(RSA);
    card.write("empty", b"");
    let (code, _, talk) = card.run_by(&spy, "empty", &["sign", &card.path("letter.eml"), "--key", "pkcs11:token=Card"]);
    assert!(code == 2 && talk.contains("wants its PIN and none was given"), "{code} {talk}");
    assert_eq!(logins(&card), 0);
}

#[test]
fn mail_for_others_asks_nothing_of_a_token() {
    let (Some(card), Some(spy)) = (Card::new(), spy()) else { return };
    card.key(RSA);
    card.ok("id import pkcs11:token=Card");
    card.opensc("--keypairgen --key-type EC:prime256v1 --id 09 --label other --usage-derive");
    card.write("public.der", &card.public("09"));
    card.certify("09", "-inform DER");
    let (letter, file) = (card.path("letter.eml"), card.path("encrypted.eml"));
    card.openssl(&format!("cms -encrypt -aes256 -in {letter} -out {file} {}", card.path("09.pem")));
    let (code, _, talk) = card.run_by(&spy, "pin", &["open", &file, "-o", &card.path("out")]);
    assert!(code == 6 && talk.contains("[no-key]"), "{code} {talk}");
    assert!(!Path::new(&card.path("calls")).exists(), "the module was not even loaded");
}

#[test]
fn says_what_to_do_without_a_pin() {
    let Some(card) = Card::new() else { return };
    card.key(RSA);
    card.write("empty", b"");
    let (letter, home) = (card.path("letter.eml"), card.path("home"));
    let uri = format!("pkcs11:token=Card?module-path={}", card.module.display());
    let args = ["--batch", "--home", &home, "sign", &letter, "--key", &uri];
    let (code, _, talk) = card.tool(env!("CARGO_BIN_EXE_sealpost"), &args);
    assert!(
        code == 2 && talk.contains("wants its PIN and none was given") && talk.contains("hint: give it with --passphrase-file"),
        "{code} {talk}"
    );
    // as the URI may say where it is
    let uri = format!("{uri}&pin-source=file:{}", card.path("pin"));
    let (code, _, talk) =
        card.tool(env!("CARGO_BIN_EXE_sealpost"), &["--batch", "--home", &home, "sign", &letter, "--key", &uri]);
    assert_eq!(code, 0, "{talk}");
    let (code, _, talk) = card.run(&format!("sign {letter} --key pkcs11:token=Card?pin-value=123456"));
    assert!(code == 2 && talk.contains("every program on this machine could read") && !talk.contains("123456"), "{code} {talk}");
}

#[test]
fn says_which_tokens_keys_and_modules_are_there() {
    let Some(card) = Card::new() else { return };
    card.key(RSA);
    card.key(P256);
    let letter = card.path("letter.eml");
    let sign = |uri: &str| {
        let (code, _, talk) = card.run(&format!("sign {letter} --key {uri}"));
        (code, talk)
    };
    let (code, talk) = sign("pkcs11:token=Other");
    assert!(
        code == 6 && talk.contains("no token fits pkcs11:token=Other – there are pkcs11:token=Card;serial="),
        "{code} {talk}"
    );
    let (code, talk) = sign("pkcs11:token=Card");
    assert!(
        code == 6 && talk.contains("several such keys") && talk.contains("id=%01") && talk.contains("id=%03"),
        "{code} {talk}"
    );
    let (code, talk) = sign("pkcs11:token=Card;id=%77");
    assert!(code == 6 && talk.contains("the token holds no private key that fits pkcs11:token=Card;id=%77"), "{code} {talk}");
    let (code, talk) = sign("pkcs11:token=Card?module-path=/nowhere/module.so");
    assert!(
        code == 6
            && talk.contains("the PKCS#11 module /nowhere/module.so cannot be used")
            && talk.contains("hint: name the file"),
        "{code} {talk}"
    );
    card.initialise("Card");
    let (code, talk) = sign("pkcs11:token=Card;id=%01");
    assert!(code == 6 && talk.contains("several tokens fit") && talk.contains("serial="), "{code} {talk}");
}

#[test]
fn the_identity_of_a_token_that_is_not_there_is_told_when_it_has_work() {
    let Some(card) = Card::new() else { return };
    card.key(RSA);
    card.ok("id import pkcs11:token=Card");
    let (letter, file) = (card.path("letter.eml"), card.path("encrypted.eml"));
    card.openssl(&format!("cms -encrypt -aes256 -in {letter} -out {file} {}", card.path("01.pem")));
    for entry in std::fs::read_dir(card.path("tokens")).expect("a folder") {
        std::fs::remove_dir_all(entry.expect("an entry").path()).expect("removed");
    }
    assert!(card.ok("id list").contains("on a token"));
    let (code, _, talk) = card.run(&format!("open {file} -o {}", card.path("out")));
    assert!(
        code == 6 && talk.contains("the key cannot be used – no token fits") && talk.contains("[key-unavailable]"),
        "{code} {talk}"
    );
    let (code, _, talk) = card.run(&format!("sign {letter} --as jane@a.example -o {}", card.path("out")));
    assert!(code == 6 && talk.contains("hint: plug the token in"), "{code} {talk}");
    assert!(!Path::new(&card.path("out")).exists());
}
