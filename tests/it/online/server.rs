//! A server of HTTP that gives what a test says, and counts.

use std::collections::HashMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// What a path gives.
#[derive(Debug, Clone)]
pub(super) enum Reply {
    /// These bytes, and the end.
    Raw(Vec<u8>),
    /// Nothing, as long as the client waits.
    Hang,
    /// The beginning, and then a byte now and then.
    Drip,
    /// A body without end.
    Endless,
}

impl Reply {
    /// A file without a media type.
    pub(super) fn file(body: &[u8]) -> Self {
        Self::with("200 OK", "", body)
    }

    pub(super) fn with(status: &str, fields: &str, body: &[u8]) -> Self {
        let head = format!("HTTP/1.1 {status}\r\nContent-Length: {}\r\n{fields}\r\n", body.len());
        Self::Raw([head.as_bytes(), body].concat())
    }

    pub(super) fn to(location: &str) -> Self {
        Self::with("302 Found", &format!("Location: {location}\r\n"), b"")
    }
}

/// What was asked: method, target, body.
pub(super) type Asked = (String, String, Vec<u8>);

#[derive(Default)]
struct Shared {
    replies: Mutex<HashMap<String, Reply>>,
    asked: Mutex<Vec<Asked>>,
    connections: AtomicUsize,
    ended: AtomicBool,
}

pub(super) struct Server {
    pub(super) port: u16,
    shared: Arc<Shared>,
}

impl Server {
    pub(super) fn new() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let port = listener.local_addr().expect("an address").port();
        let shared = Arc::new(Shared::default());
        let own = Arc::clone(&shared);
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                if own.ended.load(Ordering::SeqCst) {
                    break;
                }
                own.connections.fetch_add(1, Ordering::SeqCst);
                let (own, stream) = (Arc::clone(&own), stream.expect("a connection"));
                std::thread::spawn(move || drop(serve(&own, stream)));
            }
        });
        Self { port, shared }
    }

    pub(super) fn give(&self, path: &str, reply: Reply) {
        self.shared.replies.lock().expect("lock").insert(path.to_owned(), reply);
    }

    pub(super) fn connections(&self) -> usize {
        self.shared.connections.load(Ordering::SeqCst)
    }

    pub(super) fn asked(&self) -> Vec<Asked> {
        self.shared.asked.lock().expect("lock").clone()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.shared.ended.store(true, Ordering::SeqCst);
        drop(TcpStream::connect(("127.0.0.1", self.port)));
    }
}

fn serve(shared: &Shared, stream: TcpStream) -> std::io::Result<()> {
    let mut reader = BufReader::new(stream.try_clone()?);
    let (mut line, mut length) = (String::new(), 0);
    reader.read_line(&mut line)?;
    let mut words = line.split_whitespace().map(str::to_owned);
    let (method, target) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
    loop {
        let mut field = String::new();
        reader.read_line(&mut field)?;
        if let Some(value) = field.to_lowercase().strip_prefix("content-length:") {
            length = value.trim().parse().expect("a number");
        }
        if field.trim().is_empty() {
            break;
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body)?;
    shared.asked.lock().expect("lock").push((method.clone(), target.clone(), body));
    let replies = shared.replies.lock().expect("lock");
    let reply = replies.get(&format!("{method} {target}")).or_else(|| replies.get(&target)).cloned();
    drop(replies);
    let mut stream = stream;
    match reply.unwrap_or_else(|| Reply::with("404 Not Found", "", b"")) {
        Reply::Raw(bytes) => stream.write_all(&bytes),
        Reply::Hang => stream.read(&mut [0]).map(drop),
        Reply::Drip => {
            stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n")?;
            loop {
                stream.write_all(b"0")?;
                std::thread::sleep(Duration::from_millis(50));
            }
        }
        Reply::Endless => {
            stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n")?;
            loop {
                stream.write_all(&[0; 1 << 16])?;
            }
        }
    }
}
