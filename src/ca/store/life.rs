//! What happens to a certificate after it was issued: revocation, hold and release, renewal.

use std::collections::BTreeMap;

use crate::ca::records::event::Draft;
use crate::ca::records::{Entry, Records, Serial, Transaction, fact_of};
use crate::ca::store::{Made, Store};
use crate::ca::{Error, Issuer, RevocationReason, escrow};
use crate::crypto::key::PrivateKey;
use crate::crypto::random::Random;
use crate::pki::{Certificate, email};
use crate::time::Timestamp;

/// Which key a renewed certificate is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Renewal {
    /// The key of the old certificate.
    SameKey,
    /// A new key of the same kind.
    NewKey,
}

impl Store {
    /// Revokes a certificate by its serial number in hexadecimal. One that is on hold may be revoked for another reason.
    pub fn revoke(&self, serial: &str, reason: RevocationReason, at: Timestamp) -> Result<Certificate, Error> {
        self.revoke_since(serial, (reason, None), at)
    }

    /// Revokes a certificate whose key was no longer to be trusted since a moment in the past (RFC 5280 5.3.2).
    pub fn revoke_since(
        &self,
        serial: &str,
        (reason, since): (RevocationReason, Option<Timestamp>),
        at: Timestamp,
    ) -> Result<Certificate, Error> {
        if since.is_some_and(|since| since > at) {
            return Err(Error::Refused("the key is said to be compromised since a time that has not come yet".to_owned()));
        }
        let mut records = self.locked();
        let mut turn = Transaction::begin(&mut records, at)?;
        let wanted = parse(serial)?;
        let found = turn.records().certificate(&wanted)?.ok_or_else(|| unknown(serial))?;
        if let Some(change) = turn.records().change(&wanted)?
            && change.revoked(&wanted).is_some()
            && (!change.is_on_hold() || reason == RevocationReason::CertificateHold)
        {
            let state = if change.is_on_hold() { "on hold" } else { "revoked" };
            return Err(Error::Refused(format!("the certificate {serial} is {state} already")));
        }
        turn.log(revocation(&wanted, reason, since));
        turn.commit()?;
        Ok(found)
    }

    /// Takes a certificate off hold.
    pub fn release(&self, serial: &str, at: Timestamp) -> Result<Certificate, Error> {
        let mut records = self.locked();
        let mut turn = Transaction::begin(&mut records, at)?;
        let wanted = parse(serial)?;
        let found = turn.records().certificate(&wanted)?.ok_or_else(|| unknown(serial))?;
        match turn.records().change(&wanted)? {
            Some(change) if change.is_on_hold() => {}
            Some(change) if change.revoked(&wanted).is_some() => {
                let why = "a revocation is for good, only a hold is released – issue a new certificate";
                return Err(Error::Refused(format!("the certificate {serial} is revoked ({}): {why}", change.reason.name())));
            }
            _ => return Err(Error::Refused(format!("the certificate {serial} is not on hold"))),
        }
        turn.log(Draft::new("release", wanted.to_string(), ""));
        turn.commit()?;
        Ok(found)
    }

    /// Puts every valid certificate of an address on hold; gives their serial numbers.
    pub fn suspend(&self, address: &str, at: Timestamp) -> Result<Vec<Serial>, Error> {
        let is_wanted = |entry: &Entry| entry.revoked.is_none() && entry.until > at && speaks_for(entry, address);
        self.change_all(is_wanted, |entry| revocation(&entry.serial, RevocationReason::CertificateHold, None), at)
    }

    /// Takes every certificate of an address off hold; gives their serial numbers.
    pub fn resume(&self, address: &str, at: Timestamp) -> Result<Vec<Serial>, Error> {
        let is_held = |entry: &Entry| {
            let held = entry.revoked.as_ref().is_some_and(|revoked| revoked.reason == RevocationReason::CertificateHold);
            held && speaks_for(entry, address)
        };
        self.change_all(is_held, |entry| Draft::new("release", entry.serial.to_string(), ""), at)
    }

    /// Issues a certificate with the content of an older one, which is not revoked by that; for as long as the old one where no days
    /// are given.
    pub fn renew(
        &self,
        serial: &str,
        (renewal, days): (Renewal, Option<u32>),
        at: Timestamp,
        random: &mut dyn Random,
    ) -> Result<Made, Error> {
        let mut records = self.locked();
        let mut turn = Transaction::begin(&mut records, at)?;
        let wanted = parse(serial)?;
        let (Some(place), Some(old)) = (turn.records().place(&wanted)?, turn.records().certificate(&wanted)?) else {
            return Err(unknown(serial));
        };
        if turn.records().change(&wanted)?.is_some_and(|change| change.revoked(&wanted).is_some()) {
            return Err(Error::Refused(format!(
                "the certificate {serial} is revoked – issue a new one with `sealpost ca issue`"
            )));
        }
        let key = match renewal {
            Renewal::SameKey => None,
            Renewal::NewKey => Some(PrivateKey::generate(old.public_key()?.algorithm(), random)?),
        };
        let public = key.as_ref().map_or_else(|| old.public_key(), |key| Ok(key.public_key().clone()))?;
        let days = days.map_or_else(|| days_of(&old), Ok)?;
        let certificate = self.authority().renew((&old, place.by), &public, days, at, random)?;
        let mut facts = vec![("renews", wanted.to_string())];
        // the new key takes the place of one that could be recovered
        if let Some(key) = &key
            && fact_of(self.folder(), &wanted, "escrow")?.is_some()
        {
            facts.push(("escrow", escrow::put(self.folder(), key, &certificate, random)?.to_string()));
        }
        turn.certificate_with((&certificate, place.by), &names_of(&old, place.by), &facts)?;
        turn.commit()?;
        Ok(Made { certificate, key })
    }

    /// What of [`ending`] is to be renewed. A renewal is not renewed again before a third of its life is over: one that lives for fewer days
    /// than are asked for would be renewed whenever somebody looks.
    pub fn due(&self, days: u32, at: Timestamp) -> Result<Vec<Entry>, Error> {
        let mut found = ending(&self.records()?, days, at)?;
        let age = |entry: &Entry| at.unix().saturating_sub(entry.issued.unix());
        let life = |entry: &Entry| entry.until.unix().saturating_sub(entry.issued.unix());
        found.retain(|entry| entry.renews.is_none() || age(entry) >= life(entry) / 3);
        Ok(found)
    }

    fn change_all(
        &self,
        is_wanted: impl Fn(&Entry) -> bool,
        draft: impl Fn(&Entry) -> Draft,
        at: Timestamp,
    ) -> Result<Vec<Serial>, Error> {
        let mut records = self.locked();
        let mut turn = Transaction::begin(&mut records, at)?;
        let mut found = Vec::new();
        for entry in turn.records().entries()? {
            let entry = entry?;
            if is_wanted(&entry) {
                found.push(entry);
            }
        }
        found.iter().for_each(|entry| turn.log(draft(entry)));
        turn.commit()?;
        Ok(found.into_iter().map(|entry| entry.serial).collect())
    }
}

/// What ends within some days, is not revoked, and was not renewed yet; what ends first comes first. Needs no key.
pub fn ending(records: &Records, days: u32, at: Timestamp) -> Result<Vec<Entry>, Error> {
    let limit = at.plus_days(i64::from(days));
    let mut found = BTreeMap::new();
    for entry in records.entries()? {
        let entry = entry?;
        // what was renewed stands in the ledger before what renews it
        if let Some(renewed) = entry.renews {
            found.remove(&renewed);
        }
        if entry.revoked.is_none() && entry.until > at && entry.until <= limit {
            found.insert(entry.serial, entry);
        }
    }
    let mut found: Vec<Entry> = found.into_values().collect();
    found.sort_by_key(|entry| entry.until);
    Ok(found)
}

fn revocation(serial: &Serial, reason: RevocationReason, since: Option<Timestamp>) -> Draft {
    let draft = Draft::new("revoke", serial.to_string(), reason.name());
    match since {
        Some(since) => draft.fact("since", since),
        None => draft,
    }
}

fn parse(serial: &str) -> Result<Serial, Error> {
    Serial::from_hex(serial)
        .ok_or_else(|| Error::Unknown(format!("{serial} is not a serial number – it is written in hexadecimal digits")))
}

fn unknown(serial: &str) -> Error {
    Error::Unknown(format!("no certificate with the serial number {serial} was issued here"))
}

fn speaks_for(entry: &Entry, address: &str) -> bool {
    let names: Vec<String> = entry.whom.split(',').map(str::to_owned).collect();
    entry.by == Issuer::Mail && email::find(&names, address)
}

/// For how many days a certificate was issued: some begin a few minutes early, the longest end a few seconds early.
fn days_of(certificate: &Certificate) -> Result<u32, Error> {
    let seconds = certificate.not_after().unix().saturating_sub(certificate.not_before().unix());
    u32::try_from(seconds.saturating_add(43_200) / 86_400)
        .map_err(|_| Error::Refused("the old certificate has no length – give --days".to_owned()))
}

fn names_of(certificate: &Certificate, by: Issuer) -> String {
    if by == Issuer::Mail { certificate.addresses().join(",") } else { certificate.dns_names().join(",") }
}
