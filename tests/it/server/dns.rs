//! The name server of the tests, which also fails as it is told.

use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::sync::{Arc, Mutex};

/// Answers what its lines say: `NAME TYPE DATA`; `NAME TYPE !servfail`, `!refused` or `!silent`. What no line names does not exist.
#[derive(Clone)]
pub(super) struct Dns {
    pub(super) address: SocketAddr,
    lines: Arc<Mutex<String>>,
}

const TYPES: [(&str, u16); 7] = [("A", 1), ("CNAME", 5), ("PTR", 12), ("MX", 15), ("TXT", 16), ("AAAA", 28), ("TLSA", 52)];

impl Dns {
    pub(super) fn run(lines: &str) -> Self {
        let socket = UdpSocket::bind("127.0.0.1:0").expect("a port");
        let address = socket.local_addr().expect("bound");
        let dns = Self { address, lines: Arc::new(Mutex::new(lines.to_owned())) };
        let server = dns.clone();
        std::thread::spawn(move || {
            let mut buffer = [0; 1024];
            while let Ok((size, peer)) = socket.recv_from(&mut buffer) {
                if let Some(answer) = server.answer(&buffer[..size]) {
                    socket.send_to(&answer, peer).expect("sent");
                }
            }
        });
        dns
    }

    /// What it says from now on.
    pub(super) fn say(&self, lines: &str) {
        lines.clone_into(&mut self.lines.lock().expect("no panic"));
    }

    /// One text of a name from now on, in place of those before.
    pub(super) fn text(&self, name: &str, text: &str) {
        let mut lines = self.lines.lock().expect("no panic");
        let begin = format!("{name} TXT ");
        let others: String = lines.lines().filter(|line| !line.starts_with(&begin)).map(|line| format!("{line}\n")).collect();
        *lines = format!("{others}{begin}{text}\n");
    }

    fn answer(&self, query: &[u8]) -> Option<Vec<u8>> {
        let (name, end) = question(query);
        let kind = u16::from_be_bytes([query[end], query[end + 1]]);
        let known = TYPES.iter().find(|(_, number)| *number == kind).map_or("?", |(known, _)| known);
        let text = self.lines.lock().expect("no panic").clone();
        let lines = text.lines().filter_map(|line| {
            let mut words = line.split_ascii_whitespace();
            Some((words.next()?, words.next()?, words.collect::<Vec<_>>()))
        });
        let lines: Vec<_> = lines.collect();
        let exists = lines.iter().any(|(owner, ..)| *owner == name || owner.ends_with(&format!(".{name}")));
        let of_it: Vec<_> = lines.iter().filter(|(owner, of, _)| *owner == name && (*of == known || *of == "CNAME")).collect();
        let mut code = if exists { 0 } else { 3 };
        let mut records = Vec::new();
        for (_, of, data) in of_it {
            match data.first().copied() {
                Some("!silent") => return None,
                Some("!servfail") => code = 2,
                Some("!refused") => code = 5,
                _ => records.push(record(of, data)),
            }
        }
        let mut out = query[..2].to_vec();
        out.extend([0x81, 0x80 | code, 0, 1, 0, u8::try_from(records.len()).expect("few"), 0, 0, 0, 0]);
        out.extend_from_slice(&query[12..end + 4]);
        out.extend(records.concat());
        Some(out)
    }
}

/// The name that is asked for, and where it ends.
pub(super) fn question(query: &[u8]) -> (String, usize) {
    let (mut at, mut labels) = (12, Vec::new());
    while query[at] != 0 {
        let end = at + 1 + usize::from(query[at]);
        labels.push(String::from_utf8_lossy(&query[at + 1..end]).to_lowercase());
        at = end;
    }
    (labels.join("."), at + 1)
}

pub(super) fn encoded(name: &str) -> Vec<u8> {
    let labels = name.split('.').filter(|label| !label.is_empty());
    let mut out: Vec<u8> =
        labels.flat_map(|label| [&[u8::try_from(label.len()).expect("short")], label.as_bytes()].concat()).collect();
    out.push(0);
    out
}

/// A record of the name that is asked for.
pub(super) fn record(kind: &str, data: &[&str]) -> Vec<u8> {
    let number = TYPES.iter().find(|(known, _)| *known == kind).expect("a type that is known").1;
    let data = match (kind, data) {
        ("MX", [preference, host]) => [&preference.parse::<u16>().expect("a number").to_be_bytes()[..], &encoded(host)].concat(),
        ("CNAME" | "PTR", [target]) => encoded(target),
        ("TXT", words) => {
            let piece = |bytes: &[u8]| [&[u8::try_from(bytes.len()).expect("short")], bytes].concat();
            words.join(" ").as_bytes().chunks(255).flat_map(piece).collect()
        }
        ("TLSA", [usage, selector, matching, digest]) => {
            let digits: Vec<u8> =
                digest.bytes().map(|digit| u8::try_from(char::from(digit).to_digit(16).expect("hex")).expect("one")).collect();
            let numbers = [usage, selector, matching].map(|number| number.parse().expect("a number"));
            numbers.into_iter().chain(digits.chunks(2).map(|pair| pair[0] * 16 + pair[1])).collect()
        }
        (_, [address]) => match address.parse().expect("an address") {
            IpAddr::V4(v4) => v4.octets().to_vec(),
            IpAddr::V6(v6) => v6.octets().to_vec(),
        },
        _ => panic!("{kind} {data:?}"),
    };
    let mut out = vec![0xc0, 12];
    out.extend(number.to_be_bytes());
    // kept for no time, so that what is said anew is heard
    out.extend([0, 1, 0, 0, 0, 0]);
    out.extend(u16::try_from(data.len()).expect("short").to_be_bytes());
    out.extend(data);
    out
}
