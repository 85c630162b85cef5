//! RSA key transport.

use rsa::Oaep;
use rsa::pkcs1v15::Pkcs1v15Encrypt;
use rsa::traits::PaddingScheme;

use crate::crypto::algorithm::{DigestAlgorithm, KeyTransport};
use crate::crypto::key::{PrivateKey, PrivateKind, PublicKey, PublicKind};
use crate::crypto::provider::{self, Provider};
use crate::crypto::random::{Adapter, Random};
use crate::crypto::{Error, digest, external, kdf, mac};
use crate::secret::Secret;

/// Encrypts a key to an RSA key; [`Error::KeyMismatch`] where it is for signatures alone (RFC 4055 1.2).
pub fn encrypt(to: &PublicKey, transport: &KeyTransport, key: &[u8], random: &mut dyn Random) -> Result<Vec<u8>, Error> {
    if to.is_pss() {
        return Err(Error::KeyMismatch { what: "the key is for RSASSA-PSS alone" });
    }
    Provider::for_random(random).encrypt(to, transport, key, random)
}

pub(in crate::crypto) fn encrypt_in_rust(
    to: &PublicKey,
    transport: &KeyTransport,
    key: &[u8],
    random: &mut dyn Random,
) -> Result<Vec<u8>, Error> {
    let PublicKind::Rsa(to) = to.kind() else { return Err(not_rsa()) };
    let work = Encrypt { to: to.ready()?, key, source: &mut Adapter(random) };
    match transport {
        KeyTransport::RsaPkcs1 => work.run(Pkcs1v15Encrypt),
        KeyTransport::RsaOaep { digest, mgf_digest, label } => with_oaep(*digest, *mgf_digest, label, work),
    }
}

/// Decrypts a key.
///
/// Under PKCS#1 v1.5 a padding that does not fit, or a key of another length than `expected_len`, gives another key and no error
/// (RFC 3218, implicit rejection): what follows fails like any other wrong key, and nobody learns why.
pub fn decrypt(
    with: &PrivateKey,
    transport: &KeyTransport,
    encrypted: &[u8],
    expected_len: Option<usize>,
    random: &mut dyn Random,
) -> Result<Secret<Vec<u8>>, Error> {
    decrypt_by(Provider::Fastest, with, transport, encrypted, expected_len, random)
}

pub(in crate::crypto) fn decrypt_by(
    provider: Provider,
    with: &PrivateKey,
    transport: &KeyTransport,
    encrypted: &[u8],
    expected_len: Option<usize>,
    random: &mut dyn Random,
) -> Result<Secret<Vec<u8>>, Error> {
    if let PrivateKind::External(key) = with.kind() {
        return external::decrypt(key, transport, encrypted, expected_len, random);
    }
    let PrivateKind::Rsa(rsa) = with.kind() else { return Err(not_rsa()) };
    let fastest = provider == Provider::Fastest;
    match transport {
        KeyTransport::RsaPkcs1 => {
            // some writers drop leading zeros of the ciphertext
            let mut padded = vec![0; rsa.size().saturating_sub(encrypted.len())];
            padded.extend_from_slice(encrypted);
            let substitute = substitute(rsa.pkcs1().expose(), &padded, expected_len.unwrap_or(32));
            let candidate = match fastest.then(|| provider::decrypt_pkcs1(with, &padded)).flatten() {
                Some(candidate) => candidate,
                None => {
                    let decrypted = rsa.ready()?.decrypt_blinded(&mut Adapter(random), Pkcs1v15Encrypt, &padded);
                    Secret::new(decrypted.unwrap_or_default())
                }
            };
            Ok(choose(&candidate, &substitute, expected_len))
        }
        KeyTransport::RsaOaep { digest, mgf_digest, label } => {
            if fastest && let Some(decrypted) = provider::decrypt_oaep(with, (*digest, *mgf_digest), label, encrypted) {
                return decrypted;
            }
            let work = Decrypt { with: rsa.ready()?, encrypted, source: &mut Adapter(random) };
            with_oaep(*digest, *mgf_digest, label, work).map(Secret::new)
        }
    }
}

/// What stands for a key whose padding does not fit: the same for the same ciphertext, as a key that fits is. One that is drawn anew would
/// tell by changing that it is none.
pub(in crate::crypto) fn substitute(private: &[u8], encrypted: &[u8], len: usize) -> Secret<Vec<u8>> {
    let key = Secret::new(digest::of(DigestAlgorithm::Sha256, private));
    let seed = Secret::new(mac::hmac(DigestAlgorithm::Sha256, key.expose(), encrypted));
    kdf::hkdf(DigestAlgorithm::Sha256, seed.expose(), &[], b"implicit rejection", len)
}

/// The candidate where its length fits, else the substitute; the bytes are chosen without a branch on their values.
pub(in crate::crypto) fn choose(
    candidate: &Secret<Vec<u8>>,
    substitute: &Secret<Vec<u8>>,
    expected_len: Option<usize>,
) -> Secret<Vec<u8>> {
    use subtle::{ConditionallySelectable, ConstantTimeEq};
    let len = expected_len
        .unwrap_or_else(|| if candidate.expose().is_empty() { substitute.expose().len() } else { candidate.expose().len() });
    let fits = (candidate.expose().len() as u64).ct_eq(&(len as u64));
    let chosen = (0..len).map(|at| {
        let from = |key: &Secret<Vec<u8>>| key.expose().get(at).copied().unwrap_or(0);
        u8::conditional_select(&from(substitute), &from(candidate), fits)
    });
    Secret::new(chosen.collect())
}

/// What is done with an OAEP padding whose digests are known only when running.
trait WithPadding {
    fn run(self, padding: impl PaddingScheme) -> Result<Vec<u8>, Error>;
}

struct Encrypt<'a, 'b> {
    to: &'a rsa::RsaPublicKey,
    key: &'a [u8],
    source: &'a mut Adapter<'b>,
}

impl WithPadding for Encrypt<'_, '_> {
    fn run(self, padding: impl PaddingScheme) -> Result<Vec<u8>, Error> {
        let encrypted = self.to.encrypt(self.source, padding, self.key);
        encrypted.map_err(|_| Error::Malformed { what: "the RSA key is too small to carry the content key" })
    }
}

struct Decrypt<'a, 'b> {
    with: &'a rsa::RsaPrivateKey,
    encrypted: &'a [u8],
    source: &'a mut Adapter<'b>,
}

impl WithPadding for Decrypt<'_, '_> {
    fn run(self, padding: impl PaddingScheme) -> Result<Vec<u8>, Error> {
        self.with.decrypt_blinded(self.source, padding, self.encrypted).map_err(|_| Error::Unwrap)
    }
}

fn with_oaep(digest: DigestAlgorithm, mgf: DigestAlgorithm, label: &[u8], work: impl WithPadding) -> Result<Vec<u8>, Error> {
    macro_rules! table {
        ($(($d:ident, $dt:ty)),*; $mgfs:tt) => {
            match digest {
                $(DigestAlgorithm::$d => table!(@mgf $dt; $mgfs),)*
                other => Err(Error::Unsupported { what: "OAEP digest", name: other.name().to_owned() }),
            }
        };
        (@mgf $dt:ty; ($(($m:ident, $mt:ty)),*)) => {
            match mgf {
                $(DigestAlgorithm::$m => work.run(Oaep::<$dt, $mt>::new_with_mgf_hash_and_label(label)),)*
                other => Err(Error::Unsupported { what: "OAEP mask digest", name: other.name().to_owned() }),
            }
        };
    }
    macro_rules! usual {
        ($(($d:ident, $dt:ty)),*) => {
            match (digest, mgf) {
                $((DigestAlgorithm::$d, DigestAlgorithm::$d) => return work.run(Oaep::<$dt>::new_with_label(label)),
                (DigestAlgorithm::$d, DigestAlgorithm::Sha1) => {
                    return work.run(Oaep::<$dt, sha1::Sha1>::new_with_mgf_hash_and_label(label));
                })*
                _ => {}
            }
        };
    }
    // rare ones, and code for each pair: the masks that writers take
    usual!((Sha512_224, sha2::Sha512_224), (Sha512_256, sha2::Sha512_256), (Sha3_224, sha3::Sha3_224));
    table!((Sha1, sha1::Sha1), (Sha224, sha2::Sha224), (Sha256, sha2::Sha256), (Sha384, sha2::Sha384), (Sha512, sha2::Sha512),
        (Sha3_256, sha3::Sha3_256), (Sha3_384, sha3::Sha3_384), (Sha3_512, sha3::Sha3_512);
        ((Sha1, sha1::Sha1), (Sha224, sha2::Sha224), (Sha256, sha2::Sha256), (Sha384, sha2::Sha384), (Sha512, sha2::Sha512),
        (Sha3_256, sha3::Sha3_256), (Sha3_384, sha3::Sha3_384), (Sha3_512, sha3::Sha3_512)))
}

pub(in crate::crypto) fn not_rsa() -> Error {
    Error::KeyMismatch { what: "RSA key transport needs an RSA key" }
}
