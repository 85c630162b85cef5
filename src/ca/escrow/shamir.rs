//! Secret sharing after Shamir: of a secret cut in N shares any M tell it, and fewer tell nothing.
//!
//! Each byte is the value at 0 of a polynomial of degree M - 1 over GF(2^8) with random other coefficients; share x holds the values at x.
//! Multiplication takes no tables and no branches, so that its time tells nothing of the secret.

use crate::crypto::random::Random;
use crate::secret::Secret;

/// One share.
pub(super) struct Share {
    /// Where the polynomials were taken, 1 to 255.
    pub(super) x: u8,
    /// Their values, one for each byte of the secret.
    pub(super) values: Secret<Vec<u8>>,
}

/// Cuts a secret into shares, `threshold` of which are needed.
pub(super) fn split(secret: &Secret<Vec<u8>>, threshold: u8, shares: u8, random: &mut dyn Random) -> Vec<Share> {
    let degree = usize::from(threshold.saturating_sub(1));
    let mut coefficients = Secret::new(vec![0; secret.expose().len().saturating_mul(degree)]);
    random.fill(coefficients.expose_mut());
    let share = |x: u8| {
        let value = |(at, byte): (usize, &u8)| {
            let own = coefficients.expose().chunks(degree.max(1)).nth(at).unwrap_or_default();
            // Horner, from the highest coefficient down to the secret
            own.iter().chain([byte]).fold(0, |value, coefficient| multiply(value, x) ^ coefficient)
        };
        Share { x, values: Secret::new(secret.expose().iter().enumerate().map(value).collect()) }
    };
    (1..=shares).map(share).collect()
}

/// The secret of enough shares; of too few, or of those of another secret, it is something else. `None` where two are the same one, or
/// their lengths differ.
pub(super) fn combine(shares: &[Share]) -> Option<Secret<Vec<u8>>> {
    let length = shares.first()?.values.expose().len();
    let is_twice = |(at, share): (usize, &Share)| shares.iter().take(at).any(|other| other.x == share.x);
    let is_wrong = |share: &Share| share.x == 0 || share.values.expose().len() != length;
    if shares.iter().enumerate().any(is_twice) || shares.iter().any(is_wrong) {
        return None;
    }
    let mut secret = Secret::new(vec![0; length]);
    for share in shares {
        // Lagrange's basis polynomial of this share at 0; where minus is plus, x_j / (x_j - x_i) is x_j / (x_j ^ x_i)
        let others = shares.iter().filter(|other| other.x != share.x);
        let weight = others.fold(1, |weight, other| multiply(weight, multiply(other.x, inverse(other.x ^ share.x))));
        for (byte, value) in secret.expose_mut().iter_mut().zip(share.values.expose()) {
            *byte ^= multiply(*value, weight);
        }
    }
    Some(secret)
}

/// Modulo x^8 + x^4 + x^3 + x + 1, the polynomial of AES.
fn multiply(a: u8, b: u8) -> u8 {
    let (mut a, mut product) = (a, 0);
    for bit in 0..8 {
        product ^= a & 0_u8.wrapping_sub(b >> bit & 1);
        a = a << 1 ^ 0x1b & 0_u8.wrapping_sub(a >> 7);
    }
    product
}

/// a^254, which is 1/a; of 0 it is 0.
fn inverse(a: u8) -> u8 {
    // 254 = 2 + 4 + … + 128
    let (mut power, mut product) = (a, 1);
    for _ in 0..7 {
        power = multiply(power, power);
        product = multiply(product, power);
    }
    product
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crypto::random::Seeded;

    #[test]
    fn multiplication_is_that_of_fips_197() {
        // FIPS 197 section 4.2: {57} • {83} = {c1}, {57} • {13} = {fe}
        assert_eq!((multiply(0x57, 0x83), multiply(0x57, 0x13)), (0xc1, 0xfe));
        assert!((1..=255).all(|a| multiply(a, inverse(a)) == 1));
        assert_eq!(inverse(0x53), 0xca);
    }

    #[test]
    fn any_so_many_shares_tell_the_secret_and_fewer_do_not() {
        let secret = Secret::new((0..32).collect::<Vec<u8>>());
        let random = &mut Seeded::new(b"shares");
        for (threshold, count) in [(1, 1), (1, 3), (2, 3), (3, 5), (5, 5)] {
            let shares = split(&secret, threshold, count, random);
            for chosen in 0_u32..1 << count {
                let picked = shares.iter().filter(|share| chosen >> (share.x - 1) & 1 == 1);
                let picked: Vec<Share> = picked.map(|share| Share { x: share.x, values: share.values.clone() }).collect();
                let told = combine(&picked).is_some_and(|told| told.expose() == secret.expose());
                assert_eq!(told, chosen.count_ones() >= u32::from(threshold), "{threshold} of {count}: {chosen:b}");
            }
        }
    }

    #[test]
    fn refuses_a_share_that_stands_twice() {
        let share = |x| Share { x, values: Secret::new(vec![7]) };
        assert!(combine(&[share(1), share(1)]).is_none() && combine(&[share(0), share(1)]).is_none() && combine(&[]).is_none());
    }
}
