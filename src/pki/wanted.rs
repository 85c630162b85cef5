//! What would help to judge a certificate, and where authorities say that it is (RFC 5280 4.2.1.13, 4.2.1.15, 4.2.2.1, 5.2.6, 5.2.7).
//!
//! This room asks nobody: whoever may use the network gets what is wanted, hands it over, and asks again ([`Inquiry`]).

use std::cell::RefCell;

use crate::asn1::{Cursor, Oid, oid};
use crate::crypto::algorithm::DigestAlgorithm;
use crate::limits::{Budget, Limits};
use crate::pki::distribution::DistributionPoint;
use crate::pki::ocsp::{self, CertId, Request};
use crate::pki::path::{Judgement, judge_under};
use crate::pki::{Certificate, ChainVerdict, Crl, Error, Extension, GeneralName, Name, PolicyInputs, TrustAnchors};

/// Something that would help to judge a certificate, and where it is.
///
/// What is wanted is in the order in which it helps: of one certificate first what is small. Nothing is wanted twice in one verdict.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wanted {
    /// The certificate whose sake it is for.
    pub about: Certificate,
    /// What it is.
    pub what: What,
    /// URLs of any scheme, as written: each leads to the same. None where nobody says where it is; a cache may know.
    pub places: Vec<String>,
}

/// The kinds of things that help.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum What {
    /// The certificate of the issuer: no path reaches an anchor without it. Where it is, only a certificate says that nobody vouched for yet.
    Issuer,
    /// An OCSP response to this request; a certificate in a path to an anchor says where.
    Response(Box<Request>),
    /// The revocation list of one distribution point of such a certificate.
    List,
    /// What changed since a list that is at hand.
    Delta,
}

/// What was got of what was wanted. Who gave it does not matter: it is judged like everything that is handed over.
#[derive(Debug, Clone, Default)]
pub struct Had {
    /// Certificates; they may stand between, and are never anchors.
    pub issuers: Vec<Certificate>,
    /// Revocation lists.
    pub lists: Vec<Crl>,
    /// OCSP responses.
    pub responses: Vec<ocsp::Response>,
}

/// A question about a certificate that can be asked again when more is at hand.
#[derive(Debug, Clone)]
pub struct Inquiry {
    leaf: Certificate,
    anchors: TrustAnchors,
    had: Had,
    policies: PolicyInputs,
    purpose: crate::pki::Purpose,
    at: crate::time::Timestamp,
    revocation: crate::pki::Revocation,
    limits: Limits,
    places: Places,
}

/// Whose word is taken for where things are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Places {
    /// Everybody's: of an issuer that is missing, only a certificate says where it is that nobody vouched for.
    Anybodys,
    /// Theirs who stand in a path to an anchor.
    Vouched,
}

impl Inquiry {
    /// Keeps a question, asked under these policies.
    pub fn new(question: &Judgement<'_>, policies: &PolicyInputs) -> Self {
        let Judgement { leaf, pool, anchors, crls, ocsp, purpose, at, revocation, limits } = *question;
        let had = Had { issuers: pool.to_vec(), lists: crls.to_vec(), responses: ocsp.to_vec() };
        let (leaf, anchors, policies, limits) = (leaf.clone(), anchors.clone(), policies.clone(), limits.clone());
        Self { leaf, anchors, had, policies, purpose, at, revocation, limits, places: Places::Anybodys }
    }

    /// Wants no issuers from here on: where they are, a certificate says that nobody vouched for yet.
    ///
    /// No signature covers the certificates beside it. Whoever changes a ciphertext without a tag may put text of the message into such a
    /// place, and is told it by whoever asks there (EFAIL, by way of a URL).
    pub(crate) fn only_vouched_places(&mut self) {
        self.places = Places::Vouched;
    }

    /// Asks again, with what was got since.
    pub fn ask(&self, more: &Had) -> ChainVerdict {
        let mut verdict = self.judge(more);
        if self.places == Places::Vouched {
            verdict.wanted.retain(|wanted| wanted.what != What::Issuer);
        }
        verdict
    }

    /// Whether an issuer is missing and not wanted, since nobody vouches for the place where it is.
    pub fn withholds(&self, more: &Had) -> bool {
        let is_issuer = |wanted: &Wanted| wanted.what == What::Issuer && !wanted.places.is_empty();
        self.places == Places::Vouched && self.judge(more).wanted.iter().any(is_issuer)
    }

    fn judge(&self, more: &Had) -> ChainVerdict {
        let pool: Vec<Certificate> = self.had.issuers.iter().chain(&more.issuers).cloned().collect();
        let crls: Vec<Crl> = self.had.lists.iter().chain(&more.lists).cloned().collect();
        let ocsp: Vec<ocsp::Response> = self.had.responses.iter().chain(&more.responses).cloned().collect();
        let (purpose, at, revocation) = (self.purpose, self.at, self.revocation);
        let (leaf, pool, anchors, crls, ocsp) = (&self.leaf, &pool[..], &self.anchors, &crls[..], &ocsp[..]);
        let question = Judgement { leaf, pool, anchors, crls, ocsp, purpose, at, revocation, limits: &self.limits };
        judge_under(&question, &self.policies)
    }
}

/// What one judgement found wanting, each once and within a bound.
#[derive(Debug)]
pub(in crate::pki) struct Wants(RefCell<Vec<Wanted>>, usize);

impl Wants {
    /// Nothing is wanted yet.
    pub(in crate::pki) fn new(limits: &Limits) -> Self {
        Self(RefCell::default(), limits.wanted)
    }

    /// Adds these; what there is no room for is left out, since the same is found out again when the rest was got.
    pub(in crate::pki) fn add(&self, wanted: impl IntoIterator<Item = Wanted>) {
        let mut known = self.0.borrow_mut();
        for one in wanted {
            if known.len() < self.1 && !known.contains(&one) {
                known.push(one);
            }
        }
    }

    /// How many there are.
    pub(in crate::pki) fn len(&self) -> usize {
        self.0.borrow().len()
    }

    /// Forgets those that came after the first so many.
    pub(in crate::pki) fn truncate(&self, length: usize) {
        self.0.borrow_mut().truncate(length);
    }

    /// All of them.
    pub(in crate::pki) fn into_vec(self) -> Vec<Wanted> {
        self.0.into_inner()
    }
}

/// The certificate that issued this one, where it says where that is.
pub(in crate::pki) fn issuer_of(certificate: &Certificate, limits: &Limits) -> Option<Wanted> {
    let places = access(certificate.extension(&oid::AUTHORITY_INFO_ACCESS), oid::AD_CA_ISSUERS, limits);
    let wanted = || Wanted { about: certificate.clone(), what: What::Issuer, places };
    (!certificate.is_self_issued()).then(wanted)
}

/// The certificate of whoever signed a list about a certificate, where the list says where that is (RFC 5280 5.2.7).
pub(in crate::pki) fn signer_of(list: &Crl, certificate: &Certificate, limits: &Limits) -> Option<Wanted> {
    let places = access(list.extension(&oid::AUTHORITY_INFO_ACCESS), oid::AD_CA_ISSUERS, limits);
    (!places.is_empty()).then(|| Wanted { about: certificate.clone(), what: What::Issuer, places })
}

/// What tells whether a certificate was revoked: responses first, since they are small and new; then the list of each distribution
/// point, and what changed since. Lists of the issuer from anywhere come last.
pub(in crate::pki) fn status_of(certificate: &Certificate, issuer: Option<&Certificate>, limits: &Limits) -> Vec<Wanted> {
    let one = |what: What, places: Vec<String>| Wanted { about: certificate.clone(), what, places };
    let mut found = Vec::new();
    let responders = access(certificate.extension(&oid::AUTHORITY_INFO_ACCESS), oid::AD_OCSP, limits);
    // RFC 9654 and 5019 2.1.1: the digest that every responder knows; here it only names, and has second preimages still unknown
    let id = issuer.and_then(|issuer| CertId::new(certificate, issuer, DigestAlgorithm::Sha1).ok());
    if let Some(id) = id {
        // without a nonce: most responders give what they signed before (RFC 5019 4)
        found.push(one(What::Response(Box::new(Request::new(id))), responders));
    }
    let lists = points(certificate.extension(&oid::CRL_DISTRIBUTION_POINTS), certificate.issuer(), limits);
    found.extend(lists.into_iter().map(|places| one(What::List, places)));
    found.extend(deltas_of(certificate, None, limits));
    found.push(one(What::List, Vec::new()));
    found
}

/// Lists of what changed, where a certificate or the list at hand says where they are (RFC 5280 4.2.1.15, 5.2.6).
pub(in crate::pki) fn deltas_of(certificate: &Certificate, list: Option<&Crl>, limits: &Limits) -> Vec<Wanted> {
    let of_list = list.and_then(|list| list.extension(&oid::FRESHEST_CRL));
    let places = points(of_list.or_else(|| certificate.extension(&oid::FRESHEST_CRL)), certificate.issuer(), limits);
    places.into_iter().map(|places| Wanted { about: certificate.clone(), what: What::Delta, places }).collect()
}

/// The URLs of each distribution point that has any; none where they cannot be read, which the judgement says.
fn points(extension: Option<&Extension>, issuer: &Name, limits: &Limits) -> Vec<Vec<String>> {
    let points = extension.and_then(|extension| DistributionPoint::list(&extension.value, issuer, limits).ok());
    let urls = |point: DistributionPoint| point.names.into_iter().filter_map(url).collect::<Vec<String>>();
    points.unwrap_or_default().into_iter().map(urls).filter(|urls| !urls.is_empty()).collect()
}

/// The URLs of one kind of access.
fn access(extension: Option<&Extension>, method: Oid, limits: &Limits) -> Vec<String> {
    extension.and_then(|extension| read_access(&extension.value, method, limits).ok()).unwrap_or_default()
}

/// `AuthorityInfoAccessSyntax ::= SEQUENCE OF SEQUENCE { accessMethod OBJECT IDENTIFIER, accessLocation GeneralName }`
fn read_access(value: &[u8], method: Oid, limits: &Limits) -> Result<Vec<String>, Error> {
    let mut list = Cursor::with_limits(value, limits).sequence()?;
    let mut budget = Budget::new("distribution points", limits.distribution_points);
    let mut found = Vec::new();
    while !list.is_empty() {
        budget.spend(1u64)?;
        let mut fields = list.sequence()?;
        let is_wanted = fields.oid()? == method;
        let place = GeneralName::read(&mut fields)?;
        fields.finish()?;
        found.extend(url(place).filter(|_| is_wanted));
    }
    Ok(found)
}

fn url(name: GeneralName) -> Option<String> {
    if let GeneralName::Uri(url) = name { Some(url) } else { None }
}
