//! The message that a script looks at.

use crate::limits::Limits;
use crate::mime::{self, ContentType, Entity, address};

/// A message with its parts found.
pub(super) struct Message<'m> {
    pub(super) bytes: &'m [u8],
    entity: Entity,
}

/// The value of a header field, for people and as written.
pub(super) struct Value {
    pub(super) text: String,
    pub(super) unfolded: String,
}

impl<'m> Message<'m> {
    pub(super) fn read(bytes: &'m [u8], limits: &Limits) -> Result<Self, mime::Error> {
        Ok(Self { bytes, entity: mime::parse(bytes, limits)? })
    }

    /// How many fields there are: each is looked at where one is looked for.
    pub(super) fn fields(&self) -> usize {
        self.entity.fields().len()
    }

    /// The values of a field, the first one first.
    pub(super) fn values(&self, name: &str) -> Vec<Value> {
        let fields = self.entity.fields().iter().filter(|field| field.name.eq_ignore_ascii_case(name));
        fields.map(|field| Value { text: field.text(self.bytes), unfolded: field.unfolded(self.bytes) }).collect()
    }

    /// The addresses of all fields of a name.
    pub(super) fn addresses(&self, name: &str) -> Vec<String> {
        let values = self.values(name);
        values.iter().flat_map(|value| address::parse(&value.unfolded).mailboxes).map(|mailbox| mailbox.address()).collect()
    }

    pub(super) fn has(&self, name: &str) -> bool {
        self.entity.field(&name.to_ascii_lowercase()).is_some()
    }

    /// Everything behind the header section, as it is (RFC 5173 5.1).
    pub(super) fn raw_body(&self) -> &'m [u8] {
        self.entity.body(self.bytes)
    }

    /// The parts whose content types are among these, decoded (RFC 5173 5.2), as far as `bytes` go.
    pub(super) fn contents(&self, kinds: &[String], mut bytes: usize) -> Vec<String> {
        let mut found = Vec::new();
        for part in self.entity.walk() {
            let kind = part.content_type();
            if !kinds.iter().any(|wanted| is_kind(kind, wanted)) {
                continue;
            }
            let content = if kind.is_multipart() {
                [part.preamble(self.bytes), part.epilogue(self.bytes)].concat()
            } else if part.is_message() {
                // of a message in the message, its header section; the parts of it are looked at by themselves
                let inner = part.body(self.bytes);
                let end =
                    part.children().first().map_or(0, |child| child.body_range().start.saturating_sub(part.body_range().start));
                inner.get(..end).unwrap_or_default().to_vec()
            } else {
                part.decoded_body(self.bytes)
            };
            let cut = content.get(..content.len().min(bytes)).unwrap_or_default();
            bytes = bytes.saturating_sub(cut.len());
            found.push(text_of(part, cut));
        }
        found
    }

    /// What a person reads (RFC 5173 5.3): each part of text, without the marks of HTML.
    pub(super) fn texts(&self, mut bytes: usize) -> Vec<String> {
        let mut found = Vec::new();
        for part in self.entity.walk() {
            let kind = part.content_type();
            if !kind.kind.eq_ignore_ascii_case("text") || part.is_message() {
                continue;
            }
            let content = part.decoded_body(self.bytes);
            let cut = content.get(..content.len().min(bytes)).unwrap_or_default();
            bytes = bytes.saturating_sub(cut.len());
            let text = text_of(part, cut);
            found.push(if kind.is("text", "html") { without_marks(&text) } else { text });
        }
        found
    }
}

/// `""` is every kind, `text` all of text, `text/plain` that one; what has more than one slash is none.
fn is_kind(kind: &ContentType, wanted: &str) -> bool {
    match wanted.split_once('/') {
        None => wanted.is_empty() || kind.kind.eq_ignore_ascii_case(wanted),
        Some((major, minor)) => !minor.is_empty() && kind.is(&major.to_ascii_lowercase(), &minor.to_ascii_lowercase()),
    }
}

fn text_of(part: &Entity, content: &[u8]) -> String {
    let charset = part.content_type().parameter("charset").filter(|_| part.content_type().kind.eq_ignore_ascii_case("text"));
    let decoded = charset.and_then(|charset| mime::decode_exactly(content, charset));
    decoded.unwrap_or_else(|| String::from_utf8_lossy(content).into_owned())
}

/// The text of HTML: marks, comments, scripts and styles are left out, and the commonest character references read.
fn without_marks(html: &str) -> String {
    let mut out = String::with_capacity(html.len());
    let mut rest = html;
    while let Some((text, from)) = rest.split_once('<') {
        out.push_str(text);
        let name: String = from.chars().take_while(char::is_ascii_alphanumeric).take(8).collect::<String>().to_ascii_lowercase();
        let end = match name.as_str() {
            "script" | "style" => find_ignoring_case(from, if name == "script" { "</script" } else { "</style" }),
            _ if from.starts_with("!--") => from.find("-->").map(|at| at.saturating_add(2)),
            _ => Some(0),
        };
        rest = match end.and_then(|at| from.get(at..)).and_then(|behind| behind.split_once('>')) {
            Some((_, behind)) => behind,
            None => "",
        };
        if matches!(name.as_str(), "p" | "br" | "div" | "tr" | "li") {
            out.push('\n');
        }
    }
    out.push_str(rest);
    let named = [("&nbsp;", " "), ("&lt;", "<"), ("&gt;", ">"), ("&quot;", "\""), ("&#39;", "'"), ("&amp;", "&")];
    named.iter().fold(out, |text, (reference, is)| if text.contains(reference) { text.replace(reference, is) } else { text })
}

fn find_ignoring_case(text: &str, wanted: &str) -> Option<usize> {
    text.as_bytes().windows(wanted.len()).position(|window| window.eq_ignore_ascii_case(wanted.as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn html_is_read_as_a_person_does() {
        let html = "<style>p{}</style><p>Cheap &amp; <b>go</b>od<!-- > x --></p><script>a<b</SCRIPT>!";
        assert_eq!(without_marks(html), "\nCheap & good!");
        assert_eq!(without_marks("a < b"), "a ");
    }

    #[test]
    fn kinds_are_whole_or_the_first_half() {
        let kind = ContentType::parse("text/plain").expect("a type");
        let is = ["", "text", "TEXT/plain"].map(|wanted| is_kind(&kind, wanted));
        assert_eq!(is, [true; 3]);
        assert!(!["text/", "te", "text/plain/x", "/plain"].iter().any(|wanted| is_kind(&kind, wanted)));
    }
}
