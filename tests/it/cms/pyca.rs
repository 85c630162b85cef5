//! We read what Python's `cryptography` writes. (It reads DER only, so nothing that is streamed.)

use super::cast::cast;
use super::own::{CONTENT, key_of};
use super::{decrypt, is_good, read_signed};
use crate::support;

fn python(script: &str, args: &[&str]) -> Option<Vec<u8>> {
    let (code, stdout, stderr) = support::run("python3", &[&["-c", script], args].concat(), CONTENT);
    if stderr.contains("ModuleNotFoundError") || stderr.contains("ImportError") {
        support::skip("Python's cryptography is not installed");
        return None;
    }
    assert_eq!(code, 0, "{stderr}");
    Some(stdout)
}

#[test]
fn reads_what_pyca_signs() {
    const SIGN: &str = "
import sys
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.serialization import pkcs7
certificate = x509.load_pem_x509_certificate(open(sys.argv[1], 'rb').read())
key = serialization.load_pem_private_key(open(sys.argv[2], 'rb').read(), None)
builder = pkcs7.PKCS7SignatureBuilder().set_data(sys.stdin.buffer.read())
builder = builder.add_signer(certificate, key, getattr(hashes, sys.argv[3])())
options = [pkcs7.PKCS7Options.Binary] + [getattr(pkcs7.PKCS7Options, name) for name in sys.argv[4:]]
sys.stdout.buffer.write(builder.sign(serialization.Encoding.DER, options))
";
    if !support::peer("python3") {
        return;
    }
    for name in ["alice", "carol", "dave", "erin"] {
        let person = cast().person(name);
        for digest in ["SHA256", "SHA384", "SHA512"] {
            for form in [&[][..], &["DetachedSignature"], &["NoAttributes"], &["NoCapabilities"]] {
                let args = [&[person.certificate_file.as_str(), &person.key_file, digest], form].concat();
                let Some(message) = python(SIGN, &args) else { return };
                let (data, _) = read_signed(&message, (form == ["DetachedSignature"]).then_some(CONTENT)).unwrap();
                assert!(is_good(&data), "{name} {digest} {form:?}: {:?}", super::checks(&data, &[]));
            }
        }
    }
}

#[test]
fn reads_what_pyca_encrypts() {
    const ENCRYPT: &str = "
import sys
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.ciphers import algorithms
from cryptography.hazmat.primitives.serialization import pkcs7
certificate = x509.load_pem_x509_certificate(open(sys.argv[1], 'rb').read())
builder = pkcs7.PKCS7EnvelopeBuilder().set_data(sys.stdin.buffer.read()).add_recipient(certificate)
builder = builder.set_content_encryption_algorithm(getattr(algorithms, sys.argv[2]))
sys.stdout.buffer.write(builder.encrypt(serialization.Encoding.DER, [pkcs7.PKCS7Options.Binary]))
";
    if !support::peer("python3") {
        return;
    }
    let alice = cast().person("alice");
    for cipher in ["AES128", "AES256"] {
        let Some(message) = python(ENCRYPT, &[&alice.certificate_file, cipher]) else { return };
        assert_eq!(decrypt(&message, &[key_of(alice)]).unwrap(), CONTENT, "{cipher}");
    }
}
