//! Bytes that go from one thread to another.
//!
//! Waking a thread takes as long as copying some ten KiB, and on virtual machines some hundred. So who waits is woken once half of the blocks are
//! his, and not for each: the slower side never waits, and the quicker one seldom.

use std::collections::VecDeque;
use std::fmt;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, OnceLock, PoisonError};

use crate::secret::Secret;

/// Bytes of a block: what stays in the cache of a processor until the other one has read it.
const BLOCK: usize = 64 << 10;
/// Bytes of one copy: between buffers at the same place in their pages longer ones crawl on some processors.
const COPY: usize = 1 << 10;

/// The other thread ended, and takes nothing more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Gone;

/// Where one thread writes what the other reads. What it holds is wiped.
pub struct Filler {
    shared: Arc<Shared>,
    block: Block,
}

/// Where the other thread reads.
pub struct Emptier {
    shared: Arc<Shared>,
    block: Block,
}

/// A relay of so many blocks of 64 KiB at most (two at least), for one thread to write to and for another to read from.
///
/// ```
/// use sealpost::secret::relay::relay;
/// let (mut filler, mut emptier) = relay(4);
/// let sum = std::thread::spawn(move || {
///     let mut sum = 0;
///     while let Some(block) = emptier.next_block() {
///         sum += block.iter().map(|byte| u64::from(*byte)).sum::<u64>();
///     }
///     sum
/// });
/// filler.write(&[1; 100_000])?;
/// filler.finish()?;
/// assert_eq!(sum.join().unwrap(), 100_000);
/// # Ok::<(), sealpost::secret::relay::Gone>(())
/// ```
pub fn relay(blocks: usize) -> (Filler, Emptier) {
    let shared = Arc::new(Shared { blocks: blocks.max(2), ..Shared::default() });
    (Filler { shared: Arc::clone(&shared), block: Block::default() }, Emptier { shared, block: Block::default() })
}

/// Whether a second thread has a processor to run on; asked of the system once.
pub fn has_processor() -> bool {
    static MORE: OnceLock<bool> = OnceLock::new();
    *MORE.get_or_init(|| std::thread::available_parallelism().is_ok_and(|count| count.get() > 1))
}

/// What was written is at the front.
#[derive(Default)]
struct Block {
    memory: Secret<Vec<u8>>,
    filled: usize,
}

impl Block {
    fn room(&self) -> usize {
        self.memory.expose().len().saturating_sub(self.filled)
    }

    /// So many bytes of the room, to be filled.
    fn take(&mut self, bytes: usize) -> &mut [u8] {
        let from = self.filled;
        self.filled = from.saturating_add(bytes).min(self.memory.expose().len());
        self.memory.expose_mut().get_mut(from..self.filled).unwrap_or_default()
    }
}

#[derive(Default)]
struct Shared {
    /// How many blocks there are at most.
    blocks: usize,
    state: Mutex<State>,
    filled: Condvar,
    emptied: Condvar,
}

#[derive(Default)]
struct State {
    full: VecDeque<Block>,
    empty: Vec<Block>,
    made: usize,
    filler_waits: bool,
    emptier_waits: bool,
    is_closed: bool,
    is_gone: bool,
}

impl Shared {
    /// For so many blocks a side that waits is woken.
    fn half(&self) -> usize {
        self.blocks / 2
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Sleeps until woken.
fn wait<'a>(on: &Condvar, state: MutexGuard<'a, State>) -> MutexGuard<'a, State> {
    on.wait(state).unwrap_or_else(PoisonError::into_inner)
}

impl Filler {
    /// Writes; waits while all blocks are full.
    pub fn write(&mut self, bytes: &[u8]) -> Result<(), Gone> {
        let mut rest = bytes;
        while !rest.is_empty() {
            if self.block.room() == 0 {
                self.pass_on()?;
            }
            let (now, later) = rest.split_at(self.block.room().min(rest.len()));
            let space = self.block.take(now.len());
            space.chunks_mut(COPY).zip(now.chunks(COPY)).for_each(|(to, from)| to.copy_from_slice(from));
            rest = later;
        }
        Ok(())
    }

    /// Makes room for so many bytes, at most 64 KiB; waits while all blocks are full.
    pub fn make_room(&mut self, bytes: usize) -> Result<(), Gone> {
        if self.block.room() < bytes { self.pass_on() } else { Ok(()) }
    }

    /// So many bytes of the room that was made, which count as written.
    pub fn lend(&mut self, bytes: usize) -> &mut [u8] {
        self.block.take(bytes)
    }

    /// Hands over the rest, and ends. Who drops it ends, too, and the rest is lost.
    pub fn finish(mut self) -> Result<(), Gone> {
        self.hand_over();
        if self.shared.lock().is_gone { Err(Gone) } else { Ok(()) }
    }

    /// Hands over the block; takes an empty one.
    fn pass_on(&mut self) -> Result<(), Gone> {
        self.hand_over();
        let mut state = self.shared.lock();
        if state.empty.is_empty() && state.made < self.shared.blocks {
            state.made = state.made.saturating_add(1);
            drop(state);
            self.block = Block { memory: Secret::new(vec![0; BLOCK]), filled: 0 };
            return Ok(());
        }
        while state.empty.is_empty() && !state.is_gone {
            state.filler_waits = true;
            state = wait(&self.shared.emptied, state);
        }
        if state.is_gone {
            return Err(Gone);
        }
        self.block = state.empty.pop().unwrap_or_default();
        self.block.filled = 0;
        Ok(())
    }

    fn hand_over(&mut self) {
        let block = std::mem::take(&mut self.block);
        if block.filled == 0 {
            return;
        }
        let mut state = self.shared.lock();
        state.full.push_back(block);
        if state.emptier_waits && state.full.len() >= self.shared.half() {
            state.emptier_waits = false;
            self.shared.filled.notify_one();
        }
    }
}

impl Drop for Filler {
    fn drop(&mut self) {
        let mut state = self.shared.lock();
        (state.is_closed, state.emptier_waits) = (true, false);
        self.shared.filled.notify_one();
    }
}

impl Emptier {
    /// What was written next; `None` at the end. It waits for half of the blocks, or the end.
    pub fn next_block(&mut self) -> Option<&[u8]> {
        let read = std::mem::take(&mut self.block);
        let mut state = self.shared.lock();
        if read.filled > 0 {
            state.empty.push(read);
        }
        if state.filler_waits && state.empty.len() >= self.shared.half() {
            state.filler_waits = false;
            self.shared.emptied.notify_one();
        }
        while state.full.is_empty() && !state.is_closed {
            state.emptier_waits = true;
            state = wait(&self.shared.filled, state);
        }
        self.block = state.full.pop_front()?;
        drop(state);
        self.block.memory.expose().get(..self.block.filled)
    }
}

impl Drop for Emptier {
    fn drop(&mut self) {
        let mut state = self.shared.lock();
        (state.is_gone, state.filler_waits) = (true, false);
        self.shared.emptied.notify_one();
    }
}

impl fmt::Debug for Filler {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Filler")
    }
}

impl fmt::Debug for Emptier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Emptier")
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn content(len: u32) -> Vec<u8> {
        (0..len).map(|at| at.wrapping_mul(2_654_435_761).to_be_bytes()[0]).collect()
    }

    fn read(mut emptier: Emptier, pause: Duration) -> Vec<u8> {
        let mut all = Vec::new();
        while let Some(block) = emptier.next_block() {
            all.extend_from_slice(block);
            std::thread::sleep(pause);
        }
        all
    }

    #[test]
    fn what_one_thread_writes_the_other_reads_whichever_is_slower() {
        let content = content(3 << 20);
        let (quick, slow) = (Duration::ZERO, Duration::from_micros(300));
        for (piece, writes, reads) in
            [(1_000, quick, slow), (BLOCK, slow, quick), (300_001, quick, quick), (content.len(), quick, slow)]
        {
            let (mut filler, emptier) = relay(4);
            let shared = Arc::clone(&filler.shared);
            let reader = std::thread::spawn(move || read(emptier, reads));
            for piece in content.chunks(piece) {
                filler.write(piece).expect("taken");
                std::thread::sleep(writes);
            }
            filler.finish().expect("taken");
            assert!(reader.join().expect("no panic") == content, "{piece}");
            assert!(shared.lock().made <= 4, "memory is bounded");
        }
    }

    #[test]
    fn room_is_lent_and_counts_as_written() {
        let (mut filler, emptier) = relay(4);
        let reader = std::thread::spawn(move || read(emptier, Duration::ZERO));
        let lines = content(1 << 20);
        for line in lines.chunks(2_496) {
            filler.make_room(line.len()).expect("room");
            filler.lend(line.len()).copy_from_slice(line);
        }
        filler.finish().expect("taken");
        assert!(reader.join().expect("no panic") == lines);
    }

    #[test]
    fn an_end_without_finish_loses_the_rest_only() {
        let (mut filler, emptier) = relay(4);
        filler.write(&content(100_000)).expect("taken");
        drop(filler);
        assert_eq!(read(emptier, Duration::ZERO), content(100_000)[..BLOCK]);
    }

    #[test]
    fn who_writes_is_told_that_nobody_reads() {
        let (mut filler, emptier) = relay(4);
        let mut emptier = Some(emptier);
        let reader = std::thread::spawn(move || emptier.as_mut().and_then(Emptier::next_block).map(<[u8]>::len));
        let written = (0..100).find(|_| filler.write(&[0; BLOCK]).is_err());
        assert!(written.is_some_and(|blocks| blocks <= 4), "{written:?}");
        assert_eq!(reader.join().expect("no panic"), Some(BLOCK));
        assert_eq!(filler.finish(), Err(Gone));
    }
}
