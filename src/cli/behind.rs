//! Writes a large result in a thread of its own, so that working and writing go on at once; between its writes it reads the message ahead.

use std::io::{self, Write};
use std::thread::JoinHandle;

use sealpost::mime::transfer::Base64Lines;
use sealpost::secret::relay::{Emptier, Filler, Ready, has_processor, relay};
use zeroize::Zeroize;

use crate::cli::ahead::{Errands, Wishes};

/// Work on less than this many bytes is over before a thread would help.
const LARGE: u64 = 2 << 20;

/// Blocks of 64 KiB between the threads.
const BLOCKS: usize = 8;

/// Bytes that are gathered before this thread writes them.
const GATHERED: usize = 64 << 10;

/// Which thread writes a large result.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Writer {
    /// The one that makes it: another hashes.
    Here,
    /// A second one, where there is a processor for it.
    Beside,
}

/// A place to write to; from some MiB on a thread may do it.
pub(crate) struct WriteBehind<W: Write + Send + 'static> {
    writer: Writer,
    /// Where the thread learns what to read ahead.
    wishes: Option<Wishes>,
    /// The place, while no thread writes there.
    place: Option<W>,
    worker: Option<Worker<W>>,
    written: u64,
    gathered: Gathered,
}

/// What this thread writes together: the bytes at the front. It may be content that only its reader may see, and is wiped at the end.
#[derive(Default)]
struct Gathered {
    memory: Vec<u8>,
    filled: usize,
}

struct Worker<W> {
    filler: Filler,
    handle: JoinHandle<(W, io::Result<()>)>,
}

impl Gathered {
    fn bytes(&self) -> &[u8] {
        self.memory.get(..self.filled).unwrap_or_default()
    }

    fn room(&self) -> usize {
        self.memory.len().saturating_sub(self.filled)
    }

    /// So many bytes of the room, to be filled.
    fn lend(&mut self, bytes: usize) -> &mut [u8] {
        let from = self.filled;
        self.filled = from.saturating_add(bytes).min(self.memory.len());
        self.memory.get_mut(from..self.filled).unwrap_or_default()
    }
}

impl Drop for Gathered {
    fn drop(&mut self) {
        self.memory.zeroize();
    }
}

impl<W: Write + Send + 'static> WriteBehind<W> {
    /// Writes to this place.
    pub(crate) fn new(place: W, writer: Writer, wishes: Option<Wishes>) -> Self {
        Self { writer, wishes, place: Some(place), worker: None, written: 0, gathered: Gathered::default() }
    }

    /// Room for so many bytes, which count as written: at most [`GATHERED`].
    pub(crate) fn lend(&mut self, bytes: usize) -> io::Result<&mut [u8]> {
        self.count(bytes)?;
        if self.worker.as_mut().is_some_and(|worker| worker.filler.make_room(bytes).is_err()) {
            return self.settle().and(Err(lost()));
        }
        if self.worker.is_none() && self.gathered.room() < bytes {
            self.write_gathered()?;
        }
        Ok(match &mut self.worker {
            Some(worker) => worker.filler.lend(bytes),
            None => self.gathered.lend(bytes),
        })
    }

    /// Waits until all is written; gives the place back, to be written to from its start.
    pub(crate) fn settle(&mut self) -> io::Result<&mut W> {
        self.written = 0;
        self.write_gathered()?;
        if let Some(worker) = self.worker.take() {
            // where the thread ended because writing failed, it says why
            let handed = worker.filler.finish();
            let (place, result) = worker.handle.join().map_err(|_| lost())?;
            self.place = Some(place);
            result.and(handed.map_err(|_| lost()))?;
        }
        self.place.as_mut().ok_or_else(lost)
    }

    /// Counts bytes that come; starts the thread where they are many.
    fn count(&mut self, bytes: usize) -> io::Result<()> {
        self.written = self.written.saturating_add(u64::try_from(bytes).unwrap_or(0));
        if self.worker.is_none() && self.is_much() {
            self.write_gathered()?;
            self.start(false);
        }
        Ok(())
    }

    /// Whether a second thread may write, and there is enough for it.
    fn is_much(&self) -> bool {
        self.written > LARGE && self.writer == Writer::Beside && has_processor()
    }

    /// Whether the thread encodes what is written from here on in lines of base64, until all is written: where there is much of it.
    pub(crate) fn begin_base64(&mut self) -> io::Result<bool> {
        let is_much = self.is_much();
        if is_much {
            self.settle()?;
            self.start(true);
        }
        Ok(is_much)
    }

    fn start(&mut self, encodes: bool) {
        let errands = Errands::offer(self.wishes.clone());
        self.worker = self.place.take().map(|place| Worker::start(place, encodes, errands));
        self.gathered = Gathered::default();
    }

    /// Writes what is gathered; there is room then.
    fn write_gathered(&mut self) -> io::Result<()> {
        if self.gathered.filled > 0 {
            let place = self.place.as_mut().ok_or_else(lost)?;
            place.write_all(self.gathered.bytes())?;
            self.gathered.filled = 0;
        }
        if self.gathered.memory.is_empty() && self.worker.is_none() {
            self.gathered.memory = vec![0; GATHERED];
        }
        Ok(())
    }

    /// Waits until all is written; gives the place.
    pub(crate) fn finish(mut self) -> io::Result<W> {
        self.settle()?.flush()?;
        self.place.take().ok_or_else(lost)
    }
}

/// A place that is given up is given up by the thread, too: what it holds must be gone before the program ends.
impl<W: Write + Send + 'static> Drop for WriteBehind<W> {
    fn drop(&mut self) {
        if let Some(worker) = self.worker.take() {
            drop(worker.filler);
            drop(worker.handle.join());
        }
    }
}

fn lost() -> io::Error {
    io::Error::other("the thread that wrote ended")
}

impl<W: Write + Send + 'static> Write for WriteBehind<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.count(bytes.len())?;
        if let Some(worker) = &mut self.worker {
            return match worker.filler.write(bytes) {
                Ok(()) => Ok(bytes.len()),
                Err(_) => self.settle().and(Err(lost())),
            };
        }
        if bytes.len() > GATHERED / 4 {
            self.write_gathered()?;
            self.place.as_mut().ok_or_else(lost)?.write_all(bytes)?;
            return Ok(bytes.len());
        }
        if self.gathered.room() < bytes.len() {
            self.write_gathered()?;
        }
        let space = self.gathered.lend(bytes.len());
        // in pieces: copies between buffers at the same place in their pages crawl otherwise on some processors
        space.chunks_mut(COPY).zip(bytes.chunks(COPY)).for_each(|(to, from)| to.copy_from_slice(from));
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Bytes of one copy.
const COPY: usize = 1 << 10;

impl<W: Write + Send + 'static> Worker<W> {
    fn start(place: W, encodes: bool, errands: Errands) -> Self {
        let (filler, emptier) = relay(BLOCKS);
        emptier.ring(errands.bell());
        let handle = std::thread::spawn(move || {
            let mut place = place;
            let written = if encodes { encode(emptier, &mut place, errands) } else { write(emptier, &mut place, errands) };
            (place, written)
        });
        Self { filler, handle }
    }
}

/// Writes what comes, to its end, and runs errands as long.
fn write(mut from: Emptier, to: &mut impl Write, mut errands: Errands) -> io::Result<()> {
    loop {
        while !from.is_due() {
            if !errands.run() {
                errands.bell().wait();
            }
        }
        loop {
            match from.ready() {
                Ready::Block(block) => to.write_all(block)?,
                Ready::Nothing => break,
                Ready::End => return Ok(()),
            }
        }
    }
}

fn encode(from: Emptier, to: &mut impl Write, errands: Errands) -> io::Result<()> {
    let mut lines = Base64Lines::new(to);
    write(from, &mut lines, errands)?;
    lines.finish()
}
