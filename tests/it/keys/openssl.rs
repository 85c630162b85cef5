//! OpenSSL's `pkcs12` reads what we write, and we read what it writes.

use sealpost::crypto::random::OsRandom;
use sealpost::keys::{self, Error, pkcs12};
use sealpost::limits::Limits;

use super::{PASSPHRASES, PEOPLE, certificate_file, certs, holds, key_file, load, person, same, secret};
use crate::support;

/// Without a mac the passphrase shows only in what is decrypted.
const WITHOUT_MAC: &[&str] = &["-nomac"];

/// Each is one way to write a file; those of old ciphers need OpenSSL's legacy provider.
const FORMS: &[&[&str]] = &[
    &[],
    WITHOUT_MAC,
    &["-macalg", "sha1"],
    &["-macalg", "sha512", "-iter", "10000"],
    &["-nomaciter", "-noiter"],
    &["-keypbe", "aes-128-cbc", "-certpbe", "aes-192-cbc"],
    &["-keypbe", "des-ede3-cbc", "-certpbe", "NONE"],
    &["-keypbe", "PBE-SHA1-3DES", "-certpbe", "PBE-SHA1-2DES"],
    &["-legacy"],
    &["-legacy", "-nomac"],
    &["-legacy", "-keypbe", "PBE-SHA1-RC2-128", "-certpbe", "PBE-SHA1-RC2-40"],
    &["-legacy", "-keypbe", "PBE-SHA1-RC4-128", "-certpbe", "PBE-SHA1-RC4-40"],
    &["-legacy", "-keypbe", "PBE-MD5-DES", "-certpbe", "PBE-SHA1-RC2-64"],
];

fn openssl(args: &[&str], input: &[u8]) -> Vec<u8> {
    let (code, out, talk) = support::run("openssl", args, input);
    assert_eq!(code, 0, "openssl {}: {talk}", args.join(" "));
    out
}

/// What `openssl pkcs12 -export` writes of one of the cast; `None` where this OpenSSL does not know the form.
fn export(who: &str, passphrase: &str, form: &[&str]) -> Option<Vec<u8>> {
    let (key, certificate, chain, pass) =
        (key_file(who), certificate_file(who), certs("issuing.pem"), format!("pass:{passphrase}"));
    let args = ["pkcs12", "-export", "-inkey", &key, "-in", &certificate, "-certfile", &chain, "-name", who, "-passout", &pass];
    let (code, out, talk) = support::run("openssl", &[&args[..], form].concat(), b"");
    if code != 0 {
        support::skip(&format!("openssl pkcs12 {}: {talk}", form.join(" ")));
        return None;
    }
    Some(out)
}

#[test]
fn openssl_reads_the_pkcs12_that_we_write() {
    if !support::peer("openssl") {
        return;
    }
    for (who, passphrase) in PEOPLE.iter().flat_map(|who| PASSPHRASES.map(|passphrase| (who, passphrase))) {
        let identity = person(who);
        let file = pkcs12::write(&identity, &secret(passphrase), "Jürgen 密", &mut OsRandom).expect("written");
        let read = openssl(&["pkcs12", "-nodes", "-passin", &format!("pass:{passphrase}")], &file);
        assert!(holds(&read, &identity), "{who} {passphrase}");
        let ids = String::from_utf8_lossy(&read).matches("localKeyID:").count();
        assert_eq!(ids, 2, "the key and its certificate name each other");
        let (code, _, talk) = support::run("openssl", &["pkcs12", "-nodes", "-passin", "pass:other"], &file);
        assert!(code != 0 && talk.contains("Mac verify error"), "{talk}");
    }
}

#[test]
fn the_pkcs12_that_we_write_is_protected_as_today() {
    if !support::peer("openssl") {
        return;
    }
    let file = pkcs12::write(&person("alice"), &secret("secret"), "Alice", &mut OsRandom).expect("written");
    let (code, _, info) = support::run("openssl", &["pkcs12", "-info", "-noout", "-passin", "pass:secret"], &file);
    assert_eq!(code, 0, "{info}");
    assert!(info.contains("MAC: sha256, Iteration 600000"), "{info}");
    assert_eq!(info.matches("PBES2, PBKDF2, AES-256-CBC, Iteration 600000, PRF hmacWithSHA256").count(), 2, "{info}");
}

#[test]
fn openssl_reads_what_the_program_exports() {
    if !support::peer("openssl") {
        return;
    }
    let folder = tempfile::tempdir().expect("a folder");
    let path = |name: &str| folder.path().join(name).display().to_string();
    std::fs::write(path("passphrase"), "пароль 密码\n").expect("written");
    for who in PEOPLE {
        let files = [key_file(who), certificate_file(who), certs("issuing.pem")].map(|file| std::fs::read(file).expect("read"));
        std::fs::write(path("bundle"), files.concat()).expect("written");
        let (home, address) = (path(&format!("home-{who}")), person(who).addresses().remove(0));
        let sealpost = |args: &[&str]| {
            let file = path("passphrase");
            let args = [&["--home", &home, "--batch", "--passphrase-file", &file], args].concat();
            let (code, _, talk) = support::run(env!("CARGO_BIN_EXE_sealpost"), &args, b"");
            assert_eq!(code, 0, "{talk}");
        };
        sealpost(&["id", "import", &path("bundle")]);
        sealpost(&["id", "export", &address, "--for", "modern", "-o", &path("out"), "--force"]);
        let read = openssl(&["pkcs12", "-nodes", "-in", &path("out"), "-passin", &format!("file:{}", path("passphrase"))], b"");
        assert!(holds(&read, &person(who)), "{who}");
    }
}

#[test]
fn reads_the_pkcs12_that_openssl_writes() {
    if !support::peer("openssl") {
        return;
    }
    let mut read = 0;
    for (who, form) in PEOPLE.iter().flat_map(|who| FORMS.iter().map(move |form| (who, form))) {
        for passphrase in PASSPHRASES.iter().chain(&[""]) {
            let Some(file) = export(who, passphrase, form) else { continue };
            let identity = load(&file, passphrase).unwrap_or_else(|e| panic!("{who} {form:?} {passphrase:?}: {e}"));
            assert!(same(&identity, &person(who)), "{who} {form:?} {passphrase:?}");
            assert!(matches!(load(&file, "other"), Err(Error::WrongPassphrase)), "{who} {form:?} {passphrase:?}");
            let unasked = keys::load::identity(&file, None, &Limits::default());
            match passphrase.is_empty() {
                true => assert!(unasked.is_ok_and(|identity| same(&identity, &person(who))), "{who} {form:?}"),
                false => assert!(matches!(unasked, Err(Error::PassphraseNeeded)), "{who} {form:?} {passphrase:?}"),
            }
            read += 1;
        }
    }
    eprintln!("{read} files of OpenSSL read");
    assert!(read >= 144, "only {read} files read");
}

#[test]
fn reads_a_pkcs12_without_any_protection() {
    if !support::peer("openssl") {
        return;
    }
    let Some(file) = export("carol", "", &["-nomac", "-keypbe", "NONE", "-certpbe", "NONE"]) else { return };
    let identity = keys::load::identity(&file, None, &Limits::default()).expect("nothing locks it");
    assert!(same(&identity, &person("carol")));
}

#[test]
fn a_wrong_passphrase_is_told_without_a_mac_too() {
    if !support::peer("openssl") {
        return;
    }
    let Some(file) = export("carol", "secret", &["-nomac", "-noiter"]) else { return };
    // the padding of a wrong one fits once in 256 times
    for number in 0..600 {
        let result = load(&file, &format!("wrong {number}"));
        assert!(matches!(result, Err(Error::WrongPassphrase)), "{number}: {result:?}");
    }
}

#[test]
fn refuses_by_name_a_cipher_that_it_does_not_know() {
    if !support::peer("openssl") {
        return;
    }
    let form = ["-keypbe", "camellia-256-cbc", "-certpbe", "camellia-256-cbc"];
    let Some(file) = export("carol", "secret", &form) else { return };
    let error = load(&file, "secret").expect_err("not read").to_string();
    assert_eq!(error, "unsupported content cipher – camellia-256-cbc");
    let folder = tempfile::tempdir().expect("a folder");
    let path = |name: &str| folder.path().join(name).display().to_string();
    std::fs::write(path("file.p12"), file).expect("written");
    std::fs::write(path("passphrase"), "secret\n").expect("written");
    let args = ["--batch", "--home", &path("home"), "--passphrase-file", &path("passphrase"), "id", "import", &path("file.p12")];
    let (code, _, talk) = support::run(env!("CARGO_BIN_EXE_sealpost"), &args, b"");
    assert!(code == 8 && talk.contains("hint: convert it"), "{code} {talk}");
}

#[test]
fn reads_a_file_whose_mac_is_pbmac1() {
    if !support::peer("openssl") {
        return;
    }
    use sealpost::asn1::{Cursor, encode, oid};
    use sealpost::crypto::algorithm::AlgorithmIdentifier;
    let Some(file) = export("carol", "secret", &["-nomac"]) else { return };
    let mut fields = Cursor::new(&file).sequence().expect("a PFX");
    fields.integer().expect("its version");
    let info = fields.any().expect("its safe");
    let mut inner = info.cursor().expect("a content info");
    inner.oid().expect("its type");
    let safe = inner.explicit(0).expect("content").expect("content").octet_string().expect("bytes");
    for (digest, len, prf) in [("SHA256", 32_usize, oid::HMAC_SHA256), ("SHA512", 64, oid::HMAC_SHA512)] {
        // RFC 9879: the arithmetic is OpenSSL's, which before 3.4 does not write the form itself
        let (digest_opt, len_opt) = (format!("digest:{digest}"), len.to_string());
        let derive =
            ["-kdfopt", &digest_opt, "-kdfopt", "pass:secret", "-kdfopt", "hexsalt:0102030405060708", "-kdfopt", "iter:99"];
        let key = openssl(&[&["kdf", "-keylen", &len_opt], &derive[..], &["PBKDF2"]].concat(), b"");
        let key = String::from_utf8(key).expect("hex").replace([':', '\n'], "");
        let code = openssl(&["mac", "-binary", "-digest", digest, "-macopt", &format!("hexkey:{key}"), "HMAC"], &safe);
        let salt = encode::octet_string(&[1, 2, 3, 4, 5, 6, 7, 8]);
        let hmac = AlgorithmIdentifier::with_null(prf).to_der();
        let length = encode::integer_u64(u64::try_from(len).expect("small"));
        let derivation = encode::sequence(&[salt, encode::integer_u64(99), length, hmac.clone()]);
        let derivation = AlgorithmIdentifier::with(oid::PBKDF2, derivation).to_der();
        let algorithm = AlgorithmIdentifier::with(oid::PBMAC1, encode::sequence(&[derivation, hmac.clone()])).to_der();
        let digest_info = encode::sequence(&[algorithm, encode::octet_string(&code)]);
        let mac_data = encode::sequence(&[digest_info, encode::octet_string(b"unused"), encode::integer_u64(1)]);
        let pfx = |mac_data: &[u8]| encode::sequence(&[encode::integer_u64(3), info.raw.to_vec(), mac_data.to_vec()]);
        let identity = load(&pfx(&mac_data), "secret").expect("read");
        assert!(same(&identity, &person("carol")));
        assert!(matches!(load(&pfx(&mac_data), "other"), Err(Error::WrongPassphrase)));
        // RFC 9579: the length of the key is not optional here
        let shorter = encode::sequence(&[encode::octet_string(&[1, 2, 3, 4, 5, 6, 7, 8]), encode::integer_u64(99), hmac.clone()]);
        let shorter = AlgorithmIdentifier::with(oid::PBKDF2, shorter).to_der();
        let algorithm = AlgorithmIdentifier::with(oid::PBMAC1, encode::sequence(&[shorter, hmac.clone()])).to_der();
        let digest_info = encode::sequence(&[algorithm, encode::octet_string(&code)]);
        let unnamed = encode::sequence(&[digest_info, encode::octet_string(b"unused"), encode::integer_u64(1)]);
        let error = load(&pfx(&unnamed), "secret").expect_err("refused").to_string();
        assert_eq!(error, "PBMAC1 without the length of its key");
        let other = code.iter().map(|byte| byte ^ 1).collect::<Vec<_>>();
        let at = mac_data.windows(code.len()).position(|window| window == code).expect("the code");
        let changed = [&mac_data[..at], &other, &mac_data[at + code.len()..]].concat();
        assert!(matches!(load(&pfx(&changed), "secret"), Err(Error::WrongPassphrase)));
    }
}
