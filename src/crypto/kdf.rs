//! Keys from passwords and from shared secrets.

use crate::crypto::Error;
use crate::crypto::algorithm::DigestAlgorithm;
use crate::crypto::digest::{self, Digest};
use crate::crypto::mac::Hmac;
use crate::crypto::provider::{self, Provider};
use crate::secret::Secret;

/// The key derivation of ANSI X9.63 (SEC 1 3.6.1).
pub fn x963(digest: DigestAlgorithm, shared: &[u8], info: &[u8], len: usize) -> Secret<Vec<u8>> {
    let mut key = Secret::new(Vec::with_capacity(len.saturating_add(64)));
    let mut counter: u32 = 1;
    while key.expose().len() < len {
        let mut block = Digest::new(digest);
        block.update(shared);
        block.update(&counter.to_be_bytes());
        block.update(info);
        key.expose_mut().extend_from_slice(&block.finish());
        counter = counter.wrapping_add(1);
    }
    key.expose_mut().truncate(len);
    key
}

/// HKDF (RFC 5869); at most 255 times what the digest gives.
pub fn hkdf(digest: DigestAlgorithm, shared: &[u8], salt: &[u8], info: &[u8], len: usize) -> Secret<Vec<u8>> {
    hkdf_by(Provider::Fastest, digest, (shared, salt), info, len)
}

pub(in crate::crypto) fn hkdf_by(
    provider: Provider,
    digest: DigestAlgorithm,
    (shared, salt): (&[u8], &[u8]),
    info: &[u8],
    len: usize,
) -> Secret<Vec<u8>> {
    // no salt is zeros, which an HMAC key is filled up with anyhow (2.2)
    let extracted = Secret::new(Hmac::by(provider, digest, salt).of(&[shared]));
    let expand = Hmac::by(provider, digest, extracted.expose());
    let mut key = Secret::new(Vec::with_capacity(len.saturating_add(64)));
    let mut block = Secret::new(Vec::new());
    for counter in 1..=u8::MAX {
        if key.expose().len() >= len {
            break;
        }
        block = Secret::new(expand.of(&[block.expose(), info, &[counter]]));
        key.expose_mut().extend_from_slice(block.expose());
    }
    key.expose_mut().truncate(len);
    key
}

/// PBKDF2 (RFC 8018 5.2).
pub fn pbkdf2(digest: DigestAlgorithm, password: &[u8], salt: &[u8], iterations: u64, len: usize) -> Secret<Vec<u8>> {
    pbkdf2_by(Provider::Fastest, digest, (password, salt), iterations, len)
}

pub(in crate::crypto) fn pbkdf2_by(
    provider: Provider,
    digest: DigestAlgorithm,
    (password, salt): (&[u8], &[u8]),
    iterations: u64,
    len: usize,
) -> Secret<Vec<u8>> {
    let rounds = u32::try_from(iterations).unwrap_or(u32::MAX);
    let mut key = Secret::new(vec![0; len]);
    let out = key.expose_mut().as_mut_slice();
    if provider == Provider::Fastest && provider::pbkdf2(digest, password, salt, rounds, out) {
        return key;
    }
    match digest {
        DigestAlgorithm::Sha1 => ::pbkdf2::pbkdf2_hmac::<sha1::Sha1>(password, salt, rounds, out),
        DigestAlgorithm::Sha224 => ::pbkdf2::pbkdf2_hmac::<sha2::Sha224>(password, salt, rounds, out),
        DigestAlgorithm::Sha256 => ::pbkdf2::pbkdf2_hmac::<sha2::Sha256>(password, salt, rounds, out),
        DigestAlgorithm::Sha384 => ::pbkdf2::pbkdf2_hmac::<sha2::Sha384>(password, salt, rounds, out),
        DigestAlgorithm::Sha512 => ::pbkdf2::pbkdf2_hmac::<sha2::Sha512>(password, salt, rounds, out),
        other => pbkdf2_plain(other, password, salt, rounds, out),
    }
    key
}

/// PBKDF2 over any digest.
fn pbkdf2_plain(digest: DigestAlgorithm, password: &[u8], salt: &[u8], rounds: u32, out: &mut [u8]) {
    let hmac = Hmac::by(Provider::Fastest, digest, password);
    for (index, chunk) in (1_u32..).zip(out.chunks_mut(digest.output_len())) {
        let mut block = hmac.of(&[salt, &index.to_be_bytes()]);
        let mut sum = block.clone();
        for _ in 1..rounds {
            block = hmac.of(&[&block]);
            sum.iter_mut().zip(&block).for_each(|(a, b)| *a ^= b);
        }
        chunk.iter_mut().zip(sum).for_each(|(to, from)| *to = from);
    }
}

/// scrypt (RFC 7914) with cost N (a power of two), block size r and parallelization p. The caller bounds what they take.
pub fn scrypt(password: &[u8], salt: &[u8], (n, r, p): (u64, u64, u64), len: usize) -> Result<Secret<Vec<u8>>, Error> {
    let malformed = || Error::Malformed { what: "scrypt with parameters that it does not have" };
    let small = |value: u64| u32::try_from(value).ok().filter(|value| (1..1 << 30).contains(value));
    let log_n = u8::try_from(n.trailing_zeros()).ok().filter(|_| n.is_power_of_two() && n > 1);
    // the product: RFC 7914 section 2; the crate multiplies without looking
    let (Some(log_n), Some(r), Some(p), true) = (log_n, small(r), small(p), r.saturating_mul(p) < 1 << 30) else {
        return Err(malformed());
    };
    let mut key = Secret::new(vec![0; len]);
    let parameters = ::scrypt::Params::new(log_n, r, p).map_err(|_| malformed())?;
    ::scrypt::scrypt(password, salt, &parameters, key.expose_mut()).map_err(|_| malformed())?;
    Ok(key)
}

/// PBKDF1 (RFC 8018 5.1): as many bytes as the digest gives.
pub fn pbkdf1(digest: DigestAlgorithm, password: &[u8], salt: &[u8], iterations: u64) -> Secret<Vec<u8>> {
    let mut first = Digest::new(digest);
    first.update(password);
    first.update(salt);
    let mut key = Secret::new(first.finish());
    for _ in 1..iterations {
        key = Secret::new(digest::of(digest, key.expose()));
    }
    key
}

/// What a key derived from a PKCS#12 password is for (RFC 7292 appendix B.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pkcs12Purpose {
    /// A cipher key.
    Key = 1,
    /// An initialization vector.
    Iv = 2,
    /// A MAC key.
    Mac = 3,
}

/// The key derivation of PKCS#12 (RFC 7292 appendix B.2); `password` is UTF-16BE with its two zero bytes, or empty.
pub fn pkcs12(
    digest: DigestAlgorithm,
    password: &[u8],
    salt: &[u8],
    purpose: Pkcs12Purpose,
    iterations: u64,
    len: usize,
) -> Secret<Vec<u8>> {
    pkcs12_watched(digest, (password, salt), purpose, iterations, len).0
}

/// [`pkcs12`], and whether no block of what is hashed in a second round or a later one begins with a zero byte. GnuPG 2.2 leaves that
/// byte out and derives another key, so that one file in 60 cannot be opened there.
pub(in crate::crypto) fn pkcs12_watched(
    digest: DigestAlgorithm,
    (password, salt): (&[u8], &[u8]),
    purpose: Pkcs12Purpose,
    iterations: u64,
    len: usize,
) -> (Secret<Vec<u8>>, bool) {
    let block = digest.block_len();
    let mut whole = true;
    let fill = |bytes: &[u8]| -> Vec<u8> {
        let target = bytes.len().div_ceil(block).saturating_mul(block);
        bytes.iter().copied().cycle().take(if bytes.is_empty() { 0 } else { target }).collect()
    };
    let diversifier = vec![purpose as u8; block];
    let mut input = Secret::new([fill(salt), fill(password)].concat());
    let mut key = Secret::new(Vec::with_capacity(len.saturating_add(64)));
    while key.expose().len() < len {
        let mut first = Digest::new(digest);
        first.update(&diversifier);
        first.update(input.expose());
        let mut a = first.finish();
        for _ in 1..iterations {
            let mut next = Digest::new(digest);
            next.update(&a);
            a = next.finish();
        }
        key.expose_mut().extend_from_slice(&a);
        if key.expose().len() >= len {
            break;
        }
        let b: Vec<u8> = a.iter().copied().cycle().take(block).collect();
        for chunk in input.expose_mut().chunks_mut(block) {
            // chunk = chunk + b + 1 modulo 2^(8·block)
            let mut carry: u16 = 1;
            for (to, add) in chunk.iter_mut().rev().zip(b.iter().rev()) {
                carry = carry.wrapping_add(u16::from(*to)).wrapping_add(u16::from(*add));
                *to = carry.to_be_bytes()[1];
                carry >>= 8;
            }
            whole &= chunk.first() != Some(&0);
        }
    }
    key.expose_mut().truncate(len);
    (key, whole)
}
