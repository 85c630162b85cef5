//! The rules of `lint`: a certificate that keeps them all, changed in one thing at a time, and what pkilint says of the same bytes.

use sealpost::asn1::{Oid, Tag, encode, oid};
use sealpost::ca::{Authority, MailProfile};
use sealpost::crypto::algorithm::KeyAlgorithm;
use sealpost::crypto::key::PrivateKey;
use sealpost::crypto::random::{OsRandom, Seeded};
use sealpost::lint::{self, Against, BaselineType, Finding, Generation, Kind, Scope, Severity, Validation};
use sealpost::pki::Certificate;
use sealpost::time::Timestamp;

use crate::ca::pkilint::pkilint;

/// 2026-06-01.
const AT: Timestamp = Timestamp::from_unix(1_780_272_000);

/// A certificate in parts. Its signature fits nothing: no linter looks.
struct Parts {
    version: Vec<u8>,
    serial: Vec<u8>,
    algorithm: Vec<u8>,
    subject: Vec<(Oid, Vec<u8>)>,
    dates: (Timestamp, Timestamp),
    spki: Vec<u8>,
    extensions: Vec<(Oid, bool, Vec<u8>)>,
}

impl Parts {
    /// A mailbox-validated certificate with a P-256 key.
    fn good() -> Self {
        let key = PrivateKey::generate(KeyAlgorithm::P256, &mut Seeded::new(b"good")).expect("a key");
        let uri = |uri: &str| encode::implicit(6, &encode::ia5(uri));
        let point = encode::explicit(0, &encode::implicit(0, &encode::sequence(&[uri("http://pki.example.org/ca.crl")])));
        let place = encode::sequence(&[encode::oid(&oid::AD_CA_ISSUERS), uri("http://pki.example.org/ca.cer")]);
        Self {
            version: encode::explicit(0, &encode::integer_u64(2)),
            serial: vec![0x5a; 16],
            algorithm: encode::sequence(&[encode::oid(&oid::ECDSA_SHA256)]),
            subject: vec![(oid::COMMON_NAME, encode::utf8("jane@example.org"))],
            dates: (AT, AT.plus_days(365)),
            spki: key.public_key().spki().to_vec(),
            extensions: vec![
                (oid::SUBJECT_KEY_IDENTIFIER, false, encode::octet_string(&[7; 20])),
                (oid::AUTHORITY_KEY_IDENTIFIER, false, encode::sequence(&[encode::implicit(0, &encode::octet_string(&[9; 20]))])),
                (oid::KEY_USAGE, true, encode::named_bits(&[0, 4])),
                (oid::EXTENDED_KEY_USAGE, false, encode::sequence(&[encode::oid(&oid::EMAIL_PROTECTION)])),
                (oid::SUBJECT_ALT_NAME, false, encode::sequence(&[address("jane@example.org")])),
                (oid::CERTIFICATE_POLICIES, false, policies(&[oid::SMIME_MAILBOX_MULTIPURPOSE])),
                (oid::AUTHORITY_INFO_ACCESS, false, encode::sequence(&[place])),
                (oid::CRL_DISTRIBUTION_POINTS, false, encode::sequence(&[encode::sequence(&[point])])),
            ],
        }
    }

    fn set(&mut self, oid: Oid, value: Vec<u8>) {
        self.extensions.iter_mut().find(|extension| extension.0 == oid).expect("there").2 = value;
    }

    fn critical(&mut self, oid: Oid, critical: bool) {
        self.extensions.iter_mut().find(|extension| extension.0 == oid).expect("there").1 = critical;
    }

    fn drop(&mut self, oid: Oid) {
        self.extensions.retain(|extension| extension.0 != oid);
    }

    fn names(&mut self, names: &[Vec<u8>]) {
        self.set(oid::SUBJECT_ALT_NAME, encode::sequence(names));
    }

    /// Of another type, with what its subject needs.
    fn of_type(&mut self, policy: Oid, attributes: &[(Oid, &str)]) {
        self.set(oid::CERTIFICATE_POLICIES, policies(&[policy]));
        let text = |oid: Oid, value: &str| if oid == oid::COUNTRY { encode::printable(value) } else { encode::utf8(value) };
        self.subject = attributes.iter().map(|(oid, value)| (*oid, text(*oid, value))).collect();
    }

    fn der(&self) -> Vec<u8> {
        let issuer = name(&[
            (oid::COUNTRY, encode::printable("GB")),
            (oid::ORGANIZATION, encode::utf8("Example")),
            (oid::COMMON_NAME, encode::utf8("CA")),
        ]);
        let extension = |(oid, critical, value): &(Oid, bool, Vec<u8>)| {
            let critical = if *critical { encode::boolean(true) } else { Vec::new() };
            encode::sequence(&[encode::oid(oid), critical, encode::octet_string(value)])
        };
        let extensions: Vec<Vec<u8>> = self.extensions.iter().map(extension).collect();
        let tbs = encode::sequence(&[
            self.version.clone(),
            encode::tlv(Tag::INTEGER, &self.serial),
            self.algorithm.clone(),
            issuer,
            encode::sequence(&[encode::time(self.dates.0), encode::time(self.dates.1)]),
            name(&self.subject),
            self.spki.clone(),
            encode::explicit(3, &encode::sequence(&extensions)),
        ]);
        let signature = encode::sequence(&[encode::integer_u64(1), encode::integer_u64(1)]);
        encode::sequence(&[tbs, self.algorithm.clone(), encode::bit_string(&signature)])
    }

    fn certificate(&self) -> Certificate {
        Certificate::from_der(&self.der()).expect("a certificate")
    }
}

fn name(attributes: &[(Oid, Vec<u8>)]) -> Vec<u8> {
    let one = |(oid, value): &(Oid, Vec<u8>)| encode::tlv(Tag::SET, &encode::sequence(&[encode::oid(oid), value.clone()]));
    encode::sequence(&attributes.iter().map(one).collect::<Vec<_>>())
}

fn address(address: &str) -> Vec<u8> {
    encode::implicit(1, &encode::ia5(address))
}

fn policies(policies: &[Oid]) -> Vec<u8> {
    encode::sequence(&policies.iter().map(|policy| encode::sequence(&[encode::oid(policy)])).collect::<Vec<_>>())
}

fn purposes(purposes: &[Oid]) -> Vec<u8> {
    encode::sequence(&purposes.iter().map(encode::oid).collect::<Vec<_>>())
}

fn point(uri: &str) -> Vec<u8> {
    let uri = encode::implicit(6, &encode::ia5(uri));
    encode::sequence(&[encode::sequence(&[encode::explicit(0, &encode::implicit(0, &encode::sequence(&[uri])))])])
}

fn place(method: Oid, uri: &str) -> Vec<u8> {
    encode::sequence(&[encode::sequence(&[encode::oid(&method), encode::implicit(6, &encode::ia5(uri))])])
}

/// A type, and the attributes of a subject that keeps its rules.
const SPONSOR: [(Oid, &str); 6] = [
    (oid::COUNTRY, "GB"),
    (oid::ORGANIZATION, "Example"),
    (oid::ORGANIZATION_IDENTIFIER, "NTRGB-12345678"),
    (oid::SURNAME, "Doe"),
    (oid::GIVEN_NAME, "Jane"),
    (oid::COMMON_NAME, "Jane Doe"),
];

fn without(attribute: Oid) -> Vec<(Oid, &'static str)> {
    SPONSOR.into_iter().filter(|(oid, _)| *oid != attribute).collect()
}

fn sponsor_with(attribute: (Oid, &'static str)) -> Vec<(Oid, &'static str)> {
    let mut all = without(attribute.0);
    all.push(attribute);
    all
}

/// What is changed, the rule that says so, and pkilint's; `-` where pkilint has no such rule or does not say it, with the reason.
type Fault = (&'static str, Change, &'static str, &'static str);
type Change = fn(&mut Parts);

const FAULTS: &[Fault] = &[
    ("no alternative name", |p| p.drop(oid::SUBJECT_ALT_NAME), "cabf.mail.san-missing", "cabf.smime.san_extension_missing"),
    (
        "a DNS name",
        |p| p.names(&[address("jane@example.org"), encode::implicit(2, &encode::ia5("example.org"))]),
        "cabf.mail.san-other",
        "cabf.smime.prohibited_generalname_type_present",
    ),
    (
        "only a directory name",
        |p| p.names(&[encode::explicit(4, &name(&[(oid::COMMON_NAME, encode::utf8("jane@example.org"))]))]),
        "cabf.mail.san-missing",
        "cabf.smime.san_does_not_contain_email_address",
    ),
    (
        "an address that is none",
        |p| p.names(&[address("jane@example.org"), address("jane example")]),
        "pkix.san-address",
        "pkix.invalid_email_address_syntax",
    ),
    (
        "no extKeyUsage",
        |p| p.drop(oid::EXTENDED_KEY_USAGE),
        "cabf.mail.eku-missing",
        "cabf.smime.extended_key_usage_extension_missing",
    ),
    (
        "another purpose",
        |p| p.set(oid::EXTENDED_KEY_USAGE, purposes(&[oid::CLIENT_AUTH])),
        "cabf.mail.eku-missing",
        "cabf.smime.emailprotection_eku_missing",
    ),
    (
        "a server's purpose",
        |p| p.set(oid::EXTENDED_KEY_USAGE, purposes(&[oid::EMAIL_PROTECTION, oid::SERVER_AUTH])),
        "cabf.mail.eku-other",
        "cabf.smime.prohibited_eku_present",
    ),
    (
        "any purpose",
        |p| p.set(oid::EXTENDED_KEY_USAGE, purposes(&[oid::EMAIL_PROTECTION, oid::ANY_EXTENDED_KEY_USAGE])),
        "cabf.mail.eku-other",
        "cabf.smime.prohibited_eku_present",
    ),
    (
        "a second purpose of the strict generation",
        |p| {
            p.set(oid::CERTIFICATE_POLICIES, policies(&[oid::SMIME_MAILBOX_STRICT]));
            p.set(oid::EXTENDED_KEY_USAGE, purposes(&[oid::EMAIL_PROTECTION, oid::CLIENT_AUTH]));
        },
        "cabf.mail.eku-other",
        "cabf.smime.prohibited_eku_present",
    ),
    ("no keyUsage", |p| p.drop(oid::KEY_USAGE), "cabf.mail.key-usage-missing", "cabf.smime.key_usage_extension_missing"),
    (
        "keyUsage of RSA",
        |p| p.set(oid::KEY_USAGE, encode::named_bits(&[0, 2])),
        "cabf.mail.key-usage",
        "cabf.smime.prohibited_ku_present",
    ),
    (
        "keyUsage of an authority",
        |p| p.set(oid::KEY_USAGE, encode::named_bits(&[0, 5])),
        "cabf.mail.key-usage",
        "cabf.smime.prohibited_ku_present",
    ),
    (
        "keyUsage of none",
        |p| p.set(oid::KEY_USAGE, encode::named_bits(&[1])),
        "cabf.mail.key-usage",
        "cabf.smime.unknown_certificate_key_usage_type",
    ),
    (
        "keyUsage that is not critical",
        |p| p.critical(oid::KEY_USAGE, false),
        "pkix.key-usage-critical",
        "cabf.smime.ku_extension_not_critical",
    ),
    ("no policies", |p| p.drop(oid::CERTIFICATE_POLICIES), "cabf.mail.policies-missing", "no-reserved-policy"),
    (
        "two reserved policies",
        |p| p.set(oid::CERTIFICATE_POLICIES, policies(&[oid::SMIME_MAILBOX_MULTIPURPOSE, oid::SMIME_SPONSOR_STRICT])),
        "cabf.mail.policies-several",
        "cabf.smime.multiple_reserved_policy_oids",
    ),
    (
        "any policy",
        |p| p.set(oid::CERTIFICATE_POLICIES, policies(&[oid::SMIME_MAILBOX_MULTIPURPOSE, oid::ANY_POLICY])),
        "cabf.mail.policy-any",
        "cabf.smime.anypolicy_present",
    ),
    (
        "critical policies",
        |p| p.critical(oid::CERTIFICATE_POLICIES, true),
        "cabf.mail.policies-critical",
        "cabf.critical_certificate_policies_extension",
    ),
    (
        "the legacy generation",
        |p| p.set(oid::CERTIFICATE_POLICIES, policies(&[oid::SMIME_MAILBOX_LEGACY])),
        "cabf.mail.legacy-ended",
        "cabf.smime.legacy_generation_certificate_issued_after_prohibition",
    ),
    (
        "826 days",
        |p| p.dates.1 = AT.plus_days(825),
        "cabf.mail.validity",
        "cabf.smime.certificate_validity_period_exceeds_825_days",
    ),
    (
        "825 days",
        |p| p.dates.1 = AT.plus_days(825).plus_seconds(-1),
        "cabf.mail.validity-at-most",
        "cabf.smime.certificate_validity_period_at_maximum",
    ),
    (
        "an end before its beginning",
        |p| p.dates = (p.dates.1, p.dates.0),
        "pkix.validity-order",
        "pkix.certificate_negative_validity_period",
    ),
    (
        "no distribution points",
        |p| p.drop(oid::CRL_DISTRIBUTION_POINTS),
        "cabf.mail.points-missing",
        "cabf.smime.crldp_extension_missing",
    ),
    (
        "a list by LDAP",
        |p| p.set(oid::CRL_DISTRIBUTION_POINTS, point("ldap://pki.example.org/cn=ca")),
        "cabf.mail.points-scheme",
        "cabf.smime.crldp_fullname_prohibited_uri_scheme",
    ),
    (
        "a list by HTTPS",
        |p| p.set(oid::CRL_DISTRIBUTION_POINTS, point("https://pki.example.org/ca.crl")),
        "cabf.mail.points-scheme",
        "cabf.smime.crldp_fullname_prohibited_uri_scheme",
    ),
    (
        "critical distribution points",
        |p| p.critical(oid::CRL_DISTRIBUTION_POINTS, true),
        "cabf.points-critical",
        "cabf.critical_crldp_extension",
    ),
    ("no issuer's place", |p| p.drop(oid::AUTHORITY_INFO_ACCESS), "cabf.mail.access-missing", "cabf.aia_extension_missing"),
    (
        "OCSP alone",
        |p| p.set(oid::AUTHORITY_INFO_ACCESS, place(oid::AD_OCSP, "http://pki.example.org/ocsp")),
        "cabf.mail.issuer-place-missing",
        "cabf.aia_ca_issuers_missing",
    ),
    (
        "an issuer by LDAP",
        |p| p.set(oid::AUTHORITY_INFO_ACCESS, place(oid::AD_CA_ISSUERS, "ldap://pki.example.org/")),
        "cabf.mail.access-scheme",
        "cabf.aia_ca_issuers_has_no_http_uri",
    ),
    (
        "critical places",
        |p| p.critical(oid::AUTHORITY_INFO_ACCESS, true),
        "pkix.extension-must-not-be-critical",
        "pkix.authority_information_access_extension_critical",
    ),
    (
        "an authority",
        |p| p.extensions.push((oid::BASIC_CONSTRAINTS, true, encode::sequence(&[encode::boolean(true)]))),
        "pkix.ca-key-usage",
        "cabf.smime.is_ca_certificate",
    ),
    (
        "a path length",
        |p| p.extensions.push((oid::BASIC_CONSTRAINTS, true, encode::sequence(&[encode::integer_u64(0)]))),
        "pkix.path-length",
        "itu.invalid_asn1_syntax",
    ),
    (
        "no authorityKeyIdentifier",
        |p| p.drop(oid::AUTHORITY_KEY_IDENTIFIER),
        "pkix.authority-key-id",
        "pkix.authority_key_identifier_extension_absent",
    ),
    (
        "the serial number of the issuer",
        |p| {
            let names =
                encode::implicit(1, &encode::sequence(&[encode::explicit(4, &name(&[(oid::COMMON_NAME, encode::utf8("CA"))]))]));
            let serial = encode::implicit(2, &encode::integer_u64(77));
            p.set(
                oid::AUTHORITY_KEY_IDENTIFIER,
                encode::sequence(&[encode::implicit(0, &encode::octet_string(&[9; 20])), names, serial]),
            );
        },
        "cabf.authority-key-id",
        "cabf.authority_key_identifier_has_issuer_cert",
    ),
    (
        "a critical key identifier",
        |p| p.critical(oid::SUBJECT_KEY_IDENTIFIER, true),
        "pkix.extension-must-not-be-critical",
        "pkix.certificate_skid_extension_critical",
    ),
    (
        "a common name of nowhere",
        |p| p.subject[0].1 = encode::utf8("Jane Doe"),
        "cabf.mail.common-name",
        "cabf.smime.common_name_value_unknown_source",
    ),
    (
        "an organisation on a mailbox",
        |p| p.subject.push((oid::ORGANIZATION, encode::utf8("Example"))),
        "cabf.mail.attribute-prohibited",
        "cabf.smime.prohibited_attribute",
    ),
    (
        "an address that is not among the names",
        |p| p.subject.push((oid::EMAIL_ADDRESS, encode::ia5("joe@example.org"))),
        "cabf.mail.address-not-in-san",
        "pkix.subject_email_address_not_in_san",
    ),
    (
        "a sponsor without an organisation",
        |p| p.of_type(oid::SMIME_SPONSOR_MULTIPURPOSE, &without(oid::ORGANIZATION)),
        "cabf.mail.attribute-missing",
        "cabf.smime.missing_required_attribute",
    ),
    (
        "a sponsor without its number",
        |p| p.of_type(oid::SMIME_SPONSOR_MULTIPURPOSE, &without(oid::ORGANIZATION_IDENTIFIER)),
        "cabf.mail.attribute-missing",
        "cabf.smime.missing_required_attribute",
    ),
    (
        "a sponsor without a person",
        |p| p.of_type(oid::SMIME_SPONSOR_MULTIPURPOSE, &SPONSOR[..3]),
        "cabf.mail.person-missing",
        "cabf.smime.missing_required_attribute",
    ),
    (
        "a pseudonym beside a name",
        |p| p.of_type(oid::SMIME_SPONSOR_MULTIPURPOSE, &sponsor_with((oid::PSEUDONYM, "Desk"))),
        "cabf.mail.pseudonym-and-name",
        "cabf.smime.mixed_name_and_pseudonym_attributes",
    ),
    (
        "a user name",
        |p| p.of_type(oid::SMIME_SPONSOR_MULTIPURPOSE, &sponsor_with((oid::USER_ID, "jane"))),
        "cabf.mail.attribute-prohibited",
        "cabf.smime.prohibited_attribute",
    ),
    (
        "a town without a country",
        |p| {
            let mut attributes = without(oid::COUNTRY);
            attributes.push((oid::LOCALITY, "London"));
            p.of_type(oid::SMIME_SPONSOR_MULTIPURPOSE, &attributes);
        },
        "cabf.mail.attribute-dependent",
        "cabf.smime.required_attribute_missing_for_dependent_attribute",
    ),
    (
        "a number of no scheme",
        |p| p.of_type(oid::SMIME_SPONSOR_MULTIPURPOSE, &sponsor_with((oid::ORGANIZATION_IDENTIFIER, "ABCGB-1"))),
        "cabf.mail.organization-identifier",
        "cabf.invalid_organization_identifier_registration_scheme",
    ),
    (
        "a number of no form",
        |p| p.of_type(oid::SMIME_SPONSOR_MULTIPURPOSE, &sponsor_with((oid::ORGANIZATION_IDENTIFIER, "12345678"))),
        "cabf.mail.organization-identifier",
        "cabf.invalid_subject_organization_identifier_format",
    ),
    (
        "a number of another country",
        |p| p.of_type(oid::SMIME_SPONSOR_MULTIPURPOSE, &sponsor_with((oid::ORGANIZATION_IDENTIFIER, "NTRFR-12345678"))),
        "cabf.mail.organization-identifier",
        "cabf.smime.org_identifier_and_country_name_attribute_inconsistent",
    ),
    (
        "a country of nobody",
        |p| p.of_type(oid::SMIME_SPONSOR_MULTIPURPOSE, &sponsor_with((oid::COUNTRY, "QQ"))),
        "cabf.country",
        "cabf.invalid_country_code",
    ),
    (
        "a name that says nothing",
        |p| p.of_type(oid::SMIME_SPONSOR_MULTIPURPOSE, &sponsor_with((oid::GIVEN_NAME, "-"))),
        "cabf.attribute-meaningless",
        "cabf.insignificant_attribute_value_present",
    ),
    (
        "a long name",
        |p| {
            p.of_type(
                oid::SMIME_SPONSOR_MULTIPURPOSE,
                &sponsor_with((oid::COMMON_NAME, "Jane of the house of Doe, which is long, and of whom much is to be said")),
            );
        },
        "pkix.attribute-length",
        "itu.invalid_asn1_syntax",
    ),
    ("a serial number of zero", |p| p.serial = vec![0], "pkix.serial", "pkix.certificate_serial_number_out_of_range"),
    ("a negative serial number", |p| p.serial = vec![0x80; 8], "pkix.serial", "pkix.certificate_serial_number_out_of_range"),
    ("a long serial number", |p| p.serial = vec![0x11; 21], "pkix.serial", "pkix.certificate_serial_number_out_of_range"),
    (
        "SHA-1",
        |p| p.algorithm = encode::sequence(&[encode::oid(&oid::ECDSA_SHA1)]),
        "cabf.signature-algorithm",
        "cabf.smime.prohibited_signature_algorithm_encoding",
    ),
    (
        "a curve that few know",
        |p| {
            let algorithm = encode::sequence(&[encode::oid(&oid::EC_PUBLIC_KEY), encode::oid(&oid::BRAINPOOL_P256R1)]);
            p.spki = encode::sequence(&[algorithm, encode::bit_string(&[&[4][..], &[1; 64]].concat())]);
        },
        "cabf.key",
        "cabf.smime.prohibited_spki_algorithm_encoding",
    ),
    (
        "an unknown critical extension",
        |p| p.extensions.push((oid::QC_STATEMENTS, true, encode::sequence(&[] as &[Vec<u8>]))),
        "pkix.extension-unknown-critical",
        "cabf.smime.qc_statements_extension_critical",
    ),
    (
        "directory attributes",
        |p| {
            let attribute = encode::sequence(&[encode::oid(&oid::TITLE), encode::tlv(Tag::SET, &encode::utf8("Dr"))]);
            p.extensions.push((oid::SUBJECT_DIRECTORY_ATTRIBUTES, false, encode::sequence(&[attribute])));
        },
        "cabf.mail.directory-attributes",
        "cabf.smime.subject_directory_attributes_extension_prohibited",
    ),
    (
        "an empty subject with lax names",
        |p| p.subject.clear(),
        "pkix.subject-or-san",
        "pkix.san_extension_not_critical_empty_subject",
    ),
    (
        "critical names beside a subject",
        |p| p.critical(oid::SUBJECT_ALT_NAME, true),
        "pkix.san-critical",
        "pkix.san_extension_is_critical_non_empty_subject",
    ),
    // pkilint reads SmtpUTF8Mailbox by RFC 8398 and lets an ASCII local part pass
    (
        "a SmtpUTF8Mailbox of ASCII",
        |p| {
            let value = encode::explicit(0, &encode::utf8("jane@example.org"));
            p.names(&[encode::implicit(0, &encode::sequence(&[encode::oid(&oid::SMTP_UTF8_MAILBOX), value]))]);
        },
        "pkix.san-smtp-utf8",
        "-",
    ),
    // 64 random bits do not fit; pkilint looks at one certificate and guesses nothing
    ("a short serial number", |p| p.serial = vec![0x11; 4], "cabf.serial-bits", "-"),
];

fn errors(found: &[Finding]) -> Vec<&'static str> {
    found.iter().filter(|finding| finding.severity == Severity::Error).map(|finding| finding.code).collect()
}

#[test]
fn a_good_certificate_breaks_no_rule() {
    let certificate = Parts::good().certificate();
    for against in [Against::all(), Against::standards(), Against::only(Scope::Gmail), Against::only(Scope::Cabf)] {
        let found: Vec<_> =
            lint::certificate(&certificate, &against).into_iter().filter(|f| f.severity > Severity::Notice).collect();
        assert!(found.is_empty(), "{found:?}");
    }
    let baseline = BaselineType { validation: Validation::Mailbox, generation: Generation::Multipurpose };
    assert_eq!(lint::kind(&certificate), (Kind::Mail, Some(baseline)));
    let mut sponsor = Parts::good();
    sponsor.of_type(oid::SMIME_SPONSOR_MULTIPURPOSE, &SPONSOR);
    assert!(errors(&lint::certificate(&sponsor.certificate(), &Against::standards())).is_empty());
}

#[test]
fn each_fault_is_said_by_its_rule() {
    for (what, change, rule, _) in FAULTS {
        let mut parts = Parts::good();
        change(&mut parts);
        let found = lint::certificate(&parts.certificate(), &Against::only(Scope::Cabf));
        assert!(found.iter().any(|finding| finding.code == *rule), "{what}: {rule} is not among {found:#?}");
    }
}

#[test]
fn pkilint_says_the_same_of_each_fault() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut files = Vec::new();
    for (at, (_, change, ..)) in FAULTS.iter().enumerate() {
        let mut parts = Parts::good();
        change(&mut parts);
        let path = folder.path().join(format!("{at}.der"));
        std::fs::write(&path, parts.der()).expect("written");
        files.extend(["smime", "pkix"].map(|linter| (linter, path.display().to_string())));
    }
    let Some(said) = pkilint(&files) else { return };
    let mut wrong = Vec::new();
    for (at, (what, change, _, theirs)) in FAULTS.iter().enumerate() {
        let path = folder.path().join(format!("{at}.der")).display().to_string();
        let of_file: Vec<_> = said.iter().filter(|s| s.path == path).collect();
        if *theirs != "-" && !of_file.iter().any(|s| s.code == *theirs) {
            let codes: Vec<_> = of_file.iter().map(|s| s.code.as_str()).collect();
            wrong.push(format!("{what}: pkilint does not say {theirs} but {codes:?}"));
        }
        let mut parts = Parts::good();
        change(&mut parts);
        let ours = lint::certificate(&parts.certificate(), &Against::only(Scope::Cabf));
        // what is an error there is one here, too
        let is_error_there = of_file.iter().any(|s| matches!(s.severity.as_str(), "ERROR" | "FATAL"));
        if is_error_there && errors(&ours).is_empty() {
            let texts: Vec<_> = of_file.iter().map(|s| format!("{} {}", s.code, s.text)).collect();
            wrong.push(format!("{what}: pkilint has an error, and there is none here: {texts:?}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn what_a_mail_program_does_not_take_is_an_error_for_whoever_asks_for_it() {
    let of = |parts: &Parts, against: &Against| lint::certificate(&parts.certificate(), against);
    let has = |found: &[Finding], code: &str, severity| found.iter().any(|f| f.code == code && f.severity == severity);
    let table: &[(Change, Scope, &str)] = &[
        (|p| p.dates.1 = AT.plus_days(824), Scope::Gmail, "gmail.validity"),
        (|p| p.drop(oid::KEY_USAGE), Scope::Apple, "apple.key-usage"),
        (|p| p.drop(oid::EXTENDED_KEY_USAGE), Scope::Outlook, "outlook.eku"),
        (|p| p.set(oid::EXTENDED_KEY_USAGE, purposes(&[oid::ANY_EXTENDED_KEY_USAGE])), Scope::Thunderbird, "thunderbird.eku"),
        (|p| p.spki = ed25519(), Scope::Outlook, "outlook.key"),
        (|p| p.spki = ed25519(), Scope::Gmail, "gmail.key"),
        (|p| p.spki = ed25519(), Scope::Apple, "apple.key"),
        (|p| p.spki = ed25519(), Scope::Thunderbird, "thunderbird.key"),
        (|p| p.drop(oid::CRL_DISTRIBUTION_POINTS), Scope::Gmail, "gmail.points"),
    ];
    for (change, scope, code) in table {
        let mut parts = Parts::good();
        change(&mut parts);
        assert!(has(&of(&parts, &Against::only(*scope)), code, Severity::Error), "{code}");
        assert!(has(&of(&parts, &Against::all()), code, Severity::Warning), "{code}: for everybody it is a warning");
        assert!(!of(&parts, &Against::standards()).iter().any(|f| f.code == *code));
    }
}

fn ed25519() -> Vec<u8> {
    PrivateKey::generate(KeyAlgorithm::Ed25519, &mut Seeded::new(b"edwards")).expect("a key").public_key().spki().to_vec()
}

#[test]
fn a_certificate_that_claims_nothing_is_not_held_against_the_baseline_requirements_unless_asked() {
    let mut parts = Parts::good();
    parts.drop(oid::CERTIFICATE_POLICIES);
    let codes = |against: &Against| lint::certificate(&parts.certificate(), against).iter().map(|f| f.code).collect::<Vec<_>>();
    assert!(codes(&Against::standards()).contains(&"cabf.mail.unclaimed"));
    assert!(!codes(&Against::standards()).contains(&"cabf.mail.policies-missing"));
    assert!(codes(&Against::only(Scope::Cabf)).contains(&"cabf.mail.policies-missing"));
    let strict = BaselineType::from_name("mailbox-strict").expect("a type");
    assert!(codes(&Against::standards().as_type(strict)).contains(&"cabf.mail.policies-missing"));
}

#[test]
fn an_authority_is_no_mail_certificate_of_the_type_that_is_asked_for() {
    let mut parts = Parts::good();
    parts.extensions.push((oid::BASIC_CONSTRAINTS, true, encode::sequence(&[encode::boolean(true)])));
    let strict = BaselineType::from_name("mailbox-strict").expect("a type");
    let found = lint::certificate(&parts.certificate(), &Against::standards().as_type(strict));
    assert!(errors(&found).contains(&"cabf.mail.is-ca"), "{found:?}");
}

#[test]
fn every_rule_has_one_code_and_a_source() {
    let mut seen = std::collections::BTreeSet::new();
    for (code, _, source) in lint::rules() {
        assert!(seen.insert(code), "{code} stands twice");
        assert!(!source.is_empty() && code.contains('.') && code.is_ascii(), "{code}");
    }
    assert!(seen.len() > 100, "{}", seen.len());
}

#[test]
fn an_authority_does_not_sign_what_breaks_a_rule() {
    let random = &mut OsRandom;
    let (authority, _) = Authority::create("Rules", &["a.example"], KeyAlgorithm::P256, AT, random).expect("made");
    let key = PrivateKey::generate(KeyAlgorithm::X25519, random).expect("a key");
    let refused =
        authority.issue(&MailProfile::new("jane@a.example"), key.public_key(), AT, random).expect_err("refused").to_string();
    assert!(refused.starts_with("the certificate would break a rule: ") && refused.contains("cabf."), "{refused}");
    let long = "x".repeat(65);
    let refused =
        Authority::create(long.as_str(), &["a.example"], KeyAlgorithm::P256, AT, random).expect_err("refused").to_string();
    assert!(refused.contains("[pkix.attribute-length, RFC 5280 appendix A.1]"), "{refused}");
}

#[test]
fn bytes_that_are_no_der_and_odd_dates_are_said() {
    let mut parts = Parts::good();
    parts.extensions.push((oid::BASIC_CONSTRAINTS, true, encode::sequence(&[encode::boolean(false)])));
    assert!(errors(&lint::certificate(&parts.certificate(), &Against::all())).contains(&"pkix.der-default"));
    let mut parts = Parts::good();
    parts.set(oid::KEY_USAGE, vec![3, 2, 0, 0x88]);
    assert!(errors(&lint::certificate(&parts.certificate(), &Against::all())).contains(&"pkix.der-default"), "zeros behind");
    parts.set(oid::KEY_USAGE, vec![3, 2, 3, 0x8c]);
    assert!(errors(&lint::certificate(&parts.certificate(), &Against::all())).contains(&"pkix.der"));
}
