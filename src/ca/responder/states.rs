//! What the authority knows of its certificates, as the responder asks for it.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use crate::ca::records::{self, Records, Serial};
use crate::ca::{Error, Issuer, Revoked};
use crate::pki::ocsp::Status;
use crate::time::Timestamp;

/// A certificate that was given out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Known {
    /// Its serial number, as the content of its INTEGER.
    pub serial: Vec<u8>,
    /// Its last moment.
    pub not_after: Timestamp,
    /// Whether it is revoked.
    pub status: Status,
}

/// What the authority knows of its certificates. Asked at every request, so that a revocation is told of at once.
pub trait States: Send + Sync + fmt::Debug {
    /// What is known of this serial number of an issuer: never good where it was not given out.
    fn state(&self, by: Issuer, serial: &[u8]) -> Result<Status, Error>;

    /// Everything that an issuer gave out, in any order.
    fn all(&self, by: Issuer) -> Result<Vec<Known>, Error>;
}

/// The states of an authority's folder, by its records. Needs no key.
#[derive(Debug)]
pub struct Folder {
    folder: PathBuf,
    records: Mutex<Option<Records>>,
}

impl Folder {
    /// The states of the authority in this folder.
    pub fn new(folder: &Path) -> Self {
        Self { folder: folder.to_owned(), records: Mutex::default() }
    }

    /// The records as they are now; what was written since they were read is read on.
    fn now<T>(&self, ask: impl FnOnce(&Records) -> Result<T, Error>) -> Result<T, Error> {
        let mut held = self.records.lock().unwrap_or_else(PoisonError::into_inner);
        let records = match held.as_mut() {
            Some(records) => {
                records.refresh()?;
                records
            }
            None => held.insert(Records::open(&self.folder)?),
        };
        ask(records)
    }
}

impl States for Folder {
    fn state(&self, by: Issuer, serial: &[u8]) -> Result<Status, Error> {
        // a negative number is nobody's
        let is_negative = serial.first().is_none_or(|byte| byte & 0x80 != 0);
        let Some(serial) = Serial::from_bytes(serial).filter(|_| !is_negative) else { return Ok(Status::Unknown) };
        self.now(|records| {
            if records.place(&serial)?.is_none_or(|place| place.by != by) {
                return Ok(Status::Unknown);
            }
            Ok(match records.status(&serial)? {
                records::Status::Unknown => Status::Unknown,
                records::Status::Good => Status::Good,
                records::Status::Revoked(revoked) => revocation(&revoked),
            })
        })
    }

    fn all(&self, by: Issuer) -> Result<Vec<Known>, Error> {
        self.now(|records| {
            let mut known = Vec::new();
            // both are sorted by serial number
            let mut changes = records.changes()?;
            let mut change = changes.next().transpose()?;
            for place in records.places()? {
                let (serial, place) = place?;
                while change.is_some_and(|(changed, _)| changed < serial) {
                    change = changes.next().transpose()?;
                }
                if place.by == by {
                    let changed = change.filter(|(changed, _)| *changed == serial);
                    let revoked = changed.and_then(|(_, change)| change.revoked(&serial));
                    let status = revoked.as_ref().map_or(Status::Good, revocation);
                    known.push(Known { serial: serial.to_bytes(), not_after: place.until, status });
                }
            }
            Ok(known)
        })
    }
}

fn revocation(revoked: &Revoked) -> Status {
    Status::Revoked { date: revoked.date, reason: Some(revoked.reason as u8).filter(|reason| *reason != 0) }
}
