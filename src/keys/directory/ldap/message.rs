//! LDAP messages (RFC 4511 4.1, 4.2, 4.5, 4.12): what we send, and what we read of what comes back.

use crate::asn1::{Class, Cursor, Tag, encode};
use crate::keys::directory::Error;
use crate::keys::directory::ldap::{Filter, Scope, url::START_TLS};
use crate::secret::Secret;

/// An entry that a search found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Its name, as the server writes it.
    pub name: String,
    /// The values of its attributes that were asked for.
    pub values: Vec<Value>,
}

/// A value of an attribute.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Value {
    /// The attribute, with its options.
    pub attribute: String,
    /// The value.
    pub bytes: Vec<u8>,
}

/// A message of the server.
#[derive(Debug)]
pub(super) struct Message {
    pub(super) id: u64,
    pub(super) answer: Answer,
}

/// What a message says.
#[derive(Debug)]
pub(super) enum Answer {
    Bound(Ended),
    Entry(Entry),
    Reference,
    Done(Ended),
    Extended(Ended),
    /// What nothing here asks for.
    Other,
}

/// How an operation ended (LDAPResult).
#[derive(Debug)]
pub(super) struct Ended {
    pub(super) code: u64,
    pub(super) text: String,
}

/// What a search asks.
#[derive(Debug, Clone)]
pub(super) struct Request<'a> {
    pub(super) base: &'a str,
    pub(super) scope: Scope,
    pub(super) filter: &'a Filter,
    pub(super) attributes: &'a [String],
    pub(super) entries: u64,
    pub(super) seconds: u64,
}

/// A StartTLS request (4.14.1).
pub(super) fn start_tls(id: u64) -> Vec<u8> {
    let name = encode::tlv(Tag::context(0), START_TLS.as_bytes());
    message(id, &encode::tlv(application(23), &name))
}

/// A simple bind (4.2); the bytes hold the password.
pub(super) fn bind(id: u64, name: &str, password: &Secret<Vec<u8>>) -> Secret<Vec<u8>> {
    let password = Secret::new(encode::tlv(Tag::context(0), password.expose()));
    let content = [&encode::integer_u64(3), &encode::octet_string(name.as_bytes()), password.expose()];
    let content = Secret::new(content.map(Vec::as_slice).concat());
    let request = Secret::new(encode::tlv(application(0), content.expose()));
    Secret::new(message(id, request.expose()))
}

/// A search (4.5.1): aliases are not followed, and of each attribute the values are wanted.
pub(super) fn search(id: u64, request: &Request<'_>) -> Vec<u8> {
    let scope = match request.scope {
        Scope::Base => 0,
        Scope::One => 1,
        Scope::Subtree => 2,
    };
    let names: Vec<Vec<u8>> = request.attributes.iter().map(|name| encode::octet_string(name.as_bytes())).collect();
    let content = [
        encode::octet_string(request.base.as_bytes()),
        encode::enumerated(scope),
        encode::enumerated(0),
        encode::integer_u64(request.entries),
        encode::integer_u64(request.seconds),
        encode::boolean(false),
        request.filter.to_ber(),
        encode::sequence(&names),
    ];
    message(id, &encode::tlv(application(3), &content.concat()))
}

/// The last word (4.3).
pub(super) fn unbind(id: u64) -> Vec<u8> {
    message(id, &encode::tlv(Tag { class: Class::Application, constructed: false, number: 2 }, &[]))
}

fn message(id: u64, operation: &[u8]) -> Vec<u8> {
    // no copy of the operation is left behind: it may hold a password
    encode::sequence(&[encode::integer_u64(id).as_slice(), operation])
}

fn application(number: u32) -> Tag {
    Tag { class: Class::Application, constructed: true, number }
}

/// How many bytes the first message takes, as its header says; `None` where the header is not there yet.
///
/// 5.1: lengths are definite. They may be longer than they need to be.
pub(super) fn announced(bytes: &[u8]) -> Result<Option<u64>, Error> {
    let broken = || Error::Protocol("what it sends is no LDAP message");
    let Some((&tag, rest)) = bytes.split_first() else { return Ok(None) };
    if tag != 0x30 {
        return Err(broken());
    }
    let Some((&first, rest)) = rest.split_first() else { return Ok(None) };
    if first < 0x80 {
        return Ok(Some(u64::from(first).saturating_add(2)));
    }
    let count = usize::from(first & 0x7f);
    if !(1..=8).contains(&count) {
        return Err(broken());
    }
    let Some((octets, _)) = rest.split_at_checked(count) else { return Ok(None) };
    let mut length: u64 = 0;
    for &octet in octets {
        // eight octets fill the number and no more
        length = length << 8 | u64::from(octet);
    }
    Ok(Some(length.saturating_add(2).saturating_add(u64::try_from(count).unwrap_or(u64::MAX))))
}

impl Message {
    /// Reads a whole message.
    pub(super) fn read(bytes: &[u8]) -> Result<Self, Error> {
        let mut fields = Cursor::new(bytes).sequence()?;
        let id = fields.small_unsigned()?;
        let operation = fields.any()?;
        let tag = operation.tag;
        if tag.class != Class::Application {
            return Err(Error::Protocol("a message without an operation"));
        }
        let answer = match (tag.number, tag.constructed) {
            (1, true) => Answer::Bound(Ended::read(operation.cursor()?)?),
            (4, true) => Answer::Entry(Entry::read(operation.cursor()?)?),
            (5, true) => Answer::Done(Ended::read(operation.cursor()?)?),
            (19, true) => Answer::Reference,
            (24, true) => Answer::Extended(Ended::read(operation.cursor()?)?),
            _ => Answer::Other,
        };
        Ok(Self { id, answer })
    }
}

impl Ended {
    fn read(mut fields: Cursor<'_>) -> Result<Self, Error> {
        let code = fields.expect(Tag::ENUMERATED)?.content;
        let code = match code {
            [] => return Err(Error::Protocol("a result without a code")),
            [first, ..] if *first >= 0x80 || code.len() > 4 => return Err(Error::Protocol("a result code that cannot be")),
            digits => digits.iter().fold(0, |code, digit| code << 8 | u64::from(*digit)),
        };
        fields.octet_string()?;
        let text = fields.octet_string()?;
        Ok(Self { code, text: String::from_utf8_lossy(&text).into_owned() })
    }
}

impl Entry {
    fn read(mut fields: Cursor<'_>) -> Result<Self, Error> {
        let name = String::from_utf8_lossy(&fields.octet_string()?).into_owned();
        let (mut attributes, mut values) = (fields.sequence()?, Vec::new());
        while !attributes.is_empty() {
            let mut pair = attributes.sequence()?;
            let attribute = String::from_utf8_lossy(&pair.octet_string()?).into_owned();
            let mut set = pair.set()?;
            while !set.is_empty() {
                values.push(Value { attribute: attribute.clone(), bytes: set.octet_string()?.into_owned() });
            }
        }
        Ok(Self { name, values })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_are_told_from_the_header_alone() {
        let length = |bytes: &[u8]| announced(bytes).expect("a header");
        assert_eq!(length(&[]), None);
        assert_eq!(length(&[0x30]), None);
        assert_eq!(length(&[0x30, 5]), Some(7));
        assert_eq!(length(&[0x30, 0x82, 1]), None);
        assert_eq!(length(&[0x30, 0x82, 1, 0]), Some(260));
        assert_eq!(length(&[0x30, 0x84, 0, 0, 0, 5]), Some(11), "as Active Directory writes lengths");
        assert_eq!(length(&[0x30, 0x88, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff]), Some(u64::MAX));
        for broken in [&[0x31, 5][..], &[0x30, 0x80], &[0x30, 0xff], &[0x30, 0x89], b"HTTP/1.1", &[0x16, 3, 1]] {
            assert!(announced(broken).expect_err("refused").to_string().contains("no LDAP message"));
        }
    }

    #[test]
    fn a_bind_is_as_rfc_4511_has_it() {
        let bytes = bind(1, "cn=a", &Secret::new(b"pw".to_vec()));
        assert_eq!(bytes.expose()[..], *b"\x30\x12\x02\x01\x01\x60\x0d\x02\x01\x03\x04\x04cn=a\x80\x02pw");
        assert_eq!(unbind(3), b"\x30\x05\x02\x01\x03\x42\x00");
        assert_eq!(start_tls(1)[..9], *b"\x30\x1d\x02\x01\x01\x77\x18\x80\x16");
    }

    #[test]
    fn refuses_answers_that_are_cut_or_twisted_without_a_panic() {
        let value = encode::octet_string(b"x");
        let pair = encode::sequence(&[encode::octet_string(b"mail"), encode::set_of(vec![value])]);
        let entry = [encode::octet_string(b"cn=a"), encode::sequence(&[pair])].concat();
        let whole = message(2, &encode::tlv(application(4), &entry));
        assert!(matches!(Message::read(&whole), Ok(Message { id: 2, answer: Answer::Entry(entry) }) if entry.values.len() == 1));
        for at in 0..whole.len() {
            assert!(Message::read(&whole[..at]).is_err(), "cut at {at}");
            for byte in [0, 0x30, 0x80, 0xff, whole[at] ^ 0x20] {
                let mut twisted = whole.clone();
                twisted[at] = byte;
                drop(Message::read(&twisted));
            }
        }
        let result = |code: &[u8]| {
            let fields = [encode::tlv(Tag::ENUMERATED, code), encode::octet_string(b""), encode::octet_string(b"why")];
            Message::read(&message(1, &encode::tlv(application(5), &fields.concat())))
        };
        assert!(matches!(result(&[32]), Ok(Message { answer: Answer::Done(Ended { code: 32, .. }), .. })));
        assert!(result(&[]).is_err() && result(&[0xff]).is_err() && result(&[1, 2, 3, 4, 5]).is_err());
    }
}
