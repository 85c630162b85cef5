//! Answers challenges over HTTP (RFC 8555 8.3), and nothing else.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

use crate::server::listen::each;

/// The answers that stand, by their tokens; none but while an order is under way.
#[derive(Debug, Clone, Default)]
pub(super) struct Challenges(Arc<Mutex<HashMap<String, String>>>);

/// Connections at once; an authority comes from a handful of places.
const CONNECTIONS: usize = 32;
/// For a whole request.
const PATIENCE: Duration = Duration::from_secs(10);
/// Bytes of a request that are looked at.
const REQUEST: usize = 4 << 10;

impl Challenges {
    pub(super) fn put(&self, token: String, answer: String) {
        self.all().insert(token, answer);
    }

    pub(super) fn forget(&self) {
        self.all().clear();
    }

    /// Answers until the server stops.
    pub(super) async fn serve(&self, listener: TcpListener, stop: watch::Receiver<bool>) {
        each(listener, CONNECTIONS, stop, |stream, _| {
            let challenges = self.clone();
            // how a connection ends is the peer's affair
            Some(async move { drop(tokio::time::timeout(PATIENCE, challenges.answer(stream)).await) })
        })
        .await;
    }

    async fn answer(&self, mut stream: TcpStream) -> std::io::Result<()> {
        let mut request = Vec::new();
        let mut buffer = [0; 1024];
        while !request.windows(4).any(|four| four == b"\r\n\r\n") && request.len() < REQUEST {
            match stream.read(&mut buffer).await? {
                0 => break,
                count => request.extend_from_slice(buffer.get(..count).unwrap_or_default()),
            }
        }
        let reply = match self.of(&request) {
            Some(answer) => format!(
                "HTTP/1.1 200 OK\r\nContent-Type: application/octet-stream\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{answer}",
                answer.len()
            ),
            None => "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n".to_owned(),
        };
        stream.write_all(reply.as_bytes()).await?;
        stream.shutdown().await
    }

    /// The answer to a request, where it is for a token that stands.
    fn of(&self, request: &[u8]) -> Option<String> {
        let line = request.split(|byte| *byte == b'\r').next()?;
        let path = std::str::from_utf8(line).ok()?.strip_prefix("GET ")?.split(' ').next()?;
        self.all().get(path.strip_prefix("/.well-known/acme-challenge/")?).cloned()
    }

    fn all(&self) -> MutexGuard<'_, HashMap<String, String>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_token_that_stands_is_answered() {
        let challenges = Challenges::default();
        challenges.put("token".to_owned(), "token.thumb".to_owned());
        let ask = |line: &str| challenges.of(format!("{line}\r\nHost: a\r\n\r\n").as_bytes());
        assert_eq!(ask("GET /.well-known/acme-challenge/token HTTP/1.1").as_deref(), Some("token.thumb"));
        for line in [
            "GET /.well-known/acme-challenge/other HTTP/1.1",
            "POST /.well-known/acme-challenge/token HTTP/1.1",
            "GET / HTTP/1.1",
            "",
        ] {
            assert_eq!(ask(line), None, "{line}");
        }
        challenges.forget();
        assert_eq!(ask("GET /.well-known/acme-challenge/token HTTP/1.1"), None);
    }
}
