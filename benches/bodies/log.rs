//! A log that bodies are appended to, with one sync for all that wait.

use std::fs::{File, OpenOptions};
use std::path::Path;
use std::sync::{Arc, Condvar, Mutex};

use sealpost::crypto::algorithm::DigestAlgorithm;
use sealpost::crypto::digest;

use crate::ways::Way;

/// Records begin where pages do: a page is freed, and goes past the system's cache, as a whole.
const PAGE: usize = 4 << 10;

/// From so much on it goes past the system's cache, as in the store.
const LARGE: usize = 256 << 10;

/// Length and digest.
const HEAD: usize = 8 + 32;

/// A log, or a part of one that is used again.
pub(crate) struct Log {
    file: Arc<File>,
    end: Mutex<u64>,
    most: u64,
    together: Together,
}

/// Where a record is.
pub(crate) struct Place {
    offset: u64,
    length: u64,
}

impl Log {
    /// One that grows. It is never cut into segments, which would cost it a little more.
    pub(crate) fn grows(folder: &Path, size: usize) -> Self {
        let path = folder.join("log");
        File::create(&path).expect("made");
        Self { file: Arc::new(open(&path, size >= LARGE)), end: Mutex::new(0), most: u64::MAX, together: Together::default() }
    }

    /// Writes a record; [`Log::sync`] brings it to the disk.
    pub(crate) fn append(&self, body: &[u8]) -> Place {
        let digest = digest::of(DigestAlgorithm::Sha256, body);
        let length = (HEAD + body.len()).next_multiple_of(PAGE);
        let bytes = u64::try_from(length).expect("small");
        let mut end = self.end.lock().expect("no panic");
        let offset = if *end + bytes > self.most { 0 } else { *end };
        *end = offset + bytes;
        drop(end);
        with_pages(length, |pages| {
            pages[..8].copy_from_slice(&body.len().to_be_bytes());
            pages[8..HEAD].copy_from_slice(&digest);
            pages[HEAD..HEAD + body.len()].copy_from_slice(body);
            pages[HEAD + body.len()..].fill(0);
            std::os::unix::fs::FileExt::write_all_at(&*self.file, pages, offset).expect("written");
        });
        Place { offset, length: bytes }
    }

    /// Everything that was written is on disk then.
    pub(crate) fn sync(&self) {
        self.together.sync(|| self.file.sync_data().expect("synced"));
    }

    /// Gives the disk back what a record took.
    pub(crate) fn punch(&self, place: &Place) {
        use rustix::fs::{FallocateFlags, fallocate};
        let flags = FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE;
        fallocate(&self.file, flags, place.offset, place.length).expect("punched");
    }
}

impl Way for Log {
    fn keep(&self, body: &[u8]) {
        self.append(body);
        self.sync();
    }
}

/// A segment that was written before: the file system has its place, and notes nothing of what is written there.
pub(crate) struct Used {
    cached: Arc<File>,
    direct: Arc<File>,
}

impl Used {
    const SIZE: usize = 256 << 20;

    pub(crate) fn new(path: &Path) -> Self {
        std::fs::write(path, vec![1; Self::SIZE]).expect("written");
        let (cached, direct) = (Arc::new(open(path, false)), Arc::new(open(path, true)));
        cached.sync_all().expect("synced");
        Self { cached, direct }
    }

    /// It, from its beginning, and again from there where it is full.
    pub(crate) fn log(&self, size: usize) -> Log {
        let file = Arc::clone(if size >= LARGE { &self.direct } else { &self.cached });
        let most = u64::try_from(Self::SIZE).expect("small");
        Log { file, end: Mutex::new(0), most, together: Together::default() }
    }
}

fn open(path: &Path, is_direct: bool) -> File {
    let flags = if is_direct { i32::try_from(rustix::fs::OFlags::DIRECT.bits()).expect("small") } else { 0 };
    let mut options = OpenOptions::new();
    std::os::unix::fs::OpenOptionsExt::custom_flags(options.read(true).write(true), flags);
    options.open(path).expect("opens")
}

/// Memory of this thread that begins where a page does.
fn with_pages(length: usize, work: impl FnOnce(&mut [u8])) {
    thread_local!(static PAGES: std::cell::RefCell<Vec<u8>> = const { std::cell::RefCell::new(Vec::new()) });
    PAGES.with_borrow_mut(|pages| {
        if pages.len() < length + PAGE {
            *pages = vec![0; length + PAGE];
        }
        let begin = pages.as_ptr().align_offset(PAGE);
        work(&mut pages[begin..begin + length]);
    });
}

/// One sync for all that came before it began: whoever finds none at work does it, the others wait.
#[derive(Default)]
pub(crate) struct Together {
    state: Mutex<Syncs>,
    ended: Condvar,
}

#[derive(Default)]
struct Syncs {
    last: u64,
    synced: u64,
    is_busy: bool,
}

impl Together {
    pub(crate) fn sync(&self, sync: impl FnOnce()) {
        let mut state = self.state.lock().expect("no panic");
        state.last += 1;
        let own = state.last;
        while state.is_busy && state.synced < own {
            state = self.ended.wait(state).expect("no panic");
        }
        if state.synced >= own {
            return;
        }
        state.is_busy = true;
        let all = state.last;
        drop(state);
        sync();
        let mut state = self.state.lock().expect("no panic");
        state.is_busy = false;
        state.synced = all;
        drop(state);
        self.ended.notify_all();
    }
}
