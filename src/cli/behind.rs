//! Writes a large result in a thread of its own, so that working and writing go on at once.

use std::io::{self, Write};
use std::sync::OnceLock;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::JoinHandle;

/// Work on less than this many bytes is over before a thread would help.
const LARGE: u64 = 2 << 20;

/// Bytes of one block: waking the other thread costs as much as copying some ten KiB.
const BLOCK: usize = 256 << 10;

/// Whether a second thread has a processor to run on; asked of the system once.
fn has_processors() -> bool {
    static MORE: OnceLock<bool> = OnceLock::new();
    *MORE.get_or_init(|| std::thread::available_parallelism().is_ok_and(|count| count.get() > 1))
}

/// A place to write to; from some MiB on a thread does it.
pub(crate) struct WriteBehind<W: Write + Send + 'static> {
    /// The place, while no thread writes there.
    place: Option<W>,
    worker: Option<Worker<W>>,
    written: u64,
}

struct Worker<W> {
    blocks: SyncSender<Vec<u8>>,
    used: Receiver<Vec<u8>>,
    handle: JoinHandle<(W, io::Result<()>)>,
    block: Vec<u8>,
}

impl<W: Write + Send + 'static> WriteBehind<W> {
    /// Writes to this place.
    pub(crate) fn new(place: W) -> Self {
        Self { place: Some(place), worker: None, written: 0 }
    }

    /// Waits until all is written; gives the place back, to be written to from its start.
    pub(crate) fn settle(&mut self) -> io::Result<&mut W> {
        self.written = 0;
        if let Some(worker) = self.worker.take() {
            let (place, result) = worker.end();
            self.place = place;
            result?;
        }
        self.place.as_mut().ok_or_else(lost)
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
        if self.written > LARGE
            && self.worker.is_none()
            && has_processors()
            && let Some(place) = self.place.take()
        {
            self.worker = Some(Worker::start(place));
        }
        let is_taken = match (&mut self.worker, &mut self.place) {
            (None, Some(place)) => place.write_all(bytes).map(|()| true)?,
            (Some(worker), _) => worker.push(bytes),
            (None, None) => false,
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
        let (blocks, take) = sync_channel::<Vec<u8>>(1);
        let (give, used) = sync_channel::<Vec<u8>>(4);
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
        let mut fresh = self.used.try_recv().unwrap_or_else(|_| Vec::with_capacity(BLOCK));
        fresh.clear();
        self.blocks.send(std::mem::replace(&mut self.block, fresh)).is_ok()
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
