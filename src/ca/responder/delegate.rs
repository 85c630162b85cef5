//! Who signs the answers: a key for that alone, with a short certificate of the issuer (RFC 6960 4.2.2.2).
//!
//! Its key lies open in the authority's folder, so that a server answers without the authority's passphrase. Who steals it can tell
//! lies about certificates for as long as its certificate is good, and make none.

use std::path::Path;

use crate::asn1::{encode, oid, pem};
use crate::ca::Error;
use crate::ca::authority::serial;
use crate::ca::draft::Draft;
use crate::ca::profile::{extended_key_usage, extension, key_id, key_ids, key_usage};
use crate::crypto::algorithm::{AlgorithmIdentifier, DigestAlgorithm, KeyAlgorithm, SignatureAlgorithm};
use crate::crypto::key::PrivateKey;
use crate::crypto::random::Random;
use crate::crypto::signature::{self, Input};
use crate::keys::{Error as KeysError, Identity, files};
use crate::limits::Limits;
use crate::pki::{self, Certificate, Name};
use crate::secret::Secret;
use crate::time::Timestamp;

/// Days of its certificate: nobody can revoke it (`id-pkix-ocsp-nocheck`), so it is short. 30: a list is signed each week, with it.
const DAYS: i64 = 30;
/// It is renewed while it has as many days: longer than an answer holds, so that none is cut short.
const RENEW_DAYS: i64 = 10;
/// RFC 5280, upper bound of a common name.
const NAME_CHARS: usize = 64;

/// A responder's key and certificate.
#[derive(Debug, Clone)]
pub(in crate::ca) struct Delegate {
    identity: Identity,
    key_id: Vec<u8>,
}

impl Delegate {
    fn new(identity: Identity) -> Self {
        let key_id = key_id(identity.private_key().public_key());
        Self { identity, key_id }
    }

    /// Makes a key and a certificate for it. P-256 whatever the issuer has: everyone reads it, and it signs fastest.
    pub(in crate::ca) fn issue(issuer: &Identity, at: Timestamp, random: &mut dyn Random) -> Result<Self, Error> {
        let key = PrivateKey::generate(KeyAlgorithm::P256, random)?;
        let above = issuer.certificate();
        let mut extensions = key_ids(key.public_key(), issuer.private_key().public_key());
        extensions.extend([
            key_usage(&[0]),
            extended_key_usage(&[oid::OCSP_SIGNING]),
            extension(oid::OCSP_NO_CHECK, false, &encode::null()),
        ]);
        let draft = Draft {
            issuer: above.subject(),
            issuer_key: issuer.private_key(),
            subject: subject(above.subject()),
            public: key.public_key(),
            not_before: at.plus_seconds(-600).max(above.not_before()),
            not_after: at.plus_days(DAYS).min(above.not_after()),
            extensions,
        };
        let certificate = draft.sign(&serial(random), random)?;
        certificate.verify_signature(issuer.private_key().public_key())?;
        Ok(Self::new(Identity::new(key, certificate, Vec::new())?))
    }

    /// Reads the one of an issuer; none where there is none yet, or where it is of an issuer that was before this one.
    pub(in crate::ca) fn read(path: &Path, issuer: &Certificate) -> Result<Option<Self>, Error> {
        let bytes = match files::read(path) {
            Ok(bytes) => Secret::new(bytes),
            Err(KeysError::Io { error, .. }) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        let key = PrivateKey::from_any(bytes.expose(), None, &Limits::default()).map_err(KeysError::from)?;
        let certificate = pki::load::certificates(bytes.expose())?.into_iter().next();
        let certificate = certificate.ok_or_else(|| Error::Refused(format!("{} holds no certificate", path.display())))?;
        if certificate.verify_signature(&issuer.public_key()?).is_err() {
            return Ok(None);
        }
        Ok(Some(Self::new(Identity::new(key, certificate, Vec::new())?)))
    }

    /// Writes it, key and certificate in one file: a crash leaves both or neither.
    pub(in crate::ca) fn write(&self, path: &Path) -> Result<(), Error> {
        let key = self.identity.private_key().to_pem()?;
        let certificate = pem::encode("CERTIFICATE", self.certificate().der());
        let text = Secret::new([key.expose().as_slice(), certificate.as_bytes()].concat());
        Ok(files::write(path, text.expose())?)
    }

    /// Whether it is good for long enough.
    pub(in crate::ca) fn is_fresh(&self, at: Timestamp) -> bool {
        self.certificate().not_before() <= at && at.plus_days(RENEW_DAYS) < self.certificate().not_after()
    }

    pub(in crate::ca) fn certificate(&self) -> &Certificate {
        self.identity.certificate()
    }

    /// The SHA-1 of its key, by which answers name it.
    pub(super) fn key_id(&self) -> &[u8] {
        &self.key_id
    }

    pub(super) fn sign(&self, to_be_signed: &[u8], random: &mut dyn Random) -> Result<Vec<u8>, Error> {
        Ok(signature::sign(self.identity.private_key(), ALGORITHM, Input::Message(to_be_signed), random)?)
    }
}

const ALGORITHM: SignatureAlgorithm = SignatureAlgorithm::Ecdsa(DigestAlgorithm::Sha256);

/// The identifier of the signatures of every responder.
pub(super) fn algorithm() -> AlgorithmIdentifier {
    ALGORITHM.identifier()
}

/// The issuer's name, and what it is for.
fn subject(issuer: &Name) -> Name {
    let organization = issuer.attributes().find(|attribute| attribute.oid == oid::ORGANIZATION).map(|a| a.value.clone());
    let title = format!("{} OCSP Responder", issuer.common_name().unwrap_or_default());
    let title = if title.chars().count() <= NAME_CHARS { title } else { "OCSP Responder".to_owned() };
    let mut attributes = vec![(oid::COMMON_NAME, title.as_str())];
    if let Some(organization) = &organization {
        attributes.insert(0, (oid::ORGANIZATION, organization));
    }
    Name::from_attributes(&attributes)
}
