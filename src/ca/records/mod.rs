//! What the authority has done, on disk: quick at a million certificates, whole after a crash.
//!
//! ```text
//! ledger                what happened, one line an event, each with the hash of all before; the truth
//! certificates          every certificate, DER after its length (4 bytes); the ledger says where each begins, and its SHA-256
//! head                  how far the ledger was written when that was last acknowledged
//! head.pem              the same, signed by the issuing CA with each of its lists
//! checkpoint            how far the ledger is in the tables, and its hash there
//! index/places-N        serial number → place in `certificates`, sorted      both can be made anew from the ledger
//! index/changes-N       serial number → revoked, on hold, released
//! ```
//!
//! Holds always: a certificate is on disk before its line is, and its line before it is given out. What follows the last whole line was
//! never acknowledged; the next writer cuts it. Reading needs the checkpoint and the lines after it, never the whole ledger.

mod checkpoint;
pub(in crate::ca) mod event;
pub(in crate::ca) mod head;
mod migrate;
mod table;
mod transaction;
mod verify;

use std::collections::HashMap;
use std::fs::File;
use std::io::{BufRead, BufReader, ErrorKind, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use crate::ca::{Error, Issuer, RevocationReason, Revoked};
use crate::pki::Certificate;
use crate::time::Timestamp;
use event::{Chain, Line};
use table::{Change, Place, Standing, Table, read_at};

pub use event::Event;
pub use table::Serial;
pub use verify::{Verified, verify};

pub(in crate::ca) use event::Draft;
pub(in crate::ca) use table::{Record, on};
pub(in crate::ca) use transaction::Transaction;

/// What the authority has done, as far as this process has read it. Needs no key and no lock; [`Records::refresh`] reads on.
#[derive(Debug)]
pub struct Records {
    folder: PathBuf,
    chain: Chain,
    /// Bytes of certificates that the ledger names.
    certificates_length: u64,
    places: Table<Place>,
    changes: Table<Change>,
    lists: [Option<LastList>; 3],
    /// When the last event was that this process read.
    last_time: Timestamp,
    /// Lines of the ledger that are in the tables on disk.
    folded: u64,
}

/// The last complete list of an issuer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::ca) struct LastList {
    pub(in crate::ca) number: u64,
    pub(in crate::ca) time: Timestamp,
    /// Whether it says where delta lists are.
    pub(in crate::ca) announces_deltas: bool,
}

/// What is known of a serial number.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Status {
    /// No certificate with it was issued here.
    Unknown,
    /// Issued, and not revoked.
    Good,
    /// Revoked, or on hold.
    Revoked(Revoked),
}

/// One certificate of a list, as the ledger has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Its serial number.
    pub serial: Serial,
    /// When it was issued.
    pub issued: Timestamp,
    /// For whom: addresses or hosts with commas between them.
    pub whom: String,
    /// When it ends.
    pub until: Timestamp,
    /// By which CA.
    pub by: Issuer,
    /// When and why it was revoked, if it is.
    pub revoked: Option<Revoked>,
    /// Which certificate it renews, if it does.
    pub renews: Option<Serial>,
    offset: u64,
}

impl Records {
    /// Opens the records of an authority's folder; those of version 0.1.0 are taken over first.
    pub fn open(folder: &Path) -> Result<Self, Error> {
        let mut records = checkpoint::load(folder)?;
        records.refresh()?;
        records.migrate()?;
        Ok(records)
    }

    /// Reads what was written since.
    pub fn refresh(&mut self) -> Result<(), Error> {
        self.catch_up().map(drop)
    }

    /// How many events the ledger has.
    pub fn events(&self) -> u64 {
        self.chain.count
    }

    /// What is known of a serial number.
    pub fn status(&self, serial: &Serial) -> Result<Status, Error> {
        if let Some(revoked) = self.revoked_now(serial)? {
            return Ok(Status::Revoked(revoked));
        }
        Ok(self.places.get(serial)?.map_or(Status::Unknown, |_| Status::Good))
    }

    /// The certificate with this serial number.
    pub fn certificate(&self, serial: &Serial) -> Result<Option<Certificate>, Error> {
        let Some(place) = self.places.get(serial)? else { return Ok(None) };
        let certificate = self.certificate_at(place.offset)?;
        if Serial::from_bytes(certificate.serial()) != Some(*serial) {
            return Err(Error::Changed(format!(
                "the certificate {serial} is not where the index says – `sealpost ca log --verify` says more"
            )));
        }
        Ok(Some(certificate))
    }

    /// Every certificate in the order of issue, without reading the certificates themselves.
    pub fn entries(&self) -> Result<Entries, Error> {
        // read once: most have none, and to look for each of a million in the file takes seconds
        let changes = self.changes.iter()?.collect::<Result<HashMap<Serial, Change>, Error>>()?;
        let lines = Lines::open(&self.folder, Chain::default(), Some(self.chain.length))?;
        Ok(Entries { changes, lines })
    }

    /// The certificate of an entry.
    pub fn certificate_of(&self, entry: &Entry) -> Result<Certificate, Error> {
        self.certificate_at(entry.offset)
    }

    /// Everything that is revoked or on hold, by serial number.
    pub fn revoked(&self) -> Result<Vec<Revoked>, Error> {
        let mut found = Vec::new();
        for entry in self.changes.iter()? {
            let (serial, change) = entry?;
            found.extend(change.revoked(&serial));
        }
        Ok(found)
    }

    pub(in crate::ca) fn folder(&self) -> &Path {
        &self.folder
    }

    pub(in crate::ca) fn change(&self, serial: &Serial) -> Result<Option<Change>, Error> {
        self.changes.get(serial)
    }

    pub(in crate::ca) fn changes(&self) -> Result<table::Merged<'_, Change>, Error> {
        self.changes.iter()
    }

    pub(in crate::ca) fn places(&self) -> Result<table::Merged<'_, Place>, Error> {
        self.places.iter()
    }

    pub(in crate::ca) fn place(&self, serial: &Serial) -> Result<Option<Place>, Error> {
        self.places.get(serial)
    }

    pub(in crate::ca) fn last_list(&self, by: Issuer) -> Option<LastList> {
        self.lists.get(usize::from(by as u8)).copied().flatten()
    }

    pub(in crate::ca) fn chain(&self) -> &Chain {
        &self.chain
    }

    fn empty(folder: &Path) -> Self {
        Self {
            folder: folder.to_owned(),
            chain: Chain::default(),
            certificates_length: 0,
            places: Table::default(),
            changes: Table::default(),
            lists: [None; 3],
            last_time: Timestamp::from_unix(0),
            folded: 0,
        }
    }

    fn revoked_now(&self, serial: &Serial) -> Result<Option<Revoked>, Error> {
        Ok(self.changes.get(serial)?.and_then(|change| change.revoked(serial)))
    }

    fn certificate_at(&self, offset: u64) -> Result<Certificate, Error> {
        Ok(Certificate::from_der(&read_value(&self.folder.join(CERTIFICATES), offset)?)?)
    }

    /// Reads the lines that were not read yet. Gives how many bytes follow the last whole line.
    fn catch_up(&mut self) -> Result<u64, Error> {
        let head = head::read(&self.folder)?;
        let mut lines = Lines::open(&self.folder, self.chain.clone(), None)?;
        if lines.length < self.chain.length {
            return Err(self.chain.broken("and those before it are missing"));
        }
        loop {
            let line = self.chain.count;
            let Some(read) = lines.next_line()? else { break };
            self.apply(&read, line)?;
            self.chain = lines.chain.clone();
            if head.as_ref().is_some_and(|head| head.count == self.chain.count && head.hash != self.chain.hash) {
                let before = Chain { count: line, ..self.chain.clone() };
                return Err(before.broken("is not the one that was written"));
            }
        }
        if head.is_some_and(|head| head.length > self.chain.length) {
            return Err(self.chain.broken("is missing, or not whole"));
        }
        Ok(lines.length.saturating_sub(self.chain.length))
    }

    /// Takes over what a line says; `number` counts from 0.
    fn apply(&mut self, line: &Line<'_>, number: u64) -> Result<(), Error> {
        let broken = || Chain { count: number, ..Chain::default() }.broken("cannot be understood");
        self.last_time = line.time;
        match line.event {
            "issue" | "adopt" => {
                // in the ledger of 0.1.0 a certificate had no place; it is adopted later on
                let Some(offset) = line.number("at") else { return Ok(()) };
                let serial = Serial::from_hex(line.subject).ok_or_else(broken)?;
                let (until, size) = line.moment("until").zip(line.number("size")).ok_or_else(broken)?;
                let by = line.fact("by").and_then(Issuer::from_name).ok_or_else(broken)?;
                self.places.insert(serial, Place { offset, until, by });
                self.certificates_length = offset.saturating_add(size).saturating_add(4);
                if let Some(change) = self.changes.fresh_mut(&serial) {
                    (change.until, change.by) = (until, by);
                }
            }
            "revoke" => {
                let serial = Serial::from_hex(line.subject).ok_or_else(broken)?;
                let place = self.places.get(&serial)?;
                let change = Change {
                    standing: Standing::Revoked,
                    reason: RevocationReason::from_name(line.detail).unwrap_or(RevocationReason::Unspecified),
                    date: line.time,
                    invalid_since: line.moment("since"),
                    until: place.map_or(NEVER, |place| place.until),
                    by: place.map_or(Issuer::Mail, |place| place.by),
                    line: number,
                };
                self.changes.insert(serial, change);
            }
            "release" => {
                let serial = Serial::from_hex(line.subject).ok_or_else(broken)?;
                let held = self.changes.get(&serial)?.ok_or_else(broken)?;
                self.changes.insert(serial, Change { standing: Standing::Released, date: line.time, line: number, ..held });
            }
            // a delta list has a base; one without a distribution point is of another scope; delta lists go on from the one before one that
            // was signed between; a list of 0.1.0 does not say whose it is
            "crl" if ["base", "plain", "between"].iter().all(|fact| line.fact(fact).is_none()) => {
                let Some(by) = line.fact("by").and_then(Issuer::from_name) else { return Ok(()) };
                let announces_deltas = line.fact("deltas").is_some();
                let last = LastList { number: line.subject.parse().map_err(|_| broken())?, time: line.time, announces_deltas };
                if let Some(list) = self.lists.get_mut(usize::from(by as u8)) {
                    *list = Some(last);
                }
            }
            _ => {}
        }
        Ok(())
    }
}

impl Change {
    /// As a revoked certificate, while it is one.
    pub(in crate::ca) fn revoked(&self, serial: &Serial) -> Option<Revoked> {
        let Self { date, reason, invalid_since, .. } = *self;
        (self.standing == Standing::Revoked).then(|| Revoked { serial: serial.to_bytes(), date, reason, invalid_since })
    }

    pub(in crate::ca) fn is_on_hold(&self) -> bool {
        self.standing == Standing::Revoked && self.reason == RevocationReason::CertificateHold
    }
}

/// Certificates in the order of issue.
#[derive(Debug)]
pub struct Entries {
    changes: HashMap<Serial, Change>,
    lines: Lines,
}

impl Iterator for Entries {
    type Item = Result<Entry, Error>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let line = match self.lines.next_line() {
                Ok(Some(line)) => line,
                Ok(None) => return None,
                Err(error) => return Some(Err(error)),
            };
            if !matches!(line.event, "issue" | "adopt") {
                continue;
            }
            let (Some(serial), Some(offset), Some(until)) =
                (Serial::from_hex(line.subject), line.number("at"), line.moment("until"))
            else {
                continue;
            };
            let by = line.fact("by").and_then(Issuer::from_name).unwrap_or(Issuer::Mail);
            let issued = line.moment("from").unwrap_or(line.time);
            let renews = line.fact("renews").and_then(Serial::from_hex);
            let whom = line.detail.to_owned();
            let revoked = self.changes.get(&serial).and_then(|change| change.revoked(&serial));
            return Some(Ok(Entry { serial, issued, whom, until, by, revoked, renews, offset }));
        }
    }
}

/// Whole lines of the ledger, each checked against those before.
#[derive(Debug)]
struct Lines {
    chain: Chain,
    length: u64,
    end: u64,
    reader: Option<BufReader<File>>,
    line: Vec<u8>,
}

impl Lines {
    /// From where the chain stands, to `end` or to the end of the file.
    fn open(folder: &Path, chain: Chain, end: Option<u64>) -> Result<Self, Error> {
        let path = folder.join(LEDGER);
        let file = match File::open(&path) {
            Ok(file) => file,
            Err(error) if error.kind() == ErrorKind::NotFound => {
                return Ok(Self { chain, length: 0, end: 0, reader: None, line: Vec::new() });
            }
            Err(error) => return Err(on(&path)(error)),
        };
        let length = file.metadata().map_err(on(&path))?.len();
        let mut reader = BufReader::with_capacity(1 << 16, file);
        reader.seek(SeekFrom::Start(chain.length)).map_err(on(&path))?;
        Ok(Self { chain, length, end: end.unwrap_or(length), reader: Some(reader), line: Vec::new() })
    }

    /// The next line; `None` where no whole one follows.
    fn next_line(&mut self) -> Result<Option<Line<'_>>, Error> {
        let Some(reader) = &mut self.reader else { return Ok(None) };
        if self.chain.length >= self.end {
            return Ok(None);
        }
        self.line.clear();
        let read = reader.take(LONGEST_LINE).read_until(b'\n', &mut self.line);
        read.map_err(|error| on(Path::new(LEDGER))(error))?;
        let Some(line) = self.line.strip_suffix(b"\n") else {
            let is_too_long = u64::try_from(self.line.len()).is_ok_and(|length| length >= LONGEST_LINE);
            return if is_too_long { Err(self.chain.broken("is longer than any that is written")) } else { Ok(None) };
        };
        self.chain.take(line).map(Some)
    }
}

/// Every event, in order; the chain of hashes is checked.
pub fn events(folder: &Path) -> Result<impl Iterator<Item = Result<Event, Error>>, Error> {
    let records = Records::open(folder)?;
    let mut lines = Lines::open(folder, Chain::default(), Some(records.chain.length))?;
    Ok(std::iter::from_fn(move || lines.next_line().map(|line| line.map(Line::to_event)).transpose()))
}

/// A fact of the line that issued a certificate. Reads the whole ledger.
pub(in crate::ca) fn fact_of(folder: &Path, serial: &Serial, name: &str) -> Result<Option<String>, Error> {
    let subject = serial.to_string();
    let mut lines = Lines::open(folder, Chain::default(), None)?;
    while let Some(line) = lines.next_line()? {
        if line.event == "issue" && line.subject == subject {
            return Ok(line.fact(name).map(str::to_owned));
        }
    }
    Ok(None)
}

/// Reads a value that lies at a place of a file after its length.
pub(in crate::ca) fn read_value(path: &Path, offset: u64) -> Result<Vec<u8>, Error> {
    let file = File::open(path).map_err(on(path))?;
    let mut size = [0; 4];
    read_at(&file, offset, &mut size).map_err(on(path))?;
    let size = u32::from_be_bytes(size);
    if size > LARGEST {
        return Err(Error::Changed(format!("{} was changed – nothing lies at {offset}", path.display())));
    }
    let mut bytes = vec![0; usize::try_from(size).unwrap_or(0)];
    read_at(&file, offset.saturating_add(4), &mut bytes).map_err(on(path))?;
    Ok(bytes)
}

/// Makes a file that only its owner reads.
pub(in crate::ca) fn create(path: &Path) -> Result<File, Error> {
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create(true).truncate(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path).map_err(on(path))
}

pub(in crate::ca) const LEDGER: &str = "ledger";
pub(in crate::ca) const CERTIFICATES: &str = "certificates";
/// 1 MiB: a certificate that we issue has some hundred bytes; so many would be a damaged length.
const LARGEST: u32 = 1 << 20;
/// 1 MiB: a line holds names of one certificate.
const LONGEST_LINE: u64 = 1 << 20;
/// RFC 5280 4.1.2.5: a certificate without a well-defined end. What is revoked and unknown stays on the list.
const NEVER: Timestamp = Timestamp::from_unix(253_402_300_799);
