//! Algorithms as values, and the one table between them and their identifiers.
//!
//! RFCs: 3370, 4056, 5753, 5754, 5758, 8017, 8103, 8410, 8418, 8419, 8619, 8702, 9814, 9882, 9936.

mod cipher;
mod digest;
mod identifier;
mod key;
mod post_quantum;
mod preferred;
mod recipient;
mod signature;

pub use cipher::{CipherParameters, ContentCipher};
pub use digest::{DigestAlgorithm, Strength};
pub use identifier::AlgorithmIdentifier;
pub use key::KeyAlgorithm;
pub use post_quantum::{MlDsa, MlKem, SlhDsa, hkdf_digest};
pub(crate) use preferred::preferred;
pub use recipient::{KeyAgreement, KeyTransport, KeyWrap, Scheme};
pub use signature::SignatureAlgorithm;
pub(in crate::crypto) use signature::pss_from_parameters;
