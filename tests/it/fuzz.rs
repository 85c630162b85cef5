//! Every parser is given what nobody would write: samples with bytes changed, cut, repeated and spliced, from a fixed seed.
//!
//! The functions are those of the fuzz targets (`fuzz/`), which run here over their seeds without a fuzzer. A short run belongs to the
//! tests; `SEALPOST_FUZZ_SECONDS=3600 cargo test --release --test it fuzz` looks longer, with another seed.

#[path = "../../fuzz/src/lib.rs"]
#[allow(unreachable_pub, dead_code, reason = "it is a library of its own, too")]
pub(crate) mod targets;

pub(crate) mod seeds;

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use sealpost::crypto::random::{OsRandom, Random, Seeded};
use sealpost::limits::Limits;
use sealpost::proto::Tls;
use sealpost::smime::{self, Open, Trust};
use sealpost::time::Timestamp;
use sealpost::{keys, mime, pki};

/// Changes samples in the ways that break parsers.
struct Mutator {
    random: Box<dyn Random>,
    samples: Vec<Vec<u8>>,
}

impl Mutator {
    fn below(&mut self, bound: usize) -> usize {
        let mut bytes = [0; 8];
        self.random.fill(&mut bytes);
        usize::try_from(u64::from_le_bytes(bytes) % u64::try_from(bound.max(1)).expect("small")).expect("small")
    }

    fn sample(&mut self) -> Vec<u8> {
        let at = self.below(self.samples.len());
        self.samples[at].clone()
    }

    fn next(&mut self) -> Vec<u8> {
        let mut bytes = self.sample();
        for _ in 0..=self.below(6) {
            if bytes.is_empty() {
                return bytes;
            }
            let at = self.below(bytes.len());
            match self.below(8) {
                0 => bytes[at] ^= 1 << self.below(8),
                1 => bytes[at] = [0, 0x7f, 0x80, 0xff, b'\r', b'\n', b'.', 0x30][self.below(8)],
                2 => bytes.truncate(at),
                3 => {
                    let end = (at + 1 + self.below(64)).min(bytes.len());
                    bytes.drain(at..end);
                }
                4 => {
                    let end = (at + 1 + self.below(64)).min(bytes.len());
                    let piece = bytes[at..end].repeat(1 + self.below(20));
                    bytes.splice(at..at, piece);
                }
                5 => {
                    let other = self.sample();
                    let from = self.below(other.len());
                    bytes.truncate(at);
                    bytes.extend_from_slice(&other[from..]);
                }
                6 => {
                    let noise = usize::from(bytes[at]);
                    let piece: Vec<u8> = (0..noise).map(|_| u8::try_from(self.below(256)).expect("a byte")).collect();
                    bytes.splice(at..at, piece);
                }
                _ => bytes.insert(at, [b'\n', b'-', b'"', b'=', b';', b'<', 0, 0xa0][self.below(8)]),
            }
        }
        bytes
    }
}

/// Runs a target over changed samples for the time that is given, or for so many rounds.
fn run(samples: Vec<Vec<u8>>, rounds: usize, target: impl Fn(&[u8])) {
    assert!(!samples.is_empty());
    let seconds = std::env::var("SEALPOST_FUZZ_SECONDS").ok().and_then(|text| text.parse().ok());
    let random: Box<dyn Random> = if seconds.is_some() { Box::new(OsRandom) } else { Box::new(Seeded::new(b"fuzz")) };
    let mut mutator = Mutator { random, samples };
    let begin = Instant::now();
    for round in 0.. {
        match seconds {
            Some(seconds) if begin.elapsed() > Duration::from_secs(seconds) => break,
            None if round == rounds => break,
            _ => {}
        }
        let bytes = mutator.next();
        let caught = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| target(&bytes)));
        if caught.is_err() {
            let path = std::env::temp_dir().join("sealpost-fuzz.bin");
            fs::write(&path, &bytes).expect("written");
            panic!("round {round}: the input that panics is in {}", path.display());
        }
    }
}

fn cast(extension: &str) -> Vec<Vec<u8>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("certs");
    let files = fs::read_dir(folder).expect("certs").map(|entry| entry.expect("an entry").path());
    let mut files: Vec<_> = files.filter(|path| path.extension().is_some_and(|e| e == extension)).collect();
    files.sort();
    files.into_iter().map(|path| fs::read(path).expect("a file")).collect()
}

fn identity(name: &str) -> keys::Identity {
    let file = |extension: &str| {
        fs::read(Path::new(env!("CARGO_MANIFEST_DIR")).join("certs").join(format!("{name}.{extension}"))).expect("of the cast")
    };
    let key = sealpost::crypto::key::PrivateKey::from_any(&file("key"), None, &Limits::default()).expect("a key");
    let certificate = pki::load::certificates(&file("pem")).expect("a certificate").remove(0);
    keys::Identity::new(key, certificate, Vec::new()).expect("they go together")
}

/// Messages of every form, made here.
fn messages() -> Vec<Vec<u8>> {
    let now = Timestamp::from_unix(1_780_272_000);
    let (alice, bob) = (identity("alice"), identity("bob"));
    let random = &mut Seeded::new(b"messages");
    let letter = mime::compose::Composer::new("Alice <alice@example.com>", now, "1@example.com")
        .to("bob@example.org")
        .subject("你好")
        .text("Hello.\n")
        .html("<p>Hello.</p>")
        .attach("图片.png", "image/png", vec![7; 300])
        .build();
    let to = [bob.certificate().clone()];
    let opaque = smime::Sign::new(&alice).form(smime::Form::Opaque).run(&letter, now, random).expect("signed");
    let cbc = smime::Encrypt::new(&to)
        .cipher(smime::CipherChoice::Fixed(sealpost::crypto::algorithm::ContentCipher::Aes128Cbc))
        .run(&letter, random)
        .expect("encrypted");
    let signed = smime::sign(&letter, &alice, now, random).expect("signed");
    let sealed = smime::seal(&letter, &alice, &to, now, random).expect("sealed");
    let body = |message: &[u8]| {
        let root = mime::parse(message, &Limits::default()).expect("a message");
        root.decoded_body(message)
    };
    let bare = [body(&opaque), body(&cbc), body(&sealed)];
    [letter, opaque, cbc, signed, sealed].into_iter().chain(bare).collect()
}

#[test]
fn messages_are_opened_without_a_panic_and_never_verified_when_changed() {
    let bob = identity("bob");
    let of_cast = |name: &str| {
        let pem = fs::read(Path::new(env!("CARGO_MANIFEST_DIR")).join("certs").join(name)).expect("of the cast");
        pki::load::certificates(&pem).expect("a certificate")
    };
    let trust = Trust::new(of_cast("root.pem").into_iter().collect(), Timestamp::from_unix(1_780_272_000));
    let (issuing, limits) = (of_cast("issuing.pem"), Limits::default());
    let open = |bytes: &[u8]| Open::new(&trust).known(&issuing).identity(&bob).run(bytes, &mut OsRandom);
    let verified = |bytes: &[u8]| open(bytes).into_verified().ok().map(|verified| verified.get().content().to_vec());
    // composed once: each has boundaries of its own
    let samples = messages();
    let signed: Vec<Vec<u8>> = samples.iter().filter_map(|message| verified(message)).collect();
    assert_eq!(signed.len(), 5, "opaque, clear, sealed; two of them bare, too");
    run(samples, 1500, |bytes| {
        let opened = open(bytes);
        if opened.released().is_none() {
            assert!(opened.verdict().findings.iter().any(|finding| !finding.text.is_empty()), "nothing is said");
        }
        if let Some(content) = verified(bytes) {
            assert!(signed.contains(&content), "something that nobody signed is verified");
        }
        let _ = smime::inspect(bytes, &limits);
    });
}

#[test]
fn mime_is_read_without_a_panic() {
    run(messages(), 3000, |bytes| {
        let _ = mime::view::view(bytes);
        if let Ok(root) = mime::parse(bytes, &Limits::default()) {
            for part in root.walk() {
                let _ = part.decoded_body(bytes);
            }
        }
        let _ = mime::canonical::to_safe(bytes, &Limits::default());
        let _ = mime::address::parse(&String::from_utf8_lossy(bytes));
        let _ = mime::submission::Submission::of(bytes, Timestamp::from_unix(0), |_| "1@x".to_owned(), &Limits::default());
    });
}

#[test]
fn certificates_and_keys_are_read_without_a_panic() {
    let mut samples: Vec<Vec<u8>> = ["pem", "key", "crl", "der"].into_iter().flat_map(cast).collect();
    let certificates: Vec<Vec<u8>> =
        samples.iter().filter_map(|pem| pki::load::certificates(pem).ok()).flatten().map(|c| c.der().to_vec()).collect();
    samples.extend(certificates);
    let passphrase = sealpost::secret::Secret::new(b"secret".to_vec());
    let mut limits = Limits::default();
    // what a sample asks for is one derivation after another: the test looks at the parser
    limits.kdf_iterations = 1000;
    let bundle = keys::pkcs12::write(&identity("alice"), &passphrase, "alice", &mut Seeded::new(b"p12")).expect("written");
    samples.push(bundle);
    run(samples, 3000, |bytes| {
        if let Ok(found) = pki::load::certificates(bytes) {
            for certificate in found {
                let _ = (certificate.addresses(), certificate.describe(), certificate.public_key().is_ok());
            }
        }
        let _ = pki::Crl::from_der(bytes);
        let _ = sealpost::crypto::key::PrivateKey::from_any(bytes, Some(&passphrase), &limits);
        let _ = keys::load::identities(bytes, Some(&passphrase), &limits);
    });
}

#[test]
#[cfg(feature = "server")]
fn sessions_answer_without_a_panic() {
    use sealpost::proto::{Step, pop3, sasl, smtp};
    let smtp = b"EHLO a\r\nMAIL FROM:<a@b> SIZE=10 BODY=8BITMIME\r\nRCPT TO:<\"c d\"@e>\r\nDATA\r\nx: y\r\n\r\n..\r\n.\r\nRSET\r\nAUTH PLAIN AGEAYg==\r\n\
                 BDAT 3\r\nx\r\nBDAT 3 LAST\r\ny\r\nAUTH LOGIN\r\nYQ==\r\nYg==\r\nVRFY x\r\nHELP\r\nQUIT\r\n";
    let pop3 = b"CAPA\r\nUSER a\r\nPASS b\r\nSTAT\r\nLIST 1\r\nUIDL\r\nRETR 1\r\nTOP 1 0\r\nDELE 1\r\nRSET\r\nQUIT\r\n";
    let sasl = b"AUTH\r\nLANG\r\nUTF8\r\nAUTH SCRAM-SHA-256 biwsbj11c2VyLHI9YWJj\r\nYz1iaXdzLHI9YWJjZGVmLHA9QUE9PQ==\r\nAUTH LOGIN\r\nYQ==\r\nYg==\r\nLIST\r\nQUIT\r\n";
    run(vec![smtp.to_vec(), pop3.to_vec(), sasl.to_vec()], 4000, |bytes| {
        let mut session = smtp::Session::new(smtp::Config::new("x", smtp::Role::Relay, Tls::Active));
        session.receive(bytes);
        loop {
            match session.step() {
                Step::Ask(_) => session.answer(smtp::Answer::Accept),
                Step::Send(_) => {}
                Step::Wait | Step::Close | Step::StartTls => break,
            }
        }
        let mut session = pop3::Session::new(pop3::Config::new("x", Tls::Active));
        session.receive(bytes);
        loop {
            match session.step() {
                Step::Ask(pop3::Question::Authenticate(question)) => {
                    session.answer(pop3::Answer::Login(sasl::Answer::User(question.name().to_owned())));
                }
                Step::Ask(pop3::Question::Open { .. }) => {
                    session.answer(pop3::Answer::Opened(vec![pop3::Listing { uid: pop3::Uid(1), size: 3 }]));
                }
                Step::Ask(pop3::Question::Retrieve(_)) => session.answer(pop3::Answer::Message(5, b"a\r\n".to_vec())),
                Step::Ask(pop3::Question::More) => session.answer(pop3::Answer::More(b".b".to_vec())),
                Step::Ask(pop3::Question::Delete(_)) => session.answer(pop3::Answer::Deleted),
                Step::Send(_) => {}
                Step::Wait | Step::Close | Step::StartTls => break,
            }
        }
        let outgoing = smtp::client::Outgoing::new("a@b".to_owned(), vec!["c@d".to_owned()], b"x\r\n".as_slice().into());
        let mut client = smtp::client::Client::new("a", smtp::client::TlsWish::Without, None, outgoing.announced());
        client.receive(bytes);
        loop {
            match client.step() {
                smtp::client::ClientStep::Wait | smtp::client::ClientStep::Done(_) => break,
                smtp::client::ClientStep::Read(at) => client.piece(outgoing.piece(at)),
                smtp::client::ClientStep::Send(_) | smtp::client::ClientStep::StartTls => {}
            }
        }
    });
}

/// Runs a target over every seed as it is, then changed.
fn target(rounds: usize, run_target: fn(&[u8])) {
    let seeds = seeds::all();
    seeds.iter().for_each(|seed| run_target(seed));
    run(seeds, rounds, run_target);
}

#[test]
fn target_asn1_holds_over_its_seeds() {
    target(3000, targets::asn1::run);
}

#[test]
fn target_cms_holds_over_its_seeds() {
    target(600, targets::cms::run);
}

#[test]
fn target_mime_holds_over_its_seeds() {
    target(800, targets::mime::run);
}

#[test]
fn target_inspect_holds_over_its_seeds() {
    target(800, targets::inspect::run);
}

#[test]
fn target_open_holds_over_its_seeds() {
    target(300, targets::open::run);
}

#[test]
fn target_explain_holds_over_its_seeds() {
    target(100, targets::explain::run);
}

#[test]
fn target_write_holds_over_its_seeds() {
    target(100, targets::write::run);
}

#[test]
fn target_keys_holds_over_its_seeds() {
    target(600, targets::keys::run);
}

#[test]
fn target_pki_holds_over_its_seeds() {
    target(300, targets::pki::run);
}

#[test]
fn target_http_holds_over_its_seeds() {
    target(2000, targets::http::run);
}

#[test]
fn target_ldap_holds_over_its_seeds() {
    target(2000, targets::ldap::run);
}

#[test]
fn target_ocsp_holds_over_its_seeds() {
    target(6000, targets::ocsp::run);
}

#[test]
fn target_requests_holds_over_its_seeds() {
    target(300, targets::requests::run);
}

/// The samples of one folder of seeds.
#[cfg(feature = "server")]
fn samples(folder: &str) -> Vec<Vec<u8>> {
    seeds::of(folder).into_iter().map(|(_, bytes)| bytes).collect()
}

#[cfg(feature = "server")]
#[test]
fn target_sieve_holds_over_its_seeds() {
    samples("sieve").iter().for_each(|seed| targets::sieve::run(seed));
    run(samples("sieve"), 3000, targets::sieve::run);
}

#[cfg(feature = "server")]
#[test]
fn target_milter_holds_over_its_seeds() {
    samples("milter").iter().for_each(|seed| targets::milter::run(seed));
    run(samples("milter"), 3000, targets::milter::run);
}

#[cfg(feature = "server")]
#[test]
fn target_smtp_holds_over_its_seeds() {
    samples("smtp").iter().for_each(|seed| targets::smtp::run(seed));
    run(samples("smtp"), 1500, targets::smtp::run);
}

#[cfg(feature = "server")]
#[test]
fn target_pop3_holds_over_its_seeds() {
    samples("pop3").iter().for_each(|seed| targets::pop3::run(seed));
    run(samples("pop3"), 1500, targets::pop3::run);
}

#[cfg(feature = "server")]
#[test]
fn target_sasl_holds_over_its_seeds() {
    let logins = [samples("smtp"), samples("pop3")].concat();
    logins.iter().for_each(|seed| targets::sasl::run(seed));
    run(logins, 150, targets::sasl::run);
}

#[cfg(feature = "server")]
#[test]
fn target_clients_holds_over_its_seeds() {
    samples("clients").iter().for_each(|seed| targets::clients::run(seed));
    run(samples("clients"), 1500, targets::clients::run);
}

#[cfg(feature = "server")]
#[test]
fn target_admin_holds_over_its_seeds() {
    samples("admin").iter().for_each(|seed| targets::admin::run(seed));
    run(samples("admin"), 3000, targets::admin::run);
}

/// What a run of a target found once.
struct Found {
    /// What was wrong.
    what: &'static str,
    target: fn(&[u8]),
    bytes: &'static [u8],
}

#[test]
fn what_was_found_once_is_not_found_again() {
    let found = [
        Found {
            what: "the parts of a multipart that says it is base64 were seen by open and not by inspect",
            target: targets::mime::run,
            bytes: b"Content-Type: multipart/mixed; boundary=b\r\nContent-Transfer-Encoding: base64\r\n\r\n--b\r\n\r\nx\r\n--b--\r\n",
        },
        Found {
            what: "end-of-contents inside a definite length was a value for one reader and an error for the other",
            target: targets::asn1::run,
            bytes: b"\x30\x02\0\0",
        },
        Found {
            what: "end-of-contents in more than two octets ended a value for one reader only",
            target: targets::asn1::run,
            bytes: b"\x30\x80\x02\x01\x05\x00\x81\x00\0\0",
        },
        Found {
            what: "what shows messages to people asserts that a message in a message ends otherwise",
            target: targets::mime::run,
            bytes: b"Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\nContent-Type: message/rfc822\r\n\r\nContent-Type: message/rfc822\r\n\r\n\
                A: b\r\n\r\nx\r\n--b--\r\n",
        },
        Found {
            what: "bytes of no charset without a header section are written as a text",
            target: targets::write::run,
            bytes: b"\xff(",
        },
        Found {
            what: "a line end that lay across two pieces was not seen among others, and text around the parts stayed or went by that",
            target: targets::write::run,
            bytes: b"Content-Type: multipart/mixed; boundary=\":foo\"\n\n--:f\x1co\n--:foo\nContent-Type: text/plain\n\
                --:foo\nContent-Type: text/plain\r\n--:foo\nContent-Type: text/html\n--:foo--\n",
        },
    ];
    for found in found {
        let caught = std::panic::catch_unwind(|| (found.target)(found.bytes));
        assert!(caught.is_ok(), "again: {}", found.what);
    }
}
