//! Signing with keys on a token.

use super::{Card, ED25519, LETTER, P256, P384, P521, RSA, RSA_3072};
use crate::support;

#[test]
fn openssl_accepts_what_keys_of_every_kind_sign() {
    let Some(card) = Card::new() else { return };
    for key in [RSA, RSA_3072, P256, P384, P521] {
        card.key(key);
        let forms = if key.0.starts_with("rsa") {
            &["", "--pss", "--digest sha512 --pss", "--opaque"][..]
        } else {
            &["", "--digest sha512"]
        };
        for form in forms {
            let (letter, signed) = (card.path("letter.eml"), card.path("signed.eml"));
            card.ok(&format!("sign {letter} {form} --key pkcs11:token=Card;id=%{} -o {signed} --force", key.1));
            card.verify("signed.eml");
        }
    }
}

#[test]
fn a_newer_openssl_accepts_ed25519_of_a_token() {
    let Some(openssl) = support::named_peer("SEALPOST_OPENSSL4") else { return };
    let Some(card) = Card::new() else { return };
    card.key(ED25519);
    let (letter, signed) = (card.path("letter.eml"), card.path("signed.eml"));
    card.ok(&format!("sign {letter} --digest sha512 --key pkcs11:id=%06 -o {signed}"));
    let (code, _, talk) = card.tool(&openssl, &["cms", "-verify", "-in", &signed, "-CAfile", &card.path("ca.pem")]);
    assert_eq!(code, 0, "{talk}");
}

#[test]
fn an_identity_of_the_home_signs_and_the_home_holds_no_key() {
    let Some(card) = Card::new() else { return };
    card.key(RSA);
    card.ok("id import pkcs11:token=Card");
    let (letter, signed) = (card.path("letter.eml"), card.path("signed.eml"));
    card.ok(&format!("sign {letter} --as jane@a.example -o {signed}"));
    card.verify("signed.eml");
    assert!(card.ok("id list").contains("on a token"));
    let (_, shown, talk) = card.run("id show jane@a.example");
    assert!(talk.contains("key: on a token, pkcs11:token=Card;serial="), "{talk}");
    assert!(!String::from_utf8_lossy(&shown).contains("PRIVATE"));
    let json: serde_json::Value = serde_json::from_str(&card.ok("--json id list")).expect("JSON");
    assert!(json["identities"][0]["token"].as_str().is_some_and(|uri| uri.contains("id=%01")), "{json}");
    for form in ["pem", "modern", "apple"] {
        let (code, _, talk) = card.run(&format!("id export jane@a.example --for {form} -o {}", card.path("out")));
        assert!(code == 8 && talk.contains("lies on a token and does not leave it"), "{code} {talk}");
    }
    // a new key would lie in a file, without a word
    let (code, _, talk) = card.run("id renew jane@a.example");
    assert!(code == 8 && talk.contains("no keys are made on tokens") && talk.contains("hint: make the new key"), "{code} {talk}");
    let mut folders = vec![card.folder.path().join("home")];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("an entry").path()) {
            if entry.is_dir() {
                folders.push(entry);
                continue;
            }
            let text = std::fs::read(&entry).expect("a file");
            let text = String::from_utf8_lossy(&text);
            assert!(!text.contains("PRIVATE") && !text.contains(super::PIN), "{}", entry.display());
        }
    }
    let objects = String::from_utf8(card.opensc("--list-objects --type privkey")).expect("text");
    assert!(objects.contains("sensitive, always sensitive, never extractable, local"), "{objects}");
}

#[test]
fn a_certificate_may_come_from_a_file() {
    let Some(card) = Card::new() else { return };
    card.key(P256);
    card.opensc("--delete-object --type cert --id 03");
    let (letter, signed) = (card.path("letter.eml"), card.path("signed.eml"));
    let (code, _, talk) = card.run(&format!("sign {letter} --key pkcs11:token=Card -o {signed}"));
    assert!(code == 2 && talk.contains("add --cert FILE"), "{code} {talk}");
    let (code, _, talk) = card.run("id import pkcs11:token=Card");
    assert!(code == 6 && talk.contains("holds no certificate of the key") && talk.contains("add --cert FILE"), "{code} {talk}");
    card.ok(&format!("sign {letter} --key pkcs11:token=Card --cert {} -o {signed}", card.path("03.pem")));
    card.verify("signed.eml");
    card.ok(&format!("id import pkcs11:token=Card --cert {}", card.path("03.pem")));
    card.ok(&format!("sign {letter} -o {signed} --force"));
    card.verify("signed.eml");
}

#[test]
fn refuses_a_certificate_of_another_key_before_mail_leaves() {
    let Some(card) = Card::new() else { return };
    card.key(P256);
    card.key(P384);
    let (letter, signed) = (card.path("letter.eml"), card.path("signed.eml"));
    let other = card.path("04.pem");
    let (code, _, talk) = card.run(&format!("sign {letter} --key pkcs11:id=%03 --cert {other} -o {signed}"));
    assert!(code == 6 && talk.contains("the token's key is another than that of the certificate"), "{code} {talk}");
    assert!(!std::path::Path::new(&signed).exists());
    let (code, _, talk) = card.run(&format!("id import pkcs11:id=%03 --cert {other}"));
    assert!(code == 2 && talk.contains("none of the certificates is that of the key"), "{code} {talk}");
}

#[test]
fn sealed_and_opened_with_one_token() {
    let Some(card) = Card::new() else { return };
    card.key(RSA);
    card.ok("id import pkcs11:token=Card");
    card.ok(&format!("trust add {}", card.path("ca.pem")));
    let (letter, sealed, opened) = (card.path("letter.eml"), card.path("sealed.eml"), card.path("opened.eml"));
    card.ok(&format!("seal {letter} -o {sealed}"));
    card.ok(&format!("open {sealed} -o {opened}"));
    assert!(card.read("opened.eml").ends_with(&LETTER[LETTER.len() - 20..]));
}

#[test]
fn p11_kit_reaches_the_tokens_of_the_system_where_no_module_is_named() {
    let config = std::path::Path::new("/usr/share/p11-kit/modules/softhsm2.module");
    let proxy = std::path::Path::new("/usr/lib/x86_64-linux-gnu/p11-kit-proxy.so");
    if !config.exists() || !proxy.exists() {
        return support::skip("p11-kit does not know SoftHSM here");
    }
    let Some(card) = Card::new() else { return };
    card.key(P256);
    let (letter, signed) = (card.path("letter.eml"), card.path("signed.eml"));
    let args = ["sign", &letter, "--key", "pkcs11:token=Card", "-o", &signed];
    let (code, _, talk) = card.run_by(std::path::Path::new(""), "pin", &args);
    assert_eq!(code, 0, "{talk}");
    card.verify("signed.eml");
}
