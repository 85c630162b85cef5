//! Bytes that go from one thread to another.
//!
//! Waking a thread takes as long as copying some ten KiB, and on virtual machines some hundred. So who waits is woken once half of the blocks are
//! his, and not for each: the slower side never waits, and the quicker one seldom.

use std::collections::VecDeque;
use std::fmt;
use std::io::{self, Read};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, OnceLock, PoisonError};

use crate::secret::Secret;

/// Bytes of a block: what stays in the cache of a processor until the other one has read it.
const BLOCK: usize = 64 << 10;
/// With less room than this many bytes a block is handed over before a source is read once more.
const LEAST: usize = BLOCK / 16;
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
    /// How much of the block [`Emptier::read_ready`] gave.
    at: usize,
}

/// What there is to read without waiting.
#[derive(Debug, PartialEq, Eq)]
pub enum Ready<'a> {
    /// What was written next.
    Block(&'a [u8]),
    /// Nothing now.
    Nothing,
    /// Nothing any more.
    End,
}

/// What ended first, where a source is written to a relay.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    /// The source: all of it is written.
    Source,
    /// The room; there will be more.
    Room,
    /// Nobody reads any more.
    Reader,
}

/// What a thread waits for that reads and writes several relays: the others ring it.
#[derive(Clone, Default)]
pub struct Bell(Arc<(Mutex<Rung>, Condvar)>);

#[derive(Default)]
struct Rung {
    is_rung: bool,
    is_awaited: bool,
}

impl Bell {
    /// Wakes who waits, or who waits next.
    pub fn ring(&self) {
        let (rung, waits) = &*self.0;
        let mut rung = rung.lock().unwrap_or_else(PoisonError::into_inner);
        rung.is_rung = true;
        if std::mem::take(&mut rung.is_awaited) {
            waits.notify_one();
        }
    }

    /// Waits until it is rung, or was rung since the last time.
    pub fn wait(&self) {
        let (rung, waits) = &*self.0;
        let mut rung = rung.lock().unwrap_or_else(PoisonError::into_inner);
        while !rung.is_rung {
            rung.is_awaited = true;
            rung = waits.wait(rung).unwrap_or_else(PoisonError::into_inner);
        }
        rung.is_rung = false;
    }
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
    (Filler { shared: Arc::clone(&shared), block: Block::default() }, Emptier { shared, block: Block::default(), at: 0 })
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
    /// What is rung where one side does not wait here.
    bell: Option<Bell>,
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

    /// So many blocks or more may be filled at once.
    fn has_room_for(&self, state: &State, blocks: usize) -> bool {
        state.empty.len().saturating_add(self.blocks.saturating_sub(state.made)) >= blocks
    }
}

impl State {
    fn ring(&self) {
        if let Some(bell) = &self.bell {
            bell.ring();
        }
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

    /// Rings this bell when there is room for half of the blocks once more, or nobody reads.
    pub fn ring(&self, bell: &Bell) {
        self.shared.lock().bell = Some(bell.clone());
    }

    /// Whether there is room for half of the blocks, so that filling them is worth the while.
    pub fn is_due(&self) -> bool {
        let state = self.shared.lock();
        state.is_gone || self.shared.has_room_for(&state, self.shared.half())
    }

    /// Writes what a source gives, as long as there is room and somebody reads; says which of them ended. It does not wait for the other
    /// thread.
    pub fn write_from(&mut self, source: &mut dyn Read) -> io::Result<Ended> {
        loop {
            if self.block.room() < LEAST {
                self.hand_over();
                let (is_gone, has_room) = {
                    let state = self.shared.lock();
                    (state.is_gone, self.shared.has_room_for(&state, 1))
                };
                if is_gone || !has_room {
                    return Ok(if is_gone { Ended::Reader } else { Ended::Room });
                }
                if self.pass_on().is_err() {
                    return Ok(Ended::Reader);
                }
            }
            let filled = self.block.filled;
            let read = match source.read(self.block.memory.expose_mut().get_mut(filled..).unwrap_or_default()) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                read => read?,
            };
            if read == 0 {
                return Ok(Ended::Source);
            }
            self.block.take(read);
        }
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
        if state.full.len() >= self.shared.half() {
            if std::mem::take(&mut state.emptier_waits) {
                self.shared.filled.notify_one();
            }
            state.ring();
        }
    }
}

impl Drop for Filler {
    fn drop(&mut self) {
        let mut state = self.shared.lock();
        (state.is_closed, state.emptier_waits) = (true, false);
        self.shared.filled.notify_one();
        state.ring();
    }
}

impl Emptier {
    /// What was written next; `None` at the end. It waits for half of the blocks, or the end.
    pub fn next_block(&mut self) -> Option<&[u8]> {
        self.give_back();
        let mut state = self.shared.lock();
        while state.full.is_empty() && !state.is_closed {
            state.emptier_waits = true;
            state = wait(&self.shared.filled, state);
        }
        self.block = state.full.pop_front()?;
        drop(state);
        self.block.memory.expose().get(..self.block.filled)
    }

    /// What was written next, where it is there.
    pub fn ready(&mut self) -> Ready<'_> {
        self.give_back();
        let mut state = self.shared.lock();
        match state.full.pop_front() {
            Some(block) => {
                drop(state);
                self.block = block;
                Ready::Block(self.block.memory.expose().get(..self.block.filled).unwrap_or_default())
            }
            None if state.is_closed => Ready::End,
            None => Ready::Nothing,
        }
    }

    /// Copies what was written next, in pieces of any size, where it is there; tells how many bytes. `None` where nothing is there now, and
    /// no bytes at the end.
    pub fn read_ready(&mut self, out: &mut [u8]) -> Option<usize> {
        if self.at == self.block.filled {
            match self.ready() {
                Ready::Block(_) => {}
                Ready::Nothing => return None,
                Ready::End => return Some(0),
            }
        }
        let left = self.block.memory.expose().get(self.at..self.block.filled).unwrap_or_default();
        let (now, _) = left.split_at(left.len().min(out.len()));
        let space = out.get_mut(..now.len()).unwrap_or_default();
        space.chunks_mut(COPY).zip(now.chunks(COPY)).for_each(|(to, from)| to.copy_from_slice(from));
        self.at = self.at.saturating_add(now.len());
        Some(now.len())
    }

    /// Rings this bell when half of the blocks are full, or at the end.
    pub fn ring(&self, bell: &Bell) {
        self.shared.lock().bell = Some(bell.clone());
    }

    /// Whether half of the blocks are full, or the end came, so that reading is worth the while.
    pub fn is_due(&self) -> bool {
        let state = self.shared.lock();
        state.is_closed || state.full.len() >= self.shared.half()
    }

    /// Gives back the block that was read.
    fn give_back(&mut self) {
        let read = std::mem::take(&mut self.block);
        self.at = 0;
        let mut state = self.shared.lock();
        if read.filled > 0 {
            state.empty.push(read);
        }
        if self.shared.has_room_for(&state, self.shared.half()) {
            if std::mem::take(&mut state.filler_waits) {
                self.shared.emptied.notify_one();
            }
            state.ring();
        }
    }
}

impl Drop for Emptier {
    fn drop(&mut self) {
        let mut state = self.shared.lock();
        (state.is_gone, state.filler_waits) = (true, false);
        self.shared.emptied.notify_one();
        state.ring();
    }
}

impl fmt::Debug for Filler {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Filler")
    }
}

impl fmt::Debug for Bell {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Bell")
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
    fn what_there_is_room_for_is_taken_from_a_source_and_nobody_waits() {
        let content = content(1 << 20);
        let (filler, mut emptier) = relay(4);
        let bell = Bell::default();
        filler.ring(&bell);
        let (mut source, mut filler) = (content.as_slice(), Some(filler));
        let mut fill = || {
            let Some(mut writes) = filler.take() else { return };
            assert!(writes.is_due(), "it is due at first, and where it was rung");
            match writes.write_from(&mut source).expect("read") {
                Ended::Room => {
                    assert!(!writes.is_due(), "all blocks are full");
                    filler = Some(writes);
                }
                ended => {
                    assert_eq!(ended, Ended::Source);
                    writes.finish().expect("read");
                }
            }
        };
        fill();
        let mut all = Vec::new();
        loop {
            match emptier.ready() {
                Ready::Block(block) => all.extend_from_slice(block),
                Ready::End => break,
                Ready::Nothing => {
                    bell.wait();
                    fill();
                }
            }
        }
        assert!(all == content);
    }

    #[test]
    fn pieces_of_any_size_are_read_and_an_end_stays_one() {
        let content = content(300_000);
        for piece in [1, 4_096, 100_000] {
            let (mut filler, mut emptier) = relay(8);
            filler.write(&content).expect("room");
            filler.finish().expect("room");
            let (mut all, mut out) = (Vec::new(), vec![0; piece]);
            while let Some(read @ 1..) = emptier.read_ready(&mut out) {
                all.extend_from_slice(&out[..read]);
            }
            assert!(all == content, "{piece}");
            assert_eq!(emptier.read_ready(&mut out), Some(0), "an end stays one");
        }
    }

    #[test]
    fn a_source_is_not_read_for_nobody_and_its_error_comes_after_what_it_gave() {
        let (mut filler, emptier) = relay(4);
        let bell = Bell::default();
        filler.ring(&bell);
        drop(emptier);
        bell.wait();
        assert!(filler.is_due());
        assert_eq!(filler.write_from(&mut io::repeat(1)).expect("read"), Ended::Reader);

        struct Torn;
        impl Read for Torn {
            fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
                Err(io::Error::other("torn"))
            }
        }
        let (mut filler, mut emptier) = relay(4);
        let error = filler.write_from(&mut b"content".chain(Torn)).expect_err("torn");
        assert_eq!(error.to_string(), "torn");
        filler.finish().expect("read");
        assert_eq!(emptier.next_block(), Some(b"content".as_slice()));
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
