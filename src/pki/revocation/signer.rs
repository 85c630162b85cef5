//! Who signed a list, and whether he may (RFC 5280 6.3.3 (f), (g)).

use crate::pki::path::{Judgement, judge};
use crate::pki::revocation::{Ends, Found, PathOfSigner, Question, Signed, Unusable};
use crate::pki::validate::Purpose;
use crate::pki::wanted;
use crate::pki::{Certificate, ChainStatus, Crl, Name, Revocation, TrustAnchors, Usage};

/// What the search for a signer's path costs, in signature checks. 10: one for each certificate of a long path, with some in vain.
const PATH: u64 = 10;

impl Question<'_> {
    /// Whether the list is signed by one who may: a certificate of this name in the path itself, or one with a path to the same anchor.
    pub(super) fn list_is_signed(&self, at: usize, crl: &Crl) -> Result<(), Unusable> {
        let id = crl.authority_key_id();
        let mut candidates: Vec<&Certificate> = Vec::new();
        for certificate in self.above.iter().chain(self.inputs.pool) {
            if certificate.subject().matches(crl.issuer()) && !candidates.contains(&certificate) {
                candidates.push(certificate);
            }
        }
        // the identifier tells which of several keys it is; the signature proves it
        candidates.sort_by_key(|certificate| id.is_some() && certificate.subject_key_id() != id);
        let mut why = Unusable::SignerMissing(crl.issuer().to_string());
        let limits = self.inputs.limits;
        for candidate in candidates {
            if !self.has_signed(Signed::List(at), candidate, |key| crl.verify_signature(key).is_ok())? {
                continue;
            }
            match self.may_sign_lists(candidate).and_then(|()| self.vouched_for(candidate)) {
                Ok(()) => return Ok(()),
                Err(unusable) => why = unusable,
            }
        }
        if matches!(why, Unusable::SignerMissing(_)) {
            self.inputs.checks.wants.add(wanted::signer_of(crl, self.certificate, limits));
        }
        Err(why)
    }

    /// Whether this certificate's key signed it; each pair is tried once in a judgement.
    pub(super) fn has_signed(
        &self,
        what: Signed,
        candidate: &Certificate,
        verify: impl FnOnce(&crate::crypto::key::PublicKey) -> bool,
    ) -> Result<bool, Unusable> {
        let checks = self.inputs.checks;
        let pair = (what, candidate.fingerprint());
        if let Some(known) = checks.signed.borrow().get(&pair) {
            return Ok(*known);
        }
        checks.spend(1)?;
        let has_signed = candidate.public_key().is_ok_and(|key| verify(&key));
        checks.signed.borrow_mut().insert(pair, has_signed);
        Ok(has_signed)
    }

    /// Whether the path of a signer to the same anchor stands, and nothing in it was revoked.
    fn vouched_for(&self, signer: &Certificate) -> Result<(), Unusable> {
        // those above are judged with the path; those for whose sake this is asked are being judged
        if self.above.contains(signer) || self.asked.contains(signer) {
            return Ok(());
        }
        let path = self.path_of(signer)?;
        let asked = self.asked_for(signer)?;
        for (at, certificate) in path.iter().enumerate() {
            let above = path.get(at.saturating_add(1)..).unwrap_or_default();
            if !above.is_empty() {
                self.about(certificate, above, &asked).must_not_be_revoked()?;
            }
        }
        Ok(())
    }

    /// Those on whose account more is asked, and this signer.
    pub(super) fn asked_for(&self, signer: &Certificate) -> Result<Vec<Certificate>, Unusable> {
        let limit = self.inputs.limits.revocation_depth;
        if self.asked.len() >= limit {
            let limit = u64::try_from(limit).unwrap_or(u64::MAX);
            return Err(Unusable::Limit(crate::limits::LimitReached { name: "revocation depth", limit }));
        }
        self.inputs.checks.spend(1)?;
        Ok(self.asked.iter().chain([signer]).cloned().collect())
    }

    /// Asks about a signer's certificate, or one over it.
    pub(super) fn must_not_be_revoked(&self) -> Result<(), Unusable> {
        match self.status() {
            Found::Good => Ok(()),
            Found::Revoked { .. } => Err(Unusable::SignerRevoked(self.certificate.to_string())),
            Found::Unknown { .. } if self.inputs.revocation == Revocation::Hard => {
                Err(Unusable::SignerUnknown(self.certificate.to_string()))
            }
            Found::Unknown { .. } => Ok(()),
        }
    }

    fn path_of(&self, signer: &Certificate) -> Result<Vec<Certificate>, Unusable> {
        let untrusted = |why: String| Unusable::SignerUntrusted(signer.to_string(), why);
        let Some(anchor) = self.above.last() else { return Err(untrusted("there is no trust anchor".to_owned())) };
        let ends = Ends { signer: signer.fingerprint(), anchor: anchor.fingerprint() };
        if let Some(PathOfSigner(known)) = self.inputs.checks.paths.borrow().get(&ends) {
            return known.clone().map_err(untrusted);
        }
        self.inputs.checks.spend(PATH)?;
        let verdict = judge(&Judgement {
            leaf: signer,
            pool: self.inputs.pool,
            anchors: &TrustAnchors::from_iter([anchor.clone()]),
            crls: &[],
            ocsp: &[],
            purpose: Purpose::Any,
            at: self.inputs.at,
            revocation: Revocation::Off,
            limits: self.inputs.limits,
        });
        self.inputs.checks.wants.add(verdict.wanted);
        let found = match (verdict.status, verdict.reasons.into_iter().next()) {
            (ChainStatus::Trusted, _) => Ok(verdict.path),
            (_, reason) => Err(reason.map_or_else(|| "no path is trusted".to_owned(), |reason| reason.text)),
        };
        self.inputs.checks.paths.borrow_mut().insert(ends, PathOfSigner(found.clone()));
        found.map_err(untrusted)
    }

    pub(super) fn is_issued_by(&self, name: &Name) -> bool {
        self.certificate.issuer().matches(name)
    }

    /// An authority may unless it is told otherwise; everyone else must be told so. What those above are the path is judged by.
    fn may_sign_lists(&self, certificate: &Certificate) -> Result<(), Unusable> {
        let is_authority = certificate.basic_constraints().is_some_and(|constraints| constraints.is_ca);
        let may_unless_told = is_authority || self.above.contains(certificate);
        if certificate.key_usage().map_or(may_unless_told, |usage| usage.allows(Usage::CrlSign)) {
            return Ok(());
        }
        Err(Unusable::SignerUntrusted(certificate.to_string(), "its certificate does not allow cRLSign".to_owned()))
    }
}
