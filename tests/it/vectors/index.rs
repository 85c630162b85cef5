//! A folder of vectors: its index, its keys, its trust anchors.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;

use sealpost::crypto::key::PrivateKey;
use sealpost::keys::{self, Identity};
use sealpost::limits::Limits;
use sealpost::pki::{self, Certificate, Revocation};
use sealpost::secret::Secret;
use sealpost::smime::Trust;
use sealpost::time::Timestamp;

use super::tables::Table;
use crate::support;

/// A folder as it is on disk.
pub(super) struct Folder {
    pub(super) path: PathBuf,
    pub(super) entries: Vec<Value>,
    pub(super) identities: Vec<Identity>,
    pub(super) known: Vec<Certificate>,
    pub(super) trust: Trust,
}

impl Folder {
    /// Reads the index and what it needs; `None` where the vectors are not at hand.
    pub(super) fn load(table: &Table) -> Option<Self> {
        let path = support::vectors(table.name)?;
        let index: Value = serde_json::from_slice(&fs::read(path.join("index.json")).expect("an index")).expect("JSON");
        let stated = index["trust_anchor"].as_str().into_iter();
        let anchors = stated.chain(table.anchors.iter().copied()).flat_map(|file| certificates(&path.join(file)));
        let at = index["validate_at"].as_i64().unwrap_or(table.at);
        let trust = Trust { revocation: Revocation::Off, ..Trust::new(anchors.collect(), Timestamp::from_unix(at)) };
        let both = |files: &&[&str]| files.iter().flat_map(|file| fs::read(path.join(file)).expect("the key is there")).collect();
        let read = |bytes: Vec<u8>| keys::load::identity(&bytes, None, &Limits::default()).expect("an identity");
        let more = table.identities.iter().map(both).map(read);
        let known = table.known.iter().flat_map(|file| certificates(&path.join(file)));
        Some(Self {
            identities: identities(&path, &index).into_iter().chain(more).collect(),
            known: known.collect(),
            trust,
            entries: index["entries"].as_array().expect("entries").clone(),
            path,
        })
    }

    pub(super) fn read(&self, file: &str) -> Vec<u8> {
        fs::read(self.path.join(file)).unwrap_or_else(|error| panic!("{file}: {error}"))
    }

    /// The keys that an entry names for its layers, where they stand alone in a file.
    pub(super) fn named_keys(&self, entry: &Value) -> Vec<PrivateKey> {
        let layers = entry["layers"].as_array().into_iter().flatten();
        let files = layers.flat_map(|layer| [&layer["key"], &layer["bc_key"]]).filter_map(Value::as_str);
        let bytes = files.filter_map(|file| fs::read(self.path.join(file)).ok());
        bytes.filter_map(|bytes| PrivateKey::from_any(&bytes, None, &Limits::default()).ok()).collect()
    }
}

fn certificates(file: &Path) -> Vec<Certificate> {
    pki::load::certificates(&fs::read(file).expect("the certificate is there")).expect("a certificate")
}

/// The identities that the index names; those of RFC 9216 stand in files of their own.
fn identities(path: &Path, index: &Value) -> Vec<Identity> {
    if let Some(other) = index["keys_in"].as_str() {
        return rfc9216(&path.join("..").join(other));
    }
    let read = |key: &Value| {
        let bytes = fs::read(path.join(key["file"].as_str().expect("a file"))).expect("the key is there");
        let password = key["password"].as_str().map(|password| Secret::new(password.as_bytes().to_vec()));
        keys::load::identity(&bytes, password.as_ref(), &Limits::default()).expect("an identity")
    };
    index["keys"].as_array().into_iter().flatten().map(read).collect()
}

fn rfc9216(path: &Path) -> Vec<Identity> {
    let read = |file: String| fs::read(path.join(file)).expect("the file is there");
    let mut found = Vec::new();
    for who in ["alice", "bob", "carlos", "dana"] {
        for (certificate, key) in [("encryption-end-entity", "decryption"), ("signature-verification-end-entity", "signing")] {
            let certificate = read(format!("{who}-{certificate}-certificate.crt.pem"));
            let key = read(format!("{who}-{key}-private-key-material.key.pem"));
            let both = [certificate, b"\n".to_vec(), key].concat();
            found.push(keys::load::identity(&both, None, &Limits::default()).expect("an identity"));
        }
    }
    found
}
