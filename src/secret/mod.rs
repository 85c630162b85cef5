//! Secrets: wiped when dropped, never printed.

pub mod relay;
pub(crate) mod scratch;

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
