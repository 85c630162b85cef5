//! Revocation lists of every kind, made by Python's `cryptography`, judged as stated and as OpenSSL does; a large one costs little.

use std::fs;
use std::path::Path;

use sealpost::asn1::{encode, oid};
use sealpost::limits::Limits;
use sealpost::pki::{self, Crl, Judgement, Name, Purpose, Revocation, RevocationStatus, TrustAnchors};
use sealpost::time::Timestamp;

use crate::support;

/// 2026-06-01
const AT: i64 = 1_780_272_000;

/// Cases that OpenSSL answers otherwise, and why.
const OTHERWISE: &[(&str, &str)] = &[
    ("place-other-revokes", "whoever may tell of the certificate and names it is heard, whatever place his list is for"),
    ("indirect-signer-may-not", "RFC 5280 6.3.3 (f): the certificate of who signed the list must allow cRLSign"),
    (
        "key-for-lists-only-on-its-own-list",
        "the list that such a key signs is the only one there is about it; it does not name it",
    ),
];

/// What is known of the certificate of a case, and what is said of it.
fn known(folder: &Path, limits: &Limits) -> (RevocationStatus, String) {
    let read = |file: &str| fs::read(folder.join(file)).expect("the file is there");
    let certificates = |file: &str| pki::load::certificates(&read(file)).expect("certificates");
    let verdict = pki::judge(&Judgement {
        leaf: certificates("leaf.pem").first().expect("one"),
        pool: &certificates("pool.pem"),
        anchors: &certificates("root.pem").into_iter().collect::<TrustAnchors>(),
        crls: &pki::load::crls(read("lists.pem")).expect("lists"),
        ocsp: &[],
        purpose: Purpose::Any,
        at: Timestamp::from_unix(AT),
        revocation: Revocation::Hard,
        limits,
    });
    let reasons: Vec<String> = verdict.reasons.iter().map(|reason| reason.text.clone()).collect();
    (verdict.revocation, reasons.join("\n"))
}

/// Whether OpenSSL finds it good, or says that it was revoked.
fn by_openssl(folder: &Path) -> &'static str {
    let path = |file: &str| folder.join(file).display().to_string();
    let (root, pool, lists, leaf) = (path("root.pem"), path("pool.pem"), path("lists.pem"), path("leaf.pem"));
    let at = AT.to_string();
    let options = ["verify", "-attime", &at, "-crl_check_all", "-extended_crl", "-use_deltas"];
    let files = ["-CAfile", &root, "-untrusted", &pool, "-CRLfile", &lists, &leaf];
    let (code, out, talk) = support::run("openssl", &[&options[..], &files].concat(), b"");
    let words = format!("{}{talk}", String::from_utf8_lossy(&out));
    match code {
        0 => "good",
        _ if words.contains("0 depth lookup: certificate revoked") => "revoked",
        _ => "unknown",
    }
}

/// The folder of the cases and what is stated of each.
fn cases() -> Option<(tempfile::TempDir, Vec<(String, String)>)> {
    let python = support::named_peer("SEALPOST_PYTHON")?;
    let folder = tempfile::tempdir().expect("a folder");
    let script = format!("{}/tests/peers/lists.py", env!("CARGO_MANIFEST_DIR"));
    let (code, _, talk) = support::run(&python, &["-B", &script, &folder.path().display().to_string()], b"");
    assert_eq!(code, 0, "{talk}");
    let table = fs::read_to_string(folder.path().join("cases.txt")).expect("the cases");
    let cases = table.lines().map(|line| line.split_once(' ').expect("two words")).map(|(a, b)| (a.to_owned(), b.to_owned()));
    let cases = cases.collect();
    Some((folder, cases))
}

#[test]
fn lists_of_every_kind_are_judged_as_stated_and_as_openssl_does() {
    if !support::peer("openssl") {
        return;
    }
    let Some((folder, cases)) = cases() else { return };
    let mut wrong = Vec::new();
    for (title, stated) in &cases {
        let folder = folder.path().join(title);
        let (found, words) = known(&folder, &Limits::default());
        let is_explained = *stated == "good" || !words.is_empty();
        if found.name() != *stated || !is_explained {
            wrong.push(format!("{title}: stated {stated}, found {} – {words}", found.name()));
        }
        let peer = by_openssl(&folder);
        // of what is not known OpenSSL says only that it does not hold, and of the signer's certificate as of this one
        let agrees = peer == *stated || (*stated == "unknown" && peer != "good");
        if agrees == OTHERWISE.iter().any(|(other, _)| other == title) {
            wrong.push(format!("{title}: stated {stated}, OpenSSL {peer}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(cases.len() >= 53, "{}", cases.len());
}

#[test]
fn what_is_not_known_is_said_of_each_list() {
    let Some((folder, _)) = cases() else { return };
    for (title, expected) in [
        ("none", "no revocation list and no OCSP response of CN=CA is at hand"),
        ("complete-too-old", "it is too old, a newer one was due on 2026-05-30T00:00:00Z – checked for 2026-06-01T00:00:00Z"),
        ("complete-not-yet-made", "it was made on 2026-06-02T00:00:00Z"),
        ("unknown-critical-of-list", "it has the critical extension 1.2.3.4, which is not known here"),
        ("unknown-critical-of-entry", "it has the critical extension of an entry, which is not known here"),
        ("forged", "no certificate of CN=CA that is at hand has the key that signed it"),
        ("forged-signer-in-pool", "CN=CA, who signed it, may not tell about this certificate"),
        ("delta-alone", "it is a delta list, and the list that it continues is not at hand"),
        ("place-other", "it is for certificates that name another distribution point"),
        ("authorities-only", "it is for certificates of another kind"),
        ("reasons-some", "the lists at hand are for some reasons of revocation only"),
        ("indirect-does-not-say-so", "it does not say that it tells about certificates of other issuers"),
        ("indirect-signer-may-not", "its certificate does not allow cRLSign"),
        ("indirect-signer-revoked", "the certificate of CN=Lister, who signed it, was revoked"),
    ] {
        let (_, words) = known(&folder.path().join(title), &Limits::default());
        assert!(words.contains(expected), "{title}: {words}");
    }
}

#[test]
fn tries_are_bounded_and_the_bound_is_named() {
    let Some((folder, _)) = cases() else { return };
    let folder = folder.path().join("indirect-good");
    for (limits, name) in [
        (with(|limits| limits.revocation_checks = 1), "revocation checks"),
        (with(|limits| limits.revocation_depth = 0), "revocation depth"),
        (with(|limits| limits.distribution_points = 0), "distribution points"),
    ] {
        let (found, words) = known(&folder, &limits);
        assert_eq!(found, RevocationStatus::Unknown, "{name}");
        assert!(words.contains(&format!("limit reached: {name}")), "{name}: {words}");
    }
}

#[test]
fn no_changed_list_panics_or_makes_a_certificate_good() {
    let Some((folder, _)) = cases() else { return };
    let folder = folder.path().join("indirect-carried-over");
    let text = fs::read(folder.join("lists.pem")).expect("the lists");
    let lists = pki::load::crls(text).expect("lists");
    let (root, list) = (lists.first().expect("the root's"), lists.last().expect("the indirect one"));
    let mut changed = list.der().to_vec();
    for at in 0..changed.len() {
        let bit = 1 << (at % 8);
        changed[at] ^= bit;
        if Crl::from_der(&changed).is_ok() {
            let both = [root.der(), &changed].map(|der| sealpost::asn1::pem::encode("X509 CRL", der)).concat();
            fs::write(folder.join("lists.pem"), both).expect("written");
            let (found, words) = known(&folder, &Limits::default());
            assert_ne!(found, RevocationStatus::Good, "byte {at}: {words}");
        }
        changed[at] ^= bit;
    }
}

fn with(change: impl Fn(&mut Limits)) -> Limits {
    let mut limits = Limits::default();
    change(&mut limits);
    limits
}

/// A list of so many entries with random-looking serial numbers of 20 bytes, each with a reason; nobody signed it.
fn large(entries: u32) -> Crl {
    let reason = encode::sequence(&[encode::oid(&oid::CRL_REASON), encode::octet_string(&encode::enumerated(4))]);
    let rest = [encode::time(Timestamp::from_unix(AT)), encode::sequence(&[reason])].concat();
    let mut list = Vec::new();
    for number in 0..entries {
        let number = encode::tlv(sealpost::asn1::Tag::INTEGER, &serial(number));
        list.extend(encode::sequence(&[number.as_slice(), &rest]));
    }
    let algorithm = encode::sequence(&[encode::oid(&oid::ECDSA_SHA256)]);
    let tbs = encode::sequence(&[
        encode::integer_u64(1),
        algorithm.clone(),
        Name::from_attributes(&[(oid::COMMON_NAME, "CA")]).der().to_vec(),
        encode::time(Timestamp::from_unix(AT)),
        encode::tlv(sealpost::asn1::Tag::SEQUENCE, &list),
    ]);
    Crl::from_vec(encode::sequence(&[tbs, algorithm, encode::bit_string(&[0; 70])])).expect("a list")
}

fn serial(number: u32) -> [u8; 20] {
    let mut serial = [0x5a; 20];
    serial[1..5].copy_from_slice(&number.to_be_bytes());
    serial[16..].copy_from_slice(&number.wrapping_mul(2_654_435_761).to_be_bytes());
    serial
}

#[test]
fn a_list_of_200_000_entries_takes_its_bytes_and_12_for_each() {
    let list = large(200_000);
    assert_eq!(list.len(), 200_000);
    assert!(list.held_bytes() <= list.der().len() + 12 * 200_000 + 100, "{}", list.held_bytes());
    assert!(list.held_bytes() <= 20 << 20, "{}", list.held_bytes());
    for number in [0, 1, 77_777, 199_999] {
        let entry = list.lookup(&serial(number)).expect("it is there");
        assert_eq!((entry.serial.as_slice(), entry.reason_name()), (&serial(number)[..], "superseded"));
    }
    assert!(list.lookup(&serial(200_000)).is_none());
    let elsewhere = Name::from_attributes(&[(oid::COMMON_NAME, "Other CA")]);
    assert!(list.lookup_of(&elsewhere, &serial(1)).is_none(), "another's certificate with the same number");
}

#[test]
fn numbers_that_end_alike_and_such_with_needless_zeros_are_told_apart() {
    let list = large(3);
    let mut alike = serial(1);
    alike[1] = 0x77;
    assert!(list.lookup(&alike).is_none());
    assert!(list.lookup(&[&[0], &serial(1)[..]].concat()).is_some());
    assert!(list.lookup(&[]).is_none());
}

#[test]
fn refuses_a_list_with_an_entry_that_cannot_be_read() {
    let mut der = large(2).der().to_vec();
    // the time of the first entry
    let at = der.windows(2).rposition(|pair| pair == [0x17, 13]).expect("a time");
    der[at + 2] = b'x';
    let error = Crl::from_der(&der).expect_err("refused").to_string();
    assert!(error.contains("a time that cannot be read"), "{error}");
}
