//! Path building: from a certificate to a trust anchor, over every candidate, within a budget.

use crate::limits::{Budget, Limits};
use crate::pki::validate::{Inputs, Purpose, validate};
use crate::pki::{Certificate, ChainStatus, ChainVerdict, Crl, Reason, ReasonCode, Revocation, RevocationStatus, TrustAnchors};
use crate::time::Timestamp;

/// A question about a certificate: does it reach an anchor, and is it good for this?
#[derive(Debug, Clone, Copy)]
pub struct Judgement<'a> {
    /// The certificate.
    pub leaf: &'a Certificate,
    /// Certificates that may stand between.
    pub pool: &'a [Certificate],
    /// The trust anchors.
    pub anchors: &'a TrustAnchors,
    /// Revocation lists at hand.
    pub crls: &'a [Crl],
    /// What it shall be good for.
    pub purpose: Purpose,
    /// For which moment.
    pub at: Timestamp,
    /// What an unknown revocation means.
    pub revocation: Revocation,
    /// The bounds.
    pub limits: &'a Limits,
}

/// Judges a certificate: builds every path within the budget, validates each, and gives the best.
pub fn judge(question: &Judgement<'_>) -> ChainVerdict {
    let limits = question.limits;
    let mut search = Search {
        question,
        checks: Budget::new("path signature checks", limits.path_signature_checks),
        best: None,
        dead_ends: Vec::new(),
        limit: None,
    };
    search.extend(&mut vec![question.leaf.clone()]);
    if let Some(best) = search.best {
        return best;
    }
    let mut reasons = search.dead_ends;
    if let Some(limit) = search.limit {
        reasons.push(Reason::error(ReasonCode::Limit, limit));
    }
    let revocation = if question.revocation == Revocation::Off { RevocationStatus::Off } else { RevocationStatus::Unknown };
    ChainVerdict::new(vec![question.leaf.clone()], revocation, reasons)
}

struct Search<'a> {
    question: &'a Judgement<'a>,
    checks: Budget,
    best: Option<ChainVerdict>,
    dead_ends: Vec<Reason>,
    limit: Option<String>,
}

impl Search<'_> {
    /// Extends the path by every candidate; true when a trusted path was found or the budget is spent.
    fn extend(&mut self, path: &mut Vec<Certificate>) -> bool {
        let Some(last) = path.last().cloned() else { return false };
        if self.question.anchors.contains(&last) {
            return self.complete(path);
        }
        if path.len() >= self.question.limits.path_length {
            self.limit = Some(format!("limit reached: path length – at most {}", self.question.limits.path_length));
            return false;
        }
        let candidates = self.candidates(&last, path);
        if candidates.is_empty() {
            self.dead_end(&last);
            return false;
        }
        for candidate in candidates {
            if let Err(limit) = self.checks.spend(1u64) {
                self.limit = Some(limit.to_string());
                return true;
            }
            let fits = self.question.anchors.check_signature(&candidate, &last);
            if let Err(error) = fits {
                let text = format!("the signature of {candidate} on the certificate of {last} does not stand – {error}");
                self.note(Reason::error(ReasonCode::SignatureInvalid, text));
                continue;
            }
            path.push(candidate);
            let done = self.extend(path);
            path.pop();
            if done {
                return true;
            }
        }
        false
    }

    /// Certificates that name themselves as the issuer; anchors first, then those whose key identifier fits.
    fn candidates(&self, certificate: &Certificate, path: &[Certificate]) -> Vec<Certificate> {
        let wanted = certificate.authority_key_id();
        let fits = |c: &&Certificate| c.subject().matches(certificate.issuer()) && !path.contains(c);
        let mut found: Vec<Certificate> = self.question.anchors.iter().filter(fits).cloned().collect();
        let mut others: Vec<Certificate> = self.question.pool.iter().filter(fits).cloned().collect();
        others.sort_by_key(|c| match (&wanted, c.subject_key_id()) {
            (Some(wanted), Some(id)) if *wanted == id => 0,
            (None, _) | (_, None) => 1,
            _ => 2,
        });
        for other in others {
            if !found.contains(&other) {
                found.push(other);
            }
        }
        found
    }

    /// A path that reached an anchor; true when it is trusted.
    fn complete(&mut self, path: &[Certificate]) -> bool {
        let question = self.question;
        let Judgement { purpose, at, crls, revocation, pool, limits, .. } = *question;
        let inputs = Inputs { purpose, at, crls, revocation, pool, limits };
        let findings = validate(path, &inputs);
        let verdict = ChainVerdict::new(path.to_vec(), findings.revocation, findings.reasons);
        let better = self.best.as_ref().is_none_or(|best| verdict.status < best.status);
        let trusted = verdict.status == ChainStatus::Trusted;
        if better {
            self.best = Some(verdict);
        }
        trusted
    }

    fn dead_end(&mut self, last: &Certificate) {
        let reason = if last.is_self_issued() {
            let text = format!("certificate of {last} vouches for itself and is no trust anchor");
            Reason::error(ReasonCode::SelfSigned, text).fix("sealpost trust add FILE")
        } else {
            let text = format!("the certificate of the issuer {} is missing – it signed {last}", last.issuer());
            // above an authority stands a root as a rule, above a person an intermediate
            let is_authority = last.basic_constraints().is_some_and(|constraints| constraints.is_ca);
            let fix = if is_authority { "sealpost trust add FILE" } else { "--intermediates FILE" };
            Reason::error(ReasonCode::IssuerMissing, text).fix(fix)
        };
        self.note(reason);
    }

    fn note(&mut self, reason: Reason) {
        if !self.dead_ends.contains(&reason) {
            self.dead_ends.push(reason);
        }
    }
}
