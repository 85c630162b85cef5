//! Tests of `contact find`: LDAP on a real slapd, SMIMEA in zones that ldns signs and NSD serves, and servers that misbehave.

pub(crate) mod hostile;
mod ldap;
pub(crate) mod slapd;
mod smimea;
mod zones;

use std::net::TcpStream;
use std::path::PathBuf;
use std::process::Child;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::support;

fn certs(name: &str) -> String {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("certs").join(name).display().to_string()
}

/// A home of its own.
struct Bench(tempfile::TempDir);

impl Bench {
    fn new() -> Self {
        Self(tempfile::tempdir().expect("a folder"))
    }

    /// A home that trusts the cast's root and knows its issuing CA.
    fn trusting() -> Self {
        let bench = Self::new();
        let (code, _, talk) = bench.run(&["trust", "add", &certs("root.pem")]);
        assert_eq!(code, 0, "{talk}");
        bench
    }

    fn path(&self, name: &str) -> String {
        self.0.path().join(name).display().to_string()
    }

    fn run(&self, args: &[&str]) -> (i32, String, String) {
        let home = self.path("home");
        let all = [&["--home", &home, "--batch", "--at", "2026-06-01T00:00:00Z"], args].concat();
        let (code, out, talk) = support::run(env!("CARGO_BIN_EXE_sealpost"), &all, b"");
        (code, String::from_utf8(out).expect("text"), talk)
    }

    /// What `contact find --json` says, with its exit code and its talk.
    fn find(&self, address: &str, args: &[&str]) -> (i32, Value, String) {
        let chain = certs("issuing.pem");
        let (code, out, talk) = self.run(&[&["contact", "find", "--json", "--intermediates", &chain, address], args].concat());
        let value: Value = serde_json::from_str(&out).unwrap_or_else(|e| panic!("no JSON object: {e}\n{out}\n{talk}"));
        assert_eq!(value["schema"], "sealpost.contact.find/1");
        assert_eq!(value["exit"], code);
        (code, value, talk)
    }

    /// The addresses of the contacts.
    fn contacts(&self) -> Vec<String> {
        let (_, out, talk) = self.run(&["--json", "contact", "list"]);
        let value: Value = serde_json::from_str(&out).unwrap_or_else(|e| panic!("no JSON object: {e}\n{talk}"));
        let certificates = value["certificates"].as_array().expect("a list");
        certificates.iter().map(|c| c["addresses"][0].as_str().expect("an address").to_owned()).collect()
    }
}

/// What stands in one field of every certificate that was found.
fn each(found: &Value, field: &str) -> Vec<String> {
    let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    found["certificates"].as_array().expect("a list").iter().map(|certificate| text(&certificate[field])).collect()
}

/// A server that ends with its test.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

/// Waits until somebody listens; the child must not end before.
fn await_port(running: &mut Running, port: u16) {
    let begin = Instant::now();
    while TcpStream::connect(("127.0.0.1", port)).is_err() {
        assert!(running.0.try_wait().expect("a child").is_none(), "the server ended");
        assert!(begin.elapsed() < support::LONGEST, "the server does not listen");
        std::thread::sleep(Duration::from_millis(20));
    }
}
