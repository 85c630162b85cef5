//! Encryption by password: PBES2 (RFC 8018) and PKCS#12 PBE (RFC 7292) written and read, PBES1 read.

mod derive;
mod passwords;

use rc4::{KeyInit, Rc4, StreamCipher};

use crate::asn1::{Cursor, Oid, encode, oid};
use crate::crypto::Error;
use crate::crypto::algorithm::{AlgorithmIdentifier, CipherParameters, ContentCipher, DigestAlgorithm};
use crate::crypto::cipher::{Decryptor, Encryptor};
use crate::crypto::kdf::{self, Pkcs12Purpose};
use crate::crypto::random::Random;
use crate::secret::Secret;

pub use derive::{Cost, derive_key, hmac_digest, named_length};
pub use passwords::{Passwords, bmp};

/// How something is encrypted by password.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scheme {
    /// PBES2 with PBKDF2-HMAC-SHA-256 and AES-256-CBC, as today's programs read it.
    Aes256,
    /// PKCS#12's own derivation with SHA-1 and three-key Triple DES: what programs read that know no PBES2.
    TripleDes,
}

/// Rounds that we write where nobody asks for another number: OWASP's figure of 2023 for PBKDF2-HMAC-SHA-256.
pub const ITERATIONS: u64 = 600_000;

/// Encrypts with PBES2: PBKDF2-HMAC-SHA-256, AES-256-CBC.
pub fn encrypt(
    passphrase: &Secret<Vec<u8>>,
    plain: &[u8],
    random: &mut dyn Random,
) -> Result<(AlgorithmIdentifier, Vec<u8>), Error> {
    encrypt_by(Scheme::Aes256, ITERATIONS, (passphrase, plain), random)
}

/// Salts that are tried until GnuPG, too, derives the same key from one: each fails once in 60 times or so.
const SALTS: usize = 8;

/// Encrypts by a scheme with so many rounds.
pub fn encrypt_by(
    scheme: Scheme,
    rounds: u64,
    (passphrase, plain): (&Secret<Vec<u8>>, &[u8]),
    random: &mut dyn Random,
) -> Result<(AlgorithmIdentifier, Vec<u8>), Error> {
    let mut salt = [0; 16];
    random.fill(&mut salt);
    let (algorithm, cipher, key) = match scheme {
        Scheme::Aes256 => {
            let cipher = CipherParameters::generate(ContentCipher::Aes256Cbc, random);
            let key = kdf::pbkdf2(DigestAlgorithm::Sha256, passphrase.expose(), &salt, rounds, 32);
            let hmac = AlgorithmIdentifier::with_null(oid::HMAC_SHA256).to_der();
            let derivation = encode::sequence(&[encode::octet_string(&salt), encode::integer_u64(rounds), hmac]);
            let derivation = AlgorithmIdentifier::with(oid::PBKDF2, derivation).to_der();
            let parameters = encode::sequence(&[derivation, cipher.identifier().to_der()]);
            (AlgorithmIdentifier::with(oid::PBES2, parameters), cipher, key)
        }
        Scheme::TripleDes => {
            let password = bmp(passphrase);
            let derive = |salt: &[u8], purpose, len| {
                kdf::pkcs12_watched(DigestAlgorithm::Sha1, (password.expose(), salt), purpose, rounds, len)
            };
            let (mut key, mut opens_everywhere) = derive(&salt, Pkcs12Purpose::Key, 24);
            for _ in 0..SALTS {
                if opens_everywhere {
                    break;
                }
                random.fill(&mut salt);
                (key, opens_everywhere) = derive(&salt, Pkcs12Purpose::Key, 24);
            }
            let iv = derive(&salt, Pkcs12Purpose::Iv, 8).0.expose().clone();
            let cipher = CipherParameters { cipher: ContentCipher::DesEde3Cbc, iv, tag_len: 0 };
            let parameters = encode::sequence(&[encode::octet_string(&salt), encode::integer_u64(rounds)]);
            let algorithm = AlgorithmIdentifier::with(oid::PKCS12_DES_EDE3, parameters);
            (algorithm, cipher, key)
        }
    };
    let mut out = Vec::new();
    let mut encryptor = Encryptor::new(&cipher, key.expose())?;
    encryptor.update(plain, &mut out);
    encryptor.finish(&[], &mut out)?;
    Ok((algorithm, out))
}

/// RFC 8018 appendix B.2.3: PBES1 has 64 effective bits.
const RC2_64: ContentCipher = ContentCipher::Rc2Cbc { effective_bits: 64 };

/// Decrypts one SEQUENCE, which is what key files encrypt; what decrypts to anything else is [`Error::WrongPassphrase`],
/// since the padding of a wrong one fits once in 256 times.
pub fn decrypt_sequence(
    algorithm: &AlgorithmIdentifier,
    passwords: &Passwords,
    encrypted: &[u8],
    cost: &mut Cost,
) -> Result<Secret<Vec<u8>>, Error> {
    let forms = if PKCS12_SCHEMES.contains(&algorithm.oid) { passwords.wide() } else { passwords.plain() };
    for password in forms {
        match decrypt(algorithm, password, encrypted, cost) {
            Ok(plain) if is_sequence(plain.expose()) => return Ok(plain),
            Ok(_) | Err(Error::WrongPassphrase) => {}
            Err(error) => return Err(error),
        }
    }
    Err(Error::WrongPassphrase)
}

/// Whether it is one SEQUENCE and nothing else.
pub(in crate::crypto) fn is_sequence(plain: &[u8]) -> bool {
    let mut outer = Cursor::new(plain);
    outer.sequence().is_ok() && outer.finish().is_ok()
}

/// The schemes of RFC 7292 appendix C, whose password is UTF-16.
const PKCS12_SCHEMES: [Oid; 6] = [
    oid::PKCS12_RC4_128,
    oid::PKCS12_RC4_40,
    oid::PKCS12_DES_EDE3,
    oid::PKCS12_DES_EDE2,
    oid::PKCS12_RC2_128,
    oid::PKCS12_RC2_40,
];

/// Decrypts by any scheme that key files use, with the password in the form that the scheme takes ([`Passwords`]). A wrong one is
/// [`Error::WrongPassphrase`] as far as the padding tells.
pub fn decrypt(
    algorithm: &AlgorithmIdentifier,
    password: &Secret<Vec<u8>>,
    encrypted: &[u8],
    cost: &mut Cost,
) -> Result<Secret<Vec<u8>>, Error> {
    let parameters = algorithm.real_parameters().ok_or(Error::Malformed { what: "a password encryption without parameters" })?;
    let (cipher, key) = match algorithm.oid {
        oid::PBES2 => pbes2(parameters, password, cost)?,
        oid::PBE_MD5_DES => pbes1(parameters, password, (DigestAlgorithm::Md5, ContentCipher::DesCbc), cost)?,
        oid::PBE_SHA1_DES => pbes1(parameters, password, (DigestAlgorithm::Sha1, ContentCipher::DesCbc), cost)?,
        oid::PBE_MD5_RC2 => pbes1(parameters, password, (DigestAlgorithm::Md5, RC2_64), cost)?,
        oid::PBE_SHA1_RC2 => pbes1(parameters, password, (DigestAlgorithm::Sha1, RC2_64), cost)?,
        oid::PKCS12_RC4_128 => return rc4(&pkcs12_key(parameters, password, 16, cost)?, encrypted),
        oid::PKCS12_RC4_40 => return rc4(&pkcs12_key(parameters, password, 5, cost)?, encrypted),
        oid::PKCS12_DES_EDE3 => pkcs12(parameters, password, (ContentCipher::DesEde3Cbc, 24), cost)?,
        oid::PKCS12_DES_EDE2 => {
            let (cipher, key) = pkcs12(parameters, password, (ContentCipher::DesEde3Cbc, 16), cost)?;
            let mut three = key.expose().clone();
            three.extend_from_within(..8);
            (cipher, Secret::new(three))
        }
        oid::PKCS12_RC2_128 => pkcs12(parameters, password, (ContentCipher::Rc2Cbc { effective_bits: 128 }, 16), cost)?,
        oid::PKCS12_RC2_40 => pkcs12(parameters, password, (ContentCipher::Rc2Cbc { effective_bits: 40 }, 5), cost)?,
        _ => return Err(Error::Unsupported { what: "password encryption", name: algorithm.name() }),
    };
    decrypt_with(&cipher, &key, encrypted)
}

/// Decrypts what a padded cipher made under a key from a password; padding that does not fit is [`Error::WrongPassphrase`].
pub(in crate::crypto) fn decrypt_with(
    cipher: &CipherParameters,
    key: &Secret<Vec<u8>>,
    encrypted: &[u8],
) -> Result<Secret<Vec<u8>>, Error> {
    let mut plain = Secret::new(Vec::with_capacity(encrypted.len()));
    let mut decryptor = Decryptor::new(cipher, key.expose())?;
    decryptor.update(encrypted, plain.expose_mut());
    decryptor.finish(&[], None, plain.expose_mut()).map_err(|_| Error::WrongPassphrase)?;
    Ok(plain)
}

fn rc4(key: &Secret<Vec<u8>>, encrypted: &[u8]) -> Result<Secret<Vec<u8>>, Error> {
    let mut cipher =
        Rc4::new_from_slice(key.expose()).map_err(|_| Error::Malformed { what: "an RC4 key that cannot be read" })?;
    let mut plain = Secret::new(encrypted.to_vec());
    cipher.apply_keystream(plain.expose_mut());
    Ok(plain)
}

/// `PBES2-params ::= SEQUENCE { keyDerivationFunc, encryptionScheme }`
fn pbes2(parameters: &[u8], password: &Secret<Vec<u8>>, cost: &mut Cost) -> Result<(CipherParameters, Secret<Vec<u8>>), Error> {
    let mut outer = Cursor::new(parameters);
    let mut fields = outer.sequence()?;
    let derivation = AlgorithmIdentifier::from_cursor(&mut fields)?;
    let encryption = AlgorithmIdentifier::from_cursor(&mut fields)?;
    let cipher = CipherParameters::from_identifier(&encryption)?;
    fields.finish()?;
    // their tag would have no place
    if cipher.cipher.is_authenticated() {
        return Err(Error::Unsupported { what: "password encryption", name: encryption.name() });
    }
    let key = derive_key(&derivation, password.expose(), cipher.cipher.key_len(), cost)?;
    Ok((cipher, key))
}

/// `PBEParameter ::= SEQUENCE { salt OCTET STRING (SIZE(8)), iterationCount INTEGER }` (RFC 8018 6.1.2): eight bytes of key, eight of IV.
fn pbes1(
    parameters: &[u8],
    password: &Secret<Vec<u8>>,
    (digest, cipher): (DigestAlgorithm, ContentCipher),
    cost: &mut Cost,
) -> Result<(CipherParameters, Secret<Vec<u8>>), Error> {
    let (salt, iterations) = salt_and_iterations(parameters)?;
    cost.spend(iterations, digest, digest.output_len())?;
    let derived = kdf::pbkdf1(digest, password.expose(), &salt, iterations);
    let (key, rest) = derived.expose().split_at_checked(8).unwrap_or_default();
    let iv = rest.get(..8).unwrap_or_default().to_vec();
    Ok((CipherParameters { cipher, iv, tag_len: 0 }, Secret::new(key.to_vec())))
}

fn pkcs12(
    parameters: &[u8],
    password: &Secret<Vec<u8>>,
    (cipher, key_len): (ContentCipher, usize),
    cost: &mut Cost,
) -> Result<(CipherParameters, Secret<Vec<u8>>), Error> {
    let (salt, iterations) = salt_and_iterations(parameters)?;
    cost.spend(iterations, DigestAlgorithm::Sha1, 8)?;
    let iv = kdf::pkcs12(DigestAlgorithm::Sha1, password.expose(), &salt, Pkcs12Purpose::Iv, iterations, 8);
    let key = pkcs12_key(parameters, password, key_len, cost)?;
    Ok((CipherParameters { cipher, iv: iv.expose().clone(), tag_len: 0 }, key))
}

fn pkcs12_key(parameters: &[u8], password: &Secret<Vec<u8>>, len: usize, cost: &mut Cost) -> Result<Secret<Vec<u8>>, Error> {
    let (salt, iterations) = salt_and_iterations(parameters)?;
    cost.spend(iterations, DigestAlgorithm::Sha1, len)?;
    Ok(kdf::pkcs12(DigestAlgorithm::Sha1, password.expose(), &salt, Pkcs12Purpose::Key, iterations, len))
}

/// `pkcs-12PbeParams ::= SEQUENCE { salt OCTET STRING, iterations INTEGER }`, and the same of PBES1.
fn salt_and_iterations(parameters: &[u8]) -> Result<(Vec<u8>, u64), Error> {
    let mut outer = Cursor::new(parameters);
    let mut fields = outer.sequence()?;
    let salt = fields.octet_string()?.into_owned();
    let iterations = fields.small_unsigned()?.max(1);
    fields.finish()?;
    Ok((salt, iterations))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crypto::random::Seeded;

    /// The salt that is in the parameters, and whether GnuPG derives the same key from it.
    fn salt_of(algorithm: &AlgorithmIdentifier, passphrase: &Secret<Vec<u8>>) -> (Vec<u8>, bool) {
        let (salt, rounds) = salt_and_iterations(algorithm.real_parameters().expect("parameters")).expect("read");
        let password = bmp(passphrase);
        let (_, whole) = kdf::pkcs12_watched(DigestAlgorithm::Sha1, (password.expose(), &salt), Pkcs12Purpose::Key, rounds, 24);
        (salt, whole)
    }

    #[test]
    fn a_salt_from_which_gnupg_derives_another_key_is_not_used() {
        let passphrase = Secret::new(b"secret".to_vec());
        let mut others = 0;
        for seed in 0..400_u32 {
            let mut drawn = [0; 16];
            Seeded::new(&seed.to_be_bytes()).fill(&mut drawn);
            let random = &mut Seeded::new(&seed.to_be_bytes());
            let (algorithm, _) = encrypt_by(Scheme::TripleDes, 1, (&passphrase, b"plain"), random).expect("encrypted");
            let (salt, whole) = salt_of(&algorithm, &passphrase);
            assert!(whole, "seed {seed}");
            others += usize::from(salt != drawn);
        }
        // two blocks, a zero byte in front of each once in 256 times: three of 400
        assert!((1..20).contains(&others), "{others} salts of 400 were drawn again");
    }
}
