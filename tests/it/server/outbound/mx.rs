//! A mail server of the tests' own: says what it is told to say, and remembers what it heard.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{IpAddr, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::{ServerConfig, ServerConnection, StreamOwned};

use super::Identity;
use crate::support;

/// What it says to a command (in capital letters, `.` for the end of a message); `None` for what servers say, an empty text to hang up.
type Says = Box<dyn Fn(&str) -> Option<String> + Send + Sync>;

pub(super) struct Mx {
    pub(super) address: SocketAddr,
    heard: Arc<Heard>,
    stops: Arc<AtomicBool>,
    thread: Option<std::thread::JoinHandle<()>>,
}

#[derive(Default)]
struct Heard {
    /// Every command with the number of its connection.
    commands: Mutex<Vec<(usize, String)>>,
    messages: Mutex<Vec<String>>,
    /// The names that were asked for in handshakes.
    names: Mutex<Vec<String>>,
}

pub(super) struct Builder {
    tls: Option<Arc<ServerConfig>>,
    is_at_once: bool,
    words: Vec<&'static str>,
    says: Says,
}

impl Mx {
    pub(super) fn build() -> Builder {
        let words = vec!["PIPELINING", "8BITMIME", "SMTPUTF8", "SIZE 10000000"];
        Builder { tls: None, is_at_once: false, words, says: Box::new(|_| None) }
    }

    pub(super) fn port(&self) -> u16 {
        self.address.port()
    }

    pub(super) fn commands(&self) -> Vec<String> {
        self.heard.commands.lock().expect("no panic").iter().map(|(_, line)| line.clone()).collect()
    }

    /// The verbs of each connection.
    pub(super) fn connections(&self) -> Vec<Vec<String>> {
        let mut all: Vec<Vec<String>> = Vec::new();
        for (number, line) in self.heard.commands.lock().expect("no panic").iter() {
            all.resize(all.len().max(*number), Vec::new());
            all[*number - 1].push(line.split([' ', ':']).next().unwrap_or_default().to_owned());
        }
        all
    }

    pub(super) fn messages(&self) -> Vec<String> {
        self.heard.messages.lock().expect("no panic").clone()
    }

    pub(super) fn names(&self) -> Vec<String> {
        self.heard.names.lock().expect("no panic").clone()
    }

    fn end(&mut self) {
        self.stops.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            drop(TcpStream::connect(self.address));
            thread.join().expect("no panic");
        }
    }
}

impl Drop for Mx {
    fn drop(&mut self) {
        self.end();
    }
}

impl Builder {
    pub(super) fn tls(mut self, identity: &Identity) -> Self {
        self.tls = Some(server_config(identity));
        self.words.push("STARTTLS");
        self
    }

    pub(super) fn at_once(mut self, identity: &Identity) -> Self {
        self.tls = Some(server_config(identity));
        self.is_at_once = true;
        self
    }

    pub(super) fn words(mut self, words: &[&'static str]) -> Self {
        self.words.extend(words);
        self
    }

    pub(super) fn says(mut self, says: impl Fn(&str) -> Option<String> + Send + Sync + 'static) -> Self {
        self.says = Box::new(says);
        self
    }

    pub(super) fn run(self) -> Mx {
        self.run_at("127.0.0.1".parse().expect("an address"), 0)
    }

    pub(super) fn run_at(self, ip: IpAddr, port: u16) -> Mx {
        // another of these may listen there on its own address, and one that went comes back
        let port = if port == 0 { support::free_port() } else { port };
        let listener = bind((ip, port).into());
        let address = listener.local_addr().expect("bound");
        let (heard, stops) = (Arc::new(Heard::default()), Arc::new(AtomicBool::new(false)));
        let (known, ends, me) = (Arc::clone(&heard), Arc::clone(&stops), Arc::new(self));
        let thread = std::thread::spawn(move || {
            for (stream, number) in listener.incoming().zip(1..) {
                if ends.load(Ordering::Relaxed) {
                    return;
                }
                let (me, heard) = (Arc::clone(&me), Arc::clone(&known));
                // how a connection ends is the other side's affair
                std::thread::spawn(move || drop(stream.and_then(|stream| me.serve(stream, number, &heard))));
            }
        });
        Mx { address, heard, stops, thread: Some(thread) }
    }

    fn serve(&self, stream: TcpStream, number: usize, heard: &Heard) -> std::io::Result<()> {
        stream.set_read_timeout(Some(support::LONGEST))?;
        let mut wire = match self.is_at_once {
            true => self.secure(stream, heard)?,
            false => BufReader::new(Wire::Plain(stream)),
        };
        let mut is_secure = self.is_at_once;
        let greeting = (self.says)("").unwrap_or_else(|| "220 mx ready".to_owned());
        if !say(&mut wire, &greeting)? {
            return Ok(());
        }
        loop {
            let mut line = String::new();
            if wire.read_line(&mut line)? == 0 {
                return Ok(());
            }
            let line = line.trim_end().to_owned();
            let shown = line.clone();
            heard.commands.lock().expect("no panic").push((number, shown));
            let told = (self.says)(&line.to_uppercase());
            let verb = line.split([' ', ':']).next().unwrap_or_default().to_uppercase();
            let usual = match verb.as_str() {
                "EHLO" => {
                    let words = self.words.iter().filter(|word| **word != "STARTTLS" || !is_secure);
                    words.map(|word| format!("250-{word}\r\n")).collect::<String>().replacen("250-", "250-mx\r\n250-", 1)
                        + "250 HELP"
                }
                "STARTTLS" => "220 go".to_owned(),
                "DATA" => "354 go".to_owned(),
                "QUIT" => "221 bye".to_owned(),
                _ => "250 2.0.0 ok".to_owned(),
            };
            let reply = told.unwrap_or(usual);
            if !say(&mut wire, &reply)? {
                return Ok(());
            }
            match (verb.as_str(), reply.get(..3)) {
                ("QUIT", _) | (_, Some("421")) => return Ok(()),
                ("STARTTLS", Some("220")) => {
                    let Wire::Plain(plain) = wire.into_inner() else { return Ok(()) };
                    wire = self.secure(plain, heard)?;
                    is_secure = true;
                }
                ("DATA", Some("354")) => {
                    let mut message = String::new();
                    while !message.ends_with("\r\n.\r\n") {
                        let mut bytes = Vec::new();
                        if wire.read_until(b'\n', &mut bytes)? == 0 {
                            return Ok(());
                        }
                        message.push_str(&String::from_utf8_lossy(&bytes));
                    }
                    let told = (self.says)(".").unwrap_or_else(|| "250 2.0.0 kept".to_owned());
                    if told.starts_with('2') || told.is_empty() {
                        heard.messages.lock().expect("no panic").push(message);
                    }
                    if !say(&mut wire, &told)? {
                        return Ok(());
                    }
                }
                _ => {}
            }
        }
    }

    fn secure(&self, stream: TcpStream, heard: &Heard) -> std::io::Result<BufReader<Wire>> {
        let config = self.tls.clone().ok_or_else(|| std::io::Error::other("there is no TLS"))?;
        let connection = ServerConnection::new(config).map_err(std::io::Error::other)?;
        let mut stream = StreamOwned::new(connection, stream);
        while stream.conn.is_handshaking() {
            stream.conn.complete_io(&mut stream.sock)?;
        }
        heard.names.lock().expect("no panic").push(stream.conn.server_name().unwrap_or_default().to_owned());
        Ok(BufReader::new(Wire::Tls(Box::new(stream))))
    }
}

fn say(wire: &mut BufReader<Wire>, text: &str) -> std::io::Result<bool> {
    if text.is_empty() {
        return Ok(false);
    }
    wire.get_mut().write_all(format!("{text}\r\n").as_bytes())?;
    wire.get_mut().flush()?;
    Ok(true)
}

enum Wire {
    Plain(TcpStream),
    Tls(Box<StreamOwned<ServerConnection, TcpStream>>),
}

impl Read for Wire {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        match self {
            Self::Plain(stream) => stream.read(buffer),
            Self::Tls(stream) => stream.read(buffer),
        }
    }
}

impl Write for Wire {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        match self {
            Self::Plain(stream) => stream.write(bytes),
            Self::Tls(stream) => stream.write(bytes),
        }
    }

    fn flush(&mut self) -> std::io::Result<()> {
        match self {
            Self::Plain(stream) => stream.flush(),
            Self::Tls(stream) => stream.flush(),
        }
    }
}

/// A port that was left a moment ago may take a while.
fn bind(address: SocketAddr) -> TcpListener {
    for _ in 0..200 {
        if let Ok(listener) = TcpListener::bind(address) {
            return listener;
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    panic!("{address} cannot be bound");
}

fn server_config(identity: &Identity) -> Arc<ServerConfig> {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let chain = identity.chain.iter().cloned().map(CertificateDer::from).collect();
    let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(identity.key.clone()));
    let config = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions().expect("versions");
    Arc::new(config.with_no_client_auth().with_single_cert(chain, key).expect("an identity"))
}

/// A web server that gives one answer to everybody; what it gives may change, and it counts.
pub(super) struct Web {
    pub(super) port: u16,
    answer: Arc<Mutex<String>>,
    asked: Arc<Mutex<Vec<String>>>,
}

impl Web {
    pub(super) fn run(identity: &Identity, answer: &str) -> Self {
        let listener = bind("127.0.0.1:0".parse().expect("an address"));
        let port = listener.local_addr().expect("bound").port();
        let (answer, asked) = (Arc::new(Mutex::new(answer.to_owned())), Arc::<Mutex<Vec<String>>>::default());
        let (config, given, known) = (server_config(identity), Arc::clone(&answer), Arc::clone(&asked));
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                // a client that does not like the certificate leaves
                let _ = stream.and_then(|stream| Self::serve(stream, &config, &given, &known));
            }
        });
        Self { port, answer, asked }
    }

    fn serve(
        stream: TcpStream,
        config: &Arc<ServerConfig>,
        answer: &Mutex<String>,
        asked: &Mutex<Vec<String>>,
    ) -> std::io::Result<()> {
        stream.set_read_timeout(Some(Duration::from_secs(20)))?;
        let connection = ServerConnection::new(Arc::clone(config)).map_err(std::io::Error::other)?;
        let mut stream = StreamOwned::new(connection, stream);
        let (mut request, mut buffer) = (Vec::new(), [0; 4096]);
        loop {
            let count = stream.read(&mut buffer)?;
            request.extend_from_slice(&buffer[..count]);
            let text = String::from_utf8_lossy(&request).into_owned();
            let body = text.split_once("\r\n\r\n").map(|(head, _)| {
                let length = head.lines().find_map(|line| line.strip_prefix("Content-Length: ")?.parse::<usize>().ok());
                (head.len() + 4, length.unwrap_or(0))
            });
            if count == 0 || body.is_some_and(|(head, length)| request.len() >= head + length) {
                asked.lock().expect("no panic").push(text);
                break;
            }
        }
        let answer = answer.lock().expect("no panic").clone();
        stream.write_all(answer.as_bytes())?;
        stream.conn.send_close_notify();
        stream.flush()
    }

    pub(super) fn give(&self, answer: &str) {
        answer.clone_into(&mut self.answer.lock().expect("no panic"));
    }

    pub(super) fn asked(&self) -> Vec<String> {
        self.asked.lock().expect("no panic").clone()
    }
}
