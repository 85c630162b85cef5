//! What is read here and would be liked best: the capabilities of messages (RFC 8551 2.5.2) and of certificates (RFC 4262).

use crate::asn1::oid;
use crate::crypto::algorithm::{AlgorithmIdentifier, DigestAlgorithm, KeyAgreement, KeyAlgorithm, KeyTransport};

/// The algorithms for mail to the owner of a key of this kind, the best first; without a kind, for mail to the owner of any key.
pub(crate) fn preferred(key: Option<KeyAlgorithm>) -> Vec<AlgorithmIdentifier> {
    let ciphers = [oid::AES256_GCM, oid::AES128_GCM, oid::AES256_CBC, oid::AES128_CBC];
    let mut found = ciphers.map(AlgorithmIdentifier::bare).to_vec();
    if key.is_none_or(KeyAlgorithm::is_rsa) {
        // RFC 4055 5: the parameters name the digest; without them some would take SHA-1
        found.push(KeyTransport::oaep(DigestAlgorithm::Sha256).identifier());
    }
    if key.is_none_or(KeyAlgorithm::agrees) {
        // RFC 5753 8: the parameters name the key wrap
        let key = key.unwrap_or(KeyAlgorithm::P256);
        found.extend([32, 16].map(|key_len| KeyAgreement::usual(key, key_len).identifier()));
    }
    found
}
