//! Object identifiers, with arcs of any size (X.690 8.19).

use std::fmt;

/// An object identifier; arcs may be of any size, as those of UUIDs below 2.25 are.
///
/// ```
/// use sealpost::asn1::Oid;
/// assert_eq!(Oid::from_bytes(&[0x88, 0x37, 1]).map(|oid| oid.to_string()), Some("2.999.1".to_owned()));
/// ```
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Oid {
    len: usize,
    /// What follows `len` is 0.
    bytes: [u8; MAX_BYTES],
}

impl Oid {
    /// Makes one from its dotted form, for constants.
    pub(in crate::asn1) const fn new(dotted: &str) -> Self {
        let oid = const_oid::ObjectIdentifier::new_unwrap(dotted);
        let mut bytes = [0; MAX_BYTES];
        let content = oid.as_bytes();
        let (start, _) = bytes.split_at_mut(content.len());
        start.copy_from_slice(content);
        Self { len: content.len(), bytes }
    }

    /// Reads the content of an OBJECT IDENTIFIER; `None` where it is none, or over 63 bytes.
    pub fn from_bytes(content: &[u8]) -> Option<Self> {
        let ends = content.last().is_some_and(|byte| byte & 0x80 == 0);
        let is_start = |at: usize| at.checked_sub(1).and_then(|before| content.get(before)).is_none_or(|byte| byte & 0x80 == 0);
        // X.690 8.19.2: no arc begins with a byte that adds nothing, or one identifier would have several forms
        let is_minimal = content.iter().enumerate().all(|(at, byte)| *byte != 0x80 || !is_start(at));
        let mut bytes = [0; MAX_BYTES];
        bytes.get_mut(..content.len()).filter(|_| ends && is_minimal)?.copy_from_slice(content);
        Some(Self { len: content.len(), bytes })
    }

    /// Reads the dotted form, as people write it; `None` where it is none.
    ///
    /// ```
    /// use sealpost::asn1::Oid;
    /// assert_eq!(Oid::from_dotted("2.999.1").map(|oid| oid.to_string()), Some("2.999.1".to_owned()));
    /// assert_eq!(Oid::from_dotted("1.40"), None);
    /// ```
    pub fn from_dotted(text: &str) -> Option<Self> {
        let digits = |arc: &str| !arc.is_empty() && arc.bytes().all(|byte| byte.is_ascii_digit());
        let mut arcs = text.split('.').map(|arc| arc.parse::<u128>().ok().filter(|_| digits(arc)));
        let (first, second) = (arcs.next()??, arcs.next()??);
        // X.690 8.19.4: the first two stand in one number
        if first > 2 || (first < 2 && second > 39) {
            return None;
        }
        let mut content = Vec::new();
        base_128(first.checked_mul(40)?.checked_add(second)?, &mut content);
        for arc in arcs {
            base_128(arc?, &mut content);
        }
        Self::from_bytes(&content)
    }

    /// The content of the OBJECT IDENTIFIER.
    pub fn as_bytes(&self) -> &[u8] {
        self.bytes.get(..self.len).unwrap_or_default()
    }
}

/// Seven bits a byte, the last without its highest bit.
fn base_128(number: u128, content: &mut Vec<u8>) {
    let low = |shift: u32| u8::try_from(number >> shift & 0x7f).unwrap_or(0);
    let highest = (128_u32.saturating_sub(number.leading_zeros()).saturating_sub(1) / 7).saturating_mul(7);
    (7..=highest).rev().step_by(7).for_each(|shift| content.push(low(shift) | 0x80));
    content.push(low(0));
}

impl fmt::Display for Oid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, arc) in self.as_bytes().split_inclusive(|byte| byte & 0x80 == 0).enumerate() {
            let value =
                arc.iter().try_fold(0_u128, |value, byte| value.checked_mul(128).map(|value| value | u128::from(byte & 0x7f)));
            match (at, value) {
                // the first number holds two arcs (X.690 8.19.4)
                (0, Some(value)) => {
                    let first = (value / 40).min(2);
                    write!(f, "{first}.{}", value.saturating_sub(first.saturating_mul(40)))?;
                }
                (_, Some(value)) => write!(f, ".{value}")?,
                // over 128 bits: nobody's arc, but it still has its bytes
                (_, None) => arc.iter().try_for_each(|byte| write!(f, ".x{byte:02x}"))?,
            }
        }
        Ok(())
    }
}

impl fmt::Debug for Oid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Oid({self})")
    }
}

/// 63: an arc that is a UUID takes 19, and real identifiers stay under 40.
const MAX_BYTES: usize = 63;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_dotted_form_is_read_as_it_is_written() {
        for dotted in
            ["1.2.840.113549.1.7.1", "2.999.0.127.128.16383.16384", "0.39", "2.25.340282366920938463463374607431768211455"]
        {
            assert_eq!(Oid::from_dotted(dotted).map(|oid| oid.to_string()).as_deref(), Some(dotted));
        }
        let too_long = format!("1.2{}", ".4294967295".repeat(13));
        for text in ["", "1", "1.", ".1", "1.40", "3.1", "1.2.x", "1.2.+3", "1.2.-3", "1. 2", "anyPolicy", &too_long] {
            assert_eq!(Oid::from_dotted(text), None, "{text}");
        }
    }

    #[test]
    fn arcs_of_any_size_are_read_and_written() {
        let dotted = |bytes: &[u8]| Oid::from_bytes(bytes).map(|oid| oid.to_string());
        assert_eq!(Oid::new("1.2.840.113549.1.7.1").to_string(), "1.2.840.113549.1.7.1");
        assert_eq!(dotted(&[0x2a]).as_deref(), Some("1.2"));
        assert_eq!(dotted(&[0x88, 0x37]).as_deref(), Some("2.999"));
        let mut uuid = vec![0x69, 0x83];
        uuid.extend([0xff; 17]);
        uuid.push(0x7f);
        assert_eq!(dotted(&uuid).as_deref(), Some("2.25.340282366920938463463374607431768211455"));
    }

    #[test]
    fn refuses_what_is_no_identifier() {
        for bytes in [&[][..], &[0x2a, 0x86], &[0x80, 0x01], &[0x2a, 0x80, 0x01], &[1; 64]] {
            assert_eq!(Oid::from_bytes(bytes), None, "{bytes:?}");
        }
        assert!(Oid::from_bytes(&[0x2a, 0x86, 0x80, 0x01]).is_some());
    }
}
