//! PKCS#12 files that want to exhaust the reader.

use sealpost::asn1::{encode, oid};
use sealpost::crypto::algorithm::AlgorithmIdentifier;
use sealpost::crypto::pbe;
use sealpost::crypto::random::Seeded;
use sealpost::keys::pkcs12;
use sealpost::limits::Limits;

use super::{person, secret};

/// A file without a mac and without a passphrase that holds these safe contents.
fn file(safe_contents: &[u8]) -> Vec<u8> {
    let info =
        |content: &[u8]| encode::sequence(&[encode::oid(&oid::ID_DATA), encode::explicit(0, &encode::octet_string(content))]);
    encode::sequence(&[encode::integer_u64(3), info(&encode::sequence(&[info(safe_contents)]))])
}

#[test]
fn refuses_bags_in_bags_without_end() {
    let mut bags = encode::sequence(&[[0_u8; 0]]);
    for _ in 0..3_000 {
        let bag = encode::sequence(&[encode::oid(&oid::SAFE_CONTENTS_BAG), encode::explicit(0, &bags)]);
        bags = encode::sequence(&[bag]);
    }
    let error = pkcs12::read(&file(&bags), None, &Limits::default()).expect_err("too deep").to_string();
    assert!(error.contains("ber depth"), "{error}");
}

#[test]
fn reads_a_few_bags_in_bags() {
    let key = encode::explicit(0, person("carol").private_key().to_pkcs8().expect("it may leave").expose());
    let mut bags = encode::sequence(&[encode::sequence(&[encode::oid(&oid::KEY_BAG), key])]);
    for _ in 0..5 {
        let bag = encode::sequence(&[encode::oid(&oid::SAFE_CONTENTS_BAG), encode::explicit(0, &bags)]);
        bags = encode::sequence(&[bag]);
    }
    let content = pkcs12::read(&file(&bags), None, &Limits::default()).expect("read");
    assert_eq!(content.keys.len(), 1);
}

#[test]
fn refuses_more_rounds_than_the_bound() {
    let file = pkcs12::write(&person("carol"), &secret("secret"), "carol", &mut Seeded::new(b"rounds")).expect("written");
    for bound in [9_999, 599_999] {
        let mut limits = Limits::default();
        limits.kdf_iterations = bound;
        let error = pkcs12::read(&file, Some(&secret("secret")), &limits).expect_err("too many").to_string();
        assert_eq!(error, format!("limit reached: kdf iterations – at most {bound}"));
    }
}

#[test]
fn rounds_are_bounded_for_all_bags_together() {
    let key = person("carol").private_key().to_encrypted_pkcs8(&secret("secret"), &mut Seeded::new(b"bags")).expect("locked");
    let bag = encode::sequence(&[encode::oid(&oid::SHROUDED_KEY_BAG), encode::explicit(0, &key)]);
    let mut limits = Limits::default();
    // each takes 600 000
    limits.kdf_iterations = 1_200_000;
    let read = |count: usize| pkcs12::read(&file(&encode::sequence(&vec![bag.clone(); count])), Some(&secret("secret")), &limits);
    assert_eq!(read(2).expect("within the bound").keys.len(), 2);
    let error = read(3).expect_err("too many").to_string();
    assert_eq!(error, "limit reached: kdf iterations – at most 1200000");
}

#[test]
fn every_block_of_a_derived_key_counts() {
    let derivation = |len: u64| {
        let parameters = [encode::octet_string(b"saltsalt"), encode::integer_u64(1_000), encode::integer_u64(len)];
        AlgorithmIdentifier::with(oid::PBKDF2, encode::sequence(&parameters))
    };
    let mut limits = Limits::default();
    limits.kdf_iterations = 2_999;
    // SHA-1 gives 20 bytes
    let key = |len| pbe::derive_key(&derivation(len), b"secret", 32, &mut pbe::Cost::new(&limits));
    assert_eq!(key(40).expect("two blocks").expose().len(), 40);
    let error = key(41).err().expect("three blocks").to_string();
    assert_eq!(error, "limit reached: kdf iterations – at most 2999");
}

#[test]
fn refuses_a_file_cut_anywhere_and_survives_a_change_anywhere() {
    let identity = person("carol");
    let file = file(&encode::sequence(&[encode::sequence(&[
        encode::oid(&oid::KEY_BAG),
        encode::explicit(0, identity.private_key().to_pkcs8().expect("it may leave").expose()),
    ])]));
    assert!(pkcs12::read(&file, None, &Limits::default()).is_ok_and(|content| content.keys.len() == 1));
    for at in 0..file.len() {
        let cut = pkcs12::read(&file[..at], None, &Limits::default());
        assert!(cut.is_err(), "cut at {at}");
        let mut changed = file.clone();
        changed[at] ^= 0x20;
        let _ = pkcs12::read(&changed, None, &Limits::default());
    }
}
