//! The outermost structure: what kind of cryptographic message it is.

use std::io::Read;

use crate::asn1::reader::Reader;
use crate::asn1::{self, Cursor, Oid, Tag, oid, pem};
use crate::cms::{CompressedReader, EnvelopedReader, Error, SignedReader};
use crate::limits::Limits;
use crate::pki::hex;

/// What a ContentInfo holds.
#[derive(Debug)]
pub enum Content<R> {
    /// SignedData.
    Signed(SignedReader<R>),
    /// EnvelopedData or AuthEnvelopedData.
    Enveloped(EnvelopedReader<R>),
    /// CompressedData.
    Compressed(CompressedReader<R>),
    /// Something else, by its content type.
    Other(Oid),
}

/// Opens a ContentInfo, in DER or BER.
///
/// `ContentInfo ::= SEQUENCE { contentType OBJECT IDENTIFIER, content [0] EXPLICIT ANY }` (RFC 5652 3)
pub fn open<R: Read>(source: R, limits: &Limits) -> Result<Content<R>, Error> {
    let mut reader = Reader::new(source, limits);
    reader.enter(Tag::SEQUENCE)?;
    let kind = read_oid(&mut reader)?;
    if is_read(&kind) {
        reader.enter(Tag::context_constructed(0))?;
    }
    of_kind(kind, reader, limits)
}

/// Opens a structure of a type without a ContentInfo around it, as it is the content of another (RFC 5652 5.1).
pub fn open_bare<R: Read>(kind: Oid, source: R, limits: &Limits) -> Result<Content<R>, Error> {
    of_kind(kind, Reader::new(source, limits), limits)
}

fn is_read(kind: &Oid) -> bool {
    matches!(*kind, oid::ID_SIGNED_DATA | oid::ID_ENVELOPED_DATA | oid::ID_AUTH_ENVELOPED_DATA | oid::ID_COMPRESSED_DATA)
}

fn of_kind<R: Read>(kind: Oid, reader: Reader<R>, limits: &Limits) -> Result<Content<R>, Error> {
    match kind {
        oid::ID_SIGNED_DATA => SignedReader::new(reader, limits).map(Content::Signed),
        oid::ID_ENVELOPED_DATA => EnvelopedReader::new(reader, false, limits).map(Content::Enveloped),
        oid::ID_AUTH_ENVELOPED_DATA => EnvelopedReader::new(reader, true, limits).map(Content::Enveloped),
        oid::ID_COMPRESSED_DATA => CompressedReader::new(reader, limits).map(Content::Compressed),
        other => Ok(Content::Other(other)),
    }
}

/// Reads an OBJECT IDENTIFIER from the stream.
pub(in crate::cms) fn read_oid<R: Read>(reader: &mut Reader<R>) -> Result<Oid, Error> {
    Ok(Cursor::new(&reader.raw()?).oid()?)
}

/// Reads the version of a structure. Writers do not agree on which of those known goes with what, and so none is held to it; one above
/// `highest` may mean anything (RFC 5652 5.1, 6.1: 5 and 4 are the highest).
pub(in crate::cms) fn read_version<R: Read>(reader: &mut Reader<R>, highest: u64) -> Result<(), Error> {
    let version = Cursor::new(&reader.raw()?).small_unsigned()?;
    if version > highest {
        return Err(Error::Unsupported(format!("version {version} of a cryptographic message")));
    }
    Ok(())
}

/// The version of a signer or a recipient, where it is one that no standard knows (RFC 5652 10.2.5): it may mean anything. Writers take
/// a wrong one of those known, and OpenSSL looks at none: these say nothing.
pub(in crate::cms) fn unknown_version(fields: &mut Cursor<'_>) -> Result<Option<String>, Error> {
    Ok(match fields.integer()? {
        [0..=5] => None,
        [version @ 6..=0x7f] => Some(version.to_string()),
        other => Some(format!("0x{}", hex(other))),
    })
}

/// Leaves what is open, and looks whether bytes follow.
pub(in crate::cms) fn end<R: Read>(mut reader: Reader<R>) -> Result<bool, Error> {
    while reader.is_inside() {
        reader.leave()?;
    }
    Ok(reader.finish().is_err())
}

/// Whether the bytes begin like a ContentInfo: a SEQUENCE that begins with an object identifier.
pub fn looks_like(bytes: &[u8]) -> bool {
    asn1::begins_with(bytes, &[Tag::SEQUENCE, Tag::OID])
}

/// Whether the bytes begin like a structure of a type without a ContentInfo around it: a SEQUENCE that begins with a version, and with what
/// follows that in this type.
pub fn looks_bare(kind: &Oid, bytes: &[u8]) -> bool {
    let next: &[Tag] = match *kind {
        oid::ID_SIGNED_DATA => &[Tag::SET],
        oid::ID_ENVELOPED_DATA | oid::ID_AUTH_ENVELOPED_DATA => &[Tag::SET, Tag::context_constructed(0)],
        oid::ID_COMPRESSED_DATA => &[Tag::SEQUENCE],
        _ => &[],
    };
    asn1::second_tag(bytes, Tag::SEQUENCE, Tag::INTEGER).is_some_and(|second| next.contains(&second))
}

/// Whether a ContentInfo, of which this is the beginning, carries content, or certificates alone. A signature over content that stands
/// elsewhere does not.
pub(crate) fn carries_content(beginning: &[u8], limits: &Limits) -> bool {
    let kind = |mut reader: Reader<&[u8]>| reader.enter(Tag::SEQUENCE).ok().and_then(|()| read_oid(&mut reader).ok());
    match kind(Reader::new(beginning, limits)) {
        Some(oid::ID_SIGNED_DATA) => match open(beginning, limits) {
            Ok(Content::Signed(mut reader)) => reader.carries_content().unwrap_or(false),
            _ => false,
        },
        Some(kind) => is_read(&kind),
        None => false,
    }
}

/// Where the base64 of a PEM block `PKCS7` or `CMS` begins that is the first thing in a text.
pub fn pem_start(text: &[u8]) -> Option<usize> {
    pem::begin(text, is_pem_label)
}

fn is_pem_label(label: &str) -> bool {
    matches!(label, "PKCS7" | "CMS" | "PKCS #7 SIGNED DATA")
}

/// The ContentInfo of a PEM block `PKCS7` or `CMS`, if there is one.
pub fn from_pem(bytes: &[u8]) -> Option<Vec<u8>> {
    if !pem::looks_like(bytes) {
        return None;
    }
    let blocks = pem::parse_all(bytes).ok()?;
    blocks.into_iter().find(|block| is_pem_label(&block.label)).map(|block| block.der)
}
