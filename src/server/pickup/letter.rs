//! What a file of the pickup folder says: an envelope in its first fields, or in those of the message.
//!
//! ```text
//! X-Sender: jane@a.example            as MAIL FROM, its parameters behind the address (RET, ENVID, BODY)
//! X-Receiver: joe@b.example           as RCPT TO, once for each recipient (NOTIFY, ORCPT)
//! From: Jane <jane@a.example>         the message begins with the first other field
//! ```

use std::borrow::Cow;

use crate::limits::Limits;
use crate::mime::submission::{Audience, Submission};
use crate::mime::{self, canonical, qualified};
use crate::proto::smtp::client::Outgoing;
use crate::proto::smtp::{self, Addressee, Body, Path, Terms};
use crate::server::mail::Letter;
use crate::time::Timestamp;

/// The field that names the sender.
pub(in crate::server) const SENDER: &str = "X-Sender";
/// The field that names a recipient.
pub(in crate::server) const RECEIVER: &str = "X-Receiver";

/// What stands in a file.
#[derive(Debug, Clone)]
pub(in crate::server::pickup) struct Content {
    /// The start of it, where it is too large; else all of it.
    pub(in crate::server::pickup) bytes: Vec<u8>,
    /// Bytes of the file.
    pub(in crate::server::pickup) size: u64,
}

/// A file that nobody gets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::server::pickup) struct Bad {
    /// What is wrong with it.
    pub(in crate::server::pickup) why: String,
    /// The same as a reply of SMTP begins.
    pub(in crate::server::pickup) code: &'static str,
    /// Who writes to whom, with the header section alone; `None` where that cannot be known.
    pub(in crate::server::pickup) known: Option<Box<Letter>>,
}

/// What is wrong, and how a reply of SMTP begins that says so.
type Wrong = (&'static str, String);

/// Reads a file. A message is of so many bytes at most; names without a domain get this one; `message_id` is for a message that has none.
pub(in crate::server::pickup) fn read(
    Content { mut bytes, size }: Content,
    most: u64,
    (domain, message_id): (&str, &str),
    now: Timestamp,
) -> Result<Letter, Bad> {
    let has_nul = memchr::memchr(0, &bytes).is_some();
    let (given, front) = match envelope(&bytes) {
        Ok((given, rest)) => (given, bytes.len().saturating_sub(rest.len())),
        Err(why) => return Err(Bad { why, code: NO_MESSAGE, known: None }),
    };
    // in its place: it may be large
    bytes.drain(..front);
    let size = size.saturating_sub(u64::try_from(front).unwrap_or(u64::MAX));
    let read = if size > most || length(&bytes) < size {
        Err(over(most))
    } else if has_nul {
        Err((NO_MESSAGE, NUL.to_owned()))
    } else {
        letter(&given, &mut bytes, most, (domain, message_id), now)
    };
    read.map_err(|(code, why)| Bad { why, code, known: known(&given, &bytes, (domain, message_id), now).map(Box::new) })
}

/// RFC 3463 3.7: nothing that can be sent.
const NO_MESSAGE: &str = "554 5.6.0";
const NUL: &str = "it holds NUL bytes, which no message may (RFC 5321 2.3.8)";

fn over(most: u64) -> Wrong {
    ("552 5.3.4", format!("it is over {most} bytes (limits.message_bytes)"))
}

fn length(bytes: &[u8]) -> u64 {
    u64::try_from(bytes.len()).unwrap_or(u64::MAX)
}

/// The message with its envelope; each form of it takes the place of the one before.
fn letter(
    given: &Given,
    bytes: &mut Vec<u8>,
    most: u64,
    (domain, message_id): (&str, &str),
    now: Timestamp,
) -> Result<Letter, Wrong> {
    let limits = Limits::default();
    let no_message = |why: String| (NO_MESSAGE, why);
    if let Cow::Owned(lines) = canonical::to_lines(bytes) {
        *bytes = lines;
    }
    if length(bytes) > most {
        return Err(over(most));
    }
    if let Cow::Owned(named) = qualified::message(bytes, domain, &limits).map_err(|why| no_message(why.to_string()))? {
        *bytes = named;
    }
    let submission = Submission::of(bytes, now, |_| message_id.to_owned(), &limits);
    let submission = submission.map_err(|why| no_message(why.to_string()))?;
    let (sender, mut terms) = match (&given.sender, &submission.sender) {
        (Some(given), _) => sender(given, domain).map_err(no_message)?,
        (None, Some(author)) => {
            smtp::sender(author).ok_or_else(|| no_message(format!("the sender {author} is not an address")))?
        }
        (None, None) => return Err(no_message(format!("it names no sender – neither {SENDER} nor Sender nor From"))),
    };
    let to = |text: &String| recipient(text, domain).map_err(no_message);
    let recipients: Vec<Addressee> = match submission.audience {
        _ if !given.recipients.is_empty() => given.recipients.iter().map(to).collect::<Result<_, _>>()?,
        Audience::Named(named) => named.iter().map(to).collect::<Result<_, _>>()?,
        Audience::Hidden => {
            let why = format!("it is the copy of somebody in Bcc, whom it does not name – {RECEIVER} is missing");
            return Err(no_message(why));
        }
    };
    if recipients.is_empty() {
        return Err(no_message(format!("it names no recipient – neither {RECEIVER} nor To, Cc or Bcc")));
    }
    let mut message = submission.message;
    let has_author = mime::parse(&message, &limits).is_ok_and(|entity| entity.field("from").is_some());
    if let (false, Path::Address(author)) = (has_author, &sender) {
        message.splice(..0, format!("From: {author}\r\n").into_bytes());
    }
    if terms.body == Body::Text && !message.is_ascii() {
        terms.body = Body::EightBit;
    }
    Ok(Letter { sender, recipients, terms, message })
}

/// Who writes to whom in a file that cannot be sent.
fn known(given: &Given, bytes: &[u8], (domain, message_id): (&str, &str), now: Timestamp) -> Option<Letter> {
    let limits = Limits::default();
    let bytes = bytes.get(..limits.header_bytes).unwrap_or(bytes);
    let ends = [&b"\n\n"[..], b"\r\n\r\n"].map(|empty| memchr::memmem::find(bytes, empty));
    let header = bytes.get(..ends.into_iter().flatten().min().unwrap_or(bytes.len())).unwrap_or_default();
    let named = qualified::message(header, domain, &limits).ok();
    let submission = named.and_then(|named| Submission::of(&named, now, |_| message_id.to_owned(), &limits).ok());
    let author = submission.as_ref().and_then(|submission| submission.sender.clone());
    let (sender, terms) = match &given.sender {
        // the address tells whom it came from, whatever stands behind it
        Some(text) => sender(text, domain).ok().or_else(|| sender(text.split_whitespace().next()?, domain).ok()),
        None => smtp::sender(&author?),
    }?;
    let recipients: Vec<Addressee> = match submission.as_ref().map(|submission| &submission.audience) {
        Some(Audience::Named(named)) if given.recipients.is_empty() => named,
        _ => &given.recipients,
    }
    .iter()
    .filter_map(|text| recipient(text, domain).ok())
    .collect();
    let message = submission.map(|submission| submission.message).filter(|header| memchr::memchr(0, header).is_none());
    (!recipients.is_empty()).then(|| Letter { sender, recipients, terms, message: message.unwrap_or_default() })
}

fn sender(text: &str, domain: &str) -> Result<(Path, Terms), String> {
    let read = smtp::sender(&qualify(text, domain));
    read.ok_or_else(|| format!("{SENDER}: {text} is not an address with parameters of MAIL"))
}

fn recipient(text: &str, domain: &str) -> Result<Addressee, String> {
    smtp::recipient(&qualify(text, domain)).ok_or_else(|| format!("the recipient {text} is not an address"))
}

/// An address, with this domain where it has none.
fn qualify(address: &str, domain: &str) -> String {
    match address.split_once(' ').map_or(address, |(address, _)| address) {
        name if name.contains('@') || name.is_empty() || name == "<>" => address.to_owned(),
        name => {
            let bare = name.trim_start_matches('<').trim_end_matches('>');
            format!("<{bare}@{domain}>{}", address.get(name.len()..).unwrap_or_default())
        }
    }
}

/// Why a server would put a letter aside: its message is over so many bytes, or its envelope over those of a file's.
pub(in crate::server::pickup) fn unfit(letter: &Outgoing, most: Option<u64>, most_fields: u64) -> Option<String> {
    if let Some(most) = most.filter(|most| length(&letter.message) > *most) {
        return Some(over(most).1);
    }
    if memchr::memchr(0, &letter.message).is_some() {
        return Some(NUL.to_owned());
    }
    let fields = fields(&letter.sender, &letter.terms, &letter.recipients);
    if length(fields.as_bytes()) > most_fields {
        return Some("it has too many recipients".to_owned());
    }
    let read = envelope(fields.as_bytes()).and_then(|(given, rest)| {
        if !rest.is_empty() {
            return Err("an address of it is none".to_owned());
        }
        sender(given.sender.as_deref().unwrap_or_default(), "localhost")?;
        given.recipients.iter().try_for_each(|text| recipient(text, "localhost").map(|_| ()))
    });
    read.err()
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

    fn of(text: &str, most: u64) -> Result<Letter, Bad> {
        let content = Content { bytes: text.as_bytes().to_vec(), size: length(text.as_bytes()) };
        super::read(content, most, ("a.example", "1@a.example"), Timestamp::from_unix(0))
    }

    fn read(text: &str) -> Result<Letter, String> {
        of(text, 1000).map_err(|bad| bad.why)
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

    #[test]
    fn a_message_has_as_many_bytes_as_it_may_and_none_more() {
        // its own bytes, with the line ends that it has on its way; neither its envelope nor what is added
        for front in ["", "X-Sender: <joe@a.example>\nX-Receiver: jane@a.example\n"] {
            let text = format!("{front}From: joe@a.example\nTo: jane@a.example\n\nHi.\n");
            let size = 21 + 20 + 2 + 5;
            assert!(of(&text, size).is_ok());
            let bad = of(&text, size - 1).expect_err("too large");
            assert_eq!((bad.code, bad.why.as_str()), ("552 5.3.4", "it is over 47 bytes (limits.message_bytes)"));
        }
        // of a larger one only the start is read
        let start = b"From: joe@a.example\nTo: jane\nBcc: boss\n\nHi.\n".to_vec();
        let bad = super::read(Content { bytes: start, size: 2000 }, 1000, ("a.example", "1@a.example"), Timestamp::from_unix(0));
        let known = bad.expect_err("too large").known.expect("who is to be told");
        assert_eq!(known.sender, Path::Address("joe@a.example".to_owned()));
        assert_eq!(addresses(&known), ["jane@a.example", "boss@a.example"]);
    }

    #[test]
    fn who_wrote_a_bad_file_is_known_where_it_says_so() {
        let joe = Path::Address("joe@a.example".to_owned());
        let id = "x".repeat(101);
        for text in [
            "X-Sender: <joe@a.example>\nX-Receiver: jane@a.example\nSubject: x\n\n\0\n".to_owned(),
            "From: joe\nTo: jane\n\n\0\n".to_owned(),
            format!("X-Sender: <joe@a.example> ENVID={id}\nX-Receiver: jane@a.example\nSubject: x\n\nHi.\n"),
            "X-Sender: joe\nX-Receiver: jane\nX-Receiver: <a b> FOO=1\nSubject: x\n\nHi.\n".to_owned(),
        ] {
            let known = of(&text, 1000).expect_err(&text).known.expect(&text);
            assert_eq!((&known.sender, addresses(&known)), (&joe, vec!["jane@a.example"]), "{text}");
        }
        for text in ["From: joe\n\n\0\n", "To: jane\n\n\0\n"] {
            assert_eq!(of(text, 1000).expect_err(text).known, None, "{text}");
        }
        // what has a NUL in its header does not come back
        let text = "From: joe\nTo: jane\nSubject: \0\n\n";
        assert_eq!(of(text, 1000).expect_err(text).known.expect(text).message, b"");
    }

    #[test]
    fn what_a_server_would_put_aside_is_not_put_into_its_folder() {
        let good =
            Outgoing::new("joe".to_owned(), vec!["jane@a.example".to_owned()], b"Subject: x\r\n\r\nHi.\r\n".to_vec().into());
        let why = |letter: &Outgoing, most| unfit(letter, most, 100).unwrap_or_default();
        assert_eq!((why(&good, None), why(&good, Some(19))), (String::new(), String::new()));
        assert!(why(&good, Some(18)).contains("over 18 bytes"));
        let with = |change: &dyn Fn(&mut Outgoing)| {
            let mut letter = good.clone();
            change(&mut letter);
            why(&letter, None)
        };
        assert!(with(&|letter| letter.message = b"a\0b".to_vec().into()).contains("NUL"));
        assert!(with(&|letter| letter.terms.envid = "x".repeat(101)).contains("too many"), "the bound of this test");
        assert!(with(&|letter| letter.terms.envid = "a b".to_owned()).contains("is not an address with parameters"));
        assert!(with(&|letter| letter.recipients = vec!["a b@c".to_owned().into()]).contains("the recipient <a b@c> is not"));
        assert!(with(&|letter| letter.recipients = vec!["a@b>\n\nx".to_owned().into()]).contains("an address of it is none"));
    }
}
