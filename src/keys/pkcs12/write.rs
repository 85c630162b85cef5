//! Writes PKCS#12 files.

use super::Target;
use super::target::Protection;
use crate::asn1::{Oid, Tag, encode, oid};
use crate::crypto::algorithm::{DigestAlgorithm, KeyAlgorithm};
use crate::crypto::kdf::{self, Pkcs12Purpose};
use crate::crypto::random::Random;
use crate::crypto::{digest, mac, pbe};
use crate::keys::{Error, Identity};
use crate::pki::Certificate;
use crate::secret::Secret;

/// Writes a file as today's programs read it: PBES2 with AES-256-CBC, HMAC-SHA-256.
pub fn write(identity: &Identity, passphrase: &Secret<Vec<u8>>, name: &str, random: &mut dyn Random) -> Result<Vec<u8>, Error> {
    write_for(Target::Modern, std::slice::from_ref(identity), (passphrase, name), random)
}

/// Writes a file for a program: every key with its certificate, and the certificates above them.
///
/// Refuses an empty passphrase ([`Error::PassphraseNeeded`]): programs differ in what they make of none, and Apple's take none at all.
/// The first key is called `name`, others get a number behind it, for Java keeps one key of each name.
pub fn write_for(
    target: Target,
    identities: &[Identity],
    (passphrase, name): (&Secret<Vec<u8>>, &str),
    random: &mut dyn Random,
) -> Result<Vec<u8>, Error> {
    if passphrase.expose().is_empty() {
        return Err(Error::PassphraseNeeded);
    }
    if std::str::from_utf8(passphrase.expose()).is_err() {
        return Err(super::malformed(
            "a passphrase that is not UTF-8 cannot be written so that other programs find the same one",
        ));
    }
    let protection = target.protection();
    let (mut certificates, mut keys) = (Vec::new(), Vec::new());
    for (number, identity) in (1..).zip(identities) {
        let name = if number == 1 { name.to_owned() } else { format!("{name} {number}") };
        let attributes = attributes_of(identity, &name);
        certificates.push(certificate_bag(identity.certificate(), &encode::set_of(attributes.clone())));
        let shrouded = identity.private_key().to_encrypted_pkcs8_by(protection.scheme, protection.rounds, passphrase, random)?;
        let mut attributes = attributes;
        attributes.extend((target == Target::Windows).then(|| provider_of(identity)));
        let key = [encode::oid(&oid::SHROUDED_KEY_BAG), encode::explicit(0, &shrouded), encode::set_of(attributes)];
        keys.push(encode::sequence(&key));
    }
    certificates.extend(above(identities).map(|certificate| certificate_bag(certificate, &[])));
    let safe = encode::sequence(&[
        encrypted_safe(protection, (passphrase, &encode::sequence(&certificates)), random)?,
        content_info(oid::ID_DATA, &encode::octet_string(&encode::sequence(&keys))),
    ]);
    let mac_data = mac_data(protection, (passphrase, &safe), random);
    Ok(encode::sequence(&[encode::integer_u64(3), content_info(oid::ID_DATA, &encode::octet_string(&safe)), mac_data]))
}

/// The certificates of all chains, each once.
fn above(identities: &[Identity]) -> impl Iterator<Item = &Certificate> {
    let mut seen: Vec<&Certificate> = identities.iter().map(Identity::certificate).collect();
    let chains = identities.iter().flat_map(Identity::chain);
    chains.filter(move |certificate| {
        let is_new = !seen.contains(certificate);
        seen.extend(is_new.then_some(*certificate));
        is_new
    })
}

/// What a key and its certificate say of themselves: they name each other by the SHA-1 of the certificate, as OpenSSL does.
fn attributes_of(identity: &Identity, name: &str) -> Vec<Vec<u8>> {
    let key_id = digest::of(DigestAlgorithm::Sha1, identity.certificate().der());
    vec![attribute(oid::LOCAL_KEY_ID, &encode::octet_string(&key_id)), attribute(oid::FRIENDLY_NAME, &bmp_string(name))]
}

/// Where Windows shall put the key: its oldest provider, which RSA keys go to otherwise, has no SHA-2.
fn provider_of(identity: &Identity) -> Vec<u8> {
    let provider = match identity.private_key().algorithm() {
        KeyAlgorithm::Rsa(_) => "Microsoft Enhanced RSA and AES Cryptographic Provider",
        _ => "Microsoft Software Key Storage Provider",
    };
    attribute(oid::MS_KEY_PROVIDER, &bmp_string(provider))
}

fn encrypted_safe(protection: Protection, locked: (&Secret<Vec<u8>>, &[u8]), random: &mut dyn Random) -> Result<Vec<u8>, Error> {
    let (algorithm, encrypted) = pbe::encrypt_by(protection.scheme, protection.rounds, locked, random)?;
    let content = encode::implicit(0, &encode::octet_string(&encrypted));
    let info = encode::sequence(&[encode::oid(&oid::ID_DATA), algorithm.to_der(), content]);
    Ok(content_info(oid::ID_ENCRYPTED_DATA, &encode::sequence(&[encode::integer_u64(0), info])))
}

/// `MacData ::= SEQUENCE { mac DigestInfo, macSalt OCTET STRING, iterations INTEGER DEFAULT 1 }`
fn mac_data(protection: Protection, (passphrase, safe): (&Secret<Vec<u8>>, &[u8]), random: &mut dyn Random) -> Vec<u8> {
    let Protection { digest, rounds, .. } = protection;
    let mut salt = [0; 16];
    random.fill(&mut salt);
    let password = pbe::bmp(passphrase);
    let key = kdf::pkcs12(digest, password.expose(), &salt, Pkcs12Purpose::Mac, rounds, digest.output_len());
    let code = mac::hmac(digest, key.expose(), safe);
    let digest_info = encode::sequence(&[digest.identifier_with_null().to_der(), encode::octet_string(&code)]);
    encode::sequence(&[digest_info, encode::octet_string(&salt), encode::integer_u64(rounds)])
}

fn content_info(kind: Oid, content: &[u8]) -> Vec<u8> {
    encode::sequence(&[encode::oid(&kind), encode::explicit(0, content)])
}

fn attribute(kind: Oid, value: &[u8]) -> Vec<u8> {
    encode::sequence(&[encode::oid(&kind), encode::set_of(vec![value.to_vec()])])
}

fn bmp_string(text: &str) -> Vec<u8> {
    encode::tlv(Tag::BMP_STRING, &text.encode_utf16().flat_map(u16::to_be_bytes).collect::<Vec<_>>())
}

fn certificate_bag(certificate: &Certificate, attributes: &[u8]) -> Vec<u8> {
    let inner =
        encode::sequence(&[encode::oid(&oid::X509_CERTIFICATE), encode::explicit(0, &encode::octet_string(certificate.der()))]);
    encode::sequence(&[encode::oid(&oid::CERT_BAG), encode::explicit(0, &inner), attributes.to_vec()])
}
