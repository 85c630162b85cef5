//! Writes DER values.

use crate::asn1::{Class, Oid, Tag};
use crate::time::Timestamp;

/// A value with this tag and content.
pub fn tlv(tag: Tag, content: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(content.len().saturating_add(12));
    push_tag(&mut out, tag);
    push_length(&mut out, content.len());
    out.extend_from_slice(content);
    out
}

/// A SEQUENCE of these values.
///
/// ```
/// use sealpost::asn1::encode;
/// assert_eq!(encode::sequence(&[encode::integer_u64(5), encode::null()]), [0x30, 5, 2, 1, 5, 5, 0]);
/// ```
pub fn sequence(values: &[impl AsRef<[u8]>]) -> Vec<u8> {
    constructed(Tag::SEQUENCE, values)
}

/// A SET OF these values, in the order of DER (X.690 11.6).
pub fn set_of(mut values: Vec<Vec<u8>>) -> Vec<u8> {
    values.sort();
    constructed(Tag::SET, &values)
}

/// `[number] EXPLICIT`.
pub fn explicit(number: u32, value: &[u8]) -> Vec<u8> {
    tlv(Tag::context_constructed(number), value)
}

/// `[number] IMPLICIT`: the value with its tag replaced, its form kept.
pub fn implicit(number: u32, value: &[u8]) -> Vec<u8> {
    let Some((&first, rest)) = value.split_first() else { return Vec::new() };
    let mut out = Vec::with_capacity(value.len());
    push_tag(&mut out, Tag { class: Class::Context, constructed: first & 0x20 != 0, number });
    let mut rest = rest;
    if first & 0x1f == 0x1f {
        let skip = rest.iter().position(|byte| byte & 0x80 == 0).map_or(rest.len(), |at| at.saturating_add(1));
        rest = rest.get(skip..).unwrap_or_default();
    }
    out.extend_from_slice(rest);
    out
}

/// An INTEGER from an unsigned number, the most significant byte first.
pub fn integer(unsigned: &[u8]) -> Vec<u8> {
    let skip = unsigned.iter().take_while(|byte| **byte == 0).count();
    let digits = unsigned.get(skip..).unwrap_or_default();
    let mut content = Vec::with_capacity(digits.len().saturating_add(1));
    if digits.first().is_none_or(|byte| byte & 0x80 != 0) {
        content.push(0);
    }
    content.extend_from_slice(digits);
    tlv(Tag::INTEGER, &content)
}

/// A small INTEGER.
pub fn integer_u64(value: u64) -> Vec<u8> {
    integer(&value.to_be_bytes())
}

/// An ENUMERATED.
pub fn enumerated(value: u8) -> Vec<u8> {
    tlv(Tag::ENUMERATED, &[value])
}

/// An OCTET STRING.
pub fn octet_string(bytes: &[u8]) -> Vec<u8> {
    tlv(Tag::OCTET_STRING, bytes)
}

/// A BIT STRING of whole bytes.
pub fn bit_string(bytes: &[u8]) -> Vec<u8> {
    bit_string_unused(0, bytes)
}

/// A BIT STRING whose last byte has unused bits.
pub fn bit_string_unused(unused: u8, bytes: &[u8]) -> Vec<u8> {
    let mut content = Vec::with_capacity(bytes.len().saturating_add(1));
    content.push(unused);
    content.extend_from_slice(bytes);
    tlv(Tag::BIT_STRING, &content)
}

/// A BIT STRING of named bits, bit 0 first, without trailing zero bits (X.690 11.2.2).
pub fn named_bits(bits: &[u32]) -> Vec<u8> {
    let mut bytes: Vec<u8> = Vec::new();
    let highest = bits.iter().max().copied();
    for &bit in bits {
        let at = usize::try_from(bit / 8).unwrap_or(usize::MAX);
        if at >= bytes.len() {
            bytes.resize(at.saturating_add(1), 0);
        }
        if let Some(byte) = bytes.get_mut(at) {
            *byte |= 0x80 >> (bit % 8);
        }
    }
    let unused = highest.map_or(0, |bit| 7 - bit % 8);
    bit_string_unused(u8::try_from(unused).unwrap_or(0), &bytes)
}

/// An OBJECT IDENTIFIER.
pub fn oid(oid: &Oid) -> Vec<u8> {
    tlv(Tag::OID, oid.as_bytes())
}

/// NULL.
pub fn null() -> Vec<u8> {
    tlv(Tag::NULL, &[])
}

/// A BOOLEAN.
pub fn boolean(value: bool) -> Vec<u8> {
    tlv(Tag::BOOLEAN, &[if value { 0xff } else { 0 }])
}

/// A UTF8String.
pub fn utf8(text: &str) -> Vec<u8> {
    tlv(Tag::UTF8_STRING, text.as_bytes())
}

/// A PrintableString; the caller knows that the text fits.
pub fn printable(text: &str) -> Vec<u8> {
    tlv(Tag::PRINTABLE_STRING, text.as_bytes())
}

/// An IA5String; the caller knows that the text is ASCII.
pub fn ia5(text: &str) -> Vec<u8> {
    tlv(Tag::IA5_STRING, text.as_bytes())
}

/// UTCTime up to 2049, GeneralizedTime after (RFC 5280 4.1.2.5).
pub fn time(time: Timestamp) -> Vec<u8> {
    let civil = time.civil();
    let rest = format!("{:02}{:02}{:02}{:02}{:02}Z", civil.month, civil.day, civil.hour, civil.minute, civil.second);
    if (1950..2050).contains(&civil.year) {
        tlv(Tag::UTC_TIME, format!("{:02}{rest}", civil.year.rem_euclid(100)).as_bytes())
    } else {
        generalized_time(time)
    }
}

/// A GeneralizedTime.
pub fn generalized_time(time: Timestamp) -> Vec<u8> {
    let c = time.civil();
    let text = format!("{:04}{:02}{:02}{:02}{:02}{:02}Z", c.year, c.month, c.day, c.hour, c.minute, c.second);
    tlv(Tag::GENERALIZED_TIME, text.as_bytes())
}

fn constructed(tag: Tag, values: &[impl AsRef<[u8]>]) -> Vec<u8> {
    let len: usize = values.iter().map(|value| value.as_ref().len()).sum();
    let mut out = Vec::with_capacity(len.saturating_add(12));
    push_tag(&mut out, tag);
    push_length(&mut out, len);
    values.iter().for_each(|value| out.extend_from_slice(value.as_ref()));
    out
}

pub(in crate::asn1) fn push_tag(out: &mut Vec<u8>, tag: Tag) {
    let class = match tag.class {
        Class::Universal => 0x00,
        Class::Application => 0x40,
        Class::Context => 0x80,
        Class::Private => 0xc0,
    };
    let first = class | if tag.constructed { 0x20 } else { 0 };
    if tag.number < 0x1f {
        out.push(first | low_byte(tag.number));
        return;
    }
    out.push(first | 0x1f);
    let groups = (1..5u32).rev().filter(|group| tag.number >> (group * 7) != 0);
    for group in groups {
        out.push(0x80 | low_byte(tag.number >> (group * 7) & 0x7f));
    }
    out.push(low_byte(tag.number & 0x7f));
}

pub(in crate::asn1) fn push_length(out: &mut Vec<u8>, length: usize) {
    if length < 0x80 {
        out.push(u8::try_from(length).unwrap_or(0));
        return;
    }
    let bytes = length.to_be_bytes();
    let skip = bytes.iter().take_while(|byte| **byte == 0).count();
    let digits = bytes.get(skip..).unwrap_or_default();
    out.push(0x80 | u8::try_from(digits.len()).unwrap_or(0));
    out.extend_from_slice(digits);
}

fn low_byte(number: u32) -> u8 {
    number.to_be_bytes()[3]
}
