//! SMIMEA records: certificates and what is said of them in the DNS (RFC 8162, RFC 6698).
//!
//! A record counts where DNSSEC proves it, and only there; whoever makes a [`Record`] has seen to that.

use std::fmt;

use crate::crypto::algorithm::DigestAlgorithm;
use crate::crypto::digest;
use crate::keys::directory::Address;
use crate::pki::{self, Certificate};

/// Bytes of the digest that stand in the name (RFC 8162 3, step 4).
const NAME_BYTES: usize = 28;

/// The name under which the records of an address stand (RFC 8162 3).
///
/// The local part counts to the letter: which spellings are one mailbox, its domain knows and nobody else (section 4).
///
/// ```
/// use sealpost::keys::directory::{Address, smimea};
/// let name = smimea::owner_name(&Address::parse("hugh@example.com").unwrap());
/// assert_eq!(name, "c93f1e400f26708f98cb19d936620da35eec8f72e57f9eec01c1afd6._smimecert.example.com.");
/// ```
pub fn owner_name(address: &Address) -> String {
    let hash = digest::of(DigestAlgorithm::Sha256, address.local().as_bytes());
    format!("{}._smimecert.{}.", pki::hex(hash.get(..NAME_BYTES).unwrap_or(&hash)), address.domain())
}

/// What a record says of a certificate (RFC 6698 2.1.1, names of RFC 7218).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Usage {
    /// 0: this authority stands above it, and the chain is trusted anyway.
    PkixTa,
    /// 1: it is this one, and the chain is trusted anyway.
    PkixEe,
    /// 2: it stands below this authority, whoever that is.
    DaneTa,
    /// 3: it is this one, whoever issued it.
    DaneEe,
}

impl Usage {
    /// The word of the JSON output.
    pub const fn name(self) -> &'static str {
        match self {
            Self::PkixTa => "pkix-ta",
            Self::PkixEe => "pkix-ee",
            Self::DaneTa => "dane-ta",
            Self::DaneEe => "dane-ee",
        }
    }

    /// Whether the DNS vouches, and not an authority that is trusted anyway.
    pub const fn is_dane(self) -> bool {
        matches!(self, Self::DaneTa | Self::DaneEe)
    }
}

/// What of a certificate a record is about (RFC 6698 2.1.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Selector {
    Certificate,
    Key,
}

/// How a record holds it (RFC 6698 2.1.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Matching {
    Full,
    Digest(DigestAlgorithm),
}

/// An SMIMEA record that DNSSEC proves.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    usage: Usage,
    selector: Selector,
    matching: Matching,
    data: Vec<u8>,
}

impl Record {
    /// A record of these fields; says what is wrong with one that cannot be used (RFC 8162 2, RFC 6698 4.1).
    pub fn new(usage: u8, selector: u8, matching: u8, data: &[u8]) -> Result<Self, String> {
        let usage = match usage {
            0 => Usage::PkixTa,
            1 => Usage::PkixEe,
            2 => Usage::DaneTa,
            3 => Usage::DaneEe,
            other => return Err(format!("an SMIMEA record has the usage {other}, which is not known")),
        };
        let selector = match selector {
            0 => Selector::Certificate,
            1 => Selector::Key,
            other => return Err(format!("an SMIMEA record has the selector {other}, which is not known")),
        };
        let (matching, length) = match matching {
            0 => (Matching::Full, None),
            1 => (Matching::Digest(DigestAlgorithm::Sha256), Some(32)),
            2 => (Matching::Digest(DigestAlgorithm::Sha512), Some(64)),
            other => return Err(format!("an SMIMEA record has the matching type {other}, which is not known")),
        };
        if data.is_empty() || length.is_some_and(|length| length != data.len()) {
            return Err(format!("an SMIMEA record has {} bytes of data, which its matching type cannot have", data.len()));
        }
        let record = Self { usage, selector, matching, data: data.to_vec() };
        if record.is_certificate() && record.certificate().is_none() {
            return Err("an SMIMEA record holds a certificate that cannot be read".to_owned());
        }
        Ok(record)
    }

    /// What it says.
    pub fn usage(&self) -> Usage {
        self.usage
    }

    /// The word of the JSON output for what it is about.
    pub fn selector_name(&self) -> &'static str {
        match self.selector {
            Selector::Certificate => "certificate",
            Selector::Key => "key",
        }
    }

    /// The word of the JSON output for how it holds that.
    pub fn matching_name(&self) -> &'static str {
        match self.matching {
            Matching::Full => "full",
            Matching::Digest(DigestAlgorithm::Sha512) => "sha512",
            Matching::Digest(_) => "sha256",
        }
    }

    /// The certificate that it holds; a record of another kind only confirms those that were found elsewhere.
    pub fn certificate(&self) -> Option<Certificate> {
        if self.is_certificate() { Certificate::from_der(&self.data).ok() } else { None }
    }

    /// Whether it is about this certificate.
    pub fn fits(&self, certificate: &Certificate) -> bool {
        let bytes = match self.selector {
            Selector::Certificate => certificate.der(),
            Selector::Key => certificate.spki(),
        };
        match self.matching {
            Matching::Full => bytes == self.data,
            Matching::Digest(algorithm) => digest::of(algorithm, bytes) == self.data,
        }
    }

    /// Whether another record about the same has a digest that is stronger.
    fn is_weaker_than(&self, other: &Self) -> bool {
        let strength = |record: &Self| match record.matching {
            // neither weak nor strong: it is the thing itself
            Matching::Full => None,
            Matching::Digest(DigestAlgorithm::Sha512) => Some(2),
            Matching::Digest(_) => Some(1),
        };
        let is_about_the_same = (self.usage, self.selector) == (other.usage, other.selector);
        is_about_the_same && strength(self).zip(strength(other)).is_some_and(|(own, other)| own < other)
    }

    fn is_certificate(&self) -> bool {
        self.selector == Selector::Certificate && self.matching == Matching::Full
    }
}

/// Of digests by several algorithms for one usage and selector, the strongest alone (RFC 7671 9): who breaks the weaker one has won nothing. Records
/// that hold all of it stay. To be asked about records that can be used.
pub fn strongest(records: &[Record]) -> Vec<Record> {
    let is_strong = |record: &&Record| !records.iter().any(|other| record.is_weaker_than(other));
    records.iter().filter(is_strong).cloned().collect()
}

impl fmt::Display for Record {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} {}", self.usage.name(), self.selector_name(), self.matching_name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pki::load;

    fn certificate(name: &str) -> Certificate {
        let path = format!("{}/certs/{name}.pem", env!("CARGO_MANIFEST_DIR"));
        load::certificates(&std::fs::read(path).expect("one of the cast")).expect("read").remove(0)
    }

    #[test]
    fn every_selector_and_matching_type_fits_its_certificate_and_no_other() {
        let (alice, bob) = (certificate("alice"), certificate("bob"));
        for (selector, bytes) in [(0, alice.der()), (1, alice.spki())] {
            for (matching, data) in [
                (0, bytes.to_vec()),
                (1, digest::of(DigestAlgorithm::Sha256, bytes)),
                (2, digest::of(DigestAlgorithm::Sha512, bytes)),
            ] {
                for usage in 0..=3 {
                    let record = Record::new(usage, selector, matching, &data).expect("a record");
                    assert!(record.fits(&alice) && !record.fits(&bob), "{record}");
                    assert_eq!(record.certificate().is_some(), selector == 0 && matching == 0, "{record}");
                }
            }
        }
    }

    #[test]
    fn of_several_digests_the_strongest_counts_for_each_usage_and_selector() {
        let record = |(usage, selector, matching): (u8, u8, u8)| {
            let length = [4, 32, 64][usize::from(matching)];
            Record::new(usage, selector, matching, &vec![7; length]).expect("a record")
        };
        let left = |all: &[(u8, u8, u8)]| {
            let records: Vec<Record> = all.iter().copied().map(record).collect();
            strongest(&records).iter().map(ToString::to_string).collect::<Vec<_>>()
        };
        assert_eq!(left(&[(3, 1, 1), (3, 1, 2), (3, 1, 1)]), ["dane-ee key sha512"]);
        assert_eq!(left(&[(3, 1, 1), (3, 1, 1)]).len(), 2, "of one algorithm all count");
        assert_eq!(left(&[(3, 1, 1), (3, 0, 2), (2, 1, 2)]).len(), 3, "others are about something else");
        assert_eq!(left(&[(3, 1, 2), (3, 1, 0), (3, 1, 1)]), ["dane-ee key sha512", "dane-ee key full"]);
        assert!(left(&[]).is_empty());
    }

    #[test]
    fn refuses_records_that_say_nothing_known() {
        let why = |usage, selector, matching, data: &[u8]| Record::new(usage, selector, matching, data).expect_err("refused");
        assert!(why(4, 0, 0, b"x").contains("usage 4"));
        assert!(why(255, 0, 0, b"x").contains("usage 255"));
        assert!(why(3, 2, 0, b"x").contains("selector 2"));
        assert!(why(3, 0, 3, b"x").contains("matching type 3"));
        assert!(why(3, 0, 1, &[0; 31]).contains("31 bytes"));
        assert!(why(3, 0, 2, &[0; 32]).contains("32 bytes"));
        assert!(why(3, 0, 0, b"").contains("0 bytes"));
        assert!(why(3, 0, 0, b"no certificate").contains("cannot be read"));
    }

    #[test]
    fn names_are_to_the_letter() {
        let name = |text| owner_name(&Address::parse(text).expect("an address"));
        assert_ne!(name("Hugh@example.com"), name("hugh@example.com"));
        assert_eq!(name("hugh@EXAMPLE.com"), name("\"hugh\"@example.com"));
        assert!(name("hugh@b\u{fc}cher.example").ends_with("._smimecert.xn--bcher-kva.example."));
    }
}
