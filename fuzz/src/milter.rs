//! What a scanner says gives the same verdict whatever its pieces, and no change that could be two.

use sealpost::limits::Limits;
use sealpost::proto::milter::{Broken, Change, Field, Milter, MilterStep, Offer, Verdict};

/// Takes the bytes as all that a scanner says.
pub fn run(bytes: &[u8]) {
    let whole = talk(bytes, bytes.len().max(1));
    for piece in [1, 3, 64] {
        assert_eq!(whole, talk(bytes, piece));
    }
    let Some(Ok(verdict)) = whole else { return };
    for change in &verdict.changes {
        if let Change::AddField { value, .. } | Change::InsertField { value, .. } | Change::ChangeField { value, .. } = change {
            let text = String::from_utf8_lossy(value).replace("\r\n ", "").replace("\r\n\t", "");
            assert!(!text.contains(['\r', '\n']), "{text:?}");
        }
    }
}

/// A message that a scanner is shown.
pub fn offer() -> Offer {
    Offer {
        hostname: "mail.b.example".to_owned(),
        peer: [192, 0, 2, 1].into(),
        name: None,
        port: 25,
        helo: "a.example".to_owned(),
        user: None,
        tls: None,
        protocol: "ESMTP".to_owned(),
        date: "Mon, 1 Jun 2026 00:00:00 +0000".to_owned(),
        sender: "jane@a.example".to_owned(),
        recipients: vec!["bob@b.example".to_owned(), "carol@b.example".to_owned()],
        fields: vec![Field { name: b"Subject".to_vec(), value: b" hello".to_vec() }],
        body: vec![b'x'; 100].into(),
        id: "1".to_owned(),
    }
}

fn talk(said: &[u8], piece: usize) -> Option<Result<Verdict, Broken>> {
    let mut session = Milter::new(offer(), &Limits::default());
    let mut rest = said;
    loop {
        match session.step() {
            MilterStep::Send(_) => {}
            MilterStep::Done(verdict) => return Some(verdict),
            MilterStep::Wait(_) if rest.is_empty() => return None,
            MilterStep::Wait(_) => {
                let (now, later) = rest.split_at(piece.min(rest.len()));
                session.receive(now);
                rest = later;
            }
        }
    }
}
