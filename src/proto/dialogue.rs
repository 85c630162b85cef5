//! What was said in a conversation, fit to be shown to people who learn or debug: passwords are masked, messages are told by their size.

/// Who said it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Party {
    /// The one that connected.
    Client,
    /// The one that answers.
    Server,
}

/// One line of a conversation, without its line end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Spoken {
    /// Who said it.
    pub by: Party,
    /// What: printable, with secrets masked.
    pub text: String,
}

/// Collects the lines of one conversation until somebody takes them.
#[derive(Debug, Default)]
pub(in crate::proto) struct Dialogue(Vec<Spoken>);

/// Where a secret stood.
pub(in crate::proto) const MASK: &str = "(secret)";
/// Stands between what was said in the clear and what was said under TLS.
pub(in crate::proto) const TLS_BEGAN: &str = "(TLS begins; all before is forgotten)";
/// Lines that are kept where nobody takes them.
const LINES: usize = 1000;

impl Dialogue {
    /// Whole lines that went out or came in.
    pub(in crate::proto) fn lines(&mut self, by: Party, bytes: &[u8]) {
        let text = String::from_utf8_lossy(bytes);
        text.lines().for_each(|line| self.line(by, line));
    }

    /// One line.
    pub(in crate::proto) fn line(&mut self, by: Party, line: &str) {
        if self.0.len() < LINES {
            let is_plain = line.bytes().all(|byte| matches!(byte, b' '..=b'~'));
            let shown = || line.chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect();
            let text = if is_plain { line.to_owned() } else { shown() };
            self.0.push(Spoken { by, text });
        }
    }

    /// A message in place of its lines.
    pub(in crate::proto) fn message(&mut self, by: Party, size: u64) {
        self.line(by, &format!("(a message of {size} bytes)"));
    }

    /// A command whose words after the first `shown` are secret.
    pub(in crate::proto) fn masked(&mut self, by: Party, line: &str, shown: usize) {
        let words: Vec<&str> = line.splitn(shown.saturating_add(1), ' ').collect();
        let is_whole = words.len() <= shown;
        let told: Vec<&str> = words.into_iter().take(shown).chain((!is_whole).then_some(MASK)).collect();
        self.line(by, &told.join(" "));
    }

    /// Everything since the last time.
    pub(in crate::proto) fn take(&mut self) -> Vec<Spoken> {
        std::mem::take(&mut self.0)
    }
}

/// The commands of SMTP and POP3.
const VERBS: &[&str] = &[
    "EHLO", "HELO", "MAIL", "RCPT", "DATA", "BDAT", "RSET", "NOOP", "QUIT", "STARTTLS", "VRFY", "EXPN", "HELP", "USER", "CAPA",
    "STLS", "STAT", "LIST", "UIDL", "RETR", "TOP", "DELE", "UTF8", "LANG",
];

/// Shows a command line; the passwords of AUTH and PASS are masked. What is no command is not shown at all: it may be a password
/// whose AUTH was refused.
pub(in crate::proto) fn command(dialogue: &mut Dialogue, line: &str) {
    let verb = line.split(' ').next().unwrap_or_default();
    let is = |known: &&str| verb.eq_ignore_ascii_case(known);
    if is(&"AUTH") {
        dialogue.masked(Party::Client, line, 2);
    } else if ["PASS", "APOP"].iter().any(is) {
        dialogue.masked(Party::Client, line, 1);
    } else if VERBS.iter().any(is) {
        dialogue.line(Party::Client, line);
    } else {
        dialogue.line(Party::Client, &format!("({} bytes that are no command)", line.len()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passwords_are_never_shown() {
        let mut dialogue = Dialogue::default();
        for line in [
            "AUTH PLAIN AGphbmUAc2VjcmV0",
            "auth login amFuZQ==",
            "AUTH PLAIN",
            "PASS my secret",
            "PASS",
            "USER jane",
            "c2VjcmV0",
        ] {
            command(&mut dialogue, line);
        }
        let shown: Vec<String> = dialogue.take().into_iter().map(|spoken| spoken.text).collect();
        assert_eq!(
            shown,
            [
                "AUTH PLAIN (secret)",
                "auth login (secret)",
                "AUTH PLAIN",
                "PASS (secret)",
                "PASS",
                "USER jane",
                "(8 bytes that are no command)"
            ]
        );
    }
}
