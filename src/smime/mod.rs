//! The verbs: sign, encrypt, seal, open (RFC 8551), on whole messages.
//!
//! Uses: mime, cms, keys, pki, crypto. Here, and only here, mail and cryptography meet; trust is decided here and in pki.
//! Holds always: content is released only after the tag, the padding and every signature inside were checked; bad news is a
//! [`Verdict`], never an `Err`; what was signed is never repaired.
//!
//! RFCs: 8551 (messages), 8550 (certificates), 9788 (header protection).

mod body;
mod choice;
mod clock;
mod content;
mod details;
mod effort;
mod encrypt;
mod error;
mod explain;
mod finding;
mod headers;
mod hints;
mod inspect;
mod layer;
mod learnt;
mod needs;
mod open;
mod payload;
mod peel;
mod policy;
mod released;
mod seal;
mod sender;
mod sign;
mod splice;
mod spool;
mod verdict;

use crate::crypto::random::Random;
use crate::keys::Identity;
use crate::pki::Certificate;
use crate::time::Timestamp;

pub use choice::{Because, Chosen, CipherChoice, Recipient, TransportChoice, Way, check_recipient, choose};
pub use clock::{Clock, FirstSeen, Judged};
pub use details::{CountersignerVerdict, Proof, SignerDetails, TimestampVerdict};
pub use encrypt::Encrypt;
pub use error::Error;
pub use explain::{Change, Explained, Explanation};
pub use finding::{Code, Excuse, Finding, Outcome, Severity};
pub use headers::{HeaderConfidentiality, HeaderProtection};
pub use inspect::{Inspection, Part, inspect, inspect_stream};
pub use learnt::Learnt;
pub use needs::{Needs, needs};
pub use open::{Layers, Open, Opened, Want};
pub use payload::{read_header, shows_subject};
pub use policy::{Accept, Trust};
pub use released::Released;
pub use seal::Seal;
pub use sender::{bcc_addresses, recipient_addresses, sender_address};
pub use sign::Sign;
pub use spool::{Input, Spool};
pub use verdict::{
    Coverage, EncryptedKind, EncryptedLayer, FieldProtection, Form, Layer, ProtectedField, ProtectedHeaders, RecipientVerdict,
    SignatureStatus, SignedLayer, SignerVerdict, UncoveredPart, Verdict, Verified,
};

/// Signs a message: clear-signed, SHA-256, header fields protected.
pub fn sign(message: &[u8], signer: &Identity, now: Timestamp, random: &mut dyn Random) -> Result<Vec<u8>, Error> {
    Sign::new(signer).run(message, now, random)
}

/// Encrypts a message to these certificates.
pub fn encrypt(message: &[u8], recipients: &[Certificate], random: &mut dyn Random) -> Result<Vec<u8>, Error> {
    Encrypt::new(recipients).run(message, random)
}

/// Signs a message, then encrypts it to these certificates.
pub fn seal(
    message: &[u8],
    signer: &Identity,
    recipients: &[Certificate],
    now: Timestamp,
    random: &mut dyn Random,
) -> Result<Vec<u8>, Error> {
    Seal::new(Sign::new(signer), Encrypt::new(recipients)).run(message, now, random)
}

/// Takes off and checks every layer of a message.
pub fn open(message: &[u8], trust: &Trust, identity: &Identity, random: &mut dyn Random) -> Opened {
    Open::new(trust).identity(identity).run(message, random)
}
