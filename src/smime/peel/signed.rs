//! A signed layer: its signers, their certificates, and whether they are the authors.

use crate::cms::{SignatureCheck, SignedData, Signer, content_type};
use crate::crypto::algorithm::Strength;
use crate::keys::SignatureId;
use crate::limits::{Budget, LimitReached};
use crate::mime::{self, ContentType, Entity};
use crate::pki::{
    self, Certificate, ChainStatus, ChainVerdict, Inquiry, Judgement, PolicyInputs, Purpose, Reason, ReasonCode,
    RevocationStatus, Weight,
};
use crate::smime::clock::{Clock, Judged};
use crate::smime::content;
use crate::smime::details::{self, SignerDetails};
use crate::smime::finding::{Code, Excuse, Finding, Severity};
use crate::smime::headers;
use crate::smime::learnt::{Asking, Learnt};
use crate::smime::peel::{Payload, Stop, Work};
use crate::smime::sender::{self, Author};
use crate::smime::verdict::{Coverage, EncryptedKind, Form, Layer, SignatureStatus, SignerVerdict};
use crate::time::Timestamp;

/// A chain that was judged, and what would help to judge it better.
struct Asked {
    chain: ChainVerdict,
    inquiry: Option<Inquiry>,
}

impl Work<'_, '_> {
    /// Judges the signers of a layer; all must be good.
    pub(in crate::smime) fn signed(&mut self, layer: usize, data: &SignedData, payload: Option<&Payload>) -> Result<(), Stop> {
        for oddity in &data.oddities {
            self.add(Finding::warning(Code::NonConforming, oddity.clone()));
        }
        if data.signers.is_empty() {
            self.forget(layer);
            return Err(self.fail(Code::NotSigned, "the message has the form of a signed one and nobody signed it"));
        }
        self.ask_for_what_is_missing(layer, data)?;
        if let Err(limit) = data.signers.iter().try_for_each(|signer| self.spend_on(signer, data)) {
            self.forget(layer);
            return Err(self.limit(&limit));
        }
        let mut signers: Vec<SignerVerdict> = data.signers.iter().map(|signer| self.judge_signer(signer, data)).collect();
        if let Some(finding) = details::labels_differ(signers.iter().map(|signer| &signer.details)) {
            self.add(finding);
        }
        let mut is_protected = false;
        if let Some(payload) = payload {
            is_protected = headers::covered(&payload.entity, payload.bytes(), self.outer()).is_some();
            self.check_author(&payload.entity, payload.bytes(), &mut signers);
        } else {
            self.check_author(&Entity::empty(), &[], &mut signers);
        }
        let mut receipt = None;
        match content::receipt(&data.content_type, payload.map(Payload::bytes).unwrap_or_default()) {
            Some(Ok(read)) => receipt = Some(read),
            Some(Err(error)) => self.add(Finding::warning(Code::NonConforming, format!("the receipt cannot be read – {error}"))),
            None => {}
        }
        let is_clear = matches!(self.verdict.layers.get(layer), Some(Layer::Signed(layer)) if layer.form == Form::Clear);
        if is_clear && data.content_type != content_type::DATA {
            self.say_no_message(data.content_type);
        }
        if let Some(Layer::Signed(layer)) = self.verdict.layers.get_mut(layer) {
            (layer.content_type, layer.receipt) = (data.content_type, receipt);
            layer.covers = if is_protected { Coverage::BodyAndHeaders } else { Coverage::Body };
            layer.signers = signers;
        }
        Ok(())
    }

    /// Another pass, where a signer uses a digest that nobody announced, or signs the content itself.
    fn ask_for_what_is_missing(&mut self, layer: usize, data: &SignedData) -> Result<(), Stop> {
        let missing = data.missing_digests();
        let mut is_new = false;
        for digest in missing {
            is_new |= self.hints.digests.insert((layer, digest));
        }
        if data.signers.iter().any(Signer::needs_content) {
            is_new |= self.hints.held.insert(layer);
        }
        if is_new { Err(Stop::Again) } else { Ok(()) }
    }

    /// The certificates that a signer may mean.
    pub(in crate::smime) fn certificates_of(&self, signer: &Signer, data: &SignedData) -> Vec<Certificate> {
        let known = data.certificates.iter().chain(self.open.known).chain(&self.open.trust.intermediates);
        let mut found: Vec<Certificate> = Vec::new();
        for certificate in known.filter(|certificate| signer.id.names(certificate)) {
            if !found.contains(certificate) {
                found.push(certificate.clone());
            }
        }
        found
    }

    fn judge_signer(&mut self, signer: &Signer, data: &SignedData) -> SignerVerdict {
        let mut verdict = SignerVerdict {
            certificate: None,
            addresses: Vec::new(),
            subject: signer.id.to_string(),
            algorithm: signer.algorithm_name(),
            signature: SignatureStatus::Invalid,
            chain: ChainStatus::Untrusted,
            path: Vec::new(),
            revocation: RevocationStatus::Unknown,
            claimed_time: signer.signing_time(),
            judged: None,
            first_seen: None,
            signature_id: None,
            from_match: None,
            learnt: Learnt::default(),
            details: SignerDetails::default(),
            finding: None,
            inquiries: Vec::new(),
        };
        let mut candidates = self.certificates_of(signer, data);
        if let Err(limit) = Budget::new("signer certificates", self.open.limits.signer_certificates).spend(candidates.len()) {
            self.error(Code::Limit, limit.to_string());
            candidates.truncate(self.open.limits.signer_certificates);
        }
        let Some(first) = candidates.first() else {
            let text = format!("the signer's certificate is not at hand – {}", signer.id);
            self.add(Finding::error(Code::SignerCertificateMissing, text).fix("--intermediates FILE"));
            verdict.finding = Some(Code::SignerCertificateMissing);
            return verdict;
        };
        let checks: Vec<SignatureCheck> = candidates.iter().map(|certificate| signer.verify(certificate, data)).collect();
        let valid = checks.iter().position(|check| matches!(check, SignatureCheck::Valid(_)));
        let at = valid.unwrap_or(0);
        let certificate = candidates.get(at).unwrap_or(first).clone();
        verdict.addresses = certificate.addresses();
        verdict.subject = certificate.to_string();
        let asked = self.chain_at(&certificate, data, self.open.trust.at);
        verdict.judged = Some(Judged { clock: Clock::Now, at: self.open.trust.at });
        (verdict.chain, verdict.revocation) = (asked.chain.status, asked.chain.revocation);
        verdict.path = asked.chain.path.iter().map(Certificate::to_string).collect();
        match checks.into_iter().nth(at) {
            Some(SignatureCheck::Valid(oddities)) => {
                verdict.signature = SignatureStatus::Valid;
                let asking = &mut Asking { left: &mut self.beside, inquiries: &mut verdict.inquiries };
                match Learnt::of(self.open, signer, data, &certificate, asking) {
                    Ok(learnt) => verdict.learnt = learnt,
                    Err(limit) => self.error(Code::Limit, limit.to_string()),
                }
                oddities.into_iter().for_each(|text| self.add(Finding::warning(Code::NonConforming, text)));
                let (details, findings, inquiries) = details::judge(signer, data, self.open, &mut self.beside);
                verdict.details = details;
                verdict.inquiries.extend(inquiries);
                self.judge_chain(asked, signer, data, &certificate, &mut verdict);
                self.judge_strength(signer, &mut verdict);
                // what anyone can forge chooses nobody who is asked
                if verdict.signature == SignatureStatus::Invalid {
                    verdict.inquiries.clear();
                }
                if self.is_malleable() {
                    verdict.inquiries.iter_mut().for_each(Inquiry::only_vouched_places);
                }
                findings.into_iter().for_each(|finding| self.add(finding));
            }
            Some(SignatureCheck::ContentChanged) => {
                self.error(Code::ContentChanged, format!("the content was changed after {certificate} signed it"));
                verdict.finding = Some(Code::ContentChanged);
            }
            Some(SignatureCheck::Invalid(why)) => {
                self.error(Code::SignatureInvalid, format!("the signature of {certificate} is bad – {why}"));
                verdict.finding = Some(Code::SignatureInvalid);
            }
            Some(SignatureCheck::Unsupported(what)) => {
                self.error(Code::Unsupported, format!("the signature of {certificate} cannot be checked here – {what}"));
                verdict.finding = Some(Code::Unsupported);
            }
            None => {}
        }
        verdict.from_match = self.author.includes(&verdict.addresses);
        verdict.certificate = Some(certificate);
        verdict
    }

    /// What a signer costs beside the signatures: the content once more for each certificate where it is signed itself, and the addresses.
    fn spend_on(&mut self, signer: &Signer, data: &SignedData) -> Result<(), LimitReached> {
        let mut candidates = self.certificates_of(signer, data);
        candidates.truncate(self.open.limits.signer_certificates);
        if let Some(content) = data.content().filter(|_| signer.needs_content()) {
            self.hints.effort.take(content.len(), u64::try_from(candidates.len()).unwrap_or(u64::MAX))?;
        }
        let most = candidates.iter().map(|certificate| certificate.addresses().len()).max();
        self.addresses.spend(most.unwrap_or_default())
    }

    /// Whether it lies in a ciphertext without a tag: others may have changed what no signature covers.
    fn is_malleable(&self) -> bool {
        let is_malleable = |layer: &Layer| matches!(layer, Layer::Encrypted(layer) if layer.kind == EncryptedKind::Enveloped);
        self.verdict.layers.iter().any(is_malleable)
    }

    fn judge_strength(&mut self, signer: &Signer, verdict: &mut SignerVerdict) {
        let (Some(algorithm), Some(strength)) = (signer.algorithm(), signer.strength()) else { return };
        match strength {
            Strength::Good => {}
            Strength::Weak => {
                self.error(Code::WeakAlgorithm, format!("the signature uses {}, which is too weak to rely on", algorithm.name()));
                verdict.finding.get_or_insert(Code::WeakAlgorithm);
            }
            Strength::Broken => {
                self.error(Code::SignatureInvalid, format!("the signature uses {}, which anyone can forge", algorithm.name()));
                verdict.signature = SignatureStatus::Invalid;
                verdict.finding = Some(Code::SignatureInvalid);
            }
        }
    }

    fn chain_at(&self, certificate: &Certificate, data: &SignedData, at: Timestamp) -> Asked {
        let trust = self.open.trust;
        let pool: Vec<Certificate> =
            data.certificates.iter().chain(&trust.intermediates).chain(self.open.known).cloned().collect();
        let (crls, ocsp) = trust.revocation_with(&data.crls, &data.ocsp_responses, &self.open.limits);
        let question = Judgement {
            leaf: certificate,
            pool: &pool,
            anchors: &trust.anchors,
            crls: &crls,
            ocsp: &ocsp,
            purpose: Purpose::MailSign,
            at,
            revocation: trust.revocation,
            limits: &self.open.limits,
        };
        let chain = pki::judge(&question);
        let inquiry = (!chain.wanted.is_empty()).then(|| Inquiry::new(&question, &PolicyInputs::new()));
        Asked { chain, inquiry }
    }

    /// What the chain of a signature that fits comes to. Of one that does not, the signature is the news, and not what its certificate lacks.
    fn judge_chain(
        &mut self,
        now: Asked,
        signer: &Signer,
        data: &SignedData,
        certificate: &Certificate,
        verdict: &mut SignerVerdict,
    ) {
        let id = SignatureId::new(certificate, signer.signature());
        verdict.signature_id = Some(id);
        let seen = self.open.seen.and_then(|seen| seen.first_seen(&id));
        // what was seen after the moment that is asked about was not seen then
        verdict.first_seen = seen.filter(|seen| *seen <= self.open.trust.at);
        let (asked, excuse) = match self.earlier(&now.chain, data, certificate, verdict) {
            Some((asked, judged)) => {
                let expired = now.chain.reasons.iter().find(|reason| reason.code == ReasonCode::Expired);
                let text = expired.map_or_else(String::new, |reason| reason.text.clone());
                let proof = judged.clock.proves();
                verdict.judged = Some(judged);
                (asked, Some(format!("{text} – the signature was there on {}, {proof}, and all was valid then", judged.at)))
            }
            None => (now, None),
        };
        let Asked { chain, inquiry } = asked;
        verdict.inquiries.extend(inquiry);
        verdict.chain = chain.status;
        verdict.path = chain.path.iter().map(Certificate::to_string).collect();
        verdict.revocation = chain.revocation;
        let errors = chain.reasons.iter().filter(|r| r.weight == Weight::Error);
        verdict.finding = errors.map(|r| Code::of_chain(r.code)).min_by_key(|code| code.outcome());
        self.findings_of(chain.reasons);
        if let Some(text) = excuse {
            self.add(Finding::warning(Code::Expired, text));
        }
    }

    fn findings_of(&mut self, reasons: Vec<Reason>) {
        let unproven = " – the signature fits; nothing here proves that it was made before";
        for mut reason in reasons {
            if reason.code == ReasonCode::Expired {
                reason.text.push_str(unproven);
            }
            self.add(reason.into());
        }
    }

    /// The chain as it was at a moment at which the signature was there for sure, where nothing but time is wrong with it now.
    fn earlier(
        &self,
        now: &ChainVerdict,
        data: &SignedData,
        certificate: &Certificate,
        verdict: &SignerVerdict,
    ) -> Option<(Asked, Judged)> {
        let mut errors = now.reasons.iter().filter(|reason| reason.weight == Weight::Error).peekable();
        errors.peek()?;
        if errors.any(|reason| reason.code != ReasonCode::Expired) {
            return None;
        }
        let moments = [(Clock::Timestamp, verdict.details.proven_time()), (Clock::FirstSeen, verdict.first_seen)];
        let allowed = moments.into_iter().filter(|(clock, _)| *clock <= self.open.clock);
        allowed.filter_map(|(clock, at)| Some(Judged { clock, at: at? })).find_map(|judged| {
            let asked = self.chain_at(certificate, data, judged.at);
            (asked.chain.status == ChainStatus::Trusted).then_some((asked, judged))
        })
    }

    /// Whether the signers are the authors: of the header fields inside where they are protected, and of those outside.
    fn check_author(&mut self, payload: &Entity, content: &[u8], signers: &mut [SignerVerdict]) {
        let certified: Vec<String> = signers.iter().flat_map(|signer| signer.addresses.clone()).collect();
        let mut claims = vec![("", self.author.clone())];
        claims.extend(self.attached.iter().map(|author| ("attached message's ", author.clone())));
        let outer = self.outer();
        let protected = headers::covered(payload, content, outer);
        // of what people see: the protected fields where there are such
        let shown = protected.map(|protected| (protected, content)).or(outer);
        let warnings = shown.map(|(entity, source)| sender::warnings(entity, source)).unwrap_or_default();
        if let Some(protected) = protected {
            claims.push(("protected ", Author::of_protected(protected, content)));
        }
        warnings.into_iter().for_each(|finding| self.add(finding));
        for (which, author) in claims {
            if author.is_covered_by(&certified) != Some(false) {
                continue;
            }
            // one author of several is not the sender while nobody speaks for the others
            signers.iter_mut().filter_map(|signer| signer.from_match.as_mut()).for_each(|is_sender| *is_sender = false);
            self.error(Code::FromMismatch, another(which, &author, &certified));
        }
    }

    /// Whether the signers of every layer are the authors of what is released: between a signature and the innermost content other layers may
    /// stand, and in that content header fields.
    pub(in crate::smime::peel) fn check_released(&mut self, payload: &Entity, content: &[u8]) {
        let is_protected = headers::covered(payload, content, self.outer()).is_some();
        // of what is outside, each layer was asked when its signers were judged
        if !is_protected && self.outer.is_some() && !payload.is_message() {
            return;
        }
        let header = self.outer.is_some().then(|| headers::released_header(self.outer(), payload, content, &self.verdict.layers));
        let of_header =
            header.as_ref().map(|header| mime::entity::head(header, Vec::new(), &ContentType::text_plain(), &self.open.limits));
        let (shown, source) = match (&of_header, &header) {
            (Some(Ok(entity)), Some(header)) => (entity, header.as_slice()),
            (Some(Err(error)), _) => return self.error(Code::Limit, error.to_string()),
            _ => (payload, content),
        };
        let (named, its_source) = headers::shown_as_message(shown, payload, content).unwrap_or((shown, source));
        let author = Author::of_protected(named, its_source);
        let has_signers = self.verdict.signers().next().is_some();
        if !has_signers {
            if is_protected && let Some(text) = unvouched(&author, self.outer()) {
                self.add(Finding::warning(Code::FromMismatch, text));
            }
            return;
        }
        sender::warnings(shown, source).into_iter().for_each(|finding| self.add(finding));
        let mut text = None;
        for layer in &mut self.verdict.layers {
            let Layer::Signed(layer) = layer else { continue };
            let certified: Vec<String> = layer.signers.iter().flat_map(|signer| signer.addresses.clone()).collect();
            if author.is_covered_by(&certified) == Some(false) {
                layer.signers.iter_mut().for_each(|signer| signer.from_match = Some(false));
                text.get_or_insert_with(|| another("innermost ", &author, &certified));
            }
        }
        let is_told = self.found.iter().any(|(_, finding)| {
            finding.code == Code::FromMismatch && (finding.severity == Severity::Error || finding.excuse != Excuse::None)
        });
        if let Some(text) = text.filter(|_| !is_told) {
            self.error(Code::FromMismatch, text);
        }
    }
}

/// What is said where an author is another than the signers.
fn another(which: &str, author: &Author, certified: &[String]) -> String {
    let who = if certified.is_empty() { "nobody by address".to_owned() } else { sender::few(certified) };
    match author {
        Author::Unclear(why) => format!("{why} – who the signer should be is not clear"),
        Author::Claimed { sender: Some(sender), .. } if pki::email::find(certified, sender) => {
            format!("signed by {who}, who sent it for {} – the {which}From is another than the signer", author.describe())
        }
        _ => format!("signed by {who} – the {which}From says {}", author.describe()),
    }
}

/// What is said of an author inside whom nobody vouches for, and whom the outside does not name.
fn unvouched(author: &Author, outer: Option<(&Entity, &[u8])>) -> Option<String> {
    match author {
        Author::Unclear(why) => Some(format!("{why} – and no signer vouches for it")),
        Author::Claimed { .. } if outer.is_some_and(|(entity, _)| entity.field("from").is_none()) => {
            Some(format!("the outside names no author, the From inside says {}, and no signer vouches for it", author.describe()))
        }
        _ => None,
    }
}
