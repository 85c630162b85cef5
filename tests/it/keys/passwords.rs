//! One passphrase as programs of several times encode it.

use sealpost::asn1::{encode, oid};
use sealpost::crypto::pbe::{self, Scheme};
use sealpost::crypto::random::Seeded;
use sealpost::keys::{Error, pkcs12};
use sealpost::limits::Limits;
use sealpost::secret::Secret;

use super::{certificate_file, key_file, load, person, same, secret};
use crate::support;

/// What `openssl pkcs12 -export` writes of Carol under the bytes of a passphrase.
fn export(passphrase: &[u8], form: &[&str]) -> Vec<u8> {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("passphrase");
    std::fs::write(&file, [passphrase, b"\n"].concat()).expect("written");
    let (key, certificate, pass) = (key_file("carol"), certificate_file("carol"), format!("file:{}", file.display()));
    let args = ["pkcs12", "-export", "-inkey", &key, "-in", &certificate, "-name", "carol", "-passout", &pass];
    let (code, out, talk) = support::run("openssl", &[&args[..], form].concat(), b"");
    assert_eq!(code, 0, "{talk}");
    out
}

fn is_carols(file: &[u8], passphrase: &str) -> bool {
    load(file, passphrase).is_ok_and(|identity| identity.certificate() == person("carol").certificate())
}

#[test]
fn reads_what_openssl_before_1_1_wrote_that_took_each_byte_for_a_character() {
    if !support::peer("openssl") {
        return;
    }
    for passphrase in ["pässwörd", "пароль 密码", "key 🔑"] {
        let widened: String = passphrase.bytes().map(char::from).collect();
        for form in [&["-legacy"][..], &["-legacy", "-nomac"], &["-keypbe", "PBE-SHA1-3DES", "-certpbe", "PBE-SHA1-3DES"]] {
            let file = export(widened.as_bytes(), form);
            assert!(is_carols(&file, passphrase), "{passphrase} {form:?}");
            assert!(matches!(load(&file, "other"), Err(Error::WrongPassphrase)));
        }
    }
}

#[test]
fn reads_what_was_written_in_a_terminal_of_latin_1() {
    if !support::peer("openssl") {
        return;
    }
    for form in [&[][..], &["-nomac"], &["-legacy"]] {
        assert!(is_carols(&export(b"p\xe4ssw\xf6rd", form), "pässwörd"), "{form:?}");
    }
}

#[test]
fn a_passphrase_that_is_no_utf_8_opens_what_it_locked() {
    if !support::peer("openssl") {
        return;
    }
    for form in [&[][..], &["-legacy"]] {
        let file = export(b"p\xe4ssw\xf6rd", form);
        let passphrase = Secret::new(b"p\xe4ssw\xf6rd".to_vec());
        assert_eq!(pkcs12::read(&file, Some(&passphrase), &Limits::default()).expect("read").keys.len(), 1, "{form:?}");
    }
}

#[test]
fn reads_what_nss_once_wrote_that_derived_from_utf_16() {
    let random = &mut Seeded::new(b"utf-16");
    for passphrase in ["secret", "пароль 密码"] {
        let wide = pbe::bmp(&secret(passphrase));
        let bag = |kind, value: &[u8]| encode::sequence(&[encode::oid(&kind), encode::explicit(0, value)]);
        let key = person("carol").private_key().to_encrypted_pkcs8_by(Scheme::Aes256, 10, &wide, random).expect("locked");
        let der = encode::octet_string(person("carol").certificate().der());
        let certificate = encode::sequence(&[encode::oid(&oid::X509_CERTIFICATE), encode::explicit(0, &der)]);
        let bags = encode::sequence(&[bag(oid::SHROUDED_KEY_BAG, &key), bag(oid::CERT_BAG, &certificate)]);
        let info = |content: &[u8]| bag(oid::ID_DATA, &encode::octet_string(content));
        let file = encode::sequence(&[encode::integer_u64(3), info(&encode::sequence(&[info(&bags)]))]);
        assert!(is_carols(&file, passphrase), "{passphrase}");
    }
}

#[test]
fn reads_a_file_in_pem_and_both_forms_of_an_empty_passphrase() {
    if !support::peer("openssl") {
        return;
    }
    // OpenSSL writes two zero bytes where it is given one, and nothing where it is given none; `nss.rs` has NSS's
    let file = export(b"", &["-legacy"]);
    assert!(is_carols(&file, ""));
    let pem = sealpost::asn1::pem::encode("PKCS12", &export(b"secret", &[]));
    let read = load(pem.as_bytes(), "secret").expect("read");
    assert!(same(&read, &load(&export(b"secret", &[]), "secret").expect("read")));
}
