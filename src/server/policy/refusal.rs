//! What a peer is told when he is refused, and what the log is told.

/// A refusal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::server) struct Refusal {
    /// The reply code: 4xx for a time, 5xx for good; 421 ends the connection.
    pub(in crate::server) code: u16,
    /// The enhanced code (RFC 3463).
    pub(in crate::server) enhanced: &'static str,
    /// One line in plain words.
    pub(in crate::server) text: String,
}

impl Refusal {
    /// A refusal; whatever comes from outside in the text loses what could break the line.
    pub(in crate::server) fn new(code: u16, enhanced: &'static str, text: impl Into<String>) -> Self {
        let text = text.into().chars().map(|c| if c.is_control() { ' ' } else { c }).take(MAX_TEXT).collect();
        Self { code, enhanced, text }
    }
}

/// A reply line has 512 bytes (RFC 5321 4.5.3.1.5); characters outside ASCII take up to four.
const MAX_TEXT: usize = 120;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_is_one_line_whatever_it_tells() {
        let refusal = Refusal::new(550, "5.7.1", format!("listed – see\r\n250 ok {}", "x".repeat(2000)));
        assert!(!refusal.text.contains(['\r', '\n']) && refusal.text.len() < 500, "{}", refusal.text);
    }
}
