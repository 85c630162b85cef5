//! The lists of what was revoked, complete and delta (RFC 5280 5).

use std::path::Path;

use crate::ca::records::event::Draft;
use crate::ca::records::{Records, Transaction, head};
use crate::ca::revoke::{self, Entry, List, REMOVE_FROM_CRL};
use crate::ca::store::Store;
use crate::ca::{Error, Issuer};
use crate::crypto::random::Random;
use crate::keys::Identity;
use crate::pki::Crl;
use crate::secret::Secret;
use crate::time::Timestamp;

/// Which list is signed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ListKind {
    /// Everything that is revoked; it names delta lists where the one before it did.
    Complete,
    /// Everything that is revoked; from now on lists say where delta lists are (RFC 5280 5.2.6).
    CompleteWithDeltas,
    /// Everything that is revoked, signed between two complete lists: delta lists go on from the one before, which readers hold still.
    Between,
    /// What changed since the last complete list (RFC 5280 5.2.4).
    Delta,
    /// Everything that is revoked, without the critical issuing distribution point: for NSS, which imports no list that has one.
    Plain,
}

impl Store {
    /// Signs the current revocation list of the CA for mail.
    pub fn crl(&self, at: Timestamp, days: i64, random: &mut dyn Random) -> Result<Crl, Error> {
        self.list(Issuer::Mail, ListKind::Complete, (at, at.plus_days(days)), random)
    }

    /// Signs the current revocation list of the CA for TLS servers.
    pub fn server_crl(&self, at: Timestamp, days: i64, random: &mut dyn Random) -> Result<Crl, Error> {
        self.list(Issuer::Servers, ListKind::Complete, (at, at.plus_days(days)), random)
    }

    /// Signs a list of an issuing CA, from now on and until the next one is due.
    pub fn list(&self, by: Issuer, kind: ListKind, dates: (Timestamp, Timestamp), random: &mut dyn Random) -> Result<Crl, Error> {
        let signer =
            self.authority().identity(by).ok_or_else(|| Error::Refused("the list of the root needs its key".to_owned()))?;
        self.sign((by, signer), kind, dates, random)
    }

    /// Signs the current revocation list of the root; its key is opened for that alone.
    pub fn root_crl(
        &self,
        passphrase: Option<&Secret<Vec<u8>>>,
        at: Timestamp,
        days: i64,
        random: &mut dyn Random,
    ) -> Result<Crl, Error> {
        self.root_list((None, passphrase), (at, at.plus_days(days)), random)
    }

    /// The same with the key of an offline root, which lies in a file.
    pub fn root_list(
        &self,
        (file, passphrase): (Option<&Path>, Option<&Secret<Vec<u8>>>),
        dates: (Timestamp, Timestamp),
        random: &mut dyn Random,
    ) -> Result<Crl, Error> {
        let root = Identity::new(self.root_key(file, passphrase)?, self.authority().root().clone(), Vec::new())?;
        self.sign((Issuer::Root, &root), ListKind::Complete, dates, random)
    }

    /// Whether the lists of a CA say where delta lists are, so that there must be one.
    pub fn announces_deltas(&self, by: Issuer) -> Result<bool, Error> {
        let mut records = self.locked();
        records.refresh()?;
        Ok(records.last_list(by).is_some_and(|last| last.announces_deltas))
    }

    fn sign(
        &self,
        (by, signer): (Issuer, &Identity),
        kind: ListKind,
        dates: (Timestamp, Timestamp),
        random: &mut dyn Random,
    ) -> Result<Crl, Error> {
        let mut records = self.locked();
        let mut turn = Transaction::begin(&mut records, dates.0)?;
        let last = turn.records().last_list(by);
        let base = match (kind, last) {
            (ListKind::Delta, Some(last)) if last.announces_deltas => Some(last.number),
            (ListKind::Delta, _) => {
                let why = "no complete list says where delta lists are – sign one with `sealpost ca crl --with-deltas`";
                return Err(Error::Refused(why.to_owned()));
            }
            _ => None,
        };
        let announces = kind == ListKind::CompleteWithDeltas || last.is_some_and(|last| last.announces_deltas);
        // a list is an event of its own, so no two have one number, and what is between two lists has a number between theirs
        let number = turn.records().events();
        let place = |suffix: &str| format!("{}/{}{suffix}.crl", self.authority().base_url(), by.name());
        let list = List {
            entries: entries(turn.records(), by, base)?,
            number,
            dates,
            // RFC 5280 5.2.5: a delta list is of the same scope as its base
            // the root itself has no distribution point, and OpenSSL looks for it, too
            place: (kind != ListKind::Plain && by != Issuer::Root).then(|| place("")),
            base,
            deltas: (announces && base.is_none() && kind != ListKind::Plain).then(|| place("-delta")),
        };
        let crl = revoke::sign_list(signer, &list, random)?;
        let mut draft = Draft::new("crl", number.to_string(), &list.entries.len().to_string()).fact("by", by.name());
        match base {
            Some(base) => draft = draft.fact("base", base),
            None if kind == ListKind::Plain => draft = draft.fact("plain", "yes"),
            None if kind == ListKind::Between => draft = draft.fact("between", "yes"),
            None if announces => draft = draft.fact("deltas", "announced"),
            None => {}
        }
        turn.log(draft);
        let chain = turn.chain_after();
        turn.commit()?;
        if by == Issuer::Mail && base.is_none() {
            head::sign(records.folder(), &chain, signer.private_key(), dates.0, random)?;
        }
        Ok(crl)
    }
}

/// What a list says: all that is revoked, or of a delta list all that changed since its base.
fn entries(records: &Records, by: Issuer, base: Option<u64>) -> Result<Vec<Entry>, Error> {
    let last = records.last_list(by);
    let mut found = Vec::new();
    for change in records.changes()? {
        let (serial, change) = change?;
        if change.by != by {
            continue;
        }
        let is_news = base.is_none_or(|base| change.line > base);
        // RFC 5280 3.3: an entry goes when it was on a list that was made after the certificate ended
        let was_last_seen = last.is_some_and(|last| last.time > change.until && change.line < last.number);
        match change.revoked(&serial) {
            Some(revoked) if is_news && !was_last_seen => found.push(revoked.entry()),
            // RFC 5280 5.2.4: what came back is named in delta lists, whether or not it was on hold in the base
            None if base.is_some() && is_news => {
                found.push(Entry { serial: serial.to_bytes(), date: change.date, reason: REMOVE_FROM_CRL, invalid_since: None });
            }
            _ => {}
        }
    }
    Ok(found)
}
