#![allow(clippy::print_stdout, reason = "the table is the result")]
//! Whole-process cost of sign, encrypt, verify and decrypt beside `openssl cms`, both in one run, in turn.
//!
//! `cargo bench --bench peers`. CPU seconds (user and system) of the child processes are summed over the rounds, as the kernel
//! counts them; the ratio is ours to theirs, below 1 is faster. Needs `openssl` on the path.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

fn main() {
    if Command::new("openssl").arg("version").stdout(Stdio::null()).status().is_err() {
        eprintln!("SKIPPED: openssl is not installed");
        return;
    }
    let folder = tempfile::tempdir().expect("a temporary folder");
    let bench = Bench::prepare(folder.path());
    println!(
        "{:<10} {:<8} {:>12} {:>12} {:>8} {:>12} {:>12} {:>8}",
        "work", "size", "ours cpu", "openssl cpu", "ratio", "ours wall", "openssl wall", "ratio"
    );
    for (label, size, rounds) in [("100 KiB", 100 << 10, 40), ("25 MiB", 25 << 20, 7)] {
        bench.message(size);
        for work in bench.works() {
            bench.compare(&work, label, rounds);
        }
    }
}

struct Bench {
    folder: PathBuf,
    ours: PathBuf,
    certs: PathBuf,
}

struct Work {
    name: &'static str,
    ours: Vec<String>,
    theirs: Vec<String>,
}

#[derive(Clone, Copy)]
struct Cost {
    cpu: f64,
    wall: Duration,
}

impl Bench {
    fn prepare(folder: &Path) -> Self {
        let certs = Path::new(env!("CARGO_MANIFEST_DIR")).join("certs");
        Self { folder: folder.to_owned(), ours: PathBuf::from(env!("CARGO_BIN_EXE_sealpost")), certs }
    }

    /// A message whose attachment is base64 text, as real large mail is, and what the readers read.
    fn message(&self, size: usize) {
        let mut text = String::from(
            "From: alice@example.com\r\nTo: bob@example.org\r\nSubject: measure\r\nMIME-Version: 1.0\r\n\
             Content-Type: application/octet-stream\r\nContent-Transfer-Encoding: base64\r\n\r\n",
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
        fs::write(self.folder.join("message"), text).expect("the message is written");
        for work in self.works() {
            if matches!(work.name, "sign" | "encrypt") {
                run(&self.ours, &work.ours);
            }
        }
    }

    fn works(&self) -> Vec<Work> {
        let file = |name: &str| self.folder.join(name).display().to_string();
        let cert = |name: &str| self.certs.join(name).display().to_string();
        let words = |text: String| text.split(' ').map(str::to_owned).collect::<Vec<_>>();
        let (message, signed, encrypted, out) = (file("message"), file("signed"), file("encrypted"), file("out"));
        let (home, root, issuing) = (file("home"), cert("root.pem"), cert("issuing.pem"));
        let (alice, alice_key, bob, bob_key) = (cert("alice.pem"), cert("alice.key"), cert("bob.pem"), cert("bob.key"));
        let at = "--at 2026-06-01T00:00:00Z --revocation off";
        let time = "-attime 1780272000";
        vec![
            Work {
                name: "sign",
                ours: words(format!(
                    "sign --home {home} --cert {alice} --key {alice_key} --chain {issuing} {message} -o {signed} --force"
                )),
                theirs: words(format!(
                    "cms -sign -binary -md sha256 -signer {alice} -inkey {alice_key} -certfile {issuing} -in {message} -out {out}"
                )),
            },
            Work {
                name: "encrypt",
                ours: words(format!(
                    "encrypt --home {home} --to-cert {bob} --cipher aes-256-cbc {message} -o {encrypted} --force"
                )),
                theirs: words(format!("cms -encrypt -stream -binary -aes-256-cbc -in {message} -out {out} {bob}")),
            },
            Work {
                name: "verify",
                ours: words(format!(
                    "verify --home {home} --trust {root} --intermediates {issuing} {at} {signed} -o {out} --force"
                )),
                theirs: words(format!("cms -verify {time} -CAfile {root} -in {signed} -out {out}")),
            },
            Work {
                name: "decrypt",
                ours: words(format!("decrypt --home {home} --cert {bob} --key {bob_key} {encrypted} -o {out} --force")),
                theirs: words(format!("cms -decrypt -recip {bob} -inkey {bob_key} -in {encrypted} -out {out}")),
            },
        ]
    }

    fn compare(&self, work: &Work, label: &str, rounds: usize) {
        let (mut ours, mut theirs) = (Vec::new(), Vec::new());
        for _ in 0..rounds {
            ours.push(run(&self.ours, &work.ours));
            theirs.push(run(Path::new("openssl"), &work.theirs));
        }
        let (our, their) = (sum(&ours), sum(&theirs));
        let (our_wall, their_wall) = (median(&mut ours), median(&mut theirs));
        println!(
            "{:<10} {:<8} {:>9.2} ms {:>9.2} ms {:>8.2} {:>9.2} ms {:>9.2} ms {:>8.2}",
            work.name,
            label,
            our / count(rounds) * 1e3,
            their / count(rounds) * 1e3,
            our / their,
            our_wall.as_secs_f64() * 1e3,
            their_wall.as_secs_f64() * 1e3,
            our_wall.as_secs_f64() / their_wall.as_secs_f64(),
        );
    }
}

fn run(program: &Path, args: &[String]) -> Cost {
    let (before, start) = (children_cpu(), Instant::now());
    let output = Command::new(program).args(args).stdin(Stdio::null()).output().expect("the program starts");
    let wall = start.elapsed();
    assert!(
        output.status.success(),
        "{} {} fails: {}",
        program.display(),
        args.join(" "),
        String::from_utf8_lossy(&output.stderr)
    );
    Cost { cpu: children_cpu() - before, wall }
}

/// CPU seconds of the ended children, from the fields cutime and cstime of /proc/self/stat (hundredths of a second).
fn children_cpu() -> f64 {
    let stat = fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap_or("").split_whitespace().collect();
    let ticks = |at: usize| fields.get(at).and_then(|f| f.parse::<f64>().ok()).unwrap_or(0.0);
    (ticks(13) + ticks(14)) / 100.0
}

fn sum(costs: &[Cost]) -> f64 {
    costs.iter().map(|c| c.cpu).sum()
}

fn median(costs: &mut [Cost]) -> Duration {
    costs.sort_by_key(|c| c.wall);
    costs[costs.len() / 2].wall
}

fn count(rounds: usize) -> f64 {
    f64::from(u32::try_from(rounds).expect("few rounds"))
}
