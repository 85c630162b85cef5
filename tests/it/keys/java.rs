//! Java's `keytool` reads what we write, and we read what it writes.

use sealpost::crypto::algorithm::KeyAlgorithm;
use sealpost::crypto::random::OsRandom;
use sealpost::keys::{Error, pkcs12};

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
