//! The message that tells a sender what could not be delivered (RFC 3462, 3464).

use crate::mime::compose;
use crate::proto::line;
use crate::server::store::Queued;
use crate::time::Timestamp;

/// A recipient who did not get the message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::server::queue) struct Failed {
    /// Who.
    pub(in crate::server::queue) address: String,
    /// Why: the reply of the last server, or our own words.
    pub(in crate::server::queue) why: String,
}

/// Writes the report: a text for people, the status for programs, and the header of the message.
pub(in crate::server::queue) fn bounce(
    hostname: &str,
    queued: &Queued,
    message: &[u8],
    failed: &[Failed],
    now: Timestamp,
) -> Vec<u8> {
    let unique = format!("bounce-{}-{}", queued.id, now.unix());
    let boundary = format!("{unique}-{hostname}");
    let mut text = format!(
        "From: Mail Delivery System <postmaster@{hostname}>\r\nTo: <{}>\r\nSubject: Your message could not be delivered\r\n\
         Date: {}\r\nMessage-ID: <{unique}@{hostname}>\r\nAuto-Submitted: auto-replied\r\nMIME-Version: 1.0\r\n\
         Content-Type: multipart/report; report-type=delivery-status;\r\n boundary=\"{boundary}\"\r\n\r\n\
         --{boundary}\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\n\
         This is the mail server {hostname}. Your message could not be delivered to:\r\n\r\n",
        queued.sender,
        compose::date(now)
    );
    for one in failed {
        text.push_str(&format!("  {}\r\n    {}\r\n", one.address, one_line(&one.why)));
    }
    text.push_str(&format!(
        "\r\nIt will not be tried again. The header of your message follows.\r\n\r\n\
         --{boundary}\r\nContent-Type: message/delivery-status\r\n\r\n\
         Reporting-MTA: dns; {hostname}\r\nArrival-Date: {}\r\n",
        compose::date(queued.created)
    ));
    for one in failed {
        let kind = if one.address.is_ascii() { "rfc822" } else { "utf-8" };
        text.push_str(&format!(
            "\r\nFinal-Recipient: {kind}; {}\r\nAction: failed\r\nStatus: {}\r\nDiagnostic-Code: {}; {}\r\nLast-Attempt-Date: {}\r\n",
            one.address,
            status(&one.why),
            if reply_code(&one.why).is_some() { "smtp" } else { "X-sealpost" },
            one_line(&one.why),
            compose::date(now)
        ));
    }
    text.push_str(&format!("\r\n--{boundary}\r\nContent-Type: text/rfc822-headers\r\n\r\n"));
    let mut out = text.into_bytes();
    let end = memchr::memmem::find(message, b"\r\n\r\n").map_or(message.len(), |at| at.saturating_add(2));
    out.extend_from_slice(message.get(..end).unwrap_or_default());
    out.extend_from_slice(format!("\r\n--{boundary}--\r\n").as_bytes());
    out
}

/// The enhanced status code of a reply (RFC 3463), or the one that says only that it failed.
fn status(why: &str) -> String {
    let is_status = |word: &&str| {
        let mut parts = word.split('.');
        let class = parts.next();
        let digits =
            |part: Option<&str>| part.is_some_and(|p| (1..=3).contains(&p.len()) && p.bytes().all(|b| b.is_ascii_digit()));
        matches!(class, Some("4" | "5")) && digits(parts.next()) && digits(parts.next()) && parts.next().is_none()
    };
    let found = why.split_ascii_whitespace().find(is_status);
    found.map_or_else(|| "5.0.0".to_owned(), |word| format!("5{}", word.get(1..).unwrap_or(".0.0")))
}

fn reply_code(why: &str) -> Option<u16> {
    why.get(..3)?.parse().ok()
}

/// Printable ASCII of a length that fits a line (RFC 3464 2.1, RFC 5322 2.1.1).
fn one_line(text: &str) -> String {
    line::ascii(text).chars().take(900).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bounce_is_a_report_that_programs_can_read() {
        let queued = Queued {
            id: 7,
            sender: "jane@a.example".to_owned(),
            created: Timestamp::from_unix(0),
            recipients: vec![("nobody@b.example".to_owned(), 0)],
        };
        let failed = [Failed { address: "nobody@b.example".to_owned(), why: "550 5.1.1 no such user".to_owned() }];
        let message = b"From: jane@a.example\r\nSubject: hi\r\n\r\nthe body stays here\r\n";
        let report = bounce("mail.a.example", &queued, message, &failed, Timestamp::from_unix(86_400));
        let report = String::from_utf8(report).expect("text");
        for wanted in [
            "report-type=delivery-status",
            "\r\nFinal-Recipient: rfc822; nobody@b.example\r\nAction: failed\r\nStatus: 5.1.1\r\nDiagnostic-Code: smtp; 550 5.1.1 no such user\r\n",
            "\r\nSubject: hi\r\n",
        ] {
            assert!(report.contains(wanted), "{wanted} in {report}");
        }
        assert!(!report.contains("the body stays here"));
    }

    #[test]
    fn a_failure_after_temporary_replies_has_a_permanent_status() {
        assert_eq!(status("not taken for five days – 450 4.2.0 busy"), "5.2.0");
        assert_eq!(status("the domain x does not exist"), "5.0.0");
        assert_eq!(status("550 see 5.1.2.3"), "5.0.0");
    }
}
