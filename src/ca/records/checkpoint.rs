//! The tables on disk, and how far into the ledger they go.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use crate::ca::records::event::Chain;
use crate::ca::records::table::Table;
use crate::ca::records::{LastList, Records, on};
use crate::ca::{Error, Issuer};
use crate::crypto::algorithm::DigestAlgorithm;
use crate::crypto::digest;
use crate::keys::files;
use crate::pki::hex;
use crate::time::Timestamp;

/// The records up to the checkpoint. Without one, or where it cannot be used, all is read from the ledger.
pub(super) fn load(folder: &Path) -> Result<Records, Error> {
    // a writer may replace the tables between the reading of the checkpoint and the opening of the files
    for _ in 0..8 {
        let path = folder.join(CHECKPOINT);
        let text = match std::fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::InvalidData) => break,
            Err(error) => return Err(on(&path)(error)),
        };
        let Some(read) = parse(&text) else { break };
        let (generation, [places, changes]) = (read.chain.count, read.records);
        let opened = Table::open(place(folder, "places", generation), places)
            .and_then(|places| Ok((places, Table::open(place(folder, "changes", generation), changes)?)));
        if let Ok((places, changes)) = opened {
            let Parsed { chain, certificates_length, lists, .. } = read;
            let folded = chain.count;
            return Ok(Records { chain, certificates_length, places, changes, lists, folded, ..Records::empty(folder) });
        }
    }
    Ok(Records::empty(folder))
}

/// Writes the tables anew where enough came together since the last time; a failure leaves the old ones.
pub(super) fn fold(records: &mut Records) -> Result<(), Error> {
    let waiting = records.chain.count.saturating_sub(records.folded);
    if waiting < LEAST.max(records.chain.count / PART) {
        return Ok(());
    }
    let folder = records.folder.clone();
    files::make_folder(&folder.join(INDEX))?;
    let generation = records.chain.count;
    let places = records.places.rewrite(&place(&folder, "places", generation))?;
    let changes = records.changes.rewrite(&place(&folder, "changes", generation))?;
    let Chain { hash, count, length } = &records.chain;
    let mut text = format!("{TITLE}\nledger {count} {length} {hash}\ncertificates {}\n", records.certificates_length);
    text.push_str(&format!("records {places} {changes}\n"));
    for (by, list) in Issuer::ALL.iter().zip(&records.lists) {
        if let Some(LastList { number, time, announces_deltas }) = list {
            text.push_str(&format!("list {} {number} {time} {announces_deltas}\n", by.name()));
        }
    }
    let sum = check(&text);
    files::write(&folder.join(CHECKPOINT), format!("{text}{sum}\n").as_bytes())?;
    let before = std::mem::replace(&mut records.folded, generation);
    for path in files::list(&folder.join(INDEX))? {
        // who reads them keeps them open; what an interrupted writer left goes, too
        let is_current = path == place(&folder, "places", generation) || path == place(&folder, "changes", generation);
        if !is_current && before != generation {
            drop(std::fs::remove_file(&path));
        }
    }
    Ok(())
}

struct Parsed {
    chain: Chain,
    certificates_length: u64,
    records: [u64; 2],
    lists: [Option<LastList>; 3],
}

fn parse(text: &str) -> Option<Parsed> {
    let (body, sum) = text.strip_suffix('\n')?.rsplit_once('\n')?;
    let body = format!("{body}\n");
    if check(&body) != sum {
        return None;
    }
    let mut lines = body.lines();
    if lines.next()? != TITLE {
        return None;
    }
    let mut found = Parsed { chain: Chain::default(), certificates_length: 0, records: [0; 2], lists: [None; 3] };
    for line in lines {
        let words: Vec<&str> = line.split(' ').collect();
        match words.as_slice() {
            ["ledger", count, length, hash] => {
                found.chain = Chain { hash: (*hash).to_owned(), count: count.parse().ok()?, length: length.parse().ok()? };
            }
            ["certificates", length] => found.certificates_length = length.parse().ok()?,
            ["records", places, changes] => found.records = [places.parse().ok()?, changes.parse().ok()?],
            ["list", by, number, time, deltas] => {
                let by = Issuer::from_name(by)?;
                let list = LastList {
                    number: number.parse().ok()?,
                    time: Timestamp::parse_rfc3339(time)?,
                    announces_deltas: deltas.parse().ok()?,
                };
                *found.lists.get_mut(usize::from(by as u8))? = Some(list);
            }
            _ => return None,
        }
    }
    Some(found)
}

fn place(folder: &Path, table: &str, generation: u64) -> PathBuf {
    folder.join(INDEX).join(format!("{table}-{generation}"))
}

fn check(text: &str) -> String {
    hex(&digest::of(DigestAlgorithm::Sha256, text.as_bytes()))
}

const CHECKPOINT: &str = "checkpoint";
const INDEX: &str = "index";
const TITLE: &str = "sealpost checkpoint 1";
/// 2048: so many lines are read and checked in some milliseconds.
const LEAST: u64 = 2048;
/// 1/32 of the ledger: so the tables are written some 32 times on the way from one size to its double, and not with each certificate.
const PART: u64 = 32;
