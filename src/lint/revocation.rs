//! Revocation lists: RFC 5280 5, Baseline Requirements 4.9.7 and 7.2.

use crate::asn1::{Cursor, Tag, oid};
use crate::crypto::algorithm::AlgorithmIdentifier;
use crate::lint::mail::{DAY, is_known_signature};
use crate::lint::{Against, Finding, Scope, Severity, der};
use crate::pki::Crl;

pub(super) fn check(list: &Crl, against: &Against) -> Vec<Finding> {
    let mut found = Vec::new();
    if against.has(Scope::Pkix) {
        pkix(list, &mut found);
    }
    if against.has(Scope::Cabf) {
        cabf(list, &mut found);
    }
    found
}

fn pkix(list: &Crl, found: &mut Vec<Finding>) {
    let mut error =
        |code, source, broken: bool, text: &str| push(found, (Scope::Pkix, Severity::Error, code, source), broken, text);
    let flaw = der::flaw(list.der());
    error("pkix.crl.der", "RFC 5280 5.1, X.690 10", flaw.is_some(), flaw.unwrap_or_default());
    error("pkix.crl.version", "RFC 5280 5.1.2.1", version(list) != Some(1), "the list is not of version 2");
    error(
        "pkix.crl.next-update",
        "RFC 5280 5.1.2.5",
        list.next_update().is_none(),
        "the list does not say when the next one comes",
    );
    let is_past = list.next_update().is_some_and(|next| next < list.this_update());
    error("pkix.crl.order", "RFC 5280 5.1.2.5", is_past, "the next list is due before this one");
    let lacks = list.extension(&oid::AUTHORITY_KEY_IDENTIFIER).is_none();
    error("pkix.crl.authority-key-id", "RFC 5280 5.2.1", lacks, "the list has no authorityKeyIdentifier");
    let number = list.extension(&oid::CRL_NUMBER);
    error("pkix.crl.number", "RFC 5280 5.2.3", number.is_none(), "the list has no number");
    let is_odd = number.is_some_and(|number| {
        let value = Cursor::new(&number.value).integer().map(<[u8]>::to_vec).unwrap_or_default();
        number.critical || value.is_empty() || value.len() > 20 || value.first().is_some_and(|first| *first >= 0x80)
    });
    error("pkix.crl.number-form", "RFC 5280 5.2.3", is_odd, "the list's number is critical, negative, or over 20 bytes long");
    let critical = [oid::ISSUING_DISTRIBUTION_POINT, oid::DELTA_CRL_INDICATOR];
    let is_lax = critical.iter().any(|oid| list.extension(oid).is_some_and(|extension| !extension.critical));
    error("pkix.crl.critical", "RFC 5280 5.2.4, 5.2.5", is_lax, "issuingDistributionPoint or deltaCRLIndicator is not critical");
    let has_unspecified = list.entries().any(|entry| entry.reason == Some(0));
    let text = "an entry has the reason unspecified, which is left out";
    push(found, (Scope::Pkix, Severity::Warning, "pkix.crl.reason-unspecified", "RFC 5280 5.3.1"), has_unspecified, text);
}

fn cabf(list: &Crl, found: &mut Vec<Finding>) {
    let mut error =
        |code, source, broken: bool, text: &str| push(found, (Scope::Cabf, Severity::Error, code, source), broken, text);
    let is_known = algorithm(list).is_some_and(|algorithm| is_known_signature(&algorithm.to_der()));
    error(
        "cabf.crl.signature-algorithm",
        "S/MIME BR 7.1.3.2",
        !is_known,
        "the list is signed in a way that the Baseline Requirements do not know",
    );
    // the list of a root is due within twelve months, one for subscribers within ten days; which it is cannot be seen in it
    let seconds = list.next_update().map_or(0, |next| next.unix().saturating_sub(list.this_update().unix()));
    error("cabf.crl.validity", "S/MIME BR 4.9.7", seconds > 366 * DAY, "the next list is due after more than twelve months");
    let has_unspecified = list.entries().any(|entry| entry.reason == Some(0));
    error("cabf.crl.reason-unspecified", "S/MIME BR 7.2.2", has_unspecified, "an entry has the reason unspecified");
    let is_long = seconds > 10 * DAY && seconds <= 366 * DAY;
    let text = "the next list is due after more than ten days: good for authorities' certificates only";
    push(found, (Scope::Cabf, Severity::Notice, "cabf.crl.validity-subscribers", "S/MIME BR 4.9.7"), is_long, text);
    let has_hold = list.entries().any(|entry| entry.reason == Some(6));
    let text = "an entry is on hold, which certificates of authorities and of the strict generation must not be";
    push(found, (Scope::Cabf, Severity::Notice, "cabf.crl.hold", "S/MIME BR 7.2.2"), has_hold, text);
}

type Head = (Scope, Severity, &'static str, &'static str);

pub(super) fn push(found: &mut Vec<Finding>, (scope, severity, code, source): Head, broken: bool, text: &str) {
    if broken {
        found.push(Finding { code, severity, scope, text: text.to_owned(), source });
    }
}

/// `TBSCertList ::= SEQUENCE { version Version OPTIONAL, signature AlgorithmIdentifier, … }`
fn fields(list: &Crl) -> Option<Cursor<'_>> {
    Cursor::new(list.der()).sequence().ok()?.sequence().ok()
}

fn version(list: &Crl) -> Option<u64> {
    fields(list)?.small_unsigned().ok()
}

fn algorithm(list: &Crl) -> Option<AlgorithmIdentifier> {
    let mut fields = fields(list)?;
    fields.optional(Tag::INTEGER).ok()?;
    AlgorithmIdentifier::from_cursor(&mut fields).ok()
}
