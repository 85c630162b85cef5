//! The public key that an expanded private key of ML-DSA belongs to (FIPS 204): its parts are computed from one another, and so checked.
//!
//! ```text
//! skEncode (algorithm 24): rho 32, K 32, tr 64, s1, s2, t0        t = A·s1 + s2,  t = t1·2^13 + t0
//! pkEncode (algorithm 22): rho 32, t1                            tr = SHAKE256(pk)
//! ```
//!
//! The crate `ml-dsa` takes expanded keys without a check, ends the program on some, and does not give away t0.

use shake::digest::{ExtendableOutput, Update, XofReader};

use crate::crypto::algorithm::MlDsa;
use crate::crypto::mac;
use crate::secret::Secret;

/// A polynomial of 256 coefficients, each below [`Q`].
type Polynomial = Secret<Vec<u32>>;

/// The modulus.
const Q: u32 = 8_380_417;
/// A 512th root of unity.
const ZETA: u32 = 1753;
/// The inverse of 256.
const INVERSE_256: u32 = 8_347_681;
/// 2^46 divided by [`Q`], rounded down.
const RECIPROCAL: u64 = (1 << 46) / 8_380_417;
/// Bits that are dropped from t (d).
const DROPPED: u32 = 13;

/// Rows and columns of the matrix (k, l), the largest secret coefficient (eta), the bits of one.
fn shape(set: MlDsa) -> (u8, u8, u32, u32) {
    match set {
        MlDsa::Set44 => (4, 4, 2, 3),
        MlDsa::Set65 => (6, 5, 4, 4),
        MlDsa::Set87 => (8, 7, 2, 3),
    }
}

/// The public key; `None` where the parts of the private key do not belong together, or one is none.
pub(super) fn public_of(set: MlDsa, expanded: &[u8]) -> Option<Vec<u8>> {
    let (rows, columns, eta, bits) = shape(set);
    let (rho, rest) = expanded.split_at_checked(32)?;
    let (_, rest) = rest.split_at_checked(32)?;
    let (hash, mut rest) = rest.split_at_checked(64)?;
    let mut take = |bits: u32, most: u32, zero: u32| -> Option<Polynomial> {
        let (packed, after) = rest.split_at_checked(usize::try_from(bits).ok()?.checked_mul(32)?)?;
        rest = after;
        let packed = unpack(packed, bits);
        let is_known = packed.expose().iter().all(|value| *value <= most);
        is_known.then(|| Secret::new(packed.expose().iter().map(|value| subtract(zero, *value)).collect()))
    };
    let mut s1 = (0..columns).map(|_| take(bits, eta * 2, eta)).collect::<Option<Vec<_>>>()?;
    let s2 = (0..rows).map(|_| take(bits, eta * 2, eta)).collect::<Option<Vec<_>>>()?;
    let t0 = (0..rows).map(|_| take(DROPPED, u32::MAX, 1 << (DROPPED - 1))).collect::<Option<Vec<_>>>()?;
    if !rest.is_empty() {
        return None;
    }
    let zetas = zetas();
    s1.iter_mut().for_each(|polynomial| transform(polynomial.expose_mut(), &zetas));
    let mut public = rho.to_vec();
    for (row, (s2, t0)) in (0..rows).zip(s2.iter().zip(&t0)) {
        let mut t = Secret::new(vec![0; 256]);
        for (column, s1) in (0..columns).zip(&s1) {
            let sum = t.expose_mut().iter_mut().zip(matrix(rho, row, column)).zip(s1.expose());
            sum.for_each(|((sum, a), s)| *sum = add(*sum, multiply(a, *s)));
        }
        transform_back(t.expose_mut(), &zetas);
        t.expose_mut().iter_mut().zip(s2.expose()).for_each(|(t, s)| *t = add(*t, *s));
        // Power2Round (algorithm 35): t0 is in (-2^12, 2^12]
        let t1: Vec<u32> = t.expose().iter().map(|t| (t + (1 << (DROPPED - 1)) - 1) >> DROPPED).collect();
        let rest = t.expose().iter().zip(&t1).map(|(t, t1)| subtract(*t, t1 << DROPPED));
        if !rest.zip(t0.expose()).fold(true, |fits, (found, stated)| fits & (found == *stated)) {
            return None;
        }
        public.extend(pack(&t1, 10));
    }
    let mut found = [0; 64];
    shake::Shake256::default().chain(&public).finalize_xof().read(&mut found);
    mac::equal(&found, hash).then_some(public)
}

/// `RejNTTPoly` (algorithm 30): one polynomial of the matrix, already transformed.
fn matrix(rho: &[u8], row: u8, column: u8) -> Vec<u32> {
    let mut source = shake::Shake128::default().chain(rho).chain([column, row]).finalize_xof();
    let mut polynomial = Vec::with_capacity(256);
    let mut bytes = [0; 3];
    while polynomial.len() < 256 {
        source.read(&mut bytes);
        let [low, middle, high] = bytes;
        let value = u32::from_le_bytes([low, middle, high & 0x7f, 0]);
        polynomial.extend((value < Q).then_some(value));
    }
    polynomial
}

/// The powers of the root in the order in which the transforms need them (FIPS 204 appendix B).
fn zetas() -> Vec<u32> {
    let mut powers = vec![1];
    let mut last = 1;
    for _ in 1..256 {
        last = multiply(last, ZETA);
        powers.push(last);
    }
    (0..=u8::MAX).filter_map(|at| powers.get(usize::from(at.reverse_bits())).copied()).collect()
}

/// NTT (algorithm 41).
fn transform(polynomial: &mut [u32], zetas: &[u32]) {
    let mut zetas = zetas.iter().skip(1);
    for half in [128, 64, 32, 16, 8, 4, 2, 1] {
        for (block, zeta) in polynomial.chunks_exact_mut(half * 2).zip(zetas.by_ref()) {
            let (low, high) = block.split_at_mut(half);
            for (low, high) in low.iter_mut().zip(high) {
                let turned = multiply(*zeta, *high);
                *high = subtract(*low, turned);
                *low = add(*low, turned);
            }
        }
    }
}

/// The inverse of NTT (algorithm 42).
fn transform_back(polynomial: &mut [u32], zetas: &[u32]) {
    let mut zetas = zetas.iter().rev();
    for half in [1, 2, 4, 8, 16, 32, 64, 128] {
        for (block, zeta) in polynomial.chunks_exact_mut(half * 2).zip(zetas.by_ref()) {
            let (low, high) = block.split_at_mut(half);
            for (low, high) in low.iter_mut().zip(high) {
                let turned = multiply(subtract(0, *zeta), subtract(*low, *high));
                *low = add(*low, *high);
                *high = turned;
            }
        }
    }
    polynomial.iter_mut().for_each(|value| *value = multiply(*value, INVERSE_256));
}

/// The sum of two numbers below [`Q`].
fn add(a: u32, b: u32) -> u32 {
    below(a + b)
}

/// The difference of two numbers below [`Q`].
fn subtract(a: u32, b: u32) -> u32 {
    below(a + Q - b)
}

/// The product of two numbers below [`Q`], after Barrett: the estimate of the quotient is at most two too small.
fn multiply(a: u32, b: u32) -> u32 {
    let product = u64::from(a) * u64::from(b);
    // product < 2^46, so that its upper bits and the reciprocal stay below 2^48
    let quotient = ((product >> 22) * RECIPROCAL) >> 24;
    let rest = product - quotient * u64::from(Q);
    below(below(u32::try_from(rest).unwrap_or_default()))
}

/// A number below 2·[`Q`], reduced without a branch and without a division, whose time may tell what is divided.
fn below(value: u32) -> u32 {
    let less = value.wrapping_sub(Q);
    // all ones where the subtraction went below zero; hidden, lest the compiler finds a branch in it
    let is_below = std::hint::black_box((less >> 31).wrapping_neg());
    less.wrapping_add(Q & is_below)
}

/// Numbers of so many bits, the lowest first (algorithm 19).
fn unpack(bytes: &[u8], bits: u32) -> Polynomial {
    let mut numbers = Secret::new(Vec::with_capacity(256));
    let (mut held, mut count) = (0_u32, 0);
    for byte in bytes {
        held |= u32::from(*byte) << count;
        count += 8;
        while count >= bits {
            numbers.expose_mut().push(held & ((1 << bits) - 1));
            held >>= bits;
            count -= bits;
        }
    }
    numbers
}

/// Numbers of so many bits into bytes, the lowest first (algorithm 16).
fn pack(numbers: &[u32], bits: u32) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(320);
    let (mut held, mut count) = (0_u32, 0);
    for number in numbers {
        held |= number << count;
        count += bits;
        while count >= 8 {
            let [low, ..] = held.to_le_bytes();
            bytes.push(low);
            held >>= 8;
            count -= 8;
        }
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_arithmetic_is_that_of_the_modulus() {
        let edges = [0, 1, 2, 4_095, 4_096, Q / 2, Q / 2 + 1, Q - 4_096, Q - 2, Q - 1];
        let many = (0..400_u64).map(|n| u32::try_from(n * n * 7_919 % u64::from(Q)).expect("below the modulus"));
        let values: Vec<u32> = edges.into_iter().chain(many).collect();
        for a in &values {
            for b in values.iter().take(300) {
                assert_eq!(u64::from(multiply(*a, *b)), u64::from(*a) * u64::from(*b) % u64::from(Q), "{a} * {b}");
                assert_eq!(add(*a, *b), (a + b) % Q, "{a} + {b}");
                assert_eq!(subtract(*a, *b), (a + Q - b) % Q, "{a} - {b}");
            }
        }
    }
}
