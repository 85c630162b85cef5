//! OCSP responses and their signers: RFC 6960, Baseline Requirements 4.9.9, 4.9.10 and 7.3.

use crate::asn1::oid;
use crate::lint::mail::{self, DAY};
use crate::lint::revocation::push;
use crate::lint::{Against, Finding, Rule, Scope, Severity, der, error, list_of, say};
use crate::pki::ocsp::{Basic, Response, Status};

/// What holds for the certificate of a responder.
pub(super) const SIGNER: &[Rule] = &[
    error("cabf.responder.no-check", "S/MIME BR 4.9.9", |facts| {
        let fits = facts.extension(&oid::OCSP_NO_CHECK).is_some_and(|extension| extension.value == [5, 0]);
        say(!fits, "a responder's certificate does not have ocspNoCheck, with NULL in it")
    }),
    error("cabf.responder.eku", "TLS BR 7.1.2.8.5", |facts| {
        let other = facts.purposes.iter().flatten().filter(|purpose| **purpose != oid::OCSP_SIGNING);
        list_of(
            "extKeyUsage of a responder has other purposes",
            other.map(|oid| oid::name(oid).map_or_else(|| oid.to_string(), str::to_owned)),
        )
    }),
    error("cabf.responder.key-usage", "TLS BR 7.1.2.8.6", |facts| {
        let fits = facts.usage.as_deref() == Some(&[0]) && facts.is_critical(&oid::KEY_USAGE);
        say(!fits, "keyUsage of a responder is not critical, or not digitalSignature alone")
    }),
    error("cabf.responder.authority-key-id", "TLS BR 7.1.2.11.1", mail::authority_key_id),
    error("cabf.responder.policies", "TLS BR 7.1.2.8.8", |facts| {
        say(facts.has(&oid::CERTIFICATE_POLICIES), "a responder's certificate has certificatePolicies")
    }),
];

pub(super) fn check(response: &Response, against: &Against) -> Vec<Finding> {
    let mut found = Vec::new();
    let Ok(content) = response.content() else { return found };
    if against.has(Scope::Pkix) {
        pkix(response, content, &mut found);
    }
    if against.has(Scope::Cabf) {
        cabf(content, &mut found);
    }
    found
}

fn pkix(response: &Response, content: &Basic, found: &mut Vec<Finding>) {
    let mut error =
        |code, source, broken: bool, text: &str| push(found, (Scope::Pkix, Severity::Error, code, source), broken, text);
    let flaw = der::flaw(response.der());
    error("pkix.ocsp.der", "RFC 6960 4.2.1, X.690 10", flaw.is_some(), flaw.unwrap_or_default());
    error("pkix.ocsp.empty", "RFC 6960 4.2.1", content.answers().is_empty(), "the response is about no certificate");
    let is_early = |answer: &crate::pki::ocsp::Answer| content.produced_at() < answer.this_update;
    error(
        "pkix.ocsp.produced",
        "RFC 6960 2.4",
        content.answers().iter().any(is_early),
        "the response was made before what it says was known",
    );
    let is_past = |answer: &crate::pki::ocsp::Answer| answer.next_update.is_some_and(|next| next < answer.this_update);
    error("pkix.ocsp.order", "RFC 6960 4.2.2.1", content.answers().iter().any(is_past), "an answer ends before it begins");
    let length = content.nonce().map(|nonce| nonce.len());
    let is_odd = length.is_some_and(|length| !(1..=128).contains(&length));
    error("pkix.ocsp.nonce", "RFC 9654 2.1", is_odd, "the nonce is empty or over 128 bytes long");
}

fn cabf(content: &Basic, found: &mut Vec<Finding>) {
    let mut error =
        |code, source, broken: bool, text: &str| push(found, (Scope::Cabf, Severity::Error, code, source), broken, text);
    let endless = content.answers().iter().any(|answer| answer.next_update.is_none());
    error("cabf.ocsp.next-update", "S/MIME BR 4.9.10", endless, "an answer does not say when it ends");
    let seconds = |answer: &crate::pki::ocsp::Answer| {
        answer.next_update.map(|next| next.unix().saturating_sub(answer.this_update.unix()).saturating_add(1))
    };
    let is_short = content.answers().iter().filter_map(seconds).any(|seconds| seconds < 8 * 3600);
    error("cabf.ocsp.short", "S/MIME BR 4.9.10", is_short, "an answer holds for less than eight hours");
    let is_long = content.answers().iter().filter_map(seconds).any(|seconds| seconds > 10 * DAY);
    error("cabf.ocsp.long", "S/MIME BR 4.9.10", is_long, "an answer holds for more than ten days");
    let is_unspecified = |status: Status| matches!(status, Status::Revoked { reason: Some(0), .. });
    let any = content.answers().iter().any(|answer| is_unspecified(answer.status));
    error("cabf.ocsp.reason-unspecified", "S/MIME BR 7.3", any, "an answer has the reason unspecified");
}
