//! Identifier and length octets (X.690 8.1.2, 8.1.3).

use crate::asn1::{Class, Error, Tag};

/// The length that a header gives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::asn1) enum Length {
    /// So many bytes of content.
    Definite(u64),
    /// Content up to the end-of-contents octets.
    Indefinite,
}

/// Identifier and length octets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::asn1) struct Header {
    /// The tag.
    pub(in crate::asn1) tag: Tag,
    /// The length.
    pub(in crate::asn1) length: Length,
    /// How many bytes the header itself takes.
    pub(in crate::asn1) size: usize,
}

/// The most bytes that a header may take here: 1 + 5 of tag, 1 + 8 of length, and non-minimal lengths up to 1 + 126.
pub(in crate::asn1) const MAX_HEADER: usize = 6 + 127;

impl Header {
    /// Whether it stands for end-of-contents: two octets, and no other way to write them (X.690 8.1.5).
    pub(in crate::asn1) fn is_end(&self) -> bool {
        self.size == 2
            && self.tag == Tag { class: Class::Universal, constructed: false, number: 0 }
            && self.length == Length::Definite(0)
    }

    /// Reads a header at the start of `bytes`; `offset` is for messages. Non-minimal lengths are read.
    pub(in crate::asn1) fn parse(bytes: &[u8], offset: u64) -> Result<Self, Error> {
        let malformed = |what| Error::Malformed { offset, what };
        let truncated = || Error::Truncated { offset };
        let (&first, mut rest) = bytes.split_first().ok_or_else(truncated)?;
        let class = match first >> 6 {
            0 => Class::Universal,
            1 => Class::Application,
            2 => Class::Context,
            _ => Class::Private,
        };
        let constructed = first & 0x20 != 0;
        let mut number = u32::from(first & 0x1f);
        let mut size: usize = 1;
        if number == 0x1f {
            number = 0;
            loop {
                let (&byte, tail) = rest.split_first().ok_or_else(truncated)?;
                rest = tail;
                size = size.saturating_add(1);
                if number > (u32::MAX >> 7) {
                    return Err(malformed("a tag number over 32 bits"));
                }
                number = number << 7 | u32::from(byte & 0x7f);
                if byte & 0x80 == 0 {
                    break;
                }
            }
        }
        let tag = Tag { class, constructed, number };
        let (&first, rest) = rest.split_first().ok_or_else(truncated)?;
        size = size.saturating_add(1);
        if first < 0x80 {
            return Ok(Self { tag, length: Length::Definite(u64::from(first)), size });
        }
        if first == 0x80 {
            if !constructed {
                return Err(malformed("an indefinite length on a primitive value"));
            }
            return Ok(Self { tag, length: Length::Indefinite, size });
        }
        if first == 0xff {
            return Err(malformed("a reserved length octet"));
        }
        let count = usize::from(first & 0x7f);
        let (octets, _) = rest.split_at_checked(count).ok_or_else(truncated)?;
        let mut length: u64 = 0;
        for &octet in octets {
            if length > (u64::MAX >> 8) {
                return Err(malformed("a length over 64 bits"));
            }
            length = length << 8 | u64::from(octet);
        }
        Ok(Self { tag, length: Length::Definite(length), size: size.saturating_add(count) })
    }
}
