//! PKCS#12 files that others made, with the passphrase that they state: how many are read, and how many identities they hold.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use serde_json::Value;

use sealpost::keys::{self, Error, pkcs12};
use sealpost::limits::Limits;

use super::secret;
use crate::support;

/// Folder, files, those of them that are read, identities in these.
const FOLDERS: &[(&str, usize, usize, usize)] = &[
    ("pyca-pkcs7-pkcs12", 31, 31, 18),
    ("thunderbird-smime", 7, 7, 7),
    ("pkits", 8, 6, 6),
    ("mimekit-smime", 12, 10, 10),
    ("rfc9216-keys", 4, 4, 8),
    ("outlook-thunderbird-samples", 2, 2, 2),
    ("covert-content-attacks", 1, 1, 1),
];

/// What is not read, the words of the error, and why not.
const UNREAD: &[(&str, &str, &str)] = &[
    ("pkits/pkcs12/DSACACert.p12", "unsupported private key – dsa", DSA),
    ("pkits/pkcs12/ValidDSASignaturesTest4EE.p12", "unsupported private key – dsa", DSA),
    ("mimekit-smime/dsa/smime.pfx", "unsupported private key – dsa", DSA),
    ("mimekit-smime/ec/smime.pfx", "unsupported curve – explicit parameters", "RFC 5480 2.1.1: specifiedCurve MUST NOT be used"),
];

const DSA: &str = "RFC 8551 1.7: DSA is historic; signatures with it are checked, and for that no private key is of use";

#[test]
fn every_pkcs12_with_a_stated_passphrase_is_read_or_a_table_says_why_not() {
    let mut wrong = Vec::new();
    for (folder, all, stated_read, stated_identities) in FOLDERS {
        let Some(path) = support::vectors(folder) else { continue };
        let (mut read, mut identities, files) = (0, 0, stated(&path));
        for (file, passphrase) in &files {
            let place = format!("{folder}/{file}");
            let bytes = fs::read(path.join(file)).expect("the file is there");
            let unread = UNREAD.iter().find(|(unread, ..)| *unread == place);
            match (pkcs12::read(&bytes, Some(&secret(passphrase)), &Limits::default()), unread) {
                (Ok(_), None) => read += 1,
                (Err(error), Some((_, words, _))) if error.to_string() == *words => continue,
                (found, _) => wrong.push(format!("{place}: {found:?}")),
            }
            // `Identity` pairs a key with its own certificate only
            let found = keys::load::identities(&bytes, Some(&secret(passphrase)), &Limits::default());
            identities += found.as_ref().map_or(0, Vec::len);
        }
        eprintln!("{folder}: {read} of {} read, {identities} identities", files.len());
        if (files.len(), read, identities) != (*all, *stated_read, *stated_identities) {
            wrong.push(format!("{folder}: {read} of {} read, {identities} identities", files.len()));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn a_wrong_passphrase_opens_none_that_is_locked() {
    let (mut refused, mut open) = (0, Vec::new());
    for (folder, ..) in FOLDERS {
        let Some(path) = support::vectors(folder) else { return };
        for (file, passphrase) in stated(&path) {
            let bytes = fs::read(path.join(&file)).expect("the file is there");
            match pkcs12::read(&bytes, Some(&secret("another passphrase")), &Limits::default()) {
                Err(Error::WrongPassphrase) => refused += 1,
                other => open.push(format!("{folder}/{file} ({passphrase:?}): {other:?}")),
            }
            let unasked = pkcs12::read(&bytes, None, &Limits::default());
            let needed = matches!(unasked, Err(Error::PassphraseNeeded));
            assert_eq!(needed, !passphrase.is_empty(), "{folder}/{file}: {unasked:?}");
        }
    }
    eprintln!("{refused} refuse a wrong passphrase");
    assert!(open.is_empty(), "{open:#?}");
    assert!(refused >= 65, "only {refused}");
}

#[test]
fn a_signing_and_an_encryption_key_in_one_file_are_both_found_the_signing_one_first() {
    let Some(path) = support::vectors("rfc9216-keys") else { return };
    for (file, passphrase) in stated(&path) {
        let bytes = fs::read(path.join(&file)).expect("the file is there");
        let found = keys::load::identities(&bytes, Some(&secret(&passphrase)), &Limits::default()).expect("read");
        let signs = |at: usize| {
            let usage = found[at].certificate().key_usage().expect("a key usage");
            usage.allows(sealpost::pki::Usage::DigitalSignature)
        };
        assert_eq!((found.len(), signs(0), signs(1)), (2, true, false), "{file}");
        for (one, other) in [(0, 1), (1, 0)] {
            assert!(!found[one].chain().contains(found[other].certificate()), "{file}: each has its own chain");
            assert_eq!(found[one].addresses(), [format!("{passphrase}@smime.example")]);
        }
    }
}

#[test]
fn the_program_imports_both_keys_of_one_file() {
    let Some(vectors) = support::vectors("rfc9216-keys") else { return };
    let folder = tempfile::tempdir().expect("a folder");
    let (home, passphrase) = (folder.path().join("home"), folder.path().join("passphrase"));
    fs::write(&passphrase, "alice\n").expect("written");
    let sealpost = |verb: &[&str]| {
        let options = ["--batch", "--home", &home.display().to_string(), "--passphrase-file", &passphrase.display().to_string()];
        let (code, out, talk) = support::run(env!("CARGO_BIN_EXE_sealpost"), &[&options, verb].concat(), b"");
        assert_eq!(code, 0, "{talk}");
        String::from_utf8(out).expect("text")
    };
    sealpost(&["id", "import", &vectors.join("pkcs-12-object-for-alice.p12").display().to_string()]);
    let listed = sealpost(&["id", "list"]);
    assert_eq!(listed.matches("alice@smime.example").count(), 2, "{listed}");
}

/// Each PKCS#12 file of a folder with its passphrase, as its index states them: with the entry, with the keys, or one for all.
fn stated(folder: &Path) -> BTreeMap<String, String> {
    let index: Value = serde_json::from_slice(&fs::read(folder.join("index.json")).expect("an index")).expect("JSON");
    let lists = ["entries", "keys"].map(|name| index[name].as_array().cloned().unwrap_or_default());
    let mut found = BTreeMap::new();
    for item in lists.concat() {
        let file = item["file"].as_str().unwrap_or_default();
        if let Some(passphrase) = item["password"].as_str()
            && (file.ends_with(".p12") || file.ends_with(".pfx"))
        {
            found.insert(file.to_owned(), passphrase.to_owned());
        }
    }
    if let Some(passphrase) = index["p12_password"].as_str() {
        for entry in fs::read_dir(folder.join("pkcs12")).expect("a folder") {
            let name = entry.expect("an entry").file_name();
            found.insert(format!("pkcs12/{}", name.to_string_lossy()), passphrase.to_owned());
        }
    }
    found
}
