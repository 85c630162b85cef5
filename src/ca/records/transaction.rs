//! Writing to the records: all of a batch, synced once.

use std::fs::{File, OpenOptions};
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};

use crate::ca::records::event::{Chain, Draft};
use crate::ca::records::{CERTIFICATES, LEDGER, Records, Serial, checkpoint, head, on};
use crate::ca::{Error, Issuer};
use crate::crypto::algorithm::DigestAlgorithm;
use crate::crypto::digest;
use crate::keys::files;
use crate::pki::{Certificate, hex};
use crate::time::Timestamp;

/// A writer's turn: it holds the lock of the folder, and the records are as they are on disk.
pub(in crate::ca) struct Transaction<'a> {
    records: &'a mut Records,
    at: Timestamp,
    certificates: Vec<u8>,
    drafts: Vec<Draft>,
    _lock: files::Lock,
}

impl<'a> Transaction<'a> {
    /// Waits for the turn, reads what others wrote, and cuts what an interrupted writer left behind.
    pub(in crate::ca) fn begin(records: &'a mut Records, at: Timestamp) -> Result<Self, Error> {
        let lock = files::lock(&records.folder)?;
        Self::begin_locked(records, lock, at)
    }

    /// The same for who has the lock already.
    pub(in crate::ca) fn begin_locked(records: &'a mut Records, lock: files::Lock, at: Timestamp) -> Result<Self, Error> {
        let torn = records.catch_up()?;
        if torn > 0 {
            cut(&records.folder.join(LEDGER), records.chain.length)?;
        }
        let path = records.folder.join(CERTIFICATES);
        let length = length_of(&path)?;
        if length < records.certificates_length {
            let why = format!("{} was changed – it is shorter than the ledger says", path.display());
            return Err(Error::Changed(why));
        }
        if length > records.certificates_length {
            // signed, but not in the ledger: nobody was given it
            cut(&path, records.certificates_length)?;
        }
        Ok(Self { records, at, certificates: Vec::new(), drafts: Vec::new(), _lock: lock })
    }

    /// What stands so far, without what this turn will write.
    pub(in crate::ca) fn records(&self) -> &Records {
        self.records
    }

    /// Adds a certificate under an event, `issue` or `adopt`.
    pub(in crate::ca) fn certificate(
        &mut self,
        event: &'static str,
        issued: (&Certificate, Issuer),
        whom: &str,
    ) -> Result<(), Error> {
        let draft = self.draft(event, issued, whom)?;
        self.drafts.push(draft);
        Ok(())
    }

    /// Adds a certificate with more facts about it.
    pub(in crate::ca) fn certificate_with(
        &mut self,
        issued: (&Certificate, Issuer),
        whom: &str,
        facts: &[(&str, String)],
    ) -> Result<(), Error> {
        let draft = self.draft("issue", issued, whom)?;
        self.drafts.push(facts.iter().fold(draft, |draft, (name, value)| draft.fact(name, value)));
        Ok(())
    }

    fn draft(&mut self, event: &'static str, (certificate, by): (&Certificate, Issuer), whom: &str) -> Result<Draft, Error> {
        let serial = Serial::from_bytes(certificate.serial())
            .ok_or_else(|| Error::Refused(format!("the serial number {} is too long", certificate.serial_hex())))?;
        if event == "issue" && self.records.places.get(&serial)?.is_some() {
            return Err(Error::Refused(format!("a certificate with the serial number {serial} was issued before")));
        }
        let der = certificate.der();
        let size = u32::try_from(der.len()).map_err(|_| Error::Refused("the certificate is too long".to_owned()))?;
        let waiting = u64::try_from(self.certificates.len()).unwrap_or(u64::MAX);
        let draft = Draft::new(event, serial.to_string(), whom)
            .fact("by", by.name())
            .fact("until", certificate.not_after())
            .fact("at", self.records.certificates_length.saturating_add(waiting))
            .fact("size", size)
            .fact("sha256", hex(&digest::of(DigestAlgorithm::Sha256, der)));
        let draft = if event == "adopt" { draft.fact("from", certificate.not_before()) } else { draft };
        self.certificates.extend_from_slice(&size.to_be_bytes());
        self.certificates.extend_from_slice(der);
        Ok(draft)
    }

    /// Adds an event.
    pub(in crate::ca) fn log(&mut self, draft: Draft) {
        self.drafts.push(draft);
    }

    /// Writes it all: the certificates first, then the lines that name them; both are on disk when this gives back.
    pub(in crate::ca) fn commit(self) -> Result<(), Error> {
        let Self { records, at, certificates, drafts, _lock } = self;
        if drafts.is_empty() {
            return Ok(());
        }
        let (mut chain, mut lines) = (records.chain.clone(), Vec::new());
        drafts.iter().for_each(|draft| chain.append(&mut lines, at, draft));
        if !certificates.is_empty() {
            append(&records.folder.join(CERTIFICATES), records.certificates_length, &certificates)?;
        }
        append(&records.folder.join(LEDGER), records.chain.length, &lines)?;
        for line in lines.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
            let number = records.chain.count;
            let mut after = records.chain.clone();
            let read = after.take(line)?;
            records.apply(&read, number)?;
            records.chain = after;
        }
        head::write(&records.folder, &records.chain)?;
        checkpoint::fold(records)
    }

    /// Where the chain will stand after [`Transaction::commit`].
    pub(in crate::ca) fn chain_after(&self) -> Chain {
        let (mut chain, mut lines) = (self.records.chain.clone(), Vec::new());
        self.drafts.iter().for_each(|draft| chain.append(&mut lines, self.at, draft));
        chain
    }
}

/// Appends and syncs, whole or not at all.
fn append(path: &Path, length: u64, bytes: &[u8]) -> Result<(), Error> {
    let mut options = OpenOptions::new();
    options.append(true).create(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(path).map_err(on(path))?;
    let written = file.write_all(bytes).and_then(|()| file.sync_data());
    written.or_else(|error| file.set_len(length).and(Err(error))).map_err(on(path))?;
    if length == 0 {
        sync_folder(path)?;
    }
    Ok(())
}

fn cut(path: &Path, length: u64) -> Result<(), Error> {
    let file = OpenOptions::new().write(true).open(path).map_err(on(path))?;
    file.set_len(length).and_then(|()| file.sync_all()).map_err(on(path))
}

fn length_of(path: &PathBuf) -> Result<u64, Error> {
    match std::fs::metadata(path) {
        Ok(metadata) => Ok(metadata.len()),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(0),
        Err(error) => Err(on(path)(error)),
    }
}

/// A new file is there after a crash only when its folder is synced.
fn sync_folder(path: &Path) -> Result<(), Error> {
    let folder = path.parent().unwrap_or(Path::new("."));
    File::open(folder).and_then(|folder| folder.sync_all()).map_err(on(folder))
}
