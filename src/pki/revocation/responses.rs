//! What OCSP responses say about a certificate (RFC 6960 3.2, 4.2.2).

use crate::asn1::{Oid, oid};
use crate::pki::distribution::Reasons;
use crate::pki::ocsp::{Answer, Basic, Status};
use crate::pki::revocation::{Evidence, Question, Said, Signed, Unusable};
use crate::pki::validate::is_known;
use crate::pki::{Certificate, Usage};

/// Seconds by which the clock of a responder may be ahead. 300: what OpenSSL allows.
const SKEW: i64 = 300;

/// Seconds for which an answer counts that does not say when the next is due, which means "ask again": a day.
const ONE_DAY: i64 = 86_400;

impl<'a> Question<'a> {
    /// Asks every response at hand.
    pub(super) fn ask_responses(&self, evidence: &mut Evidence<'a>) {
        let Some(issuer) = self.above.first() else { return };
        for (at, response) in self.inputs.ocsp.iter().enumerate() {
            let basic = match response.content() {
                Ok(basic) => basic,
                Err(refusal) => {
                    evidence.note(|| "the OCSP response".to_owned(), Unusable::Refused(refusal));
                    continue;
                }
            };
            let called = || format!("the OCSP response of {} of {}", basic.responder(), basic.produced_at());
            let answers: Vec<&Answer> = basic.answers().iter().filter(|a| a.id.is_of(self.certificate, issuer)).collect();
            if answers.is_empty() {
                evidence.note(called, Unusable::OtherCertificate);
                continue;
            }
            if let Err(why) = self.response_is_signed(at, basic, issuer) {
                evidence.note(called, why);
                continue;
            }
            for answer in answers {
                self.take(basic, answer, evidence).unwrap_or_else(|why| evidence.note(called, why));
            }
        }
    }

    fn take(&self, basic: &Basic, answer: &Answer, evidence: &mut Evidence<'a>) -> Result<(), Unusable> {
        let at = self.inputs.at;
        let said = Said { list: None, made: answer.this_update };
        // a revocation stays true when the response is old
        if let Status::Revoked { date, reason } = answer.status
            && date <= at
        {
            evidence.revoked(said, date, reason);
            return Ok(());
        }
        if let Some(unknown) = basic.unknown_critical(answer) {
            return Err(Unusable::UnknownCritical(unknown.to_string()));
        }
        if let Some(name) = basic.weak_algorithm() {
            return Err(Unusable::WeakAlgorithm(name));
        }
        if answer.this_update > at.plus_seconds(SKEW) {
            return Err(Unusable::NotYetMade { made: answer.this_update, at });
        }
        let due = answer.next_update.unwrap_or_else(|| answer.this_update.plus_seconds(ONE_DAY));
        if due < at {
            return Err(Unusable::TooOld { due, at });
        }
        if answer.status == Status::Unknown {
            return Err(Unusable::UnknownToResponder);
        }
        evidence.good(said, Reasons::ALL);
        Ok(())
    }

    /// Whether the issuer signed it, or one whom he told to (RFC 6960 4.2.2.2).
    fn response_is_signed(&self, at: usize, basic: &Basic, issuer: &Certificate) -> Result<(), Unusable> {
        let mut why = Unusable::SignerMissing(basic.responder().to_string());
        for candidate in [issuer].into_iter().chain(basic.certificates()).chain(self.inputs.pool) {
            if !basic.responder().is_of(candidate)
                || !self.has_signed(Signed::Response(at), candidate, |key| basic.verify_signature(key).is_ok())?
            {
                continue;
            }
            if candidate == issuer {
                return Ok(());
            }
            match self.is_delegate(candidate, issuer) {
                Ok(()) => return Ok(()),
                Err(unusable) => why = unusable,
            }
        }
        Err(why)
    }

    fn is_delegate(&self, delegate: &Certificate, issuer: &Certificate) -> Result<(), Unusable> {
        let refuse = |why: &str| Err(Unusable::SignerUntrusted(delegate.to_string(), why.to_owned()));
        if !delegate.issuer().matches(issuer.subject()) {
            return refuse("another authority issued its certificate");
        }
        self.inputs.checks.spend(1)?;
        if !issuer.public_key().is_ok_and(|key| delegate.verify_signature(&key).is_ok()) {
            return refuse("the signature of the authority on its certificate does not stand");
        }
        if !delegate.is_valid_at(self.inputs.at) {
            return refuse("its certificate is not valid then");
        }
        if !delegate.extended_key_usage().is_some_and(|usages| usages.contains(&oid::OCSP_SIGNING)) {
            return refuse("its certificate is not for OCSPSigning");
        }
        let may_sign = |usage: crate::pki::KeyUsage| usage.allows(Usage::DigitalSignature) || usage.allows(Usage::NonRepudiation);
        if delegate.unreadable_extensions().next().is_some() || !delegate.key_usage().is_none_or(may_sign) {
            return refuse("its certificate does not allow digitalSignature");
        }
        let is_understood = |oid: &Oid| is_known(oid) || *oid == oid::OCSP_NO_CHECK;
        if delegate.extensions().iter().any(|extension| extension.critical && !is_understood(&extension.oid)) {
            return refuse("its certificate has a critical extension that is not known here");
        }
        if crate::pki::crl::weak(delegate.signature_algorithm()).is_some() {
            return refuse("its certificate is signed with an algorithm that anyone may forge soon");
        }
        if delegate.extension(&oid::OCSP_NO_CHECK).is_some() {
            return Ok(());
        }
        // none vouches for itself
        if self.asked.contains(delegate) {
            return Err(Unusable::SignerUnknown(delegate.to_string()));
        }
        let asked = self.asked_for(delegate)?;
        self.about(delegate, self.above, &asked).must_not_be_revoked()
    }
}
