//! Tests of `crypto` against Project Wycheproof, on every provider that is built in.
//!
//! A vector says `valid`, `invalid` or `acceptable`. The first two must come out so; where they do not, the flag of the vector stands in
//! the test with the reason.

mod keys;
mod peers;
mod post_quantum;
mod recipients;
mod rfc;
mod signatures;
mod signers;
mod symmetric;

use std::path::Path;

use serde_json::Value;

use crate::support;
use sealpost::crypto::algorithm::DigestAlgorithm;
use sealpost::crypto::provider::Provider;

const PROVIDERS: [Provider; 2] = [Provider::Rust, Provider::Fastest];

const DIGESTS: [DigestAlgorithm; 13] = [
    DigestAlgorithm::Md5,
    DigestAlgorithm::Sha1,
    DigestAlgorithm::Sha224,
    DigestAlgorithm::Sha256,
    DigestAlgorithm::Sha384,
    DigestAlgorithm::Sha512,
    DigestAlgorithm::Sha512_256,
    DigestAlgorithm::Sha3_224,
    DigestAlgorithm::Sha3_256,
    DigestAlgorithm::Sha3_384,
    DigestAlgorithm::Sha3_512,
    DigestAlgorithm::Shake128,
    DigestAlgorithm::Shake256,
];

/// One vector and the group that it stands in.
struct Case<'a> {
    group: &'a Value,
    test: &'a Value,
}

impl Case<'_> {
    /// The bytes of a field; of the group where the vector has none. Numbers come with an odd count of digits, too.
    fn bytes(&self, field: &str) -> Vec<u8> {
        unhex(self.text(field))
    }

    fn text(&self, field: &str) -> &str {
        let value = self.test.get(field).or_else(|| self.group.get(field));
        value.and_then(Value::as_str).unwrap_or_else(|| panic!("field {field}"))
    }

    fn number(&self, field: &str) -> u64 {
        let value = self.test.get(field).or_else(|| self.group.get(field));
        value.and_then(Value::as_u64).unwrap_or_else(|| panic!("field {field}"))
    }

    fn digest(&self, field: &str) -> DigestAlgorithm {
        DigestAlgorithm::from_name(self.text(field)).expect("a digest that is known")
    }

    fn result(&self) -> &str {
        self.text("result")
    }

    fn has_flag(&self, flag: &str) -> bool {
        self.test["flags"].as_array().is_some_and(|flags| flags.iter().any(|f| f == flag))
    }
}

/// A folder: every file of it, and how many vectors it has, for none may vanish unseen; the tests that run them.
struct Suite {
    folder: &'static str,
    files: &'static [(&'static str, usize)],
    tests: &'static [&'static str],
}

const CLASSICAL: Suite = Suite {
    folder: "wycheproof",
    files: FILES,
    tests: &[include_str!("crypto/recipients.rs"), include_str!("crypto/signatures.rs"), include_str!("crypto/symmetric.rs")],
};

const FILES: &[(&str, usize)] = &[
    ("aes_cbc_pkcs5_test.json", 216),
    ("aes_gcm_test.json", 316),
    ("aes_wrap_test.json", 165),
    ("chacha20_poly1305_test.json", 325),
    ("ecdh_secp256r1_test.json", 612),
    ("ecdh_secp384r1_test.json", 1047),
    ("ecdsa_secp256r1_sha256_test.json", 484),
    ("ecdsa_secp384r1_sha256_test.json", 472),
    ("ecdsa_secp521r1_sha512_test.json", 542),
    ("ed25519_test.json", 151),
    ("hkdf_sha256_test.json", 86),
    ("hkdf_sha512_test.json", 83),
    ("hmac_sha256_test.json", 174),
    ("hmac_sha512_test.json", 174),
    ("pbes2_hmacsha1_aes_128_test.json", 84),
    ("pbes2_hmacsha256_aes_256_test.json", 84),
    ("pbkdf2_hmacsha1_test.json", 64),
    ("pbkdf2_hmacsha256_test.json", 60),
    ("rsa_oaep_2048_sha1_mgf1sha1_test.json", 36),
    ("rsa_oaep_2048_sha256_mgf1sha1_test.json", 31),
    ("rsa_oaep_2048_sha256_mgf1sha256_test.json", 37),
    ("rsa_oaep_2048_sha384_mgf1sha384_test.json", 34),
    ("rsa_oaep_2048_sha512_mgf1sha512_test.json", 33),
    ("rsa_oaep_4096_sha512_mgf1sha512_test.json", 36),
    ("rsa_pkcs1_2048_test.json", 67),
    ("rsa_pkcs1_4096_test.json", 67),
    ("rsa_pss_2048_sha1_mgf1_20_params_test.json", 88),
    ("rsa_pss_2048_sha256_mgf1_0_params_test.json", 103),
    ("rsa_pss_2048_sha256_mgf1_32_params_test.json", 108),
    ("rsa_pss_3072_sha256_mgf1_32_params_test.json", 108),
    ("rsa_pss_4096_sha384_mgf1_48_test.json", 141),
    ("rsa_signature_2048_sha256_test.json", 259),
    ("rsa_signature_2048_sha384_test.json", 258),
    ("rsa_signature_2048_sha512_test.json", 259),
    ("rsa_signature_3072_sha256_test.json", 259),
    ("rsa_signature_3072_sha512_test.json", 260),
    ("rsa_signature_4096_sha256_test.json", 258),
    ("rsa_signature_4096_sha512_test.json", 259),
    ("rsa_signature_8192_sha256_test.json", 258),
    ("x25519_test.json", 518),
    ("x448_asn_test.json", 529),
];

#[test]
fn every_file_of_wycheproof_is_run() {
    for suite in [CLASSICAL, post_quantum::SUITE] {
        let Some(folder) = support::vectors(suite.folder) else { return };
        let entries = std::fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("an entry").file_name());
        let mut there: Vec<String> = entries.map(|name| name.to_string_lossy().into_owned()).collect();
        there.retain(|name| name.ends_with("_test.json"));
        there.sort();
        assert_eq!(there, suite.files.iter().map(|file| file.0).collect::<Vec<_>>());
        for (name, _) in suite.files {
            assert!(suite.tests.iter().any(|test| test.contains(name)), "no test runs {name}");
        }
    }
}

/// Runs every vector of a file: `accepts` says whether the primitive takes it. `otherwise` names flags whose vectors we judge
/// otherwise than the file does, whatever the reason is that stands beside them.
fn run(file: &str, otherwise: &[&str], accepts: impl Fn(&Case<'_>) -> bool) {
    run_of(&CLASSICAL, file, otherwise, accepts);
}

fn run_of(suite: &Suite, file: &str, otherwise: &[&str], accepts: impl Fn(&Case<'_>) -> bool) {
    let Some(folder) = support::vectors(suite.folder) else { return };
    let all = read(&folder.join(file));
    let (mut counted, mut wrong) = (0, Vec::new());
    for group in all["testGroups"].as_array().expect("groups") {
        for test in group["tests"].as_array().expect("tests") {
            let case = Case { group, test };
            let mut wanted = match case.result() {
                "valid" => Some(true),
                "invalid" => Some(false),
                _ => None,
            };
            if otherwise.iter().any(|flag| case.has_flag(flag)) {
                wanted = wanted.map(|wanted| !wanted);
            }
            counted += 1;
            let accepted = accepts(&case);
            if wanted.is_some_and(|wanted| wanted != accepted) {
                wrong.push(format!("{} {} {} – accepted: {accepted}", test["tcId"], test["flags"], test["comment"]));
            }
        }
    }
    assert!(suite.files.contains(&(file, counted)), "{file} has {counted} vectors");
    assert!(wrong.is_empty(), "{file}: {} of {counted} come out otherwise\n{}", wrong.len(), wrong.join("\n"));
}

fn read(path: &Path) -> Value {
    let text = std::fs::read(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    serde_json::from_slice(&text).expect("JSON")
}

fn unhex(text: &str) -> Vec<u8> {
    let even = if text.len().is_multiple_of(2) { text.to_owned() } else { format!("0{text}") };
    let byte = |at| u8::from_str_radix(&even[at..at + 2], 16).expect("hexadecimal");
    (0..even.len()).step_by(2).map(byte).collect()
}
