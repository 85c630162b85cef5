//! Readers of ASN.1 against what fuzzers found: none falls over it, and what OpenSSL reads or refuses is so here or has its reason.

use std::collections::BTreeMap;
use std::fs;

use serde_json::Value;

use sealpost::asn1::reader::Reader;
use sealpost::asn1::{Cursor, pem};
use sealpost::cms::{self, Content};
use sealpost::crypto::key::{PrivateKey, PublicKey};
use sealpost::keys;
use sealpost::limits::Limits;
use sealpost::pki::{self, Certificate, Crl, Judgement, Purpose, Revocation, TrustAnchors};
use sealpost::smime;
use sealpost::time::Timestamp;

use crate::support;

/// Why something is refused here that OpenSSL reads: what the error begins with, and the rule.
const STRICTER: &[(&str, &str)] = &[
    ("bytes follow the ASN.1 value", "OpenSSL was asked for the first value of the file only"),
    ("a certificate whose two signature algorithms differ", "RFC 5280 4.1.1.2; OpenSSL finds it when it verifies"),
    ("an extension that stands twice", "RFC 5280 4.2; OpenSSL finds it when it verifies"),
    ("a certificate signature that is not whole bytes", "no signature algorithm gives one"),
    ("malformed ASN.1: a time that cannot be read", "OpenSSL reads times when it compares them"),
    ("malformed ASN.1: an INTEGER that is negative", "no version is negative"),
    ("malformed ASN.1: an object identifier that cannot be read", "an arc that has no end or a needless byte"),
    ("expected another constructed value, found SET", "a SET where SignedData has a SEQUENCE"),
    ("limit reached: signers", "a bound of ours"),
    ("unsupported: version", "a version that no standard defines may mean other things by its fields (RFC 5652 1.3)"),
    ("no SignedData", "another structure: reading it needs a key, or it is none of mail"),
];

#[test]
fn no_reader_falls_over_what_fuzzers_found() {
    let mut count = 0;
    for_each(|_, bytes| {
        let _ = (certificate(bytes), signed_data(bytes));
        others(bytes);
        count += 1;
    });
    eprintln!("{count} files read");
}

#[test]
fn certificates_are_read_where_openssl_reads_them_or_refused_for_a_reason() {
    // an attribute whose value is an ENUMERATED: kept as bytes here, never taken for text
    let wider = ["x509-boringssl/752d1dad45e5768274bc56f2"];
    let agreed = compare("openssl_x509_parses", &wider, certificate);
    assert!(agreed.is_none_or(|agreed| agreed >= 183), "{agreed:?}");
}

#[test]
fn signed_data_is_read_where_openssl_reads_it_or_refused_for_a_reason() {
    let agreed = compare("openssl_cms_parses", &[], signed_data);
    assert!(agreed.is_none_or(|agreed| agreed >= 386), "{agreed:?}");
}

/// Compares with what the index states under `key`; gives how many agree.
fn compare(key: &str, wider: &[&str], read: impl Fn(&[u8]) -> Result<(), String>) -> Option<usize> {
    let (mut agreed, mut stricter, mut wrong) = (0, BTreeMap::<&str, usize>::new(), Vec::new());
    for_each(|entry, bytes| {
        let Some(stated) = entry[key].as_bool() else { return };
        let file = entry["file"].as_str().expect("a file");
        match (stated, read(bytes)) {
            (true, Ok(())) | (false, Err(_)) => agreed += 1,
            (true, Err(error)) => match STRICTER.iter().find(|(start, _)| error.starts_with(start)) {
                Some((_, why)) => *stricter.entry(why).or_default() += 1,
                None => wrong.push(format!("{file}: {error}")),
            },
            (false, Ok(())) if wider.contains(&file) => {}
            (false, Ok(())) => wrong.push(format!("{file}: read, and OpenSSL refuses it")),
        }
    });
    eprintln!("{key}: {agreed} as stated; refused here only: {stricter:#?}");
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    (agreed > 0).then_some(agreed)
}

fn for_each(mut judge: impl FnMut(&Value, &[u8])) {
    let Some(folder) = support::vectors("hostile-der") else { return };
    let index: Value = serde_json::from_slice(&fs::read(folder.join("index.json")).expect("an index")).expect("JSON");
    for entry in index["entries"].as_array().expect("entries") {
        judge(entry, &fs::read(folder.join(entry["file"].as_str().expect("a file"))).expect("the file is there"));
    }
}

/// Reads a certificate and everything in it.
fn certificate(bytes: &[u8]) -> Result<(), String> {
    let certificate = Certificate::from_der(bytes).map_err(|error| error.to_string())?;
    let _ = (certificate.describe(), certificate.key_usage(), certificate.basic_constraints(), certificate.dns_names());
    let _ = (certificate.subject_key_id(), certificate.authority_key_id(), certificate.addresses());
    let _ = pki::judge(&Judgement {
        leaf: &certificate,
        pool: &[],
        anchors: &TrustAnchors::from_iter([certificate.clone()]),
        crls: &[],
        ocsp: &[],
        purpose: Purpose::MailSign,
        at: Timestamp::from_unix(1_750_000_000),
        revocation: Revocation::Soft,
        limits: &Limits::default(),
    });
    Ok(())
}

/// Reads a SignedData to its end, and its certificates; other structures are not compared, since reading them needs a key.
fn signed_data(bytes: &[u8]) -> Result<(), String> {
    match cms::open(bytes, &Limits::default()).map_err(|error| error.to_string())? {
        Content::Signed(reader) => reader.read(None, &mut Vec::new()).map(|_| ()).map_err(|error| error.to_string()),
        _ => Err("no SignedData".to_owned()),
    }
}

fn others(bytes: &[u8]) {
    let limits = Limits::default();
    let _ = Reader::new(bytes, &limits).raw();
    walk(Cursor::new(bytes));
    let _ = pem::parse_all(bytes);
    let _ = (pki::load::certificates(bytes), pki::load::crls(bytes), Crl::from_der(bytes));
    let _ = pki::ocsp::Response::from_der(bytes, &Limits::default());
    let _ = (PublicKey::from_spki(bytes), PrivateKey::from_pkcs8(bytes), PrivateKey::from_any(bytes, None, &limits));
    let _ = keys::load::identity(bytes, None, &limits);
    let _ = smime::inspect(bytes, &limits);
}

/// Reads every value as every type.
fn walk(mut cursor: Cursor<'_>) {
    while let Ok(element) = cursor.any() {
        let _ = (element.bytes(), element.bits(), element.text());
        let value = || Cursor::new(element.raw);
        let _ = (value().time(), value().oid(), value().small_unsigned(), value().boolean(), value().null());
        if element.tag.constructed
            && let Ok(inner) = element.cursor()
        {
            walk(inner);
        }
    }
}
