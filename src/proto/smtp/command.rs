//! Commands, read to a type before they are judged (RFC 5321 4.1.1).

use crate::proto::smtp::path::{Path, Recipient, bracketed, is_domain, is_literal, is_mailbox};

/// A command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::proto::smtp) enum Command {
    Ehlo(String),
    Helo(String),
    Mail { sender: Path, size: Option<u64>, is_utf8: bool },
    Rcpt(Recipient),
    Data,
    Rset,
    Noop,
    Quit,
    Help,
    Vrfy,
    Expn,
    StartTls,
    Auth { mechanism: String, initial: Option<Vec<u8>> },
}

/// Why a line is no command.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::proto::smtp) enum Wrong {
    /// 500: nothing of the name.
    Unknown,
    /// 501: the parameters make no sense.
    Parameters,
    /// 555: a parameter of MAIL or RCPT that is not known.
    Extension,
}

impl Command {
    pub(in crate::proto::smtp) fn parse(line: &[u8]) -> Result<Self, Wrong> {
        let text = std::str::from_utf8(line).map_err(|_| Wrong::Parameters)?;
        let (verb, rest) = text.split_once(' ').unwrap_or((text, ""));
        let alone = |command: Self| if rest.trim().is_empty() { Ok(command) } else { Err(Wrong::Parameters) };
        match verb.to_ascii_uppercase().as_str() {
            "EHLO" => greeting(rest).map(Self::Ehlo),
            "HELO" => greeting(rest).map(Self::Helo),
            "MAIL" => mail(rest),
            "RCPT" => rcpt(rest),
            "DATA" => alone(Self::Data),
            "RSET" => alone(Self::Rset),
            "QUIT" => alone(Self::Quit),
            "STARTTLS" => alone(Self::StartTls),
            "NOOP" => Ok(Self::Noop),
            "HELP" => Ok(Self::Help),
            "VRFY" => Ok(Self::Vrfy),
            "EXPN" => Ok(Self::Expn),
            "AUTH" => auth(rest),
            _ => Err(Wrong::Unknown),
        }
    }
}

fn greeting(rest: &str) -> Result<String, Wrong> {
    let name = rest.trim();
    // real clients give names with underscores; a name is for the trace only, so what is harmless is taken
    let is_harmless =
        !name.is_empty() && name.len() <= 255 && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"-._:[]".contains(&b));
    if is_harmless || is_domain(name) || is_literal(name) { Ok(name.to_owned()) } else { Err(Wrong::Parameters) }
}

/// `FROM:<path> [SIZE=n] [BODY=7BIT|8BITMIME] [SMTPUTF8] [AUTH=…]`; a blank after the colon is forgiven.
fn mail(rest: &str) -> Result<Command, Wrong> {
    let after = strip_word(rest, "FROM:").ok_or(Wrong::Parameters)?;
    let (address, parameters) = bracketed(after.trim_start()).ok_or(Wrong::Parameters)?;
    let (mut size, mut is_utf8) = (None, false);
    for parameter in parameters.split_ascii_whitespace() {
        let (name, value) = parameter.split_once('=').map_or((parameter, None), |(name, value)| (name, Some(value)));
        match (name.to_ascii_uppercase().as_str(), value) {
            ("SIZE", Some(value)) => size = Some(value.parse().map_err(|_| Wrong::Parameters)?),
            ("BODY", Some(value)) if value.eq_ignore_ascii_case("7BIT") || value.eq_ignore_ascii_case("8BITMIME") => {}
            ("BODY", _) => return Err(Wrong::Parameters),
            ("SMTPUTF8", None) => is_utf8 = true,
            ("AUTH", Some(_)) => {}
            _ => return Err(Wrong::Extension),
        }
    }
    let sender = match address {
        "" => Path::Null,
        address if is_mailbox(address, is_utf8) => Path::Address(address.to_owned()),
        _ => return Err(Wrong::Parameters),
    };
    Ok(Command::Mail { sender, size, is_utf8 })
}

fn rcpt(rest: &str) -> Result<Command, Wrong> {
    let after = strip_word(rest, "TO:").ok_or(Wrong::Parameters)?;
    let (address, parameters) = bracketed(after.trim_start()).ok_or(Wrong::Parameters)?;
    if !parameters.trim().is_empty() {
        return Err(Wrong::Extension);
    }
    let is_postmaster = address.eq_ignore_ascii_case("postmaster");
    if !is_postmaster && !is_mailbox(address, true) {
        return Err(Wrong::Parameters);
    }
    Ok(Command::Rcpt(Recipient(address.to_owned())))
}

fn auth(rest: &str) -> Result<Command, Wrong> {
    let mut words = rest.split_ascii_whitespace();
    let mechanism = words.next().ok_or(Wrong::Parameters)?.to_ascii_uppercase();
    let initial = words.next().map(|word| word.as_bytes().to_vec());
    if words.next().is_some() {
        return Err(Wrong::Parameters);
    }
    Ok(Command::Auth { mechanism, initial })
}

fn strip_word<'a>(text: &'a str, word: &str) -> Option<&'a str> {
    let (head, rest) = text.split_at_checked(word.len())?;
    head.eq_ignore_ascii_case(word).then_some(rest)
}
