//! Certificates and revocation lists of BoringSSL's tests, which are Chromium's.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;

use serde_json::Value;

use sealpost::asn1::pem::{self, Pem};
use sealpost::asn1::{Cursor, Tag, encode};
use sealpost::limits::Limits;
use sealpost::pki::{self, Certificate, Crl, Judgement, Purpose, Revocation, TrustAnchors};
use sealpost::time::Timestamp;

use crate::support;

/// Files that come out otherwise here on purpose, and how many do as stated.
const OTHERWISE: &[(&str, &str)] = &[
    ("crl/bad_crldp_has_crlissuer.pem", FULL),
    ("crl/bad_fake_critical_crlentryextension.pem", SAFE),
    ("crl/bad_idp_indirectcrl.pem", INDIRECT),
    ("crl/bad_thisupdate_too_old.pem", AGE),
    ("crl/good_key_rollover.pem", KEYS),
    ("crl/invalid_idp_empty_sequence.pem", ISSUER),
    ("crl/invalid_revoked_empty_sequence.pem", ISSUER),
    ("crl/invalid_v1_explicit.pem", ISSUER),
    ("crl/invalid_v1_with_crlentryextension.pem", SAFE),
    ("crl/invalid_v1_with_extension.pem", ISSUER),
    ("crl/invalid_v3.pem", ISSUER),
    ("crl/revoked_key_rollover.pem", KEYS),
    ("parse/authority_key_identifier_not_sequence.pem", HINT),
    ("parse/bad_key_usage.pem", NO_USE),
    ("parse/bad_validity.pem", TIMES),
    ("parse/basic_constraints_pathlen_256.pem", NUMBER),
    ("parse/cert_skeleton.pem", OUTLINE),
    ("parse/extension_critical_0.pem", BER),
    ("parse/extension_critical_3.pem", BER),
    ("parse/extensions_empty_sequence.pem", ISSUER),
    ("parse/failed_signature_algorithm.pem", OUTLINE),
    ("parse/issuer_bad_printable_string.pem", NAMES),
    ("parse/name_constraints_bad_ip.pem", CONSTRAINTS),
    ("parse/serial_not_minimal.pem", BER),
    ("parse/signature_algorithm_null.pem", OUTLINE),
    ("parse/subject_blank_subjectaltname_not_critical.pem", ISSUER),
    ("parse/subject_key_identifier_not_octet_string.pem", HINT),
    ("parse/subject_not_ascii.pem", NAMES),
    ("parse/subject_not_printable_string.pem", NAMES),
    ("parse/subjectaltname_bad_ip.pem", CONSTRAINTS),
    ("parse/subjectaltname_dns_not_ascii.pem", NAMES),
    ("parse/subjectaltname_general_names_empty_sequence.pem", ISSUER),
    ("parse/subjectaltname_trailing_data.pem", TRAILING),
    ("parse/tbs_v1.pem", OUTLINE),
    ("parse/tbs_v2_issuer_and_subject_unique_id.pem", OUTLINE),
    ("parse/tbs_v2_issuer_unique_id.pem", OUTLINE),
    ("parse/tbs_v2_no_optionals.pem", OUTLINE),
    ("parse/tbs_v3_all_optionals.pem", OUTLINE),
    ("parse/tbs_v3_extensions.pem", OUTLINE),
    ("parse/tbs_v3_extensions_not_sequence.pem", OUTLINE),
    ("parse/tbs_v3_no_optionals.pem", OUTLINE),
    ("parse/tbs_validity_both_generalized_time.pem", OUTLINE),
    ("parse/tbs_validity_both_utc_time.pem", OUTLINE),
    ("parse/tbs_validity_generalized_time_and_utc_time.pem", OUTLINE),
    ("parse/tbs_validity_relaxed.pem", TIMES),
    ("parse/tbs_validity_utc_time_and_generalized_time.pem", OUTLINE),
    ("parse/v1_explicit_version.pem", BER),
];
const AS_STATED: usize = 109;

const ISSUER: &str = "a rule for issuers, not for validators (RFC 5280 5.1, 5.2, 4.2)";
const FULL: &str = "RFC 5280 6.3.3, last paragraph: a complete list of the issuer counts, whatever place is named";
const SAFE: &str = "what a list of the issuer names is revoked, even where the list says too little to call others good";
const AGE: &str = "RFC 5280 5.1.2.5: a list is current until the next one is due";
const INDIRECT: &str = "RFC 5280 6.3.3 (b): an indirect list tells about the certificates of its own issuer, too";
const KEYS: &str = "the certificate of the other key is not below one that may issue: RFC 5280 6.3.3 (f) wants a path";
const HINT: &str = "RFC 5280 4.2.1.1, 4.2.1.2: it helps to find an issuer, and proves nothing; what cannot be read helps not";
const NO_USE: &str = "RFC 5280 4.2.1.3: no bit is set, and so no use is allowed";
const TIMES: &str = "times without seconds are in old certificates, and are no less clear";
const NUMBER: &str = "RFC 5280 4.2.1.9: INTEGER (0..MAX)";
const OUTLINE: &str = "there is no algorithm in it: what is tried is a parser that does not look inside";
const BER: &str = "clear in BER; the signature is over the bytes as received";
const NAMES: &str = "names keep their bytes: compared as such, shown harmless";
const CONSTRAINTS: &str = "RFC 5280 4.2.1.10: it is looked at when a path is judged, against what the names are";
const TRAILING: &str = "a byte behind the list; the names in it are clear";

#[test]
fn boringssl_files_come_out_as_stated() {
    let Some(folder) = support::vectors("boringssl-pki") else { return };
    let index: Value = serde_json::from_slice(&fs::read(folder.join("index.json")).expect("the files")).expect("JSON");
    let (mut good, mut reasons, mut wrong, mut used) = (0, BTreeMap::<&str, usize>::new(), Vec::new(), BTreeSet::new());
    for entry in index["entries"].as_array().expect("entries") {
        let file = entry["file"].as_str().expect("a file");
        let bytes = fs::read(folder.join(file)).expect("it is there");
        if bytes.is_empty() {
            *reasons.entry("the file holds nothing").or_default() += 1;
            continue;
        }
        let blocks = pem::parse_all(&bytes).expect("PEM");
        let (expected, found) =
            if file.starts_with("crl/") { (status(entry), list(&blocks, entry)) } else { (outcome(entry), certificate(&blocks)) };
        let is_as_stated = found.starts_with(expected);
        match (is_as_stated, OTHERWISE.iter().find(|(other, _)| *other == file)) {
            (true, None) => good += 1,
            (false, Some((_, why))) => {
                used.insert(file);
                *reasons.entry(why).or_default() += 1;
            }
            _ => wrong.push(format!("{file}: {found}, and it shall be {expected}")),
        }
    }
    eprintln!("boringssl-pki: {good} as stated; not, or left out: {reasons:#?}");
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert_eq!((good, used.len()), (AS_STATED, OTHERWISE.len()));
}

/// What an index says of a certificate by a list.
fn status(entry: &Value) -> &'static str {
    match entry["expected"].as_str() {
        Some("good") => "good",
        Some("revoked") => "revoked",
        _ => "unknown",
    }
}

/// What is known of the certificate by the list.
fn list(blocks: &[Pem], entry: &Value) -> String {
    let der = |label: &str| blocks.iter().find(|block| block.label == label).map(|block| block.der.as_slice());
    let certificate = |label: &str| der(label).map(|der| Certificate::from_der(der).expect("a certificate"));
    let crl = match Crl::from_der(der("CRL").expect("a list")) {
        Ok(crl) => crl,
        Err(error) => return format!("unknown: {error}"),
    };
    let authorities: Vec<Certificate> = ["CA CERTIFICATE", "CA CERTIFICATE 2"].into_iter().filter_map(certificate).collect();
    let verdict = pki::judge(&Judgement {
        leaf: &certificate("CERTIFICATE").expect("the certificate"),
        pool: &authorities,
        anchors: &authorities.iter().cloned().collect::<TrustAnchors>(),
        crls: &[crl],
        ocsp: &[],
        purpose: Purpose::Any,
        at: Timestamp::from_unix(entry["validate_at"].as_i64().expect("a moment")),
        revocation: Revocation::Hard,
        limits: &Limits::default(),
    });
    let reasons: Vec<String> = verdict.reasons.iter().map(|reason| reason.text.clone()).collect();
    format!("{}: {reasons:?}", verdict.revocation.name())
}

/// Whether an index says that a certificate is read: warnings do no harm.
fn outcome(entry: &Value) -> &'static str {
    let has_errors = entry["expected_errors"].as_str().is_some_and(|errors| errors.contains("ERROR"));
    if entry["expected"] == "fails" || has_errors { "refused" } else { "read" }
}

/// Whether the certificate is read, and every extension of it that says what it is for.
fn certificate(blocks: &[Pem]) -> String {
    let block = blocks.iter().find(|block| block.label == "CERTIFICATE");
    let whole = block.map_or_else(|| signed(&blocks[0].der), |block| block.der.clone());
    let certificate = match Certificate::from_der(&whole) {
        Ok(certificate) => certificate,
        Err(error) => return format!("refused: {error}"),
    };
    let unread: Vec<String> = certificate.unreadable_extensions().map(|extension| extension.oid.to_string()).collect();
    if unread.is_empty() { "read".to_owned() } else { format!("refused: {unread:?}") }
}

/// The inner part of a certificate with a signature, which need not fit.
fn signed(tbs: &[u8]) -> Vec<u8> {
    let algorithm = Cursor::new(tbs).sequence().and_then(|mut fields| {
        fields.optional(Tag::context_constructed(0))?;
        fields.integer()?;
        Ok(fields.expect(Tag::SEQUENCE)?.raw.to_vec())
    });
    encode::sequence(&[tbs.to_vec(), algorithm.expect("an algorithm"), encode::tlv(Tag::BIT_STRING, &[0, 1])])
}
