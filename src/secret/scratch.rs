//! Working memory that a thread keeps from one message to the next.
//!
//! A message passes through some buffers of 64 KiB. Allocators give memory of that size back to the system, which hands it out again page
//! by page: for a message of 75 KiB that took longer than hashing it. What is kept here was wiped.

use std::cell::RefCell;
use std::fmt;
use std::ops::{Deref, DerefMut};

use zeroize::Zeroize;

/// The size of a buffer that is kept, in bytes: large enough that a system call costs little, small enough for the cache.
pub(crate) const SIZE: usize = 64 << 10;

/// Buffers of each kind that a thread keeps: opening a message takes as many at a time. Together they bound what an idle thread holds
/// to 768 KiB.
const KEPT: usize = 4;

/// The largest buffer that is kept, where one grew.
const LARGEST: usize = 2 * SIZE;

thread_local! {
    /// Filled with zeros, of exactly [`SIZE`] bytes.
    static WINDOWS: RefCell<Vec<Vec<u8>>> = const { RefCell::new(Vec::new()) };
    /// Empty, with room for at least [`SIZE`] bytes.
    static PIECES: RefCell<Vec<Vec<u8>>> = const { RefCell::new(Vec::new()) };
}

/// Bytes to read into. Zero at first; whoever fills them says so by [`Window::filled`], and what was filled is wiped at the end.
pub(crate) struct Window {
    memory: Vec<u8>,
    filled: usize,
}

impl Window {
    /// So many bytes.
    pub(crate) fn new(len: usize) -> Self {
        let kept = if len == SIZE { WINDOWS.with_borrow_mut(Vec::pop) } else { None };
        Self { memory: kept.unwrap_or_else(|| vec![0; len]), filled: 0 }
    }

    /// Says that bytes up to here were filled.
    pub(crate) fn filled(&mut self, to: usize) {
        self.filled = self.filled.max(to);
    }
}

impl Deref for Window {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.memory
    }
}

impl DerefMut for Window {
    fn deref_mut(&mut self) -> &mut [u8] {
        &mut self.memory
    }
}

impl fmt::Debug for Window {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} bytes", self.memory.len())
    }
}

impl Drop for Window {
    fn drop(&mut self) {
        self.memory.get_mut(..self.filled).unwrap_or_default().zeroize();
        if self.memory.len() == SIZE {
            keep(&WINDOWS, std::mem::take(&mut self.memory));
        }
    }
}

/// A buffer that is filled by appending, and emptied by [`Piece::clear`] and [`Piece::take`]; wiped at the end.
pub(crate) struct Piece {
    memory: Vec<u8>,
    filled: usize,
}

impl Piece {
    /// An empty one with room for [`SIZE`] bytes.
    pub(crate) fn new() -> Self {
        let kept = PIECES.with_borrow_mut(Vec::pop);
        Self { memory: kept.unwrap_or_else(|| Vec::with_capacity(SIZE)), filled: 0 }
    }

    /// An empty one with no memory.
    pub(crate) fn empty() -> Self {
        Self { memory: Vec::new(), filled: 0 }
    }

    /// One that holds a copy.
    pub(crate) fn of(bytes: &[u8]) -> Self {
        let mut piece = Self::new();
        piece.memory.extend_from_slice(bytes);
        piece
    }

    /// Lends the bytes.
    pub(crate) fn expose(&self) -> &Vec<u8> {
        &self.memory
    }

    /// Lends the bytes for appending.
    pub(crate) fn expose_mut(&mut self) -> &mut Vec<u8> {
        &mut self.memory
    }

    /// Empties it.
    pub(crate) fn clear(&mut self) {
        self.filled = self.filled.max(self.memory.len());
        self.memory.clear();
    }

    /// Takes so many bytes off its front.
    pub(crate) fn take(&mut self, bytes: usize) {
        self.filled = self.filled.max(self.memory.len());
        self.memory.drain(..bytes.min(self.memory.len()));
    }

    /// Wipes all that was in it; it is empty then.
    pub(crate) fn wipe(&mut self) {
        self.overwrite();
        self.memory.clear();
        self.filled = 0;
    }

    /// Zeros as far as it was ever filled.
    fn overwrite(&mut self) {
        self.memory.as_mut_slice().zeroize();
        self.memory.resize(self.filled.max(self.memory.len()), 0);
        // what was written beyond the end counts, too
        zeroize::optimization_barrier(self.memory.as_slice());
    }
}

impl fmt::Debug for Piece {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} bytes", self.memory.len())
    }
}

impl Drop for Piece {
    fn drop(&mut self) {
        self.wipe();
        if (SIZE..=LARGEST).contains(&self.memory.capacity()) {
            keep(&PIECES, std::mem::take(&mut self.memory));
        }
    }
}

/// Keeps memory, unless there is enough, or the thread ends.
fn keep(store: &'static std::thread::LocalKey<RefCell<Vec<Vec<u8>>>>, memory: Vec<u8>) {
    let mut memory = Some(memory);
    // a thread that ends keeps nothing
    let _ = store.try_with(|kept| {
        let mut kept = kept.borrow_mut();
        if kept.len() < KEPT {
            kept.extend(memory.take());
        }
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_window_comes_back_wiped() {
        let mut window = Window::new(SIZE);
        let place = window.as_ptr();
        window[..5].copy_from_slice(b"plain");
        window.filled(5);
        drop(window);
        let again = Window::new(SIZE);
        assert_eq!(again.as_ptr(), place, "it was kept");
        assert!(again.iter().all(|byte| *byte == 0));
    }

    #[test]
    fn a_piece_is_wiped_as_far_as_it_was_ever_filled() {
        let mut piece = Piece::new();
        piece.expose_mut().extend_from_slice(b"a long secret");
        piece.clear();
        piece.expose_mut().extend_from_slice(b"short");
        piece.overwrite();
        assert_eq!(*piece.expose(), [0; 13], "the longest content counts");
        piece.wipe();
        assert!(piece.expose().is_empty());
    }

    #[test]
    fn a_thread_keeps_a_few_buffers_and_no_large_ones() {
        std::thread::spawn(|| {
            let mut large = Piece::new();
            large.expose_mut().resize(LARGEST + 1, 1);
            drop(large);
            drop(Window::new(SIZE * 2));
            drop((0..20).map(|_| Window::new(SIZE)).collect::<Vec<_>>());
            drop((0..20).map(|_| Piece::new()).collect::<Vec<_>>());
            WINDOWS.with_borrow(|kept| assert!(kept.len() == KEPT && kept.iter().all(|memory| memory.len() == SIZE)));
            PIECES.with_borrow(|kept| assert!(kept.len() == KEPT && kept.iter().all(|memory| memory.capacity() <= LARGEST)));
        })
        .join()
        .expect("the thread ends well");
    }
}
