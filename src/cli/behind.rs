//! Writes a large result in a thread of its own, so that working and writing go on at once.

use std::io::{self, Write};
use std::sync::OnceLock;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::JoinHandle;

/// Work on less than this many bytes is over before a thread would help.
const LARGE: u64 = 2 << 20;

/// Bytes of one block, of which there are two: waking the other thread costs as much as copying some ten KiB.
const BLOCK: usize = 256 << 10;

/// Whether a second thread has a processor to run on; asked of the system once.
fn has_processors() -> bool {
    static MORE: OnceLock<bool> = OnceLock::new();
    *MORE.get_or_init(|| std::thread::available_parallelism().is_ok_and(|count| count.get() > 1))
}

/// Who writes a large result.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Hands {
    /// The thread that makes it: where making it is so quick that handing it over would cost a tenth of the work.
    One,
    /// A second thread, where there is a processor for it.
    Two,
}

/// A place to write to; from some MiB on a thread may do it.
pub(crate) struct WriteBehind<W: Write + Send + 'static> {
    hands: Hands,
    /// The place, while no thread writes there.
    place: Option<W>,
    worker: Option<Worker<W>>,
    written: u64,
    /// Small pieces that wait to be written together.
    gathered: Vec<u8>,
}

/// Bytes that are gathered before they are written.
const GATHERED: usize = 32 << 10;

struct Worker<W> {
    blocks: SyncSender<Vec<u8>>,
    used: Receiver<Vec<u8>>,
    handle: JoinHandle<(W, io::Result<()>)>,
    block: Vec<u8>,
}

impl<W: Write + Send + 'static> WriteBehind<W> {
    /// Writes to this place.
    pub(crate) fn new(place: W, hands: Hands) -> Self {
        Self { hands, place: Some(place), worker: None, written: 0, gathered: Vec::new() }
    }

    /// Waits until all is written; gives the place back, to be written to from its start.
    pub(crate) fn settle(&mut self) -> io::Result<&mut W> {
        self.written = 0;
        if let Some(worker) = self.worker.take() {
            let (place, result) = worker.end();
            self.place = place;
            result?;
        }
        self.write_gathered()?;
        self.place.as_mut().ok_or_else(lost)
    }

    fn write_gathered(&mut self) -> io::Result<()> {
        let place = self.place.as_mut().ok_or_else(lost)?;
        place.write_all(&self.gathered)?;
        self.gathered.clear();
        Ok(())
    }

    /// Writes what is much, gathers what is little.
    fn write_here(&mut self, bytes: &[u8]) -> io::Result<()> {
        if self.gathered.len().saturating_add(bytes.len()) > GATHERED {
            self.write_gathered()?;
            if bytes.len() > GATHERED / 2 {
                return self.place.as_mut().ok_or_else(lost)?.write_all(bytes);
            }
        }
        self.gathered.extend_from_slice(bytes);
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
        self.written = self.written.saturating_add(u64::try_from(bytes.len()).unwrap_or(0));
        if self.written > LARGE && self.hands == Hands::Two && self.worker.is_none() && has_processors() {
            self.write_gathered()?;
            self.worker = self.place.take().map(Worker::start);
        }
        let is_taken = match &mut self.worker {
            None => self.write_here(bytes).map(|()| true)?,
            Some(worker) => worker.push(bytes),
        };
        if !is_taken {
            // the thread ended because writing failed: it says why
            self.settle()?;
            return Err(lost());
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<W: Write + Send + 'static> Worker<W> {
    fn start(place: W) -> Self {
        // a block is handed over when the one before is written: one is filled while the other is written
        let (blocks, take) = sync_channel::<Vec<u8>>(0);
        let (give, used) = sync_channel::<Vec<u8>>(1);
        let handle = std::thread::spawn(move || {
            let mut place = place;
            for block in take {
                if let Err(error) = place.write_all(&block) {
                    return (place, Err(error));
                }
                give.try_send(block).ok();
            }
            (place, Ok(()))
        });
        Self { blocks, used, handle, block: Vec::with_capacity(BLOCK) }
    }

    /// Takes bytes; says whether the thread is still there.
    fn push(&mut self, bytes: &[u8]) -> bool {
        let mut rest = bytes;
        while !rest.is_empty() {
            let room = BLOCK.saturating_sub(self.block.len());
            let (now, later) = rest.split_at(room.min(rest.len()));
            // in pieces: copies between buffers at the same place in their pages crawl otherwise on some processors
            now.chunks(1 << 10).for_each(|piece| self.block.extend_from_slice(piece));
            rest = later;
            if self.block.len() == BLOCK && !self.send() {
                return false;
            }
        }
        true
    }

    fn send(&mut self) -> bool {
        if self.blocks.send(std::mem::take(&mut self.block)).is_err() {
            return false;
        }
        self.block = self.used.try_recv().unwrap_or_else(|_| Vec::with_capacity(BLOCK));
        self.block.clear();
        true
    }

    fn end(mut self) -> (Option<W>, io::Result<()>) {
        self.send();
        drop(self.blocks);
        match self.handle.join() {
            Ok((place, result)) => (Some(place), result),
            Err(_) => (None, Err(lost())),
        }
    }
}
