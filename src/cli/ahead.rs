//! Reads a large file ahead, in the thread that writes the result: the system does its part on one processor while the work goes on on the other.
//!
//! Two threads on two processors seldom wait for one another. A third one for reading was measured, and took as long as none: whoever has to be
//! woken on a virtual machine comes late.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use sealpost::secret::relay::{Bell, Emptier, Ended, Filler, relay};

/// What is shorter than this many bytes is read before a thread would help.
const LARGE: u64 = 2 << 20;

/// Blocks of 64 KiB between the threads.
const BLOCKS: usize = 8;

/// A file that is read from its start to its end; large ones ahead, where another thread offers to.
pub(crate) struct ReadAhead {
    file: Arc<Mutex<Shared>>,
    wishes: Wishes,
    /// What another thread reads.
    reading: Option<Emptier>,
    /// How much was read here, one after another.
    read: u64,
    /// The place of who reads: the file itself may be further on.
    at: u64,
}

struct Shared {
    file: File,
    /// Whose turn it is to read, and to move its place: another one begins with each wish, and where the file is taken back.
    turn: u64,
    /// How the other thread failed in its turn.
    failed: Option<io::Error>,
}

impl Shared {
    fn next_turn(&mut self) -> u64 {
        self.failed = None;
        self.turn = self.turn.wrapping_add(1);
        self.turn
    }
}

/// Where a file finds the thread that reads ahead, and the thread the file.
#[derive(Clone, Default)]
pub(crate) struct Wishes(Arc<Mutex<Board>>);

#[derive(Default)]
struct Board {
    /// The thread that offers to read; this bell wakes it.
    offer: Option<Bell>,
    wish: Option<Job>,
}

/// A file that is to be read ahead.
struct Job {
    file: Arc<Mutex<Shared>>,
    turn: u64,
    filler: Filler,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl ReadAhead {
    /// Reads this file, from where it is.
    pub(crate) fn new(file: File) -> Self {
        let file = Arc::new(Mutex::new(Shared { file, turn: 0, failed: None }));
        Self { file, wishes: Wishes::default(), reading: None, read: 0, at: 0 }
    }

    /// Where it says that it is to be read ahead.
    pub(crate) fn wishes(&self) -> Wishes {
        self.wishes.clone()
    }

    /// Has a thread read what comes next, where one offers to.
    fn wish(&mut self) {
        let mut board = lock(&self.wishes.0);
        if let Some(bell) = &board.offer {
            let (filler, emptier) = relay(BLOCKS);
            filler.ring(bell);
            let turn = lock(&self.file).next_turn();
            bell.ring();
            board.wish = Some(Job { file: Arc::clone(&self.file), turn, filler });
            self.reading = Some(emptier);
        }
    }

    fn next(&mut self, out: &mut [u8]) -> io::Result<usize> {
        if self.reading.is_none() && self.read > LARGE {
            self.wish();
        }
        let mut shared = None;
        if let Some(emptier) = &mut self.reading {
            // where nothing was read ahead, and the other thread does not read just now, it is read here
            let ready = emptier.read_ready(out).or_else(|| {
                shared = Some(lock(&self.file));
                emptier.read_ready(out)
            });
            match ready {
                Some(0) if !out.is_empty() => (self.reading, self.read) = (None, 0),
                Some(read) => return Ok(read),
                None => {}
            }
        }
        let mut shared = shared.unwrap_or_else(|| lock(&self.file));
        if let Some(error) = shared.failed.take() {
            return Err(error);
        }
        let read = shared.file.read(out)?;
        drop(shared);
        self.read = self.read.saturating_add(u64::try_from(read).unwrap_or(0));
        Ok(read)
    }
}

impl Read for ReadAhead {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let read = self.next(out)?;
        self.at = self.at.saturating_add(u64::try_from(read).unwrap_or(0));
        Ok(read)
    }
}

impl Seek for ReadAhead {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let to = match to {
            SeekFrom::Current(by) => match self.at.checked_add_signed(by) {
                Some(to) => SeekFrom::Start(to),
                None => return Err(io::ErrorKind::InvalidInput.into()),
            },
            other => other,
        };
        if to != SeekFrom::Start(self.at) {
            (self.reading, self.read) = (None, 0);
            let mut shared = lock(&self.file);
            shared.next_turn();
            self.at = shared.file.seek(to)?;
        }
        Ok(self.at)
    }
}

/// What a thread reads ahead beside its own work.
#[derive(Default)]
pub(crate) struct Errands {
    wishes: Option<Wishes>,
    bell: Bell,
    job: Option<Job>,
}

impl Errands {
    /// Offers to read what is wished for here.
    pub(crate) fn offer(wishes: Option<Wishes>) -> Self {
        let bell = Bell::default();
        if let Some(wishes) = &wishes {
            lock(&wishes.0).offer = Some(bell.clone());
        }
        Self { wishes, bell, job: None }
    }

    /// What is rung when there is something to do.
    pub(crate) fn bell(&self) -> &Bell {
        &self.bell
    }

    /// Reads what there is room for; says whether there was anything to do.
    pub(crate) fn run(&mut self) -> bool {
        if self.job.is_none() {
            self.job = self.wishes.as_ref().and_then(|wishes| lock(&wishes.0).wish.take());
        }
        let Some(mut job) = self.job.take() else { return false };
        if !job.filler.is_due() {
            self.job = Some(job);
            return false;
        }
        let mut shared = lock(&job.file);
        let is_its_turn = shared.turn == job.turn;
        let goes_on = is_its_turn
            && match job.filler.write_from(&mut shared.file) {
                Ok(ended) => ended == Ended::Room,
                Err(error) => {
                    shared.failed = Some(error);
                    false
                }
            };
        drop(shared);
        if goes_on {
            self.job = Some(job);
        } else {
            // who is gone needs nothing
            let _ = job.filler.finish();
        }
        true
    }
}

/// Who ends reads no more: what was read is given, and the file goes on where that ended.
impl Drop for Errands {
    fn drop(&mut self) {
        if let Some(wishes) = &self.wishes {
            let mut board = lock(&wishes.0);
            board.offer = None;
            self.job = self.job.take().or_else(|| board.wish.take());
        }
        if let Some(job) = self.job.take() {
            let _ = job.filler.finish();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::thread;

    use super::*;

    /// A thread that runs errands until it is told to end.
    fn errands(file: &ReadAhead) -> (thread::JoinHandle<()>, Bell, Arc<Mutex<bool>>) {
        let mut errands = Errands::offer(Some(file.wishes()));
        let (bell, ends) = (errands.bell().clone(), Arc::new(Mutex::new(false)));
        let told = Arc::clone(&ends);
        let thread = thread::spawn(move || {
            while !*lock(&told) {
                if !errands.run() {
                    errands.bell().wait();
                }
            }
        });
        (thread, bell, ends)
    }

    fn end((thread, bell, ends): (thread::JoinHandle<()>, Bell, Arc<Mutex<bool>>)) {
        *lock(&ends) = true;
        bell.ring();
        thread.join().expect("no panic");
    }

    fn large() -> (ReadAhead, Vec<u8>) {
        let content: Vec<u8> = (0..6_u32 << 20).map(|at| at.wrapping_mul(2_654_435_761).to_be_bytes()[0]).collect();
        let mut file = tempfile::tempfile().expect("a file");
        file.write_all(&content).expect("written");
        file.seek(SeekFrom::Start(0)).expect("at its start");
        (ReadAhead::new(file), content)
    }

    fn read(file: &mut ReadAhead, bytes: usize) -> Vec<u8> {
        let mut out = vec![0; bytes];
        out.chunks_mut(64 << 10).for_each(|piece| file.read_exact(piece).expect("read"));
        out
    }

    #[test]
    fn a_large_file_is_read_beside_and_is_the_same() {
        let (mut file, content) = large();
        let beside = errands(&file);
        for _ in 0..2 {
            let first = read(&mut file, 3 << 20);
            assert!(file.reading.is_some(), "the thread reads");
            assert_eq!(file.stream_position().expect("a place"), 3 << 20);
            let mut rest = Vec::new();
            file.read_to_end(&mut rest).expect("read");
            assert!([first, rest].concat() == content);
            assert_eq!(file.seek(SeekFrom::Start(0)).expect("at its start"), 0);
        }
        end(beside);
    }

    #[test]
    fn who_seeks_reads_from_there_at_once() {
        let (mut file, content) = large();
        let beside = errands(&file);
        for at in [5 << 20, 1_000_000, 0, 2_999_999] {
            let _ = read(&mut file, 3 << 20).len();
            file.seek(SeekFrom::Start(at)).expect("there");
            let at = usize::try_from(at).expect("small");
            assert!(read(&mut file, 100_000) == content[at..at + 100_000], "{at}");
            file.seek(SeekFrom::Start(0)).expect("at its start");
        }
        end(beside);
    }

    #[test]
    fn where_the_other_thread_ends_the_file_goes_on_here() {
        let (mut file, content) = large();
        let beside = errands(&file);
        let first = read(&mut file, 3 << 20);
        end(beside);
        let mut rest = Vec::new();
        file.read_to_end(&mut rest).expect("read");
        assert!([first, rest].concat() == content);
        let (mut file, content) = large();
        assert!(read(&mut file, content.len()) == content, "nobody offers to read");
    }

    #[cfg(unix)]
    #[test]
    fn an_error_of_the_other_thread_is_told() {
        let folder = tempfile::tempdir().expect("a folder");
        let mut file = ReadAhead::new(File::open(folder.path()).expect("opened"));
        file.read = LARGE + 1;
        let beside = errands(&file);
        let error = file.read(&mut [0; 100]).expect_err("a folder is not read");
        assert_eq!(error.kind(), io::ErrorKind::IsADirectory);
        end(beside);
    }
}
