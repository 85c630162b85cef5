//! Certificates, revocation lists and OCSP responses are read and judged; nothing is trusted that nobody signed.

use sealpost::asn1::{Cursor, pem};
use sealpost::http::Url;
use sealpost::limits::Limits;
use sealpost::lint::{self, Against};
use sealpost::pki::{
    self, Certificate, ChainStatus, ChainVerdict, Crl, Had, Inquiry, Judgement, PolicyInputs, Purpose, Revocation,
    RevocationStatus, TrustAnchors, What, ocsp,
};

use super::cast::{Cast, NOW};

/// The authorities of the cast: nobody else may sign.
const AUTHORITIES: [&[u8]; 3] = [
    include_bytes!("../../certs/root.pem"),
    include_bytes!("../../certs/issuing.pem"),
    include_bytes!("../../certs/servers.pem"),
];

/// What the bytes hold.
#[derive(Default)]
struct Held {
    certificates: Vec<Certificate>,
    lists: Vec<Crl>,
    responses: Vec<ocsp::Response>,
}

/// Reads bytes as values in DER one after another, or as PEM, and judges the first certificates.
pub fn run(bytes: &[u8]) {
    thread_local!(static CAST: Cast = Cast::load());
    let mut limits = Limits::default();
    // a step of public-key arithmetic each; the bounds themselves are tested elsewhere
    (limits.path_signature_checks, limits.revocation_checks) = (20, 40);
    let held = read(bytes, &limits);
    CAST.with(|cast| {
        let own: TrustAnchors = held.certificates.iter().filter(|one| one.is_self_issued()).cloned().collect();
        for leaf in held.certificates.iter().take(2) {
            let verdict = judge(leaf, &held, &cast.trust.anchors, cast, &limits);
            if verdict.status == ChainStatus::Trusted {
                assert!(is_signed(leaf), "{leaf} is trusted, and nobody signed it");
            }
            judge(leaf, &held, &own, cast, &limits);
        }
    });
}

fn read(bytes: &[u8], limits: &Limits) -> Held {
    let mut held = Held::default();
    if pem::looks_like(bytes) {
        held.certificates = pki::load::certificates(bytes).unwrap_or_default();
        if let Ok((lists, responses)) = pki::load::revocation(bytes.to_vec(), limits) {
            (held.lists, held.responses) = (lists, responses);
        }
    }
    let mut values = Cursor::with_limits(bytes, limits);
    while let Ok(value) = values.any() {
        held.certificates.extend(pki::load::certificates(value.raw).unwrap_or_default());
        held.lists.extend(pki::load::crls(value.raw).unwrap_or_default());
        held.responses.extend(ocsp::Response::from_der(value.raw, limits).ok());
    }
    held.certificates.truncate(12);
    held.certificates.iter().for_each(|one| drop((one.describe(), one.addresses(), one.policies())));
    let against = Against::all();
    held.certificates.iter().for_each(|one| drop(lint::certificate(one, &against)));
    held.responses.iter().for_each(|one| drop(lint::response(one, &against)));
    for list in &held.lists {
        drop(lint::list(list, &against));
        assert_eq!(list.entries().count(), list.len());
        list.entries().take(20).for_each(|entry| drop(list.lookup(&entry.serial)));
    }
    held
}

fn judge(leaf: &Certificate, held: &Held, anchors: &TrustAnchors, cast: &Cast, limits: &Limits) -> ChainVerdict {
    let pool: Vec<Certificate> = held.certificates.iter().chain(&cast.known).cloned().collect();
    let (crls, ocsp) = (&held.lists[..], &held.responses[..]);
    let question = Judgement {
        leaf,
        pool: &pool,
        anchors,
        crls,
        ocsp,
        purpose: Purpose::MailSign,
        at: NOW,
        revocation: Revocation::Hard,
        limits,
    };
    let hard = pki::judge(&question);
    let off = pki::judge(&Judgement { purpose: Purpose::Any, revocation: Revocation::Off, ..question });
    assert!(off.wanted.iter().all(|wanted| wanted.what == What::Issuer), "nothing is asked of revocation");
    let question = Judgement { revocation: Revocation::Soft, ..question };
    let soft = pki::judge(&question);
    assert!(soft.status == ChainStatus::Trusted || hard.status != ChainStatus::Trusted, "hard is no softer");
    let is_silent = crls.is_empty() && ocsp.is_empty() && soft.path.len() > 1;
    assert!(!is_silent || soft.revocation != RevocationStatus::Good, "nobody said so");
    // the same again, asked in the other way
    let again = Inquiry::new(&question, &PolicyInputs::new()).ask(&Had::default());
    assert_eq!((&again.reasons, again.status, &again.wanted), (&soft.reasons, soft.status, &soft.wanted));
    for (at, wanted) in soft.wanted.iter().enumerate() {
        assert!(at < limits.wanted && !soft.wanted[..at].contains(wanted));
        for url in wanted.places.iter().filter_map(|place| Url::parse(place).ok()) {
            assert_eq!(Url::parse(&url.to_string()).as_ref(), Ok(&url));
        }
        if let What::Response(request) = &wanted.what {
            assert!(Cursor::new(&request.to_der()).sequence().is_ok());
        }
    }
    soft
}

/// Whether an authority of the cast signed this.
fn is_signed(leaf: &Certificate) -> bool {
    let mut authorities = AUTHORITIES.iter().flat_map(|pem| pki::load::certificates(pem).expect("of the cast"));
    authorities.any(|one| one.public_key().is_ok_and(|key| leaf.verify_signature(&key).is_ok()))
}
