//! What stands in where AWS-LC is not built in: it has no primitive at all.

use crate::asn1::Oid;
use crate::crypto::Error;
use crate::crypto::algorithm::{DigestAlgorithm, KeyTransport, SignatureAlgorithm};
use crate::crypto::cipher::{Blocks, Counter, Keystream};
use crate::crypto::key::{PrivateKey, PublicKey};
use crate::crypto::signature::Input;
use crate::secret::Secret;

#[derive(Default)]
pub(in crate::crypto) struct FastKey(());

/// A digest that cannot be made.
pub(in crate::crypto) enum FastDigest {}

impl FastDigest {
    pub(in crate::crypto) fn new(_algorithm: DigestAlgorithm) -> Option<Self> {
        None
    }

    pub(in crate::crypto) fn update(&mut self, _bytes: &[u8]) {
        match *self {}
    }

    pub(in crate::crypto) fn finish(self) -> Vec<u8> {
        match self {}
    }
}

pub(in crate::crypto) fn generate_rsa(_bits: usize) -> Option<Secret<Vec<u8>>> {
    None
}

pub(in crate::crypto) fn pbkdf2(_digest: DigestAlgorithm, _password: &[u8], _salt: &[u8], _rounds: u32, _out: &mut [u8]) -> bool {
    false
}

pub(in crate::crypto) fn sign(key: &PrivateKey, _algorithm: SignatureAlgorithm, _input: Input<'_>) -> Option<Vec<u8>> {
    let FastKey(()) = key.fast();
    None
}

pub(in crate::crypto) fn verify(
    _key: &PublicKey,
    _algorithm: SignatureAlgorithm,
    _input: Input<'_>,
    _signature: &[u8],
) -> Option<bool> {
    None
}

pub(in crate::crypto) fn shared_secret(_own: &PrivateKey, _theirs: &PublicKey) -> Option<Secret<Vec<u8>>> {
    None
}

pub(in crate::crypto) fn decrypt_pkcs1(_with: &PrivateKey, _encrypted: &[u8]) -> Option<Secret<Vec<u8>>> {
    None
}

pub(in crate::crypto) fn decrypt_oaep(
    _with: &PrivateKey,
    _digests: (DigestAlgorithm, DigestAlgorithm),
    _label: &[u8],
    _encrypted: &[u8],
) -> Option<Result<Secret<Vec<u8>>, Error>> {
    None
}

pub(in crate::crypto) fn cbc_encrypt(_key: &[u8], _iv: &[u8]) -> Option<Box<dyn Blocks>> {
    None
}

pub(in crate::crypto) fn cbc_decrypt(_key: &[u8], _iv: &[u8]) -> Option<Box<dyn Blocks>> {
    None
}

pub(in crate::crypto) fn keystream(_key: &[u8], _width: Counter) -> Option<Box<dyn Keystream>> {
    None
}

pub(in crate::crypto) fn encrypt(_to: &PublicKey, _transport: &KeyTransport, _key: &[u8]) -> Option<Vec<u8>> {
    None
}

pub(in crate::crypto) fn ec_point(_curve: &Oid, _scalar: &[u8]) -> Option<Vec<u8>> {
    None
}
