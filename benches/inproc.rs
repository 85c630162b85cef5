#![allow(clippy::print_stdout, reason = "the table is the result")]
//! Messages through the library, beside libcrypto's CMS functions on the same messages, certificates and keys.
//!
//! `cargo bench --bench inproc`. CPU microseconds a message, from bytes to bytes, medians of rounds in turn; the ratio is ours to theirs,
//! below 1 is faster. Words after `--` choose rows: `cargo bench --bench inproc -- decrypt p256`. Needs a C compiler and libcrypto's headers (Debian: libssl-dev); skipped aloud without.

use std::fs;
use std::path::Path;
use std::process::Command;

use rustix::time::{ClockId, clock_gettime};
use sealpost::crypto::algorithm::ContentCipher;
use sealpost::crypto::key::PrivateKey;
use sealpost::crypto::random::OsRandom;
use sealpost::keys::Identity;
use sealpost::limits::Limits;
use sealpost::pki::{self, Certificate, Revocation, TrustAnchors};
use sealpost::smime::{CipherChoice, Encrypt, HeaderProtection, Open, Outcome, Sign, Trust};
use sealpost::time::Timestamp;

const ROUNDS: usize = 7;
const SECONDS: f64 = 0.4;

fn main() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let theirs = folder.path().join("openssl");
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("benches/openssl.c");
    let built = Command::new("cc").args(["-O2", "-o"]).arg(&theirs).arg(source).arg("-lcrypto").status();
    if !built.is_ok_and(|status| status.success()) {
        eprintln!("SKIPPED: no C compiler, or no headers of libcrypto");
        return;
    }
    let words: Vec<String> = std::env::args().skip(1).filter(|word| !word.starts_with('-')).collect();
    println!("{:<8} {:<8} {:<8} {:>10} {:>12} {:>8}", "work", "key", "size", "ours us", "openssl us", "ratio");
    for (name, key) in [("alice", "rsa2048"), ("carol", "p256")] {
        let cast = Cast::read(name);
        for (label, size) in [("4 KiB", 4 << 10), ("75 KiB", 75 << 10)] {
            let message = message(&cast.identity, size);
            for work in ["sign", "encrypt", "verify", "decrypt"] {
                let row = format!("{work} {key} {label}");
                if !words.iter().all(|word| row.contains(word.as_str())) {
                    continue;
                }
                let input = cast.input(work, &message);
                let file = folder.path().join("message");
                fs::write(&file, &input).expect("the message is written");
                let mut pairs: Vec<(f64, f64)> = Vec::new();
                for _ in 0..ROUNDS {
                    pairs.push((cast.ours(work, &input), cast.theirs(&theirs, work, &file)));
                }
                let median = |mut values: Vec<f64>| {
                    values.sort_by(f64::total_cmp);
                    values[values.len() / 2]
                };
                let ours = median(pairs.iter().map(|pair| pair.0).collect());
                let openssl = median(pairs.iter().map(|pair| pair.1).collect());
                let ratio = median(pairs.iter().map(|pair| pair.0 / pair.1).collect());
                println!("{work:<8} {key:<8} {label:<8} {ours:>10.1} {openssl:>12.1} {ratio:>8.3}");
            }
        }
    }
}

/// A person of the cast, with what both sides need.
struct Cast {
    name: &'static str,
    identity: Identity,
    trust: Trust,
    now: Timestamp,
}

impl Cast {
    fn read(name: &'static str) -> Self {
        let read = |file: String| fs::read(certs().join(file)).expect("the cast is there");
        let certificates = |file: &str| pki::load::certificates(&read(file.to_owned())).expect("certificates");
        let own: Certificate = certificates(&format!("{name}.pem")).into_iter().next().expect("one");
        let key = PrivateKey::from_any(&read(format!("{name}.key")), None, &Limits::default()).expect("a key");
        let identity = Identity::new(key, own, certificates("issuing.pem")).expect("they belong together");
        let now = Timestamp::from_unix(1_780_272_000);
        let anchors: TrustAnchors = certificates("root.pem").into_iter().collect();
        let trust = Trust { revocation: Revocation::Off, ..Trust::new(anchors, now) };
        Self { name, identity, trust, now }
    }

    /// What a work reads.
    fn input(&self, work: &str, message: &[u8]) -> Vec<u8> {
        match work {
            "verify" => self.sign(message),
            "decrypt" => self.encrypt(message),
            _ => message.to_vec(),
        }
    }

    fn sign(&self, message: &[u8]) -> Vec<u8> {
        let sign = Sign::new(&self.identity).header_protection(HeaderProtection::Off);
        sign.run(message, self.now, &mut OsRandom).expect("signed")
    }

    fn encrypt(&self, message: &[u8]) -> Vec<u8> {
        let encrypt = Encrypt::new([self.identity.certificate().clone()]).cipher(CipherChoice::Fixed(ContentCipher::Aes256Cbc));
        encrypt.run(message, &mut OsRandom).expect("encrypted")
    }

    /// CPU microseconds of one message.
    fn ours(&self, work: &str, input: &[u8]) -> f64 {
        let open = Open::new(&self.trust).identity(&self.identity);
        let (mut count, start) = (0.0, cpu());
        loop {
            match work {
                "sign" => drop(self.sign(input)),
                "encrypt" => drop(self.encrypt(input)),
                "verify" => {
                    let opened = open.verify(input);
                    assert_eq!(opened.verdict().outcome(), Outcome::Good, "{:?}", opened.verdict().findings);
                }
                _ => assert_eq!(open.decrypt(input, &mut OsRandom).verdict().outcome(), Outcome::Good),
            }
            count += 1.0;
            let spent = cpu() - start;
            if spent > SECONDS {
                return spent * 1e6 / count;
            }
        }
    }

    fn theirs(&self, program: &Path, work: &str, file: &Path) -> f64 {
        let cert = |name: String| certs().join(name);
        let output = Command::new(program)
            .args([work, &SECONDS.to_string()])
            .args([cert("root.pem".to_owned()), cert("issuing.pem".to_owned())])
            .args([cert(format!("{}.pem", self.name)), cert(format!("{}.key", self.name))])
            .arg(file)
            .output()
            .expect("the program runs");
        let text = String::from_utf8_lossy(&output.stdout);
        text.trim().parse().unwrap_or_else(|_| panic!("{}", String::from_utf8_lossy(&output.stderr)))
    }
}

fn certs() -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("certs")
}

fn cpu() -> f64 {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    time.tv_sec as f64 + time.tv_nsec as f64 / 1e9
}

/// A mail with an attachment, from and to its signer.
fn message(identity: &Identity, size: usize) -> Vec<u8> {
    let address = identity.addresses().into_iter().next().expect("an address");
    let mut text = format!(
        "From: {address}\r\nTo: {address}\r\nSubject: measure\r\nMIME-Version: 1.0\r\nContent-Type: application/octet-stream\r\n\
         Content-Transfer-Encoding: base64\r\n\r\n"
    );
    let mut state = 0x2545_f491_4f6c_dd1d_u64;
    while text.len() < size {
        for _ in 0..76 {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            let at = usize::try_from(state % 64).expect("below 64");
            text.push(char::from(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"[at]));
        }
        text.push_str("\r\n");
    }
    text.into_bytes()
}
