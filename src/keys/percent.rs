//! Percent encoding in URIs (RFC 3986 2.1).

/// The bytes of a text whose percent signs each stand before two hexadecimal digits; `None` where one does not.
pub(in crate::keys) fn decoded(text: &str) -> Option<Vec<u8>> {
    let mut bytes = text.bytes();
    let mut found = Vec::with_capacity(text.len());
    let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    while let Some(byte) = bytes.next() {
        found.push(match byte {
            b'%' => digit(bytes.next()?)? << 4 | digit(bytes.next()?)?,
            byte => byte,
        });
    }
    Some(found)
}

#[cfg(test)]
mod tests {
    use super::decoded;

    #[test]
    fn two_digits_stand_behind_each_sign() {
        assert_eq!(decoded("a%20b%2Fc%c3%bc").as_deref(), Some("a b/c\u{fc}".as_bytes()));
        for broken in ["%", "%4", "a%4g", "%%41", "%+1"] {
            assert_eq!(decoded(broken), None, "{broken}");
        }
    }
}
