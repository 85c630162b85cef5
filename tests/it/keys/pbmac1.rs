//! PKCS#12 files under PBMAC1 (RFC 9579) as OpenSSL 4 writes them.

use sealpost::keys::Error;

use super::{PASSPHRASES, PEOPLE, certificate_file, certs, key_file, load, person, same};
use crate::support;

#[test]
fn reads_the_pbmac1_that_openssl_writes() {
    let Some(openssl) = support::named_peer("SEALPOST_OPENSSL4") else { return };
    let mut read = 0;
    for (who, digest) in PEOPLE.iter().flat_map(|who| ["SHA256", "SHA384", "SHA512", "SHA1"].map(|digest| (who, digest))) {
        for passphrase in [PASSPHRASES[0], PASSPHRASES[2], ""] {
            let (key, certificate, chain) = (key_file(who), certificate_file(who), certs("issuing.pem"));
            let (pass, prf) = (format!("pass:{passphrase}"), format!("hmacWith{digest}"));
            let args = ["pkcs12", "-export", "-inkey", &key, "-in", &certificate, "-certfile", &chain, "-name", who];
            let more = ["-passout", &pass, "-pbmac1_pbkdf2", "-pbmac1_pbkdf2_md", digest, "-macalg", digest];
            let (code, file, talk) = support::run(&openssl, &[&args[..], &more].concat(), b"");
            assert_eq!(code, 0, "{prf}: {talk}");
            let identity = load(&file, passphrase).unwrap_or_else(|error| panic!("{who} {digest} {passphrase:?}: {error}"));
            assert!(same(&identity, &person(who)), "{who} {digest}");
            assert!(matches!(load(&file, "other"), Err(Error::WrongPassphrase)));
            read += 1;
        }
    }
    assert_eq!(read, 24);
}
