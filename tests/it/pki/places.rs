//! A revocation list of one place tells about the certificates that name this place, and about no other (RFC 5280 6.3.3).

use rcgen::{CertificateParams, CrlDistributionPoint, CrlIssuingDistributionPoint, CrlScope, Issuer, KeyPair, KeyUsagePurpose};

use sealpost::limits::Limits;
use sealpost::pki::{self, Certificate, Crl, Judgement, Purpose, Revocation, RevocationStatus, TrustAnchors};
use sealpost::time::Timestamp;

const HERE: &str = "http://lists.example/1.crl";
const THERE: &str = "http://lists.example/2.crl";

fn point(place: &str) -> CrlDistributionPoint {
    CrlDistributionPoint { uris: vec![place.to_owned()] }
}

/// What is known of a certificate that names these places, by a list of that place or of none, for such certificates.
fn known(named: &[&str], of: Option<(&str, Option<CrlScope>)>) -> RevocationStatus {
    let date = |year| rcgen::date_time_ymd(year, 1, 1);
    let mut root = CertificateParams::default();
    root.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Constrained(0));
    root.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    (root.not_before, root.not_after) = (date(2025), date(2030));
    let key = KeyPair::generate().expect("a key");
    let anchor = root.self_signed(&key).expect("signed");
    let issuer = Issuer::new(root, key);
    let mut leaf = CertificateParams::default();
    leaf.distinguished_name.push(rcgen::DnType::CommonName, "Jane");
    leaf.crl_distribution_points = named.iter().map(|place| point(place)).collect();
    (leaf.not_before, leaf.not_after) = (date(2025), date(2030));
    let leaf = leaf.signed_by(&KeyPair::generate().expect("a key"), &issuer).expect("signed");
    let list = rcgen::CertificateRevocationListParams {
        this_update: date(2026),
        next_update: date(2027),
        crl_number: 1.into(),
        issuing_distribution_point: of
            .map(|(place, scope)| CrlIssuingDistributionPoint { distribution_point: point(place), scope }),
        revoked_certs: Vec::new(),
        key_identifier_method: rcgen::KeyIdMethod::Sha256,
    };
    let crl = Crl::from_der(list.signed_by(&issuer).expect("signed").der()).expect("a list");
    let read = |der: &[u8]| Certificate::from_der(der).expect("a certificate");
    pki::judge(&Judgement {
        leaf: &read(leaf.der()),
        pool: &[],
        anchors: &TrustAnchors::from_iter([read(anchor.der())]),
        crls: &[crl],
        ocsp: &[],
        purpose: Purpose::Any,
        // 2026-06-01
        at: Timestamp::from_unix(1_780_272_000),
        revocation: Revocation::Hard,
        limits: &Limits::default(),
    })
    .revocation
}

#[test]
fn a_list_of_one_place_tells_about_those_that_name_it() {
    assert_eq!(known(&[HERE], Some((HERE, None))), RevocationStatus::Good);
    assert_eq!(known(&[THERE, HERE], Some((HERE, None))), RevocationStatus::Good);
    assert_eq!(known(&[HERE], Some((THERE, None))), RevocationStatus::Unknown, "another shard");
    assert_eq!(known(&[], Some((HERE, None))), RevocationStatus::Unknown, "it names no place");
}

#[test]
fn a_list_of_no_place_tells_about_all_and_one_that_is_limited_about_its_kind() {
    assert_eq!(known(&[HERE], None), RevocationStatus::Good);
    assert_eq!(known(&[], None), RevocationStatus::Good);
    assert_eq!(known(&[HERE], Some((HERE, Some(CrlScope::UserCertsOnly)))), RevocationStatus::Good);
    assert_eq!(known(&[HERE], Some((HERE, Some(CrlScope::CaCertsOnly)))), RevocationStatus::Unknown);
}
