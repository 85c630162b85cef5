//! Crates of others on both sides: `x509-cert` and `cms` read strictly what we write, and `rcgen` writes what we judge.

use cms::cert::CertificateChoices;
use cms::content_info::ContentInfo;
use cms::signed_data::{SignedData, SignerIdentifier};
use x509_cert::der::{Decode, Encode};
use x509_cert::ext::pkix::name::GeneralName;
use x509_cert::ext::pkix::{
    AuthorityKeyIdentifier, BasicConstraints, ExtendedKeyUsage, KeyUsage, SubjectAltName, SubjectKeyIdentifier,
};

use sealpost::ca::{Authority, MailProfile};
use sealpost::cms::{Padding, SignedBuilder, SignerOptions};
use sealpost::crypto::algorithm::{DigestAlgorithm, KeyAlgorithm};
use sealpost::crypto::random::OsRandom;
use sealpost::limits::Limits;
use sealpost::pki::{self, Certificate, ChainStatus, Judgement, Purpose, Revocation, TrustAnchors};
use sealpost::smime::{self, Open, Trust};
use sealpost::time::Timestamp;

fn at() -> Timestamp {
    Timestamp::from_unix(1_780_272_000)
}

fn authority() -> Authority {
    Authority::create("Crates", &["a.example"], KeyAlgorithm::P256, at(), &mut OsRandom).expect("made").0
}

#[test]
fn x509_cert_reads_every_certificate_of_the_authority_and_writes_the_same_bytes() {
    let authority = authority();
    let jane =
        authority.new_identity("jane@a.example", "Jane Doe", KeyAlgorithm::Rsa(2048), at(), &mut OsRandom).expect("issued");
    for certificate in [authority.root(), authority.issuing(), authority.servers(), jane.certificate()] {
        let read = x509_cert::Certificate::from_der(certificate.der()).expect("strict DER");
        assert_eq!(read.to_der().expect("written"), certificate.der());
        assert!(read.tbs_certificate().serial_number().as_bytes().len() >= 8, "64 bits at least");
    }
    let read = x509_cert::Certificate::from_der(jane.certificate().der()).expect("strict DER");
    let tbs = read.tbs_certificate();
    let (critical, usage) = tbs.get_extension::<KeyUsage>().expect("readable").expect("there");
    assert!(critical && usage.digital_signature() && usage.key_encipherment() && !usage.key_cert_sign());
    let (_, purposes) = tbs.get_extension::<ExtendedKeyUsage>().expect("readable").expect("there");
    assert_eq!(purposes.0.iter().map(ToString::to_string).collect::<Vec<_>>(), ["1.3.6.1.5.5.7.3.4"]);
    let (_, names) = tbs.get_extension::<SubjectAltName>().expect("readable").expect("there");
    assert!(matches!(names.0.as_slice(), [GeneralName::Rfc822Name(name)] if name.as_str() == "jane@a.example"));
    let (_, own) = tbs.get_extension::<SubjectKeyIdentifier>().expect("readable").expect("there");
    let (_, issuers) = tbs.get_extension::<AuthorityKeyIdentifier>().expect("readable").expect("there");
    let issuing = x509_cert::Certificate::from_der(authority.issuing().der()).expect("strict DER");
    let (_, issuing_own) = issuing.tbs_certificate().get_extension::<SubjectKeyIdentifier>().expect("readable").expect("there");
    assert_eq!(issuers.key_identifier.expect("there"), issuing_own.0);
    assert_ne!(own.0, issuing_own.0);
    let (critical, basic) = issuing.tbs_certificate().get_extension::<BasicConstraints>().expect("readable").expect("there");
    assert!(critical && basic.ca && basic.path_len_constraint == Some(0));
}

#[test]
fn cms_reads_a_detached_signature_and_finds_its_signer() {
    let authority = authority();
    let profile = MailProfile::new("jane@a.example").days(30);
    let key = sealpost::crypto::key::PrivateKey::generate(KeyAlgorithm::P256, &mut OsRandom).expect("a key");
    let certificate = authority.issue(&profile, key.public_key(), at(), &mut OsRandom).expect("issued");
    let options = SignerOptions::for_key(&key, DigestAlgorithm::Sha384, Padding::Pkcs1).expect("they go together");
    let signed = SignedBuilder::new(&certificate, &key, options).detached(&mut &b"content"[..], &mut OsRandom).expect("signed");
    let info = ContentInfo::from_der(&signed).expect("strict DER");
    let data = info.content.decode_as::<SignedData>().expect("SignedData");
    assert!(data.encap_content_info.econtent.is_none());
    let CertificateChoices::Certificate(held) = data.certificates.expect("there").0.get(0).expect("one").clone() else {
        panic!("a certificate");
    };
    assert_eq!(held.to_der().expect("written"), certificate.der());
    let signer = data.signer_infos.0.get(0).expect("one");
    let SignerIdentifier::IssuerAndSerialNumber(id) = &signer.sid else { panic!("issuer and serial number") };
    assert_eq!(id.serial_number.as_bytes(), held.tbs_certificate().serial_number().as_bytes());
    let attributes = signer.signed_attrs.as_ref().expect("there");
    let names: Vec<String> = attributes.iter().map(|attribute| attribute.oid.to_string()).collect();
    // contentType, messageDigest, SigningCertificateV2, CMSAlgorithmProtection
    for wanted in ["1.2.840.113549.1.9.3", "1.2.840.113549.1.9.4", "1.2.840.113549.1.9.16.2.47", "1.2.840.113549.1.9.52"] {
        assert!(names.iter().any(|name| name == wanted), "{wanted} in {names:?}");
    }
}

/// An authority and a person that `rcgen` made.
fn of_rcgen(address: &str, purpose: rcgen::ExtendedKeyUsagePurpose) -> (Certificate, sealpost::keys::Identity) {
    let date = |year| rcgen::date_time_ymd(year, 1, 1);
    let root_key = rcgen::KeyPair::generate().expect("a key");
    let mut root = rcgen::CertificateParams::default();
    root.distinguished_name.push(rcgen::DnType::CommonName, "rcgen root");
    root.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Constrained(0));
    root.key_usages = vec![rcgen::KeyUsagePurpose::KeyCertSign, rcgen::KeyUsagePurpose::CrlSign];
    (root.not_before, root.not_after) = (date(2026), date(2030));
    let root_certificate = root.self_signed(&root_key).expect("signed");
    let issuer = rcgen::Issuer::new(root, root_key);
    let key = rcgen::KeyPair::generate_for(&rcgen::PKCS_ECDSA_P384_SHA384).expect("a key");
    let mut leaf = rcgen::CertificateParams::default();
    leaf.distinguished_name.push(rcgen::DnType::CommonName, "Jane");
    leaf.subject_alt_names = vec![rcgen::SanType::Rfc822Name(address.try_into().expect("ASCII"))];
    leaf.key_usages = vec![rcgen::KeyUsagePurpose::DigitalSignature];
    leaf.extended_key_usages = vec![purpose];
    leaf.use_authority_key_identifier_extension = true;
    (leaf.not_before, leaf.not_after) = (date(2026), date(2027));
    let certificate = leaf.signed_by(&key, &issuer).expect("signed");
    let read = |der: &[u8]| Certificate::from_der(der).expect("a certificate");
    let key =
        sealpost::crypto::key::PrivateKey::from_any(key.serialize_pem().as_bytes(), None, &Limits::default()).expect("a key");
    let identity = sealpost::keys::Identity::new(key, read(certificate.der()), Vec::new()).expect("they go together");
    (read(root_certificate.der()), identity)
}

#[test]
fn certificates_of_rcgen_are_judged_and_sign() {
    use rcgen::ExtendedKeyUsagePurpose::{EmailProtection, ServerAuth};
    for (purpose, status) in [(EmailProtection, ChainStatus::Trusted), (ServerAuth, ChainStatus::Unsuitable)] {
        let (root, jane) = of_rcgen("jane@a.example", purpose);
        let limits = Limits::default();
        let anchors = TrustAnchors::from_iter([root]);
        let judged = pki::judge(&Judgement {
            leaf: jane.certificate(),
            pool: &[],
            anchors: &anchors,
            crls: &[],
            ocsp: &[],
            purpose: Purpose::MailSign,
            at: at(),
            revocation: Revocation::Off,
            limits: &limits,
        });
        assert_eq!(judged.status, status, "{:?}", judged.reasons);
        let letter = b"From: jane@a.example\r\nSubject: hi\r\n\r\nhello\r\n";
        let signed = smime::sign(letter, &jane, at(), &mut OsRandom).expect("signed");
        let opened = Open::new(&Trust::new(anchors, at())).verify(&signed);
        assert_eq!(opened.into_verified().is_ok(), status == ChainStatus::Trusted);
    }
}
