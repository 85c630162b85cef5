//! URLs and answers of HTTP are read the same in any pieces, within their bounds.

use sealpost::http::{Answer, Error, Reader, Url};
use sealpost::limits::Limits;

/// Bytes that a body may have.
const MOST: usize = 4_096;

/// Reads the first line as a URL, and what follows as what its server answers.
pub fn run(bytes: &[u8]) {
    let end = bytes.iter().position(|byte| *byte == b'\n').unwrap_or(bytes.len());
    let (line, rest) = bytes.split_at(end);
    let answer = rest.get(1..).unwrap_or_default();
    let text = String::from_utf8_lossy(line);
    let url = Url::parse(&text);
    if let Ok(url) = &url {
        is_clear(url);
    }
    let whole = read(answer, answer.len().max(1));
    assert_eq!(whole, read(answer, 1));
    assert_eq!(whole, read(answer, 7));
    let Ok(whole) = whole else { return };
    assert!(whole.body.len() <= MOST);
    if let (Ok(url), Some(location)) = (url, whole.location)
        && let Ok(there) = url.join(&location)
    {
        is_clear(&there);
    }
}

/// It is read again as it is, and nothing in a request of it ends a line.
fn is_clear(url: &Url) {
    assert_eq!(Url::parse(&url.to_string()).as_ref(), Ok(url));
    let request = sealpost::http::get(url);
    assert!(request.ends_with(b"\r\n\r\n"));
    assert_eq!(request.iter().filter(|byte| **byte == b'\n').count(), 7);
    assert_eq!(url.below("a b").target().matches(' ').count(), 0);
}

fn read(bytes: &[u8], piece: usize) -> Result<Answer, Error> {
    let mut reader = Reader::new(MOST, &Limits::default());
    for piece in bytes.chunks(piece) {
        if reader.receive(piece)? {
            break;
        }
    }
    reader.finish()
}
