//! What the authority publishes: its certificates, its revocation lists, and answers over OCSP that are signed before they are asked for.
//!
//! ```text
//! CA/
//!   public/      root.cer issuing.cer servers.cer  root.crl issuing.crl servers.crl    what everyone may have, in DER (RFC 2585)
//!   responder/   issuing.pem servers.pem                                               keys and certificates of those who answer
//!                issuing.answers servers.answers                                       what they signed
//! ```

use std::path::{Path, PathBuf};

use crate::ca::records::Draft;
use crate::ca::responder::{self, Age, ISSUERS, States, Tally};
use crate::ca::store::Store;
use crate::ca::{Error, Issuer};
use crate::crypto::algorithm::DigestAlgorithm;
use crate::crypto::digest;
use crate::crypto::random::Random;
use crate::keys::{Identity, files};
use crate::pki::{Crl, hex};
use crate::time::Timestamp;

/// What a file holds that everyone may have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A certificate.
    Certificate,
    /// A revocation list.
    List,
}

/// Every name that there is; nothing else is ever published. Lists of changes are there where the authority signs such.
pub const FILES: &[(&str, Kind)] = &[
    ("root.cer", Kind::Certificate),
    ("issuing.cer", Kind::Certificate),
    ("servers.cer", Kind::Certificate),
    ("root.crl", Kind::List),
    ("issuing.crl", Kind::List),
    ("servers.crl", Kind::List),
    ("issuing-delta.crl", Kind::List),
    ("servers-delta.crl", Kind::List),
];

/// What `publish` did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Published {
    /// The files that everyone may have.
    pub files: Vec<PathBuf>,
    /// The answers over OCSP, of all issuers.
    pub answers: Tally,
}

/// Where the files lie that everyone may have.
pub fn folder(ca: &Path) -> PathBuf {
    ca.join("public")
}

/// A short name of bytes by which a cache knows them again.
pub fn tag(bytes: &[u8]) -> String {
    let mut tag = hex(&digest::of(DigestAlgorithm::Sha256, bytes));
    tag.truncate(32);
    tag
}

impl Store {
    /// Publishes certificates and these lists, each with the name of its file without the ending, and signs the answers over OCSP. Those
    /// of before are kept that say the same still, for half of their time; responders are renewed when it is time.
    pub fn publish(
        &self,
        lists: &[(String, Crl)],
        states: &dyn States,
        at: Timestamp,
        random: &mut dyn Random,
    ) -> Result<Published, Error> {
        self.publish_with(lists, |by| self.sign_answers(by, states, at, random))
    }

    /// Publishes these lists after some certificates were revoked or released. Answers over OCSP that were signed before stay: whoever answers
    /// sees that one of them is no longer right, and signs that one when it is asked for. They are signed anew where that would be too many,
    /// or where half of their time is over.
    pub fn publish_changes(
        &self,
        lists: &[(String, Crl)],
        states: &dyn States,
        at: Timestamp,
        random: &mut dyn Random,
    ) -> Result<Published, Error> {
        let records = self.records()?;
        self.publish_with(lists, |by| match responder::standing(self.folder(), (by, self.identity(by)?), &records, at)? {
            Some(kept) => Ok(Tally { signed: 0, kept }),
            None => self.sign_answers(by, states, at, random),
        })
    }

    fn publish_with(
        &self,
        lists: &[(String, Crl)],
        mut answers_of: impl FnMut(Issuer) -> Result<Tally, Error>,
    ) -> Result<Published, Error> {
        let authority = self.authority();
        let public = folder(self.folder());
        files::make_folder(&public)?;
        let certificates = [("root", authority.root()), ("issuing", authority.issuing()), ("servers", authority.servers())];
        let certificates = certificates.iter().map(|(name, certificate)| (format!("{name}.cer"), certificate.der()));
        let lists = lists.iter().map(|(name, list)| (format!("{name}.crl"), list.der()));
        let mut written = Vec::new();
        for (name, der) in certificates.chain(lists) {
            let path = public.join(name);
            files::write(&path, der)?;
            written.push(path);
        }
        let mut answers = Tally::default();
        for by in ISSUERS {
            let tally = answers_of(by)?;
            answers.signed = answers.signed.saturating_add(tally.signed);
            answers.kept = answers.kept.saturating_add(tally.kept);
        }
        Ok(Published { files: written, answers })
    }

    fn sign_answers(&self, by: Issuer, states: &dyn States, at: Timestamp, random: &mut dyn Random) -> Result<Tally, Error> {
        let identity = self.identity(by)?;
        let (delegate, age) = responder::delegate_of(self.folder(), (by, identity), at, random)?;
        if age == Age::New {
            // the ledger first: a certificate that was made is never unknown
            let certificate = delegate.certificate();
            let draft = Draft::new("responder", certificate.serial_hex(), by.name()).fact("until", certificate.not_after());
            self.log(draft, at)?;
            responder::keep(self.folder(), by, &delegate)?;
        }
        // counted before the states are asked: what happens meanwhile is looked at again the next time
        let events = self.records()?.events();
        responder::sign_before(self.folder(), (by, identity.certificate(), events), &delegate, states, at, random)
    }

    fn identity(&self, by: Issuer) -> Result<&Identity, Error> {
        self.authority().identity(by).ok_or_else(|| Error::Refused("the root answers nothing".to_owned()))
    }
}
