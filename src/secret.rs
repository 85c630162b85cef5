//! Secrets: wiped when dropped, never printed.

use zeroize::Zeroize;

/// A value that is wiped when dropped and has neither `Debug` nor `Display`, in any build.
///
/// ```
/// use sealpost::secret::Secret;
/// let passphrase = Secret::new(b"correct horse".to_vec());
/// assert_eq!(passphrase.expose().len(), 13);
/// ```
#[derive(Clone, Default)]
pub struct Secret<T: Zeroize>(T);

impl<T: Zeroize> Secret<T> {
    /// Takes the value; from here on it is wiped when dropped.
    pub fn new(value: T) -> Self {
        Self(value)
    }

    /// Lends the value. The name is long on purpose: each use is a place to review.
    pub fn expose(&self) -> &T {
        &self.0
    }

    /// Lends the value for filling in place.
    pub fn expose_mut(&mut self) -> &mut T {
        &mut self.0
    }
}

impl<T: Zeroize> Drop for Secret<T> {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}

/// Content that may be secret: as [`Secret`], but wiped eight bytes at a time. Of content there is much.
#[derive(Default)]
pub(crate) struct SecretBytes(Vec<u8>);

impl SecretBytes {
    pub(crate) fn new(bytes: Vec<u8>) -> Self {
        Self(bytes)
    }

    /// Lends the bytes.
    pub(crate) fn expose(&self) -> &Vec<u8> {
        &self.0
    }

    /// Lends the bytes for filling in place.
    pub(crate) fn expose_mut(&mut self) -> &mut Vec<u8> {
        &mut self.0
    }

    /// Wipes the bytes, and what lay behind them; none are left.
    pub(crate) fn wipe(&mut self) {
        self.0.resize(self.0.capacity(), 0);
        wipe(&mut self.0);
        self.0.clear();
    }
}

impl Drop for SecretBytes {
    fn drop(&mut self) {
        self.wipe();
    }
}

/// Overwrites bytes that nobody shall find in memory any more.
pub(crate) fn wipe(bytes: &mut [u8]) {
    let (head, words, tail) = bytemuck::pod_align_to_mut::<u8, u64>(bytes);
    head.zeroize();
    words.zeroize();
    tail.zeroize();
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_byte_is_wiped_wherever_it_lies() {
        let mut bytes = [1; 67];
        for from in 0..9 {
            for to in from..67 {
                bytes.fill(1);
                wipe(bytes.get_mut(from..to).expect("a range"));
                assert!(bytes.iter().enumerate().all(|(at, byte)| *byte == u8::from(!(from..to).contains(&at))));
            }
        }
    }
}
