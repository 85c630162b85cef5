//! The verdict on a message: its layers, its signers, what they cover, and what was found.

use crate::cms::ContentType;
use crate::cms::ess::Receipt;
use crate::keys::SignatureId;
use crate::pki::{Certificate, ChainStatus, Inquiry, RevocationStatus};
use crate::smime::clock::Judged;
use crate::smime::details::SignerDetails;
use crate::smime::finding::{Code, Finding, Outcome, Severity};
use crate::smime::learnt::Learnt;
use crate::time::Timestamp;

/// Everything that opening a message found out. A value: bad news is here and not in an `Err`.
#[derive(Debug, Clone, Default)]
pub struct Verdict {
    /// The S/MIME layers, outermost first.
    pub layers: Vec<Layer>,
    /// What is known of protected header fields (RFC 9788).
    pub headers: ProtectedHeaders,
    /// The parts of the message that no layer covers.
    pub uncovered: Vec<UncoveredPart>,
    /// Everything worth saying, in the order found.
    pub findings: Vec<Finding>,
}

impl Verdict {
    /// What the findings come to: the most severe error, or good.
    pub fn outcome(&self) -> Outcome {
        self.findings.iter().filter(|f| f.severity == Severity::Error).map(|f| f.code.outcome()).min().unwrap_or(Outcome::Good)
    }

    /// Every signer of every signed layer, outermost first.
    pub fn signers(&self) -> impl Iterator<Item = &SignerVerdict> {
        self.layers.iter().flat_map(|layer| match layer {
            Layer::Signed(signed) => signed.signers.as_slice(),
            _ => &[],
        })
    }

    /// The questions about certificates that can be asked again when more is at hand.
    ///
    /// None where something is bad about the message: what lies inside a layer that nobody vouches for must not choose whom to ask, or
    /// whoever changed a ciphertext would be told of what is inside it.
    pub fn inquiries(&self) -> impl Iterator<Item = &Inquiry> {
        let is_bad = self.outcome() == Outcome::Bad;
        self.signers().filter(move |_| !is_bad).flat_map(|signer| &signer.inquiries)
    }

    /// Whether some layer is signed.
    pub fn is_signed(&self) -> bool {
        self.signers().next().is_some()
    }

    /// Whether some layer is encrypted.
    pub fn is_encrypted(&self) -> bool {
        self.layers.iter().any(|layer| matches!(layer, Layer::Encrypted(_)))
    }

    /// Whether a finding of this kind stands as an error.
    pub fn has_error(&self, code: Code) -> bool {
        self.findings.iter().any(|f| f.code == code && f.severity == Severity::Error)
    }
}

/// One layer of a message.
#[derive(Debug, Clone)]
pub enum Layer {
    /// Signed data.
    Signed(SignedLayer),
    /// Enveloped or auth-enveloped data.
    Encrypted(EncryptedLayer),
    /// Compressed data.
    Compressed,
}

/// What a signature covers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Coverage {
    /// The body of the message (or of the part).
    Body,
    /// The body and the header fields that the sender protected (RFC 9788).
    BodyAndHeaders,
}

impl Coverage {
    /// The words of the JSON output.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Body => "body",
            Self::BodyAndHeaders => "body+headers",
        }
    }
}

/// Where the content of a signed layer stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// Beside the signature, readable by everyone (multipart/signed).
    Clear,
    /// Inside the signature (application/pkcs7-mime; smime-type=signed-data).
    Opaque,
}

/// A signed layer.
#[derive(Debug, Clone)]
pub struct SignedLayer {
    /// Where the content stands.
    pub form: Form,
    /// The type of the content; only `id-data` is mail.
    pub content_type: ContentType,
    /// The receipt that the content is, where it is one.
    pub receipt: Option<Receipt>,
    /// What is covered.
    pub covers: Coverage,
    /// The signers; all must be good.
    pub signers: Vec<SignerVerdict>,
}

/// Whether a signature fits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SignatureStatus {
    /// The arithmetic fits the content and the key.
    Valid,
    /// It does not, or it could not be checked.
    Invalid,
}

/// One signer of a signed layer.
#[derive(Debug, Clone)]
pub struct SignerVerdict {
    /// The signer's certificate, where it is at hand.
    pub certificate: Option<Certificate>,
    /// The mail addresses that the certificate speaks for.
    pub addresses: Vec<String>,
    /// The subject of the certificate, or the signer identifier where there is no certificate.
    pub subject: String,
    /// The signature algorithm, as `rsa-pkcs1-sha256`.
    pub algorithm: String,
    /// Whether the signature fits.
    pub signature: SignatureStatus,
    /// Where the chain ends.
    pub chain: ChainStatus,
    /// The certificates of the path, leaf first, by subject.
    pub path: Vec<String>,
    /// What is known of revocation.
    pub revocation: RevocationStatus,
    /// The time that the signer claims.
    pub claimed_time: Option<Timestamp>,
    /// By which clock the chain was judged, and for which moment; nothing where it was not judged.
    pub judged: Option<Judged>,
    /// When the signature was seen first, where somebody keeps that; it is told of signatures that fit.
    pub first_seen: Option<Timestamp>,
    /// What names the signature for those who keep when it was seen; nothing where it does not fit.
    pub signature_id: Option<SignatureId>,
    /// Whether one of the addresses is the From (or Sender) address; `None` where there is no message around.
    pub from_match: Option<bool>,
    /// What the signer says about mail to him; nothing where the signature does not fit.
    pub learnt: Learnt,
    /// What stands beside the signature.
    pub details: SignerDetails,
    /// The most severe finding about this signer.
    pub finding: Option<Code>,
    /// The questions about certificates to which there would be better answers if more were at hand; of a signature that does not fit none.
    pub inquiries: Vec<Inquiry>,
}

/// An encrypted layer.
#[derive(Debug, Clone)]
pub struct EncryptedLayer {
    /// Enveloped or auth-enveloped.
    pub kind: EncryptedKind,
    /// The type of the content; only `id-data` is mail.
    pub content_type: ContentType,
    /// The content cipher, as `aes-256-gcm`; empty where unknown.
    pub cipher: String,
    /// Whether a tag proves that the ciphertext is whole.
    pub authenticated: bool,
    /// The recipients.
    pub recipients: Vec<RecipientVerdict>,
}

/// The two CMS content types of encryption.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EncryptedKind {
    /// EnvelopedData (RFC 5652 section 6).
    Enveloped,
    /// AuthEnvelopedData (RFC 5083).
    AuthEnveloped,
}

impl EncryptedKind {
    /// The words of the JSON output.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Enveloped => "enveloped",
            Self::AuthEnveloped => "auth-enveloped",
        }
    }
}

/// One recipient of an encrypted layer.
#[derive(Debug, Clone)]
pub struct RecipientVerdict {
    /// `ktri`, `kari`, `kekri`, `pwri`, `kemri` or `other`.
    pub kind: &'static str,
    /// The recipient identifier, for people.
    pub id: String,
    /// The addresses of the recipient's certificate, where we hold it.
    pub addresses: Vec<String>,
    /// The algorithm that carries the key.
    pub algorithm: String,
    /// Whether this one opened the message.
    pub used: bool,
}

/// The header fields that travel inside the protected part (RFC 9788).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ProtectedHeaders {
    /// Names of the fields that something protects.
    pub protected: Vec<String>,
    /// Names of the fields that the outside does not show, or shows otherwise.
    pub hidden: Vec<String>,
    /// Each field, in the order of the message, and what protects it.
    pub fields: Vec<ProtectedField>,
}

/// A header field that travels inside the protected part.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProtectedField {
    /// Its name.
    pub name: String,
    /// What protects it.
    pub state: FieldProtection,
}

/// What protects a header field (RFC 9788 4.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FieldProtection {
    /// Nothing: the signature over it is missing or does not count.
    Unprotected,
    /// A signature; the field could be read on the way.
    SignedOnly,
    /// Encryption; nobody vouches for the field.
    EncryptedOnly,
    /// A signature and encryption.
    SignedAndEncrypted,
}

impl FieldProtection {
    /// The words of the JSON output.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Unprotected => "unprotected",
            Self::SignedOnly => "signed-only",
            Self::EncryptedOnly => "encrypted-only",
            Self::SignedAndEncrypted => "signed-and-encrypted",
        }
    }
}

/// A part of the message that no layer covers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UncoveredPart {
    /// The path of the part, as `1.2`.
    pub part: String,
    /// Its content type.
    pub content_type: String,
}

/// A value that came out of a verification: every signature fits, every chain reaches a trust anchor, the signer is the sender.
///
/// A chain is judged for the moment that [`SignerVerdict::judged`] names: a certificate that has expired since counts where a time-stamp or
/// this home shows that the signature was there before. Who wants certificates that are valid now opens with [`crate::smime::Clock::Now`].
///
/// There is one maker, [`crate::smime::Opened::into_verified`]; a function that takes a `Verified<T>` cannot be handed anything else.
#[derive(Debug, Clone)]
pub struct Verified<T> {
    value: T,
    signers: Vec<SignerVerdict>,
}

impl<T> Verified<T> {
    pub(in crate::smime) fn new(value: T, signers: Vec<SignerVerdict>) -> Self {
        Self { value, signers }
    }

    /// Lends the verified value.
    pub fn get(&self) -> &T {
        &self.value
    }

    /// Gives the verified value, without the proof.
    pub fn into_inner(self) -> T {
        self.value
    }

    /// Who signed it.
    pub fn signers(&self) -> &[SignerVerdict] {
        &self.signers
    }
}
