//! Public keys whose private half can be computed, or that were made by a program known to make such keys.

use std::fmt;

use super::public::{PublicKey, PublicKind};

/// What is wrong with an RSA key, whatever its size.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RsaFlaw {
    /// The exponent is 3 or another number below 2^16 + 1 (NIST SP 800-89 5.3.3).
    SmallExponent(u64),
    /// This prime divides the modulus.
    SmallFactor(u16),
    /// The factors lie so near each other that Fermat's method finds them (CVE-2022-26320).
    CloseFactors,
    /// The modulus has the mark of a library whose keys can be factored (ROCA, CVE-2017-15361).
    Roca,
}

impl RsaFlaw {
    /// Whether the private key can be had from the public one; else it is merely unusual.
    pub fn is_broken(self) -> bool {
        !matches!(self, Self::SmallExponent(_))
    }
}

impl fmt::Display for RsaFlaw {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::SmallExponent(exponent) => write!(f, "the RSA exponent is {exponent}, less than 65537"),
            Self::SmallFactor(prime) => write!(f, "the RSA modulus is divided by {prime}"),
            Self::CloseFactors => f.write_str("the factors of the RSA modulus lie so near each other that they can be found"),
            Self::Roca => f.write_str("the RSA key has the mark of keys that can be factored (ROCA)"),
        }
    }
}

impl PublicKey {
    /// The flaw of an RSA key that can be seen without its private half; the gravest first. Other kinds of key are checked when they are
    /// read: their points lie on the curve.
    pub fn rsa_flaw(&self) -> Option<RsaFlaw> {
        let PublicKind::Rsa(key) = self.kind() else { return None };
        let modulus = key.modulus();
        let rest = |prime: u16| {
            let step = |rest: u64, byte: &u8| ((rest << 8) | u64::from(*byte)) % u64::from(prime);
            modulus.iter().fold(0, step)
        };
        if let Some(factor) = small_primes().find(|prime| rest(*prime) == 0) {
            return Some(RsaFlaw::SmallFactor(factor));
        }
        if small_primes().skip(1).take(ROCA_PRIMES).all(|prime| is_power_of_65537(rest(prime), u64::from(prime))) {
            return Some(RsaFlaw::Roca);
        }
        if has_close_factors(modulus) {
            return Some(RsaFlaw::CloseFactors);
        }
        let exponent = key.exponent();
        (exponent < 65_537).then_some(RsaFlaw::SmallExponent(exponent))
    }
}

/// The primes below 752, which no modulus shall have as a factor (NIST SP 800-89 5.3.3).
fn small_primes() -> impl Iterator<Item = u16> {
    let is_prime = |number: &u16| (2..*number).take_while(|d| d.saturating_mul(*d) <= *number).all(|d| !number.is_multiple_of(d));
    (2..752).filter(is_prime)
}

/// Primes that the mark of ROCA is looked for in: 3 to 167, which divide the primorial of every size of key. One in 2^150 other keys has it.
const ROCA_PRIMES: usize = 38;

/// Whether a number is a power of 65537 modulo a prime: every prime that the library made is, so every modulus is.
fn is_power_of_65537(number: u64, prime: u64) -> bool {
    let mut power = 1;
    loop {
        if power == number {
            return true;
        }
        power = power * 65_537 % prime;
        if power == 1 {
            return false;
        }
    }
}

/// A hundred rounds of Fermat's method. Keys made well need about 2^1000.
fn has_close_factors(modulus: &[u8]) -> bool {
    // twice the room: squares of numbers a little above the root stay within it
    let bits = u32::try_from(modulus.len().saturating_mul(8)).unwrap_or(u32::MAX).saturating_add(64);
    let Ok(modulus) = rsa::BoxedUint::from_be_slice(modulus, bits) else { return false };
    let one = rsa::BoxedUint::one_with_precision(bits);
    let mut middle = modulus.floor_sqrt_vartime();
    if middle.wrapping_mul(&middle) == modulus {
        return true;
    }
    for _ in 0..100 {
        middle = middle.wrapping_add(&one);
        let difference = middle.wrapping_mul(&middle).wrapping_sub(&modulus);
        if !may_be_square(&difference) {
            continue;
        }
        let root = difference.floor_sqrt_vartime();
        if root.wrapping_mul(&root) == difference {
            return true;
        }
    }
    false
}

/// Squares leave one of 12 rests when they are divided by 64, which spares most of the roots.
fn may_be_square(number: &rsa::BoxedUint) -> bool {
    let rest = number.to_be_bytes().last().map_or(0, |last| last % 64);
    (0..64_u32).any(|root| root * root % 64 == u32::from(rest))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::asn1::oid;
    use crate::crypto::algorithm::{AlgorithmIdentifier, KeyAlgorithm};
    use crate::crypto::key::PrivateKey;
    use crate::crypto::key::public::rsa_spki;
    use crate::crypto::random::Seeded;

    fn flaw(modulus: &rsa::BoxedUint, exponent: &[u8]) -> Option<RsaFlaw> {
        let plain = AlgorithmIdentifier::with_null(oid::RSA_ENCRYPTION);
        PublicKey::from_spki(&rsa_spki(&plain, &modulus.to_be_bytes_trimmed_vartime(), exponent)).expect("a key").rsa_flaw()
    }

    fn number(bytes: &[u8]) -> rsa::BoxedUint {
        rsa::BoxedUint::from_be_slice(bytes, 4096).expect("small enough")
    }

    #[test]
    fn keys_that_are_made_here_have_no_flaw() {
        let mut random = Seeded::new(b"no flaw");
        for algorithm in [KeyAlgorithm::Rsa(2048), KeyAlgorithm::P256, KeyAlgorithm::Ed25519] {
            assert_eq!(PrivateKey::generate(algorithm, &mut random).expect("a key").public_key().rsa_flaw(), None);
        }
    }

    #[test]
    fn finds_factors_that_are_small_near_or_equal() {
        // 2^521 - 1 and 2^607 - 1 are prime
        let mersenne = |bits: u32| {
            let one = rsa::BoxedUint::one_with_precision(4096);
            one.shl_vartime(bits).expect("fits").wrapping_sub(&one)
        };
        let (p, e) = (mersenne(607), &[1, 0, 1][..]);
        assert_eq!(flaw(&p.wrapping_mul(&p), e), Some(RsaFlaw::CloseFactors));
        // no primes, but as near to each other as primes would be: Fermat asks for no more
        assert_eq!(flaw(&p.wrapping_mul(p.wrapping_add(number(&[2]))), e), Some(RsaFlaw::SmallFactor(3)));
        assert_eq!(flaw(&p.wrapping_mul(mersenne(521)), e), None);
        assert_eq!(flaw(&p.wrapping_mul(number(&[0x02, 0xef])), e), Some(RsaFlaw::SmallFactor(751)));
        assert_eq!(flaw(&p.wrapping_mul(mersenne(521)), &[3]), Some(RsaFlaw::SmallExponent(3)));
        assert!(RsaFlaw::CloseFactors.is_broken() && !RsaFlaw::SmallExponent(3).is_broken());
    }

    #[test]
    fn finds_the_mark_of_roca() {
        // 65537^a + k·M, with M the product of the primes to 167: the form of every prime that the library made
        let primes = || small_primes().take(39);
        let product = primes().fold(number(&[1]), |m, prime| m.wrapping_mul(number(&prime.to_be_bytes())));
        let power = (0..9).fold(number(&[1]), |power, _| power.wrapping_mul(number(&[1, 0, 1])));
        // no small factor, which would be told first; and odd
        let of = |k: u32| power.wrapping_add(product.wrapping_mul(number(&k.to_be_bytes())).shl_vartime(280).expect("fits"));
        let pairs = (1_000..1_200).step_by(2).map(|k| of(k).wrapping_mul(of(k + 90_001)));
        let flaws: Vec<_> = pairs.map(|modulus| flaw(&modulus, &[1, 0, 1])).collect();
        assert!(flaws.contains(&Some(RsaFlaw::Roca)), "{flaws:?}");
        assert!(flaws.iter().all(|flaw| matches!(flaw, Some(RsaFlaw::Roca | RsaFlaw::SmallFactor(_)))), "{flaws:?}");
    }
}
