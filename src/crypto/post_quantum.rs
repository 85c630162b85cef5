//! Post-quantum signatures checked: ML-DSA (FIPS 204) and SLH-DSA (FIPS 205), both in their pure form.

use ml_dsa::{MlDsa44, MlDsa65, MlDsa87, MlDsaParams};
use slh_dsa::{
    ParameterSet, Sha2_128f, Sha2_128s, Sha2_192f, Sha2_192s, Sha2_256f, Sha2_256s, Shake128f, Shake128s, Shake192f, Shake192s,
    Shake256f, Shake256s,
};

use crate::crypto::Error;
use crate::crypto::algorithm::{MlDsa, SlhDsa};

/// What is signed: a message, in a context of at most 255 bytes, which the signature covers, too. In CMS and certificates there is none
/// (RFC 9882 3.2, RFC 9881 2).
#[derive(Clone, Copy)]
pub(in crate::crypto) struct Signed<'a> {
    pub(in crate::crypto) context: &'a [u8],
    pub(in crate::crypto) message: &'a [u8],
}

pub(in crate::crypto) fn verify_ml_dsa(set: MlDsa, key: &[u8], signed: Signed<'_>, signature: &[u8]) -> Result<(), Error> {
    let fits = match set {
        MlDsa::Set44 => ml_dsa_fits::<MlDsa44>(key, signed, signature),
        MlDsa::Set65 => ml_dsa_fits::<MlDsa65>(key, signed, signature),
        MlDsa::Set87 => ml_dsa_fits::<MlDsa87>(key, signed, signature),
    };
    if fits { Ok(()) } else { Err(Error::SignatureInvalid) }
}

pub(in crate::crypto) fn verify_slh_dsa(set: SlhDsa, key: &[u8], signed: Signed<'_>, signature: &[u8]) -> Result<(), Error> {
    let fits = match set {
        SlhDsa::Sha2_128s => slh_dsa_fits::<Sha2_128s>(key, signed, signature),
        SlhDsa::Sha2_128f => slh_dsa_fits::<Sha2_128f>(key, signed, signature),
        SlhDsa::Sha2_192s => slh_dsa_fits::<Sha2_192s>(key, signed, signature),
        SlhDsa::Sha2_192f => slh_dsa_fits::<Sha2_192f>(key, signed, signature),
        SlhDsa::Sha2_256s => slh_dsa_fits::<Sha2_256s>(key, signed, signature),
        SlhDsa::Sha2_256f => slh_dsa_fits::<Sha2_256f>(key, signed, signature),
        SlhDsa::Shake128s => slh_dsa_fits::<Shake128s>(key, signed, signature),
        SlhDsa::Shake128f => slh_dsa_fits::<Shake128f>(key, signed, signature),
        SlhDsa::Shake192s => slh_dsa_fits::<Shake192s>(key, signed, signature),
        SlhDsa::Shake192f => slh_dsa_fits::<Shake192f>(key, signed, signature),
        SlhDsa::Shake256s => slh_dsa_fits::<Shake256s>(key, signed, signature),
        SlhDsa::Shake256f => slh_dsa_fits::<Shake256f>(key, signed, signature),
    };
    if fits { Ok(()) } else { Err(Error::SignatureInvalid) }
}

/// The matrix of the key is made anew each time: that takes some tenths of a millisecond, and keeping it some 50 KiB a certificate.
fn ml_dsa_fits<P: MlDsaParams>(key: &[u8], signed: Signed<'_>, signature: &[u8]) -> bool {
    let Ok(key) = ml_dsa::EncodedVerifyingKey::<P>::try_from(key) else { return false };
    let Ok(signature) = ml_dsa::Signature::<P>::try_from(signature) else { return false };
    ml_dsa::VerifyingKey::<P>::decode(&key).verify_with_context(signed.message, signed.context, &signature)
}

fn slh_dsa_fits<P: ParameterSet>(key: &[u8], signed: Signed<'_>, signature: &[u8]) -> bool {
    let Ok(key) = slh_dsa::VerifyingKey::<P>::try_from(key) else { return false };
    let Ok(signature) = slh_dsa::Signature::<P>::try_from(signature) else { return false };
    key.try_verify_with_context(signed.message, signed.context, &signature).is_ok()
}
