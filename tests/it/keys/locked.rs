//! Private keys under a passphrase, as OpenSSL writes them: PKCS#8 by every scheme, and PEM that encrypts itself.

use sealpost::crypto::Error;
use sealpost::crypto::key::PrivateKey;
use sealpost::keys;
use sealpost::limits::Limits;

use super::{PASSPHRASES, PEOPLE, certificate_file, key_file, person, secret};
use crate::support;

/// Options of `openssl pkcs8 -topk8`; those after the first line need the legacy provider.
const SCHEMES: &[&[&str]] = &[
    &["-v2", "aes-192-cbc"],
    &["-v2", "aes-256-cbc", "-v2prf", "hmacWithSHA1"],
    &["-v2", "aes-256-cbc", "-v2prf", "hmacWithSHA224"],
    &["-v2", "aes-256-cbc", "-v2prf", "hmacWithSHA384"],
    &["-v2", "aes-256-cbc", "-v2prf", "hmacWithSHA512-224"],
    &["-v2", "aes-256-cbc", "-v2prf", "hmacWithSHA512-256"],
    &["-v2", "aes-256-cbc", "-v2prf", "hmacWithMD5"],
    &["-v2", "des3"],
    &["-scrypt"],
    &["-scrypt", "-scrypt_N", "1024", "-scrypt_r", "4", "-scrypt_p", "3", "-v2", "aes-128-cbc"],
    &["-v1", "PBE-SHA1-3DES"],
    &["-v1", "PBE-SHA1-2DES"],
    &["-v1", "PBE-MD5-DES"],
    &["-v1", "PBE-SHA1-DES"],
    &["-v1", "PBE-MD5-RC2-64"],
    &["-v1", "PBE-SHA1-RC2-64"],
    &["-v1", "PBE-SHA1-RC2-128"],
    &["-v1", "PBE-SHA1-RC2-40"],
    &["-v1", "PBE-SHA1-RC4-128"],
    &["-v1", "PBE-SHA1-RC4-40"],
    &["-v2", "rc2"],
    &["-v2", "des-cbc"],
];

/// Both providers, since old ciphers stand in the second one.
const LEGACY: [&str; 4] = ["-provider", "default", "-provider", "legacy"];

fn read(bytes: &[u8], passphrase: &str) -> Result<PrivateKey, Error> {
    PrivateKey::from_any(bytes, Some(&secret(passphrase)), &Limits::default())
}

fn is_key_of(key: &PrivateKey, who: &str) -> bool {
    key.to_pkcs8().expect("it may leave").expose() == person(who).private_key().to_pkcs8().expect("it may leave").expose()
}

#[test]
fn reads_pkcs8_under_every_scheme_of_openssl() {
    if !support::peer("openssl") {
        return;
    }
    let mut count = 0;
    for (number, scheme) in SCHEMES.iter().enumerate() {
        let who = PEOPLE[number % 2];
        for passphrase in [PASSPHRASES[0], PASSPHRASES[2]] {
            let (key, pass) = (key_file(who), format!("pass:{passphrase}"));
            let args = [&["pkcs8", "-topk8", "-in", &key, "-passout", &pass], *scheme, &LEGACY[..]].concat();
            let (code, file, talk) = support::run("openssl", &args, b"");
            if code != 0 {
                support::skip(&format!("openssl pkcs8 {scheme:?}: {talk}"));
                continue;
            }
            let key = read(&file, passphrase).unwrap_or_else(|error| panic!("{scheme:?} {passphrase}: {error}"));
            assert!(is_key_of(&key, who), "{scheme:?} {passphrase}");
            assert!(matches!(read(&file, "other"), Err(Error::WrongPassphrase)), "{scheme:?}");
            count += 1;
        }
    }
    eprintln!("{count} keys read");
    assert_eq!(count, 2 * SCHEMES.len());
}

#[test]
fn reads_pkcs8_under_the_hmacs_that_openssl_4_knows() {
    let Some(openssl) = support::named_peer("SEALPOST_OPENSSL4") else { return };
    for prf in ["hmac-sha3-224", "hmac-sha3-256", "hmac-sha3-384", "hmac-sha3-512"] {
        let key = key_file("carol");
        let args = ["pkcs8", "-topk8", "-in", &key, "-passout", "pass:secret", "-v2", "aes-256-cbc", "-v2prf", prf];
        let (code, file, talk) = support::run(&openssl, &args, b"");
        assert_eq!(code, 0, "{talk}");
        assert!(is_key_of(&read(&file, "secret").unwrap_or_else(|error| panic!("{prf}: {error}")), "carol"));
    }
}

#[test]
fn reads_keys_that_pem_encrypts() {
    if !support::peer("openssl") {
        return;
    }
    for (who, kind) in [("alice", "RSA PRIVATE KEY"), ("carol", "EC PRIVATE KEY")] {
        for cipher in ["-aes128", "-aes192", "-aes256", "-des3", "-des"] {
            for passphrase in [PASSPHRASES[0], PASSPHRASES[2], PASSPHRASES[4]] {
                let (key, pass) = (key_file(who), format!("pass:{passphrase}"));
                let args = ["pkey", "-traditional", cipher, "-in", &key, "-passout", &pass];
                let (code, file, talk) = support::run("openssl", &[&args[..], &LEGACY].concat(), b"");
                assert_eq!(code, 0, "{talk}");
                let text = String::from_utf8_lossy(&file);
                assert!(text.contains("DEK-Info: ") && text.contains(kind), "{text}");
                assert!(is_key_of(&read(&file, passphrase).expect("read"), who), "{who} {cipher} {passphrase}");
                assert!(matches!(read(&file, "other"), Err(Error::WrongPassphrase)));
                let unasked = PrivateKey::from_any(&file, None, &Limits::default());
                assert!(matches!(unasked, Err(Error::PassphraseNeeded)));
            }
        }
    }
}

#[test]
fn a_bundle_with_such_a_key_is_an_identity() {
    if !support::peer("openssl") {
        return;
    }
    let args = ["pkey", "-traditional", "-aes256", "-in", &key_file("carol"), "-passout", "pass:secret"];
    let (_, key, _) = support::run("openssl", &args, b"");
    let bundle = [key, std::fs::read(certificate_file("carol")).expect("one of the cast")].concat();
    let identity = keys::load::identity(&bundle, Some(&secret("secret")), &Limits::default()).expect("read");
    assert_eq!(identity.certificate(), person("carol").certificate());
    let error = keys::load::identity(&bundle, None, &Limits::default()).expect_err("locked");
    assert!(matches!(error, keys::Error::PassphraseNeeded));
}

#[test]
fn refuses_by_name_a_cipher_of_pem_that_it_does_not_know() {
    let pem = |info: &str| {
        format!("-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\n{info}\n\nAAAA\n-----END RSA PRIVATE KEY-----\n")
    };
    for (info, expected) in [
        (
            "DEK-Info: CAMELLIA-256-CBC,00112233445566778899AABBCCDDEEFF",
            "unsupported cipher of an encrypted private key – CAMELLIA-256-CBC",
        ),
        ("DEK-Info: AES-256-CBC,0011", "an encrypted private key without a DEK-Info that can be read"),
        ("DEK-Info: AES-256-CBC", "an encrypted private key without a DEK-Info that can be read"),
        (
            "DEK-Info: AES-256-CBC,0é112233445566778899AABBCCDDEEFF",
            "an encrypted private key without a DEK-Info that can be read",
        ),
        ("X: y", "an encrypted private key without a DEK-Info that can be read"),
    ] {
        let error = read(pem(info).as_bytes(), "secret").expect_err("not read").to_string();
        assert_eq!(error, expected);
    }
}

#[test]
fn scrypt_is_bounded_in_memory_and_in_rounds() {
    use sealpost::asn1::{encode, oid};
    use sealpost::crypto::algorithm::AlgorithmIdentifier;
    use sealpost::crypto::pbe::{Cost, derive_key};
    let derive = |n: u64, r: u64, p: u64| {
        let parameters = [encode::octet_string(b"salt"), encode::integer_u64(n), encode::integer_u64(r), encode::integer_u64(p)];
        let algorithm = AlgorithmIdentifier::with(oid::SCRYPT, encode::sequence(&parameters));
        derive_key(&algorithm, b"secret", 32, &mut Cost::new(&Limits::default())).map(|key| key.expose().len())
    };
    assert!(matches!(derive(1 << 10, 8, 1), Ok(32)));
    for (n, r, p, expected) in [
        (1 << 21, 8, 1, "limit reached: kdf memory bytes – at most 268435456"),
        (2, u64::MAX, 1, "limit reached: kdf memory bytes – at most 268435456"),
        (2, 8, u64::MAX, "limit reached: kdf memory bytes – at most 268435456"),
        (1 << 14, 8, 100, "limit reached: kdf iterations – at most 12000000"),
        (1000, 8, 1, "scrypt with parameters that it does not have"),
        (0, 8, 1, "scrypt with parameters that it does not have"),
        (1024, 0, 1, "scrypt with parameters that it does not have"),
        (1024, 8, 0, "scrypt with parameters that it does not have"),
    ] {
        assert_eq!(derive(n, r, p).expect_err("refused").to_string(), expected, "{n} {r} {p}");
    }
}

#[test]
fn scrypt_gives_what_the_standard_says() {
    // RFC 7914 section 12, the second one
    let key = sealpost::crypto::kdf::scrypt(b"password", b"NaCl", (1024, 8, 16), 64).expect("derived");
    let hex: String = key.expose().iter().map(|byte| format!("{byte:02x}")).collect();
    assert!(hex.starts_with("fdbabe1c9d3472007856e7190d01e9fe7c6ad7cbc8237830e77376634b373162"), "{hex}");
}
