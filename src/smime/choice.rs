//! Which cipher and which key transport a message gets.

use crate::cms::Capabilities;
use crate::crypto::algorithm::{ContentCipher, DigestAlgorithm, KeyTransport};
use crate::pki::Certificate;

/// The content cipher: chosen, or given.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum CipherChoice {
    /// AES-256-GCM where every recipient's certificate says that he reads it (RFC 4262), else AES-256-CBC, which everyone reads.
    #[default]
    Auto,
    /// This one.
    Fixed(ContentCipher),
}

/// How RSA recipients get the key: chosen, or given.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum TransportChoice {
    /// OAEP where every recipient's certificate says that he reads it, else PKCS#1 v1.5, which everyone reads.
    #[default]
    Auto,
    /// OAEP with SHA-256.
    Oaep,
    /// PKCS#1 v1.5.
    Pkcs1,
}

/// What was chosen, and why.
#[derive(Debug, Clone)]
pub(in crate::smime) struct Chosen {
    pub(in crate::smime) cipher: ContentCipher,
    pub(in crate::smime) transport: KeyTransport,
    pub(in crate::smime) reason: String,
}

/// Chooses for these recipients.
pub(in crate::smime) fn choose(recipients: &[Certificate], cipher: CipherChoice, transport: TransportChoice) -> Chosen {
    let oaep = KeyTransport::oaep(DigestAlgorithm::Sha256);
    let read_gcm = every(recipients, |known| known.has(&ContentCipher::Aes256Gcm.oid()));
    let read_oaep = every(recipients, |known| known.has(&oaep.identifier().oid));
    let (cipher, why) = match cipher {
        CipherChoice::Fixed(cipher) => (cipher, "as asked"),
        CipherChoice::Auto if read_gcm => (ContentCipher::Aes256Gcm, "every recipient's certificate names it"),
        CipherChoice::Auto => (ContentCipher::Aes256Cbc, "not every recipient is known to read AES-GCM"),
    };
    let transport = match transport {
        TransportChoice::Oaep => oaep,
        TransportChoice::Auto if read_oaep => oaep,
        TransportChoice::Auto | TransportChoice::Pkcs1 => KeyTransport::RsaPkcs1,
    };
    let count = recipients.len();
    let plural = if count == 1 { "" } else { "s" };
    let reason = format!("encrypting to {count} certificate{plural} with {} – {why}", cipher.name());
    Chosen { cipher, transport, reason }
}

/// Whether there are recipients and every certificate says this of its owner.
fn every(recipients: &[Certificate], says: impl Fn(&Capabilities) -> bool) -> bool {
    let of = |certificate: &Certificate| certificate.smime_capabilities().and_then(|bytes| Capabilities::from_der(bytes).ok());
    !recipients.is_empty() && recipients.iter().all(|certificate| of(certificate).is_some_and(|known| says(&known)))
}
