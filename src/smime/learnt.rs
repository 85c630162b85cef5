//! What a signer says about mail to him: what he reads, and which certificate to encrypt to (RFC 8551 2.5.2, 2.5.3).

use crate::cms::{Capabilities, SignedData, Signer};
use crate::limits::{Budget, LimitReached};
use crate::pki::{self, Certificate, ChainStatus, Inquiry, Judgement, PolicyInputs, Purpose, email::Addresses};
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

/// What judging another certificate takes, and what it asks.
pub(in crate::smime) struct Asking<'m> {
    /// How many may still be judged for one message: each costs as much as a signer does.
    pub(in crate::smime) left: &'m mut Budget,
    /// The questions that could be asked again.
    pub(in crate::smime) inquiries: &'m mut Vec<Inquiry>,
}

impl Learnt {
    /// Reads the attributes of a signer whose certificate is this one.
    pub(in crate::smime) fn of(
        open: &Open<'_>,
        signer: &Signer,
        data: &SignedData,
        certificate: &Certificate,
        asking: &mut Asking<'_>,
    ) -> Result<Self, LimitReached> {
        let preference = signer.encryption_key_preference();
        let is_wanted = |candidate: &&Certificate| match &preference {
            Some(id) => id.names(candidate),
            // 2.5.3.1: one of the same subject, where the signer named none and signs with a key that only signs
            None => candidate.subject().matches(certificate.subject()) && check_recipient(certificate).is_err(),
        };
        let addresses = Addresses::of(&certificate.addresses());
        let is_usable = |candidate: &&Certificate| {
            let is_same_person = candidate.addresses().iter().any(|address| addresses.contains(address));
            *candidate != certificate && is_same_person && check_recipient(candidate).is_ok()
        };
        let mut learnt = Self { capabilities: signer.capabilities(), encryption_certificate: None };
        for candidate in data.certificates.iter().filter(is_wanted).filter(is_usable) {
            // the certificates of a message are anybody's: a thousand could be of one name
            asking.left.spend(1u64)?;
            if status(open, data, candidate, asking.inquiries) == ChainStatus::Trusted {
                learnt.encryption_certificate = Some(candidate.clone());
                break;
            }
        }
        Ok(learnt)
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
