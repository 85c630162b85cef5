//! Identities from a file: PKCS#12, or PEM with keys and their certificates.

use crate::asn1::pem;
use crate::crypto::key::{PrivateKey, PublicKey};
use crate::keys::identity::may_sign;
use crate::keys::pkcs12::{Content, Held};
use crate::keys::{Error, Identity, pkcs12};
use crate::limits::Limits;
use crate::pki::{self, Certificate};
use crate::secret::Secret;

/// What a file gave.
#[derive(Debug)]
pub struct Loaded {
    /// The identities; those that may sign come first.
    pub identities: Vec<Identity>,
    /// What else is in the file and was left out, each with the reason.
    pub unread: Vec<String>,
}

/// Reads the identity to sign with from a PKCS#12 file or a PEM bundle: the first of [`identities`].
pub fn identity(bytes: &[u8], passphrase: Option<&Secret<Vec<u8>>>, limits: &Limits) -> Result<Identity, Error> {
    identities(bytes, passphrase, limits)?.into_iter().next().ok_or_else(no_certificate)
}

/// Reads every identity of a PKCS#12 file or a PEM bundle; those that may sign come first.
/// [`Error::PassphraseNeeded`] where it is locked.
///
/// People with one key for signing and another for encryption have both in one file.
pub fn identities(bytes: &[u8], passphrase: Option<&Secret<Vec<u8>>>, limits: &Limits) -> Result<Vec<Identity>, Error> {
    Ok(file(bytes, passphrase, limits)?.identities)
}

/// Reads every identity of a file, and says what it left out.
pub fn file(bytes: &[u8], passphrase: Option<&Secret<Vec<u8>>>, limits: &Limits) -> Result<Loaded, Error> {
    let content = content(bytes, passphrase, limits)?;
    if content.keys.is_empty() {
        let hint = if content.certificates.is_empty() { "" } else { ", only certificates" };
        return Err(Error::Malformed(format!("the file holds no private key{hint}")));
    }
    let Content { keys, certificates, mut unread } = content;
    let pool = Pool::new(certificates);
    let mut identities = Vec::new();
    for key in &keys {
        let found = pool.identities_of(key, &keys);
        if found.is_empty() {
            unread.push(format!("a private key ({}) has no certificate in the file", key.value.algorithm()));
        }
        identities.extend(found);
    }
    if identities.is_empty() {
        return Err(no_certificate());
    }
    identities.sort_by_key(|identity| !may_sign(identity.certificate()));
    Ok(Loaded { identities, unread })
}

/// Pairs a key with its certificate among several; the others are its chain.
pub fn pair(key: PrivateKey, certificates: Vec<Certificate>) -> Result<Identity, Error> {
    let bare = |value| Held { value, name: None, local_key_id: None };
    let pool = Pool::new(certificates.into_iter().map(bare).collect());
    let key = Held { value: key, name: None, local_key_id: None };
    pool.identities_of(&key, &[]).into_iter().next().ok_or_else(no_certificate)
}

/// The keys and certificates of a PKCS#12 file, in PEM or not, or of a PEM bundle.
fn content(bytes: &[u8], passphrase: Option<&Secret<Vec<u8>>>, limits: &Limits) -> Result<Content, Error> {
    if !pem::looks_like(bytes) {
        return pkcs12::read(bytes, passphrase, limits);
    }
    let blocks = pem::parse_all(bytes).map_err(|error| Error::Malformed(error.to_string()))?;
    // as `certtool --to-p12` writes it
    if let Some(block) = blocks.iter().find(|block| block.label == "PKCS12") {
        return pkcs12::read(&block.der, passphrase, limits);
    }
    let keys = PrivateKey::all_from_pem(&blocks, passphrase, limits)?;
    let bare = |value| Held { value, name: None, local_key_id: None };
    let certificates = pki::load::certificates(bytes)?.into_iter().map(|value| Held { value, name: None, local_key_id: None });
    Ok(Content { keys: keys.into_iter().map(bare).collect(), certificates: certificates.collect(), unread: Vec::new() })
}

/// The certificates of a file, with their public keys.
struct Pool(Vec<(Held<Certificate>, Option<PublicKey>)>);

impl Pool {
    fn new(certificates: Vec<Held<Certificate>>) -> Self {
        let mut pool: Vec<(Held<Certificate>, Option<PublicKey>)> = Vec::with_capacity(certificates.len());
        for held in certificates {
            // Java and others write the chain of each key, so the same ones again
            match pool.iter_mut().find(|(other, _)| other.value == held.value) {
                Some((other, _)) if other.local_key_id.is_none() => other.local_key_id = held.local_key_id,
                Some(_) => {}
                None => {
                    let key = held.value.public_key().ok();
                    pool.push((held, key));
                }
            }
        }
        Self(pool)
    }

    /// An identity for each certificate of a key: a renewed one leaves mail behind that names the old one. First comes the one that the
    /// file pairs with the key, then the newest.
    fn identities_of(&self, key: &Held<PrivateKey>, all: &[Held<PrivateKey>]) -> Vec<Identity> {
        let belongs = |public: &Option<PublicKey>| public.as_ref() == Some(key.value.public_key());
        let mut own: Vec<&Held<Certificate>> =
            self.0.iter().filter(|(_, public)| belongs(public)).map(|(held, _)| held).collect();
        let is_named = |held: &Held<Certificate>| key.local_key_id.is_some() && held.local_key_id == key.local_key_id;
        own.sort_by_key(|held| (!is_named(held), std::cmp::Reverse(held.value.not_before())));
        let identity = |held: &Held<Certificate>| {
            Identity::new(key.value.clone(), held.value.clone(), self.chain_of(&held.value, &key.value, all)).ok()
        };
        own.into_iter().filter_map(identity).collect()
    }

    /// The certificates above one: those that issued it, those that issued these, and so on; then other authorities of the file, which may
    /// belong above what is not in it. A person's other certificates are no part of it.
    fn chain_of(&self, certificate: &Certificate, key: &PrivateKey, all: &[Held<PrivateKey>]) -> Vec<Certificate> {
        let is_persons = |held: &Certificate, public: &Option<PublicKey>| {
            let of = |other: &PublicKey| public.as_ref() == Some(other);
            !is_ca(held) && (of(key.public_key()) || all.iter().any(|other| of(other.value.public_key())))
        };
        let mut left: Vec<&Certificate> = self
            .0
            .iter()
            .filter(|(held, public)| held.value != *certificate && !is_persons(&held.value, public))
            .map(|(held, _)| &held.value)
            .collect();
        let mut chain: Vec<&Certificate> = Vec::new();
        let mut at = 0;
        let mut current = Some(certificate);
        while let Some(below) = current {
            let (issuers, rest) = left.into_iter().partition(|candidate| candidate.subject().matches(below.issuer()));
            chain.extend::<Vec<_>>(issuers);
            left = rest;
            current = chain.get(at).copied();
            at = at.saturating_add(1);
        }
        chain.into_iter().chain(left.into_iter().filter(|certificate| is_ca(certificate))).cloned().collect()
    }
}

fn is_ca(certificate: &Certificate) -> bool {
    certificate.basic_constraints().is_some_and(|constraints| constraints.is_ca)
}

fn no_certificate() -> Error {
    Error::Malformed("the file holds no certificate of its private key".to_owned())
}
