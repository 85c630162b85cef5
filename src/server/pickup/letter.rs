//! What a file of the pickup folder says: an envelope in its first fields, or in those of the message.
//!
//! ```text
//! X-Sender: jane@a.example            as MAIL FROM, its parameters behind the address (RET, ENVID, BODY)
//! X-Receiver: joe@b.example           as RCPT TO, once for each recipient (NOTIFY, ORCPT)
//! From: Jane <jane@a.example>         the message begins with the first other field
//! ```

use crate::limits::Limits;
use crate::mime::submission::{Audience, Submission};
use crate::mime::{self, qualified};
use crate::proto::smtp::{self, Addressee, Body, Path, Terms};
use crate::server::mail::Letter;
use crate::time::Timestamp;

/// The field that names the sender.
pub(in crate::server) const SENDER: &str = "X-Sender";
/// The field that names a recipient.
pub(in crate::server) const RECEIVER: &str = "X-Receiver";

/// Reads a file. Names without a domain get this one; `message_id` is for a message that has none. The error says what is wrong with it.
pub(in crate::server::pickup) fn read(bytes: &[u8], domain: &str, message_id: &str, now: Timestamp) -> Result<Letter, String> {
    let limits = Limits::default();
    if memchr::memchr(0, bytes).is_some() {
        return Err("it holds NUL bytes, which no message may (RFC 5321 2.3.8)".to_owned());
    }
    let (envelope, rest) = envelope(bytes)?;
    let qualify = |address: &str| match address.split_once(' ').map_or(address, |(address, _)| address) {
        name if name.contains('@') || name.is_empty() || name == "<>" => address.to_owned(),
        name => {
            let bare = name.trim_start_matches('<').trim_end_matches('>');
            format!("<{bare}@{domain}>{}", address.get(name.len()..).unwrap_or_default())
        }
    };
    let message = qualified::message(rest, domain, &limits).map_err(|why| why.to_string())?;
    let submission = Submission::of(&message, now, |_| message_id.to_owned(), &limits).map_err(|why| why.to_string())?;
    let (sender, mut terms) = match (&envelope.sender, &submission.sender) {
        (Some(given), _) => {
            smtp::sender(&qualify(given)).ok_or_else(|| format!("{SENDER}: {given} is not an address with parameters of MAIL"))?
        }
        (None, Some(author)) => smtp::sender(author).ok_or_else(|| format!("the sender {author} is not an address"))?,
        (None, None) => return Err(format!("it names no sender – neither {SENDER} nor Sender nor From")),
    };
    let to = |text: &String| smtp::recipient(&qualify(text)).ok_or_else(|| format!("the recipient {text} is not an address"));
    let recipients: Vec<Addressee> = match submission.audience {
        _ if !envelope.recipients.is_empty() => envelope.recipients.iter().map(to).collect::<Result<_, _>>()?,
        Audience::Named(named) => named.iter().map(to).collect::<Result<_, _>>()?,
        Audience::Hidden => {
            return Err(format!("it is the copy of somebody in Bcc, whom it does not name – {RECEIVER} is missing"));
        }
    };
    if recipients.is_empty() {
        return Err(format!("it names no recipient – neither {RECEIVER} nor To, Cc or Bcc"));
    }
    let mut message = submission.message;
    let has_author = mime::parse(&message, &limits).is_ok_and(|entity| entity.field("from").is_some());
    if let (false, Path::Address(author)) = (has_author, &sender) {
        message = [format!("From: {author}\r\n").as_bytes(), &message].concat();
    }
    if terms.body == Body::Text && !message.is_ascii() {
        terms.body = Body::EightBit;
    }
    Ok(Letter { sender, recipients, terms, message })
}

#[derive(Debug, Default)]
struct Given {
    sender: Option<String>,
    recipients: Vec<String>,
}

/// The fields of the envelope at the top, and what follows them.
fn envelope(bytes: &[u8]) -> Result<(Given, &[u8]), String> {
    let (mut given, mut rest) = (Given::default(), mime::header::without_mark(bytes));
    loop {
        let end = memchr::memchr(b'\n', rest).map_or(rest.len(), |at| at.saturating_add(1));
        let (line, after) = rest.split_at(end);
        let Some((name, value)) = std::str::from_utf8(line).ok().and_then(|line| line.split_once(':')) else { break };
        let value = value.trim().to_owned();
        if name.eq_ignore_ascii_case(RECEIVER) {
            given.recipients.push(value);
        } else if !name.eq_ignore_ascii_case(SENDER) {
            break;
        } else if given.sender.replace(value).is_some() {
            return Err(format!("it names two senders – {SENDER} may stand once"));
        }
        rest = after;
    }
    Ok((given, rest))
}

/// The fields of an envelope, as they stand before a message.
pub(in crate::server) fn fields(sender: &str, terms: &Terms, recipients: &[Addressee]) -> String {
    let mut text = format!("{SENDER}: <{sender}>");
    for (name, value) in [("RET", &terms.ret), ("ENVID", &terms.envid)] {
        if !value.is_empty() {
            text.push_str(&format!(" {name}={value}"));
        }
    }
    text.push_str("\r\n");
    for to in recipients {
        text.push_str(&format!("{RECEIVER}: <{}>", to.address));
        for (name, value) in [("NOTIFY", &to.notify), ("ORCPT", &to.original)] {
            if !value.is_empty() {
                text.push_str(&format!(" {name}={value}"));
            }
        }
        text.push_str("\r\n");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Letter, String> {
        super::read(text.as_bytes(), "a.example", "1@a.example", Timestamp::from_unix(0))
    }

    fn addresses(letter: &Letter) -> Vec<&str> {
        letter.recipients.iter().map(|to| to.address.as_str()).collect()
    }

    #[test]
    fn the_fields_at_the_top_are_the_envelope() {
        let text = "X-Sender: <jane@a.example> RET=HDRS ENVID=q1\nx-receiver: joe@b.example NOTIFY=NEVER\nX-Receiver: root\nTo: all@c.example\n\
                    X-Receiver: not@c.example\nBcc: boss@c.example\n\n10%\r20%\n";
        let letter = read(text).expect("good");
        assert_eq!(
            (&letter.sender, addresses(&letter)),
            (&Path::Address("jane@a.example".to_owned()), vec!["joe@b.example", "root@a.example"])
        );
        assert_eq!((letter.terms.ret.as_str(), letter.terms.envid.as_str()), ("HDRS", "q1"));
        assert_eq!(letter.recipients.first().map(|to| to.notify.as_str()), Some("NEVER"));
        let message = String::from_utf8(letter.message.clone()).expect("text");
        assert!(
            message
                .starts_with("From: jane@a.example\r\nDate: Thu, 1 Jan 1970 00:00:00 +0000\r\nMessage-ID: <1@a.example>\r\nTo: ")
        );
        assert!(message.ends_with("X-Receiver: not@c.example\r\n\r\n10%\r\n20%\r\n") && !message.contains("boss"), "{message}");
        // what is written is read as the same
        let again =
            read(&(fields("jane@a.example", &letter.terms, &letter.recipients) + "From: jane@a.example\n\n")).expect("good");
        assert_eq!((again.sender, again.recipients, again.terms), (letter.sender, letter.recipients, letter.terms));
    }

    #[test]
    fn without_them_the_message_says_who_writes_to_whom() {
        let letter =
            read("From: root (Cron)\nTo: jane, joe@b.example\nCc: jane@a.example\nBcc: boss@c.example\n\nHi.\n").expect("good");
        assert_eq!(letter.sender, Path::Address("root@a.example".to_owned()));
        assert_eq!(addresses(&letter), ["jane@a.example", "joe@b.example", "boss@c.example"]);
        let bounce = read("X-Sender: <>\nX-Receiver: jane@a.example\n\nno fields\n").expect("good");
        assert_eq!(bounce.sender, Path::Null);
    }

    #[test]
    fn what_is_wrong_is_said() {
        for (text, why) in [
            ("", "no sender"),
            ("From: jane@a.example\n\n", "no recipient"),
            ("To: jane@a.example\n\n", "no sender"),
            ("X-Sender: a b\nTo: jane@a.example\n\n", "X-Sender: a b is not"),
            ("X-Sender: a@b\nX-Sender: c@d\nTo: jane@a.example\n\n", "two senders"),
            ("X-Sender: a@b\nX-Receiver: <j@c> FOO=1\n\n", "the recipient <j@c> FOO=1 is not"),
            ("X-Sender: a@b\nX-Receiver: <j@c>\0\n\n", "NUL"),
            ("X-Sealpost-Copy: bcc\nFrom: a@b\nTo: c@d\n\n", "copy of somebody in Bcc"),
        ] {
            let told = read(text).expect_err(text);
            assert!(told.contains(why), "{text}: {told}");
        }
    }
}
