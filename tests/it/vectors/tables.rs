//! What each folder holds, what of it is tried where, and every message that does not come out as its index states.

use sealpost::smime::Code;

use super::judge::Differs::{self, Chain, Client, Fits, Layers, Release};

/// A folder with messages.
pub(super) struct Table {
    pub(super) name: &'static str,
    /// How many entries are messages, and how many come out as stated in every point.
    pub(super) messages: (usize, usize),
    /// Where peers disagree, and where we differ from the index: what is right, and by which rule.
    pub(super) decided: &'static [Decided],
    /// Messages that must not be good, and why they are not.
    pub(super) refused: &'static [Refused],
    /// Identities that the index does not name: the files of each.
    pub(super) identities: &'static [&'static [&'static str]],
    /// Trust anchors, where the index names none.
    pub(super) anchors: &'static [&'static str],
    /// Signers' certificates that do not travel with the message.
    pub(super) known: &'static [&'static str],
    /// For which moment certificates are judged, where the index does not say.
    pub(super) at: i64,
}

/// What is right where peers disagree, or where the index is silent or otherwise.
pub(super) struct Decided {
    pub(super) file: &'static str,
    /// In what we differ from the index; nothing where we follow it.
    pub(super) differs: &'static [Differs],
    #[expect(dead_code, reason = "it is there to be read")]
    pub(super) why: &'static str,
}

/// A message that is not good: the code of the error, and words of its sentence.
pub(super) struct Refused {
    pub(super) file: &'static str,
    code: Code,
    says: &'static str,
}

impl Refused {
    pub(super) fn is(&self, code: Code, text: &str) -> bool {
        self.code == code && text.contains(self.says)
    }
}

pub(super) const TABLES: &[Table] = &[
    Table {
        name: "outlook-thunderbird-samples",
        messages: (12, 12),
        refused: &[refused("*_plain.eml", Code::NotSigned, NOTHING)],
        ..NONE
    },
    Table {
        name: "thunderbird-smime",
        messages: (83, 70),
        decided: &[
            decided(
                "browser/alice.dsig.SHA256.multipart.in.mixed*",
                &[Layers, Release],
                "RFC 8551 3.1: any MIME entity may be S/MIME; the index looks at the root alone. The part fits, others are told as uncovered",
            ),
            decided("browser/multipart-alternative.eml", &[Layers, Release], "RFC 8551 3.1, as above, with an encrypted part"),
            decided(
                "smime-manual/outer-pgp-sig-*",
                &[Layers],
                "RFC 1847 2.1: the protocol is OpenPGP's; what it covers is a MIME part, and that is S/MIME, which the index does not look at",
            ),
            decided(
                "smime-manual/alice.dsig.SHA256.multipart.env.dsig.eml",
                &[Client],
                "RFC 8551 3.7: each layer is processed for itself; the outer signature is broken, and a good one inside does not mend it",
            ),
            decided("smime-manual/outer-smime-bad-sig-inner-smime-enc-sig.eml", &[Client], "RFC 8551 3.7, as above"),
            decided("smime/alice.*.sig.SHA256.opaque.dave.sig.SHA256.opaque.eml", &[Client], NESTED_SIGNERS),
            decided("smime/alice.*.sig.SHA384.opaque.dave.sig.SHA384.opaque.eml", &[Client], NESTED_SIGNERS),
            decided("smime/alice.*.sig.SHA512.opaque.dave.sig.SHA512.opaque.eml", &[Client], NESTED_SIGNERS),
        ],
        refused: &[
            refused("browser/alice.html.sig.SHA256.opaque.eml", Code::Untrusted, "on the certificate of CN=Alice"),
            refused("browser/nested-sigs.eml", Code::ContentChanged, CHANGED),
            refused("smime-manual/outer-pgp-sig-*", Code::NoKey, "no key here"),
            refused("smime-manual/*", Code::ContentChanged, CHANGED),
            refused("smime/*.multipart.bad.eml", Code::ContentChanged, CHANGED),
            refused("smime/*.multipart.mismatch-econtent.eml", Code::Malformed, "holds content of its own"),
            refused("smime/alice.env.dsig.*", Code::ContentChanged, CHANGED),
        ],
        ..NONE
    },
    Table { name: "rfc9788-header-protection", messages: (5, 5), ..NONE },
    Table {
        name: "covert-content-attacks",
        messages: (16, 16),
        refused: &[
            refused("02-sig/*", Code::NotSigned, NOTHING),
            refused("reevaluation-2020/02-sig/*", Code::NotSigned, NOTHING),
        ],
        ..NONE
    },
    Table {
        name: "mimekit-smime",
        messages: (1, 1),
        anchors: &["StartComCertificationAuthority.crt"],
        refused: &[refused("thunderbird-signed.txt", Code::Expired, "expired on 2017-10-24")],
        ..NONE
    },
    Table {
        name: "rfc4134-examples",
        messages: (14, 13),
        anchors: &["CarlDSSSelf.cer", "CarlRSASelf.cer"],
        decided: &[
            decided(
                "4.10.bin",
                &[],
                "RFC 5652 5.4: the signed attributes are hashed as received, in whatever order; a warning says so",
            ),
            decided(
                "5.2.bin",
                &[Fits, Release],
                "RFC 4134 5.2 states the content; OpenSSL 3 has RC2 in its legacy provider alone",
            ),
        ],
        refused: &[
            refused("4.6.bin", Code::Unsupported, "DSA key with the parameters of its issuer"),
            refused("4.11.bin", Code::NotSigned, NOBODY),
        ],
        ..NONE
    },
    Table {
        name: "pyca-pkcs7-pkcs12",
        messages: (8, 7),
        identities: &[&["x509-custom/ca/rsa_key.pem", "x509-custom/ca/rsa_ca.pem"]],
        decided: &[decided(
            "pkcs7/authenticode.der",
            &[Fits],
            "RFC 2315 9.1, 9.3: content that is no OCTET STRING is hashed without tag and length (RFC 5652 5.2.1); the type is not for mail",
        )],
        refused: &[
            refused("pkcs7/authenticode.der", Code::NotAMessage, "type 1.3.6.1.4.1.311.2.1.4 "),
            refused("pkcs7/amazon-roots.*", Code::NotSigned, NOBODY),
            refused("pkcs7/isrg.pem", Code::NotSigned, NOBODY),
            refused("pkcs7/enveloped.pem", Code::NoKey, "no key here"),
            refused("pkcs7/enveloped-no-content.der", Code::Malformed, "without encrypted content"),
        ],
        ..NONE
    },
    Table {
        name: "gnutls-horde",
        messages: (10, 9),
        decided: &[decided(
            "gnutls/pkcs7-eddsa-sig.p7s",
            &[Fits, Release],
            "RFC 8419 3.2: without signed attributes Ed25519 signs the content itself, which OpenSSL 3 does not do and Bouncy Castle does",
        )],
        refused: &[
            refused("gnutls/rfc4490.p7b", Code::SignerCertificateMissing, "GostR3410-2001"),
            refused("gnutls/single-ca.p7b", Code::Malformed, "is it a detached signature?"),
        ],
        ..NONE
    },
    Table {
        name: "openssl-cms",
        messages: (19, 17),
        identities: &[
            &["80-test_cms_data/ecdh-key.pem", "80-test_cms_data/ecdh-cert.pem"],
            &["certs/ee-key.pem", "certs/ee-cert.pem"],
            &["smime-certs/smrsa3.pem"],
        ],
        anchors: &["certs/pkitsta.pem"],
        at: 1_302_825_600,
        decided: &[
            decided(
                "smime-eml/pkcs7-empty-digest-set.eml",
                &[Fits, Release],
                "RFC 5652 5.1: digestAlgorithms may have any number of elements, \"including zero\"; the signer names his; a warning says so",
            ),
            decided(
                "smime-eml/SignedInvalidMappingFromanyPolicyTest7.eml",
                &[Chain],
                "RFC 5280 6.1.4 (a): anyPolicy must not be mapped; the test wants a refusal, the index's check asked for no policies",
            ),
        ],
        refused: &[
            refused("25-test_pkcs7_data/malformed.pkcs7", Code::Malformed, "found the end"),
            refused("80-test_cms_data/bad_signtime_attr.cms", Code::SignatureInvalid, "unsigned that must be signed"),
            refused("80-test_cms_data/ct_multiple_attr.cms", Code::SignatureInvalid, "must have one value"),
            refused("80-test_cms_data/no_ct_attr.cms", Code::SignatureInvalid, "name no content type"),
            refused("80-test_cms_data/no_md_attr.cms", Code::SignatureInvalid, "hold no message digest"),
            refused("80-test_cms_data/dh-malformed.der", Code::NoKey, "no key here"),
            refused("80-test_cms_data/ecdh-malformed.der", Code::Malformed, "without key wrap"),
            refused("80-test_cms_data/rsa-malformed.der", Code::DecryptionFailed, "decryption failed"),
            refused("80-test_cms_data/pkcs7-md4.pem", Code::SignatureInvalid, "md4 is broken"),
            refused("80-test_cmsapi_data/cms_pwri_kek_oob.der", Code::Malformed, "without parameters"),
            // its nonce of 17 bytes is legal (SP 800-38D 5.2.1.1), and its key is with none of the files
            refused("80-test_cmsapi_data/encDataWithTooLongIV.pem", Code::NoKey, "no key here"),
            refused("cms-msg/enveloped-content-type-for-aes-gcm.pem", Code::Malformed, "whose tag it cannot carry"),
            refused("cms-msg/missing-kdf.der", Code::Unsupported, "needs a KEK"),
            refused("d2i-tests/bad-cms.der", Code::Malformed, "longer than the one around it"),
            refused("pkcs7-1.pem", Code::SignatureInvalid, "md2 is broken"),
            refused("pkcs7.pem", Code::NotSigned, NOBODY),
        ],
        ..NONE
    },
    Table {
        // whether a path is good is judged by the suite's own table, in the tests of pki
        name: "pkits",
        messages: (224, 224),
        refused: &[refused(
            "smime/SignedValidDSAParameterInheritanceTest5.eml",
            Code::Unsupported,
            "DSA key with the parameters of its issuer",
        )],
        ..NONE
    },
    Table {
        name: "pqc-cms",
        messages: (12, 12),
        known: &[
            "lamps/dilithium-certificates/ML-DSA-44.crt",
            "lamps/dilithium-certificates/ML-DSA-65.crt",
            "lamps/dilithium-certificates/ML-DSA-87.crt",
        ],
        ..NONE
    },
];

const NOTHING: &str = "nothing in the message is signed or encrypted";
const NOBODY: &str = "nobody signed it";
const CHANGED: &str = "the content was changed";
const NESTED_SIGNERS: &str = "RFC 8550 3 compares the From with the signer's certificate, and tells no layer from another: one of the two signers is not the From";

const NONE: Table = Table {
    name: "",
    messages: (0, 0),
    decided: &[],
    refused: &[],
    identities: &[],
    anchors: &[],
    known: &[],
    at: 1_750_000_000,
};

const fn decided(file: &'static str, differs: &'static [Differs], why: &'static str) -> Decided {
    Decided { file, differs, why }
}

const fn refused(file: &'static str, code: Code, says: &'static str) -> Refused {
    Refused { file, code, says }
}
