//! The memory of messages that are held whole, however many come at once.

use std::sync::Arc;

use tokio::runtime::Handle;
use tokio::sync::{AcquireError, OwnedSemaphorePermit, Semaphore};

/// Memory that messages share: together they have as many bytes as one message may have, or one of them is alone.
#[derive(Debug, Clone)]
pub(in crate::server) struct Room {
    places: Arc<Semaphore>,
    all: u32,
}

/// What one message has of it, until it is dropped.
pub(in crate::server) type Share = OwnedSemaphorePermit;

impl Room {
    /// For messages of so many bytes at most.
    pub(in crate::server) fn of(max_message: u64) -> Self {
        let all = kibibytes(max_message);
        Self { places: Arc::new(Semaphore::new(usize::try_from(all).unwrap_or(usize::MAX))), all }
    }

    /// Waits until there is room for a message; those that came first have it first.
    pub(in crate::server) async fn share(&self, bytes: u64) -> Result<Share, AcquireError> {
        Arc::clone(&self.places).acquire_many_owned(kibibytes(bytes).min(self.all)).await
    }

    /// The same on a thread that may block. None where nothing runs that others could wait in.
    pub(in crate::server) fn wait(&self, bytes: u64) -> Option<Share> {
        Handle::try_current().ok()?.block_on(self.share(bytes)).ok()
    }
}

/// Whole ones, and one at least.
fn kibibytes(bytes: u64) -> u32 {
    u32::try_from(bytes.div_ceil(1024).max(1)).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_are_held_together_up_to_the_bytes_of_one() {
        let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
        runtime.block_on(async {
            let room = Room::of(50 << 20);
            let left = || room.places.available_permits();
            let halves = [room.share(25 << 20).await, room.share(25 << 20).await];
            assert_eq!(left(), 0, "the next one waits");
            drop(halves);
            let small: Vec<_> = [room.share(0).await, room.share(700).await, room.share(2000).await].into_iter().collect();
            assert_eq!(left(), (50 << 10) - 4);
            drop(small);
            let alone = room.share(u64::MAX).await.expect("one that is too large does not wait for ever");
            assert_eq!(left(), 0);
            drop(alone);
            assert_eq!(left(), 50 << 10);
        });
    }
}
