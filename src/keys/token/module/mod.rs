//! A key on a token, and what it does there.

mod driver;
mod objects;

use std::sync::{Mutex, PoisonError};

use cryptoki::error::{Error as Failure, RvError};
use cryptoki::mechanism::eddsa::{EddsaParams, EddsaSignatureScheme};
use cryptoki::mechanism::elliptic_curve::{EcKdf, Ecdh1DeriveParams};
use cryptoki::mechanism::rsa::{PkcsMgfType, PkcsOaepParams, PkcsOaepSource, PkcsPssParams};
use cryptoki::mechanism::{Mechanism, MechanismType};
use cryptoki::object::{Attribute, AttributeType, KeyType, ObjectClass, ObjectHandle};
use cryptoki::session::Session;

use crate::asn1::encode;
use crate::crypto;
use crate::crypto::algorithm::{DigestAlgorithm, KeyAlgorithm};
use crate::crypto::key::{ExternalKey, Oaep, PublicKey, ToSign, Why};
use crate::keys::Error;
use crate::keys::token::{Access, Uri};
use crate::pki::Certificate;
use crate::secret::Secret;

/// A key on a token; found there when it first has work.
pub(super) struct TokenKey {
    access: Access,
    uri: Uri,
    public: PublicKey,
    open: Mutex<Option<Open>>,
}

/// A session in which the key was found.
struct Open {
    session: Session,
    key: ObjectHandle,
}

impl TokenKey {
    pub(super) fn new(access: Access, uri: Uri, public: PublicKey) -> Self {
        Self { access, uri, public, open: Mutex::new(None) }
    }

    /// Works with the key; finds it before where that is still to be done.
    fn with<T>(
        &self,
        work: impl FnOnce(&Session, ObjectHandle) -> Result<T, Failure>,
    ) -> Result<Result<T, RvError>, crypto::Error> {
        let mut held = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        let open = match held.take() {
            Some(open) => open,
            None => {
                let session = driver::session(&self.access, &self.uri)?;
                let key = objects::key_of(&session, &self.uri, &self.public)?;
                Open { session, key }
            }
        };
        match work(&open.session, open.key) {
            Ok(done) => {
                *held = Some(open);
                Ok(Ok(done))
            }
            // the session is of no more use, and the next work looks for the token anew
            Err(failure) if driver::is_gone(&failure, || open.session.get_session_info().is_ok()) => {
                Err(driver::unavailable(&failure))
            }
            Err(Failure::Pkcs11(refused, _)) => {
                *held = Some(open);
                Ok(Err(refused))
            }
            Err(failure) => Err(driver::unavailable(&failure)),
        }
    }
}

impl ExternalKey for TokenKey {
    fn public_key(&self) -> &PublicKey {
        &self.public
    }

    fn sign(&self, what: ToSign<'_>) -> Result<Vec<u8>, crypto::Error> {
        let (mechanism, data) = match what {
            ToSign::Pkcs1(digest_info) => (Mechanism::RsaPkcs, digest_info),
            ToSign::Pss { digest, mgf_digest, salt_len, hashed } => (pss(digest, mgf_digest, salt_len)?, hashed),
            ToSign::Ecdsa(hashed) => (Mechanism::Ecdsa, hashed),
            ToSign::Message(message) => (Mechanism::Eddsa(EddsaParams::new(EddsaSignatureScheme::Pure)), message),
        };
        let signed = self.with(|session, key| session.sign(&mechanism, key, data))?;
        signed.map_err(|refused| driver::refused(refused, "sign so"))
    }

    fn decrypt_pkcs1(&self, encrypted: &[u8]) -> Result<Secret<Vec<u8>>, crypto::Error> {
        match self.with(|session, key| session.decrypt(&Mechanism::RsaPkcs, key, encrypted))? {
            Ok(plain) => Ok(Secret::new(plain)),
            Err(refused) if cannot(refused) => Err(driver::refused(refused, "decrypt under PKCS#1 v1.5")),
            // tokens name an unfitting padding in many ways, and nobody shall learn of it in any
            Err(_) => Ok(Secret::default()),
        }
    }

    fn decrypt_oaep(&self, oaep: Oaep<'_>, encrypted: &[u8]) -> Result<Secret<Vec<u8>>, crypto::Error> {
        let source = if oaep.label.is_empty() { PkcsOaepSource::empty() } else { PkcsOaepSource::data_specified(oaep.label) };
        let parameters = PkcsOaepParams::new(digest_mechanism(oaep.digest)?, mask(oaep.mgf_digest)?, source);
        match self.with(|session, key| session.decrypt(&Mechanism::RsaPkcsOaep(parameters), key, encrypted))? {
            Ok(plain) => Ok(Secret::new(plain)),
            // SoftHSM says so of every digest but SHA-1
            Err(refused) if cannot(refused) || refused == RvError::ArgumentsBad => {
                Err(driver::refused(refused, "decrypt under this OAEP"))
            }
            Err(_) => Err(crypto::Error::Unwrap),
        }
    }

    fn decrypt_raw(&self, encrypted: &[u8]) -> Result<Secret<Vec<u8>>, crypto::Error> {
        match self.with(|session, key| session.decrypt(&Mechanism::RsaX509, key, encrypted))? {
            // some tokens drop leading zeros
            Ok(plain) => {
                let plain = Secret::new(plain);
                let mut block = Secret::new(vec![0; encrypted.len().saturating_sub(plain.expose().len())]);
                block.expose_mut().extend_from_slice(plain.expose());
                Ok(block)
            }
            Err(refused) => Err(driver::refused(refused, "decrypt under this OAEP")),
        }
    }

    fn agree(&self, theirs: &PublicKey) -> Result<Secret<Vec<u8>>, crypto::Error> {
        let (point, len) = (theirs.key_bits(), secret_len(theirs.algorithm()));
        let agreed = match self.with(|session, key| derive(session, key, point, len))? {
            // PKCS#11 3.1 6.3.18: a token takes the bare point; some take only its OCTET STRING
            Err(refused) if !cannot(refused) => {
                let point = encode::octet_string(point);
                self.with(|session, key| derive(session, key, &point, len))?
            }
            other => other,
        };
        agreed.map_err(|refused| driver::refused(refused, "agree on a secret by ECDH"))
    }
}

/// Derives the shared secret as a key that may be read, reads it and lets the token forget it.
fn derive(session: &Session, key: ObjectHandle, point: &[u8], len: usize) -> Result<Secret<Vec<u8>>, Failure> {
    let parameters = Ecdh1DeriveParams::new(EcKdf::null(), point);
    let template = [
        Attribute::Class(ObjectClass::SECRET_KEY),
        Attribute::KeyType(KeyType::GENERIC_SECRET),
        Attribute::Token(false),
        Attribute::Sensitive(false),
        Attribute::Extractable(true),
        Attribute::ValueLen(len.try_into()?),
    ];
    let derived = session.derive_key(&Mechanism::Ecdh1Derive(parameters), key, &template)?;
    let value = session.get_attributes(derived, &[AttributeType::Value]);
    session.destroy_object(derived)?;
    let shared = value?.into_iter().find_map(|attribute| match attribute {
        Attribute::Value(value) => Some(Secret::new(value)),
        _ => None,
    });
    shared.ok_or(Failure::InvalidValue)
}

/// Bytes of a secret that keys of this kind have in common: those of a coordinate.
fn secret_len(algorithm: KeyAlgorithm) -> usize {
    match algorithm {
        KeyAlgorithm::P384 | KeyAlgorithm::BrainpoolP384 => 48,
        KeyAlgorithm::P521 => 66,
        KeyAlgorithm::X448 => 56,
        _ => 32,
    }
}

/// Whether a refusal is of the operation, whatever it works on.
fn cannot(refused: RvError) -> bool {
    use RvError as R;
    matches!(
        refused,
        R::MechanismInvalid
            | R::MechanismParamInvalid
            | R::FunctionNotSupported
            | R::KeyFunctionNotPermitted
            | R::KeyTypeInconsistent
            | R::KeySizeRange
            | R::KeyHandleInvalid
            | R::UserNotLoggedIn
            | R::PinExpired
            | R::HostMemory
            | R::DeviceMemory
            | R::ActionProhibited
    )
}

fn pss(digest: DigestAlgorithm, mgf_digest: DigestAlgorithm, salt_len: usize) -> Result<Mechanism<'static>, crypto::Error> {
    let s_len = salt_len.try_into().map_err(|_| unknown(digest))?;
    Ok(Mechanism::RsaPkcsPss(PkcsPssParams { hash_alg: digest_mechanism(digest)?, mgf: mask(mgf_digest)?, s_len }))
}

fn digest_mechanism(digest: DigestAlgorithm) -> Result<MechanismType, crypto::Error> {
    Ok(match digest {
        DigestAlgorithm::Sha1 => MechanismType::SHA1,
        DigestAlgorithm::Sha224 => MechanismType::SHA224,
        DigestAlgorithm::Sha256 => MechanismType::SHA256,
        DigestAlgorithm::Sha384 => MechanismType::SHA384,
        DigestAlgorithm::Sha512 => MechanismType::SHA512,
        other => return Err(unknown(other)),
    })
}

fn mask(digest: DigestAlgorithm) -> Result<PkcsMgfType, crypto::Error> {
    Ok(match digest {
        DigestAlgorithm::Sha1 => PkcsMgfType::MGF1_SHA1,
        DigestAlgorithm::Sha224 => PkcsMgfType::MGF1_SHA224,
        DigestAlgorithm::Sha256 => PkcsMgfType::MGF1_SHA256,
        DigestAlgorithm::Sha384 => PkcsMgfType::MGF1_SHA384,
        DigestAlgorithm::Sha512 => PkcsMgfType::MGF1_SHA512,
        other => return Err(unknown(other)),
    })
}

fn unknown(digest: DigestAlgorithm) -> crypto::Error {
    crypto::Error::Unavailable { why: Why::CannotDo, text: format!("a token has no name for {}", digest.name()) }
}

/// The one key that a URI means, with what names it alone; and every certificate on its token.
pub(super) fn find(access: &Access, uri: &Uri) -> Result<(Uri, PublicKey, Vec<Certificate>), Error> {
    let session = driver::session(access, uri)?;
    let mut found = objects::find(&session, uri)?;
    found.uri.module_path.clone_from(&uri.module_path);
    found.uri.pin_source.clone_from(&uri.pin_source);
    driver::name_token(access, uri, &mut found.uri)?;
    Ok((found.uri, found.public, found.certificates))
}
