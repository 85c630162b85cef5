//! Messages that others made, with the outcome that their own suites state: every one reaches it, or a table says why not.

mod index;
mod judge;
mod tables;
mod values;

use std::collections::BTreeSet;
use std::fs;

use serde_json::Value;

use sealpost::crypto::random::OsRandom;
use sealpost::limits::Limits;
use sealpost::pki::TrustAnchors;
use sealpost::smime::{Open, Trust};
use sealpost::time::Timestamp;

use crate::support;
use index::Folder;
use judge::Differs;
use tables::{TABLES, Table};
use values::FILES;

#[test]
fn every_message_reaches_its_stated_outcome_or_a_table_says_why_not() {
    let mut wrong = Vec::new();
    for table in TABLES {
        let Some(folder) = Folder::load(table) else { continue };
        judge_folder(table, &folder, &mut wrong);
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

fn judge_folder(table: &Table, folder: &Folder, wrong: &mut Vec<String>) {
    let (mut all, mut good, mut used) = (0, 0, BTreeSet::new());
    for entry in folder.entries.iter().filter(|entry| is_message(entry)) {
        let file = entry["file"].as_str().expect("a file");
        let place = format!("{}/{file}", table.name);
        let judged = judge::judge(folder, entry);
        all += 1;
        let found: Vec<Differs> = judged.differs.iter().map(|(differs, _)| *differs).collect();
        let decision = table.decided.iter().find(|decided| matches(decided.file, file));
        used.extend(decision.map(|decided| decided.file));
        match decision {
            None if entry["peer_agreement"] == "disagree" => wrong.push(format!("{place}: peers disagree, undecided here")),
            None if found.is_empty() => good += 1,
            Some(decided) if decided.differs == found => good += usize::from(found.is_empty()),
            _ => wrong.push(format!("{place}: {:?}", judged.differs)),
        }
        let must_fail = must_fail(entry) && !decision.is_some_and(|decided| decided.differs.contains(&Differs::Release));
        let reason = table.refused.iter().find(|refused| matches(refused.file, file));
        used.extend(reason.map(|refused| refused.file));
        match reason {
            Some(refused) if judged.errors.iter().any(|(code, text)| refused.is(*code, text)) => {}
            None if !must_fail => {}
            _ => wrong.push(format!("{place}: refused otherwise – {:?}", judged.errors)),
        }
    }
    eprintln!("{}: {good} of {all} messages as stated", table.name);
    if (all, good) != table.messages {
        wrong.push(format!("{}: {good} of {all}, and the table says {:?}", table.name, table.messages));
    }
    let patterns = table.decided.iter().map(|decided| decided.file).chain(table.refused.iter().map(|refused| refused.file));
    let unused = patterns.filter(|pattern| !used.contains(pattern));
    wrong.extend(unused.map(|pattern| format!("{}/{pattern}: no such message", table.name)));
}

/// Whether a file's name is that of a table; `*` stands for anything, once.
fn matches(pattern: &str, file: &str) -> bool {
    let Some((start, end)) = pattern.split_once('*') else { return pattern == file };
    file.len() >= start.len() + end.len() && file.starts_with(start) && file.ends_with(end)
}

fn is_message(entry: &Value) -> bool {
    matches!(entry["action"].as_str(), Some("open" | "verify" | "decrypt" | "decompress"))
}

/// Whether the index states that the message is not good, so that a table must say for which reason.
fn must_fail(entry: &Value) -> bool {
    let layers = entry["layers"].as_array().into_iter().flatten();
    let fails = |value: &Value| ["crypto_ok", "decrypt_ok", "chain_ok"].iter().any(|name| value[name] == false);
    let is_smime = layers.clone().any(|layer| layer["type"] != "?") || entry["crypto_ok"].is_boolean();
    fails(entry) || layers.clone().any(fails) || (!is_smime && entry["nested"].is_null())
}

#[test]
fn every_message_of_others_is_read_without_a_panic() {
    let Some(base) = support::vectors("") else { return };
    let mut folders = vec![base];
    let (mut count, trust) = (0, Trust::new(TrustAnchors::new(), Timestamp::from_unix(1_750_000_000)));
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).expect("readable") {
            let path = entry.expect("an entry").path();
            let name = path.to_string_lossy().into_owned();
            if path.is_dir() {
                folders.push(path);
            } else if name.ends_with(".eml") || name.ends_with(".txt") || name.ends_with(".p7m") || name.ends_with(".der") {
                let bytes = fs::read(&path).expect("readable");
                let _ = sealpost::smime::inspect(&bytes, &Limits::default());
                let _ = Open::new(&trust).run(&bytes, &mut OsRandom);
                count += 1;
            }
        }
    }
    eprintln!("{count} files read");
    assert!(count > 500, "only {count} files found");
}

#[test]
fn every_other_file_is_read_or_a_table_says_why_not() {
    let mut wrong = Vec::new();
    for files in FILES {
        let Some(path) = support::vectors(files.folder) else { continue };
        let index = serde_json::from_slice(&fs::read(path.join("index.json")).expect("an index")).expect("JSON");
        values::judge(files, &path, &index, &mut wrong);
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Folders that hold neither messages nor keys nor signatures, or whose messages are tried elsewhere; how many entries, and where.
const ELSEWHERE: &[(&str, usize, &str)] = &[
    ("bettertls", 628, "certificate paths: pki"),
    ("boringssl-pki", 169, "certificates and lists: pki"),
    ("hostile-der", 879, "whatever a parser may be fed: asn1"),
    ("imaptest-scripts", 26, "scripts for a protocol that is not spoken here"),
    ("mime-is-broken", 372, "messages without S/MIME, and how they are parsed: mime"),
    ("mime-torture", 303, "messages without S/MIME, and how they are parsed: mime"),
    ("openssl-verify", 189, "certificate paths: pki"),
    ("smtp-hostile", 30, "talks with a server, no messages"),
    ("wycheproof", 41, "primitives: crypto"),
    ("wycheproof-pqc", 5, "primitives: crypto"),
    ("x509-limbo", 208, "certificate paths: pki"),
];

#[test]
fn every_entry_of_every_folder_is_tried_somewhere() {
    let Some(base) = support::vectors("") else { return };
    let (mut wrong, mut seen) = (Vec::new(), BTreeSet::new());
    for folder in fs::read_dir(base).expect("readable").map(|entry| entry.expect("an entry").path()) {
        let Ok(index) = fs::read(folder.join("index.json")) else { continue };
        let index: Value = serde_json::from_slice(&index).expect("JSON");
        let entries = index["entries"].as_array().expect("entries");
        let name = folder.file_name().expect("a name").to_string_lossy().into_owned();
        let here = TABLES.iter().any(|table| table.name == name) || FILES.iter().any(|files| files.folder == name);
        let has_files = FILES.iter().any(|files| files.folder == name);
        let elsewhere = ELSEWHERE.iter().find(|(other, ..)| *other == name);
        let tried = |entry: &&Value| {
            let action = entry["action"].as_str().unwrap_or_default();
            // PKCS#12 is tried in the tests of keys
            is_message(entry) || (has_files && values::ACTIONS.contains(&action)) || action == "open PKCS#12"
        };
        let count = if here { entries.iter().filter(tried).count() } else { elsewhere.map_or(0, |(_, count, _)| *count) };
        if count != entries.len() {
            wrong.push(format!("{name}: {count} of {}", entries.len()));
        }
        seen.insert(name);
    }
    assert!(wrong.is_empty(), "{wrong:?}");
    let all = TABLES.iter().map(|table| table.name).chain(FILES.iter().map(|files| files.folder));
    let missing: Vec<&str> = all.chain(ELSEWHERE.iter().map(|(name, ..)| *name)).filter(|name| !seen.contains(*name)).collect();
    assert!(missing.is_empty(), "no such folders: {missing:?}");
}
