//! OpenSSL reads what we write, and we read what it writes.

use sealpost::cms::{Key, Padding, SignedBuilder, SignerOptions};
use sealpost::crypto::algorithm::{ContentCipher, DigestAlgorithm, KeyTransport};
use sealpost::secret::Secret;

use super::cast::{Person, cast};
use super::own::{CONTENT, builder, detached, encrypted, key_of, opaque};
use super::{decrypt, is_good, read_enveloped, read_signed};
use crate::support;

/// What its version 3.0 knows of the cast: no Ed25519 and no X25519 in CMS.
const KNOWN: [&str; 4] = ["alice", "carol", "dave", "erin"];

fn openssl(args: &[&str], input: &[u8]) -> Vec<u8> {
    let (code, stdout, stderr) = support::run("openssl", args, input);
    assert_eq!(code, 0, "openssl {args:?}: {stderr}");
    stdout
}

fn sign(person: &Person, content: &[u8], more: &[&str]) -> Vec<u8> {
    let mut args = vec!["cms", "-sign", "-binary", "-outform", "DER"];
    args.extend(["-signer", &person.certificate_file, "-inkey", &person.key_file]);
    args.extend(more);
    openssl(&args, content)
}

#[test]
fn reads_what_openssl_signs() {
    if !support::peer("openssl") {
        return;
    }
    let mut read = 0;
    for name in KNOWN {
        for digest in ["sha1", "sha256", "sha384", "sha512"] {
            for form in [&[][..], &["-nodetach"], &["-nodetach", "-stream"], &["-nodetach", "-keyid"]] {
                let message = sign(cast().person(name), CONTENT, &[&["-md", digest], form].concat());
                let (data, inside) = read_signed(&message, form.is_empty().then_some(CONTENT)).unwrap();
                assert!(is_good(&data), "{name} {digest} {form:?}: {:?}", super::checks(&data, &[]));
                assert_eq!(data.has_content, !form.is_empty());
                assert!(form.is_empty() || inside == CONTENT);
                assert!(data.oddities.is_empty(), "{:?}", data.oddities);
                read += 1;
            }
        }
    }
    assert_eq!(read, 64);
}

#[test]
fn reads_every_form_of_signer_that_openssl_writes() {
    if !support::peer("openssl") {
        return;
    }
    let carol = cast().person("carol");
    let second = ["-signer", &carol.certificate_file, "-inkey", &carol.key_file];
    let pss = ["-keyopt", "rsa_padding_mode:pss"];
    let pss_sha384 = ["-md", "sha384", "-keyopt", "rsa_padding_mode:pss", "-keyopt", "rsa_pss_saltlen:digest"];
    for more in [&["-nosmimecap"][..], &["-noattr"], &["-cades"], &["-nocerts"], &pss, &pss_sha384, &second] {
        let message = sign(cast().person("alice"), CONTENT, more);
        let (data, _) = read_signed(&message, Some(CONTENT)).unwrap();
        let checks = super::checks(&data, &[&cast().person("alice").certificate]);
        assert!(checks.iter().all(|c| matches!(c, sealpost::cms::SignatureCheck::Valid(_))), "{more:?}: {checks:?}");
        let (data, _) = read_signed(&message, Some(b"other")).unwrap();
        assert!(!is_good(&data), "{more:?}");
    }
}

#[test]
fn openssl_verifies_what_is_signed_here() {
    if !support::peer("openssl") {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let content_file = dir.path().join("content");
    std::fs::write(&content_file, CONTENT).unwrap();
    let mut args = vec!["cms", "-verify", "-inform", "DER", "-binary", "-CAfile", &cast().authority.certificate_file];
    for name in KNOWN {
        for digest in [DigestAlgorithm::Sha256, DigestAlgorithm::Sha384, DigestAlgorithm::Sha512] {
            let builder = builder(cast().person(name), digest);
            assert_eq!(openssl(&args, &opaque(&builder, CONTENT)), CONTENT, "{name} {digest:?}");
            args.extend(["-content", content_file.to_str().unwrap()]);
            assert_eq!(openssl(&args, &detached(&builder, CONTENT)), CONTENT, "{name} {digest:?}");
            args.truncate(args.len() - 2);
        }
    }
    let (alice, carol) = (cast().person("alice"), cast().person("carol"));
    let pss = SignerOptions::for_key(&alice.key, DigestAlgorithm::Sha256, Padding::Pss).unwrap();
    let both = SignedBuilder::new(&alice.certificate, &alice.key, pss).signer(
        &carol.certificate,
        &carol.key,
        super::own::options(carol, DigestAlgorithm::Sha384),
    );
    assert_eq!(openssl(&args, &opaque(&both, CONTENT)), CONTENT);
    let large: Vec<u8> = (0..300_000_u32).map(|n| n.to_le_bytes()[1]).collect();
    assert!(openssl(&args, &opaque(&both, &large)) == large);
    assert_eq!(openssl(&args, &opaque(&both, b"")), b"");
}

#[test]
fn openssl_reads_our_bundle_of_certificates() {
    if !support::peer("openssl") {
        return;
    }
    let bundle =
        sealpost::cms::certificates_only(&[cast().authority.certificate.clone(), cast().person("alice").certificate.clone()]);
    let listed = openssl(&["pkcs7", "-inform", "DER", "-print_certs", "-noout"], &bundle);
    assert_eq!(String::from_utf8(listed).unwrap().matches("subject=").count(), 2);
}

#[test]
fn reads_what_openssl_encrypts() {
    if !support::peer("openssl") {
        return;
    }
    let long: Vec<u8> = (0..100_001_u32).map(|n| n.to_le_bytes()[0]).collect();
    let everybody = ["bob", "alice", "carol", "dave", "erin"];
    for cipher in ["-aes-128-cbc", "-aes-192-cbc", "-aes-256-cbc", "-des3", "-aes-128-gcm", "-aes-192-gcm", "-aes-256-gcm"] {
        for stream in [&[][..], &["-stream"], &["-keyid"]] {
            for names in [&["alice"][..], &["carol"], &["dave"], &["erin"], &everybody] {
                let mut args = vec!["cms", "-encrypt", "-binary", "-outform", "DER", cipher];
                args.extend(stream);
                args.extend(names.iter().map(|name| cast().person(name).certificate_file.as_str()));
                let message = openssl(&args, &long);
                for name in names {
                    let plain = decrypt(&message, &[key_of(cast().person(name))]);
                    assert!(plain.as_ref().is_ok_and(|plain| *plain == long), "{args:?} {name} {:?}", plain.err());
                }
                assert_eq!(read_enveloped(&message).unwrap().is_authenticated(), cipher.ends_with("gcm"));
            }
        }
    }
}

#[test]
fn reads_every_form_of_recipient_that_openssl_writes() {
    if !support::peer("openssl") {
        return;
    }
    let alice = cast().person("alice");
    let carol = cast().person("carol");
    let oaep = ["-keyopt", "rsa_padding_mode:oaep"];
    let oaep_sha256 = ["-keyopt", "rsa_padding_mode:oaep", "-keyopt", "rsa_oaep_md:sha256"];
    let oaep_mixed = ["-keyopt", "rsa_padding_mode:oaep", "-keyopt", "rsa_oaep_md:sha512", "-keyopt", "rsa_mgf1_md:sha1"];
    let oaep_label = ["-keyopt", "rsa_padding_mode:oaep", "-keyopt", "rsa_oaep_label:736561"];
    for (person, options) in [
        (alice, &oaep[..]),
        (alice, &oaep_sha256),
        (alice, &oaep_mixed),
        (alice, &oaep_label),
        (carol, &["-keyopt", "ecdh_kdf_md:sha384"]),
        (carol, &["-keyopt", "ecdh_cofactor_mode:1"]),
    ] {
        for cipher in ["-aes-128-cbc", "-aes-256-gcm"] {
            let mut args = vec!["cms", "-encrypt", "-binary", "-outform", "DER", cipher, "-recip", &person.certificate_file];
            args.extend(options);
            let message = openssl(&args, CONTENT);
            assert_eq!(decrypt(&message, &[key_of(person)]).unwrap(), CONTENT, "{args:?}");
        }
    }
    let password = Secret::new(b"correct horse".to_vec());
    let kek = Secret::new((0..32).collect::<Vec<u8>>());
    let kek_hex: String = kek.expose().iter().map(|byte| format!("{byte:02x}")).collect();
    for cipher in ["-aes-128-cbc", "-aes-256-cbc", "-aes-256-gcm"] {
        let head = ["cms", "-encrypt", "-binary", "-outform", "DER", cipher];
        // OpenSSL cannot wrap a password's key with GCM
        if cipher.ends_with("cbc") {
            let message = openssl(&[&head[..], &["-pwri_password", "correct horse"]].concat(), CONTENT);
            assert_eq!(decrypt(&message, &[Key::Password(&password)]).unwrap(), CONTENT, "{cipher}");
            let wrong = Secret::new(b"wrong".to_vec());
            assert!(matches!(decrypt(&message, &[Key::Password(&wrong)]), Err(sealpost::cms::Error::DecryptionFailed)));
        }
        let message = openssl(&[&head[..], &["-secretkey", &kek_hex, "-secretkeyid", "0102"]].concat(), CONTENT);
        assert_eq!(decrypt(&message, &[Key::Kek(&kek)]).unwrap(), CONTENT, "{cipher}");
    }
}

#[test]
fn openssl_decrypts_what_is_encrypted_here() {
    if !support::peer("openssl") {
        return;
    }
    let long: Vec<u8> = (0..100_001_u32).map(|n| n.to_le_bytes()[0]).collect();
    let everybody: Vec<&Person> = KNOWN.iter().map(|name| cast().person(name)).collect();
    let oaep = KeyTransport::oaep(DigestAlgorithm::Sha256);
    for cipher in [
        ContentCipher::Aes128Cbc,
        ContentCipher::Aes192Cbc,
        ContentCipher::Aes256Cbc,
        ContentCipher::Aes128Gcm,
        ContentCipher::Aes192Gcm,
        ContentCipher::Aes256Gcm,
    ] {
        for transport in [&KeyTransport::RsaPkcs1, &oaep] {
            for content in [&b""[..], CONTENT, &long] {
                let message = encrypted(cipher, transport, &everybody, content);
                for person in &everybody {
                    let args = ["-recip", &person.certificate_file, "-inkey", &person.key_file];
                    let plain = openssl(&[&["cms", "-decrypt", "-binary", "-inform", "DER"], &args[..]].concat(), &message);
                    assert!(plain == content, "{cipher:?} {transport:?} {} {}", person.name, content.len());
                }
            }
        }
    }
}
