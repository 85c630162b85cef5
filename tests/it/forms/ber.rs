//! Writes DER anew in the other ways that BER allows (X.690 8): what a cryptographic message says stays the same.

/// How values are written.
#[derive(Debug, Clone, Copy)]
pub(super) struct Style {
    pub(super) name: &'static str,
    /// Constructed values of indefinite length.
    is_indefinite: bool,
    /// Lengths in four bytes more than they need.
    is_long: bool,
    /// OCTET STRINGs in pieces of so many bytes.
    piece: Option<usize>,
    /// So many more constructed OCTET STRINGs around the pieces.
    nesting: usize,
}

const DER: Style = Style { name: "DER", is_indefinite: false, is_long: false, piece: None, nesting: 0 };

pub(super) const STYLES: [Style; 8] = [
    DER,
    Style { name: "indefinite", is_indefinite: true, ..DER },
    Style { name: "non-minimal", is_long: true, ..DER },
    Style { name: "constructed", piece: Some(100), ..DER },
    Style { name: "constructed, byte by byte", piece: Some(1), ..DER },
    Style { name: "nested", piece: Some(100), nesting: 3, ..DER },
    Style { name: "nested, indefinite", piece: Some(7), nesting: 3, is_indefinite: true, ..DER },
    Style { name: "all of it", piece: Some(33), nesting: 1, is_indefinite: true, is_long: true },
];

/// Writes a message anew. Certificates, names and attributes that are signed or authenticated keep their bytes: they are hashed or
/// compared as DER (RFC 5652 5.4, RFC 5083 2.1).
pub(super) fn rewrite(der: &[u8], style: Style) -> Vec<u8> {
    let (tag, content, rest) = split(der);
    assert!(rest.is_empty());
    value(tag, content, &[], style)
}

fn value(tag: u8, content: &[u8], path: &[u8], style: Style) -> Vec<u8> {
    let path = [path, &[tag]].concat();
    if keeps_its_bytes(&path, content) {
        return header(tag, content.len(), false).into_iter().chain(content.iter().copied()).collect();
    }
    // the content of EncryptedContentInfo is an OCTET STRING under a tag of its own
    let is_string = tag == OCTET_STRING || (tag == 0x80 && path.starts_with(&[SEQUENCE, 0xa0, SEQUENCE, SEQUENCE]));
    match style.piece {
        Some(piece) if is_string => pieces(tag, content, piece, style),
        _ if tag & CONSTRUCTED == 0 => whole(tag, content, style),
        _ => {
            let mut inner = Vec::new();
            let mut rest = content;
            while !rest.is_empty() {
                let (tag, content, after) = split(rest);
                inner.extend(value(tag, content, &path, style));
                rest = after;
            }
            whole(tag, &inner, style)
        }
    }
}

fn pieces(tag: u8, content: &[u8], piece: usize, style: Style) -> Vec<u8> {
    let mut inner: Vec<u8> = content.chunks(piece).flat_map(|piece| whole(OCTET_STRING, piece, style)).collect();
    for _ in 0..style.nesting {
        inner = whole(OCTET_STRING | CONSTRUCTED, &inner, style);
    }
    whole(tag | CONSTRUCTED, &inner, style)
}

fn whole(tag: u8, content: &[u8], style: Style) -> Vec<u8> {
    if style.is_indefinite && tag & CONSTRUCTED != 0 {
        return [&[tag, 0x80], content, &[0, 0]].concat();
    }
    [&header(tag, content.len(), style.is_long), content].concat()
}

fn header(tag: u8, len: usize, is_long: bool) -> Vec<u8> {
    let bytes = len.to_be_bytes();
    let significant = &bytes[bytes.iter().position(|byte| *byte != 0).unwrap_or(7)..];
    let length = match (len, is_long) {
        (_, true) => [&[0x84 + significant.len() as u8, 0, 0, 0, 0], significant].concat(),
        (0..0x80, false) => significant.to_vec(),
        _ => [&[0x80 + significant.len() as u8], significant].concat(),
    };
    [vec![tag], length].concat()
}

fn keeps_its_bytes(path: &[u8], content: &[u8]) -> bool {
    let is_certificate = path.starts_with(&[SEQUENCE, 0xa0, SEQUENCE, 0xa0]) && path.len() == 5;
    let is_signed = *path == [SEQUENCE, 0xa0, SEQUENCE, SET, SEQUENCE, 0xa0];
    let is_authenticated = *path == [SEQUENCE, 0xa0, SEQUENCE, 0xa1];
    // a Name is the SEQUENCE that begins with a SET
    let is_name = path.ends_with(&[SEQUENCE]) && content.first() == Some(&SET);
    is_certificate || is_signed || is_authenticated || is_name
}

/// The first value: its tag, its content, what follows.
fn split(der: &[u8]) -> (u8, &[u8], &[u8]) {
    let (len, start) = match der[1] {
        short @ 0..0x80 => (short as usize, 2),
        long => {
            let end = 2 + (long - 0x80) as usize;
            (der[2..end].iter().fold(0, |len, byte| len << 8 | *byte as usize), end)
        }
    };
    (der[0], &der[start..start + len], &der[start + len..])
}

const SEQUENCE: u8 = 0x30;
const SET: u8 = 0x31;
const OCTET_STRING: u8 = 0x04;
const CONSTRUCTED: u8 = 0x20;
