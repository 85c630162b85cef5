//! Certificate requests (PKCS#10, RFC 2986): proof that someone holds a key, and nothing more.

use crate::asn1::{Cursor, Tag, pem};
use crate::ca::Error;
use crate::ca::profile::signature_of;
use crate::crypto::algorithm::AlgorithmIdentifier;
use crate::crypto::key::PublicKey;
use crate::crypto::signature::{self, Input};

/// Reads a request in PEM or DER, checks its signature, and gives its key. What else it asks for is not taken over.
pub fn read(bytes: &[u8]) -> Result<PublicKey, Error> {
    let refuse = |what: &str| Error::Refused(what.to_owned());
    let der = match pem::looks_like(bytes) {
        false => bytes.to_vec(),
        true => {
            let blocks = pem::parse_all(bytes).map_err(|error| refuse(&error.to_string()))?;
            let is_request = |block: &pem::Pem| block.label.ends_with("CERTIFICATE REQUEST");
            blocks.into_iter().find(is_request).ok_or_else(|| refuse("the file holds no certificate request"))?.der
        }
    };
    let mut whole = Cursor::new(&der).sequence()?;
    let info = whole.expect(Tag::SEQUENCE)?;
    let algorithm = signature_of(&AlgorithmIdentifier::from_cursor(&mut whole)?)?;
    let (_, signed) = whole.bit_string()?;
    whole.finish()?;
    let mut fields = info.cursor()?;
    fields.integer()?;
    fields.sequence()?;
    let public = PublicKey::from_spki(fields.expect(Tag::SEQUENCE)?.raw)?;
    signature::verify(&public, algorithm, Input::Message(info.raw), &signed)
        .map_err(|_| refuse("the request is not signed with its own key"))?;
    Ok(public)
}
