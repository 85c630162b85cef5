//! A name server of the tests: it answers what it was given, and says of all other names that they do not exist.

use std::net::{IpAddr, SocketAddr, UdpSocket};

/// Records of a zone: a name in lower case without its last dot, a type, and data as it is sent.
pub(super) struct Zone(Vec<(String, u8, Vec<u8>)>);

const A: u8 = 1;
const PTR: u8 = 12;
const MX: u8 = 15;
const TXT: u8 = 16;
const TLSA: u8 = 52;

impl Zone {
    pub(super) fn new() -> Self {
        Self(Vec::new())
    }

    pub(super) fn mx(self, name: &str, host: &str) -> Self {
        self.record(name, MX, [vec![0, 10], written(host)].concat())
    }

    pub(super) fn a(self, name: &str, address: &str) -> Self {
        let Ok(IpAddr::V4(address)) = address.parse() else { panic!("{address}") };
        self.record(name, A, address.octets().to_vec())
    }

    pub(super) fn txt(self, name: &str, text: &str) -> Self {
        let piece = |bytes: &[u8]| [vec![u8::try_from(bytes.len()).expect("short")], bytes.to_vec()].concat();
        let data = text.as_bytes().chunks(255).map(piece).collect::<Vec<_>>().concat();
        self.record(name, TXT, data)
    }

    pub(super) fn ptr(self, name: &str, host: &str) -> Self {
        self.record(name, PTR, written(host))
    }

    /// A record about a key that is nobody's.
    pub(super) fn wrong_tlsa(self, name: &str) -> Self {
        self.record(name, TLSA, [&[3, 1, 1][..], &[7; 32]].concat())
    }

    fn record(mut self, name: &str, kind: u8, data: Vec<u8>) -> Self {
        self.0.push((name.to_owned(), kind, data));
        self
    }

    /// Answers until the test ends; gives where.
    pub(super) fn serve(self) -> SocketAddr {
        let socket = UdpSocket::bind("127.0.0.1:0").expect("a port");
        let address = socket.local_addr().expect("bound");
        std::thread::spawn(move || {
            let mut buffer = [0; 512];
            while let Ok((size, peer)) = socket.recv_from(&mut buffer) {
                socket.send_to(&self.answer(&buffer[..size]), peer).expect("sent");
            }
        });
        address
    }

    fn answer(&self, query: &[u8]) -> Vec<u8> {
        let (mut at, mut labels) = (12, Vec::new());
        while query[at] != 0 {
            let end = at + 1 + usize::from(query[at]);
            labels.push(String::from_utf8_lossy(&query[at + 1..end]).to_lowercase());
            at = end;
        }
        // types above 255 (CAA) are none that a zone here has
        let kind = if query[at + 1] == 0 { query[at + 2] } else { 0 };
        let (name, question) = (labels.join("."), &query[12..at + 5]);
        let exists = self.0.iter().any(|(known, _, _)| *known == name || known.ends_with(&format!(".{name}")));
        let found: Vec<_> = self.0.iter().filter(|(known, of, _)| *known == name && *of == kind).collect();
        let mut out = query[..2].to_vec();
        let count = u8::try_from(found.len()).expect("few");
        out.extend([0x81, if exists { 0x80 } else { 0x83 }, 0, 1, 0, count, 0, 0, 0, 0]);
        out.extend_from_slice(question);
        for (_, _, data) in found {
            let length = u16::try_from(data.len()).expect("short").to_be_bytes();
            out.extend([0xc0, 12, 0, kind, 0, 1, 0, 0, 0, 60, length[0], length[1]]);
            out.extend_from_slice(data);
        }
        out
    }
}

/// A name as it is sent.
fn written(name: &str) -> Vec<u8> {
    let label = |label: &str| [vec![u8::try_from(label.len()).expect("short")], label.as_bytes().to_vec()].concat();
    [name.split('.').map(label).collect::<Vec<_>>().concat(), vec![0]].concat()
}
