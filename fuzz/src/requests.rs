//! Certificate requests are read or refused; whoever gets a certificate for one gets what the profile says, for the key of the request.

use sealpost::asn1::{encode, oid};
use sealpost::ca::{Authority, MailProfile, Request};
use sealpost::crypto::algorithm::{DigestAlgorithm, KeyAlgorithm, SignatureAlgorithm};
use sealpost::crypto::random::Seeded;
use sealpost::crypto::signature::{self, Input};

use super::cast::{Cast, NOW};

/// Reads bytes as a request, and as what a request asks for that Carol signs: what is changed in a signed one gets no further than its
/// signature.
pub fn run(bytes: &[u8]) {
    thread_local! {
        static CAST: Cast = Cast::load();
        static AUTHORITY: Authority = authority();
    }
    let signed = CAST.with(|cast| signed(cast, bytes));
    for bytes in [bytes, &signed] {
        let Ok(request) = Request::read(bytes) else { continue };
        AUTHORITY.with(|authority| judge(authority, &request));
    }
}

fn judge(authority: &Authority, request: &Request) {
    let _ = (request.subject().to_string(), request.addresses());
    let profile = MailProfile::new("carol@example.org");
    let checked = authority.check_request(&profile, request, NOW).map_err(|error| error.to_string());
    let issued = authority.issue_request(&profile, request, NOW, &mut Seeded::new(b"issued"));
    let issued = issued.map_err(|error| error.to_string());
    assert_eq!(checked.as_ref().err(), issued.as_ref().err(), "what is checked is what is done");
    let Ok(certificate) = issued else { return };
    assert_eq!(certificate.addresses(), ["carol@example.org"], "nothing beyond the profile");
    assert_eq!(certificate.public_key().expect("a key"), *request.key());
    assert!(certificate.basic_constraints().is_none_or(|constraints| !constraints.is_ca));
}

fn authority() -> Authority {
    let (domains, random) = (["example.org"], &mut Seeded::new(b"authority"));
    Authority::create("Fuzz", &domains, KeyAlgorithm::P256, NOW, random).expect("an authority").0
}

/// `CertificationRequestInfo` of Carol's, with these bytes behind her key, and her signature (RFC 2986 4).
pub fn signed(cast: &Cast, asked: &[u8]) -> Vec<u8> {
    let key = cast.carol.private_key();
    let subject = encode::sequence(&[encode::set_of(vec![encode::sequence(&[
        encode::oid(&oid::COMMON_NAME),
        encode::utf8("carol@example.org"),
    ])])]);
    let info = [encode::integer_u64(0), subject, key.public_key().spki().to_vec(), asked.to_vec()];
    let info = encode::sequence(&info);
    let algorithm = SignatureAlgorithm::default_for(key.algorithm(), DigestAlgorithm::Sha256).expect("it signs");
    let signature = signature::sign(key, algorithm, Input::Message(&info), &mut Seeded::new(b"signed")).expect("signed");
    encode::sequence(&[info, algorithm.identifier().to_der(), encode::bit_string(&signature)])
}
