//! Messages cut short or changed: an error that says so, never a panic, never content.

use std::io::Write;

use sealpost::cms::{self, Content, Error, Key};
use sealpost::crypto::algorithm::{ContentCipher, DigestAlgorithm, KeyTransport};
use sealpost::crypto::random::{Random, Seeded};
use sealpost::limits::Limits;

use super::cast::cast;
use super::own::{CONTENT, builder, detached, encrypted, key_of, opaque};
use super::{decrypt, is_good, read_enveloped, read_signed};

fn samples() -> Vec<(&'static str, Vec<u8>)> {
    let (alice, carol) = (cast().person("alice"), cast().person("carol"));
    let both = builder(carol, DigestAlgorithm::Sha256);
    vec![
        ("detached", detached(&both, CONTENT)),
        ("opaque", opaque(&both, CONTENT)),
        ("cbc", encrypted(ContentCipher::Aes128Cbc, &KeyTransport::RsaPkcs1, &[carol, alice], CONTENT)),
        ("gcm", encrypted(ContentCipher::Aes256Gcm, &KeyTransport::RsaPkcs1, &[carol], CONTENT)),
    ]
}

/// Reads as far as it goes, as any of the cast.
fn read(message: &[u8]) -> Result<(), Error> {
    match cms::open(message, &Limits::default())? {
        Content::Signed(_) => {
            let (data, _) = read_signed(message, Some(CONTENT))?;
            is_good(&data);
            Ok(())
        }
        Content::Enveloped(_) => decrypt(message, &[key_of(cast().person("carol"))]).map(|_| ()),
        Content::Compressed(_) | Content::Other(_) => Ok(()),
    }
}

#[test]
fn a_message_cut_at_any_byte_is_an_error() {
    for (name, message) in samples() {
        assert!(read(&message).is_ok(), "{name}");
        for end in 0..message.len() {
            let error = read(&message[..end]).expect_err("a cut message is no message");
            assert!(matches!(error, Error::Asn1(_)), "{name} cut at {end}: {error}");
        }
    }
}

#[test]
fn a_message_changed_at_any_byte_is_read_without_panic() {
    for (_, message) in samples() {
        for at in 0..message.len() {
            for change in [0x01, 0x20, 0x80, 0xff] {
                let mut changed = message.clone();
                changed[at] ^= change;
                let _ = read(&changed);
            }
        }
    }
}

#[test]
fn authenticated_content_changed_at_any_byte_is_refused() {
    let carol = cast().person("carol");
    let content = b"this text stands in the message only as ciphertext".repeat(3);
    for cipher in [ContentCipher::Aes128Gcm, ContentCipher::ChaCha20Poly1305] {
        let message = encrypted(cipher, &KeyTransport::RsaPkcs1, &[carol], &content);
        for at in 0..message.len() {
            let mut changed = message.clone();
            changed[at] ^= 0x04;
            // what names the recipient and his key is not authenticated; the content must be the same or nothing
            if let Ok(plain) = decrypt(&changed, &[Key::Private { certificate: None, key: &carol.key }]) {
                assert!(plain == content, "{cipher:?} at {at}");
            }
        }
    }
}

#[test]
fn signed_content_changed_at_any_byte_is_not_good() {
    let carol = cast().person("carol");
    let message = opaque(&builder(carol, DigestAlgorithm::Sha256), CONTENT);
    for at in 0..message.len() {
        let mut changed = message.clone();
        changed[at] ^= 0x04;
        if let Ok((data, inside)) = read_signed(&changed, None)
            && is_good(&data)
        {
            assert_eq!(inside, CONTENT, "at {at}");
        }
    }
}

#[test]
fn noise_is_read_without_panic() {
    let mut random = Seeded::new(b"noise");
    let message = samples().remove(1).1;
    for _ in 0..2_000 {
        let mut numbers = [0; 12];
        random.fill(&mut numbers);
        let place = |a: u8, b: u8| usize::from(u16::from_be_bytes([a, b])) % message.len();
        let (from, to) = (place(numbers[0], numbers[1]), place(numbers[2], numbers[3]));
        let mut noisy = message.clone();
        noisy.splice(from.min(to)..from.max(to), numbers[4..].iter().copied());
        let _ = read(&noisy);
        let mut pure = vec![0; place(numbers[0], numbers[1])];
        random.fill(&mut pure);
        let _ = read(&pure);
    }
}

#[test]
fn bounds_are_kept() {
    let (alice, carol) = (cast().person("alice"), cast().person("carol"));
    let message = encrypted(ContentCipher::Aes128Cbc, &KeyTransport::RsaPkcs1, &[alice, carol, alice], CONTENT);
    let mut limits = Limits::default();
    limits.recipients = 2;
    assert!(matches!(cms::open(&message[..], &limits), Err(Error::Limit(limit)) if limit.name == "recipients"));
    limits.recipients = 3;
    limits.recipient_trials = 1;
    let Ok(Content::Enveloped(reader)) = cms::open(&message[..], &limits) else { panic!("three are allowed") };
    assert_eq!(reader.candidates(&[key_of(alice)]).len(), 1);

    let message = opaque(&builder(alice, DigestAlgorithm::Sha256).certificate(&carol.certificate), CONTENT);
    for (name, limits) in [
        ("certificates", limits_with(|limits| limits.certificates = 1)),
        ("signers", limits_with(|limits| limits.signers = 0)),
        ("attribute bytes", limits_with(|limits| limits.attribute_bytes = 10)),
        ("ber value bytes", limits_with(|limits| limits.ber_value_bytes = 100)),
        ("ber depth", limits_with(|limits| limits.ber_depth = 3)),
    ] {
        let error = match cms::open(&message[..], &limits) {
            Ok(Content::Signed(reader)) => reader.read(None, &mut std::io::sink()).unwrap_err(),
            Ok(_) => panic!("it is signed"),
            Err(error) => error,
        };
        assert!(matches!(&error, Error::Limit(limit) if limit.name == name), "{name}: {error}");
    }
}

fn limits_with(change: impl Fn(&mut Limits)) -> Limits {
    let mut limits = Limits::default();
    change(&mut limits);
    limits
}

#[test]
fn a_sink_that_fails_ends_the_reading() {
    struct Full;
    impl Write for Full {
        fn write(&mut self, _: &[u8]) -> std::io::Result<usize> {
            Err(std::io::Error::other("full"))
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }
    let carol = cast().person("carol");
    let message = opaque(&builder(carol, DigestAlgorithm::Sha256), CONTENT);
    let Ok(Content::Signed(reader)) = cms::open(&message[..], &Limits::default()) else { panic!("signed") };
    assert!(matches!(reader.read(None, &mut Full), Err(Error::Io(_))));
    let message = encrypted(ContentCipher::Aes128Gcm, &KeyTransport::RsaPkcs1, &[carol], CONTENT);
    let reader = read_enveloped(&message).unwrap();
    let candidate = reader.candidates(&[key_of(carol)])[0];
    let key = reader.content_key(candidate, &[key_of(carol)], &mut Seeded::new(b"")).unwrap();
    assert!(matches!(reader.decrypt(&key, &mut Full), Err(Error::Io(_))));
}
