//! The client: SMTP and POP3 over blocking sockets, with and without TLS. It asserts every reply: a refusal is no message.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::sync::Arc;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};

/// Whether a connection is under TLS.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Secured {
    /// It is.
    Yes,
    /// It is not.
    No,
}

/// Where the server is.
pub(crate) struct Client {
    host: ServerName<'static>,
    tls: Arc<ClientConfig>,
    smtp: u16,
    pop3: u16,
    pop3s: u16,
}

trait Stream: Read + Write + Send {}
impl<S: Read + Write + Send> Stream for S {}

/// A connection.
struct Connection(BufReader<Box<dyn Stream>>);

/// An SMTP session past EHLO.
pub(crate) struct Smtp(Connection);

/// A POP3 session past the greeting.
pub(crate) struct Pop3(Connection);

impl Client {
    pub(crate) fn new(host: &str, ca: &str, smtp: u16, pop3: u16, pop3s: u16) -> Self {
        let mut roots = RootCertStore::empty();
        for certificate in CertificateDer::pem_file_iter(ca).expect("the authority's file") {
            roots.add(certificate.expect("a certificate")).expect("a root");
        }
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let mut tls = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .expect("versions")
            .with_root_certificates(roots)
            .with_no_client_auth();
        // each connection is a new one, as from many clients
        tls.resumption = rustls::client::Resumption::disabled();
        let host = ServerName::try_from(host.to_owned()).expect("a name");
        Self { host, tls: Arc::new(tls), smtp, pop3, pop3s }
    }

    pub(crate) fn has_plain_pop3(&self) -> bool {
        self.pop3 != 0
    }

    pub(crate) fn smtp(&self) -> Smtp {
        let mut smtp = Smtp(Connection::plain(self.smtp));
        smtp.0.replies(1);
        smtp.0.say("EHLO b.example\r\n");
        smtp
    }

    pub(crate) fn smtp_secured(&self) -> Smtp {
        let stream = connect(self.smtp);
        let mut plain = Connection::new(stream.try_clone().expect("a socket"));
        plain.replies(1);
        plain.say("EHLO b.example\r\n");
        assert!(plain.say("STARTTLS\r\n").starts_with("220"), "TLS is offered");
        let mut smtp = Smtp(self.secured(stream));
        smtp.0.say("EHLO b.example\r\n");
        smtp
    }

    pub(crate) fn pop3(&self, secured: Secured) -> Pop3 {
        let mut pop3 = match secured {
            Secured::Yes => Pop3(self.secured(connect(self.pop3s))),
            Secured::No => Pop3(Connection::plain(self.pop3)),
        };
        pop3.0.line();
        pop3
    }

    /// One that nobody will log in by; without TLS where SMTP's port is the only one for that.
    pub(crate) fn pop3_any(&self, secured: Secured) -> Pop3 {
        match secured {
            Secured::No if !self.has_plain_pop3() => {
                let mut other = Connection::plain(self.smtp);
                other.replies(1);
                Pop3(other)
            }
            _ => self.pop3(secured),
        }
    }

    fn secured(&self, stream: TcpStream) -> Connection {
        let connection = ClientConnection::new(Arc::clone(&self.tls), self.host.clone()).expect("TLS");
        Connection::new(StreamOwned::new(connection, stream))
    }
}

impl Connection {
    fn new(stream: impl Stream + 'static) -> Self {
        Self(BufReader::with_capacity(64 << 10, Box::new(stream)))
    }

    fn plain(port: u16) -> Self {
        Self::new(connect(port))
    }

    fn send(&mut self, text: &str) {
        self.0.get_mut().write_all(text.as_bytes()).expect("sent");
    }

    fn line(&mut self) -> String {
        let mut line = String::new();
        self.0.read_line(&mut line).expect("read");
        line
    }

    fn say(&mut self, text: &str) -> String {
        self.send(text);
        self.replies(1)
    }

    /// Reads so many replies of SMTP; gives the last one's last line.
    fn replies(&mut self, count: usize) -> String {
        let mut last = String::new();
        for _ in 0..count {
            loop {
                last = self.line();
                assert!(!last.starts_with(['4', '5']) && !last.is_empty(), "{last}");
                if last.as_bytes().get(3) == Some(&b' ') {
                    break;
                }
            }
        }
        last
    }
}

impl Smtp {
    /// Hands a message over, with the envelope pipelined (RFC 2920), as Postfix itself sends.
    pub(crate) fn hand_over(&mut self, recipient: &str, message: &str) {
        self.0.send(&format!("MAIL FROM:<x@b.example>\r\nRCPT TO:<{recipient}>\r\nDATA\r\n"));
        assert!(self.0.replies(3).starts_with("354"), "it wants the message");
        assert!(self.0.say(message).starts_with("250"), "it has the message");
    }
}

impl Pop3 {
    pub(crate) fn say(&mut self, text: &str) -> String {
        self.0.send(text);
        let line = self.0.line();
        assert!(line.starts_with("+OK"), "{line}");
        line
    }

    pub(crate) fn login(&mut self, user: &str, password: &str) {
        self.say(&format!("USER {user}\r\n"));
        self.say(&format!("PASS {password}\r\n"));
    }

    /// Fetches the first messages, so many commands at once; gives how many there were.
    pub(crate) fn fetch(&mut self, messages: usize, at_once: usize) -> usize {
        let mut text = String::new();
        for first in (1..=messages).step_by(at_once) {
            let last = messages.min(first + at_once - 1);
            self.0.send(&(first..=last).map(|number| format!("RETR {number}\r\n")).collect::<String>());
            for _ in first..=last {
                let line = self.0.line();
                assert!(line.starts_with("+OK"), "{line}");
                while text != ".\r\n" {
                    text.clear();
                    assert_ne!(self.0.0.read_line(&mut text).expect("read"), 0, "it ends in a dot");
                }
                text.clear();
            }
        }
        messages
    }
}

fn connect(port: u16) -> TcpStream {
    let stream = TcpStream::connect(("127.0.0.1", port)).expect("it listens");
    stream.set_nodelay(true).expect("a socket");
    stream
}
