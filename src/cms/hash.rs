//! Digests of content that goes by; those of much content may be computed in a thread beside.

use std::fmt;
use std::sync::mpsc::sync_channel;
use std::thread::{Builder, JoinHandle};

use crate::crypto::algorithm::DigestAlgorithm;
use crate::crypto::digest::Digest;
use crate::secret::relay::{Filler, has_processor, relay};

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

/// Blocks of 64 KiB between the threads.
const BLOCKS: usize = 4;

/// Content of less than this many bytes is hashed before a thread would help.
const LARGE: u64 = 2 << 20;

/// Bytes that the longest header of a SET of 64-bit length takes, and one more.
const HEAD: usize = 11;

impl ContentHash {
    /// Computes these digests.
    pub fn new(algorithms: Vec<DigestAlgorithm>) -> Self {
        let digests = Digests::Here(algorithms.into_iter().map(Digest::new).collect());
        Self { digests, head: Vec::new(), length: 0, may_start: false }
    }

    /// Whether a thread hashes what comes after the first 2 MiB, where there is a second processor; it takes 256 KiB of memory.
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
        if list.is_empty() || !has_processor() {
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

/// The thread, and where it gets the content from; nowhere once it ended.
struct Worker {
    filler: Option<Filler>,
    handle: Option<JoinHandle<Vec<Digest>>>,
}

impl fmt::Debug for Worker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Worker")
    }
}

impl Worker {
    /// Starts it; gives the digests back where the system has no thread for them.
    fn start(list: Vec<Digest>) -> Result<Self, Vec<Digest>> {
        let (filler, mut emptier) = relay(BLOCKS);
        let (bring, brought) = sync_channel::<Vec<Digest>>(1);
        let hashing = move || {
            let mut list = brought.recv().unwrap_or_default();
            while let Some(block) = emptier.next_block() {
                list.iter_mut().for_each(|digest| digest.update(block));
            }
            list
        };
        let Ok(handle) = Builder::new().name("digest".to_owned()).spawn(hashing) else { return Err(list) };
        bring.send(list).map_err(|unsent| unsent.0)?;
        Ok(Self { filler: Some(filler), handle: Some(handle) })
    }

    /// What the thread does not take, since it ended, is in no digest: then there is none at all.
    fn update(&mut self, content: &[u8]) {
        if self.filler.as_mut().is_some_and(|filler| filler.write(content).is_err()) {
            self.filler = None;
        }
    }

    /// The digests of all that came; none where the thread failed.
    fn finish(&mut self) -> Vec<Digest> {
        let is_whole = self.filler.take().is_some_and(|filler| filler.finish().is_ok());
        let list = self.handle.take().and_then(|handle| handle.join().ok()).unwrap_or_default();
        if is_whole { list } else { Vec::new() }
    }
}

/// Content that is given up is gone when this is.
impl Drop for Worker {
    fn drop(&mut self) {
        self.filler = None;
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
            assert!(is_beside(&hash) || !has_processor(), "{piece}");
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
        let mut worker = Worker::start(vec![Digest::new(DigestAlgorithm::Sha256)]).expect("a thread");
        let (filler, emptier) = relay(BLOCKS);
        drop(emptier);
        worker.filler = Some(filler);
        let mut hash = ContentHash { digests: Digests::Beside(worker), ..ContentHash::new(Vec::new()) };
        hash.update(&vec![7; 3 << 20]);
        assert_eq!(hash.finish().digest(DigestAlgorithm::Sha256), None);
    }
}
