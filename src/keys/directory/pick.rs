//! Which of the certificates that were found are for an address, and what each of them is worth.

use std::cell::RefCell;

use crate::keys::directory::Address;
use crate::keys::directory::smimea::{Record, Usage};
use crate::limits::{Budget, Limits};
use crate::pki::{
    self, Certificate, ChainStatus, ChainVerdict, Crl, Inquiry, Judgement, PolicyInputs, Purpose, Revocation, TrustAnchors,
    email, ocsp,
};
use crate::time::Timestamp;

/// Where a certificate was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Place {
    /// In a directory.
    Ldap,
    /// In the DNS, proven by DNSSEC.
    Dns,
    /// Among the contacts.
    Contact,
}

impl Place {
    /// The word of the JSON output.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Ldap => "ldap",
            Self::Dns => "dns",
            Self::Contact => "contact",
        }
    }
}

/// What the DNS says of a certificate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Confirmation {
    /// A record of this usage is about it.
    By(Usage),
    /// There are records, and none of them is about it.
    Contradicted,
}

/// What a certificate is worth.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// It reaches an anchor.
    Trusted,
    /// The DNS vouches for it: fit to encrypt to this address, and for no more.
    Dane(Usage),
    /// It is not good.
    Not(ChainStatus),
    /// The domain publishes others.
    Contradicted,
}

impl Standing {
    /// Whether the certificate may be used for its address.
    pub const fn is_good(self) -> bool {
        matches!(self, Self::Trusted | Self::Dane(_))
    }
}

/// A certificate for the address.
#[derive(Debug, Clone)]
pub struct Candidate {
    /// The certificate.
    pub certificate: Certificate,
    /// Where it was found.
    pub places: Vec<Place>,
    /// What its owner may do with it: sign, be encrypted to, or both.
    pub purposes: Vec<Purpose>,
    /// What became of its chain to the trust anchors.
    pub chain: ChainVerdict,
    /// The question about its chain, where there would be a better answer if more were at hand.
    pub inquiry: Option<Inquiry>,
    /// What the DNS says of it.
    pub confirmation: Option<Confirmation>,
    /// What it is worth.
    pub standing: Standing,
}

/// What was found, sorted.
#[derive(Debug, Clone, Default)]
pub struct Picked {
    /// The certificates for the address: good ones first, of these the newest first.
    pub candidates: Vec<Candidate>,
    /// Certificates of people that do not speak for the address.
    pub of_others: usize,
    /// Certificates that speak for it and are neither for signatures nor for encryption of mail.
    pub unsuitable: usize,
    /// Certificates that there was no room for.
    pub untold: usize,
}

/// What certificates are weighed by.
#[derive(Debug, Clone, Copy)]
pub struct Weighing<'a> {
    /// The address that they shall speak for.
    pub address: &'a Address,
    /// The trust anchors.
    pub anchors: &'a TrustAnchors,
    /// Certificates that may stand between.
    pub intermediates: &'a [Certificate],
    /// Revocation lists at hand.
    pub crls: &'a [Crl],
    /// OCSP responses at hand.
    pub ocsp: &'a [ocsp::Response],
    /// What an unknown revocation means.
    pub revocation: Revocation,
    /// For which moment.
    pub at: Timestamp,
    /// The bounds.
    pub limits: &'a Limits,
    /// What everything that is asked about these certificates may still try
    /// ([`question_checks`](crate::limits::Limits::question_checks)).
    pub checks: &'a RefCell<Budget>,
}

/// What a certificate for mail may be good for.
const PURPOSES: [Purpose; 2] = [Purpose::MailEncrypt, Purpose::MailSign];

impl Weighing<'_> {
    /// Sorts what was found. `records` are those of the address in the DNS, proven by DNSSEC. A contact's certificate is listed only where
    /// it was found elsewhere, too, or where a record confirms it.
    pub fn pick(&self, found: &[(Place, Certificate)], records: &[Record]) -> Picked {
        let mut picked = Picked::default();
        let mut people: Vec<(Certificate, Vec<Place>)> = Vec::new();
        let mut pool = self.intermediates.to_vec();
        for (place, certificate) in found {
            if let Some((_, places)) = people.iter_mut().find(|(known, _)| known == certificate) {
                if !places.contains(place) {
                    places.push(*place);
                }
                continue;
            }
            if !email::find(&certificate.addresses(), self.address.as_str()) {
                let is_ca = certificate.basic_constraints().is_some_and(|constraints| constraints.is_ca);
                if !is_ca {
                    picked.of_others = picked.of_others.saturating_add(1);
                } else if pool.len() < self.limits.certificates && !pool.contains(certificate) {
                    pool.push(certificate.clone());
                }
                continue;
            }
            if people.len() >= self.limits.directory_certificates {
                picked.untold = picked.untold.saturating_add(1);
                continue;
            }
            people.push((certificate.clone(), vec![*place]));
        }
        for (certificate, places) in people {
            let weighed = if self.is_spent() { None } else { self.weigh(certificate, places, &pool, records) };
            // one that was weighed in part might look better, or worse, than it is
            if self.is_spent() {
                picked.untold = picked.untold.saturating_add(1);
                continue;
            }
            let Some(candidate) = weighed else {
                picked.unsuitable = picked.unsuitable.saturating_add(1);
                continue;
            };
            let is_known_alone =
                candidate.places == [Place::Contact] && !matches!(candidate.confirmation, Some(Confirmation::By(_)));
            if !is_known_alone {
                picked.candidates.push(candidate);
            }
        }
        picked.candidates.sort_by_key(|candidate| {
            let is_valid = candidate.certificate.is_valid_at(self.at);
            std::cmp::Reverse((candidate.standing.is_good(), is_valid, candidate.certificate.not_before()))
        });
        picked
    }

    /// Weighs one certificate; `None` where it is not for mail.
    fn weigh(&self, certificate: Certificate, places: Vec<Place>, pool: &[Certificate], records: &[Record]) -> Option<Candidate> {
        // judged as its own anchor, a certificate tells of itself alone
        let mut itself = TrustAnchors::new();
        itself.add(certificate.clone());
        let alone = PURPOSES.map(|purpose| self.judge(&certificate, &[], &itself, purpose, Revocation::Off).status);
        let encrypts = certificate.public_key().is_ok_and(|key| key.encrypts());
        let is_for = |(purpose, status): &(Purpose, ChainStatus)| {
            *status != ChainStatus::Unsuitable && (encrypts || *purpose != Purpose::MailEncrypt)
        };
        let purposes: Vec<Purpose> = PURPOSES.into_iter().zip(alone).filter(is_for).map(|(purpose, _)| purpose).collect();
        let first = *purposes.first()?;
        let question = self.question(&certificate, pool, self.anchors, first, self.revocation);
        let chain = self.ask(&question);
        let inquiry = (!chain.wanted.is_empty()).then(|| Inquiry::new(&question, &PolicyInputs::new()));
        let is_well_alone = alone.contains(&ChainStatus::Trusted);
        let confirmation = self.confirmation(&certificate, &chain, is_well_alone, first, pool, records);
        let standing = match (confirmation, chain.status) {
            (_, ChainStatus::Revoked) => Standing::Not(ChainStatus::Revoked),
            (Some(Confirmation::Contradicted), _) => Standing::Contradicted,
            (_, ChainStatus::Trusted) => Standing::Trusted,
            (Some(Confirmation::By(usage)), _) if usage.is_dane() => Standing::Dane(usage),
            (_, status) => Standing::Not(status),
        };
        Some(Candidate { certificate, places, purposes, chain, inquiry, confirmation, standing })
    }

    /// What the records say of a certificate (RFC 8162 2, with the usages of RFC 6698 2.1.1).
    fn confirmation(
        &self,
        certificate: &Certificate,
        chain: &ChainVerdict,
        is_well_alone: bool,
        purpose: Purpose,
        pool: &[Certificate],
        records: &[Record],
    ) -> Option<Confirmation> {
        let is_trusted = chain.status == ChainStatus::Trusted;
        let above = chain.path.get(1..).unwrap_or_default();
        let is_about = |record: &&Record| match record.usage() {
            Usage::DaneEe => is_well_alone && record.fits(certificate),
            Usage::PkixEe => is_trusted && record.fits(certificate),
            Usage::PkixTa => is_trusted && above.iter().any(|issuer| record.fits(issuer)),
            Usage::DaneTa => self.is_below(certificate, record, purpose, pool),
        };
        // what the DNS vouches for by name weighs most
        let by = records.iter().filter(is_about).map(Record::usage).max_by_key(|usage| match usage {
            Usage::DaneEe => 3,
            Usage::PkixEe => 2,
            Usage::DaneTa => 1,
            Usage::PkixTa => 0,
        });
        // a record whose other condition does not hold is no news against the certificate; its chain tells what is wrong
        let is_named = || records.iter().any(|record| record.fits(certificate) || above.iter().any(|above| record.fits(above)));
        match by {
            Some(usage) => Some(Confirmation::By(usage)),
            None if records.is_empty() || is_named() => None,
            None => Some(Confirmation::Contradicted),
        }
    }

    /// Whether a certificate stands below the authority that a record names.
    fn is_below(&self, certificate: &Certificate, record: &Record, purpose: Purpose, pool: &[Certificate]) -> bool {
        let mut anchors = TrustAnchors::new();
        let named = pool.iter().chain(self.anchors.iter()).filter(|issuer| record.fits(issuer)).cloned();
        named.chain(record.certificate()).filter(|issuer| issuer != certificate).for_each(|issuer| anchors.add(issuer));
        !anchors.is_empty()
            && !self.is_spent()
            && self.judge(certificate, pool, &anchors, purpose, self.revocation).status == ChainStatus::Trusted
    }

    fn judge(
        &self,
        leaf: &Certificate,
        pool: &[Certificate],
        anchors: &TrustAnchors,
        purpose: Purpose,
        revocation: Revocation,
    ) -> ChainVerdict {
        self.ask(&self.question(leaf, pool, anchors, purpose, revocation))
    }

    fn ask(&self, question: &Judgement<'_>) -> ChainVerdict {
        let verdict = pki::judge(question);
        // what goes beyond ends the weighing, which looks whether anything is left
        self.checks.borrow_mut().spend(verdict.tried).ok();
        verdict
    }

    fn is_spent(&self) -> bool {
        self.checks.borrow().is_spent()
    }

    fn question<'q>(
        &'q self,
        leaf: &'q Certificate,
        pool: &'q [Certificate],
        anchors: &'q TrustAnchors,
        purpose: Purpose,
        revocation: Revocation,
    ) -> Judgement<'q> {
        let Self { crls, ocsp, at, limits, .. } = *self;
        Judgement { leaf, pool, anchors, crls, ocsp, purpose, at, revocation, limits }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crypto::algorithm::DigestAlgorithm;
    use crate::crypto::digest;
    use crate::pki::load;

    fn read(name: &str) -> Vec<u8> {
        std::fs::read(format!("{}/certs/{name}", env!("CARGO_MANIFEST_DIR"))).expect("one of the cast")
    }

    fn certificate(name: &str) -> Certificate {
        load::certificates(&read(&format!("{name}.pem"))).expect("read").remove(0)
    }

    fn pick(address: &str, found: &[&str], records: &[Record]) -> Picked {
        pick_within(address, found, records, 100)
    }

    fn pick_within(address: &str, found: &[&str], records: &[Record], checks: u64) -> Picked {
        let mut anchors = TrustAnchors::new();
        anchors.add(certificate("root"));
        let weighing = Weighing {
            address: &Address::parse(address).expect("an address"),
            anchors: &anchors,
            intermediates: &[certificate("issuing")],
            crls: &load::crls(read("issuing.crl")).expect("read"),
            ocsp: &[],
            revocation: Revocation::Soft,
            at: Timestamp::parse_rfc3339("2026-06-01T00:00:00Z").expect("a time"),
            limits: &Limits { directory_certificates: 2, ..Limits::default() },
            checks: &RefCell::new(Budget::new("question checks", checks)),
        };
        weighing.pick(&found.iter().map(|name| (Place::Ldap, certificate(name))).collect::<Vec<_>>(), records)
    }

    fn record(usage: u8, name: &str) -> Record {
        Record::new(usage, 0, 1, &digest::of(DigestAlgorithm::Sha256, certificate(name).der())).expect("a record")
    }

    fn standing(address: &str, name: &str, records: &[Record]) -> Standing {
        pick(address, &[name], records).candidates.remove(0).standing
    }

    #[test]
    fn what_is_revoked_or_over_stays_so_whatever_the_dns_says() {
        let revoked = |records: &[Record]| standing("revoked@example.com", "revoked", records);
        assert_eq!(revoked(&[]), Standing::Not(ChainStatus::Revoked));
        assert_eq!(revoked(&[record(3, "revoked"), record(2, "root")]), Standing::Not(ChainStatus::Revoked));
        let expired = |records: &[Record]| standing("expired@example.com", "expired", records);
        assert_eq!(expired(&[record(3, "expired")]), Standing::Not(ChainStatus::Expired));
        assert_eq!(standing("alice@example.com", "stranger", &[record(3, "stranger")]), Standing::Dane(Usage::DaneEe));
        assert_eq!(standing("alice@example.com", "stranger", &[record(3, "alice")]), Standing::Contradicted);
        assert_eq!(standing("alice@example.com", "alice", &[record(3, "stranger")]), Standing::Contradicted);
    }

    #[test]
    fn no_certificate_is_weighed_in_part() {
        for checks in 0..30 {
            let picked = pick_within("alice@example.com", &["alice", "stranger"], &[record(2, "root")], checks);
            assert_eq!(picked.candidates.len() + picked.untold, 2, "{checks}");
            let standings = picked.candidates.iter().map(|candidate| (candidate.certificate.to_string(), candidate.standing));
            for (name, standing) in standings {
                let whole = if name.contains("CN=Alice, SN") { Standing::Trusted } else { Standing::Contradicted };
                assert_eq!(standing, whole, "{checks}: {name}");
            }
        }
        assert_eq!(pick_within("alice@example.com", &["alice", "stranger"], &[], 1).untold, 2);
        assert_eq!(pick_within("alice@example.com", &["alice", "stranger"], &[], 100).untold, 0);
    }

    #[test]
    fn what_is_not_for_mail_or_not_for_the_address_or_too_much_is_counted() {
        let picked = pick("alice@example.com", &["alice", "bob", "issuing", "alice"], &[]);
        assert_eq!((picked.candidates.len(), picked.of_others, picked.untold), (1, 1, 0), "twice the same is one");
        assert_eq!(picked.candidates[0].purposes, [Purpose::MailEncrypt, Purpose::MailSign]);
        let picked = pick("mail@example.com", &["wrong-usage"], &[]);
        assert_eq!((picked.candidates.len(), picked.of_others), (0, 1));
    }
}
