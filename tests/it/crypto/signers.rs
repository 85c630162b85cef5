//! Signatures of OpenSSL in the forms that few programs make.

use sealpost::asn1::{encode, oid};
use sealpost::crypto::Error;
use sealpost::crypto::algorithm::{AlgorithmIdentifier, DigestAlgorithm, SignatureAlgorithm};
use sealpost::crypto::digest;
use sealpost::crypto::key::PublicKey;
use sealpost::crypto::signature::Input;
use tempfile::TempDir;

use super::PROVIDERS;
use super::peers::{generated, openssl};
use crate::support;

use DigestAlgorithm as D;

const MESSAGE: &[u8] = b"signed in a way that few do";

/// A private key of OpenSSL in a file.
struct Signer {
    folder: TempDir,
    public: PublicKey,
}

impl Signer {
    fn new(kind: &str, options: &[&str]) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let pem = generated(kind, options);
        std::fs::write(folder.path().join("key"), &pem).expect("writes");
        let public = PublicKey::from_spki(&openssl(&["pkey", "-pubout", "-outform", "DER"], &pem)).expect("a key");
        Self { folder, public }
    }

    fn file(&self, name: &str) -> String {
        self.folder.path().join(name).to_str().expect("a name").to_owned()
    }

    /// What `openssl pkeyutl -sign` makes of these bytes.
    fn sign(&self, input: &[u8], options: &[&str]) -> Vec<u8> {
        std::fs::write(self.file("input"), input).expect("writes");
        let (key, input) = (self.file("key"), self.file("input"));
        openssl(&[&["pkeyutl", "-sign", "-inkey", &key, "-in", &input][..], options].concat(), &[])
    }

    /// The bare private operation; `pkeyutl` has it as a decryption.
    fn raw(&self, encoded: &[u8]) -> Vec<u8> {
        let key = self.file("key");
        openssl(&["pkeyutl", "-decrypt", "-inkey", &key, "-pkeyopt", "rsa_padding_mode:none"], encoded)
    }

    /// Holds that both providers take the signature over the message, and over no other.
    fn fits(&self, algorithm: SignatureAlgorithm, signature: &[u8]) {
        for provider in PROVIDERS {
            let check = |message: &[u8]| provider.verify(&self.public, algorithm, Input::Message(message), signature);
            check(MESSAGE).unwrap_or_else(|error| panic!("{algorithm:?} {provider:?}: {error}"));
            assert!(matches!(check(b"other"), Err(Error::SignatureInvalid)), "{algorithm:?} {provider:?}");
            let cut = provider.verify(&self.public, algorithm, Input::Message(MESSAGE), &signature[1..]);
            assert!(matches!(cut, Err(Error::SignatureInvalid)), "{algorithm:?} {provider:?}");
        }
    }
}

#[test]
fn pss_with_any_pair_of_digests_and_any_salt_is_checked() {
    if !support::peer("openssl") {
        return;
    }
    // of 2041 bits: the encoded message is a byte shorter than the modulus
    for bits in ["2048", "2047", "2041", "1024"] {
        let signer = Signer::new("RSA", &["-pkeyopt", &format!("rsa_keygen_bits:{bits}")]);
        for (digest, mgf_digest, salt_len) in [
            (D::Sha256, D::Sha256, 32),
            (D::Sha256, D::Sha1, 20),
            (D::Sha1, D::Sha512, 0),
            (D::Sha512, D::Sha256, 32),
            (D::Sha384, D::Sha384, 40),
            (D::Sha256, D::Sha3_224, 32),
            (D::Sha3_224, D::Sha3_224, 28),
            (D::Sha3_256, D::Sha256, 32),
            (D::Sha512_256, D::Sha512_256, 32),
        ] {
            let (digest_name, mgf_name) = (format!("-{}", digest.name()), format!("rsa_mgf1_md:{}", mgf_digest.name()));
            let salt = format!("rsa_pss_saltlen:{salt_len}");
            let options = ["-sigopt", "rsa_padding_mode:pss", "-sigopt", &mgf_name, "-sigopt", &salt];
            let key = signer.file("key");
            let signature = openssl(&[&["dgst", &digest_name, "-sign", &key][..], &options].concat(), MESSAGE);
            let algorithm = SignatureAlgorithm::RsaPss { digest, mgf_digest, salt_len };
            let read = SignatureAlgorithm::from_identifier(&algorithm.identifier(), None).expect("what was written is read");
            assert_eq!(read, algorithm);
            signer.fits(read, &signature);
            // the parameters are part of what is checked
            let other = SignatureAlgorithm::RsaPss { digest, mgf_digest, salt_len: salt_len + 1 };
            for provider in PROVIDERS {
                let refused = provider.verify(&signer.public, other, Input::Message(MESSAGE), &signature);
                assert!(matches!(refused, Err(Error::SignatureInvalid)));
            }
        }
    }
}

#[test]
fn pkcs1_signatures_with_every_digest_are_checked() {
    if !support::peer("openssl") {
        return;
    }
    let signer = Signer::new("RSA", &["-pkeyopt", "rsa_keygen_bits:2048"]);
    for digest in [D::Sha1, D::Sha224, D::Sha512_256, D::Sha3_224, D::Sha3_256, D::Sha3_384, D::Sha3_512] {
        let key = signer.file("key");
        let signature = openssl(&["dgst", &format!("-{}", digest.name()), "-sign", &key], MESSAGE);
        let algorithm = SignatureAlgorithm::RsaPkcs1(digest);
        assert_eq!(SignatureAlgorithm::from_identifier(&algorithm.identifier(), None).expect("read"), algorithm);
        signer.fits(algorithm, &signature);
    }
}

#[test]
fn ecdsa_on_every_curve_with_every_digest_is_checked() {
    if !support::peer("openssl") {
        return;
    }
    for curve in ["P-256", "P-384", "P-521", "brainpoolP256r1", "brainpoolP384r1"] {
        let signer = Signer::new("EC", &["-pkeyopt", &format!("ec_paramgen_curve:{curve}")]);
        for digest in [
            D::Sha1,
            D::Sha224,
            D::Sha256,
            D::Sha384,
            D::Sha512,
            D::Sha3_224,
            D::Sha3_256,
            D::Sha3_384,
            D::Sha3_512,
            D::Shake128,
            D::Shake256,
        ] {
            let algorithm = SignatureAlgorithm::Ecdsa(digest);
            assert_eq!(SignatureAlgorithm::from_identifier(&algorithm.identifier(), None).expect("read"), algorithm);
            signer.fits(algorithm, &signer.sign(&digest::of(digest, MESSAGE), &[]));
        }
    }
}

#[test]
fn ed448_signs_messages() {
    if !support::peer("openssl") {
        return;
    }
    let signer = Signer::new("ED448", &[]);
    signer.fits(SignatureAlgorithm::Ed448, &signer.sign(MESSAGE, &["-rawin"]));
}

/// RFC 8702 3.2.1: SHAKE is digest and mask. The encoded message is put together here, with the digests of OpenSSL.
#[test]
fn pss_with_shake_is_checked() {
    if !support::peer("openssl") {
        return;
    }
    let signer = Signer::new("RSA", &["-pkeyopt", "rsa_keygen_bits:2048"]);
    for (name, len, identifier) in [("-shake128", 32, oid::RSA_PSS_SHAKE128), ("-shake256", 64, oid::RSA_PSS_SHAKE256)] {
        let shake = |bytes: &[u8], len: usize| openssl(&["dgst", "-binary", name, "-xoflen", &len.to_string()], bytes);
        let salt = vec![7; len];
        let hash = shake(&[&[0; 8], shake(MESSAGE, len).as_slice(), &salt].concat(), len);
        let db = [vec![0; 256 - 2 * len - 2], vec![1], salt].concat();
        let mut encoded: Vec<u8> = db.iter().zip(shake(&hash, db.len())).map(|(byte, mask)| byte ^ mask).collect();
        encoded[0] &= 0x7f;
        encoded.extend([hash, vec![0xbc]].concat());
        let signature = signer.raw(&encoded);
        let identifier = AlgorithmIdentifier::bare(identifier);
        let algorithm = SignatureAlgorithm::from_identifier(&identifier, None).expect("known");
        assert_eq!(algorithm.identifier(), identifier);
        signer.fits(algorithm, &signature);
    }
    // RFC 8702 gives no parameters to name it by
    let parameters = encode::sequence(&[encode::explicit(0, &D::Shake128.identifier().to_der())]);
    let refused = SignatureAlgorithm::from_identifier(&AlgorithmIdentifier::with(oid::RSA_PSS, parameters), None);
    assert_eq!(refused.expect_err("refused").to_string(), "unsupported PSS digest – SHAKE as a parameter");
}
