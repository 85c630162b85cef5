//! The parameters of MAIL and RCPT (RFC 5321 4.1.2; 1870, 6152, 3030, 3461, 4954 5, 6531, 8689).

use crate::proto::smtp::command::Wrong;
use crate::proto::smtp::envelope::{Addressee, Body, RequireTls, Terms};

/// What MAIL says beside the sender.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(in crate::proto::smtp) struct MailParameters {
    pub(in crate::proto::smtp) size: Option<u64>,
    pub(in crate::proto::smtp) is_utf8: bool,
    pub(in crate::proto::smtp) terms: Terms,
}

/// RFC 3461 4.4: 100 characters of ENVID.
const ENVID: usize = 100;
/// RFC 3461 4.2: 500 characters of ORCPT.
const ORCPT: usize = 500;

/// `[SIZE=n] [BODY=7BIT|8BITMIME|BINARYMIME] [SMTPUTF8] [REQUIRETLS] [RET=FULL|HDRS] [ENVID=xtext] [AUTH=xtext]`, each once.
pub(in crate::proto::smtp) fn mail(text: &str) -> Result<MailParameters, Wrong> {
    let mut found = MailParameters::default();
    for (name, value) in once(text)? {
        match (name.as_str(), value) {
            ("SIZE", Some(value)) => found.size = Some(number(value).ok_or(Wrong::Parameters)?),
            ("BODY", Some(value)) => {
                found.terms.body = match value.to_ascii_uppercase().as_str() {
                    "7BIT" => Body::Text,
                    "8BITMIME" => Body::EightBit,
                    "BINARYMIME" => Body::Binary,
                    _ => return Err(Wrong::Parameters),
                }
            }
            ("SMTPUTF8", None) => found.is_utf8 = true,
            ("REQUIRETLS", None) => found.terms.tls = RequireTls::Yes,
            ("RET", Some(value)) => found.terms.ret = word(value, &["FULL", "HDRS"])?,
            ("ENVID", Some(value)) if value.len() <= ENVID && is_xtext(value) => value.clone_into(&mut found.terms.envid),
            // whom the peer says to speak for: he proves nothing by it (RFC 4954 5)
            ("AUTH", Some(value)) if is_xtext(value) => {}
            ("SIZE" | "BODY" | "SMTPUTF8" | "REQUIRETLS" | "RET" | "ENVID" | "AUTH", _) => return Err(Wrong::Parameters),
            _ => return Err(Wrong::Extension),
        }
    }
    Ok(found)
}

/// `[NOTIFY=NEVER|SUCCESS,FAILURE,DELAY] [ORCPT=type;xtext]`, each once.
pub(in crate::proto::smtp) fn rcpt(address: &str, text: &str) -> Result<Addressee, Wrong> {
    let mut found = Addressee::from(address.to_owned());
    for (name, value) in once(text)? {
        match (name.as_str(), value) {
            ("NOTIFY", Some(value)) => found.notify = notify(value)?,
            ("ORCPT", Some(value)) if is_original(value) => value.clone_into(&mut found.original),
            ("NOTIFY" | "ORCPT", _) => return Err(Wrong::Parameters),
            _ => return Err(Wrong::Extension),
        }
    }
    Ok(found)
}

/// The parameters with their names in upper case; RFC 3461 4: none stands twice.
fn once(text: &str) -> Result<Vec<(String, Option<&str>)>, Wrong> {
    // what follows the `>` begins with a blank
    if !text.is_empty() && !text.starts_with(' ') {
        return Err(Wrong::Parameters);
    }
    let mut found: Vec<(String, Option<&str>)> = Vec::new();
    for parameter in text.split(' ').filter(|parameter| !parameter.is_empty()) {
        let (name, value) = parameter.split_once('=').map_or((parameter, None), |(name, value)| (name, Some(value)));
        let name = name.to_ascii_uppercase();
        if found.iter().any(|(known, _)| *known == name) || parameter.contains(char::is_control) {
            return Err(Wrong::Parameters);
        }
        found.push((name, value));
    }
    Ok(found)
}

/// 20 digits at most, and nothing else (RFC 1870 4).
pub(in crate::proto::smtp) fn number(text: &str) -> Option<u64> {
    let is_number = !text.is_empty() && text.len() <= 20 && text.bytes().all(|byte| byte.is_ascii_digit());
    text.parse().ok().filter(|_| is_number)
}

fn word(value: &str, words: &[&str]) -> Result<String, Wrong> {
    let value = value.to_ascii_uppercase();
    if words.contains(&value.as_str()) { Ok(value) } else { Err(Wrong::Parameters) }
}

fn notify(value: &str) -> Result<String, Wrong> {
    let value = value.to_ascii_uppercase();
    let mut words: Vec<&str> = Vec::new();
    for word in value.split(',') {
        if !["SUCCESS", "FAILURE", "DELAY"].contains(&word) || words.contains(&word) {
            return if value == "NEVER" { Ok(value) } else { Err(Wrong::Parameters) };
        }
        words.push(word);
    }
    Ok(value)
}

/// `atom ";" xtext`; addresses of type `utf-8` may stand as they are (RFC 6533 3).
fn is_original(value: &str) -> bool {
    let Some((kind, address)) = value.split_once(';') else { return false };
    let is_atom = !kind.is_empty() && kind.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte));
    let is_raw = kind.eq_ignore_ascii_case("utf-8") && !address.is_ascii();
    is_atom && value.len() <= ORCPT && !address.is_empty() && (is_raw || is_xtext(address))
}

/// Printable ASCII without `+` and `=`, or `+` with two hexadecimal digits in upper case (RFC 3461 4).
fn is_xtext(value: &str) -> bool {
    let mut rest = value.as_bytes();
    while let Some((byte, after)) = rest.split_first() {
        let is_hex = |byte: &u8| byte.is_ascii_digit() || (b'A'..=b'F').contains(byte);
        rest = match (byte, after) {
            (b'+', [high, low, after @ ..]) if is_hex(high) && is_hex(low) => after,
            (b'+' | b'=', _) => return false,
            (b'!'..=b'~', after) => after,
            _ => return false,
        };
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_sender_asks_is_read_and_kept_as_it_stands() {
        let found = mail(" size=10 BODY=binarymime SMTPUTF8 REQUIRETLS ret=hdrs ENVID=a+2Bb AUTH=<>").expect("good");
        let terms = Terms { ret: "HDRS".to_owned(), envid: "a+2Bb".to_owned(), body: Body::Binary, tls: RequireTls::Yes };
        assert_eq!(found, MailParameters { size: Some(10), is_utf8: true, terms });
        let found = rcpt("joe@b.example", " NOTIFY=success,DELAY ORCPT=rfc822;joe+2Bx@b.example").expect("good");
        assert_eq!((found.notify.as_str(), found.original.as_str()), ("SUCCESS,DELAY", "rfc822;joe+2Bx@b.example"));
        for raw in [" ORCPT=utf-8;\u{e4}@b.example", " ORCPT=utf-8;\\x{E4}@b.example"] {
            assert!(rcpt("x@b.example", raw).is_ok(), "{raw}");
        }
    }

    #[test]
    fn what_cannot_be_read_is_told_from_what_is_not_known() {
        for bad in [
            " SIZE",
            " SIZE=",
            " SIZE=x",
            " SIZE=+1",
            " SIZE=1 SIZE=1",
            " SIZE=999999999999999999999",
            " BODY=9BIT",
            " SMTPUTF8=1",
            " REQUIRETLS=1",
            " RET=ALL",
            " RET=FULL ret=FULL",
            " ENVID=a+2b",
            " ENVID=a=b",
            "SIZE=1",
            " ENVID=a\tb",
        ] {
            assert_eq!(mail(bad), Err(Wrong::Parameters), "{bad}");
        }
        assert_eq!(mail(&format!(" ENVID={}", "x".repeat(101))), Err(Wrong::Parameters));
        for bad in [
            " NOTIFY=",
            " NOTIFY=NEVER,DELAY",
            " NOTIFY=DELAY,NEVER",
            " NOTIFY=DELAY,DELAY",
            " NOTIFY=OFTEN",
            " ORCPT=rfc822",
            " ORCPT=;x",
            " ORCPT=rfc822;",
            " ORCPT=rfc822;\u{e4}@b.example",
            " ORCPT=rfc 822;x",
            "NOTIFY=NEVER",
        ] {
            assert!(matches!(rcpt("x@b.example", bad), Err(Wrong::Parameters | Wrong::Extension)), "{bad}");
        }
        assert_eq!(mail(" FOO=1"), Err(Wrong::Extension));
        assert_eq!(rcpt("x@b.example", " FOO"), Err(Wrong::Extension));
    }
}
