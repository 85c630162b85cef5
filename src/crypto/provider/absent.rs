//! What stands in where AWS-LC is not built in: it has no primitive at all.

use crate::crypto::Error;
use crate::crypto::algorithm::{DigestAlgorithm, SignatureAlgorithm};
use crate::crypto::cipher::{Blocks, Counter, Keystream};
use crate::crypto::key::{PrivateKey, PublicKey};
use crate::crypto::signature::Input;
use crate::secret::Secret;

#[derive(Default)]
pub(in crate::crypto) struct FastKey(());

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
    _digest: DigestAlgorithm,
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
