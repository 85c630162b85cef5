//! Whether line feeds that go by may be content: in binary content they are bytes like any other.

use memchr::memmem;

use crate::mime::canonical::Before;

/// Notices a message of which line ends alone do not tell where lines end.
///
/// A message is written with CRLF, or lies in a file with line feeds alone. Where both go by, or where line feeds alone go by together
/// with the word `binary`, only a look at each part tells which of them are line ends.
#[derive(Debug)]
pub(in crate::mime::canonical) struct Watch {
    has_crlf: bool,
    has_lone: bool,
    says_binary: bool,
    before: Before,
    /// The end of what went by, for a word that lies across two pieces.
    edge: Vec<u8>,
}

impl Watch {
    /// Watches what follows this header section.
    pub(in crate::mime::canonical) fn after(head: &[u8]) -> Self {
        Self { has_crlf: false, has_lone: false, says_binary: says_binary(head), before: Before::Other, edge: Vec::new() }
    }

    /// Looks at what goes by, in which some line feeds stand alone or none does.
    pub(in crate::mime::canonical) fn look(&mut self, bytes: &[u8], has_lone: bool) {
        self.has_lone |= has_lone;
        // of a message with CRLF, this is all that is looked at
        self.has_crlf = self.has_crlf
            || memmem::find(bytes, b"\r\n").is_some()
            || (self.before == Before::CarriageReturn && bytes.first() == Some(&b'\n'));
        self.before = self.before.after(bytes);
        if self.has_crlf || self.says_binary {
            return;
        }
        self.edge.extend_from_slice(bytes.get(..bytes.len().min(WORD)).unwrap_or_default());
        self.says_binary = says_binary(bytes) || says_binary(&self.edge);
        if bytes.len() > WORD {
            self.edge.clear();
            self.edge.extend_from_slice(bytes.get(bytes.len().saturating_sub(WORD)..).unwrap_or_default());
        }
        self.edge.drain(..self.edge.len().saturating_sub(WORD));
    }

    /// Whether line feeds went by that may be content.
    pub(in crate::mime::canonical) fn is_doubtful(&self) -> bool {
        self.has_lone && (self.has_crlf || self.says_binary)
    }

    /// Whether line ends of both kinds went by.
    pub(in crate::mime::canonical) fn is_mixed(&self) -> bool {
        self.has_lone && self.has_crlf
    }
}

/// Bytes of the word.
const WORD: usize = 6;

/// Whether the word stands there as programs write it; elsewhere than in a header field it costs a second look, no more.
fn says_binary(bytes: &[u8]) -> bool {
    [b"inary", b"INARY"].into_iter().any(|end| memmem::find(bytes, end).is_some())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn doubts(text: &[u8], piece: usize) -> bool {
        let mut watch = Watch::after(b"");
        for piece in text.chunks(piece) {
            // a line feed at the front of a piece is not what this test is about
            let has_lone = piece.windows(2).any(|two| two[1] == b'\n' && two[0] != b'\r');
            watch.look(piece, has_lone);
        }
        watch.is_doubtful()
    }

    #[test]
    fn only_line_feeds_that_may_be_content_raise_doubt() {
        assert!(!doubts(b"a\r\nbinary\r\nc\r\n", 100), "each line feed follows a carriage return");
        assert!(!doubts(b"a\nb\nc\n", 100), "a text from a file");
        assert!(doubts(b"a\r\nb\nc\r\n", 100));
        assert!(doubts(b"a\r\nbb\nc", 2), "a line end across two pieces");
        assert!(doubts(b"a\nContent-Transfer-Encoding: binary\nb\n", 100));
        assert!(doubts(b"a\nContent-Transfer-Encoding: BINARY\nb\n", 100));
        for piece in [2, 3, 4, 5, 6, 7, 8, 9, 10, 20, 40] {
            assert!(doubts(b"aa\nbb\ncc\nContent-Transfer-Encoding: Binary\ndd\nee\n", piece), "in pieces of {piece}");
        }
    }
}
