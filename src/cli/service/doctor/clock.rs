//! Asks another clock what time it is, by SNTP.

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, ToSocketAddrs, UdpSocket};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use sealpost::crypto::random::{OsRandom, Random};
use sealpost::server::doctor::sntp::{Difference, Micros, Question};

/// For one answer.
const PATIENCE: Duration = Duration::from_secs(2);
/// So often it is asked: what goes by UDP is lost now and then.
const TRIES: usize = 3;
/// The port of NTP.
const PORT: u16 = 123;

/// How far the clock of this server (a host, with or without a port) is ahead.
pub(super) fn ask(server: &str) -> Result<Difference, String> {
    let found = server.to_socket_addrs().or_else(|_| (server.trim_matches(['[', ']']), PORT).to_socket_addrs());
    let address = found.map_err(|error| error.to_string())?.next().ok_or("it has no address")?;
    let mut told = Err("it does not answer".to_owned());
    for _ in 0..TRIES {
        told = once(address);
        if told.is_ok() {
            break;
        }
    }
    told
}

fn once(address: SocketAddr) -> Result<Difference, String> {
    let here: SocketAddr = match address {
        SocketAddr::V4(_) => (Ipv4Addr::UNSPECIFIED, 0).into(),
        SocketAddr::V6(_) => (Ipv6Addr::UNSPECIFIED, 0).into(),
    };
    let failed = |error: std::io::Error| match error.kind() {
        std::io::ErrorKind::WouldBlock => "it does not answer".to_owned(),
        _ => error.to_string(),
    };
    let mut cookie = [0; 8];
    OsRandom.fill(&mut cookie);
    let question = Question::new(cookie);
    // who is connected hears nobody else
    let socket = UdpSocket::bind(here).map_err(failed)?;
    socket.connect(address).map_err(failed)?;
    let sent = now();
    socket.send(&question.packet()).map_err(failed)?;
    let until = std::time::Instant::now() + PATIENCE;
    let mut buffer = [0; 512];
    loop {
        let left = until.saturating_duration_since(std::time::Instant::now()).max(Duration::from_millis(1));
        socket.set_read_timeout(Some(left)).map_err(failed)?;
        let size = socket.recv(&mut buffer).map_err(failed)?;
        let answer = buffer.get(..size).unwrap_or_default();
        if question.is_answered_by(answer) {
            return question.difference(answer, sent, now());
        }
    }
}

fn now() -> Micros {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Micros::try_from(since.as_micros()).unwrap_or(Micros::MAX)
}
