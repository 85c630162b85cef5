//! RSASSA-PSS, the checking half (RFC 8017 8.1.2), for every pair of digest and mask (RFC 4055, RFC 8702).
//!
//! All of it is about public values, so nothing here takes care of time.

use rsa::BoxedUint;
use rsa::hazmat::rsa_encrypt;
use rsa::traits::PublicKeyParts;

use crate::crypto::Error;
use crate::crypto::algorithm::DigestAlgorithm;
use crate::crypto::digest::{self, Digest};

/// Checks a signature over a digest.
pub(in crate::crypto) fn verify(
    key: &rsa::RsaPublicKey,
    (digest, mgf_digest, salt_len): (DigestAlgorithm, DigestAlgorithm, usize),
    hashed: &[u8],
    signature: &[u8],
) -> Result<(), Error> {
    let encoded = recovered(key, signature).ok_or(Error::SignatureInvalid)?;
    let bits = key.n().as_ref().bit_width().saturating_sub(1);
    if fits(&encoded, bits, (digest, mgf_digest, salt_len), hashed) { Ok(()) } else { Err(Error::SignatureInvalid) }
}

/// The encoded message that was signed (RSAVP1, I2OSP); `None` where the signature is not of the key's length or not below its modulus.
fn recovered(key: &rsa::RsaPublicKey, signature: &[u8]) -> Option<Vec<u8>> {
    if signature.len() != key.size() {
        return None;
    }
    let number = BoxedUint::from_be_slice(signature, key.n().as_ref().bits_precision()).ok()?;
    if number >= *key.n().as_ref() {
        return None;
    }
    let bytes = rsa_encrypt(key, &number).ok()?.to_be_bytes();
    // one byte less than the modulus where that has a bit more than whole bytes
    let len = usize::try_from(key.n().as_ref().bit_width().saturating_sub(1).div_ceil(8)).ok()?;
    let above = bytes.len().checked_sub(len)?;
    let (zeros, encoded) = bytes.split_at_checked(above)?;
    zeros.iter().all(|byte| *byte == 0).then(|| encoded.to_vec())
}

/// EMSA-PSS-VERIFY (RFC 8017 9.1.2): `maskedDB ‖ H ‖ bc`, and DB is zeros, 01 and the salt.
fn fits(
    encoded: &[u8],
    bits: u32,
    (digest, mgf_digest, salt_len): (DigestAlgorithm, DigestAlgorithm, usize),
    hashed: &[u8],
) -> bool {
    let Some((0xbc, rest)) = encoded.split_last() else { return false };
    let Some(db_len) = rest.len().checked_sub(digest.output_len()) else { return false };
    let (masked, hash) = rest.split_at(db_len);
    let unused = usize::try_from(bits).map_or(0, |bits| encoded.len().saturating_mul(8).saturating_sub(bits));
    let top: u8 = 0xff_u8.checked_shr(u32::try_from(unused).unwrap_or(8)).unwrap_or(0);
    let mut db: Vec<u8> = masked.iter().zip(mask(mgf_digest, hash, db_len)).map(|(byte, mask)| byte ^ mask).collect();
    let Some(first) = db.first_mut() else { return false };
    if masked.first().is_none_or(|byte| byte & !top != 0) {
        return false;
    }
    *first &= top;
    let Some(zeros_len) = db_len.checked_sub(salt_len.saturating_add(1)) else { return false };
    let (zeros, rest) = db.split_at(zeros_len);
    let Some((1, salt)) = rest.split_first() else { return false };
    let mut again = Digest::new(digest);
    again.update(&[0; 8]);
    again.update(hashed);
    again.update(salt);
    zeros.iter().all(|byte| *byte == 0) && again.finish() == hash
}

/// MGF1 (RFC 8017 B.2.1); SHAKE gives as much as is asked for and is the mask itself (RFC 8702 3.2.1).
pub(in crate::crypto) fn mask(digest: DigestAlgorithm, seed: &[u8], len: usize) -> Vec<u8> {
    if matches!(digest, DigestAlgorithm::Shake128 | DigestAlgorithm::Shake256) {
        return digest::extended(digest, seed, len);
    }
    let mut mask = Vec::with_capacity(len.saturating_add(digest.output_len()));
    for counter in 0_u32.. {
        if mask.len() >= len {
            break;
        }
        let mut block = Digest::new(digest);
        block.update(seed);
        block.update(&counter.to_be_bytes());
        mask.extend(block.finish());
    }
    mask.truncate(len);
    mask
}
