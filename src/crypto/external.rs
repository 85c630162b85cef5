//! What is done with a key that lies elsewhere: encodings before it is asked, checks after it answered.

use subtle::{Choice, ConditionallySelectable, ConstantTimeEq};

use crate::asn1::encode;
use crate::crypto::algorithm::{AlgorithmIdentifier, DigestAlgorithm, KeyAlgorithm, KeyTransport, SignatureAlgorithm};
use crate::crypto::key::{External, Oaep, PublicKey, ToSign, Why};
use crate::crypto::random::Random;
use crate::crypto::signature::{self, Input};
use crate::crypto::{Error, digest, pss, transport};
use crate::secret::Secret;

/// Signs, and checks what came back: a token whose key is another than the certificate's, or that failed while it computed (which can give
/// an RSA key away), must not send mail out.
pub(in crate::crypto) fn sign(key: &External, algorithm: SignatureAlgorithm, input: Input<'_>) -> Result<Vec<u8>, Error> {
    let (key, public) = (key.key(), key.key().public_key());
    let mismatch = || Error::KeyMismatch { what: "the signature algorithm does not go with the key" };
    let signed = match (public.algorithm(), algorithm) {
        (KeyAlgorithm::Rsa(_), SignatureAlgorithm::RsaPkcs1(digest)) => {
            key.sign(ToSign::Pkcs1(&digest_info(digest, &input.hashed(digest)?)))?
        }
        (KeyAlgorithm::Rsa(_), SignatureAlgorithm::RsaPss { digest, mgf_digest, salt_len }) => {
            key.sign(ToSign::Pss { digest, mgf_digest, salt_len, hashed: &input.hashed(digest)? })?
        }
        (curve, SignatureAlgorithm::Ecdsa(digest)) => {
            let len = field_len(curve).ok_or_else(mismatch)?;
            let hashed = input.hashed(digest)?;
            // FIPS 186-5 6.4.1: its leftmost bits; some tokens refuse more than they need
            let raw = key.sign(ToSign::Ecdsa(hashed.get(..len).unwrap_or(&hashed)))?;
            let (r, s) = raw.split_at_checked(raw.len() / 2).unwrap_or_default();
            encode::sequence(&[encode::integer(r), encode::integer(s)])
        }
        (KeyAlgorithm::Ed25519, SignatureAlgorithm::Ed25519) | (KeyAlgorithm::Ed448, SignatureAlgorithm::Ed448) => {
            let Input::Message(message) = input else { return Err(signature::no_prehash()) };
            key.sign(ToSign::Message(message))?
        }
        _ => return Err(mismatch()),
    };
    match signature::verify(public, algorithm, input, &signed) {
        Ok(()) => Ok(signed),
        Err(_) => {
            let text = "the token's signature does not fit the certificate – the key on it is another".to_owned();
            Err(Error::Unavailable { why: Why::Failed, text })
        }
    }
}

/// `DigestInfo ::= SEQUENCE { digestAlgorithm, digest OCTET STRING }` (RFC 8017 9.2), with NULL parameters as every reader expects.
fn digest_info(digest: DigestAlgorithm, hashed: &[u8]) -> Vec<u8> {
    let algorithm = AlgorithmIdentifier::with_null(digest.identifier().oid);
    encode::sequence(&[algorithm.to_der(), encode::octet_string(hashed)])
}

/// Bytes of a number of the curve's order.
fn field_len(curve: KeyAlgorithm) -> Option<usize> {
    Some(match curve {
        KeyAlgorithm::P256 | KeyAlgorithm::BrainpoolP256 => 32,
        KeyAlgorithm::P384 | KeyAlgorithm::BrainpoolP384 => 48,
        KeyAlgorithm::P521 => 66,
        _ => return None,
    })
}

/// Decrypts a key, as [`transport::decrypt`].
pub(in crate::crypto) fn decrypt(
    key: &External,
    transport: &KeyTransport,
    encrypted: &[u8],
    expected_len: Option<usize>,
    random: &mut dyn Random,
) -> Result<Secret<Vec<u8>>, Error> {
    let KeyAlgorithm::Rsa(bits) = key.key().public_key().algorithm() else { return Err(transport::not_rsa()) };
    // some writers drop leading zeros of the ciphertext
    let mut padded = vec![0; bits.div_ceil(8).saturating_sub(encrypted.len())];
    padded.extend_from_slice(encrypted);
    match transport {
        KeyTransport::RsaPkcs1 => {
            let substitute = transport::substitute(key.seed(random).expose(), &padded, expected_len.unwrap_or(32));
            let candidate = key.key().decrypt_pkcs1(&padded)?;
            Ok(transport::choose(&candidate, &substitute, expected_len))
        }
        KeyTransport::RsaOaep { digest, mgf_digest, label } => {
            let oaep = Oaep { digest: *digest, mgf_digest: *mgf_digest, label };
            match key.key().decrypt_oaep(oaep, &padded) {
                // many tokens know the OAEP of SHA-1 alone
                Err(Error::Unavailable { why: Why::CannotDo, .. }) => unpad(oaep, &key.key().decrypt_raw(&padded)?),
                other => other,
            }
        }
    }
}

/// EME-OAEP decoding (RFC 8017 7.1.2): `00 ‖ maskedSeed ‖ maskedDB`, and DB is the label's digest, zeros, 01 and the message. Every check
/// is made whatever the others said, and there is one answer for all (Manger's attack).
fn unpad(oaep: Oaep<'_>, encoded: &Secret<Vec<u8>>) -> Result<Secret<Vec<u8>>, Error> {
    let len = oaep.digest.output_len();
    let (first, rest) = encoded.expose().split_first().ok_or(Error::Unwrap)?;
    let (masked_seed, masked_db) = rest.split_at_checked(len).ok_or(Error::Unwrap)?;
    if masked_db.len() <= len {
        return Err(Error::Unwrap);
    }
    let seed = xored(masked_seed, &pss::mask(oaep.mgf_digest, masked_db, len));
    let db = xored(masked_db, &pss::mask(oaep.mgf_digest, seed.expose(), masked_db.len()));
    let (label, padded) = db.expose().split_at_checked(len).ok_or(Error::Unwrap)?;
    let mut fits = first.ct_eq(&0) & label.ct_eq(&digest::of(oaep.digest, oaep.label));
    let (mut begun, mut at) = (Choice::from(0), 0_u32);
    for (position, byte) in (1_u32..).zip(padded) {
        let is_one = byte.ct_eq(&1);
        at.conditional_assign(&position, is_one & !begun);
        fits &= begun | is_one | byte.ct_eq(&0);
        begun |= is_one;
    }
    if !bool::from(fits & begun) {
        return Err(Error::Unwrap);
    }
    let at = usize::try_from(at).unwrap_or(usize::MAX);
    padded.get(at..).map(|message| Secret::new(message.to_vec())).ok_or(Error::Unwrap)
}

fn xored(masked: &[u8], mask: &[u8]) -> Secret<Vec<u8>> {
    Secret::new(masked.iter().zip(mask).map(|(byte, mask)| byte ^ mask).collect())
}

/// The shared secret with a public key on the same curve.
pub(in crate::crypto) fn agree(key: &External, theirs: &PublicKey) -> Result<Secret<Vec<u8>>, Error> {
    let key = key.key();
    if key.public_key().algorithm() != theirs.algorithm() || theirs.algorithm().is_rsa() {
        return Err(Error::KeyMismatch { what: "the two keys are not on the same curve" });
    }
    key.agree(theirs)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crypto::random::OsRandom;

    /// EME-OAEP encoding (RFC 8017 7.1.1).
    fn padded(oaep: Oaep<'_>, message: &[u8], size: usize) -> Vec<u8> {
        let len = oaep.digest.output_len();
        let mut db = digest::of(oaep.digest, oaep.label);
        db.resize(size - 1 - len - 1 - message.len(), 0);
        db.push(1);
        db.extend_from_slice(message);
        let mut seed = vec![0; len];
        OsRandom.fill(&mut seed);
        let masked_db = xored(&db, &pss::mask(oaep.mgf_digest, &seed, db.len()));
        let masked_seed = xored(&seed, &pss::mask(oaep.mgf_digest, masked_db.expose(), len));
        [&[0], masked_seed.expose().as_slice(), masked_db.expose()].concat()
    }

    #[test]
    fn oaep_is_taken_off_and_nothing_but_it() {
        let oaep = Oaep { digest: DigestAlgorithm::Sha256, mgf_digest: DigestAlgorithm::Sha1, label: b"label" };
        for message in [&b"thirty-two bytes of a content key"[..32], b"", b"\x00\x01\x00"] {
            let encoded = padded(oaep, message, 256);
            assert!(unpad(oaep, &Secret::new(encoded.clone())).is_ok_and(|found| found.expose() == message));
            for at in [0, 1, 40, 200, 255 - message.len()] {
                let mut changed = encoded.clone();
                changed[at] ^= 1;
                assert!(matches!(unpad(oaep, &Secret::new(changed)), Err(Error::Unwrap)), "{at}");
            }
            let other = Oaep { label: b"", ..oaep };
            assert!(matches!(unpad(other, &Secret::new(encoded)), Err(Error::Unwrap)));
        }
        for short in [0, 1, 33, 65] {
            assert!(matches!(unpad(oaep, &Secret::new(vec![0; short])), Err(Error::Unwrap)), "{short}");
        }
    }
}
