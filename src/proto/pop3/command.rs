//! Commands, read to a type before they are judged (RFC 1939, 2449, 2595, 5034, 6856).

/// A command. Message numbers count from 1.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::proto::pop3) enum Command {
    User(String),
    Pass(Vec<u8>),
    Auth(Option<String>, Option<Vec<u8>>),
    Apop,
    Stls,
    Capa,
    Stat,
    List(Option<usize>),
    Uidl(Option<usize>),
    Retr(usize),
    Top(usize, usize),
    Dele(usize),
    Utf8,
    /// Which language; all are listed where none is named.
    Lang(Option<String>),
    Noop,
    Rset,
    Quit,
}

impl Command {
    /// Reads a line; the error says what is wrong with it.
    pub(in crate::proto::pop3) fn parse(line: &[u8]) -> Result<Self, &'static str> {
        const PARAMETERS: &str = "the parameters cannot be read";
        let (verb, rest) = match line.iter().position(|byte| *byte == b' ') {
            Some(at) => (line.get(..at).unwrap_or_default(), line.get(at.saturating_add(1)..).unwrap_or_default()),
            None => (line, &b""[..]),
        };
        let text = || std::str::from_utf8(rest).map_err(|_| PARAMETERS);
        let number = |word: &str| {
            word.parse::<usize>().ok().filter(|n| *n > 0 && word.bytes().all(|b| b.is_ascii_digit())).ok_or(PARAMETERS)
        };
        let optional = || -> Result<Option<usize>, &'static str> {
            let text = text()?.trim();
            if text.is_empty() { Ok(None) } else { number(text).map(Some) }
        };
        let one = || number(text()?.trim());
        let alone = |command: Self| if rest.trim_ascii().is_empty() { Ok(command) } else { Err(PARAMETERS) };
        match String::from_utf8_lossy(verb).to_ascii_uppercase().as_str() {
            "USER" => Ok(Self::User(text()?.to_owned())),
            // a password may hold blanks, and begins after the one (RFC 1939 7)
            "PASS" => Ok(Self::Pass(rest.to_vec())),
            "AUTH" => {
                let mut words = text()?.split_ascii_whitespace();
                let mechanism = words.next().map(str::to_ascii_uppercase);
                let initial = words.next().map(|word| word.as_bytes().to_vec());
                // RFC 5034 4: a mechanism, an initial response, and nothing behind them
                if words.next().is_none() { Ok(Self::Auth(mechanism, initial)) } else { Err(PARAMETERS) }
            }
            "APOP" => Ok(Self::Apop),
            "STLS" => alone(Self::Stls),
            "CAPA" => alone(Self::Capa),
            "STAT" => alone(Self::Stat),
            "LIST" => optional().map(Self::List),
            "UIDL" => optional().map(Self::Uidl),
            "RETR" => one().map(Self::Retr),
            "DELE" => one().map(Self::Dele),
            "TOP" => {
                let (message, lines) = text()?.trim().split_once(' ').ok_or(PARAMETERS)?;
                Ok(Self::Top(number(message)?, lines.trim().parse().map_err(|_| PARAMETERS)?))
            }
            "UTF8" => alone(Self::Utf8),
            "LANG" => Ok(Self::Lang(Some(text()?.trim().to_ascii_lowercase()).filter(|tag| !tag.is_empty()))),
            "NOOP" => alone(Self::Noop),
            "RSET" => alone(Self::Rset),
            "QUIT" => alone(Self::Quit),
            _ => Err("no such command"),
        }
    }
}
