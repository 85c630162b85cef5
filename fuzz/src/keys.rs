//! Key files are read to an identity or a reason, and what is read can be written and read again.

use sealpost::asn1::pem;
use sealpost::crypto::key::PrivateKey;
use sealpost::crypto::random::Seeded;
use sealpost::keys::{load, pkcs12};
use sealpost::limits::Limits;
use sealpost::secret::Secret;

/// Reads bytes as a key file, under the passphrase of the seeds and under none.
pub fn run(bytes: &[u8]) {
    let mut limits = Limits::default();
    // what a file may ask for takes seconds; the bounds themselves are tested elsewhere
    limits.kdf_iterations = 20_000;
    limits.kdf_memory_bytes = 1 << 20;
    let passphrase = Secret::new(b"secret".to_vec());
    for passphrase in [None, Some(&passphrase)] {
        if let Ok(content) = pkcs12::read(bytes, passphrase, &limits) {
            content.keys.iter().for_each(|key| is_written_and_read(&key.value));
        }
        if let Ok(key) = PrivateKey::from_any(bytes, passphrase, &limits) {
            is_written_and_read(&key);
        }
        for identity in load::identities(bytes, passphrase, &limits).unwrap_or_default() {
            let public = identity.certificate().public_key().expect("it was compared with the key");
            assert_eq!(public, *identity.private_key().public_key());
        }
    }
    if let Ok(blocks) = pem::parse_all(bytes) {
        let _ = PrivateKey::all_from_pem(&blocks, Some(&passphrase), &limits);
    }
}

fn is_written_and_read(key: &PrivateKey) {
    let again = PrivateKey::from_pkcs8(key.to_pkcs8().expect("it may leave").expose()).expect("our own form");
    assert_eq!(again.public_key(), key.public_key());
    assert!(again.to_pkcs8().expect("it may leave").expose() == key.to_pkcs8().expect("it may leave").expose(), "one form");
    // a random source keeps the target the same each time
    let mut random = Seeded::new(b"keys");
    let scheme = sealpost::crypto::pbe::Scheme::TripleDes;
    let passphrase = Secret::new(b"secret".to_vec());
    let locked = key.to_encrypted_pkcs8_by(scheme, 1, &passphrase, &mut random).expect("locked");
    let opened = PrivateKey::from_any(&locked, Some(&passphrase), &Limits::default()).expect("opened");
    assert_eq!(opened.public_key(), key.public_key());
}
