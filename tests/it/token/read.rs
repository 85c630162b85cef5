//! Decrypting with keys on a token.

use super::{Card, LETTER, P256, P384, RSA};

const AES: &str = "-aes256";

/// Has OpenSSL encrypt the letter to a certificate, and opens it with the identity of the home.
fn opens(card: &Card, id: &str, options: &str) {
    let (letter, file, out) = (card.path("letter.eml"), card.path("encrypted.eml"), card.path("out"));
    card.openssl(&format!("cms -encrypt {AES} -in {letter} -out {file} -recip {} {options}", card.path(&format!("{id}.pem"))));
    card.ok(&format!("open --raw {file} -o {out} --force"));
    assert_eq!(card.read("out"), LETTER, "{id} {options}");
}

#[test]
fn reads_what_openssl_encrypts_to_rsa() {
    let Some(card) = Card::new() else { return };
    card.key(RSA);
    card.ok("id import pkcs11:token=Card");
    let oaep = "-keyopt rsa_padding_mode:oaep";
    // SoftHSM does the OAEP of SHA-1 itself, and the bare operation for others
    for options in [
        "",
        oaep,
        &format!("{oaep} -keyopt rsa_oaep_md:sha256"),
        &format!("{oaep} -keyopt rsa_oaep_md:sha512 -keyopt rsa_mgf1_md:sha1"),
    ] {
        opens(&card, "01", options);
    }
}

#[test]
fn reads_what_openssl_encrypts_by_ecdh() {
    let Some(card) = Card::new() else { return };
    for (key, uri) in [(P256, "pkcs11:id=%03"), (P384, "pkcs11:id=%04")] {
        card.key(key);
        card.ok(&format!("id import {uri}"));
        for options in ["", "-keyopt ecdh_kdf_md:sha256", "-keyopt ecdh_cofactor_mode:1 -keyopt ecdh_kdf_md:sha384"] {
            opens(&card, key.1, options);
        }
    }
}

#[test]
fn a_key_without_a_certificate_is_tried_on_every_recipient() {
    let Some(card) = Card::new() else { return };
    card.key(RSA);
    card.opensc("--delete-object --type cert --id 01");
    let (letter, file, out) = (card.path("letter.eml"), card.path("encrypted.eml"), card.path("out"));
    card.openssl(&format!("cms -encrypt {AES} -in {letter} -out {file} {}", card.path("01.pem")));
    card.ok(&format!("decrypt {file} --key pkcs11:token=Card -o {out}"));
    assert_eq!(card.read("out"), LETTER);
}

#[test]
fn a_padding_that_does_not_fit_looks_like_that_of_a_key_in_a_file() {
    let Some(card) = Card::new() else { return };
    // one key, on the token and in a file
    let (key, der) = (card.path("key.pem"), card.path("key.der"));
    card.openssl(&format!("genrsa -out {key} 2048"));
    card.openssl(&format!("rsa -in {key} -outform DER -out {der}"));
    card.opensc(&format!("--write-object {der} --type privkey --id 01 --label key --usage-decrypt --sensitive"));
    card.openssl(&format!("rsa -in {key} -pubout -out {}", card.path("public.der")));
    card.certify("01", "");
    let (letter, file, cert) = (card.path("letter.eml"), card.path("encrypted.der"), card.path("01.pem"));
    card.openssl(&format!("cms -encrypt -aes-128-gcm -outform DER -in {letter} -out {file} {cert}"));
    let whole = card.read("encrypted.der");
    // the encrypted key: an OCTET STRING of 256 bytes
    let at = whole.windows(4).position(|window| window == [0x04, 0x82, 0x01, 0x00]).expect("the encrypted key") + 4;
    for changed in [at + 1, at + 100, at + 255] {
        let mut bytes = whole.clone();
        bytes[changed] ^= 0x55;
        card.write("changed.der", &bytes);
        let open = |key: &str| {
            let line = format!("--json decrypt {} --key {key} --cert {cert} -o {}", card.path("changed.der"), card.path("out"));
            let (code, out, _) = card.run(&line);
            (code, String::from_utf8(out).expect("JSON"))
        };
        let (by_token, by_file) = (open("pkcs11:token=Card"), open(&key));
        assert_eq!(by_token, by_file, "nothing tells them apart");
        assert!(by_token.0 == 1 && by_token.1.contains("decryption-failed"), "{by_token:?}");
    }
    let line = format!("decrypt {file} --key pkcs11:token=Card --cert {cert} -o {}", card.path("out"));
    card.ok(&line);
    assert_eq!(card.read("out"), LETTER);
}
