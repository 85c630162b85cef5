//! The two requests that are sent: what they say of whoever asks is nothing but the question.

use crate::http::Url;

/// A request for a file.
pub fn get(url: &Url) -> Vec<u8> {
    head("GET", url, "").into_bytes()
}

/// A request that carries a body of a media type.
pub fn post(url: &Url, media_type: &str, body: &[u8]) -> Vec<u8> {
    let more = format!("Content-Type: {media_type}\r\nContent-Length: {}\r\n", body.len());
    [head("POST", url, &more).as_bytes(), body].concat()
}

/// One answer a connection: nothing is left in it that a second one could be mistaken for.
fn head(method: &str, url: &Url, more: &str) -> String {
    let (target, authority) = (url.target(), url.authority());
    format!(
        "{method} {target} HTTP/1.1\r\nHost: {authority}\r\nUser-Agent: sealpost\r\nAccept: */*\r\nAccept-Encoding: identity\r\nConnection: close\r\n{more}\r\n"
    )
}
