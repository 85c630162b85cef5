//! Algorithms as values, and the one table between them and their identifiers.
//!
//! RFCs: 3370, 4056, 5753, 5754, 5758, 8017, 8103, 8410, 8418, 8419, 8702.

mod cipher;
mod digest;
mod identifier;
mod key;
mod preferred;
mod recipient;
mod signature;

pub use cipher::{CipherParameters, ContentCipher};
pub use digest::{DigestAlgorithm, Strength};
pub use identifier::AlgorithmIdentifier;
pub use key::KeyAlgorithm;
pub(crate) use preferred::preferred;
pub use recipient::{KeyAgreement, KeyTransport, KeyWrap, Scheme};
pub use signature::SignatureAlgorithm;
