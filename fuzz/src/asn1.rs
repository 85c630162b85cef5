//! The two readers of BER agree: what streams and what is held whole.

use sealpost::asn1::reader::Reader;
use sealpost::asn1::{Cursor, Error, Tag, oid, pem};
use sealpost::limits::Limits;
use sealpost::pki::{Certificate, Crl, ocsp};

use super::pieces::Pieces;

/// Reads bytes as BER in every way there is.
pub fn run(bytes: &[u8]) {
    values_are_the_same(bytes);
    walks_are_the_same(bytes);
    strings_are_the_same(bytes);
    scalars(bytes);
    let _ = pem::parse_all(bytes);
    let _ = pem::looks_like(bytes);
    if let Ok(certificate) = Certificate::from_der(bytes) {
        let _ = (certificate.addresses(), certificate.describe(), certificate.public_key().is_ok());
    }
    if let Ok(list) = Crl::from_der(bytes) {
        assert_eq!(list.entries().count(), list.len());
        list.entries().take(8).for_each(|entry| drop(list.lookup(&entry.serial)));
    }
    if let Ok(response) = ocsp::Response::from_der(bytes, &Limits::default())
        && let Ok(content) = response.content()
    {
        let _ = (content.nonce(), content.responder().to_string(), content.answers().len());
    }
}

/// The values at the top, one after another.
fn values_are_the_same(bytes: &[u8]) {
    let limits = Limits::default();
    let mut cursor = Cursor::with_limits(bytes, &limits);
    let mut reader = Reader::new(Pieces::new(bytes), &limits);
    while !cursor.is_empty() {
        match (cursor.any(), reader.raw()) {
            (Ok(element), Ok(raw)) => assert_eq!(element.raw, raw),
            (Err(_), Err(_)) => return,
            (held, streamed) => panic!("held {held:?}, streamed {streamed:?}"),
        }
    }
    assert!(reader.finish().is_ok(), "bytes follow where none are left");
}

/// Every value, entered where it is constructed.
fn walks_are_the_same(bytes: &[u8]) {
    let limits = Limits::default();
    let (mut held, mut streamed) = (Vec::new(), Vec::new());
    let of_cursor = walk_cursor(Cursor::with_limits(bytes, &limits), &mut held);
    let of_reader = walk_reader(&mut Reader::new(Pieces::new(bytes), &limits), &mut streamed);
    match (of_cursor, of_reader) {
        (Ok(()), Ok(())) => assert_eq!(held, streamed),
        (Err(_), Err(_)) => {}
        (of_cursor, of_reader) => panic!("held {of_cursor:?}, streamed {of_reader:?}"),
    }
}

fn walk_cursor(mut cursor: Cursor<'_>, found: &mut Vec<(Tag, Vec<u8>)>) -> Result<(), Error> {
    while !cursor.is_empty() {
        let element = cursor.any()?;
        if element.tag.constructed {
            found.push((element.tag, Vec::new()));
            walk_cursor(element.cursor()?, found)?;
        } else {
            found.push((element.tag, element.raw.to_vec()));
        }
    }
    Ok(())
}

fn walk_reader(reader: &mut Reader<Pieces<'_>>, found: &mut Vec<(Tag, Vec<u8>)>) -> Result<(), Error> {
    let mut open = 0_usize;
    loop {
        match reader.peek()? {
            Some(tag) if tag.constructed => {
                reader.enter(tag)?;
                found.push((tag, Vec::new()));
                open += 1;
            }
            Some(tag) => found.push((tag, reader.raw()?)),
            None if open == 0 => return reader.finish(),
            None => {
                reader.leave()?;
                open -= 1;
            }
        }
    }
}

/// The first value as a string, which may be in pieces.
fn strings_are_the_same(bytes: &[u8]) {
    let limits = Limits::default();
    let held = Cursor::with_limits(bytes, &limits).octet_string().map(std::borrow::Cow::into_owned);
    let mut reader = Reader::new(Pieces::new(bytes), &limits);
    let mut joined = Vec::new();
    let streamed = reader.octets(Tag::OCTET_STRING).and_then(|mut octets| {
        while let Some(piece) = reader.next_piece(&mut octets)? {
            joined.extend_from_slice(piece);
        }
        Ok(())
    });
    match (held, streamed) {
        (Ok(held), Ok(())) => assert_eq!(held, joined),
        // a stream sees the end of what is cut off late, and looks at the pieces of pieces
        (Ok(_), Err(_)) | (Err(_), Err(_)) => {}
        (Err(error), Ok(())) => panic!("held {error:?}, streamed {joined:?}"),
    }
}

/// The first value as whatever type it may be.
fn scalars(bytes: &[u8]) {
    let cursor = Cursor::new(bytes);
    if let Ok(identifier) = cursor.clone().oid() {
        let _ = (oid::name(&identifier), identifier.to_string());
    }
    let _ = (cursor.clone().small_unsigned(), cursor.clone().boolean(), cursor.clone().null(), cursor.clone().bit_string());
    if let Ok(time) = cursor.clone().time() {
        let _ = time.to_string();
    }
    if let Ok(element) = cursor.clone().any() {
        let _ = (element.text(), element.bits(), element.bytes());
    }
}
