//! Files that are no messages: certificates, lists, keys, and what a suite keeps beside its messages.

use std::collections::BTreeMap;
use std::path::Path;

use serde_json::Value;

use sealpost::asn1::pem;
use sealpost::crypto::key::{PrivateKey, PublicKey};
use sealpost::keys::pkcs12;
use sealpost::limits::Limits;
use sealpost::pki::{self, Certificate, Crl};
use sealpost::secret::Secret;
use sealpost::smime::{Severity, inspect};

use super::matches;

/// A folder with such files.
pub(super) struct Files {
    pub(super) folder: &'static str,
    /// How many there are, and how many are read.
    count: (usize, usize),
    /// Those that are not: which, words of the error, and by which rule.
    unread: &'static [(&'static str, &'static str, &'static str)],
    /// Those that are read though OpenSSL does not, and why that harms nobody.
    wider: &'static [(&'static str, &'static str)],
}

/// What an index calls such an entry.
pub(super) const ACTIONS: [&str; 6] = ["parse", "support", "intermediate", "lint", "load private key", "path-validate"];

/// Reads every such file of a folder; what comes out otherwise than the table says goes to `wrong`.
pub(super) fn judge(files: &Files, path: &Path, index: &Value, wrong: &mut Vec<String>) {
    let passwords = passwords(index);
    let (mut all, mut good, mut used) = (0, 0, Vec::new());
    for entry in index["entries"].as_array().expect("entries") {
        if !entry["action"].as_str().is_some_and(|action| ACTIONS.contains(&action)) {
            continue;
        }
        all += 1;
        let file = entry["file"].as_str().expect("a file");
        let bytes = std::fs::read(path.join(file)).expect("the file is there");
        let found = read(&bytes, passwords.get(file).map(String::as_str));
        let excused = files.unread.iter().find(|(pattern, ..)| matches(pattern, file));
        let wider = files.wider.iter().find(|(wider, _)| *wider == file);
        used.extend(excused.map(|(pattern, ..)| *pattern).into_iter().chain(wider.map(|(file, _)| *file)));
        match (&found, excused) {
            (Ok(()), None) => good += 1,
            (Err(error), Some((_, words, _))) if error.contains(words) => {}
            _ => wrong.push(format!("{}/{file}: {found:?}", files.folder)),
        }
        if wider.is_some() != (found.is_ok() && is_refused(entry)) {
            wrong.push(format!("{}/{file}: {found:?}, and OpenSSL says {}", files.folder, entry["openssl_parses"]));
        }
    }
    eprintln!("{}: {good} of {all} files read", files.folder);
    if (all, good) != files.count {
        wrong.push(format!("{}: {good} of {all} files, and the table says {:?}", files.folder, files.count));
    }
    let patterns = files.unread.iter().map(|(pattern, ..)| *pattern).chain(files.wider.iter().map(|(file, _)| *file));
    wrong.extend(patterns.filter(|p| !used.contains(p)).map(|pattern| format!("{}/{pattern}: no such file", files.folder)));
}

/// Whether OpenSSL reads it as none of what it may be. It was not asked for keys.
fn is_refused(entry: &Value) -> bool {
    let parses = &entry["openssl_parses"];
    let is_of_kind = matches!(entry["kind"].as_str(), Some("cert" | "crl"));
    is_of_kind && parses.is_object() && ["cms", "x509", "crl"].iter().all(|what| parses[what] == false)
}

fn passwords(index: &Value) -> BTreeMap<String, String> {
    let keys = index["keys"].as_array().into_iter().flatten();
    let pair = |key: &Value| Some((key["file"].as_str()?.to_owned(), key["password"].as_str()?.to_owned()));
    keys.filter_map(pair).collect()
}

/// Reads a file as what it is, every block of it.
fn read(bytes: &[u8], password: Option<&str>) -> Result<(), String> {
    if !pem::looks_like(bytes) {
        return der(bytes, password);
    }
    let blocks = pem::parse_all(bytes).map_err(|error| error.to_string())?;
    blocks.iter().try_for_each(|block| pem_block(block, bytes))
}

fn pem_block(block: &pem::Pem, file: &[u8]) -> Result<(), String> {
    match block.label.as_str() {
        "CERTIFICATE" | "X509 CERTIFICATE" | "TRUSTED CERTIFICATE" => said(pki::load::certificates(file)),
        "X509 CRL" => said(Crl::from_der(&block.der)),
        "PUBLIC KEY" => said(PublicKey::from_spki(&block.der)),
        "PKCS7" | "CMS" => structure(&block.der),
        label if label.ends_with("PRIVATE KEY") => {
            let alone = pem::encode(label, &block.der);
            said(PrivateKey::from_any(alone.as_bytes(), None, &Limits::default()))
        }
        label => Err(format!("a PEM block {label:?}")),
    }
}

fn der(bytes: &[u8], password: Option<&str>) -> Result<(), String> {
    let limits = Limits::default();
    let secret = password.map(|password| Secret::new(password.as_bytes().to_vec()));
    let tries = [
        said(Certificate::from_der(bytes)),
        said(Crl::from_der(bytes)),
        said(pkcs12::read(bytes, secret.as_ref(), &limits)),
        structure(bytes),
        said(PrivateKey::from_any(bytes, secret.as_ref(), &limits)),
    ];
    let errors: Vec<String> = tries.iter().filter_map(|found| found.as_ref().err().cloned()).collect();
    if errors.len() < tries.len() { Ok(()) } else { Err(errors.join("; ")) }
}

/// A cryptographic message, as far as it can be looked into without a key.
fn structure(bytes: &[u8]) -> Result<(), String> {
    let found = inspect(bytes, &Limits::default());
    match found.findings.iter().find(|finding| finding.severity == Severity::Error) {
        Some(error) => Err(error.to_string()),
        None if found.is_message => Err("text".to_owned()),
        None => Ok(()),
    }
}

fn said<T>(found: Result<T, impl ToString>) -> Result<(), String> {
    found.map(|_| ()).map_err(|error| error.to_string())
}

const DSA: &str = "RFC 8551 1.7: DSA is historic; signatures with it are checked, and for that no private key is of use";
const DH: &str = "RFC 8551 2.3 asks for Diffie-Hellman over elliptic curves alone";
const INCONSISTENT: &str =
    "RFC 9881 and RFC 9935, consistency of private keys: seed, expanded key, public key and its hash MUST belong together";
const OTHER_TYPES: &str = "RFC 8551 2.4: S/MIME does not use this content type";
const HALF: &str = "text from which the messages beside it were put together";
const TEXT: &str = "a text beside the data";
const TWO_ALGORITHMS: &str = "RFC 5280 4.1.1.2 (5.1.1.2 for lists): both algorithm identifiers MUST be the same";
const TWICE: &str = "RFC 5280 4.2: a certificate MUST NOT have an extension twice (5.2, 5.3 for lists)";
const BAD_TIME: &str = "RFC 5280 4.1.2.5: no such time";

pub(super) const FILES: &[Files] = &[
    Files {
        folder: "openssl-cms",
        count: (42, 24),
        unread: &[
            ("80-test_cms_data/dh-key.pem", "unsupported private key", DH),
            (
                "80-test_cms_data/pkcs7-md4-encrypted.pem",
                "unsupported: content type 1.2.840.113549.1.7.4",
                "RFC 5652 has no signedAndEnvelopedData",
            ),
            ("80-test_cmsapi_data/encryptedData.der", "unsupported: content type 1.2.840.113549.1.7.6", OTHER_TYPES),
            ("d2i-tests/*", "", "single values of ASN.1, most of them broken: none is a file of any kind"),
            ("smime-certs/smdh.pem", "unsupported private key", DH),
            ("smime-certs/smdsap.pem", "DSA PARAMETERS", DSA),
            ("smime-certs/smdsa*", "unsupported private key – dsa", DSA),
            ("smime-certs/smec2.pem", "unsupported curve – 1.3.132.0.16", "RFC 8551 2.2 asks for no curve over GF(2^m)"),
        ],
        wider: &[],
    },
    Files { folder: "outlook-thunderbird-samples", count: (6, 5), unread: &[("certs/passwd.txt", "text", TEXT)], wider: &[] },
    Files {
        folder: "mimekit-smime",
        count: (35, 16),
        unread: &[
            ("*.cfg", "", TEXT),
            ("octet-stream-with-mixed-line-endings.dat", "", TEXT),
            ("smdh.pem", "unsupported private key", DH),
            ("smdsap.pem", "DSA PARAMETERS", DSA),
            ("smdsa*", "unsupported private key – dsa", DSA),
            ("smec2.pem", "unsupported curve – 1.3.132.0.16", "RFC 8551 2.2 asks for no curve over GF(2^m)"),
        ],
        wider: &[],
    },
    Files {
        folder: "rfc4134-examples",
        count: (26, 17),
        unread: &[
            ("3.*", "unsupported: content type 1.2.840.113549.1.7.1", "RFC 5652 4: data alone protects nothing"),
            ("6.0.bin", "unsupported: content type 1.2.840.113549.1.7.5", OTHER_TYPES),
            ("7.*", "unsupported: content type 1.2.840.113549.1.7.6", OTHER_TYPES),
            ("*PrivDSSSign.pri", "unsupported private key – dsa", DSA),
            ("ExContent.bin", "", TEXT),
        ],
        wider: &[],
    },
    Files { folder: "rfc9216-keys", count: (22, 22), unread: &[], wider: &[] },
    Files {
        folder: "covert-content-attacks",
        count: (7, 3),
        unread: &[
            ("keys/README.md", "text", TEXT),
            ("keys/manager_at_bigcorporation-*.asc", "PGP", "OpenPGP"),
            ("keys/manager_at_bigcorporation.key", "the private key is locked", "the index states no passphrase for it"),
        ],
        wider: &[],
    },
    Files {
        folder: "thunderbird-smime",
        count: (31, 17),
        unread: &[
            ("smime/alice.dsig.*.multipart", "text", HALF),
            ("smime/alice.dsig.*.multipart.mismatch-econtent", "text", HALF),
            ("smime/alice.mime", "text", HALF),
            ("smime/alice.sig.*.opaque", "text", HALF),
            ("smime/alice.textplain", "text", HALF),
        ],
        wider: &[],
    },
    Files {
        folder: "pqc-cms",
        count: (59, 41),
        unread: &[
            ("lamps/dilithium-certificates/bad-*", "parts do not belong together", INCONSISTENT),
            ("lamps/kyber-certificates/bad-*", "parts do not belong together", INCONSISTENT),
            ("hackathon/ossl35/expected_plaintext.txt", "text", TEXT),
            ("lamps/cms-kyber/*.txt", "", TEXT),
            ("lamps/cms-kyber/ML-KEM-512.keyid", "", "bare bytes"),
            ("lamps/dilithium-certificates/README", "text", TEXT),
        ],
        wider: &[],
    },
    Files {
        folder: "gnutls-horde",
        count: (85, 47),
        unread: &[
            ("gnutls-certs/bad-key.pem", "an EC key that cannot be read", "SEC 1 C.4: the key is not of its curve"),
            ("gnutls-certs/cert-invalid-utf8.der", "a time that cannot be read", BAD_TIME),
            ("gnutls-certs/invalid-date-*", "a time that cannot be read", BAD_TIME),
            ("gnutls-certs/csr-invalid.der", "", "the suite has it as a request that is broken"),
            ("gnutls-certs/template-long-dns-crq.pem", "NEW CERTIFICATE REQUEST", "a request, which the authority reads"),
            ("gnutls-certs/dup-exts.pem", "an extension that stands twice", TWICE),
            ("gnutls-certs/invalid-sig2.pem", "two signature algorithms differ", TWO_ALGORITHMS),
            ("gnutls-certs/invalid-sig3.pem", "two signature algorithms differ", TWO_ALGORITHMS),
            ("gnutls-certs/invalid-sig4.pem", "two signature algorithms differ", TWO_ALGORITHMS),
            ("gnutls-certs/invalid-sig5.pem", "two signature algorithms differ", TWO_ALGORITHMS),
            ("gnutls-certs/key-mldsa-inconsistent*", "parts do not belong together", INCONSISTENT),
            ("gnutls-certs/key-invalid*", "", "the suite has it as a key that is broken"),
            ("gnutls-certs/pkcs8-invalid*", "", "the suite has it as a key that is broken"),
            ("gnutls-certs/provable-dsa*", "unsupported private key – dsa", DSA),
            ("gnutls/pkcs7-detached.txt", "text", TEXT),
        ],
        wider: &[],
    },
    Files {
        folder: "pyca-pkcs7-pkcs12",
        count: (133, 125),
        unread: &[
            ("x509-custom/crl_dup_entry_ext.pem", "an extension that stands twice", TWICE),
            ("x509-custom/two_basic_constraints.pem", "an extension that stands twice", TWICE),
            ("x509-custom/crl_inner_outer_mismatch.der", "two signature algorithms differ", TWO_ALGORITHMS),
            ("x509-custom/mismatch_inner_outer_sig_algorithm.der", "two signature algorithms differ", TWO_ALGORITHMS),
            ("x509-custom/rsa_pss_cert_*", "two signature algorithms differ", TWO_ALGORITHMS),
            ("x509-custom/crl_invalid_time.der", "", BAD_TIME),
        ],
        wider: &[
            (
                "x509-custom/invalid_utf8_common_name.pem",
                "names keep their bytes: compared as such, shown with replacements, found in no address",
            ),
            ("x509-custom/name_attribute_unsupported_tag.pem", "names keep their bytes, whatever the type of a value"),
            (
                "x509-custom/long-form-name-attribute.pem",
                "a length in more bytes than it needs is BER; the signature is over the bytes as received",
            ),
        ],
    },
    Files { folder: "smime-certificate-lints", count: (164, 164), unread: &[], wider: &[] },
];
