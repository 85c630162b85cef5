//! A message of the queue on its way: what servers hear of it, and its bytes, which are read anew for each server that is asked.

use std::borrow::Cow;
use std::io::{self, Read};
use std::sync::Arc;

use crate::proto::smtp::client::{Addressee, Announced, Shape};
use crate::server::store::{Error, Queued, Reading, Store};

/// A message, for some of its recipients.
#[derive(Clone)]
pub(in crate::server) struct Letter {
    pub(in crate::server) announced: Announced,
    bytes: Bytes,
}

/// Where the bytes of a message are.
#[derive(Clone)]
enum Bytes {
    /// In memory.
    Here(Arc<[u8]>),
    /// In the store, below this number of the queue.
    Kept(Arc<dyn Store>, i64),
}

impl std::fmt::Debug for Letter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Letter({:?})", self.announced)
    }
}

/// Bytes that are read at once: what one connection holds of a message. Several TLS records, for each piece costs a change of threads.
const PIECE: usize = 256 << 10;

impl Letter {
    /// Looks through a message of the queue, for those who are due. Blocks.
    pub(in crate::server) fn of(store: &Arc<dyn Store>, queued: &Queued) -> Result<Self, Error> {
        let (mut reading, mut shape) = (store.read_queued(queued.id)?, Shape::default());
        let first = piece(&mut reading).map_err(broken)?;
        shape.push(&first);
        let bytes = match first.len() < PIECE {
            true => Bytes::Here(first.into()),
            false => Bytes::Kept(Arc::clone(store), queued.id),
        };
        while shape.size() < reading.size() {
            match piece(&mut reading).map_err(broken)? {
                // shorter than the store says: whoever sends it sees that
                none if none.is_empty() => break,
                more => shape.push(&more),
            }
        }
        let recipients = queued.recipients.iter().map(|due| due.to.clone()).collect();
        let (sender, terms) = (queued.sender.clone(), queued.terms.clone());
        Ok(Self { announced: Announced { sender, recipients, terms, shape }, bytes })
    }

    /// One that is in memory.
    #[cfg(test)]
    pub(in crate::server) fn here(outgoing: &crate::proto::smtp::client::Outgoing) -> Self {
        Self { announced: outgoing.announced(), bytes: Bytes::Here(Arc::clone(&outgoing.message)) }
    }

    /// The same for others.
    pub(in crate::server) fn to(&self, recipients: Vec<Addressee>) -> Self {
        Self { announced: Announced { recipients, ..self.announced.clone() }, bytes: self.bytes.clone() }
    }

    /// Reads it from its first byte. Blocks.
    pub(in crate::server) fn reader(&self) -> io::Result<Box<dyn Read + Send + '_>> {
        Ok(match &self.bytes {
            Bytes::Here(bytes) => Box::new(bytes.as_ref()),
            Bytes::Kept(store, id) => Box::new(store.read_queued(*id).map_err(io::Error::other)?),
        })
    }

    /// Reads it piece by piece.
    pub(in crate::server::outbound) fn pieces(&self) -> Pieces<'_> {
        Pieces { bytes: &self.bytes, reading: None }
    }
}

/// A letter that is read piece by piece.
pub(in crate::server::outbound) struct Pieces<'l> {
    bytes: &'l Bytes,
    /// What is left, and where that begins.
    reading: Option<(Reading, u64)>,
}

impl<'l> Pieces<'l> {
    /// The piece that begins at this byte.
    pub(in crate::server::outbound) async fn from(&mut self, at: u64) -> Result<Cow<'l, [u8]>, String> {
        let (store, id) = match self.bytes {
            Bytes::Here(bytes) => {
                let rest = usize::try_from(at).ok().and_then(|at| bytes.get(at..)).unwrap_or_default();
                return Ok(Cow::Borrowed(rest));
            }
            Bytes::Kept(store, id) => (Arc::clone(store), *id),
        };
        let begun = self.reading.take().filter(|(_, begin)| *begin == at);
        let read = move || {
            let mut reading = match begun {
                Some((reading, _)) => reading,
                // another transaction: from its first byte
                None => {
                    let mut reading = store.read_queued(id).map_err(io::Error::other)?;
                    io::copy(&mut (&mut reading).take(at), &mut io::sink())?;
                    reading
                }
            };
            let piece = piece(&mut reading)?;
            Ok::<_, io::Error>((reading, piece))
        };
        let read = tokio::task::spawn_blocking(read).await.map_err(|error| error.to_string())?;
        let (reading, piece) = read.map_err(|error| format!("the message cannot be read – {error}"))?;
        self.reading = Some((reading, at.saturating_add(u64::try_from(piece.len()).unwrap_or(u64::MAX))));
        Ok(Cow::Owned(piece))
    }
}

fn piece(reading: &mut Reading) -> io::Result<Vec<u8>> {
    let mut piece = Vec::with_capacity(usize::try_from(reading.size()).unwrap_or(PIECE).min(PIECE));
    reading.take(u64::try_from(PIECE).unwrap_or(u64::MAX)).read_to_end(&mut piece)?;
    Ok(piece)
}

#[allow(clippy::needless_pass_by_value, reason = "the shape that map_err wants")]
fn broken(error: io::Error) -> Error {
    Error::Broken(format!("a message cannot be read – {error}"))
}
