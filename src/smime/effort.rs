//! What one look at a message takes: all its layers, and all passes over it, together.

use std::cell::{Cell, RefCell};
use std::io;
use std::rc::Rc;

use crate::crypto::algorithm::ContentCipher;
use crate::crypto::pbe::Cost;
use crate::limits::{Budget, LimitReached, Limits};

/// What is left; every layer has a share in it.
#[derive(Debug, Clone)]
pub(in crate::smime) struct Effort(Rc<Shared>);

#[derive(Debug)]
struct Shared {
    limits: Limits,
    /// Bytes of the message that this pass read, and the most that any pass did.
    came: Cell<u64>,
    most: Cell<u64>,
    /// Bytes that the layers took, in all passes.
    taken: Cell<u64>,
    /// Bytes that decompression gave in this pass.
    unpacked: Cell<u64>,
    /// Bytes that layers hold in this pass.
    held: RefCell<Budget>,
    derivations: RefCell<Cost>,
    reached: RefCell<Option<LimitReached>>,
}

impl Effort {
    pub(in crate::smime) fn new(limits: &Limits) -> Self {
        Self(Rc::new(Shared {
            limits: limits.clone(),
            came: Cell::new(0),
            most: Cell::new(0),
            taken: Cell::new(0),
            unpacked: Cell::new(0),
            held: RefCell::new(held(limits)),
            derivations: RefCell::new(Cost::new(limits).remembering()),
            reached: RefCell::new(None),
        }))
    }

    /// Begins a pass: what the one before held is gone.
    pub(in crate::smime) fn begin_pass(&self) {
        self.0.came.set(0);
        self.0.unpacked.set(0);
        self.0.held.replace(held(&self.0.limits));
    }

    /// Bytes of the message came.
    pub(in crate::smime) fn came(&self, bytes: usize) {
        self.0.came.set(self.0.came.get().saturating_add(wide(bytes)));
        self.0.most.set(self.0.most.get().max(self.0.came.get()));
    }

    /// A layer takes so many bytes, each of which costs as much as `cost` that are read.
    pub(in crate::smime) fn take(&self, bytes: usize, cost: u64) -> Result<(), LimitReached> {
        let taken = self.0.taken.get().saturating_add(wide(bytes).saturating_mul(cost));
        self.0.taken.set(taken);
        let limits = &self.0.limits;
        let limit = limits.layer_bytes.saturating_add(limits.layer_ratio.saturating_mul(self.0.most.get()));
        if taken <= limit { Ok(()) } else { Err(self.reach(LimitReached { name: "layer bytes", limit })) }
    }

    /// Decompression gave so many bytes.
    pub(in crate::smime) fn unpack(&self, bytes: usize) -> Result<(), LimitReached> {
        let (unpacked, limits) = (self.0.unpacked.get().saturating_add(wide(bytes)), &self.0.limits);
        self.0.unpacked.set(unpacked);
        if unpacked > limits.decompressed_bytes {
            return Err(self.reach(LimitReached { name: "decompressed bytes", limit: limits.decompressed_bytes }));
        }
        let is_far = unpacked / self.0.came.get().max(1) >= limits.decompression_ratio;
        if is_far && unpacked > limits.decompression_free_bytes {
            return Err(self.reach(LimitReached { name: "decompression ratio", limit: limits.decompression_ratio }));
        }
        self.take(bytes, 1)
    }

    /// A layer holds so many bytes more.
    pub(in crate::smime) fn hold(&self, bytes: usize) -> Result<(), LimitReached> {
        self.0.held.borrow_mut().spend(bytes).map_err(|limit| self.reach(limit))
    }

    /// With what the keys from passwords may still cost.
    pub(in crate::smime) fn derive<T>(&self, with: impl FnOnce(&mut Cost) -> T) -> T {
        with(&mut self.0.derivations.borrow_mut())
    }

    /// The first bound that was reached where the stream can only fail.
    pub(in crate::smime) fn reached(&self) -> Option<LimitReached> {
        self.0.reached.borrow().clone()
    }

    fn reach(&self, limit: LimitReached) -> LimitReached {
        self.0.reached.borrow_mut().get_or_insert(limit).clone()
    }
}

fn held(limits: &Limits) -> Budget {
    Budget::new("held bytes", limits.held_bytes)
}

/// How many bytes could be digested in the time that one takes to be decrypted.
pub(in crate::smime) fn cost_of(cipher: ContentCipher) -> u64 {
    match cipher {
        ContentCipher::DesEde3Cbc | ContentCipher::DesCbc | ContentCipher::Rc2Cbc { .. } => 8,
        _ => 1,
    }
}

/// What a stream says whose layer reached a bound; the bound itself is kept.
pub(in crate::smime) fn stopped(limit: &LimitReached) -> io::Error {
    io::Error::other(limit.to_string())
}

fn wide(bytes: usize) -> u64 {
    u64::try_from(bytes).unwrap_or(u64::MAX)
}
