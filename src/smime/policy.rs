//! What a reader trusts and what he excuses.

use std::collections::BTreeSet;

use crate::limits::Limits;
use crate::pki::{self, Certificate, Crl, Revocation, TrustAnchors, ocsp};
use crate::smime::finding::{Code, Excuse, Finding, Severity};
use crate::time::Timestamp;

/// What decides whether a signer is trusted, and for which moment.
#[derive(Debug, Clone)]
pub struct Trust {
    /// The certificates that are trusted to vouch for others.
    pub anchors: TrustAnchors,
    /// Certificates that may stand between, beside those of the message.
    pub intermediates: Vec<Certificate>,
    /// Revocation lists at hand.
    pub crls: Vec<Crl>,
    /// OCSP responses at hand.
    pub ocsp: Vec<ocsp::Response>,
    /// What an unknown revocation means.
    pub revocation: Revocation,
    /// The moment for which certificates are judged.
    pub at: Timestamp,
}

impl Trust {
    /// Trust in these anchors at this moment; nothing else at hand, unknown revocation is a warning.
    pub fn new(anchors: TrustAnchors, at: Timestamp) -> Self {
        Self { anchors, intermediates: Vec::new(), crls: Vec::new(), ocsp: Vec::new(), revocation: Revocation::Soft, at }
    }

    /// Has this at hand, too.
    pub fn add(&mut self, had: pki::Had) {
        self.intermediates.extend(had.issuers);
        self.crls.extend(had.lists);
        self.ocsp.extend(had.responses);
    }

    /// The lists and responses at hand, and those that a message brings (RFC 5652 10.2.1, RFC 5940): whoever brings them, they count
    /// by who signed them. What cannot be read of the latter is passed over.
    pub(in crate::smime) fn revocation_with(
        &self,
        lists: &[Vec<u8>],
        responses: &[Vec<u8>],
        limits: &Limits,
    ) -> (Vec<Crl>, Vec<ocsp::Response>) {
        let lists = lists.iter().filter_map(|bytes| Crl::from_der(bytes).ok());
        let responses = responses.iter().filter_map(|bytes| ocsp::Response::from_der(bytes, limits).ok());
        (self.crls.iter().cloned().chain(lists).collect(), self.ocsp.iter().cloned().chain(responses).collect())
    }
}

/// The findings that a reader excuses, each by name; none by default.
///
/// Only findings that a person can judge are here: a changed message, a revoked certificate or a malformed structure is never excused.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Accept(BTreeSet<Code>);

impl Accept {
    /// The findings that may be excused.
    pub const CODES: [&'static str; 6] =
        ["expired", "untrusted", "from-mismatch", "weak-algorithm", "revocation-unknown", "only-compressed"];

    /// Excuses these findings; gives back the word that is none of [`Accept::CODES`].
    pub fn from_codes<'a>(codes: impl IntoIterator<Item = &'a str>) -> Result<Self, &'a str> {
        let mut accepted = BTreeSet::new();
        for word in codes {
            let code = Code::from_code(word).filter(|_| Self::CODES.contains(&word)).ok_or(word)?;
            accepted.insert(code);
        }
        Ok(Self(accepted))
    }

    /// Whether this kind of finding is excused.
    pub fn excuses(&self, code: Code) -> bool {
        self.0.contains(&code)
    }

    /// Turns an excused error into a warning that says so.
    pub(in crate::smime) fn apply(&self, mut finding: Finding) -> Finding {
        if finding.severity == Severity::Error && self.excuses(finding.code) {
            finding.severity = Severity::Warning;
            finding.text = format!("{} (accepted)", finding.text);
            finding.fix = None;
            finding.excuse = Excuse::Accepted;
        }
        finding
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refuses_to_excuse_a_bad_signature() {
        assert_eq!(Accept::from_codes(["expired", "signature-invalid"]), Err("signature-invalid"));
    }

    #[test]
    fn an_excused_finding_is_a_warning_that_says_so() {
        let accept = Accept::from_codes(["expired"]).expect("a known code");
        let finding = accept.apply(Finding::error(Code::Expired, "it ended"));
        assert_eq!(finding.severity, Severity::Warning);
        assert!(finding.text.ends_with("(accepted)") && finding.excuse == Excuse::Accepted);
        let told = accept.apply(Finding::warning(Code::Expired, "the file is named (accepted)"));
        assert_eq!(told.excuse, Excuse::None, "a name in the text excuses nothing");
        let other = accept.apply(Finding::error(Code::Untrusted, "nobody vouches"));
        assert_eq!(other.severity, Severity::Error);
    }
}
