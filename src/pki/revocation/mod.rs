//! Whether a certificate was revoked: what the lists and OCSP responses at hand say, and whether they may say it (RFC 5280 6.3, 6960).
//!
//! Uses: the rest of `pki`. Never: the network; what is at hand is handed over.
//! Holds always: a certificate is good only where someone who may tell of it does, for every reason, at the moment asked about; what one
//! who may tell of it once revoked stays revoked, except when it was on hold only.

mod lists;
mod responses;
mod signer;
mod unusable;

use std::cell::RefCell;
use std::collections::HashMap;

use crate::limits::{Budget, Limits};
use crate::pki::crl::{HOLD, reason_name};
use crate::pki::distribution::Reasons;
use crate::pki::validate::Inputs;
use crate::pki::wanted::{self, Wants};
use crate::pki::{Certificate, Crl};
use crate::time::Timestamp;

pub use unusable::Unusable;

/// What is known of one certificate.
#[derive(Debug)]
pub(in crate::pki) enum Found {
    Good,
    Revoked { date: Timestamp, reason: &'static str },
    Unknown { why: String },
}

/// Asks about a certificate; `above` are those over it in its path, its issuer first, the trust anchor last.
pub(in crate::pki) fn status(certificate: &Certificate, above: &[Certificate], inputs: &Inputs<'_>) -> Found {
    Question { certificate, above, inputs, asked: &[] }.status()
}

/// Whether a certificate says where it could be asked about over HTTP.
pub(in crate::pki) fn is_offered(certificate: &Certificate, limits: &Limits) -> bool {
    let wanted = wanted::status_of(certificate, Some(certificate), limits);
    wanted.iter().flat_map(|wanted| &wanted.places).any(|place| place.starts_with("http:"))
}

/// What was found out already in one judgement, and what may still be tried.
#[derive(Debug)]
pub(in crate::pki) struct Checks {
    budget: RefCell<Budget>,
    /// Whether the key of a certificate signed a list or a response.
    signed: RefCell<HashMap<(Signed, Vec<u8>), bool>>,
    /// The paths of signers to an anchor, or why there is none.
    paths: RefCell<HashMap<Ends, PathOfSigner>>,
    /// What would help.
    pub(in crate::pki) wants: Wants,
}

/// The first and the last certificate of a path, by their fingerprints.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Ends {
    signer: Vec<u8>,
    anchor: Vec<u8>,
}

#[derive(Debug, Clone)]
struct PathOfSigner(Result<Vec<Certificate>, String>);

/// A list or a response, by its place among those at hand.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Signed {
    List(usize),
    Response(usize),
}

impl Checks {
    /// Nothing was tried yet.
    pub(in crate::pki) fn new(limits: &Limits) -> Self {
        Self {
            budget: RefCell::new(Budget::new("revocation checks", limits.revocation_checks)),
            signed: RefCell::default(),
            paths: RefCell::default(),
            wants: Wants::new(limits),
        }
    }

    /// What was tried so far.
    pub(in crate::pki) fn spent(&self) -> u64 {
        self.budget.borrow().spent()
    }

    fn spend(&self, units: u64) -> Result<(), Unusable> {
        self.budget.borrow_mut().spend(units).map_err(Unusable::Limit)
    }
}

/// A question about one certificate.
#[derive(Clone, Copy)]
struct Question<'a> {
    certificate: &'a Certificate,
    above: &'a [Certificate],
    inputs: &'a Inputs<'a>,
    /// The signers on whose account this is asked: none vouches for itself by way of others.
    asked: &'a [Certificate],
}

impl<'a> Question<'a> {
    fn status(&self) -> Found {
        let mut evidence = Evidence::default();
        self.ask_lists(&mut evidence);
        self.ask_responses(&mut evidence);
        let lists: Vec<&Crl> = evidence.good.iter().filter_map(|said| said.list).collect();
        let found = evidence.found(self);
        let (wants, limits) = (&self.inputs.checks.wants, self.inputs.limits);
        match found {
            Found::Unknown { .. } => wants.add(wanted::status_of(self.certificate, self.above.first(), limits)),
            Found::Good => lists.into_iter().for_each(|list| self.want_deltas(list)),
            Found::Revoked { .. } => {}
        }
        found
    }

    /// What changed since a list that says where that is, unless it is at hand.
    fn want_deltas(&self, list: &Crl) {
        let at = self.inputs.at;
        if !self.inputs.crls.iter().any(|delta| delta.is_delta() && list.is_continued_by(delta) && delta.is_current(at)) {
            self.inputs.checks.wants.add(wanted::deltas_of(self.certificate, Some(list), self.inputs.limits));
        }
    }

    /// The same question about another certificate, asked on account of `signer`.
    fn about<'b>(&self, certificate: &'b Certificate, above: &'b [Certificate], asked: &'b [Certificate]) -> Question<'b>
    where
        'a: 'b,
    {
        Question { certificate, above, inputs: self.inputs, asked }
    }
}

/// What lists and responses say about one certificate.
#[derive(Default)]
struct Evidence<'a> {
    covered: Option<Reasons>,
    good: Vec<Said<'a>>,
    revoked: Option<(Timestamp, Option<u8>)>,
    held: Vec<(Said<'a>, Timestamp)>,
    notes: Vec<(String, Unusable)>,
}

/// Who says something, and when.
#[derive(Clone, Copy)]
struct Said<'a> {
    /// The list; none where a response says it.
    list: Option<&'a Crl>,
    made: Timestamp,
}

impl Said<'_> {
    /// Whether it is a later word about the same.
    fn is_after(&self, earlier: &Said<'_>) -> bool {
        let scope = |said: &Said<'_>| {
            let extension = said.list.and_then(|list| list.extension(&crate::asn1::oid::ISSUING_DISTRIBUTION_POINT));
            extension.map(|extension| extension.value.clone())
        };
        let own = scope(self);
        self.made > earlier.made && (own.is_none() || own == scope(earlier))
    }
}

impl<'a> Evidence<'a> {
    /// It is said to be revoked.
    fn revoked(&mut self, said: Said<'a>, date: Timestamp, reason: Option<u8>) {
        match reason {
            Some(HOLD) => self.held.push((said, date)),
            _ => self.revoked = self.revoked.or(Some((date, reason))),
        }
    }

    /// It is said not to be revoked for these reasons.
    fn good(&mut self, said: Said<'a>, reasons: Reasons) {
        self.covered = Some(self.covered.unwrap_or(Reasons::NONE).or(reasons));
        self.good.push(said);
    }

    fn note(&mut self, who: impl FnOnce() -> String, why: Unusable) {
        if self.notes.len() >= MOST_NOTES {
            return;
        }
        let note = (who(), why);
        // a list may be at hand twice
        if !self.notes.contains(&note) {
            self.notes.push(note);
        }
    }

    fn found(mut self, question: &Question<'_>) -> Found {
        if let Some((date, reason)) = self.revoked {
            return Found::Revoked { date, reason: reason_name(reason) };
        }
        let still = self.held.iter().find(|(held, _)| !self.good.iter().any(|good| good.is_after(held)));
        if let Some((_, date)) = still {
            return Found::Revoked { date: *date, reason: reason_name(Some(HOLD)) };
        }
        if self.covered == Some(Reasons::ALL) {
            return Found::Good;
        }
        // responses about others are no news where something else is known
        if self.notes.iter().any(|(_, why)| *why != Unusable::OtherCertificate) {
            self.notes.retain(|(_, why)| *why != Unusable::OtherCertificate);
        }
        let mut notes: Vec<String> = self.notes.iter().map(|(who, why)| format!("{who}: {why}")).collect();
        if self.covered.is_some() {
            notes.insert(0, "the lists at hand are for some reasons of revocation only".to_owned());
        }
        if notes.is_empty() {
            let issuer = question.above.first().map_or_else(String::new, |issuer| format!(" of {issuer}"));
            notes.push(format!("no revocation list and no OCSP response{issuer} is at hand"));
        }
        Found::Unknown { why: notes.join("; ") }
    }
}

/// Reasons that are told. 4: whoever reads them wants the one that helps.
const MOST_NOTES: usize = 4;
