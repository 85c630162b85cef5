//! Messages that others made, peeled layer by layer, with the outcome that their makers and two peers agree on.

use std::path::Path;

use sealpost::asn1::pem;
use sealpost::cms::{Key, SignatureCheck};
use sealpost::crypto::key::PrivateKey;
use sealpost::limits::Limits;
use sealpost::mime;
use sealpost::mime::canonical;
use sealpost::pki::Certificate;
use serde_json::Value;

use super::{checks, decrypt, read_signed};
use crate::support;

/// A CMS structure and what it stands in.
struct Layer {
    cms: Vec<u8>,
    detached: Option<Vec<u8>>,
}

/// The outermost CMS structure: DER, PEM, or a message whose root is S/MIME.
fn outermost(bytes: &[u8]) -> Option<Layer> {
    if bytes.first() == Some(&0x30) {
        return Some(Layer { cms: bytes.to_vec(), detached: None });
    }
    if bytes.trim_ascii_start().starts_with(b"MII") || bytes.trim_ascii_start().starts_with(b"MIA") {
        return Some(Layer { cms: mime::transfer::decode_base64(bytes), detached: None });
    }
    if pem::looks_like(bytes) {
        return pem::parse_all(bytes).ok()?.into_iter().next().map(|block| Layer { cms: block.der, detached: None });
    }
    let bytes = canonical::to_crlf(bytes);
    let root = mime::parse(&bytes, &Limits::default()).ok()?;
    let kind = root.content_type();
    if kind.is("multipart", "signed") {
        let [signed, signature] = root.children() else { return None };
        return Some(Layer { cms: signature.decoded_body(&bytes), detached: Some(signed.bytes(&bytes).to_vec()) });
    }
    let is_cms = kind.is("application", "pkcs7-mime") || kind.is("application", "x-pkcs7-mime");
    is_cms.then(|| Layer { cms: root.decoded_body(&bytes), detached: None })
}

/// The private keys that a folder names, and the one that a layer was opened with.
fn keys(folder: &Path, index: &Value, entry: &Value) -> Vec<PrivateKey> {
    let mut files: Vec<(String, String)> = Vec::new();
    for key in index["keys"].as_array().into_iter().flatten() {
        files.push((key["file"].as_str().unwrap().to_owned(), key["password"].as_str().unwrap_or("").to_owned()));
    }
    for layer in entry["layers"].as_array().into_iter().flatten() {
        for name in ["key", "bc_key"] {
            if let Some(file) = layer[name].as_str().filter(|file| !files.iter().any(|known| known.0 == *file)) {
                files.push((file.to_owned(), String::new()));
            }
        }
    }
    // the keys of RFC 9788's examples are those of RFC 9216
    let bob = "../rfc9216-keys/bob-decryption-private-key-material.key.pem";
    let place = |file: &str| folder.join(if file == "bob" { bob } else { file });
    files.iter().filter_map(|(file, password)| private_key(&place(file), password)).collect()
}

fn private_key(file: &Path, password: &str) -> Option<PrivateKey> {
    let bytes = std::fs::read(file).ok()?;
    let is_bundle = file.extension().is_some_and(|suffix| suffix == "p12" || suffix == "pfx");
    if !is_bundle {
        return PrivateKey::from_any(&bytes, None, &Limits::default()).ok();
    }
    let pass = format!("pass:{password}");
    let args = ["pkcs12", "-legacy", "-nodes", "-nocerts", "-passin", &pass, "-in", file.to_str().unwrap()];
    let (code, text, _) = support::run("openssl", &args, b"");
    if code != 0 {
        return None;
    }
    PrivateKey::from_any(&text, None, &Limits::default()).ok()
}

/// What became of one message.
#[derive(Debug, PartialEq)]
enum Outcome {
    /// As expected, to the last layer.
    Same,
    /// Refused, as expected.
    Refused,
    /// An algorithm that this version does not know.
    Unsupported(String),
    /// Something else than expected.
    Different(String),
}

fn judge(folder: &Path, index: &Value, entry: &Value, decision: Decision) -> Outcome {
    let Ok(bytes) = std::fs::read(folder.join(entry["file"].as_str().unwrap())) else {
        return Outcome::Different("no such file".to_owned());
    };
    let private = keys(folder, index, entry);
    let keys: Vec<Key<'_>> = private.iter().map(|key| Key::Private { certificate: None, key }).collect();
    let mut next = outermost(&bytes);
    if let (Some(file), Some(layer)) = (entry["content_file"].as_str(), &mut next) {
        layer.detached = std::fs::read(folder.join(file)).ok();
    }
    let named = entry["signer_certificate"].as_str().map(|file| std::fs::read(folder.join(file)).unwrap());
    let named = named.map(|bytes| sealpost::pki::load::certificates(&bytes).unwrap()).unwrap_or_default();
    let mut leaf = Vec::new();
    for expected in entry["layers"].as_array().unwrap() {
        let Some(layer) = next.take() else { return Outcome::Different("a layer is missing".to_owned()) };
        let is_signed = expected["type"] == "signedData";
        // OpenSSL and Bouncy Castle; where they differ, the test below says what is decided
        let good = expected[if is_signed { "crypto_ok" } else { "decrypt_ok" }] == true || decision == Decision::Accept;
        let content = if is_signed { signed(&layer, &named) } else { decrypt(&layer.cms, &keys).map_err(|e| e.to_string()) };
        match (good, content) {
            (true, Ok(content)) => leaf = content,
            (false, Err(_)) => return Outcome::Refused,
            (false, Ok(_)) => return Outcome::Different("accepted".to_owned()),
            (true, Err(why)) if why.contains("unsupported") || why.contains("broken") => return Outcome::Unsupported(why),
            (true, Err(why)) => return Outcome::Different(why),
        }
        next = outermost(&leaf);
    }
    let sum = sealpost::crypto::digest::of(sealpost::crypto::algorithm::DigestAlgorithm::Sha256, &leaf);
    let sum: String = sum.iter().map(|byte| format!("{byte:02x}")).collect();
    match entry["leaf"]["sha256"].as_str() {
        Some(expected) if expected != sum => Outcome::Different(format!("another leaf, {} bytes", leaf.len())),
        _ => Outcome::Same,
    }
}

/// The content where every signature fits, else why not.
fn signed(layer: &Layer, known: &[Certificate]) -> Result<Vec<u8>, String> {
    let (data, inside) = read_signed(&layer.cms, layer.detached.as_deref()).map_err(|error| error.to_string())?;
    let checks = checks(&data, &known.iter().collect::<Vec<_>>());
    let is_empty = checks.is_empty();
    match checks.into_iter().find(|check| !matches!(check, SignatureCheck::Valid(_))) {
        None if is_empty => Err("no signers".to_owned()),
        None => Ok(layer.detached.clone().unwrap_or(inside)),
        Some(SignatureCheck::Invalid(why) | SignatureCheck::Unsupported(why)) => Err(why),
        Some(_) => Err("content changed".to_owned()),
    }
}

/// What counts as the expected outcome.
#[derive(Clone, Copy, PartialEq)]
enum Decision {
    /// What OpenSSL says.
    AsOpenssl,
    /// Acceptance: OpenSSL refuses, Bouncy Castle accepts, and the test says why we do.
    Accept,
}

/// Judges a folder: how many messages must come out as expected, be refused as expected, and be of unknown algorithms. The messages
/// of `accepted` are accepted though OpenSSL refuses them.
fn gate(folder: &str, accepted: &[&str], figures: (usize, usize, usize)) {
    let Some(path) = support::vectors(folder) else { return };
    let index: Value = serde_json::from_slice(&std::fs::read(path.join("index.json")).unwrap()).unwrap();
    let (mut same, mut refused, mut unsupported) = (0, 0, 0);
    let mut different = Vec::new();
    for entry in index["entries"].as_array().unwrap() {
        let file = entry["file"].as_str().unwrap_or_default();
        let known = |layer: &Value| layer["type"] != "?";
        if !entry["layers"].as_array().is_some_and(|layers| !layers.is_empty() && layers.iter().all(known)) {
            continue;
        }
        let decision = if accepted.contains(&file) { Decision::Accept } else { Decision::AsOpenssl };
        let outcome = judge(&path, &index, entry, decision);
        eprintln!("{folder}/{file}: {outcome:?}");
        match outcome {
            Outcome::Same => same += 1,
            Outcome::Refused => refused += 1,
            Outcome::Unsupported(_) => unsupported += 1,
            Outcome::Different(why) => different.push(format!("{file}: {why}")),
        }
    }
    assert!(different.is_empty(), "{folder}: {different:#?}");
    assert_eq!((same, refused, unsupported), figures, "{folder}: same, refused, unsupported");
}

/// 5.2 has RC2, which OpenSSL 3 has only in its legacy provider.
#[test]
fn rfc4134() {
    gate("rfc4134-examples", &["5.2.bin"], (12, 2, 0));
}

/// An empty set of digest algorithms with a good signer is accepted with a finding.
#[test]
fn openssl_cms() {
    gate("openssl-cms", &["smime-eml/pkcs7-empty-digest-set.eml"], (3, 16, 0));
}

/// Authenticode signs a type of its own in the way of PKCS#7, which is read.
#[test]
fn pyca() {
    gate("pyca-pkcs7-pkcs12", &["pkcs7/authenticode.der"], (3, 5, 0));
}

#[test]
fn gnutls_and_horde() {
    gate("gnutls-horde", &["gnutls/pkcs7-eddsa-sig.p7s"], (8, 2, 0));
}

#[test]
fn thunderbird() {
    gate("thunderbird-smime", &[], (57, 21, 0));
}

#[test]
fn outlook() {
    gate("outlook-thunderbird-samples", &[], (9, 0, 0));
}

#[test]
fn mimekit() {
    gate("mimekit-smime", &[], (1, 0, 0));
}

#[test]
fn rfc9788() {
    gate("rfc9788-header-protection", &[], (5, 0, 0));
}

#[test]
fn covert_content() {
    gate("covert-content-attacks", &[], (1, 0, 0));
}

#[test]
fn post_quantum() {
    gate("pqc-cms", &[], (12, 0, 0));
}
