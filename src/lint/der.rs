//! Whether bytes are DER, as X.690 10 and 11 have it: one way to write each value.

/// Levels of values in each other that are looked into: certificates have about ten.
const DEPTH: usize = 24;

/// Says the first thing that DER forbids.
pub(super) fn flaw(bytes: &[u8]) -> Option<&'static str> {
    values(bytes, DEPTH).err()
}

fn values(mut bytes: &[u8], depth: usize) -> Result<(), &'static str> {
    let Some(depth) = depth.checked_sub(1) else { return Err("values lie too deep in each other") };
    while !bytes.is_empty() {
        let (tag, content, rest) = split(bytes)?;
        // a high tag number stands in more bytes, and is constructed or not as its first byte says
        if tag & 0x20 != 0 {
            values(content, depth)?;
        } else {
            primitive(tag, content)?;
        }
        bytes = rest;
    }
    Ok(())
}

fn primitive(tag: u8, content: &[u8]) -> Result<(), &'static str> {
    match (tag, content) {
        (1, [0 | 0xff]) => Ok(()),
        (1, _) => Err("a BOOLEAN is neither 00 nor FF"),
        (2 | 10, []) => Err("an INTEGER is empty"),
        (2 | 10, [0, next, ..]) if *next < 0x80 => Err("an INTEGER has a zero in front that it does not need"),
        (2 | 10, [0xff, next, ..]) if *next >= 0x80 => Err("an INTEGER has a byte in front that it does not need"),
        (3, [unused, .., last]) if *unused < 8 => {
            if last.trailing_zeros() < u32::from(*unused) {
                Err("a BIT STRING has unused bits that are set")
            } else {
                Ok(())
            }
        }
        (3, [0]) => Ok(()),
        (3, _) => Err("a BIT STRING has a wrong number of unused bits"),
        (5, [_, ..]) => Err("a NULL has content"),
        _ => Ok(()),
    }
}

/// The first byte of the tag, the content, and what follows.
fn split(bytes: &[u8]) -> Result<(u8, &[u8], &[u8]), &'static str> {
    const SHORT: &str = "a value is cut short";
    let (tag, mut rest) = bytes.split_first().ok_or(SHORT)?;
    if tag & 0x1f == 0x1f {
        loop {
            let (next, after) = rest.split_first().ok_or(SHORT)?;
            rest = after;
            if next & 0x80 == 0 {
                break;
            }
        }
    }
    let (first, mut rest) = rest.split_first().ok_or(SHORT)?;
    let length = match first {
        0..=0x7f => usize::from(*first),
        0x80 => return Err("a length is indefinite"),
        _ => {
            let (octets, after) = rest.split_at_checked(usize::from(first & 0x7f)).ok_or(SHORT)?;
            rest = after;
            let length = octets.iter().try_fold(0_usize, |length, octet| {
                length.checked_mul(256).and_then(|length| length.checked_add(usize::from(*octet)))
            });
            let length = length.ok_or(SHORT)?;
            if octets.first() == Some(&0) || length < 0x80 {
                return Err("a length is written longer than it needs");
            }
            length
        }
    };
    let (content, after) = rest.split_at_checked(length).ok_or(SHORT)?;
    Ok((*tag, content, after))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn says_what_is_not_der() {
        for (bytes, said) in [
            (&[0x30, 3, 2, 1, 5][..], None),
            (&[0x30, 0x80, 2, 1, 5, 0, 0], Some("a length is indefinite")),
            (&[0x30, 0x81, 3, 2, 1, 5], Some("a length is written longer than it needs")),
            (&[0x30, 4, 2, 2, 0, 5], Some("an INTEGER has a zero in front that it does not need")),
            (&[0x30, 3, 1, 1, 1], Some("a BOOLEAN is neither 00 nor FF")),
            (&[3, 2, 4, 0x18], Some("a BIT STRING has unused bits that are set")),
            (&[3, 2, 3, 0x18], None),
            (&[0x30, 4, 2, 1, 5], Some("a value is cut short")),
        ] {
            assert_eq!(flaw(bytes), said, "{bytes:02x?}");
        }
        let deep = (0..40).fold(vec![5, 0], |inside: Vec<u8>, _| crate::asn1::encode::sequence(&[inside]));
        assert_eq!(flaw(&deep), Some("values lie too deep in each other"));
    }
}
