//! Replies of people who are away (RFC 5230, RFC 3834): who gets one, and what it says.

use std::collections::HashSet;

use crate::mime::{ascii, compose};
use crate::sieve::message::Message;
use crate::sieve::program::ReplyForm;
use crate::sieve::run::Envelope;
use crate::time::Timestamp;

/// What was answered before.
pub trait Memory {
    /// Until when an address gets no other reply of this handle; nothing where it never got one.
    fn silent_until(&self, handle: &str, address: &str) -> Option<Timestamp>;
}

/// Nobody got a reply before.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoMemory;

impl Memory for NoMemory {
    fn silent_until(&self, _: &str, _: &str) -> Option<Timestamp> {
        None
    }
}

/// A reply to be sent, and remembered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reply {
    /// Who gets it: the sender of the envelope.
    pub to: String,
    /// The author that the script names; the user where it names none.
    pub from: Option<String>,
    /// The subject, decoded.
    pub subject: String,
    /// What the body is.
    pub form: ReplyForm,
    /// The body; with `:mime` an entity with its header fields.
    pub body: String,
    /// Replies of one handle count together.
    pub handle: String,
    /// Until when the sender gets no other one.
    pub silent_until: Timestamp,
    /// The identifier of the message that is answered.
    pub in_reply_to: Option<String>,
    /// Its references, and itself.
    pub references: String,
}

impl Reply {
    /// The reply as a message (RFC 5230 5, RFC 3834 3.1): marked as made by a program, so that no program answers it.
    ///
    /// It goes out with the null sender. `author` is the user's address, `message_id` has no angle brackets.
    pub fn message(&self, author: &str, now: Timestamp, message_id: &str) -> Vec<u8> {
        let mut message = Vec::new();
        let from = self.from.as_deref().unwrap_or(author);
        for (name, known, value) in
            [("From", "from", from), ("To", "to", self.to.as_str()), ("Subject", "subject", self.subject.as_str())]
        {
            message.extend_from_slice(&ascii::field(known, &ascii::folded(name, value)));
        }
        message.extend_from_slice(format!("Date: {}\r\nMessage-ID: <{message_id}>\r\n", compose::date(now)).as_bytes());
        if let Some(id) = &self.in_reply_to {
            message.extend(ascii::folded("In-Reply-To", id));
        }
        if !self.references.is_empty() {
            message.extend(ascii::folded("References", &self.references));
        }
        message.extend_from_slice(b"Auto-Submitted: auto-replied (vacation)\r\nPrecedence: bulk\r\nMIME-Version: 1.0\r\n");
        let body = self.body.replace("\r\n", "\n").replace('\r', "\n").replace('\n', "\r\n");
        match self.form {
            ReplyForm::Entity => message.extend_from_slice(&entity(&body)),
            ReplyForm::Text => {
                message.extend_from_slice(b"Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: ");
                let is_plain = body.is_ascii() && body.lines().all(|line| line.len() <= 998) && !body.contains('\0');
                match is_plain {
                    true => message.extend_from_slice(format!("7bit\r\n\r\n{body}").as_bytes()),
                    false => {
                        message.extend_from_slice(b"quoted-printable\r\n\r\n");
                        message.extend_from_slice(&crate::mime::transfer::encode_quoted_printable(body.as_bytes()));
                    }
                }
            }
        }
        if !message.ends_with(b"\r\n") {
            message.extend_from_slice(b"\r\n");
        }
        message
    }
}

/// What a script gives as an entity: of its header section the fields that tell of the content, and the body. Others would make the
/// message one of somebody else, or to somebody else.
fn entity(body: &str) -> Vec<u8> {
    let (header, content) = match body.strip_prefix("\r\n") {
        Some(content) => ("", content),
        None => body.split_once("\r\n\r\n").unwrap_or((body, "")),
    };
    let mut kept = String::new();
    let mut is_kept = false;
    for line in header.split("\r\n") {
        if !line.starts_with([' ', '\t']) {
            let name = line.split(':').next().unwrap_or_default().trim_end();
            is_kept = line.contains(':') && name.get(..8).is_some_and(|start| start.eq_ignore_ascii_case("content-"));
        }
        if is_kept {
            kept.push_str(line);
            kept.push_str("\r\n");
        }
    }
    format!("{kept}\r\n{content}").into_bytes()
}

/// Fields that lists and programs put into their messages (RFC 2369, 2919).
const LIST_FIELDS: [&str; 7] =
    ["list-id", "list-owner", "list-subscribe", "list-post", "list-unsubscribe", "list-help", "list-archive"];

/// Fields in which the user must stand for a reply to go out (RFC 5230 4.5).
const RECIPIENT_FIELDS: [&str; 6] = ["to", "cc", "bcc", "resent-to", "resent-cc", "resent-bcc"];

/// Whether a message may be answered by a program (RFC 5230 4.5 and 4.6, RFC 3834 2). `own` are the user's addresses.
pub(super) fn may_answer(message: &Message<'_>, envelope: &Envelope, own: &[String]) -> bool {
    let own: HashSet<String> = own.iter().map(|address| address.to_ascii_lowercase()).collect();
    let is_own = |address: &str| own.contains(&address.to_ascii_lowercase());
    let local = envelope.from.rsplit_once('@').map_or("", |(local, _)| local).to_ascii_lowercase();
    let is_program = matches!(local.as_str(), "" | "mailer-daemon" | "listserv" | "majordomo" | "noreply" | "no-reply")
        || local.starts_with("owner-")
        || local.ends_with("-request")
        || local.ends_with("-owner")
        || local.ends_with("-bounces");
    if is_program || is_own(&envelope.from) || LIST_FIELDS.iter().any(|name| message.has(name)) {
        return false;
    }
    let says = |name: &str, is: &dyn Fn(&str) -> bool| {
        message.values(name).iter().any(|value| is(value.unfolded.split([';', ' ', '(']).next().unwrap_or_default()))
    };
    let among = |wanted: &'static [&'static str]| move |word: &str| wanted.iter().any(|one| one.eq_ignore_ascii_case(word));
    if says("auto-submitted", &|word| !word.eq_ignore_ascii_case("no"))
        || says("precedence", &among(&["bulk", "junk", "list"]))
        || says("x-spam-flag", &among(&["yes"]))
        || message.values("x-auto-response-suppress").iter().any(|value| {
            value.unfolded.split(',').any(|word| matches!(word.trim().to_ascii_lowercase().as_str(), "all" | "oof" | "autoreply"))
        })
    {
        return false;
    }
    RECIPIENT_FIELDS.iter().any(|name| message.addresses(name).iter().any(|address| is_own(address)))
}
