//! Path building: from a certificate to a trust anchor, over every candidate, within a budget.

use crate::limits::{Budget, Limits};
use crate::pki::revocation::Checks;
use crate::pki::validate::{Findings, Inputs, Purpose, validate};
use crate::pki::verdict::{self, ChainStatus, ChainVerdict, Reason, ReasonCode, Rejected, Revocation, RevocationStatus, Weight};
use crate::pki::wanted::{self, Wants};
use crate::pki::{Certificate, Crl, Error, PolicyInputs, TrustAnchors, ocsp};
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
    /// OCSP responses at hand.
    pub ocsp: &'a [ocsp::Response],
    /// What it shall be good for.
    pub purpose: Purpose,
    /// For which moment.
    pub at: Timestamp,
    /// What an unknown revocation means.
    pub revocation: Revocation,
    /// The bounds.
    pub limits: &'a Limits,
}

/// Judges a certificate: builds every path within the budget, validates each, and gives the best. No policy is asked for; where an
/// authority of a path demands one, it must hold.
pub fn judge(question: &Judgement<'_>) -> ChainVerdict {
    judge_under(question, &PolicyInputs::new())
}

/// Judges a certificate as [`judge`] does, under certificate policies: a path that is refused for them lets another be tried.
pub fn judge_under(question: &Judgement<'_>, policies: &PolicyInputs) -> ChainVerdict {
    let limits = question.limits;
    let mut search = Search {
        question,
        policies,
        checks: Budget::new("path signature checks", limits.path_signature_checks),
        told: Budget::new("rejection bytes", limits.rejection_bytes),
        revocation_checks: Checks::new(limits),
        issuers: Wants::new(limits),
        best: None,
        rejected: Vec::new(),
        untold: 0,
    };
    search.extend(&mut vec![question.leaf.clone()]);
    search.verdict()
}

/// A path to an anchor, and what was found out about it.
struct Complete {
    path: Vec<Certificate>,
    status: ChainStatus,
    findings: Findings,
}

struct Search<'a> {
    question: &'a Judgement<'a>,
    policies: &'a PolicyInputs,
    checks: Budget,
    /// What reasons of paths that do not hold may still take.
    told: Budget,
    revocation_checks: Checks,
    /// Issuers whose certificates are missing.
    issuers: Wants,
    best: Option<Complete>,
    rejected: Vec<Rejected>,
    untold: usize,
}

impl Search<'_> {
    /// Extends the path by every candidate; true when a trusted path was found or the budget is spent.
    fn extend(&mut self, path: &mut Vec<Certificate>) -> bool {
        let Some(last) = path.last().cloned() else { return false };
        if self.question.anchors.contains(&last) {
            return self.complete(path);
        }
        let here = path.len().saturating_sub(1);
        if path.len() >= self.question.limits.path_length {
            let text = format!("limit reached: path length – at most {}", self.question.limits.path_length);
            self.reject(path, vec![Reason::error(ReasonCode::Limit, text).at(here)]);
            return false;
        }
        let candidates = self.candidates(&last, path);
        if candidates.is_empty() {
            self.want_issuer(&last);
            self.reject(path, vec![dead_end(&last).at(here)]);
            return false;
        }
        let mut is_signed_by_one = false;
        for candidate in candidates {
            if let Err(limit) = self.checks.spend(1u64) {
                self.reject(path, vec![Reason::error(ReasonCode::Limit, limit.to_string()).at(here)]);
                return true;
            }
            let fits = self.question.anchors.check_signature(&candidate, &last);
            is_signed_by_one |= fits.is_ok();
            path.push(candidate);
            let done = match fits {
                Ok(()) => self.extend(path),
                Err(error) => {
                    self.signature_fails(path, &last, &error, here);
                    false
                }
            };
            path.pop();
            if done {
                return true;
            }
        }
        if !is_signed_by_one {
            self.want_issuer(&last);
        }
        false
    }

    /// The issuer's certificate, wherever the certificate says that it is.
    fn want_issuer(&self, certificate: &Certificate) {
        self.issuers.add(wanted::issuer_of(certificate, self.question.limits));
    }

    /// The last certificate of the path did not sign the one before it.
    fn signature_fails(&mut self, path: &[Certificate], signed: &Certificate, error: &Error, at: usize) {
        let Some(candidate) = path.last() else { return };
        let text = format!("the signature of {candidate} on the certificate of {signed} does not stand – {error}");
        self.reject(path, vec![Reason::error(ReasonCode::SignatureInvalid, text).at(at)]);
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
        let Judgement { purpose, at, crls, ocsp, revocation, pool, limits, .. } = *question;
        let checks = &self.revocation_checks;
        let inputs = Inputs { purpose, at, crls, ocsp, checks, revocation, pool, policies: self.policies, limits };
        let before = checks.wants.len();
        let findings = validate(path, &inputs);
        let status = verdict::status(&findings.reasons);
        // what does not hold for another reason is not helped by news of revocation
        if !lacks_only_revocation(&findings.reasons) {
            checks.wants.truncate(before);
        }
        if status != ChainStatus::Trusted {
            self.reject(path, findings.reasons.clone());
        }
        if self.best.as_ref().is_none_or(|best| status < best.status) {
            self.best = Some(Complete { path: path.to_vec(), status, findings });
        }
        status == ChainStatus::Trusted
    }

    /// Keeps why a path does not hold, while there is room; of the first it is kept always, and so are bounds, which are short.
    fn reject(&mut self, path: &[Certificate], reasons: Vec<Reason>) {
        let is_bound = reasons.iter().any(|reason| reason.code == ReasonCode::Limit);
        let bytes = reasons.iter().map(|reason| reason.text.len()).sum::<usize>();
        if self.told.spend(bytes).is_err() && !self.rejected.is_empty() && !is_bound {
            self.untold = self.untold.saturating_add(1);
            return;
        }
        self.rejected.push(Rejected { path: path.to_vec(), status: verdict::status(&reasons), reasons });
    }

    /// The best path; where none reached an anchor, the reasons of all.
    fn verdict(self) -> ChainVerdict {
        let Self { question, best, rejected, untold: rejected_untold, issuers, revocation_checks, checks, .. } = self;
        let tried = checks.spent().saturating_add(revocation_checks.spent()).saturating_add(1);
        let wanted = match &best {
            Some(best) if lacks_only_revocation(&best.findings.reasons) => revocation_checks.wants.into_vec(),
            // no other path makes the judged certificate itself another one
            Some(best) if best.findings.reasons.iter().any(|reason| reason.weight == Weight::Error && reason.at == Some(0)) => {
                Vec::new()
            }
            _ => issuers.into_vec(),
        };
        if let Some(Complete { path, status, findings }) = best {
            let Findings { reasons, revocation, policies } = findings;
            let policies = if status == ChainStatus::Trusted { policies } else { Vec::new() };
            return ChainVerdict { status, path, revocation, reasons, policies, rejected, rejected_untold, wanted, tried };
        }
        let mut reasons: Vec<Reason> = Vec::new();
        for reason in rejected.iter().flat_map(|rejected| &rejected.reasons) {
            if !reasons.iter().any(|known| known.text == reason.text) {
                // only the judged certificate is of the path that is given
                reasons.push(Reason { at: reason.at.filter(|at| *at == 0), ..reason.clone() });
            }
        }
        // bounds last: the other reasons tell more
        reasons.sort_by_key(|reason| reason.code == ReasonCode::Limit);
        let revocation = if question.revocation == Revocation::Off { RevocationStatus::Off } else { RevocationStatus::Unknown };
        let (status, path) = (verdict::status(&reasons), vec![question.leaf.clone()]);
        ChainVerdict { status, path, revocation, reasons, policies: Vec::new(), rejected, rejected_untold, wanted, tried }
    }
}

/// Whether nothing stands against a path but that revocation is not known.
fn lacks_only_revocation(reasons: &[Reason]) -> bool {
    reasons.iter().all(|reason| reason.weight == Weight::Warning || reason.code == ReasonCode::RevocationUnknown)
}

/// Nobody at hand vouches for this certificate.
fn dead_end(last: &Certificate) -> Reason {
    if last.is_self_issued() {
        let text = format!("certificate of {last} vouches for itself and is no trust anchor");
        return Reason::error(ReasonCode::SelfSigned, text).fix("sealpost trust add FILE");
    }
    let text = format!("the certificate of the issuer {} is missing – it signed {last}", last.issuer());
    // above an authority stands a root as a rule, above a person an intermediate
    let is_authority = last.basic_constraints().is_some_and(|constraints| constraints.is_ca);
    let fix = if is_authority { "sealpost trust add FILE" } else { "--intermediates FILE" };
    Reason::error(ReasonCode::IssuerMissing, text).fix(fix)
}
