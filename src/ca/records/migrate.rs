//! Taking over the records of version 0.1.0, which had a file for each certificate.

use std::path::Path;

use crate::ca::records::event::Chain;
use crate::ca::records::{Lines, Records, Serial, Transaction};
use crate::ca::{Error, Issuer, store};
use crate::keys::files;

impl Records {
    /// Adopts what lies in `issued/`, in the order of issue and as of the last event. An interrupted adoption is done once more, without what was adopted already.
    pub(super) fn migrate(&mut self) -> Result<(), Error> {
        let old = self.folder().join(OLD);
        if !old.is_dir() {
            return Ok(());
        }
        let folder = self.folder().to_owned();
        let (at, servers) = (self.last_time, store::read_certificate(&folder.join("servers.pem"))?);
        let mut turn = Transaction::begin(self, at)?;
        // another process was quicker
        if !old.is_dir() {
            return Ok(());
        }
        let mut lines = Lines::open(&folder, Chain::default(), Some(turn.records().chain().length))?;
        let mut found = Vec::new();
        while let Some(line) = lines.next_line()? {
            if line.event == "issue" && line.number("at").is_none() {
                found.push((line.subject.to_owned(), line.detail.to_owned()));
            }
        }
        for (serial, whom) in found {
            let known = Serial::from_hex(&serial).map(|serial| turn.records().place(&serial)).transpose()?.flatten();
            let path = old.join(format!("{serial}.pem"));
            // a writer that was interrupted between the ledger and the file gave nothing out
            if known.is_some() || !path.exists() {
                continue;
            }
            let certificate = store::read_certificate(&path)?;
            let by = if certificate.issuer().matches(servers.subject()) { Issuer::Servers } else { Issuer::Mail };
            turn.certificate("adopt", (&certificate, by), &whom)?;
        }
        turn.commit()?;
        move_aside(&folder)
    }
}

/// The old files stay, under another name: nothing reads them any more.
fn move_aside(folder: &Path) -> Result<(), Error> {
    let (old, new) = (folder.join(OLD), folder.join(ASIDE));
    std::fs::rename(&old, &new).map_err(super::on(&old))?;
    Ok(files::write(&new.join("README"), README.as_bytes())?)
}

const OLD: &str = "issued";
const ASIDE: &str = "issued-0.1.0";
const README: &str = "These certificates are in `../certificates` now. Nothing reads this folder any more.\n";
