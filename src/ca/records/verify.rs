//! Checking all of the records against each other.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufReader, Read};
use std::path::Path;

use crate::ca::records::event::{Chain, Line};
use crate::ca::records::head::{self, SIGNED_HEAD};
use crate::ca::records::{CERTIFICATES, LARGEST, Lines, Records, Serial, on};
use crate::ca::{Error, store};
use crate::crypto::algorithm::DigestAlgorithm;
use crate::crypto::digest;
use crate::pki::{Certificate, hex};
use crate::time::Timestamp;

/// What was checked, and found to be right.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verified {
    /// Events of the ledger.
    pub events: u64,
    /// Certificates, each as the ledger names it.
    pub certificates: u64,
    /// Certificates that are revoked or on hold.
    pub revoked: u64,
    /// Up to which event the issuing CA signed the ledger, and when; what follows could be cut off by who can write to these files.
    pub signed: Option<(u64, Timestamp)>,
}

/// Checks everything: the chain of hashes, each certificate, the tables, and the signed head – also one that was kept elsewhere.
///
/// What cannot be noticed: that events after the last signed head were cut off, where `head` was changed with them.
pub fn verify(folder: &Path, kept: Option<&Path>) -> Result<Verified, Error> {
    let records = Records::open(folder)?;
    let issuing = store::read_certificate(&folder.join("issuing.pem"))?;
    let key = issuing.public_key()?;
    let mut heads = Vec::new();
    let own = folder.join(SIGNED_HEAD);
    for path in [Some(own.as_path()), kept].into_iter().flatten() {
        match head::read_signed(path, &key)? {
            Some(signed) => heads.push(signed),
            None if kept == Some(path) => return Err(Error::Refused(format!("{} does not exist", path.display()))),
            None => {}
        }
    }
    // all over again, from the ledger alone
    let mut again = Records::empty(folder);
    let mut seen = BTreeMap::new();
    let mut log = CertificateLog::open(folder)?;
    let mut lines = Lines::open(folder, Chain::default(), Some(records.chain.length))?;
    loop {
        let number = lines.chain.count;
        let before = lines.chain.clone();
        let Some(line) = lines.next_line()? else { break };
        if let Some(certificate) = log.next_of(&line, &before)?
            && seen.insert(certificate, number).is_some()
        {
            return Err(before.broken("issues a serial number once more"));
        }
        again.apply(&line, number)?;
        again.chain = lines.chain.clone();
        for signed in heads.iter().filter(|signed| signed.chain.count == again.chain.count) {
            if signed.chain != again.chain {
                return Err(before.broken("is not the one that the issuing CA signed"));
            }
        }
    }
    if again.chain != records.chain {
        return Err(again.chain.broken("is missing"));
    }
    if heads.iter().any(|signed| signed.chain.count > again.chain.count) {
        return Err(again.chain.broken("is missing – the issuing CA signed a longer ledger"));
    }
    log.finish(records.certificates_length)?;
    let mut revoked = 0_u64;
    same(&records.places, &again.places)?;
    same(&records.changes, &again.changes)?;
    for entry in again.changes.iter()? {
        let (serial, change) = entry?;
        revoked = revoked.saturating_add(u64::from(change.revoked(&serial).is_some()));
    }
    let signed = heads.iter().max_by_key(|signed| signed.chain.count).map(|signed| (signed.chain.count, signed.time));
    let certificates = u64::try_from(seen.len()).unwrap_or(u64::MAX);
    Ok(Verified { events: again.chain.count, certificates, revoked, signed })
}

/// The tables say what the ledger says.
fn same<R: super::Record + PartialEq>(table: &super::Table<R>, again: &super::Table<R>) -> Result<(), Error> {
    let (mut table, mut again) = (table.iter()?, again.iter()?);
    loop {
        let pair = (table.next().transpose()?, again.next().transpose()?);
        match pair {
            (None, None) => return Ok(()),
            (left, right) if left == right => {}
            (left, right) => {
                let serial = left.map(|(serial, _)| serial).or(right.map(|(serial, _)| serial));
                let serial = serial.map(|serial| serial.to_string()).unwrap_or_default();
                let why = format!(
                    "the index says something else of {serial} than the ledger – remove `checkpoint`, and it is made anew"
                );
                return Err(Error::Changed(why));
            }
        }
    }
}

/// The certificates, read one after another.
struct CertificateLog {
    reader: Option<BufReader<File>>,
    offset: u64,
}

impl CertificateLog {
    fn open(folder: &Path) -> Result<Self, Error> {
        let path = folder.join(CERTIFICATES);
        let reader = match File::open(&path) {
            Ok(file) => Some(BufReader::with_capacity(1 << 18, file)),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => None,
            Err(error) => return Err(on(&path)(error)),
        };
        Ok(Self { reader, offset: 0 })
    }

    /// Reads the certificate that a line names, if it names one.
    fn next_of(&mut self, line: &Line<'_>, before: &Chain) -> Result<Option<Serial>, Error> {
        let Some(offset) = line.number("at").filter(|_| matches!(line.event, "issue" | "adopt")) else { return Ok(None) };
        let wrong = |why: &str| {
            Error::Changed(format!(
                "the certificates were changed – line {} of the ledger names {}, {why}",
                before.count.saturating_add(1),
                line.subject
            ))
        };
        let size = line.number("size").filter(|size| *size <= u64::from(LARGEST)).ok_or_else(|| before.broken("has no size"))?;
        if offset != self.offset {
            return Err(before.broken("names another place than the one that follows"));
        }
        let missing = || wrong("which is missing");
        let reader = self.reader.as_mut().ok_or_else(missing)?;
        let mut written = [0; 4];
        reader.read_exact(&mut written).map_err(|_| missing())?;
        if u64::from(u32::from_be_bytes(written)) != size {
            return Err(wrong("which has another length"));
        }
        let mut der = vec![0; usize::try_from(size).unwrap_or(0)];
        reader.read_exact(&mut der).map_err(|_| missing())?;
        if line.fact("sha256") != Some(hex(&digest::of(DigestAlgorithm::Sha256, &der)).as_str()) {
            return Err(wrong("which is another one now"));
        }
        let certificate = Certificate::from_der(&der)?;
        let serial = Serial::from_bytes(certificate.serial()).filter(|serial| serial.to_string() == line.subject);
        self.offset = offset.saturating_add(size).saturating_add(4);
        serial.map(Some).ok_or_else(|| wrong("which has another serial number"))
    }

    fn finish(&self, length: u64) -> Result<(), Error> {
        if self.offset == length {
            return Ok(());
        }
        Err(Error::Changed("the certificates were changed – they are not those that the ledger names".to_owned()))
    }
}
