//! NSS's `certutil` accepts what the authority issues, and not what its list revokes.

use sealpost::ca::store::ListKind;
use sealpost::ca::{Issuer, RevocationReason, Uses};
use sealpost::crypto::algorithm::KeyAlgorithm;
use sealpost::crypto::random::OsRandom;

use super::{AUTHORITIES, Bench, at, key};
use crate::support;

/// A day after the authority was made.
const WHEN: &str = "260602000000Z";

struct Database(String);

impl Database {
    fn new(bench: &Bench) -> Self {
        let database = Self(format!("sql:{}", bench.folder.path().display()));
        database.ok("certutil", &["-N", "--empty-password"]);
        database.add("root", "C,C,", &bench.path("root"));
        database.add("issuing", ",,", &bench.path("issuing"));
        database.add("servers", ",,", &bench.path("servers"));
        database
    }

    fn run(&self, program: &str, args: &[&str]) -> (i32, String) {
        let (code, out, talk) = support::run(program, &[args, &["-d", &self.0]].concat(), b"");
        (code, format!("{}{talk}", String::from_utf8_lossy(&out)))
    }

    fn ok(&self, program: &str, args: &[&str]) {
        let (code, words) = self.run(program, args);
        assert_eq!(code, 0, "{program} {args:?}: {words}");
    }

    fn add(&self, name: &str, trust: &str, file: &str) {
        self.ok("certutil", &["-A", "-n", name, "-t", trust, "-a", "-i", file]);
    }

    /// What it says of a use: `S` sign mail, `R` receive mail, `V` be a TLS server.
    fn check(&self, name: &str, usage: &str) -> String {
        self.run("certutil", &["-V", "-n", name, "-u", usage, "-b", WHEN, "-e"]).1.trim().to_owned()
    }
}

const VALID: &str = "certutil: certificate is valid";

#[test]
fn certutil_accepts_each_certificate_for_its_use() {
    if !support::peer("certutil") {
        return;
    }
    for authority in AUTHORITIES {
        let bench = Bench::new(authority);
        let database = Database::new(&bench);
        for kind in [KeyAlgorithm::Rsa(2048), KeyAlgorithm::P256, KeyAlgorithm::P384] {
            let name = kind.to_string();
            let leaf = bench.issue(&format!("{name}@a.example"), &key(kind), Uses::Dual);
            database.add(&name, ",,", &bench.write("leaf", &leaf));
            assert_eq!(["S", "R"].map(|usage| database.check(&name, usage)), [VALID, VALID], "{authority} {kind}");
            assert!(database.check(&name, "V").contains("not approved"), "{authority} {kind}");
            let host = format!("{name}.a.example");
            let server = bench.server(&[&host], if kind.is_rsa() { KeyAlgorithm::Rsa(2048) } else { KeyAlgorithm::P256 });
            database.add(&host, ",,", &bench.write("leaf", server.certificate()));
            assert_eq!(database.check(&host, "V"), VALID, "{authority} {kind}");
            assert!(database.check(&host, "S").contains("not approved"), "{authority} {kind}");
        }
        for (uses, good, bad) in [(Uses::Sign, "S", "R"), (Uses::Encrypt, "R", "S")] {
            let name = format!("{uses:?}").to_lowercase();
            let leaf = bench.issue(&format!("{name}@a.example"), &key(KeyAlgorithm::Rsa(2048)), uses);
            database.add(&name, ",,", &bench.write("leaf", &leaf));
            assert_eq!(database.check(&name, good), VALID, "{authority}");
            assert!(database.check(&name, bad).contains("inadequate"), "{authority} {}", database.check(&name, bad));
        }
    }
}

#[test]
fn certutil_refuses_a_revoked_certificate() {
    if !["certutil", "crlutil"].into_iter().all(support::peer) {
        return;
    }
    let bench = Bench::new(KeyAlgorithm::P384);
    let database = Database::new(&bench);
    for who in ["good", "bad"] {
        let leaf = bench.issue(&format!("{who}@a.example"), &key(KeyAlgorithm::P256), Uses::Dual);
        database.add(who, ",,", &bench.write(who, &leaf));
        if who == "bad" {
            bench.store.revoke(&leaf.serial_hex(), RevocationReason::KeyCompromise, at()).expect("revoked");
        }
    }
    let dates = (at(), at().plus_days(7));
    let list = |kind| bench.store.list(Issuer::Mail, kind, dates, &mut OsRandom).expect("signed");
    // NSS knows no issuing distribution point
    let usual = bench.write_bytes("usual", list(ListKind::Complete).der());
    assert!(database.run("crlutil", &["-I", "-t", "1", "-i", &usual]).1.contains("CRITICAL_EXTENSION"));
    database.ok("crlutil", &["-I", "-t", "1", "-i", &bench.write_bytes("list", list(ListKind::Plain).der())]);
    assert_eq!(database.check("good", "S"), VALID);
    assert!(database.check("bad", "S").contains("revoked"), "{}", database.check("bad", "S"));
}
