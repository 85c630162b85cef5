//! New messages: text, HTML, attachments, any charset of names (through `mail-builder`).

use encoding_rs::Encoding;
use mail_builder::MessageBuilder;
use mail_builder::headers::address::{Address, EmailAddress};
use mail_builder::headers::content_type::ContentType;
use mail_builder::mime::MimePart;

use crate::mime::{address, canonical};
use crate::time::Timestamp;

/// Collects what a message shall hold, then writes it.
///
/// ```
/// use sealpost::{mime::compose::Composer, time::Timestamp};
/// let message = Composer::new("Jane <jane@a.example>", Timestamp::from_unix(0), "1@a.example")
///     .to("cherry@b.example")
///     .subject("你好")
///     .text("Hello.\n")
///     .build();
/// assert!(message.is_ascii());
/// ```
#[derive(Debug, Clone)]
pub struct Composer {
    from: String,
    date: Timestamp,
    message_id: String,
    to: Vec<String>,
    cc: Vec<String>,
    subject: String,
    text: Option<String>,
    html: Option<String>,
    charset: &'static Encoding,
    attachments: Vec<(String, String, Vec<u8>)>,
}

impl Composer {
    /// A message from this address, of this time, with this identifier (without angle brackets).
    pub fn new(from: &str, date: Timestamp, message_id: &str) -> Self {
        Self {
            from: from.to_owned(),
            date,
            message_id: message_id.to_owned(),
            to: Vec::new(),
            cc: Vec::new(),
            subject: String::new(),
            text: None,
            html: None,
            charset: encoding_rs::UTF_8,
            attachments: Vec::new(),
        }
    }

    /// Adds a recipient.
    #[must_use]
    pub fn to(mut self, address: &str) -> Self {
        self.to.push(address.to_owned());
        self
    }

    /// Adds a recipient of a copy.
    #[must_use]
    pub fn cc(mut self, address: &str) -> Self {
        self.cc.push(address.to_owned());
        self
    }

    /// Sets the subject.
    #[must_use]
    pub fn subject(mut self, subject: &str) -> Self {
        self.subject = subject.to_owned();
        self
    }

    /// Sets the text.
    #[must_use]
    pub fn text(mut self, text: &str) -> Self {
        self.text = Some(text.to_owned());
        self
    }

    /// Sets the HTML form.
    #[must_use]
    pub fn html(mut self, html: &str) -> Self {
        self.html = Some(html.to_owned());
        self
    }

    /// Writes text and HTML in this charset, as `gb18030` or `iso-8859-1`, for readers that know no UTF-8. A name that is not known
    /// changes nothing, and text that the charset cannot hold goes out as UTF-8.
    #[must_use]
    pub fn charset(mut self, name: &str) -> Self {
        let known = Encoding::for_label_no_replacement(name.as_bytes());
        self.charset = known.map_or(self.charset, Encoding::output_encoding);
        self
    }

    /// Adds an attachment with its file name and content type.
    #[must_use]
    pub fn attach(mut self, name: &str, content_type: &str, bytes: Vec<u8>) -> Self {
        self.attachments.push((name.to_owned(), content_type.to_owned(), bytes));
        self
    }

    /// Writes the message: CRLF line ends, ASCII only.
    pub fn build(self) -> Vec<u8> {
        let mut builder = MessageBuilder::new()
            .from(addresses(std::slice::from_ref(&self.from)))
            .date(self.date.unix())
            .message_id(self.message_id)
            .subject(self.subject);
        if !self.to.is_empty() {
            builder = builder.to(addresses(&self.to));
        }
        if !self.cc.is_empty() {
            builder = builder.cc(addresses(&self.cc));
        }
        builder.text_body = self.text.map(|text| part("text/plain", text, self.charset));
        builder.html_body = self.html.map(|html| part("text/html", html, self.charset));
        for (name, content_type, bytes) in self.attachments {
            builder = builder.attachment(content_type, name, bytes);
        }
        builder.write_to_vec().unwrap_or_default()
    }
}

/// A text part in a charset.
fn part(kind: &'static str, text: String, charset: &'static Encoding) -> MimePart<'static> {
    let typed = |charset: &'static Encoding| ContentType::new(kind).attribute("charset", charset.name().to_ascii_lowercase());
    if charset == encoding_rs::UTF_8 {
        return MimePart::new(typed(charset), text);
    }
    let canonical = String::from_utf8_lossy(&canonical::to_crlf(text.as_bytes())).into_owned();
    let (bytes, used, has_unmapped) = charset.encode(&canonical);
    if has_unmapped {
        return MimePart::new(typed(encoding_rs::UTF_8), text);
    }
    MimePart::new(typed(used), bytes.into_owned())
}

fn addresses(values: &[String]) -> Address<'static> {
    let mailboxes = values.iter().flat_map(|value| address::parse(value).mailboxes);
    let list = mailboxes.map(|mailbox| {
        let email = mailbox.address();
        Address::Address(EmailAddress { name: mailbox.display.map(Into::into), email: email.into() })
    });
    Address::List(list.collect())
}

/// A date as RFC 5322 3.3 writes it, in UTC.
pub fn date(time: Timestamp) -> String {
    const DAYS: [&str; 7] = ["Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"];
    const MONTHS: [&str; 12] = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    let c = time.civil();
    let day = DAYS.get(usize::from(time.weekday())).copied().unwrap_or_default();
    let month = MONTHS.get(usize::from(c.month).saturating_sub(1)).copied().unwrap_or_default();
    format!("{day}, {} {month} {:04} {:02}:{:02}:{:02} +0000", c.day, c.year, c.hour, c.minute, c.second)
}
