//! A peer that does many jobs in one run, since its start is slow: the programs in `tests/peers/`.

use sealpost::cms::Key;
use sealpost::secret::Secret;

use super::cast::{Other, Person};
use super::matrix::{self, Enveloped, PASSWORD, Signed, kek_hex};
use crate::support;

/// How such a peer is started.
pub(super) struct Peer {
    pub(super) program: String,
    pub(super) args: Vec<String>,
}

/// Jobs, collected and then done; each is called by a label.
pub(super) struct Batch {
    dir: tempfile::TempDir,
    files: std::cell::Cell<u32>,
    jobs: Vec<(String, String)>,
}

impl Batch {
    pub(super) fn new() -> Self {
        Self { dir: tempfile::tempdir().unwrap(), files: std::cell::Cell::new(0), jobs: Vec::new() }
    }

    /// Writes a file that jobs may name.
    pub(super) fn file(&self, bytes: &[u8]) -> String {
        self.files.set(self.files.get() + 1);
        let path = self.dir.path().join(self.files.get().to_string());
        std::fs::write(&path, bytes).unwrap();
        path.to_str().unwrap().to_owned()
    }

    /// Adds a job with its fields.
    pub(super) fn add(&mut self, label: impl Into<String>, verb: &str, fields: &[(&str, &str)]) {
        let out = self.out(self.jobs.len());
        let mut line = format!("{verb}\tout={out}");
        for (name, value) in fields {
            line.push_str(&format!("\t{name}={value}"));
        }
        self.jobs.push((label.into(), line));
    }

    fn out(&self, job: usize) -> String {
        self.dir.path().join(format!("out-{job}")).to_str().unwrap().to_owned()
    }

    /// Does all of them; gives what each wrote, or why not.
    pub(super) fn run(self, peer: &Peer) -> Vec<(String, Result<Vec<u8>, String>)> {
        let args: Vec<&str> = peer.args.iter().map(String::as_str).collect();
        let lines: String = self.jobs.iter().map(|(_, line)| format!("{line}\n")).collect();
        let (code, stdout, stderr) = support::run(&peer.program, &args, lines.as_bytes());
        let stdout = String::from_utf8_lossy(&stdout);
        let answers: Vec<&str> = stdout.lines().collect();
        assert_eq!((code, answers.len()), (0, self.jobs.len()), "{} {args:?}: {stderr}{stdout}", peer.program);
        let outcome = |(job, answer): (usize, &str)| match answer {
            "ok" => std::fs::read(self.out(job)).map_err(|e| e.to_string()),
            other => Err(other.to_owned()),
        };
        let outcomes: Vec<_> = answers.into_iter().enumerate().map(outcome).collect();
        self.jobs.into_iter().map(|(label, _)| label).zip(outcomes).collect()
    }
}

/// `CERTIFICATE|KEY|how`, as jobs name signers, recipients and readers.
pub(super) fn who(person: &Person, how: &str) -> String {
    format!("{}|{}|{how}", person.certificate_file, person.key_file)
}

/// The peer verifies every row, gives its content, and refuses each where the content was changed.
pub(super) fn verifies(peer: &Peer, rows: &[Signed], issuer: &str, except: &[(&str, &str)]) {
    let mut batch = Batch::new();
    for row in rows {
        let (message, signers) = (batch.file(&row.message), row.signers.to_string());
        let mut fields = vec![("in", message.as_str()), ("signers", &signers), ("issuer", issuer)];
        let content = row.detached.then(|| batch.file(&row.content));
        fields.extend(content.as_deref().map(|file| ("content", file)));
        batch.add(&row.label, "verify", &fields);
        let (message, content) = row.changed();
        let (message, content) = (batch.file(&message), content.map(|content| batch.file(&content)));
        let mut fields = vec![("in", message.as_str()), ("signers", &signers), ("issuer", issuer)];
        fields.extend(content.as_deref().map(|file| ("content", file)));
        batch.add(format!("{} changed", row.label), "verify", &fields);
    }
    let outcomes = batch.run(peer);
    let judged = rows.iter().zip(outcomes.chunks(2)).map(|(row, pair)| {
        let [(label, good), (_, changed)] = pair else { panic!("two jobs a row") };
        let outcome = match (good, changed) {
            (Ok(content), Err(_)) if *content == row.content => Ok(()),
            (Ok(content), Err(_)) => Err(format!("gave {} bytes of other content", content.len())),
            (Ok(_), Ok(_)) => Err("took changed content".to_owned()),
            (Err(why), _) => Err(why.clone()),
        };
        (label.clone(), outcome)
    });
    matrix::judge(&judged.collect::<Vec<_>>(), except);
}

/// The peer decrypts every row to its content.
pub(super) fn decrypts(peer: &Peer, rows: &[Enveloped<'_>], except: &[(&str, &str)]) {
    let mut batch = Batch::new();
    let mut expected = Vec::new();
    for row in rows {
        let message = batch.file(&row.message);
        for (label, key) in row.readers() {
            let (name, value) = match key {
                Reader::Person(person) => ("reader", who(person, "")),
                Reader::Other(other) => ("reader", other.who("")),
                Reader::Password => ("password", PASSWORD.to_owned()),
                Reader::Kek => ("kek", kek_hex()),
            };
            batch.add(label, "decrypt", &[("in", &message), (name, &value)]);
            expected.push(&row.content);
        }
    }
    let judged = batch.run(peer).into_iter().zip(expected).map(|((label, outcome), expected)| {
        let outcome = outcome.and_then(|plain| if plain == *expected { Ok(()) } else { Err("other content".to_owned()) });
        (label, outcome)
    });
    matrix::judge(&judged.collect::<Vec<_>>(), except);
}

/// Who is to read a message.
#[derive(Clone, Copy)]
pub(super) enum Reader<'a> {
    Person(&'a Person),
    Other(&'a Other),
    Password,
    Kek,
}

impl<'a> Reader<'a> {
    /// The key that we try.
    pub(super) fn key(self, password: &'a Secret<Vec<u8>>, kek: &'a Secret<Vec<u8>>) -> Result<Key<'a>, String> {
        match self {
            Self::Person(person) => Ok(super::own::key_of(person)),
            Self::Other(other) => other.key(),
            Self::Password => Ok(Key::Password(password)),
            Self::Kek => Ok(Key::Kek(kek)),
        }
    }
}
