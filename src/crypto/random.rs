//! Where randomness comes from.

use std::convert::Infallible;

use rsa::rand_core;

use crate::crypto::algorithm::DigestAlgorithm;
use crate::crypto::digest;

/// A source of random bytes.
pub trait Random {
    /// Fills `out` with random bytes.
    fn fill(&mut self, out: &mut [u8]);

    /// Whether it is the operating system's own, so that another generator seeded by the system may stand in for it.
    fn is_system(&self) -> bool {
        false
    }
}

/// The operating system's generator.
#[derive(Debug, Clone, Copy, Default)]
pub struct OsRandom;

impl Random for OsRandom {
    fn fill(&mut self, out: &mut [u8]) {
        // a system without randomness cannot go on: every key and nonce after this would be guessable
        if let Err(error) = getrandom::fill(out) {
            panic!("the operating system gives no randomness – {error}");
        }
    }

    fn is_system(&self) -> bool {
        true
    }
}

/// The same bytes for the same seed, for fixtures that must be reproducible. Never for keys that anyone relies on.
#[derive(Debug, Clone)]
pub struct Seeded {
    seed: Vec<u8>,
    counter: u64,
}

impl Seeded {
    /// Starts from a seed.
    pub fn new(seed: &[u8]) -> Self {
        Self { seed: seed.to_vec(), counter: 0 }
    }
}

impl Random for Seeded {
    fn fill(&mut self, out: &mut [u8]) {
        for chunk in out.chunks_mut(32) {
            let mut block = self.seed.clone();
            block.extend_from_slice(&self.counter.to_be_bytes());
            self.counter = self.counter.wrapping_add(1);
            let bytes = digest::of(DigestAlgorithm::Sha256, &block);
            chunk.iter_mut().zip(bytes).for_each(|(to, from)| *to = from);
        }
    }
}

/// Gives our source to the cryptography crates.
pub(in crate::crypto) struct Adapter<'a>(pub(in crate::crypto) &'a mut dyn Random);

impl rand_core::TryRng for Adapter<'_> {
    type Error = Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        let mut bytes = [0; 4];
        self.0.fill(&mut bytes);
        Ok(u32::from_le_bytes(bytes))
    }

    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        let mut bytes = [0; 8];
        self.0.fill(&mut bytes);
        Ok(u64::from_le_bytes(bytes))
    }

    fn try_fill_bytes(&mut self, out: &mut [u8]) -> Result<(), Infallible> {
        self.0.fill(out);
        Ok(())
    }
}

impl rand_core::TryCryptoRng for Adapter<'_> {}
