//! GnuPG's gpgsm reads what we write, and we read what it writes (RSA; its version 2.2).

use std::path::Path;
use std::process::Command;

use sealpost::crypto::algorithm::{ContentCipher, DigestAlgorithm, KeyTransport};

use super::cast::{Cast, cast};
use super::own::{CONTENT, builder, detached, encrypted, key_of, opaque};
use super::{decrypt, is_good, read_signed};
use crate::support;

/// A private key ring with the authority, trusted, and alice.
struct Ring(tempfile::TempDir);

impl Ring {
    /// Its agent has five seconds to start, which a machine under load does not always grant: the ring is made again then.
    fn new(cast: &Cast) -> Self {
        let made = (0..3).map(|_| Self::make(cast)).find(Result::is_ok);
        made.unwrap_or_else(|| Self::make(cast)).unwrap_or_else(|error| panic!("no key ring: {error}"))
    }

    fn make(cast: &Cast) -> Result<Self, String> {
        let ring = Self(tempfile::tempdir().unwrap());
        let fingerprint = sealpost::crypto::digest::of(DigestAlgorithm::Sha1, cast.authority.certificate.der());
        let fingerprint: String = fingerprint.iter().map(|byte| format!("{byte:02X}")).collect();
        ring.write("trustlist.txt", format!("{fingerprint} S relax\n").as_bytes());
        let alice = cast.person("alice");
        let old = ["-keypbe", "PBE-SHA1-3DES", "-certpbe", "PBE-SHA1-3DES", "-macalg", "sha1", "-passout", "pass:"];
        let files = ["-inkey", &alice.key_file, "-in", &alice.certificate_file];
        let (code, bundle, error) = support::run("openssl", &[&["pkcs12", "-export"], &files[..], &old].concat(), b"");
        assert_eq!(code, 0, "{error}");
        let bundle = ring.write("alice.p12", &bundle);
        ring.try_gpgsm(&["--import", &cast.authority.certificate_file])?;
        ring.try_gpgsm(&["--import", &bundle])?;
        Ok(ring)
    }

    fn write(&self, name: &str, bytes: &[u8]) -> String {
        let path = self.0.path().join(name);
        std::fs::write(&path, bytes).unwrap();
        path.to_str().unwrap().to_owned()
    }

    fn try_gpgsm(&self, args: &[&str]) -> Result<Vec<u8>, String> {
        let always = ["--batch", "--no-tty", "--pinentry-mode", "loopback", "--passphrase-fd", "0", "--disable-crl-checks"];
        let home = ["--homedir", self.0.path().to_str().unwrap()];
        let (code, stdout, stderr) = support::run("gpgsm", &[&home[..], &always, args].concat(), b"\n");
        if code == 0 { Ok(stdout) } else { Err(stderr) }
    }

    fn gpgsm(&self, args: &[&str]) -> Vec<u8> {
        self.try_gpgsm(args).unwrap_or_else(|error| panic!("gpgsm {args:?}: {error}"))
    }
}

impl Drop for Ring {
    fn drop(&mut self) {
        let home: &Path = self.0.path();
        let _ = Command::new("gpgconf").arg("--homedir").arg(home).args(["--kill", "all"]).output();
    }
}

#[test]
fn gpgsm_signs_and_verifies_encrypts_and_decrypts() {
    if !(support::peer("gpgsm") && support::peer("gpgconf") && support::peer("openssl")) {
        return;
    }
    let ring = Ring::new(cast());
    let alice = cast().person("alice");
    let content = ring.write("content", CONTENT);
    let user = format!("<{}>", alice.address);

    for digest in ["sha256", "sha512"] {
        let message = ring.gpgsm(&["--digest-algo", digest, "-u", &user, "--sign", &content]);
        let (data, inside) = read_signed(&message, None).unwrap();
        assert!(is_good(&data), "{:?}", super::checks(&data, &[]));
        assert_eq!(inside, CONTENT);
        let message = ring.gpgsm(&["--digest-algo", digest, "-u", &user, "--detach-sign", &content]);
        let (data, _) = read_signed(&message, Some(CONTENT)).unwrap();
        assert!(is_good(&data), "{:?}", super::checks(&data, &[]));
    }
    for cipher in ["AES128", "AES256", "3DES"] {
        let message = ring.gpgsm(&["--cipher-algo", cipher, "-r", &user, "--encrypt", &content]);
        assert_eq!(decrypt(&message, &[key_of(alice)]).unwrap(), CONTENT);
    }

    for digest in [DigestAlgorithm::Sha256, DigestAlgorithm::Sha384, DigestAlgorithm::Sha512] {
        let builder = builder(alice, digest).certificate(&cast().authority.certificate);
        let inside = ring.write("opaque", &opaque(&builder, CONTENT));
        assert_eq!(ring.gpgsm(&["--output", "-", "--verify", &inside]), CONTENT);
        let beside = ring.write("detached", &detached(&builder, CONTENT));
        ring.gpgsm(&["--verify", &beside, &content]);
        let other = ring.write("other", b"other");
        assert!(ring.try_gpgsm(&["--verify", &beside, &other]).is_err());
    }
    for cipher in [ContentCipher::Aes128Cbc, ContentCipher::Aes256Cbc] {
        let people = [cast().person("carol"), cast().person("bob"), alice];
        let message = ring.write("encrypted", &encrypted(cipher, &KeyTransport::RsaPkcs1, &people[1..], CONTENT));
        assert_eq!(ring.gpgsm(&["--decrypt", &message]), CONTENT);
    }
}
