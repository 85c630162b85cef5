//! The words of a script (RFC 5228 2.3, 2.4 and 8.1).

use crate::sieve::Mistake;

/// A word, and its line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Token {
    pub(super) line: usize,
    pub(super) kind: Kind,
}

/// What a word is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Kind {
    /// The name of a command or test, in lower case.
    Identifier(String),
    /// `:name`, in lower case, without the colon.
    Tag(String),
    /// A number, its quantifier counted in.
    Number(u64),
    /// A quoted string, or a text of lines.
    Text(String),
    /// One of `[](){},;`.
    Sign(char),
}

impl Kind {
    /// The word as a mistake names it.
    pub(super) fn shown(&self) -> String {
        match self {
            Self::Identifier(name) => format!("`{name}`"),
            Self::Tag(name) => format!("`:{name}`"),
            Self::Number(number) => format!("the number {number}"),
            Self::Text(_) => "a string".to_owned(),
            Self::Sign(sign) => format!("`{sign}`"),
        }
    }
}

/// Takes a script apart; the first thing that is no word ends it.
pub(super) fn tokens(script: &str) -> Result<Vec<Token>, Mistake> {
    let mut lexer = Lexer { rest: script, line: 1 };
    if let Some(at) = script.find('\0') {
        lexer.take(at);
        return Err(lexer.mistake("a NUL stands here, which no script may hold"));
    }
    let mut found = Vec::new();
    while let Some(token) = lexer.next()? {
        found.push(token);
    }
    Ok(found)
}

struct Lexer<'a> {
    rest: &'a str,
    line: usize,
}

impl<'a> Lexer<'a> {
    fn next(&mut self) -> Result<Option<Token>, Mistake> {
        self.skip_blanks()?;
        let line = self.line;
        let Some(first) = self.rest.chars().next() else { return Ok(None) };
        let kind = match first {
            '[' | ']' | '(' | ')' | '{' | '}' | ',' | ';' => {
                self.take(1);
                Kind::Sign(first)
            }
            '"' => self.quoted()?,
            ':' => {
                self.take(1);
                match self.word() {
                    "" => return Err(self.mistake("a colon begins a tag, and no name follows it – write it as in `:is`")),
                    name => Kind::Tag(name.to_ascii_lowercase()),
                }
            }
            '0'..='9' => self.number()?,
            'a'..='z' | 'A'..='Z' | '_' => {
                let name = self.word().to_ascii_lowercase();
                if name == "text" && self.rest.starts_with(':') {
                    self.take(1);
                    self.lines(line)?
                } else {
                    Kind::Identifier(name)
                }
            }
            other => {
                let shown = other.escape_default();
                return Err(self.mistake(&format!("`{shown}` begins no word of a script – text stands between double quotes")));
            }
        };
        Ok(Some(Token { line, kind }))
    }

    fn mistake(&self, text: &str) -> Mistake {
        Mistake { line: self.line, text: text.to_owned() }
    }

    /// Takes bytes of the script, which end a character.
    fn take(&mut self, bytes: usize) -> &'a str {
        let (taken, rest) = self.rest.split_at_checked(bytes).unwrap_or((self.rest, ""));
        self.line = self.line.saturating_add(memchr::memchr_iter(b'\n', taken.as_bytes()).count());
        self.rest = rest;
        taken
    }

    /// Passes over blanks and comments.
    fn skip_blanks(&mut self) -> Result<(), Mistake> {
        loop {
            let blank = self.rest.len().saturating_sub(self.rest.trim_start_matches([' ', '\t', '\r', '\n']).len());
            self.take(blank);
            if self.rest.starts_with('#') {
                self.take(self.rest.find('\n').unwrap_or(self.rest.len()));
            } else if self.rest.starts_with("/*") {
                let Some(end) = self.rest.get(2..).and_then(|inner| inner.find("*/")) else {
                    return Err(self.mistake("the comment that begins here has no end – close it with `*/`"));
                };
                self.take(end.saturating_add(4));
            } else if blank == 0 {
                return Ok(());
            }
        }
    }

    fn word(&mut self) -> &'a str {
        let len = self.rest.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(self.rest.len());
        self.take(len)
    }

    /// `number = 1*DIGIT [ "K" / "M" / "G" ]`
    fn number(&mut self) -> Result<Kind, Mistake> {
        let word = self.word();
        let digits = word.trim_end_matches(|c: char| !c.is_ascii_digit());
        let unit: u64 = match word.get(digits.len()..).unwrap_or_default() {
            "" => 1,
            "K" | "k" => 1 << 10,
            "M" | "m" => 1 << 20,
            "G" | "g" => 1 << 30,
            _ => return Err(self.mistake(&format!("`{word}` is no number – one is written as in 100, 100K or 2M"))),
        };
        match digits.parse::<u64>().ok().and_then(|number| number.checked_mul(unit)) {
            Some(number) => Ok(Kind::Number(number)),
            None => Err(self.mistake(&format!("the number {word} is too large"))),
        }
    }

    /// A backslash stands before a quote or a backslash; before others it says nothing (RFC 5228 2.4.2).
    fn quoted(&mut self) -> Result<Kind, Mistake> {
        let mut text = String::new();
        let mut chars = self.rest.char_indices().skip(1);
        while let Some((at, c)) = chars.next() {
            match c {
                '"' => {
                    self.take(at.saturating_add(1));
                    return Ok(Kind::Text(text));
                }
                '\\' => text.extend(chars.next().map(|(_, c)| c)),
                c => text.push(c),
            }
        }
        Err(self.mistake("the string that begins here has no end – close it with `\"`"))
    }

    /// `text:` to the end of its line, lines, and a line with a dot alone.
    fn lines(&mut self, begin: usize) -> Result<Kind, Mistake> {
        let blank = self.rest.len().saturating_sub(self.rest.trim_start_matches([' ', '\t']).len());
        self.take(blank);
        let head = self.take(self.rest.find('\n').map_or(self.rest.len(), |end| end.saturating_add(1)));
        if !matches!(head.trim_end(), "") && !head.starts_with('#') {
            return Err(Mistake {
                line: begin,
                text: "text begins on the line after `text:` – nothing but a comment may follow it".into(),
            });
        }
        let mut text = String::new();
        while !self.rest.is_empty() {
            let line = self.take(self.rest.find('\n').map_or(self.rest.len(), |end| end.saturating_add(1)));
            match line.trim_end_matches(['\r', '\n']) {
                "." => return Ok(Kind::Text(text)),
                // a dot before a dot is left out
                content => text.push_str(content.strip_prefix('.').filter(|rest| rest.starts_with('.')).unwrap_or(content)),
            }
            text.push_str("\r\n");
        }
        Err(Mistake {
            line: begin,
            text: "the text that begins here has no end – close it with a line that is a dot alone".into(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kinds(script: &str) -> Vec<Kind> {
        tokens(script).expect("words").into_iter().map(|token| token.kind).collect()
    }

    #[test]
    fn reads_every_kind_of_word() {
        let text = |text: &str| Kind::Text(text.to_owned());
        assert_eq!(
            kinds(r#"Keep :Is 2K "a\"\\\b" ; # x"#),
            [Kind::Identifier("keep".into()), Kind::Tag("is".into()), Kind::Number(2048), text("a\"\\b"), Kind::Sign(';'),]
        );
        assert_eq!(kinds("/* a\n*/ text: # note\r\na\r\n..b\r\n.c\r\n.\r\n"), [text("a\r\n.b\r\n.c\r\n")]);
    }

    #[test]
    fn refuses_what_has_no_end_and_says_where_it_begins() {
        for (script, line, says) in [
            ("keep;\n\"a\nb", 2, "the string that begins here has no end"),
            ("\n\n/* a", 3, "the comment that begins here has no end"),
            ("text:\na\n", 1, "the text that begins here has no end"),
            ("stop\n%", 2, "`%` begins no word"),
            ("size 2X", 1, "`2X` is no number"),
            ("size 99999999999G", 1, "too large"),
            ("keep;\n\"a\\\0\"", 2, "a NUL"),
            ("text:\na\0\n.\n", 2, "a NUL"),
        ] {
            let mistake = tokens(script).expect_err(script);
            assert!(mistake.line == line && mistake.text.contains(says), "{script}: {mistake}");
        }
    }
}
