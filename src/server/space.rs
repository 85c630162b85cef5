//! Whether the disk has room for more mail: asked before a message comes, so that a full disk is told early and politely.

use std::path::{Path, PathBuf};

/// The disk on which mail is kept.
#[derive(Debug, Clone)]
pub(in crate::server) struct Space(PathBuf);

/// What incoming mail leaves free: users must be able to delete what they have, and the queue to write down what it delivered, or a full disk
/// could never be emptied by those who fill it. 64 MiB, and a twentieth of a small disk.
const RESERVE: u64 = 64 << 20;

impl Space {
    /// The disk of this folder.
    pub(in crate::server) fn of(folder: &Path) -> Self {
        Self(folder.to_owned())
    }

    /// Whether a message of so many bytes may come. Where the system does not say, it may: the write will tell.
    pub(in crate::server) fn has_room(&self, bytes: u64) -> bool {
        let Ok(disk) = rustix::fs::statvfs(&self.0) else { return true };
        // some file systems count no inodes, and say 0 of 0
        if disk.f_files > 0 && disk.f_favail == 0 {
            return false;
        }
        let free = disk.f_bavail.saturating_mul(disk.f_frsize);
        fits(bytes, free, disk.f_blocks.saturating_mul(disk.f_frsize))
    }
}

fn fits(bytes: u64, free: u64, all: u64) -> bool {
    bytes.saturating_add(RESERVE.min(all / 20)) <= free
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn some_of_a_disk_stays_free_and_not_too_much_of_a_small_one() {
        assert!(fits(0, RESERVE, 1 << 40) && !fits(1, RESERVE, 1 << 40));
        assert!(fits(1 << 20, 2 << 20, 20 << 20) && !fits(1 << 20, (2 << 20) - 1, 20 << 20));
        assert!(!fits(u64::MAX, u64::MAX - 1, 1 << 40));
        assert!(Space::of(Path::new("/nowhere/at/all")).has_room(1), "nobody knows");
    }
}
