//! Java's `keytool` reads what we write, and we read what it writes.

use sealpost::crypto::algorithm::KeyAlgorithm;
use sealpost::crypto::random::OsRandom;
use sealpost::keys::{Error, pkcs12};
use sealpost::limits::Limits;

use super::{PEOPLE, load, person, secret};
use crate::support;

/// Only ASCII: `keytool` decodes its arguments by the locale.
const PASSPHRASE: &str = "correct horse";

fn keytool(args: &[&str]) -> String {
    let common = ["-J-Duser.language=en", "-storetype", "PKCS12", "-storepass", PASSPHRASE];
    let (verb, rest) = args.split_first().expect("a verb");
    let (code, stdout, stderr) = support::run("keytool", &[&[*verb], &common[..], rest].concat(), b"");
    assert_eq!(code, 0, "keytool {args:?}: {stderr}{}", String::from_utf8_lossy(&stdout));
    String::from_utf8_lossy(&stdout).into_owned()
}

#[test]
fn keytool_lists_the_key_that_we_write() {
    if !support::peer("keytool") {
        return;
    }
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("ours").display().to_string();
    for who in PEOPLE {
        let identity = person(who);
        std::fs::write(&path, pkcs12::write(&identity, &secret(PASSPHRASE), who, &mut OsRandom).expect("written"))
            .expect("written");
        let listed = keytool(&["-list", "-v", "-keystore", &path]);
        assert!(listed.contains("PrivateKeyEntry") && listed.contains("Certificate chain length: 2"), "{listed}");
        let fingerprint: String = listed.replace(':', "").to_ascii_lowercase();
        assert!(fingerprint.contains(&identity.certificate().fingerprint_hex()), "{listed}");
    }
}

#[test]
fn reads_the_pkcs12_that_keytool_writes() {
    if !support::peer("keytool") {
        return;
    }
    let folder = tempfile::tempdir().expect("a folder");
    for (number, (kind, algorithm)) in
        [(&["RSA", "-keysize", "2048"][..], KeyAlgorithm::Rsa(2048)), (&["EC", "-groupname", "secp256r1"], KeyAlgorithm::P256)]
            .into_iter()
            .enumerate()
    {
        let path = folder.path().join(number.to_string()).display().to_string();
        let more = ["-alias", "jane", "-dname", "CN=Jane", "-ext", "san=email:jane@a.example", "-keystore", &path];
        keytool(&[&["-genkeypair", "-keyalg"], kind, &more].concat());
        let file = std::fs::read(&path).expect("written");
        let identity = load(&file, PASSPHRASE).expect("read");
        assert_eq!(identity.private_key().algorithm(), algorithm);
        assert_eq!(identity.addresses(), ["jane@a.example"]);
        assert!(matches!(load(&file, "other"), Err(Error::WrongPassphrase)));
    }
}

#[test]
fn reads_the_ber_that_bouncy_castle_writes() {
    let jar = "/usr/share/java/bcprov.jar";
    if !support::peer("keytool") {
        return;
    }
    if !std::path::Path::new(jar).exists() {
        support::skip("Bouncy Castle is not installed");
        return;
    }
    let folder = tempfile::tempdir().expect("a folder");
    for kind in ["BCPKCS12", "PKCS12-3DES-3DES"] {
        let path = folder.path().join(kind).display().to_string();
        let provider = ["-providerpath", jar, "-provider", "org.bouncycastle.jce.provider.BouncyCastleProvider"];
        let store = ["-storetype", kind, "-storepass", PASSPHRASE, "-keypass", PASSPHRASE, "-keystore", &path];
        let key = ["-genkeypair", "-keyalg", "EC", "-groupname", "secp256r1", "-alias", "jane", "-dname", "CN=Jane"];
        let (code, _, talk) = support::run("keytool", &[&key[..], &store, &provider].concat(), b"");
        assert_eq!(code, 0, "{talk}");
        let file = std::fs::read(&path).expect("written");
        assert_eq!(file[..2], [0x30, 0x80], "of indefinite length");
        assert_eq!(load(&file, PASSPHRASE).expect("read").private_key().algorithm(), KeyAlgorithm::P256);
        let content = pkcs12::read(&file, Some(&secret(PASSPHRASE)), &Limits::default()).expect("read");
        assert_eq!(content.keys[0].name.as_deref(), Some("jane"));
        assert!(matches!(load(&file, "other"), Err(Error::WrongPassphrase)));
    }
}
