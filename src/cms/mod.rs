//! Reads and writes Cryptographic Message Syntax (RFC 5652, 5083, 8551, 3274, 2634, 5035, 3161, 9629).
//!
//! Uses: pki (certificates as values), crypto, asn1. Never: mime, keys, trust decisions.
//! Holds always: a parsed structure keeps the exact bytes that were signed; content of any size passes through; what a decryption
//! gives before it ends well is for a private spool and for nobody's eyes.

mod attribute;
mod capabilities;
mod claims;
mod compressed;
pub mod content_type;
mod counter;
mod enveloped;
mod error;
pub mod ess;
mod hash;
mod kem;
mod material;
mod reader;
mod recipient;
mod sign;
mod signed;
mod signer;
pub mod timestamp;
mod write;

pub use attribute::{Attribute, Attributes};
pub use capabilities::{Capabilities, Capability};
pub use compressed::{CompressedReader, Tail, compress};
pub use content_type::ContentType;
pub use counter::CounterSignature;
pub use enveloped::{Candidate, Decrypting, EnvelopedReader, Key, Opened};
pub use error::Error;
pub use hash::{ContentHash, Hashed};
pub use kem::Encapsulation;
pub use material::Material;
pub(crate) use reader::carries_content;
pub use reader::{Content, from_pem, looks_bare, looks_like, open, open_bare, pem_start};
pub use recipient::{Agreement, Originator, Recipient, RecipientId, RecipientKind};
pub use sign::{Padding, SignedBuilder, SignerOptions, Signing};
pub use signed::{SignedData, SignedReader};
pub use signer::{SignatureCheck, Signer, SignerId};
pub use write::{Encrypting, EnvelopedBuilder, To, certificates_only};
