//! The message that tells a sender what became of his (RFC 3461 6, 3464, 6522; 6533 outside of ASCII).

use std::borrow::Cow;

use crate::mime::compose;
use crate::proto::line;
use crate::proto::smtp::Body;
use crate::proto::smtp::client::{Addressee, RequireTls, Terms};
use crate::server::store::Queued;
use crate::time::Timestamp;

/// What a report is about. One report has recipients of one kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::server) enum Kind {
    /// They do not get it.
    Failed,
    /// It takes long; it is tried until then.
    Delayed(Timestamp),
    /// It went on to a server that sends no reports.
    Relayed,
    /// It is in a mailbox here.
    Delivered,
}

impl Kind {
    const fn action(self) -> &'static str {
        match self {
            Self::Failed => "failed",
            Self::Delayed(_) => "delayed",
            Self::Relayed => "relayed",
            Self::Delivered => "delivered",
        }
    }

    const fn class(self) -> char {
        match self {
            Self::Failed => '5',
            Self::Delayed(_) => '4',
            Self::Relayed | Self::Delivered => '2',
        }
    }

    const fn subject(self) -> &'static str {
        match self {
            Self::Failed => "Your message could not be delivered",
            Self::Delayed(_) => "Your message is delayed",
            Self::Relayed => "Your message went on",
            Self::Delivered => "Your message was delivered",
        }
    }

    fn words(self) -> (&'static str, String) {
        match self {
            Self::Failed => ("Your message could not be delivered to:", "It will not be tried again.".to_owned()),
            Self::Delayed(until) => (
                "Your message could not be delivered yet to:",
                format!("It is tried again until {}. There is nothing that you need to do.", compose::date(until)),
            ),
            Self::Relayed => (
                "Your message was handed on for:",
                "The next server does not tell whether it arrives; you hear of it no more.".to_owned(),
            ),
            Self::Delivered => ("Your message was put into the mailbox of:", "Whether it is read is not told.".to_owned()),
        }
    }
}

/// What became of one recipient.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::server) struct Told {
    /// Who.
    pub(in crate::server) to: Addressee,
    /// The reply of the last server, or our own words.
    pub(in crate::server) why: String,
    /// The last server, where there was one.
    pub(in crate::server) server: String,
}

/// Whether the sender wants to hear this (RFC 3461 4.1): where he said nothing, of failures and delays.
pub(in crate::server) fn is_wanted(kind: Kind, notify: &str) -> bool {
    let has = |word: &str| notify.split(',').any(|known| known.eq_ignore_ascii_case(word));
    match kind {
        Kind::Failed => notify.is_empty() || has("FAILURE"),
        Kind::Delayed(_) => notify.is_empty() || has("DELAY"),
        Kind::Relayed | Kind::Delivered => has("SUCCESS"),
    }
}

/// Whether a report of this kind has all of the message.
pub(in crate::server::queue) fn is_whole(kind: Kind, terms: &Terms) -> bool {
    // RFC 8689 5: of what requires TLS, the content does not come back; nor does any that has no lines, for the report has some
    let may_be_whole = terms.tls != RequireTls::Yes && terms.body != Body::Binary;
    may_be_whole && kind == Kind::Failed && terms.ret.eq_ignore_ascii_case("FULL")
}

/// Writes the report: a text for people, the status for programs, and of the message its header, or all of it where it failed and
/// the sender wants that.
pub(in crate::server) fn report(
    hostname: &str,
    queued: &Queued,
    message: &[u8],
    (kind, told): (Kind, &[Told]),
    now: Timestamp,
) -> Vec<u8> {
    let mut random = [0; 6];
    crate::keys::files::random_name(&mut random);
    let unique = format!("report-{}-{}", queued.id, crate::pki::hex(&random));
    let boundary = format!("{unique}={hostname}");
    let (before, after) = kind.words();
    let mut text = format!(
        "From: Mail Delivery System <postmaster@{hostname}>\r\nTo: <{}>\r\nSubject: {}\r\n\
         Date: {}\r\nMessage-ID: <{unique}@{hostname}>\r\nAuto-Submitted: auto-replied\r\nMIME-Version: 1.0\r\n\
         Content-Type: multipart/report; report-type=delivery-status;\r\n boundary=\"{boundary}\"\r\n\r\n\
         --{boundary}\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\n\
         This is the mail server {hostname}. {before}\r\n\r\n",
        queued.sender,
        kind.subject(),
        compose::date(now)
    );
    for one in told {
        text.push_str(&format!("  {}\r\n    {}\r\n", one.to.address, one_line(&one.why)));
    }
    let is_utf8 = told.iter().any(|one| !one.to.address.is_ascii());
    let kind_of_status = if is_utf8 { "message/global-delivery-status" } else { "message/delivery-status" };
    text.push_str(&format!(
        "\r\n{after} Your message, or its header, follows.\r\n\r\n\
         --{boundary}\r\nContent-Type: {kind_of_status}\r\n\r\n"
    ));
    if let Some(envid) = xtext(&queued.terms.envid).filter(|envid| !envid.is_empty()) {
        text.push_str(&format!("Original-Envelope-Id: {}\r\n", one_line(&envid)));
    }
    text.push_str(&format!("Reporting-MTA: dns; {hostname}\r\nArrival-Date: {}\r\n", compose::date(queued.created)));
    told.iter().for_each(|one| text.push_str(&recipient(kind, one, now)));
    let is_whole = is_whole(kind, &queued.terms);
    let header_end = memchr::memmem::find(message, b"\r\n\r\n").map_or(message.len(), |at| at.saturating_add(2));
    let kept = message.get(..if is_whole { message.len() } else { header_end }).unwrap_or_default();
    let kept = if queued.terms.body == Body::Binary { Cow::Owned(in_lines(kept)) } else { Cow::Borrowed(kept) };
    let is_ascii = message.get(..header_end).unwrap_or_default().is_ascii();
    let content = match (is_whole, is_ascii) {
        (true, true) => "message/rfc822",
        (true, false) => "message/global",
        (false, true) => "text/rfc822-headers",
        (false, false) => "message/global-headers",
    };
    let coding = if kept.is_ascii() { "" } else { "Content-Transfer-Encoding: 8bit\r\n" };
    text.push_str(&format!("\r\n--{boundary}\r\nContent-Type: {content}\r\n{coding}\r\n"));
    let mut out = text.into_bytes();
    out.extend_from_slice(&kept);
    out.extend_from_slice(format!("\r\n--{boundary}--\r\n").as_bytes());
    out
}

/// The header section of a binary message: what ends lines elsewhere and none here, and would end this report there, is a blank.
fn in_lines(header: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(header.len());
    let mut bytes = header.iter().copied().peekable();
    while let Some(byte) = bytes.next() {
        match (byte, bytes.peek()) {
            (b'\r', Some(b'\n')) => {
                bytes.next();
                out.extend_from_slice(b"\r\n");
            }
            (b'\r' | b'\n' | 0, _) => out.push(b' '),
            (other, _) => out.push(other),
        }
    }
    out
}

/// The fields of one recipient (RFC 3464 2.3).
fn recipient(kind: Kind, one: &Told, now: Timestamp) -> String {
    let mut text = "\r\n".to_owned();
    if let Some((form, original)) = one.to.original.split_once(';')
        && let Some(original) = xtext(original)
    {
        text.push_str(&format!("Original-Recipient: {}; {}\r\n", one_line(form), one_line(&original)));
    }
    let form = if one.to.address.is_ascii() { "rfc822" } else { "utf-8" };
    text.push_str(&format!(
        "Final-Recipient: {form}; {}\r\nAction: {}\r\nStatus: {}\r\n",
        one.to.address,
        kind.action(),
        status(kind, &one.why)
    ));
    if !one.server.is_empty() {
        text.push_str(&format!("Remote-MTA: dns; {}\r\n", one_line(&one.server)));
    }
    let by = if reply_code(&one.why).is_some() { "smtp" } else { "X-sealpost" };
    let why = one_line(&one.why);
    text.push_str(&format!("Diagnostic-Code: {by}; {why}\r\nLast-Attempt-Date: {}\r\n", compose::date(now)));
    if let Kind::Delayed(until) = kind {
        text.push_str(&format!("Will-Retry-Until: {}\r\n", compose::date(until)));
    }
    text
}

/// The enhanced status code of a reply (RFC 3463) in the class of the report, or the one that says only that.
fn status(kind: Kind, why: &str) -> String {
    let is_status = |word: &&str| {
        let mut parts = word.split('.');
        let class = parts.next();
        let digits =
            |part: Option<&str>| part.is_some_and(|p| (1..=3).contains(&p.len()) && p.bytes().all(|b| b.is_ascii_digit()));
        matches!(class, Some("2" | "4" | "5")) && digits(parts.next()) && digits(parts.next()) && parts.next().is_none()
    };
    let found = why.split_ascii_whitespace().find(is_status);
    let rest = found.and_then(|word| word.get(1..)).unwrap_or(".0.0");
    format!("{}{rest}", kind.class())
}

fn reply_code(why: &str) -> Option<u16> {
    why.get(..3)?.parse().ok()
}

/// Reads xtext (RFC 3461 4): `+HH` for what is no printable ASCII, and nothing else of a line's end may come out of it.
fn xtext(encoded: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(encoded.len());
    let mut rest = encoded.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        rest = after;
        if *first != b'+' {
            bytes.push(*first);
            continue;
        }
        let digits = std::str::from_utf8(rest.get(..2)?).ok()?;
        bytes.push(u8::from_str_radix(digits, 16).ok()?);
        rest = rest.get(2..)?;
    }
    String::from_utf8(bytes).ok()
}

/// Printable ASCII of a length that fits a line (RFC 3464 2.1, RFC 5322 2.1.1).
fn one_line(text: &str) -> String {
    line::ascii(text).chars().take(900).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn queued(ret: &str) -> Queued {
        let terms = Terms { ret: ret.to_owned(), envid: "QQ+2B314".to_owned(), ..Terms::default() };
        Queued { id: 7, sender: "jane@a.example".to_owned(), created: Timestamp::from_unix(0), terms, recipients: Vec::new() }
    }

    fn told(address: &str, why: &str) -> Told {
        let to =
            Addressee { address: address.to_owned(), notify: String::new(), original: "rfc822;No+40body@b.example".to_owned() };
        Told { to, why: why.to_owned(), server: "mx.b.example".to_owned() }
    }

    fn written(queued: &Queued, kind: Kind, told: Told) -> String {
        let message = b"From: jane@a.example\r\nSubject: hi\r\n\r\nthe body\r\n";
        String::from_utf8(report("mail.a.example", queued, message, (kind, &[told]), Timestamp::from_unix(86_400))).expect("text")
    }

    #[test]
    fn a_bounce_is_a_report_that_programs_can_read() {
        let report = written(&queued(""), Kind::Failed, told("nobody@b.example", "550 5.1.1 no such user"));
        for wanted in [
            "report-type=delivery-status",
            "\r\nOriginal-Envelope-Id: QQ+314\r\nReporting-MTA: dns; mail.a.example\r\n",
            "\r\nOriginal-Recipient: rfc822; No@body@b.example\r\nFinal-Recipient: rfc822; nobody@b.example\r\nAction: failed\r\n\
             Status: 5.1.1\r\nRemote-MTA: dns; mx.b.example\r\nDiagnostic-Code: smtp; 550 5.1.1 no such user\r\n",
            "\r\nContent-Type: text/rfc822-headers\r\n\r\nFrom: jane@a.example\r\nSubject: hi\r\n",
        ] {
            assert!(report.contains(wanted), "{wanted} in {report}");
        }
        assert!(!report.contains("the body"));
    }

    #[test]
    fn the_whole_message_comes_back_where_it_failed_and_that_was_asked_for() {
        let failed = written(&queued("FULL"), Kind::Failed, told("nobody@b.example", "550 no"));
        assert!(failed.contains("Content-Type: message/rfc822\r\n\r\nFrom:") && failed.contains("the body"), "{failed}");
        let late = written(&queued("FULL"), Kind::Delayed(Timestamp::from_unix(100)), told("nobody@b.example", "450 busy"));
        assert!(!late.contains("the body") && late.contains("Action: delayed\r\nStatus: 4.0.0\r\n"), "{late}");
        assert!(late.contains("\r\nWill-Retry-Until: Thu, 1 Jan 1970 00:01:40 +0000\r\n"), "{late}");
    }

    #[test]
    fn nothing_is_smuggled_out_by_the_report_about_a_binary_message() {
        let mut queued = queued("FULL");
        queued.terms.body = Body::Binary;
        let message = b"Subject: a\n.\nMAIL FROM:<x@a.example>\r\nX: \0\r.\r\r\n\r\nbody\n.\nQUIT\r\n";
        let told = [told("nobody@b.example", "550 no")];
        let report = report("mail.a.example", &queued, message, (Kind::Failed, &told), Timestamp::from_unix(0));
        let text = String::from_utf8(report).expect("text");
        assert!(text.contains("\r\nSubject: a . MAIL FROM:<x@a.example>\r\nX:   . \r\n") && !text.contains("body\n"), "{text:?}");
        let rest = text.replace("\r\n", "");
        assert!(!rest.contains(['\r', '\n', '\0']), "{rest:?}");
    }

    #[test]
    fn addresses_outside_ascii_have_reports_of_their_own_kind() {
        let report = written(&queued(""), Kind::Failed, told("j\u{f6}@b.example", "550 no"));
        assert!(report.contains("message/global-delivery-status") && report.contains("utf-8; j\u{f6}@b.example"), "{report}");
    }

    #[test]
    fn only_what_was_asked_for_is_told() {
        let delayed = Kind::Delayed(Timestamp::from_unix(0));
        for (notify, wanted) in [
            ("", [true, true, false]),
            ("NEVER", [false, false, false]),
            ("SUCCESS", [false, false, true]),
            ("failure,DELAY", [true, true, false]),
        ] {
            assert_eq!([Kind::Failed, delayed, Kind::Relayed].map(|kind| is_wanted(kind, notify)), wanted, "{notify}");
        }
    }

    #[test]
    fn a_failure_after_temporary_replies_has_a_permanent_status() {
        assert_eq!(status(Kind::Failed, "not taken for five days – 450 4.2.0 busy"), "5.2.0");
        assert_eq!(status(Kind::Failed, "the domain x does not exist"), "5.0.0");
        assert_eq!(status(Kind::Failed, "550 see 5.1.2.3"), "5.0.0");
        assert_eq!(status(Kind::Relayed, "250 2.1.5 ok"), "2.1.5");
    }

    #[test]
    fn no_field_comes_out_of_what_is_encoded() {
        assert_eq!(xtext("a+0D+0Ab").as_deref(), Some("a\r\nb"));
        let mut one = told("nobody@b.example", "550 no");
        one.to.original = "rfc822;a+0D+0AAction:+20delivered".to_owned();
        let report = written(&queued(""), Kind::Failed, one);
        assert!(!report.contains("\nAction: delivered"), "{report}");
        assert_eq!((xtext("a+"), xtext("a+4"), xtext("a+zz")), (None, None, None));
    }
}
