//! A message on its way out: who sends it to whom, without what only the sender may see (RFC 5322 3.6.3, RFC 6409 8).

use crate::limits::Limits;
use crate::mime::{Error, Field, address, canonical, compose, header, parse};
use crate::time::Timestamp;

/// A message ready to be handed to a server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Submission {
    /// The envelope's sender: Sender, else the first of From.
    pub sender: Option<String>,
    /// For whom it is.
    pub audience: Audience,
    /// The message: CRLF line ends, no Bcc, no [`BCC_COPY`], with Date and Message-ID.
    pub message: Vec<u8>,
}

/// For whom a message is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Audience {
    /// The envelope's recipients: To, Cc and Bcc, each once.
    Named(Vec<String>),
    /// Somebody whom its header section must not name: it is the copy of one in Bcc. Those in To and Cc get another copy.
    Hidden,
}

/// The field that marks the copy of an encrypted message for somebody in Bcc: whoever sends it must know to whom. It names nobody.
///
/// Written by the program's `encrypt` and `seal`; taken out by [`Submission::of`].
pub const BCC_COPY: &str = "X-Sealpost-Copy: bcc\r\n";

impl Submission {
    /// Reads who sends the message to whom. Bcc is taken out, and a byte order mark before the header section; Date and Message-ID are added where they are missing, and
    /// `message_id` makes that of the sender (without angle brackets). The body stays as it is, so that signatures stay good.
    ///
    /// ```
    /// use sealpost::{limits::Limits, mime::submission::{Audience, Submission}, time::Timestamp};
    /// let message = b"From: jane@a.example\nTo: joe@b.example\nBcc: boss@a.example\n\nHi.\n";
    /// let out = Submission::of(message, Timestamp::from_unix(0), |_| "1@a.example".to_owned(), &Limits::default())?;
    /// assert_eq!(out.audience, Audience::Named(vec!["joe@b.example".to_owned(), "boss@a.example".to_owned()]));
    /// assert!(!String::from_utf8_lossy(&out.message).contains("boss"));
    /// # Ok::<(), sealpost::mime::Error>(())
    /// ```
    pub fn of(
        message: &[u8],
        now: Timestamp,
        message_id: impl FnOnce(Option<&str>) -> String,
        limits: &Limits,
    ) -> Result<Self, Error> {
        let message = canonical::to_crlf(header::without_mark(message));
        let entity = parse(&message, limits)?;
        let addresses = |name: &str| -> Vec<String> {
            let fields = entity.fields().iter().filter(|field| field.name == name);
            let values = fields.map(|field| address::parse(&field.unfolded(&message)));
            values.flat_map(|list| list.mailboxes).map(|mailbox| mailbox.address()).collect()
        };
        let mut recipients: Vec<String> = Vec::new();
        for address in ["to", "cc", "bcc"].into_iter().flat_map(&addresses) {
            if !recipients.iter().any(|known| known.eq_ignore_ascii_case(&address)) {
                recipients.push(address);
            }
        }
        let is_mark = |field: &Field| field.name == "x-sealpost-copy";
        let is_copy = entity.fields().iter().any(is_mark);
        let audience = if is_copy { Audience::Hidden } else { Audience::Named(recipients) };
        let sender = ["sender", "from"].into_iter().flat_map(&addresses).next();
        let mut out = Vec::with_capacity(message.len().saturating_add(128));
        if entity.field("date").is_none() {
            out.extend_from_slice(format!("Date: {}\r\n", compose::date(now)).as_bytes());
        }
        if entity.field("message-id").is_none() {
            out.extend_from_slice(format!("Message-ID: <{}>\r\n", message_id(sender.as_deref())).as_bytes());
        }
        let mut from = 0;
        for field in entity.fields().iter().filter(|field| field.name == "bcc" || is_mark(field)) {
            out.extend_from_slice(message.get(from..field.range.start).unwrap_or_default());
            from = field.range.end;
        }
        out.extend_from_slice(message.get(from..).unwrap_or_default());
        Ok(Self { sender, audience, message: out })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_bcc_is_taken_out_and_only_what_is_missing_added() {
        let message = b"Received: x\r\nBcc: a@x.example,\r\n b@x.example\r\nFrom: Jane <jane@a.example>\r\nTo: A@x.example\r\n\
            Date: Thu, 1 Jan 1970 00:00:00 +0000\r\nMessage-ID: <2@a.example>\r\nBCC: c@x.example\r\n\r\nBcc: stays\r\n";
        let out =
            Submission::of(message, Timestamp::from_unix(0), |_| "1@a.example".to_owned(), &Limits::default()).expect("read");
        assert_eq!(out.sender.as_deref(), Some("jane@a.example"));
        assert_eq!(out.audience, Audience::Named(["A@x.example", "b@x.example", "c@x.example"].map(str::to_owned).to_vec()));
        let text = String::from_utf8(out.message).expect("ASCII");
        assert_eq!(
            text,
            "Received: x\r\nFrom: Jane <jane@a.example>\r\nTo: A@x.example\r\nDate: Thu, 1 Jan 1970 00:00:00 +0000\r\n\
             Message-ID: <2@a.example>\r\n\r\nBcc: stays\r\n"
        );
    }

    #[test]
    fn a_marked_copy_is_for_nobody_whom_it_names_and_goes_without_its_mark() {
        let rest = "From: jane@a.example\r\nTo: joe@b.example\r\nDate: x\r\nMessage-ID: <2@a.example>\r\n\r\nHi.\r\n";
        let message = format!("{BCC_COPY}{rest}");
        let out = Submission::of(message.as_bytes(), Timestamp::from_unix(0), |_| "1@a.example".to_owned(), &Limits::default())
            .expect("read");
        assert_eq!(out.audience, Audience::Hidden);
        assert_eq!(String::from_utf8(out.message).expect("ASCII"), rest);
    }
}
