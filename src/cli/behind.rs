//! Writes a large result in a thread of its own, so that working and writing go on at once.

use std::io::{self, Write};
use std::sync::OnceLock;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::JoinHandle;

use zeroize::Zeroize;

/// Work on less than this many bytes is over before a thread would help.
const LARGE: u64 = 2 << 20;

/// Bytes that are gathered before this thread writes them.
const GATHERED: usize = 64 << 10;

/// Whether a second thread has a processor to run on; asked of the system once.
fn has_processors() -> bool {
    static MORE: OnceLock<bool> = OnceLock::new();
    *MORE.get_or_init(|| std::thread::available_parallelism().is_ok_and(|count| count.get() > 1))
}

/// How large the blocks are that a second thread writes, where there is a processor for it, in bytes. There are two: one is filled while the
/// other is written. Waking the thread costs as much as copying some ten KiB, and memory is bounded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Blocks(usize);

impl Blocks {
    /// No second thread: where making the result is so quick, beside handing it over, that this would cost a quarter of the work; or where
    /// the second thread hashes.
    pub(crate) const NONE: Self = Self(0);
    /// For verbs that have little else in memory.
    pub(crate) const LARGE: Self = Self(512 << 10);
    /// For verbs that hold more.
    pub(crate) const SMALL: Self = Self(128 << 10);
}

/// A place to write to; from some MiB on a thread may do it.
pub(crate) struct WriteBehind<W: Write + Send + 'static> {
    blocks: Blocks,
    /// The place, while no thread writes there.
    place: Option<W>,
    worker: Option<Worker<W>>,
    written: u64,
    block: Block,
}

/// What is to be written together: the bytes at its front. It may be content that only its reader may see, and is wiped at the end.
#[derive(Default)]
struct Block {
    memory: Vec<u8>,
    filled: usize,
}

struct Worker<W> {
    blocks: SyncSender<Block>,
    used: Receiver<Block>,
    handle: JoinHandle<(W, io::Result<()>)>,
}

impl Block {
    fn new(size: usize) -> Self {
        Self { memory: vec![0; size], filled: 0 }
    }

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

impl Drop for Block {
    fn drop(&mut self) {
        self.memory.zeroize();
    }
}

impl<W: Write + Send + 'static> WriteBehind<W> {
    /// Writes to this place.
    pub(crate) fn new(place: W, blocks: Blocks) -> Self {
        Self { blocks, place: Some(place), worker: None, written: 0, block: Block::default() }
    }

    /// Room for so many bytes, which count as written: at most [`GATHERED`].
    pub(crate) fn lend(&mut self, bytes: usize) -> io::Result<&mut [u8]> {
        self.count(bytes)?;
        if self.block.room() < bytes {
            self.pass_on()?;
        }
        Ok(self.block.lend(bytes))
    }

    /// Waits until all is written; gives the place back, to be written to from its start.
    pub(crate) fn settle(&mut self) -> io::Result<&mut W> {
        self.written = 0;
        if self.block.filled > 0 {
            self.pass_on()?;
        }
        if let Some(worker) = self.worker.take() {
            drop(worker.blocks);
            let (place, result) = worker.handle.join().map_err(|_| lost())?;
            self.place = Some(place);
            result?;
        }
        self.place.as_mut().ok_or_else(lost)
    }

    /// Counts bytes that come; starts the thread where they are many.
    fn count(&mut self, bytes: usize) -> io::Result<()> {
        self.written = self.written.saturating_add(u64::try_from(bytes).unwrap_or(0));
        if self.written <= LARGE || self.blocks == Blocks::NONE || self.worker.is_some() || !has_processors() {
            return Ok(());
        }
        self.pass_on()?;
        self.worker = self.place.take().map(Worker::start);
        self.block = Block::new(self.blocks.0);
        Ok(())
    }

    /// Gives what is gathered to who writes; the block is empty then and has room.
    fn pass_on(&mut self) -> io::Result<()> {
        let Some(worker) = &self.worker else {
            let place = self.place.as_mut().ok_or_else(lost)?;
            place.write_all(self.block.bytes())?;
            self.block.filled = 0;
            if self.block.memory.is_empty() {
                self.block = Block::new(GATHERED);
            }
            return Ok(());
        };
        if worker.blocks.send(std::mem::take(&mut self.block)).is_err() {
            // the thread ended because writing failed: it says why
            return self.settle().and(Err(lost()));
        }
        self.block = worker.used.try_recv().unwrap_or_else(|_| Block::new(self.blocks.0));
        self.block.filled = 0;
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
            drop(worker.blocks);
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
        if self.worker.is_none() && bytes.len() > GATHERED / 4 {
            if self.block.filled > 0 {
                self.pass_on()?;
            }
            self.place.as_mut().ok_or_else(lost)?.write_all(bytes)?;
            return Ok(bytes.len());
        }
        let mut rest = bytes;
        while !rest.is_empty() {
            if self.block.room() == 0 {
                self.pass_on()?;
            }
            let (now, later) = rest.split_at(self.block.room().min(rest.len()));
            let space = self.block.lend(now.len());
            // in pieces: copies between buffers at the same place in their pages crawl otherwise on some processors
            space.chunks_mut(COPY).zip(now.chunks(COPY)).for_each(|(to, from)| to.copy_from_slice(from));
            rest = later;
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Bytes of one copy.
const COPY: usize = 1 << 10;

impl<W: Write + Send + 'static> Worker<W> {
    fn start(place: W) -> Self {
        // a block is handed over when the one before is written: one is filled while the other is written
        let (blocks, take) = sync_channel::<Block>(0);
        let (give, used) = sync_channel::<Block>(1);
        let handle = std::thread::spawn(move || {
            let mut place = place;
            for block in take {
                if let Err(error) = place.write_all(block.bytes()) {
                    return (place, Err(error));
                }
                give.try_send(block).ok();
            }
            (place, Ok(()))
        });
        Self { blocks, used, handle }
    }
}
