#![allow(clippy::print_stdout, reason = "the table is the result")]
//! What the primitives cost, by pure Rust and by the fastest that is built in: GB/s in pieces of 64 KiB, microseconds for the rest.
//!
//! `cargo bench --bench primitives`. The best of several rounds counts: what takes longer was disturbed.

use std::hint::black_box;
use std::time::{Duration, Instant};

use sealpost::crypto::algorithm::{
    CipherParameters, ContentCipher, DigestAlgorithm, KeyAlgorithm, KeyTransport, SignatureAlgorithm,
};
use sealpost::crypto::cipher::Foreknown;
use sealpost::crypto::key::{PrivateKey, PublicKey};
use sealpost::crypto::provider::Provider;
use sealpost::crypto::random::OsRandom;
use sealpost::crypto::signature::Input;
use sealpost::crypto::transport;
use sealpost::limits::Limits;

const PROVIDERS: [Provider; 2] = [Provider::Rust, Provider::Fastest];
const PIECE: usize = 64 << 10;
/// Less than 16 MiB in all, which is the most that CCM takes under a nonce of 12 bytes.
const PIECES: usize = 200;

fn main() {
    println!("{:<34} {:>10} {:>10}", "GB/s", "rust", "fastest");
    for cipher in [
        ContentCipher::Aes128Cbc,
        ContentCipher::Aes256Cbc,
        ContentCipher::Aes128Gcm,
        ContentCipher::Aes256Gcm,
        ContentCipher::ChaCha20Poly1305,
        ContentCipher::Aes256Ccm,
        ContentCipher::DesEde3Cbc,
    ] {
        row(&format!("{} encrypt", cipher.name()), PROVIDERS.map(|provider| encryption(provider, cipher)));
        row(&format!("{} decrypt", cipher.name()), PROVIDERS.map(|provider| decryption(provider, cipher)));
    }
    for digest in [
        DigestAlgorithm::Sha1,
        DigestAlgorithm::Sha256,
        DigestAlgorithm::Sha384,
        DigestAlgorithm::Sha512,
        DigestAlgorithm::Sha3_256,
    ] {
        row(digest.name(), PROVIDERS.map(|provider| hashing(provider, digest)));
    }
    println!("\n{:<34} {:>10} {:>10}", "microseconds", "rust", "fastest");
    for algorithm in [KeyAlgorithm::Rsa(2048), KeyAlgorithm::P256, KeyAlgorithm::P384, KeyAlgorithm::Ed25519] {
        of_key(algorithm);
    }
}

fn row(name: &str, [rust, fastest]: [f64; 2]) {
    println!("{name:<34} {rust:>10.2} {fastest:>10.2}");
}

/// The best of some rounds.
fn best(rounds: usize, mut work: impl FnMut()) -> Duration {
    let round = |_| {
        let start = Instant::now();
        work();
        start.elapsed()
    };
    (0..rounds).map(round).min().unwrap_or_default()
}

fn gigabytes(taken: Duration) -> f64 {
    (PIECE * PIECES) as f64 / taken.as_secs_f64() / 1e9
}

fn micros(rounds: usize, work: impl FnMut()) -> f64 {
    best(rounds, work).as_secs_f64() * 1e6
}

fn parameters(cipher: ContentCipher) -> (CipherParameters, Vec<u8>, Foreknown) {
    let foreknown = Foreknown { aad: Vec::new(), content_len: (PIECE * PIECES) as u64 };
    (CipherParameters::generate(cipher, &mut OsRandom), (1..=32).take(cipher.key_len()).collect(), foreknown)
}

fn encryption(provider: Provider, cipher: ContentCipher) -> f64 {
    let (parameters, key, foreknown) = parameters(cipher);
    let (piece, mut out) = (vec![7; PIECE], Vec::new());
    gigabytes(best(8, || {
        let mut encryptor = provider.encryptor(&parameters, &key, Some(&foreknown)).expect("a key that fits");
        for _ in 0..PIECES {
            out.clear();
            encryptor.update(&piece, &mut out);
            black_box(&out);
        }
        black_box(encryptor.finish(&[], &mut out).expect("encrypts"));
    }))
}

fn decryption(provider: Provider, cipher: ContentCipher) -> f64 {
    let (parameters, key, foreknown) = parameters(cipher);
    let (piece, mut out) = (vec![7; PIECE], Vec::new());
    gigabytes(best(8, || {
        let mut decryptor = provider.decryptor(&parameters, &key, Some(&foreknown)).expect("a key that fits");
        for _ in 0..PIECES {
            out.clear();
            decryptor.update(&piece, &mut out);
            black_box(&out);
        }
        // neither tag nor padding fits, which costs the same
        black_box(decryptor.finish(&[], Some(&[0; 16]), &mut out).is_ok());
    }))
}

fn hashing(provider: Provider, algorithm: DigestAlgorithm) -> f64 {
    let piece = vec![7; PIECE];
    gigabytes(best(8, || {
        let mut digest = provider.digest(algorithm);
        (0..PIECES).for_each(|_| digest.update(&piece));
        black_box(digest.finish());
    }))
}

fn of_key(algorithm: KeyAlgorithm) {
    let key = PrivateKey::generate(algorithm, &mut OsRandom).expect("a key");
    let (pkcs8, spki) = (key.to_pkcs8().expect("it may leave"), key.public_key().spki().to_vec());
    let (limits, message) = (Limits::default(), [9; 200]);
    let scheme = SignatureAlgorithm::default_for(algorithm, DigestAlgorithm::Sha256).expect("it signs");
    let load = || PrivateKey::from_any(pkcs8.expose(), None, &limits).expect("a key");
    let public = || PublicKey::from_spki(&spki).expect("a key");
    let both = |name: &str, rounds: usize, work: &dyn Fn(Provider)| {
        row(&format!("{algorithm} {name}"), PROVIDERS.map(|provider| micros(rounds, || work(provider))));
    };
    let signature = Provider::Fastest.sign(&key, scheme, Input::Message(&message), &mut OsRandom).expect("signs");
    let sign = |key: &PrivateKey, provider: Provider| {
        black_box(provider.sign(key, scheme, Input::Message(&message), &mut OsRandom).expect("signs"));
    };
    let verify = |key: &PublicKey, provider: Provider| {
        provider.verify(key, scheme, Input::Message(&message), &signature).expect("fits");
    };
    both("load", 100, &|_| drop(black_box(load())));
    both("load and sign", 100, &|provider| sign(&load(), provider));
    both("sign", 100, &|provider| sign(&key, provider));
    both("read public", 200, &|_| drop(black_box(public())));
    both("read public and verify", 200, &|provider| verify(&public(), provider));
    both("verify", 200, &|provider| verify(key.public_key(), provider));
    if algorithm.is_rsa() {
        let transport = KeyTransport::RsaPkcs1;
        let encrypted = transport::encrypt(key.public_key(), &transport, &[5; 32], &mut OsRandom).expect("encrypts");
        let decrypt = |key: &PrivateKey, provider: Provider| {
            black_box(provider.decrypt(key, &transport, &encrypted, Some(32), &mut OsRandom).expect("decrypts"));
        };
        both("encrypt a key", 200, &|_| {
            black_box(transport::encrypt(key.public_key(), &transport, &[5; 32], &mut OsRandom).expect("encrypts"));
        });
        both("load and decrypt a key", 100, &|provider| decrypt(&load(), provider));
        both("decrypt a key", 100, &|provider| decrypt(&key, provider));
    } else if algorithm.encrypts() {
        let other = PrivateKey::generate(algorithm, &mut OsRandom).expect("a key");
        both("agree", 200, &|provider| {
            black_box(provider.shared_secret(&key, other.public_key()).expect("agrees"));
        });
    }
}
