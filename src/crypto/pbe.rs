//! Encryption by password: PBES2 (RFC 8018) written and read, PBES1 and PKCS#12 PBE (RFC 7292) read.

use crate::asn1::{Cursor, Tag, encode, oid};
use crate::crypto::Error;
use crate::crypto::algorithm::{AlgorithmIdentifier, CipherParameters, ContentCipher, DigestAlgorithm};
use crate::crypto::cipher::{Decryptor, Encryptor};
use crate::crypto::kdf::{self, Pkcs12Purpose};
use crate::crypto::random::Random;
use crate::limits::{Budget, Limits};
use crate::secret::Secret;

/// Rounds of PBKDF2 that we write: OWASP's figure of 2023 for HMAC-SHA-256.
const ITERATIONS: u64 = 600_000;

/// Encrypts with PBES2: PBKDF2-HMAC-SHA-256, AES-256-CBC.
pub fn encrypt(
    passphrase: &Secret<Vec<u8>>,
    plain: &[u8],
    random: &mut dyn Random,
) -> Result<(AlgorithmIdentifier, Vec<u8>), Error> {
    let mut salt = [0; 16];
    random.fill(&mut salt);
    let cipher = CipherParameters::generate(ContentCipher::Aes256Cbc, random);
    let key = kdf::pbkdf2(DigestAlgorithm::Sha256, passphrase.expose(), &salt, ITERATIONS, 32);
    let mut out = Vec::new();
    let mut encryptor = Encryptor::new(&cipher, key.expose())?;
    encryptor.update(plain, &mut out);
    encryptor.finish(&[], &mut out)?;
    let kdf = encode::sequence(&[
        encode::octet_string(&salt),
        encode::integer_u64(ITERATIONS),
        AlgorithmIdentifier::with_null(oid::HMAC_SHA256).to_der(),
    ]);
    let parameters = encode::sequence(&[AlgorithmIdentifier::with(oid::PBKDF2, kdf).to_der(), cipher.identifier().to_der()]);
    Ok((AlgorithmIdentifier::with(oid::PBES2, parameters), out))
}

/// The rounds that the key derivations of one file or message may take, together.
pub fn rounds(limits: &Limits) -> Budget {
    Budget::new("kdf iterations", limits.kdf_iterations)
}

/// RFC 8018 appendix B.2.3: PBES1 has 64 effective bits.
const RC2_64: ContentCipher = ContentCipher::Rc2Cbc { effective_bits: 64 };

/// Decrypts one SEQUENCE, which is what key files encrypt; what decrypts to anything else is [`Error::WrongPassphrase`],
/// since the padding of a wrong one fits once in 256 times.
pub fn decrypt_sequence(
    algorithm: &AlgorithmIdentifier,
    passphrase: &Secret<Vec<u8>>,
    encrypted: &[u8],
    rounds: &mut Budget,
) -> Result<Secret<Vec<u8>>, Error> {
    for bmp in bmp_forms(passphrase) {
        match decrypt_as(algorithm, (passphrase, &bmp), encrypted, rounds) {
            Ok(plain) if is_sequence(plain.expose()) => return Ok(plain),
            Ok(_) | Err(Error::WrongPassphrase) => {}
            Err(error) => return Err(error),
        }
    }
    Err(Error::WrongPassphrase)
}

/// Decrypts by any scheme that key files use. A wrong passphrase is [`Error::WrongPassphrase`] as far as the padding tells.
pub fn decrypt(
    algorithm: &AlgorithmIdentifier,
    passphrase: &Secret<Vec<u8>>,
    encrypted: &[u8],
    rounds: &mut Budget,
) -> Result<Secret<Vec<u8>>, Error> {
    decrypt_as(algorithm, (passphrase, &bmp_passphrase(passphrase)), encrypted, rounds)
}

fn is_sequence(plain: &[u8]) -> bool {
    let mut outer = Cursor::new(plain);
    outer.sequence().is_ok() && outer.finish().is_ok()
}

fn decrypt_as(
    algorithm: &AlgorithmIdentifier,
    (passphrase, bmp): (&Secret<Vec<u8>>, &Secret<Vec<u8>>),
    encrypted: &[u8],
    rounds: &mut Budget,
) -> Result<Secret<Vec<u8>>, Error> {
    let unsupported = || Error::Unsupported { what: "password encryption", name: algorithm.name() };
    let parameters = algorithm.real_parameters().ok_or(Error::Malformed { what: "a password encryption without parameters" })?;
    let (cipher, key) = match algorithm.oid {
        oid::PBES2 => pbes2(parameters, passphrase, rounds)?,
        oid::PBE_MD5_DES => pbes1(parameters, passphrase, DigestAlgorithm::Md5, ContentCipher::DesCbc, rounds)?,
        oid::PBE_SHA1_DES => pbes1(parameters, passphrase, DigestAlgorithm::Sha1, ContentCipher::DesCbc, rounds)?,
        oid::PBE_MD5_RC2 => pbes1(parameters, passphrase, DigestAlgorithm::Md5, RC2_64, rounds)?,
        oid::PBE_SHA1_RC2 => pbes1(parameters, passphrase, DigestAlgorithm::Sha1, RC2_64, rounds)?,
        oid::PKCS12_DES_EDE3 => pkcs12(parameters, bmp, ContentCipher::DesEde3Cbc, 24, rounds)?,
        oid::PKCS12_DES_EDE2 => {
            let (cipher, key) = pkcs12(parameters, bmp, ContentCipher::DesEde3Cbc, 16, rounds)?;
            let mut three = key.expose().clone();
            three.extend_from_within(..8);
            (cipher, Secret::new(three))
        }
        oid::PKCS12_RC2_128 => pkcs12(parameters, bmp, ContentCipher::Rc2Cbc { effective_bits: 128 }, 16, rounds)?,
        oid::PKCS12_RC2_40 => pkcs12(parameters, bmp, ContentCipher::Rc2Cbc { effective_bits: 40 }, 5, rounds)?,
        _ => return Err(unsupported()),
    };
    let mut plain = Secret::new(Vec::with_capacity(encrypted.len()));
    let mut decryptor = Decryptor::new(&cipher, key.expose())?;
    decryptor.update(encrypted, plain.expose_mut());
    decryptor.finish(&[], None, plain.expose_mut()).map_err(|_| Error::WrongPassphrase)?;
    Ok(plain)
}

/// A passphrase as PKCS#12 has it: UTF-16BE and two zero bytes (RFC 7292 appendix B.1).
pub fn bmp_passphrase(passphrase: &Secret<Vec<u8>>) -> Secret<Vec<u8>> {
    let text = Secret::new(String::from_utf8_lossy(passphrase.expose()).into_owned());
    Secret::new(text.expose().encode_utf16().chain([0]).flat_map(u16::to_be_bytes).collect())
}

/// The forms that programs give a passphrase: an empty one is two zero bytes for some and nothing for others.
pub fn bmp_forms(passphrase: &Secret<Vec<u8>>) -> Vec<Secret<Vec<u8>>> {
    let mut forms = vec![bmp_passphrase(passphrase)];
    if passphrase.expose().is_empty() {
        forms.push(Secret::new(Vec::new()));
    }
    forms
}

/// The digest of an HMAC identifier.
pub fn hmac_digest(identifier: &AlgorithmIdentifier) -> Result<DigestAlgorithm, Error> {
    match identifier.oid {
        oid::HMAC_SHA1 => Ok(DigestAlgorithm::Sha1),
        oid::HMAC_SHA224 => Ok(DigestAlgorithm::Sha224),
        oid::HMAC_SHA256 => Ok(DigestAlgorithm::Sha256),
        oid::HMAC_SHA384 => Ok(DigestAlgorithm::Sha384),
        oid::HMAC_SHA512 => Ok(DigestAlgorithm::Sha512),
        _ => Err(Error::Unsupported { what: "message authentication", name: identifier.name() }),
    }
}

/// A key by PBKDF2 with parameters as received; `len` where they do not name one.
pub fn pbkdf2_key(
    algorithm: &AlgorithmIdentifier,
    passphrase: &[u8],
    len: usize,
    rounds: &mut Budget,
) -> Result<Secret<Vec<u8>>, Error> {
    if algorithm.oid != oid::PBKDF2 {
        return Err(Error::Unsupported { what: "key derivation", name: algorithm.name() });
    }
    let mut outer = Cursor::new(algorithm.real_parameters().ok_or(Error::Malformed { what: "PBKDF2 without parameters" })?);
    let mut fields = outer.sequence()?;
    let salt = fields.octet_string()?;
    let iterations = fields.small_unsigned()?.max(1);
    let mut len = len;
    if fields.peek() == Some(Tag::INTEGER) {
        len = usize::try_from(fields.small_unsigned()?).unwrap_or(usize::MAX).min(128);
    }
    let mut digest = DigestAlgorithm::Sha1;
    if !fields.is_empty() {
        digest = hmac_digest(&AlgorithmIdentifier::from_cursor(&mut fields)?)?;
    }
    fields.finish()?;
    spend(rounds, iterations, digest, len)?;
    Ok(kdf::pbkdf2(digest, passphrase, &salt, iterations, len))
}

/// `PBES2-params ::= SEQUENCE { keyDerivationFunc, encryptionScheme }`
fn pbes2(
    parameters: &[u8],
    passphrase: &Secret<Vec<u8>>,
    rounds: &mut Budget,
) -> Result<(CipherParameters, Secret<Vec<u8>>), Error> {
    let mut outer = Cursor::new(parameters);
    let mut fields = outer.sequence()?;
    let derivation = AlgorithmIdentifier::from_cursor(&mut fields)?;
    let cipher = CipherParameters::from_identifier(&AlgorithmIdentifier::from_cursor(&mut fields)?)?;
    fields.finish()?;
    let key = pbkdf2_key(&derivation, passphrase.expose(), cipher.cipher.key_len(), rounds)?;
    Ok((cipher, key))
}

/// `PBEParameter ::= SEQUENCE { salt OCTET STRING (SIZE(8)), iterationCount INTEGER }` (RFC 8018 6.1.2): eight bytes of key, eight of IV.
fn pbes1(
    parameters: &[u8],
    passphrase: &Secret<Vec<u8>>,
    digest: DigestAlgorithm,
    cipher: ContentCipher,
    rounds: &mut Budget,
) -> Result<(CipherParameters, Secret<Vec<u8>>), Error> {
    let mut outer = Cursor::new(parameters);
    let mut fields = outer.sequence()?;
    let salt = fields.octet_string()?;
    let iterations = fields.small_unsigned()?.max(1);
    fields.finish()?;
    spend(rounds, iterations, digest, digest.output_len())?;
    let derived = kdf::pbkdf1(digest, passphrase.expose(), &salt, iterations);
    let (key, rest) = derived.expose().split_at_checked(8).unwrap_or_default();
    let iv = rest.get(..8).unwrap_or_default().to_vec();
    Ok((CipherParameters { cipher, iv, tag_len: 0 }, Secret::new(key.to_vec())))
}

/// `pkcs-12PbeParams ::= SEQUENCE { salt OCTET STRING, iterations INTEGER }`
fn pkcs12(
    parameters: &[u8],
    password: &Secret<Vec<u8>>,
    cipher: ContentCipher,
    key_len: usize,
    rounds: &mut Budget,
) -> Result<(CipherParameters, Secret<Vec<u8>>), Error> {
    let mut outer = Cursor::new(parameters);
    let mut fields = outer.sequence()?;
    let salt = fields.octet_string()?;
    let iterations = fields.small_unsigned()?.max(1);
    fields.finish()?;
    let derive = |purpose, len, rounds: &mut Budget| {
        spend(rounds, iterations, DigestAlgorithm::Sha1, len)?;
        Ok::<_, Error>(kdf::pkcs12(DigestAlgorithm::Sha1, password.expose(), &salt, purpose, iterations, len))
    };
    let iv = derive(Pkcs12Purpose::Iv, 8, rounds)?.expose().clone();
    Ok((CipherParameters { cipher, iv, tag_len: 0 }, derive(Pkcs12Purpose::Key, key_len, rounds)?))
}

/// Spends the rounds of a key of `len` bytes: each block of the digest takes all of them.
pub fn spend(rounds: &mut Budget, iterations: u64, digest: DigestAlgorithm, len: usize) -> Result<(), Error> {
    let blocks = u64::try_from(len.div_ceil(digest.output_len())).unwrap_or(u64::MAX);
    Ok(rounds.spend(iterations.saturating_mul(blocks))?)
}
