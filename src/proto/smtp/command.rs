//! Commands, read to a type before they are judged (RFC 5321 4.1.1).

use crate::proto::smtp::envelope::{Addressee, Terms};
use crate::proto::smtp::parameters::{self, MailParameters};
use crate::proto::smtp::path::{Path, bracketed, is_domain, is_literal, is_mailbox};

/// A command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::proto::smtp) enum Command {
    Ehlo(String),
    Helo(String),
    Mail { sender: Path, parameters: MailParameters },
    Rcpt(Addressee),
    Data,
    Bdat(u64, Last),
    Rset,
    Noop,
    Quit,
    Help,
    Vrfy,
    Expn,
    StartTls,
    Auth { mechanism: String, initial: Option<Vec<u8>> },
}

/// Whether a message goes on after a chunk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::proto::smtp) enum Last {
    Yes,
    No,
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
    /// 553: an address outside ASCII without SMTPUTF8.
    Ascii,
    /// The size of a chunk: where it ends is not known, and its bytes would be commands.
    Chunk,
    /// The line is one of HTTP: somebody has a browser talk to us.
    Foreign,
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
            "BDAT" => bdat(rest),
            "GET" | "POST" | "PUT" | "HEAD" | "OPTIONS" | "CONNECT" => Err(Wrong::Foreign),
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

/// Reads a sender with the parameters of MAIL behind it, as `jane@a.example RET=HDRS` or `<>`: what a file says in place of a command.
pub fn sender(text: &str) -> Option<(Path, Terms)> {
    match mail(&format!("FROM:{} SMTPUTF8", in_brackets(text)?)) {
        Ok(Command::Mail { sender, parameters }) => Some((sender, parameters.terms)),
        _ => None,
    }
}

/// Reads a recipient with the parameters of RCPT behind it, as `<joe@b.example> NOTIFY=NEVER`.
pub fn recipient(text: &str) -> Option<Addressee> {
    match rcpt(&format!("TO:{}", in_brackets(text)?)) {
        Ok(Command::Rcpt(to)) => Some(to),
        _ => None,
    }
}

/// The same with brackets around the address, where there are none.
fn in_brackets(text: &str) -> Option<String> {
    let text = text.trim();
    if text.contains(|c: char| c.is_control()) {
        return None;
    }
    if text.starts_with('<') {
        return Some(text.to_owned());
    }
    let (address, rest) = text.split_once(' ').unwrap_or((text, ""));
    let is_bare = !address.is_empty() && !address.contains(['<', '>', '"']);
    is_bare.then(|| format!("<{address}> {rest}").trim_end().to_owned())
}

fn greeting(rest: &str) -> Result<String, Wrong> {
    let name = rest.trim();
    // real clients give names with underscores; a name is for the trace only, so what is harmless is taken
    let is_harmless =
        !name.is_empty() && name.len() <= 255 && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"-._:[]".contains(&b));
    // it stands in Received, and RFC 6531 3.7.1 has it in ASCII whatever the message is
    let is_good = is_harmless || name.is_ascii() && is_domain(name) || is_literal(name);
    if is_good { Ok(name.to_owned()) } else { Err(Wrong::Parameters) }
}

/// `FROM:<path>` and its parameters; a blank after the colon is forgiven.
fn mail(rest: &str) -> Result<Command, Wrong> {
    let after = strip_word(rest, "FROM:").ok_or(Wrong::Parameters)?;
    let (address, given) = bracketed(after.trim_start_matches(' ')).ok_or(Wrong::Parameters)?;
    let parameters = parameters::mail(given)?;
    let sender = match address {
        "" => Path::Null,
        address if is_mailbox(address, parameters.is_utf8) => Path::Address(address.to_owned()),
        // RFC 6531 3.5
        address if is_mailbox(address, true) => return Err(Wrong::Ascii),
        _ => return Err(Wrong::Parameters),
    };
    Ok(Command::Mail { sender, parameters })
}

fn rcpt(rest: &str) -> Result<Command, Wrong> {
    let after = strip_word(rest, "TO:").ok_or(Wrong::Parameters)?;
    let (address, given) = bracketed(after.trim_start_matches(' ')).ok_or(Wrong::Parameters)?;
    let is_postmaster = address.eq_ignore_ascii_case("postmaster");
    if !is_postmaster && !is_mailbox(address, true) {
        return Err(Wrong::Parameters);
    }
    parameters::rcpt(address, given).map(Command::Rcpt)
}

/// `size [LAST]` (RFC 3030 2).
fn bdat(rest: &str) -> Result<Command, Wrong> {
    let mut words = rest.split(' ').filter(|word| !word.is_empty());
    let size = words.next().and_then(parameters::number).ok_or(Wrong::Chunk)?;
    match (words.next(), words.next()) {
        (None, _) => Ok(Command::Bdat(size, Last::No)),
        (Some(word), None) if word.eq_ignore_ascii_case("LAST") => Ok(Command::Bdat(size, Last::Yes)),
        _ => Err(Wrong::Chunk),
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_peer_has_a_name_in_ascii() {
        for good in ["EHLO mail.b.example", "EHLO [192.0.2.1]", "EHLO [IPv6:2001:db8::1]", "HELO my_pc"] {
            assert!(Command::parse(good.as_bytes()).is_ok(), "{good}");
        }
        for bad in ["EHLO", "EHLO b\u{fc}cher.example", "HELO \u{4f8b}.example", "EHLO a b", "EHLO (x)"] {
            assert_eq!(Command::parse(bad.as_bytes()), Err(Wrong::Parameters), "{bad}");
        }
    }
}
