//! One request over HTTPS: the authorities say who answers, and nobody is followed elsewhere.

use std::net::SocketAddr;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::http::{Answer, Reader};
use crate::limits::Limits;
use crate::server::outbound::tls::{self, Tls};

/// Why there is no answer.
#[derive(Debug)]
pub(in crate::server::outbound) enum Failed {
    /// The certificate is not good for the name.
    Tls(String),
    /// Anything else.
    Other(String),
}

/// Sends a request to a host at an address; reads an answer of so many bytes at most.
pub(in crate::server::outbound) async fn exchange(
    tls: &Tls,
    (host, address): (&str, SocketAddr),
    request: &[u8],
    most: usize,
) -> Result<Answer, Failed> {
    let told = |error: std::io::Error| Failed::Other(format!("{host} [{address}]: {error}"));
    let stream = TcpStream::connect(address).await.map_err(told)?;
    let connector = tls.verified(&[host.to_owned()]).map_err(Failed::Other)?;
    let stream = connector.connect(tls::server_name(host), stream).await;
    let mut stream = stream.map_err(|error| match tls::is_certificate(&error) {
        true => Failed::Tls(format!("{host} [{address}]: {error}")),
        false => told(error),
    })?;
    stream.write_all(request).await.map_err(told)?;
    stream.flush().await.map_err(told)?;
    let mut reader = Reader::new(most, &Limits::default());
    let mut buffer = [0; 4096];
    loop {
        // an end that TLS does not say may be somebody's who cuts the answer; one that names its length was whole before
        let count = stream.read(&mut buffer).await.map_err(told)?;
        let received = reader.receive(buffer.get(..count).unwrap_or_default());
        let is_whole = received.map_err(|error| Failed::Other(error.to_string()))?;
        if is_whole || count == 0 {
            break;
        }
    }
    reader.finish().map_err(|error| Failed::Other(error.to_string()))
}
