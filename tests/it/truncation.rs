//! Messages cut off at every byte: a finding says so, nothing is released, nothing panics.

use std::fs;
use std::path::Path;

use sealpost::cms;
use sealpost::crypto::random::Seeded;
use sealpost::limits::Limits;
use sealpost::smime::{self, Code, Open, Opened, Outcome, Severity};

use crate::fuzz::seeds;
use crate::fuzz::targets::cast::Cast;
use crate::support;

fn opener(cast: &Cast) -> Open<'_> {
    Open::new(&cast.trust).known(&cast.known).identity(&cast.carol)
}

/// What a verb does with a message.
type Verb = fn(&Open<'_>, &[u8]) -> Opened;

fn open(open: &Open<'_>, message: &[u8]) -> Opened {
    open.run(message, &mut Seeded::new(b"open"))
}

fn decrypt(open: &Open<'_>, message: &[u8]) -> Opened {
    open.decrypt(message, &mut Seeded::new(b"open"))
}

fn verify(open: &Open<'_>, message: &[u8]) -> Opened {
    open.verify(message)
}

/// Where the last byte that means something ends: what follows in these samples is base64 padding, line ends and the closing delimiter.
fn meaningful(message: &[u8]) -> usize {
    let is_base64 = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/');
    let closing = message.windows(4).rposition(|four| four == b"\r\n--").filter(|at| message.len() - at < 90);
    let body = closing.map_or(message, |at| &message[..at]);
    body.iter().rposition(is_base64).expect("base64") + 1
}

/// A cut message is good where only what means nothing was cut off, and nowhere else.
fn is_refused_at_every_cut(name: &str, message: &[u8], verb: Verb, last: usize) {
    is_refused_at_cuts(name, message, verb, last, 1);
}

fn is_refused_at_cuts(name: &str, message: &[u8], verb: Verb, last: usize, step: usize) {
    let cast = Cast::load();
    let opener = opener(&cast);
    let whole = verb(&opener, message);
    assert_eq!(whole.verdict().outcome(), Outcome::Good, "{name} – {:?}", whole.verdict().findings);
    let content = whole.released().expect("good").content().to_vec();
    for end in (0..message.len()).step_by(step) {
        let opened = verb(&opener, &message[..end]);
        let (outcome, findings) = (opened.verdict().outcome(), &opened.verdict().findings);
        assert_eq!(outcome == Outcome::Good, end >= last, "{name} cut at {end} of {} – {findings:?}", message.len());
        match opened.released() {
            Some(released) => assert_eq!(released.content(), content, "{name} cut at {end}"),
            None => {
                let has_error = findings.iter().any(|f| f.severity == Severity::Error && !f.text.is_empty());
                assert!(has_error && end < last, "{name} cut at {end} – {findings:?}");
            }
        }
    }
}

fn sample(name: &str) -> Vec<u8> {
    let found = seeds::of("open").into_iter().find(|(known, _)| known == name);
    found.unwrap_or_else(|| panic!("no seed {name}")).1
}

#[test]
fn refuses_signed_mail_at_every_cut() {
    for name in ["clear.eml", "opaque.eml"] {
        let message = sample(name);
        is_refused_at_every_cut(name, &message, open, meaningful(&message));
    }
}

#[test]
fn refuses_sealed_mail_at_every_cut() {
    for name in ["sealed.eml", "compressed.eml"] {
        let message = sample(name);
        is_refused_at_every_cut(name, &message, open, meaningful(&message));
    }
}

#[test]
fn refuses_authenticated_mail_at_every_cut() {
    let message = sample("sealed-gcm.eml");
    is_refused_at_every_cut("sealed-gcm.eml", &message, open, meaningful(&message));
}

#[test]
fn refuses_triple_wrapped_mail_at_cuts() {
    let message = sample("triple.eml");
    // each layer is cut at every byte elsewhere
    is_refused_at_cuts("triple.eml", &message, open, meaningful(&message), 7);
}

#[test]
fn verify_and_decrypt_refuse_at_every_cut() {
    for (name, verb) in [("clear.eml", verify as Verb), ("opaque.eml", verify), ("sealed.eml", decrypt)] {
        let message = sample(name);
        is_refused_at_every_cut(name, &message, verb, meaningful(&message));
    }
}

#[test]
fn refuses_bare_structures_at_every_cut() {
    for (name, structure) in seeds::of("cms") {
        if name == "certificates.der" || name == "signature.der" {
            continue;
        }
        is_refused_at_every_cut(&name, &structure, open, structure.len());
    }
}

#[test]
fn refuses_detached_signatures_at_every_cut() {
    let cast = Cast::load();
    let opener = opener(&cast);
    let (_, signature) = seeds::of("cms").into_iter().find(|(name, _)| name == "signature.der").expect("a seed");
    let content = b"some content\n";
    assert!(opener.verify_detached(content, &signature).may_release());
    for end in 0..signature.len() {
        let opened = opener.verify_detached(content, &signature[..end]);
        assert!(opened.verdict().has_error(Code::Malformed), "cut at {end} – {:?}", opened.verdict().findings);
        assert!(opened.released().is_none(), "cut at {end}");
    }
    for end in 0..content.len() {
        let opened = opener.verify_detached(&content[..end], &signature);
        assert!(opened.verdict().has_error(Code::ContentChanged), "content cut at {end} – {:?}", opened.verdict().findings);
        assert!(opened.released().is_none(), "content cut at {end}");
    }
}

#[test]
fn inspect_says_what_is_missing_at_every_cut() {
    let limits = Limits::default();
    for (name, structure) in seeds::of("cms") {
        assert!(smime::inspect(&structure, &limits).findings.is_empty(), "{name}");
        // one byte of a header is none yet, and is taken for text
        for end in 9..structure.len() {
            let seen = smime::inspect(&structure[..end], &limits);
            let is_said = seen.findings.iter().any(|f| f.code == Code::Malformed && f.severity == Severity::Error);
            assert!(is_said || seen.is_message && end < 16, "{name} cut at {end} – {seen:?}");
        }
        for end in 0..structure.len() {
            if let Err(error) = cms::open(&structure[..end], &limits) {
                assert!(!error.to_string().is_empty());
            }
        }
    }
    for name in ["opaque.eml", "sealed.eml", "sealed-gcm.eml", "clear.eml"] {
        let message = sample(name);
        let (whole, last) = (smime::inspect(&message, &limits), meaningful(&message));
        for end in 0..last {
            let seen = smime::inspect(&message[..end], &limits);
            assert!(!seen.findings.is_empty() || seen.layers.len() < whole.layers.len(), "{name} cut at {end} – {seen:?}");
        }
    }
}

/// Messages of others, in whose signers nobody here trusts: never good, and never without a word.
#[test]
fn refuses_messages_of_others_at_every_cut() {
    let cast = Cast::load();
    let opener = opener(&cast);
    let mut count = 0;
    for folder in ["rfc4134-examples", "openssl-cms", "mimekit-smime"] {
        let Some(folder) = support::vectors(folder) else { return };
        for path in files(&folder) {
            let message = fs::read(&path).expect("readable");
            if message.is_empty() || message.len() > 900 {
                continue;
            }
            count += 1;
            for end in 0..message.len() {
                let opened = open(&opener, &message[..end]);
                let verdict = opened.verdict();
                assert!(verdict.outcome() != Outcome::Good && opened.released().is_none(), "{} cut at {end}", path.display());
                assert!(!verdict.findings.is_empty(), "{} cut at {end}", path.display());
                let _ = smime::inspect(&message[..end], &cast.limits);
            }
        }
    }
    assert!(count >= 5, "{count} messages are small enough");
}

fn files(folder: &Path) -> Vec<std::path::PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("an entry").path()) {
        if entry.is_dir() { found.extend(files(&entry)) } else { found.push(entry) }
    }
    found.sort();
    found
}
