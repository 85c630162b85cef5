//! Messages that others made, with the outcome that their own suites state: how many reach it.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use serde_json::Value;

use sealpost::crypto::key::PrivateKey;
use sealpost::crypto::random::OsRandom;
use sealpost::keys::{self, Identity};
use sealpost::limits::Limits;
use sealpost::pki::{self, TrustAnchors};
use sealpost::secret::Secret;
use sealpost::smime::{Accept, Layer, Open, Opened, SignatureStatus, Trust};
use sealpost::time::Timestamp;

use crate::support;

/// Folder, and how many of its messages must reach the stated outcome; the rest is listed when the test runs.
const FOLDERS: &[(&str, usize)] = &[
    ("outlook-thunderbird-samples", 9),
    ("thunderbird-smime", 78),
    ("rfc9788-header-protection", 5),
    ("covert-content-attacks", 8),
    ("mimekit-smime", 1),
    ("rfc4134-examples", 12),
    ("pyca-pkcs7-pkcs12", 5),
    ("gnutls-horde", 9),
    ("openssl-cms", 10),
    ("pkits", 224),
];

#[test]
fn messages_of_others_reach_their_stated_outcome() {
    let mut short = Vec::new();
    for (folder, least) in FOLDERS {
        let Some(path) = support::vectors(folder) else { continue };
        let (good, all, failed) = rate(&path);
        eprintln!("{folder}: {good} of {all}");
        failed.iter().for_each(|(file, why)| eprintln!("  {file}: {why}"));
        if good < *least {
            short.push(format!("{folder}: {good} of {all}, at least {least} before"));
        }
    }
    assert!(short.is_empty(), "{short:?}");
}

fn rate(folder: &Path) -> (usize, usize, BTreeMap<String, String>) {
    let index: Value = serde_json::from_slice(&fs::read(folder.join("index.json")).expect("an index")).expect("JSON");
    let limits = Limits::default();
    let key_folder = index["keys_in"].as_str().map_or_else(|| folder.to_owned(), |other| folder.join("..").join(other));
    let identities = identities(&key_folder, &index);
    let anchors: TrustAnchors = index["trust_anchor"]
        .as_str()
        .and_then(|file| fs::read(folder.join(file)).ok())
        .and_then(|bytes| pki::load::certificates(&bytes).ok())
        .unwrap_or_default()
        .into_iter()
        .collect();
    let at = Timestamp::from_unix(index["validate_at"].as_i64().unwrap_or(1_750_000_000));
    let trust = Trust { revocation: pki::Revocation::Off, ..Trust::new(anchors, at) };
    let (mut good, mut all, mut failed) = (0, 0, BTreeMap::new());
    for entry in index["entries"].as_array().expect("entries") {
        let action = entry["action"].as_str().unwrap_or_default();
        let stated = stated(entry);
        if !matches!(action, "open" | "verify" | "decrypt") || entry["peer_agreement"] != "agree" || stated.is_empty() {
            continue;
        }
        let file = entry["file"].as_str().expect("a file");
        let bytes = fs::read(folder.join(file)).expect("the message is there");
        let accept = Accept::from_codes(Accept::CODES).expect("known codes");
        let named = named_keys(folder, entry);
        let mut open = Open::new(&trust).limits(&limits).accept(accept);
        for key in &named {
            open = open.key(key);
        }
        for identity in &identities {
            open = open.identity(identity);
        }
        let opened = match entry["content_file"].as_str() {
            Some(content) => open.verify_detached(&fs::read(folder.join(content)).expect("the content is there"), &bytes),
            None => open.run(&bytes, &mut OsRandom),
        };
        all += 1;
        match compare(&stated, &opened, entry) {
            Ok(()) => good += 1,
            Err(why) => {
                failed.insert(file.to_owned(), why);
            }
        }
    }
    (good, all, failed)
}

/// For each layer, outermost first: whether the arithmetic fits. Where the root is no S/MIME, the first nested part counts.
fn stated(entry: &Value) -> Vec<bool> {
    let layers = |value: &Value| value["layers"].as_array().cloned().unwrap_or_default();
    let mut found = layers(entry);
    if found.is_empty() {
        found = entry["nested"].as_array().and_then(|nested| nested.first()).map(layers).unwrap_or_default();
    }
    if found.is_empty()
        && let Some(ok) = entry["crypto_ok"].as_bool()
    {
        return vec![ok];
    }
    found.iter().map(|layer| layer["crypto_ok"].as_bool().or_else(|| layer["decrypt_ok"].as_bool()).unwrap_or(false)).collect()
}

fn compare(stated: &[bool], opened: &Opened, entry: &Value) -> Result<(), String> {
    let verdict = opened.verdict();
    let ours: Vec<bool> = verdict
        .layers
        .iter()
        .map(|layer| match layer {
            Layer::Signed(signed) => {
                !signed.signers.is_empty() && signed.signers.iter().all(|signer| signer.signature == SignatureStatus::Valid)
            }
            Layer::Encrypted(encrypted) => encrypted.recipients.iter().any(|recipient| recipient.used),
            Layer::Compressed => true,
        })
        .collect();
    let findings: Vec<String> = verdict.findings.iter().map(ToString::to_string).collect();
    if stated.iter().all(|ok| *ok) {
        if ours.len() < stated.len() || ours.iter().any(|ok| !ok) {
            return Err(format!("stated {stated:?}, found {ours:?} – {findings:?}"));
        }
        let leaf = entry["leaf"]["sha256"].as_str();
        if let (Some(leaf), Some(released)) = (leaf, opened.released()) {
            let digest = sealpost::crypto::digest::of(sealpost::crypto::algorithm::DigestAlgorithm::Sha256, released.content());
            let hex: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
            let is_nested = entry["nested"].is_array();
            if hex != leaf && !is_nested {
                return Err(format!("other content – {findings:?}"));
            }
        }
        return Ok(());
    }
    // a layer that must not fit: nothing may be released
    if opened.released().is_none() { Ok(()) } else { Err("released what must not fit".to_owned()) }
}

/// The keys that an entry names for its layers.
fn named_keys(folder: &Path, entry: &Value) -> Vec<PrivateKey> {
    let layers = entry["layers"].as_array().into_iter().flatten();
    let files = layers.filter_map(|layer| layer["key"].as_str()).filter_map(|file| fs::read(folder.join(file)).ok());
    files.filter_map(|bytes| PrivateKey::from_any(&bytes, None, &Limits::default()).ok()).collect()
}

fn identities(folder: &Path, index: &Value) -> Vec<Identity> {
    let limits = Limits::default();
    let mut found = Vec::new();
    for key in index["keys"].as_array().cloned().unwrap_or_default() {
        let Some(file) = key["file"].as_str() else { continue };
        let password = key["password"].as_str().map(|password| Secret::new(password.as_bytes().to_vec()));
        let bytes = fs::read(folder.join(file)).expect("the key is there");
        match keys::load::identity(&bytes, password.as_ref(), &limits) {
            Ok(identity) => found.push(identity),
            Err(error) => eprintln!("  key {file}: {error}"),
        }
    }
    if let Some(keys_in) = index["keys_in"].as_str().filter(|name| name.contains("9216")) {
        found.extend(rfc9216(folder, keys_in));
    }
    found
}

/// The keys of RFC 9216 stand in files of their own.
fn rfc9216(folder: &Path, _name: &str) -> Vec<Identity> {
    let read = |file: String| fs::read(folder.join(file)).ok();
    let mut found = Vec::new();
    for who in ["alice", "bob", "carlos", "dana"] {
        for (certificate, key) in [("encryption-end-entity", "decryption"), ("signature-verification-end-entity", "signing")] {
            let bytes = read(format!("{who}-{certificate}-certificate.crt.pem"))
                .zip(read(format!("{who}-{key}-private-key-material.key.pem")));
            let Some((certificate, key)) = bytes else { continue };
            let both = [certificate, b"\n".to_vec(), key].concat();
            found.extend(keys::load::identity(&both, None, &Limits::default()));
        }
    }
    found
}

#[test]
fn every_message_of_others_is_read_without_a_panic() {
    let Some(base) = support::vectors("") else { return };
    let mut folders = vec![base];
    let (mut count, trust) = (0, Trust::new(TrustAnchors::new(), Timestamp::from_unix(1_750_000_000)));
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).expect("readable") {
            let path = entry.expect("an entry").path();
            let name = path.to_string_lossy().into_owned();
            if path.is_dir() {
                folders.push(path);
            } else if name.ends_with(".eml") || name.ends_with(".txt") || name.ends_with(".p7m") || name.ends_with(".der") {
                let bytes = fs::read(&path).expect("readable");
                let _ = sealpost::smime::inspect(&bytes, &Limits::default());
                let _ = Open::new(&trust).run(&bytes, &mut OsRandom);
                count += 1;
            }
        }
    }
    eprintln!("{count} files read");
    assert!(count > 500, "only {count} files found");
}
