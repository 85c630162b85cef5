//! The outer header section of a message that came: where it has been, and which fields it lacks. Nothing below it is looked at.

/// A header section, field by field.
#[derive(Debug)]
pub(in crate::server) struct Head {
    /// Name in lower case, value unfolded.
    fields: Vec<(String, String)>,
}

impl Head {
    /// Reads the section at the start of a message; `None` where it does not end within these bytes and more follows.
    pub(in crate::server) fn of(start: &[u8], is_whole: bool) -> Option<Self> {
        let end = match start.windows(4).position(|window| window == b"\r\n\r\n") {
            _ if start.starts_with(b"\r\n") => 0,
            Some(end) => end,
            None if is_whole => start.len(),
            None => return None,
        };
        let text = String::from_utf8_lossy(start.get(..end).unwrap_or_default());
        let mut fields: Vec<(String, String)> = Vec::new();
        for line in text.split("\r\n") {
            match (line.starts_with([' ', '\t']), fields.last_mut()) {
                (true, Some((_, value))) => value.push_str(line),
                // `From :` is obsolete syntax that readers take
                _ => {
                    let field = line.split_once(':').map(|(name, value)| (name.trim().to_ascii_lowercase(), value.to_owned()));
                    fields.extend(field);
                }
            }
        }
        Some(Self { fields })
    }

    /// The values of every field of this name, which is in lower case.
    pub(in crate::server) fn values<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.fields.iter().filter(move |(known, _)| known == name).map(|(_, value)| value.trim())
    }

    /// Whether there is a field of this name.
    pub(in crate::server) fn has(&self, name: &str) -> bool {
        self.values(name).next().is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_those_of_the_outer_section_alone() {
        let message = b"Received: a\r\n by b\r\nFrom : x\r\nRECEIVED:\r\n\tc\r\n\r\nDate: inside\r\n\r\n";
        let head = Head::of(message, false).expect("it ends");
        assert_eq!(head.values("received").collect::<Vec<_>>(), ["a by b", "c"]);
        assert!(head.has("from") && !head.has("date"));
        assert!(!Head::of(b"\r\nDate: x\r\n\r\n", true).expect("it ends").has("date"), "no header section");
        assert!(Head::of(b"Date: x\r\n", false).is_none());
        assert!(Head::of(b"Date: x\r\n", true).expect("all of it").has("date"));
    }
}
