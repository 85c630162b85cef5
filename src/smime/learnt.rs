//! What a signer says about mail to him: what he reads, and which certificate to encrypt to (RFC 8551 2.5.2, 2.5.3).

use crate::cms::{Capabilities, SignedData, Signer};
use crate::pki::{self, Certificate, ChainStatus, Inquiry, Judgement, PolicyInputs, Purpose, email};
use crate::smime::choice::check_recipient;
use crate::smime::open::Open;

/// What a signer says about mail to him. It is worth what the signature over it is worth.
#[derive(Debug, Clone, Default)]
pub struct Learnt {
    /// What he reads.
    pub capabilities: Option<Capabilities>,
    /// The certificate to encrypt to, where it is another than the one that he signs with: of the same person, trusted, and for encryption.
    pub encryption_certificate: Option<Certificate>,
}

impl Learnt {
    /// Reads the attributes of a signer whose certificate is this one.
    pub(in crate::smime) fn of(
        open: &Open<'_>,
        signer: &Signer,
        data: &SignedData,
        certificate: &Certificate,
        inquiries: &mut Vec<Inquiry>,
    ) -> Self {
        let preference = signer.encryption_key_preference();
        let is_wanted = |candidate: &&Certificate| match &preference {
            Some(id) => id.names(candidate),
            // 2.5.3.1: one of the same subject, where the signer named none and signs with a key that only signs
            None => candidate.subject().matches(certificate.subject()) && check_recipient(certificate).is_err(),
        };
        let mut is_usable = |candidate: &&Certificate| {
            let addresses = certificate.addresses();
            let is_same_person = candidate.addresses().iter().any(|address| email::find(&addresses, address));
            *candidate != certificate
                && is_same_person
                && check_recipient(candidate).is_ok()
                && status(open, data, candidate, inquiries) == ChainStatus::Trusted
        };
        let encryption_certificate = data.certificates.iter().filter(is_wanted).find(&mut is_usable).cloned();
        Self { capabilities: signer.capabilities(), encryption_certificate }
    }
}

fn status(open: &Open<'_>, data: &SignedData, leaf: &Certificate, inquiries: &mut Vec<Inquiry>) -> ChainStatus {
    let pool: Vec<Certificate> = data.certificates.iter().chain(&open.trust.intermediates).cloned().collect();
    let question = Judgement {
        leaf,
        pool: &pool,
        anchors: &open.trust.anchors,
        crls: &open.trust.crls,
        ocsp: &open.trust.ocsp,
        purpose: Purpose::MailEncrypt,
        at: open.trust.at,
        revocation: open.trust.revocation,
        limits: &open.limits,
    };
    let chain = pki::judge(&question);
    if !chain.wanted.is_empty() {
        inquiries.push(Inquiry::new(&question, &PolicyInputs::new()));
    }
    chain.status
}
