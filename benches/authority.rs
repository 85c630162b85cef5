//! What the authority costs: issuing beside the bare key and signature operations, and its verbs at a million certificates.
//!
//! `cargo bench --bench authority -- [CERTIFICATES]` (1 000 000 where none is said, 0 for the ratios alone); works in a temporary folder.
#![allow(clippy::print_stdout, reason = "its result")]

use std::hint::black_box;
use std::time::{Duration, Instant};

use rustix::time::{ClockId, clock_gettime};

use sealpost::ca::records::{Records, Serial, verify};
use sealpost::ca::responder::Folder;
use sealpost::ca::store::{ListKind, Order, OrderKey, Store};
use sealpost::ca::{Issuer, MailProfile, Plan, RevocationReason, store::Custody};
use sealpost::crypto::algorithm::{DigestAlgorithm, KeyAlgorithm, SignatureAlgorithm};
use sealpost::crypto::key::PrivateKey;
use sealpost::crypto::random::OsRandom;
use sealpost::crypto::signature::{self, Input};
use sealpost::time::Timestamp;

/// 2026-06-01.
const AT: Timestamp = Timestamp::from_unix(1_780_272_000);
const BATCH: usize = 10_000;
const ROUNDS: usize = 3;

fn main() {
    let count = std::env::args().filter_map(|text| text.parse().ok()).next().unwrap_or(1_000_000);
    for algorithm in [KeyAlgorithm::P384, KeyAlgorithm::P256, KeyAlgorithm::Ed25519] {
        ratio(algorithm);
    }
    if count > 0 {
        at_scale(count);
    }
}

fn profile(who: usize) -> MailProfile {
    MailProfile::new(format!("user{who}@a.example")).days(365)
}

fn store(folder: &std::path::Path, algorithm: KeyAlgorithm) -> Store {
    let plan = Plan::new("Bench", algorithm).domains(&["a.example"]);
    Store::make(folder, &plan, &Custody::new(None), AT, &mut OsRandom).expect("made")
}

/// 10 000 keys and certificates, beside the same operations alone: a key and a signature each, and the check of that signature, without
/// which no certificate is given out.
fn ratio(algorithm: KeyAlgorithm) {
    let folder = tempfile::tempdir().expect("a folder");
    let store = store(&folder.path().join("ca"), algorithm);
    let digest = if algorithm == KeyAlgorithm::P384 { DigestAlgorithm::Sha384 } else { DigestAlgorithm::Sha256 };
    let signs = SignatureAlgorithm::default_for(algorithm, digest).expect("it signs");
    let issuer = PrivateKey::generate(algorithm, &mut OsRandom).expect("a key");
    let message = [7; 600];
    let made = || {
        for _ in 0..BATCH {
            black_box(PrivateKey::generate(KeyAlgorithm::P256, &mut OsRandom).expect("a key"));
            black_box(signature::sign(&issuer, signs, Input::Message(&message), &mut OsRandom).expect("signed"));
        }
    };
    let signed = signature::sign(&issuer, signs, Input::Message(&message), &mut OsRandom).expect("signed");
    let checked = || {
        for _ in 0..BATCH {
            signature::verify(issuer.public_key(), signs, Input::Message(&message), black_box(&signed)).expect("it fits");
        }
    };
    let order = |who| Order { profile: profile(who), key: OrderKey::New(KeyAlgorithm::P256) };
    let orders: Vec<Order> = (0..BATCH).map(order).collect();
    let issued = || {
        let made = store.issue_all(&orders, AT, &mut OsRandom).expect("issued");
        assert!(made.iter().all(Result::is_ok));
    };
    // in turn, so that what disturbs one disturbs the others; the best of each counts
    let (mut best, mut wall) = ([f64::MAX; 3], Duration::MAX);
    for _ in 0..ROUNDS {
        let start = Instant::now();
        let now = cpu_of(issued);
        wall = wall.min(start.elapsed());
        let now = [cpu_of(made), cpu_of(checked), now];
        best.iter_mut().zip(now).for_each(|(best, now)| *best = best.min(now));
    }
    let [made, checked, issued] = best;
    println!(
        "{BATCH} P-256 certificates by a {algorithm} CA: {issued:.3} s of CPU, {wall:.2?} by the clock; alone: keys and signatures \
         {made:.3} s, checks {checked:.3} s; ratio to keys and signatures {:.2}, with checks {:.2}",
        issued / made,
        issued / (made + checked)
    );
}

/// CPU seconds of this process, system and user, that some work takes.
fn cpu_of(work: impl FnOnce()) -> f64 {
    let start = cpu();
    work();
    cpu() - start
}

fn at_scale(count: usize) {
    let folder = tempfile::tempdir().expect("a folder");
    let ca = folder.path().join("ca");
    let store = store(&ca, KeyAlgorithm::P256);
    let key = PrivateKey::generate(KeyAlgorithm::P256, &mut OsRandom).expect("a key").public_key().clone();
    let mut serials: Vec<Serial> = Vec::new();
    let filled = timed(|| {
        for from in (0..count).step_by(BATCH) {
            let order = |who| Order { profile: profile(who), key: OrderKey::Public(key.clone()) };
            let orders: Vec<Order> = (from..(from + BATCH).min(count)).map(order).collect();
            for made in store.issue_all(&orders, AT, &mut OsRandom).expect("issued") {
                serials.extend(Serial::from_bytes(made.expect("issued").certificate.serial()));
            }
        }
    });
    println!("{count} certificates issued in {filled:.1?}");
    let held = count / 20;
    let holds = timed(|| {
        for serial in serials.iter().step_by(20).take(held.min(2000)) {
            store.revoke(&serial.to_string(), RevocationReason::Superseded, AT).expect("revoked");
        }
    });
    println!("{} revocations, each synced: {holds:.2?}", held.min(2000));
    println!("open: {:.1?}", timed(|| drop(Store::open(&ca, None).expect("opens"))));
    let again = Store::open(&ca, None).expect("opens");
    println!("issue one: {:.1?}", timed(|| drop(again.issue(&profile(0), &key, AT, &mut OsRandom).expect("issued"))));
    let serial = serials[count / 2 + 1].to_string();
    println!("revoke one: {:.1?}", timed(|| drop(again.revoke(&serial, RevocationReason::KeyCompromise, AT).expect("revoked"))));
    let dates = (AT, AT.plus_days(7));
    let list = timed(|| {
        let crl = again.list(Issuer::Mail, ListKind::CompleteWithDeltas, dates, &mut OsRandom).expect("signed");
        println!("entries of the list: {}", crl.len());
    });
    println!("sign the list: {list:.1?}");
    println!(
        "sign a delta list: {:.1?}",
        timed(|| drop(again.list(Issuer::Mail, ListKind::Delta, dates, &mut OsRandom).expect("signed")))
    );
    drop(again.list(Issuer::Servers, ListKind::CompleteWithDeltas, dates, &mut OsRandom).expect("signed"));
    let states = Folder::new(&ca);
    let first = timed(|| drop(again.publish(&[], &states, AT, &mut OsRandom).expect("published")));
    println!("sign all OCSP answers: {first:.1?}");
    let serial = serials[count / 2 + 3].to_string();
    let changed = timed(|| {
        again.revoke(&serial, RevocationReason::KeyCompromise, AT).expect("revoked");
        let list = |by, kind| (format!("{by:?}"), again.list(by, kind, dates, &mut OsRandom).expect("signed"));
        let lists = [Issuer::Mail, Issuer::Servers].map(|by| [list(by, ListKind::Between), list(by, ListKind::Delta)]);
        drop(again.publish_changes(&lists.concat(), &Folder::new(&ca), AT, &mut OsRandom).expect("published"));
    });
    println!("revoke one and publish that, with delta lists: {changed:.1?}");
    println!("publish all again: {:.1?}", timed(|| drop(again.publish(&[], &states, AT, &mut OsRandom).expect("published"))));
    let records = Records::open(&ca).expect("readable");
    println!("find one: {:.1?}", timed(|| drop(records.certificate(&serials[count / 3]).expect("readable").expect("known"))));
    println!("list all: {:.1?}", timed(|| assert!(records.entries().expect("readable").count() > count)));
    println!("verify all: {:.1?}", timed(|| assert!(verify(&ca, None).is_ok_and(|verified| verified.certificates > 0))));
    println!("suspend one person: {:.1?}", timed(|| drop(again.suspend("user5@a.example", AT).expect("on hold"))));
    std::fs::remove_file(ca.join("checkpoint")).expect("removed");
    println!("open without a checkpoint: {:.1?}", timed(|| drop(Store::open(&ca, None).expect("opens"))));
}

#[allow(clippy::cast_precision_loss, reason = "nanoseconds within a second are few")]
fn cpu() -> f64 {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    time.tv_sec as f64 + time.tv_nsec as f64 / 1e9
}

fn timed(work: impl FnOnce()) -> Duration {
    let start = Instant::now();
    work();
    start.elapsed()
}
