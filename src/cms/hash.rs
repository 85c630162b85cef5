//! Digests of content that goes by; those of much content may be computed in a thread beside.

use std::fmt;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::{Builder, JoinHandle, available_parallelism};

use crate::crypto::algorithm::DigestAlgorithm;
use crate::crypto::digest::Digest;
use crate::secret::Secret;

/// The digests of content that passes by, and what else is to be known of it.
#[derive(Debug)]
pub struct ContentHash {
    digests: Digests,
    head: Vec<u8>,
    length: u64,
    may_start: bool,
}

/// What is known of content that went by.
#[derive(Debug, Clone)]
pub struct Hashed {
    digests: Vec<(DigestAlgorithm, Vec<u8>)>,
    looks_like_attributes: bool,
}

#[derive(Debug)]
enum Digests {
    Here(Vec<Digest>),
    Beside(Worker),
}

/// Content of less than this many bytes is hashed before a thread would help.
const LARGE: u64 = 2 << 20;

/// Bytes that are given to the thread at once: waking it costs as much as copying some ten KiB.
const BLOCK: usize = 128 << 10;

/// Bytes of one copy: between buffers at the same place in their pages longer ones crawl on some processors.
const COPY: usize = 1 << 10;

/// Bytes that the longest header of a SET of 64-bit length takes, and one more.
const HEAD: usize = 11;

impl ContentHash {
    /// Computes these digests.
    pub fn new(algorithms: Vec<DigestAlgorithm>) -> Self {
        let digests = Digests::Here(algorithms.into_iter().map(Digest::new).collect());
        Self { digests, head: Vec::new(), length: 0, may_start: false }
    }

    /// Whether a thread hashes what comes after the first 2 MiB, where there is a second processor; it takes 384 KiB of memory.
    #[must_use]
    pub fn second_thread(mut self, may_start: bool) -> Self {
        self.may_start = may_start;
        self
    }

    /// Adds content.
    pub fn update(&mut self, content: &[u8]) {
        let missing = HEAD.saturating_sub(self.head.len()).min(content.len());
        self.head.extend_from_slice(content.get(..missing).unwrap_or_default());
        self.length = self.length.saturating_add(u64::try_from(content.len()).unwrap_or(u64::MAX));
        if self.may_start && self.length > LARGE {
            self.start();
        }
        match &mut self.digests {
            Digests::Here(list) => list.iter_mut().for_each(|digest| digest.update(content)),
            Digests::Beside(worker) => worker.update(content),
        }
    }

    /// Ends the content.
    pub fn finish(self) -> Hashed {
        let looks_like_attributes = self.looks_like_attributes();
        let list = match self.digests {
            Digests::Here(list) => list,
            Digests::Beside(mut worker) => worker.finish(),
        };
        let digests = list.into_iter().map(|digest| (digest.algorithm(), digest.finish())).collect();
        Hashed { digests, looks_like_attributes }
    }

    /// Starts the thread; without one all goes on here.
    fn start(&mut self) {
        self.may_start = false;
        let Digests::Here(list) = &mut self.digests else { return };
        if list.is_empty() || !has_two_processors() {
            return;
        }
        match Worker::start(std::mem::take(list)) {
            Ok(worker) => self.digests = Digests::Beside(worker),
            Err(kept) => *list = kept,
        }
    }

    /// Whether the content is a DER SET that begins with a SEQUENCE and fills it to the last byte, as signed attributes are.
    fn looks_like_attributes(&self) -> bool {
        let Some((&[tag, first], rest)) = self.head.split_first_chunk::<2>() else { return false };
        let more = if first < 0x80 { 0 } else { usize::from(first & 0x7f) };
        let Some((octets, inside)) = rest.split_at_checked(more) else { return false };
        let mut length = u64::from(if first < 0x80 { first } else { 0 });
        for octet in octets {
            length = length.wrapping_shl(8) | u64::from(*octet);
        }
        let header = u64::try_from(more).unwrap_or(0).saturating_add(2);
        tag == 0x31 && inside.first() == Some(&0x30) && length.saturating_add(header) == self.length
    }
}

impl Hashed {
    /// The digest of the content, where it was computed.
    pub fn digest(&self, algorithm: DigestAlgorithm) -> Option<&[u8]> {
        self.digests.iter().find(|(known, _)| *known == algorithm).map(|(_, digest)| digest.as_slice())
    }

    /// Whether the content could be the signed attributes of another message.
    pub(in crate::cms) fn looks_like_attributes(&self) -> bool {
        self.looks_like_attributes
    }

    /// Adds digests that were computed of the same content.
    pub(in crate::cms) fn add(&mut self, other: Self) {
        self.digests.extend(other.digests);
    }
}

fn has_two_processors() -> bool {
    available_parallelism().is_ok_and(|count| count.get() > 1)
}

/// The thread, and the block that is being filled for it. Blocks may hold what only the reader may see: they are wiped.
struct Worker {
    block: Block,
    blocks: Option<SyncSender<Block>>,
    used: Receiver<Block>,
    handle: Option<JoinHandle<Vec<Digest>>>,
}

type Block = Secret<Vec<u8>>;

fn new_block() -> Block {
    Secret::new(Vec::with_capacity(BLOCK))
}

impl fmt::Debug for Worker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Worker")
    }
}

impl Worker {
    /// Starts it; gives the digests back where the system has no thread for them.
    fn start(list: Vec<Digest>) -> Result<Self, Vec<Digest>> {
        // one block is filled, one waits, one is hashed
        let (blocks, take) = sync_channel::<Block>(1);
        let (give, used) = sync_channel::<Block>(2);
        let (bring, brought) = sync_channel::<Vec<Digest>>(1);
        let hashing = move || {
            let mut list = brought.recv().unwrap_or_default();
            for mut block in take {
                list.iter_mut().for_each(|digest| digest.update(block.expose()));
                block.expose_mut().clear();
                give.try_send(block).ok();
            }
            list
        };
        let Ok(handle) = Builder::new().name("digest".to_owned()).spawn(hashing) else { return Err(list) };
        bring.send(list).map_err(|unsent| unsent.0)?;
        Ok(Self { block: new_block(), blocks: Some(blocks), used, handle: Some(handle) })
    }

    fn update(&mut self, content: &[u8]) {
        let mut rest = content;
        while !rest.is_empty() {
            if self.block.expose().len() >= BLOCK {
                self.pass_on();
                self.block = self.used.try_recv().unwrap_or_else(|_| new_block());
            }
            let room = BLOCK.saturating_sub(self.block.expose().len());
            let (now, later) = rest.split_at(room.min(rest.len()));
            now.chunks(COPY).for_each(|piece| self.block.expose_mut().extend_from_slice(piece));
            rest = later;
        }
    }

    /// What the thread does not take, since it ended, is in no digest: then there is none at all.
    fn pass_on(&mut self) {
        let block = std::mem::take(&mut self.block);
        if self.blocks.as_ref().is_some_and(|blocks| blocks.send(block).is_err()) {
            self.blocks = None;
        }
    }

    /// The digests of all that came; none where the thread failed.
    fn finish(&mut self) -> Vec<Digest> {
        self.pass_on();
        let is_whole = self.blocks.take().is_some();
        let list = self.handle.take().and_then(|handle| handle.join().ok()).unwrap_or_default();
        if is_whole { list } else { Vec::new() }
    }
}

/// Content that is given up is gone when this is.
impl Drop for Worker {
    fn drop(&mut self) {
        self.blocks = None;
        if let Some(handle) = self.handle.take() {
            drop(handle.join());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crypto::digest;

    fn is_beside(hash: &ContentHash) -> bool {
        matches!(hash.digests, Digests::Beside(_))
    }

    #[test]
    fn a_thread_gives_the_same_digests() {
        let content: Vec<u8> = (0..5_u32 << 20).map(|at| at.wrapping_mul(2_654_435_761).to_be_bytes()[0]).collect();
        let algorithms = vec![DigestAlgorithm::Sha256, DigestAlgorithm::Sha512];
        for piece in [1_000, 4_096, 131_072, 300_001, content.len()] {
            let mut hash = ContentHash::new(algorithms.clone()).second_thread(true);
            content.chunks(piece).for_each(|piece| hash.update(piece));
            assert!(is_beside(&hash) || !has_two_processors(), "{piece}");
            let hashed = hash.finish();
            for algorithm in &algorithms {
                assert_eq!(hashed.digest(*algorithm), Some(digest::of(*algorithm, &content).as_slice()), "{piece}");
            }
        }
    }

    #[test]
    fn small_content_and_a_single_thread_need_no_other() {
        let content = vec![7; 3 << 20];
        for (may_start, length) in [(false, content.len()), (true, 2 << 20)] {
            let mut hash = ContentHash::new(vec![DigestAlgorithm::Sha256]).second_thread(may_start);
            hash.update(&content[..length]);
            assert!(!is_beside(&hash), "{may_start}");
        }
        let mut nothing = ContentHash::new(Vec::new()).second_thread(true);
        nothing.update(&content);
        assert!(!is_beside(&nothing), "there is nothing to compute");
    }

    #[test]
    fn a_thread_that_ended_gives_no_digest() {
        let worker = Worker::start(vec![Digest::new(DigestAlgorithm::Sha256)]).expect("a thread");
        let mut hash = ContentHash { digests: Digests::Beside(worker), ..ContentHash::new(Vec::new()) };
        hash.update(&vec![7; 3 << 20]);
        let Digests::Beside(worker) = &mut hash.digests else { unreachable!() };
        let (gone, _) = sync_channel(0);
        worker.blocks = Some(gone);
        hash.update(&vec![8; 1 << 20]);
        assert_eq!(hash.finish().digest(DigestAlgorithm::Sha256), None);
    }
}
