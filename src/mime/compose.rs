//! New messages: text, HTML, attachments, any charset of names (through `mail-builder`).

use mail_builder::MessageBuilder;
use mail_builder::headers::address::{Address, EmailAddress};

use crate::mime::address;
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
        if let Some(text) = self.text {
            builder = builder.text_body(text);
        }
        if let Some(html) = self.html {
            builder = builder.html_body(html);
        }
        for (name, content_type, bytes) in self.attachments {
            builder = builder.attachment(content_type, name, bytes);
        }
        builder.write_to_vec().unwrap_or_default()
    }
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
