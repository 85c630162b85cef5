//! What stands beside a signature: what its signer says of himself and the message, and who else vouches for it.

use std::cell::RefCell;

use crate::cms::ess::{ContentHints, Expansion, ReceiptRequest, SecurityLabel};
use crate::cms::timestamp::{Stamp, Token};
use crate::cms::{Capabilities, CounterSignature, SignatureCheck, SignedData, Signer, SignerId};
use crate::crypto::algorithm::Strength;
use crate::limits::{Budget, Limits};
use crate::pki::{self, Certificate, ChainStatus, Inquiry, Judgement, PolicyInputs, Purpose};
use crate::smime::finding::{Code, Finding};
use crate::smime::open::Open;
use crate::smime::verdict::SignatureStatus;
use crate::time::Timestamp;

/// What stands beside a signature. Of a signature that does not fit nothing is here.
#[derive(Debug, Clone, Default)]
pub struct SignerDetails {
    /// The time-stamps over the signature (RFC 3161).
    pub timestamps: Vec<TimestampVerdict>,
    /// Those who signed the signature (RFC 5652 11.4).
    pub countersigners: Vec<CountersignerVerdict>,
    /// Whether the signer wants receipts.
    pub receipt_request: Option<ReceiptRequest>,
    /// How sensitive the content is, says the signer.
    pub security_label: Option<SecurityLabel>,
    /// The same in the words of other policies.
    pub equivalent_labels: Vec<SecurityLabel>,
    /// What the signer can read.
    pub capabilities: Option<Capabilities>,
    /// Which certificate mail to the signer is to be encrypted to.
    pub encryption_key_preference: Option<SignerId>,
    /// What is inside of the content.
    pub content_hints: Option<ContentHints>,
    /// Through which mailing lists the message came.
    pub mailing_lists: Vec<Expansion>,
}

/// A time-stamp over a signature.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TimestampVerdict {
    /// The time that it says; `None` where it cannot be read.
    pub time: Option<Timestamp>,
    /// Who made it, as far as that is known.
    pub authority: Option<String>,
    /// What it is worth.
    pub proof: Proof,
}

/// What a time-stamp is worth.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Proof {
    /// Nothing was checked.
    Unchecked,
    /// An authority that is trusted, and serves for nothing but time, saw the signature at that time.
    Proven,
    /// It proves nothing, for this reason.
    Unproven(String),
}

/// Who signed a signature.
#[derive(Debug, Clone)]
pub struct CountersignerVerdict {
    /// The subject of his certificate, or his identifier where there is no certificate.
    pub subject: String,
    /// The addresses of his certificate.
    pub addresses: Vec<String>,
    /// The signature algorithm.
    pub algorithm: String,
    /// The time that he claims.
    pub claimed_time: Option<Timestamp>,
    /// Whether his signature fits, and where his chain ends; `None` where nothing was checked.
    pub check: Option<(SignatureStatus, ChainStatus)>,
}

impl SignerDetails {
    /// What a signer says, and nothing of it checked.
    pub(in crate::smime) fn claimed(signer: &Signer, data: &SignedData, limits: &Limits) -> Self {
        let mut details = Self::said_by(signer);
        details.timestamps = signer.timestamp_tokens().map(|token| TimestampVerdict::unchecked(token, limits)).collect();
        let counters = signer.counter_signatures(limits).unwrap_or_default();
        details.countersigners = counters
            .iter()
            .map(|counter| {
                let certificate = data.certificates.iter().find(|certificate| counter.signer.id.names(certificate));
                CountersignerVerdict::new(counter, certificate)
            })
            .collect();
        details
    }

    fn said_by(signer: &Signer) -> Self {
        Self {
            timestamps: Vec::new(),
            countersigners: Vec::new(),
            receipt_request: signer.receipt_request(),
            security_label: signer.security_label(),
            equivalent_labels: signer.equivalent_labels(),
            capabilities: signer.capabilities(),
            encryption_key_preference: signer.encryption_key_preference(),
            content_hints: signer.content_hints(),
            mailing_lists: signer.expansion_history(),
        }
    }

    /// When the signature was there for sure: the earliest proven time.
    pub fn proven_time(&self) -> Option<Timestamp> {
        self.timestamps.iter().filter(|stamp| stamp.proof == Proof::Proven).filter_map(|stamp| stamp.time).min()
    }
}

impl TimestampVerdict {
    fn unchecked(token: &[u8], limits: &Limits) -> Self {
        let info = Token::from_der(token, limits).ok().map(|token| token.info().clone());
        let authority = info.as_ref().and_then(|info| info.authority.as_ref()).map(ToString::to_string);
        Self { time: info.map(|info| info.time), authority, proof: Proof::Unchecked }
    }
}

impl CountersignerVerdict {
    fn new(counter: &CounterSignature, certificate: Option<&Certificate>) -> Self {
        Self {
            subject: certificate.map_or_else(|| counter.signer.id.to_string(), Certificate::to_string),
            addresses: certificate.map(Certificate::addresses).unwrap_or_default(),
            algorithm: counter.signer.algorithm_name(),
            claimed_time: counter.signer.signing_time(),
            check: None,
        }
    }
}

/// Judges what stands beside a signature that fits. Nothing of it makes a message bad: the findings are warnings, but for a bound.
///
/// Each costs as much as a signer does, and is taken from what is `left` for all of them.
pub(in crate::smime) fn judge(
    signer: &Signer,
    data: &SignedData,
    open: &Open<'_>,
    left: &mut Budget,
) -> (SignerDetails, Vec<Finding>, Vec<Inquiry>) {
    let mut judge = Judge { data, open, left, findings: Vec::new(), inquiries: RefCell::default() };
    let mut details = SignerDetails::said_by(signer);
    details.timestamps = judge.timestamps(signer);
    details.countersigners = judge.countersigners(signer);
    (details, judge.findings, judge.inquiries.into_inner())
}

/// Warns where verified signers label the same content differently (RFC 2634 3.1.2).
pub(in crate::smime) fn labels_differ<'a>(details: impl IntoIterator<Item = &'a SignerDetails>) -> Option<Finding> {
    let mut labels = details.into_iter().filter_map(|details| details.security_label.as_ref());
    let first = labels.next()?;
    let text = "the signers do not agree on the security label";
    labels.any(|other| other != first).then(|| Finding::warning(Code::NonConforming, text))
}

struct Judge<'j, 'a> {
    data: &'j SignedData,
    open: &'j Open<'a>,
    left: &'j mut Budget,
    findings: Vec<Finding>,
    inquiries: RefCell<Vec<Inquiry>>,
}

impl Judge<'_, '_> {
    fn timestamps(&mut self, signer: &Signer) -> Vec<TimestampVerdict> {
        let mut found = Vec::new();
        for token in signer.timestamp_tokens() {
            if let Err(limit) = self.left.spend(1u64) {
                self.findings.push(Finding::error(Code::Limit, limit.to_string()));
                break;
            }
            found.push(self.timestamp(signer, token));
        }
        found
    }

    fn timestamp(&mut self, signer: &Signer, token: &[u8]) -> TimestampVerdict {
        let mut verdict = TimestampVerdict::unchecked(token, &self.open.limits);
        let known: Vec<Certificate> =
            self.data.certificates.iter().chain(&self.open.trust.intermediates).chain(self.open.known).cloned().collect();
        let checked = Token::from_der(token, &self.open.limits).map_err(|error| error.to_string());
        let checked = checked.and_then(|token| token.verify(signer.signature(), &known).map(|stamp| (token, stamp)));
        verdict.proof = match checked {
            Ok((token, stamp)) => {
                verdict.authority = Some(stamp.certificate.to_string());
                let oddities = stamp.oddities.iter().map(|text| Finding::warning(Code::NonConforming, text.clone()));
                self.findings.extend(oddities);
                self.authority(&token, &stamp, &known).map_or(Proof::Proven, Proof::Unproven)
            }
            Err(why) => {
                let text = format!("a time-stamp of the signature proves nothing – {why}");
                self.findings.push(Finding::warning(Code::TimestampInvalid, text));
                Proof::Unproven(why)
            }
        };
        verdict
    }

    /// Why the authority of a time-stamp that fits is not believed.
    fn authority(&self, token: &Token, stamp: &Stamp, known: &[Certificate]) -> Option<String> {
        if stamp.strength != Strength::Good {
            return Some("its algorithms are too weak to rely on".to_owned());
        }
        let pool: Vec<Certificate> = token.data().certificates.iter().chain(known).cloned().collect();
        let chain = self.chain(&stamp.certificate, &pool, token.data(), Purpose::TimeStamping);
        if chain.status != ChainStatus::Trusted {
            let why = chain.reasons.into_iter().find(|reason| reason.weight == pki::Weight::Error);
            return Some(why.map_or_else(|| "its authority is not trusted".to_owned(), |reason| reason.text));
        }
        if !stamp.certificate.is_valid_at(stamp.info.time) {
            return Some("the certificate of its authority was not valid at that time".to_owned());
        }
        None
    }

    fn countersigners(&mut self, signer: &Signer) -> Vec<CountersignerVerdict> {
        let counters = match signer.counter_signatures(&self.open.limits) {
            Ok(counters) => counters,
            Err(error) => {
                self.findings.push(Finding::error(Code::Limit, error.to_string()));
                return Vec::new();
            }
        };
        if let Err(limit) = self.left.spend(counters.len()) {
            self.findings.push(Finding::error(Code::Limit, limit.to_string()));
            return Vec::new();
        }
        counters.iter().map(|counter| self.countersigner(counter)).collect()
    }

    fn countersigner(&mut self, counter: &CounterSignature) -> CountersignerVerdict {
        let pool: Vec<Certificate> =
            self.data.certificates.iter().chain(self.open.known).chain(&self.open.trust.intermediates).cloned().collect();
        let named = pool.iter().filter(|certificate| counter.signer.id.names(certificate));
        let named: Vec<&Certificate> = named.take(self.open.limits.signer_certificates).collect();
        let is_valid = |certificate: &&&Certificate| matches!(counter.verify(certificate), SignatureCheck::Valid(_));
        let valid = named.iter().find(is_valid).copied();
        let mut verdict = CountersignerVerdict::new(counter, valid.or(named.first().copied()));
        let is_weak = counter.signer.strength().is_none_or(|strength| strength != Strength::Good);
        verdict.check = Some(match valid {
            Some(certificate) => {
                let chain = self.chain(certificate, &pool, self.data, Purpose::Any).status;
                // what anyone may forge one day is not trusted for its chain
                (SignatureStatus::Valid, if is_weak { ChainStatus::Unsuitable } else { chain })
            }
            None => {
                let text = format!("the countersignature of {} does not fit, or cannot be checked", verdict.subject);
                self.findings.push(Finding::warning(Code::CountersignatureInvalid, text));
                (SignatureStatus::Invalid, ChainStatus::Untrusted)
            }
        });
        verdict
    }

    fn chain(&self, leaf: &Certificate, pool: &[Certificate], brought: &SignedData, purpose: Purpose) -> pki::ChainVerdict {
        let trust = self.open.trust;
        let (crls, ocsp) = trust.revocation_with(&brought.crls, &brought.ocsp_responses, &self.open.limits);
        let question = Judgement {
            leaf,
            pool,
            anchors: &trust.anchors,
            crls: &crls,
            ocsp: &ocsp,
            purpose,
            at: trust.at,
            revocation: trust.revocation,
            limits: &self.open.limits,
        };
        let chain = pki::judge(&question);
        if !chain.wanted.is_empty() {
            self.inquiries.borrow_mut().push(Inquiry::new(&question, &PolicyInputs::new()));
        }
        chain
    }
}
