//! What revocation lists say about a certificate (RFC 5280 6.3.3).

use crate::pki::crl::REMOVED;
use crate::pki::distribution::{DistributionPoint, Holders, IsOwn, Issuers, Reasons, Scope};
use crate::pki::revocation::{Evidence, Question, Said, Unusable};
use crate::pki::{Crl, GeneralName};

/// A list that someone signed who may, and what of it was read.
struct Candidate<'a> {
    crl: &'a Crl,
    scope: Scope,
    is_own: IsOwn,
}

impl<'a> Question<'a> {
    /// Asks every list at hand.
    pub(super) fn ask_lists(&self, evidence: &mut Evidence<'a>) {
        if self.inputs.crls.is_empty() {
            return;
        }
        let points = DistributionPoint::of(self.certificate, self.inputs.limits).unwrap_or_else(|error| {
            evidence.note(|| "the distribution points of the certificate".to_owned(), Unusable::Malformed(error.to_string()));
            let own = GeneralName::Directory(self.certificate.issuer().clone());
            vec![DistributionPoint { names: vec![own], reasons: Reasons::ALL, issuers: Vec::new() }]
        });
        let mut candidates = Vec::new();
        for (at, crl) in self.inputs.crls.iter().enumerate() {
            match self.candidate(at, crl, &points) {
                Ok(found) => candidates.extend(found),
                Err(why) => evidence.note(|| called(crl), why),
            }
        }
        let (deltas, complete): (Vec<_>, Vec<_>) = candidates.into_iter().partition(|candidate| candidate.crl.is_delta());
        for delta in &deltas {
            self.ask_delta(delta, &complete, evidence);
        }
        for list in &complete {
            self.ask_list(list, &deltas, &points, evidence);
        }
    }

    /// A list that may tell about the certificate, signed by one who may; nothing where it is someone else's.
    fn candidate(&self, at: usize, crl: &'a Crl, points: &[DistributionPoint]) -> Result<Option<Candidate<'a>>, Unusable> {
        let is_own = if self.is_issued_by(crl.issuer()) { IsOwn::Yes } else { IsOwn::No };
        if is_own == IsOwn::No && !points.iter().any(|point| point.is_signed_by(crl.issuer())) {
            return Ok(None);
        }
        let scope = crl.scope(self.inputs.limits).map_err(|error| Unusable::Malformed(error.to_string()))?;
        if matches!(scope.holders, Holders::Attributes | Holders::Contradictory) {
            return Err(Unusable::OtherHolders);
        }
        if is_own == IsOwn::No && scope.issuers == Issuers::Own {
            return Err(Unusable::NotIndirect);
        }
        self.list_is_signed(at, crl)?;
        Ok(Some(Candidate { crl, scope, is_own }))
    }

    /// A delta list revokes even where its base is not at hand.
    fn ask_delta(&self, delta: &Candidate<'a>, complete: &[Candidate<'a>], evidence: &mut Evidence<'a>) {
        let said = Said { list: Some(delta.crl), made: delta.crl.this_update() };
        match self.entry(delta.crl) {
            Some((date, reason)) if reason != Some(REMOVED) => evidence.revoked(said, date, reason),
            _ if complete.iter().any(|list| list.crl.is_continued_by(delta.crl)) => {}
            _ => evidence.note(|| called(delta.crl), Unusable::NoBase),
        }
    }

    /// A complete list, with the newest delta list that continues it.
    fn ask_list(
        &self,
        list: &Candidate<'a>,
        deltas: &[Candidate<'a>],
        points: &[DistributionPoint],
        evidence: &mut Evidence<'a>,
    ) {
        let at = self.inputs.at;
        let continues = |delta: &&Candidate<'a>| {
            list.crl.is_continued_by(delta.crl) && delta.crl.this_update() <= at && delta.crl.unknown_critical().is_none()
        };
        let delta = deltas.iter().filter(continues).max_by_key(|delta| delta.crl.number()).map(|delta| delta.crl);
        // a revocation stays true when its list is old
        let entry = delta.and_then(|delta| self.entry(delta)).or_else(|| self.entry(list.crl));
        let made = delta.map_or(list.crl.this_update(), Crl::this_update);
        let said = Said { list: Some(list.crl), made };
        if let Some((date, reason)) = entry.filter(|(_, reason)| *reason != Some(REMOVED)) {
            return evidence.revoked(said, date, reason);
        }
        match self.reasons(list, delta, points) {
            Ok(reasons) => evidence.good(said, reasons),
            Err(why) => evidence.note(|| called(list.crl), why),
        }
    }

    /// For which reasons the list says that the certificate was not revoked.
    fn reasons(&self, list: &Candidate<'_>, delta: Option<&Crl>, points: &[DistributionPoint]) -> Result<Reasons, Unusable> {
        let (at, crl) = (self.inputs.at, list.crl);
        if let Some(name) = crl.unknown_critical() {
            return Err(Unusable::UnknownCritical(name));
        }
        if let Some(name) = [Some(crl), delta].into_iter().flatten().find_map(Crl::weak_algorithm) {
            return Err(Unusable::WeakAlgorithm(name));
        }
        if !list.scope.holds(self.certificate) {
            return Err(Unusable::OtherHolders);
        }
        let each = points.iter().map(|point| list.scope.reasons_at(point, list.is_own, crl.issuer()));
        let reasons = each.fold(Reasons::NONE, Reasons::or);
        if reasons.is_empty() {
            return Err(Unusable::OtherPlace);
        }
        if crl.this_update() > at {
            return Err(Unusable::NotYetMade { made: crl.this_update(), at });
        }
        // what continues a list makes it current
        if !crl.is_current(at) && !delta.is_some_and(|delta| delta.is_current(at)) {
            return Err(Unusable::TooOld { due: crl.next_update().unwrap_or(at), at });
        }
        Ok(reasons)
    }

    /// When and why a list says that the certificate was revoked, up to the moment that is asked about.
    fn entry(&self, crl: &Crl) -> Option<(crate::time::Timestamp, Option<u8>)> {
        let entry = crl.lookup_of(self.certificate.issuer(), self.certificate.serial())?;
        (entry.date <= self.inputs.at).then_some((entry.date, entry.reason))
    }
}

fn called(crl: &Crl) -> String {
    format!("the revocation list of {} of {}", crl.issuer(), crl.this_update())
}
