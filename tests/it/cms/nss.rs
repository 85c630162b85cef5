//! NSS's cmsutil reads what we write, and we read what it writes.

use sealpost::crypto::algorithm::{ContentCipher, DigestAlgorithm, KeyTransport};

use super::cast::cast;
use super::own::{CONTENT, builder, detached, encrypted, key_of, opaque};
use super::{decrypt, is_good, read_signed};
use crate::support;

fn run(program: &str, args: &[&str]) -> Vec<u8> {
    let (code, stdout, stderr) = support::run(program, args, b"");
    assert_eq!(code, 0, "{program} {args:?}: {stderr}{}", String::from_utf8_lossy(&stdout));
    stdout
}

#[test]
fn cmsutil_signs_and_verifies_encrypts_and_decrypts() {
    if !["cmsutil", "certutil", "pk12util", "openssl"].into_iter().all(support::peer) {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let file = |name: &str| dir.path().join(name).to_str().unwrap().to_owned();
    let write = |name: &str, bytes: &[u8]| {
        std::fs::write(file(name), bytes).unwrap();
        file(name)
    };
    let database = format!("sql:{}", dir.path().to_str().unwrap());
    run("certutil", &["-N", "-d", &database, "--empty-password"]);
    run("certutil", &["-A", "-d", &database, "-n", "authority", "-t", ",C,", "-a", "-i", &cast().authority.certificate_file]);
    for name in ["alice", "carol"] {
        let person = cast().person(name);
        let (bundle, to) = (file(&format!("{name}.p12")), ["-passout", "pass:", "-name", name]);
        let from = ["-inkey", &person.key_file, "-in", &person.certificate_file, "-out", &bundle];
        run("openssl", &[&["pkcs12", "-export"], &from[..], &to].concat());
        run("pk12util", &["-i", &bundle, "-d", &database, "-W", ""]);
    }
    let content = write("content", CONTENT);
    for name in ["alice", "carol"] {
        let person = cast().person(name);
        let out = file("out");
        for digest in ["SHA256", "SHA384", "SHA512"] {
            run("cmsutil", &["-S", "-d", &database, "-N", name, "-H", digest, "-G", "-i", &content, "-o", &out]);
            let (data, inside) = read_signed(&std::fs::read(&out).unwrap(), None).unwrap();
            assert!(is_good(&data) && inside == CONTENT, "{name} {digest}: {:?}", super::checks(&data, &[]));
            run("cmsutil", &["-S", "-T", "-d", &database, "-N", name, "-H", digest, "-G", "-i", &content, "-o", &out]);
            let (data, _) = read_signed(&std::fs::read(&out).unwrap(), Some(CONTENT)).unwrap();
            assert!(is_good(&data), "{name} {digest}: {:?}", super::checks(&data, &[]));
        }
        let builder = builder(person, DigestAlgorithm::Sha256);
        let message = write("message", &opaque(&builder, CONTENT));
        assert_eq!(run("cmsutil", &["-D", "-d", &database, "-i", &message]), CONTENT);
        let message = write("message", &detached(&builder, CONTENT));
        run("cmsutil", &["-D", "-d", &database, "-c", &content, "-i", &message]);
        // this cmsutil (NSS 3.87) knows no key agreement: it reads OpenSSL's no more than ours
        if !person.key.algorithm().is_rsa() {
            continue;
        }
        run("cmsutil", &["-E", "-d", &database, "-r", &person.address, "-i", &content, "-o", &out]);
        assert_eq!(decrypt(&std::fs::read(&out).unwrap(), &[key_of(person)]).unwrap(), CONTENT);
        for cipher in [ContentCipher::Aes128Cbc, ContentCipher::Aes256Cbc] {
            let message = write("message", &encrypted(cipher, &KeyTransport::RsaPkcs1, &[person], CONTENT));
            assert_eq!(run("cmsutil", &["-D", "-d", &database, "-i", &message]), CONTENT, "{name} {cipher:?}");
        }
    }
}
