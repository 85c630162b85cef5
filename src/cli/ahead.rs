//! Reads a large file ahead in a thread of its own, so that reading and working go on at once.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::sync::OnceLock;
use std::sync::mpsc::{Receiver, Sender, SyncSender, channel, sync_channel};
use std::thread::JoinHandle;

/// Bytes of one block; three of them are on the way at most.
const BLOCK: usize = 128 << 10;

/// Work on less than this many bytes is over before a thread would help.
pub(crate) const LARGE: u64 = 2 << 20;

/// Whether a second thread has a processor to run on; asked of the system once.
pub(crate) fn has_processors() -> bool {
    static MORE: OnceLock<bool> = OnceLock::new();
    *MORE.get_or_init(|| std::thread::available_parallelism().is_ok_and(|count| count.get() > 1))
}

/// A file that is read ahead where it is large.
pub(crate) struct ReadAhead {
    /// The file, while no thread reads it.
    file: Option<File>,
    worker: Option<Worker>,
    is_large: bool,
}

struct Worker {
    blocks: Receiver<io::Result<Vec<u8>>>,
    used: Sender<Vec<u8>>,
    handle: JoinHandle<File>,
    block: Vec<u8>,
    at: usize,
}

impl ReadAhead {
    /// Reads this file, of so many bytes.
    pub(crate) fn new(file: File, len: u64) -> Self {
        Self { file: Some(file), worker: None, is_large: len > LARGE && has_processors() }
    }

    /// Stops the thread and takes the file back.
    fn stop(&mut self) -> io::Result<&mut File> {
        if let Some(worker) = self.worker.take() {
            let Worker { blocks, used, handle, .. } = worker;
            drop((blocks, used));
            self.file = handle.join().ok();
        }
        self.file.as_mut().ok_or_else(|| io::Error::other("the thread that read it ended"))
    }
}

impl Read for ReadAhead {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        if self.is_large
            && self.worker.is_none()
            && let Some(file) = self.file.take()
        {
            self.worker = Some(Worker::start(file));
        }
        match (&mut self.worker, &mut self.file) {
            (Some(worker), _) => worker.read(out),
            (None, Some(file)) => file.read(out),
            (None, None) => Err(io::Error::other("the thread that read it ended")),
        }
    }
}

impl Seek for ReadAhead {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        self.stop()?.seek(to)
    }
}

impl Drop for ReadAhead {
    fn drop(&mut self) {
        // the thread ends when nobody takes its blocks
        self.stop().ok();
    }
}

impl Worker {
    fn start(file: File) -> Self {
        let (give, blocks) = sync_channel(1);
        let (used, take) = channel();
        let handle = std::thread::spawn(move || read_blocks(file, &give, &take));
        Self { blocks, used, handle, block: Vec::new(), at: 0 }
    }

    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        if self.at == self.block.len() {
            let used = std::mem::take(&mut self.block);
            if used.capacity() > 0 {
                self.used.send(used).ok();
            }
            self.at = 0;
            match self.blocks.recv() {
                Ok(block) => self.block = block?,
                // the thread ended: so did the file
                Err(_) => return Ok(0),
            }
        }
        let ready = self.block.get(self.at..).unwrap_or_default();
        let len = ready.len().min(out.len());
        copy(out, ready.get(..len).unwrap_or_default());
        self.at = self.at.saturating_add(len);
        Ok(len)
    }
}

fn read_blocks(mut file: File, give: &SyncSender<io::Result<Vec<u8>>>, used: &Receiver<Vec<u8>>) -> File {
    loop {
        let mut block = used.try_recv().unwrap_or_default();
        block.resize(BLOCK, 0);
        let read = match file.read(&mut block) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Ok(0) => return file,
            Ok(read) => Ok(read),
            Err(error) => Err(error),
        };
        let is_last = read.is_err();
        let block = read.map(|read| {
            block.truncate(read);
            block
        });
        if give.send(block).is_err() || is_last {
            return file;
        }
    }
}

/// Copies in pieces: copies between buffers at the same place in their pages crawl otherwise on some processors.
pub(crate) fn copy(to: &mut [u8], from: &[u8]) {
    let pieces = to.chunks_mut(1 << 10).zip(from.chunks(1 << 10));
    pieces.for_each(|(to, from)| to.get_mut(..from.len()).unwrap_or_default().copy_from_slice(from));
}
