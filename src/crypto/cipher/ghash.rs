//! GHASH (NIST SP 800-38D 6.4) by way of POLYVAL, which is the same polynomial over reversed bytes (RFC 8452 appendix A).

use polyval::Polyval;
use polyval::universal_hash::{Block, UniversalHash};

use super::pieces::BlockHash;

/// Blocks that are reversed at once; a multiple of those that POLYVAL takes together.
const TOGETHER: usize = 64;

pub(super) struct Ghash(Polyval);

impl Ghash {
    /// Starts with the hash key H.
    pub(super) fn new(h: [u8; 16]) -> Self {
        Self(Polyval::new(&times_x(u128::from_be_bytes(h)).to_le_bytes().into()))
    }

    pub(super) fn finish(self) -> [u8; 16] {
        let mut hash: [u8; 16] = self.0.finalize().into();
        hash.reverse();
        hash
    }
}

impl BlockHash for Ghash {
    fn blocks(&mut self, blocks: &[[u8; 16]]) {
        let mut reversed = [Block::<Polyval>::default(); TOGETHER];
        for some in blocks.chunks(TOGETHER) {
            for (to, from) in reversed.iter_mut().zip(some) {
                *to = u128::from_be_bytes(*from).to_le_bytes().into();
            }
            self.0.update(reversed.get(..some.len()).unwrap_or_default());
        }
    }
}

/// `mulX_POLYVAL` of RFC 8452 appendix A; without a branch, since H is secret.
fn times_x(h: u128) -> u128 {
    const X128: u128 = 0xc200_0000_0000_0000_0000_0000_0000_0001;
    let carry = 0_u128.wrapping_sub(h >> 127);
    (h << 1) ^ (carry & X128)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_example_of_the_standard_is_hashed() {
        // RFC 8452 appendix A
        let bytes = |text: &str| u128::from_str_radix(text, 16).expect("hex").to_be_bytes();
        let mut hash = Ghash::new(bytes("25629347589242761d31f826ba4b757b"));
        hash.blocks(&[bytes("4f4f95668c83dfb6401762bb2d01a262"), bytes("d1a24ddd2721d006bbe45f20d3c9f362")]);
        assert_eq!(hash.finish(), bytes("bd9b3997046731fb96251b91f9c99d7a"));
    }
}
